//! Each checker is itself tested: every piece that can be broken is broken, and the checker that docs/defects.md names
//! notices, at the seed that it names. No checker is left out. Only with the feature `defects`; `cargo xtask check` runs it.
#![cfg(feature = "defects")]

use sturdy_sim::checkers::NAMES;
use sturdy_sim::defects::{named, shown};
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

/// Other seeds, for a row whose seed has become another run since the table was written.
const OTHER_SEEDS: std::ops::RangeInclusive<u64> = 1..=800;

#[test]
fn every_defect_is_caught_by_its_checker() {
    std::panic::set_hook(Box::new(|_| ()));
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
        let found = std::iter::once(seed).chain(OTHER_SEEDS).find(|seed| catches(*seed));
        assert!(found.is_some(), "{defect:?} is not noticed by {checker} any more: run `cargo xtask sim --defects`");
    }
}
