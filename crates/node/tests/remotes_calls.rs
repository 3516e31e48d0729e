//! Calls, promises and garbage between kernels, over a line that works.

mod world;

use sturdy_types::KernelLimits;
use world::script::{Script, Speaks};
use world::worlds::Worlds;

/// Alice in A, bob in B; bob has alice as `o-1`, alice has bob as `o-1`.
fn two() -> Worlds {
    let mut w = Worlds::new(&[&["alice"], &["bob"]]);
    let alice = w.introduce(0, "alice", 1);
    let bob = w.introduce(1, "bob", 0);
    w.tell(1, "bob", "keep $0", &[alice]);
    w.tell(0, "alice", "keep $0", &[bob]);
    for stage in &mut w.stages {
        stage.acknowledge_all();
    }
    w.settle_down();
    w.heard(0, "");
    w.heard(1, "");
    w
}

fn told(w: &Worlds) -> (String, String) {
    (w.stages[0].told(), w.stages[1].told())
}

fn rows(w: &mut Worlds, world: usize, table: &str) -> usize {
    w.stages[world].census().get(table).copied().unwrap_or_default()
}

#[test]
fn a_call_comes_back() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "hello", "resolve result = 42");
    w.tell(1, "bob", "ask o-1 hello(5) -> p+5", &[]);
    w.heard(0, "alice <- message o+0 hello(5) result p-3");
    w.heard(1, "bob <- notify p+5 fulfilled 42");
}

#[test]
fn objects_and_errors_cross_in_both_directions() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "swap", "resolve result = [$0, o+7]");
    w.stages[0].puppets.on("alice", "fail", "resolve result != error no");
    w.tell(1, "bob", "ask o-1 swap(o+5) -> p+5; ask o-1 fail() -> p+6", &[]);
    w.heard(0, "alice <- message o+0 swap(<o-2>) result p-3\nalice <- message o+0 fail() result p-4");
    w.heard(1, "bob <- notify p+5 fulfilled [<o+5>, <o-2>]\nbob <- notify p+6 rejected [Error: no]");
    w.tell(1, "bob", "send o-2 ping()", &[]);
    w.heard(0, "alice <- message o+7 ping() result p-5");
}

#[test]
fn a_promise_as_argument_is_told() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "take", "subscribe $0");
    w.tell(1, "bob", "send o-1 take(p+5)", &[]);
    w.heard(0, "alice <- message o+0 take(<p-3>) result p-4");
    w.tell(1, "bob", "resolve p+5 = [o+0, 7]", &[]);
    w.heard(0, "alice <- notify p-3 fulfilled [<o-1>, 7]");
}

#[test]
fn settled_promises_that_mention_each_other_are_told_at_once() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "take", "subscribe $0");
    w.tell(1, "bob", "send o-1 take(p+5); resolve p+5 = [p+6, p+5] & p+6 = [p+5]", &[]);
    let (alice, _) = told(&w);
    assert_eq!(alice.lines().count(), 2, "{alice}");
    assert!(alice.contains("notify p-3 fulfilled [<p-5>, <p-3>]"), "{alice}");
}

#[test]
fn messages_go_through_unsettled_results() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "make", "keep result");
    w.tell(1, "bob", "ask o-1 make() -> p+5; ask p+5 first(p+7) -> p+6; ask p+6 second() -> p+8", &[]);
    w.heard(0, "alice <- message o+0 make() result p-3");
    // The others wait at A already: nothing has to travel again.
    assert_eq!(w.info(1, 0).pending_messages, 0);
    w.stages[0].puppets.on("alice", "first", "resolve result = o+9");
    w.tell(0, "alice", "resolve p-3 = o+0", &[]);
    w.heard(
        0,
        "alice <- message o+0 first(<p-5>) result p-6
         alice <- message o+9 second() result p-7",
    );
}

/// B sends to a promise that A decides; A settles it with bob's own object while messages are on their way to it.
#[test]
fn pipeline_comes_home() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "make", "resolve result = $0");
    w.tell_later(1, "bob", "ask o-1 make(o+5) -> p+5; send p+5 m1(); send p+5 m2()", &[]);
    w.run_world(1);
    assert!(w.carry(0));
    w.run_world(0); // A has heard `make` only, and has settled its result; m1 and m2 come later
    // The settlement reaches B before m1 and m2 come back.
    assert!(w.carry_to(1));
    w.run_world(1);
    assert_eq!(rows(&mut w, 1, "withheld"), 1, "the settlement waits");
    w.tell_later(1, "bob", "send p+5 m3()", &[]);
    w.run();
    assert_eq!(rows(&mut w, 1, "withheld"), 0);
    let heard = w.stages[1].told();
    let order: Vec<&str> =
        heard.lines().filter_map(|line| line.strip_prefix("bob <- message o+5 ")?.split('(').next()).collect();
    let expect: Vec<String> = (1..=3).map(|number| format!("m{number}")).collect();
    assert_eq!(order, expect, "{heard}");
}

