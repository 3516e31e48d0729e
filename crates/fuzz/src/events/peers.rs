//! What peers say: what an honest one would say now, slight variations of it, anything well-formed, and any bytes.

use super::{body, host};
use crate::tape::Tape;
use sturdy_kernel::Event;
use sturdy_node::Node;
use sturdy_remote::{Body, Delivered, Envelope, Hello, Packet, Position, RedeemReply, Side, SturdyHello, encode};
use sturdy_store::{Read, RemoteCursor, RemoteCursors, RemoteRecord, Remotes, RemotesByPeer};
use sturdy_types::{CapData, ConnectionId, Message, RRef, Resolution};

/// Peer ids. The first is known from the beginning.
pub(super) const NAMES: [&str; 4] = ["A", "B", "C", "D"];

/// More than these are not kept open.
const CONNECTIONS: usize = 6;

pub(super) fn name(tape: &mut Tape<'_>) -> String {
    // Mostly the first.
    NAMES[[0, 0, 0, 0, 1, 1, 2, 3][tape.below(8)]].into()
}

struct Connection {
    id: ConnectionId,
    peer: String,
    side: Side,
}

/// The peers and the connections to them.
#[derive(Default)]
pub(super) struct Peers {
    open: Vec<Connection>,
    last: u64,
    /// Which life of the peers' stores this is.
    life: u8,
}

impl Peers {
    pub(super) fn closed(&mut self, connection: ConnectionId) {
        self.open.retain(|open| open.id != connection);
    }

    pub(super) fn all_closed(&mut self) {
        self.open.clear();
    }

    /// A connection is opened and mostly greeted at once, or one ends.
    pub(super) fn meet(&mut self, node: &Node, tape: &mut Tape<'_>) -> Vec<Event> {
        let choice = tape.byte();
        if choice % 8 == 7 || self.open.len() >= CONNECTIONS {
            let connection = ConnectionId(self.last.saturating_sub(u64::from(choice >> 5)));
            self.closed(connection);
            return vec![Event::Disconnected { connection }];
        }
        self.last += 1;
        let id = ConnectionId(self.last);
        let side = if choice.is_multiple_of(2) { Side::Listener } else { Side::Dialler };
        let peer = name(tape);
        self.open.push(Connection { id, peer: peer.clone(), side });
        let mut events = vec![Event::Connected { connection: id, peer: peer.clone(), side }];
        if choice % 8 < 6 {
            let packet = self.greeting(node, &peer, side, tape);
            events.push(Event::Received { connection: id, frame: encode(&packet).into_bytes() });
        }
        events
    }

    /// One frame on some connection.
    pub(super) fn say(&mut self, node: &Node, tape: &mut Tape<'_>) -> Option<Event> {
        let back = tape.below(8);
        // Mostly on the newest.
        let at = self.open.len().checked_sub(1 + back.saturating_sub(5))?;
        let Connection { id, peer, side } = &self.open[at];
        let (connection, peer, side) = (*id, peer.clone(), *side);
        let (_, cursor) = standing(node, &peer);
        let frame = match tape.below(16) {
            0..=9 => encode(&message(&cursor, tape)).into_bytes(),
            10 | 11 => {
                let sent = cursor.next_send - 1;
                let ack = if tape.once_in(3) { 1 + tape.number(8) } else { sent.max(1) };
                let alloc = [None, Some(cursor.highest_received), Some(tape.number(8))][tape.below(3)];
                encode(&Packet::Ack { ack, alloc }).into_bytes()
            }
            12 => encode(&self.greeting(node, &peer, side, tape)).into_bytes(),
            13 | 14 => {
                let mut frame = encode(&message(&cursor, tape)).into_bytes();
                let at = tape.below(frame.len());
                frame[at] ^= tape.byte();
                frame
            }
            _ => {
                let length = tape.below(24);
                tape.bytes(length).to_vec()
            }
        };
        Some(Event::Received { connection, frame })
    }

    /// What an honest peer would say in a handshake that knows what we know of it, unless the tape changes a part.
    fn greeting(&mut self, node: &Node, peer: &str, side: Side, tape: &mut Tape<'_>) -> Packet {
        let (record, cursor) = standing(node, peer);
        let choice = tape.byte();
        if choice % 16 == 15 {
            self.life = self.life.wrapping_add(1);
        }
        let seen = record.as_ref().is_some_and(|record| record.peer_incarnation.is_some());
        let next_send = cursor.highest_received + 1;
        let mut sturdy = SturdyHello {
            version: 1,
            conversation: record.map_or(1, |record| record.conversation),
            saw: seen.then(|| node.store().incarnation().to_string()),
            position: Position { first_pending: next_send, next_send, highest_received: cursor.next_send - 1 },
            histories: None,
            recorded: false,
            ended: None,
        };
        match choice % 16 {
            0..=8 | 15 => {}
            9 => sturdy.conversation = 1 + tape.number(6),
            10 => sturdy.saw = tape.once_in(2).then(|| "another".into()),
            11 => sturdy.position.highest_received = tape.number(8),
            12 => sturdy.position = Position { first_pending: 1, next_send: 1, highest_received: 0 },
            13 => {
                let first_pending = 1 + tape.number(6);
                sturdy.position.first_pending = first_pending;
                sturdy.position.next_send = first_pending + tape.number(6);
            }
            _ => sturdy.conversation = (1 << 53) - 1,
        }
        // A peer that speaks like the reference says only who it is.
        let plain = choice / 16 % 8 == 7;
        let hello = Hello { incarnation: format!("{peer}{}", self.life), sturdy: (!plain).then_some(sturdy) };
        let wrong_side = choice / 128 == 1 && tape.once_in(8);
        if (side == Side::Listener) ^ wrong_side { Packet::Handshake(hello) } else { Packet::HandshakeAck(hello) }
    }
}

