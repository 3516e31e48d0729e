//! The node itself: turns in, effects out.

use crate::flight::FlightRecord;
use crate::links::{Links, Volatile};
use crate::ready::ReadyList;
use std::ops::Bound;
use sturdy_kernel::{
    Answer, AuditReport, Begun, Blame, Ctx, Effect, Effects, Event, Fault, Garbage, LinkNews, Notice, Plan, Request,
    Rings, Strangers, Ticket, VatFault, answer_for, apply, audit, begin, tell_garbage,
};
use sturdy_store::{Engine, OpenError, Read, RemoteCursor, RemoteCursors, Sources, Store, StoreFault, VatState};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{ConnectionId, CrankId, Incarnation, KernelLimits, Millis, RemoteId, SourceHash, StateDelta, VatId};

/// Whether the tables are recounted after every turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditMode {
    /// Only when asked.
    OnRequest,
    /// After every turn; a problem is a fault. For tests.
    EveryTurn,
}

/// Counters since the node was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeStats {
    /// Turns merged.
    pub turns: u64,
    /// Cranks finished, whether they committed or were undone.
    pub cranks: u64,
    /// Cranks undone because of their vat.
    pub aborted: u64,
    /// Groups made durable.
    pub commits: u64,
    /// Answers of vats dropped because they named an earlier run or crank.
    pub stale_outcomes: u64,
}

/// How the talk with a peer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TalkInfo {
    /// The connection on which we talk.
    pub connection: ConnectionId,
    /// The smoothed time from a message to its acknowledgement, in milliseconds, once one was measured.
    pub round_trip_ms: Option<u64>,
}

/// The delivery that is under way.
#[derive(Debug)]
struct InFlight {
    crank: CrankId,
    plan: Plan,
}

/// One kernel with its store.
pub struct Node {
    pub(crate) store: Store,
    pub(crate) limits: KernelLimits,
    audit_mode: AuditMode,
    ready: ReadyList,
    pub(crate) links: Links,
    /// Peers that have greeted us and have no record (L12).
    pub(crate) strangers: Strangers,
    in_flight: Option<InFlight>,
    last_crank: u64,
    /// Outer effects of merged turns, until their group is durable.
    pub(crate) held: Vec<Effect>,
    /// What the merged turns of the open group have to tell peers: a last turn of the group does (L7).
    garbage: Garbage,
    /// Settled promises that may be in rings.
    pub(crate) rings: Rings,
    flight: FlightRecord,
    stats: NodeStats,
    stopped: bool,
}

impl Node {
    /// Opens the kernel of a store. The first event must be `Event::Boot`. `fresh` becomes the incarnation of a new
    /// store (G9).
    pub fn open(engine: Box<dyn Engine>, fresh: Incarnation, limits: KernelLimits) -> Result<Self, OpenError> {
        Ok(Self {
            store: Store::open(engine, fresh)?,
            limits,
            audit_mode: AuditMode::OnRequest,
            ready: ReadyList::default(),
            links: Links::default(),
            strangers: Strangers::new(),
            in_flight: None,
            last_crank: 0,
            held: Vec::new(),
            garbage: Garbage::default(),
            rings: Rings::default(),
            flight: FlightRecord::default(),
            stats: NodeStats::default(),
            stopped: false,
        })
    }

    /// Chooses when the tables are recounted.
    pub fn set_audit_mode(&mut self, mode: AuditMode) {
        self.audit_mode = mode;
    }

    /// One event is one turn (law 1). Returns the inner effects, in order; outer ones come from [`Node::commit`].
    pub fn handle(&mut self, now: Millis, event: Event) -> Result<Vec<Effect>, Fault> {
        self.refuse_when_stopped()?;
        let handled = self.handle_event(now, event).and_then(|mut inner| {
            inner.extend(self.hear_stalled(now)?);
            inner.extend(self.sweep_when_urgent(now)?);
            self.start_next(now, &mut inner)?;
            if defect::broken(Defect::SentBeforeDurable) {
                self.links.speak(now, &self.store, &self.limits, &mut inner)?;
            }
            if defect::broken(Defect::AckBeforeDurable) {
                self.links.acknowledge_early(now, &self.store, &self.limits, &mut inner)?;
            }
            Ok(inner)
        });
        self.stop_on_fault(now, handled)
    }

    /// Makes the open group durable and releases its outer effects (G2, G4). What its turns have let go of is told to peers in
    /// a last turn of it (L7).
    pub fn commit(&mut self, now: Millis) -> Result<Vec<Effect>, Fault> {
        self.refuse_when_stopped()?;
        let ended = self.end_group(now);
        let turns = self.stop_on_fault(now, ended)?;
        if turns > 0 {
            self.stats.commits += 1;
            self.flight.note(now, "commit", None, turns);
        }
        let mut outer = std::mem::take(&mut self.held);
        let spoken = self.links.speak(now, &self.store, &self.limits, &mut outer).map_err(Fault::Store);
        self.stop_on_fault(now, spoken)?;
        Ok(outer)
    }

