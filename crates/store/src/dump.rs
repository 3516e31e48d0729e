//! Every row as text, and what each table takes: for people and tools. The form is for eyes and may change.

use crate::engine::Row;
use crate::scan::{after, end_of};
use crate::store::{Store, StoreFault};
use crate::table::Described;
use crate::tables;
use std::collections::BTreeMap;

/// Rows fetched at once.
const CHUNK_ROWS: usize = 256;

/// What one table takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableSize {
    /// Rows.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Iterates over every merged row, in the order of the keys.
pub struct Dump<'s> {
    store: &'s Store,
    /// Where to go on; `None` at the end.
    start: Option<Vec<u8>>,
    rows: std::vec::IntoIter<Row>,
}

impl Dump<'_> {
    fn next_row(&mut self) -> Option<Result<Row, StoreFault>> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            if let Err(fault) = self.fetch()? {
                self.start = None;
                return Some(Err(fault));
            }
        }
    }

    /// The next rows of one table, perhaps none; `None` at the end.
    fn fetch(&mut self) -> Option<Result<(), StoreFault>> {
        let start = self.start.take()?;
        let end = end_of(&start[..1]);
        let mut rows = Vec::new();
        let scanned = self.store.scan_rows(None, &start, end.as_deref(), CHUNK_ROWS, |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            Ok(())
        });
        self.start = match rows.last() {
            Some((key, _)) if rows.len() == CHUNK_ROWS => Some(after(key)),
            _ => end,
        };
        self.rows = rows.into_iter();
        Some(scanned)
    }
}

impl Iterator for Dump<'_> {
    type Item = Result<Described, StoreFault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().map(|row| row.map(|(key, value)| tables::describe(&key, &value)))
    }
}

impl Store {
    /// Every merged row as text, in the order of the keys.
    pub fn dump(&self) -> Dump<'_> {
        Dump { store: self, start: Some(vec![0]), rows: Vec::new().into_iter() }
    }

    /// What each table takes, by name. Rows of no known table are under `unknown`.
    pub fn census(&self) -> Result<BTreeMap<&'static str, TableSize>, StoreFault> {
        let mut census: BTreeMap<_, TableSize> = BTreeMap::new();
        let mut dump = self.dump();
        while let Some(row) = dump.next_row() {
            let (key, value) = row?;
            let size = census.entry(tables::name_of(&key)).or_default();
            size.rows += 1;
            size.bytes += (key.len() + value.len()) as u64;
        }
        Ok(census)
    }
}
