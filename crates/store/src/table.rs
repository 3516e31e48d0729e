//! What a table is: a tag, a name, and the types of its keys and records. The tables themselves are in `tables/`.

use crate::bytes::{Key, hex};
use crate::key::{KeyPart, KeyReader, KeyWriter};
use crate::record::{Corrupt, RecordReader, RecordWriter, Stored};
use std::fmt::Debug;
use sturdy_types::redact_urls;

/// One typed table. The provided functions are how every key and record of every table is written and read.
pub trait Table {
    /// The first byte of its keys. Never reused for another table.
    const TAG: u8;
    /// Its name, for people.
    const NAME: &'static str;
    /// The whole key after the tag.
    type Key: KeyPart + Debug;
    /// What a scan can be narrowed to: a beginning of the key.
    type Prefix: KeyPart + Debug;
    /// What is stored.
    type Record: Stored + Debug;

    /// The key as bytes.
    #[inline]
    fn write_key(key: &Self::Key) -> Key {
        let mut out = KeyWriter::new(Self::TAG);
        key.write(&mut out);
        out.finish()
    }

    /// The bytes with which all keys of this prefix begin.
    #[inline]
    fn write_prefix(prefix: &Self::Prefix) -> Key {
        let mut out = KeyWriter::new(Self::TAG);
        prefix.write(&mut out);
        out.finish()
    }

    /// The reverse of `write_key`. The tag has been looked at already: it chose the table.
    fn read_key(key: &[u8]) -> Result<Self::Key, Corrupt> {
        let mut from = KeyReader::new(key.get(1..).ok_or(Corrupt::Ends)?);
        let read = Self::Key::read(&mut from)?;
        from.finish()?;
        Ok(read)
    }

    /// Appends the record's bytes.
    #[inline]
    fn encode(record: &Self::Record, out: &mut Vec<u8>) {
        record.write(&mut RecordWriter::new(out));
    }

    /// The reverse of `encode`.
    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self::Record, Corrupt> {
        let mut from = RecordReader::new(bytes);
        let record = Self::Record::read(&mut from)?;
        from.finish()?;
        Ok(record)
    }

    /// Key and record as text, for people.
    fn describe(key: &[u8], record: &[u8]) -> Described {
        let corrupt = |part, why| (part, Some(why));
        let (key, key_fault) = match Self::read_key(key) {
            Ok(read) => {
                let mut text = String::new();
                read.text(&mut text);
                (text, None)
            }
            Err(why) => corrupt(hex(key), why),
        };
        let (record, record_fault) = match Self::decode(record) {
            Ok(read) => (format!("{read:?}"), None),
            Err(why) => corrupt(hex(record), why),
        };
        // An OCAP URL is a secret wherever it stands: in an outbox, an argument, a vat's state (L14).
        let [key, record] = [key, record].map(|text| redact_urls(&text).into_owned());
        Described { table: Self::NAME, key, record, corrupt: key_fault.or(record_fault) }
    }
}

/// Rows of a table, in order.
pub type Rows<T> = Vec<(<T as Table>::Key, <T as Table>::Record)>;

/// One row as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The table's name.
    pub table: &'static str,
    /// The key, in hex if it cannot be read.
    pub key: String,
    /// The record, in hex if it cannot be read.
    pub record: String,
    /// Why it cannot be read, if so.
    pub corrupt: Option<Corrupt>,
}

/// Declares tables: `/// doc  Name = tag, "name", Key, Prefix, Record;`
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident = $tag:literal, $text:literal, $key:ty, $prefix:ty, $record:ty;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl $crate::table::Table for $name {
            const TAG: u8 = $tag;
            const NAME: &'static str = $text;
            type Key = $key;
            type Prefix = $prefix;
            type Record = $record;
        }
    )+};
}
pub(crate) use tables;
