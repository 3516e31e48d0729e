//! One heap: an engine with one realm, the layer in it, and a vat's code.
//!
//! What always holds: a heap is entered only to start it and once per delivery; each entry ends with an empty job queue,
//! or the heap is spent. The layer's own failures (`layer.message` and its like throw, or their promise is rejected)
//! are fatal; what user code throws never comes here except while starting.

use crate::bodies::Body;
use crate::bridge::{Rejection, Shared, install};
use crate::layer::ENTRY_BASE;
use crate::meter::{Meter, OutputLimits};
use crate::modules::{Importable, Modules, declare, is_json};
use crate::raw::{self, Blocks, CountingAllocator, Job};
use rquickjs::context::intrinsic;
use rquickjs::prelude::List;
use rquickjs::promise::PromiseState;
use rquickjs::{
    CatchResultExt, CaughtError, Context, Ctx, Function, Module, Object, Persistent, Promise, Runtime, Value,
};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use sturdy_types::{
    Delivery, Fatal, Metering, Outcome, Resolution, RuntimeKind, StartSpec, VRef, VatId, VatLimits, Verdict,
};
use sturdy_vat::{LogLevel, StateReader, StateUnreadable, Vat, VatLog};

/// The engine's intrinsics that the layer or vats use. No `performance`, no `DOMException`.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
    intrinsic::WeakRef,
);

/// The engine looks for cycles when the heap has grown beyond this for the first time; a start never does.
const FIRST_GC_BYTES: usize = 4 << 20;

type Held = Persistent<Function<'static>>;

/// The layer's entry points.
struct Layer {
    start: Held,
    message: Held,
    notify: Held,
    drop_exports: Held,
    retire_exports: Held,
    retire_imports: Held,
    bring_out_your_dead: Held,
    finish: Held,
}

/// Why an entry failed: the code, and the sentence for the operator.
type Failure = (Fatal, String);

pub(crate) struct Heap {
    // Option only so that `Drop` can take them apart.
    engine: Option<Engine>,
    shared: Rc<Shared>,
    blocks: Rc<Blocks>,
    limits: VatLimits,
    collected_at: usize,
}

struct Engine {
    layer: Option<Layer>,
    modules: Modules,
    context: Context,
    runtime: Runtime,
}

impl Drop for Heap {
    fn drop(&mut self) {
        let Some(engine) = self.engine.take() else { return };
        let rejections = self.shared.rejections.take();
        self.shared.meter.countdown.forget();
        if self.shared.meter.stopped() {
            let importable = engine.modules.0.take();
            raw::abandon((engine.layer, rejections, importable), engine.context, engine.runtime, &self.blocks);
        } else {
            engine.modules.0.take();
        }
    }
}

impl Heap {
    /// An engine with nothing in it. An error here is a lack of memory.
    pub(crate) fn new(
        vat: VatId,
        limits: &VatLimits,
        output: OutputLimits,
        log: Rc<dyn VatLog>,
    ) -> rquickjs::Result<Self> {
        let meter = Rc::new(Meter::new(output));
        let blocks = Blocks::new();
        let runtime = Runtime::new_with_alloc(CountingAllocator::new(Rc::clone(&meter), Rc::clone(&blocks)))?;
        runtime.set_max_stack_size(limits.stack_bytes);
        runtime.set_gc_threshold(FIRST_GC_BYTES.min(limits.heap_bytes / 4));
        let modules = Modules::default();
        runtime.set_loader(modules.clone(), modules.clone());
        let context = Context::builder().with::<Intrinsics>().build(&runtime)?;
        context.with(|ctx| meter.countdown.find(&ctx));
        let poll = Rc::clone(&meter);
        runtime.set_interrupt_handler(Some(Box::new(move || poll.interrupt())));
        let shared = Rc::new(Shared::new(vat, meter, log));
        let tracker = Rc::clone(&shared);
        runtime.set_host_promise_rejection_tracker(Some(Box::new(move |ctx, promise, reason, handled| {
            track(&tracker, &ctx, promise, reason, handled);
        })));
        let engine = Engine { layer: None, modules, context, runtime };
        Ok(Self { engine: Some(engine), shared, blocks, limits: limits.clone(), collected_at: 0 })
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("only Drop takes the engine")
    }

