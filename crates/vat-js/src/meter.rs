//! What one heap may use, and what it used: bytes, time, output.
//!
//! What always holds: once a limit was met, [`Meter::spent`] says so for the rest of the heap's life, whatever vat code
//! catches; every poll of the engine then stops it.

use crate::raw::Countdown;
use std::cell::Cell;
use std::time::{Duration, Instant};
use sturdy_types::Fatal;

/// Bounds of what one delivery may put out; more ends the vat with `OUTPUT_LIMIT` before the process runs out of memory.
#[derive(Debug, Clone, Copy)]
pub struct OutputLimits {
    /// Syscalls.
    pub syscalls: usize,
    /// Bytes of bodies, slots, state keys and state values together.
    pub bytes: usize,
}

impl Default for OutputLimits {
    fn default() -> Self {
        let kernel = sturdy_types::KernelLimits::default();
        Self { syscalls: kernel.syscalls_per_crank, bytes: kernel.state_bytes_per_crank }
    }
}

/// How long this thread has computed.
fn computing_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Bytes from which on an allocation looks at the clock.
const LARGE_BLOCK: usize = 4096;

/// A heap that uses more than this may hold texts whose comparison alone takes milliseconds.
const LARGE_HEAP: usize = 4 << 20;
/// Calls and jumps from one poll to the next, in a small and in a large heap. The engine's own constant is 10 000, during
/// which code that compares long texts can run for half a minute.
const TICKS: i32 = 256;
const TICKS_IF_LARGE: i32 = 16;

pub(crate) struct Meter {
    /// How soon the engine polls.
    pub(crate) countdown: Countdown,
    heap_limit: Cell<usize>,
    heap_used: Cell<usize>,
    polls: Cell<u64>,
    allowance: Cell<Duration>,
    /// When to compare the computing time with the allowance. It is computing time that is bounded, not time: a busy
    /// machine must not end a vat that did little.
    look_at: Cell<Option<Instant>>,
    /// The thread's computing time when this delivery was first looked at: reading it costs more than looking at the
    /// clock, so short deliveries never do.
    computed_before: Cell<Option<Duration>>,
    output: OutputLimits,
    output_syscalls: Cell<usize>,
    output_bytes: Cell<usize>,
    spent: Cell<Option<Fatal>>,
    halted: Cell<bool>,
}

impl Meter {
    pub(crate) fn new(output: OutputLimits) -> Self {
        Self {
            countdown: Countdown::default(),
            heap_limit: Cell::new(usize::MAX),
            heap_used: Cell::new(0),
            polls: Cell::new(0),
            allowance: Cell::new(Duration::MAX),
            look_at: Cell::new(None),
            computed_before: Cell::new(None),
            output,
            output_syscalls: Cell::new(0),
            output_bytes: Cell::new(0),
            spent: Cell::new(None),
            halted: Cell::new(false),
        }
    }

    pub(crate) fn limit_heap(&self, bytes: usize) {
        self.heap_limit.set(bytes);
    }

    /// A delivery begins that may compute so long.
    pub(crate) fn begin(&self, allowance: Duration) {
        self.polls.set(0);
        self.output_syscalls.set(0);
        self.output_bytes.set(0);
        self.allowance.set(allowance);
        self.look_at.set(Instant::now().checked_add(allowance));
        self.computed_before.set(None);
    }

    /// Asked by the engine from time to time: true stops it.
    pub(crate) fn interrupt(&self) -> bool {
        self.polls.set(self.polls.get() + 1);
        self.countdown.set(if self.heap_used.get() > LARGE_HEAP { TICKS_IF_LARGE } else { TICKS });
        self.poll()
    }

    /// Whether the engine must stop, as of now.
    pub(crate) fn poll(&self) -> bool {
        if self.stopped() {
            return true;
        }
        let Some(look_at) = self.look_at.get() else { return false };
        let computed_before = self.computed_before.get().unwrap_or_else(|| {
            let computed = computing_time();
            self.computed_before.set(Some(computed));
            computed
        });
        let now = Instant::now();
        if now < look_at {
            return false;
        }
        // A thread computes no faster than time passes, so the rest of the allowance cannot be used up before this.
        let rest = self.allowance.get().saturating_sub(computing_time().saturating_sub(computed_before));
        if rest.is_zero() {
            self.spend(Fatal::ComputeLimit);
            return true;
        }
        self.look_at.set(now.checked_add(rest));
        false
    }

    /// Asked by the allocator. A larger block is refused once the time is over: much native work that never polls
    /// allocates as it goes, and its way out is the error of a failed allocation.
    pub(crate) fn grant(&self, bytes: usize) -> bool {
        if bytes >= LARGE_BLOCK && self.look_at.get().is_some() && self.poll() {
            return false;
        }
        let used = self.heap_used.get().saturating_add(bytes);
        if used > self.heap_limit.get() {
            self.spend(Fatal::MemoryLimit);
            return false;
        }
        self.heap_used.set(used);
        if bytes >= LARGE_BLOCK && used > LARGE_HEAP {
            self.countdown.set(TICKS_IF_LARGE);
        }
        true
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.heap_used.set(self.heap_used.get().saturating_sub(bytes));
    }

    /// Counts one syscall.
    pub(crate) fn count_syscall(&self, bytes: usize) {
        let syscalls = self.output_syscalls.get() + 1;
        self.output_syscalls.set(syscalls);
        if syscalls > self.output.syscalls {
            self.spend(Fatal::OutputLimit);
        }
        self.count_output(bytes);
    }

    /// Counts output that is no syscall.
    pub(crate) fn count_output(&self, bytes: usize) {
        let total = self.output_bytes.get().saturating_add(bytes);
        self.output_bytes.set(total);
        if total > self.output.bytes {
            self.spend(Fatal::OutputLimit);
        }
    }

    /// The engine is to stop although no limit was met: the store failed.
    pub(crate) fn halt(&self) {
        self.halted.set(true);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.halted.get() || self.spent.get().is_some()
    }

    /// The first limit that was met.
    pub(crate) fn spent(&self) -> Option<Fatal> {
        self.spent.get()
    }

    /// The first limit that was met, in words.
    pub(crate) fn explanation(&self, delivery: &str) -> String {
        match self.spent.get() {
            Some(Fatal::MemoryLimit) => format!("{delivery} needed more than {} bytes of heap", self.heap_limit.get()),
            Some(Fatal::OutputLimit) => {
                format!("{delivery} put out more than {} syscalls or {} bytes", self.output.syscalls, self.output.bytes)
            }
            _ => format!("{delivery} computed longer than {} ms", self.allowance.get().as_millis()),
        }
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.get()
    }

    pub(crate) fn heap_used(&self) -> usize {
        self.heap_used.get()
    }

    fn spend(&self, what: Fatal) {
        if self.spent.get().is_none() {
            self.spent.set(Some(what));
        }
    }
}
