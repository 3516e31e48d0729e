//! The messages between kernels: what can be read can be written, and is read again as the same.

use sturdy_remote::{Packet, acknowledges, decode, encode};

/// One frame, without its length.
pub(crate) fn packets(data: &[u8]) {
    let Ok(packet) = decode(data) else { return };
    let text = encode(&packet);
    let again = decode(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    match (&packet, &again) {
        // A content that can never be processed is written as one that can never be processed.
        (Packet::Message(before), Packet::Message(after)) if before.body.is_err() => {
            assert_eq!((before.seq, before.ack, true), (after.seq, after.ack, after.body.is_err()), "{text}");
        }
        _ => assert_eq!(packet, again, "{text}"),
    }
    assert_eq!(encode(&again), text, "a packet has two spellings");
    if let Packet::Message(envelope) = &packet {
        assert_eq!(acknowledges(&text), envelope.ack, "{text}");
    }
}
