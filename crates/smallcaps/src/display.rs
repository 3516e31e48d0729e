//! How values are shown: to people ([`pretty`]) and to programs that read `--json` ([`plain_json`]).
//!
//! Always: what came from a vat cannot forge a reference (strings are in quotes, references are not) and cannot steer a
//! terminal (control and direction characters are escaped). Not here: names like `$1`, which the prompt gives.

use crate::json::{js_number, put};
use crate::value::Value;
use std::fmt::Display;
use sturdy_types::json_string;

/// Lines longer than this are broken, if they can be.
const LINE_CHARS: usize = 100;

/// Deeper values are not indented further, or a deep value would be mostly spaces.
const INDENT_CHARS: usize = 60;

/// For people: `{"purse": <ko5> (Alleged: Purse), "total": 12n}`. Broken into indented lines when it is long.
pub fn pretty<R: Display>(value: &Value, slots: &[R]) -> String {
    let mut out = String::new();
    Pretty { slots }.write(&mut out, value, 0, 0);
    out
}

struct Pretty<'a, R> {
    slots: &'a [R],
}

impl<R: Display> Pretty<'_, R> {
    /// Appends `value`, where `indent` spaces begin each further line and `before` characters already stand on this one.
    fn write(&self, out: &mut String, value: &Value, indent: usize, before: usize) {
        let indent = indent.min(INDENT_CHARS);
        let budget = LINE_CHARS.saturating_sub(indent + before);
        if let Some(line) = self.line(value, budget) {
            out.push_str(&line);
            return;
        }
        match value {
            Value::Array(items) => self.lines(out, ['[', ']'], indent, items, |item| (String::new(), item)),
            Value::Record(properties) => {
                self.lines(out, ['{', '}'], indent, properties, |(name, value)| (label(name), value));
            }
            Value::Tagged { tag, payload } => {
                self.lines(out, ['{', '}'], indent, &[payload], |payload| (tag_label(tag), payload));
            }
            leaf => out.push_str(&self.leaf(leaf)),
        }
    }

    /// Each of `parts` on lines of its own.
    fn lines<'v, T>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        indent: usize,
        parts: &'v [T],
        split: impl Fn(&'v T) -> (String, &'v Value),
    ) {
        let line = format!("\n{}", " ".repeat(indent + 2));
        out.push(open);
        for (position, part) in parts.iter().enumerate() {
            let (label, value) = split(part);
            out.push_str(if position > 0 { "," } else { "" });
            out.push_str(&line);
            out.push_str(&label);
            self.write(out, value, indent + 2, label.chars().count());
        }
        out.push_str(&line[..=indent]);
        out.push(close);
    }

    /// `value` on one line, if it fits into `budget` characters. Stops working as soon as it does not, so that deep
    /// values are not tried again and again in full.
    fn line(&self, value: &Value, budget: usize) -> Option<String> {
        if budget == 0 || longest_part(value) > budget.saturating_mul(4) {
            return None;
        }
        let text = match value {
            Value::Array(items) => {
                let mut line = Line::new("[", budget);
                for item in items {
                    line.add("", &self.line(item, line.left())?)?;
                }
                line.close("]")
            }
            Value::Record(properties) => {
                let mut line = Line::new("{", budget);
                for (name, value) in properties {
                    line.add(&label(name), &self.line(value, line.left())?)?;
                }
                line.close("}")
            }
            Value::Tagged { tag, payload } => {
                let mut line = Line::new("{", budget);
                line.add(&tag_label(tag), &self.line(payload, budget)?)?;
                line.close("}")
            }
            leaf => self.leaf(leaf),
        };
        (text.chars().count() <= budget).then_some(text)
    }

    fn leaf(&self, value: &Value) -> String {
        match value {
            Value::Undefined => "[undefined]".into(),
            Value::Null => "null".into(),
            Value::Bool(bool) => bool.to_string(),
            Value::Number(number) if number.is_finite() => js_number(*number),
            Value::Number(number) => format!("[{}]", js_number(*number)),
            Value::BigInt(digits) => format!("{digits}n"),
            Value::Symbol(name) => format!("[Symbol: {}]", visible(&symbol_name(name))),
            Value::String(text) => quoted(text),
            Value::Error { name, message, .. } if message.is_empty() => format!("[{}]", visible(name)),
            Value::Error { name, message, .. } => format!("[{}: {}]", visible(name), visible(message)),
            Value::Remotable { slot, iface: Some(iface) } => format!("<{}> ({})", self.slot(*slot), visible(iface)),
            Value::Remotable { slot, .. } | Value::Promise { slot } => format!("<{}>", self.slot(*slot)),
            Value::Array(_) => "[]".into(),
            Value::Record(_) | Value::Tagged { .. } => "{}".into(),
        }
    }

    fn slot(&self, slot: usize) -> String {
        self.slots.get(slot).map_or_else(|| format!("no slot {slot}"), ToString::to_string)
    }
}

/// A line under construction.
struct Line {
    text: String,
    chars: usize,
    budget: usize,
}

impl Line {
    fn new(open: &str, budget: usize) -> Self {
        Self { text: open.into(), chars: 1, budget }
    }

