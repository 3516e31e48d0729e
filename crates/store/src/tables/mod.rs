//! The tables, one file per family, and the list of them all.
//!
//! What always holds: a tag belongs to one table for ever; keys and records change only together with the schema
//! version (`migrate.rs`). What the rows mean is the kernel's business.

mod calls;
mod clists;
mod config;
mod gc;
mod inbox;
mod losses;
mod meta;
mod objects;
mod promises;
mod redemptions;
mod remotes;
mod services;
mod sources;
mod state;
mod subclusters;
mod vats;

pub use calls::{CallRecord, CallRequests, CallState, Calls};
pub use clists::{ClistByKref, ClistByVref, ClistEntry};
pub use gc::{GcAction, GcActions};
pub use inbox::{Inbox, Item};
pub use losses::{LossRecord, Losses};
pub use meta::{Counters, CountersTable, IncarnationTable, Schema, SchemaTable, Seal, SealTable};
pub use objects::{ObjectRecord, Objects, Owner};
pub use promises::{DecidedBy, Decider, PromiseQueue, PromiseRecord, PromiseState, Promises, Subscriber};
pub use redemptions::{Redeemer, RedemptionRecord, Redemptions, UrlExpiries, UrlRecord, UrlUses, Urls, UrlsByOid};
pub use remotes::{
    EndedConversation, Outbox, PeerKind, RemoteCursor, RemoteCursors, RemoteName, RemoteNames, RemoteRecord,
    RemoteRefs, RemoteState, Remotes, RemotesByPeer, Retiring, RetiringRecord, Settlement, Withheld, WithheldRecord,
};
pub use services::{ServiceCallRecord, ServiceCalls, ServiceObjects, ServiceRecord, Services};
pub use sources::{SourceRecord, Sources};
pub use state::VatState;
pub use subclusters::{SubclusterRecord, SubclusterStatus, Subclusters, SystemSubclusters, TicketFor, Tickets};
pub use vats::{DeathRecord, DoomedVats, ItemId, Reloads, VatCursor, VatCursors, VatRecord, VatStatus, Vats};

use crate::bytes::hex;
use crate::table::{Described, Table};

macro_rules! all_tables {
    ($($table:ident),* $(,)?) => {
        /// One row as text, whichever table it belongs to.
        pub(crate) fn describe(key: &[u8], record: &[u8]) -> Described {
            match key.first() {
                $(Some(&$table::TAG) => $table::describe(key, record),)*
                _ => Described { table: UNKNOWN, key: hex(key), record: hex(record), corrupt: None },
            }
        }

        /// The name of the table that this key belongs to.
        pub(crate) fn name_of(key: &[u8]) -> &'static str {
            match key.first() {
                $(Some(&$table::TAG) => $table::NAME,)*
                _ => UNKNOWN,
            }
        }

        /// Tag and name of every table.
        #[cfg(test)]
        const ALL: &[(u8, &str)] = &[$(($table::TAG, $table::NAME)),*];
    };
}

all_tables!(
    SchemaTable,
    IncarnationTable,
    CountersTable,
    SealTable,
    Objects,
    Promises,
    PromiseQueue,
    DecidedBy,
    ClistByKref,
    ClistByVref,
    Vats,
    VatCursors,
    Reloads,
    DoomedVats,
    Inbox,
    GcActions,
    VatState,
    Subclusters,
    SystemSubclusters,
    Tickets,
    Services,
    ServiceObjects,
    ServiceCalls,
    Calls,
    CallRequests,
    Sources,
    Remotes,
    RemotesByPeer,
    RemoteCursors,
    Outbox,
    RemoteNames,
    RemoteRefs,
    Retiring,
    Withheld,
    Redemptions,
    Urls,
    UrlsByOid,
    UrlExpiries,
    Losses,
);

/// What a row of no known table is called.
pub(crate) const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn tags_and_names_are_unique() {
        assert_eq!(ALL.iter().map(|(tag, _)| tag).collect::<BTreeSet<_>>().len(), ALL.len());
        assert_eq!(ALL.iter().map(|(_, name)| name).collect::<BTreeSet<_>>().len(), ALL.len());
    }

    #[test]
    fn foreign_rows_are_shown_in_hex() {
        let row = describe(&[0xee, 1], &[2, 3]);
        assert_eq!((row.table, row.key.as_str(), row.record.as_str()), ("unknown", "ee01", "0203"));
        assert_eq!(name_of(&[]), "unknown");
    }
}
