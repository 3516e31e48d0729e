//! Vats whose answers are drawn from a tape of numbers: mostly legal, sometimes not.
//!
//! What always holds: a tape gives the same run every time; at its end every choice is the first one, so that shorter
//! tapes mean less. A model per vat keeps what the vat was told and gave out; it makes legal answers likely, and it
//! checks each delivery of a vat's first heap against what that vat can know (G13).

#![allow(dead_code)] // each test file uses a part of it

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use sturdy_types::{
    CapData, Delivery, Fatal, Hold, Message, Outcome, Resolution, StateDelta, Syscall, VRef, VatId, Verdict, VirtualRef,
};
use sturdy_vat::ScriptedRuntime;

/// The entry under which the orderly vat is launched.
pub const VICTIM: &str = "victim";

/// A source of choices.
pub struct Tape {
    numbers: Vec<u16>,
    at: usize,
}

impl Tape {
    pub fn new(numbers: Vec<u16>) -> Self {
        Self { numbers, at: 0 }
    }

    pub fn is_over(&self) -> bool {
        self.at >= self.numbers.len()
    }

    /// A number below `bound`, 0 at the end of the tape.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(number) % bound.max(1)
    }

    /// True once in `n` times; never at the end of the tape.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())].clone()) }
    }

    fn pick_of(&mut self, from: &BTreeSet<VRef>) -> Option<VRef> {
        let all: Vec<VRef> = from.iter().copied().collect();
        self.pick(&all)
    }
}

/// What one vat knows.
#[derive(Default, Debug)]
struct Model {
    exports: BTreeSet<VRef>,
    /// Exports that the kernel has dropped.
    dropped_exports: BTreeSet<VRef>,
    imports: BTreeSet<VRef>,
    dropped_imports: BTreeSet<VRef>,
    promises: BTreeSet<VRef>,
    decides: BTreeSet<VRef>,
    subscribed: BTreeSet<VRef>,
    /// The greatest import numbers so far: objects, promises.
    newest: (u64, u64),
    /// Heaps were lost, so what the vat knows is not all known here: deliveries are not checked any more.
    relaxed: bool,
}

/// What all vats of a world share.
pub struct Shared {
    pub tape: Tape,
    models: BTreeMap<VatId, Model>,
    victims: BTreeSet<VatId>,
    next_id: u64,
    /// How often the tape is asked for something illegal: once in this many choices.
    pub wildness: usize,
}

pub type SharedVats = Rc<RefCell<Shared>>;

pub fn shared(numbers: Vec<u16>, wildness: usize) -> SharedVats {
    Rc::new(RefCell::new(Shared {
        tape: Tape::new(numbers),
        models: BTreeMap::new(),
        victims: BTreeSet::new(),
        next_id: 1,
        wildness,
    }))
}

pub fn runtime(shared: &SharedVats) -> ScriptedRuntime {
    let shared = Rc::clone(shared);
    ScriptedRuntime::new(move |vat, delivery| shared.borrow_mut().answer(vat, delivery))
}

impl Shared {
    fn answer(&mut self, vat: VatId, delivery: &Delivery) -> Outcome {
        if let Delivery::Start(spec) = delivery
            && spec.config.code.entry == VICTIM
        {
            self.victims.insert(vat);
            return Outcome::default();
        }
        if self.victims.contains(&vat) {
            return victim(delivery);
        }
        self.learn(vat, delivery);
        self.wild_outcome(vat)
    }

