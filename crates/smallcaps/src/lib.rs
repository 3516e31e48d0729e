//! Sturdy: smallcaps.
