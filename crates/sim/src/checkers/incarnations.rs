//! G9, G10, L1, L3, L4, G5 on the wire: an incarnation lives as long as its store; a conversation's messages are taken in
//! by that conversation only, each after all before it, and are repeated byte by byte.
//!
//! A kernel's position may cover only numbers that it has heard, undisturbed, on lines that speak for the conversation
//! which its store says is the present one, with the incarnations that both stores really had.
//!
//! Lenient: frames that a kernel heard before its store was set back count as heard, and a kernel whose store was set
//! back may give a number another content (the known limit of stores that are set back behind everybody's back). That there
//! is nothing under a URL may be said under a number to a stranger whom nobody remembers afterwards.

use super::Checker;
use super::lines::{Conversation, Lines, Said, digest, kernel_of, refuses, said};
use super::standing::{Standing, standing};
use crate::machine::{Machine, peer};
use crate::seen::{BeginsWith, KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Effect, Event};
use sturdy_store::{Read, RemoteState, Remotes, Store};
use sturdy_types::{ConnectionId, Incarnation};

/// Numbers of one conversation that one kernel has heard.
#[derive(Default)]
struct Heard {
    up_to: u64,
    beyond: BTreeSet<u64>,
}

impl Heard {
    fn add(&mut self, seq: u64) {
        if seq > self.up_to {
            self.beyond.insert(seq);
        }
        while self.beyond.remove(&(self.up_to + 1)) {
            self.up_to += 1;
        }
    }
}

/// One checker for all kernels.
#[derive(Default)]
pub struct Incarnations {
    lines: Lines,
    latest: BTreeMap<KernelNo, Incarnation>,
    used: BTreeSet<[u8; 16]>,
    branches: BTreeMap<KernelNo, u32>,
    /// What was written under each number: in which branch of its writer, and a digest.
    written: BTreeMap<(KernelNo, Conversation, u64), Vec<(u32, u64)>>,
    /// Digests of messages that only say that there is nothing under a URL.
    refusals: BTreeSet<u64>,
    heard: BTreeMap<(KernelNo, Conversation), Heard>,
}

impl Incarnations {
    fn begins(&mut self, kernel: KernelNo, with: BeginsWith, incarnation: Incarnation) -> Result<(), String> {
        let before = self.latest.insert(kernel, incarnation);
        let is_new = self.used.insert(incarnation.0);
        match (before, with) {
            (Some(before), BeginsWith::ItsStore | BeginsWith::OldCopy) if before != incarnation => {
                Err(format!("kernel {kernel} kept its store, and its incarnation is {incarnation} instead of {before}"))
            }
            (Some(_), BeginsWith::NoStore) | (None, _) if !is_new => {
                Err(format!("kernel {kernel} has a new store and the used incarnation {incarnation}"))
            }
            _ => Ok(()),
        }
    }

    fn transmits(&mut self, kernel: KernelNo, connection: ConnectionId, frame: &[u8]) -> Result<(), String> {
        match said(frame) {
            Said::Hello { incarnation, .. } => {
                let own = self.latest.get(&kernel).map(ToString::to_string).unwrap_or_default();
                if own != incarnation {
                    return Err(format!("kernel {kernel} is {own} and shows {incarnation}"));
                }
            }
            Said::Message { seq, .. } => {
                if self.lines.other_end(connection, kernel).is_none() {
                    return Ok(()); // a peer that is no kernel
                }
                let Some(conversation) = self.lines.conversation(connection) else {
                    return Err(format!("kernel {kernel} sends message {seq} before a handshake on {connection}"));
                };
                let branch = self.branches.get(&kernel).copied().unwrap_or(0);
                let known = self.written.entry((kernel, conversation, seq)).or_default();
                let version = (branch, digest(frame));
                if refuses(frame) {
                    self.refusals.insert(version.1);
                }
                let counts = |digest: u64| !self.refusals.contains(&digest);
                let is_other =
                    |(other, digest): &(u32, u64)| *other == branch && *digest != version.1 && counts(*digest);
                if counts(version.1) && known.iter().any(is_other) {
                    return Err(format!("kernel {kernel} repeats message {seq} of {conversation:?} with other bytes"));
                }
                if !known.contains(&version) {
                    known.push(version);
                }
            }
            Said::Ack(_) | Said::Nothing => {}
        }
        Ok(())
    }

