//! Peers that lie: ends of the network without a kernel. They speak the wire protocol, honestly enough to be given
//! references, and mix in whatever an honest peer would never say.
//!
//! What always holds: a liar knows only what it was told; the transport shows its true peer id. A message that names
//! something which no kernel has given it bears a body that no kernel may deliver ([`FORGED`]); a text that it has made
//! up must not be redeemed. Honest speech is in `talk`, lies are in `lies`.

mod lies;
mod talk;
#[cfg(test)]
mod tests;
mod words;

use crate::dice::Dice;
use crate::host::Url;
use crate::seen::KernelNo;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_remote::{Body, Delivered, Packet, RedeemReply, Side, decode};
use sturdy_store::PeerKind;
use sturdy_types::{CapData, ConnectionId, OcapUrl, Oid, RRef};
use talk::Talk;

/// Lines that a liar has open at most, but for those that are a lie themselves.
const LINES: usize = 6;

/// The body of a message that names what its liar was not given. No vat may ever see it.
pub const FORGED: &str = "#[\"forged\",[]]";

/// What a liar wants to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It dials a kernel.
    Dial(KernelNo),
    /// It puts a frame on a line.
    Say(ConnectionId, Vec<u8>),
    /// It hangs up.
    HangUp(ConnectionId),
}

/// What a liar may know of the world.
pub struct Around<'w> {
    /// Kernels that it may dial.
    pub kernels: usize,
    /// Texts that hosts have given to it.
    pub urls: &'w [Url],
}

/// How far a line has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Greeted,
    Bound,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    kernel: KernelNo,
    side: Side,
    stage: Stage,
}

/// One liar.
pub struct Liar {
    number: usize,
    kind: PeerKind,
    /// How often it lies, acknowledges what it hears and answers at once, in a hundred times.
    lies: usize,
    acknowledges: usize,
    answers: usize,
    life: u32,
    lives: u32,
    keys: u64,
    lines: BTreeMap<ConnectionId, Line>,
    talks: BTreeMap<KernelNo, Talk>,
    /// Keys of redemptions to which nobody may say yes.
    guesses: BTreeSet<String>,
}

/// The peer id that its transport shows.
pub fn peer(number: usize) -> String {
    format!("liar{number}")
}

impl Liar {
    /// A liar with a character of its own.
    pub fn new(number: usize, dice: &mut Dice) -> Self {
        Self {
            number,
            kind: if dice.once_in(3) { PeerKind::Whatever } else { PeerKind::Sturdy },
            lies: [2, 10, 30, 80][dice.below(4)],
            acknowledges: [0, 20, 60, 95][dice.below(4)],
            answers: [0, 30, 80][dice.below(3)],
            life: 0,
            lives: 0,
            keys: 0,
            lines: BTreeMap::new(),
            talks: BTreeMap::new(),
            guesses: BTreeSet::new(),
        }
    }

    /// A text that it gives to hosts. It does not always mean anything by it.
    pub fn url(&self, number: u64) -> OcapUrl {
        let mut bits = [0xee; 32];
        bits[..8].copy_from_slice(&(self.number as u64).to_be_bytes());
        bits[8..16].copy_from_slice(&number.to_be_bytes());
        OcapUrl { oid: Oid::from_random(&bits), peer: peer(self.number), hints: Vec::new() }
    }

    fn incarnation(&self) -> String {
        format!("liar{}.{}", self.number, self.life)
    }

    fn next_key(&mut self) -> String {
        self.keys += 1;
        format!("liar{}-{}", self.number, self.keys)
    }

    fn talk(&mut self, kernel: KernelNo) -> &mut Talk {
        self.talks.entry(kernel).or_default()
    }

    /// There is a line.
    pub fn connected(&mut self, id: ConnectionId, kernel: KernelNo, side: Side, dice: &mut Dice) -> Vec<Deed> {
        self.lines.insert(id, Line { kernel, side, stage: Stage::Open });
        // Sometimes it greets later, or never.
        if side == Side::Dialler && !dice.once_in(10) { self.greet(id, dice) } else { Vec::new() }
    }

    /// A line is gone.
    pub fn disconnected(&mut self, id: ConnectionId) {
        self.lines.remove(&id);
    }