fn standing(node: &Node, peer: &str) -> (Option<RemoteRecord>, RemoteCursor) {
    let store = node.store();
    let remote = store.get::<RemotesByPeer>(&peer.to_owned()).expect("memory is readable");
    let Some(remote) = remote else { return (None, RemoteCursor::default()) };
    let record = store.get::<Remotes>(&remote).expect("memory is readable");
    let cursor = store.get::<RemoteCursors>(&remote).expect("memory is readable");
    (record, cursor.unwrap_or_default())
}

fn message(cursor: &RemoteCursor, tape: &mut Tape<'_>) -> Packet {
    let choice = tape.byte();
    let next = cursor.highest_received + 1;
    let seq = match choice % 16 {
        0..=11 => next,
        12 => next + 1,
        13 => next + 2,
        14 => next.saturating_sub(1).max(1),
        _ => next + 5_000,
    };
    let sent = cursor.next_send - 1;
    let ack = match choice / 16 % 4 {
        0 | 1 => None,
        2 => Some(sent),
        _ => Some(sent.saturating_sub(1)),
    };
    Packet::Message(Envelope { seq, ack: ack.filter(|ack| *ack > 0), body: Ok(said(cursor, tape)) })
}

fn said(cursor: &RemoteCursor, tape: &mut Tape<'_>) -> Body {
    match tape.below(16) {
        0..=5 => {
            let target = ours(tape);
            let slots = (0..[0, 1, 1, 2, 4, 7][tape.below(6)]).map(|_| reference(cursor, tape)).collect();
            let result = match tape.below(6) {
                0 => None,
                1 => Some(promise(tape)),
                _ => Some(RRef::PromiseExport(cursor.peer_promise.saturating_add(1).min(1 << 50))),
            };
            let methargs = CapData { body: "#[\"go\",[]]".into(), slots };
            Body::Deliver(Delivered::Message { target, message: Message { methargs, result } })
        }
        6..=9 => Body::Deliver(Delivered::Notify(
            (0..=tape.below(3))
                .map(|_| {
                    let slots: Vec<RRef> = (0..[0, 1, 1, 2][tape.below(4)]).map(|_| reference(cursor, tape)).collect();
                    let lone = matches!(slots.first(), Some(RRef::PromiseExport(_) | RRef::PromiseImport(_)));
                    Resolution { promise: promise(tape), rejected: tape.once_in(3), value: body(slots, lone) }
                })
                .collect(),
        )),
        10 => Body::Deliver(Delivered::DropExports(references(cursor, tape))),
        11 => Body::Deliver(Delivered::RetireExports(references(cursor, tape))),
        12 => Body::Deliver(Delivered::RetireImports(references(cursor, tape))),
        13 => Body::Deliver(Delivered::BringOutYourDead),
        14 => Body::RedeemUrl { url: host::URLS[tape.below(2)].into(), key: format!("r{}", tape.below(4)) },
        _ => {
            let reply = if tape.once_in(3) {
                RedeemReply::Refused("no".into())
            } else {
                RedeemReply::Granted(reference(cursor, tape))
            };
            Body::RedeemUrlReply { key: format!("k{}", tape.below(40)), reply }
        }
    }
}

fn references(cursor: &RemoteCursor, tape: &mut Tape<'_>) -> Vec<RRef> {
    (0..tape.below(4)).map(|_| reference(cursor, tape)).collect()
}

/// Something that we gave the peer a name for, perhaps.
fn ours(tape: &mut Tape<'_>) -> RRef {
    let byte = tape.byte();
    let number = u64::from(byte >> 2) % 6 + 1;
    if byte & 3 == 3 { RRef::PromiseImport(number) } else { RRef::Import(number) }
}

fn promise(tape: &mut Tape<'_>) -> RRef {
    let byte = tape.byte();
    let number = u64::from(byte >> 1) % 6 + 1;
    if byte & 1 == 0 { RRef::PromiseImport(number) } else { RRef::PromiseExport(number) }
}

/// Any name: of the peer's, new or old, or of ours.
fn reference(cursor: &RemoteCursor, tape: &mut Tape<'_>) -> RRef {
    let number = tape.number(6) + 1;
    match tape.below(8) {
        0 | 1 => RRef::Export(cursor.peer_object.saturating_add(1).min(1 << 50)),
        2 => RRef::Export(number),
        3 => RRef::PromiseExport(cursor.peer_promise.saturating_add(1).min(1 << 50)),
        4 => RRef::PromiseExport(number),
        5 | 6 => RRef::Import(number),
        _ => RRef::PromiseImport(number),
    }
}
