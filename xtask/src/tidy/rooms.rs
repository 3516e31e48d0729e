//! Which crate may know which: the house's table as data, compared with what cargo says. Not here: what quiet crates may
//! not mention (`rust`).

use super::Complaint;
use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Stdio};

/// One crate and what it may depend on. Tests (dev-dependencies) may see everything.
struct Room {
    name: &'static str,
    /// Crates of this workspace.
    may_know: &'static [&'static str],
    /// For quiet crates: the only crates from outside. Others are free.
    quiet: Option<&'static [&'static str]>,
}

const fn quiet(name: &'static str, may_know: &'static [&'static str], outside: &'static [&'static str]) -> Room {
    Room { name, may_know, quiet: Some(outside) }
}

const fn street(name: &'static str, may_know: &'static [&'static str]) -> Room {
    Room { name, may_know, quiet: None }
}

/// Lower rooms first. A crate that is not here is a complaint.
const ROOMS: &[Room] = &[
    quiet("sturdy-types", &[], &["thiserror"]),
    quiet("sturdy-smallcaps", &["sturdy-types"], &["thiserror"]),
    // The hash tables have a fixed hash and are only looked into; proptest is for the `conformance` feature.
    quiet("sturdy-store", &["sturdy-types"], &["foldhash", "hashbrown", "proptest", "thiserror", "xxhash-rust"]),
    quiet("sturdy-remote", &["sturdy-types"], &["serde_json", "thiserror"]),
    quiet("sturdy-kernel", &["sturdy-types", "sturdy-store", "sturdy-smallcaps", "sturdy-remote"], &["thiserror"]),
    quiet("sturdy-node", &["sturdy-types", "sturdy-store", "sturdy-remote", "sturdy-kernel"], &["thiserror"]),
    street("sturdy-store-sqlite", &["sturdy-types", "sturdy-store"]),
    street("sturdy-identity", &["sturdy-types"]),
    street("sturdy-torn-disk", &[]),
    street("sturdy-vat", &["sturdy-types", "sturdy-smallcaps"]),
    street("sturdy-transport", &["sturdy-types"]),
    street("sturdy-vat-js", &["sturdy-types", "sturdy-smallcaps", "sturdy-vat"]),
    street(
        "sturdy-sim",
        &[
            "sturdy-types",
            "sturdy-smallcaps",
            "sturdy-store",
            "sturdy-remote",
            "sturdy-kernel",
            "sturdy-node",
            "sturdy-vat",
        ],
    ),
    street(
        "sturdy-daemon",
        &[
            "sturdy-types",
            "sturdy-smallcaps",
            "sturdy-store",
            "sturdy-store-sqlite",
            "sturdy-kernel",
            "sturdy-node",
            "sturdy-vat",
            "sturdy-vat-js",
            "sturdy-identity",
            "sturdy-transport",
        ],
    ),
    street("sturdy", &["sturdy-types", "sturdy-smallcaps", "sturdy-identity", "sturdy-transport", "sturdy-daemon"]),
    street(
        "sturdy-bench",
        &[
            "sturdy-types",
            "sturdy-smallcaps",
            "sturdy-store",
            "sturdy-store-sqlite",
            "sturdy-kernel",
            "sturdy-node",
            "sturdy-vat",
            "sturdy-vat-js",
            "sturdy-transport",
            "sturdy-daemon",
        ],
    ),
    street(
        "sturdy-fuzz",
        &[
            "sturdy-types",
            "sturdy-smallcaps",
            "sturdy-store",
            "sturdy-remote",
            "sturdy-kernel",
            "sturdy-node",
            "sturdy-identity",
            "sturdy-daemon",
        ],
    ),
    street("xtask", &[]),
];

/// Crates that have the workspace's lints in a table of their own, because one file of theirs may be unsafe.
const OWN_LINTS: &[&str] = &["sturdy-torn-disk", "sturdy-vat-js"];

/// True for the source (not the tests) of a quiet crate.
pub fn is_quiet_source(file: &str) -> bool {
    let folder = |room: &Room| format!("crates/{}/src/", room.name.trim_start_matches("sturdy-"));
    ROOMS.iter().any(|room| room.quiet.is_some() && file.starts_with(&folder(room)))
}

pub fn check(root: &Path) -> Result<Vec<Complaint>, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cargo metadata cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Json = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(list(&metadata["packages"]).iter().flat_map(|package| check_package(package, root)).collect())
}

pub(super) fn check_package(package: &Json, workspace: &Path) -> Vec<Complaint> {
    let name = text(&package["name"]);
    let manifest = Path::new(text(&package["manifest_path"]));
    let file = manifest.strip_prefix(workspace).unwrap_or(manifest).to_string_lossy().into_owned();
    let mut complaints = Vec::new();
    let mut complain = |what: String| complaints.push(Complaint::new(&file, 1, what));
    let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
        complain(format!("direction: `{name}` is in no room; add it to ROOMS in xtask/src/tidy/rooms.rs"));
        return complaints;
    };
    for dependency in list(&package["dependencies"]) {
        let wanted = text(&dependency["name"]);
        let inside = ROOMS.iter().any(|room| room.name == wanted) || dependency["path"].is_string();
        if dependency["kind"] == "dev" {
            continue;
        }
        if inside && !room.may_know.contains(&wanted) {
            complain(format!(
                "direction: `{name}` may not depend on `{wanted}`; move the code to where both are known, or argue \
                 for another direction in ARCHITECTURE.md and in ROOMS (xtask/src/tidy/rooms.rs)"
            ));
        }
        if !inside && room.quiet.is_some_and(|outside| !outside.contains(&wanted)) {
            complain(format!(
                "quiet: `{name}` may not depend on `{wanted}`; do without, or if it knows no time, chance, threads, \
                 files, sockets, async or unordered iteration, add it to ROOMS (xtask/src/tidy/rooms.rs)"
            ));
        }
    }
    let manifest_text = std::fs::read_to_string(manifest).unwrap_or_default();
    let lints = if OWN_LINTS.contains(&name) { "unsafe_code = \"deny\"" } else { "[lints]\nworkspace = true" };
    if !manifest_text.contains(lints) {
        complain("lints: add `[lints]` with `workspace = true`".into());
    }
    complaints
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}
