//! A store on a torn disk with a workload, and a record in memory of what each batch left.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;
use sturdy_store::{Engine, EngineError, EngineStats, Key, MemoryEngine, OpenError, Row, Store, Value, VatState};
use sturdy_store_sqlite::SqliteEngine;
use sturdy_torn_disk::{TornDisk, VFS};
use sturdy_types::{Incarnation, VatId};

/// What each batch left; the first is the empty engine.
#[derive(Clone, Default)]
pub struct Run {
    states: Rc<RefCell<Vec<Vec<Row>>>>,
}

impl Run {
    /// The mark of a disk on which exactly this many batches are.
    pub fn exactly(number: usize) -> u64 {
        2 * number as u64
    }

    /// The mark of a disk on which this many batches were acknowledged, while the next one is under way.
    fn under_way(number: usize) -> u64 {
        2 * number as u64 + 1
    }

    /// How many batches may be there.
    pub fn legal(mark: u64) -> RangeInclusive<usize> {
        let acknowledged = usize::try_from(mark / 2).expect("few");
        acknowledged..=acknowledged + usize::from(mark % 2 == 1)
    }

    /// How many batches leave this, if any number does.
    pub fn position(&self, rows: &[Row]) -> Option<usize> {
        self.states.borrow().iter().position(|state| state == rows)
    }

    /// How many batches leave this.
    pub fn number_of(&self, rows: &[Row], what: &str) -> usize {
        self.position(rows).unwrap_or_else(|| panic!("{what}: {} rows that no batch left", rows.len()))
    }
}

/// Opens the engine.
pub fn open(disk: &TornDisk) -> Result<SqliteEngine, sturdy_store_sqlite::OpenError> {
    // The daemon's way in makes the file as well, before SQLite sees it.
    disk.touch(&disk.dir().join("store.sqlite"));
    SqliteEngine::open_on(VFS, &disk.dir(), disk.file_len())
}

/// All rows of the engine.
pub fn rows(engine: &dyn Engine) -> Result<Vec<Row>, String> {
    engine.scan(&[], None, usize::MAX).map_err(|error| error.to_string())
}

/// Opens what is there, reads everything, and checks that a store opens on it.
pub fn survey(disk: &TornDisk) -> Result<Vec<Row>, String> {
    let engine = open(disk).map_err(|error| error.to_string())?;
    engine.verify().map_err(|error| error.to_string())?;
    let rows = rows(&engine)?;
    if !rows.is_empty() {
        Store::open(Box::new(engine), Incarnation([9; 16])).map_err(|error| error.to_string())?;
    }
    Ok(rows)
}

/// The engine of the disk, noting what happens.
struct Noting {
    engine: SqliteEngine,
    model: MemoryEngine,
    run: Run,
    mark: Box<dyn Fn(u64)>,
}

impl Engine for Noting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.get(key)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError> {
        self.engine.scan(start, end, limit)
    }

    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError> {
        self.model.apply(batch)?;
        let number = {
            let mut states = self.run.states.borrow_mut();
            states.push(self.model.scan(&[], None, usize::MAX)?);
            states.len() - 1
        };
        (self.mark)(Run::under_way(number - 1));
        self.engine.apply(batch)?;
        (self.mark)(Run::exactly(number));
        Ok(())
    }

    /// Folds the log whatever its length.
    fn idle(&mut self) -> Result<bool, EngineError> {
        self.engine.verify().map(|()| false)
    }

    fn stats(&self) -> EngineStats {
        self.engine.stats()
    }
}

/// A store at work.
pub struct Bench {
    pub disk: Rc<TornDisk>,
    pub run: Run,
    pub store: Option<Store>,
    dice: u64,
}

impl Bench {
    /// A new disk, and the workload of this number.
    pub fn new(workload: u64) -> Self {
        let run = Run::default();
        run.states.borrow_mut().push(Vec::new());
        Self { disk: Rc::new(TornDisk::new()), run, store: None, dice: workload }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    /// Opens the store if it is not open, and commits so many batches; now and then the log is folded, or the store
    /// closed and opened again.
    pub fn work(&mut self, batches: usize) -> Result<(), String> {
        for _ in 0..batches {
            let mut store = match self.store.take() {
                Some(store) => store,
                None => self.open()?,
            };
            self.change(&mut store).map_err(|error| error.to_string())?;
            match self.roll(8) {
                0 => _ = store.idle().map_err(|error| error.to_string())?,
                1 => continue, // it is closed
                _ => {}
            }
            self.store = Some(store);
        }
        Ok(())
    }

    fn open(&mut self) -> Result<Store, String> {
        let engine = open(&self.disk).map_err(|error| error.to_string())?;
        let mut model = MemoryEngine::new();
        for (key, value) in self.run.states.borrow().last().into_iter().flatten() {
            model.set_raw(key, Some(value));
        }
        let disk = Rc::clone(&self.disk);
        let mark = Box::new(move |mark| disk.mark(mark));
        let engine = Noting { engine, model, run: self.run.clone(), mark };
        Store::open(Box::new(engine), Incarnation([9; 16])).map_err(|error: OpenError| error.to_string())
    }

    /// One batch: new rows, longer and shorter values, values of several pages, deletions.
    fn change(&mut self, store: &mut Store) -> Result<(), sturdy_store::StoreFault> {
        let count = 1 + self.roll(12);
        let mut turn = store.begin();
        for _ in 0..count {
            let key = (VatId(1), format!("row {}", self.roll(60)));
            let len = [10, 100, 1500, 9000][usize::try_from(self.roll(16) / 5).expect("few")];
            let fill = char::from(b'a' + u8::try_from(self.roll(26)).expect("few"));
            match self.roll(4) {
                0 => turn.delete::<VatState>(&key),
                _ => turn.put::<VatState>(&key, &fill.to_string().repeat(len)),
            }
        }
        // Each batch differs from all others, so that the number of a state is unique.
        let number = self.run.states.borrow().len();
        turn.put::<VatState>(&(VatId(1), "number".into()), &number.to_string());
        turn.merge()?;
        store.commit().map(|_| ())
    }
}