    /// Takes a delivery into the model, and checks that it says nothing that the vat cannot know.
    fn learn(&mut self, vat: VatId, delivery: &Delivery) {
        let model = self.models.entry(vat).or_default();
        match delivery {
            Delivery::Start(spec) => {
                *model = Model { relaxed: spec.restarted || !model.exports.is_empty(), ..Model::default() };
                model.exports.insert(VRef::ROOT);
            }
            Delivery::Message { target, message } => {
                model.check(vat, model.exports.contains(target), "a message for an object that is not its own");
                model.check(vat, !model.dropped_exports.contains(target), "a message for an object it may have freed");
                model.told_all(vat, &message.methargs.slots);
                if let Some(result) = message.result {
                    model.told(vat, result);
                    model.decides.insert(result);
                    model.promises.insert(result);
                }
            }
            Delivery::Notify(resolutions) => {
                for resolution in resolutions {
                    model.told(vat, resolution.promise);
                    model.told_all(vat, &resolution.value.slots);
                }
                for resolution in resolutions {
                    let undecided = !model.decides.contains(&resolution.promise);
                    model.check(vat, undecided, "the end of a promise that it decides itself");
                    model.forget_promise(resolution.promise);
                }
            }
            Delivery::DropExports(vrefs) => {
                for vref in vrefs {
                    model.check(vat, model.exports.contains(vref), "a drop of an export that it does not have");
                    model.dropped_exports.insert(*vref);
                }
            }
            Delivery::RetireExports(vrefs) => {
                for vref in vrefs {
                    let dropped = model.exports.contains(vref) && model.dropped_exports.contains(vref);
                    model.check(vat, dropped, "the end of an export that was not dropped");
                    model.exports.remove(vref);
                    model.dropped_exports.remove(vref);
                }
            }
            Delivery::RetireImports(vrefs) => {
                for vref in vrefs {
                    let known = model.dropped_imports.remove(vref);
                    model.check(vat, known, "the end of an import that it has not dropped");
                    model.imports.remove(vref);
                }
            }
            Delivery::BringOutYourDead => {}
        }
    }

    fn wild_outcome(&mut self, vat: VatId) -> Outcome {
        let mut outcome = Outcome::default();
        for _ in 0..self.tape.below(6) {
            if let Some(syscall) = self.syscall(vat) {
                outcome.syscalls.push(syscall);
            }
        }
        outcome.state = self.state(vat);
        if self.tape.once_in(self.wildness) {
            outcome.verdict = Verdict::Failed(Fatal::ComputeLimit, "the tape says so".into());
        }
        outcome
    }

    /// An answer that no vat was asked for: whatever the tape says, whoever the vat is.
    pub fn any_outcome(&mut self, vat: VatId) -> Outcome {
        self.models.entry(vat).or_default().relaxed = true;
        let syscalls = (0..self.tape.below(3)).map(|_| self.wild_syscall(vat)).collect();
        Outcome { state: self.state(vat), ..Outcome::done(syscalls) }
    }

    fn syscall(&mut self, vat: VatId) -> Option<Syscall> {
        if self.tape.once_in(self.wildness) {
            return Some(self.wild_syscall(vat));
        }
        Some(match self.tape.below(16) {
            0..=4 => self.send(vat),
            5 | 6 => {
                let model = &self.models[&vat];
                let known: BTreeSet<VRef> = model.promises.difference(&model.decides).copied().collect();
                Syscall::Subscribe(self.tape.pick_of(&known)?)
            }
            7..=10 => self.resolve(vat)?,
            11 => {
                let import = self.tape.pick_of(&self.models[&vat].imports)?;
                let model = self.models.get_mut(&vat)?;
                model.imports.remove(&import);
                model.dropped_imports.insert(import);
                Syscall::DropImports(vec![import])
            }
            12 => {
                let import = self.tape.pick_of(&self.models[&vat].dropped_imports)?;
                self.models.get_mut(&vat)?.dropped_imports.remove(&import);
                Syscall::RetireImports(vec![import])
            }
            13 => {
                let export = self.tape.pick_of(&self.models[&vat].dropped_exports)?;
                let model = self.models.get_mut(&vat)?;
                model.dropped_exports.remove(&export);
                model.exports.remove(&export);
                Syscall::RetireExports(vec![export])
            }
            14 => {
                let export = self.tape.pick_of(&self.models[&vat].exports)?;
                let model = self.models.get_mut(&vat)?;
                model.dropped_exports.remove(&export);
                model.exports.remove(&export);
                Syscall::AbandonExports(vec![export])
            }
            _ if self.tape.once_in(8) => {
                Syscall::Exit { failure: self.tape.once_in(2), info: CapData::plain("#\"enough\"") }
            }
            _ => self.send(vat),
        })
    }

