//! Every limit is met on purpose: the vat is stopped, with a code, within bounds, whatever its code catches.

mod common;

use common::{patient, run, with_root};
use sturdy_types::{Fatal, Outcome, VatLimits, Verdict};

fn fatal(outcome: &Outcome) -> (Fatal, &str) {
    match &outcome.verdict {
        Verdict::Failed(code, detail) => (*code, detail),
        Verdict::Done => panic!("it came to its end: {outcome:?}"),
    }
}

fn hasty() -> VatLimits {
    VatLimits { compute_ms: 50, ..patient() }
}

/// Every way to go on for ever ends with the compute limit.
fn stopped(methods: &str) {
    with_root(&format!("go() {{ {methods} }}, then_() {{}}"), &hasty(), |vat, _| {
        let outcome = run(vat, "go");
        let (code, detail) = fatal(&outcome);
        assert_eq!(code, Fatal::ComputeLimit, "{detail}");
        assert!(detail.contains("computed longer than 50 ms"), "{detail}");
        assert!(outcome.syscalls.is_empty());
    });
}

#[test]
fn an_endless_loop_is_stopped() {
    stopped("for (;;);");
}

#[test]
fn no_catch_and_no_finally_swallows_the_stop() {
    stopped("for (;;) { try { for (;;); } catch { } finally { } }");
    stopped("for (;;) { try { new Promise(() => { for (;;); }); } catch { } }");
    stopped(
        "for (;;) { try { for (const x of { [Symbol.iterator]: () => ({ next() { for (;;); }, return() { for (;;); } }) }); } catch { } }",
    );
}

#[test]
fn endless_jobs_are_stopped() {
    stopped("const again = () => Promise.resolve().then(again); again();");
    stopped("const again = async () => { for (;;) { await null; } }; again();");
    stopped("const again = async () => { for (;;) { try { await null; for (;;); } catch { } } }; again(); again();");
    stopped("const run = async () => { try { for (;;); } finally { await null; for (;;); } }; run().then(run, run);");
}

#[test]
fn the_place_of_the_loop_is_told() {
    with_root("go() { const spin = () => { for (;;); }; spin(); }", &hasty(), |vat, log| {
        let outcome = run(vat, "go");
        let (_, detail) = fatal(&outcome);
        assert!(format!("{detail}{}", log.text()).contains("vat.js:"), "{detail} {}", log.text());
    });
}

#[test]
fn an_endless_start_is_stopped() {
    let limits = VatLimits { start_ms: 50, ..VatLimits::default() };
    for source in [
        "for (;;); export const buildRootObject = 1;",
        "export const buildRootObject = () => { for (;;); };",
        "export const buildRootObject = async () => { for (;;) await null; };",
    ] {
        common::with_modules(&[("vat.js", source)], &limits, |vat, _| {
            let outcome = vat.start_outcome("#\"#undefined\"", &[]);
            assert_eq!(fatal(&outcome).0, Fatal::ComputeLimit, "{source}");
        });
    }
}

fn small_heap() -> VatLimits {
    VatLimits { heap_bytes: 8 << 20, ..patient() }
}

/// Every way to fill the heap ends with the memory limit, also when the error is caught.
fn exhausted(body: &str) {
    with_root(&format!("go() {{ {body} }}"), &small_heap(), |vat, _| {
        let outcome = run(vat, "go");
        let (code, detail) = fatal(&outcome);
        assert_eq!(code, Fatal::MemoryLimit, "{body}: {detail}");
    });
}

#[test]
fn a_full_heap_is_final() {
    exhausted("const all = []; for (;;) all.push({});");
    exhausted("const all = []; for (;;) { try { all.push(new Array(1000).fill(0)); } catch { } }");
    exhausted("try { new ArrayBuffer(1 << 30); } catch { } return 'survived';");
    exhausted("try { 'x'.repeat(1 << 28); } catch { } return 'survived';");
    exhausted(
        "let s = 'xy'; const all = []; for (;;) { s += s.slice(0, 1000); all.push(s.slice(1) + 'x'); all.push(all.at(-1).toUpperCase()); }",
    );
    exhausted("const m = new Map(); for (let i = 0; ; i += 1) m.set(i, i);");
    exhausted(
        "const grow = o => Promise.resolve().then(() => grow([o, o])); const all = []; for (;;) all.push(grow([]));",
    );
}

#[test]
fn garbage_does_not_fill_the_heap() {
    let body = "for (let i = 0; i < 300000; i += 1) { const a = {}; const b = { a }; a.b = b; } return 'fine';";
    with_root(&format!("go() {{ {body} }}"), &small_heap(), |vat, _| {
        assert_eq!(run(vat, "go").verdict, Verdict::Done);
        for _ in 0..3 {
            assert_eq!(run(vat, "go").verdict, Verdict::Done);
        }
    });
}

#[test]
fn a_deep_recursion_is_an_error_of_the_vat() {
    let methods = "
        go() { const f = () => f() + 1; return f(); },
        json() { let o = []; for (let i = 0; i < 100000; i += 1) o = [o]; return JSON.stringify(o); },
        parse() { return JSON.parse('['.repeat(100000) + ']'.repeat(100000)); },
        regexp() { return new RegExp('('.repeat(50000) + ')'.repeat(50000)).test('x'); },
        proxy() { let p = {}; for (let i = 0; i < 100000; i += 1) p = new Proxy(p, {}); return p.x; },
        bind() { let f = () => 1; for (let i = 0; i < 1000; i += 1) f = f.bind(null); return f(); },
        chain() { let o = {}; for (let i = 0; i < 100000; i += 1) o = Object.create(o); return o.x; },
        flat() { let o = []; for (let i = 0; i < 100000; i += 1) o = [o]; return o.flat(Infinity); },
        text() { let o = []; for (let i = 0; i < 100000; i += 1) o = [o]; return String(o); },
    ";
    with_root(methods, &patient(), |vat, _| {
        for method in ["go", "json", "parse", "regexp", "proxy", "bind", "chain", "flat", "text"] {
            let outcome = run(vat, method);
            assert_eq!(outcome.verdict, Verdict::Done, "{method}");
        }
        assert!(vat.call("go", "[]", &[], "p-9").contains("rejected"), "the recursion was refused");
    });
}

#[test]
fn the_clock_is_looked_at_often() {
    with_root("loop(n) { for (let i = 0; i < n; i += 1); }", &patient(), |vat, _| {
        let delivery = vat.message("o+0", "loop", "[100000]", &[], "p-1");
        let polls = vat.deliver(&delivery).metering.compute_units;
        assert!((300..1_000).contains(&polls), "{polls} polls in 100 000 jumps");
    });
}
