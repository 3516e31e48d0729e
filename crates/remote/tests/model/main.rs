//! The link between two kernels, explored exhaustively for small bounds (docs/model.md).
//!
//! Always: verdicts, positions, messages and their wire form are the real ones of this crate, and every promise is
//! checked in every distinct world. The broken variants show that the promises notice. Larger bounds run with
//! `cargo xtask model --deep`.

mod completion;
mod promises;
mod turns;
mod world;

use promises::PROMISES;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;
use turns::{Commits, Defect, Early, Freshness, Rules};
use world::{End, Fate, Flaw, Text, World};

/// One move of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Move {
    Send(usize),
    Dial(usize),
    Accept(usize),
    Read { side: usize, wire: usize, frame: Text },
    Commit(usize),
    Restart(usize),
    LoseStore(usize),
    GiveUp(usize),
}

/// When a listener learns of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepts {
    /// Before the dialler can say anything on it.
    BeforeGreeting,
    /// At any time until it reads the greeting.
    AnyTime,
}

/// What is explored.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Messages that each side sends.
    messages: [u8; 2],
    /// Connections that each side dials.
    dials: [usize; 2],
    /// How often each kind of trouble comes, and to which sides.
    restarts: u8,
    losses: u8,
    give_ups: u8,
    troubled: &'static [usize],
    accepts: Accepts,
    /// Of how many worlds one is completed.
    completions: u64,
    rules: Rules,
}

const CALM: Bounds = Bounds {
    messages: [1, 1],
    dials: [1, 1],
    restarts: 0,
    losses: 0,
    give_ups: 0,
    troubled: &[0, 1],
    accepts: Accepts::BeforeGreeting,
    completions: 1,
    rules: Rules {
        defect: Defect::None,
        commits: Commits::EachTurn,
        early: Early::Dropped,
        freshness: Freshness::NoFalseAlarm,
    },
};

impl Bounds {
    fn faults(&self, world: &World, side: usize, moves: &mut Vec<Move>) {
        if !self.troubled.contains(&side) {
            return;
        }
        let mut add = |more: bool, next: Move| {
            if more {
                moves.push(next);
            }
        };
        add(world.crashes < self.restarts, Move::Restart(side));
        add(world.losses < self.losses, Move::LoseStore(side));
        add(world.give_ups < self.give_ups, Move::GiveUp(side));
    }
}

/// What stateright is given. It would report the last broken promise of a block of worlds; we want the first, which has
/// the shortest way.
struct Exploration {
    bounds: Bounds,
    is_broken: AtomicBool,
}

impl Exploration {
    fn keeps(&self, holds: impl FnOnce() -> bool) -> bool {
        let keeps = self.is_broken.load(Relaxed) || holds();
        self.is_broken.fetch_or(!keeps, Relaxed);
        keeps
    }
}

impl Model for Exploration {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::new()]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.flaw.is_some() {
            return;
        }
        for side in 0..2 {
            let party = &world.parties[side];
            if party.serial < self.bounds.messages[side] {
                moves.push(Move::Send(side));
            }
            if usize::from(party.dials) < self.bounds.dials[side] {
                moves.push(Move::Dial(side));
            }
            if party.group.is_some() || party.heard || !party.waiting.is_empty() {
                moves.push(Move::Commit(side));
            }
            self.bounds.faults(world, side, moves);
        }
        for (index, wire) in world.wires.iter().enumerate() {
            if wire.ends[1 - wire.dialler] == End::Unseen {
                moves.push(Move::Accept(index));
            }
            for side in 0..2 {
                if let End::Open { .. } = wire.ends[side] {
                    let read = |frame: &Text| Move::Read { side, wire: index, frame: frame.clone() };
                    moves.extend(wire.toward[side].iter().map(read));
                }
            }
        }
    }

    fn next_state(&self, world: &World, next: Move) -> Option<World> {
        let mut after = world.clone();
        match next {
            Move::Send(side) => after.send(side, self.bounds.rules),
            Move::Dial(side) => {
                after.dial(side, self.bounds.rules);
                if self.bounds.accepts == Accepts::BeforeGreeting {
                    after.accept(after.wires.len() - 1);
                }
            }
            Move::Accept(wire) => after.accept(wire),
            Move::Read { side, wire, frame } => after.receive(side, wire, &frame, self.bounds.rules),
            Move::Commit(side) => after.commit(side),
            Move::Restart(side) => after.restart(side, self.bounds.rules),
            Move::LoseStore(side) => after.lose_store(side),
            Move::GiveUp(side) => after.give_up(side, self.bounds.rules),
        }
        (after != *world).then_some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(PROMISES[0].0, |this, world| this.keeps(|| (PROMISES[0].1)(world))),
            Property::always(PROMISES[1].0, |this, world| this.keeps(|| (PROMISES[1].1)(world))),
            Property::always(PROMISES[2].0, |this, world| this.keeps(|| (PROMISES[2].1)(world))),
            Property::always(PROMISES[3].0, |this, world| this.keeps(|| (PROMISES[3].1)(world))),
            Property::always(PROMISES[4].0, |this, world| this.keeps(|| (PROMISES[4].1)(world))),
            Property::always(PROMISES[5].0, |this, world| this.keeps(|| (PROMISES[5].1)(world))),
            Property::always(PROMISES[6].0, |this, world| this.keeps(|| (PROMISES[6].1)(world))),
            Property::always(PROMISES[7].0, |this, world| this.keeps(|| (PROMISES[7].1)(world))),
            Property::always(COMPLETES, |this, world| this.keeps(|| this.bounds.completes(world))),
            Property::sometimes(DELIVERED, |this, world| this.bounds.is_delivered(world)),
        ]
    }
}

