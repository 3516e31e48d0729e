//! The lives of vats (kernel-semantics §9 items 1, 2, 57–71), launches that fail at each stage, reloads, and calls by
//! name.

mod world;

use sturdy_kernel::{Answer, LaunchRequest, Refused, Request, VatPhase};
use sturdy_types::{KernelLimits, ModuleSource, SourceHash, SubclusterId, VatConfig, VatId};
use world::puppet::Stage;
use world::{Engines, both_engines, cluster, native};

#[test]
fn item_01_counters_begin_at_one_and_go_on() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice"]);
        let status = s.status();
        assert_eq!((status.vats[0].id, status.subclusters[0].id), (VatId(1), SubclusterId(1)));
        assert_eq!(
            (s.root("alice").to_string(), s.reveal("alice", "p+5")[0].to_string()),
            ("ko1".into(), "kp3".into())
        );
        s.crash();
        s.enter(&["bob"]);
        let status = s.status();
        assert_eq!((status.vats[1].id, status.subclusters[1].id), (VatId(2), SubclusterId(2)));
        assert_eq!(s.root("bob").to_string(), "ko2");
    });
}

#[test]
fn item_02_services_come_before_the_first_root() {
    for (services, root) in [(3, "ko4"), (4, "ko5")] {
        let mut s = Stage::empty(Engines::Memory, KernelLimits::default());
        for number in 0..services {
            s.ask(Request::RegisterService { name: format!("service{number}"), system_only: true }).expect("it is new");
        }
        s.enter(&["alice"]);
        assert_eq!(s.root("alice").to_string(), root);
    }
}

#[test]
fn item_57_bootstrap_gets_all_roots_and_the_services() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine, KernelLimits::default());
        s.ask(Request::RegisterService { name: "clock".into(), system_only: false }).expect("it is new");
        let mut config = cluster(&["alice", "bob"]);
        config.services.push("clock".into());
        s.puppets.once("alice", "bootstrap", "resolve result = [ready, o+5]");
        let request = LaunchRequest { config, sources: Vec::new(), system_name: None, label: Some("mine".into()) };
        let answer = s.ask(Request::Launch(Box::new(request)));
        let Ok(Answer::Launched { bootstrap, root, subcluster }) = answer else { panic!("{answer:?}") };
        assert_eq!((world::puppet::show(&bootstrap), root.to_string()), ("[\"ready\", <ko4>]".into(), "ko2".into()));
        s.heard(
            "alice <- startVat
             bob <- startVat
             alice <- message o+0 bootstrap({\"alice\": <o+0> (Alleged: vatRoot), \"bob\": <o-1> (Alleged: vatRoot)}, {\"clock\": <o-2> (Alleged: clock)}) result p-1
             alice <- dropExports o+5
             alice <- retireExports o+5",
        );
        let status = s.status();
        assert_eq!((status.subclusters[0].id, status.subclusters[0].label.as_deref()), (subcluster, Some("mine")));
    });
}

#[test]
fn items_58_59_60_a_launch_that_fails_at_any_stage_leaves_nothing() {
    // What fails, and what the caller is told.
    let stages: [(&str, &str, &str, &str); 8] = [
        (
            "alice",
            "startVat",
            "verdict INTERNAL_ERROR line 3",
            "v1 (alice) could not be started: INTERNAL_ERROR: line 3",
        ),
        ("carol", "startVat", "verdict COMPUTE_LIMIT slow", "v3 (carol) could not be started: COMPUTE_LIMIT: slow"),
        ("bob", "startVat", "illegal x", "v2 (bob) could not be started: ILLEGAL_SYSCALL: x"),
        ("bob", "startVat", "fail no", "v2 (bob) could not be started: exited with failure: no"),
        ("bob", "startVat", "write a b; exit no", "v2 (bob) was terminated during the launch"),
        ("alice", "bootstrap", "resolve result != error boom", "bootstrap failed: boom"),
        ("alice", "bootstrap", "send o-1 x(o+5, p+5); resolve result = error boom", "bootstrap failed: boom"),
        (
            "alice",
            "bootstrap",
            "write a b; verdict MEMORY_LIMIT much",
            "bootstrap failed: [KERNEL:VAT_FATAL:MEMORY_LIMIT] much",
        ),
    ];
    for (vat, what, script, text) in stages {
        both_engines(|engine| {
            let mut s = Stage::empty(engine, KernelLimits::default());
            let before = s.census();
            s.puppets.once(vat, what, script);
            let mut config = cluster(&["alice", "bob", "carol"]);
            let source = ModuleSource { hash: SourceHash([1; 32]), text: "code".into() };
            for (_, vat) in &mut config.vats {
                vat.code.modules.push(("vat.js".into(), source.hash));
            }
            let request =
                LaunchRequest { config, sources: vec![source], system_name: Some("boss".into()), label: None };
            let refused = s.ask(Request::Launch(Box::new(request)));
            assert_eq!(refused, Err(Refused::LaunchFailed(text.into())), "{vat} {what} {script}");
            let status = s.status();
            assert!(status.vats.is_empty() && status.subclusters.is_empty());
            s.settle_down();
            assert_eq!(s.census(), before, "{vat} {what} {script}");
        });
    }
}

