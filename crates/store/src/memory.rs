//! The engine in memory. It is a real engine: what it lacks is only a disk under it.
//!
//! A clone is a snapshot, and costs next to nothing. `shared()` turns it into a `MemoryDisk`, which survives the store
//! that writes to it and can be told to fail in the ways of disks, for tests of crashes and faults. Nothing here knows
//! what the bytes mean.

use crate::bytes::{Key, Value};
use crate::engine::{Engine, EngineError, EngineStats, Row};
use crate::leaves::Leaves;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows in memory.
#[derive(Clone, Default)]
pub struct MemoryEngine {
    rows: Leaves,
    stats: EngineStats,
}

impl MemoryEngine {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// As a disk that several stores can use one after the other.
    pub fn shared(self) -> MemoryDisk {
        let disk = Disk { engine: self, survives: None, applies: None, reads_left: None };
        MemoryDisk { inside: Arc::new(Mutex::new(disk)) }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Sets one row, past all stores: for tests of damage.
    pub fn set_raw(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.rows.insert(&Key::new(key), Value::new(value)),
            None => self.rows.remove(key),
        }
    }

    fn write<'a>(&mut self, batch: impl Iterator<Item = &'a (Key, Option<Value>)>) {
        for (key, value) in batch {
            match value {
                Some(value) => self.rows.insert(key, value.clone()),
                None => self.rows.remove(key.as_slice()),
            }
        }
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.rows.get(key).map(|value| value.as_slice().to_vec()))
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError> {
        let rows =
            self.rows.rows_from(start).take_while(|(key, _)| end.is_none_or(|end| key.as_slice() < end)).take(limit);
        Ok(rows.map(|(key, value)| (key.as_slice().to_vec(), value.as_slice().to_vec())).collect())
    }

    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError> {
        self.write(batch.iter());
        self.stats.count(batch);
        Ok(())
    }

    fn stats(&self) -> EngineStats {
        self.stats
    }
}

/// Which rows of a batch a tear keeps, by their number in it.
type Kept = Box<dyn Fn(usize) -> bool + Send>;

/// What becomes of an apply that goes wrong.
enum ApplyFault {
    /// Nothing is written.
    Fail,
    /// Nothing is written, and there is no room.
    Full,
    /// All is written, but the writer is told that it failed, as one that dies before it hears the answer. Later
    /// applies fail.
    NoAnswer,
    /// Some rows are written. Later applies fail.
    Tear(Kept),
    /// It seems written, but will be gone when the power is cut, and so will all that follows.
    Forget,
}

struct Disk {
    engine: MemoryEngine,
    /// What a power cut leaves, if not all that there is.
    survives: Option<MemoryEngine>,
    /// How many applies still succeed, and then what happens.
    applies: Option<(u64, ApplyFault)>,
    /// How many reads still succeed.
    reads_left: Option<u64>,
}

impl Disk {
    fn read(&mut self) -> Result<&MemoryEngine, EngineError> {
        match &mut self.reads_left {
            None => {}
            Some(0) => return Err(told_to_fail("read")),
            Some(left) => *left -= 1,
        }
        Ok(&self.engine)
    }

    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError> {
        let fault = match &mut self.applies {
            None => return self.engine.apply(batch),
            Some((left @ 1.., _)) => {
                *left -= 1;
                return self.engine.apply(batch);
            }
            Some((_, fault)) => fault,
        };
        match std::mem::replace(fault, ApplyFault::Fail) {
            ApplyFault::Fail => {}
            ApplyFault::Full => {
                *fault = ApplyFault::Full;
                return Err(EngineError::Full("the disk in memory was told to have no room; mend it".into()));
            }
            ApplyFault::NoAnswer => self.engine.apply(batch)?,
            ApplyFault::Tear(kept) => {
                let rows = batch.iter().enumerate().filter(|(number, _)| kept(*number));
                self.engine.write(rows.map(|(_, row)| row));
            }
            ApplyFault::Forget => {
                *fault = ApplyFault::Forget;
                self.survives.get_or_insert_with(|| self.engine.clone());
                return self.engine.apply(batch);
            }
        }
        Err(told_to_fail("write"))
    }
}

fn told_to_fail(what: &str) -> EngineError {
    EngineError::Failed(format!("the disk in memory was told to fail this {what}"))
}

