//! The host callers' durable interest in results.
//!
//! Keys: `58`, call id · `59`, the request id chosen by the client as raw UTF-8.

use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use sturdy_types::{CallId, CapData, KRef, Millis, PromiseId};

tables! {
    /// Every call whose answer is not acknowledged.
    Calls = 0x58, "calls", CallId, (), CallRecord;
    /// Calls by the request id of their client.
    CallRequests = 0x59, "call-requests", String, (), CallId;
}

/// Whether a call is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum CallState {
    /// Not yet: it waits for this promise.
    Waiting(PromiseId),
    /// It is.
    Settled {
        /// True when it was rejected.
        rejected: bool,
        /// The value or the reason.
        value: CapData<KRef>,
        /// When.
        at: Millis,
    },
}

impl Stored for CallState {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Waiting(promise) => (out.u8(0), promise.write(out)).1,
            Self::Settled { rejected, value, at } => {
                out.u8(1);
                rejected.write(out);
                value.write(out);
                out.number(*at);
            }
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Stored::read(from).map(Self::Waiting),
            1 => Ok(Self::Settled { rejected: Stored::read(from)?, value: Stored::read(from)?, at: from.number()? }),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// One call by a host caller.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// The client's own id for it, if it chose one.
    pub request: Option<String>,
    /// What was called.
    pub target: KRef,
    /// Whether it is answered.
    pub state: CallState,
}

stored_struct!(CallRecord { request, target, state });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{capdata, golden, krefs, round_trip};
    use proptest::prelude::*;
    use sturdy_types::ObjectId;

    #[test]
    fn golden_bytes() {
        let target = KRef::Object(ObjectId(4));
        let record = CallRecord { request: Some("r".into()), target, state: CallState::Waiting(PromiseId(9)) };
        golden::<Calls>(&CallId(1), &record, "5801", "01017200040009");
        let state = CallState::Settled { rejected: true, value: CapData::plain("#1"), at: 1000 };
        golden::<Calls>(&CallId(1), &CallRecord { request: None, target, state }, "5801", "000004010102233100e807");
        golden::<CallRequests>(&"r".to_owned(), &CallId(1), "5972", "01");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            id in any::<u64>(), request in proptest::option::of(".{0,40}"), target in krefs(),
            state in prop_oneof![
                any::<u64>().prop_map(|id| CallState::Waiting(PromiseId(id))),
                (any::<bool>(), capdata(), any::<u64>())
                    .prop_map(|(rejected, value, at)| CallState::Settled { rejected, value, at }),
            ],
            name in ".{0,40}",
        ) {
            round_trip::<Calls>(&CallId(id), &CallRecord { request, target, state });
            round_trip::<CallRequests>(&name, &CallId(id));
        }
    }
}
