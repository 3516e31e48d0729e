//! The runtime of JavaScript vats.

use crate::heap::Heap;
use crate::meter::OutputLimits;
use std::collections::BTreeMap;
use std::rc::Rc;
use sturdy_types::{Fatal, Outcome, RuntimeKind, StartSpec, VatId, VatLimits, Verdict};
use sturdy_vat::{Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, Vat, VatLog};

/// Runs JavaScript vats: ES modules and bundles.
pub struct JsRuntime {
    log: Rc<dyn VatLog>,
    output: OutputLimits,
}

impl JsRuntime {
    /// `log` receives the vats' console output and the errors that they did not catch.
    pub fn new(log: Rc<dyn VatLog>) -> Self {
        Self { log, output: OutputLimits::default() }
    }

    /// The same with other limits on what one delivery may put out.
    #[must_use]
    pub fn with_output_limits(self, output: OutputLimits) -> Self {
        Self { output, ..self }
    }
}

impl Runtime for JsRuntime {
    fn start(
        &mut self,
        vat: VatId,
        spec: &StartSpec,
        limits: &VatLimits,
        sources: &dyn SourceReader,
        state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable> {
        let texts = match read_sources(spec, sources)? {
            Ok(texts) => texts,
            Err(why) => return Ok(failed(why)),
        };
        let Ok(mut heap) = Heap::new(vat, limits, self.output, Rc::clone(&self.log)) else {
            return Ok(failed("the engine could not be created: the host is out of memory".to_owned()));
        };
        let outcome = heap.start(spec, texts, state)?;
        let lives = outcome.verdict == Verdict::Done;
        Ok(StartedVat { vat: lives.then(|| Box::new(heap) as Box<dyn Vat>), outcome })
    }
}

fn failed(why: String) -> StartedVat {
    StartedVat { vat: None, outcome: Outcome::failed(Fatal::InternalError, why) }
}

/// All modules of the vat, read before the engine runs.
fn read_sources(
    spec: &StartSpec,
    sources: &dyn SourceReader,
) -> Result<Result<BTreeMap<String, String>, String>, StateUnreadable> {
    let code = &spec.config.code;
    if code.runtime == RuntimeKind::Native {
        return Ok(Err(format!("{:?} is a native vat; this runtime runs JavaScript", code.entry)));
    }
    let mut texts = BTreeMap::new();
    for (path, hash) in &code.modules {
        match sources.source(hash)? {
            Some(text) => texts.insert(path.clone(), text),
            None => return Ok(Err(format!("the source of module {path:?} ({hash}) is not in the store"))),
        };
    }
    Ok(Ok(texts))
}
