//! A road of machines in memory, in virtual time, on which nothing goes wrong but the one crash that was ordered.
//!
//! What always holds: the same road, played the same way, makes the same commits; so a commit of one run can be named in
//! the next ([`CrashPoint`]). Faults by chance are the world's business, not the road's.

use super::road::{Code, Outcome, Road, Trouble};
use crate::heaps::{MakeHeap, Programs};
use crate::machine::{Machine, peer};
use crate::network::Network;
use crate::seen::BeginsWith;
use std::collections::BTreeMap;
use std::rc::Rc;
use sturdy_kernel::{Answer, Effect, Event, Fault, Refused, Request, Ticket};
use sturdy_node::Node;
use sturdy_remote::Side;
use sturdy_types::{CallId, CodeSpec, ConnectionId, KernelLimits, Millis, ModuleSource};

/// Rounds after which a road that does not come to rest is broken.
const ROUNDS: u32 = 20_000;
/// Rounds after which garbage must be gone.
const REAPS: u32 = 200;

/// When a group ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupsEnd {
    /// After every event: as many commits as there can be.
    AfterEveryEvent,
    /// When a kernel has nothing else to do.
    WhenQuiet,
}

/// On which side of its commit a crash happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The group is lost.
    Before,
    /// The group is durable, but nothing that it lets out leaves.
    After,
    /// As `After`, and the store is lost with the process.
    StoreLost,
}

/// One crash: of which kernel, at which of its commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPoint {
    /// The kernel.
    pub kernel: usize,
    /// The commit's number.
    pub commit: u64,
    /// On which side of it.
    pub when: When,
}

/// Machines and the lines between them.
pub struct SimRoad {
    now: Millis,
    machines: Vec<Machine>,
    network: Network,
    code: Rc<dyn Code>,
    groups: GroupsEnd,
    crash: Option<CrashPoint>,
    tickets: u64,
    answers: BTreeMap<(usize, Ticket), Result<Answer, Refused>>,
    outcomes: BTreeMap<(usize, CallId), Outcome>,
    losses: Vec<u32>,
    /// The first thing that must never happen.
    broken: Option<String>,
    carried: u64,
    worked: u64,
}

impl SimRoad {
    /// Kernels with empty stores, booted.
    pub fn new(
        kernels: usize,
        code: &Rc<dyn Code>,
        groups: GroupsEnd,
        crash: Option<CrashPoint>,
    ) -> Result<Self, Trouble> {
        let machine = |number| {
            let maker: Rc<dyn MakeHeap> = Rc::new(Programs::new(code.runtime()));
            Machine::new(number, KernelLimits::default(), maker)
        };
        let mut road = Self {
            now: 1_000_000,
            machines: (0..kernels).map(machine).collect(),
            network: Network::default(),
            code: Rc::clone(code),
            groups,
            crash,
            tickets: 0,
            answers: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            losses: vec![0; kernels],
            broken: None,
            carried: 0,
            worked: 0,
        };
        for kernel in 0..kernels {
            road.begin(kernel, BeginsWith::ItsStore)?;
        }
        road.rest()?;
        Ok(road)
    }

    /// How many commits each kernel has made.
    pub fn commits(&self) -> Vec<u64> {
        self.machines.iter().map(Machine::commits).collect()
    }

    /// True once the crash that was ordered has happened.
    pub fn has_crashed(&self) -> bool {
        self.crash.is_none()
    }

    /// How many frames have gone from kernel to kernel.
    pub fn frames(&self) -> u64 {
        self.carried
    }

    fn begin(&mut self, kernel: usize, with: BeginsWith) -> Result<(), Trouble> {
        let begun = self.machines[kernel].begin(self.now, with, None);
        self.after(kernel, begun)
    }

    fn event(&mut self, kernel: usize, event: Event) -> Result<(), Trouble> {
        let handled = self.machines[kernel].event(self.now, event);
        self.after(kernel, handled)
    }

