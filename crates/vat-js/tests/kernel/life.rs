//! The life of JavaScript vats: launch, restart, crash, termination, subclusters and services (§9 items 20, 36, 57–71, 76,
//! 80).

use crate::stage::{Stage, value, vat};
use crate::world::{Engines, both_engines};
use sturdy_kernel::{Answer, Event, Refused, Request};
use sturdy_types::SubclusterId;

fn counters(engine: Engines) -> Stage {
    Stage::on(engine, &[("alice", "counter.js"), ("bob", "counter.js"), ("carol", "counter.js")])
}

#[test]
fn item_20_a_vat_that_sends_while_it_starts_again_is_heard() {
    both_engines(|engine| {
        let mut s = counters(engine);
        s.check("alice.keepPeer(bob) => [undefined]");
        s.restart("alice");
        s.check("bob.heard() => [\"counter is back\"]");
        s.world.crash();
        s.world.run(); // no call from outside
        s.check("bob.heard() => [\"counter is back\"]");
    });
}

#[test]
fn item_36_what_a_lost_crank_was_deciding_is_rejected() {
    both_engines(|engine| {
        let mut s = counters(engine);
        let answer = s.begin("alice.ask(bob, 'exitWithFailure', carol, 'enough')");
        s.run();
        let fate = s.fate(answer);
        assert!(fate.starts_with("![Error: [KERNEL:") && fate.contains("enough"), "{fate}");
        s.check("alice.increment() => 1");
    });
}

#[test]
fn item_57_parameters_roots_and_services_arrive() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine);
        s.ask(Request::RegisterService { name: "clock".into(), system_only: false }).expect("the name is free");
        let files = [
            vat("first", "bootstrap.js").parameters(r#"{"n": [1, null, {"deep": "text"}]}"#),
            vat("second", "bootstrap.js").parameters("\"just text\""),
            vat("third", "bootstrap.js"),
        ];
        let result = s.launch_with(&files, &["clock"]).expect("it is launched");
        assert_eq!(
            result,
            "{ \"names\": [\"first\", \"second\", \"third\"], \
             \"parts\": [{\"n\": [1, null, {\"deep\": \"text\"}]}, \"just text\", [undefined]], \"services\": [\"clock\"] }"
        );
        s.check("first.peers() => [<second> (Alleged: vatRoot), <third> (Alleged: vatRoot)]");
        let powers = s.say("first.powers()");
        for power in ["exitVat", "exitVatWithFailure", "makeKindHandle", "WeakMap", "WeakSet"] {
            assert!(powers.contains(&format!("\"{power}\"")), "{power} is not in {powers}");
        }
    });
}

