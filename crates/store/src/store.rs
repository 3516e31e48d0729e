//! The store: typed tables over an engine, with an open group of merged turns in between (G4).
//!
//! What always holds: what is read is what was merged, durable or not; the engine changes only in `commit`, by one
//! batch, all or nothing. Once a commit failed the store is poisoned and refuses everything: what was merged may be
//! known outside although it will never be durable (law 2). Turns are in `turn.rs`, what the rows are in `tables/`.

use crate::bytes::{Key, Value};
use crate::engine::{Engine, EngineError, EngineStats};
use crate::migrate;
use crate::overlay::{Batch, Overlay, tag_of};
use crate::record::Corrupt;
use crate::scan::{Bare, EngineRows, after, end_of, merge};
use crate::seal;
use crate::table::{Rows, Table};
use crate::tables::{self, Seal};
use crate::turn::Turn;
use crate::vacancies::Vacancy;
use crate::writes::WriteSet;
use std::cell::RefCell;
use sturdy_types::Incarnation;

/// The store cannot go on. It is our fault, or the disk's: the node stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFault {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row is not what this program writes.
    #[error("the row {key} of the table `{table}` is corrupt: {what}; restore the store from a backup")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The key, as text.
        key: String,
        /// What is wrong.
        what: Corrupt,
    },
    /// A commit failed before.
    #[error("an earlier commit failed, so the store takes part in nothing more; start the program again")]
    Poisoned,
}

