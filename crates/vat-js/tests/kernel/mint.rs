//! The mint of `examples/`, with the process ending at random moments: no money is made or lost.

use crate::stage::{Stage, cluster, vat};
use crate::world::Engines;
use std::path::Path;

/// A small generator of numbers, so that a seed names a run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

fn market(engine: Engines) -> Stage {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mint");
    let files = [
        vat("market", "market.js").parameters(r#"{"supply": 1000}"#),
        vat("mint", "mint.js"),
        vat("escrow", "escrow.js"),
        vat("alice", "trader.js").parameters(r#"{"worth": {"gold": 1, "silver": 1}}"#),
        vat("bob", "trader.js").parameters(r#"{"worth": {"gold": 2, "silver": 1}}"#),
    ];
    let mut s = Stage::empty(engine);
    let (config, sources) = cluster(&folder, &files, &[]);
    let (subcluster, _) = s.launch_cluster(config, sources).expect("it is launched");
    s.adopt(subcluster);
    s
}

fn total(s: &mut Stage, currency: &str) -> i64 {
    let mut sum = 0;
    for trader in ["alice", "bob"] {
        let balances = s.say(&format!("{trader}.balances()"));
        let (_, after) = balances.split_once(&format!("\"{currency}\": ")).unwrap_or_else(|| panic!("{balances}"));
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        sum += digits.parse::<i64>().unwrap_or_else(|_| panic!("{balances}"));
    }
    sum
}

fn begin_something(s: &mut Stage, dice: &mut Dice) {
    let (from, to) = if dice.below(2) == 0 { ("alice", "bob") } else { ("bob", "alice") };
    let amount = dice.below(40) + 1;
    let line = if dice.below(2) == 0 {
        format!("{from}.pay({to}, 'gold', {amount})")
    } else {
        let price = dice.below(80) + 1;
        format!("{from}.trade({to}, {{currency: 'silver', amount: {price}}}, {{currency: 'gold', amount: {amount}}})")
    };
    s.begin(&line);
}

fn play(engine: Engines, seed: u64, rounds: u32) {
    let mut dice = Dice(seed);
    let mut s = market(engine);
    for round in 0..rounds {
        for _ in 0..=dice.below(3) {
            begin_something(&mut s, &mut dice);
        }
        for _ in 0..dice.below(60) {
            s.world.step().expect("the node goes on");
            if dice.below(8) == 0 {
                s.world.commit().expect("it is durable");
            }
        }
        s.crash();
        for trader in ["alice", "bob"] {
            let ended = s.say(&format!("{trader}.recover()"));
            assert!(ended.starts_with('['), "seed {seed}, round {round}: {ended}\n{}", s.printed());
        }
        let told = s.say("market.totals()");
        assert_eq!(told, "{\"gold\": 1000, \"silver\": 1000}", "seed {seed}, round {round}");
        assert_eq!((total(&mut s, "gold"), total(&mut s, "silver")), (1000, 1000), "seed {seed}, round {round}");
    }
    // Nothing is left of all these deals but the traders' purses.
    s.settle_down();
    let left = s.state_of("escrow").len();
    assert!(left < 40, "seed {seed}: the escrow agent still has {left} rows\n{:#?}", s.state_of("escrow"));
}

#[test]
fn money_is_conserved_through_crashes() {
    for seed in 1..=6 {
        play(Engines::Memory, seed * 7919, 6);
    }
}

#[test]
fn money_is_conserved_through_crashes_on_disk() {
    play(Engines::Sqlite, 104_729, 5);
}

#[test]
fn trades_end_as_the_traders_wish() {
    let mut s = market(Engines::Memory);
    s.check(
        "
        alice.trade(bob, {currency: 'gold', amount: 10}, {currency: 'silver', amount: 15}) => \"settled\"
        alice.trade(bob, {currency: 'gold', amount: 1}, {currency: 'silver', amount: 500}) => \"cancelled\"
        alice.pay(bob, 'gold', 5) => 5
        alice.balances() => {\"gold\": 985, \"silver\": 15}
        bob.balances() => {\"gold\": 15, \"silver\": 985}
        market.totals() => {\"gold\": 1000, \"silver\": 1000}
        ",
    );
}
