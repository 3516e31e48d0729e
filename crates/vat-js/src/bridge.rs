//! The functions that the vat-side layer calls, and the buffer that they fill.
//!
//! What always holds: nothing here acts; a delivery's syscalls and state changes lie in the buffer until the delivery
//! ends, and are dropped if it fails. A reference that does not parse is an illegal syscall, never a panic. Text that is
//! not Unicode throws a `TypeError` at its caller.

use crate::meter::Meter;
use crate::raw::{self, Scoped};
use rquickjs::prelude::{List, Opt};
use rquickjs::{Ctx, Exception, Function, Module, Object, Persistent, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use sturdy_types::{CapData, Hold, Message, Resolution, StateDelta, Syscall, VRef, VatId};
use sturdy_vat::{LogLevel, StateUnreadable, VatLog};

/// Longer log lines are cut.
const LOG_BYTES: usize = 64 << 10;

/// What the functions of one heap share.
pub(crate) struct Shared {
    pub(crate) vat: VatId,
    pub(crate) meter: Rc<Meter>,
    pub(crate) state: Scoped,
    pub(crate) log: Rc<dyn VatLog>,
    pub(crate) rejections: RefCell<Vec<Rejection>>,
    crank: RefCell<Crank>,
    random: Cell<u64>,
}

/// A promise that was rejected while nobody listened, and its reason.
pub(crate) struct Rejection {
    pub(crate) promise: Persistent<Value<'static>>,
    pub(crate) reason: Persistent<Value<'static>>,
}

#[derive(Default)]
struct Crank {
    syscalls: Vec<Syscall>,
    writes: BTreeMap<String, Option<String>>,
    holds: BTreeMap<VRef, Hold>,
    unreadable: Option<StateUnreadable>,
}

/// A syscall that is about a list of references.
type OfList = fn(Vec<VRef>) -> Syscall;

/// `[vpid, rejected, body, slots]`.
type Resolved = List<(String, bool, String, Vec<String>)>;

impl Shared {
    pub(crate) fn new(vat: VatId, meter: Rc<Meter>, log: Rc<dyn VatLog>) -> Self {
        Self {
            vat,
            meter,
            state: Scoped::new(),
            log,
            rejections: RefCell::default(),
            crank: RefCell::default(),
            random: Cell::new(0),
        }
    }

    /// What the delivery put out so far. The buffer is empty afterwards.
    pub(crate) fn take(&self) -> Result<(Vec<Syscall>, StateDelta), StateUnreadable> {
        let crank = self.crank.take();
        match crank.unreadable {
            Some(error) => Err(error),
            None => Ok((
                crank.syscalls,
                StateDelta { writes: crank.writes.into_iter().collect(), holds: crank.holds.into_iter().collect() },
            )),
        }
    }

    fn push(&self, bytes: usize, syscall: Result<Syscall, Syscall>) {
        self.meter.count_syscall(bytes);
        if !self.meter.stopped() {
            self.crank.borrow_mut().syscalls.push(syscall.unwrap_or_else(|illegal| illegal));
        }
    }

    fn send(&self, target: &str, body: String, slots: &[String], result: Option<&str>) {
        let bytes = body.len() + 16 * slots.len();
        self.push(
            bytes,
            (|| {
                let message = Message { methargs: capdata(body, slots)?, result: result.map(vref).transpose()? };
                Ok(Syscall::Send { target: vref(target)?, message })
            })(),
        );
    }

    fn resolve(&self, resolved: Vec<Resolved>) {
        let bytes = resolved.iter().map(|List((_, _, body, slots))| body.len() + 16 * slots.len()).sum();
        let resolution = |List((promise, rejected, body, slots)): Resolved| {
            Ok(Resolution { promise: vref(&promise)?, rejected, value: capdata(body, &slots)? })
        };
        self.push(bytes, resolved.into_iter().map(resolution).collect::<Result<_, _>>().map(Syscall::Resolve));
    }

    fn refs(&self, refs: &[String], syscall: fn(Vec<VRef>) -> Syscall) {
        let bytes = 16 * refs.len();
        self.push(bytes, refs.iter().map(|text| vref(text)).collect::<Result<_, _>>().map(syscall));
    }

    fn hold(&self, reference: &str, level: i32) {
        let hold = match level {
            0 => Hold::None,
            1 => Hold::Weak,
            _ => Hold::Strong,
        };
        match vref(reference) {
            Ok(vref) => {
                self.crank.borrow_mut().holds.insert(vref, hold);
                self.meter.count_output(16);
            }
            Err(illegal) => self.push(0, Err(illegal)),
        }
    }

    fn get(&self, key: &str) -> Option<String> {
        if let Some(written) = self.crank.borrow().writes.get(key) {
            return written.clone();
        }
        self.readable(self.state.with(|state| state.get(key))).flatten()
    }

    fn write(&self, key: String, value: Option<String>) {
        self.meter.count_output(key.len() + value.as_ref().map_or(0, String::len));
        if !self.meter.stopped() {
            self.crank.borrow_mut().writes.insert(key, value);
        }
    }

    /// The smallest key after `after` that starts with `prefix`, with this delivery's writes laid over the state.
    fn next(&self, after: &str, prefix: &str) -> Option<String> {
        let mut from = after.to_owned();
        let written = self.next_written(after, prefix);
        loop {
            let stored = self.readable(self.state.with(|state| state.next(&from, prefix))).flatten();
            let Some((stored, _)) = stored else { return written };
            if written.as_ref().is_some_and(|written| *written <= stored) {
                return written;
            }
            // Only a deletion can hide a stored key that is smaller than every key written.
            if !self.crank.borrow().writes.contains_key(&stored) {
                return Some(stored);
            }
            from = stored;
        }
    }

    fn next_written(&self, after: &str, prefix: &str) -> Option<String> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let crank = self.crank.borrow();
        let mut range = crank.writes.range::<str, _>((from, Bound::Unbounded));
        let found = range.find(|(key, value)| value.is_some() || !key.starts_with(prefix));
        found.map(|(key, _)| key).filter(|key| key.starts_with(prefix)).cloned()
    }

    fn readable<T>(&self, read: Option<Result<T, StateUnreadable>>) -> Option<T> {
        match read {
            Some(Ok(value)) => Some(value),
            Some(Err(error)) => {
                self.meter.halt();
                self.crank.borrow_mut().unreadable.get_or_insert(error);
                None
            }
            None => None,
        }
    }

    /// Prints a line of the vat's log.
    pub(crate) fn print(&self, level: LogLevel, text: &str) {
        let mut end = text.len().min(LOG_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.log.log(self.vat, level, &text[..end]);
    }

    /// Chance for vats that asked for `Math`: a generator seeded from the clock and the heap's address. It is no source
    /// of secrets; `crypto` would be.
    fn random(&self) -> f64 {
        let mut seed = self.random.get();
        if seed == 0 {
            let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
            seed = u64::try_from(nanos & u128::from(u64::MAX)).unwrap_or(1) ^ (std::ptr::from_ref(self) as u64) | 1;
        }
        // splitmix64
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(seed);
        let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        #[allow(clippy::cast_precision_loss)] // 53 bits fit
        let fraction = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        fraction
    }
}

fn vref(text: &str) -> Result<VRef, Syscall> {
    text.parse().map_err(|error: sturdy_types::ParseRefError| Syscall::Illegal(error.to_string()))
}

fn capdata(body: String, slots: &[String]) -> Result<CapData<VRef>, Syscall> {
    Ok(CapData { body, slots: slots.iter().map(|slot| vref(slot)).collect::<Result<_, _>>()? })
}

fn level(name: &str) -> LogLevel {
    match name {
        "debug" => LogLevel::Debug,
        "warn" => LogLevel::Warn,
        "error" => LogLevel::Error,
        _ => LogLevel::Info,
    }
}

fn now_ms() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    #[allow(clippy::cast_precision_loss)] // exact for 285 000 years
    let ms = since.as_millis() as f64;
    ms
}

