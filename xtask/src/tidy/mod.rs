//! The rules of the house, checked by machine. Always: a complaint names file, line and rule, and says what to do; the
//! same rules run as a test. Not here: formatting (rustfmt) and lints (clippy).

mod docs;
mod files;
mod rooms;
mod rust;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Relative to the workspace's root.
    pub file: String,
    /// The first line is 1.
    pub line: usize,
    /// Which rule, how it is broken, and what to do.
    pub what: String,
}

impl Complaint {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// All broken rules of the workspace at `root`, in order of files and lines.
pub fn complaints(root: &Path) -> Result<Vec<Complaint>, String> {
    let mut complaints = rooms::check(root)?;
    let mut texts = BTreeMap::new();
    for file in files::list(root)? {
        let text = std::fs::read(root.join(&file)).map_err(|error| format!("{file}: {error}"))?;
        // What is not text (an image in a document) has no rules.
        if let Ok(text) = String::from_utf8(text) {
            texts.insert(file, text);
        }
    }
    complaints.extend(check_files(&texts));
    for (file, text) in texts.iter().filter(|(file, _)| has_extension(file, &["md"])) {
        complaints.extend(docs::check(file, text, &texts, |path| root.join(path).exists()));
    }
    complaints.sort();
    Ok(complaints)
}

/// The rules for files, each by its place.
fn check_files(texts: &BTreeMap<String, String>) -> Vec<Complaint> {
    let is_rust = |file: &str| has_extension(file, &["rs"]);
    let rust = texts.iter().filter(|(file, _)| is_rust(file));
    let test_modules: Vec<String> = rust.flat_map(|(file, text)| rust::test_modules(file, text)).collect();
    let mut complaints = Vec::new();
    for (file, text) in texts {
        complaints.extend(files::check(file, text));
        if is_rust(file) {
            let in_tests = rust::is_test_file(file) || test_modules.iter().any(|module| file.starts_with(module));
            let place = match (in_tests, rooms::is_quiet_source(file)) {
                (true, _) => rust::Place::Tests,
                (false, true) => rust::Place::Quiet,
                (false, false) => rust::Place::Street,
            };
            complaints.extend(rust::check(file, text, place));
        }
    }
    complaints
}

fn has_extension(file: &str, extensions: &[&str]) -> bool {
    Path::new(file).extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
}
