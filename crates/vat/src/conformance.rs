//! The cases that every runtime passes: deliveries to one small program, and the outcomes that must come back.
//!
//! Each runtime offers the same program in its own language ([`native::program`] is the Rust one; its methods are the
//! specification, [`METHODS`] their list). Outcomes are compared by meaning: ids that the vat chooses are named by
//! first appearance (`o+A`, `p+A`), error ids are removed, and sends keep their order among themselves while the
//! other syscalls of a delivery are compared as a sorted list.

mod cases;
mod driver;
pub mod native;

pub use cases::{METHODS, check};
pub use driver::{Driver, MemoryState, Subject};
