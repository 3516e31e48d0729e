//! Connections to peers: which conversation each speaks for, and what of it is volatile (`talk`, `held`).
//!
//! All of it is volatile: lost with the process, it costs a little time and never a message. What always holds: frames
//! count only on a connection that a handshake has bound to the present conversation (L3); nothing is put on the wire
//! before it is durable, because only [`Links::speak`] does so, and it runs after a commit (G2, G6); what is held back
//! is bounded.
//!
//! Deliberately not here: what frames mean (`sturdy-kernel`), when to speak (`sturdy_remote::Pacer`), who dials and how
//! often (the host).

use crate::held::Held;
use crate::manners::Manners;
use crate::node::TalkInfo;
use crate::talk::{Scene, Talk};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Effect, LinkNews};
use sturdy_remote::{Presence, Side, Standing};
use sturdy_store::{PeerKind, Read, Redemptions, RemoteCursors, RemoteState, Remotes, StoreFault};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{ConnectionId, KernelLimits, Millis, RemoteId};

/// How long a handshake may take.
const HANDSHAKE_MS: u64 = 10_000;

/// Connections of peers that have not greeted yet, in all.
const HALF_OPEN: usize = 256;

/// The same of one peer.
const HALF_OPEN_PER_PEER: usize = 8;

/// Redemptions under way whose URLs say where the peer may be found: so many are looked at.
const REDEMPTIONS_FOR_HINTS: usize = 8;

/// One connection.
#[derive(Debug)]
struct Link {
    peer: String,
    side: Side,
    /// Where we stood when it was opened.
    before: Option<Standing>,
    bound: Option<Binding>,
    opened_at: Millis,
    /// A stranger has greeted on it, or shown something, for the last time.
    stirred_at: Millis,
    /// Something was heard on it.
    answered: bool,
    /// A stranger has greeted on it: there is nothing to bind it to.
    greeted: bool,
    /// A greeting on it was judged. The answer said what the connection is for: a repetition must not change that.
    judged: bool,
}

impl Link {
    /// Its handshake is not over.
    const fn is_half_open(&self) -> bool {
        self.bound.is_none() && !self.greeted
    }
}

/// What a handshake has bound it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    pub remote: RemoteId,
    pub conversation: u64,
    pub kind: PeerKind,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Links {
    open: BTreeMap<ConnectionId, Link>,
    talks: BTreeMap<RemoteId, Talk>,
    held: BTreeMap<RemoteId, Held>,
    /// Peers whose next message is held because there was no room for it.
    stalled: BTreeSet<RemoteId>,
    /// Somebody has something for these peers.
    wanted: BTreeSet<RemoteId>,
    /// The host was asked to dial these.
    dialling: BTreeMap<String, Dialled>,
    /// Who has said what nobody may say, and is perhaps not listened to.
    pub(crate) manners: Manners,
}

/// How much a node has in memory of what peers have said, beside its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volatile {
    /// Messages that came too early, or found no room.
    pub held_messages: usize,
    /// Bytes of their frames.
    pub held_bytes: usize,
    /// Peers without a record that have greeted.
    pub strangers: usize,
}

/// A peer that the host was asked to dial.
#[derive(Debug)]
struct Dialled {
    remote: RemoteId,
    /// Where, as the host was told last.
    hints: Vec<String>,
}

/// Whether a connection that has ended was an attempt to reach a peer, and failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was bound, or the peer had dialled, or was there and said something else.
    Otherwise,
    /// We had dialled and heard nothing at all.
    Unanswered(String),
}

impl Links {
    /// A new connection. False if there are too many already whose handshake is not over: it is of no use.
    pub(crate) fn opened(
        &mut self,
        now: Millis,
        connection: ConnectionId,
        peer: String,
        side: Side,
        before: Option<Standing>,
    ) -> bool {
        if side == Side::Listener {
            let half_open = || self.open.values().filter(|link| link.is_half_open() && link.side == Side::Listener);
            if half_open().count() >= HALF_OPEN
                || half_open().filter(|link| link.peer == peer).count() >= HALF_OPEN_PER_PEER
            {
                self.turned_away(&peer);
                return false;
            }
        }
        let link = Link {
            peer,
            side,
            before,
            bound: None,
            opened_at: now,
            stirred_at: now,
            answered: false,
            greeted: false,
            judged: false,
        };
        self.open.insert(connection, link);
        true
    }

