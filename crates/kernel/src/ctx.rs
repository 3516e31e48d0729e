//! The desk on which one turn is worked out: the open turn, the time, the limits, and what the turn will cause.

use crate::blame::Fault;
use crate::event::{Effect, Effects, Notice};
use crate::remotes::{RemoteGarbage, Strangers};
use crate::routing::Work;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use sturdy_store::{Counters, CountersTable, Read, Table, Turn, VatCursor, VatCursors};
use sturdy_types::{Hold, KRef, KernelLimits, Millis, RemoteId, SubclusterId, VRef, VatId};

static NOBODY: Strangers = Strangers::new();

/// Keys and records of a table.
pub(crate) type Rows<T> = Vec<(<T as Table>::Key, <T as Table>::Record)>;

/// What must wait until everything else of the turn is done, because it takes vats apart.
pub(crate) enum Later {
    /// A subcluster's launch has failed, for this reason.
    LaunchFailed(SubclusterId, String),
}

/// One turn being worked out.
pub struct Ctx<'t, 's> {
    /// The open turn.
    pub turn: &'t mut Turn<'s>,
    /// The time that the turn believes in.
    pub now: Millis,
    /// The kernel's limits.
    pub limits: &'t KernelLimits,
    /// Peers without a record that have greeted us: one that gets a record begins where it stands (L12).
    pub strangers: &'t Strangers,
    /// What the turn causes.
    pub effects: Effects,
    /// References whose counts fell: looked at once, at the end of the turn. Emptied by every turn, so an aborted
    /// turn leaves nothing behind (defect 15).
    pub(crate) maybe_free: BTreeSet<KRef>,
    /// What peers are to be told of it. Emptied by every turn.
    pub(crate) remote_garbage: BTreeMap<RemoteId, RemoteGarbage>,
    /// Settlements and messages on their way to queues. A list instead of recursion: a chain of ten thousand
    /// pipelined calls collapses in one turn.
    pub(crate) work: VecDeque<Work>,
    pub(crate) draining: bool,
    /// Waiting messages that this turn may still look at; see `KernelLimits::waiting_looked_at_per_turn`.
    pub(crate) waiting_left: usize,
    pub(crate) later: Vec<Later>,
    /// Holds of the outcome being applied, until its syscalls have made the names known.
    pub(crate) pending_holds: Vec<(VRef, Hold)>,
}

impl<'t, 's> Ctx<'t, 's> {
    /// A desk for one turn.
    pub fn new(turn: &'t mut Turn<'s>, now: Millis, limits: &'t KernelLimits) -> Self {
        Self {
            turn,
            now,
            limits,
            strangers: &NOBODY,
            effects: Effects::default(),
            maybe_free: BTreeSet::new(),
            remote_garbage: BTreeMap::new(),
            work: VecDeque::new(),
            draining: false,
            waiting_left: limits.waiting_looked_at_per_turn,
            later: Vec::new(),
            pending_holds: Vec::new(),
        }
    }

    /// Ends the turn's work: what had to wait, then garbage, until nothing is left. Every turn that is merged goes
    /// through here.
    pub fn close(&mut self) -> Result<(), Fault> {
        loop {
            self.drain()?;
            self.collect()?;
            self.keep_garbage()?;
            if self.later.is_empty() {
                return Ok(());
            }
            // In order: of several reasons for which a launch fails, the first is the cause.
            match self.later.remove(0) {
                Later::LaunchFailed(subcluster, why) => self.launch_failed(subcluster, &why)?,
            }
        }
    }

    pub(crate) fn get<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, Fault> {
        Ok(self.turn.get::<T>(key)?)
    }

    /// A record that the tables promise to hold.
    pub(crate) fn need<T: Table>(&self, key: &T::Key) -> Result<T::Record, Fault>
    where
        T::Key: std::fmt::Debug,
    {
        self.get::<T>(key)?.ok_or_else(|| Fault::Broken(format!("{} has no row {key:?}", T::NAME)))
    }

    pub(crate) fn put<T: Table>(&mut self, key: &T::Key, record: &T::Record) {
        self.turn.put::<T>(key, record);
    }

    /// Writes a record under a key that no record has: see [`Turn::put_new`].
    pub(crate) fn put_new<T: Table>(&mut self, key: &T::Key, record: &T::Record) {
        self.turn.put_new::<T>(key, record);
    }

    pub(crate) fn delete<T: Table>(&mut self, key: &T::Key) {
        self.turn.delete::<T>(key);
    }

    pub(crate) fn scan<T: Table>(&self, prefix: &T::Prefix) -> Result<Rows<T>, Fault> {
        Ok(self.turn.scan::<T>(prefix, None, usize::MAX)?)
    }

    /// Takes the next number of a counter. Counters never go back (kernel-semantics §1.2).
    pub(crate) fn next_id<N>(&mut self, bump: impl FnOnce(&mut Counters) -> N) -> Result<N, Fault> {
        let mut counters = self.get::<CountersTable>(&())?.unwrap_or_default();
        let id = bump(&mut counters);
        self.put::<CountersTable>(&(), &counters);
        Ok(id)
    }

    pub(crate) fn cursor(&self, vat: VatId) -> Result<VatCursor, Fault> {
        self.need::<VatCursors>(&vat)
    }

    pub(crate) fn set_cursor(&mut self, vat: VatId, cursor: &VatCursor) {
        self.put::<VatCursors>(&vat, cursor);
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        self.effects.list.push(effect);
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.emit(Effect::Notice(notice));
    }

    /// This vat may have work now.
    pub(crate) fn wake(&mut self, vat: VatId) {
        if self.effects.woken.last() != Some(&vat) {
            self.effects.woken.push(vat);
        }
    }
}
