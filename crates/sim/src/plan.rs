//! What kind of run a seed means: how many kernels and vats, which limits, which faults and how often.
//!
//! What always holds: a plan follows from its seed alone; whole classes of faults are on or off in one run (swarm
//! testing), so that rare combinations get runs of their own. Shrinking changes a plan only through [`Plan::without`],
//! [`Plan::shorter`] and [`Plan::skip`].

use crate::dice::Dice;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_types::KernelLimits;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $rate:literal),+ $(,)?) => {
        /// A class of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault { $($(#[$doc])* $name),+ }

        impl Fault {
            /// All of them, each with how often it happens in ten thousand chances when its class is on.
            pub const ALL: &[(Self, u32)] = &[$((Self::$name, $rate)),+];
        }
    };
}

faults! {
    /// A frame is lost, and its line goes on.
    FrameLost = 150,
    /// A frame arrives twice.
    FrameRepeated = 150,
    /// Two frames of a line change places.
    FramesSwapped = 150,
    /// Bytes of a frame are changed.
    FrameCorrupted = 40,
    /// A line ends in the middle of a frame.
    FrameCut = 40,
    /// A line ends; both sides notice at once.
    LineBroken = 60,
    /// A line ends; one side never notices by itself.
    HalfClosed = 30,
    /// Nothing gets through between two kernels for a while.
    Partition = 15,
    /// Nothing gets through in one direction for a while.
    OneWayPartition = 15,
    /// A kernel dials although it has a connection.
    DialledAgain = 40,
    /// The process ends; the store stays.
    Killed = 25,
    /// The process ends while a group is being written, which is not.
    KilledInCommit = 15,
    /// The process ends after a commit, before all its effects have left.
    KilledAfterCommit = 15,
    /// The process ends as soon as it has begun again.
    KilledInRecovery = 10,
    /// The store is lost with the process.
    StoreLost = 4,
    /// The store is set back to an older copy of it.
    StoreRestored = 3,
    /// The disk takes no more writes until the process begins again.
    DiskFull = 6,
    /// Reads fail until the process begins again.
    ReadsFail = 6,
    /// The process dies of a delivery, and has left a note of it.
    DiedOfDelivery = 8,
    /// A vat's delivery fails: too much computation, too much memory, too much said.
    VatFails = 15,
    /// A vat asks something illegal.
    VatIllegal = 15,
    /// A vat ends itself.
    VatExits = 15,
    /// An outcome comes again, or of a heap that is gone.
    LateOutcome = 40,
    /// An operator revokes an object.
    Revoked = 20,
    /// An operator ends a vat or a subcluster.
    Terminated = 8,
    /// An operator restarts a vat.
    Restarted = 15,
    /// An operator gives up a peer.
    GivenUp = 8,
    /// An operator closes the connection to a peer.
    Closed = 8,
    /// An operator forgets a peer.
    Forgotten = 4,
    /// An attempt to reach a peer fails, and the kernel hears of it.
    DialFailed = 60,
    /// An operator says how long a peer is waited for.
    Impatient = 8,
    /// A peer that is no kernel does something: it speaks the protocol, and lies.
    Liars = 600,
    /// An operator looks around, pins, provides a service, changes code, launches something, or mistypes.
    Asks = 150,
    /// Of the group that is being written only a part arrives, the process ends, and the store from before is put back.
    StoreTorn = 10,
    /// A group is written, and the process ends before it hears of it.
    WriteUnheard = 10,
    /// Two kernels do not reach each other for hours.
    LongOutage = 10,
}

/// Classes that were added later: they are drawn apart from the others, so that what a seed means without them stays.
const LATER: &[Fault] =
    &[Fault::DialFailed, Fault::Impatient, Fault::Liars, Fault::Asks, Fault::StoreTorn, Fault::WriteUnheard];

/// How often each kind of step is taken, in proportion.
#[derive(Clone, Debug)]
pub struct Pace {
    /// A vat works on a delivery.
    pub deliver: u32,
    /// A kernel commits.
    pub commit: u32,
    /// A frame arrives.
    pub carry: u32,
    /// A wish to dial is granted.
    pub dial: u32,
    /// Time goes on.
    pub time: u32,
    /// A host asks something.
    pub host: u32,
    /// A kernel is told that nothing else is happening.
    pub idle: u32,
}

/// A run before it has begun.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What everything follows from.
    pub seed: u64,
    /// Kernels, each on a machine of its own.
    pub kernels: usize,
    /// Vats of each kernel.
    pub vats: usize,
    /// Peers that lie, if [`Fault::Liars`] is on.
    pub liars: usize,
    /// Steps until everything heals.
    pub steps: u64,
    /// Limits of every kernel.
    pub limits: KernelLimits,
    /// How often each class of faults happens, in ten thousand chances. A class that is missing is off.
    pub faults: BTreeMap<Fault, u32>,
    /// How often each kind of step is taken.
    pub pace: Pace,
    /// The audit runs after one in so many events.
    pub audit_every: usize,
    /// Vats may settle promises with values that mention promises, also in rings. Over three kernels such a ring is told
    /// round and round (known limit).
    pub rings: bool,
    /// Frames arrive in pieces, through the splitter of the wire.
    pub pieces: bool,
    /// Steps that are left out, found by shrinking.
    pub skipped: BTreeSet<u64>,
}

