//! Text forms: the strict number grammar that all references share, and JSON string quoting.

use std::fmt::Write as _;

/// A text that is not a reference of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a reference of the form {expected}")]
pub struct ParseRefError {
    text: String,
    expected: &'static str,
}

impl ParseRefError {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        // A hostile text may be long, and a wrong one may be a secret that was put in the wrong place; the message is short.
        let shown = if text.len() > 40 { text.chars().take(8).chain(['…']).collect() } else { text.to_owned() };
        Self { text: shown, expected }
    }
}

/// Decimal digits only, no sign, at least one, no leading zero except `0` itself: one text per number, so that a
/// reference has exactly one spelling.
pub(crate) fn digits(text: &str) -> Option<u64> {
    let canonical = !text.is_empty() && (text == "0" || !text.starts_with('0'));
    if canonical && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// `text` as a JSON string literal, quotes included.
pub fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_json_string(text, &mut out);
    out
}

/// The same, appended to `out`.
pub fn write_json_string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut plain = 0; // up to here it is written
    for (number, block) in text.as_bytes().chunks(BLOCK_BYTES).enumerate() {
        if is_plain(block) {
            continue; // most blocks of long texts
        }
        for (at, &byte) in (number * BLOCK_BYTES..).zip(block) {
            if is_escaped(byte) {
                out.push_str(&text[plain..at]);
                plain = at + 1;
                write_escaped(byte, out);
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

fn write_escaped(byte: u8, out: &mut String) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        8 => out.push_str("\\b"),
        12 => out.push_str("\\f"),
        control => {
            let _ = write!(out, "\\u{control:04x}"); // writing to a String cannot fail
        }
    }
}

/// The bytes of [`json_string`], without writing it.
pub fn json_string_bytes(text: &str) -> usize {
    let added = |&byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 1,
        byte if byte < b' ' => 5,
        _ => 0,
    };
    let blocks = text.as_bytes().chunks(BLOCK_BYTES).filter(|block| !is_plain(block));
    2 + text.len() + blocks.flatten().map(added).sum::<usize>()
}

/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 64;

/// Whether nothing in a block is escaped. A whole block has its length in its type, and is looked at to its end: so the
/// compiler compares many bytes at once, and values of half a megabyte pass here.
#[inline]
fn is_plain(block: &[u8]) -> bool {
    match <&[u8; BLOCK_BYTES]>::try_from(block) {
        Ok(block) => !block.iter().fold(false, |found, &byte| found | is_escaped(byte)),
        Err(_) => !block.iter().any(|&byte| is_escaped(byte)),
    }
}

/// Whether JSON demands an escape. Most bytes are written as they are, parts of longer characters among them.
#[inline]
fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_one_spelling() {
        for (text, number) in
            [("0", Some(0)), ("7", Some(7)), ("10", Some(10)), ("18446744073709551615", Some(u64::MAX))]
        {
            assert_eq!(digits(text), number, "{text}");
        }
        for text in ["", "00", "07", "+7", "-7", " 7", "7 ", "18446744073709551616", "٣"] {
            assert_eq!(digits(text), None, "{text:?}");
        }
    }

    #[test]
    fn json_strings_escape_what_json_demands() {
        assert_eq!(json_string("a\"b\\c\n\u{1}é"), "\"a\\\"b\\\\c\\n\\u0001é\"");
    }

    #[test]
    fn json_strings_are_as_long_as_is_said() {
        for c in ('\0'..'\u{300}').chain(['€', '😀']) {
            let text = format!("{c}a{c}");
            assert_eq!(json_string_bytes(&text), json_string(&text).len(), "{text:?}");
        }
        let most = "\u{1}".repeat(10 * BLOCK_BYTES + 7);
        assert_eq!(json_string_bytes(&most), 2 + 6 * most.len());
    }

    /// What JSON demands, one character at a time.
    fn plainly(text: &str) -> String {
        let escaped = |c: char| match c {
            '"' | '\\' => format!("\\{c}"),
            '\n' => "\\n".into(),
            '\r' => "\\r".into(),
            '\t' => "\\t".into(),
            '\u{8}' => "\\b".into(),
            '\u{c}' => "\\f".into(),
            c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        };
        format!("\"{}\"", text.chars().map(escaped).collect::<String>())
    }

    proptest! {
        /// Wherever in a block something is escaped.
        #[test]
        fn json_strings_are_written_in_blocks(text in "([a-z]{0,40}[\"\\\\\u{0}-\u{1f}é€😀]?){0,6}") {
            prop_assert_eq!(json_string(&text), plainly(&text));
            prop_assert_eq!(json_string_bytes(&text), json_string(&text).len());
        }
    }
}
