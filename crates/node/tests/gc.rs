//! Garbage collection (kernel-semantics §9 items 9, 13, 46–56), as vats and hosts see it.

mod world;

use sturdy_kernel::{Answer, Refused, Request};
use sturdy_types::{KRef, PromiseId};
use world::both_engines;
use world::puppet::Stage;

/// Alice exports `o+5`, which bob has as `o-1`.
fn shared(engine: world::Engines) -> Stage {
    let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
    s.tell("alice", "send o-1 take(o+5)");
    s.acknowledge_all();
    s.settle_down();
    s.told();
    s
}

const GONE: &str = "alice <- dropExports o+5\n alice <- retireExports o+5";

#[test]
fn item_09_as_many_unpins_as_pins() {
    both_engines(|engine| {
        let mut s = shared(engine);
        let object = s.reveal("alice", "o+5")[0];
        for _ in 0..2 {
            s.ask(Request::Pin(object)).expect("it is there");
        }
        s.tell("bob", "drop o-1; retire o-1");
        s.acknowledge_all();
        s.settle_down();
        s.ask(Request::Unpin(object)).expect("it is pinned");
        s.settle_down();
        s.heard("");
        s.ask(Request::Unpin(object)).expect("it is pinned");
        s.settle_down();
        s.heard(GONE);
        assert_eq!(s.ask(Request::Unpin(object)), Err(Refused::NoSuchReference(object)));
        // Unpinning what is not pinned changes nothing; a root is not kept by a pin of the host.
        let root = s.root("alice").into();
        for _ in 0..3 {
            s.ask(Request::Unpin(root)).expect("it is there");
        }
        s.settle_down();
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
    });
}

#[test]
fn item_13_garbage_is_told_in_order_and_only_if_it_still_is() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        s.tell("alice", "send o-1 take(o+12, o+5, o+7); send o-2 take(o+7)");
        s.told();
        s.tell("bob", "drop o-1 o-2 o-3; retire o-3 o-1 o-2");
        // In the order in which the kernel learned of them; o+7 is still carol's.
        s.heard("alice <- dropExports o+12 o+5\n alice <- retireExports o+12 o+5");
        s.tell("carol", "drop o-1; retire o-1");
        s.heard("alice <- dropExports o+7\n alice <- retireExports o+7");
    });
}

#[test]
fn item_46_revocation_is_for_objects_and_for_ever() {
    both_engines(|engine| {
        let mut s = shared(engine);
        let object = s.reveal("alice", "o+5")[0];
        let promise = KRef::Promise(PromiseId(77));
        assert_eq!(s.ask(Request::Revoke(promise)), Err(Refused::NotAnObject(promise)));
        assert_eq!(s.ask(Request::IsRevoked(object)), Ok(Answer::Revoked(false)));
        for _ in 0..2 {
            assert_eq!(s.ask(Request::Revoke(object)), Ok(Answer::Done));
        }
        s.crash();
        s.run();
        let root: KRef = s.root("bob").into();
        assert_eq!(s.ask(Request::IsRevoked(root)), Ok(Answer::Revoked(false)));
    });
}

#[test]
fn item_47_an_importer_weakens_and_then_forgets() {
    both_engines(|engine| {
        let mut s = shared(engine);
        s.puppets.once("bob", "bringOutYourDead", "drop o-1");
        s.tell("bob", "");
        s.settle_down();
        s.heard("alice <- dropExports o+5");
        s.puppets.once("bob", "bringOutYourDead", "retire o-1");
        s.tell("bob", "");
        s.settle_down();
        s.heard("alice <- retireExports o+5");
    });
}

#[test]
fn item_48_each_notice_comes_exactly_once() {
    both_engines(|engine| {
        let mut s = shared(engine);
        s.tell("bob", "drop o-1; drop o-1; retire o-1");
        s.settle_down();
        s.heard(GONE);
        for _ in 0..3 {
            s.tell("alice", "");
            s.settle_down();
        }
        s.heard("");
    });
}

#[test]
fn item_49_both_importers_must_drop() {
    both_engines(|engine| {
        let mut s = shared(engine);
        s.tell("alice", "send o-2 take(o+5)");
        s.told();
        s.tell("carol", "drop o-1");
        s.settle_down();
        s.heard("");
        s.tell("bob", "drop o-1; retire o-1");
        s.settle_down();
        s.heard("alice <- dropExports o+5");
        s.tell("carol", "retire o-1");
        s.settle_down();
        s.heard("alice <- retireExports o+5");
    });
}

#[test]
fn item_50_queues_values_and_pins_keep_objects_alive() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        // In the queue of an unsettled promise, as an argument and as a target's value.
        s.tell("alice", "send o-1 take(p+5); send p+5 parked(o+5)");
        s.settle_down();
        s.heard("bob <- message o+0 take(<p-1>)");
        // In the value of a settled promise that bob still has.
        s.tell("alice", "resolve p+5 = [o+6]");
        s.settle_down();
        s.heard("alice <- dropExports o+5\n alice <- retireExports o+5");
        s.tell("bob", "subscribe p-1");
        s.settle_down();
        s.heard("bob <- notify p-1 fulfilled [<o-1>]");
        s.tell("bob", "send o-1 ping(); drop o-1; retire o-1");
        s.settle_down();
        s.heard(
            "alice <- message o+6 ping()
             alice <- dropExports o+6
             alice <- retireExports o+6",
        );
    });
}

