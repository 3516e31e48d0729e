//! `cargo xtask fuzz`: builds what libFuzzer drives and runs each target for a while. Always: nothing is installed
//! silently; the corpus that grows lies in the target folder, the committed one is only read; a target that finds something
//! does not keep the others from running.
//!
//! Deliberately not here: what is fuzzed (`crates/fuzz`), and how findings become tests (`docs/fuzz.md`).

use crate::check;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a target runs unless told otherwise.
const SECONDS: u64 = 30;

/// How often a line tells that it goes on.
const PULSE: Duration = Duration::from_secs(5);

/// An input on which the target takes longer than this is a finding.
const INPUT_SECONDS: u64 = 10;

/// More memory than this is a finding.
const MEMORY_MB: u64 = 2_048;

/// What one run found out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    runs: u64,
    per_second: u64,
    edges: u64,
    /// The inputs that the corpus has grown to.
    inputs: u64,
    /// Where the finding is, if there is one.
    finding: Option<String>,
}

/// Runs the named targets, or all.
pub fn fuzz(arguments: &[&str]) -> Result<(), String> {
    let (names, seconds) = understood(arguments)?;
    tools_are_there()?;
    let folder = folder();
    println!("xtask: building the targets (the first time takes minutes) …");
    let build = ["+nightly", "fuzz", "build", "--sanitizer", "none", "--target-dir"];
    let mut command = Command::new("cargo");
    command.args(build).arg(&folder).current_dir(check::root().join("fuzz")).stdin(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        return Err("the targets cannot be built; mend what is named above".into());
    }
    let binaries = folder.join(host()?).join("release");
    let mut tallies = Vec::new();
    for name in names {
        println!("xtask: {name} for {seconds} s …");
        let tally = run(&binaries, &folder, &name, seconds)?;
        tallies.push((name, tally));
    }
    println!("\n{}", table(&tallies));
    let found: Vec<&str> =
        tallies.iter().filter(|(_, tally)| tally.finding.is_some()).map(|(name, _)| &**name).collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(format!("found something: {}; docs/fuzz.md says how a finding becomes a test", found.join(", ")))
}

/// The targets and the option, for those who ask.
pub fn help() -> Result<String, String> {
    let known = targets()?.join(", ");
    Ok(format!(
        "\n\nWithout a name it runs all targets, each {SECONDS} s unless `--seconds 300` says otherwise:\n  {known}"
    ))
}

fn understood(arguments: &[&str]) -> Result<(Vec<String>, u64), String> {
    let known = targets()?;
    let (mut names, mut seconds) = (Vec::new(), SECONDS);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if *argument == "--seconds" {
            let number = rest.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
            seconds = number.ok_or("--seconds wants a whole number from 1")?;
        } else if known.iter().any(|name| name == argument) {
            names.push((*argument).to_owned());
        } else {
            return Err(format!("there is no target `{argument}`; there are: {}", known.join(", ")));
        }
    }
    Ok((if names.is_empty() { known } else { names }, seconds))
}

