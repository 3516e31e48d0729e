//! The rules on small samples, and on the workspace itself.

use super::{check_files, complaints, docs, rooms};
use crate::check::root;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

/// Line and first word of each complaint.
fn found(file: &str, text: &str) -> Vec<String> {
    found_in(&[(file, text)])
}

fn found_in(texts: &[(&str, &str)]) -> Vec<String> {
    let mut found = check_files(&texts.iter().map(|(file, text)| ((*file).into(), (*text).into())).collect());
    found.sort();
    found.iter().map(|one| format!("{} {}", one.line, one.what.split(':').next().unwrap_or_default())).collect()
}

fn lines(count: usize) -> String {
    "    let _ = 1;\n".repeat(count)
}

#[test]
fn the_workspace_is_tidy() {
    let found = complaints(&root()).unwrap();
    let text = found.iter().fold(String::new(), |mut text, one| {
        let _ = writeln!(text, "{one}");
        text
    });
    assert!(found.is_empty(), "rules of the house are broken:\n{text}");
}

#[test]
fn long_functions_and_files_are_found() {
    let function = |count| format!("//! x\nfn f() {{\n{}}}\n", lines(count));
    assert_eq!(found("crates/daemon/src/a.rs", &function(68)), [""; 0]);
    assert_eq!(found("crates/daemon/src/a.rs", &function(69)), ["2 size"]);
    let method = |count| format!("//! x\nimpl A {{\n/// doc\nfn f() {{\n{}}}\n}}\n", lines(count));
    assert_eq!(found("crates/daemon/src/a.rs", &method(69)), ["4 size"]);
    let file = |count| format!("//! x\n{}", "const A: u8 = 1;\n".repeat(count));
    assert_eq!(found("crates/daemon/src/a.rs", &file(499)), [""; 0]);
    assert_eq!(found("crates/daemon/src/a.rs", &file(500)), ["1 size"]);
    assert_eq!(found("crates/vat-js/js/a.js", &"// x\n".repeat(501)), ["501 size"]);
}

#[test]
fn tests_may_be_long_and_may_unwrap() {
    let body = format!("fn f() {{\n{}    x.unwrap();\n}}\n", lines(600));
    for (file, text) in [
        ("crates/kernel/tests/a.rs", format!("//! x\n{body}")),
        ("crates/kernel/src/tests.rs", format!("//! x\nuse std::fs;\n{body}")),
        (
            "crates/kernel/src/a.rs",
            format!("//! x\n#[cfg(test)]\nmod tests {{\nuse std::collections::HashMap;\n{body}}}\n"),
        ),
    ] {
        assert_eq!(found(file, &text), [""; 0], "{file}");
    }
}

