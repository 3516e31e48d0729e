//! A node and everything that can happen to it: hosts that ask, vats that answer legally or not, peers that lie, time,
//! commits, crashes, and stores that are set back.
//!
//! What always holds, whatever the bytes say: `handle` and `commit` return no fault, the audit that runs after every turn
//! finds nothing, a request is answered at most once, what is put on the wire can be read, and in the end, with vats that
//! answer orderly, the kernel comes to rest.
//!
//! Deliberately not here: what vats answer (`vats`), what peers say (`peers`), what hosts ask (`host`).

mod host;
mod peers;
mod vats;

use crate::tape::Tape;
use peers::Peers;
use std::collections::{BTreeSet, VecDeque};
use std::sync::OnceLock;
use sturdy_kernel::{DeathNote, Effect, Event, LaunchRequest, Request, Ticket};
use sturdy_node::{AuditMode, Node};
use sturdy_remote::{MAX_FRAME_BYTES, Packet, decode};
use sturdy_store::{ItemId, MemoryDisk, MemoryEngine, Row};
use sturdy_types::{CapData, ClusterConfig, CodeSpec, Incarnation, KernelLimits, RuntimeKind, VatConfig};
use vats::Vats;

/// Bytes of one run: enough for some hundred events. More would only make runs slow.
const TAPE_BYTES: usize = 2_048;

/// Events after which a kernel whose vats answer orderly has come to rest.
const EVENTS_TO_REST: usize = 20_000;

/// Any bytes as events.
pub(crate) fn events(data: &[u8]) {
    let mut storm = Storm::on(furnished().clone());
    storm.play(data);
    storm.rest();
}

/// The rows of a store after these events, as far as they are durable.
pub fn rows_after(data: &[u8]) -> Vec<Row> {
    let mut storm = Storm::on(furnished().clone());
    storm.play(data);
    storm.commit();
    sturdy_store::Engine::scan(&storm.disk.snapshot(), &[], None, usize::MAX).expect("memory is readable")
}

/// A store in which vats wait for each other, for a service and for a peer.
pub(crate) fn full_store() -> MemoryEngine {
    static FULL: OnceLock<MemoryEngine> = OnceLock::new();
    let full = || {
        let mut storm = Storm::on(furnished().clone());
        storm.play(include_bytes!("../../../../fuzz/corpus/events/everything.bin"));
        storm.commit();
        storm.disk.snapshot()
    };
    FULL.get_or_init(full).clone()
}

/// A kernel with two vats, a service, a peer and an issued URL: made once, as every run begins with it.
fn furnished() -> &'static MemoryEngine {
    static FURNISHED: OnceLock<MemoryEngine> = OnceLock::new();
    FURNISHED.get_or_init(|| {
        let mut storm = Storm::on(MemoryEngine::new());
        storm.ask(Request::RegisterService { name: "service0".into(), system_only: false });
        storm.ask(Request::Launch(Box::new(launch(&["alice", "bob"], &["service0"]))));
        storm.answer_orderly();
        storm.ask(Request::AddPeer { peer: peers::NAMES[0].into(), hints: vec!["somewhere".into()] });
        let oid = sturdy_types::OcapUrl::parse(host::URLS[0]).expect("a URL").oid;
        let terms = sturdy_kernel::UrlTerms::default();
        storm.ask(Request::IssueUrl { object: sturdy_types::ObjectId(2).into(), oid, terms });
        storm.rest();
        storm.disk.snapshot()
    })
}

fn launch(vats: &[&str], services: &[&str]) -> LaunchRequest {
    let config = ClusterConfig {
        bootstrap: vats[0].into(),
        vats: vats.iter().map(|name| ((*name).to_owned(), vat_config())).collect(),
        services: services.iter().map(|name| (*name).to_owned()).collect(),
    };
    LaunchRequest { config, sources: Vec::new(), system_name: None, label: None }
}

fn vat_config() -> VatConfig {
    VatConfig {
        code: CodeSpec { runtime: RuntimeKind::Native, entry: "fuzz".into(), modules: Vec::new() },
        parameters: "#{}".into(),
        globals: Vec::new(),
    }
}

