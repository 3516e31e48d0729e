//! Connections to peers: which conversation each speaks for, what is on the wire, what arrived too early.
//!
//! All of it is volatile: lost with the process, it costs a little time and never a message. What always holds: frames
//! count only on a connection that a handshake has bound to the present conversation (L3); nothing is put on the wire
//! before it is durable, because only [`Links::speak`] does so, and it runs after a commit (G2, G6); what is held back
//! is bounded.
//!
//! Deliberately not here: what frames mean (`sturdy-kernel`), when to speak (`sturdy_remote::Pacer`), who dials and how
//! often (the host).

use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Before, Effect, LinkNews};
use sturdy_remote::{Carried, Envelope, Pacer, PacerLimits, Packet, Side, Speak, acknowledges, encode};
use sturdy_store::{
    Outbox, PeerKind, Read, Redemptions, RemoteCursor, RemoteCursors, RemoteState, Remotes, StoreFault,
};
use sturdy_types::{ConnectionId, Millis, RemoteId};

/// Messages of one peer that are held because something before them is missing.
const HELD_MESSAGES: usize = 1_024;

/// How far ahead of the next number a message may be to be held.
const HELD_AHEAD: u64 = 4_096;

/// Redemptions under way whose URLs say where the peer may be found: so many are looked at.
const REDEMPTIONS_FOR_HINTS: usize = 4;

/// One connection.
#[derive(Debug)]
struct Link {
    peer: String,
    side: Side,
    /// Where the conversation stood when it was opened.
    before: Option<Before>,
    bound: Option<Binding>,
}

/// What a handshake has bound it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    pub remote: RemoteId,
    pub conversation: u64,
    pub kind: PeerKind,
}

/// What we say, and have heard, of one conversation. It begins anew on the connection that was bound last.
#[derive(Debug)]
struct Talk {
    connection: ConnectionId,
    kind: PeerKind,
    pacer: Pacer,
    /// Messages heard in turns that are not durable yet.
    heard: u64,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Links {
    open: BTreeMap<ConnectionId, Link>,
    talks: BTreeMap<RemoteId, Talk>,
    held: BTreeMap<RemoteId, BTreeMap<u64, Envelope>>,
    /// Somebody has something for these peers.
    wanted: BTreeSet<RemoteId>,
    /// The host was asked to dial these.
    dialling: BTreeMap<String, RemoteId>,
    pacing: PacerLimits,
}

impl Links {
    pub(crate) fn opened(&mut self, connection: ConnectionId, peer: String, side: Side, before: Option<Before>) {
        self.open.insert(connection, Link { peer, side, before, bound: None });
    }

    pub(crate) fn closed(&mut self, connection: ConnectionId) {
        let Some(link) = self.open.remove(&connection) else { return };
        // A connection may end before it is bound: whoever was to be reached by it is dialled again.
        self.wanted.extend(self.dialling.remove(&link.peer));
        if let Some(Binding { remote, .. }) = link.bound {
            self.wanted.insert(remote);
            if self.talks.get(&remote).is_some_and(|talk| talk.connection == connection) {
                self.talks.remove(&remote);
            }
        }
    }

    /// The peer, our side of the handshake, and where we stood before it.
    pub(crate) fn end_of(&self, connection: ConnectionId) -> Option<(&str, Side, Option<Before>)> {
        self.open.get(&connection).map(|link| (link.peer.as_str(), link.side, link.before))
    }

    pub(crate) fn bound(&self, connection: ConnectionId) -> Option<Binding> {
        self.open.get(&connection).and_then(|link| link.bound)
    }

    /// Takes notice of what a turn meant for links. Connections that are of no use any more are returned.
    pub(crate) fn learn(&mut self, news: &LinkNews, first_pending: u64) -> Vec<ConnectionId> {
        match *news {
            LinkNews::Wanted(remote) => {
                self.wanted.insert(remote);
                Vec::new()
            }
            LinkNews::Cut(remote) => {
                self.talks.remove(&remote);
                self.held.remove(&remote);
                self.dialling.retain(|_, dialled| *dialled != remote);
                let speaks = |link: &Link| link.bound.is_some_and(|bound| bound.remote == remote);
                let cut: Vec<_> = self.open.iter().filter(|(_, link)| speaks(link)).map(|(id, _)| *id).collect();
                for connection in &cut {
                    self.open.remove(connection);
                }
                cut
            }
            LinkNews::Bound { connection, remote, conversation, kind } => {
                let Some(link) = self.open.get_mut(&connection) else { return Vec::new() };
                link.bound = Some(Binding { remote, conversation, kind });
                self.dialling.remove(&link.peer);
                let pacer = Pacer::new(self.pacing.clone(), first_pending);
                let heard = self.talks.remove(&remote).map_or(0, |talk| talk.heard);
                self.talks.insert(remote, Talk { connection, kind, pacer, heard });
                Vec::new()
            }
        }
    }

    /// Gives up a connection.
    pub(crate) fn drop_link(&mut self, connection: ConnectionId) -> Effect {
        self.closed(connection);
        Effect::HangUp { connection }
    }

