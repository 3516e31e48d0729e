//! The kernel's thread: takes requests, hands deliveries to heaps, decides when a group ends.
//!
//! What always holds: requests are heard between deliveries, never inside one; a group is made durable as soon as
//! nothing is left to do that could share it, or when it reaches a limit of [`DaemonLimits`]; a caller that waits alone
//! gets its answer after one commit. Acknowledgements and cleaning wake nobody, so they wait for a group that
//! somebody else needs. Peers wait like callers.

use crate::clock::now;
use crate::config::{DaemonLimits, Report, Reporter};
use crate::death::{DeathFile, GroupState};
use crate::handle::{Command, Ending, Reply, Stats, WeakHandle};
use crate::heaps::Heaps;
use crate::identity::Whoami;
use crate::network::Network;
use crate::release::Waiters;
use crate::services::Services;
use crate::watchdog::Watchdog;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use sturdy_node::Node;
use sturdy_node::kernel::{Effect, Event, Fault, Request, Ticket, URL_ISSUER, URL_REDEEMER};
use sturdy_transport::Event as WireEvent;
use sturdy_vat::StateUnreadable;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

/// Why the thread ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The node stopped.
    #[error(transparent)]
    Node(#[from] Fault),
    /// The store could not be read for a vat.
    #[error(transparent)]
    State(#[from] StateUnreadable),
    /// The note of deaths could not be written.
    #[error("the note beside the store could not be written ({0}); check that disk")]
    Note(#[from] std::io::Error),
    /// No random numbers.
    #[error("the operating system refuses random numbers: {0}")]
    Chance(String),
    /// The transport has ended without being told to.
    #[error("the network has ended unexpectedly")]
    Network,
}

/// Whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Going {
    On,
    Ending,
}

/// How far the quiet time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Something happened since.
    Awake,
    /// Vats were asked for garbage.
    Idled,
    /// Nothing is left to clean up.
    Tidy,
}

/// What ends a wait.
enum Stimulus {
    Command(Option<Command>),
    Wire(Option<WireEvent>),
    Time,
}

/// Everything that lives on the kernel's thread.
pub(crate) struct KernelLoop {
    pub(crate) node: Node,
    pub(crate) heaps: Heaps,
    pub(crate) limits: DaemonLimits,
    pub(crate) note: Option<DeathFile>,
    pub(crate) watchdog: Watchdog,
    pub(crate) services: Services,
    pub(crate) reporter: Reporter,
    pub(crate) ending: Ending,
    pub(crate) handle: WeakHandle,
    /// Where services run.
    pub(crate) host: tokio::runtime::Handle,
    /// Who we are to peers.
    pub(crate) whoami: Whoami,
    pub(crate) network: Option<Network>,
    /// Frames taken in beyond the deliveries made, since nothing was left to do.
    pub(crate) frames_ahead: usize,
    inner: VecDeque<Effect>,
    waiters: Waiters,
    /// Answers to questions that change nothing. They too wait until what they tell is durable (G2).
    reads: Vec<Box<dyn FnOnce()>>,
    /// Held answers for which nobody waits.
    unawaited: usize,
    next_ticket: u64,
    group_since: Option<Instant>,
    commit_took: Duration,
    /// When something happened last.
    stirred: Instant,
    rest: Rest,
    /// Told when nothing is left to do.
    until_quiet: Vec<Reply<()>>,
    farewells: Vec<Reply<()>>,
}

/// What a [`KernelLoop`] is made of.
pub(crate) struct Parts {
    pub(crate) node: Node,
    pub(crate) heaps: Heaps,
    pub(crate) limits: DaemonLimits,
    pub(crate) note: Option<DeathFile>,
    pub(crate) watchdog: Watchdog,
    pub(crate) services: Services,
    pub(crate) reporter: Reporter,
    pub(crate) ending: Ending,
    pub(crate) handle: WeakHandle,
    pub(crate) host: tokio::runtime::Handle,
    /// Who we are to peers.
    pub(crate) whoami: Whoami,
    pub(crate) network: Option<Network>,
}

