//! Peers that come back: restarts, lost connections, lost stores, ends of conversations.

mod world;

use sturdy_kernel::{Event, OnClose, Request};
use sturdy_types::KernelLimits;
use world::script::{Script, Speaks, garbage, hello};
use world::worlds::{Worlds, peer};

/// Bob in B has the object `o-1` of alice in A; calls of it stay unanswered until alice says so.
fn two() -> Worlds {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "keep $0", &[alice]);
    w.stages[0].puppets.on("alice", "wait", "keep result");
    w.settle_down();
    w
}

fn told(w: &Worlds, world: usize) -> String {
    w.stages[world].told()
}

#[test]
fn messages_wait_for_the_connection() {
    let mut w = two();
    w.up = false;
    w.cut_off(0);
    w.tell(1, "bob", "ask o-1 hello() -> p+5", &[]);
    assert_eq!(w.info(1, 0).pending_messages, 1);
    w.up = true;
    w.run();
    assert!(told(&w, 0).contains("hello()"));
    assert!(told(&w, 1).contains("notify p+5 fulfilled"));
}

#[test]
fn both_dial_at_once() {
    let mut w = two();
    w.cut(0);
    w.cut_off(1);
    w.tell_later(1, "bob", "ask o-1 hello() -> p+5", &[]);
    w.dial(0, 1);
    w.dial(1, 0);
    w.run();
    assert!(told(&w, 1).contains("notify p+5 fulfilled"));
    assert_eq!(told(&w, 0).matches("hello()").count(), 1);
}

#[test]
fn a_restart_of_either_side_loses_nothing() {
    for crashed in [0, 1] {
        let mut w = two();
        w.stages[0].puppets.on("alice", "hello", "resolve result = 7");
        w.stages[1].puppets.on("bob", "go", "send o-1 hello() -> result");
        let bob = w.stages[1].root("bob");
        w.stages[1].send_named("r", bob, "go");
        w.run_world(1);
        w.crash(crashed);
        w.run();
        let again = w.stages[1].send_named("r", bob, "go");
        w.run();
        assert_eq!(w.stages[1].fate(again), "fulfilled 7");
        assert_eq!(told(&w, 0).matches("hello()").count(), 1);
    }
}

#[test]
fn a_peer_without_its_state_rejects_what_it_decided() {
    let mut w = two();
    w.tell(1, "bob", "ask o-1 wait() -> p+5; ask p+5 more() -> p+6", &[]);
    w.stages[1].told();
    w.lose_store(0, &["alice"]);
    w.run();
    let bob = told(&w, 1);
    assert!(bob.contains("notify p+5 rejected [Error: [KERNEL:PEER_RESTARTED]"), "{bob}");
    assert!(bob.contains("notify p+6 rejected [Error: [KERNEL:PEER_RESTARTED]"), "{bob}");
    w.tell(1, "bob", "ask o-1 hello() -> p+7", &[]);
    assert!(told(&w, 1).contains("notify p+7 rejected [Error: [KERNEL:OBJECT_DELETED]"));
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "ask $0 hello() -> p+8", &[alice]);
    assert!(told(&w, 1).contains("notify p+8 fulfilled"));
}

#[test]
fn what_a_lost_incarnation_held_can_only_be_redeemed_again() {
    let mut w = two();
    w.lose_store(1, &["bob"]);
    w.tell(0, "alice", "keep", &[]);
    assert_eq!(w.info(0, 1).held_by_lost, 1);
    assert!(w.stages[0].census().contains_key("losses"));
    let alice = w.introduce(0, "alice", 1);
    assert_eq!(w.info(0, 1).held_by_lost, 0, "it is its own again");
    assert!(!w.stages[0].census().contains_key("losses"));
    w.tell(1, "bob", "ask $0 hello() -> p+5", &[alice]);
    assert!(told(&w, 1).contains("notify p+5 fulfilled"));
    assert_eq!(w.info(0, 1).offences, 0);
}

