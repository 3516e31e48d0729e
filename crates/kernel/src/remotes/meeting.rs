//! Meeting a peer: the handshake's verdict takes effect in one turn, and so does the end of a conversation, however it
//! comes (L1, L2, L10, L11).

use super::LinkNews;
use super::standing::{end_of, said_up_to, standing};
use crate::blame::{Blame, Fault};
use crate::control::{Answer, OnClose, Patience};
use crate::ctx::Ctx;
use crate::event::{Effect, Notice};
use sturdy_remote::{Hello, Loss, Occasion, Packet, Presence, Side, Standing, Verdict, encode, verdict};
use sturdy_store::{
    IncarnationTable, Outbox, PeerKind, Read, RemoteCursor, RemoteName, RemoteNames, RemoteRecord, RemoteRefs,
    RemoteState, Remotes, RemotesByPeer, Retiring, Subscriber,
};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{Code, ConnectionId, Incarnation, KRef, KernelError, RRef, RemoteId};

/// A peer has said who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// On this connection.
    pub connection: ConnectionId,
    /// The peer, as the transport has authenticated it.
    pub peer: String,
    /// What it says.
    pub hello: Hello,
    /// Which side of the handshake we are.
    pub side: Side,
    /// Where we stood when the connection was opened.
    pub before: Option<Standing>,
    /// Where else it speaks.
    pub presence: Presence,
}

/// How far ahead of ours the number of a peer's conversation may be. Honest numbers grow by one with each loss of state;
/// a lie that took all numbers at once would leave none for us that a peer could read.
const CONVERSATIONS_AHEAD: u64 = 1 << 32;

/// The turn of a handshake.
pub fn greet(ctx: &mut Ctx<'_, '_>, greeting: Greeting) -> Result<(), Fault> {
    ctx.meet(greeting)?;
    ctx.close()
}

/// The turn of an attempt to reach a peer that has failed.
pub fn dial_failed(ctx: &mut Ctx<'_, '_>, peer: &str) -> Result<(), Fault> {
    if let Some(remote) = ctx.get::<RemotesByPeer>(&peer.to_owned())? {
        ctx.attempt_failed(remote)?;
    }
    ctx.close()
}

/// The turn of something that a peer may not say and that has no number: it is written down, and ends its connection
/// (L13). Of a stranger nothing is kept (L12).
pub fn offended(ctx: &mut Ctx<'_, '_>, peer: &str, why: String) -> Result<(), Fault> {
    if let Some(remote) = ctx.get::<RemotesByPeer>(&peer.to_owned())? {
        ctx.count_offence(remote, why)?;
    }
    ctx.close()
}

/// What the end of a conversation leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// The names of objects: both sides still know them.
    Objects,
    /// Nothing of the peer's: one of both has lost its state.
    Nothing,
    /// Nothing of the peer's either, but of our own will: the peer still has its side, and is told what we let go of.
    NothingAndSaysSo,
}

