//! How attempts and conversations end (L10), and who may begin again. The table of `crates/remote/LINK.md` is made to
//! happen.

mod world;

use sturdy_kernel::{Event, OnClose, Patience, Request, Ticket};
use sturdy_node::remote::Side;
use sturdy_store::RemoteState;
use sturdy_types::{ConnectionId, KRef, KernelLimits, OcapUrl, Oid};
use world::worlds::{Worlds, peer};

/// Bob in B has the object `o-1` of alice in A, and she has his promise `p+9`.
fn two(limits: &KernelLimits) -> Worlds {
    two_and_alice(limits).0
}

fn two_and_alice(limits: &KernelLimits) -> (Worlds, KRef) {
    let mut w = Worlds::with_limits(limits, &[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "keep $0; hold $0 strong", &[alice]);
    w.stages[0].puppets.on("alice", "wait", "keep result");
    w.stages[0].puppets.on("alice", "take", "subscribe $0");
    w.tell(1, "bob", "send o-1 take(p+9)", &[]);
    w.stages[1].told();
    (w, alice)
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    NetworkStopped,
    ClosedKeep,
    ClosedDiscard,
    GivenUp,
    GivenUpByPolicy,
    PeerRestarted,
}

const FAILURES: [(Failure, &str); 6] = [
    (Failure::NetworkStopped, "network or process stopped"),
    (Failure::ClosedKeep, "closed on purpose, kept"),
    (Failure::ClosedDiscard, "closed on purpose, discarded"),
    (Failure::GivenUp, "given up on request"),
    (Failure::GivenUpByPolicy, "given up by policy"),
    (Failure::PeerRestarted, "peer has lost its state"),
];

/// Who asks, before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    PendingCall,
    PendingRedemption,
    Vat,
    Host,
    Redemption,
    Settlement,
    Garbage,
    Timer,
}

const ASKS: [Asks; 8] = [
    Asks::PendingCall,
    Asks::PendingRedemption,
    Asks::Vat,
    Asks::Host,
    Asks::Redemption,
    Asks::Settlement,
    Asks::Garbage,
    Asks::Timer,
];

fn fail(w: &mut Worlds, failure: Failure) {
    match failure {
        Failure::NetworkStopped => w.crash(1),
        Failure::ClosedKeep | Failure::ClosedDiscard => {
            let pending = if failure == Failure::ClosedKeep { OnClose::Keep } else { OnClose::Discard };
            w.stages[1].ask(Request::ClosePeer { peer: peer(0), pending }).expect("it is closed");
        }
        Failure::GivenUp => {
            w.stages[1].ask(Request::GiveUp(peer(0))).expect("it is given up");
        }
        Failure::GivenUpByPolicy => {
            let patience = Patience { max_attempts: Some(1), give_up_after_ms: None };
            w.stages[1].ask(Request::SetPatience { peer: peer(0), patience }).expect("it is patient");
            w.stages[1].event(Event::DialFailed { peer: peer(0) }).expect("the node goes on");
        }
        Failure::PeerRestarted => {
            w.lose_store(0, &["alice"]);
            w.up = true;
            w.run();
            w.up = false;
            w.cut_off(0);
        }
    }
    w.run_world(1);
}

fn redeem(w: &mut Worlds, key: &str) -> Ticket {
    let url = OcapUrl { oid: Oid::from_random(&[1; 32]), peer: peer(0), hints: Vec::new() };
    w.stages[1].ask_later(Request::Redeem { url, me: peer(1), key: key.into(), request: None })
}

fn fate(w: &Worlds, ticket: Ticket) -> String {
    match w.stages[1].result_if_any(ticket) {
        None => "waits".into(),
        Some(settled) => {
            let text = world::puppet::said(&settled);
            let code = text.split_once("[KERNEL:").and_then(|(_, rest)| rest.split_once(']'));
            code.map_or(text.clone(), |(code, _)| code.to_owned())
        }
    }
}

