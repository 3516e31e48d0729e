//! Garbage across the wire (L7): what we let go of the peer's, and what of ours is gone. Merged per turn, told when the
//! turn closes.

use crate::blame::Fault;
use crate::ctx::Ctx;
use sturdy_remote::{Body, Delivered, MAX_LIST};
use sturdy_store::{ObjectRecord, Objects, RemoteName, RemoteNames};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{ObjectId, RRef, RemoteId};

/// What one turn has to tell one peer. Names are in the frame of the peer.
#[derive(Default)]
pub(crate) struct RemoteGarbage {
    drops: Vec<RRef>,
    retires: Vec<RRef>,
    gone: Vec<RRef>,
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
        let told = if defect::broken(Defect::GarbageWrongSign) { name.rref } else { super::names::flipped(name.rref) };
        if name.reachable {
            self.put::<RemoteNames>(&(id.into(), remote), &RemoteName { reachable: false, ..name });
            self.garbage_of(remote).drops.push(told);
        }
        if object.recognizable == 0 {
            self.unlink_name(remote, id.into())?;
            self.delete::<Objects>(&id);
            self.garbage_of(remote).retires.push(told);
        }
        Ok(())
    }

    /// An object without an owner that nobody reaches: peers that could recognize it are told, and forget it.
    pub(crate) fn orphan_leaves_remotes(&mut self, id: ObjectId) -> Result<(), Fault> {
        for ((kref, remote), name) in self.scan::<RemoteNames>(&id.into())? {
            self.unlink_name(remote, kref)?;
            if !name.lost {
                self.garbage_of(remote).gone.push(super::names::flipped(name.rref));
            }
        }
        Ok(())
    }

    /// We forget the peer, and with it this object of its.
    pub(super) fn let_go_of(&mut self, remote: RemoteId, rref: RRef) {
        let told = super::names::flipped(rref);
        let garbage = self.garbage_of(remote);
        garbage.drops.push(told);
        garbage.retires.push(told);
    }

    fn garbage_of(&mut self, remote: RemoteId) -> &mut RemoteGarbage {
        self.remote_garbage.entry(remote).or_default()
    }

    /// Appends what this turn's collection has found.
    pub(crate) fn tell_garbage(&mut self) -> Result<(), Fault> {
        for (remote, garbage) in std::mem::take(&mut self.remote_garbage) {
            for drops in garbage.drops.chunks(MAX_LIST) {
                self.append(remote, Body::Deliver(Delivered::DropExports(drops.to_vec())))?;
            }
            for retires in garbage.retires.chunks(MAX_LIST) {
                self.append(remote, Body::Deliver(Delivered::RetireExports(retires.to_vec())))?;
            }
            for gone in garbage.gone.chunks(MAX_LIST) {
                self.append(remote, Body::Deliver(Delivered::RetireImports(gone.to_vec())))?;
            }
        }
        Ok(())
    }
}
