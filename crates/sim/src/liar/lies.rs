//! What no honest peer says, one kind each ([`Lie`]).
//!
//! What always holds: what is certainly not the liar's to name comes with a body that must never be delivered; about the
//! rest the kernels may do what they want, as long as they keep their promises to everybody else.

use super::words::{NOISE, WRONG_WORDS};
use super::{Around, Deed, LINES, Liar, Stage, Talk, body};
use crate::dice::Dice;
use crate::seen::KernelNo;
use sturdy_remote::{Body, Delivered, Hello, Packet, RedeemReply, Side, encode};
use sturdy_store::PeerKind;
use sturdy_types::{CapData, ConnectionId, OcapUrl, Oid, RRef, Resolution};

/// The highest number that may be on the wire.
const LAST: u64 = (1 << 53) - 1;

/// No kernel gives out numbers as high as this one.
const FAR: u64 = 1_000_000;

/// What can be said on a line that a handshake has bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    TargetNotGiven,
    SlotNotGiven,
    OwnTarget,
    ResultIsNone,
    ResultOfTheirs,
    ResultUsedBefore,
    SettlesWhatItMayNot,
    SettlesTwice,
    SettlesWithItself,
    SettlesWithNotGiven,
    DropsWhatItMayNot,
    RetiresWithoutDrop,
    GoneThings,
    AcknowledgesTooMuch,
    AllocatesTooMuch,
    Gap,
    Replay,
    OtherWords,
    Flood,
    Giant,
    Deep,
    Noise,
    Guess,
    AnswersNobody,
    GreetsAgain,
    LastNumbers,
    WrongWords,
    UsesWhatIsGone,
    AnotherLife,
    SetBack,
    ManyLines,
    HangsUp,
}

const LIES: &[Lie] = &[
    Lie::TargetNotGiven,
    Lie::SlotNotGiven,
    Lie::OwnTarget,
    Lie::ResultIsNone,
    Lie::ResultOfTheirs,
    Lie::ResultUsedBefore,
    Lie::SettlesWhatItMayNot,
    Lie::SettlesTwice,
    Lie::SettlesWithItself,
    Lie::SettlesWithNotGiven,
    Lie::DropsWhatItMayNot,
    Lie::RetiresWithoutDrop,
    Lie::GoneThings,
    Lie::AcknowledgesTooMuch,
    Lie::AllocatesTooMuch,
    Lie::Gap,
    Lie::Replay,
    Lie::OtherWords,
    Lie::Flood,
    Lie::Giant,
    Lie::Deep,
    Lie::Noise,
    Lie::Guess,
    Lie::AnswersNobody,
    Lie::GreetsAgain,
    Lie::LastNumbers,
    Lie::WrongWords,
    Lie::UsesWhatIsGone,
    Lie::AnotherLife,
    Lie::SetBack,
    Lie::ManyLines,
    Lie::HangsUp,
];

/// Lies after which there is no way on.
const ENDS: &[Lie] = &[
    Lie::AcknowledgesTooMuch,
    Lie::OtherWords,
    Lie::Noise,
    Lie::AnotherLife,
    Lie::SetBack,
    Lie::ManyLines,
    Lie::HangsUp,
];

fn far(dice: &mut Dice) -> u64 {
    if dice.once_in(10) { LAST } else { FAR + dice.below(1_000_000) as u64 }
}

/// A name that the kernel has never given out.
fn not_given(dice: &mut Dice) -> RRef {
    let number = far(dice);
    if dice.once_in(3) { RRef::PromiseImport(number) } else { RRef::Import(number) }
}

fn deliver(talk: &mut Talk, delivered: Delivered) -> String {
    talk.say(Body::Deliver(delivered))
}

fn notify(talk: &mut Talk, settled: &[(RRef, CapData<RRef>)], dice: &mut Dice) -> String {
    let one = |(promise, value): &(RRef, CapData<RRef>)| Resolution {
        promise: *promise,
        rejected: dice.once_in(3),
        value: value.clone(),
    };
    let batch = settled.iter().map(one).collect();
    deliver(talk, Delivered::Notify(batch))
}

