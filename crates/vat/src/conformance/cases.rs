//! The cases.

use super::driver::{Driver, Subject};
use crate::contract::Runtime;
use sturdy_types::{CodeSpec, Delivery, Fatal, VatLimits, Verdict};

/// The methods of the program's root object, in words. Parameters in the start delivery are `undefined`, or the text
/// `refuse`: then `buildRootObject` throws `Error("this start was refused")`.
pub const METHODS: &[(&str, &str)] = &[
    ("hello(name)", "returns the text `hello ${name}`"),
    ("echo(value)", "returns its argument"),
    ("fail(text)", "throws `Error(text)`"),
    ("makeThing()", "returns a new remotable `thing` whose `poke()` returns `poked`, and forgets it"),
    ("keepThing()", "the same, but holds it in its heap for ever"),
    ("later()", "returns a promise that `settle(text)` fulfils with the text"),
    ("keep(object)", "holds an import in its heap until `release()`"),
    ("exit(text)", "exits with this completion"),
    ("exitWithFailure(text)", "exits with failure, the reason being `Error(text)`"),
    ("forward(target)", "returns `E(target).hello('there')`"),
    ("chain(target)", "does `E(E(target).first()).second()` and returns `chained`"),
    ("tell(target)", "does `E.sendOnly(target).told()` and returns `told`"),
    ("await(promise)", "waits for the promise without holding up its own result, `undefined`"),
    ("got()", "the value or reason that `await` found, `undefined` before"),
    ("count()", "increments a durable counter and returns it"),
];

/// Runs every case. `make` gives a fresh runtime; the sources must fit `code`.
pub fn check(mut make: impl FnMut() -> Box<dyn Runtime>, code: &CodeSpec, sources: &dyn crate::contract::SourceReader) {
    for (name, case) in CASES {
        let mut runtime = make();
        let subject = Subject { runtime: runtime.as_mut(), code: code.clone(), sources };
        let mut driver =
            Driver::new(subject, VatLimits { start_ms: 60_000, compute_ms: 60_000, ..VatLimits::default() });
        if *name != "a refused start" {
            assert_eq!(driver.start("#\"#undefined\""), "", "{name}: start");
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&mut driver)));
        if let Err(panic) = result {
            eprintln!("conformance case failed: {name}");
            std::panic::resume_unwind(panic);
        }
    }
}

