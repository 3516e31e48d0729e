//! The audit: recounts everything from the tables alone (law 8). It shares no code with the modules that change the
//! tables, so that a mistake there shows here. Tests run it after every turn; `sturdy store check` runs it on a store.
//!
//! Problems are sentences, in the order of the tables. None of them may ever appear, whatever vats and hosts do.

mod remotes;

use crate::ctx::Rows;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_store::{
    CallState, Calls, ClistByKref, ClistByVref, CountersTable, DecidedBy, Decider, GcAction, GcActions, Inbox, Item,
    ObjectRecord, Objects, Owner, PromiseQueue, PromiseRecord, PromiseState, Promises, Read, Reloads, ServiceCalls,
    ServiceObjects, Services, Sources, StoreFault, SubclusterStatus, Subclusters, Subscriber, SystemSubclusters, Table,
    VatCursors, Vats,
};
use sturdy_types::{CapData, CodeSpec, KRef, Message, ObjectId, PromiseId, SourceHash, VRef, VatId};

/// What the audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// What is wrong, a sentence each. Empty for a sound store.
    pub problems: Vec<String>,
    /// How many objects there are.
    pub objects: usize,
    /// How many promises there are.
    pub promises: usize,
    /// How many vats there are.
    pub vats: usize,
}

/// What the tables imply about one object or promise.
#[derive(Default, Clone, Copy)]
struct Tally {
    reachable: u64,
    recognizable: u64,
    /// How many queued messages name it as their result.
    results: u64,
}

struct Auditor<'r, R> {
    read: &'r R,
    tallies: BTreeMap<KRef, Tally>,
    service_results: BTreeSet<PromiseId>,
    sources: BTreeMap<SourceHash, u32>,
    report: AuditReport,
}

/// Recounts everything.
pub fn audit<R: Read>(read: &R) -> Result<AuditReport, StoreFault> {
    let mut auditor = Auditor {
        read,
        tallies: BTreeMap::new(),
        service_results: BTreeSet::new(),
        sources: BTreeMap::new(),
        report: AuditReport::default(),
    };
    auditor.tally_clists()?;
    auditor.tally_queues()?;
    auditor.tally_values()?;
    auditor.tally_remotes()?;
    auditor.check_vats()?;
    auditor.check_objects()?;
    auditor.check_promises()?;
    auditor.check_subclusters()?;
    auditor.check_services()?;
    auditor.check_sources()?;
    Ok(auditor.report)
}

