//! The suite that every engine passes, whatever it stores its rows in.
//!
//! An engine's tests call `check_all` with something that makes empty homes (directories, disks in memory). The last
//! check compares random histories, with reopening in between, with a map in memory.

use crate::bytes::{Key, Value};
use crate::engine::{Engine, Row};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::collections::BTreeMap;

/// Where an engine keeps its rows. One engine at a time is open on it.
pub trait Home {
    /// Opens it; the rows are those of the last engine that was open here.
    fn open(&self) -> Box<dyn Engine>;
}

/// Runs all checks, each in a new home.
pub fn check_all<H: Home>(new_home: &dyn Fn() -> H) {
    an_empty_engine_has_nothing(&*new_home().open());
    rows_come_and_go(&mut *new_home().open());
    scans_keep_their_bounds(&mut *new_home().open());
    bytes_of_all_kinds_are_kept(&mut *new_home().open());
    what_is_applied_is_there_after_reopening(&new_home());
    many_rows_are_kept(&new_home());
    idle_work_changes_nothing(&mut *new_home().open());
    random_histories_agree_with_a_map(new_home);
}

fn apply(engine: &mut dyn Engine, writes: &[(&[u8], Option<&[u8]>)]) {
    let batch: BTreeMap<Key, Option<Value>> =
        writes.iter().map(|(key, value)| (Key::new(key), value.map(Value::new))).collect();
    engine.apply(&batch.into_iter().collect::<Vec<_>>()).expect("the batch is applied");
}

fn all(engine: &dyn Engine) -> Vec<Row> {
    engine.scan(&[], None, usize::MAX).expect("everything is read")
}

fn an_empty_engine_has_nothing(engine: &dyn Engine) {
    assert_eq!(engine.get(b"a"), Ok(None));
    assert_eq!(engine.get(b""), Ok(None));
    assert_eq!(all(engine), []);
    assert_eq!(engine.stats().commits, 0);
}

fn rows_come_and_go(engine: &mut dyn Engine) {
    apply(engine, &[(b"a", Some(b"1")), (b"b", Some(b"2"))]);
    apply(engine, &[(b"a", Some(b"one")), (b"b", None), (b"missing", None)]);
    apply(engine, &[]);
    assert_eq!(engine.get(b"a"), Ok(Some(b"one".to_vec())));
    assert_eq!(engine.get(b"b"), Ok(None));
    let stats = engine.stats();
    assert_eq!((stats.keys_written, stats.bytes_written), (5, 2 + 2 + 4 + 1 + 7));
}

