//! Two real kernels on loopback with real stores, and money that moves both ways: processes are killed with SIGKILL,
//! connections are cut, a store is lost. Each message takes effect exactly once and in order, or its caller is told.
//!
//! The short form runs with every `cargo test`; `STURDY_PEER_KILLS=300` makes the long one, `STURDY_SEED` repeats one.
//! The seed decides what is asked, who is killed and how long it lives; where exactly a kill strikes is the machine's.

#[path = "../common/chance.rs"]
mod chance;
mod kernel;
mod proxy;

use chance::Chance;
use kernel::{Kernel, Two};
use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// Microseconds that a process may live after somebody's first answer.
const LIFE_US: u64 = 30_000;
/// Requests that wait for each kernel in a round.
const LINES: u64 = 12;

fn wait_busily(span: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < span {
        spin_loop();
    }
}

#[test]
fn money_survives_the_killing_of_either_side() {
    let kills: u64 = std::env::var("STURDY_PEER_KILLS").map_or(8, |text| text.parse().unwrap());
    let mut chance = Chance::new();
    let mut two = Two::start();
    let (mut done, mut cuts, mut answered) = (0, 0, 0);
    while done < kills {
        for kernel in [&mut two.a, &mut two.b] {
            for _ in 0..LINES {
                kernel.say(&format!("bank.pay({}, {})", 1 + chance.below(30), 1 + chance.below(9)));
            }
        }
        let [victim, other] = if chance.below(2) == 0 { [&mut two.a, &mut two.b] } else { [&mut two.b, &mut two.a] };
        let first = if chance.below(2) == 0 { &mut *victim } else { &mut *other };
        answered += first.hear_one();
        if chance.below(4) == 0 {
            two.to_a.cut();
            two.to_b.cut();
            cuts += 1;
        }
        wait_busily(Duration::from_micros(chance.below(LIFE_US)));
        victim.kill();
        done += 1;
        // Sometimes both: nobody is left who remembers anything but the stores.
        if chance.below(5) == 0 {
            other.kill();
            done += 1;
            other.restart();
        }
        victim.restart();
        // Whoever survived is answered, and well: the other side has only been slow.
        answered += victim.hear_all() + other.hear_all();
        two.settle();
    }
    two.end();
    println!(
        "{done} kills, {cuts} times the connections were cut; {answered} requests answered, {} payments",
        two.paid
    );
}

#[test]
fn a_burst_arrives_completely_and_in_order_over_connections_that_are_cut() {
    let mut two = Two::start();
    for _ in 0..20 {
        two.a.say("bank.send(500)");
    }
    for _ in 0..10 {
        two.b.say("bank.pay(50, 1)");
        two.b.hear_one();
        two.to_a.cut();
        two.to_b.cut();
    }
    two.a.hear_all();
    assert!(two.to_a.connections() + two.to_b.connections() > 2, "they have met again through the proxies");
    two.settle();
    assert_eq!(two.paid, 10_502);
    two.end();
}

#[test]
fn whoever_waits_for_a_kernel_that_lost_its_store_is_told() {
    let mut two = Two::start();
    two.b.kill();
    assert_eq!(two.a.ask("bank.begin(20)"), 20);
    two.b.lose_store();
    let peer = two.b.peer().to_owned();
    two.b.restart();
    let outcomes = two.a.ask("bank.outcomes()");
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!(outcomes.len(), 20);
    for outcome in outcomes {
        assert!(outcome.as_str().unwrap().contains("PEER_RESTARTED"), "{outcome}");
    }
    // What the lost store had exported is gone for good.
    assert_eq!(two.a.ask("bank.begin(1)"), 1);
    let outcome = two.a.ask("bank.outcomes()");
    assert!(outcome[0].as_str().unwrap().contains("OBJECT_DELETED"), "{outcome}");
    // A new URL joins them again.
    two.join();
    assert_eq!(two.b.peer(), peer, "who it is lies beside the store");
    assert_eq!(two.b.ask("bank.books()")["balance"], 1_000_000);
    assert_eq!(two.b.ask("bank.pay(3, 5)"), 3);
    assert_eq!(two.b.ask("bank.books()")["balance"], 999_985);
    assert_eq!(two.a.ask("bank.pay(3, 5)"), 3);
    assert_eq!(two.b.ask("bank.books()")["balance"], 1_000_000);
    for kernel in [&mut two.a, &mut two.b] {
        Kernel::end(kernel);
    }
}

/// What `outcomes` of a kernel tells, as texts.
fn outcomes(kernel: &mut Kernel) -> Vec<String> {
    serde_json::from_value(kernel.ask("bank.outcomes()")).unwrap()
}

