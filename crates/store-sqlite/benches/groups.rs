//! What durability costs: batches of the rows of 1 to 1000 cranks, next to a probe of what the disk itself takes for
//! an append of 4 KiB made durable. `cargo bench -p sturdy-store-sqlite`.
//!
//! A crank changes ten rows: four of a few that all cranks change, four new ones, and two older ones that it deletes.
//! Each group writes its seal besides.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use sturdy_store::{Engine, Key, Store, Value, VatState};
use sturdy_store_sqlite::SqliteEngine;
use sturdy_types::{Incarnation, VatId};

const GROUPS: [u64; 4] = [1, 10, 100, 1000];
const TIME_PER_GROUP: Duration = Duration::from_secs(2);

fn main() {
    let dir = tempfile::tempdir_in(".").expect("a directory here");
    probe(dir.path());
    for group in GROUPS {
        groups(&dir.path().join(format!("groups-of-{group}")), group);
    }
    reads(&dir.path().join("groups-of-1000"));
    seals(&dir.path().join("sealed"));
}

/// The disk's own price.
fn probe(dir: &Path) {
    let mut file = File::create(dir.join("probe")).expect("created");
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < TIME_PER_GROUP {
        let one = Instant::now();
        file.write_all(&[7; 4096]).expect("written");
        file.sync_data().expect("synced");
        times.push(one.elapsed());
    }
    times.sort();
    println!(
        "append 4 KiB and fdatasync: median {:?}, 95th {:?}",
        times[times.len() / 2],
        times[times.len() * 95 / 100]
    );
}

fn row(table: u8, number: u64) -> Key {
    let mut key = vec![table, 255];
    key.extend_from_slice(&number.to_be_bytes());
    Key::from(key)
}

fn batch(first: u64, cranks: u64) -> Vec<(Key, Option<Value>)> {
    let mut rows = BTreeMap::new();
    for crank in first..first + cranks {
        let hot = crank % 50;
        for (table, number) in [(0x02, 0), (0x29, hot % 10), (0x10, hot), (0x40, hot * 17)] {
            rows.insert(row(table, number), Some(Value::new(&[crank.to_le_bytes()[0]; 24])));
        }
        for table in [0x18, 0x20, 0x21, 0x30] {
            rows.insert(row(table, crank), Some(Value::new(&[crank.to_le_bytes()[0]; 40])));
        }
        for table in [0x18, 0x30] {
            rows.insert(row(table, crank.saturating_sub(2000)), None);
        }
    }
    rows.insert(Key::new(&[0x03]), Some(Value::new(&[first.to_le_bytes()[0]; 14])));
    rows.into_iter().collect()
}

fn groups(dir: &Path, group: u64) {
    let mut engine = SqliteEngine::open(dir).expect("opens");
    let (mut times, mut cranks) = (Vec::new(), 0);
    let began = Instant::now();
    while began.elapsed() < TIME_PER_GROUP {
        let rows = batch(cranks, group);
        let one = Instant::now();
        engine.apply(&rows).expect("applied");
        times.push(one.elapsed());
        cranks += group;
    }
    let log = engine.stats().log_bytes + engine.stats().checkpoints * sturdy_store_sqlite::LOG_LIMIT_BYTES;
    let rate = u128::from(cranks) * 1000 / began.elapsed().as_millis().max(1);
    times.sort();
    println!(
        "groups of {group:4}: median {:?}, 95th {:?}, {rate} cranks/s, {} bytes of log per crank, {} checkpoints",
        times[times.len() / 2],
        times[times.len() * 95 / 100],
        log / cranks,
        engine.stats().checkpoints,
    );
    let folding = Instant::now();
    engine.idle().expect("folded");
    println!("                 folding the rest of the log: {:?}", folding.elapsed());
}

fn reads(dir: &Path) {
    const READS: u32 = 100_000;
    let engine = SqliteEngine::open(dir).expect("opens");
    let rows = engine.scan(&[0x20], Some(&[0x21]), usize::MAX).expect("read").len() as u64;
    let began = Instant::now();
    for number in 0..u64::from(READS) {
        engine.get(row(0x20, number * 7919 % rows).as_slice()).expect("read");
    }
    println!("get of one of {rows} rows: {:?}", began.elapsed() / READS);
    let began = Instant::now();
    for number in 0..u64::from(READS) {
        let key = row(0x20, number * 7919 % rows);
        engine.scan(key.as_slice(), Some(&[0x21]), 10).expect("read");
    }
    println!("scan of ten of them: {:?}", began.elapsed() / READS);
}

/// What the seal costs: commits of one row through a store, and opening stores of many rows, all of which are read.
fn seals(dir: &Path) {
    let open = || {
        let engine = SqliteEngine::open(dir).expect("opens");
        Store::open(Box::new(engine), Incarnation([1; 16])).expect("whole")
    };
    let mut store = open();
    for rows in [10_000u32, 100_000, 1_000_000] {
        let mut turn = store.begin();
        for number in rows / 10..rows {
            turn.put_new::<VatState>(&(VatId(1), format!("vom.{number}")), &"x".repeat(40));
        }
        turn.merge().expect("merged");
        store.commit().expect("committed");
        drop(store);
        let began = Instant::now();
        store = open();
        println!("opening a store of {rows} rows, which are compared with their seal: {:?}", began.elapsed());
    }
}
