//! A road whose kernels are processes: each has a folder with its store and its identity, and they talk over TCP on this
//! host. One of them, or all, can be killed at a step of the script.
//!
//! What always holds: a step is something that a host asks, or a search for garbage; a script that is played again takes
//! the same steps up to the first kill, so that a step of one run can be named in the next ([`Kill`]).

use crate::orders::{self, Order, Rest, Told, read};
use crate::process::{HANG, Process};
use std::collections::BTreeMap;
use std::hint::spin_loop;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use sturdy_daemon::{Answer, Request, StoreView};
use sturdy_sim::patterns::{Code, NativeCode, Road, Trouble, javascript_roles};
use sturdy_types::{CallId, CapData, CodeSpec, KRef, ModuleSource};
use sturdy_vat_js::load_vat_sources;
use tempfile::TempDir;

/// Where kernels listen, at any free port. Connections of others on this host take ports of another address, so that a
/// kernel that begins again finds its port free.
const LISTEN: &str = "/ip4/127.0.0.2/tcp/0";
/// Searches for garbage after which it must be gone.
const REAPS: u32 = 200;

/// What the vats are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    JavaScript,
}

/// When processes are killed, as seen from a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So many microseconds after it was asked for.
    During(u64),
    /// After it.
    After,
}

/// Processes that are killed with SIGKILL, and started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    pub step: u64,
    pub victims: Vec<usize>,
    pub moment: Moment,
}

struct Kernel {
    home: TempDir,
    /// Where it listens, from its first start on.
    address: String,
    peer: String,
    process: Option<Process>,
    /// Processes that took over from one that was killed, and the first.
    number: u32,
}

pub struct ProcessRoad {
    /// The test of this program that serves as a kernel.
    test: &'static str,
    language: Language,
    kernels: Vec<Kernel>,
    kill: Option<Kill>,
    steps: u64,
    /// Steps before anything was counted for the first time: the launch of the vats.
    launch: Option<u64>,
    outcomes: BTreeMap<(usize, CallId), (bool, CapData<KRef>)>,
    /// What recounts have found.
    problems: Vec<String>,
    /// What was counted and not asked for yet.
    counted: BTreeMap<usize, BTreeMap<&'static str, u64>>,
}

impl ProcessRoad {
    pub fn new(test: &'static str, kernels: usize, language: Language, kill: Option<Kill>) -> Result<Self, Trouble> {
        let kernel = |_| Kernel {
            home: tempfile::tempdir().expect("a folder"),
            address: LISTEN.into(),
            peer: String::new(),
            process: None,
            number: 1,
        };
        let kernels = (0..kernels).map(kernel).collect();
        let (steps, launch, outcomes, problems, counted) = Default::default();
        let mut road = Self { test, language, kernels, kill, steps, launch, outcomes, problems, counted };
        road.begin()?;
        let all: Vec<_> = road.kernels.iter().map(|kernel| (kernel.peer.clone(), kernel.address.clone())).collect();
        for number in 0..road.kernels.len() {
            for (peer, address) in all.iter().filter(|(peer, _)| *peer != all[number].0) {
                let meet = Order::Meet { peer: peer.clone(), address: address.clone() };
                road.process_of(number).ask(&meet)?;
            }
        }
        Ok(road)
    }

    /// How many steps were made, and how many of them belong to the launch of the vats.
    pub fn steps(&self) -> (u64, u64) {
        (self.steps, self.launch.unwrap_or(self.steps))
    }

    /// Whether everybody was killed who was to be.
    pub fn has_killed(&self) -> bool {
        self.kill.is_none()
    }

    /// Starts what does not run.
    fn begin(&mut self) -> Result<(), Trouble> {
        let idle = self.kernels.iter_mut().filter(|kernel| kernel.process.is_none());
        let mut begun: Vec<&mut Kernel> = idle.collect();
        for kernel in &mut begun {
            kernel.process = Some(Process::start(self.test, kernel.home.path(), &kernel.address));
        }
        for kernel in begun {
            let process = kernel.process.as_mut().expect("it was started");
            match process.answer()? {
                Told::Ready { peer, address } => (kernel.peer, kernel.address) = (peer, address),
                other => return Err(Trouble::Broken(format!("a process begins with {other:?}"))),
            }
        }
        Ok(())
    }

    fn process_of(&mut self, kernel: usize) -> &mut Process {
        self.kernels[kernel].process.as_mut().expect("it runs")
    }

    /// A step begins. What is to be done at it, if anything.
    fn step(&mut self) -> Result<Option<Kill>, Trouble> {
        self.begin()?;
        self.steps += 1;
        let step = self.steps;
        Ok(self.kill.take_if(|kill| kill.step == step))
    }

    /// The victims end, all at once, and others begin in their places.
    fn strike(&mut self, victims: &[usize]) -> Result<BTreeMap<usize, Process>, Trouble> {
        let mut killed = BTreeMap::new();
        for victim in victims {
            let mut process = self.kernels[*victim].process.take().expect("it runs");
            process.kill();
            self.kernels[*victim].number += 1;
            killed.insert(*victim, process);
        }
        self.begin()?;
        Ok(killed)
    }

    fn strike_during(&mut self, kill: Option<&Kill>) -> Result<BTreeMap<usize, Process>, Trouble> {
        let Some(Kill { victims, moment: Moment::During(micros), .. }) = kill else { return Ok(BTreeMap::new()) };
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(*micros) {
            spin_loop();
        }
        self.strike(victims)
    }

