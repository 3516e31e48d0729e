//! Limits of a transport: each delays or ends, and loses nothing that waits for a peer (law 10). What counts is what comes
//! before what, and why something ended; no time is measured. What a connection takes with it is still in the outbox of
//! whoever sent it, so these hosts say it again on the next one, as a kernel does.

mod common;

use common::{Host, Line, brisk, config, introduce};
use sturdy_transport::{Event, Gone, TransportConfig, TransportLimits};
use sturdy_types::ConnectionId;

const LOCAL: &str = "/ip4/127.0.0.1/tcp/0";

fn with(seed: u8, listen: &[&str], limits: TransportLimits) -> Host {
    Host::start(&TransportConfig { limits, ..config(seed, listen) })
}

/// `a` says more to `b` than the limit lets through at once, then `c` says something: `b` hears that before it has heard all
/// of `a`, and then the rest of `a`, in order.
async fn the_fast_wait_and_others_do_not(limits: TransportLimits, frames: u8, bytes: usize) {
    let (mut a, mut c) = (Host::new(1, &[]), Host::new(3, &[]));
    let mut b = with(2, &[LOCAL], limits);
    let address = b.address().await;
    let (from_a, at_b) = introduce(&mut a, &mut b, &address).await;
    let (from_c, c_at_b) = introduce(&mut c, &mut b, &address).await;
    for number in 0..frames {
        a.send(&from_a, &vec![number; bytes]);
    }
    c.send(&from_c, b"excuse me");
    assert_eq!(b.received(c_at_b.connection).await, b"excuse me");
    let last = |event: &Event| matches!(event, Event::Received { frame, .. } if *frame == vec![frames - 1; bytes]);
    assert!(!b.has_passed(last), "all of `a` came through at once");
    for number in 0..frames {
        assert_eq!(b.received(at_b.connection).await, vec![number; bytes]);
    }
}

#[tokio::test]
async fn frames_that_come_too_fast_wait() {
    let limits = TransportLimits { inbound_frames_per_second_per_connection: 2, ..brisk() };
    the_fast_wait_and_others_do_not(limits, 10, 5).await;
}

#[tokio::test]
async fn bytes_that_come_too_fast_wait() {
    let limits = TransportLimits { inbound_bytes_per_second_per_connection: 32 << 10, ..brisk() };
    the_fast_wait_and_others_do_not(limits, 5, 48 << 10).await;
}

#[tokio::test]
async fn who_arrives_in_a_crowd_gets_in_later() {
    let limits = TransportLimits { inbound_connections_per_second: 1, ..brisk() };
    let mut b = with(100, &[LOCAL], limits);
    let address = b.address().await;
    let mut crowd: Vec<Host> = (1..=5).map(|seed| Host::new(seed, &[])).collect();
    for one in &crowd {
        one.connect(&b, &address);
    }
    let mut refused = 0;
    for one in &mut crowd {
        let line = one.connected().await;
        one.send(&line, b"here I am");
        refused += usize::from(one.has_passed(|event| matches!(event, Event::DialFailed { .. })));
        let at_b = b.connected().await;
        assert_eq!(b.received(at_b.connection).await, b"here I am");
    }
    assert!(refused > 0, "all came in at once");
}

/// What has arrived on a connection when it ended: the first so many frames, in order.
async fn arrived(host: &mut Host, on: ConnectionId) -> usize {
    let mut arrived = 0;
    loop {
        let event = host
            .wait("a frame or the end", |event| match event {
                Event::Received { connection, frame } if *connection == on => Some(Some(frame[0])),
                Event::Disconnected { connection, .. } if *connection == on => Some(None),
                _ => None,
            })
            .await;
        match event {
            Some(number) => assert_eq!(usize::from(number), arrived),
            None => return arrived,
        }
        arrived += 1;
    }
}

/// `a` has lost a connection on which it had said so many frames: it says those again that have not arrived.
async fn say_the_rest(a: &mut Host, b: &mut Host, address: &str, old: &Line, frames: u8, bytes: usize) {
    let arrived = arrived(b, old.connection).await;
    assert!(arrived < usize::from(frames), "it ended for nothing");
    let (line, at_b) = introduce(a, b, address).await;
    for number in (0..frames).skip(arrived) {
        a.send(&line, &vec![number; bytes]);
    }
    for number in (0..frames).skip(arrived) {
        assert_eq!(b.received(at_b.connection).await, vec![number; bytes]);
    }
}

