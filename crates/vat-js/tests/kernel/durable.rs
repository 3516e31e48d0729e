//! What JavaScript vats keep, over messages, restarts and crashes (§9 items 55, 72, 73).

use crate::stage::Stage;
use crate::world::{Engines, both_engines};

fn stage(engine: Engines) -> Stage {
    Stage::on(engine, &[("alice", "store.js"), ("bob", "counter.js")])
}

#[test]
fn item_72_baggage_refuses_what_is_wrong() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.check(
            "
            alice.baggage('has', 'key') => false
            alice.baggage('get', 'key') => \"Error: key \\\"key\\\" not found in collection \\\"baggage\\\"\"
            alice.baggage('set', 'key', 1) => \"Error: key \\\"key\\\" not found in collection \\\"baggage\\\"\"
            alice.baggage('init', 'key', [1, {a: 'text'}]) => [undefined]
            alice.baggage('init', 'key', 2) => \"Error: key \\\"key\\\" already registered in collection \\\"baggage\\\"\"
            alice.baggage('get', 'key') => [1, {\"a\": \"text\"}]
            alice.baggage('set', 'key', 3n) => [undefined]
            ",
        );
        s.crash();
        s.check(
            "
            alice.baggage('get', 'key') => 3n
            alice.baggage('delete', 'key') => [undefined]
            alice.baggage('has', 'key') => false
            alice.baggage('delete', 'key') => \"Error: key \\\"key\\\" not found in collection \\\"baggage\\\"\"
            ",
        );
    });
}

#[test]
fn item_73_durable_objects_and_stores_survive() {
    both_engines(|engine| {
        for end in [Stage::crash, |s: &mut Stage| s.restart("alice")] {
            let mut s = stage(engine);
            s.keep(&["counter"], "alice.makeCounter(5)");
            s.keep(&["admin", "viewer"], "alice.makeAccount()");
            s.check(
                "
                bob.ask(counter, 'increment') => 6
                bob.ask(counter, 'increment', 4) => 10
                counter.setPartner(bob) => [undefined]
                bob.ask(admin, 'deposit', 7) => 7
                bob.keepPeer(counter) => [undefined]
                alice.map('init', 'viewer', viewer) => [undefined]
                alice.map('init', 1, 'one') => [undefined]
                alice.set('add', 'member') => [undefined]
                alice.set('add', counter) => [undefined]
                bob.increment(20) => 20
                ",
            );
            end(&mut s);
            s.check(
                "
                counter.increment() => 11
                counter.callPartner('count') => 20
                bob.ask(viewer, 'balance') => 7
                admin.deposit(1) => 8
                alice.mapKeys() => [1, \"viewer\"]
                alice.map('get', 'viewer') => <viewer> (Alleged: Account viewer)
                alice.set('has', counter) => true
                alice.set('has', 'member') => true
                alice.set('has', viewer) => false
                ",
            );
            end(&mut s);
            s.check("bob.askPeer('read') => 11");
        }
    });
}

#[test]
fn item_73_wrong_arguments_are_refused_by_guards() {
    let mut s = stage(Engines::Memory);
    s.keep(&["counter"], "alice.makeCounter(5)");
    for call in ["counter.increment('one')", "counter.increment(1, 2)", "counter.read(1)", "counter.setPartner(7)"] {
        let fate = s.say(call);
        assert!(fate.starts_with("![Error: ") && fate.contains("of (Counter)"), "{call}: {fate}");
    }
    s.check(
        "
        counter.read() => 5
        alice.refusals() => [\"refused\", \"refused\", \"refused\", \"refused\", \"refused\", \"refused\", \"refused\"]
        ",
    );
}

#[test]
fn watched_promises_are_told_after_the_heap_is_lost() {
    both_engines(|engine| {
        for end in [Stage::crash, |s: &mut Stage| s.restart("alice")] {
            let mut s = stage(engine);
            s.check(
                "
                alice.watch(bob, 'increment', 'early') => [undefined]
                alice.result('early') => [\"fulfilled\", 1]
                alice.watch(bob, 'pending', 'late') => [undefined]
                alice.watch(bob, 'missing', 'bad') => [undefined]
                alice.watchOwn('own') => [undefined]
                ",
            );
            end(&mut s);
            // Its own promise can be settled by nobody now; what bob was deciding depends on whether bob's heap is lost.
            s.check("alice.result('own') => [\"rejected\", …");
            s.check("bob.release() => [undefined]");
            let late = s.say("alice.result('late')");
            let expected = late.contains("\"fulfilled\", \"released\"") || late.contains("[KERNEL:VAT_RESTARTED]");
            assert!(expected, "{late}");
            s.check(
                "
                alice.result('early') => [\"fulfilled\", 1]
                alice.result('bad') => [ \"rejected\", \"target has no method …
                ",
            );
        }
        // Only the watching vat restarts: the answer comes.
        let mut s = stage(engine);
        s.check("alice.watch(bob, 'pending', 'late') => [undefined]");
        s.restart("alice");
        s.check(
            "
            alice.result('late') => \"nothing yet\"
            bob.release() => [undefined]
            alice.result('late') => [\"fulfilled\", \"released\"]
            ",
        );
    });
}

#[test]
fn a_watched_promise_that_nobody_will_settle_is_rejected() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.check("alice.watch(bob, 'pending', 'late') => [undefined]");
        s.terminate("bob");
        s.check("alice.result('late') => [\"rejected\", \"[KERNEL:VAT_TERMINATED]…");
    });
}

#[test]
fn weak_stores_keep_their_entries_while_the_key_lives() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.keep(&["counter"], "alice.makeCounter(1)");
        s.keep(&["temporary"], "bob.temporary()");
        s.check(
            "
            alice.weakInit(counter, 'for the counter') => [undefined]
            alice.weakInit(bob, 'for bob') => [undefined]
            alice.weakInit(temporary, 'for the temporary object') => [undefined]
            alice.weakGet(counter) => [\"for the counter\", true]
            ",
        );
        s.settle_down();
        s.crash();
        s.check(
            "
            alice.weakGet(counter) => [\"for the counter\", true]
            alice.weakGet(bob) => [\"for bob\", true]
            ",
        );
    });
}

#[test]
fn virtual_objects_end_with_the_heap() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.keep(&["virtual"], "alice.keepVirtual('v', 7)");
        s.keep(&["temporary"], "bob.temporary()");
        s.check(
            "
            alice.linkVirtual('v', temporary) => [undefined]
            bob.ask(virtual, 'read') => 7
            bob.keepPeer(virtual) => [undefined]
            alice.callLink('v', 'hello') => \"still here\"
            ",
        );
        s.collect();
        s.check(
            "
            bob.askPeer('read') => 7
            alice.callLink('v', 'hello') => \"still here\"
            ",
        );
        s.crash();
        s.check(
            "
            bob.askPeer('read') => \"[KERNEL:OBJECT_DELETED]…
            alice.held('v') => false
            ",
        );
        s.settle_down();
        let rows = s.state_of("alice");
        assert!(!rows.iter().any(|row| row.starts_with('v')), "virtual rows are left: {rows:#?}");
    });
}

