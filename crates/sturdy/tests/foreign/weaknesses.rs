//! The weaknesses of the reference (wire-protocol §8), each tried on a kernel by a foreign peer: Sturdy does not have it.

use crate::peer::{Peer, text};
use crate::{Guest, Stage, on_both_roads};
use serde_json::{Value as Json, json};

/// A call as it stands in a message.
fn call(target: &str, method: &str, args: Json, result: Option<&str>) -> Json {
    let methargs = json!({ "body": format!("#{}", json!([method, args])), "slots": [] });
    match result {
        Some(result) => json!(["message", target, { "methargs": methargs, "result": result }]),
        None => json!(["message", target, { "methargs": methargs }]),
    }
}

/// A call with any slots.
fn call_with(target: &str, slots: Json, result: &str) -> Json {
    let methargs = json!({ "body": "#[\"name\",[]]", "slots": slots });
    json!(["message", target, { "methargs": methargs, "result": result }])
}

/// The next promise of a peer, and how the kernel writes it.
fn promise(peer: &Peer<'_>) -> (String, String) {
    let ours = text(&peer.does("promise", json!({})));
    let theirs = ours.replace('+', "-");
    (ours, theirs)
}

/// Says this, which can never be processed: the result is rejected, the offence is told and counted.
fn is_refused(stage: &mut Stage<'_>, mallory: &Guest<'_>, said: impl Fn(&str) -> Json, why: &str) {
    let before = stage.offences(&mallory.peer);
    let (ours, theirs) = promise(&mallory.peer);
    mallory.peer.say("deliver", said(&ours));
    assert!(mallory.peer.refusal(&theirs).contains("DELIVERY_FAILED"), "{why}");
    stage.notes_offence(before, why);
    assert_eq!(stage.offences(&mallory.peer), before + 1, "{why}");
}

/// The kernel's vat waits for an answer of the peer, for which `root.finish()` waits in turn.
fn begin(stage: &mut Stage<'_>, mallory: &Guest<'_>) {
    stage.kernel().say("root.begin('mallory')");
    mallory.peer.called("ro-1", "later");
    let (_, result) = mallory.peer.called("ro-1", "name");
    mallory.peer.settle(&result, "#null", &[]);
    assert_eq!(stage.kernel().hear()["ok"], true);
}

#[test]
fn w_01_greetings_that_wait_for_one_dial() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let greeting = json!({ "method": "handshake", "params": { "incarnationId": "another dial" } }).to_string();
        // Each call that waits for the dial greets, in the reference; then they are said, in whatever order.
        let fay = stage.peer("fay", &[]);
        let line = fay.dial_saying(&stage.address, &[&greeting, &greeting, &greeting]);
        fay.does("met", json!({ "line": line }));
        let root = fay.redeem(&stage.url);
        for _ in 0..3 {
            mallory.peer.frame(&greeting);
            fay.frame(&greeting);
            fay.call(&root, "add", json!(["fay"]));
        }
        assert_eq!(fay.ask(&root, "entries", json!([])), r#"#["fay","fay","fay"]"#);
        assert_eq!(mallory.ask("name", json!([])), "#\"A\"");
        for peer in [&fay, &mallory.peer] {
            peer.has_no_complaints();
            assert_eq!(stage.offences(peer), 0);
        }
    });
}

