//! What a peer says and what was let go of here cross on their way: that is nobody's offence, loses nothing else, and gives
//! the peer nothing (G11, L7).

mod world;

use sturdy_kernel::{Request, UrlTerms};
use sturdy_types::KernelLimits;
use world::script::{Script, Speaks};
use world::worlds::{Worlds, peer};

/// Bob in B has the objects `o-1` (the root) and `o-2` of alice in A, a URL of B stands for `o-2`, and alice waits for bob's
/// `p+9`, her `p-3`. Then A forgets B, and B hears only that the conversation has ended.
fn forgotten() -> (Worlds, sturdy_types::OcapUrl) {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    let object = w.stages[0].reveal("alice", "o+7")[0];
    let object = w.give(0, object, 1);
    let url = w.issue(1, object, UrlTerms::default());
    w.tell(1, "bob", "keep $0; keep $1", &[alice, object]);
    w.stages[0].ask(Request::ForgetPeer(peer(1))).expect("it is forgotten");
    w.run();
    let bob = w.introduce(1, "bob", 0);
    w.tell(0, "alice", "keep $0", &[bob]);
    w.stages[0].told();
    w.stages[1].told();
    (w, url)
}

fn no_offences(w: &mut Worlds) {
    assert_eq!((w.info(0, 1).offences, w.info(1, 0).offences), (0, 0));
}

/// Whoever forgets a peer forgets what it was given; the peer learns only that the conversation has ended, and keeps its
/// references. When one of them came back in the answer to a redemption, the answer was refused as an offence, and the
/// redeemer waited for ever (seeds 9 and 99).
#[test]
fn a_redemption_that_brings_home_what_was_let_go_of_is_rejected() {
    let (mut w, url) = forgotten();
    let ticket = w.redeem_later(0, &url);
    w.run();
    let fate = w.stages[0].fate(ticket);
    assert!(fate.contains("[KERNEL:OBJECT_DELETED]"), "{fate}");
    no_offences(&mut w);
}

#[test]
fn a_settlement_that_mentions_what_was_let_go_of_arrives() {
    let (mut w, _) = forgotten();
    w.stages[1].puppets.on("bob", "give", "resolve result = [o-2, o+8]");
    w.tell(0, "alice", "ask o-1 give() -> p+5", &[]);
    let alice = w.stages[0].told();
    assert!(alice.contains("notify p+5 fulfilled ["), "{alice}");
    no_offences(&mut w);
}

#[test]
fn a_message_that_mentions_what_was_let_go_of_arrives_and_the_rest_of_it_is_known() {
    let (mut w, _) = forgotten();
    let alice = w.introduce(0, "alice", 1);
    w.stages[0].puppets.on("alice", "take", "keep $1; send $0 gone() -> p+20; subscribe p+20; send $1 here()");
    w.tell(1, "bob", "send $0 take(o-2, o+8) -> p+6; subscribe p+6", &[alice]);
    let alice = w.stages[0].told();
    assert!(alice.contains("take("), "{alice}");
    assert!(alice.contains("notify p+20 rejected [Error: [KERNEL:OBJECT_DELETED]"), "it cannot be called: {alice}");
    assert!(w.stages[1].told().contains("here()"));
    no_offences(&mut w);
}

/// What it has let go of, what it was given in another life, and what it was never given: the peer reaches none of it.
#[test]
fn naming_what_one_does_not_have_gives_nothing() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    script.w.stages[0].puppets.on("alice", "make", "resolve result = [o+7]");
    script.call("ro-1", "make", "rp+2", &[]);
    script.frames();
    script.acknowledge();
    let drop = format!(r#""ack":{},"method":"deliver","params":["dropExports",["ro-2"]]"#, script.heard());
    script.say(&drop);
    script.w.stages[0].puppets.on("alice", "look", "send $0 secret() -> p+30; subscribe p+30");
    script.call("ro-1", "look", "rp+3", &["ro-2"]);
    script.w.run_world(0);
    let told = script.w.stages[0].told();
    assert!(told.contains("look(") && !told.contains("secret()"), "{told}");
    assert!(told.contains("[KERNEL:OBJECT_DELETED]"), "{told}");
    script.call("ro-2", "secret", "rp+4", &[]);
    script.w.run_world(0);
    assert!(!script.w.stages[0].told().contains("secret()"));
    assert_eq!(script.offences(), 0);
    script.call("ro-1", "look", "rp+5", &["ro-3"]);
    assert_eq!(script.offences(), 1, "a number that was never given out");
}
