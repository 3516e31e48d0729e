//! Connections before and around their handshake (L2).

mod world;

use sturdy_kernel::{Effect, Event, Notice};
use sturdy_node::remote::Side;
use sturdy_types::{ConnectionId, KernelLimits};
use world::script::{Script, Speaks, hello};

fn hung_up(script: &mut Script) -> Vec<u64> {
    script.w.stages[0].commit().expect("the node goes on");
    let wire = std::mem::take(&mut script.w.stages[0].wire);
    let hung_up = wire.iter().filter_map(|effect| match effect {
        Effect::HangUp { connection } => Some(connection.0),
        _ => None,
    });
    hung_up.collect()
}

fn connect(script: &mut Script, connection: u64, peer: &str, side: Side) {
    let event = Event::Connected { connection: ConnectionId(connection), peer: peer.into(), side };
    script.w.stages[0].event(event).expect("the node goes on");
}

#[test]
fn a_handshake_takes_10_s_at_most() {
    for side in [Side::Listener, Side::Dialler] {
        let mut script = Script::new(&KernelLimits::default(), Speaks::Sturdy);
        connect(&mut script, 90, "Z", side);
        script.pass(9_999);
        assert_eq!(hung_up(&mut script), [0; 0]);
        assert!(script.w.stages[0].node().deadline().is_some());
        script.w.stages[0].pass_time(1);
        script.w.stages[0].event(Event::Tick).expect("the node goes on");
        assert_eq!(hung_up(&mut script), [90]);
        let late = Event::Received {
            connection: ConnectionId(90),
            frame: hello(Speaks::Sturdy, "zz", 1, None, [1, 1, 0]).into_bytes(),
        };
        script.w.stages[0].event(late).expect("the node goes on");
        script.w.stages[0].run();
        assert_eq!(script.rows("remotes"), 1, "nobody is met too late");
    }
}

#[test]
fn half_open_connections_are_bounded() {
    let mut script = Script::new(&KernelLimits::default(), Speaks::Sturdy);
    for number in 0..20 {
        connect(&mut script, 100 + number, "Z", Side::Listener);
    }
    assert_eq!(hung_up(&mut script).len(), 12, "of one peer");
    for number in 0..1_000 {
        connect(&mut script, 1_000 + number, &format!("Z{number}"), Side::Listener);
    }
    assert_eq!(hung_up(&mut script).len(), 1_000 - 248, "of all");
    // Those that end make room, and the bound ones were not meant.
    for number in 0..20 {
        let event = Event::Disconnected { connection: ConnectionId(100 + number) };
        script.w.stages[0].event(event).expect("the node goes on");
    }
    connect(&mut script, 5_000, "Y", Side::Listener);
    assert_eq!(hung_up(&mut script), [0; 0]);
    script.say(r#""method":"redeemURL","params":["url","k"]"#);
    assert_eq!(script.received(), 1);
}

/// The host dials nobody who is connected: a connection that is refused at the door has ended the dialling.
#[test]
fn who_is_refused_at_the_door_and_wanted_is_dialled_again() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    let dialled = |script: &mut Script| {
        script.w.stages[0].commit().expect("the node goes on");
        let wire = std::mem::take(&mut script.w.stages[0].wire);
        let last = wire.last().cloned();
        matches!(last, Some(Effect::Connect { peer, .. }) if peer == "B")
    };
    script.w.cut_off(0);
    assert!(dialled(&mut script), "there was a connection");
    for number in 0..256 {
        connect(&mut script, 1_000 + number, &format!("Z{number}"), Side::Listener);
    }
    assert!(!dialled(&mut script), "it is being dialled");
    connect(&mut script, 2_000, "B", Side::Listener);
    assert!(dialled(&mut script), "there is no room for this one");
    assert!(script.w.stages[0].node().wants("B"));
    script.w.stages[0].event(Event::Disconnected { connection: ConnectionId(2_000) }).expect("the node goes on");
    assert!(!dialled(&mut script), "it is being dialled");
}

#[test]
fn repeated_handshakes_and_other_json_change_nothing() {
    for speaks in [Speaks::Sturdy, Speaks::Whatever] {
        let mut script = Script::acquainted(&KernelLimits::default(), speaks);
        script.w.run_world(0);
        script.frames();
        let before = script.w.heard.len();
        for frame in [&hello(speaks, "bb", 1, None, [1, 1, 0]), &hello(speaks, "other", 7, None, [1, 1, 0])] {
            script.w.forge(0, frame);
        }
        for frame in ["null", "[]", "1", "\"x\"", "true", "[{}]"] {
            script.w.forge(0, frame);
            assert!(!script.is_cut(), "{frame}");
        }
        script.frames();
        assert_eq!(script.w.heard.len(), before + 8, "nothing is answered");
        script.call("ro-1", "hello", "rp+9", &[]);
        assert!(script.w.stages[0].told().contains("hello()"));
    }
}

