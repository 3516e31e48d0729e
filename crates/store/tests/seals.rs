//! Torn stores: whichever part of a batch is missing, the store is refused when it is opened, and only then.

use std::collections::BTreeMap;
use sturdy_store::{
    Engine, MemoryDisk, MemoryEngine, ObjectRecord, Objects, OpenError, Owner, Read, Row, Store, StoreFault, VatState,
};
use sturdy_types::{Incarnation, ObjectId, VatId};

const ID: Incarnation = Incarnation([3; 16]);

fn open(disk: &MemoryDisk) -> Result<Store, OpenError> {
    Store::open(disk.engine(), ID)
}

fn rows(engine: &MemoryEngine) -> Vec<Row> {
    engine.scan(&[], None, usize::MAX).expect("memory")
}

fn object(reachable: u64) -> ObjectRecord {
    ObjectRecord { owner: Owner::Kernel, reachable, recognizable: reachable, pins: 0, revoked: false }
}

/// Rows to write, by number; `None` deletes.
type Writes = BTreeMap<u64, Option<u64>>;

/// Writes and commits them, some over rows that were read before and some blindly.
fn commit(store: &mut Store, writes: &Writes) -> bool {
    let mut turn = store.begin();
    for (&number, value) in writes {
        let (id, key) = (ObjectId(number), (VatId(1), number.to_string()));
        match (value, number % 3) {
            (Some(value), 0) => turn.put::<Objects>(&id, &object(*value)),
            (Some(value), 1) if turn.has::<Objects>(&id) == Ok(false) => turn.put_new::<Objects>(&id, &object(*value)),
            (Some(value), _) => turn.put::<VatState>(&key, &"x".repeat(usize::try_from(*value).expect("small"))),
            (None, 0) => turn.delete::<Objects>(&id),
            (None, _) => {
                let _ = turn.has::<VatState>(&key);
                turn.delete::<VatState>(&key);
                turn.delete::<Objects>(&id);
            }
        }
    }
    turn.merge().expect("merged");
    store.commit().is_ok()
}

/// A small generator of numbers, the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn writes(&mut self, count: u64) -> Writes {
        (0..count).map(|_| (self.roll(3 * count), (self.roll(3) > 0).then(|| self.roll(90)))).collect()
    }
}

/// Opens what is on the disk and says whether it opened; it must if and only if it is one of the two legal states.
fn opens_if_legal(disk: &MemoryDisk, before: &[Row], after: &[Row], what: &str) -> bool {
    let found = rows(&disk.snapshot());
    let legal = found == before || found == after;
    match open(disk) {
        Ok(_) => assert!(legal, "{what}: a torn store was opened"),
        Err(OpenError::Torn(_)) => assert!(!legal, "{what}: a whole store was refused"),
        Err(other) => panic!("{what}: {other}"),
    }
    legal
}

#[test]
fn every_part_of_a_batch_is_a_torn_store() {
    let mut dice = Dice(1);
    let (mut torn, mut legal) = (0, 0);
    for round in 0..12u64 {
        let disk = MemoryDisk::new();
        let mut store = open(&disk).expect("new");
        for _ in 0..round % 4 {
            assert!(commit(&mut store, &dice.writes(8)));
        }
        if round % 2 == 0 {
            store = open(&disk).expect("whole"); // nothing is known of any row
        }
        let before = disk.snapshot();
        let writes = dice.writes(6);
        disk.lose_answer_after(0);
        assert!(!commit(&mut store, &writes));
        let after = rows(&disk.snapshot());
        // The rows of the batch are those written, at most two for each number, and the seal.
        for parts in 0u32..1 << 10 {
            disk.restore(before.clone());
            disk.mend();
            let mut store = open(&disk).expect("whole");
            disk.tear_apply_after(0, move |row| parts >> row.min(31) & 1 == 1);
            assert!(!commit(&mut store, &writes));
            disk.mend();
            let whole = opens_if_legal(&disk, &rows(&before), &after, &format!("round {round}, rows {parts:b}"));
            *if whole { &mut legal } else { &mut torn } += 1;
        }
    }
    println!("{torn} tears were found, {legal} left a whole store");
    assert!(torn > 8000 && legal > 24);
}

