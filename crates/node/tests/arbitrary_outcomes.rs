//! Whatever vats answer and hosts ask, legal or not: nothing panics, the audit finds nothing (it runs after every
//! turn), no vat stops or observes another (G13), every call that was made is settled (G12), and in the end nothing is
//! left (G15).
//!
//! What failing tapes taught is in named tests at the end of this file.

#[path = "world/random.rs"]
mod random;
mod world;

use proptest::prelude::*;
use random::{SharedVats, VICTIM};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Answer, DeathNote, Event, LaunchRequest, Request, Ticket};
use sturdy_store::{ItemId, Objects, Promises, Read, ServiceCalls, Subclusters, Vats};
use sturdy_types::{
    CallId, CapData, ClusterConfig, CrankId, Delivery, KRef, KernelLimits, Message, ObjectId, Outcome, PromiseId,
    Resolution, RunId, ServiceCallId, SubclusterId, Syscall, VRef, VatId,
};
use world::{World, native};

/// What a host says that never asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guesses {
    /// Answers of runs that never were.
    Stale,
    /// Any answers: also such as vats may be about to give, the orderly one included.
    Any,
}

/// A kernel with wild vats and one orderly one, and a host that asks at random.
struct Storm {
    world: World,
    vats: SharedVats,
    victim: VatId,
    victim_root: ObjectId,
    /// Calls of the victim by name.
    asked: BTreeSet<String>,
    names: u64,
    pins: BTreeMap<ObjectId, u32>,
    rows_at_rest: usize,
    guesses: Guesses,
}

fn limits() -> KernelLimits {
    KernelLimits {
        body_slots: 6,
        inbox_items: 40,
        promise_queue_items: 6,
        syscalls_per_crank: 20,
        deliveries_per_reap: 7,
        cleanup_rows_per_turn: 3,
        ..KernelLimits::default()
    }
}

fn cluster(names: &[&str], services: &[&str]) -> ClusterConfig {
    ClusterConfig {
        bootstrap: names[0].into(),
        vats: names.iter().map(|name| ((*name).to_owned(), native(name))).collect(),
        services: services.iter().map(|name| (*name).to_owned()).collect(),
    }
}

impl Storm {
    fn new(tape: Vec<u16>, wildness: usize, guesses: Guesses) -> Self {
        let vats = random::shared(tape, wildness);
        let world = World::on(sturdy_store::MemoryDisk::new(), limits(), Box::new(random::runtime(&vats)));
        let mut storm = Self {
            world,
            vats,
            victim: VatId(0),
            victim_root: ObjectId(0),
            asked: BTreeSet::new(),
            names: 0,
            pins: BTreeMap::new(),
            rows_at_rest: 0,
            guesses,
        };
        storm.world.try_launch(cluster(&[VICTIM], &[])).expect("the victim is launched");
        storm.world.ask(Request::Reset).expect("everything can be ended");
        storm.world.settle_down();
        storm.rows_at_rest = storm.world.rows();
        let (_, root) = storm.world.try_launch(cluster(&[VICTIM], &[])).expect("the victim is launched");
        storm.victim = storm.world.vat(VICTIM);
        storm.victim_root = root;
        storm
    }

    fn choose(&self, bound: usize) -> usize {
        self.vats.borrow_mut().tape.below(bound)
    }

    fn once_in(&self, n: usize) -> bool {
        self.vats.borrow_mut().tape.once_in(n)
    }

    fn pick<T: Clone>(&self, from: &[T]) -> Option<T> {
        self.vats.borrow_mut().tape.pick(from)
    }

    fn vats(&self) -> Vec<VatId> {
        let rows = self.world.node().store().scan::<Vats>(&(), None, usize::MAX).expect("the store reads");
        rows.into_iter().map(|(vat, _)| vat).collect()
    }

    fn others(&self) -> Vec<VatId> {
        self.vats().into_iter().filter(|vat| *vat != self.victim).collect()
    }

    fn subclusters(&self) -> Vec<SubclusterId> {
        let rows = self.world.node().store().scan::<Subclusters>(&(), None, usize::MAX).expect("the store reads");
        let wild = rows.into_iter().filter(|(_, record)| record.config.bootstrap != VICTIM);
        wild.map(|(id, _)| id).collect()
    }

