//! A vat gets a new heap: what the old one alone was deciding, exporting or holding ends (house, "Restart of a vat").

use crate::blame::Fault;
use crate::crank::StartOf;
use crate::ctx::Ctx;
use crate::event::Effect;
use sturdy_store::{
    ClistByKref, ClistByVref, ClistEntry, DecidedBy, Decider, ItemId, Reloads, Subscriber, VatStatus, Vats,
};
use sturdy_types::{Code, Hold, KRef, RunId, VRef, VatId};

impl Ctx<'_, '_> {
    /// The start of run `run` has succeeded: the heap before it, if there was one, is lost; the code that ran is the
    /// vat's code now; a first heap gets its root object, which lives as long as the vat.
    pub(crate) fn begin_run(&mut self, vat: VatId, run: RunId, of: StartOf) -> Result<(), Fault> {
        let mut record = self.need::<Vats>(&vat)?;
        if record.started_once {
            self.lose_heap(vat)?;
        } else {
            let root = self.export_object(vat, VRef::ROOT)?;
            self.pin(root)?;
        }
        let reload = self.get::<Reloads>(&vat)?;
        // A reload that was asked for while another start was under way still has its own start before it.
        let start_due = of == StartOf::Stored && reload.is_some();
        if of == StartOf::Reload
            && let Some(config) = reload
        {
            self.delete::<Reloads>(&vat);
            let old = std::mem::replace(&mut record.config, config);
            self.release_sources(&old.code)?;
        }
        record.started_once = true;
        record.status = VatStatus::Running;
        self.put::<Vats>(&vat, &record);
        let mut cursor = self.cursor(vat)?;
        let old_run = std::mem::replace(&mut cursor.run, run);
        cursor.start_due = start_due;
        cursor.failed = false;
        cursor.heapless = false;
        cursor.survived(ItemId::Start);
        self.set_cursor(vat, &cursor);
        if old_run.0 > 0 {
            self.emit(Effect::Stop { vat, run: old_run });
        }
        Ok(())
    }

    /// Ends everything that only the lost heap knew (G12, kernel-semantics §4.6 WANT, defect 7).
    pub(crate) fn lose_heap(&mut self, vat: VatId) -> Result<(), Fault> {
        self.reject_decided(Decider::Vat(vat), Code::VatRestarted, &format!("{vat} was restarted"))?;
        for ((_, vref), kref) in self.scan::<ClistByVref>(&vat)? {
            let entry = self.need::<ClistByKref>(&(kref, vat))?;
            self.lose_entry(vat, vref, kref, &entry)?;
        }
        let mut cursor = self.cursor(vat)?;
        cursor.reap_due = false;
        cursor.deliveries_since_reap = 0;
        self.set_cursor(vat, &cursor);
        Ok(())
    }

    fn lose_entry(&mut self, vat: VatId, vref: VRef, kref: KRef, entry: &ClistEntry) -> Result<(), Fault> {
        match (kref, vref) {
            (KRef::Object(_), VRef::Export(_) | VRef::Virtual(_)) if vref.survives_heap() => Ok(()),
            (KRef::Object(id), VRef::Export(_) | VRef::Virtual(_)) => self.orphan(vat, id),
            (KRef::Object(id), _) => match entry.hold {
                Hold::None => self.unlink(vat, kref),
                Hold::Weak if entry.reachable => {
                    self.put::<ClistByKref>(&(kref, vat), &ClistEntry { reachable: false, ..*entry });
                    self.weaken(id)
                }
                Hold::Weak | Hold::Strong => Ok(()),
            },
            // A durably watched promise keeps its name and its subscription; the notification finds the new heap.
            (KRef::Promise(_), _) if entry.hold == Hold::Strong => Ok(()),
            (KRef::Promise(id), _) => {
                self.unsubscribe(id, Subscriber::Vat(vat))?;
                self.unlink(vat, kref)
            }
        }
    }

    /// Rejects every promise that `decider` was deciding.
    pub(crate) fn reject_decided(&mut self, decider: Decider, code: Code, detail: &str) -> Result<(), Fault> {
        for ((_, id), ()) in self.scan::<DecidedBy>(&decider)? {
            // A cascade may have settled it meanwhile.
            if self.decider(id)? == Some(decider) {
                self.reject(id, code, detail)?;
            }
        }
        Ok(())
    }
}
