//! The crossings between kernel and vat space: the only module that reads and writes c-lists one entry at a time
//! (law 9, kernel-semantics §3.2).
//!
//! What always holds: the two tables of a c-list mirror each other; an import's entry with the flag set counts as one
//! way to reach the object, without it as one way to recognize it; only its own vat's cranks (and its end) change a
//! c-list, so what `begin` planned is still true at `finish`.

use crate::blame::{Blame, Fault, VatFault, broken};
use crate::crank::Crossings;
use crate::ctx::Ctx;
use sturdy_store::{ClistByKref, ClistByVref, ClistEntry, Decider, ObjectRecord, Objects, Owner, VatCursor};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CapData, Hold, KRef, Message, ObjectId, PromiseId, VRef, VatId};

impl Ctx<'_, '_> {
    /// The kernel's name for what the vat calls `vref`. A new `+` name is an export; an unknown `-` name is something
    /// that the vat was never given.
    pub(crate) fn vat_to_kernel(&mut self, vat: VatId, vref: VRef) -> Result<KRef, Blame> {
        if let Some(kref) = self.get::<ClistByVref>(&(vat, vref))? {
            if vref.is_export() && !vref.is_promise() {
                self.reflag_export(vat, kref)?;
            }
            return Ok(kref);
        }
        match vref {
            VRef::Import(_) | VRef::PromiseImport(_) => {
                Err(VatFault::illegal(format!("{vat} was never given {vref}")).into())
            }
            VRef::Export(_) | VRef::Virtual(_) => Ok(self.export_object(vat, vref)?.into()),
            VRef::PromiseExport(_) => Ok(self.export_promise(vat, vref, Decider::Vat(vat))?.into()),
        }
    }

    /// The result promise of a message that the vat sends: one that it decides, or a new one. From now on the message
    /// decides it (kernel-semantics §4.2).
    pub(crate) fn result_to_kernel(&mut self, vat: VatId, vref: VRef) -> Result<PromiseId, Blame> {
        match self.get::<ClistByVref>(&(vat, vref))? {
            Some(KRef::Promise(id)) if self.decider(id)? == Some(Decider::Vat(vat)) => {
                self.set_decider(id, Decider::Nobody)?;
                Ok(id)
            }
            None if matches!(vref, VRef::PromiseExport(_)) => Ok(self.export_promise(vat, vref, Decider::Nobody)?),
            _ => Err(VatFault::illegal(format!("{vref} cannot be a result: {vat} does not decide it")).into()),
        }
    }

    pub(crate) fn capdata_to_kernel(&mut self, vat: VatId, data: CapData<VRef>) -> Result<CapData<KRef>, Blame> {
        data.try_into_map(|&vref| self.vat_to_kernel(vat, vref))
    }

    /// Exports an object: a new kernel object, counted by nobody yet.
    pub(crate) fn export_object(&mut self, vat: VatId, vref: VRef) -> Result<ObjectId, Fault> {
        let id = self.new_object(Owner::Vat(vat))?;
        self.link(vat, vref, id.into());
        Ok(id)
    }

    pub(crate) fn new_object(&mut self, owner: Owner) -> Result<ObjectId, Fault> {
        let id = self.next_id(|counters| {
            counters.objects += 1;
            ObjectId(counters.objects)
        })?;
        self.put_new::<Objects>(&id, &ObjectRecord { owner, reachable: 0, recognizable: 0, pins: 0, revoked: false });
        // Whoever exports it usually lets something hold it in the same turn; if not, it is garbage at once.
        self.maybe_free.insert(id.into());
        Ok(id)
    }

    fn export_promise(&mut self, vat: VatId, vref: VRef, decider: Decider) -> Result<PromiseId, Fault> {
        let id = self.new_promise(decider)?;
        self.link(vat, vref, id.into());
        Ok(id)
    }

    fn reflag_export(&mut self, vat: VatId, kref: KRef) -> Result<(), Fault> {
        let mut entry = self.need::<ClistByKref>(&(kref, vat))?;
        if !entry.reachable {
            entry.reachable = true;
            self.put::<ClistByKref>(&(kref, vat), &entry);
            self.maybe_free.insert(kref);
        }
        Ok(())
    }

