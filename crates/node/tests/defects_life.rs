//! The reference's defects (kernel-semantics §8.1) in the lives of vats, subclusters and services, each with the
//! scenario in which the reference fails and what happens here.

mod world;

use sturdy_kernel::{Answer, Notice, Refused, Request, VatPhase};
use sturdy_types::{KernelLimits, ObjectId};
use world::puppet::Stage;
use world::{both_engines, cluster};

const TERMINATED: &str = "rejected [Error: [KERNEL:VAT_TERMINATED] v2 was terminated: the test says so]";

#[test]
fn defect_04_a_vat_ends_between_its_request_for_garbage_and_the_delivery() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let bob = s.vat("bob");
        // Alice is busy, so the request waits.
        let ticket = s.tell_later("alice", "", &[]);
        s.ask_later(Request::Reap(vec![bob]));
        s.terminate("bob");
        assert_eq!(s.fate(ticket), "fulfilled [undefined]");
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
    });
}

#[test]
fn defect_06_promises_of_a_terminated_vat_reject() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.once("bob", "later", "keep result");
        s.tell("alice", "ask o-1 later() -> p+5; ask p+5 pipelined() -> p+6");
        let ticket = s.tell_later("bob", "keep result; send o+0 nothing()", &[]);
        s.run();
        assert_eq!(s.fate(ticket), "pending");
        s.told();
        s.terminate("bob");
        s.run();
        assert_eq!(s.fate(ticket), TERMINATED);
        let told = TERMINATED.replace("rejected ", "");
        s.heard(&format!("alice <- notify p+5 rejected {told}\n alice <- notify p+6 rejected {told}"));
    });
}

#[test]
fn defect_07_promises_of_a_restarted_vat_reject() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.once("bob", "later", "keep result");
        s.tell("alice", "ask o-1 later() -> p+5");
        let ticket = s.tell_later("bob", "keep result", &[]);
        s.run();
        s.told();
        s.restart("bob").expect("it restarts");
        assert_eq!(s.fate(ticket), "rejected [Error: [KERNEL:VAT_RESTARTED] v2 was restarted]");
        s.heard(
            "bob <- startVat again
             alice <- notify p+5 rejected [Error: [KERNEL:VAT_RESTARTED] v2 was restarted]",
        );
    });
}

#[test]
fn defect_07_promises_of_vats_and_services_reject_after_a_restart_of_the_kernel() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let Ok(Answer::Service(clock)) = s.ask(Request::RegisterService { name: "clock".into(), system_only: false })
        else {
            panic!("it is registered")
        };
        s.tell_named("of a vat", "bob", "keep result");
        s.send_named("of a service", clock, "now");
        s.run();
        assert_eq!(s.service_calls.len(), 1);
        s.crash();
        let vat = s.send_named("of a vat", s.root("bob"), "do");
        let service = s.send_named("of a service", clock, "now");
        s.run();
        assert_eq!(s.fate(vat), "rejected [Error: [KERNEL:VAT_RESTARTED] v2 was restarted]");
        let why = "the kernel was restarted while the service worked on the call";
        assert_eq!(s.fate(service), format!("rejected [Error: [KERNEL:VAT_RESTARTED] {why}]"));
    });
}

#[test]
fn defect_08_the_first_exit_counts_whatever_follows() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        let done = s.tell("bob", "send o+0 x(); exit done; resolve result = 5; illegal after the end");
        assert_eq!(done, "rejected [Error: [KERNEL:VAT_TERMINATED] v2 ended itself: done]");
        let failed = s.tell("carol", "write key 1; fail enough; resolve result = 5");
        assert_eq!(failed, "rejected [Error: [KERNEL:VAT_TERMINATED] v3 was terminated: exited with failure: enough]");
        assert_eq!(s.status().vats.len(), 1);
    });
}

#[test]
fn defect_08_an_illegal_syscall_is_not_forgiven() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let fate = s.tell("bob", "illegal callNow; send o+0 x(); resolve result = 5");
        assert_eq!(fate, "rejected [Error: [KERNEL:VAT_FATAL:ILLEGAL_SYSCALL] callNow]");
        assert_eq!(s.status().vats.len(), 1);
    });
}

