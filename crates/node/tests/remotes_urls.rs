//! OCAP URLs: issued, listed, ended; redeemed here and between kernels, over every fault; what they hold and what nobody
//! gets to see (link L14; wire-protocol W-8, W-12, W-18).

mod world;

use sturdy_kernel::{
    Answer, Event, Lasts, Refused, Request, Ticket, URL_ISSUER, URL_REDEEMER, UrlHost, UrlInfo, UrlTerms, UrlUse,
    WhichUrl,
};
use sturdy_node::remote::Side;
use sturdy_types::{ConnectionId, KRef, KernelLimits, OcapUrl, Oid, UrlId};
use world::puppet::Stage;
use world::worlds::{Worlds, peer};

const ONCE: UrlTerms = UrlTerms { expires_at: None, uses: UrlUse::Once };

/// Alice in A, bob in B, carol in C. Alice's object, which outlives her heap, is held by what the test issues for it.
fn worlds() -> (Worlds, KRef) {
    let mut w = Worlds::new(&[&["alice"], &["bob"], &["carol"]]);
    let object = w.stages[0].reveal("alice", "o+d1/5")[0];
    w.stages[0].told();
    (w, object)
}

fn urls(stage: &mut Stage) -> Vec<UrlInfo> {
    match stage.ask(Request::Urls) {
        Ok(Answer::Urls(urls)) => urls,
        other => panic!("{other:?}"),
    }
}

fn redeem(w: &mut Worlds, world: usize, url: &OcapUrl) -> String {
    let ticket = w.redeem_later(world, url);
    w.run();
    w.stages[world].fate(ticket)
}

/// Nobody holds the object any more: alice hears of it.
fn is_gone(w: &mut Worlds) -> bool {
    w.settle_down();
    w.stages[0].told().contains("dropExports o+d1/5")
}

const REFUSED: &str = "rejected [Error: there is nothing under this OCAP URL]";

#[test]
fn a_url_holds_its_object_until_it_is_revoked() {
    let (mut w, object) = worlds();
    let before = w.stages[0].census();
    let url = w.issue(0, object, UrlTerms::default());
    let second = w.issue(0, object, UrlTerms::default());
    assert!(!is_gone(&mut w));
    w.crash(0);
    w.run();
    assert!(redeem(&mut w, 1, &url).starts_with("fulfilled"));
    w.revoke(0, &url);
    assert_eq!(redeem(&mut w, 1, &url), REFUSED);
    let [left] = &urls(&mut w.stages[0])[..] else { panic!("one is left") };
    assert_eq!((left.id, left.redeemed), (UrlId(2), 0));
    w.stages[0].ask(Request::RevokeUrl(WhichUrl::Number(UrlId(2)))).expect("it is there");
    assert_eq!(redeem(&mut w, 1, &second), REFUSED);
    assert_eq!(w.stages[0].ask(Request::RevokeUrl(WhichUrl::Number(UrlId(2)))), Err(Refused::NoSuchUrl));
    w.settle_down();
    let after = w.stages[0].census();
    for table in ["urls", "urls-by-oid", "url-expiries", "remote-names"] {
        assert_eq!(after.get(table), None, "{table}: {before:?} {after:?}");
    }
    let third = w.stages[0].root("alice").into();
    w.issue(0, third, UrlTerms::default());
    assert_eq!(urls(&mut w.stages[0])[0].id, UrlId(3), "numbers are never used again");
}

#[test]
fn a_url_ends_at_its_time() {
    let (mut w, object) = worlds();
    let at = w.stages[0].now() + 1_000;
    let url = w.issue(0, object, UrlTerms { expires_at: Some(at), uses: UrlUse::Many });
    assert!(redeem(&mut w, 1, &url).starts_with("fulfilled"));
    w.settle_down();
    let late = at.saturating_sub(w.stages[0].now());
    for stage in &mut w.stages {
        stage.pass_time(late);
    }
    // Before anybody has cleaned up.
    assert_eq!(redeem(&mut w, 2, &url), REFUSED);
    assert!(is_gone(&mut w));
    assert!(urls(&mut w.stages[0]).is_empty());
    let terms = UrlTerms { expires_at: Some(at), uses: UrlUse::Many };
    let object = w.stages[0].root("alice").into();
    let request = Request::IssueUrl { object, oid: Oid::from_random(&[9; 32]), terms };
    assert_eq!(w.stages[0].ask(request), Err(Refused::ExpiredAlready));
}