impl Plan {
    /// The run that a seed means.
    pub fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed, u64::MAX);
        let kernels = 1 + dice.weighted(&[2, 10, 5, 1]);
        let vats = 1 + dice.below(4);
        let steps = [300, 1_500, 3_000, 8_000][dice.weighted(&[2, 4, 3, 1])];
        let calm = dice.once_in(10);
        let all = dice.once_in(10);
        let mut faults = BTreeMap::new();
        for &(fault, rate) in
            Fault::ALL.iter().filter(|(fault, _)| !LATER.contains(fault) && *fault != Fault::LongOutage)
        {
            let on = dice.once_in(3);
            let scale = [1, 1, 2, 4][dice.below(4)];
            if !calm && (on || all) {
                faults.insert(fault, rate * scale);
            }
        }
        let mut later = Dice::new(seed, u64::MAX - 1);
        for &(fault, rate) in Fault::ALL.iter().filter(|(fault, _)| LATER.contains(fault)) {
            let on = later.once_in(3);
            let scale = [1, 1, 2, 4][later.below(4)];
            if !calm && (on || all) {
                faults.insert(fault, rate * scale);
            }
        }
        // From a stream in which no named seed has it: their runs stay what they were.
        if !calm && Dice::new(seed, u64::MAX - 97).once_in(8) {
            faults.insert(Fault::LongOutage, 10);
        }
        let weight = |dice: &mut Dice, usual: u32| usual * [1, 2, 4, 8][dice.below(4)] / 2;
        let pace = Pace {
            deliver: weight(&mut dice, 30),
            commit: weight(&mut dice, 12),
            carry: weight(&mut dice, 20),
            dial: weight(&mut dice, 6),
            time: weight(&mut dice, 4),
            host: weight(&mut dice, 5),
            idle: weight(&mut dice, 1).max(1),
        };
        let mut limits = limits(&mut dice);
        if faults.contains_key(&Fault::Liars) {
            limits_against_liars(&mut limits, &mut later, kernels);
        }
        Self {
            seed,
            kernels,
            vats,
            liars: 1 + later.below(2),
            steps,
            faults,
            pace,
            limits,
            audit_every: [16, 64, 256][dice.below(3)],
            rings: dice.once_in(8),
            pieces: dice.once_in(4),
            skipped: BTreeSet::new(),
        }
    }

    /// How often a fault happens, in ten thousand chances.
    pub fn rate(&self, fault: Fault) -> u32 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }

    /// The same run without a class of faults.
    #[must_use]
    pub fn without(mut self, fault: Fault) -> Self {
        self.faults.remove(&fault);
        self
    }

    /// The same run with this class of faults always on.
    #[must_use]
    pub fn with(mut self, fault: Fault, in_ten_thousand: u32) -> Self {
        self.faults.insert(fault, in_ten_thousand);
        self
    }

    /// The same run, healing after so many steps.
    #[must_use]
    pub fn shorter(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// The same run without some of its steps.
    #[must_use]
    pub fn skip(mut self, steps: impl IntoIterator<Item = u64>) -> Self {
        self.skipped.extend(steps);
        self
    }
}

/// What liars may fill is smaller in some runs.
fn limits_against_liars(limits: &mut KernelLimits, dice: &mut Dice, kernels: usize) {
    if dice.once_in(4) {
        limits.body_bytes = 5_000;
    }
    if dice.once_in(4) {
        // Every honest peer may be one, and stays one as long as it is refused what it asks.
        limits.strangers = kernels + dice.below(3);
    }
    if dice.once_in(6) {
        limits.remote_reserved_bytes = 20_000;
    }
    if dice.once_in(4) {
        limits.remote_names = dice.between(20, 100);
        limits.remote_outbox_messages = dice.between(10, 60);
        limits.remote_reserved_messages = limits.remote_outbox_messages + 8 * limits.remote_names;
    }
}

fn limits(dice: &mut Dice) -> KernelLimits {
    let mut limits = KernelLimits { deliveries_per_reap: [5, 20, 100][dice.below(3)], ..KernelLimits::default() };
    if dice.once_in(5) {
        limits.inbox_items = 1 + dice.between(5, 40);
        limits.promise_queue_items = 1 + dice.between(5, 40);
    }
    if dice.once_in(5) {
        limits.remote_outbox_messages = dice.between(10, 60);
    }
    if dice.once_in(5) {
        limits.remote_names = dice.between(20, 100);
    }
    if dice.once_in(8) {
        limits.body_slots = 2;
    }
    limits
}
