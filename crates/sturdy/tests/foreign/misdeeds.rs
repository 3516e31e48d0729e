//! Misbehaviour beside the weaknesses of the reference: what no program would say by mistake.

use crate::peer::{Peer, text};
use crate::{Guest, Stage, on_both_roads};
use serde_json::{Value as Json, json};

/// Says a frame on a line of its own, which ends because of it; the offence is told and counted.
fn is_hung_up_on(stage: &mut Stage<'_>, mallory: &mut Guest<'_>, frame: &str, why: &str) {
    let before = stage.offences(&mallory.peer);
    mallory.peer.does("frame", json!({ "text": frame, "line": mallory.line }));
    mallory.peer.has_ended(mallory.line);
    assert_eq!(stage.offences(&mallory.peer), before + 1, "{frame}");
    stage.notes_offence(before, why);
    mallory.line = mallory.peer.dial(&stage.address);
}

fn is_well(stage: &Stage<'_>, mallory: &Guest<'_>) {
    assert_eq!(mallory.ask("name", json!([])), "#\"A\"");
    stage.still_serves();
    mallory.peer.has_no_complaints();
}

#[test]
fn frames_that_say_nothing_end_their_stream() {
    on_both_roads(|stage| {
        let mut mallory = stage.join("mallory");
        let deep = "[".repeat(100_000);
        for frame in ["", "no JSON", "{", "{\"seq\":1", "[1,]", &deep] {
            is_hung_up_on(stage, &mut mallory, frame, "the frame is no JSON object");
        }
        for frame in [
            "{}",
            r#"{"ack":0}"#,
            r#"{"ack":-1}"#,
            r#"{"ack":1.5}"#,
            r#"{"ack":"1"}"#,
            r#"{"ack":9007199254740992}"#,
            r#"{"seq":0,"method":"deliver","params":["bringOutYourDead"]}"#,
            r#"{"seq":1e3,"method":"deliver","params":["bringOutYourDead"]}"#,
            r#"{"seq":null}"#,
            r#"{"method":"deliver","params":["bringOutYourDead"]}"#,
            r#"{"method":"handshake"}"#,
            r#"{"method":"handshake","params":{"incarnationId":""}}"#,
        ] {
            is_hung_up_on(stage, &mut mallory, frame, "the frame is no message");
        }
        let before = stage.offences(&mallory.peer);
        mallory.peer.does("bytes", json!({ "hex": "02fffe", "line": mallory.line }));
        mallory.peer.has_ended(mallory.line);
        mallory.line = mallory.peer.dial(&stage.address);
        assert_eq!(stage.offences(&mallory.peer), before + 1, "no UTF-8");
        // These are passed over, as the reference does.
        for frame in ["1", "null", "[]", "\"text\"", "true"] {
            mallory.peer.frame(frame);
        }
        is_well(stage, &mallory);
        assert_eq!(stage.offences(&mallory.peer), before + 1);
    });
}

#[test]
fn a_stream_begins_with_one_greeting() {
    on_both_roads(|stage| {
        let mut mallory = stage.join("mallory");
        let greeting = |method: &str| json!({ "method": method, "params": { "incarnationId": "x" } }).to_string();
        let methargs = json!({ "body": "#[\"add\",[1]]", "slots": [] });
        let params = json!(["message", mallory.root, { "methargs": methargs }]);
        let message = json!({ "seq": 2, "method": "deliver", "params": params }).to_string();
        for first in [&message, r#"{"ack":1}"#, "1", &greeting("handshakeAck")] {
            let line = mallory.peer.dial_saying(&stage.address, &[first]);
            mallory.peer.has_ended(line);
        }
        assert_eq!(stage.kernel().ask("root.entries()"), json!([]));
        // Again in the middle of a conversation, even as somebody else: passed over.
        mallory.peer.frame(&greeting("handshake"));
        is_well(stage, &mallory);
        // The answer to a greeting that there was not.
        mallory.peer.does("frame", json!({ "text": greeting("handshakeAck"), "line": mallory.line }));
        mallory.peer.has_ended(mallory.line);
        mallory.line = mallory.peer.dial(&stage.address);
        is_well(stage, &mallory);
    });
}

