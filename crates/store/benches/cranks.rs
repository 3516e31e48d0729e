//! Synthetic cranks over the engine in memory: the reads and writes of one message to an object of a vat and of its
//! answer, in groups. `cargo bench -p sturdy-store`.

use divan::Bencher;
use divan::counter::ItemsCount;
use sturdy_store::{
    ClistByKref, ClistByVref, ClistEntry, Counters, CountersTable, DecidedBy, Decider, GcActions, Inbox, Item,
    MemoryEngine, ObjectRecord, Objects, Owner, PromiseRecord, PromiseState, Promises, Read, Store, StoreFault,
    Subscriber, VatCursor, VatCursors, VatState,
};
use sturdy_types::{CapData, Hold, Incarnation, KRef, Message, ObjectId, PromiseId, VRef, VatId};

const VATS: u32 = 10;
const OBJECTS: u64 = 1000;

fn main() {
    divan::main();
}

fn new_store() -> Store {
    let mut store = Store::open(Box::new(MemoryEngine::new()), Incarnation([1; 16])).expect("memory opens");
    let mut turn = store.begin();
    for id in 1..=OBJECTS {
        let vat = VatId(1 + u32::try_from(id).expect("few") % VATS);
        let record = ObjectRecord { owner: Owner::Vat(vat), reachable: 1, recognizable: 1, pins: 0, revoked: false };
        turn.put::<Objects>(&ObjectId(id), &record);
        let entry = ClistEntry { vref: VRef::Export(id), reachable: true, hold: Hold::None };
        turn.put::<ClistByKref>(&(KRef::Object(ObjectId(id)), vat), &entry);
        turn.put::<ClistByVref>(&(vat, VRef::Export(id)), &KRef::Object(ObjectId(id)));
    }
    for vat in 1..=VATS {
        turn.put::<VatCursors>(&VatId(vat), &VatCursor::default());
    }
    turn.merge().expect("memory");
    store.commit().expect("memory");
    store
}

/// The `number`-th message is sent, delivered and answered: about 20 reads and 12 writes in two turns' worth of work.
fn crank(store: &mut Store, number: u64) -> Result<(), StoreFault> {
    let target = ObjectId(1 + number % OBJECTS);
    let mut turn = store.begin();
    let mut counters = turn.get::<CountersTable>(&())?.unwrap_or_default();
    let Some(mut object) = turn.get::<Objects>(&target)? else { return Ok(()) };
    let Owner::Vat(vat) = object.owner else { return Ok(()) };
    let caller = VatId(1 + vat.0 % VATS);
    let result = PromiseId(counters.promises + 1);
    counters = Counters { promises: result.0, cranks: counters.cranks + 1, ..counters };
    turn.put::<CountersTable>(&(), &counters);
    let state = PromiseState::Unresolved {
        decider: Decider::Vat(vat),
        subscribers: vec![Subscriber::Vat(caller)],
        queue_head: 0,
        queue_tail: 0,
    };
    turn.put_new::<Promises>(&result, &PromiseRecord { refs: 2, state });
    turn.put_new::<DecidedBy>(&(Decider::Vat(vat), result), &());
    let mut cursor = turn.get::<VatCursors>(&vat)?.unwrap_or_default();
    let message = Message { methargs: CapData::plain("#[\"ping\",[1,2]]"), result: Some(KRef::Promise(result)) };
    turn.put_new::<Inbox>(&(vat, cursor.inbox_tail), &Item::Send { target, message });
    cursor.inbox_tail += 1;
    object.reachable += 1;
    turn.put::<Objects>(&target, &object);
    // The delivery and its outcome.
    divan::black_box(turn.get::<Inbox>(&(vat, cursor.inbox_head))?);
    divan::black_box(turn.get::<ClistByKref>(&(KRef::Object(target), vat))?);
    divan::black_box(turn.has::<ClistByKref>(&(KRef::Promise(result), vat))?);
    let entry = ClistEntry { vref: VRef::PromiseImport(result.0), reachable: true, hold: Hold::None };
    turn.put_new::<ClistByKref>(&(KRef::Promise(result), vat), &entry);
    turn.put_new::<ClistByVref>(&(vat, entry.vref), &KRef::Promise(result));
    for back in 0..6 {
        divan::black_box(turn.get::<Objects>(&ObjectId(1 + (number + back * 7) % OBJECTS))?);
        divan::black_box(turn.get::<ClistByVref>(&(vat, VRef::Export(1 + (number + back) % OBJECTS)))?);
    }
    divan::black_box(turn.get::<Promises>(&result)?);
    turn.put::<VatState>(&(vat, format!("vom.{}", number % 500)), &"{\"count\":{\"body\":\"#7\",\"slots\":[]}}".into());
    object.reachable -= 1;
    turn.put::<Objects>(&target, &object);
    turn.delete::<DecidedBy>(&(Decider::Vat(vat), result));
    turn.delete::<ClistByKref>(&(KRef::Promise(result), vat));
    turn.delete::<ClistByVref>(&(vat, entry.vref));
    turn.delete::<Promises>(&result);
    turn.delete::<Inbox>(&(vat, cursor.inbox_head));
    cursor.inbox_head += 1;
    turn.put::<VatCursors>(&vat, &cursor);
    turn.merge()
}

#[divan::bench(args = [1, 10, 100, 1000])]
fn cranks_in_groups_of(bencher: Bencher, group: u64) {
    let mut store = new_store();
    let mut number = 0;
    bencher.counter(ItemsCount::new(group)).bench_local(|| {
        for _ in 0..group {
            crank(&mut store, number).expect("memory");
            number += 1;
        }
        store.commit().expect("memory")
    });
}

/// A scan of a small table part, in the middle of a large open group that changes it.
#[divan::bench(args = [1, 100, 10_000])]
fn scan_over_a_group_of(bencher: Bencher, group: u64) {
    let mut store = new_store();
    for number in 0..group {
        crank(&mut store, number).expect("memory");
    }
    let mut number = 0u64;
    bencher.bench_local(|| {
        let mut turn = store.begin();
        let vat = VatId(1 + u32::try_from(number % u64::from(VATS)).expect("few"));
        turn.put::<GcActions>(&(vat, sturdy_store::GcAction::DropExport, ObjectId(number)), &());
        number += 1;
        let found = turn.scan::<GcActions>(&vat, None, 10).expect("memory").len();
        turn.merge().expect("memory");
        found
    });
}
