//! `sturdy-coverage <binary>… -- <profile>…`: how often each line ran. Each binary is one that rustc instrumented
//! (`-C instrument-coverage`), each profile what a run of one of them wrote (`.profraw`). Prints `<count> <line> <file>` for
//! each line that holds code, sorted.
//!
//! What always holds: a line counts as run if any piece of code that begins on it ran, or the piece that goes on into it;
//! code that was compiled into no binary because nobody calls it counts as never run. Deliberately not here: which files
//! matter, and what is said about them (`xtask/src/coverage.rs`).

use llvm_profparser::coverage::coverage_mapping::read_object_file;
use llvm_profparser::coverage::{Counter, CounterMappingRegion, CounterType, ExprKind, FunctionRecordV3, RegionKind};
use llvm_profparser::instrumentation_profile::types::InstrumentationProfile;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Counts of lines, by file.
type Lines = BTreeMap<PathBuf, BTreeMap<usize, u64>>;

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coverage: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> Result<(), Box<dyn Error>> {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let middle = words.iter().position(|word| word.as_os_str() == "--").ok_or("wants binaries, --, profiles")?;
    let (binaries, profiles) = (&words[..middle], &words[middle + 1..]);
    let profile = llvm_profparser::merge_profiles(profiles)?;
    let version = profile.version().ok_or("no profile says its version; were the binaries run?")?;
    let mut lines = Lines::new();
    for binary in binaries {
        let info = read_object_file(binary, version).map_err(|error| format!("{}: {error}", binary.display()))?;
        for function in &info.cov_fun {
            let files = info.get_files_from_id(function.header.filenames_ref);
            add(function, &files, &profile, &mut lines);
        }
    }
    let mut out = std::io::stdout().lock();
    for (file, counts) in &lines {
        for (line, count) in counts {
            writeln!(out, "{count} {line} {}", file.display())?;
        }
    }
    Ok(())
}

fn add(function: &FunctionRecordV3, files: &[PathBuf], profile: &InstrumentationProfile, lines: &mut Lines) {
    let counters = match profile.find_record_by_hash(function.header.name_hash) {
        // Another hash: the counters are those of another body under the same name, or of none.
        Some(record) if record.hash == Some(function.header.fn_hash) => record.counts(),
        _ => &[],
    };
    let mut by_file: BTreeMap<usize, Vec<(&CounterMappingRegion, u64)>> = BTreeMap::new();
    for region in function.regions.iter().filter(|region| region.kind == RegionKind::Code) {
        let count = u64::try_from(value(region.count, function, counters)).unwrap_or(0);
        by_file.entry(region.file_id).or_default().push((region, count));
    }
    for (file, regions) in by_file {
        let Some(path) = files.get(file) else { continue };
        let counts = lines.entry(path.clone()).or_default();
        for (line, count) in of_lines(&regions) {
            let known = counts.entry(line).or_default();
            *known = count.max(*known);
        }
    }
}

/// The value of a counter; one that is not in the profile never ran.
fn value(counter: Counter, function: &FunctionRecordV3, counters: &[u64]) -> i128 {
    let at = usize::try_from(counter.id).unwrap_or(usize::MAX);
    match counter.kind {
        CounterType::Zero => 0,
        CounterType::ProfileInstrumentation => counters.get(at).copied().map_or(0, i128::from),
        CounterType::Expression(_) => function.expressions.get(at).map_or(0, |expression| {
            let (left, right) = (value(expression.lhs, function, counters), value(expression.rhs, function, counters));
            match expression.kind {
                ExprKind::Add => left + right,
                ExprKind::Subtract => left - right,
            }
        }),
    }
}

/// The count of each line of one function in one file: the highest of the regions that begin on it, and of the innermost
/// region that began before it and goes on into it.
fn of_lines(regions: &[(&CounterMappingRegion, u64)]) -> BTreeMap<usize, u64> {
    let mut counts = BTreeMap::new();
    for (region, _) in regions {
        for line in region.loc.line_start..=region.loc.line_end {
            counts.entry(line).or_insert_with(|| count(line, regions));
        }
    }
    counts
}

fn count(line: usize, regions: &[(&CounterMappingRegion, u64)]) -> u64 {
    let begin = regions.iter().filter(|(region, _)| region.loc.line_start == line).map(|(_, count)| *count).max();
    let goes_on = |region: &CounterMappingRegion| region.loc.line_start < line && line <= region.loc.line_end;
    let innermost = regions
        .iter()
        .filter(|(region, _)| goes_on(region))
        .max_by_key(|(region, _)| (region.loc.line_start, region.loc.column_start))
        .map(|(_, count)| *count);
    begin.max(innermost).unwrap_or(0)
}
