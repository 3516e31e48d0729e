//! What happens in the model, one turn each: the glue around the real verdicts, positions and codec.
//!
//! It follows `Node::received`, `Node::hear_all`, `Links` and the kernel's `remotes/{meeting,receiving}`, which cannot be
//! driven without a whole kernel, line by line, and nothing more. A [`Defect`] breaks one line of it on purpose, so that
//! the promises can be shown to notice. Always: a turn changes the open group; [`World::commit`] alone makes it durable
//! and lets bytes out, unless a defect says otherwise.

use crate::world::{Binding, End, Fate, Flaw, Party, Sent, Store, Taken, Text, Wire, World, life_of};
use std::collections::BTreeSet;
use std::sync::Arc;
use sturdy_remote::{
    Body, Ended, Envelope, FrameReader, Hello, Histories, Loss, Occasion, Packet, Position, Presence, Receipt, Side,
    Standing, Verdict, decode, digest, encode, is_current, verdict, write_frame,
};

/// Which line is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// None: this is what the kernel does.
    None,
    /// Any number above the highest received is accepted (the reference's W-1).
    AcceptsGaps,
    /// Acknowledgements do not wait for the commit (G6).
    AcknowledgesBeforeDurable,
    /// Messages do not wait for the commit (G2).
    TransmitsBeforeDurable,
    /// The peer's incarnation is not durable (G9).
    ForgetsIncarnation,
    /// Frames of an ended conversation count (L3).
    HearsOldConnections,
    /// Messages held back outlive their conversation.
    KeepsHeld,
    /// The highest number received is not durable.
    ResetsSequence,
    /// The outbox is not durable (G7).
    LosesOutbox,
    /// The outbox outlives the peer's incarnation (G10).
    KeepsOutbox,
    /// A handshake is believed to be as new as its reading.
    TrustsOldGreetings,
}

/// The rules of a world that its turns need.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub defect: Defect,
    /// Whether each turn is made durable at once, or groups of turns at any later time.
    pub commits: Commits,
    /// Whether messages that come too early are kept.
    pub early: Early,
    /// What a listener concludes from a greeting that may be old.
    pub freshness: Freshness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    EachTurn,
    AnyTime,
}

/// A greeting may be read long after it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// No alarm may be false.
    NoFalseAlarm,
    /// A dead life's greeting may be believed, and what follows from that is no flaw: all else has to hold.
    DeadLivesTolerated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    Held,
    Dropped,
}

/// Ends a conversation in the store. What was pending is told to its senders.
fn end_conversation(store: &mut Store, next: u64, defect: Defect) {
    let over = std::mem::replace(&mut store.conversation, next);
    if defect == Defect::KeepsOutbox {
        store.position.highest_received = 0;
        return;
    }
    store.outbox.clear();
    for sent in store.sent.values_mut().filter(|sent| sent.fate == Fate::Pending) {
        sent.fate = Fate::Told;
    }
    if store.position.highest_received > 0 {
        let (conversation, position, histories) = (over, store.position, Some(store.histories));
        store.ended = Some(Ended { conversation, position, histories });
    }
    store.position = Position::default();
    store.histories = Histories::default();
}

/// One frame through the real cutting of a stream, in two pieces.
pub fn cut(payload: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    write_frame(payload.as_bytes(), &mut stream).expect("the model's frames are short");
    let (mut first, mut second) = stream.split_at(stream.len() / 2);
    let mut reader = FrameReader::new();
    let early = reader.read(&mut first).expect("well formed");
    early.or_else(|| reader.read(&mut second).expect("well formed")).expect("complete")
}

impl World {
    /// A user sends something to the peer.
    pub fn send(&mut self, side: usize, rules: Rules) {
        let party = &mut self.parties[side];
        let serial = party.serial;
        party.serial += 1;
        let store = party.change();
        let (ack, seq) = (store.position.ack(), store.position.allocate());
        let body = Body::RedeemUrl { url: format!("{}.{serial}", store.life), key: String::new() };
        let text: Text = encode(&Packet::Message(Envelope { seq, ack, body: Ok(body) })).into();
        let (conversation, meant) = (store.conversation, store.peer_life());
        store.outbox.insert(seq, text.clone());
        store.sent.insert(serial, Sent { conversation, seq, meant, fate: Fate::Pending });
        if rules.defect == Defect::TransmitsBeforeDurable
            && let Some(wire) = party.talk
        {
            self.write(wire, side, text);
        }
        self.turn_done(side, rules);
    }

