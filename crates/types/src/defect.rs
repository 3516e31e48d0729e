//! Deliberate defects: each breaks one piece of the kernel, so that it can be shown that the checker of the promise which
//! it breaks notices (`crates/sim`, docs/defects.md).
//!
//! What always holds: without the feature `defects`, which only the simulator's own test of its checkers turns on, no
//! defect exists: [`broken`] is the constant `false`, and what hangs on it is not compiled in.

macro_rules! defects {
    ($($(#[doc = $doc:literal])* $name:ident),+ $(,)?) => {
        /// A piece that can be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Defect { $($(#[doc = $doc])* $name),+ }

        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What is broken then.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii()),+ }
            }
        }
    };
}

defects! {
    /// A message that comes too early is accepted, and what is missing is never asked for (W-2).
    GapAccepted,
    /// An acknowledgement leaves before what it acknowledges is durable (W-11a).
    AckBeforeDurable,
    /// A message leaves in the turn that sends it, before the commit (W-11b).
    SentBeforeDurable,
    /// An inner effect is taken for an outer one: a delivery waits for the commit, and an answer does not.
    AnswerBeforeDurable,
    /// A handshake that is repeated on a connection ends it for messages (W-1).
    RepeatedHandshakeUnbinds,
    /// On a new connection the newest message goes out first, and those before it are taken for sent (W-1).
    NewestGoesFirst,
    /// Promises that a lost peer decides are not rejected (W-3).
    DecidedByPeerNotRejected,
    /// The peer is not subscribed to promises that it is given (W-4).
    PromiseNotSubscribed,
    /// Garbage is told to a peer with the wrong sign (W-5).
    GarbageWrongSign,
    /// A full outbox stops the kernel (W-6).
    FullOutboxStops,
    /// The result that a peer's message names is not checked (W-7).
    ResultNotChecked,
    /// A reply to a redemption that nobody waits for stops the kernel (W-8).
    UnknownReplyStops,
    /// What waits for a peer is forgotten over a restart (W-9).
    OutboxNotResumed,
    /// A message that can never be processed is not consumed (W-10).
    PoisonNotConsumed,
    /// The end of an old connection ends the new one, too (W-14).
    OldEndClearsNew,
    /// A peer that cannot be reached at once loses what waits for it (W-15).
    UnreachableLosesOutbox,
    /// Each message that is heard puts the acknowledgement off (W-16).
    AckPutOff,
    /// Names of settled promises are never retired (W-20).
    SettledNotRetired,
    /// A store that was set back is not noticed (W-22).
    SetBackNotNoticed,
    /// Names of settled promises are retired before the peer can know (L6).
    RetiredTooEarly,
    /// A drop that is older than the last mention counts (L7).
    StaleDropCounts,
    /// A settlement does not wait for what was pipelined to the promise (L5).
    SettledBeforePipelineIsHome,
    /// Frames of a connection that speaks for a dead incarnation count (L3).
    OldStreamSpeaks,
    /// Giving up does not end the conversation: the numbers go on, with a gap.
    GiveUpKeepsNumbers,
    /// A second importer of an object is not counted (kernel-semantics 8.1 no. 1).
    SecondImporterNotCounted,
    /// The end of an importer is not counted (no. 2).
    EndedImporterStillCounted,
    /// What the host asks during a crank is lost when the crank is undone (no. 9).
    LostWithTheCrank,
    /// An undone crank leaves its vat's state behind (no. 15).
    UndoneCrankLeavesState,
    /// Messages that wait on a promise are counted twice when they move on (no. 17).
    ParkedCountedTwice,
    /// A retired export keeps its rows (no. 18).
    RetiredExportStays,
    /// What a value names is looked up among what any peer was given, not only who sends it (G11).
    GivenToAnyPeer,
    /// An inbox takes one message more than its limit (G15).
    InboxTakesOneMore,
    /// Messages to a peer are taken, however many wait for it already (L9).
    OutboxWithoutLimit,
    /// What may have reached a peer that was given up is said not to have arrived (L10).
    LostSaidNotToArrive,
    /// A URL that is withdrawn stays in the list, and keeps its object (L14).
    WithdrawnUrlStays,
    /// A store is not compared with its seal when it is opened.
    SealNotCompared,
}

/// Whether this piece is broken now.
#[cfg(not(feature = "defects"))]
#[inline]
pub const fn broken(_: Defect) -> bool {
    false
}

#[cfg(feature = "defects")]
mod switch {
    use super::Defect;
    use std::cell::Cell;

    thread_local! {
        static BROKEN: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    /// Whether this piece is broken now, on this thread.
    pub fn broken(defect: Defect) -> bool {
        BROKEN.get() == Some(defect)
    }

    /// Breaks one piece on this thread, or mends it.
    pub fn break_piece(defect: Option<Defect>) {
        BROKEN.set(defect);
    }
}

#[cfg(feature = "defects")]
pub use switch::{break_piece, broken};
