//! Crash at every commit (issue 2, "How it is proved"; G1, G2, G12, G14).
//!
//! A workload runs once, and each of its commits is kept: what was durable then, and what the client had heard. Then,
//! for each commit, the process ends there, the store is opened again, and the client goes on: it asks again, under
//! the same names, for what it has not heard. Checked each time: the audit (after every turn); that what is read again
//! is what was written; that what was heard before is heard again; that every call ends with the answer of the run
//! without crashes or, if its vat was in the middle of it, with `VAT_RESTARTED`; that the bank's books hold; and that
//! a kernel which hears the same events one by one has the same rows, however they were grouped.

#[path = "world/programs.rs"]
mod programs;
mod world;

use std::collections::BTreeMap;
use sturdy_kernel::{Answer, Event, Fault, LaunchRequest, Request, Ticket};
use sturdy_node::Node;
use sturdy_store::{
    CallRequests, CallState, Calls, ClistByVref, Decider, MemoryDisk, MemoryEngine, PromiseState, Promises, Read,
    Services, Store, SubclusterStatus, Subclusters, Vats,
};
use sturdy_types::{CapData, ClusterConfig, Incarnation, KRef, KernelLimits, VRef, VatId};
use world::{Engines, World, methargs, native};

const VATS: [&str; 3] = ["alice", "bob", "bank"];