#[test]
fn item_60_a_launch_cut_short_leaves_nothing() {
    both_engines(|engine| {
        for cut in 0..3 {
            let mut s = Stage::empty(engine, KernelLimits::default());
            let before = s.census();
            let launch =
                LaunchRequest { config: cluster(&["a", "b"]), sources: vec![], system_name: None, label: None };
            let ticket = s.ask_later(Request::Launch(Box::new(launch)));
            s.step().expect("the first vat starts");
            match cut {
                0 => drop(s.ask(Request::TerminateSubcluster(SubclusterId(1))).expect("it is there")),
                1 => drop(s.ask(Request::TerminateVat { vat: VatId(1), reason: "no".into() }).expect("it is there")),
                _ => {
                    s.commit().expect("it is durable");
                    s.crash();
                }
            }
            s.run();
            assert_eq!(s.answers.contains_key(&ticket), cut < 2, "who asked before a restart is gone");
            assert!(s.status().vats.is_empty());
            s.settle_down();
            assert_eq!(s.census(), before);
        }
    });
}

#[test]
fn items_62_and_63_everything_comes_back_after_a_restart() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.enter(&["carol"]);
        s.tell("bob", "write count 3");
        let mut before = s.status();
        s.send_named("queued", s.root("bob"), "ping");
        s.commit().expect("it is durable");
        s.told();
        s.crash();
        s.run();
        // Started again, not bootstrapped again; what was queued is delivered.
        s.heard(
            "alice <- startVat again
             bob <- startVat again
             carol <- startVat again
             bob <- message o+0 ping() result p-2",
        );
        let mut after = s.status();
        before.vats.iter_mut().chain(&mut after.vats).for_each(|vat| vat.run.0 = 0);
        assert_eq!(after, before);
        assert_eq!(s.node().vat_state(VatId(2), "count"), Ok(Some("#3".into())));
    });
}

#[test]
fn item_65_a_call_to_an_ephemeral_object_of_the_lost_heap_is_rejected() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let object = s.reveal("bob", "o+5")[0];
        s.restart("bob").expect("it restarts");
        assert_eq!(
            s.send(object, "ping", &[]),
            format!("rejected [Error: [KERNEL:OBJECT_DELETED] {object} does not exist any more]")
        );
        assert_eq!(s.tell("bob", ""), "fulfilled [undefined]");
    });
}

#[test]
fn item_66_a_restart_under_load_loses_no_message() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let bob = s.vat("bob");
        let root = s.root("bob");
        let mut tickets = Vec::new();
        for round in 0..20 {
            tickets.push(s.send_later(root, "ping", &[]));
            if round % 5 == 0 {
                s.step().expect("the node goes on");
                s.ask_later(Request::RestartVat(bob));
            }
        }
        s.run();
        assert!(tickets.into_iter().all(|ticket| s.fate(ticket) == "fulfilled [undefined]"));
    });
}