    /// What follows every event.
    fn after(&mut self, kernel: usize, handled: Result<(), Fault>) -> Result<(), Trouble> {
        drop(self.machines[kernel].take_seen());
        handled.map_err(|fault| Trouble::Broken(format!("kernel {kernel} stopped: {fault}")))?;
        if self.groups == GroupsEnd::AfterEveryEvent { self.commit(kernel) } else { Ok(()) }
    }

    fn commit(&mut self, kernel: usize) -> Result<(), Trouble> {
        let open = self.machines[kernel].node().map_or(0, Node::uncommitted_turns);
        let next = self.machines[kernel].commits() + 1;
        let crash = self.crash.filter(|crash| open > 0 && (crash.kernel, crash.commit) == (kernel, next));
        if let Some(crash) = crash {
            self.crash = None;
            if crash.when != When::Before {
                self.make_durable(kernel)?;
            }
            let with = if crash.when == When::StoreLost { BeginsWith::NoStore } else { BeginsWith::ItsStore };
            return self.restart(kernel, with);
        }
        for effect in self.make_durable(kernel)? {
            self.carry_out(kernel, effect)?;
        }
        Ok(())
    }

    fn make_durable(&mut self, kernel: usize) -> Result<Vec<Effect>, Trouble> {
        let committed = self.machines[kernel].commit(self.now);
        drop(self.machines[kernel].take_seen());
        committed.map_err(|fault| Trouble::Broken(format!("kernel {kernel} stopped: {fault}")))
    }

    /// The process of a kernel ends, and a new one begins.
    fn restart(&mut self, kernel: usize, with: BeginsWith) -> Result<(), Trouble> {
        self.machines[kernel].end();
        self.answers.retain(|(of, _), _| *of != kernel);
        if with == BeginsWith::NoStore {
            self.losses[kernel] += 1;
            self.outcomes.retain(|(of, _), _| *of != kernel);
        }
        let others = self.network.ended(kernel);
        self.begin(kernel, with)?;
        others.into_iter().try_for_each(|(other, connection)| self.event(other, Event::Disconnected { connection }))
    }

    fn carry_out(&mut self, kernel: usize, effect: Effect) -> Result<(), Trouble> {
        match effect {
            Effect::Answer { ticket, answer } => {
                self.answers.insert((kernel, ticket), answer);
            }
            Effect::Settled { call, rejected, value } => self.hear(kernel, call, (rejected, value)),
            Effect::Connect { peer: wanted, .. } => {
                let to = (0..self.machines.len()).find(|to| peer(*to) == wanted);
                if let Some(to) = to {
                    self.network.wish(kernel, to);
                }
            }
            Effect::Transmit { connection, bytes } => self.network.send(kernel, connection, bytes),
            Effect::HangUp { connection } => {
                for end in self.network.close(connection).into_iter().flatten().filter(|end| *end != kernel) {
                    self.event(end, Event::Disconnected { connection })?;
                }
            }
            Effect::CallService { .. } | Effect::Notice(_) | Effect::Deliver { .. } | Effect::Stop { .. } => {}
        }
        Ok(())
    }

    /// A result that was heard before must be the same.
    fn hear(&mut self, kernel: usize, call: CallId, outcome: Outcome) {
        if let Some(before) = self.outcomes.get(&(kernel, call))
            && *before != outcome
        {
            let what = format!("kernel {kernel}: {call} was settled with {before:?}, and then with {outcome:?}");
            self.broken.get_or_insert(what);
        }
        self.outcomes.insert((kernel, call), outcome);
    }

