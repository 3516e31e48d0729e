//! The values that can be passed between vats. Always: a [`BigInt`] is canonical. Not here: their text forms.

use crate::json::{Json, JsonError, read};
use std::cmp::Ordering;
use std::fmt;

/// A passable value. References are indices into the slots that travel beside the value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A double, including the values that are not finite. There is only one zero.
    Number(f64),
    /// An integer of any size.
    BigInt(BigInt),
    /// A symbol by its smallcaps name: `name` for a registered one, `@@asyncIterator` for a well-known one,
    /// `@@@@name` for a registered one whose name begins with `@@`.
    Symbol(String),
    /// Text. Halves of surrogate pairs, which JavaScript allows to stand alone, have become U+FFFD.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Properties by name, in UTF-16 order, each name once.
    Record(Vec<(String, Value)>),
    /// A value with a tag, for data types that are made of others (`copySet` and the like).
    Tagged {
        /// Which type.
        tag: String,
        /// Its representation.
        payload: Box<Value>,
    },
    /// An error.
    Error {
        /// The class: `TypeError`.
        name: String,
        /// The text.
        message: String,
        /// The name under which the vat that made it logged it.
        error_id: Option<String>,
    },
    /// A reference to an object.
    Remotable {
        /// Index into the slots.
        slot: usize,
        /// How the object describes itself: `Alleged: Purse`.
        iface: Option<String>,
    },
    /// A reference to a promise.
    Promise {
        /// Index into the slots.
        slot: usize,
    },
}

impl Value {
    /// A record: sorts the properties; of several with one name, the last counts.
    pub fn record(properties: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut all: Vec<(String, Value)> = properties.into_iter().collect();
        all.reverse(); // the sort is stable and `dedup_by` keeps the first of equals
        all.sort_by(|(a, _), (b, _)| utf16_order(a, b));
        all.dedup_by(|(a, _), (b, _)| a == b);
        Self::Record(all)
    }

    /// Text.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }
}

/// An integer of any size as decimal digits, with `-` in front if negative. Always canonical: no leading zeros, no `-0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(String);

impl BigInt {
    /// From an optional sign and at least one decimal digit.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(match digits.trim_start_matches('0') {
            "" => Self("0".into()),
            digits if negative => Self(format!("-{digits}")),
            digits => Self(digits.into()),
        })
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<i128> for BigInt {
    fn from(number: i128) -> Self {
        Self(number.to_string())
    }
}

impl From<u64> for BigInt {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

/// The order in which JavaScript sorts strings: by UTF-16 code units, which differs from Rust's order above U+FFFF.
pub fn utf16_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Plain JSON text as a value: its strings are just strings and its objects records. For configuration
/// (`parameters`), where people write JSON and vats expect values.
pub fn from_json(text: &str) -> Result<Value, JsonError> {
    read(text).map(plain)
}

fn plain(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(bool),
        Json::Number(number) => Value::Number(number),
        Json::String(text) => Value::String(text),
        Json::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Json::Object(properties) => Value::record(properties.into_iter().map(|(name, json)| (name, plain(json)))),
    }
}

/// The well-known symbols that can be passed, as `Symbol.<name>`.
pub(crate) const WELL_KNOWN_SYMBOLS: [&str; 13] = [
    "asyncIterator",
    "hasInstance",
    "isConcatSpreadable",
    "iterator",
    "match",
    "matchAll",
    "replace",
    "search",
    "species",
    "split",
    "toPrimitive",
    "toStringTag",
    "unscopables",
];
