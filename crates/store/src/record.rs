//! How records are written: compact and strict.
//!
//! Numbers are LEB128 in their shortest form, variants and booleans one byte, strings and lists have their length
//! first. Every record has exactly one spelling; anything else is `Corrupt`, never a panic and never more memory than
//! the input deserves.

use sturdy_types::{
    CallId, CapData, KRef, Message, ObjectId, PromiseId, RemoteId, RunId, ServiceCallId, SourceHash, SubclusterId,
    UrlId, VRef, VatId, VirtualRef,
};

/// Why bytes are not what this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corrupt {
    /// They end too early.
    #[error("it ends too early")]
    Ends,
    /// They go on after the end.
    #[error("bytes follow its end")]
    Trailing,
    /// An unknown variant or boolean.
    #[error("it holds an unknown variant")]
    Variant,
    /// A number that is too large or not in its shortest form.
    #[error("it holds a malformed number")]
    Number,
    /// Text that is not UTF-8.
    #[error("it holds text that is not UTF-8")]
    Utf8,
}

/// Writes one record.
pub struct RecordWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> RecordWriter<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, byte: u8) {
        self.out.push(byte);
    }

    /// A number.
    #[inline]
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.out.push(number.to_le_bytes()[0]);
    }

    /// Bytes of known length.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

/// Reads one record, strictly.
pub struct RecordReader<'a> {
    rest: &'a [u8],
}

impl<'a> RecordReader<'a> {
    /// Reads from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Corrupt> {
        let (&first, rest) = self.rest.split_first().ok_or(Corrupt::Ends)?;
        self.rest = rest;
        Ok(first)
    }

    /// A number.
    #[inline]
    pub fn number(&mut self) -> Result<u64, Corrupt> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let digit = u64::from(byte & 0x7f);
            if shift == 63 && digit > 1 || shift > 0 && byte == 0 {
                return Err(Corrupt::Number);
            }
            number |= digit << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Corrupt::Number)
    }

    /// The next `count` bytes.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Corrupt::Ends)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A length or count of things that take at least one byte each.
    #[inline]
    pub fn count(&mut self) -> Result<usize, Corrupt> {
        let count = usize::try_from(self.number()?).map_err(|_| Corrupt::Ends)?;
        if count <= self.rest.len() { Ok(count) } else { Err(Corrupt::Ends) }
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<(), Corrupt> {
        if self.rest.is_empty() { Ok(()) } else { Err(Corrupt::Trailing) }
    }
}

/// A record, or a part of one.
pub trait Stored: Sized {
    /// Appends it.
    fn write(&self, out: &mut RecordWriter<'_>);
    /// The reverse.
    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt>;
}

impl Stored for () {
    fn write(&self, _: &mut RecordWriter<'_>) {}

    fn read(_: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        Ok(())
    }
}

impl Stored for u64 {
    #[inline]
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.number(*self);
    }

    #[inline]
    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        from.number()
    }
}

macro_rules! narrow {
    ($($number:ty),*) => {$(
        impl Stored for $number {
            #[inline]
            fn write(&self, out: &mut RecordWriter<'_>) {
                out.number((*self).into());
            }

            #[inline]
            fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
                from.number()?.try_into().map_err(|_| Corrupt::Number)
            }
        }
    )*};
}
narrow!(u16, u32);

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl Stored for $id {
            #[inline]
            fn write(&self, out: &mut RecordWriter<'_>) {
                self.0.write(out);
            }

            #[inline]
            fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
                Stored::read(from).map(Self)
            }
        }
    )*};
}
ids!(VatId, RemoteId, SubclusterId, ObjectId, PromiseId, CallId, ServiceCallId, RunId, UrlId);

impl Stored for bool {
    #[inline]
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.u8(u8::from(*self));
    }

    #[inline]
    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Corrupt::Variant),
        }
    }
}

impl Stored for String {
    #[inline]
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.number(self.len() as u64);
        out.bytes(self.as_bytes());
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        let len = from.count()?;
        str::from_utf8(from.bytes(len)?).map(Self::from).map_err(|_| Corrupt::Utf8)
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.number(self.len() as u64);
        for item in self {
            item.write(out);
        }
    }

    // Collecting results grows the list as items are found, so a lying count costs nothing.
    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        let count = from.count()?;
        (0..count).map(|_| T::read(from)).collect()
    }
}

