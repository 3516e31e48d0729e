//! Stores that were set back, copied, or restored (L8).

mod world;

use sturdy_kernel::{Notice, Request};
use sturdy_types::{Incarnation, KernelLimits};
use world::script::{Script, Speaks, call, hello};
use world::worlds::{Worlds, peer};

/// Alice in A and bob in B have each other as `o-1`, in their durable state; she does not answer `wait`.
fn two() -> Worlds {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    let bob = w.introduce(1, "bob", 0);
    w.tell(1, "bob", "hold $0 strong", &[alice]);
    w.tell(0, "alice", "hold $0 strong", &[bob]);
    for (world, vat) in [(0, "alice"), (1, "bob")] {
        w.stages[world].puppets.on(vat, "wait", "keep result");
    }
    w.run();
    w
}

fn restarts(w: &Worlds, world: usize) -> Vec<String> {
    let notices = w.stages[world].notices.iter();
    let whys = notices.filter_map(|notice| match notice {
        Notice::PeerRestarted { why, .. } => Some(why.to_string()),
        _ => None,
    });
    whys.collect()
}

/// Either side is set back to what it was, behind its back: both notice, and whoever waited is told.
#[test]
fn a_store_that_was_set_back_is_state_loss() {
    for (set_back, vat, other, other_vat) in [(0, "alice", 1, "bob"), (1, "bob", 0, "alice")] {
        let mut w = two();
        let snapshot = w.stages[set_back].disk.snapshot();
        w.tell(other, other_vat, "ask o-1 wait() -> p+5; ask o-1 hello() -> p+6", &[]);
        w.tell(set_back, vat, "ask o-1 hello() -> p+7", &[]);
        w.stages[other].told();
        w.cut_off(0);
        w.stages[set_back].disk.restore(snapshot);
        w.crash(set_back);
        w.tell(other, other_vat, "ask o-1 hello() -> p+8", &[]);
        w.run();
        let told = w.stages[other].told();
        assert!(told.contains("p+5 rejected [Error: [KERNEL:PEER_RESTARTED]"), "{told}");
        let set = [restarts(&w, set_back), restarts(&w, other)];
        assert!(set.iter().flatten().all(|why| why.contains("set back")), "{set:?}");
        assert!(!set[other].is_empty() || !set[set_back].is_empty(), "{set:?}");
        // The two talk again, by what is redeemed anew.
        let again = w.introduce(set_back, vat, other);
        w.tell(other, other_vat, "ask $0 hello() -> p+9", &[again]);
        assert!(w.stages[other].told().contains("p+9 fulfilled"));
        assert_eq!(w.info(0, 1).conversation, w.info(1, 0).conversation);
    }
}

/// What Bob waits for is rejected, old names mean nothing any more, and the two talk again by what is redeemed anew.
#[track_caller]
fn begins_anew(w: &mut Worlds) {
    w.run();
    let told = w.stages[1].told();
    assert!(told.contains("p+5 rejected [Error: [KERNEL:PEER_RESTARTED]"), "{told}");
    let whys = [restarts(w, 0), restarts(w, 1)].concat();
    assert!(!whys.is_empty() && whys.iter().all(|why| why.contains("set back")), "{whys:?}");
    w.tell(1, "bob", "ask o-1 hello() -> p+7", &[]);
    let told = w.stages[1].told();
    assert!(told.contains("p+7 rejected [Error: [KERNEL:OBJECT_DELETED]"), "{told}");
    let again = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "ask $0 hello() -> p+9", &[again]);
    assert!(w.stages[1].told().contains("p+9 fulfilled"));
    assert_eq!(w.info(0, 1).conversation, w.info(1, 0).conversation);
}