#[test]
fn who_acknowledges_what_was_never_said_is_hung_up_on() {
    on_both_roads(|stage| {
        let mut mallory = stage.join("mallory");
        is_hung_up_on(stage, &mut mallory, r#"{"ack":99}"#, "number 99 is acknowledged");
        let result = text(&mallory.peer.does("promise", json!({})));
        let seq = mallory.peer.said() + 1;
        let methargs = json!({ "body": "#[\"add\",[\"a lie\"]]", "slots": [] });
        let params = json!(["message", mallory.root, { "methargs": methargs, "result": result }]);
        let lie = json!({ "seq": seq, "ack": 98, "method": "deliver", "params": params });
        is_hung_up_on(stage, &mut mallory, &lie.to_string(), "number 98 is acknowledged");
        assert_eq!(stage.kernel().ask("root.entries()"), json!([]));
        // An older acknowledgement than before is none.
        mallory.peer.frame(r#"{"ack":1}"#);
        is_well(stage, &mallory);
    });
}

#[test]
fn nobody_lets_go_of_more_than_it_has() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let says = |kind: &str, names: Json| {
            let seq = mallory.peer.say("deliver", json!([kind, names]));
            mallory.peer.is_heard(seq);
        };
        says("retireExports", json!([mallory.root]));
        assert_eq!(mallory.ask("name", json!([])), "#\"A\"", "it had not let go of it before");
        for _ in 0..3 {
            says("dropExports", json!([mallory.root, mallory.root]));
        }
        for _ in 0..3 {
            says("retireExports", json!([mallory.root, mallory.root]));
            says("dropExports", json!([mallory.root]));
        }
        says("retireImports", json!(["ro+1", "ro+500"]));
        assert_eq!(stage.offences(&mallory.peer), 0);
        for wrong in [json!(["ro-99"]), json!(["rp-1"]), json!(["rp+1"]), json!(["o-1"]), json!([1]), json!([["ro-1"]])]
        {
            let before = stage.offences(&mallory.peer);
            for kind in ["dropExports", "retireExports"] {
                says(kind, wrong.clone());
            }
            assert_eq!(stage.offences(&mallory.peer), before + 2, "{wrong}");
        }
        let many: Vec<String> = (1..=10_001).map(|number| format!("ro-{number}")).collect();
        let before = stage.offences(&mallory.peer);
        says("dropExports", json!(many));
        assert_eq!(stage.offences(&mallory.peer), before + 1, "the limit is 10 000");
        // What it let go of is nothing to it, and still everything to others.
        assert!(mallory.peer.refusal(&mallory.call("name", json!([]))).contains("OBJECT_DELETED"));
        let mallory = Guest { root: mallory.peer.redeem(&stage.url), ..mallory };
        is_well(stage, &mallory);
    });
}

#[test]
fn values_that_are_none_harm_no_vat() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        assert_eq!(mallory.ask("add", json!(["before"])), "#1");
        let deep = format!("#{}{}", "[".repeat(50_000), "]".repeat(50_000));
        let bodies = [
            "#",
            "#{",
            "#null",
            "#[]",
            "#[\"name\"]",
            "#[\"name\",\"no list\"]",
            "#[\"name\",[\"$0.Alleged: x\"]]",
            "#[\"name\",[\"&5\"]]",
            "#[\"name\",[\"+x\"]]",
            "#[\"name\",[\"(reserved\"]]",
            "#[\"name\",[{\"#tag\":1}]]",
            "#[\"name\",[{\"__proto__\":1}]]",
            "#[{\"#error\":1},[]]",
            &deep,
        ];
        for body in bodies {
            let result = text(&mallory.peer.does("promise", json!({})));
            let methargs = json!({ "body": body, "slots": [] });
            let said = json!(["message", mallory.root, { "methargs": methargs, "result": result }]);
            mallory.peer.say("deliver", said);
            // Rejected, or taken for what it can mean.
            mallory.peer.outcome(&result.replace('+', "-"));
        }
        // The same as the settlement of a promise that the vat waits for.
        mallory.is_kept("mallory", "ro+1");
        for body in ["#{", "#\"&5\"", "#\"+x\"", &deep] {
            stage.kernel().say("root.call('mallory', 'value', [])");
            let (_, result) = mallory.peer.called("ro-1", "value");
            mallory.peer.settle(&result, body, &[]);
            stage.kernel().hear();
        }
        assert_eq!(mallory.ask("entries", json!([])), "#[\"before\"]", "it is the same vat");
        is_well(stage, &mallory);
    });
}

#[test]
fn floods_are_borne() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.ask("name", json!([]));
        let frame =
            |peer: &Peer<'_>, text: &str, times: u64| peer.does("frame", json!({ "text": text, "times": times }));
        frame(&mallory.peer, r#"{"ack":1}"#, 20_000);
        let repeated = r#"{"seq":1,"method":"deliver","params":["bringOutYourDead"]}"#;
        let first = stage.offences(&mallory.peer);
        stage.still_serves();
        // Far ahead of what is waited for: what is held is bounded, and nothing of it takes effect.
        for ahead in [1_000_000, 1_000_001, 9_007_199_254_740_991_u64] {
            let text = repeated.replacen('1', &ahead.to_string(), 1);
            frame(&mallory.peer, &text, 1_000);
        }
        stage.still_serves();
        for _ in 0..3_000 {
            mallory.peer.say("deliver", json!(["bringOutYourDead"]));
        }
        let calls: Vec<String> = (0..3_000).map(|_| mallory.call("name", json!([]))).collect();
        stage.still_serves();
        assert_eq!(mallory.peer.answer(calls.last().unwrap()), "#\"A\"");
        assert_eq!(stage.offences(&mallory.peer), first);
        is_well(stage, &mallory);
    });
}

#[test]
fn streams_without_end_are_refused() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let greeting = json!({ "method": "handshake", "params": { "incarnationId": "again" } }).to_string();
        let mut refused = 0;
        for _ in 0..80 {
            let line = mallory.peer.dial_saying(&stage.address, &[&greeting]);
            let told = mallory.peer.does("metOrEnded", json!({ "line": line }));
            refused += u64::from(told == "ended");
        }
        assert!(refused >= 10, "{refused}");
        stage.still_serves();
    });
}
