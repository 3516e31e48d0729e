//! JavaScript vats: one QuickJS-ng engine and one hardened realm per vat.
//!
//! What always holds: a vat's code reaches nothing but what it was given; one delivery is bounded in time, memory, stack and
//! output, and a limit that was met ends the heap whatever the vat's code catches; the sources that run are the ones
//! handed over by content hash.
//!
//! The vat-side layer (objects, promises, marshalling, durable data) is JavaScript of our own in `js/`. This side
//! offers it the functions of `bridge.rs` and calls it once per delivery (`heap.rs`). Unsafe code is confined to `raw.rs`:
//! the engine's allocator hook, loading of compiled modules and two calls that the binding does not offer safely.
//! Reading a vat's files from disk is `load_vat_sources`, apart from all this.

mod bodies;
mod bridge;
mod heap;
mod layer;
mod loader;
mod meter;
mod modules;
mod raw;
mod runtime;
mod strip;

pub use loader::{LoadError, load_vat_sources};
pub use meter::OutputLimits;
pub use runtime::JsRuntime;
