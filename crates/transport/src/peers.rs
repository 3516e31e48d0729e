//! Whom we want to reach, and when each is dialled next. Sans-IO: time and chance are arguments.
//!
//! What always holds: a wish stands until there is a connection or the host takes it back, however often a dial fails; a
//! peer is dialled no more often than the rate permits; of those that are due, who has waited longest is dialled first,
//! and peers that were never met take at most half of the dials; nobody is remembered for longer than needed, and
//! strangers only up to a number. Not here: addresses (`addresses`), the dialling itself (`driver`).

use crate::bucket::Bucket;
use crate::config::TransportLimits;
use libp2p::PeerId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use sturdy_types::ConnectionId;

/// All peers.
#[derive(Debug)]
pub(crate) struct Peers {
    table: BTreeMap<PeerId, Peer>,
    met: Queue,
    never_met: Queue,
    limits: TransportLimits,
}

/// Whether a peer was met before. Anybody can name peers that there are not, as many as they like, so these have a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acquaintance {
    Met,
    NeverMet,
}

/// Those of one acquaintance.
#[derive(Debug, Default)]
struct Queue {
    /// Who is to be dialled, and when.
    due: BTreeSet<(Instant, PeerId)>,
    /// How many are being dialled.
    dialling: usize,
}

#[derive(Debug)]
struct Peer {
    wish: Wish,
    hints: Vec<String>,
    /// Dials in a row that led to nothing.
    failures: u32,
    /// Not before this; after failures.
    not_before: Instant,
    dials: Bucket,
    inbound: Bucket,
    half_open: usize,
    lines: BTreeSet<ConnectionId>,
    closed: bool,
    /// The host has asked for it: it is no stranger.
    asked: bool,
    touched: Instant,
    pace: Pace,
    /// Changed only by `acquainted`: the queues follow.
    acquaintance: Acquaintance,
}

/// How often somebody is dialled who does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Somebody waits for it.
    Brisk,
    /// Nobody does.
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    None,
    /// It was stated while there was a connection. The host may have known that one to be of no use before we did.
    OnceAlone,
    Waiting(Instant),
    Dialling,
}

/// Why a stream of a peer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamRefused {
    #[error("the peer was closed here")]
    Closed,
    #[error("there are too many connections")]
    TooMany,
    #[error("too many streams of the peer have said nothing")]
    HalfOpen,
    #[error("the peer opens streams too often")]
    TooOften,
}

/// Of what a peer may have one more, as far as others have left some.
struct MayHaveMore {
    lines: bool,
    half_open: bool,
}

impl Peers {
    pub(crate) fn new(limits: TransportLimits) -> Self {
        Self { table: BTreeMap::new(), met: Queue::default(), never_met: Queue::default(), limits }
    }

    fn entry(&mut self, now: Instant, peer: PeerId) -> &mut Peer {
        let limits = &self.limits;
        let entry = self.table.entry(peer).or_insert_with(|| Peer {
            wish: Wish::None,
            hints: Vec::new(),
            failures: 0,
            not_before: now,
            dials: Bucket::full(limits.dials_per_peer(), now),
            inbound: Bucket::full(limits.inbound_streams_per_peer(), now),
            half_open: 0,
            lines: BTreeSet::new(),
            closed: false,
            asked: false,
            touched: now,
            pace: Pace::Brisk,
            acquaintance: Acquaintance::NeverMet,
        });
        entry.touched = entry.touched.max(now);
        entry
    }

    /// The host has met this peer before.
    pub(crate) fn know(&mut self, now: Instant, peer: PeerId) {
        self.entry(now, peer);
        self.acquainted(peer);
    }

