//! Starting a transport: the configuration is checked here, and everything that can fail at once fails here.

use crate::config::TransportConfig;
use crate::driver::{Driver, UnderWay};
use crate::event::{Events, News};
use crate::gate::Rules;
use crate::given;
use crate::handle::{Lines, TransportHandle};
use crate::line::Inbox;
use crate::listen::listen_on;
use crate::peers::Peers;
use crate::relays::Relays;
use crate::wake::Clocks;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Why a transport cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A text is no multiaddr.
    #[error("`{0}` is no address; one looks like /ip4/127.0.0.1/tcp/4001")]
    NotAnAddress(String),
    /// A relay cannot be where it is said to be.
    #[error("`{address}` is no way to a relay: {why}")]
    Relay {
        /// The address.
        address: String,
        /// Why not.
        why: &'static str,
    },
    /// Nobody can reach us there.
    #[error("`{address}` is no way to reach this kernel: {why}")]
    Announced {
        /// The address.
        address: String,
        /// Why not.
        why: &'static str,
    },
    /// Too many addresses under which others reach us.
    #[error("{given} addresses under which others reach this kernel, the limit is {limit}")]
    TooManyAnnounced {
        /// How many were given.
        given: usize,
        /// How many are permitted.
        limit: usize,
    },
    /// A relay's address does not name the relay.
    #[error("the relay `{0}` does not end with /p2p/ and the relay's peer id")]
    RelayWithoutPeer(String),
    /// Too many relays.
    #[error("{given} relays, the limit is {limit}")]
    TooManyRelays {
        /// How many were given.
        given: usize,
        /// How many are permitted.
        limit: usize,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        why: String,
    },
    /// The parts do not fit together.
    #[error("the network cannot be set up: {0}")]
    Setup(#[from] std::io::Error),
}

/// Starts a transport. Runs on the tokio runtime of the caller, which must have its IO and time enabled.
pub fn start(config: &TransportConfig) -> Result<(TransportHandle, Events), StartError> {
    let (driver, handle, events) = set_up(config)?;
    tokio::spawn(driver.run());
    Ok((handle, events))
}

/// All but the loop, which is the caller's to run.
pub(crate) fn set_up(config: &TransportConfig) -> Result<(Driver, TransportHandle, Events), StartError> {
    let limits = config.limits.clone();
    let keypair = keypair(config.seed)?;
    let us = keypair.public().to_peer_id();
    let relays = config.relays.iter().map(|text| given::relay(text, us)).collect::<Result<Vec<_>, _>>()?;
    if relays.len() > limits.relays {
        return Err(StartError::TooManyRelays { given: relays.len(), limit: limits.relays });
    }
    let listen = config.listen.iter().map(|text| given::listen(text, us)).collect::<Result<Vec<_>, _>>()?;
    let announced = given::announced(&config.announce, us)?;
    let mut swarm = crate::swarm::swarm(&keypair, config, &Rules::new(config.reach, &relays))?;
    for address in listen {
        listen_on(&mut swarm, &address)?;
    }
    for address in &announced {
        swarm.add_external_address(address.clone());
        swarm.behaviour_mut().streams.propose(address.clone());
    }
    let (events, taken) = mpsc::channel(limits.inbox_events.max(1));
    // A frame must fit, whatever was configured.
    let room = (limits.inbox_bytes as usize).max(2 * limits.frame_bytes);
    let (orders, obeyed) = mpsc::unbounded_channel();
    let (lines, news) = (Arc::new(Lines::default()), Arc::new(News::default()));
    let now = Instant::now();
    let driver = Driver {
        swarm,
        orders: obeyed,
        peers: Peers::new(limits.clone()),
        relays: Relays::new(&relays, now),
        reach: config.reach,
        inbox: Inbox { events, room: Arc::new(Semaphore::new(room)) },
        news: Arc::clone(&news),
        lines: Arc::clone(&lines),
        line_news: mpsc::unbounded_channel(),
        live: BTreeMap::new(),
        under_way: UnderWay::default(),
        tasks: JoinSet::new(),
        clocks: Clocks::new(SystemTime::now(), now),
        next_tick: now,
        limits: limits.clone(),
    };
    let announced = announced.into_iter().map(|address| address.with(Protocol::P2p(us)).to_string()).collect();
    let handle = TransportHandle { orders, lines, us, announced, frame_bytes: limits.frame_bytes };
    Ok((driver, handle, Events { lines: taken, news }))
}

pub(crate) fn keypair(mut seed: [u8; 32]) -> Result<Keypair, std::io::Error> {
    Keypair::ed25519_from_bytes(&mut seed).map_err(crate::gate::other)
}
