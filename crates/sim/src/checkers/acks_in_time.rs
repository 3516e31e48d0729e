//! L4: what a kernel has taken in is acknowledged within 50 ms of its commit, and at the latest with the 64th message, as
//! long as the connection stands and the kernel is told the time.
//!
//! Lenient: only the connection counts that was bound last, for there a kernel speaks. Whenever one is bound or goes, what
//! was owed before is forgiven: greetings say it again, or the peer repeats. A kernel is held to
//! it only when it commits, for only then can it speak.

use super::Checker;
use super::lines::{Lines, Said, said};
use super::standing::standing;
use crate::machine::{Machine, peer};
use crate::seen::{KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Effect, Event};
use sturdy_types::{ConnectionId, Millis};

/// How long an acknowledgement may wait.
const DELAY_MS: u64 = 50;

/// How many messages may wait for one.
const MESSAGES: u64 = 64;

/// What one kernel owes another.
#[derive(Default, Debug)]
struct Owes {
    /// The connection that was bound last, while it stands.
    bound: Option<ConnectionId>,
    /// A message of the present conversation was heard on it.
    heard: bool,
    /// What was acknowledged, or forgiven.
    acknowledged: u64,
    /// Since when something more is durable.
    since: Option<Millis>,
}

/// One checker for all kernels.
#[derive(Default)]
pub struct AcksInTime {
    lines: Lines,
    /// Connections that a kernel has bound: a repeated greeting changes nothing.
    greeted: BTreeSet<(KernelNo, ConnectionId)>,
    owes: BTreeMap<KernelNo, BTreeMap<KernelNo, Owes>>,
}

impl Owes {
    /// The connections between the two are not what they were.
    fn begins_anew(&mut self, bound: Option<ConnectionId>, highest: u64) {
        *self = Self { bound, heard: false, acknowledged: highest, since: None };
    }

    /// A commit has ended with so much received.
    fn is_held_to(&mut self, now: Millis, highest: u64) -> Result<(), String> {
        if !self.heard || highest <= self.acknowledged {
            self.since = None;
            self.acknowledged = self.acknowledged.min(highest);
            return Ok(());
        }
        let since = *self.since.get_or_insert(now);
        let unacknowledged = highest - self.acknowledged;
        if now >= since + DELAY_MS {
            return Err(format!(
                "{highest} messages are durable for {} ms, and {unacknowledged} of them are not acknowledged",
                now - since
            ));
        }
        if unacknowledged >= MESSAGES {
            return Err(format!("{unacknowledged} messages are durable and not acknowledged"));
        }
        Ok(())
    }
}

impl AcksInTime {
    fn transmits(&mut self, kernel: KernelNo, connection: ConnectionId, frame: &[u8]) {
        let Some(other) = self.lines.other_end(connection, kernel) else { return };
        let owes = self.owes.entry(kernel).or_default().entry(other).or_default();
        match said(frame) {
            Said::Ack(ack) | Said::Message { ack: Some(ack), .. } => owes.acknowledged = owes.acknowledged.max(ack),
            Said::Hello { .. } | Said::Message { ack: None, .. } | Said::Nothing => {}
        }
    }

    fn receives(&mut self, kernel: KernelNo, connection: ConnectionId, frame: &[u8], machines: &[Machine]) {
        if let (Said::Hello { .. }, Some(other)) = (said(frame), self.lines.other_end(connection, kernel)) {
            self.binds(kernel, other, connection, machines);
        } else if let (Said::Message { .. }, Some(_), Some(other)) =
            (said(frame), self.lines.conversation(connection), self.lines.other_end(connection, kernel))
            && let Some(owes) = self.owes.entry(kernel).or_default().get_mut(&other)
            && owes.bound == Some(connection)
        {
            owes.heard = true;
        }
    }

