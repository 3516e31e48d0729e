//! G11, G13: vats gain no reference that they were not given, and names keep their meaning.
//!
//! Every object and every promise has an identity here: who made it. A vat's name for something is given its identity
//! when the vat is told of it, out of what the sender of that message named in the same slot, however many kernels lie
//! between them. Told again under the same name it must be the same thing; a message must have come to the object that
//! its sender meant; the value of a settled promise must mention what its decider mentioned. What a lying peer
//! has forged, naming what it was not given, never comes to anybody.
//!
//! Lenient: what hosts pass on has no identity, except objects of vats of their own kernel, which are looked up in its
//! store. What has no identity is not compared. After a store was set back a vat's names are learned anew.

use super::Checker;
use super::facts::Facts;
use crate::actor::MessageName;
use crate::liar::FORGED;
use crate::machine::Machine;
use crate::seen::{BeginsWith, CrankFate, KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Event, Request};
use sturdy_store::{ClistByKref, Objects, Owner, Read, Store, VatCursors};
use sturdy_types::{Delivery, Incarnation, KRef, Message, Outcome, Resolution, RunId, Syscall, VRef, VatId};

/// Who made something: a store, a vat, for what lives no longer than a heap the process and the run, and the maker's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    kernel: KernelNo,
    life: u32,
    vat: VatId,
    heap: Option<(u32, RunId)>,
    name: VRef,
}

type Known = Option<Identity>;

/// What a message named.
#[derive(Clone, Debug)]
struct Named {
    target: Known,
    slots: Vec<Known>,
    result: Known,
}

/// A vat of a kernel.
type Place = (KernelNo, VatId);

/// A present process.
#[derive(Clone, Copy, Default)]
struct Present {
    life: u32,
    boot: u32,
}

/// One checker for all kernels.
#[derive(Default)]
pub struct OnlyGiven {
    present: BTreeMap<KernelNo, Present>,
    incarnations: Vec<Incarnation>,
    /// What each vat's imports are.
    imports: BTreeMap<(Place, VRef), Identity>,
    /// Imports that were learned, so that they can be forgotten with what was not durable.
    learned: BTreeMap<KernelNo, Facts<(VatId, VRef)>>,
    messages: BTreeMap<MessageName, Named>,
    /// What the value of each settled promise mentions, by the number of the settlement.
    settled: BTreeMap<Identity, BTreeMap<u64, Vec<Known>>>,
    settlements: u64,
    /// Settlements, so that they can be forgotten with what was not durable.
    decided: BTreeMap<KernelNo, Facts<(Identity, u64)>>,
    /// Promises whose settlement was forgotten with a store that was set back: who was told before remembers.
    doubtful: BTreeSet<Identity>,
}

/// Whether something may be the same.
fn same(one: Known, other: Known) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

impl OnlyGiven {
    /// What a vat's name means: its own thing, or what it was told.
    fn meaning(&self, place: Place, run: RunId, name: VRef) -> Known {
        if !name.is_export() {
            return self.imports.get(&(place, name)).copied();
        }
        let present = self.present.get(&place.0).copied().unwrap_or_default();
        let heap = (!name.survives_heap()).then_some((present.boot, run));
        Some(Identity { kernel: place.0, life: present.life, vat: place.1, heap, name })
    }

    /// A vat is told a name for something. What it is may be learned from it.
    fn is_told(&mut self, place: Place, run: RunId, name: VRef, what: Known) -> Result<(), String> {
        let known = self.meaning(place, run, name);
        if !same(known, what) {
            return Err(format!(
                "kernel {} tells {} of {name}, which is {known:?}, and means {what:?}",
                place.0, place.1
            ));
        }
        if let (None, Some(what)) = (known, what) {
            self.imports.insert((place, name), what);
            self.learned.entry(place.0).or_default().add((place.1, name));
        }
        Ok(())
    }

    fn all_told(&mut self, place: Place, run: RunId, names: &[VRef], what: &[Known]) -> Result<(), String> {
        if names.len() != what.len() {
            return Err(format!("{} of kernel {} is told {names:?}, and {} were named", place.1, place.0, what.len()));
        }
        names.iter().zip(what).try_for_each(|(name, what)| self.is_told(place, run, *name, *what))
    }

