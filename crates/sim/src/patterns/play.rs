//! Plays a pattern on a road: launches its vats, does what the script says, passes references between kernels, and counts
//! what is left.
//!
//! What always holds: a host asks again, under the same name, for what a lost process did not answer. When a heap was
//! lost with a process, or a store, it begins the whole script again, as a client does that has lost its session; it does
//! so only if that is what it was told ([`EXCUSES`]), and then every answer must be exactly as expected.

mod leaving;

use super::census::difference;
use super::native::LOST;
use super::road::{Outcome, Road, Trouble};
use super::{Ask, Expect, Leaves, Pattern, Step};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_kernel::{Answer, LaunchRequest, Request, UrlTerms};
use sturdy_types::{CallId, CapData, ClusterConfig, KRef, OcapUrl, Oid, VatConfig, VatId};

/// How often a host asks again, or begins again.
const PATIENCE: u32 = 5;

/// What a call or a redemption may be told when a heap was lost. A URL outlives its process, but not the object that it
/// stands for when that lived in a heap only.
const EXCUSES: &[&str] = &["VAT_RESTARTED", "OBJECT_DELETED", "there is nothing under this OCAP URL", LOST];

/// What a call may be told when a store was lost.
const EXCUSES_OF_A_LOST_STORE: &[&str] = &["PEER_RESTARTED", "CONNECTION_LOST", "ENDPOINT_UNREACHABLE"];

/// What a pattern came to when all was as expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// How often the script was begun.
    pub attempts: u32,
    /// Rows that are left in the end beyond those after the launch, by kernel and table.
    pub left: Vec<String>,
}

/// What was not as expected.
#[derive(Debug, thiserror::Error)]
#[error("{pattern}, {place}: {what}")]
pub struct Failure {
    /// The pattern.
    pub pattern: &'static str,
    /// Which step, or what else.
    pub place: String,
    /// What happened.
    pub what: String,
}

/// A reference of a host.
#[derive(Clone, Copy, Debug)]
struct Bound {
    kernel: usize,
    kref: KRef,
    /// How many stores the kernel had lost when it gave the reference.
    losses: u32,
}

/// A call that is not acknowledged.
#[derive(Clone, Debug)]
struct Open {
    kernel: usize,
    call: CallId,
    losses: u32,
    name: String,
    ask: Ask,
}

/// Why an attempt ends early.
enum Stop {
    /// Something was lost with a heap or a store.
    Lost,
    Wrong(String),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Wrong(trouble.to_string())
    }
}

struct Player<'p, R: Road> {
    road: &'p mut R,
    pattern: &'p Pattern,
    /// The kernel of each vat of the cast.
    places: &'p [usize],
    names: BTreeMap<String, Bound>,
    /// References that were passed to another kernel, and by which process they were received.
    given: BTreeMap<(String, usize), (KRef, u32)>,
    started: BTreeMap<&'static str, Open>,
    open: Vec<(usize, CallId, u32)>,
    /// Calls that may have been made: what tells, asked of which kernel.
    unsure: Vec<(usize, Request)>,
    urls: BTreeSet<(usize, Oid)>,
    texts: u32,
    attempt: u32,
    processes: Vec<u32>,
}

/// Plays a pattern; `places` says on which kernel each vat of the cast lives.
pub fn play<R: Road>(road: &mut R, pattern: &Pattern, places: &[usize]) -> Result<Played, Failure> {
    let processes = (0..road.kernels()).map(|kernel| road.process(kernel)).collect();
    let mut player = Player {
        road,
        pattern,
        places,
        names: BTreeMap::new(),
        given: BTreeMap::new(),
        started: BTreeMap::new(),
        open: Vec::new(),
        unsure: Vec::new(),
        urls: BTreeSet::new(),
        texts: 0,
        attempt: 0,
        processes,
    };
    let mut place = "launch".to_owned();
    player.whole(&mut place).map_err(|what| Failure { pattern: pattern.name, place, what })
}

