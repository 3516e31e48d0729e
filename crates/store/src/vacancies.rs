//! Where no rows are, so that the engine need not be asked: tables that are empty, and ranges that queues have left behind.
//!
//! What always holds: what is said here is true of the open group over the engine; what is not known is looked up. It may be
//! forgotten at any moment (law 4).

use crate::bytes::Key;

/// What is known of all rows of a table in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vacancy {
    /// Nothing: some were deleted since somebody looked, or nobody has.
    Unknown,
    /// There are none, so the engine need not be asked.
    Vacant,
    /// There are some.
    Inhabited,
}

/// A range of keys of one table, `from <= key < to`, without any row in the group over the engine. Queues leave such
/// ranges behind: without knowing of them, every look at the head of a queue would pass all that has left it.
#[derive(Debug, Clone)]
struct Gap {
    from: Key,
    to: Key,
}

/// What is known of every table, by tag.
pub(crate) struct Vacancies {
    tables: [Vacancy; 256],
    /// The one that was met last.
    gaps: Vec<Option<Gap>>,
}

impl Default for Vacancies {
    fn default() -> Self {
        Self { tables: [Vacancy::Unknown; 256], gaps: vec![None; 256] }
    }
}

impl Vacancies {
    /// What is known of a table in the engine.
    #[inline]
    pub(crate) fn of(&self, tag: u8) -> Vacancy {
        self.tables[usize::from(tag)]
    }

    /// Somebody has looked, or a commit has written.
    pub(crate) fn learn(&mut self, tag: u8, vacancy: Vacancy) {
        self.tables[usize::from(tag)] = vacancy;
    }

    /// A commit has deleted a row.
    pub(crate) fn deleted(&mut self, tag: u8) {
        let vacancy = &mut self.tables[usize::from(tag)];
        if *vacancy == Vacancy::Inhabited {
            *vacancy = Vacancy::Unknown;
        }
    }

    /// Where to begin to look for rows from `start` on.
    pub(crate) fn beyond_gap(&self, tag: u8, start: &[u8]) -> Option<Key> {
        let gap = self.gaps[usize::from(tag)].as_ref()?;
        (gap.from.as_slice() <= start && start < gap.to.as_slice()).then(|| gap.to.clone())
    }

    /// Somebody has found no row with start <= key < to.
    pub(crate) fn learn_gap(&mut self, tag: u8, start: &[u8], to: Key) {
        let gap = &mut self.gaps[usize::from(tag)];
        match gap {
            Some(gap) if gap.from.as_slice() <= start && start <= gap.to.as_slice() => gap.to = to.max(gap.to.clone()),
            _ => *gap = Some(Gap { from: Key::new(start), to }),
        }
    }

    /// A row is written in the open group.
    #[inline]
    pub(crate) fn written(&mut self, tag: u8, key: &Key) {
        if let Some(gap) = &mut self.gaps[usize::from(tag)]
            && gap.from <= *key
            && *key < gap.to
        {
            gap.to = key.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(&[7, byte])
    }

    #[test]
    fn gaps_grow_by_what_was_found_and_shrink_by_what_is_written() {
        let mut known = Vacancies::default();
        assert_eq!(known.beyond_gap(7, &[7]), None);
        known.learn_gap(7, &[7, 1], key(5));
        known.learn_gap(7, &[7, 5], key(9));
        assert_eq!(known.beyond_gap(7, &[7, 1]), Some(key(9)));
        assert_eq!((known.beyond_gap(7, &[7, 0]), known.beyond_gap(7, &[7, 9])), (None, None));
        known.written(7, &key(9));
        known.written(7, &key(3));
        assert_eq!((known.beyond_gap(7, &[7, 2]), known.beyond_gap(7, &[7, 3])), (Some(key(3)), None));
        known.written(7, &key(1));
        assert_eq!(known.beyond_gap(7, &[7, 1]), None);
        known.learn_gap(7, &[7, 20], key(30));
        assert_eq!((known.beyond_gap(7, &[7, 1]), known.beyond_gap(7, &[7, 25])), (None, Some(key(30))));
        assert_eq!(known.beyond_gap(8, &[7, 25]), None);
    }

    #[test]
    fn only_an_inhabited_table_becomes_unknown_when_a_row_goes() {
        let mut known = Vacancies::default();
        assert_eq!(known.of(7), Vacancy::Unknown);
        for (before, after) in [(Vacancy::Vacant, Vacancy::Vacant), (Vacancy::Inhabited, Vacancy::Unknown)] {
            known.learn(7, before);
            known.deleted(7);
            assert_eq!(known.of(7), after);
        }
    }
}
