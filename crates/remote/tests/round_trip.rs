//! What we write we read again, and nothing that a peer writes makes the reader fail badly.

use proptest::collection::vec;
use proptest::prelude::*;
use sturdy_remote::{
    Body, Delivered, Ended, Envelope, Hello, Histories, History, Packet, Position, RedeemReply, SturdyHello, decode,
    encode,
};
use sturdy_types::{CapData, Message, RRef, Resolution};

fn objects() -> impl Strategy<Value = RRef> {
    (1u64..1 << 53, any::<bool>()).prop_map(|(n, ours)| if ours { RRef::Import(n) } else { RRef::Export(n) })
}

fn promises() -> impl Strategy<Value = RRef> {
    (1u64..1 << 53, any::<bool>())
        .prop_map(|(n, ours)| if ours { RRef::PromiseImport(n) } else { RRef::PromiseExport(n) })
}

fn references() -> impl Strategy<Value = RRef> {
    prop_oneof![objects(), promises()]
}

fn values() -> impl Strategy<Value = CapData<RRef>> {
    ("#\\PC{0,20}|#[\\x00-\\x7f]{0,20}", vec(references(), 0..4)).prop_map(|(body, slots)| CapData { body, slots })
}

fn deliveries() -> impl Strategy<Value = Delivered> {
    let resolution = (promises(), any::<bool>(), values()).prop_map(|(promise, rejected, value)| Resolution {
        promise,
        rejected,
        value,
    });
    prop_oneof![
        (references(), values(), proptest::option::of(promises())).prop_map(|(target, methargs, result)| {
            Delivered::Message { target, message: Message { methargs, result } }
        }),
        vec(resolution, 1..4).prop_map(Delivered::Notify),
        vec(references(), 0..4).prop_map(Delivered::DropExports),
        vec(references(), 0..4).prop_map(Delivered::RetireExports),
        vec(references(), 0..4).prop_map(Delivered::RetireImports),
        Just(Delivered::BringOutYourDead),
    ]
}

fn bodies() -> impl Strategy<Value = Body> {
    let reply = prop_oneof![references().prop_map(RedeemReply::Granted), "\\PC{0,20}".prop_map(RedeemReply::Refused)];
    prop_oneof![
        deliveries().prop_map(Body::Deliver),
        ("\\PC{0,40}", "\\PC{0,20}").prop_map(|(url, key)| Body::RedeemUrl { url, key }),
        ("\\PC{0,20}", reply).prop_map(|(key, reply)| Body::RedeemUrlReply { key, reply }),
    ]
}

fn packets() -> impl Strategy<Value = Packet> {
    let position = || {
        (1u64..1 << 50, 0u64..1000, 0u64..1 << 53).prop_map(|(first_pending, pending, highest_received)| Position {
            first_pending,
            next_send: first_pending + pending,
            highest_received,
        })
    };
    let histories = || {
        proptest::option::of((any::<u64>(), any::<u64>()).prop_map(|(acknowledged, received)| Histories {
            acknowledged: History(acknowledged),
            received: History(received),
        }))
    };
    let ended = move || {
        (1u64..1 << 53, position(), histories()).prop_map(|(conversation, position, histories)| Ended {
            conversation,
            position,
            histories,
        })
    };
    let sturdy = move || {
        let saw = proptest::option::of("\\PC{1,40}");
        (1u64..10, 1u64..1 << 53, saw, position(), histories(), any::<bool>(), proptest::option::of(ended())).prop_map(
            |(version, conversation, saw, position, histories, recorded, ended)| SturdyHello {
                version,
                conversation,
                saw,
                position,
                histories,
                recorded,
                ended,
            },
        )
    };
    let hello = || {
        ("\\PC{1,40}", proptest::option::of(sturdy())).prop_map(|(incarnation, sturdy)| Hello { incarnation, sturdy })
    };
    prop_oneof![
        hello().prop_map(Packet::Handshake),
        hello().prop_map(Packet::HandshakeAck),
        (1u64..1 << 53, proptest::option::of(0u64..1 << 53)).prop_map(|(ack, alloc)| Packet::Ack { ack, alloc }),
        (1u64..1 << 53, 0u64..1 << 53, 0u64..1 << 53).prop_map(|(ack, alloc, room)| Packet::Credit {
            ack,
            alloc,
            room
        }),
        (1u64..1 << 53, proptest::option::of(1u64..1 << 53), bodies())
            .prop_map(|(seq, ack, body)| Packet::Message(Envelope { seq, ack, body: Ok(body) })),
    ]
}

/// JSON that resembles messages: the words of the protocol in wrong places.
fn nonsense() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just("null".to_owned()),
        Just("1".to_owned()),
        Just("-1".to_owned()),
        Just("1e99".to_owned()),
        Just("true".to_owned()),
        "\"(deliver|message|notify|redeemURL|ro\\+1|rp-1|ro\\+0|o\\+5|#x)\"",
    ];

    words.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("(seq|ack|method|params|methargs|result|body|slots|incarnationId)", inner), 0..5).prop_map(
                |members| {
                    let members: Vec<_> =
                        members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                    format!("{{{}}}", members.join(","))
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn what_we_write_we_read(packet in packets()) {
        prop_assert_eq!(decode(encode(&packet).as_bytes()), Ok(packet));
    }

    #[test]
    fn nonsense_is_refused_without_harm(json in nonsense()) {
        if let Ok(packet @ (Packet::Message(Envelope { body: Ok(_), .. }) | Packet::Ack { .. } | Packet::Credit { .. })) = decode(json.as_bytes()) {
            prop_assert_eq!(decode(encode(&packet).as_bytes()), Ok(packet));
        }
    }

    #[test]
    fn bytes_are_refused_without_harm(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}

#[test]
fn frames_that_cannot_be_processed_keep_their_number() {
    for (text, wrong) in [
        (
            r##"{"seq":3,"method":"deliver","params":["message","o+5",{"methargs":{"body":"#[]","slots":[]}}]}"##,
            "not a reference",
        ),
        (
            r##"{"seq":3,"method":"deliver","params":["message","ro-1",{"methargs":{"body":"#[]","slots":["ro+abc"]}}]}"##,
            "not a reference",
        ),
        (
            r##"{"seq":3,"method":"deliver","params":["message","ro-1",{"methargs":{"body":"#[]","slots":[]},"result":"ro+1"}]}"##,
            "promise",
        ),
        (r#"{"seq":3,"method":"deliver","params":["notify",[]]}"#, "nothing"),
        (r#"{"seq":3,"method":"shutdown","params":[]}"#, "unknown"),
        (r#"{"seq":3}"#, "no method"),
    ] {
        match decode(text.as_bytes()) {
            Ok(Packet::Message(Envelope { seq: 3, body: Err(why), .. })) => {
                assert!(why.contains(wrong), "{why}: {text}");
            }
            other => panic!("{other:?}: {text}"),
        }
    }
}

#[test]
fn frames_that_say_nothing_are_errors() {
    for text in
        ["", "null", "[]", "{", "{}", r#"{"seq":0}"#, r#"{"seq":1.5}"#, r#"{"ack":-1}"#, r#"{"method":"handshake"}"#]
    {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert!(decode(deep.as_bytes()).is_err(), "depth is bounded");
}
