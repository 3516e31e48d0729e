//! What the store says about itself.
//!
//! Keys: `00` alone: the schema row, which every version of the program can read: the bytes `sturdy` and the schema
//! version. `01` alone: the incarnation, 16 bytes. `02` alone: the counters. `03` alone: the seal, whose sum is 8
//! bytes, little end first.

use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use sturdy_types::Incarnation;

tables! {
    /// The one row that says that this is a store, and of which schema.
    SchemaTable = 0x00, "schema", (), (), Schema;
    /// The one row with the store's incarnation.
    IncarnationTable = 0x01, "incarnation", (), (), Incarnation;
    /// The one row of counters.
    CountersTable = 0x02, "counters", (), (), Counters;
    /// The one row that seals all others (`seal.rs`). It is written by commits only, past the open group.
    SealTable = 0x03, "seal", (), (), Seal;
}

const MAGIC: &[u8] = b"sturdy";

/// The version of the grammar of keys and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Schema(pub u32);

impl Stored for Schema {
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.bytes(MAGIC);
        self.0.write(out);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        if from.bytes(MAGIC.len())? == MAGIC { Stored::read(from).map(Self) } else { Err(Corrupt::Variant) }
    }
}

impl Stored for Incarnation {
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.bytes(&self.0);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        let mut id = [0; 16];
        id.copy_from_slice(from.bytes(16)?);
        Ok(Self(id))
    }
}

/// The last number handed out, of each kind of identifier.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// `VatId`.
    pub vats: u32,
    /// `RemoteId`.
    pub remotes: u32,
    /// `SubclusterId`.
    pub subclusters: u32,
    /// `ObjectId`.
    pub objects: u64,
    /// `PromiseId`.
    pub promises: u64,
    /// `CallId`.
    pub calls: u64,
    /// `ServiceCallId`.
    pub services: u64,
    /// `CrankId`.
    pub cranks: u64,
}

stored_struct!(Counters { vats, remotes, subclusters, objects, promises, calls, services, cranks });

/// What the store consists of, the seal apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The number of the batch that wrote it.
    pub batch: u64,
    /// How many rows there are.
    pub rows: u64,
    /// The sum of their digests, modulo 2^64.
    pub sum: u64,
}

impl Stored for Seal {
    fn write(&self, out: &mut RecordWriter<'_>) {
        self.batch.write(out);
        self.rows.write(out);
        out.bytes(&self.sum.to_le_bytes());
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        let (batch, rows) = Stored::read(from)?;
        let mut sum = [0; 8];
        sum.copy_from_slice(from.bytes(8)?);
        Ok(Self { batch, rows, sum: u64::from_le_bytes(sum) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip};
    use proptest::prelude::*;

    fn counters() -> impl Strategy<Value = Counters> {
        any::<((u32, u32, u32), (u64, u64, u64, u64, u64))>().prop_map(|((v, r, s), (o, p, c, t, k))| Counters {
            vats: v,
            remotes: r,
            subclusters: s,
            objects: o,
            promises: p,
            calls: c,
            services: t,
            cranks: k,
        })
    }

    #[test]
    fn golden_bytes() {
        golden::<SchemaTable>(&(), &Schema(1), "00", "73747572647901");
        golden::<IncarnationTable>(&(), &Incarnation([7; 16]), "01", "07070707070707070707070707070707");
        let counters = Counters {
            vats: 1,
            remotes: 2,
            subclusters: 3,
            objects: 300,
            promises: 5,
            calls: 6,
            services: 7,
            cranks: 8,
        };
        golden::<CountersTable>(&(), &counters, "02", "010203ac0205060708");
        let seal = Seal { batch: 300, rows: 4, sum: 0x0102_0304_0506_0708 };
        golden::<SealTable>(&(), &seal, "03", "ac02040807060504030201");
    }

    proptest! {
        #[test]
        fn rows_come_back(counters in counters(), version in any::<u32>(), id in any::<[u8; 16]>(), seal in any::<[u64; 3]>()) {
            round_trip::<CountersTable>(&(), &counters);
            round_trip::<SchemaTable>(&(), &Schema(version));
            round_trip::<IncarnationTable>(&(), &Incarnation(id));
            let [batch, rows, sum] = seal;
            round_trip::<SealTable>(&(), &Seal { batch, rows, sum });
        }
    }
}