impl Liar {
    /// What it says first on a line, true or not.
    pub(super) fn greet(&mut self, id: ConnectionId, dice: &mut Dice) -> Vec<Deed> {
        let Some(line) = self.lines.get_mut(&id) else { return Vec::new() };
        if line.stage == Stage::Open {
            line.stage = Stage::Greeted;
        }
        let (kernel, side) = (line.kernel, line.side);
        let (incarnation, kind) = (self.incarnation(), self.kind);
        let mut hello = self.talk(kernel).hello(incarnation, kind);
        if dice.below(400) < self.lies {
            bend(&mut hello, dice);
        }
        let packet = if side == Side::Dialler { Packet::Handshake(hello) } else { Packet::HandshakeAck(hello) };
        vec![Deed::Say(id, encode(&packet).into_bytes())]
    }

    /// A lie on a line.
    pub(super) fn lie(
        &mut self,
        id: ConnectionId,
        kernel: KernelNo,
        around: &Around<'_>,
        dice: &mut Dice,
    ) -> Vec<Deed> {
        let mut lie = LIES[dice.below(LIES.len())];
        // What ends a conversation is rarer, so that conversations get somewhere.
        if ENDS.contains(&lie) && !dice.once_in(4) {
            lie = LIES[dice.below(LIES.len())];
        }
        let bound = self.lines.get(&id).is_some_and(|line| line.stage == Stage::Bound);
        let frames = match lie {
            Lie::HangsUp => return vec![Deed::HangUp(id)],
            Lie::ManyLines => return self.many_lines(around, dice),
            Lie::AnotherLife => return self.another_life(dice),
            Lie::SetBack => return self.set_back(id, kernel, dice),
            Lie::GreetsAgain => return self.greet(id, dice),
            Lie::Noise => vec![noise(dice)],
            // On a line that is not bound nothing else is a lie: it is only too early. That happens, too, but rarely.
            _ if !bound && !dice.once_in(10) => return Vec::new(),
            Lie::Guess => vec![self.guess(kernel, around, dice)],
            Lie::Flood => self.flood(kernel, around, dice),
            Lie::AcknowledgesTooMuch | Lie::AllocatesTooMuch => self.talk(kernel).false_ack(lie, dice),
            Lie::Gap | Lie::Replay | Lie::OtherWords => self.talk(kernel).false_number(lie, dice),
            Lie::Giant | Lie::Deep | Lie::WrongWords => self.talk(kernel).false_form(lie, dice),
            Lie::SettlesWhatItMayNot | Lie::SettlesTwice | Lie::SettlesWithItself | Lie::SettlesWithNotGiven => {
                self.talk(kernel).false_settlement(lie, dice)
            }
            Lie::DropsWhatItMayNot | Lie::RetiresWithoutDrop | Lie::GoneThings => {
                self.talk(kernel).false_garbage(lie, dice)
            }
            Lie::AnswersNobody | Lie::LastNumbers | Lie::UsesWhatIsGone => self.talk(kernel).false_name(lie, dice),
            _ => self.talk(kernel).false_call(lie, dice),
        };
        frames.into_iter().map(|frame| Deed::Say(id, frame)).collect()
    }

    fn many_lines(&self, around: &Around<'_>, dice: &mut Dice) -> Vec<Deed> {
        if self.lines.len() > 4 * LINES {
            return self.lines.keys().map(|id| Deed::HangUp(*id)).collect();
        }
        let kernel = dice.below(around.kernels);
        vec![Deed::Dial(kernel); 12]
    }

    /// It begins anew, or shows a life that it had before. Numbers may begin anew, too, or not.
    fn another_life(&mut self, dice: &mut Dice) -> Vec<Deed> {
        if dice.once_in(3) {
            self.life = u32::try_from(dice.below(self.lives as usize + 1)).unwrap_or_default();
            if !dice.once_in(4) {
                self.talks.clear();
            }
        } else {
            self.lives += 1;
            self.life = self.lives;
            for talk in self.talks.values_mut() {
                talk.begin_new_life(dice);
            }
        }
        if dice.once_in(6) {
            self.kind = if self.kind == PeerKind::Sturdy { PeerKind::Whatever } else { PeerKind::Sturdy };
        }
        self.lines.keys().map(|id| Deed::HangUp(*id)).collect()
    }

    /// It forgets the last things, or everything but who it is.
    fn set_back(&mut self, id: ConnectionId, kernel: KernelNo, dice: &mut Dice) -> Vec<Deed> {
        let talk = self.talk(kernel);
        let position = &mut talk.position;
        match dice.below(4) {
            0 => position.highest_received = position.highest_received.saturating_sub(1 + dice.below(3) as u64),
            1 => {
                position.next_send = position.next_send.saturating_sub(1 + dice.below(3) as u64).max(1);
                position.first_pending = position.first_pending.min(position.next_send);
            }
            2 => talk.begin(1 + dice.below(3) as u64),
            _ => *talk = Talk::default(),
        }
        vec![Deed::HangUp(id)]
    }

