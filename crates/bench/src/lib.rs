//! Sturdy: bench.
