//! `cargo xtask foreign`: the tests against a peer that is not ours, on js-libp2p. Always: what is installed is what the
//! lockfile says, and lies beside the tests; with it in place, plain `cargo test` runs these tests too.
//!
//! Deliberately not here: the tests (`crates/transport/tests/foreign.rs`) and the peer (`crates/transport/tests/js`).

use crate::check;
use std::path::Path;
use std::process::{Command, Stdio};

/// Installs the foreign peer and runs the tests that need it.
pub fn foreign() -> Result<(), String> {
    let folder = check::root().join("crates/transport/tests/js");
    println!("xtask: installing the foreign peer …");
    run(&folder, "npm", &["ci", "--no-audit", "--no-fund"], "it needs npm and its registry")?;
    println!("xtask: foreign peer …");
    let tests = ["test", "-p", "sturdy-transport", "--test", "foreign"];
    run(&check::root(), "cargo", &tests, "mend the tests that are named above")
}

fn run(folder: &Path, program: &str, arguments: &[&str], remedy: &str) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("STURDY_FOREIGN", "required")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("`{program}` cannot be started: {error}; is it installed?"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program}` ended with {status}; {remedy}")) }
}