    /// Ends the open group, and makes it durable: how many turns it had.
    fn end_group(&mut self, now: Millis) -> Result<u64, Fault> {
        if !self.garbage.is_empty() {
            let garbage = std::mem::take(&mut self.garbage);
            self.turn(now, |ctx| Ok(tell_garbage(ctx, garbage)?)).map_err(ours)?;
        }
        let turns = self.store.group_len() as u64;
        self.store.commit().map_err(Fault::Store)?;
        Ok(turns)
    }

    /// When the host is to hand in `Event::Tick` at the latest, for acknowledgements and retransmission.
    pub fn deadline(&self) -> Option<Millis> {
        self.links.deadline()
    }

    /// Whether the host is to go on dialling a peer that `Effect::Connect` has named. False once there is a connection, or
    /// the peer was closed or given up.
    pub fn wants(&self, peer: &str) -> bool {
        self.links.wants(peer)
    }

    /// Whether peers wait for the next commit: something is to be told to them, or to be acknowledged.
    pub fn owes_peers(&self) -> bool {
        !self.garbage.is_empty() || self.links.owes_peers()
    }

    /// How the talk with a peer goes; nothing if no connection speaks for it.
    pub fn talk_with(&self, remote: RemoteId) -> Option<TalkInfo> {
        self.links.talk_with(remote)
    }

    /// Turns merged since the last commit.
    pub fn uncommitted_turns(&self) -> usize {
        self.store.group_len()
    }

    /// Bytes of keys and values that the next commit writes.
    pub fn uncommitted_bytes(&self) -> usize {
        self.store.group_bytes()
    }

    /// Outer effects that wait for the next commit.
    pub fn held_effects(&self) -> usize {
        self.held.len()
    }

    /// True when no delivery is under way and none is due: only a new event makes anything happen.
    pub fn is_quiet(&self) -> bool {
        self.in_flight.is_none() && self.ready.is_empty()
    }

    /// Recounts everything.
    pub fn audit(&self) -> Result<AuditReport, StoreFault> {
        audit(&self.store)
    }

    /// The store, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What happened last.
    pub fn flight_record(&self) -> &FlightRecord {
        &self.flight
    }

    /// Counters.
    pub fn stats(&self) -> NodeStats {
        self.stats
    }

    /// How much is in memory of what peers have said.
    pub fn volatile(&self) -> Volatile {
        let (held_messages, held_bytes) = self.links.held_in_all();
        Volatile { held_messages, held_bytes, strangers: self.strangers.len() }
    }

    /// A value of a vat's own state.
    pub fn vat_state(&self, vat: VatId, key: &str) -> Result<Option<String>, StoreFault> {
        self.store.get::<VatState>(&(vat, key.to_owned()))
    }

    /// The first entry of a vat's own state whose key is greater than `after` and starts with `prefix`.
    pub fn vat_state_next(
        &self,
        vat: VatId,
        after: Bound<&str>,
        prefix: &str,
    ) -> Result<Option<(String, String)>, StoreFault> {
        let after = match after {
            Bound::Unbounded => None,
            Bound::Included(key) | Bound::Excluded(key) => Some((vat, key.to_owned())),
        };
        let mut rows = self.store.scan::<VatState>(&(vat, prefix.to_owned()), after.as_ref(), 1)?;
        Ok(rows.pop().map(|((_, key), value)| (key, value)))
    }

    /// A stored source text.
    pub fn source(&self, hash: &SourceHash) -> Result<Option<String>, StoreFault> {
        Ok(self.store.get::<Sources>(hash)?.map(|record| record.text))
    }

