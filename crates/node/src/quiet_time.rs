//! What a node does with quiet time: it looks for rings of settled promises, deletes rows of terminated vats, and lets the
//! engine do its own work.
//!
//! What always holds: each piece is a turn of its own, or none. Rings are swept when the kernel is idle; when so many
//! promises are suspected that a kernel that is never idle would grow, at once. Deliberately elsewhere: what a ring is
//! (`sturdy-kernel`), when there is quiet time (the host).

use crate::node::{Node, ours};
use sturdy_kernel::{Effect, Fault, sweep_rings, tidy_up};
use sturdy_types::Millis;

impl Node {
    /// Work for an idle moment: rows of terminated vats, then the engine's own. Returns whether any is left.
    pub fn tidy_up(&mut self, now: Millis) -> Result<bool, Fault> {
        self.refuse_when_stopped()?;
        let tidied = self.tidy(now);
        self.stop_on_fault(now, tidied)
    }

    fn tidy(&mut self, now: Millis) -> Result<bool, Fault> {
        let unread = self.rings.read_on(&self.store, &self.limits)?;
        let rows = self.tidy_rows(now)?;
        Ok(unread || rows || self.store.idle()?)
    }

    fn tidy_rows(&mut self, now: Millis) -> Result<bool, Fault> {
        let mut more = false;
        self.turn(now, |ctx| {
            more = tidy_up(ctx)?;
            Ok(())
        })
        .map_err(ours)?;
        Ok(more)
    }

    /// Nothing else is happening. The rings of a small store that the process before has left are found by the first sweep.
    pub(crate) fn sweep_when_idle(&mut self, now: Millis) -> Result<Vec<Effect>, Fault> {
        self.rings.read_on(&self.store, &self.limits)?;
        if self.rings.are_due() { self.sweep(now) } else { Ok(Vec::new()) }
    }

    /// After each event.
    pub(crate) fn sweep_when_urgent(&mut self, now: Millis) -> Result<Vec<Effect>, Fault> {
        if self.rings.are_urgent(&self.limits) { self.sweep(now) } else { Ok(Vec::new()) }
    }

    fn sweep(&mut self, now: Millis) -> Result<Vec<Effect>, Fault> {
        let suspects = self.rings.take();
        let mut survivors = 0;
        let inner = self.turn(now, |ctx| {
            survivors = sweep_rings(ctx, suspects)?;
            Ok(())
        });
        self.rings.swept(survivors);
        inner.map_err(ours)
    }
}