impl KernelLoop {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { node, heaps, limits, note, watchdog, services, reporter, ending, handle, host, whoami, network } =
            parts;
        Self {
            node,
            heaps,
            limits,
            note,
            watchdog,
            services,
            reporter,
            ending,
            handle,
            host,
            whoami,
            network,
            frames_ahead: 0,
            inner: VecDeque::new(),
            waiters: Waiters::default(),
            reads: Vec::new(),
            unawaited: 0,
            next_ticket: 0,
            group_since: None,
            commit_took: Duration::ZERO,
            stirred: Instant::now(),
            rest: Rest::Awake,
            until_quiet: Vec::new(),
            farewells: Vec::new(),
        }
    }

    /// The first events of the process: the boot, then the services that vats may already be calling.
    pub(crate) fn begin(&mut self, boot: Event) -> Result<(), Broken> {
        self.event(boot)?;
        for name in [URL_ISSUER, URL_REDEEMER] {
            self.ask_for_nobody(Request::RegisterService { name: name.to_owned(), system_only: false })?;
        }
        let declared: Vec<_> = self.services.declared().map(|(name, access)| (name.to_owned(), access)).collect();
        for (name, access) in declared {
            let system_only = access == crate::services::ServiceAccess::SystemOnly;
            self.ask_for_nobody(Request::RegisterService { name, system_only })?;
        }
        if let Some(network) = &mut self.network {
            network.look_for_the_known(&self.node).map_err(Fault::Store)?;
        }
        self.commit()?;
        // Only now is the death counted; a crash before this line finds the note again.
        if let Some(note) = &self.note {
            note.end()?;
        }
        Ok(())
    }

    /// Runs until told to end. Afterwards everything is dropped and `ending` says why.
    pub(crate) fn run(mut self, commands: Receiver<Command>, clock: &tokio::runtime::Runtime) {
        let broken = self.turn_around(commands, clock).err();
        let reason = match &broken {
            None => "the daemon was shut down".to_owned(),
            Some(broken) => broken.to_string(),
        };
        // Nobody else writes it; whoever waits is woken by the dropping of this loop, after this line.
        let _first = self.ending.set(reason.clone());
        if broken.is_some() {
            let flight = self.node.flight_record().moments().map(ToString::to_string).collect();
            (self.reporter)(Report::Fault { reason, flight });
        }
        let (farewells, network) = (std::mem::take(&mut self.farewells), self.network.take());
        drop(self); // closes the store, so that it can be opened again once the farewell is heard
        if let Some(network) = network {
            clock.block_on(network.shutdown());
        }
        for farewell in farewells {
            let _gone = farewell.send(());
        }
    }

    fn turn_around(&mut self, mut commands: Receiver<Command>, clock: &tokio::runtime::Runtime) -> Result<(), Broken> {
        loop {
            let going = self.hear(&mut commands)?;
            self.hear_peers()?;
            self.keep_time()?;
            self.note_group()?;
            let worked = self.carry_out_next()?;
            if going == Going::Ending {
                return self.commit();
            }
            if self.commit_is_due() {
                self.commit()?;
            }
            self.note_group()?;
            if !worked && self.is_quiet() && self.wait(&mut commands, clock)? == Going::Ending {
                return self.commit();
            }
        }
    }

    /// Takes the requests that wait, up to the limit of a round.
    fn hear(&mut self, commands: &mut Receiver<Command>) -> Result<Going, Broken> {
        for _ in 0..self.limits.requests_per_round {
            match commands.try_recv() {
                Ok(command) => {
                    if self.obey(command)? == Going::Ending {
                        return Ok(Going::Ending);
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(Going::Ending),
            }
        }
        Ok(Going::On)
    }

    fn obey(&mut self, command: Command) -> Result<Going, Broken> {
        match command {
            Command::Request(request, reply) => {
                if let Some(refused) = self.objection(&request) {
                    let _gone = reply.send(Err(refused));
                    return Ok(Going::On);
                }
                self.foresee(&request)?;
                let ticket = self.ticket();
                self.waiters.answer(ticket, reply);
                self.event(Event::Asked(ticket, *request))?;
            }
            Command::Call { request, named, reply } => {
                if let Some(refused) = self.objection(&request) {
                    let _gone = reply.send(Err(refused));
                    return Ok(Going::On);
                }
                let ticket = self.ticket();
                self.waiters.call(ticket, named, reply);
                let turns = self.node.uncommitted_turns();
                self.event(Event::Asked(ticket, *request))?;
                // The caller waits for the result, not for hearing that the call is under way; a refusal, whose
                // turn is dropped, it does wait for.
                self.unawaited += usize::from(self.node.uncommitted_turns() > turns);
            }
            Command::Acknowledge(call) => self.ask_for_nobody(Request::Acknowledge(call))?,
            Command::Inspect(kref, reply) => {
                let info = self.inspect(kref)?;
                self.reads.push(Box::new(move || {
                    let _gone = reply.send(info);
                }));
            }
            Command::NamedCall(name, reply) => {
                let target = self.named_call(&name)?;
                self.reads.push(Box::new(move || {
                    let _gone = reply.send(target);
                }));
            }
            Command::Stats(reply) => {
                let engine = self.node.store().engine_stats();
                let stats = Stats { node: self.node.stats(), engine, heaps: self.heaps.len() };
                let _gone = reply.send(stats);
            }
            Command::Network(reply) => self.tell_network(reply)?,
            Command::WhenQuiet(reply) => self.until_quiet.push(reply),
            Command::ServiceAnswered { call, rejected, value } => {
                self.event(Event::ServiceAnswered { call, rejected, value })?;
            }
            Command::Shutdown(reply) => {
                self.farewells.push(reply);
                return Ok(Going::Ending);
            }
        }
        Ok(Going::On)
    }

    /// Asks something whose answer nobody needs to hear, so no commit is hurried for it.
    pub(crate) fn ask_for_nobody(&mut self, request: Request) -> Result<(), Broken> {
        let ticket = self.ticket();
        let held = self.node.held_effects();
        self.event(Event::Asked(ticket, request))?;
        self.unawaited += usize::from(self.node.held_effects() > held);
        Ok(())
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub(crate) fn event(&mut self, event: Event) -> Result<(), Broken> {
        self.rest = Rest::Awake;
        self.stirred = Instant::now();
        self.inner.extend(self.node.handle(now(), event)?);
        Ok(())
    }

    /// An event that does not begin a new quiet time.
    pub(crate) fn event_at_rest(&mut self, event: Event) -> Result<(), Broken> {
        let (rest, stirred) = (self.rest, self.stirred);
        self.event(event)?;
        (self.rest, self.stirred) = (rest, stirred);
        Ok(())
    }

    /// Carries out what is inner, up to and with one delivery. Returns whether there was any.
    fn carry_out_next(&mut self) -> Result<bool, Broken> {
        while let Some(effect) = self.inner.pop_front() {
            match effect {
                Effect::Stop { vat, run } => self.heaps.stop(vat, run),
                Effect::Deliver { vat, run, crank, item, delivery } => {
                    if let Some(note) = &self.note {
                        note.begin(vat, item)?;
                    }
                    self.watchdog.begin(vat, delivery.kind());
                    let outcome = self.heaps.deliver(&self.node, vat, run, &delivery)?;
                    self.watchdog.end();
                    if let Some(note) = &self.note {
                        note.end()?;
                    }
                    self.frames_ahead = self.frames_ahead.saturating_sub(1);
                    // What vats do when they are asked for garbage is no reason to ask them again.
                    self.event_at_rest(Event::Delivered { vat, run, crank, outcome })?;
                    return Ok(true);
                }
                outer => return Err(Fault::Broken(format!("an outer effect came before its commit: {outer:?}")).into()),
            }
        }
        Ok(false)
    }

    fn is_quiet(&self) -> bool {
        self.inner.is_empty() && self.node.is_quiet()
    }

    /// How many wait for the next commit.
    fn awaited(&self) -> usize {
        let answers = self.node.held_effects() - self.unawaited.min(self.node.held_effects());
        answers + self.reads.len() + usize::from(self.node.owes_peers())
    }

    fn commit_is_due(&mut self) -> bool {
        let turns = self.node.uncommitted_turns();
        if turns == 0 {
            self.group_since = None;
            return self.awaited() > 0;
        }
        let since = *self.group_since.get_or_insert_with(Instant::now);
        let old = since.elapsed() >= Duration::from_millis(self.limits.unhurried_commit_ms);
        if old || turns >= self.limits.group_turns || self.node.uncommitted_bytes() >= self.limits.group_bytes {
            return true;
        }
        // On a slow disk groups are longer, or most of the time would go into commits.
        let open = Duration::from_millis(self.limits.group_open_ms);
        let open = (4 * self.commit_took).clamp(open, 5 * open);
        self.awaited() > 0 && (self.is_quiet() || since.elapsed() >= open)
    }

    pub(crate) fn commit(&mut self) -> Result<(), Broken> {
        let begun = Instant::now();
        let outer = self.node.commit(now())?;
        self.commit_took = begun.elapsed();
        self.group_since = None;
        self.unawaited = 0;
        let mut others = Vec::new();
        let given_up = self.waiters.release(outer, |effect| others.push(effect));
        for effect in others {
            match effect {
                Effect::Notice(notice) => (self.reporter)(Report::Notice(notice)),
                Effect::CallService { call, service, methargs } => {
                    if !self.serve_url(call, &service, &methargs)? {
                        self.services.call(&self.host, self.handle.clone(), call, &service, &methargs);
                    }
                }
                effect => self.post(effect)?,
            }
        }
        for read in self.reads.drain(..) {
            read();
        }
        for call in given_up {
            self.ask_for_nobody(Request::Acknowledge(call))?;
        }
        Ok(())
    }

    fn note_group(&mut self) -> Result<(), Broken> {
        let state = if self.node.uncommitted_turns() > 0 { GroupState::Open } else { GroupState::Closed };
        match &mut self.note {
            Some(note) => Ok(note.group(state)?),
            None => Ok(()),
        }
    }

    /// Nothing is due: waits for a request or for the network, and uses the time if nothing comes.
    fn wait(&mut self, commands: &mut Receiver<Command>, clock: &tokio::runtime::Runtime) -> Result<Going, Broken> {
        self.frames_ahead = 0;
        for reply in self.until_quiet.drain(..) {
            let _gone = reply.send(());
        }
        let quiet = if self.node.uncommitted_turns() > 0 {
            let since = self.group_since.map_or(Duration::ZERO, |since| since.elapsed());
            Some(Duration::from_millis(self.limits.unhurried_commit_ms).saturating_sub(since))
        } else {
            match self.rest {
                Rest::Awake => {
                    Some(Duration::from_millis(self.limits.idle_after_ms).saturating_sub(self.stirred.elapsed()))
                }
                Rest::Idled => Some(Duration::ZERO),
                Rest::Tidy => None,
            }
        };
        let due = self.node.deadline().map(|at| Duration::from_millis(at.saturating_sub(now())));
        let patience = quiet.into_iter().chain(due).min();
        match clock.block_on(stimulus(commands, self.network.as_mut(), patience)) {
            Stimulus::Command(None) => Ok(Going::Ending),
            Stimulus::Command(Some(command)) => self.obey(command),
            Stimulus::Wire(None) => Err(Broken::Network),
            Stimulus::Wire(Some(event)) => self.hear_wire(event).map(|()| Going::On),
            // The clock of peers is looked at in each round.
            Stimulus::Time if quiet.is_none() || (due.is_some() && due < quiet) => Ok(Going::On),
            Stimulus::Time => self.use_quiet_time(),
        }
    }

    fn use_quiet_time(&mut self) -> Result<Going, Broken> {
        if self.node.uncommitted_turns() > 0 {
            self.commit()?;
            return Ok(Going::On);
        }
        match self.rest {
            Rest::Awake => {
                self.event(Event::Idle)?;
                self.rest = Rest::Idled;
            }
            Rest::Idled => {
                if !self.node.tidy_up(now())? {
                    self.rest = Rest::Tidy;
                }
            }
            Rest::Tidy => {}
        }
        Ok(Going::On)
    }
}

/// Waits until something happens or `patience` is over.
async fn stimulus(
    commands: &mut Receiver<Command>,
    network: Option<&mut Network>,
    patience: Option<Duration>,
) -> Stimulus {
    let wire = async {
        match network {
            Some(network) => network.next().await,
            None => std::future::pending().await,
        }
    };
    let time = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        command = commands.recv() => Stimulus::Command(command),
        event = wire => Stimulus::Wire(event),
        () = time => Stimulus::Time,
    }
}
