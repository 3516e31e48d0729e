//! The one loop of a transport: libp2p's events, the host's orders, what lines tell, and time.
//!
//! What always holds: the loop never waits for the host nor for a peer; each stream becomes a line of its own task or is
//! dropped. Not here: decisions about peers (`peers`) and relays (`relays`), the bytes (`line`).

use crate::addresses::{Reach, candidates};
use crate::causes::{TOLD_REASONS, chain, of_dial};
use crate::config::TransportLimits;
use crate::event::{Event, Gone, News, Path, Side, Wire};
use crate::handle::{Command, Lines};
use crate::line::{Inbox, Line, LineNews};
use crate::peers::Peers;
use crate::relays::Relays;
use crate::streams::StreamNews;
use crate::swarm::{Stack, StackEvent};
use crate::wake::Clocks;
use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId as Carrier, DialError, Stream, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, ping, relay};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use sturdy_types::ConnectionId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How often clocks are compared and idle peers forgotten.
const TICK: Duration = Duration::from_secs(15);
/// How long a dial waits for room.
const NO_ROOM: Duration = Duration::from_secs(1);

pub(crate) struct Driver {
    pub(crate) swarm: Swarm<Stack>,
    pub(crate) orders: mpsc::UnboundedReceiver<Command>,
    pub(crate) peers: Peers,
    pub(crate) relays: Relays,
    pub(crate) reach: Reach,
    pub(crate) limits: TransportLimits,
    pub(crate) inbox: Inbox,
    pub(crate) news: Arc<News>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) line_news: (mpsc::UnboundedSender<LineNews>, mpsc::UnboundedReceiver<LineNews>),
    pub(crate) live: BTreeMap<ConnectionId, Live>,
    pub(crate) under_way: UnderWay,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) clocks: Clocks,
    pub(crate) next_tick: Instant,
}

/// What was begun with libp2p and is not answered.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    /// Our dials.
    dials: BTreeMap<Carrier, PeerId>,
    /// Peers with whom a stream is being opened.
    opening: BTreeSet<PeerId>,
    /// Of these, those with whom a direct stream is to replace a relayed one.
    upgrading: BTreeSet<PeerId>,
    /// Relayed lines that a direct one has replaced, and when they are ended.
    ending: BTreeSet<(Instant, ConnectionId)>,
}

/// A line, as the driver knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    peer: PeerId,
    side: Side,
    path: Path,
    /// The transport connection that carries it.
    on: Carrier,
    /// Whether a frame has arrived on it: it works.
    heard: bool,
}

impl Live {
    /// A detour that we have chosen, and may give up.
    fn is_our_detour(&self, peer: PeerId) -> bool {
        self.peer == peer && self.side == Side::Dialler && self.path == Path::Relayed
    }
}

impl Driver {
    pub(crate) async fn run(mut self) {
        loop {
            self.begin_what_is_due();
            let deadline = self.deadline();
            tokio::select! {
                command = self.orders.recv() => match command {
                    None | Some(Command::Shutdown) => break,
                    Some(command) => {
                        // What the host answers with an order has been told here before.
                        while let Ok(news) = self.line_news.1.try_recv() {
                            self.hear(&news);
                        }
                        self.obey(command);
                    }
                },
                Some(news) = self.line_news.1.recv() => self.hear(&news),
                event = self.swarm.select_next_some() => self.swarm_event(event),
                Some(_) = self.tasks.join_next() => {}
                () = tokio::time::sleep_until(deadline.into()) => self.tick(),
            }
        }
        self.end().await;
    }

    async fn end(mut self) {
        self.lines.end_all(&Gone::Shutdown);
        let patience = Duration::from_millis(self.limits.shutdown_millis);
        let all_ended = async {
            while !self.tasks.is_empty() {
                tokio::select! {
                    _ = self.tasks.join_next() => {}
                    // Farewells need somebody to carry them.
                    _ = self.swarm.select_next_some() => {}
                }
            }
        };
        // Whoever does not take its farewell in time is cut off.
        let _ = tokio::time::timeout(patience, all_ended).await;
        self.tasks.abort_all();
    }