    /// The process dies and starts again with what is durable.
    pub fn restart(&mut self, side: usize, rules: Rules) {
        self.crashes += 1;
        let party = &mut self.parties[side];
        party.crash();
        let store = Arc::make_mut(&mut party.durable);
        match rules.defect {
            Defect::ForgetsIncarnation => store.peer = None,
            Defect::ResetsSequence => store.position.highest_received = 0,
            Defect::LosesOutbox => {
                store.outbox.clear();
                store.position.first_pending = store.position.next_send;
            }
            _ => {}
        }
        self.cut_all(side);
    }

    /// The store is lost with the process; an empty one begins another life (G9).
    pub fn lose_store(&mut self, side: usize) {
        self.losses += 1;
        let party = &mut self.parties[side];
        party.crash();
        let fresh = Arc::new(Store::fresh(side, party.durable.life + 1));
        party.past.push(std::mem::replace(&mut party.durable, fresh));
        self.cut_all(side);
    }

    /// The operator gives the peer up (L10).
    pub fn give_up(&mut self, side: usize, rules: Rules) {
        self.give_ups += 1;
        let store = self.parties[side].change();
        end_conversation(store, store.conversation + 1, rules.defect);
        self.cut_conversation(side, rules);
        self.turn_done(side, rules);
    }

    /// A connection to the peer. The one that it replaces is gone at this end.
    pub fn dial(&mut self, side: usize, rules: Rules) {
        self.parties[side].dials += 1;
        let talk = self.parties[side].talk.take();
        for (index, wire) in self.wires.iter_mut().enumerate() {
            let dialling = wire.dialler == side && wire.ends[side].bound().is_none();
            if talk == Some(index) || dialling {
                wire.close(side);
            }
        }
        let hello = encode(&Packet::Handshake(self.parties[side].store().hello()));
        let mut ends = [End::Unseen, End::Unseen];
        ends[side] = self.opened(side);
        self.wires.push(Wire { dialler: side, ends, toward: [BTreeSet::new(), BTreeSet::new()] });
        self.parties[side].waiting.push((self.wires.len() - 1, hello.into()));
        self.turn_done(side, rules);
    }

    /// The listener learns of a connection.
    pub fn accept(&mut self, wire: usize) {
        let listener = 1 - self.wires[wire].dialler;
        self.wires[wire].ends[listener] = self.opened(listener);
    }

    fn opened(&self, side: usize) -> End {
        let store = self.parties[side].store();
        // Before the first handshake there is a record only if somebody has sent something; it makes no difference.
        End::Open { before: Some(store.standing()), bound: None }
    }

    /// A frame is read.
    pub fn receive(&mut self, side: usize, wire: usize, frame: &str, rules: Rules) {
        let End::Open { before, bound } = self.wires[wire].ends[side].clone() else { return };
        let role = if self.wires[wire].dialler == side { Side::Dialler } else { Side::Listener };
        match (decode(&cut(frame)), bound, role) {
            (Ok(Packet::Handshake(hello)), None, Side::Listener)
            | (Ok(Packet::HandshakeAck(hello)), None, Side::Dialler) => self.greet(side, wire, &hello, before, rules),
            (Ok(Packet::HandshakeAck(_)), Some(_), Side::Dialler)
            | (Ok(Packet::Handshake(_)), Some(_), Side::Listener) => return,
            (Ok(Packet::Message(envelope)), Some(bound), _) if self.is_current(side, &bound, rules) => {
                self.hear_all(side, wire, envelope, rules);
            }
            (Ok(Packet::Ack { ack, .. }), Some(bound), _) if self.is_current(side, &bound, rules) => {
                if !acknowledged(&mut self.parties[side], ack) {
                    self.flaw = Some(Flaw::HonestLiar);
                }
            }
            _ => self.hang_up(side, wire),
        }
        self.turn_done(side, rules);
    }

    fn is_current(&self, side: usize, bound: &Binding, rules: Rules) -> bool {
        rules.defect == Defect::HearsOldConnections
            || is_current(bound.conversation, self.parties[side].store().conversation)
    }

