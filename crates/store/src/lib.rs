//! The store: typed tables over an ordered key-value engine, with turns and group commit.
//!
//! What always holds: keys keep the order of what they mean, every key and record has one spelling, and only a commit
//! changes the engine. Nothing here counts references, decides anything or touches a disk: that is the kernel's, and
//! the engines' in crates of their own. The engine in memory is here.
//!
//! From below: `bytes`, `key`, `record` (how things are written), `table` and `tables` (what is written), `engine`
//! and `memory` over `leaves` (where), `overlay`, `writes` and `scan` (what is not yet durable), `seal` (whether
//! all of it is there), `store` and `turn`, `migrate`, `dump`.

mod bytes;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod dump;
mod engine;
mod key;
mod leaves;
mod memory;
mod migrate;
mod overlay;
mod record;
mod scan;
mod seal;
mod store;
mod table;
mod tables;
#[cfg(test)]
mod testing;
mod turn;
mod vacancies;
mod writes;

pub use bytes::{Key, SmallBytes, Value};
pub use dump::{Dump, TableSize};
pub use engine::{Engine, EngineError, EngineStats, Row};
pub use key::{KeyPart, KeyReader, KeyWriter};
pub use memory::{MemoryDisk, MemoryEngine};
pub use migrate::CURRENT_SCHEMA;
pub use record::{Corrupt, RecordReader, RecordWriter, Stored};
pub use seal::OPEN_CHECK_ROWS;
pub use store::{Commit, OpenError, Read, Store, StoreFault};
pub use table::{Described, Rows, Table};
pub use tables::*;
pub use turn::Turn;