/// Small ones, so that every limit is met.
fn limits() -> KernelLimits {
    KernelLimits {
        body_bytes: 200,
        body_slots: 5,
        inbox_items: 8,
        promise_queue_items: 4,
        waiting_looked_at_per_turn: 12,
        syscalls_per_crank: 8,
        state_bytes_per_crank: 64,
        deliveries_per_reap: 7,
        cleanup_rows_per_turn: 3,
        ring_suspects: 3,
        ring_rows_per_turn: 2,
        remote_outbox_messages: 8,
        remote_outbox_bytes: 2_000,
        remote_names: 16,
        remotes: 3,
        answer_age_ms: 5_000,
        ..KernelLimits::default()
    }
}

/// One kernel and everything around it.
struct Storm {
    disk: MemoryDisk,
    /// What the disk held at some moment, to be set back to.
    backup: MemoryEngine,
    node: Node,
    now: u64,
    /// Deliveries not yet answered.
    pending: VecDeque<Effect>,
    tickets: u64,
    answered: BTreeSet<Ticket>,
    vats: Vats,
    peers: Peers,
    trace: bool,
}

impl Storm {
    fn on(engine: MemoryEngine) -> Self {
        let backup = engine.clone();
        let disk = engine.shared();
        let node = open(&disk);
        let mut storm = Self {
            disk,
            backup,
            node,
            now: 1_000_000,
            pending: VecDeque::new(),
            tickets: 0,
            answered: BTreeSet::new(),
            vats: Vats::default(),
            peers: Peers::default(),
            trace: std::env::var_os("STURDY_FUZZ_TRACE").is_some(),
        };
        storm.event(Event::Boot { died_on: None, system_names: Vec::new() });
        storm
    }

    fn play(&mut self, data: &[u8]) {
        let mut tape = Tape::new(&data[..data.len().min(TAPE_BYTES)]);
        while !tape.is_over() {
            self.act(&mut tape);
        }
    }

    fn act(&mut self, tape: &mut Tape<'_>) {
        match tape.below(16) {
            0..=3 => self.answer(tape),
            4 => self.answer_orderly(),
            5..=7 => {
                let request = host::request(self, tape);
                self.ask(request);
            }
            8 => self.commit(),
            9..=11 => self.hear(tape),
            12 => self.connect(tape),
            13 => self.crash(tape),
            14 => self.pass_time(tape),
            _ => {
                let event = host::service_answer(self, tape);
                self.event(event);
            }
        }
    }

    fn event(&mut self, event: Event) {
        if self.trace {
            eprintln!("{event:?}");
        }
        let effects = self.node.handle(self.now, event).unwrap_or_else(|fault| panic!("the node stops: {fault}"));
        for effect in effects {
            assert!(!effect.is_outer(), "{effect:?} leaves before the commit");
            match effect {
                Effect::Deliver { .. } => self.pending.push_back(effect),
                Effect::Stop { vat, run } => self.vats.stopped(vat, run),
                other => panic!("{other:?} is no inner effect"),
            }
        }
    }

    fn ask(&mut self, request: Request) {
        self.tickets += 1;
        self.event(Event::Asked(Ticket(self.tickets), request));
    }

    fn commit(&mut self) {
        let effects = self.node.commit(self.now).unwrap_or_else(|fault| panic!("the node stops: {fault}"));
        for effect in effects {
            if self.trace {
                eprintln!("  {effect:?}");
            }
            match effect {
                Effect::Answer { ticket, .. } => {
                    assert!(self.answered.insert(ticket), "{ticket:?} is answered twice");
                }
                Effect::Transmit { bytes, .. } => check_frame(&bytes),
                Effect::HangUp { connection } => {
                    self.peers.closed(connection);
                    self.event(Event::Disconnected { connection });
                }
                inner @ (Effect::Deliver { .. } | Effect::Stop { .. }) => panic!("{inner:?} is no outer effect"),
                _ => {}
            }
        }
    }

    /// The vat answers as the tape says.
    fn answer(&mut self, tape: &mut Tape<'_>) {
        let Some(Effect::Deliver { vat, run, crank, delivery, .. }) = self.pending.pop_front() else { return };
        self.vats.learn(vat, &delivery);
        let outcome = self.vats.outcome(vat, &delivery, tape);
        self.event(Event::Delivered { vat, run, crank, outcome });
    }