    /// Until nothing is due, nothing is on its way and nobody waits for time to pass.
    fn rest(&mut self) -> Result<(), Trouble> {
        for _ in 0..ROUNDS {
            let busy = self.work()? | self.dial()? | self.carry()?;
            if let Some(broken) = &self.broken {
                return Err(Trouble::Broken(broken.clone()));
            }
            if busy {
                continue;
            }
            let Some(at) = self.machines.iter().filter_map(Machine::deadline).min() else { return Ok(()) };
            self.now = self.now.max(at);
            for kernel in 0..self.machines.len() {
                if self.machines[kernel].deadline().is_some_and(|at| at <= self.now) {
                    self.event(kernel, Event::Tick)?;
                    self.commit(kernel)?;
                }
            }
        }
        Err(Trouble::Broken("the road does not come to rest".into()))
    }

    fn work(&mut self) -> Result<bool, Trouble> {
        let mut busy = false;
        for kernel in 0..self.machines.len() {
            while self.machines[kernel].pending() > 0 {
                busy = true;
                self.worked += 1;
                let worked = self.machines[kernel].step(self.now);
                self.after(kernel, worked.map(drop))?;
            }
            self.commit(kernel)?;
        }
        Ok(busy)
    }

    fn dial(&mut self) -> Result<bool, Trouble> {
        let wishes = self.network.wishes(self.now);
        for (from, to) in &wishes {
            let connection = self.network.open(*from, *to);
            for (kernel, other, side) in [(*to, *from, Side::Listener), (*from, *to, Side::Dialler)] {
                if self.network.ends(connection).is_some() {
                    self.event(kernel, Event::Connected { connection, peer: peer(other), side })?;
                }
            }
        }
        Ok(!wishes.is_empty())
    }

    /// The next frame of every line.
    fn carry(&mut self) -> Result<bool, Trouble> {
        let ways: Vec<(ConnectionId, usize)> = self.network.ways(self.now);
        for way in &ways {
            if let Some((to, frame)) = self.network.take(*way) {
                self.carried += 1;
                self.event(to, Event::Received { connection: way.0, frame })?;
            }
        }
        Ok(!ways.is_empty())
    }
}

impl Road for SimRoad {
    fn kernels(&self) -> usize {
        self.machines.len()
    }

    fn peer(&self, kernel: usize) -> String {
        peer(kernel)
    }

    fn ask(&mut self, kernel: usize, request: Request) -> Result<Answer, Trouble> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let process = self.process(kernel);
        let what = format!("{request:?}");
        self.event(kernel, Event::Asked(ticket, request))?;
        self.rest()?;
        match self.answers.remove(&(kernel, ticket)) {
            Some(answer) => answer.map_err(Trouble::Refused),
            None if self.process(kernel) > process => Err(Trouble::Ended),
            None => Err(Trouble::Broken(format!("kernel {kernel} never answers {what}"))),
        }
    }

    fn outcome(&self, kernel: usize, call: CallId) -> Option<Outcome> {
        self.outcomes.get(&(kernel, call)).cloned()
    }

    fn process(&self, kernel: usize) -> u32 {
        self.machines[kernel].process().boot
    }

    fn losses(&self, kernel: usize) -> u32 {
        self.losses[kernel]
    }

    fn collect(&mut self) -> Result<(), Trouble> {
        for _ in 0..REAPS {
            let before = (self.worked, self.carried);
            for kernel in 0..self.machines.len() {
                self.event(kernel, Event::Idle)?;
                self.rest()?;
                while matches!(self.machines[kernel].tidy_up(self.now), Ok(true)) {}
                self.commit(kernel)?;
            }
            self.rest()?;
            if before == (self.worked, self.carried) {
                return Ok(());
            }
        }
        Err(Trouble::Broken("there is always more garbage".into()))
    }

    fn census(&mut self, kernel: usize) -> BTreeMap<&'static str, u64> {
        let census = self.machines[kernel].node().and_then(|node| node.store().census().ok()).unwrap_or_default();
        census.into_iter().map(|(table, size)| (table, size.rows)).collect()
    }

    fn audit(&self, kernel: usize) -> Vec<String> {
        self.machines[kernel].audit()
    }

    fn code(&self, role: &str) -> (CodeSpec, Vec<ModuleSource>) {
        self.code.of(role)
    }
}
