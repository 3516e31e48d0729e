//! Promises and messages (kernel-semantics §9 items 23–40), as the vats see them.

mod world;

use sturdy_kernel::Request;
use sturdy_types::KernelLimits;
use world::puppet::Stage;
use world::{Engines, both_engines};

#[test]
fn item_23_a_value_fulfils_and_an_error_rejects() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        assert_eq!(s.tell("bob", "resolve result = 7"), "fulfilled 7");
        assert_eq!(s.tell("bob", "resolve result != error boom"), "rejected [Error: boom]");
    });
}

#[test]
fn item_24_a_rejection_reaches_the_calling_vat() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "fails", "resolve result != error boom");
        s.tell("alice", "ask o-1 fails() -> p+5");
        s.heard("bob <- message o+0 fails() result p-1\n alice <- notify p+5 rejected [Error: boom]");
    });
}

#[test]
fn item_25_a_promise_as_an_argument_is_resolved_before_during_and_after() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "take", "subscribe $0");
        s.tell("alice", "resolve p+5 = early; send o-1 take(p+6); resolve p+6 = early");
        s.tell("alice", "send o-1 take(p+7)");
        s.tell("alice", "resolve p+7 = late");
        s.tell("alice", "ask o-1 take(p+8) -> p+9");
        s.tell("alice", "resolve p+8 = later");
        s.heard(
            "bob <- message o+0 take(<p-1>)
             bob <- notify p-1 fulfilled \"early\"
             bob <- message o+0 take(<p-2>)
             bob <- notify p-2 fulfilled \"late\"
             bob <- message o+0 take(<p-3>) result p-4
             alice <- notify p+9 fulfilled [undefined]
             bob <- notify p-3 fulfilled \"later\"",
        );
    });
}

#[test]
fn item_26_a_chain_of_promises_resolves_to_its_end() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "take", "subscribe $0");
        s.tell("alice", "send o-1 take(p+1)");
        s.tell("alice", "times 5 resolve p+{i} = [{i}]; resolve p+9 = done");
        s.tell("alice", "send o-1 take(p+10)");
        s.puppets.on("bob", "notify", "");
        s.tell("alice", "resolve p+10 = [p+11] & p+11 = [p+12] & p+12 = end");
        s.heard(
            "bob <- message o+0 take(<p-1>)
             bob <- notify p-1 fulfilled [1]
             bob <- message o+0 take(<p-2>)
             bob <- notify p-2 fulfilled [<p-3>], p-3 fulfilled [<p-4>], p-4 fulfilled \"end\"",
        );
    });
}

#[test]
fn item_27_two_promises_that_hold_each_other_settle_in_one_crank_and_in_several() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "take", "subscribe $0; subscribe $1");
        s.tell("alice", "send o-1 take(p+5, p+6)");
        s.tell("alice", "resolve p+5 = [p+6] & p+6 = [p+5]");
        s.tell("alice", "send o-1 take(p+7, p+8)");
        s.tell("alice", "resolve p+7 = [p+8]");
        s.tell("alice", "resolve p+8 = 8");
        s.heard(
            "bob <- message o+0 take(<p-1>, <p-2>)
             bob <- notify p-1 fulfilled [<p-2>], p-2 fulfilled [<p-1>]
             bob <- message o+0 take(<p-3>, <p-4>)
             bob <- notify p-3 fulfilled [<p-4>]
             bob <- notify p-4 fulfilled 8",
        );
    });
}

#[test]
fn item_28_two_vats_resolve_crosswise() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        // Alice fulfils hers with an array that holds bob's, bob his with one that holds alice's.
        s.puppets.on("bob", "swap", "subscribe $0; resolve result = [$0]");
        s.tell("alice", "ask o-1 swap(p+6) -> p+5; resolve p+6 = [p+5]");
        s.heard(
            "bob <- message o+0 swap(<p-1>) result p-2
             alice <- notify p+5 fulfilled [<p-3>], p-3 fulfilled [<p+5>]
             bob <- notify p-1 fulfilled [<p-3>], p-3 fulfilled [<p-1>]",
        );
    });
}

