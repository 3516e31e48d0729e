//! A peer that is not of our own kind: what it may get wrong, and what we take care of toward it (L4, wire-protocol §3.5,
//! §8, §10).

mod world;

use sturdy_kernel::{Notice, Request};
use sturdy_types::KernelLimits;
use world::script::{Script, Speaks, call, garbage, notify, number, result};
use world::worlds::peer;

fn whatever() -> Script {
    Script::acquainted(&KernelLimits::default(), Speaks::Whatever)
}

fn calls(frames: &[String]) -> Vec<&String> {
    frames.iter().filter(|frame| frame.contains("[\"message\"")).collect()
}

#[test]
fn a_gap_that_stays_open_for_45_s_is_skipped() {
    let mut script = whatever();
    script.seq += 3;
    script.call("ro-1", "late", "rp+9", &[]);
    let (before, behind) = (2, script.seq);
    script.pass(44_999);
    assert_eq!(script.received(), before);
    assert_eq!(script.w.stages[0].node().deadline().map(|at| at - script.w.stages[0].now()), Some(1));
    script.pass(1);
    assert_eq!(script.received(), behind);
    let info = script.w.info(0, 1);
    assert_eq!((info.skipped, info.offences), (3, 0));
    let skipped = |notice: &&Notice| matches!(notice, Notice::PeerOffended { why, .. } if why.contains("3 to 5"));
    assert_eq!(script.w.stages[0].notices.iter().filter(skipped).count(), 1);
    assert!(script.w.stages[0].told().contains("late()"));
    // What comes after all comes too late.
    let late = format!("{{\"seq\":4,{}}}", call("ro-1", "later", "rp+8", &[]));
    script.w.forge(0, &late);
    assert_eq!(script.w.stages[0].told(), "");
}

#[test]
fn a_gap_that_is_being_filled_is_waited_for() {
    let mut script = whatever();
    let missing = format!("{{\"seq\":4,{}}}", call("ro-1", "second", "rp+8", &[]));
    script.seq += 2;
    script.call("ro-1", "third", "rp+9", &[]);
    script.pass(30_000);
    script.w.forge(0, &missing);
    script.pass(44_000);
    assert_eq!(script.received(), 2);
    let missing = format!("{{\"seq\":3,{}}}", call("ro-1", "first", "rp+7", &[]));
    script.w.forge(0, &missing);
    assert_eq!(script.received(), 5);
    assert_eq!(script.w.info(0, 1).skipped, 0);
}

#[test]
fn a_sturdy_peers_gap_is_never_skipped() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    script.seq += 3;
    script.call("ro-1", "late", "rp+9", &[]);
    for _ in 0..100 {
        script.pass(60_000);
    }
    assert_eq!((script.received(), script.w.info(0, 1).skipped), (2, 0));
}

#[test]
fn at_most_100_calls_are_on_the_wire_unanswered() {
    let mut script = whatever();
    script.acknowledge();
    script.tell("times 150 ask o-1 go({i}) -> p+1{i}");
    let first = script.frames();
    assert_eq!(calls(&first).len(), 100);
    script.acknowledge();
    assert_eq!(calls(&script.frames()).len(), 0, "acknowledged is not answered");
    for frame in &first[..10] {
        let promise = result(frame).expect("a call");
        script.settle(&promise, "1", &[]);
    }
    assert_eq!(calls(&script.frames()).len(), 10);
    // The same on another connection: what is on the wire already counts.
    script.acknowledge();
    script.w.cut_off(0);
    script.meet();
    script.frames();
    script.acknowledge();
    assert_eq!(calls(&script.frames()).len(), 0);
    for frame in &first[10..30] {
        let promise = result(frame).expect("a call");
        script.settle(&promise, "1", &[]);
    }
    let more = script.frames();
    let order: Vec<u64> = calls(&more).iter().filter_map(|frame| number(frame, "seq")).collect();
    assert_eq!(order.len(), 20);
    assert!(order.is_sorted());
    assert_eq!(script.offences(), 0);
}

#[test]
fn every_message_names_a_result() {
    let mut script = whatever();
    script.tell("send o-1 go()");
    let frames = script.frames();
    assert!(result(calls(&frames)[0]).is_some(), "{frames:?}");
    assert!(!frames.iter().any(|frame| frame.contains("alloc") || frame.contains("room")), "{frames:?}");
}

