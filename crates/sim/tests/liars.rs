//! Peers that lie are heard, given things, and found out; kernels keep their promises to everybody else (G11).

use sturdy_sim::plan::{Fault, Plan};
use sturdy_sim::run::{Verdict, run};
use sturdy_sim::trace::TraceTo;
use sturdy_sim::world::Report;

/// Worlds that only liars disturb, so that they get far.
fn worlds_of_liars(seeds: std::ops::RangeInclusive<u64>, change: impl Fn(&mut Plan)) -> Report {
    let mut sum = Report::default();
    for seed in seeds {
        let mut plan = Plan::from_seed(seed).with(Fault::Liars, 2_500).shorter(1_200);
        change(&mut plan);
        for (fault, _) in Fault::ALL.iter().filter(|(fault, _)| *fault != Fault::Liars) {
            plan = plan.without(*fault);
        }
        match run(plan, TraceTo::Memory) {
            Verdict::Passed(report) => sum.add(&report),
            Verdict::Failed { violation, last_lines } => {
                panic!("seed {seed}: {violation:?}\n{}", last_lines.join("\n"))
            }
        }
    }
    sum
}

#[test]
fn kernels_bear_liars() {
    let sum = worlds_of_liars(1..=12, |_| {});
    assert!(sum.lies > 2_000, "they said little: {sum:?}");
    assert!(sum.offences > 200, "few lies were found: {sum:?}");
}

/// Whoever offends again and again is not listened to for a while (L13), and everything else goes on.
#[test]
fn kernels_do_not_listen_to_liars_for_ever() {
    let sum = worlds_of_liars(13..=20, |plan| plan.limits.offences_per_minute = 5);
    assert!(sum.lies > 1_000, "they said little: {sum:?}");
    assert!(sum.refusals > 8, "they were borne: {sum:?}");
}
