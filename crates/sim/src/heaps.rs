//! Where a machine's heaps come from: random actors, or any runtime of vats.
//!
//! What always holds: a machine knows nothing of what runs in its heaps but their outcomes.

use crate::actor::{Actor, Knobs, MessageName};
use std::cell::RefCell;
use std::rc::Rc;
use sturdy_types::{Delivery, Outcome, StartSpec, VatId, VatLimits};
use sturdy_vat::{Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, Vat};

/// Makes heaps.
pub trait MakeHeap {
    /// A new heap, and the outcome of its start delivery. `stream` is never used twice in a world.
    fn start(
        &self,
        stream: MessageName,
        vat: VatId,
        spec: &StartSpec,
        sources: &dyn SourceReader,
        state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable>;
}

/// Every vat is an actor.
pub struct Actors {
    seed: u64,
    knobs: Rc<Knobs>,
}

impl Actors {
    /// Actors of one world.
    pub fn new(seed: u64, knobs: &Rc<Knobs>) -> Self {
        Self { seed, knobs: Rc::clone(knobs) }
    }
}

impl MakeHeap for Actors {
    fn start(
        &self,
        stream: MessageName,
        _vat: VatId,
        _spec: &StartSpec,
        _sources: &dyn SourceReader,
        state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable> {
        let (actor, outcome) = Actor::start(self.seed, stream, &self.knobs, state)?;
        Ok(StartedVat { vat: Some(Box::new(actor)), outcome })
    }
}

impl Vat for Actor {
    fn deliver(&mut self, delivery: &Delivery, _state: &dyn StateReader) -> Result<Outcome, StateUnreadable> {
        Ok(Self::deliver(self, delivery))
    }
}

/// Vats are what their configurations say.
pub struct Programs(RefCell<Box<dyn Runtime>>);

impl Programs {
    /// Vats of this runtime.
    pub fn new(runtime: Box<dyn Runtime>) -> Self {
        Self(RefCell::new(runtime))
    }
}

impl MakeHeap for Programs {
    fn start(
        &self,
        _stream: MessageName,
        vat: VatId,
        spec: &StartSpec,
        sources: &dyn SourceReader,
        state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable> {
        self.0.borrow_mut().start(vat, spec, &VatLimits::default(), sources, state)
    }
}
