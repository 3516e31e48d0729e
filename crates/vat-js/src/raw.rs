//! The only file of this crate with unsafe code: what the engine's safe binding does not offer.
//!
//! * [`CountingAllocator`]: counts bytes, refuses beyond the limit and remembers that it refused, since the engine's
//!   own limit can be caught and forgotten by vat code. It also lists its blocks, so that the memory of a heap that met
//!   a limit can be freed without running the engine's teardown, which aborts the process if an error path leaked.
//! * [`Bytecode`]: loading of modules compiled before. Only this file makes one, from the compiler's output, so that it
//!   is always valid.
//! * [`run_job`]: one job of the queue, keeping what it threw; [`stack_starts_here`].
//! * [`freeze_intrinsics`]: the walk of lockdown, which would be most of a heap's start in JavaScript.
//! * [`Countdown`]: makes the engine ask the interrupt more often than it is built to.
//! * [`Scoped`]: a borrowed reader lent to functions that live longer than the loan; it is taken back at the end of
//!   the scope, also in a panic.
#![allow(unsafe_code)]
#![allow(clippy::cast_ptr_alignment)] // a header's memory comes from a layout with a header's alignment

use crate::meter::Meter;
use rquickjs::allocator::Allocator;
use rquickjs::atom::PredefinedAtom;
use rquickjs::module::{Declared, WriteOptions};
use rquickjs::{Ctx, Error, Module, Object, Value, qjs};
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::OnceLock;
use sturdy_vat::StateReader;

/// Before each block. Its size is a multiple of the alignment.
#[repr(C, align(16))]
struct Header {
    size: usize,
    before: *mut Header,
    after: *mut Header,
}

const HEADER: usize = size_of::<Header>();
const ALIGN: usize = align_of::<Header>();

/// All blocks of one heap, newest first.
pub(crate) struct Blocks {
    newest: Cell<*mut Header>,
}

impl Blocks {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { newest: Cell::new(ptr::null_mut()) })
    }

    /// Frees every block.
    ///
    /// # Safety
    /// Nothing may use the engine that allocated here any more: not its runtime, context or values, nor drop them.
    unsafe fn free_all(&self) {
        let mut block = self.newest.replace(ptr::null_mut());
        while !block.is_null() {
            // SAFETY: the list holds exactly the live blocks, each allocated with this layout.
            unsafe {
                let after = (*block).after;
                dealloc(block.cast(), layout((*block).size).unwrap_unchecked());
                block = after;
            }
        }
    }

    /// # Safety
    /// `block` is a live block that is not in the list.
    unsafe fn link(&self, block: *mut Header) {
        let after = self.newest.replace(block);
        // SAFETY: `block` by contract, `after` because the list holds live blocks.
        unsafe {
            (*block).before = ptr::null_mut();
            (*block).after = after;
            if !after.is_null() {
                (*after).before = block;
            }
        }
    }

    /// # Safety
    /// `block` is in the list.
    unsafe fn unlink(&self, block: *mut Header) {
        // SAFETY: the list holds live blocks.
        unsafe {
            let (before, after) = ((*block).before, (*block).after);
            if before.is_null() {
                self.newest.set(after);
            } else {
                (*before).after = after;
            }
            if !after.is_null() {
                (*after).before = before;
            }
        }
    }
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(HEADER.checked_add(size)?, ALIGN).ok()
}

/// See the file's header.
pub(crate) struct CountingAllocator {
    meter: Rc<Meter>,
    blocks: Rc<Blocks>,
}

impl CountingAllocator {
    pub(crate) fn new(meter: Rc<Meter>, blocks: Rc<Blocks>) -> Self {
        Self { meter, blocks }
    }

    fn take(&self, size: usize, allocate: unsafe fn(Layout) -> *mut u8) -> *mut u8 {
        let Some(layout) = layout(size) else { return ptr::null_mut() };
        if !self.meter.grant(layout.size()) {
            return ptr::null_mut();
        }
        // SAFETY: the layout is not empty; a new block is written before it is linked.
        unsafe {
            let block = allocate(layout).cast::<Header>();
            if block.is_null() {
                self.meter.give_back(layout.size());
                return ptr::null_mut();
            }
            (*block).size = size;
            self.blocks.link(block);
            block.cast::<u8>().add(HEADER)
        }
    }
}