type Case = fn(&mut Driver<'_>);

const CASES: &[(&str, Case)] = &[
    ("calls", calls),
    ("errors", errors),
    ("a refused start", refused_start),
    ("exports", exports),
    ("a result settled later", settled_later),
    ("forwarding a call", forwarding),
    ("pipelining", pipelining),
    ("notification", notification),
    ("references pass through", references_pass),
    ("exit", exit),
    ("durable state", durable_state),
    ("imports let go", imports_let_go),
    ("exports let go", exports_let_go),
    ("an unknown target", unknown_target),
    ("ids are not reused", ids_not_reused),
    ("the same delivery twice", same_twice),
];

fn calls(vat: &mut Driver<'_>) {
    assert_eq!(vat.call("hello", r#"["world"]"#, &[], "p-1"), r#"resolve p-1 #"hello world""#);
    assert_eq!(vat.call("hello", r#"["nobody"]"#, &[], ""), "");
    assert_eq!(
        vat.call("echo", "[[1,{\"a\":\"#undefined\"}]]", &[], "p-2"),
        r##"resolve p-2 #[1,{"a":"#undefined"}]"##
    );
}

fn errors(vat: &mut Driver<'_>) {
    assert_eq!(
        vat.call("fail", r#"["boom"]"#, &[], "p-1"),
        r##"resolve p-1 rejected #{"#error":"boom","name":"Error"}"##
    );
    assert_eq!(vat.call("fail", r#"["boom"]"#, &[], ""), "");
    let missing = vat.call("nosuch", "[]", &[], "p-2");
    assert!(missing.starts_with(r##"resolve p-2 rejected #{"#error":"target has no method \"nosuch\""##), "{missing}");
}

fn refused_start(vat: &mut Driver<'_>) {
    let outcome = vat.start_outcome("#\"refuse\"", &[]);
    let Verdict::Failed(_, detail) = outcome.verdict else { panic!("{outcome:?}") };
    assert!(detail.contains("this start was refused"), "{detail}");
}

fn exports(vat: &mut Driver<'_>) {
    assert_eq!(vat.call("makeThing", "[]", &[], "p-1"), r#"resolve p-1 #"$0.Alleged: thing" [o+A]"#);
    assert_eq!(vat.call_on("o+A", "poke", "[]", &[], "p-2"), r#"resolve p-2 #"poked""#);
    assert_eq!(vat.call("makeThing", "[]", &[], "p-3"), r#"resolve p-3 #"$0.Alleged: thing" [o+B]"#);
    assert_ne!(vat.vref("o+A"), vat.vref("o+B"));
}

fn settled_later(vat: &mut Driver<'_>) {
    assert_eq!(vat.call("later", "[]", &[], "p-1"), "");
    assert_eq!(vat.call("settle", r#"["now"]"#, &[], "p-2"), "resolve p-1 #\"now\"\nresolve p-2 #\"#undefined\"");
}

fn forwarding(vat: &mut Driver<'_>) {
    assert_eq!(
        vat.call("forward", "[\"$0.Alleged: friend\"]", &["o-7"], "p-1"),
        "send o-7 #[\"hello\",[\"there\"]] -> p+A\nsubscribe p+A"
    );
    assert_eq!(vat.notify("p+A", false, "#\"hello there\"", &[]), r#"resolve p-1 #"hello there""#);
    assert_eq!(
        vat.call("forward", "[\"$0.Alleged: friend\"]", &["o-7"], "p-2"),
        "send o-7 #[\"hello\",[\"there\"]] -> p+B\nsubscribe p+B"
    );
    let rejected = vat.notify("p+B", true, r##"#{"#error":"no","name":"Error"}"##, &[]);
    assert_eq!(rejected, r##"resolve p-2 rejected #{"#error":"no","name":"Error"}"##);
}

fn pipelining(vat: &mut Driver<'_>) {
    assert_eq!(
        vat.call("chain", "[\"$0.Alleged: friend\"]", &["o-7"], "p-1"),
        "send o-7 #[\"first\",[]] -> p+A\nsend p+A #[\"second\",[]] -> p+B\nresolve p-1 #\"chained\"\nsubscribe p+A\nsubscribe p+B"
    );
    assert_eq!(
        vat.call("tell", "[\"$0.Alleged: friend\"]", &["o-7"], "p-2"),
        "send o-7 #[\"told\",[]]\nresolve p-2 #\"told\""
    );
}

fn notification(vat: &mut Driver<'_>) {
    assert_eq!(vat.call("await", "[\"&0\"]", &["p-5"], "p-1"), "resolve p-1 #\"#undefined\"\nsubscribe p-5");
    assert_eq!(vat.call("got", "[]", &[], "p-2"), "resolve p-2 #\"#undefined\"");
    assert_eq!(vat.notify("p-5", false, "#{\"x\":\"+7\"}", &[]), "");
    assert_eq!(vat.call("got", "[]", &[], "p-3"), "resolve p-3 #{\"x\":\"+7\"}");
}

fn references_pass(vat: &mut Driver<'_>) {
    assert_eq!(
        vat.call("echo", "[[\"$0.Alleged: friend\",\"$0\"]]", &["o-7"], "p-1"),
        "resolve p-1 #[\"$0.Alleged: friend\",\"$0\"] [o-7]"
    );
    assert_eq!(vat.call("echo", "[{\"root\":\"$0.Alleged: root\"}]", &["o+0"], "p-2").split(" [").last(), Some("o+0]"));
}

fn exit(vat: &mut Driver<'_>) {
    let said = vat.call("exit", r#"["done"]"#, &[], "p-1");
    assert!(said.contains("exit #\"done\""), "{said}");
    let said = vat.call("exitWithFailure", r#"["bad"]"#, &[], "p-2");
    assert!(said.contains(r##"exit with failure #{"#error":"bad","name":"Error"}"##), "{said}");
}

fn durable_state(vat: &mut Driver<'_>) {
    assert_eq!(vat.call("count", "[]", &[], "p-1"), "resolve p-1 #1");
    assert_eq!(vat.call("count", "[]", &[], "p-2"), "resolve p-2 #2");
    assert_eq!(vat.start("#\"#undefined\""), "");
    assert_eq!(vat.call("count", "[]", &[], "p-3"), "resolve p-3 #3");
}

fn imports_let_go(vat: &mut Driver<'_>) {
    vat.call("keep", "[\"$0.Alleged: friend\"]", &["o-7"], "p-1");
    assert_eq!(vat.told(&Delivery::BringOutYourDead), "", "it is held");
    vat.call("release", "[]", &[], "p-2");
    assert_eq!(vat.told(&Delivery::BringOutYourDead), "drop imports o-7\nretire imports o-7");
    assert_eq!(vat.told(&Delivery::BringOutYourDead), "", "only once");
}

fn exports_let_go(vat: &mut Driver<'_>) {
    vat.call("makeThing", "[]", &[], "p-1");
    vat.call("keepThing", "[]", &[], "p-2");
    let (lost, kept) = (vat.vref("o+A"), vat.vref("o+B"));
    assert_eq!(vat.told(&Delivery::BringOutYourDead), "");
    assert_eq!(vat.told(&Delivery::DropExports(vec![lost, kept])), "");
    assert_eq!(vat.told(&Delivery::BringOutYourDead), "retire exports o+A");
    assert_eq!(vat.told(&Delivery::RetireExports(vec![kept])), "");
    assert_eq!(vat.told(&Delivery::BringOutYourDead), "");
}

fn unknown_target(vat: &mut Driver<'_>) {
    let delivery = vat.message("o+999999", "hello", "[]", &[], "p-1");
    let outcome = vat.deliver(&delivery);
    assert!(matches!(outcome.verdict, Verdict::Failed(Fatal::InternalError, _)), "{outcome:?}");
}

fn ids_not_reused(vat: &mut Driver<'_>) {
    vat.call("makeThing", "[]", &[], "p-1");
    vat.call("forward", "[\"$0.Alleged: friend\"]", &["o-7"], "p-2");
    assert_eq!(vat.start("#\"#undefined\""), "");
    assert!(vat.call("makeThing", "[]", &[], "p-3").ends_with("[o+B]"), "an id of its own");
    assert!(vat.call("forward", "[\"$0.Alleged: friend\"]", &["o-7"], "p-4").ends_with("subscribe p+B"));
}

fn same_twice(vat: &mut Driver<'_>) {
    let delivery = vat.message("o+0", "chain", "[\"$0.Alleged: friend\"]", &["o-7"], "p-1");
    let first = vat.deliver(&delivery);
    // A new heap over the state as of before that crank answers alike, ids included.
    assert_eq!(vat.start("#\"#undefined\""), "");
    let second = vat.deliver(&delivery);
    assert_eq!(first.syscalls.len(), second.syscalls.len());
}