    /// Any reference: mostly one that exists.
    fn any_kref(&self) -> KRef {
        let store = self.world.node().store();
        let objects = store.scan::<Objects>(&(), None, usize::MAX).expect("the store reads");
        let promises = store.scan::<Promises>(&(), None, usize::MAX).expect("the store reads");
        let number = self.choose(60) as u64;
        match self.choose(6) {
            0 => ObjectId(number).into(),
            1 => PromiseId(number).into(),
            2 => self.pick(&promises).map_or(PromiseId(1).into(), |(id, _)| id.into()),
            _ => self.pick(&objects).map_or(ObjectId(1).into(), |(id, _)| id.into()),
        }
    }

    fn body(&self) -> CapData<KRef> {
        CapData { body: "#[\"go\",[]]".into(), slots: (0..self.choose(4)).map(|_| self.any_kref()).collect() }
    }

    fn ask(&mut self, request: Request) {
        self.world.ask_later(request);
    }

    fn act(&mut self) {
        match self.choose(32) {
            0..=9 => {
                for _ in 0..=self.choose(4) {
                    self.world.step().expect("the node goes on");
                }
            }
            10 | 11 => self.world.commit().expect("the node commits"),
            12 => self.call_victim(),
            13..=15 => {
                self.names += 1;
                let request = self.once_in(2).then(|| format!("wild {}", self.names));
                let (target, methargs) = (self.any_kref(), self.body());
                self.ask(Request::Call { target, methargs, request });
            }
            16..=18 => self.launch(),
            19 => self.end_something(),
            20 => {
                if let Some(vat) = self.pick(&self.vats()) {
                    self.ask(Request::RestartVat(vat));
                }
            }
            21 => {
                if let Some(vat) = self.pick(&self.others()) {
                    let config = Box::new(native("wild"));
                    self.ask(Request::ReloadVat { vat, config, sources: Vec::new() });
                }
            }
            22 => self.touch_object(),
            23 => {
                let vats = if self.once_in(2) { self.pick(&self.vats()).into_iter().collect() } else { Vec::new() };
                self.ask(Request::Reap(vats));
            }
            24 => self.world.event(Event::Idle).expect("the node goes on"),
            25 => {
                let (name, system_only) = (format!("service{}", self.choose(2)), self.once_in(2));
                let off = self.once_in(3);
                self.ask(if off {
                    Request::UnregisterService(name)
                } else {
                    Request::RegisterService { name, system_only }
                });
            }
            26 => self.answer_service(),
            27 => {
                let call = CallId(self.choose(20) as u64);
                let named = self.is_call_of_victim(call);
                if !named {
                    self.ask(Request::Acknowledge(call));
                }
            }
            28 => self.crash(),
            29 => self.answer_unasked(),
            30 => {
                self.world.node_mut().tidy_up(2_000_000).expect("the node goes on");
                self.world.pass_time(1 + self.choose(100) as u64);
            }
            _ => self.ask(Request::Status),
        }
    }

    /// An answer to a delivery that may never have been made, or to one in flight: then it counts, and the heap's own
    /// answer is stale.
    fn answer_unasked(&mut self) {
        let (mut vat, mut run) = (VatId(self.number()), RunId(self.number()));
        let crank = CrankId(self.choose(60) as u64);
        if self.guesses == Guesses::Any {
            let known = self.pick(&self.vats()).unwrap_or(vat);
            vat = if self.once_in(4) { vat } else { known };
            run = if self.once_in(4) { run } else { RunId(1) };
        } else {
            run.0 += 1_000;
        }
        let outcome = self.vats.borrow_mut().any_outcome(vat);
        self.world.event(Event::Delivered { vat, run, crank, outcome }).expect("the node goes on");
    }

    fn number(&self) -> u32 {
        u32::try_from(self.choose(12)).expect("small")
    }

    fn is_call_of_victim(&self, call: CallId) -> bool {
        let record = self.world.node().store().get::<sturdy_store::Calls>(&call).expect("the store reads");
        record.and_then(|record| record.request).is_some_and(|name| self.asked.contains(&name))
    }

    fn call_victim(&mut self) {
        self.names += 1;
        let name = format!("victim {}", self.names);
        self.asked.insert(name.clone());
        self.ask_victim(name);
    }

    fn ask_victim(&mut self, name: String) -> Ticket {
        let methargs = CapData::plain("#[\"go\",[]]");
        self.world.ask_later(Request::Call { target: self.victim_root.into(), methargs, request: Some(name) })
    }

