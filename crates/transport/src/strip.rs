//! The first message that a relay writes on a circuit tells a limit, and the reference refuses to talk over circuits that
//! have one (wire-protocol §1.4). So that field is left out of the message, on its way out of the relay; what a relay
//! enforces is its own affair, and a circuit that it cuts is a lost connection like any other.
//!
//! What always holds: a message that is not understood passes as it is. Sans-IO; used by `alias`, which knows when the
//! protocol of a stream is settled.

/// The relay answers on this protocol: to a reservation, or to whoever wants a circuit.
const HOP_LINE: &[u8] = b"/libp2p/circuit/relay/0.2.0/hop\n";
/// The relay offers a circuit on this protocol.
const STOP_LINE: &[u8] = b"/libp2p/circuit/relay/0.2.0/stop\n";
/// The number of the limit in a message on `HOP_LINE`.
const HOP_LIMIT: u64 = 4;
/// The number of the limit in a message on `STOP_LINE`.
const STOP_LIMIT: u64 = 3;

/// Which field is left out of the first message that we write on a stream that a peer opened.
pub(crate) fn of_a_peers_stream(line: &[u8]) -> Option<u64> {
    (line == HOP_LINE).then_some(HOP_LIMIT)
}

/// Which field is left out of the first message that we write on a stream that we opened.
pub(crate) fn of_our_stream(line: &[u8]) -> Option<u64> {
    (line == STOP_LINE).then_some(STOP_LIMIT)
}

/// The message without a field; as it is, if it is not well formed.
pub(crate) fn without_field(message: &[u8], unwanted: u64) -> Vec<u8> {
    let mut kept = Vec::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let Some((number, length)) = field(rest) else { return message.to_vec() };
        let (this, after) = rest.split_at(length);
        if number != unwanted {
            kept.extend_from_slice(this);
        }
        rest = after;
    }
    kept
}

/// The number of the first field, and its bytes in all.
fn field(bytes: &[u8]) -> Option<(u64, usize)> {
    let (tag, start) = varint(bytes)?;
    let length = match tag & 7 {
        0 => start + varint(&bytes[start..])?.1,
        1 => start + 8,
        2 => {
            let (length, prefix) = varint(&bytes[start..])?;
            (start + prefix).checked_add(usize::try_from(length).ok()?)?
        }
        5 => start + 4,
        _ => return None,
    };
    (length <= bytes.len()).then_some((tag >> 3, length))
}

/// A number, and its bytes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_limit_is_left_out() {
        // type STATUS; limit of two hours; status OK
        let message = [0x08, 2, 0x22, 3, 0x08, 0xa0, 0x38, 0x28, 100];
        assert_eq!(without_field(&message, HOP_LIMIT), [0x08, 2, 0x28, 100]);
        assert_eq!(without_field(&message, STOP_LIMIT), message);
    }

    #[test]
    fn what_is_not_understood_passes() {
        for message in [&[0x22, 9, 0x08][..], &[0x23, 1], &[0xff; 20], &[0x08], &[0x22, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
            assert_eq!(without_field(message, HOP_LIMIT), message);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..60), unwanted in 0u64..6) {
            prop_assert!(without_field(&bytes, unwanted).len() <= bytes.len());
        }
    }
}
