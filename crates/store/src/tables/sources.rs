//! The source texts by content hash.
//!
//! Key: `60`, the hash (32 bytes). Record: how many vats use it, the text.

use crate::record::stored_struct;
use crate::table::tables;
use sturdy_types::SourceHash;

tables! {
    /// Every source text that a vat uses.
    Sources = 0x60, "sources", SourceHash, (), SourceRecord;
}

/// One source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// How many vats use it.
    pub uses: u32,
    /// The text.
    pub text: String,
}

stored_struct!(SourceRecord { uses, text });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip};
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let record = SourceRecord { uses: 2, text: "x".into() };
        golden::<Sources>(&SourceHash([0x5a; 32]), &record, &format!("60{}", "5a".repeat(32)), "020178");
    }

    proptest! {
        #[test]
        fn rows_come_back(hash in any::<[u8; 32]>(), uses in any::<u32>(), text in ".{0,200}") {
            round_trip::<Sources>(&SourceHash(hash), &SourceRecord { uses, text });
        }
    }
}