const COMPLETES: &str = "from here everything pending arrives in a quiet completion (G8)";
const DELIVERED: &str = "all messages are sent and acknowledged";

impl Bounds {
    fn completes(&self, world: &World) -> bool {
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        let chosen = hasher.finish().is_multiple_of(self.completions);
        !chosen || world.flaw.is_some() || (0..2).all(|side| completion::incomplete(world, side, self.rules).is_none())
    }

    fn is_delivered(&self, world: &World) -> bool {
        (0..2).all(|side| {
            let sent = &world.parties[side].store().sent;
            let acknowledged = sent.values().filter(|sent| sent.fate == Fate::Acknowledged);
            acknowledged.count() == usize::from(self.messages[side])
        })
    }

    /// Explores everything. Returns the number of distinct worlds, or what was found first and the way to it.
    fn explore(self, name: &str) -> Result<usize, Box<Finding>> {
        let began = Instant::now();
        let exploration = Exploration { bounds: self, is_broken: AtomicBool::new(false) };
        let checker = exploration.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let worlds = checker.unique_state_count();
        println!(
            "model: {name}: {worlds} distinct worlds, {} moves, depth {}, {:.1} s",
            checker.state_count(),
            checker.max_depth(),
            began.elapsed().as_secs_f64()
        );
        let mut found = checker.discoveries();
        let delivered = found.remove(DELIVERED).is_some();
        let Some((promise, path)) = found.into_iter().next() else {
            assert!(delivered, "{name}: not once was everything delivered, so the bounds are too small");
            return Ok(worlds);
        };
        let last = path.last_state().clone();
        let completions = [0, 1].map(|side| completion::incomplete(&last, side, self.rules));
        let moves = path.into_actions();
        let name = name.to_owned();
        Err(Box::new(Finding { name, promise, flaw: last.flaw, completions, moves, last, worlds }))
    }
}

/// A broken promise and the shortest way to it.
struct Finding {
    name: String,
    promise: &'static str,
    flaw: Option<Flaw>,
    /// What a completion by either dialler says.
    completions: [Option<&'static str>; 2],
    moves: Vec<Move>,
    last: World,
    worlds: usize,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, promise, flaw, completions, moves, last, worlds } = self;
        writeln!(out, "{name}: broken after {worlds} worlds: {promise}")?;
        for (index, next) in moves.iter().enumerate() {
            writeln!(out, "{:>3}. {next:?}", index + 1)?;
        }
        writeln!(out, "flaw: {flaw:?}, completions: {completions:?}, the last world: {last:#?}")
    }
}

fn explore_all(table: &[(&str, Bounds)]) {
    let mut total = 0;
    for (name, bounds) in table {
        match bounds.explore(name) {
            Ok(worlds) => total += worlds,
            Err(finding) => panic!("{finding}"),
        }
    }
    println!("model: {total} distinct worlds in {} configurations, no promise broken", table.len());
}

const ANY_COMMIT: Rules = Rules { commits: Commits::AnyTime, ..CALM.rules };
const HELD: Rules = Rules { early: Early::Held, ..CALM.rules };
const TOLERATED: Rules = Rules { freshness: Freshness::DeadLivesTolerated, ..CALM.rules };

#[test]
fn small_bounds() {
    let sample = Bounds { completions: 8, ..CALM };
    explore_all(&[
        ("two against one, one connection", Bounds { messages: [2, 1], dials: [1, 0], ..sample }),
        ("both dial at once", sample),
        ("a restart", Bounds { messages: [2, 0], restarts: 1, ..sample }),
        ("a store lost", Bounds { messages: [1, 0], losses: 1, ..sample }),
        ("a store lost by the side that dials again", Bounds { messages: [0, 1], dials: [0, 3], losses: 1, ..sample }),
        ("a peer given up", Bounds { messages: [2, 0], give_ups: 1, ..sample }),
        ("messages held", Bounds { messages: [3, 0], dials: [1, 0], give_ups: 1, rules: HELD, ..sample }),
        ("groups of turns", Bounds { dials: [1, 0], restarts: 1, rules: ANY_COMMIT, ..sample }),
        ("late accepts", Bounds { accepts: Accepts::AnyTime, ..sample }),
    ]);
}