#[test]
fn a_url_for_one_use_is_used_once() {
    let (mut w, object) = worlds();
    let url = w.issue(0, object, ONCE);
    assert!(redeem(&mut w, 1, &url).starts_with("fulfilled"));
    assert_eq!(redeem(&mut w, 2, &url), REFUSED);
    assert_eq!(redeem(&mut w, 1, &url), REFUSED);
    assert_eq!(redeem(&mut w, 0, &url), REFUSED);
    // It holds nothing any more.
    assert!(is_gone(&mut w));
    assert_eq!(urls(&mut w.stages[0]).len(), 1);
    for stage in &mut w.stages {
        stage.pass_time(KernelLimits::default().used_url_age_ms + 1);
    }
    w.settle_down();
    assert!(urls(&mut w.stages[0]).is_empty());
}

/// B is a script that has greeted A on a new connection.
fn script() -> (Worlds, KRef) {
    let mut w = Worlds::new(&[&["alice"], &[]]);
    let object = w.stages[0].reveal("alice", "o+5")[0];
    w.mute = Some(1);
    greet(&mut w);
    (w, object)
}

fn greet(w: &mut Worlds) {
    w.dial(1, 0);
    w.forge(0, r#"{"method":"handshake","params":{"incarnationId":"bb"}}"#);
}

fn show_url(w: &mut Worlds, seq: u64, url: &str, key: &str) -> String {
    w.heard.clear();
    w.forge(0, &format!(r#"{{"seq":{seq},"method":"redeemURL","params":["{url}","{key}"]}}"#));
    while w.carry_to(1) {}
    let reply = w.heard.iter().rev().find(|(to, text)| *to == 1 && text.contains("redeemURLReply"));
    let reply = &reply.expect("it is answered").1;
    reply[reply.find("params").expect("it has parameters") + 8..reply.len() - 1].to_owned()
}

#[test]
fn the_same_redemption_gets_the_same_answer_again() {
    let (mut w, object) = script();
    let url = w.issue(0, object, ONCE).reveal();
    assert_eq!(show_url(&mut w, 1, &url, "k1"), r#"[true,"k1","ro+1"]"#);
    assert_eq!(show_url(&mut w, 2, &url, "k1"), r#"[true,"k1","ro+1"]"#);
    assert_eq!(show_url(&mut w, 3, &url, "k2"), r#"[false,"k2","there is nothing under this OCAP URL"]"#);
    let [info] = &urls(&mut w.stages[0])[..] else { panic!("one") };
    assert_eq!(info.redeemed, 2);
}

#[test]
fn what_is_no_url_is_refused_in_words_that_tell_nothing() {
    let (mut w, _) = script();
    for (seq, url) in (1..).zip(["", "url", "ocap:zAb1@A", "ocap:@A", "ocap:zAb1", "https://a/b"]) {
        let reply = show_url(&mut w, seq, url, "k");
        assert!(reply.starts_with(r#"[false,"k","#) && !reply.contains("zAb1"), "{reply}");
    }
    assert_eq!(w.info(0, 1).offences, 0);
}

#[test]
fn w_08_an_answer_that_nobody_waits_for_is_ignored_and_its_object_released() {
    let (mut w, _) = script();
    let before = w.stages[0].census();
    w.heard.clear();
    w.forge(0, r#"{"seq":1,"method":"redeemURLReply","params":[true,"1","ro+7"]}"#);
    w.forge(0, r#"{"seq":2,"method":"redeemURLReply","params":[false,"1","no"]}"#);
    while w.carry_to(1) {}
    let said: Vec<_> = w.heard.iter().filter(|(to, _)| *to == 1).map(|(_, text)| text.clone()).collect();
    assert!(said.iter().any(|text| text.contains(r#"["retireExports",["ro-7"]]"#)), "{said:?}");
    let info = w.info(0, 1);
    assert_eq!((info.received, info.offences), (2, 0));
    let after = w.stages[0].census();
    assert_eq!((before.get("objects"), before.get("remote-refs")), (after.get("objects"), after.get("remote-refs")));
}

#[test]
fn w_08_keys_are_random_so_a_restart_confuses_nothing() {
    let (mut w, object) = worlds();
    let secret = w.issue(0, object, UrlTerms::default());
    let public = w.issue(0, w.stages[0].root("alice").into(), UrlTerms::default());
    w.up = false;
    w.cut_off(0);
    let named = |w: &mut Worlds, url: &OcapUrl, name: &str| {
        let (url, me, key) = (url.clone(), peer(1), format!("random-{name}"));
        w.stages[1].ask_later(Request::Redeem { url, me, key, request: Some(name.into()) })
    };
    named(&mut w, &secret, "one");
    w.run_world(1);
    w.crash(1);
    named(&mut w, &public, "two");
    w.run_world(1);
    w.up = true;
    w.run();
    let (one, two) = (named(&mut w, &secret, "one"), named(&mut w, &public, "two"));
    w.run();
    let [one, two] = [one, two].map(|ticket| w.stages[1].result(ticket).expect("redeemed").value.slots[0]);
    assert_ne!(one, two);
    assert_eq!(w.give(0, object, 1), one, "the same object under the same reference");
    w.tell(1, "bob", "send $0 secret()", &[one]);
    assert!(w.stages[0].told().contains("message o+d1/5 secret()"));
}

/// A named redemption of a single-use URL with a crash of one side or both after any number of steps.
#[test]
fn a_redemption_survives_restarts_of_both_sides_at_any_moment() {
    let named = |w: &mut Worlds, url: &OcapUrl| -> Ticket {
        let request = Request::Redeem { url: url.clone(), me: peer(1), key: "k".into(), request: Some("r".into()) };
        w.stages[1].ask_later(request)
    };
    for steps in 0..14 {
        for crashed in [&[0][..], &[1], &[0, 1]] {
            let (mut w, object) = worlds();
            let url = w.issue(0, object, ONCE);
            named(&mut w, &url);
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
            let ticket = named(&mut w, &url);
            w.run();
            let fate = w.stages[1].fate(ticket);
            assert!(fate.starts_with("fulfilled"), "{steps} {crashed:?}: {fate}");
            let [info] = &urls(&mut w.stages[0])[..] else { panic!("one") };
            assert_eq!(info.redeemed, 1, "{steps} {crashed:?}");
            let object = w.stages[1].result(ticket).expect("redeemed").value.slots[0];
            w.tell(1, "bob", "send $0 hello()", &[object]);
            assert!(w.stages[0].told().contains("message o+d1/5 hello()"), "{steps} {crashed:?}");
        }
    }
}

#[test]
fn our_own_url_is_redeemed_without_the_network() {
    let (mut w, object) = worlds();
    w.up = false;
    let url = w.issue(0, object, ONCE);
    let ticket = w.redeem_later(0, &url);
    w.run();
    assert_eq!(w.stages[0].result(ticket).expect("at once").value.slots, [object]);
    assert_eq!(redeem(&mut w, 0, &url), REFUSED);
    assert!(w.has_no_connection());
}

#[test]
fn promises_have_urls_once_they_are_fulfilled() {
    let mut s = Stage::on(world::Engines::Memory, &["alice"]);
    s.puppets.on("alice", "later", "keep result");
    let ticket = s.tell_later("alice", "ask o+0 later() -> p+5; resolve result = [p+5, o+5]", &[]);
    s.run();
    let [promise, object] = s.result(ticket).expect("answered").value.slots[..] else { panic!("two") };
    let issue = |number: u8, object| {
        let oid = Oid::from_random(&[number; 32]);
        Request::IssueUrl { object, oid, terms: UrlTerms::default() }
    };
    assert_eq!(s.ask(issue(1, promise)), Err(Refused::NotAnObject(promise)));
    let fulfilled = s.tell_later("alice", "send o+0 it() -> p+7; resolve result = [p+7]", &[]);
    s.puppets.once("alice", "it", "resolve result = o+5");
    s.run();
    let promise = s.result(fulfilled).expect("answered").value.slots[0];
    let Ok(Answer::Url(info)) = s.ask(issue(2, promise)) else { panic!("it is issued") };
    assert_eq!((KRef::Object(info.object), info.lasts), (object, Lasts::UntilItsVatRestarts));
    assert_eq!(s.ask(issue(2, object)), Ok(Answer::Url(info)), "asked again");
    let root = s.root("alice").into();
    assert_eq!(s.ask(issue(2, root)), Err(Refused::NameTaken("this oid".into())));
    let Ok(Answer::Url(root)) = s.ask(issue(3, root)) else { panic!("it is issued") };
    assert_eq!(root.lasts, Lasts::ForGood);
    let gone = KRef::Object(sturdy_types::ObjectId(999));
    assert_eq!(s.ask(issue(4, gone)), Err(Refused::NoSuchReference(gone)));
}

#[test]
fn there_are_only_so_many_urls() {
    let limits = KernelLimits { urls: 2, ..KernelLimits::default() };
    let mut w = Worlds::with_limits(&limits, &[&["alice"]]);
    let object = w.stages[0].root("alice").into();
    let first = w.issue(0, object, UrlTerms::default());
    w.issue(0, object, UrlTerms::default());
    let request = Request::IssueUrl { object, oid: Oid::from_random(&[9; 32]), terms: UrlTerms::default() };
    assert_eq!(w.stages[0].ask(request.clone()), Err(Refused::TooManyUrls { limit: 2 }));
    w.revoke(0, &first);
    assert!(matches!(w.stages[0].ask(request), Ok(Answer::Url(_))));
}

#[test]
fn w_12_a_url_never_stands_for_another_object() {
    let (mut w, object) = worlds();
    let url = w.issue(0, object, UrlTerms::default());
    let root = w.issue(0, w.stages[0].root("alice").into(), UrlTerms::default());
    w.stages[0].terminate("alice");
    assert_eq!(redeem(&mut w, 1, &root), REFUSED, "its vat is gone");
    w.stages[0].ask(Request::Reset).expect("it is reset");
    assert!(urls(&mut w.stages[0]).is_empty());
    w.stages[0].enter(&["dave"]);
    let dave = w.stages[0].reveal("dave", "o+5")[0];
    let new = w.issue(0, dave, UrlTerms::default());
    assert_eq!(urls(&mut w.stages[0])[0].id, UrlId(3));
    assert_eq!(redeem(&mut w, 1, &url), REFUSED);
    w.lose_store(0, &["alice"]);
    w.run();
    assert_eq!(redeem(&mut w, 1, &url), REFUSED);
    assert_eq!(redeem(&mut w, 1, &new), REFUSED);
}

#[test]
fn w_12_nobody_sees_the_secret() {
    let (mut w, object) = worlds();
    let ours = w.issue(0, object, UrlTerms::default());
    w.up = false;
    let theirs = w.issue(1, w.stages[1].root("bob").into(), UrlTerms::default());
    let request = Request::Redeem { url: theirs.clone(), me: peer(0), key: "key".into(), request: None };
    assert!(!format!("{request:?}").contains(theirs.oid.reveal()));
    w.redeem_later(0, &theirs);
    let told = format!("write url {}; resolve result = {}", ours.reveal(), theirs.without_hints().reveal());
    w.tell(0, "alice", &told, &[]);
    let dump: Vec<String> = w.stages[0]
        .node()
        .store()
        .dump()
        .map(|row| {
            let row = row.expect("readable");
            format!("{} {} {}", row.table, row.key, row.record)
        })
        .collect();
    for table in ["urls ", "urls-by-oid ", "outbox ", "vat-state ", "calls "] {
        assert!(dump.iter().any(|row| row.starts_with(table)), "{table}: {dump:#?}");
    }
    for secret in [&ours, &theirs] {
        let shown: Vec<_> = dump.iter().filter(|row| row.contains(secret.oid.reveal())).collect();
        assert!(shown.is_empty(), "{shown:?}");
    }
}

#[test]
fn w_18_addresses_of_a_url_are_tried_and_kept_only_if_it_is_good() {
    let (mut w, object) = worlds();
    let dialled = |w: &mut Worlds| match &w.stages[1].wire[..] {
        [sturdy_kernel::Effect::Connect { hints, .. }] => hints.clone(),
        other => panic!("{other:?}"),
    };
    w.stages[1].ask(Request::AddPeer { peer: peer(0), hints: vec!["/known".into()] }).expect("known");
    let good = w.issue(0, object, UrlTerms::default());
    let mut bad = OcapUrl { oid: Oid::from_random(&[7; 32]), ..good.clone() };
    bad.hints = vec!["/evil".into()];
    let ticket = w.redeem_later(1, &bad);
    w.stages[1].run();
    assert_eq!(dialled(&mut w), ["/known", "/evil"]);
    w.run();
    assert_eq!(w.stages[1].fate(ticket), REFUSED);
    assert_eq!(w.info(1, 0).hints, ["/known"]);
    assert!(w.heard.iter().all(|(_, text)| !text.contains("/evil")), "nobody else hears of it");
    w.cut_off(0);
    assert!(redeem(&mut w, 1, &good).starts_with("fulfilled"));
    assert_eq!(w.info(1, 0).hints, ["/known", "/memory/0"]);
}

/// A vat with both services as `o-1` and `o-2`.
fn served() -> (Worlds, [KRef; 2]) {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let services = [URL_ISSUER, URL_REDEEMER].map(|name| {
        let register = Request::RegisterService { name: name.into(), system_only: false };
        let mut object = None;
        for stage in &mut w.stages {
            let Ok(Answer::Service(service)) = stage.ask(register.clone()) else { panic!("it is registered") };
            object = Some(KRef::from(service));
        }
        object.expect("two worlds")
    });
    for (world, vat) in ["alice", "bob"].into_iter().enumerate() {
        w.tell(world, vat, "hold $0 strong; hold $1 strong", &services);
    }
    w.stages[0].told();
    (w, services)
}

/// The host does its part of every call that waits.
fn serve(w: &mut Worlds, world: usize, random: u8) {
    for (index, (call, name, _)) in (0..).zip(std::mem::take(&mut w.stages[world].service_calls)) {
        assert!(name == URL_ISSUER || name == URL_REDEEMER);
        let oid = Oid::from_random(&[random + index; 32]);
        let host = UrlHost { peer: peer(world), hints: Vec::new(), oid };
        w.stages[world].event(Event::UrlServiceServed { call, host }).expect("the node goes on");
    }
    w.run();
}

#[test]
fn vats_issue_and_redeem() {
    let (mut w, _) = served();
    w.tell(0, "alice", "ask o-1 issue(o+5) -> p+5; ask o-1 issue(o+6, {\"once\":true,\"expiresAt\":9e12}) -> p+6", &[]);
    serve(&mut w, 0, 10);
    let [first, second] = [10, 11].map(|n| format!("ocap:{}@A", Oid::from_random(&[n; 32]).reveal()));
    w.heard(0, &format!("alice <- notify p+5 fulfilled \"{first}\"\nalice <- notify p+6 fulfilled \"{second}\""));
    let infos = urls(&mut w.stages[0]);
    assert_eq!((infos[0].expires_at, infos[1].expires_at), (None, Some(9_000_000_000_000)));
    w.stages[1].told();
    w.tell(1, "bob", &format!("ask o-2 redeem({first}) -> p+5; ask o-2 redeem({second}) -> p+6"), &[]);
    serve(&mut w, 1, 20);
    w.heard(
        1,
        "bob <- notify p+5 fulfilled <o-3> (Alleged: redeemed)\nbob <- notify p+6 fulfilled <o-4> (Alleged: redeemed)",
    );
    w.tell(1, "bob", "send o-3 hello(); send o-4 hello()", &[]);
    w.heard(0, "alice <- message o+5 hello() result p-4\nalice <- message o+6 hello() result p-5");
    // Alice's own.
    w.tell(0, "alice", &format!("ask o-2 redeem({first}) -> p+7; ask o-2 redeem({second}) -> p+8"), &[]);
    serve(&mut w, 0, 30);
    w.heard(
        0,
        "alice <- notify p+7 fulfilled <o+5> (Alleged: redeemed)
         alice <- notify p+8 rejected [Error: there is nothing under this OCAP URL]",
    );
}

#[test]
fn vats_hear_what_is_wrong() {
    let (mut w, _) = served();
    let calls = [
        ("o-1 issue()", "issue needs an argument, the object"),
        ("o-1 issue(7)", "the first argument of issue must be a remotable"),
        ("o-1 issue(o+5, {\"until\":1})", "issue knows no option 'until'; it knows expiresAt and once"),
        ("o-1 issue(o+5, {\"expiresAt\":-1})", "expiresAt must be a number of milliseconds since 1970"),
        ("o-1 issue(o+5, {\"expiresAt\":1})", "the URL would have expired already: its time is in the past"),
        ("o-1 redeem(x)", "ocapURLIssuerService has no method 'redeem'"),
        ("o-2 redeem()", "redeem needs one argument, the URL as a string"),
        ("o-2 redeem(x)", "this is no URL: an OCAP URL begins with 'ocap:'"),
        ("o-2 redeem(ocap:zA1)", "the OCAP URL has no '@' between the object and the peer; perhaps its end is missing"),
    ];
    w.stages[0].pass_time(10_000);
    for (call, why) in calls {
        let ticket = w.tell_later(0, "alice", &format!("ask {call} -> result"), &[]);
        w.run();
        serve(&mut w, 0, 10);
        assert_eq!(w.stages[0].fate(ticket), format!("rejected [Error: [KERNEL:DELIVERY_FAILED] {why}]"), "{call}");
    }
    // Nobody waits: nothing is asked of anybody.
    w.tell(0, "alice", "send o-2 redeem(ocap:zA1@B)", &[]);
    serve(&mut w, 0, 10);
    assert_eq!(w.info(0, 1).pending_messages, 0);
    w.settle_down();
    assert_eq!(w.stages[0].census().get("service-calls"), None);
}

#[test]
fn calls_of_the_services_survive_a_restart() {
    let (mut w, _) = served();
    let url = w.issue(1, w.stages[1].root("bob").into(), ONCE);
    let text = url.without_hints().reveal();
    w.stages[0].puppets.on("alice", "issue", "ask o-1 issue(o+0) -> result");
    w.stages[0].puppets.on("alice", "redeem", &format!("ask o-2 redeem({text}) -> result"));
    let alice = w.stages[0].root("alice");
    let ask = |w: &mut Worlds| ["issue", "redeem"].map(|method| w.stages[0].send_named(method, alice, method));
    ask(&mut w);
    w.run_world(0);
    assert_eq!(w.stages[0].service_calls.len(), 2);
    w.stages[0].service_calls.clear();
    w.crash(0);
    w.run();
    assert_eq!(w.stages[0].service_calls.len(), 2, "the host is asked again");
    w.up = false;
    w.cut_off(0);
    serve(&mut w, 0, 10);
    w.crash(0);
    w.up = true;
    w.run();
    assert!(w.stages[0].service_calls.is_empty());
    let [issued, redeemed] = ask(&mut w);
    w.run();
    let issued = w.stages[0].fate(issued);
    assert!(issued.starts_with("fulfilled \"ocap:z"), "{issued}");
    let redeemed = w.stages[0].fate(redeemed);
    assert!(redeemed.starts_with("fulfilled <ko"), "{redeemed}");
    assert_eq!(urls(&mut w.stages[1])[0].redeemed, 1);
}

#[test]
fn a_service_that_was_withdrawn_serves_nobody() {
    let (mut w, _) = served();
    let ticket = w.tell_later(0, "alice", "ask o-1 issue(o+5) -> result", &[]);
    w.run();
    w.stages[0].ask(Request::UnregisterService(URL_ISSUER.into())).expect("it is withdrawn");
    serve(&mut w, 0, 10);
    assert!(w.stages[0].fate(ticket).contains("[KERNEL:OBJECT_DELETED]"));
    let late = UrlHost { peer: peer(0), hints: Vec::new(), oid: Oid::from_random(&[1; 32]) };
    let call = sturdy_types::ServiceCallId(1);
    w.stages[0].event(Event::UrlServiceServed { call, host: late }).expect("ignored");
}

#[test]
fn a_peer_that_ends_the_conversation_ends_redemptions() {
    let (mut w, object) = worlds();
    let url = w.issue(0, object, UrlTerms::default());
    w.up = false;
    let ticket = w.redeem_later(1, &url);
    w.run();
    w.stages[1].ask(Request::GiveUp(peer(0))).expect("it is given up");
    w.stages[1].run();
    assert!(w.stages[1].fate(ticket).contains("[KERNEL:CONNECTION_LOST]"));
    assert_eq!(w.stages[1].census().get("redemptions"), None);
    w.stages[1].ask(Request::ClosePeer { peer: peer(0), pending: sturdy_kernel::OnClose::Keep }).expect("closed");
    assert!(redeem(&mut w, 1, &url).contains("[KERNEL:CONNECTION_CLOSED]"));
    let event = Event::Connected { connection: ConnectionId(999), peer: "Z".into(), side: Side::Listener };
    w.stages[1].event(event).expect("the node goes on");
}
