//! Errors that callers see (kernel-semantics §9 items 42–46).

mod world;

use sturdy_kernel::Request;
use sturdy_smallcaps::{Value, decode};
use sturdy_types::{Code, ErrorClass, Fatal, KRef, ObjectId, classify};
use world::both_engines;
use world::puppet::Stage;

#[test]
fn item_42_a_revoked_object_bounces_and_its_exporter_goes_on() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(o+5)");
        let object = s.reveal("alice", "o+5")[0];
        let promise = s.reveal("alice", "p+5")[0];
        let parked = s.send_later(promise, "ping", &[]);
        s.ask(Request::Revoke(object)).expect("it is there");
        s.told();
        let text = format!("[Error: [KERNEL:OBJECT_REVOKED] {object} was revoked]");
        for _ in 0..5 {
            assert_eq!(s.send(object, "ping", &[]), format!("rejected {text}"));
        }
        // By vats, and by what waits on a promise that is fulfilled with it.
        s.tell("bob", "ask o-1 ping() -> p+5");
        s.heard(&format!("bob <- notify p+5 rejected {text}"));
        s.tell("alice", "resolve p+5 = o+5");
        assert_eq!(s.fate(parked), format!("rejected {text}"));
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
        // It can still be passed around, and is collected like any other.
        s.tell_with("bob", "keep result; resolve result = $0", &[object]);
        s.tell("bob", "drop o-1; retire o-1");
        s.acknowledge_all();
        s.settle_down();
        s.heard("alice <- dropExports o+5\n alice <- retireExports o+5");
    });
}

#[test]
fn item_43_an_object_of_a_terminated_vat_is_deleted_for_hosts_and_vats() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let root = s.root("bob");
        s.terminate("bob");
        let text = format!("[Error: [KERNEL:OBJECT_DELETED] {root} does not exist any more]");
        assert_eq!(s.send(root, "ping", &[]), format!("rejected {text}"));
        s.tell("alice", "ask o-1 ping() -> p+5");
        s.heard(&format!("alice <- notify p+5 rejected {text}"));
    });
}

#[test]
fn item_44_unknown_references_are_refused_and_the_kernel_goes_on() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice"]);
        let unknown: KRef = ObjectId(999).into();
        let root = s.root("alice");
        assert_eq!(s.send(root, "take", &[unknown]), "refused ko999 is not a reference that this kernel knows");
        let text = "rejected [Error: [KERNEL:OBJECT_DELETED] ko999 does not exist any more]";
        assert_eq!(s.send(unknown, "ping", &[]), text);
        for malformed in ["", "ko", "kp-1", "x1", "ko01"] {
            assert!(malformed.parse::<KRef>().is_err());
        }
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
    });
}

#[test]
fn item_45_errors_are_recognized_by_their_text() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let mut class = |script: &str| {
            let ticket = s.tell_later("bob", script, &[]);
            s.run();
            let settled = s.result(ticket).expect("it is settled");
            match decode(&settled.value) {
                Ok(Value::Error { message, .. }) => classify(&message),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(class("resolve result != error mine"), None);
        assert_eq!(class("verdict COMPUTE_LIMIT x"), Some(ErrorClass::VatFatal(Fatal::ComputeLimit)));
        assert_eq!(class(""), Some(ErrorClass::Expected(Code::ObjectDeleted)));
    });
}
