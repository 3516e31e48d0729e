//! Strangers (link L12): until its first successful redemption a peer leaves no trace, whatever it says and however often
//! either side restarts; then everything of it is written at once.

mod world;

use proptest::prelude::*;
use sturdy_kernel::{Answer, Effect, Event, Request, Ticket, UrlTerms, UrlUse};
use sturdy_node::remote::Side;
use sturdy_store::PeerKind;
use sturdy_types::{ConnectionId, KRef, KernelLimits, OcapUrl, Oid};
use world::worlds::{Worlds, peer};

/// Alice's object, in A; B and C have never heard of A, nor A of them.
fn worlds() -> (Worlds, KRef) {
    let mut w = Worlds::strangers(&KernelLimits::default(), &[&["alice"], &["bob"], &["carol"]]);
    let object = w.stages[0].reveal("alice", "o+d1/5")[0];
    w.stages[0].told();
    (w, object)
}

fn wrong(number: u8) -> OcapUrl {
    OcapUrl { oid: Oid::from_random(&[number; 32]), peer: peer(0), hints: Vec::new() }
}

fn redeem(w: &mut Worlds, world: usize, url: &OcapUrl) -> String {
    let ticket = w.redeem_later(world, url);
    w.run();
    w.stages[world].fate(ticket)
}

const REFUSED: &str = "rejected [Error: there is nothing under this OCAP URL]";

#[test]
fn w_19_a_stranger_leaves_no_trace_until_it_shows_a_url() {
    let (mut w, object) = worlds();
    let before = w.stages[0].census();
    assert_eq!(redeem(&mut w, 1, &wrong(1)), REFUSED);
    assert_eq!(redeem(&mut w, 1, &wrong(2)), REFUSED);
    assert_eq!(w.stages[0].census(), before);
    assert_eq!(w.known(0, 1), None);
    assert!(w.known(1, 0).is_some(), "the side that dials notes whom it dials");
    let url = w.issue(0, object, UrlTerms::default());
    assert!(redeem(&mut w, 1, &url).starts_with("fulfilled"));
    let info = w.info(0, 1);
    assert_eq!((info.received, info.pending_messages, info.kind), (3, 0, PeerKind::Sturdy));
    assert!(info.incarnation.is_some());
    assert_eq!(w.connections(), 1, "on the same connection");
}

/// Redemptions, good and bad, with cuts and restarts in between: none is lost, none is rejected for a wrong reason.
#[test]
fn a_stranger_is_recognized_over_connections_and_restarts() {
    for fault in 0..4 {
        let (mut w, object) = worlds();
        let url = w.issue(0, object, UrlTerms { expires_at: None, uses: UrlUse::Once });
        for round in 1..4 {
            assert_eq!(redeem(&mut w, 1, &wrong(round)), REFUSED, "{fault}");
            match fault {
                0 => w.cut_off(0),
                1 => w.crash(0),
                2 => w.crash(1),
                _ => {
                    w.crash(0);
                    w.crash(1);
                }
            }
        }
        let fate = redeem(&mut w, 1, &url);
        assert!(fate.starts_with("fulfilled"), "{fault}: {fate}");
        let info = w.info(1, 0);
        assert_eq!((info.received, info.conversation, w.info(0, 1).conversation), (4, 1, 1), "{fault}");
        assert!(w.stages[1].notices.is_empty(), "{fault}: {:?}", w.stages[1].notices);
    }
}

fn named(w: &mut Worlds, url: &OcapUrl, name: &str) -> Ticket {
    let request = Request::Redeem { url: url.clone(), me: peer(1), key: name.into(), request: Some(name.into()) };
    w.stages[1].ask_later(request)
}

#[test]
fn a_first_redemption_survives_restarts_of_both_sides_at_any_moment() {
    for steps in 0..14 {
        for crashed in [&[0][..], &[1], &[0, 1]] {
            let (mut w, object) = worlds();
            let url = w.issue(0, object, UrlTerms { expires_at: None, uses: UrlUse::Once });
            named(&mut w, &wrong(1), "wrong");
            named(&mut w, &url, "right");
            for step in 0..steps {
                match step % 3 {
                    0 => w.run_world(1),
                    1 => _ = w.carry(step),
                    _ => w.run_world(0),
                }
            }
            for world in crashed {
                w.crash(*world);
            }
            w.run();
            let (bad, good) = (named(&mut w, &wrong(1), "wrong"), named(&mut w, &url, "right"));
            w.run();
            assert_eq!(w.stages[1].fate(bad), REFUSED, "{steps} {crashed:?}");
            let good = w.stages[1].fate(good);
            assert!(good.starts_with("fulfilled"), "{steps} {crashed:?}: {good}");
        }
    }
}

