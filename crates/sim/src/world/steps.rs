//! What happens next, as long as the run goes on under faults.

use super::{Step, World, peer};
use crate::machine::Machine;
use crate::plan::Fault;
use crate::seen::KernelNo;
use sturdy_kernel::{Event, Request};

impl World {
    /// One step: one kind of thing happens, of those that can, perhaps disturbed.
    pub(super) fn take_step(&mut self) -> Step {
        if let Some(fault) = self.fault_of_this_step() {
            let kernel = self.dice.below(self.machines.len());
            return self.disturb(kernel, fault);
        }
        let called = self.hosts.iter().position(crate::host::Host::is_called);
        if let Some(kernel) = called.filter(|_| self.dice.once_in(4)) {
            return self.serve(kernel).map(drop);
        }
        let busy: Vec<KernelNo> = self.kernels_with(|machine| machine.pending() > 0);
        let open: Vec<KernelNo> = self.kernels_with(Machine::has_uncommitted);
        let ways = self.network.ways(self.now);
        let wishes = self.network.wishes(self.now);
        let pace = &self.plan.pace;
        let if_any = |weight: u32, empty: bool| if empty { 0 } else { weight };
        let weights = [
            if_any(pace.deliver, busy.is_empty()),
            if_any(pace.commit, open.is_empty()),
            if_any(pace.carry, ways.is_empty()),
            if_any(pace.dial, wishes.is_empty()),
            pace.time,
            pace.host,
            pace.idle,
        ];
        match self.dice.weighted(&weights) {
            0 => self.dice.pick(&busy).map_or(Ok(()), |kernel| self.work(kernel).map(drop)),
            1 => self.dice.pick(&open).map_or(Ok(()), |kernel| self.commit(kernel, usize::MAX)),
            2 => self.dice.pick(&ways).map_or(Ok(()), |way| self.carry(way)),
            3 => self.dice.pick(&wishes).map_or(Ok(()), |(from, to)| self.dial(from, to)),
            4 => {
                let ms = self.some_time();
                self.pass(ms)
            }
            5 => {
                let kernel = self.dice.below(self.machines.len());
                self.host_does_something(kernel)
            }
            _ => {
                let kernel = self.dice.below(self.machines.len());
                self.event(kernel, Event::Idle)
            }
        }
    }

    fn kernels_with(&self, wanted: impl Fn(&Machine) -> bool) -> Vec<KernelNo> {
        (0..self.machines.len()).filter(|kernel| wanted(&self.machines[*kernel])).collect()
    }

    fn fault_of_this_step(&mut self) -> Option<Fault> {
        let classes: Vec<_> = self.plan.faults.iter().map(|(fault, rate)| (*fault, *rate)).collect();
        classes.into_iter().find(|(_, rate)| self.dice.happens(*rate)).map(|(fault, _)| fault)
    }

    /// Mostly a little; sometimes to the next deadline, sometimes far beyond it.
    fn some_time(&mut self) -> u64 {
        match self.dice.below(8) {
            0..=4 => self.dice.between(1, 20),
            5 | 6 => {
                let next = self.machines.iter().filter_map(Machine::deadline).min();
                next.map_or(50, |at| at.saturating_sub(self.now).clamp(1, 60_000))
            }
            _ => self.dice.between(100, 20_000),
        }
    }

    /// Time goes on; who waits for it is told.
    pub(super) fn pass(&mut self, ms: u64) -> Step {
        self.now += ms;
        // Sooner or later a transport finds out that nobody is at the other end.
        if ms > 10_000 {
            self.notice_half_closed()?;
        }
        for kernel in 0..self.machines.len() {
            if self.machines[kernel].deadline().is_some_and(|at| at <= self.now) {
                self.event(kernel, Event::Tick)?;
                self.commit(kernel, usize::MAX)?;
            }
        }
        Ok(())
    }

    fn host_does_something(&mut self, kernel: KernelNo) -> Step {
        let boot = self.machines[kernel].process().boot;
        let asked = match self.dice.below(16) {
            0..=8 => self.hosts[kernel].call(&mut self.dice, boot),
            9 | 10 => self.hosts[kernel].issue(&mut self.dice, peer(kernel), boot),
            11..=13 => {
                let foreign: Vec<_> = self.urls.iter().filter(|url| url.issuer != kernel).cloned().collect();
                return match self.dice.pick(&foreign) {
                    Some(url) => self.redeem(kernel, &url),
                    None => Ok(()),
                };
            }
            14 => self.hosts[kernel].acknowledge(&mut self.dice),
            _ if self.hosts[kernel].vats.len() < self.plan.vats && self.dice.once_in(4) => {
                Some(self.hosts[kernel].launch(self.plan.vats))
            }
            _ if self.dice.once_in(4) => Some(self.hosts[kernel].order(Request::Reap(Vec::new()))),
            _ => Some(self.hosts[kernel].ask_status()),
        };
        match asked {
            Some(asked) => self.ask(kernel, asked),
            None => Ok(()),
        }
    }
}
