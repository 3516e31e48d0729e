//! What happens on connections: handshakes, frames, failed attempts, what time demands of them. Each message is a turn
//! of its own.
//!
//! What always holds: a frame counts only on a connection that speaks for the present conversation (L3); a message takes
//! effect when its number is the next and there is room for it, and is held otherwise (`held`); what can be read in no way
//! ends its connection (L13).

use crate::held::Framed;
use crate::links::{Binding, Ended};
use crate::node::{Node, ours};
use sturdy_kernel::{
    Effect, Fault, Greeting, Heard, LinkNews, Notice, dial_failed, greet, hear, hear_ack, hello, offended,
    room_for_calls, skip_gap, standing_with,
};
use sturdy_remote::{AckBeyondSent, Body, DecodeError, Delivered, Envelope, Packet, Side, decode, encode, is_current};
use sturdy_store::{
    DecidedBy, Decider, PeerKind, Read, Redemptions, RemoteCursors, RemoteState, Remotes, RemotesByPeer, StoreFault,
};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{ConnectionId, Millis, RemoteId};

/// What the turns of an event have caused at once.
type Inner = Result<Vec<Effect>, Fault>;

impl Node {
    /// There is a connection. The dialler's greeting shows what is merged, so it waits for the commit (G6).
    pub(crate) fn connected(
        &mut self,
        now: Millis,
        connection: ConnectionId,
        peer: String,
        side: Side,
    ) -> Result<(), Fault> {
        if let Some(remote) = self.store.get::<RemotesByPeer>(&peer)?
            && self.links.manners.refuses(now, remote)
        {
            self.links.turned_away(&peer);
            self.held.push(Effect::HangUp { connection });
            return Ok(());
        }
        let before = standing_with(&self.store, self.store.incarnation(), &peer)?;
        let hello = hello(&self.store, self.store.incarnation(), &peer)?;
        if !self.links.opened(now, connection, peer, side, before) {
            self.held.push(Effect::HangUp { connection });
        } else if side == Side::Dialler {
            let bytes = encode(&Packet::Handshake(hello)).into_bytes();
            self.held.push(Effect::Transmit { connection, bytes });
        }
        Ok(())
    }

    /// A connection is gone.
    pub(crate) fn disconnected(&mut self, now: Millis, connection: ConnectionId) -> Inner {
        self.stranger_hung_up(connection);
        match self.links.closed(connection) {
            Ended::Unanswered(peer) => self.dial_failed(now, &peer),
            Ended::Otherwise => Ok(Vec::new()),
        }
    }

    /// An attempt to reach a peer has failed (L10). It is none if we talk to that peer on another connection: when both
    /// sides have dialled, one of both connections may end before its handshake is over.
    pub(crate) fn dial_failed(&mut self, now: Millis, peer: &str) -> Inner {
        if let Some(remote) = self.store.get::<RemotesByPeer>(&peer.to_owned())?
            && self.links.talk_with(remote).is_some()
        {
            return Ok(Vec::new());
        }
        self.turn(now, |ctx| Ok(dial_failed(ctx, peer)?)).map_err(ours)
    }

    pub(crate) fn hang_up(&mut self, now: Millis, connection: ConnectionId) -> Inner {
        self.held.push(Effect::HangUp { connection });
        self.disconnected(now, connection)
    }

    /// The deadline has come. Acknowledgements and repetitions leave with the next commit.
    pub(crate) fn ticked(&mut self, now: Millis) -> Inner {
        let mut inner = Vec::new();
        for (remote, why) in self.links.forgive(now) {
            self.held.push(Effect::Notice(Notice::PeerOffended { remote, why }));
        }
        for connection in self.links.overdue(now) {
            inner.extend(self.hang_up(now, connection)?);
        }
        for (remote, seq) in self.links.gaps_due(now) {
            inner.extend(self.turn(now, |ctx| Ok(skip_gap(ctx, remote, seq)?)).map_err(ours)?);
            inner.extend(self.hear_held(now, remote)?);
        }
        Ok(inner)
    }

    /// After a restart nothing is lost: whoever is owed something is dialled (G8), and whoever owes us something. Should
    /// it not know of that any more, it does not dial, and there would be nobody to say that nothing will come (G12).
    pub(crate) fn resume_conversations(&mut self) -> Result<(), Fault> {
        for (remote, _) in self.store.scan::<Remotes>(&(), None, usize::MAX)? {
            let cursor = self.store.get::<RemoteCursors>(&remote)?.unwrap_or_default();
            let owed = cursor.first_pending < cursor.next_send && !defect::broken(Defect::OutboxNotResumed);
            let decider = Decider::Remote(remote);
            let waited_for = || -> Result<bool, StoreFault> {
                Ok(!self.store.scan::<DecidedBy>(&decider, None, 1)?.is_empty()
                    || !self.store.scan::<Redemptions>(&remote, None, 1)?.is_empty())
            };
            if owed || waited_for()? {
                self.links.learn(&LinkNews::Wanted(remote), cursor.first_pending);
            }
        }
        Ok(())
    }