#[test]
fn item_67_a_vat_ends_during_traffic() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let (alice, bob) = (s.root("alice"), s.root("bob"));
        let doomed: Vec<_> = (0..5).map(|_| s.send_later(bob, "ping", &[])).collect();
        let others: Vec<_> = (0..5).map(|_| s.send_later(alice, "ping", &[])).collect();
        let vat = VatId(2);
        s.run_until_in_flight(vat);
        s.ask(Request::TerminateVat { vat, reason: "enough".into() }).expect("it is there");
        for ticket in doomed {
            assert_eq!(s.fate(ticket), "rejected [Error: [KERNEL:VAT_TERMINATED] v2 was terminated: enough]");
        }
        assert!(others.into_iter().all(|ticket| s.fate(ticket) == "fulfilled [undefined]"));
    });
}

#[test]
fn item_69_an_exit_commits_and_a_failure_undoes() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        s.puppets.once("bob", "go", "send $0 last(o+5); exit [done, o+6]");
        s.puppets.once("carol", "go", "send $0 last(o+5); fail [bad, o+6]");
        s.tell("alice", "ask o-1 go(o+0) -> p+5; ask o-2 go(o+0) -> p+6");
        s.heard(
            "bob <- message o+0 go(<o-1>) result p-1
             carol <- message o+0 go(<o-1>) result p-1
             alice <- message o+0 last(<o-3>)
             alice <- notify p+5 rejected [Error: [KERNEL:VAT_TERMINATED] v2 ended itself: #[\"done\",\"$0\"]]
             alice <- notify p+6 rejected [Error: [KERNEL:VAT_TERMINATED] v3 was terminated: exited with failure: [KERNEL:VAT_TERMINATED] the vat gave a reason that names references]",
        );
        assert_eq!(s.status().vats.len(), 1);
    });
}

#[test]
fn item_71_a_second_restart_waits_for_the_first() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let bob = s.vat("bob");
        let first = s.ask_later(Request::RestartVat(bob));
        let second = s.ask_later(Request::RestartVat(bob));
        s.run();
        assert_eq!(s.answers[&first], Ok(Answer::Done));
        assert_eq!(s.answers[&second], Err(Refused::Overtaken("v2 is being restarted already".into())));
        s.heard("bob <- startVat again");
    });
}

/// The same vat with another entry: other code.
fn reload(s: &mut Stage, vat: &str, entry: &str) -> sturdy_kernel::Ticket {
    let vat = s.vat(vat);
    s.ask_later(Request::ReloadVat { vat, config: Box::new(native(entry)), sources: Vec::new() })
}

fn entry_of(s: &mut Stage, vat: VatId) -> String {
    let status = s.status();
    let config: &VatConfig = &status.vats.iter().find(|info| info.id == vat).expect("it is there").config;
    config.code.entry.clone()
}

#[test]
fn a_reload_keeps_the_state_and_changes_the_code() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("bob", "write count 3");
        s.told();
        let ticket = reload(&mut s, "bob", "bob2");
        s.run();
        assert_eq!(s.answers[&ticket], Ok(Answer::Done));
        assert_eq!(s.send(s.root("bob"), "ping", &[]), "fulfilled [undefined]");
        s.heard("bob2 <- startVat again\n bob2 <- message o+0 ping() result p-2");
        assert_eq!(s.node().vat_state(VatId(2), "count"), Ok(Some("#3".into())));
        s.crash();
        s.run();
        assert!(s.told().contains("bob2 <- startVat again"));
    });
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let later = s.tell_later("bob", "keep result", &[]);
        s.run();
        s.told();
        s.acknowledge_all();
        let before = s.census();
        s.puppets.once("bob2", "startVat", "write count 4; verdict INTERNAL_ERROR line 1");
        let ticket = reload(&mut s, "bob", "bob2");
        s.run();
        let text = "v2 (bob) could not be started: INTERNAL_ERROR: line 1";
        assert_eq!(s.answers[&ticket], Err(Refused::StartFailed(text.into())));
        assert_eq!(s.census(), before);
        // The old heap is as it was: it still decides what it was deciding.
        s.tell("bob", "resolve p-1 = old; keep result; resolve result = undefined");
        assert_eq!(s.fate(later), "fulfilled \"old\"");
        assert_eq!(entry_of(&mut s, VatId(2)), "bob");
        assert!(s.told().starts_with("bob2 <- startVat again\nbob <- message"));
    });
}

