//! What a peer held of ours when it lost its state (L11): its new life does not know of it, and has to redeem again what it
//! is to reach.
//!
//! What always holds: a row of `Losses` counts the lost names of its peer, and there is none where nothing is lost. Names
//! that an older program has marked are not counted; whatever releases the others releases them, too.

use crate::blame::Fault;
use crate::ctx::Ctx;
use sturdy_store::{LossRecord, Losses, RemoteName, RemoteNames, RemoteRefs};
use sturdy_types::{KRef, RRef, RemoteId};

impl Ctx<'_, '_> {
    /// The peer does not know any more that it holds this object of ours.
    pub(super) fn lose_name(&mut self, remote: RemoteId, kref: KRef, name: RemoteName) -> Result<(), Fault> {
        let before = self.get::<Losses>(&remote)?.map_or(0, |row| row.held);
        let held = before + u64::from(!name.lost);
        if held > 0 {
            self.put::<Losses>(&remote, &LossRecord { held, since: self.now });
        }
        self.put::<RemoteNames>(&(kref, remote), &RemoteName { last_named: 0, lost: true, ..name });
        Ok(())
    }

    /// A name is the peer's again, or is gone.
    pub(super) fn no_longer_lost(&mut self, remote: RemoteId, name: RemoteName) -> Result<(), Fault> {
        if let Some(row) = self.get::<Losses>(&remote)?.filter(|_| name.lost) {
            match row.held.saturating_sub(1) {
                0 => self.delete::<Losses>(&remote),
                held => self.put::<Losses>(&remote, &LossRecord { held, ..row }),
            }
        }
        Ok(())
    }

    /// Objects of ours that a life of the peer holds that is over.
    pub(super) fn held_by_lost(&self, remote: RemoteId) -> Result<u64, Fault> {
        Ok(self.get::<Losses>(&remote)?.map_or(0, |row| row.held))
    }

    /// Lets go of all of it.
    pub(super) fn release_lost(&mut self, remote: RemoteId) -> Result<(), Fault> {
        for ((_, rref), kref) in self.scan::<RemoteRefs>(&remote)? {
            if let (RRef::Import(_), Some(RemoteName { lost: true, .. })) = (rref, self.name_of(remote, kref)?) {
                self.unlink_name(remote, kref)?;
            }
        }
        Ok(())
    }

    /// Lets go of what was held long enough.
    pub(crate) fn expire_losses(&mut self) -> Result<(), Fault> {
        for (remote, row) in self.scan::<Losses>(&())? {
            if row.since > self.now {
                // By the clock of an earlier process.
                self.put::<Losses>(&remote, &LossRecord { since: self.now, ..row });
            } else if self.now - row.since >= self.limits.lost_exports_age_ms {
                self.release_lost(remote)?;
            }
        }
        Ok(())
    }
}
