//! G5: each message takes effect at most once, and messages of one heap to one reference take effect in the order in
//! which they were sent.
//!
//! A message bears a name that is never used twice ([`crate::actor::MessageName`]). It has taken effect when the crank
//! that delivered it is merged; that is undone when its process ends before the commit, or its store is set back.
//!
//! None is lost without a word: who is told that a message was answered with a value is told so of a message that took
//! effect; and at rest the sender of each message has been told what became of it, if it did not take effect, wanted an
//! answer, and its heap is still there. That every answer comes is the matter of `every_result_ends`.
//!
//! Lenient: effects that a store has forgotten were there when they were answered; a liar answers what it likes, and so
//! does a host whose service is called.

use super::Checker;
use super::facts::Facts;
use crate::actor::MessageName;
use crate::machine::Machine;
use crate::plan::{Fault, Plan};
use crate::seen::{BeginsWith, CrankFate, KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Answer, Effect, Event, Request, Ticket};
use sturdy_store::{Read, VatCursors, VatStatus, Vats};
use sturdy_types::{CallId, Delivery, Outcome, RunId, Syscall, VRef, VatId};

/// A heap of a kernel.
type Heap = (KernelNo, VatId, RunId);

/// A message as its sender named it.
#[derive(Debug, Clone, Copy)]
struct Sent {
    target: VRef,
    heap: Heap,
    /// True when the sender wants an answer and has not got it.
    waits: bool,
}

/// One checker for all kernels.
#[derive(Default)]
pub struct ExactlyOnce {
    liars: bool,
    sent: BTreeMap<MessageName, Sent>,
    /// Messages whose answers heaps wait for.
    answers: BTreeMap<(Heap, VRef), MessageName>,
    /// What was sent, so that it can be forgotten with what was not durable.
    said: BTreeMap<KernelNo, Facts<MessageName>>,
    /// What took effect in a store that was lost or set back, or came to a service of a host.
    elsewhere: BTreeSet<MessageName>,
    asked: BTreeMap<(KernelNo, Ticket), MessageName>,
    calls: BTreeMap<(KernelNo, CallId), MessageName>,
    /// Calls that were answered with a value before their number was known.
    early: BTreeSet<(KernelNo, CallId)>,
    /// Where each message has taken effect, and to what its sender had sent it, if that is still known.
    taken: BTreeMap<MessageName, (KernelNo, Option<VRef>)>,
    /// The last number that took effect, per sending heap and target, with the kernel where it did.
    last: BTreeMap<(MessageName, VRef), Vec<u64>>,
    facts: BTreeMap<KernelNo, Facts<MessageName>>,
}

impl ExactlyOnce {
    /// For a run of this plan.
    pub fn new(plan: &Plan) -> Self {
        Self { liars: plan.rate(Fault::Liars) > 0, ..Self::default() }
    }

    /// Somebody is told that a message was answered with a value.
    fn is_answered(&self, name: MessageName) -> Result<(), String> {
        if self.liars || self.taken.contains_key(&name) || self.elsewhere.contains(&name) {
            return Ok(());
        }
        Err(format!("{name} was answered with a value, and never took effect"))
    }

    fn notified(&mut self, heap: Heap, promise: VRef, rejected: bool) -> Result<(), String> {
        let Some(name) = self.answers.remove(&(heap, promise)) else { return Ok(()) };
        if let Some(sent) = self.sent.get_mut(&name) {
            sent.waits = false;
        }
        if rejected { Ok(()) } else { self.is_answered(name) }
    }

