//! G1, G3: a crank takes effect wholly or not at all, and what was not committed is gone with its process.
//!
//! What was said in a crank that was undone, or came too late, or was said after the vat's exit, never takes effect. A
//! vat's state on the disk is what its merged cranks have written, delta by delta, up to the last commit. What the disk
//! holds when a process ends is what it held after the last commit.
//!
//! Lenient: rows of terminated vats may be deleted at leisure, so that fewer may be there, but none that its cranks did
//! not write. After a store was lost or set back it is believed what it says.

use super::Checker;
use crate::actor::MessageName;
use crate::machine::Machine;
use crate::seen::{BeginsWith, CrankFate, KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::Event;
use sturdy_store::{Engine, MemoryEngine, Read, Store, VatState, Vats};
use sturdy_types::{Delivery, Outcome, Syscall, VatId};

type State = BTreeMap<String, String>;

/// Keys of a vat's state, and what they were set to; `None` when deleted.
type StateChanges = Vec<(String, Option<String>)>;

/// What is known of one kernel.
#[derive(Default)]
struct Kernel {
    /// The state of each vat after the last commit.
    states: BTreeMap<VatId, State>,
    /// Deltas of merged cranks since then.
    open: Vec<(VatId, StateChanges)>,
    /// Vats that worked since their state was compared.
    touched: BTreeSet<VatId>,
    /// The disk after the last commit.
    disk: Option<MemoryEngine>,
}

/// One checker for all kernels.
#[derive(Default)]
pub struct AtomicTurns {
    /// What was said in vain.
    void: BTreeSet<MessageName>,
    kernels: BTreeMap<KernelNo, Kernel>,
}

fn names(syscalls: &[Syscall]) -> impl Iterator<Item = MessageName> + '_ {
    syscalls.iter().filter_map(|syscall| match syscall {
        Syscall::Send { message, .. } => MessageName::of(&message.methargs.body),
        _ => None,
    })
}

/// The part of an outcome that must not take effect.
fn in_vain(outcome: &Outcome, fate: CrankFate) -> &[Syscall] {
    let exit = |syscall: &Syscall| matches!(syscall, Syscall::Exit { .. });
    match (fate, outcome.syscalls.iter().position(exit)) {
        (CrankFate::Merged, None) => &[],
        (CrankFate::Merged, Some(at)) => &outcome.syscalls[at..],
        (CrankFate::Undone | CrankFate::Stale, _) => &outcome.syscalls,
    }
}

