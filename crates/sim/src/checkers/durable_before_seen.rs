//! G2, G6, G7: nothing is seen outside of a kernel before it is durable.
//!
//! What comes out of a turn at once is inner; a numbered message on the wire is a row of the outbox *on the disk*; an
//! acknowledgement and a greeting speak of nothing beyond the position on the disk; the result of a call is that of its
//! row; a message that takes effect at another kernel was durable at its sender when it did.
//!
//! Lenient: a call's row may be gone, for its caller may have acknowledged it in the same group. To a stranger (a peer
//! without a record) a kernel may say without a record that it gets nothing, and where the stranger itself says it stands.

use super::Checker;
use super::facts::Facts;
use super::lines::{Lines, Said, refuses, said};
use super::standing::{Standing, standing};
use crate::actor::MessageName;
use crate::machine::{Machine, peer};
use crate::seen::{CrankFate, KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Effect, Event, Request};
use sturdy_store::{CallState, Calls, Outbox, Read, RemoteCursor, Store};
use sturdy_types::{Delivery, Syscall};

/// One checker for all kernels.
#[derive(Default)]
pub struct DurableBeforeSeen {
    lines: Lines,
    sent: BTreeMap<KernelNo, Facts<MessageName>>,
    /// Messages that were durable at their senders at some time.
    durable: BTreeSet<MessageName>,
    /// The disk of a kernel, while its effects come out.
    disk: Option<(KernelNo, Store)>,
}

/// What is wrong with a frame that leaves for `other`, as part of the conversation with this number.
fn leaves(disk: &Store, other: KernelNo, conversation: Option<u64>, frame: &[u8]) -> Result<(), String> {
    let at = standing(disk, &peer(other));
    let present = |at: &Standing| conversation.is_none_or(|number| number == at.record.conversation);
    match (said(frame), at) {
        (Said::Hello { answers: false, stands, .. }, None) if stands.next_send > 1 || stands.highest_received > 0 => {
            Err(format!("a greeting speaks of {stands:?}, and nothing is on the disk"))
        }
        (Said::Hello { stands, .. }, Some(at)) => {
            let beyond = stands.next_send > at.cursor.next_send || stands.highest_received > at.cursor.highest_received;
            let same = stands.conversation == at.record.conversation;
            if stands.conversation > at.record.conversation || (same && beyond) {
                return Err(format!("a greeting speaks of {stands:?}, and on the disk is {:?}", at.cursor));
            }
            Ok(())
        }
        // Said again to a stranger, which has acknowledged it and got a record before that was durable.
        (Said::Message { seq, .. }, Some(at)) if refuses(frame) && seq < at.cursor.first_pending => Ok(()),
        (Said::Message { seq, ack }, Some(at)) if present(&at) => {
            let row = disk.get::<Outbox>(&(at.remote, seq)).ok().flatten();
            if row.as_ref().map(String::as_bytes) != Some(frame) {
                return Err(format!("message {seq} is on the wire, and the outbox on the disk has {row:?}"));
            }
            acknowledges(&at.cursor, ack.unwrap_or(0))
        }
        (Said::Ack(ack), Some(at)) if present(&at) => acknowledges(&at.cursor, ack),
        (Said::Message { .. }, None) if refuses(frame) => Ok(()),
        (Said::Ack(_), None) | (Said::Hello { .. } | Said::Nothing, _) => Ok(()),
        (Said::Message { seq, .. }, _) => Err(format!("message {seq} is of no conversation that is on the disk")),
        (Said::Ack(ack), _) => Err(format!("{ack} is acknowledged in no conversation that is on the disk")),
    }
}

fn acknowledges(cursor: &RemoteCursor, ack: u64) -> Result<(), String> {
    if ack > cursor.highest_received {
        return Err(format!("{ack} is acknowledged, and on the disk are {} received", cursor.highest_received));
    }
    Ok(())
}