    fn delivered(&mut self, place: Place, run: RunId, delivery: &Delivery) -> Result<(), String> {
        match delivery {
            Delivery::Message { target, message } => {
                if message.methargs.body == FORGED {
                    return Err(format!("{} of kernel {} is told what a liar has forged", place.1, place.0));
                }
                let Some(name) = MessageName::of(&message.methargs.body) else { return Ok(()) };
                let Some(named) = self.messages.get(&name).cloned() else { return Ok(()) };
                let mut told = || -> Result<(), String> {
                    // A message to a promise comes to whatever that was fulfilled with.
                    let to_object = named.target.is_none_or(|target| !target.name.is_promise());
                    if to_object && !same(self.meaning(place, run, *target), named.target) {
                        return Err(format!("it came to {target} of {}, and was sent to {:?}", place.1, named.target));
                    }
                    self.all_told(place, run, &message.methargs.slots, &named.slots)?;
                    message.result.map_or(Ok(()), |result| self.is_told(place, run, result, named.result))
                };
                told().map_err(|what| format!("{name}: {what}"))
            }
            Delivery::Notify(batch) => batch.iter().try_for_each(|one| self.notified(place, run, one)),
            Delivery::RetireImports(names) => {
                for name in names {
                    self.forget(place, *name);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn notified(&mut self, place: Place, run: RunId, one: &Resolution<VRef>) -> Result<(), String> {
        if one.value.body == FORGED {
            return Err(format!("{} of kernel {} is told what a liar has forged", place.1, place.0));
        }
        let Some(promise) = self.meaning(place, run, one.promise) else { return Ok(()) };
        let values = self.settled.get(&promise).cloned().unwrap_or_default();
        let slots = &one.value.slots;
        // A kernel may reject anything, without mentioning anything.
        if slots.is_empty() || self.doubtful.contains(&promise) {
            return Ok(());
        }
        let meanings: Vec<Known> = slots.iter().map(|slot| self.meaning(place, run, *slot)).collect();
        let fits = |value: &&Vec<Known>| {
            value.len() == slots.len() && value.iter().zip(&meanings).all(|(one, other)| same(*one, *other))
        };
        match values.values().rev().find(fits).cloned() {
            Some(value) => self.all_told(place, run, slots, &value),
            // A settlement by a rejected promise that the message went to, or by a host: nobody to compare with.
            None if values.is_empty() => Ok(()),
            None => {
                Err(format!("{promise:?} was settled with one of {values:?}, and {} is told {meanings:?}", place.1))
            }
        }
    }

    fn undecide(&mut self, settlements: Vec<(Identity, u64)>) {
        for (promise, number) in settlements {
            if let Some(values) = self.settled.get_mut(&promise) {
                values.remove(&number);
            }
        }
    }

    fn forget(&mut self, place: Place, name: VRef) {
        self.imports.remove(&(place, name));
    }

    fn says(&mut self, place: Place, run: RunId, outcome: &Outcome) {
        for syscall in &outcome.syscalls {
            match syscall {
                Syscall::Send { target, message } => self.sends(place, run, *target, message),
                Syscall::Resolve(batch) => {
                    for one in batch {
                        let value = one.value.slots.iter().map(|slot| self.meaning(place, run, *slot)).collect();
                        if let Some(promise) = self.meaning(place, run, one.promise) {
                            self.settlements += 1;
                            self.settled.entry(promise).or_default().insert(self.settlements, value);
                            self.decided.entry(place.0).or_default().add((promise, self.settlements));
                        }
                    }
                }
                Syscall::Exit { .. } => break,
                _ => {}
            }
        }
    }

    fn sends(&mut self, place: Place, run: RunId, target: VRef, message: &Message<VRef>) {
        if let Some(name) = MessageName::of(&message.methargs.body) {
            let slots = message.methargs.slots.iter().map(|slot| self.meaning(place, run, *slot)).collect();
            let result = message.result.and_then(|result| self.meaning(place, run, result));
            self.messages.insert(name, Named { target: self.meaning(place, run, target), slots, result });
        }
    }

    fn host_sends(
        &mut self,
        kernel: KernelNo,
        target: KRef,
        methargs: &sturdy_types::CapData<KRef>,
        store: Option<&Store>,
    ) {
        if let Some(name) = MessageName::of(&methargs.body) {
            let look = |kref: &KRef| store.and_then(|store| self.object_of_a_vat(kernel, *kref, store));
            let (target, slots) = (look(&target), methargs.slots.iter().map(look).collect());
            // Asked again it may name nothing that is still there: the first time counts.
            self.messages.entry(name).or_insert(Named { target, slots, result: None });
        }
    }

    /// An object of a vat of this kernel.
    fn object_of_a_vat(&self, kernel: KernelNo, kref: KRef, store: &Store) -> Known {
        let KRef::Object(id) = kref else { return None };
        let Owner::Vat(vat) = store.get::<Objects>(&id).ok()??.owner else { return None };
        let name = store.get::<ClistByKref>(&(kref, vat)).ok()??.vref;
        let run = store.get::<VatCursors>(&vat).ok()??.run;
        self.meaning((kernel, vat), run, name)
    }

    fn begins(&mut self, kernel: KernelNo, with: BeginsWith, incarnation: Incarnation, boot: u32) {
        let at = self.incarnations.iter().position(|known| *known == incarnation).unwrap_or_else(|| {
            self.incarnations.push(incarnation);
            self.incarnations.len() - 1
        });
        let life = u32::try_from(at).unwrap_or(u32::MAX);
        self.present.insert(kernel, Present { life, boot });
        if with != BeginsWith::ItsStore {
            self.imports.retain(|((owner, _), _), _| *owner != kernel);
            self.learned.remove(&kernel);
        }
    }
}

impl Checker for OnlyGiven {
    fn name(&self) -> &'static str {
        "only_given"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        match seen {
            Seen::Crank { vat, run, delivery, outcome, fate: CrankFate::Merged } => {
                self.delivered((kernel, *vat), *run, delivery)?;
                self.says((kernel, *vat), *run, outcome);
            }
            Seen::Event(Event::Asked(_, Request::Call { target, methargs, .. })) => {
                let machine = machines.get(kernel).filter(|machine| !machine.disk_fails());
                let store = machine.and_then(Machine::node).map(sturdy_node::Node::store);
                self.host_sends(kernel, *target, methargs, store);
            }
            Seen::Committed(commit) => {
                self.learned.entry(kernel).or_default().committed(*commit);
                self.decided.entry(kernel).or_default().committed(*commit);
            }
            Seen::Ended => {
                for (vat, name) in self.learned.entry(kernel).or_default().ended() {
                    self.forget((kernel, vat), name);
                }
                let undone = self.decided.entry(kernel).or_default().ended();
                self.undecide(undone);
            }
            Seen::Begun { with, process, incarnation, back_to } => {
                self.begins(kernel, *with, *incarnation, process.boot);
                if *with == BeginsWith::OldCopy {
                    let undone = self.decided.entry(kernel).or_default().begun(*back_to);
                    self.doubtful.extend(undone.into_iter().map(|(promise, _)| promise));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::{begun, deliver, name, says, send, settled, told};
    use sturdy_types::CapData;

    /// A checker that has seen this, all of it right.
    fn after(seen: &[(KernelNo, Seen)]) -> OnlyGiven {
        let mut checker = OnlyGiven::default();
        for kernel in [0, 1] {
            let begins = begun(BeginsWith::ItsStore, 0, 1 + u8::try_from(kernel).expect("it is small"));
            checker.see(kernel, &begins, &[]).expect("nothing is wrong");
        }
        for (kernel, seen) in seen {
            checker.see(*kernel, seen, &[]).expect("nothing is wrong yet");
        }
        checker
    }

    const OBJECT: VRef = VRef::Export(5);
    const OTHER: VRef = VRef::Export(6);

    /// Vat 1 of kernel 0 sends its objects to vat 2 of kernel 1, which knows them under these names.
    fn given(number: u64, slots: &[VRef], as_names: &[VRef]) -> [(KernelNo, Seen); 2] {
        let message = name(0, 1, number);
        let sent = says(1, vec![send(VRef::Import(1), message, slots, Some(VRef::PromiseExport(number)))]);
        let result = Some(VRef::PromiseImport(number));
        [(0, sent), (1, told(2, deliver(VRef::ROOT, message, as_names, result)))]
    }

    #[test]
    fn a_name_keeps_its_meaning() {
        let first = given(1, &[OBJECT, OTHER], &[VRef::Import(1), VRef::Import(2)]);
        let again = |names: &[VRef]| {
            let [(_, sent), (_, told)] = given(2, &[OBJECT], names);
            let mut checker = after(&first);
            checker.see(0, &sent, &[]).expect("anything may be sent");
            checker.see(1, &told, &[])
        };
        assert!(again(&[VRef::Import(1)]).is_ok());
        assert!(again(&[VRef::Import(3)]).is_ok(), "it was forgotten and has a new name");
        assert!(again(&[VRef::Import(2)]).is_err(), "this is another object");
        assert!(again(&[VRef::Export(9)]).is_err(), "this is one of its own");
        assert!(again(&[]).is_err());
        assert!(again(&[VRef::Import(1), VRef::Import(2)]).is_err(), "one was never given");
    }

    #[test]
    fn what_comes_home_is_what_went_out() {
        let out = given(1, &[OBJECT], &[VRef::Import(1)]);
        let back = name(1, 2, 1);
        let sends = (1, says(2, vec![send(VRef::Import(1), back, &[VRef::Import(1)], None)]));
        let arrives = |target: VRef, slot: VRef| {
            let mut checker = after(&out);
            checker.see(1, &sends.1, &[]).expect("nothing is wrong");
            checker.see(0, &told(1, deliver(target, back, &[slot], None)), &[])
        };
        assert!(arrives(OBJECT, OBJECT).is_ok());
        assert!(arrives(OTHER, OBJECT).is_err(), "it was sent to another object");
        assert!(arrives(OBJECT, OTHER).is_err());
    }

    #[test]
    fn a_promise_is_settled_with_what_its_decider_said() {
        let told_of = |slots: &[VRef]| {
            let mut checker = after(&given(1, &[], &[]));
            let resolve = Syscall::Resolve(vec![settled(VRef::PromiseImport(1), false, "#[]", &[OBJECT])]);
            checker.see(1, &says(2, vec![resolve]), &[]).expect("nothing is wrong");
            let known = given(2, &[], &[]);
            for (kernel, seen) in known {
                checker.see(kernel, &seen, &[]).expect("nothing is wrong");
            }
            let batch = vec![settled(VRef::PromiseExport(1), false, "#[]", slots)];
            checker.see(0, &told(1, Delivery::Notify(batch)), &[])
        };
        assert!(told_of(&[VRef::Import(8)]).is_ok());
        assert!(told_of(&[]).is_ok(), "the kernel may reject it");
        assert!(told_of(&[VRef::Export(8)]).is_err());
        assert!(told_of(&[VRef::Import(8), VRef::Import(9)]).is_err());
    }

    #[test]
    fn what_a_liar_has_forged_comes_to_nobody() {
        let message = Message { methargs: CapData::plain(FORGED), result: None };
        let called = told(1, Delivery::Message { target: VRef::ROOT, message });
        assert!(after(&[]).see(0, &called, &[]).is_err());
        let notified = told(1, Delivery::Notify(vec![settled(VRef::PromiseImport(1), false, FORGED, &[])]));
        assert!(after(&[]).see(0, &notified, &[]).is_err());
    }

    #[test]
    fn what_was_not_durable_is_forgotten() {
        let [first, second] = given(1, &[OBJECT], &[VRef::Import(1)]);
        let mut checker = after(&[first, (0, Seen::Committed(1)), second, (1, Seen::Ended)]);
        let [(_, sent), (_, told)] = given(2, &[OTHER], &[VRef::Import(1)]);
        checker.see(0, &sent, &[]).expect("nothing is wrong");
        assert!(checker.see(1, &told, &[]).is_ok(), "the number is given out again");
    }

    #[test]
    fn a_settlement_that_was_lost_with_its_process_says_nothing() {
        let known = given(1, &[OBJECT], &[VRef::Import(1)]);
        let settles = |slot| Syscall::Resolve(vec![settled(VRef::PromiseExport(7), false, "#[]", &[slot])]);
        let told_of = |seen: Vec<(KernelNo, Seen)>| {
            let mut checker = after(&known);
            for (kernel, seen) in seen {
                checker.see(kernel, &seen, &[]).expect("nothing is wrong");
            }
            let batch = vec![settled(VRef::PromiseExport(7), true, "#[]", &[OTHER])];
            checker.see(0, &told(1, Delivery::Notify(batch)), &[])
        };
        assert!(told_of(vec![(0, says(1, vec![settles(OBJECT)]))]).is_err());
        assert!(told_of(vec![(0, says(1, vec![settles(OBJECT)])), (0, Seen::Ended)]).is_ok());
        let back = begun(BeginsWith::OldCopy, 1, 1);
        let committed = (0, Seen::Committed(3));
        assert!(told_of(vec![(0, says(1, vec![settles(OBJECT)])), committed, (0, Seen::Ended), (0, back)]).is_ok());
    }
}