    /// The turn of a handshake, as in the kernel's `meeting`.
    fn greet(&mut self, side: usize, wire: usize, hello: &Hello, before: Option<Standing>, rules: Rules) {
        let role = if self.wires[wire].dialler == side { Side::Dialler } else { Side::Listener };
        let standing = self.parties[side].store().standing();
        let is_bound = |(index, other): (usize, &Wire)| index != wire && other.ends[side].bound().is_some();
        let elsewhere = self.wires.iter().enumerate().any(is_bound);
        let presence = if elsewhere { Presence::ElsewhereToo } else { Presence::Here };
        let before = before.filter(|_| rules.defect != Defect::TrustsOldGreetings).unwrap_or_else(|| standing.clone());
        let received = hello.has_received(standing.conversation);
        let said = received.and_then(|number| self.parties[side].store().said_up_to(number));
        let decided = verdict(&standing, hello, Occasion { side: role, before: Some(&before), presence, said });
        if matches!(decided, Verdict::Stale | Verdict::Copy) {
            self.hang_up(side, wire);
            return;
        }
        self.note_false(&standing, hello, &decided, rules);
        let store = self.parties[side].change();
        match decided {
            Verdict::Continue | Verdict::Stale | Verdict::Copy => {}
            Verdict::FirstSeen { conversation } => {
                store.conversation = conversation;
                for sent in store.sent.values_mut().filter(|sent| sent.fate == Fate::Pending) {
                    sent.conversation = conversation;
                    sent.meant.get_or_insert(life_of(&hello.incarnation));
                }
            }
            Verdict::StateLost { conversation, .. } | Verdict::Ended { conversation } => {
                end_conversation(store, conversation, rules.defect);
                if let Verdict::StateLost { why, .. } = decided {
                    (store.recorded, store.ended) = (false, store.ended.filter(|_| why == Loss::PeerSetBack));
                }
                self.cut_conversation(side, rules);
            }
        }
        let store = self.parties[side].change();
        store.peer = Some(hello.incarnation.clone());
        let conversation = store.conversation;
        if role == Side::Listener {
            let answer = encode(&Packet::HandshakeAck(store.hello()));
            self.parties[side].waiting.push((wire, answer.into()));
        } else if hello.sturdy.as_ref().is_some_and(|theirs| theirs.conversation != conversation) {
            self.hang_up(side, wire);
            return;
        }
        let (ours, theirs) = (standing.incarnation, hello.incarnation.clone());
        if let End::Open { bound, .. } = &mut self.wires[wire].ends[side] {
            *bound = Some(Binding { conversation, ours, theirs });
            self.parties[side].talk = Some(wire);
        }
    }

    /// The ledger's opinion of a verdict: nobody sets a store back in these worlds.
    fn note_false(&mut self, standing: &Standing, hello: &Hello, decided: &Verdict, rules: Rules) {
        let known = standing.peer_incarnation.as_deref().map_or(0, life_of);
        let is_incarnation = matches!(decided, Verdict::StateLost { why: Loss::Incarnation, .. });
        let is_old_life = is_incarnation && life_of(&hello.incarnation) < known;
        self.misled |= rules.freshness == Freshness::DeadLivesTolerated && is_old_life;
        let is_right = match decided {
            Verdict::Continue | Verdict::FirstSeen { .. } | Verdict::Stale | Verdict::Copy => true,
            // Once a late greeting of a dead life was believed, the present life is told that it was forgotten (L8).
            Verdict::StateLost { .. } if self.misled => true,
            Verdict::StateLost { .. } => is_incarnation && !is_old_life,
            Verdict::Ended { .. } => self.misled || self.give_ups > 0 || self.losses > 0,
        };
        if !is_right {
            self.flaw = Some(Flaw::FalseVerdict);
        }
    }

    /// Takes in a message and those that were held because of it, as `Node::hear_all`.
    fn hear_all(&mut self, side: usize, wire: usize, envelope: Envelope, rules: Rules) {
        let mut next = Some(envelope);
        while let Some(envelope) = next {
            let party = &mut self.parties[side];
            let receipt = party.store().position.receipt(envelope.seq);
            if envelope.ack.is_some_and(|ack| !acknowledged(party, ack)) {
                self.flaw = Some(Flaw::HonestLiar);
                self.hang_up(side, wire);
                return;
            }
            match receipt {
                Receipt::Gap if rules.defect != Defect::AcceptsGaps => {
                    if rules.early == Early::Held {
                        party.held.insert(envelope.seq, encode(&Packet::Message(envelope)).into());
                    }
                }
                Receipt::Duplicate => party.heard |= party.talk.is_some(),
                Receipt::Next | Receipt::Gap => {
                    if !take(party, &envelope, receipt) {
                        self.flaw = Some(Flaw::DeadSpeaks);
                    }
                    party.heard |= party.talk.is_some();
                }
            }
            let party = &mut self.parties[side];
            let expected = party.store().position.highest_received + 1;
            party.held = party.held.split_off(&expected);
            next = party.held.remove(&expected).map(|text| match decode(text.as_bytes()) {
                Ok(Packet::Message(envelope)) => envelope,
                other => panic!("a held message reads back as {other:?}"),
            });
        }
    }