    /// The peer has acknowledged.
    pub(crate) fn acknowledged(&mut self, now: Millis, remote: RemoteId, ack: u64) {
        if let Some(talk) = self.talks.get_mut(&remote) {
            talk.pacer.acknowledged(now, ack);
        }
    }

    /// A message was heard (again): once it is durable, an acknowledgement is owed.
    pub(crate) fn heard(&mut self, remote: RemoteId) {
        if let Some(talk) = self.talks.get_mut(&remote) {
            talk.heard += 1;
        }
    }

    /// Keeps a message that came too early, if there is room; otherwise the peer repeats it.
    pub(crate) fn hold(&mut self, remote: RemoteId, next: u64, envelope: Envelope) {
        let held = self.held.entry(remote).or_default();
        if held.len() < HELD_MESSAGES && envelope.seq < next + HELD_AHEAD {
            held.insert(envelope.seq, envelope);
        }
    }

    /// The held message with this number. What is below has arrived otherwise.
    pub(crate) fn take_held(&mut self, remote: RemoteId, next: u64) -> Option<Envelope> {
        let held = self.held.get_mut(&remote)?;
        while held.first_key_value().is_some_and(|(seq, _)| *seq < next) {
            held.pop_first();
        }
        let envelope = held.remove(&next);
        if held.is_empty() {
            self.held.remove(&remote);
        }
        envelope
    }

    /// When time demands something, at the earliest.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.talks.values().filter_map(|talk| talk.pacer.deadline()).min()
    }

    /// Everything is durable: says what is to be said now.
    pub(crate) fn speak(&mut self, now: Millis, read: &impl Read, out: &mut Vec<Effect>) -> Result<(), StoreFault> {
        for (&remote, talk) in &mut self.talks {
            for _ in 0..std::mem::take(&mut talk.heard) {
                talk.pacer.owe_ack(now);
            }
            let Some(cursor) = read.get::<RemoteCursors>(&remote)? else { continue };
            talk.speak(now, read, remote, &cursor, out)?;
        }
        for remote in std::mem::take(&mut self.wanted) {
            if self.talks.contains_key(&remote) {
                continue;
            }
            let Some(record) = read.get::<Remotes>(&remote)? else { continue };
            if record.state == RemoteState::Open && !self.dialling.contains_key(&record.peer) {
                self.dialling.insert(record.peer.clone(), remote);
                let hints = hints_for(read, remote, record.hints)?;
                out.push(Effect::Connect { peer: record.peer, hints });
            }
        }
        Ok(())
    }
}

/// Where to dial: what is known of the peer, then what URLs say that are being redeemed (W-18).
fn hints_for(read: &impl Read, remote: RemoteId, mut hints: Vec<String>) -> Result<Vec<String>, StoreFault> {
    for (_, redemption) in read.scan::<Redemptions>(&remote, None, REDEMPTIONS_FOR_HINTS)? {
        for hint in redemption.hints {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
    }
    Ok(hints)
}

impl Talk {
    fn speak(
        &mut self,
        now: Millis,
        read: &impl Read,
        remote: RemoteId,
        cursor: &RemoteCursor,
        out: &mut Vec<Effect>,
    ) -> Result<(), StoreFault> {
        for speak in self.pacer.on_time(now) {
            match speak {
                Speak::Ack => self.acknowledge(cursor, out),
                Speak::Message(seq) => self.transmit(now, read, remote, cursor, seq, out)?,
            }
        }
        while let Some(seq) = self.pacer.next_to_send(cursor.next_send) {
            self.transmit(now, read, remote, cursor, seq, out)?;
        }
        // A full batch of messages heard does not wait for the clock.
        if self.pacer.deadline().is_some_and(|at| at <= now) && self.pacer.on_time(now).contains(&Speak::Ack) {
            self.acknowledge(cursor, out);
        }
        Ok(())
    }

    fn acknowledge(&mut self, cursor: &RemoteCursor, out: &mut Vec<Effect>) {
        self.pacer.ack_sent();
        if cursor.highest_received > 0 {
            let alloc = (self.kind == PeerKind::Sturdy).then_some(cursor.next_send - 1);
            let bytes = encode(&Packet::Ack { ack: cursor.highest_received, alloc }).into_bytes();
            out.push(Effect::Transmit { connection: self.connection, bytes });
        }
    }

    fn transmit(
        &mut self,
        now: Millis,
        read: &impl Read,
        remote: RemoteId,
        cursor: &RemoteCursor,
        seq: u64,
        out: &mut Vec<Effect>,
    ) -> Result<(), StoreFault> {
        let Some(text) = read.get::<Outbox>(&(remote, seq))? else {
            // Acknowledged meanwhile on another connection.
            self.pacer.acknowledged(now, cursor.first_pending.saturating_sub(1).max(seq));
            return Ok(());
        };
        let carried =
            if acknowledges(&text) == Some(cursor.highest_received) { Carried::EverythingOwed } else { Carried::Less };
        let bytes = text.into_bytes();
        self.pacer.sent(now, seq, bytes.len(), carried);
        out.push(Effect::Transmit { connection: self.connection, bytes });
        Ok(())
    }
}
