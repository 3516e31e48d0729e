//! Sturdy: vat-js.
