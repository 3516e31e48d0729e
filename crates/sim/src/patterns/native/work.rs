//! What the native programs of the corpus have in common: arguments as text and slots, a memory of the heap, and the
//! methods that every root has (`bootstrap`, `forget`, `tidy`).
//!
//! What always holds: native programs have no garbage collector, so whatever import a heap has seen is noted, and
//! [`Memory`] lets go of it when it is told to tidy and nothing keeps it. What the memory knows is lost with the heap:
//! a program that misses something says so with [`LOST`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use sturdy_types::{CapData, Hold, VRef, json_string};
use sturdy_vat::{Call, Crank, Object, Reply, Settled, error_value};

/// Stands in every error that says: the heap that knew this is gone.
pub const LOST: &str = "[LOST]";

/// Where the durable state notes an object that outlives the heap.
const PEER: &str = "peer";

/// How a method ends: with a reply, or with the message of an error.
pub type Answer = Result<Reply, String>;

/// The memory of one heap, shared by its objects.
pub type Mem = Rc<Memory>;

/// What a heap remembers.
#[derive(Default)]
pub struct Memory {
    kept: RefCell<BTreeMap<String, VRef>>,
    gates: RefCell<BTreeMap<String, Vec<VRef>>>,
    notes: RefCell<BTreeMap<String, String>>,
    own: RefCell<BTreeMap<String, Rc<dyn Object>>>,
    seen: RefCell<BTreeSet<VRef>>,
}

impl Memory {
    /// Keeps a reference under a name.
    pub fn keep(&self, name: &str, vref: VRef) {
        self.kept.borrow_mut().insert(name.to_owned(), vref);
    }

    /// Does not keep it any more.
    pub fn drop_kept(&self, name: &str) {
        self.kept.borrow_mut().remove(name);
    }

    /// What is kept under a name.
    pub fn kept(&self, name: &str) -> Result<VRef, String> {
        self.kept.borrow().get(name).copied().ok_or_else(|| format!("{LOST} nothing is kept as {name}"))
    }

    /// A promise of ours is to be settled later, by whoever opens this gate.
    pub fn wait_at(&self, gate: &str, promise: VRef) {
        self.gates.borrow_mut().entry(gate.to_owned()).or_default().push(promise);
    }

    /// All promises that wait at a gate, which is open then.
    pub fn open_gate(&self, gate: &str) -> Result<Vec<VRef>, String> {
        self.gates.borrow_mut().remove(gate).ok_or_else(|| format!("{LOST} nobody waits at {gate}"))
    }

    /// Notes a text.
    pub fn note(&self, name: &str, text: String) {
        self.notes.borrow_mut().insert(name.to_owned(), text);
    }

    /// What was noted.
    pub fn noted(&self, name: &str) -> Option<String> {
        self.notes.borrow().get(name).cloned()
    }

    /// True when an object of ours is kept under this name.
    pub fn has_own(&self, name: &str) -> bool {
        self.own.borrow().contains_key(name)
    }

    /// An object of ours that is kept under a name, made when it is not there yet.
    pub fn own(&self, name: &str, make: impl FnOnce() -> Rc<dyn Object>) -> Rc<dyn Object> {
        Rc::clone(self.own.borrow_mut().entry(name.to_owned()).or_insert_with(make))
    }

    fn forget(&self, crank: &mut Crank<'_>) {
        self.kept.borrow_mut().clear();
        self.notes.borrow_mut().clear();
        self.own.borrow_mut().clear();
        for promise in std::mem::take(&mut *self.gates.borrow_mut()).into_values().flatten() {
            crank.settle(promise, true, error_value(&format!("{LOST} it was forgotten")));
        }
        if let Some(peer) = durable_peer(crank) {
            crank.hold(peer, Hold::None);
            crank.delete(PEER);
            self.seen.borrow_mut().insert(peer);
        }
    }

    fn tidy(&self, crank: &mut Crank<'_>) {
        let mut still: BTreeSet<VRef> = self.kept.borrow().values().copied().collect();
        still.extend(durable_peer(crank));
        let mut seen = self.seen.borrow_mut();
        for vref in seen.iter().filter(|vref| !still.contains(vref)) {
            crank.release(*vref);
        }
        seen.retain(|vref| still.contains(vref));
    }
}

