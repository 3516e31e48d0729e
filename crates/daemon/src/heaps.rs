//! The runtimes and the heaps that they made. All of it lives on the kernel's thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;
use sturdy_node::Node;
use sturdy_store::{Read, Vats};
use sturdy_types::{Delivery, Fatal, Outcome, RunId, RuntimeKind, SourceHash, VatId, VatLimits, Verdict};
use sturdy_vat::{LogLevel, NativeRuntime, Runtime, SourceReader, StateReader, StateUnreadable, Vat, VatLog};
use sturdy_vat_js::JsRuntime;

use crate::config::{Report, Reporter};

/// Makes the runtimes; called once, on the kernel's thread.
pub type MakeRuntimes = Box<dyn FnOnce(Rc<dyn VatLog>) -> Runtimes + Send>;

/// One runtime for each kind of vat.
pub struct Runtimes {
    native: Box<dyn Runtime>,
    javascript: Box<dyn Runtime>,
}

impl Runtimes {
    /// JavaScript vats, and no native ones.
    pub fn standard(log: Rc<dyn VatLog>) -> Self {
        Self { native: Box::new(NativeRuntime::new()), javascript: Box::new(JsRuntime::new(log)) }
    }

    /// With this runtime for native vats.
    #[must_use]
    pub fn with_native(self, native: impl Runtime + 'static) -> Self {
        Self { native: Box::new(native), ..self }
    }

    /// With this runtime for JavaScript vats.
    #[must_use]
    pub fn with_javascript(self, javascript: impl Runtime + 'static) -> Self {
        Self { javascript: Box::new(javascript), ..self }
    }

    fn of(&mut self, kind: RuntimeKind) -> &mut dyn Runtime {
        match kind {
            RuntimeKind::Native => &mut *self.native,
            RuntimeKind::JavaScript | RuntimeKind::JavaScriptBundle => &mut *self.javascript,
        }
    }
}

/// Names of vats, for their log lines.
type Names = Rc<RefCell<BTreeMap<VatId, String>>>;

/// All living heaps.
pub(crate) struct Heaps {
    runtimes: Runtimes,
    limits: VatLimits,
    // During a reload a vat has two: the old one goes on if the new one does not start.
    living: BTreeMap<(VatId, RunId), Box<dyn Vat>>,
    names: Names,
}

impl Heaps {
    pub(crate) fn new(make: MakeRuntimes, limits: VatLimits, reporter: Reporter) -> Self {
        let names = Names::default();
        let log = Rc::new(Log { reporter, names: Rc::clone(&names) });
        Self { runtimes: make(log), limits, living: BTreeMap::new(), names }
    }

    /// Hands a delivery to its heap. `Delivery::Start` makes it.
    pub(crate) fn deliver(
        &mut self,
        node: &Node,
        vat: VatId,
        run: RunId,
        delivery: &Delivery,
    ) -> Result<Outcome, StateUnreadable> {
        let reader = Reader { node, vat };
        if let Delivery::Start(spec) = delivery {
            let record = node.store().get::<Vats>(&vat).map_err(unreadable)?;
            self.names.borrow_mut().insert(vat, record.map_or_else(String::new, |record| record.name));
            let runtime = self.runtimes.of(spec.config.code.runtime);
            let started = runtime.start(vat, spec, &self.limits, &reader, &reader)?;
            return Ok(match started.vat {
                Some(heap) if started.outcome.verdict == Verdict::Done => {
                    self.living.insert((vat, run), heap);
                    started.outcome
                }
                None if started.outcome.verdict == Verdict::Done => {
                    Outcome::failed(Fatal::InternalError, "the runtime says that the vat has started and gave no heap")
                }
                _ => started.outcome,
            });
        }
        let Some(heap) = self.living.get_mut(&(vat, run)) else {
            return Ok(Outcome::failed(Fatal::InternalError, format!("there is no heap of {run}")));
        };
        let outcome = heap.deliver(delivery, &reader)?;
        if outcome.verdict != Verdict::Done {
            self.living.remove(&(vat, run));
        }
        Ok(outcome)
    }

    /// Drops the heaps of a vat up to and with this one.
    pub(crate) fn stop(&mut self, vat: VatId, run: RunId) {
        self.living.retain(|&(owner, made), _| owner != vat || made > run);
        if !self.living.keys().any(|&(owner, _)| owner == vat) {
            self.names.borrow_mut().remove(&vat);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.living.len()
    }
}

/// What a vat may read while it works on a delivery.
struct Reader<'n> {
    node: &'n Node,
    vat: VatId,
}

impl StateReader for Reader<'_> {
    fn get(&self, key: &str) -> Result<Option<String>, StateUnreadable> {
        self.node.vat_state(self.vat, key).map_err(unreadable)
    }

    fn next(&self, after: &str, prefix: &str) -> Result<Option<(String, String)>, StateUnreadable> {
        self.node.vat_state_next(self.vat, Bound::Excluded(after), prefix).map_err(unreadable)
    }
}

impl SourceReader for Reader<'_> {
    fn source(&self, hash: &SourceHash) -> Result<Option<String>, StateUnreadable> {
        self.node.source(hash).map_err(unreadable)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn unreadable(fault: sturdy_store::StoreFault) -> StateUnreadable {
    StateUnreadable(fault.to_string())
}

struct Log {
    reporter: Reporter,
    names: Names,
}

impl VatLog for Log {
    fn log(&self, vat: VatId, level: LogLevel, text: &str) {
        let name = self.names.borrow().get(&vat).cloned().unwrap_or_default();
        (self.reporter)(Report::Log { vat, name, level, text: text.to_owned() });
    }
}