    fn left(&self) -> usize {
        self.budget.saturating_sub(self.chars + 1)
    }

    fn add(&mut self, label: &str, item: &str) -> Option<()> {
        let comma = if self.text.len() > 1 { ", " } else { "" };
        self.chars += comma.len() + label.chars().count() + item.chars().count();
        self.text.push_str(comma);
        self.text.push_str(label);
        self.text.push_str(item);
        (self.chars < self.budget).then_some(())
    }

    fn close(mut self, close: &str) -> String {
        self.text.push_str(close);
        self.text
    }
}

/// Bytes of the longest text directly in `value`: a cheap way to see that it is too long for a line.
fn longest_part(value: &Value) -> usize {
    match value {
        Value::String(text)
        | Value::Symbol(text)
        | Value::Tagged { tag: text, .. }
        | Value::Remotable { iface: Some(text), .. } => text.len(),
        Value::BigInt(digits) => digits.as_str().len(),
        Value::Error { name, message, .. } => name.len().max(message.len()),
        _ => 0,
    }
}

/// A symbol's name as people know it: `foo`, `Symbol.asyncIterator`, `@@foo`.
fn symbol_name(name: &str) -> String {
    match name.strip_prefix("@@") {
        Some(rest) if rest.starts_with("@@") => rest.into(),
        Some(well_known) => format!("Symbol.{well_known}"),
        None => name.into(),
    }
}

fn label(name: &str) -> String {
    format!("{}: ", quoted(name))
}

fn tag_label(tag: &str) -> String {
    label(&format!("[Tagged: {tag}]"))
}

fn quoted(text: &str) -> String {
    visible(&json_string(text))
}

/// Characters that would steer a terminal, escaped.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || steers_direction(c) => {
                put(&mut out, format_args!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that reorder what stands beside them, and line breaks of Unicode.
const fn steers_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
}

/// For programs: JSON on one line. What JSON has no form for is an object whose first property begins with `@`:
///
/// | value | form |
/// | --- | --- |
/// | object | `{"@ref":"ko5","iface":"Alleged: Purse"}` (without `iface` if it is not known) |
/// | promise | `{"@promise":"kp3"}` |
/// | bigint | `{"@bigint":"12"}` |
/// | undefined | `{"@undefined":true}` |
/// | NaN, ±Infinity | `{"@number":"NaN"}` |
/// | symbol | `{"@symbol":"foo"}`, as smallcaps names it |
/// | tagged | `{"@tag":"copySet","payload":…}` |
/// | error | `{"@error":"message","name":"TypeError"}`, and `errorId` if it has one |
///
/// A record's own property that begins with `@` gets another `@` in front, so that nothing else looks like these.
pub fn plain_json<R: Display>(value: &Value, slots: &[R]) -> String {
    let mut out = String::new();
    write_json(&mut out, value, slots);
    out
}

fn write_json<R: Display>(out: &mut String, value: &Value, slots: &[R]) {
    let slot_text = |slot: &usize| json_string(&slots.get(*slot).map_or_else(String::new, ToString::to_string));
    match value {
        Value::Undefined => out.push_str("{\"@undefined\":true}"),
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Number(number) if number.is_finite() => out.push_str(&js_number(*number)),
        Value::Number(number) => put(out, format_args!("{{\"@number\":\"{}\"}}", js_number(*number))),
        Value::BigInt(digits) => put(out, format_args!("{{\"@bigint\":\"{digits}\"}}")),
        Value::Symbol(name) => put(out, format_args!("{{\"@symbol\":{}}}", json_string(name))),
        Value::String(text) => out.push_str(&json_string(text)),
        Value::Array(items) => write_all(out, ['[', ']'], items, |out, item| write_json(out, item, slots)),
        Value::Record(properties) => write_all(out, ['{', '}'], properties, |out, (name, value)| {
            let at = if name.starts_with('@') { "@" } else { "" };
            out.push_str(&json_string(&format!("{at}{name}")));
            out.push(':');
            write_json(out, value, slots);
        }),
        Value::Tagged { tag, payload } => {
            put(out, format_args!("{{\"@tag\":{},\"payload\":", json_string(tag)));
            write_json(out, payload, slots);
            out.push('}');
        }
        Value::Error { name, message, error_id } => {
            put(out, format_args!("{{\"@error\":{},\"name\":{}", json_string(message), json_string(name)));
            if let Some(id) = error_id {
                put(out, format_args!(",\"errorId\":{}", json_string(id)));
            }
            out.push('}');
        }
        Value::Remotable { slot, iface: Some(iface) } => {
            put(out, format_args!("{{\"@ref\":{},\"iface\":{}}}", slot_text(slot), json_string(iface)));
        }
        Value::Remotable { slot, .. } => put(out, format_args!("{{\"@ref\":{}}}", slot_text(slot))),
        Value::Promise { slot } => put(out, format_args!("{{\"@promise\":{}}}", slot_text(slot))),
    }
}

fn write_all<T>(out: &mut String, [open, close]: [char; 2], all: &[T], mut write: impl FnMut(&mut String, &T)) {
    out.push(open);
    for (position, one) in all.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        write(out, one);
    }
    out.push(close);
}
