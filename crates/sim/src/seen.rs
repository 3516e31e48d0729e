//! What checkers are told: everything that enters or leaves a kernel, and what becomes of its process.
//!
//! What always holds: it is told in the order in which it happened, from outside of the kernels; no checker can change
//! what happens.

use sturdy_kernel::{Effect, Event};
use sturdy_types::{Delivery, Incarnation, Outcome, RunId, VatId};

/// Which kernel of the world: its index.
pub type KernelNo = usize;

/// What became of a crank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrankFate {
    /// It was merged into the open group.
    Merged,
    /// It was undone, and its vat was blamed.
    Undone,
    /// The outcome was late and was dropped.
    Stale,
}

/// With which store a process begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginsWith {
    /// What the process before has made durable.
    ItsStore,
    /// Nothing: a new incarnation.
    NoStore,
    /// An older copy of its store.
    OldCopy,
}

/// A process: which of all, and with what it began. Stores that were set back or lost begin a new branch, so that what
/// was done before and forgotten is told apart from what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Counts the stores of this kernel that were lost or set back.
    pub branch: u32,
    /// Counts the processes of this kernel.
    pub boot: u32,
}

/// One thing that was seen.
#[derive(Clone, Debug)]
pub enum Seen {
    /// An event is about to be handed in.
    Event(Event),
    /// A vat has answered, and the answer was handed in.
    Crank {
        /// The vat.
        vat: VatId,
        /// Its heap.
        run: RunId,
        /// What it was told.
        delivery: Delivery,
        /// What it answered.
        outcome: Outcome,
        /// What became of it.
        fate: CrankFate,
    },
    /// An effect came out of a turn, at once.
    AtOnce(Effect),
    /// The open group is durable: commit number so-and-so of this kernel. Numbers are never used twice.
    Committed(u64),
    /// An outer effect came out of a commit. It may still be lost with the process.
    Outer(Effect),
    /// A commit has ended, and everything that it lets out was seen.
    LetOut,
    /// The process is gone, and everything that was not durable.
    Ended,
    /// A new process has begun; what commits after `back_to` have written is not in its store.
    Begun {
        /// With what.
        with: BeginsWith,
        /// Which process this is.
        process: Process,
        /// The store's incarnation.
        incarnation: Incarnation,
        /// The last commit that its store remembers.
        back_to: u64,
    },
}
