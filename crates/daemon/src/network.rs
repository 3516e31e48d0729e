//! The network of a running kernel: what it is told to do becomes orders to the transport, what the transport tells
//! becomes events for the node, reports for people, and a little volatile knowledge about addresses and peers.
//!
//! What always holds: nothing here is remembered beyond the process; what is kept about peers is kept only while they
//! are connected or have a record. Deliberately elsewhere: when events are taken (`kernel_loop`), what they mean (the
//! node), bytes (`sturdy-transport`).

use crate::config::{Report, Reporter};
use crate::places::{Places, RelayInfo};
use crate::steady::Steadiness;
use crate::undialable::Undialable;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use sturdy_node::Node;
use sturdy_node::kernel::Event as KernelEvent;
use sturdy_node::remote::Side as Speaks;
use sturdy_store::{Read, RemoteState, Remotes, RemotesByPeer, StoreFault};
use sturdy_transport::{
    Event, Events, Gone, Path, Reach, Side, StartError, TransportConfig, TransportHandle, TransportLimits, Wire, start,
};
use sturdy_types::{ConnectionId, redact_urls};

/// Addresses that a URL of ours carries, at most.
const URL_HINTS: usize = 8;
/// Peers without a record whose addresses are remembered.
const MAX_FOUND: usize = 1024;
/// Peers that are looked for at the start.
const MAX_SOUGHT: u32 = 256;
/// From one to the next.
const SEEK_PAUSE: Duration = Duration::from_millis(500);

/// How a kernel is to be reached, and how it reaches others.
#[derive(Debug, Clone, Default)]
pub struct NetworkConfig {
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Relays to be found at: multiaddrs that end with `/p2p/` and the relay's peer id.
    pub relays: Vec<String>,
    /// Multiaddrs under which others reach this kernel, besides those that it finds by itself.
    pub reached_at: Vec<String>,
    /// How near the addresses may be that URLs name; if not given, what the addresses to listen on imply.
    pub reach: Option<Reach>,
    /// Limits of the transport.
    pub limits: TransportLimits,
}

/// Something that happened on the network, worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkNews {
    /// The kernel can be reached at this address.
    Listening(String),
    /// It cannot be reached there any more.
    NotListening {
        /// The address.
        address: String,
        /// Why, if it was not our own wish.
        why: Option<String>,
    },
    /// A relay has a place for us.
    RelayReserved(String),
    /// A relay has no place for us (any more). Told once, until it has one.
    RelayLost {
        /// The relay's address.
        relay: String,
        /// Why.
        why: String,
    },
    /// There is a connection with a known peer.
    Reached {
        /// The peer.
        peer: String,
        /// How it goes.
        way: Way,
    },
    /// There is no connection with a known peer any more.
    Lost {
        /// The peer.
        peer: String,
        /// Why.
        why: String,
    },
    /// The first dial of a peer has failed since there was a connection. It is repeated.
    Unreachable {
        /// The peer.
        peer: String,
        /// Why.
        why: String,
    },
}

/// How a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// From host to host, or through a relay.
    pub path: Path,
    /// The protocol that was agreed on.
    pub wire: Wire,
}

/// What is known about the network now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Our own peer id.
    pub peer_id: String,
    /// Whether there is a network at all.
    pub switch: NetworkSwitch,
    /// Where this kernel can be reached, with its peer id at the end.
    pub addresses: Vec<String>,
    /// What a URL that is issued now says about where to find it.
    pub hints: Vec<String>,
    /// The relays that it is to be found at.
    pub relays: Vec<RelayInfo>,
    /// How near the addresses may be that are dialled because a URL or a peer names them.
    pub reach: Reach,
    /// Peers that there is something to say about, by peer id.
    pub peers: BTreeMap<String, LinkInfo>,
}

/// Whether a kernel has a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NetworkSwitch {
    /// It was started without one.
    #[default]
    Off,
    /// It has one.
    On,
}

/// What is known about the link with one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// How the connection goes on which we talk, or the newest one.
    pub way: Option<Way>,
    /// The smoothed time from a message to its acknowledgement, in milliseconds.
    pub round_trip_ms: Option<u64>,
    /// Whether it is being dialled.
    pub dialling: bool,
    /// What went wrong last.
    pub trouble: Option<String>,
}

/// A connection that is there.
struct Line {
    peer: String,
    way: Way,
    /// Whether the peer has said anything on it.
    spoke: bool,
}

/// What went wrong last with a peer that has a record.
struct Trouble {
    why: String,
    /// When it is tried again, if it is still wanted.
    again: Option<String>,
    /// Told already that it cannot be reached.
    told: bool,
}

