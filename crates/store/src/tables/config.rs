//! How configurations are written inside the records of vats and subclusters. There is no table here.

use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use sturdy_types::{ClusterConfig, CodeSpec, RuntimeKind, VatConfig};

impl Stored for RuntimeKind {
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.u8(match self {
            Self::Native => 0,
            Self::JavaScript => 1,
            Self::JavaScriptBundle => 2,
        });
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Native),
            1 => Ok(Self::JavaScript),
            2 => Ok(Self::JavaScriptBundle),
            _ => Err(Corrupt::Variant),
        }
    }
}

stored_struct!(CodeSpec { runtime, entry, modules });
stored_struct!(VatConfig { code, parameters, globals });
stored_struct!(ClusterConfig { bootstrap, vats, services });
