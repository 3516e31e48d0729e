//! `cargo xtask coverage`: which lines of the quiet crates run under the simulator alone: its seeds, and the pattern
//! corpus. Always: code for tests is not compiled, so it counts neither way; code that nobody calls counts as not run.
//! Prints a table, writes it into `docs/coverage.md`, and leaves the lines that did not run in the target folder.
//!
//! Deliberately not here: how LLVM's counters are read (`tools/coverage`), and why a line does not run
//! (`docs/coverage.md`).

use crate::check;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The crates that are reported.
const QUIET: &[&str] = &["types", "smallcaps", "store", "remote", "kernel", "node"];

/// Crates that are instrumented although they are not reported: what is generic in a quiet crate is compiled in them.
const OTHERS: &[&str] = &["sim", "vat"];

/// Seeds to run unless told otherwise.
const SEEDS: u64 = 1_000;

/// Set for the compiler's runs: this program stands before it then.
const WRAPPING: &str = "STURDY_COVERAGE";

const DOCUMENT: &str = "docs/coverage.md";

/// What `DOCUMENT` has before and after the table.
const BEGIN: &str = "<!-- written by cargo xtask coverage -->";
const END: &str = "<!-- until here -->";

/// How often each line of a file ran.
type Files = BTreeMap<String, BTreeMap<usize, u64>>;

/// Builds, runs, reports.
pub fn coverage(arguments: &[&str]) -> Result<(), String> {
    let seeds = match arguments {
        [] => SEEDS,
        ["--seeds", number] => number.parse().map_err(|_| "--seeds wants a whole number")?,
        _ => return Err("coverage knows `--seeds <number>` only".into()),
    };
    let folder = folder();
    let reader = reader(&folder)?;
    let binaries = instrumented()?;
    let profiles = folder.join("profiles");
    let told = |error: std::io::Error| format!("{}: {error}", profiles.display());
    if profiles.exists() {
        std::fs::remove_dir_all(&profiles).map_err(told)?;
    }
    std::fs::create_dir_all(&profiles).map_err(told)?;
    let mut failed = Vec::new();
    for (name, binary) in &binaries {
        let seeds = seeds.to_string();
        let arguments: &[&str] = if name == "patterns" { &[] } else { &["--seeds", &seeds] };
        println!("xtask: {name} {} …", arguments.join(" "));
        let mut command = Command::new(binary);
        command.args(arguments).env("LLVM_PROFILE_FILE", profiles.join(format!("{name}-%p.profraw")));
        command.current_dir(check::root().join("crates/sim")).stdin(Stdio::null());
        let status = command.status().map_err(|error| format!("{name} cannot be started: {error}"))?;
        if !status.success() {
            failed.push(name.as_str());
        }
    }
    let files = counted(&reader, binaries.values(), &profiles)?;
    report(&files, &folder, seeds, &failed)?;
    if failed.is_empty() { Ok(()) } else { Err(format!("the numbers are there, but {} failed", failed.join(", "))) }
}

/// True if this process is to stand for the compiler.
pub fn wraps() -> bool {
    std::env::var_os(WRAPPING).is_some()
}

/// Runs the compiler that the first argument names, with instruments for our crates. One unit of code for each crate:
/// a linker leaves out units that nobody needs, and with them the news that nothing in them ran.
pub fn as_compiler() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((compiler, rest)) = arguments.split_first() else { return ExitCode::from(2) };
    let name = rest.iter().skip_while(|word| *word != "--crate-name").nth(1).and_then(|name| name.to_str());
    let ours = |name: &str| {
        name == "patterns" || name.strip_prefix("sturdy_").is_some_and(|it| [QUIET, OTHERS].concat().contains(&it))
    };
    let mut command = Command::new(compiler);
    command.args(rest);
    if name.is_some_and(ours) {
        command.args(["-C", "instrument-coverage", "-C", "codegen-units=1", "-C", "opt-level=1"]);
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", compiler.display());
            ExitCode::FAILURE
        }
    }
}

fn target() -> PathBuf {
    check::root().join(std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from))
}

fn folder() -> PathBuf {
    target().join("coverage")
}

/// The program that reads profiles, built.
fn reader(folder: &Path) -> Result<PathBuf, String> {
    println!("xtask: building the reader of profiles …");
    let manifest = check::root().join("tools/coverage/Cargo.toml");
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(folder)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() {
        Ok(folder.join("release/sturdy-coverage"))
    } else {
        Err("tools/coverage cannot be built; does its manifest name the LLVM of `rustc --version --verbose`?".into())
    }
}

/// The simulator and its patterns, by name, built with instruments.
fn instrumented() -> Result<BTreeMap<String, PathBuf>, String> {
    println!("xtask: building the simulator with instruments …");
    let ourselves = std::env::current_exe().map_err(|error| format!("no path to this program: {error}"))?;
    let output = Command::new("cargo")
        .args(["test", "--no-run", "--message-format", "json-render-diagnostics"])
        .args(["--package", "sturdy-sim", "--test", "patterns"])
        .current_dir(check::root())
        .env("RUSTC_WORKSPACE_WRAPPER", ourselves)
        .env(WRAPPING, "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err("the simulator cannot be built; mend what is named above".into());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let binaries: BTreeMap<String, PathBuf> = messages
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        })
        .collect();
    if binaries.keys().eq(["patterns", "sturdy-sim"]) {
        Ok(binaries)
    } else {
        Err(format!("cargo built {:?} instead of the simulator and its patterns", binaries.keys()))
    }
}

