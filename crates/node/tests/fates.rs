//! The table of `crates/kernel/FATES.md`: each cause of a failed delivery is made to happen, and the fate of the item,
//! of its result and of the vat is compared with the document.

mod world;

use std::fmt::Write;
use sturdy_kernel::{Refused, Request, Ticket, VatPhase};
use sturdy_types::KernelLimits;
use world::puppet::Stage;
use world::{Engines, both_engines, cluster, native};

const DOCUMENT: &str = include_str!("../../kernel/FATES.md");

/// One line of the table.
struct Row {
    cause: &'static str,
    item: String,
    result: String,
    vat: String,
}

type Scenario = fn(&mut Stage) -> Ticket;

/// The vat is bob; his root is called. A scenario gives the ticket of the call.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("the vat makes an illegal syscall", |s| item(s, "write k v; illegal callNow")),
    ("its runtime finds an inconsistency", |s| item(s, "write k v; verdict INTERNAL_ERROR why")),
    ("it computes longer than its limit", |s| item(s, "verdict COMPUTE_LIMIT why")),
    ("it needs more memory than its limit", |s| item(s, "verdict MEMORY_LIMIT why")),
    ("its runtime counts too much output", |s| item(s, "verdict OUTPUT_LIMIT why")),
    ("it makes more syscalls than the limit", |s| item(s, "times 101 subscribe p+5")),
    ("it writes more state than the limit", |s| item(s, "write k big:2000")),
    ("it exits", |s| item(s, "write k v; exit done; resolve result = 1")),
    ("it exits with failure", |s| item(s, "write k v; fail why; resolve result = 1")),
    ("its result exceeds a size limit", |s| item(s, "write k v; resolve result = big:1500")),
    ("the process dies once", |s| deaths(s, 1)),
    ("the process dies twice", |s| deaths(s, 2)),
    ("the process dies three times", |s| deaths(s, 3)),
    ("the vat is terminated while it works", |s| meanwhile(s, true, end)),
    ("the vat is terminated before", |s| meanwhile(s, false, end)),
    ("the vat is restarted while it works", |s| meanwhile(s, true, restart)),
    ("the vat is restarted before", |s| meanwhile(s, false, restart)),
    ("the vat is restarted after, with the result open", |s| {
        let ticket = item(s, "keep result");
        s.run();
        restart(s);
        ticket
    }),
    ("the vat is terminated after, with the result open", |s| {
        let ticket = item(s, "keep result");
        s.run();
        end(s);
        ticket
    }),
    ("the kernel is restarted while the vat works", |s| {
        named_item(s, "resolve result = 1");
        s.commit().expect("it is durable");
        let bob = s.vat_id("bob");
        s.run_until_in_flight(bob);
        s.puppets.note("bob <- message item(, cut short");
        s.crash();
        s.run();
        again(s)
    }),
    ("the kernel is restarted after, with the result open", |s| {
        named_item(s, "keep result");
        s.run();
        s.crash();
        s.run();
        again(s)
    }),
    ("the target is revoked before", |s| {
        meanwhile(s, false, |s| {
            let root = s.root("bob").into();
            s.ask_later(Request::Revoke(root));
        })
    }),
    ("the target is revoked while the vat works", |s| {
        meanwhile(s, true, |s| {
            let root = s.root("bob").into();
            s.ask_later(Request::Revoke(root));
        })
    }),
    ("the target was abandoned by its vat", |s| {
        let object = s.reveal("bob", "o+5")[0];
        s.tell("bob", "abandon o+5");
        s.send_later(object, "item", &[])
    }),
    ("the target is abandoned before", |s| {
        let object = s.reveal("bob", "o+5")[0];
        s.tell_later("bob", "abandon o+5", &[]);
        s.send_later(object, "item", &[])
    }),
    ("the target was lost with a heap", |s| {
        let object = s.reveal("bob", "o+5")[0];
        restart(s);
        s.run();
        s.send_later(object, "item", &[])
    }),
    ("the vat's heap is lost before, and with it the target", |s| {
        let object = s.reveal("bob", "o+5")[0];
        s.tell_later("alice", "", &[]);
        restart_later(s);
        s.send_later(object, "item", &[])
    }),
    ("the vat is gone", |s| {
        let root = s.root("bob");
        end(s);
        s.send_later(root, "item", &[])
    }),
    ("the vat could not be started", |s| {
        s.puppets.once("bob", "startVat", "verdict INTERNAL_ERROR why");
        s.crash();
        s.run();
        s.send_later(s.root("bob"), "item", &[])
    }),
    ("the vat fails to start at the kernel's boot, before", |s| {
        named_item(s, "");
        s.commit().expect("it is durable");
        s.puppets.once("bob", "startVat", "verdict INTERNAL_ERROR why");
        s.crash();
        s.run();
        again(s)
    }),
    ("the vat fails to restart, before", |s| {
        s.puppets.once("bob", "startVat", "verdict INTERNAL_ERROR why");
        meanwhile(s, false, restart_later)
    }),
    ("the vat fails to reload, before", |s| {
        s.puppets.once("bob2", "startVat", "verdict INTERNAL_ERROR why");
        meanwhile(s, false, |s| {
            let vat = s.vat_id("bob");
            s.ask_later(Request::ReloadVat { vat, config: Box::new(native("bob2")), sources: Vec::new() });
        })
    }),
    ("the vat's inbox is full", |s| {
        s.tell_later("alice", "", &[]);
        let root = s.root("bob");
        for _ in 0..3 {
            s.send_later(root, "other", &[]);
        }
        s.send_later(root, "item", &[])
    }),
    ("the queue of the target, a promise, is full", |s| {
        let promise = s.reveal("bob", "p+5")[0];
        for _ in 0..3 {
            s.send_later(promise, "other", &[]);
        }
        s.send_later(promise, "item", &[])
    }),
    ("the target, a promise, is rejected", |s| {
        let promise = s.reveal("bob", "p+5")[0];
        let ticket = s.send_later(promise, "item", &[]);
        s.tell("bob", "resolve p+5 != why");
        ticket
    }),
    ("the target, a promise, is fulfilled with data", |s| {
        let promise = s.reveal("bob", "p+5")[0];
        let ticket = s.send_later(promise, "item", &[]);
        s.tell("bob", "resolve p+5 = 5");
        ticket
    }),
    ("the target never was", |s| {
        let unknown = sturdy_types::KRef::Object(sturdy_types::ObjectId(999));
        s.send_later(unknown, "item", &[])
    }),
];

