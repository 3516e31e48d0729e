//! The weaknesses of the reference (wire-protocol §8), as far as they are a kernel's and a node's: each test shows that
//! Sturdy does not have the one in its name. Those of transports, identities and processes are tested where these live.

mod world;

use sturdy_kernel::{Effect, Event, OnClose, Request};
use sturdy_node::AuditMode;
use sturdy_types::{Code, ConnectionId, ErrorClass, KernelLimits, OcapUrl, Oid, classify};
use world::script::{Script, Speaks, call, notify, number};
use world::worlds::{Worlds, peer};

/// Bob in B has alice of A, and she does not answer `wait`.
fn two() -> Worlds {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "hold $0 strong", &[alice]);
    w.stages[0].puppets.on("alice", "wait", "keep result");
    w.stages[1].told();
    w.stages[0].told();
    w
}

fn sturdy() -> Script {
    Script::acquainted(&KernelLimits::default(), Speaks::Sturdy)
}

fn told(w: &Worlds, world: usize) -> String {
    w.stages[world].told()
}

/// Several first messages wait for one dial: one handshake, then all of them in order.
#[test]
fn w_01_first_sends_that_wait_for_one_dial_go_out_in_order() {
    let mut script = sturdy();
    script.acknowledge();
    script.w.cut_off(0);
    for call in 1..=3 {
        script.tell(&format!("send o-1 go{call}()"));
    }
    let frames = script.frames();
    assert_eq!(frames.iter().filter(|frame| frame.contains("\"handshake\"")).count(), 1, "{frames:?}");
    assert_eq!(frames.len(), 1, "nothing is said before the answer: {frames:?}");
    let ours = script.w.stages[0].node().store().incarnation().to_string();
    let position = [script.seq + 1, script.seq + 1, script.heard()];
    let ack = world::script::hello(Speaks::Sturdy, "bb", 1, Some(&ours), position)
        .replace("\"handshake\"", "\"handshakeAck\"");
    script.w.forge(0, &ack);
    let order: Vec<u64> = script.frames().iter().filter_map(|frame| number(frame, "seq")).collect();
    assert_eq!(order, [3, 4, 5]);
}

/// What is missing is not acknowledged by what follows it.
#[test]
fn w_02_a_gap_is_never_acknowledged() {
    let mut script = sturdy();
    script.acknowledge();
    script.seq += 1;
    script.call("ro-1", "later", "rp+9", &[]);
    script.pass(1_000);
    assert!(script.frames().iter().all(|frame| number(frame, "ack").is_none_or(|ack| ack <= 2)));
    let missing = format!("{{\"seq\":3,{}}}", call("ro-1", "first", "rp+8", &[]));
    script.w.forge(0, &missing);
    let alice = script.w.stages[0].told();
    assert!(alice.find("first()") < alice.find("later()"), "{alice}");
    script.pass(1_000);
    assert!(script.frames().iter().any(|frame| number(frame, "ack") == Some(4)));
}

#[test]
fn w_03_promises_are_rejected_when_a_peer_is_lost_or_restarted() {
    for (code, restarted) in [("CONNECTION_LOST", false), ("PEER_RESTARTED", true)] {
        let mut w = two();
        w.tell(1, "bob", "ask o-1 wait() -> p+5; ask p+5 more() -> p+6", &[]);
        if restarted {
            w.lose_store(0, &["alice"]);
        } else {
            w.stages[1].ask(Request::GiveUp(peer(0))).expect("it is given up");
        }
        w.run();
        let bob = told(&w, 1);
        for promise in ["p+5", "p+6"] {
            assert!(bob.contains(&format!("{promise} rejected [Error: [KERNEL:{code}]")), "{bob}");
        }
    }
}

#[test]
fn w_04_a_promise_in_arguments_or_results_settles_on_the_other_side() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "take", "subscribe $0; resolve result = [p+7]");
    w.tell(1, "bob", "ask o-1 take(p+5) -> p+6", &[]);
    let bob = told(&w, 1);
    let inner = bob.split("fulfilled [<").nth(1).and_then(|rest| rest.split('>').next()).expect("a promise").to_owned();
    w.tell(1, "bob", &format!("resolve p+5 = 1; subscribe {inner}"), &[]);
    w.tell(0, "alice", "resolve p+7 = 2", &[]);
    assert!(told(&w, 0).contains("fulfilled 1"));
    assert!(told(&w, 1).contains(&format!("notify {inner} fulfilled 2")));
}

