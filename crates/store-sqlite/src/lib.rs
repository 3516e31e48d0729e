//! Sturdy: store-sqlite.