#[test]
fn another_life_of_a_stranger_is_another_stranger() {
    let (mut w, object) = worlds();
    assert_eq!(redeem(&mut w, 1, &wrong(1)), REFUSED);
    let (gone, url) = (w.stages[1].root("bob"), w.issue(0, object, UrlTerms::default()));
    w.lose_store(1, &["bob"]);
    w.run();
    assert_eq!(w.stages[1].root("bob"), gone);
    assert!(redeem(&mut w, 1, &url).starts_with("fulfilled"));
    assert_eq!(w.info(0, 1).received, 1);
}

#[test]
fn a_stranger_finds_a_kernel_that_has_lost_its_store() {
    let (mut w, _) = worlds();
    assert_eq!(redeem(&mut w, 1, &wrong(1)), REFUSED);
    assert_eq!(redeem(&mut w, 1, &wrong(2)), REFUSED);
    w.lose_store(0, &["alice"]);
    w.run();
    let url = w.issue(0, w.stages[0].root("alice").into(), UrlTerms::default());
    let fate = redeem(&mut w, 1, &url);
    assert!(fate.starts_with("fulfilled"), "{fate}");
}

#[test]
fn whoever_redeems_from_a_stranger_goes_on_where_it_stands() {
    let (mut w, _) = worlds();
    assert_eq!(redeem(&mut w, 1, &wrong(1)), REFUSED);
    let url = w.issue(1, w.stages[1].root("bob").into(), UrlTerms::default());
    assert!(redeem(&mut w, 0, &url).starts_with("fulfilled"));
    let (here, there) = (w.info(0, 1), w.info(1, 0));
    assert_eq!((here.received, there.received), (2, 2));
    assert_eq!((here.conversation, there.conversation, w.connections()), (1, 1, 1));
    assert!(w.stages.iter().all(|stage| stage.notices.is_empty()));
}

/// A stranger hangs up before it has its refusal. When it gets a record for another reason, it is dialled to hear it.
#[test]
fn a_refusal_is_brought_to_a_stranger_that_has_hung_up() {
    let (mut w, _) = script(&KernelLimits::default());
    w.forge(0, &show(1, "", "ocap:zA1@A"));
    w.run_world(0);
    w.cut_off(0);
    let before = w.connections();
    w.stages[0].ask(Request::AddPeer { peer: peer(1), hints: Vec::new() }).expect("it is added");
    w.run_world(0);
    assert_eq!((w.connections() - before, w.info(0, 1).pending_messages), (1, 1));
}

/// B is a script that speaks only what the reference speaks.
fn script(limits: &KernelLimits) -> (Worlds, String) {
    let mut w = Worlds::strangers(limits, &[&["alice"], &[]]);
    let url = w.issue(0, w.stages[0].root("alice").into(), UrlTerms::default()).reveal();
    w.mute = Some(1);
    greet(&mut w, "bb");
    (w, url)
}