#[test]
fn item_29_a_promise_resolved_by_another_vats_promise_settles_with_the_final_value() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        // Bob answers with the promise that carol will decide: alice follows it.
        s.puppets.on("bob", "get", "keep result; send o-1 get() -> result");
        s.puppets.once("carol", "get", "keep result");
        let carol = s.root("carol").into();
        s.tell_with("bob", "hold $0 strong", &[carol]);
        s.tell("alice", "ask o-1 get() -> p+5");
        s.tell("carol", "resolve p-1 = final");
        s.heard(
            "bob <- message o+0 get() result p-2
             carol <- message o+0 get() result p-1
             alice <- notify p+5 fulfilled \"final\"",
        );
    });
}

#[test]
fn item_30_a_result_travels_as_an_argument_before_it_is_settled() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "take", "subscribe $0");
        s.puppets.once("bob", "get", "keep result");
        s.tell("alice", "ask o-1 get() -> p+5; send o-1 take(p+5)");
        s.tell("bob", "resolve p-1 = inside; keep result; resolve result = undefined");
        s.heard(
            "bob <- message o+0 get() result p-1
             bob <- message o+0 take(<p-1>)
             alice <- notify p+5 fulfilled \"inside\"",
        );
        // Bob decided it himself: he is not told what he said (§3.5).
    });
}

#[test]
fn item_31_pipelined_calls_run_in_order_with_others() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "get", "resolve result = o+5");
        s.tell("alice", "ask o-1 get() -> p+5; ask p+5 one() -> p+6; ask p+5 two() -> p+7; send o-1 three()");
        s.heard(
            "bob <- message o+0 get() result p-1
             alice <- notify p+5 fulfilled <o-2>
             bob <- message o+0 three()
             bob <- message o+5 one() result p-2
             alice <- notify p+6 fulfilled [undefined]
             bob <- message o+5 two() result p-3
             alice <- notify p+7 fulfilled [undefined]",
        );
    });
}

#[test]
fn item_32_a_call_on_data_is_rejected() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "data", "resolve result = [o+0]");
        s.tell("alice", "ask o-1 data() -> p+5; ask p+5 parked() -> p+6");
        s.heard(
            "bob <- message o+0 data() result p-1
             alice <- notify p+5 fulfilled [<o-1>]
             alice <- notify p+6 rejected [Error: [KERNEL:BAD_PROMISE_RESOLUTION] the promise was fulfilled with something that is not an object]",
        );
    });
}

#[test]
fn item_33_and_34_a_call_on_a_rejected_promise_rejects_with_its_reason() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        s.puppets.on("bob", "fails", "resolve result != [no, o+0]");
        // Before it is rejected, and after.
        s.tell("alice", "ask o-1 fails() -> p+5; ask p+5 parked() -> p+6");
        s.tell("alice", "send o-2 keep(p+7); resolve p+7 != gone");
        s.tell("carol", "ask p-1 late() -> p+5");
        s.heard(
            "bob <- message o+0 fails() result p-1
             alice <- notify p+5 rejected [\"no\", <o-1>]
             alice <- notify p+6 rejected [\"no\", <o-1>]
             carol <- message o+0 keep(<p-1>)
             carol <- notify p+5 rejected \"gone\"",
        );
    });
}

#[test]
fn item_35_only_the_decider_resolves_and_only_once() {
    // Somebody else's promise; a promise whose fate a message carries; one that is settled already.
    for (script, named) in [
        ("resolve $0 = 1", "p-1"),
        ("send o+0 x() -> p+5; resolve p+5 = 1", "p+5"),
        ("resolve p+5 = 1 & p+5 = 2", "p+5"),
        ("resolve result = 1; resolve result != 2", "p-"),
    ] {
        both_engines(|engine| {
            let mut s = Stage::on(engine, &["alice", "bob"]);
            let promise = s.reveal("alice", "p+5");
            let fate = s.tell_with("bob", script, &promise);
            assert!(fate.starts_with("rejected [Error: [KERNEL:VAT_FATAL:ILLEGAL_SYSCALL] v2 "), "{script}: {fate}");
            assert!(fate.contains(named), "{script}: {fate}");
            // The promise that alice decides is still hers to settle.
            let call = s.send_later(promise[0], "x", &[]);
            assert_eq!(s.tell("alice", "resolve p+5 = o+0"), "fulfilled [undefined]");
            assert_eq!(s.fate(call), "fulfilled [undefined]");
        });
    }
}

#[test]
fn a_settled_promise_is_forgotten_and_its_name_free_again() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(p+5); resolve p+5 = 1; send o-1 take(p+5); resolve p+5 = 2");
        s.tell("bob", "subscribe p-1; subscribe p-2");
        s.heard(
            "bob <- message o+0 take(<p-1>)
             bob <- message o+0 take(<p-2>)
             bob <- notify p-1 fulfilled 1
             bob <- notify p-2 fulfilled 2",
        );
    });
}

