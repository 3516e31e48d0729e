//! Rows in SQLite: reading, applying a batch, folding the log, verifying.

use crate::error::{OpenError, engine_error};
use crate::open::{Opened, open};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
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

/// An engine over one directory, which it keeps locked.
pub struct SqliteEngine {
    // Before the lock: it is closed before the lock is given up.
    connection: Connection,
    path: PathBuf,
    _lock: File,
    stats: EngineStats,
    /// Bytes in the log at most, between looks at the log itself.
    log_bound: u64,
    page_bytes: u64,
}

impl SqliteEngine {
    /// Opens the store in `dir`, which is made if it is missing.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let Opened { connection, path, lock } = open(dir)?;
        let unusable = |source| OpenError::Unusable { path: path.clone(), source };
        let page_bytes = connection
            .pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))
            .map_err(|error| unusable(engine_error(&path, "opening", &error)))?;
        let mut engine = Self {
            connection,
            path: path.clone(),
            _lock: lock,
            stats: EngineStats::default(),
            log_bound: 0,
            page_bytes: page_bytes.into(),
        };
        engine.log_bound = engine.log_bytes("NOOP").map_err(unusable)?;
        Ok(engine)
    }

    /// Checks the whole file: that it is well-formed, and that every row is in its place. It reads everything.
    pub fn verify(&self) -> Result<(), EngineError> {
        let fail = |error: rusqlite::Error| self.error("verifying", &error);
        let mut statement = self.connection.prepare("PRAGMA integrity_check(20)").map_err(fail)?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0)).map_err(fail)?;
        let lines = lines.collect::<Result<Vec<_>, _>>().map_err(fail)?;
        if lines == ["ok"] {
            return Ok(());
        }
        let (path, what) = (self.path.display(), lines.join("; "));
        Err(EngineError::Damaged(format!("verifying {path} found: {what}; restore it from a backup")))
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
                match value {
                    Some(value) => put.execute(params![key.as_slice(), value.as_slice()])?,
                    None => delete.execute(params![key.as_slice()])?,
                };
            }
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
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
        let mut get = self.prepare("reading", GET)?;
        get.query_row([key], |row| row.get(0)).optional().map_err(|error| self.error("reading", &error))
    }

    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError> {
        let fail = |error: rusqlite::Error| self.error("reading", &error);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut scan = self.prepare("reading", if end.is_some() { SCAN } else { SCAN_ON })?;
        let mut rows = match end {
            Some(end) => scan.query(params![start, end, limit]),
            None => scan.query(params![start, limit]),
        }
        .map_err(fail)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            found.push((row.get(0).map_err(fail)?, row.get(1).map_err(fail)?));
        }
        Ok(found)
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
        // Every row can change its own page, split it, and need more pages for a long value. The tree is shallow.
        let bytes: usize = batch.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Value::len)).sum();
        self.log_bound += (8 + 3 * batch.len() as u64) * self.page_bytes + 2 * bytes as u64;
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
