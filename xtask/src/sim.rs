//! `cargo xtask sim`: builds the simulator and runs it with the arguments given. What it does is in `crates/sim`.

use crate::check;
use std::process::{Command, Stdio};

/// Runs the simulator; its output and its arguments are passed on.
pub fn sim(arguments: &[&str]) -> Result<(), String> {
    let commit = check::commit()?;
    let breaks = arguments.iter().any(|argument| argument.starts_with("--defect"));
    let features = if breaks { "defects" } else { "" };
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--profile", "sim", "--package", "sturdy-sim", "--features", features])
        .args(["--", "--commit", &commit])
        .args(arguments)
        .current_dir(check::root())
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err("the simulator found something, or was used wrongly".into()) }
}