    /// A frame has come. An error tells what it got and must not have got.
    pub fn heard(&mut self, id: ConnectionId, frame: &[u8], dice: &mut Dice) -> Result<Vec<Deed>, String> {
        let Some(line) = self.lines.get(&id).copied() else { return Ok(Vec::new()) };
        match (decode(frame), line.side, line.stage) {
            (Ok(Packet::Handshake(hello)), Side::Listener, stage) => {
                if stage == Stage::Bound || dice.once_in(12) {
                    return Ok(Vec::new());
                }
                let (own, kind) = (self.incarnation(), self.kind);
                self.talk(line.kernel).met(&own, kind, hello, Side::Listener);
                self.bind(id);
                let mut deeds = self.greet(id, dice);
                deeds.extend(self.resend(id, line.kernel));
                Ok(deeds)
            }
            (Ok(Packet::HandshakeAck(hello)), Side::Dialler, _) => {
                let (own, kind) = (self.incarnation(), self.kind);
                self.talk(line.kernel).met(&own, kind, hello, Side::Dialler);
                self.bind(id);
                Ok(self.resend(id, line.kernel))
            }
            (Ok(Packet::Ack { ack, .. } | Packet::Credit { ack, .. }), ..) => {
                self.talk(line.kernel).acknowledged(ack);
                Ok(Vec::new())
            }
            (Ok(Packet::Message(envelope)), ..) => {
                let gained = match &envelope.body {
                    Ok(Body::RedeemUrlReply { key, reply: RedeemReply::Granted(rref) })
                        if self.guesses.contains(key) =>
                    {
                        Err(format!("{} got {rref} for a text that it had made up", peer(self.number)))
                    }
                    _ => Ok(()),
                };
                gained?;
                self.talk(line.kernel).hears(envelope);
                Ok(self.reacts(id, line.kernel, dice))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn bind(&mut self, id: ConnectionId) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.stage = Stage::Bound;
        }
    }

    fn resend(&mut self, id: ConnectionId, kernel: KernelNo) -> Vec<Deed> {
        self.talk(kernel).unacknowledged().map(|frame| Deed::Say(id, frame.into_bytes())).collect()
    }

    fn reacts(&mut self, id: ConnectionId, kernel: KernelNo, dice: &mut Dice) -> Vec<Deed> {
        let mut deeds = Vec::new();
        if dice.below(100) < self.answers {
            let talk = self.talk(kernel);
            deeds.extend(talk.settle(dice).or_else(|| talk.answer_redemption(dice)));
        }
        if dice.below(100) < self.acknowledges {
            let kind = self.kind;
            deeds.extend(self.talk(kernel).ack(kind));
        }
        deeds.into_iter().map(|frame| Deed::Say(id, frame.into_bytes())).collect()
    }

    /// It does something, with or without a reason.
    pub fn act(&mut self, around: &Around<'_>, dice: &mut Dice) -> Vec<Deed> {
        let lines: Vec<ConnectionId> = self.lines.keys().copied().collect();
        let Some(id) = dice.pick(&lines).filter(|_| lines.len() > LINES || !dice.once_in(15)) else {
            return vec![Deed::Dial(dice.below(around.kernels))];
        };
        let Line { kernel, side, stage } = self.lines[&id];
        if dice.below(100) < self.lies {
            return self.lie(id, kernel, around, dice);
        }
        match (stage, side) {
            (Stage::Open, Side::Dialler) => self.greet(id, dice),
            (Stage::Bound, _) => {
                self.truth(kernel, around, dice).into_iter().map(|frame| Deed::Say(id, frame.into_bytes())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Something that any honest peer might say.
    fn truth(&mut self, kernel: KernelNo, around: &Around<'_>, dice: &mut Dice) -> Vec<String> {
        let key = self.next_key();
        let kind = self.kind;
        let talk = self.talk(kernel);
        if let Some(lost) = dice.pick(&talk.lost) {
            return vec![talk.message(lost, body(Vec::new(), true), None)];
        }
        let frame = match dice.below(16) {
            0..=5 if talk.target(dice).is_some() => talk.call(dice),
            6 | 7 => talk.settle(dice),
            8 => talk.answer_redemption(dice),
            9 => talk.ack(kind),
            10 if dice.once_in(3) => return talk.unacknowledged().collect(),
            11 => return talk.let_go(dice),
            12 => Some(talk.say(Body::Deliver(Delivered::BringOutYourDead))),
            _ => {
                let urls: Vec<&Url> = around.urls.iter().filter(|url| url.issuer == kernel).collect();
                dice.pick(&urls).map(|url| talk.say(Body::RedeemUrl { url: url.shown.reveal(), key }))
            }
        };
        frame.into_iter().collect()
    }
}

/// What stands in a message that may be delivered, and in one that may not.
fn body(slots: Vec<RRef>, forged: bool) -> CapData<RRef> {
    CapData { body: if forged { FORGED.into() } else { "#[\"lie\",[]]".into() }, slots }
}