/// The same with larger bounds, for `cargo xtask model --deep`.
#[test]
fn large_bounds() {
    if std::env::var_os("STURDY_MODEL_DEEP").is_none() {
        println!("model: the larger bounds are explored by `cargo xtask model --deep`");
        return;
    }
    let sample = Bounds { completions: 64, ..CALM };
    let any_accept = Bounds { accepts: Accepts::AnyTime, ..sample };
    explore_all(&[
        ("two against two", Bounds { messages: [2, 2], dials: [1, 0], ..sample }),
        ("two against one, both dial", Bounds { messages: [2, 1], ..sample }),
        ("one against one, three connections", Bounds { dials: [2, 1], ..sample }),
        ("a restart", Bounds { messages: [1, 1], restarts: 1, ..sample }),
        ("two restarts", Bounds { messages: [2, 0], restarts: 2, ..sample }),
        ("a store lost", Bounds { losses: 1, ..sample }),
        ("two stores lost", Bounds { messages: [1, 0], dials: [1, 2], losses: 2, ..sample }),
        (
            "a store lost by the side that dials again",
            Bounds { messages: [2, 0], dials: [0, 4], losses: 1, troubled: &[1], ..sample },
        ),
        ("a peer given up", Bounds { give_ups: 1, ..sample }),
        ("a store lost and a peer given up", Bounds { messages: [1, 0], losses: 1, give_ups: 1, ..sample }),
        (
            "a restart, a store lost, a peer given up",
            Bounds { messages: [1, 0], dials: [0, 2], restarts: 1, losses: 1, give_ups: 1, ..sample },
        ),
        ("messages held", Bounds { messages: [3, 0], dials: [2, 0], give_ups: 1, rules: HELD, ..sample }),
        ("groups of turns", Bounds { messages: [2, 1], dials: [1, 0], restarts: 1, rules: ANY_COMMIT, ..sample }),
        ("groups of turns, both dial", Bounds { messages: [1, 0], restarts: 1, rules: ANY_COMMIT, ..sample }),
        ("late accepts", any_accept),
        ("late accepts and two messages", Bounds { messages: [2, 0], ..any_accept }),
        ("late accepts and a store lost", Bounds { messages: [1, 0], losses: 1, rules: TOLERATED, ..any_accept }),
    ]);
}

/// What is left for the transport to promise: a listener knows of a connection before the life that dialled it is over and
/// the next one is met. Otherwise a greeting that lay unread makes it believe that the dead life has come back.
#[test]
fn a_dead_lifes_greeting_on_a_connection_accepted_late_is_believed() {
    let bounds =
        Bounds { messages: [0, 1], losses: 1, troubled: &[1], accepts: Accepts::AnyTime, dials: [0, 2], ..CALM };
    let finding = bounds.explore("late accepts and a store lost").expect_err("a false alarm");
    assert_eq!(finding.flaw, Some(Flaw::FalseVerdict), "{finding}");
}

/// Each line of the glue that is broken on purpose is noticed.
#[test]
fn defects_are_found() {
    let lossy = Bounds { messages: [1, 0], dials: [1, 1], losses: 1, ..CALM };
    let table = [
        (Defect::AcceptsGaps, Bounds { messages: [2, 0], dials: [1, 0], ..CALM }),
        (Defect::AcknowledgesBeforeDurable, Bounds { messages: [1, 0], restarts: 1, rules: ANY_COMMIT, ..CALM }),
        (Defect::TransmitsBeforeDurable, Bounds { messages: [1, 0], restarts: 1, rules: ANY_COMMIT, ..CALM }),
        (Defect::ForgetsIncarnation, Bounds { dials: [2, 0], restarts: 1, ..lossy }),
        (Defect::HearsOldConnections, Bounds { losses: 0, give_ups: 1, ..lossy }),
        (Defect::KeepsHeld, Bounds { messages: [3, 0], dials: [2, 0], give_ups: 1, rules: HELD, ..CALM }),
        (Defect::ResetsSequence, Bounds { messages: [1, 0], dials: [2, 0], restarts: 1, ..CALM }),
        (Defect::LosesOutbox, Bounds { messages: [1, 0], restarts: 1, ..CALM }),
        (Defect::KeepsOutbox, lossy),
        (Defect::TrustsOldGreetings, lossy),
    ];
    for (defect, bounds) in table {
        let rules = Rules { defect, ..bounds.rules };
        match (Bounds { rules, completions: 1, ..bounds }).explore(&format!("{defect:?}")) {
            Ok(worlds) => panic!("{defect:?} was not found in {worlds} worlds"),
            Err(finding) => {
                let Finding { moves, promise, flaw, completions, worlds, .. } = *finding;
                let how = format!("{promise}; flaw {flaw:?}; completions {completions:?}");
                println!("model: {defect:?}: found after {worlds} worlds, by {} moves: {how}", moves.len());
            }
        }
    }
}