    /// A connection of a peer is of no use from the start. The host dials nobody who is connected, so that connection has
    /// ended its dialling: whoever was to be reached is dialled again.
    pub(crate) fn turned_away(&mut self, peer: &str) {
        self.wanted.extend(self.dialling.remove(peer).map(|dialled| dialled.remote));
    }

    pub(crate) fn closed(&mut self, connection: ConnectionId) -> Ended {
        let Some(link) = self.open.remove(&connection) else { return Ended::Otherwise };
        // A connection may end before it is bound: whoever was to be reached by it is dialled again.
        self.turned_away(&link.peer);
        match link.bound {
            Some(bound) => {
                self.wanted.insert(bound.remote);
                if self.talks.get(&bound.remote).is_some_and(|talk| talk.connection == connection) {
                    self.talk_elsewhere(bound);
                } else if defect::broken(Defect::OldEndClearsNew) {
                    self.talks.remove(&bound.remote);
                }
                Ended::Otherwise
            }
            None if link.side == Side::Dialler && !link.answered => Ended::Unanswered(link.peer),
            None => Ended::Otherwise,
        }
    }

    /// The connection on which we talked is gone. When both sides have dialled there is another one, which the host
    /// takes for reason enough not to dial: we talk on there.
    fn talk_elsewhere(&mut self, bound: Binding) {
        let Some(talk) = self.talks.remove(&bound.remote) else { return };
        let speaks = |(_, link): &(&ConnectionId, &Link)| link.bound == Some(bound);
        if let Some((&connection, _)) = self.open.iter().rev().find(speaks) {
            let first = talk.pacer.first_unacknowledged();
            // What was to be acknowledged still is; one time too often does no harm.
            let talk = Talk::new(connection, bound.kind, first, talk.heard + 1);
            self.talks.insert(bound.remote, talk);
        }
    }

    /// Something was heard on a connection.
    pub(crate) fn answered(&mut self, connection: ConnectionId) {
        if let Some(link) = self.open.get_mut(&connection) {
            link.answered = true;
        }
    }

    /// A stranger has greeted on a connection.
    pub(crate) fn greeted(&mut self, now: Millis, connection: ConnectionId) {
        if let Some(link) = self.open.get_mut(&connection) {
            (link.greeted, link.stirred_at) = (true, now);
        }
    }

    /// A stranger shows something.
    pub(crate) fn stirs(&mut self, now: Millis, connection: ConnectionId) {
        if let Some(link) = self.open.get_mut(&connection) {
            link.stirred_at = now;
        }
    }

    /// When a stranger stirred last.
    pub(crate) fn stirred_at(&self, connection: ConnectionId) -> Option<Millis> {
        self.open.get(&connection).map(|link| link.stirred_at)
    }

    /// A greeting is to be judged: true if it is the first on its connection.
    pub(crate) fn judge_once(&mut self, connection: ConnectionId) -> bool {
        self.open.get_mut(&connection).is_some_and(|link| !std::mem::replace(&mut link.judged, true))
    }

    /// Connections whose handshake takes too long.
    pub(crate) fn overdue(&self, now: Millis) -> Vec<ConnectionId> {
        let late = |link: &Link| link.is_half_open() && link.opened_at.saturating_add(HANDSHAKE_MS) <= now;
        self.open.iter().filter(|(_, link)| late(link)).map(|(connection, _)| *connection).collect()
    }

    /// Time has passed: who was not listened to may be wanted again. Returns what was not told yet.
    pub(crate) fn forgive(&mut self, now: Millis) -> Vec<(RemoteId, String)> {
        let (wanted, told) = self.manners.pass(now);
        self.wanted.extend(wanted);
        told
    }

    /// Whether the host is to go on dialling this peer.
    pub(crate) fn wants(&self, peer: &str) -> bool {
        self.dialling.contains_key(peer)
    }

