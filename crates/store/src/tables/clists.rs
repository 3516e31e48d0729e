//! The capability lists: which kernel reference a vat knows by which name, from both sides.
//!
//! Keys: `20`, kernel reference, vat id · `21`, vat id, vat reference. The references in keys are `00` object or `01`
//! promise with its id; and `00` `o+N`, `01` `o-N`, `02` `p+N`, `03` `p-N`, `04`–`07` virtual (`key.rs`).

use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use sturdy_types::{Hold, KRef, VRef, VatId};

tables! {
    /// What each vat calls a kernel reference.
    ClistByKref = 0x20, "clist-by-kref", (KRef, VatId), KRef, ClistEntry;
    /// What a vat's reference means.
    ClistByVref = 0x21, "clist-by-vref", (VatId, VRef), VatId, KRef;
}

/// One entry of a vat's capability list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClistEntry {
    /// The vat's name for it.
    pub vref: VRef,
    /// Whether the vat can reach it (imports), or anybody else can (exports).
    pub reachable: bool,
    /// How firmly the vat's durable state holds it.
    pub hold: Hold,
}

impl Stored for Hold {
    #[inline]
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.u8(match self {
            Self::None => 0,
            Self::Weak => 1,
            Self::Strong => 2,
        });
    }

    #[inline]
    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::None),
            1 => Ok(Self::Weak),
            2 => Ok(Self::Strong),
            _ => Err(Corrupt::Variant),
        }
    }
}

stored_struct!(ClistEntry { vref, reachable, hold });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, krefs, round_trip, vrefs};
    use proptest::prelude::*;
    use sturdy_types::{ObjectId, PromiseId, VirtualRef};

    #[test]
    fn golden_bytes() {
        let entry = ClistEntry { vref: VRef::Import(3), reachable: true, hold: Hold::Strong };
        golden::<ClistByKref>(&(KRef::Object(ObjectId(4)), VatId(1)), &entry, "20000401", "01030102");
        let virt = VRef::Virtual(VirtualRef { durable: true, kind: 10, instance: 1, facet: Some(2) });
        let entry = ClistEntry { vref: virt, reachable: false, hold: Hold::None };
        golden::<ClistByKref>(&(KRef::Promise(PromiseId(4)), VatId(1)), &entry, "20010401", "050a0101020000");
        golden::<ClistByVref>(&(VatId(1), virt), &KRef::Object(ObjectId(9)), "2101070a0102", "0009");
        golden::<ClistByVref>(&(VatId(1), VRef::PromiseImport(5)), &KRef::Promise(PromiseId(9)), "21010305", "0109");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            kref in krefs(), vat in any::<u32>(), vref in vrefs(), reachable in any::<bool>(),
            hold in prop_oneof![Just(Hold::None), Just(Hold::Weak), Just(Hold::Strong)],
        ) {
            round_trip::<ClistByKref>(&(kref, VatId(vat)), &ClistEntry { vref, reachable, hold });
            round_trip::<ClistByVref>(&(VatId(vat), vref), &kref);
        }
    }
}
