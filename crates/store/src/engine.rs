//! What an engine is: ordered bytes, and a batch applied durably. Everything typed is above it, everything that
//! touches a disk is in crates of its own; the conformance suite (`conformance.rs`) says what they all hold to.

use crate::bytes::{Key, Value};

/// Why an engine could not do what it was asked. The text says what happened, to what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no room.
    #[error("the store is full: {0}")]
    Full(String),
    /// Writing is not allowed.
    #[error("the store cannot be written: {0}")]
    ReadOnly(String),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// What an engine has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineStats {
    /// Batches applied.
    pub commits: u64,
    /// Rows written or deleted.
    pub keys_written: u64,
    /// Bytes of their keys and values.
    pub bytes_written: u64,
    /// Times that the log was folded into the main file, for engines that have a log.
    pub checkpoints: u64,
    /// Bytes in the log now, for engines that have a log.
    pub log_bytes: u64,
}

impl EngineStats {
    /// Counts one applied batch.
    pub fn count(&mut self, batch: &[(Key, Option<Value>)]) {
        self.commits += 1;
        self.keys_written += batch.len() as u64;
        let bytes: usize = batch.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Value::len)).sum();
        self.bytes_written += bytes as u64;
    }
}

/// Bytes of one row, as an engine gives them.
pub type Row = (Vec<u8>, Vec<u8>);

/// An ordered store of bytes. It belongs to one `Store`.
pub trait Engine {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// The first `limit` pairs with start <= key < end (`None`: unbounded), ascending.
    fn scan(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, EngineError>;

    /// Applies all writes (`None` deletes), durably, all or nothing. The batch is sorted by key and names no key twice.
    fn apply(&mut self, batch: &[(Key, Option<Value>)]) -> Result<(), EngineError>;

    /// Does a piece of work that may wait for idle time. Returns whether anything is left to do.
    fn idle(&mut self) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// What it has done so far.
    fn stats(&self) -> EngineStats;
}
