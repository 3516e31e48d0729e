//! Rings: settled promises that are held by nothing but each other's values, and what hangs on them (G15). Counts never
//! free them, and peers can make them at will (G11).
//!
//! Whatever holds a promise is in its count. So a promise that is counted more often than the values of settled promises
//! mention it is held from outside; what cannot be reached from such promises through values is garbage (trial deletion,
//! as of Bacon and Rajan). A ring comes to be garbage only when a promise in it is settled or loses a reference and keeps
//! others: this promise is a *suspect*, and a sweep looks at nothing but what suspects reach.
//!
//! What always holds: suspects are volatile and come with the merge of their turn; a process that has begun does not know
//! those of the one before, and reads the table of promises once, in slices, when it is idle. A suspect of which a sweep has
//! found that it is held needs no second look until it loses another reference. Finding too few rows of a ring errs on the
//! safe side: what was not looked at holds from outside.
//!
//! A sweep is one turn and looks at all that hangs together with the suspects, however much that is. It is due only when
//! references were lost in proportion to the rows that the last one has left, so the work stays in proportion to what was
//! done, and what waits to be swept to what lives.
//! Deliberately elsewhere: when there is time (`sturdy-node`); rings that lead through vats or other kernels.

use crate::blame::{Fault, broken};
use crate::ctx::Ctx;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_store::{PromiseRecord, PromiseState, Promises, Read, StoreFault};
use sturdy_types::{CapData, KRef, KernelLimits, PromiseId};

/// Rows that an idle kernel looks at for each lost reference. A small store is swept for the first one.
const ROWS_PER_LOSS: u64 = 1_000;

/// Settled promises that may be in rings.
#[derive(Debug, Default)]
pub struct Suspects {
    promises: BTreeSet<PromiseId>,
    /// How often a reason was given, for one or another of them.
    losses: u64,
}

impl Suspects {
    pub(crate) fn add(&mut self, id: PromiseId) {
        self.promises.insert(id);
        self.losses += 1;
    }
}

/// What one process knows of rings.
#[derive(Debug)]
pub struct Rings {
    suspects: Suspects,
    /// Rows that the last sweep has looked at and left.
    survivors: u64,
    /// The table is read on after this promise, until all of it was read.
    unread: Option<PromiseId>,
}

impl Default for Rings {
    fn default() -> Self {
        Self { suspects: Suspects::default(), survivors: 0, unread: Some(PromiseId(0)) }
    }
}

impl Rings {
    /// Adds what a merged turn suspects.
    pub fn join(&mut self, more: Suspects) {
        self.suspects.losses += more.losses;
        self.suspects.promises.extend(more.promises);
    }

    /// Whether an idle kernel is to sweep.
    pub fn are_due(&self) -> bool {
        !self.suspects.promises.is_empty() && self.suspects.losses.saturating_mul(ROWS_PER_LOSS) >= self.survivors
    }

    /// Whether a kernel is to sweep that may never be idle.
    pub fn are_urgent(&self, limits: &KernelLimits) -> bool {
        self.suspects.promises.len() >= limits.ring_suspects && self.suspects.losses >= self.survivors
    }

    /// Reads some more of what the process before may have left. Returns whether there is more.
    pub fn read_on<R: Read>(&mut self, read: &R, limits: &KernelLimits) -> Result<bool, StoreFault> {
        let Some(after) = self.unread else { return Ok(false) };
        let rows = read.scan::<Promises>(&(), Some(&after), limits.ring_rows_per_turn)?;
        self.unread = if rows.len() < limits.ring_rows_per_turn { None } else { rows.last().map(|(id, _)| *id) };
        for (id, promise) in rows {
            if may_be_in_a_ring(&promise) {
                self.suspects.add(id);
            }
        }
        Ok(self.unread.is_some())
    }

    /// The suspects, for a sweep.
    pub fn take(&mut self) -> Suspects {
        std::mem::take(&mut self.suspects)
    }

    /// A sweep has left so many of the rows that it has looked at.
    pub const fn swept(&mut self, survivors: u64) {
        self.survivors = survivors;
    }
}

