//! Peers without a record on connections of their own dialling (link L12): heard here, before anything is bound.
//!
//! What always holds: all of it is volatile; there are never more than `KernelLimits::strangers`, and whoever comes when
//! there are as many takes the place of the one that has been silent longest; what they say reaches the kernel only as a
//! URL that is looked up. Deliberately elsewhere: what a stranger's words mean (`sturdy-kernel`).

use crate::node::Node;
use sturdy_kernel::{Effect, Fault, Stranger, StrangerHeard, admit};
use sturdy_remote::{DecodeError, Hello, Packet, Side, decode, digest};
use sturdy_store::{Read, RemotesByPeer};
use sturdy_types::{ConnectionId, Millis};

impl Node {
    /// Hears a frame if it is a stranger's. `None`: it is not.
    pub(crate) fn hear_stranger(
        &mut self,
        now: Millis,
        connection: ConnectionId,
        frame: &[u8],
    ) -> Result<Option<Vec<Effect>>, Fault> {
        if self.links.bound(connection).is_some() {
            return Ok(None);
        }
        let Some((peer, Side::Listener)) = self.links.end_of(connection) else { return Ok(None) };
        let peer = peer.to_owned();
        if self.store.has::<RemotesByPeer>(&peer)? {
            return Ok(None);
        }
        let speaks = self.strangers.get(&peer).is_some_and(|one| one.connection() == Some(connection));
        let heard = match (decode(frame), self.strangers.get_mut(&peer)) {
            // Repeated: it says where the stranger stood then. Or what the reference passes over.
            (Ok(Packet::Handshake(_)) | Err(DecodeError::OtherValue), _) if speaks => StrangerHeard::Nothing,
            (Ok(Packet::Handshake(hello)), _) => {
                return self.greet_stranger(now, connection, peer, hello).map(Some);
            }
            (Ok(Packet::Message(envelope)), Some(stranger)) if speaks => {
                stranger.hears_message(envelope, digest(frame))
            }
            (Ok(Packet::Ack { ack, .. } | Packet::Credit { ack, .. }), Some(stranger)) if speaks => {
                stranger.hears_ack(ack)
            }
            _ => StrangerHeard::HangUp,
        };
        match heard {
            StrangerHeard::Nothing => {}
            StrangerHeard::Say(text) => self.say(connection, text),
            StrangerHeard::HangUp => return self.hang_up(now, connection).map(Some),
            StrangerHeard::Shows { seq, url, key, digest } => {
                return self.look_up(now, connection, &peer, (seq, digest), url, key).map(Some);
            }
        }
        Ok(Some(Vec::new()))
    }

    fn greet_stranger(
        &mut self,
        now: Millis,
        connection: ConnectionId,
        peer: String,
        hello: Hello,
    ) -> Result<Vec<Effect>, Fault> {
        let before = self.strangers.remove(&peer);
        let left = before.as_ref().and_then(Stranger::connection);
        let mut in_the_way = Vec::from_iter(left);
        if self.strangers.len() >= self.limits.strangers {
            let Some(silent) = self.most_silent() else { return self.hang_up(now, connection) };
            in_the_way.extend(self.strangers.remove(&silent).and_then(|one| one.connection()));
        }
        let ours = self.store.incarnation().to_string();
        let stranger = Stranger::greeted(before, connection, hello, &ours);
        for text in stranger.opening(&ours) {
            self.say(connection, text);
        }
        self.links.greeted(now, connection);
        self.strangers.insert(peer, stranger);
        let mut inner = Vec::new();
        for old in in_the_way {
            inner.extend(self.hang_up(now, old)?);
        }
        Ok(inner)
    }

    /// The stranger that has shown nothing for the longest time. One that has hung up comes first: to be forgotten costs it
    /// nothing. Whoever redeems something shows it at once, so it has its answer long before it is the one.
    fn most_silent(&self) -> Option<String> {
        let stirred =
            |one: &Stranger| one.connection().map(|connection| (self.links.stirred_at(connection), connection));
        self.strangers.iter().min_by_key(|(_, one)| stirred(one)).map(|(peer, _)| peer.clone())
    }

    /// A stranger shows a URL: it becomes a peer, or is refused.
    fn look_up(
        &mut self,
        now: Millis,
        connection: ConnectionId,
        peer: &str,
        (seq, digest): (u64, u64),
        url: String,
        key: String,
    ) -> Result<Vec<Effect>, Fault> {
        self.links.stirs(now, connection);
        let mut admitted = Err(String::new());
        let inner = self
            .turn(now, |ctx| {
                admitted = admit(ctx, peer, (seq, digest), url, key.clone())?;
                Ok(())
            })
            .map_err(crate::node::ours)?;
        match admitted {
            // The reply is in the outbox.
            Ok(remote) => self.links.heard(remote),
            Err(why) => {
                if let Some(stranger) = self.strangers.get_mut(peer) {
                    let text = stranger.refuse(seq, digest, key, why);
                    self.say(connection, text);
                }
            }
        }
        Ok(inner)
    }

    /// A connection is gone.
    pub(crate) fn stranger_hung_up(&mut self, connection: ConnectionId) {
        let Some((peer, ..)) = self.links.end_of(connection) else { return };
        if let Some(stranger) = self.strangers.get_mut(peer)
            && stranger.connection() == Some(connection)
        {
            stranger.hung_up();
        }
    }

    /// A connection speaks for a peer with a record now.
    pub(crate) fn no_stranger_any_more(&mut self, connection: ConnectionId) {
        if let Some((peer, ..)) = self.links.end_of(connection) {
            self.strangers.remove(peer);
        }
    }

    fn say(&mut self, connection: ConnectionId, text: String) {
        self.held.push(Effect::Transmit { connection, bytes: text.into_bytes() });
    }
}
