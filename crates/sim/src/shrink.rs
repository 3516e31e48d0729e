//! Makes a failing run smaller: fewer kinds of faults, fewer steps, and then single steps left out, as long as the same
//! checker still complains.
//!
//! What always holds: the result fails, with the same checker as the run that it was made from.

use crate::plan::{Fault, Plan};
use crate::run::{Verdict, run};
use crate::trace::TraceTo;

/// Runs that shrinking may take.
const RUNS: usize = 400;

/// A smaller plan that fails in the same way, and how many runs it took to find. `None` if the plan does not fail.
pub fn shrink(plan: &Plan, progress: &mut dyn FnMut(&Plan)) -> Option<(Plan, usize)> {
    let checker = fails(plan)?;
    let mut search = Search { checker, best: plan.clone(), runs: 1, progress };
    search.cut();
    let faults: Vec<Fault> = plan.faults.keys().copied().collect();
    for fault in faults {
        let smaller = search.best.clone().without(fault);
        search.try_it(smaller);
    }
    search.cut();
    search.leave_out();
    Some((search.best, search.runs))
}

fn fails(plan: &Plan) -> Option<&'static str> {
    match run(plan.clone(), TraceTo::Memory) {
        Verdict::Passed(_) => None,
        Verdict::Failed { violation, .. } => Some(violation.checker),
    }
}

struct Search<'p> {
    checker: &'static str,
    best: Plan,
    runs: usize,
    progress: &'p mut dyn FnMut(&Plan),
}

impl Search<'_> {
    fn try_it(&mut self, plan: Plan) -> bool {
        if self.runs >= RUNS {
            return false;
        }
        self.runs += 1;
        let same = fails(&plan) == Some(self.checker);
        if same {
            (self.progress)(&plan);
            self.best = plan;
        }
        same
    }

    /// Heals as early as possible.
    fn cut(&mut self) {
        let (mut low, mut high) = (0, self.best.steps);
        while low < high && self.runs < RUNS {
            let middle = low + (high - low) / 2;
            let shorter = self.best.clone().shorter(middle);
            if self.try_it(shorter) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
    }

    /// Leaves out steps, in pieces that become smaller and smaller.
    fn leave_out(&mut self) {
        let mut size = (self.best.steps / 2).max(1);
        while size >= 1 && self.runs < RUNS {
            let mut first = 1;
            while first <= self.best.steps {
                let piece = first..(first + size).min(self.best.steps + 1);
                if piece.clone().any(|step| !self.best.skipped.contains(&step)) {
                    let smaller = self.best.clone().skip(piece);
                    self.try_it(smaller);
                }
                first += size;
            }
            if size == 1 {
                break;
            }
            size /= 2;
        }
    }
}
