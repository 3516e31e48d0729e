//! Ordered reading of three layers at once: the turn over the open group over the engine. An upper layer's row, or
//! its deletion, hides the rows below it.

use crate::bytes::{Key, Value};
use crate::engine::{Engine, EngineError, Row};
use std::cmp::Ordering;

/// Rows asked of the engine at once, at most.
const CHUNK_ROWS: usize = 1024;
/// Rows asked of the engine at first, at most.
const FIRST_CHUNK_ROWS: usize = 128;

/// The engine's rows of a range, fetched as they are needed.
pub(crate) struct EngineRows<'a> {
    engine: &'a dyn Engine,
    end: Option<&'a [u8]>,
    /// Where the next chunk begins, unless there is none.
    next: Option<Vec<u8>>,
    chunk: usize,
    fetched: std::vec::IntoIter<Row>,
    head: Option<Row>,
}

impl<'a> EngineRows<'a> {
    /// `limit`: how many rows will probably be needed.
    pub(crate) fn new(engine: &'a dyn Engine, start: &[u8], end: Option<&'a [u8]>, limit: usize) -> Self {
        Self {
            engine,
            end,
            next: Some(start.to_vec()),
            chunk: limit.clamp(1, FIRST_CHUNK_ROWS),
            fetched: Vec::new().into_iter(),
            head: None,
        }
    }

    /// No rows at all.
    pub(crate) fn none(engine: &'a dyn Engine) -> Self {
        let fetched = Vec::new().into_iter();
        Self { engine, end: None, next: None, chunk: 0, fetched, head: None }
    }

    /// Makes `head` the next row, if there is one.
    fn advance(&mut self) -> Result<(), EngineError> {
        self.head = self.fetched.next();
        if self.head.is_some() {
            return Ok(());
        }
        let Some(start) = self.next.take() else { return Ok(()) };
        let rows = self.engine.scan(&start, self.end, self.chunk)?;
        if rows.len() == self.chunk {
            self.next = rows.last().map(|(key, _)| after(key));
            self.chunk = (self.chunk * 2).min(CHUNK_ROWS);
        }
        self.fetched = rows.into_iter();
        self.head = self.fetched.next();
        Ok(())
    }
}

/// The smallest key greater than `key`.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// The smallest key greater than all that begin with `prefix`; `None` if there is none.
pub(crate) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// What a scan has seen of the two lower layers, the group over the engine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// Deleted rows were passed before any other, and there are none from the start of the range to this key.
    To(Key),
    /// Deleted rows were passed, and there are no others in the whole range.
    Wholly,
    /// The range does not begin with deleted rows.
    Nowhere,
}

/// Calls `emit` with the first `limit` rows of the merged layers, ascending.
pub(crate) fn merge<'t, 'g, E: From<EngineError>>(
    turn: impl Iterator<Item = (&'t Key, Option<&'t Value>)>,
    group: impl Iterator<Item = (&'g Key, Option<&'g Value>)>,
    mut engine: EngineRows<'_>,
    limit: usize,
    mut emit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<Bare, E> {
    #[expect(clippy::map_identity, reason = "brings both to one lifetime")]
    let (turn, group) =
        (turn.map(|(key, value)| (key, value)).peekable(), group.map(|(key, value)| (key, value)).peekable());
    let mut over = Upper { turn, group };
    let mut front = Front::default();
    let mut left = limit;
    if left > 0 {
        engine.advance()?;
    }
    while left > 0 {
        let order = match (over.key(), engine.head.as_ref()) {
            (None, None) => return Ok(front.at_the_end()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(upper), Some((lower, _))) => upper.as_slice().cmp(lower),
        };
        if order == Ordering::Greater {
            if let Some((key, value)) = &engine.head {
                front.lives(key);
                emit(key, value)?;
            }
            left -= 1;
        } else if let Some(Top { key, value, group }) = over.next() {
            match group {
                InGroup::Row => front.lives(key.as_slice()),
                InGroup::Nothing if order == Ordering::Equal => front.lives(key.as_slice()),
                InGroup::Nothing | InGroup::Deleted => front.passed(key, group),
            }
            if let Some(value) = value {
                emit(key.as_slice(), value.as_slice())?;
                left -= 1;
            }
        }
        if order != Ordering::Less && left > 0 {
            engine.advance()?;
        }
    }
    Ok(front.so_far())
}

/// How far the lower layers have shown no row.
#[derive(Default)]
struct Front<'a> {
    first_living: Option<Key>,
    last_passed: Option<&'a Key>,
    some_deleted: bool,
}

impl<'a> Front<'a> {
    fn lives(&mut self, key: &[u8]) {
        if self.first_living.is_none() {
            self.first_living = Some(Key::new(key));
        }
    }

    /// No row of theirs was under this key.
    fn passed(&mut self, key: &'a Key, group: InGroup) {
        if self.first_living.is_none() {
            self.last_passed = Some(key);
            self.some_deleted |= group == InGroup::Deleted;
        }
    }

    fn so_far(self) -> Bare {
        match (self.some_deleted, self.first_living, self.last_passed) {
            (true, Some(living), _) => Bare::To(living),
            (true, None, Some(passed)) => Bare::To(Key::from(after(passed.as_slice()))),
            _ => Bare::Nowhere,
        }
    }

    fn at_the_end(self) -> Bare {
        if self.some_deleted && self.first_living.is_none() { Bare::Wholly } else { self.so_far() }
    }
}

/// The turn over the group.
struct Upper<T: Iterator, G: Iterator> {
    turn: std::iter::Peekable<T>,
    group: std::iter::Peekable<G>,
}

/// What the group has under a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InGroup {
    Row,
    Deleted,
    Nothing,
}

/// A row, or its deletion, as the upper layers have it, and what the group alone has under its key.
struct Top<'a> {
    key: &'a Key,
    value: Option<&'a Value>,
    group: InGroup,
}

impl<'a, T, G> Upper<T, G>
where
    T: Iterator<Item = (&'a Key, Option<&'a Value>)>,
    G: Iterator<Item = (&'a Key, Option<&'a Value>)>,
{
    fn key(&mut self) -> Option<&'a Key> {
        match (self.turn.peek(), self.group.peek()) {
            (Some((turn, _)), Some((group, _))) => Some(if turn <= group { turn } else { group }),
            (Some((key, _)), None) | (None, Some((key, _))) => Some(key),
            (None, None) => None,
        }
    }

    fn next(&mut self) -> Option<Top<'a>> {
        let order = match (self.turn.peek(), self.group.peek()) {
            (Some((turn, _)), Some((group, _))) => turn.cmp(group),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let group = if order == Ordering::Less { None } else { self.group.next() };
        let turn = if order == Ordering::Greater { None } else { self.turn.next() };
        let (key, value) = turn.or(group)?;
        let group = match group {
            Some((_, Some(_))) => InGroup::Row,
            Some((_, None)) => InGroup::Deleted,
            None => InGroup::Nothing,
        };
        Some(Top { key, value, group })
    }
}
