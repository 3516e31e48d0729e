//! The second half of a crank: the outcome takes effect, all of it in one turn (G1, G3).

use crate::blame::{Blame, Fault, VatFault, reason_text};
use crate::crank::{Plan, PlannedItem};
use crate::ctx::Ctx;
use sturdy_store::{ClistByKref, Decider, GcAction, GcActions, Objects, VatState};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CapData, Code, Fatal, Hold, KRef, KernelError, Outcome, StateDelta, VatId, Verdict};

/// How a vat wants to end.
pub(crate) struct Exit {
    pub reason: CapData<KRef>,
}

impl Ctx<'_, '_> {
    /// Applies the outcome of a planned delivery. A fault of the vat means: drop the turn, then
    /// [`crate::answer_for`] it.
    pub(crate) fn finish(&mut self, plan: &Plan, outcome: Outcome) -> Result<(), Blame> {
        if let Verdict::Failed(code, detail) = outcome.verdict {
            return Err(VatFault::Fatal(code, detail).into());
        }
        let vat = plan.vat;
        self.settle_item(plan)?;
        self.apply_state(vat, outcome.state)?;
        let exit = self.apply_syscalls(vat, outcome.syscalls)?;
        if matches!(plan.item, PlannedItem::Start(_)) {
            self.vat_started(vat)?;
        }
        if let Some(exit) = exit {
            let error =
                KernelError::new(Code::VatTerminated, format!("{vat} ended itself: {}", reason_text(&exit.reason)));
            self.terminate_vat(vat, &exit.reason, &error)?;
        }
        self.wake(vat);
        Ok(())
    }

    /// The item leaves its queue, and what its delivery implies is written.
    fn settle_item(&mut self, plan: &Plan) -> Result<(), Fault> {
        let vat = plan.vat;
        if let PlannedItem::Start(of) = plan.item {
            return self.begin_run(vat, plan.run, of);
        }
        self.link_crossings(vat, &plan.crossings)?;
        let mut cursor = self.cursor(vat)?;
        cursor.next_object = plan.next_object;
        cursor.next_promise = plan.next_promise;
        if plan.item == PlannedItem::Reap {
            cursor.reap_due = false;
            cursor.deliveries_since_reap = 0;
        } else {
            cursor.deliveries_since_reap += 1;
            cursor.reap_due |= cursor.deliveries_since_reap >= self.limits.deliveries_per_reap;
        }
        if let PlannedItem::Gc { rows, .. } = &plan.item {
            cursor.gc_due -= rows.len() as u64;
        }
        if let PlannedItem::Send { index, .. } | PlannedItem::Notify { index, .. } = plan.item {
            self.delete::<sturdy_store::Inbox>(&(vat, index));
            cursor.inbox_head = index + 1;
        }
        cursor.survived(plan.item_id());
        self.set_cursor(vat, &cursor);
        match &plan.item {
            PlannedItem::Send { target, message, .. } => {
                if let Some(KRef::Promise(result)) = message.result {
                    self.hand_over(result, Decider::Vat(vat))?;
                }
                self.release((*target).into())?;
                self.release_slots(&message.methargs)
            }
            PlannedItem::Notify { promise, batch, .. } => {
                for id in batch {
                    self.unlink(vat, (*id).into())?;
                }
                self.release_promise(*promise)
            }
            PlannedItem::Gc { action, rows, objects } => {
                for id in rows {
                    self.delete::<GcActions>(&(vat, *action, *id));
                    // Another turn may have made it garbage again while its row still stood.
                    self.maybe_free.insert((*id).into());
                }
                objects.iter().try_for_each(|&id| self.garbage_delivered(vat, *action, id))
            }
            PlannedItem::Start(_) | PlannedItem::Reap => Ok(()),
        }
    }

    /// The flags and entries that a GC delivery changes (kernel-semantics §5.4 WANT, defect 18).
    fn garbage_delivered(&mut self, vat: VatId, action: GcAction, id: sturdy_types::ObjectId) -> Result<(), Fault> {
        match action {
            GcAction::DropExport => {
                let mut entry = self.need::<ClistByKref>(&(id.into(), vat))?;
                entry.reachable = false;
                self.put::<ClistByKref>(&(id.into(), vat), &entry);
                Ok(())
            }
            GcAction::RetireExport if defect::broken(Defect::RetiredExportStays) => Ok(()),
            GcAction::RetireExport => {
                self.unlink(vat, id.into())?;
                self.delete::<Objects>(&id);
                Ok(())
            }
            GcAction::RetireImport => self.unlink(vat, id.into()),
        }
    }

    fn apply_state(&mut self, vat: VatId, delta: StateDelta) -> Result<(), Blame> {
        let bytes: usize =
            delta.writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, String::len)).sum();
        if bytes > self.limits.state_bytes_per_crank {
            let limit = self.limits.state_bytes_per_crank;
            return Err(VatFault::Fatal(
                Fatal::OutputLimit,
                format!("{bytes} bytes of state written, the limit is {limit}"),
            )
            .into());
        }
        for (key, value) in delta.writes {
            match value {
                Some(value) => self.put::<VatState>(&(vat, key), &value),
                None => self.delete::<VatState>(&(vat, key)),
            }
        }
        // Holds of promises that syscalls of this crank export come after them; see `apply_holds`.
        self.pending_holds = delta.holds;
        Ok(())
    }

    /// Notes how firmly durable state holds references; after the syscalls, which may have made the names known.
    pub(crate) fn apply_holds(&mut self, vat: VatId) -> Result<(), Blame> {
        for (vref, hold) in std::mem::take(&mut self.pending_holds) {
            let known = self.get::<sturdy_store::ClistByVref>(&(vat, vref))?;
            match known {
                Some(kref) => {
                    let mut entry = self.need::<ClistByKref>(&(kref, vat))?;
                    if entry.hold != hold {
                        entry.hold = hold;
                        self.put::<ClistByKref>(&(kref, vat), &entry);
                    }
                }
                // What is let go may be forgotten already: a settled promise, a retired import.
                None if hold == Hold::None => {}
                None => return Err(VatFault::illegal(format!("{vat} keeps {vref}, which it was never given")).into()),
            }
        }
        Ok(())
    }
}
