//! Limits of a relay: whoever is one too many is refused, hears of it, and gets through when there is room; whoever is
//! there is not disturbed.

mod common;

use common::{HANG, Host, Line, config, introduce};
use sturdy_transport::relay::{RelayConfig, RelayEvent, RelayLimits, RelayServer, serve};
use sturdy_transport::{Event, Gone, TransportConfig};

async fn relay(limits: RelayLimits) -> (RelayServer, String) {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let mut relay = serve(&RelayConfig { listen, limits, ..RelayConfig::new([200; 32]) }).expect("it starts");
    let event = tokio::time::timeout(HANG, relay.next()).await.expect("no hang");
    let Some(RelayEvent::Listening(address)) = event else { panic!("{event:?}") };
    (relay, address)
}

fn at_relay(seed: u8, relay: &str) -> Host {
    Host::start(&TransportConfig { relays: vec![relay.to_owned()], ..config(seed, &[]) })
}

/// A host that is reached only through the relay.
async fn hidden(seed: u8, relay: &str) -> Host {
    let mut host = at_relay(seed, relay);
    host.wait("a place", |event| matches!(event, Event::RelayReserved { .. }).then_some(())).await;
    host
}

async fn refused(host: &mut Host) {
    host.wait("a refusal", |event| matches!(event, Event::RelayLost { .. }).then_some(())).await;
}

async fn dial_failed(host: &mut Host) {
    host.wait("a failed dial", |event| matches!(event, Event::DialFailed { .. }).then_some(())).await;
}

/// What is said on a circuit arrives.
async fn carries(from: &mut Host, line: &Line, to: &mut Host, at: &Line) {
    from.send(line, b"still here");
    assert_eq!(to.received(at.connection).await, b"still here");
}

/// There is room now, which the relay may not have noticed yet.
async fn gets_a_place(host: &mut Host) {
    let mut waits = true;
    while waits {
        host.handle.wake();
        waits = host
            .wait("an answer", |event| match event {
                Event::RelayReserved { .. } => Some(false),
                Event::RelayLost { .. } => Some(true),
                _ => None,
            })
            .await;
    }
}

#[tokio::test]
async fn places_are_limited() {
    let usual = RelayLimits::default;
    // The second host has the first one's identity where the limit is that of one peer.
    for (limits, second) in [
        (RelayLimits { connections: 1, ..usual() }, 3),
        (RelayLimits { connections_per_peer: 1, ..usual() }, 2),
        (RelayLimits { reservations: 1, ..usual() }, 3),
        (RelayLimits { reservations_per_peer: 1, ..usual() }, 2),
    ] {
        let (_server, at) = relay(limits.clone()).await;
        let first = hidden(2, &at).await;
        let mut second = at_relay(second, &at);
        refused(&mut second).await;
        assert!(!second.has_passed(|event| matches!(event, Event::RelayReserved { .. })), "{limits:?}");
        first.handle.shutdown().await;
        gets_a_place(&mut second).await;
    }
}

#[tokio::test]
async fn places_are_asked_for_only_so_often() {
    let (_server, at) = relay(RelayLimits { reservations_per_minute: 1, ..RelayLimits::default() }).await;
    let mut b = hidden(2, &at).await;
    // From the same address.
    refused(&mut at_relay(3, &at)).await;
    let mut a = Host::new(1, &[]);
    introduce(&mut a, &mut b, &at).await;
}

#[tokio::test]
async fn who_does_not_come_up_makes_room_for_others() {
    let limits = RelayLimits { half_open_connections: 1, connection_millis: 3_000, ..RelayLimits::default() };
    let (_server, at) = relay(limits).await;
    let port = at.split('/').nth(4).and_then(|port| port.parse().ok()).expect("a port");
    let silent = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let mut host = at_relay(2, &at);
    refused(&mut host).await;
    gets_a_place(&mut host).await;
    drop(silent);
}

#[tokio::test]
async fn circuits_are_limited() {
    let (_server, at) = relay(RelayLimits { circuits: 1, ..RelayLimits::default() }).await;
    let (mut b, mut c) = (hidden(2, &at).await, hidden(3, &at).await);
    let (mut a, mut d) = (Host::new(1, &[]), Host::new(4, &[]));
    let (line, at_b) = introduce(&mut a, &mut b, &at).await;
    d.connect(&c, &at);
    dial_failed(&mut d).await;
    carries(&mut a, &line, &mut b, &at_b).await;
    a.handle.shutdown().await;
    let line = d.connected().await;
    d.send(&line, b"at last");
    let at_c = c.connected().await;
    assert_eq!(c.received(at_c.connection).await, b"at last");
}

#[tokio::test]
async fn circuits_of_one_peer_are_limited() {
    let (_server, at) = relay(RelayLimits { circuits_per_peer: 1, ..RelayLimits::default() }).await;
    let (mut b, mut c) = (hidden(2, &at).await, hidden(3, &at).await);
    let (mut a, mut d) = (Host::new(1, &[]), Host::new(4, &[]));
    let (line, at_b) = introduce(&mut a, &mut b, &at).await;
    a.connect(&c, &at);
    dial_failed(&mut a).await;
    carries(&mut a, &line, &mut b, &at_b).await;
    let (_, _) = introduce(&mut d, &mut c, &at).await; // others have circuits of their own
    d.handle.shutdown().await;
    b.handle.shutdown().await;
    let line = a.connected().await;
    assert_eq!(line.peer, c.handle.peer_id());
}

#[tokio::test]
async fn circuits_are_opened_only_so_often() {
    let (_server, at) = relay(RelayLimits { circuits_per_minute: 1, ..RelayLimits::default() }).await;
    let mut b = hidden(2, &at).await;
    let (mut a, mut d) = (Host::new(1, &[]), Host::new(4, &[]));
    let (line, at_b) = introduce(&mut a, &mut b, &at).await;
    d.connect(&b, &at);
    for _ in 0..2 {
        dial_failed(&mut d).await; // it goes on trying
    }
    carries(&mut a, &line, &mut b, &at_b).await;
}

#[tokio::test]
async fn a_circuit_that_has_lived_long_enough_is_cut_and_another_takes_its_place() {
    let (_server, at) = relay(RelayLimits { circuit_secs: 3, ..RelayLimits::default() }).await;
    let mut b = hidden(2, &at).await;
    let mut a = Host::new(1, &[]);
    let (line, at_b) = introduce(&mut a, &mut b, &at).await;
    assert_ne!(a.disconnected(line.connection).await, Gone::HungUp);
    b.disconnected(at_b.connection).await;
    introduce(&mut a, &mut b, &at).await;
}
