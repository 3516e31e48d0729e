//! A world of one kernel for tests: real node, real tables, real engine, runtimes in the same thread, a clock that the
//! test moves. The audit runs after every turn.

#![allow(dead_code)] // each test file uses a part of it

pub mod puppet;
pub mod script;
pub mod worlds;

use std::collections::BTreeMap;
use std::ops::Bound;
use sturdy_kernel::{Answer, DeathNote, Effect, Event, Fault, LaunchRequest, Notice, Refused, Request, Status, Ticket};
use sturdy_node::{AuditMode, Node};
use sturdy_store::{Engine, ItemId, MemoryDisk};
use sturdy_store_sqlite::SqliteEngine;
use sturdy_types::{
    CallId, CapData, ClusterConfig, CodeSpec, Delivery, Incarnation, KRef, KernelLimits, ObjectId, Outcome, RunId,
    RuntimeKind, ServiceCallId, SourceHash, StartSpec, SubclusterId, VatConfig, VatId, VatLimits,
};
use sturdy_vat::{Runtime, SourceReader, StateReader, StateUnreadable, Vat};

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub rejected: bool,
    pub value: CapData<KRef>,
}

/// The engines that a test can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engines {
    Memory,
    Sqlite,
}

/// Runs a test on every engine.
pub fn both_engines(test: impl Fn(Engines)) {
    for engine in [Engines::Memory, Engines::Sqlite] {
        test(engine);
    }
}

/// One kernel and everything around it.
pub struct World {
    pub disk: MemoryDisk,
    /// For engines on a real disk: where.
    dir: Option<tempfile::TempDir>,
    pub limits: KernelLimits,
    node: Option<Node>,
    runtime: Box<dyn Runtime>,
    heaps: BTreeMap<(VatId, RunId), Box<dyn Vat>>,
    /// Deliveries that the node wants made, not yet made.
    pending: Vec<Effect>,
    now: u64,
    tickets: u64,
    /// Outer effects that were released, in order.
    pub answers: BTreeMap<Ticket, Result<Answer, Refused>>,
    pub settled: BTreeMap<CallId, Settled>,
    pub service_calls: Vec<(ServiceCallId, String, CapData<KRef>)>,
    pub notices: Vec<Notice>,
    /// What links are to do: `Connect`, `Transmit`, `HangUp`, in order.
    pub wire: Vec<Effect>,
    /// What a new store becomes.
    pub incarnation: Incarnation,
    /// What vats were told, one line each: `v1 message`.
    pub deliveries: Vec<String>,
    /// Every event, in order, also of lives before a crash.
    pub events: Vec<Event>,
}

pub struct NodeReader<'n>(pub &'n Node, pub VatId);

impl StateReader for NodeReader<'_> {
    fn get(&self, key: &str) -> Result<Option<String>, StateUnreadable> {
        self.0.vat_state(self.1, key).map_err(|fault| StateUnreadable(fault.to_string()))
    }

    fn next(&self, after: &str, prefix: &str) -> Result<Option<(String, String)>, StateUnreadable> {
        self.0
            .vat_state_next(self.1, Bound::Excluded(after), prefix)
            .map_err(|fault| StateUnreadable(fault.to_string()))
    }
}

impl SourceReader for NodeReader<'_> {
    fn source(&self, hash: &SourceHash) -> Result<Option<String>, StateUnreadable> {
        self.0.source(hash).map_err(|fault| StateUnreadable(fault.to_string()))
    }
}

/// The configuration of a native vat registered under `entry`.
pub fn native(entry: &str) -> VatConfig {
    VatConfig {
        code: CodeSpec { runtime: RuntimeKind::Native, entry: entry.into(), modules: Vec::new() },
        parameters: "#{}".into(),
        globals: Vec::new(),
    }
}

/// A cluster of native vats, each named like its entry; the first is the bootstrap vat.
pub fn cluster(names: &[&str]) -> ClusterConfig {
    ClusterConfig {
        bootstrap: names[0].into(),
        vats: names.iter().map(|name| ((*name).to_owned(), native(name))).collect(),
        services: Vec::new(),
    }
}