    pub(crate) fn received(&mut self, now: Millis, connection: ConnectionId, frame: &[u8]) -> Inner {
        let Some((peer, side)) = self.links.end_of(connection) else { return Ok(Vec::new()) };
        let (peer, bound) = (peer.to_owned(), self.links.bound(connection));
        self.links.answered(connection);
        match (decode(frame), bound, side) {
            (Ok(Packet::Handshake(hello)), None, Side::Listener)
            | (Ok(Packet::HandshakeAck(hello)), None, Side::Dialler)
                if self.links.judge_once(connection) =>
            {
                let (before, presence) = (self.links.before(connection), self.links.presence(connection, &peer));
                let greeting = Greeting { connection, peer, hello, side, before, presence };
                self.turn(now, |ctx| Ok(greet(ctx, greeting)?)).map_err(ours)
            }
            (Ok(Packet::HandshakeAck(_) | Packet::Handshake(_)), Some(bound), _)
                if defect::broken(Defect::RepeatedHandshakeUnbinds) =>
            {
                self.links.silence(bound);
                Ok(Vec::new())
            }
            // Repeated: it says where the peer stood then, not where it stands.
            (Ok(Packet::HandshakeAck(_)), _, Side::Dialler)
            | (Ok(Packet::Handshake(_)), _, Side::Listener)
            // The reference passes over these.
            | (Err(DecodeError::OtherValue), Some(_), _) => Ok(Vec::new()),
            (Ok(Packet::Message(envelope)), Some(bound), _) if self.is_current(bound)? => {
                self.hear_all(now, connection, bound, Framed::new(envelope, frame))
            }
            (Ok(Packet::Ack { ack, alloc }), Some(bound), _) if self.is_current(bound)? => {
                self.acknowledged(now, connection, bound.remote, (ack, alloc, None))
            }
            (Ok(Packet::Credit { ack, alloc, room }), Some(bound), _) if self.is_current(bound)? => {
                self.acknowledged(now, connection, bound.remote, (ack, Some(alloc), Some(room)))
            }
            // Nothing that can be read.
            (Err(error), _, _) => self.offended(now, connection, &peer, error.to_string()),
            // Nothing that may be said here, which a network that has lost a greeting makes of what an honest peer says.
            _ => self.hang_up(now, connection),
        }
    }

    /// What ends its connection is told.
    fn offended(&mut self, now: Millis, connection: ConnectionId, peer: &str, why: String) -> Inner {
        let mut inner = self.turn(now, |ctx| Ok(offended(ctx, peer, why)?)).map_err(ours)?;
        inner.extend(self.hang_up(now, connection)?);
        Ok(inner)
    }

    /// What is to be told of a peer is told, but not without end.
    pub(crate) fn tell_offence(&mut self, now: Millis, remote: RemoteId, why: String) {
        let told = self.links.manners.tell(now, &self.limits, remote, why);
        self.held.extend(told.into_iter().map(|why| Effect::Notice(Notice::PeerOffended { remote, why })));
    }

    /// An offence is counted. One too many ends the connections of the peer, and it is not listened to for a while (L13).
    pub(crate) fn count_offence(&mut self, now: Millis, remote: RemoteId) -> Result<(), StoreFault> {
        let Some(why) = self.links.manners.offended(now, &self.limits, remote) else { return Ok(()) };
        let Some(record) = self.store.get::<Remotes>(&remote)? else { return Ok(()) };
        let cut = self.links.refuse(remote, &record.peer);
        self.held.extend(cut.into_iter().map(|connection| Effect::HangUp { connection }));
        self.held.push(Effect::Notice(Notice::PeerOffended { remote, why }));
        Ok(())
    }

    fn lied(&mut self, now: Millis, connection: ConnectionId, lie: AckBeyondSent) -> Inner {
        let Some((peer, _)) = self.links.end_of(connection) else { return Ok(Vec::new()) };
        let peer = peer.to_owned();
        self.offended(now, connection, &peer, lie.to_string())
    }

    fn acknowledged(
        &mut self,
        now: Millis,
        connection: ConnectionId,
        remote: RemoteId,
        (ack, alloc, room): (u64, Option<u64>, Option<u64>),
    ) -> Inner {
        let mut lie = None;
        let mut inner = self
            .turn(now, |ctx| {
                lie = hear_ack(ctx, remote, ack, alloc, room)?;
                Ok(())
            })
            .map_err(ours)?;
        match lie {
            None => self.links.acknowledged(now, remote, ack),
            Some(lie) => inner.extend(self.lied(now, connection, lie)?),
        }
        Ok(inner)
    }

