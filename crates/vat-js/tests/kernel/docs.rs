//! Vats as the reference's documentation teaches to write them run from source, unchanged: a counter with baggage, exos, durable
//! kinds, promise kits, TypeScript.

use crate::stage::{Stage, VatFile, vat};
use crate::world::{Engines, both_engines};

/// Vats of a subcluster (name, file, parameters), what `bootstrap` returns, calls, and calls after a crash.
type Documented = (&'static [(&'static str, &'static str, &'static str)], &'static str, &'static str, &'static str);

const SOURCES: &[Documented] = &[
    (
        &[("counter", "docs/counter.js", r#"{"name": "clicks"}"#), ("greeter", "docs/greeter.ts", "")],
        "{\"count\": 1, \"text\": \"hello clicks\"}",
        "
        counter.increment() => 1
        counter.add(5) => 6
        greeter.hello('clicks') => {\"count\": 2, \"text\": \"hello clicks\"}
        ",
        "
        counter.getCount() => 6
        counter.increment() => 7
        greeter.last() => \"clicks\"
        greeter.hello('you') => {\"count\": 1, \"text\": \"hello you\"}
        ",
    ),
    (
        &[("greeter", "docs/greeter.ts", r#"{"style": "loud"}"#)],
        "[undefined]",
        "
        greeter.hello('you') => {\"count\": 1, \"text\": \"HELLO YOU!\"}
        greeter.title() => \"guests\"
        ",
        "greeter.last() => \"you\"",
    ),
    (
        &[("kinds", "docs/kinds.js", "")],
        "[undefined]",
        "
        kinds.names() => [\"eater\", \"filler\", \"point\"]
        kinds.move(2, 3) => [3, 5]
        kinds.fill(2) => [undefined]
        kinds.eat() => 2
        ",
        "
        kinds.move(-3, -5) => [0, 0]
        kinds.eat() => 1
        kinds.eat() => 0
        kinds.eat() => ![Error: the jar is empty]
        ",
    ),
    (
        &[("exos", "docs/exos.js", "")],
        "\"guarded\"",
        "
        exos.sum([1, 2, 3]) => 6
        exos.sum(['1']) => ![Error: In \"sum\" method of (Root): arg 0: …
        exos.sum() => ![Error: In \"sum\" method of (Root): Expected at least 1 arguments: []]
        exos.later('text') => \"later text\"
        exos.either(1n) => \"bigint\"
        exos.either(1) => ![Error: In \"either\" method of (Root): arg 0: …
        exos.makeCounter('many') => ![Error: In \"makeCounter\" method of (Root): arg 0?: …
        ",
        "exos.sum([4]) => 4",
    ),
    (
        &[("here", "docs/promiseKits.js", ""), ("there", "docs/promiseKits.js", "")],
        "[undefined]",
        "
        here.visitOther(there, 'me') => \"welcome me\"
        there.visit('you') => \"welcome you\"
        here.breakDown('rain') => [undefined]
        here.visit('us') => \"no entry: rain\"
        ",
        "here.visitOther(there, 'me') => \"welcome me\"",
    ),
];

#[test]
fn documented_vats_run_unchanged() {
    both_engines(|engine| {
        for (files, bootstrap, calls, after) in SOURCES {
            let mut s = Stage::empty(engine);
            let files: Vec<VatFile<'_>> =
                files.iter().map(|(name, file, parameters)| vat(name, file).parameters(parameters)).collect();
            assert_eq!(s.launch(&files).as_deref(), Ok(*bootstrap), "{}", files[0].file);
            s.check(calls);
            s.crash();
            s.check(after);
        }
    });
}

#[test]
fn exos_of_the_heap_and_their_facets() {
    let mut s = Stage::empty(Engines::Memory);
    s.launch(&[vat("exos", "docs/exos.js")]).expect("it is launched");
    s.name(&["counter"], "exos.makeCounter(3)");
    s.name(&["gauge", "handle"], "exos.makeValve()");
    s.check(
        "
        counter.increment() => 4
        counter.increment(6) => 10
        counter.increment(0) => ![Error: In \"increment\" method of (Counter): arg 0?: …
        counter.getCount() => 10
        gauge.isOpen() => false
        handle.turn(true) => [undefined]
        gauge.isOpen() => true
        gauge.turn(false) => ![TypeError: target has no method \"turn\", has […
        ",
    );
}

#[test]
fn a_durable_object_is_called_after_a_crash_without_its_root() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine);
        s.launch(&[vat("kinds", "docs/kinds.js")]).expect("it is launched");
        s.keep(&["point"], "kinds.point()");
        s.check("point.where() => [1, 2]");
        s.crash();
        s.check("point.where() => [1, 2]");
    });
}
