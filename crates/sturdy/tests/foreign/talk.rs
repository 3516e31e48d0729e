//! Honest conversations: dialled from either side, cut and taken up again, begun anew by a peer that has lost its state.

use crate::on_both_roads;
use crate::peer::text;
use serde_json::{Value as Json, json};

#[test]
fn the_foreign_peer_dials_redeems_calls_and_is_called() {
    on_both_roads(|stage| {
        let greeted = stage.honest.peer.does("met", json!({ "line": stage.honest.line }));
        let greeted: Json = serde_json::from_str(&text(&greeted)).unwrap();
        assert_eq!(greeted["method"], "handshakeAck");
        assert!(greeted["params"]["incarnationId"].is_string());

        let fay = stage.join("fay");
        // Values of all kinds.
        let value = json!({ "big": "+7", "list": [1, null, true, "#NaN"], "none": "#undefined", "text": "!#so" });
        assert_eq!(fay.ask("add", json!([value])), "#1");
        assert_eq!(fay.ask("entries", json!([])), format!("#[{value}]"));
        let shown = json!([{ "big": { "@bigint": "7" }, "list": [1, null, true, { "@number": "NaN" }],
            "none": { "@undefined": true }, "text": "#so" }]);
        assert_eq!(stage.kernel().ask("root.entries()"), shown);

        // A promise of the kernel's side, settled later; a promise of the peer as an argument; a rejection.
        let later = fay.call("later", json!([]));
        fay.peer.is_heard(fay.peer.said());
        stage.kernel().ask("root.settle('at last')");
        assert_eq!(fay.peer.answer(&later), "#\"at last\"");
        let promise = text(&fay.peer.does("promise", json!({})));
        let doubled = fay.peer.call_with(&fay.root, "double", json!(["&0"]), &[&promise]);
        fay.peer.is_heard(fay.peer.said());
        fay.peer.settle(&promise, "#21", &[]);
        assert_eq!(fay.peer.answer(&doubled), "#42");
        assert!(fay.peer.refusal(&fay.call("nothing", json!([]))).contains("nothing"));

        // An object of the peer is called; so is it with a promise, which is settled afterwards.
        let greets = fay.peer.call_with(&fay.root, "greet", json!(["$0.Alleged: fay"]), &["ro+1"]);
        let (_, result) = fay.peer.called("ro-1", "name");
        fay.peer.settle(&result, "#\"fay\"", &[]);
        assert_eq!(fay.peer.answer(&greets), "#\"hello fay\"");
        fay.is_kept("fay", "ro+1");
        stage.kernel().say("root.offer('fay')");
        let (methargs, result) = fay.peer.called("ro-1", "double");
        assert_eq!(fay.peer.answer(&text(&methargs["slots"][0])), "#21");
        fay.peer.settle(&result, "#42", &[]);
        assert_eq!(stage.kernel().hear()["value"], 42);

        let told = stage.told_of(&fay.peer);
        assert_eq!(
            (&told["kind"], &told["offences"], &told["pendingMessages"]),
            (&json!("whatever"), &json!(0), &json!(0))
        );
        fay.peer.has_no_complaints();
    });
}

#[test]
fn what_is_let_go_of_is_collected_on_either_side() {
    on_both_roads(|stage| {
        let fay = stage.join("fay");
        fay.is_kept("fay", "ro+1");
        // Only what a result carries stays for a `whatever` peer (LINK.md), so the gift comes as an argument.
        stage.kernel().say("root.give('fay')");
        let (methargs, result) = fay.peer.called("ro-1", "keep");
        assert_eq!(methargs["slots"], json!(["ro+2"]));
        fay.peer.settle(&result, "#null", &[]);
        assert_eq!(stage.kernel().hear()["ok"], true);
        assert_eq!(fay.peer.ask("ro-2", "unwrap", json!([])), "#\"a gift\"");
        stage.kernel().ask(":reap");
        assert_eq!(fay.peer.ask("ro-2", "unwrap", json!([])), "#\"a gift\"", "the peer still has it");
        let before = stage.objects();
        fay.peer.say("deliver", json!(["dropExports", ["ro-2"]]));
        let retired = fay.peer.say("deliver", json!(["retireExports", ["ro-2"]]));
        fay.peer.is_heard(retired);
        stage.reap_until(before - 1);
        let gone = fay.peer.call("ro-2", "unwrap", json!([]));
        assert!(fay.peer.refusal(&gone).contains("OBJECT_DELETED"));
        // The other way round.
        stage.kernel().ask("root.drop('fay')");
        stage.kernel().ask(":reap");
        assert_eq!(fay.peer.heard(), json!(["dropExports", ["ro-1"]]));
        assert_eq!(fay.peer.heard(), json!(["retireExports", ["ro-1"]]));
        assert_eq!(stage.offences(&fay.peer), 0);
        fay.peer.has_no_complaints();
    });
}

