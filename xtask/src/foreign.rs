//! The peer that is not ours, on js-libp2p: installed before the tests that need it. Always: what is installed is what the
//! lockfile says, and with it in place, plain `cargo test` runs these tests, too.
//!
//! Deliberately not here: the tests (`crates/transport/tests/foreign.rs`, `crates/sturdy/tests/foreign`) and the peer
//! (`tools/foreign`).

use crate::check;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set for tests that may not be skipped.
pub const REQUIRED: (&str, &str) = ("STURDY_FOREIGN", "required");

/// The tests that need the foreign peer.
const TESTS: &[&str] = &["test", "-p", "sturdy-transport", "-p", "sturdy", "--test", "foreign"];

/// Whether the tests with the foreign peer can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    Installed,
    /// There is no npm to install it with.
    Missing,
}

/// Installs the foreign peer and runs the tests that need it.
pub fn foreign() -> Result<(), String> {
    if install()? == Foreign::Missing {
        return Err("npm cannot be started: is Node installed?".into());
    }
    println!("xtask: foreign peer …");
    run(&check::root(), "cargo", TESTS, "mend the tests that are named above")
}

/// The same as a part of all checks. Without npm it is skipped, unless that is forbidden.
pub fn install_for_checks() -> Result<Foreign, String> {
    accept(install()?, &std::env::var(REQUIRED.0).unwrap_or_default())
}

fn accept(foreign: Foreign, required: &str) -> Result<Foreign, String> {
    if foreign == Foreign::Missing && required == REQUIRED.1 {
        let (name, value) = REQUIRED;
        return Err(format!("npm cannot be started, and {name}={value} wants every check: install Node and npm"));
    }
    Ok(foreign)
}

/// Installs the foreign peer unless it is there as the lockfile says. Without npm that is told, and no mistake.
pub fn install() -> Result<Foreign, String> {
    let folder = check::root().join("tools/foreign");
    let lockfile = folder.join("package-lock.json");
    let locked = std::fs::read_to_string(&lockfile).map_err(|error| format!("{}: {error}", lockfile.display()))?;
    // Written last, so that an installation that was broken off is none.
    let installed = folder.join("node_modules/.installed-lock.json");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == locked) {
        return Ok(Foreign::Installed);
    }
    let npm = Command::new("npm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !npm.is_ok_and(|status| status.success()) {
        println!("npm is not installed, so the tests with the foreign peer do nothing");
        return Ok(Foreign::Missing);
    }
    run(&folder, "npm", &["ci", "--no-audit", "--no-fund"], "it needs npm's registry")?;
    std::fs::write(&installed, locked).map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(Foreign::Installed)
}

fn run(folder: &Path, program: &str, arguments: &[&str], remedy: &str) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env(REQUIRED.0, REQUIRED.1)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("`{program}` cannot be started: {error}; is it installed?"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program}` ended with {status}; {remedy}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_wants_the_foreign_peer_hears_that_it_is_missing() {
        assert_eq!(accept(Foreign::Installed, REQUIRED.1), Ok(Foreign::Installed));
        let refused = accept(Foreign::Missing, REQUIRED.1).unwrap_err();
        assert!(refused.contains("STURDY_FOREIGN=required") && refused.contains("npm"), "{refused}");
        assert_eq!(accept(Foreign::Missing, ""), Ok(Foreign::Missing));
    }
}