// SAFETY: blocks come from the global allocator with the size asked for, aligned to 16 bytes; `usable_size` is the size
// asked for.
unsafe impl Allocator for CountingAllocator {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        self.take(size, alloc)
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        match count.checked_mul(size) {
            None | Some(0) => ptr::null_mut(),
            Some(bytes) => self.take(bytes, alloc_zeroed),
        }
    }

    unsafe fn dealloc(&mut self, ptr: *mut u8) {
        // SAFETY: the caller hands back a pointer that `take` or `realloc` made.
        unsafe {
            let block = ptr.sub(HEADER).cast::<Header>();
            self.blocks.unlink(block);
            let layout = layout((*block).size).unwrap_unchecked();
            self.meter.give_back(layout.size());
            dealloc(block.cast(), layout);
        }
    }

    unsafe fn realloc(&mut self, ptr: *mut u8, new_size: usize) -> *mut u8 {
        if ptr.is_null() {
            return self.alloc(new_size);
        }
        let Some(new_layout) = layout(new_size) else { return ptr::null_mut() };
        // SAFETY: as in `dealloc`; the block is out of the list while it may move.
        unsafe {
            let block = ptr.sub(HEADER).cast::<Header>();
            let old_layout = layout((*block).size).unwrap_unchecked();
            if new_layout.size() > old_layout.size() && !self.meter.grant(new_layout.size() - old_layout.size()) {
                return ptr::null_mut();
            }
            self.blocks.unlink(block);
            let moved = realloc(block.cast(), old_layout, new_layout.size()).cast::<Header>();
            if moved.is_null() {
                self.blocks.link(block);
                self.meter.give_back(new_layout.size().saturating_sub(old_layout.size()));
                return ptr::null_mut();
            }
            self.meter.give_back(old_layout.size().saturating_sub(new_layout.size()));
            (*moved).size = new_size;
            self.blocks.link(moved);
            moved.cast::<u8>().add(HEADER)
        }
    }

    unsafe fn usable_size(ptr: *mut u8) -> usize {
        // SAFETY: as in `dealloc`.
        unsafe { (*ptr.sub(HEADER).cast::<Header>()).size }
    }
}

/// Frees the memory of a heap without the engine's teardown. The engine's values are taken by value and forgotten.
pub(crate) fn abandon<T>(engine: T, context: rquickjs::Context, runtime: rquickjs::Runtime, blocks: &Rc<Blocks>) {
    std::mem::forget(engine);
    std::mem::forget(context);
    std::mem::forget(runtime);
    // SAFETY: the owner of a heap hands over everything that refers to it; what the engine itself owned on our side
    // (closures) is forgotten with it and never runs.
    unsafe { blocks.free_all() }
}

/// A compiled module.
pub(crate) struct Bytecode(Vec<u8>);

impl Bytecode {
    pub(crate) fn of(module: &Module<'_, Declared>) -> rquickjs::Result<Self> {
        // Every heap loads the layer, so it carries no more than it needs: no source texts, and outside of our own
        // debug builds no line numbers of the layer (the vat's own modules keep theirs).
        let strip_debug = !cfg!(debug_assertions);
        let options = WriteOptions { strip_source: true, strip_debug, ..WriteOptions::default() };
        module.write(options).map(Self)
    }

    pub(crate) fn load<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Module<'js, Declared>> {
        // SAFETY: the bytes were written by the same engine in this process.
        unsafe { Module::load(ctx.clone(), &self.0) }
    }
}

/// How one job ended.
pub(crate) enum Job<'js> {
    /// There was none.
    None,
    /// It came to its end.
    Done,
    /// It threw this.
    Threw(Value<'js>),
}

/// Runs the next job of the queue.
pub(crate) fn run_job<'js>(ctx: &Ctx<'js>) -> Job<'js> {
    let mut ran_in = MaybeUninit::<*mut qjs::JSContext>::uninit();
    // SAFETY: the context is alive, and the runtime is locked because we hold a `Ctx`. There is one context per
    // runtime, so the job ran in this one.
    let status = unsafe { qjs::JS_ExecutePendingJob(qjs::JS_GetRuntime(ctx.as_raw().as_ptr()), ran_in.as_mut_ptr()) };
    match status {
        0 => Job::None,
        1.. => Job::Done,
        _ => Job::Threw(ctx.catch()),
    }
}

/// Tells the engine that its share of the stack begins here. A heap is entered from varying depths.
pub(crate) fn stack_starts_here(ctx: &Ctx<'_>) {
    // SAFETY: the context is alive.
    unsafe { qjs::JS_UpdateStackTop(qjs::JS_GetRuntime(ctx.as_raw().as_ptr())) }
}

/// The number in a context that the engine counts down to its next poll, and sets anew just before it polls.
///
/// The engine tells nobody where that number is, so it is looked for, once per process, by what only it does: going
/// down with each jump. If it is not found in exactly one place, polls stay as rare as the engine makes them.
#[derive(Default)]
pub(crate) struct Countdown(Cell<Option<NonNull<i32>>>);

