//! Rows in `SQLite`: reading, applying a batch, folding the log, verifying.

use crate::error::{OpenError, engine_error};
use crate::long::{LongKeys, Place};
#[cfg(feature = "vfs")]
use crate::open::open_on;
use crate::open::{FileLen, Opened, open};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, params};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use sturdy_store::{Engine, EngineError, EngineStats, Key, Row, Value};

/// A log of at least so many bytes is folded into the main file when there is time.
pub const IDLE_CHECKPOINT_BYTES: u64 = 1 << 20;
/// A log of so many bytes is folded even if there is no time.
pub const LOG_LIMIT_BYTES: u64 = 64 << 20;

const GET: &str = "SELECT value FROM rows WHERE key = ?1";
const SCAN: &str = "SELECT key, value FROM rows WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";
const SCAN_ON: &str = "SELECT key, value FROM rows WHERE key >= ?1 ORDER BY key LIMIT ?2";
const PUT: &str =
    "INSERT INTO rows (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM rows WHERE key = ?1";
const GET_LONG: &str = "SELECT value FROM long WHERE key = ?1";
const PUT_LONG: &str =
    "INSERT INTO long (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE_LONG: &str = "DELETE FROM long WHERE key = ?1";
const LONG_KEYS: &str = "SELECT key FROM long";
const TWICE: &str = "SELECT count(*) FROM long WHERE key IN (SELECT key FROM rows)";

/// An engine over one directory, which it keeps locked.
pub struct SqliteEngine {
    // Before the lock: it is closed before the lock is given up.
    connection: Connection,
    path: PathBuf,
    _lock: Option<File>,
    file_len: FileLen,
    stats: EngineStats,
    long: LongKeys,
    /// Bytes in the log at most, between looks at the log itself.
    log_bound: u64,
    page_bytes: u64,
}