/// The new life of a peer says the name that the old one was given, and then redeems.
#[test]
fn the_name_of_a_lost_incarnation_opens_nothing() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    script.w.dial(1, 0);
    script.w.forge(0, &hello(Speaks::Sturdy, "cc", 1, None, [1, 1, 0]));
    script.seq = 0;
    assert_eq!(script.w.info(0, 1).held_by_lost, 1);
    script.frames();
    script.call("ro-1", "hello", "rp+1", &[]);
    let told = script.frames().concat();
    assert!(told.contains("OBJECT_DELETED") && told.contains("rp-1"), "{told}");
    // Nor does letting go of it let go of what the old life held.
    script.say(&garbage("dropExports", &["ro-1"]));
    script.say(&garbage("retireExports", &["ro-1"]));
    assert_eq!((script.w.info(0, 1).held_by_lost, script.offences()), (1, 0));
    assert_eq!(script.w.stages[0].told(), "");
    script.say(r#""method":"redeemURL","params":["url","k2"]"#);
    script.call("ro-1", "hello", "rp+2", &[]);
    assert!(script.w.stages[0].told().contains("hello()"));
    assert_eq!(script.w.info(0, 1).held_by_lost, 0);
}

#[test]
fn what_a_lost_incarnation_held_is_let_go_of_in_the_end() {
    let limits = KernelLimits { lost_exports_age_ms: 1_000_000, ..KernelLimits::default() };
    let mut w = Worlds::with_limits(&limits, &[&["alice"], &["bob"]]);
    let before = w.stages[0].census();
    w.tell(0, "alice", "keep", &[]);
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "keep $0", &[alice]);
    w.lose_store(1, &["bob"]);
    w.tell(0, "alice", "keep", &[]);
    w.run();
    assert_eq!(w.info(0, 1).held_by_lost, 1);
    let lost_at = w.stages[0].now();
    for (at, held) in [(900_000, 1), (1_100_000, 0)] {
        let passed = w.stages[0].now() - lost_at;
        for stage in &mut w.stages {
            stage.pass_time(at - passed);
            stage.event(Event::Idle).expect("the node goes on");
        }
        w.run();
        assert_eq!(w.info(0, 1).held_by_lost, held, "after {at} ms");
    }
    let after = w.stages[0].census();
    for table in ["remote-names", "remote-refs", "losses", "objects"] {
        assert_eq!(before.get(table), after.get(table), "{table}");
    }
}

