//! The stack: which transports, which security, which services, put together from libp2p's parts.
//!
//! What always holds: each dial passes the gate, below the lookup of names; each substream passes the rewriting of the
//! reference's protocol name. Not here: what is done with it (`driver`).

use crate::addresses::Reach;
use crate::alias::Aliased;
use crate::config::{TransportConfig, TransportLimits, pings};
use crate::gate::{Gate, Rules};
use crate::pieces::InPieces;
use crate::streams::Streams;
use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, MemoryTransport, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::{Keypair, PublicKey};
use libp2p::swarm::{NetworkBehaviour, Swarm};
use libp2p::{PeerId, connection_limits, dcutr, dns, identify, noise, ping, quic, relay, tcp, websocket, yamux};
use std::io;
use std::time::Duration;

/// What identify tells of us.
const AGENT: &str = concat!("sturdy/", env!("CARGO_PKG_VERSION"));
/// How long a transport connection without streams is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Addresses of one peer that are tried at once.
const ADDRESSES_AT_ONCE: u8 = 4;
/// Transport connections besides those that carry our streams: to relays, and on the way up or down.
const SPARE_CONNECTIONS: usize = 64;
/// Substreams of one transport connection.
const SUBSTREAMS: usize = 256;

/// Everything that runs over a connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Stack {
    limits: connection_limits::Behaviour,
    pub(crate) streams: Streams,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    relay: relay::client::Behaviour,
    dcutr: dcutr::Behaviour,
}

/// The stack of a kernel.
pub(crate) fn swarm(keypair: &Keypair, config: &TransportConfig, rules: &Rules) -> io::Result<Swarm<Stack>> {
    let limits = &config.limits;
    let us = keypair.public().to_peer_id();
    let (relay_transport, relay) = relay::client::new(us);
    let transport = transport(keypair, rules, relay_transport, limits)?;
    let behaviour = Stack {
        limits: connection_limits::Behaviour::new(connection_limits(limits)),
        streams: Streams::new(config.protocols, limits.inbound_connections()),
        identify: identify(keypair.public()),
        ping: ping::Behaviour::new(pings(limits.ping_interval_millis, limits.ping_millis)),
        relay,
        dcutr: dcutr::Behaviour::new(us),
    };
    Ok(Swarm::new(transport, behaviour, us, swarm_config()))
}

pub(crate) fn swarm_config() -> libp2p::swarm::Config {
    libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE)
        .with_dial_concurrency_factor(ADDRESSES_AT_ONCE.try_into().expect("it is not zero"))
}

pub(crate) fn identify(key: PublicKey) -> identify::Behaviour {
    let config = identify::Config::new("/sturdy/1".into(), key)
        .with_agent_version(AGENT.into())
        // Peers hear of it at once when we listen elsewhere.
        .with_push_listen_addr_updates(true)
        // What a peer tells of itself is not dialled just so: `found` says what is believed of it.
        .with_cache_size(0);
    identify::Behaviour::new(config)
}

fn connection_limits(limits: &TransportLimits) -> connection_limits::ConnectionLimits {
    let at_most = |count: usize| Some(u32::try_from(count).unwrap_or(u32::MAX));
    let own_dials = limits.connections - TransportLimits::for_strangers(limits.connections);
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(at_most(limits.half_open_streams))
        .with_max_pending_outgoing(at_most(limits.dials_at_once + 2 * limits.relays))
        // Whoever comes never takes the room for our own dials.
        .with_max_established_incoming(at_most(limits.connections + SPARE_CONNECTIONS))
        .with_max_established(at_most(limits.connections + SPARE_CONNECTIONS + own_dials))
        .with_max_established_per_peer(at_most(limits.connections_per_peer))
}

/// The transports of a kernel.
fn transport(
    keypair: &Keypair,
    rules: &Rules,
    relay_transport: relay::client::Transport,
    limits: &TransportLimits,
) -> io::Result<Boxed<(PeerId, StreamMuxerBox)>> {
    let through_relays = secured(relay_transport, &noise(keypair)?);
    let all = through_relays.or_transport(direct(keypair, rules)?).map(|either, _| either.into_inner());
    Ok(TransportTimeout::new(all, Duration::from_millis(limits.dial_millis)).boxed())
}

/// The transports of a relay server, which dials nobody.
pub(crate) fn relay_transport(keypair: &Keypair, patience: Duration) -> io::Result<Boxed<(PeerId, StreamMuxerBox)>> {
    let direct = direct(keypair, &Rules::new(Reach::Internet, &[]))?;
    Ok(TransportTimeout::new(direct, patience).boxed())
}

/// WebSocket, TCP, QUIC and memory. The order matters: where names are looked up, everything is taken for supported; and
/// WebSocket looks up its names itself, because it tells them to the server.
fn direct(keypair: &Keypair, rules: &Rules) -> io::Result<Boxed<(PeerId, StreamMuxerBox)>> {
    let noise = noise(keypair)?;
    let web = secured(websocket::Config::new(named(|| tcp_behind(rules))), &noise);
    let plain = named(|| {
        let memory = Gate::new(MemoryTransport::default(), rules.clone());
        let streams = secured(tcp_behind(rules).or_transport(memory), &noise);
        streams.or_transport(datagrams(keypair, rules)).map(|either, _| either.into_inner()).boxed()
    });
    Ok(web.or_transport(plain).map(|either, _| either.into_inner()).boxed())
}

/// Noise and Yamux over a stream.
fn secured<T>(inner: T, noise: &noise::Config) -> Boxed<(PeerId, StreamMuxerBox)>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let mut muxing = yamux::Config::default();
    muxing.set_max_num_streams(SUBSTREAMS);
    let muxed = inner.upgrade(Version::V1Lazy).authenticate(noise.clone()).multiplex(InPieces(muxing));
    muxed.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(Aliased::new(muxer)))).boxed()
}

/// QUIC, which brings security and streams of its own.
fn datagrams(keypair: &Keypair, rules: &Rules) -> Boxed<(PeerId, StreamMuxerBox)> {
    let quic = Gate::new(quic::tokio::Transport::new(quic::Config::new(keypair)), rules.clone());
    quic.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(Aliased::new(muxer)))).boxed()
}

fn tcp_behind(rules: &Rules) -> Gate<tcp::tokio::Transport> {
    Gate::new(tcp::tokio::Transport::new(tcp::Config::default()), rules.clone())
}

fn noise(keypair: &Keypair) -> io::Result<noise::Config> {
    noise::Config::new(keypair).map_err(crate::gate::other)
}

/// Looks up names as the system does; where the system does not say how, names are not known.
fn named<T>(inner: impl Fn() -> T) -> dns::tokio::Transport<T> {
    dns::tokio::Transport::system(inner()).unwrap_or_else(|_| {
        dns::tokio::Transport::custom(inner(), dns::ResolverConfig::default(), dns::ResolverOpts::default())
    })
}