fn item(s: &mut Stage, script: &str) -> Ticket {
    s.puppets.once("bob", "item", script);
    s.send_later(s.root("bob"), "item", &[])
}

/// The same, under a name that outlives the process.
fn named_item(s: &mut Stage, script: &str) -> Ticket {
    s.puppets.once("bob", "item", script);
    s.send_named("call", s.root("bob"), "item")
}

/// The message is being worked on (or waits, behind another of the same vat) when something happens.
fn meanwhile(s: &mut Stage, works: bool, what: fn(&mut Stage)) -> Ticket {
    let bob = s.vat_id("bob");
    let root = s.root("bob");
    if !works {
        s.puppets.once("bob", "before", "");
        s.send_later(root, "before", &[]);
    }
    let ticket = s.send_later(root, "item", &[]);
    s.run_until_in_flight(bob);
    what(s);
    ticket
}

fn end(s: &mut Stage) {
    let vat = s.vat_id("bob");
    s.ask_later(Request::TerminateVat { vat, reason: "why".into() });
}

fn restart(s: &mut Stage) {
    restart_later(s);
    s.run();
}

fn restart_later(s: &mut Stage) {
    let bob = s.vat_id("bob");
    s.ask_later(Request::RestartVat(bob));
}

fn deaths(s: &mut Stage, count: u32) -> Ticket {
    named_item(s, "");
    s.commit().expect("it is durable");
    let bob = s.vat_id("bob");
    for _ in 0..count {
        s.run_until_in_flight(bob);
        s.puppets.note("bob <- message item(, deadly");
        s.die();
    }
    s.run();
    again(s)
}

/// The caller asks again, as it does after a restart.
fn again(s: &mut Stage) -> Ticket {
    s.send_named("call", s.root("bob"), "item")
}

fn observe(engine: Engines, cause: &'static str, scenario: Scenario) -> Row {
    let limits = KernelLimits {
        syscalls_per_crank: 100,
        state_bytes_per_crank: 1_900,
        body_bytes: 1_400,
        inbox_items: 3,
        promise_queue_items: 3,
        ..KernelLimits::default()
    };
    let mut s = Stage::with_limits(engine, limits, &["alice", "bob"]);
    let ticket = scenario(&mut s);
    s.run();
    let told = s.told();
    let delivered = told.lines().filter(|line| line.contains(" item(")).count();
    let result = match s.fate(ticket) {
        fulfilled if fulfilled.starts_with("fulfilled") => "as the vat says".to_owned(),
        other => code_of(&other),
    };
    let running = s.status().vats;
    let vat = match running.iter().find(|vat| vat.name == "bob").map(|vat| &vat.phase) {
        None => "ends",
        Some(VatPhase::Running) => "lives",
        Some(VatPhase::Failed(_)) => "waits to be restarted",
        Some(VatPhase::Starting) => "starts",
    };
    let state = s.census().contains_key("vat-state");
    let counters = s.node().stats();
    assert!(counters.aborted == 0 || !state, "an undone crank leaves no state");
    let item = match delivered {
        0 => "dropped".to_owned(),
        1 if counters.aborted > 0 => "delivered, its crank undone".to_owned(),
        1 if counters.stale_outcomes > 0 => "delivered, its outcome ignored".to_owned(),
        1 => "delivered".to_owned(),
        n => format!("delivered {n} times"),
    };
    assert_eq!(s.tell("alice", ""), "fulfilled [undefined]", "others go on");
    Row { cause, item, result, vat: vat.to_owned() }
}