/// Its numbers show nothing: what it has said since is taken for repetitions, and only what was said under them differs.
#[test]
fn a_store_that_was_set_back_and_has_filled_its_numbers_is_noticed() {
    for (forgotten, filled) in [(1, 1), (1, 3), (3, 3)] {
        let mut w = two();
        let snapshot = w.stages[0].disk.snapshot();
        w.tell(1, "bob", "ask o-1 wait() -> p+5", &[]);
        for number in 0..forgotten {
            w.tell(0, "alice", &format!("ask o-1 one() -> p+{}", 5 + number), &[]);
        }
        w.stages[1].told();
        w.cut_off(0);
        w.up = false;
        w.stages[0].disk.restore(snapshot);
        w.crash(0);
        for number in 0..filled {
            w.tell(0, "alice", &format!("ask o-1 another() -> p+{}", 5 + number), &[]);
        }
        w.up = true;
        begins_anew(&mut w);
    }
}

/// To a kernel that was set back to before it knew its peer, the peer is a stranger; but the peer knows that it is none.
#[test]
fn a_store_that_was_set_back_to_before_the_first_redemption_is_noticed() {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let snapshot = w.stages[0].disk.snapshot();
    let alice = w.introduce(0, "alice", 1);
    w.stages[0].puppets.on("alice", "wait", "keep result");
    w.tell(1, "bob", "hold $0 strong; ask $0 wait() -> p+5", &[alice]);
    w.stages[1].told();
    w.cut_off(0);
    w.stages[0].disk.restore(snapshot);
    w.crash(0);
    w.tell(1, "bob", "ask o-1 hello() -> p+6", &[]);
    begins_anew(&mut w);
}

/// Bob has given Alice up before she was set back: what she gave him in between must not become something else.
#[test]
fn a_store_that_was_set_back_to_an_ended_conversation_is_noticed() {
    for filled in [0, 4] {
        let mut w = two();
        let snapshot = w.stages[0].disk.snapshot();
        w.tell(0, "alice", "ask o-1 one() -> p+5; ask o-1 two() -> p+6", &[]);
        w.up = false;
        w.stages[1].ask(Request::GiveUp(peer(0))).expect("it is given up");
        w.cut_off(0);
        w.stages[0].disk.restore(snapshot);
        w.crash(0);
        for number in 0..filled {
            w.tell(0, "alice", &format!("ask o-1 another() -> p+{}", 5 + number), &[]);
        }
        w.stages[1].tell_later("bob", "ask o-1 wait() -> p+5", &[]);
        w.run_world(1);
        w.stages[1].told();
        w.up = true;
        begins_anew(&mut w);
    }
}

/// A store that was set back by nothing that anybody has seen goes on as if nothing had been.
#[test]
fn a_store_that_was_set_back_to_where_it_stands_goes_on() {
    let mut w = two();
    let snapshot = w.stages[0].disk.snapshot();
    w.cut_off(0);
    w.stages[0].disk.restore(snapshot);
    w.crash(0);
    w.tell(1, "bob", "ask o-1 hello() -> p+5", &[]);
    assert!(w.stages[1].told().contains("p+5 fulfilled"));
    assert!(restarts(&w, 0).is_empty() && restarts(&w, 1).is_empty());
}