/// The store cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A later program wrote it.
    #[error("the store has schema {found}, this program knows schemas up to {known}; use a newer version of it")]
    Newer {
        /// The store's schema version.
        found: u32,
        /// The latest that this program knows.
        known: u32,
    },
    /// Something else is there.
    #[error("this is no store of this program: {0}")]
    NotAStore(String),
    /// It was a store once.
    #[error("the store is damaged: {0}; restore it from a backup")]
    Damaged(String),
    /// A batch was written only in part, or rows were changed by others.
    #[error("the store was torn: {0}; restore it from a backup, and look at the disk under it")]
    Torn(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What one commit made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Commit {
    /// Turns of the group.
    pub turns: usize,
    /// Rows that changed, the seal apart.
    pub keys: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
}

/// Reading typed tables: through a store, what was merged; through a turn, also its own writes.
pub trait Read {
    /// The record under `key`.
    fn get<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, StoreFault>;

    /// Whether there is a record under `key`.
    fn has<T: Table>(&self, key: &T::Key) -> Result<bool, StoreFault>;

    /// All keys and records with this prefix, ascending, at most `limit`, strictly after `after` if given.
    fn scan<T: Table>(&self, prefix: &T::Prefix, after: Option<&T::Key>, limit: usize) -> Result<Rows<T>, StoreFault>;
}

/// Typed tables over an engine.
pub struct Store {
    engine: Box<dyn Engine>,
    overlay: RefCell<Overlay>,
    /// The writes of the open turn. Empty when there is none; kept here so that its memory is used again.
    pub(crate) writes: WriteSet,
    /// Where records are written before they are put.
    pub(crate) scratch: Vec<u8>,
    incarnation: Incarnation,
    /// As the engine has it. Only commits write it.
    seal: Seal,
    turns: usize,
    poisoned: bool,
}

impl Store {
    /// Opens what is in `engine`. An empty engine becomes a store with this incarnation, durable at once; an older
    /// store is brought to the current schema. A torn one is refused, if it has at most `OPEN_CHECK_ROWS` rows.
    pub fn open(mut engine: Box<dyn Engine>, fresh_incarnation: Incarnation) -> Result<Self, OpenError> {
        let (incarnation, seal) = migrate::prepare(&mut *engine, fresh_incarnation)?;
        // Keys are chosen by vats. Random seeds keep them from choosing keys whose hashes collide.
        let seed = incarnation.0.iter().fold(0u64, |seed, &byte| seed.rotate_left(8) ^ u64::from(byte));
        Ok(Self {
            engine,
            overlay: RefCell::new(Overlay::new(seed)),
            writes: WriteSet::default(),
            scratch: Vec::new(),
            incarnation,
            seal,
            turns: 0,
            poisoned: false,
        })
    }

    /// The id of this life of the store.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Takes notice of a turn that has begun another life of the store (link L8).
    pub fn learn_incarnation(&mut self) -> Result<(), StoreFault> {
        if let Some(incarnation) = self.get::<tables::IncarnationTable>(&())? {
            self.incarnation = incarnation;
        }
        Ok(())
    }

    /// Opens a turn.
    pub fn begin(&mut self) -> Turn<'_> {
        Turn::new(self)
    }

    /// Turns merged since the last commit.
    pub fn group_len(&self) -> usize {
        self.turns
    }

    /// Bytes of keys and values that the next commit writes.
    pub fn group_bytes(&self) -> usize {
        self.overlay.borrow().dirty_bytes()
    }

    /// Makes the open group durable. Does nothing when it is empty.
    pub fn commit(&mut self) -> Result<Commit, StoreFault> {
        self.check()?;
        let overlay = self.overlay.get_mut();
        let batch = overlay.batch();
        let mut commit = Commit { turns: self.turns, keys: batch.len(), bytes: 0 };
        if batch.len() > 0 {
            match write(&mut *self.engine, self.seal, &batch) {
                Ok((seal, bytes)) => (self.seal, commit.bytes) = (seal, bytes),
                Err(error) => {
                    self.poisoned = true;
                    return Err(error.into());
                }
            }
        }
        overlay.committed();
        self.turns = 0;
        Ok(commit)
    }

    /// Compares all that is durable with what was made durable, however much that is. It reads everything.
    pub fn verify(&self) -> Result<(), OpenError> {
        seal::verify(&*self.engine, self.seal)
    }

    /// Lets the engine do a piece of work that may wait for idle time. Returns whether anything is left to do.
    pub fn idle(&mut self) -> Result<bool, StoreFault> {
        self.check()?;
        self.engine.idle().map_err(StoreFault::Engine)
    }

    /// What the engine has done so far.
    pub fn engine_stats(&self) -> EngineStats {
        self.engine.stats()
    }

    pub(crate) fn check(&self) -> Result<(), StoreFault> {
        if self.poisoned { Err(StoreFault::Poisoned) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &Key) -> u64 {
        self.overlay.borrow().hash(key)
    }

    pub(crate) fn merge_turn(&mut self) -> Result<(), StoreFault> {
        self.check()?;
        let overlay = self.overlay.get_mut();
        for write in self.writes.drain() {
            overlay.write(write.hash, write.key, write.value, write.before);
        }
        self.turns += 1;
        Ok(())
    }

    /// Gives the merged row under `key` to `use_row`.
    #[inline]
    pub(crate) fn with_row<R>(
        &self,
        hash: u64,
        key: &Key,
        use_row: impl FnOnce(Option<&[u8]>) -> Result<R, StoreFault>,
    ) -> Result<R, StoreFault> {
        self.check()?;
        let mut overlay = self.overlay.borrow_mut();
        if let Some(known) = overlay.get(hash, key) {
            return use_row(known.bytes());
        }
        if overlay.vacancies.of(tag_of(key.as_slice())) == Vacancy::Vacant {
            return use_row(None);
        }
        let found = self.engine.get(key.as_slice())?;
        let result = use_row(found.as_deref())?;
        overlay.fill(hash, key, found.map(Value::from));
        Ok(result)
    }

    /// Gives the first `limit` rows with start <= key < end to `emit`, the turn's writes included if given. All keys of
    /// the range have the same tag.
    pub(crate) fn scan_rows(
        &self,
        turn: Option<&WriteSet>,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
        emit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        self.check()?;
        let tag = tag_of(start);
        let mut overlay = self.overlay.borrow_mut();
        if overlay.vacancies.of(tag) == Vacancy::Unknown {
            let some = !self.engine.scan(&[tag], end_of(&[tag]).as_deref(), 1)?.is_empty();
            overlay.vacancies.learn(tag, if some { Vacancy::Inhabited } else { Vacancy::Vacant });
        }
        let beyond = overlay.vacancies.beyond_gap(tag, start);
        let from = beyond.as_ref().map_or(start, Key::as_slice);
        let bare = overlay.vacancies.of(tag) == Vacancy::Vacant || end.is_some_and(|end| end <= from);
        let engine =
            if bare { EngineRows::none(&*self.engine) } else { EngineRows::new(&*self.engine, from, end, limit) };
        let group = overlay.range(tag, from, end);
        let bare = match turn.filter(|writes| !writes.is_empty()) {
            None => merge(std::iter::empty(), group, engine, limit, emit)?,
            Some(writes) if writes.is_listed() => {
                merge(writes.listed(start, end).into_iter(), group, engine, limit, emit)?
            }
            Some(writes) => {
                let ordered = writes.ordered();
                merge(ordered.range(start, end), group, engine, limit, emit)?
            }
        };
        match (bare, end) {
            (Bare::To(key), _) => overlay.vacancies.learn_gap(tag, from, key),
            (Bare::Wholly, Some(end)) => overlay.vacancies.learn_gap(tag, from, Key::new(end)),
            (Bare::Wholly, None) | (Bare::Nowhere, _) => {}
        }
        Ok(())
    }

    pub(crate) fn scan_table<T: Table>(
        &self,
        turn: Option<&WriteSet>,
        prefix: &T::Prefix,
        beyond: Option<&T::Key>,
        limit: usize,
    ) -> Result<Rows<T>, StoreFault> {
        let prefix = T::write_prefix(prefix);
        let end = end_of(prefix.as_slice());
        let mut start = prefix.as_slice().to_vec();
        if let Some(key) = beyond {
            start = start.max(after(T::write_key(key).as_slice()));
        }
        let mut rows = Vec::new();
        if end.as_ref().is_some_and(|end| *end <= start) {
            return Ok(rows);
        }
        self.scan_rows(turn, &start, end.as_deref(), limit, |key, record| {
            let read = T::read_key(key).map_err(|what| corrupt(key, what))?;
            rows.push((read, decode::<T>(key, record)?));
            Ok(())
        })?;
        Ok(rows)
    }
}

/// Writes a batch and its seal. Returns the seal and the bytes of keys and values, those of the seal apart.
fn write(engine: &mut dyn Engine, before: Seal, batch: &Batch<'_>) -> Result<(Seal, usize), EngineError> {
    let seal = batch.seal(before, engine)?;
    let rows = batch.with(seal.row());
    engine.apply(&rows)?;
    let bytes = |(key, value): &(Key, Option<Value>)| key.len() + value.as_ref().map_or(0, Value::len);
    Ok((seal, rows.iter().map(bytes).sum::<usize>() - bytes(&seal.row())))
}

/// The record, or the fault that names its row.
#[inline]
pub(crate) fn decode<T: Table>(key: &[u8], record: &[u8]) -> Result<T::Record, StoreFault> {
    T::decode(record).map_err(|what| corrupt(key, what))
}

fn corrupt(key: &[u8], what: Corrupt) -> StoreFault {
    let row = tables::describe(key, &[]);
    StoreFault::Corrupt { table: row.table, key: row.key, what }
}

impl Read for Store {
    fn get<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, StoreFault> {
        let key = T::write_key(key);
        self.with_row(self.hash(&key), &key, |row| row.map(|row| decode::<T>(key.as_slice(), row)).transpose())
    }

    fn has<T: Table>(&self, key: &T::Key) -> Result<bool, StoreFault> {
        let key = T::write_key(key);
        self.with_row(self.hash(&key), &key, |row| Ok(row.is_some()))
    }

    fn scan<T: Table>(&self, prefix: &T::Prefix, after: Option<&T::Key>, limit: usize) -> Result<Rows<T>, StoreFault> {
        self.scan_table::<T>(None, prefix, after, limit)
    }
}
