//! What a transport tells its host, and the end where the host takes it.

use crate::frames::FrameError;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sturdy_types::ConnectionId;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

/// News for the host. For each connection: `Connected`, then any number of `Received`, then `Disconnected`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There is a connection. The dialler speaks first.
    Connected {
        /// Its number, never used twice by one transport.
        connection: ConnectionId,
        /// The peer's id, proved by its key.
        peer: String,
        /// Which side we are.
        side: Side,
        /// The protocol that was agreed on.
        wire: Wire,
        /// How it goes.
        path: Path,
    },
    /// A frame has arrived.
    Received {
        /// On this connection.
        connection: ConnectionId,
        /// Its payload.
        frame: Vec<u8>,
    },
    /// A connection is gone. Frames that were to be sent on it may or may not have arrived.
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// Why.
        why: Gone,
    },
    /// We can be reached at this address; it ends with our peer id.
    Listening {
        /// The address.
        address: String,
    },
    /// We cannot be reached at this address any more.
    NotListening {
        /// The address.
        address: String,
        /// Why, if it was not our own wish.
        why: Option<String>,
    },
    /// A dial failed; it is repeated for as long as the peer is wanted. Only the latest few of these are kept.
    DialFailed {
        /// The peer.
        peer: String,
        /// Why.
        why: String,
        /// The next attempt is in so much time.
        retry_in: Duration,
    },
    /// A relay has a place for us: peers can reach us through it.
    RelayReserved {
        /// The relay's peer id.
        relay: String,
    },
    /// A relay has no place for us (any more); it is asked again.
    RelayLost {
        /// The relay's configured address.
        relay: String,
        /// Why.
        why: String,
        /// The next attempt is in so much time.
        retry_in: Duration,
    },
    /// A direct way to a peer was found that had been reached through a relay.
    Upgraded {
        /// The peer.
        peer: String,
    },
    /// A connected peer can be reached at these addresses: it says so, and it talks to us from their host. They end with
    /// its peer id. Told again when they change.
    Found {
        /// The peer.
        peer: String,
        /// The addresses.
        addresses: Vec<String>,
    },
    /// The machine seems to have slept: everything that waited for its turn to be dialled is dialled now.
    Woke,
}

/// Which side of a connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We opened it, and speak first.
    Dialler,
    /// The peer opened it, and has spoken.
    Listener,
}

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Our own protocol, `/sturdy/1`.
    Sturdy,
    /// The reference's.
    Whatever,
}

/// How a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// From host to host.
    Direct,
    /// Through a relay.
    Relayed,
}

/// Why a connection is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Gone {
    /// The peer has ended it properly.
    #[error("the peer has ended it")]
    EndedByPeer,
    /// It broke.
    #[error("it broke: {0}")]
    Broke(String),
    /// The peer sent what cannot be read.
    #[error("the peer sent what cannot be read: {0}")]
    Unreadable(#[from] FrameError),
    /// The peer does not answer any more, and nobody says why: its machine or its network may have gone.
    #[error("the peer does not answer any more")]
    Silent,
    /// We have hung up.
    #[error("we have hung up")]
    HungUp,
    /// The peer did not take what we wrote.
    #[error("the peer took nothing for {0} ms while we wrote")]
    Stalled(u64),
    /// More waits for the peer than one connection may hold.
    #[error("{waiting} bytes wait for the peer, the limit of a connection is {limit}")]
    Overfull {
        /// Bytes that wait.
        waiting: usize,
        /// Bytes that may wait.
        limit: usize,
    },
    /// A direct connection has taken its place.
    #[error("a direct connection has taken its place")]
    Superseded,
    /// The transport was shut down.
    #[error("the transport was shut down")]
    Shutdown,
}

impl Gone {
    /// True if the peer is to blame, so that one waits before one dials it again.
    pub(crate) const fn is_offence(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Stalled(_) | Self::Overfull { .. })
    }
}

/// An event of a connection with the room that it takes in the inbox.
pub(crate) type Boxed = (Event, Option<OwnedSemaphorePermit>);

/// Where the host takes events. While it does not, nothing more is read from peers.
#[derive(Debug)]
pub struct Events {
    pub(crate) lines: mpsc::Receiver<Boxed>,
    pub(crate) news: Arc<News>,
}

impl Events {
    /// The next event; nothing once the transport is shut down and everything was taken.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.news.take() {
                return Some(event);
            }
            tokio::select! {
                biased;
                () = self.news.changed.notified() => {}
                event = self.lines.recv() => return event.map(|(event, _)| event).or_else(|| self.news.take()),
            }
        }
    }

    /// The next event, if there is one now.
    pub fn try_next(&mut self) -> Option<Event> {
        self.news.take().or_else(|| self.lines.try_recv().ok().map(|(event, _)| event))
    }
}

/// News that belong to no connection: few and small, so that whoever tells them never waits.
#[derive(Debug, Default)]
pub(crate) struct News {
    waiting: Mutex<VecDeque<Event>>,
    changed: Notify,
}

/// News that are kept for a host that does not take them. Of more, the oldest failed dials are forgotten first: each is
/// followed by another, or by a connection.
const MAX_NEWS: usize = 1024;

impl News {
    pub(crate) fn tell(&self, event: Event) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_NEWS {
            let oldest = waiting.iter().position(|event| matches!(event, Event::DialFailed { .. })).unwrap_or(0);
            waiting.remove(oldest);
        }
        waiting.push_back(event);
        drop(waiting);
        self.changed.notify_one();
    }

    fn take(&self) -> Option<Event> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
