//! An ordered map whose clones share what neither has changed since: the rows of the engine in memory.
//!
//! What always holds: leaves are sorted, a leaf's rows lie between its fence and the next one's, the first fence is the
//! empty key, and only a sole leaf is ever empty. A clone costs one counter; the first write after it copies the list of
//! leaves, and each write one leaf at most. Not a tree: the list of leaves is one array, which is fine up to some
//! million rows.

use crate::bytes::{Key, Value};
use std::sync::Arc;

/// Rows of a leaf at most.
const LEAF_ROWS: usize = 32;
/// A leaf that shrinks to this many rows is joined with its neighbour if both together are half a leaf at
/// most; if it is empty, in any case.
const SMALL_ROWS: usize = 4;

#[derive(Clone)]
struct Leaf {
    fence: Key,
    rows: Arc<Vec<(Key, Value)>>,
}

impl Leaf {
    fn new(fence: Key, rows: Vec<(Key, Value)>) -> Self {
        Self { fence, rows: Arc::new(rows) }
    }
}

#[derive(Clone)]
pub(crate) struct Leaves {
    leaves: Arc<Vec<Leaf>>,
    len: usize,
}

impl Default for Leaves {
    fn default() -> Self {
        Self { leaves: Arc::new(vec![Leaf::new(Key::new(&[]), Vec::new())]), len: 0 }
    }
}

impl Leaves {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The leaf where `key` is or belongs.
    fn leaf_of(&self, key: &[u8]) -> usize {
        self.leaves.partition_point(|leaf| leaf.fence.as_slice() <= key).saturating_sub(1)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        let rows = &self.leaves[self.leaf_of(key)].rows;
        rows.binary_search_by(|(other, _)| other.as_slice().cmp(key)).ok().map(|at| &rows[at].1)
    }

    /// The rows from `start` on, ascending.
    pub(crate) fn rows_from<'a>(&'a self, start: &[u8]) -> impl Iterator<Item = (&'a Key, &'a Value)> {
        let first = self.leaf_of(start);
        let at = self.leaves[first].rows.partition_point(|(key, _)| key.as_slice() < start);
        let rest = self.leaves[first + 1..].iter().flat_map(|leaf| leaf.rows.iter());
        self.leaves[first].rows[at..].iter().chain(rest).map(|(key, value)| (key, value))
    }

    pub(crate) fn insert(&mut self, key: &Key, value: Value) {
        let number = self.leaf_of(key.as_slice());
        let leaves = Arc::make_mut(&mut self.leaves);
        let rows = Arc::make_mut(&mut leaves[number].rows);
        match rows.binary_search_by(|(other, _)| other.cmp(key)) {
            Ok(at) => rows[at].1 = value,
            Err(at) => {
                rows.insert(at, (key.clone(), value));
                self.len += 1;
                if rows.len() > LEAF_ROWS {
                    // Numbers mostly grow: what is appended at the end of a leaf leaves a full one behind.
                    let cut = if at + 1 == rows.len() { at } else { rows.len() / 2 };
                    let upper = rows.split_off(cut);
                    let fence = upper[0].0.clone();
                    leaves.insert(number + 1, Leaf::new(fence, upper));
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        let number = self.leaf_of(key);
        let found = self.leaves[number].rows.binary_search_by(|(other, _)| other.as_slice().cmp(key));
        let Ok(at) = found else { return };
        let leaves = Arc::make_mut(&mut self.leaves);
        let rows = Arc::make_mut(&mut leaves[number].rows);
        rows.remove(at);
        self.len -= 1;
        let left = rows.len();
        if left > SMALL_ROWS {
            return;
        }
        // With the neighbour above, or else the one below: the upper leaf goes away.
        let upper = if number + 1 < leaves.len() { number + 1 } else { number };
        if upper > 0 && (left == 0 || leaves[upper - 1].rows.len() + leaves[upper].rows.len() <= LEAF_ROWS / 2) {
            let gone = leaves.remove(upper);
            Arc::make_mut(&mut leaves[upper - 1].rows).extend(gone.rows.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn check(leaves: &Leaves, model: &BTreeMap<Key, Value>) {
        assert_eq!(leaves.len(), model.len());
        assert!(leaves.rows_from(&[]).eq(model.iter()));
        assert_eq!(leaves.leaves[0].fence, Key::new(&[]));
        for (number, leaf) in leaves.leaves.iter().enumerate() {
            let end = leaves.leaves.get(number + 1).map(|next| &next.fence);
            assert!(leaf.rows.iter().all(|(key, _)| *key >= leaf.fence && end.is_none_or(|end| key < end)));
            assert!(leaf.rows.len() <= LEAF_ROWS && (!leaf.rows.is_empty() || leaves.leaves.len() == 1));
        }
    }

    fn key(number: u16) -> Key {
        Key::new(&number.to_be_bytes()[usize::from(number < 256)..])
    }

    proptest! {
        #[test]
        fn leaves_are_a_map_and_clones_do_not_change(
            acts in proptest::collection::vec((0u16..600, any::<u8>(), 0u16..100), 1..40),
        ) {
            let (mut leaves, mut model) = (Leaves::default(), BTreeMap::new());
            let mut kept = Vec::new();
            for (first, kind, count) in acts {
                for number in first..first + count {
                    if kind % 3 == 0 {
                        leaves.remove(key(number).as_slice());
                        model.remove(&key(number));
                    } else {
                        leaves.insert(&key(number), Value::new(&[kind]));
                        model.insert(key(number), Value::new(&[kind]));
                    }
                }
                check(&leaves, &model);
                let start = key(first);
                prop_assert!(leaves.rows_from(start.as_slice()).eq(model.range(start.clone()..)));
                prop_assert_eq!(leaves.get(start.as_slice()), model.get(&start));
                kept.push((leaves.clone(), model.clone()));
            }
            for (leaves, model) in kept {
                check(&leaves, &model);
            }
        }
    }
}
