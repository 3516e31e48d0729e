//! The contract of a vat runtime: a delivery in, one outcome out.
//!
//! What always holds: a vat sees nothing but its deliveries and its own state, says nothing but its outcomes, and
//! owes no determinism except where the conformance suite asks for it. The kernel does not know this crate; the
//! daemon brings the two together.

mod contract;

pub use contract::{LogLevel, Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, Vat, VatLog};
