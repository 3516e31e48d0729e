//! Smallcaps text to values. Always: accepts what `@endo/marshal` accepts, and nothing that mentions a slot which is not
//! there; a failure says which part is wrong. Not here: what slots mean.

use crate::json::{Json, JsonError, read};
use crate::value::{BigInt, Value, WELL_KNOWN_SYMBOLS};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_types::CapData;

/// Why capability data is not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body does not begin with `#`.
    #[error("the body is not smallcaps: it does not begin with `#`")]
    NotSmallcaps,
    /// What follows is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A special string that means nothing.
    #[error("{0:?} has no meaning in smallcaps; a plain string like this begins with `!`")]
    UnknownSpecial(String),
    /// A reference to a slot that is not there.
    #[error("{text:?} mentions a slot, but there are only {slots} slots")]
    NoSuchSlot {
        /// The reference as written.
        text: String,
        /// How many slots there are.
        slots: usize,
    },
    /// A record with a special property that makes it something else, or a part of one that is wrong.
    #[error("malformed {what}: {problem}")]
    Malformed {
        /// What it was meant to be.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads capability data.
pub fn decode<R>(data: &CapData<R>) -> Result<Value, DecodeError> {
    let json = read(data.body.strip_prefix('#').ok_or(DecodeError::NotSmallcaps)?)?;
    let mut decoder = Decoder { slots: data.slots.len(), ifaces: BTreeMap::new(), bare: BTreeSet::new() };
    let mut value = decoder.value(json)?;
    // Properties named by numbers are written first, so a later mention may be the one that tells the interface.
    if decoder.bare.iter().any(|slot| decoder.ifaces.contains_key(slot)) {
        describe(&mut value, &decoder.ifaces);
    }
    Ok(value)
}

fn describe(value: &mut Value, ifaces: &BTreeMap<usize, String>) {
    match value {
        Value::Remotable { slot, iface } => *iface = ifaces.get(slot).cloned(),
        Value::Array(items) => items.iter_mut().for_each(|item| describe(item, ifaces)),
        Value::Record(properties) => properties.iter_mut().for_each(|(_, item)| describe(item, ifaces)),
        Value::Tagged { payload, .. } => describe(payload, ifaces),
        _ => {}
    }
}

struct Decoder {
    slots: usize,
    /// Interfaces told so far: only one mention of a slot tells it.
    ifaces: BTreeMap<usize, String>,
    /// Slots mentioned before their interface was told.
    bare: BTreeSet<usize>,
}

impl Decoder {
    fn value(&mut self, json: Json) -> Result<Value, DecodeError> {
        Ok(match json {
            Json::Null => Value::Null,
            Json::Bool(bool) => Value::Bool(bool),
            Json::Number(number) => Value::Number(number),
            Json::String(text) => self.string(text)?,
            Json::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)
            }
            Json::Object(properties) if has(&properties, "#tag") => self.tagged(properties)?,
            Json::Object(properties) if has(&properties, "#error") => error(properties)?,
            Json::Object(properties) => self.record(properties)?,
        })
    }

    fn string(&mut self, text: String) -> Result<Value, DecodeError> {
        let special = |text: String| DecodeError::UnknownSpecial(shorten(&text));
        Ok(match text.as_bytes().first() {
            Some(b'!') => Value::String(text[1..].into()),
            Some(b'#') => match text.as_str() {
                "#undefined" => Value::Undefined,
                "#NaN" => Value::Number(f64::NAN),
                "#Infinity" => Value::Number(f64::INFINITY),
                "#-Infinity" => Value::Number(f64::NEG_INFINITY),
                _ => return Err(special(text)),
            },
            Some(b'+' | b'-') => Value::BigInt(BigInt::parse(&text).ok_or_else(|| special(text))?),
            Some(b'%') => Value::Symbol(symbol(&text[1..]).ok_or_else(|| special(text.clone()))?.into()),
            Some(b'$') => self.remotable(&text)?,
            Some(b'&') => Value::Promise { slot: self.slot(&text, &text[1..])? },
            Some(b'!'..=b'-') => return Err(special(text)),
            _ => Value::String(text),
        })
    }

    fn remotable(&mut self, text: &str) -> Result<Value, DecodeError> {
        let (index, iface) = match text[1..].split_once('.') {
            Some((index, iface)) => (index, Some(iface)),
            None => (&text[1..], None),
        };
        let slot = self.slot(text, index)?;
        if let Some(iface) = iface {
            self.ifaces.entry(slot).or_insert_with(|| iface.into());
        }
        let iface = self.ifaces.get(&slot).cloned();
        if iface.is_none() {
            self.bare.insert(slot);
        }
        Ok(Value::Remotable { slot, iface })
    }

    fn slot(&self, text: &str, index: &str) -> Result<usize, DecodeError> {
        let slot = parse_index(index).ok_or_else(|| DecodeError::UnknownSpecial(shorten(text)))?;
        if slot < self.slots {
            Ok(slot)
        } else {
            Err(DecodeError::NoSuchSlot { text: shorten(text), slots: self.slots })
        }
    }

    fn tagged(&mut self, properties: Vec<(String, Json)>) -> Result<Value, DecodeError> {
        let malformed = |problem: String| DecodeError::Malformed { what: "tagged value", problem };
        let (mut tag, mut payload) = (None, None);
        for (name, json) in properties {
            match name.as_str() {
                "#tag" => tag = Some(json),
                "payload" => payload = Some(json),
                _ => return Err(malformed(format!("unexpected property {:?}", shorten(&name)))),
            }
        }
        let tag = plain_string(tag).ok_or_else(|| malformed("`#tag` is not a string".into()))?;
        let payload = payload.ok_or_else(|| malformed("`payload` is missing".into()))?;
        Ok(Value::Tagged { tag, payload: Box::new(self.value(payload)?) })
    }

    fn record(&mut self, properties: Vec<(String, Json)>) -> Result<Value, DecodeError> {
        let mut decoded = Vec::with_capacity(properties.len());
        for (name, json) in properties {
            let name = plain_string(Some(Json::String(name))).ok_or_else(|| DecodeError::Malformed {
                what: "record",
                problem: "a property name is a special string".into(),
            })?;
            decoded.push((name, self.value(json)?));
        }
        Ok(Value::record(decoded))
    }
}

