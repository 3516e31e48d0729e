//! Turns, groups, commits and crashes against a model of three maps; and what happens when the disk fails.

use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use sturdy_store::{
    Commit, GcAction, GcActions, MemoryDisk, ObjectRecord, Objects, Owner, Read, Store, StoreFault, VatState,
};
use sturdy_types::{Incarnation, ObjectId, VatId};

const ID: Incarnation = Incarnation([3; 16]);

fn open(disk: &MemoryDisk) -> Store {
    Store::open(disk.engine(), ID).expect("the disk in memory opens")
}

fn state(key: &str) -> (VatId, String) {
    (VatId(1), key.to_owned())
}

fn put(store: &mut Store, key: &str, value: &str) {
    let mut turn = store.begin();
    turn.put::<VatState>(&state(key), &value.to_owned());
    turn.merge().expect("merged");
}

fn object(reachable: u64) -> ObjectRecord {
    ObjectRecord { owner: Owner::Kernel, reachable, recognizable: reachable, pins: 0, revoked: false }
}

#[test]
fn a_dropped_turn_never_happened() {
    let mut store = open(&MemoryDisk::new());
    put(&mut store, "a", "1");
    let mut turn = store.begin();
    turn.put::<VatState>(&state("a"), &"2".to_owned());
    turn.put::<VatState>(&state("b"), &"2".to_owned());
    assert_eq!(turn.get::<VatState>(&state("a")), Ok(Some("2".to_owned())));
    drop(turn);
    assert_eq!(store.get::<VatState>(&state("a")), Ok(Some("1".to_owned())));
    assert_eq!(store.has::<VatState>(&state("b")), Ok(false));
    assert_eq!(store.group_len(), 1);
}

#[test]
fn a_commit_makes_the_whole_group_durable_and_an_empty_one_does_nothing() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    assert_eq!(store.commit(), Ok(Commit::default()));
    let commits = store.engine_stats().commits;
    put(&mut store, "a", "1");
    put(&mut store, "a", "2");
    put(&mut store, "b", "3");
    assert!(store.group_bytes() > 0);
    let commit = store.commit().expect("committed");
    assert_eq!((commit.turns, commit.keys), (3, 2));
    assert_eq!((store.group_len(), store.group_bytes()), (0, 0));
    assert_eq!(store.engine_stats().commits, commits + 1);
    put(&mut store, "c", "lost");
    drop(store);
    let store = open(&disk);
    let rows = store.scan::<VatState>(&state(""), None, 9).expect("read");
    assert_eq!(rows, [(state("a"), "2".to_owned()), (state("b"), "3".to_owned())]);
}

#[test]
fn rows_that_came_and_went_in_one_group_never_reach_the_engine() {
    let mut store = open(&MemoryDisk::new());
    assert_eq!(store.has::<VatState>(&state("a")), Ok(false));
    put(&mut store, "a", "1");
    let mut turn = store.begin();
    turn.delete::<VatState>(&state("a"));
    turn.merge().expect("merged");
    assert_eq!(store.commit().map(|commit| commit.keys), Ok(0));
    assert_eq!(store.get::<VatState>(&state("a")), Ok(None));
}

#[test]
fn after_a_failed_commit_everything_is_refused() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    put(&mut store, "a", "1");
    store.commit().expect("committed");
    put(&mut store, "a", "2");
    disk.fail_applies_after(0);
    assert!(matches!(store.commit(), Err(StoreFault::Engine(_))));
    disk.mend();
    assert_eq!(store.commit(), Err(StoreFault::Poisoned));
    assert_eq!(store.get::<VatState>(&state("a")), Err(StoreFault::Poisoned));
    assert_eq!(store.scan::<VatState>(&state(""), None, 1), Err(StoreFault::Poisoned));
    assert_eq!(store.idle(), Err(StoreFault::Poisoned));
    assert_eq!(store.begin().merge(), Err(StoreFault::Poisoned));
    assert_eq!(open(&disk).get::<VatState>(&state("a")), Ok(Some("1".to_owned())));
}

#[test]
fn a_read_that_fails_is_a_fault_and_not_remembered() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    put(&mut store, "a", "1");
    store.commit().expect("committed");
    drop(store);
    let store = open(&disk);
    disk.fail_reads_after(0);
    assert!(matches!(store.get::<VatState>(&state("a")), Err(StoreFault::Engine(_))));
    assert!(matches!(store.scan::<VatState>(&state(""), None, 1), Err(StoreFault::Engine(_))));
    disk.mend();
    assert_eq!(store.get::<VatState>(&state("a")), Ok(Some("1".to_owned())));
}

