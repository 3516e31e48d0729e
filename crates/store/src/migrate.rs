//! Making a store of an empty engine, and bringing an older store to the current schema.
//!
//! What always holds: each step is one durable batch that also writes the version it leads to, so a crash between
//! steps is a store of an older schema. Steps read and write raw rows: tables always mean the current schema.

use crate::bytes::{Key, Value};
use crate::engine::Engine;
use crate::seal::{OPEN_CHECK_ROWS, seal_batch, verify};
use crate::store::OpenError;
use crate::table::Table;
use crate::tables::{Counters, CountersTable, IncarnationTable, RemoteCursors, Schema, SchemaTable, Seal, SealTable};
use sturdy_types::Incarnation;
use sturdy_types::defect::{self, Defect};

/// The schema that this program writes.
pub const CURRENT_SCHEMA: u32 = 4;

/// From this schema on, stores have a seal.
const SEALED_SCHEMA: u32 = 2;

type Batch = Vec<(Key, Option<Value>)>;

/// What leads from one schema to the next.
struct Step {
    from: u32,
    /// The writes, the schema row apart.
    writes: fn(&dyn Engine) -> Result<Batch, OpenError>,
}

/// All steps, in order.
const STEPS: &[Step] = &[
    Step { from: 0, writes: add_counters },
    Step { from: 1, writes: add_nothing },
    Step { from: 2, writes: peers_get_records },
    Step { from: 3, writes: conversations_get_histories },
];

/// Schema 0 had no counters.
fn add_counters(engine: &dyn Engine) -> Result<Batch, OpenError> {
    let key = CountersTable::write_key(&());
    let missing = engine.get(key.as_slice())?.is_none();
    Ok(if missing { vec![(key, Some(Value::from(vec![0; COUNTERS_OF_SCHEMA_2])))] } else { Vec::new() })
}

const COUNTERS_OF_SCHEMA_2: usize = 8;

/// Schema 2 did not count URLs. It had tables of peers and of what was issued to them (`68` to `71`), with other records,
/// but no program that could reach a peer.
fn peers_get_records(engine: &dyn Engine) -> Result<Batch, OpenError> {
    if !engine.scan(&[0x68], Some(&[0x75]), 1)?.is_empty() {
        return Err(OpenError::Damaged("it knows peers, which no released program of its schema could".into()));
    }
    let counters = CountersTable::write_key(&());
    let longer = |value: &[u8]| Value::from([value, &[0]].concat());
    Ok(engine.get(counters.as_slice())?.map(|value| (counters, Some(longer(&value)))).into_iter().collect())
}

/// Schema 3 did not keep what was said in a conversation: neither history is known, nor whether the peer has a record, nor
/// which conversation was ended.
fn conversations_get_histories(engine: &dyn Engine) -> Result<Batch, OpenError> {
    let start = RemoteCursors::write_prefix(&());
    let end = [RemoteCursors::TAG + 1];
    let cursors = engine.scan(start.as_slice(), Some(&end), usize::MAX)?;
    let longer = |value: &[u8]| Value::from([value, &[0; 4]].concat());
    Ok(cursors.into_iter().map(|(key, value)| (Key::new(&key), Some(longer(&value)))).collect())
}

/// Schema 1 had no seal. All batches of later schemas are sealed (`migrate`), also the one that leads there.
#[expect(clippy::unnecessary_wraps, reason = "it is a step among others")]
fn add_nothing(_: &dyn Engine) -> Result<Batch, OpenError> {
    Ok(Vec::new())
}

fn row<T: Table<Key = ()>>(record: &T::Record) -> (Key, Option<Value>) {
    let mut bytes = Vec::new();
    T::encode(record, &mut bytes);
    (T::write_key(&()), Some(Value::from(bytes)))
}

/// Makes `engine` hold a store of the current schema. Returns its incarnation and its seal.
pub(crate) fn prepare(engine: &mut dyn Engine, fresh: Incarnation) -> Result<(Incarnation, Seal), OpenError> {
    match find_schema(engine)? {
        None => {
            let mut batch = vec![
                row::<SchemaTable>(&Schema(CURRENT_SCHEMA)),
                row::<IncarnationTable>(&fresh),
                row::<CountersTable>(&Counters::default()),
            ];
            let seal = seal_batch(engine, None, &mut batch)?;
            engine.apply(&batch)?;
            Ok((fresh, seal))
        }
        Some(found) if found > CURRENT_SCHEMA => Err(OpenError::Newer { found, known: CURRENT_SCHEMA }),
        Some(found) => {
            let incarnation =
                read::<IncarnationTable>(engine)?.ok_or_else(|| OpenError::Damaged("it has no incarnation".into()))?;
            if found >= SEALED_SCHEMA {
                check_seal(engine)?;
            }
            migrate(engine, found, STEPS)?;
            read::<CountersTable>(engine)?.ok_or_else(|| OpenError::Damaged("it has no counters".into()))?;
            Ok((incarnation, find_seal(engine)?))
        }
    }
}

