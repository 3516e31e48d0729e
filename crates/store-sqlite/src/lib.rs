//! The embedded default engine: rows in one `SQLite` file.
//!
//! What always holds: one process has a directory open at a time (`lock`), one batch is one transaction, and it is on
//! the disk when `apply` returns (write-ahead log, `synchronous=FULL`). Folding the log into the main file is left to
//! idle moments until the log reaches a limit. What the rows mean is in `sturdy-store`.

mod engine;
mod error;
mod long;
mod open;
mod private;

pub use engine::{IDLE_CHECKPOINT_BYTES, LOG_LIMIT_BYTES, SqliteEngine};
pub use error::OpenError;
pub use open::store_file;
pub use private::{make_private_dir, private_file, tighten};
