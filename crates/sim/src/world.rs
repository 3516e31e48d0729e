//! The world: machines, hosts, the network, time, and the checkers that watch them.
//!
//! What always holds: everything follows from the plan; time is virtual; a violated promise ends the run with an error,
//! never a panic of the world. What may happen next is chosen in `steps`, faults are in `faults`, the end of a run in
//! `healing`.

mod faults;
mod healing;
mod liars;
mod operators;
mod steps;

use crate::actor::Knobs;
use crate::checkers::{self, Checker, Violation};
use crate::dice::Dice;
use crate::heaps::{Actors, MakeHeap};
use crate::host::{Host, Url};
use crate::liar::Liar;
use crate::machine::{Machine, peer};
use crate::network::Network;
use crate::plan::{Fault, Plan};
use crate::seen::{BeginsWith, KernelNo, Seen};
use crate::trace::{Trace, TraceTo};
use std::rc::Rc;
use sturdy_kernel::{DeathNote, Effect, Event, Notice, Request, Ticket};
use sturdy_remote::Side;
use sturdy_types::{ConnectionId, Millis};

/// How a step of the world ends: with a broken promise or not.
pub type Step = Result<(), Violation>;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls of `handle`.
    pub events: u64,
    /// Cranks merged.
    pub cranks: u64,
    /// Commits.
    pub commits: u64,
    /// Messages between kernels that were put on the wire.
    pub frames: u64,
    /// Processes that ended.
    pub deaths: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Frames that liars put on the wire.
    pub lies: u64,
    /// What kernels found in messages that an honest peer would not say.
    pub offences: u64,
    /// How often a peer was not listened to for a while, because it had offended too often.
    pub refusals: u64,
    /// Audits made.
    pub audits: u64,
    /// Virtual time that passed, in milliseconds.
    pub time_ms: u64,
    /// Runs at whose end nothing was excused by the checker that looks for what is left over.
    pub all_garbage: u64,
    /// Runs that ended before the checks at rest, because a ring of promises unfolded (see `world/healing`).
    pub unfolded: u64,
    /// Lines of the trace and their digest.
    pub trace: (u64, String),
}

impl Report {
    /// Adds what another run came to; its trace is left out.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.cranks += other.cranks;
        self.commits += other.commits;
        self.frames += other.frames;
        self.deaths += other.deaths;
        self.faults += other.faults;
        self.lies += other.lies;
        self.offences += other.offences;
        self.refusals += other.refusals;
        self.audits += other.audits;
        self.time_ms += other.time_ms;
        self.all_garbage += other.all_garbage;
        self.unfolded += other.unfolded;
    }
}

/// Everything there is.
pub struct World {
    plan: Plan,
    now: Millis,
    /// The step under way: the stream of its dice.
    step: u64,
    dice: Dice,
    machines: Vec<Machine>,
    hosts: Vec<Host>,
    /// Their ends of the network have the numbers after those of the kernels.
    liars: Vec<Liar>,
    network: Network,
    knobs: Rc<Knobs>,
    urls: Vec<Url>,
    /// Lines that are gone, and who has not noticed.
    half_closed: Vec<(KernelNo, ConnectionId)>,
    checkers: Vec<Box<dyn Checker>>,
    trace: Trace,
    report: Report,
    healing: bool,
    /// Messages and redemptions that were carried, in whole frames.
    calls_carried: u64,
    /// Long outages so far.
    outages: u8,
    /// See `healing`: a ring of promises over several kernels unfolds for ever.
    unfolds: bool,
}

/// Whether a frame asks for something, as far as it is whole.
fn calls(frame: &[u8]) -> bool {
    let text = String::from_utf8_lossy(frame);
    text.contains("\"params\":[\"message\"") || text.contains("\"method\":\"redeemURL\"")
}