/// Frees those rings that the suspects are in or reach. Returns how many rows it has looked at and left.
pub fn sweep_rings(ctx: &mut Ctx<'_, '_>, suspects: Suspects) -> Result<u64, Fault> {
    let mut graph = Graph::from(ctx, suspects)?;
    let rows = graph.0.len() as u64;
    graph.take_away_mentions()?;
    let garbage = graph.not_held();
    let survivors = rows - garbage.len() as u64;
    // What they mention is released when none of them mentions anything any more: then the last count of each goes.
    let mut mentioned = Vec::new();
    for id in garbage {
        let mut promise = ctx.need::<Promises>(&id)?;
        let nothing = PromiseState::Fulfilled(CapData::plain("#\"#undefined\""));
        match std::mem::replace(&mut promise.state, nothing) {
            PromiseState::Fulfilled(value) | PromiseState::Rejected(value) => mentioned.extend(value.slots),
            PromiseState::Unresolved { .. } => return Err(broken(format!("{id} is in a ring and not settled"))),
        }
        ctx.put::<Promises>(&id, &promise);
    }
    mentioned.into_iter().try_for_each(|slot| ctx.release(slot))?;
    ctx.close()?;
    Ok(survivors)
}

/// Whether a promise that stays may hold itself.
pub(crate) fn may_be_in_a_ring(promise: &PromiseRecord) -> bool {
    value_of(promise).is_some_and(|value| promises_in(value).next().is_some())
}

fn value_of(promise: &PromiseRecord) -> Option<&CapData<KRef>> {
    match &promise.state {
        PromiseState::Fulfilled(value) | PromiseState::Rejected(value) => Some(value),
        PromiseState::Unresolved { .. } => None,
    }
}

fn promises_in(value: &CapData<KRef>) -> impl Iterator<Item = PromiseId> {
    value.slots.iter().filter_map(|slot| if let KRef::Promise(id) = slot { Some(*id) } else { None })
}

/// A settled promise whose value mentions promises.
struct Node {
    /// How often it is counted; then, how often from outside.
    refs: u64,
    mentions: Vec<PromiseId>,
    held: bool,
}

/// What is reached from the suspects through values.
struct Graph(BTreeMap<PromiseId, Node>);

impl Graph {
    fn from(ctx: &Ctx<'_, '_>, suspects: Suspects) -> Result<Self, Fault> {
        let mut nodes = BTreeMap::new();
        let mut next: Vec<PromiseId> = suspects.promises.into_iter().collect();
        while let Some(id) = next.pop() {
            if nodes.contains_key(&id) {
                continue;
            }
            let Some(promise) = ctx.get::<Promises>(&id)? else { continue };
            let mentions: Vec<PromiseId> = value_of(&promise).into_iter().flat_map(promises_in).collect();
            if !mentions.is_empty() {
                next.extend(mentions.iter().filter(|mentioned| !nodes.contains_key(*mentioned)));
                nodes.insert(id, Node { refs: promise.refs, mentions, held: false });
            }
        }
        Ok(Self(nodes))
    }

    /// Leaves of each count what is not explained by mentions.
    fn take_away_mentions(&mut self) -> Result<(), Fault> {
        let mut explained: BTreeMap<PromiseId, u64> = BTreeMap::new();
        for id in self.0.values().flat_map(|node| &node.mentions).filter(|id| self.0.contains_key(id)) {
            *explained.entry(*id).or_default() += 1;
        }
        for (id, times) in explained {
            if let Some(node) = self.0.get_mut(&id) {
                node.refs =
                    node.refs.checked_sub(times).ok_or_else(|| broken(format!("the count of {id} is too small")))?;
            }
        }
        Ok(())
    }

    /// What nothing outside reaches.
    fn not_held(mut self) -> Vec<PromiseId> {
        let mut next: Vec<PromiseId> = self.0.iter().filter(|(_, node)| node.refs > 0).map(|(id, _)| *id).collect();
        while let Some(id) = next.pop() {
            if let Some(node) = self.0.get_mut(&id).filter(|node| !node.held) {
                node.held = true;
                next.append(&mut node.mentions);
            }
        }
        self.0.into_iter().filter(|(_, node)| !node.held).map(|(id, _)| id).collect()
    }
}