    fn launch(&mut self) {
        let names = ["wild", "wild2", "wild3"];
        let mut config = cluster(&names[..=self.choose(3)], &[]);
        for number in 0..self.choose(3) {
            config.services.push(format!("service{number}"));
        }
        let system_name = self.once_in(4).then(|| format!("system{}", self.choose(2)));
        let request = LaunchRequest { config, sources: Vec::new(), system_name, label: None };
        self.ask(Request::Launch(Box::new(request)));
    }

    fn end_something(&mut self) {
        if self.once_in(2) {
            if let Some(id) = self.pick(&self.subclusters()) {
                self.ask(Request::TerminateSubcluster(id));
            }
        } else if let Some(vat) = self.pick(&self.others()) {
            self.ask(Request::TerminateVat { vat, reason: "the tape says so".into() });
        }
    }

    fn touch_object(&mut self) {
        let kref = self.any_kref();
        match self.choose(4) {
            0 if kref != self.victim_root.into() => self.ask(Request::Revoke(kref)),
            1 => self.ask(Request::IsRevoked(kref)),
            2 => {
                let ticket = self.world.ask_later(Request::Pin(kref));
                self.world.commit().expect("the node commits");
                if let (KRef::Object(id), Some(Ok(Answer::Done))) = (kref, self.world.answers.get(&ticket)) {
                    *self.pins.entry(id).or_default() += 1;
                }
            }
            _ => {
                let pinned: Vec<ObjectId> = self.pins.keys().copied().collect();
                if let Some(id) = self.pick(&pinned) {
                    self.ask(Request::Unpin(id.into()));
                    self.world.commit().expect("the node commits");
                    let count = self.pins.get_mut(&id).expect("it is pinned");
                    *count -= 1;
                    if *count == 0 {
                        self.pins.remove(&id);
                    }
                }
            }
        }
    }

    fn answer_service(&mut self) {
        let store = self.world.node().store();
        let pending = store.scan::<ServiceCalls>(&(), None, usize::MAX).expect("the store reads");
        let any = ServiceCallId(self.choose(10) as u64);
        let call = if self.once_in(4) { any } else { self.pick(&pending).map_or(any, |(call, _)| call) };
        let value = self.body();
        let event = Event::ServiceAnswered { call, rejected: self.once_in(3), value };
        self.world.event(event).expect("the node goes on");
    }

    fn crash(&mut self) {
        let others = self.others();
        let item = [ItemId::Start, ItemId::Gc, ItemId::Reap, ItemId::Inbox(self.choose(10) as u64)][self.choose(4)];
        let note = if self.once_in(2) { self.pick(&others).map(|vat| DeathNote { vat, item }) } else { None };
        let system: &[&str] = if self.once_in(3) { &["system0"] } else { &["system0", "system1"] };
        self.world.boot(note, system);
    }

    /// Everything that is left is answered and taken down.
    fn end(mut self) -> World {
        self.world.run();
        let names: Vec<String> = self.asked.iter().cloned().collect();
        for name in names {
            // The client asks again for what it has not heard: the same name is the same call.
            let ticket = self.ask_victim(name.clone());
            self.world.run();
            let call = self.world.call_id(ticket);
            let settled = self.world.settled.get(&call).unwrap_or_else(|| panic!("{name} is never answered"));
            if self.guesses == Guesses::Stale {
                assert_eq!((settled.rejected, settled.value.body.as_str()), (false, "#\"ok\""), "{name}");
            }
        }
        for (id, count) in std::mem::take(&mut self.pins) {
            for _ in 0..count {
                self.ask(Request::Unpin(id.into()));
            }
        }
        self.world.run();
        for (call, ..) in self.world.node().store().scan::<ServiceCalls>(&(), None, usize::MAX).expect("it reads") {
            let event = Event::ServiceAnswered { call, rejected: false, value: CapData::plain("#1") };
            self.world.event(event).expect("the node goes on");
        }
        self.ask(Request::Reset);
        self.world.run();
        for (call, ..) in self.world.node().store().scan::<ServiceCalls>(&(), None, usize::MAX).expect("it reads") {
            let event = Event::ServiceAnswered { call, rejected: false, value: CapData::plain("#1") };
            self.world.event(event).expect("the node goes on");
        }
        for name in ["service0", "service1"] {
            self.ask(Request::UnregisterService(name.into()));
        }
        self.world.settle_down();
        self.world.settle_down();
        let rows = self.world.rows();
        if rows != self.rows_at_rest {
            let dump: Vec<String> =
                self.world.node().store().dump().map(|row| format!("{:?}", row.expect("it reads"))).collect();
            panic!("{rows} rows are left, not {}:\n{}", self.rows_at_rest, dump.join("\n"));
        }
        self.world
    }
}