/// What a failure does to whoever asks.
fn effect(failure: Failure, asks: Asks) -> String {
    let (mut w, alice) = two_and_alice(&KernelLimits::default());
    w.up = false;
    w.cut_off(0);
    let before = match asks {
        Asks::PendingCall => Some(w.stages[1].tell_named("pending", "bob", "send o-1 wait() -> result")),
        Asks::PendingRedemption => Some(redeem(&mut w, "r1")),
        _ => None,
    };
    w.run_world(1);
    let named = before.is_some() && failure == Failure::NetworkStopped;
    // Without anything pending the process goes on: what a heap loses is not the link's business.
    if named || failure != Failure::NetworkStopped {
        fail(&mut w, failure);
    }
    let ticket = match asks {
        // After a restart the same name is asked for again; a redemption has no name, but its row is there still.
        Asks::PendingCall if named => Some(w.stages[1].tell_named("pending", "bob", "keep result")),
        Asks::PendingRedemption if named => {
            assert_eq!(w.stages[1].census().get("redemptions"), Some(&1));
            return "waits".into();
        }
        Asks::PendingCall | Asks::PendingRedemption => before,
        Asks::Vat => Some(w.stages[1].tell_named("new", "bob", "send o-1 wait() -> result")),
        Asks::Host => Some(w.send_later(1, alice, "wait")),
        Asks::Redemption => Some(redeem(&mut w, "r2")),
        Asks::Settlement => {
            w.tell_later(1, "bob", "resolve p+9 = 1", &[]);
            None
        }
        Asks::Garbage => {
            w.tell_later(1, "bob", "hold o-1 none; drop o-1; retire o-1", &[]);
            None
        }
        Asks::Timer => {
            w.stages[1].pass_time(3_600_000);
            w.stages[1].event(Event::Tick).expect("the node goes on");
            None
        }
    };
    let state = w.info(1, 0).state;
    w.run_world(1);
    let wanted = w.stages[1].node().wants(&peer(0));
    let Some(ticket) = ticket else {
        assert_eq!(w.info(1, 0).state, state, "nobody but a user revives a peer");
        return (if wanted { "dials" } else { "nothing" }).into();
    };
    let fate = fate(&w, ticket);
    if fate == "waits" && matches!(asks, Asks::Vat | Asks::Host | Asks::Redemption) {
        assert!(wanted && w.info(1, 0).state == RemoteState::Open, "{failure:?} {asks:?}");
        return "dials".into();
    }
    fate
}

#[test]
fn the_table_of_ends_is_true() {
    let document = include_str!("../../remote/LINK.md");
    let row = |(failure, text)| {
        let effects: Vec<String> = ASKS.into_iter().map(|asks| effect(failure, asks)).collect();
        format!("| {text} | {} |", effects.join(" | "))
    };
    let rows: Vec<String> = FAILURES.into_iter().map(row).collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !document.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "LINK.md says otherwise than\n{missing:#?}");
}

fn failed(w: &mut Worlds) {
    w.stages[1].event(Event::DialFailed { peer: peer(0) }).expect("the node goes on");
    w.run_world(1);
}

fn waiting(limits: &KernelLimits) -> Worlds {
    let mut w = two(limits);
    w.up = false;
    w.cut_off(0);
    w.tell(1, "bob", "ask o-1 wait() -> p+5", &[]);
    w
}

#[test]
fn by_default_a_peer_is_waited_for_as_long_as_it_takes() {
    let mut w = waiting(&KernelLimits::default());
    for _ in 0..100 {
        w.stages[1].pass_time(86_400_000);
        failed(&mut w);
    }
    assert!(w.stages[1].node().wants(&peer(0)));
    w.up = true;
    w.tell(0, "alice", "keep", &[]);
    assert!(w.stages[0].told().contains("wait()"));
}

#[test]
fn attempts_are_counted_over_restarts_and_end_the_waiting() {
    let limits = KernelLimits { give_up_attempts: Some(3), ..KernelLimits::default() };
    let mut w = waiting(&limits);
    w.stages[1].told();
    failed(&mut w);
    let since = w.info(1, 0).unreachable_since;
    assert_eq!(since, Some(w.stages[1].now()));
    w.stages[1].pass_time(1_000);
    failed(&mut w);
    w.crash(1);
    assert_eq!(w.info(1, 0).unreachable_since, since, "it is durable, and of the first attempt");
    assert_eq!(w.info(1, 0).state, RemoteState::Open);
    failed(&mut w);
    assert_eq!(w.info(1, 0).state, RemoteState::GivenUp);
    assert!(!w.stages[1].node().wants(&peer(0)));
    failed(&mut w);
    assert_eq!((w.info(1, 0).pending_messages, w.info(1, 0).conversation), (0, 2));
}

#[test]
fn time_ends_the_waiting_and_a_peer_may_have_its_own_policy() {
    let limits = KernelLimits { give_up_after_ms: Some(60_000), ..KernelLimits::default() };
    for (own, given_up_after) in [(None, 60_000), (Some(600_000), 600_000)] {
        let mut w = waiting(&limits);
        w.stages[1].told();
        let patience = Patience { max_attempts: None, give_up_after_ms: own };
        w.stages[1].ask(Request::SetPatience { peer: peer(0), patience }).expect("it is patient");
        failed(&mut w);
        w.stages[1].pass_time(given_up_after - 1);
        failed(&mut w);
        assert_eq!(w.info(1, 0).state, RemoteState::Open);
        w.stages[1].pass_time(1);
        failed(&mut w);
        assert_eq!(w.info(1, 0).state, RemoteState::GivenUp);
        let bob = w.stages[1].told();
        assert!(bob.contains("notify p+5 rejected [Error: [KERNEL:CONNECTION_LOST]"), "{bob}");
    }
}

