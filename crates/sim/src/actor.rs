//! Vats whose behaviour is chance: they send, settle, keep, drop and end themselves, mostly legally.
//!
//! What always holds: an actor is a function of its seed, its place and what it was told; it knows only references that
//! it was told or made. What its durable state holds is written there under the reference's name, so that the next heap
//! knows it again. When the world comes to rest ([`Knobs::quiet`]), actors settle everything that they decide, send
//! nothing more and let go of everything.
//!
//! Each actor begins with the same sum in the purse in its state. A message may carry some of it: what it carries leaves
//! the purse in the crank that sends it, and enters the purse of whoever is told it in the crank that answers it. If the
//! kernel says that it did not arrive ([`was_not_delivered`]), it goes back.
//!
//! Not here: hosts, who send messages too (`host`).

mod model;
mod name;
mod purse;
mod wishes;

pub use name::MessageName;
pub use purse::{MINTED, PURSE, was_not_delivered};

use crate::dice::Dice;
use crate::speech;
use model::Model;
use purse::Purse;
use std::cell::Cell;
use std::rc::Rc;
use sturdy_types::{CapData, Delivery, Fatal, Hold, Message, Outcome, Resolution, Syscall, VRef, Verdict, VirtualRef};
use sturdy_vat::{StateReader, StateUnreadable};
use wishes::Wishes;

/// What is common to all actors of a world.
#[derive(Debug, Default)]
pub struct Knobs {
    /// How often a delivery fails, in ten thousand.
    pub fails: Cell<u32>,
    /// How often something illegal is asked, in ten thousand.
    pub illegal: Cell<u32>,
    /// How often an actor ends itself, in ten thousand.
    pub exits: Cell<u32>,
    /// Values of settled promises may mention promises.
    pub rings: Cell<bool>,
    /// The world comes to rest.
    pub quiet: Cell<bool>,
}

/// One heap.
pub struct Actor {
    name: MessageName,
    seed: u64,
    dice: Dice,
    model: Model,
    wishes: Wishes,
    next_export: u64,
    purse: Purse,
    values: u64,
    knobs: Rc<Knobs>,
}

impl Actor {
    /// A new heap, and the outcome of its start delivery. `name` is the stream of its messages.
    pub fn start(
        seed: u64,
        name: MessageName,
        knobs: &Rc<Knobs>,
        state: &dyn StateReader,
    ) -> Result<(Self, Outcome), StateUnreadable> {
        let dice = Dice::new(seed, name.number_of_stream());
        let mut actor = Self {
            name,
            seed,
            dice,
            model: Model::default(),
            wishes: Wishes::default(),
            next_export: u64::from(name.boot) << 24,
            purse: Purse::open(state)?,
            values: 0,
            knobs: Rc::clone(knobs),
        };
        actor.model.remember(state)?;
        let mut outcome = actor.outcome(false);
        actor.purse.note(&mut outcome);
        Ok((actor, outcome))
    }

    /// Works on one delivery.
    pub fn deliver(&mut self, delivery: &Delivery) -> Outcome {
        self.model.learn(delivery);
        let receipt = self.purse.learn(delivery);
        for resolution in &receipt {
            self.model.forget_promise(resolution.promise);
        }
        self.wishes.learn(delivery);
        let reaped = matches!(delivery, Delivery::BringOutYourDead);
        let mut outcome = self.outcome(reaped);
        if !receipt.is_empty() {
            outcome.syscalls.insert(0, Syscall::Resolve(receipt));
        }
        self.purse.note(&mut outcome);
        outcome
    }

    /// An answer that no vat was asked for.
    pub fn any_outcome(&mut self) -> Outcome {
        let wild = (0..self.dice.below(3)).map(|_| self.wild_syscall()).collect();
        Outcome::done(wild)
    }

    fn outcome(&mut self, reaped: bool) -> Outcome {
        if self.knobs.quiet.get() {
            return self.come_to_rest(reaped);
        }
        if self.dice.happens(self.knobs.fails.get()) {
            let code = [Fatal::ComputeLimit, Fatal::MemoryLimit, Fatal::OutputLimit][self.dice.below(3)];
            return Outcome::failed(code, "by chance");
        }
        let mut outcome = Outcome::default();
        for _ in 0..self.dice.below(6) {
            let said = if self.dice.happens(self.knobs.illegal.get()) {
                Some(self.wild_syscall())
            } else {
                self.syscall(&mut outcome)
            };
            outcome.syscalls.extend(said);
        }
        outcome.syscalls.extend(self.wish());
        self.hold_something(&mut outcome);
        if self.dice.happens(self.knobs.exits.get()) {
            let info = CapData::plain("#\"enough\"");
            outcome.syscalls.push(Syscall::Exit { failure: self.dice.once_in(2), info });
        }
        outcome.verdict = Verdict::Done;
        outcome
    }

