//! Identifiers. Every one is a number of its own type; counters start at 1 and never go back, so that no
//! identifier of a store is ever used twice (kernel-semantics §1.2).

use crate::text::{ParseRefError, digits};
use std::fmt;
use std::str::FromStr;

/// A point in time, in milliseconds since the Unix epoch. Quiet crates receive it as an argument.
pub type Millis = u64;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseRefError;
            fn from_str(text: &str) -> Result<Self, ParseRefError> {
                let err = || ParseRefError::new(text, concat!($prefix, "<number>"));
                let rest = text.strip_prefix($prefix).ok_or_else(err)?;
                let number = digits(rest).ok_or_else(err)?;
                <$inner>::try_from(number).map($name).map_err(|_| err())
            }
        }
    };
}

numbered!(
    /// A vat: one isolated unit of user code. Text form `v1`.
    VatId(u32), "v");
numbered!(
    /// A remote: this kernel's record of one peer kernel. Text form `r1`.
    RemoteId(u32), "r");
numbered!(
    /// A named set of vats launched together. Text form `s1`.
    SubclusterId(u32), "s");
numbered!(
    /// An object in the kernel's object table. Text form `ko1`.
    ObjectId(u64), "ko");
numbered!(
    /// A promise in the kernel's promise table. Text form `kp1`.
    PromiseId(u64), "kp");
numbered!(
    /// A host caller's durable interest in one result. Text form `call1`.
    CallId(u64), "call");
numbered!(
    /// A call of a kernel service that the host has not answered yet. Text form `service1`.
    ServiceCallId(u64), "service");
numbered!(
    /// One delivery attempt. An outcome that names another crank than the one in flight is dropped. Text form `crank1`.
    CrankId(u64), "crank");
numbered!(
    /// An OCAP URL that this kernel has issued. It is no secret; the URL is. Text form `url1`.
    UrlId(u64), "url");
numbered!(
    /// A connection to a peer, as the host numbers them; never used twice in one process. Text form `link1`.
    ConnectionId(u64), "link");
numbered!(
    /// One life of a vat's heap: it grows by one each time that the vat starts. Text form `run1`.
    RunId(u32), "run");

/// Who can have a c-list: a vat or a remote kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointId {
    /// A vat of this kernel.
    Vat(VatId),
    /// A peer kernel.
    Remote(RemoteId),
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vat(vat) => vat.fmt(f),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EndpointId {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        text.parse().map(Self::Vat).or_else(|_: ParseRefError| text.parse().map(Self::Remote))
    }
}

/// The id of one life of a store (G9): random, made with the store and never changed. Text form: 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Incarnation(pub [u8; 16]);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
