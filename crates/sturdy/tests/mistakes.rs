//! What people get wrong, and what machines do to them: each gets a clear message and a non-zero exit or a rejection,
//! and the store stays sound.

mod common;

use common::{Place, text};
use std::fs;

/// A vat that answers `text()` with this, after whatever stands before.
const WORKING: &str = "import { makeDefaultExo } from '@metamask/kernel-utils/exo';
export function buildRootObject() {
  return makeDefaultExo('Root', {
    bootstrap() {},
    hello() { return 'hello'; },
    loop() { for (;;); },
    eat() { const all = []; for (;;) all.push(new Uint8Array(1 << 20)); },
    fail() { throw TypeError('not like this'); },
  });
}
";

#[test]
fn files_that_cannot_be_used_are_told_with_their_place() {
    let place = Place::new();
    for (file, content, told) in [
        ("none.json", None, "none.json cannot be read: there is no such file"),
        ("none.js", None, "none.js"),
        ("notes.txt", Some("hello"), "neither a cluster file (.json) nor a vat file"),
        ("bad.json", Some("{\n  \"bootstrap\": \"a\",\n  \"vats\": {,}\n}"), "bad.json:3:12: this is not JSON"),
        ("twice.json", Some("{\"vats\": {}, \"vats\": {}}"), "the property \"vats\" stands there twice"),
        ("list.json", Some("[]"), "the file is a list; it is to be an object"),
        ("empty.json", Some("{\"bootstrap\": \"a\", \"vats\": {}}"), "\"vats\" is empty"),
        (
            "field.json",
            Some("{\"bootstrap\": \"a\", \"vat\": {}}"),
            "unknown field \"vat\"; known are: bootstrap, vats",
        ),
        ("nobody.json", Some("{\"bootstrap\": \"b\", \"vats\": {\"a\": {}}}"), "names the vat 'b', but \"vats\" has a"),
        ("code.json", Some("{\"bootstrap\": \"a\", \"vats\": {\"a\": {}}}"), "one of \"sourceSpec\""),
        (
            "far.json",
            Some("{\"bootstrap\": \"a\", \"vats\": {\"a\": {\"bundleSpec\": \"https://x.example/a\"}}}"),
            "code is not fetched",
        ),
        ("gone.json", Some("{\"bootstrap\": \"a\", \"vats\": {\"a\": {\"sourceSpec\": \"gone.js\"}}}"), "vat 'a' in"),
        ("syntax.js", Some("export const a = 1;\nexport const b = ;\n"), "syntax.js:2"),
    ] {
        if let Some(content) = content {
            place.write(file, content);
        }
        let run = place.run(file, &["--call", "root.hello()"]);
        assert!(!run.status.success(), "{file}");
        assert!(text(&run.stderr).contains(told), "{file}: {}", text(&run.stderr));
        assert!(text(&run.stderr).starts_with("Error: "), "{file}: {}", text(&run.stderr));
        assert!(!place.home().exists(), "{file}: no store is made for a mistake");
    }
}

#[test]
fn vats_that_do_not_start_are_told_and_leave_nothing() {
    let place = Place::new();
    for (file, content, told) in [
        ("plain.js", "export function buildRootObject() { return 7; }", "remotable"),
        ("noroot.js", "export const x = 1;", "buildRootObject"),
        ("throws.js", "export function buildRootObject() {\n  throw Error('not today');\n}", "not today"),
        ("import.js", "import { x } from 'left-pad';\nexport function buildRootObject() {}", "left-pad"),
    ] {
        place.write(file, content);
        let run = place.run(file, &["--call", "root.hello()"]);
        assert!(!run.status.success(), "{file}");
        assert!(text(&run.stderr).contains(told), "{file}: {}", text(&run.stderr));
        assert!(text(&run.stderr).contains(file), "{file}: {}", text(&run.stderr));
    }
    place.write("globals.js", WORKING);
    place.write(
        "globals.json",
        "{\"bootstrap\": \"a\", \"vats\": {\"a\": {\"sourceSpec\": \"globals.js\", \"globals\": [\"teapot\"]}}}",
    );
    let run = place.run("globals.json", &["--call", "root.hello()"]);
    assert!(!run.status.success() && text(&run.stderr).contains("unknown global \"teapot\""), "{run:?}");
    let stats = place.store(&["stats", "--json"]);
    assert!(!text(&stats.stdout).contains("\"vats\""), "{}", text(&stats.stdout));
    place.is_sound();
}

