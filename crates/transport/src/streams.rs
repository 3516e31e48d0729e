//! Streams of our protocol over libp2p's connections: opens one when asked to, hands over what peers open.
//!
//! What always holds: each request to open a stream is answered once, even if its connection goes away; a direct
//! connection is preferred to a relayed one. Not here: whether a stream is wanted (`peers`), what is said on it (`line`).

use crate::addresses::Reach;
use crate::alias::WHATEVER_INSIDE;
use crate::bucket::{Bucket, Rate};
use crate::config::Protocols;
use crate::event::{Path, Wire};
use crate::found::{MAX_FOUND, believed, host};
use futures::future::{Ready, ready};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NewListenAddr, NotifyHandler, Stream, StreamUpgradeError, SubstreamProtocol, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Our own protocol, with its version.
pub(crate) const STURDY: &str = "/sturdy/1";
/// How long agreeing on a protocol may take.
const NEGOTIATION: Duration = Duration::from_secs(10);

/// How often a peer may change its addresses on one connection. What it says later counts on the next one.
const MAX_CHANGES: usize = 16;

/// What happened to a stream.
#[derive(Debug)]
pub(crate) enum StreamNews {
    /// We asked for it.
    Opened { peer: PeerId, on: ConnectionId, stream: Stream, wire: Wire, path: Path },
    /// We asked in vain.
    NotOpened { peer: PeerId, why: String },
    /// The peer opened it.
    Inbound { peer: PeerId, on: ConnectionId, stream: Stream, wire: Wire, path: Path },
    /// A direct connection to a peer came up while there was a relayed one.
    DirectWay { peer: PeerId },
}

/// The behaviour.
pub(crate) struct Streams {
    protocols: Protocols,
    arrivals: Bucket,
    connections: BTreeMap<ConnectionId, Connection>,
    actions: VecDeque<ToSwarm<StreamNews, Open>>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Connection {
    peer: PeerId,
    path: Path,
    /// Streams that were asked for and neither opened nor refused yet.
    asked: usize,
    /// The host at the other end, if it is known.
    host: Option<IpAddr>,
    /// Where the peer says that it can be reached, as far as it is believed.
    found: Vec<String>,
    /// How often that has changed.
    changes: usize,
}

/// The request to a connection: one more stream.
#[derive(Debug)]
pub(crate) struct Open;

impl Streams {
    pub(crate) fn new(protocols: Protocols, arrivals: Rate) -> Self {
        Self {
            protocols,
            arrivals: Bucket::full(arrivals, Instant::now()),
            connections: BTreeMap::new(),
            actions: VecDeque::new(),
            waker: None,
        }
    }

    /// Asks for a stream on the best connection to `peer`; false if there is none.
    pub(crate) fn open(&mut self, peer: PeerId) -> bool {
        let best = self.connections.iter_mut().filter(|(_, connection)| connection.peer == peer);
        let Some((id, connection)) = best.max_by_key(|(id, connection)| (connection.path == Path::Direct, **id)) else {
            return false;
        };
        connection.asked += 1;
        let handler = NotifyHandler::One(*id);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: Open });
        self.wake();
        true
    }

    /// An address of ours that a peer is told when a direct way is looked for. Without this, nothing is known to be
    /// proposed until a third one has told us where it sees us, which may be too late: there is one attempt for each
    /// relayed connection.
    pub(crate) fn propose(&mut self, address: Multiaddr) {
        self.actions.push_back(ToSwarm::NewExternalAddrCandidate(address));
        self.wake();
    }

    /// A peer says where it can be reached. True if that is news.
    pub(crate) fn told(&mut self, id: ConnectionId, addresses: &[Multiaddr], reach: Reach) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let Some(host) = connection.host.filter(|_| connection.changes < MAX_CHANGES) else { return false };
        let found = believed(connection.peer, host, addresses, reach);
        let is_news = found != connection.found;
        if is_news {
            connection.found = found;
            connection.changes += 1;
        }
        is_news
    }

    /// Where a peer can be reached, as far as it is believed.
    pub(crate) fn found(&self, peer: PeerId) -> Vec<String> {
        let of_peer = self.connections.values().filter(|connection| connection.peer == peer);
        let found: BTreeSet<&String> = of_peer.flat_map(|connection| &connection.found).collect();
        found.into_iter().take(MAX_FOUND).cloned().collect()
    }

    /// Whether there is a connection that needs no relay.
    pub(crate) fn has_direct(&self, peer: PeerId) -> bool {
        self.connections.values().any(|connection| connection.peer == peer && connection.path == Path::Direct)
    }

    /// A connection is closed, or as good as closed: what was asked of it is answered, and nothing more is.
    pub(crate) fn gone(&mut self, id: ConnectionId) {
        let Some(Connection { peer, asked, .. }) = self.connections.remove(&id) else { return };
        for _ in 0..asked {
            let why = "the connection was closed before a stream was open".to_owned();
            self.tell(StreamNews::NotOpened { peer, why });
        }
    }

    fn tell(&mut self, news: StreamNews) {
        self.actions.push_back(ToSwarm::GenerateEvent(news));
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn established(&mut self, id: ConnectionId, peer: PeerId, path: Path, host: Option<IpAddr>) {
        let was_relayed =
            self.connections.values().any(|connection| connection.peer == peer && connection.path == Path::Relayed);
        let (found, changes) = (Vec::new(), 0);
        self.connections.insert(id, Connection { peer, path, asked: 0, host, found, changes });
        if was_relayed && path == Path::Direct {
            self.tell(StreamNews::DirectWay { peer });
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = StreamNews;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.arrivals.take(Instant::now()).map_err(|_| ConnectionDenied::new(TooManyArrivals))
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.protocols))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(self.protocols))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                let path = if event.endpoint.is_relayed() { Path::Relayed } else { Path::Direct };
                let host = host(event.endpoint.get_remote_address()).filter(|_| path == Path::Direct);
                self.established(event.connection_id, event.peer_id, path, host);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => self.gone(connection_id),
            FromSwarm::NewListenAddr(NewListenAddr { addr, .. })
                if addr.iter().all(|part| part != Protocol::P2pCircuit) =>
            {
                self.propose(addr.clone());
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let path = connection.path;
        if !matches!(event, FromHandler::Inbound(..)) {
            connection.asked = connection.asked.saturating_sub(1);
        }
        self.tell(match event {
            FromHandler::Inbound(stream, wire) => StreamNews::Inbound { peer, on: id, stream, wire, path },
            FromHandler::Opened(stream, wire) => StreamNews::Opened { peer, on: id, stream, wire, path },
            FromHandler::NotOpened(why) => StreamNews::NotOpened { peer, why },
        });
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(action) = self.actions.pop_front() {
            return Poll::Ready(action);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Debug, thiserror::Error)]
