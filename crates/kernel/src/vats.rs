//! The life of a vat: created, started, restarted, reloaded, terminated (kernel-semantics §6.3, §6.5).

use crate::blame::{Blame, Fault, Refused, VatFault, reason_text};
use crate::control::Answer;
use crate::crank::{Crossings, Plan, PlannedItem, StartOf};
use crate::ctx::{Ctx, Later};
use crate::event::{Effect, Notice};
use sturdy_store::{
    ClistByVref, DeathRecord, Decider, DoomedVats, GcActions, Inbox, Item, ItemId, Objects, Owner, Read, Reloads,
    SourceRecord, Sources, Subscriber, TicketFor, VatCursor, VatCursors, VatRecord, VatStatus, Vats,
};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{
    CapData, Code, CodeSpec, Fatal, KRef, KernelError, ModuleSource, ObjectId, RunId, SubclusterId, VRef, VatConfig,
    VatId,
};

/// The first heap of a vat.
const FIRST_RUN: RunId = RunId(1);

impl Ctx<'_, '_> {
    /// A new vat whose start is due.
    pub(crate) fn create_vat(
        &mut self,
        subcluster: SubclusterId,
        name: &str,
        config: &VatConfig,
    ) -> Result<VatId, Fault> {
        let vat = self.next_id(|counters| {
            counters.vats += 1;
            VatId(counters.vats)
        })?;
        let record = VatRecord {
            subcluster,
            name: name.to_owned(),
            config: config.clone(),
            status: VatStatus::Starting,
            started_once: false,
        };
        self.put::<Vats>(&vat, &record);
        self.set_cursor(vat, &VatCursor { start_due: true, heapless: true, ..VatCursor::default() });
        self.wake(vat);
        Ok(vat)
    }

    /// Stores source texts and counts one use of each module of `code`. A module that is neither given nor stored is
    /// refused before anything changes.
    pub(crate) fn keep_sources(&mut self, code: &CodeSpec, sources: &[ModuleSource]) -> Result<(), Blame> {
        for (path, hash) in &code.modules {
            let mut record = match self.get::<Sources>(hash)? {
                Some(record) => record,
                None => match sources.iter().find(|source| source.hash == *hash) {
                    Some(source) => SourceRecord { uses: 0, text: source.text.clone() },
                    None => {
                        return Err(
                            Refused::BadConfig(format!("the source of module {path} ({hash}) is missing")).into()
                        );
                    }
                },
            };
            record.uses += 1;
            self.put::<Sources>(hash, &record);
        }
        Ok(())
    }

    /// Undoes [`Ctx::keep_sources`].
    pub(crate) fn release_sources(&mut self, code: &CodeSpec) -> Result<(), Fault> {
        for (_, hash) in &code.modules {
            let mut record = self.need::<Sources>(hash)?;
            record.uses = record.uses.saturating_sub(1);
            if record.uses == 0 {
                self.delete::<Sources>(hash);
            } else {
                self.put::<Sources>(hash, &record);
            }
        }
        Ok(())
    }

    /// The root object of a vat, if the kernel still knows it.
    pub(crate) fn root_of(&self, vat: VatId) -> Result<Option<ObjectId>, Fault> {
        Ok(match self.get::<ClistByVref>(&(vat, VRef::ROOT))? {
            Some(KRef::Object(id)) => Some(id),
            _ => None,
        })
    }

    /// The start of a heap has committed: whoever waits for it is told. A launch counts first heaps only: a vat that is
    /// restarted while others of its launch have yet to start does not start in their place.
    pub(crate) fn vat_started(&mut self, vat: VatId) -> Result<(), Fault> {
        let cursor = self.cursor(vat)?;
        // A start that is due again is that of a reload: its asker is told then.
        if !cursor.start_due {
            self.answer_ticket(TicketFor::Start(vat), Ok(Answer::Done))?;
        }
        if cursor.run != FIRST_RUN {
            return Ok(());
        }
        let subcluster = self.need::<Vats>(&vat)?.subcluster;
        self.subcluster_vat_started(subcluster)
    }

    pub(crate) fn restart_vat(&mut self, vat: VatId) -> Result<(), Blame> {
        let Some(mut cursor) = self.get::<VatCursors>(&vat)? else { return Err(no_such_vat(vat)) };
        cursor.start_due = true;
        self.set_cursor(vat, &cursor);
        self.wake(vat);
        Ok(())
    }

