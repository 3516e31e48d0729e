//! G12: every promise that somebody waits for is settled, and he is told of it exactly once.
//!
//! A heap is told of each promise at most once; when every vat has settled what it decides, no living heap waits for a
//! promise that it has subscribed to; each call of a host that was answered has its result, told when it comes and
//! again when the host asks again, never more often.
//!
//! Lenient: a heap that is gone waits for nothing; hosts ask again for calls that bear a name, and have given the others
//! up when the process ended.

use super::Checker;
use crate::machine::Machine;
use crate::seen::{CrankFate, KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Answer, Effect, Event, Request};
use sturdy_store::{Read, VatCursors, VatStatus, Vats};
use sturdy_types::{CallId, Delivery, Outcome, RunId, Syscall, VRef, VatId};

/// What one heap waits for and was told.
#[derive(Default)]
struct Heap {
    waits: BTreeSet<VRef>,
    told: BTreeSet<VRef>,
}

/// A call in one process.
#[derive(Default, Debug)]
struct Call {
    asked: u32,
    settled: u32,
}

/// One process of one kernel.
#[derive(Default)]
struct Kernel {
    heaps: BTreeMap<(VatId, RunId), Heap>,
    calls: BTreeMap<CallId, Call>,
}

/// One checker for all kernels.
#[derive(Default)]
pub struct EveryResultEnds {
    kernels: BTreeMap<KernelNo, Kernel>,
}

impl Heap {
    fn is_told(&mut self, promise: VRef) -> Result<(), String> {
        self.waits.remove(&promise);
        if self.told.insert(promise) { Ok(()) } else { Err(format!("it was told twice how {promise} is settled")) }
    }

    fn says(&mut self, outcome: &Outcome) {
        for syscall in &outcome.syscalls {
            match syscall {
                Syscall::Subscribe(promise) => {
                    self.waits.insert(*promise);
                }
                // Who settles a promise is not told of it.
                Syscall::Resolve(batch) => {
                    for resolution in batch {
                        self.waits.remove(&resolution.promise);
                        self.told.insert(resolution.promise);
                    }
                }
                Syscall::Exit { .. } => break,
                _ => {}
            }
        }
    }
}

impl Kernel {
    fn cranked(&mut self, heap: (VatId, RunId), delivery: &Delivery, outcome: &Outcome) -> Result<(), String> {
        if let Delivery::Start(_) = delivery {
            self.heaps.retain(|(vat, run), _| *vat != heap.0 || *run > heap.1);
        }
        let known = self.heaps.entry(heap).or_default();
        if let Delivery::Notify(batch) = delivery {
            for resolution in batch {
                known.is_told(resolution.promise).map_err(|what| format!("{} {:?}: {what}", heap.0, heap.1))?;
            }
        }
        known.says(outcome);
        Ok(())
    }

    fn settled(&mut self, call: CallId) -> Result<(), String> {
        let known = self.calls.entry(call).or_default();
        known.settled += 1;
        // The answer to the request that repeats a result comes after the result.
        if known.settled > known.asked + 2 {
            return Err(format!("the result of {call} was told {} times", known.settled));
        }
        Ok(())
    }

    /// What is still waited for, by heaps that live.
    fn open(&self, lives: impl Fn(VatId, RunId) -> bool) -> Result<(), String> {
        for ((vat, run), heap) in &self.heaps {
            if !heap.waits.is_empty() && lives(*vat, *run) {
                return Err(format!("{vat} {run:?} was never told of {:?}", heap.waits));
            }
        }
        match self.calls.iter().find(|(_, call)| call.asked > 0 && call.settled == 0) {
            Some((call, _)) => Err(format!("the result of {call} never came")),
            None => Ok(()),
        }
    }
}

