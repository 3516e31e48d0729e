//! The reference's defects (kernel-semantics §8.1) in counting and collecting, each with the scenario in which the
//! reference fails and what happens here. The others are in `defects_life.rs` and `defects_loop.rs`.

mod world;

use sturdy_kernel::Request;
use sturdy_types::KernelLimits;
use world::puppet::Stage;
use world::{Engines, both_engines};

#[test]
fn defect_01_the_second_importer_keeps_the_object() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        s.tell("alice", "send o-1 take(o+5); send o-2 take(o+5)");
        s.heard("bob <- message o+0 take(<o-1>)\n carol <- message o+0 take(<o-1>)");
        s.tell("bob", "drop o-1; retire o-1");
        s.settle_down();
        s.heard("");
        s.tell("carol", "send o-1 ping()");
        s.heard("alice <- message o+5 ping()");
        s.tell("carol", "drop o-1; retire o-1");
        s.settle_down();
        s.heard("alice <- dropExports o+5\n alice <- retireExports o+5");
    });
}

#[test]
fn defect_02_an_importer_ends_and_then_the_owner() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let before = {
            let mut empty = Stage::empty(engine, KernelLimits::default());
            empty.rows()
        };
        s.terminate("alice");
        s.settle_down();
        s.terminate("bob");
        s.settle_down();
        assert!(s.status().vats.is_empty());
        assert_eq!(s.rows(), before);
    });
}

#[test]
fn defect_16_calls_leave_nothing_behind() {
    let mut s = Stage::on(Engines::Memory, &["alice", "bob"]);
    s.tell("alice", "ask o-1 ping(o+5) -> p+5");
    s.tell("bob", "drop o-1; retire o-1");
    s.acknowledge_all();
    s.settle_down();
    let before = s.census();
    for round in 0..300 {
        s.tell("alice", &format!("ask o-1 ping() -> p+{}", round + 10));
    }
    s.acknowledge_all();
    s.settle_down();
    assert_eq!(s.census(), before);
}

#[test]
fn defect_17_a_parked_message_is_counted_once() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.acknowledge_all();
        s.settle_down();
        let before = s.census();
        s.puppets.once("bob", "later", "keep result");
        s.tell("alice", "ask o-1 later() -> p+5; ask p+5 one(o+7) -> p+6; ask p+5 two() -> p+8");
        s.tell("bob", "resolve p-1 = o+0; keep result; resolve result = undefined");
        s.heard(
            "bob <- message o+0 later() result p-1
             alice <- notify p+5 fulfilled <o-1>
             bob <- message o+0 one(<o-1>) result p-3
             alice <- notify p+6 fulfilled [undefined]
             bob <- message o+0 two() result p-4
             alice <- notify p+8 fulfilled [undefined]",
        );
        s.tell("bob", "drop o-1; retire o-1");
        s.acknowledge_all();
        s.settle_down();
        assert_eq!(s.census(), before);
    });
}

#[test]
fn defect_18_a_retired_export_is_forgotten() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.acknowledge_all();
        s.settle_down();
        let before = s.census();
        let object = s.reveal("alice", "o+5")[0];
        assert_eq!(s.census()["objects"], before["objects"] + 1);
        s.acknowledge_all();
        s.settle_down();
        s.heard("alice <- dropExports o+5\n alice <- retireExports o+5");
        assert_eq!(s.census(), before);
        assert_eq!(
            s.send(object, "ping", &[]),
            format!("rejected [Error: [KERNEL:OBJECT_DELETED] {object} does not exist any more]")
        );
    });
}

#[test]
fn defect_19_garbage_wakes_the_kernel_and_vats_are_asked_for_it() {
    let limits = KernelLimits { deliveries_per_reap: 3, ..KernelLimits::default() };
    let mut s = Stage::with_limits(Engines::Memory, limits, &["alice", "bob"]);
    s.settle_down();
    s.told();
    // Every third delivery is followed by a request for garbage, with no further stimulus.
    for _ in 0..3 {
        s.tell("bob", "");
    }
    let told = s.told();
    assert!(told.ends_with("bob <- bringOutYourDead"), "{told}");
    // A request for garbage, and the actions that follow from it, need no message to be noticed.
    s.tell("alice", "send o-1 take(o+5)");
    s.puppets.once("bob", "bringOutYourDead", "drop o-1; retire o-1");
    s.told();
    let bob = s.vat("bob");
    s.ask(Request::Reap(vec![bob])).expect("bob lives");
    s.heard("alice <- dropExports o+5\n alice <- retireExports o+5");
}

#[test]
fn defect_22_a_promise_told_in_an_earlier_batch_leaves_no_count() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.acknowledge_all();
        s.settle_down();
        let before = s.census();
        // Bob waits for two promises; one batch tells both, the second notification finds nothing to tell.
        s.puppets.once("bob", "take", "subscribe $0; subscribe $1");
        s.tell("alice", "send o-1 take(p+5, p+6)");
        s.tell("alice", "resolve p+5 = [p+6] & p+6 = [p+5]");
        s.heard(
            "bob <- message o+0 take(<p-1>, <p-2>)
             bob <- notify p-1 fulfilled [<p-2>], p-2 fulfilled [<p-1>]",
        );
        s.acknowledge_all();
        s.settle_down();
        assert_eq!(s.census(), before);
    });
}

#[test]
fn defect_22_a_message_follows_promises_to_their_end() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        // p+5 is fulfilled with p+6, which is fulfilled with an object already.
        s.tell("alice", "send o-1 take(p+6); resolve p+6 = o-1");
        s.tell("alice", "ask p+7 ping() -> p+8; resolve p+9 = o-1 & p+7 = p+9");
        s.heard(
            "bob <- message o+0 take(<p-1>)
             bob <- message o+0 ping() result p-2
             alice <- notify p+8 fulfilled [undefined]",
        );
    });
}

#[test]
fn defect_22_an_import_given_again_can_be_reached_again() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(o+5); hold o-1 strong");
        s.tell("bob", "drop o-1");
        s.settle_down();
        s.tell("alice", "send o-1 take(o+5)");
        s.settle_down();
        s.heard("bob <- message o+0 take(<o-1>)\n alice <- dropExports o+5\n bob <- message o+0 take(<o-1>)");
        s.tell("bob", "send o-1 ping()");
        s.heard("alice <- message o+5 ping()");
        s.tell("bob", "drop o-1; retire o-1");
        s.heard("alice <- dropExports o+5\n alice <- retireExports o+5");
    });
}
