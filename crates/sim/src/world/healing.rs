//! The end of a run: nothing goes wrong any more, everything comes to rest, and then everybody lets go of everything.
//!
//! What must hold then is the checkers' business; that it comes to rest at all is checked here (liveness).
//!
//! Lenient: a ring of promises that are settled with each other, over three kernels or more, is told round and round (a known
//! limit, LINK.md). A world in which rings are allowed and nothing but settlements moves any more ends there.

use super::{Step, World};
use crate::checkers::Violation;
use crate::checkers::lines::kernel_of;
use crate::checkers::standing::standing;
use sturdy_kernel::{Event, Request};
use sturdy_store::{DecidedBy, Decider, Outbox, Read, RemoteState, Remotes};

/// Rounds in which everything must have come to rest.
const ROUNDS: usize = 3_000;

/// After so many of them somebody seems to be dialled who does not listen for a while (L13). A dial in vain takes time.
const PATIENT_ROUNDS: usize = 500;

/// So much.
const VAIN_DIAL_MS: u64 = 10_000;

/// Pieces of work that a kernel has at most in one round.
const WORK: usize = 50_000;

impl World {
    /// Heals, comes to rest, lets go.
    pub(super) fn heal(&mut self) -> Step {
        match self.heal_and_let_go() {
            Err(_) if self.unfolds => self.report.unfolded = 1,
            done => {
                done?;
                self.report.all_garbage = u64::from(self.checkers.iter().all(|checker| checker.looked_at_all()));
            }
        }
        Ok(())
    }

    fn heal_and_let_go(&mut self) -> Step {
        self.begin_step(self.plan.steps + 1);
        self.healing = true;
        for knob in [&self.knobs.fails, &self.knobs.illegal, &self.knobs.exits] {
            knob.set(0);
        }
        self.network.heal();
        for kernel in 0..self.machines.len() {
            if self.machines[kernel].disk_fails() {
                self.restart(kernel, crate::seen::BeginsWith::ItsStore, None)?;
            }
            self.commit(kernel, usize::MAX)?;
        }
        self.notice_half_closed()?;
        self.silence_liars()?;
        for connection in self.network.lines() {
            self.break_line(connection, None)?;
        }
        self.knobs.quiet.set(true);
        self.reconnect(|state| state != RemoteState::Open)?;
        self.settle()?;
        self.nobody_has_to_be_told()?;
        self.reconnect(|_| true)?;
        self.settle()?;
        self.at_rest()?;
        self.look_into_stores()?;
        self.let_go()
    }

    /// Operators have these connections opened again.
    fn reconnect(&mut self, wanted: impl Fn(RemoteState) -> bool) -> Step {
        for kernel in 0..self.machines.len() {
            let Some(node) = self.machines[kernel].node() else { continue };
            let remotes = node.store().scan::<Remotes>(&(), None, usize::MAX).unwrap_or_default();
            let kernels = remotes.into_iter().filter(|(_, record)| kernel_of(&record.peer).is_some());
            for (_, record) in kernels.filter(|(_, record)| wanted(record.state)) {
                let order = self.hosts[kernel].order(Request::ReconnectPeer(record.peer));
                self.ask(kernel, order)?;
            }
        }
        Ok(())
    }

    /// Whoever has something for a peer, or waits for it, dials it by himself, unless it was closed or given up (G8). So
    /// nobody waits for a peer that has ended the conversation (G12).
    fn nobody_has_to_be_told(&self) -> Step {
        for machine in &self.machines {
            let Some(store) = machine.node().map(sturdy_node::Node::store) else { continue };
            for (remote, record) in store.scan::<Remotes>(&(), None, usize::MAX).unwrap_or_default() {
                let waiting = store.scan::<Outbox>(&remote, None, usize::MAX).unwrap_or_default().len();
                if record.state == RemoteState::Open && waiting > 0 && kernel_of(&record.peer).is_some() {
                    let what = format!("kernel {}: {waiting} messages wait for {}", machine.number, record.peer);
                    return Err(self.violation("liveness", what));
                }
                let waits = !store.scan::<DecidedBy>(&Decider::Remote(remote), None, 1).unwrap_or_default().is_empty();
                let theirs = kernel_of(&record.peer).map(|other| self.conversation(other, machine.number));
                if record.state == RemoteState::Open
                    && waits
                    && theirs.is_some_and(|it| it != Some(record.conversation))
                {
                    let what = format!(
                        "kernel {} waits for {} in conversation {}, there it is {theirs:?}",
                        machine.number, record.peer, record.conversation
                    );
                    return Err(self.violation("liveness", what));
                }
            }
        }
        Ok(())
    }