/// `[method, args]` as a body, with slots. `args` is the JSON text of the smallcaps argument list.
pub fn methargs(method: &str, args: &str, slots: Vec<KRef>) -> CapData<KRef> {
    CapData { body: format!("#[{},{args}]", sturdy_types::json_string(method)), slots }
}

impl World {
    /// A new kernel on a new disk, booted.
    pub fn new(runtime: impl Runtime + 'static) -> Self {
        Self::on(MemoryDisk::new(), KernelLimits::default(), Box::new(runtime))
    }

    pub fn with_limits(limits: KernelLimits, runtime: impl Runtime + 'static) -> Self {
        Self::on(MemoryDisk::new(), limits, Box::new(runtime))
    }

    /// A kernel on a given disk, booted.
    pub fn on(disk: MemoryDisk, limits: KernelLimits, runtime: Box<dyn Runtime>) -> Self {
        Self::made(disk, None, limits, runtime)
    }

    /// A new kernel on a new disk of the chosen engine, booted.
    pub fn on_engine(engine: Engines, limits: KernelLimits, runtime: Box<dyn Runtime>) -> Self {
        let dir = match engine {
            Engines::Memory => None,
            Engines::Sqlite => Some(tempfile::tempdir().expect("a directory")),
        };
        Self::made(MemoryDisk::new(), dir, limits, runtime)
    }

    fn made(disk: MemoryDisk, dir: Option<tempfile::TempDir>, limits: KernelLimits, runtime: Box<dyn Runtime>) -> Self {
        let mut world = Self {
            disk,
            dir,
            limits,
            node: None,
            runtime,
            heaps: BTreeMap::new(),
            pending: Vec::new(),
            now: 1_000_000,
            tickets: 0,
            answers: BTreeMap::new(),
            settled: BTreeMap::new(),
            service_calls: Vec::new(),
            notices: Vec::new(),
            wire: Vec::new(),
            incarnation: Incarnation([7; 16]),
            deliveries: Vec::new(),
            events: Vec::new(),
        };
        world.boot(None, &[]);
        world
    }

    /// Opens the node on the disk as it is and boots it.
    pub fn boot(&mut self, died_on: Option<DeathNote>, system_names: &[&str]) {
        self.node = None; // it may hold the lock of the directory
        let engine = match &self.dir {
            None => self.disk.engine(),
            Some(dir) => Box::new(SqliteEngine::open(dir.path()).expect("the engine opens")),
        };
        self.boot_on(engine, died_on, system_names);
    }

    pub fn boot_on(&mut self, engine: Box<dyn Engine>, died_on: Option<DeathNote>, system_names: &[&str]) {
        self.heaps.clear();
        self.pending.clear();
        self.wire.clear();
        let mut node = Node::open(engine, self.incarnation, self.limits.clone()).expect("the store opens");
        node.set_audit_mode(AuditMode::EveryTurn);
        self.node = Some(node);
        let system_names = system_names.iter().map(|name| (*name).to_owned()).collect();
        self.event(Event::Boot { died_on, system_names }).expect("the kernel boots");
    }

    /// The process ends here: heaps, plans and everything not yet durable are gone. Then it begins again.
    pub fn crash(&mut self) {
        self.boot(None, &[]);
    }

    /// The delivery that is under way.
    pub fn in_flight(&self) -> Option<DeathNote> {
        self.pending.iter().find_map(|effect| match effect {
            Effect::Deliver { vat, item, .. } => Some(DeathNote { vat: *vat, item: *item }),
            _ => None,
        })
    }

    /// The delivery that is under way, as its vat sees it.
    pub fn delivery_under_way(&self) -> Option<(VatId, &Delivery)> {
        self.pending.iter().find_map(|effect| match effect {
            Effect::Deliver { vat, delivery, .. } => Some((*vat, delivery)),
            _ => None,
        })
    }

    /// The process dies of the delivery that is under way, and leaves a note of it.
    pub fn die(&mut self) {
        let note = self.in_flight().expect("a delivery is under way");
        self.boot(Some(note), &[]);
    }

    /// Makes effects until a delivery to `vat` is under way that is not the start of a heap.
    pub fn run_until_in_flight(&mut self, vat: VatId) {
        self.run_until_at(vat, |item| item != ItemId::Start);
    }

