//! The prompt: any line is understood, or told what is wrong at a place inside the line; what is understood goes into a
//! message as it was written.

use crate::values::written_and_read;
use sturdy_smallcaps::Value;
use sturdy_smallcaps::decode;
use sturdy_smallcaps::expr::{ExprError, Line, Named, RefKind, parse_line, parse_value};

/// A line of text.
pub(crate) fn lines(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_line(text, resolve) {
        Ok(Line::Inspect(_)) => {}
        Ok(Line::Call(call)) => {
            let methargs = call.methargs();
            let value = decode(&methargs).unwrap_or_else(|error| panic!("{text:?} becomes {methargs:?}: {error}"));
            let expected = Value::Array(vec![Value::string(&call.method), Value::Array(call.arguments)]);
            assert_eq!(format!("{value:?}"), format!("{expected:?}"), "{text:?}");
        }
        Err(error) => check_place(text, &error),
    }
    match parse_value(text, resolve) {
        // More references than the other checks have slots are read well elsewhere.
        Ok((value, slots)) if slots.len() <= 3 => written_and_read(&value),
        Ok(_) => {}
        Err(error) => check_place(text, &error),
    }
}

fn check_place(text: &str, error: &ExprError) {
    let end = text.chars().count() + 1;
    assert!((1..=end).contains(&error.column), "{text:?} is wrong at column {}", error.column);
    assert!(!error.message.is_empty());
}

/// Some names stand for objects, some for promises, some for nothing.
fn resolve(name: &str) -> Result<Named<String>, String> {
    let named = |kind, iface| Ok(Named { reference: name.to_owned(), kind, iface });
    match name.as_bytes().first() {
        Some(b'a'..=b'j') => named(RefKind::Object, None),
        Some(b'k' | b'$') => named(RefKind::Object, Some("Alleged: thing".into())),
        Some(b'p') => named(RefKind::Promise, None),
        _ => Err(format!("nothing is called {name}")),
    }
}
