//! Where a kernel stands with a peer, as its store says.

use sturdy_store::{Read, RemoteCursor, RemoteCursors, RemoteRecord, Remotes, RemotesByPeer, Store};
use sturdy_types::RemoteId;

/// What a store has of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its number.
    pub remote: RemoteId,
    /// Who it is.
    pub record: RemoteRecord,
    /// Where the conversation with it stands.
    pub cursor: RemoteCursor,
}

/// What a store has of the peer with this id; nothing if it is a stranger.
pub fn standing(store: &Store, peer: &str) -> Option<Standing> {
    let remote = store.get::<RemotesByPeer>(&peer.to_owned()).ok()??;
    let (record, cursor) = (store.get::<Remotes>(&remote).ok()??, store.get::<RemoteCursors>(&remote).ok()??);
    Some(Standing { remote, record, cursor })
}