#[test]
fn w_02_a_gap_is_waited_for() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.ask("name", json!([]));
        let order = json!({ "target": mallory.root, "method": "add", "args": ["held"], "held": true });
        mallory.peer.does("call", order);
        let held = mallory.peer.said();
        let later: Vec<String> = (0..70).map(|number| mallory.call("add", json!([number]))).collect();
        // What is repeated is acknowledged again, and no more than that.
        for _ in 0..3 {
            let acks = mallory.peer.state()["acks"].as_u64().unwrap();
            mallory.peer.does("again", json!({ "seq": held - 1 }));
            mallory.peer.does("acks", json!({ "count": acks + 1 }));
        }
        assert_eq!(mallory.peer.state()["acked"], held - 1);
        mallory.peer.does("again", json!({ "seq": held }));
        assert_eq!(mallory.peer.answer(later.last().unwrap()), "#71");
        let expected: Vec<Json> = std::iter::once(json!("held")).chain((0..70).map(Json::from)).collect();
        assert_eq!(stage.kernel().ask("root.entries()"), json!(expected), "in order");

        // The kernel leaves no gap, either, and says no more at once than the reference can take.
        mallory.is_kept("mallory", "ro+1");
        for number in 0..130 {
            stage.kernel().ask(&format!("root.tell('mallory', 'burst', [{number}])"));
        }
        for number in 0..130 {
            let (methargs, result) = mallory.peer.called("ro-1", "burst");
            assert_eq!(methargs["body"], format!("#[\"burst\",[{number}]]"));
            mallory.peer.settle(&result, "#null", &[]);
        }
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_03_who_waits_for_a_lost_peer_is_told() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.is_kept("mallory", "ro+1");
        begin(stage, &mallory);
        stage.kernel().say("root.call('mallory', 'never', [])");
        mallory.peer.called("ro-1", "never");
        mallory.peer.does("end", json!({ "line": mallory.line }));
        mallory.peer.does("forget", json!({}));
        mallory.peer.dial(&stage.address);
        assert!(stage.kernel().refusal().contains("PEER_RESTARTED"));
        assert!(stage.kernel().refuse("root.finish()").contains("PEER_RESTARTED"));
        stage.kernel().note("has lost its state");
    });
}

