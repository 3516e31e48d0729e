//! Through a relay, with no direct address; and what happens when the relay goes away.

mod common;

use common::{HANG, Host, config, introduce};
use sturdy_transport::relay::{RelayConfig, RelayEvent, RelayLimits, RelayServer, serve};
use sturdy_transport::{Event, Gone, Path, TransportConfig, TransportHandle};

async fn relay(listen: &str, limits: RelayLimits) -> (RelayServer, String) {
    let config = RelayConfig { listen: vec![listen.to_owned()], limits, ..RelayConfig::new([200; 32]) };
    let mut relay = serve(&config).expect("it starts");
    let address = relay_event(&mut relay, |event| match event {
        RelayEvent::Listening(address) => Some(address),
        _ => None,
    })
    .await;
    (relay, address)
}

async fn relay_event<T>(relay: &mut RelayServer, pick: impl Fn(RelayEvent) -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = pick(relay.next().await.expect("it runs")) {
                return found;
            }
        }
    };
    tokio::time::timeout(HANG, waiting).await.expect("no hang")
}

/// A host that is reached only through the relay.
async fn hidden(seed: u8, relay: &str) -> Host {
    let mut host = Host::start(&TransportConfig { relays: vec![relay.to_owned()], ..config(seed, &[]) });
    reserved(&mut host).await;
    host
}

async fn reserved(host: &mut Host) {
    host.wait("a place at the relay", |event| matches!(event, Event::RelayReserved { .. }).then_some(())).await;
}

fn id(handle: &TransportHandle) -> String {
    handle.peer_id()
}

#[tokio::test]
async fn through_a_relay_over_tcp_and_websocket() {
    for listen in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        let (mut relay, at) = relay(listen, RelayLimits::default()).await;
        let mut b = hidden(2, &at).await;
        assert!(b.address().await.contains("/p2p-circuit/"), "where it is reached");
        // `a` has the relay from a hint only.
        let mut a = Host::new(1, &[]);
        let (at_a, at_b) = introduce(&mut a, &mut b, &at).await;
        assert_eq!((at_a.path, at_b.path), (Path::Relayed, Path::Relayed), "{listen}");
        let joined = relay_event(&mut relay, |event| match event {
            RelayEvent::Joined(from, to) => Some((from, to)),
            _ => None,
        })
        .await;
        assert_eq!(joined, (id(&a.handle), id(&b.handle)));
        // More than the two minutes' worth of bytes that a relay of libp2p allows by default.
        let frame = vec![5; 1 << 20];
        for _ in 0..4 {
            a.send(&at_a, &frame);
        }
        for _ in 0..4 {
            assert_eq!(b.received(at_b.connection).await, frame);
        }
        relay.shutdown().await;
        b.disconnected(at_b.connection).await;
        a.disconnected(at_a.connection).await;
    }
}

#[tokio::test]
async fn a_relay_that_restarts_is_found_again() {
    let (server, at) = relay("/ip4/127.0.0.1/tcp/0", RelayLimits::default()).await;
    let mut b = hidden(2, &at).await;
    let mut a = Host::start(&TransportConfig { relays: vec![at.clone()], ..config(1, &[]) });
    reserved(&mut a).await;
    // No hint at all: our own relay is a way to everybody.
    a.handle.connect(&id(&b.handle), Vec::new()).expect("a peer id");
    let line = a.connected().await;
    assert_eq!(line.path, Path::Relayed);
    a.send(&line, b"hello");
    b.connected().await;
    server.shutdown().await;
    a.disconnected(line.connection).await;
    a.handle.connect(&id(&b.handle), Vec::new()).expect("a peer id");
    b.wait("the loss", |event| matches!(event, Event::RelayLost { .. }).then_some(())).await;
    let listen = at.split("/p2p/").next().expect("an address").to_owned();
    let (_server, _) = relay(&listen, RelayLimits::default()).await;
    b.handle.wake();
    reserved(&mut b).await;
    let line = a.connected().await;
    a.send(&line, b"again");
    let found = b
        .wait("the frame", |event| match event {
            Event::Received { frame, .. } if frame == b"again" => Some(()),
            _ => None,
        })
        .await;
    assert_eq!(found, ());
}