    fn send(&mut self, vat: VatId) -> Syscall {
        let target = self.known(vat);
        let slots: Vec<VRef> = (0..self.tape.below(4)).map(|_| self.known(vat)).collect();
        let model = self.models.get_mut(&vat).expect("it has started");
        let result = match self.tape.below(4) {
            0 => None,
            1 => self.tape.pick_of(&model.decides),
            _ => {
                self.next_id += 1;
                Some(VRef::PromiseExport(self.next_id))
            }
        };
        if let Some(result) = result {
            model.decides.remove(&result);
            model.promises.insert(result);
        }
        Syscall::Send { target, message: Message { methargs: CapData { body: "#[\"go\",[]]".into(), slots }, result } }
    }

    fn resolve(&mut self, vat: VatId) -> Option<Syscall> {
        let mut batch: Vec<Resolution<VRef>> = Vec::new();
        for _ in 0..=self.tape.below(2) {
            let promise = self.tape.pick_of(&self.models[&vat].decides)?;
            if batch.iter().any(|earlier| earlier.promise == promise) {
                break;
            }
            let mut slots: Vec<VRef> = (0..self.tape.below(3)).map(|_| self.known(vat)).collect();
            if !self.tape.once_in(6) {
                slots.retain(|slot| !slot.is_promise());
            }
            let body = match slots.first() {
                Some(slot) if slot.is_promise() && slots.len() == 1 => "#\"&0\"",
                Some(_) if slots.len() == 1 => "#\"$0.Alleged: thing\"",
                _ => "#[]",
            };
            let rejected = self.tape.once_in(4);
            batch.push(Resolution { promise, rejected, value: CapData { body: body.into(), slots } });
        }
        let model = self.models.get_mut(&vat)?;
        for resolution in &batch {
            model.forget_promise(resolution.promise);
        }
        Some(Syscall::Resolve(batch))
    }

    /// A reference that the vat may use: of the four kinds, old or new.
    fn known(&mut self, vat: VatId) -> VRef {
        let model = &self.models[&vat];
        let found = match self.tape.below(8) {
            0..=2 => self.tape.pick_of(&model.imports),
            3 | 4 => self.tape.pick_of(&model.promises),
            5 => self.tape.pick_of(&model.exports),
            _ => None,
        };
        let vref = found.unwrap_or_else(|| {
            self.next_id += 1;
            let instance = self.next_id;
            let virtual_ref = |durable| VirtualRef { durable, kind: 1, instance, facet: None };
            match self.tape.below(4) {
                0 | 1 => VRef::Export(instance),
                2 => VRef::Virtual(virtual_ref(true)),
                _ => VRef::Virtual(virtual_ref(false)),
            }
        });
        let model = self.models.get_mut(&vat).expect("it has started");
        if !vref.is_promise() && vref.is_export() {
            model.exports.insert(vref);
            model.dropped_exports.remove(&vref);
        }
        vref
    }

    fn state(&mut self, vat: VatId) -> StateDelta {
        let mut delta = StateDelta::default();
        if self.tape.once_in(3) {
            let value = (!self.tape.once_in(3)).then(|| vat.to_string());
            delta.writes.push((format!("key{}", self.tape.below(5)), value));
        }
        if self.tape.once_in(4)
            && let Some(import) = self.tape.pick_of(&self.models[&vat].imports)
        {
            let hold = [Hold::Strong, Hold::Weak, Hold::None][self.tape.below(3)];
            delta.holds.push((import, hold));
        }
        if self.tape.once_in(8)
            && let Some(promise) = self.tape.pick_of(&self.models[&vat].promises)
        {
            delta.holds.push((promise, Hold::Strong));
        }
        delta
    }

