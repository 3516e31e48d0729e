//! Where a conversation stands, read from what is durable: what we think of it, and what we say of it to the peer.
//!
//! What always holds: nothing here writes. Deliberately elsewhere: what follows from it when two kernels meet (`meeting`).

use sturdy_remote::{Ended, Hello, History, PROTOCOL_VERSION, Position, Standing, SturdyHello, digest};
use sturdy_store::{
    EndedConversation, Outbox, Read, RemoteCursor, RemoteCursors, RemoteRecord, Remotes, RemotesByPeer, StoreFault,
};
use sturdy_types::{Incarnation, RemoteId};

/// Where the conversation with a peer stands.
pub fn standing_with(read: &impl Read, incarnation: Incarnation, peer: &str) -> Result<Option<Standing>, StoreFault> {
    let Some(remote) = read.get::<RemotesByPeer>(&peer.to_owned())? else { return Ok(None) };
    let Some(record) = read.get::<Remotes>(&remote)? else { return Ok(None) };
    let cursor = read.get::<RemoteCursors>(&remote)?.unwrap_or_default();
    Ok(Some(standing(incarnation, &record, &cursor)))
}

pub(super) fn standing(incarnation: Incarnation, record: &RemoteRecord, cursor: &RemoteCursor) -> Standing {
    Standing {
        incarnation: incarnation.to_string(),
        peer_incarnation: record.peer_incarnation.clone(),
        conversation: record.conversation,
        position: super::position(cursor),
        recorded: cursor.recorded,
        ended: cursor.ended.map(ended),
    }
}

fn ended(row: EndedConversation) -> Ended {
    let EndedConversation { conversation, first_pending, next_send, highest_received, .. } = row;
    Ended {
        conversation,
        position: Position { first_pending, next_send, highest_received },
        histories: super::histories(row.acknowledged_history, row.received_history),
    }
}

/// Where a conversation stands that ends now.
pub(super) const fn end_of(conversation: u64, cursor: &RemoteCursor) -> EndedConversation {
    EndedConversation {
        conversation,
        first_pending: cursor.first_pending,
        next_send: cursor.next_send,
        highest_received: cursor.highest_received,
        acknowledged_history: cursor.acknowledged_history,
        received_history: cursor.received_history,
    }
}

/// What we say to a peer first, over what is durable.
pub fn hello(read: &impl Read, incarnation: Incarnation, peer: &str) -> Result<Hello, StoreFault> {
    let remote = read.get::<RemotesByPeer>(&peer.to_owned())?;
    let (record, cursor) = match remote {
        Some(remote) => (read.get::<Remotes>(&remote)?, read.get::<RemoteCursors>(&remote)?.unwrap_or_default()),
        None => (None, RemoteCursor::default()),
    };
    let (saw, conversation) = record.map_or((None, 1), |record| (record.peer_incarnation, record.conversation));
    let sturdy = SturdyHello {
        version: PROTOCOL_VERSION,
        conversation,
        saw,
        position: super::position(&cursor),
        histories: super::histories(cursor.acknowledged_history, cursor.received_history),
        recorded: cursor.recorded,
        ended: cursor.ended.map(ended),
    };
    Ok(Hello { incarnation: incarnation.to_string(), sturdy: Some(sturdy) })
}

/// What we have said in this conversation up to this number, as far as the outbox still tells.
pub(super) fn said_up_to(
    read: &impl Read,
    remote: RemoteId,
    cursor: &RemoteCursor,
    number: u64,
) -> Result<Option<History>, StoreFault> {
    let Some(acknowledged) = cursor.acknowledged_history else { return Ok(None) };
    if number + 1 < cursor.first_pending || number >= cursor.next_send {
        return Ok(None);
    }
    let mut said = History(acknowledged);
    for seq in cursor.first_pending..=number {
        let Some(text) = read.get::<Outbox>(&(remote, seq))? else { return Ok(None) };
        said = said.then(digest(text.as_bytes()));
    }
    Ok(Some(said))
}