    /// A text under which there is nothing for the liar: made up, or another kernel's.
    fn guess(&mut self, kernel: KernelNo, around: &Around<'_>, dice: &mut Dice) -> Vec<u8> {
        let key = self.next_key();
        self.guesses.insert(key.clone());
        let others: Vec<_> = around.urls.iter().filter(|url| url.issuer != kernel).collect();
        let mut bits = [0xab; 32];
        bits[..8].copy_from_slice(&(dice.below(usize::MAX) as u64).to_be_bytes());
        let made_up = |peer: String| OcapUrl { oid: Oid::from_random(&bits), peer, hints: Vec::new() }.reveal();
        let url = match dice.below(5) {
            0 => dice.pick(&others).map_or_else(String::new, |url| url.shown.reveal()),
            1 => made_up(super::peer(self.number)),
            2 => "ocap:".repeat(1 + dice.below(2_000)),
            _ => made_up(crate::machine::peer(kernel)),
        };
        let key = if dice.once_in(20) { "k".repeat(1 + dice.below(1_000)) } else { key };
        self.talk(kernel).say(Body::RedeemUrl { url, key }).into_bytes()
    }

    fn flood(&mut self, kernel: KernelNo, around: &Around<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
        let many = 20 + dice.below(60);
        match dice.below(4) {
            0 => (0..many).map(|_| self.guess(kernel, around, dice)).collect(),
            1 => (0..many).filter_map(|_| self.talk(kernel).call(dice)).map(String::into_bytes).collect(),
            2 => (0..many).flat_map(|_| self.talk(kernel).false_number(Lie::Gap, dice)).collect(),
            _ => (0..many).flat_map(|_| self.talk(kernel).new_names(dice)).collect(),
        }
    }
}

/// Something in a greeting is not true.
fn bend(hello: &mut Hello, dice: &mut Dice) {
    if dice.once_in(6) {
        hello.sturdy = None;
    }
    let Some(sturdy) = &mut hello.sturdy else {
        hello.incarnation = "x".repeat(1 + dice.below(400));
        return;
    };
    let number = |dice: &mut Dice, number: u64| match dice.below(4) {
        0 => LAST,
        1 => number.saturating_sub(1),
        2 => 1 + dice.below(20) as u64,
        _ => number + 1 + dice.below(5) as u64,
    };
    match dice.below(8) {
        0 => hello.incarnation = format!("another{}", dice.below(3)),
        1 => sturdy.conversation = number(dice, sturdy.conversation).max(1),
        2 => sturdy.saw = Some(format!("another{}", dice.below(3))),
        3 => sturdy.saw = None,
        4 => sturdy.position.highest_received = number(dice, sturdy.position.highest_received),
        5 => sturdy.position.next_send = number(dice, sturdy.position.next_send).max(sturdy.position.first_pending),
        6 => sturdy.position.first_pending = number(dice, sturdy.position.first_pending).max(1),
        _ => sturdy.version = number(dice, 1),
    }
}

fn noise(dice: &mut Dice) -> Vec<u8> {
    if dice.once_in(4) {
        return (0..dice.below(200)).map(|_| u8::try_from(dice.below(256)).unwrap_or_default()).collect();
    }
    NOISE[dice.below(NOISE.len())].to_vec()
}

impl Talk {
    /// Many new names at once.
    fn new_names(&mut self, dice: &mut Dice) -> Vec<Vec<u8>> {
        let Some(target) = self.target(dice) else { return Vec::new() };
        let slots = (0..5 + dice.below(10)).map(|_| self.new_name(dice)).collect();
        let result = self.new_result();
        vec![self.message(target, body(slots, false), Some(result)).into_bytes()]
    }