    fn syscall(&mut self, outcome: &mut Outcome) -> Option<Syscall> {
        Some(match self.dice.below(16) {
            0..=4 => self.send(),
            5..=7 => {
                let promise = self.dice.pick(&self.model.not_subscribed())?;
                self.model.subscribed.insert(promise);
                Syscall::Subscribe(promise)
            }
            8..=11 => self.resolve()?,
            12 => {
                let import = self.dice.pick(&self.model.free_imports())?;
                self.model.drop_import(import);
                Syscall::DropImports(vec![import])
            }
            13 => {
                let import = self.dice.pick(&self.model.dropped_imports())?;
                self.model.dropped_imports.remove(&import);
                Syscall::RetireImports(vec![import])
            }
            14 => {
                let export = self.dice.pick(&self.model.dropped_exports())?;
                self.model.forget_export(export, outcome);
                Syscall::RetireExports(vec![export])
            }
            _ if self.dice.once_in(4) => {
                let export = self.dice.pick(&self.model.exports())?;
                self.model.forget_export(export, outcome);
                Syscall::AbandonExports(vec![export])
            }
            _ => self.send(),
        })
    }

    fn next_name(&mut self) -> MessageName {
        self.name.number += 1;
        self.name
    }

    fn send(&mut self) -> Syscall {
        let target = self.known();
        let slots: Vec<VRef> = (0..self.dice.below(4)).map(|_| self.known()).collect();
        let mut fresh = None;
        let result = match self.dice.below(5) {
            0 => None,
            1 => self.dice.pick(&self.model.decides()),
            _ => {
                self.next_export += 1;
                fresh = Some(VRef::PromiseExport(self.next_export));
                fresh
            }
        };
        if let Some(result) = result {
            self.model.decides.remove(&result);
            self.model.promises.insert(result);
        }
        let name = self.next_name();
        let paid = match fresh {
            Some(result) if self.dice.once_in(2) => {
                let amount = self.dice.below(10) as u64;
                self.purse.pay(result, amount)
            }
            _ => 0,
        };
        let body = if paid > 0 { name.as_payment(paid) } else { name.as_body() };
        Syscall::Send { target, message: Message { methargs: CapData { body, slots }, result } }
    }

    /// Dice of their own, for what changes nothing else.
    fn other_dice(&mut self) -> Dice {
        self.values += 1;
        Dice::new(self.seed, self.name.number_of_stream() ^ (self.values << 32))
    }

    /// Something that is asked of a service.
    fn wish(&mut self) -> Option<Syscall> {
        let mut dice = self.other_dice();
        let (target, methargs) = self.wishes.next(&mut dice, &self.model)?;
        for slot in &methargs.slots {
            self.model.use_it(*slot);
        }
        let result = (!dice.once_in(8)).then(|| {
            self.next_export += 1;
            VRef::PromiseExport(self.next_export)
        });
        self.model.promises.extend(result);
        Some(Syscall::Send { target, message: Message { methargs, result } })
    }

    fn resolve(&mut self) -> Option<Syscall> {
        let mut batch: Vec<Resolution<VRef>> = Vec::new();
        for _ in 0..=self.dice.below(2) {
            let promise = self.dice.pick(&self.model.decides())?;
            if batch.iter().any(|earlier| earlier.promise == promise) {
                break;
            }
            let rejected = self.dice.once_in(4);
            let value = self.value();
            batch.push(Resolution { promise, rejected, value });
        }
        for resolution in &batch {
            self.model.forget_promise(resolution.promise);
        }
        Some(Syscall::Resolve(batch))
    }

    fn value(&mut self) -> CapData<VRef> {
        let mut slots: Vec<VRef> = (0..self.dice.below(3)).map(|_| self.known()).collect();
        if !self.knobs.rings.get() {
            slots.retain(|slot| !slot.is_promise());
        }
        let body = match slots.first() {
            Some(slot) if slot.is_promise() && slots.len() == 1 => "#\"&0\"".into(),
            Some(_) if slots.len() == 1 => "#\"$0.Alleged: thing\"".into(),
            _ => {
                let mut dice = self.other_dice();
                let promises: Vec<bool> = slots.iter().map(|slot| slot.is_promise()).collect();
                speech::body(&mut dice, &promises)
            }
        };
        CapData { body, slots }
    }

