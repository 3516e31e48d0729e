//! How keys are written: order-preserving, so that the order of the bytes is the order of the typed keys.
//!
//! Grammar: a key is the table's tag (one byte) and then its parts. Numbers take one byte below 248, otherwise a byte
//! `247 + n` and then their `n` big-endian bytes without leading zeroes. Variants are one byte. A string is its raw
//! UTF-8 and always the last part. Every key has exactly one spelling; any other bytes are `Corrupt`.

use crate::bytes::{Key, hex};
use crate::record::Corrupt;
use std::fmt::Write as _;
use sturdy_types::{
    CallId, EndpointId, KRef, ObjectId, PromiseId, RemoteId, ServiceCallId, SourceHash, SubclusterId, UrlId, VRef,
    VatId, VirtualRef, json_string,
};

/// The largest first byte of a number that is the number itself.
const LAST_DIRECT: u8 = 247;
const INLINE: usize = 30;

/// Writes one key.
pub struct KeyWriter {
    len: usize,
    inline: [u8; INLINE],
    spilled: Vec<u8>,
}

impl KeyWriter {
    /// A key that begins with `tag`.
    #[inline]
    pub fn new(tag: u8) -> Self {
        let mut inline = [0; INLINE];
        inline[0] = tag;
        Self { len: 1, inline, spilled: Vec::new() }
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, byte: u8) {
        if self.len < INLINE {
            self.inline[self.len] = byte;
            self.len += 1;
        } else {
            self.bytes(&[byte]);
        }
    }

    /// A number.
    #[inline]
    pub fn number(&mut self, number: u64) {
        if number <= u64::from(LAST_DIRECT) {
            return self.u8(number.to_le_bytes()[0]);
        }
        let skip = number.leading_zeros() as usize / 8;
        self.u8(LAST_DIRECT + 8 - u8::try_from(skip).expect("at most seven leading zero bytes"));
        for &byte in &number.to_be_bytes()[skip..] {
            self.u8(byte);
        }
    }

    /// Raw bytes: a string as the last part, or a part of fixed length.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end <= INLINE {
            self.inline[self.len..end].copy_from_slice(bytes);
        } else {
            if self.spilled.is_empty() {
                self.spilled.extend_from_slice(&self.inline[..self.len]);
            }
            self.spilled.extend_from_slice(bytes);
        }
        self.len = end;
    }

    /// The key.
    #[inline]
    pub fn finish(self) -> Key {
        if self.len <= INLINE { Key::from_padded(self.inline, self.len) } else { Key::from(self.spilled) }
    }
}

/// Reads one key, strictly.
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    /// Reads the parts of a key, the tag already taken off.
    pub fn new(parts: &'a [u8]) -> Self {
        Self { rest: parts }
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Corrupt> {
        let (&first, rest) = self.rest.split_first().ok_or(Corrupt::Ends)?;
        self.rest = rest;
        Ok(first)
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Corrupt::Ends)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number.
    pub fn number(&mut self) -> Result<u64, Corrupt> {
        let first = self.u8()?;
        if first <= LAST_DIRECT {
            return Ok(u64::from(first));
        }
        let digits = self.bytes(usize::from(first - LAST_DIRECT))?;
        let number = digits.iter().fold(0, |number, &digit| number << 8 | u64::from(digit));
        let canonical = digits[0] != 0 && number > u64::from(LAST_DIRECT);
        if canonical { Ok(number) } else { Err(Corrupt::Number) }
    }

    /// A number of 32 bits.
    pub fn number32(&mut self) -> Result<u32, Corrupt> {
        u32::try_from(self.number()?).map_err(|_| Corrupt::Number)
    }

    /// Everything that is left, as text.
    pub fn text(&mut self) -> Result<&'a str, Corrupt> {
        let rest = std::mem::take(&mut self.rest);
        str::from_utf8(rest).map_err(|_| Corrupt::Utf8)
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<(), Corrupt> {
        if self.rest.is_empty() { Ok(()) } else { Err(Corrupt::Trailing) }
    }
}

