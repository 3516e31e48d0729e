//! Rings of settled promises that hold each other: they go when nothing else holds them, with what hangs on them (G15), and
//! stay when anything does.

mod world;

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use sturdy_types::KernelLimits;
use world::puppet::Stage;
use world::script::{Script, Speaks};
use world::{Engines, both_engines};

/// Alice settles promises with each other in a ring of this size.
fn ring(size: usize) -> String {
    let settled: Vec<String> = (0..size).map(|i| format!("p+{} = [p+{}]", i + 1, (i + 1) % size + 1)).collect();
    format!("resolve {}", settled.join(" & "))
}

fn promises(s: &mut Stage) -> usize {
    s.acknowledge_all();
    s.settle_down();
    s.census().get("promises").copied().unwrap_or_default()
}

#[test]
fn rings_go_when_the_kernel_is_idle() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.acknowledge_all();
        s.settle_down();
        let before = s.census();
        for size in [1, 2, 3, 1_000] {
            s.tell("alice", &ring(size));
            s.acknowledge_all();
            assert_eq!(s.census()["promises"], size);
            s.settle_down();
            assert_eq!(s.census(), before, "a ring of {size}");
        }
    });
}

#[test]
fn what_hangs_on_a_ring_goes_with_it() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("bob", "send o-1 take(o+7)");
        s.tell("alice", "resolve p+1 = [p+2, o+5, p+3] & p+2 = [p+1] & p+3 = [p+4] & p+4 = [o+6]");
        s.told();
        assert_eq!(promises(&mut s), 0);
        s.heard("alice <- dropExports o+5 o+6\n alice <- retireExports o+5 o+6");
    });
}

#[test]
fn a_vat_that_has_a_promise_of_a_ring_keeps_it() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(p+3, o+7)");
        s.tell("alice", "resolve p+1 = [p+2] & p+2 = [p+1] & p+3 = [p+1]");
        assert_eq!(promises(&mut s), 3);
        assert_eq!(promises(&mut s), 3);
        s.told();
        s.tell("bob", "subscribe p-1");
        s.heard("bob <- notify p-1 fulfilled [<p-3>], p-3 fulfilled [<p-4>], p-4 fulfilled [<p-3>]");
        assert_eq!(promises(&mut s), 0);
    });
}

#[test]
fn a_message_that_waits_keeps_a_ring() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "ping", "subscribe $0");
        s.tell("alice", "send p+9 ping(p+1)");
        s.tell("alice", &ring(2));
        assert_eq!(promises(&mut s), 3);
        s.told();
        s.tell("alice", "resolve p+9 = o-1");
        s.heard("bob <- message o+0 ping(<p-1>)\n bob <- notify p-1 fulfilled [<p-2>], p-2 fulfilled [<p-1>]");
        assert_eq!(promises(&mut s), 0);
    });
}

#[test]
fn an_answer_that_nobody_has_fetched_keeps_a_ring() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice"]);
        s.tell("alice", "resolve p+1 = [p+2] & p+2 = [p+1] & result = [p+1]");
        s.settle_down();
        assert_eq!(s.census()["promises"], 2);
        assert_eq!(promises(&mut s), 0);
    });
}

#[test]
fn a_ring_that_the_process_before_has_left_is_found() {
    both_engines(|engine| {
        let limits = KernelLimits { ring_rows_per_turn: 2, ..KernelLimits::default() };
        let mut s = Stage::with_limits(engine, limits, &["alice", "bob"]);
        s.tell("alice", "times 5 resolve p+{i} = [p+{i}]");
        s.acknowledge_all();
        s.commit().expect("the node goes on");
        s.crash();
        s.run();
        assert_eq!(s.census()["promises"], 5);
        // The table is read in slices, so it takes more than one idle moment.
        assert_eq!(promises(&mut s), 3);
        assert_eq!(promises(&mut s), 0);
    });
}

#[test]
fn a_kernel_that_is_never_idle_sweeps_as_well() {
    let limits = KernelLimits { ring_suspects: 50, ..KernelLimits::default() };
    let mut s = Stage::with_limits(Engines::Memory, limits, &["alice"]);
    for _ in 0..40 {
        s.tell("alice", &ring(7));
        s.acknowledge_all();
        let count = s.census().get("promises").copied().unwrap_or_default();
        assert!(count < 60, "{count} promises");
    }
}

/// Rings that live cost little: a sweep that looks at them is due again when as many references to them were lost.
#[test]
fn a_ring_that_is_held_is_not_looked_at_for_every_lost_reference() {
    let limits = KernelLimits { ring_suspects: 1, ..KernelLimits::default() };
    let mut s = Stage::with_limits(Engines::Memory, limits, &["alice", "bob"]);
    s.tell("alice", "send o-1 take(p+1)");
    s.tell("alice", &ring(50));
    assert_eq!(promises(&mut s), 50);
    let turns: Vec<u64> = (0..110)
        .map(|_| {
            let before = s.node().stats().turns;
            s.tell("bob", "resolve p+5 = [p-1]");
            s.acknowledge_all();
            s.node().stats().turns - before
        })
        .collect();
    let least = turns.iter().min().expect("there are some");
    let sweeps = turns.iter().filter(|turns| *turns > least).count();
    assert!((1..=5).contains(&sweeps), "{turns:?}");
    assert_eq!(promises(&mut s), 50);
    s.tell("bob", "subscribe p-1");
    assert_eq!(promises(&mut s), 0);
}