#[test]
fn a_corrupt_row_is_named() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let mut rows = disk.snapshot();
    rows.set_raw(&[0x10, 4], Some(&[9]));
    disk.restore(rows);
    let fault = store.get::<Objects>(&ObjectId(4)).expect_err("corrupt");
    assert_eq!(
        fault.to_string(),
        "the row ko4 of the table `objects` is corrupt: it holds an unknown variant; restore the store from a backup"
    );
    assert_eq!(store.scan::<Objects>(&(), None, 9), Err(fault));
}

#[test]
fn a_scan_stays_in_its_prefix_and_starts_after_its_key() {
    let mut store = open(&MemoryDisk::new());
    let mut turn = store.begin();
    for vat in 1..=3 {
        for id in [1, 247, 248, 300] {
            turn.put::<GcActions>(&(VatId(vat), GcAction::RetireExport, ObjectId(id)), &());
        }
        turn.put::<GcActions>(&(VatId(vat), GcAction::DropExport, ObjectId(9)), &());
    }
    turn.merge().expect("merged");
    let keys = |after: Option<&_>, limit| {
        let rows = store.scan::<GcActions>(&VatId(2), after, limit).expect("read");
        rows.into_iter().map(|(key, ())| (key.1, key.2.0)).collect::<Vec<_>>()
    };
    let expected = [
        (GcAction::DropExport, 9),
        (GcAction::RetireExport, 1),
        (GcAction::RetireExport, 247),
        (GcAction::RetireExport, 248),
        (GcAction::RetireExport, 300),
    ];
    assert_eq!(keys(None, usize::MAX), expected);
    assert_eq!(keys(None, 2), expected[..2]);
    assert_eq!(keys(Some(&(VatId(2), GcAction::RetireExport, ObjectId(247))), 9), expected[3..]);
    assert_eq!(keys(Some(&(VatId(1), GcAction::RetireExport, ObjectId(1))), 9), expected);
    assert_eq!(keys(Some(&(VatId(3), GcAction::DropExport, ObjectId(1))), 9), []);
}

#[test]
fn dump_and_census_show_every_row() {
    let mut store = open(&MemoryDisk::new());
    let mut turn = store.begin();
    turn.put::<Objects>(&ObjectId(4), &object(2));
    for number in 0..600 {
        turn.put::<VatState>(&state(&format!("{number:03}")), &"x".to_owned());
    }
    turn.merge().expect("merged");
    store.commit().expect("committed");
    put(&mut store, "z", "open group");
    let rows: Vec<_> = store.dump().collect::<Result<_, _>>().expect("read");
    assert_eq!(rows.len(), 4 + 1 + 601);
    let row = rows.iter().find(|row| row.table == "objects").expect("the object is there");
    assert_eq!(row.key, "ko4");
    assert_eq!(row.record, "ObjectRecord { owner: Kernel, reachable: 2, recognizable: 2, pins: 0, revoked: false }");
    assert_eq!(rows.last().map(|row| (row.key.as_str(), row.record.as_str())), Some(("v1/\"z\"", "\"open group\"")));
    let census = store.census().expect("read");
    assert_eq!(census["vat-state"].rows, 601);
    assert_eq!(census["objects"].rows, 1);
    assert_eq!(census["objects"].bytes, 2 + 5);
}

#[test]
fn rows_of_unknown_tables_are_shown() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let mut rows = disk.snapshot();
    rows.set_raw(&[0xff, 1], Some(&[2]));
    disk.restore(rows);
    let row = store.dump().last().expect("there are rows").expect("read");
    assert_eq!((row.table, row.key.as_str(), row.record.as_str()), ("unknown", "ff01", "02"));
}

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Act {
    /// A turn with these writes (`None` deletes), kept or not.
    Turn {
        writes: Vec<(u16, Option<String>)>,
        merged: bool,
    },
    Scan {
        prefix: String,
        after: Option<u16>,
        limit: usize,
    },
    Commit,
    Crash,
}

/// Keys that are prefixes of each other.
fn name(number: u16) -> String {
    format!("{number:b}")
}

fn acts() -> impl Strategy<Value = Act> {
    let value = prop_oneof![8 => "[a-c]{0,50}", 1 => "[a-c]{20000}"];
    let write = (0u16..90, proptest::option::weighted(0.6, value));
    let writes = prop_oneof![4 => vec(write.clone(), 0..8), 1 => vec(write, 30..90)];
    prop_oneof![
        8 => (writes, proptest::bool::weighted(0.8)).prop_map(|(writes, merged)| Act::Turn { writes, merged }),
        6 => ("[01]{0,3}", proptest::option::of(0u16..90), 0usize..20)
            .prop_map(|(prefix, after, limit)| Act::Scan { prefix, after, limit }),
        2 => Just(Act::Commit),
        1 => Just(Act::Crash),
    ]
}

type Map = BTreeMap<String, String>;

