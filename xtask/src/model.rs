//! The model check of the link protocol (docs/model.md): the test `model` of `sturdy-remote`, optimized. Always: every
//! configuration prints its number of distinct worlds. Not here: what is explored (`crates/remote/tests/model`).

use crate::check;
use std::process::{Command, Stdio};

/// Runs it with the bounds that every check uses, and with `--deep` with the larger ones as well.
pub fn model(arguments: &[&str]) -> Result<(), String> {
    let deep = match arguments {
        [] => false,
        ["--deep"] => true,
        other => return Err(format!("`{}` means nothing here; there is only `--deep`", other.join(" "))),
    };
    let mut command = Command::new("cargo");
    command
        .args(["test", "--release", "--package", "sturdy-remote", "--test", "model", "--"])
        .args(["--nocapture", "--test-threads", "1"])
        .current_dir(check::root())
        .stdin(Stdio::null());
    if deep {
        command.env("STURDY_MODEL_DEEP", "1");
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the model check ended with {status}; the way to the broken promise is above")),
        Err(error) => Err(format!("`cargo` cannot be started: {error}; is it installed?")),
    }
}
