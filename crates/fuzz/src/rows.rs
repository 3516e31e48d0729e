//! Rows of the store: keys and records are read or refused, and have one spelling. And whole stores with damaged rows:
//! they are refused, and if they were damaged after they had been opened, looked into and recounted without a panic.

use crate::events;
use crate::tape::Tape;
use sturdy_kernel::Event;
use sturdy_node::Node;
use sturdy_store::{self as store, Engine, MemoryDisk, OpenError, Row, Table};
use sturdy_types::{Incarnation, KernelLimits};

/// One table: its tag, its name, and how a row of it is checked.
#[derive(Debug, Clone, Copy)]
pub struct TableUnderTest {
    /// The first byte of its keys.
    pub tag: u8,
    /// Its name.
    pub name: &'static str,
    check: fn(&[u8], &[u8]),
}

macro_rules! all_tables {
    ($($table:ident),* $(,)?) => {
        /// Every table of the store.
        pub const TABLES: &[TableUnderTest] = &[$(TableUnderTest {
            tag: store::$table::TAG,
            name: store::$table::NAME,
            check: check::<store::$table>,
        }),*];
    };
}

all_tables!(
    SchemaTable,
    IncarnationTable,
    CountersTable,
    SealTable,
    Objects,
    Promises,
    PromiseQueue,
    DecidedBy,
    ClistByKref,
    ClistByVref,
    Vats,
    VatCursors,
    Reloads,
    DoomedVats,
    Inbox,
    GcActions,
    VatState,
    Subclusters,
    SystemSubclusters,
    Tickets,
    Services,
    ServiceObjects,
    ServiceCalls,
    Calls,
    CallRequests,
    Sources,
    Remotes,
    RemotesByPeer,
    RemoteCursors,
    Outbox,
    RemoteNames,
    RemoteRefs,
    Retiring,
    Withheld,
    Urls,
    UrlsByOid,
    UrlExpiries,
    Redemptions,
    Losses,
);

/// The length of the key, the key, the record.
pub(crate) fn rows(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else { return };
    let (key, record) = rest.split_at(usize::from(length).min(rest.len()));
    for table in TABLES.iter().filter(|table| Some(&table.tag) == key.first()) {
        (table.check)(key, record);
    }
}

fn check<T: Table>(key: &[u8], record: &[u8]) {
    let read_key = T::read_key(key);
    if let Ok(read) = &read_key {
        assert_eq!(T::write_key(read).as_slice(), key, "the key {read:?} of {} has two spellings", T::NAME);
    }
    let read_record = T::decode(record);
    if let Ok(read) = &read_record {
        let mut again = Vec::new();
        T::encode(read, &mut again);
        assert_eq!(again, record, "the record {read:?} of {} has two spellings", T::NAME);
    }
    let row = T::describe(key, record);
    assert_eq!(row.corrupt.is_some(), read_key.is_err() || read_record.is_err(), "{row:?}");
}

/// Damage to a well-filled store: which row, what is done to it.
pub(crate) fn store(data: &[u8]) {
    let mut tape = Tape::new(data);
    let mut engine = events::full_store();
    let rows = engine.scan(&[], None, usize::MAX).expect("memory is readable");
    while !tape.is_over() {
        let (mut key, mut value) = rows[tape.below(256) * rows.len() / 256].clone();
        match tape.below(6) {
            0 => flip(&mut value, &mut tape),
            1 => flip(&mut key, &mut tape),
            2 => value.truncate(tape.below(value.len() + 1)),
            3 => value.extend_from_slice(tape.bytes(4)),
            4 => {
                engine.set_raw(&key, None);
                continue;
            }
            _ => value.clone_from(&rows[tape.below(256) * rows.len() / 256].1),
        }
        engine.set_raw(&key, Some(&value));
    }
    let damaged = engine.scan(&[], None, usize::MAX).expect("memory is readable");
    // The first row says which schema it is. An older one had no seal.
    let is_sealed = damaged.first() == rows.first();
    // The seal counts batches only for people; its other parts are about the other rows.
    let is_other = |row: &&Row| row.0 != [store::SealTable::TAG];
    let is_whole = damaged.iter().filter(is_other).eq(rows.iter().filter(is_other));
    let opened = open(&engine.clone().shared());
    assert!(opened.is_err() || is_whole || !is_sealed, "the seal does not tell of the damage");
    // What is damaged after it was opened is not seen at once: then a fault is the right answer, a panic is not.
    let disk = events::full_store().shared();
    let mut node = opened.or_else(|_| open(&disk)).expect("what was written can be opened");
    disk.restore(engine);
    let _problems_or_fault = node.audit();
    let _rows = node.store().dump().map_while(Result::ok).count();
    let _census = node.store().census();
    let boot = Event::Boot { died_on: None, system_names: Vec::new() };
    let _effects_or_fault = node.handle(1_000_000, boot).and_then(|_| node.handle(1_000_001, Event::Idle));
}

fn open(disk: &MemoryDisk) -> Result<Node, OpenError> {
    Node::open(disk.engine(), Incarnation([9; 16]), KernelLimits::default())
}

fn flip(bytes: &mut [u8], tape: &mut Tape<'_>) {
    let at = tape.below(bytes.len().max(1));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= tape.byte();
    }
}
