//! The vats: what they are, where they stand, which code they are to be reloaded with, and which of the terminated
//! ones still have rows of state to delete.
//!
//! Keys: `28`, `29`, `2a`, `2b`, each with the vat id.

use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use sturdy_types::{RunId, SubclusterId, VatConfig, VatId};

tables! {
    /// Every vat that is not terminated.
    Vats = 0x28, "vats", VatId, (), VatRecord;
    /// Where each vat stands.
    VatCursors = 0x29, "vat-cursors", VatId, (), VatCursor;
    /// The code of a reload that was asked for and has not started yet.
    Reloads = 0x2a, "reloads", VatId, (), VatConfig;
    /// Terminated vats whose state rows are still to be deleted.
    DoomedVats = 0x2b, "doomed-vats", VatId, (), ();
}

/// Whether a vat runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VatStatus {
    /// Its first start is not committed.
    Starting,
    /// It runs.
    Running,
    /// It failed, with this explanation.
    Failed(String),
}

impl Stored for VatStatus {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Starting => out.u8(0),
            Self::Running => out.u8(1),
            Self::Failed(why) => (out.u8(2), why.write(out)).1,
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Starting),
            1 => Ok(Self::Running),
            2 => Stored::read(from).map(Self::Failed),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// One vat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VatRecord {
    /// The subcluster that it was launched with.
    pub subcluster: SubclusterId,
    /// Its name there.
    pub name: String,
    /// What it was launched from.
    pub config: VatConfig,
    /// Whether it runs.
    pub status: VatStatus,
    /// Whether a start was ever committed: the next one is a restart.
    pub started_once: bool,
}

stored_struct!(VatRecord { subcluster, name, config, status, started_once });

/// Where a vat stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a duty of its own; any of them may be due together")]
pub struct VatCursor {
    /// The heap whose outcome was last committed.
    pub run: RunId,
    /// The next number for an object that the vat is given.
    pub next_object: u64,
    /// The next number for a promise that the vat is given.
    pub next_promise: u64,
    /// The index of the next item to read from the inbox.
    pub inbox_head: u64,
    /// The index of the next item to write to the inbox.
    pub inbox_tail: u64,
    /// Deliveries since the vat was last asked for its garbage.
    pub deliveries_since_reap: u32,
    /// Whether it is to be asked for its garbage.
    pub reap_due: bool,
    /// Whether it is to be started.
    pub start_due: bool,
    /// Whether no heap of it is alive since the process began.
    pub heapless: bool,
    /// Whether it could not be started and takes no messages.
    pub failed: bool,
    /// How many garbage actions wait for it.
    pub gc_due: u64,
    /// How often the process died on the item that it works on, if it did.
    pub deaths: Option<DeathRecord>,
}

impl VatCursor {
    /// An item was worked off: the process did not die on it. Deaths on other items stay noted, for a start comes
    /// between each of them and the next try.
    pub fn survived(&mut self, item: ItemId) {
        if self.deaths.is_some_and(|deaths| deaths.item == item) {
            self.deaths = None;
        }
    }
}

impl Default for VatCursor {
    fn default() -> Self {
        Self {
            run: RunId(0),
            next_object: 0,
            next_promise: 0,
            inbox_head: 0,
            inbox_tail: 0,
            deliveries_since_reap: 0,
            reap_due: false,
            start_due: false,
            heapless: false,
            failed: false,
            gc_due: 0,
            deaths: None,
        }
    }
}

stored_struct!(VatCursor {
    run,
    next_object,
    next_promise,
    inbox_head,
    inbox_tail,
    deliveries_since_reap,
    reap_due,
    start_due,
    heapless,
    failed,
    gc_due,
    deaths
});

/// One thing that a vat can be working on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemId {
    /// A start.
    Start,
    /// Garbage actions.
    Gc,
    /// A request for its garbage.
    Reap,
    /// The item of its inbox with this index.
    Inbox(u64),
}