/// Rows in memory that outlive the store using them, as a disk outlives a process. Clones are the same disk.
///
/// A fault waits for its moment, stays until `mend`, and replaces the one set before it.
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

    /// An engine on this disk, for one store. The process that wrote before is gone.
    pub fn engine(&self) -> Box<dyn Engine> {
        Box::new(DiskEngine { disk: self.clone() })
    }

    /// What is on the disk now. It shares its rows with the disk until one of them changes.
    pub fn snapshot(&self) -> MemoryEngine {
        self.lock().engine.clone()
    }

    /// Puts back what was there before.
    pub fn restore(&self, snapshot: MemoryEngine) {
        let mut disk = self.lock();
        disk.engine = snapshot;
        disk.survives = None;
    }

    /// After `good` more applies every apply fails and writes nothing.
    pub fn fail_applies_after(&self, good: u64) {
        self.fault(good, ApplyFault::Fail);
    }

    /// After `good` more applies there is no room for any other.
    pub fn fill_up_after(&self, good: u64) {
        self.fault(good, ApplyFault::Full);
    }

    /// After `good` more applies one is written although its writer is told that it failed: the process died before it
    /// heard the answer. Those after it fail.
    pub fn lose_answer_after(&self, good: u64) {
        self.fault(good, ApplyFault::NoAnswer);
    }

    /// After `good` more applies one is torn: of its rows only those are written for whose number `keep` says so, and
    /// its writer is told that it failed. Those after it fail. An engine that obeys its contract never does this.
    pub fn tear_apply_after(&self, good: u64, keep: impl Fn(usize) -> bool + Send + 'static) {
        self.fault(good, ApplyFault::Tear(Box::new(keep)));
    }

    /// After `good` more applies the disk lies: applies seem to succeed, but `cut_power` will undo them. An engine that
    /// obeys its contract never does this.
    pub fn forget_applies_after(&self, good: u64) {
        self.fault(good, ApplyFault::Forget);
    }

    /// After `good` more reads every read fails.
    pub fn fail_reads_after(&self, good: u64) {
        self.lock().reads_left = Some(good);
    }

    /// Ends the faults. What was forgotten till now stays so.
    pub fn mend(&self) {
        let mut disk = self.lock();
        disk.applies = None;
        disk.reads_left = None;
    }

    /// Takes away what the disk only pretended to have written. For a disk that did not lie it changes nothing.
    pub fn cut_power(&self) {
        let mut disk = self.lock();
        if let Some(rest) = disk.survives.take() {
            disk.engine = rest;
        }
    }

    fn fault(&self, good: u64, fault: ApplyFault) {
        self.lock().applies = Some((good, fault));
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        // Every operation leaves the disk whole, even one that panicked.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct DiskEngine {
    disk: MemoryDisk,
}

impl Engine for DiskEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.disk.lock().read()?.get(key)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError> {
        self.disk.lock().read()?.scan(start, end, limit)
    }

    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError> {
        self.disk.lock().apply(batch)
    }

    fn stats(&self) -> EngineStats {
        self.disk.lock().engine.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u8) -> (Key, Option<Value>) {
        (Key::new(&[number]), Some(Value::new(&[number])))
    }

    fn keys(disk: &MemoryDisk) -> Vec<u8> {
        let rows = disk.snapshot().scan(&[], None, usize::MAX).expect("memory");
        rows.into_iter().map(|(key, _)| key[0]).collect()
    }

    #[test]
    fn each_fault_leaves_what_it_says() {
        let disk = MemoryDisk::new();
        let mut engine = disk.engine();
        disk.lose_answer_after(1);
        assert_eq!(engine.apply(&[row(1)]), Ok(()));
        assert!(matches!(engine.apply(&[row(2), row(3)]), Err(EngineError::Failed(_))));
        assert!(engine.apply(&[row(4)]).is_err(), "the process is dead");
        assert_eq!(keys(&disk), [1, 2, 3]);
        disk.mend();
        disk.tear_apply_after(0, |number| number != 1);
        assert!(engine.apply(&[(Key::new(&[1]), None), row(4), row(5)]).is_err());
        assert!(engine.apply(&[row(6)]).is_err());
        assert_eq!(keys(&disk), [2, 3, 5]);
        disk.fill_up_after(0);
        for _ in 0..2 {
            assert!(matches!(engine.apply(&[row(6)]), Err(EngineError::Full(_))));
        }
        disk.fail_reads_after(1);
        assert!(engine.get(&[2]).is_ok() && engine.get(&[2]).is_err());
        disk.mend();
        assert_eq!((keys(&disk), engine.get(&[2])), (vec![2, 3, 5], Ok(Some(vec![2]))));
    }

    #[test]
    fn what_a_disk_forgets_is_there_until_the_power_is_cut() {
        let disk = MemoryDisk::new();
        let mut engine = disk.engine();
        disk.forget_applies_after(1);
        for number in 1..4 {
            assert_eq!(engine.apply(&[row(number)]), Ok(()));
        }
        assert_eq!(keys(&disk), [1, 2, 3]);
        disk.mend();
        assert_eq!(engine.apply(&[row(4)]), Ok(()));
        disk.cut_power();
        assert_eq!(keys(&disk), [1]);
        engine.apply(&[row(5)]).expect("mended");
        disk.cut_power();
        assert_eq!(keys(&disk), [1, 5]);
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let disk = MemoryDisk::new();
        let mut engine = disk.engine();
        engine.apply(&[row(1), row(2)]).expect("memory");
        let before = disk.snapshot();
        engine.apply(&[(Key::new(&[1]), None), row(3)]).expect("memory");
        assert_eq!((before.rows(), keys(&disk)), (2, vec![2, 3]));
        disk.restore(before);
        assert_eq!(keys(&disk), [1, 2]);
    }
}
