//! What the tests of this crate share: golden bytes, round trips, and strategies for the nouns.

use crate::bytes::hex;
use crate::table::Table;
use proptest::collection::vec;
use proptest::prelude::*;
use sturdy_types::{
    CapData, ClusterConfig, CodeSpec, KRef, Message, ObjectId, PromiseId, RuntimeKind, SourceHash, VRef, VatConfig,
    VirtualRef,
};

fn encoded<T: Table>(record: &T::Record) -> Vec<u8> {
    let mut out = Vec::new();
    T::encode(record, &mut out);
    out
}

/// Key and record have exactly these bytes, and the bytes mean this key and record.
pub fn golden<T: Table>(key: &T::Key, record: &T::Record, key_hex: &str, record_hex: &str)
where
    T::Key: PartialEq,
    T::Record: PartialEq,
{
    assert_eq!(hex(T::write_key(key).as_slice()), key_hex, "the key {key:?} of {}", T::NAME);
    assert_eq!(hex(&encoded::<T>(record)), record_hex, "the record {record:?} of {}", T::NAME);
    round_trip::<T>(key, record);
}

/// Key and record come back; every shortening and lengthening of the record is refused.
pub fn round_trip<T: Table>(key: &T::Key, record: &T::Record)
where
    T::Key: PartialEq,
    T::Record: PartialEq,
{
    assert_eq!(T::read_key(T::write_key(key).as_slice()).as_ref(), Ok(key));
    let mut bytes = encoded::<T>(record);
    assert_eq!(T::decode(&bytes).as_ref(), Ok(record));
    for end in 0..bytes.len() {
        assert!(T::decode(&bytes[..end]).is_err(), "the first {end} bytes of {record:?} are a record");
    }
    bytes.push(0);
    assert!(T::decode(&bytes).is_err(), "a byte after {record:?} is not noticed");
    let row = T::describe(T::write_key(key).as_slice(), &encoded::<T>(record));
    assert_eq!((row.table, row.corrupt), (T::NAME, None));
}

pub fn krefs() -> impl Strategy<Value = KRef> {
    prop_oneof![
        any::<u64>().prop_map(|id| KRef::Object(ObjectId(id))),
        (0u64..1000).prop_map(|id| KRef::Promise(PromiseId(id))),
    ]
}

pub fn vrefs() -> impl Strategy<Value = VRef> {
    prop_oneof![
        any::<u64>().prop_map(VRef::Export),
        any::<u64>().prop_map(VRef::Import),
        any::<u64>().prop_map(VRef::PromiseExport),
        any::<u64>().prop_map(VRef::PromiseImport),
        any::<(bool, u32, u64, Option<u16>)>().prop_map(|(durable, kind, instance, facet)| {
            VRef::Virtual(VirtualRef { durable, kind, instance, facet })
        }),
    ]
}

pub fn capdata() -> impl Strategy<Value = CapData<KRef>> {
    (".{0,40}", vec(krefs(), 0..4)).prop_map(|(body, slots)| CapData { body, slots })
}

pub fn messages() -> impl Strategy<Value = Message<KRef>> {
    (capdata(), proptest::option::of(krefs())).prop_map(|(methargs, result)| Message { methargs, result })
}

pub fn vat_configs() -> impl Strategy<Value = VatConfig> {
    let runtimes =
        prop_oneof![Just(RuntimeKind::Native), Just(RuntimeKind::JavaScript), Just(RuntimeKind::JavaScriptBundle)];
    let modules = vec((".{0,10}", any::<[u8; 32]>().prop_map(SourceHash)), 0..3);
    (runtimes, ".{0,10}", modules, ".{0,10}", vec(".{0,5}", 0..3)).prop_map(
        |(runtime, entry, modules, parameters, globals)| VatConfig {
            code: CodeSpec { runtime, entry, modules },
            parameters,
            globals,
        },
    )
}

pub fn cluster_configs() -> impl Strategy<Value = ClusterConfig> {
    (".{0,10}", vec((".{0,10}", vat_configs()), 0..3), vec(".{0,5}", 0..3))
        .prop_map(|(bootstrap, vats, services)| ClusterConfig { bootstrap, vats, services })
}
