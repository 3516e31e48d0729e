//! Garbage collection from the heap of one JavaScript vat to that of another (§9 items 40, 47–51, 54). The world's clean-up
//! asks vats for their garbage as an idle kernel does.

use crate::stage::Stage;
use crate::world::{Engines, both_engines};
use sturdy_kernel::Request;
use sturdy_node::AuditMode;

fn stage(engine: Engines) -> Stage {
    let mut s = Stage::on(engine, &[("alice", "garbage.js"), ("bob", "garbage.js"), ("carol", "garbage.js")]);
    s.settle_down();
    s
}

/// What a vat was told that concerns garbage, since the last time.
fn news(s: &mut Stage, name: &str) -> String {
    s.acknowledge_all();
    s.settle_down();
    let told = s.told(name);
    told.split(' ').filter(|kind| kind.contains("xports") || kind.contains("mports")).collect::<Vec<_>>().join(" ")
}

#[test]
fn item_47_an_importer_holds_then_recognizes_then_forgets() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.name(&["same"], "carol.same()");
        s.check("bob.hold('thing', same) => [undefined]");
        assert_eq!(news(&mut s, "carol"), "");
        s.check("bob.remember('thing') => [undefined]");
        s.check("bob.ping('thing') => \"the same one\"");
        s.check("bob.drop('thing') => [undefined]");
        assert_eq!(news(&mut s, "carol"), "dropExports");
        s.check("bob.forgetKnown() => [undefined]");
        assert_eq!(news(&mut s, "carol"), "retireExports");
        assert_eq!(news(&mut s, "carol"), "");
    });
}

#[test]
fn item_48_each_notice_comes_once_and_nothing_is_left() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.check("alice.give(bob, carol, 'warm') => [undefined]");
        s.check("bob.drop('warm') => [undefined]");
        let before = s.size();
        let rows: Vec<_> = ["alice", "bob", "carol"].map(|name| s.state_of(name)).into();
        s.told("carol");
        for name in ["one", "two", "three"] {
            s.check(&format!("alice.give(bob, carol, '{name}') => [undefined]"));
        }
        assert_ne!(s.size(), before);
        for name in ["one", "two", "three"] {
            s.check(&format!("bob.drop('{name}') => [undefined]"));
        }
        assert_eq!(news(&mut s, "carol"), "dropExports retireExports");
        assert_eq!(s.size(), before);
        assert_eq!(["alice", "bob", "carol"].map(|name| s.state_of(name)).to_vec(), rows);
    });
}

#[test]
fn item_49_an_object_lives_until_both_importers_let_go() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.name(&["thing"], "carol.make('thing')");
        s.check("bob.hold('x', thing) => [undefined]");
        s.check("alice.hold('x', thing) => [undefined]");
        s.check("bob.drop('x') => [undefined]");
        assert_eq!(news(&mut s, "carol"), "");
        s.check("alice.ping('x') => \"thing is here\"");
        s.check("alice.drop('x') => [undefined]");
        assert_eq!(news(&mut s, "carol"), "dropExports retireExports");
    });
}

#[test]
fn item_50_queues_values_and_pins_hold_objects() {
    both_engines(|engine| {
        let mut s = stage(engine);
        // Only in a message that waits on a promise.
        s.check("alice.give(bob, carol, 'thing') => [undefined]");
        let promise = s.begin("carol.promise('p')");
        s.run();
        s.check("alice.holdPromise('none', 1) => [undefined]");
        s.begin("bob.ask(carol, 'promise', 'q')");
        s.run();
        s.name(&["p"], "bob.queued(carol, 'thing')");
        s.check("bob.drop('thing') => [undefined]");
        assert_eq!(news(&mut s, "carol"), "", "{}", s.fate(promise));
        s.check("carol.resolve('target', carol) => [undefined]");
        assert_eq!(news(&mut s, "carol"), "dropExports retireExports");

        // Only in the value of a settled promise that the host has not acknowledged.
        s.name(&["thing"], "carol.make('thing')");
        s.settle_down();
        assert!(!s.told("carol").contains("Exports"));
        // Only pinned.
        let thing = s.named("thing");
        s.ask(Request::Pin(thing)).expect("it is there");
        assert_eq!(news(&mut s, "carol"), "");
        s.ask(Request::Unpin(thing)).expect("it is pinned");
        assert_eq!(news(&mut s, "carol"), "dropExports retireExports");
    });
}