impl<R: Read> Auditor<'_, R> {
    fn all<T: Table>(&self, prefix: &T::Prefix) -> Result<Rows<T>, StoreFault> {
        self.read.scan::<T>(prefix, None, usize::MAX)
    }

    fn problem(&mut self, what: String) {
        self.report.problems.push(what);
    }

    fn tally(&mut self, kref: KRef) -> &mut Tally {
        self.tallies.entry(kref).or_default()
    }

    fn hold(&mut self, kref: KRef) {
        let tally = self.tally(kref);
        tally.reachable += 1;
        tally.recognizable += 1;
    }

    fn hold_slots(&mut self, value: &CapData<KRef>) {
        value.slots.iter().for_each(|&slot| self.hold(slot));
    }

    fn hold_message(&mut self, message: &Message<KRef>) {
        self.hold_slots(&message.methargs);
        if let Some(result) = message.result {
            self.hold(result);
        }
    }

    fn queued(&mut self, message: &Message<KRef>) {
        self.hold_message(message);
        if let Some(result) = message.result {
            self.tally(result).results += 1;
        }
    }

    fn tally_clists(&mut self) -> Result<(), StoreFault> {
        let mut by_vref = BTreeMap::new();
        for (vat, _) in self.all::<VatCursors>(&())? {
            for ((_, vref), kref) in self.all::<ClistByVref>(&vat)? {
                by_vref.insert((vat, vref), kref);
            }
        }
        let mut krefs: Vec<KRef> = self.all::<Objects>(&())?.into_iter().map(|(id, _)| id.into()).collect();
        krefs.extend(self.all::<Promises>(&())?.into_iter().map(|(id, _)| KRef::Promise(id)));
        for kref in krefs {
            for ((_, vat), entry) in self.all::<ClistByKref>(&kref)? {
                if by_vref.remove(&(vat, entry.vref)) != Some(kref) {
                    self.problem(format!("{vat} has {kref} as {}, but not {} as {kref}", entry.vref, entry.vref));
                }
                match (kref, entry.vref) {
                    (KRef::Promise(_), VRef::PromiseExport(_) | VRef::PromiseImport(_)) => self.hold(kref),
                    (KRef::Object(_), VRef::Import(_)) => {
                        self.tally(kref).recognizable += 1;
                        self.tally(kref).reachable += u64::from(entry.reachable);
                    }
                    (KRef::Object(id), VRef::Export(_) | VRef::Virtual(_)) => {
                        let owner = self.read.get::<Objects>(&id)?.map(|object| object.owner);
                        if owner != Some(Owner::Vat(vat)) {
                            self.problem(format!("{vat} exports {kref}, whose owner is {owner:?}"));
                        }
                    }
                    _ => self.problem(format!("{vat} has {kref} under the name {} of another kind", entry.vref)),
                }
            }
        }
        for ((vat, vref), kref) in by_vref {
            self.problem(format!("{vat} has {vref} as {kref}, but not {kref} as {vref}"));
        }
        Ok(())
    }

    fn tally_queues(&mut self) -> Result<(), StoreFault> {
        for (vat, cursor) in self.all::<VatCursors>(&())? {
            let rows = self.all::<Inbox>(&vat)?;
            if !rows.iter().map(|((_, index), _)| *index).eq(cursor.inbox_head..cursor.inbox_tail) {
                self.problem(format!("the inbox of {vat} is not {}..{}", cursor.inbox_head, cursor.inbox_tail));
            }
            for (_, item) in rows {
                match item {
                    Item::Send { target, message } => {
                        self.hold(target.into());
                        self.queued(&message);
                    }
                    Item::Notify(promise) => {
                        self.hold(promise.into());
                        let settled = self.read.get::<Promises>(&promise)?;
                        if !settled.is_some_and(|promise| !matches!(promise.state, PromiseState::Unresolved { .. })) {
                            self.problem(format!("{vat} is to be notified of {promise}, which is not settled"));
                        }
                    }
                }
            }
        }
        for (_, record) in self.all::<ServiceCalls>(&())? {
            self.hold(record.service.into());
            self.hold_message(&record.message);
            if let Some(KRef::Promise(result)) = record.message.result {
                self.service_results.insert(result);
            }
        }
        Ok(())
    }

    fn tally_values(&mut self) -> Result<(), StoreFault> {
        for (id, promise) in self.all::<Promises>(&())? {
            match promise.state {
                PromiseState::Fulfilled(value) | PromiseState::Rejected(value) => self.hold_slots(&value),
                PromiseState::Unresolved { decider, queue_head, queue_tail, .. } => {
                    if decider != Decider::Nobody {
                        self.hold(id.into());
                    }
                    let rows = self.all::<PromiseQueue>(&id)?;
                    if !rows.iter().map(|((_, index), _)| *index).eq(queue_head..queue_tail) {
                        self.problem(format!("the queue of {id} is not {queue_head}..{queue_tail}"));
                    }
                    for (_, message) in rows {
                        self.hold(id.into());
                        self.queued(&message);
                    }
                }
            }
        }
        for (call, record) in self.all::<Calls>(&())? {
            match record.state {
                CallState::Waiting(promise) => {
                    self.hold(promise.into());
                    self.check_waits(&format!("{call}"), promise, Subscriber::Call(call))?;
                }
                CallState::Settled { value, .. } => self.hold_slots(&value),
            }
        }
        Ok(())
    }

    /// Whoever waits for a promise must be told by it, or it waits for ever (G12).
    fn check_waits(&mut self, who: &str, id: PromiseId, subscriber: Subscriber) -> Result<(), StoreFault> {
        let state = self.read.get::<Promises>(&id)?.map(|promise| promise.state);
        let told =
            matches!(&state, Some(PromiseState::Unresolved { subscribers, .. }) if subscribers.contains(&subscriber));
        if !told {
            self.problem(format!("{who} waits for {id}, which will not tell it"));
        }
        Ok(())
    }

    fn check_vats(&mut self) -> Result<(), StoreFault> {
        let cursors = self.all::<VatCursors>(&())?;
        let vats = self.all::<Vats>(&())?;
        self.report.vats = vats.len();
        if !cursors.iter().map(|(vat, _)| *vat).eq(vats.iter().map(|(vat, _)| *vat)) {
            self.problem("the vats and their cursors do not match".into());
        }
        let counters = self.read.get::<CountersTable>(&())?.unwrap_or_default();
        for (vat, cursor) in cursors {
            let due = self.all::<GcActions>(&vat)?.len() as u64;
            if due != cursor.gc_due {
                self.problem(format!("{vat} has {due} GC actions and counts {}", cursor.gc_due));
            }
            if vat.0 > counters.vats {
                self.problem(format!("{vat} was never handed out"));
            }
        }
        Ok(())
    }

    fn check_objects(&mut self) -> Result<(), StoreFault> {
        let counters = self.read.get::<CountersTable>(&())?.unwrap_or_default();
        let objects = self.all::<Objects>(&())?;
        self.report.objects = objects.len();
        for (id, object) in objects {
            let mut tally = self.tallies.remove(&id.into()).unwrap_or_default();
            tally.reachable += u64::from(object.pins);
            tally.recognizable += u64::from(object.pins);
            if (object.reachable, object.recognizable) != (tally.reachable, tally.recognizable) {
                self.problem(format!(
                    "{id} counts {},{} and is held by {},{}",
                    object.reachable, object.recognizable, tally.reachable, tally.recognizable
                ));
            }
            if id.0 > counters.objects {
                self.problem(format!("{id} was never handed out"));
            }
            self.check_garbage(id, &object)?;
        }
        Ok(())
    }

    /// What nobody reaches any more is on its way out (G15).
    fn check_garbage(&mut self, id: ObjectId, object: &ObjectRecord) -> Result<(), StoreFault> {
        let mut expect = Vec::new();
        match object.owner {
            Owner::Vat(vat) => match self.read.get::<ClistByKref>(&(id.into(), vat))? {
                None => self.problem(format!("{id} is owned by {vat}, which does not export it")),
                Some(entry) if object.reachable == 0 => {
                    if entry.reachable {
                        expect.push((vat, GcAction::DropExport));
                    }
                    if object.recognizable == 0 {
                        expect.push((vat, GcAction::RetireExport));
                    }
                }
                Some(_) => {}
            },
            Owner::Orphan if object.reachable == 0 => {
                if object.recognizable == 0 {
                    self.problem(format!("{id} is an orphan that nobody holds"));
                }
                if !self.all::<sturdy_store::RemoteNames>(&id.into())?.is_empty() {
                    self.problem(format!("{id} is an orphan, and a peer that recognizes it was not told"));
                }
                for ((_, vat), _) in self.all::<ClistByKref>(&id.into())? {
                    expect.push((vat, GcAction::RetireImport));
                }
            }
            Owner::Remote(remote) => {
                self.check_remote_garbage(remote, id, object.reachable, object.recognizable)?;
            }
            Owner::Orphan | Owner::Kernel => {}
        }
        for (vat, action) in expect {
            if !self.read.has::<GcActions>(&(vat, action, id))? {
                self.problem(format!("{id} is garbage and {vat} is not to be told ({action:?})"));
            }
        }
        Ok(())
    }

    fn check_promises(&mut self) -> Result<(), StoreFault> {
        let mut decided: BTreeSet<(Decider, PromiseId)> = BTreeSet::new();
        let promises = self.all::<Promises>(&())?;
        self.report.promises = promises.len();
        for (id, promise) in promises {
            let tally = self.tallies.remove(&id.into()).unwrap_or_default();
            self.check_promise(id, &promise, tally, &mut decided)?;
        }
        let vats = self.all::<VatCursors>(&())?.into_iter().map(|(vat, _)| Decider::Vat(vat));
        let remotes = self.all::<sturdy_store::Remotes>(&())?.into_iter().map(|(remote, _)| Decider::Remote(remote));
        for decider in vats.chain(remotes).chain([Decider::Kernel]).collect::<Vec<_>>() {
            for (key, ()) in self.all::<DecidedBy>(&decider)? {
                if !decided.remove(&key) {
                    self.problem(format!("{:?} is listed as deciding {}, and does not", key.0, key.1));
                }
            }
        }
        for (decider, id) in decided {
            self.problem(format!("{decider:?} decides {id} and is not listed"));
        }
        for (kref, _) in std::mem::take(&mut self.tallies) {
            self.problem(format!("{kref} is referred to and does not exist"));
        }
        Ok(())
    }

    fn check_promise(
        &mut self,
        id: PromiseId,
        promise: &PromiseRecord,
        mut tally: Tally,
        decided: &mut BTreeSet<(Decider, PromiseId)>,
    ) -> Result<(), StoreFault> {
        if let PromiseState::Unresolved { decider, subscribers, .. } = &promise.state {
            if *decider != Decider::Nobody {
                decided.insert((*decider, id));
            }
            let answered = match decider {
                // Exactly one queued message carries the authority to settle it.
                Decider::Nobody => tally.results == 1,
                Decider::Kernel => tally.results == 0 && self.service_results.contains(&id),
                Decider::Vat(vat) => tally.results == 0 && self.read.has::<ClistByKref>(&(id.into(), *vat))?,
                Decider::Remote(remote) => tally.results == 0 && self.remote_answers(*remote, id)?,
            };
            if !answered {
                self.problem(format!("{id}, decided by {decider:?}, can never be settled"));
            }
            self.check_told(id, *decider, subscribers)?;
            for subscriber in subscribers {
                match subscriber {
                    Subscriber::Remote(remote) => self.check_remote_subscriber(*remote, id, *decider)?,
                    Subscriber::Vat(vat) if !self.read.has::<ClistByKref>(&(id.into(), *vat))? => {
                        self.problem(format!("{vat} is subscribed to {id} and does not know it"));
                    }
                    Subscriber::Launch(_) => tally.reachable += 1, // the launch that waits for it
                    _ => {}
                }
            }
        }
        if promise.refs != tally.reachable {
            self.problem(format!("{id} counts {} and is held by {}", promise.refs, tally.reachable));
        }
        if promise.refs == 0 {
            self.problem(format!("{id} is held by nobody and still there"));
        }
        Ok(())
    }

    fn check_subclusters(&mut self) -> Result<(), StoreFault> {
        let mut members: BTreeMap<VatId, String> = BTreeMap::new();
        for (id, record) in self.all::<Subclusters>(&())? {
            if record.vats.is_empty() {
                self.problem(format!("{id} has no vats"));
            }
            members.extend(record.vats.iter().map(|(name, vat)| (*vat, name.clone())));
            for (_, vat) in &record.vats {
                if self.read.get::<Vats>(vat)?.is_none_or(|member| member.subcluster != id) {
                    self.problem(format!("{id} lists {vat}, which is not in it"));
                }
            }
            if let SubclusterStatus::Launching { bootstrap: Some(promise), .. } = record.status {
                self.check_waits(&format!("{id}"), promise, Subscriber::Launch(id))?;
            }
        }
        for (vat, record) in self.all::<Vats>(&())? {
            if members.get(&vat) != Some(&record.name) {
                self.problem(format!("{vat} ({}) is in no subcluster", record.name));
            }
        }
        for (name, id) in self.all::<SystemSubclusters>(&())? {
            if self.read.get::<Subclusters>(&id)?.is_none_or(|record| record.system_name.as_ref() != Some(&name)) {
                self.problem(format!("the system subcluster '{name}' is said to be {id}, which is not it"));
            }
        }
        Ok(())
    }

    fn check_services(&mut self) -> Result<(), StoreFault> {
        for (name, service) in self.all::<Services>(&())? {
            let back = self.read.get::<ServiceObjects>(&service.object)?;
            let owner = self.read.get::<Objects>(&service.object)?.map(|object| object.owner);
            if back.as_ref() != Some(&name) || owner != Some(Owner::Kernel) {
                self.problem(format!("the service '{name}' is said to be {}, which is not it", service.object));
            }
        }
        Ok(())
    }

    fn check_sources(&mut self) -> Result<(), StoreFault> {
        let mut use_all = |code: &CodeSpec| {
            code.modules.iter().for_each(|(_, hash)| *self.sources.entry(*hash).or_default() += 1);
        };
        for (_, record) in self.read.scan::<Vats>(&(), None, usize::MAX)? {
            use_all(&record.config.code);
        }
        for (_, config) in self.read.scan::<Reloads>(&(), None, usize::MAX)? {
            use_all(&config.code);
        }
        for (hash, record) in self.all::<Sources>(&())? {
            let uses = self.sources.remove(&hash).unwrap_or_default();
            if uses != record.uses {
                self.problem(format!("source {hash} counts {} uses and has {uses}", record.uses));
            }
        }
        for (hash, _) in std::mem::take(&mut self.sources) {
            self.problem(format!("source {hash} is used and missing"));
        }
        Ok(())
    }
}