#[test]
fn a_reload_during_a_start_has_a_start_of_its_own() {
    both_engines(|engine| {
        for first in ["", "verdict INTERNAL_ERROR the old code is bad"] {
            let mut s = Stage::on(engine, &["bob"]);
            s.puppets.once("bob", "startVat", first);
            // The kernel is restarted, and the old code is being started when the reload is asked for.
            s.crash();
            s.told();
            let vat = VatId(1);
            let ticket = s.ask_later(Request::ReloadVat { vat, config: Box::new(native("bob2")), sources: Vec::new() });
            s.run();
            assert_eq!(s.answers[&ticket], Ok(Answer::Done));
            s.heard("bob <- startVat again\n bob2 <- startVat again");
            assert_eq!(entry_of(&mut s, vat), "bob2");
            assert_eq!(s.status().vats[0].phase, VatPhase::Running);
        }
    });
}

#[test]
fn a_failed_reload_without_a_heap_starts_the_old_code() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["bob"]);
        s.puppets.once("bob", "startVat", "verdict INTERNAL_ERROR once");
        s.crash();
        s.run();
        assert!(matches!(s.status().vats[0].phase, VatPhase::Failed(_)));
        s.puppets.once("bob2", "startVat", "verdict INTERNAL_ERROR worse");
        let ticket = reload(&mut s, "bob", "bob2");
        s.run();
        assert!(matches!(s.answers[&ticket], Err(Refused::StartFailed(_))));
        assert_eq!(s.status().vats[0].phase, VatPhase::Running);
        assert_eq!(entry_of(&mut s, VatId(1)), "bob");
    });
}

#[test]
fn a_named_call_is_made_once_however_often_it_is_asked_for() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.on("bob", "count", "write count 1; resolve result = counted");
        let first = s.send_named("transfer 7", s.root("bob"), "count");
        let second = s.send_named("transfer 7", s.root("bob"), "count");
        s.run();
        s.crash();
        s.run();
        let third = s.send_named("transfer 7", s.root("bob"), "count");
        s.run();
        assert_eq!(s.call_id(first), s.call_id(second));
        assert_eq!(s.call_id(first), s.call_id(third));
        assert_eq!(s.fate(third), "fulfilled \"counted\"");
        assert_eq!(s.told().matches("count()").count(), 1);
        // Acknowledged, the name is free again; a call whose answer nobody fetches is let go after its time.
        let call = s.call_id(first);
        s.ask(Request::Acknowledge(call)).expect("it is known");
        assert_eq!(s.ask(Request::Acknowledge(call)), Err(Refused::NoSuchCall(call.to_string())));
        s.send_named("transfer 7", s.root("bob"), "count");
        s.run();
        assert_eq!(s.told().matches("count()").count(), 1);
        let calls = s.census()["calls"];
        let age = s.limits.answer_age_ms;
        s.pass_time(age + 1);
        s.settle_down();
        assert_eq!(s.census().get("calls").copied().unwrap_or(0), calls - 1);
    });
}

/// By the clock of a process that is gone the answer came later than now: its age begins with the clock that there is.
#[test]
fn an_answer_by_a_clock_that_was_ahead_comes_of_age() {
    let mut s = Stage::on(Engines::Memory, &["alice"]);
    s.send_named("transfer 7", s.root("alice"), "count");
    s.run();
    let calls = s.census()["calls"];
    s.crash();
    s.set_clock(0);
    s.settle_down();
    assert_eq!(s.census()["calls"], calls);
    let age = s.limits.answer_age_ms;
    s.pass_time(age + 1);
    s.settle_down();
    assert_eq!(s.census().get("calls").copied().unwrap_or(0), calls - 1);
}

