//! A turn: a set of writes laid over the open group. Dropping it forgets the writes, merging it makes them part of
//! the group; nothing is ever undone (law 6).

use crate::bytes::{Key, Value};
use crate::store::{Read, Store, StoreFault, decode};
use crate::table::{Rows, Table};
use crate::writes::Before;

/// One turn. There is one at a time.
pub struct Turn<'s> {
    store: &'s mut Store,
}

impl<'s> Turn<'s> {
    pub(crate) fn new(store: &'s mut Store) -> Self {
        debug_assert!(store.writes.is_empty(), "the turn before left nothing");
        Self { store }
    }

    /// Writes the record under `key`.
    #[inline]
    pub fn put<T: Table>(&mut self, key: &T::Key, record: &T::Record) {
        self.put_over::<T>(key, record, Before::Unknown);
    }

    #[inline]
    fn put_over<T: Table>(&mut self, key: &T::Key, record: &T::Record, before: Before) {
        let mut scratch = std::mem::take(&mut self.store.scratch);
        scratch.clear();
        T::encode(record, &mut scratch);
        let value = Value::new(&scratch);
        self.store.scratch = scratch;
        self.write(T::write_key(key), Some(value), before);
    }

    /// Writes the record under `key`, where none is: the caller knows it, because the key has a number that was never
    /// used. A row that comes and goes within a group then costs the engine nothing.
    #[inline]
    pub fn put_new<T: Table>(&mut self, key: &T::Key, record: &T::Record) {
        debug_assert!(matches!(self.has::<T>(key), Ok(false) | Err(_)), "{} has no row {key:?} yet", T::NAME);
        self.put_over::<T>(key, record, Before::Nothing);
    }

    /// Deletes the record under `key`, if there is one.
    #[inline]
    pub fn delete<T: Table>(&mut self, key: &T::Key) {
        self.write(T::write_key(key), None, Before::Unknown);
    }

    fn write(&mut self, key: Key, value: Option<Value>, before: Before) {
        let hash = self.store.hash(&key);
        self.store.writes.write(hash, key, value, before);
    }

    /// Makes the writes part of the open group.
    pub fn merge(self) -> Result<(), StoreFault> {
        self.store.merge_turn()
    }

    /// The id of this life of the store.
    pub fn incarnation(&self) -> sturdy_types::Incarnation {
        self.store.incarnation()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.store.writes.clear();
    }
}

impl Read for Turn<'_> {
    fn get<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, StoreFault> {
        let key = T::write_key(key);
        let hash = self.store.hash(&key);
        match self.store.writes.get(hash, &key) {
            Some(written) => written.bytes().map(|bytes| decode::<T>(key.as_slice(), bytes)).transpose(),
            None => self.store.with_row(hash, &key, |row| row.map(|row| decode::<T>(key.as_slice(), row)).transpose()),
        }
    }

    fn has<T: Table>(&self, key: &T::Key) -> Result<bool, StoreFault> {
        let key = T::write_key(key);
        let hash = self.store.hash(&key);
        match self.store.writes.get(hash, &key) {
            Some(written) => Ok(written.bytes().is_some()),
            None => self.store.with_row(hash, &key, |row| Ok(row.is_some())),
        }
    }

    fn scan<T: Table>(&self, prefix: &T::Prefix, after: Option<&T::Key>, limit: usize) -> Result<Rows<T>, StoreFault> {
        self.store.scan_table::<T>(Some(&self.store.writes), prefix, after, limit)
    }
}