/// `[KERNEL:CODE]` of a rejection, or the reason itself.
fn code_of(fate: &str) -> String {
    match fate.split_once("[KERNEL:").and_then(|(_, rest)| rest.split_once(']')) {
        Some((code, _)) => format!("`{code}`"),
        None => fate.replace("rejected ", "the reason, ").replace('"', ""),
    }
}

fn table(engine: Engines) -> String {
    let mut text = String::from("| cause | item | result | vat |\n| --- | --- | --- | --- |\n");
    for &(cause, scenario) in SCENARIOS {
        let Row { cause, item, result, vat } = observe(engine, cause, scenario);
        let _ = writeln!(text, "| {cause} | {item} | {result} | {vat} |");
    }
    text
}

#[test]
fn the_table_of_fates_is_true() {
    both_engines(|engine| {
        let seen = table(engine);
        assert!(DOCUMENT.contains(&seen), "crates/kernel/FATES.md should contain:\n{seen}");
    });
}

#[test]
fn a_delivery_of_any_kind_that_fails_ends_its_vat() {
    for kind in ["notify", "dropExports", "retireExports", "retireImports", "bringOutYourDead"] {
        both_engines(|engine| {
            let mut s = Stage::on(engine, &["alice", "bob"]);
            s.puppets.on("bob", "take", "ask $0 ping(o+6) -> p+5; drop $0");
            s.puppets.on("alice", "ping", "drop $0; retire $0; abandon target");
            s.puppets.on("bob", kind, "verdict INTERNAL_ERROR why");
            s.tell("alice", "send o-1 take(o+5)");
            s.settle_down();
            assert!(s.told().contains(&format!("bob <- {kind}")), "{kind}");
            assert_eq!(s.status().vats.len(), 1, "{kind}");
            assert_eq!(s.tell("alice", ""), "fulfilled [undefined]");
        });
    }
}

/// The second table: what becomes of a start that fails.
#[test]
fn the_table_of_failed_starts_is_true() {
    both_engines(|engine| {
        let mut text = String::from("| start | who asked is told | vat |\n| --- | --- | --- |\n");
        let mut line = |what: &str, told: Option<&Result<sturdy_kernel::Answer, Refused>>, s: &mut Stage| {
            let told = match told {
                None => "nobody asked",
                Some(Err(Refused::LaunchFailed(_))) => "the launch failed",
                Some(Err(Refused::StartFailed(_))) => "the start failed",
                Some(other) => panic!("{other:?}"),
            };
            let vat = match s.status().vats.iter().find(|vat| vat.name == "bob").map(|vat| vat.phase.clone()) {
                None if s.status().vats.is_empty() => "never was, nor its subcluster",
                None => "ends",
                Some(VatPhase::Running) => "goes on with the heap and code that it had",
                Some(_) => "waits to be restarted",
            };
            let _ = writeln!(text, "| {what} | {told} | {vat} |");
        };
        let fails = "verdict INTERNAL_ERROR why";
        let mut s = Stage::empty(engine, KernelLimits::default());
        s.puppets.once("bob", "startVat", fails);
        let refused = s.try_launch(cluster(&["alice", "bob"])).map(|_| sturdy_kernel::Answer::Done);
        line("at launch", Some(&refused), &mut s);
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.puppets.once("bob", "startVat", fails);
        let refused = s.restart("bob");
        line("at a restart of the vat", Some(&refused), &mut s);
        let vat = s.vat_id("bob");
        s.puppets.once("bob2", "startVat", fails);
        let refused = s.ask(Request::ReloadVat { vat, config: Box::new(native("bob2")), sources: Vec::new() });
        line("at a reload of the vat", Some(&refused), &mut s);
        s.puppets.once("bob", "startVat", fails);
        s.crash();
        s.run();
        line("at a start of the kernel", None, &mut s);
        s.puppets.once("bob", "startVat", fails);
        let refused = s.restart("bob");
        line("at a restart after that", Some(&refused), &mut s);
        restart_later(&mut s);
        for _death in 0..3 {
            s.run_until_starting(vat);
            s.die();
        }
        s.run();
        line("during which the process dies three times", None, &mut s);
        assert!(DOCUMENT.contains(&text), "crates/kernel/FATES.md should contain:\n{text}");
    });
}
