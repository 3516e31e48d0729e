//! Promises of several kernels that are settled with each other. Each kernel sees an endless list whose tail is a promise,
//! so none may end it; what it may cost is shown here.

mod world;

use std::collections::BTreeMap;
use sturdy_kernel::{OnClose, Request};
use world::worlds::{Worlds, peer};

type Census = BTreeMap<&'static str, usize>;

const VATS: [&str; 3] = ["alice", "bob", "carol"];

/// One more turn of the ring: until this kernel has heard one more settlement, and whoever is to acknowledge something has
/// done so. False if nothing happens any more.
fn round(w: &mut Worlds, world: usize) -> bool {
    let heard = |w: &Worlds| w.heard.iter().filter(|(to, frame)| *to == world && frame.contains("\"notify\"")).count();
    w.heard.clear();
    for _ in 0..1_000 {
        (0..3).for_each(|world| w.run_world(world));
        if heard(w) > 0 {
            w.pass_time();
            return true;
        }
        if !w.carry(0) && !w.pass_time() {
            return false;
        }
    }
    panic!("{world} hears nothing: {:#?}", &w.heard[w.heard.len().saturating_sub(12)..]);
}

/// The most rows that each table of each kernel has held in these rounds.
fn most(w: &mut Worlds, rounds: usize) -> [Census; 3] {
    let mut most: [Census; 3] = Default::default();
    for number in 0..rounds {
        assert!(round(w, 0), "round {number}");
        for (stage, most) in w.stages.iter_mut().zip(&mut most) {
            for (table, rows) in stage.census() {
                let known = most.entry(table).or_default();
                *known = rows.max(*known);
            }
        }
    }
    most
}

/// Each kernel has a promise, of which the one before it has heard: A's is fulfilled with [B's], B's with [C's], and C's
/// with [A's]. Each vat subscribes to everything that it hears.
fn ring() -> Worlds {
    let mut w = Worlds::new(&[&["alice"], &["bob"], &["carol"]]);
    for (stage, vat) in w.stages.iter().zip(VATS) {
        stage.puppets.on(vat, "take", "follow");
        stage.puppets.on(vat, "notify", "follow");
    }
    for (world, vat) in VATS.into_iter().enumerate() {
        let before = (world + 2) % 3;
        let friend = w.introduce(before, VATS[before], world);
        w.tell(world, vat, "send $0 take(p+5)", &[friend]);
    }
    w.settle_down();
    let settle = |w: &mut Worlds, world: usize| {
        let told = w.stages[world].told();
        let heard = told.split("take(<").nth(1).and_then(|rest| rest.split('>').next()).expect("it has heard of one");
        w.tell_later(world, VATS[world], &format!("resolve p+5 = [{heard}]"), &[]);
    };
    (0..3).for_each(|world| settle(&mut w, world));
    w
}

fn promises(w: &mut Worlds) -> [usize; 3] {
    [0, 1, 2].map(|world| w.stages[world].census().get("promises").copied().unwrap_or_default())
}

/// Settlements that were told in so many steps.
fn told_in(w: &mut Worlds, steps: usize) -> usize {
    w.heard.clear();
    for _ in 0..steps {
        (0..3).for_each(|world| w.run_world(world));
        let _waits = w.carry(0) || w.pass_time();
    }
    w.heard.iter().filter(|(_, frame)| frame.contains("\"notify\"")).count()
}

/// The most rows that each kernel holds; they are the same 100 rounds later.
fn room(w: &mut Worlds) -> [Census; 3] {
    most(w, 30);
    let early = most(w, 20);
    most(w, 100);
    assert_eq!(most(w, 20), early, "rows have grown in 100 rounds");
    early
}

#[test]
fn a_ring_of_promises_over_three_kernels_unfolds_in_bounded_room() {
    let mut w = ring();
    let rows = room(&mut w);
    assert!(rows.iter().all(|census| census["promises"] <= 4), "{rows:#?}");
    // Each vat hears one settlement in each round.
    w.stages.iter().for_each(|stage| drop(stage.told()));
    for _ in 0..10 {
        round(&mut w, 0);
    }
    let heard: Vec<_> = w.stages.iter().map(|stage| stage.told().matches("notify").count()).collect();
    assert_eq!(heard, [10, 10, 10]);
    // It goes on without the vats, in no more room.
    for (stage, vat) in w.stages.iter_mut().zip(VATS) {
        stage.terminate(vat);
    }
    let rows = room(&mut w);
    assert!(rows.iter().all(|census| census["promises"] <= 4), "{rows:#?}");
    // One conversation in it that ends, ends it.
    w.stages[0].ask(Request::ClosePeer { peer: peer(1), pending: OnClose::Discard }).expect("it is closed");
    told_in(&mut w, 200);
    assert_eq!(told_in(&mut w, 200), 0);
    w.stages[0].ask(Request::ReconnectPeer(peer(1))).expect("it is open");
    w.run();
    assert_eq!(promises(&mut w), [0, 0, 0]);
}

/// As of every list: it is all there as long as somebody holds its head and does not let go of it when it is told.
#[test]
fn who_keeps_the_head_of_a_ring_keeps_all_that_follows() {
    let mut w = ring();
    most(&mut w, 10);
    w.stages.iter().zip(VATS).for_each(|(stage, vat)| stage.puppets.on(vat, "notify", ""));
    most(&mut w, 20);
    let before = promises(&mut w);
    most(&mut w, 20);
    assert_eq!(promises(&mut w), before.map(|count| count + 20));
    w.stages.iter_mut().zip(VATS).for_each(|(stage, vat)| stage.terminate(vat));
    most(&mut w, 10);
    assert!(promises(&mut w).into_iter().all(|count| count <= 4));
}
