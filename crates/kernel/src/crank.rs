//! The first half of a crank: which item a vat gets next, and the delivery made of it (law 5, kernel-semantics §2).
//!
//! `begin` writes nothing for an item that is delivered: the item stays in its queue, new imports are only planned,
//! and `finish` does both when the outcome arrives. An item that turns out to need no delivery (its target was
//! revoked, its promise is forgotten, its garbage was picked up again) is consumed at once, in the open turn.

use crate::blame::Fault;
use crate::ctx::Ctx;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_store::{
    ClistByKref, GcAction, GcActions, Inbox, Item, ItemId, Objects, Owner, PromiseState, Promises, Read, Reloads,
    VatCursor, VatCursors, Vats,
};
use sturdy_types::{CapData, Delivery, KRef, Message, ObjectId, PromiseId, Resolution, RunId, StartSpec, VRef, VatId};

/// Kernel references that a planned delivery tells the vat for the first time, or anew, with the vat's names for them.
/// A map: one delivery may tell a hundred thousand, each mentioned often.
pub type Crossings = BTreeMap<KRef, VRef>;

/// Which code a planned start runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartOf {
    /// The vat's code as stored.
    Stored,
    /// The code of the reload that was waiting when the start was planned.
    Reload,
}

/// The item of a planned crank.
#[derive(Debug, Clone, PartialEq)]
pub enum PlannedItem {
    /// The start of a new heap.
    Start(StartOf),
    /// A message, at this place of the inbox.
    Send {
        /// Place in the inbox.
        index: u64,
        /// The target.
        target: ObjectId,
        /// The message. Its body may be left out: the delivery has it.
        message: Message<KRef>,
    },
    /// A notification, at this place of the inbox, of these promises.
    Notify {
        /// Place in the inbox.
        index: u64,
        /// The promise that the item names.
        promise: PromiseId,
        /// All promises of the batch.
        batch: Vec<PromiseId>,
    },
    /// A group of GC actions of one kind.
    Gc {
        /// The kind.
        action: GcAction,
        /// All rows of the group.
        rows: Vec<ObjectId>,
        /// Those that still applied.
        objects: Vec<ObjectId>,
    },
    /// A request for garbage.
    Reap,
}

/// What `finish` needs to know of a delivery that is under way. It is volatile: when it is lost, the item is still in
/// its queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The vat.
    pub vat: VatId,
    /// The heap that works on it.
    pub run: RunId,
    /// What is delivered.
    pub item: PlannedItem,
    /// References to link when the crank commits.
    pub crossings: Crossings,
    /// The import counters after the crank.
    pub next_object: u64,
    /// See `next_object`.
    pub next_promise: u64,
}

impl Plan {
    /// The item's durable name.
    pub const fn item_id(&self) -> ItemId {
        match self.item {
            PlannedItem::Start(_) => ItemId::Start,
            PlannedItem::Send { index, .. } | PlannedItem::Notify { index, .. } => ItemId::Inbox(index),
            PlannedItem::Gc { .. } => ItemId::Gc,
            PlannedItem::Reap => ItemId::Reap,
        }
    }
}

/// What came of beginning.
#[derive(Debug)]
pub enum Begun {
    /// Nothing to do for this vat. Nothing was written.
    Nothing,
    /// An item was consumed without a delivery: merge the turn.
    Consumed,
    /// Deliver this. Nothing was written: drop the turn.
    Planned(Box<Plan>, Box<Delivery>),
}

/// The most objects that one GC delivery names.
const GC_GROUP_OBJECTS: usize = 1_000;