impl Kernel {
    fn committed(&mut self) {
        for (vat, writes) in std::mem::take(&mut self.open) {
            let state = self.states.entry(vat).or_default();
            for (key, value) in writes {
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
        }
    }

    /// Compares the states of vats that worked with what is on the disk.
    fn compare(&mut self, disk: &Store) -> Result<(), String> {
        for vat in std::mem::take(&mut self.touched) {
            let rows =
                disk.scan::<VatState>(&(vat, String::new()), None, usize::MAX).map_err(|fault| fault.to_string())?;
            let known = self.states.entry(vat).or_default();
            for ((_, key), value) in &rows {
                if known.get(key) != Some(value) {
                    return Err(format!(
                        "{vat} has {key:?} = {value:?}, and its cranks have written {:?}",
                        known.get(key)
                    ));
                }
            }
            let alive = disk.has::<Vats>(&vat).map_err(|fault| fault.to_string())?;
            if alive && rows.len() < known.len() {
                let there: BTreeSet<&String> = rows.iter().map(|((_, key), _)| key).collect();
                let missing = known.keys().find(|key| !there.contains(key));
                return Err(format!("{vat} has written {missing:?}, and it is not on the disk"));
            }
            if !alive && rows.is_empty() {
                self.states.remove(&vat);
            }
        }
        Ok(())
    }

    /// Takes the states from the disk: of a store that was lost or set back.
    fn believe(&mut self, machine: &Machine) {
        *self = Self { disk: Some(machine.on_disk()), ..Self::default() };
        let Some(disk) = machine.durable() else { return };
        for (vat, _) in disk.scan::<Vats>(&(), None, usize::MAX).unwrap_or_default() {
            let rows = disk.scan::<VatState>(&(vat, String::new()), None, usize::MAX).unwrap_or_default();
            self.states.insert(vat, rows.into_iter().map(|((_, key), value)| (key, value)).collect());
        }
    }
}

/// What is different between two disks.
fn difference(before: &MemoryEngine, now: &MemoryEngine) -> Option<String> {
    let rows = |engine: &MemoryEngine| engine.scan(&[], None, usize::MAX).unwrap_or_default();
    let (before, now) = (rows(before), rows(now));
    if before == now {
        return None;
    }
    let changed = before.iter().zip(&now).find(|(before, now)| before != now).map(|(before, _)| before.0.clone());
    Some(format!("{} rows became {}; the first that changed: {changed:02x?}", before.len(), now.len()))
}

impl AtomicTurns {
    fn cranked(
        &mut self,
        kernel: KernelNo,
        vat: VatId,
        (delivery, outcome): (&Delivery, &Outcome),
        fate: CrankFate,
    ) -> Result<(), String> {
        let known = self.kernels.entry(kernel).or_default();
        known.touched.insert(vat);
        if fate == CrankFate::Merged {
            if !outcome.state.writes.is_empty() {
                known.open.push((vat, outcome.state.writes.clone()));
            }
            if let Delivery::Message { message, .. } = delivery
                && let Some(name) = MessageName::of(&message.methargs.body)
                && self.void.contains(&name)
            {
                return Err(format!("{name} was said in a crank that was undone, and took effect in kernel {kernel}"));
            }
        }
        self.void.extend(names(in_vain(outcome, fate)));
        Ok(())
    }
}

impl Checker for AtomicTurns {
    fn name(&self) -> &'static str {
        "atomic_turns"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        let machine = machines.get(kernel);
        let known = self.kernels.entry(kernel).or_default();
        match seen {
            Seen::Crank { vat, delivery, outcome, fate, .. } => {
                self.cranked(kernel, *vat, (delivery, outcome), *fate)?;
            }
            Seen::Committed(_) => {
                known.committed();
                if let Some(machine) = machine {
                    known.disk = Some(machine.on_disk());
                    if !known.touched.is_empty()
                        && let Some(disk) = machine.durable()
                    {
                        known.compare(&disk).map_err(|what| format!("kernel {kernel}: {what}"))?;
                    }
                }
            }
            Seen::Ended => {
                known.open.clear();
                if let (Some(machine), Some(before)) = (machine, &known.disk)
                    && let Some(what) = difference(before, &machine.on_disk())
                {
                    return Err(format!("kernel {kernel} has changed its disk without a commit: {what}"));
                }
            }
            Seen::Begun { with: BeginsWith::NoStore | BeginsWith::OldCopy, .. } => {
                if let Some(machine) = machine {
                    known.believe(machine);
                }
            }
            // Deaths are counted with a commit of their own.
            Seen::Event(Event::Boot { died_on: Some(_), .. }) => known.disk = machine.map(Machine::on_disk),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::{crank, deliver, empty_store, name, says, send, told};
    use sturdy_types::{CapData, StateDelta, VRef};

    fn said(number: u64) -> Syscall {
        send(VRef::Import(1), name(0, 1, number), &[], None)
    }

    fn taken(number: u64) -> Seen {
        told(2, deliver(VRef::Export(1), name(0, 1, number), &[], None))
    }

    #[test]
    fn what_an_undone_crank_said_never_takes_effect() {
        for fate in [CrankFate::Undone, CrankFate::Stale] {
            let mut checker = AtomicTurns::default();
            let undone = crank(1, Delivery::BringOutYourDead, Outcome::done(vec![said(1)]), fate);
            checker.see(0, &undone, &[]).expect("it is only undone");
            assert!(checker.see(0, &taken(1), &[]).is_err());
            assert!(checker.see(0, &taken(2), &[]).is_ok());
        }
    }

    #[test]
    fn what_is_said_after_an_exit_never_takes_effect() {
        let mut checker = AtomicTurns::default();
        let exit = Syscall::Exit { failure: false, info: CapData::plain("#1") };
        checker.see(0, &says(1, vec![said(1), exit, said(2)]), &[]).expect("a vat may say that");
        assert!(checker.see(0, &taken(1), &[]).is_ok());
        assert!(checker.see(0, &taken(2), &[]).is_err());
    }

    fn writes(key: &str, value: Option<&str>) -> Outcome {
        let state = StateDelta { writes: vec![(key.into(), value.map(Into::into))], holds: Vec::new() };
        Outcome { state, ..Outcome::default() }
    }

    /// What the checker says of a disk with these rows, after a crank with this fate has written `a`.
    fn compared(rows: &[(&str, &str)], fate: CrankFate) -> Result<(), String> {
        let mut checker = AtomicTurns::default();
        let seen = crank(1, Delivery::BringOutYourDead, writes("a", Some("1")), fate);
        checker.see(0, &seen, &[]).expect("nothing is compared yet");
        checker.see(0, &Seen::Committed(1), &[]).expect("there is no machine");
        let mut store = empty_store(1);
        let mut turn = store.begin();
        for (key, value) in rows {
            turn.put::<VatState>(&(VatId(1), (*key).into()), &(*value).to_owned());
        }
        turn.put::<Vats>(&VatId(1), &crate::checkers::testing::vat());
        turn.merge().expect("a store in memory takes it");
        checker.kernels.get_mut(&0).expect("it was seen").compare(&store)
    }

    #[test]
    fn the_state_on_the_disk_is_what_merged_cranks_have_written() {
        assert!(compared(&[("a", "1")], CrankFate::Merged).is_ok());
        assert!(compared(&[], CrankFate::Merged).is_err());
        assert!(compared(&[("a", "2")], CrankFate::Merged).is_err());
        assert!(compared(&[("a", "1"), ("b", "1")], CrankFate::Merged).is_err());
        assert!(compared(&[], CrankFate::Undone).is_ok());
        assert!(compared(&[("a", "1")], CrankFate::Undone).is_err());
    }

    #[test]
    fn disks_are_compared_row_by_row() {
        let mut one = MemoryEngine::new();
        one.set_raw(b"a", Some(b"1"));
        let mut other = one.clone();
        assert_eq!(difference(&one, &other), None);
        other.set_raw(b"a", Some(b"2"));
        assert!(difference(&one, &other).is_some());
        other.set_raw(b"a", None);
        assert!(difference(&one, &other).is_some());
    }
}
