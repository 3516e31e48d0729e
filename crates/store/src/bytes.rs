//! Byte strings that live inline while they are short. Keys and most records are a few bytes, and a crank handles
//! dozens of them: none of these should cost an allocation.
//!
//! What always holds: equal contents have equal representations (short ones are inline and zero-padded, longer ones
//! boxed), and the order is that of the bytes. What the bytes mean is in `key.rs` and `record.rs`.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A byte string, inline up to `N` bytes (`N` < 256).
#[derive(Clone)]
pub struct SmallBytes<const N: usize>(Repr<N>);

#[derive(Clone)]
enum Repr<const N: usize> {
    /// At most `N` bytes; those beyond `len` are zero.
    Inline { len: u8, bytes: [u8; N] },
    /// Shared: a row is in the cache, in a batch and in an engine in memory at once, and may be long.
    Boxed(Arc<[u8]>),
}

/// The key of a row.
pub type Key = SmallBytes<30>;

/// The stored form of a record.
pub type Value = SmallBytes<46>;

impl<const N: usize> SmallBytes<N> {
    /// A copy of `bytes`.
    #[inline]
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() > N {
            return Self(Repr::Boxed(bytes.into()));
        }
        let mut inline = [0; N];
        inline[..bytes.len()].copy_from_slice(bytes);
        Self::from_padded(inline, bytes.len())
    }

    /// The first `len` bytes of `bytes`, which must be zero beyond them.
    #[inline]
    pub(crate) fn from_padded(bytes: [u8; N], len: usize) -> Self {
        debug_assert!(bytes[len..].iter().all(|&byte| byte == 0), "the padding is zero");
        Self(Repr::Inline { len: u8::try_from(len).expect("inline lengths are below 256"), bytes })
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Boxed(bytes) => bytes,
        }
    }

    /// How many bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Inline { len, .. } => usize::from(*len),
            Repr::Boxed(bytes) => bytes.len(),
        }
    }

    /// True when there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<const N: usize> From<Vec<u8>> for SmallBytes<N> {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() > N { Self(Repr::Boxed(bytes.into())) } else { Self::new(&bytes) }
    }
}

impl<const N: usize> From<&[u8]> for SmallBytes<N> {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl<const N: usize> AsRef<[u8]> for SmallBytes<N> {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<const N: usize> Borrow<[u8]> for SmallBytes<N> {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<const N: usize> PartialEq for SmallBytes<N> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Inline { len: len_a, bytes: a }, Repr::Inline { len: len_b, bytes: b }) => {
                len_a == len_b && padded_equal(a, b)
            }
            (Repr::Boxed(a), Repr::Boxed(b)) => a == b,
            _ => false,
        }
    }
}

impl<const N: usize> Eq for SmallBytes<N> {}

/// Every lookup ends with this comparison: for keys it is two comparisons of 16 (overlapping) bytes without a call.
#[inline]
fn padded_equal<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    if N > 32 {
        return a == b;
    }
    let halves = |bytes: &[u8; N]| Some((*bytes.first_chunk::<16>()?, *bytes.last_chunk::<16>()?));
    match (halves(a), halves(b)) {
        (Some(a), Some(b)) => {
            (u128::from_ne_bytes(a.0) ^ u128::from_ne_bytes(b.0))
                | (u128::from_ne_bytes(a.1) ^ u128::from_ne_bytes(b.1))
                == 0
        }
        _ => a == b,
    }
}

impl<const N: usize> PartialOrd for SmallBytes<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for SmallBytes<N> {
    /// The order of the bytes. Short ones compare as they are padded: where one ends, zeroes are never greater than
    /// what the other has there, and if all is equal the shorter one comes first.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let halves = |bytes: &[u8; N]| Some((*bytes.first_chunk::<16>()?, *bytes.last_chunk::<16>()?));
        if N <= 32
            && let (Repr::Inline { len: len_a, bytes: a }, Repr::Inline { len: len_b, bytes: b }) = (&self.0, &other.0)
            && let (Some(a), Some(b)) = (halves(a), halves(b))
        {
            let number = u128::from_be_bytes;
            return (number(a.0), number(a.1), len_a).cmp(&(number(b.0), number(b.1), len_b));
        }
        self.as_slice().cmp(other.as_slice())
    }
}

impl<const N: usize> fmt::Debug for SmallBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.as_slice()))
    }
}

/// `bytes` as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_and_values_are_small() {
        assert_eq!(size_of::<Key>(), 32);
        assert_eq!(size_of::<Option<Value>>(), 48);
    }

    proptest! {
        #[test]
        fn contents_and_order_are_those_of_the_bytes(
            a in proptest::collection::vec(0u8..3, 0..40), b in proptest::collection::vec(0u8..3, 0..40),
        ) {
            let (small_a, small_b) = (Key::new(&a), Key::from(b.clone()));
            prop_assert_eq!(small_a.as_slice(), &a[..]);
            prop_assert_eq!(small_b.len(), b.len());
            prop_assert_eq!(small_a.cmp(&small_b), a.cmp(&b));
            prop_assert_eq!(small_a == small_b, a == b);
            prop_assert_eq!(hex(&a).len(), 2 * a.len());
        }
    }
}
