//! The errors that the kernel itself gives to vats and callers, in a form that programs recognize (G12,
//! kernel-semantics §4.6): `[KERNEL:<CODE>] detail`, or `[KERNEL:VAT_FATAL:<CODE>] detail`.

use crate::capdata::CapData;
use crate::text::json_string;
use std::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as programs see it.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The reverse of [`Self::text`].
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

codes!(
    /// Why a message or promise was rejected by the kernel although no vat misbehaved in that crank.
    Code {
        /// The target was revoked.
        ObjectRevoked = "OBJECT_REVOKED",
        /// The target does not exist any more (or never did).
        ObjectDeleted = "OBJECT_DELETED",
        /// The target promise was fulfilled with something that cannot be called.
        BadPromiseResolution = "BAD_PROMISE_RESOLUTION",
        /// The target's vat or peer is not running.
        EndpointUnreachable = "ENDPOINT_UNREACHABLE",
        /// The vat that was to decide the answer was terminated.
        VatTerminated = "VAT_TERMINATED",
        /// The vat (or service call) that was to decide the answer lost its heap in a restart.
        VatRestarted = "VAT_RESTARTED",
        /// The delivery failed; for kernel services the detail is their error's message.
        DeliveryFailed = "DELIVERY_FAILED",
        /// The message exceeds a size limit: it was not delivered.
        MessageTooLarge = "MESSAGE_TOO_LARGE",
        /// The promise was settled, so a call has taken effect; but the value exceeds a size limit, or there was no room
        /// to tell it.
        AnswerLost = "ANSWER_LOST",
        /// The target's queue is full.
        QueueFull = "QUEUE_FULL",
        /// The conversation with the peer was given up: the outcome is unknown.
        ConnectionLost = "CONNECTION_LOST",
        /// The connection to the peer was closed on purpose.
        ConnectionClosed = "CONNECTION_CLOSED",
        /// The peer lost its state.
        PeerRestarted = "PEER_RESTARTED",
    }
);

codes!(
    /// Why a vat was terminated in the middle of a crank.
    Fatal {
        /// It asked something that no vat may ask.
        IllegalSyscall = "ILLEGAL_SYSCALL",
        /// Its runtime found an inconsistency.
        InternalError = "INTERNAL_ERROR",
        /// One delivery computed longer than its limit.
        ComputeLimit = "COMPUTE_LIMIT",
        /// It used more memory than its limit.
        MemoryLimit = "MEMORY_LIMIT",
        /// One delivery produced more syscalls or state than its limit.
        OutputLimit = "OUTPUT_LIMIT",
        /// The process died three times while delivering the same item.
        ProcessDied = "PROCESS_DIED",
    }
);

/// An error made by the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// An expected failure.
    Expected(Code, String),
    /// A vat's fatal misbehaviour.
    VatFatal(Fatal, String),
}

impl KernelError {
    /// An expected failure.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::Expected(code, detail.into())
    }

    /// As a rejection reason: a plain `Error` (kernel-semantics §4.6).
    pub fn to_capdata<R>(&self) -> CapData<R> {
        CapData::plain(format!("#{{\"#error\":{},\"name\":\"Error\"}}", json_string(&self.to_string())))
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected(code, detail) => write!(f, "[KERNEL:{}] {detail}", code.text()),
            Self::VatFatal(code, detail) => write!(f, "[KERNEL:VAT_FATAL:{}] {detail}", code.text()),
        }
    }
}

impl std::error::Error for KernelError {}

/// How a message text classifies (kernel-semantics §9 item 45).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// An expected failure.
    Expected(Code),
    /// The end of a vat.
    VatFatal(Fatal),
}

/// Recognizes `[KERNEL:<CODE>]` and `[KERNEL:VAT_FATAL:<CODE>]` at the start of an error message. `None` for
/// anything else, unknown codes included.
pub fn classify(message: &str) -> Option<ErrorClass> {
    let (inside, _) = message.strip_prefix("[KERNEL:")?.split_once(']')?;
    match inside.strip_prefix("VAT_FATAL:") {
        Some(code) => Fatal::from_text(code).map(ErrorClass::VatFatal),
        None => Code::from_text(inside).map(ErrorClass::Expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_recognized_by_pattern_and_classed() {
        for &code in Code::ALL {
            let text = KernelError::new(code, "why").to_string();
            assert_eq!(classify(&text), Some(ErrorClass::Expected(code)), "{text}");
        }
        for &code in Fatal::ALL {
            let text = KernelError::VatFatal(code, "why".into()).to_string();
            assert_eq!(classify(&text), Some(ErrorClass::VatFatal(code)), "{text}");
        }
        assert_eq!(classify("[KERNEL:NO_SUCH] x"), None);
        assert_eq!(classify("boom [KERNEL:OBJECT_DELETED]"), None);
    }

    #[test]
    fn a_rejection_is_a_plain_error() {
        let error = KernelError::new(Code::ObjectDeleted, "ko\"7\"");
        assert_eq!(error.to_capdata::<()>().body, r##"#{"#error":"[KERNEL:OBJECT_DELETED] ko\"7\"","name":"Error"}"##);
    }
}
