//! A runtime for tests of kernels: a function says what each vat answers.
//!
//! What always holds: it keeps nothing between deliveries but the function itself, so a test sees every delivery and
//! chooses every outcome, legal or not.

use crate::contract::{Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, Vat};
use std::cell::RefCell;
use std::rc::Rc;
use sturdy_types::{Delivery, Outcome, StartSpec, VatId, VatLimits, Verdict};

type Script = Rc<RefCell<dyn FnMut(VatId, &Delivery) -> Outcome>>;

/// Every vat of this runtime answers what the script says.
pub struct ScriptedRuntime {
    script: Script,
}

impl ScriptedRuntime {
    /// The script is asked for each delivery, start deliveries included.
    pub fn new(script: impl FnMut(VatId, &Delivery) -> Outcome + 'static) -> Self {
        Self { script: Rc::new(RefCell::new(script)) }
    }
}

impl Runtime for ScriptedRuntime {
    fn start(
        &mut self,
        vat: VatId,
        spec: &StartSpec,
        _limits: &VatLimits,
        _sources: &dyn SourceReader,
        _state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable> {
        let outcome = (self.script.borrow_mut())(vat, &Delivery::Start(Box::new(spec.clone())));
        let lives = outcome.verdict == Verdict::Done;
        let heap = lives.then(|| Box::new(ScriptedVat { id: vat, script: Rc::clone(&self.script) }) as Box<dyn Vat>);
        Ok(StartedVat { vat: heap, outcome })
    }
}

struct ScriptedVat {
    id: VatId,
    script: Script,
}

impl Vat for ScriptedVat {
    fn deliver(&mut self, delivery: &Delivery, _state: &dyn StateReader) -> Result<Outcome, StateUnreadable> {
        Ok((self.script.borrow_mut())(self.id, delivery))
    }
}