impl Ctx<'_, '_> {
    fn meet(&mut self, Greeting { connection, peer, hello, side, before, presence }: Greeting) -> Result<(), Fault> {
        let remote = match self.add_peer(&peer, Vec::new()) {
            Ok(remote) => remote,
            Err(Blame::Ours(fault)) => return Err(fault),
            Err(_) => {
                self.emit(Effect::HangUp { connection });
                return Ok(());
            }
        };
        let record = self.need::<Remotes>(&remote)?;
        let most = record.conversation.saturating_add(CONVERSATIONS_AHEAD);
        let lies = hello.sturdy.as_ref().is_some_and(|theirs| theirs.conversation > most);
        if record.state == RemoteState::Closed || lies {
            self.emit(Effect::HangUp { connection });
            return Ok(());
        }
        let cursor = self.remote_cursor(remote)?;
        let standing = standing(self.turn.incarnation(), &record, &cursor);
        let said = match hello.has_received(record.conversation) {
            Some(number) => said_up_to(&*self.turn, remote, &cursor, number)?,
            None => None,
        };
        let decided = verdict(&standing, &hello, Occasion { side, before: before.as_ref(), presence, said });
        let decided = match decided {
            Verdict::Copy | Verdict::StateLost { why: Loss::PeerSetBack | Loss::SetBackHere, .. }
                if defect::broken(Defect::SetBackNotNoticed) =>
            {
                Verdict::Continue
            }
            decided => decided,
        };
        if decided == Verdict::Copy {
            let why = "it greets with an older state of the same store while the newer one is connected: either two \
                       copies of one store are running, or it was set back and the old connection has not ended yet";
            self.notice(Notice::PeerOffended { remote, why: why.into() });
        }
        if matches!(decided, Verdict::Stale | Verdict::Copy) {
            self.emit(Effect::HangUp { connection });
            return Ok(());
        }
        self.apply_verdict(remote, &decided)?;
        if matches!(decided, Verdict::StateLost { why: Loss::SetBackHere, .. }) {
            return self.say_that_we_forgot(remote, connection, side);
        }
        let kind = if hello.sturdy.is_some() { PeerKind::Sturdy } else { PeerKind::Whatever };
        let mut record = self.need::<Remotes>(&remote)?;
        record.peer_incarnation = Some(hello.incarnation);
        record.kind = kind;
        if record.state == RemoteState::GivenUp && self.remote_cursor(remote)? != RemoteCursor::default() {
            record.state = RemoteState::Open; // the peer has something to say
        }
        let conversation = record.conversation;
        self.put::<Remotes>(&remote, &record);
        self.reached(remote)?;
        // Everything that the rejections above have caused is in the outbox before the position is shown.
        self.drain()?;
        if side == Side::Listener {
            let answer = super::hello(&*self.turn, self.turn.incarnation(), &peer)?;
            let bytes = encode(&Packet::HandshakeAck(answer)).into_bytes();
            self.emit(Effect::Transmit { connection, bytes });
        } else if hello.sturdy.is_some_and(|theirs| theirs.conversation != conversation) {
            // The listener answered with another conversation: it will follow when it is dialled again.
            self.emit(Effect::HangUp { connection });
            self.want(remote);
            return Ok(());
        }
        self.effects.links.push(LinkNews::Bound { connection, remote, conversation, kind });
        Ok(())
    }

    /// Our own store was set back. The peer has to end its side as a loss of state too, and knows it by this: we say that
    /// we have never seen it, until it has heard that and greets anew.
    fn say_that_we_forgot(&mut self, remote: RemoteId, connection: ConnectionId, side: Side) -> Result<(), Fault> {
        let mut record = self.need::<Remotes>(&remote)?;
        record.peer_incarnation = None;
        self.put::<Remotes>(&remote, &record);
        self.drain()?;
        match side {
            Side::Listener => {
                // Not bound by it: whatever follows on this connection ends it, and so does time.
                let answer = super::hello(&*self.turn, self.turn.incarnation(), &record.peer)?;
                let bytes = encode(&Packet::HandshakeAck(answer)).into_bytes();
                self.emit(Effect::Transmit { connection, bytes });
            }
            Side::Dialler => self.emit(Effect::HangUp { connection }),
        }
        self.want(remote);
        Ok(())
    }

    fn apply_verdict(&mut self, remote: RemoteId, verdict: &Verdict) -> Result<(), Fault> {
        match *verdict {
            Verdict::Continue | Verdict::Stale | Verdict::Copy => Ok(()),
            Verdict::FirstSeen { conversation } => {
                let mut record = self.need::<Remotes>(&remote)?;
                debug_assert!(conversation >= record.conversation, "the number of a conversation never goes back");
                record.conversation = conversation;
                self.put::<Remotes>(&remote, &record);
                Ok(())
            }
            Verdict::StateLost { conversation, why } => {
                self.notice(Notice::PeerRestarted { remote, why });
                self.end_conversation(remote, conversation, Leaves::Nothing, Code::PeerRestarted, &why.to_string())?;
                self.change_remote(remote, |cursor| {
                    cursor.recorded = false;
                    // What this life of the peer has said stays known: it may be set back to the same past again.
                    cursor.ended = cursor.ended.filter(|_| why == Loss::PeerSetBack);
                })
            }
            Verdict::Ended { conversation } => {
                let why = "the peer has ended the conversation: the outcome is unknown";
                self.end_conversation(remote, conversation, Leaves::Objects, Code::ConnectionLost, why)
            }
        }
    }

