//! The engine in memory. It is a real engine: what it lacks is only a disk under it.
//!
//! A clone is a snapshot. `shared()` turns it into a `MemoryDisk`, which survives the store that writes to it and can
//! be told to fail, for tests of crashes and faults. Nothing here knows what the bytes mean.

use crate::bytes::{Key, Value};
use crate::engine::{Engine, EngineError, EngineStats, Row};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows in memory.
#[derive(Clone, Default)]
pub struct MemoryEngine {
    rows: BTreeMap<Key, Value>,
    stats: EngineStats,
}

impl MemoryEngine {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// As a disk that several stores can use one after the other.
    pub fn shared(self) -> MemoryDisk {
        MemoryDisk { inside: Arc::new(Mutex::new(Disk { engine: self, faults: Faults::default() })) }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Sets one row, past all stores: for tests of damage.
    pub fn set_raw(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.rows.insert(Key::new(key), Value::new(value)),
            None => self.rows.remove(key),
        };
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.rows.get(key).map(|value| value.as_slice().to_vec()))
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError> {
        if end.is_some_and(|end| end <= start) {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(start), end.map_or(Bound::Unbounded, Bound::Excluded));
        let rows = self.rows.range::<[u8], _>(range).take(limit);
        Ok(rows.map(|(key, value)| (key.as_slice().to_vec(), value.as_slice().to_vec())).collect())
    }

    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError> {
        for (key, value) in batch {
            match value {
                Some(value) => self.rows.insert(key.clone(), value.clone()),
                None => self.rows.remove(key),
            };
        }
        self.stats.count(batch);
        Ok(())
    }

    fn stats(&self) -> EngineStats {
        self.stats
    }
}

#[derive(Default)]
struct Faults {
    /// How many applies still succeed.
    applies_left: Option<u64>,
    /// How many reads still succeed.
    reads_left: Option<u64>,
}

struct Disk {
    engine: MemoryEngine,
    faults: Faults,
}

/// Rows in memory that outlive the store using them, as a disk outlives a process. Clones are the same disk.
#[derive(Clone)]
pub struct MemoryDisk {
    inside: Arc<Mutex<Disk>>,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    /// An empty one.
    pub fn new() -> Self {
        MemoryEngine::new().shared()
    }

    /// An engine on this disk, for one store.
    pub fn engine(&self) -> Box<dyn Engine> {
        Box::new(DiskEngine { disk: self.clone() })
    }

    /// What is on the disk now.
    pub fn snapshot(&self) -> MemoryEngine {
        self.lock().engine.clone()
    }

    /// Puts back what was there before.
    pub fn restore(&self, snapshot: MemoryEngine) {
        self.lock().engine = snapshot;
    }

    /// After `good` more applies every apply fails and writes nothing, until `mend`.
    pub fn fail_applies_after(&self, good: u64) {
        self.lock().faults.applies_left = Some(good);
    }

    /// After `good` more reads every read fails, until `mend`.
    pub fn fail_reads_after(&self, good: u64) {
        self.lock().faults.reads_left = Some(good);
    }

    /// Ends the faults.
    pub fn mend(&self) {
        self.lock().faults = Faults::default();
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        // Every operation leaves the disk whole, even one that panicked.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct DiskEngine {
    disk: MemoryDisk,
}

/// Counts down; an error once nothing is left.
fn spend(left: &mut Option<u64>, what: &str) -> Result<(), EngineError> {
    match left {
        None => Ok(()),
        Some(0) => Err(EngineError::Failed(format!("the disk in memory was told to fail this {what}"))),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
    }
}

impl Engine for DiskEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let mut disk = self.disk.lock();
        spend(&mut disk.faults.reads_left, "read")?;
        disk.engine.get(key)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError> {
        let mut disk = self.disk.lock();
        spend(&mut disk.faults.reads_left, "read")?;
        disk.engine.scan(start, end, limit)
    }

    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError> {
        let mut disk = self.disk.lock();
        spend(&mut disk.faults.applies_left, "write")?;
        disk.engine.apply(batch)
    }

    fn stats(&self) -> EngineStats {
        self.disk.lock().engine.stats()
    }
}