    /// Runs the start delivery.
    pub(crate) fn start(
        &mut self,
        spec: &StartSpec,
        sources: BTreeMap<String, String>,
        state: &dyn StateReader,
    ) -> Result<Outcome, StateUnreadable> {
        let shared = Rc::clone(&self.shared);
        shared.meter.begin(Duration::from_millis(self.limits.start_ms));
        shared.meter.limit_heap(self.limits.heap_bytes);
        self.engine().modules.0.borrow_mut().sources = sources;
        let entered = shared.state.lend(state, || {
            self.engine().context.with(|ctx| {
                raw::stack_starts_here(&ctx);
                let layer = start(&ctx, &shared, &self.engine().modules, spec);
                if layer.is_err() {
                    shared.rejections.take(); // the failure itself among them, and it is told by the outcome
                }
                print_rejections(&ctx, &shared);
                layer
            })
        });
        *self.engine().modules.0.borrow_mut() = Importable { closed: true, ..Importable::default() };
        let entered = entered.map(|layer| self.engine.as_mut().expect("only Drop takes it").layer = Some(layer));
        self.outcome(entered, "startVat")
    }

    fn outcome(&self, entered: Result<(), Failure>, delivery: &str) -> Result<Outcome, StateUnreadable> {
        let meter = &self.shared.meter;
        let (syscalls, state) = self.shared.take()?;
        let metering = Metering { compute_units: meter.polls(), heap_bytes: meter.heap_used() as u64 };
        let failure = match (meter.spent(), entered) {
            (Some(code), Ok(())) => Some((code, meter.explanation(delivery))),
            (Some(code), Err((_, text))) => Some((code, format!("{}\n{text}", meter.explanation(delivery)))),
            (None, Err(failure)) => Some(failure),
            (None, Ok(())) => None,
        };
        Ok(match failure {
            Some((code, text)) => Outcome { metering, ..Outcome::failed(code, text.trim_end()) },
            None => Outcome { syscalls, state, verdict: Verdict::Done, metering },
        })
    }

    /// A heap that fills up with cycles below the engine's own threshold must not die of its garbage.
    fn collect_if_crowded(&mut self) {
        let used = self.shared.meter.heap_used();
        if used > self.limits.heap_bytes / 2 && used > self.collected_at + self.limits.heap_bytes / 16 {
            self.engine().runtime.run_gc();
            self.collected_at = self.shared.meter.heap_used();
        }
    }
}

impl Vat for Heap {
    fn deliver(&mut self, delivery: &Delivery, state: &dyn StateReader) -> Result<Outcome, StateUnreadable> {
        let shared = Rc::clone(&self.shared);
        shared.meter.begin(Duration::from_millis(self.limits.compute_ms));
        self.collect_if_crowded();
        let engine = self.engine();
        let Some(layer) = engine.layer.as_ref() else {
            return Ok(Outcome::failed(Fatal::InternalError, "the vat was not started"));
        };
        let entered = shared.state.lend(state, || {
            engine.context.with(|ctx| {
                raw::stack_starts_here(&ctx);
                let entered = deliver(&ctx, &shared, layer, delivery);
                print_rejections(&ctx, &shared);
                entered
            })
        });
        self.outcome(entered, delivery.kind())
    }
}

fn deliver(ctx: &Ctx<'_>, shared: &Shared, layer: &Layer, delivery: &Delivery) -> Result<(), Failure> {
    let returned = call_layer(ctx, layer, delivery).catch(ctx).map_err(|error| internal(&error))?;
    drain(ctx, shared)?;
    settled(ctx, returned, delivery.kind())?;
    finish(ctx, shared, layer)
}

fn finish(ctx: &Ctx<'_>, shared: &Shared, layer: &Layer) -> Result<(), Failure> {
    let finish = layer.finish.clone().restore(ctx).catch(ctx).map_err(|error| internal(&error))?;
    finish.call::<_, ()>(()).catch(ctx).map_err(|error| internal(&error))?;
    drain(ctx, shared)
}

fn call_layer<'js>(ctx: &Ctx<'js>, layer: &Layer, delivery: &Delivery) -> rquickjs::Result<Value<'js>> {
    let get = |held: &Held| held.clone().restore(ctx);
    match delivery {
        Delivery::Message { target, message } => {
            let data = &message.methargs;
            let result = message.result.map(|vref| vref.to_string());
            get(&layer.message)?.call((target.to_string(), Body(&data.body), texts(&data.slots), result))
        }
        Delivery::Notify(resolutions) => {
            let settled: Vec<_> = resolutions.iter().map(settlement).collect();
            get(&layer.notify)?.call((settled,))
        }
        Delivery::DropExports(vrefs) => get(&layer.drop_exports)?.call((texts(vrefs),)),
        Delivery::RetireExports(vrefs) => get(&layer.retire_exports)?.call((texts(vrefs),)),
        Delivery::RetireImports(vrefs) => get(&layer.retire_imports)?.call((texts(vrefs),)),
        Delivery::BringOutYourDead => get(&layer.bring_out_your_dead)?.call(()),
        Delivery::Start(_) => Err(rquickjs::Exception::throw_internal(ctx, "a running vat was started again")),
    }
}

