//! What vats answer: mostly what a vat may say that has been told these references, sometimes anything.

use super::body;
use crate::tape::Tape;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_types::{
    CapData, Delivery, Fatal, Hold, Message, Outcome, Resolution, RunId, StateDelta, Syscall, VRef, VatId, Verdict,
    VirtualRef,
};

/// What a vat has been told, as far as it is good for saying something legal.
#[derive(Default)]
struct Known {
    imports: Vec<VRef>,
    promises: Vec<VRef>,
    /// Promises that it is to settle.
    decides: Vec<VRef>,
    dropped_imports: Vec<VRef>,
    dropped_exports: Vec<VRef>,
    /// Numbers that it gave out.
    last: u64,
}

/// What each vat knows.
#[derive(Default)]
pub(super) struct Vats {
    known: BTreeMap<VatId, Known>,
}

impl Vats {
    pub(super) fn stopped(&mut self, vat: VatId, _: RunId) {
        self.known.remove(&vat);
    }

    pub(super) fn learn(&mut self, vat: VatId, delivery: &Delivery) {
        let known = self.known.entry(vat).or_default();
        match delivery {
            Delivery::Start(spec) => {
                *known = Known { last: known.last, ..Known::default() };
                known.told(&spec.parameters.slots);
            }
            Delivery::Message { message, .. } => {
                known.told(&message.methargs.slots);
                known.told(message.result.as_slice());
                known.decides.extend(message.result);
            }
            Delivery::Notify(resolutions) => {
                for resolution in resolutions {
                    known.told(&resolution.value.slots);
                }
                for resolution in resolutions {
                    known.forget(resolution.promise);
                }
            }
            Delivery::DropExports(vrefs) => known.dropped_exports.extend(vrefs),
            Delivery::RetireExports(vrefs) => known.dropped_exports.retain(|vref| !vrefs.contains(vref)),
            Delivery::RetireImports(vrefs) => known.dropped_imports.retain(|vref| !vrefs.contains(vref)),
            Delivery::BringOutYourDead => {}
        }
    }

    /// Calls are answered, imports let go of, nothing is sent.
    pub(super) fn orderly(&mut self, vat: VatId, delivery: &Delivery) -> Outcome {
        let known = self.known.entry(vat).or_default();
        let mut syscalls = Vec::new();
        if let Delivery::Message { message: Message { result: Some(promise), .. }, .. } = delivery {
            known.forget(*promise);
            let value = CapData::plain("#\"ok\"");
            syscalls.push(Syscall::Resolve(vec![Resolution { promise: *promise, rejected: false, value }]));
        }
        if *delivery == Delivery::BringOutYourDead {
            let imports: BTreeSet<VRef> = known.imports.drain(..).collect();
            syscalls.push(Syscall::DropImports(imports.iter().copied().collect()));
            syscalls.push(Syscall::RetireImports(imports.into_iter().collect()));
        }
        Outcome::done(syscalls)
    }

    pub(super) fn outcome(&mut self, vat: VatId, delivery: &Delivery, tape: &mut Tape<'_>) -> Outcome {
        let kind = tape.below(12);
        if kind == 0 {
            return self.orderly(vat, delivery);
        }
        let known = self.known.entry(vat).or_default();
        let count = [1, 2, 3, 4, 10][tape.below(5).min(kind)];
        let syscalls = (0..count).map_while(|_| (!tape.is_over()).then(|| known.syscall(tape))).collect();
        let state = if kind == 1 { known.state(tape) } else { StateDelta::default() };
        let verdict = if kind == 11 && tape.once_in(4) {
            Verdict::Failed(Fatal::ComputeLimit, "the tape says so".into())
        } else {
            Verdict::Done
        };
        Outcome { state, verdict, ..Outcome::done(syscalls) }
    }
}

impl Known {
    fn told(&mut self, vrefs: &[VRef]) {
        for &vref in vrefs {
            let list = if vref.is_promise() { &mut self.promises } else { &mut self.imports };
            if (vref.is_promise() || !vref.is_export()) && !list.contains(&vref) {
                list.push(vref);
            }
            self.dropped_exports.retain(|dropped| *dropped != vref);
        }
    }

    fn forget(&mut self, promise: VRef) {
        self.promises.retain(|known| *known != promise);
        self.decides.retain(|known| *known != promise);
    }