    /// The host wants a connection. Its hints replace earlier ones, and new ones are tried at once, when it is their turn.
    /// A peer that is connected already is dialled once it is not any more: the wish is about another connection than
    /// those, which the host has given up or does not know yet.
    pub(crate) fn want(&mut self, now: Instant, peer: PeerId, hints: Vec<String>) {
        let entry = self.entry(now, peer);
        entry.asked = true;
        let is_news = hints.iter().any(|hint| !entry.hints.contains(hint));
        entry.hints = hints;
        // What is known to have failed is no reason to wait before something else is tried.
        if entry.pace == Pace::Slow || is_news {
            (entry.pace, entry.failures, entry.not_before) = (Pace::Brisk, 0, now);
        }
        if entry.closed || entry.wish == Wish::Dialling {
            return;
        }
        if !entry.lines.is_empty() {
            return self.set_wish(peer, Wish::OnceAlone);
        }
        let at = entry.not_before.max(now);
        self.wait_no_longer_than_until(peer, at);
    }

    /// The host would like a connection, from so much time on, and nobody waits for it. A peer that is wanted or connected
    /// already is left alone.
    pub(crate) fn seek(&mut self, now: Instant, peer: PeerId, hints: Vec<String>, after: Duration) {
        let entry = self.entry(now, peer);
        entry.asked = true;
        if entry.closed || !entry.lines.is_empty() || entry.wish != Wish::None {
            return;
        }
        (entry.hints, entry.pace) = (hints, Pace::Slow);
        let at = entry.not_before.max(now + after);
        self.wait_until(peer, at);
    }

    /// The host does not want one any more.
    pub(crate) fn stop_wanting(&mut self, peer: PeerId) {
        self.set_wish(peer, Wish::None);
    }

    /// Sets a wait aside, and what made it: the next dial is at once.
    pub(crate) fn hurry(&mut self, now: Instant, peer: PeerId) {
        let limits = self.limits.dials_per_peer();
        let Some(entry) = self.table.get_mut(&peer) else { return };
        entry.failures = 0;
        entry.not_before = now;
        entry.dials = Bucket::full(limits, now);
        if matches!(entry.wish, Wish::Waiting(_)) {
            self.wait_no_longer_than_until(peer, now);
        }
    }

    /// The same for everybody: the network may have changed.
    pub(crate) fn hurry_all(&mut self, now: Instant) {
        let peers: Vec<PeerId> = self.table.keys().copied().collect();
        for peer in peers {
            self.hurry(now, peer);
        }
    }

    /// Refuses what the peer opens, and wants nothing of it, until [`Self::open`].
    pub(crate) fn close(&mut self, now: Instant, peer: PeerId) {
        self.entry(now, peer).closed = true;
        self.set_wish(peer, Wish::None);
    }

    /// Undoes [`Self::close`].
    pub(crate) fn open(&mut self, now: Instant, peer: PeerId) {
        let entry = self.entry(now, peer);
        (entry.closed, entry.asked) = (false, true);
    }

    /// Who is to be dialled now. Each is being dialled from here on, until `failed` or `live`.
    pub(crate) fn due(&mut self, now: Instant) -> Option<PeerId> {
        while let Some((at, peer)) = self.next() {
            if at > now {
                return None;
            }
            match self.entry(now, peer).dials.take(now) {
                Ok(()) => {
                    self.set_wish(peer, Wish::Dialling);
                    return Some(peer);
                }
                Err(wait) => self.wait_until(peer, now + wait),
            }
        }
        None
    }

    /// When somebody is due next. With as many dials under way as permitted, the end of one comes first.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    /// Who is dialled next, and when: who has waited longest, of those for whom there is a dial.
    fn next(&self) -> Option<(Instant, PeerId)> {
        let most = self.limits.dials_at_once;
        if self.met.dialling + self.never_met.dialling >= most {
            return None;
        }
        let may_meet = self.never_met.dialling < TransportLimits::dials_for_the_never_met(most);
        let never_met = self.never_met.due.first().filter(|_| may_meet);
        self.met.due.first().into_iter().chain(never_met).min().copied()
    }

    /// True while a dial of this peer is under way and still wanted.
    pub(crate) fn is_dialling(&self, peer: PeerId) -> bool {
        self.table.get(&peer).is_some_and(|entry| entry.wish == Wish::Dialling)
    }

    /// The hints of the present wish.
    pub(crate) fn hints(&self, peer: PeerId) -> &[String] {
        self.table.get(&peer).map_or(&[], |entry| &entry.hints)
    }

