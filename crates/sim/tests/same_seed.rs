//! The same seed is the same run, byte for byte; another seed is another.

use sturdy_sim::plan::Plan;
use sturdy_sim::run::{Verdict, run};
use sturdy_sim::trace::TraceTo;

fn digest(seed: u64) -> (u64, String) {
    match run(Plan::from_seed(seed), TraceTo::Memory) {
        Verdict::Passed(report) => report.trace,
        Verdict::Failed { violation, .. } => panic!("seed {seed}: {}: {}", violation.checker, violation.what),
    }
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    let first: Vec<_> = (1..=12).map(digest).collect();
    let again: Vec<_> = (1..=12).map(digest).collect();
    assert_eq!(first, again);
    assert!((1..12).all(|seed| first[seed] != first[0]), "every seed gives the same run: {first:?}");
}