    fn false_call(&mut self, lie: Lie, dice: &mut Dice) -> Vec<Vec<u8>> {
        let known = self.target(dice);
        let own = RRef::Export(1 + self.last_object);
        let (target, slots, result, forged) = match (lie, known) {
            (Lie::TargetNotGiven, _) | (_, None) => (not_given(dice), self.names(dice), Some(self.new_result()), true),
            (Lie::OwnTarget, _) => (own, self.names(dice), Some(self.new_result()), true),
            (Lie::SlotNotGiven, Some(target)) => {
                let mut slots = self.names(dice);
                slots.insert(dice.below(slots.len() + 1), not_given(dice));
                (target, slots, Some(self.new_result()), true)
            }
            (Lie::ResultIsNone, Some(target)) => (target, self.names(dice), Some(own), true),
            (Lie::ResultOfTheirs, Some(target)) => {
                let theirs = |name: &RRef| matches!(name, RRef::PromiseImport(_)) && !self.decides.contains(name);
                let promises: Vec<RRef> = self.given.iter().copied().filter(theirs).collect();
                // The kernel may have asked it just now to settle one that it was given: then this is no lie.
                let given = dice.pick(&promises);
                let result = given.unwrap_or(RRef::PromiseImport(far(dice)));
                (target, self.names(dice), Some(result), given.is_none())
            }
            (_, Some(target)) => {
                let used: Vec<RRef> = self.asked.iter().chain(&self.gone).copied().collect();
                let used: Vec<RRef> = used.into_iter().filter(|name| matches!(name, RRef::PromiseExport(_))).collect();
                let result = dice.pick(&used).unwrap_or(target);
                (target, self.names(dice), Some(result), false)
            }
        };
        vec![self.message(target, body(slots, forged), result).into_bytes()]
    }

    fn false_settlement(&mut self, lie: Lie, dice: &mut Dice) -> Vec<Vec<u8>> {
        let mut promises: Vec<RRef> = self.asked.iter().chain(&self.gone).chain(&self.given).copied().collect();
        promises.push(RRef::PromiseImport(far(dice)));
        promises.push(RRef::PromiseExport(self.last_promise + 1 + dice.below(3) as u64));
        let theirs = dice.pick(&promises).unwrap_or(RRef::PromiseExport(1));
        let own = dice.pick(&self.decides).unwrap_or(theirs);
        let batch = match lie {
            Lie::SettlesWhatItMayNot => {
                let mut batch = vec![(theirs, body(self.names(dice), false))];
                if dice.once_in(2) {
                    batch.insert(dice.below(2), (own, body(Vec::new(), false)));
                }
                batch
            }
            Lie::SettlesTwice => {
                let batch = vec![(own, body(self.names(dice), false)); 2];
                if dice.once_in(2) {
                    batch
                } else {
                    return batch
                        .iter()
                        .map(|one| notify(self, std::slice::from_ref(one), dice).into_bytes())
                        .collect();
                }
            }
            Lie::SettlesWithItself => {
                let other = dice.pick(&self.decides).unwrap_or(own);
                let value = |slot| CapData { body: "#\"&0\"".into(), slots: vec![slot] };
                vec![(own, value(other)), (other, value(own))]
            }
            _ => vec![(own, body(vec![not_given(dice)], true))],
        };
        vec![notify(self, &batch, dice).into_bytes()]
    }

    fn false_garbage(&mut self, lie: Lie, dice: &mut Dice) -> Vec<Vec<u8>> {
        let given: Vec<RRef> = self.given.iter().copied().collect();
        let gone: Vec<RRef> = self.gone.iter().copied().collect();
        let known = dice.pick(&given).unwrap_or(RRef::Import(1));
        let any = match dice.below(5) {
            0 => not_given(dice),
            1 => RRef::Export(1 + dice.below(20) as u64),
            2 => dice.pick(&gone).unwrap_or(known),
            3 => RRef::PromiseExport(1 + dice.below(20) as u64),
            _ => known,
        };
        let delivered = match lie {
            Lie::RetiresWithoutDrop => Delivered::RetireExports(vec![known]),
            Lie::GoneThings => Delivered::RetireImports(vec![any, RRef::Export(1 + dice.below(9) as u64)]),
            _ if dice.once_in(2) => Delivered::DropExports(vec![known, any, known]),
            _ => Delivered::RetireExports(vec![known, any]),
        };
        vec![deliver(self, delivered).into_bytes()]
    }

