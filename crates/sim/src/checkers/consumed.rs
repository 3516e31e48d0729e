//! L13: the next message of a conversation moves the position, whatever it says, or its connection ends.
//!
//! It is looked at with peers that lie, too: they say what can never be processed. When a commit ends, a message that was
//! heard as the next one, on a connection on which one was taken in before, has been taken in.
//!
//! Lenient: runs with low limits, for there may be no room; connections and conversations that end meanwhile.

use super::Checker;
use super::lines::{Said, said};
use super::standing::{Standing, standing};
use crate::machine::Machine;
use crate::plan::Plan;
use crate::seen::{KernelNo, Seen};
use std::collections::BTreeMap;
use sturdy_kernel::{Effect, Event};
use sturdy_store::{RemoteState, Store};
use sturdy_types::{ConnectionId, KernelLimits};

/// A connection of one kernel.
struct Line {
    peer: String,
    /// The conversation in which a message was taken in on it.
    speaks_for: Option<u64>,
    /// A message of that conversation that was the next one and was not taken in.
    left: Option<u64>,
}

/// One checker for all kernels.
pub struct Consumed {
    low_limits: bool,
    lines: BTreeMap<(KernelNo, ConnectionId), Line>,
}

/// The present conversation with a peer that is talked to, and the highest number received in it.
fn received(store: &Store, peer: &str) -> Option<(u64, u64)> {
    let Standing { record, cursor, .. } = standing(store, peer)?;
    (record.state == RemoteState::Open).then_some((record.conversation, cursor.highest_received))
}

impl Consumed {
    /// A checker for this run.
    pub fn new(plan: &Plan) -> Self {
        let usual = KernelLimits::default();
        let names = plan.limits.remote_names < usual.remote_names;
        let low_limits = names || plan.limits.remote_reserved_messages < usual.remote_reserved_messages;
        Self { low_limits, lines: BTreeMap::new() }
    }

    fn heard(&mut self, kernel: KernelNo, connection: ConnectionId, frame: &[u8], store: &Store) {
        let Said::Message { seq, .. } = said(frame) else { return };
        let Some(line) = self.lines.get_mut(&(kernel, connection)) else { return };
        match received(store, &line.peer) {
            Some((conversation, highest)) if highest == seq => line.speaks_for = Some(conversation),
            Some((conversation, highest)) if highest + 1 == seq && line.speaks_for == Some(conversation) => {
                line.left = Some(seq);
            }
            _ => {}
        }
    }

    fn committed(&mut self, kernel: KernelNo, store: &Store) -> Result<(), String> {
        for ((_, connection), line) in self.lines.range_mut((kernel, ConnectionId(0))..(kernel + 1, ConnectionId(0))) {
            let Some(seq) = line.left.take() else { continue };
            if let Some((conversation, highest)) = received(store, &line.peer)
                && line.speaks_for == Some(conversation)
                && highest < seq
            {
                return Err(format!(
                    "kernel {kernel} has heard {seq} of {} on {connection}, and does not take it in",
                    line.peer
                ));
            }
        }
        Ok(())
    }
}

impl Checker for Consumed {
    fn name(&self) -> &'static str {
        "consumed"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        if self.low_limits {
            return Ok(());
        }
        let store = machines.get(kernel).and_then(Machine::node).map(sturdy_node::Node::store);
        match (seen, store) {
            (Seen::Event(Event::Connected { connection, peer, .. }), _) => {
                let line = Line { peer: peer.clone(), speaks_for: None, left: None };
                self.lines.insert((kernel, *connection), line);
            }
            (Seen::Event(Event::Disconnected { connection }) | Seen::Outer(Effect::HangUp { connection }), _) => {
                self.lines.remove(&(kernel, *connection));
            }
            (Seen::Event(Event::Received { connection, frame }), Some(store)) => {
                self.heard(kernel, *connection, frame, store);
            }
            (Seen::LetOut, Some(store)) => self.committed(kernel, store)?,
            (Seen::Ended, _) => self.lines.retain(|(owner, _), _| *owner != kernel),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::empty_store;

    #[test]
    fn a_stranger_has_no_position() {
        assert_eq!(received(&empty_store(1), "mallory"), None);
    }
}
