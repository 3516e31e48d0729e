//! What a transport is told when it starts, and every limit with its unit.

use crate::addresses::Reach;
use crate::bucket::Rate;
use crate::frames::MAX_FRAME_BYTES;
use libp2p::ping;
use std::fmt;
use std::time::Duration;

/// How a transport is to be.
#[derive(Clone)]
pub struct TransportConfig {
    /// The Ed25519 seed of our identity.
    pub seed: [u8; 32],
    /// Multiaddrs to listen on. `/tcp/N/ws` is WebSocket, `/udp/N/quic-v1` is QUIC, `/memory/N` stays in this process.
    pub listen: Vec<String>,
    /// Relays that we trust to be found at: multiaddrs that end with `/p2p/` and the relay's peer id. A place is reserved
    /// at each, and each is a way to every peer.
    pub relays: Vec<String>,
    /// Multiaddrs under which others reach us, besides those that we listen on: what a router hands on to us.
    pub announce: Vec<String>,
    /// How near the addresses may be that others name.
    pub reach: Reach,
    /// The protocols that we speak.
    pub protocols: Protocols,
    /// What is too much.
    pub limits: TransportLimits,
}

impl TransportConfig {
    /// Listens nowhere and knows no relay.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            listen: Vec::new(),
            relays: Vec::new(),
            announce: Vec::new(),
            reach: Reach::default(),
            protocols: Protocols::default(),
            limits: TransportLimits::default(),
        }
    }
}

// The seed is the identity: it is in no log.
impl fmt::Debug for TransportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportConfig")
            .field("listen", &self.listen)
            .field("relays", &self.relays)
            .field("announce", &self.announce)
            .field("reach", &self.reach)
            .field("protocols", &self.protocols)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The protocols that are offered, the first one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocols {
    /// Ours, and `whatever` with peers that do not know ours.
    #[default]
    SturdyThenWhatever,
    /// Only ours.
    SturdyOnly,
    /// Only the reference's: for tests.
    WhateverOnly,
}

