//! The object table.
//!
//! Key: `10`, object id. Record: owner, the two counts, pins, revoked.

use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use sturdy_types::{ObjectId, RemoteId, VatId};

tables! {
    /// Every object that the kernel knows.
    Objects = 0x10, "objects", ObjectId, (), ObjectRecord;
}

/// Who answers messages to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A vat of this kernel.
    Vat(VatId),
    /// A peer kernel.
    Remote(RemoteId),
    /// The kernel itself: a service.
    Kernel,
    /// Nobody any more.
    Orphan,
}

impl Stored for Owner {
    #[inline]
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Vat(vat) => (out.u8(0), vat.write(out)).1,
            Self::Remote(remote) => (out.u8(1), remote.write(out)).1,
            Self::Kernel => out.u8(2),
            Self::Orphan => out.u8(3),
        }
    }

    #[inline]
    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Stored::read(from).map(Self::Vat),
            1 => Stored::read(from).map(Self::Remote),
            2 => Ok(Self::Kernel),
            3 => Ok(Self::Orphan),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRecord {
    /// Who answers.
    pub owner: Owner,
    /// Who can send to it: the count.
    pub reachable: u64,
    /// Who can recognize it: the count.
    pub recognizable: u64,
    /// Reasons of the kernel itself to keep it.
    pub pins: u32,
    /// Whether it was revoked.
    pub revoked: bool,
}

stored_struct!(ObjectRecord { owner, reachable, recognizable, pins, revoked });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip};
    use proptest::prelude::*;

    fn owners() -> impl Strategy<Value = Owner> {
        prop_oneof![
            any::<u32>().prop_map(|id| Owner::Vat(VatId(id))),
            any::<u32>().prop_map(|id| Owner::Remote(RemoteId(id))),
            Just(Owner::Kernel),
            Just(Owner::Orphan),
        ]
    }

    #[test]
    fn golden_bytes() {
        let record =
            ObjectRecord { owner: Owner::Vat(VatId(2)), reachable: 1, recognizable: 300, pins: 0, revoked: true };
        golden::<Objects>(&ObjectId(4), &record, "1004", "000201ac020001");
        let record = ObjectRecord { owner: Owner::Kernel, reachable: 0, recognizable: 0, pins: 1, revoked: false };
        golden::<Objects>(&ObjectId(1000), &record, "10f903e8", "0200000100");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            id in any::<u64>(), owner in owners(), counts in any::<(u64, u64)>(), pins in any::<u32>(),
            revoked in any::<bool>(),
        ) {
            let record = ObjectRecord { owner, reachable: counts.0, recognizable: counts.1, pins, revoked };
            round_trip::<Objects>(&ObjectId(id), &record);
        }
    }
}
