//! Where a message goes (kernel-semantics §4.5). Routing happens in the turn that sends it, straight into the inbox of
//! the target's vat or the queue of the promise that it waits for.
//!
//! The fate of a message that cannot be delivered is decided here and in `crank` (the same checks at the time of
//! delivery) and nowhere else: its result is rejected as [`Ctx::splat`] says. FATES.md has the table.

use crate::blame::{Fault, reason_text};
use crate::ctx::Ctx;
use crate::event::Notice;
use std::collections::BTreeSet;
use sturdy_smallcaps::extract_single_ref;
use sturdy_store::{
    Decider, Inbox, Item, ObjectRecord, Objects, Owner, PromiseQueue, PromiseState, Promises, Subscriber, VatCursor,
    VatCursors,
};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CapData, Code, KRef, KernelError, Message, ObjectId, PromiseId, RemoteId, VatId};

/// Something on its way.
pub(crate) enum Work {
    /// A message looks for its place. Its slots and result are counted; `parked` messages also count their old target.
    Route { target: KRef, message: Message<KRef>, parked: bool },
    /// A promise takes its value.
    Settle { promise: PromiseId, rejected: bool, value: CapData<KRef> },
    /// A peer learns how a promise was settled.
    Tell { remote: RemoteId, promise: PromiseId },
}

/// Promises that are followed at most, each fulfilled with the next.
const CHAIN: u32 = 10_000;
const TOO_LONG: &str = "too long a chain of promises";

/// What a message to an unsettled promise would wait for.
enum Waiting {
    /// Something else.
    ForOthers,
    /// Its own outcome.
    ForItself,
    /// Too much to tell.
    TooMuch,
}

impl Ctx<'_, '_> {
    /// Sends a message: counts what it mentions and finds its place. Whoever calls has made sure that every reference
    /// is known and that the result promise, if any, is decided by nobody.
    pub(crate) fn send(&mut self, target: KRef, message: Message<KRef>) -> Result<(), Fault> {
        self.hold_message(&message)?;
        self.work.push_back(Work::Route { target, message, parked: false });
        self.drain()
    }

