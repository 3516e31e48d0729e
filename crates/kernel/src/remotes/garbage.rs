//! Garbage across the wire (L7): what we let go of the peer's, and what of ours is gone. It waits as a set while its group
//! is open, and is told in the last turn of the group, so that what many turns have found goes in one message of a kind.
//!
//! What always holds: the set is part of the open group: it comes with the merge of a turn that has changed the names, and
//! is in the outbox when that is durable. What the peer has named again meanwhile is not told: the message acknowledges
//! what it was named in, and would take it away.

use crate::blame::Fault;
use crate::ctx::Ctx;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_remote::{Body, Delivered, Envelope, MAX_LIST, Packet, decode};
use sturdy_store::{ObjectRecord, Objects, Outbox, RemoteName, RemoteNames, Remotes};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{ObjectId, RRef, RemoteId};

/// What is to be told to peers when the group ends.
#[derive(Debug, Default)]
pub struct Garbage(BTreeMap<RemoteId, RemoteGarbage>);

/// What one peer is to be told, in our names.
#[derive(Debug, Default)]
pub(crate) struct RemoteGarbage {
    /// The conversation in which these names mean this.
    conversation: u64,
    /// The one before, if this one has begun without a loss of state: its names go on to mean the same.
    continues: Option<u64>,
    drops: BTreeSet<RRef>,
    retires: BTreeSet<RRef>,
    gone: BTreeSet<RRef>,
}

impl Garbage {
    /// Whether nothing is to be told.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what a later turn has found. What was found before a loss of state is not told any more.
    pub fn join(&mut self, later: Self) {
        for (remote, more) in later.0 {
            let known = self.0.entry(remote).or_default();
            if known.conversation == more.conversation || more.continues == Some(known.conversation) {
                known.conversation = more.conversation;
                known.continues = known.continues.or(more.continues);
                known.drops.extend(more.drops);
                known.retires.extend(more.retires);
                known.gone.extend(more.gone);
            } else {
                *known = more;
            }
        }
    }
}

/// The last turn of a group: tells peers what its turns have found.
pub fn tell_garbage(ctx: &mut Ctx<'_, '_>, garbage: Garbage) -> Result<(), Fault> {
    for (remote, garbage) in garbage.0 {
        if ctx.need::<Remotes>(&remote)?.conversation == garbage.conversation {
            ctx.tell_garbage_to(remote, garbage)?;
        }
    }
    Ok(())
}

impl Ctx<'_, '_> {
    /// Nobody reaches this object of the peer any more.
    pub(crate) fn collect_remote_object(
        &mut self,
        remote: RemoteId,
        id: ObjectId,
        object: &ObjectRecord,
    ) -> Result<(), Fault> {
        let name = self.need::<RemoteNames>(&(id.into(), remote))?;
        if name.reachable {
            self.put::<RemoteNames>(&(id.into(), remote), &RemoteName { reachable: false, ..name });
            self.garbage_of(remote).drops.insert(name.rref);
        }
        if object.recognizable == 0 {
            self.unlink_name(remote, id.into())?;
            self.delete::<Objects>(&id);
            self.garbage_of(remote).retires.insert(name.rref);
        }
        Ok(())
    }

    /// An object without an owner that nobody reaches: peers that could recognize it are told, and forget it.
    pub(crate) fn orphan_leaves_remotes(&mut self, id: ObjectId) -> Result<(), Fault> {
        for ((kref, remote), name) in self.scan::<RemoteNames>(&id.into())? {
            self.unlink_name(remote, kref)?;
            if !name.lost {
                self.garbage_of(remote).gone.insert(name.rref);
            }
        }
        Ok(())
    }

    /// We forget the peer, and with it this object of its.
    pub(super) fn let_go_of(&mut self, remote: RemoteId, rref: RRef) {
        let garbage = self.garbage_of(remote);
        garbage.drops.insert(rref);
        garbage.retires.insert(rref);
    }

    /// The conversation of this number ends, and both sides keep their state. What the peer was to let go of, and has perhaps
    /// not heard, is told in the next one.
    pub(super) fn carry_garbage(&mut self, remote: RemoteId, ended: u64) -> Result<(), Fault> {
        let outbox = self.scan::<Outbox>(&remote)?;
        let garbage = self.garbage_of(remote);
        garbage.continues.get_or_insert(ended);
        for (_, text) in outbox {
            let Ok(Packet::Message(Envelope { body: Ok(Body::Deliver(told)), .. })) = decode(text.as_bytes()) else {
                continue;
            };
            let (names, kept) = match told {
                Delivered::DropExports(names) => (names, &mut garbage.drops),
                Delivered::RetireExports(names) => (names, &mut garbage.retires),
                Delivered::RetireImports(names) => (names, &mut garbage.gone),
                _ => continue,
            };
            kept.extend(names.into_iter().map(super::names::flipped));
        }
        Ok(())
    }

    fn garbage_of(&mut self, remote: RemoteId) -> &mut RemoteGarbage {
        self.remote_garbage.entry(remote).or_default()
    }

    /// What this turn has found waits for the end of the group.
    pub(crate) fn keep_garbage(&mut self) -> Result<(), Fault> {
        for (remote, mut found) in std::mem::take(&mut self.remote_garbage) {
            found.conversation = self.need::<Remotes>(&remote)?.conversation;
            self.effects.garbage.join(Garbage(BTreeMap::from([(remote, found)])));
        }
        Ok(())
    }

    fn tell_garbage_to(&mut self, remote: RemoteId, garbage: RemoteGarbage) -> Result<(), Fault> {
        let RemoteGarbage { drops, retires, gone, .. } = garbage;
        let drops = self.still(remote, drops, |name| name.is_none_or(|name| !name.reachable))?;
        let retires = self.still(remote, retires, |name| name.is_none())?;
        let gone: Vec<RRef> = gone.into_iter().map(super::names::flipped).collect();
        for (names, body) in [
            (drops, Delivered::DropExports as fn(Vec<RRef>) -> Delivered),
            (retires, Delivered::RetireExports),
            (gone, Delivered::RetireImports),
        ] {
            for names in names.chunks(MAX_LIST) {
                self.append(remote, Body::Deliver(body(names.to_vec())))?;
            }
        }
        Ok(())
    }

    /// Those of these names of the peer that stand as they should, as the peer says them.
    fn still(
        &self,
        remote: RemoteId,
        names: BTreeSet<RRef>,
        as_it_should: impl Fn(Option<RemoteName>) -> bool,
    ) -> Result<Vec<RRef>, Fault> {
        let mut still = Vec::with_capacity(names.len());
        for rref in names {
            let name = match self.named(remote, rref)? {
                Some(kref) => self.name_of(remote, kref)?,
                None => None,
            };
            if as_it_should(name) {
                let wrong = defect::broken(Defect::GarbageWrongSign);
                still.push(if wrong { rref } else { super::names::flipped(rref) });
            }
        }
        Ok(still)
    }
}