impl Countdown {
    /// Finds that of a fresh context. The owner of the context calls `forget` before it lets the context go.
    pub(crate) fn find(&self, ctx: &Ctx<'_>) {
        static PLACE: OnceLock<Option<usize>> = OnceLock::new();
        let place = PLACE.get_or_init(|| look_for_countdown(ctx));
        // SAFETY: the place lies within every context, since all are of one size.
        self.0.set(place.map(|nth| unsafe { ctx.as_raw().cast::<i32>().add(nth) }));
    }

    pub(crate) fn forget(&self) {
        self.0.set(None);
    }

    /// The next poll comes after so many calls and jumps.
    pub(crate) fn set(&self, ticks: i32) {
        if let Some(countdown) = self.0.get() {
            // SAFETY: an `int` of a context that still lives (see `find`); the engine does not run on while we do.
            unsafe { countdown.write_volatile(ticks) }
        }
    }
}

/// The words of a context's memory.
fn words(ctx: &Ctx<'_>) -> Vec<i32> {
    let context = ctx.as_raw();
    // SAFETY: the context is a block of the engine's allocator, of at least this size, and written in full when made.
    unsafe {
        let bytes = qjs::js_malloc_usable_size(context.as_ptr(), context.as_ptr().cast());
        (0..usize::try_from(bytes).unwrap_or(0) / size_of::<i32>())
            .map(|nth| context.cast::<i32>().add(nth).read_volatile())
            .collect()
    }
}

/// By how much each word of the context's memory sank while code looped so often.
fn sinking(ctx: &Ctx<'_>, loops: i32) -> Option<Vec<i32>> {
    let before = words(ctx);
    ctx.eval::<(), _>(format!("for (let i = 0; i < {loops}; i++);")).ok()?;
    Some(before.iter().zip(words(ctx)).map(|(before, after)| before.saturating_sub(after)).collect())
}

fn look_for_countdown(ctx: &Ctx<'_>) -> Option<usize> {
    const FEW: i32 = 700;
    const MORE: i32 = 1_900;
    // The first jump of a context polls; then so few follow that there is no other poll.
    sinking(ctx, 1)?;
    let (first, second) = (sinking(ctx, FEW)?, sinking(ctx, MORE)?);
    // One or a few per loop, exactly as many more for more loops, and hardly any besides.
    let counts = |(few, more): (i32, i32)| {
        (1..=3).any(|each| more.checked_sub(few) == Some(each * (MORE - FEW)) && (0..64).contains(&(few - each * FEW)))
    };
    let mut found = (0..).zip(first.into_iter().zip(second)).filter(|(_, sank)| counts(*sank)).map(|(nth, _)| nth);
    let place = found.next();
    place.filter(|_| found.next().is_none())
}

/// The own keys of an object.
struct Keys<'js> {
    ctx: Ctx<'js>,
    table: *mut qjs::JSPropertyEnum,
    count: u32,
}

impl<'js> Keys<'js> {
    fn of(object: &Value<'js>) -> rquickjs::Result<Self> {
        let ctx = object.ctx().clone();
        let (mut table, mut count) = (ptr::null_mut(), 0);
        let all = (qjs::JS_GPN_STRING_MASK | qjs::JS_GPN_SYMBOL_MASK).cast_signed();
        // SAFETY: context and object are alive; the table is ours afterwards.
        let status = unsafe {
            qjs::JS_GetOwnPropertyNames(ctx.as_raw().as_ptr(), &raw mut table, &raw mut count, object.as_raw(), all)
        };
        if status < 0 { Err(Error::Exception) } else { Ok(Self { ctx, table, count }) }
    }

    fn atoms(&self) -> impl ExactSizeIterator<Item = qjs::JSAtom> {
        // An index rather than a slice: the table of no keys may be null.
        // SAFETY: the engine filled `count` entries, and they live as long as `self`.
        (0..self.count as usize).map(|nth| unsafe { (*self.table.add(nth)).atom })
    }

    /// Whether these are the keys of a function that has nothing of its own.
    fn of_plain_function(&self) -> bool {
        const PLAIN: [PredefinedAtom; 2] = [PredefinedAtom::Length, PredefinedAtom::Name];
        self.count == 2 && self.atoms().zip(PLAIN).all(|(atom, plain)| atom == plain as qjs::JSAtom)
    }
}

impl Drop for Keys<'_> {
    fn drop(&mut self) {
        // SAFETY: made by the same context, freed once.
        unsafe { qjs::JS_FreePropertyEnum(self.ctx.as_raw().as_ptr(), self.table, self.count) }
    }
}

