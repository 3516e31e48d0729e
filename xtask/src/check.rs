//! The steps of `cargo xtask check`. Always: run in the workspace's root, with the standard input closed, so that nothing
//! waits for a person.

use crate::foreign::{self, Foreign};
use crate::{sim, tidy};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Why licences and bans of dependencies are not checked here.
const NO_DENY: &str = "deny, because cargo-deny is not installed (`.ci/run` installs it)";

/// Why nobody but ourselves was talked with.
const NO_FOREIGN: &str = "the tests with the foreign peer, because npm is not installed";

/// Worlds that every change must bear: half a minute on two cores.
const SEEDS: &str = "500";

/// Every check.
pub fn everything() -> Result<(), String> {
    step("format", || run("cargo", &["fmt", "--all", "--check"], "run `cargo fmt --all`"))?;
    step("tidy", rules)?;
    // With `--all-targets`, so that tests, examples and benches must compile too.
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    step("clippy", || run("cargo", &clippy, "mend what clippy names"))?;
    // The whole workspace again: the dependencies keep their features, so they are not built twice.
    let defects = ["--features", "sturdy-sim/defects", "--quiet", "--", "-D", "warnings"];
    let clippy = [&["clippy", "--workspace", "--all-targets"], &defects[..]].concat();
    step("clippy with defects", || run("cargo", &clippy, "mend what clippy names"))?;
    let mut skipped = Vec::from_iter(step("deny", deny)?);
    let foreign = step("foreign peer", foreign::install_for_checks)?;
    skipped.extend((foreign == Foreign::Missing).then_some(NO_FOREIGN));
    let total = step("test", || test(foreign))?;
    let defects = ["test", "-p", "sturdy-sim", "--profile", "sim", "--features", "defects", "--test", "defects"];
    step("defects", || run("cargo", &defects, "a checker does not notice what it has noticed before"))?;
    step("sim", || sim::sim(&["--seeds", SEEDS]))?;
    println!("{}", last_line(&skipped, &total));
    Ok(())
}

/// What is read first, and often alone: it says what was not looked at.
fn last_line(skipped: &[&str], total: &str) -> String {
    if skipped.is_empty() {
        return format!("xtask: every check passed; tests: {total}");
    }
    format!("xtask: what was checked passed, but skipped were {}; tests: {total}", skipped.join(", and "))
}

/// Only the rules of the house.
pub fn tidy() -> Result<(), String> {
    step("tidy", rules)
}

/// Makes the oracle's data again and compares it with what is committed.
pub fn oracle() -> Result<(), String> {
    let folder = root().join("tools/oracle");
    let npm = |arguments: &[&str]| run_in(&folder, "npm", arguments, "see tools/oracle/README.md");
    if !folder.join("node_modules").exists() {
        step("npm ci", || npm(&["ci", "--no-audit", "--no-fund"]))?;
    }
    step("vectors", || npm(&["run", "vectors"]))?;
    step("differential", || npm(&["run", "differential"]))?;
    step("oracle's tests", || npm(&["test"]))?;
    let diff = ["diff", "--exit-code", "--stat", "--", "tools/oracle"];
    step("data unchanged", || {
        run("git", &diff, "the oracle says something new: read the diff and commit it if it is right")
    })
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    println!("xtask: {name} …");
    let start = Instant::now();
    let done = work().map_err(|failure| format!("{name} failed: {failure}"))?;
    println!("xtask: {name} ok ({:.1} s)", start.elapsed().as_secs_f64());
    Ok(done)
}

fn rules() -> Result<(), String> {
    let complaints = tidy::complaints(&root())?;
    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() { Ok(()) } else { Err(format!("{} rules broken, listed above", complaints.len())) }
}

/// Gives the reason if it is skipped.
fn deny() -> Result<Option<&'static str>, String> {
    let found = Command::new("cargo").args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        println!("skipped: {NO_DENY}");
        return Ok(Some(NO_DENY));
    }
    let arguments = ["deny", "--log-level", "error", "check", "licenses", "bans", "sources"];
    run("cargo", &arguments, "see deny.toml").map(|()| None)
}

/// Runs all tests, shows their output, and adds up cargo's summary lines.
fn test(foreign: Foreign) -> Result<String, String> {
    let mut tests = command(&root(), "cargo", &["test", "--workspace"]);
    if foreign == Foreign::Installed {
        tests.env(foreign::REQUIRED.0, foreign::REQUIRED.1);
    }
    let mut child =
        tests.stdout(Stdio::piped()).spawn().map_err(|error| format!("cargo cannot be started: {error}"))?;
    let output = child.stdout.take().expect("the output was asked for");
    let mut total = Total::default();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("the output of cargo test ended badly: {error}"))?;
        total.add(&line);
        println!("{line}");
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(total.to_string()) } else { Err("mend the tests that are named above".into()) }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Total {
    /// Counts `test result: ok. 4 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((count, "passed")) => self.passed += count.parse().unwrap_or(0),
                Some((count, "failed")) => self.failed += count.parse().unwrap_or(0),
                Some((count, "ignored")) => self.ignored += count.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

fn run(program: &str, arguments: &[&str], remedy: &str) -> Result<(), String> {
    run_in(&root(), program, arguments, remedy)
}

fn run_in(folder: &Path, program: &str, arguments: &[&str], remedy: &str) -> Result<(), String> {
    let status = command(folder, program, arguments).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program} {}` ended with {status}; {remedy}", arguments.join(" "))),
        Err(error) => Err(format!("`{program}` cannot be started: {error}; is it installed?")),
    }
}

fn command(folder: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// Stands behind a commit from which files differ.
pub const DIRTY: &str = "-dirty";

/// What git calls the commit that is checked out.
pub fn commit() -> Result<String, String> {
    let git = |arguments: &[&str]| {
        let done = Command::new("git").args(arguments).current_dir(root()).output();
        let done = done.map_err(|error| format!("git cannot be started: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    // The logs of what passed grow while it passes.
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/*.log"])?;
    Ok(if changed.is_empty() { commit } else { format!("{commit}{DIRTY}") })
}

/// The workspace's root: the folder above this crate.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_add_up() {
        let mut total = Total::default();
        for line in [
            "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.21s",
            "test tests::x ... ok",
            "test result: FAILED. 6 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.21s",
        ] {
            total.add(line);
        }
        assert_eq!(total, Total { passed: 10, failed: 2, ignored: 1 });
    }

    #[test]
    fn the_last_line_says_what_was_skipped() {
        assert_eq!(last_line(&[], "3 passed"), "xtask: every check passed; tests: 3 passed");
        let line = last_line(&[NO_DENY, NO_FOREIGN], "3 passed");
        assert!(!line.contains("every check"), "{line}");
        assert!(line.contains("deny") && line.contains("foreign peer") && line.ends_with("3 passed"), "{line}");
    }
}
