//! Vats written in Rust: objects with methods, over tables that speak the same protocol as every other runtime.
//!
//! What always holds: ids of exports and promises come from a durable counter (reserved in blocks, so that most cranks
//! write nothing for it) and are never used twice; an object exported twice has one id; a settled promise is
//! forgotten. Values are raw capdata: whoever wants them decoded uses `sturdy-smallcaps`. Compute limits are not
//! enforced here: native code is trusted by whoever registers it.

use crate::contract::{Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, Vat};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use sturdy_types::{
    CapData, Delivery, Fatal, Hold, Message, Metering, Outcome, Resolution, StartSpec, StateDelta, Syscall, VRef,
    VatId, VatLimits, Verdict, json_string,
};

/// The state key of the next id that no heap has reserved.
const IDS_KEY: &str = "ids";
/// How many ids one write of [`IDS_KEY`] reserves.
const IDS_PER_BLOCK: u64 = 1_000;

/// An object of a native vat.
pub trait Object {
    /// A method call. Nothing happens for the kernel before the crank commits.
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply;
}

/// One incoming method call.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method's name as it stands in the body (JSON escapes, which no ordinary name has, are not undone). A call
    /// of the object as a function has the name `#undefined`.
    pub method: &'a str,
    /// The arguments: the text of a smallcaps array.
    pub args: &'a str,
    /// The references that the arguments mention.
    pub slots: &'a [VRef],
    /// The promise for the outcome, if anybody wants it.
    pub result: Option<VRef>,
}

/// What a method answers.
#[derive(Debug)]
pub enum Reply {
    /// The call is fulfilled with this value.
    Value(CapData<VRef>),
    /// The call is rejected with this reason; see [`error_value`].
    Error(CapData<VRef>),
    /// The method keeps `call.result` and sees to it later: by [`Crank::settle`], or by sending on with it as result.
    Later,
}

/// The end of a promise.
#[derive(Debug)]
pub struct Settled<'a> {
    /// True when it is rejected.
    pub rejected: bool,
    /// The value or the reason.
    pub value: &'a CapData<VRef>,
}

/// A plain `Error` as a rejection reason.
pub fn error_value(message: &str) -> CapData<VRef> {
    CapData::plain(format!("#{{\"#error\":{},\"name\":\"Error\"}}", json_string(message)))
}

