//! Garbage: what the end of a turn finds unreachable, and the actions that tell vats so (kernel-semantics §5.4–5.6).

use crate::blame::Fault;
use crate::ctx::Ctx;
use sturdy_store::{
    ClistByKref, GcAction, GcActions, Objects, Owner, PromiseState, Promises, Read, ServiceObjects, VatCursors,
};
use sturdy_types::{KRef, ObjectId, PromiseId, VatId};

impl Ctx<'_, '_> {
    /// Looks at every reference whose counts fell in this turn, and at those that this frees in turn.
    pub(crate) fn collect(&mut self) -> Result<(), Fault> {
        while let Some(kref) = self.maybe_free.pop_first() {
            match kref {
                KRef::Promise(id) => self.collect_promise(id)?,
                KRef::Object(id) => self.collect_object(id)?,
            }
        }
        Ok(())
    }

    fn collect_promise(&mut self, id: PromiseId) -> Result<(), Fault> {
        let Some(promise) = self.get::<Promises>(&id)? else { return Ok(()) };
        if promise.refs > 0 {
            return Ok(());
        }
        self.delete::<Promises>(&id);
        match promise.state {
            PromiseState::Fulfilled(value) | PromiseState::Rejected(value) => self.release_slots(&value),
            PromiseState::Unresolved { .. } => Ok(()), // nobody decides it, nobody waits for it
        }
    }

    fn collect_object(&mut self, id: ObjectId) -> Result<(), Fault> {
        let Some(object) = self.get::<Objects>(&id)? else { return Ok(()) };
        if object.reachable > 0 {
            return Ok(());
        }
        match object.owner {
            Owner::Vat(owner) => {
                let entry = self.need::<ClistByKref>(&(id.into(), owner))?;
                if entry.reachable {
                    self.schedule_gc(owner, GcAction::DropExport, id)?;
                }
                if object.recognizable == 0 {
                    self.schedule_gc(owner, GcAction::RetireExport, id)?;
                }
            }
            Owner::Orphan if object.recognizable > 0 => {
                self.orphan_leaves_remotes(id)?;
                for ((_, vat), _) in self.scan::<ClistByKref>(&id.into())? {
                    self.schedule_gc(vat, GcAction::RetireImport, id)?;
                }
            }
            Owner::Orphan => self.delete::<Objects>(&id),
            Owner::Kernel if object.recognizable == 0 && !self.turn.has::<ServiceObjects>(&id)? => {
                self.delete::<Objects>(&id);
            }
            Owner::Remote(remote) => self.collect_remote_object(remote, id, &object)?,
            Owner::Kernel => {}
        }
        Ok(())
    }

    /// Adds an action to the set, once, and wakes its vat (defect 19).
    fn schedule_gc(&mut self, vat: VatId, action: GcAction, id: ObjectId) -> Result<(), Fault> {
        if self.turn.has::<GcActions>(&(vat, action, id))? {
            return Ok(());
        }
        self.put::<GcActions>(&(vat, action, id), &());
        let mut cursor = self.cursor(vat)?;
        cursor.gc_due += 1;
        self.set_cursor(vat, &cursor);
        self.wake(vat);
        Ok(())
    }

    /// Asks a vat for its garbage, at its next turn.
    pub(crate) fn schedule_reap(&mut self, vat: VatId) -> Result<(), Fault> {
        if let Some(mut cursor) = self.get::<VatCursors>(&vat)?
            && !cursor.reap_due
        {
            cursor.reap_due = true;
            self.set_cursor(vat, &cursor);
            self.wake(vat);
        }
        Ok(())
    }
}
