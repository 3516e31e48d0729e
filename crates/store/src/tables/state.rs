//! The durable state of the vats.
//!
//! Key: `40`, vat id, the vat's own key as raw UTF-8. Record: the vat's own value as text.

use crate::table::tables;
use sturdy_types::VatId;

tables! {
    /// Each vat's own keys and values. The prefix is a vat and a beginning of its keys (which may be empty).
    VatState = 0x40, "vat-state", (VatId, String), (VatId, String), String;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip};
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        golden::<VatState>(&(VatId(1), "vom.a".into()), &"é".to_owned(), "4001766f6d2e61", "02c3a9");
        golden::<VatState>(&(VatId(1), String::new()), &String::new(), "4001", "00");
    }

    proptest! {
        #[test]
        fn rows_come_back(vat in any::<u32>(), key in ".{0,60}", value in ".{0,60}") {
            round_trip::<VatState>(&(VatId(vat), key), &value);
        }
    }
}