    /// Any reference at all.
    fn any_ref(&mut self, vat: VatId) -> VRef {
        let number = self.tape.below(40) as u64;
        match self.tape.below(7) {
            0 => VRef::Import(number),
            1 => VRef::PromiseImport(number),
            2 => VRef::Export(number),
            3 => VRef::PromiseExport(number),
            4 => VRef::Virtual(VirtualRef {
                durable: number.is_multiple_of(2),
                kind: 1,
                instance: number,
                facet: Some(1),
            }),
            _ => self.known(vat),
        }
    }

    fn any_refs(&mut self, vat: VatId) -> Vec<VRef> {
        (0..self.tape.below(3)).map(|_| self.any_ref(vat)).collect()
    }

    /// Any syscall at all, likely illegal.
    fn wild_syscall(&mut self, vat: VatId) -> Syscall {
        // What it exports is not in the model.
        self.models.get_mut(&vat).expect("it has started").relaxed = true;
        let value = CapData { body: "#\"&0\"".into(), slots: self.any_refs(vat) };
        match self.tape.below(9) {
            0 => Syscall::Illegal("the tape says so".into()),
            1 => {
                let result = self.tape.once_in(2).then(|| self.any_ref(vat));
                Syscall::Send { target: self.any_ref(vat), message: Message { methargs: value, result } }
            }
            2 => Syscall::Subscribe(self.any_ref(vat)),
            3 => {
                let rejected = self.tape.once_in(2);
                Syscall::Resolve(vec![Resolution { promise: self.any_ref(vat), rejected, value }])
            }
            4 => Syscall::DropImports(self.any_refs(vat)),
            5 => Syscall::RetireImports(self.any_refs(vat)),
            6 => Syscall::RetireExports(self.any_refs(vat)),
            7 => Syscall::AbandonExports(self.any_refs(vat)),
            _ => Syscall::Exit { failure: self.tape.once_in(2), info: value },
        }
    }
}

impl Model {
    fn check(&self, vat: VatId, holds: bool, what: &str) {
        assert!(holds || self.relaxed, "{vat} was told of {what}; it knows {self:?}");
    }

    fn told_all(&mut self, vat: VatId, vrefs: &[VRef]) {
        for &vref in vrefs {
            self.told(vat, vref);
        }
    }

    /// One reference of a delivery: the vat knows it already, or it is an import with a new number.
    fn told(&mut self, vat: VatId, vref: VRef) {
        let fine = match vref {
            VRef::Import(number) => {
                let new = number > self.newest.0;
                self.newest.0 = self.newest.0.max(number);
                let known = self.dropped_imports.remove(&vref);
                !self.imports.insert(vref) || known || new
            }
            VRef::PromiseImport(number) => {
                let new = number > self.newest.1;
                self.newest.1 = self.newest.1.max(number);
                !self.promises.insert(vref) || new
            }
            VRef::PromiseExport(_) => self.promises.contains(&vref),
            // An export that was dropped and is told again was picked up by somebody in between.
            VRef::Export(_) | VRef::Virtual(_) => self.exports.contains(&vref),
        };
        self.check(vat, fine, &format!("{vref}, which it was never given"));
    }

    fn forget_promise(&mut self, promise: VRef) {
        self.promises.remove(&promise);
        self.decides.remove(&promise);
        self.subscribed.remove(&promise);
    }
}

/// The orderly vat: it answers every call with `ok` and keeps nothing.
fn victim(delivery: &Delivery) -> Outcome {
    let mut syscalls = Vec::new();
    let imports = |slots: &[VRef]| slots.iter().copied().filter(|slot| matches!(slot, VRef::Import(_))).collect();
    if let Delivery::Message { message, .. } = delivery {
        if let Some(promise) = message.result {
            let value = CapData::plain("#\"ok\"");
            syscalls.push(Syscall::Resolve(vec![Resolution { promise, rejected: false, value }]));
        }
        let given: Vec<VRef> = imports(&message.methargs.slots);
        syscalls.push(Syscall::DropImports(given.clone()));
        let once: BTreeSet<VRef> = given.into_iter().collect();
        syscalls.push(Syscall::RetireImports(once.into_iter().collect()));
    }
    Outcome::done(syscalls)
}
