//! Stores in which the outbox and the numbers of a conversation contradict each other (G7, wire-protocol §5.8): no program
//! of ours leaves one, and each is mended when the process begins.

mod world;

use sturdy_kernel::Notice;
use sturdy_store::{Outbox, Read, RemoteCursor, RemoteCursors, Store, Turn};
use sturdy_types::RemoteId;
use world::worlds::Worlds;

const PEER: RemoteId = RemoteId(1);

/// Alice has sent three calls that Bob has not heard; her process dies.
fn three_pending() -> (Worlds, RemoteCursor) {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let bob = w.introduce(1, "bob", 0);
    w.tell(0, "alice", "hold $0 strong", &[bob]);
    w.settle_down();
    w.stages[1].told();
    w.up = false;
    w.cut_off(0);
    w.tell(0, "alice", "ask o-1 a() -> p+5; ask o-1 b() -> p+6; ask o-1 c() -> p+7", &[]);
    let cursor = store(&w).get::<RemoteCursors>(&PEER).expect("memory").expect("a peer");
    assert_eq!(cursor.next_send - cursor.first_pending, 3);
    w.stages[0].told();
    (w, cursor)
}

fn store(w: &Worlds) -> Store {
    Store::open(w.stages[0].disk.engine(), w.stages[0].incarnation).expect("it is whole")
}

/// Another program changes the store; the process begins again, and the two may meet.
fn damage(w: &mut Worlds, change: impl FnOnce(&mut Turn<'_>)) {
    let mut store = store(w);
    let mut turn = store.begin();
    change(&mut turn);
    turn.merge().expect("memory");
    store.commit().expect("memory");
    drop(store);
    w.crash(0);
    w.up = true;
    w.run();
}

fn repairs(w: &Worlds) -> Vec<String> {
    let said = w.stages[0].notices.iter().filter_map(|notice| match notice {
        Notice::ConversationRepaired { why, .. } => Some(why.clone()),
        _ => None,
    });
    said.collect()
}

/// Which of the three calls Bob has heard, in order.
fn heard(w: &Worlds) -> String {
    let told = w.stages[1].told();
    let calls =
        told.lines().filter_map(|line| ["a", "b", "c"].into_iter().find(|call| line.contains(&format!(" {call}()"))));
    calls.collect()
}

/// The damage, and what is told of it. What is pending arrives in spite of it.
type Case = (&'static str, fn(&mut RemoteCursor), &'static str);

#[test]
fn damaged_numbers_are_found_again_in_the_outbox() {
    let cases: [Case; 5] = [
        ("sound", |_| (), ""),
        ("the next number was not written", |row| row.next_send -= 1, "is taken in"),
        ("nor the one before", |row| row.next_send -= 2, "is taken in"),
        ("no first number", |row| row.first_pending = 0, "the first that is pending is"),
        ("a first number beyond the next", |row| row.first_pending = row.next_send + 7, "the first that is pending is"),
    ];
    for (name, harm, expect) in cases {
        let (mut w, mut cursor) = three_pending();
        harm(&mut cursor);
        damage(&mut w, |turn| turn.put::<RemoteCursors>(&PEER, &cursor));
        assert_eq!(heard(&w), "abc", "{name}");
        let repairs = repairs(&w);
        assert_eq!(repairs.len(), usize::from(!expect.is_empty()), "{name}: {repairs:?}");
        assert!(repairs.iter().all(|why| why.contains(expect)), "{name}: {repairs:?}");
        assert_eq!((w.info(0, 1).pending_messages, w.info(0, 1).pending_bytes), (0, 0), "{name}");
        w.tell(0, "alice", "ask o-1 a() -> p+9", &[]);
        assert_eq!(heard(&w), "a", "{name}");
    }
}

#[test]
fn messages_that_were_acknowledged_are_not_said_again() {
    let (mut w, cursor) = three_pending();
    let old = String::from("{\"seq\":1,\"method\":\"deliver\",\"params\":[\"retireExports\",[\"ro-1\"]]}");
    damage(&mut w, |turn| turn.put::<Outbox>(&(PEER, cursor.first_pending - 1), &old));
    assert_eq!(heard(&w), "abc");
    assert!(repairs(&w).concat().contains(&format!("message {} is deleted", cursor.first_pending - 1)));
}

/// Without its position a kernel does not know what it has heard: the peer knows better, and both begin anew.
#[test]
fn a_missing_position_is_state_loss() {
    let (mut w, _) = three_pending();
    damage(&mut w, |turn| turn.delete::<RemoteCursors>(&PEER));
    assert!(repairs(&w).concat().contains("the numbers were missing"));
    let lost = w.stages[0].notices.iter().chain(&w.stages[1].notices);
    assert!(lost.into_iter().any(|notice| matches!(notice, Notice::PeerRestarted { .. })));
    let again = w.introduce(1, "bob", 0);
    w.stages[1].told();
    w.tell(0, "alice", "ask $0 c() -> p+9", &[again]);
    assert_eq!(heard(&w), "c");
    assert_eq!(w.info(0, 1).conversation, w.info(1, 0).conversation);
}

/// The peer would wait for the missing message for ever, and refuse everything that follows.
#[test]
fn a_conversation_of_which_a_message_is_missing_ends() {
    for missing in 0..3 {
        let (mut w, cursor) = three_pending();
        let before = w.info(0, 1).conversation;
        damage(&mut w, |turn| turn.delete::<Outbox>(&(PEER, cursor.first_pending + missing)));
        assert!(!heard(&w).contains('c'), "{missing}");
        assert!(repairs(&w).len() == 1, "{missing}");
        assert!(w.info(0, 1).conversation > before, "{missing}");
        assert_eq!(w.info(0, 1).conversation, w.info(1, 0).conversation, "{missing}");
        w.tell(0, "alice", "ask o-1 c() -> p+9", &[]);
        assert_eq!(heard(&w), "c", "{missing}");
    }
}