    /// What hosts ask and are told.
    fn host(&mut self, kernel: KernelNo, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Event(Event::Asked(ticket, Request::Call { methargs, .. })) => {
                self.asked.extend(MessageName::of(&methargs.body).map(|name| ((kernel, *ticket), name)));
                Ok(())
            }
            Seen::Outer(Effect::Answer { ticket, answer: Ok(Answer::Called(call)) }) => {
                let Some(name) = self.asked.remove(&(kernel, *ticket)) else { return Ok(()) };
                self.calls.insert((kernel, *call), name);
                if self.early.remove(&(kernel, *call)) { self.is_answered(name) } else { Ok(()) }
            }
            Seen::Outer(Effect::CallService { methargs, .. }) => {
                self.elsewhere.extend(MessageName::of(&methargs.body));
                Ok(())
            }
            Seen::Outer(Effect::Settled { call, rejected: false, .. }) => {
                if let Some(name) = self.calls.get(&(kernel, *call)) {
                    return self.is_answered(*name);
                }
                self.early.insert((kernel, *call));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What a process knew is gone with it.
    fn process_ended(&mut self, kernel: KernelNo) {
        self.asked.retain(|(of, _), _| *of != kernel);
        self.calls.retain(|(of, _), _| *of != kernel);
        self.early.retain(|(of, _)| *of != kernel);
        self.answers.retain(|((of, ..), _), _| *of != kernel);
        let lost = self.facts.entry(kernel).or_default().ended();
        self.forget(&lost);
        for name in self.said.entry(kernel).or_default().ended() {
            self.sent.remove(&name);
        }
        // Heaps end with their process. One of a store that begins anew may bear the number of one before.
        self.answers.retain(|((of, ..), _), _| *of != kernel);
        for sent in self.sent.values_mut().filter(|sent| sent.heap.0 == kernel) {
            sent.waits = false;
        }
    }

    /// The first message that was lost without a word.
    fn lost(&self, lives: impl Fn(Heap) -> bool) -> Option<MessageName> {
        let silent = |(name, sent): &(&MessageName, &Sent)| {
            sent.waits && !self.taken.contains_key(name) && !self.elsewhere.contains(name) && lives(sent.heap)
        };
        self.sent.iter().find(silent).map(|(name, _)| *name)
    }

    fn takes_effect(&mut self, kernel: KernelNo, name: MessageName) -> Result<(), String> {
        let target = self.sent.get(&name).map(|sent| sent.target);
        if let Some((before, _)) = self.taken.insert(name, (kernel, target)) {
            return Err(format!("{name} took effect in kernel {before}, and again in kernel {kernel}"));
        }
        self.facts.entry(kernel).or_default().add(name);
        if let Some(target) = target {
            let stream = self.last.entry((name.stream(), target)).or_default();
            if let Some(last) = stream.last().filter(|last| **last > name.number) {
                return Err(format!("{name} to {target} took effect after number {last} of the same heap"));
            }
            stream.push(name.number);
        }
        Ok(())
    }

    fn forget(&mut self, names: &[MessageName]) {
        for name in names {
            if let Some((_, Some(target))) = self.taken.remove(name)
                && let Some(stream) = self.last.get_mut(&(name.stream(), target))
            {
                stream.retain(|number| *number != name.number);
            }
        }
    }

    fn sends(&mut self, heap: Heap, outcome: &Outcome) {
        let before_exit = outcome.syscalls.iter().take_while(|syscall| !matches!(syscall, Syscall::Exit { .. }));
        for syscall in before_exit {
            if let Syscall::Send { target, message } = syscall
                && let Some(name) = MessageName::of(&message.methargs.body)
            {
                self.sent.insert(name, Sent { target: *target, heap, waits: message.result.is_some() });
                self.answers.extend(message.result.map(|result| ((heap, result), name)));
                self.said.entry(heap.0).or_default().add(name);
            }
        }
    }
}

impl Checker for ExactlyOnce {
    fn name(&self) -> &'static str {
        "exactly_once"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, _machines: &[Machine]) -> Result<(), String> {
        self.host(kernel, seen)?;
        match seen {
            Seen::Crank { vat, run, delivery, outcome, fate: CrankFate::Merged } => {
                let heap = (kernel, *vat, *run);
                if let Delivery::Message { message, .. } = delivery
                    && let Some(name) = MessageName::of(&message.methargs.body)
                {
                    self.takes_effect(kernel, name)?;
                }
                if let Delivery::Notify(batch) = delivery {
                    batch.iter().try_for_each(|one| self.notified(heap, one.promise, one.rejected))?;
                }
                self.sends(heap, outcome);
            }
            Seen::Committed(commit) => {
                self.facts.entry(kernel).or_default().committed(*commit);
                self.said.entry(kernel).or_default().committed(*commit);
            }
            Seen::Ended => self.process_ended(kernel),
            Seen::Begun { with: BeginsWith::NoStore | BeginsWith::OldCopy, back_to, .. } => {
                let forgotten = self.facts.entry(kernel).or_default().begun(*back_to);
                self.forget(&forgotten);
                self.elsewhere.extend(forgotten);
                for name in self.said.entry(kernel).or_default().begun(*back_to) {
                    self.sent.remove(&name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn all_answered(&mut self, machines: &[Machine]) -> Result<(), String> {
        let lives = |(kernel, vat, run): Heap| {
            let store = machines.get(kernel).and_then(Machine::node).map(sturdy_node::Node::store);
            let status = store.and_then(|store| store.get::<Vats>(&vat).ok().flatten()).map(|vat| vat.status);
            let cursor = store.and_then(|store| store.get::<VatCursors>(&vat).ok().flatten());
            status == Some(VatStatus::Running) && cursor.is_some_and(|cursor| cursor.run == run)
        };
        match self.lost(lives) {
            Some(name) => Err(format!("{name} never took effect, and its sender was not told: {:?}", self.sent[&name])),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::{begun, deliver, name, says, send, settled, told};
    use sturdy_types::CapData;

    const ANSWER: VRef = VRef::PromiseExport(1);

    fn sent(number: u64) -> (KernelNo, Seen) {
        (0, says(1, vec![send(VRef::Import(1), name(0, 1, number), &[], Some(ANSWER))]))
    }

    fn taken(kernel: KernelNo, number: u64) -> (KernelNo, Seen) {
        (kernel, told(2, deliver(VRef::Export(1), name(0, 1, number), &[], None)))
    }

    fn answered(rejected: bool) -> (KernelNo, Seen) {
        (0, told(1, Delivery::Notify(vec![settled(ANSWER, rejected, "#1", &[])])))
    }

    fn checker(seen: &[(KernelNo, Seen)]) -> Result<ExactlyOnce, String> {
        let mut checker = ExactlyOnce::default();
        seen.iter().try_for_each(|(kernel, seen)| checker.see(*kernel, seen, &[]))?;
        Ok(checker)
    }

    fn is_right(seen: &[(KernelNo, Seen)]) -> bool {
        checker(seen).is_ok()
    }

    #[test]
    fn a_message_takes_effect_once_and_in_order() {
        assert!(is_right(&[sent(1), sent(2), taken(1, 1), taken(1, 2)]));
        assert!(!is_right(&[sent(1), taken(1, 1), taken(1, 1)]));
        assert!(!is_right(&[sent(1), taken(1, 1), taken(2, 1)]));
        assert!(!is_right(&[sent(1), sent(2), taken(1, 2), taken(1, 1)]));
    }

    #[test]
    fn what_was_undone_may_take_effect_again() {
        assert!(is_right(&[sent(1), taken(1, 1), (1, Seen::Ended), taken(1, 1)]));
        let durable = [sent(1), taken(1, 1), (1, Seen::Committed(1)), (1, Seen::Ended)];
        assert!(!is_right(&[&durable[..], &[taken(1, 1)]].concat()));
        let lost = (1, begun(BeginsWith::NoStore, 1, 9));
        assert!(is_right(&[&durable[..], &[lost, taken(1, 1)]].concat()));
    }

    #[test]
    fn a_message_that_was_answered_took_effect() {
        assert!(is_right(&[sent(1), taken(1, 1), answered(false)]));
        assert!(is_right(&[sent(1), answered(true)]));
        assert!(!is_right(&[sent(1), answered(false)]));
        let mut lost = vec![sent(1), taken(1, 1), (1, Seen::Committed(1)), (1, Seen::Ended)];
        lost.extend([(1, begun(BeginsWith::NoStore, 1, 9)), answered(false)]);
        assert!(is_right(&lost), "its effect was lost with a store");
    }

    #[test]
    fn a_call_that_was_answered_took_effect() {
        let methargs = CapData::plain(name(0, 0, 5).as_body());
        let target = sturdy_types::KRef::Object(sturdy_types::ObjectId(1));
        let call = Request::Call { target, methargs, request: None };
        let asked = (0, Seen::Event(Event::Asked(Ticket(1), call)));
        let called = (0, Seen::Outer(Effect::Answer { ticket: Ticket(1), answer: Ok(Answer::Called(CallId(7))) }));
        let result =
            |rejected| (0, Seen::Outer(Effect::Settled { call: CallId(7), rejected, value: CapData::plain("#1") }));
        let taken = (0, told(2, deliver(VRef::Export(1), name(0, 0, 5), &[], None)));
        assert!(is_right(&[asked.clone(), called.clone(), taken.clone(), result(false)]));
        assert!(is_right(&[asked.clone(), taken, result(false), called.clone()]));
        assert!(is_right(&[asked.clone(), called.clone(), result(true)]));
        assert!(!is_right(&[asked.clone(), called.clone(), result(false)]));
        assert!(!is_right(&[asked, result(false), called]));
    }

    #[test]
    fn no_message_is_lost_without_a_word() {
        let lost = |seen: &[(KernelNo, Seen)], lives: bool| {
            checker(seen).expect("nothing is wrong yet").lost(|_| lives).is_some()
        };
        assert!(lost(&[sent(1)], true));
        assert!(!lost(&[sent(1)], false), "the sender's heap is gone");
        assert!(!lost(&[sent(1), taken(1, 1)], true));
        assert!(!lost(&[sent(1), answered(true)], true));
        assert!(!lost(&[sent(1), (0, Seen::Ended)], true), "it was never durable");
        let one_way = (0, says(1, vec![send(VRef::Import(1), name(0, 1, 1), &[], None)]));
        assert!(!lost(&[one_way], true), "its sender wants no answer");
    }
}