    fn strike_after(&mut self, kill: Option<&Kill>) -> Result<(), Trouble> {
        if let Some(Kill { victims, moment: Moment::After, .. }) = kill {
            drop(self.strike(victims)?);
            self.rest()?;
        }
        Ok(())
    }

    /// A result that was heard before must be the same.
    fn hear(&mut self, kernel: usize, outcome: &orders::Outcome) -> Result<(), Trouble> {
        let (call, value) = (read(&outcome.call), outcome.value());
        match self.outcomes.insert((kernel, call), value.clone()) {
            Some(before) if before != value => {
                Err(Trouble::Broken(format!("{call} was settled with {before:?}, and then with {value:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Everything that is there to be seen of what goes on.
    fn look(&mut self) -> Result<Vec<Rest>, Trouble> {
        let mut all = Vec::new();
        for kernel in 0..self.kernels.len() {
            match self.process_of(kernel).ask(&Order::Rest)? {
                Told::Resting(mut rest) => {
                    for outcome in std::mem::take(&mut rest.settled) {
                        self.hear(kernel, &outcome)?;
                    }
                    all.push(rest);
                }
                other => return Err(Trouble::Broken(format!("whether it rests is answered with {other:?}"))),
            }
        }
        Ok(all)
    }

    /// Until nobody works and everything sent was acknowledged.
    fn rest(&mut self) -> Result<Vec<Rest>, Trouble> {
        let (began, mut before) = (Instant::now(), Vec::new());
        while began.elapsed() < HANG {
            let now = self.look()?;
            let pending = now.iter().any(|rest| rest.pending > 0);
            if !pending && now == before {
                return Ok(now);
            }
            before = now;
            // No event tells that nothing happens any more.
            thread::sleep(Duration::from_millis(1));
        }
        Err(Trouble::Broken(format!("they do not come to rest: {before:?}")))
    }

    /// All processes end, and their stores are looked into and recounted.
    fn count_all(&mut self) -> Result<(), Trouble> {
        self.launch.get_or_insert(self.steps);
        for (number, kernel) in self.kernels.iter_mut().enumerate() {
            if let Some(process) = kernel.process.take() {
                process.end()?;
            }
            let view = StoreView::open_verified(kernel.home.path()).expect("the store is sound");
            let problems = view.audit().expect("the rows can be read");
            self.problems.extend(problems.into_iter().map(|what| format!("kernel {number}: {what}")));
            let census = view.census().expect("the rows can be counted");
            self.counted.insert(number, census.into_iter().map(|(table, size)| (table, size.rows)).collect());
        }
        Ok(())
    }
}

impl Road for ProcessRoad {
    fn kernels(&self) -> usize {
        self.kernels.len()
    }

    fn peer(&self, kernel: usize) -> String {
        self.kernels[kernel].peer.clone()
    }

    fn ask(&mut self, kernel: usize, request: Request) -> Result<Answer, Trouble> {
        let order = orders::order(request)?;
        let kill = self.step()?;
        self.process_of(kernel).say(&order);
        let told = match self.strike_during(kill.as_ref())?.remove(&kernel) {
            None => Some(self.process_of(kernel).answer()?),
            Some(mut killed) => killed.hear()?,
        };
        if let Some(Told::Redeemed(outcome)) = &told {
            self.hear(kernel, outcome)?;
        }
        self.rest()?;
        self.strike_after(kill.as_ref())?;
        orders::answer(told.ok_or(Trouble::Ended)?)
    }

    fn outcome(&self, kernel: usize, call: CallId) -> Option<(bool, CapData<KRef>)> {
        self.outcomes.get(&(kernel, call)).cloned()
    }

    /// Processes that end to be counted do so between scripts, when they hold nothing that could be lost.
    fn process(&self, kernel: usize) -> u32 {
        self.kernels[kernel].number
    }

    fn losses(&self, _kernel: usize) -> u32 {
        0
    }

    fn collect(&mut self) -> Result<(), Trouble> {
        let kill = self.step()?;
        let mut before = self.rest()?;
        for reap in 0..REAPS {
            for kernel in 0..self.kernels.len() {
                self.process_of(kernel).ask(&Order::Reap)?;
            }
            if reap == 0 {
                drop(self.strike_during(kill.as_ref())?);
            }
            let now = self.rest()?;
            // Each vat was asked, and nothing followed from it.
            let nothing = |(before, now): (&Rest, &Rest)| {
                now.cranks == before.cranks + now.vats && now.received == before.received
            };
            if before.iter().zip(&now).all(nothing) {
                return self.strike_after(kill.as_ref());
            }
            before = now;
        }
        Err(Trouble::Broken("there is always more garbage".into()))
    }

    fn census(&mut self, kernel: usize) -> BTreeMap<&'static str, u64> {
        if !self.counted.contains_key(&kernel) {
            self.count_all().expect("all end well");
        }
        self.counted.remove(&kernel).expect("all were counted")
    }

    fn audit(&self, kernel: usize) -> Vec<String> {
        let mine = format!("kernel {kernel}: ");
        self.problems.iter().filter(|problem| problem.starts_with(&mine)).cloned().collect()
    }

    fn code(&self, role: &str) -> (CodeSpec, Vec<ModuleSource>) {
        match self.language {
            Language::Rust => NativeCode.of(role),
            Language::JavaScript => program_of(role),
        }
    }
}

fn program_of(role: &str) -> (CodeSpec, Vec<ModuleSource>) {
    javascript_roles(|file: &Path| load_vat_sources(file).expect("a vat that loads"))[role].clone()
}
