//! Kernel services (kernel-semantics §9 items 79–84).

mod world;

use sturdy_kernel::{Answer, Event, Request};
use sturdy_types::{CapData, KRef, ObjectId, ServiceCallId};
use world::puppet::{Stage, show};
use world::{Engines, both_engines, cluster};

/// A subcluster whose bootstrap vat, alice, has the service as `o-2`.
fn served(engine: Engines) -> (Stage, ObjectId) {
    let mut s = Stage::on(engine, &["alice", "bob"]);
    let register = Request::RegisterService { name: "clock".into(), system_only: false };
    let Ok(Answer::Service(clock)) = s.ask(register) else { panic!("it is registered") };
    s.tell_with("alice", "hold $0 strong", &[clock.into()]);
    s.told();
    (s, clock)
}

fn answer(s: &mut Stage, call: ServiceCallId, rejected: bool, value: CapData<KRef>) {
    s.event(Event::ServiceAnswered { call, rejected, value }).expect("the node goes on");
    s.run();
}

#[test]
fn item_79_a_service_registered_again_is_the_same_object() {
    both_engines(|engine| {
        let (mut s, clock) = served(engine);
        let register = |system_only| Request::RegisterService { name: "clock".into(), system_only };
        assert_eq!(s.ask(register(false)), Ok(Answer::Service(clock)));
        s.crash();
        assert_eq!(s.ask(register(true)), Ok(Answer::Service(clock)));
        assert!(s.status().services[0].system_only);
    });
}

#[test]
fn item_80_a_service_gets_the_call_and_its_answer_reaches_the_caller() {
    both_engines(|engine| {
        let (mut s, _) = served(engine);
        s.tell("alice", "ask o-2 now(3, o+5, p+7) -> p+5; ask o-2 fail() -> p+6; send o-2 oneWay()");
        let calls = std::mem::take(&mut s.service_calls);
        let (call, name, methargs) = calls[0].clone();
        assert_eq!((name.as_str(), show(&methargs)), ("clock", "[\"now\", [3, <ko4>, <kp4>]]".into()));
        assert_eq!(calls.len(), 3);
        s.heard("");
        // References come back as references.
        answer(&mut s, call, false, CapData { body: "#[\"$0\"]".into(), slots: methargs.slots[..1].to_vec() });
        answer(&mut s, calls[1].0, true, CapData::plain("#\"no such method\""));
        answer(&mut s, calls[2].0, false, CapData::plain("#1"));
        s.heard(
            "alice <- notify p+5 fulfilled [<o+5>]
             alice <- dropExports o+5
             alice <- retireExports o+5
             alice <- notify p+6 rejected \"no such method\"",
        );
        // A second answer, and an answer to a call that never was, change nothing.
        answer(&mut s, call, false, CapData::plain("#2"));
        answer(&mut s, ServiceCallId(999), true, CapData::plain("#2"));
        s.settle_down();
        s.heard("");
        assert_eq!(s.census().get("service-calls"), None);
    });
}

#[test]
fn item_80_an_answer_that_names_nothing_known_is_a_failed_delivery() {
    both_engines(|engine| {
        let (mut s, _) = served(engine);
        s.tell("alice", "ask o-2 now() -> p+5");
        let call = s.service_calls[0].0;
        answer(&mut s, call, false, CapData { body: "#\"$0\"".into(), slots: vec![ObjectId(99).into()] });
        s.heard("alice <- notify p+5 rejected [Error: [KERNEL:DELIVERY_FAILED] the service answered with ko99, which does not exist]");
    });
}

#[test]
fn item_81_a_service_may_wait_for_the_crank_and_call_back() {
    both_engines(|engine| {
        let (mut s, clock) = served(engine);
        let bob = s.vat("bob");
        s.tell_later("bob", "", &[]);
        let asked = s.send_later(clock, "now", &[]);
        s.run_until_in_flight(bob);
        s.commit().expect("it is durable");
        let call = s.service_calls[0].0;
        // In the middle of a crank: it calls a vat, and answers with what it hears.
        let inner = s.send_later(s.root("bob"), "ping", &[]);
        s.run();
        assert_eq!(s.fate(inner), "fulfilled [undefined]");
        answer(&mut s, call, false, CapData::plain("#1"));
        assert_eq!(s.fate(asked), "fulfilled 1");
    });
}

#[test]
fn a_pipelined_call_waits_for_the_service() {
    both_engines(|engine| {
        let (mut s, _) = served(engine);
        let bob = s.root("bob");
        s.tell("alice", "ask o-2 find() -> p+5; ask p+5 ping() -> p+6");
        s.told();
        let call = s.service_calls[0].0;
        answer(&mut s, call, false, CapData { body: "#\"$0\"".into(), slots: vec![bob.into()] });
        s.heard(
            "alice <- notify p+5 fulfilled <o-1>
             bob <- message o+0 ping() result p-1
             alice <- notify p+6 fulfilled [undefined]",
        );
    });
}

#[test]
fn a_withdrawn_service_still_answers_what_it_was_asked() {
    both_engines(|engine| {
        let (mut s, clock) = served(engine);
        let asked = s.send_later(clock, "now", &[]);
        s.run();
        s.ask(Request::UnregisterService("clock".into())).expect("it is there");
        let late = s.send(clock, "now", &[]);
        assert_eq!(late, format!("rejected [Error: [KERNEL:OBJECT_DELETED] {clock} does not exist any more]"));
        let call = s.service_calls[0].0;
        answer(&mut s, call, false, CapData::plain("#1"));
        assert_eq!(s.fate(asked), "fulfilled 1");
        // Registered again it is another object.
        let again = s.ask(Request::RegisterService { name: "clock".into(), system_only: false });
        assert!(again.is_ok_and(|answer| answer != Answer::Service(clock)));
    });
}

#[test]
fn item_84_services_work_after_a_reset() {
    both_engines(|engine| {
        let (mut s, clock) = served(engine);
        s.ask(Request::Reset).expect("it is reset");
        let mut config = cluster(&["carol"]);
        config.services.push("clock".into());
        s.puppets.once("carol", "bootstrap", "send $1 now(); resolve result = undefined");
        let (_, root) = s.try_launch(config).expect("it is launched");
        assert_ne!(root, clock);
        assert_eq!(s.service_calls.len(), 1);
    });
}
