//! Two transports of ours: every way between them, and every end.

mod common;

use common::{HANG, Host, brisk, config, introduce};
use std::collections::BTreeSet;
use sturdy_transport::{
    Event, FrameError, Gone, MAX_FRAME_BYTES, Path, Protocols, Reach, Side, StartError, TransportConfig,
    TransportLimits, Wire, start,
};

async fn over(listen: &str, protocols: Protocols) -> Wire {
    let mut a = Host::with_protocols(1, &[], protocols);
    let mut b = Host::with_protocols(2, &[listen], protocols);
    let address = b.address().await;
    let (at_a, at_b) = introduce(&mut a, &mut b, &address).await;
    assert_eq!(at_a.path, Path::Direct);
    // Long frames, many frames, in order, both ways.
    let long = vec![7; MAX_FRAME_BYTES];
    a.send(&at_a, &long);
    b.send(&at_b, &long);
    for number in 0..2000u32 {
        a.send(&at_a, &number.to_be_bytes());
    }
    assert_eq!(b.received(at_b.connection).await, long);
    assert_eq!(a.received(at_a.connection).await, long);
    for number in 0..2000u32 {
        assert_eq!(b.received(at_b.connection).await, number.to_be_bytes());
    }
    a.handle.hang_up(at_a.connection);
    assert_eq!(a.disconnected(at_a.connection).await, Gone::HungUp);
    b.disconnected(at_b.connection).await;
    a.handle.shutdown().await;
    b.handle.shutdown().await;
    at_a.wire
}

#[tokio::test]
async fn over_tcp() {
    assert_eq!(over("/ip4/127.0.0.1/tcp/0", Protocols::default()).await, Wire::Sturdy);
}

#[tokio::test]
async fn over_quic() {
    assert_eq!(over("/ip4/127.0.0.1/udp/0/quic-v1", Protocols::default()).await, Wire::Sturdy);
}

#[tokio::test]
async fn over_websocket() {
    assert_eq!(over("/ip4/127.0.0.1/tcp/0/ws", Protocols::default()).await, Wire::Sturdy);
}

#[tokio::test]
async fn over_memory() {
    assert_eq!(over("/memory/1001", Protocols::default()).await, Wire::Sturdy);
}

#[tokio::test]
async fn whatever_is_spoken_over_each() {
    for listen in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"] {
        assert_eq!(over(listen, Protocols::WhateverOnly).await, Wire::Whatever, "{listen}");
    }
}

#[tokio::test]
async fn whatever_is_the_fallback_on_either_side() {
    for (ours, theirs) in [
        (Protocols::SturdyThenWhatever, Protocols::WhateverOnly),
        (Protocols::WhateverOnly, Protocols::SturdyThenWhatever),
    ] {
        let mut a = Host::with_protocols(1, &[], ours);
        let mut b = Host::with_protocols(2, &["/ip4/127.0.0.1/tcp/0"], theirs);
        let address = b.address().await;
        assert_eq!(introduce(&mut a, &mut b, &address).await.0.wire, Wire::Whatever);
    }
}

#[tokio::test]
async fn without_a_common_protocol_a_dial_fails() {
    let mut a = Host::with_protocols(1, &[], Protocols::SturdyOnly);
    let mut b = Host::with_protocols(2, &["/ip4/127.0.0.1/tcp/0"], Protocols::WhateverOnly);
    let address = b.address().await;
    a.connect(&b, &address);
    let why = dial_failed(&mut a).await;
    assert!(why.contains("none of our protocols"), "{why}");
}

async fn dial_failed(host: &mut Host) -> String {
    host.wait("a failed dial", |event| match event {
        Event::DialFailed { why, .. } => Some(why.clone()),
        _ => None,
    })
    .await
}

/// Answers each new connection as a kernel would: the dialler speaks, the listener answers.
async fn talk(host: &mut Host, rounds: usize) -> BTreeSet<(u64, Side2)> {
    let mut lines = BTreeSet::new();
    let mut answered = 0;
    while answered < rounds {
        let event = tokio::time::timeout(HANG, host.events.next()).await.expect("no hang").expect("it runs");
        match event {
            Event::Connected { connection, side, .. } => {
                lines.insert((connection.0, side == Side::Dialler));
                if side == Side::Dialler {
                    host.handle.transmit(connection, b"hello".to_vec()).expect("short");
                }
            }
            Event::Received { connection, frame } if frame == b"hello" => {
                host.handle.transmit(connection, b"hi".to_vec()).expect("short");
                answered += 1;
            }
            Event::Received { .. } => answered += 1,
            _ => {}
        }
    }
    lines
}

