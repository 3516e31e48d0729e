//! Kernel promises: made, subscribed to, decided, settled (kernel-semantics §4.1–4.3).
//!
//! Who decides an unsettled promise: the endpoint that exported it as an argument; nobody, while a message that names
//! it as its result is queued (the message itself then carries the authority); the endpoint or service that the
//! message was delivered to, afterwards. Nobody, for good, once it is settled.

use crate::blame::{Fault, broken};
use crate::ctx::Ctx;
use crate::rings::may_be_in_a_ring;
use crate::routing::Work;
use sturdy_store::{DecidedBy, Decider, Inbox, Item, PromiseQueue, PromiseRecord, PromiseState, Promises, Subscriber};
use sturdy_types::{CapData, Code, KRef, KernelError, PromiseId, VatId};

impl Ctx<'_, '_> {
    /// A new unsettled promise. Its count begins at what its decider implies, and one for whoever makes it: the c-list
    /// entry, the call or the launch that it is made for.
    pub(crate) fn new_promise(&mut self, decider: Decider) -> Result<PromiseId, Fault> {
        let id = self.next_id(|counters| {
            counters.promises += 1;
            PromiseId(counters.promises)
        })?;
        let refs = 1 + u64::from(decider != Decider::Nobody);
        let state = PromiseState::Unresolved { decider, subscribers: Vec::new(), queue_head: 0, queue_tail: 0 };
        self.put_new::<Promises>(&id, &PromiseRecord { refs, state });
        if decider != Decider::Nobody {
            self.put_new::<DecidedBy>(&(decider, id), &());
        }
        Ok(id)
    }

    /// Who decides it, `None` if it is settled or unknown.
    pub(crate) fn decider(&self, id: PromiseId) -> Result<Option<Decider>, Fault> {
        Ok(match self.get::<Promises>(&id)?.map(|promise| promise.state) {
            Some(PromiseState::Unresolved { decider, .. }) => Some(decider),
            _ => None,
        })
    }

    /// Hands the authority to settle `id` to `new`. The checked transition of kernel-semantics §4.2: only an
    /// unsettled promise has a decider.
    pub(crate) fn set_decider(&mut self, id: PromiseId, new: Decider) -> Result<(), Fault> {
        let mut promise = self.need::<Promises>(&id)?;
        let PromiseState::Unresolved { decider, .. } = &mut promise.state else {
            return Err(broken(format!("{id} is settled and cannot change its decider")));
        };
        let old = std::mem::replace(decider, new);
        match (old, new) {
            (Decider::Nobody, Decider::Nobody) => {}
            (Decider::Nobody, _) => promise.refs += 1,
            // Its queue or c-list entry still counts.
            (_, Decider::Nobody) => promise.refs = one_less(promise.refs, id)?,
            _ => {}
        }
        self.put::<Promises>(&id, &promise);
        if old != Decider::Nobody {
            self.delete::<DecidedBy>(&(old, id));
        }
        if new != Decider::Nobody {
            self.put_new::<DecidedBy>(&(new, id), &());
        }
        Ok(())
    }

    /// The message that named `id` as its result is delivered to `new`: what the message counted is what the decider
    /// counts now.
    pub(crate) fn hand_over(&mut self, id: PromiseId, new: Decider) -> Result<(), Fault> {
        let mut promise = self.need::<Promises>(&id)?;
        match &mut promise.state {
            PromiseState::Unresolved { decider, .. } if *decider == Decider::Nobody => *decider = new,
            _ => return Err(broken(format!("{id} is the result of a message and not its to decide"))),
        }
        self.put::<Promises>(&id, &promise);
        self.put_new::<DecidedBy>(&(new, id), &());
        Ok(())
    }

    /// Adds a subscriber, or tells it at once if the promise is settled.
    pub(crate) fn subscribe(&mut self, id: PromiseId, subscriber: Subscriber) -> Result<(), Fault> {
        let mut promise = self.need::<Promises>(&id)?;
        match &mut promise.state {
            PromiseState::Unresolved { subscribers, .. } => {
                if let Err(place) = subscribers.binary_search(&subscriber) {
                    subscribers.insert(place, subscriber);
                    self.put::<Promises>(&id, &promise);
                }
                Ok(())
            }
            PromiseState::Fulfilled(value) => {
                let value = value.clone();
                self.tell_late(subscriber, id, false, &value)
            }
            PromiseState::Rejected(value) => {
                let value = value.clone();
                self.tell_late(subscriber, id, true, &value)
            }
        }
    }

    /// Tells one who subscribes after the settlement.
    fn tell_late(
        &mut self,
        subscriber: Subscriber,
        id: PromiseId,
        rejected: bool,
        value: &CapData<KRef>,
    ) -> Result<(), Fault> {
        if let Subscriber::Vat(_) = subscriber {
            self.hold_promise(id)?;
        }
        self.tell(subscriber, id, rejected, value)
    }