    /// A reference that the actor may use, old or new.
    fn known(&mut self) -> VRef {
        let found = match self.dice.below(8) {
            0..=3 => self.dice.pick(&self.model.imports()),
            4 | 5 => self.dice.pick(&self.model.promises()),
            6 => self.dice.pick(&self.model.exports()),
            _ => None,
        };
        let vref = found.unwrap_or_else(|| {
            self.next_export += 1;
            match self.dice.below(4) {
                0 => VRef::Virtual(VirtualRef { durable: true, kind: 1, instance: self.next_export, facet: None }),
                1 => VRef::Virtual(VirtualRef { durable: false, kind: 2, instance: self.next_export, facet: None }),
                _ => VRef::Export(self.next_export),
            }
        });
        self.model.use_it(vref);
        vref
    }

    /// Changes what the durable state holds.
    fn hold_something(&mut self, outcome: &mut Outcome) {
        self.model.keep_durable_exports(outcome);
        if self.dice.once_in(4)
            && let Some(import) = self.dice.pick(&self.model.imports())
        {
            self.model.hold(import, outcome);
        }
        if self.dice.once_in(8)
            && let Some(held) = self.dice.pick(&self.model.held())
        {
            self.model.let_go(held, outcome);
        }
    }

    /// Settles everything, listens to everything, and lets go of everything.
    fn come_to_rest(&mut self, reaped: bool) -> Outcome {
        let mut outcome = Outcome::default();
        let decided = self.model.decides();
        if !decided.is_empty() {
            let resolve = |promise| Resolution { promise, rejected: false, value: CapData::plain("#\"at rest\"") };
            outcome.syscalls.push(Syscall::Resolve(decided.iter().copied().map(resolve).collect()));
        }
        for promise in decided {
            self.model.forget_promise(promise);
        }
        for promise in self.model.not_subscribed() {
            self.model.subscribed.insert(promise);
            outcome.syscalls.push(Syscall::Subscribe(promise));
        }
        if reaped {
            for held in self.model.held() {
                self.model.let_go(held, &mut outcome);
            }
            let imports = self.model.imports();
            for import in &imports {
                self.model.drop_import(*import);
            }
            let dropped = self.model.dropped_imports();
            self.model.dropped_imports.clear();
            let exports = self.model.dropped_exports();
            for export in &exports {
                self.model.forget_export(*export, &mut outcome);
            }
            let all = [Syscall::DropImports(imports), Syscall::RetireImports(dropped), Syscall::RetireExports(exports)];
            outcome.syscalls.extend(all);
        }
        outcome
    }

    /// Any reference at all.
    fn any_ref(&mut self) -> VRef {
        let number = self.dice.below(40) as u64;
        match self.dice.below(7) {
            0 => VRef::Import(number),
            1 => VRef::PromiseImport(number),
            2 => VRef::Export(number),
            3 => VRef::PromiseExport(number),
            4 => VRef::Virtual(VirtualRef { durable: false, kind: 2, instance: number, facet: Some(1) }),
            _ => self.known(),
        }
    }

    /// Something that is likely illegal. What is not is learned as if it had been wanted.
    fn wild_syscall(&mut self) -> Syscall {
        let refs: Vec<VRef> = (0..self.dice.below(3)).map(|_| self.any_ref()).collect();
        for vref in &refs {
            self.model.use_it(*vref);
        }
        match self.dice.below(8) {
            0 => Syscall::Illegal("by chance".into()),
            1 => Syscall::Send {
                target: VRef::PromiseExport(3),
                message: Message { methargs: CapData::plain(self.next_name().as_body()), result: Some(VRef::ROOT) },
            },
            2 => Syscall::Subscribe(VRef::Export(7)),
            3 => {
                let value = CapData { body: "#[]".into(), slots: Vec::new() };
                Syscall::Resolve(vec![Resolution { promise: VRef::PromiseImport(1 << 40), rejected: true, value }])
            }
            4 => Syscall::DropImports(vec![VRef::Import(1 << 40)]),
            5 => Syscall::RetireImports(vec![VRef::Export(1)]),
            6 => Syscall::RetireExports(vec![VRef::Import(1 << 40)]),
            _ => Syscall::Exit { failure: true, info: CapData { body: "#[]".into(), slots: refs } },
        }
    }
}

/// The key under which the state remembers a reference.
fn held_key(vref: VRef) -> String {
    format!("held:{vref}")
}

fn kept_key(vref: VRef) -> String {
    format!("kept:{vref}")
}

fn note(outcome: &mut Outcome, key: String, value: Option<&str>) {
    outcome.state.writes.retain(|(other, _)| *other != key);
    outcome.state.writes.push((key, value.map(str::to_owned)));
}

fn note_hold(outcome: &mut Outcome, vref: VRef, hold: Hold) {
    outcome.state.holds.retain(|(other, _)| *other != vref);
    outcome.state.holds.push((vref, hold));
}
