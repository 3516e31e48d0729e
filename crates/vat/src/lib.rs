//! The contract of a vat runtime: a delivery in, one outcome out; vats written in Rust; and the cases that every
//! runtime passes.
//!
//! What always holds: a vat sees nothing but its deliveries and its own state, says nothing but its outcomes, and
//! owes no determinism except where the conformance suite asks for it. The kernel does not know this crate; the
//! daemon brings the two together.

mod contract;
mod native;
mod scripted;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use contract::{LogLevel, Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, Vat, VatLog};
pub use native::{Call, Crank, NativeRuntime, Object, Reply, Settled, error_value};
pub use scripted::ScriptedRuntime;
