//! Vats of one or a few inline modules, driven over a state in memory.
#![allow(dead_code)] // each test file uses its own part

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use sturdy_types::{CodeSpec, Delivery, Outcome, RuntimeKind, SourceHash, VatId, VatLimits, Verdict};
use sturdy_vat::conformance::{Driver, Subject};
use sturdy_vat::{LogLevel, SourceReader, StateUnreadable, VatLog};
use sturdy_vat_js::JsRuntime;

/// Sources by hash.
#[derive(Default)]
pub struct Sources(pub BTreeMap<SourceHash, String>);

impl SourceReader for Sources {
    fn source(&self, hash: &SourceHash) -> Result<Option<String>, StateUnreadable> {
        Ok(self.0.get(hash).cloned())
    }
}

/// Collects what vats print.
#[derive(Default)]
pub struct Log(pub RefCell<Vec<(LogLevel, String)>>);

impl VatLog for Log {
    fn log(&self, _vat: VatId, level: LogLevel, text: &str) {
        self.0.borrow_mut().push((level, text.to_owned()));
    }
}

impl Log {
    /// Everything printed so far.
    pub fn text(&self) -> String {
        let lines: Vec<String> = self.0.borrow().iter().map(|(level, text)| format!("{level:?}: {text}")).collect();
        lines.join("\n")
    }
}

/// Modules as code: the first one is the entry.
pub fn code(runtime: RuntimeKind, modules: &[(&str, &str)]) -> (CodeSpec, Sources) {
    let mut sources = Sources::default();
    let mut listed = Vec::new();
    for (path, text) in modules {
        let hash = SourceHash(*blake3::hash(text.as_bytes()).as_bytes());
        sources.0.insert(hash, (*text).to_owned());
        listed.push(((*path).to_owned(), hash));
    }
    listed.sort();
    (CodeSpec { runtime, entry: modules[0].0.to_owned(), modules: listed }, sources)
}

/// A vat of these modules, driven by `test`.
pub fn with_modules(modules: &[(&str, &str)], limits: &VatLimits, test: impl FnOnce(&mut Driver<'_>, &Log)) {
    with_code(RuntimeKind::JavaScript, modules, limits, test);
}

/// The same for any kind of code.
pub fn with_code(
    runtime: RuntimeKind,
    modules: &[(&str, &str)],
    limits: &VatLimits,
    test: impl FnOnce(&mut Driver<'_>, &Log),
) {
    let log = Rc::new(Log::default());
    let mut js = JsRuntime::new(Rc::clone(&log) as Rc<dyn VatLog>);
    let (code, sources) = code(runtime, modules);
    let mut driver = Driver::new(Subject { runtime: &mut js, code, sources: &sources }, limits.clone());
    test(&mut driver, &log);
}

/// A root object with these methods, after these statements.
pub fn root(before: &str, methods: &str) -> String {
    format!(
        "import {{ E, Far }} from '@endo/far';\n{before}\nexport const buildRootObject = () => Far('root', {{ {methods} }});\n"
    )
}

/// Enough time for a debug build on a busy machine.
pub fn patient() -> VatLimits {
    VatLimits { start_ms: 60_000, compute_ms: 60_000, ..VatLimits::default() }
}

/// A vat whose root has these methods, started.
pub fn with_root(methods: &str, limits: &VatLimits, test: impl FnOnce(&mut Driver<'_>, &Log)) {
    with_modules(&[("vat.js", &root("", methods))], limits, |vat, log| {
        let outcome = vat.start_outcome("#\"#undefined\"", &[]);
        assert_eq!(outcome.verdict, Verdict::Done, "{}", log.text());
        test(vat, log);
    });
}

/// Calls a method without arguments and returns the outcome.
pub fn run(vat: &mut Driver<'_>, method: &str) -> Outcome {
    let delivery: Delivery = vat.message("o+0", method, "[]", &[], "p-1");
    vat.deliver(&delivery)
}
