//! What Sturdy costs: one table, medians of several runs. `cargo run --release -p sturdy-bench [-- --quick] [--json]`.
//!
//! Everything runs in one thread: the node, its store, and the vats, as the daemon's loop runs them, without the
//! daemon. What a disk can do is measured in the same run and the same directory (`probe`).

// Counts become rates; nothing here comes near 2^52.
#![allow(clippy::cast_precision_loss)]

mod host;
mod javascript;
mod memory;
mod probe;
mod report;
mod sqlite;
mod vats;

use report::{Report, Scale};
use std::process::ExitCode;

/// `--dir DIR` says on which disk to measure; the system's directory for temporary files otherwise.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let after =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let only = after("--only");
    let scale = if has("--quick") { Scale::Quick } else { Scale::Full };
    let made = match after("--dir") {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let dir = match made {
        Ok(dir) => dir,
        Err(error) => {
            eprintln!("no directory to measure in: {error}; give one with --dir");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::new(scale);
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    if wanted("memory") {
        memory::measure(&mut report);
    }
    if wanted("sqlite") {
        sqlite::measure(&mut report, dir.path());
    }
    if wanted("javascript") {
        javascript::measure(&mut report);
    }
    println!("{}", if has("--json") { report.json() } else { report.table() });
    ExitCode::SUCCESS
}
