//! What a vat answers to a delivery: syscalls in order, changes of its own state, a verdict, and what it cost.

use crate::capdata::{CapData, Message, Resolution};
use crate::code::Fatal;
use crate::refs::VRef;

/// The answer to one delivery. Nothing of it exists for the kernel until the crank commits (G1, G3).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Outcome {
    /// What the vat asks of the kernel, in order.
    pub syscalls: Vec<Syscall>,
    /// What changed in the vat's own durable state.
    pub state: StateDelta,
    /// Whether the delivery came to its end.
    pub verdict: Verdict,
    /// What it cost.
    pub metering: Metering,
}

/// A request of a vat (kernel-semantics §3.3). There are no answers: a vat goes on as if each were granted, and an
/// illegal one undoes the whole crank and ends the vat.
#[derive(Clone, Debug, PartialEq)]
pub enum Syscall {
    /// Send a message to an object or promise.
    Send {
        /// Any reference that the vat holds, or a new export of its own.
        target: VRef,
        /// The call. Its `result`, if any, must be a promise that this vat decides; the message then decides it.
        message: Message<VRef>,
    },
    /// Ask to be notified when a promise is settled.
    Subscribe(VRef),
    /// Settle promises that this vat decides.
    Resolve(Vec<Resolution<VRef>>),
    /// End this vat: after committing this crank, or (`failure`) after undoing it. What follows has no effect.
    Exit {
        /// Undo the crank.
        failure: bool,
        /// The reason.
        info: CapData<VRef>,
    },
    /// These imports can no longer be reached from this vat.
    DropImports(Vec<VRef>),
    /// These imports, dropped before, can no longer be recognized either.
    RetireImports(Vec<VRef>),
    /// These exports, dropped by the kernel before, are gone.
    RetireExports(Vec<VRef>),
    /// These exports are gone, whoever still reaches them.
    AbandonExports(Vec<VRef>),
    /// Something that no vat may ask, said so by the runtime (`callNow`, a malformed reference, …).
    Illegal(String),
}

/// How firmly a vat's durable state holds a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Hold {
    /// Only the heap knows the reference, if anything does.
    #[default]
    None,
    /// A weak durable collection recognizes it.
    Weak,
    /// Durable state reaches it (for a promise: it is watched durably).
    Strong,
}

/// Changes of a vat's durable state in one crank.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StateDelta {
    /// Key and new value, or `None` to delete. A key appears once.
    pub writes: Vec<(String, Option<String>)>,
    /// Imports (objects or promises) whose durable hold changed. The kernel uses it when the heap is lost, to
    /// release what only the heap held. Unknown references here are an illegal syscall.
    pub holds: Vec<(VRef, Hold)>,
}

/// Whether a delivery came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Verdict {
    /// It did. User code may well have thrown: that only rejects a result.
    #[default]
    Done,
    /// It did not: the crank is undone and the vat is terminated with this code and explanation.
    Failed(Fatal, String),
}

/// What a delivery cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Metering {
    /// Units of computation, as the runtime counts them (JavaScript: polls of the interrupt; native: zero).
    pub compute_units: u64,
    /// Bytes of heap in use after the delivery, zero if the runtime does not know.
    pub heap_bytes: u64,
}

impl Outcome {
    /// The delivery came to its end with these syscalls.
    pub fn done(syscalls: Vec<Syscall>) -> Self {
        Self { syscalls, ..Self::default() }
    }

    /// The delivery failed: undo the crank, terminate the vat.
    pub fn failed(code: Fatal, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed(code, detail.into()), ..Self::default() }
    }
}