/// The namespace of a module of the layer that most heaps do without. It has no top-level `await`, so it is evaluated at once.
#[allow(clippy::needless_pass_by_value)] // a function of the bridge receives what it is called with
fn load_layer(ctx: Ctx<'_>, file: String) -> rquickjs::Result<Object<'_>> {
    // An import, so that a file that another one imports too is one module.
    let module = Module::declare(ctx.clone(), "sturdy:load", format!("export * from './{file}';"))?;
    let (module, _done) = module.eval()?;
    module.namespace()
}

/// Makes the bridge object of a heap.
pub(crate) fn install<'js>(ctx: &Ctx<'js>, shared: &Rc<Shared>) -> rquickjs::Result<Object<'js>> {
    let bridge = Object::new(ctx.clone())?;
    bridge.set("vatId", shared.vat.to_string())?;
    install_syscalls(ctx, &bridge, shared)?;
    install_state(ctx, &bridge, shared)?;
    let s = Rc::clone(shared);
    let log = move |name: String, text: rquickjs::String<'_>| {
        let text = text.to_string().unwrap_or_else(|_| "(text that is not Unicode)".to_owned());
        s.print(level(&name), &text);
    };
    bridge.set("log", Function::new(ctx.clone(), log)?)?;
    bridge.set("gc", Function::new(ctx.clone(), |ctx: Ctx<'_>| ctx.run_gc())?)?;
    bridge.set("freezeIntrinsics", Function::new(ctx.clone(), raw::freeze_intrinsics)?)?;
    bridge.set("load", Function::new(ctx.clone(), load_layer)?)?;
    bridge.set("now", Function::new(ctx.clone(), now_ms)?)?;
    let s = Rc::clone(shared);
    bridge.set("random", Function::new(ctx.clone(), move || s.random())?)?;
    let s = Rc::clone(shared);
    // For guards of native loops: a poll as the engine itself makes it.
    let poll = move |ctx: Ctx<'_>| {
        if s.meter.poll() { Err(Exception::throw_internal(&ctx, "interrupted")) } else { Ok(()) }
    };
    bridge.set("poll", Function::new(ctx.clone(), poll)?)?;
    let started = Instant::now();
    let clock = move || started.elapsed().as_secs_f64() * 1e3;
    bridge.set("elapsed", Function::new(ctx.clone(), clock)?)?;
    Ok(bridge)
}