/// Waiting that began by a clock that was ahead is waiting that begins now.
#[test]
fn a_clock_that_is_earlier_after_a_restart_prolongs_no_waiting() {
    let mut w = waiting(&KernelLimits { give_up_after_ms: Some(60_000), ..KernelLimits::default() });
    failed(&mut w);
    let earlier = w.stages[1].now() - 900_000;
    w.crash(1);
    w.stages[1].set_clock(earlier);
    failed(&mut w);
    assert_eq!((w.info(1, 0).unreachable_since, w.info(1, 0).state), (Some(earlier), RemoteState::Open));
    w.stages[1].pass_time(60_000);
    failed(&mut w);
    assert_eq!(w.info(1, 0).state, RemoteState::GivenUp);
}

/// No deadline is added up beyond what a time can be.
#[test]
fn a_clock_that_is_far_ahead_after_a_restart_harms_nothing() {
    let mut w = waiting(&KernelLimits::default());
    failed(&mut w);
    for world in [0, 1] {
        w.crash(world);
        w.stages[world].set_clock(u64::MAX - 1);
    }
    failed(&mut w);
    assert_eq!(w.info(1, 0).state, RemoteState::Open);
    let half_open = Event::Connected { connection: ConnectionId(900), peer: "Z".into(), side: Side::Listener };
    w.stages[1].event(half_open).expect("the node goes on");
    w.stages[1].event(Event::Tick).expect("the node goes on");
    w.up = true;
    w.dial(1, 0);
    for _ in 0..50 {
        w.run_world(0);
        w.run_world(1);
        w.carry(0);
    }
    assert!(w.stages[0].told().contains("wait()"), "they meet and talk");
    assert_eq!(w.stages[1].node().deadline(), Some(u64::MAX), "a handshake that is not over");
}

#[test]
fn a_meeting_clears_what_failed() {
    let limits = KernelLimits { give_up_attempts: Some(2), ..KernelLimits::default() };
    let mut w = waiting(&limits);
    failed(&mut w);
    w.up = true;
    w.run();
    assert_eq!(w.info(1, 0).unreachable_since, None);
    w.up = false;
    w.cut_off(0);
    w.tell(1, "bob", "ask o-1 wait() -> p+6", &[]);
    failed(&mut w);
    assert_eq!(w.info(1, 0).state, RemoteState::Open, "the first of its kind");
}

/// A connection on which nothing was ever heard is a failed attempt; one that was refused with words is none.
#[test]
fn a_connection_without_an_answer_is_a_failed_attempt() {
    let mut w = waiting(&KernelLimits::default());
    w.mute = Some(0);
    w.dial(1, 0);
    w.run_world(1);
    w.cut_off(1);
    w.run_world(1);
    assert!(w.info(1, 0).unreachable_since.is_some());
}

/// Both have dialled, they talk on one connection, and the other one ends before its handshake is over.
#[test]
fn who_is_talked_to_is_not_unreachable() {
    const WEEK_MS: u64 = 7 * 86_400_000;
    let mut w = two(&KernelLimits { give_up_after_ms: Some(WEEK_MS), ..KernelLimits::default() });
    w.dial(1, 0);
    w.break_line(w.newest());
    assert_eq!(w.info(1, 0).unreachable_since, None);
    failed(&mut w);
    assert_eq!(w.info(1, 0).unreachable_since, None, "told late");
    w.stages.iter_mut().for_each(|stage| stage.pass_time(WEEK_MS));
    w.up = false;
    w.cut_off(0);
    w.tell(1, "bob", "ask o-1 wait() -> p+5", &[]);
    failed(&mut w);
    assert_eq!(w.info(1, 0).state, RemoteState::Open, "the first of its kind");
    assert_eq!(w.info(1, 0).unreachable_since, Some(w.stages[1].now()));
}

#[test]
fn a_closed_peer_is_refused_when_it_dials_and_after_a_restart() {
    let mut w = two(&KernelLimits::default());
    w.up = false;
    w.stages[1].ask(Request::ClosePeer { peer: peer(0), pending: OnClose::Keep }).expect("it is closed");
    w.run_world(1);
    w.crash(1);
    assert_eq!(w.info(1, 0).state, RemoteState::Closed);
    assert!(w.has_no_connection());
    w.dial(0, 1);
    w.run_world(0);
    assert!(w.carry_to(1));
    w.run_world(1);
    assert_eq!(w.info(1, 0).state, RemoteState::Closed);
    assert!(w.has_no_connection());
    assert!(w.heard.last().is_some_and(|(to, frame)| *to == 1 && frame.contains("handshake")), "it answers nothing");
}