/// The names of the targets, by their binaries.
fn targets() -> Result<Vec<String>, String> {
    let folder = check::root().join("fuzz/targets");
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(told)? {
        let path = entry.map_err(told)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn tools_are_there() -> Result<(), String> {
    let answers = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !answers(&["+nightly", "--version"]) {
        return Err("fuzzing needs a nightly compiler: run `rustup toolchain install nightly`".into());
    }
    if !answers(&["+nightly", "fuzz", "--version"]) {
        return Err("fuzzing needs cargo-fuzz: run `cargo install cargo-fuzz`".into());
    }
    Ok(())
}

/// Where the targets are built and their corpora grow: inside the target folder.
fn folder() -> PathBuf {
    let root = check::root();
    root.join(std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)).join("fuzz")
}

fn host() -> Result<String, String> {
    let output = Command::new("rustc")
        .args(["+nightly", "-vV"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("rustc cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say what machine this is".into())
}

fn run(binaries: &Path, folder: &Path, name: &str, seconds: u64) -> Result<Tally, String> {
    let (grown, findings) = (folder.join("corpus").join(name), folder.join("findings").join(name));
    for made in [&grown, &findings] {
        std::fs::create_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))?;
    }
    let mut command = Command::new(binaries.join(name));
    command
        .arg(grown)
        .arg(check::root().join("fuzz/corpus").join(name))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg("-print_final_stats=1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let words = check::root().join("fuzz/words").join(format!("{name}.txt"));
    if words.exists() {
        command.arg(format!("-dict={}", words.display()));
    }
    let mut child = command.spawn().map_err(|error| format!("{name} cannot be started: {error}"))?;
    let output = child.stderr.take().expect("the output was asked for");
    let tally = follow(BufReader::new(output)).map_err(|error| format!("the output of {name} ended badly: {error}"))?;
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() && tally.finding.is_none() {
        return Err(format!("{name} ended with {status} and no finding"));
    }
    Ok(tally)
}

/// Reads what libFuzzer says, shows a part of it, and adds it up.
fn follow(output: impl BufRead) -> std::io::Result<Tally> {
    let mut tally = Tally::default();
    let mut told = Instant::now();
    let mut tail = Vec::new();
    for line in output.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        tally.learn(&line);
        if line.starts_with('#') && told.elapsed() >= PULSE {
            told = Instant::now();
            println!("  {} runs, {} edges, {} inputs", tally.runs, tally.edges, tally.inputs);
        } else if !line.starts_with('#') && !line.starts_with("INFO:") && !line.starts_with("stat::") {
            tail.push(line);
        }
    }
    if let Some(finding) = &tally.finding {
        for line in tail.iter().filter(|line| !line.is_empty()) {
            println!("  {line}");
        }
        println!("  the input is {finding}");
    }
    Ok(tally)
}

impl Tally {
    /// Lines like `#2048 pulse cov: 310 ft: 512 corp: 20/340b exec/s: 512 rss: 40Mb`, and the summary after the last.
    fn learn(&mut self, line: &str) {
        let number = |text: &str| text.parse::<u64>().ok();
        if let Some(rest) = line.strip_prefix('#') {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
            let first = words.first().and_then(|word| number(word.trim_end_matches(':')));
            self.runs = first.unwrap_or(self.runs);
            self.edges = after("cov:").and_then(|word| number(word)).unwrap_or(self.edges);
            let inputs = after("corp:").and_then(|word| word.split('/').next());
            self.inputs = inputs.and_then(number).unwrap_or(self.inputs);
        } else if let Some((name, value)) = line.strip_prefix("stat::").and_then(|rest| rest.split_once(':')) {
            match (name, number(value.trim())) {
                ("number_of_executed_units", Some(value)) => self.runs = value,
                ("average_exec_per_sec", Some(value)) => self.per_second = value,
                _ => {}
            }
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            self.finding = Some(file.trim().to_owned());
        }
    }
}

fn table(tallies: &[(String, Tally)]) -> String {
    let mut lines =
        vec![format!("{:<10} {:>12} {:>9} {:>8} {:>8}  finding", "target", "runs", "runs/s", "edges", "inputs")];
    for (name, tally) in tallies {
        let Tally { runs, per_second, edges, inputs, finding } = tally;
        let finding = finding.as_deref().unwrap_or("none");
        lines.push(format!("{name:<10} {runs:>12} {per_second:>9} {edges:>8} {inputs:>8}  {finding}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let said = "INFO: seed corpus: files: 3\n\
            #4\tINITED cov: 300 ft: 400 corp: 3/20b exec/s: 0 rss: 40Mb\n\
            #900\tNEW    cov: 310 ft: 512 corp: 20/340b lim: 4 exec/s: 512 rss: 40Mb L: 3/9 MS: 1 EraseBytes-\n\
            artifact_prefix='x/'; Test unit written to x/crash-1\n\
            stat::number_of_executed_units: 901\n\
            stat::average_exec_per_sec:     450\n";
        let tally = follow(said.as_bytes()).unwrap();
        let finding = Some("x/crash-1".to_owned());
        assert_eq!(tally, Tally { runs: 901, per_second: 450, edges: 310, inputs: 20, finding });
    }

    #[test]
    fn words_of_the_command_are_understood() {
        assert_eq!(understood(&["frames", "--seconds", "7"]), Ok((vec!["frames".to_owned()], 7)));
        assert_eq!(understood(&[]).map(|(names, seconds)| (names.len() > 5, seconds)), Ok((true, SECONDS)));
        assert!(understood(&["--seconds", "0"]).is_err());
        assert!(understood(&["nothing"]).unwrap_err().contains("frames"));
    }
}