fn install_syscalls<'js>(ctx: &Ctx<'js>, bridge: &Object<'js>, shared: &Rc<Shared>) -> rquickjs::Result<()> {
    let s = Rc::clone(shared);
    let send = move |target: String, body: String, slots: Vec<String>, result: Opt<Option<String>>| {
        s.send(&target, body, &slots, result.0.flatten().as_deref());
    };
    bridge.set("send", Function::new(ctx.clone(), send)?)?;
    let s = Rc::clone(shared);
    let subscribe = move |vpid: String| s.push(16, vref(&vpid).map(Syscall::Subscribe));
    bridge.set("subscribe", Function::new(ctx.clone(), subscribe)?)?;
    let s = Rc::clone(shared);
    bridge.set("resolve", Function::new(ctx.clone(), move |resolved: Vec<Resolved>| s.resolve(resolved))?)?;
    let s = Rc::clone(shared);
    let exit = move |failure: bool, body: String, slots: Vec<String>| {
        let bytes = body.len();
        s.push(bytes, capdata(body, &slots).map(|info| Syscall::Exit { failure, info }));
    };
    bridge.set("exit", Function::new(ctx.clone(), exit)?)?;
    let lists: [(&str, OfList); 4] = [
        ("dropImports", Syscall::DropImports),
        ("retireImports", Syscall::RetireImports),
        ("retireExports", Syscall::RetireExports),
        ("abandonExports", Syscall::AbandonExports),
    ];
    for (name, syscall) in lists {
        let s = Rc::clone(shared);
        bridge.set(name, Function::new(ctx.clone(), move |refs: Vec<String>| s.refs(&refs, syscall))?)?;
    }
    Ok(())
}

fn install_state<'js>(ctx: &Ctx<'js>, bridge: &Object<'js>, shared: &Rc<Shared>) -> rquickjs::Result<()> {
    let s = Rc::clone(shared);
    let get = move |key: String| s.get(&key);
    bridge.set("stateGet", Function::new(ctx.clone(), get)?)?;
    let s = Rc::clone(shared);
    let set = move |key: String, value: String| s.write(key, Some(value));
    bridge.set("stateSet", Function::new(ctx.clone(), set)?)?;
    let s = Rc::clone(shared);
    bridge.set("stateDelete", Function::new(ctx.clone(), move |key: String| s.write(key, None))?)?;
    let s = Rc::clone(shared);
    let next = move |after: String, prefix: String| s.next(&after, &prefix);
    bridge.set("stateNext", Function::new(ctx.clone(), next)?)?;
    let s = Rc::clone(shared);
    bridge.set("hold", Function::new(ctx.clone(), move |vref: String, level: i32| s.hold(&vref, level))?)?;
    Ok(())
}