    /// A greeting was heard, which binds the connection.
    fn binds(&mut self, kernel: KernelNo, other: KernelNo, connection: ConnectionId, machines: &[Machine]) {
        if self.greeted.insert((kernel, connection)) {
            self.changes(kernel, other, Some(connection), machines);
        }
    }

    /// A connection is bound, or, without a name, goes.
    fn changes(&mut self, kernel: KernelNo, other: KernelNo, bound: Option<ConnectionId>, machines: &[Machine]) {
        let store = machines.get(kernel).and_then(Machine::node).map(sturdy_node::Node::store);
        let highest = store.and_then(|store| standing(store, &peer(other))).map_or(0, |at| at.cursor.highest_received);
        let owes = self.owes.entry(kernel).or_default().entry(other).or_default();
        let bound = bound.or(owes.bound);
        owes.begins_anew(bound, highest);
    }

    fn goes(&mut self, kernel: KernelNo, connection: ConnectionId, machines: &[Machine]) {
        let Some(other) = self.lines.other_end(connection, kernel) else { return };
        self.changes(kernel, other, None, machines);
        if let Some(owes) = self.owes.entry(kernel).or_default().get_mut(&other)
            && owes.bound == Some(connection)
        {
            owes.bound = None;
        }
    }

    fn committed(&mut self, kernel: KernelNo, machine: &Machine) -> Result<(), String> {
        let Some(store) = machine.node().map(sturdy_node::Node::store) else { return Ok(()) };
        for (&other, owes) in self.owes.entry(kernel).or_default() {
            let Some(bound) = owes.bound.filter(|_| owes.heard) else { continue };
            let spoken = self.lines.conversation(bound).map(|conversation| conversation.number);
            match standing(store, &peer(other)) {
                Some(at) if Some(at.record.conversation) == spoken => {
                    let held = owes.is_held_to(machine.now(), at.cursor.highest_received);
                    held.map_err(|what| format!("kernel {kernel}, to kernel {other}: {what}"))?;
                }
                _ => owes.begins_anew(Some(bound), 0),
            }
        }
        Ok(())
    }
}

impl Checker for AcksInTime {
    fn name(&self) -> &'static str {
        "acks_in_time"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        self.lines.see(kernel, seen);
        match seen {
            Seen::Event(Event::Disconnected { connection }) | Seen::Outer(Effect::HangUp { connection }) => {
                self.goes(kernel, *connection, machines);
            }
            Seen::Event(Event::Received { connection, frame }) => self.receives(kernel, *connection, frame, machines),
            Seen::Outer(Effect::Transmit { connection, bytes }) => self.transmits(kernel, *connection, bytes),
            Seen::LetOut => {
                if let Some(machine) = machines.get(kernel) {
                    self.committed(kernel, machine)?;
                }
            }
            Seen::Ended => {
                self.owes.remove(&kernel);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owes(acknowledged: u64) -> Owes {
        Owes { bound: Some(ConnectionId(1)), heard: true, acknowledged, since: None }
    }

    #[test]
    fn fifty_milliseconds_and_no_more() {
        let mut owes = owes(3);
        assert_eq!(owes.is_held_to(1_000, 4), Ok(()));
        assert_eq!(owes.is_held_to(1_049, 9), Ok(()));
        assert!(owes.is_held_to(1_050, 9).is_err());
        owes.acknowledged = 9;
        assert_eq!(owes.is_held_to(1_051, 9), Ok(()));
        assert_eq!(owes.is_held_to(1_090, 10), Ok(()), "it begins anew");
    }

    #[test]
    fn a_full_batch_does_not_wait() {
        assert_eq!(owes(3).is_held_to(1_000, 66), Ok(()));
        assert!(owes(3).is_held_to(1_000, 67).is_err());
    }

    #[test]
    fn what_was_not_heard_on_the_connection_is_not_owed_there() {
        let mut owes = owes(3);
        owes.begins_anew(Some(ConnectionId(2)), 3);
        assert_eq!(owes.is_held_to(1_000, 900), Ok(()));
    }
}
