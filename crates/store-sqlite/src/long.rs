//! Which rows have long values. Those lie in a table of their own.
//!
//! Why: rows are found by comparing keys, and the table of short rows keeps key and value together. For a value that does
//! not fit into a page, `SQLite` collects the whole row before it compares its key: each look-up that passed a long row
//! on its way would read all of it. The other table has an index with nothing but the keys.
//!
//! What always holds: a key is in one of the two tables at most, and this set has the keys that are in the table of long
//! rows. It is read when the store is opened, and follows each batch once that is committed.

use std::collections::BTreeSet;
use std::ops::Bound;
use sturdy_store::{Key, Value};

/// Bytes from which on a value is long. What an older program has written may be longer, and stays where it is.
pub(crate) const LONG_VALUE_BYTES: usize = 8 << 10;

/// Where a row is, or belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Rows,
    Long,
}

impl Place {
    /// Where a value belongs.
    pub(crate) fn of(value: &Value) -> Self {
        if value.len() < LONG_VALUE_BYTES { Self::Rows } else { Self::Long }
    }
}

/// The keys of the rows with long values.
#[derive(Debug, Default)]
pub(crate) struct LongKeys(BTreeSet<Key>);

impl LongKeys {
    pub(crate) fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Where a row is, if there is one.
    pub(crate) fn place(&self, key: &[u8]) -> Place {
        if !self.0.is_empty() && self.0.contains(key) { Place::Long } else { Place::Rows }
    }

    /// Those with start <= key < end, ascending.
    pub(crate) fn range(&self, start: &[u8], end: Option<&[u8]>) -> impl Iterator<Item = &Key> {
        // A set panics on ranges that end before they begin.
        let end = end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.max(start)));
        self.0.range::<[u8], _>((Bound::Included(start), end))
    }

    /// A batch is committed.
    pub(crate) fn committed(&mut self, batch: &[(Key, Option<Value>)]) {
        for (key, value) in batch {
            match value.as_ref().map(Place::of) {
                Some(Place::Long) => {
                    self.0.insert(key.clone());
                }
                Some(Place::Rows) | None if self.0.is_empty() => {}
                Some(Place::Rows) | None => {
                    self.0.remove(key);
                }
            }
        }
    }
}