#[test]
fn w_04_promises_are_settled_on_the_other_side() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.is_kept("mallory", "ro+1");
        stage.kernel().say("root.offer('mallory')");
        let (methargs, result) = mallory.peer.called("ro-1", "double");
        assert_eq!(mallory.peer.answer(&text(&methargs["slots"][0])), "#21");
        // What comes back is a promise itself, which is settled last.
        let (ours, _) = promise(&mallory.peer);
        mallory.peer.settle(&result, "#\"&0\"", &[&ours]);
        mallory.peer.settle(&ours, "#42", &[]);
        assert_eq!(stage.kernel().hear()["value"], 42);
        // The reference says again what it was told.
        let seq = mallory.peer.settle("rp-1", "#21", &[]);
        mallory.peer.is_heard(seq);
        assert_eq!(stage.offences(&mallory.peer), 0);
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_05_garbage_with_the_wrong_sign_harms_nobody() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        // Both sides have an object with number 1. The reference says that it drops ours by the name of its own.
        mallory.is_kept("mallory", "ro+1");
        for kind in ["dropExports", "retireExports"] {
            let seq = mallory.peer.say("deliver", json!([kind, ["ro+1"]]));
            mallory.peer.is_heard(seq);
        }
        stage.kernel().say("root.call('mallory', 'still', [])");
        let (_, result) = mallory.peer.called("ro-1", "still");
        mallory.peer.settle(&result, "#\"here\"", &[]);
        assert_eq!(stage.kernel().hear()["value"], "here");
        assert_eq!(stage.offences(&mallory.peer), 0);
        // And in retiring what it exports, by the name of what it imports.
        let seq = mallory.peer.say("deliver", json!(["retireImports", ["ro-1"]]));
        mallory.peer.is_heard(seq);
        assert!(stage.kernel().refuse("root.call('mallory', 'still', [])").contains("OBJECT_DELETED"));
        // The kernel's own signs are right: `has_no_complaints` looks at them.
        let mallory = Guest { root: mallory.peer.redeem(&stage.url), ..mallory };
        mallory.is_kept("mallory", "ro+2");
        stage.kernel().ask("root.drop('mallory')");
        stage.kernel().ask(":reap");
        assert_eq!(mallory.peer.heard(), json!(["dropExports", ["ro-2"]]));
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_06_who_acknowledges_nothing_stops_nobody() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.peer.withholds();
        let calls: Vec<String> = (0..400).map(|number| mallory.call("name", json!([number]))).collect();
        mallory.peer.is_heard(mallory.peer.said());
        stage.still_serves();
        assert_eq!(stage.kernel().ask("root.name()"), "A");
        let pending = stage.told_of(&mallory.peer)["pendingMessages"].as_u64().unwrap();
        assert!(pending >= 300, "{pending}");
        assert!(mallory.peer.state()["received"].as_u64().unwrap() <= 101, "no more is said than it can take");
        // Nothing was lost.
        mallory.peer.acknowledges();
        for call in calls {
            assert_eq!(mallory.peer.answer(&call), "#\"A\"");
        }
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_07_no_promise_is_hijacked() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let root = mallory.root.clone();
        // The kernel decides this one, and says so later.
        let (ours, theirs) = promise(&mallory.peer);
        let seq = mallory.peer.say("deliver", call(&root, "later", json!([]), Some(&ours)));
        mallory.peer.is_heard(seq);
        let settle = |name: &str| json!(["notify", [[name, false, { "body": "#\"mine\"", "slots": [] }]]]);
        let mut offences = 0;
        let mut says = |stage: &mut Stage<'_>, params: Json, why: &str| {
            let seq = mallory.peer.say("deliver", params.clone());
            mallory.peer.is_heard(seq);
            stage.notes_offence(offences, why);
            offences += 1;
            assert_eq!(stage.offences(&mallory.peer), offences, "{params}");
        };
        says(stage, settle(&ours), &format!("settles {ours}, which it does not decide"));
        says(stage, settle("rp-9"), "settles rp-9, which it does not decide");
        says(stage, call(&root, "name", json!([]), Some(&ours)), &format!("{ours} cannot be a result"));
        says(stage, call(&root, "name", json!([]), Some("rp-9")), "rp-9 cannot be a result");
        says(stage, call(&root, "name", json!([]), Some("ro+1")), "ro+1 stands where a promise should");
        stage.kernel().ask("root.settle('the kernel says')");
        assert_eq!(mallory.peer.answer(&theirs), "#\"the kernel says\"");
        // One that is settled is nobody's any more.
        says(stage, call(&root, "name", json!([]), Some(&ours)), &format!("{ours} cannot be a result"));

        // One of somebody else, which the kernel has passed on to it.
        mallory.is_kept("mallory", "ro+7");
        let passed = text(&stage.honest.peer.does("promise", json!({})));
        let args = json!(["mallory", "take", ["&0"]]);
        let taken = stage.honest.peer.call_with(&stage.honest.root, "call", args, &[&passed]);
        let (methargs, result) = mallory.peer.called("ro-7", "take");
        let given = text(&methargs["slots"][0]);
        says(stage, settle(&given.replace('+', "-")), "which it does not decide");
        stage.honest.peer.settle(&passed, "#\"honestly\"", &[]);
        assert_eq!(mallory.peer.answer(&given), "#\"honestly\"");
        mallory.peer.settle(&result, "#null", &[]);
        assert_eq!(stage.honest.peer.answer(&taken), "#null");

        // Names that are none.
        for wrong in ["o+5", "ro+abc", "ro+0", "ro5", "rp+", "r", "", "ro+99999999999999999999", "rq+1", "ro-1x"] {
            says(
                stage,
                call_with(&root, json!([wrong]), &promise(&mallory.peer).0),
                "sent what can never be processed",
            );
        }
        for (wrong, why) in [("ro-77", "was never given ro-77"), ("rp-77", "was never given rp-77")] {
            says(stage, call_with(&root, json!([wrong]), &promise(&mallory.peer).0), why);
        }
    });
}

