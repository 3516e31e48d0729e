//! A way between two hosts falls silent without being closed, as when a machine changes its network: both sides notice, and
//! meet on another way. Each test takes the ten seconds that libp2p waits for a protocol to be agreed on.

mod common;

use common::{HANG, Host, brisk, config, introduce};
use sturdy_transport::relay::{RelayConfig, RelayEvent, RelayLimits, serve};
use sturdy_transport::{Event, Gone, TransportConfig, TransportLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const LOCAL: &str = "/ip4/127.0.0.1/tcp/0";

/// Hands connections on, until it is silent: then it takes and gives nothing any more, and closes nothing.
struct Proxy {
    port: u16,
    silent: watch::Sender<bool>,
}

impl Proxy {
    async fn to(address: &str) -> Self {
        let target: u16 = address.split('/').nth(4).expect("a port").parse().expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let (silent, is_silent) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let Ok(there) = TcpStream::connect(("127.0.0.1", target)).await else { continue };
                let (calls, answers) = (here.into_split(), there.into_split());
                tokio::spawn(hand_on(calls.0, answers.1, is_silent.clone()));
                tokio::spawn(hand_on(answers.0, calls.1, is_silent.clone()));
            }
        });
        Self { port, silent }
    }

    /// The address of somebody as it is reached through here.
    fn before(&self, address: &str) -> String {
        let peer = address.split("/p2p/").nth(1).expect("a peer id");
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{peer}", self.port)
    }

    fn fall_silent(&self) {
        self.silent.send_replace(true);
    }
}

async fn hand_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut silent: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = tokio::select! {
            biased;
            () = async { drop(silent.wait_for(|silent| *silent).await) } => None,
            count = from.read(&mut bytes) => Some(count.unwrap_or(0)),
        };
        let Some(count) = count else { break };
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    // Both ends stay open.
    std::future::pending::<()>().await;
}

/// Asks often whether peers are there, and leaves nobody because he takes nothing.
fn watchful() -> TransportLimits {
    TransportLimits { ping_interval_millis: 100, ping_millis: 1_000, write_stall_millis: 3_600_000, ..brisk() }
}

/// The way falls silent while so many frames are on it.
async fn the_peer_is_found_on_another_way(frames: usize) {
    let mut a = Host::start(&TransportConfig { limits: watchful(), ..config(1, &[]) });
    let mut b = Host::start(&TransportConfig { limits: watchful(), ..config(2, &[LOCAL]) });
    let address = b.address().await;
    let proxy = Proxy::to(&address).await;
    let (at_a, at_b) = introduce(&mut a, &mut b, &proxy.before(&address)).await;
    for number in 0..20u8 {
        // Meanwhile they have agreed on how to ask each other.
        a.send(&at_a, &[number]);
        assert_eq!(b.received(at_b.connection).await, [number]);
        b.send(&at_b, &[number]);
        assert_eq!(a.received(at_a.connection).await, [number]);
    }
    proxy.fall_silent();
    let frame = vec![7; 64 << 10];
    for _ in 0..frames {
        a.send(&at_a, &frame);
    }
    assert_eq!(a.disconnected(at_a.connection).await, Gone::Silent);
    // Although what is left of the old connection may not be gone yet.
    a.connect(&b, &address);
    let line = a.connected().await;
    a.send(&line, b"here I am again");
    let again = b.connected().await;
    assert_eq!(b.received(again.connection).await, b"here I am again");
    assert_eq!(b.disconnected(at_b.connection).await, Gone::Silent);
}

#[tokio::test]
async fn a_peer_that_has_vanished_is_noticed_and_met_elsewhere() {
    the_peer_is_found_on_another_way(0).await;
}

/// More than the system takes: what is to be said to end the connection waits behind it.
#[tokio::test]
async fn a_peer_that_has_vanished_while_much_was_said_is_noticed() {
    the_peer_is_found_on_another_way(400).await;
}

#[tokio::test]
async fn a_relay_that_has_vanished_is_asked_again_and_keeps_no_place() {
    let limits = RelayLimits { ping_interval_millis: 100, ping_millis: 1_000, ..RelayLimits::default() };
    let listen = vec![LOCAL.to_owned()];
    let mut relay = serve(&RelayConfig { listen, limits, ..RelayConfig::new([200; 32]) }).expect("it starts");
    let Some(RelayEvent::Listening(address)) = relay.next().await else { panic!("it listens") };
    let proxy = Proxy::to(&address).await;
    let relays = vec![proxy.before(&address)];
    let mut a = Host::start(&TransportConfig { relays, limits: watchful(), ..config(1, &[]) });
    a.wait("a place", |event| matches!(event, Event::RelayReserved { .. }).then_some(())).await;
    proxy.fall_silent();
    a.wait("the loss of it", |event| matches!(event, Event::RelayLost { .. }).then_some(())).await;
    let left = async { while relay.next().await != Some(RelayEvent::Left(a.handle.peer_id())) {} };
    tokio::time::timeout(HANG, left).await.expect("no hang");
}
