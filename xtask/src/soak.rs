//! The long proofs, whose short forms are ordinary tests. Each proof that passed adds a line to `docs/soak.log`, which is
//! committed, so that what was tried adds up over days and machines; a soak that is stopped loses only the proof that
//! was running. Every run draws new random cases; a failure prints its seed or its smallest case, which becomes a
//! named test.

use crate::check;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where what passed is noted.
const LOG: &str = "docs/soak.log";

/// One long proof: a test, and how much longer than usual it runs.
struct Proof {
    name: &'static str,
    /// What it is called on the command line and in the log.
    called: &'static str,
    package: &'static str,
    test: &'static str,
    /// Read by the test.
    variable: &'static str,
    value: &'static str,
    /// What the value counts.
    unit: &'static str,
}

const PROOFS: &[Proof] = &[
    Proof {
        name: "real processes killed while money moves",
        called: "kill",
        package: "sturdy",
        test: "kill",
        variable: "STURDY_KILLS",
        value: "300",
        unit: "kills",
    },
    Proof {
        name: "arbitrary outcomes of vats",
        called: "arbitrary_outcomes",
        package: "sturdy-node",
        test: "arbitrary_outcomes",
        variable: "STURDY_TIMES",
        value: "25",
        unit: "times the usual cases",
    },
    Proof {
        name: "a crash at every commit",
        called: "crash_every_commit",
        package: "sturdy-node",
        test: "crash_every_commit",
        variable: "STURDY_TIMES",
        value: "5",
        unit: "times the usual workloads",
    },
    Proof {
        name: "a crash at every commit of every kernel, in every pattern",
        called: "crash-points",
        package: "sturdy-sim",
        test: "patterns",
        variable: "STURDY_CRASH_POINTS",
        value: "all",
        unit: "crash points",
    },
    Proof {
        name: "turns against a model",
        called: "turns",
        package: "sturdy-store",
        test: "turns",
        variable: "STURDY_TIMES",
        value: "50",
        unit: "times the usual cases",
    },
    Proof {
        name: "two kernels that meet again",
        called: "meetings",
        package: "sturdy-remote",
        test: "meetings",
        variable: "STURDY_TIMES",
        value: "50",
        unit: "times the usual cases",
    },
];

/// Runs all proofs, or those whose test is named, once.
pub fn soak(only: &[&str]) -> Result<(), String> {
    let chosen: Vec<&Proof> = PROOFS.iter().filter(|proof| only.is_empty() || only.contains(&proof.called)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = PROOFS.iter().map(|proof| proof.called).collect();
        return Err(format!("no such proof; there are: {}", known.join(", ")));
    }
    for (index, proof) in chosen.iter().enumerate() {
        println!("soak {}/{}: {} ({} {})", index + 1, chosen.len(), proof.name, proof.value, proof.unit);
        let began = Instant::now();
        let arguments = ["test", "--release", "--package", proof.package, "--test", proof.test, "--", "--nocapture"];
        let status = Command::new("cargo")
            .args(arguments)
            .current_dir(check::root())
            .env(proof.variable, proof.value)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        if !status.success() {
            return Err(format!("{} failed; turn the seed or case printed above into a named test", proof.called));
        }
        note(proof, began.elapsed().as_secs())?;
    }
    Ok(())
}

/// Appends what passed to the log.
fn note(proof: &Proof, seconds: u64) -> Result<(), String> {
    let commit = check::commit()?;
    let day = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let line = format!("{} {commit} {}: {} {} in {seconds} s\n", date(day), proof.called, proof.value, proof.unit);
    let path = check::root().join(LOG);
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
        .and_then(|mut log| log.write_all(line.as_bytes()))
        .map_err(|error| format!("{LOG} cannot be written: {error}"))
}

/// The date of a day counted from 1970, by the usual reckoning with years that begin in March.
fn date(day: u64) -> String {
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, late) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day_of_month:02}", year_of_era + era * 400 + late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (day, text) in [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_778, "2026-11-21")] {
            assert_eq!(date(day), text);
        }
    }
}
