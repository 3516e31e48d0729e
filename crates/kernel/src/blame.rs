//! Failures by kind: whose mistake it was decides what happens next (house, "Failures by kind").

use sturdy_smallcaps::Value;
use sturdy_store::StoreFault;
use sturdy_types::{CapData, Fatal, KRef, KernelError};

/// Ours: a broken invariant or a failing disk. The node stops and keeps its flight record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The tables contradict each other.
    #[error("the kernel's tables contradict each other: {0}; stop and run `sturdy store check`")]
    Broken(String),
}

/// The vat's: its crank is undone and it is terminated.
#[derive(Debug, Clone, PartialEq)]
pub enum VatFault {
    /// A fatal misbehaviour with its code and explanation.
    Fatal(Fatal, String),
    /// It asked to end with failure, for this reason.
    ExitFailure(CapData<KRef>),
}

impl VatFault {
    /// An illegal syscall.
    pub(crate) fn illegal(what: impl Into<String>) -> Self {
        Self::Fatal(Fatal::IllegalSyscall, what.into())
    }

    /// The reason as the caller of the failed delivery sees it.
    pub(crate) fn reason(&self) -> CapData<KRef> {
        match self {
            Self::Fatal(code, detail) => KernelError::VatFatal(*code, detail.clone()).to_capdata(),
            Self::ExitFailure(info) => info.clone(),
        }
    }

    /// One line for people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Fatal(code, detail) => format!("{}: {detail}", code.text()),
            Self::ExitFailure(info) => format!("exited with failure: {}", reason_text(info)),
        }
    }
}

/// The caller's: the request is answered with the reason; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No such vat.
    #[error("vat {0} does not exist; `status` lists the vats that do")]
    NoSuchVat(String),
    /// No such subcluster.
    #[error("subcluster {0} does not exist; `status` lists those that do")]
    NoSuchSubcluster(String),
    /// A reference that the kernel does not know.
    #[error("{0} is not a reference that this kernel knows")]
    NoSuchReference(KRef),
    /// Only objects can be revoked, pinned, or given a URL.
    #[error("{0} is a promise that is not fulfilled with an object; only objects can be revoked, pinned or have a URL")]
    NotAnObject(KRef),
    /// The cluster configuration is wrong.
    #[error("{0}")]
    BadConfig(String),
    /// A service that the subcluster may not have, or that does not exist: the same text for both.
    #[error("no registered kernel service '{0}'")]
    NoSuchService(String),
    /// A system subcluster or label that exists already.
    #[error("'{0}' exists already")]
    NameTaken(String),
    /// No such URL.
    #[error("no URL of this kernel is meant; `url list` lists those that were issued and not ended")]
    NoSuchUrl,
    /// One URL too many.
    #[error("there are {limit} URLs already, which is the limit; revoke some")]
    TooManyUrls {
        /// The limit.
        limit: usize,
    },
    /// The URL would never be valid.
    #[error("the URL would have expired already: its time is in the past")]
    ExpiredAlready,
    /// A call that the kernel does not know.
    #[error("{0} is unknown: it was never made, or was acknowledged")]
    NoSuchCall(String),
    /// A peer that the kernel does not know.
    #[error("peer {0} is unknown; `peers` lists those that are known")]
    NoSuchPeer(String),
    /// A kernel is no peer of itself.
    #[error("{0} is this kernel itself, which is no peer of itself")]
    OwnPeer(String),
    /// The peer's id, or an address of it, is of no use; the host says so.
    #[error("{0}; nothing was changed")]
    BadAddress(String),
    /// One peer too many.
    #[error("there are {limit} peers already, which is the limit")]
    TooManyPeers {
        /// The limit.
        limit: usize,
    },
    /// A message that exceeds the limits.
    #[error("the message has {size} {unit}, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// Of what.
        unit: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The launch failed; everything that it had created is gone again.
    #[error("{0}")]
    LaunchFailed(String),
    /// The vat could not be started (again); what was running before goes on.
    #[error("{0}")]
    StartFailed(String),
    /// The vat or subcluster went away while the request was under way.
    #[error("{0}")]
    Overtaken(String),
}

/// Whose failure it was.
#[derive(Debug, thiserror::Error)]
pub enum Blame {
    /// Stop the node.
    #[error(transparent)]
    Ours(#[from] Fault),
    /// Undo the crank, terminate the vat.
    #[error("the vat misbehaved: {}", .0.text())]
    Theirs(VatFault),
    /// Answer with the reason.
    #[error(transparent)]
    Caller(#[from] Refused),
}

impl From<StoreFault> for Blame {
    fn from(fault: StoreFault) -> Self {
        Self::Ours(Fault::Store(fault))
    }
}

impl From<VatFault> for Blame {
    fn from(fault: VatFault) -> Self {
        Self::Theirs(fault)
    }
}

/// A reason for people: the message of an error, the text of a string, or the whole body.
pub(crate) fn reason_text<R>(reason: &CapData<R>) -> String {
    match sturdy_smallcaps::decode(reason) {
        Ok(Value::Error { message, .. }) => message,
        Ok(Value::String(text)) => text,
        _ => reason.body.clone(),
    }
}

/// A broken invariant.
pub(crate) fn broken(what: impl Into<String>) -> Fault {
    Fault::Broken(what.into())
}
