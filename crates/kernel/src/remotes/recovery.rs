//! The positions of conversations as a process finds them, repaired where they contradict the outbox (G7, wire-protocol
//! §5.8).
//!
//! Atomic turns make all of this unnecessary; it is for stores that another program has changed. What always holds: a
//! sound store is not changed; each repair is told.

use crate::blame::Fault;
use crate::ctx::Ctx;
use crate::event::Notice;
use sturdy_remote::{FoundPosition, Repair, repair};
use sturdy_store::{Outbox, Read, RemoteCursor, RemoteCursors, RemoteRefs, Remotes};
use sturdy_types::{RRef, RemoteId};

impl Ctx<'_, '_> {
    /// Repairs what contradicts itself. A conversation of which a message is missing cannot go on, and ends.
    pub(crate) fn recover_conversations(&mut self) -> Result<(), Fault> {
        for (remote, _) in self.scan::<Remotes>(&())? {
            let cursor = self.get::<RemoteCursors>(&remote)?;
            if let Some(cursor) = &cursor
                && self.is_sound(remote, cursor)?
            {
                continue;
            }
            let repairs = self.recover(remote, cursor)?;
            let why = format!("the outbox and the numbers of the conversation contradicted each other: {repairs}");
            self.notice(Notice::ConversationRepaired { remote, why });
            let cursor = self.remote_cursor(remote)?;
            let there = self.scan::<Outbox>(&remote)?.len() as u64;
            if there < cursor.next_send - cursor.first_pending {
                let why = "a message was missing in the outbox: the outcome is unknown";
                self.end_damaged(remote, why)?;
            }
        }
        Ok(())
    }

    /// Whether exactly what is pending is there.
    fn is_sound(&self, remote: RemoteId, cursor: &RemoteCursor) -> Result<bool, Fault> {
        let (mut expected, mut last) = (cursor.first_pending, None);
        loop {
            let rows = self.turn.scan::<Outbox>(&remote, last.as_ref(), ROWS)?;
            for ((_, seq), _) in &rows {
                if *seq != expected {
                    return Ok(false);
                }
                expected += 1;
            }
            last = rows.last().map(|(key, _)| *key);
            if rows.len() < ROWS {
                return Ok(cursor.first_pending > 0 && expected == cursor.next_send);
            }
        }
    }

    fn recover(&mut self, remote: RemoteId, cursor: Option<RemoteCursor>) -> Result<String, Fault> {
        let found = cursor.as_ref().map_or_else(FoundPosition::default, |row| FoundPosition {
            first_pending: Some(row.first_pending).filter(|first| *first > 0),
            next_send: Some(row.next_send).filter(|next| *next > 0),
            highest_received: Some(row.highest_received),
        });
        let present: Vec<u64> = self.scan::<Outbox>(&remote)?.into_iter().map(|((_, seq), _)| seq).collect();
        let (position, repairs) = repair(found, &present);
        let mut said: Vec<String> = Vec::new();
        let mut cursor = if let Some(cursor) = cursor {
            cursor
        } else {
            said.push("the numbers were missing".into());
            self.recount_names(remote)?
        };
        for repair in repairs {
            match repair {
                Repair::NextSend(next) => said.push(format!("message {} is taken in", next - 1)),
                Repair::FirstPending(first) => said.push(format!("the first that is pending is {first}")),
                Repair::Delete(seq) => {
                    said.push(format!("message {seq} is deleted"));
                    self.delete::<Outbox>(&(remote, seq));
                }
            }
        }
        if cursor.first_pending != position.first_pending {
            cursor.acknowledged_history = None; // what was said before is not known any more
        }
        cursor.first_pending = position.first_pending;
        cursor.next_send = position.next_send;
        cursor.highest_received = position.highest_received;
        cursor.outbox_bytes = self.scan::<Outbox>(&remote)?.iter().map(|(_, text)| text.len() as u64).sum();
        self.put::<RemoteCursors>(&remote, &cursor);
        said.truncate(MOST_SAID);
        Ok(said.join(", "))
    }

    /// What can still be known of a conversation whose position is missing: the names that it has.
    fn recount_names(&self, remote: RemoteId) -> Result<RemoteCursor, Fault> {
        let mut cursor = RemoteCursor { acknowledged_history: None, received_history: None, ..RemoteCursor::default() };
        for ((_, rref), _) in self.scan::<RemoteRefs>(&remote)? {
            let (highest, number, of_peer) = match rref {
                RRef::Import(number) => (&mut cursor.last_object, number, 0),
                RRef::PromiseImport(number) => (&mut cursor.last_promise, number, 0),
                RRef::Export(number) => (&mut cursor.peer_object, number, 1),
                RRef::PromiseExport(number) => (&mut cursor.peer_promise, number, 1),
            };
            *highest = number.max(*highest);
            cursor.names += 1;
            cursor.peer_names += of_peer;
        }
        Ok(cursor)
    }
}

/// Rows that are looked at at once.
const ROWS: usize = 1_000;

/// Repairs of one conversation that are told one by one.
const MOST_SAID: usize = 10;
