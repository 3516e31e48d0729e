//! Where a conversation stands: numbers given out, numbers acknowledged, numbers received (G5–G7).
//!
//! This is the durable part: it changes only within turns, together with the outbox rows that it speaks of. What always
//! holds: `1 <= first_pending <= next_send`; the outbox holds exactly the messages `first_pending..next_send`;
//! everything up to `highest_received` has taken effect.

use std::ops::Range;

/// The durable position of one conversation. Numbers start at 1 in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The lowest number that the peer has not acknowledged; equal to `next_send` when nothing is pending.
    pub first_pending: u64,
    /// The number that the next message gets.
    pub next_send: u64,
    /// Everything up to this number was received and has taken effect.
    pub highest_received: u64,
}

impl Default for Position {
    fn default() -> Self {
        Self { first_pending: 1, next_send: 1, highest_received: 0 }
    }
}

/// What a received number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// The next one: let it take effect, then call [`Position::received`] in the same turn.
    Next,
    /// Seen before: acknowledge again, ignore.
    Duplicate,
    /// Something before it is missing: hold it or drop it, never skip (G5).
    Gap,
}

/// An acknowledgement that no honest peer can send: it covers what was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("number {acked} is acknowledged, and the highest number sent is {sent}")]
pub struct AckBeyondSent {
    /// The number acknowledged.
    pub acked: u64,
    /// The highest number sent.
    pub sent: u64,
}

impl Position {
    /// The number for a new message, whose outbox row is written in the same turn.
    pub fn allocate(&mut self) -> u64 {
        let seq = self.next_send;
        self.next_send += 1;
        seq
    }

    /// How many messages are pending.
    pub const fn pending(&self) -> u64 {
        self.next_send - self.first_pending
    }

    /// What to write as `ack` into a message created now.
    pub const fn ack(&self) -> Option<u64> {
        if self.highest_received == 0 { None } else { Some(self.highest_received) }
    }

    /// The peer has everything up to `ack`: returns the numbers whose outbox rows are to be deleted in the same turn.
    /// Lower acknowledgements than before are stale and free nothing.
    pub fn acknowledged(&mut self, ack: u64) -> Result<Range<u64>, AckBeyondSent> {
        if ack >= self.next_send {
            return Err(AckBeyondSent { acked: ack, sent: self.next_send - 1 });
        }
        let freed = self.first_pending..self.first_pending.max(ack + 1);
        self.first_pending = freed.end;
        Ok(freed)
    }

    /// What a received number means.
    pub const fn receipt(&self, seq: u64) -> Receipt {
        if seq <= self.highest_received {
            Receipt::Duplicate
        } else if seq == self.highest_received + 1 {
            Receipt::Next
        } else {
            Receipt::Gap
        }
    }

    /// The next number has taken effect (or was consumed, link L13).
    pub fn received(&mut self, seq: u64) {
        debug_assert_eq!(self.receipt(seq), Receipt::Next, "only the next number takes effect");
        self.highest_received = seq;
    }

    /// Accepts that everything below `seq` never comes: only from a `whatever` peer, which gives up silently (L4).
    pub fn skip_to(&mut self, seq: u64) {
        self.highest_received = self.highest_received.max(seq.saturating_sub(1));
    }
}

/// One repair of a damaged position, to be logged (G7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// `next_send` was moved up over a message that is in the outbox.
    NextSend(u64),
    /// `first_pending` was missing or beyond the outbox; it is the lowest message that is there.
    FirstPending(u64),
    /// A message below `first_pending` is to be deleted.
    Delete(u64),
}

/// A position as found in a store that an older version wrote or a partial write damaged: each number may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FoundPosition {
    /// See [`Position::first_pending`]; 0 counts as missing.
    pub first_pending: Option<u64>,
    /// See [`Position::next_send`]; 0 counts as missing.
    pub next_send: Option<u64>,
    /// See [`Position::highest_received`].
    pub highest_received: Option<u64>,
}