    fn handle_event(&mut self, now: Millis, event: Event) -> Result<Vec<Effect>, Fault> {
        self.note(now, &event);
        let event = match event {
            Event::Connected { connection, peer, side } => {
                self.connected(now, connection, peer, side)?;
                return Ok(Vec::new());
            }
            Event::Received { connection, frame } => {
                return match self.hear_stranger(now, connection, &frame)? {
                    Some(inner) => Ok(inner),
                    None => self.received(now, connection, &frame),
                };
            }
            Event::Disconnected { connection } => return self.disconnected(now, connection),
            Event::DialFailed { peer } => return self.dial_failed(now, &peer),
            Event::Tick => return self.ticked(now),
            other => other,
        };
        let renews = matches!(event, Event::Asked(_, Request::Renew(_)));
        let boots = matches!(event, Event::Boot { .. });
        let idles = matches!(event, Event::Idle);
        let plan = match &event {
            Event::Delivered { vat, run, crank, .. } => match self.in_flight.take() {
                Some(flying) if flying.crank == *crank && flying.plan.vat == *vat && flying.plan.run == *run => {
                    self.stats.cranks += 1;
                    Some(flying.plan)
                }
                other => {
                    self.in_flight = other;
                    self.stats.stale_outcomes += 1;
                    return Ok(Vec::new());
                }
            },
            _ => None,
        };
        let ticket = if let Event::Asked(ticket, _) = &event { Some(*ticket) } else { None };
        let left_behind = state_left_behind(&event);
        let counts_a_death = matches!(&event, Event::Boot { died_on: Some(_), .. });
        match self.turn(now, |ctx| apply(ctx, event, plan.as_ref())) {
            Ok(mut inner) => {
                if idles {
                    inner.extend(self.sweep_when_idle(now)?);
                }
                if renews {
                    self.store.learn_incarnation().map_err(Fault::Store)?;
                }
                if boots {
                    self.resume_conversations()?;
                }
                if counts_a_death {
                    // Durable before the deadly item is delivered again, or its deaths would never add up (G3).
                    self.end_group(now)?;
                }
                Ok(inner)
            }
            Err(Blame::Ours(fault)) => Err(fault),
            Err(Blame::Theirs(fault)) => {
                self.stats.aborted += 1;
                let inner = self.answer_for(now, plan, &fault)?;
                self.leave_behind(now, left_behind)?;
                Ok(inner)
            }
            Err(Blame::Caller(refused)) => {
                if let Some(ticket) = ticket {
                    self.held.push(Effect::Answer { ticket, answer: Err(refused) });
                }
                Ok(Vec::new())
            }
        }
    }

    fn answer_for(&mut self, now: Millis, plan: Option<Plan>, fault: &VatFault) -> Result<Vec<Effect>, Fault> {
        let plan = plan.ok_or_else(|| Fault::Broken("a vat is blamed and no delivery was under way".into()))?;
        self.turn(now, |ctx| answer_for(ctx, &plan, fault).map_err(Blame::Ours)).map_err(ours)
    }

    /// What an undone crank must not do: it does it only where a defect is sown.
    fn leave_behind(&mut self, now: Millis, state: Option<(VatId, StateDelta)>) -> Result<(), Fault> {
        if let Some((vat, delta)) = state {
            let mut turn = self.store.begin();
            for (key, value) in delta.writes {
                if let Some(value) = value {
                    turn.put::<VatState>(&(vat, key), &value);
                }
            }
            turn.merge()?;
        }
        if defect::broken(Defect::LostWithTheCrank) {
            let asked = self.held.iter().filter_map(|effect| match effect {
                Effect::Answer { answer: Ok(Answer::Called(call)), .. } => Some(*call),
                _ => None,
            });
            for call in asked.collect::<Vec<_>>() {
                let lost = Event::Asked(Ticket(0), Request::Acknowledge(call));
                self.turn(now, |ctx| apply(ctx, lost, None)).map_err(ours)?;
            }
        }
        Ok(())
    }

    /// Works out one turn and merges it; a blamed turn is dropped (law 6).
    pub(crate) fn turn(
        &mut self,
        now: Millis,
        work: impl FnOnce(&mut Ctx<'_, '_>) -> Result<(), Blame>,
    ) -> Result<Vec<Effect>, Blame> {
        let mut turn = self.store.begin();
        let mut ctx = Ctx::new(&mut turn, now, &self.limits);
        ctx.strangers = &self.strangers;
        work(&mut ctx)?;
        let effects = ctx.effects;
        turn.merge()?;
        Ok(self.merged(now, effects)?)
    }

