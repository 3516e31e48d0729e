//! What a host does when it is done: vats forget, answers and URLs are let go of, and what is left is counted.
//!
//! What always holds: a call that may have been made, because its process ended before it answered, is let go of, too.

use super::super::road::{Road, Trouble};
use super::super::{Ask, NOTHING};
use super::{PATIENCE, Player, Stop};
use std::collections::BTreeMap;
use sturdy_kernel::{Answer, Request, WhichUrl};

impl<R: Road> Player<'_, R> {
    /// Every vat forgets what it was told.
    pub(super) fn forget(&mut self) -> Result<(), Stop> {
        self.tell_all("forget")
    }

    fn tell_all(&mut self, method: &'static str) -> Result<(), Stop> {
        for (vat, _) in self.pattern.cast {
            let ask = Ask { to: vat, method, args: "[]" };
            let open = self.call(&ask)?;
            let outcome = self.outcome(open)?;
            self.compare(outcome, NOTHING)?;
        }
        Ok(())
    }

    pub(super) fn tidy_and_collect(&mut self) -> Result<(), Stop> {
        self.tell_all("tidy")?;
        Ok(self.road.collect()?)
    }

    /// The host lets go of every answer and every URL.
    pub(super) fn let_go(&mut self) -> Result<(), String> {
        for (kernel, call) in std::mem::take(&mut self.unsure) {
            if let Some(Answer::Called(call)) = self.rid(kernel, &call)? {
                self.open.push((kernel, call, self.road.losses(kernel)));
            }
        }
        for (kernel, call, losses) in std::mem::take(&mut self.open) {
            if self.road.losses(kernel) == losses {
                self.rid(kernel, &Request::Acknowledge(call))?;
            }
        }
        self.given.clear();
        for (kernel, oid) in std::mem::take(&mut self.urls) {
            self.rid(kernel, &Request::RevokeUrl(WhichUrl::Oid(oid)))?;
        }
        Ok(())
    }

    /// Asks about something that may be gone: with its process or its store, or because it was asked before.
    fn rid(&mut self, kernel: usize, request: &Request) -> Result<Option<Answer>, String> {
        for _ in 0..PATIENCE {
            match self.road.ask(kernel, request.clone()) {
                Ok(answer) => return Ok(Some(answer)),
                Err(Trouble::Refused(_)) => return Ok(None),
                Err(Trouble::Ended) => {}
                Err(Trouble::Broken(what)) => return Err(what),
            }
        }
        Ok(None)
    }

    pub(super) fn census_at_rest(&mut self) -> Result<Vec<BTreeMap<&'static str, u64>>, String> {
        for _ in 0..PATIENCE {
            match self.tidy_and_collect() {
                Ok(()) => {
                    self.let_go()?;
                    self.road.collect().map_err(|trouble| trouble.to_string())?;
                    return Ok((0..self.road.kernels()).map(|kernel| self.road.census(kernel)).collect());
                }
                Err(Stop::Lost) => self.until_done(Self::launch_all)?,
                Err(Stop::Wrong(what)) => return Err(what),
            }
        }
        Err("it was begun again too often".into())
    }
}
