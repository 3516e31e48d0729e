//! A disk in memory for `SQLite`, for tests: it remembers what was written but not synced, and when its power is cut it
//! keeps any part of that. It can also fail, fill up, write short and lie about syncs.
//!
//! What always holds: what was synced survives every cut, unless the disk was told to lie. Deliberately harsher than
//! disks and file systems are: pieces of un-synced writes, lengths and names survive independently of their order.
//! Never harsher in one point, on which `SQLite` relies: bytes that nobody wrote are never changed.
//!
//! `disk` and `files` are the model, in safe code; `vfs` is how `SQLite` gets at it. No engine is known here.

mod disk;
mod files;
mod vfs;

pub use disk::{Fault, Frozen, TornDisk};
pub use vfs::VFS;