    fn false_name(&mut self, lie: Lie, dice: &mut Dice) -> Vec<Vec<u8>> {
        let target = self.target(dice);
        let frame = match (lie, target) {
            (Lie::AnswersNobody, _) => {
                let name = if dice.once_in(2) { not_given(dice) } else { self.new_name(dice) };
                let key = format!("nobody{}", dice.below(9));
                self.say(Body::RedeemUrlReply { key, reply: RedeemReply::Granted(name) })
            }
            (Lie::LastNumbers, Some(target)) => {
                let slots = vec![if dice.once_in(4) { RRef::PromiseExport(LAST) } else { RRef::Export(LAST) }];
                self.message(target, body(slots, false), None)
            }
            (_, Some(target)) => {
                let gone: Vec<RRef> = self.gone.iter().copied().collect();
                let name = dice.pick(&gone).unwrap_or(RRef::Export(LAST));
                let result = Some(self.new_result());
                let (target, slots) = if dice.once_in(2) { (name, Vec::new()) } else { (target, vec![name]) };
                self.message(target, body(slots, false), result)
            }
            (_, None) => return Vec::new(),
        };
        vec![frame.into_bytes()]
    }

    fn false_ack(&mut self, lie: Lie, dice: &mut Dice) -> Vec<Vec<u8>> {
        let heard = self.position.highest_received;
        let more = heard + 1 + [0, 5, FAR][dice.below(3)];
        let heard = heard.max(1);
        let packet = match (lie, dice.below(3)) {
            (Lie::AcknowledgesTooMuch, 0) => Packet::Ack { ack: LAST, alloc: None },
            (Lie::AcknowledgesTooMuch, 1) => Packet::Ack { ack: more, alloc: Some(0) },
            (Lie::AcknowledgesTooMuch, _) => {
                // It is not counted: said again and again, it would end every conversation.
                let seq = self.position.next_send;
                let frame = format!(
                    "{{\"seq\":{seq},\"ack\":{more},\"method\":\"deliver\",\"params\":[\"bringOutYourDead\"]}}"
                );
                return vec![frame.into_bytes()];
            }
            (_, 0) => Packet::Ack { ack: heard, alloc: Some(LAST) },
            (_, 1) => Packet::Credit { ack: heard, alloc: LAST, room: 0 },
            _ => Packet::Credit { ack: heard, alloc: 0, room: LAST },
        };
        vec![encode(&packet).into_bytes()]
    }

    fn false_number(&mut self, lie: Lie, dice: &mut Dice) -> Vec<Vec<u8>> {
        let next = self.position.next_send;
        let reap = |seq: u64| {
            format!("{{\"seq\":{seq},\"method\":\"deliver\",\"params\":[\"bringOutYourDead\"]}}").into_bytes()
        };
        let old: Vec<String> = self.old.iter().cloned().chain(self.unacknowledged()).collect();
        match (lie, dice.pick(&old)) {
            (Lie::Replay, Some(frame)) => vec![frame.into_bytes()],
            (Lie::OtherWords, _) => vec![reap(next.saturating_sub(1 + dice.below(4) as u64).max(1))],
            _ if dice.once_in(8) => vec![reap(LAST - dice.below(2) as u64)],
            _ => vec![reap(next + 1 + dice.below(1_500) as u64)],
        }
    }

    fn false_form(&mut self, lie: Lie, dice: &mut Dice) -> Vec<Vec<u8>> {
        let target = self.target(dice).unwrap_or(RRef::Import(1));
        let frame = match lie {
            Lie::Giant if dice.once_in(4) => match dice.below(3) {
                0 => {
                    let big = CapData { body: format!("#\"{}\"", "x".repeat(1_040_000)), slots: Vec::new() };
                    let result = Some(self.new_result());
                    self.message(target, big, result)
                }
                1 => deliver(self, Delivered::DropExports(vec![target; 10_001])),
                _ => {
                    let slots = vec![RRef::Export(1); 9_000];
                    self.message(target, body(slots, false), None)
                }
            },
            Lie::Deep => {
                let deep = [60, 200, 50_000][dice.below(3)];
                let (open, close) = ("[".repeat(deep), "]".repeat(deep));
                if dice.once_in(3) {
                    let seq = self.position.next_send; // not counted, likewise
                    format!("{{\"seq\":{seq},\"method\":\"deliver\",\"params\":{open}{close}}}")
                } else {
                    let methargs = CapData { body: format!("#{open}{close}"), slots: Vec::new() };
                    self.message(target, methargs, None)
                }
            }
            _ => {
                let words = WRONG_WORDS[dice.below(WRONG_WORDS.len())];
                if dice.once_in(6) { format!("{{{words}}}") } else { self.say_raw(words) }
            }
        };
        let mut frame = frame.into_bytes();
        if dice.once_in(20) {
            frame.truncate(dice.below(frame.len()));
        }
        vec![frame]
    }
}
