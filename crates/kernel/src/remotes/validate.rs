//! Untrusted becomes trusted: every reference of a peer's message is looked at before anything is touched (G11).
//!
//! Each check returns the sentence that is wrong, if one is. What is not wrong may still be gone: that is answered.

use crate::blame::Fault;
use crate::ctx::Ctx;
use std::collections::BTreeSet;
use sturdy_store::RemoteCursor;
use sturdy_types::defect::{self, Defect};
use sturdy_types::{KRef, Message, RRef, RemoteId, Resolution};

/// Nothing is wrong, or this is.
pub(crate) type Verdict = Result<(), String>;

/// What a target is.
pub(crate) enum Target {
    /// Known.
    Known(KRef),
    /// It was, and is no more.
    Gone,
    /// The peer may not say that.
    Wrong(String),
}

/// The peer whose message is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Speaker<'c> {
    pub remote: RemoteId,
    pub cursor: &'c RemoteCursor,
}

impl Ctx<'_, '_> {
    /// A message can only go to something of ours that the peer has, or to a promise.
    pub(crate) fn check_target(&self, by: Speaker<'_>, target: RRef) -> Result<Target, Fault> {
        let RemoteCursor { last_object, last_promise, peer_promise, .. } = *by.cursor;
        let was = match target {
            RRef::Export(_) => return Ok(Target::Wrong(format!("{target} is the peer's own object"))),
            RRef::Import(number) => number <= last_object,
            RRef::PromiseImport(number) => number <= last_promise,
            RRef::PromiseExport(number) => number <= peer_promise,
        };
        Ok(match self.named(by.remote, target)? {
            Some(kref @ KRef::Object(_)) if !self.still_has(by.remote, kref)? => Target::Gone,
            Some(kref) => Target::Known(kref),
            None if was => Target::Gone,
            None => Target::Wrong(format!("the peer was never given {target}")),
        })
    }

    /// References in a value: ours that the peer was given, and the peer's own. Objects of ours that it does not have any
    /// more are no offence: this kernel may have forgotten the peer, or be in another life, and what it let go of crosses
    /// what the peer says. They stand for objects of nobody, so nothing is gained by naming them.
    pub(crate) fn check_slots(&self, by: Speaker<'_>, slots: &[RRef]) -> Result<Verdict, Fault> {
        for &rref in slots {
            let wrong = match rref {
                RRef::Export(_) => None,
                RRef::Import(number) if number <= by.cursor.last_object => None,
                _ if self.named(by.remote, rref)?.is_some() => None,
                RRef::PromiseExport(number) if number > by.cursor.peer_promise => None,
                RRef::PromiseExport(_) => Some(format!("{rref} was settled and forgotten")),
                RRef::Import(_) | RRef::PromiseImport(_) => Some(format!("the peer was never given {rref}")),
            };
            if let Some(wrong) = wrong {
                return Ok(Err(wrong));
            }
        }
        Ok(Ok(()))
    }

    /// The result of a message: a new promise of the peer, or one that it decides.
    pub(crate) fn check_result(&self, by: Speaker<'_>, result: RRef) -> Result<Verdict, Fault> {
        let good = match result {
            // Nothing has a number that was never given.
            RRef::PromiseExport(number) if number > by.cursor.peer_promise => true,
            _ => match self.named(by.remote, result)? {
                Some(kref) => self.peer_decides(by.remote, kref)?,
                None => false,
            },
        };
        let good = good || defect::broken(Defect::ResultNotChecked);
        Ok(if good { Ok(()) } else { Err(format!("{result} cannot be a result: the peer does not decide it")) })
    }

    pub(crate) fn check_message(
        &self,
        by: Speaker<'_>,
        target: RRef,
        message: &Message<RRef>,
    ) -> Result<Verdict, Fault> {
        if let Err(why) = self.check_count(message.methargs.slots.len() + 1) {
            return Ok(Err(why));
        }
        if let Err(why) = self.check_slots(by, &message.methargs.slots)? {
            return Ok(Err(why));
        }
        match message.result {
            Some(result) if result == target => Ok(Err(format!("{result} is both target and result"))),
            Some(result) => self.check_result(by, result),
            None => Ok(Ok(())),
        }
    }

    /// Each promise is settled once, by the peer that decides it.
    pub(crate) fn check_settlements(&self, by: Speaker<'_>, batch: &[Resolution<RRef>]) -> Result<Verdict, Fault> {
        let mut seen = BTreeSet::new();
        let count = batch.iter().map(|one| one.value.slots.len() + 1).sum();
        if let Err(why) = self.check_count(count) {
            return Ok(Err(why));
        }
        for Resolution { promise, value, .. } in batch {
            if !seen.insert(*promise) {
                return Ok(Err(format!("{promise} is settled twice")));
            }
            if self.check_result(by, *promise)?.is_err() {
                return Ok(Err(format!("the peer settles {promise}, which it does not decide")));
            }
            if let Err(why) = self.check_slots(by, &value.slots)? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    /// A message for which there will never be room.
    fn check_count(&self, names: usize) -> Verdict {
        let limit = self.limits.remote_names;
        if names as u64 > limit { Err(format!("it has {names} names, the limit is {limit}")) } else { Ok(()) }
    }
}
