//! What shrinking has left out of a run, as words of the command line, so that anyone can run the smaller one again.
//!
//! What always holds: what is written is read back as the same. Deliberately elsewhere: what to leave out (`shrink`).

use crate::plan::{Fault, Plan};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Steps that are left out: numbers and ranges of them, both ends included, as in `3,7-9`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(pub BTreeSet<u64>);

/// Steps that are named at most.
const MOST: u64 = 1_000_000;

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = self.0.iter().copied().peekable();
        let mut separator = "";
        while let Some(first) = steps.next() {
            let mut last = first;
            while let Some(next) = steps.next_if(|next| *next == last + 1) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut steps = BTreeSet::new();
        for piece in text.split(',') {
            let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
            let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number <= MOST);
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => steps.extend(first..=last),
                _ => return Err(format!("`{piece}` is no step and no range of steps such as 7-9")),
            }
        }
        Ok(Self(steps))
    }
}

/// The class of faults of this name.
///
/// # Errors
/// There is none; the message lists them.
pub fn fault(name: &str) -> Result<Fault, String> {
    let known = |fault: &Fault| format!("{fault:?}");
    let found = Fault::ALL.iter().find(|(fault, _)| known(fault).eq_ignore_ascii_case(name));
    found.map(|(fault, _)| *fault).ok_or_else(|| {
        let all: Vec<String> = Fault::ALL.iter().map(|(fault, _)| known(fault)).collect();
        format!("there is no such class of faults; there are {}", all.join(", "))
    })
}

/// The options that make this plan of the one that its seed means.
pub fn options(smaller: &Plan) -> String {
    let whole = Plan::from_seed(smaller.seed);
    let mut options = vec![format!("--seed {}", smaller.seed)];
    if smaller.steps != whole.steps {
        options.push(format!("--steps {}", smaller.steps));
    }
    let without: Vec<String> = whole
        .faults
        .keys()
        .filter(|fault| !smaller.faults.contains_key(fault))
        .map(|fault| format!("{fault:?}"))
        .collect();
    if !without.is_empty() {
        options.push(format!("--without {}", without.join(",")));
    }
    if !smaller.skipped.is_empty() {
        options.push(format!("--skip {}", Steps(smaller.skipped.clone())));
    }
    options.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_step_is_refused() {
        for bad in ["", "a", "3-", "-3", "9-7", "1,,2", "1-99999999999"] {
            assert!(bad.parse::<Steps>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_smaller_run_is_told_by_its_options() {
        let plan = Plan::from_seed(40389);
        let first = *plan.faults.keys().next().expect("it has faults");
        let smaller = plan.shorter(70).without(first).skip(3..5).skip(9..10);
        assert_eq!(options(&smaller), format!("--seed 40389 --steps 70 --without {first:?} --skip 3-4,9"));
        assert_eq!(fault(&format!("{first:?}")), Ok(first));
        assert!(fault("Rain").expect_err("there is none").contains("FrameLost"));
    }

    proptest! {
        #[test]
        fn steps_are_read_as_they_were_written(steps in prop::collection::btree_set(0..60u64, 1..40)) {
            let steps = Steps(steps);
            prop_assert_eq!(steps.to_string().parse(), Ok(steps));
        }
    }
}