    fn answer_orderly(&mut self) {
        if let Some(Effect::Deliver { vat, run, crank, delivery, .. }) = self.pending.pop_front() {
            self.vats.learn(vat, &delivery);
            let outcome = self.vats.orderly(vat, &delivery);
            self.event(Event::Delivered { vat, run, crank, outcome });
        }
    }

    fn hear(&mut self, tape: &mut Tape<'_>) {
        if let Some(event) = self.peers.say(&self.node, tape) {
            self.event(event);
        }
    }

    fn connect(&mut self, tape: &mut Tape<'_>) {
        for event in self.peers.meet(&self.node, tape) {
            self.event(event);
        }
    }

    fn pass_time(&mut self, tape: &mut Tape<'_>) {
        match tape.below(5) {
            0 => {
                self.now = self.node.deadline().unwrap_or(self.now).max(self.now);
                self.event(Event::Tick);
                self.commit();
            }
            1 => {
                self.now += tape.number(200) * 20;
                self.event(Event::Tick);
            }
            2 => self.event(Event::Idle),
            3 => {
                self.node.tidy_up(self.now).unwrap_or_else(|fault| panic!("the node stops: {fault}"));
            }
            _ => {
                self.commit();
                self.backup = self.disk.snapshot();
            }
        }
    }

    /// The process ends: what is not durable is gone. It may have died of what it did; the disk may be set back.
    fn crash(&mut self, tape: &mut Tape<'_>) {
        let died_on = match tape.below(4) {
            0 | 1 => None,
            2 => self.in_flight(),
            _ => {
                let item = match tape.below(4) {
                    0 => ItemId::Start,
                    1 => ItemId::Gc,
                    2 => ItemId::Reap,
                    _ => ItemId::Inbox(tape.number(20)),
                };
                Some(DeathNote { vat: host::vat(self, tape), item })
            }
        };
        if tape.once_in(6) {
            self.disk.restore(self.backup.clone());
        }
        let system_names = (0..tape.below(3)).map(|number| format!("system{number}")).collect();
        self.pending.clear();
        self.vats = Vats::default();
        self.peers.all_closed();
        self.node = open(&self.disk);
        self.event(Event::Boot { died_on, system_names });
    }

    fn in_flight(&self) -> Option<DeathNote> {
        self.pending.iter().find_map(|effect| match effect {
            Effect::Deliver { vat, item, .. } => Some(DeathNote { vat: *vat, item: *item }),
            _ => None,
        })
    }

    /// Everything that is due is done, and garbage is looked for, until nothing happens any more.
    fn rest(&mut self) {
        for _ in 0..EVENTS_TO_REST {
            if !self.pending.is_empty() {
                self.answer_orderly();
                continue;
            }
            self.commit();
            if self.node.tidy_up(self.now).unwrap_or_else(|fault| panic!("the node stops: {fault}")) {
                continue;
            }
            let before = self.node.stats().cranks;
            self.event(Event::Idle);
            if self.pending.is_empty() && self.node.stats().cranks == before {
                self.commit();
                assert!(self.node.is_quiet(), "nothing is delivered although something is due");
                return;
            }
        }
        panic!("the kernel never comes to rest");
    }
}

fn open(disk: &MemoryDisk) -> Node {
    let incarnation = Incarnation([7; 16]);
    let mut node = Node::open(disk.engine(), incarnation, limits()).expect("what the kernel wrote can be opened");
    node.set_audit_mode(AuditMode::EveryTurn);
    node
}

fn check_frame(bytes: &[u8]) {
    assert!(bytes.len() <= MAX_FRAME_BYTES);
    match decode(bytes) {
        Ok(Packet::Message(envelope)) => {
            if let Err(why) = envelope.body {
                panic!("no peer can process {}: {why}", String::from_utf8_lossy(bytes));
            }
        }
        Ok(_) => {}
        Err(error) => panic!("no peer can read {}: {error}", String::from_utf8_lossy(bytes)),
    }
}

/// A body of a value with these slots.
fn body<R>(slots: Vec<R>, promise: bool) -> CapData<R> {
    let body = match slots.len() {
        0 => "#\"hello\"",
        1 if promise => "#\"&0\"",
        1 => "#\"$0.Alleged: thing\"",
        _ => "#[]",
    };
    CapData { body: body.into(), slots }
}