#[test]
fn w_08_answers_belong_to_their_questions() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let url = |what: &str| format!("ocap:z{what}@{}", mallory.peer.id);
        stage.kernel().say(&format!(":url redeem {} as public", url("Pub")));
        let public = mallory.peer.heard();
        stage.restart();
        mallory.peer.dial(&stage.address);
        stage.kernel().say(&format!(":url redeem {} as secret", url("Secr")));
        let secret = mallory.peer.heard();
        assert_ne!(public[1], secret[1], "keys do not begin again");
        assert!(public[1].as_str().unwrap().len() >= 16, "and are not to be guessed");
        mallory.peer.say("redeemURLReply", json!([true, public[1], "ro+1"]));
        mallory.peer.say("redeemURLReply", json!([true, secret[1], "ro+2"]));
        assert_eq!(stage.kernel().hear()["ok"], true);
        // Nobody waits for the first answer any more.
        assert_eq!(mallory.peer.heard(), json!(["dropExports", ["ro-1"]]));
        assert_eq!(mallory.peer.heard(), json!(["retireExports", ["ro-1"]]));
        stage.kernel().say("secret.who()");
        let (_, result) = mallory.peer.called("ro-2", "who");
        mallory.peer.settle(&result, "#\"secret\"", &[]);
        assert_eq!(stage.kernel().hear()["value"], "secret");
        // Answers that nobody waits for: what they carry is let go of.
        for (key, name) in [(&secret[1], "ro+5"), (&json!("1"), "ro+6"), (&json!(""), "ro+7")] {
            let seq = mallory.peer.say("redeemURLReply", json!([true, key, name]));
            mallory.peer.is_heard(seq);
        }
        let seq = mallory.peer.say("redeemURLReply", json!([false, "nobody's", "why"]));
        mallory.peer.is_heard(seq);
        assert_eq!(stage.offences(&mallory.peer), 0);
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_09_a_restart_with_messages_for_a_peer_loses_none() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.is_kept("mallory", "ro+1");
        mallory.peer.does("abort", json!({ "line": mallory.line }));
        mallory.peer.has_ended(mallory.line);
        for number in 0..5 {
            stage.kernel().ask(&format!("root.tell('mallory', 'told', [{number}])"));
        }
        stage.restart();
        stage.restart();
        mallory.peer.dial(&stage.address);
        for number in 0..5 {
            let (methargs, result) = mallory.peer.called("ro-1", "told");
            assert_eq!(methargs["body"], format!("#[\"told\",[{number}]]"), "in order");
            mallory.peer.settle(&result, "#null", &[]);
        }
        mallory.ask("name", json!([]));
        assert_eq!(mallory.peer.state()["inbox"], json!([]), "each once");
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_10_what_can_never_be_processed_is_consumed_and_answered() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let root = mallory.root.clone();
        let poison: [(&str, Json, &str); 14] = [
            ("deliver", json!(["unheard of"]), "kind of delivery is unknown"),
            ("deliver", json!([]), "`deliver` has the wrong parameters"),
            ("deliver", json!({}), "its params are no list"),
            ("deliver", json!(["message", root]), "`message` has the wrong parameters"),
            ("deliver", json!(["message", root, {}]), "has no methargs"),
            ("deliver", json!(["message", root, { "methargs": { "body": "no smallcaps", "slots": [] } }]), "smallcaps"),
            ("deliver", json!(["notify", []]), "notifies of nothing"),
            ("deliver", json!(["notify", [["rp+1"]]]), "is not [promise, rejected, value]"),
            ("deliver", json!(["dropExports", ["ro-99"]]), "was never given ro-99"),
            ("deliver", json!(["dropExports", "ro-1"]), "`dropExports` has the wrong parameters"),
            ("deliver", json!(["bringOutYourDead", 1]), "`bringOutYourDead` has the wrong parameters"),
            ("redeemURL", json!(["ocap:x"]), "`redeemURL` has the wrong parameters"),
            ("redeemURLReply", json!([true, "key"]), "names no reference"),
            ("unheardOf", json!([]), "its method is unknown"),
        ];
        let count = poison.len() as u64;
        for (before, (method, params, why)) in (0..).zip(poison) {
            let seq = mallory.peer.say(method, params);
            mallory.peer.is_heard(seq);
            stage.notes_offence(before, why);
            assert_eq!(stage.offences(&mallory.peer), before + 1, "{why}");
        }
        assert_eq!(stage.offences(&mallory.peer), count);
        // Where a result is named, its caller is told.
        is_refused(stage, &mallory, |result| call("ro-99", "name", json!([]), Some(result)), "was never given ro-99");
        is_refused(stage, &mallory, |result| call("ro+1", "name", json!([]), Some(result)), "is the peer's own object");
        is_refused(stage, &mallory, |result| call_with(&root, json!(["ro-98"]), result), "was never given ro-98");
        assert_eq!(mallory.ask("name", json!([])), "#\"A\"", "nothing is stuck behind it");
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_11_what_is_acknowledged_is_durable() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        for number in 0..4 {
            mallory.call("add", json!([number]));
            mallory.peer.is_heard(mallory.peer.said());
            stage.restart();
            mallory.peer.dial(&stage.address);
        }
        assert_eq!(mallory.ask("entries", json!([])), "#[0,1,2,3]");
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_12_a_url_is_a_secret_and_opens_its_object_only() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let once = stage.kernel().ask_text(":url issue root --once");
        let revoked = stage.kernel().ask_text(":url issue root");
        mallory.peer.redeem(&once);
        stage.kernel().ask(":url revoke url3");
        let guess = stage.url.replacen("ocap:z", "ocap:z2", 1);
        let mut words = std::collections::BTreeSet::new();
        for url in [&once, &revoked, &guess] {
            words.insert(mallory.peer.redeem_in_vain(url));
        }
        assert_eq!(words.len(), 1, "nobody learns why: {words:?}");
        for wrong in ["", "ocap:", "http://example.org/", "ocap:zA@nobody", &format!("ocap:zA@{}", mallory.peer.id)] {
            mallory.peer.redeem_in_vain(wrong);
        }
        // A thousand guesses cost nothing that lasts.
        for number in 0..1000 {
            let guess = format!("{number:010b}").replace('0', "a");
            let url = stage.url.replacen("ocap:z", &format!("ocap:z{guess}"), 1);
            mallory.peer.say("redeemURL", json!([url, format!("{number}")]));
        }
        mallory.peer.is_heard(mallory.peer.said());
        stage.still_serves();
        assert_eq!(mallory.ask("name", json!([])), "#\"A\"");
        let told = stage.kernel().told();
        for url in [&stage.url, &once, &revoked] {
            let secret = &url["ocap:".len()..url.find('@').unwrap()];
            assert!(!told.contains(secret), "{told}");
        }
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_13_nothing_is_lost_when_more_comes_than_is_taken() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        // 20 MB that nobody takes in at once, each way.
        let order = json!({ "target": mallory.root, "method": "name", "pad": 500_000 });
        let calls: Vec<String> = (0..40).map(|_| text(&mallory.peer.does("call", order.clone()))).collect();
        for call in calls {
            assert_eq!(mallory.peer.answer(&call), "#\"A\"");
        }
        let order = json!({ "target": mallory.root, "method": "add", "pad": 300_000 });
        assert_eq!(mallory.peer.answer(&text(&mallory.peer.does("call", order))), "#1");
        mallory.peer.does("reads", json!({ "reads": false }));
        let calls: Vec<String> = (0..40).map(|_| mallory.call("entries", json!([]))).collect();
        stage.still_serves();
        mallory.peer.does("reads", json!({ "reads": true }));
        for call in calls {
            assert_eq!(mallory.peer.answer(&call).len(), 300_005);
        }
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_14_the_end_of_an_old_stream_leaves_the_new_one() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.is_kept("mallory", "ro+1");
        let new = mallory.peer.dial(&stage.address);
        assert_eq!(mallory.ask("name", json!([])), "#\"A\"");
        mallory.peer.does("end", json!({ "line": mallory.line }));
        mallory.peer.has_ended(mallory.line);
        // Opened and closed without a word, as a dial that lost against another.
        let silent = mallory.peer.dial_saying(&stage.address, &[]);
        mallory.peer.does("end", json!({ "line": silent }));
        mallory.peer.has_ended(silent);
        assert_eq!(mallory.ask("name", json!([])), "#\"A\"");
        stage.kernel().say("root.call('mallory', 'name', [])");
        let (_, result) = mallory.peer.called("ro-1", "name");
        mallory.peer.settle(&result, "#\"mallory\"", &[]);
        assert_eq!(stage.kernel().hear()["value"], "mallory");
        assert_eq!(mallory.peer.state()["lines"][usize::try_from(new).unwrap()], "dialler", "it is still open");
        // What comes on an old stream is read, too.
        let newest = mallory.peer.dial(&stage.address);
        let order = json!({ "target": mallory.root, "method": "add", "args": ["late"], "held": true });
        let added = text(&mallory.peer.does("call", order));
        mallory.peer.does("again", json!({ "seq": mallory.peer.said(), "line": new }));
        assert_eq!(mallory.peer.answer(&added), "#1");
        assert!(newest > new);
        assert_eq!(stage.offences(&mallory.peer), 0);
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_15_a_peer_that_cannot_be_dialled_loses_nothing() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.is_kept("mallory", "ro+1");
        mallory.peer.does("stop", json!({}));
        mallory.peer.has_ended(mallory.line);
        stage.kernel().say("root.call('mallory', 'name', [])");
        stage.kernel().note("cannot be reached");
        mallory.peer.start_again();
        mallory.peer.dial(&stage.address);
        let (_, result) = mallory.peer.called("ro-1", "name");
        mallory.peer.settle(&result, "#\"back\"", &[]);
        assert_eq!(stage.kernel().hear()["value"], "back");
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_16_a_steady_stream_is_acknowledged() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let params = call(&mallory.root, "name", json!([]), None);
        mallory.peer.does("stream", json!({ "method": "deliver", "params": params, "most": 100_000 }));
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_17_a_frame_too_large_harms_only_its_stream() {
    on_both_roads(|stage| {
        let mut mallory = stage.join("mallory");
        let waiting = mallory.call("later", json!([]));
        mallory.peer.is_heard(mallory.peer.said());
        // One byte more than may be announced; a prefix of more than three bytes.
        for hex in ["818040", "ffffffffffff01"] {
            mallory.peer.does("bytes", json!({ "hex": hex, "line": mallory.line }));
            mallory.peer.has_ended(mallory.line);
            mallory.line = mallory.peer.dial(&stage.address);
        }
        stage.kernel().note("sent what cannot be read");
        // The largest that may be is taken.
        let order = json!({ "target": mallory.root, "method": "name", "pad": 1_048_000 });
        assert_eq!(mallory.peer.answer(&text(&mallory.peer.does("call", order))), "#\"A\"");
        stage.kernel().ask("root.settle('late')");
        assert_eq!(mallory.peer.answer(&waiting), "#\"late\"");
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_18_addresses_of_a_refused_url_are_not_kept() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let stranger = stage.peer("stranger", &[]).id;
        let hints = format!("/ip4/10.9.8.7/tcp/9/p2p/{},/ip4/10.9.8.6/tcp/9/p2p/{stranger}", mallory.peer.id);
        stage.kernel().say(&format!(":url redeem ocap:zBait@{},{hints}", mallory.peer.id));
        let asked = mallory.peer.heard();
        mallory.peer.say("redeemURLReply", json!([false, asked[1], "no"]));
        stage.kernel().refusal();
        assert_eq!(stage.told_of(&mallory.peer)["addresses"], json!([]));
        assert!(!stage.kernel().ask_text(":url issue root").contains("10.9.8"), "and not told to others");
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_19_strangers_leave_nothing() {
    on_both_roads(|stage| {
        let known = stage.kernel().ask(":peers").as_array().unwrap().len();
        for number in 0..8 {
            let stranger = stage.peer(&format!("stranger {number}"), &[]);
            let line = stranger.dial(&stage.address);
            let seq = stranger.say("deliver", call("ro-1", "add", json!(["stranger"]), Some("rp+1")));
            stranger.is_heard(seq);
            let seq = stranger.say("deliver", json!(["dropExports", ["ro-1"]]));
            stranger.is_heard(seq);
            stranger.redeem_in_vain(&stage.url.replacen("ocap:z", "ocap:z2", 1));
            stranger.frame(["no JSON", "{}", "{\"ack\":99}", "[[["][number % 4]);
            stranger.has_ended(line);
            stranger.does("stop", json!({}));
        }
        assert_eq!(stage.kernel().ask(":peers").as_array().unwrap().len(), known);
        assert_eq!(stage.kernel().ask("root.entries()"), json!([]));
        stage.kill();
        assert_eq!((stage.rows("remotes"), stage.rows("remote-cursors")), (1, 1));
        stage.restart();
        // One that guesses without ever listening is not listened to.
        let guesser = stage.peer("guesser", &[]);
        let line = guesser.dial(&stage.address);
        guesser.withholds();
        for _ in 0..80 {
            guesser.say("redeemURL", json!([stage.url.replacen("ocap:z", "ocap:z3", 1), "key"]));
        }
        guesser.has_ended(line);
    });
}

#[test]
fn w_20_what_was_let_go_of_leaves_no_rows() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        mallory.is_kept("mallory", "ro+1");
        stage.kernel().ask(":reap");
        let before = stage.objects();
        for number in 2..22 {
            stage.kernel().say("root.give('mallory')");
            let (methargs, result) = mallory.peer.called("ro-1", "keep");
            assert_eq!(methargs["slots"], json!([format!("ro+{number}")]));
            mallory.peer.settle(&result, "#null", &[]);
            assert_eq!(stage.kernel().hear()["ok"], true);
            for kind in ["dropExports", "retireExports"] {
                mallory.peer.say("deliver", json!([kind, [format!("ro-{number}")]]));
            }
        }
        mallory.peer.is_heard(mallory.peer.said());
        stage.reap_until(before);
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_21_each_end_has_its_name() {
    on_both_roads(|stage| {
        let mut mallory = stage.join("mallory");
        mallory.is_kept("mallory", "ro+1");
        let which = mallory.peer.id.clone();
        begin(stage, &mallory);
        stage.kernel().ask(&format!(":peers close {which}"));
        mallory.peer.has_ended(mallory.line);
        assert!(stage.kernel().refuse("root.call('mallory', 'name', [])").contains("CONNECTION_CLOSED"));
        stage.kernel().ask(&format!(":peers give-up {which}"));
        assert!(stage.kernel().refuse("root.finish()").contains("CONNECTION_LOST"));
        stage.kernel().ask(&format!(":peers reconnect {which}"));
        mallory.line = mallory.peer.dial(&stage.address);
        mallory.ask("name", json!([]));
        begin(stage, &mallory);
        mallory.peer.does("forget", json!({}));
        mallory.peer.dial(&stage.address);
        assert!(stage.kernel().refuse("root.finish()").contains("PEER_RESTARTED"));
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_22_a_peer_that_was_set_back_is_noticed() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        for number in 0..5 {
            mallory.ask("add", json!([number]));
        }
        // An old copy of its store goes on under numbers that it has used.
        let said = mallory.peer.said();
        mallory.peer.does("turnBack", json!({ "said": said - 3 }));
        mallory.peer.does("abort", json!({ "line": mallory.line }));
        mallory.peer.dial(&stage.address);
        mallory.call("add", json!(["another past"]));
        stage.kernel().note("two different things under the number");
        assert_eq!(stage.kernel().ask("root.entries()"), json!([0, 1, 2, 3, 4]));
    });
}

#[test]
fn w_23_messages_without_result_and_a_close_in_both_directions() {
    on_both_roads(|stage| {
        let mut mallory = stage.join("mallory");
        let seq = mallory.peer.say("deliver", call(&mallory.root, "add", json!(["one way"]), None));
        mallory.peer.is_heard(seq);
        assert_eq!(mallory.ask("entries", json!([])), "#[\"one way\"]");
        mallory.is_kept("mallory", "ro+1");
        stage.kernel().ask(&format!(":peers close {}", mallory.peer.id));
        mallory.peer.has_ended(mallory.line);
        // Nothing that it says is heard any more.
        let refused = mallory.peer.does("dial", json!({ "address": stage.address, "first": [] }));
        mallory.peer.has_ended(refused["line"].as_u64().unwrap());
        stage.kernel().ask(&format!(":peers reconnect {}", mallory.peer.id));
        mallory.line = mallory.peer.dial(&stage.address);
        // One-way sends of ours have a result: `watch` in the conversation looks for it.
        stage.kernel().ask("root.tell('mallory', 'told', [])");
        let (_, result) = mallory.peer.called("ro-1", "told");
        mallory.peer.settle(&result, "#null", &[]);
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_24_calls_on_answers_that_have_not_come() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let (gift, _) = promise(&mallory.peer);
        mallory.peer.say("deliver", call(&mallory.root, "gift", json!([]), Some(&gift)));
        let unwrapped = mallory.peer.call(&gift, "unwrap", json!([]));
        let again = mallory.peer.call(&gift, "unwrap", json!([]));
        assert_eq!(mallory.peer.answer(&unwrapped), "#\"a gift\"");
        assert_eq!(mallory.peer.answer(&again), "#\"a gift\"");
        // And on one that is refused.
        let (nothing, _) = promise(&mallory.peer);
        mallory.peer.say("deliver", call(&mallory.root, "nothing", json!([]), Some(&nothing)));
        assert!(mallory.peer.refusal(&mallory.peer.call(&nothing, "unwrap", json!([]))).contains("nothing"));
        mallory.peer.has_no_complaints();
    });
}

#[test]
fn w_25_versions_are_said_and_their_absence_is_understood() {
    on_both_roads(|stage| {
        let mallory = stage.join("mallory");
        let dial = |protocol: &str| json!({ "address": stage.address, "protocol": protocol });
        for unknown in ["/sturdy/999", "whatever/2", "/whatever"] {
            mallory.peer.fails("dial", dial(unknown));
        }
        let told = |incarnation: &str, more: Json| {
            let mut greeting = json!({ "method": "handshake", "params": { "incarnationId": incarnation }, "more": 1 });
            for (name, value) in more.as_object().unwrap() {
                greeting["params"][name] = value.clone();
            }
            greeting.to_string()
        };
        // Properties that nobody knows are passed over, a malformed part of our own is not.
        let fay = stage.peer("fay", &[]);
        let line = fay.dial_saying(&stage.address, &[&told("fay", json!({ "version": 7, "features": ["x"] }))]);
        fay.does("met", json!({ "line": line }));
        let root = fay.redeem(&stage.url);
        assert_eq!(fay.ask(&root, "name", json!([])), "#\"A\"");
        for malformed in [json!(1), json!({}), json!({ "version": -1 }), json!({ "version": 1, "conversation": 0 })] {
            let line = fay.dial_saying(&stage.address, &[&told("fay", json!({ "sturdy": malformed }))]);
            fay.has_ended(line);
        }
        stage.kernel().note("has a malformed `sturdy` part");
        assert_eq!(fay.ask(&root, "name", json!([])), "#\"A\"", "its other stream is untouched");
        fay.has_no_complaints();
        mallory.peer.has_no_complaints();
    });
}