/// Launches vats of which the one named `faulty` fails.
fn refused(files: &[crate::stage::VatFile<'_>]) -> String {
    let mut s = Stage::empty(Engines::Memory);
    let before = s.size();
    let why = s.launch(files).expect_err("the launch fails");
    // Item 60: nothing is left, and the status can be had.
    let status = s.status();
    assert_eq!((status.vats.len(), status.subclusters.len()), (0, 0), "{status:?}");
    let mut after = s.size();
    for table in after.keys().copied().collect::<Vec<_>>() {
        if ["counters", "sources"].contains(&table) {
            after.remove(table);
        }
    }
    let before: std::collections::BTreeMap<_, _> =
        before.into_iter().filter(|(table, _)| after.contains_key(table)).collect();
    assert_eq!(after, before, "rows are left by: {why}");
    // What was told to the host is true for vats that are launched later too.
    s.launch(&[vat("alice", "counter.js")]).expect("the kernel goes on");
    s.check("alice.increment() => 1");
    why
}

#[test]
fn item_58_a_throw_while_starting_fails_the_launch() {
    let why = refused(&[vat("fine", "counter.js"), vat("faulty", "throwsAtOnce.js")]);
    for part in ["faulty", "v2", "this module always throws", "throwsAtOnce.js:5"] {
        assert!(why.contains(part), "{part:?} is not in {why}");
    }
    let why = refused(&[vat("faulty", "fails.js").parameters(r#"{"where": "build"}"#), vat("fine", "counter.js")]);
    for part in ["faulty", "v1", "buildRootObject does not want to", "fails.js:"] {
        assert!(why.contains(part), "{part:?} is not in {why}");
    }
}

#[test]
fn item_59_a_bootstrap_that_fails_fails_the_launch() {
    for (way, part) in [
        ("bootstrap", "bootstrap does not want to"),
        ("bootstrapLater", "bootstrap changed its mind"),
        ("value", "an error as a value"),
    ] {
        let parameters = format!(r#"{{"where": "{way}"}}"#);
        let why = refused(&[vat("faulty", "fails.js").parameters(&parameters), vat("fine", "counter.js")]);
        assert!(why.contains(part), "{way}: {why}");
    }
}

#[test]
fn a_root_without_bootstrap_needs_none() {
    both_engines(|engine| {
        let mut s = counters(engine);
        s.launch(&[vat("plain", "globals.js")]).expect("it is launched all the same");
        assert_eq!(s.alive(), "alice bob carol plain");
    });
}

#[test]
fn item_60_a_failed_launch_leaves_nothing() {
    // `refused` looks at what is left; here beside another subcluster, which notices nothing.
    both_engines(|engine| {
        let mut s = counters(engine);
        s.check("alice.increment() => 1");
        let before = s.size();
        for way in ["build", "bootstrap", "value"] {
            let parameters = format!(r#"{{"where": "{way}"}}"#);
            s.launch(&[vat("faulty", "fails.js").parameters(&parameters)]).expect_err("it fails");
        }
        let mut after = s.size();
        after.insert("sources", before.get("sources").copied().unwrap_or_default());
        assert_eq!(after, before);
        assert_eq!(s.alive(), "alice bob carol");
        s.check("alice.increment() => 2");
    });
}

#[test]
fn item_61_the_root_must_be_an_ephemeral_named_remotable() {
    for root in ["nothing", "text", "record", "methods", "nameless", "durable", "store", "never"] {
        let parameters = format!(r#"{{"root": "{root}"}}"#);
        let why = refused(&[vat("faulty", "fails.js").parameters(&parameters)]);
        assert!(why.contains("buildRootObject"), "{root}: {why}");
    }
    let mut s = Stage::empty(Engines::Memory);
    let result = s.launch(&[vat("late", "fails.js").parameters(r#"{"root": "later"}"#)]);
    assert_eq!(result, Ok("\"came late\"".to_owned()));
}

#[test]
fn item_62_a_restart_keeps_what_is_durable() {
    both_engines(|engine| {
        let mut s = counters(engine);
        s.check("alice.increment(3) => 3");
        let root = s.named("alice");
        s.restart("alice");
        s.check(
            "
            alice.count() => 3
            alice.bootstraps() => 1
            alice.volatile() => 0
            alice.increment() => 4
            ",
        );
        let id = s.world.vat("alice");
        let now = s.status().vats.into_iter().find(|vat| vat.id == id).and_then(|vat| vat.root);
        assert_eq!(now.map(Into::into), Some(root), "roots keep their names");
    });
}

#[test]
fn item_63_all_vats_come_back_but_one_that_cannot() {
    both_engines(|engine| {
        let mut s = counters(engine);
        s.check(
            "
            alice.increment(3) => 3
            carol.increment(5) => 5
            bob.breakDown() => [undefined]
            ",
        );
        // Messages that are queued and durable when the process ends are processed.
        let waiting = s.world.ask_later(named_call(&s, "alice", "increment", "[]", "q"));
        s.world.commit().expect("it is durable");
        s.world.crash();
        s.world.run();
        assert!(matches!(s.world.answers.get(&waiting), Some(Ok(Answer::Called(_)))));
        s.check(
            "
            alice.count() => 4
            carol.count() => 5
            carol.bootstraps() => 0
            ",
        );
        let status = s.status();
        assert_eq!(status.subclusters.len(), 1);
        let phases: Vec<String> = status.vats.iter().map(|vat| format!("{:?}", vat.phase)).collect();
        assert_eq!((phases[0].as_str(), phases[2].as_str()), ("Running", "Running"));
        assert!(phases[1].contains("counter was told not to start again"), "{phases:?}");
        let fate = s.say("bob.count()");
        assert!(fate.contains("[KERNEL:ENDPOINT_UNREACHABLE]"), "{fate}");
    });
}

/// A call under a name that outlives the process.
fn named_call(s: &Stage, target: &str, method: &str, args: &str, request: &str) -> Request {
    let methargs = crate::world::methargs(method, args, Vec::new());
    Request::Call { target: s.named(target), methargs, request: Some(request.into()) }
}

#[test]
fn item_64_a_reset_starts_afresh() {
    both_engines(|engine| {
        let mut s = counters(engine);
        s.check("alice.increment(3) => 3");
        s.launch(&[vat("dora", "counter.js")]).expect("a second subcluster");
        s.check("dora.increment() => 1");
        s.crash();
        s.check("alice.count() => 3");
        s.check("dora.count() => 1");
        s.ask(Request::Reset).expect("a reset is possible");
        s.settle_down();
        assert_eq!(s.alive(), "");
        let old = s.named("alice");
        s.launch(&[vat("alice", "counter.js")]).expect("it is launched again");
        s.check("alice.count() => 0");
        assert_ne!(s.named("alice"), old, "no reference is used twice");
    });
}

#[test]
fn item_65_ephemeral_objects_end_with_their_heap() {
    both_engines(|engine| {
        for end in [Stage::crash, |s: &mut Stage| s.restart("alice")] {
            let mut s = counters(engine);
            s.name(&["temporary"], "alice.temporary()");
            s.check(
                "
                bob.ask(temporary, 'hello') => \"still here\"
                bob.keepPeer(temporary) => [undefined]
                ",
            );
            end(&mut s);
            let fate = s.say("bob.tryAsk(temporary, 'hello')");
            assert!(fate.contains("[KERNEL:OBJECT_DELETED]"), "{fate}");
            s.check("alice.increment() => 1");
        }
    });
}

#[test]
fn item_66_a_restart_under_load_loses_nothing() {
    both_engines(|engine| {
        for steps in 0..12 {
            let mut s = counters(engine);
            let calls: Vec<_> = (0..6).map(|_| s.begin("bob.ask(alice, 'increment')")).collect();
            for _ in 0..steps {
                s.world.step().expect("the node goes on");
            }
            let id = s.status().vats[0].id;
            s.ask(Request::RestartVat(id)).expect("it starts again");
            s.world.run();
            let fates: Vec<String> = calls.iter().map(|call| s.fate(*call)).collect();
            assert!(fates.iter().all(|fate| fate != "pending"), "{steps}: {fates:?}");
            let told: Vec<u32> = fates.iter().filter_map(|fate| fate.parse().ok()).collect();
            assert!(told.is_sorted(), "{steps}: {fates:?}");
            let count: u32 = s.say("alice.count()").parse().expect("a number");
            assert!(count == 6, "{steps}: a queued message was lost: {fates:?}");
        }
    });
}

#[test]
fn item_67_termination_during_traffic() {
    both_engines(|engine| {
        for steps in 0..12 {
            let mut s = counters(engine);
            let calls: Vec<_> = (0..3).map(|_| s.begin("bob.ask(alice, 'increment')")).collect();
            let waiting = s.begin("bob.ask(alice, 'pending')");
            let others: Vec<_> = (0..3).map(|_| s.begin("bob.ask(carol, 'increment')")).collect();
            for _ in 0..steps {
                s.world.step().expect("the node goes on");
            }
            s.terminate("alice");
            s.world.run();
            let mut fates: Vec<String> = calls.iter().map(|call| s.fate(*call)).collect();
            fates.push(s.fate(waiting));
            for fate in &fates {
                let known =
                    ["[KERNEL:VAT_TERMINATED]", "[KERNEL:OBJECT_DELETED]"].iter().any(|code| fate.contains(code));
                assert!(known || fate.parse::<u32>().is_ok(), "{steps}: {fates:?}");
            }
            let fine: Vec<String> = others.iter().map(|call| s.fate(*call)).collect();
            assert_eq!(fine, ["1", "2", "3"]);
            assert_eq!(s.alive(), "bob carol");
        }
    });
}

#[test]
fn item_68_promises_of_an_ended_heap_are_rejected() {
    both_engines(|engine| {
        let mut s = counters(engine);
        s.check("bob.askAndForget(alice, 'pending') => [undefined]");
        let waiting = s.begin("alice.pending()");
        s.run();
        s.restart("alice");
        let fate = s.fate(waiting);
        assert!(fate.contains("[KERNEL:VAT_RESTARTED]"), "{fate}");
        let heard = s.say("bob.heard()");
        assert!(heard.contains("[KERNEL:VAT_RESTARTED]"), "{heard}");

        s.check("bob.askAndForget(alice, 'pending') => [undefined]");
        let waiting = s.begin("alice.pending()");
        s.run();
        s.terminate("alice");
        let fate = s.fate(waiting);
        assert!(fate.contains("[KERNEL:VAT_TERMINATED]"), "{fate}");
        let heard = s.say("bob.heard()");
        assert!(heard.contains("[KERNEL:VAT_TERMINATED]"), "{heard}");
    });
}

#[test]
fn item_68_a_caller_that_lost_its_heap_too() {
    both_engines(|engine| {
        let mut s = counters(engine);
        let request = named_call(&s, "alice", "pending", "[]", "mine");
        s.ask(request.clone()).expect("it is called");
        s.crash();
        let again = s.world.ask_later(request);
        s.world.run();
        let fate = s.fate(again);
        assert!(fate.contains("[KERNEL:VAT_RESTARTED]"), "{fate}");
    });
}

#[test]
fn a_named_call_has_one_answer_wherever_the_process_ends() {
    both_engines(|engine| {
        let mut answered = 0;
        for steps in 0..12 {
            let mut s = counters(engine);
            s.check("alice.keepPeer(bob) => [undefined]");
            let request = named_call(&s, "alice", "askPeer", "[\"increment\"]", "mine");
            s.ask_later(request.clone());
            for _ in 0..steps {
                s.world.step().expect("the node goes on");
            }
            s.world.commit().expect("it is durable");
            s.crash();
            let again = s.world.ask_later(request);
            s.world.run();
            let fate = s.fate(again);
            let count = s.say("bob.count()");
            match fate.as_str() {
                "1" => assert_eq!(count, "1", "{steps}"),
                lost => assert!(lost.contains("[KERNEL:VAT_RESTARTED]") && count != "2", "{steps}: {lost}, {count}"),
            }
            answered += usize::from(fate == "1");
        }
        assert!((1..12).contains(&answered), "{answered} were answered: some were before, some after the conversation");
    });
}

#[test]
fn item_69_exits_keep_or_undo_the_crank() {
    both_engines(|engine| {
        let mut s = counters(engine);
        s.check("carol.keepPeer(alice) => [undefined]");
        let last = s.begin("alice.exit('done here')");
        s.run();
        let fate = s.fate(last);
        assert!(fate.contains("[KERNEL:VAT_TERMINATED]"), "nothing after an exit has effect: {fate}");
        assert_eq!(s.alive(), "bob carol");
        s.check("carol.askPeer('count') => \"[KERNEL:OBJECT_DELETED]…");

        let last = s.begin("bob.exitWithFailure(carol, 'gave up')");
        s.run();
        let fate = s.fate(last);
        assert!(fate.starts_with("![Error: [KERNEL:") && fate.contains("gave up"), "{fate}");
        assert_eq!(s.alive(), "carol");
        s.check("carol.heard() => []");
    });
}

#[test]
fn item_76_subclusters_and_their_vats() {
    both_engines(|engine| {
        let mut s = counters(engine);
        s.launch(&[vat("dora", "counter.js"), vat("emil", "counter.js")]).expect("a second subcluster");
        let unknown = SubclusterId(77);
        assert!(matches!(s.ask(Request::TerminateSubcluster(unknown)), Err(Refused::NoSuchSubcluster(_))));
        let members =
            |s: &mut Stage| -> Vec<usize> { s.status().subclusters.iter().map(|sub| sub.vats.len()).collect() };
        assert_eq!(members(&mut s), [3, 2]);
        s.terminate("emil");
        assert_eq!(members(&mut s), [3, 1]);
        s.terminate("dora");
        s.settle_down();
        assert_eq!(members(&mut s), [3]);
        s.check("alice.increment() => 1");
        let id = s.status().subclusters[0].id;
        s.ask(Request::TerminateSubcluster(id)).expect("it is there");
        assert_eq!(s.alive(), "");
    });
}

fn serve(s: &mut Stage, rejected: bool, answer: sturdy_types::CapData<sturdy_types::KRef>) -> String {
    s.world.run();
    let (call, service, methargs) = s.world.service_calls.remove(0);
    assert_eq!(service, "clock");
    let body = methargs.body;
    s.world.event(Event::ServiceAnswered { call, rejected, value: answer }).expect("the node goes on");
    s.world.run();
    body
}

#[test]
fn item_80_services_are_called_like_objects() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine);
        s.ask(Request::RegisterService { name: "clock".into(), system_only: false }).expect("the name is free");
        s.launch_with(&[vat("alice", "bootstrap.js")], &["clock"]).expect("it is launched");

        let call = s.begin("alice.useService('clock', 'wake', {after: [5n, alice]})");
        let asked = serve(&mut s, false, value("['at', 12]"));
        assert_eq!(asked, r#"#["wake",[{"after":["+5","$0.Alleged: Bootstrap"]}]]"#);
        assert_eq!(s.fate(call), "[\"at\", 12]");

        let call = s.begin("alice.tryService('clock', 'stop')");
        let error = sturdy_types::KernelError::new(sturdy_types::Code::DeliveryFailed, "the clock cannot stop");
        serve(&mut s, true, error.to_capdata());
        assert_eq!(s.fate(call), "\"Error: [KERNEL:DELIVERY_FAILED] the clock cannot stop\"");

        // A call under way when the process ends is rejected; afterwards the service is there again.
        s.begin("alice.tryService('clock', 'slow')");
        s.run();
        s.world.service_calls.clear();
        s.crash();
        s.ask(Request::RegisterService { name: "clock".into(), system_only: false }).expect("it is the same one");
        let call = s.begin("alice.useService('clock', 'now')");
        serve(&mut s, false, value("99"));
        assert_eq!(s.fate(call), "99");
    });
}
