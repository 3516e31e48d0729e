//! A liar's side of a conversation: what it was given, what it owes, and what an honest peer would say.
//!
//! What always holds: names are kept as the liar says them: `-N` was given out by the kernel, `+N` by the liar.

use super::body;
use crate::dice::Dice;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use sturdy_remote::{
    Body, Delivered, Envelope, Hello, Occasion, PROTOCOL_VERSION, Packet, Position, Presence, Receipt, RedeemReply,
    Side, Standing, SturdyHello, Verdict, encode, verdict,
};
use sturdy_store::PeerKind;
use sturdy_types::{CapData, Message, RRef, Resolution};

/// Frames that are kept to be said again, and names that are kept to be used again.
const KEPT: usize = 64;

/// What it knows of one kernel.
pub(super) struct Talk {
    pub saw: Option<String>,
    pub conversation: u64,
    pub position: Position,
    sent: BTreeMap<u64, String>,
    /// Frames that were acknowledged.
    pub old: VecDeque<String>,
    /// Objects and promises of the kernel that it was given.
    pub given: BTreeSet<RRef>,
    /// Promises that it is to settle.
    pub decides: Vec<RRef>,
    /// Results that the kernel is to settle.
    pub asked: Vec<RRef>,
    /// Names that it may not use any more.
    pub gone: VecDeque<RRef>,
    pub last_object: u64,
    pub last_promise: u64,
    redemptions: Vec<String>,
    /// Objects that were given to an earlier life, as long as this one has said and heard nothing: kernels have let go of
    /// them when they met this life.
    pub lost: Vec<RRef>,
}

impl Default for Talk {
    fn default() -> Self {
        Self {
            saw: None,
            conversation: 1,
            position: Position::default(),
            sent: BTreeMap::new(),
            old: VecDeque::new(),
            given: BTreeSet::new(),
            decides: Vec::new(),
            asked: Vec::new(),
            gone: VecDeque::new(),
            last_object: 0,
            last_promise: 0,
            redemptions: Vec::new(),
            lost: Vec::new(),
        }
    }
}

const fn flipped(rref: RRef) -> RRef {
    match rref {
        RRef::Export(number) => RRef::Import(number),
        RRef::Import(number) => RRef::Export(number),
        RRef::PromiseExport(number) => RRef::PromiseImport(number),
        RRef::PromiseImport(number) => RRef::PromiseExport(number),
    }
}

impl Talk {
    /// What it says of itself, truly.
    pub fn hello(&self, incarnation: String, kind: PeerKind) -> Hello {
        let sturdy = (kind == PeerKind::Sturdy).then(|| SturdyHello {
            version: PROTOCOL_VERSION,
            conversation: self.conversation,
            saw: self.saw.clone(),
            position: self.position,
            histories: None,
            recorded: false,
            ended: None,
        });
        Hello { incarnation, sturdy }
    }

    /// The kernel has greeted.
    pub fn met(&mut self, own: &str, kind: PeerKind, mut hello: Hello, side: Side) {
        if kind != PeerKind::Sturdy {
            hello.sturdy = None;
        }
        let standing = Standing {
            incarnation: own.into(),
            peer_incarnation: self.saw.clone(),
            conversation: self.conversation,
            position: self.position,
            recorded: false,
            ended: None,
        };
        let occasion = Occasion { side, before: Some(&standing), presence: Presence::Here, said: None };
        match verdict(&standing, &hello, occasion) {
            Verdict::Continue | Verdict::Stale | Verdict::Copy => {}
            Verdict::FirstSeen { conversation } => self.conversation = conversation,
            Verdict::StateLost { conversation, .. } => {
                self.begin(conversation);
                let given = std::mem::take(&mut self.given);
                for name in given {
                    self.is_gone(name);
                }
            }
            Verdict::Ended { conversation } => self.begin(conversation),
        }
        if let (Some(theirs), Side::Dialler) = (&hello.sturdy, side)
            && theirs.conversation != self.conversation
        {
            self.begin(theirs.conversation);
        }
        if let Some(theirs) = hello.sturdy {
            self.acknowledged(theirs.position.highest_received);
        }
        self.saw = Some(hello.incarnation);
    }