    fn receives(&mut self, kernel: KernelNo, connection: ConnectionId, frame: &[u8]) {
        if let (Said::Message { seq, .. }, Some(conversation), Some(from)) =
            (said(frame), self.lines.conversation(connection), self.lines.other_end(connection, kernel))
            && let Some(known) = self.written.get(&(from, conversation, seq))
            && known.iter().any(|(_, written)| *written == digest(frame))
        {
            self.heard.entry((kernel, conversation)).or_default().add(seq);
        }
    }

    /// The store says that everything up to `highest` of this conversation has taken effect.
    fn stands_at(&self, kernel: KernelNo, conversation: Conversation, highest: u64) -> Result<(), String> {
        let up_to = self.heard.get(&(kernel, conversation)).map_or(0, |heard| heard.up_to);
        if highest > up_to {
            return Err(format!(
                "kernel {kernel} has taken in {highest} messages of {conversation:?}, of which it has heard the first {up_to}"
            ));
        }
        Ok(())
    }

    /// Compares a kernel's position in its conversation with another with what it heard.
    fn compare(&self, kernel: KernelNo, other: KernelNo, store: &Store) -> Result<(), String> {
        let Some(Standing { record, cursor, .. }) = standing(store, &peer(other)) else { return Ok(()) };
        if cursor.highest_received == 0 {
            return Ok(());
        }
        let Some(own) = self.lines.present(kernel) else { return Ok(()) };
        let theirs = record.peer_incarnation.unwrap_or_default();
        let Some(their_life) = self.lines.life(other, &theirs) else {
            return Err(format!("kernel {kernel} believes that kernel {other} is {theirs:?}, which it never was"));
        };
        self.stands_at(kernel, Conversation::new(own, their_life, record.conversation), cursor.highest_received)
    }
}