    /// A dial led to nothing. Says when the next one is due, if the peer is still wanted.
    pub(crate) fn failed(&mut self, now: Instant, peer: PeerId, chance: u64) -> Option<Duration> {
        if !self.is_dialling(peer) {
            return None;
        }
        let wait = self.back_off(now, peer, chance);
        self.wait_until(peer, now + wait);
        Some(wait)
    }

    /// Not a failure: there is no room for the connection now.
    pub(crate) fn postpone(&mut self, now: Instant, peer: PeerId, wait: Duration) {
        if self.is_dialling(peer) {
            self.wait_until(peer, now + wait);
        }
    }

    /// There is a connection: the wish is fulfilled.
    pub(crate) fn live(&mut self, now: Instant, peer: PeerId, line: ConnectionId) {
        let entry = self.entry(now, peer);
        entry.lines.insert(line);
        entry.pace = Pace::Brisk;
        self.set_wish(peer, Wish::None);
    }

    /// The peer has spoken on a connection: it is there and means it.
    pub(crate) fn heard(&mut self, now: Instant, peer: PeerId) {
        let entry = self.entry(now, peer);
        entry.failures = 0;
        entry.not_before = now;
        self.acquainted(peer);
    }

    /// A connection is gone; `fruitless` if nothing was heard on it, or nothing good.
    pub(crate) fn ended(&mut self, now: Instant, peer: PeerId, line: ConnectionId, fruitless: bool, chance: u64) {
        let Some(entry) = self.table.get_mut(&peer) else { return };
        entry.lines.remove(&line);
        entry.touched = now;
        if fruitless {
            self.back_off(now, peer, chance);
        }
        if let Some(Peer { wish: Wish::OnceAlone, lines, not_before, .. }) = self.table.get(&peer)
            && lines.is_empty()
        {
            let at = (*not_before).max(now);
            self.wait_until(peer, at);
        }
    }

    /// Whether a stream that the peer has opened is taken; if so it counts as half open until `half_open_ended`.
    pub(crate) fn take_stream(&mut self, now: Instant, peer: PeerId) -> Result<(), StreamRefused> {
        let limits = self.limits.clone();
        if !self.table.contains_key(&peer) && self.table.len() >= limits.idle_peers {
            self.sweep(now, Duration::ZERO);
        }
        let may_have_more = self.may_have_more(peer);
        let entry = self.entry(now, peer);
        if entry.closed {
            return Err(StreamRefused::Closed);
        }
        if !may_have_more.lines || entry.lines.len() >= limits.connections_per_peer {
            return Err(StreamRefused::TooMany);
        }
        if !may_have_more.half_open || entry.half_open >= limits.half_open_streams_per_peer {
            return Err(StreamRefused::HalfOpen);
        }
        entry.inbound.take(now).map_err(|_| StreamRefused::TooOften)?;
        entry.half_open += 1;
        Ok(())
    }

    /// Strangers can make as many identities as they like: they never get all that there is.
    fn may_have_more(&self, peer: PeerId) -> MayHaveMore {
        let limits = &self.limits;
        let is_asked = self.table.get(&peer).is_some_and(|entry| entry.asked);
        let below = |of: fn(&Peer) -> usize, limit: usize| {
            let (mut all, mut of_strangers) = (0, 0);
            for entry in self.table.values() {
                all += of(entry);
                of_strangers += if entry.asked { 0 } else { of(entry) };
            }
            all < limit && (is_asked || of_strangers < TransportLimits::for_strangers(limit))
        };
        let has_place = self.table.contains_key(&peer) || self.table.len() <= limits.idle_peers + limits.connections;
        MayHaveMore {
            lines: has_place && below(|entry| entry.lines.len(), limits.connections),
            half_open: below(|entry| entry.half_open, limits.half_open_streams),
        }
    }

    /// A half-open stream became a connection, or nothing.
    pub(crate) fn half_open_ended(&mut self, peer: PeerId) {
        if let Some(entry) = self.table.get_mut(&peer) {
            entry.half_open = entry.half_open.saturating_sub(1);
        }
    }