impl<T: Stored> Stored for Option<T> {
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.u8(u8::from(self.is_some()));
        if let Some(inside) = self {
            inside.write(out);
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        if bool::read(from)? { T::read(from).map(Some) } else { Ok(None) }
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn write(&self, out: &mut RecordWriter<'_>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

impl Stored for SourceHash {
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.bytes(&self.0);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        let mut hash = [0; 32];
        hash.copy_from_slice(from.bytes(32)?);
        Ok(Self(hash))
    }
}

impl Stored for KRef {
    #[inline]
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Object(id) => (out.u8(0), id.write(out)).1,
            Self::Promise(id) => (out.u8(1), id.write(out)).1,
        }
    }

    #[inline]
    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Stored::read(from).map(Self::Object),
            1 => Stored::read(from).map(Self::Promise),
            _ => Err(Corrupt::Variant),
        }
    }
}

impl Stored for VRef {
    fn write(&self, out: &mut RecordWriter<'_>) {
        let (variant, number) = match *self {
            Self::Export(number) => (0, number),
            Self::Import(number) => (1, number),
            Self::PromiseExport(number) => (2, number),
            Self::PromiseImport(number) => (3, number),
            Self::Virtual(virt) => {
                out.u8(4 + u8::from(virt.durable));
                virt.kind.write(out);
                virt.instance.write(out);
                return virt.facet.write(out);
            }
        };
        out.u8(variant);
        out.number(number);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        Ok(match from.u8()? {
            0 => Self::Export(from.number()?),
            1 => Self::Import(from.number()?),
            2 => Self::PromiseExport(from.number()?),
            3 => Self::PromiseImport(from.number()?),
            variant @ 4..=5 => Self::Virtual(VirtualRef {
                durable: variant == 5,
                kind: Stored::read(from)?,
                instance: Stored::read(from)?,
                facet: Stored::read(from)?,
            }),
            _ => return Err(Corrupt::Variant),
        })
    }
}

/// A `Stored` struct: its fields in this order.
macro_rules! stored_struct {
    ($name:ty { $($field:ident),* }) => {
        impl $crate::record::Stored for $name {
            fn write(&self, out: &mut $crate::record::RecordWriter<'_>) {
                $($crate::record::Stored::write(&self.$field, out);)*
            }

            fn read(from: &mut $crate::record::RecordReader<'_>) -> Result<Self, $crate::record::Corrupt> {
                Ok(Self { $($field: $crate::record::Stored::read(from)?),* })
            }
        }
    };
}
pub(crate) use stored_struct;

stored_struct!(CapData<KRef> { body, slots });
stored_struct!(Message<KRef> { methargs, result });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{messages, vrefs};
    use proptest::prelude::*;

    fn written(record: &impl Stored) -> Vec<u8> {
        let mut out = Vec::new();
        record.write(&mut RecordWriter::new(&mut out));
        out
    }

    fn read_back<S: Stored>(bytes: &[u8]) -> Result<S, Corrupt> {
        let mut from = RecordReader::new(bytes);
        let record = S::read(&mut from)?;
        from.finish().map(|()| record)
    }

    #[test]
    fn numbers_have_one_spelling() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(read_back::<u64>(&written(&number)), Ok(number));
        }
        assert_eq!(read_back::<u64>(&[0x80, 0]), Err(Corrupt::Number));
        assert_eq!(read_back::<u64>(&[0x80]), Err(Corrupt::Ends));
        assert_eq!(read_back::<u64>(&[0xff; 11]), Err(Corrupt::Number));
        assert_eq!(read_back::<u64>(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err(Corrupt::Number));
        assert_eq!(read_back::<u32>(&written(&(1u64 << 32))), Err(Corrupt::Number));
        assert_eq!(read_back::<u64>(&[1, 1]), Err(Corrupt::Trailing));
    }

    #[test]
    fn lies_about_length_are_refused() {
        assert_eq!(read_back::<String>(&[5, b'a']), Err(Corrupt::Ends));
        assert_eq!(read_back::<Vec<u64>>(&written(&u64::MAX)), Err(Corrupt::Ends));
        assert_eq!(read_back::<String>(&[1, 0xff]), Err(Corrupt::Utf8));
        assert_eq!(read_back::<bool>(&[2]), Err(Corrupt::Variant));
    }

    proptest! {
        #[test]
        fn messages_and_references_come_back(message in messages(), vref in vrefs()) {
            prop_assert_eq!(read_back(&written(&message)), Ok(message));
            prop_assert_eq!(read_back(&written(&vref)), Ok(vref));
        }

        #[test]
        fn what_is_read_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(record) = read_back::<(VRef, Vec<String>)>(&bytes) {
                prop_assert_eq!(written(&record), bytes.clone());
            }
            if let Ok(record) = read_back::<Message<KRef>>(&bytes) {
                prop_assert_eq!(written(&record), bytes);
            }
        }
    }
}
