//! What Sturdy costs: one table, medians of several runs. `cargo run --release -p sturdy-bench [-- --quick] [--json]`.
//!
//! Everything runs in one thread: the node, its store, and the vats, as the daemon's loop runs them, without the
//! daemon. What a disk can do is measured in the same run and the same directory (`probe`). A number that is not what it
//! must be makes the program fail, once everything has been measured and told.

// Counts become rates; nothing here comes near 2^52.
#![allow(clippy::cast_precision_loss)]

mod host;
mod javascript;
mod memory;
mod network;
mod peers;
mod probe;
mod raw;
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
    if let [role @ ("--peer" | "--echo"), dir, port] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        play(role, dir, port);
        return ExitCode::SUCCESS;
    }
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
    if wanted("network") {
        network::measure(&mut report, dir.path(), after("--part").map(String::as_str));
    }
    println!("{}", if has("--json") { report.json() } else { report.table() });
    let missed = report.missed();
    for line in &missed {
        eprintln!("missed: {line}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the other process of `network` does, until its input ends.
fn play(role: &str, dir: &str, port: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("the system gives threads");
    let say = |line: &str| println!("{line}");
    if role == "--echo" {
        runtime.spawn(raw::echo(say));
        std::io::stdin().lines().for_each(drop);
    } else {
        let kernel = runtime.block_on(peers::called(std::path::Path::new(dir), port, say));
        // Each line asks what the store has written so far.
        for _asked in std::io::stdin().lines() {
            println!("{}", peers::to_line(runtime.block_on(kernel.written())));
        }
        runtime.block_on(kernel.stop());
    }
}
