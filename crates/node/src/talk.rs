//! What we say of one conversation on the connection that was bound last: which outbox rows are on the wire, what is
//! acknowledged, how much room the peer was told of.
//!
//! Volatile, like the connection. What always holds: only durable rows are said, in order; to a `whatever` peer at most
//! `CALLS_IN_FLIGHT` calls are on the wire without an answer, whatever it has acknowledged (L4).

use std::collections::BTreeSet;
use sturdy_kernel::{Effect, room_for_calls};
use sturdy_remote::{
    Body, Carried, Delivered, Envelope, Pacer, PacerLimits, Packet, Speak, acknowledges, decode, encode,
};
use sturdy_store::{Decider, Outbox, PeerKind, PromiseState, Promises, Read, RemoteCursor, RemoteRefs, StoreFault};
use sturdy_types::{ConnectionId, KRef, KernelLimits, Millis, RRef, RemoteId};

/// Calls on the wire that a `whatever` peer has not answered. It stops for ever when it has 200 answers to give that
/// are not acknowledged (wire-protocol W-6).
const CALLS_IN_FLIGHT: usize = 100;

/// What we say, and have heard, of one conversation. It begins anew on the connection that was bound last.
#[derive(Debug)]
pub(crate) struct Talk {
    pub connection: ConnectionId,
    pub kind: PeerKind,
    pub pacer: Pacer,
    /// Messages heard in turns that are not durable yet.
    pub heard: u64,
    /// More is durable than was put on the wire: an acknowledgement lets it go on.
    pub waits_for_window: bool,
    /// The room that the peer was told of last.
    told_room: Option<u64>,
    /// For `whatever` peers: the results of calls on the wire, in our frame. `None` until it is looked up.
    asked: Option<BTreeSet<RRef>>,
}

/// What the tables say about it, and the time.
pub(crate) struct Scene<'s, R> {
    pub now: Millis,
    pub read: &'s R,
    pub limits: &'s KernelLimits,
    pub remote: RemoteId,
    pub cursor: &'s RemoteCursor,
}

impl Talk {
    pub fn new(connection: ConnectionId, kind: PeerKind, first_pending: u64, heard: u64) -> Self {
        let limits = if kind == PeerKind::Whatever { PacerLimits::toward_whatever() } else { PacerLimits::default() };
        Self {
            connection,
            kind,
            pacer: Pacer::new(limits, first_pending),
            heard,
            waits_for_window: false,
            told_room: None,
            asked: None,
        }
    }

    pub fn speak<R: Read>(&mut self, scene: &Scene<'_, R>, out: &mut Vec<Effect>) -> Result<(), StoreFault> {
        let Scene { now, cursor, .. } = *scene;
        for speak in self.pacer.on_time(now) {
            match speak {
                Speak::Ack => self.acknowledge(scene, out),
                Speak::Message(seq) => {
                    if let Some(text) = scene.read.get::<Outbox>(&(scene.remote, seq))? {
                        self.transmit(scene, seq, text, out);
                    } else {
                        self.passed(scene, seq);
                    }
                }
            }
        }
        while let Some(seq) = self.pacer.next_to_send(cursor.next_send) {
            let Some(text) = scene.read.get::<Outbox>(&(scene.remote, seq))? else {
                self.passed(scene, seq);
                continue;
            };
            if self.kind == PeerKind::Whatever && !self.may_ask(scene, &text)? {
                break;
            }
            self.transmit(scene, seq, text, out);
        }
        self.waits_for_window = self.pacer.next_unsent() < cursor.next_send;
        // A full batch of messages heard does not wait for the clock; nor does a peer that found no room before.
        let at_once =
            self.pacer.deadline().is_some_and(|at| at <= now) && self.pacer.on_time(now).contains(&Speak::Ack);
        if at_once || self.has_more_room(scene) {
            self.acknowledge(scene, out);
        }
        Ok(())
    }

    /// Acknowledged meanwhile on another connection.
    fn passed<R>(&mut self, scene: &Scene<'_, R>, seq: u64) {
        self.pacer.acknowledged(scene.now, scene.cursor.first_pending.saturating_sub(1).max(seq));
    }