impl DurableBeforeSeen {
    fn goes_out(&mut self, kernel: KernelNo, effect: &Effect, machines: &[Machine]) -> Result<(), String> {
        if matches!(effect, Effect::Deliver { .. } | Effect::Stop { .. }) {
            return Err(format!("an inner effect waited for a commit: {effect:?}"));
        }
        if !matches!(effect, Effect::Transmit { .. } | Effect::Settled { .. }) {
            return Ok(());
        }
        if self.disk.as_ref().is_none_or(|(owner, _)| *owner != kernel) {
            let disk = machines.get(kernel).and_then(Machine::durable);
            self.disk = disk.map(|disk| (kernel, disk));
        }
        let Some((_, disk)) = &self.disk else { return Ok(()) };
        match effect {
            Effect::Transmit { connection, bytes } => {
                let Some(other) = self.lines.other_end(*connection, kernel) else { return Ok(()) };
                let conversation = self.lines.conversation(*connection).map(|conversation| conversation.number);
                leaves(disk, other, conversation, bytes).map_err(|what| format!("kernel {kernel}: {what}"))
            }
            Effect::Settled { call, rejected, value } => match disk.get::<Calls>(call) {
                Ok(Some(row)) => match row.state {
                    CallState::Settled { rejected: was, value: ref kept, .. } if was == *rejected && kept == value => {
                        Ok(())
                    }
                    state => Err(format!("kernel {kernel} tells a result of {call}, and on the disk is {state:?}")),
                },
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn cranked(&mut self, kernel: KernelNo, delivery: &Delivery, syscalls: &[Syscall]) -> Result<(), String> {
        if let Delivery::Message { message, .. } = delivery
            && let Some(name) = MessageName::of(&message.methargs.body)
            && name.kernel as usize != kernel
            && !self.durable.contains(&name)
        {
            return Err(format!("{name} took effect in kernel {kernel} before it was durable at its sender"));
        }
        let facts = self.sent.entry(kernel).or_default();
        for syscall in syscalls {
            if let Syscall::Send { message, .. } = syscall
                && let Some(name) = MessageName::of(&message.methargs.body)
            {
                facts.add(name);
            }
        }
        Ok(())
    }
}

impl Checker for DurableBeforeSeen {
    fn name(&self) -> &'static str {
        "durable_before_seen"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        self.lines.see(kernel, seen);
        if !matches!(seen, Seen::Outer(_)) {
            self.disk = None;
        }
        match seen {
            Seen::AtOnce(effect)
                if effect.is_outer() || !matches!(effect, Effect::Deliver { .. } | Effect::Stop { .. }) =>
            {
                Err(format!("kernel {kernel} lets an outer effect out before the commit: {effect:?}"))
            }
            Seen::Outer(effect) => self.goes_out(kernel, effect, machines),
            Seen::Crank { delivery, outcome, fate: CrankFate::Merged, .. } => {
                self.cranked(kernel, delivery, &outcome.syscalls)
            }
            Seen::Event(Event::Asked(_, Request::Call { methargs, .. })) => {
                let facts = self.sent.entry(kernel).or_default();
                if let Some(name) = MessageName::of(&methargs.body) {
                    facts.add(name);
                }
                Ok(())
            }
            Seen::Committed(commit) => {
                self.durable.extend(self.sent.entry(kernel).or_default().committed(*commit));
                Ok(())
            }
            Seen::Ended => {
                self.sent.entry(kernel).or_default().ended();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::{deliver, empty_store, hello, name, says, send, told};
    use sturdy_store::{PeerKind, RemoteCursors, RemoteRecord, RemoteState, Remotes, RemotesByPeer};
    use sturdy_types::{CallId, CapData, RemoteId, VRef};

    fn disk(outbox: &[(u64, &str)], next_send: u64, highest_received: u64) -> Store {
        let mut store = empty_store(1);
        let mut turn = store.begin();
        let remote = RemoteId(1);
        let record = RemoteRecord {
            peer: peer(1),
            hints: Vec::new(),
            peer_incarnation: None,
            conversation: 2,
            kind: PeerKind::Sturdy,
            state: RemoteState::Open,
        };
        turn.put::<Remotes>(&remote, &record);
        turn.put::<RemotesByPeer>(&peer(1), &remote);
        turn.put::<RemoteCursors>(&remote, &RemoteCursor { next_send, highest_received, ..RemoteCursor::default() });
        for (seq, text) in outbox {
            turn.put::<Outbox>(&(remote, *seq), &(*text).to_owned());
        }
        turn.merge().expect("a store in memory takes it");
        store
    }

    const THIRD: &str = r#"{"seq":3,"ack":5,"method":"deliver","params":[]}"#;

    #[test]
    fn messages_leave_when_they_are_in_the_outbox() {
        assert!(leaves(&disk(&[(3, THIRD)], 4, 5), 1, Some(2), THIRD.as_bytes()).is_ok());
        assert!(leaves(&disk(&[], 4, 5), 1, Some(2), THIRD.as_bytes()).is_err());
        assert!(leaves(&disk(&[(3, "{\"seq\":3}")], 4, 5), 1, Some(2), THIRD.as_bytes()).is_err());
        assert!(leaves(&disk(&[(3, THIRD)], 4, 5), 1, Some(1), THIRD.as_bytes()).is_err(), "another conversation");
        assert!(leaves(&disk(&[(3, THIRD)], 4, 4), 1, Some(2), THIRD.as_bytes()).is_err(), "what it acknowledges");
        assert!(leaves(&empty_store(1), 1, Some(2), THIRD.as_bytes()).is_err());
    }

    #[test]
    fn acknowledgements_and_greetings_leave_when_their_numbers_are_on_the_disk() {
        let disk = disk(&[], 4, 5);
        assert!(leaves(&disk, 1, Some(2), br#"{"ack":5,"alloc":3}"#).is_ok());
        assert!(leaves(&disk, 1, Some(2), br#"{"ack":6,"alloc":3}"#).is_err());
        assert!(leaves(&disk, 1, None, hello("handshake", 1, 2, 4, 5).as_bytes()).is_ok());
        assert!(leaves(&disk, 1, None, hello("handshake", 1, 1, 9, 9).as_bytes()).is_ok(), "an older conversation");
        for beyond in [hello("handshake", 1, 2, 5, 5), hello("handshake", 1, 2, 4, 6), hello("handshake", 1, 3, 1, 0)] {
            assert!(leaves(&disk, 1, None, beyond.as_bytes()).is_err());
        }
        assert!(leaves(&empty_store(1), 1, None, hello("handshake", 1, 1, 1, 0).as_bytes()).is_ok());
        assert!(leaves(&empty_store(1), 1, None, hello("handshake", 1, 1, 2, 0).as_bytes()).is_err());
    }

    #[test]
    fn a_stranger_is_told_only_that_there_is_nothing() {
        let say = |text: &str| leaves(&empty_store(1), 1, Some(1), text.as_bytes());
        assert!(say(r#"{"seq":1,"ack":1,"method":"redeemURLReply","params":[false,"k","nothing"]}"#).is_ok());
        assert!(say(r#"{"seq":1,"ack":1,"method":"redeemURLReply","params":[true,"k","ro+1"]}"#).is_err());
        assert!(say(&hello("handshakeAck", 1, 1, 2, 3)).is_ok(), "where it said itself that it stands");
    }

    #[test]
    fn only_inner_effects_come_at_once_and_only_outer_ones_wait() {
        let settled = Effect::Settled { call: CallId(1), rejected: false, value: CapData::plain("#1") };
        let stop = Effect::Stop { vat: sturdy_types::VatId(1), run: sturdy_types::RunId(1) };
        let mut checker = DurableBeforeSeen::default();
        assert!(checker.see(0, &Seen::AtOnce(stop.clone()), &[]).is_ok());
        assert!(checker.see(0, &Seen::AtOnce(settled.clone()), &[]).is_err());
        assert!(checker.see(0, &Seen::Outer(settled), &[]).is_ok());
        assert!(checker.see(0, &Seen::Outer(stop), &[]).is_err());
    }

    #[test]
    fn a_message_is_durable_at_its_sender_before_it_takes_effect_elsewhere() {
        let sent = says(1, vec![send(VRef::Import(1), name(0, 1, 1), &[], None)]);
        let taken = told(2, deliver(VRef::Export(1), name(0, 1, 1), &[], None));
        let mut checker = DurableBeforeSeen::default();
        checker.see(0, &sent, &[]).expect("nothing is wrong");
        assert!(checker.see(0, &taken, &[]).is_ok(), "in the same kernel it is in the same group");
        assert!(checker.see(1, &taken, &[]).is_err());
        checker.see(0, &Seen::Committed(1), &[]).expect("nothing is wrong");
        assert!(checker.see(1, &taken, &[]).is_ok());
        let mut forgetful = DurableBeforeSeen::default();
        for seen in [&sent, &Seen::Ended, &Seen::Committed(1)] {
            forgetful.see(0, seen, &[]).expect("nothing is wrong");
        }
        assert!(forgetful.see(1, &taken, &[]).is_err(), "it was lost with the process");
    }
}