#[test]
fn item_36_delivery_makes_the_target_decide_and_an_abort_undoes_it() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let bob = s.vat("bob");
        s.tell_named("one", "bob", "resolve result = 1");
        s.commit().expect("it is durable");
        s.run_until_in_flight(bob);
        // The process ends in the middle: the message is in its queue again and nobody decides its result.
        s.crash();
        s.told();
        s.run();
        assert_eq!(s.told(), "alice <- startVat again\nbob <- startVat again\nbob <- message o+0 do() result p-1");
        let again = s.send_named("one", s.root("bob"), "do");
        s.run();
        assert_eq!(s.fate(again), "fulfilled 1");
    });
}

#[test]
fn item_37_one_notification_tells_all_that_is_settled_within_the_value() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "take", "subscribe $0");
        s.tell("alice", "send o-1 take(p+5)");
        s.tell("alice", "resolve p+5 = [p+6, p+7, p+9] & p+6 = [p+8, p+5] & p+7 != no & p+8 = yes");
        s.heard(
            "bob <- message o+0 take(<p-1>)
             bob <- notify p-1 fulfilled [<p-2>, <p-3>, <p-4>], p-2 fulfilled [<p-5>, <p-1>], p-5 fulfilled \"yes\", p-3 rejected \"no\"",
        );
    });
}

#[test]
fn item_38_a_resolved_promise_bounces_back_to_its_creator() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "bounce", "ask o-1 back($0) -> p+5");
        s.puppets.on("alice", "back", "subscribe $0");
        let alice = s.root("alice").into();
        s.tell_with("bob", "hold $0 strong", &[alice]);
        s.tell("alice", "send o-1 bounce(p+5); resolve p+5 = 5");
        s.heard(
            "bob <- message o+0 bounce(<p-2>)
             alice <- message o+0 back(<p-3>) result p-4
             bob <- notify p+5 fulfilled [undefined]
             alice <- notify p-3 fulfilled 5",
        );
    });
}

#[test]
fn ten_thousand_pipelined_calls_collapse_in_one_turn() {
    let mut s = Stage::on(Engines::Memory, &["alice", "bob"]);
    s.puppets.once("bob", "get", "keep result");
    // Side by side on one promise, and each on the result of the one before it; the last of each is waited for.
    s.tell("alice", "ask o-1 get() -> p+1; times 10000 send p+1 flat() -> p+6{i}; subscribe p+610000");
    s.tell("alice", "send p+1 deep() -> p+50; times 9999 send p+5{j} deep() -> p+5{i}; subscribe p+59999");
    s.told();
    s.tell_later("bob", "resolve p-1 != over; keep result; resolve result = undefined", &[]);
    let turns = s.node().stats().turns;
    s.step().expect("the node goes on");
    assert_eq!(s.node().stats().turns, turns + 1);
    s.run();
    s.heard(
        "alice <- notify p+1 rejected \"over\"
         alice <- notify p+610000 rejected \"over\"
         alice <- notify p+59999 rejected \"over\"",
    );
}

#[test]
fn a_chain_built_from_its_end_costs_a_limited_turn() {
    both_engines(|engine| {
        let limits = KernelLimits { waiting_looked_at_per_turn: 100, ..KernelLimits::default() };
        let mut s = Stage::with_limits(engine, limits, &["alice", "bob"]);
        // Each message is put before all those that were sent already: 1 + 2 + 3 + … are looked at.
        let chain = |from: u64, length: u64| {
            let sends = (0..length).map(|step| format!("send p+{} x() -> p+{}", from - step, from - step + 1));
            sends.collect::<Vec<_>>().join(";")
        };
        s.tell("alice", &format!("{}; subscribe p+101", chain(100, 10)));
        s.heard("");
        s.tell("alice", &format!("{}; subscribe p+201", chain(200, 20)));
        let told = s.told();
        let text = "what waits for the results of this turn exceeds its limit of 100 messages";
        assert!(
            told.ends_with(&format!("alice <- notify p+201 rejected [Error: [KERNEL:QUEUE_FULL] {text}]")),
            "{told}"
        );
        assert_eq!(s.tell("bob", ""), "fulfilled [undefined]");
    });
}

