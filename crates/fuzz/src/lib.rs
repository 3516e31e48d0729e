//! What is fuzzed: one function per target, from bytes to nothing or a panic.
//!
//! What always holds: a target is a pure function of its bytes (the file targets use a folder of their own, emptied by
//! the process's end), takes any bytes, and panics only where the program under it is wrong. So the same functions run
//! under libFuzzer (`fuzz/`, `cargo xtask fuzz`) and, on the committed corpus and mutations of it, as ordinary tests.
//!
//! Deliberately not here: how inputs are found (libFuzzer), the corpus (`fuzz/corpus`), and worlds of several kernels
//! (the simulator).

mod clusters;
mod events;
mod frames;
mod lines;
mod packets;
mod rows;
mod tape;
mod urls;
mod values;

/// One thing that is fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its binary in `fuzz/` and of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Takes any bytes; panics when the program is wrong.
    pub run: fn(&[u8]),
    /// How many mutations of the corpus the ordinary tests try.
    pub tries: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "frames", run: frames::frames, tries: 2_000 },
    Target { name: "packets", run: packets::packets, tries: 4_000 },
    Target { name: "values", run: values::values, tries: 4_000 },
    Target { name: "lines", run: lines::lines, tries: 4_000 },
    Target { name: "rows", run: rows::rows, tries: 4_000 },
    Target { name: "store", run: rows::store, tries: 400 },
    Target { name: "clusters", run: clusters::clusters, tries: 2_000 },
    Target { name: "sources", run: clusters::sources, tries: 400 },
    Target { name: "urls", run: urls::urls, tries: 4_000 },
    Target { name: "events", run: events::events, tries: 400 },
];

/// The tables whose rows `rows` reads.
pub use rows::TABLES;

/// The rows of a store after these events, for making a corpus.
pub use events::rows_after;

/// Runs one target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the target is in TARGETS");
    (target.run)(data);
}
