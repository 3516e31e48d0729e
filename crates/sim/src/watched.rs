//! The engine that a node is given: that of its machine's disk, watched from beside it, so that it is known what a write
//! would have left that is about to be torn.
//!
//! What always holds: what is watched goes to the disk unchanged, and so does what comes back. Deliberately elsewhere: how
//! writes go wrong (`sturdy_store::MemoryDisk`), and what follows from it (`machine`).

use std::cell::RefCell;
use std::rc::Rc;
use sturdy_store::{Engine, EngineError, EngineStats, Key, MemoryDisk, MemoryEngine, Row, Value};

#[derive(Default)]
enum Watching {
    #[default]
    Nothing,
    NextWrite,
    Seen(MemoryEngine),
}

/// Who watches: clones look at the same.
#[derive(Clone, Default)]
pub struct Watch(Rc<RefCell<Watching>>);

impl Watch {
    /// From now on, for one write.
    pub fn next_write(&self) {
        *self.0.borrow_mut() = Watching::NextWrite;
    }

    /// What the write that was seen would have left, written to its end. None if there was no write.
    pub fn take(&self) -> Option<MemoryEngine> {
        match std::mem::take(&mut *self.0.borrow_mut()) {
            Watching::Seen(whole) => Some(whole),
            Watching::Nothing | Watching::NextWrite => None,
        }
    }

    /// An engine on this disk whose writes are watched.
    pub fn engine(&self, disk: &MemoryDisk) -> Box<dyn Engine> {
        Box::new(Watched { disk: disk.clone(), engine: disk.engine(), watch: self.clone() })
    }
}

struct Watched {
    disk: MemoryDisk,
    engine: Box<dyn Engine>,
    watch: Watch,
}

impl Engine for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.get(key)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError> {
        self.engine.scan(start, end, limit)
    }

    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError> {
        let watching = &mut *self.watch.0.borrow_mut();
        if matches!(watching, Watching::NextWrite) {
            let mut whole = self.disk.snapshot();
            whole.apply(batch)?;
            *watching = Watching::Seen(whole);
        }
        self.engine.apply(batch)
    }

    fn idle(&mut self) -> Result<bool, EngineError> {
        self.engine.idle()
    }

    fn stats(&self) -> EngineStats {
        self.engine.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u8) -> (Key, Option<Value>) {
        (Key::new(&[number]), Some(Value::new(&[number])))
    }

    fn keys(engine: &MemoryEngine) -> Vec<u8> {
        let rows = engine.scan(&[], None, usize::MAX).expect("memory");
        rows.into_iter().map(|(key, _)| key[0]).collect()
    }

    #[test]
    fn what_a_torn_write_would_have_left_is_known() {
        let (disk, watch) = (MemoryDisk::new(), Watch::default());
        let mut engine = watch.engine(&disk);
        engine.apply(&[row(1)]).expect("memory");
        watch.next_write();
        disk.tear_apply_after(0, |number| number == 1);
        assert!(engine.apply(&[row(2), row(3)]).is_err());
        assert!(engine.apply(&[row(4)]).is_err());
        assert_eq!(watch.take().as_ref().map(keys), Some(vec![1, 2, 3]));
        assert_eq!((keys(&disk.snapshot()), watch.take().is_none()), (vec![1, 3], true));
        watch.next_write();
        assert!(watch.take().is_none(), "nothing was written");
    }
}