#[test]
fn item_51_an_object_sent_again_is_reachable_again() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.name(&["same"], "carol.same()");
        s.check("bob.hold('x', same) => [undefined]");
        s.check("bob.remember('x') => [undefined]");
        s.check("bob.drop('x') => [undefined]");
        assert_eq!(news(&mut s, "carol"), "dropExports");
        s.name(&["again"], "carol.same()");
        assert_eq!(s.named("again"), s.named("same"));
        s.check("bob.knows(same) => \"x\"");
        s.check("bob.hold('x', same) => [undefined]");
        assert_eq!(news(&mut s, "carol"), "");
        s.check("bob.ping('x') => \"the same one\"");
        s.check("carol.forgetSame() => [undefined]");
        assert_eq!(news(&mut s, "carol"), "", "bob holds it");
        s.check("bob.ping('x') => \"the same one\"");
        s.check("bob.drop('x') => [undefined]");
        s.check("bob.forgetKnown() => [undefined]");
        assert_eq!(news(&mut s, "carol"), "dropExports retireExports");
    });
}

#[test]
fn the_exporter_forgets_what_others_only_recognize() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.check("alice.give(bob, carol, 'thing') => [undefined]");
        s.check("bob.remember('thing') => [undefined]");
        s.check("bob.drop('thing') => [undefined]");
        s.told("bob");
        // The exporter's heap lets it go after the drop: it retires it, and the importer is told.
        s.settle_down();
        let lines = s.world.deliveries.join(", ");
        let (bob, carol) = (s.world.vat("bob"), s.world.vat("carol"));
        assert!(lines.contains(&format!("{carol} dropExports")), "{lines}");
        assert!(lines.contains(&format!("{bob} retireImports")), "{lines}");
        assert!(!lines.contains("retireExports"), "{lines}");
    });
}

#[test]
fn item_54_an_idle_kernel_looks_for_garbage() {
    both_engines(|engine| {
        let mut s = stage(engine);
        s.check("alice.give(bob, carol, 'thing') => [undefined]");
        s.check("bob.drop('thing') => [undefined]");
        s.told("bob");
        s.acknowledge_all();
        s.world.event(sturdy_kernel::Event::Idle).expect("the node goes on");
        s.run();
        // No message came, and all three vats were asked; what bob let go reached carol.
        assert_eq!(s.world.deliveries.iter().filter(|line| line.ends_with("bringOutYourDead")).count(), 3);
        assert_eq!(news(&mut s, "carol"), "dropExports retireExports");
    });
}

#[test]
fn item_40_a_thousand_calls_leave_no_rows() {
    for (call, answer, times) in [
        ("alice.loop(bob, 50)", "49", 5),
        ("alice.loop(alice, 50)", "49", 2),
        ("alice.pipelines(bob, 50)", "50", 4),
        ("alice.failures(bob, 50)", "50", 4),
        ("alice.chain(bob, 40)", "40", 4),
        ("alice.echo([alice, bob])", "…", 300),
        ("alice.ask(bob, 'none')", "[undefined]", 200),
    ] {
        let mut s = stage(Engines::Memory);
        s.world.node_mut().set_audit_mode(AuditMode::OnRequest); // other tests look at each turn of this
        s.check(&format!("{call} => {answer}"));
        s.check("alice.loop(bob, 300) => 299"); // counters are stored in blocks
        let before = s.size();
        let rows = ["alice", "bob", "carol"].map(|name| s.state_of(name).len());
        for _ in 0..times {
            s.check(&format!("{call} => {answer}"));
        }
        s.world.node_mut().set_audit_mode(AuditMode::EveryTurn);
        assert_eq!(s.size(), before, "{call}");
        assert_eq!(["alice", "bob", "carol"].map(|name| s.state_of(name).len()), rows, "{call}");
    }
}