    /// Ends the conversation. The next one has this number and begins at 1; but a `whatever` peer that has not lost its
    /// state knows nothing of conversations: its numbers go on, and so do ours.
    fn end_conversation(
        &mut self,
        remote: RemoteId,
        next: u64,
        leaves: Leaves,
        code: Code,
        why: &str,
    ) -> Result<(), Fault> {
        let mut record = self.need::<Remotes>(&remote)?;
        debug_assert!(next > record.conversation, "the number of a conversation never comes twice");
        let unnoticed = defect::broken(Defect::GiveUpKeepsNumbers) && code == Code::ConnectionLost;
        if leaves != Leaves::Nothing && record.kind == PeerKind::Sturdy {
            self.carry_garbage(remote, record.conversation)?;
        }
        let goes_on = unnoticed || record.kind == PeerKind::Whatever && code != Code::PeerRestarted;
        let over = record.conversation;
        record.conversation = if unnoticed { over } else { next };
        self.put::<Remotes>(&remote, &record);
        self.effects.links.push(LinkNews::Cut(remote));
        for (key, _) in self.scan::<Outbox>(&remote)? {
            self.delete::<Outbox>(&key);
        }
        for (key, _) in self.scan::<Retiring>(&remote)? {
            self.delete::<Retiring>(&key);
        }
        self.drop_withheld(remote)?;
        self.change_remote(remote, |cursor| {
            // Our numbers for names, and what is counted, go on.
            let old = std::mem::take(cursor);
            if goes_on {
                (cursor.first_pending, cursor.next_send) = (old.next_send, old.next_send);
                cursor.highest_received = old.highest_received;
                (cursor.peer_object, cursor.peer_promise) = (old.peer_object, old.peer_promise);
            }
            cursor.last_object = old.last_object;
            cursor.last_promise = old.last_promise;
            cursor.names = old.names;
            cursor.peer_names = old.peer_names;
            cursor.offences = old.offences;
            cursor.refused = old.refused;
            cursor.skipped = old.skipped;
            cursor.unreachable_since = old.unreachable_since;
            cursor.attempts = old.attempts;
            cursor.max_attempts = old.max_attempts;
            cursor.give_up_after_ms = old.give_up_after_ms;
            cursor.recorded = old.recorded;
            cursor.ended = if old.highest_received > 0 { Some(end_of(over, &old)) } else { old.ended };
        })?;
        for ((_, rref), kref) in self.scan::<RemoteRefs>(&remote)? {
            match kref {
                KRef::Promise(id)
                    if self.turn.has::<RemoteNames>(&(kref, remote))?
                        && self.need::<RemoteNames>(&(kref, remote))?.rref == rref =>
                {
                    self.unsubscribe(id, Subscriber::Remote(remote))?;
                    self.unlink_name(remote, kref)?;
                }
                KRef::Promise(_) => self.forget_ref(remote, rref)?,
                KRef::Object(id) => self.object_after_conversation(remote, id, leaves)?,
            }
        }
        if !defect::broken(Defect::DecidedByPeerNotRejected) {
            self.reject_remote(remote, &KernelError::new(code, why))?;
        }
        self.reject_redemptions(remote, code, why)?;
        self.drain()
    }

    /// Ends a conversation of which our own store does not know enough to go on.
    pub(super) fn end_damaged(&mut self, remote: RemoteId, why: &str) -> Result<(), Fault> {
        let next = self.need::<Remotes>(&remote)?.conversation + 1;
        self.end_conversation(remote, next, Leaves::Objects, Code::ConnectionLost, why)
    }

