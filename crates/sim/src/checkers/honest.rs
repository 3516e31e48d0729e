//! L8, L13: kernels of our kind do not accuse each other: a peer is said to have offended, or to have lost its state, only
//! when a store was lost or set back, one of both was forgotten, a limit of names was reached, or the network has garbled a
//! frame.
//!
//! Lenient: after that anything may be said of it and by it, for good.

use super::Checker;
use super::lines::kernel_of;
use crate::machine::Machine;
use crate::plan::Plan;
use crate::seen::{BeginsWith, KernelNo, Seen};
use std::collections::BTreeSet;
use sturdy_kernel::{Effect, Event, Notice, Request};
use sturdy_store::{Read, Remotes};

/// What is said of a frame that the network has garbled.
const GARBLED: &str = "the frame is no JSON object";

/// One checker for all kernels.
pub struct Honest {
    /// Limits so low that honest messages exceed them.
    low_limits: bool,
    /// Kernels whose stores were lost or set back, or that have forgotten somebody.
    excused: BTreeSet<KernelNo>,
}

impl Honest {
    /// A checker for this run.
    pub fn new(plan: &Plan) -> Self {
        let low_limits = plan.limits.remote_names < sturdy_types::KernelLimits::default().remote_names;
        Self { low_limits, excused: BTreeSet::new() }
    }
}

impl Checker for Honest {
    fn name(&self) -> &'static str {
        "honest"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        let (remote, why) = match seen {
            Seen::Begun { with: BeginsWith::NoStore | BeginsWith::OldCopy, process, .. } if process.boot > 1 => {
                self.excused.insert(kernel);
                return Ok(());
            }
            Seen::Event(Event::Asked(_, Request::ForgetPeer(_))) => {
                self.excused.insert(kernel);
                return Ok(());
            }
            Seen::Outer(Effect::Notice(Notice::PeerRestarted { remote, why })) => (remote, why.to_string()),
            Seen::Outer(Effect::Notice(Notice::PeerOffended { why, .. })) if why.contains(GARBLED) => {
                return Ok(());
            }
            Seen::Outer(Effect::Notice(Notice::PeerOffended { remote, why })) if !self.low_limits => {
                (remote, why.clone())
            }
            _ => return Ok(()),
        };
        let store = machines.get(kernel).and_then(Machine::node).map(sturdy_node::Node::store);
        let record = store.and_then(|store| store.get::<Remotes>(remote).ok().flatten());
        let Some(other) = record.and_then(|record| kernel_of(&record.peer)) else { return Ok(()) };
        if self.excused.contains(&kernel) || self.excused.contains(&other) {
            return Ok(());
        }
        Err(format!("kernel {kernel} accuses the honest kernel {other}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::begun;
    use crate::plan::Plan;

    #[test]
    fn a_lost_store_excuses_for_good() {
        let mut honest = Honest::new(&Plan::from_seed(1));
        assert_eq!(honest.see(1, &begun(BeginsWith::ItsStore, 0, 1), &[]), Ok(()));
        assert!(honest.excused.is_empty());
    }
}