/// How often each line of the quiet crates ran.
fn counted<'a>(reader: &Path, binaries: impl Iterator<Item = &'a PathBuf>, profiles: &Path) -> Result<Files, String> {
    let told = |error: std::io::Error| format!("{}: {error}", profiles.display());
    let mut command = Command::new(reader);
    command.args(binaries).arg("--").stdin(Stdio::null()).stderr(Stdio::inherit());
    for entry in std::fs::read_dir(profiles).map_err(told)? {
        command.arg(entry.map_err(told)?.path());
    }
    let output = command.output().map_err(|error| format!("{}: {error}", reader.display()))?;
    if !output.status.success() {
        return Err("the profiles cannot be read".into());
    }
    Ok(of_quiet_crates(&String::from_utf8_lossy(&output.stdout), &check::root()))
}

/// From lines `<count> <line> <file>`.
fn of_quiet_crates(text: &str, root: &Path) -> Files {
    let mut files = Files::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(count), Some(at), Some(path)) = (number(), number(), words.next()) else { continue };
        let path = Path::new(path);
        let path = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        let quiet = |name: &str| path.starts_with(&format!("crates/{name}/src/"));
        if QUIET.iter().any(|name| quiet(name)) {
            files.entry(path.into_owned()).or_default().insert(usize::try_from(at).unwrap_or(0), count);
        }
    }
    files
}

/// Lines that hold code, and those of them that ran.
#[derive(Default, Clone, Copy)]
struct Share {
    lines: usize,
    ran: usize,
}

impl Share {
    fn of(counts: &BTreeMap<usize, u64>) -> Self {
        Self { lines: counts.len(), ran: counts.values().filter(|count| **count > 0).count() }
    }

    fn plus(self, other: Self) -> Self {
        Self { lines: self.lines + other.lines, ran: self.ran + other.ran }
    }

    /// Rounded down, so that nothing looks better than it is.
    fn percent(self) -> String {
        let thousandths = (self.ran * 1_000).checked_div(self.lines).unwrap_or(1_000);
        format!("{}.{}", thousandths / 10, thousandths % 10)
    }

    fn row(self, name: &str) -> String {
        format!("| {name} | {} | {} | {} |", self.lines, self.ran, self.percent())
    }
}

fn report(files: &Files, folder: &Path, seeds: u64, failed: &[&str]) -> Result<(), String> {
    let path = folder.join("not-run.txt");
    std::fs::write(&path, not_run(files)).map_err(|error| format!("{}: {error}", path.display()))?;
    let described = check::commit()?;
    let failed = match failed {
        [] => String::new(),
        some => format!(" Runs that failed, and so ended early, were among those of {}.", some.join(" and ")),
    };
    let table = format!("Seeds 1 to {seeds} and the pattern corpus, at {described}.{failed}\n\n{}", tables(files));
    println!("\n{table}\nlines that did not run: {}", path.display());
    let document = check::root().join(DOCUMENT);
    let told = |error: std::io::Error| format!("{DOCUMENT}: {error}");
    let text = std::fs::read_to_string(&document).map_err(told)?;
    let text = replaced(&text, &table).ok_or(format!("{DOCUMENT} has no `{BEGIN}` with `{END}` after it"))?;
    std::fs::write(&document, text).map_err(told)
}

/// The document with another table.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

fn tables(files: &Files) -> String {
    let head = |name: &str| format!("| {name} | lines | ran | % |\n| --- | ---: | ---: | ---: |\n");
    let (mut text, mut all) = (head("crate"), Share::default());
    for name in QUIET {
        let inside = format!("crates/{name}/");
        let of_crate = files.iter().filter(|(file, _)| file.starts_with(&inside));
        let share = of_crate.fold(Share::default(), |sum, (_, counts)| sum.plus(Share::of(counts)));
        all = all.plus(share);
        let _ = writeln!(text, "{}", share.row(name));
    }
    let _ = writeln!(text, "{}\n", all.row("all"));
    text += &head("files below 100 %");
    for (file, counts) in files {
        let share = Share::of(counts);
        if share.ran < share.lines {
            let _ = writeln!(text, "{}", share.row(file.trim_start_matches("crates/")));
        }
    }
    text
}

/// Each file with the lines that did not run, as ranges.
fn not_run(files: &Files) -> String {
    let mut text = String::new();
    for (file, counts) in files {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for (line, count) in counts {
            match ranges.last_mut() {
                _ if *count > 0 => {}
                Some((_, last)) if *last + 1 == *line => *last = *line,
                _ => ranges.push((*line, *line)),
            }
        }
        for (first, last) in ranges {
            let _ = writeln!(text, "{file}:{first}-{last}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_tables_and_ranges() {
        let text = "3 1 /r/crates/kernel/src/a.rs\n0 2 /r/crates/kernel/src/a.rs\n0 3 /r/crates/kernel/src/a.rs\n\
            0 5 /r/crates/kernel/src/a.rs\n9 1 /r/crates/sim/src/b.rs\n1 7 /r/crates/node/src/c.rs\n";
        let files = of_quiet_crates(text, Path::new("/r"));
        assert_eq!(not_run(&files), "crates/kernel/src/a.rs:2-3\ncrates/kernel/src/a.rs:5-5\n");
        let tables = tables(&files);
        for row in ["| kernel | 4 | 1 | 25.0 |", "| node | 1 | 1 | 100.0 |", "| all | 5 | 2 | 40.0 |"] {
            assert!(tables.contains(row), "{tables}");
        }
        assert!(tables.contains("| kernel/src/a.rs | 4 | 1 | 25.0 |") && !tables.contains("c.rs"), "{tables}");
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = replaced(&text, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(replaced(&new, "new\n"), Some(new));
        assert_eq!(replaced("a", "new"), None);
    }
}
