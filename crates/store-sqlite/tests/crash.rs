//! The process is killed at random moments. What it was told is durable must be there, and nothing by halves.
//!
//! The child is this same test binary, running only `child` with a directory in its environment.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use sturdy_store::{Engine, Key, Value};
use sturdy_store_sqlite::SqliteEngine;

const DIR: &str = "STURDY_CRASH_TEST_DIR";
const ROWS_PER_BATCH: u64 = 8;

/// The batch of this number: rows of its own, a row that all batches write, and the deletion of an older batch.
fn batch(number: u64) -> Vec<(Key, Option<Value>)> {
    let mut rows = vec![(Key::new(b"last"), Some(Value::new(&number.to_be_bytes())))];
    for row in 0..ROWS_PER_BATCH {
        let len = usize::try_from(number * 37 % 3000).expect("small");
        rows.push((row_key(number, row), Some(Value::from(vec![row.to_le_bytes()[0]; len]))));
        if let Some(old) = number.checked_sub(10) {
            rows.push((row_key(old, row), None));
        }
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

fn row_key(number: u64, row: u64) -> Key {
    Key::new(format!("row {:04}.{number}.{row}", number * 7919 % 10_000).as_bytes())
}

/// Not a test by itself: does nothing unless the parent gave it a directory.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let mut engine = SqliteEngine::open(Path::new(&dir)).expect("opens");
    let mut number = last(&engine).map_or(0, |last| last + 1);
    loop {
        engine.apply(&batch(number)).expect("applied");
        println!("applied {number}");
        if number.is_multiple_of(50) {
            engine.idle().expect("idle");
        }
        number += 1;
    }
}

fn last(engine: &SqliteEngine) -> Option<u64> {
    let bytes = engine.get(b"last").expect("read")?;
    Some(u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
}

/// Lets a child apply batches and kills it after about this many. Returns the last that it said was applied.
fn run_and_kill(dir: &Path, batches: u64) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said = None;
    let mut seen = 0;
    while seen < batches {
        let line = lines.next().expect("the child goes on").expect("text");
        if let Some((_, number)) = line.split_once("applied ") {
            said = number.parse().ok();
            seen += 1;
        }
    }
    // The child is somewhere in a later batch now.
    child.kill().expect("killed");
    child.wait().expect("gone");
    for line in lines.map_while(Result::ok) {
        // A line that was cut off by the kill may lack digits; it then names a smaller number, which is no harm.
        if let Some((_, number)) = line.split_once("applied ") {
            said = said.max(number.parse().ok());
        }
    }
    said
}

#[test]
fn a_killed_process_loses_nothing_that_was_applied() {
    let dir = tempfile::tempdir().expect("a directory");
    for round in 0..12u64 {
        let said = run_and_kill(dir.path(), 1 + round * 13 % 60);
        let engine = SqliteEngine::open(dir.path()).expect("opens after a kill");
        engine.verify().expect("sound");
        let last = last(&engine).expect("something was applied");
        assert!(Some(last) >= said, "{said:?} was applied, {last} is the last there");
        // Exactly what the batches up to the last one leave behind: each all or nothing. Those of more than ten
        // batches ago are deleted again, so replaying a longer stretch gives everything.
        let mut expected = BTreeMap::new();
        for (key, value) in (last.saturating_sub(30)..=last).flat_map(batch) {
            match value {
                Some(value) => expected.insert(key.as_slice().to_vec(), value.as_slice().to_vec()),
                None => expected.remove(key.as_slice()),
            };
        }
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(engine.scan(&[], None, usize::MAX).expect("read"), expected, "round {round}");
    }
}
