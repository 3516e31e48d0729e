//! What the store holds in memory over its engine: the writes of the open group, and a bounded cache of rows as they
//! are in the engine. Where no rows are is known in `vacancies`.
//!
//! What always holds: a cached row is only ever what the engine said or what a commit made durable, so it can be
//! dropped at any moment (law 4); a row of the open group is never dropped before its commit. The hash table finds
//! rows and is never iterated: commits sort their keys, scans use ordered indexes (which are brought up to date only
//! for tables that somebody scans), eviction walks the slots by number. So nothing depends on the order of hashes.

use crate::bytes::{Key, Value};
use crate::engine::{Engine, EngineError};
use crate::seal::Was;
use crate::tables::Seal;
use crate::vacancies::{Vacancies, Vacancy};
use crate::writes::Before;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, Hasher};

/// Rows that the cache holds at most.
pub(crate) const CACHE_ROWS: usize = 1 << 16;
/// Bytes of boxed values that the cache holds at most.
pub(crate) const CACHE_BYTES: usize = 32 << 20;
/// Bytes of a value that is worth keeping in the cache for as long as there is room.
const CACHE_VALUE_BYTES: usize = 16 << 10;
/// Bytes of longer values that are kept, the newest ones: what was just written for a peer or a vat is read back soon, and
/// deleted soon after that.
pub(crate) const LONG_VALUES_BYTES: usize = 16 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In no use; its number is in `free`.
    Free,
    /// As the engine has it.
    Clean,
    /// Written in the open group; how the engine has it.
    Dirty(Was),
}

struct Slot {
    hash: u64,
    key: Key,
    value: Option<Value>,
    state: State,
    /// Used since the hand of the clock last passed.
    used: bool,
}

/// Rows of the open group of one table, in order.
#[derive(Default)]
struct TableOrder {
    /// Slots that `sorted` does not have yet.
    tail: Vec<u32>,
    sorted: BTreeMap<Key, u32>,
}

/// A row that a layer knows: its value, or that it does not exist.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen<'a>(pub(crate) Option<&'a Value>);

impl<'a> Seen<'a> {
    /// The value's bytes, if the row exists.
    #[inline]
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        self.0.map(Value::as_slice)
    }
}

/// The rows that a commit writes.
pub(crate) struct Batch<'a> {
    slots: &'a [Slot],
    /// Slots by number, sorted by key.
    rows: Vec<u32>,
}

impl Batch<'_> {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The seal after this batch, if this is the one before it. Rows of which nobody knew how they were are read.
    pub(crate) fn seal(&self, before: Seal, engine: &dyn Engine) -> Result<Seal, EngineError> {
        let mut seal = Seal { batch: before.batch + 1, ..before };
        for &index in &self.rows {
            let slot = &self.slots[index as usize];
            let State::Dirty(was) = slot.state else { continue };
            seal.change(engine, &slot.key, was, slot.value.as_ref())?;
        }
        Ok(seal)
    }

    /// As the engine wants it, with `extra` in its place.
    pub(crate) fn with(&self, extra: (Key, Option<Value>)) -> Vec<(Key, Option<Value>)> {
        let row = |&index: &u32| {
            let slot = &self.slots[index as usize];
            (slot.key.clone(), slot.value.clone())
        };
        let (below, above) =
            self.rows.split_at(self.rows.partition_point(|&index| self.slots[index as usize].key < extra.0));
        let mut batch = Vec::with_capacity(self.rows.len() + 1);
        batch.extend(below.iter().map(row));
        batch.push(extra);
        batch.extend(above.iter().map(row));
        batch
    }
}

pub(crate) struct Overlay {
    hasher: FixedState,
    table: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The clock's hand: where eviction looks next.
    hand: usize,
    /// The slots of the open group.
    dirty: Vec<u32>,
    /// Bytes of keys and values of the open group.
    dirty_bytes: usize,
    /// Bytes of boxed values of all slots.
    boxed_bytes: usize,
    /// Long values that commits have made durable, the oldest first, with the hash of their row's key and their length.
    /// Some may be gone.
    long: VecDeque<(u32, u64, usize)>,
    /// Bytes of those.
    long_bytes: usize,
    /// By tag.
    orders: Vec<TableOrder>,
    /// Where no rows are.
    pub(crate) vacancies: Vacancies,
}

