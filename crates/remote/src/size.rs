//! What fits into one frame, so that nothing is queued that could never be sent (L9).
//!
//! What always holds: a message or settlement whose value [`fits`] is encoded in at most `MAX_FRAME_BYTES`, whatever its
//! numbers are. The bounds are generous by a few hundred bytes, so that they do not depend on those numbers.

use crate::frame::MAX_FRAME_BYTES;
use sturdy_types::{CapData, json_string_bytes};

/// Bytes around the value of a message, and around each value and the whole in a list of settlements, at most.
pub const ENVELOPE_BYTES: usize = 256;

/// Bytes of a reference in a list, at most: `"rp+18446744073709551615",`.
const REFERENCE_BYTES: usize = 26;

/// The most entries of one list on the wire.
pub const MAX_LIST: usize = 10_000;

/// Bytes that the value of a message or settlement may take on the wire.
pub const MAX_VALUE_BYTES: usize = MAX_FRAME_BYTES - 2 * ENVELOPE_BYTES;

/// What a value takes on the wire, at most: its body as a JSON string, and its references.
pub fn value_bytes<R>(value: &CapData<R>) -> usize {
    json_string_bytes(&value.body) + REFERENCE_BYTES * value.slots.len()
}

/// Whether a value can be told to a peer at all.
pub fn fits<R>(value: &CapData<R>) -> bool {
    value.slots.len() <= MAX_LIST && value_bytes(value) <= MAX_VALUE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode;
    use crate::wire::{Body, Delivered, Envelope, Packet};
    use proptest::prelude::*;
    use sturdy_types::{Message, RRef, Resolution};

    /// The frame of a message and that of a settlement with this value, with the longest numbers that there are.
    fn frames(value: &CapData<RRef>) -> [usize; 2] {
        let most = u64::MAX;
        let (target, result) = (RRef::PromiseExport(most), RRef::PromiseImport(most));
        let message = Message { methargs: value.clone(), result: Some(result) };
        let resolution = Resolution { promise: target, rejected: false, value: value.clone() };
        [Delivered::Message { target, message }, Delivered::Notify(vec![resolution])].map(|delivered| {
            let body = Ok(Body::Deliver(delivered));
            encode(&Packet::Message(Envelope { seq: most, ack: Some(most), body })).len()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        /// However a body is written, and wherever it ends around the limit: what fits, fits.
        #[test]
        fn what_fits_is_a_frame(
            letters in "[a\"\\\\\n\u{1}é€😀]{1,8}", slots in prop_oneof![0usize..3, 9_900usize..10_001], beyond in -40isize..40,
        ) {
            let slots = vec![RRef::PromiseExport(u64::MAX); slots];
            let room = MAX_VALUE_BYTES - REFERENCE_BYTES * slots.len();
            let each = json_string_bytes(&letters) - 2;
            let mut value = CapData { body: format!("#{}", letters.repeat(room / each - 100)), slots };
            let letter = if beyond % 2 == 0 { "x" } else { "\"" };
            let short = (MAX_VALUE_BYTES - value_bytes(&value)).saturating_add_signed(beyond);
            value.body.push_str(&letter.repeat(short.div_ceil(json_string_bytes(letter) - 2)));
            prop_assert_eq!(fits(&value), value_bytes(&value) <= MAX_VALUE_BYTES);
            for frame in frames(&value) {
                prop_assert!(!fits(&value) || frame <= MAX_FRAME_BYTES, "{frame}");
                prop_assert!(frame + 2 * ENVELOPE_BYTES + REFERENCE_BYTES > value_bytes(&value), "no room is wasted");
            }
        }
    }

    #[test]
    fn no_list_is_longer_than_what_is_read() {
        let value = |slots| CapData { body: "#[]".into(), slots: vec![RRef::Export(1); slots] };
        assert!(fits(&value(MAX_LIST)) && !fits(&value(MAX_LIST + 1)));
    }
}
