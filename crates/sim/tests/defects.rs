//! Each checker is itself tested: every piece that can be broken is broken, and the checker that docs/defects.md names
//! notices, at the seed that it names. No checker is left out. Only with the feature `defects`; `cargo xtask check` runs it.
#![cfg(feature = "defects")]

use std::io::Write;
use std::process::Command;
use std::sync::Once;
use sturdy_sim::checkers::NAMES;
use sturdy_sim::defects::{hunt, named, shown};
use sturdy_sim::plan::Plan;
use sturdy_types::defect::Defect;

/// The rows of the table: defect, checker, seed. A row that says `nobody` has no seed.
fn table() -> Vec<(Defect, String, Option<u64>)> {
    let text = include_str!("../../../docs/defects.md");
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let row = |line: &str| {
        let cells = cells(line);
        Some((named(cells.get(1)?)?, cells.get(3)?.clone(), cells.get(4)?.parse().ok()))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn every_checker_has_caught_something() {
    let rows = table();
    let has_caught = |name: &&&str| rows.iter().any(|(_, checker, seed)| checker == **name && seed.is_some());
    let idle: Vec<_> = NAMES.iter().filter(|name| !has_caught(name)).collect();
    assert!(idle.is_empty(), "docs/defects.md has no defect that {idle:?} notices: sow one");
}

/// A kernel that panics under a defect is a finding, and says nothing; a test that fails does.
fn only_our_panics_are_told() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.location().is_some_and(|place| place.file().ends_with(file!())) {
                tell(panic);
            }
        }));
    });
}

/// What makes the table true again.
const RENEW: &str = "run `cargo xtask sim --defects`";

/// Other seeds, for a row whose seed has become another run since the table was written.
const OTHER_SEEDS: std::ops::RangeInclusive<u64> = 1..=800;

#[test]
fn every_defect_is_caught_by_its_checker() {
    only_our_panics_are_told();
    let rows = table();
    let missing: Vec<_> = Defect::ALL.iter().filter(|defect| !rows.iter().any(|row| row.0 == **defect)).collect();
    assert!(missing.is_empty(), "docs/defects.md does not say who catches {missing:?}");
    for (defect, checker, seed) in rows {
        // What nobody notices yet is said in the table, and not claimed here.
        let Some(seed) = seed else { continue };
        let catches = |seed: u64| {
            shown(seed, Some(defect)).is_some_and(|violation| violation.checker == checker)
                && shown(seed, None).is_none()
        };
        if catches(seed) {
            continue;
        }
        let other = OTHER_SEEDS.into_iter().find(|seed| catches(*seed));
        let other = other.unwrap_or_else(|| panic!("{defect:?} is not noticed by {checker} any more: {RENEW}"));
        // Not by `eprintln`, which is not shown of a test that passes.
        let stale =
            format!("{defect:?} is noticed by {checker} at seed {other}, not {seed} as the table says: {RENEW}");
        let _ = writeln!(std::io::stderr(), "stale row in docs/defects.md: {stale}");
    }
}

/// Runs the simulator's command with these words. What it wrote as a trace, and what it said.
fn sim(words: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sturdy-sim")).args(words.split(' ')).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr);
    assert!(output.status.success(), "what is broken is not noticed: {said}");
    (text(&output.stdout), said)
}

/// The number after this word.
fn number_after(options: &str, word: &str) -> Option<u64> {
    options.split_once(word)?.1.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_failing_run_is_shrunk_and_runs_again() {
    only_our_panics_are_told();
    let defect = Defect::StaleDropCounts;
    let (seed, violation) = hunt(defect, 1..=200).by.expect("some seed shows it");
    let (_, said) = sim(&format!("--seed {seed} --defect {defect:?} --shrink"));
    let whole = format!("seed {seed} failed: {}: {}", violation.checker, violation.what);
    assert!(said.contains(&whole), "no `{whole}` in: {said}");

    let options = said.lines().find_map(|line| Some(line.split_once("cargo xtask sim ")?.1)).expect("it says how");
    let smaller = said.lines().last().expect("it says what fails");
    assert!(smaller.starts_with(&format!("{}: ", violation.checker)), "{smaller}");
    let steps = number_after(options, "--steps ").expect("it ends earlier");
    assert!(steps < Plan::from_seed(seed).steps, "{options}");

    let (trace, again) = sim(&format!("{options} --trace"));
    assert!(again.ends_with(&format!("seed {seed} failed: {smaller}\n")), "{options} gives: {again}, not {smaller}");
    let (whole_trace, _) = sim(&format!("--seed {seed} --defect {defect:?} --trace"));
    assert!(!trace.is_empty() && trace.len() < whole_trace.len());
}