    /// Makes effects until a heap of `vat` is being started.
    pub fn run_until_starting(&mut self, vat: VatId) {
        self.run_until_at(vat, |item| item == ItemId::Start);
    }

    fn run_until_at(&mut self, vat: VatId, wanted: impl Fn(ItemId) -> bool) {
        loop {
            match self.in_flight() {
                Some(note) if note.vat == vat && wanted(note.item) => return,
                _ => assert!(self.step().expect("the node goes on"), "{vat} is never told anything"),
            }
        }
    }

    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("the node is open")
    }

    pub fn node_mut(&mut self) -> &mut Node {
        self.node.as_mut().expect("the node is open")
    }

    pub fn now(&self) -> u64 {
        self.now
    }

    /// Garbage is looked for until none is left; what links have to do waits.
    pub fn wire_safe_settle_down(&mut self) {
        let waiting = std::mem::take(&mut self.wire);
        self.settle_down();
        self.wire.splice(0..0, waiting);
    }

    pub fn pass_time(&mut self, ms: u64) {
        self.now += ms;
    }

    /// The next process has another clock.
    pub fn set_clock(&mut self, now: u64) {
        self.now = now;
    }

    /// One event; its inner effects wait until `step` makes them.
    pub fn event(&mut self, event: Event) -> Result<(), Fault> {
        let now = self.now;
        self.events.push(event.clone());
        let effects = self.node_mut().handle(now, event)?;
        self.pending.extend(effects);
        Ok(())
    }

    /// Makes the next inner effect. False when there is none.
    pub fn step(&mut self) -> Result<bool, Fault> {
        if self.pending.is_empty() {
            return Ok(false);
        }
        match self.pending.remove(0) {
            Effect::Deliver { vat, run, crank, delivery, .. } => {
                self.deliveries.push(format!("{vat} {}", delivery.kind()));
                let outcome = self.deliver(vat, run, &delivery);
                self.event(Event::Delivered { vat, run, crank, outcome })?;
            }
            Effect::Stop { vat, run } => self.heaps.retain(|(owner, heap), _| *owner != vat || *heap > run),
            other => panic!("{other:?} is no inner effect"),
        }
        Ok(true)
    }

    fn deliver(&mut self, vat: VatId, run: RunId, delivery: &Delivery) -> Outcome {
        if let Delivery::Start(spec) = delivery {
            return self.start(vat, run, spec);
        }
        let reader = NodeReader(self.node.as_ref().expect("the node is open"), vat);
        let heap = self.heaps.get_mut(&(vat, run)).unwrap_or_else(|| panic!("{vat} has no heap of {run}"));
        heap.deliver(delivery, &reader).expect("the state is readable")
    }

    fn start(&mut self, vat: VatId, run: RunId, spec: &StartSpec) -> Outcome {
        let node = self.node.as_ref().expect("the node is open");
        let reader = NodeReader(node, vat);
        let started =
            self.runtime.start(vat, spec, &VatLimits::default(), &reader, &reader).expect("the state is readable");
        if let Some(heap) = started.vat {
            self.heaps.insert((vat, run), heap);
        }
        started.outcome
    }

    /// Makes the open group durable and takes in its outer effects.
    pub fn commit(&mut self) -> Result<(), Fault> {
        let now = self.now;
        for effect in self.node_mut().commit(now)? {
            match effect {
                Effect::Answer { ticket, answer } => {
                    assert!(self.answers.insert(ticket, answer).is_none(), "{ticket:?} is answered twice");
                }
                Effect::Settled { call, rejected, value } => {
                    self.settled.insert(call, Settled { rejected, value });
                }
                Effect::CallService { call, service, methargs } => self.service_calls.push((call, service, methargs)),
                Effect::Notice(notice) => self.notices.push(notice),
                link @ (Effect::Connect { .. } | Effect::Transmit { .. } | Effect::HangUp { .. }) => {
                    self.wire.push(link);
                }
                other => panic!("{other:?} is no outer effect"),
            }
        }
        Ok(())
    }

    /// Everything that is due, until nothing is, then a commit.
    pub fn run(&mut self) {
        self.try_run().expect("the node goes on");
    }

    pub fn try_run(&mut self) -> Result<(), Fault> {
        while self.step()? {}
        self.commit()
    }

    /// Like `run`, and garbage is looked for until none is left.
    pub fn settle_down(&mut self) {
        for _ in 0..100 {
            self.run();
            let turns_before = self.node().stats().cranks;
            self.event(Event::Idle).expect("the node goes on");
            self.run();
            let now = self.now;
            while self.node_mut().tidy_up(now).expect("the node goes on") {}
            if self.node().stats().cranks == turns_before {
                self.run();
                return;
            }
        }
        panic!("the kernel never comes to rest");
    }

    /// Asks without waiting.
    pub fn ask_later(&mut self, request: Request) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.event(Event::Asked(ticket, request)).expect("the node goes on");
        ticket
    }

    /// Asks, runs until quiet, and gives the answer.
    pub fn ask(&mut self, request: Request) -> Result<Answer, Refused> {
        let ticket = self.ask_later(request);
        self.run();
        self.answers.remove(&ticket).expect("the request is answered")
    }

    pub fn try_launch(&mut self, config: ClusterConfig) -> Result<(SubclusterId, ObjectId), Refused> {
        let request = LaunchRequest { config, sources: Vec::new(), system_name: None, label: None };
        match self.ask(Request::Launch(Box::new(request)))? {
            Answer::Launched { subcluster, root, .. } => Ok((subcluster, root)),
            other => panic!("a launch is answered with {other:?}"),
        }
    }

    /// Launches native vats; the first is the bootstrap vat. Returns the root object of each.
    pub fn launch(&mut self, names: &[&str]) -> Vec<ObjectId> {
        self.try_launch(cluster(names)).expect("the launch succeeds");
        let status = self.status();
        names
            .iter()
            .map(|name| {
                status.vats.iter().rev().find(|vat| vat.name == *name).and_then(|vat| vat.root).expect("it has a root")
            })
            .collect()
    }

    pub fn status(&mut self) -> Status {
        match self.ask(Request::Status) {
            Ok(Answer::Status(status)) => *status,
            other => panic!("status is answered with {other:?}"),
        }
    }

    pub fn vat(&mut self, name: &str) -> VatId {
        self.status().vats.iter().find(|vat| vat.name == name).map(|vat| vat.id).expect("there is such a vat")
    }

    /// Sends a message from the host without waiting for the answer.
    pub fn call_later(&mut self, target: impl Into<KRef>, methargs: CapData<KRef>) -> Ticket {
        self.ask_later(Request::Call { target: target.into(), methargs, request: None })
    }

    /// The id of a call made with `call_later`, once its request was answered.
    pub fn call_id(&self, ticket: Ticket) -> CallId {
        match self.answers.get(&ticket) {
            Some(Ok(Answer::Called(call))) => *call,
            other => panic!("the call is answered with {other:?}"),
        }
    }

    /// The result of a call made with `call_later`, if it has come.
    pub fn result(&self, ticket: Ticket) -> Option<Settled> {
        self.settled.get(&self.call_id(ticket)).cloned()
    }

    /// Like `result`, also before the request itself is answered.
    pub fn result_if_any(&self, ticket: Ticket) -> Option<Settled> {
        self.answers.contains_key(&ticket).then(|| self.result(ticket)).flatten()
    }

    /// Calls from the host and runs until quiet. The call stays unacknowledged, so what its result names stays alive.
    pub fn call(&mut self, target: impl Into<KRef>, method: &str, args: &str, slots: Vec<KRef>) -> Settled {
        let ticket = self.call_later(target, methargs(method, args, slots));
        self.run();
        self.result(ticket).expect("the call is settled")
    }

    /// Acknowledges all settled calls, as callers that have seen their answers do.
    pub fn acknowledge_all(&mut self) {
        for call in std::mem::take(&mut self.settled).into_keys() {
            let _ = self.ask(Request::Acknowledge(call)); // some were forgotten by a restart
        }
    }

    /// How many rows the store holds, in all tables.
    pub fn rows(&mut self) -> usize {
        self.run();
        self.census().values().sum()
    }

    /// How many rows each table holds.
    pub fn census(&mut self) -> BTreeMap<&'static str, usize> {
        let census = self.node().store().census().expect("the store is readable");
        census.into_iter().map(|(table, size)| (table, usize::try_from(size.rows).expect("few rows"))).collect()
    }
}
