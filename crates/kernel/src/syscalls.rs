//! What vats ask of the kernel (kernel-semantics §3.3). The first illegal syscall ends the crank, the first exit ends
//! the vat, and nothing after either has an effect (defect 8).

use crate::blame::{Blame, VatFault};
use crate::ctx::Ctx;
use crate::finish::Exit;
use sturdy_store::{ClistByKref, ClistByVref, Decider, Objects, Owner, Subscriber};
use sturdy_types::{CapData, Code, Fatal, KRef, KernelError, Message, ObjectId, Resolution, Syscall, VRef, VatId};

impl Ctx<'_, '_> {
    /// Applies them in order, up to the first exit.
    pub(crate) fn apply_syscalls(&mut self, vat: VatId, syscalls: Vec<Syscall>) -> Result<Option<Exit>, Blame> {
        if syscalls.len() > self.limits.syscalls_per_crank {
            let (count, limit) = (syscalls.len(), self.limits.syscalls_per_crank);
            return Err(VatFault::Fatal(
                Fatal::OutputLimit,
                format!("{count} syscalls in one delivery, the limit is {limit}"),
            )
            .into());
        }
        for syscall in syscalls {
            match syscall {
                Syscall::Send { target, message } => self.syscall_send(vat, target, message)?,
                Syscall::Subscribe(vref) => self.syscall_subscribe(vat, vref)?,
                Syscall::Resolve(batch) => self.syscall_resolve(vat, batch)?,
                Syscall::DropImports(vrefs) => vrefs.into_iter().try_for_each(|vref| self.drop_import(vat, vref))?,
                Syscall::RetireImports(vrefs) => {
                    vrefs.into_iter().try_for_each(|vref| self.retire_import(vat, vref))?;
                }
                Syscall::RetireExports(vrefs) => {
                    vrefs.into_iter().try_for_each(|vref| self.retire_export(vat, vref))?;
                }
                Syscall::AbandonExports(vrefs) => {
                    vrefs.into_iter().try_for_each(|vref| self.abandon_export(vat, vref))?;
                }
                Syscall::Illegal(what) => return Err(VatFault::illegal(what).into()),
                Syscall::Exit { failure, info } => {
                    self.apply_holds(vat)?;
                    let reason = self.capdata_to_kernel(vat, info)?;
                    if failure {
                        return Err(VatFault::ExitFailure(reason_outliving_abort(reason)).into());
                    }
                    return Ok(Some(Exit { reason }));
                }
            }
        }
        self.apply_holds(vat)?;
        Ok(None)
    }

    fn syscall_send(&mut self, vat: VatId, target: VRef, message: Message<VRef>) -> Result<(), Blame> {
        let target = self.vat_to_kernel(vat, target)?;
        if let Some(error) = self.too_large(&message.methargs, Code::MessageTooLarge) {
            // The arguments are not crossed: a message that is refused exports nothing but its result.
            let result = message.result.map(|vref| self.result_to_kernel(vat, vref)).transpose()?;
            let message = Message { methargs: CapData::plain(""), result: result.map(KRef::Promise) };
            self.hold_message(&message)?;
            return Ok(self.splat(target, &message, &error)?);
        }
        let methargs = self.capdata_to_kernel(vat, message.methargs)?;
        let result = message.result.map(|vref| self.result_to_kernel(vat, vref)).transpose()?;
        Ok(self.send(target, Message { methargs, result: result.map(KRef::Promise) })?)
    }

    /// What is too large about a value: a message is refused with `MESSAGE_TOO_LARGE`, a settlement, which tells of what
    /// has taken effect, becomes a rejection with `ANSWER_LOST`.
    pub(crate) fn too_large<R>(&self, data: &CapData<R>, code: Code) -> Option<KernelError> {
        let error = |size: usize, unit: &str, limit: usize| {
            KernelError::new(code, format!("{size} {unit}, the limit is {limit}"))
        };
        if data.body.len() > self.limits.body_bytes {
            Some(error(data.body.len(), "bytes of body", self.limits.body_bytes))
        } else if data.slots.len() > self.limits.body_slots {
            Some(error(data.slots.len(), "references", self.limits.body_slots))
        } else {
            None
        }
    }

    fn syscall_subscribe(&mut self, vat: VatId, vref: VRef) -> Result<(), Blame> {
        if !vref.is_promise() {
            return Err(VatFault::illegal(format!("{vref} is no promise to subscribe to")).into());
        }
        match self.vat_to_kernel(vat, vref)? {
            KRef::Promise(id) => Ok(self.subscribe(id, Subscriber::Vat(vat))?),
            KRef::Object(_) => Err(VatFault::illegal(format!("{vref} is no promise to subscribe to")).into()),
        }
    }

