//! One run from its plan to its verdict. A panic of a node is a verdict, too.

use crate::checkers::Violation;
use crate::plan::Plan;
use crate::trace::TraceTo;
use crate::world::{Report, World};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Every promise was kept.
    Passed(Report),
    /// A promise was broken.
    Failed {
        /// Which, and how.
        violation: Violation,
        /// The last lines of the trace.
        last_lines: Vec<String>,
    },
}

/// Runs a plan.
pub fn run(plan: Plan, to: TraceTo) -> Verdict {
    let mut world = World::new(plan, to);
    match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(Ok(report)) => Verdict::Passed(report),
        Ok(Err(violation)) => Verdict::Failed { violation, last_lines: world.last_lines() },
        Err(panic) => {
            let what = format!("step {}: {}", world.step(), said(&*panic));
            Verdict::Failed { violation: Violation { checker: "panic", what }, last_lines: world.last_lines() }
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without words")
}
