//! The long proofs, whose short forms are ordinary tests. Each proof that passed adds a line to `docs/soak.log`, which is
//! committed, so that what was tried adds up over days and machines; a soak that is stopped loses only the proof that
//! was running. Every run draws new random cases; a failure prints its seed or its smallest case, which becomes a
//! named test.

use crate::check;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;
use time::OffsetDateTime;

/// Where what passed is noted.
const LOG: &str = "docs/soak.log";

/// One long proof: a test, and how much longer than usual it runs.
struct Proof {
    name: &'static str,
    package: &'static str,
    test: &'static str,
    /// Read by the test.
    variable: &'static str,
    value: &'static str,
    /// What the value counts.
    unit: &'static str,
    /// How it is built.
    profile: &'static str,
    /// Of such a proof so much is done at a time, and what the log has for this commit is not done again.
    piece: Option<u64>,
}

const fn whole(
    name: &'static str,
    package: &'static str,
    test: &'static str,
    (variable, value, unit): (&'static str, &'static str, &'static str),
) -> Proof {
    Proof { name, package, test, variable, value, unit, profile: "release", piece: None }
}

const PROOFS: &[Proof] = &[
    whole("real processes killed while money moves", "sturdy", "kill", ("STURDY_KILLS", "300", "kills")),
    // With the checks of a debug build: it is the disk and the network that take the time.
    Proof {
        name: "two real kernels, either killed while money moves between them",
        package: "sturdy",
        test: "kills",
        variable: "STURDY_PEER_KILLS",
        value: "300",
        unit: "kills",
        profile: "test",
        piece: Some(25),
    },
    Proof {
        name: "two kernels behind a relay that is killed while money moves, over each kind of wire",
        package: "sturdy",
        test: "relays",
        variable: "STURDY_RELAY_KILLS",
        value: "50",
        unit: "kills over each wire",
        profile: "test",
        piece: Some(10),
    },
    Proof {
        name: "every pattern on real processes, one or all of them killed at a step of it",
        package: "sturdy-daemon",
        test: "processes",
        variable: "STURDY_PATTERN_KILLS",
        value: "50",
        unit: "kills of each pattern on each road",
        profile: "test",
        piece: Some(5),
    },
    whole(
        "arbitrary outcomes of vats",
        "sturdy-node",
        "arbitrary_outcomes",
        ("STURDY_TIMES", "25", "times the usual cases"),
    ),
    whole(
        "a crash at every commit",
        "sturdy-node",
        "crash_every_commit",
        ("STURDY_TIMES", "5", "times the usual workloads"),
    ),
    Proof {
        profile: "sim",
        ..whole(
            "a crash at every commit of every kernel, in every pattern",
            "sturdy-sim",
            "patterns",
            ("STURDY_CRASH_POINTS", "all", "crash points"),
        )
    },
    whole("turns against a model", "sturdy-store", "turns", ("STURDY_TIMES", "50", "times the usual cases")),
    whole("two kernels that meet again", "sturdy-remote", "meetings", ("STURDY_TIMES", "50", "times the usual cases")),
];

/// Runs all proofs, or those whose test is named, once. With `--count N`, so much of those that are done in pieces.
pub fn soak(arguments: &[&str]) -> Result<(), String> {
    let (only, count) = match arguments {
        [only @ .., "--count", count] => {
            (only, Some(count.parse::<u64>().map_err(|_| format!("--count {count}: that is no number"))?))
        }
        only => (only, None),
    };
    // A proof is called by its test, or by what it counts if no test is called that.
    let is_test = |word: &str| PROOFS.iter().any(|proof| proof.test == word);
    let calls =
        |word: &str, proof: &Proof| word == proof.test || !is_test(word) && word.replace('-', " ") == proof.unit;
    let is_called = |proof: &&Proof| only.is_empty() || only.iter().any(|word| calls(word, proof));
    let chosen: Vec<&Proof> = PROOFS.iter().filter(is_called).collect();
    if chosen.is_empty() {
        return Err(format!("no such proof; there are:{}", names()));
    }
    for (index, proof) in chosen.iter().enumerate() {
        println!("soak {}/{}: {} ({} {})", index + 1, chosen.len(), proof.name, proof.value, proof.unit);
        match proof.piece {
            None => run(proof, proof.value)?,
            Some(piece) => in_pieces(proof, piece, count)?,
        }
    }
    Ok(())
}

/// The proofs and the option, for those who ask.
pub fn help() -> String {
    let about = "Without a name it runs all proofs. `--count 50` says how much of those that are done in pieces; what the log \
                 has for this commit counts.";
    format!("\n\n{about}{}", names())
}

/// A line for each proof: what it is called, how much is done, and what it is.
fn names() -> String {
    let mut text = String::new();
    for Proof { name, test, value, unit, piece, .. } in PROOFS {
        let called = if *test == "patterns" { "patterns, crash-points" } else { test };
        let pieces = piece.map_or_else(String::new, |piece| format!(", in pieces of {piece}"));
        let _ = write!(text, "\n  {called}: {name} ({value} {unit}{pieces})"); // writing to a String cannot fail
    }
    text
}

/// A proof of which each piece counts.
fn in_pieces(proof: &Proof, piece: u64, count: Option<u64>) -> Result<(), String> {
    let all = count.or_else(|| proof.value.parse().ok()).unwrap_or(piece);
    loop {
        let commit = check::commit()?;
        if commit.ends_with(check::DIRTY) {
            return Err("pieces are counted by commit, and files differ from it: commit them first".to_owned());
        }
        let log = std::fs::read_to_string(check::root().join(LOG)).unwrap_or_default();
        let left = all.saturating_sub(done(&log, &commit, proof.test));
        println!("soak {}: {left} of {all} {} to do", proof.test, proof.unit);
        if left == 0 {
            return Ok(());
        }
        run(proof, &left.min(piece).to_string())?;
    }
}

/// How much of a proof the log has for a commit.
fn done(log: &str, commit: &str, test: &str) -> u64 {
    let of_line = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let ours = words.next()? == commit && words.next()?.trim_end_matches(':') == test;
        words.next().filter(|_| ours)?.parse::<u64>().ok()
    };
    log.lines().filter_map(of_line).sum()
}