#[test]
fn a_label_is_given_once() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine, KernelLimits::default());
        let request = |vat: &str| {
            let (config, label) = (cluster(&[vat]), Some("mine".to_owned()));
            Request::Launch(Box::new(LaunchRequest { config, sources: Vec::new(), system_name: None, label }))
        };
        s.ask(request("alice")).expect("it is new");
        assert_eq!(s.ask(request("bob")), Err(Refused::NameTaken("mine".into())));
        s.ask(Request::TerminateSubcluster(SubclusterId(1))).expect("it is there");
        s.ask(request("bob")).expect("it is free");
    });
}

#[test]
fn a_vat_that_waits_to_be_restarted_keeps_what_it_watches() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("alice", "send o-1 take(p+5, o+d1/1); hold p+5 strong");
        s.tell("bob", "subscribe p-1; hold p-1 strong; hold o-1 strong");
        s.puppets.once("bob", "startVat", "verdict INTERNAL_ERROR why");
        s.restart("bob").expect_err("it fails, and the old heap goes on");
        s.puppets.once("bob", "startVat", "verdict INTERNAL_ERROR why");
        s.told();
        s.crash();
        // Alice decided p+5, so the restart rejects it; bob cannot hear that yet.
        s.settle_down();
        let told = s.told();
        assert!(told.contains("alice <- notify p+5 rejected") || !told.contains("bob <- notify"), "{told}");
        s.restart("bob").expect("it restarts");
        s.heard(
            "bob <- startVat again
             bob <- notify p-1 rejected [Error: [KERNEL:VAT_RESTARTED] v1 was restarted]",
        );
        s.tell("bob", "send o-1 ping()");
        s.heard("alice <- message o+d1/1 ping()");
    });
}

#[test]
fn a_reload_or_restart_during_a_launch_is_no_first_start() {
    both_engines(|engine| {
        for fails in [false, true] {
            let mut s = Stage::empty(engine, KernelLimits::default());
            let launch =
                LaunchRequest { config: cluster(&["a", "b"]), sources: vec![], system_name: None, label: None };
            let launch = s.ask_later(Request::Launch(Box::new(launch)));
            // The first vat is being started.
            let vat = VatId(1);
            if fails {
                s.puppets.once("a2", "startVat", "verdict INTERNAL_ERROR why");
            }
            let reload = s.ask_later(Request::ReloadVat { vat, config: Box::new(native("a2")), sources: Vec::new() });
            s.run();
            assert!(matches!(s.answers[&launch], Ok(Answer::Launched { .. })));
            assert_eq!(s.answers[&reload].is_err(), fails);
            let told = s.told();
            let then = if fails { "a <- message" } else { "a2 <- message" };
            assert!(told.starts_with("a <- startVat\nb <- startVat\na2 <- startVat again\n"), "{told}");
            assert!(told.lines().nth(3).is_some_and(|line| line.starts_with(then)), "{told}");
        }
    });
}

#[test]
fn several_subclusters_are_launched_side_by_side_and_fail_apart() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine, KernelLimits::default());
        s.puppets.once("d", "startVat", "verdict INTERNAL_ERROR why");
        let mut launch = |vats: &[&str]| {
            let (config, sources) = (cluster(vats), Vec::new());
            s.ask_later(Request::Launch(Box::new(LaunchRequest { config, sources, system_name: None, label: None })))
        };
        let tickets = [launch(&["a", "b"]), launch(&["c", "d"]), launch(&["e", "f"])];
        s.run();
        let fates: Vec<bool> = tickets.iter().map(|ticket| s.answers[ticket].is_ok()).collect();
        assert_eq!(fates, [true, false, true]);
        let names: Vec<String> = s.status().vats.into_iter().map(|vat| vat.name).collect();
        assert_eq!(names, ["a", "b", "e", "f"]);
    });
}

#[test]
fn a_vat_that_ends_by_itself_during_bootstrap_of_another_fails_the_launch() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine, KernelLimits::default());
        let before = s.census();
        s.puppets.once("a", "bootstrap", "ask o-1 go() -> p+5; keep result");
        s.puppets.once("b", "go", "exit enough");
        let refused = s.try_enter(&["a", "b"]);
        assert_eq!(refused, Err(Refused::LaunchFailed("v2 (b) was terminated during the launch".into())));
        s.settle_down();
        assert_eq!(s.census(), before);
    });
}
