//! Room in a conversation (L9): what is refused, what is not accepted, and what always fits.
//!
//! What always holds: only new calls and redemptions are refused, before they take a number. Every name is room kept for
//! what there will be to tell of it: our own names are limited where we send, those of the peer where we accept. A peer
//! that leaves us no room is not heard until there is some; nothing that was accepted is lost, and nothing grows without
//! bound. Who tells a peer how much room it has, and keeps what came too early, is the node.

use crate::blame::Fault;
use crate::ctx::Ctx;
use sturdy_remote::{Body, Delivered, MAX_LIST, MAX_VALUE_BYTES, RedeemReply, fits, value_bytes};
use sturdy_store::{RemoteCursor, RemoteRecord, RemoteState, Remotes};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CapData, Code, KRef, KernelError, KernelLimits, Message, RemoteId};

/// How many more calls of the peer there is room for. A call may bring several names, and names outlive calls: so this
/// is a part of what is left, and running out of it is no offence.
pub fn room_for_calls(limits: &KernelLimits, cursor: &RemoteCursor) -> u64 {
    let names = limits.remote_names.saturating_sub(cursor.peer_names);
    let messages = limits.remote_reserved_messages.saturating_sub(pending(cursor));
    (names / 4).min(messages / 4)
}

/// Messages in the outbox. These two saturate for a damaged store, which the audit complains of.
const fn pending(cursor: &RemoteCursor) -> u64 {
    cursor.next_send.saturating_sub(cursor.first_pending)
}

/// Names that we have allocated.
const fn own_names(cursor: &RemoteCursor) -> u64 {
    cursor.names.saturating_sub(cursor.peer_names)
}

/// What is too large about a value that goes to no peer.
fn too_large(what: &str, value: &CapData<KRef>) -> String {
    let (bytes, slots) = (value_bytes(value), value.slots.len());
    format!(
        "the {what} takes {bytes} bytes on the wire and has {slots} references, to a peer go {MAX_VALUE_BYTES} bytes \
         and {MAX_LIST} references"
    )
}

/// New names that a message of the peer can bring.
fn new_names(body: &Result<Body, String>) -> u64 {
    let names = match body {
        Ok(Body::Deliver(Delivered::Message { message, .. })) => message.methargs.slots.len() + 1,
        Ok(Body::Deliver(Delivered::Notify(batch))) => batch.iter().map(|one| one.value.slots.len()).sum(),
        Ok(Body::RedeemUrlReply { reply: RedeemReply::Granted(_), .. }) => 1,
        _ => 0,
    };
    names as u64
}

impl Ctx<'_, '_> {
    /// Whether the next message of the peer can take effect now. One that would never fit is let in, and consumed.
    pub(super) fn has_room(&self, cursor: &RemoteCursor, body: &Result<Body, String>) -> bool {
        let (names, limit) = (new_names(body), self.limits.remote_names);
        pending(cursor) < self.limits.remote_reserved_messages && (names > limit || cursor.peer_names + names <= limit)
    }

    /// Why a new message to the peer is refused, if it is: asked before it takes a number, and counted.
    pub(super) fn cannot_send(
        &mut self,
        remote: RemoteId,
        message: &Message<KRef>,
    ) -> Result<Option<KernelError>, Fault> {
        let slots = message.methargs.slots.len();
        if let Some(error) = self.not_open(remote, slots as u64 + 1)? {
            return Ok(Some(error));
        }
        if !fits(&message.methargs) {
            self.change_remote(remote, |cursor| cursor.refused += 1)?;
            return Ok(Some(KernelError::new(Code::MessageTooLarge, too_large("message", &message.methargs))));
        }
        Ok(None)
    }

    /// Why nothing new may be sent to the peer by a user. A given-up peer is revived by it (L10).
    pub(super) fn not_open(&mut self, remote: RemoteId, names: u64) -> Result<Option<KernelError>, Fault> {
        let mut record = self.need::<Remotes>(&remote)?;
        let cursor = self.remote_cursor(remote)?;
        if let Some(error) = self.full(&record, &cursor, names) {
            self.change_remote(remote, |cursor| cursor.refused += 1)?;
            return Ok(Some(error));
        }
        if record.state == RemoteState::GivenUp {
            record.state = RemoteState::Open;
            self.put::<Remotes>(&remote, &record);
            self.reached(remote)?;
        }
        Ok(None)
    }

    fn full(&self, record: &RemoteRecord, cursor: &RemoteCursor, names: u64) -> Option<KernelError> {
        let (peer, limits) = (&record.peer, self.limits);
        let full = |what: String| Some(KernelError::new(Code::QueueFull, what));
        if record.state == RemoteState::Closed {
            let what = format!("the connection to {peer} was closed; `peers reconnect` opens it again");
            return Some(KernelError::new(Code::ConnectionClosed, what));
        }
        let full_outbox =
            pending(cursor) >= limits.remote_outbox_messages || cursor.outbox_bytes >= limits.remote_outbox_bytes;
        if full_outbox && !defect::broken(Defect::OutboxWithoutLimit) {
            return full(format!("the outbox for {peer} is full"));
        }
        if own_names(cursor) + names > limits.remote_names / 4 {
            return full(format!("{} names are in use with {peer}, answers are awaited first", own_names(cursor)));
        }
        if cursor.credit > 0 && cursor.next_send >= cursor.credit {
            return full(format!("{peer} has no room for more calls at present"));
        }
        None
    }

    /// Why a settlement is told as a rejection instead, if it is: it would fit into no message, or fill what is left. Not
    /// in the words of a message that is refused: those say of a call that it has not taken effect, and this one has.
    pub(super) fn cannot_tell(&self, cursor: &RemoteCursor, value: &CapData<KRef>) -> Option<KernelError> {
        if !fits(value) {
            return Some(KernelError::new(Code::AnswerLost, too_large("answer", value)));
        }
        let slots = value.slots.len();
        let full = cursor.outbox_bytes >= self.limits.remote_reserved_bytes
            || (slots > 0 && !self.may_name(cursor, slots as u64));
        full.then(|| KernelError::new(Code::AnswerLost, "there is no room to tell the peer the answer"))
    }

    /// Whether a message that cannot be refused may bring new names of ours.
    pub(super) fn may_name(&self, cursor: &RemoteCursor, names: u64) -> bool {
        own_names(cursor) + names <= self.limits.remote_names / 2
    }
}
