//! Sturdy: node.
