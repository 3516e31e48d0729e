//! Checkers: each holds one promise against what was seen, from outside of the kernels.
//!
//! What always holds: a checker reads only [`Seen`] and the stores; it shares no code with the kernels. One file per
//! promise. What a checker is lenient about, and why, stands at the beginning of its file.

mod acks_in_time;
mod atomic_turns;
mod bounded;
mod consumed;
mod counts;
mod durable_before_seen;
mod every_result_ends;
mod exactly_once;
pub mod facts;
mod honest;
mod incarnations;
mod leaks;
pub mod lines;
mod money;
mod only_given;
pub mod standing;
#[cfg(test)]
mod testing;

pub use acks_in_time::AcksInTime;
pub use atomic_turns::AtomicTurns;
pub use bounded::Bounded;
pub use consumed::Consumed;
pub use counts::Counts;
pub use durable_before_seen::DurableBeforeSeen;
pub use every_result_ends::EveryResultEnds;
pub use exactly_once::ExactlyOnce;
pub use honest::Honest;
pub use incarnations::Incarnations;
pub use leaks::{Leaks, Liveness};
pub use money::Money;
pub use only_given::OnlyGiven;

use crate::machine::Machine;
use crate::plan::Plan;
use crate::seen::{KernelNo, Seen};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker says so.
    pub checker: &'static str,
    /// What happened.
    pub what: String,
}

/// Watches over one promise.
pub trait Checker {
    /// Its name, as the documents list it.
    fn name(&self) -> &'static str;

    /// Something was seen. `machines` is how things stood just after it, and after what was seen in the same moment.
    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String>;

    /// Everything has healed, and nothing is on its way any more.
    fn at_rest(&mut self, machines: &[Machine]) -> Result<(), String> {
        let _ = machines;
        Ok(())
    }

    /// After that every vat has settled what it decides, and hosts have asked again for what they had asked for before.
    fn all_answered(&mut self, machines: &[Machine]) -> Result<(), String> {
        let _ = machines;
        Ok(())
    }

    /// Everything was let go of, and garbage was looked for until none was left.
    fn at_the_end(&mut self, machines: &[Machine]) -> Result<(), String> {
        let _ = machines;
        Ok(())
    }

    /// False when the run gave it a reason to excuse, at the end, what may be left over.
    fn looked_at_all(&self) -> bool {
        true
    }
}

/// The names of all checkers, as the documents list them.
pub const NAMES: &[&str] = &[
    "exactly_once",
    "durable_before_seen",
    "atomic_turns",
    "every_result_ends",
    "incarnations",
    "only_given",
    "counts",
    "bounded",
    "money",
    "liveness",
    "no_leaks",
    "acks_in_time",
    "honest",
    "consumed",
];

/// All that run in every world.
pub fn all(plan: &Plan) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(ExactlyOnce::new(plan)),
        Box::new(DurableBeforeSeen::default()),
        Box::new(AtomicTurns::default()),
        Box::new(EveryResultEnds::default()),
        Box::new(Incarnations::default()),
        Box::new(OnlyGiven::default()),
        Box::new(Counts::default()),
        Box::new(Bounded::new(plan)),
        Box::new(Money::new(plan)),
        Box::new(Liveness),
        Box::new(Leaks::new(plan)),
        Box::new(AcksInTime::default()),
        Box::new(Honest::new(plan)),
        Box::new(Consumed::new(plan)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_all_checkers() {
        let names: Vec<_> = all(&Plan::from_seed(1)).iter().map(|checker| checker.name()).collect();
        assert_eq!(names, NAMES);
    }
}