    /// Takes a subscriber away, if the promise is unsettled and has it.
    pub(crate) fn unsubscribe(&mut self, id: PromiseId, subscriber: Subscriber) -> Result<(), Fault> {
        let Some(mut promise) = self.get::<Promises>(&id)? else { return Ok(()) };
        let PromiseState::Unresolved { subscribers, .. } = &mut promise.state else { return Ok(()) };
        if let Ok(place) = subscribers.binary_search(&subscriber) {
            subscribers.remove(place);
            self.put::<Promises>(&id, &promise);
        }
        Ok(())
    }

    /// Settles `id` and lets everything follow that depends on it. The caller has checked that it may: the promise is
    /// unsettled and the caller decides it.
    pub(crate) fn settle(&mut self, id: PromiseId, rejected: bool, value: CapData<KRef>) -> Result<(), Fault> {
        self.work.push_back(Work::Settle { promise: id, rejected, value });
        self.drain()
    }

    /// Rejects `id` with a kernel error.
    pub(crate) fn reject(&mut self, id: PromiseId, code: Code, detail: impl Into<String>) -> Result<(), Fault> {
        self.settle(id, true, KernelError::new(code, detail).to_capdata())
    }

    /// The settlement itself: state, subscribers first, then the waiting messages (kernel-semantics §4.4).
    pub(crate) fn settle_now(&mut self, id: PromiseId, rejected: bool, value: &CapData<KRef>) -> Result<(), Fault> {
        if !rejected && let Some(error) = self.closes_a_ring(id, value)? {
            return self.settle_now(id, true, &error.to_capdata());
        }
        self.hold_slots(value)?; // first: the value may mention the promise itself
        let promise = self.need::<Promises>(&id)?;
        let PromiseState::Unresolved { decider, subscribers, queue_head, queue_tail } = promise.state else {
            return Err(broken(format!("{id} is settled twice")));
        };
        let notified = subscribers.iter().filter(|subscriber| matches!(subscriber, Subscriber::Vat(_))).count() as u64;
        let refs = promise.refs + notified;
        let refs = if decider == Decider::Nobody { refs } else { one_less(refs, id)? };
        let state =
            if rejected { PromiseState::Rejected(value.clone()) } else { PromiseState::Fulfilled(value.clone()) };
        let promise = PromiseRecord { refs, state };
        self.put::<Promises>(&id, &promise);
        if refs == 0 {
            self.maybe_free.insert(id.into());
        }
        if may_be_in_a_ring(&promise) {
            self.effects.suspects.add(id); // also if it has no count yet: a ring gives as many suspects as it has rows
        }
        if decider != Decider::Nobody {
            self.delete::<DecidedBy>(&(decider, id));
        }
        let is_remote = |subscriber: &&Subscriber| matches!(subscriber, Subscriber::Remote(_));
        for subscriber in subscribers.iter().filter(|subscriber| !is_remote(subscriber)) {
            self.tell(*subscriber, id, rejected, value)?;
        }
        for index in queue_head..queue_tail {
            let message = self.need::<PromiseQueue>(&(id, index))?;
            self.delete::<PromiseQueue>(&(id, index));
            self.work.push_back(Work::Route { target: id.into(), message, parked: true });
        }
        subscribers.iter().filter(is_remote).try_for_each(|subscriber| self.tell(*subscriber, id, rejected, value))
    }

    /// Tells one subscriber. The pending notification of a vat is counted by the caller.
    fn tell(
        &mut self,
        subscriber: Subscriber,
        id: PromiseId,
        rejected: bool,
        value: &CapData<KRef>,
    ) -> Result<(), Fault> {
        match subscriber {
            Subscriber::Vat(vat) => self.queue_notify(vat, id),
            Subscriber::Call(call) => self.call_settled(call, rejected, value),
            Subscriber::Launch(subcluster) => self.bootstrap_settled(subcluster, rejected, value),
            Subscriber::Remote(remote) => {
                // After the messages that waited for the promise (L5), so not at once.
                self.work.push_back(Work::Tell { remote, promise: id });
                Ok(())
            }
        }
    }

    fn queue_notify(&mut self, vat: VatId, id: PromiseId) -> Result<(), Fault> {
        let mut cursor = self.cursor(vat)?;
        self.put_new::<Inbox>(&(vat, cursor.inbox_tail), &Item::Notify(id));
        cursor.inbox_tail += 1;
        self.set_cursor(vat, &cursor);
        self.wake(vat);
        Ok(())
    }
}

/// A count that the tables contradict is a fault, also where the rest of the row is at hand.
fn one_less(refs: u64, id: PromiseId) -> Result<u64, Fault> {
    refs.checked_sub(1).ok_or_else(|| broken(format!("the count of {id} underflows")))
}