/// Properties that we do not know (causes, notes) are dropped, as the marshaller drops them.
fn error(properties: Vec<(String, Json)>) -> Result<Value, DecodeError> {
    let malformed = |problem: &str| DecodeError::Malformed { what: "error", problem: problem.into() };
    let (mut message, mut error_name, mut error_id) = (None, None, None);
    for (name, json) in properties {
        match name.as_str() {
            "#error" => message = Some(json),
            "name" => error_name = Some(json),
            "errorId" => error_id = Some(json),
            _ => {}
        }
    }
    let id_expected = error_id.is_some();
    let error_id = plain_string(error_id);
    if id_expected && error_id.is_none() {
        return Err(malformed("`errorId` is not a string"));
    }
    Ok(Value::Error {
        name: plain_string(error_name).ok_or_else(|| malformed("`name` is not a string"))?,
        message: plain_string(message).ok_or_else(|| malformed("`#error` is not a string"))?,
        error_id,
    })
}

/// A JSON string that means a string.
fn plain_string(json: Option<Json>) -> Option<String> {
    let Some(Json::String(text)) = json else { return None };
    match text.as_bytes().first() {
        Some(b'!') => Some(text[1..].into()),
        Some(b'!'..=b'-') => None,
        _ => Some(text),
    }
}

/// The name of a symbol, if there is such a symbol.
fn symbol(name: &str) -> Option<&str> {
    match name.strip_prefix("@@") {
        Some(rest) if !rest.starts_with("@@") => WELL_KNOWN_SYMBOLS.contains(&rest).then_some(name),
        _ => Some(name),
    }
}

/// Digits only, and no leading zero: a slot has one spelling.
pub(crate) fn parse_index(digits: &str) -> Option<usize> {
    let canonical = digits == "0" || !digits.starts_with('0');
    if canonical && digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn has(properties: &[(String, Json)], name: &str) -> bool {
    properties.iter().any(|(found, _)| found == name)
}

/// A hostile text may be long; a message need not be.
fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