    fn deadline(&self) -> Instant {
        let ending = self.under_way.ending.first().map(|(at, _)| *at);
        [self.peers.deadline(), self.relays.deadline(), ending, Some(self.next_tick)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.next_tick)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        while let Some(&(at, connection)) = self.under_way.ending.first() {
            if at > now {
                break;
            }
            self.under_way.ending.pop_first();
            if let Some(line) = self.lines.get(connection) {
                line.end(Gone::Superseded);
            }
        }
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        if self.clocks.slept(SystemTime::now(), now) {
            self.wake();
            self.news.tell(Event::Woke);
        }
        let age = Duration::from_millis(self.limits.idle_peer_millis);
        self.peers.sweep(now, age);
    }

    fn wake(&mut self) {
        let now = Instant::now();
        self.peers.hurry_all(now);
        self.relays.hurry(now);
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Connect { peer, hints } => {
                self.peers.know(now, peer);
                self.peers.want(now, peer, hints);
            }
            Command::Meet { peer, hints } => self.peers.want(now, peer, hints),
            Command::Seek { peer, hints, after } => self.peers.seek(now, peer, hints, after),
            Command::StopWanting(peer) => self.peers.stop_wanting(peer),
            Command::Reconnect { peer, hints } => {
                // Whoever says so wants it more than all that a vat may want.
                self.peers.know(now, peer);
                self.peers.open(now, peer);
                self.peers.hurry(now, peer);
                self.peers.want(now, peer, hints);
            }
            Command::Close(peer) => {
                self.peers.close(now, peer);
                for connection in self.peers.lines_of(peer) {
                    if let Some(line) = self.lines.get(connection) {
                        line.end(Gone::HungUp);
                    }
                }
            }
            Command::Wake => self.wake(),
            // The loop has ended with it.
            Command::Shutdown => {}
        }
    }

    fn begin_what_is_due(&mut self) {
        let now = Instant::now();
        while let Some((index, address)) = self.relays.due(now) {
            match self.swarm.listen_on(address) {
                Ok(listener) => self.relays.asked(index, listener),
                Err(error) => self.relay_lost(index, chain(&error)),
            }
        }
        while let Some(peer) = self.peers.due(now) {
            self.dial(peer);
        }
    }

    fn dial(&mut self, peer: PeerId) {
        if !self.peers.has_room(peer) {
            return self.no_room(peer);
        }
        if self.open_stream(peer) {
            return;
        }
        let found = candidates(peer, self.peers.hints(peer), &self.relays.addresses(), self.reach);
        if found.dial.is_empty() {
            let reasons: Vec<String> = found.refused.iter().take(TOLD_REASONS).map(ToString::to_string).collect();
            let why = if reasons.is_empty() { "no address is known".into() } else { reasons.join("; ") };
            return self.dial_failed(peer, why);
        }
        let options = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(found.dial).build();
        let dial = options.connection_id();
        self.under_way.dials.insert(dial, peer);
        if let Err(error) = self.swarm.dial(options) {
            self.under_way.dials.remove(&dial);
            let why = self.told(&error);
            self.dial_failed(peer, why);
        }
    }

    /// The wish stands: it is tried again soon.
    fn no_room(&mut self, peer: PeerId) {
        self.peers.postpone(Instant::now(), peer, NO_ROOM);
        let why = "there is no room for another connection".to_owned();
        self.news.tell(Event::DialFailed { peer: peer.to_string(), why, retry_in: NO_ROOM });
    }

    /// Opens a stream on a connection that there is; false if there is none.
    fn open_stream(&mut self, peer: PeerId) -> bool {
        if self.under_way.opening.contains(&peer) {
            return true;
        }
        let asked = self.swarm.behaviour_mut().streams.open(peer);
        if asked {
            self.under_way.opening.insert(peer);
        }
        asked
    }

    fn told(&self, error: &DialError) -> String {
        let ours: Vec<Multiaddr> = self.swarm.listeners().cloned().collect();
        of_dial(error, *self.swarm.local_peer_id(), &ours)
    }

    fn dial_failed(&mut self, peer: PeerId, why: String) {
        if let Some(retry_in) = self.peers.failed(Instant::now(), peer, chance()) {
            self.news.tell(Event::DialFailed { peer: peer.to_string(), why, retry_in });
        }
    }

    fn relay_lost(&mut self, index: usize, why: String) {
        let (relay, retry_in) = self.relays.lost(index, Instant::now(), chance());
        self.news.tell(Event::RelayLost { relay, why, retry_in });
    }

    fn hear(&mut self, news: &LineNews) {
        let now = Instant::now();
        match *news {
            LineNews::NoLongerHalfOpen(peer) => self.peers.half_open_ended(peer),
            LineNews::Live { peer, connection, side, path, on } => {
                self.live.insert(connection, Live { peer, side, path, on, heard: false });
                self.peers.live(now, peer, connection);
                self.straighten(now, peer);
                self.tell_found(peer);
            }
            LineNews::Heard(peer, connection) => {
                self.peers.heard(now, peer);
                if let Some(line) = self.live.get_mut(&connection) {
                    line.heard = true;
                }
                self.straighten(now, peer);
            }
            LineNews::Ended { peer, connection, fruitless } => {
                self.live.remove(&connection);
                self.lines.remove(connection);
                self.peers.ended(now, peer, connection, fruitless, chance());
            }
        }
    }

    /// Looks whether a relayed line of ours to this peer is still needed. Decided by what there is, not by which news came
    /// first: a direct way may be found before the relayed line, or while its stream is being opened.
    fn straighten(&mut self, now: Instant, peer: PeerId) {
        let detours: Vec<ConnectionId> =
            self.live.iter().filter(|(_, line)| line.is_our_detour(peer)).map(|(id, _)| *id).collect();
        if detours.is_empty() {
            return;
        }
        let mut direct = self.live.values().filter(|line| line.peer == peer && line.path == Path::Direct).peekable();
        if direct.peek().is_none() {
            let opening = self.under_way.opening.contains(&peer);
            if !opening && self.swarm.behaviour().streams.has_direct(peer) && self.open_stream(peer) {
                self.under_way.upgrading.insert(peer);
            }
        } else if direct.any(|line| line.heard) {
            let at = now + Duration::from_millis(self.limits.superseded_millis);
            let known: BTreeSet<ConnectionId> = self.under_way.ending.iter().map(|(_, id)| *id).collect();
            self.under_way.ending.extend(detours.into_iter().filter(|id| !known.contains(id)).map(|id| (at, id)));
        }
    }

    fn stream_news(&mut self, news: StreamNews) {
        match news {
            StreamNews::Opened { peer, on, stream, wire, path } => {
                self.under_way.opening.remove(&peer);
                // The direct way may have gone meanwhile; another detour is of no use.
                let upgrading = self.under_way.upgrading.remove(&peer) && path == Path::Direct;
                // Meanwhile the peer may have come to us, or the host may have changed its mind: a stream without a byte
                // is dropped, which peers take for nothing.
                let is_dialling = self.peers.is_dialling(peer);
                if is_dialling && !self.peers.has_room(peer) {
                    // While it was dialled, others have come.
                    self.no_room(peer);
                } else if is_dialling || upgrading && self.peers.has_room(peer) {
                    self.start_line(stream, (peer, on), Side::Dialler, wire, path);
                }
            }
            StreamNews::NotOpened { peer, why } => {
                self.under_way.opening.remove(&peer);
                self.under_way.upgrading.remove(&peer);
                self.dial_failed(peer, why);
            }
            StreamNews::Inbound { peer, on, stream, wire, path } => {
                // A refused stream is dropped: nothing of it was accepted, so nothing is lost.
                if self.peers.take_stream(Instant::now(), peer).is_ok() {
                    self.start_line(stream, (peer, on), Side::Listener, wire, path);
                }
            }
            StreamNews::DirectWay { peer } => {
                self.news.tell(Event::Upgraded { peer: peer.to_string() });
                self.straighten(Instant::now(), peer);
            }
        }
    }

    /// A peer says where it can be reached. Nobody needs to know while there is no line with it.
    fn identified(&mut self, connection: Carrier, peer: PeerId, addresses: &[Multiaddr]) {
        if self.swarm.behaviour_mut().streams.told(connection, addresses, self.reach) {
            self.tell_found(peer);
        }
    }

    fn tell_found(&mut self, peer: PeerId) {
        let addresses = self.swarm.behaviour().streams.found(peer);
        if !addresses.is_empty() && !self.peers.lines_of(peer).is_empty() {
            self.news.tell(Event::Found { peer: peer.to_string(), addresses });
        }
    }

    fn start_line(&mut self, stream: Stream, (peer, on): (PeerId, Carrier), side: Side, wire: Wire, path: Path) {
        let (limits, inbox, news) = (self.limits.clone(), self.inbox.clone(), self.line_news.0.clone());
        let lines = Arc::clone(&self.lines);
        let line = Line { stream, peer, side, wire, path, on, limits, inbox, news };
        self.tasks.spawn(line.run(move |end| lines.enter(end)));
    }

    fn swarm_event(&mut self, event: SwarmEvent<StackEvent>) {
        match event {
            SwarmEvent::Behaviour(StackEvent::Streams(news)) => self.stream_news(news),
            SwarmEvent::Behaviour(StackEvent::Relay(relay::client::Event::ReservationReqAccepted {
                relay_peer_id,
                renewal: false,
                ..
            })) => {
                self.relays.reserved(relay_peer_id);
                self.news.tell(Event::RelayReserved { relay: relay_peer_id.to_string() });
            }
            SwarmEvent::Behaviour(StackEvent::Identify(
                identify::Event::Received { connection_id, peer_id, info }
                | identify::Event::Pushed { connection_id, peer_id, info },
            )) => self.identified(connection_id, peer_id, &info.listen_addrs),
            SwarmEvent::Behaviour(StackEvent::Ping(ping::Event { connection, result: Err(failure), .. }))
                if is_silence(&failure) =>
            {
                self.fell_silent(connection);
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.under_way.dials.remove(&connection_id);
                if self.peers.is_dialling(peer_id) {
                    self.open_stream(peer_id);
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                if let Some(peer) = peer_id {
                    let why = self.told(&error);
                    self.relays.not_reached(peer, &why);
                }
                let dialled = self.under_way.dials.remove(&connection_id);
                // With another connection up meanwhile, the stream on it decides.
                if let Some(peer) = dialled.filter(|peer| !self.under_way.opening.contains(peer)) {
                    let why = self.told(&error);
                    self.dial_failed(peer, why);
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.news.tell(Event::Listening { address: self.complete(address) });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.news.tell(Event::NotListening { address: self.complete(address), why: None });
            }
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                self.listener_closed(listener_id, addresses, reason.err().map(|error| chain(&error)));
            }
            _ => {}
        }
    }

    /// A peer that does not answer is gone, whatever its network says. Its lines are ended here: they would not notice
    /// that what carries them is closed from this side. Nothing more is opened on it, for to close it may take a while.
    fn fell_silent(&mut self, on: Carrier) {
        for (connection, _) in self.live.iter().filter(|(_, line)| line.on == on) {
            if let Some(line) = self.lines.get(*connection) {
                line.end(Gone::Silent);
            }
        }
        self.swarm.behaviour_mut().streams.gone(on);
        self.swarm.close_connection(on);
    }

    fn listener_closed(&mut self, listener: ListenerId, addresses: Vec<Multiaddr>, why: Option<String>) {
        for address in addresses {
            self.news.tell(Event::NotListening { address: self.complete(address), why: why.clone() });
        }
        if let Some(index) = self.relays.of(listener) {
            let why = self.relays.trouble(index).or(why);
            self.relay_lost(index, why.unwrap_or_else(|| "the relay has ended it".into()));
        }
    }

    /// An address of ours as others need it: with our peer id at its end.
    fn complete(&self, address: Multiaddr) -> String {
        let us = *self.swarm.local_peer_id();
        let ends_with_us = address.iter().last() == Some(Protocol::P2p(us));
        let address = if ends_with_us { address } else { address.with(Protocol::P2p(us)) };
        address.to_string()
    }
}

/// Whether a failed ping means that nobody answers. The first failure in a row is never told, and after it a new stream is
/// opened: on a connection that has died it is that which fails, and no ping runs out of time any more. A peer that knows
/// no pings may well be there.
pub(crate) fn is_silence(failure: &ping::Failure) -> bool {
    !matches!(failure, ping::Failure::Unsupported)
}

/// Chance for a wait. Without the system's randomness waits are long, which is safe.
fn chance() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
