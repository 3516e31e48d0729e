//! The subclusters, which of them the host asked for by name, and who waits for a launch or a start.
//!
//! Keys: `48`, subcluster id · `49`, the name as raw UTF-8 · `4a`, then `01` and a subcluster id or `02` and a vat id.

use crate::key::{KeyPart, KeyReader, KeyWriter};
use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use sturdy_types::{ClusterConfig, ObjectId, PromiseId, SubclusterId, VatId};

tables! {
    /// Every subcluster.
    Subclusters = 0x48, "subclusters", SubclusterId, (), SubclusterRecord;
    /// The system subclusters by name.
    SystemSubclusters = 0x49, "system-subclusters", String, (), SubclusterId;
    /// The tickets of those who wait for a launch or a start. They end with the process.
    Tickets = 0x4a, "tickets", TicketFor, (), u64;
}

/// What a ticket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketFor {
    /// The launch of a subcluster.
    Launch(SubclusterId),
    /// The start of a vat's new heap.
    Start(VatId),
}

impl KeyPart for TicketFor {
    fn write(&self, out: &mut KeyWriter) {
        match self {
            Self::Launch(id) => (out.u8(1), KeyPart::write(id, out)).1,
            Self::Start(id) => (out.u8(2), KeyPart::write(id, out)).1,
        }
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            1 => KeyPart::read(from).map(Self::Launch),
            2 => KeyPart::read(from).map(Self::Start),
            _ => Err(Corrupt::Variant),
        }
    }

    fn text(&self, out: &mut String) {
        match self {
            Self::Launch(id) => id.text(out),
            Self::Start(id) => id.text(out),
        }
    }
}

/// How far the launch of a subcluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubclusterStatus {
    /// Not at its end.
    Launching {
        /// Vats whose start is not committed.
        starting: u32,
        /// The outcome of the bootstrap message, once it is sent.
        bootstrap: Option<PromiseId>,
    },
    /// At its end.
    Running,
}

impl Stored for SubclusterStatus {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Launching { starting, bootstrap } => {
                out.u8(0);
                starting.write(out);
                bootstrap.write(out);
            }
            Self::Running => out.u8(1),
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Launching { starting: Stored::read(from)?, bootstrap: Stored::read(from)? }),
            1 => Ok(Self::Running),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// One subcluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubclusterRecord {
    /// What it was launched from.
    pub config: ClusterConfig,
    /// The name under which the host asked for it, for system subclusters.
    pub system_name: Option<String>,
    /// The name by which the host finds it again, for ordinary ones.
    pub label: Option<String>,
    /// Its vats by name, in launch order.
    pub vats: Vec<(String, VatId)>,
    /// How far its launch is.
    pub status: SubclusterStatus,
    /// The root object of the bootstrap vat.
    pub root: Option<ObjectId>,
}

stored_struct!(SubclusterRecord { config, system_name, label, vats, status, root });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cluster_configs, golden, round_trip};
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let record = SubclusterRecord {
            config: ClusterConfig { bootstrap: "a".into(), vats: vec![], services: vec!["t".into()] },
            system_name: Some("sys".into()),
            label: None,
            vats: vec![("a".into(), VatId(3))],
            status: SubclusterStatus::Launching { starting: 1, bootstrap: Some(PromiseId(4)) },
            root: Some(ObjectId(5)),
        };
        golden::<Subclusters>(&SubclusterId(1), &record, "4801", "01610001017401037379730001016103000101040105");
        golden::<SystemSubclusters>(&"sys".to_owned(), &SubclusterId(1), "49737973", "01");
        golden::<Tickets>(&TicketFor::Launch(SubclusterId(1)), &7, "4a0101", "07");
        golden::<Tickets>(&TicketFor::Start(VatId(2)), &7, "4a0202", "07");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            id in any::<u32>(), config in cluster_configs(), system_name in proptest::option::of(".{0,10}"),
            vats in proptest::collection::vec((".{0,10}", any::<u32>().prop_map(VatId)), 0..4),
            launching in proptest::option::of((any::<u32>(), proptest::option::of(any::<u64>().prop_map(PromiseId)))),
            root in proptest::option::of(any::<u64>().prop_map(ObjectId)), name in ".{0,10}",
            label in proptest::option::of(".{0,10}"), ticket in any::<u64>(),
        ) {
            let status = launching.map_or(SubclusterStatus::Running, |(starting, bootstrap)| {
                SubclusterStatus::Launching { starting, bootstrap }
            });
            let record = SubclusterRecord { config, system_name, label, vats, status, root };
            round_trip::<Subclusters>(&SubclusterId(id), &record);
            round_trip::<SystemSubclusters>(&name, &SubclusterId(id));
            round_trip::<Tickets>(&TicketFor::Launch(SubclusterId(id)), &ticket);
            round_trip::<Tickets>(&TicketFor::Start(VatId(id)), &ticket);
        }
    }
}