impl World {
    /// A world with machines that are switched off.
    pub fn new(plan: Plan, to: TraceTo) -> Self {
        let knobs = Rc::new(Knobs::default());
        knobs.fails.set(plan.rate(Fault::VatFails));
        knobs.illegal.set(plan.rate(Fault::VatIllegal));
        knobs.exits.set(plan.rate(Fault::VatExits));
        knobs.rings.set(plan.rings);
        let actors: Rc<dyn MakeHeap> = Rc::new(Actors::new(plan.seed, &knobs));
        let machines =
            (0..plan.kernels).map(|number| Machine::new(number, plan.limits.clone(), Rc::clone(&actors))).collect();
        Self {
            now: 1_000_000,
            step: 0,
            dice: Dice::new(plan.seed, 0),
            machines,
            hosts: (0..plan.kernels).map(|number| Host::new(number, plan.seed)).collect(),
            liars: liars::all(&plan),
            network: Network::default(),
            knobs,
            urls: Vec::new(),
            half_closed: Vec::new(),
            checkers: checkers::all(&plan),
            trace: Trace::new(to),
            report: Report::default(),
            healing: false,
            calls_carried: 0,
            outages: 0,
            unfolds: false,
            plan,
        }
    }

    /// The whole run: it begins, goes on under faults, heals, comes to rest, and lets go of everything.
    pub fn run(&mut self) -> Result<Report, Violation> {
        self.trace.note(self.now, &format!("{:?}", self.plan));
        self.knobs.quiet.set(true);
        for kernel in 0..self.plan.kernels {
            self.begin(kernel, BeginsWith::ItsStore, None)?;
            self.launch(kernel)?;
        }
        self.introduce_all()?;
        self.introduce_liars();
        self.knobs.quiet.set(false);
        for step in 1..=self.plan.steps {
            if !self.plan.skipped.contains(&step) {
                self.begin_step(step);
                self.take_step()?;
            }
        }
        self.heal()?;
        self.report.trace = self.trace.digest();
        self.report.time_ms = self.now - 1_000_000;
        Ok(self.report.clone())
    }

    /// Every kernel's host gets a few objects of every other kernel, before anything goes wrong.
    fn introduce_all(&mut self) -> Step {
        self.settle()?;
        for kernel in 0..self.machines.len() {
            let status = self.hosts[kernel].ask_status();
            self.ask(kernel, status)?;
            self.settle()?;
            let boot = self.machines[kernel].process().boot;
            let issue = self.hosts[kernel].issue(&mut self.dice, peer(kernel), boot);
            issue.map_or(Ok(()), |issue| self.ask(kernel, issue))?;
        }
        self.settle()?;
        for url in self.urls.clone() {
            for kernel in (0..self.machines.len()).filter(|kernel| *kernel != url.issuer) {
                self.redeem(kernel, &url)?;
            }
        }
        self.settle()
    }

    /// A host redeems a text, of a peer that it may not know yet.
    fn redeem(&mut self, kernel: KernelNo, url: &Url) -> Step {
        let boot = self.machines[kernel].process().boot;
        let redeem = self.hosts[kernel].redeem(url, peer(kernel), boot);
        self.ask(kernel, redeem)
    }

    /// The step under way.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The last lines of the trace.
    pub fn last_lines(&self) -> Vec<String> {
        self.trace.last().map(str::to_owned).collect()
    }

    fn begin_step(&mut self, step: u64) {
        self.step = step;
        self.dice = Dice::new(self.plan.seed, step);
    }

    fn violation(&self, checker: &'static str, what: impl Into<String>) -> Violation {
        Violation { checker, what: format!("step {}: {}", self.step, what.into()) }
    }