#[tokio::test]
async fn a_relay_without_a_place_is_told_and_asked_again() {
    let limits = RelayLimits { reservations: 0, ..RelayLimits::default() };
    let (_server, at) = relay("/ip4/127.0.0.1/tcp/0", limits).await;
    let mut host = Host::start(&TransportConfig { relays: vec![at.clone()], ..config(1, &[]) });
    for _ in 0..2 {
        let lost = host
            .wait("a refusal", |event| match event {
                Event::RelayLost { relay, why, .. } => Some((relay.clone(), why.clone())),
                _ => None,
            })
            .await;
        assert_eq!(lost.0, at);
        host.handle.wake();
    }
}

#[tokio::test]
async fn a_relay_that_is_another_one_now_or_is_away_is_told_as_that() {
    let (server, at) = relay("/ip4/127.0.0.1/tcp/0", RelayLimits::default()).await;
    let (listen, us) = (at.split("/p2p/").next().expect("an address"), server.peer_id().to_owned());
    let before = id(&Host::new(9, &[]).handle);
    assert_ne!(us, before);
    let mut host = Host::start(&TransportConfig { relays: vec![format!("{listen}/p2p/{before}")], ..config(1, &[]) });
    let told = |event: &Event| match event {
        Event::RelayLost { why, .. } => Some(why.clone()),
        _ => None,
    };
    let why = host.wait("a refusal", told).await;
    assert!(why.contains(&format!("somebody else answers at {listen}: {us}")), "{why}");
    server.shutdown().await;
    host.handle.wake();
    let is_away = |event: &Event| told(event).filter(|why| why.contains("refused"));
    host.wait("that nobody is there", is_away).await;
}

#[tokio::test]
async fn a_circuit_that_carries_too_much_is_cut() {
    let limits = RelayLimits { circuit_bytes: 200_000, ..RelayLimits::default() };
    let (_server, at) = relay("/ip4/127.0.0.1/tcp/0", limits).await;
    let mut b = hidden(2, &at).await;
    let mut a = Host::new(1, &[]);
    let (at_a, at_b) = introduce(&mut a, &mut b, &at).await;
    a.send(&at_a, &vec![1; 1 << 20]);
    assert_ne!(a.disconnected(at_a.connection).await, Gone::HungUp);
    b.disconnected(at_b.connection).await;
}

#[tokio::test]
async fn a_direct_way_takes_over_where_there_is_one() {
    for (relay_at, listen) in [
        ("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0"),
        ("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"),
        ("/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/udp/0/quic-v1"),
    ] {
        let (_server, at) = relay(relay_at, RelayLimits::default()).await;
        // Both listen, so that a direct way can be found; the hint names only the relay.
        let relays = vec![at.clone()];
        let mut b = Host::start(&TransportConfig { relays, ..config(2, &[listen]) });
        reserved(&mut b).await;
        let mut limits = common::brisk();
        limits.superseded_millis = 10;
        let mut a = Host::start(&TransportConfig { limits, ..config(1, &[listen]) });
        let (at_a, at_b) = introduce(&mut a, &mut b, &at).await;
        assert_eq!(at_a.path, Path::Relayed, "{relay_at}, {listen}");
        let direct = a.connected().await;
        assert_eq!(direct.path, Path::Direct, "{relay_at}, {listen}");
        a.send(&direct, b"hello");
        let direct_at_b = b.connected().await;
        assert_eq!(b.received(direct_at_b.connection).await, b"hello");
        b.send(&direct_at_b, b"hi");
        assert_eq!(a.received(direct.connection).await, b"hi");
        assert_eq!(a.disconnected(at_a.connection).await, Gone::Superseded);
        b.disconnected(at_b.connection).await;
    }
}
