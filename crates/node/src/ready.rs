//! Whose turn it is: vats that may have work, each once, first come first served, so that no vat keeps another from
//! its turn (G13). Volatile: after a restart every vat is due to start and comes back by itself.

use std::collections::{BTreeSet, VecDeque};
use sturdy_types::VatId;

#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    order: VecDeque<VatId>,
    members: BTreeSet<VatId>,
}

impl ReadyList {
    pub(crate) fn push(&mut self, vat: VatId) {
        if self.members.insert(vat) {
            self.order.push_back(vat);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<VatId> {
        let vat = self.order.pop_front()?;
        self.members.remove(&vat);
        Some(vat)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vats_take_turns_and_wait_in_line_once() {
        let mut ready = ReadyList::default();
        for vat in [2, 1, 2, 3] {
            ready.push(VatId(vat));
        }
        let order: Vec<_> = std::iter::from_fn(|| ready.pop()).collect();
        assert_eq!(order, [VatId(2), VatId(1), VatId(3)]);
        assert!(ready.is_empty());
    }
}
