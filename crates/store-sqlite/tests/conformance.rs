//! `SQLite` passes the suite of all engines.

use std::path::Path;
use sturdy_store::Engine;
use sturdy_store::conformance::{Home, check_all};
use sturdy_store_sqlite::SqliteEngine;
use tempfile::TempDir;

struct Dir(TempDir);

impl Home for Dir {
    fn open(&self) -> Box<dyn Engine> {
        let dir: &Path = self.0.path();
        Box::new(SqliteEngine::open(&dir.join("store")).expect("the directory opens"))
    }
}

#[test]
fn sqlite_conforms() {
    check_all(&|| Dir(tempfile::tempdir().expect("a directory")));
}