    fn syscall(&mut self, tape: &mut Tape<'_>) -> Syscall {
        match tape.below(18) {
            0..=4 => self.send(tape),
            5..=8 => self.resolve(tape),
            9 | 10 => Syscall::Subscribe(self.promise(tape)),
            11 => {
                let at = tape.below(self.imports.len());
                if self.imports.is_empty() {
                    return Syscall::DropImports(any_refs(tape));
                }
                let import = self.imports.remove(at);
                self.dropped_imports.push(import);
                Syscall::DropImports(vec![import])
            }
            12 => Syscall::RetireImports(match self.dropped_imports.pop() {
                Some(import) => vec![import],
                None => any_refs(tape),
            }),
            13 => Syscall::RetireExports(match self.dropped_exports.pop() {
                Some(export) => vec![export],
                None => any_refs(tape),
            }),
            14 => Syscall::AbandonExports(vec![VRef::Export(tape.number(6))]),
            15 => match tape.below(6) {
                0 => Syscall::Illegal("the tape says so".into()),
                1 => Syscall::Exit { failure: tape.once_in(2), info: body(self.refs(tape), false) },
                _ => Syscall::Subscribe(any_ref(tape)),
            },
            16 => Syscall::Send {
                target: any_ref(tape),
                message: Message { methargs: body(any_refs(tape), true), result: Some(any_ref(tape)) },
            },
            _ => {
                let value = body(any_refs(tape), true);
                Syscall::Resolve(vec![Resolution { promise: any_ref(tape), rejected: false, value }])
            }
        }
    }

    fn send(&mut self, tape: &mut Tape<'_>) -> Syscall {
        let target = self.known(tape);
        let slots = self.refs(tape);
        let result = match tape.below(4) {
            0 => None,
            1 => self.decides.pop(),
            _ => Some(self.new_promise()),
        };
        let long = tape.once_in(40);
        let text = if long { "x".repeat(300) } else { "go".into() };
        let methargs = CapData { body: format!("#[\"{text}\",[]]"), slots };
        Syscall::Send { target, message: Message { methargs, result } }
    }

    fn new_promise(&mut self) -> VRef {
        self.last += 1;
        let promise = VRef::PromiseExport(self.last);
        self.promises.push(promise);
        promise
    }

    fn resolve(&mut self, tape: &mut Tape<'_>) -> Syscall {
        let mut batch = Vec::new();
        for _ in 0..=tape.below(2) {
            let at = tape.below(self.decides.len());
            // With none of its own to settle, it makes one up and settles that.
            let promise = if self.decides.is_empty() { self.new_promise() } else { self.decides[at] };
            let slots = self.refs(tape);
            let lone_promise = slots.first().is_some_and(|slot| slot.is_promise());
            let value = body(slots, lone_promise);
            self.forget(promise);
            batch.push(Resolution { promise, rejected: tape.once_in(4), value });
        }
        Syscall::Resolve(batch)
    }

    fn promise(&mut self, tape: &mut Tape<'_>) -> VRef {
        tape.pick(&self.promises).unwrap_or(VRef::PromiseImport(1))
    }

    /// A reference that the vat may use.
    fn known(&mut self, tape: &mut Tape<'_>) -> VRef {
        match tape.below(8) {
            0..=2 => tape.pick(&self.imports).unwrap_or(VRef::Export(1)),
            3 | 4 => tape.pick(&self.promises).unwrap_or_else(|| self.new_promise()),
            5 => VRef::Export(tape.number(6)),
            6 => self.new_promise(),
            _ => virtual_ref(tape),
        }
    }

    fn refs(&mut self, tape: &mut Tape<'_>) -> Vec<VRef> {
        (0..[0, 1, 1, 2, 3, 6][tape.below(6)]).map(|_| self.known(tape)).collect()
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> StateDelta {
        let mut delta = StateDelta::default();
        if tape.once_in(2) {
            let value = (!tape.once_in(3)).then(|| "v".repeat(tape.below(80)));
            delta.writes.push((format!("key{}", tape.below(4)), value));
        }
        let hold = [Hold::Strong, Hold::Weak, Hold::None][tape.below(3)];
        let vref = if tape.once_in(2) { tape.pick(&self.imports) } else { tape.pick(&self.promises) };
        delta.holds.extend(vref.map(|vref| (vref, hold)));
        delta
    }
}

fn virtual_ref(tape: &mut Tape<'_>) -> VRef {
    let byte = tape.byte();
    let facet = (byte & 2 > 0).then_some(0);
    VRef::Virtual(VirtualRef { durable: byte & 1 > 0, kind: 1, instance: u64::from(byte >> 5), facet })
}

fn any_refs(tape: &mut Tape<'_>) -> Vec<VRef> {
    (0..tape.below(3)).map(|_| any_ref(tape)).collect()
}

fn any_ref(tape: &mut Tape<'_>) -> VRef {
    let number = tape.number(12);
    match tape.below(5) {
        0 => VRef::Import(number),
        1 => VRef::PromiseImport(number),
        2 => VRef::Export(number),
        3 => VRef::PromiseExport(number),
        _ => virtual_ref(tape),
    }
}