    /// Works off what is on its way, first in, first out. Inner calls only add to the list.
    pub(crate) fn drain(&mut self) -> Result<(), Fault> {
        if self.draining {
            return Ok(());
        }
        self.draining = true;
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Route { target, message, parked } => {
                    self.route(target, message)?;
                    if parked && !defect::broken(Defect::ParkedCountedTwice) {
                        self.release(target)?;
                    }
                }
                Work::Settle { promise, rejected, value } => self.settle_now(promise, rejected, &value)?,
                Work::Tell { remote, promise } => self.tell_remote(remote, promise)?,
            }
        }
        self.draining = false;
        Ok(())
    }

    fn route(&mut self, target: KRef, message: Message<KRef>) -> Result<(), Fault> {
        let (id, state) = match self.end_of_chain(target, CHAIN)? {
            (KRef::Object(id), _) => return self.route_to_object(id, message),
            (KRef::Promise(id), state) => (id, state),
        };
        let target = id.into();
        match state {
            None => self.splat(target, &message, &deleted(target)),
            Some(PromiseState::Unresolved { decider: Decider::Remote(remote), .. })
                if self.pipelines(remote, id)? =>
            {
                self.send_to_remote(remote, target, message)
            }
            Some(PromiseState::Unresolved { .. }) => self.park(id, &message),
            Some(PromiseState::Rejected(reason)) => self.splat_with(target, &message, reason),
            Some(state) if next_in_chain(Some(&state)).is_some() => {
                self.splat(target, &message, &bad_resolution(TOO_LONG))
            }
            Some(PromiseState::Fulfilled(_)) => {
                self.splat(target, &message, &bad_resolution("something that is not an object"))
            }
        }
    }

    /// Follows a chain of promises, each fulfilled with the next: to an object, or to the first promise that is not
    /// fulfilled with one reference, with its state, if it is there. Where the chain is too long to be followed, to a promise
    /// that is. Chains end, because `settle_now` closes no ring; a store of an earlier program may hold one.
    fn end_of_chain(&mut self, kref: KRef, most: u32) -> Result<(KRef, Option<PromiseState>), Fault> {
        let mut kref = kref;
        for followed in 0.. {
            let KRef::Promise(id) = kref else { break };
            let state = self.get::<Promises>(&id)?.map(|promise| promise.state);
            match next_in_chain(state.as_ref()) {
                Some(next) if followed < most && self.looks_at_one_more() => kref = next,
                _ => return Ok((kref, state)),
            }
        }
        Ok((kref, None))
    }

    /// Whether this turn may look at one more step of a chain.
    fn looks_at_one_more(&mut self) -> bool {
        let left = self.waiting_left.checked_sub(1);
        self.waiting_left = left.unwrap_or(0);
        left.is_some()
    }

    /// What a reference stands for once every promise on the way is settled; nothing, if the way is too long.
    pub(crate) fn leads_to(&mut self, kref: KRef) -> Result<Option<KRef>, Fault> {
        // Whoever is to lead to this one leads one step farther.
        let (end, state) = self.end_of_chain(kref, CHAIN - 1)?;
        Ok(Some(end).filter(|_| next_in_chain(state.as_ref()).is_none()))
    }

    /// Why a promise cannot be fulfilled with this value, if it cannot: it would stand for itself in the end. No vat and no
    /// peer may make such rings, because whoever follows them comes to no end.
    pub(crate) fn closes_a_ring(&mut self, id: PromiseId, value: &CapData<KRef>) -> Result<Option<KernelError>, Fault> {
        let next = match value.slots[..] {
            [KRef::Promise(_)] => extract_single_ref(value).copied(),
            _ => None,
        };
        let Some(next) = next else { return Ok(None) };
        Ok(match self.leads_to(next)? {
            Some(last) if last == KRef::Promise(id) => Some(bad_resolution("what stands for itself")),
            None => Some(bad_resolution(TOO_LONG)),
            Some(_) => None,
        })
    }

    fn route_to_object(&mut self, id: ObjectId, message: Message<KRef>) -> Result<(), Fault> {
        let object = match self.callable(id)? {
            Ok(object) => object,
            Err(error) => return self.splat(id.into(), &message, &error),
        };
        match object.owner {
            Owner::Vat(vat) => match self.get::<VatCursors>(&vat)? {
                Some(cursor) if !cursor.failed => self.queue_send(vat, cursor, id, object, message),
                _ => {
                    let what = format!("{vat}, the owner of {id}, is not running");
                    self.splat(id.into(), &message, &KernelError::new(Code::EndpointUnreachable, what))
                }
            },
            Owner::Remote(remote) => self.send_to_remote(remote, id.into(), message),
            Owner::Kernel | Owner::Orphan => self.call_service(id, message),
        }
    }

    /// The object, if messages to it can be taken, or why not. Asked when a message is routed and again when it is
    /// delivered (kernel-semantics §5.8: revocation is checked at delivery).
    pub(crate) fn callable(&self, id: ObjectId) -> Result<Result<ObjectRecord, KernelError>, Fault> {
        Ok(match self.get::<Objects>(&id)? {
            Some(object) if object.revoked => Err(KernelError::new(Code::ObjectRevoked, format!("{id} was revoked"))),
            Some(object) if object.owner != Owner::Orphan => Ok(object),
            _ => Err(deleted(id.into())),
        })
    }

    fn queue_send(
        &mut self,
        vat: VatId,
        mut cursor: VatCursor,
        target: ObjectId,
        object: ObjectRecord,
        message: Message<KRef>,
    ) -> Result<(), Fault> {
        let more = u64::from(defect::broken(Defect::InboxTakesOneMore));
        if cursor.inbox_tail - cursor.inbox_head >= self.limits.inbox_items + more {
            let error = queue_full(&format!("the inbox of {vat}"), self.limits.inbox_items);
            return self.splat(target.into(), &message, &error);
        }
        self.put_new::<Inbox>(&(vat, cursor.inbox_tail), &Item::Send { target, message });
        cursor.inbox_tail += 1;
        self.set_cursor(vat, &cursor);
        self.hold_known(target, object);
        self.wake(vat);
        Ok(())
    }

    fn park(&mut self, id: PromiseId, message: &Message<KRef>) -> Result<(), Fault> {
        match self.waiting(id, message)? {
            Waiting::ForOthers => {}
            Waiting::ForItself => {
                return self.splat(id.into(), message, &bad_resolution("what depends on its own outcome"));
            }
            Waiting::TooMuch => {
                let limit = self.limits.waiting_looked_at_per_turn;
                let what = format!("what waits for the results of this turn exceeds its limit of {limit} messages");
                return self.splat(id.into(), message, &KernelError::new(Code::QueueFull, what));
            }
        }
        let mut promise = self.need::<Promises>(&id)?;
        if let PromiseState::Unresolved { queue_head, queue_tail, .. } = &mut promise.state {
            if *queue_tail - *queue_head >= self.limits.promise_queue_items {
                let error = queue_full(&format!("the queue of {id}"), self.limits.promise_queue_items);
                return self.splat(id.into(), message, &error);
            }
            let index = *queue_tail;
            *queue_tail += 1;
            promise.refs += 1; // the parked message's target
            self.put::<Promises>(&id, &promise);
            self.put_new::<PromiseQueue>(&(id, index), message);
        }
        Ok(())
    }

    /// Whether `id` is settled only by what follows from the message's own result: such a ring would wait for ever,
    /// and would outlive the vats that made it (G12, G15). Looks at what waits for the result, and at what waits for
    /// the results of that, and so on; nothing waits for the result of an ordinary message yet.
    /// What is withheld until it can be settled like a result waits for that as well. A chain built from its end would be
    /// walked again for each message, so a turn looks at a limited number.
    fn waiting(&mut self, id: PromiseId, message: &Message<KRef>) -> Result<Waiting, Fault> {
        let mut next: Vec<PromiseId> = message.result.and_then(promise).into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(result) = next.pop() {
            if result == id {
                return Ok(Waiting::ForItself);
            }
            let Some(PromiseState::Unresolved { queue_head, queue_tail, subscribers, .. }) =
                self.get::<Promises>(&result)?.map(|promise| promise.state)
            else {
                continue;
            };
            for subscriber in subscribers {
                let Subscriber::Remote(remote) = subscriber else { continue };
                for (withheld, like) in self.withheld_like_others(remote)? {
                    if !self.looks_at_one_more() {
                        return Ok(Waiting::TooMuch);
                    }
                    next.extend(Some(withheld).filter(|withheld| like == result && seen.insert(*withheld)));
                }
            }
            for index in queue_head..queue_tail {
                if !self.looks_at_one_more() {
                    return Ok(Waiting::TooMuch);
                }
                let waiting = self.need::<PromiseQueue>(&(result, index))?;
                next.extend(waiting.result.and_then(promise).filter(|&result| seen.insert(result)));
            }
        }
        Ok(Waiting::ForOthers)
    }

    /// Ends a message that cannot be delivered: its result is rejected with a kernel error.
    pub(crate) fn splat(&mut self, target: KRef, message: &Message<KRef>, error: &KernelError) -> Result<(), Fault> {
        self.splat_with(target, message, error.to_capdata())
    }

    /// Ends a message that cannot be delivered: its result is rejected with `reason`, what it mentions is released.
    /// Its target, if counted, is the caller's to release.
    pub(crate) fn splat_with(
        &mut self,
        target: KRef,
        message: &Message<KRef>,
        reason: CapData<KRef>,
    ) -> Result<(), Fault> {
        match message.result {
            Some(KRef::Promise(result)) => self.settle(result, true, reason)?,
            Some(KRef::Object(id)) => {
                return Err(crate::blame::broken(format!("{id} stands where a result promise should")));
            }
            None => self.notice(Notice::OneWayLost { target, reason: reason_text(&reason) }),
        }
        // The rejection may still be on its way when the result is released here: counts are only looked at when the
        // turn ends, after everything on its way has arrived.
        self.release_message(message)
    }
}

/// What a promise is fulfilled with, if that is one reference.
fn next_in_chain(state: Option<&PromiseState>) -> Option<KRef> {
    if let Some(PromiseState::Fulfilled(value)) = state { extract_single_ref(value).copied() } else { None }
}

fn promise(kref: KRef) -> Option<PromiseId> {
    if let KRef::Promise(id) = kref { Some(id) } else { None }
}

pub(crate) fn deleted(target: KRef) -> KernelError {
    KernelError::new(Code::ObjectDeleted, format!("{target} does not exist any more"))
}

fn bad_resolution(what: &str) -> KernelError {
    KernelError::new(Code::BadPromiseResolution, format!("the promise was fulfilled with {what}"))
}

fn queue_full(what: &str, limit: u64) -> KernelError {
    KernelError::new(Code::QueueFull, format!("{what} holds its limit of {limit} messages"))
}