#[test]
fn a_failing_call_is_told_and_the_others_go_on() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    let run = place.pipe("vat.js", &[], "root.fail()\nroot.hello(\nroot.nothing()\n  # nothing\n\nroot.hello()\n");
    assert_eq!(text(&run.stdout), "\"hello\"\n");
    assert_eq!(run.status.code(), Some(1));
    let told = text(&run.stderr);
    assert!(told.contains("Error: TypeError: not like this"), "{told}");
    assert!(told.contains("Error: column 12: expected"), "{told}");
    let json = place.run("vat.js", &["--json", "--call", "root.fail()", "--call", "root.hello()"]);
    let lines: Vec<serde_json::Value> =
        text(&json.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["error"]["@error"], "not like this");
    assert_eq!((lines[0]["ok"].as_bool(), lines[1]["value"].as_str()), (Some(false), Some("hello")));
    assert_eq!(json.status.code(), Some(1));
    let command = place.run("vat.js", &["--call", ":peers"]);
    assert!(text(&command.stderr).contains("commands are for the prompt or a pipe"), "{}", text(&command.stderr));
    assert_eq!(command.status.code(), Some(1));
    // A variable of a shell that is not set would make all calls the same one.
    let nameless = place.run("vat.js", &["--call", "root.hello()", "--request-id", ""]);
    assert_eq!(nameless.status.code(), Some(2), "{nameless:?}");
    assert!(text(&nameless.stderr).contains("--request-id"), "{nameless:?}");
    let elsewhere = place.pipe("vat.js", &[], ":reset\n:identity show\n:relay\n");
    let told = text(&elsewhere.stderr);
    for hint in ["`sturdy reset` does that", "`sturdy identity` does that", "`sturdy relay` does that"] {
        assert!(told.contains(hint), "{told}");
    }
}

#[test]
fn what_is_typed_without_a_colon_or_without_end_is_told_briefly() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    let run = place.pipe("vat.js", &[], "quit\nexit\nhelp\npeers\nroot.hello(url)\nnobody\n");
    let told = text(&run.stderr);
    for command in [":quit", ":help", ":peers", ":url"] {
        assert!(told.contains(&format!("; the command is `{command}`")), "{command}: {told}");
    }
    assert!(told.contains("nothing is named `nobody`; known are: root, vat"), "{told}");
    let long = "a".repeat(1_000_000);
    let lines = format!("{long}\nroot.hello({long})\n${long}\n:{long}\n:restart {long}\n:peers close {long}\n");
    for form in [&[][..], &["--json"]] {
        let run = place.pipe("vat.js", form, &lines);
        let mut told = text(&run.stderr);
        for line in text(&run.stdout).lines() {
            told += serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].as_str().unwrap();
        }
        assert!(told.contains("nothing is named `aaaa") && told.contains("a`; known are"), "{told}");
        assert!(told.len() < 4_000, "{} bytes", told.len());
    }
}

#[test]
fn a_service_that_there_is_not_is_told_with_those_that_there_are() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    let cluster =
        r#"{"bootstrap": "a", "services": ["ocapUrlIssuerService"], "vats": {"a": {"sourceSpec": "vat.js"}}}"#;
    place.write("typo.json", cluster);
    let run = place.run("typo.json", &["--call", "root.hello()"]);
    let told = text(&run.stderr);
    let known = "'ocapUrlIssuerService'; known are: ocapURLIssuerService, ocapURLRedemptionService";
    assert!(!run.status.success() && told.contains(known), "{told}");
}

#[test]
fn a_request_id_that_another_call_has_is_told() {
    let place = Place::new();
    place.write(
        "vat.js",
        "import { makeDefaultExo } from '@metamask/kernel-utils/exo';
export function buildRootObject(_powers, _parameters, baggage) {
  if (!baggage.has('n')) baggage.init('n', 0);
  return makeDefaultExo('Root', {
    bootstrap() {},
    add(by) { baggage.set('n', baggage.get('n') + by); return baggage.get('n'); },
  });
}
",
    );
    place.write(
        "two.json",
        r#"{"bootstrap": "a", "vats": {"a": {"sourceSpec": "vat.js"}, "b": {"sourceSpec": "vat.js"}}}"#,
    );
    let add = |call: &str, id: &str| place.run("two.json", &["--call", call, "--request-id", id]);
    let first = add("a.add(5)", "k1");
    assert_eq!((text(&first.stdout).as_str(), text(&first.stderr).contains("before")), ("5\n", false));
    // The same once more, or told something else: either way no call is made, and that is said.
    for call in ["a.add(5)", "a.add(7)"] {
        let again = add(call, "k1");
        assert_eq!((text(&again.stdout).as_str(), again.status.code()), ("5\n", Some(0)), "{call}");
        assert!(text(&again.stderr).contains("`k1` stands for a call that was made before"), "{call}: {again:?}");
    }
    let other = add("b.add(5)", "k1");
    assert_eq!((text(&other.stdout).as_str(), other.status.code()), ("", Some(1)));
    assert!(text(&other.stderr).contains("give it another id"), "{other:?}");
    assert_eq!(
        (text(&add("a.add(0)", "k2").stdout), text(&add("b.add(0)", "k3").stdout)),
        ("5\n".into(), "0\n".into())
    );
}