    /// Another conversation.
    pub fn begin(&mut self, conversation: u64) {
        self.conversation = conversation;
        self.position = Position::default();
        self.sent.clear();
        let promises: Vec<RRef> =
            self.given.iter().copied().filter(|name| matches!(name, RRef::PromiseImport(_))).collect();
        for name in promises {
            self.given.remove(&name);
            self.is_gone(name);
        }
        let open: Vec<RRef> = self.decides.drain(..).chain(self.asked.drain(..)).collect();
        for name in open {
            self.is_gone(name);
        }
        self.redemptions.clear();
    }

    /// The liar shows a life that nobody has met. It may go on with its numbers, or keep nothing but what it was given.
    pub fn begin_new_life(&mut self, dice: &mut Dice) {
        if dice.once_in(4) {
            return;
        }
        let lost = self.given.iter().copied().filter(|name| matches!(name, RRef::Import(_))).collect();
        *self = Self { lost, ..Self::default() };
    }

    fn is_gone(&mut self, name: RRef) {
        self.gone.push_back(name);
        if self.gone.len() > KEPT {
            self.gone.pop_front();
        }
    }

    /// A numbered message.
    pub fn say(&mut self, body: Body) -> String {
        self.lost.clear();
        let seq = self.position.allocate();
        let frame = encode(&Packet::Message(Envelope { seq, ack: self.position.ack(), body: Ok(body) }));
        self.sent.insert(seq, frame.clone());
        frame
    }

    /// The number of a message whose content no encoder makes.
    pub fn say_raw(&mut self, rest: &str) -> String {
        self.lost.clear();
        let seq = self.position.allocate();
        let frame = format!("{{\"seq\":{seq},{rest}}}");
        self.sent.insert(seq, frame.clone());
        frame
    }

    /// Everything that the kernel has not acknowledged.
    pub fn unacknowledged(&self) -> impl Iterator<Item = String> {
        self.sent.values().cloned()
    }

    /// The kernel has everything up to `ack`.
    pub fn acknowledged(&mut self, ack: u64) {
        if let Ok(freed) = self.position.acknowledged(ack) {
            for seq in freed {
                self.old.extend(self.sent.remove(&seq));
            }
            while self.old.len() > KEPT {
                self.old.pop_front();
            }
        }
    }

    /// What it has heard is acknowledged.
    pub fn ack(&self, kind: PeerKind) -> Option<String> {
        let ack = self.position.ack()?;
        Some(encode(&match kind {
            PeerKind::Sturdy => Packet::Credit { ack, alloc: self.position.next_send - 1, room: 1_000 },
            _ => Packet::Ack { ack, alloc: None },
        }))
    }

    /// A message of the kernel. What does not come in order is not looked at: it comes again.
    pub fn hears(&mut self, envelope: Envelope) {
        self.acknowledged(envelope.ack.unwrap_or(0));
        if self.position.receipt(envelope.seq) != Receipt::Next {
            return;
        }
        self.lost.clear();
        self.position.highest_received = envelope.seq;
        match envelope.body {
            Ok(Body::Deliver(Delivered::Message { message, .. })) => {
                self.learns(&message.methargs.slots);
                self.decides.extend(message.result.map(flipped));
            }
            Ok(Body::Deliver(Delivered::Notify(batch))) => {
                for one in batch {
                    self.learns(&one.value.slots);
                    let name = flipped(one.promise);
                    self.given.remove(&name);
                    self.asked.retain(|asked| *asked != name);
                    self.is_gone(name);
                }
            }
            Ok(Body::Deliver(Delivered::RetireImports(names) | Delivered::RetireExports(names))) => {
                for name in names.into_iter().map(flipped) {
                    self.given.remove(&name);
                    self.is_gone(name);
                }
            }
            Ok(Body::RedeemUrl { key, .. }) => self.redemptions.push(key),
            Ok(Body::RedeemUrlReply { reply: RedeemReply::Granted(rref), .. }) => self.learns(&[rref]),
            _ => {}
        }
    }

