//! The crossings between kernel and remote space (law 9): the only module that reads and writes name rows one at a time.
//!
//! What always holds: a name of an object, and of an unsettled promise, stands in both tables; a settled promise that the
//! peer was told of stands only by name, until the peer cannot use it any more. Every row by name counts one for a
//! promise; the name of an object of ours counts like a vat's import; the name of an object of the peer counts nothing.

use crate::blame::{Fault, broken};
use crate::ctx::Ctx;
use sturdy_store::{
    Decider, Owner, PromiseState, Promises, Read, RemoteName, RemoteNames, RemoteRefs, Remotes, Subscriber, Withheld,
};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CapData, KRef, PromiseId, RRef, RemoteId};

/// The name in the frame of the other side.
pub(crate) const fn flipped(rref: RRef) -> RRef {
    match rref {
        RRef::Export(number) => RRef::Import(number),
        RRef::Import(number) => RRef::Export(number),
        RRef::PromiseExport(number) => RRef::PromiseImport(number),
        RRef::PromiseImport(number) => RRef::PromiseExport(number),
    }
}

/// Whether a name of our frame was allocated by the peer.
const fn is_peers(rref: RRef) -> bool {
    matches!(rref, RRef::Export(_) | RRef::PromiseExport(_))
}

impl Ctx<'_, '_> {
    /// What a name means, in our frame.
    pub(crate) fn named(&self, remote: RemoteId, rref: RRef) -> Result<Option<KRef>, Fault> {
        self.get::<RemoteRefs>(&(remote, rref))
    }

    pub(crate) fn name_of(&self, remote: RemoteId, kref: KRef) -> Result<Option<RemoteName>, Fault> {
        self.get::<RemoteNames>(&(kref, remote))
    }

    /// Our name for something that message `seq` tells the peer of. New names of unsettled promises subscribe the peer;
    /// those of settled ones are told after the message.
    pub(crate) fn kernel_to_remote(&mut self, remote: RemoteId, kref: KRef, seq: u64) -> Result<RRef, Fault> {
        if let Some(name) = self.name_of(remote, kref)? {
            if let (RRef::Import(_), KRef::Object(id)) = (name.rref, kref) {
                self.put::<RemoteNames>(
                    &(kref, remote),
                    &RemoteName { reachable: true, last_named: seq, lost: false, ..name },
                );
                self.no_longer_lost(remote, name)?;
                if !name.reachable {
                    self.strengthen(id)?;
                }
            }
            return Ok(name.rref);
        }
        let rref = self.new_name(remote, kref, seq)?;
        if let KRef::Promise(id) = kref
            && !defect::broken(Defect::PromiseNotSubscribed)
        {
            self.subscribe(id, Subscriber::Remote(remote))?;
        }
        Ok(rref)
    }

    pub(crate) fn capdata_to_remote(
        &mut self,
        remote: RemoteId,
        data: CapData<KRef>,
        seq: u64,
    ) -> Result<CapData<RRef>, Fault> {
        data.try_into_map(|&kref| Ok(flipped(self.kernel_to_remote(remote, kref, seq)?)))
    }

    /// The name of a promise that the peer is to settle from now on.
    pub(crate) fn result_to_remote(&mut self, remote: RemoteId, id: PromiseId, seq: u64) -> Result<RRef, Fault> {
        let rref = if self.hears_of(remote, id)? {
            self.settled_name(remote, id, seq)?
        } else {
            self.new_name(remote, id.into(), seq)?
        };
        // Whoever decides a promise is not told of it.
        self.unsubscribe(id, Subscriber::Remote(remote))?;
        self.set_decider(id, Decider::Remote(remote))?;
        Ok(rref)
    }

    /// Whether the peer can have a name for a promise that is the result of a message: only who hears of it has one.
    fn hears_of(&self, remote: RemoteId, id: PromiseId) -> Result<bool, Fault> {
        Ok(match self.need::<Promises>(&id)?.state {
            PromiseState::Unresolved { decider, subscribers, .. } => {
                decider != Decider::Nobody || subscribers.contains(&Subscriber::Remote(remote))
            }
            PromiseState::Fulfilled(_) | PromiseState::Rejected(_) => true,
        })
    }

