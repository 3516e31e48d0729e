//! The kernel services: by name, by object, and their calls that the host has not answered.
//!
//! Keys: `50`, the name as raw UTF-8 · `51`, object id · `52`, service call id.

use crate::record::stored_struct;
use crate::table::tables;
use sturdy_types::{KRef, Message, ObjectId, ServiceCallId};

tables! {
    /// The services by name.
    Services = 0x50, "services", String, (), ServiceRecord;
    /// The names of the services by object.
    ServiceObjects = 0x51, "service-objects", ObjectId, (), String;
    /// The calls that the host has not answered.
    ServiceCalls = 0x52, "service-calls", ServiceCallId, (), ServiceCallRecord;
}

/// One service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Its object.
    pub object: ObjectId,
    /// Whether only system subclusters may ask for it.
    pub system_only: bool,
}

stored_struct!(ServiceRecord { object, system_only });

/// One call of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceCallRecord {
    /// The service's object.
    pub service: ObjectId,
    /// The message.
    pub message: Message<KRef>,
}

stored_struct!(ServiceCallRecord { service, message });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, messages, round_trip};
    use proptest::prelude::*;
    use sturdy_types::{CapData, PromiseId};

    #[test]
    fn golden_bytes() {
        let record = ServiceRecord { object: ObjectId(7), system_only: true };
        golden::<Services>(&"time".to_owned(), &record, "5074696d65", "0701");
        golden::<ServiceObjects>(&ObjectId(7), &"time".to_owned(), "5107", "0474696d65");
        let message = Message { methargs: CapData::plain("#"), result: Some(KRef::Promise(PromiseId(3))) };
        let record = ServiceCallRecord { service: ObjectId(7), message };
        golden::<ServiceCalls>(&ServiceCallId(2), &record, "5202", "07012300010103");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            name in ".{0,40}", object in any::<u64>(), system_only in any::<bool>(), call in any::<u64>(),
            message in messages(),
        ) {
            let object = ObjectId(object);
            round_trip::<Services>(&name, &ServiceRecord { object, system_only });
            round_trip::<ServiceObjects>(&object, &name);
            round_trip::<ServiceCalls>(&ServiceCallId(call), &ServiceCallRecord { service: object, message });
        }
    }
}