#[test]
fn defect_11_a_restart_waits_for_the_delivery_in_progress() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let bob = s.vat("bob");
        let first = s.tell_later("bob", "resolve result = 1", &[]);
        let second = s.tell_later("bob", "resolve result = 2", &[]);
        s.run_until_in_flight(bob);
        let restart = s.ask_later(Request::RestartVat(bob));
        s.run();
        assert_eq!(s.answers[&restart], Ok(Answer::Done));
        assert_eq!((s.fate(first), s.fate(second)), ("fulfilled 1".into(), "fulfilled 2".into()));
        let told = s.told();
        let lines: Vec<&str> = told.lines().map(|line| line.split('(').next().unwrap_or(line)).collect();
        assert_eq!(lines, ["bob <- message o+0 do", "bob <- startVat again", "bob <- message o+0 do"]);
    });
}

#[test]
fn defect_12_a_vat_ends_while_it_works_on_each_kind_of_delivery() {
    for kind in ["message", "notify", "dropExports", "retireExports", "retireImports", "bringOutYourDead", "startVat"] {
        both_engines(|engine| {
            let mut s = Stage::on(engine, &["alice", "bob"]);
            let bob = s.vat("bob");
            s.tell("bob", "hold o+0 none");
            s.tell("alice", "send o-1 take(o+5); send o-1 take(p+5)");
            match kind {
                "message" => drop(s.tell_later("bob", "", &[])),
                "notify" => {
                    s.tell("bob", "subscribe p-2");
                    s.tell_later("alice", "resolve p+5 = 1", &[]);
                }
                "dropExports" | "retireExports" => {
                    s.reveal("bob", "o+7");
                    s.settled.clear();
                    let last = s.answers.values().rev().find_map(|answer| match answer {
                        Ok(Answer::Called(call)) => Some(*call),
                        _ => None,
                    });
                    s.ask_later(Request::Acknowledge(last.expect("a call")));
                }
                "retireImports" => {
                    s.tell("bob", "drop o-1");
                    s.tell_later("alice", "abandon o+5", &[]);
                }
                "bringOutYourDead" => drop(s.ask_later(Request::Reap(vec![bob]))),
                _ => drop(s.ask_later(Request::RestartVat(bob))),
            }
            s.told();
            let mut waited = 0;
            while !s.delivery_under_way().is_some_and(|(vat, delivery)| vat == bob && delivery.kind() == kind) {
                waited += 1;
                assert!(waited < 100 && s.step().expect("the node goes on"), "{kind} never comes");
            }
            s.terminate("bob");
            assert_eq!(s.tell("alice", ""), "fulfilled [undefined]", "{kind}");
            assert_eq!(s.status().vats.len(), 1);
            assert!(s.node().stats().aborted == 0);
        });
    }
}

#[test]
fn defect_13_a_failed_launch_leaves_nothing() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine, KernelLimits::default());
        let before = s.census();
        s.puppets.once("carol", "startVat", "verdict INTERNAL_ERROR no such file");
        let refused = s.try_enter(&["alice", "bob", "carol"]);
        let text = "v3 (carol) could not be started: INTERNAL_ERROR: no such file";
        assert_eq!(refused, Err(Refused::LaunchFailed(text.into())));
        assert!(s.status().vats.is_empty() && s.status().subclusters.is_empty());
        s.settle_down();
        assert_eq!(s.census(), before);
        s.enter(&["alice"]);
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
    });
}

#[test]
fn defect_14_a_reset_confuses_no_references() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine, KernelLimits::default());
        let register = Request::RegisterService { name: "issuer".into(), system_only: false };
        let issuer = s.ask(register.clone());
        assert_eq!(issuer, Ok(Answer::Service(ObjectId(1))));
        s.enter(&["alice"]);
        let old_root = s.root("alice");
        s.ask(Request::Reset).expect("it is reset");
        assert!(s.status().vats.is_empty());
        assert_eq!(s.ask(register), issuer);
        let mut config = cluster(&["bob"]);
        config.services.push("issuer".into());
        let (_, root) = s.try_launch(config).expect("it is launched");
        assert_ne!((root, root), (old_root, ObjectId(1)));
        let told = s.told();
        assert!(told.contains("bootstrap({\"bob\": <o+0>"), "{told}");
        assert!(told.contains("{\"issuer\": <o-1>"), "{told}");
    });
}

