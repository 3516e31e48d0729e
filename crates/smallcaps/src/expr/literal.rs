//! Values as people write them: JSON with JavaScript's freedoms (unquoted names, single quotes, trailing commas,
//! bigints, `undefined`, `NaN`) and references by name. Always: nesting and size stay within the crate's limits.

use super::cursor::Cursor;
use super::{ExprError, Named, RefKind};
use crate::value::{BigInt, Value};
use crate::{DEPTH_LEVELS, VALUE_COUNT};

pub(super) struct Literals<'c, 'a, R, F> {
    cursor: &'c mut Cursor<'a>,
    resolve: &'c mut F,
    depth: usize,
    count: usize,
    /// The references met so far, each once.
    pub(super) slots: Vec<R>,
}

impl<'c, 'a, R: PartialEq, F: FnMut(&str) -> Result<Named<R>, String>> Literals<'c, 'a, R, F> {
    pub(super) fn new(cursor: &'c mut Cursor<'a>, resolve: &'c mut F) -> Self {
        Self { cursor, resolve, depth: 0, count: 0, slots: Vec::new() }
    }

    /// Values separated by commas, up to and with `close`.
    pub(super) fn list(&mut self, close: char) -> Result<Vec<Value>, ExprError> {
        let mut items = Vec::new();
        loop {
            if self.cursor.eat(close) {
                return Ok(items);
            }
            items.push(self.value()?);
            self.comma_or(close)?;
        }
    }

    pub(super) fn value(&mut self) -> Result<Value, ExprError> {
        self.cursor.spaces();
        self.count += 1;
        if self.count > VALUE_COUNT {
            return Err(self.complain(format!("the value has more than {VALUE_COUNT} parts")));
        }
        match self.cursor.peek() {
            Some('"' | '\'') => self.cursor.string().map(Value::String),
            Some('[') => self.nested(|this| this.list(']').map(Value::Array)),
            Some('{') => self.nested(Self::record),
            Some('0'..='9' | '+' | '-' | '.') => self.number(),
            _ => self.word(),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, ExprError>) -> Result<Value, ExprError> {
        self.depth += 1;
        if self.depth > DEPTH_LEVELS {
            return Err(self.complain(format!("the value is nested more than {DEPTH_LEVELS} levels deep")));
        }
        self.cursor.bump();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn record(&mut self) -> Result<Value, ExprError> {
        let mut properties = Vec::new();
        loop {
            if self.cursor.eat('}') {
                return Ok(Value::record(properties));
            }
            let name = self.property_name()?;
            if !self.cursor.eat(':') {
                return Err(self.cursor.expected("`:` after the property's name"));
            }
            properties.push((name, self.value()?));
            self.comma_or('}')?;
        }
    }

    fn property_name(&mut self) -> Result<String, ExprError> {
        match self.cursor.peek() {
            Some('"' | '\'') => self.cursor.string(),
            Some('0'..='9') => Ok(self.cursor.take_while(|c| c.is_ascii_digit()).into()),
            _ => match self.cursor.name() {
                Some(name) => Ok(name.into()),
                None => Err(self.cursor.expected("a property's name or `}`")),
            },
        }
    }

    fn comma_or(&mut self, close: char) -> Result<(), ExprError> {
        self.cursor.spaces();
        if self.cursor.peek() == Some(close) || self.cursor.eat(',') {
            return Ok(());
        }
        Err(self.cursor.expected(&format!("`,` or `{close}`")))
    }

    /// `12`, `-1.5e3`, `0x1f`, `12n`, `-Infinity`.
    fn number(&mut self) -> Result<Value, ExprError> {
        let start = self.cursor.mark();
        let negative = match self.cursor.peek() {
            Some('-') => self.cursor.bump().is_some(),
            Some('+') => self.cursor.bump().is_none(),
            _ => false,
        };
        // A sign may also stand inside, after the `e` of an exponent.
        let head = self.cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '_'));
        let is_decimal = !head.starts_with("0x") && !head.starts_with("0X") && head != "Infinity";
        let tail = if is_decimal && head.ends_with(['e', 'E']) && self.cursor.rest().starts_with(['+', '-']) {
            let sign = self.cursor.bump().map(String::from).unwrap_or_default();
            sign + self.cursor.take_while(char::is_alphanumeric)
        } else {
            String::new()
        };
        let sign = if negative { "-" } else { "" };
        number_value(sign, &format!("{head}{tail}")).ok_or_else(|| {
            let text: String = format!("{sign}{head}{tail}").chars().take(40).collect();
            let message = format!("`{text}` is not a number: expected one like 3, -1.5e3, 0x1f or 12n");
            self.cursor.complaint(start, message)
        })
    }

    /// A word with a fixed meaning, or a name.
    fn word(&mut self) -> Result<Value, ExprError> {
        let mark = self.cursor.mark();
        let Some(name) = self.cursor.name() else {
            return Err(self.cursor.expected("a value"));
        };
        Ok(match name {
            "undefined" => Value::Undefined,
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "NaN" => Value::Number(f64::NAN),
            "Infinity" => Value::Number(f64::INFINITY),
            name => {
                let named = (self.resolve)(name).map_err(|message| self.cursor.complaint(mark, message))?;
                self.reference(named)
            }
        })
    }

    fn reference(&mut self, named: Named<R>) -> Value {
        let known = self.slots.iter().position(|slot| *slot == named.reference);
        let slot = known.unwrap_or_else(|| {
            self.slots.push(named.reference);
            self.slots.len() - 1
        });
        match named.kind {
            RefKind::Object => Value::Remotable { slot, iface: named.iface },
            RefKind::Promise => Value::Promise { slot },
        }
    }

    fn complain(&self, message: String) -> ExprError {
        self.cursor.complaint(self.cursor.mark(), message)
    }
}

fn number_value(sign: &str, text: &str) -> Option<Value> {
    let text = text.replace('_', "");
    if text == "Infinity" {
        return Some(Value::Number(if sign == "-" { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if let Some(digits) = text.strip_suffix('n') {
        return BigInt::parse(&format!("{sign}{digits}")).filter(|_| !digits.starts_with('+')).map(Value::BigInt);
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let number = f64::from(u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        return Some(Value::Number(if sign == "-" { 0.0 - number } else { number }));
    }
    // Rust reads more than JavaScript: words such as `inf`, which do not begin like this.
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = format!("{sign}{text}").parse().ok().filter(|_| numeric)?;
    Some(Value::Number(number + 0.0))
}