    /// The name of a promise of which the caller sees to it that the peer learns the rest.
    pub(crate) fn settled_name(&mut self, remote: RemoteId, id: PromiseId, seq: u64) -> Result<RRef, Fault> {
        match self.name_of(remote, id.into())? {
            Some(name) => Ok(name.rref),
            None => self.new_name(remote, id.into(), seq),
        }
    }

    /// A number of ours. Numbers never go back.
    fn new_name(&mut self, remote: RemoteId, kref: KRef, seq: u64) -> Result<RRef, Fault> {
        let rref = self.change_remote(remote, |cursor| match kref {
            KRef::Object(_) => {
                cursor.last_object += 1;
                RRef::Import(cursor.last_object)
            }
            KRef::Promise(_) => {
                cursor.last_promise += 1;
                RRef::PromiseImport(cursor.last_promise)
            }
        })?;
        self.hold(kref)?;
        // For a promise the field means the last message *to* it (L5).
        let last_named = if matches!(kref, KRef::Object(_)) { seq } else { 0 };
        self.link_name(remote, kref, rref, last_named)?;
        Ok(rref)
    }

    pub(super) fn link_name(&mut self, remote: RemoteId, kref: KRef, rref: RRef, last_named: u64) -> Result<(), Fault> {
        let name = RemoteName { rref, reachable: true, last_named, lost: false };
        self.put_new::<RemoteNames>(&(kref, remote), &name);
        self.put_new::<RemoteRefs>(&(remote, rref), &kref);
        self.change_remote(remote, |cursor| {
            cursor.names += 1;
            cursor.peer_names += u64::from(is_peers(rref));
        })
    }

    /// A name is given back: there is room for another.
    fn uncount_name(&mut self, remote: RemoteId, rref: RRef) -> Result<(), Fault> {
        let counted = self.change_remote(remote, |cursor| {
            cursor.names = cursor.names.checked_sub(1)?;
            cursor.peer_names = cursor.peer_names.checked_sub(u64::from(is_peers(rref)))?;
            Some(())
        })?;
        counted.ok_or_else(|| broken(format!("the count of the names of {remote} underflows")))
    }

    /// What the peer's name means here. Validated: an unknown one is a new name of the peer, or of an object of ours that
    /// it does not have any more.
    pub(crate) fn remote_to_kernel(&mut self, remote: RemoteId, rref: RRef) -> Result<KRef, Fault> {
        let known = self.named(remote, rref)?;
        match (rref, known) {
            (RRef::Import(_), _) if defect::broken(Defect::GivenToAnyPeer) => self.given_to_any(rref),
            (RRef::Import(_), Some(kref)) if self.still_has(remote, kref)? => Ok(kref),
            (RRef::Import(_), _) => Ok(self.new_object(Owner::Orphan)?.into()),
            (RRef::Export(_), Some(kref)) => {
                if let Some(name) = self.name_of(remote, kref)?
                    && !name.reachable
                {
                    // We have told the peer that we dropped it; it did not know that yet, so the drop is stale for it.
                    self.put::<RemoteNames>(&(kref, remote), &RemoteName { reachable: true, ..name });
                    self.maybe_free.insert(kref);
                }
                Ok(kref)
            }
            (_, Some(kref)) => Ok(kref),
            (RRef::Export(number), None) => {
                let kref = KRef::Object(self.new_object(Owner::Remote(remote))?);
                self.link_name(remote, kref, rref, 0)?;
                self.change_remote(remote, |cursor| cursor.peer_object = cursor.peer_object.max(number))?;
                Ok(kref)
            }
            (RRef::PromiseExport(_), None) => Ok(self.peer_promise(remote, rref, Decider::Remote(remote))?.into()),
            (RRef::PromiseImport(_), None) => Err(broken(format!("{remote} was never given {rref}"))),
        }
    }

    /// What [`Defect::GivenToAnyPeer`] takes a name for: what the first peer was given under it.
    fn given_to_any(&mut self, rref: RRef) -> Result<KRef, Fault> {
        for (remote, _) in self.scan::<Remotes>(&())? {
            if let Some(kref) = self.named(remote, rref)? {
                return Ok(kref);
            }
        }
        Ok(self.new_object(Owner::Orphan)?.into())
    }