/// Runs the test of a proof, and notes that it passed.
fn run(proof: &Proof, value: &str) -> Result<(), String> {
    let began = Instant::now();
    let mut cargo = Command::new("cargo");
    // What cargo has told this program about itself is not about the tests; build scripts that look at it would run again.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .args([
            "test",
            "--profile",
            proof.profile,
            "--package",
            proof.package,
            "--test",
            proof.test,
            "--",
            "--nocapture",
        ])
        .current_dir(check::root())
        .env(proof.variable, value)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !status.success() {
        return Err(format!("{} failed; turn the seed or case printed above into a named test", proof.test));
    }
    note(proof, value, began.elapsed().as_secs())
}

/// Appends what passed to the log, if anybody can look up what it was that passed.
fn note(proof: &Proof, value: &str, seconds: u64) -> Result<(), String> {
    let commit = check::commit()?;
    if commit.ends_with(check::DIRTY) {
        println!("soak {}: passed, and is not noted, because files differ from the commit", proof.test);
        return Ok(());
    }
    let day = OffsetDateTime::now_utc().date();
    let line = format!("{day} {commit} {}: {} {} in {seconds} s\n", proof.test, value, proof.unit);
    let path = check::root().join(LOG);
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
        .and_then(|mut log| log.write_all(line.as_bytes()))
        .map_err(|error| format!("{LOG} cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_has_is_not_done_again() {
        let log = "2026-11-21 2dbc51b kill: 300 kills in 24 s\n2026-11-21 aaa kills: 25 kills in 30 s\n\
                   2026-11-21 aaa kills: 25 kills in 31 s\n2026-11-21 bbb kills: 25 kills in 30 s\nnonsense\n";
        assert_eq!((done(log, "aaa", "kills"), done(log, "bbb", "kills"), done(log, "ccc", "kills")), (50, 25, 0));
    }
}