    /// Shows the checkers what a machine has seen.
    fn show(&mut self, kernel: KernelNo) -> Step {
        for seen in self.machines[kernel].take_seen() {
            self.trace.seen(self.now, kernel, &seen);
            match &seen {
                Seen::Event(_) => self.report.events += 1,
                Seen::Crank { .. } => self.report.cranks += 1,
                Seen::Committed(_) => self.report.commits += 1,
                Seen::Ended => self.report.deaths += 1,
                Seen::Outer(Effect::Transmit { .. }) => self.report.frames += 1,
                Seen::Outer(Effect::Notice(Notice::PeerOffended { why, .. })) => {
                    self.report.offences += 1;
                    self.report.refusals += u64::from(why.contains("not listened to"));
                }
                _ => {}
            }
            let step = self.step;
            for checker in &mut self.checkers {
                let said = checker.see(kernel, &seen, &self.machines);
                said.map_err(|what| Violation { checker: checker.name(), what: format!("step {step}: {what}") })?;
            }
        }
        if self.report.events.is_multiple_of(self.plan.audit_every as u64) {
            self.audit(kernel)?;
        }
        Ok(())
    }

    fn audit(&mut self, kernel: KernelNo) -> Step {
        self.report.audits += 1;
        match self.machines[kernel].audit().as_slice() {
            [] => Ok(()),
            problems => Err(self.violation("audit", format!("kernel {kernel}: {}", problems.join("; ")))),
        }
    }

    /// One event. A node that stops, on a disk that was not made to fail, is a violation.
    fn event(&mut self, kernel: KernelNo, event: Event) -> Step {
        if let Some(liar) = kernel.checked_sub(self.machines.len()) {
            return self.liar_event(liar, event);
        }
        let handled = self.machines[kernel].event(self.now, event);
        self.show(kernel)?;
        self.after(kernel, handled.map(drop))
    }

    /// A node that has stopped is of no use: its process ends, and a new one begins.
    fn after(&mut self, kernel: KernelNo, result: Result<(), sturdy_kernel::Fault>) -> Step {
        let Err(fault) = result else { return Ok(()) };
        if !self.machines[kernel].disk_fails() {
            return Err(self.violation("node", format!("kernel {kernel} stopped: {fault}")));
        }
        self.restart(kernel, BeginsWith::ItsStore, None)
    }

    fn ask(&mut self, kernel: KernelNo, (ticket, request): (Ticket, Request)) -> Step {
        self.event(kernel, Event::Asked(ticket, request))
    }

    /// The vats of a new store.
    fn launch(&mut self, kernel: KernelNo) -> Step {
        self.provide_services(kernel)?;
        let launch = self.hosts[kernel].launch(self.plan.vats);
        self.ask(kernel, launch)
    }

    /// One inner effect.
    fn work(&mut self, kernel: KernelNo) -> Result<bool, Violation> {
        let worked = self.machines[kernel].step(self.now);
        self.show(kernel)?;
        match worked {
            Ok(any) => Ok(any),
            Err(fault) => self.after(kernel, Err(fault)).map(|()| false),
        }
    }