/// B sends to a promise that A decides; A hands the call on to bob himself, and so the promise comes home as the result of
/// A's message, while messages are on their way to it: before A has heard them, or parked there until it hands the call on.
#[test]
fn a_promise_comes_home_as_a_result() {
    for parked in [false, true] {
        let mut w = two();
        w.stages[0].puppets.on("alice", "make", if parked { "keep result" } else { "send $0 finish() -> result" });
        w.stages[1].puppets.on("bob", "finish", "keep result");
        w.tell_later(1, "bob", "ask o-1 make(o+5) -> p+5; send p+5 m1(); send p+5 m2()", &[]);
        w.run_world(1);
        assert!(w.carry_to(0));
        if parked {
            while w.carry_to(0) {}
            w.run_world(0);
            w.tell_later(0, "alice", "send o-1 finish() -> p-3", &[]);
        }
        w.run_world(0);
        // A has handed the call on: B hears `finish`, and nothing that A sends behind it.
        while rows(&mut w, 1, "withheld") == 0 {
            assert!(w.carry_to(1), "parked: {parked}");
        }
        w.run_world(1);
        w.tell_later(1, "bob", "send p+5 m3(); resolve p-4 = o+9", &[]);
        w.run_world(1);
        w.run();
        assert_eq!(rows(&mut w, 1, "withheld"), 0);
        let heard = w.stages[1].told();
        let order: Vec<&str> =
            heard.lines().filter_map(|line| line.strip_prefix("bob <- message o+9 ")?.split('(').next()).collect();
        assert_eq!(order, ["m1", "m2", "m3"], "parked: {parked}\n{heard}\n{}", w.stages[0].told());
    }
}

/// The name of a settled promise stands until nothing that was sent before the peer knew can still arrive.
#[test]
fn retire_too_early() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "make", "resolve result = o+9");
    w.tell_later(1, "bob", "ask o-1 make() -> p+5", &[]);
    w.run_world(1);
    assert!(w.carry(0));
    w.run_world(0); // A has settled and told
    w.tell_later(1, "bob", "send p+5 late()", &[]);
    w.run_world(1); // B has not heard that yet
    assert_eq!(rows(&mut w, 0, "retiring"), 1);
    w.run();
    assert!(w.stages[0].told().contains("alice <- message o+9 late()"));
    assert_eq!(rows(&mut w, 0, "retiring"), 0);
    assert_eq!(w.info(0, 1).offences, 0);
}

/// A drop that crosses a message that names the object again means nothing.
#[test]
fn stale_drop() {
    let mut w = two();
    w.tell(0, "alice", "send o-1 take(o+9)", &[]);
    w.stages[1].told();
    // B drops o+9 while A names it again.
    w.tell_later(1, "bob", "drop o-2; retire o-2", &[]);
    w.run_world(1);
    w.tell_later(0, "alice", "send o-1 again(o+9)", &[]);
    w.run_world(0);
    w.run();
    w.settle_down();
    let (alice, bob) = told(&w);
    assert!(bob.contains("again(<o-3>)"), "{bob}");
    assert!(!alice.contains("dropExports"), "{alice}");
    w.tell(1, "bob", "send o-3 ping()", &[]);
    w.heard(0, "alice <- message o+9 ping() result p-5");
    w.tell(1, "bob", "drop o-3; retire o-3", &[]);
    w.settle_down();
    let (alice, _) = told(&w);
    assert!(alice.contains("retireExports o+9"), "{alice}");
}

/// Frames of this kind that A has heard.
fn told_of(w: &Worlds, kind: &str) -> usize {
    w.heard.iter().filter(|(to, frame)| *to == 0 && frame.contains(kind)).count()
}