/// By the clock of a process that is gone the loss lies ahead: its age begins with the clock that there is.
#[test]
fn a_loss_by_a_clock_that_was_ahead_comes_of_age() {
    let limits = KernelLimits { lost_exports_age_ms: 1_000_000, ..KernelLimits::default() };
    let mut w = Worlds::with_limits(&limits, &[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "keep $0", &[alice]);
    w.lose_store(1, &["bob"]);
    w.tell(0, "alice", "keep", &[]);
    w.run();
    w.up = false;
    w.crash(0);
    w.stages[0].set_clock(0);
    for (passes, held) in [(0, 1), (999_999, 1), (1, 0)] {
        w.stages[0].pass_time(passes);
        w.stages[0].event(Event::Idle).expect("the node goes on");
        w.stages[0].run();
        assert_eq!(w.info(0, 1).held_by_lost, held, "{passes}");
    }
}

#[test]
fn giving_up_rejects_and_both_begin_again() {
    let mut w = two();
    w.tell(1, "bob", "ask o-1 wait() -> p+5", &[]);
    w.stages[1].told();
    w.stages[1].ask(Request::GiveUp(peer(0))).expect("it is given up");
    w.run();
    let bob = told(&w, 1);
    assert!(bob.contains("notify p+5 rejected [Error: [KERNEL:CONNECTION_LOST]"), "{bob}");
    w.tell(1, "bob", "ask o-1 hello() -> p+7", &[]);
    assert!(told(&w, 1).contains("notify p+7 fulfilled"));
    assert_eq!(w.info(0, 1).conversation, w.info(1, 0).conversation);
    assert_eq!(w.info(0, 1).conversation, 2);
}

#[test]
fn a_closed_peer_is_not_talked_to() {
    let mut w = two();
    w.tell(1, "bob", "ask o-1 wait() -> p+5", &[]);
    w.stages[1].told();
    w.stages[1].ask(Request::ClosePeer { peer: peer(0), pending: OnClose::Keep }).expect("it is closed");
    w.run_world(1);
    w.tell_later(1, "bob", "ask o-1 hello() -> p+6", &[]);
    w.run_world(1);
    let bob = told(&w, 1);
    assert!(bob.contains("notify p+6 rejected [Error: [KERNEL:CONNECTION_CLOSED]"), "{bob}");
    assert!(!bob.contains("p+5"), "{bob}");
    w.stages[1].ask(Request::ReconnectPeer(peer(0))).expect("it is open");
    w.run();
    w.tell(1, "bob", "ask o-1 hello() -> p+7", &[]);
    assert!(told(&w, 1).contains("notify p+7 fulfilled"));
    w.stages[1].ask(Request::ClosePeer { peer: peer(0), pending: OnClose::Discard }).expect("it is closed");
    w.run_world(1);
    assert!(told(&w, 1).contains("notify p+5 rejected [Error: [KERNEL:CONNECTION_CLOSED]"));
}

#[test]
fn a_forgotten_peer_holds_nothing() {
    let mut w = two();
    let before = w.stages[0].census();
    w.tell(1, "bob", "ask o-1 wait(o+5) -> p+5", &[]);
    w.stages[0].ask(Request::ForgetPeer(peer(1))).expect("it is forgotten");
    w.up = false;
    w.settle_down();
    let after = w.stages[0].census();
    assert!(!after.contains_key("remote-names"), "{after:?}");
    assert!(!after.contains_key("remote-refs"), "{after:?}");
    assert!(after["objects"] <= before["objects"] + 1, "{after:?}");
}

/// The peer is not told at once, for it may be away; but it never waits for what will not come.
#[test]
fn who_was_forgotten_hears_it_when_it_greets() {
    for restarts in [false, true] {
        let mut w = two();
        let bob = w.introduce(1, "bob", 0);
        w.tell(0, "alice", "keep $0", &[bob]);
        w.tell(1, "bob", "hold o-1 strong", &[]);
        w.settle_down();
        w.tell(1, "bob", "ask o-1 wait(o+5, o+6) -> p+5; ask p+5 more() -> p+6", &[]);
        w.stages[1].told();
        assert_eq!(w.info(1, 0).pending_messages, 0, "only answers are awaited");
        w.up = false;
        w.cut_off(0);
        w.stages[0].ask(Request::ForgetPeer(peer(1))).expect("it is forgotten");
        if restarts {
            w.crash(1);
        }
        w.settle_down();
        assert!(!told(&w, 1).contains("p+5"), "it has not heard of it");
        w.up = true;
        w.settle_down();
        let bob = told(&w, 1);
        for promise in ["p+5", "p+6"] {
            // A crash loses the heap, and with it whoever would be told.
            let heard = bob.contains(&format!("notify {promise} rejected [Error: [KERNEL:CONNECTION_LOST]"));
            assert!(heard || restarts, "{bob}");
        }
        let rows = |w: &mut Worlds, world: usize, table| w.stages[world].census().get(table).copied().unwrap_or(0);
        assert_eq!(rows(&mut w, 1, "decided-by"), 0);
        assert_eq!((rows(&mut w, 0, "outbox"), rows(&mut w, 1, "outbox")), (0, 0));
        // B keeps its name of alice, which is of no use, and A holds nothing of B.
        assert_eq!((rows(&mut w, 0, "remote-refs"), rows(&mut w, 1, "remote-refs")), (0, 1));
        w.tell(1, "bob", "ask o-1 hello() -> p+8", &[]);
        assert!(told(&w, 1).contains("notify p+8 rejected [Error: [KERNEL:OBJECT_DELETED]"));
        let alice = w.introduce(0, "alice", 1);
        w.tell(1, "bob", "ask $0 hello() -> p+9", &[alice]);
        assert!(told(&w, 1).contains("notify p+9 fulfilled"));
        assert_eq!((w.info(0, 1).offences, w.info(1, 0).offences), (0, 0));
        assert_eq!(w.info(0, 1).conversation, w.info(1, 0).conversation);
    }
}

/// Alice has two objects of bob; there is no connection any more, and then she lets go of one.
fn one_of_two_is_let_go_of() -> Worlds {
    let mut w = two();
    w.tell(1, "bob", "hold o-1 strong; send o-1 take(o+5, o+6)", &[]);
    w.settle_down();
    w.stages[1].told();
    w.up = false;
    w.cut_off(0);
    w.tell_later(0, "alice", "drop o-1; retire o-1", &[]);
    w
}

/// What is under way in A is done, in a group of its own or in that of the request.
fn ask_alices_kernel(w: &mut Worlds, committed_before: bool, request: Request) {
    if committed_before {
        w.run();
    }
    while w.stages[0].step().expect("the node goes on") {}
    w.stages[0].ask_later(request);
}

/// Alice has two objects of bob and lets go of one; then A forgets B, twice, before B greets.
#[test]
fn who_is_forgotten_twice_before_it_greets_keeps_nothing() {
    for committed_between in [true, false] {
        let mut w = one_of_two_is_let_go_of();
        for _ in 0..2 {
            ask_alices_kernel(&mut w, committed_between, Request::ForgetPeer(peer(1)));
        }
        w.up = true;
        w.settle_down();
        let bob = told(&w, 1);
        let retired = bob.lines().filter(|line| line.contains("retireExports")).collect::<String>();
        assert!(retired.contains("o+5") && retired.contains("o+6"), "committed: {committed_between}\n{bob}");
        let rows = |w: &mut Worlds, world: usize, table| w.stages[world].census().get(table).copied().unwrap_or(0);
        // B keeps its name of alice, as after one.
        assert_eq!((rows(&mut w, 0, "remote-refs"), rows(&mut w, 1, "remote-refs")), (0, 1));
        assert_eq!((w.info(0, 1).offences, w.info(1, 0).offences), (0, 0));
    }
}

/// What was on its way when a conversation ended without a loss of state is told in the next one: what we let go of, and
/// what of ours is gone.
#[test]
fn what_was_let_go_of_and_perhaps_not_heard_is_told_after_giving_up() {
    for committed_between in [true, false] {
        let mut w = one_of_two_is_let_go_of();
        ask_alices_kernel(&mut w, committed_between, Request::GiveUp(peer(1)));
        w.run();
        w.up = true;
        w.tell(0, "alice", "send o-2 ping()", &[]);
        w.settle_down();
        let bob = told(&w, 1);
        assert!(bob.contains("o+6 ping()"), "{bob}");
        assert!(bob.contains("retireExports o+5"), "committed: {committed_between}\n{bob}");
        assert_eq!((w.info(0, 1).offences, w.info(1, 0).offences), (0, 0));
    }
}

/// The peer lost its store while we were away, too: nobody else would begin to talk.
#[test]
fn who_waits_for_an_answer_dials_after_a_restart() {
    let mut w = two();
    w.stages[1].puppets.on("bob", "go", "send o-1 wait() -> result");
    let bob = w.stages[1].root("bob");
    w.stages[1].send_named("r", bob, "go");
    w.run();
    w.up = false;
    w.cut_off(0);
    w.lose_store(0, &["alice"]);
    w.crash(1);
    let ticket = w.stages[1].send_named("r", bob, "go");
    w.run();
    assert_eq!(w.stages[1].fate(ticket), "pending");
    w.up = true;
    w.run();
    assert!(w.stages[1].fate(ticket).contains("[KERNEL:PEER_RESTARTED]"), "{}", w.stages[1].fate(ticket));
}

#[test]
fn a_full_outbox_refuses_calls_and_nothing_else() {
    let limits = KernelLimits { remote_outbox_messages: 3, ..KernelLimits::default() };
    let mut w = Worlds::with_limits(&limits, &[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "keep $0", &[alice]);
    w.up = false;
    w.cut_off(0);
    w.tell(1, "bob", "ask o-1 a() -> p+5; ask o-1 a() -> p+6; ask o-1 a() -> p+7; ask o-1 a() -> p+8", &[]);
    let bob = told(&w, 1);
    assert!(bob.contains("notify p+8 rejected [Error: [KERNEL:QUEUE_FULL]"), "{bob}");
    assert!(!bob.contains("notify p+7"), "{bob}");
    w.tell(1, "bob", "ask o-1 a(big:2000000) -> p+9", &[]);
    w.up = true;
    w.run();
    assert_eq!(told(&w, 0).matches(" a()").count(), 3);
    w.tell(1, "bob", "ask o-1 a(big:2000000) -> p+10", &[]);
    assert!(told(&w, 1).contains("notify p+10 rejected [Error: [KERNEL:MESSAGE_TOO_LARGE]"));
    w.stages[0].puppets.on("alice", "big", "resolve result = big:2000000");
    w.tell(1, "bob", "ask o-1 big() -> p+11", &[]);
    assert!(told(&w, 1).contains("notify p+11 rejected [Error: [KERNEL:ANSWER_LOST]"));
}
