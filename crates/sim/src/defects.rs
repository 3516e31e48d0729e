//! Runs with one piece broken on purpose: which checker notices, and after how many seeds (docs/defects.md).
//!
//! What always holds: a piece is broken only on the thread that runs the seed, and only while it runs. A seed that fails
//! with nothing broken shows nothing, and is not counted as a catch.

use crate::checkers::{NAMES, Violation};
use crate::plan::Plan;
use crate::run::{Verdict, run};
use crate::trace::TraceTo;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use sturdy_types::defect::{Defect, break_piece};

/// Seeds after which a defect that was not noticed counts as missed.
pub const SEEDS: u64 = 2_000;

/// Seeds at which every defect is tried for a checker that no other seed has shown at work.
const SEEDS_FOR_A_CHECKER: u64 = 100;

/// A defect and who noticed it first.
#[derive(Clone, Debug)]
pub struct Caught {
    /// What was broken.
    pub defect: Defect,
    /// The seed, and what was noticed. `None` if no seed showed it.
    pub by: Option<(u64, Violation)>,
}

/// The defect of this name.
pub fn named(name: &str) -> Option<Defect> {
    Defect::ALL.iter().copied().find(|defect| format!("{defect:?}") == name)
}

/// Runs something with a piece broken.
pub fn with_broken<T>(defect: Option<Defect>, work: impl FnOnce() -> T) -> T {
    break_piece(defect);
    let done = work();
    break_piece(None);
    done
}

/// What a seed shows with this piece broken.
pub fn shown(seed: u64, defect: Option<Defect>) -> Option<Violation> {
    match with_broken(defect, || run(Plan::from_seed(seed), TraceTo::Memory)) {
        Verdict::Failed { violation, .. } => Some(violation),
        Verdict::Passed(_) => None,
    }
}

/// The first of these seeds that shows the defect, and passes without it.
pub fn hunt(defect: Defect, seeds: RangeInclusive<u64>) -> Caught {
    let by = seeds.into_iter().find_map(|seed| {
        let violation = shown(seed, Some(defect))?;
        shown(seed, None).is_none().then_some((seed, violation))
    });
    Caught { defect, by }
}

/// The first of these seeds at which this checker notices some defect that another may notice at an earlier one.
fn hunt_for(checker: &str, seeds: RangeInclusive<u64>) -> Option<Caught> {
    seeds.into_iter().find_map(|seed| {
        Defect::ALL.iter().find_map(|&defect| {
            let violation = shown(seed, Some(defect)).filter(|violation| violation.checker == checker)?;
            shown(seed, None).is_none().then_some(Caught { defect, by: Some((seed, violation)) })
        })
    })
}

/// Hunts for every defect, on several threads; and then for one for each checker that was never the first to notice. Each
/// that is done is told at once; they are returned in their order.
pub fn hunt_all(seeds: u64, threads: usize, tell: &(dyn Fn(&Caught) + Sync)) -> Vec<Caught> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(&defect) = Defect::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let caught = hunt(defect, 1..=seeds);
                    tell(&caught);
                    done.lock().expect("no thread panics with the lock").push(caught);
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panics with the lock");
    for checker in NAMES {
        let has_caught =
            |caught: &Caught| caught.by.as_ref().is_some_and(|(_, violation)| violation.checker == *checker);
        if !done.iter().any(has_caught)
            && let Some(caught) = hunt_for(checker, 1..=SEEDS_FOR_A_CHECKER)
        {
            tell(&caught);
            done.push(caught);
        }
    }
    done.sort_by_key(|caught| caught.defect);
    done
}

/// The table of docs/defects.md.
pub fn table(all: &[Caught]) -> String {
    let mut text = String::from(
        "# Defects that are sown, and who finds them\n\n\
         Each row is one piece of the kernel that can be broken by a switch (`crates/types/src/defect.rs`), for the\n\
         simulator alone: no other build has the switch. `cargo xtask sim --defects` breaks each in turn, runs seeds from 1\n\
         on until a checker notices, and writes this table; a checker that is never the first has a row of its own. The\n\
         same seed passes when nothing is broken. `cargo xtask check` runs the seed of each row again, and sees to it that\n\
         every checker of `crates/sim` (`checkers::NAMES`) has caught something; `audit` and `node` are what the kernels\n\
         say of themselves, `machine` is what shows on a machine's disk. W numbers are those of the reference's\n\
         weaknesses, L numbers the rules of the link, both of the team's design notes.\n\n\
         | defect | what is broken | noticed by | at seed |\n| --- | --- | --- | --- |\n",
    );
    for Caught { defect, by } in all {
        let (checker, seed) = by.as_ref().map_or(("nobody".to_owned(), "-".to_owned()), |(seed, violation)| {
            (violation.checker.to_owned(), seed.to_string())
        });
        let _ = writeln!(text, "| {defect:?} | {} | {checker} | {seed} |", defect.what());
    }
    text
}