#[error("too many connections arrive")]
struct TooManyArrivals;

/// What a connection says of streams.
#[derive(Debug)]
pub(crate) enum FromHandler {
    Opened(Stream, Wire),
    NotOpened(String),
    Inbound(Stream, Wire),
}

/// One connection.
pub(crate) struct Handler {
    protocols: Protocols,
    to_open: usize,
    opening: usize,
    said: VecDeque<FromHandler>,
    waker: Option<Waker>,
}

/// News that wait in one connection for its behaviour. Of more inbound streams, the newest are refused.
const MAX_SAID: usize = 64;

impl Handler {
    fn new(protocols: Protocols) -> Self {
        Self { protocols, to_open: 0, opening: 0, said: VecDeque::new(), waker: None }
    }

    fn say(&mut self, news: FromHandler) {
        self.said.push_back(news);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn offer(&self) -> SubstreamProtocol<Offer, ()> {
        SubstreamProtocol::new(Offer(self.protocols), ()).with_timeout(NEGOTIATION)
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = FromHandler;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Offer, ()> {
        self.offer()
    }

    fn connection_keep_alive(&self) -> bool {
        self.to_open > 0 || self.opening > 0
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Offer, (), FromHandler>> {
        if let Some(news) = self.said.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(news));
        }
        if self.to_open > 0 {
            self.to_open -= 1;
            self.opening += 1;
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol: self.offer() });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, Open: Open) {
        self.to_open += 1;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Offer, Offer>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (stream, wire), .. })
                if self.said.len() < MAX_SAID =>
            {
                self.say(FromHandler::Inbound(stream, wire));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: (stream, wire), .. }) => {
                self.opening = self.opening.saturating_sub(1);
                self.say(FromHandler::Opened(stream, wire));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                self.opening = self.opening.saturating_sub(1);
                self.say(FromHandler::NotOpened(told(&error)));
            }
            _ => {}
        }
    }
}

fn told(error: &StreamUpgradeError<Infallible>) -> String {
    match error {
        StreamUpgradeError::Timeout => format!("no protocol was agreed on within {} s", NEGOTIATION.as_secs()),
        StreamUpgradeError::NegotiationFailed => "the peer speaks none of our protocols".into(),
        StreamUpgradeError::Io(error) => format!("the stream broke while a protocol was agreed on: {error}"),
        StreamUpgradeError::Apply(never) => match *never {},
    }
}

/// Our protocols, the preferred one first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer(Protocols);

impl UpgradeInfo for Offer {
    type Info = &'static str;
    type InfoIter = std::iter::Copied<std::slice::Iter<'static, &'static str>>;

    fn protocol_info(&self) -> Self::InfoIter {
        let names: &'static [&'static str] = match self.0 {
            Protocols::SturdyThenWhatever => &[STURDY, WHATEVER_INSIDE],
            Protocols::SturdyOnly => &[STURDY],
            Protocols::WhateverOnly => &[WHATEVER_INSIDE],
        };
        names.iter().copied()
    }
}

fn wire(name: &str) -> Wire {
    if name == STURDY { Wire::Sturdy } else { Wire::Whatever }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, Wire);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: &'static str) -> Self::Future {
        ready(Ok((stream, wire(name))))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Stream, Wire);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: &'static str) -> Self::Future {
        ready(Ok((stream, wire(name))))
    }
}
