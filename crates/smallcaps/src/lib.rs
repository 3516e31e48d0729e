//! Smallcaps: the text form of the values that travel in messages (kernel-semantics §4.8), and the forms in which
//! people and programs meet the same values at a prompt.
//!
//! Always: hostile text never panics, overflows the stack or grows without bound: nesting is limited to
//! [`DEPTH_LEVELS`], the size of a value to [`VALUE_COUNT`] parts. One value has one encoding, the same that
//! `@endo/marshal` writes.
//!
//! Not here: what a slot means (the reference space `R` is the caller's), and marshalling inside JavaScript vats,
//! which is theirs.

mod decode;
pub mod display;
mod encode;
pub mod expr;
mod json;
mod single;
mod value;

pub use decode::{DecodeError, decode};
pub use encode::{encode, encode_body};
pub use json::{JsonError, js_number};
pub use single::extract_single_ref;
pub use value::{BigInt, Value, from_json, utf16_order};

/// How deep arrays, records and tagged values may nest.
pub const DEPTH_LEVELS: usize = 400;

/// How many values one value may consist of, property names not counted.
pub const VALUE_COUNT: usize = 1_000_000;