    /// The name of an object when the conversation is over.
    fn object_after_conversation(
        &mut self,
        remote: RemoteId,
        id: sturdy_types::ObjectId,
        leaves: Leaves,
    ) -> Result<(), Fault> {
        let name = self.need::<RemoteNames>(&(id.into(), remote))?;
        let (rref, row) = (name.rref, (KRef::Object(id), remote));
        match (rref, leaves) {
            (RRef::Export(_), Leaves::Nothing) => return self.orphan_remote_object(remote, id),
            (RRef::Export(_), Leaves::NothingAndSaysSo) => {
                self.let_go_of(remote, rref);
                return self.orphan_remote_object(remote, id);
            }
            (RRef::Export(_), Leaves::Objects) if !name.reachable => {
                // Perhaps the peer never heard that we dropped it: it is told again.
                self.put::<RemoteNames>(&row, &RemoteName { reachable: true, ..name });
                self.maybe_free.insert(id.into());
            }
            (RRef::Export(_), Leaves::Objects) => {}
            (_, Leaves::Objects) => self.put::<RemoteNames>(&row, &RemoteName { last_named: 0, ..name }),
            (_, Leaves::Nothing | Leaves::NothingAndSaysSo) => return self.lose_name(remote, id.into(), name),
        }
        Ok(())
    }

    /// Does not wait for the peer any longer (L10). One that was closed on purpose stays closed.
    pub(crate) fn give_up(&mut self, peer: &str) -> Result<Answer, Blame> {
        let remote = self.known_peer(peer)?;
        self.end_waiting(remote, &format!("{peer} was given up: the outcome is unknown"))?;
        Ok(Answer::Done)
    }

    fn end_waiting(&mut self, remote: RemoteId, why: &str) -> Result<(), Fault> {
        let mut record = self.need::<Remotes>(&remote)?;
        if record.state == RemoteState::Open {
            record = self.set_remote_state(remote, RemoteState::GivenUp)?;
        }
        let not_sent = defect::broken(Defect::LostSaidNotToArrive);
        let code = if not_sent { Code::EndpointUnreachable } else { Code::ConnectionLost };
        self.end_conversation(remote, record.conversation + 1, Leaves::Objects, code, why)
    }

    /// An attempt to reach the peer has failed: noted durably once, and the end of waiting if a policy says so.
    fn attempt_failed(&mut self, remote: RemoteId) -> Result<(), Fault> {
        let RemoteRecord { peer, state, .. } = self.need::<Remotes>(&remote)?;
        if state != RemoteState::Open {
            return Ok(());
        }
        if defect::broken(Defect::UnreachableLosesOutbox) {
            for (key, _) in self.scan::<Outbox>(&remote)? {
                self.delete::<Outbox>(&key);
            }
            self.change_remote(remote, |cursor| {
                (cursor.first_pending, cursor.outbox_bytes) = (cursor.next_send, 0);
            })?;
        }
        let now = self.now;
        let cursor = self.change_remote(remote, |cursor| {
            // An earlier process had another clock, perhaps: what it has noted is not later than now.
            cursor.unreachable_since = Some(cursor.unreachable_since.map_or(now, |since| since.min(now)));
            cursor.attempts += 1;
            cursor.clone()
        })?;
        let Patience { max_attempts: most, give_up_after_ms: longest } = self.patience(super::own_patience(&cursor));
        let attempts = cursor.attempts;
        let waited = now.saturating_sub(cursor.unreachable_since.unwrap_or(now));
        if most.is_some_and(|most| attempts >= most) || longest.is_some_and(|longest| waited >= longest) {
            let why = format!("{peer} was not reached {attempts} times in {waited} ms: the outcome is unknown");
            self.end_waiting(remote, &why)?;
        }
        Ok(())
    }

    /// What was noted of failed attempts, and of the peer's room, begins anew.
    pub(super) fn reached(&mut self, remote: RemoteId) -> Result<(), Fault> {
        let cursor = self.remote_cursor(remote)?;
        if cursor.unreachable_since.is_some() || cursor.credit > 0 {
            self.change_remote(remote, |cursor| {
                cursor.unreachable_since = None;
                cursor.attempts = 0;
                cursor.credit = 0;
            })?;
        }
        Ok(())
    }

