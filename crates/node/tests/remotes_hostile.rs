//! Peers that say what they must not: nothing but the position moves, nobody panics, the audit stays silent (G11).

mod world;

use proptest::prelude::*;
use sturdy_kernel::{Event, Notice, Request};
use sturdy_node::remote::Side;
use sturdy_types::{ConnectionId, KernelLimits};
use world::script::{Script, Speaks};
use world::worlds::{Worlds, peer};

/// Alice in A, and a peer B that says what the test says. B has alice as `-1`, and knows her unsettled promise `-1`.
fn victim(limits: &KernelLimits) -> Worlds {
    let mut w = Worlds::with_limits(limits, &[&["alice"], &[]]);
    w.mute = Some(1);
    w.stages[0].puppets.on("alice", "wait", "keep result");
    w.stages[0].puppets.on("alice", "take", "resolve result = o+9");
    let alice = w.stages[0].root("alice").into();
    let url = w.issue(0, alice, sturdy_kernel::UrlTerms::default()).reveal();
    w.dial(1, 0);
    greet(&mut w, "bb");
    w.forge(0, &format!(r#"{{"seq":1,"method":"redeemURL","params":["{url}","k"]}}"#));
    w.forge(0, &call(2, "ro-1", "wait", "rp+1", &[]));
    w.stages[0].told();
    w
}

/// The same from a peer that is not of our own kind.
fn greet_as_whatever(w: &mut Worlds, incarnation: &str) {
    w.forge(0, &format!(r#"{{"method":"handshake","params":{{"incarnationId":"{incarnation}"}}}}"#));
}

fn greet(w: &mut Worlds, incarnation: &str) {
    w.forge(
        0,
        &format!(
            r#"{{"method":"handshake","params":{{"incarnationId":"{incarnation}","sturdy":{{"version":1,"conversation":1,"saw":null,"firstPending":1,"nextSend":1,"highestReceived":0}}}}}}"#
        ),
    );
}

fn call(seq: u64, target: &str, method: &str, result: &str, slots: &[&str]) -> String {
    let slots: Vec<String> = slots.iter().map(|slot| format!("\"{slot}\"")).collect();
    let slots = slots.join(",");
    format!(
        r##"{{"seq":{seq},"method":"deliver","params":["message","{target}",{{"methargs":{{"body":"#[\"{method}\",[]]","slots":[{slots}]}},"result":"{result}"}}]}}"##
    )
}

fn notify(seq: u64, promise: &str, slots: &[&str]) -> String {
    let slots: Vec<String> = slots.iter().map(|slot| format!("\"{slot}\"")).collect();
    format!(
        r##"{{"seq":{seq},"method":"deliver","params":["notify",[["{promise}",false,{{"body":"#\"$0\"","slots":[{}]}}]]]}}"##,
        slots.join(",")
    )
}

/// A batch of settlements, each of them with one other promise.
fn notify_each(seq: u64, pairs: &[(&str, &str)]) -> String {
    let each =
        pairs.iter().map(|(promise, with)| format!(r##"["{promise}",false,{{"body":"#\"&0\"","slots":["{with}"]}}]"##));
    let each = each.collect::<Vec<_>>().join(",");
    format!(r#"{{"seq":{seq},"method":"deliver","params":["notify",[{each}]]}}"#)
}

/// Whoever follows such a ring would come to no end: the service that issues URLs, at every start again, and each message.
#[test]
fn promises_that_stand_for_each_other_are_rejected() {
    for pairs in [&[("rp+2", "rp+2")][..], &[("rp+2", "rp+4"), ("rp+4", "rp+2")], &[("rp+4", "rp+2"), ("rp+2", "rp+4")]]
    {
        let mut w = victim(&KernelLimits::default());
        w.stages[0].puppets.on("alice", "hear", "");
        w.forge(0, &call(3, "ro-1", "hear", "rp+3", &["rp+2"]));
        let told = w.stages[0].told();
        w.forge(0, &notify_each(4, pairs));
        assert_eq!(told, "alice <- message o+0 hear() result p-4");
        let promise = w.stages[0].reveal("alice", "p-3")[0];
        let oid = sturdy_types::Oid::from_random(&[7; 32]);
        let issue = Request::IssueUrl { object: promise, oid, terms: sturdy_kernel::UrlTerms::default() };
        let refused = w.stages[0].ask(issue);
        assert!(matches!(refused, Err(sturdy_kernel::Refused::NotAnObject(_))), "{refused:?}");
        let answer = format!("{:?}", w.stages[0].call(promise, "more", "", Vec::new()));
        assert!(answer.contains("BAD_PROMISE_RESOLUTION"), "{answer}");
        let problems = w.stages[0].node().audit().expect("it reads").problems;
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(w.info(0, 1).offences, 0);
    }
}

#[test]
fn what_can_never_be_processed_is_consumed() {
    let mut w = victim(&KernelLimits::default());
    let frames = [
        call(3, "ro-7", "take", "rp+2", &[]),       // never given
        call(4, "ro+7", "take", "rp+3", &[]),       // its own object
        call(5, "ro-1", "take", "rp-1", &[]),       // not its promise
        call(6, "ro-1", "take", "rp+1", &[]),       // its promise, but the message decides it
        call(7, "ro-1", "take", "rp+4", &["ro-9"]), // a slot that it was never given
        call(8, "ro-1", "take", "rp+4", &["rp-9"]),
        call(9, "rp+9", "take", "rp+9", &[]), // target and result
        notify(10, "rp+1", &["ro+1"]),        // it does not decide that
        notify(11, "rp-1", &["ro+1"]),
        notify(12, "rp+20", &["ro-9"]),
        r#"{"seq":13,"method":"deliver","params":["dropExports",["ro-9"]]}"#.into(),
        r#"{"seq":14,"method":"deliver","params":["dropExports",["ro+9"]]}"#.into(),
        r#"{"seq":15,"method":"deliver","params":["retireImports",["ro-1"]]}"#.into(),
        r#"{"seq":16,"method":"deliver","params":["nonsense"]}"#.into(),
        r#"{"seq":17,"method":"nonsense","params":[]}"#.into(),
        format!(r#"{{"seq":18,"method":"deliver","params":["dropExports",[{}]]}}"#, vec!["\"ro-1\""; 10_001].join(",")),
    ];
    for frame in &frames {
        w.forge(0, frame);
    }
    let info = w.info(0, 1);
    assert_eq!(info.received, 18);
    assert_eq!(info.offences, 16);
    w.heard(0, "");
    w.forge(0, &call(19, "ro-1", "take", "rp+30", &["ro+1", "rp+31"]));
    assert!(w.stages[0].told().contains("message o+0 take()"));
}

#[test]
fn garbage_that_is_no_message_ends_the_connection() {
    for frame in ["", "x", "{}", r#"{"seq":0}"#, r#"{"ack":-1}"#, r#"{"ack":77}"#, r#"{"seq":3,"ack":77}"#] {
        let mut w = victim(&KernelLimits::default());
        w.forge(0, frame);
        w.stages[0].commit().expect("the node goes on");
        assert_eq!(w.info(0, 1).received, 2, "{frame}");
        let newest = ConnectionId(w.connections());
        let late = Event::Received { connection: newest, frame: call(3, "ro-1", "take", "rp+2", &[]).into_bytes() };
        w.stages[0].event(late).expect("the node goes on");
        w.stages[0].run();
        assert_eq!(w.info(0, 1).received, 2, "{frame}: nothing is heard on it any more");
    }
}

#[test]
fn nothing_is_heard_before_the_handshake() {
    let mut w = victim(&KernelLimits::default());
    w.dial(1, 0);
    w.forge(0, &call(3, "ro-1", "take", "rp+2", &[]));
    assert_eq!(w.info(0, 1).received, 2);
    let stranger = Event::Connected { connection: ConnectionId(99), peer: "Z".into(), side: Side::Listener };
    w.stages[0].event(stranger).expect("the node goes on");
}

#[test]
fn a_peer_cannot_use_up_the_numbers_of_conversations() {
    let mut w = victim(&KernelLimits::default());
    let last = (1u64 << 53) - 1;
    w.dial(1, 0);
    w.forge(
        0,
        &format!(
            r#"{{"method":"handshake","params":{{"incarnationId":"cc","sturdy":{{"version":1,"conversation":{last},"saw":null,"firstPending":1,"nextSend":1,"highestReceived":0}}}}}}"#
        ),
    );
    let info = w.info(0, 1);
    assert_eq!((info.conversation, info.received, info.incarnation.as_deref()), (1, 2, Some("bb")));
}

#[test]
fn gaps_are_held_and_never_skipped() {
    let mut w = victim(&KernelLimits::default());
    w.forge(0, &call(5, "ro-1", "third", "rp+4", &[]));
    w.forge(0, &call(4, "ro-1", "second", "rp+3", &[]));
    w.forge(0, &call(9_000, "ro-1", "never", "rp+5", &[]));
    assert_eq!(w.info(0, 1).received, 2);
    w.forge(0, &call(3, "ro-1", "first", "rp+2", &[]));
    assert_eq!(w.info(0, 1).received, 5);
    w.heard(
        0,
        "alice <- message o+0 first() result p-3
         alice <- message o+0 second() result p-4
         alice <- message o+0 third() result p-5",
    );
}

#[test]
fn names_are_limited() {
    let limits = KernelLimits { remote_names: 20, ..KernelLimits::default() };
    let mut w = victim(&limits);
    for round in 0..10u64 {
        let names: Vec<String> = (0..4).map(|name| format!("rp+{}", 100 + round * 10 + name)).collect();
        let slots: Vec<&str> = names.iter().map(String::as_str).collect();
        w.forge(0, &call(3 + round, "ro-1", "wait", &format!("rp+{}", 109 + round * 10), &slots));
    }
    // What finds no room is not accepted, so it is not acknowledged; that is no offence.
    let info = w.info(0, 1);
    assert!(w.stages[0].census()["remote-refs"] <= 20 + 1, "one of them is alice");
    assert!((3..10).contains(&info.received), "{info:?}");
    assert_eq!(info.offences, 0);
}

/// What A has told its operator of B since the last time.
fn complaints(w: &mut Worlds) -> Vec<String> {
    w.run_world(0);
    let notices = std::mem::take(&mut w.stages[0].notices);
    notices
        .into_iter()
        .filter_map(|n| if let Notice::PeerOffended { why, .. } = n { Some(why) } else { None })
        .collect()
}

/// B has had its 64 offences, and alice has something for it.
fn refused() -> Script {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    for _ in 0..64 {
        assert!(!script.is_cut());
        script.say(r#""method":"nonsense","params":[]"#);
    }
    assert!(script.is_cut());
    script.tell("send o-1 queued()");
    script
}

#[test]
fn who_offends_again_and_again_is_not_listened_to_for_a_while() {
    let mut script = refused();
    assert_eq!((script.offences(), script.received()), (64, 66), "all of them are consumed");
    let told = complaints(&mut script.w);
    assert_eq!(told.len(), 9, "8 singly, and why it is refused: {told:?}");
    assert!(told[8].starts_with("it is not listened to for 60 s, after 64 offences within a minute"), "{told:?}");
    // It may dial as often as it likes.
    for _ in 0..3 {
        script.meet_again();
        assert!(script.w.has_no_connection());
        script.pass(19_999);
    }
    assert_eq!((script.offences(), script.received(), complaints(&mut script.w).len()), (64, 66, 0));
    let left = script.w.stages[0].node().deadline().map(|at| at - script.w.stages[0].now());
    assert_eq!(left, Some(3), "it is dialled then, because something waits for it");
    script.pass(3);
    assert!(!script.w.has_no_connection());
    script.meet_again();
    assert!(script.frames().iter().any(|frame| frame.contains("queued")), "it was only delayed");
    script.call("ro-1", "hello", "rp+9", &[]);
    assert!(script.w.stages[0].told().contains("hello()"));
    // The next time it is for twice as long.
    for _ in 0..64 {
        script.say(r#""method":"nonsense","params":[]"#);
    }
    assert!(complaints(&mut script.w).iter().any(|why| why.contains("for 120 s")));
    script.pass(119_999);
    script.meet_again();
    assert!(script.is_cut());
}

#[test]
fn an_operator_may_want_to_hear_it_at_once() {
    let mut script = refused();
    script.w.stages[0].ask(Request::ReconnectPeer(peer(1))).expect("a known peer");
    script.meet_again();
    assert!(script.frames().iter().any(|frame| frame.contains("queued")));
}

/// What ends a connection is an offence like any other: whoever dials again for each is refused, too.
#[test]
fn whoever_ends_a_connection_with_each_offence_is_refused_as_well() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    for number in 1..=64 {
        script.w.forge(0, if number % 2 == 0 { "x" } else { r#"{"ack":7777777}"# });
        assert_eq!((script.offences(), script.received()), (number, 2));
        assert_eq!(script.w.has_no_connection(), number == 64, "it is dialled again until it is refused");
        script.meet_again();
    }
    assert!(script.w.has_no_connection());
}

/// What is held when the last straw arrives is not heard on a connection that has ended.
#[test]
fn what_was_held_does_not_count_beyond_the_limit() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    let first = script.seq + 1;
    script.seq += 1;
    for _ in 0..200 {
        script.say(r#""method":"nonsense","params":[]"#);
    }
    assert_eq!(script.offences(), 0);
    script.w.forge(0, &format!(r#"{{"seq":{first},"method":"nonsense","params":[]}}"#));
    assert_eq!((script.offences(), script.received()), (64, first + 63));
    assert!(script.is_cut());
}

#[derive(Debug, Clone)]
enum Rubbish {
    /// The next message, which can never be processed.
    Poison,
    /// The same, some numbers later.
    Early(u64),
    Unreadable,
    Liar,
    Waits(u64),
}

fn rubbish() -> impl Strategy<Value = Rubbish> {
    prop_oneof![
        12 => Just(Rubbish::Poison),
        4 => (1u64..4).prop_map(Rubbish::Early),
        1 => Just(Rubbish::Unreadable),
        1 => Just(Rubbish::Liar),
        3 => (1u64..40_000).prop_map(Rubbish::Waits),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Within any minute, two minutes of counting at most: one that ends, and one that begins. Notices are fewer still.
    #[test]
    fn who_says_only_rubbish_offends_only_so_often(all in proptest::collection::vec(rubbish(), 1..200)) {
        let limits =
            KernelLimits { offences_per_minute: 10, offence_notices_per_minute: 2, ..KernelLimits::default() };
        let mut w = victim(&limits);
        let mut counts = vec![(0, 0, 0)];
        let mut told = 0;
        for rubbish in all {
            if w.has_no_connection() {
                w.dial(1, 0);
                greet(&mut w, "bb");
            }
            let next = w.info(0, 1).received + 1;
            let poison = |seq: u64| format!(r#"{{"seq":{seq},"method":"nonsense","params":[]}}"#);
            match rubbish {
                _ if w.has_no_connection() => w.run_world(0),
                Rubbish::Poison => w.forge(0, &poison(next)),
                Rubbish::Early(ahead) => w.forge(0, &poison(next + ahead)),
                Rubbish::Unreadable => w.forge(0, "x"),
                Rubbish::Liar => w.forge(0, r#"{"ack":7777777}"#),
                Rubbish::Waits(_) => {}
            }
            if let Rubbish::Waits(ms) = rubbish {
                w.stages[0].pass_time(ms);
                w.stages[0].event(Event::Tick).expect("the node goes on");
            }
            told += complaints(&mut w).len();
            let (now, offences) = (w.stages[0].now(), w.info(0, 1).offences);
            counts.push((now, offences, told));
            let minute: Vec<_> = counts.iter().filter(|(at, ..)| *at + 60_000 > now).collect();
            prop_assert!(offences - minute[0].1 <= 20, "{counts:?}");
            prop_assert!(told - minute[0].2 <= 8, "{counts:?}");
        }
    }
}

fn reference() -> impl Strategy<Value = String> {
    (prop_oneof!["ro", "rp"], prop_oneof!["\\+", "-"], 0u64..6)
        .prop_map(|(kind, sign, number)| format!("{kind}{sign}{number}"))
}

fn references() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(reference(), 0..4)
}

#[derive(Debug, Clone)]
enum Lie {
    Call(String, String, Vec<String>),
    Notify(String, Vec<String>),
    Garbage(String, Vec<String>),
    Ack(u64, u64),
    Reply(String),
    Act(u8),
    Restart,
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        4 => (reference(), reference(), references()).prop_map(|(target, result, slots)| Lie::Call(target, result, slots)),
        3 => (reference(), references()).prop_map(|(promise, slots)| Lie::Notify(promise, slots)),
        2 => (prop_oneof!["dropExports", "retireExports", "retireImports"], references())
            .prop_map(|(kind, names)| Lie::Garbage(kind, names)),
        2 => (1u64..12, 0u64..12).prop_map(|(ack, alloc)| Lie::Ack(ack, alloc)),
        1 => reference().prop_map(Lie::Reply),
        4 => any::<u8>().prop_map(Lie::Act),
        1 => Just(Lie::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The audit runs after every turn, and a fault would panic.
    #[test]
    fn no_peer_breaks_the_kernel(
        lies in proptest::collection::vec(lie(), 1..60), whatever in any::<bool>(), remote_names in 6u64..60,
    ) {
        let mut w = victim(&KernelLimits { remote_names, ..KernelLimits::default() });
        let greet = if whatever { greet_as_whatever } else { greet };
        w.dial(1, 0);
        greet(&mut w, "bb");
        let mut life = 0;
        let mut script = "keep result";
        for lie in lies {
            let seq = w.info(0, 1).received + 1;
            match lie {
                Lie::Call(target, result, slots) => {
                    let slots: Vec<&str> = slots.iter().map(String::as_str).collect();
                    let can = !(slots.is_empty() && script.contains('$'));
                    w.stages[0].puppets.on("alice", "take", if can { script } else { "keep result" });
                    w.forge(0, &call(seq, &target, "take", &result, &slots));
                }
                Lie::Notify(promise, slots) => {
                    let slots: Vec<&str> = slots.iter().map(String::as_str).collect();
                    w.forge(0, &notify(seq, &promise, &slots));
                }
                Lie::Garbage(kind, names) => {
                    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                    w.forge(0, &format!(r#"{{"seq":{seq},"method":"deliver","params":["{kind}",[{}]]}}"#, names.join(",")));
                }
                Lie::Ack(ack, alloc) => w.forge(0, &format!(r#"{{"ack":{ack},"alloc":{alloc}}}"#)),
                Lie::Reply(name) => w.forge(0, &format!(r#"{{"seq":{seq},"method":"redeemURLReply","params":[true,"k","{name}"]}}"#)),
                // Alice answers, calls back, passes on and lets go, as far as she can.
                Lie::Act(choice) => {
                    script = match choice % 5 {
                        0 => "resolve result = o+9",
                        1 => "send o+9 ping(o+8)",
                        2 => "send $0 ping(result); keep",
                        3 => "resolve result = $0",
                        _ => "keep result",
                    };
                }
                Lie::Restart => {
                    life += 1;
                    w.dial(1, 0);
                    greet(&mut w, &format!("b{life}"));
                }
            }
            if w.has_no_connection() {
                w.dial(1, 0);
                greet(&mut w, &format!("b{life}"));
            }
        }
        w.stages[0].wire_safe_settle_down();
    }
}
