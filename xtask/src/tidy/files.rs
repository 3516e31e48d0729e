//! Rules for any text file: no notes to self, no paths of one machine, headers, and the size of JavaScript files. Not
//! here: what needs Rust's grammar (`rust`).

use super::{Complaint, has_extension};
use std::path::Path;

/// Lines of a file, tests apart.
pub const FILE_LINES: usize = 500;

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 4] = [".git", "node_modules", ".sturdy", ".idea"];

/// Kinds of file that the rules are for.
const TEXTS: &[&str] = &["rs", "js", "mjs", "ts", "md", "toml", "json", "sh", "yml", "yaml"];

/// All files under `root` that the rules are for, relative to it, sorted.
pub fn list(root: &Path) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
            let kind = entry.file_type().map_err(|error| format!("{}: {error}", entry.path().display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let relative = entry.path().strip_prefix(root).unwrap_or(&entry.path()).to_string_lossy().into_owned();
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) && !name.starts_with("target") {
                folders.push(entry.path());
            } else if kind.is_file() && (has_extension(&name, TEXTS) || relative.starts_with(".ci/")) {
                found.push(relative);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The rules that need no grammar.
pub fn check(file: &str, text: &str) -> Vec<Complaint> {
    // Data made by tools: lock files, and what the oracle wrote.
    if has_extension(file, &["json"]) && !file.starts_with("examples/") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut complain = |what: String| complaints.push(Complaint::new(file, index + 1, what));
        if let Some(word) = notes().iter().find(|note| has_word(line, note)) {
            complain(format!("note: `{word}` is a promise to nobody; do it now, or open an issue"));
        }
        if let Some(path) = machine_paths().iter().find(|path| has_path(line, path)) {
            complain(format!("path: `{path}…` exists on one machine only; use a relative path"));
        }
    }
    if !begins_with_header(file, text) {
        complaints.push(Complaint::new(
            file,
            1,
            "header: begin the file with what it is, what always holds and what is deliberately elsewhere (Rust: `//!`, \
             JavaScript: `/** … */` or `//`)",
        ));
    }
    let lines = text.lines().count();
    if file.starts_with("crates/vat-js/js/") && lines > FILE_LINES {
        complaints.push(Complaint::new(
            file,
            FILE_LINES + 1,
            format!("size: {lines} lines, the limit is {FILE_LINES}; take a part with a meaning of its own out"),
        ));
    }
    complaints
}

/// Rust everywhere; JavaScript where it is ours to read rather than a test's fixture.
fn begins_with_header(file: &str, text: &str) -> bool {
    let script = file.starts_with("crates/vat-js/js/") || file.starts_with("examples/") || file.starts_with("tools/");
    if has_extension(file, &["rs"]) {
        text.starts_with("//!")
    } else if script && has_extension(file, &["js", "mjs", "ts"]) {
        text.starts_with("//") || text.starts_with("/*") || text.starts_with("#!")
    } else {
        true
    }
}

/// Put together here, so that this file does not break its own rule.
fn notes() -> [&'static str; 4] {
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")]
}

fn machine_paths() -> [&'static str; 4] {
    [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")]
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part_of_word) && !line[at + word.len()..].starts_with(part_of_word))
}

/// At the beginning of a path, not inside one.
fn has_path(line: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '}' | '/');
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(inside))
}