    /// Takes in a message and those that were held because of it, each in a turn of its own.
    fn hear_all(&mut self, now: Millis, connection: ConnectionId, bound: Binding, framed: Framed) -> Inner {
        let Binding { remote, kind, .. } = bound;
        let (mut inner, mut next) = (Vec::new(), Some(framed));
        while let Some(Framed { envelope, bytes, digest }) = next.take() {
            let envelope = self.heed(now, remote, envelope)?;
            let (ack, seq) = (envelope.ack, envelope.seq);
            let mut heard = None;
            let turn = self.turn(now, |ctx| {
                heard = Some(hear(ctx, remote, envelope, digest)?);
                Ok(())
            });
            inner.extend(turn.map_err(ours)?);
            if let (Some(ack), Some(Heard::Taken | Heard::Duplicate | Heard::Gap(_) | Heard::NoRoom(_))) = (ack, &heard)
            {
                self.links.acknowledged(now, remote, ack);
            }
            let expected = self.expected(remote)?;
            match heard {
                Some(Heard::Taken) => {
                    self.links.heard(remote);
                    self.links.held(remote).took(seq, digest);
                    if self.links.bound(connection).is_some() {
                        next = self.links.held(remote).take(now, expected); // unless that was one offence too many
                    }
                }
                Some(Heard::Duplicate) if self.links.held(remote).contradicts(seq, digest) => {
                    let why = format!(
                        "it has said two different things under the number {seq}: are two copies of its store running?"
                    );
                    self.tell_offence(now, remote, why);
                    inner.extend(self.hang_up(now, connection)?);
                }
                Some(Heard::Duplicate) => self.links.heard(remote),
                Some(Heard::Gap(envelope)) => {
                    self.links.held(remote).keep(now, expected, kind, Framed { envelope: *envelope, bytes, digest });
                }
                Some(Heard::NoRoom(envelope)) => {
                    self.links.held(remote).keep(now, expected, kind, Framed { envelope: *envelope, bytes, digest });
                    self.links.stall(remote);
                    if kind == PeerKind::Sturdy {
                        self.links.heard(remote); // it learns what room there is
                    }
                }
                Some(Heard::Liar(lie)) => inner.extend(self.lied(now, connection, lie)?),
                None => inner.extend(self.hang_up(now, connection)?),
            }
        }
        Ok(inner)
    }

    /// A peer that asks for garbage too often is not heeded: its message says nothing then (L7).
    fn heed(&mut self, now: Millis, remote: RemoteId, mut envelope: Envelope) -> Result<Envelope, StoreFault> {
        if matches!(envelope.body, Ok(Body::Deliver(Delivered::BringOutYourDead)))
            && envelope.seq == self.expected(remote)?
            && !self.links.manners.heeds(now, &self.limits, remote)
        {
            envelope.body = Ok(Body::Deliver(Delivered::DropExports(Vec::new())));
        }
        Ok(envelope)
    }

    /// What is held and due now.
    fn hear_held(&mut self, now: Millis, remote: RemoteId) -> Inner {
        let expected = self.expected(remote)?;
        let Some((connection, bound)) = self.links.speaker(remote) else { return Ok(Vec::new()) };
        match self.links.held(remote).take(now, expected) {
            Some(framed) => self.hear_all(now, connection, bound, framed),
            None => Ok(Vec::new()),
        }
    }

    /// Messages for which there was no room, now that something has happened that may have made some (L9).
    pub(crate) fn hear_stalled(&mut self, now: Millis) -> Inner {
        let mut inner = Vec::new();
        for remote in self.links.take_stalled() {
            let cursor = self.store.get::<RemoteCursors>(&remote)?.unwrap_or_default();
            if room_for_calls(&self.limits, &cursor) > 0 {
                inner.extend(self.hear_held(now, remote)?);
            } else {
                self.links.stall(remote);
            }
        }
        Ok(inner)
    }

    /// The next number that may take effect.
    fn expected(&self, remote: RemoteId) -> Result<u64, StoreFault> {
        Ok(self.store.get::<RemoteCursors>(&remote)?.map_or(1, |row| row.highest_received + 1))
    }

    /// Whether a connection speaks for the present conversation.
    fn is_current(&self, bound: Binding) -> Result<bool, StoreFault> {
        let record = self.store.get::<Remotes>(&bound.remote)?;
        if defect::broken(Defect::OldStreamSpeaks) {
            return Ok(record.is_some());
        }
        let speaks = |row: sturdy_store::RemoteRecord| is_current(bound.conversation, row.conversation);
        Ok(record.is_some_and(|row| row.state != RemoteState::Closed && speaks(row)))
    }
}