    fn syscall_resolve(&mut self, vat: VatId, batch: Vec<Resolution<VRef>>) -> Result<(), Blame> {
        let mut settled = Vec::with_capacity(batch.len());
        for Resolution { promise, rejected, value } in batch {
            let id = match if promise.is_promise() {
                self.vat_to_kernel(vat, promise)?
            } else {
                KRef::Object(ObjectId(0))
            } {
                KRef::Promise(id) if self.decider(id)? == Some(Decider::Vat(vat)) => id,
                _ => return Err(VatFault::illegal(format!("{vat} does not decide {promise}")).into()),
            };
            if let Some(error) = self.too_large(&value, Code::AnswerLost) {
                self.settle(id, true, error.to_capdata())?;
            } else {
                let value = self.capdata_to_kernel(vat, value)?;
                self.settle(id, rejected, value)?;
            }
            settled.push(id);
        }
        // Both sides forget what is settled (kernel-semantics §4.3 WANT, defect 16); after the whole batch, whose
        // values may mention one another.
        settled.into_iter().try_for_each(|id| Ok(self.unlink(vat, id.into())?))
    }

    fn known(&self, vat: VatId, vref: VRef, what: &str) -> Result<(ObjectId, sturdy_store::ClistEntry), Blame> {
        match self.get::<ClistByVref>(&(vat, vref))? {
            Some(KRef::Object(id)) => Ok((id, self.need::<ClistByKref>(&(id.into(), vat))?)),
            _ => Err(VatFault::illegal(format!("{vat} cannot {what} {vref}: it is no object that it has")).into()),
        }
    }

    fn own_import(&self, vat: VatId, vref: VRef, what: &str) -> Result<(ObjectId, sturdy_store::ClistEntry), Blame> {
        match vref {
            VRef::Import(_) => self.known(vat, vref, what),
            _ => Err(VatFault::illegal(format!("{vat} cannot {what} {vref}: it is no imported object")).into()),
        }
    }

    fn own_export(&self, vat: VatId, vref: VRef, what: &str) -> Result<(ObjectId, sturdy_store::ClistEntry), Blame> {
        match vref {
            VRef::Export(_) | VRef::Virtual(_) => self.known(vat, vref, what),
            _ => Err(VatFault::illegal(format!("{vat} cannot {what} {vref}: it is no exported object")).into()),
        }
    }

    fn drop_import(&mut self, vat: VatId, vref: VRef) -> Result<(), Blame> {
        let (id, mut entry) = self.own_import(vat, vref, "drop")?;
        if entry.reachable {
            entry.reachable = false;
            self.put::<ClistByKref>(&(id.into(), vat), &entry);
            self.weaken(id)?;
        }
        Ok(())
    }

    fn retire_import(&mut self, vat: VatId, vref: VRef) -> Result<(), Blame> {
        let (id, entry) = self.own_import(vat, vref, "retire")?;
        if entry.reachable {
            return Err(VatFault::illegal(format!("{vat} retires {vref} while it can reach it")).into());
        }
        Ok(self.unlink(vat, id.into())?)
    }

    fn retire_export(&mut self, vat: VatId, vref: VRef) -> Result<(), Blame> {
        let (id, entry) = self.own_export(vat, vref, "retire")?;
        if entry.reachable {
            return Err(VatFault::illegal(format!("{vat} retires {vref} while others can reach it")).into());
        }
        Ok(self.orphan(vat, id)?)
    }

    fn abandon_export(&mut self, vat: VatId, vref: VRef) -> Result<(), Blame> {
        let (id, _) = self.own_export(vat, vref, "abandon")?;
        Ok(self.orphan(vat, id)?)
    }

    /// The owner has forgotten the object: whoever still reaches it gets `OBJECT_DELETED`, whoever recognizes it is
    /// told once nobody reaches it (kernel-semantics §5.4, item 7 WANT).
    pub(crate) fn orphan(&mut self, vat: VatId, id: ObjectId) -> Result<(), crate::blame::Fault> {
        let root = self.root_of(vat)?;
        self.unlink(vat, id.into())?;
        let mut object = self.need::<Objects>(&id)?;
        object.owner = Owner::Orphan;
        self.put::<Objects>(&id, &object);
        self.maybe_free.insert(id.into());
        if root == Some(id) {
            self.unpin(id)?; // see `begin_run`
        }
        Ok(())
    }
}

/// A failure's reason is told after its crank was undone, so it may name only what exists without the crank.
fn reason_outliving_abort(reason: CapData<KRef>) -> CapData<KRef> {
    if reason.slots.is_empty() {
        reason
    } else {
        KernelError::new(Code::VatTerminated, "the vat gave a reason that names references").to_capdata()
    }
}