#[test]
fn a_promise_that_would_stand_for_itself_is_rejected() {
    both_engines(|engine| {
        let text = "[Error: [KERNEL:BAD_PROMISE_RESOLUTION] the promise was fulfilled with what stands for itself]";
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "take", "subscribe $0");
        s.tell("alice", "send o-1 take(p+5)");
        s.tell("alice", "resolve p+5 = p+5");
        s.heard(&format!("bob <- message o+0 take(<p-1>)\n bob <- notify p-1 rejected {text}"));
        s.tell("alice", "send o-1 take(p+6)");
        s.tell("alice", "resolve p+6 = p+7 & p+7 = p+8 & p+8 = p+6");
        s.heard(&format!(
            "bob <- message o+0 take(<p-2>)
             bob <- notify p-2 fulfilled <p-3>, p-3 fulfilled <p-4>, p-4 rejected {text}"
        ));
    });
}

#[test]
fn a_message_that_would_wait_for_itself_is_rejected() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send p+5 x() -> p+6; send p+6 y() -> p+5; subscribe p+5; subscribe p+6");
        let text =
            "[Error: [KERNEL:BAD_PROMISE_RESOLUTION] the promise was fulfilled with what depends on its own outcome]";
        s.heard(&format!("alice <- notify p+5 rejected {text}\n alice <- notify p+6 rejected {text}"));
    });
}

#[test]
fn a_flood_does_not_starve_others() {
    let mut s = Stage::on(Engines::Memory, &["flood", "victim", "quiet"]);
    // The flooder keeps itself busy with two messages for every one.
    s.tell_later("flood", "times 200 send o-1 hello()", &[]);
    let ticket = s.send_later(s.root("quiet"), "ping", &[]);
    let mut steps = 0;
    while s.result_if_any(ticket).is_none() {
        assert!(s.step().expect("the node goes on"));
        s.commit().expect("it is durable");
        steps += 1;
    }
    assert!(steps <= 4, "{steps} deliveries before a quiet vat has its turn");
    s.run();
}

#[test]
fn a_full_inbox_and_a_full_promise_refuse_the_newest() {
    both_engines(|engine| {
        let limits = KernelLimits { inbox_items: 2, promise_queue_items: 2, ..KernelLimits::default() };
        let mut s = Stage::with_limits(engine, limits, &["alice", "bob"]);
        s.tell("alice", "times 3 ask o-1 hello() -> p+{i}");
        s.heard(
            "bob <- message o+0 hello() result p-1
             alice <- notify p+3 rejected [Error: [KERNEL:QUEUE_FULL] the inbox of v2 holds its limit of 2 messages]
             bob <- message o+0 hello() result p-2
             alice <- notify p+1 fulfilled [undefined]
             alice <- notify p+2 fulfilled [undefined]",
        );
        s.puppets.once("bob", "get", "keep result");
        s.tell("alice", "ask o-1 get() -> p+5; times 3 ask p+5 hello() -> p+1{i}");
        let told = s.told();
        assert!(told.contains("alice <- notify p+13 rejected [Error: [KERNEL:QUEUE_FULL] the queue of kp"), "{told}");
        assert!(!told.contains("notify p+12"), "{told}");
    });
}

#[test]
fn too_large_a_message_is_rejected_and_too_large_a_resolution_becomes_a_rejection() {
    both_engines(|engine| {
        let limits = KernelLimits { body_bytes: 1_000, body_slots: 2, ..KernelLimits::default() };
        let mut s = Stage::with_limits(engine, limits, &["alice", "bob"]);
        s.puppets.on("bob", "get", "resolve result = big:2000");
        s.tell("alice", "ask o-1 take(big:2000) -> p+5; ask o-1 take(o+1, o+2, o+3) -> p+6; ask o-1 get() -> p+7");
        s.heard(
            "alice <- notify p+5 rejected [Error: [KERNEL:MESSAGE_TOO_LARGE] 2014 bytes of body, the limit is 1000]
             bob <- message o+0 get() result p-1
             alice <- notify p+6 rejected [Error: [KERNEL:MESSAGE_TOO_LARGE] 3 references, the limit is 2]
             alice <- notify p+7 rejected [Error: [KERNEL:ANSWER_LOST] 2003 bytes of body, the limit is 1000]",
        );
        let root = s.root("bob");
        let slots = vec![root.into(); 3];
        assert_eq!(s.send(root, "take", &slots), "refused the message has 3 references, the limit is 2");
        assert!(s.ask(Request::Status).is_ok());
    });
}