    /// What every turn ends with.
    fn turn_done(&mut self, side: usize, rules: Rules) {
        let party = &mut self.parties[side];
        if party.group.as_ref().is_some_and(|group| *group == party.durable) {
            party.group = None;
        }
        if rules.defect == Defect::AcknowledgesBeforeDurable {
            self.acknowledge(side);
        }
        if rules.commits == Commits::EachTurn {
            self.commit(side);
        }
    }

    /// The group becomes durable, then what it caused is said.
    pub fn commit(&mut self, side: usize) {
        let party = &mut self.parties[side];
        if let Some(group) = party.group.take() {
            party.durable = group;
        }
        for (wire, text) in std::mem::take(&mut party.waiting) {
            self.write(wire, side, text);
        }
        // Everything that is pending may be on the wire at any time after its commit. As a frame on a wire may be read at
        // any time or never, writing all of it at once leaves nothing out, whatever the pacer does.
        if let Some(wire) = self.parties[side].talk {
            for text in self.parties[side].durable.outbox.values().cloned().collect::<Vec<_>>() {
                self.write(wire, side, text);
            }
        }
        self.acknowledge(side);
    }

    fn acknowledge(&mut self, side: usize) {
        let party = &mut self.parties[side];
        let Position { next_send, highest_received, .. } = party.store().position;
        if !std::mem::take(&mut party.heard) || highest_received == 0 {
            return;
        }
        if let Some(wire) = party.talk {
            let packet = Packet::Ack { ack: highest_received, alloc: Some(next_send - 1) };
            self.write(wire, side, encode(&packet).into());
        }
    }

    fn write(&mut self, wire: usize, from: usize, text: Text) {
        let wire = &mut self.wires[wire];
        if wire.ends[1 - from] != End::Closed {
            wire.toward[1 - from].insert(text);
        }
    }

    fn hang_up(&mut self, side: usize, wire: usize) {
        self.wires[wire].close(side);
        let talk = &mut self.parties[side].talk;
        *talk = talk.filter(|talk| *talk != wire);
    }

    /// The process is gone, and its ends with it.
    pub fn cut_all(&mut self, side: usize) {
        for wire in self.wires.iter_mut().filter(|wire| wire.ends[side] != End::Unseen) {
            wire.close(side);
        }
        // A connection that the dead process was to accept is refused.
        for wire in self.wires.iter_mut().filter(|wire| wire.ends[side] == End::Unseen) {
            wire.close(side);
        }
    }

    /// All connections speak for a conversation that is over (`LinkNews::Cut`).
    fn cut_conversation(&mut self, side: usize, rules: Rules) {
        if rules.defect != Defect::KeepsHeld {
            self.parties[side].held.clear();
        }
        self.parties[side].talk = None;
        if rules.defect == Defect::HearsOldConnections {
            return;
        }
        for wire in self.wires.iter_mut().filter(|wire| wire.ends[side].bound().is_some()) {
            wire.close(side);
        }
    }
}

/// Everything up to `ack` is with the peer. False if that cannot be.
fn acknowledged(party: &mut Party, ack: u64) -> bool {
    let mut position = party.store().position;
    let Ok(freed) = position.acknowledged(ack) else { return false };
    if freed.is_empty() {
        return true;
    }
    let store = party.change();
    store.position = position;
    for seq in freed {
        if let Some(text) = store.outbox.remove(&seq) {
            store.histories.acknowledged = store.histories.acknowledged.then(digest(text.as_bytes()));
        }
        for sent in store.sent.values_mut().filter(|sent| sent.fate == Fate::Pending && sent.seq == seq) {
            sent.fate = Fate::Acknowledged;
        }
    }
    true
}

/// A message takes effect. False if it comes from another life than we believe to talk to.
fn take(party: &mut Party, envelope: &Envelope, receipt: Receipt) -> bool {
    let Ok(Body::RedeemUrl { url, .. }) = &envelope.body else { panic!("the model sends no {envelope:?}") };
    let (life, serial) = url.split_once('.').expect("the model writes all bodies");
    let (life, serial) = (life.parse().expect("a life"), serial.parse().expect("a serial"));
    let store = party.change();
    if receipt == Receipt::Next {
        store.position.received(envelope.seq);
    } else {
        store.position.highest_received = envelope.seq;
    }
    store.recorded = true;
    let frame = encode(&Packet::Message(envelope.clone()));
    store.histories.received = store.histories.received.then(digest(frame.as_bytes()));
    store.taken.push(Taken { conversation: store.conversation, seq: envelope.seq, life, serial });
    store.peer_life() == Some(life)
}
