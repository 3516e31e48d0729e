//! Worlds of many kernels under one seed: real nodes, real stores in memory, real conversations; virtual time, a hostile
//! network, disks and processes that fail, vats and operators that do anything; and checkers, one per promise.
//!
//! What always holds: a run follows from its seed, on any machine. Checkers see only what enters and leaves kernels, and
//! the stores.

pub mod actor;
pub mod campaign;
pub mod checkers;
#[cfg(feature = "defects")]
pub mod defects;
pub mod dice;
pub mod heaps;
pub mod host;
pub mod liar;
pub mod log;
pub mod machine;
pub mod network;
pub mod patterns;
pub mod plan;
pub mod run;
pub mod seen;
pub mod shrink;
pub mod smaller;
pub mod speech;
pub mod trace;
pub mod watched;
pub mod world;