impl Checker for EveryResultEnds {
    fn name(&self) -> &'static str {
        "every_result_ends"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, _machines: &[Machine]) -> Result<(), String> {
        let known = self.kernels.entry(kernel).or_default();
        match seen {
            Seen::Crank { vat, run, delivery, outcome, fate: CrankFate::Merged } => {
                known.cranked((*vat, *run), delivery, outcome).map_err(|what| format!("kernel {kernel}: {what}"))?;
            }
            Seen::Outer(Effect::Answer { answer: Ok(Answer::Called(call)), .. }) => {
                known.calls.entry(*call).or_default().asked += 1;
            }
            Seen::Outer(Effect::Settled { call, .. }) => known.settled(*call)?,
            Seen::Event(Event::Asked(_, Request::Acknowledge(call))) => {
                known.calls.remove(call);
            }
            Seen::Ended => *known = Kernel::default(),
            _ => {}
        }
        Ok(())
    }

    fn all_answered(&mut self, machines: &[Machine]) -> Result<(), String> {
        for (kernel, known) in &self.kernels {
            let Some(node) = machines.get(*kernel).and_then(Machine::node) else { continue };
            let lives = |vat: VatId, run: RunId| {
                let runs =
                    node.store().get::<Vats>(&vat).ok().flatten().map(|vat| vat.status) == Some(VatStatus::Running);
                runs && node.store().get::<VatCursors>(&vat).ok().flatten().is_some_and(|cursor| cursor.run == run)
            };
            known.open(lives).map_err(|what| format!("kernel {kernel}: {what}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::{says, settled, told};
    use sturdy_kernel::Ticket;
    use sturdy_types::CapData;

    const PROMISE: VRef = VRef::PromiseImport(4);

    fn notify() -> Seen {
        told(1, Delivery::Notify(vec![settled(PROMISE, false, "#1", &[])]))
    }

    fn after(seen: &[Seen]) -> EveryResultEnds {
        let mut checker = EveryResultEnds::default();
        for seen in seen {
            checker.see(0, seen, &[]).expect("nothing is wrong yet");
        }
        checker
    }

    fn open(checker: &EveryResultEnds) -> Result<(), String> {
        checker.kernels[&0].open(|_, _| true)
    }

    #[test]
    fn who_waits_is_told_once() {
        let subscribed = says(1, vec![Syscall::Subscribe(PROMISE)]);
        let mut checker = after(&[subscribed.clone(), notify()]);
        assert!(open(&checker).is_ok());
        assert!(checker.see(0, &notify(), &[]).is_err(), "told twice");
        let waiting = after(std::slice::from_ref(&subscribed));
        assert!(open(&waiting).is_err());
        assert!(waiting.kernels[&0].open(|_, _| false).is_ok(), "the heap is gone");
        assert!(open(&after(&[subscribed, Seen::Ended, says(1, vec![])])).is_ok(), "the process is gone");
    }

    #[test]
    fn who_settles_a_promise_is_not_told() {
        let resolve =
            says(1, vec![Syscall::Subscribe(PROMISE), Syscall::Resolve(vec![settled(PROMISE, false, "#1", &[])])]);
        let mut checker = after(&[resolve]);
        assert!(open(&checker).is_ok());
        assert!(checker.see(0, &notify(), &[]).is_err());
    }

    #[test]
    fn a_call_has_its_result_and_not_too_often() {
        let called = Seen::Outer(Effect::Answer { ticket: Ticket(1), answer: Ok(Answer::Called(CallId(7))) });
        let result = Effect::Settled { call: CallId(7), rejected: false, value: CapData::plain("#1") };
        let result = Seen::Outer(result);
        assert!(open(&after(std::slice::from_ref(&called))).is_err());
        assert!(open(&after(&[called.clone(), result.clone()])).is_ok());
        assert!(open(&after(&[result.clone(), called.clone()])).is_ok());
        let mut again = after(&[called.clone(), result.clone(), result.clone(), called.clone(), result.clone()]);
        assert!(open(&again).is_ok());
        assert!([&result, &result].into_iter().any(|result| again.see(0, result, &[]).is_err()));
        let acknowledge = Seen::Event(Event::Asked(Ticket(2), Request::Acknowledge(CallId(7))));
        assert!(open(&after(&[called, acknowledge])).is_ok());
    }
}