/// The rows when the peer has acknowledged everything.
fn at_rest(s: &mut Script) -> BTreeMap<&'static str, usize> {
    for _ in 0..3 {
        s.w.stages[0].wire_safe_settle_down();
        s.frames();
        s.acknowledge();
    }
    let mut census = s.w.stages[0].census();
    census.entry("promises").or_default();
    census
}

#[test]
fn a_name_of_a_peer_keeps_a_ring() {
    let mut s = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    let before = at_rest(&mut s)["promises"];
    s.tell("send o-1 take(p+5)");
    s.tell("resolve p+5 = [p+6] & p+6 = [p+5]");
    s.w.stages[0].wire_safe_settle_down();
    // And the result of the message, which it does not answer.
    assert_eq!(s.rows("promises"), before + 3, "the peer has not acknowledged what it was told");
    let after = at_rest(&mut s);
    assert_eq!(after["promises"], before + 1);
    assert_eq!(s.offences(), 0);
}

/// G11: a peer makes as many rings as it likes, whether the kernel is ever idle or not.
#[test]
fn rings_that_a_peer_makes_do_not_fill_the_store() {
    for idle in [true, false] {
        let limits = KernelLimits { ring_suspects: 100, ..KernelLimits::default() };
        let mut s = Script::acquainted(&limits, Speaks::Sturdy);
        let before = at_rest(&mut s);
        for batch in 0..20 {
            let settled: Vec<String> = (0..20)
                .flat_map(|pair| {
                    let (one, two) = (1_000 * (batch + 1) + 2 * pair, 1_000 * (batch + 1) + 2 * pair + 1);
                    [one, two].map(|id| {
                        let other = one + two - id;
                        format!(r##"["rp+{id}",false,{{"body":"#[\"&0\",\"$1\"]","slots":["rp+{other}","ro+{id}"]}}]"##)
                    })
                })
                .collect();
            s.say(&format!(r#""method":"deliver","params":["notify",[{}]]"#, settled.join(",")));
            if idle {
                s.w.stages[0].wire_safe_settle_down();
                assert_eq!(s.rows("promises"), before["promises"]);
            }
            assert!(s.rows("promises") <= 140 + before["promises"]);
            s.frames();
            s.acknowledge();
        }
        assert_eq!(at_rest(&mut s), before, "idle {idle}");
        assert_eq!(s.offences(), 0);
    }
}

/// Promises, in two batches, with what their values mention; which of them bob has; to which of them he subscribes then.
type Graph = (Vec<Vec<usize>>, usize, BTreeSet<usize>, BTreeSet<usize>);

fn graphs() -> impl Strategy<Value = Graph> {
    (1usize..16).prop_flat_map(|n| {
        let values = prop::collection::vec(prop::collection::vec(0..n, 0..4), n);
        (values, 0..=n, prop::collection::btree_set(0..n, 0..4), prop::collection::btree_set(0..n, 0..4))
    })
}

fn reach(values: &[Vec<usize>], from: &BTreeSet<usize>, settled: impl Fn(usize) -> bool) -> BTreeSet<usize> {
    let (mut found, mut next) = (BTreeSet::new(), from.iter().copied().collect::<Vec<_>>());
    while let Some(id) = next.pop() {
        if found.insert(id) && settled(id) {
            next.extend(&values[id]);
        }
    }
    found
}

/// Resolutions of these promises, in one batch.
fn settle(values: &[Vec<usize>], ids: impl Iterator<Item = usize>) -> String {
    let mut script = String::new();
    for id in ids {
        let mentions: Vec<String> = values[id].iter().map(|other| format!("p+{}", other + 1)).collect();
        let verb = if script.is_empty() { "resolve" } else { " &" };
        write!(script, "{verb} p+{} = [{}]", id + 1, mentions.join(", ")).expect("a string takes everything");
    }
    script
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_left_is_what_can_be_reached((mut values, early, held, subscribed) in graphs()) {
        let n = values.len();
        // What was settled in the first batch is forgotten by alice and cannot be mentioned in the second.
        values.iter_mut().skip(early).for_each(|value| value.retain(|&id| id >= early));
        let mut s = Stage::on(Engines::Memory, &["alice", "bob"]);
        let names: Vec<String> = held.iter().map(|id| format!("p+{}", id + 1)).collect();
        s.tell("alice", &format!("send o-1 take({})", names.join(", ")));
        s.tell("alice", &settle(&values, 0..early));
        let mentioned = values[..early].iter().flatten().copied();
        let open: BTreeSet<usize> = mentioned.chain(held.iter().copied()).filter(|&id| id >= early).collect();
        let mut expected = reach(&values, &held, |id| id < early);
        expected.extend(&open);
        prop_assert_eq!(promises(&mut s), expected.len());
        s.tell("alice", &settle(&values, early..n));
        let left = reach(&values, &held, |_| true);
        prop_assert_eq!(promises(&mut s), left.len());
        // Bob hears of some, and of all that they mention, and forgets them.
        let order: Vec<usize> = held.iter().copied().collect();
        let (mut heard, mut script) = (BTreeSet::new(), String::new());
        for (place, id) in order.iter().enumerate().filter(|(_, id)| subscribed.contains(id)) {
            heard.insert(*id);
            write!(script, "subscribe p-{};", place + 1).expect("a string takes everything");
        }
        s.tell("bob", &script);
        let told = reach(&values, &heard, |_| true);
        let kept: BTreeSet<usize> = held.difference(&told).copied().collect();
        prop_assert_eq!(promises(&mut s), reach(&values, &kept, |_| true).len());
    }
}
