//! What checkers rely on: a forged message names what was not given, and a made-up text is known as one.

use super::*;
use sturdy_remote::{Envelope, encode};
use sturdy_types::Message;

const LINE: ConnectionId = ConnectionId(1);

/// A liar on a bound line, with a few objects and promises of the kernel.
fn befriended(dice: &mut Dice) -> Liar {
    let mut liar = Liar::new(0, dice);
    (liar.lies, liar.acknowledges, liar.answers) = (100, 0, 0);
    liar.lines.insert(LINE, Line { kernel: 0, side: Side::Listener, stage: Stage::Bound });
    let slots = vec![RRef::Export(1), RRef::Export(2), RRef::PromiseExport(1)];
    let message = Message { methargs: CapData { body: "#[]".into(), slots }, result: Some(RRef::PromiseExport(2)) };
    let call = Body::Deliver(Delivered::Message { target: RRef::Import(1), message });
    liar.talk(0).hears(Envelope { seq: 1, ack: None, body: Ok(call) });
    liar
}

/// Whether every name of a message was given, or is the liar's own and in its right place.
fn is_honest(target: RRef, message: &Message<RRef>, given: &BTreeSet<RRef>) -> bool {
    let known = |name: &RRef| given.contains(name) || matches!(name, RRef::Export(_) | RRef::PromiseExport(_));
    let result = message.result.is_none_or(|result| matches!(result, RRef::PromiseExport(_)));
    known(&target) && !matches!(target, RRef::Export(_)) && message.methargs.slots.iter().all(known) && result
}

#[test]
fn what_is_forged_was_not_given() {
    let around = Around { kernels: 1, urls: &[] };
    let mut forged = 0;
    for seed in 0..300 {
        let mut dice = Dice::new(seed, 0);
        let mut liar = befriended(&mut dice);
        let given = liar.talk(0).given.clone();
        for _ in 0..20 {
            for deed in liar.act(&around, &mut dice) {
                let Deed::Say(_, frame) = deed else { continue };
                let Ok(Packet::Message(Envelope { body: Ok(Body::Deliver(said)), .. })) = decode(&frame) else {
                    continue;
                };
                match said {
                    Delivered::Message { target, message } if message.methargs.body == FORGED => {
                        assert!(
                            !is_honest(target, &message, &given),
                            "seed {seed}: {}",
                            String::from_utf8_lossy(&frame)
                        );
                        forged += 1;
                    }
                    Delivered::Notify(batch) => {
                        for one in batch.iter().filter(|one| one.value.body == FORGED) {
                            assert!(one.value.slots.iter().any(|slot| !given.contains(slot)), "seed {seed}: {one:?}");
                            forged += 1;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(forged > 200, "only {forged}");
}

#[test]
fn what_is_granted_for_a_made_up_text_is_told() {
    let mut dice = Dice::new(1, 0);
    let mut liar = befriended(&mut dice);
    liar.guesses.insert("k".into());
    let mut hears = |seq: u64, key: &str, reply: RedeemReply| {
        let body = Ok(Body::RedeemUrlReply { key: key.into(), reply });
        let frame = encode(&Packet::Message(Envelope { seq, ack: None, body }));
        liar.heard(LINE, frame.as_bytes(), &mut dice)
    };
    assert!(hears(2, "k", RedeemReply::Refused("there is nothing".into())).is_ok());
    assert!(hears(3, "other", RedeemReply::Granted(RRef::Export(7))).is_ok());
    assert!(hears(4, "k", RedeemReply::Granted(RRef::Export(7))).is_err());
}

#[test]
fn a_new_life_knows_what_the_last_one_was_given_until_it_speaks() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed, 0);
        let mut liar = befriended(&mut dice);
        let talk = liar.talk(0);
        talk.begin_new_life(&mut dice);
        if talk.given.is_empty() {
            assert_eq!(talk.lost, [RRef::Import(2), RRef::Import(1)].into_iter().rev().collect::<Vec<_>>());
            talk.say(Body::Deliver(Delivered::BringOutYourDead));
            assert!(talk.lost.is_empty());
        }
    }
}
