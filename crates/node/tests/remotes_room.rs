//! Room in a conversation (L9): nothing grows without bound, nothing that was accepted is lost.

mod world;

use proptest::prelude::*;
use sturdy_kernel::Notice;
use sturdy_node::AuditMode;
use sturdy_node::remote::{MAX_FRAME_BYTES, MAX_VALUE_BYTES};
use sturdy_types::{KernelLimits, json_string};
use world::script::{Script, Speaks, number};
use world::worlds::Worlds;

fn limits(remote_names: u64) -> KernelLimits {
    KernelLimits { remote_names, ..KernelLimits::default() }
}

/// Bob in B has alice of A; calls of `wait` stay unanswered.
fn two(limits: &[KernelLimits; 2]) -> Worlds {
    let mut w = Worlds::with_limits_of(limits, &[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "keep $0", &[alice]);
    w.stages[0].puppets.on("alice", "wait", "keep result");
    w
}

#[test]
fn ten_thousand_calls_to_a_stuck_receiver() {
    let mut w = two(&[limits(400), limits(400)]);
    for stage in &mut w.stages {
        stage.node_mut().set_audit_mode(AuditMode::OnRequest);
    }
    w.tell_later(1, "bob", "times 10000 ask o-1 wait() -> p+{i}", &[]);
    w.run();
    let bob = w.stages[1].told();
    let refused = bob.matches("rejected [Error: [KERNEL:QUEUE_FULL]").count();
    assert!((9_800..10_000).contains(&refused), "{refused}");
    assert_eq!(w.stages[0].told().matches(" wait()").count(), 10_000 - refused);
    assert_eq!(w.info(1, 0).refused, refused as u64);
    for world in 0..2 {
        assert_eq!(w.info(world, 1 - world).offences, 0);
        assert!(w.stages[world].census()["remote-refs"] <= 400);
        let report = w.stages[world].node().audit().expect("readable");
        assert_eq!(report.problems, Vec::<String>::new());
    }
    // An answer makes room.
    w.tell(0, "alice", "resolve p-3 = 1", &[]);
    w.tell(1, "bob", "ask o-1 hello() -> p+20000", &[]);
    assert!(w.stages[1].told().contains("notify p+20000 fulfilled"));
}

#[test]
fn a_peer_that_never_acknowledges_is_not_heard_without_end() {
    let mut script = Script::acquainted(&limits(200), Speaks::Sturdy);
    script.w.stages[0].node_mut().set_audit_mode(AuditMode::OnRequest);
    for call in 2..=10_000u64 {
        script.call("ro-1", "hello", &format!("rp+{call}"), &[]);
    }
    let received = script.received();
    assert!((150..=202).contains(&received), "{received}");
    assert_eq!(script.offences(), 0);
    assert!(script.rows("outbox") <= 210 && script.rows("remote-refs") <= 210);
    // It acknowledges, and what was held goes on.
    script.frames();
    script.seq = received;
    script.acknowledge();
    let now = script.received();
    assert!(now > received, "{now}");
    assert!(script.w.stages[0].node().audit().expect("readable").problems.is_empty());
}

#[test]
fn a_whatever_peer_without_room_is_not_acknowledged() {
    let mut script = Script::acquainted(&limits(20), Speaks::Whatever);
    for call in 2..=40u64 {
        script.call("ro-1", "wait", &format!("rp+{call}"), &[]);
    }
    let received = script.received();
    assert!(received < 25, "{received}");
    script.pass(50);
    let acks: Vec<u64> = script.frames().iter().filter_map(|frame| number(frame, "ack")).collect();
    assert_eq!(acks.into_iter().max(), Some(received));
    assert_eq!(script.offences(), 0);
    assert!(!script.is_cut());
}

/// B allows itself more than A can take: A's acknowledgements tell it.
#[test]
fn credit_stops_a_sender_and_lets_it_go_on() {
    let mut w = two(&[limits(40), KernelLimits::default()]);
    for call in 10..70 {
        w.tell(1, "bob", &format!("ask o-1 wait() -> p+{call}"), &[]);
    }
    let bob = w.stages[1].told();
    assert!(bob.contains("has no room for more calls"), "{bob}");
    let alice = w.stages[0].told();
    let promises: Vec<&str> =
        alice.lines().filter_map(|line| line.split_once("wait() result ")).map(|(_, p)| p).collect();
    let taken = promises.len();
    assert!((5..40).contains(&taken), "{taken}");
    assert_eq!(bob.matches("QUEUE_FULL").count(), 60 - taken);
    assert_eq!((w.info(0, 1).offences, w.info(1, 0).pending_messages), (0, 0));
    for promise in promises {
        w.tell(0, "alice", &format!("resolve {promise} = 1"), &[]);
    }
    w.stages[1].told();
    w.tell(1, "bob", "ask o-1 hello() -> p+100", &[]);
    let bob = w.stages[1].told();
    assert!(bob.contains("notify p+100 fulfilled"), "{bob} {:?}", w.heard.iter().rev().take(8).collect::<Vec<_>>());
}

#[test]
fn a_refused_one_way_send_is_noticed_and_counted() {
    let mut w = two(&[KernelLimits::default(), KernelLimits { remote_outbox_messages: 1, ..KernelLimits::default() }]);
    w.up = false;
    w.cut_off(0);
    w.tell(1, "bob", "send o-1 a(); send o-1 b(); send o-1 c()", &[]);
    let lost = |notice: &Notice| matches!(notice, Notice::OneWayLost { reason, .. } if reason.contains("QUEUE_FULL"));
    assert_eq!(w.stages[1].notices.iter().filter(|notice| lost(notice)).count(), 2);
    assert_eq!(w.info(1, 0).refused, 2);
    w.up = true;
    w.run();
    assert_eq!(w.stages[0].told().matches("message o+0 a()").count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever is accepted fits into a frame, whatever its letters cost when they are written. A call that does not is
    /// refused before it is sent, and its caller knows that nothing was done; a call whose answer does not has taken effect,
    /// and its caller knows that.
    #[test]
    fn every_frame_fits_and_every_caller_knows(letter in r#"["\\\\né€a\x01]"#, beyond in -900isize..300) {
        let mut w = two(&[KernelLimits::default(), KernelLimits::default()]);
        let written = json_string(&json_string(&letter)).len() - 6;
        let text = letter.repeat((MAX_FRAME_BYTES - 1_000) / written);
        let text = format!("x{text}{}", "x".repeat(usize::try_from(1_000 + beyond).expect("it is more")));
        w.stages[0].puppets.on("alice", "big", &format!("resolve result = {}", json_string(&text)));
        w.tell(1, "bob", &format!("ask o-1 take({}) -> p+5; ask o-1 big() -> p+6; ask o-1 hello() -> p+7", json_string(&text)), &[]);
        let (alice, bob) = (w.stages[0].told(), w.stages[1].told());
        let taken = alice.contains("o+0 take(");
        let fate = if taken { "p+5 fulfilled" } else { "p+5 rejected [Error: [KERNEL:MESSAGE_TOO_LARGE]" };
        prop_assert!(bob.contains(fate));
        prop_assert!(alice.contains("o+0 big("), "its call is small");
        let told = bob.contains("p+6 fulfilled");
        prop_assert!(told || bob.contains("p+6 rejected [Error: [KERNEL:ANSWER_LOST]"));
        prop_assert!(bob.contains("p+7 fulfilled"), "nothing else is harmed");
        let written = json_string(&format!("#{}", json_string(&text))).len();
        prop_assert_eq!(told, written <= MAX_VALUE_BYTES);
        let longest = w.heard.iter().map(|(_, frame)| frame.len()).max().expect("frames");
        prop_assert!(longest <= MAX_FRAME_BYTES && (!told || longest + 2_000 > MAX_FRAME_BYTES), "{longest}");
        prop_assert_eq!(w.info(1, 0).refused, u64::from(!taken));
        prop_assert_eq!((w.info(0, 1).offences, w.info(1, 0).offences), (0, 0));
    }
}

/// What waits for a promise is looked at when it is sent on to a peer.
#[test]
fn a_message_that_waited_is_refused_like_any_other() {
    let mut w = two(&[KernelLimits::default(), KernelLimits::default()]);
    w.stages[1].puppets.on("bob", "later", "keep result");
    w.tell(1, "bob", "ask p+4 take(big:1048576) -> p+5; ask p+4 take(5) -> p+6; resolve p+4 = o-1", &[]);
    let bob = w.stages[1].told();
    assert!(bob.contains("p+5 rejected [Error: [KERNEL:MESSAGE_TOO_LARGE]") && bob.contains("p+6 fulfilled"), "{bob}");
    assert_eq!(w.stages[0].told().matches(" take(").count(), 1);
}

/// A kernel may allow itself less than what fits into a frame.
#[test]
fn what_exceeds_the_receivers_limit_is_no_offence() {
    let low = KernelLimits { body_bytes: 1_000, body_slots: 2, ..KernelLimits::default() };
    let mut w = two(&[low, KernelLimits::default()]);
    w.stages[0].puppets.on("alice", "echo", "ask $0 big() -> p+9; keep result");
    w.stages[1].puppets.on("bob", "big", "resolve result = big:2000");
    w.tell(
        1,
        "bob",
        "ask o-1 take(big:2000) -> p+5; ask o-1 take(o+1, o+2, o+3) -> p+6; ask o-1 echo(o+0) -> p+7",
        &[],
    );
    let (alice, bob) = (w.stages[0].told(), w.stages[1].told());
    for promise in ["p+5", "p+6"] {
        assert!(bob.contains(&format!("{promise} rejected [Error: [KERNEL:MESSAGE_TOO_LARGE]")), "{bob}");
    }
    assert!(!alice.contains(" take("), "{alice}");
    assert!(
        alice.contains("p+9 rejected [Error: [KERNEL:ANSWER_LOST] 2003 bytes of body, the limit is 1000"),
        "{alice}"
    );
    assert_eq!((w.info(0, 1).offences, w.info(1, 0).offences), (0, 0));
    for world in 0..2 {
        let report = w.stages[world].node().audit().expect("readable");
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

/// A settlement always finds its place; its value may not.
/// It was told as `QUEUE_FULL`, which says of a call that it has not taken effect: whoever pays took the money back, and the
/// payee had it, too (sim seed 427).
#[test]
fn a_value_without_room_is_told_as_a_rejection() {
    let tight = KernelLimits { remote_reserved_bytes: 20_000, ..KernelLimits::default() };
    let mut w = two(&[tight, KernelLimits::default()]);
    w.tell(1, "bob", "times 5 ask o-1 wait() -> p+1{i}", &[]);
    w.stages[1].told();
    w.up = false;
    w.cut_off(0);
    for promise in 3..8 {
        w.tell(0, "alice", &format!("resolve p-{promise} = big:9000"), &[]);
    }
    assert!(w.info(0, 1).pending_bytes < 30_000);
    w.up = true;
    w.run();
    let bob = w.stages[1].told();
    assert_eq!(bob.matches("fulfilled").count(), 3, "{bob}");
    assert_eq!(bob.matches("rejected [Error: [KERNEL:ANSWER_LOST]").count(), 2, "{bob}");
}
