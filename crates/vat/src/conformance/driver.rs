//! Drives one vat over a state in memory and renders its outcomes as text.

use crate::contract::{Runtime, SourceReader, StateReader, StateUnreadable, Vat};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use sturdy_types::{
    CapData, CodeSpec, Delivery, Hold, Message, Outcome, Resolution, SourceHash, StartSpec, StateDelta, Syscall, VRef,
    VatConfig, VatId, VatLimits, Verdict,
};

/// A runtime under test with the program's code.
pub struct Subject<'a> {
    /// The runtime.
    pub runtime: &'a mut dyn Runtime,
    /// The code of the program.
    pub code: CodeSpec,
    /// Its sources.
    pub sources: &'a dyn SourceReader,
}

/// A vat's durable state in memory.
#[derive(Default)]
pub struct MemoryState {
    rows: RefCell<BTreeMap<String, String>>,
    holds: RefCell<BTreeMap<VRef, Hold>>,
}

impl MemoryState {
    /// Commits what one crank changed.
    pub fn apply(&self, delta: &StateDelta) {
        let mut rows = self.rows.borrow_mut();
        for (key, value) in &delta.writes {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        self.holds.borrow_mut().extend(delta.holds.iter().copied());
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.borrow().len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows, in order of their keys.
    pub fn rows(&self) -> Vec<(String, String)> {
        self.rows.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// How firmly the state holds a reference.
    pub fn hold(&self, vref: VRef) -> Hold {
        self.holds.borrow().get(&vref).copied().unwrap_or_default()
    }
}

impl StateReader for MemoryState {
    fn get(&self, key: &str) -> Result<Option<String>, StateUnreadable> {
        Ok(self.rows.borrow().get(key).cloned())
    }

    fn next(&self, after: &str, prefix: &str) -> Result<Option<(String, String)>, StateUnreadable> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let rows = self.rows.borrow();
        let found = rows.range::<str, _>((from, Bound::Unbounded)).next();
        Ok(found.filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.clone(), value.clone())))
    }
}

/// No sources: for native vats.
impl SourceReader for MemoryState {
    fn source(&self, _hash: &SourceHash) -> Result<Option<String>, StateUnreadable> {
        Ok(None)
    }
}

/// One vat at work.
pub struct Driver<'a> {
    subject: Subject<'a>,
    state: MemoryState,
    vat: Option<Box<dyn Vat>>,
    limits: VatLimits,
    names: Vec<(VRef, String)>,
    restarted: bool,
}

impl<'a> Driver<'a> {
    /// Nothing is started yet.
    pub fn new(subject: Subject<'a>, limits: VatLimits) -> Self {
        Self { subject, state: MemoryState::default(), vat: None, limits, names: Vec::new(), restarted: false }
    }

    /// The vat's durable state.
    pub fn state(&self) -> &MemoryState {
        &self.state
    }

    /// Starts a new heap over the state as it is, and renders the outcome.
    pub fn start(&mut self, parameters: &str) -> String {
        let outcome = self.start_outcome(parameters, &[]);
        self.render(&outcome)
    }

    /// Starts a new heap over the state as it is.
    pub fn start_outcome(&mut self, parameters: &str, globals: &[&str]) -> Outcome {
        self.vat = None;
        let config = VatConfig {
            code: self.subject.code.clone(),
            parameters: parameters.to_owned(),
            globals: globals.iter().map(|&name| name.to_owned()).collect(),
        };
        let spec = StartSpec { config, parameters: CapData::plain(parameters), restarted: self.restarted };
        let started = self
            .subject
            .runtime
            .start(VatId(1), &spec, &self.limits, self.subject.sources, &self.state)
            .expect("a state in memory can be read");
        self.vat = started.vat;
        self.restarted = true;
        self.commit(&started.outcome);
        started.outcome
    }

    /// Delivers and commits.
    ///
    /// # Panics
    /// When no vat is running.
    pub fn deliver(&mut self, delivery: &Delivery) -> Outcome {
        let vat = self.vat.as_mut().expect("a vat is running");
        let outcome = vat.deliver(delivery, &self.state).expect("a state in memory can be read");
        self.commit(&outcome);
        outcome
    }

    /// Delivers, commits and renders the outcome.
    pub fn told(&mut self, delivery: &Delivery) -> String {
        let outcome = self.deliver(delivery);
        self.render(&outcome)
    }

    /// Calls a method of the root object: `args` is the text of a smallcaps array; `result` and `slots` are names.
    pub fn call(&mut self, method: &str, args: &str, slots: &[&str], result: &str) -> String {
        self.call_on("o+0", method, args, slots, result)
    }

    /// Calls a method of any object of the vat. An empty `result` means that nobody wants the outcome.
    pub fn call_on(&mut self, target: &str, method: &str, args: &str, slots: &[&str], result: &str) -> String {
        let delivery = self.message(target, method, args, slots, result);
        self.told(&delivery)
    }

    /// The delivery for [`Driver::call_on`].
    pub fn message(&self, target: &str, method: &str, args: &str, slots: &[&str], result: &str) -> Delivery {
        let methargs = CapData {
            body: format!("#[\"{method}\",{args}]"),
            slots: slots.iter().map(|slot| self.vref(slot)).collect(),
        };
        let result = (!result.is_empty()).then(|| self.vref(result));
        Delivery::Message { target: self.vref(target), message: Message { methargs, result } }
    }

