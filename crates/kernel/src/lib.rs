//! Sturdy: kernel.
