//! What is running, for people and programs.

use crate::blame::Fault;
use crate::control::{ServiceInfo, Status, SubclusterInfo, VatInfo, VatPhase};
use crate::ctx::Ctx;
use sturdy_store::{Services, Subclusters, VatStatus, Vats};

impl Ctx<'_, '_> {
    pub(crate) fn status(&self) -> Result<Status, Fault> {
        let mut vats = Vec::new();
        for (id, record) in self.scan::<Vats>(&())? {
            let cursor = self.cursor(id)?;
            vats.push(VatInfo {
                id,
                name: record.name,
                subcluster: record.subcluster,
                config: record.config,
                phase: match record.status {
                    _ if cursor.start_due => VatPhase::Starting,
                    VatStatus::Starting => VatPhase::Starting,
                    VatStatus::Running => VatPhase::Running,
                    VatStatus::Failed(why) => VatPhase::Failed(why),
                },
                run: cursor.run,
                root: self.root_of(id)?,
                waiting: cursor.inbox_tail - cursor.inbox_head,
            });
        }
        let subclusters = self.scan::<Subclusters>(&())?.into_iter().map(|(id, record)| SubclusterInfo {
            id,
            config: record.config,
            system_name: record.system_name,
            label: record.label,
            vats: record.vats,
            root: record.root,
        });
        let services = self.scan::<Services>(&())?.into_iter().map(|(name, service)| ServiceInfo {
            name,
            object: service.object,
            system_only: service.system_only,
        });
        Ok(Status {
            incarnation: self.turn.incarnation(),
            subclusters: subclusters.collect(),
            vats,
            services: services.collect(),
            peers: self.peers()?,
        })
    }
}