fn scans_keep_their_bounds(engine: &mut dyn Engine) {
    let keys: [&[u8]; 6] = [b"a", b"a\0", b"a\xff", b"b", b"ba", b"\xff\xff"];
    apply(engine, &keys.map(|key| (key, Some(key))));
    let scan = |start: &[u8], end: Option<&[u8]>, limit| {
        let rows = engine.scan(start, end, limit).expect("rows are read");
        assert!(rows.iter().all(|(key, value)| key == value));
        rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(scan(b"", None, usize::MAX), keys);
    assert_eq!(scan(b"a", Some(b"b"), 10), keys[..3]);
    assert_eq!(scan(b"a\0", Some(b"b"), 1), keys[1..2]);
    assert_eq!(scan(b"a\0\0", None, 2), keys[2..4]);
    assert_eq!(scan(b"bb", Some(b"\xff\xff"), 10), keys[..0]);
    assert_eq!(scan(b"\xff", None, 10), keys[5..]);
    assert_eq!(scan(b"a", None, 0), keys[..0]);
    assert_eq!(scan(b"b", Some(b"b"), 10), keys[..0]);
    assert_eq!(scan(b"b", Some(b"a"), 10), keys[..0]);
}

fn bytes_of_all_kinds_are_kept(engine: &mut dyn Engine) {
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let long = every.repeat(10_000);
    let single: Vec<[u8; 1]> = every.iter().map(|&byte| [byte]).collect();
    let mut writes: Vec<(&[u8], Option<&[u8]>)> = single.iter().map(|key| (&key[..], Some(&key[..]))).collect();
    writes.push((b"", Some(b"the empty key")));
    writes.push((&every, Some(&long)));
    writes.push((b"empty", Some(b"")));
    apply(engine, &writes);
    for (key, value) in writes {
        assert_eq!(engine.get(key).expect("a row is read").as_deref(), value);
    }
    assert_eq!(all(engine).len(), 259);
    assert_eq!(all(engine)[0].0, b"");
}

fn what_is_applied_is_there_after_reopening(home: &impl Home) {
    let mut engine = home.open();
    apply(&mut *engine, &[(b"a", Some(b"1")), (b"b", Some(b"2"))]);
    drop(engine);
    let mut engine = home.open();
    assert_eq!(engine.get(b"a"), Ok(Some(b"1".to_vec())));
    apply(&mut *engine, &[(b"a", None)]);
    drop(engine);
    assert_eq!(all(&*home.open()), [(b"b".to_vec(), b"2".to_vec())]);
}

fn many_rows_are_kept(home: &impl Home) {
    let mut engine = home.open();
    let key = |number: u32| number.wrapping_mul(2_654_435_761).to_be_bytes();
    for round in 0..10u32 {
        let batch: BTreeMap<Key, Option<Value>> = (round * 500..(round + 1) * 500)
            .map(|number| (Key::new(&key(number)), Some(Value::new(&number.to_be_bytes()))))
            .collect();
        engine.apply(&batch.into_iter().collect::<Vec<_>>()).expect("the batch is applied");
    }
    drop(engine);
    let engine = home.open();
    let rows = all(&*engine);
    assert_eq!(rows.len(), 5000);
    assert!(rows.is_sorted());
    for number in 0..5000 {
        assert_eq!(engine.get(&key(number)), Ok(Some(number.to_be_bytes().to_vec())));
    }
}

fn idle_work_changes_nothing(engine: &mut dyn Engine) {
    let value = vec![7; 4 << 20];
    apply(engine, &[(b"a", Some(&value))]);
    let mut rounds = 0;
    while engine.idle().expect("idle work is done") {
        rounds += 1;
        assert!(rounds < 10_000, "idle work comes to an end");
    }
    assert_eq!(engine.get(b"a"), Ok(Some(value)));
}

/// One thing that a random history does.
#[derive(Debug, Clone)]
enum Act {
    Apply(BTreeMap<Vec<u8>, Option<Vec<u8>>>),
    Scan(Vec<u8>, Option<Vec<u8>>, usize),
    Idle,
    Reopen,
}

/// Few and short keys over few bytes, so that they meet and are prefixes of each other.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff)], 0..4)
}

fn acts() -> impl Strategy<Value = Act> {
    let values = prop_oneof![9 => vec(any::<u8>(), 0..60), 1 => vec(any::<u8>(), 5000..20_000)];
    prop_oneof![
        8 => btree_map(keys(), option::weighted(0.7, values), 0..12).prop_map(Act::Apply),
        4 => (keys(), option::of(keys()), 0usize..8).prop_map(|(start, end, limit)| Act::Scan(start, end, limit)),
        1 => Just(Act::Idle),
        1 => Just(Act::Reopen),
    ]
}

fn random_histories_agree_with_a_map<H: Home>(new_home: &dyn Fn() -> H) {
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(acts(), 1..30), |history| {
        let home = new_home();
        let mut engine = Some(home.open());
        let mut model = BTreeMap::new();
        for act in history {
            if matches!(act, Act::Reopen) {
                drop(engine.take()); // one at a time
                engine = Some(home.open());
            }
            step(&mut **engine.as_mut().expect("just opened"), &mut model, act)?;
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn step(engine: &mut dyn Engine, model: &mut BTreeMap<Vec<u8>, Vec<u8>>, act: Act) -> Result<(), TestCaseError> {
    match act {
        Act::Apply(writes) => {
            let batch: Vec<_> = writes
                .iter()
                .map(|(key, value)| (Key::new(key), value.as_ref().map(|value| Value::new(value))))
                .collect();
            engine.apply(&batch)?;
            for (key, value) in writes {
                match value.clone() {
                    Some(value) => model.insert(key.clone(), value),
                    None => model.remove(&key),
                };
                prop_assert_eq!(engine.get(&key)?, value);
            }
        }
        Act::Scan(start, end, limit) => {
            let expected: Vec<_> = model
                .iter()
                .filter(|(key, _)| **key >= start && end.as_ref().is_none_or(|end| *key < end))
                .take(limit)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            prop_assert_eq!(engine.scan(&start, end.as_deref(), limit)?, expected);
        }
        Act::Idle => {
            engine.idle()?;
        }
        Act::Reopen => {}
    }
    let expected: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    prop_assert_eq!(all(engine), expected);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryDisk;

    impl Home for MemoryDisk {
        fn open(&self) -> Box<dyn Engine> {
            self.engine()
        }
    }

    #[test]
    fn memory_conforms() {
        check_all(&MemoryDisk::new);
    }
}