#[test]
fn item_51_what_was_only_recognized_is_reachable_when_sent_again() {
    both_engines(|engine| {
        let mut s = shared(engine);
        s.tell("bob", "drop o-1");
        s.settle_down();
        s.tell("alice", "send o-1 take(o+5)");
        s.settle_down();
        s.heard("alice <- dropExports o+5\n bob <- message o+0 take(<o-1>)");
        let fate = s.tell("bob", "retire o-1");
        assert!(fate.contains("v2 retires o-1 while it can reach it"), "{fate}");
    });
}

#[test]
fn item_52_wrong_retirements_end_the_vat_and_undo_its_crank() {
    for (script, why) in [
        ("write k v; retire o-1", "v1 retires o-1 while it can reach it"),
        ("write k v; retireExports o+0", "v1 retires o+0 while others can reach it"),
        ("write k v; send o-1 x(p+5); retireExports p+5", "v1 cannot retire p+5: it is no exported object"),
        ("write k v; send o-1 x(p+5); abandon p+5", "v1 cannot abandon p+5: it is no exported object"),
        ("write k v; retire p-1", "v1 cannot retire p-1: it is no imported object"),
        ("write k v; drop o+0", "v1 cannot drop o+0: it is no imported object"),
    ] {
        both_engines(|engine| {
            let mut s = Stage::on(engine, &["alice", "bob"]);
            let text = format!("rejected [Error: [KERNEL:VAT_FATAL:ILLEGAL_SYSCALL] {why}]");
            assert_eq!(s.tell("alice", script), text);
            s.heard("");
            s.settle_down();
            assert_eq!(s.census().get("vat-state"), None);
        });
    }
}

#[test]
fn item_53_an_abandoned_export_is_gone_for_everybody() {
    both_engines(|engine| {
        let mut s = shared(engine);
        s.tell("alice", "send o-2 take(o+5)");
        s.tell("carol", "drop o-1");
        let object = s.reveal("alice", "o+5")[0];
        s.told();
        s.tell("alice", "abandon o+5");
        assert_eq!(
            s.send(object, "ping", &[]),
            format!("rejected [Error: [KERNEL:OBJECT_DELETED] {object} does not exist any more]")
        );
        s.tell("bob", "ask o-1 ping() -> p+5");
        s.heard(&format!(
            "bob <- notify p+5 rejected [Error: [KERNEL:OBJECT_DELETED] {object} does not exist any more]"
        ));
        s.acknowledge_all();
        s.settle_down();
        s.heard("");
        s.tell("bob", "drop o-1");
        s.settle_down();
        s.heard("bob <- retireImports o-1\n carol <- retireImports o-1");
    });
}

#[test]
fn item_54_an_idle_kernel_reaps_without_a_message() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(o+5)");
        s.puppets.on("bob", "bringOutYourDead", "");
        s.puppets.once("bob", "bringOutYourDead", "drop o-1; retire o-1");
        s.told();
        s.acknowledge_all();
        s.event(sturdy_kernel::Event::Idle).expect("the node goes on");
        s.run();
        s.heard(GONE);
    });
}

#[test]
fn item_55_durable_and_virtual_references_travel_and_durable_ones_survive() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(o+d10/1, o+d10/2:1, o+v11/3, o+6)");
        s.tell("bob", "hold o-1 strong; hold o-2 strong; hold o-3 strong; hold o-4 strong");
        s.told();
        s.crash();
        s.run();
        s.told();
        s.tell("bob", "send o-1 a(); send o-2 b(); ask o-3 c() -> p+5; ask o-4 d() -> p+6");
        let told = s.told();
        assert!(told.contains("alice <- message o+d10/1 a()\n"), "{told}");
        assert!(told.contains("alice <- message o+d10/2:1 b()"), "{told}");
        assert_eq!(told.matches("[KERNEL:OBJECT_DELETED]").count(), 2, "{told}");
        s.tell("bob", "hold o-1 none; drop o-1; retire o-1");
        s.settle_down();
        s.heard("alice <- dropExports o+d10/1\n alice <- retireExports o+d10/1");
    });
}

#[test]
fn item_56_nothing_is_left_of_a_terminated_vat() {
    both_engines(|engine| {
        let mut s = shared(engine);
        let before = s.census();
        s.enter(&["dave", "erin"]);
        s.tell("dave", "write a 1; write b 2; send o-1 take(o+5, p+5); ask o-1 later() -> p+6");
        s.tell("erin", "send o-1 ping(); subscribe p-1");
        s.terminate("dave");
        s.settle_down();
        let told = s.told();
        assert!(told.contains("erin <- notify p-1 rejected [Error: [KERNEL:VAT_TERMINATED] v4"), "{told}");
        s.tell("erin", "drop o-1");
        s.settle_down();
        s.heard("erin <- retireImports o-1");
        s.terminate("erin");
        s.acknowledge_all();
        s.settle_down();
        assert_eq!(s.census(), before);
    });
}