/// Begins the next item of `vat`. Order per vat: a due start, garbage, a due reap, then the inbox (house, "Queues").
pub fn begin(ctx: &mut Ctx<'_, '_>, vat: VatId) -> Result<Begun, Fault> {
    let Some(cursor) = ctx.get::<VatCursors>(&vat)? else { return Ok(Begun::Nothing) };
    if cursor.start_due {
        return ctx.begin_start(vat, &cursor);
    }
    if cursor.failed {
        return Ok(Begun::Nothing);
    }
    if cursor.gc_due > 0 {
        return ctx.begin_gc(vat, cursor);
    }
    if cursor.reap_due {
        return Ok(planned(vat, &cursor, PlannedItem::Reap, Crossings::new(), Delivery::BringOutYourDead));
    }
    if cursor.inbox_head < cursor.inbox_tail {
        let index = cursor.inbox_head;
        return match ctx.need::<Inbox>(&(vat, index))? {
            Item::Send { target, message } => ctx.begin_send(vat, cursor, index, target, message),
            Item::Notify(promise) => ctx.begin_notify(vat, cursor, index, promise),
        };
    }
    Ok(Begun::Nothing)
}

fn planned(vat: VatId, cursor: &VatCursor, item: PlannedItem, crossings: Crossings, delivery: Delivery) -> Begun {
    let run = if matches!(item, PlannedItem::Start(_)) { RunId(cursor.run.0 + 1) } else { cursor.run };
    let (next_object, next_promise) = (cursor.next_object, cursor.next_promise);
    Begun::Planned(Box::new(Plan { vat, run, item, crossings, next_object, next_promise }), Box::new(delivery))
}

impl Ctx<'_, '_> {
    fn begin_start(&mut self, vat: VatId, cursor: &VatCursor) -> Result<Begun, Fault> {
        let record = self.need::<Vats>(&vat)?;
        let (of, config) = match self.get::<Reloads>(&vat)? {
            Some(config) => (StartOf::Reload, config),
            None => (StartOf::Stored, record.config),
        };
        let parameters = CapData::plain(config.parameters.clone());
        let spec = StartSpec { config, parameters, restarted: record.started_once };
        Ok(planned(vat, cursor, PlannedItem::Start(of), Crossings::new(), Delivery::Start(Box::new(spec))))
    }

    fn begin_send(
        &mut self,
        vat: VatId,
        mut cursor: VatCursor,
        index: u64,
        target: ObjectId,
        message: Message<KRef>,
    ) -> Result<Begun, Fault> {
        let entry = self.get::<ClistByKref>(&(target.into(), vat))?;
        let error = match (self.callable(target)?, entry) {
            (Ok(object), Some(entry)) if object.owner == Owner::Vat(vat) => {
                let mut crossings = Crossings::new();
                let slots = message.methargs.slots.clone();
                let kept = Message { methargs: CapData { body: String::new(), slots }, result: message.result };
                let told = self.message_to_vat(vat, message, &mut cursor, &mut crossings)?;
                let delivery = Delivery::Message { target: entry.vref, message: told };
                let item = PlannedItem::Send { index, target, message: kept };
                return Ok(planned(vat, &cursor, item, crossings, delivery));
            }
            (Err(error), _) => error,
            _ => crate::routing::deleted(target.into()),
        };
        self.consume_inbox(vat, index)?;
        self.splat(target.into(), &message, &error)?;
        self.release(target.into())?;
        Ok(Begun::Consumed)
    }

    fn begin_notify(
        &mut self,
        vat: VatId,
        mut cursor: VatCursor,
        index: u64,
        promise: PromiseId,
    ) -> Result<Begun, Fault> {
        if !self.turn.has::<ClistByKref>(&(promise.into(), vat))? {
            // An earlier batch told the vat already; both sides have forgotten the promise since.
            self.consume_inbox(vat, index)?;
            self.release_promise(promise)?;
            return Ok(Begun::Consumed);
        }
        let batch = self.settled_closure(promise)?;
        let mut crossings = Crossings::new();
        let mut resolutions = Vec::with_capacity(batch.len());
        for (id, rejected, value) in &batch {
            resolutions.push(Resolution {
                promise: self.kernel_to_vat(vat, (*id).into(), &mut cursor, &mut crossings)?,
                rejected: *rejected,
                value: self.capdata_to_vat(vat, value.clone(), &mut cursor, &mut crossings)?,
            });
        }
        let batch = batch.into_iter().map(|(id, ..)| id).collect();
        let item = PlannedItem::Notify { index, promise, batch };
        Ok(planned(vat, &cursor, item, crossings, Delivery::Notify(resolutions)))
    }

