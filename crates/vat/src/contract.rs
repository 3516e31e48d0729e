//! The traits between the daemon and the runtimes.

use sturdy_types::{Delivery, Outcome, SourceHash, StartSpec, VatId, VatLimits};

/// The store could not be read. It is our fault, never the vat's: the node stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the vat's state could not be read: {0}")]
pub struct StateUnreadable(pub String);

/// A vat's own durable state as of its last committed crank. A runtime lays the writes of the running delivery over it.
pub trait StateReader {
    /// The value under `key`.
    fn get(&self, key: &str) -> Result<Option<String>, StateUnreadable>;

    /// The smallest key that is greater than `after` (in UTF-8 byte order) and starts with `prefix`, with its value.
    /// `after` need not exist and need not start with `prefix`.
    fn next(&self, after: &str, prefix: &str) -> Result<Option<(String, String)>, StateUnreadable>;
}

/// The sources stored at launch, by content hash.
pub trait SourceReader {
    /// The text with this hash.
    fn source(&self, hash: &SourceHash) -> Result<Option<String>, StateUnreadable>;
}

/// How much a line of a vat's log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `console.debug`, `console.trace`.
    Debug,
    /// `console.log`, `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`, and errors that user code did not catch.
    Error,
}

/// Where a vat's log lines go. They are exempt from G2: an aborted crank's lines were still printed.
pub trait VatLog {
    /// One line or paragraph of text.
    fn log(&self, vat: VatId, level: LogLevel, text: &str);
}

/// A vat that has just been started, with the outcome of its start delivery. When the verdict is not `Done` there
/// is no vat.
pub struct StartedVat {
    /// The new heap.
    pub vat: Option<Box<dyn Vat>>,
    /// The outcome of the start delivery.
    pub outcome: Outcome,
}

/// A kind of vat: makes heaps.
pub trait Runtime {
    /// Begins a new heap and runs the start delivery: loads the code, calls `buildRootObject`. User mistakes (syntax
    /// errors, a root that is not a remotable, a name that is not endowed, …) come back as a failed verdict whose
    /// text names file, line and what to do.
    fn start(
        &mut self,
        vat: VatId,
        spec: &StartSpec,
        limits: &VatLimits,
        sources: &dyn SourceReader,
        state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable>;
}

/// One living heap.
pub trait Vat {
    /// Works on one delivery until nothing is left to do, and tells the outcome. After a failed verdict the heap is
    /// dropped by the caller. Never called with `Delivery::Start`.
    fn deliver(&mut self, delivery: &Delivery, state: &dyn StateReader) -> Result<Outcome, StateUnreadable>;
}