    pub(crate) fn reload_vat(&mut self, vat: VatId, config: &VatConfig, sources: &[ModuleSource]) -> Result<(), Blame> {
        if !self.turn.has::<VatCursors>(&vat)? {
            return Err(no_such_vat(vat));
        }
        if self.get::<Reloads>(&vat)?.is_some() {
            return Err(Refused::StartFailed(format!("{vat} is being reloaded already")).into());
        }
        self.keep_sources(&config.code, sources)?;
        self.put::<Reloads>(&vat, config);
        self.restart_vat(vat)
    }

    /// A delivery failed by the vat's fault and its turn was dropped. The table in FATES.md says
    /// what happens to the item, its result and the vat.
    pub(crate) fn answer_for_vat(&mut self, plan: &Plan, fault: &VatFault) -> Result<(), Fault> {
        let vat = plan.vat;
        if let PlannedItem::Start(of) = plan.item {
            self.start_failed(vat, of, &fault.text())?;
        } else {
            let error = KernelError::new(Code::VatTerminated, format!("{vat} was terminated: {}", fault.text()));
            if let PlannedItem::Send { index, target, message } = &plan.item {
                self.consume_inbox(vat, *index)?;
                let reason = match fault {
                    VatFault::Fatal(..) => fault.reason(),
                    VatFault::ExitFailure(_) => error.to_capdata(),
                };
                self.splat_with((*target).into(), message, reason)?;
                self.release((*target).into())?;
            }
            self.terminate_vat(vat, &fault.reason(), &error)?;
        }
        Ok(())
    }

    /// A heap could not be started. A launch fails as a whole; where an older heap is alive it goes on, with the old
    /// code; otherwise the vat is out of reach until it is restarted.
    fn start_failed(&mut self, vat: VatId, of: StartOf, why: &str) -> Result<(), Fault> {
        let mut record = self.need::<Vats>(&vat)?;
        let text = format!("{vat} ({}) could not be started: {why}", record.name);
        if !record.started_once {
            self.later.push(Later::LaunchFailed(record.subcluster, text));
            return Ok(());
        }
        let mut cursor = self.cursor(vat)?;
        let reload = self.get::<Reloads>(&vat)?;
        if of == StartOf::Stored && reload.is_some() {
            // The code that failed is about to be replaced: the reload decides, and its asker is told then.
            self.wake(vat);
            return Ok(());
        }
        if let Some(config) = &reload {
            self.delete::<Reloads>(&vat);
            self.release_sources(&config.code)?;
        }
        cursor.deaths = None;
        // Without a heap, a failed reload still leaves the old code to start.
        cursor.start_due = cursor.heapless && reload.is_some();
        cursor.failed = cursor.heapless && reload.is_none();
        self.set_cursor(vat, &cursor);
        if cursor.failed {
            record.status = VatStatus::Failed(why.to_owned());
            self.put::<Vats>(&vat, &record);
            self.lose_heap(vat)?;
            let error = KernelError::new(Code::EndpointUnreachable, text.clone());
            self.reject_inbox(vat, &error)?;
            self.notice(Notice::VatFailed { vat, name: record.name, reason: why.to_owned() });
        }
        self.wake(vat);
        self.answer_ticket(TicketFor::Start(vat), Err(Refused::StartFailed(text)))
    }

    /// Rejects the messages that wait for a vat. Notifications stay: they are of promises that it may still watch.
    fn reject_inbox(&mut self, vat: VatId, error: &KernelError) -> Result<(), Fault> {
        let cursor = self.cursor(vat)?;
        let mut kept = Vec::new();
        for index in cursor.inbox_head..cursor.inbox_tail {
            match self.need::<Inbox>(&(vat, index))? {
                Item::Send { target, message } => {
                    self.splat(target.into(), &message, error)?;
                    self.release(target.into())?;
                }
                notify @ Item::Notify(_) => kept.push(notify),
            }
            self.delete::<Inbox>(&(vat, index));
        }
        // Rejections may have queued notifications for this very vat meanwhile; all of them move to the new front.
        let mut cursor_now = self.cursor(vat)?;
        for index in cursor.inbox_tail..cursor_now.inbox_tail {
            kept.push(self.need::<Inbox>(&(vat, index))?);
            self.delete::<Inbox>(&(vat, index));
        }
        cursor_now.inbox_head = cursor.inbox_head;
        cursor_now.inbox_tail = cursor.inbox_head + kept.len() as u64;
        for (index, item) in (cursor.inbox_head..).zip(kept) {
            self.put::<Inbox>(&(vat, index), &item);
        }
        self.set_cursor(vat, &cursor_now);
        Ok(())
    }