type Side2 = bool;

#[tokio::test]
async fn both_dial_at_once_and_hear_each_other() {
    let mut a = Host::new(1, &["/ip4/127.0.0.1/tcp/0"]);
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let (to_a, to_b) = (a.address().await, b.address().await);
    a.connect(&b, &to_b);
    b.connect(&a, &to_a);
    // One connection or two, as the race goes: on each, each side hears exactly one frame.
    let (at_a, at_b) = tokio::join!(talk(&mut a, 1), talk(&mut b, 1));
    assert!(!at_a.is_empty() && !at_b.is_empty());
    assert!(at_a.len() <= 2 && at_b.len() <= 2, "{at_a:?} {at_b:?}");
    assert!(at_a.iter().chain(&at_b).any(|(_, dialled)| *dialled), "somebody dialled");
}

#[tokio::test]
async fn a_wish_is_fulfilled_by_whoever_dials() {
    let mut a = Host::new(1, &["/ip4/127.0.0.1/tcp/0"]);
    let mut b = Host::new(2, &[]);
    let address = a.address().await;
    // Nobody knows where `b` is: only `b` can dial.
    a.handle.connect(&b.handle.peer_id(), Vec::new()).expect("a peer id");
    assert!(dial_failed(&mut a).await.contains("no address is known"));
    b.connect(&a, &address);
    let line = b.connected().await;
    b.send(&line, b"hello");
    // Once there is a way, `a` may be the first to open a stream on it: either fulfils its wish.
    let at_a = a.connected().await;
    assert_eq!(at_a.peer, b.handle.peer_id());
    a.send(&at_a, b"hi");
    b.wait("the frame", |event| match event {
        Event::Received { frame, .. } if frame == b"hi" => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_wish_stands_until_the_peer_is_there() {
    let mut a = Host::new(1, &[]);
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let address = b.address().await;
    b.handle.shutdown().await;
    a.connect(&b, &address);
    for _ in 0..5 {
        let why = dial_failed(&mut a).await;
        assert_eq!((why.lines().count(), why.matches("refused").count()), (1, 1), "{why}");
    }
    let listen = address.split("/p2p/").next().expect("an address").to_owned();
    let mut b = Host::new(2, &[&listen]);
    let line = a.connected().await;
    a.send(&line, b"hello");
    assert_eq!(b.connected().await.side, Side::Listener);

    // A peer that dies is noticed, and found again when it is wanted again.
    b.handle.shutdown().await;
    a.disconnected(line.connection).await;
    a.connect(&b, &address);
    dial_failed(&mut a).await;
    let mut b = Host::new(2, &[&listen]);
    let line = a.connected().await;
    a.send(&line, b"again");
    let at_b = b.connected().await;
    assert_eq!(b.received(at_b.connection).await, b"again");
}

#[tokio::test]
async fn a_wish_that_is_taken_back_is_not_fulfilled() {
    let mut a = Host::new(1, &[]);
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let address = b.address().await;
    b.handle.shutdown().await;
    a.connect(&b, &address);
    dial_failed(&mut a).await;
    a.handle.stop_wanting(&b.handle.peer_id()).expect("a peer id");
    let mut other = Host::new(3, &["/ip4/127.0.0.1/tcp/0"]);
    let to_other = other.address().await;
    introduce(&mut a, &mut other, &to_other).await;
}

#[tokio::test]
async fn w_18_another_peer_at_the_address_is_refused() {
    let mut a = Host::new(1, &[]);
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let wanted = Host::new(3, &[]);
    let address = b.address().await.replace(&b.handle.peer_id(), &wanted.handle.peer_id());
    a.connect(&wanted, &address);
    let (why, at) = (dial_failed(&mut a).await, address.split("/p2p/").next().expect("an address"));
    assert!(why.contains(&format!("somebody else answers at {at}: {}", b.handle.peer_id())), "{why}");
    assert!(!a.has_passed(|event| matches!(event, Event::Connected { .. })));
}

#[tokio::test]
async fn a_dial_that_reaches_ourselves_says_so() {
    for transport in ["tcp/0", "tcp/0/ws", "udp/0/quic-v1"] {
        let mut a = Host::new(1, &[&format!("/ip4/127.0.0.1/{transport}")]);
        let gone = Host::new(2, &[]);
        let address = a.address().await;
        let at = address.split("/p2p/").next().expect("an address");
        a.connect(&gone, &address.replace(&a.handle.peer_id(), &gone.handle.peer_id()));
        let why = dial_failed(&mut a).await;
        assert!(why.contains(&format!("this kernel itself listens at {at}")), "{why}");
    }
}

#[tokio::test]
async fn w_18_a_hint_does_not_reach_this_host() {
    let mut a = Host::start(&TransportConfig { reach: Reach::Internet, ..config(1, &[]) });
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let address = b.address().await;
    a.connect(&b, &address);
    let why = dial_failed(&mut a).await;
    assert!(why.contains("it is on this host"), "{why}");
    // A name that stands for this host is refused when it is looked up.
    a.connect(&b, &address.replace("/ip4/127.0.0.1", "/dns4/localhost"));
    let why = a
        .wait("a refusal", |event| match event {
            Event::DialFailed { why, .. } if why.contains("localhost") => Some(why.clone()),
            _ => None,
        })
        .await;
    assert!(!why.contains("refused by"), "{why}");
    assert!(!a.has_passed(|event| matches!(event, Event::Connected { .. })));
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_the_connection() {
    let mut a = Host::new(1, &[]);
    let limits = TransportLimits { frame_bytes: 1000, ..brisk() };
    let mut b = Host::start(&TransportConfig { limits, ..config(2, &["/ip4/127.0.0.1/tcp/0"]) });
    let address = b.address().await;
    let (at_a, at_b) = introduce(&mut a, &mut b, &address).await;
    let refused = b.handle.transmit(at_b.connection, vec![0; 1001]);
    assert_eq!(refused, Err(FrameError::TooLong { announced: 1001, limit: 1000 }));
    a.send(&at_a, &[1; 1000]);
    a.send(&at_a, &[2; 1001]);
    assert_eq!(b.received(at_b.connection).await, [1; 1000]);
    let why = b.disconnected(at_b.connection).await;
    assert_eq!(why, Gone::Unreadable(FrameError::TooLong { announced: 1001, limit: 1000 }));
    a.disconnected(at_a.connection).await;
}

#[tokio::test]
async fn a_closed_peer_is_refused_until_it_is_wanted_again() {
    let mut a = Host::new(1, &[]);
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let address = b.address().await;
    let (at_a, at_b) = introduce(&mut a, &mut b, &address).await;
    b.handle.close(&a.handle.peer_id()).expect("a peer id");
    assert_eq!(b.disconnected(at_b.connection).await, Gone::HungUp);
    a.disconnected(at_a.connection).await;
    // Its streams are dropped before anything is said.
    a.connect(&b, &address);
    let refused = a.connected().await;
    a.send(&refused, b"let me in");
    a.disconnected(refused.connection).await;
    b.handle.reconnect(&a.handle.peer_id(), Vec::new()).expect("a peer id");
    a.connect(&b, &address);
    let line = a.connected().await;
    a.send(&line, b"now");
    // `b` wants a connection too, and may be the first to open one.
    let on = b
        .wait("the frame", |event| match event {
            Event::Received { connection, frame } if frame == b"now" => Some(*connection),
            _ => None,
        })
        .await;
    b.handle.hang_up(on);
}

#[tokio::test]
async fn a_slow_host_slows_its_peer() {
    let limits = TransportLimits { inbox_bytes: 1 << 20, frame_bytes: 64 << 10, ..brisk() };
    let mut a = Host::new(1, &[]);
    let mut b = Host::start(&TransportConfig { limits, ..config(2, &["/ip4/127.0.0.1/tcp/0"]) });
    let address = b.address().await;
    let (at_a, at_b) = introduce(&mut a, &mut b, &address).await;
    // `b` takes nothing. More than all buffers between the two can hold ends the connection at the sender, whose outbox
    // holds it all; at `b` no more than its inbox has arrived.
    let frame = vec![9; 64 << 10];
    for _ in 0..1000 {
        a.send(&at_a, &frame);
    }
    let why = a.disconnected(at_a.connection).await;
    assert!(matches!(why, Gone::Overfull { .. }), "{why:?}");
    let mut received = 0;
    let mut gone = false;
    while !gone {
        match tokio::time::timeout(HANG, b.events.next()).await.expect("no hang").expect("it runs") {
            Event::Received { frame: got, .. } => {
                assert_eq!(got, frame);
                received += 1;
            }
            Event::Disconnected { connection, .. } => gone = connection == at_b.connection,
            _ => {}
        }
    }
    assert!(received < 1000, "{received}");
}

#[tokio::test]
async fn a_held_connection_waits_and_loses_nothing() {
    let mut a = Host::new(1, &[]);
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let mut c = Host::new(3, &[]);
    let address = b.address().await;
    let (at_a, at_b) = introduce(&mut a, &mut b, &address).await;
    b.handle.hold(at_b.connection);
    for number in 0..500u32 {
        a.send(&at_a, &number.to_be_bytes());
    }
    // Others are heard meanwhile.
    introduce(&mut c, &mut b, &address).await;
    b.handle.resume(at_b.connection);
    for number in 0..500u32 {
        assert_eq!(b.received(at_b.connection).await, number.to_be_bytes());
    }
}

#[tokio::test]
async fn shutting_down_ends_everything() {
    let mut a = Host::new(1, &[]);
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let address = b.address().await;
    let (at_a, _) = introduce(&mut a, &mut b, &address).await;
    a.handle.shutdown().await;
    assert_eq!(a.disconnected(at_a.connection).await, Gone::Shutdown);
    assert_eq!(tokio::time::timeout(HANG, a.events.next()).await.expect("no hang"), None);
    // Orders after the end do nothing.
    a.connect(&b, &address);
    a.handle.hang_up(at_a.connection);
    a.send(&at_a, b"too late");
}

#[tokio::test]
async fn peers_tell_where_they_are() {
    let mut a = Host::new(1, &["/ip4/127.0.0.1/tcp/0"]);
    let announce = vec!["/ip4/127.0.0.1/tcp/9".to_owned(), "/ip4/8.8.8.8/tcp/9".to_owned()];
    let mut b = Host::start(&TransportConfig { announce, ..config(2, &["/ip4/127.0.0.1/tcp/0"]) });
    assert_eq!(b.handle.announced().len(), 2);
    let (at_a, at_b) = (a.address().await, b.address().await);
    introduce(&mut a, &mut b, &at_b).await;
    // Whoever was dialled learns as much as whoever has dialled.
    assert_eq!(found(&mut b).await, [at_a]);
    let mut both = vec![at_b, format!("/ip4/127.0.0.1/tcp/9/p2p/{}", b.handle.peer_id())];
    both.sort();
    assert_eq!(found(&mut a).await, both, "what it says of another host is not believed");
}

async fn found(host: &mut Host) -> Vec<String> {
    host.wait("the peer's addresses", |event| match event {
        Event::Found { addresses, .. } => Some(addresses.clone()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn who_is_sought_is_found() {
    let mut a = Host::new(1, &[]);
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    let address = b.address().await;
    a.handle.seek(&b.handle.peer_id(), vec![address], std::time::Duration::ZERO).expect("a peer id");
    let line = a.connected().await;
    a.send(&line, b"hello");
    assert_eq!(b.connected().await.peer, a.handle.peer_id());
}

#[tokio::test]
async fn a_port_is_not_shared() {
    let mut a = Host::new(1, &["/ip4/127.0.0.1/tcp/0"]);
    let address = a.address().await;
    let bare = address.split("/p2p/").next().expect("an address");
    let everywhere = bare.replace("127.0.0.1", "0.0.0.0");
    for taken in [bare.to_owned(), format!("{bare}/ws"), everywhere] {
        let refused = start(&config(2, &[&taken])).map(|_| ()).expect_err("somebody else listens there").to_string();
        assert!(refused.contains("another program listens there") && refused.contains(&taken), "{refused}");
    }
    let mut b = Host::new(2, &["/ip4/127.0.0.1/tcp/0"]);
    introduce(&mut b, &mut a, &address).await;
    // Once the other one has gone, it is free, although a connection has just ended there.
    a.handle.shutdown().await;
    Host::new(3, &[bare]);
}

#[tokio::test]
async fn bad_configurations_are_told() {
    let with = |listen: &[&str], relays: &[&str]| {
        let relays = relays.iter().map(ToString::to_string).collect();
        start(&TransportConfig { relays, ..config(1, listen) }).map(|_| ())
    };
    assert!(matches!(with(&["nonsense"], &[]), Err(StartError::NotAnAddress(_))));
    assert!(matches!(with(&["/ip4/203.0.113.1/tcp/1"], &[]), Err(StartError::Listen { .. })));
    assert!(matches!(with(&[], &["/ip4/127.0.0.1/tcp/1"]), Err(StartError::RelayWithoutPeer(_))));
    let announce = vec!["/ip4/0.0.0.0/tcp/1".to_owned()];
    let announced = start(&TransportConfig { announce, ..config(1, &[]) }).map(|_| ());
    assert!(matches!(announced, Err(StartError::Announced { .. })));
    let host = Host::new(1, &[]);
    assert!(host.handle.connect("nobody", Vec::new()).is_err());
}