/// Limits of a transport. Reaching one delays or closes; it never loses a frame that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportLimits {
    /// Bytes of one frame, at most [`MAX_FRAME_BYTES`]. A longer one closes its connection.
    pub frame_bytes: usize,
    /// Connections at once, of all peers. More are refused, and our own dials wait. A quarter of them is only for peers
    /// that the host has asked for.
    pub connections: usize,
    /// Connections at once with one peer.
    pub connections_per_peer: usize,
    /// Streams that peers have opened and said nothing on. A quarter of them as well.
    pub half_open_streams: usize,
    /// The same for one peer.
    pub half_open_streams_per_peer: usize,
    /// How long such a stream may be silent, in milliseconds.
    pub first_frame_millis: u64,
    /// Streams that one peer may open within a minute.
    pub inbound_streams_per_minute_per_peer: u32,
    /// Transport connections that may arrive within a second, from everywhere. The surplus is refused before any
    /// cryptography.
    pub inbound_connections_per_second: u32,
    /// Frames that are read per second from one connection; what is faster waits in the network.
    pub inbound_frames_per_second_per_connection: u32,
    /// Bytes that are read per second from one connection; what is faster waits in the network.
    pub inbound_bytes_per_second_per_connection: u32,
    /// Bytes of frames that the host has not taken. When they are reached, nothing more is read from any peer.
    pub inbox_bytes: u32,
    /// Events that the host has not taken.
    pub inbox_events: usize,
    /// Bytes of frames that a peer has not taken. A connection that exceeds it is closed: what was to be sent is still in
    /// the outbox of whoever sent it, and is sent again on the next connection.
    pub outbox_bytes_per_connection: usize,
    /// How long a peer may take nothing at all while we write, in milliseconds.
    pub write_stall_millis: u64,
    /// Dials of one peer within a minute. More wait.
    pub dials_per_minute_per_peer: u32,
    /// Peers that are dialled at once. More wait, who has waited longest comes first. Half of them is only for peers that
    /// were met before.
    pub dials_at_once: usize,
    /// The longest wait after a first failed dial, in milliseconds. It doubles with each failure.
    pub backoff_base_millis: u64,
    /// The longest wait after any failed dial, in milliseconds.
    pub backoff_cap_millis: u64,
    /// The same for a peer that was never met.
    pub never_met_backoff_cap_millis: u64,
    /// The same for a peer that is sought without hurry.
    pub slow_backoff_base_millis: u64,
    /// The same for a peer that is sought without hurry.
    pub slow_backoff_cap_millis: u64,
    /// How long one address is tried, in milliseconds.
    pub dial_millis: u64,
    /// How long a connection waits before it asks the peer again whether it is there, in milliseconds.
    pub ping_interval_millis: u64,
    /// How long the peer may take to answer that, in milliseconds. A peer that does not answer twice is gone.
    pub ping_millis: u64,
    /// Peers that are remembered without being wanted or connected.
    pub idle_peers: usize,
    /// How long they are remembered, in milliseconds.
    pub idle_peer_millis: u64,
    /// Relays that are used.
    pub relays: usize,
    /// How long a relayed connection is kept after a direct one has taken its place, in milliseconds.
    pub superseded_millis: u64,
    /// How long a shutdown waits for connections to close, in milliseconds.
    pub shutdown_millis: u64,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            frame_bytes: MAX_FRAME_BYTES,
            connections: 1024,
            connections_per_peer: 8,
            half_open_streams: 128,
            half_open_streams_per_peer: 4,
            first_frame_millis: 10_000,
            inbound_streams_per_minute_per_peer: 60,
            inbound_connections_per_second: 200,
            inbound_frames_per_second_per_connection: 200_000,
            inbound_bytes_per_second_per_connection: 512 << 20,
            inbox_bytes: 16 << 20,
            inbox_events: 4096,
            outbox_bytes_per_connection: 32 << 20,
            write_stall_millis: 30_000,
            dials_per_minute_per_peer: 20,
            dials_at_once: 32,
            backoff_base_millis: 500,
            backoff_cap_millis: 10_000,
            never_met_backoff_cap_millis: 180_000,
            slow_backoff_base_millis: 30_000,
            slow_backoff_cap_millis: 3_600_000,
            dial_millis: 10_000,
            ping_interval_millis: 15_000,
            ping_millis: 20_000,
            idle_peers: 4096,
            idle_peer_millis: 3_600_000,
            relays: 16,
            superseded_millis: 30_000,
            shutdown_millis: 2_000,
        }
    }
}

impl TransportLimits {
    /// What is left of a limit for peers that the host has not asked for.
    pub(crate) const fn for_strangers(limit: usize) -> usize {
        limit - limit / 4
    }

    /// How many of the dials at once peers may have that were never met.
    pub(crate) const fn dials_for_the_never_met(dials_at_once: usize) -> usize {
        dials_at_once.div_ceil(2)
    }

    pub(crate) fn dials_per_peer(&self) -> Rate {
        Rate { capacity: self.dials_per_minute_per_peer, period: Duration::from_mins(1) }
    }

    pub(crate) fn inbound_streams_per_peer(&self) -> Rate {
        Rate { capacity: self.inbound_streams_per_minute_per_peer, period: Duration::from_mins(1) }
    }

    pub(crate) fn inbound_connections(&self) -> Rate {
        Rate { capacity: self.inbound_connections_per_second, period: Duration::from_secs(1) }
    }

    pub(crate) fn inbound_frames(&self) -> Rate {
        Rate { capacity: self.inbound_frames_per_second_per_connection, period: Duration::from_secs(1) }
    }

    pub(crate) fn inbound_bytes(&self) -> Rate {
        Rate { capacity: self.inbound_bytes_per_second_per_connection, period: Duration::from_secs(1) }
    }
}

/// How often a connection asks whether the peer is there, and how long it waits for the answer.
pub(crate) fn pings(interval_millis: u64, millis: u64) -> ping::Config {
    ping::Config::new()
        .with_interval(Duration::from_millis(interval_millis))
        .with_timeout(Duration::from_millis(millis))
}