impl SqliteEngine {
    /// Opens the store in `dir`, which is made if it is missing.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::over(open(dir)?)
    }

    /// Opens the store in `dir` of a virtual file system that is registered by this name and where the file is already.
    /// Everything else is as in `open`. For tests of crashes: nothing is locked.
    #[cfg(feature = "vfs")]
    pub fn open_on(
        vfs: &str,
        dir: &Path,
        file_len: impl Fn(&Path) -> Option<u64> + Send + 'static,
    ) -> Result<Self, OpenError> {
        Self::over(open_on(vfs, dir, Box::new(file_len))?)
    }

    fn over(opened: Opened) -> Result<Self, OpenError> {
        let Opened { connection, path, lock, file_len } = opened;
        let unusable = |source| OpenError::Unusable { path: path.clone(), source };
        let page_bytes = connection
            .pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))
            .map_err(|error| unusable(engine_error(&path, "opening", &error)))?;
        let mut engine = Self {
            connection,
            path: path.clone(),
            _lock: lock,
            file_len,
            stats: EngineStats::default(),
            long: LongKeys::default(),
            log_bound: 0,
            page_bytes: page_bytes.into(),
        };
        // What a process that died has left in the log may be read although it never reached the disk. Nobody may act on
        // it before it does: folding the log makes it durable.
        engine.log_bound = engine.log_bytes("PASSIVE").map_err(unusable)?;
        engine.long = engine.long_keys().map_err(unusable)?;
        Ok(engine)
    }

    fn long_keys(&self) -> Result<LongKeys, EngineError> {
        let fail = |error: rusqlite::Error| self.error("opening", &error);
        let mut statement = self.connection.prepare(LONG_KEYS).map_err(fail)?;
        let keys = statement.query_map([], |row| Ok(Key::new(row.get_ref(0)?.as_blob()?))).map_err(fail)?;
        Ok(LongKeys::new(keys.collect::<Result<Vec<_>, _>>().map_err(fail)?))
    }

    /// Checks the whole file: that it has its full length and is well-formed, and that every row is in its place. It
    /// reads everything.
    pub fn verify(&self) -> Result<(), EngineError> {
        let fail = |error: rusqlite::Error| self.error("verifying", &error);
        // A page missing in the file may still be in the log; `SQLite` reads one that is in neither as zeroes.
        self.log_bytes("PASSIVE")?;
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(fail)?;
        let pages = u64::try_from(pages).unwrap_or(0);
        let len = (self.file_len)(&self.path).ok_or_else(|| self.damaged("no file"))?;
        if len < pages * self.page_bytes {
            return Err(self.damaged(&format!("{len} bytes instead of {pages} pages of {} bytes", self.page_bytes)));
        }
        let twice: i64 = self.connection.query_row(TWICE, [], |row| row.get(0)).map_err(fail)?;
        if twice > 0 {
            return Err(self.damaged(&format!("{twice} rows both among the short and among the long ones")));
        }
        let mut statement = self.connection.prepare("PRAGMA integrity_check(20)").map_err(fail)?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0)).map_err(fail)?;
        let lines = lines.collect::<Result<Vec<_>, _>>().map_err(fail)?;
        if lines == ["ok"] { Ok(()) } else { Err(self.damaged(&lines.join("; "))) }
    }

    fn damaged(&self, what: &str) -> EngineError {
        EngineError::Damaged(format!("verifying {} found {what}; restore it from a backup", self.path.display()))
    }

    fn error(&self, doing: &str, error: &rusqlite::Error) -> EngineError {
        engine_error(&self.path, doing, error)
    }

    fn prepare(&self, doing: &str, sql: &str) -> Result<CachedStatement<'_>, EngineError> {
        self.connection.prepare_cached(sql).map_err(|error| self.error(doing, &error))
    }

    fn write_batch(&self, batch: &[(Key, Option<Value>)]) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let mut put = self.connection.prepare_cached(PUT)?;
            let mut delete = self.connection.prepare_cached(DELETE)?;
            for (key, value) in batch {
                let key = key.as_slice();
                let (was, will_be) = (self.long.place(key), value.as_ref().map(Place::of));
                match was {
                    Place::Long if will_be != Some(Place::Long) => self.write_long(DELETE_LONG, [key])?,
                    Place::Rows if will_be != Some(Place::Rows) => delete.execute([key])?,
                    Place::Long | Place::Rows => 0, // it will be overwritten
                };
                match value {
                    Some(value) if will_be == Some(Place::Long) => {
                        self.write_long(PUT_LONG, [key, value.as_slice()])?;
                    }
                    Some(value) => {
                        put.execute([key, value.as_slice()])?;
                    }
                    None => {}
                }
            }
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn write_long(&self, sql: &str, values: impl Params) -> Result<usize, rusqlite::Error> {
        self.connection.prepare_cached(sql)?.execute(values)
    }

    fn get_at(&self, place: Place, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let mut get = self.prepare("reading", if place == Place::Long { GET_LONG } else { GET })?;
        get.query_row([key], |row| row.get(0)).optional().map_err(|error| self.error("reading", &error))
    }

    /// The first `limit` of the short rows that were found and the long ones of the same range.
    fn with_long(
        &self,
        found: Vec<Row>,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, EngineError> {
        let long = self.long.range(start, end).take(limit).map(|key| (key.as_slice().to_vec(), None));
        let mut all: BTreeMap<Vec<u8>, Option<Vec<u8>>> = long.collect();
        if all.is_empty() {
            return Ok(found);
        }
        all.extend(found.into_iter().map(|(key, value)| (key, Some(value))));
        let read = |(key, found): (Vec<u8>, Option<Vec<u8>>)| {
            let value = if found.is_some() { found } else { self.get_at(Place::Long, &key)? };
            value.map(|value| (key, value)).ok_or_else(|| self.damaged("no value of a long row"))
        };
        all.into_iter().take(limit).map(read).collect()
    }

    /// Bytes in the log that are not in the main file yet, after a checkpoint of this mode (`NOOP`: none).
    fn log_bytes(&self, mode: &str) -> Result<u64, EngineError> {
        let frames = self
            .connection
            .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))
            .and_then(|mut pragma| pragma.query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)))
            .map_err(|error| self.error("folding the log of", &error))?;
        Ok(u64::try_from(frames).unwrap_or(0) * self.page_bytes)
    }

    fn checkpoint(&mut self) -> Result<(), EngineError> {
        self.log_bound = self.log_bytes("PASSIVE")?;
        self.stats.checkpoints += 1;
        Ok(())
    }

    /// Looks at the log when it could have reached `limit`. Returns whether it has.
    fn log_reaches(&mut self, limit: u64) -> Result<bool, EngineError> {
        if self.log_bound >= limit {
            self.log_bound = self.log_bytes("NOOP")?;
        }
        Ok(self.log_bound >= limit)
    }
}