/// Value, getter and setter of a property.
fn parts<'js>(object: &Value<'js>, key: qjs::JSAtom) -> rquickjs::Result<[Value<'js>; 3]> {
    let ctx = object.ctx();
    let mut found = MaybeUninit::<qjs::JSPropertyDescriptor>::uninit();
    // SAFETY: context, object and key are alive; the descriptor is written if the answer is 1, and its values are ours.
    unsafe {
        match qjs::JS_GetOwnProperty(ctx.as_raw().as_ptr(), found.as_mut_ptr(), object.as_raw(), key) {
            1 => {
                let found = found.assume_init();
                Ok([found.value, found.getter, found.setter].map(|part| Value::from_raw(ctx.clone(), part)))
            }
            0 => Ok(std::array::from_fn(|_| Value::new_undefined(ctx.clone()))),
            _ => Err(Error::Exception),
        }
    }
}

fn prototype<'js>(object: &Value<'js>) -> rquickjs::Result<Value<'js>> {
    let ctx = object.ctx();
    // SAFETY: context and object are alive; the answer is ours.
    let proto = unsafe { Value::from_raw(ctx.clone(), qjs::JS_GetPrototype(ctx.as_raw().as_ptr(), object.as_raw())) };
    // SAFETY: only the tag is looked at.
    if unsafe { qjs::JS_IsException(proto.as_raw()) } { Err(Error::Exception) } else { Ok(proto) }
}

/// Freezes the intrinsics that `roots` reach by properties and prototypes, and returns those that are more than functions
/// with a length and a name: these others are frozen without being looked into, which saves time, and without being
/// remembered by `harden`, which saves memory.
#[allow(clippy::mutable_key_type, clippy::needless_pass_by_value)] // pointers; called with what it is to own
pub(crate) fn freeze_intrinsics<'js>(
    ctx: Ctx<'js>,
    roots: Vec<Value<'js>>,
    function_prototype: Object<'js>,
) -> rquickjs::Result<Vec<Value<'js>>> {
    // SAFETY: asked of objects only, which have a pointer; it is compared and never followed.
    let address = |object: &Value<'js>| unsafe { qjs::JS_VALUE_GET_PTR(object.as_raw()) };
    let mut known = HashSet::new();
    let mut waiting: Vec<Value<'js>> = Vec::new();
    let mut looked_into = Vec::new();
    let mut enqueue = |waiting: &mut Vec<Value<'js>>, value: Value<'js>| {
        if value.is_object() && known.insert(address(&value)) {
            waiting.push(value);
        }
    };
    for root in roots {
        enqueue(&mut waiting, root);
    }
    while let Some(object) = waiting.pop() {
        let proto = prototype(&object)?;
        let keys = Keys::of(&object)?;
        // SAFETY: context and object are alive.
        if unsafe { qjs::JS_FreezeObject(ctx.as_raw().as_ptr(), object.as_raw()) } < 0 {
            return Err(Error::Exception);
        }
        if keys.of_plain_function() && proto == *function_prototype.as_value() {
            continue;
        }
        enqueue(&mut waiting, proto);
        for key in keys.atoms() {
            parts(&object, key)?.into_iter().for_each(|part| enqueue(&mut waiting, part));
        }
        looked_into.push(object);
    }
    Ok(looked_into)
}

/// See the file's header.
pub(crate) struct Scoped {
    reader: RefCell<Option<NonNull<dyn StateReader>>>,
}

impl Scoped {
    pub(crate) fn new() -> Self {
        Self { reader: RefCell::new(None) }
    }

    /// Lends the reader while `work` runs.
    pub(crate) fn lend<R>(&self, reader: &dyn StateReader, work: impl FnOnce() -> R) -> R {
        struct TakeBack<'a>(&'a Scoped, Option<NonNull<dyn StateReader>>);
        impl Drop for TakeBack<'_> {
            fn drop(&mut self) {
                *self.0.reader.borrow_mut() = self.1.take();
            }
        }
        let short: NonNull<dyn StateReader + '_> = NonNull::from(reader);
        // SAFETY: only the lifetime changes. `TakeBack` removes the pointer before the borrow ends, and `Scoped` is
        // not `Send`, so nobody else can use it meanwhile.
        let long = unsafe { std::mem::transmute::<NonNull<dyn StateReader + '_>, NonNull<dyn StateReader>>(short) };
        let _take_back = TakeBack(self, self.reader.borrow_mut().replace(long));
        work()
    }

    /// Uses the reader that is on loan, if any.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&dyn StateReader) -> R) -> Option<R> {
        let reader = self.reader.borrow();
        // SAFETY: see `lend`. The borrow is kept while `work` runs, so the loan cannot end under it.
        reader.map(|reader| work(unsafe { reader.as_ref() }))
    }
}
