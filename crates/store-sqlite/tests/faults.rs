//! Locks, foreign and damaged files, places that cannot be written.

use std::fs;
use std::path::Path;
use sturdy_store::{Engine, EngineError, Key, Value};
use sturdy_store_sqlite::{OpenError, SqliteEngine};
use tempfile::TempDir;

fn dir() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn put(engine: &mut SqliteEngine, number: u32, len: usize) -> Result<(), EngineError> {
    engine.apply(&[(Key::new(&number.to_be_bytes()), Some(Value::from(vec![7; len])))])
}

fn open(dir: &Path) -> Result<SqliteEngine, OpenError> {
    SqliteEngine::open(dir)
}

fn refusal(dir: &Path) -> String {
    open(dir).map(|_| ()).expect_err("it does not open").to_string()
}

#[test]
fn a_second_open_is_told_who_is_there() {
    let dir = dir();
    let first = open(dir.path()).expect("opens");
    let error = open(dir.path()).map(|_| ()).expect_err("locked");
    assert!(matches!(&error, OpenError::Locked { dir: locked } if locked == dir.path()), "{error}");
    assert!(error.to_string().contains(&dir.path().display().to_string()));
    drop(first);
    open(dir.path()).expect("free again");
}

#[test]
fn directories_are_made_and_files_in_the_way_are_named() {
    let dir = dir();
    let deep = dir.path().join("a/b/c");
    drop(open(&deep).expect("made"));
    assert!(deep.join("store.sqlite").is_file());
    fs::write(dir.path().join("file"), "x").expect("written");
    let text = refusal(&dir.path().join("file"));
    assert!(text.contains("file cannot be opened"), "{text}");
    let text = refusal(&dir.path().join("file/below"));
    assert!(text.contains("below cannot be opened"), "{text}");
}

#[test]
fn a_directory_that_may_not_be_written_is_named() {
    let dir = dir();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).expect("made");
    let mut permissions = fs::metadata(&inner).expect("there").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&inner, permissions).expect("set");
    // A superuser may write anyway; then there is nothing to refuse.
    if fs::write(inner.join("probe"), "").is_err() {
        let error = open(&inner).map(|_| ()).expect_err("refused");
        assert!(matches!(error, OpenError::Inaccessible { .. }), "{error}");
    }
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let dir = dir();
    let file = dir.path().join("store.sqlite");
    let text = "this is a letter, not a database. ".repeat(100);
    fs::write(&file, &text).expect("written");
    let error = open(dir.path()).map(|_| ()).expect_err("refused");
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("read"), text);
}

#[test]
fn databases_of_other_programs_and_later_layouts_are_left_alone() {
    for (sql, expected) in [
        ("CREATE TABLE songs (name TEXT)", "another program"),
        ("PRAGMA application_id = 77", "another program"),
        ("PRAGMA application_id = 0x53746479; PRAGMA user_version = 1; CREATE TABLE a (b)", "its tables are"),
        ("PRAGMA application_id = 0x53746479; PRAGMA user_version = 2; CREATE TABLE rows (b)", "its tables are"),
        ("PRAGMA application_id = 0x53746479; PRAGMA user_version = 3", "newer version"),
    ] {
        let dir = dir();
        let file = dir.path().join("store.sqlite");
        rusqlite::Connection::open(&file).and_then(|made| made.execute_batch(sql)).expect("made");
        let before = fs::read(&file).expect("read");
        let text = refusal(dir.path());
        assert!(text.contains(expected), "{sql}: {text}");
        assert_eq!(fs::read(&file).expect("read"), before, "{sql}");
    }
}

/// A store of about two megabytes, all of it in the main file.
fn filled(dir: &Path) -> Vec<u8> {
    let mut engine = open(dir).expect("opens");
    for number in 0..500 {
        put(&mut engine, number, 3500).expect("applied");
    }
    drop(engine);
    fs::read(dir.join("store.sqlite")).expect("read")
}