fn settlement(resolution: &Resolution<VRef>) -> List<(String, bool, Body<'_>, Vec<String>)> {
    let Resolution { promise, rejected, value } = resolution;
    List((promise.to_string(), *rejected, Body(&value.body), texts(&value.slots)))
}

fn texts(vrefs: &[VRef]) -> Vec<String> {
    vrefs.iter().map(ToString::to_string).collect()
}

/// Runs jobs until none is left.
fn drain(ctx: &Ctx<'_>, shared: &Shared) -> Result<(), Failure> {
    loop {
        if shared.meter.stopped() {
            return Err((Fatal::InternalError, String::new())); // the meter knows the true reason
        }
        match raw::run_job(ctx) {
            Job::None => return Ok(()),
            Job::Done => {}
            Job::Threw(reason) => shared.print(LogLevel::Error, &describe(&reason)),
        }
    }
}

/// What the layer returned must be settled once no job is left.
fn settled(ctx: &Ctx<'_>, returned: Value<'_>, delivery: &str) -> Result<(), Failure> {
    let Some(promise) = returned.into_promise() else { return Ok(()) };
    match promise.result::<Value<'_>>() {
        Some(result) => result.catch(ctx).map(drop).map_err(|error| internal(&error)),
        None => Err((Fatal::InternalError, format!("{delivery} waits for something that can only come later"))),
    }
}

fn internal(error: &CaughtError<'_>) -> Failure {
    (Fatal::InternalError, explain(error))
}

/// A thrown thing for the operator: its message, then its stack with file, line and column.
fn explain(error: &CaughtError<'_>) -> String {
    match error {
        CaughtError::Exception(exception) => describe(exception.as_value()),
        CaughtError::Value(value) => describe(value),
        CaughtError::Error(error) => error.to_string(),
    }
}

fn describe(value: &Value<'_>) -> String {
    let Some(object) = value.as_object().filter(|_| value.is_error()) else {
        let text = value.as_string().and_then(|text| text.to_string().ok());
        return text.map_or_else(
            || format!("thrown: a value of type {}", value.type_name()),
            |text| format!("thrown: {text}"),
        );
    };
    let get = |key: &str| object.get::<_, Option<String>>(key).ok().flatten().unwrap_or_default();
    let (name, message, stack) = (get("name"), get("message"), get("stack"));
    let name = if name.is_empty() { "Error" } else { &name };
    format!("{name}: {message}\n{}", stack.trim_end()).trim_end().to_owned()
}

fn track<'js>(shared: &Shared, ctx: &Ctx<'js>, promise: Value<'js>, reason: Value<'js>, handled: bool) {
    let mut rejections = shared.rejections.borrow_mut();
    if handled {
        let same = |known: &Rejection| known.promise.clone().restore(ctx).is_ok_and(|known| known == promise);
        rejections.retain(|known| !same(known));
    } else {
        let (promise, reason) = (Persistent::save(ctx, promise), Persistent::save(ctx, reason));
        rejections.push(Rejection { promise, reason });
    }
}

fn print_rejections(ctx: &Ctx<'_>, shared: &Shared) {
    for rejection in shared.rejections.take() {
        if let Ok(reason) = rejection.reason.restore(ctx) {
            shared.print(LogLevel::Error, &format!("a rejection that nobody handled: {}", describe(&reason)));
        }
    }
}