fn find_seal(engine: &dyn Engine) -> Result<Seal, OpenError> {
    read::<SealTable>(engine)?.ok_or_else(|| OpenError::Torn("its seal is missing".into()))
}

/// A large store is taken to be whole: looking would take long.
fn check_seal(engine: &dyn Engine) -> Result<(), OpenError> {
    let seal = find_seal(engine)?;
    let looks = seal.rows <= OPEN_CHECK_ROWS && !defect::broken(Defect::SealNotCompared);
    if looks { verify(engine, seal) } else { Ok(()) }
}

/// The schema of the store in `engine`; `None` if nothing is there.
fn find_schema(engine: &dyn Engine) -> Result<Option<u32>, OpenError> {
    let Some(bytes) = engine.get(SchemaTable::write_key(&()).as_slice())? else {
        return if engine.scan(&[], None, 1)?.is_empty() {
            Ok(None)
        } else {
            Err(OpenError::NotAStore("it holds rows, but none that says which schema they have".into()))
        };
    };
    match SchemaTable::decode(&bytes) {
        Ok(Schema(version)) => Ok(Some(version)),
        Err(_) => Err(OpenError::NotAStore("the row that says which schema it has is something else".into())),
    }
}

fn read<T: Table<Key = ()>>(engine: &dyn Engine) -> Result<Option<T::Record>, OpenError> {
    let Some(bytes) = engine.get(T::write_key(&()).as_slice())? else { return Ok(None) };
    T::decode(&bytes).map(Some).map_err(|why| OpenError::Damaged(format!("its {} row: {why}", T::NAME)))
}

