//! Checkers: each holds one promise against what was seen, from outside of the kernels.
//!
//! What always holds: a checker reads only [`Seen`] and the stores; it shares no code with the kernels. One file per
//! promise.

mod exactly_once;
pub mod facts;

pub use exactly_once::ExactlyOnce;

use crate::machine::Machine;
use crate::plan::Plan;
use crate::seen::{KernelNo, Seen};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker says so.
    pub checker: &'static str,
    /// What happened.
    pub what: String,
}

/// Watches over one promise.
pub trait Checker {
    /// Its name, as the documents list it.
    fn name(&self) -> &'static str;

    /// Something was seen. `machines` is how things stood just after it (an event: just before it).
    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String>;

    /// Everything has healed, and nothing is on its way any more.
    fn at_rest(&mut self, machines: &[Machine]) -> Result<(), String> {
        let _ = machines;
        Ok(())
    }

    /// Everything was let go of, and garbage was looked for until none was left.
    fn at_the_end(&mut self, machines: &[Machine]) -> Result<(), String> {
        let _ = machines;
        Ok(())
    }
}

/// All of them.
pub fn all(_plan: &Plan) -> Vec<Box<dyn Checker>> {
    vec![Box::new(ExactlyOnce::default())]
}