impl<R: Road> Player<'_, R> {
    fn whole(&mut self, place: &mut String) -> Result<Played, String> {
        self.until_done(Self::launch_all)?;
        let before = self.census_at_rest()?;
        loop {
            self.attempt += 1;
            match self.attempt(place) {
                Ok(()) => break,
                Err(Stop::Lost) if self.attempt < PATIENCE => "between attempts".clone_into(place),
                Err(Stop::Lost) => return Err("it was begun again too often".into()),
                Err(Stop::Wrong(what)) => return Err(what),
            }
        }
        "end".clone_into(place);
        self.until_done(|player| {
            player.launch_all()?;
            player.forget()
        })?;
        self.let_go()?;
        let after = self.census_at_rest()?;
        self.audit()?;
        let left = difference(&before, &after);
        let lost = (0..self.road.kernels()).any(|kernel| self.road.losses(kernel) > 0);
        let may_leave = self.pattern.leaves == Leaves::Rings && self.road.kernels() > 1;
        if !may_leave && !left.is_empty() && !lost {
            return Err(format!("not everything is gone: {}", left.join(", ")));
        }
        Ok(Played { attempts: self.attempt, left })
    }

    /// The script, once.
    fn attempt(&mut self, place: &mut String) -> Result<(), Stop> {
        self.names.retain(|name, _| self.pattern.cast.iter().any(|(vat, _)| vat == name));
        self.started.clear();
        if self.attempt > 1 {
            self.launch_all()?;
            self.forget()?;
            self.let_go().map_err(Stop::Wrong)?;
        }
        for (number, step) in self.pattern.script.iter().enumerate() {
            *place = format!("step {} ({step:?})", number + 1);
            self.step(step)?;
            self.audit().map_err(Stop::Wrong)?;
        }
        Ok(())
    }

    /// Does it again while processes end under it.
    fn until_done(&mut self, work: impl Fn(&mut Self) -> Result<(), Stop>) -> Result<(), String> {
        for _ in 0..PATIENCE {
            match work(self) {
                Ok(()) => return Ok(()),
                Err(Stop::Lost) => {}
                Err(Stop::Wrong(what)) => return Err(what),
            }
        }
        Err("it was begun again too often".into())
    }

    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::Call(ask, expect) => {
                let open = self.call(ask)?;
                let outcome = self.outcome(open)?;
                self.compare(outcome, *expect)
            }
            Step::Start(name, ask) => {
                let open = self.call(ask)?;
                self.started.insert(name, open);
                Ok(())
            }
            Step::Pending(name) => {
                let open = self.started[name].clone();
                match self.outcome(open)? {
                    None => Ok(()),
                    Some(outcome) => Err(self.excuse(&outcome.1.1, "it is answered already")),
                }
            }
            Step::Get(name, expect) => {
                let open = self.started[name].clone();
                let outcome = self.outcome(open)?;
                self.compare(outcome, *expect)
            }
            Step::Revoke(name) => {
                let bound = self.bound(name)?;
                self.order(bound.kernel, &Request::Revoke(bound.kref))
            }
            Step::Restart(name) => {
                let kernel = self.place_of(name);
                let vat = self.vat(kernel, name)?;
                self.order(kernel, &Request::RestartVat(vat))
            }
            Step::Collect => self.tidy_and_collect(),
        }
    }

    fn audit(&self) -> Result<(), String> {
        let problems: Vec<String> = (0..self.road.kernels()).flat_map(|kernel| self.road.audit(kernel)).collect();
        if problems.is_empty() { Ok(()) } else { Err(format!("the audit says: {}", problems.join("; "))) }
    }

    // -- vats

    fn place_of(&self, vat: &str) -> usize {
        let index = self.pattern.cast.iter().position(|(name, _)| *name == vat).expect("a script names its cast");
        self.places[index]
    }

    /// Launches the vats that are not there.
    fn launch_all(&mut self) -> Result<(), Stop> {
        for (vat, role) in self.pattern.cast {
            let kernel = self.place_of(vat);
            let root = match self.root(kernel, vat)? {
                Some(root) => root,
                None => self.launch(kernel, vat, role)?,
            };
            let losses = self.road.losses(kernel);
            self.names.insert((*vat).to_owned(), Bound { kernel, kref: root, losses });
        }
        Ok(())
    }

    fn launch(&mut self, kernel: usize, vat: &str, role: &str) -> Result<KRef, Stop> {
        let (code, sources) = self.road.code(role);
        let config = ClusterConfig {
            bootstrap: vat.to_owned(),
            vats: [(vat.to_owned(), VatConfig { code, parameters: "#{}".into(), globals: Vec::new() })].into(),
            services: Vec::new(),
        };
        let launch = LaunchRequest { config, sources, system_name: None, label: Some(vat.to_owned()) };
        match self.road.ask(kernel, Request::Launch(Box::new(launch))) {
            Ok(Answer::Launched { root, .. }) => Ok(root.into()),
            Ok(other) => Err(Stop::Wrong(format!("a launch is answered with {other:?}"))),
            Err(Trouble::Ended) => Err(Stop::Lost),
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn root(&mut self, kernel: usize, vat: &str) -> Result<Option<KRef>, Stop> {
        let status = self.status(kernel)?;
        let subcluster = status.subclusters.iter().find(|subcluster| subcluster.label.as_deref() == Some(vat));
        Ok(subcluster.and_then(|subcluster| subcluster.root).map(KRef::Object))
    }

    fn vat(&mut self, kernel: usize, name: &str) -> Result<VatId, Stop> {
        let status = self.status(kernel)?;
        let vat = status.vats.iter().find(|vat| vat.name == name).map(|vat| vat.id);
        vat.ok_or_else(|| Stop::Wrong(format!("there is no vat {name}")))
    }

    fn status(&mut self, kernel: usize) -> Result<sturdy_kernel::Status, Stop> {
        match self.road.ask(kernel, Request::Status) {
            Ok(Answer::Status(status)) => Ok(*status),
            Ok(other) => Err(Stop::Wrong(format!("status is answered with {other:?}"))),
            Err(Trouble::Ended) => Err(Stop::Lost),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Something that may be done twice.
    fn order(&mut self, kernel: usize, request: &Request) -> Result<(), Stop> {
        for _ in 0..PATIENCE {
            match self.road.ask(kernel, request.clone()) {
                Ok(_) => return Ok(()),
                Err(Trouble::Ended) => {}
                Err(Trouble::Refused(_)) if self.road.losses(kernel) > 0 => return Err(Stop::Lost),
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Err(Stop::Wrong(format!("{request:?} is never answered")))
    }

    // -- references

    fn bound(&self, name: &str) -> Result<Bound, Stop> {
        let bound = self.names.get(name).ok_or_else(|| Stop::Wrong(format!("nothing is called {name}")))?;
        if self.road.losses(bound.kernel) == bound.losses { Ok(*bound) } else { Err(Stop::Lost) }
    }

    /// What bears this name, as the kernel knows it; passed there if need be.
    fn reference(&mut self, name: &str, kernel: usize) -> Result<KRef, Stop> {
        let bound = self.bound(name)?;
        if bound.kernel == kernel {
            return Ok(bound.kref);
        }
        let key = (name.to_owned(), kernel);
        for _ in 0..PATIENCE {
            if let Some((kref, process)) = self.given.get(&key)
                && *process == self.road.process(kernel)
            {
                return Ok(*kref);
            }
            if let Some(kref) = self.give(bound, kernel)? {
                self.given.insert(key.clone(), (kref, self.road.process(kernel)));
            }
        }
        Err(Stop::Wrong(format!("{name} cannot be given to kernel {kernel}")))
    }

    /// Passes a reference by a URL. Nothing when a process ended meanwhile.
    fn give(&mut self, bound: Bound, to: usize) -> Result<Option<KRef>, Stop> {
        self.texts += 1;
        let mut bits = [0; 32];
        bits[..4].copy_from_slice(&self.texts.to_be_bytes());
        let oid = Oid::from_random(&bits);
        self.urls.insert((bound.kernel, oid.clone()));
        let issue = Request::IssueUrl { object: bound.kref, oid: oid.clone(), terms: UrlTerms::default() };
        match self.road.ask(bound.kernel, issue) {
            Ok(_) => {}
            Err(Trouble::Ended) => return Ok(None),
            Err(Trouble::Refused(_)) if self.road.losses(bound.kernel) > bound.losses => return Err(Stop::Lost),
            Err(trouble) => return Err(trouble.into()),
        }
        let url = OcapUrl { oid, peer: self.road.peer(bound.kernel), hints: Vec::new() };
        let (me, key) = (self.road.peer(to), format!("key-{}", self.texts));
        let before = self.road.process(to);
        let redeem = Request::Redeem { url, me, key, request: None };
        let call = match self.road.ask(to, redeem) {
            Ok(Answer::Called(call)) => call,
            Err(Trouble::Ended) => return Ok(None),
            Ok(other) => return Err(Stop::Wrong(format!("a redemption is answered with {other:?}"))),
            Err(trouble) => return Err(trouble.into()),
        };
        self.open.push((to, call, self.road.losses(to)));
        match self.road.outcome(to, call) {
            _ if self.road.process(to) > before => Ok(None),
            Some((false, value)) if value.slots.len() == 1 => Ok(Some(value.slots[0])),
            Some(outcome) => Err(self.excuse(&outcome.1, "the redemption fails")),
            None => Err(Stop::Wrong("the redemption is never answered".into())),
        }
    }

    // -- calls

    fn call(&mut self, ask: &Ask) -> Result<Open, Stop> {
        self.texts += 1;
        let name = format!("call-{}-{}", self.attempt, self.texts);
        self.call_named(ask, name)
    }

    fn call_named(&mut self, ask: &Ask, name: String) -> Result<Open, Stop> {
        let bound = self.bound(ask.to)?;
        let (names, args) = Pattern::slots_of(ask.args);
        for _ in 0..PATIENCE {
            let process = self.road.process(bound.kernel);
            let slots = names.iter().map(|name| self.reference(name, bound.kernel)).collect::<Result<Vec<_>, _>>()?;
            if self.road.process(bound.kernel) > process {
                self.bound(ask.to)?; // the target may be lost with its store
                continue; // what was received by the process before is let go of
            }
            let methargs = CapData { body: format!("#[\"{}\",{args}]", ask.method), slots };
            let call = Request::Call { target: bound.kref, methargs, request: Some(name.clone()) };
            match self.road.ask(bound.kernel, call) {
                Ok(Answer::Called(call)) => {
                    let losses = self.road.losses(bound.kernel);
                    self.open.push((bound.kernel, call, losses));
                    return Ok(Open { kernel: bound.kernel, call, losses, name, ask: ask.clone() });
                }
                Ok(other) => return Err(Stop::Wrong(format!("a call is answered with {other:?}"))),
                Err(Trouble::Ended) if self.road.losses(bound.kernel) == 0 => {
                    // Under its name this is the call, if it was made, and else one that does nothing.
                    let methargs = CapData::plain("#[\"tidy\",[]]");
                    let again = Request::Call { target: bound.kref, methargs, request: Some(name.clone()) };
                    self.unsure.push((bound.kernel, again));
                }
                Err(Trouble::Ended) => return Err(Stop::Lost),
                Err(Trouble::Refused(why)) => {
                    let lost = (0..self.road.kernels()).any(|kernel| self.road.losses(kernel) > 0);
                    return Err(if lost { Stop::Lost } else { Stop::Wrong(format!("refused: {why}")) });
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Err(Stop::Wrong("a call is never answered".into()))
    }

    /// What has become of a call, asked again if the process that answered it is gone.
    fn outcome(&mut self, open: Open) -> Result<Option<(usize, Outcome)>, Stop> {
        if self.road.losses(open.kernel) > open.losses {
            return Err(Stop::Lost);
        }
        if let Some(outcome) = self.road.outcome(open.kernel, open.call) {
            return Ok(Some((open.kernel, outcome)));
        }
        if !self.disturbed() {
            return Ok(None);
        }
        let again = self.call_named(&open.ask, open.name)?;
        if again.call != open.call {
            return Err(Stop::Wrong(format!("{} was {} and is {} now", again.name, open.call, again.call)));
        }
        self.open.pop();
        Ok(self.road.outcome(again.kernel, again.call).map(|outcome| (again.kernel, outcome)))
    }

    fn compare(&mut self, outcome: Option<(usize, Outcome)>, expect: Expect) -> Result<(), Stop> {
        let Some((kernel, (rejected, value))) = outcome else {
            return Err(Stop::Wrong("it is never answered".into()));
        };
        match expect {
            Expect::Is(body) if !rejected && value.body.strip_prefix('#') == Some(body) => Ok(()),
            Expect::Gives(name) if !rejected && value.body.starts_with("#\"$0") && value.slots.len() == 1 => {
                let losses = self.road.losses(kernel);
                self.names.insert(name.to_owned(), Bound { kernel, kref: value.slots[0], losses });
                self.given.retain(|(given, _), _| given != name);
                Ok(())
            }
            Expect::Fails(part) if rejected && value.body.contains(part) => Ok(()),
            _ => Err(self.excuse(&value, &format!("{expect:?} was expected"))),
        }
    }

    /// True once a process has ended.
    fn disturbed(&self) -> bool {
        (0..self.road.kernels()).any(|kernel| self.road.process(kernel) > self.processes[kernel])
    }

    /// An answer that was not expected: because something was lost, or for no good reason.
    fn excuse(&self, value: &CapData<KRef>, why: &str) -> Stop {
        let lost = (0..self.road.kernels()).any(|kernel| self.road.losses(kernel) > 0);
        let says = |excuses: &[&str]| excuses.iter().any(|excuse| value.body.contains(excuse));
        if (self.disturbed() && says(EXCUSES)) || (lost && says(EXCUSES_OF_A_LOST_STORE)) {
            return Stop::Lost;
        }
        Stop::Wrong(format!("{why}, and the answer is {}", value.body))
    }
}
