//! Vats that misbehave harm themselves (§9 items 21, 70, 74): the others go on, callers get a code, the store stays sound.

use crate::stage::{Stage, vat};
use crate::world::{Engines, both_engines};
use sturdy_types::KernelLimits;

fn stage(engine: Engines, hostile: &str) -> Stage {
    let mut s = Stage::empty(engine);
    s.launch(&[vat("alice", "counter.js"), vat("hostile", hostile), vat("bob", "counter.js")]).expect("it is launched");
    s
}

/// The vat ends with this code, whoever called it; the others notice nothing else.
fn ends(file: &str, call: &str, code: &str) {
    both_engines(|engine| {
        let mut s = stage(engine, file);
        let answer = s.begin(&format!("hostile.{call}"));
        let waiting = s.begin("alice.tryAsk(hostile, 'late')");
        let other = s.begin("bob.increment()");
        s.run();
        let fate = s.fate(answer);
        assert!(fate.contains(&format!("[KERNEL:VAT_FATAL:{code}]")), "{call}: {fate}");
        let late = s.fate(waiting);
        assert!(late.contains("[KERNEL:"), "{call}: {late}");
        assert_eq!(s.fate(other), "1");
        assert_eq!(s.alive(), "alice bob");
        s.check(
            "
            bob.heard() => []
            alice.ask(bob, 'increment') => 2
            ",
        );
        s.crash();
        s.settle_down();
        s.check("alice.ask(bob, 'increment') => 3");
    });
}

#[test]
fn item_74_an_endless_loop_ends_its_vat_only() {
    ends("hostileLoop.js", "forEver()", "COMPUTE_LIMIT");
    ends("hostileLoop.js", "catching()", "COMPUTE_LIMIT");
    ends("hostileLoop.js", "jobs(bob)", "COMPUTE_LIMIT");
    ends("hostileLoop.js", "pattern()", "COMPUTE_LIMIT");
}

#[test]
fn item_74_endless_allocation_ends_its_vat_only() {
    ends("hostileHeap.js", "fill()", "MEMORY_LIMIT");
    ends("hostileHeap.js", "caught(bob)", "MEMORY_LIMIT");
    ends("hostileHeap.js", "buffer()", "MEMORY_LIMIT");
}

#[test]
fn memory_that_others_fill_ends_the_vat_that_keeps_it() {
    let mut s = stage(Engines::Memory, "hostileHeap.js");
    let text = "x".repeat(1 << 20);
    let mut fate = String::new();
    for _ in 0..20 {
        fate = s.say(&format!("hostile.keep('{text}')"));
        if fate.starts_with('!') {
            break;
        }
    }
    assert!(fate.contains("[KERNEL:VAT_FATAL:MEMORY_LIMIT]"), "{fate}");
    assert_eq!(s.alive(), "alice bob");
}

#[test]
fn item_70_what_a_failed_crank_wrote_and_sent_is_undone() {
    // The state that the loop had written is gone with the vat; what it had sent was never heard: see `ends`. What a vat wrote
    // before it exits with failure is undone as well, and so are its sends.
    let mut s = stage(Engines::Memory, "hostileLoop.js");
    let before = s.size();
    s.launch(&[vat("dora", "counter.js")]).expect("a second subcluster");
    let fate = s.say("dora.exitWithFailure(bob, 'enough')");
    assert!(fate.contains("enough"), "{fate}");
    s.check("bob.heard() => []");
    let mut after = s.size();
    after.insert("sources", before.get("sources").copied().unwrap_or_default());
    assert_eq!(after, before);
}

#[test]
fn deep_recursion_is_an_error_of_the_vat() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &[("alice", "unruly.js")]);
        s.check("alice.recurse() => \"RangeError\"");
        let fate = s.say("alice.recurseUncaught()");
        assert!(fate.starts_with("![RangeError: "), "{fate}");
        s.check("alice.note('on') => \"noted 2\"");
    });
}

#[test]
fn unhandled_rejections_are_printed_and_end_nothing() {
    let mut s = Stage::on(Engines::Memory, &[("alice", "unruly.js"), ("bob", "unruly.js")]);
    s.check(
        "
        alice.unhandled() => \"fine\"
        alice.unhandledLater(bob) => \"fine\"
        alice.note('on') => \"noted 2\"
        ",
    );
    let printed = s.printed();
    for part in ["nobody looks at this", "nobody looks at this either", "unruly.js:"] {
        assert!(printed.contains(part), "{part:?} was not printed: {printed}");
    }
}

#[test]
fn large_messages_are_refused_and_large_results_rejected() {
    both_engines(|engine| {
        let limits = KernelLimits { body_bytes: 20_000, body_slots: 100, ..KernelLimits::default() };
        let mut s = Stage::with_limits(engine, limits);
        s.launch(&[vat("alice", "unruly.js"), vat("bob", "unruly.js")]).expect("it is launched");
        s.check("alice.sendText(bob, 10000) => \"noted 10000\"");
        for (call, code) in [
            ("alice.sendText(bob, 30000)", "MESSAGE_TOO_LARGE"),
            ("alice.text(30000)", "ANSWER_LOST"),
            ("alice.wide(200)", "ANSWER_LOST"),
        ] {
            let fate = s.say(call);
            assert!(fate.contains(&format!("[KERNEL:{code}]")), "{call}: {fate}");
        }
        s.check("alice.sendText(bob, 10000) => \"noted 10000\"");
        assert_eq!(s.alive(), "alice bob");
    });
}

#[test]
fn too_much_output_ends_the_vat() {
    for call in ["alice.sendMany(bob, 1000)", "alice.store(100000)"] {
        let limits = KernelLimits { syscalls_per_crank: 500, state_bytes_per_crank: 50_000, ..KernelLimits::default() };
        let mut s = Stage::with_limits(Engines::Memory, limits);
        s.launch(&[vat("bob", "unruly.js"), vat("alice", "unruly.js")]).expect("it is launched");
        s.check("alice.sendMany(bob, 100) => 100");
        let fate = s.say(call);
        assert!(fate.contains("[KERNEL:VAT_FATAL:OUTPUT_LIMIT]"), "{call}: {fate}");
        assert_eq!(s.alive(), "bob");
        s.check("bob.note('on') => \"noted 2\"");
    }
}

#[test]
fn deep_values_are_refused_where_they_are_too_deep() {
    let mut s = Stage::on(Engines::Memory, &[("alice", "unruly.js"), ("bob", "counter.js")]);
    s.check("alice.deep(3) => [[[\"bottom\"]]]");
    for levels in [1_000, 100_000] {
        // Either it arrives or it is rejected; nobody dies of it.
        for call in [format!("alice.deep({levels})"), format!("bob.tryAsk(alice, 'deep', {levels})")] {
            assert_ne!(s.say(&call), "pending", "{call}");
        }
    }
    s.check(
        "
        bob.ask(alice, 'note', 'on') => \"noted 2\"
        bob.increment() => 1
        ",
    );
}