impl Engine for SqliteEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.get_at(self.long.place(key), key)
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError> {
        let fail = |error: rusqlite::Error| self.error("reading", &error);
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut scan = self.prepare("reading", if end.is_some() { SCAN } else { SCAN_ON })?;
        let mut rows = match end {
            Some(end) => scan.query(params![start, end, most]),
            None => scan.query(params![start, most]),
        }
        .map_err(fail)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            found.push((row.get(0).map_err(fail)?, row.get(1).map_err(fail)?));
        }
        self.with_long(found, start, end, limit)
    }

    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError> {
        if let Err(error) = self.write_batch(batch) {
            let error = self.error("writing", &error);
            if !self.connection.is_autocommit() {
                // If this fails too, the file is still as it was before: the transaction was not committed.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            return Err(error);
        }
        self.stats.count(batch);
        self.long.committed(batch);
        // Every row can change its own page, split it, and need more pages for a long value, which has an index besides.
        // The trees are shallow.
        let bytes: usize = batch.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Value::len)).sum();
        let long = batch.iter().filter(|(_, value)| value.as_ref().map(Place::of) == Some(Place::Long)).count();
        self.log_bound += (8 + 3 * batch.len() as u64 + 4 * long as u64) * self.page_bytes + 2 * bytes as u64;
        if self.log_reaches(LOG_LIMIT_BYTES).unwrap_or(true) {
            // The batch is durable whatever becomes of this. A disk that fails will fail the next batch.
            let _ = self.checkpoint();
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<bool, EngineError> {
        if self.log_reaches(IDLE_CHECKPOINT_BYTES)? {
            self.checkpoint()?;
        }
        Ok(false)
    }

    fn stats(&self) -> EngineStats {
        EngineStats { log_bytes: self.log_bytes("NOOP").unwrap_or(self.log_bound), ..self.stats }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::long::LONG_VALUE_BYTES;

    fn row(number: u32, len: usize) -> (Key, Option<Value>) {
        (Key::new(&number.to_be_bytes()), Some(Value::from(vec![1; len])))
    }

    fn rows(engine: &SqliteEngine) -> usize {
        engine.scan(&[], None, usize::MAX).expect("read").len()
    }

    #[test]
    fn a_full_disk_is_told_and_leaves_the_store_sound() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut engine = SqliteEngine::open(dir.path()).expect("opens");
        engine.apply(&[row(0, 10)]).expect("applied");
        engine.connection.execute_batch("PRAGMA max_page_count = 100").expect("set");
        let error = engine.apply(&(1..100).map(|number| row(number, 10_000)).collect::<Vec<_>>()).expect_err("full");
        assert!(matches!(error, EngineError::Full(_)), "{error}");
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(rows(&engine), 1);
        engine.verify().expect("sound");
        engine.apply(&[row(1, 10)]).expect("there is room for a small one");
        drop(engine);
        let engine = SqliteEngine::open(dir.path()).expect("opens");
        assert_eq!(rows(&engine), 2);
        engine.verify().expect("sound");
    }

    #[test]
    fn a_file_that_may_not_be_written_is_told_and_left_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut engine = SqliteEngine::open(dir.path()).expect("opens");
        engine.apply(&[row(0, 10)]).expect("applied");
        engine.connection.execute_batch("PRAGMA query_only = 1").expect("set");
        let error = engine.apply(&[row(1, 10)]).expect_err("read-only");
        assert!(matches!(error, EngineError::ReadOnly(_)), "{error}");
        engine.connection.execute_batch("PRAGMA query_only = 0").expect("set");
        assert_eq!(rows(&engine), 1);
        engine.apply(&[row(1, 10)]).expect("applied");
    }

    #[test]
    fn the_log_is_folded_when_idle_and_at_its_limit() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut engine = SqliteEngine::open(dir.path()).expect("opens");
        engine.apply(&[row(0, 100_000)]).expect("applied");
        assert_eq!(engine.idle(), Ok(false));
        assert_eq!(engine.stats().checkpoints, 0, "a short log may stay");
        let len = usize::try_from(IDLE_CHECKPOINT_BYTES).expect("fits");
        engine.apply(&[row(1, len)]).expect("applied");
        assert!(engine.stats().log_bytes >= IDLE_CHECKPOINT_BYTES);
        engine.idle().expect("folded");
        assert_eq!((engine.stats().checkpoints, engine.stats().log_bytes), (1, 0));
        let len = usize::try_from(LOG_LIMIT_BYTES / 4).expect("fits");
        for number in 0..8 {
            engine.apply(&[row(number, len)]).expect("applied");
            assert!(engine.stats().log_bytes < LOG_LIMIT_BYTES);
        }
        assert!(engine.stats().checkpoints > 1);
        assert_eq!(rows(&engine), 8);
    }

    /// Rows among the short and among the long ones.
    fn counts(engine: &SqliteEngine) -> (u32, u32) {
        let count = |sql| engine.connection.query_row(sql, [], |row| row.get(0)).expect("counted");
        (count("SELECT count(*) FROM rows"), count("SELECT count(*) FROM long"))
    }

    #[test]
    fn a_row_is_where_its_length_puts_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut engine = SqliteEngine::open(dir.path()).expect("opens");
        let (long, short) = (LONG_VALUE_BYTES, LONG_VALUE_BYTES - 1);
        for (len, expected) in [
            (Some(short), (1, 0)),
            (Some(long), (0, 1)),
            (Some(long + 1), (0, 1)),
            (Some(short), (1, 0)),
            (None, (0, 0)),
            (Some(long), (0, 1)),
            (None, (0, 0)),
            (None, (0, 0)),
        ] {
            let write = (row(1, 0).0, len.map(|len| Value::from(vec![2; len])));
            engine.apply(&[write]).expect("applied");
            assert_eq!(counts(&engine), expected);
            let found = engine.get(&1u32.to_be_bytes()).expect("read").map(|value| value.len());
            assert_eq!(found, len);
            engine.verify().expect("sound");
        }
    }

    #[test]
    fn a_batch_that_fails_moves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut engine = SqliteEngine::open(dir.path()).expect("opens");
        engine.apply(&[row(0, 10), row(1, LONG_VALUE_BYTES)]).expect("applied");
        engine.connection.execute_batch("PRAGMA query_only = 1").expect("set");
        engine.apply(&[row(0, LONG_VALUE_BYTES), row(1, 10)]).expect_err("read-only");
        let found = engine.scan(&[], None, 2).expect("read");
        assert_eq!(found.iter().map(|(_, value)| value.len()).collect::<Vec<_>>(), [10, LONG_VALUE_BYTES]);
        engine.verify().expect("sound");
    }

    #[test]
    fn stores_from_before_there_were_long_rows_go_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let made = Connection::open(dir.path().join("store.sqlite")).expect("made");
        made.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA application_id = 0x53746479; PRAGMA user_version = 1;
             CREATE TABLE rows (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
             INSERT INTO rows VALUES (x'00000000', x'01'), (x'00000001', zeroblob(100000)), (x'00000002', zeroblob(100000));",
        )
        .expect("made");
        drop(made);
        let lens = |engine: &SqliteEngine| -> Vec<usize> {
            let rows = engine.scan(&[], None, usize::MAX).expect("read");
            rows.iter().map(|(_, value)| value.len()).collect()
        };
        let mut engine = SqliteEngine::open(dir.path()).expect("opens");
        assert_eq!((lens(&engine), counts(&engine)), (vec![1, 100_000, 100_000], (3, 0)));
        engine.apply(&[row(1, 90_000), (row(2, 0).0, None), row(3, 90_000)]).expect("applied");
        drop(engine);
        let engine = SqliteEngine::open(dir.path()).expect("opens");
        assert_eq!((lens(&engine), counts(&engine)), (vec![1, 90_000, 90_000], (1, 2)));
        engine.verify().expect("sound");
    }

    #[test]
    fn the_bound_of_the_log_is_above_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut engine = SqliteEngine::open(dir.path()).expect("opens");
        for round in 0..100u32 {
            let len = |number: u32| if number % 16 == 1 { LONG_VALUE_BYTES } else { 40 * number as usize };
            let batch = (0..round).map(|number| row(number.wrapping_mul(2_654_435_761), len(number)));
            let mut batch: Vec<_> = batch.collect();
            batch.sort_by(|a, b| a.0.cmp(&b.0));
            engine.apply(&batch).expect("applied");
            assert!(engine.log_bound >= engine.stats().log_bytes);
        }
    }
}