/// Everything that can be read, or the first complaint.
fn read_all(dir: &Path) -> Result<usize, String> {
    let engine = open(dir).map_err(|error| error.to_string())?;
    engine.verify().map_err(|error| error.to_string())?;
    engine.scan(&[], None, usize::MAX).map(|rows| rows.len()).map_err(|error| error.to_string())
}

#[test]
fn a_sound_store_is_found_sound() {
    let dir = dir();
    filled(dir.path());
    assert_eq!(read_all(dir.path()), Ok(500));
}

#[test]
fn truncated_stores_are_noticed() {
    let dir = dir();
    let bytes = filled(dir.path());
    for len in [1, 50, 99, 100, 1000, 4096, 8192, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1] {
        fs::write(dir.path().join("store.sqlite"), &bytes[..len]).expect("written");
        let text = read_all(dir.path()).expect_err(&format!("{len} bytes are a store"));
        assert!(["damaged", "is no store"].iter().any(|word| text.contains(word)), "{len}: {text}");
    }
}

#[test]
fn a_log_without_its_file_is_not_thrown_away() {
    let dir = dir();
    let engine = open(dir.path()).expect("opens");
    let log = fs::read(dir.path().join("store.sqlite-wal")).expect("there is a log");
    drop(engine);
    fs::write(dir.path().join("store.sqlite-wal"), &log).expect("written");
    fs::write(dir.path().join("store.sqlite"), "").expect("written");
    assert!(refusal(dir.path()).contains("damaged"));
    assert_eq!(fs::read(dir.path().join("store.sqlite-wal")).expect("read"), log);
}

#[test]
fn overwritten_pages_are_noticed_and_never_a_panic() {
    let dir = dir();
    let bytes = filled(dir.path());
    for page in [0, 1, 2, bytes.len() / 4096 / 2, bytes.len() / 4096 - 1] {
        let mut damaged = bytes.clone();
        damaged[page * 4096..][..4096].fill(0xa5);
        fs::write(dir.path().join("store.sqlite"), &damaged).expect("written");
        let text = read_all(dir.path()).expect_err(&format!("page {page} is overwritten"));
        assert!(["damaged", "is no store"].iter().any(|word| text.contains(word)), "{page}: {text}");
    }
}

#[test]
fn a_log_that_is_cut_is_a_shorter_history() {
    // As after a power failure: the copy is taken while the engine is open, so the log is still there.
    let dir = dir();
    let mut engine = open(dir.path()).expect("opens");
    for number in 0..50 {
        put(&mut engine, number, 2000).expect("applied");
    }
    let log = fs::read(dir.path().join("store.sqlite-wal")).expect("there is a log");
    let main = fs::read(dir.path().join("store.sqlite")).expect("there is a file");
    let mut last = 0;
    for cut in (0..=log.len()).step_by(log.len() / 40) {
        let copy = self::dir();
        fs::write(copy.path().join("store.sqlite"), &main).expect("written");
        fs::write(copy.path().join("store.sqlite-wal"), &log[..cut]).expect("written");
        let rows = match read_all(copy.path()) {
            Ok(rows) => rows,
            Err(text) => panic!("the first {cut} bytes of the log: {text}"),
        };
        assert!(rows >= last && rows <= 50, "{cut}: {rows} after {last}");
        last = rows;
    }
}

#[test]
fn no_shared_memory_is_used_after_a_restart_either() {
    let dir = dir();
    let mut engine = open(dir.path()).expect("opens");
    put(&mut engine, 1, 100).expect("applied");
    // As a dead process leaves it: with its log.
    let copy = self::dir();
    for name in ["store.sqlite", "store.sqlite-wal"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).expect("copied");
    }
    let engine = open(copy.path()).expect("opens");
    assert_eq!(engine.get(&1u32.to_be_bytes()), Ok(Some(vec![7; 100])));
    assert!(copy.path().join("store.sqlite-wal").exists() && !copy.path().join("store.sqlite-shm").exists());
}
