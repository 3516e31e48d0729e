//! The number of a conversation never goes back, whatever comes late (L1).

mod world;

use sturdy_kernel::{Answer, Effect, Event, Request};
use sturdy_node::remote::Side;
use sturdy_types::ConnectionId;
use sturdy_vat::NativeRuntime;
use world::World;
use world::script::{Speaks, hello};

fn connected(w: &mut World, connection: u64, side: Side) {
    let event = Event::Connected { connection: ConnectionId(connection), peer: "P".into(), side };
    w.event(event).expect("the node goes on");
    w.run();
}

fn says(w: &mut World, connection: u64, frame: &str) {
    let event = Event::Received { connection: ConnectionId(connection), frame: frame.as_bytes().to_vec() };
    w.event(event).expect("the node goes on");
    w.run();
}

fn conversation(w: &mut World) -> u64 {
    match w.ask(Request::Peers) {
        Ok(Answer::Peers(peers)) => peers[0].conversation,
        other => panic!("{other:?}"),
    }
}

/// A store that was set back to before it met P hears on two connections what P knows of it, and moves on twice. Then P's
/// answer to what it had said before comes, on the connection that it had dialled: it names a number of the past.
#[test]
fn a_late_answer_to_a_store_that_was_set_back_brings_no_number_back() {
    let mut w = World::new(NativeRuntime::new());
    w.ask(Request::AddPeer { peer: "P".into(), hints: Vec::new() }).expect("it is added");
    let me = w.status().incarnation.to_string();
    connected(&mut w, 1, Side::Dialler);
    let knows = hello(Speaks::Sturdy, "pp", 1, Some(&me), [9, 19, 10]);
    for (connection, number) in [(2, 2), (3, 3)] {
        connected(&mut w, connection, Side::Listener);
        says(&mut w, connection, &knows);
        assert_eq!(conversation(&mut w), number);
    }
    let answer = hello(Speaks::Sturdy, "pp", 2, Some(&me), [1, 1, 0]).replace("handshake", "handshakeAck");
    says(&mut w, 1, &answer);
    assert_eq!(conversation(&mut w), 3);
    let hung_up = w.wire.iter().any(|effect| matches!(effect, Effect::HangUp { connection } if connection.0 == 1));
    assert!(hung_up, "P has to hear of number 3 first: {:?}", w.wire);
}

/// The line repeats the greeting that told a kernel that its store was set back. The answer to the first has bound the
/// connection for P, so a second must not move our number on: the same connection would speak for two conversations.
#[test]
fn a_repeated_greeting_to_a_store_that_was_set_back_moves_nothing_on() {
    let mut w = World::new(NativeRuntime::new());
    w.ask(Request::AddPeer { peer: "P".into(), hints: Vec::new() }).expect("it is added");
    let me = w.status().incarnation.to_string();
    connected(&mut w, 1, Side::Listener);
    let knows = hello(Speaks::Sturdy, "pp", 1, Some(&me), [9, 19, 10]);
    says(&mut w, 1, &knows);
    assert_eq!(conversation(&mut w), 2);
    w.wire.clear();
    says(&mut w, 1, &knows);
    assert_eq!((conversation(&mut w), w.wire.len()), (2, 0), "{:?}", w.wire);
    // What P has understood by the answer: it greets anew.
    connected(&mut w, 2, Side::Listener);
    says(&mut w, 2, &hello(Speaks::Sturdy, "pp", 2, None, [1, 1, 0]));
    assert_eq!(conversation(&mut w), 2);
}