/// Number `what` of its books.
fn booked(kernel: &mut Kernel, what: &str) -> u64 {
    kernel.ask("bank.books()")[what].as_u64().unwrap()
}

/// Money moves both ways, and each has heard five calls of the other that it does not answer.
fn two_under_load() -> Two {
    let mut two = Two::start();
    for kernel in [&mut two.a, &mut two.b] {
        assert_eq!(kernel.ask("bank.linger(5)"), 5);
    }
    for kernel in [&mut two.a, &mut two.b] {
        assert_eq!(kernel.ask("bank.begin(300)"), 300);
    }
    two
}

#[test]
fn a_store_that_is_lost_while_money_moves_is_told_to_everybody_who_waits() {
    let mut chance = Chance::new();
    for _ in 0..2 {
        let mut two = two_under_load();
        wait_busily(Duration::from_micros(chance.below(LIFE_US)));
        // Of these it takes nothing in; a line of the prompt waits for them, too.
        two.b.freeze();
        assert_eq!(two.a.ask("bank.begin(50)"), 50);
        two.a.ask("bank.pay(7, 2) &");
        // What is asked of A's vat after it is answered when it was made: B's payments may lie before both.
        assert_eq!(booked(&mut two.a, "sent"), 300 + 50 + 7);
        two.b.kill();
        two.b.lose_store();
        two.a.expect_another();
        two.b.restart();
        let told = two.a.refusal();
        assert!(told.contains("PEER_RESTARTED"), "{told}");
        let told = outcomes(&mut two.a);
        assert_eq!(told.len(), 5 + 300 + 50);
        let is_lost = |outcome: &String| outcome.contains("PEER_RESTARTED");
        assert!(told[..5].iter().all(is_lost), "heard and not answered: {told:?}");
        let paid = told[5..].iter().take_while(|outcome| *outcome == "paid").count();
        assert!(paid <= 300 && told[5 + paid..].iter().all(is_lost), "after {paid} payments: {told:?}");
        // A's own books are right: what it was paid took effect once and in order, what it has paid is gone.
        let books = two.a.ask("bank.books()");
        let received = books["received"].as_u64().unwrap();
        assert_eq!(books["balance"], 1_000_000 - 350 - 7 * 2 + received, "{books}");
        assert_eq!((&books["sent"], &books["disorder"]), (&357.into(), &0.into()), "{books}");
        // Whom it would answer now is gone.
        assert_eq!(two.a.ask("bank.release()"), 5);
        two.resume();
        two.end();
    }
}

#[test]
fn whoever_serves_a_kernel_that_loses_its_store_goes_on() {
    let mut chance = Chance::new();
    for _ in 0..2 {
        let mut two = two_under_load();
        wait_busily(Duration::from_micros(chance.below(LIFE_US)));
        // The caller is lost; what it said last lies in sockets and is read before anybody is told.
        two.b.freeze();
        assert_eq!(two.a.ask("bank.begin(50)"), 50);
        two.a.kill();
        two.a.lose_store();
        two.a.restart();
        two.b.thaw();
        // What B waits for is told.
        let told = outcomes(&mut two.b);
        let paid = told[5..].iter().take_while(|outcome| *outcome == "paid").count();
        let is_lost = |outcome: &String| outcome.contains("PEER_RESTARTED");
        assert!(told.len() == 305 && told[..5].iter().all(is_lost), "heard and not answered: {told:?}");
        assert!(told[5 + paid..].iter().all(is_lost), "after {paid} payments: {told:?}");
        // What A has paid has taken effect once and in order, as far as it came.
        let received = booked(&mut two.b, "received");
        assert!(received <= 350, "{received}");
        assert_eq!((booked(&mut two.b, "balance"), booked(&mut two.b, "disorder")), (1_000_000 - 300 + received, 0));
        // Nobody hears these answers.
        assert_eq!(two.b.ask("bank.release()"), 5);
        two.resume();
        assert_eq!(booked(&mut two.a, "sent"), 7, "A begins anew");
        two.end();
    }
}

#[test]
fn a_long_silence_is_no_loss() {
    let mut two = Two::start();
    two.b.kill();
    // Asked while nobody is there, and again by a process that has seen nobody yet.
    assert_eq!(two.a.ask("bank.begin(100)"), 100);
    two.a.kill();
    two.a.restart();
    assert_eq!(two.a.ask("bank.begin(7)"), 7);
    two.b.restart();
    two.settle();
    assert_eq!(two.paid, 109);
    two.end();
}
