//! The inboxes of the vats.
//!
//! Key: `30`, vat id, index. Record: `00` target message, or `01` promise.

use crate::record::{Corrupt, RecordReader, RecordWriter, Stored};
use crate::table::tables;
use sturdy_types::{KRef, Message, ObjectId, PromiseId, VatId};

tables! {
    /// What waits for each vat, by index.
    Inbox = 0x30, "inbox", (VatId, u64), VatId, Item;
}

/// One thing that waits for a vat.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A message to one of its objects.
    Send {
        /// The object.
        target: ObjectId,
        /// The message.
        message: Message<KRef>,
    },
    /// A promise that it waits for is settled.
    Notify(PromiseId),
}

impl Stored for Item {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Send { target, message } => {
                out.u8(0);
                target.write(out);
                message.write(out);
            }
            Self::Notify(promise) => (out.u8(1), promise.write(out)).1,
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Send { target: Stored::read(from)?, message: Stored::read(from)? }),
            1 => Stored::read(from).map(Self::Notify),
            _ => Err(Corrupt::Variant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, messages, round_trip};
    use proptest::prelude::*;
    use sturdy_types::CapData;

    #[test]
    fn golden_bytes() {
        let message = Message { methargs: CapData::plain("#[]"), result: None };
        let send = Item::Send { target: ObjectId(4), message };
        golden::<Inbox>(&(VatId(1), 300), &send, "3001f9012c", "000403235b5d0000");
        golden::<Inbox>(&(VatId(1), 2), &Item::Notify(PromiseId(17)), "300102", "0111");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            vat in any::<u32>(), index in any::<u64>(), target in any::<u64>(), message in messages(),
            promise in any::<u64>(),
        ) {
            round_trip::<Inbox>(&(VatId(vat), index), &Item::Send { target: ObjectId(target), message });
            round_trip::<Inbox>(&(VatId(vat), index), &Item::Notify(PromiseId(promise)));
        }
    }
}
