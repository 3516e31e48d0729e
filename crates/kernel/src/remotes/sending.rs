//! What goes to a peer: messages, settlements. All of it is appended to the outbox in the turn of its cause.
//!
//! What always holds: the numbers in the outbox are consecutive; a message that is refused takes no number and names
//! nothing; a settlement is told after the messages that waited for it, so that the peer hears both in the order in
//! which they took effect (L5).

use super::names::flipped;
use crate::blame::Fault;
use crate::ctx::Ctx;
use crate::routing::Work;
use sturdy_remote::{
    Body, Delivered, ENVELOPE_BYTES, Envelope, MAX_FRAME_BYTES, MAX_LIST, Packet, encode, value_bytes,
};
use sturdy_store::{
    Decider, Outbox, PeerKind, PromiseQueue, PromiseState, Promises, RemoteName, RemoteNames, Remotes, Retiring,
    RetiringRecord,
};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CapData, KRef, Message, PromiseId, RRef, RemoteId, Resolution};

impl Ctx<'_, '_> {
    /// Sends a message to an object or promise of the peer, or ends it with the reason why not. The caller has seen that
    /// the target has a name.
    pub(crate) fn send_to_remote(
        &mut self,
        remote: RemoteId,
        target: KRef,
        mut message: Message<KRef>,
    ) -> Result<(), Fault> {
        if let Some(error) = self.cannot_send(remote, &message)? {
            return self.splat(target, &message, &error);
        }
        let seq = self.remote_cursor(remote)?.next_send;
        let name = self.need::<RemoteNames>(&(target, remote))?;
        if let KRef::Promise(_) = target {
            self.put::<RemoteNames>(&(target, remote), &RemoteName { last_named: seq, ..name });
        }
        let result = match message.result {
            Some(KRef::Promise(id)) => id,
            Some(KRef::Object(id)) => {
                return Err(crate::blame::broken(format!("{id} stands where a result promise should")));
            }
            None => {
                // The reference refuses messages without a result, and a failure has to reach somebody.
                let id = self.new_promise(Decider::Nobody)?;
                message.result = Some(id.into());
                id
            }
        };
        // The body moves on; what is released below are the slots.
        let (body, slots) = (std::mem::take(&mut message.methargs.body), message.methargs.slots.clone());
        let methargs = self.capdata_to_remote(remote, CapData { body, slots }, seq)?;
        let wire_result = flipped(self.result_to_remote(remote, result, seq)?);
        let told = Message { methargs, result: Some(wire_result) };
        let target = flipped(name.rref);
        self.append(remote, Body::Deliver(Delivered::Message { target, message: told }))?;
        self.follow(result)?;
        self.release_message(&message)
    }

    /// Appends a message to the outbox. It is never refused: whoever may be refused was asked before.
    pub(crate) fn append(&mut self, remote: RemoteId, body: Body) -> Result<u64, Fault> {
        let cursor = self.remote_cursor(remote)?;
        if defect::broken(Defect::FullOutboxStops)
            && cursor.next_send - cursor.first_pending >= self.limits.remote_outbox_messages
        {
            return Err(crate::blame::broken("the outbox is full"));
        }
        let seq = cursor.next_send;
        let ack = super::position(&cursor).ack();
        let text = encode(&Packet::Message(Envelope { seq, ack, body: Ok(body) }));
        self.change_remote(remote, |cursor| {
            cursor.next_send += 1;
            cursor.outbox_bytes += text.len() as u64;
        })?;
        self.put_new::<Outbox>(&(remote, seq), &text);
        self.want(remote);
        Ok(seq)
    }

    /// Messages that waited for a promise follow the message that decides it now: they go before everything that is
    /// still on its way in this turn.
    fn follow(&mut self, id: PromiseId) -> Result<(), Fault> {
        let mut promise = self.need::<Promises>(&id)?;
        let PromiseState::Unresolved { queue_head, queue_tail, .. } = &mut promise.state else { return Ok(()) };
        let waiting = *queue_head..*queue_tail;
        *queue_head = *queue_tail;
        if waiting.is_empty() {
            return Ok(());
        }
        self.put::<Promises>(&id, &promise);
        for index in waiting.rev() {
            let message = self.need::<PromiseQueue>(&(id, index))?;
            self.delete::<PromiseQueue>(&(id, index));
            self.work.push_front(Work::Route { target: id.into(), message, parked: true });
        }
        Ok(())
    }

    /// Whether messages to an unsettled promise go to the peer that decides it. To a `whatever` peer they do not: it
    /// forwards at its leisure, so their order could not be kept.
    pub(crate) fn pipelines(&self, remote: RemoteId, id: PromiseId) -> Result<bool, Fault> {
        Ok(self.peer_decides(remote, id.into())? && self.need::<Remotes>(&remote)?.kind != PeerKind::Whatever)
    }

    /// Tells the peer how a promise was settled, and every settled promise that its value mentions. From then on the
    /// names stand only for what the peer sent before it heard.
    pub(crate) fn tell_remote(&mut self, remote: RemoteId, id: PromiseId) -> Result<(), Fault> {
        if self.name_of(remote, id.into())?.is_none() {
            return Ok(()); // an earlier message told it, or the conversation has ended
        }
        let settled = self.settled_closure(id)?;
        let mut names = Vec::with_capacity(settled.len());
        for (id, ..) in &settled {
            names.push(self.settled_name(remote, *id, 0)?);
        }
        let mut batch = Batch::default();
        for (&rref, (_, mut rejected, mut value)) in names.iter().zip(settled.iter().cloned()) {
            if let Some(error) = self.cannot_tell(&self.remote_cursor(remote)?, &value) {
                (rejected, value) = (true, error.to_capdata());
            }
            let bytes = value_bytes(&value) + ENVELOPE_BYTES;
            if batch.bytes + bytes + ENVELOPE_BYTES > MAX_FRAME_BYTES || batch.told.len() >= MAX_LIST {
                self.notify_remote(remote, std::mem::take(&mut batch))?;
            }
            let seq = self.remote_cursor(remote)?.next_send;
            let value = self.capdata_to_remote(remote, value, seq)?;
            batch.bytes += bytes;
            batch.names.push(rref);
            batch.told.push(Resolution { promise: flipped(rref), rejected, value });
        }
        self.notify_remote(remote, batch)?;
        for (id, ..) in &settled {
            self.delete::<RemoteNames>(&((*id).into(), remote));
        }
        Ok(())
    }

    fn notify_remote(&mut self, remote: RemoteId, batch: Batch) -> Result<(), Fault> {
        let seq = self.append(remote, Body::Deliver(Delivered::Notify(batch.told)))?;
        self.put_new::<Retiring>(&(remote, seq), &RetiringRecord { names: batch.names, until: 0 });
        Ok(())
    }
}

/// Settlements that go in one message.
#[derive(Default)]
struct Batch {
    told: Vec<Resolution<RRef>>,
    names: Vec<RRef>,
    bytes: usize,
}
