//! The seal: one row, written with every batch, that says what the whole store consists of. A store of which a batch
//! was written only in part does not match its seal, whichever part that was, and is refused when it is opened.
//!
//! What always holds: the seal is the number of the batch, the number of all other rows, and the sum of their digests.
//! A sum, because then a batch changes it by what its own rows were and are. Why not a digest of the last batch only,
//! which could be checked without reading everything? If the tear took the seal itself, nothing in the batch before
//! tells where to look for what is new. It finds accidents, not forgers: the digest has no secret.

use crate::bytes::{Key, Value};
use crate::engine::{Engine, EngineError};
use crate::scan::after;
use crate::store::OpenError;
use crate::table::Table;
use crate::tables::{Seal, SealTable};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Rows up to which a store is compared with its seal whenever it is opened. It takes about half a second for so many
/// rows on a disk. A tear in a larger store is found by `Store::verify` only.
pub const OPEN_CHECK_ROWS: u64 = 1 << 20;

/// Rows fetched at once.
const CHUNK_ROWS: usize = 1024;

/// What is known of a row as it was before its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Was {
    /// Nothing is known.
    Unknown,
    /// There was none.
    Nothing,
    /// It had this digest.
    Row(u64),
}

impl Was {
    /// Of a row with this value, or of none.
    pub(crate) fn of(key: &Key, value: Option<&Value>) -> Self {
        value.map_or(Self::Nothing, |value| Self::Row(digest(key.as_slice(), value.as_slice())))
    }
}

/// The digest of one row. It is on disks: another function is another schema.
#[inline]
fn digest(key: &[u8], value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64(key))
}

impl Seal {
    /// Accounts for one row of a batch.
    pub(crate) fn change(
        &mut self,
        engine: &dyn Engine,
        key: &Key,
        was: Was,
        value: Option<&Value>,
    ) -> Result<(), EngineError> {
        match was {
            Was::Nothing => {}
            Was::Row(digest) => self.remove(digest),
            Was::Unknown => {
                if let Some(found) = engine.get(key.as_slice())? {
                    self.remove(digest(key.as_slice(), &found));
                }
            }
        }
        if let Some(value) = value {
            self.add(digest(key.as_slice(), value.as_slice()));
        }
        Ok(())
    }

    fn add(&mut self, digest: u64) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(digest);
    }

    // Nothing here panics on a wrong sum: it is for `verify` to find out.
    fn remove(&mut self, digest: u64) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(digest);
    }

    /// The row of the batch that it seals.
    pub(crate) fn row(&self) -> (Key, Option<Value>) {
        let mut bytes = Vec::new();
        SealTable::encode(self, &mut bytes);
        (SealTable::write_key(&()), Some(Value::from(bytes)))
    }
}

/// Completes a sorted batch by the seal of the store as it will be after it.
pub(crate) fn seal_batch(
    engine: &dyn Engine,
    before: Option<Seal>,
    batch: &mut Vec<(Key, Option<Value>)>,
) -> Result<Seal, EngineError> {
    let mut seal = match before {
        Some(seal) => seal,
        None => recount(engine)?,
    };
    seal.batch += 1;
    for (key, value) in &*batch {
        seal.change(engine, key, Was::Unknown, value.as_ref())?;
    }
    let row = seal.row();
    let place = batch.partition_point(|(key, _)| *key < row.0);
    batch.insert(place, row);
    Ok(seal)
}

/// What the seal of the rows that are there would say, as that of batch 0.
fn recount(engine: &dyn Engine) -> Result<Seal, EngineError> {
    let mut seal = Seal { batch: 0, rows: 0, sum: 0 };
    let own = SealTable::write_key(&());
    let mut start = Vec::new();
    loop {
        let rows = engine.scan(&start, None, CHUNK_ROWS)?;
        for (key, value) in rows.iter().filter(|(key, _)| key != own.as_slice()) {
            seal.add(digest(key, value));
        }
        match rows.last() {
            Some((key, _)) if rows.len() == CHUNK_ROWS => start = after(key),
            _ => return Ok(seal),
        }
    }
}

/// Compares everything that is there with the seal.
pub(crate) fn verify(engine: &dyn Engine, seal: Seal) -> Result<(), OpenError> {
    let found = recount(engine)?;
    if (found.rows, found.sum) == (seal.rows, seal.sum) {
        return Ok(());
    }
    let what = if found.rows == seal.rows { "some of them are others" } else { "that is another number" };
    Err(OpenError::Torn(format!(
        "its last batch, number {}, left {} rows, and of the {} that are there {what}",
        seal.batch, seal.rows, found.rows
    )))
}