fn start(ctx: &Ctx<'_>, shared: &Rc<Shared>, modules: &Modules, spec: &StartSpec) -> Result<Layer, Failure> {
    let user = |error: CaughtError<'_>| (Fatal::InternalError, explain(&error));
    let host = boot(ctx, shared, spec).catch(ctx).map_err(user)?;
    {
        let mut importable = modules.0.borrow_mut();
        let mut fill = || -> rquickjs::Result<()> {
            importable.builtins = host.get("builtinNames")?;
            importable.builtin = Some(Persistent::save(ctx, host.get::<_, Function<'_>>("builtin")?));
            Ok(())
        };
        fill().catch(ctx).map_err(user)?;
    }
    let layer = entry_points(ctx, &host).catch(ctx).map_err(user)?;
    let namespace = load_vat(ctx, shared, spec, modules)?;
    let call = || -> rquickjs::Result<Value<'_>> {
        let slots = texts(&spec.parameters.slots);
        let start = layer.start.clone().restore(ctx)?;
        start.call((namespace, spec.parameters.body.as_str(), slots, Object::new(ctx.clone())?, spec.restarted))
    };
    let returned = call().catch(ctx).map_err(user)?;
    drain(ctx, shared)?;
    settled(ctx, returned, "buildRootObject")?;
    finish(ctx, shared, &layer)?;
    Ok(layer)
}

/// Evaluates the layer in the fresh realm and locks the realm down.
fn boot<'js>(ctx: &Ctx<'js>, shared: &Rc<Shared>, spec: &StartSpec) -> rquickjs::Result<Object<'js>> {
    let module = Module::declare(ctx.clone(), ENTRY_BASE, "export { boot } from 'sturdy:boot.js';")?;
    let (module, _) = module.eval()?;
    let boot: Function<'js> = module.get("boot")?;
    boot.call((install(ctx, shared)?, spec.config.globals.clone(), spec.restarted))
}

fn entry_points<'js>(ctx: &Ctx<'js>, host: &Object<'js>) -> rquickjs::Result<Layer> {
    let get = |name: &str| host.get::<_, Function<'js>>(name).map(|function| Persistent::save(ctx, function));
    Ok(Layer {
        start: get("start")?,
        message: get("message")?,
        notify: get("notify")?,
        drop_exports: get("dropExports")?,
        retire_exports: get("retireExports")?,
        retire_imports: get("retireImports")?,
        bring_out_your_dead: get("bringOutYourDead")?,
        finish: get("finish")?,
    })
}

/// Evaluates the vat's entry module and everything that it imports, and returns its namespace.
fn load_vat<'js>(ctx: &Ctx<'js>, shared: &Shared, spec: &StartSpec, modules: &Modules) -> Result<Object<'js>, Failure> {
    let code = &spec.config.code;
    let source = modules.0.borrow().sources.get(&code.entry).cloned();
    let Some(source) = source else {
        return Err((Fatal::InternalError, format!("the entry {:?} is not one of the vat's modules", code.entry)));
    };
    let user = |error: CaughtError<'_>| (Fatal::InternalError, explain(&error));
    let text = match code.runtime {
        RuntimeKind::JavaScriptBundle => {
            unpack_bundle(&code.entry, &source).map_err(|why| (Fatal::InternalError, why))?
        }
        RuntimeKind::JavaScript | RuntimeKind::Native => source,
    };
    let name = if is_json(&code.entry) { format!("{}.js", code.entry) } else { code.entry.clone() };
    let (module, evaluated) = declare(ctx, &name, &text).and_then(Module::eval).catch(ctx).map_err(user)?;
    drain(ctx, shared)?;
    match evaluated.state() {
        PromiseState::Pending => {
            let why = format!("{}: a top-level await waits for something that never comes", code.entry);
            return Err((Fatal::InternalError, why));
        }
        PromiseState::Resolved => {}
        PromiseState::Rejected => {
            // Its reason is told right here.
            shared.rejections.take();
            let result: rquickjs::Result<()> = Promise::result(&evaluated).unwrap_or(Ok(()));
            result.catch(ctx).map_err(user)?;
        }
    }
    let namespace = module.namespace().catch(ctx).map_err(user)?;
    match code.runtime {
        RuntimeKind::JavaScriptBundle => namespace.get("default").catch(ctx).map_err(|_| {
            (
                Fatal::InternalError,
                format!("{}: the bundle's code does not set __vatExports__ to an object", code.entry),
            )
        }),
        RuntimeKind::JavaScript | RuntimeKind::Native => Ok(namespace),
    }
}

/// A bundle's code as a module. It declares `var __vatExports__`.
fn unpack_bundle(path: &str, text: &str) -> Result<String, String> {
    let bundle: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("{path} is not JSON: {error}"))?;
    match bundle.get("moduleFormat").and_then(serde_json::Value::as_str) {
        Some("iife") => {}
        Some(other) => return Err(format!("{path}: moduleFormat {other:?} is not supported, only \"iife\"")),
        None => return Err(format!("{path} is not a bundle: it has no moduleFormat")),
    }
    let code = bundle.get("code").and_then(serde_json::Value::as_str);
    let code = code.ok_or_else(|| format!("{path}: the bundle has no code"))?;
    Ok(format!(
        "export default (() => {{ {code}\n;return typeof __vatExports__ === 'object' ? __vatExports__ : 0; }})();"
    ))
}