fn greet(w: &mut Worlds, incarnation: &str) {
    w.dial(1, 0);
    w.forge(0, &format!(r#"{{"method":"handshake","params":{{"incarnationId":"{incarnation}"}}}}"#));
}

/// What A says next.
fn says(w: &mut Worlds) -> Vec<String> {
    w.heard.clear();
    while w.carry_to(1) {}
    w.heard.iter().filter(|(to, _)| *to == 1).map(|(_, text)| text.clone()).collect()
}

fn show(seq: u64, ack: &str, url: &str) -> String {
    format!(r#"{{"seq":{seq},{ack}"method":"redeemURL","params":["{url}","k{seq}"]}}"#)
}

/// A refusal acknowledges no more than what is lost with nothing: what it refuses, if it is the first.
fn refusal(seq: u64, ack: &str, of: u64) -> String {
    let why = "there is nothing under this OCAP URL";
    format!(r#"{{"seq":{seq},{ack}"method":"redeemURLReply","params":[false,"k{of}","{why}"]}}"#)
}

#[test]
fn nothing_that_a_stranger_says_has_an_effect() {
    let (mut w, url) = script(&KernelLimits::default());
    let before = w.stages[0].census();
    assert!(says(&mut w)[0].contains("handshakeAck"));
    let frames = [
        r##"{"seq":1,"method":"deliver","params":["message","ro-1",{"methargs":{"body":"#[\"hello\",[]]","slots":["ro+1"]},"result":"rp+1"}]}"##,
        r##"{"seq":2,"method":"deliver","params":["notify",[["rp+1",false,{"body":"#1","slots":[]}]]]}"##,
        r#"{"seq":3,"method":"deliver","params":["bringOutYourDead"]}"#,
        r#"{"seq":4,"method":"deliver","params":["dropExports",["ro-1"]]}"#,
        r#"{"seq":5,"method":"redeemURLReply","params":[true,"1","ro+1"]}"#,
        r#"{"seq":6,"method":"nonsense","params":[]}"#,
    ];
    for (seq, frame) in (1..).zip(frames) {
        w.forge(0, frame);
        assert_eq!(says(&mut w), [format!(r#"{{"ack":{seq}}}"#)]);
    }
    w.forge(0, &show(7, "", "ocap:zA1@A"));
    assert_eq!(says(&mut w), [refusal(1, r#""ack":7,"#, 7)]);
    w.forge(0, &show(7, "", "ocap:zA1@A"));
    assert_eq!(says(&mut w), [refusal(1, r#""ack":7,"#, 7)], "perhaps it has not come");
    w.forge(0, r#"{"ack":1}"#);
    w.forge(0, &show(7, "", "ocap:zA1@A"));
    assert_eq!(says(&mut w), [r#"{"ack":7}"#, r#"{"ack":7}"#], "it was answered");
    w.forge(0, &show(9, "", &url));
    assert_eq!(says(&mut w), Vec::<String>::new(), "something is missing before it");
    assert_eq!(w.stages[0].census(), before);
    w.forge(0, &show(8, "", &url));
    let said = says(&mut w);
    assert!(said.iter().any(|text| text.contains(r#"[true,"k8","ro+1"]"#)), "{said:?}");
    let info = w.info(0, 1);
    assert_eq!((info.received, info.pending_messages, info.kind), (8, 1, PeerKind::Whatever));
    w.forge(0, r#"{"seq":9,"ack":2,"method":"deliver","params":["bringOutYourDead"]}"#);
    let info = w.info(0, 1);
    assert_eq!((info.received, info.pending_messages, info.offences), (9, 0, 0));
}

#[test]
fn the_first_number_that_the_reference_shows_is_adopted() {
    let (mut w, url) = script(&KernelLimits::default());
    w.forge(0, &show(1, "", "ocap:zA1@A"));
    w.forge(0, &show(2, "", "ocap:zA1@A"));
    assert_eq!(says(&mut w)[1..], [refusal(1, r#""ack":1,"#, 1), refusal(2, "", 2)]);
    // On a new connection it gets again what it may not have.
    w.cut_off(0);
    greet(&mut w, "bb");
    assert_eq!(says(&mut w)[1..], [refusal(1, r#""ack":1,"#, 1), refusal(2, "", 2)]);
    w.forge(0, r#"{"ack":2}"#);
    w.crash(0);
    w.run_world(0);
    greet(&mut w, "bb");
    w.forge(0, &show(3, r#""ack":2,"#, "ocap:zA1@A"));
    assert_eq!(says(&mut w)[1..], [refusal(3, r#""ack":3,"#, 3)]);
    w.forge(0, &show(4, r#""ack":3,"#, &url));
    assert!(says(&mut w)[0].starts_with(r#"{"seq":4,"ack":3,"method":"redeemURLReply","params":[true,"k4","ro+1"]"#));
    assert_eq!(w.info(0, 1).received, 4);
}

#[test]
fn strangers_that_lie_or_stammer_are_hung_up_on() {
    let sturdy = r#"{"method":"handshake","params":{"incarnationId":"bb","sturdy":{"version":1,"conversation":1,"saw":null,"firstPending":1,"nextSend":1,"highestReceived":0}}}"#;
    for (frame, lives) in [
        ("", false),
        ("x", false),
        (r#"{"ack":9007199254740991}"#, false),
        (r#"{"seq":9007199254740991,"method":"deliver","params":["bringOutYourDead"]}"#, false),
        (r#"{"method":"handshakeAck","params":{"incarnationId":"bb"}}"#, false),
        (r#"{"method":"handshake","params":{"incarnationId":"bb"}}"#, true),
        (sturdy, true),
    ] {
        let (mut w, _) = script(&KernelLimits::default());
        w.forge(0, frame);
        assert_eq!(w.has_no_connection(), !lives, "{frame}");
        assert_eq!(w.known(0, 1), None);
    }
    // Before any handshake.
    let (mut w, url) = script(&KernelLimits::default());
    w.dial(1, 0);
    w.forge(0, &show(1, "", &url));
    assert_eq!(w.known(0, 1), None);
}

fn connect(w: &mut Worlds, number: u64, name: &str) -> Vec<Effect> {
    let connection = ConnectionId(1_000 + number);
    let event = Event::Connected { connection, peer: name.into(), side: Side::Listener };
    w.stages[0].event(event).expect("the node goes on");
    let frame = br#"{"method":"handshake","params":{"incarnationId":"x"}}"#.to_vec();
    w.stages[0].event(Event::Received { connection, frame }).expect("the node goes on");
    w.stages[0].run();
    std::mem::take(&mut w.stages[0].wire)
}

#[test]
fn w_19_there_are_only_so_many_strangers() {
    let limits = KernelLimits { strangers: 3, ..KernelLimits::default() };
    let mut w = Worlds::strangers(&limits, &[&["alice"]]);
    let before = w.stages[0].census();
    for number in 0..3 {
        assert!(matches!(connect(&mut w, number, &format!("p{number}"))[..], [Effect::Transmit { .. }]));
    }
    // One that comes again takes its own place; its old connection is of no use any more.
    assert_eq!(cut(&connect(&mut w, 3, "p0")), [1_000]);
    w.stages[0].pass_time(1);
    let frame = show(1, "", "ocap:zA1@A").into_bytes();
    w.stages[0].event(Event::Received { connection: ConnectionId(1_001), frame }).expect("the node goes on");
    // For a new one the one goes that has been silent longest.
    assert_eq!(cut(&connect(&mut w, 4, "p4")), [1_002]);
    assert_eq!(cut(&connect(&mut w, 5, "p5")), [1_003]);
    assert_eq!(cut(&connect(&mut w, 6, "p6")), [1_001]);
    // One that has hung up makes room, too.
    w.stages[0].event(Event::Disconnected { connection: ConnectionId(1_005) }).expect("the node goes on");
    assert_eq!(cut(&connect(&mut w, 7, "p7")), [0; 0]);
    assert_eq!(w.stages[0].node().volatile().strangers, 3);
    assert_eq!(w.stages[0].census(), before);
}

/// Who is hung up on. Whoever has greeted was answered.
fn cut(effects: &[Effect]) -> Vec<u64> {
    let cut = effects.iter().filter_map(|effect| match effect {
        Effect::HangUp { connection } => Some(connection.0),
        _ => None,
    });
    cut.collect()
}

/// However many idle strangers there are, whoever has something to redeem gets it.
#[test]
fn a_crowd_that_only_greets_keeps_nobody_out() {
    let limits = KernelLimits { strangers: 3, ..KernelLimits::default() };
    let mut w = Worlds::strangers(&limits, &[&["alice"], &["bob"]]);
    let url = w.issue(0, w.stages[0].root("alice").into(), UrlTerms::default());
    for number in 0..3 {
        connect(&mut w, number, &format!("p{number}"));
    }
    let ticket = w.redeem_later(1, &url);
    for _ in 0..20 {
        w.run_world(1);
        w.carry(0);
        w.run_world(0);
    }
    assert!(w.stages[1].fate(ticket).starts_with("fulfilled"));
}

#[test]
fn a_stranger_is_refused_when_there_are_too_many_peers() {
    let limits = KernelLimits { remotes: 1, ..KernelLimits::default() };
    let (mut w, url) = script(&limits);
    w.stages[0].ask(Request::AddPeer { peer: "Z".into(), hints: Vec::new() }).expect("room for one");
    w.forge(0, &show(1, "", &url));
    let said = says(&mut w).join("\n");
    assert!(said.contains(r#"[false,"k1","there are 1 peers already, which is the limit"]"#), "{said}");
    assert_eq!(w.known(0, 1), None);
}

fn frames() -> impl Strategy<Value = String> {
    let head = (1u64..6, proptest::option::of(0u64..4));
    (head, 0u8..6).prop_map(|((seq, ack), what)| {
        let ack = ack.map_or(String::new(), |ack| format!(r#""ack":{ack},"#));
        match what {
            0 => format!(r#"{{"ack":{seq}}}"#),
            1 => show(seq, &ack, "RIGHT"),
            2 => format!(r#"{{"seq":{seq},{ack}"method":"deliver","params":["dropExports",["ro-1"]]}}"#),
            3 => r#"{"method":"handshake","params":{"incarnationId":"bb"}}"#.into(),
            4 => format!(r#"{{"method":"handshake","params":{{"incarnationId":"bb","sturdy":{{"version":1,"conversation":{seq},"saw":null,"firstPending":{seq},"nextSend":{seq},"highestReceived":0}}}}}}"#),
            _ => show(seq, &ack, "ocap:zA1@A"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_a_stranger_says_the_kernel_stands(script_ in proptest::collection::vec((frames(), 0u8..12), 0..30)) {
        let (mut w, url) = script(&KernelLimits::default());
        for (frame, what) in script_ {
            match what {
                0 => {
                    w.cut_off(0);
                    greet(&mut w, "bb");
                }
                1 => {
                    w.crash(0);
                    w.run_world(0);
                    greet(&mut w, "bb");
                }
                _ if w.has_no_connection() => greet(&mut w, "bb"),
                _ => w.forge(0, &frame.replace("RIGHT", &url)),
            }
        }
        let is_answer = |answer| matches!(answer, Ok(Answer::Peers(_)));
        prop_assert!(is_answer(w.stages[0].ask(Request::Peers)));
    }
}