/// The transport and what is known of it. Lives on the kernel's thread.
pub(crate) struct Network {
    transport: TransportHandle,
    events: Events,
    places: Places,
    addresses: BTreeSet<String>,
    reach: Reach,
    lines: BTreeMap<ConnectionId, Line>,
    troubles: BTreeMap<String, Trouble>,
    /// Where connected peers say that they are, until that is kept with their records. Strangers have none.
    found: BTreeMap<String, Vec<String>>,
    /// Peers that are dialled without hurry: nobody waits for them.
    sought: BTreeSet<String>,
    undialable: Undialable,
    steady: Steadiness,
    reporter: Reporter,
    shutdown: Duration,
}

impl Network {
    /// Starts the transport. Its tasks run on the tokio runtime that was entered.
    pub(crate) fn start(config: &NetworkConfig, seed: [u8; 32], reporter: Reporter) -> Result<Self, StartError> {
        let NetworkConfig { listen, relays, reached_at, reach, limits } = config.clone();
        let reach = reach.unwrap_or_else(|| Reach::implied_by(&listen));
        let shutdown = Duration::from_millis(limits.shutdown_millis) + Duration::from_secs(1);
        let (places, announce) = (Places::new(&relays), reached_at);
        let base = TransportConfig::new(seed);
        let config = TransportConfig { listen, relays, announce, reach, limits, ..base };
        let (transport, events) = start(&config)?;
        let (lines, troubles) = (BTreeMap::new(), BTreeMap::new());
        let (found, sought, addresses) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let (steady, undialable) = (Steadiness::default(), Undialable::default());
        Ok(Self {
            transport,
            events,
            places,
            addresses,
            reach,
            lines,
            troubles,
            found,
            sought,
            undialable,
            steady,
            reporter,
            shutdown,
        })
    }

