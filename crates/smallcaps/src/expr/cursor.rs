//! A place in a line: characters, names and strings. Always: never moves past the end. Not here: values.

use super::ExprError;
use crate::display::visible;

/// A place in a line. Columns are counted only when there is something to complain about.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize);

pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves over one character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Spaces, then `c` if it is there.
    pub(super) fn eat(&mut self, c: char) -> bool {
        self.spaces();
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    pub(super) fn spaces_then_end(&mut self) -> bool {
        self.spaces();
        self.rest().is_empty()
    }

    /// Moves over the characters that `wanted` wants.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// An identifier. Names of vats may also have `-` inside: there is no subtraction here.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        self.spaces();
        let first = self.peek()?;
        if !(first.is_alphabetic() || first == '_' || first == '$') {
            return None;
        }
        Some(self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-')))
    }

    /// At a quote: a string with JavaScript's escapes.
    pub(super) fn string(&mut self) -> Result<String, ExprError> {
        let start = self.mark();
        let quote = self.bump().unwrap_or('"');
        let mut out = String::new();
        loop {
            match self.bump() {
                Some(c) if c == quote => return Ok(out),
                Some('\\') if !self.rest().is_empty() => out.push(self.escape()?),
                None | Some('\\') => {
                    let message = format!("this string has no end: expected {quote} before the end of the line");
                    return Err(self.complaint(start, message));
                }
                Some(c) => out.push(c),
            }
        }
    }

    /// After a backslash.
    fn escape(&mut self) -> Result<char, ExprError> {
        Ok(match self.bump() {
            None => return Err(self.expected("an escape sequence")),
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some('0') => '\0',
            Some('x') => self.code(2)?,
            Some('u') if self.peek() == Some('{') => self.braced_code()?,
            Some('u') => self.utf16_code()?,
            Some(c) => c,
        })
    }

    /// `{1f600}`.
    fn braced_code(&mut self) -> Result<char, ExprError> {
        self.bump();
        let digits = self.take_while(|c| c.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        if self.bump() == Some('}')
            && let Some(c) = code
        {
            return Ok(c);
        }
        Err(self.expected("a character's code in braces, as in `\\u{1f600}`"))
    }

    /// Four digits, or two times four that are a pair of surrogates.
    fn utf16_code(&mut self) -> Result<char, ExprError> {
        let first = self.hex(4)?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.expected("a whole character, not half of a pair"));
        }
        if !self.rest().starts_with("\\u") {
            return Err(self.expected("the second half of a surrogate pair, as in `\\ud83d\\ude00`"));
        }
        self.at += 2;
        let second = self.hex(4)?;
        let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400);
        low.and_then(|low| char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + low))
            .ok_or_else(|| self.expected("the second half of a surrogate pair, as in `\\ud83d\\ude00`"))
    }

    fn code(&mut self, digits: usize) -> Result<char, ExprError> {
        let code = self.hex(digits)?;
        char::from_u32(code).ok_or_else(|| self.expected("a character's code"))
    }

    fn hex(&mut self, digits: usize) -> Result<u32, ExprError> {
        let text = self.rest().get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        let code = code.ok_or_else(|| self.expected(&format!("{digits} hexadecimal digits")))?;
        self.at += digits;
        Ok(code)
    }

    /// This place, for a later complaint.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.at)
    }

    pub(super) fn complaint(&self, mark: Mark, message: String) -> ExprError {
        ExprError { column: self.text[..mark.0].chars().count() + 1, message }
    }

    /// A complaint about this place.
    pub(super) fn expected(&self, what: &str) -> ExprError {
        let rest: String = self.rest().chars().take_while(|c| !c.is_whitespace()).take(20).collect();
        let found = match self.peek() {
            None => "the end of the line".into(),
            Some(_) if rest.is_empty() => "a space".into(),
            Some(_) => format!("`{}`", visible(&rest)),
        };
        self.complaint(self.mark(), format!("expected {what}, found {found}"))
    }
}