impl Checker for Incarnations {
    fn name(&self) -> &'static str {
        "incarnations"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        self.lines.see(kernel, seen);
        match seen {
            Seen::Begun { with, process, incarnation, .. } => {
                self.branches.insert(kernel, process.branch);
                self.begins(kernel, *with, *incarnation)?;
                match machines.get(kernel).and_then(Machine::node) {
                    Some(node) if node.store().incarnation() != *incarnation => {
                        Err(format!("the store of kernel {kernel} says that it is {}", node.store().incarnation()))
                    }
                    _ => Ok(()),
                }
            }
            Seen::Outer(Effect::Transmit { connection, bytes }) => self.transmits(kernel, *connection, bytes),
            Seen::Event(Event::Received { connection, frame }) => {
                self.receives(kernel, *connection, frame);
                let other = self.lines.other_end(*connection, kernel);
                let machine = machines.get(kernel).filter(|machine| !machine.disk_fails());
                match (other, machine.and_then(Machine::node)) {
                    (Some(other), Some(node)) => self.compare(kernel, other, node.store()),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Everybody knows everybody's present incarnation.
    fn at_rest(&mut self, machines: &[Machine]) -> Result<(), String> {
        for machine in machines {
            let Some(node) = machine.node() else { continue };
            for (_, record) in node.store().scan::<Remotes>(&(), None, usize::MAX).unwrap_or_default() {
                let Some(other) = kernel_of(&record.peer).filter(|other| *other != machine.number) else { continue };
                let present = self.latest.get(&other).map(ToString::to_string);
                if record.state == RemoteState::Open
                    && record.peer_incarnation.is_some()
                    && record.peer_incarnation != present
                {
                    let number = machine.number;
                    let known = record.peer_incarnation;
                    return Err(format!("kernel {number} knows kernel {other} as {known:?}, and it is {present:?}"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::{begun, connected, hello, received, transmit};

    const LINE: u64 = 1;

    fn met() -> Incarnations {
        let mut checker = Incarnations::default();
        for (kernel, seen) in [
            (0, begun(BeginsWith::ItsStore, 0, 1)),
            (1, begun(BeginsWith::ItsStore, 0, 2)),
            (1, connected(LINE, 0, Side::Listener)),
            (0, connected(LINE, 1, Side::Dialler)),
            (0, transmit(LINE, &hello("handshake", 1, 1, 1, 0))),
            (1, transmit(LINE, &hello("handshakeAck", 2, 1, 1, 0))),
        ] {
            checker.see(kernel, &seen, &[]).expect("nothing is wrong");
        }
        checker
    }

    use sturdy_remote::Side;

    const FIRST: &str = r#"{"seq":1,"method":"deliver","params":[]}"#;
    const SECOND: &str = r#"{"seq":2,"method":"deliver","params":[]}"#;

    #[test]
    fn what_was_heard_in_order_may_be_taken_in() {
        let mut checker = met();
        let talk = checker.lines.conversation(ConnectionId(LINE)).expect("the listener has answered");
        for (kernel, seen) in [(0, transmit(LINE, FIRST)), (0, transmit(LINE, SECOND)), (1, received(LINE, SECOND))] {
            checker.see(kernel, &seen, &[]).expect("nothing is wrong");
        }
        assert!(checker.stands_at(1, talk, 0).is_ok());
        assert!(checker.stands_at(1, talk, 1).is_err(), "the first was not heard");
        checker.see(1, &received(LINE, FIRST), &[]).expect("nothing is wrong");
        assert!(checker.stands_at(1, talk, 2).is_ok());
        assert!(checker.stands_at(1, talk, 3).is_err());
        assert!(checker.stands_at(1, Conversation::new(0, 1, 2), 1).is_err(), "another conversation");
    }

    #[test]
    fn a_disturbed_frame_was_not_heard() {
        let mut checker = met();
        let talk = checker.lines.conversation(ConnectionId(LINE)).expect("the listener has answered");
        checker.see(0, &transmit(LINE, FIRST), &[]).expect("nothing is wrong");
        checker.see(1, &received(LINE, &FIRST[..FIRST.len() - 2]), &[]).expect("nothing is wrong");
        checker.see(1, &received(LINE, &FIRST.replace("deliver", "redeem!")), &[]).expect("nothing is wrong");
        assert!(checker.stands_at(1, talk, 1).is_err());
    }

    #[test]
    fn messages_are_repeated_byte_by_byte() {
        let mut checker = met();
        let other = FIRST.replace("[]", "[1]");
        checker.see(0, &transmit(LINE, FIRST), &[]).expect("nothing is wrong");
        checker.see(0, &transmit(LINE, FIRST), &[]).expect("the same again");
        assert!(checker.see(0, &transmit(LINE, &other), &[]).is_err());
        checker.see(0, &begun(BeginsWith::OldCopy, 1, 1), &[]).expect("a store is set back");
        checker.see(0, &transmit(LINE, &other), &[]).expect("it has forgotten what it wrote");
    }

    #[test]
    fn nothing_is_sent_before_a_handshake_or_under_a_wrong_name() {
        let mut checker = met();
        checker.see(1, &connected(2, 0, Side::Listener), &[]).expect("nothing is wrong");
        checker.see(0, &connected(2, 1, Side::Dialler), &[]).expect("nothing is wrong");
        assert!(checker.see(0, &transmit(2, FIRST), &[]).is_err());
        assert!(checker.see(0, &transmit(2, &hello("handshake", 7, 1, 1, 0)), &[]).is_err());
    }

    #[test]
    fn an_incarnation_lives_as_long_as_its_store() {
        assert!(met().see(0, &begun(BeginsWith::ItsStore, 0, 1), &[]).is_ok());
        assert!(met().see(0, &begun(BeginsWith::ItsStore, 0, 3), &[]).is_err());
        assert!(met().see(0, &begun(BeginsWith::OldCopy, 1, 3), &[]).is_err());
        assert!(met().see(0, &begun(BeginsWith::NoStore, 1, 3), &[]).is_ok());
        assert!(met().see(0, &begun(BeginsWith::NoStore, 1, 1), &[]).is_err());
    }
}
