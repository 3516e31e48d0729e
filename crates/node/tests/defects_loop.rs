//! The reference's defects (kernel-semantics §8.1) in its run loop, each with the scenario in which the reference
//! fails and what happens here.

mod world;

use sturdy_kernel::{Answer, Event, Request};
use sturdy_types::{CapData, KRef, PromiseId};
use world::puppet::Stage;
use world::{both_engines, methargs};

/// Things that no vat may do.
const MISCHIEF: [&str; 31] = [
    "illegal callNow",
    "send o-99 hello()",
    "send p-99 hello()",
    "send o+0 hello(o-99)",
    "send o+0 hello(p-99)",
    "send o+0 hello() -> o+5",
    "send o+0 hello() -> o-1",
    "send o+0 hello() -> p-99",
    "send o+0 hello() -> p+5; send o+0 hello() -> p+5",
    "send o+0 hello() -> p+5; resolve p+5 = 1",
    "subscribe o+0",
    "subscribe o-1",
    "subscribe p-99",
    "resolve p+5 = 1; resolve p-99 = 1",
    "resolve o+5 = 1",
    "resolve p-99 = 1",
    "resolve p-1 = 1",
    "resolve result = o-99",
    "resolve result = 1; resolve result = 2",
    "resolve result = 1 & result != 2",
    "drop o-99",
    "drop o+0",
    "drop p-1",
    "retire o-1",
    "retire p-1",
    "retireExports o+0",
    "retireExports o-1",
    "retireExports o+77",
    "abandon p-1",
    "hold o-99 strong",
    "exit o-99",
];

#[test]
fn defect_03_no_failure_of_a_vat_stops_the_others() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["innocent"]);
        for script in MISCHIEF {
            s.enter(&["villain", "friend"]);
            // The villain has `o-1` reachable, and `p-1` that it does not decide.
            s.tell("innocent", "");
            let promise = s.reveal("friend", "p+5");
            s.tell_with("villain", "keep result; resolve result = undefined", &promise);
            let fate = s.tell("villain", script);
            assert!(fate.starts_with("rejected [Error: [KERNEL:VAT_FATAL:ILLEGAL_SYSCALL]"), "{script}: {fate}");
            assert!(s.status().vats.iter().all(|vat| vat.name != "villain"), "{script}");
            assert_eq!(s.tell("innocent", ""), "fulfilled [undefined]", "{script}");
            s.terminate("friend");
        }
    });
}

#[test]
fn defect_05_a_call_to_an_unknown_promise_is_rejected() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice"]);
        let unknown = KRef::Promise(PromiseId(999));
        assert_eq!(
            s.send(unknown, "hello", &[]),
            "rejected [Error: [KERNEL:OBJECT_DELETED] kp999 does not exist any more]"
        );
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
    });
}

#[test]
fn defect_09_what_arrives_during_an_aborting_crank_is_kept() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let register = Request::RegisterService { name: "clock".into(), system_only: false };
        let Ok(Answer::Service(clock)) = s.ask(register) else { panic!("it is registered") };
        let asked = s.send_later(clock, "now", &[]);
        s.run();
        let bob = s.vat("bob");
        let doomed = s.tell_later("bob", "illegal nonsense", &[]);
        s.run_until_in_flight(bob);
        let message = s.send_later(s.root("alice"), "hello", &[]);
        let call = s.service_calls[0].0;
        let value = CapData::plain("#12");
        s.event(Event::ServiceAnswered { call, rejected: false, value }).expect("the node goes on");
        s.run();
        assert_eq!(s.fate(doomed), "rejected [Error: [KERNEL:VAT_FATAL:ILLEGAL_SYSCALL] nonsense]");
        assert_eq!(s.fate(message), "fulfilled [undefined]");
        assert_eq!(s.fate(asked), "fulfilled 12");
    });
}

#[test]
fn defect_10_what_a_vat_sends_while_it_starts_is_delivered_at_once() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "hold o-1 strong");
        s.puppets.once("alice", "startVat", "send o-1 hello()");
        s.told();
        s.crash();
        s.run();
        s.heard("alice <- startVat again\n bob <- startVat again\n bob <- message o+0 hello()");
    });
}

#[test]
fn defect_15_an_aborted_crank_leaves_no_trace() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        s.tell("carol", "write key value");
        s.acknowledge_all();
        s.settle_down();
        let last_before = s.reveal("alice", "o+4")[0];
        let bob = s.vat("bob");
        let doomed = "write key value; send o+0 hello(o+5, p+5) -> p+6; subscribe p+5; resolve p+5 = o+7; illegal end";
        let ticket = s.tell_later("bob", doomed, &[]);
        s.run_until_in_flight(bob);
        // Another vat ends while the crank that will be undone is under way: its tear-down is not undone with it.
        s.terminate("carol");
        s.run();
        assert_eq!(s.fate(ticket), "rejected [Error: [KERNEL:VAT_FATAL:ILLEGAL_SYSCALL] end]");
        // No reference was handed out, nothing was queued or stored.
        let (KRef::Object(before), KRef::Object(after)) = (last_before, s.reveal("alice", "o+6")[0]) else {
            panic!("they are objects")
        };
        assert_eq!(after.0, before.0 + 1);
        s.acknowledge_all();
        s.settle_down();
        s.told();
        let census = s.census();
        assert_eq!((census["vats"], census["vat-cursors"], census["objects"]), (1, 1, 3)); // alice still holds two roots
        assert_eq!((census.get("vat-state"), census.get("doomed-vats"), census.get("promises")), (None, None, None));
        assert_eq!(s.node().stats().aborted, 1);
    });
}

#[test]
fn a_message_that_is_no_call_is_the_business_of_its_target() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        // The kernel never reads bodies; it refuses references that it does not know.
        let root = s.root("alice");
        let refused = s.ask(Request::Call {
            target: root.into(),
            methargs: methargs("x", "[]", vec![KRef::Promise(PromiseId(999))]),
            request: None,
        });
        assert_eq!(refused.unwrap_err().to_string(), "kp999 is not a reference that this kernel knows");
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
    });
}