/// Repairs a position by the documented rules (G7): messages present at or above `next_send` advance it step by step,
/// so that a message at 1 without any position is adopted; a missing `first_pending` is the lowest message present;
/// messages that then lie outside of `first_pending..next_send` are deleted. `present` are the numbers in the outbox,
/// ascending. Atomic turns make all of this unnecessary; fixtures of damaged stores prove it.
pub fn repair(found: FoundPosition, present: &[u64]) -> (Position, Vec<Repair>) {
    let mut repairs = Vec::new();
    let mut next_send = found.next_send.unwrap_or(1).max(1);
    while present.binary_search(&next_send).is_ok() {
        next_send += 1;
        repairs.push(Repair::NextSend(next_send));
    }
    let first_pending = match found.first_pending {
        Some(first) if (1..=next_send).contains(&first) => first,
        _ => {
            let lowest = present.iter().copied().find(|&seq| seq < next_send).unwrap_or(next_send);
            repairs.push(Repair::FirstPending(lowest));
            lowest
        }
    };
    let outside = |seq: &&u64| !(first_pending..next_send).contains(*seq);
    repairs.extend(present.iter().filter(outside).map(|&seq| Repair::Delete(seq)));
    (Position { first_pending, next_send, highest_received: found.highest_received.unwrap_or(0) }, repairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn found(first_pending: Option<u64>, next_send: Option<u64>) -> FoundPosition {
        FoundPosition { first_pending, next_send, highest_received: Some(7) }
    }

    #[test]
    fn damaged_positions_are_repaired_by_the_rules() {
        type Case = (&'static str, FoundPosition, &'static [u64], (u64, u64), &'static [Repair]);
        let cases: &[Case] = &[
            ("sound", found(Some(3), Some(5)), &[3, 4], (3, 5), &[]),
            ("sound and empty", found(Some(5), Some(5)), &[], (5, 5), &[]),
            (
                "two messages above",
                found(Some(3), Some(4)),
                &[3, 4, 5],
                (3, 6),
                &[Repair::NextSend(5), Repair::NextSend(6)],
            ),
            (
                "a first message and no position",
                FoundPosition { highest_received: Some(7), ..FoundPosition::default() },
                &[1],
                (1, 2),
                &[Repair::NextSend(2), Repair::FirstPending(1)],
            ),
            ("no first_pending", found(None, Some(6)), &[4, 5], (4, 6), &[Repair::FirstPending(4)]),
            ("first_pending zero", found(Some(0), Some(6)), &[4, 5], (4, 6), &[Repair::FirstPending(4)]),
            ("messages below", found(Some(4), Some(6)), &[2, 3, 4, 5], (4, 6), &[Repair::Delete(2), Repair::Delete(3)]),
            ("a message beyond a hole", found(Some(4), Some(5)), &[4, 9], (4, 5), &[Repair::Delete(9)]),
        ];
        for (name, damage, present, (first_pending, next_send), expected) in cases {
            let (position, repairs) = repair(*damage, present);
            assert_eq!((position.first_pending, position.next_send), (*first_pending, *next_send), "{name}");
            assert_eq!(position.highest_received, 7, "{name}");
            assert_eq!(&repairs, expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_repaired_position_needs_no_repair(
            first in proptest::option::of(0u64..20), next in proptest::option::of(0u64..20),
            present in proptest::collection::btree_set(1u64..20, 0..10),
        ) {
            let rows: Vec<u64> = present.iter().copied().collect();
            let (position, repairs) = repair(found(first, next), &rows);
            prop_assert!(1 <= position.first_pending && position.first_pending <= position.next_send);
            let kept: Vec<u64> = rows.into_iter().filter(|seq| !repairs.contains(&Repair::Delete(*seq))).collect();
            let again = FoundPosition {
                first_pending: Some(position.first_pending),
                next_send: Some(position.next_send),
                highest_received: Some(position.highest_received),
            };
            prop_assert_eq!(repair(again, &kept), (position, Vec::new()));
        }

        /// Two positions, a line that loses, repeats and reorders, and restarts that forget nothing durable: every
        /// message takes effect once, in order (G5).
        #[test]
        fn every_message_takes_effect_once_in_order(moves in proptest::collection::vec((0u8..6, any::<prop::sample::Index>()), 0..300)) {
            let (mut sender, mut receiver) = (Position::default(), Position::default());
            let mut outbox = BTreeSet::new();
            let (mut line, mut acks) = (Vec::new(), Vec::new());
            let mut effects = Vec::new();
            for (what, which) in moves {
                match what {
                    0 => { outbox.insert(sender.allocate()); }
                    1 => line.extend(outbox.iter().copied()),
                    2 if !line.is_empty() => { line.remove(which.index(line.len())); }
                    3 | 4 if !line.is_empty() => {
                        let seq = line[which.index(line.len())];
                        if receiver.receipt(seq) == Receipt::Next {
                            receiver.received(seq);
                            effects.push(seq);
                        }
                        acks.push(receiver.highest_received);
                    }
                    5 if !acks.is_empty() => {
                        let ack = acks[which.index(acks.len())];
                        for freed in sender.acknowledged(ack).expect("honest") {
                            prop_assert!(outbox.remove(&freed));
                            prop_assert!(effects.contains(&freed), "an acknowledged message has taken effect");
                        }
                    }
                    _ => {}
                }
                prop_assert!(outbox.iter().copied().eq(sender.first_pending..sender.next_send));
                prop_assert!(effects.iter().copied().eq(1..=receiver.highest_received));
            }
        }
    }

    #[test]
    fn lies_in_acknowledgements_change_nothing() {
        let mut position = Position { first_pending: 3, next_send: 6, highest_received: 0 };
        assert_eq!(position.acknowledged(6), Err(AckBeyondSent { acked: 6, sent: 5 }));
        assert_eq!(position.acknowledged(1), Ok(3..3));
        assert_eq!(position.acknowledged(4), Ok(3..5));
        assert_eq!(position, Position { first_pending: 5, next_send: 6, highest_received: 0 });
    }
}