/// A reference was received: as any heap does, it wants to hear what becomes of promises.
fn saw(crank: &mut Crank<'_>, mem: &Mem, vref: VRef) {
    match vref {
        VRef::Import(_) => {
            mem.seen.borrow_mut().insert(vref);
        }
        VRef::PromiseImport(_) => {
            crank.subscribe(vref);
            after(crank, mem, vref, |_, _, _| {});
        }
        _ => {}
    }
}

/// The object that the durable state holds, whatever becomes of the heap.
pub fn durable_peer(crank: &mut Crank<'_>) -> Option<VRef> {
    crank.get(PEER).and_then(|text| text.parse().ok())
}

/// Holds an object in the durable state.
pub fn hold_durably(crank: &mut Crank<'_>, vref: VRef) {
    crank.set(PEER, vref.to_string());
    crank.hold(vref, Hold::Strong);
}

/// One call at work.
pub struct Work<'w, 'c> {
    /// What the vat can ask for.
    pub crank: &'w mut Crank<'c>,
    /// The heap's memory.
    pub mem: &'w Mem,
    /// Which method.
    pub method: &'w str,
    /// The promise for the outcome.
    pub result: Option<VRef>,
    args: Vec<&'w str>,
    slots: &'w [VRef],
}

impl Work<'_, '_> {
    /// An argument as it stands.
    pub fn raw(&self, index: usize) -> Result<&str, String> {
        self.args.get(index).copied().ok_or_else(|| format!("{} wants more arguments", self.method))
    }

    /// A text.
    pub fn text(&self, index: usize) -> Result<String, String> {
        Ok(self.raw(index)?.trim_matches('"').to_owned())
    }

    /// A whole number.
    pub fn number(&self, index: usize) -> Result<i64, String> {
        let raw = self.raw(index)?;
        raw.parse().map_err(|_| format!("{raw} is not a whole number"))
    }

    /// An object or promise.
    pub fn slot(&self, index: usize) -> Result<VRef, String> {
        let raw = self.raw(index)?;
        self.slot_of(raw).ok_or_else(|| format!("{raw} is not a reference"))
    }

    fn slot_of(&self, raw: &str) -> Option<VRef> {
        let inside = raw.strip_prefix("\"$").or_else(|| raw.strip_prefix("\"&"))?.trim_end_matches('"');
        let digits = inside.split('.').next()?;
        self.slots.get(digits.parse::<usize>().ok()?).copied()
    }

    /// A value that is one argument.
    pub fn value(&self, index: usize) -> Result<CapData<VRef>, String> {
        let (body, slots) = self.args_from(index)?;
        Ok(CapData { body: format!("#{}", body.trim_start_matches('[').trim_end_matches(']')), slots })
    }

    /// The arguments from this one on, as arguments of another call.
    pub fn args_from(&self, index: usize) -> Result<(String, Vec<VRef>), String> {
        let mut slots = Vec::new();
        let rest = self.args.get(index..).ok_or_else(|| format!("{} wants more arguments", self.method))?;
        let texts: Vec<String> = rest
            .iter()
            .map(|raw| self.slot_of(raw).map_or((*raw).to_owned(), |slot| reference(slot, &mut slots)))
            .collect();
        Ok((format!("[{}]", texts.join(",")), slots))
    }

    /// Calls a method. Messages can be sent to the promise at once.
    pub fn send(&mut self, target: VRef, method: &str, args: &str, slots: Vec<VRef>) -> VRef {
        let promise = self.crank.send(target, method, args, slots);
        after(self.crank, self.mem, promise, |_, _, _| {});
        promise
    }

    /// Calls a method; what becomes of it becomes of this call.
    pub fn ask(&mut self, target: VRef, method: &str, args: &str, slots: Vec<VRef>) -> Reply {
        let answer = self.crank.send(target, method, args, slots);
        pass_on(self.crank, self.mem, answer, self.result)
    }

    /// Hands the call on as it is, with its result: whoever gets it decides it.
    pub fn hand_on(&mut self, target: VRef, method: &str, args: &str, slots: Vec<VRef>) -> Reply {
        let methargs = CapData { body: format!("#[{},{args}]", json_string(method)), slots };
        self.crank.send_with_result(target, methargs, self.result);
        // It is a promise like any other now: who wants to be rid of it has to hear what becomes of it.
        if let Some(result) = self.result {
            saw(self.crank, self.mem, result);
        }
        Reply::Later
    }

