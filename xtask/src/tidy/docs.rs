//! Rules for documents: links lead somewhere, and a link with the name of a type leads to that type. Not here: whether the
//! sentences are true.

use super::{Complaint, has_extension};
use std::collections::BTreeMap;

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
                && !has_name(code, name)
            {
                let what = format!("link: `{name}` is not in `{path}`; say where it is now");
                complaints.push(Complaint::new(file, index + 1, what));
            }
        }
    }
    complaints
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
