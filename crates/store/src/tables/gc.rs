//! Garbage actions that wait for the vats.
//!
//! Key: `38`, vat id, action (`00` drop export, `01` retire export, `02` retire import), object id. No record.

use crate::key::{KeyPart, KeyReader, KeyWriter};
use crate::record::Corrupt;
use crate::table::tables;
use sturdy_types::{ObjectId, VatId};

tables! {
    /// Which objects each vat is to be told about.
    GcActions = 0x38, "gc-actions", (VatId, GcAction, ObjectId), VatId, ();
}

/// What a vat is to be told about an object. In the order in which the kinds are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GcAction {
    /// Nobody else can reach this export.
    DropExport,
    /// Nobody else can recognize this export.
    RetireExport,
    /// The exporter of this import is gone.
    RetireImport,
}

impl KeyPart for GcAction {
    fn write(&self, out: &mut KeyWriter) {
        out.u8(match self {
            Self::DropExport => 0,
            Self::RetireExport => 1,
            Self::RetireImport => 2,
        });
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::DropExport),
            1 => Ok(Self::RetireExport),
            2 => Ok(Self::RetireImport),
            _ => Err(Corrupt::Variant),
        }
    }

    fn text(&self, out: &mut String) {
        out.push_str(match self {
            Self::DropExport => "drop-export",
            Self::RetireExport => "retire-export",
            Self::RetireImport => "retire-import",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip};
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        golden::<GcActions>(&(VatId(1), GcAction::DropExport, ObjectId(4)), &(), "38010004", "");
        golden::<GcActions>(&(VatId(1), GcAction::RetireImport, ObjectId(400)), &(), "380102f90190", "");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            vat in any::<u32>(), object in any::<u64>(),
            action in prop_oneof![
                Just(GcAction::DropExport), Just(GcAction::RetireExport), Just(GcAction::RetireImport)
            ],
        ) {
            round_trip::<GcActions>(&(VatId(vat), action, ObjectId(object)), &());
        }
    }
}