    fn link(&mut self, vat: VatId, vref: VRef, kref: KRef) {
        self.put_new::<ClistByKref>(&(kref, vat), &ClistEntry { vref, reachable: true, hold: Hold::None });
        self.put_new::<ClistByVref>(&(vat, vref), &kref);
    }

    /// Removes both halves of an entry and what an import counted.
    pub(crate) fn unlink(&mut self, vat: VatId, kref: KRef) -> Result<(), Fault> {
        let entry = self.need::<ClistByKref>(&(kref, vat))?;
        self.delete::<ClistByKref>(&(kref, vat));
        self.delete::<ClistByVref>(&(vat, entry.vref));
        match (kref, entry.vref) {
            (KRef::Promise(id), _) => self.release_promise(id),
            (KRef::Object(_), VRef::Import(_)) if entry.reachable => self.release(kref),
            (KRef::Object(id), VRef::Import(_)) => self.forget(id),
            (KRef::Object(_), _) => Ok(()), // the owner's entry counts nothing
        }
    }

    /// The vat's name for `kref`, to be told to it by the crank being planned. Nothing is written: new imports go into
    /// the plan and are linked by [`Ctx::link_crossings`] when the crank commits (law 5).
    pub(crate) fn kernel_to_vat(
        &self,
        vat: VatId,
        kref: KRef,
        cursor: &mut VatCursor,
        crossings: &mut Crossings,
    ) -> Result<VRef, Fault> {
        if let Some(entry) = self.get::<ClistByKref>(&(kref, vat))? {
            if !entry.reachable {
                crossings.insert(kref, entry.vref);
            }
            return Ok(entry.vref);
        }
        if let Some(&planned) = crossings.get(&kref) {
            return Ok(planned);
        }
        let vref = match kref {
            KRef::Object(_) => {
                cursor.next_object += 1;
                VRef::Import(cursor.next_object)
            }
            KRef::Promise(_) => {
                cursor.next_promise += 1;
                VRef::PromiseImport(cursor.next_promise)
            }
        };
        crossings.insert(kref, vref);
        Ok(vref)
    }

    pub(crate) fn capdata_to_vat(
        &self,
        vat: VatId,
        data: CapData<KRef>,
        cursor: &mut VatCursor,
        crossings: &mut Crossings,
    ) -> Result<CapData<VRef>, Fault> {
        data.try_into_map(|&kref| self.kernel_to_vat(vat, kref, cursor, crossings))
    }

    pub(crate) fn message_to_vat(
        &self,
        vat: VatId,
        message: Message<KRef>,
        cursor: &mut VatCursor,
        crossings: &mut Crossings,
    ) -> Result<Message<VRef>, Fault> {
        let methargs = self.capdata_to_vat(vat, message.methargs, cursor, crossings)?;
        let result = match message.result {
            Some(kref) => Some(self.kernel_to_vat(vat, kref, cursor, crossings)?),
            None => None,
        };
        Ok(Message { methargs, result })
    }

    /// Writes what [`Ctx::kernel_to_vat`] planned: new imports, and entries that can be reached again
    /// (kernel-semantics §3.2 WANT, defect 22).
    pub(crate) fn link_crossings(&mut self, vat: VatId, crossings: &Crossings) -> Result<(), Fault> {
        for (&kref, &vref) in crossings {
            match self.get::<ClistByKref>(&(kref, vat))? {
                None => {
                    self.link(vat, vref, kref);
                    let is_third = |ctx: &Self| Ok::<_, Fault>(ctx.scan::<ClistByKref>(&kref)?.len() > 2);
                    if defect::broken(Defect::SecondImporterNotCounted)
                        && matches!(kref, KRef::Object(_))
                        && is_third(self)?
                    {
                        continue;
                    }
                    self.hold(kref)?;
                }
                Some(mut entry) if !entry.reachable => {
                    entry.reachable = true;
                    self.put::<ClistByKref>(&(kref, vat), &entry);
                    if let (KRef::Object(id), VRef::Import(_)) = (kref, vref) {
                        self.strengthen(id)?;
                    }
                }
                Some(entry) if entry.vref == vref => {}
                Some(_) => return Err(broken(format!("{vat} knows {kref} under two names"))),
            }
        }
        Ok(())
    }
}
