//! From any world: faults end, one side dials, and what is pending arrives. Here the real pacer speaks, over a line that
//! keeps order and loses the first transmission of every other message.
//!
//! Always: the world that is looked at is not changed. Whatever the past was, a quiet completion is short: at most a few
//! handshakes, and as many rounds as retransmissions need.

use crate::promises::broken;
use crate::turns::{Commits, Rules};
use crate::world::{Text, World};
use std::collections::{BTreeSet, VecDeque};
use sturdy_remote::{Carried, Pacer, PacerLimits, Packet, Receipt, Speak, acknowledges, decode, encode};

/// Handshakes until both mean the same.
const HANDSHAKES: usize = 4;

/// Rounds of the line.
const ROUNDS: usize = 50;

/// What went wrong, or nothing.
pub fn incomplete(world: &World, dialler: usize, rules: Rules) -> Option<&'static str> {
    let mut world = world.clone();
    let rules = Rules { commits: Commits::EachTurn, ..rules };
    for side in 0..2 {
        world.commit(side);
    }
    for side in 0..2 {
        world.parties[side].talk = None;
        world.parties[side].heard = false;
        for wire in &mut world.wires {
            wire.close(side);
        }
    }
    let Some(wire) = meet(&mut world, dialler, rules) else { return Some("the two never agree") };
    let now_quiet = Line::new(&world, wire).run(&mut world, rules);
    if let Some(name) = broken(&world) {
        return Some(name);
    }
    (!now_quiet).then_some("what is pending does not arrive")
}

/// Handshakes until a connection is bound at both ends.
fn meet(world: &mut World, dialler: usize, rules: Rules) -> Option<usize> {
    for _ in 0..HANDSHAKES {
        world.dial(dialler, rules);
        let wire = world.wires.len() - 1;
        world.accept(wire);
        for side in [1 - dialler, dialler] {
            let greeting =
                world.wires[wire].toward[side].iter().find(|text| text.starts_with("{\"method\"")).cloned()?;
            world.receive(side, wire, &greeting, rules);
        }
        if world.wires[wire].ends[dialler].bound().is_some() {
            return Some(wire);
        }
    }
    None
}

/// The line of one connection, with the pacers at its ends.
struct Line {
    wire: usize,
    now: u64,
    pacers: [Pacer; 2],
    toward: [VecDeque<Text>; 2],
    lost: BTreeSet<(usize, u64)>,
}

impl Line {
    fn new(world: &World, wire: usize) -> Self {
        let pacer =
            |side: usize| Pacer::new(PacerLimits::default(), world.parties[side].durable.position.first_pending);
        Self {
            wire,
            now: 0,
            pacers: [pacer(0), pacer(1)],
            toward: [VecDeque::new(), VecDeque::new()],
            lost: BTreeSet::new(),
        }
    }

    /// Until nothing is pending. False if that does not come.
    fn run(mut self, world: &mut World, rules: Rules) -> bool {
        for _ in 0..ROUNDS {
            for side in 0..2 {
                while let Some(seq) = self.pacers[side].next_to_send(world.parties[side].durable.position.next_send) {
                    self.transmit(world, side, seq);
                }
            }
            for side in 0..2 {
                while let Some(text) = self.toward[side].pop_front() {
                    self.read(world, side, &text, rules);
                }
            }
            let is_empty = |side: usize| world.parties[side].durable.outbox.is_empty();
            if is_empty(0) && is_empty(1) {
                return true;
            }
            let Some(deadline) = self.pacers.iter().filter_map(Pacer::deadline).min() else { return false };
            self.now = self.now.max(deadline);
            for side in 0..2 {
                for speak in self.pacers[side].on_time(self.now) {
                    match speak {
                        Speak::Message(seq) => self.transmit(world, side, seq),
                        Speak::Ack => {
                            self.pacers[side].ack_sent();
                            let position = world.parties[side].durable.position;
                            let packet =
                                Packet::Ack { ack: position.highest_received, alloc: Some(position.next_send - 1) };
                            self.toward[1 - side].push_back(encode(&packet).into());
                        }
                    }
                }
            }
        }
        false
    }

    fn transmit(&mut self, world: &World, side: usize, seq: u64) {
        let store = &world.parties[side].durable;
        let Some(text) = store.outbox.get(&seq) else {
            self.pacers[side].acknowledged(self.now, (store.position.first_pending - 1).max(seq));
            return;
        };
        let everything = acknowledges(text) == Some(store.position.highest_received);
        let carried = if everything { Carried::EverythingOwed } else { Carried::Less };
        self.pacers[side].sent(self.now, seq, text.len(), carried);
        if seq.is_multiple_of(2) || !self.lost.insert((side, seq)) {
            self.toward[1 - side].push_back(text.clone());
        }
    }

    fn read(&mut self, world: &mut World, side: usize, text: &str, rules: Rules) {
        let (ack, is_owed) = match decode(text.as_bytes()) {
            Ok(Packet::Message(envelope)) => {
                let receipt = world.parties[side].durable.position.receipt(envelope.seq);
                (envelope.ack, receipt != Receipt::Gap)
            }
            Ok(Packet::Ack { ack, .. }) => (Some(ack), false),
            _ => (None, false),
        };
        world.receive(side, self.wire, text, rules);
        // The pacers speak, not the sets of the exploration.
        world.wires[self.wire].toward.iter_mut().for_each(BTreeSet::clear);
        if is_owed {
            self.pacers[side].owe_ack(self.now);
        }
        if let Some(ack) = ack {
            self.pacers[side].acknowledged(self.now, ack);
        }
    }
}