#[test]
fn a_relay_that_is_not_there_is_told_where_somebody_looks() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    let relay = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";
    let run = place.pipe("vat.js", &["--relay", relay], ":peers\n:url issue vat\n");
    let told = text(&run.stdout);
    assert!(told.contains(&format!("the relay {relay} has n")), "no place, or no answer yet: {told}");
    assert!(text(&run.stderr).contains("nobody reaches this kernel at present"), "{}", text(&run.stderr));
}

#[test]
fn a_vat_without_end_is_ended_and_the_store_stays_sound() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    for (call, code) in [("root.loop()", "COMPUTE_LIMIT"), ("root.eat()", "MEMORY_LIMIT")] {
        let home = Place::new();
        home.write("vat.js", WORKING);
        let run = home.pipe("vat.js", &[], &format!("root.hello()\n{call}\nroot.hello()\n"));
        assert_eq!(text(&run.stdout), "\"hello\"\n", "{call}: {}", text(&run.stderr));
        let told = text(&run.stderr);
        assert!(told.contains(&format!("[KERNEL:VAT_FATAL:{code}]")), "{call}: {told}");
        assert!(told.contains("was terminated"), "{call}: {told}");
        assert_eq!(run.status.code(), Some(1));
        home.is_sound();
    }
}

#[test]
fn a_message_over_the_limit_is_rejected() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    let line = format!("root.hello('{}')\nroot.hello()\n", "x".repeat(11_000_000));
    let run = place.pipe("vat.js", &[], &line);
    assert!(text(&run.stderr).contains("the limit is"), "{}", text(&run.stderr));
    assert_eq!(text(&run.stdout), "\"hello\"\n");
    place.is_sound();
}

#[test]
fn a_store_in_use_is_refused() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    let running = place.start("vat.js");
    for refused in [place.run("vat.js", &["--call", "root.hello()"]), place.store(&["check"])] {
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("is in use by another process"), "{}", text(&refused.stderr));
    }
    running.end();
    assert!(place.run("vat.js", &["--call", "root.hello()"]).status.success());
}

#[test]
fn a_corrupted_store_is_told() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    assert!(place.run("vat.js", &["--call", "root.hello()"]).status.success());
    let file = place.home().join("store/store.sqlite");
    fs::write(&file, "this was a store once, and it is not any more. ".repeat(1_000)).unwrap();
    for refused in [
        place.run("vat.js", &["--call", "root.hello()"]),
        place.store(&["check"]),
        place.store(&["dump"]),
        place.store(&["stats"]),
    ] {
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("store.sqlite"), "{}", text(&refused.stderr));
        assert!(!text(&refused.stderr).contains("panicked"), "{}", text(&refused.stderr));
    }
}

#[test]
fn looking_at_a_store_that_is_not_there_does_not_make_one() {
    let place = Place::new();
    for action in ["check", "dump", "stats"] {
        let refused = place.store(&[action]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("there is no store in"), "{}", text(&refused.stderr));
    }
    assert!(!place.home().exists());
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let place = Place::new();
    place.write("vat.js", WORKING);
    // A file where the directory should be: refused whoever the user is (root ignores permissions).
    fs::write(place.home(), "in the way").unwrap();
    let run = place.run("vat.js", &["--call", "root.hello()"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stderr).contains("cannot be opened for writing"), "{}", text(&run.stderr));
}

#[test]
fn a_full_disk_stops_the_kernel_and_leaves_the_store_sound() {
    let place = Place::new();
    place.write(
        "keep.js",
        "import { makeDefaultExo } from '@metamask/kernel-utils/exo';
export function buildRootObject(_powers, _parameters, baggage) {
  return makeDefaultExo('Root', {
    bootstrap() { baggage.init('kept', 0); },
    keep(n) { baggage.set('kept', n); baggage.init(`text${n}`, 'x'.repeat(100000)); return n; },
    kept() { return baggage.get('kept'); },
  });
}
",
    );
    assert_eq!(text(&place.run("keep.js", &["--call", "root.keep(1)"]).stdout), "1\n");
    // Files may not grow beyond 2 MiB (the limit counts in KiB in bash).
    let calls = (2..100).map(|n| format!("root.keep({n})")).collect::<Vec<_>>().join("\n");
    let full = place.pipe_limited("keep.js", 2_048, &calls);
    assert!(!full.status.success());
    let told = text(&full.stderr);
    assert!(told.contains("the store is full") || told.contains("the store failed"), "{told}");
    let last = text(&full.stdout).lines().last().unwrap_or("1").to_owned();
    place.is_sound();
    let after = place.run("keep.js", &["--call", "root.kept()"]);
    assert_eq!(text(&after.stdout).trim(), last, "what was answered, and nothing more: {}", text(&after.stderr));
}