    /// What holds for a peer for which this was said.
    pub(super) fn patience(&self, own: Patience) -> Patience {
        Patience {
            max_attempts: own.max_attempts.or(self.limits.give_up_attempts),
            give_up_after_ms: own.give_up_after_ms.or(self.limits.give_up_after_ms),
        }
    }

    /// How long this peer is waited for.
    pub(crate) fn set_patience(&mut self, peer: &str, patience: Patience) -> Result<Answer, Blame> {
        let remote = self.known_peer(peer)?;
        self.change_remote(remote, |cursor| {
            cursor.max_attempts = patience.max_attempts;
            cursor.give_up_after_ms = patience.give_up_after_ms;
        })?;
        Ok(Answer::Done)
    }

    /// The store was put back from a backup (L8): it is another life, and what it believes of its conversations is old.
    pub(crate) fn renew(&mut self, incarnation: Incarnation) -> Result<Answer, Blame> {
        let why = "this kernel was restored from a backup";
        self.put::<IncarnationTable>(&(), &incarnation);
        for (remote, record) in self.scan::<Remotes>(&())? {
            let next = record.conversation + 1;
            self.end_conversation(remote, next, Leaves::Nothing, Code::PeerRestarted, why)?;
            self.change_remote(remote, |cursor| (cursor.recorded, cursor.ended) = (false, None))?;
        }
        Ok(Answer::Done)
    }

    /// Closes the connection on purpose, until somebody reconnects.
    pub(crate) fn close_peer(&mut self, peer: &str, pending: OnClose) -> Result<Answer, Blame> {
        let remote = self.known_peer(peer)?;
        let record = self.set_remote_state(remote, RemoteState::Closed)?;
        match pending {
            OnClose::Keep => self.effects.links.push(LinkNews::Cut(remote)),
            OnClose::Discard => {
                let why = format!("the connection to {peer} was closed");
                let next = record.conversation + 1;
                self.end_conversation(remote, next, Leaves::Objects, Code::ConnectionClosed, &why)?;
            }
        }
        Ok(Answer::Done)
    }

    /// Talks to a peer again.
    pub(crate) fn reconnect_peer(&mut self, peer: &str) -> Result<Answer, Blame> {
        let remote = self.known_peer(peer)?;
        self.set_remote_state(remote, RemoteState::Open)?;
        self.reached(remote)?;
        self.effects.links.push(LinkNews::Pardoned(remote));
        self.want(remote);
        Ok(Answer::Done)
    }

    /// Lets go of everything that the peer holds and of everything that it gave, which waits in the outbox until the peer
    /// greets; then it also hears that the conversation has ended, and waits for nothing of it any longer. The record and
    /// the numbers given out stay: the peer must never take an old name for a new one.
    pub(crate) fn forget_peer(&mut self, peer: &str) -> Result<Answer, Blame> {
        let remote = self.known_peer(peer)?;
        let record = self.need::<Remotes>(&remote)?;
        if record.state == RemoteState::Open {
            self.set_remote_state(remote, RemoteState::GivenUp)?;
        }
        let why = format!("{peer} was forgotten: the outcome is unknown");
        // A `whatever` peer does not know that our numbers begin anew, and would take what it is told for repetitions.
        let leaves = if record.kind == PeerKind::Sturdy { Leaves::NothingAndSaysSo } else { Leaves::Nothing };
        self.end_conversation(remote, record.conversation + 1, leaves, Code::ConnectionLost, &why)?;
        // What the rejections have named meanwhile waits for the peer, should it come back.
        self.release_lost(remote)?;
        Ok(Answer::Done)
    }

    fn set_remote_state(&mut self, remote: RemoteId, state: RemoteState) -> Result<RemoteRecord, Fault> {
        let mut record = self.need::<Remotes>(&remote)?;
        record.state = state;
        self.put::<Remotes>(&remote, &record);
        Ok(record)
    }
}