#[test]
fn parts_of_large_batches_are_found() {
    let mut dice = Dice(2);
    let mut torn = 0;
    for round in 0..40 {
        let disk = MemoryDisk::new();
        let mut store = open(&disk).expect("new");
        assert!(commit(&mut store, &dice.writes(1000)));
        let before = disk.snapshot();
        let writes = dice.writes(1000);
        disk.lose_answer_after(0);
        assert!(!commit(&mut store, &writes));
        let after = rows(&disk.snapshot());
        disk.restore(before.clone());
        disk.mend();
        let mut store = open(&disk).expect("whole");
        // One row in 500 is missing; the seal is among the first.
        let lost = usize::try_from(dice.roll(if round % 2 == 0 { 500 } else { 3 })).expect("small");
        disk.tear_apply_after(0, move |row| row % 500 != lost);
        assert!(!commit(&mut store, &writes));
        disk.mend();
        torn += u32::from(!opens_if_legal(&disk, &rows(&before), &after, &format!("round {round}")));
    }
    assert!(torn > 30, "{torn}");
}

#[test]
fn a_first_batch_that_is_torn_leaves_no_store() {
    for parts in 1u32..15 {
        let disk = MemoryDisk::new();
        disk.tear_apply_after(0, move |row| parts >> row & 1 == 1);
        assert!(open(&disk).is_err());
        disk.mend();
        assert!(open(&disk).is_err(), "rows {parts:b}");
    }
}

#[test]
fn a_history_without_its_end_is_a_whole_store() {
    let mut dice = Dice(3);
    let disk = MemoryDisk::new();
    let mut store = open(&disk).expect("new");
    for _ in 0..5 {
        assert!(commit(&mut store, &dice.writes(30)));
    }
    let before = rows(&disk.snapshot());
    disk.forget_applies_after(0);
    for _ in 0..5 {
        assert!(commit(&mut store, &dice.writes(30)), "it is told that all is well");
    }
    disk.mend();
    disk.cut_power();
    open(&disk).expect("whole");
    assert_eq!(rows(&disk.snapshot()), before);
}

#[test]
fn rows_changed_by_others_are_found() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk).expect("new");
    assert!(commit(&mut store, &Dice(4).writes(100)));
    let whole = disk.snapshot();
    assert_eq!(store.verify(), Ok(()));
    for (key, value) in rows(&whole) {
        for other in [None, Some([&value[..], &[0]].concat())] {
            let mut damaged = whole.clone();
            damaged.set_raw(&key, other.as_deref());
            disk.restore(damaged);
            assert!(open(&disk).is_err(), "{key:?} became {other:?}");
        }
    }
    let mut more = whole.clone();
    more.set_raw(&[0xee], Some(b"1"));
    disk.restore(more);
    let text = open(&disk).map(|_| ()).expect_err("torn").to_string();
    assert!(text.contains("restore it from a backup") && text.contains("another number"), "{text}");
    assert_eq!(store.verify().map_err(|error| error.to_string()), Err(text));
}

#[test]
fn the_seal_keeps_up_with_long_histories() {
    let mut dice = Dice(5);
    let disk = MemoryDisk::new();
    let mut store = open(&disk).expect("new");
    for round in 0..300 {
        let count = 1 + dice.roll(200);
        assert!(commit(&mut store, &dice.writes(count)));
        if round % 7 == 0 {
            store = open(&disk).expect("whole");
        }
        assert_eq!(store.verify(), Ok(()), "after batch {round}");
    }
}

#[test]
fn a_row_that_cannot_be_read_for_the_seal_ends_the_store() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk).expect("new");
    disk.fail_reads_after(0);
    assert!(!commit(&mut store, &[(3, Some(1))].into()));
    disk.mend();
    assert_eq!(store.commit(), Err(StoreFault::Poisoned));
    assert_eq!(rows(&disk.snapshot()).len(), 4);
}
