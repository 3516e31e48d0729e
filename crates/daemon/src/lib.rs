//! Sturdy: daemon.
