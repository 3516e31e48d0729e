//! What is said in a world besides names of messages: values of every kind, lines as a person types them, and what a
//! person is shown.
//!
//! What always holds: a line that is right is understood as it was meant, one that is not is wrong at a place inside of
//! it; what is shown steers no terminal. Either is checked here, and a panic ends the run. Values mention each reference
//! beside them and are never one reference alone. Not here: names of messages ([`crate::actor::MessageName`]).

use crate::actor::MessageName;
use crate::dice::Dice;
use std::fmt::Write as _;
use sturdy_smallcaps::display::{plain_json, pretty};
use sturdy_smallcaps::expr::{Line, Named, RefKind, parse_line};
use sturdy_smallcaps::{BigInt, Value, decode, encode_body, from_json};
use sturdy_types::{CapData, KRef};

/// How deep values go.
const DEPTH: usize = 3;

const TEXTS: &[&str] =
    &["", "a", "#a", "$0", "a \"quoted\" text", "über\n\t\\", "\u{1}\u{7f}", "😀", "0", "@x", "__proto__"];

/// The body of a value that mentions these references: of each whether it is a promise.
pub fn body(dice: &mut Dice, promises: &[bool]) -> String {
    let mut items: Vec<Value> = (0..dice.below(3)).map(|_| value(dice, DEPTH)).collect();
    for (slot, is_promise) in promises.iter().enumerate() {
        let iface = dice.once_in(2).then(|| "Alleged: thing".to_owned());
        items.push(if *is_promise { Value::Promise { slot } } else { Value::Remotable { slot, iface } });
    }
    encode_body(&Value::Array(items))
}

fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.below(if depth == 0 { 8 } else { 12 }) {
        0 => Value::Undefined,
        1 => Value::Null,
        2 => Value::Bool(dice.once_in(2)),
        3 => {
            let numbers = [0.0, -1.5, 1e21, 2e-9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 12_345.678];
            Value::Number(numbers[dice.below(numbers.len())])
        }
        4 => Value::BigInt(BigInt::from(i128::from(dice.between(0, u64::MAX - 1)) - i128::from(u64::MAX / 2))),
        5 => Value::Symbol(["foo", "@@asyncIterator", "@@@@foo"][dice.below(3)].into()),
        6 | 7 => Value::string(text(dice)),
        8 => Value::Array(some(dice, |dice| value(dice, depth - 1))),
        9 => Value::record(some(dice, |dice| (text(dice).to_owned(), value(dice, depth - 1)))),
        10 => Value::Tagged { tag: "copySet".into(), payload: Box::new(value(dice, depth - 1)) },
        _ => {
            let error_id = dice.once_in(2).then(|| "error:a#1".to_owned());
            Value::Error { name: "TypeError".into(), message: text(dice).into(), error_id }
        }
    }
}

fn text(dice: &mut Dice) -> &'static str {
    TEXTS[dice.below(TEXTS.len())]
}

fn some<T>(dice: &mut Dice, mut one: impl FnMut(&mut Dice) -> T) -> Vec<T> {
    (0..dice.below(8)).map(|_| one(dice)).collect()
}

/// A call as it is typed at a prompt, read back: the method's arguments are the message's name, these references, and
/// more. A line with a mistake is typed before it.
pub fn typed(dice: &mut Dice, target: KRef, name: MessageName, slots: &[KRef]) -> CapData<KRef> {
    let mut arguments = vec![format!("\"{name}\"")];
    arguments.extend(slots.iter().map(ToString::to_string));
    arguments.extend((0..dice.below(3)).map(|_| expression(dice, DEPTH)));
    let end = [")", ", )", ") ;", ")  "][dice.below(4)];
    let line = format!("{target} . m( {}{end}", arguments.join(" , "));
    mistyped(dice, &line);
    match parse_line(&line, resolve) {
        Ok(Line::Call(call)) if call.target.reference == target => call.methargs(),
        other => panic!("the line {line:?} is understood as {other:?}"),
    }
}

fn resolve(name: &str) -> Result<Named<KRef>, String> {
    let reference: KRef = name.parse().map_err(|error| format!("{error}"))?;
    Ok(match reference {
        KRef::Object(_) => Named { reference, kind: RefKind::Object, iface: Some("Alleged: thing".into()) },
        KRef::Promise(_) => Named { reference, kind: RefKind::Promise, iface: None },
    })
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    const WORDS: &[&str] = &[
        "12",
        "-1.5e3",
        "+.5",
        "0x1F",
        "-0x1",
        "1_000",
        "2e-3",
        "12n",
        "-7n",
        "NaN",
        "Infinity",
        "-Infinity",
        "true",
        "false",
        "null",
        "undefined",
        "''",
        "\"a\\n\\r\\t\\b\\f\\v\\0\"",
        "'\\x41\\u0042\\u{1f600}\\ud83d\\ude00\\q'",
    ];
    match dice.below(if depth == 0 { 4 } else { 6 }) {
        0..=3 => WORDS[dice.below(WORDS.len())].into(),
        4 => format!("[{}]", some(dice, |dice| expression(dice, depth - 1)).join(", ")),
        _ => {
            let mut record = String::from("{");
            for name in ["a", "'b c'", "7", "$d_-e"].into_iter().take(dice.below(5)) {
                let _ = write!(record, "{name}: {}, ", expression(dice, depth - 1)); // a String takes everything
            }
            record + "}"
        }
    }
}

/// One character of the line is lost or another one slips in.
fn mistyped(dice: &mut Dice, line: &str) {
    let mut characters: Vec<char> = line.chars().collect();
    let at = dice.below(characters.len());
    if dice.once_in(2) {
        characters.remove(at);
    } else {
        let slips = ['"', '\\', '(', '}', ',', '.', 'x', '-', '\u{7}', 'é', ' '];
        characters.insert(at, slips[dice.below(slips.len())]);
    }
    if dice.once_in(3) {
        characters.truncate(at);
    }
    let text: String = characters.iter().collect();
    if let Err(error) = parse_line(&text, resolve) {
        let inside = (1..=characters.len() + 1).contains(&error.column) && !error.message.is_empty();
        assert!(inside, "the line {text:?} is said to be wrong at column {}: {}", error.column, error.message);
    }
}

/// Somebody looks at a value, as a person and as a program. What is no value is not shown.
pub fn looked_at(data: &CapData<KRef>) {
    let Ok(value) = decode(data) else { return };
    let shown = pretty(&value, &data.slots);
    let steers = shown.lines().any(|line| line.chars().any(char::is_control));
    assert!(!steers, "{:?} is shown as {shown:?}, which steers a terminal", data.body);
    let plain = plain_json(&value, &data.slots);
    assert!(from_json(&plain).is_ok(), "{:?} is shown as {plain:?}, which is no JSON", data.body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sturdy_types::ObjectId;

    #[test]
    fn whatever_is_said_is_understood_and_shown() {
        let mut dice = Dice::new(1, 1);
        let name = MessageName { kernel: 1, boot: 2, vat: 3, run: 4, number: 5 };
        let object = KRef::Object(ObjectId(7));
        for _ in 0..2_000 {
            let body = body(&mut dice, &[false, true]);
            let data = CapData { body, slots: vec![object, object] };
            assert!(decode(&data).is_ok(), "{}", data.body);
            looked_at(&data);
            let typed = typed(&mut dice, object, name, &[object]);
            assert_eq!(MessageName::of(&typed.body), Some(name), "{}", typed.body);
            assert_eq!(typed.slots, [object]);
        }
    }
}
