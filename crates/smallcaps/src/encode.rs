//! Values to smallcaps text. Always: the same text that `@endo/marshal` writes for the same value, down to the order of
//! properties. Not here: deciding which slot a reference has.

use crate::json::{js_number, put};
use crate::value::Value;
use std::collections::BTreeSet;
use sturdy_types::{CapData, json_string};

/// A value and the slots that it mentions, as capability data.
pub fn encode<R>(value: &Value, slots: Vec<R>) -> CapData<R> {
    CapData { body: encode_body(value), slots }
}

/// The body alone.
pub fn encode_body(value: &Value) -> String {
    let mut writer = Writer { described: BTreeSet::new() };
    let mut out = String::from("#");
    writer.value(&mut out, value);
    out
}

struct Writer {
    /// Slots whose interface was already told.
    described: BTreeSet<usize>,
}

impl Writer {
    fn value(&mut self, out: &mut String, value: &Value) {
        match value {
            Value::Undefined => out.push_str("\"#undefined\""),
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Number(number) if number.is_finite() => out.push_str(&js_number(*number)),
            Value::Number(number) => put(out, format_args!("\"#{}\"", js_number(*number))),
            Value::BigInt(digits) => {
                let sign = if digits.as_str().starts_with('-') { "" } else { "+" };
                put(out, format_args!("\"{sign}{digits}\""));
            }
            Value::Symbol(name) => out.push_str(&json_string(&format!("%{name}"))),
            Value::String(text) => out.push_str(&string(text)),
            Value::Array(items) => self.array(out, items),
            Value::Record(properties) => self.record(out, properties),
            Value::Tagged { tag, payload } => {
                put(out, format_args!("{{\"#tag\":{},\"payload\":", string(tag)));
                self.value(out, payload);
                out.push('}');
            }
            Value::Error { name, message, error_id } => {
                put(out, format_args!("{{\"#error\":{}", string(message)));
                if let Some(id) = error_id {
                    put(out, format_args!(",\"errorId\":{}", string(id)));
                }
                put(out, format_args!(",\"name\":{}}}", string(name)));
            }
            Value::Remotable { slot, iface } => self.remotable(out, *slot, iface.as_deref()),
            Value::Promise { slot } => put(out, format_args!("\"&{slot}\"")),
        }
    }

    fn remotable(&mut self, out: &mut String, slot: usize, iface: Option<&str>) {
        match iface {
            Some(iface) if self.described.insert(slot) => out.push_str(&json_string(&format!("${slot}.{iface}"))),
            _ => put(out, format_args!("\"${slot}\"")),
        }
    }

    fn array(&mut self, out: &mut String, items: &[Value]) {
        out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.value(out, item);
        }
        out.push(']');
    }

    fn record(&mut self, out: &mut String, properties: &[(String, Value)]) {
        if properties.iter().any(|(name, _)| array_index(name).is_some()) {
            return self.record_with_indices(out, properties);
        }
        out.push('{');
        for (position, (name, value)) in properties.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            out.push_str(&string(name));
            out.push(':');
            self.value(out, value);
        }
        out.push('}');
    }

    /// JavaScript lists array indices first, in numeric order, but the marshaller meets them in the order of names: that
    /// decides which mention of a reference tells its interface.
    fn record_with_indices(&mut self, out: &mut String, properties: &[(String, Value)]) {
        let mut written: Vec<(Option<u32>, String)> = Vec::with_capacity(properties.len());
        for (name, value) in properties {
            let mut text = format!("{}:", string(name));
            self.value(&mut text, value);
            written.push((array_index(name), text));
        }
        written.sort_by_key(|(index, _)| (index.is_none(), *index));
        out.push('{');
        for (position, (_, text)) in written.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            out.push_str(text);
        }
        out.push('}');
    }
}

/// A string value: those that begin like something special are marked.
fn string(text: &str) -> String {
    match text.as_bytes().first() {
        Some(b'!'..=b'-') => json_string(&format!("!{text}")),
        _ => json_string(text),
    }
}

/// The number that `name` is the canonical text of, if it is one that JavaScript treats as an array index.
fn array_index(name: &str) -> Option<u32> {
    let index: u32 = name.parse().ok()?;
    (index < u32::MAX && index.to_string() == name).then_some(index)
}
