//! The corpus of patterns on real processes: each kernel is a process of its own, with its store and its identity on disk,
//! and they talk over TCP. The same scripts as on every road, the same answers, and nothing left; and once more while
//! processes are killed with SIGKILL at random steps of the scripts.
//!
//! Each pattern is played undisturbed first, which also tells how many steps it takes, and then with kills: one of them in
//! the short form, `STURDY_PATTERN_KILLS=50` makes a long one, and `STURDY_SEED` repeats one of the same length. The seed
//! decides who is killed and at which step; where exactly in a step a kill strikes is the machine's.

#[path = "../../../sturdy/tests/common/chance.rs"]
mod chance;
mod kernel;
mod orders;
mod process;
mod road;

use chance::Chance;
use road::{Kill, Language, Moment, ProcessRoad};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;
use sturdy_sim::patterns::crash::round_robin;
use sturdy_sim::patterns::{Pattern, all, play};

/// Microseconds that a process may live after a request. Most are answered in that time.
const LIFE_US: u64 = 6_000;
/// Patterns that are played at a time; most of what they do is waiting.
const AT_A_TIME: usize = 3;

/// What was tried.
#[derive(Debug, Default)]
struct Tried {
    kills: u64,
    /// Scripts that a host had to begin again after a kill.
    begun_again: u64,
    failures: Vec<String>,
}

impl Tried {
    fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.begun_again += other.begun_again;
        self.failures.extend(other.failures);
    }
}

/// What came of one play.
#[derive(Debug, Clone)]
struct Run {
    steps: u64,
    /// Those of them that belong to the launch.
    launch: u64,
    /// How often the script was begun.
    attempts: u32,
}

fn played(pattern: &Pattern, kernels: usize, language: Language, kill: Option<&Kill>) -> Result<Run, String> {
    let tell = |what: String| format!("{language:?} on {kernels}, {kill:?}: {what}");
    let road = ProcessRoad::new("a_kernel", kernels, language, kill.cloned());
    let mut road = road.map_err(|trouble| tell(trouble.to_string()))?;
    let played = play(&mut road, pattern, &round_robin(pattern, kernels)).map_err(|why| tell(why.to_string()))?;
    if !road.has_killed() {
        return Err(tell(format!("{}: that step never came", pattern.name)));
    }
    let (steps, launch) = road.steps();
    Ok(Run { steps, launch, attempts: played.attempts })
}

/// What chance says of one kill, drawn before anything is played: who plays first is the machine's.
type Draw = [u64; 6];

fn kill_of(draw: Draw, kernels: usize, calm: &Run) -> Kill {
    let [all, victim, after, micros, anywhere, step] = draw;
    let one = usize::try_from(victim % kernels as u64).expect("it is small");
    // Sometimes all: nobody is left who remembers anything but the stores.
    let victims = if all % 5 == 0 { (0..kernels).collect() } else { vec![one] };
    let moment = if after % 4 == 0 { Moment::After } else { Moment::During(micros % LIFE_US) };
    // Launches are alike; the scripts are not.
    let before = if anywhere % 8 == 0 { 0 } else { calm.launch };
    Kill { step: before + 1 + step % (calm.steps - before), victims, moment }
}

/// Plays a pattern undisturbed, and then with each of these kills.
fn with_kills(pattern: &Pattern, (kernels, language): (usize, Language), draws: Vec<Draw>) -> Tried {
    let began = Instant::now();
    let mut tried = Tried::default();
    let calm = match played(pattern, kernels, language, None) {
        Ok(calm) => calm,
        Err(failure) => return Tried { failures: vec![failure], ..tried },
    };
    let mut told = format!("{}: {calm:?} in {:?}", pattern.name, began.elapsed());
    for draw in draws {
        let kill = kill_of(draw, kernels, &calm);
        let began = Instant::now();
        let ended = played(pattern, kernels, language, Some(&kill));
        let _ = write!(told, "\n  {kill:?}: {ended:?} in {:?}", began.elapsed()); // writing to a String cannot fail
        tried.kills += 1;
        match ended {
            Ok(run) => tried.begun_again += u64::from(run.attempts > 1),
            Err(failure) => tried.failures.push(failure),
        }
    }
    println!("{told}");
    tried
}

fn everywhere(kernels: usize, language: Language) {
    let kills = std::env::var("STURDY_PATTERN_KILLS").map_or(1, |text| text.parse().expect("a number"));
    let mut chance = Chance::new();
    let mut draws = || (0..kills).map(|_| Draw::default().map(|_| chance.below(u64::MAX))).collect::<Vec<Draw>>();
    let patterns: Vec<(Pattern, Vec<Draw>)> = all().into_iter().map(|pattern| (pattern, draws())).collect();
    let (patterns, tried) = (Mutex::new(patterns), Mutex::new(Tried::default()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = patterns.lock().expect("nobody has panicked").pop();
                    let Some((pattern, draws)) = next else { return };
                    let of_it = with_kills(&pattern, (kernels, language), draws);
                    tried.lock().expect("nobody has panicked").add(of_it);
                }
            });
        }
    });
    let tried = tried.into_inner().expect("nobody has panicked");
    println!("{language:?} on {kernels}: {} kills; {} scripts were begun again", tried.kills, tried.begun_again);
    assert!(tried.failures.is_empty(), "{}", tried.failures.join("\n"));
}

/// No test: what the processes of a road do. Without its environment it has nothing to do.
#[test]
fn a_kernel() {
    if let (Ok(home), Ok(listen)) = (std::env::var(process::HOME), std::env::var(process::LISTEN)) {
        kernel::serve(Path::new(&home), &listen);
    }
}

#[test]
fn javascript_vats_in_two_processes() {
    everywhere(2, Language::JavaScript);
}

#[test]
fn native_vats_in_three_processes() {
    everywhere(3, Language::Rust);
}
