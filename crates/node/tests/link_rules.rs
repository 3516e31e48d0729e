//! The table "Which test shows it" of LINK.md is true: every rule L1 to L14 and every weakness W-1 to W-25 has a test there,
//! and each of these tests exists.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

#[test]
fn every_rule_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let link = read_to_string(root.join("crates/remote/LINK.md")).expect("LINK.md is there");
    let (_, table) = link.split_once("| rule | file | test |").expect("the table is there");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut shown = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, rule, file, test, _] = cells[..] else { panic!("{row}") };
        let source = read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {test}(")), "{rule}: there is no {test} in {file}");
        shown.insert(rule.to_owned());
    }
    let rules = (1..=14).map(|number| format!("L{number}"));
    let weaknesses = (1..=25).map(|number| format!("W-{number}"));
    let missing: Vec<String> = rules.chain(weaknesses).filter(|rule| !shown.contains(rule)).collect();
    assert!(missing.is_empty(), "nothing is said to show {missing:?}");
}