#[test]
fn we_dial_the_foreign_peer() {
    on_both_roads(|stage| {
        let fay = stage.peer("fay", &[stage.road]);
        let url = format!("ocap:zWhateverFayMeans@{},{}", fay.id, fay.addresses[0]);
        stage.kernel().say(&format!(":url redeem {url} as fay"));
        let greeting = text(&fay.does("met", json!({ "line": 0 })));
        let incarnation = &serde_json::from_str::<Json>(&greeting).unwrap()["params"]["incarnationId"];
        let reference = json!({ "method": "handshake", "params": { "incarnationId": incarnation } }).to_string();
        // As the reference writes it; what we add comes after that.
        assert!(greeting.starts_with(reference.trim_end_matches('}')), "{greeting}");
        let asked = fay.heard();
        assert_eq!(asked[0].as_str().unwrap().split(',').next(), url.split(',').next());
        let answered = fay.say("redeemURLReply", json!([true, asked[1], "ro+1"]));
        assert_eq!(stage.kernel().hear()["ok"], true);
        fay.is_heard(answered);
        stage.kernel().say("fay.double(21n, undefined)");
        let (methargs, result) = fay.called("ro-1", "double");
        assert_eq!(methargs["body"], r##"#["double",["+21","#undefined"]]"##);
        fay.settle(&result, "#\"+42\"", &[]);
        assert_eq!(stage.kernel().hear()["value"], json!({ "@bigint": "42" }));
        // It calls what it is given, and goes away; it is dialled again for the next call.
        stage.kernel().say("fay.hello(root)");
        let (methargs, result) = fay.called("ro-1", "hello");
        assert_eq!(methargs["slots"], json!(["ro+1"]));
        assert_eq!(fay.ask("ro-1", "name", json!([])), "#\"A\"");
        fay.does("abort", json!({ "line": 0 }));
        fay.has_ended(0);
        fay.settle(&result, "#null", &[]);
        fay.does("met", json!({ "line": 1 }));
        assert_eq!(stage.kernel().hear()["ok"], true);
        // One that refuses.
        stage.kernel().say(&format!(":url redeem {url} as nobody"));
        let asked = fay.heard();
        fay.say("redeemURLReply", json!([false, asked[1], "not here"]));
        assert!(stage.kernel().refusal().contains("not here"));
        fay.has_no_complaints();
    });
}

#[test]
fn what_was_not_acknowledged_is_said_again_and_taken_once() {
    on_both_roads(|stage| {
        let mut fay = stage.join("fay");
        fay.is_kept("fay", "ro+1");
        // The kernel repeats: it does not know what was heard.
        fay.peer.withholds();
        stage.kernel().ask("root.tell('fay', 'first', [])");
        let (_, first) = fay.peer.called("ro-1", "first");
        fay.peer.does("abort", json!({ "line": fay.line }));
        stage.kernel().ask("root.tell('fay', 'second', [])");
        fay.line = fay.peer.dial(&stage.address);
        fay.peer.does("repeated", json!({ "count": 1 }));
        let (_, second) = fay.peer.called("ro-1", "second");
        fay.peer.acknowledges();
        // The peer repeats what was acknowledged, what was not, and what it has not said at all before the line broke.
        fay.peer.settle(&first, "#1", &[]);
        let said = fay.peer.settle(&second, "#2", &[]);
        fay.peer.is_heard(said);
        let added = fay.call("add", json!(["said"]));
        let held = json!({ "target": fay.root, "method": "add", "args": ["held"], "held": true });
        let held = text(&fay.peer.does("call", held));
        fay.peer.does("abort", json!({ "line": fay.line }));
        fay.peer.has_ended(fay.line);
        fay.line = fay.peer.dial(&stage.address);
        for seq in 1..=fay.peer.said() {
            fay.peer.does("again", json!({ "seq": seq }));
        }
        assert_eq!((fay.peer.answer(&added), fay.peer.answer(&held)), ("#1".into(), "#2".into()));
        assert_eq!(stage.kernel().ask("root.entries()"), json!(["said", "held"]), "each once, in order");
        assert_eq!(stage.offences(&fay.peer), 0);
        fay.peer.has_no_complaints();
    });
}

#[test]
fn a_foreign_peer_that_has_lost_its_state_is_noticed() {
    on_both_roads(|stage| {
        let mut fay = stage.join("fay");
        fay.is_kept("fay", "ro+1");
        stage.kernel().say("root.call('fay', 'never', [])");
        fay.peer.called("ro-1", "never");
        fay.peer.does("forget", json!({}));
        fay.line = fay.peer.dial(&stage.address);
        assert!(stage.kernel().refusal().contains("PEER_RESTARTED"));
        stage.kernel().note("has lost its state");
        assert!(stage.kernel().refuse("root.call('fay', 'name', [])").contains("OBJECT_DELETED"));
        // What it was given is nothing to its new life, until it redeems it again.
        let old = fay.call("name", json!([]));
        assert!(fay.peer.refusal(&old).contains("OBJECT_DELETED"));
        fay.root = fay.peer.redeem(&stage.url);
        assert_eq!(fay.ask("name", json!([])), "#\"A\"");
        fay.is_kept("fay", "ro+1");
        stage.kernel().say("root.call('fay', 'name', [])");
        let (_, result) = fay.peer.called("ro-1", "name");
        fay.peer.settle(&result, "#\"fay\"", &[]);
        assert_eq!(stage.kernel().hear()["value"], "fay");
        fay.peer.has_no_complaints();
    });
}