/// A part of a key, or several, or all.
pub trait KeyPart: Sized {
    /// Appends it.
    fn write(&self, out: &mut KeyWriter);
    /// The reverse.
    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt>;
    /// Appends its text form, for people.
    fn text(&self, out: &mut String);
}

impl KeyPart for () {
    fn write(&self, _: &mut KeyWriter) {}

    fn read(_: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        Ok(())
    }

    fn text(&self, _: &mut String) {}
}

impl KeyPart for u64 {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        out.number(*self);
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        from.number()
    }

    fn text(&self, out: &mut String) {
        show(self, out);
    }
}

/// Writing to a `String` cannot fail.
fn show(value: impl std::fmt::Display, out: &mut String) {
    let _ = write!(out, "{value}");
}

/// The last part of a key, or of a prefix.
impl KeyPart for String {
    fn write(&self, out: &mut KeyWriter) {
        out.bytes(self.as_bytes());
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        from.text().map(Self::from)
    }

    fn text(&self, out: &mut String) {
        out.push_str(&json_string(self));
    }
}

impl KeyPart for SourceHash {
    fn write(&self, out: &mut KeyWriter) {
        out.bytes(&self.0);
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        let mut hash = [0; 32];
        hash.copy_from_slice(from.bytes(32)?);
        Ok(Self(hash))
    }

    fn text(&self, out: &mut String) {
        out.push_str(&hex(&self.0));
    }
}

macro_rules! ids {
    ($($id:ident . $number:ident),*) => {$(
        impl KeyPart for $id {
            #[inline]
            fn write(&self, out: &mut KeyWriter) {
                out.number(self.0.into());
            }

            fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
                from.$number().map(Self)
            }

            fn text(&self, out: &mut String) {
                show(self, out);
            }
        }
    )*};
}
ids!(
    VatId.number32,
    RemoteId.number32,
    SubclusterId.number32,
    ObjectId.number,
    PromiseId.number,
    CallId.number,
    ServiceCallId.number,
    UrlId.number
);

impl KeyPart for EndpointId {
    fn write(&self, out: &mut KeyWriter) {
        match self {
            Self::Vat(vat) => (out.u8(0), vat.write(out)).1,
            Self::Remote(remote) => (out.u8(1), remote.write(out)).1,
        }
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => VatId::read(from).map(Self::Vat),
            1 => RemoteId::read(from).map(Self::Remote),
            _ => Err(Corrupt::Variant),
        }
    }

    fn text(&self, out: &mut String) {
        show(self, out);
    }
}

impl KeyPart for KRef {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        match self {
            Self::Object(id) => (out.u8(0), id.write(out)).1,
            Self::Promise(id) => (out.u8(1), id.write(out)).1,
        }
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => ObjectId::read(from).map(Self::Object),
            1 => PromiseId::read(from).map(Self::Promise),
            _ => Err(Corrupt::Variant),
        }
    }

    fn text(&self, out: &mut String) {
        show(self, out);
    }
}

impl KeyPart for VRef {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        let (variant, number) = match *self {
            Self::Export(number) => (0, number),
            Self::Import(number) => (1, number),
            Self::PromiseExport(number) => (2, number),
            Self::PromiseImport(number) => (3, number),
            Self::Virtual(virt) => return write_virtual(virt, out),
        };
        out.u8(variant);
        out.number(number);
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        Ok(match from.u8()? {
            0 => Self::Export(from.number()?),
            1 => Self::Import(from.number()?),
            2 => Self::PromiseExport(from.number()?),
            3 => Self::PromiseImport(from.number()?),
            variant @ 4..=7 => Self::Virtual(VirtualRef {
                durable: variant >= 6,
                kind: from.number32()?,
                instance: from.number()?,
                facet: match variant {
                    4 | 6 => None,
                    _ => Some(u16::try_from(from.number()?).map_err(|_| Corrupt::Number)?),
                },
            }),
            _ => return Err(Corrupt::Variant),
        })
    }

    fn text(&self, out: &mut String) {
        show(self, out);
    }
}

