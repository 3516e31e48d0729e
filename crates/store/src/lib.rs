//! Sturdy: store.