    /// A commit, and everything that it lets out; only the first `leave` effects do leave.
    fn commit(&mut self, kernel: KernelNo, leave: usize) -> Step {
        let committed = self.machines[kernel].commit(self.now);
        self.show(kernel)?;
        let effects = match committed {
            Ok(effects) => effects,
            Err(fault) => return self.after(kernel, Err(fault)),
        };
        for effect in effects.into_iter().take(leave) {
            self.carry_out(kernel, effect)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, kernel: KernelNo, effect: Effect) -> Step {
        match effect {
            Effect::Answer { ticket, answer } => {
                let commit = self.machines[kernel].commits();
                self.urls.extend(self.hosts[kernel].answered(ticket, &answer, commit));
            }
            Effect::Settled { call, value, .. } => self.hosts[kernel].settled(call, &value),
            Effect::Connect { peer: wanted, .. } => {
                if let Some(to) = self.ends().find(|to| self.peer_id(*to) == wanted) {
                    self.network.wish(kernel, to);
                }
            }
            Effect::Transmit { connection, bytes } => self.network.send(kernel, connection, bytes),
            Effect::HangUp { connection } => self.break_line(connection, Some(kernel))?,
            Effect::CallService { call, service, .. } => self.hosts[kernel].service_called(call, service),
            Effect::Notice(_) | Effect::Deliver { .. } | Effect::Stop { .. } => {}
        }
        Ok(())
    }

    /// A line is gone, and one of its ends does not notice.
    fn half_close(&mut self, connection: ConnectionId, unaware: usize) -> Step {
        let Some(ends) = self.network.close(connection) else { return Ok(()) };
        self.half_closed.push((ends[unaware], connection));
        self.event(ends[1 - unaware], Event::Disconnected { connection })
    }

    /// Whoever has not noticed that a line is gone does so now.
    fn notice_half_closed(&mut self) -> Step {
        for (kernel, connection) in std::mem::take(&mut self.half_closed) {
            self.network.close(connection);
            self.event(kernel, Event::Disconnected { connection })?;
        }
        Ok(())
    }

    /// A line ends. Who hung up knows already.
    fn break_line(&mut self, connection: ConnectionId, knows: Option<KernelNo>) -> Step {
        for end in self.network.close(connection).into_iter().flatten() {
            if Some(end) != knows {
                self.event(end, Event::Disconnected { connection })?;
            }
        }
        Ok(())
    }

    fn dial(&mut self, from: KernelNo, to: KernelNo) -> Step {
        if self.is_deaf(to) {
            return self.dial_fails(from, to);
        }
        let connection = self.network.open(from, to);
        for (kernel, other, side) in [(to, from, Side::Listener), (from, to, Side::Dialler)] {
            let peer = self.peer_id(other);
            self.event(kernel, Event::Connected { connection, peer, side })?;
        }
        Ok(())
    }

    /// The next frame of a way arrives.
    fn carry(&mut self, way: crate::network::Way) -> Step {
        let Some((to, frame)) = self.network.take(way) else { return Ok(()) };
        self.calls_carried += u64::from(self.healing && calls(&frame)); // nobody asks earlier
        let frame =
            if self.plan.pieces { crate::network::in_pieces(&frame, self.dice.below(frame.len())) } else { frame };
        self.event(to, Event::Received { connection: way.0, frame })
    }

    /// A process begins.
    fn begin(&mut self, kernel: KernelNo, with: BeginsWith, died_on: Option<DeathNote>) -> Step {
        let begun = self.machines[kernel].begin(self.now, with, died_on);
        let back_to = self.machines[kernel].remembers();
        self.hosts[kernel].process_ended(back_to, with != BeginsWith::ItsStore);
        self.show(kernel)?;
        if let Err(fault) = begun {
            return Err(self.violation("node", format!("kernel {kernel} does not begin: {fault}")));
        }
        let status = self.hosts[kernel].ask_status();
        self.ask(kernel, status)
    }

    /// A process ends, and the next one begins.
    fn restart(&mut self, kernel: KernelNo, with: BeginsWith, died_on: Option<DeathNote>) -> Step {
        self.machines[kernel].end();
        if let Some(complaint) = self.machines[kernel].take_complaint() {
            return Err(self.violation("machine", format!("kernel {kernel}: {complaint}")));
        }
        self.show(kernel)?;
        self.half_closed.retain(|(unaware, _)| *unaware != kernel);
        if self.plan.rate(Fault::HalfClosed) > 0 && !self.healing && self.dice.once_in(2) {
            let unaware = self.network.linger(kernel);
            self.half_closed.extend(unaware);
        } else {
            for (other, connection) in self.network.ended(kernel) {
                self.event(other, Event::Disconnected { connection })?;
            }
        }
        self.begin(kernel, with, died_on)?;
        if with == BeginsWith::NoStore {
            self.urls.retain(|url| url.issuer != kernel);
            self.launch(kernel)?;
        }
        Ok(())
    }
}