    /// The conversation of one kernel with another, as it is known there.
    fn conversation(&self, of: usize, with: usize) -> Option<u64> {
        let store = self.machines.get(of)?.node()?.store();
        standing(store, &super::peer(with)).map(|at| at.record.conversation)
    }

    fn at_rest(&mut self) -> Step {
        let step = self.step;
        for checker in &mut self.checkers {
            let said = checker.at_rest(&self.machines);
            said.map_err(|what| Violation {
                checker: checker.name(),
                what: format!("at rest, after step {step}: {what}"),
            })?;
        }
        (0..self.machines.len()).try_for_each(|kernel| self.audit(kernel))
    }

    /// Until nothing is due, nothing is on its way and nobody waits for time to pass.
    pub(super) fn settle(&mut self) -> Step {
        let mut calls_at_half = 0;
        for round in 0..ROUNDS {
            if round == ROUNDS / 2 {
                calls_at_half = self.calls_carried;
            }
            for kernel in 0..self.machines.len() {
                let mut left = WORK;
                while self.work(kernel)? || self.serve(kernel)? {
                    left -= 1;
                    if left == 0 {
                        return Err(
                            self.violation("liveness", format!("kernel {kernel} works and does not come to rest"))
                        );
                    }
                }
                self.commit(kernel, usize::MAX)?;
            }
            let wishes = self.network.wishes(self.now);
            let ways = self.network.ways(self.now);
            if wishes.is_empty()
                && ways.is_empty()
                && self.machines.iter().all(crate::machine::Machine::is_quiet)
                && !self.hosts.iter().any(crate::host::Host::is_called)
            {
                let Some(at) = self.machines.iter().filter_map(crate::machine::Machine::deadline).min() else {
                    return Ok(());
                };
                self.pass(at.saturating_sub(self.now))?;
                continue;
            }
            // Not while something is on its way: a handshake would never be answered in time.
            if round > PATIENT_ROUNDS && !wishes.is_empty() && ways.is_empty() {
                self.pass(VAIN_DIAL_MS)?;
            }
            for (from, to) in wishes {
                self.dial(from, to)?;
            }
            for way in ways {
                while self.network.ways(self.now).contains(&way) {
                    self.carry(way)?;
                }
            }
        }
        self.unfolds = self.plan.rings && self.machines.len() > 2 && self.calls_carried == calls_at_half;
        Err(self.violation("liveness", "the world does not come to rest"))
    }

    /// Every vat is asked for its garbage.
    fn reap_all(&mut self) -> Step {
        for kernel in 0..self.machines.len() {
            let reap = self.hosts[kernel].order(Request::Reap(Vec::new()));
            self.ask(kernel, reap)?;
        }
        Ok(())
    }

    /// Hosts let go of everything; garbage is looked for until nothing changes.
    fn let_go(&mut self) -> Step {
        for kernel in 0..self.machines.len() {
            for asked in self.hosts[kernel].ask_again() {
                self.ask(kernel, asked)?;
            }
        }
        self.reap_all()?;
        self.settle()?;
        let step = self.step;
        for checker in &mut self.checkers {
            let said = checker.all_answered(&self.machines);
            said.map_err(|what| Violation {
                checker: checker.name(),
                what: format!("when all was answered, after step {step}: {what}"),
            })?;
        }
        self.operators_let_go()?;
        for kernel in 0..self.machines.len() {
            let acknowledge = self.hosts[kernel].acknowledge_all();
            for asked in acknowledge.into_iter().chain(self.hosts[kernel].withdraw_all()) {
                self.ask(kernel, asked)?;
            }
        }
        for _ in 0..2 + 2 * self.machines.len() {
            self.reap_all()?;
            self.settle()?;
            for kernel in 0..self.machines.len() {
                self.event(kernel, Event::Idle)?;
            }
            self.settle()?;
            for kernel in 0..self.machines.len() {
                while matches!(self.machines[kernel].tidy_up(self.now), Ok(true)) {}
            }
        }
        let step = self.step;
        for checker in &mut self.checkers {
            let said = checker.at_the_end(&self.machines);
            said.map_err(|what| Violation {
                checker: checker.name(),
                what: format!("at the end, after step {step}: {what}"),
            })?;
        }
        (0..self.machines.len()).try_for_each(|kernel| self.audit(kernel))?;
        self.reset_all()
    }
}
