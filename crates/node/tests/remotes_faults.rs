//! Exactly once, whatever the line and the processes do (G5, G7, G8, G14): random losses, repetitions, reorderings,
//! broken connections and crashes; the audit of both worlds runs after every turn.

mod world;

use proptest::prelude::*;
use world::worlds::Worlds;

const CALLS: usize = 12;

/// Bob in B has alice of A, in his durable state, and the other way round.
fn two() -> Worlds {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    let bob = w.introduce(1, "bob", 0);
    w.tell(1, "bob", "hold $0 strong", &[alice]);
    w.tell(0, "alice", "hold $0 strong", &[bob]);
    for (here, there) in [("alice", 0), ("bob", 1)] {
        for number in 0..CALLS {
            let call = if number % 3 == 2 {
                // Through the unsettled result of another call.
                format!("ask o-1 root() -> p+{n}; ask p+{n} m{number}() -> result", n = number + 100)
            } else {
                format!("ask o-1 m{number}() -> result")
            };
            w.stages[there].puppets.on(here, &format!("go{number}"), &call);
            w.stages[there].puppets.on(here, &format!("m{number}"), &format!("resolve result = {number}"));
            w.stages[there].puppets.on(here, "root", "resolve result = o+0");
        }
    }
    w.settle_down();
    w.stages[0].told();
    w.stages[1].told();
    w
}

const NAMES: [&str; 2] = ["alice", "bob"];

fn ask(w: &mut Worlds, world: usize, number: usize) -> sturdy_kernel::Ticket {
    let root = w.stages[world].root(NAMES[world]);
    w.stages[world].send_named(&format!("r{number}"), root, &format!("go{number}"))
}

fn fault(w: &mut Worlds, what: u8, which: usize) {
    match what {
        0 | 1 => w.run_world(which % 2),
        2..=5 => {
            w.carry(which);
        }
        6 => w.repeat(which),
        7 => w.swap(which),
        8 => w.lose(which),
        9 => w.cut_off(which % 2),
        10 => w.crash(which % 2),
        11 => {
            w.stages[which % 2].step().expect("the node goes on");
        }
        _ => {
            w.pass_time();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_call_takes_effect_once(moves in proptest::collection::vec((0u8..20, any::<u16>()), 20..200)) {
        let mut w = two();
        let before = [w.stages[0].census(), w.stages[1].census()];
        let mut asked = [0, 0];
        for (what, which) in moves {
            let which = usize::from(which);
            if what >= 13 {
                let world = which % 2;
                if asked[world] < CALLS {
                    ask(&mut w, world, asked[world]);
                    asked[world] += 1;
                }
            } else {
                fault(&mut w, what, which);
            }
        }
        w.cut_off(0);
        w.run();
        for world in 0..2 {
            for number in 0..CALLS {
                // The same name is the same call; one that a crash took is made now.
                let ticket = ask(&mut w, world, number);
                w.run();
                prop_assert_eq!(w.stages[world].fate(ticket), format!("fulfilled {number}"));
            }
        }
        for world in 0..2 {
            let heard = w.stages[world].told();
            for number in 0..CALLS {
                let times = heard.matches(&format!(" m{number}()")).count();
                prop_assert_eq!(times, 1, "m{} in {}:\n{}", number, world, heard);
            }
        }
        w.settle_down();
        for (world, before) in before.into_iter().enumerate() {
            prop_assert_eq!(w.info(world, 1 - world).offences, 0);
            let after = w.stages[world].census();
            for table in ["outbox", "retiring", "withheld", "remote-names", "remote-refs", "promises", "objects"] {
                prop_assert_eq!(after.get(table), before.get(table), "{} {:?}", table, after);
            }
        }
    }
}