    fn has_more_room<R>(&self, scene: &Scene<'_, R>) -> bool {
        self.told_room.is_some_and(|told| room_for_calls(scene.limits, scene.cursor) / 2 > told)
            || (self.told_room == Some(0) && room_for_calls(scene.limits, scene.cursor) > 0)
    }

    pub fn acknowledge<R>(&mut self, scene: &Scene<'_, R>, out: &mut Vec<Effect>) {
        let Scene { now, limits, cursor, .. } = *scene;
        self.pacer.ack_sent();
        self.pacer.spoke(now);
        if cursor.highest_received == 0 {
            return; // there is no number to acknowledge
        }
        let ack = cursor.highest_received;
        let packet = if self.kind == PeerKind::Sturdy {
            let room = room_for_calls(limits, cursor);
            self.told_room = Some(room);
            Packet::Credit { ack, alloc: cursor.next_send - 1, room }
        } else {
            Packet::Ack { ack, alloc: None }
        };
        out.push(Effect::Transmit { connection: self.connection, bytes: encode(&packet).into_bytes() });
    }

    fn transmit<R>(&mut self, scene: &Scene<'_, R>, seq: u64, text: String, out: &mut Vec<Effect>) {
        let carried = if acknowledges(&text) == Some(scene.cursor.highest_received) {
            Carried::EverythingOwed
        } else {
            Carried::Less
        };
        let bytes = text.into_bytes();
        self.pacer.sent(scene.now, seq, bytes.len(), carried);
        out.push(Effect::Transmit { connection: self.connection, bytes });
    }

    /// Whether a message may go to a `whatever` peer now. Numbers go in order, so what follows a call waits with it.
    fn may_ask<R: Read>(&mut self, scene: &Scene<'_, R>, text: &str) -> Result<bool, StoreFault> {
        let Some(result) = result_of(text) else { return Ok(true) };
        let mut asked = match self.asked.take() {
            Some(asked) => asked,
            None => on_the_wire(scene)?,
        };
        if asked.len() >= CALLS_IN_FLIGHT {
            let mut waiting = BTreeSet::new();
            for rref in asked {
                if is_waited_for(scene, rref)? {
                    waiting.insert(rref);
                }
            }
            asked = waiting;
        }
        let may = asked.len() < CALLS_IN_FLIGHT;
        if may {
            asked.insert(result);
        }
        self.asked = Some(asked);
        Ok(may)
    }
}

/// The result that a message of ours names, in our frame.
fn result_of(text: &str) -> Option<RRef> {
    let Ok(Packet::Message(Envelope { body: Ok(Body::Deliver(Delivered::Message { message, .. })), .. })) =
        decode(text.as_bytes())
    else {
        return None;
    };
    Some(match message.result? {
        RRef::PromiseExport(number) => RRef::PromiseImport(number),
        RRef::PromiseImport(number) => RRef::PromiseExport(number),
        other => other,
    })
}

/// What the peer is to settle and has heard of: everything that it is to settle, but for what is still in the outbox.
fn on_the_wire<R: Read>(scene: &Scene<'_, R>) -> Result<BTreeSet<RRef>, StoreFault> {
    let mut asked = BTreeSet::new();
    for ((_, rref), _) in scene.read.scan::<RemoteRefs>(&scene.remote, None, usize::MAX)? {
        if matches!(rref, RRef::PromiseImport(_)) && is_waited_for(scene, rref)? {
            asked.insert(rref);
        }
    }
    for (_, text) in scene.read.scan::<Outbox>(&scene.remote, None, usize::MAX)? {
        if let Some(result) = result_of(&text) {
            asked.remove(&result);
        }
    }
    Ok(asked)
}

fn is_waited_for<R: Read>(scene: &Scene<'_, R>, rref: RRef) -> Result<bool, StoreFault> {
    let Some(KRef::Promise(id)) = scene.read.get::<RemoteRefs>(&(scene.remote, rref))? else { return Ok(false) };
    let state = scene.read.get::<Promises>(&id)?.map(|promise| promise.state);
    Ok(matches!(state, Some(PromiseState::Unresolved { decider: Decider::Remote(by), .. }) if by == scene.remote))
}