    /// The promise and every settled promise that can be reached through values, each once (kernel-semantics §4.3).
    pub(crate) fn settled_closure(&self, promise: PromiseId) -> Result<Vec<(PromiseId, bool, CapData<KRef>)>, Fault> {
        let mut seen = BTreeSet::from([promise]);
        let mut found = Vec::new();
        let mut next = vec![promise];
        while let Some(id) = next.pop() {
            let (rejected, value) = match self.need::<Promises>(&id)?.state {
                PromiseState::Unresolved { .. } => continue,
                PromiseState::Fulfilled(value) => (false, value),
                PromiseState::Rejected(value) => (true, value),
            };
            for slot in value.slots.iter().rev() {
                if let KRef::Promise(mentioned) = *slot
                    && seen.insert(mentioned)
                {
                    next.push(mentioned);
                }
            }
            found.push((id, rejected, value));
        }
        Ok(found)
    }

    fn begin_gc(&mut self, vat: VatId, mut cursor: VatCursor) -> Result<Begun, Fault> {
        let rows = self.turn.scan::<GcActions>(&vat, None, GC_GROUP_OBJECTS)?;
        let Some(((_, action, _), ())) = rows.first().copied() else {
            return Err(crate::blame::broken(format!("{vat} has garbage due and no garbage")));
        };
        let rows: Vec<ObjectId> =
            rows.into_iter().filter(|((_, kind, _), ())| *kind == action).map(|((_, _, id), ())| id).collect();
        let mut objects = Vec::with_capacity(rows.len());
        let mut vrefs = Vec::with_capacity(rows.len());
        for &id in &rows {
            if let Some(vref) = self.gc_applies(vat, action, id)? {
                objects.push(id);
                vrefs.push(vref);
            }
        }
        if objects.is_empty() {
            for id in &rows {
                self.delete::<GcActions>(&(vat, action, *id));
            }
            cursor.gc_due -= rows.len() as u64;
            self.set_cursor(vat, &cursor);
            return Ok(Begun::Consumed);
        }
        let delivery = match action {
            GcAction::DropExport => Delivery::DropExports(vrefs),
            GcAction::RetireExport => Delivery::RetireExports(vrefs),
            GcAction::RetireImport => Delivery::RetireImports(vrefs),
        };
        Ok(planned(vat, &cursor, PlannedItem::Gc { action, rows, objects }, Crossings::new(), delivery))
    }

    /// The vat's name for the object if the action still applies at this moment (kernel-semantics §2.2).
    fn gc_applies(&self, vat: VatId, action: GcAction, id: ObjectId) -> Result<Option<VRef>, Fault> {
        let Some(entry) = self.get::<ClistByKref>(&(id.into(), vat))? else { return Ok(None) };
        let Some(object) = self.get::<Objects>(&id)? else { return Ok(None) };
        let applies = match action {
            GcAction::DropExport => object.reachable == 0 && entry.reachable,
            GcAction::RetireExport => object.recognizable == 0,
            GcAction::RetireImport => object.reachable == 0 && object.owner == Owner::Orphan,
        };
        Ok(applies.then_some(entry.vref))
    }

    /// Takes the head item off the inbox.
    pub(crate) fn consume_inbox(&mut self, vat: VatId, index: u64) -> Result<(), Fault> {
        let mut cursor = self.cursor(vat)?;
        debug_assert_eq!(cursor.inbox_head, index, "items leave an inbox in order");
        self.delete::<Inbox>(&(vat, index));
        cursor.inbox_head = index + 1;
        self.set_cursor(vat, &cursor);
        Ok(())
    }
}
