//! A host for tests: starts a transport and waits for what it tells. A wait that takes far too long fails the test; no
//! time is asserted.

#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;
use sturdy_transport::{
    Event, Events, Gone, Path, Protocols, Reach, Side, TransportConfig, TransportHandle, TransportLimits, Wire, start,
};
use sturdy_types::ConnectionId;

/// Far longer than anything here takes on a busy machine.
pub const HANG: Duration = Duration::from_mins(1);

pub struct Host {
    pub handle: TransportHandle,
    pub events: Events,
    /// What was passed over while something else was waited for.
    passed: Vec<Event>,
}

/// Limits under which tests do not wait.
pub fn brisk() -> TransportLimits {
    TransportLimits {
        backoff_base_millis: 10,
        backoff_cap_millis: 100,
        dials_per_minute_per_peer: 10_000,
        ..TransportLimits::default()
    }
}

pub fn config(seed: u8, listen: &[&str]) -> TransportConfig {
    let listen = listen.iter().map(ToString::to_string).collect();
    TransportConfig { listen, reach: Reach::Host, limits: brisk(), ..TransportConfig::new([seed; 32]) }
}

impl Host {
    pub fn start(config: &TransportConfig) -> Self {
        let (handle, events) = start(config).expect("it starts");
        Self { handle, events, passed: Vec::new() }
    }

    pub fn new(seed: u8, listen: &[&str]) -> Self {
        Self::start(&config(seed, listen))
    }

    pub fn with_protocols(seed: u8, listen: &[&str], protocols: Protocols) -> Self {
        Self::start(&TransportConfig { protocols, ..config(seed, listen) })
    }

    /// Waits for an event that `pick` wants; others are kept for later waits.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        for index in 0..self.passed.len() {
            if let Some(found) = pick(&self.passed[index]) {
                self.passed.remove(index);
                return found;
            }
        }
        let waiting = async {
            loop {
                let event = self.events.next().await.expect("it is not shut down");
                if let Some(found) = pick(&event) {
                    return found;
                }
                self.passed.push(event);
            }
        };
        if let Ok(found) = tokio::time::timeout(HANG, waiting).await {
            return found;
        }
        let last = self.passed.len().saturating_sub(5);
        panic!("waited in vain for {what}; passed last: {:?}", &self.passed[last..])
    }

    pub async fn address(&mut self) -> String {
        self.wait("an address", |event| match event {
            Event::Listening { address } => Some(address.clone()),
            _ => None,
        })
        .await
    }

    pub async fn connected(&mut self) -> Line {
        self.wait("a connection", |event| match event {
            Event::Connected { connection, peer, side, wire, path } => {
                Some(Line { connection: *connection, peer: peer.clone(), side: *side, wire: *wire, path: *path })
            }
            _ => None,
        })
        .await
    }

    pub async fn received(&mut self, connection: ConnectionId) -> Vec<u8> {
        self.wait("a frame", |event| match event {
            Event::Received { connection: on, frame } if *on == connection => Some(frame.clone()),
            _ => None,
        })
        .await
    }

    pub async fn disconnected(&mut self, connection: ConnectionId) -> Gone {
        self.wait("an end", |event| match event {
            Event::Disconnected { connection: on, why } if *on == connection => Some(why.clone()),
            _ => None,
        })
        .await
    }

    pub fn connect(&self, to: &Host, address: &str) {
        self.handle.connect(&to.handle.peer_id(), vec![address.to_owned()]).expect("a peer id");
    }

    pub fn send(&self, line: &Line, frame: &[u8]) {
        self.handle.transmit(line.connection, frame.to_vec()).expect("short enough");
    }

    /// Nothing of this kind has happened so far.
    pub fn has_passed(&self, pick: impl Fn(&Event) -> bool) -> bool {
        self.passed.iter().any(pick)
    }
}

#[derive(Debug, Clone)]
pub struct Line {
    pub connection: ConnectionId,
    pub peer: String,
    pub side: Side,
    pub wire: Wire,
    pub path: Path,
}

/// Opens a connection from `a` to `b`, with a frame each way.
pub async fn introduce(a: &mut Host, b: &mut Host, address: &str) -> (Line, Line) {
    a.connect(b, address);
    let at_a = a.connected().await;
    assert_eq!((at_a.side, &at_a.peer), (Side::Dialler, &b.handle.peer_id()));
    a.send(&at_a, b"hello");
    let at_b = b.connected().await;
    assert_eq!((at_b.side, &at_b.peer), (Side::Listener, &a.handle.peer_id()));
    assert_eq!((at_a.wire, at_a.path), (at_b.wire, at_b.path));
    assert_eq!(b.received(at_b.connection).await, b"hello");
    b.send(&at_b, b"hi");
    assert_eq!(a.received(at_a.connection).await, b"hi");
    (at_a, at_b)
}
