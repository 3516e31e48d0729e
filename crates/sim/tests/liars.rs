//! Peers that lie are heard, given things, and found out; kernels keep their promises to everybody else (G11).

use sturdy_sim::plan::{Fault, Plan};
use sturdy_sim::run::{Verdict, run};
use sturdy_sim::trace::TraceTo;
use sturdy_sim::world::Report;

#[test]
fn kernels_bear_liars() {
    let mut sum = Report::default();
    for seed in 1..=12 {
        // Only liars disturb these worlds, so that they get far.
        let mut plan = Plan::from_seed(seed).with(Fault::Liars, 2_500).shorter(1_200);
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
    assert!(sum.lies > 2_000, "they said little: {sum:?}");
    assert!(sum.offences > 200, "few lies were found: {sum:?}");
}