    /// The next event; nothing if the transport has ended by itself.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let deadline = self.undialable.deadline();
            let until_due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.events.next() => return event,
                () = until_due => {
                    if let Some(event) = self.undialable.due(Instant::now()) {
                        return Some(event);
                    }
                }
            }
        }
    }

    /// The next event, if there is one now.
    pub(crate) fn try_next(&mut self) -> Option<Event> {
        self.undialable.due(Instant::now()).or_else(|| self.events.try_next())
    }

    /// Dials a peer until there is a connection.
    pub(crate) fn connect(&mut self, node: &Node, peer: &String, hints: Vec<String>) -> Result<(), StoreFault> {
        self.sought.remove(peer);
        let dialled =
            if was_met(node, peer)? { self.transport.connect(peer, hints) } else { self.transport.meet(peer, hints) };
        if let Err(not_a_peer) = dialled {
            self.undialable.want(Instant::now(), not_a_peer);
        }
        Ok(())
    }

    /// Puts a frame on the wire.
    pub(crate) fn transmit(&mut self, connection: ConnectionId, frame: Vec<u8>) {
        // The kernel refuses messages that do not fit into a frame, so what is too long here is a limit set lower.
        if let Err(error) = self.transport.transmit(connection, frame) {
            if let Some(peer) = self.lines.get(&connection).map(|line| line.peer.clone()) {
                self.troubled(&peer, &error.to_string());
            }
            self.transport.hang_up(connection);
        }
    }

    /// Ends a connection.
    pub(crate) fn hang_up(&self, connection: ConnectionId) {
        self.transport.hang_up(connection);
    }

    /// Refuses a peer until somebody wants it again.
    pub(crate) fn close(&mut self, peer: &str) {
        self.sought.remove(peer);
        self.undialable.stop_wanting(peer);
        // What is no peer id has no connections.
        let _none = self.transport.close(peer);
    }

    /// Wants a connection now.
    pub(crate) fn reconnect(&mut self, peer: &str, hints: Vec<String>) {
        self.sought.remove(peer);
        self.troubles.remove(peer);
        if let Err(not_a_peer) = self.transport.reconnect(peer, hints) {
            self.undialable.stop_wanting(peer);
            self.undialable.want(Instant::now(), not_a_peer);
        }
    }

    /// Nobody wants a peer any more.
    pub(crate) fn stop_wanting(&mut self, peer: &str) {
        self.sought.remove(peer);
        self.undialable.stop_wanting(peer);
        let _none = self.transport.stop_wanting(peer);
    }

    /// Takes notice of an event. Returns what the node is to hear of it.
    pub(crate) fn learn(&mut self, node: &Node, event: Event) -> Result<Option<KernelEvent>, StoreFault> {
        let news = match event {
            Event::Received { connection, frame } => {
                self.spoke(connection);
                return Ok(Some(KernelEvent::Received { connection, frame }));
            }
            Event::Connected { connection, peer, side, wire, path } => {
                let way = Way { path, wire };
                let is_first = self.lines.values().all(|line| line.peer != peer);
                if is_first && is_known(node, &peer)? && self.steady.connected(&peer) {
                    self.tell(NetworkNews::Reached { peer: peer.clone(), way });
                }
                self.lines.insert(connection, Line { peer: peer.clone(), way, spoke: false });
                self.troubles.remove(&peer);
                self.sought.remove(&peer);
                let side = match side {
                    Side::Dialler => Speaks::Dialler,
                    Side::Listener => Speaks::Listener,
                };
                return Ok(Some(KernelEvent::Connected { connection, peer, side }));
            }
            Event::Disconnected { connection, why } => {
                self.ended(node, connection, &why)?;
                return Ok(Some(KernelEvent::Disconnected { connection }));
            }
            Event::DialFailed { peer, why, .. } if self.sought.contains(&peer) && !node.wants(&peer) => {
                self.troubled(&peer, &why);
                if let Some(trouble) = self.troubles.get_mut(&peer) {
                    trouble.again = Some("it is tried again from time to time".to_owned());
                }
                return Ok(None);
            }
            Event::DialFailed { peer, why, retry_in } => {
                let why = redact_urls(&why).into_owned();
                let told = self.troubles.get(&peer).is_some_and(|trouble| trouble.told);
                if !told {
                    self.tell(NetworkNews::Unreachable { peer: peer.clone(), why: why.clone() });
                }
                let again = Some(format!("tried again {} ms after that", retry_in.as_millis()));
                self.troubles.insert(peer.clone(), Trouble { why, again, told: true });
                return Ok(Some(KernelEvent::DialFailed { peer }));
            }
            Event::Listening { address } => {
                self.addresses.insert(address.clone());
                NetworkNews::Listening(address)
            }
            Event::NotListening { address, why } => {
                self.addresses.remove(&address);
                NetworkNews::NotListening { address, why }
            }
            Event::RelayReserved { relay } => {
                self.places.reserved(&relay);
                NetworkNews::RelayReserved(relay)
            }
            Event::RelayLost { relay, why, .. } => {
                if !self.places.lost(&relay, &why) {
                    return Ok(None);
                }
                NetworkNews::RelayLost { relay, why }
            }
            // The direct connection is told as one, and what waited is dialled anyway. What was found was taken before.
            Event::Upgraded { .. } | Event::Woke | Event::Found { .. } => return Ok(None),
        };
        self.tell(news);
        Ok(None)
    }

    fn spoke(&mut self, connection: ConnectionId) {
        let Some(line) = self.lines.get_mut(&connection).filter(|line| !line.spoke) else { return };
        line.spoke = true;
        if self.steady.spoke(&line.peer) {
            let news = NetworkNews::Reached { peer: line.peer.clone(), way: line.way };
            self.tell(news);
        }
    }

    fn ended(&mut self, node: &Node, connection: ConnectionId, why: &Gone) -> Result<(), StoreFault> {
        let Some(Line { peer, spoke, .. }) = self.lines.remove(&connection) else { return Ok(()) };
        if self.lines.values().any(|line| line.peer == peer) {
            return Ok(());
        }
        self.found.remove(&peer);
        if !is_known(node, &peer)? {
            return Ok(());
        }
        self.troubled(&peer, &why.to_string());
        if self.steady.lost(&peer, spoke) {
            self.tell(NetworkNews::Lost { peer, why: why.to_string() });
        }
        Ok(())
    }

    /// What is known now.
    pub(crate) fn info(&self, node: &Node) -> Result<NetworkInfo, StoreFault> {
        let mut peers: BTreeMap<String, LinkInfo> = BTreeMap::new();
        for (peer, trouble) in &self.troubles {
            // Who was given up meanwhile is not tried again.
            let again = trouble.again.as_ref().filter(|_| node.wants(peer) || self.sought.contains(peer));
            let why = again.map_or_else(|| trouble.why.clone(), |again| format!("{}; {again}", trouble.why));
            peers.entry(peer.clone()).or_default().trouble = Some(why);
        }
        for line in self.lines.values() {
            peers.entry(line.peer.clone()).or_default().way = Some(line.way);
        }
        for (remote, record) in node.store().scan::<Remotes>(&(), None, usize::MAX)? {
            let entry = peers.entry(record.peer.clone()).or_default();
            entry.dialling = node.wants(&record.peer);
            if let Some(talk) = node.talk_with(remote) {
                entry.round_trip_ms = talk.round_trip_ms;
                entry.way = self.lines.get(&talk.connection).map(|line| line.way).or(entry.way);
            }
        }
        Ok(NetworkInfo {
            peer_id: self.transport.peer_id(),
            switch: NetworkSwitch::On,
            addresses: self.transport.announced().iter().chain(&self.addresses).cloned().collect(),
            hints: self.hints(),
            relays: self.places.all().to_vec(),
            reach: self.reach,
            peers,
        })
    }

    /// A peer says where it is. That waits until it has a record.
    pub(crate) fn found(&mut self, peer: &str, addresses: Vec<String>) {
        if self.found.len() < MAX_FOUND || self.found.contains_key(peer) {
            self.found.insert(peer.to_owned(), addresses);
        }
    }

    /// The peer at the other end of a connection, if it has said where it is and that waits.
    pub(crate) fn waits_to_be_kept(&self, connection: ConnectionId) -> Option<String> {
        if self.found.is_empty() {
            return None;
        }
        let line = self.lines.get(&connection)?;
        self.found.contains_key(&line.peer).then(|| line.peer.clone())
    }

    /// Where a peer says that it is. It does not wait any more.
    pub(crate) fn take_found(&mut self, peer: &str) -> Option<Vec<String>> {
        self.found.remove(peer)
    }

    /// Where others find this kernel: where it was said to be, its own addresses, those of this host only if there are no
    /// others, then relays.
    pub(crate) fn hints(&self) -> Vec<String> {
        let direct = || self.addresses.iter().filter(|address| !address.contains("/p2p-circuit"));
        let (near, far): (Vec<_>, Vec<_>) = direct().partition(|address| is_of_this_host(address));
        let announced = self.transport.announced();
        let own = if far.is_empty() && announced.is_empty() { near } else { far };
        let most = URL_HINTS.saturating_sub(self.places.all().len()).max(1);
        let relays = self.places.all().iter().map(|info| &info.relay);
        announced.iter().chain(own).take(most).chain(relays).take(URL_HINTS).cloned().collect()
    }

    /// Peers that were closed on purpose stay so. The others are looked for: they may wait for this kernel and not know where
    /// it is now. Without hurry, and one after the other, because perhaps none of them does.
    pub(crate) fn look_for_the_known(&mut self, node: &Node) -> Result<(), StoreFault> {
        let mut turn = 0;
        // Whoever was met last is looked for first.
        for (_, record) in node.store().scan::<Remotes>(&(), None, usize::MAX)?.into_iter().rev() {
            let is_findable = !(record.hints.is_empty() && self.places.all().is_empty());
            match record.state {
                RemoteState::Closed => self.close(&record.peer),
                RemoteState::Open if is_findable && turn < MAX_SOUGHT => {
                    if self.transport.seek(&record.peer, record.hints, SEEK_PAUSE * turn).is_ok() {
                        self.sought.insert(record.peer);
                    }
                    turn += 1;
                }
                RemoteState::Open | RemoteState::GivenUp => {}
            }
        }
        Ok(())
    }

    /// Ends everything; does not wait for ever.
    pub(crate) async fn shutdown(self) {
        let _ended = tokio::time::timeout(self.shutdown, self.transport.shutdown()).await;
    }

    fn troubled(&mut self, peer: &str, why: &str) {
        let told = self.troubles.get(peer).is_some_and(|trouble| trouble.told);
        let why = redact_urls(why).into_owned();
        self.troubles.insert(peer.to_owned(), Trouble { why, again: None, told });
    }

    fn tell(&self, news: NetworkNews) {
        (self.reporter)(Report::Network(news));
    }
}

/// Whether a peer has a record: strangers come and go unnoticed.
fn is_known(node: &Node, peer: &String) -> Result<bool, StoreFault> {
    node.store().has::<RemotesByPeer>(peer)
}

/// Whether there ever was a conversation with a peer. What names one may have been invented by whoever wants it.
fn was_met(node: &Node, peer: &String) -> Result<bool, StoreFault> {
    let Some(remote) = node.store().get::<RemotesByPeer>(peer)? else { return Ok(false) };
    Ok(node.store().get::<Remotes>(&remote)?.is_some_and(|record| record.peer_incarnation.is_some()))
}

fn is_of_this_host(address: &str) -> bool {
    address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/")
}