/// `b` does not take what comes: `a` writes no further.
async fn who_takes_nothing_is_left(at_a: TransportLimits, at_b: TransportLimits, holds: bool) {
    let (frames, bytes) = (100, 64 << 10);
    let (mut a, mut b) = (with(1, &[], at_a), with(2, &[LOCAL], at_b));
    let address = b.address().await;
    let (line, line_at_b) = introduce(&mut a, &mut b, &address).await;
    if holds {
        b.handle.hold(line_at_b.connection);
    }
    for number in 0..frames {
        a.send(&line, &vec![number; bytes]);
    }
    assert_eq!(a.disconnected(line.connection).await, Gone::Stalled(2_000));
    b.handle.resume(line_at_b.connection);
    say_the_rest(&mut a, &mut b, &address, &line_at_b, frames, bytes).await;
}

#[tokio::test]
async fn who_takes_nothing_for_too_long_is_left_and_hears_it_later() {
    let patient = TransportLimits { write_stall_millis: 2_000, ..brisk() };
    who_takes_nothing_is_left(patient, brisk(), true).await;
}

/// Without this limit all of it would fit into the inbox, which holds 16 MiB.
#[tokio::test]
async fn a_host_with_many_events_to_take_reads_no_more() {
    let patient = TransportLimits { write_stall_millis: 2_000, ..brisk() };
    let few = TransportLimits { inbox_events: 8, ..brisk() };
    who_takes_nothing_is_left(patient, few, false).await;
}

#[tokio::test]
async fn more_than_a_connection_may_hold_ends_it_and_is_said_on_the_next() {
    let small = TransportLimits { outbox_bytes_per_connection: 1_000, ..brisk() };
    let (mut a, mut b) = (with(1, &[], small), Host::new(2, &[LOCAL]));
    let address = b.address().await;
    let (line, line_at_b) = introduce(&mut a, &mut b, &address).await;
    for number in 0..3 {
        a.send(&line, &[number; 400]);
    }
    assert_eq!(a.disconnected(line.connection).await, Gone::Overfull { waiting: 1_200, limit: 1_000 });
    let arrived = arrived(&mut b, line_at_b.connection).await;
    assert!(arrived < 3);
    let (line, line_at_b) = introduce(&mut a, &mut b, &address).await;
    for number in 0..3 {
        a.send(&line, &[number; 400]);
        // Two of them have room at once.
        assert_eq!(b.received(line_at_b.connection).await, [number; 400]);
    }
}

/// Somebody takes the call and says nothing.
#[tokio::test]
async fn an_address_is_tried_only_so_long() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("it is bound").port();
    let mut a = with(1, &[], TransportLimits { dial_millis: 1_000, ..brisk() });
    let mut b = Host::new(2, &[LOCAL]);
    let address = b.address().await;
    a.connect(&b, &format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", b.handle.peer_id()));
    let why = a
        .wait("a failed dial", |event| match event {
            Event::DialFailed { why, .. } => Some(why.clone()),
            _ => None,
        })
        .await;
    assert!(why.to_lowercase().contains("time"), "{why}");
    // The wish stands, and what waits is said once there is a better address.
    introduce(&mut a, &mut b, &address).await;
}

/// A connection comes up when others have taken its room.
#[tokio::test]
async fn a_dial_that_finds_no_room_at_its_end_is_repeated() {
    let mut a = with(1, &[], TransportLimits { connections: 1, ..brisk() });
    let (mut b, mut c) = (Host::new(2, &[LOCAL]), Host::new(3, &[LOCAL]));
    let (to_b, to_c) = (b.address().await, c.address().await);
    // The way to `c` opens when this test says so.
    let gate = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = gate.local_addr().expect("it is bound").port();
    a.connect(&c, &format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", c.handle.peer_id()));
    let (mut dialled, _) = gate.accept().await.expect("it dials");
    let (at_a, _) = introduce(&mut a, &mut b, &to_b).await;
    let target: u16 = to_c.split('/').nth(4).expect("a port").parse().expect("a port");
    tokio::spawn(async move {
        let mut there = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.expect("somebody is there");
        let _ended = tokio::io::copy_bidirectional(&mut dialled, &mut there).await;
    });
    let no_room =
        |event: &Event| matches!(event, Event::DialFailed { why, .. } if why.contains("no room")).then_some(());
    a.wait("that there is no room", no_room).await;
    a.handle.hang_up(at_a.connection);
    let line = a.connected().await;
    assert_eq!(line.peer, c.handle.peer_id());
    a.send(&line, b"at last");
    let at_c = c.connected().await;
    assert_eq!(c.received(at_c.connection).await, b"at last");
}