    /// True if one more connection with this peer has room.
    pub(crate) fn has_room(&self, peer: PeerId) -> bool {
        self.lines() < self.limits.connections
            && self.table.get(&peer).is_none_or(|entry| entry.lines.len() < self.limits.connections_per_peer)
    }

    /// The live connections of a peer.
    pub(crate) fn lines_of(&self, peer: PeerId) -> Vec<ConnectionId> {
        self.table.get(&peer).map_or_else(Vec::new, |entry| entry.lines.iter().copied().collect())
    }

    /// Forgets peers that were away for at least `age`.
    pub(crate) fn sweep(&mut self, now: Instant, age: Duration) {
        self.table.retain(|_, entry| {
            let idle = entry.wish == Wish::None && entry.lines.is_empty() && entry.half_open == 0 && !entry.closed;
            // A bucket that is not full is what holds back whoever returns too often.
            let harmless = entry.inbound.is_full(now) && entry.dials.is_full(now) && entry.not_before <= now;
            !(idle && harmless && now.saturating_duration_since(entry.touched) >= age)
        });
    }

    fn lines(&self) -> usize {
        self.table.values().map(|entry| entry.lines.len()).sum()
    }

    fn back_off(&mut self, now: Instant, peer: PeerId, chance: u64) -> Duration {
        let Some(entry) = self.table.get_mut(&peer) else { return Duration::ZERO };
        let limits = &self.limits;
        let (base, cap) = match (entry.pace, entry.acquaintance) {
            (Pace::Brisk, Acquaintance::Met) => (limits.backoff_base_millis, limits.backoff_cap_millis),
            (Pace::Brisk, Acquaintance::NeverMet) => (limits.backoff_base_millis, limits.never_met_backoff_cap_millis),
            (Pace::Slow, _) => (limits.slow_backoff_base_millis, limits.slow_backoff_cap_millis),
        };
        let wait = backoff(base, cap, entry.failures, chance);
        entry.failures = entry.failures.saturating_add(1);
        entry.not_before = now + wait;
        wait
    }

    fn wait_until(&mut self, peer: PeerId, at: Instant) {
        self.set_wish(peer, Wish::Waiting(at));
    }

    /// Who says again what it wants does not lose its place.
    fn wait_no_longer_than_until(&mut self, peer: PeerId, at: Instant) {
        let waits = self.table.get(&peer).map(|entry| entry.wish);
        let at = if let Some(Wish::Waiting(already)) = waits { at.min(already) } else { at };
        self.wait_until(peer, at);
    }

    fn acquainted(&mut self, peer: PeerId) {
        let Some(wish) = self.table.get(&peer).map(|entry| entry.wish) else { return };
        self.set_wish(peer, Wish::None);
        if let Some(entry) = self.table.get_mut(&peer) {
            entry.acquaintance = Acquaintance::Met;
        }
        self.set_wish(peer, wish);
    }

    /// The one place where a wish changes: the list of who is due and the number of dials follow.
    fn set_wish(&mut self, peer: PeerId, wish: Wish) {
        let Some(entry) = self.table.get_mut(&peer) else { return };
        let queue = match entry.acquaintance {
            Acquaintance::Met => &mut self.met,
            Acquaintance::NeverMet => &mut self.never_met,
        };
        match std::mem::replace(&mut entry.wish, wish) {
            Wish::None | Wish::OnceAlone => {}
            Wish::Waiting(at) => {
                queue.due.remove(&(at, peer));
            }
            Wish::Dialling => queue.dialling -= 1,
        }
        match wish {
            Wish::None | Wish::OnceAlone => {}
            Wish::Waiting(at) => {
                queue.due.insert((at, peer));
            }
            Wish::Dialling => queue.dialling += 1,
        }
    }
}

/// Full jitter: anything up to a bound that doubles with each failure.
pub(crate) fn backoff(base_millis: u64, cap_millis: u64, failures: u32, chance: u64) -> Duration {
    let bound = base_millis.saturating_mul(1u64.checked_shl(failures.min(62)).unwrap_or(u64::MAX)).min(cap_millis);
    Duration::from_millis(chance % (bound + 1))
}

#[cfg(test)]
mod tests;
