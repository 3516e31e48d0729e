//! Messages that came too early: something before them is missing, or there was no room for them.
//!
//! Volatile: what is lost here is repeated by the peer. What always holds: one peer can fill `HELD_MESSAGES` and
//! `HELD_BYTES` at most; a message is handed out only when its number is the next one.

use std::collections::{BTreeMap, VecDeque};
use sturdy_remote::{Envelope, digest};
use sturdy_store::PeerKind;
use sturdy_types::Millis;

/// Messages of one peer that are held.
const HELD_MESSAGES: usize = 1_024;

/// Bytes of their frames. One message may exceed it alone.
const HELD_BYTES: usize = 4 << 20;

/// How far ahead of the next number a message of our own kind may be to be held: it has that many on the wire at most.
const HELD_AHEAD: u64 = 4_096;

/// Numbers whose frames are remembered.
const REMEMBERED: usize = 256;

/// How long a gap of a `whatever` peer is waited for after something new has arrived behind it (L4).
pub(crate) const GAP_MS: u64 = 45_000;

/// A message with the size and digest of its frame.
#[derive(Debug)]
pub(crate) struct Framed {
    pub envelope: Envelope,
    pub bytes: usize,
    pub digest: u64,
}

impl Framed {
    pub fn new(envelope: Envelope, frame: &[u8]) -> Self {
        Self { envelope, bytes: frame.len(), digest: digest(frame) }
    }
}

/// What is held of one peer.
#[derive(Debug, Default)]
pub(crate) struct Held {
    waiting: BTreeMap<u64, Framed>,
    bytes: usize,
    /// When the gap before the first of them, or a part of it, was last seen to change.
    gap_since: Option<Millis>,
    /// Numbers that have taken effect, with the digests of their frames, to know a copy of the peer's store by (L8).
    taken: VecDeque<(u64, u64)>,
}

impl Held {
    /// Keeps a message, if there is room; otherwise the peer repeats it.
    pub fn keep(&mut self, now: Millis, next: u64, kind: PeerKind, framed: Framed) {
        let seq = framed.envelope.seq;
        // A `whatever` peer leaves gaps as large as what it has given up.
        let near = kind == PeerKind::Whatever || seq < next + HELD_AHEAD;
        let fits = self.waiting.len() < HELD_MESSAGES && self.bytes + framed.bytes <= HELD_BYTES;
        if self.waiting.contains_key(&seq) || !near || !(fits || seq == next) {
            return;
        }
        if self.waiting.first_key_value().is_none_or(|(first, _)| seq < *first) {
            self.gap_since = Some(now); // it is still being filled
        }
        self.bytes += framed.bytes;
        self.waiting.insert(seq, framed);
    }

    /// The message with this number. What is below has arrived otherwise.
    pub fn take(&mut self, now: Millis, next: u64) -> Option<Framed> {
        let taken = loop {
            let first = self.waiting.first_entry().filter(|first| *first.key() <= next);
            let Some(first) = first else { break None };
            let (seq, framed) = first.remove_entry();
            self.bytes -= framed.bytes;
            self.gap_since = Some(now);
            if seq == next {
                break Some(framed);
            }
        };
        if self.waiting.is_empty() {
            self.gap_since = None;
        }
        taken
    }

    /// The peer is met anew, and says again whatever is pending. What has taken effect stays known.
    pub fn let_go(&mut self) {
        self.waiting.clear();
        (self.bytes, self.gap_since) = (0, None);
    }

    /// Messages, and bytes of their frames.
    pub fn size(&self) -> (usize, usize) {
        (self.waiting.len(), self.bytes)
    }

    /// When the gap before what is held has been open for too long.
    pub fn gap_deadline(&self) -> Option<Millis> {
        self.gap_since.map(|since| since.saturating_add(GAP_MS))
    }

    /// The first number that is held.
    pub fn first(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(seq, _)| *seq)
    }

    /// A message has taken effect.
    pub fn took(&mut self, seq: u64, digest: u64) {
        self.taken.push_back((seq, digest));
        if self.taken.len() > REMEMBERED {
            self.taken.pop_front();
        }
    }

    /// Whether a message that was taken came as another one. Whoever repeats a message repeats its bytes (L4).
    pub fn contradicts(&self, seq: u64, digest: u64) -> bool {
        let at = self.taken.partition_point(|(taken, _)| *taken < seq);
        self.taken.get(at).is_some_and(|(taken, known)| *taken == seq && *known != digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(seq: u64, bytes: usize) -> Framed {
        Framed { envelope: Envelope { seq, ack: None, body: Err(String::new()) }, bytes, digest: seq }
    }

    #[test]
    fn bytes_and_messages_are_bounded_and_the_next_always_fits() {
        let mut held = Held::default();
        for seq in 2..10 {
            held.keep(0, 1, PeerKind::Sturdy, framed(seq, 1 << 20));
        }
        assert_eq!(held.waiting.len(), 4);
        held.keep(0, 1, PeerKind::Sturdy, framed(1, 1 << 20));
        assert_eq!(held.take(0, 1).map(|framed| framed.envelope.seq), Some(1));
        let mut held = Held::default();
        for seq in 2..10_000 {
            held.keep(0, 1, PeerKind::Whatever, framed(seq, 1));
        }
        assert_eq!(held.waiting.len(), HELD_MESSAGES);
    }

    #[test]
    fn a_gap_that_is_filled_is_waited_for_anew() {
        let mut held = Held::default();
        held.keep(10, 1, PeerKind::Whatever, framed(9, 1));
        assert_eq!(held.gap_deadline(), Some(10 + GAP_MS));
        held.keep(20, 1, PeerKind::Whatever, framed(10, 1));
        assert_eq!(held.gap_deadline(), Some(10 + GAP_MS), "what comes behind it says nothing of the gap");
        held.keep(30, 1, PeerKind::Whatever, framed(5, 1));
        assert_eq!(held.gap_deadline(), Some(30 + GAP_MS));
        assert!(held.take(40, 5).is_some());
        assert_eq!(held.gap_deadline(), Some(40 + GAP_MS), "6 to 8 are missing still");
    }

    proptest! {
        /// Whatever is kept and taken in whatever order: the bytes are those of what is there.
        #[test]
        fn bytes_are_counted(moves in proptest::collection::vec((any::<bool>(), 1u64..40, 1usize..100), 0..100)) {
            let mut held = Held::default();
            let mut next = 1;
            for (keep, number, bytes) in moves {
                if keep {
                    held.keep(0, next, PeerKind::Sturdy, framed(next + number, bytes));
                } else {
                    next += number;
                    if let Some(framed) = held.take(0, next) {
                        prop_assert_eq!(framed.envelope.seq, next);
                    }
                }
                prop_assert_eq!(held.bytes, held.waiting.values().map(|framed| framed.bytes).sum::<usize>());
                prop_assert_eq!(held.gap_deadline().is_some(), !held.waiting.is_empty());
            }
        }
    }
}