#[test]
fn the_same_on_disk_and_through_a_crash() {
    let mut s = stage(Engines::Sqlite);
    s.check("alice.loop(bob, 20) => 19");
    s.crash();
    s.check("alice.chain(bob, 10) => 10");
    s.check("alice.pipelines(bob, 10) => 10");
    let before = s.size();
    for _ in 0..3 {
        s.check("alice.loop(bob, 20) => 19");
        s.check("alice.chain(bob, 10) => 10");
        s.check("alice.pipelines(bob, 10) => 10");
    }
    assert_eq!(s.size(), before);
    s.crash();
    assert_eq!(s.size(), before);
}

#[test]
fn imports_that_only_a_lost_heap_held_are_released() {
    both_engines(|engine| {
        for crash in [true, false] {
            let mut s = stage(engine);
            s.check("alice.give(bob, carol, 'warm') => [undefined]");
            s.check("bob.drop('warm') => [undefined]");
            s.restart("bob");
            s.restart("carol");
            let before = s.size();
            for name in ["one", "two"] {
                s.check(&format!("alice.give(bob, carol, '{name}') => [undefined]"));
            }
            s.check("bob.remember('one') => [undefined]");
            assert_ne!(s.size(), before);
            if crash {
                s.crash();
            } else {
                s.restart("bob");
                assert_eq!(news(&mut s, "carol"), "dropExports retireExports");
            }
            assert_eq!(s.size(), before);
        }
    });
}

/// Uses of stored data that come to an end: calls, in order.
const USES: [&str; 6] = [
    // durable objects in a map, one holding the other vat's object
    "alice.saveCounter('a', 1) => [undefined]
     alice.give('a', bob, 'temporary') => [undefined]
     alice.map('delete', 'a') => [undefined]",
    // a facet goes out, its kit lives while bob holds it
    "alice.giveAccount(bob) => [undefined]
     bob.askPeer('balance') => 0
     bob.forgetPeer() => [undefined]",
    // entries of weak collections go with their keys
    "alice.weakEntries(bob, 3) => 3",
    // virtual objects in chains
    "alice.virtualChain(20) => 20",
    // watched promises
    "alice.watch(bob, 'increment', 'tag') => [undefined]
     alice.forgetResult('tag') => [undefined]
     alice.watch(bob, 'missing', 'tag') => [undefined]
     alice.forgetResult('tag') => [undefined]",
    // stores that nobody names any more
    "alice.throwAwayStores(5) => 5",
];

#[test]
fn stored_data_whose_use_ended_leaves_no_rows() {
    both_engines(|engine| {
        for crash in [false, true] {
            let mut s = Stage::on(engine, &[("alice", "store.js"), ("bob", "counter.js")]);
            for uses in USES {
                s.check(uses);
            }
            s.check("alice.fillIds(600) => [undefined]"); // counters are stored in blocks
            s.collect();
            let names = |s: &mut Stage| {
                ["alice", "bob"].map(|vat| -> Vec<String> {
                    s.state_of(vat).iter().map(|row| row.split(' ').next().unwrap_or_default().to_owned()).collect()
                })
            };
            let (size, rows) = (s.size(), names(&mut s));
            for uses in USES {
                s.check(uses);
                if crash {
                    s.crash();
                }
                s.collect();
                assert_eq!(names(&mut s), rows, "{uses}");
                assert_eq!(s.size(), size, "{uses}");
            }
        }
    });
}