#[test]
fn defect_20_a_call_of_a_service_that_is_not_there_is_rejected() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let name = "clock".to_owned();
        let register = Request::RegisterService { name: name.clone(), system_only: false };
        let Ok(Answer::Service(clock)) = s.ask(register) else { panic!("it is registered") };
        s.ask(Request::UnregisterService(name.clone())).expect("it is withdrawn");
        s.ask(Request::UnregisterService(name)).expect("once more changes nothing");
        let text = format!("rejected [Error: [KERNEL:OBJECT_DELETED] {clock} does not exist any more]");
        assert_eq!(s.send(clock, "now", &[]), text);
        s.crash();
        assert_eq!(s.send(clock, "now", &[]), text);
        assert_eq!(s.tell("bob", ""), "fulfilled [undefined]");
    });
}

#[test]
fn defect_21_a_delivery_that_computes_without_end_ends_its_vat() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let fate = s.tell("bob", "verdict COMPUTE_LIMIT more than 100 ms");
        assert_eq!(fate, "rejected [Error: [KERNEL:VAT_FATAL:COMPUTE_LIMIT] more than 100 ms]");
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
    });
}

#[test]
fn defect_21_an_item_on_which_the_process_died_three_times_ends_its_vat() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let bob = s.vat("bob");
        s.tell("alice", "hold o-1 strong");
        s.tell_named("deadly", "bob", "resolve result = 1");
        s.commit().expect("it is durable");
        for _death in 1..=3 {
            s.run_until_in_flight(bob);
            s.die();
        }
        s.run();
        let again = s.send_named("deadly", s.root("bob"), "do");
        s.run();
        let why = "the process died 3 times while v2 worked on one delivery";
        assert_eq!(s.fate(again), format!("rejected [Error: [KERNEL:VAT_FATAL:PROCESS_DIED] {why}]"));
        assert!(s.status().vats.iter().all(|vat| vat.id != bob));
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
    });
}

#[test]
fn deaths_on_items_that_were_never_durable_count_nothing() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let bob = s.vat("bob");
        s.commit().expect("it is durable");
        for _death in 1..=5 {
            // The message is gone with the group that it came in; the note of it stays.
            let root = s.root("bob");
            s.puppets.once("bob", "do", "resolve result = 1");
            s.send_later(root, "do", &[]);
            s.run_until_in_flight(bob);
            s.die();
            s.run();
        }
        assert_eq!(s.tell("bob", "resolve result = 1"), "fulfilled 1");
    });
}

#[test]
fn defect_23_no_vat_is_half_dead() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.tell("bob", "verdict INTERNAL_ERROR the heap is inconsistent");
        let status = s.status();
        assert_eq!(status.vats.iter().map(|vat| vat.name.as_str()).collect::<Vec<_>>(), ["alice"]);
        assert_eq!(status.subclusters[0].vats.len(), 1);
        let root = s.root("bob");
        assert_eq!(
            s.send(root, "ping", &[]),
            format!("rejected [Error: [KERNEL:OBJECT_DELETED] {root} does not exist any more]")
        );
        assert!(matches!(s.notices[..], [Notice::VatTerminated { .. }]));
    });
}

#[test]
fn defect_24_a_vat_that_cannot_start_does_not_keep_the_others_down() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob", "carol"]);
        s.send_named("waiting", s.root("bob"), "ping");
        s.commit().expect("it is durable");
        s.puppets.once("bob", "startVat", "verdict INTERNAL_ERROR the engine is gone");
        s.crash();
        s.run();
        let why = "v2 (bob) could not be started: INTERNAL_ERROR: the engine is gone";
        let waiting = s.send_named("waiting", s.root("bob"), "ping");
        assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
        assert_eq!(s.fate(waiting), format!("rejected [Error: [KERNEL:ENDPOINT_UNREACHABLE] {why}]"));
        let phases: Vec<VatPhase> = s.status().vats.into_iter().map(|vat| vat.phase).collect();
        let failed = VatPhase::Failed("INTERNAL_ERROR: the engine is gone".into());
        assert_eq!(phases, [VatPhase::Running, failed, VatPhase::Running]);
        let root = s.root("bob");
        let text = format!("[KERNEL:ENDPOINT_UNREACHABLE] v2, the owner of {root}, is not running");
        assert_eq!(s.send(root, "ping", &[]), format!("rejected [Error: {text}]"));
        // Once the cause is gone, it comes back with what is stored.
        s.restart("bob").expect("it restarts");
        assert_eq!(s.tell("bob", ""), "fulfilled [undefined]");
    });
}