/// The table that a key belongs to.
pub(crate) fn tag_of(key: &[u8]) -> u8 {
    key.first().copied().unwrap_or(0)
}

fn value_len(value: Option<&Value>) -> usize {
    value.map_or(0, Value::len)
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 rows fit into memory")
}

impl Overlay {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            table: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            dirty: Vec::new(),
            dirty_bytes: 0,
            boxed_bytes: 0,
            long: VecDeque::new(),
            long_bytes: 0,
            orders: (0..=u8::MAX).map(|_| TableOrder::default()).collect(),
            vacancies: Vacancies::default(),
        }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &Key) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.as_slice());
        hasher.finish()
    }

    /// What is known of a row, if anything is.
    #[inline]
    pub(crate) fn get(&mut self, hash: u64, key: &Key) -> Option<Seen<'_>> {
        let slots = &mut self.slots;
        let &index = self.table.find(hash, |&index| slots[index as usize].key == *key)?;
        let slot = &mut slots[index as usize];
        slot.used = true;
        Some(Seen(slot.value.as_ref()))
    }

    /// Remembers what the engine said about a row of which nothing is known.
    pub(crate) fn fill(&mut self, hash: u64, key: &Key, value: Option<Value>) {
        if value_len(value.as_ref()) <= CACHE_VALUE_BYTES {
            self.evict();
            self.insert(Slot { hash, key: key.clone(), value, state: State::Clean, used: false });
        }
    }

    /// Writes a row in the open group.
    #[inline]
    pub(crate) fn write(&mut self, hash: u64, key: Key, value: Option<Value>, before: Before) {
        let slots = &mut self.slots;
        let found = self.table.find(hash, |&index| slots[index as usize].key == key).copied();
        let new_bytes = value_len(value.as_ref());
        let tag = tag_of(key.as_slice());
        if value.is_some() {
            self.vacancies.written(tag, &key);
        }
        let Some(index) = found else {
            let was = match before {
                Before::Nothing if value.is_none() => return, // it came and went within the turn
                Before::Nothing => Was::Nothing,
                Before::Unknown => Was::Unknown,
            };
            self.dirty_bytes += key.len() + new_bytes;
            let index = self.insert(Slot { hash, key, value, state: State::Dirty(was), used: true });
            self.dirty.push(index);
            self.orders[usize::from(tag)].tail.push(index);
            return;
        };
        let slot = &mut slots[index as usize];
        let old_bytes = value_len(slot.value.as_ref());
        self.boxed_bytes = self.boxed_bytes + boxed(new_bytes) - boxed(old_bytes);
        if slot.state == State::Clean {
            slot.state = State::Dirty(Was::of(&slot.key, slot.value.as_ref()));
            self.dirty_bytes += slot.key.len() + new_bytes;
            self.dirty.push(index);
            self.orders[usize::from(tag)].tail.push(index);
        } else {
            self.dirty_bytes = self.dirty_bytes + new_bytes - old_bytes;
        }
        slot.value = value;
        slot.used = true;
    }

    fn insert(&mut self, slot: Slot) -> u32 {
        self.boxed_bytes += boxed(value_len(slot.value.as_ref()));
        let hash = slot.hash;
        let index = if let Some(index) = self.free.pop() {
            self.slots[index as usize] = slot;
            index
        } else {
            self.slots.push(slot);
            number(self.slots.len() - 1)
        };
        let slots = &self.slots;
        self.table.insert_unique(hash, index, |&other| slots[other as usize].hash);
        index
    }

    fn remove(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.state = State::Free;
        self.boxed_bytes -= boxed(value_len(slot.value.take().as_ref()));
        slot.key = Key::new(&[]);
        if let Ok(entry) = self.table.find_entry(slot.hash, |&other| other == index) {
            entry.remove();
        }
        self.free.push(index);
    }

    /// Makes room for one more row: drops up to two clean rows while the cache is over its limits. The clock's hand
    /// passes at most a few slots, so that the cost is bounded; a group larger than the cache just grows it.
    fn evict(&mut self) {
        let mut dropped = 0;
        for _ in 0..8 {
            let full = self.table.len() >= CACHE_ROWS || self.boxed_bytes > CACHE_BYTES;
            if !full || dropped == 2 || self.slots.is_empty() {
                return;
            }
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[self.hand];
            if slot.state == State::Clean {
                if slot.used {
                    slot.used = false;
                } else {
                    self.remove(number(self.hand));
                    dropped += 1;
                }
            }
        }
    }

    /// Bytes of keys and values of the open group.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// The writes of the open group, sorted. Rows that came and went inside it are left out.
    pub(crate) fn batch(&self) -> Batch<'_> {
        let slots = &self.slots;
        let worth = |slot: &Slot| slot.state != State::Dirty(Was::Nothing) || slot.value.is_some();
        let mut rows: Vec<u32> = self.dirty.iter().copied().filter(|&index| worth(&slots[index as usize])).collect();
        rows.sort_unstable_by(|&a, &b| slots[a as usize].key.cmp(&slots[b as usize].key));
        Batch { slots, rows }
    }

    /// The group is durable: its rows are now what the engine has.
    pub(crate) fn committed(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for &index in &dirty {
            let Slot { key, value, .. } = &self.slots[index as usize];
            if value.is_none() {
                self.vacancies.deleted(tag_of(key.as_slice())); // unless others were written
            }
        }
        for &index in &dirty {
            let slot = &mut self.slots[index as usize];
            slot.state = State::Clean;
            let tag = tag_of(slot.key.as_slice());
            let order = &mut self.orders[usize::from(tag)];
            order.tail.clear();
            order.sorted.clear();
            if slot.value.is_some() {
                self.vacancies.learn(tag, Vacancy::Inhabited);
            }
            // Deleted rows mostly had identifiers that are never used again: knowing of them is no use.
            match slot.value.as_ref().map(Value::len) {
                None => self.remove(index),
                Some(len) if len > CACHE_VALUE_BYTES => {
                    self.long.push_back((index, slot.hash, len));
                    self.long_bytes += len;
                }
                Some(_) => {}
            }
        }
        self.let_long_values_go();
        let over = self.table.len().saturating_sub(CACHE_ROWS);
        for _ in 0..over {
            self.evict();
        }
        dirty.clear();
        self.dirty = dirty;
        self.dirty_bytes = 0;
    }

    fn let_long_values_go(&mut self) {
        while self.long_bytes > LONG_VALUES_BYTES {
            let Some((index, hash, len)) = self.long.pop_front() else { return };
            self.long_bytes -= len;
            // The slot may be free by now, or used anew: for a row of that hash and length it may as well go.
            let slot = &self.slots[index as usize];
            if slot.state == State::Clean && slot.hash == hash && value_len(slot.value.as_ref()) == len {
                self.remove(index);
            }
        }
    }

    /// The rows of the open group with start <= key < end, ascending; all keys of the range have this tag.
    pub(crate) fn range(
        &mut self,
        tag: u8,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> impl Iterator<Item = (&Key, Option<&Value>)> {
        let slots = &self.slots;
        let order = &mut self.orders[usize::from(tag)];
        for index in order.tail.drain(..) {
            order.sorted.insert(slots[index as usize].key.clone(), index);
        }
        key_range(&order.sorted, start, end).map(|(key, &index)| (key, slots[index as usize].value.as_ref()))
    }
}

