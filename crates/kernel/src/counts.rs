//! The ledger: the only module that changes reference counts (law 8, kernel-semantics §5.3).
//!
//! What always holds at the end of a turn: an object's *reachable* count is the number of importing c-list entries
//! that can reach it, plus its occurrences in queued messages (as target or slot), in messages of pending service
//! calls, in settled promises, in kept answers, plus its pins and the URLs that stand for it; *recognizable* counts the same and also the importing
//! entries that can only recognize it. A promise's count is its c-list entries, its occurrences in the same places
//! and as a result, its pending notifications, the calls and launches that wait for it, and one while it is unsettled
//! and somebody decides it. The owner's own entry counts nothing. `audit` recounts all of it.

use crate::blame::{Fault, broken};
use crate::ctx::Ctx;
use crate::rings::may_be_in_a_ring;
use sturdy_store::{ObjectRecord, Objects, Promises};
use sturdy_types::{CapData, KRef, Message, ObjectId, PromiseId};

impl Ctx<'_, '_> {
    /// One more way to reach `kref`.
    pub(crate) fn hold(&mut self, kref: KRef) -> Result<(), Fault> {
        match kref {
            KRef::Object(id) => self.change_object(id, |object| {
                object.reachable += 1;
                object.recognizable += 1;
                true
            }),
            KRef::Promise(id) => self.hold_promise(id),
        }
    }

    /// Like [`Ctx::hold`], of an object that was just read.
    pub(crate) fn hold_known(&mut self, id: ObjectId, mut object: ObjectRecord) {
        object.reachable += 1;
        object.recognizable += 1;
        self.put::<Objects>(&id, &object);
    }

    /// One way less to reach or recognize `kref`.
    pub(crate) fn release(&mut self, kref: KRef) -> Result<(), Fault> {
        match kref {
            KRef::Object(id) => {
                self.change_object(id, |object| less(&mut object.reachable) && less(&mut object.recognizable))
            }
            KRef::Promise(id) => self.release_promise(id),
        }
    }

    /// An import that could only recognize the object reaches it again.
    pub(crate) fn strengthen(&mut self, id: ObjectId) -> Result<(), Fault> {
        self.change_object(id, |object| {
            object.reachable += 1;
            true
        })
    }

    /// An import that could reach the object can only recognize it now.
    pub(crate) fn weaken(&mut self, id: ObjectId) -> Result<(), Fault> {
        self.change_object(id, |object| less(&mut object.reachable))
    }

    /// An import that could only recognize the object is gone.
    pub(crate) fn forget(&mut self, id: ObjectId) -> Result<(), Fault> {
        self.change_object(id, |object| less(&mut object.recognizable))
    }

    /// One more pin.
    pub(crate) fn pin(&mut self, id: ObjectId) -> Result<(), Fault> {
        self.change_object(id, |object| {
            object.pins += 1;
            object.reachable += 1;
            object.recognizable += 1;
            true
        })
    }

    /// One pin less; nothing if there is none (kernel-semantics §5.8).
    pub(crate) fn unpin(&mut self, id: ObjectId) -> Result<(), Fault> {
        match self.get::<Objects>(&id)? {
            Some(object) if object.pins > 0 => self.change_object(id, |object| {
                object.pins -= 1;
                less(&mut object.reachable) && less(&mut object.recognizable)
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn hold_promise(&mut self, id: PromiseId) -> Result<(), Fault> {
        let mut promise = self.need::<Promises>(&id)?;
        promise.refs += 1;
        self.put::<Promises>(&id, &promise);
        Ok(())
    }

    pub(crate) fn release_promise(&mut self, id: PromiseId) -> Result<(), Fault> {
        let mut promise = self.need::<Promises>(&id)?;
        promise.refs = promise.refs.checked_sub(1).ok_or_else(|| broken(format!("the count of {id} underflows")))?;
        if promise.refs == 0 {
            self.maybe_free.insert(id.into());
        } else if may_be_in_a_ring(&promise) {
            self.effects.suspects.add(id);
        }
        self.put::<Promises>(&id, &promise);
        Ok(())
    }

    /// Holds everything that the value mentions.
    pub(crate) fn hold_slots(&mut self, value: &CapData<KRef>) -> Result<(), Fault> {
        value.slots.iter().try_for_each(|&slot| self.hold(slot))
    }

    /// Releases everything that the value mentions.
    pub(crate) fn release_slots(&mut self, value: &CapData<KRef>) -> Result<(), Fault> {
        value.slots.iter().try_for_each(|&slot| self.release(slot))
    }

    /// Holds what a queued message mentions, its target apart.
    pub(crate) fn hold_message(&mut self, message: &Message<KRef>) -> Result<(), Fault> {
        self.hold_slots(&message.methargs)?;
        message.result.map_or(Ok(()), |result| self.hold(result))
    }

    /// Releases what a message mentions that leaves its queue, its target apart.
    pub(crate) fn release_message(&mut self, message: &Message<KRef>) -> Result<(), Fault> {
        self.release_slots(&message.methargs)?;
        message.result.map_or(Ok(()), |result| self.release(result))
    }

    fn change_object(&mut self, id: ObjectId, change: impl FnOnce(&mut ObjectRecord) -> bool) -> Result<(), Fault> {
        let mut object = self.need::<Objects>(&id)?;
        if !change(&mut object) || object.reachable > object.recognizable {
            return Err(broken(format!("the counts of {id} underflow")));
        }
        if object.reachable == 0 {
            self.maybe_free.insert(id.into());
        }
        self.put::<Objects>(&id, &object);
        Ok(())
    }
}

/// False when there is nothing to take away.
fn less(count: &mut u64) -> bool {
    match count.checked_sub(1) {
        Some(left) => {
            *count = left;
            true
        }
        None => false,
    }
}