/// What a client does, in order.
#[derive(Clone, Debug)]
enum Op {
    Service(&'static str),
    Launch,
    /// A call of a vat's root; the last argument is what is passed as `$0`.
    Call {
        vat: &'static str,
        method: &'static str,
        args: String,
        pass: Option<Pass>,
    },
    Restart(&'static str),
    Reload(&'static str),
    Terminate(&'static str),
    Reap,
}

#[derive(Clone, Copy, Debug)]
enum Pass {
    Root(&'static str),
    Service(&'static str),
}

fn call(vat: &'static str, method: &'static str, args: &str, pass: Option<Pass>) -> Op {
    Op::Call { vat, method, args: args.into(), pass }
}

/// When a group ends.
#[derive(Clone, Copy, Debug)]
enum Policy {
    EveryTurns(usize),
    WhenQuiet,
}

/// How many answers a client waits for at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Window {
    One,
    All,
}

struct Workload {
    name: &'static str,
    ops: Vec<Op>,
    window: Window,
}

/// What one kind of operation ended with, as text.
type Heard = Vec<Option<String>>;

struct Client {
    ops: Vec<Op>,
    window: Window,
    heard: Heard,
    tickets: BTreeMap<usize, Ticket>,
}

/// One commit of the run without crashes.
struct Point {
    disk: MemoryEngine,
    rows: Vec<String>,
    /// What the client had heard when the process ended before the effects of this commit got out.
    before: Heard,
    /// What it had heard when they had got out.
    after: Heard,
    /// How many events had happened.
    events: usize,
}

/// Every row but the seal: it says of the engine what it is, not of the open group.
fn rows(store: &Store) -> Vec<String> {
    let rows = store.dump().map(|row| row.expect("the store reads"));
    rows.filter(|row| row.table != "seal").map(|row| format!("{row:?}")).collect()
}

fn reopened(disk: &MemoryEngine) -> Store {
    Store::open(Box::new(disk.clone()), Incarnation([7; 16])).expect("it opens")
}

fn vat_named(store: &Store, name: &str) -> Option<VatId> {
    let vats = store.scan::<Vats>(&(), None, usize::MAX).expect("the store reads");
    vats.into_iter().find(|(_, record)| record.name == name).map(|(vat, _)| vat)
}

impl Client {
    fn new(workload: &Workload, heard: Heard) -> Self {
        Self { ops: workload.ops.clone(), window: workload.window, heard, tickets: BTreeMap::new() }
    }

    fn is_done(&self) -> bool {
        self.heard.iter().all(Option::is_some)
    }

    /// Asks what may be asked now. False if there is nothing new to ask.
    fn ask(&mut self, world: &mut World) -> bool {
        for index in 0..self.ops.len() {
            if self.heard[index].is_some() {
                continue;
            }
            if self.tickets.contains_key(&index) {
                // What sets up the world comes to its end before anything else is asked.
                let call = matches!(self.ops[index], Op::Call { .. });
                if self.window == Window::One || !call {
                    return false;
                }
                continue;
            }
            match self.request(index, world) {
                Some(request) => {
                    let ticket = world.ask_later(request);
                    self.tickets.insert(index, ticket);
                }
                None => self.heard[index] = Some("done".into()),
            }
            return true;
        }
        false
    }

    /// The request of an operation; `None` if nothing is left to do.
    fn request(&self, index: usize, world: &World) -> Option<Request> {
        let store = world.node().store();
        let vat = |name: &str| vat_named(store, name);
        let root = |name: &str| {
            let kref = vat(name).and_then(|vat| store.get::<ClistByVref>(&(vat, VRef::ROOT)).expect("it reads"));
            kref.unwrap_or(KRef::Object(sturdy_types::ObjectId(1_000_000)))
        };
        Some(match &self.ops[index] {
            Op::Service(name) => Request::RegisterService { name: (*name).into(), system_only: false },
            Op::Launch => {
                let known = store.scan::<Subclusters>(&(), None, usize::MAX).expect("it reads");
                if known.iter().any(|(_, record)| record.status == SubclusterStatus::Running) {
                    return None;
                }
                let vats = VATS.iter().map(|name| ((*name).to_owned(), native(name))).collect();
                let config = ClusterConfig { bootstrap: "alice".into(), vats, services: Vec::new() };
                let label = Some("the workload".to_owned());
                Request::Launch(Box::new(LaunchRequest { config, sources: Vec::new(), system_name: None, label }))
            }
            Op::Call { vat, method, args, pass } => {
                let slots = match pass {
                    None => Vec::new(),
                    Some(Pass::Root(name)) => vec![root(name)],
                    Some(Pass::Service(name)) => {
                        let service = store.get::<Services>(&(*name).to_owned()).expect("it reads");
                        vec![service.expect("it is registered").object.into()]
                    }
                };
                let methargs = methargs(method, args, slots);
                Request::Call { target: root(vat), methargs, request: Some(format!("op {index}")) }
            }
            Op::Restart(name) => Request::RestartVat(vat(name)?),
            Op::Reload(name) => {
                Request::ReloadVat { vat: vat(name)?, config: Box::new(native(name)), sources: Vec::new() }
            }
            Op::Terminate(name) => Request::TerminateVat { vat: vat(name)?, reason: "its time has come".into() },
            Op::Reap => Request::Reap(Vec::new()),
        })
    }

    /// Takes in what the world has heard.
    fn hear(&mut self, world: &World) {
        for (&index, ticket) in &self.tickets {
            let text = match world.answers.get(ticket) {
                None => continue,
                Some(Ok(Answer::Called(call))) => match world.settled.get(call) {
                    None => continue,
                    Some(settled) => {
                        format!("{} {}", if settled.rejected { "rejected" } else { "fulfilled" }, settled.value.body)
                    }
                },
                Some(Ok(_)) => "done".into(),
                Some(Err(refused)) => format!("refused {refused}"),
            };
            if let Some(earlier) = self.heard[index].replace(text.clone()) {
                assert_eq!(earlier, text, "operation {index} has two ends");
            }
        }
    }
}

/// Goes on until the client has heard everything. `at_commit` sees each commit: the world, and what the client had
/// heard before and after it.
fn drive(
    world: &mut World,
    client: &mut Client,
    policy: Policy,
    mut at_commit: impl FnMut(&World, &Heard, &Heard),
) -> Result<(), Fault> {
    let mut answered = 0;
    for _ in 0..100_000 {
        let busy = client.ask(world) || world.step()?;
        let due = match policy {
            Policy::EveryTurns(turns) => !busy || world.node().uncommitted_turns() >= turns,
            Policy::WhenQuiet => !busy,
        };
        if !due {
            continue;
        }
        let (commits, before) = (world.node().stats().commits, client.heard.clone());
        world.commit()?;
        client.hear(world);
        if world.node().stats().commits > commits {
            at_commit(world, &before, &client.heard);
        }
        for (call, ..) in std::mem::take(&mut world.service_calls) {
            answered += 1;
            world.event(Event::ServiceAnswered { call, rejected: false, value: CapData::plain("#\"served\"") })?;
        }
        if !busy && world.node().is_quiet() && client.is_done() && world.node().uncommitted_turns() == 0 {
            return Ok(());
        }
    }
    panic!("never at rest ({answered} service calls answered); heard: {:?}", client.heard);
}

/// Whether a call may end with `VAT_RESTARTED` when the process ends with these rows: it was delivered, and not yet
/// answered.
fn was_under_way(store: &Store, index: usize) -> bool {
    let Some(call) = store.get::<CallRequests>(&format!("op {index}")).expect("it reads") else { return false };
    let Some(CallState::Waiting(promise)) = store.get::<Calls>(&call).expect("it reads").map(|call| call.state) else {
        return false;
    };
    let state = store.get::<Promises>(&promise).expect("it reads").map(|promise| promise.state);
    matches!(state, Some(PromiseState::Unresolved { decider: Decider::Vat(_), .. }))
}

/// The books of the bank: nothing is lost, nothing is done twice, what was answered is there.
fn check_books(world: &World, ops: &[Op], heard: &Heard, name: &str) {
    let store = world.node().store();
    let Some(bank) = vat_named(store, "bank") else { return };
    let value = |key: String| -> i64 {
        let text = world.node().vat_state(bank, &key).expect("it reads");
        text.map_or(0, |text| text.parse().expect("a number"))
    };
    assert_eq!(["x", "y", "z"].map(|account| value(format!("account {account}"))).iter().sum::<i64>(), 0, "{name}");
    let (mut x, mut z) = (0, 0);
    for (op, heard) in ops.iter().zip(heard) {
        let Op::Call { method, args, .. } = op else { continue };
        let id = args.trim_start_matches("[\"").split('"').next().expect("an id");
        let fulfilled = heard.as_ref().expect("it is answered").starts_with("fulfilled");
        let parts = match *method {
            "transfer" => vec![id.to_owned()],
            "exchange" => vec![format!("{id}a"), format!("{id}b")],
            _ => continue,
        };
        for part in parts {
            let times = value(format!("transfer {part}"));
            assert!(
                times == 1 || times == 0 && !fulfilled,
                "{name}: transfer {part} happened {times} times: {heard:?}"
            );
            if part.ends_with('b') { z += 2 * times } else { x -= 3 * times }
        }
    }
    assert_eq!((value("account x".into()), value("account z".into())), (x, z), "{name}");
}

fn disturbs(ops: &[Op]) -> bool {
    ops.iter().any(|op| matches!(op, Op::Restart(_) | Op::Reload(_) | Op::Terminate(_)))
}

/// Goes on from one crash to the end, and judges it. Returns how many calls the crash broke off.
fn go_on(
    world: &mut World,
    workload: &Workload,
    known: &Heard,
    expected: &Heard,
    durable: &Store,
    name: &str,
) -> usize {
    // Calls are asked again even if their answer is known: it must be the same.
    let again = workload.ops.iter().zip(known);
    let heard = again.map(|(op, known)| if matches!(op, Op::Call { .. }) { None } else { known.clone() }).collect();
    let mut client = Client::new(workload, heard);
    drive(world, &mut client, Policy::WhenQuiet, |_, _, _| {}).expect("the node goes on");
    let mut broken_off = 0;
    for (index, heard) in client.heard.iter().enumerate() {
        let heard = heard.as_ref().expect("it is answered");
        broken_off += usize::from(known[index].is_none() && heard.contains("VAT_RESTARTED"));
        if let Some(known) = &known[index] {
            assert_eq!(known, heard, "{name}: operation {index} had this answer before the crash");
        } else if matches!(workload.ops[index], Op::Call { .. }) && Some(heard) != expected[index].as_ref() {
            let excused = heard.starts_with("rejected") && heard.contains("VAT_RESTARTED");
            let disturbed = disturbs(&workload.ops);
            assert!(
                disturbed || excused && mid_conversation(workload, durable, index),
                "{name}: operation {index} ended with {heard}, not {:?}",
                expected[index]
            );
        }
    }
    check_books(world, &workload.ops, &client.heard, name);
    assert_eq!(world.node().audit().expect("it reads").problems, Vec::<String>::new(), "{name}");
    broken_off
}

fn mid_conversation(workload: &Workload, durable: &Store, index: usize) -> bool {
    // Service calls under way at a crash are rejected too, wherever their caller was in its own work.
    was_under_way(durable, index) || matches!(workload.ops[index], Op::Call { method: "serve", .. })
}

/// Runs a workload without crashes and keeps every commit.
fn run_once(workload: &Workload, policy: Policy) -> (Vec<Point>, Heard, Vec<Event>) {
    let mut world = World::new(programs::runtime());
    let mut client = Client::new(workload, vec![None; workload.ops.len()]);
    let mut points = Vec::new();
    drive(&mut world, &mut client, policy, |world, before, after| {
        points.push(Point {
            disk: world.disk.snapshot(),
            rows: rows(world.node().store()),
            before: before.clone(),
            after: after.clone(),
            events: world.events.len(),
        });
    })
    .expect("nothing fails");
    check_books(&world, &workload.ops, &client.heard, workload.name);
    (points, client.heard, std::mem::take(&mut world.events))
}

/// A kernel that hears the same events one by one, in one group that never ends, has the same rows at every commit.
fn check_serial(points: &[Point], events: &[Event], name: &str) {
    let engine = MemoryDisk::new().engine();
    let mut node = Node::open(engine, Incarnation([7; 16]), KernelLimits::default()).expect("it opens");
    let mut next = 0;
    for (number, point) in points.iter().enumerate() {
        for event in &events[next..point.events] {
            node.handle(1_000_000, event.clone()).expect("it goes on");
        }
        next = point.events;
        assert_eq!(rows(node.store()), point.rows, "{name}, commit {number}: a serial run has other rows");
    }
}

fn check(workload: &Workload) {
    for policy in [Policy::EveryTurns(1), Policy::EveryTurns(5), Policy::WhenQuiet] {
        let (points, expected, events) = run_once(workload, policy);
        check_serial(&points, &events, workload.name);
        let (runs, mut broken_off) = (points.len() * 2, 0);
        for (number, point) in points.iter().enumerate() {
            assert_eq!(rows(&reopened(&point.disk)), point.rows, "what is read again is what was written");
            for (known, when) in [(&point.before, "before"), (&point.after, "after")] {
                let name = format!("{} {policy:?}, crash {when} the effects of commit {number}", workload.name);
                let world =
                    World::on(point.disk.clone().shared(), KernelLimits::default(), Box::new(programs::runtime()));
                broken_off += go_on(&mut { world }, workload, known, &expected, &reopened(&point.disk), &name);
            }
        }
        println!(
            "{} {policy:?}: {} commits, {runs} crashes, {broken_off} calls broken off",
            workload.name,
            points.len()
        );
    }
}

fn begin(mut ops: Vec<Op>) -> Vec<Op> {
    ops.insert(0, Op::Launch);
    ops
}

const BOB: Option<Pass> = Some(Pass::Root("bob"));
const BANK: Option<Pass> = Some(Pass::Root("bank"));

fn ping_pong(window: Window) -> Workload {
    let rally = |id: &str| call("alice", "rally", &format!("[\"{id}\",3]"), BOB);
    Workload { name: "ping-pong", ops: begin(vec![rally("r1"), rally("r2")]), window }
}

fn chain() -> Workload {
    let ops =
        vec![call("alice", "chain", "[\"c1\",6]", BOB), call("bob", "chain", "[\"c2\",2]", Some(Pass::Root("alice")))];
    Workload { name: "pipelining", ops: begin(ops), window: Window::All }
}

fn mint(window: Window) -> Workload {
    let ops = vec![
        call("bank", "transfer", "[\"t1\",\"x\",\"y\",3]", None),
        call("alice", "exchange", "[\"e1\"]", BANK),
        call("bank", "transfer", "[\"t2\",\"x\",\"y\",3]", None),
        call("bob", "exchange", "[\"e2\"]", BANK),
        call("bank", "transfer", "[\"t3\",\"x\",\"y\",3]", None),
    ];
    Workload { name: "mint and escrow", ops: begin(ops), window }
}

fn promises() -> Workload {
    let ops = vec![
        call("alice", "hold", "[\"h1\"]", BOB),
        call("bob", "hold", "[\"h2\"]", Some(Pass::Root("alice"))),
        call("alice", "free", "[\"h1\"]", None),
        call("bob", "free", "[\"h2\"]", None),
    ];
    Workload { name: "promises passed on", ops: begin(ops), window: Window::All }
}

fn garbage() -> Workload {
    let ops = vec![
        call("alice", "collect", "[\"g1\",3]", BOB),
        Op::Reap,
        call("bob", "collect", "[\"g2\",2]", Some(Pass::Root("alice"))),
        Op::Reap,
    ];
    Workload { name: "garbage", ops: begin(ops), window: Window::One }
}

fn lives() -> Workload {
    let ops = vec![
        call("alice", "rally", "[\"r1\",2]", BOB),
        call("bank", "transfer", "[\"t1\",\"x\",\"y\",3]", None),
        Op::Restart("bob"),
        call("alice", "exchange", "[\"e1\"]", BANK),
        Op::Reload("alice"),
        call("alice", "chain", "[\"c1\",2]", BOB),
        Op::Terminate("bob"),
        call("alice", "rally", "[\"r2\",2]", BOB),
        call("bank", "transfer", "[\"t2\",\"x\",\"y\",3]", None),
    ];
    Workload { name: "launch, restart, reload, terminate", ops: begin(ops), window: Window::All }
}

fn services() -> Workload {
    let clock = Some(Pass::Service("clock"));
    let ops = vec![
        Op::Service("clock"),
        Op::Launch,
        call("alice", "serve", "[\"s1\"]", clock),
        call("bob", "serve", "[\"s2\"]", clock),
        call("bank", "transfer", "[\"t1\",\"x\",\"y\",3]", None),
    ];
    Workload { name: "services", ops, window: Window::All }
}

/// A workload drawn from a number.
fn generated(seed: u64) -> Workload {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let mut ops = Vec::new();
    for number in 0..6 {
        let (vat, peer) = if draw(2) == 0 { ("alice", "bob") } else { ("bob", "alice") };
        let peer = Some(Pass::Root(peer));
        let size = 1 + draw(3);
        ops.push(match draw(6) {
            0 => call(vat, "rally", &format!("[\"r{number}\",{size}]"), peer),
            1 => call(vat, "chain", &format!("[\"c{number}\",{size}]"), peer),
            2 => call("bank", "transfer", &format!("[\"t{number}\",\"x\",\"y\",3]"), None),
            3 => call(vat, "exchange", &format!("[\"e{number}\"]"), BANK),
            4 => call(vat, "collect", &format!("[\"g{number}\",{size}]"), peer),
            _ => Op::Reap,
        });
    }
    let window = if draw(2) == 0 { Window::One } else { Window::All };
    Workload { name: "generated", ops: begin(ops), window }
}

#[test]
fn crashes_in_a_rally() {
    check(&ping_pong(Window::One));
    check(&ping_pong(Window::All));
}

#[test]
fn crashes_in_a_chain_of_pipelined_calls() {
    check(&chain());
}

#[test]
fn crashes_at_the_mint() {
    check(&mint(Window::One));
    check(&mint(Window::All));
}

#[test]
fn crashes_while_promises_are_passed_on() {
    check(&promises());
}

#[test]
fn crashes_while_garbage_is_collected() {
    check(&garbage());
}

#[test]
fn crashes_in_the_lives_of_vats() {
    check(&lives());
}

#[test]
fn crashes_while_services_work() {
    check(&services());
}

#[test]
fn crashes_in_generated_workloads() {
    for seed in 1..=4 {
        check(&generated(seed));
    }
}

#[test]
fn a_disk_that_fails_stops_the_node_and_leaves_a_sound_store() {
    let workload = mint(Window::All);
    let (points, expected, _) = run_once(&workload, Policy::EveryTurns(5));
    let mut stops = 0;
    for good in 0..points.len() as u64 {
        let disk = MemoryDisk::new();
        let mut world = World::on(disk.clone(), KernelLimits::default(), Box::new(programs::runtime()));
        let mut client = Client::new(&workload, vec![None; workload.ops.len()]);
        disk.fail_applies_after(good);
        let fault = drive(&mut world, &mut client, Policy::EveryTurns(5), |_, _, _| {}).expect_err("the disk fails");
        assert!(fault.to_string().contains("told to fail this write"), "{fault}");
        world.event(Event::Idle).expect_err("a stopped node takes nothing");
        world.commit().expect_err("a stopped node tells nothing");
        disk.mend();
        let durable = reopened(&disk.snapshot());
        world.answers.clear();
        world.settled.clear();
        world.service_calls.clear();
        world.crash();
        go_on(&mut world, &workload, &client.heard, &expected, &durable, &format!("after {good} good writes"));
        stops += 1;
    }
    println!("{stops} failing writes");
}

#[test]
fn crashes_on_sqlite() {
    let workload = mint(Window::All);
    let (points, expected, events) = run_once(&workload, Policy::EveryTurns(5));
    let mut crashes = 0;
    for stop in 0..events.len() {
        // The process ends after `stop` events, with whatever is in the open group then.
        let mut world = World::on_engine(Engines::Sqlite, KernelLimits::default(), Box::new(programs::runtime()));
        let mut client = Client::new(&workload, vec![None; workload.ops.len()]);
        let mut durable = None;
        while world.events.len() < stop {
            let _ = client.ask(&mut world) || world.step().expect("the node goes on");
            if world.node().uncommitted_turns() >= 5 {
                world.commit().expect("the disk is fine");
                client.hear(&world);
                durable = points.iter().find(|point| point.events == world.events.len());
            }
            if world.events.len() >= stop || world.node().is_quiet() {
                break;
            }
        }
        world.answers.clear();
        world.settled.clear();
        world.crash();
        let Some(durable) = durable else { continue };
        let name = format!("SQLite, crash after {stop} events");
        go_on(&mut world, &workload, &client.heard, &expected, &reopened(&durable.disk), &name);
        crashes += 1;
    }
    println!("{crashes} crashes on SQLite");
}