    /// Whether an object of ours with a name is one that the peer may speak of: it has not let go of it, and it is not a
    /// former life of the peer that was given it (L11).
    pub(crate) fn still_has(&self, remote: RemoteId, kref: KRef) -> Result<bool, Fault> {
        let name = self.need::<RemoteNames>(&(kref, remote))?;
        Ok(name.reachable && !name.lost)
    }

    pub(crate) fn capdata_to_kernel_from(
        &mut self,
        remote: RemoteId,
        data: CapData<RRef>,
    ) -> Result<CapData<KRef>, Fault> {
        data.try_into_map(|&rref| self.remote_to_kernel(remote, rref))
    }

    /// The result of a message of the peer: from now on the message decides it, and the peer wants to know.
    pub(crate) fn result_from_remote(&mut self, remote: RemoteId, rref: RRef) -> Result<PromiseId, Fault> {
        let known = if self.is_fresh(remote, rref)? { None } else { self.named(remote, rref)? };
        let id = match known {
            Some(KRef::Promise(id)) if self.has_messages_on_the_way(remote, id)? => self.stand_in(remote, id)?,
            Some(KRef::Promise(id)) => {
                self.set_decider(id, Decider::Nobody)?;
                id
            }
            Some(KRef::Object(id)) => return Err(broken(format!("{id} has the name {rref} of a promise"))),
            None => self.peer_promise(remote, rref, Decider::Nobody)?,
        };
        self.subscribe(id, Subscriber::Remote(remote))?;
        Ok(id)
    }

    /// Whether a number is one that the peer has never given to a promise, so that there is nothing to look up.
    pub(super) fn is_fresh(&self, remote: RemoteId, rref: RRef) -> Result<bool, Fault> {
        Ok(matches!(rref, RRef::PromiseExport(number) if number > self.remote_cursor(remote)?.peer_promise))
    }

    fn peer_promise(&mut self, remote: RemoteId, rref: RRef, decider: Decider) -> Result<PromiseId, Fault> {
        let id = self.new_promise(decider)?;
        self.link_name(remote, id.into(), rref, 0)?;
        if let RRef::PromiseExport(number) = rref {
            self.change_remote(remote, |cursor| cursor.peer_promise = cursor.peer_promise.max(number))?;
        }
        Ok(id)
    }

    /// Whether it is up to the peer to settle this promise: it decides it and has not settled it yet.
    pub(crate) fn peer_decides(&self, remote: RemoteId, kref: KRef) -> Result<bool, Fault> {
        match kref {
            KRef::Promise(id) if self.decider(id)? == Some(Decider::Remote(remote)) => {
                Ok(self.turn.has::<RemoteNames>(&(kref, remote))? && !self.turn.has::<Withheld>(&(remote, id))?)
            }
            _ => Ok(false),
        }
    }

    /// Removes both rows of a name and what they counted.
    pub(crate) fn unlink_name(&mut self, remote: RemoteId, kref: KRef) -> Result<(), Fault> {
        let name = self.need::<RemoteNames>(&(kref, remote))?;
        self.delete::<RemoteNames>(&(kref, remote));
        self.delete::<RemoteRefs>(&(remote, name.rref));
        self.uncount_name(remote, name.rref)?;
        self.no_longer_lost(remote, name)?;
        match (kref, name.rref) {
            (KRef::Promise(id), _) => self.release_promise(id),
            (KRef::Object(_), RRef::Import(_)) if name.reachable => self.release(kref),
            (KRef::Object(id), RRef::Import(_)) => self.forget(id),
            (KRef::Object(_), _) => Ok(()),
        }
    }

    /// Removes a name of a settled promise that stood only by name.
    pub(crate) fn forget_ref(&mut self, remote: RemoteId, rref: RRef) -> Result<(), Fault> {
        let Some(KRef::Promise(id)) = self.named(remote, rref)? else { return Ok(()) };
        self.delete::<RemoteRefs>(&(remote, rref));
        self.uncount_name(remote, rref)?;
        self.release_promise(id)
    }
}
