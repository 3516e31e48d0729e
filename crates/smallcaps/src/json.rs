//! A strict JSON reader with limits, and JavaScript's way of writing numbers. Always: accepts exactly what `JSON.parse`
//! accepts, within [`DEPTH_LEVELS`] and [`VALUE_COUNT`]; stops at the first mistake. Not here: writing strings
//! (`sturdy_types::json_string`), the meaning of what was read.

use crate::{DEPTH_LEVELS, VALUE_COUNT};

/// JSON as read. Property names may repeat.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Why a text is not JSON that we accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text breaks the grammar.
    #[error("malformed JSON at byte {at}: expected {expected}")]
    Malformed {
        /// Where, in bytes from the beginning.
        at: usize,
        /// What could have stood there.
        expected: &'static str,
    },
    /// Too much nesting.
    #[error("the value is nested more than {DEPTH_LEVELS} levels deep; make it flatter")]
    TooDeep,
    /// Too many parts.
    #[error("the value has more than {VALUE_COUNT} parts; send it in pieces")]
    TooMany,
}

/// Reads one JSON text.
pub(crate) fn read(text: &str) -> Result<Json, JsonError> {
    let mut reader = Reader { text, at: 0, depth: 0, count: 0 };
    let json = reader.value()?;
    reader.spaces();
    if reader.at == text.len() { Ok(json) } else { Err(reader.expected("the end of the text")) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    count: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Json, JsonError> {
        self.count += 1;
        if self.count > VALUE_COUNT {
            return Err(JsonError::TooMany);
        }
        self.spaces();
        match self.peek() {
            Some(b'[') => self.nested(Self::array),
            Some(b'{') => self.nested(Self::object),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            _ if self.eat_text("null") => Ok(Json::Null),
            _ if self.eat_text("true") => Ok(Json::Bool(true)),
            _ if self.eat_text("false") => Ok(Json::Bool(false)),
            _ => Err(self.expected("a value")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, JsonError>) -> Result<Json, JsonError> {
        self.depth += 1;
        if self.depth > DEPTH_LEVELS {
            return Err(JsonError::TooDeep);
        }
        self.at += 1;
        let json = read(self)?;
        self.depth -= 1;
        Ok(json)
    }

    fn array(&mut self) -> Result<Json, JsonError> {
        let mut items = Vec::new();
        self.spaces();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.spaces();
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            self.require(b',', "`,` or `]`")?;
        }
    }

    fn object(&mut self) -> Result<Json, JsonError> {
        let mut properties = Vec::new();
        self.spaces();
        if self.eat(b'}') {
            return Ok(Json::Object(properties));
        }
        loop {
            self.spaces();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a property name in quotes"));
            }
            let name = self.string()?;
            self.spaces();
            self.require(b':', "`:`")?;
            properties.push((name, self.value()?));
            self.spaces();
            if self.eat(b'}') {
                return Ok(Json::Object(properties));
            }
            self.require(b',', "`,` or `}`")?;
        }
    }

    /// At a quote.
    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            let plain = plain.unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    out.push(c);
                }
                _ => return Err(self.expected("the rest of a string (control characters must be escaped)")),
            }
        }
    }

    /// After a backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.expected("an escape sequence")),
        };
        self.at += 1;
        Ok(c)
    }

    /// After `\u`. A pair of surrogates is one character; one alone is U+FFFD, since text here is Unicode.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let high = self.hex4()?;
        if !(0xD800..0xDC00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        if self.eat_text("\\u") {
            let low = self.hex4()?;
            if (0xDC00..0xE000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before; // the second escape stands for itself
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|text| u32::from_str_radix(text, 16).ok());
        let code = code.ok_or_else(|| self.expected("four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<f64, JsonError> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let number: f64 = self.text[start..self.at].parse().map_err(|_| self.expected("a number"))?;
        Ok(number + 0.0) // there is only one zero
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.text.as_bytes()[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.expected("a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn spaces(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn eat_text(&mut self, text: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(text.as_bytes());
        if found {
            self.at += text.len();
        }
        found
    }

    fn require(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.eat(byte) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Malformed { at: self.at, expected }
    }
}

/// Writes to a text.
pub(crate) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    std::fmt::Write::write_fmt(out, text).expect("writing to a String cannot fail");
}

/// A finite number as JavaScript prints it (the shortest digits that read back as the same double). Values that are not
/// finite print as their JavaScript names.
pub fn js_number(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    if number == 0.0 {
        return "0".into();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a decimal exponent");
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    format!("{sign}{}", place_point(&digits, exponent))
}

/// `digits` are the significant digits of a number of the form d.ddd × 10^exponent.
fn place_point(digits: &str, exponent: i32) -> String {
    let count = digits.len();
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < 21 && exponent + 1 >= count => {
            format!("{digits}{}", "0".repeat(exponent + 1 - count))
        }
        Ok(exponent) if exponent < 21 => format!("{}.{}", &digits[..=exponent], &digits[exponent + 1..]),
        Err(_) if exponent >= -6 => format!("0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
        _ => {
            let point = if count > 1 { "." } else { "" };
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}{point}{}e{sign}{}", &digits[..1], &digits[1..], exponent.unsigned_abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_javascript() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (123.456, "123.456"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.000_001, "0.000001"),
            (1e-7, "1e-7"),
            (1.25e-7, "1.25e-7"),
            (5e-324, "5e-324"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(js_number(number), text);
        }
    }

    #[test]
    fn only_json_is_read() {
        for text in [
            "",
            " ",
            "[",
            "]",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "1 2",
            "NaN",
            "'a'",
            "\"\\u12é4\"",
            "\u{feff}1",
            "[1 2]",
            "{\"a\" 1}",
            "\u{a0}1",
        ] {
            assert!(matches!(read(text), Err(JsonError::Malformed { .. })), "{text:?}");
        }
        assert_eq!(read(" [1e2 , -0.5,null,true,false] "), read("[100,-0.5,null,true,false]"));
        assert_eq!(read("\"\\ud83d\\ude00\\ud83d\\u0041\\ude00\\/\""), Ok(Json::String("😀\u{fffd}A\u{fffd}/".into())));
    }

    #[test]
    fn nesting_and_size_have_limits() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&nested(DEPTH_LEVELS)).is_ok());
        assert_eq!(read(&nested(DEPTH_LEVELS + 1)), Err(JsonError::TooDeep));
        assert_eq!(read(&"{\"a\":".repeat(1_000_000)), Err(JsonError::TooDeep));
        assert_eq!(read(&format!("[{}1]", "1,".repeat(VALUE_COUNT))), Err(JsonError::TooMany));
        assert!(read(&format!("[{}1]", "[[]],".repeat(DEPTH_LEVELS))).is_ok());
    }
}
