//! A relay server: keeps places for kernels that cannot be reached, and joins others to them. It sees whom it joins and
//! how much they say, never what.
//!
//! What always holds: it dials nobody; each kind of use has a limit; a circuit tells no limit to its ends (`strip`), so
//! that the reference uses it too. A circuit that reaches a limit is cut, which its ends survive as they survive any lost
//! connection.

use crate::config::pings;
use crate::driver::is_silence;
use crate::given;
use crate::listen::listen_on;
use crate::start::{StartError, keypair};
use crate::swarm::{identify, relay_transport, swarm_config};
use futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::relay as circuit;
use libp2p::swarm::{NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{connection_limits, identify, ping};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How a relay is to be.
#[derive(Clone)]
pub struct RelayConfig {
    /// The Ed25519 seed of its identity.
    pub seed: [u8; 32],
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Multiaddrs under which others reach it, besides those that it listens on.
    pub announce: Vec<String>,
    /// What is too much.
    pub limits: RelayLimits,
}

impl RelayConfig {
    /// Listens nowhere yet.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, listen: Vec::new(), announce: Vec::new(), limits: RelayLimits::default() }
    }
}

/// Limits against abuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayLimits {
    /// Connections at once.
    pub connections: u32,
    /// Connections at once with one peer.
    pub connections_per_peer: u32,
    /// Connections that are on their way up.
    pub half_open_connections: u32,
    /// How long a connection may take to come up, in milliseconds.
    pub connection_millis: u64,
    /// How long a connection waits before it asks the peer again whether it is there, in milliseconds.
    pub ping_interval_millis: u64,
    /// How long the peer may take to answer that, in milliseconds. A peer that does not answer twice is gone.
    pub ping_millis: u64,
    /// Places that are kept.
    pub reservations: usize,
    /// Places that are kept for one peer.
    pub reservations_per_peer: usize,
    /// How long a place is kept without being asked for again, in seconds.
    pub reservation_secs: u64,
    /// Places that one peer, or one address, may ask for within a minute.
    pub reservations_per_minute: u32,
    /// Circuits at once.
    pub circuits: usize,
    /// Circuits at once from one peer.
    pub circuits_per_peer: usize,
    /// Circuits that one peer, or one address, may open within a minute.
    pub circuits_per_minute: u32,
    /// How long a circuit lives, in seconds.
    pub circuit_secs: u32,
    /// Bytes that a circuit carries.
    pub circuit_bytes: u64,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            connections: 2048,
            connections_per_peer: 8,
            half_open_connections: 128,
            connection_millis: 10_000,
            ping_interval_millis: 15_000,
            ping_millis: 20_000,
            reservations: 1024,
            reservations_per_peer: 4,
            reservation_secs: 3600,
            reservations_per_minute: 60,
            circuits: 1024,
            circuits_per_peer: 32,
            circuits_per_minute: 120,
            circuit_secs: 86_400,
            circuit_bytes: 64 << 30,
        }
    }
}

/// What a relay tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayEvent {
    /// It can be reached at this address, which ends with its peer id.
    Listening(String),
    /// It keeps a place for this peer.
    Reserved(String),
    /// It keeps none any more.
    Left(String),
    /// The first peer talks to the second one.
    Joined(String, String),
    /// They do not any more.
    Parted(String, String),
}

/// A running relay. It ends when this is dropped or shut down.
#[derive(Debug)]
pub struct RelayServer {
    peer_id: String,
    events: mpsc::Receiver<RelayEvent>,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<()>,
}

/// Events that wait to be taken. Of more, the newest are forgotten: they are for eyes only.
const MAX_EVENTS: usize = 1024;

impl RelayServer {
    /// Its peer id.
    pub fn peer_id(&self) -> &str {
        &self.peer_id
    }

    /// The next event; nothing once it has ended.
    pub async fn next(&mut self) -> Option<RelayEvent> {
        self.events.recv().await
    }

    /// Ends it, with all circuits, and returns when it has ended.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended on its own.
            let _ = stop.send(());
        }
        let _ = self.ended.await;
    }
}