/// What B exported is dropped under the name that B reads as its own.
#[test]
fn w_05_garbage_is_told_with_the_right_sign() {
    let mut script = sturdy();
    script.acknowledge();
    script.tell("drop o-1; retire o-1");
    let frames = script.frames();
    for kind in ["dropExports", "retireExports"] {
        assert!(frames.iter().any(|frame| frame.contains(&format!("[\"{kind}\",[\"ro-1\"]]"))), "{frames:?}");
    }
    script.say(r#""method":"deliver","params":["retireExports",["ro-1"]]"#);
    script.call("ro-1", "hello", "rp+9", &[]);
    assert!(script.w.stages[0].told().contains("hello()"), "who retires what it reaches has said nothing");
}

/// More calls than the reference's limit, and never an acknowledgement.
#[test]
fn w_06_a_peer_that_does_not_acknowledge_stops_nothing() {
    let mut script = sturdy();
    script.w.stages[0].node_mut().set_audit_mode(AuditMode::OnRequest);
    for result in 2..=500 {
        script.call("ro-1", "hello", &format!("rp+{result}"), &[]);
    }
    assert_eq!(script.received(), 501);
    assert_eq!(script.w.stages[0].tell("alice", "resolve result = 7"), "fulfilled 7");
}

#[test]
fn w_07_no_promise_is_hijacked_and_no_reference_is_a_vats() {
    let mut script = sturdy();
    script.call("ro-1", "wait", "rp+5", &[]);
    script.tell("send o-1 take(p+5)");
    script.frames();
    let before = script.offences();
    script.call("ro-1", "hello", "rp+1", &[]); // settled already
    script.call("ro-1", "hello", "rp+5", &[]); // decided by the call that names it
    script.call("ro-1", "hello", "rp-1", &[]); // not its own
    script.say(&notify("rp-1", "1", &[]));
    script.call("ro-1", "hello", "rp+7", &["o+5"]);
    script.call("ro-1", "hello", "rp+7", &["ro+abc"]);
    assert_eq!(script.offences(), before + 6);
    assert!(!script.w.stages[0].told().contains("hello"));
    script.tell("resolve p+5 = 1");
    assert!(script.frames().iter().any(|frame| frame.contains("notify")), "it is still alice's");
}

/// An answer that can never be processed is consumed, so no other will come: whoever waits for it is told (G12).
#[test]
fn w_08_an_answer_that_cannot_be_processed_ends_the_redemption() {
    for named in ["ro-99", "ro-100"] {
        let mut script = sturdy();
        let before = script.offences();
        let url = OcapUrl { oid: Oid::from_random(&[1; 32]), peer: peer(1), hints: Vec::new() };
        let request = Request::Redeem { url, me: peer(0), key: "1".into(), request: None };
        let ticket = script.w.stages[0].ask_later(request);
        script.w.run_world(0);
        script.say(&format!(r#""method":"redeemURLReply","params":[true,"1","{named}"]"#));
        let fate = script.w.stages[0].fate(ticket);
        assert!(fate.contains("DELIVERY_FAILED") && fate.contains("the peer's answer was refused"), "{named}: {fate}");
        assert_eq!((script.offences(), script.rows("redemptions")), (before + 1, 0));
    }
}

/// A late or invented answer to a redemption changes nothing, and what it names is let go again.
#[test]
fn w_08_answers_that_nobody_waits_for_are_let_go() {
    let mut script = sturdy();
    let before = (script.rows("objects"), script.rows("remote-names"));
    let url = OcapUrl { oid: Oid::from_random(&[1; 32]), peer: peer(1), hints: Vec::new() };
    let redeem = |key: &str| Request::Redeem { url: url.clone(), me: peer(0), key: key.into(), request: None };
    let first = script.w.stages[0].ask_later(redeem("1"));
    script.w.run_world(0);
    assert!(script.w.stages[0].ask(redeem("1")).is_err(), "a key is used once");
    script.say(r#""method":"redeemURLReply","params":[true,"0","ro+8"]"#);
    assert!(script.w.stages[0].result(first).is_none());
    script.say(r#""method":"redeemURLReply","params":[true,"1","ro+9"]"#);
    script.say(r#""method":"redeemURLReply","params":[true,"1","ro+10"]"#);
    assert!(script.w.stages[0].result(first).is_some_and(|settled| !settled.rejected));
    script.w.stages[0].acknowledge_all();
    script.w.stages[0].wire_safe_settle_down();
    assert_eq!((script.rows("objects"), script.rows("remote-names")), before);
    assert_eq!(script.offences(), 0);
    let frames = script.frames();
    for name in ["ro-8", "ro-9", "ro-10"] {
        assert!(frames.iter().any(|frame| frame.contains("retireExports") && frame.contains(name)), "{frames:?}");
    }
}

/// The process ends between the commit of a send and its way to the peer.
#[test]
fn w_09_a_restart_with_messages_for_a_peer_loses_none() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "hello", "resolve result = 7");
    let ticket = w.stages[1].tell_named("r", "bob", "send o-1 hello() -> result");
    w.stages[1].run();
    assert_eq!(w.stages[1].result_if_any(ticket), None);
    w.crash(1);
    w.run();
    let again = w.stages[1].tell_named("r", "bob", "keep");
    w.run();
    assert_eq!(w.stages[1].fate(again), "fulfilled 7");
    assert_eq!(told(&w, 0).matches("hello()").count(), 1);
}

#[test]
fn w_10_a_message_that_can_never_be_processed_is_consumed_and_answered() {
    let mut script = sturdy();
    script.call("ro-99", "hello", "rp+5", &[]);
    script.call("ro-1", "hello", "rp+6", &[]);
    script.pass(50);
    let frames = script.frames();
    assert!(frames.iter().any(|frame| frame.contains("[[\"rp-5\",true")), "{frames:?}");
    assert!(frames.iter().any(|frame| frame.contains("[[\"rp-6\",false")), "{frames:?}");
    assert!(frames.iter().filter_map(|frame| number(frame, "ack")).max() == Some(4), "{frames:?}");
    assert_eq!(script.offences(), 1);
}

/// Neither a message nor an acknowledgement leaves before its turn is durable, also while a vat works.
#[test]
fn w_11_nothing_is_said_before_it_is_durable() {
    let mut script = sturdy();
    script.frames();
    let id = script.w.newest();
    let frame = format!("{{\"seq\":3,{}}}", call("ro-1", "hello", "rp+9", &[])).into_bytes();
    script.w.stages[0].event(Event::Received { connection: ConnectionId(id), frame }).expect("the node goes on");
    assert!(script.w.stages[0].in_flight().is_some(), "a vat works on it");
    script.w.stages[0].pass_time(60);
    script.w.stages[0].event(Event::Tick).expect("the node goes on");
    while script.w.stages[0].step().expect("the node goes on") {}
    assert!(!script.w.stages[0].wire.iter().any(|effect| matches!(effect, Effect::Transmit { .. })));
    script.w.stages[0].commit().expect("durable");
    let said = |effect: &&Effect| matches!(effect, Effect::Transmit { .. });
    assert_eq!(script.w.stages[0].wire.iter().filter(said).count(), 1, "the answer");
    // And with a disk that fails, nothing at all.
    let mut script = sturdy();
    script.frames();
    script.w.stages[0].disk.fail_applies_after(0);
    let id = script.w.newest();
    let frame = format!("{{\"seq\":3,{}}}", call("ro-1", "hello", "rp+9", &[])).into_bytes();
    script.w.stages[0].event(Event::Received { connection: ConnectionId(id), frame }).expect("the node goes on");
    assert!(script.w.stages[0].try_run().is_err());
    assert!(script.w.stages[0].wire.is_empty());
}

/// A text opens what it was issued for, and nothing once it is withdrawn, also after a reset.
#[test]
fn w_12_a_url_opens_its_object_and_never_another() {
    let mut script = Script::new(&KernelLimits::default(), Speaks::Sturdy);
    script.say(r#""method":"redeemURL","params":["ko1","k1"]"#);
    script.say(r#""method":"redeemURL","params":["url","k2"]"#);
    let url = script.url.clone();
    script.w.revoke(0, &url);
    script.say(r#""method":"redeemURL","params":["url","k3"]"#);
    script.w.stages[0].ask(Request::Reset).expect("it is reset");
    script.w.stages[0].enter(&["other"]);
    script.say(r#""method":"redeemURL","params":["url","k4"]"#);
    let frames = script.frames();
    for (key, granted) in [("k1", false), ("k2", true), ("k3", false), ("k4", false)] {
        assert!(frames.iter().any(|frame| frame.contains(&format!("[{granted},\"{key}\""))), "{key} {frames:?}");
    }
}

/// The end of an old connection is routine: the new one goes on.
#[test]
fn w_14_the_end_of_an_old_connection_leaves_the_new_one() {
    let mut script = sturdy();
    let old = script.w.newest();
    script.meet_again();
    script.frames();
    let event = Event::Disconnected { connection: ConnectionId(old) };
    script.w.stages[0].event(event).expect("the node goes on");
    script.w.stages[0].run();
    assert!(
        !script.w.stages[0].wire.iter().any(|effect| matches!(effect, Effect::Connect { .. } | Effect::HangUp { .. }))
    );
    script.tell("send o-1 go()");
    assert!(script.frames().iter().any(|frame| frame.contains("go")));
}

#[test]
fn w_15_a_peer_that_cannot_be_dialled_loses_nothing() {
    let mut w = two();
    w.up = false;
    w.cut_off(0);
    w.tell(1, "bob", "ask o-1 hello() -> p+5", &[]);
    for _ in 0..50 {
        w.stages[1].event(Event::DialFailed { peer: peer(0) }).expect("the node goes on");
        w.run_world(1);
        w.stages[1].pass_time(60_000);
    }
    assert!(w.info(1, 0).unreachable_since.is_some());
    // It dials us.
    w.up = true;
    w.dial(0, 1);
    w.run();
    assert!(told(&w, 1).contains("p+5 fulfilled"));
    assert_eq!(w.info(1, 0).unreachable_since, None);
}

/// One message each 20 ms, without a pause and without an answer.
#[test]
fn w_16_a_steady_stream_is_acknowledged() {
    let mut script = sturdy();
    script.w.stages[0].puppets.on("alice", "silent", "keep result");
    script.frames();
    let mut acks = Vec::new();
    for result in 10..60 {
        script.call("ro-1", "silent", &format!("rp+{result}"), &[]);
        script.pass(20);
        acks.extend(script.frames().iter().filter_map(|frame| number(frame, "ack")));
    }
    // Within 50 ms of what it acknowledges; here time passes in steps of 20 ms.
    assert!(acks.len() >= 16, "each 60 ms at least: {acks:?}");
    assert!(acks.is_sorted());
}

#[test]
fn w_17_a_message_too_large_harms_only_itself() {
    let mut w = two();
    w.tell(1, "bob", "ask o-1 a(big:2000000) -> p+5; ask o-1 b() -> p+6", &[]);
    let bob = told(&w, 1);
    assert!(bob.contains("p+5 rejected [Error: [KERNEL:MESSAGE_TOO_LARGE]"), "{bob}");
    assert!(bob.contains("p+6 fulfilled"), "{bob}");
}

/// A stranger leaves nothing here. More in `remotes_strangers.rs`.
#[test]
fn w_19_strangers_leave_nothing() {
    let mut script = Script::new(&KernelLimits { remotes: 5, ..KernelLimits::default() }, Speaks::Sturdy);
    let before = script.w.stages[0].census();
    for number in 0..50u64 {
        let connection = ConnectionId(1_000 + number);
        let peer = format!("stranger {number}");
        let connected = Event::Connected { connection, peer, side: sturdy_node::remote::Side::Listener };
        script.w.stages[0].event(connected).expect("the node goes on");
        let frame = world::script::hello(Speaks::Sturdy, "zz", 1, None, [1, 1, 0]).into_bytes();
        script.w.stages[0].event(Event::Received { connection, frame }).expect("the node goes on");
        for frame in ["garbage", "{}"] {
            let frame = frame.as_bytes().to_vec();
            script.w.stages[0].event(Event::Received { connection, frame }).expect("the node goes on");
        }
        script.w.stages[0].event(Event::Disconnected { connection }).expect("the node goes on");
    }
    assert_eq!(script.w.stages[0].census(), before);
}

/// Addresses of a URL serve its redemption and are kept only if it succeeds. More in `remotes_urls.rs` and in the transport.
#[test]
fn w_18_addresses_of_a_refused_url_are_not_kept() {
    let mut w = two();
    let mut url = w.issue(0, w.stages[0].root("alice").into(), sturdy_kernel::UrlTerms::default());
    url.hints = vec!["/memory/evil".into()];
    w.revoke(0, &url);
    let ticket = w.redeem_later(1, &url);
    w.run();
    assert!(w.stages[1].fate(ticket).starts_with("rejected"));
    assert!(!w.info(1, 0).hints.contains(&"/memory/evil".into()));
}

#[test]
fn w_20_settled_promises_leave_no_rows() {
    let mut w = two();
    w.settle_down();
    let before = [w.stages[0].census(), w.stages[1].census()];
    for stage in &mut w.stages {
        stage.node_mut().set_audit_mode(AuditMode::OnRequest);
    }
    w.tell(1, "bob", "times 1500 ask o-1 hello() -> p+{i}", &[]);
    w.settle_down();
    for (world, before) in before.into_iter().enumerate() {
        let after = w.stages[world].census();
        for table in ["promises", "remote-refs", "remote-names", "retiring", "outbox", "objects"] {
            assert_eq!(after.get(table), before.get(table), "{table}");
        }
    }
}

/// Why a call ended is told by a code, which keeps its meaning from kernel to kernel and to the host.
#[test]
fn w_21_what_ended_a_call_is_known_everywhere() {
    for code in [Code::ConnectionLost, Code::PeerRestarted, Code::ConnectionClosed] {
        let mut w = Worlds::new(&[&["alice"], &["bob"], &[]]);
        let alice = w.introduce(0, "alice", 1);
        w.stages[0].puppets.on("alice", "wait", "keep result");
        w.tell(1, "bob", "hold $0 strong", &[alice]);
        w.stages[1].puppets.on("bob", "go", "send o-1 wait() -> result");
        let bob = w.introduce(1, "bob", 2);
        let ticket = w.send_later(2, bob, "go");
        w.run();
        let request = match code {
            Code::ConnectionLost => Some(Request::GiveUp(peer(0))),
            Code::ConnectionClosed => Some(Request::ClosePeer { peer: peer(0), pending: OnClose::Discard }),
            _ => None,
        };
        match request {
            Some(request) => _ = w.stages[1].ask(request).expect("it is done"),
            None => w.lose_store(0, &["alice"]),
        }
        if code == Code::ConnectionClosed {
            // A dials for as long as it is refused, so there is no rest to wait for.
            w.run_world(1);
            while w.carry_to(2) {}
            w.run_world(2);
        } else {
            w.run();
        }
        let fate = w.stages[2].fate(ticket);
        let (_, message) = fate.split_once("[Error: ").expect("an error");
        assert_eq!(classify(message), Some(ErrorClass::Expected(code)), "{fate}");
    }
}

/// More in `remotes_copies.rs`.
#[test]
fn w_22_a_store_that_was_set_back_is_noticed() {
    let mut w = two();
    let snapshot = w.stages[0].disk.snapshot();
    w.tell(1, "bob", "ask o-1 wait() -> p+5; ask o-1 hello() -> p+6", &[]);
    w.cut_off(0);
    w.stages[0].disk.restore(snapshot);
    w.crash(0);
    w.run();
    assert!(told(&w, 1).contains("p+5 rejected [Error: [KERNEL:PEER_RESTARTED]"));
}

#[test]
fn w_23_one_way_sends_have_a_result_and_closing_closes_both_directions() {
    let mut script = sturdy();
    script.acknowledge();
    script.tell("send o-1 go()");
    assert!(script.frames().iter().any(|frame| frame.contains("\"result\":\"rp+1\"")));
    script.w.up = false;
    script.w.stages[0].ask(Request::ClosePeer { peer: peer(1), pending: OnClose::Keep }).expect("it is closed");
    let id = script.w.newest();
    let frame = format!("{{\"seq\":3,{}}}", call("ro-1", "hello", "rp+9", &[])).into_bytes();
    script.w.stages[0].event(Event::Received { connection: ConnectionId(id), frame }).expect("the node goes on");
    script.w.run_world(0);
    assert!(script.w.has_no_connection());
    assert_eq!(script.received(), 2);
    assert_eq!(script.w.info(0, 1).pending_messages, 1, "it is kept");
}

/// A chain of dependent calls takes one round trip.
#[test]
fn w_24_dependent_calls_need_no_round_trip() {
    let mut script = sturdy();
    script.acknowledge();
    script.tell("ask o-1 a() -> p+5; ask p+5 b() -> p+6; ask p+6 c() -> p+7");
    let frames = script.frames();
    let targets = ["ro-1", "rp+1", "rp+2"];
    let calls: Vec<&String> = frames.iter().filter(|frame| frame.contains("[\"message\"")).collect();
    assert_eq!(calls.len(), 3);
    for (call, target) in calls.into_iter().zip(targets) {
        assert!(call.contains(&format!("[\"message\",\"{target}\"")), "{call}");
    }
}

#[test]
fn w_25_the_version_is_said_and_a_peer_without_one_is_understood() {
    for speaks in [Speaks::Sturdy, Speaks::Whatever] {
        let mut script = Script::new(&KernelLimits::default(), speaks);
        let frames = script.frames();
        assert!(frames[0].contains("\"handshakeAck\"") && frames[0].contains("\"version\":1"), "{frames:?}");
        script.say(r#""method":"redeemURL","params":["url","k"]"#);
        script.w.stages[0].puppets.on("alice", "silent", "keep result");
        script.call("ro-1", "silent", "rp+1", &[]);
        script.pass(50);
        let extended = script.frames().iter().any(|frame| frame.contains("alloc"));
        assert_eq!(extended, speaks == Speaks::Sturdy, "only those who said that they understand it get more");
    }
}
