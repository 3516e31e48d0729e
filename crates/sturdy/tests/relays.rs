//! Two kernels without a direct address and the relay between them, three real processes: money moves both ways while the
//! relay is killed and begun again. Each message takes effect exactly once and in order, nothing hangs, queues drain. The
//! same over each kind of wire, and between kernels that reach each other directly over the less usual ones.
//!
//! The short form runs with every `cargo test`; `STURDY_RELAY_KILLS=25` kills as many relays for each kind of wire. What
//! is asked, and how long a relay lives, follows from a seed, which `STURDY_SEED` repeats.

mod common;

use common::Place;
use common::chance::Chance;
use common::kernels::{Kernel, TCP};
use serde_json::Value;
use std::hint::spin_loop;
use std::time::{Duration, Instant};

const BANK: &str = include_str!("kills/bank.js");
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const WEB: &str = "/ip4/127.0.0.1/tcp/0/ws";
/// Requests that wait for each kernel in a round.
const LINES: u64 = 8;
/// Microseconds that a relay may live after somebody's first answer.
const LIFE_US: u64 = 30_000;

fn bank() -> Place {
    let place = Place::new();
    place.write("bank.js", BANK);
    place.write("cluster.json", r#"{"bootstrap": "bank", "vats": {"bank": {"sourceSpec": "bank.js"}}}"#);
    place
}

fn kills(short: u64) -> u64 {
    std::env::var("STURDY_RELAY_KILLS").map_or(short, |text| text.parse().unwrap())
}

/// One gets the other's URL.
fn introduce(giver: &mut Kernel, taker: &mut Kernel) {
    let url = giver.ask_text(":url issue bank");
    taker.ask(&format!(":url redeem {url} as other"));
    taker.ask("bank.meet(other)");
}

/// Asks both for more than they can do at once; returns once somebody has answered and a moment has passed.
fn begin(a: &mut Kernel, b: &mut Kernel, chance: &mut Chance) {
    for kernel in [&mut *a, &mut *b] {
        for _ in 0..LINES {
            kernel.say(&format!("bank.pay({}, {})", 1 + chance.below(30), 1 + chance.below(9)));
        }
    }
    let first = if chance.below(2) == 0 { a } else { b };
    assert_eq!(first.hear()["ok"], true);
    first.say("bank.books()"); // so that as many answers are left as of the other
    let (began, life) = (Instant::now(), Duration::from_micros(chance.below(LIFE_US)));
    while began.elapsed() < life {
        spin_loop();
    }
}

/// Everything is answered, and the books of both agree. Tells how many payments there were in all.
fn settle(a: &mut Kernel, b: &mut Kernel) -> u64 {
    for kernel in [&mut *a, &mut *b] {
        for _ in 0..LINES {
            let answer = kernel.hear();
            assert_eq!(answer["ok"], true, "{answer}");
        }
    }
    // Order is kept, so what is answered last has found everything before it.
    for kernel in [&mut *a, &mut *b] {
        assert_eq!(kernel.ask("bank.pay(1, 0)"), 1);
    }
    let (a, b) = (a.ask("bank.books()"), b.ask("bank.books()"));
    let number = |books: &Value, what: &str| books[what].as_u64().unwrap();
    assert_eq!(number(&a, "balance") + number(&b, "balance"), 2_000_000, "money is made or lost: {a} {b}");
    assert_eq!((&a["sent"], &b["sent"]), (&b["received"], &a["received"]), "lost or repeated: {a} {b}");
    assert_eq!((number(&a, "disorder"), number(&b, "disorder")), (0, 0), "out of order: {a} {b}");
    number(&a, "sent") + number(&b, "sent")
}

/// Queues drain, and the stores are sound.
fn end(kernels: [(Kernel, &Place); 2]) {
    let drained = kernels.map(|(mut kernel, place)| {
        kernel.ask_until(":peers", |peers| peers[0]["pendingMessages"] == 0);
        (kernel, place)
    });
    for (kernel, place) in drained {
        kernel.end();
        place.is_sound();
    }
}

/// Money moves through a relay that is reached so, and killed again and again.
fn through_a_mortal_relay(listen: &str, short: u64) {
    let (kills, mut chance) = (kills(short), Chance::new());
    let (middle, home_a, home_b) = (Place::new(), bank(), bank());
    let (mut relay, at) = Kernel::relay(&middle, listen);
    let same_place = at.split("/p2p/").next().unwrap();
    let mut a = Kernel::start(&home_a, &["--relay", &at]);
    let mut b = Kernel::start(&home_b, &["--relay", &at]);
    for kernel in [&mut a, &mut b] {
        kernel.note("has a place for this kernel");
    }
    introduce(&mut a, &mut b);
    introduce(&mut b, &mut a);
    let mut paid = 0;
    for _ in 0..kills {
        begin(&mut a, &mut b, &mut chance);
        relay.kill();
        relay = Kernel::relay(&middle, same_place).0;
        paid = settle(&mut a, &mut b);
        assert_eq!(a.ask(":peers")[0]["connected"], "relayed");
    }
    end([(a, &home_a), (b, &home_b)]);
    println!("{kills} kills of the relay at {listen}; {paid} payments");
}

#[test]
fn money_moves_through_a_relay_that_is_killed_over_tcp() {
    through_a_mortal_relay(TCP, 3);
}

#[test]
fn money_moves_through_a_relay_that_is_killed_over_quic() {
    // Nothing tells at once that the other end of a datagram is gone; it takes 10 s of silence.
    through_a_mortal_relay(QUIC, 1);
}

#[test]
fn money_moves_through_a_relay_that_is_killed_over_websocket() {
    through_a_mortal_relay(WEB, 3);
}

/// Money moves over this wire between kernels of which either is killed.
fn between_mortal_kernels(listen: &str) {
    let (kills, mut chance) = (kills(3), Chance::new());
    let (home_a, home_b) = (bank(), bank());
    let mut a = Kernel::start(&home_a, &["--listen", listen]);
    let mut b = Kernel::start(&home_b, &["--listen", listen]);
    introduce(&mut a, &mut b);
    introduce(&mut b, &mut a);
    let mut paid = 0;
    for _ in 0..kills {
        begin(&mut a, &mut b, &mut chance);
        // What it has not answered is asked of the next process: who only hears of it sees no difference.
        let (mut victim, home, other) = if chance.below(2) == 0 { (a, &home_a, b) } else { (b, &home_b, a) };
        let at = victim.address();
        victim.kill();
        victim = Kernel::start(home, &["--listen", &at]);
        for _ in 0..LINES {
            victim.say("bank.pay(1, 1)");
        }
        (a, b) = (victim, other);
        paid = settle(&mut a, &mut b);
        if home.path() == home_b.path() {
            (a, b) = (b, a);
        }
    }
    end([(a, &home_a), (b, &home_b)]);
    println!("{kills} kills of kernels at {listen}; {paid} payments");
}

#[test]
fn money_moves_over_quic_while_kernels_are_killed() {
    between_mortal_kernels(QUIC);
}

#[test]
fn money_moves_over_websocket_while_kernels_are_killed() {
    between_mortal_kernels(WEB);
}