type Factory = Rc<dyn Fn(&mut Crank<'_>, &StartSpec) -> Result<Rc<dyn Object>, String>>;
type Reaction = Box<dyn FnOnce(&mut Crank<'_>, &Settled<'_>)>;

/// The native vats that a host offers, by name.
#[derive(Default)]
pub struct NativeRuntime {
    factories: BTreeMap<String, Factory>,
}

impl NativeRuntime {
    /// No vats yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a vat under a name: what a `CodeSpec` of kind `Native` gives as its entry. The function makes the root
    /// object.
    pub fn register(
        &mut self,
        name: impl Into<String>,
        make_root: impl Fn(&mut Crank<'_>, &StartSpec) -> Result<Rc<dyn Object>, String> + 'static,
    ) {
        self.factories.insert(name.into(), Rc::new(make_root));
    }
}

impl Runtime for NativeRuntime {
    fn start(
        &mut self,
        _vat: VatId,
        spec: &StartSpec,
        _limits: &VatLimits,
        _sources: &dyn SourceReader,
        state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable> {
        let entry = &spec.config.code.entry;
        let Some(factory) = self.factories.get(entry).map(Rc::clone) else {
            let known = self.factories.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let detail = format!("no native vat is registered as {entry:?}; this host offers: {known}");
            return Ok(StartedVat { vat: None, outcome: Outcome::failed(Fatal::InternalError, detail) });
        };
        let mut heap = Box::new(NativeVat { tables: Tables::default() });
        let next_id = match state.get(IDS_KEY)? {
            Some(text) => text.parse().map_err(|_| StateUnreadable(format!("{IDS_KEY} is {text:?}, not a number")))?,
            None => 1,
        };
        heap.tables.next_id = next_id;
        heap.tables.reserved_below = next_id;
        let mut crank = Crank::new(&mut heap.tables, state);
        match factory(&mut crank, spec) {
            Ok(root) => crank.tables.add_export(VRef::ROOT, root),
            Err(detail) => crank.fail(Fatal::InternalError, detail),
        }
        let outcome = crank.finish()?;
        let vat = (outcome.verdict == Verdict::Done).then_some(heap as Box<dyn Vat>);
        Ok(StartedVat { vat, outcome })
    }
}

struct NativeVat {
    tables: Tables,
}

/// What a heap remembers between cranks.
#[derive(Default)]
struct Tables {
    next_id: u64,
    reserved_below: u64,
    exports: HashMap<VRef, Rc<dyn Object>>,
    ids: HashMap<usize, VRef>,
    dropped: BTreeSet<VRef>,
    released: BTreeSet<VRef>,
    reactions: HashMap<VRef, Vec<Reaction>>,
}

/// Which object an `Rc` points to: stable while the table holds the `Rc`.
fn address(object: &Rc<dyn Object>) -> usize {
    Rc::as_ptr(object).cast::<()>() as usize
}

impl Tables {
    fn add_export(&mut self, vref: VRef, object: Rc<dyn Object>) {
        self.ids.insert(address(&object), vref);
        self.exports.insert(vref, object);
    }

    fn forget_export(&mut self, vref: VRef) {
        self.dropped.remove(&vref);
        if let Some(object) = self.exports.remove(&vref) {
            self.ids.remove(&address(&object));
        }
    }

    /// Dropped exports that the vat itself does not hold any more either.
    fn dead_exports(&mut self) -> Vec<VRef> {
        let held = |vref: &VRef| self.exports.get(vref).is_some_and(|object| Rc::strong_count(object) > 1);
        let dead: Vec<VRef> = self.dropped.iter().filter(|vref| !held(vref)).copied().collect();
        for &vref in &dead {
            self.forget_export(vref);
        }
        dead
    }
}

impl Vat for NativeVat {
    fn deliver(&mut self, delivery: &Delivery, state: &dyn StateReader) -> Result<Outcome, StateUnreadable> {
        let mut crank = Crank::new(&mut self.tables, state);
        match delivery {
            Delivery::Message { target, message } => crank.receive(*target, message),
            Delivery::Notify(resolutions) => {
                for resolution in resolutions {
                    crank.react(resolution);
                }
            }
            Delivery::DropExports(vrefs) => crank.tables.dropped.extend(vrefs),
            Delivery::RetireExports(vrefs) => vrefs.iter().for_each(|&vref| crank.tables.forget_export(vref)),
            Delivery::RetireImports(vrefs) => {
                for vref in vrefs {
                    crank.tables.released.remove(vref);
                }
            }
            Delivery::BringOutYourDead => crank.bring_out_your_dead(),
            Delivery::Start(_) => crank.fail(Fatal::InternalError, "a running vat was started again"),
        }
        crank.finish()
    }
}

/// One delivery at work: what a native vat can ask for.
pub struct Crank<'a> {
    tables: &'a mut Tables,
    state: &'a dyn StateReader,
    writes: BTreeMap<String, Option<String>>,
    holds: BTreeMap<VRef, Hold>,
    syscalls: Vec<Syscall>,
    failure: Option<(Fatal, String)>,
    unreadable: Option<StateUnreadable>,
}

impl<'a> Crank<'a> {
    fn new(tables: &'a mut Tables, state: &'a dyn StateReader) -> Self {
        Self {
            tables,
            state,
            writes: BTreeMap::new(),
            holds: BTreeMap::new(),
            syscalls: Vec::new(),
            failure: None,
            unreadable: None,
        }
    }

    /// The reference of one of this vat's objects, given out if it has none yet.
    pub fn export(&mut self, object: Rc<dyn Object>) -> VRef {
        if let Some(&vref) = self.tables.ids.get(&address(&object)) {
            return vref;
        }
        let vref = VRef::Export(self.new_id());
        self.tables.add_export(vref, object);
        vref
    }

    /// A new promise that this vat decides.
    pub fn promise(&mut self) -> VRef {
        VRef::PromiseExport(self.new_id())
    }

    /// Calls a method of an object or promise, without interest in the outcome. `args` is the text of a smallcaps
    /// array.
    pub fn send_only(&mut self, target: VRef, method: &str, args: &str, slots: Vec<VRef>) {
        self.send_with_result(target, methargs(method, args, slots), None);
    }

    /// Calls a method and asks to be told its outcome. Messages can be sent to the promise at once.
    pub fn send(&mut self, target: VRef, method: &str, args: &str, slots: Vec<VRef>) -> VRef {
        let result = self.promise();
        self.send_with_result(target, methargs(method, args, slots), Some(result));
        self.syscalls.push(Syscall::Subscribe(result));
        result
    }

    /// Sends a message as it stands. `result`, a promise that this vat decides, is from now on decided by the message.
    pub fn send_with_result(&mut self, target: VRef, methargs: CapData<VRef>, result: Option<VRef>) {
        self.syscalls.push(Syscall::Send { target, message: Message { methargs, result } });
    }

    /// Asks to be told when a promise that was received is settled. ([`Crank::send`] does so by itself.)
    pub fn subscribe(&mut self, promise: VRef) {
        self.syscalls.push(Syscall::Subscribe(promise));
    }

    /// What to do once a promise is settled, in the crank that tells it.
    pub fn when(&mut self, promise: VRef, reaction: impl FnOnce(&mut Crank<'_>, &Settled<'_>) + 'static) {
        self.tables.reactions.entry(promise).or_default().push(Box::new(reaction));
    }

    /// Settles a promise that this vat decides.
    pub fn settle(&mut self, promise: VRef, rejected: bool, value: CapData<VRef>) {
        let resolution = Resolution { promise, rejected, value };
        self.react(&resolution);
        self.syscalls.push(Syscall::Resolve(vec![resolution]));
    }

    /// This vat does not hold an import any more: the kernel is told with the next garbage collection.
    pub fn release(&mut self, import: VRef) {
        self.tables.released.insert(import);
    }

    /// Ends this vat; with `Reply` and all else of the crank as if it had gone on.
    pub fn exit(&mut self, info: CapData<VRef>) {
        self.syscalls.push(Syscall::Exit { failure: false, info });
    }

    /// Undoes this crank and ends the vat.
    pub fn exit_with_failure(&mut self, info: CapData<VRef>) {
        self.syscalls.push(Syscall::Exit { failure: true, info });
    }

    /// Any syscall as it stands; for what the other methods do not offer.
    pub fn syscall(&mut self, syscall: Syscall) {
        self.syscalls.push(syscall);
    }

    /// A value of the vat's durable state, with this crank's own writes. `None` also when the store cannot be read:
    /// the crank then comes to nothing, whatever it still does.
    pub fn get(&mut self, key: &str) -> Option<String> {
        if let Some(written) = self.writes.get(key) {
            return written.clone();
        }
        self.state.get(key).unwrap_or_else(|error| {
            self.unreadable = Some(error);
            None
        })
    }

    /// Writes a value of the vat's durable state. Keys beginning with `ids` are the runtime's own.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.writes.insert(key.into(), Some(value.into()));
    }

    /// Deletes a value of the vat's durable state.
    pub fn delete(&mut self, key: impl Into<String>) {
        self.writes.insert(key.into(), None);
    }

    /// Says how firmly the durable state holds an import.
    pub fn hold(&mut self, import: VRef, hold: Hold) {
        self.holds.insert(import, hold);
    }

    fn fail(&mut self, code: Fatal, detail: impl Into<String>) {
        self.failure.get_or_insert((code, detail.into()));
    }

    fn new_id(&mut self) -> u64 {
        let id = self.tables.next_id;
        self.tables.next_id += 1;
        if id >= self.tables.reserved_below {
            self.tables.reserved_below = id + IDS_PER_BLOCK;
            self.set(IDS_KEY, self.tables.reserved_below.to_string());
        }
        id
    }

    fn receive(&mut self, target: VRef, message: &Message<VRef>) {
        let Some(object) = self.tables.exports.get(&target).map(Rc::clone) else {
            return self
                .fail(Fatal::InternalError, format!("a message came for {target}, which this heap does not have"));
        };
        let result = message.result;
        let reply = match split_methargs(&message.methargs.body) {
            Some((method, args)) => object.call(self, &Call { method, args, slots: &message.methargs.slots, result }),
            None => Reply::Error(error_value("the message is not of the form [method, [arguments]]")),
        };
        let (rejected, value) = match reply {
            Reply::Value(value) => (false, value),
            Reply::Error(reason) => (true, reason),
            Reply::Later => return,
        };
        if let Some(result) = result {
            self.settle(result, rejected, value);
        }
    }

    fn react(&mut self, resolution: &Resolution<VRef>) {
        if self.tables.reactions.is_empty() {
            return;
        }
        let settled = Settled { rejected: resolution.rejected, value: &resolution.value };
        for reaction in self.tables.reactions.remove(&resolution.promise).unwrap_or_default() {
            reaction(self, &settled);
        }
    }

    fn bring_out_your_dead(&mut self) {
        let released: Vec<VRef> = std::mem::take(&mut self.tables.released).into_iter().collect();
        if !released.is_empty() {
            self.syscalls.push(Syscall::DropImports(released.clone()));
            self.syscalls.push(Syscall::RetireImports(released));
        }
        let dead = self.tables.dead_exports();
        if !dead.is_empty() {
            self.syscalls.push(Syscall::RetireExports(dead));
        }
    }

    fn finish(self) -> Result<Outcome, StateUnreadable> {
        if let Some(error) = self.unreadable {
            return Err(error);
        }
        let verdict = self.failure.map_or(Verdict::Done, |(code, detail)| Verdict::Failed(code, detail));
        let state = StateDelta { writes: self.writes.into_iter().collect(), holds: self.holds.into_iter().collect() };
        Ok(Outcome { syscalls: self.syscalls, state, verdict, metering: Metering::default() })
    }
}

fn methargs(method: &str, args: &str, slots: Vec<VRef>) -> CapData<VRef> {
    let mut body = String::with_capacity(method.len() + args.len() + 6);
    body.push_str("#[");
    body.push_str(&json_string(method));
    body.push(',');
    body.push_str(args);
    body.push(']');
    CapData { body, slots }
}

/// `#["name",[…]]` into name and `[…]`. Only the outline is checked: arguments are the method's own concern.
fn split_methargs(body: &str) -> Option<(&str, &str)> {
    let inside = body.strip_prefix("#[\"")?.strip_suffix(']')?;
    let mut escaped = false;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let args = inside[end + 1..].trim_start().strip_prefix(',')?.trim();
    (args.starts_with('[') && args.ends_with(']')).then_some((&inside[..end], args))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn method_and_arguments_are_split() {
        assert_eq!(split_methargs(r#"#["go",[1,["a"]]]"#), Some(("go", r#"[1,["a"]]"#)));
        assert_eq!(split_methargs(r##"#["#undefined",[]]"##), Some(("#undefined", "[]")));
        assert_eq!(split_methargs(r#"#["a\"b",[]]"#), Some((r#"a\"b"#, "[]")));
        for malformed in ["", "#", "#[]", r#"#["a"]"#, r#"#["a",1]"#, r"#[1,[]]", r#"#["a\",[]]"#] {
            assert_eq!(split_methargs(malformed), None, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn splitting_never_panics_and_undoes_joining(text in ".*", name in "[^\"\\\\\\x00-\\x1f]*") {
            let _ = split_methargs(&text);
            let joined = methargs(&name, "[]", Vec::new());
            prop_assert_eq!(split_methargs(&joined.body), Some((name.as_str(), "[]")));
        }
    }
}
