//! G12: every promise that somebody waits for is settled, and he is told of it exactly once.
//!
//! A heap is told of each promise at most once; when every vat has settled what it decides, no living heap waits for a
//! promise that it has subscribed to; each call of a host that was answered has its result, told when it comes and
//! again when the host asks again, never more often.
//!
//! Lenient: a heap that is gone waits for nothing; hosts ask again for calls that bear a name, and have given the others
//! up when the process ended. A store that was set back behind our back gives numbers that it has forgotten to other
//! messages. If it has as many as it has forgotten before it meets the peer again, they are taken for repetitions; if it has
//! forgotten the peer, it may use a name of a promise again: then somebody may wait for ever, a known limit (LINK.md).

use super::Checker;
use super::lines::{Lines, Said, said};
use super::standing::standing;
use crate::machine::{Machine, peer};
use crate::seen::{BeginsWith, CrankFate, KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Answer, Effect, Event, Request};
use sturdy_store::{Read, VatCursors, VatStatus, Vats};
use sturdy_types::{CallId, ConnectionId, Delivery, Outcome, RunId, Syscall, VRef, VatId};

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
    lines: Lines,
    /// The highest number that was said, by each kernel, to each, in each conversation.
    said: BTreeMap<(KernelNo, KernelNo, u64), u64>,
    /// The same for what a store has forgotten that was set back.
    forgotten: BTreeMap<(KernelNo, KernelNo, u64), u64>,
}

/// The number of a kernel's conversation with another, and the number that its next message gets there.
fn stands(machine: &Machine, other: KernelNo) -> Option<(u64, u64)> {
    let at = standing(machine.node()?.store(), &peer(other))?;
    Some((at.record.conversation, at.cursor.next_send))
}

impl EveryResultEnds {
    fn says(&mut self, kernel: KernelNo, connection: ConnectionId, frame: &[u8]) {
        if let (Said::Message { seq, .. }, Some(conversation), Some(other)) =
            (said(frame), self.lines.conversation(connection), self.lines.other_end(connection, kernel))
        {
            let highest = self.said.entry((kernel, other, conversation.number)).or_default();
            *highest = seq.max(*highest);
        }
    }

    fn is_set_back(&mut self, kernel: KernelNo, machine: &Machine) {
        for ((of, other, number), highest) in self.said.iter().filter(|((of, ..), _)| *of == kernel) {
            let forgotten = match stands(machine, *other) {
                // The peer is a stranger again, and shows at which number it stands: what was forgotten are its names.
                None => 0,
                Some((now, next)) if now == *number && next <= *highest => *highest,
                Some(_) => continue,
            };
            self.forgotten.insert((*of, *other, *number), forgotten);
        }
    }

    /// Whether a store has given every number that it had forgotten to something else, and the conversation goes on.
    fn is_unnoticed(&self, machines: &[Machine]) -> bool {
        self.forgotten.iter().any(|((of, other, number), highest)| {
            let stands = machines.get(*of).and_then(|machine| stands(machine, *other));
            stands.is_some_and(|(now, next)| now == *number && next > *highest)
        })
    }
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

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        self.lines.see(kernel, seen);
        let known = self.kernels.entry(kernel).or_default();
        match seen {
            Seen::Crank { vat, run, delivery, outcome, fate: CrankFate::Merged } => {
                known.cranked((*vat, *run), delivery, outcome).map_err(|what| format!("kernel {kernel}: {what}"))?;
            }
            Seen::Outer(Effect::Answer { answer: Ok(Answer::Called(call)), .. }) => {
                known.calls.entry(*call).or_default().asked += 1;
            }
            Seen::Outer(Effect::Transmit { connection, bytes }) => self.says(kernel, *connection, bytes),
            Seen::Outer(Effect::Settled { call, .. }) => known.settled(*call)?,
            Seen::Event(Event::Asked(_, Request::Acknowledge(call))) => {
                known.calls.remove(call);
            }
            Seen::Ended => *known = Kernel::default(),
            Seen::Begun { with: BeginsWith::OldCopy, .. } => {
                if let Some(machine) = machines.get(kernel) {
                    self.is_set_back(kernel, machine);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn all_answered(&mut self, machines: &[Machine]) -> Result<(), String> {
        if self.is_unnoticed(machines) {
            return Ok(()); // whatever waits may wait for what was taken for a repetition
        }
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
