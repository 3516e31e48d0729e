//! Rules for documents: links lead somewhere; a link with the name of a type or function leads to it; documents that say
//! which test shows what name tests that exist. Not here: whether the sentences are true.

use super::{Complaint, has_extension};
use std::collections::BTreeMap;

/// Documents that name tests: what they write like the name of one, link or not, is a function or field in the sources.
const NAME_TESTS: [&str; 4] = ["docs/ken.md", "docs/defects.md", "docs/coverage.md", "crates/remote/LINK.md"];

/// Checks the relative links of one document. `texts` are the files that the rules know; `exists` knows all.
pub fn check(
    file: &str,
    text: &str,
    texts: &BTreeMap<String, String>,
    exists: impl Fn(&str) -> bool,
) -> Vec<Complaint> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut complaints = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (label, target) in links(line) {
            if target.is_empty() || target.starts_with('#') || target.contains("://") {
                continue;
            }
            let path = resolve(folder, target.split('#').next().unwrap_or(target));
            if !exists(&path) {
                let what = format!("link: there is no `{path}`; mend the link");
                complaints.push(Complaint::new(file, index + 1, what));
            } else if let (Some(name), Some(code)) = (type_name(label), texts.get(&path))
                && !has_extension(&path, &["md"])
                && !(has_name(code, name) && defines(code, name))
            {
                let what = format!("link: `{name}` is not in `{path}`; say where it is now");
                complaints.push(Complaint::new(file, index + 1, what));
            }
        }
        for name in if NAME_TESTS.contains(&file) { long_names(line) } else { Vec::new() } {
            let code = |path: &str| has_extension(path, &["rs"]);
            if !texts.iter().any(|(path, text)| code(path) && has_name(text, name)) {
                let what = format!("name: there is no `{name}` in the sources; name the test that is there now");
                complaints.push(Complaint::new(file, index + 1, what));
            }
        }
    }
    complaints
}

/// What is written in backquotes and has several words in lower case, as names of tests do.
fn long_names(line: &str) -> Vec<&str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    quoted.filter(|name| name.chars().all(plain) && name.matches('_').count() > 1).collect()
}

/// Label and target of each `[label](target)` of a line.
fn links(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices("](").filter_map(move |(at, _)| {
        let label = &line[line[..at].rfind('[')? + 1..at];
        let rest = &line[at + 2..];
        Some((label, &rest[..rest.find(')')?]))
    })
}

/// A label in backquotes that is one name.
fn type_name(label: &str) -> Option<&str> {
    let name = label.strip_prefix('`')?.strip_suffix('`')?;
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
}

fn has_name(code: &str, name: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name)
        .any(|(at, _)| !code[..at].ends_with(in_name) && !code[at + name.len()..].starts_with(in_name))
}

/// True if the name is no function's, or code defines a function of this name.
fn defines(code: &str, name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_lowercase()) || has_name_after(code, "fn ", name)
}

fn has_name_after(code: &str, before: &str, name: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name)
        .any(|(at, _)| code[..at].ends_with(before) && !code[at + name.len()..].starts_with(in_name))
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
