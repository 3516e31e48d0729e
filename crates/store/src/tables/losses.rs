//! What peers that have lost their state still hold of ours.
//!
//! Key: `75`, remote id. Record: how many objects, when the peer last lost its state.

use crate::record::stored_struct;
use crate::table::tables;
use sturdy_types::{Millis, RemoteId};

tables! {
    /// Peers that have lost their state and held objects of ours, as long as they hold any that they have not redeemed again.
    Losses = 0x75, "losses", RemoteId, (), LossRecord;
}

/// What one peer still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossRecord {
    /// Names of objects of ours that are lost.
    pub held: u64,
    /// When it lost its state the last time.
    pub since: Millis,
}

stored_struct!(LossRecord { held, since });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip};
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        golden::<Losses>(&RemoteId(2), &LossRecord { held: 3, since: 4 }, "7502", "0304");
    }

    proptest! {
        #[test]
        fn rows_come_back(remote in any::<u32>(), held in any::<u64>(), since in any::<u64>()) {
            round_trip::<Losses>(&RemoteId(remote), &LossRecord { held, since });
        }
    }
}
