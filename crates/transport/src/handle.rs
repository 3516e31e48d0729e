//! What the host holds of a transport: orders go in here, events come out of [`Events`](crate::Events).
//!
//! What always holds: nothing here waits, except for [`TransportHandle::shutdown`]; an order about a connection that is
//! gone does nothing, for its `Disconnected` is on its way.

use crate::event::Gone;
use crate::frames::{FrameError, MAX_FRAME_BYTES};
use crate::line::{LineEnd, Order};
use libp2p::PeerId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sturdy_types::ConnectionId;
use tokio::sync::mpsc;

/// Orders to a transport. Cheap to clone; the transport lives until it is shut down or the last handle is dropped.
#[derive(Debug, Clone)]
pub struct TransportHandle {
    pub(crate) orders: mpsc::UnboundedSender<Command>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) us: PeerId,
    pub(crate) announced: Arc<[String]>,
    pub(crate) frame_bytes: usize,
}

/// A text that is no peer id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no peer id")]
pub struct NotAPeer(pub String);

/// What the driver is to do. The host gives few: one for each change of mind about a peer.
#[derive(Debug)]
pub(crate) enum Command {
    Connect { peer: PeerId, hints: Vec<String> },
    Meet { peer: PeerId, hints: Vec<String> },
    Seek { peer: PeerId, hints: Vec<String>, after: Duration },
    StopWanting(PeerId),
    Reconnect { peer: PeerId, hints: Vec<String> },
    Close(PeerId),
    Wake,
    Shutdown,
}

impl TransportHandle {
    /// Our own peer id.
    pub fn peer_id(&self) -> String {
        self.us.to_string()
    }

    /// The addresses under which others were said to reach us, each with our peer id at its end.
    pub fn announced(&self) -> &[String] {
        &self.announced
    }

    /// A standing wish: dial this peer, which was met before, until there is a connection with it, whoever opens it. The
    /// hints are for this wish only and replace earlier ones. After a connection is gone, the wish is to be stated anew.
    pub fn connect(&self, peer: &str, hints: Vec<String>) -> Result<(), NotAPeer> {
        self.order(Command::Connect { peer: peer_id(peer)?, hints });
        Ok(())
    }

    /// The same for a peer that was never met, and that may not exist: all of these together take at most half of the
    /// dials, and each is dialled ever more rarely.
    pub fn meet(&self, peer: &str, hints: Vec<String>) -> Result<(), NotAPeer> {
        self.order(Command::Meet { peer: peer_id(peer)?, hints });
        Ok(())
    }

    /// A standing wish without hurry, from so much time on: the peer is dialled ever more rarely, until there is a
    /// connection or somebody is in a hurry.
    pub fn seek(&self, peer: &str, hints: Vec<String>, after: Duration) -> Result<(), NotAPeer> {
        self.order(Command::Seek { peer: peer_id(peer)?, hints, after });
        Ok(())
    }

    /// Takes the wish back. A connection that exists stays.
    pub fn stop_wanting(&self, peer: &str) -> Result<(), NotAPeer> {
        self.order(Command::StopWanting(peer_id(peer)?));
        Ok(())
    }

    /// Wants a connection now: no wait from earlier failures counts, and a [`Self::close`] is undone.
    pub fn reconnect(&self, peer: &str, hints: Vec<String>) -> Result<(), NotAPeer> {
        self.order(Command::Reconnect { peer: peer_id(peer)?, hints });
        Ok(())
    }

    /// Ends all connections with this peer, and refuses what it opens until [`Self::reconnect`]. Not durable: a host that
    /// remembers the intention says so again at its next start.
    pub fn close(&self, peer: &str) -> Result<(), NotAPeer> {
        self.order(Command::Close(peer_id(peer)?));
        Ok(())
    }

    /// The network may have changed (a machine woke, an interface came up): whoever waits to be dialled is dialled now.
    pub fn wake(&self) {
        self.order(Command::Wake);
    }

    /// Puts a frame on the wire, after those before it. It may be lost with its connection. If the peer takes so little
    /// that frames exceed the limit, the connection is closed: its frames are still in the outbox of whoever sent them.
    pub fn transmit(&self, connection: ConnectionId, frame: Vec<u8>) -> Result<(), FrameError> {
        if frame.len() > self.frame_bytes.min(MAX_FRAME_BYTES) {
            return Err(FrameError::TooLong { announced: frame.len(), limit: self.frame_bytes });
        }
        if let Some(line) = self.lines.get(connection) {
            line.put(frame);
        }
        Ok(())
    }

    /// Ends a connection, in both directions.
    pub fn hang_up(&self, connection: ConnectionId) {
        if let Some(line) = self.lines.get(connection) {
            line.end(Gone::HungUp);
        }
    }

    /// Reads nothing more from a connection for now; the peer's network buffers fill, and it waits.
    pub fn hold(&self, connection: ConnectionId) {
        if let Some(line) = self.lines.get(connection) {
            line.set_reading(Order::Hold);
        }
    }

    /// Reads again.
    pub fn resume(&self, connection: ConnectionId) {
        if let Some(line) = self.lines.get(connection) {
            line.set_reading(Order::Run);
        }
    }

    /// Ends everything, and returns when it has ended.
    pub async fn shutdown(&self) {
        self.order(Command::Shutdown);
        self.orders.closed().await;
    }

    fn order(&self, command: Command) {
        // A transport that was shut down takes no orders.
        let _ = self.orders.send(command);
    }
}

fn peer_id(text: &str) -> Result<PeerId, NotAPeer> {
    text.parse().map_err(|_| NotAPeer(text.to_owned()))
}

/// The live lines, by number.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    ends: Mutex<HashMap<ConnectionId, LineEnd>>,
    last: AtomicU64,
}

impl Lines {
    pub(crate) fn enter(&self, end: LineEnd) -> ConnectionId {
        let connection = ConnectionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.lock().insert(connection, end);
        connection
    }

    pub(crate) fn get(&self, connection: ConnectionId) -> Option<LineEnd> {
        self.lock().get(&connection).cloned()
    }

    pub(crate) fn remove(&self, connection: ConnectionId) {
        self.lock().remove(&connection);
    }

    pub(crate) fn end_all(&self, why: &Gone) {
        for end in self.lock().values() {
            end.end(why.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, LineEnd>> {
        // What is inside is whole after any panic: each use is one call.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