/// The entries with start <= key < end.
pub(crate) fn key_range<'a, V>(
    map: &'a BTreeMap<Key, V>,
    start: &[u8],
    end: Option<&[u8]>,
) -> impl Iterator<Item = (&'a Key, &'a V)> + use<'a, V> {
    use std::ops::Bound;
    // BTreeMap panics on ranges that end before they begin.
    let end = match end {
        Some(end) => Bound::Excluded(end.max(start)),
        None => Bound::Unbounded,
    };
    map.range::<[u8], _>((Bound::Included(start), end))
}

/// Bytes outside of the slot itself, roughly.
fn boxed(len: usize) -> usize {
    if len > 46 { len } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new(&number.to_be_bytes())
    }

    #[test]
    fn the_cache_stays_within_its_limit_and_never_drops_the_group() {
        let mut overlay = Overlay::new(1);
        for number in 0..2 * CACHE_ROWS {
            let key = key(number);
            let hash = overlay.hash(&key);
            if number % 8 == 0 {
                overlay.write(hash, key, Some(Value::new(&[1; 60])), Before::Unknown);
            } else {
                overlay.fill(hash, &key, None);
            }
        }
        assert!(overlay.table.len() <= CACHE_ROWS, "{}", overlay.table.len());
        for number in (0..2 * CACHE_ROWS).step_by(8) {
            let key = key(number);
            let hash = overlay.hash(&key);
            assert_eq!(overlay.get(hash, &key), Some(Seen(Some(&Value::new(&[1; 60])))));
        }
        assert_eq!(overlay.range(0, &[0], None).count(), 2 * CACHE_ROWS / 8);
        let extra = (key(CACHE_ROWS + 1), None);
        let batch = overlay.batch().with(extra.clone());
        assert!(batch.contains(&extra) && batch.is_sorted_by(|a, b| a.0 < b.0));
        let batch: Vec<_> = batch.into_iter().filter(|row| *row != extra).collect();
        assert_eq!(batch.len(), 2 * CACHE_ROWS / 8);
        assert!(batch.is_sorted_by(|a, b| a.0 < b.0));
        let bytes: usize = batch.iter().map(|(key, _)| key.len() + 60).sum();
        assert_eq!(overlay.dirty_bytes(), bytes);
        overlay.committed();
        assert_eq!((overlay.dirty_bytes(), overlay.batch().len(), overlay.range(0, &[0], None).count()), (0, 0, 0));
    }

    #[test]
    fn a_group_larger_than_the_cache_grows_it_only_until_its_commit() {
        let mut overlay = Overlay::new(1);
        for number in 0..CACHE_ROWS + 1000 {
            let key = key(number);
            overlay.write(overlay.hash(&key), key, Some(Value::new(b"1")), Before::Unknown);
        }
        assert_eq!(overlay.table.len(), CACHE_ROWS + 1000);
        overlay.committed();
        for number in 0..CACHE_ROWS {
            let key = key(10 * CACHE_ROWS + number);
            let hash = overlay.hash(&key);
            overlay.fill(hash, &key, None);
        }
        assert!(overlay.table.len() <= CACHE_ROWS + 1, "{}", overlay.table.len());
    }

    #[test]
    fn long_values_are_counted_and_let_go() {
        let mut overlay = Overlay::new(1);
        let long = Value::from(vec![0; CACHE_VALUE_BYTES]);
        for number in 0..2 * CACHE_BYTES / CACHE_VALUE_BYTES {
            let key = key(number);
            overlay.fill(overlay.hash(&key), &key, Some(long.clone()));
        }
        assert!(overlay.boxed_bytes <= CACHE_BYTES + CACHE_VALUE_BYTES);
        let before = overlay.boxed_bytes;
        let len = LONG_VALUES_BYTES / 4 - 1;
        let write = |overlay: &mut Overlay, number: usize, value: Option<Value>| {
            let key = Key::new(format!("longer{number}").as_bytes());
            overlay.write(overlay.hash(&key), key, value, Before::Unknown);
            overlay.committed();
        };
        let has = |overlay: &mut Overlay, number: usize| {
            let key = Key::new(format!("longer{number}").as_bytes());
            let hash = overlay.hash(&key);
            overlay.get(hash, &key).is_some()
        };
        for number in 0..10 {
            write(&mut overlay, number, Some(Value::from(vec![0; len / 2])));
            write(&mut overlay, number, Some(Value::from(vec![0; len])));
            assert!(has(&mut overlay, number), "what was written is read back soon");
            assert!(overlay.boxed_bytes <= before + LONG_VALUES_BYTES);
        }
        assert!(!has(&mut overlay, 0));
        for number in 0..10 {
            write(&mut overlay, number, None);
        }
        assert_eq!(overlay.boxed_bytes, before);
        for number in 10..100 {
            write(&mut overlay, number, Some(Value::from(vec![0; len])));
            write(&mut overlay, number, None);
        }
        assert_eq!(overlay.boxed_bytes, before);
        assert!(overlay.long_bytes <= LONG_VALUES_BYTES && overlay.long.len() <= 10);
    }
}
