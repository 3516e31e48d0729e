//! The same seed is the same run, byte for byte; another seed is another. What a run is worth is not judged here.

use sturdy_sim::plan::Plan;
use sturdy_sim::run::run;
use sturdy_sim::trace::TraceTo;

fn verdict(seed: u64) -> String {
    format!("{:?}", run(Plan::from_seed(seed), TraceTo::Memory))
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    let first: Vec<_> = (1..=12).map(verdict).collect();
    let again: Vec<_> = (1..=12).map(verdict).collect();
    assert_eq!(first, again);
    assert!((1..12).all(|seed| first[seed] != first[0]), "every seed gives the same run: {first:?}");
}