#[test]
fn holds_say_what_a_new_heap_still_has() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(o+1, o+2, o+3)");
        s.tell("bob", "hold o-2 weak; hold o-3 strong");
        s.settle_down();
        s.told();
        s.restart("bob").expect("it restarts");
        s.settle_down();
        // Nothing holds o-1; o-2 can only be recognized; o-3 is as before.
        s.heard(
            "bob <- startVat again
             alice <- dropExports o+1 o+2
             alice <- retireExports o+1",
        );
        s.tell("bob", "send o-3 ping()");
        s.heard("alice <- message o+3 ping()");
        s.tell("bob", "hold o-2 none; retire o-2");
        s.heard("alice <- retireExports o+2");
    });
}

#[test]
fn a_durably_watched_promise_is_told_to_the_next_heap() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(p+5, p+6)");
        s.tell("bob", "subscribe p-1; subscribe p-2; hold p-1 strong");
        s.told();
        s.restart("bob").expect("it restarts");
        s.tell("alice", "resolve p+5 = watched & p+6 = forgotten");
        s.heard("bob <- startVat again\n bob <- notify p-1 fulfilled \"watched\"");
        // Watched, and decided by the heap that is lost: the new heap hears that.
        s.tell("bob", "send o+0 nothing(p+7); subscribe p+7; hold p+7 strong");
        s.told();
        s.crash();
        s.run();
        s.heard(
            "alice <- startVat again
             bob <- startVat again
             bob <- notify p+7 rejected [Error: [KERNEL:VAT_RESTARTED] v2 was restarted]",
        );
    });
}

#[test]
fn roots_live_as_long_as_their_vats() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        // Nothing holds bob's root but bob: alice's heap forgets it with the restart of the kernel.
        s.crash();
        s.settle_down();
        assert_eq!(s.tell("bob", ""), "fulfilled [undefined]");
        let root = s.root("bob").into();
        s.ask(Request::Unpin(root)).expect("it is there");
        s.settle_down();
        assert_eq!(s.tell("bob", ""), "fulfilled [undefined]");
        // A vat may give up its own root; it is garbage like any other then.
        s.tell("bob", "abandon o+0");
        s.settle_down();
        assert_eq!(s.status().vats[1].root, None);
        assert_eq!(s.census()["objects"], 1);
        s.terminate("bob");
    });
}

#[test]
fn what_is_garbage_already_cannot_be_brought_back_by_name() {
    both_engines(|engine| {
        let mut s = shared(engine);
        let object = s.reveal("alice", "o+5")[0];
        s.acknowledge_all();
        s.settle_down();
        let (alice, bob) = (s.vat("alice"), s.vat("bob"));
        s.tell_later("bob", "drop o-1; retire o-1", &[]);
        s.run_until_in_flight(bob);
        s.step().expect("the node goes on");
        // For a moment alice is being told; the object is still in the tables.
        s.run_until_in_flight(alice);
        let call = s.send_later(object, "ping", &[]);
        let named = s.send_later(s.root("alice"), "take", &[object]);
        let pinned = s.ask_later(Request::Pin(object));
        s.run();
        assert_eq!(s.fate(call), format!("rejected [Error: [KERNEL:OBJECT_DELETED] {object} does not exist any more]"));
        assert_eq!(s.fate(named), format!("refused {object} is not a reference that this kernel knows"));
        assert_eq!(s.answers[&pinned], Err(Refused::NoSuchReference(object)));
        s.heard(GONE);
    });
}

#[test]
fn garbage_made_while_its_vat_is_told_of_other_garbage_is_not_forgotten() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        s.tell("alice", "send o-1 take(o+d1/1, o+d1/2); hold o-2 strong");
        // Both are garbage and alice is to hear so, but first she starts again and gives one of them to carol.
        let alice = s.vat("alice");
        s.puppets.once("alice", "startVat", "send o-2 take(o+d1/2)");
        s.tell_later("bob", "drop o-1 o-2; retire o-1 o-2", &[]);
        s.ask_later(Request::RestartVat(alice));
        while s.delivery_under_way().is_none_or(|(_, delivery)| delivery.kind() != "dropExports") {
            assert!(s.step().expect("the node goes on"), "alice is never told");
        }
        // While she hears of the first, carol ends, and with her the last hold on the second.
        s.ask_later(Request::TerminateVat { vat: sturdy_types::VatId(3), reason: "why".into() });
        s.settle_down();
        let told = s.told();
        assert!(told.contains("alice <- dropExports o+d1/1\n"), "{told}");
        assert!(told.contains("alice <- dropExports o+d1/2\n"), "{told}");
        assert!(told.contains("alice <- retireExports o+d1/1 o+d1/2\n"), "{told}");
        s.acknowledge_all();
        s.settle_down();
        assert_eq!(s.census()["objects"], 3, "the roots of alice and bob, and carol's, which alice holds");
    });
}
