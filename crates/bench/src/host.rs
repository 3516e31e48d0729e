//! A host in one thread: carries deliveries to heaps and answers back, and ends groups as it is told. What the daemon
//! does, without its loop.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use sturdy_kernel::{Answer, Effect, Event, LaunchRequest, Request, Ticket};
use sturdy_node::Node;
use sturdy_store::{ClistByVref, Engine, Read, Vats};
use sturdy_types::{
    CallId, CapData, ClusterConfig, Delivery, Incarnation, KRef, KernelLimits, ModuleSource, Outcome, RunId,
    SourceHash, VRef, VatConfig, VatId, VatLimits,
};
use sturdy_vat::{Runtime, SourceReader, StateReader, StateUnreadable, Vat};

const NOW: u64 = 1_700_000_000_000;

pub struct Host {
    pub node: Node,
    runtime: Box<dyn Runtime>,
    heaps: BTreeMap<VatId, (RunId, Box<dyn Vat>)>,
    due: VecDeque<Effect>,
    tickets: u64,
    /// Turns after which a group ends while there is more to do.
    pub turns_per_group: usize,
    /// Calls that ended, not yet acknowledged.
    pub settled: Vec<CallId>,
    /// How many calls ended well.
    pub fulfilled: u64,
    launched: usize,
}

struct Reader<'n>(&'n Node, VatId);

impl StateReader for Reader<'_> {
    fn get(&self, key: &str) -> Result<Option<String>, StateUnreadable> {
        self.0.vat_state(self.1, key).map_err(|fault| StateUnreadable(fault.to_string()))
    }

    fn next(&self, after: &str, prefix: &str) -> Result<Option<(String, String)>, StateUnreadable> {
        let found = self.0.vat_state_next(self.1, Bound::Excluded(after), prefix);
        found.map_err(|fault| StateUnreadable(fault.to_string()))
    }
}

impl SourceReader for Reader<'_> {
    fn source(&self, hash: &SourceHash) -> Result<Option<String>, StateUnreadable> {
        self.0.source(hash).map_err(|fault| StateUnreadable(fault.to_string()))
    }
}

impl Host {
    /// Opens and boots a kernel.
    pub fn open(engine: Box<dyn Engine>, runtime: Box<dyn Runtime>) -> Self {
        let node = Node::open(engine, Incarnation([7; 16]), KernelLimits::default()).expect("the store opens");
        let mut host = Self {
            node,
            runtime,
            heaps: BTreeMap::new(),
            due: VecDeque::new(),
            tickets: 0,
            turns_per_group: 1_000,
            settled: Vec::new(),
            fulfilled: 0,
            launched: 0,
        };
        host.event(Event::Boot { died_on: None, system_names: Vec::new() });
        host
    }

    pub fn event(&mut self, event: Event) {
        let effects = self.node.handle(NOW, event).expect("the node goes on");
        self.due.extend(effects);
    }

    pub fn ask(&mut self, request: Request) {
        self.tickets += 1;
        self.event(Event::Asked(Ticket(self.tickets), request));
    }

    /// Sends a message to a root, and does not wait.
    pub fn call(&mut self, target: KRef, method: &str, args: &str, slots: Vec<KRef>) {
        let methargs = CapData { body: format!("#[\"{method}\",{args}]"), slots };
        self.ask(Request::Call { target, methargs, request: None });
    }

    /// One inner effect. False when none is due.
    pub fn step(&mut self) -> bool {
        match self.due.pop_front() {
            None => return false,
            Some(Effect::Deliver { vat, run, crank, delivery, .. }) => {
                let outcome = self.deliver(vat, run, &delivery);
                self.event(Event::Delivered { vat, run, crank, outcome });
            }
            Some(_) => {} // a heap to stop: the next start replaces it
        }
        true
    }

    fn deliver(&mut self, vat: VatId, run: RunId, delivery: &Delivery) -> Outcome {
        let reader = Reader(&self.node, vat);
        if let Delivery::Start(spec) = delivery {
            let started = self.runtime.start(vat, spec, &VatLimits::default(), &reader, &reader);
            let started = started.expect("the state is readable");
            if let Some(heap) = started.vat {
                self.heaps.insert(vat, (run, heap));
            }
            return started.outcome;
        }
        let (_, heap) = self.heaps.get_mut(&vat).expect("it has started");
        heap.deliver(delivery, &reader).expect("the state is readable")
    }

    pub fn commit(&mut self) {
        for effect in self.node.commit(NOW).expect("the disk is fine") {
            match effect {
                Effect::Settled { call, rejected, value } => {
                    assert!(!rejected, "{}", value.body);
                    self.fulfilled += 1;
                    self.settled.push(call);
                }
                Effect::Answer { answer: Ok(Answer::Launched { .. }), .. } => self.launched += 1,
                Effect::Answer { answer: Err(refused), .. } => panic!("{refused}"),
                _ => {}
            }
        }
    }

    /// Works until nothing is due, in groups.
    pub fn run(&mut self) {
        while self.step() {
            if self.node.uncommitted_turns() >= self.turns_per_group {
                self.commit();
            }
        }
        self.commit();
    }

    /// Forgets the calls whose answers were seen, with the next group.
    pub fn acknowledge(&mut self) {
        for call in std::mem::take(&mut self.settled) {
            self.ask(Request::Acknowledge(call));
        }
    }

    /// Launches vats and gives their roots, in order.
    pub fn launch(&mut self, vats: Vec<(String, VatConfig)>, sources: Vec<ModuleSource>) -> Vec<KRef> {
        let names: Vec<String> = vats.iter().map(|(name, _)| name.clone()).collect();
        let config = ClusterConfig { bootstrap: names[0].clone(), vats, services: Vec::new() };
        let request = LaunchRequest { config, sources, system_name: None, label: None };
        let before = self.launched;
        self.ask(Request::Launch(Box::new(request)));
        self.run();
        assert_eq!(self.launched, before + 1, "the launch succeeds");
        self.roots(&names)
    }

    /// The roots of running vats, in order of the names.
    pub fn roots(&self, names: &[String]) -> Vec<KRef> {
        let store = self.node.store();
        let vats = store.scan::<Vats>(&(), None, usize::MAX).expect("the store reads");
        let root = |name: &String| {
            let (vat, _) = vats.iter().rev().find(|(_, record)| record.name == *name).expect("it was launched");
            store.get::<ClistByVref>(&(*vat, VRef::ROOT)).expect("the store reads").expect("it has a root")
        };
        names.iter().map(root).collect()
    }
}