/// 4 `o+vK/N`, 5 `o+vK/N:F`, 6 `o+dK/N`, 7 `o+dK/N:F`.
fn write_virtual(virt: VirtualRef, out: &mut KeyWriter) {
    out.u8(4 + 2 * u8::from(virt.durable) + u8::from(virt.facet.is_some()));
    out.number(virt.kind.into());
    out.number(virt.instance);
    if let Some(facet) = virt.facet {
        out.number(facet.into());
    }
}

impl<A: KeyPart, B: KeyPart> KeyPart for (A, B) {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        Ok((A::read(from)?, B::read(from)?))
    }

    fn text(&self, out: &mut String) {
        self.0.text(out);
        out.push('/');
        self.1.text(out);
    }
}

impl<A: KeyPart, B: KeyPart, C: KeyPart> KeyPart for (A, B, C) {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        Ok((A::read(from)?, B::read(from)?, C::read(from)?))
    }

    fn text(&self, out: &mut String) {
        self.0.text(out);
        out.push('/');
        self.1.text(out);
        out.push('/');
        self.2.text(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{krefs, vrefs};
    use proptest::prelude::*;

    fn written(part: &impl KeyPart) -> Vec<u8> {
        let mut out = KeyWriter::new(9);
        part.write(&mut out);
        out.finish().as_slice()[1..].to_vec()
    }

    fn read_back<P: KeyPart>(bytes: &[u8]) -> Result<P, Corrupt> {
        let mut from = KeyReader::new(bytes);
        let part = P::read(&mut from)?;
        from.finish().map(|()| part)
    }

    #[test]
    fn numbers_have_one_spelling() {
        for (number, text) in [
            (0, "00"),
            (247, "f7"),
            (248, "f8f8"),
            (256, "f90100"),
            (u64::from(u32::MAX), "fbffffffff"),
            (u64::MAX, "ffffffffffffffffff"),
        ] {
            assert_eq!(hex(&written(&number)), text);
        }
        for wrong in [&[0xf8, 0xf7][..], &[0xf9, 0, 0xff], &[0xff, 0, 1, 1, 1, 1, 1, 1, 1]] {
            assert_eq!(read_back::<u64>(wrong), Err(Corrupt::Number));
        }
        for short in [&[][..], &[0xf8], &[0xff, 1, 2, 3]] {
            assert_eq!(read_back::<u64>(short), Err(Corrupt::Ends));
        }
        assert_eq!(read_back::<VatId>(&[0xfc, 1, 0, 0, 0, 0]), Err(Corrupt::Number));
        assert_eq!(read_back::<u64>(&[1, 2]), Err(Corrupt::Trailing));
        assert_eq!(read_back::<String>(&[0xff]), Err(Corrupt::Utf8));
    }

    fn numbers() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #[test]
        fn the_order_of_numbers_and_text_is_kept(
            a in (numbers(), ".{0,40}"), b in (numbers(), ".{0,40}"),
        ) {
            prop_assert_eq!(written(&a).cmp(&written(&b)), a.cmp(&b));
            prop_assert_eq!(read_back::<(u64, String)>(&written(&a)), Ok(a));
        }

        #[test]
        fn references_come_back(kref in krefs(), vref in vrefs()) {
            prop_assert_eq!(read_back::<(KRef, VRef)>(&written(&(kref, vref))), Ok((kref, vref)));
        }

        #[test]
        fn what_is_read_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(part) = read_back::<(VRef, u64)>(&bytes) {
                prop_assert_eq!(written(&part), bytes.clone());
            }
            if let Ok(part) = read_back::<(EndpointId, KRef)>(&bytes) {
                prop_assert_eq!(written(&part), bytes);
            }
        }
    }
}