impl Stored for ItemId {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Start => out.u8(0),
            Self::Gc => out.u8(1),
            Self::Reap => out.u8(2),
            Self::Inbox(index) => (out.u8(3), out.number(*index)).1,
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Start),
            1 => Ok(Self::Gc),
            2 => Ok(Self::Reap),
            3 => from.number().map(Self::Inbox),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// How often the process died on one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeathRecord {
    /// The item.
    pub item: ItemId,
    /// How often.
    pub deaths: u32,
}

stored_struct!(DeathRecord { item, deaths });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip, vat_configs};
    use proptest::prelude::*;
    use sturdy_types::{CodeSpec, RuntimeKind, SourceHash};

    fn items() -> impl Strategy<Value = ItemId> {
        prop_oneof![Just(ItemId::Start), Just(ItemId::Gc), Just(ItemId::Reap), any::<u64>().prop_map(ItemId::Inbox)]
    }

    fn statuses() -> impl Strategy<Value = VatStatus> {
        prop_oneof![Just(VatStatus::Starting), Just(VatStatus::Running), ".{0,20}".prop_map(VatStatus::Failed)]
    }

    prop_compose! {
        fn cursors()(
            numbers in any::<[u64; 5]>(), small in any::<(u32, u32)>(), due in any::<(bool, bool, bool, bool)>(),
            deaths in proptest::option::of((items(), any::<u32>())),
        ) -> VatCursor {
            VatCursor {
                run: RunId(small.0),
                next_object: numbers[0],
                next_promise: numbers[1],
                inbox_head: numbers[2],
                inbox_tail: numbers[3],
                deliveries_since_reap: small.1,
                reap_due: due.0,
                start_due: due.1,
                heapless: due.2,
                failed: due.3,
                gc_due: numbers[4],
                deaths: deaths.map(|(item, deaths)| DeathRecord { item, deaths }),
            }
        }
    }

    #[test]
    fn golden_bytes() {
        let code = CodeSpec {
            runtime: RuntimeKind::JavaScript,
            entry: "a.js".into(),
            modules: vec![("a.js".into(), SourceHash([0xab; 32]))],
        };
        let config = VatConfig { code, parameters: "#{}".into(), globals: vec!["fetch".into()] };
        let record = VatRecord {
            subcluster: SubclusterId(1),
            name: "bob".into(),
            config,
            status: VatStatus::Failed("no".into()),
            started_once: true,
        };
        let hash = "ab".repeat(32);
        let text = format!("0103626f620104612e6a730104612e6a73{hash}03237b7d0105666574636802026e6f01");
        golden::<Vats>(&VatId(1), &record, "2801", &text);
        let cursor = VatCursor {
            run: RunId(1),
            next_object: 2,
            next_promise: 3,
            inbox_head: 4,
            inbox_tail: 5,
            deliveries_since_reap: 6,
            reap_due: true,
            start_due: false,
            heapless: true,
            failed: false,
            gc_due: 7,
            deaths: Some(DeathRecord { item: ItemId::Inbox(5), deaths: 2 }),
        };
        golden::<VatCursors>(&VatId(1), &cursor, "2901", "010203040506010001000701030502");
        golden::<Reloads>(&VatId(1), &record.config, "2a01", &text[10..text.len() - 10]);
        golden::<DoomedVats>(&VatId(300), &(), "2bf9012c", "");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            vat in any::<u32>(), subcluster in any::<u32>(), name in ".{0,20}", config in vat_configs(),
            status in statuses(), started_once in any::<bool>(), cursor in cursors(),
        ) {
            let vat = VatId(vat);
            let subcluster = SubclusterId(subcluster);
            round_trip::<Reloads>(&vat, &config);
            round_trip::<Vats>(&vat, &VatRecord { subcluster, name, config, status, started_once });
            round_trip::<VatCursors>(&vat, &cursor);
            round_trip::<DoomedVats>(&vat, &());
        }
    }
}