    fn merged(&mut self, now: Millis, effects: Effects) -> Result<Vec<Effect>, Fault> {
        self.stats.turns += 1;
        self.garbage.join(effects.garbage);
        self.rings.join(effects.suspects);
        for vat in effects.woken {
            self.ready.push(vat);
        }
        let mut offended = Vec::new();
        for news in effects.links {
            match news {
                LinkNews::Bound { connection, .. } => self.no_stranger_any_more(connection),
                LinkNews::Offended(remote) => offended.push(remote),
                _ => {}
            }
            let first_pending = match &news {
                LinkNews::Bound { remote, .. } => {
                    self.store.get::<RemoteCursors>(remote)?.map(|cursor| first_to_say(&cursor))
                }
                _ => None,
            };
            let cut = self.links.learn(&news, first_pending.unwrap_or(1));
            self.held.extend(cut.into_iter().map(|connection| Effect::HangUp { connection }));
        }
        let mut inner = Vec::new();
        for effect in effects.list {
            if let Effect::Notice(Notice::PeerOffended { remote, why }) = effect {
                self.tell_offence(now, remote, why);
                continue;
            }
            if effect.is_outer() != defect::broken(Defect::AnswerBeforeDurable) {
                self.held.push(effect);
                continue;
            }
            if let (Effect::Stop { vat, run }, Some(flying)) = (&effect, &self.in_flight)
                && flying.plan.vat == *vat
                && flying.plan.run <= *run
            {
                self.in_flight = None; // its answer, should one come, is stale
            }
            inner.push(effect);
        }
        for remote in offended {
            self.count_offence(now, remote)?;
        }
        if self.audit_mode == AuditMode::EveryTurn {
            let report = self.audit()?;
            if let Some(problem) = report.problems.first() {
                return Err(Fault::Broken(format!("{} problems, the first: {problem}", report.problems.len())));
            }
        }
        Ok(inner)
    }

    /// Begins the next crank, if none is under way. Each attempt is a turn of its own, so its failure never undoes the
    /// event before it.
    fn start_next(&mut self, now: Millis, inner: &mut Vec<Effect>) -> Result<(), Fault> {
        while self.in_flight.is_none() {
            let Some(vat) = self.ready.pop() else { return Ok(()) };
            let mut turn = self.store.begin();
            let mut ctx = Ctx::new(&mut turn, now, &self.limits);
            match begin(&mut ctx, vat)? {
                Begun::Nothing => {}
                Begun::Consumed => {
                    ctx.close()?;
                    ctx.effects.woken.push(vat);
                    let effects = ctx.effects;
                    turn.merge()?;
                    inner.extend(self.merged(now, effects)?);
                }
                Begun::Planned(plan, delivery) => {
                    self.last_crank += 1;
                    let crank = CrankId(self.last_crank);
                    self.flight.note(now, delivery.kind(), Some(vat), crank.0);
                    inner.push(Effect::Deliver {
                        vat,
                        run: plan.run,
                        crank,
                        item: plan.item_id(),
                        delivery: *delivery,
                    });
                    self.in_flight = Some(InFlight { crank, plan: *plan });
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, now: Millis, event: &Event) {
        let (what, vat, number) = match event {
            Event::Boot { .. } => ("boot", None, 0),
            Event::Delivered { vat, crank, .. } => ("delivered", Some(*vat), crank.0),
            Event::Asked(ticket, _) => ("asked", None, ticket.0),
            Event::ServiceAnswered { call, .. } => ("service answered", None, call.0),
            Event::UrlServiceServed { call, .. } => ("URL service served", None, call.0),
            Event::Connected { connection, .. } => ("connected", None, connection.0),
            Event::Received { connection, .. } => ("received", None, connection.0),
            Event::Disconnected { connection } => ("disconnected", None, connection.0),
            Event::DialFailed { .. } => ("dial failed", None, 0),
            Event::Tick => ("tick", None, 0),
            Event::Idle => ("idle", None, 0),
        };
        self.flight.note(now, what, vat, number);
    }

    pub(crate) fn refuse_when_stopped(&self) -> Result<(), Fault> {
        if self.stopped { Err(Fault::Broken("the node has stopped after a fault".into())) } else { Ok(()) }
    }

    pub(crate) fn stop_on_fault<T>(&mut self, now: Millis, result: Result<T, Fault>) -> Result<T, Fault> {
        if result.is_err() {
            self.stopped = true;
            self.held.clear(); // what was not made durable is never told (G2)
            self.flight.note(now, "fault", None, 0);
        }
        result
    }
}

/// The first number that goes out on a new connection: that of what waits, but where a defect is sown.
fn first_to_say(cursor: &RemoteCursor) -> u64 {
    let newest = cursor.next_send.saturating_sub(1).max(cursor.first_pending);
    if defect::broken(Defect::NewestGoesFirst) { newest } else { cursor.first_pending }
}

/// The state that an undone crank leaves behind: none, but where a defect is sown.
fn state_left_behind(event: &Event) -> Option<(VatId, StateDelta)> {
    match event {
        Event::Delivered { vat, outcome, .. } if defect::broken(Defect::UndoneCrankLeavesState) => {
            Some((*vat, outcome.state.clone()))
        }
        _ => None,
    }
}

pub(crate) fn ours(blame: Blame) -> Fault {
    match blame {
        Blame::Ours(fault) => fault,
        Blame::Theirs(fault) => Fault::Broken(format!("a vat is blamed in a turn without vats: {fault:?}")),
        Blame::Caller(refused) => Fault::Broken(format!("a caller is blamed in a turn without callers: {refused}")),
    }
}
