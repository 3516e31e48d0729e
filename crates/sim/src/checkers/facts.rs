//! Facts that become durable with a commit and vanish with a process that ends before, or with a store that is set back.
//! Checkers keep what they saw in here, so that they know what a kernel remembers.

use std::collections::BTreeMap;

/// Facts of one kernel, by commit.
#[derive(Debug)]
pub struct Facts<T> {
    open: Vec<T>,
    durable: BTreeMap<u64, Vec<T>>,
}

impl<T> Default for Facts<T> {
    fn default() -> Self {
        Self { open: Vec::new(), durable: BTreeMap::new() }
    }
}

impl<T> Facts<T> {
    /// Something was merged into the open group.
    pub fn add(&mut self, fact: T) {
        self.open.push(fact);
    }

    /// The open group became durable. Returns its facts.
    pub fn committed(&mut self, commit: u64) -> &[T] {
        self.durable.entry(commit).or_default().append(&mut self.open);
        &self.durable[&commit]
    }

    /// The process ended. Returns what was lost.
    pub fn ended(&mut self) -> Vec<T> {
        std::mem::take(&mut self.open)
    }

    /// A process has begun with what commit `back_to` left. Returns what was forgotten.
    pub fn begun(&mut self, back_to: u64) -> Vec<T> {
        self.durable.split_off(&(back_to + 1)).into_values().flatten().collect()
    }

    /// What is in the store or in the open group.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.durable.values().flatten().chain(&self.open)
    }

    /// What is durable.
    pub fn durable(&self) -> impl Iterator<Item = &T> {
        self.durable.values().flatten()
    }
}
