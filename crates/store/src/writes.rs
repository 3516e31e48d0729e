//! The write set of one turn. Most turns write a dozen rows, so it is a list that is searched by comparing hashes;
//! indexes are built only for the few turns that grow large.
//!
//! Like the overlay's, its hash table is never iterated.

use crate::bytes::{Key, Value};
use crate::overlay::{Seen, key_range};
use hashbrown::HashTable;
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;

/// Writes up to which the list is searched from end to end.
const LISTED: usize = 32;

/// What the writer knows of the row as it was before the turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Unknown,
    /// That there was no row.
    Nothing,
}

pub(crate) struct Write {
    pub(crate) hash: u64,
    pub(crate) key: Key,
    pub(crate) value: Option<Value>,
    /// As the first write of the turn knew it.
    pub(crate) before: Before,
}

#[derive(Default)]
struct Order {
    /// How many of the writes `sorted` has.
    known: usize,
    sorted: BTreeMap<Key, u32>,
}

#[derive(Default)]
pub(crate) struct WriteSet {
    hashes: Vec<u64>,
    writes: Vec<Write>,
    /// Complete once there are more than `LISTED` writes.
    index: HashTable<u32>,
    order: RefCell<Order>,
}

impl WriteSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    #[inline]
    fn find(&self, hash: u64, key: &Key) -> Option<usize> {
        if self.writes.len() > LISTED {
            return self.index.find(hash, |&at| self.writes[at as usize].key == *key).map(|&at| at as usize);
        }
        let mut from = 0;
        while let Some(at) = self.hashes[from..].iter().position(|&other| other == hash) {
            if self.writes[from + at].key == *key {
                return Some(from + at);
            }
            from += at + 1;
        }
        None
    }

    /// What the turn wrote, if it did.
    #[inline]
    pub(crate) fn get(&self, hash: u64, key: &Key) -> Option<Seen<'_>> {
        self.find(hash, key).map(|at| Seen(self.writes[at].value.as_ref()))
    }

    #[inline]
    pub(crate) fn write(&mut self, hash: u64, key: Key, value: Option<Value>, before: Before) {
        if let Some(at) = self.find(hash, &key) {
            self.writes[at].value = value;
            return;
        }
        self.hashes.push(hash);
        self.writes.push(Write { hash, key, value, before });
        if self.writes.len() > LISTED {
            let from = if self.index.is_empty() { 0 } else { self.writes.len() - 1 };
            for at in from..self.writes.len() {
                let at = u32::try_from(at).expect("fewer than 2^32 writes fit into memory");
                let hashes = &self.hashes;
                self.index.insert_unique(hashes[at as usize], at, |&other| hashes[other as usize]);
            }
        }
    }

    /// Takes all writes out, in the order of first writing.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Write> {
        self.forget_indexes();
        self.writes.drain(..)
    }

    pub(crate) fn clear(&mut self) {
        self.forget_indexes();
        self.writes.clear();
    }

    fn forget_indexes(&mut self) {
        self.hashes.clear();
        if !self.index.is_empty() {
            self.index = HashTable::new();
        }
        let order = self.order.get_mut();
        if order.known > 0 {
            *order = Order::default();
        }
    }

    /// True while they are so few that no index is kept.
    pub(crate) fn is_listed(&self) -> bool {
        self.writes.len() <= LISTED
    }

    /// The writes with start <= key < end, ascending: for scans while they are few.
    pub(crate) fn listed(&self, start: &[u8], end: Option<&[u8]>) -> Vec<(&Key, Option<&Value>)> {
        let meant = |key: &[u8]| key >= start && end.is_none_or(|end| key < end);
        let writes = self.writes.iter().filter(|write| meant(write.key.as_slice()));
        let mut rows: Vec<_> = writes.map(|write| (&write.key, write.value.as_ref())).collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(b.0));
        rows
    }

    /// The writes in order, for scans.
    pub(crate) fn ordered(&self) -> Ordered<'_> {
        let mut order = self.order.borrow_mut();
        for at in order.known..self.writes.len() {
            let number = u32::try_from(at).expect("fewer than 2^32 writes fit into memory");
            order.sorted.insert(self.writes[at].key.clone(), number);
        }
        order.known = self.writes.len();
        Ordered { set: self, order }
    }
}

/// The writes of a turn in order.
pub(crate) struct Ordered<'a> {
    set: &'a WriteSet,
    order: RefMut<'a, Order>,
}

impl Ordered<'_> {
    /// The writes with start <= key < end, ascending.
    pub(crate) fn range(&self, start: &[u8], end: Option<&[u8]>) -> impl Iterator<Item = (&Key, Option<&Value>)> {
        let set = self.set;
        key_range(&self.order.sorted, start, end).map(move |(key, &at)| (key, set.writes[at as usize].value.as_ref()))
    }
}
