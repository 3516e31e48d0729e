//! What a JavaScript vat finds in its realm (§9 items 86, 87, 90).

use crate::stage::{Stage, VatFile, vat};
use crate::world::Engines;

fn stage(globals: &[&str]) -> Stage {
    let mut s = Stage::empty(Engines::Memory);
    s.launch(&[vat("root", "globalsRoot.js"), vat("alice", "globals.js").globals(globals)]).expect("it is launched");
    s
}

fn refused(globals: &[&str]) -> String {
    let mut s = Stage::empty(Engines::Memory);
    let files: [VatFile<'_>; 2] = [vat("root", "globalsRoot.js"), vat("alice", "globals.js").globals(globals)];
    let why = s.launch(&files).expect_err("the launch fails");
    assert_eq!(s.alive(), "");
    why
}

#[test]
fn item_86_globals_are_absent_unless_asked_for() {
    let mut s = stage(&[]);
    s.check(
        "
        alice.present(['TextEncoder', 'TextDecoder', 'atob', 'btoa', 'setTimeout', 'fetch', 'crypto', 'URL']) => []
        alice.present(['require', 'process', 'std', 'os', 'performance', 'navigator', 'window', 'self', 'print']) => []
        alice.present(['queueMicrotask', 'SharedArrayBuffer', 'Atomics', 'DOMException', 'WebAssembly']) => []
        alice.present(['harden', 'assert', 'VatData', 'HandledPromise', 'console']) => [\"harden\", \"assert\", \"VatData\", \"HandledPromise\", \"console\"]
        alice.parseDate() => \"1970-01-02T00:00:00.000Z\"
        ",
    );
    for method in ["now", "date", "random"] {
        let fate = s.say(&format!("alice.{method}()"));
        assert!(fate.contains("secure mode"), "{method}: {fate}");
    }
}

#[test]
fn item_86_what_was_asked_for_is_there() {
    let mut s = stage(&["Date", "Math", "TextEncoder", "TextDecoder", "atob", "btoa"]);
    s.check(
        "
        alice.present(['TextEncoder', 'TextDecoder', 'atob', 'btoa']) => [\"TextEncoder\", \"TextDecoder\", \"atob\", \"btoa\"]
        alice.now() => \"number\"
        alice.date() => \"number\"
        alice.random() => true
        alice.steady() => true
        alice.roundTrip('grüße €') => [11, \"grüße €\", \"bytes\"]
        ",
    );
    // One without the other.
    let mut s = stage(&["Date"]);
    s.check("alice.now() => \"number\"");
    let fate = s.say("alice.random()");
    assert!(fate.contains("secure mode"), "{fate}");
    // They stay after a restart and a crash.
    s.restart("alice");
    s.check("alice.now() => \"number\"");
    s.crash();
    s.check("alice.now() => \"number\"");
}

#[test]
fn item_87_unknown_names_are_refused() {
    for name in ["process", "require", "eval", "Dates", "", "__proto__", "constructor", "toString"] {
        let why = refused(&["Date", name]);
        assert!(why.contains(&format!("unknown global \"{name}\"")) && why.contains("alice"), "{name}: {why}");
    }
}

#[test]
fn item_90_a_name_that_is_taken_is_refused() {
    for name in ["harden", "assert", "VatData", "WeakMap", "console", "Array", "globalThis"] {
        let why = refused(&[name]);
        assert!(why.contains(name), "{name}: {why}");
    }
}
