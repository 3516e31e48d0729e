//! What one heap knows, so that what it says is legal.

use super::{held_key, kept_key, note, note_hold};
use std::collections::BTreeSet;
use std::str::FromStr;
use sturdy_types::{Delivery, Hold, Outcome, VRef};
use sturdy_vat::{StateReader, StateUnreadable};

/// The references of one heap.
#[derive(Default, Debug)]
pub(super) struct Model {
    exports: BTreeSet<VRef>,
    /// Exports that the kernel has dropped.
    dropped_exports: BTreeSet<VRef>,
    imports: BTreeSet<VRef>,
    pub(super) dropped_imports: BTreeSet<VRef>,
    /// Imports that the durable state holds.
    held: BTreeSet<VRef>,
    /// Durable exports that the state has noted.
    kept: BTreeSet<VRef>,
    pub(super) promises: BTreeSet<VRef>,
    pub(super) decides: BTreeSet<VRef>,
    pub(super) subscribed: BTreeSet<VRef>,
}

fn all(set: &BTreeSet<VRef>) -> Vec<VRef> {
    set.iter().copied().collect()
}

impl Model {
    /// What the state holds of the heaps before.
    pub(super) fn remember(&mut self, state: &dyn StateReader) -> Result<(), StateUnreadable> {
        self.exports.insert(VRef::ROOT);
        for prefix in ["held:", "kept:"] {
            let mut after = prefix.to_owned();
            while let Some((key, _)) = state.next(&after, prefix)? {
                if let Ok(vref) = VRef::from_str(&key[prefix.len()..]) {
                    self.remember_one(vref);
                }
                after = key;
            }
        }
        Ok(())
    }

    fn remember_one(&mut self, vref: VRef) {
        if vref.is_export() {
            self.exports.insert(vref);
            self.kept.insert(vref);
        } else {
            self.imports.insert(vref);
            self.held.insert(vref);
        }
    }

    /// Takes in what a delivery tells.
    pub(super) fn learn(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Start(_) | Delivery::BringOutYourDead => {}
            Delivery::Message { message, target } => {
                self.told(*target);
                message.methargs.slots.iter().for_each(|slot| self.told(*slot));
                if let Some(result) = message.result {
                    self.promises.insert(result);
                    self.decides.insert(result);
                }
            }
            Delivery::Notify(batch) => {
                for resolution in batch {
                    resolution.value.slots.iter().for_each(|slot| self.told(*slot));
                }
                for resolution in batch {
                    self.forget_promise(resolution.promise);
                }
            }
            Delivery::DropExports(vrefs) => self.dropped_exports.extend(vrefs),
            Delivery::RetireExports(vrefs) => {
                for vref in vrefs {
                    self.exports.remove(vref);
                    self.dropped_exports.remove(vref);
                }
            }
            Delivery::RetireImports(vrefs) => {
                for vref in vrefs {
                    self.imports.remove(vref);
                    self.dropped_imports.remove(vref);
                }
            }
        }
    }

    fn told(&mut self, vref: VRef) {
        match vref {
            VRef::PromiseImport(_) | VRef::PromiseExport(_) => {
                self.promises.insert(vref);
            }
            VRef::Import(_) => {
                self.dropped_imports.remove(&vref);
                self.imports.insert(vref);
            }
            VRef::Export(_) | VRef::Virtual(_) => {
                self.exports.insert(vref);
                self.dropped_exports.remove(&vref);
            }
        }
    }

    /// It is about to be mentioned.
    pub(super) fn use_it(&mut self, vref: VRef) {
        if !vref.is_promise() && vref.is_export() {
            self.exports.insert(vref);
            self.dropped_exports.remove(&vref);
        }
    }

    pub(super) fn exports(&self) -> Vec<VRef> {
        self.exports.iter().copied().filter(|vref| *vref != VRef::ROOT).collect()
    }

    pub(super) fn dropped_exports(&self) -> Vec<VRef> {
        all(&self.dropped_exports)
    }

    pub(super) fn imports(&self) -> Vec<VRef> {
        all(&self.imports)
    }

    pub(super) fn dropped_imports(&self) -> Vec<VRef> {
        all(&self.dropped_imports)
    }

    /// Imports that the state does not hold.
    pub(super) fn free_imports(&self) -> Vec<VRef> {
        self.imports.difference(&self.held).copied().collect()
    }

    pub(super) fn held(&self) -> Vec<VRef> {
        self.held.intersection(&self.imports).copied().collect()
    }

    pub(super) fn promises(&self) -> Vec<VRef> {
        all(&self.promises)
    }

    pub(super) fn decides(&self) -> Vec<VRef> {
        all(&self.decides)
    }

    pub(super) fn not_subscribed(&self) -> Vec<VRef> {
        let known = self.promises.iter().filter(|vref| !self.decides.contains(vref) && !self.subscribed.contains(vref));
        known.copied().collect()
    }

    pub(super) fn drop_import(&mut self, vref: VRef) {
        self.imports.remove(&vref);
        self.dropped_imports.insert(vref);
    }

    pub(super) fn forget_promise(&mut self, promise: VRef) {
        self.promises.remove(&promise);
        self.decides.remove(&promise);
        self.subscribed.remove(&promise);
    }

    pub(super) fn forget_export(&mut self, vref: VRef, outcome: &mut Outcome) {
        self.exports.remove(&vref);
        self.dropped_exports.remove(&vref);
        if self.kept.remove(&vref) {
            note(outcome, kept_key(vref), None);
        }
    }

    /// Notes durable exports in the state, so that the next heap knows them.
    pub(super) fn keep_durable_exports(&mut self, outcome: &mut Outcome) {
        let durable = |vref: &&VRef| matches!(vref, VRef::Virtual(virtual_ref) if virtual_ref.durable);
        let new: Vec<VRef> =
            self.exports.iter().filter(durable).filter(|vref| !self.kept.contains(vref)).copied().collect();
        for vref in new {
            self.kept.insert(vref);
            note(outcome, kept_key(vref), Some("1"));
        }
    }

    pub(super) fn hold(&mut self, import: VRef, outcome: &mut Outcome) {
        self.held.insert(import);
        note(outcome, held_key(import), Some("1"));
        note_hold(outcome, import, Hold::Strong);
    }

    pub(super) fn let_go(&mut self, import: VRef, outcome: &mut Outcome) {
        self.held.remove(&import);
        note(outcome, held_key(import), None);
        note_hold(outcome, import, Hold::None);
    }
}
