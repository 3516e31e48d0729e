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
    std::fs::remove_dir_all(two.b.home().join("store")).unwrap();
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