fn storm(tape: Vec<u16>, wildness: usize, guesses: Guesses) -> World {
    let mut storm = Storm::new(tape, wildness, guesses);
    while !storm.vats.borrow().tape.is_over() {
        storm.act();
    }
    storm.end()
}

fn tapes() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..800)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::with_cases(80) })]

    #[test]
    fn mostly_legal_vats_stop_nobody_and_leave_nothing(tape in tapes()) {
        storm(tape, 200, Guesses::Stale);
    }

    #[test]
    fn wild_vats_stop_nobody_and_leave_nothing(tape in tapes()) {
        storm(tape, 12, Guesses::Stale);
    }

    #[test]
    fn answers_that_nobody_asked_for_leave_nothing(tape in tapes()) {
        storm(tape, 60, Guesses::Any);
    }
}

/// A world of one vat that answers what the test says, with its root.
fn scripted(script: impl FnMut(VatId, &Delivery) -> Outcome + 'static) -> (World, ObjectId) {
    let mut world = World::new(sturdy_vat::ScriptedRuntime::new(script));
    let (_, root) = world.try_launch(cluster(&["vat"], &[])).expect("the launch succeeds");
    (world, root)
}

fn fulfilled(promise: VRef, body: &str, slots: Vec<VRef>) -> Syscall {
    Syscall::Resolve(vec![Resolution { promise, rejected: false, value: CapData { body: body.into(), slots } }])
}

#[test]
fn a_promise_settled_with_a_value_that_mentions_it_is_counted_right() {
    let (mut world, root) = scripted(|_, delivery| match delivery {
        Delivery::Message { message, .. } if message.methargs.body.contains("go") => {
            let result = message.result.expect("somebody asks");
            Outcome::done(vec![fulfilled(result, "#[\"&0\"]", vec![result])])
        }
        Delivery::Message { message, .. } => {
            Outcome::done(message.result.map(|result| fulfilled(result, "#1", Vec::new())).into_iter().collect())
        }
        _ => Outcome::default(),
    });
    let settled = world.call(root, "go", "[]", Vec::new());
    assert!(!settled.rejected, "the audit agrees after every turn");
}

#[test]
fn a_message_that_waits_for_its_own_result_is_rejected() {
    // The vat decides the result, and hands it to a message that is queued on it: a ring that nobody could settle.
    let (mut world, root) = scripted(|_, delivery| match delivery {
        Delivery::Message { message, .. } if message.methargs.body.contains("go") => {
            let result = message.result.expect("somebody asks");
            let message = Message { methargs: CapData::plain("#[\"more\",[]]"), result: Some(result) };
            Outcome::done(vec![Syscall::Send { target: result, message }])
        }
        Delivery::Message { message, .. } => {
            Outcome::done(message.result.map(|result| fulfilled(result, "#1", Vec::new())).into_iter().collect())
        }
        _ => Outcome::default(),
    });
    let settled = world.call(root, "go", "[]", Vec::new());
    assert!(settled.rejected && settled.value.body.contains("BAD_PROMISE_RESOLUTION"), "{settled:?}");
}

#[test]
fn a_ring_of_messages_that_wait_for_each_other_is_rejected() {
    let (mut world, root) = scripted(|_, delivery| match delivery {
        Delivery::Message { message, .. } if message.methargs.body.contains("go") => {
            let first = message.result.expect("somebody asks");
            let second = VRef::PromiseExport(7);
            let send = |target, result| Syscall::Send {
                target,
                message: Message { methargs: CapData::plain("#[\"more\",[]]"), result: Some(result) },
            };
            Outcome::done(vec![send(first, second), Syscall::Subscribe(second), send(second, first)])
        }
        Delivery::Message { message, .. } => {
            Outcome::done(message.result.map(|result| fulfilled(result, "#1", Vec::new())).into_iter().collect())
        }
        _ => Outcome::default(),
    });
    let settled = world.call(root, "go", "[]", Vec::new());
    assert!(settled.rejected && settled.value.body.contains("BAD_PROMISE_RESOLUTION"), "{settled:?}");
}