    /// Tells that one promise is settled.
    pub fn notify(&mut self, promise: &str, rejected: bool, body: &str, slots: &[&str]) -> String {
        let value = CapData { body: body.to_owned(), slots: slots.iter().map(|slot| self.vref(slot)).collect() };
        self.told(&Delivery::Notify(vec![Resolution { promise: self.vref(promise), rejected, value }]))
    }

    /// The reference with this name: `o+A` and `p+A` are ids that the vat chose, anything else stands for itself.
    ///
    /// # Panics
    /// When the vat has not given out a reference of this name.
    pub fn vref(&self, name: &str) -> VRef {
        let named = self.names.iter().find(|(_, known)| known == name).map(|(vref, _)| *vref);
        named.or_else(|| name.parse().ok()).unwrap_or_else(|| panic!("the vat has not given out {name}"))
    }

    fn commit(&mut self, outcome: &Outcome) {
        if outcome.verdict == Verdict::Done {
            self.state.apply(&outcome.state);
        }
    }

    fn name(&mut self, vref: VRef) -> String {
        let sort = match vref {
            VRef::Export(0) | VRef::Import(_) | VRef::PromiseImport(_) => return vref.to_string(),
            VRef::Export(_) | VRef::Virtual(_) => "o+",
            VRef::PromiseExport(_) => "p+",
        };
        if let Some((_, name)) = self.names.iter().find(|(known, _)| *known == vref) {
            return name.clone();
        }
        let nth = self.names.iter().filter(|(_, name)| name.starts_with(sort)).count();
        let letter = char::from(b'A' + u8::try_from(nth % 26).expect("below 26"));
        let round = if nth < 26 { String::new() } else { (nth / 26).to_string() };
        let name = format!("{sort}{letter}{round}");
        self.names.push((vref, name.clone()));
        name
    }

    /// An outcome as text: sends first, then everything else, sorted.
    pub fn render(&mut self, outcome: &Outcome) -> String {
        if let Verdict::Failed(code, detail) = &outcome.verdict {
            return format!("failed {}: {}", code.text(), detail.lines().next().unwrap_or_default());
        }
        let mut sends = Vec::new();
        let mut others = Vec::new();
        for syscall in &outcome.syscalls {
            let line = self.syscall(syscall);
            if matches!(syscall, Syscall::Send { .. }) { sends.push(line) } else { others.push(line) }
        }
        others.sort();
        sends.extend(others);
        sends.join("\n")
    }

    fn syscall(&mut self, syscall: &Syscall) -> String {
        match syscall {
            Syscall::Send { target, message } => {
                let target = self.name(*target);
                let data = self.capdata(&message.methargs);
                let result = message.result.map_or(String::new(), |result| format!(" -> {}", self.name(result)));
                format!("send {target} {data}{result}")
            }
            Syscall::Subscribe(promise) => format!("subscribe {}", self.name(*promise)),
            Syscall::Resolve(resolutions) => {
                let parts: Vec<String> = resolutions.iter().map(|resolution| self.resolution(resolution)).collect();
                format!("resolve {}", parts.join("; "))
            }
            Syscall::Exit { failure, info } => {
                format!("exit{} {}", if *failure { " with failure" } else { "" }, self.capdata(info))
            }
            Syscall::DropImports(vrefs) => format!("drop imports {}", self.list(vrefs)),
            Syscall::RetireImports(vrefs) => format!("retire imports {}", self.list(vrefs)),
            Syscall::RetireExports(vrefs) => format!("retire exports {}", self.list(vrefs)),
            Syscall::AbandonExports(vrefs) => format!("abandon exports {}", self.list(vrefs)),
            Syscall::Illegal(what) => format!("illegal {what}"),
        }
    }

    fn resolution(&mut self, resolution: &Resolution<VRef>) -> String {
        let promise = self.name(resolution.promise);
        let how = if resolution.rejected { " rejected" } else { "" };
        format!("{promise}{how} {}", self.capdata(&resolution.value))
    }

    fn capdata(&mut self, data: &CapData<VRef>) -> String {
        let body = without_error_ids(&data.body);
        if data.slots.is_empty() { body } else { format!("{body} [{}]", self.list(&data.slots)) }
    }

    fn list(&mut self, vrefs: &[VRef]) -> String {
        vrefs.iter().map(|&vref| self.name(vref)).collect::<Vec<_>>().join(" ")
    }
}

/// A runtime may number the errors that leave it; the numbers mean nothing to others.
fn without_error_ids(body: &str) -> String {
    const KEY: &str = "\"errorId\":\"";
    let mut out = String::new();
    let mut rest = body;
    while let Some(start) = rest.find(KEY) {
        let Some(length) = rest[start + KEY.len()..].find('"') else { break };
        let end = start + KEY.len() + length + 1;
        let tail = &rest[end..];
        out.push_str(rest[..start].strip_suffix(',').filter(|_| !tail.starts_with(',')).unwrap_or(&rest[..start]));
        rest = tail.strip_prefix(',').unwrap_or(tail);
    }
    out.push_str(rest);
    out
}
