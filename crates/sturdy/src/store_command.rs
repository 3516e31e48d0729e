//! `sturdy store`: looks into a store while nothing runs in it.

use crate::args::{StoreAction, StoreArgs, StorePlace};
use crate::out::{self, End};
use std::path::PathBuf;
use sturdy_node::kernel::audit;
use sturdy_store::Store;
use sturdy_store_sqlite::SqliteEngine;
use sturdy_types::{Incarnation, json_string};

/// Runs the command.
pub fn store(args: &StoreArgs) -> Result<(), End> {
    match &args.action {
        StoreAction::Check(place) => check(place),
        StoreAction::Dump(place) => dump(place),
        StoreAction::Stats(place) => stats(place),
    }
}

/// The engine of a store that is there already: looking must not make one.
fn engine(place: &StorePlace) -> Result<SqliteEngine, End> {
    let dir: PathBuf = place.home.join("store");
    if !dir.is_dir() {
        return Err(End::Error(format!(
            "there is no store in {}; name the directory given to `sturdy run` with --home",
            place.home.display()
        )));
    }
    SqliteEngine::open(&dir).map_err(End::of)
}

fn open(engine: SqliteEngine) -> Result<Store, End> {
    // The incarnation is only for stores that are new.
    Store::open(Box::new(engine), Incarnation([0; 16])).map_err(End::of)
}

fn check(place: &StorePlace) -> Result<(), End> {
    let engine = engine(place)?;
    engine.verify().map_err(End::of)?;
    let store = open(engine)?;
    let report = audit(&store).map_err(End::of)?;
    let good = report.problems.is_empty();
    if place.json {
        let problems: Vec<String> = report.problems.iter().map(|problem| json_string(problem)).collect();
        out::result(&format!("{{\"sound\":{good},\"problems\":[{}]}}", problems.join(",")))?;
    } else if good {
        out::result(&format!("the store in {} is sound", place.home.display()))?;
    } else {
        for problem in &report.problems {
            out::result(problem)?;
        }
    }
    if good {
        return Ok(());
    }
    Err(End::Error(format!(
        "the store in {} has {} problems, listed above; restore it from a backup",
        place.home.display(),
        report.problems.len()
    )))
}

fn dump(place: &StorePlace) -> Result<(), End> {
    let store = open(engine(place)?)?;
    for row in store.dump() {
        let row = row.map_err(End::of)?;
        if place.json {
            let (table, key, record) = (json_string(row.table), json_string(&row.key), json_string(&row.record));
            let corrupt =
                row.corrupt.map_or_else(String::new, |why| format!(",\"corrupt\":{}", json_string(&why.to_string())));
            out::result(&format!("{{\"table\":{table},\"key\":{key},\"record\":{record}{corrupt}}}"))?;
        } else {
            let corrupt = row.corrupt.map_or_else(String::new, |why| format!("  CORRUPT: {why}"));
            out::result(&format!("{} {} = {}{corrupt}", row.table, row.key, row.record))?;
        }
    }
    Ok(())
}

fn stats(place: &StorePlace) -> Result<(), End> {
    let store = open(engine(place)?)?;
    let census = store.census().map_err(End::of)?;
    let incarnation = store.incarnation();
    if place.json {
        for (table, size) in &census {
            let (table, rows, bytes) = (json_string(table), size.rows, size.bytes);
            out::result(&format!("{{\"table\":{table},\"rows\":{rows},\"bytes\":{bytes}}}"))?;
        }
        return Ok(());
    }
    out::result(&format!("incarnation {incarnation}"))?;
    out::result(&format!("{:<20} {:>12} {:>14}", "table", "rows", "bytes"))?;
    let (mut rows, mut bytes) = (0, 0);
    for (table, size) in &census {
        rows += size.rows;
        bytes += size.bytes;
        out::result(&format!("{table:<20} {:>12} {:>14}", size.rows, size.bytes))?;
    }
    out::result(&format!("{:<20} {rows:>12} {bytes:>14}", "all"))
}