#[test]
fn item_55_durable_objects_that_nobody_holds_are_deleted() {
    both_engines(|engine| {
        let mut s = stage(engine);
        // What is made once stays: warm up.
        s.check("alice.saveCounter('warm', 1) => [undefined]");
        s.check("alice.map('delete', 'warm') => [undefined]");
        s.check("bob.keepPeer(alice) => [undefined]");
        s.check("bob.askPeer('mapKeys') => []");
        s.check("bob.forgetPeer() => [undefined]");
        s.collect();
        let rows = [s.state_of("alice"), s.state_of("bob")];
        let before = s.size();
        s.name(&["counter"], "alice.makeCounter(5)");
        s.check("bob.keepPeer(counter) => [undefined]");
        s.check("alice.saveCounter('saved', 6) => [undefined]");
        s.collect();
        s.check("bob.askPeer('increment') => 6");
        s.crash();
        s.check("bob.askPeer('increment') => 7");
        assert!(s.state_of("alice").len() > rows[0].len());
        s.check("bob.forgetPeer() => [undefined]");
        s.check("alice.map('delete', 'saved') => [undefined]");
        s.collect();
        let names = |rows: &[String]| -> Vec<String> {
            rows.iter().map(|row| row.split(' ').next().unwrap_or_default().to_owned()).collect()
        };
        for (vat, before) in ["alice", "bob"].iter().zip(&rows) {
            assert_eq!(names(&s.state_of(vat)), names(before), "{vat}");
        }
        assert_eq!(s.size(), before);
    });
}
