//! The three spaces of reference: kernel (`KRef`), vat (`VRef`) and remote (`RRef`). They are distinct types;
//! only the kernel's translation module crosses between them (kernel-semantics §1.2, law 9).

use crate::ids::{ObjectId, PromiseId};
use crate::text::{ParseRefError, digits};
use std::fmt;
use std::str::FromStr;

/// A reference in kernel space: `ko4` or `kp17`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KRef {
    /// An object.
    Object(ObjectId),
    /// A promise.
    Promise(PromiseId),
}

impl fmt::Display for KRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => id.fmt(f),
            Self::Promise(id) => id.fmt(f),
        }
    }
}

impl FromStr for KRef {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        text.parse()
            .map(Self::Object)
            .or_else(|_: ParseRefError| text.parse().map(Self::Promise))
            .map_err(|_| ParseRefError::new(text, "ko<number> or kp<number>"))
    }
}

/// Which facet of a multi-faceted virtual object.
pub type Facet = u16;

/// An object that the vat keeps in its state rather than in its heap: `o+d10/1`, `o+v3/4:0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualRef {
    /// Durable (`d`): survives the vat's heap. Otherwise merely virtual (`v`): lost with it.
    pub durable: bool,
    /// The kind of object.
    pub kind: u32,
    /// Which object of that kind.
    pub instance: u64,
    /// Which facet of it, for kinds that have several.
    pub facet: Option<Facet>,
}

/// A reference in the space of one vat. `+` was allocated by the vat (its exports), `-` by the kernel (its imports).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VRef {
    /// `o+N`: an ephemeral object of the vat.
    Export(u64),
    /// `o+dK/N[:F]` or `o+vK/N[:F]`: an object in the vat's state.
    Virtual(VirtualRef),
    /// `o-N`: an object that the vat was given.
    Import(u64),
    /// `p+N`: a promise of the vat.
    PromiseExport(u64),
    /// `p-N`: a promise that the vat was given.
    PromiseImport(u64),
}

impl VRef {
    /// The root object of every vat.
    pub const ROOT: Self = Self::Export(0);

    /// True for promises, false for objects.
    pub const fn is_promise(self) -> bool {
        matches!(self, Self::PromiseExport(_) | Self::PromiseImport(_))
    }

    /// True when the vat allocated it.
    pub const fn is_export(self) -> bool {
        matches!(self, Self::Export(_) | Self::Virtual(_) | Self::PromiseExport(_))
    }

    /// True for an exported object that a new heap of the vat still knows: durable ones and the root.
    pub const fn survives_heap(self) -> bool {
        matches!(self, Self::Export(0) | Self::Virtual(VirtualRef { durable: true, .. }))
    }
}

impl fmt::Display for VRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Export(n) => write!(f, "o+{n}"),
            Self::Import(n) => write!(f, "o-{n}"),
            Self::PromiseExport(n) => write!(f, "p+{n}"),
            Self::PromiseImport(n) => write!(f, "p-{n}"),
            Self::Virtual(v) => {
                write!(f, "o+{}{}/{}", if v.durable { 'd' } else { 'v' }, v.kind, v.instance)?;
                v.facet.map_or(Ok(()), |facet| write!(f, ":{facet}"))
            }
        }
    }
}

impl FromStr for VRef {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        parse_vref(text).ok_or_else(|| ParseRefError::new(text, "o+N, o-N, p+N, p-N, o+dK/N[:F] or o+vK/N[:F]"))
    }
}

fn parse_vref(text: &str) -> Option<VRef> {
    let rest = text.get(2..)?;
    Some(match &text.as_bytes()[..2] {
        b"o-" => VRef::Import(digits(rest)?),
        b"p+" => VRef::PromiseExport(digits(rest)?),
        b"p-" => VRef::PromiseImport(digits(rest)?),
        b"o+" => match rest.as_bytes().first()? {
            b'd' => VRef::Virtual(parse_virtual(&rest[1..], true)?),
            b'v' => VRef::Virtual(parse_virtual(&rest[1..], false)?),
            _ => VRef::Export(digits(rest)?),
        },
        _ => return None,
    })
}

fn parse_virtual(text: &str, durable: bool) -> Option<VirtualRef> {
    let (kind, rest) = text.split_once('/')?;
    let (instance, facet) = match rest.split_once(':') {
        Some((instance, facet)) => (instance, Some(Facet::try_from(digits(facet)?).ok()?)),
        None => (rest, None),
    };
    Some(VirtualRef { durable, kind: u32::try_from(digits(kind)?).ok()?, instance: digits(instance)?, facet })
}

/// A reference in the space of one remote, in the frame of the side that reads it: `+` was allocated by the other
/// side, `-` by the reader's own (wire-protocol §3.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RRef {
    /// `ro+N`.
    Export(u64),
    /// `ro-N`.
    Import(u64),
    /// `rp+N`.
    PromiseExport(u64),
    /// `rp-N`.
    PromiseImport(u64),
}

impl fmt::Display for RRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Export(n) => write!(f, "ro+{n}"),
            Self::Import(n) => write!(f, "ro-{n}"),
            Self::PromiseExport(n) => write!(f, "rp+{n}"),
            Self::PromiseImport(n) => write!(f, "rp-{n}"),
        }
    }
}

impl FromStr for RRef {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        let err = || ParseRefError::new(text, "ro+N, ro-N, rp+N or rp-N");
        let number = text.get(3..).and_then(digits).ok_or_else(err)?;
        match &text.as_bytes()[..3] {
            b"ro+" => Ok(Self::Export(number)),
            b"ro-" => Ok(Self::Import(number)),
            b"rp+" => Ok(Self::PromiseExport(number)),
            b"rp-" => Ok(Self::PromiseImport(number)),
            _ => Err(err()),
        }
    }
}

macro_rules! debug_as_display {
    ($($name:ty),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )*};
}
debug_as_display!(KRef, VRef, RRef);

impl fmt::Debug for VirtualRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        VRef::Virtual(*self).fmt(f)
    }
}

impl From<ObjectId> for KRef {
    fn from(id: ObjectId) -> Self {
        Self::Object(id)
    }
}

impl From<PromiseId> for KRef {
    fn from(id: PromiseId) -> Self {
        Self::Promise(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // kernel-semantics §9 item 3.
    #[test]
    fn references_parse_and_print_alike() {
        for text in ["o+0", "o-3", "p+5", "p-1", "o+d10/1", "o+v3/4:0"] {
            assert_eq!(text.parse::<VRef>().map(|v| v.to_string()).as_deref(), Ok(text));
        }
        for text in ["ro+1", "ro-1", "rp+2", "rp-2"] {
            assert_eq!(text.parse::<RRef>().map(|r| r.to_string()).as_deref(), Ok(text));
        }
        for text in ["ko4", "kp17"] {
            assert_eq!(text.parse::<KRef>().map(|k| k.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn malformed_references_are_refused() {
        for text in
            ["", "x1", "o", "o+", "o+d10", "p+d1/2", "o-d1/2", "o+d1/2:", "o+d1/2:70000", "o+01", "é+1", "oé1", "p+-1"]
        {
            assert!(text.parse::<VRef>().is_err(), "{text:?}");
        }
        for text in ["", "ko", "kp", "ko-1", "ko01", "k1", "o+1"] {
            assert!(text.parse::<KRef>().is_err(), "{text:?}");
        }
        for text in ["", "o+5", "ro+abc", "ro", "r+1", "rp*1", "éé1"] {
            assert!(text.parse::<RRef>().is_err(), "{text:?}");
        }
    }
}
