//! Many seeds, on several threads.
//!
//! What always holds: a seed runs on one thread from its beginning to its end; what is reported does not depend on how
//! many threads there are.

use crate::checkers::Violation;
use crate::plan::Plan;
use crate::run::{Verdict, run};
use crate::trace::TraceTo;
use crate::world::Report;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What many runs came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Seeds that passed.
    pub passed: u64,
    /// Seeds that failed, each with what was broken.
    pub failed: Vec<(u64, Violation)>,
    /// Sums over all that passed; the trace is not summed up.
    pub sum: Report,
    /// Time that the seeds took on their cores.
    pub cpu: Duration,
    /// The longest of it for one seed.
    pub slowest: Duration,
    /// The seed that took it.
    pub slowest_seed: u64,
}

impl Tally {
    fn add(&mut self, seed: u64, verdict: Verdict, took: Duration) {
        match verdict {
            Verdict::Passed(report) => {
                self.passed += 1;
                self.sum.add(&report);
            }
            Verdict::Failed { violation, .. } => self.failed.push((seed, violation)),
        }
        self.cpu += took;
        if took > self.slowest {
            (self.slowest, self.slowest_seed) = (took, seed);
        }
    }
}

/// Runs these seeds. Ends early when `until` has come. Returns what they came to, and the first seed that was not begun.
pub fn campaign(
    seeds: std::ops::Range<u64>,
    threads: usize,
    until: Option<Instant>,
    failed: &(dyn Fn(u64, &Violation) + Sync),
) -> (Tally, u64) {
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while until.is_none_or(|until| Instant::now() < until) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let began = cpu_time();
                    let verdict = run(Plan::from_seed(seed), TraceTo::Memory);
                    if let Verdict::Failed { violation, .. } = &verdict {
                        failed(seed, violation);
                    }
                    tally.lock().expect("no thread panics with the lock").add(
                        seed,
                        verdict,
                        cpu_time().saturating_sub(began),
                    );
                }
            });
        }
    });
    let mut tally = tally.into_inner().expect("no thread panics with the lock");
    tally.failed.sort_by_key(|(seed, _)| *seed);
    (tally, next.into_inner().min(seeds.end))
}

/// Time that this thread has had a core.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