#[test]
fn what_is_no_greeting_ends_a_connection_that_was_not_greeted() {
    for frame in
        ["null", "[]", "x", "", "{}", r#"{"ack":1}"#, r#"{"method":"handshakeAck","params":{"incarnationId":"bb"}}"#]
    {
        let mut script = Script::new(&KernelLimits::default(), Speaks::Sturdy);
        script.w.dial(1, 0);
        let id = script.w.newest();
        let event = Event::Received { connection: ConnectionId(id), frame: frame.into() };
        script.w.stages[0].event(event).expect("the node goes on");
        assert_eq!(hung_up(&mut script), [id], "{frame}");
    }
}

/// A stream that is opened and closed without a byte is routine (§2.6).
#[test]
fn a_connection_without_a_frame_is_routine() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Whatever);
    for connection in 50..60 {
        connect(&mut script, connection, "B", Side::Listener);
        let event = Event::Disconnected { connection: ConnectionId(connection) };
        script.w.stages[0].event(event).expect("the node goes on");
    }
    script.call("ro-1", "hello", "rp+9", &[]);
    assert!(script.w.stages[0].told().contains("hello()"));
}

fn restarts(script: &Script) -> usize {
    let notices = script.w.stages[0].notices.iter();
    notices.filter(|notice| matches!(notice, Notice::PeerRestarted { .. })).count()
}

/// Found by the model: both dial at once, one connection is used and ends, and the listener learns of the other one only
/// then, with a greeting in it that was written before. It must not look as if the peer's store had been set back.
#[test]
fn a_greeting_that_was_overtaken_is_no_false_alarm() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    script.call("ro-1", "wait", "rp+9", &[]);
    let ours = script.w.stages[0].node().store().incarnation().to_string();
    for overtaken in
        [hello(Speaks::Sturdy, "bb", 1, Some(&ours), [1, 1, 0]), hello(Speaks::Sturdy, "bb", 1, None, [1, 1, 0])]
    {
        script.w.cut_off(0);
        script.w.dial(1, 0);
        script.w.forge(0, &overtaken);
        let info = script.w.info(0, 1);
        assert_eq!((info.conversation, info.received, restarts(&script)), (1, 3, 0));
    }
    script.call("ro-1", "wait", "rp+10", &[]);
    assert_eq!(script.received(), 4, "the connection is as good as any");
}

/// Found by the model: a life of the peer dials and dies; the next one is met; then the first one's greeting is read. The
/// connection is older than what is known of the peer's life, so it is hung up, and nothing ends.
#[test]
fn a_dead_lifes_late_greeting_is_not_believed() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    connect(&mut script, 90, "B", Side::Listener);
    script.w.dial(1, 0);
    script.w.forge(0, &hello(Speaks::Sturdy, "cc", 1, None, [1, 1, 0]));
    assert_eq!(restarts(&script), 1);
    hung_up(&mut script);
    let ours = script.w.stages[0].node().store().incarnation().to_string();
    let frame = hello(Speaks::Sturdy, "bb", 1, Some(&ours), [1, 3, 1]).into_bytes();
    script.w.stages[0].event(Event::Received { connection: ConnectionId(90), frame }).expect("the node goes on");
    assert_eq!(hung_up(&mut script), [90]);
    assert_eq!((restarts(&script), script.w.info(0, 1).incarnation.as_deref()), (1, Some("cc")));
}

/// An old stream stays readable, but what comes on it from a dead incarnation of the peer counts for nothing (L3).
#[test]
fn a_frame_of_a_dead_incarnation_on_an_old_stream_counts_for_nothing() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    let old = ConnectionId(script.w.newest());
    script.w.dial(1, 0);
    script.w.forge(0, &hello(Speaks::Sturdy, "cc", 1, None, [1, 1, 0]));
    script.w.stages[0].told();
    for content in [r#""ack":1"#, &format!(r#""seq":3,{}"#, world::script::call("ro-1", "ghost", "rp+9", &[]))] {
        let frame = format!("{{{content}}}").into_bytes();
        script.w.stages[0].event(Event::Received { connection: old, frame }).expect("the node goes on");
        script.w.run_world(0);
    }
    let info = script.w.info(0, 1);
    assert_eq!((info.received, info.offences, info.incarnation.as_deref()), (0, 0, Some("cc")));
    assert!(!script.w.stages[0].told().contains("ghost"));
}