#[test]
fn something_is_said_each_minute() {
    let mut script = whatever();
    script.acknowledge();
    script.frames();
    for _ in 0..5 {
        script.pass(59_999);
        assert_eq!(script.frames(), Vec::<String>::new());
        script.pass(1);
        assert_eq!(script.frames(), [r#"{"ack":2}"#]);
    }
}

/// The reference's garbage has the wrong signs: the method says what is meant.
#[test]
fn signs_of_garbage_are_read_by_the_method() {
    for (dropped, retired) in [("ro+1", "ro+1"), ("ro-1", "ro-1")] {
        let mut script = whatever();
        script.acknowledge();
        script.pass(50);
        script.frames();
        let (ack, seq) = (script.heard(), script.seq + 1);
        for (index, (kind, name)) in [("dropExports", dropped), ("retireExports", retired)].into_iter().enumerate() {
            let frame = format!("{{\"seq\":{},\"ack\":{ack},{}}}", seq + index as u64, garbage(kind, &[name]));
            script.w.forge(0, &frame);
        }
        assert_eq!(script.offences(), 0);
        script.seq += 2;
        script.call("ro-1", "hello", "rp+9", &[]);
        assert!(!script.w.stages[0].told().contains("hello"), "it has let go of alice");
        let gone = if dropped == "ro+1" { "ro-1" } else { "ro+1" };
        script.say(&garbage("retireImports", &[gone]));
        assert_eq!(script.offences(), 0);
        script.tell("ask o-1 hello() -> p+7");
        assert!(script.w.stages[0].told().contains("p+7 rejected [Error: [KERNEL:OBJECT_DELETED]"));
    }
}

#[test]
fn echoes_are_ignored() {
    let mut script = whatever();
    script.tell("send o-1 take(p+5); resolve p+5 = 7");
    let frames = script.frames();
    let told = frames.iter().find(|frame| frame.contains("notify")).expect("it is told");
    assert!(told.contains("rp+"), "{told}");
    let name = told.split("\"rp+").nth(1).and_then(|rest| rest.split('"').next()).expect("a name").to_owned();
    script.say(&notify(&format!("rp-{name}"), "7", &[]));
    script.say(&notify(&format!("rp-{name}"), "8", &[]));
    assert_eq!(script.offences(), 0);
    assert_eq!(script.received(), 4);
}

/// It may say again what it was told, and nothing of a promise that is still open.
#[test]
fn what_is_said_of_an_open_promise_is_no_echo() {
    let mut script = whatever();
    script.tell("send o-1 take(p+5)");
    let frames = script.frames();
    let told = frames.iter().find(|frame| frame.contains("rp+")).expect("it is told");
    let name = told.split("slots\":[\"rp+").nth(1).and_then(|rest| rest.split('"').next()).expect("a name").to_owned();
    script.say(&notify(&format!("rp-{name}"), "8", &[]));
    script.say(&notify("rp-99", "8", &[]));
    assert_eq!(script.offences(), 2);
    script.tell("resolve p+5 = 7");
    assert!(script.frames().iter().any(|frame| frame.contains(&format!("\"rp+{name}\",false"))), "it is still ours");
}

/// It knows nothing of conversations: it goes on with its numbers, and takes lower ones of ours for repetitions.
#[test]
fn numbers_go_on_when_it_was_given_up() {
    let mut script = whatever();
    script.acknowledge();
    let (heard, received) = (script.heard(), script.received());
    assert!(heard > 0 && received > 0);
    script.w.stages[0].ask(Request::GiveUp(peer(1))).expect("it is given up");
    script.meet();
    assert_eq!(script.received(), received);
    script.acknowledge();
    script.call("ro-1", "hello", "rp+9", &[]);
    assert!(script.w.stages[0].told().contains("hello()"), "it is understood");
    let frames = script.frames();
    assert!(frames.iter().all(|frame| number(frame, "seq").is_none_or(|seq| seq > heard)), "{frames:?}");
    assert_eq!(script.offences(), 0);
}

/// It forwards at its leisure, so nothing goes to a promise that it decides before that is settled.
#[test]
fn nothing_is_pipelined_to_it() {
    let mut script = whatever();
    script.tell("ask o-1 make() -> p+5; ask p+5 first() -> p+6; ask p+5 second() -> p+7");
    let frames = script.frames();
    assert_eq!(calls(&frames).len(), 1);
    let promise = result(calls(&frames)[0]).expect("a call");
    script.settle(&promise, "\\\"$0.Alleged: made\\\"", &["ro+2"]);
    let frames = script.frames();
    let order: Vec<&str> =
        calls(&frames).iter().map(|frame| if frame.contains("first") { "first" } else { "second" }).collect();
    assert_eq!(order, ["first", "second"]);
    assert!(frames[0].contains("\"ro-2\""));
}

/// Frames that the reference has been seen to send, and worse (§8): each is consumed, and the next call works.
#[test]
fn misbehaviour_is_consumed() {
    let bad = [
        call("ro-7", "take", "rp+50", &[]),
        call("ro+1", "take", "rp+51", &[]),
        call("o+5", "take", "rp+52", &[]),
        call("ro-1", "take", "rp+53", &["o+5"]),
        call("ro-1", "take", "rp+53", &["ro+abc"]),
        call("ro-1", "take", "rp-9", &[]),
        call("ro-1", "take", "ro+9", &[]),
        r##""method":"deliver","params":["message","ro-1",{"methargs":{"body":"#[\"one\",[]]","slots":[]}}]"##.into(),
        garbage("dropExports", &["rp+1"]),
        garbage("retireImports", &["ro-99"]),
        r#""method":"redeemURLReply","params":[true,"stale","rp+9"]"#.into(),
        r#""method":"redeemURLReply","params":[true,"stale","ro+77"]"#.into(),
        r#""method":"redeemURLReply","params":[false,"stale","no"]"#.into(),
        r#""method":"deliver","params":["notify",[]]"#.into(),
        r#""method":"deliver","params":["bringOutYourDead"]"#.into(),
        r#""method":"unknown","params":[]"#.into(),
    ];
    let mut script = whatever();
    for (index, content) in bad.iter().enumerate() {
        script.say(content);
        assert_eq!(script.received(), index as u64 + 3, "{content}");
        assert!(!script.is_cut(), "{content}");
    }
    script.call("ro-1", "hello", "rp+90", &[]);
    assert!(script.w.stages[0].told().contains("hello()"));
    assert!(script.frames().iter().any(|frame| frame.contains("rp-90")));
}