    fn learns(&mut self, names: &[RRef]) {
        let theirs = names.iter().filter(|name| matches!(name, RRef::Export(_) | RRef::PromiseExport(_)));
        self.given.extend(theirs.copied().map(flipped));
    }

    /// An object of its own, or a promise that it is to settle.
    pub fn new_name(&mut self, dice: &mut Dice) -> RRef {
        if dice.once_in(2) {
            self.last_object += 1;
            return RRef::Export(self.last_object);
        }
        self.last_promise += 1;
        let name = RRef::PromiseExport(self.last_promise);
        self.decides.push(name);
        name
    }

    /// Something that it may name.
    pub fn name(&mut self, dice: &mut Dice) -> RRef {
        let given: Vec<RRef> = self.given.iter().copied().collect();
        let found = match dice.below(6) {
            0..=2 => dice.pick(&given),
            3 => dice.pick(&self.asked),
            4 if self.last_object > 0 => Some(RRef::Export(1 + dice.below(20) as u64 % self.last_object)),
            _ => None,
        };
        found.unwrap_or_else(|| self.new_name(dice))
    }

    pub fn names(&mut self, dice: &mut Dice) -> Vec<RRef> {
        (0..dice.below(3)).map(|_| self.name(dice)).collect()
    }

    /// A new promise for the result of a call.
    pub fn new_result(&mut self) -> RRef {
        self.last_promise += 1;
        let result = RRef::PromiseExport(self.last_promise);
        self.asked.push(result);
        result
    }

    /// An object or promise that may be called.
    pub fn target(&self, dice: &mut Dice) -> Option<RRef> {
        let mut targets: Vec<RRef> = self.given.iter().copied().collect();
        targets.extend(&self.asked);
        dice.pick(&targets)
    }

    /// A call of something that it may call.
    pub fn call(&mut self, dice: &mut Dice) -> Option<String> {
        let target = self.target(dice)?;
        let slots = self.names(dice);
        let result = if dice.once_in(8) { None } else { Some(self.new_result()) };
        Some(self.message(target, body(slots, false), result))
    }

    pub fn message(&mut self, target: RRef, methargs: CapData<RRef>, result: Option<RRef>) -> String {
        self.say(Body::Deliver(Delivered::Message { target, message: Message { methargs, result } }))
    }

    /// Settles something that it is to settle.
    pub fn settle(&mut self, dice: &mut Dice) -> Option<String> {
        let promise = dice.pick(&self.decides)?;
        self.decides.retain(|other| *other != promise);
        self.is_gone(promise);
        let mut slots = self.names(dice);
        slots.retain(|slot| matches!(slot, RRef::Export(_) | RRef::Import(_)));
        let one = Resolution { promise, rejected: dice.once_in(4), value: body(slots, false) };
        Some(self.say(Body::Deliver(Delivered::Notify(vec![one]))))
    }

    /// Answers to a redemption.
    pub fn answer_redemption(&mut self, dice: &mut Dice) -> Option<String> {
        let key = self.redemptions.pop()?;
        let reply = if dice.once_in(3) {
            RedeemReply::Refused("there is nothing under it".into())
        } else {
            self.last_object += 1;
            RedeemReply::Granted(RRef::Export(self.last_object))
        };
        Some(self.say(Body::RedeemUrlReply { key, reply }))
    }

    /// Lets go of an object, at once or in two steps.
    pub fn let_go(&mut self, dice: &mut Dice) -> Vec<String> {
        let objects: Vec<RRef> = self.given.iter().copied().filter(|name| matches!(name, RRef::Import(_))).collect();
        let Some(name) = dice.pick(&objects) else { return Vec::new() };
        self.given.remove(&name);
        self.is_gone(name);
        let mut frames = vec![self.say(Body::Deliver(Delivered::DropExports(vec![name])))];
        if dice.once_in(2) {
            frames.push(self.say(Body::Deliver(Delivered::RetireExports(vec![name]))));
        }
        frames
    }
}
