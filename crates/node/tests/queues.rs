//! Cranks and queues (kernel-semantics §9 items 6, 10–12, 14–16, 18, 20–22).

mod world;

use sturdy_kernel::{Event, Request};
use sturdy_types::{CallId, CapData, CrankId, KernelLimits, Outcome, RunId, ServiceCallId, VatId};
use world::puppet::Stage;
use world::{Engines, both_engines};

#[test]
fn items_06_and_10_are_what_the_audit_recounts() {
    // Counts never fall below zero and reachable is never above recognizable; a promise has each subscriber once.
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        s.tell("alice", "send o-1 take(p+5); send o-2 take(p+5)");
        s.tell("carol", "subscribe p-1; subscribe p-1");
        s.tell("bob", "subscribe p-1; subscribe p-1; subscribe p-1");
        s.told();
        s.tell("alice", "resolve p+5 = once");
        s.heard("bob <- notify p-1 fulfilled \"once\"\n carol <- notify p-1 fulfilled \"once\"");
        assert_eq!(s.node().audit().expect("the store is readable").problems, Vec::<String>::new());
    });
}

#[test]
fn item_11_one_item_is_one_crank() {
    let mut s = Stage::on(Engines::Memory, &["alice", "bob"]);
    let before = s.node().stats();
    s.tell_later("alice", "times 3 send o-1 ping()", &[]);
    s.run();
    assert_eq!(s.node().stats().cranks - before.cranks, 4);
    assert_eq!(s.told().lines().count(), 4);
}

#[test]
fn item_12_garbage_goes_before_requests_for_it_and_both_before_messages() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(o+5)");
        s.told();
        let alice = s.vat("alice");
        // Bob is busy; meanwhile a message, a request for garbage and garbage gather for alice.
        s.tell_later("bob", "drop o-1; retire o-1", &[]);
        s.send_later(s.root("alice"), "ping", &[]);
        s.ask_later(Request::Reap(vec![alice]));
        s.run();
        let told = s.told();
        let order: Vec<&str> = told.lines().filter(|line| line.starts_with("alice")).collect();
        assert_eq!(
            order,
            [
                "alice <- dropExports o+5",
                "alice <- retireExports o+5",
                "alice <- bringOutYourDead",
                "alice <- message o+0 ping() result p-3",
            ]
        );
    });
}

#[test]
fn item_14_what_a_vat_sends_exists_only_once_its_crank_has_committed() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let alice = s.vat("alice");
        s.tell_later("alice", "send o-1 ping()", &[]);
        s.run_until_in_flight(alice);
        assert_eq!(s.census()["inbox"], 1, "only the message that is being worked on");
        s.step().expect("the node goes on");
        assert_eq!(s.census()["inbox"], 1, "only the one that was sent");
        s.run();
        assert_eq!(s.census().get("inbox"), None);
    });
}

#[test]
fn item_16_the_caller_of_an_undone_crank_is_told() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        assert!(
            s.tell("bob", "send o+0 x(); verdict INTERNAL_ERROR why")
                .starts_with("rejected [Error: [KERNEL:VAT_FATAL:")
        );
    });
}

#[test]
fn item_21_wild_events_change_nothing() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let alice = s.vat("alice");
        let ticket = s.tell_later("alice", "", &[]);
        let rows = s.census();
        let outcome = Outcome::default();
        for (vat, run, crank) in [(alice, RunId(1), CrankId(9_999)), (VatId(9), RunId(1), CrankId(1))] {
            s.event(Event::Delivered { vat, run, crank, outcome: outcome.clone() }).expect("the node goes on");
        }
        let value = CapData::plain("#1");
        s.event(Event::ServiceAnswered { call: ServiceCallId(7), rejected: false, value }).expect("the node goes on");
        assert_eq!(s.census(), rows);
        assert_eq!(s.node().stats().stale_outcomes, 2);
        s.run();
        assert_eq!(s.fate(ticket), "fulfilled [undefined]");
        assert!(s.ask(Request::Acknowledge(CallId(99))).is_err());
    });
}

#[test]
fn item_22_after_a_crash_the_state_is_that_of_the_last_commit() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("bob", "write count 1");
        // One more, whose group is never committed.
        let ticket = s.tell_later("bob", "write count 2", &[]);
        while s.step().expect("the node goes on") {}
        assert_eq!(s.node().vat_state(VatId(2), "count"), Ok(Some("#2".into())));
        assert!(!s.answers.contains_key(&ticket), "nobody outside has seen anything of it (G2)");
        s.crash();
        s.run();
        assert_eq!(s.node().vat_state(VatId(2), "count"), Ok(Some("#1".into())));
        assert!(!s.told().contains("count"));
    });
}

#[test]
fn one_group_of_many_turns_is_one_commit() {
    let mut s = Stage::on(Engines::Memory, &["alice", "bob"]);
    let before = s.node().stats();
    s.tell_later("alice", "times 50 ask o-1 ping() -> p+{i}", &[]);
    s.run();
    let after = s.node().stats();
    assert_eq!(after.commits - before.commits, 1);
    assert!(after.turns - before.turns > 100);
}

#[test]
fn limits_of_output_end_the_vat_that_exceeds_them() {
    both_engines(|engine| {
        let limits = KernelLimits { syscalls_per_crank: 10, ..KernelLimits::default() };
        let mut s = Stage::with_limits(engine, limits, &["alice", "bob"]);
        assert_eq!(s.tell("bob", "times 9 send o+0 x()"), "fulfilled [undefined]");
        let text = "rejected [Error: [KERNEL:VAT_FATAL:OUTPUT_LIMIT] 11 syscalls in one delivery, the limit is 10]";
        assert_eq!(s.tell("bob", "times 10 send o+0 x()"), text);
    });
}

#[test]
fn reaps_come_with_their_limit_and_when_idle_and_not_otherwise() {
    let limits = KernelLimits { deliveries_per_reap: 5, ..KernelLimits::default() };
    let mut s = Stage::with_limits(Engines::Memory, limits, &["alice", "bob"]);
    s.settle_down();
    s.told();
    for _ in 0..11 {
        s.tell("bob", "");
    }
    assert_eq!(s.told().matches("bob <- bringOutYourDead").count(), 2);
    s.event(Event::Idle).expect("the node goes on");
    s.run();
    s.event(Event::Idle).expect("the node goes on");
    s.run();
    assert_eq!(s.told(), "bob <- bringOutYourDead");
}
