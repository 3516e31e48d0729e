//! `sturdy store`: looks into a store while nothing runs in it, and puts one back from a copy.

use crate::args::{RestoreArgs, StoreAction, StoreArgs, StorePlace};
use crate::out::{self, End};
use crate::show::counted;
use sturdy_daemon::{Existing, LookError, StoreView, restore_store};
use sturdy_types::json_string;

/// Runs the command.
pub fn store(args: &StoreArgs) -> Result<(), End> {
    match &args.action {
        StoreAction::Check(place) => check(place),
        StoreAction::Dump(place) => dump(place),
        StoreAction::Stats(place) => stats(place),
        StoreAction::Restore(args) => restore(args),
    }
}

fn check(place: &StorePlace) -> Result<(), End> {
    let problems = match problems(place) {
        // Damage is a finding; a store that is not there, or in use, is not.
        Err(error)
            if place.json && !matches!(error, LookError::Nothing(_) | LookError::CutOff(_) | LookError::Place(_)) =>
        {
            vec![error.to_string()]
        }
        found => found.map_err(End::of)?,
    };
    let good = problems.is_empty();
    if place.json {
        let problems: Vec<String> = problems.iter().map(|problem| json_string(problem)).collect();
        out::told(&format!("{{\"sound\":{good},\"problems\":[{}]}}", problems.join(",")))?;
    } else if good {
        out::result(&format!("the store in {} is sound", place.home.display()))?;
    } else {
        for problem in &problems {
            out::told(problem)?;
        }
    }
    if good {
        return Ok(());
    }
    Err(End::Error(format!(
        "the store in {} has {}, listed above; restore it from a backup",
        place.home.display(),
        counted(problems.len(), "problem")
    )))
}

fn problems(place: &StorePlace) -> Result<Vec<String>, LookError> {
    StoreView::open_verified(&place.home)?.audit()
}

fn restore(args: &RestoreArgs) -> Result<(), End> {
    let existing = if args.force { Existing::MoveAside } else { Existing::Keep };
    let home = &args.place.home;
    let restored = restore_store(home, &args.copy, existing).map_err(End::of)?;
    if args.place.json {
        let moved =
            restored.moved_to.as_ref().map_or_else(|| "null".to_owned(), |to| json_string(&to.to_string_lossy()));
        return out::result(&format!("{{\"incarnation\":\"{}\",\"movedTo\":{moved}}}", restored.incarnation));
    }
    out::result(&format!("the store in {} was restored and begins another life", home.display()))?;
    match restored.moved_to {
        Some(to) => out::result(&format!("the store that was there is now {}", to.display())),
        None => Ok(()),
    }
}

fn dump(place: &StorePlace) -> Result<(), End> {
    let store = StoreView::open(&place.home).map_err(End::of)?;
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
    let store = StoreView::open(&place.home).map_err(End::of)?;
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
