//! G5: each message takes effect at most once, and messages of one heap to one reference take effect in the order in
//! which they were sent.
//!
//! A message bears a name that is never used twice ([`crate::actor::MessageName`]). It has taken effect when the crank
//! that delivered it is merged; that is undone when its process ends before the commit, or its store is set back.

use super::Checker;
use super::facts::Facts;
use crate::actor::MessageName;
use crate::machine::Machine;
use crate::seen::{CrankFate, KernelNo, Seen};
use std::collections::BTreeMap;
use sturdy_types::{Delivery, Outcome, Syscall, VRef};

/// A message as its sender named it.
#[derive(Debug, Clone, Copy)]
struct Sent {
    target: VRef,
}

/// One checker for all kernels.
#[derive(Default)]
pub struct ExactlyOnce {
    sent: BTreeMap<MessageName, Sent>,
    /// Where each message has taken effect.
    taken: BTreeMap<MessageName, KernelNo>,
    /// The last number that took effect, per sending heap and target, with the kernel where it did.
    last: BTreeMap<(MessageName, VRef), Vec<u64>>,
    facts: BTreeMap<KernelNo, Facts<MessageName>>,
}

impl ExactlyOnce {
    fn takes_effect(&mut self, kernel: KernelNo, name: MessageName) -> Result<(), String> {
        if let Some(before) = self.taken.insert(name, kernel) {
            return Err(format!("{name} took effect in kernel {before}, and again in kernel {kernel}"));
        }
        self.facts.entry(kernel).or_default().add(name);
        if let Some(sent) = self.sent.get(&name) {
            let stream = self.last.entry((name.stream(), sent.target)).or_default();
            if let Some(last) = stream.last().filter(|last| **last > name.number) {
                return Err(format!("{name} to {} took effect after number {last} of the same heap", sent.target));
            }
            stream.push(name.number);
        }
        Ok(())
    }

    fn forget(&mut self, names: Vec<MessageName>) {
        for name in names {
            self.taken.remove(&name);
            if let Some(sent) = self.sent.get(&name)
                && let Some(stream) = self.last.get_mut(&(name.stream(), sent.target))
            {
                stream.retain(|number| *number != name.number);
            }
        }
    }

    fn sends(&mut self, outcome: &Outcome) {
        for syscall in &outcome.syscalls {
            if let Syscall::Send { target, message } = syscall
                && let Some(name) = MessageName::of(&message.methargs.body)
            {
                self.sent.insert(name, Sent { target: *target });
            }
        }
    }
}

impl Checker for ExactlyOnce {
    fn name(&self) -> &'static str {
        "exactly_once"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, _machines: &[Machine]) -> Result<(), String> {
        match seen {
            Seen::Crank { delivery, outcome, fate: CrankFate::Merged, .. } => {
                if let Delivery::Message { message, .. } = delivery
                    && let Some(name) = MessageName::of(&message.methargs.body)
                {
                    self.takes_effect(kernel, name)?;
                }
                self.sends(outcome);
            }
            Seen::Committed(commit) => {
                self.facts.entry(kernel).or_default().committed(*commit);
            }
            Seen::Ended => {
                let lost = self.facts.entry(kernel).or_default().ended();
                self.forget(lost);
            }
            Seen::Begun { back_to, .. } => {
                let forgotten = self.facts.entry(kernel).or_default().begun(*back_to);
                self.forget(forgotten);
            }
            _ => {}
        }
        Ok(())
    }
}