    /// A new object of this vat.
    pub fn object(&mut self, program: impl Fn(&mut Work<'_, '_>) -> Answer + 'static) -> VRef {
        let thing = thing(self.mem, program);
        self.crank.export(thing)
    }
}

/// An object that is no root.
pub fn thing(mem: &Mem, program: impl Fn(&mut Work<'_, '_>) -> Answer + 'static) -> Rc<dyn Object> {
    Rc::new(Thing { mem: Rc::clone(mem), program: Box::new(program) })
}

/// A reference as an element of a body, with its slot.
pub fn reference(vref: VRef, slots: &mut Vec<VRef>) -> String {
    slots.push(vref);
    let sign = if vref.is_promise() { '&' } else { '$' };
    format!("\"{sign}{}\"", slots.len() - 1)
}

/// A value that is one reference.
pub fn just(vref: VRef) -> CapData<VRef> {
    let mut slots = Vec::new();
    let body = format!("#{}", reference(vref, &mut slots));
    CapData { body, slots }
}

/// A number or another text that is a body as it stands.
pub fn plain(value: impl std::fmt::Display) -> CapData<VRef> {
    CapData::plain(format!("#{value}"))
}

/// A text.
pub fn text(value: &str) -> CapData<VRef> {
    plain(json_string(value))
}

/// Nothing.
pub fn nothing() -> Reply {
    Reply::Value(plain("\"#undefined\""))
}

/// Settles the result of a call, if anybody wants it.
pub fn settle(crank: &mut Crank<'_>, result: Option<VRef>, rejected: bool, value: CapData<VRef>) {
    if let Some(result) = result {
        crank.settle(result, rejected, value);
    }
}

/// What to do once a promise is settled.
pub fn after(
    crank: &mut Crank<'_>,
    mem: &Mem,
    promise: VRef,
    then: impl FnOnce(&mut Crank<'_>, &Mem, &Settled<'_>) + 'static,
) {
    let mem = Rc::clone(mem);
    crank.when(promise, move |crank, settled| {
        // Promises in values are left to whoever wants them: they may be settled in the same notification.
        for slot in settled.value.slots.iter().filter(|slot| !slot.is_promise()) {
            saw(crank, &mem, *slot);
        }
        then(crank, &mem, settled);
    });
}

/// What becomes of `promise` becomes of `result`.
pub fn pass_on(crank: &mut Crank<'_>, mem: &Mem, promise: VRef, result: Option<VRef>) -> Reply {
    after(crank, mem, promise, move |crank, _, settled| {
        settle(crank, result, settled.rejected, settled.value.clone());
    });
    Reply::Later
}

/// The root of a vat.
pub struct Root {
    mem: Mem,
    program: fn(&mut Work<'_, '_>) -> Answer,
}

impl Root {
    /// A root with an empty memory.
    pub fn new(program: fn(&mut Work<'_, '_>) -> Answer) -> Self {
        Self { mem: Mem::default(), program }
    }
}

impl Object for Root {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        perform(crank, call, &self.mem, |work| match work.method {
            "bootstrap" => Ok(nothing()),
            "forget" => {
                work.mem.forget(work.crank);
                Ok(nothing())
            }
            "tidy" => {
                work.mem.tidy(work.crank);
                Ok(nothing())
            }
            _ => (self.program)(work),
        })
    }
}

struct Thing {
    mem: Mem,
    program: Box<dyn Fn(&mut Work<'_, '_>) -> Answer>,
}

impl Object for Thing {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        perform(crank, call, &self.mem, &self.program)
    }
}

fn perform(
    crank: &mut Crank<'_>,
    call: &Call<'_>,
    mem: &Mem,
    program: impl FnOnce(&mut Work<'_, '_>) -> Answer,
) -> Reply {
    for slot in call.slots {
        saw(crank, mem, *slot);
    }
    let inside = call.args.trim().trim_start_matches('[').trim_end_matches(']').trim();
    let args = if inside.is_empty() { Vec::new() } else { inside.split(',').map(str::trim).collect() };
    let mut work = Work { crank, mem, method: call.method, result: call.result, args, slots: call.slots };
    program(&mut work).unwrap_or_else(|message| Reply::Error(error_value(&message)))
}