#[test]
fn a_restored_store_begins_another_life() {
    let mut w = two();
    let snapshot = w.stages[0].disk.snapshot();
    w.tell(1, "bob", "ask o-1 wait() -> p+5", &[]);
    w.stages[1].told();
    w.cut_off(0);
    w.up = false;
    w.stages[0].disk.restore(snapshot);
    w.crash(0);
    let before = w.stages[0].node().store().incarnation();
    w.stages[0].tell_later("alice", "ask o-1 wait() -> p+5", &[]);
    w.run_world(0);
    w.stages[0].told();
    let fresh = Incarnation([77; 16]);
    w.stages[0].ask(Request::Renew(fresh)).expect("it is renewed");
    assert_ne!(before, fresh);
    assert_eq!(w.stages[0].node().store().incarnation(), fresh);
    let alice = w.stages[0].told();
    assert!(alice.contains("p+5 rejected [Error: [KERNEL:PEER_RESTARTED]"), "{alice}");
    w.crash(0);
    assert_eq!(w.stages[0].node().store().incarnation(), fresh, "it is durable");
    w.up = true;
    w.tell(1, "bob", "ask o-1 hello() -> p+6", &[]);
    let bob = w.stages[1].told();
    assert!(bob.contains("p+5 rejected [Error: [KERNEL:PEER_RESTARTED]"), "{bob}");
    assert!(bob.contains("p+6 rejected"), "{bob}");
    assert_eq!(restarts(&w, 1), ["the peer has lost its state"]);
    let alice = w.introduce(0, "alice", 1);
    w.tell(1, "bob", "ask $0 hello() -> p+7", &[alice]);
    assert!(w.stages[1].told().contains("p+7 fulfilled"));
    assert_eq!(w.info(0, 1).conversation, w.info(1, 0).conversation);
}

fn copies(script: &Script) -> usize {
    let copy = |notice: &&Notice| matches!(notice, Notice::PeerOffended { why, .. } if why.contains("copies of"));
    script.w.stages[0].notices.iter().filter(copy).count()
}

/// B is running; a copy of its store, made when it had said one message, is started too.
#[test]
fn a_live_copy_with_an_older_state_is_refused() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    let first = script.w.newest();
    script.call("ro-1", "hello", "rp+9", &[]);
    let ours = script.w.stages[0].node().store().incarnation().to_string();
    let older = hello(Speaks::Sturdy, "bb", 1, Some(&ours), [1, 2, 0]);
    let forgot = hello(Speaks::Sturdy, "bb", 2, None, [1, 1, 0]);
    for round in 1..=3 {
        // It may also have been overtaken. If it is a copy, it sees in the answer that it has forgotten something …
        script.w.dial(1, 0);
        script.w.forge(0, &older);
        assert_eq!(copies(&script), round - 1);
        script.w.keep_only(0, first);
        // … and says so.
        script.w.dial(1, 0);
        let copy = script.w.newest();
        script.w.forge(0, &forgot);
        assert!(script.w.is_open(first) && !script.w.is_open(copy), "it is hung up, the other is not");
        assert_eq!(copies(&script), round);
        script.w.keep_only(0, first);
    }
    script.call("ro-1", "hello", "rp+10", &[]);
    assert_eq!((script.received(), script.w.info(0, 1).conversation), (4, 1));
    assert!(restarts(&script.w, 0).is_empty());
    // Once the newer one is gone, the older is all there is. It sees in the answer that it has forgotten something, and
    // says so: only then does the conversation end.
    script.w.cut_off(0);
    script.w.dial(1, 0);
    script.w.forge(0, &older);
    assert!(restarts(&script.w, 0).is_empty());
    script.w.cut_off(0);
    script.w.dial(1, 0);
    script.w.forge(0, &forgot);
    assert_eq!(restarts(&script.w, 0), ["the peer's store was set back to an older state"]);
    assert_eq!(script.w.info(0, 1).conversation, 3);
}

/// A copy that was made just now greets with the same numbers; the first message that both say under one number tells.
#[test]
fn copies_that_say_different_things_are_told_apart() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    script.call("ro-1", "hello", "rp+9", &[]);
    script.seq -= 1;
    script.meet_again();
    let copy = script.w.newest();
    let same = format!("{{\"seq\":3,{}}}", call("ro-1", "hello", "rp+9", &[]));
    script.w.forge(0, &same);
    assert_eq!((copies(&script), script.w.newest()), (0, copy), "a repetition is a repetition");
    let other = format!("{{\"seq\":3,{}}}", call("ro-1", "goodbye", "rp+9", &[]));
    script.w.forge(0, &other);
    assert_eq!(copies(&script), 1);
    assert_ne!(script.w.newest(), copy, "it is hung up");
    assert!(!script.w.stages[0].told().contains("goodbye"));
}
