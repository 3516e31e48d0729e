//! Remotes: peer kernels as endpoints, like vats, but reached through a conversation (`remote/LINK.md`).
//!
//! What always holds: nothing here transmits. What a peer is to hear is a row of the outbox, written in the turn of its
//! cause; the node puts rows on the wire after their commit (G2). Connections are the node's matter; which conversation
//! a connection speaks for is said by [`LinkNews`].

mod garbage;
mod homecoming;
mod losses;
mod meeting;
mod names;
mod receiving;
mod recovery;
mod redeeming;
mod room;
mod sending;
mod standing;
mod strangers;
mod validate;

pub(crate) use garbage::RemoteGarbage;
pub use garbage::{Garbage, tell_garbage};
pub use meeting::{Greeting, dial_failed, greet, offended};
pub use receiving::{Heard, hear, hear_ack, skip_gap};
pub use room::room_for_calls;
pub use standing::{hello, standing_with};
pub use strangers::{Stranger, StrangerHeard, Strangers, admit};

use crate::blame::{Blame, Fault, Refused};
use crate::control::{Patience, PeerInfo};
use crate::ctx::Ctx;
use crate::event::Notice;
use sturdy_remote::{Histories, History, Position};
use sturdy_store::{PeerKind, Read, RemoteCursor, RemoteCursors, RemoteRecord, RemoteState, Remotes, RemotesByPeer};
use sturdy_types::{ConnectionId, RemoteId};

/// What a turn means for the links to a peer. The node acts on it once the turn is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkNews {
    /// There is something in the outbox, or somebody wants to talk to the peer.
    Wanted(RemoteId),
    /// All connections to this peer speak for a conversation that is over.
    Cut(RemoteId),
    /// The peer has said what it must not say.
    Offended(RemoteId),
    /// Whatever the peer has said, an operator wants to talk to it.
    Pardoned(RemoteId),
    /// This connection speaks for the present conversation with this peer from now on.
    Bound {
        /// The connection.
        connection: ConnectionId,
        /// The peer.
        remote: RemoteId,
        /// The conversation.
        conversation: u64,
        /// What the peer speaks.
        kind: PeerKind,
    },
}

/// Where the conversation stands, as `sturdy-remote` thinks of it.
pub(crate) const fn position(cursor: &RemoteCursor) -> Position {
    let RemoteCursor { first_pending, next_send, highest_received, .. } = *cursor;
    Position { first_pending, next_send, highest_received }
}

/// How long the peer is waited for, as was said for it alone.
const fn own_patience(cursor: &RemoteCursor) -> Patience {
    Patience { max_attempts: cursor.max_attempts, give_up_after_ms: cursor.give_up_after_ms }
}

/// What was said in the conversation, if that is known.
pub(crate) fn histories(acknowledged: Option<u64>, received: Option<u64>) -> Option<Histories> {
    Some(Histories { acknowledged: History(acknowledged?), received: History(received?) })
}

impl Ctx<'_, '_> {
    pub(crate) fn remote_cursor(&self, remote: RemoteId) -> Result<RemoteCursor, Fault> {
        self.need::<RemoteCursors>(&remote)
    }

    /// Reads, changes and writes the cursor of a remote.
    pub(crate) fn change_remote<R>(
        &mut self,
        remote: RemoteId,
        change: impl FnOnce(&mut RemoteCursor) -> R,
    ) -> Result<R, Fault> {
        let mut cursor = self.remote_cursor(remote)?;
        let changed = change(&mut cursor);
        self.put::<RemoteCursors>(&remote, &cursor);
        Ok(changed)
    }

    /// A peer has said what it must not say (L13): it is counted and told. The node ends connections when that repeats.
    pub(super) fn count_offence(&mut self, remote: RemoteId, why: String) -> Result<(), Fault> {
        self.change_remote(remote, |cursor| cursor.offences += 1)?;
        self.effects.links.push(LinkNews::Offended(remote));
        self.notice(Notice::PeerOffended { remote, why });
        Ok(())
    }

    /// Somebody has something for this peer, or hopes for something from it.
    pub(crate) fn want(&mut self, remote: RemoteId) {
        let news = LinkNews::Wanted(remote);
        if self.effects.links.last() != Some(&news) {
            self.effects.links.push(news);
        }
    }

    /// Makes a peer known, or notes where it may be found.
    pub(crate) fn add_peer(&mut self, peer: &str, hints: Vec<String>) -> Result<RemoteId, Blame> {
        if let Some(remote) = self.get::<RemotesByPeer>(&peer.to_owned())? {
            let mut record = self.need::<Remotes>(&remote)?;
            if !hints.is_empty() && record.hints != hints {
                record.hints = hints;
                self.put::<Remotes>(&remote, &record);
            }
            return Ok(remote);
        }
        let count = self.turn.scan::<Remotes>(&(), None, self.limits.remotes)?.len();
        if count >= self.limits.remotes {
            return Err(Refused::TooManyPeers { limit: self.limits.remotes }.into());
        }
        let remote = self.next_id(|counters| {
            counters.remotes += 1;
            RemoteId(counters.remotes)
        })?;
        let (peer_incarnation, conversation, kind) = self.acquaint(remote, peer);
        let record = RemoteRecord {
            peer: peer.to_owned(),
            hints,
            peer_incarnation,
            conversation,
            kind,
            state: RemoteState::Open,
        };
        self.put::<Remotes>(&remote, &record);
        self.put::<RemotesByPeer>(&record.peer, &remote);
        Ok(remote)
    }

    pub(crate) fn known_peer(&self, peer: &str) -> Result<RemoteId, Blame> {
        self.get::<RemotesByPeer>(&peer.to_owned())?.ok_or_else(|| Refused::NoSuchPeer(peer.to_owned()).into())
    }

    pub(crate) fn peers(&self) -> Result<Vec<PeerInfo>, Fault> {
        let mut peers = Vec::new();
        for (id, record) in self.scan::<Remotes>(&())? {
            let cursor = self.remote_cursor(id)?;
            let own_patience = own_patience(&cursor);
            peers.push(PeerInfo {
                id,
                peer: record.peer,
                hints: record.hints,
                incarnation: record.peer_incarnation,
                conversation: record.conversation,
                kind: record.kind,
                state: record.state,
                pending_messages: cursor.next_send - cursor.first_pending,
                pending_bytes: cursor.outbox_bytes,
                received: cursor.highest_received,
                offences: cursor.offences,
                refused: cursor.refused,
                skipped: cursor.skipped,
                held_by_lost: self.held_by_lost(id)?,
                unreachable_since: cursor.unreachable_since,
                patience: self.patience(own_patience),
                own_patience,
            });
        }
        Ok(peers)
    }
}
