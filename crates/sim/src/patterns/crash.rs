//! Crash points: a pattern is played once, and then again for every commit of every kernel, with a crash right before it
//! or right after it.
//!
//! What always holds: every crash point that is asked for is reached, or the run says so.

use super::{Code, CrashPoint, GroupsEnd, NativeCode, Pattern, SimRoad, When, play};
use std::rc::Rc;

/// What the crash points of one pattern came to.
#[derive(Clone, Debug)]
pub struct CrashPoints {
    /// The pattern.
    pub pattern: &'static str,
    /// How many kernels.
    pub kernels: usize,
    /// Commits of all kernels in the run without a crash.
    pub commits: u64,
    /// Crashes that were tried.
    pub points: u64,
    /// Runs in which the host had to begin the script again.
    pub begun_again: u64,
}

/// The vats of a cast on kernels in turn.
pub fn round_robin(pattern: &Pattern, kernels: usize) -> Vec<usize> {
    (0..pattern.cast.len()).map(|vat| vat % kernels).collect()
}

/// Plays a pattern with a crash at every `stride`-th commit of every kernel, on both sides of it, beginning with commit
/// `first`.
pub fn crash_points(
    pattern: &Pattern,
    kernels: usize,
    (first, stride): (u64, u64),
    whens: &[When],
) -> Result<CrashPoints, String> {
    let code: Rc<dyn Code> = NativeCode::shared();
    let places = round_robin(pattern, kernels);
    let commits = run(pattern, &code, &places, kernels, None)?.1;
    let mut found =
        CrashPoints { pattern: pattern.name, kernels, commits: commits.iter().sum(), points: 0, begun_again: 0 };
    for (kernel, commits) in commits.iter().enumerate() {
        let mut commit = 1 + first % stride;
        while commit <= *commits {
            for when in whens {
                let point = CrashPoint { kernel, commit, when: *when };
                let (attempts, _) = run(pattern, &code, &places, kernels, Some(point))?;
                found.points += 1;
                found.begun_again += u64::from(attempts > 1);
            }
            commit += stride;
        }
    }
    Ok(found)
}

fn run(
    pattern: &Pattern,
    code: &Rc<dyn Code>,
    places: &[usize],
    kernels: usize,
    crash: Option<CrashPoint>,
) -> Result<(u32, Vec<u64>), String> {
    let tell = |what: String| format!("{kernels} kernels, crash {crash:?}: {what}");
    let road = SimRoad::new(kernels, code, GroupsEnd::AfterEveryEvent, crash);
    let mut road = road.map_err(|trouble| tell(trouble.to_string()))?;
    let played = play(&mut road, pattern, places).map_err(|failure| tell(failure.to_string()))?;
    if crash.is_some() && !road.has_crashed() {
        return Err(tell(format!("{}: that commit never came", pattern.name)));
    }
    Ok((played.attempts, road.commits()))
}