fn migrate(engine: &mut dyn Engine, version: u32, steps: &[Step]) -> Result<(), OpenError> {
    for step in steps.iter().skip_while(|step| step.from < version) {
        let mut batch = (step.writes)(engine)?;
        batch.push(row::<SchemaTable>(&Schema(step.from + 1)));
        batch.sort_by(|a, b| a.0.cmp(&b.0));
        if step.from + 1 >= SEALED_SCHEMA {
            seal_batch(engine, read::<SealTable>(engine)?, &mut batch)?;
        }
        engine.apply(&batch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryDisk, MemoryEngine};
    use crate::store::{Read, Store};
    use crate::tables::{Counters, RemoteCursor};

    const ID: Incarnation = Incarnation([1; 16]);
    const OTHER: Incarnation = Incarnation([2; 16]);

    fn store_of_schema(version: u32) -> MemoryEngine {
        let mut engine = MemoryEngine::new();
        let (key, value) = row::<SchemaTable>(&Schema(version));
        engine.apply(&[(key, value), row::<IncarnationTable>(&ID)]).expect("memory");
        engine
    }

    #[test]
    fn a_new_store_is_durable_at_once_and_keeps_its_incarnation() {
        let disk = MemoryDisk::new();
        let store = Store::open(disk.engine(), ID).expect("new");
        assert_eq!(store.incarnation(), ID);
        assert_eq!(store.get::<CountersTable>(&()), Ok(Some(Counters::default())));
        drop(store);
        assert_eq!(Store::open(disk.engine(), OTHER).expect("existing").incarnation(), ID);
    }

    #[test]
    fn a_store_of_schema_0_gets_its_counters() {
        let disk = store_of_schema(0).shared();
        let store = Store::open(disk.engine(), OTHER).expect("migrated");
        assert_eq!(store.incarnation(), ID);
        assert_eq!(store.get::<CountersTable>(&()), Ok(Some(Counters::default())));
        assert_eq!(store.get::<SchemaTable>(&()), Ok(Some(Schema(CURRENT_SCHEMA))));
        drop(store);
        assert_eq!(Store::open(disk.engine(), OTHER).expect("again").incarnation(), ID);
    }

    #[test]
    fn a_store_of_schema_2_counts_urls_and_knows_no_peers() {
        let mut engine = store_of_schema(1);
        engine.set_raw(&[2], Some(&[1, 2, 3, 4, 5, 6, 7, 8]));
        let mut odd = engine.clone();
        let store = Store::open(Box::new(engine), OTHER).expect("migrated");
        let counters = store.get::<CountersTable>(&()).expect("readable").expect("there");
        assert_eq!((counters.vats, counters.cranks, counters.urls), (1, 8, 0));
        odd.set_raw(b"pURL", Some(&[1]));
        assert!(matches!(Store::open(Box::new(odd), OTHER), Err(OpenError::Damaged(_))));
    }

    #[test]
    fn a_conversation_of_schema_3_goes_on_without_its_history() {
        let mut engine = store_of_schema(1);
        engine.set_raw(&[2], Some(&[0; 8]));
        let disk = engine.shared();
        drop(Store::open(disk.engine(), ID).expect("migrated"));
        let mut engine = disk.snapshot();
        engine.set_raw(&[0x6a, 1, 1], Some(&[4, 9, 7, 3, 2, 1, 0, 50, 0, 5, 2, 0, 0, 0, 0, 0, 0, 0]));
        let batch = conversations_get_histories(&engine).expect("memory");
        engine.apply(&batch).expect("memory");
        let rows = engine.scan(&[0x6a], Some(&[0x6b]), 9).expect("memory");
        let cursor = RemoteCursors::decode(&rows[0].1).expect("a row of schema 4");
        let expected = RemoteCursor {
            first_pending: 4,
            next_send: 9,
            highest_received: 7,
            last_object: 3,
            last_promise: 2,
            peer_object: 1,
            outbox_bytes: 50,
            names: 5,
            peer_names: 2,
            acknowledged_history: None,
            received_history: None,
            ..RemoteCursor::default()
        };
        assert_eq!((rows.len(), cursor), (1, expected));
    }

    #[test]
    fn a_store_of_schema_1_gets_its_seal() {
        let mut engine = store_of_schema(1);
        let counters = Counters { vats: 3, ..Counters::default() };
        engine.set_raw(&[2], Some(&[3, 0, 0, 0, 0, 0, 0, 0]));
        engine.set_raw(&[0x30, 1], Some(b"1"));
        let disk = engine.shared();
        let store = Store::open(disk.engine(), OTHER).expect("migrated");
        assert_eq!((store.incarnation(), store.get::<CountersTable>(&())), (ID, Ok(Some(counters))));
        let seal = find_seal(&disk.snapshot()).expect("sealed");
        assert_eq!((seal.batch, seal.rows), (3, 4));
        drop(store);
        assert!(Store::open(disk.engine(), OTHER).is_ok());
        let mut damaged = disk.snapshot();
        damaged.set_raw(&[0x30, 1], Some(b"2"));
        assert!(matches!(Store::open(Box::new(damaged), OTHER), Err(OpenError::Torn(_))));
    }

    #[test]
    fn steps_run_in_order_from_where_the_store_is() {
        fn mark(engine: &dyn Engine, byte: u8) -> Result<Batch, OpenError> {
            let mut value = engine.get(&[0xf0])?.unwrap_or_default();
            value.push(byte);
            Ok(vec![(Key::new(&[0xf0]), Some(Value::from(value)))])
        }
        let steps = [
            Step { from: 0, writes: |engine| mark(engine, 0) },
            Step { from: 1, writes: |engine| mark(engine, 1) },
            Step { from: 2, writes: |engine| mark(engine, 2) },
        ];
        for (version, marks) in [(0, &[0, 1, 2][..]), (1, &[1, 2]), (2, &[2]), (3, &[])] {
            let mut engine = store_of_schema(version);
            migrate(&mut engine, version, &steps).expect("memory");
            assert_eq!(engine.get(&[0xf0]).expect("memory").unwrap_or_default(), marks);
            assert_eq!(find_schema(&engine), Ok(Some(3)));
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_old_store() {
        let disk = store_of_schema(0).shared();
        disk.fail_applies_after(0);
        assert!(matches!(Store::open(disk.engine(), OTHER), Err(OpenError::Engine(_))));
        disk.mend();
        assert_eq!(find_schema(&disk.snapshot()), Ok(Some(0)));
        assert!(Store::open(disk.engine(), OTHER).is_ok());
    }

    #[test]
    fn newer_foreign_and_damaged_stores_are_refused() {
        let open = |engine: MemoryEngine| Store::open(Box::new(engine), OTHER).map(|store| store.incarnation());
        assert_eq!(open(store_of_schema(9)), Err(OpenError::Newer { found: 9, known: CURRENT_SCHEMA }));
        let mut foreign = MemoryEngine::new();
        foreign.set_raw(b"hello", Some(b"world"));
        assert!(matches!(open(foreign.clone()), Err(OpenError::NotAStore(_))));
        foreign.set_raw(&[0], Some(b"sqlite?"));
        assert!(matches!(open(foreign), Err(OpenError::NotAStore(_))));
        let mut damaged = store_of_schema(1);
        assert!(matches!(open(damaged.clone()), Err(OpenError::Damaged(_))));
        damaged.set_raw(&[1], Some(b"short"));
        assert!(matches!(open(damaged), Err(OpenError::Damaged(_))));
    }
}