    /// Whether a peer speaks on another connection, too.
    pub(crate) fn presence(&self, connection: ConnectionId, peer: &str) -> Presence {
        let elsewhere =
            self.open.iter().any(|(id, link)| *id != connection && link.bound.is_some() && link.peer == peer);
        if elsewhere { Presence::ElsewhereToo } else { Presence::Here }
    }

    /// The peer, and our side of the handshake.
    pub(crate) fn end_of(&self, connection: ConnectionId) -> Option<(&str, Side)> {
        self.open.get(&connection).map(|link| (link.peer.as_str(), link.side))
    }

    /// Where we stood before the handshake.
    pub(crate) fn before(&self, connection: ConnectionId) -> Option<Standing> {
        self.open.get(&connection).and_then(|link| link.before.clone())
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
                self.stalled.remove(&remote);
                self.dialling.retain(|_, dialled| dialled.remote != remote);
                if defect::broken(Defect::OldStreamSpeaks) {
                    return Vec::new();
                }
                self.remove_links(|link| link.bound.is_some_and(|bound| bound.remote == remote))
            }
            LinkNews::Offended(_) => Vec::new(), // it is counted after what it has caused was told
            LinkNews::Pardoned(remote) => {
                self.manners.pardon(remote);
                Vec::new()
            }
            LinkNews::Bound { connection, remote, conversation, kind } => {
                let Some(link) = self.open.get_mut(&connection) else { return Vec::new() };
                link.bound = Some(Binding { remote, conversation, kind });
                self.dialling.remove(&link.peer);
                // A process of the peer that is gone may have said what is held, and a store that was set back says
                // something else under these numbers. Whatever is pending is said again on a new connection.
                self.held(remote).let_go();
                self.stalled.remove(&remote);
                let heard = self.talks.remove(&remote).map_or(0, |talk| talk.heard);
                self.talks.insert(remote, Talk::new(connection, kind, first_pending, heard));
                Vec::new()
            }
        }
    }

    /// A peer has offended too often: all its connections are of no use for now, and are returned. What it has not been
    /// told waits, and so does what is held of it.
    pub(crate) fn refuse(&mut self, remote: RemoteId, peer: &str) -> Vec<ConnectionId> {
        self.talks.remove(&remote);
        self.dialling.remove(peer);
        self.wanted.insert(remote);
        self.remove_links(|link| link.peer == peer)
    }

    fn remove_links(&mut self, of_no_use: impl Fn(&Link) -> bool) -> Vec<ConnectionId> {
        self.open.extract_if(.., |_, link| of_no_use(link)).map(|(connection, _)| connection).collect()
    }

    /// The peer has acknowledged.
    pub(crate) fn acknowledged(&mut self, now: Millis, remote: RemoteId, ack: u64) {
        if let Some(talk) = self.talks.get_mut(&remote) {
            talk.pacer.acknowledged(now, ack);
            if talk.waits_for_window {
                self.wanted.insert(remote); // there may be more to say now
            }
        }
    }

    /// A message was heard (again): once it is durable, an acknowledgement is owed.
    pub(crate) fn heard(&mut self, remote: RemoteId) {
        if let Some(talk) = self.talks.get_mut(&remote) {
            talk.heard += 1;
        }
    }

    /// Only where a defect is sown: acknowledges what is not durable.
    pub(crate) fn acknowledge_early(
        &mut self,
        now: Millis,
        read: &impl Read,
        limits: &KernelLimits,
        out: &mut Vec<Effect>,
    ) -> Result<(), StoreFault> {
        for (&remote, talk) in &mut self.talks {
            if std::mem::take(&mut talk.heard) > 0
                && let Some(cursor) = read.get::<RemoteCursors>(&remote)?
            {
                talk.acknowledge(&Scene { now, read, limits, remote, cursor: &cursor }, out);
            }
        }
        Ok(())
    }

    /// Only where a defect is sown: a connection is not spoken on any longer.
    pub(crate) fn silence(&mut self, bound: Binding) {
        self.talks.remove(&bound.remote);
    }

    /// The connection on which we talk to a peer.
    pub(crate) fn speaker(&self, remote: RemoteId) -> Option<(ConnectionId, Binding)> {
        let connection = self.talks.get(&remote)?.connection;
        Some((connection, self.bound(connection)?))
    }

    /// Whether somebody waits for the next [`Links::speak`].
    pub(crate) fn owes_peers(&self) -> bool {
        !self.wanted.is_empty() || self.talks.values().any(|talk| talk.heard > 0)
    }

    /// How the talk with a peer goes.
    pub(crate) fn talk_with(&self, remote: RemoteId) -> Option<TalkInfo> {
        let talk = self.talks.get(&remote)?;
        Some(TalkInfo { connection: talk.connection, round_trip_ms: talk.pacer.round_trip_ms() })
    }

    /// Messages that are held, of all peers, and bytes of their frames.
    pub(crate) fn held_in_all(&self) -> (usize, usize) {
        self.held.values().map(Held::size).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// What is held of a peer.
    pub(crate) fn held(&mut self, remote: RemoteId) -> &mut Held {
        self.held.entry(remote).or_default()
    }

    /// The next message of a peer is held because there was no room for it.
    pub(crate) fn stall(&mut self, remote: RemoteId) {
        self.stalled.insert(remote);
    }

    /// Peers whose next message may be looked at again.
    pub(crate) fn take_stalled(&mut self) -> BTreeSet<RemoteId> {
        std::mem::take(&mut self.stalled)
    }

    /// Gaps of `whatever` peers that were open for too long, with the first number behind each.
    pub(crate) fn gaps_due(&self, now: Millis) -> Vec<(RemoteId, u64)> {
        let due = |held: &Held| held.gap_deadline().is_some_and(|at| at <= now);
        let gaps = self.held.iter().filter(|(remote, held)| self.skips_gaps(**remote) && due(held));
        gaps.filter_map(|(remote, held)| Some((*remote, held.first()?))).collect()
    }

    /// Never of a peer of our own kind: it gives nothing up silently.
    fn skips_gaps(&self, remote: RemoteId) -> bool {
        !self.stalled.contains(&remote) && self.talks.get(&remote).is_some_and(|talk| talk.kind == PeerKind::Whatever)
    }

    /// When time demands something, at the earliest.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let talks = self.talks.values().filter_map(|talk| talk.pacer.deadline());
        let gaps = self.held.iter().filter(|(remote, _)| self.skips_gaps(**remote));
        let handshakes = self.open.values().filter(|link| link.is_half_open());
        talks
            .chain(gaps.filter_map(|(_, held)| held.gap_deadline()))
            .chain(handshakes.map(|link| link.opened_at.saturating_add(HANDSHAKE_MS)))
            .chain(self.manners.deadline())
            .min()
    }

    /// Everything is durable: says what is to be said now.
    pub(crate) fn speak(
        &mut self,
        now: Millis,
        read: &impl Read,
        limits: &KernelLimits,
        out: &mut Vec<Effect>,
    ) -> Result<(), StoreFault> {
        for (&remote, talk) in &mut self.talks {
            for _ in 0..std::mem::take(&mut talk.heard) {
                talk.pacer.owe_ack(now);
            }
            let Some(cursor) = read.get::<RemoteCursors>(&remote)? else { continue };
            talk.speak(&Scene { now, read, limits, remote, cursor: &cursor }, out)?;
        }
        for remote in std::mem::take(&mut self.wanted) {
            if self.talks.contains_key(&remote) {
                continue;
            }
            if self.manners.refuses(now, remote) {
                self.manners.want_later(remote);
                continue;
            }
            let Some(record) = read.get::<Remotes>(&remote)? else { continue };
            if record.state != RemoteState::Open {
                continue;
            }
            let hints = hints_for(read, remote, record.hints)?;
            // Who is being dialled already may be found where a URL says that has come since.
            if self.dialling.get(&record.peer).is_none_or(|dialled| dialled.hints != hints) {
                self.dialling.insert(record.peer.clone(), Dialled { remote, hints: hints.clone() });
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
