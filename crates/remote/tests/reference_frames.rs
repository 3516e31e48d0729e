//! Frames that the reference really sent decode, and encode to the same bytes. One frame per line, in hex, with its
//! length prefix; captured from two kernels of the reference on one machine, with throw-away keys.

use sturdy_remote::{Body, Delivered, FrameReader, Packet, decode, encode, write_frame};

fn frames() -> Vec<Vec<u8>> {
    let text = include_str!("data/reference-frames.hex");
    text.lines()
        .map(|line| {
            let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("hex");
            (0..line.len() / 2).map(|index| byte(index * 2)).collect()
        })
        .collect()
}

#[test]
fn the_references_frames_decode_and_encode_to_the_same_bytes() {
    let mut kinds = std::collections::BTreeMap::new();
    for framed in frames() {
        let mut rest = framed.as_slice();
        let payload = FrameReader::new().read(&mut rest).expect("well framed").expect("complete");
        assert!(rest.is_empty(), "nothing follows the frame");
        let text = String::from_utf8_lossy(&payload);
        let packet = decode(&payload).unwrap_or_else(|error| panic!("{error}: {text}"));
        let kind = match &packet {
            Packet::Handshake(_) => "handshake",
            Packet::HandshakeAck(_) => "handshakeAck",
            Packet::Ack { .. } | Packet::Credit { .. } => "ack",
            Packet::Message(envelope) => match envelope.body.as_ref().unwrap_or_else(|wrong| panic!("{wrong}: {text}"))
            {
                Body::Deliver(Delivered::Message { .. }) => "message",
                Body::Deliver(Delivered::Notify(_)) => "notify",
                Body::Deliver(_) => "garbage",
                Body::RedeemUrl { .. } => "redeemURL",
                Body::RedeemUrlReply { .. } => "redeemURLReply",
            },
        };
        *kinds.entry(kind).or_insert(0) += 1;
        let mut again = Vec::new();
        write_frame(encode(&packet).as_bytes(), &mut again).expect("short enough");
        assert_eq!(again, framed, "{text}");
    }
    let all = ["ack", "garbage", "handshake", "handshakeAck", "message", "notify", "redeemURL", "redeemURLReply"];
    assert!(kinds.keys().eq(all.iter()), "the capture holds every kind of frame: {kinds:?}");
}