#[test]
fn a_module_declared_for_tests_is_a_test_file() {
    let bench = "//! x\nuse std::fs;\nfn f() { x.unwrap(); }\n";
    for (parent, declaration, expected) in
        [("crates/kernel/src/lib.rs", "#[cfg(test)]\nmod bench;", 0), ("crates/kernel/src/lib.rs", "mod bench;", 2)]
    {
        let parent_text = format!("//! x\n{declaration}\n");
        let found = found_in(&[(parent, &parent_text), ("crates/kernel/src/bench.rs", bench)]);
        assert_eq!(found.len(), expected, "{found:?}");
    }
    let found = found_in(&[
        ("crates/kernel/src/a.rs", "//! x\n#[cfg(test)]\nmod bench;\n"),
        ("crates/kernel/src/a/bench.rs", bench),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn quiet_crates_cannot_name_the_world() {
    for (code, broken) in [
        ("use std::time::Duration;", true),
        ("use std::{collections::BTreeMap, fs};", true),
        ("use std::{time::{Duration}, fmt};", true),
        ("fn f() { let _ = ::std::env::var(\"x\"); }", true),
        ("fn f() { g!(std::process::exit(1)); }", true),
        ("use std::collections::HashMap;", true),
        ("type A = std::hash::RandomState;", true),
        ("async fn f() {}", true),
        ("use tokio::sync::mpsc;", true),
        ("// std::fs and HashMap\nconst A: &str = \"std::fs HashMap\";", false),
        ("use std::fmt::{self, time};", false),
        ("use crate::time::now;", false),
        ("struct Randomness { timer: u8 }", false),
    ] {
        let text = format!("//! x\n{code}\n");
        assert_eq!(!found("crates/kernel/src/a.rs", &text).is_empty(), broken, "{code}");
        assert_eq!(found("crates/daemon/src/a.rs", &text), [""; 0], "{code}");
    }
}

#[test]
fn unfinished_code_is_found() {
    let note = concat!("TO", "DO");
    for code in [
        "fn f() { todo!() }".to_string(),
        "fn f() { unimplemented!(\"later\") }".to_string(),
        "fn f() { dbg!(1); }".to_string(),
        "fn f() { a.unwrap(); }".to_string(),
        "fn f() { unsafe { g() } }".to_string(),
        "#[test]\n#[ignore]\nfn f() {}".to_string(),
        "#[test]\n#[ignore = \"slow\"]\nfn f() {}".to_string(),
        format!("// {note}: more"),
    ] {
        assert_eq!(found("crates/daemon/src/a.rs", &format!("//! x\n{code}\n")).len(), 1, "{code}");
    }
    for code in ["fn f() { a.unwrap_or(1); }", "fn unwrap() {}", "fn ignore(ignore: u8) { g(ignore) }", "// XXXL"] {
        assert_eq!(found("crates/daemon/src/a.rs", &format!("//! x\n{code}\n")), [""; 0], "{code}");
    }
}

#[test]
fn headers_and_machine_paths_are_checked() {
    assert_eq!(found("crates/daemon/src/a.rs", "fn f() {}\n"), ["1 header"]);
    assert_eq!(found("examples/a/a.js", "const a = 1;\n"), ["1 header"]);
    assert_eq!(found("examples/a/a.js", "// A vat.\nconst a = 1;\n"), [""; 0]);
    let path = concat!("/ho", "me/me/x");
    assert_eq!(found("README.md", &format!("see `{path}`\n")), ["1 path"]);
    assert_eq!(found("README.md", &format!("see `src{path}`\n")), [""; 0]);
}

#[test]
fn links_lead_to_what_they_name() {
    let texts = [("a/src/b.rs".to_string(), "pub struct Turn;".to_string())].into();
    for (line, count) in [
        ("see [`Turn`](../a/src/b.rs)", 0),
        ("see [the turn](../a/src/b.rs#L1) and [x](https://example.org/(x)", 0),
        ("see [`Tur`](../a/src/b.rs) and [`Turns`](../a/src/b.rs)", 2),
        ("see [`Turn`](../a/src/c.rs)", 1),
    ] {
        let found = docs::check("docs/x.md", line, &texts, |path| path == "a/src/b.rs");
        assert_eq!(found.len(), count, "{line}: {found:?}");
    }
}

#[test]
fn documents_name_tests_that_exist() {
    let code = "// no_such_test\n#[test]\nfn a_thing_that_works() {}\nfn thing() {}";
    let texts = [("a/tests/b.rs".to_string(), code.to_string())].into();
    for (line, count) in [
        ("`a_thing_that_works`, `Turn`, `two_words`", 0),
        ("`a_thing_that_fails`", 1),
        ("[`a_thing_that_works`](../a/tests/b.rs), [`thing`](../a/tests/b.rs)", 0),
        ("[`no_such_test`](../a/tests/b.rs)", 1),
    ] {
        let found = docs::check("docs/ken.md", line, &texts, |path| path == "a/tests/b.rs");
        assert_eq!(found.len(), count, "{line}: {found:?}");
        let elsewhere = docs::check("docs/x.md", line, &texts, |path| path == "a/tests/b.rs");
        assert!(elsewhere.len() <= found.len(), "{line}: {elsewhere:?}");
    }
}

#[test]
fn only_permitted_directions_pass() {
    let package = |name: &str, dependency: &str, kind: Option<&str>, path: Option<&str>| {
        let manifest = root().join("xtask/Cargo.toml");
        let dependency = json!({"name": dependency, "kind": kind, "path": path});
        let package = json!({"name": name, "manifest_path": manifest, "dependencies": [dependency]});
        rooms::check_package(&package, Path::new("")).iter().map(|one| one.what.clone()).collect::<Vec<_>>()
    };
    assert!(package("sturdy-kernel", "sturdy-store", None, Some("x")).is_empty());
    assert!(package("sturdy-kernel", "sturdy-vat", Some("dev"), Some("x")).is_empty());
    assert!(package("sturdy-daemon", "tokio", None, None).is_empty());
    for (name, dependency, kind, rule) in [
        ("sturdy-kernel", "sturdy-vat", None, "direction"),
        ("sturdy-types", "sturdy-store", None, "direction"),
        ("sturdy-vat", "sturdy-kernel", Some("build"), "direction"),
        ("sturdy-kernel", "rand", None, "quiet"),
        ("sturdy-attic", "serde", None, "direction"),
    ] {
        let found = package(name, dependency, kind, None);
        assert!(found.len() == 1 && found[0].starts_with(rule), "{name} {dependency}: {found:?}");
    }
}