/// It was two messages for each of these turns.
/// Otherwise a peer that asks after each call would have twice as much done.
#[test]
fn who_asks_for_garbage_again_and_again_is_heeded_now_and_then() {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    let mut reaps = |times: u64, pause: u64| {
        let mut reaps = 0;
        for _ in 0..times {
            script.call("ro-1", "hello", &format!("rp+{}", script.seq + 9), &[]);
            script.say(r#""method":"deliver","params":["bringOutYourDead"]"#);
            let told = script.w.stages[0].told();
            assert!(told.contains("hello()"), "{told}");
            reaps += told.matches("bringOutYourDead").count();
            script.pass(pause);
        }
        (reaps, script.offences())
    };
    assert_eq!(reaps(20, 0), (1, 0), "nothing but that is the matter with it");
    assert_eq!(reaps(10, 999), (4, 0), "at the least a second lies between two of them");
    assert_eq!(reaps(10, 1_000), (10, 0));
}

#[test]
fn what_the_turns_of_a_group_let_go_of_is_told_at_once() {
    let mut w = two();
    let objects: Vec<String> = (11..31).map(|number| format!("o+{number}")).collect();
    w.stages[0].puppets.on("alice", "many", &format!("resolve result = [{}]", objects.join(", ")));
    w.tell(1, "bob", "ask o-1 many() -> p+5", &[]);
    w.settle_down();
    w.stages[0].told();
    for import in 2..22 {
        w.tell_later(1, "bob", &format!("drop o-{import}; retire o-{import}"), &[]);
    }
    w.settle_down();
    assert_eq!((told_of(&w, "dropExports"), told_of(&w, "retireExports")), (1, 1));
    let (alice, _) = told(&w);
    assert!(objects.iter().all(|object| alice.contains(object)), "{alice}");
    assert_eq!(rows(&mut w, 1, "remote-refs"), 2);
}

/// A delivery kills the process for the third time, so that its vat ends at the next boot; and that process ends before its
/// first commit. What the vat had is let go of in the group that makes the death durable.
#[test]
fn what_was_let_go_of_when_a_death_was_counted_is_told() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "give", "resolve result = o+9");
    w.stages[1].puppets.once("bob", "notify", "hold o-2 strong");
    w.tell(1, "bob", "ask o-1 give() -> p+5", &[]);
    w.settle_down();
    w.stages[0].told();
    let bob = w.stages[1].vat("bob");
    w.stages[1].tell_named("deadly", "bob", "keep result");
    w.stages[1].commit().expect("it is durable");
    for _ in 0..3 {
        w.stages[1].run_until_in_flight(bob);
        w.stages[1].die();
    }
    w.crash(1);
    w.settle_down();
    assert!(!w.stages[1].status().vats.iter().any(|vat| vat.id == bob));
    let (alice, _) = told(&w);
    assert!(alice.contains("dropExports o+9") && alice.contains("retireExports o+9"), "{alice}");
    // Alice still has bob's root.
    assert_eq!((rows(&mut w, 0, "remote-refs"), rows(&mut w, 1, "remote-refs")), (1, 1));
}

/// The set waits, and the peer names one of it again: what is told then acknowledges that, and would take it away.
#[test]
fn what_is_named_again_while_the_set_waits_is_not_told() {
    for retire in ["", "; retire o-2"] {
        let mut w = two();
        w.tell(0, "alice", "send o-1 take(o+9)", &[]);
        w.tell_later(0, "alice", "send o-1 again(o+9)", &[]);
        w.run_world(0);
        w.tell_later(1, "bob", &format!("drop o-2{retire}"), &[]);
        while w.stages[1].step().expect("the node goes on") {}
        assert!(w.carry_to(1));
        w.run();
        let (_, bob) = told(&w);
        let import = if retire.is_empty() { "o-2" } else { "o-3" };
        assert!(bob.contains(&format!("again(<{import}>)")), "{bob}");
        assert_eq!((told_of(&w, "dropExports"), told_of(&w, "retireExports")), (0, 0));
        w.tell(1, "bob", &format!("send {import} ping()"), &[]);
        assert!(told(&w).0.contains("alice <- message o+9 ping()"));
        w.tell(1, "bob", &format!("drop {import}; retire {import}"), &[]);
        w.settle_down();
        assert!(told(&w).0.contains("retireExports o+9"));
    }
}

#[test]
fn garbage_leaves_nothing_on_either_side() {
    let mut w = two();
    w.stages[0].puppets.on("alice", "swap", "resolve result = o+9; drop $0; retire $0");
    let before = [w.stages[0].census(), w.stages[1].census()];
    for round in 0..10 {
        let n = round + 10;
        w.stages[1].puppets.once("bob", "notify", "");
        w.tell(1, "bob", &format!("ask o-1 swap(o+{n}) -> p+{n}; send p+{n} ping()"), &[]);
        let (_, bob) = told(&w);
        let import = bob.split("fulfilled <").nth(1).and_then(|text| text.split('>').next()).expect("it is told");
        w.tell(1, "bob", &format!("drop {import}; retire {import}"), &[]);
    }
    w.settle_down();
    let after = [w.stages[0].census(), w.stages[1].census()];
    assert_eq!(after, before);
}

#[test]
fn third_kernels_are_reached_through_the_one_that_introduced_them() {
    let mut w = Worlds::new(&[&["alice"], &["bob"], &["carol"]]);
    let carol_at_b = w.introduce(2, "carol", 1);
    let bob_at_a = w.introduce(1, "bob", 0);
    w.stages[1].puppets.on("bob", "who", "resolve result = o-1");
    w.tell(1, "bob", "keep $0", &[carol_at_b]);
    w.tell(0, "alice", "keep $0; ask o-1 who() -> p+5; ask p+5 hi(o+3) -> p+6", &[bob_at_a]);
    w.heard(2, "carol <- message o+0 hi(<o-1>) result p-2");
    w.tell(2, "carol", "send o-1 back()", &[]);
    let (alice, _) = told(&w);
    assert!(alice.contains("message o+3 back()"), "{alice}");
    assert!(alice.contains("notify p+6 fulfilled [undefined]"), "{alice}");
}
