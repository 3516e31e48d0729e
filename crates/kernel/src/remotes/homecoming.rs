//! Promises that come home while messages to them are on their way to the peer and back (L5).
//!
//! What always holds: such a promise is settled here only when everything that we sent to it through the peer has come
//! back, or what is sent to it later would overtake that. Proof is what the peer had numbered when it acknowledged a
//! message of ours: it sends back what it takes in, in the same turn. Until then its settlement is a row `withheld`.

use crate::blame::Fault;
use crate::ctx::Ctx;
use std::collections::BTreeMap;
use sturdy_remote::{Body, Delivered};
use sturdy_store::{Decider, PromiseState, Promises, RemoteNames, Settlement, Withheld, WithheldRecord};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CapData, KRef, PromiseId, RemoteId};

/// How often a promise may come home as a result before anything has settled it.
const HOMECOMINGS: usize = 64;

impl Ctx<'_, '_> {
    /// Whether messages went to this promise that the peer may still send back. What a `whatever` peer decides gets none.
    pub(super) fn has_messages_on_the_way(&self, remote: RemoteId, id: PromiseId) -> Result<bool, Fault> {
        let ever = self.need::<RemoteNames>(&(id.into(), remote))?.last_named > 0;
        Ok(ever && self.pipelines(remote, id)? && !defect::broken(Defect::SettledBeforePipelineIsHome))
    }

    /// A promise comes home as the result of a message of the peer, while messages to it are on their way. A new promise
    /// takes over its name, so what comes back goes to that one; the old one is settled like it.
    pub(super) fn stand_in(&mut self, remote: RemoteId, id: PromiseId) -> Result<PromiseId, Fault> {
        let name = self.need::<RemoteNames>(&(id.into(), remote))?;
        let home = self.new_promise(Decider::Nobody)?;
        self.unlink_name(remote, id.into())?;
        self.link_name(remote, home.into(), name.rref, 0)?;
        // Lets go of nothing. The peer sends what had waited there after the message that we are taking in, so that one's
        // acknowledgement proves too little; this one's proves enough.
        let sent = self.append(remote, Body::Deliver(Delivered::DropExports(Vec::new())))?;
        self.hold_promise(home)?;
        self.put::<Withheld>(
            &(remote, id),
            &WithheldRecord { sent, until: 0, settlement: Settlement::LikeThatOf(home) },
        );
        Ok(home)
    }

    /// Whether a result comes home once more after it did so too often, each time with messages to it on their way. Calls
    /// of which each goes to what another one results in are handed to and fro like this for ever; in one kernel they
    /// would wait for each other.
    pub(super) fn goes_in_circles(&self, remote: RemoteId, result: Option<PromiseId>) -> Result<bool, Fault> {
        let Some(mut id) = result else { return Ok(false) };
        let likes = self.withheld_like_others(remote)?;
        let likes: BTreeMap<PromiseId, PromiseId> = likes.into_iter().map(|(id, home)| (home, id)).collect();
        for _ in 0..HOMECOMINGS {
            let Some(before) = likes.get(&id) else { return Ok(false) };
            id = *before;
        }
        Ok(true)
    }

    /// Promises that will be settled like others, and these others, which the peer is told of when they are settled.
    pub(crate) fn withheld_like_others(&self, remote: RemoteId) -> Result<Vec<(PromiseId, PromiseId)>, Fault> {
        let likes = self.scan::<Withheld>(&remote)?.into_iter().filter_map(|((_, id), row)| match row.settlement {
            Settlement::LikeThatOf(home) => Some((id, home)),
            Settlement::Is { .. } => None,
        });
        Ok(likes.collect())
    }

    /// The peer has settled a promise, and the messages up to `sent` that went to it have not come back.
    pub(super) fn withhold(
        &mut self,
        remote: RemoteId,
        id: PromiseId,
        sent: u64,
        (rejected, value): (bool, CapData<KRef>),
    ) -> Result<(), Fault> {
        self.hold_slots(&value)?;
        let settlement = Settlement::Is { rejected, value };
        self.put::<Withheld>(&(remote, id), &WithheldRecord { sent, until: 0, settlement });
        Ok(())
    }

    /// The peer has acknowledged `ack`, when it had numbered everything below `until`.
    pub(super) fn date_withheld(&mut self, remote: RemoteId, ack: u64, until: u64) -> Result<(), Fault> {
        for (key, withheld) in self.scan::<Withheld>(&remote)? {
            if withheld.until == 0 && withheld.sent <= ack {
                self.put::<Withheld>(&key, &WithheldRecord { until, ..withheld });
            }
        }
        Ok(())
    }

    /// Settles what has waited long enough. A promise that stands in for another is told to the peer when it is settled, so
    /// the peer's acknowledgement brings us here at the latest.
    pub(super) fn settle_withheld(&mut self, remote: RemoteId, highest_received: u64) -> Result<(), Fault> {
        // One may wait for the other.
        let mut again = true;
        while std::mem::take(&mut again) {
            for ((_, id), WithheldRecord { until, settlement, .. }) in self.scan::<Withheld>(&remote)? {
                if until == 0 || until - 1 > highest_received {
                    continue;
                }
                let Some((rejected, value)) = self.settlement_known(&settlement)? else { continue };
                self.delete::<Withheld>(&(remote, id));
                self.settle(id, rejected, value)?;
                self.release_settlement(&settlement)?;
                again = true;
            }
        }
        Ok(())
    }

    fn settlement_known(&self, settlement: &Settlement) -> Result<Option<(bool, CapData<KRef>)>, Fault> {
        Ok(match settlement {
            Settlement::Is { rejected, value } => Some((*rejected, value.clone())),
            Settlement::LikeThatOf(home) => match self.need::<Promises>(home)?.state {
                PromiseState::Unresolved { .. } => None,
                PromiseState::Fulfilled(value) => Some((false, value)),
                PromiseState::Rejected(value) => Some((true, value)),
            },
        })
    }

    /// The conversation is over: nothing comes back any more.
    pub(super) fn drop_withheld(&mut self, remote: RemoteId) -> Result<(), Fault> {
        for (key, withheld) in self.scan::<Withheld>(&remote)? {
            self.delete::<Withheld>(&key);
            self.release_settlement(&withheld.settlement)?;
        }
        Ok(())
    }

    fn release_settlement(&mut self, settlement: &Settlement) -> Result<(), Fault> {
        match settlement {
            Settlement::Is { value, .. } => self.release_slots(value),
            Settlement::LikeThatOf(home) => self.release_promise(*home),
        }
    }
}
