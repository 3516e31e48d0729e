//! What must hold in every world that can be reached. Each promise looks at both sides and the ledger, from outside.
//!
//! Always: a promise is a pure function of one world; what only a transition can see is noted there as a `Flaw`.

use crate::world::{Fate, Store, World};
use std::collections::{BTreeMap, BTreeSet};

/// A name and what must hold.
pub type Promise = (&'static str, fn(&World) -> bool);

pub const PROMISES: &[Promise] = &[
    ("a message takes effect at most once, whatever is lost (G5)", takes_effect_at_most_once),
    ("messages take effect in order and without gaps in each conversation (G5)", takes_effect_in_order),
    ("a message takes effect in the conversation and under the number in which it was sent (L1)", is_where_it_was_sent),
    ("no payload reaches another life of the peer than it was meant for (G10)", reaches_its_addressee),
    ("what was acknowledged is durable with the peer (G6)", acknowledged_is_durable),
    ("the outbox holds what is pending, and nothing pending is forgotten (G7)", outbox_is_complete),
    ("both ends of a bound connection mean the same conversation (L1, L3)", ends_agree),
    ("no transition found a flaw (false verdicts, honest liars, dead speakers)", |world| world.flaw.is_none()),
];

/// The first promise that is broken.
pub fn broken(world: &World) -> Option<&'static str> {
    PROMISES.iter().find(|(_, holds)| !holds(world)).map(|(name, _)| *name)
}

fn takes_effect_at_most_once(world: &World) -> bool {
    world.parties.iter().all(|party| {
        let mut seen = BTreeSet::new();
        party.lives().flat_map(|store| &store.taken).all(|taken| seen.insert((taken.life, taken.serial)))
    })
}

fn takes_effect_in_order(world: &World) -> bool {
    let in_order = |store: &Store| {
        let mut last = BTreeMap::new();
        for taken in &store.taken {
            let (seq, serial) = last.entry((taken.life, taken.conversation)).or_insert((0, None));
            if taken.seq != *seq + 1 || *serial >= Some(taken.serial) {
                return false;
            }
            (*seq, *serial) = (taken.seq, Some(taken.serial));
        }
        let present = store.peer_life().and_then(|life| last.get(&(life, store.conversation)));
        present.map_or(0, |(seq, _)| *seq) == store.position.highest_received
    };
    world.parties.iter().all(|party| in_order(party.store()) && in_order(&party.durable))
}

fn is_where_it_was_sent(world: &World) -> bool {
    each_taken(world, |taken, sent, _| (taken.conversation, taken.seq) == (sent.conversation, sent.seq))
}

fn reaches_its_addressee(world: &World) -> bool {
    each_taken(world, |_, sent, receiver| sent.meant == Some(receiver.life))
}

/// Looks at every effect together with the sender's durable line about it.
fn each_taken(world: &World, holds: impl Fn(&crate::world::Taken, &crate::world::Sent, &Store) -> bool) -> bool {
    (0..2).all(|side| {
        world.parties[side].lives().all(|receiver| {
            receiver.taken.iter().all(|taken| {
                let mut senders = world.parties[1 - side].durable_lives();
                let sent = senders.find(|sender| sender.life == taken.life);
                sent.and_then(|sender| sender.sent.get(&taken.serial)).is_some_and(|sent| holds(taken, sent, receiver))
            })
        })
    })
}

fn acknowledged_is_durable(world: &World) -> bool {
    (0..2).all(|side| {
        world.parties[side].lives().all(|sender| {
            sender.sent.iter().filter(|(_, sent)| sent.fate == Fate::Acknowledged).all(|(&serial, _)| {
                let mut taken = world.parties[1 - side].durable_lives().flat_map(|store| &store.taken);
                taken.any(|taken| (taken.life, taken.serial) == (sender.life, serial))
            })
        })
    })
}

fn outbox_is_complete(world: &World) -> bool {
    world.parties.iter().flat_map(|party| [party.store(), &*party.durable]).all(|store| {
        let pending = store.sent.values().filter(|sent| sent.fate == Fate::Pending);
        let numbers: Vec<u64> = pending.map(|sent| sent.seq).collect();
        let held = store.outbox.keys().copied();
        held.clone().eq(numbers) && held.eq(store.position.first_pending..store.position.next_send)
    })
}

fn ends_agree(world: &World) -> bool {
    world.wires.iter().all(|wire| match (wire.ends[0].bound(), wire.ends[1].bound()) {
        (Some(one), Some(other)) => {
            one.conversation == other.conversation && one.ours == other.theirs && one.theirs == other.ours
        }
        _ => true,
    })
}