fn check_scan(read: &impl Read, model: &Map, prefix: &str, after: Option<u16>, limit: usize) {
    let after = after.map(name);
    let expected: Vec<_> = model
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && after.as_ref().is_none_or(|after| *key > after))
        .take(limit)
        .map(|(key, value)| (state(key), value.clone()))
        .collect();
    let after = after.as_deref().map(state);
    assert_eq!(read.scan::<VatState>(&state(prefix), after.as_ref(), limit), Ok(expected));
}

fn check_all(read: &impl Read, model: &Map) {
    for number in 0..90 {
        let key = name(number);
        assert_eq!(read.get::<VatState>(&state(&key)).as_ref().map(Option::as_ref), Ok(model.get(&key)));
        assert_eq!(read.has::<VatState>(&state(&key)), Ok(model.contains_key(&key)));
    }
    check_scan(read, model, "", None, usize::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_store_is_three_maps(history in vec(acts(), 1..40)) {
        let disk = MemoryDisk::new();
        let mut store = open(&disk);
        let (mut durable, mut merged_model) = (Map::new(), Map::new());
        for act in history {
            match act {
                Act::Turn { writes, merged } => {
                    let mut turn = store.begin();
                    let mut model = merged_model.clone();
                    for (number, value) in writes {
                        let key = name(number);
                        if let Some(value) = value {
                            turn.put::<VatState>(&state(&key), &value);
                            model.insert(key, value);
                        } else {
                            turn.delete::<VatState>(&state(&key));
                            model.remove(&key);
                        }
                    }
                    check_all(&turn, &model);
                    check_scan(&turn, &model, "10", Some(4), 5);
                    if merged {
                        turn.merge().expect("merged");
                        merged_model = model;
                    }
                }
                Act::Scan { prefix, after, limit } => check_scan(&store, &merged_model, &prefix, after, limit),
                Act::Commit => {
                    store.commit().expect("committed");
                    durable.clone_from(&merged_model);
                }
                Act::Crash => {
                    store = open(&disk);
                    merged_model.clone_from(&durable);
                }
            }
        }
        check_all(&store, &merged_model);
    }
}

/// What happens to queues: rows are appended, taken from the head, written anew where others were; and looked at.
#[derive(Clone, Debug)]
enum Queued {
    Append(u8),
    Take(u8),
    PutBack(u16),
    Peek { after: u16, limit: usize },
    Merge,
    Drop,
    Commit,
}

fn place(number: u16) -> String {
    format!("{number:03}")
}

fn queued() -> impl Strategy<Value = Queued> {
    prop_oneof![
        4 => (1u8..6).prop_map(Queued::Append),
        4 => (1u8..6).prop_map(Queued::Take),
        1 => (0u16..60).prop_map(Queued::PutBack),
        6 => (0u16..60, 1usize..4).prop_map(|(after, limit)| Queued::Peek { after, limit }),
        3 => Just(Queued::Merge),
        1 => Just(Queued::Drop),
        1 => Just(Queued::Commit),
    ]
}

fn peek(read: &impl Read, model: &Map, after: u16, limit: usize) {
    let after = (after > 0).then(|| place(after));
    let found = read.scan::<VatState>(&state(""), after.as_deref().map(state).as_ref(), limit);
    let found: Vec<_> = found.expect("read").into_iter().map(|((_, key), value)| (key, value)).collect();
    let rows = model.iter().filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after)).take(limit);
    assert_eq!(found, rows.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// Whatever a queue has been through, its head is found: gaps that were met before hide nothing.
    #[test]
    fn the_head_of_a_queue_is_found(history in vec(vec(queued(), 1..12), 1..12)) {
        let disk = MemoryDisk::new();
        let mut store = open(&disk);
        let (mut merged, mut tail) = (Map::new(), 0u16);
        for acts in history {
            let (mut model, mut last, mut ended) = (merged.clone(), tail, Queued::Merge);
            let mut turn = store.begin();
            for act in acts {
                match act {
                    Queued::Append(count) => for _ in 0..count {
                        last += 1;
                        turn.put_new::<VatState>(&state(&place(last)), &"new".to_owned());
                        model.insert(place(last), "new".to_owned());
                    },
                    Queued::Take(count) => for _ in 0..count {
                        let Some((key, _)) = model.pop_first() else { break };
                        turn.delete::<VatState>(&state(&key));
                    },
                    Queued::PutBack(number) if number <= last => {
                        turn.put::<VatState>(&state(&place(number)), &"again".to_owned());
                        model.insert(place(number), "again".to_owned());
                    }
                    Queued::PutBack(_) => {}
                    Queued::Peek { after, limit } => peek(&turn, &model, after, limit),
                    other => ended = other,
                }
            }
            if matches!(ended, Queued::Drop) {
                drop(turn);
            } else {
                turn.merge().expect("merges");
                (merged, tail) = (model, last);
            }
            if matches!(ended, Queued::Commit) {
                store.commit().expect("durable");
            }
            peek(&store, &merged, 0, 3);
        }
    }
}