    /// Ends a vat: what it was deciding is rejected, what waits for it is rejected, its exports are orphaned, its
    /// imports released, its records deleted. Its own state's rows follow in later turns (`tidy_up`).
    pub(crate) fn terminate_vat(
        &mut self,
        vat: VatId,
        reason: &CapData<KRef>,
        error: &KernelError,
    ) -> Result<(), Fault> {
        let record = self.need::<Vats>(&vat)?;
        let KernelError::Expected(code, detail) = error else {
            return Err(crate::blame::broken("a terminated vat's callers get an expected error"));
        };
        let cursor = self.cursor(vat)?;
        self.leave_subcluster(vat, &record)?;
        self.reject_decided(Decider::Vat(vat), *code, detail)?;
        for index in cursor.inbox_head..cursor.inbox_tail {
            if let Item::Send { target, message } = self.need::<Inbox>(&(vat, index))? {
                self.splat(target.into(), &message, error)?;
                self.release(target.into())?;
                self.delete::<Inbox>(&(vat, index));
            }
        }
        for ((_, vref), kref) in self.scan::<ClistByVref>(&vat)? {
            match kref {
                KRef::Promise(id) => {
                    self.unsubscribe(id, Subscriber::Vat(vat))?;
                    self.unlink(vat, kref)?;
                }
                KRef::Object(id) if self.need::<Objects>(&id)?.owner == Owner::Vat(vat) => self.orphan(vat, id)?,
                KRef::Object(_) if defect::broken(Defect::EndedImporterStillCounted) => {
                    self.delete::<ClistByVref>(&(vat, vref));
                    self.delete::<sturdy_store::ClistByKref>(&(kref, vat));
                }
                KRef::Object(_) => self.unlink(vat, kref)?,
            }
        }
        for ((_, index), item) in self.scan::<Inbox>(&vat)? {
            if let Item::Notify(id) = item {
                self.release_promise(id)?;
            }
            self.delete::<Inbox>(&(vat, index));
        }
        for ((_, action, id), ()) in self.scan::<GcActions>(&vat)? {
            self.delete::<GcActions>(&(vat, action, id));
        }
        if let Some(config) = self.get::<Reloads>(&vat)? {
            self.delete::<Reloads>(&vat);
            self.release_sources(&config.code)?;
        }
        self.release_sources(&record.config.code)?;
        self.delete::<Vats>(&vat);
        self.delete::<VatCursors>(&vat);
        self.put::<DoomedVats>(&vat, &());
        self.answer_ticket(TicketFor::Start(vat), Err(Refused::Overtaken(format!("{vat} was terminated"))))?;
        self.emit(Effect::Stop { vat, run: RunId(cursor.run.0 + 1) });
        self.notice(Notice::VatTerminated { vat, name: record.name, reason: reason_text(reason) });
        Ok(())
    }

    /// The process died while it worked on an item of this vat. After the limit the item and the vat end (G3). A note
    /// of an item that is not due any more tells of nothing: its turn was never durable.
    pub(crate) fn note_death(&mut self, vat: VatId, item: ItemId) -> Result<(), Fault> {
        let Some(mut cursor) = self.get::<VatCursors>(&vat)? else { return Ok(()) };
        let due = match item {
            ItemId::Start => cursor.start_due,
            ItemId::Gc => cursor.gc_due > 0,
            ItemId::Reap => cursor.reap_due,
            ItemId::Inbox(index) => index == cursor.inbox_head && index < cursor.inbox_tail,
        };
        if !due {
            return Ok(());
        }
        let deaths = match &cursor.deaths {
            Some(record) if record.item == item => record.deaths + 1,
            _ => 1,
        };
        if deaths < self.limits.process_deaths_per_item {
            cursor.deaths = Some(DeathRecord { item, deaths });
            self.set_cursor(vat, &cursor);
            return Ok(());
        }
        let why = format!("the process died {deaths} times while {vat} worked on one delivery");
        let item = match item {
            // A start is no item that could be given up: the vat stays what it was, out of reach until it is started
            // again, by somebody or with the next process. Ending it would take its state along.
            ItemId::Start => return self.start_failed(vat, StartOf::Stored, &why),
            ItemId::Inbox(index) => match self.need::<Inbox>(&(vat, index))? {
                Item::Send { target, message } => PlannedItem::Send { index, target, message },
                Item::Notify(promise) => PlannedItem::Notify { index, promise, batch: Vec::new() },
            },
            ItemId::Gc | ItemId::Reap => PlannedItem::Reap,
        };
        let (run, crossings) = (cursor.run, Crossings::new());
        let plan = Plan { vat, run, item, crossings, next_object: 0, next_promise: 0 };
        self.answer_for_vat(&plan, &VatFault::Fatal(Fatal::ProcessDied, why))
    }
}

pub(crate) fn no_such_vat(vat: VatId) -> Blame {
    Refused::NoSuchVat(vat.to_string()).into()
}
