//! Messages and promises between JavaScript vats (§9 items 23–41).

use crate::stage::Stage;
use crate::world::{Engines, both_engines};

fn three(engine: Engines) -> Stage {
    Stage::on(engine, &[("alice", "promises.js"), ("bob", "promises.js"), ("carol", "promises.js")])
}

#[track_caller]
fn check(script: &str) {
    both_engines(|engine| {
        let mut s = three(engine);
        s.check(script);
        let names = s.alive();
        assert_eq!(names, "alice bob carol", "{}", s.printed());
    });
}

#[test]
fn item_23_values_fulfil_throws_and_missing_methods_reject() {
    check(
        "
        alice.greet('you') => \"hello you\"
        alice.nothing() => [undefined]
        alice.later([1, {a: 2n}]) => [1, {\"a\": 2n}]
        alice.fail('boom') => ![TypeError: boom]
        alice.failLater('boom') => ![RangeError: boom]
        alice.failWith('just text') => !\"just text\"
        alice.missing(1) => ![TypeError: target has no method \"missing\", has […
        ",
    );
}

#[test]
fn item_24_a_rejection_reaches_the_caller_as_an_error() {
    check(
        "
        alice.tryCall(bob, 'fail', 'boom') => {\"bad\": \"boom\", \"isError\": true}
        alice.tryCall(bob, 'failLater', 'late') => {\"bad\": \"late\", \"isError\": true}
        alice.call(bob, 'fail', 'through two vats') => ![TypeError: through two vats]
        alice.tryCall(bob, 'missing') => { \"bad\": \"target has no method …
        ",
    );
}

#[test]
fn item_25_promises_arrive_as_arguments_whenever_they_settle() {
    check(
        "
        alice.sendBefore(bob) => [\"took\", \"resolved after the send\"]
        alice.sendAfter(bob) => [\"took\", \"resolved before the send\"]
        alice.sendLate(bob) => [\"holding\", \"resolved after the reply\"]
        ",
    );
}

#[test]
fn item_26_a_chain_of_promises_ends() {
    check("alice.follow(bob, 20) => [20, \"end\"]");
}

#[test]
fn item_27_promises_that_hold_each_other_settle() {
    check("alice.readCrossed(bob) => [\"promise\", \"promise\", \"promise\"]");
}

#[test]
fn item_28_two_vats_settle_crosswise() {
    check("alice.crosswise(bob, carol) => [\"promise\", \"promise\", \"promise\"]");
}

#[test]
fn item_29_a_promise_settled_with_another_vats_promise() {
    check("alice.resolvedByAnother(bob, carol) => \"from far away\"");
}

#[test]
fn item_30_a_result_is_an_argument_before_it_settles() {
    check(
        "
        alice.resultAsArgument(bob) => [[\"took\", \"settled by the third call\"], \"settled by the third call\", [undefined]]
        alice.twoAtOnce(bob) => [[\"took\", \"one value\"], [\"took\", \"one value\"], \"one value\"]
        ",
    );
}

#[test]
fn item_30_a_result_comes_back_to_the_vat_that_settles_it() {
    check(
        "
        alice.resultComesBack(bob, carol, 'resolve', 7) => [{\"ok\": 7}, {\"ok\": 7}, {\"ok\": 7}, {\"ok\": [\"took\", 7]}, {\"ok\": [\"took\", 7]}]
        alice.resultComesBack(alice, carol, 'resolve', 7) => [{\"ok\": 7}, {\"ok\": 7}, {\"ok\": 7}, {\"ok\": [\"took\", 7]}, {\"ok\": [\"took\", 7]}]
        bob.resultComesBack(carol, alice, 'reject', 'no') => [ {\"bad\": \"no\", \"isError\": true}, {\"bad\": \"no\", \"isError\": true}, {\"bad\": \"no\", \"isError\": true}, {\"bad\": \"no\", \"isError\": true}, {\"bad\": \"no\", \"isError\": true} ]
        ",
    );
}

#[test]
fn item_31_pipelined_calls_run_in_order() {
    check(
        "
        alice.pipeline(bob) => [1, 2, 3, 4, 5]
        alice.inOrder(carol) => [0, 1, 2, 3, \"last\", \"through a promise\"]
        ",
    );
}

#[test]
fn item_32_a_call_on_data_is_refused() {
    let mut s = three(Engines::Memory);
    let pending = s.say("alice.callOnPending(bob, 'p', 'resolve', [1])");
    assert!(pending.contains("[KERNEL:BAD_PROMISE_RESOLUTION]") && pending.contains("\"isError\": true"), "{pending}");
    let settled = s.say("alice.callOnSettled(bob, 'q', 'resolve', 7)");
    assert!(settled.contains("\"bad\"") && !settled.contains("\"ok\""), "{settled}");
    s.check("alice.greet('you') => \"hello you\"");
}

#[test]
fn item_33_a_call_on_a_rejected_promise_has_the_same_reason() {
    let reason = "{\"bad\": \"no\", \"isError\": true}";
    check(&format!("alice.callOnSettled(bob, 'p', 'reject', 'no') => [{reason}, {reason}]"));
}

#[test]
fn item_34_a_waiting_call_is_rejected_with_its_promise() {
    check("alice.callOnPending(bob, 'p', 'reject', 'no') => {\"bad\": \"no\", \"isError\": true}");
}

#[test]
fn item_35_a_promise_settles_once() {
    both_engines(|engine| {
        let mut s = three(engine);
        let waiting = s.begin("alice.call(bob, 'promise', 'p')");
        s.run();
        assert_eq!(s.fate(waiting), "pending");
        s.check("bob.resolveTwice('p') => [undefined]");
        assert_eq!(s.fate(waiting), "\"first\"");
        s.check(
            "
            bob.resolveTwice('p') => [undefined]
            alice.call(bob, 'promise', 'p') => \"first\"
            ",
        );
    });
}

#[test]
fn item_37_one_notification_tells_all_that_is_settled() {
    both_engines(|engine| {
        let mut s = three(engine);
        s.told("alice");
        s.check("alice.readSettledInside(bob) => [\"first\", \"third\"]");
        assert_eq!(s.told("alice"), "message notify", "the inner promises came with the outer one");
    });
}

#[test]
fn item_38_a_settled_promise_comes_back_to_its_maker() {
    check("alice.bounce(bob) => [\"mine\", \"mine\", \"mine\"]");
}

#[test]
fn item_39_an_async_generator_is_consumed_across_vats() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &[("alice", "generator.js"), ("bob", "generator.js")]);
        s.check(
            "
            alice.consume(bob, 1, 4) => [\"1 own\", \"2 own\", \"3 own\", \"4 own\"]
            alice.consume(bob, 1, 3, alice) => [\"1 #1\", \"2 #2\", \"3 #3\"]
            alice.consume(alice, 1, 2) => [\"1 own\", \"2 own\"]
            alice.consumeSome(bob, 3) => [1, 2, 3]
            bob.closed() => 3
            ",
        );
    });
}

#[test]
fn item_41_values_are_encoded_as_the_vectors_say() {
    let mut s = three(Engines::Memory);
    let expected = concat!(
        "#[\"#undefined\",null,true,0,\"#NaN\",\"#Infinity\",\"#-Infinity\",1.5,\"+12\",\"-12\",\"+0\",\"\",\"plain\",\"!#escaped\",",
        "\"!!\",\"!$0\",\"!+1\",\"!%sym\",\"%registered\",\"%@@asyncIterator\",\"%@@@@odd\",[],{\"!#key\":3,\"a\":[2],\"b\":1},",
        "{\"#error\":\"oops\",\"errorId\":\"error:liveSlots:v1#70001\",\"name\":\"Error\"},",
        "{\"#error\":\"far\",\"errorId\":\"error:liveSlots:v1#70002\",\"name\":\"RangeError\"}]",
    );
    assert_eq!(s.settle("alice.values()").value.body, expected);
    // Through another vat and back, only the errors' ids are new ones.
    let through = s.settle("bob.call(alice, 'values')").value.body;
    let until_errors = |body: &str| body.split("{\"#error\"").next().map(str::to_owned);
    assert_eq!(until_errors(&through), until_errors(expected));
}

#[test]
fn the_same_object_twice_takes_one_slot() {
    let mut s = three(Engines::Memory);
    s.name(&["thing"], "alice.thing('Thing')");
    let settled = s.settle("bob.echo([thing, thing, alice])");
    assert_eq!(settled.value.slots.len(), 2);
    assert_eq!(settled.value.body, "#[\"$0.Alleged: presence o-1\",\"$0\",\"$1.Alleged: presence o-2\"]");
    s.check("bob.call(thing, 'greet', 'bob') => \"Thing greets bob\"");
}