/// Starts a relay on the tokio runtime of the caller.
pub fn serve(config: &RelayConfig) -> Result<RelayServer, StartError> {
    let keypair = keypair(config.seed)?;
    let mut swarm = swarm(&keypair, &config.limits)?;
    let us = *swarm.local_peer_id();
    for address in given::announced(&config.announce, us)? {
        swarm.add_external_address(address);
    }
    for text in &config.listen {
        listen_on(&mut swarm, &given::listen(text, us)?)?;
    }
    let (events, taken) = mpsc::channel(MAX_EVENTS);
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(run(swarm, events, stopped));
    Ok(RelayServer { peer_id: keypair.public().to_peer_id().to_string(), events: taken, stop: Some(stop), ended })
}

#[derive(NetworkBehaviour)]
struct Services {
    limits: connection_limits::Behaviour,
    relay: circuit::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

fn swarm(keypair: &Keypair, limits: &RelayLimits) -> Result<Swarm<Services>, std::io::Error> {
    let us = keypair.public().to_peer_id();
    let behaviour = Services {
        limits: connection_limits::Behaviour::new(
            connection_limits::ConnectionLimits::default()
                .with_max_pending_incoming(Some(limits.half_open_connections))
                .with_max_established(Some(limits.connections))
                .with_max_established_per_peer(Some(limits.connections_per_peer)),
        ),
        relay: circuit::Behaviour::new(us, circuit_config(limits)),
        identify: identify(keypair.public()),
        ping: ping::Behaviour::new(pings(limits.ping_interval_millis, limits.ping_millis)),
    };
    let transport = relay_transport(keypair, Duration::from_millis(limits.connection_millis))?;
    Ok(Swarm::new(transport, behaviour, us, swarm_config()))
}

fn circuit_config(limits: &RelayLimits) -> circuit::Config {
    let minute = Duration::from_mins(1);
    let rate = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let (reservations, circuits) = (rate(limits.reservations_per_minute), rate(limits.circuits_per_minute));
    circuit::Config {
        max_reservations: limits.reservations,
        // Of one peer, libp2p permits one more than it is told.
        max_reservations_per_peer: limits.reservations_per_peer.saturating_sub(1),
        reservation_duration: Duration::from_secs(limits.reservation_secs),
        reservation_rate_limiters: Vec::new(),
        max_circuits: limits.circuits,
        max_circuits_per_peer: limits.circuits_per_peer.saturating_sub(1),
        max_circuit_duration: Duration::from_secs(u64::from(limits.circuit_secs)),
        max_circuit_bytes: limits.circuit_bytes,
        circuit_src_rate_limiters: Vec::new(),
    }
    .reservation_rate_per_peer(reservations, minute)
    .reservation_rate_per_ip(reservations, minute)
    .circuit_src_per_peer(circuits, minute)
    .circuit_src_per_ip(circuits, minute)
}

async fn run(mut swarm: Swarm<Services>, events: mpsc::Sender<RelayEvent>, mut stopped: oneshot::Receiver<()>) {
    loop {
        let event = tokio::select! {
            _ = &mut stopped => return,
            event = swarm.select_next_some() => event,
        };
        let told = match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                // Reservations name the addresses under which the relay is reached.
                swarm.add_external_address(address.clone());
                RelayEvent::Listening(address.with(Protocol::P2p(*swarm.local_peer_id())).to_string())
            }
            // Otherwise its place would stay, and lead others to nobody.
            SwarmEvent::Behaviour(ServicesEvent::Ping(ping::Event { connection, result: Err(failure), .. }))
                if is_silence(&failure) =>
            {
                swarm.close_connection(connection);
                continue;
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                swarm.remove_external_address(&address);
                continue;
            }
            SwarmEvent::Behaviour(ServicesEvent::Relay(event)) => match event {
                circuit::Event::ReservationReqAccepted { src_peer_id, renewed: false } => {
                    RelayEvent::Reserved(src_peer_id.to_string())
                }
                circuit::Event::ReservationClosed { src_peer_id }
                | circuit::Event::ReservationTimedOut { src_peer_id } => RelayEvent::Left(src_peer_id.to_string()),
                circuit::Event::CircuitReqAccepted { src_peer_id, dst_peer_id } => {
                    RelayEvent::Joined(src_peer_id.to_string(), dst_peer_id.to_string())
                }
                circuit::Event::CircuitClosed { src_peer_id, dst_peer_id, .. } => {
                    RelayEvent::Parted(src_peer_id.to_string(), dst_peer_id.to_string())
                }
                _ => continue,
            },
            _ => continue,
        };
        // Events are for eyes; a relay without onlookers goes on.
        let _ = events.try_send(told);
    }
}
