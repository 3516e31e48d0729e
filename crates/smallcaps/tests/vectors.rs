//! Agreement with `@endo/marshal`, by vectors that it made (`tools/oracle/vectors/smallcaps.json`). Not here: making
//! them, which needs Node.

use serde_json::Value as Json;
use sturdy_smallcaps::{BigInt, Value, decode, encode, js_number};
use sturdy_types::CapData;

fn vectors(part: &str) -> Vec<Json> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/oracle/vectors/smallcaps.json");
    let text = std::fs::read_to_string(path).expect("the vectors are committed");
    let all: Json = serde_json::from_str(&text).expect("the vectors are JSON");
    all[part].as_array().unwrap_or_else(|| panic!("no vectors for {part}")).clone()
}

fn data(vector: &Json) -> CapData<String> {
    let slots = vector["slots"].as_array().expect("slots").iter().map(text).collect();
    CapData { body: text(&vector["body"]), slots }
}

fn text(json: &Json) -> String {
    json.as_str().expect("a string").into()
}

/// The neutral notation of the vectors as a value.
fn value(notation: &Json, slots: &[String]) -> Value {
    let inside = &notation["value"];
    let slot = || slots.iter().position(|slot| *slot == text(&inside["slot"])).expect("the slot is listed");
    match notation["kind"].as_str().expect("a kind") {
        "undefined" => Value::Undefined,
        "null" => Value::Null,
        "boolean" => Value::Bool(inside.as_bool().expect("a boolean")),
        "number" => Value::Number(text(inside).parse::<f64>().expect("a number") + 0.0),
        "bigint" => Value::BigInt(BigInt::parse(&text(inside)).expect("digits")),
        "symbol" => Value::Symbol(match (inside["wellKnown"].as_str(), inside["registered"].as_str()) {
            (Some(name), _) => format!("@@{name}"),
            (_, Some(name)) if name.starts_with("@@") => format!("@@{name}"),
            (_, name) => name.or(inside.as_str()).unwrap_or_else(|| panic!("unknown symbol {inside}")).into(),
        }),
        "string" => Value::String(text(inside)),
        "array" => Value::Array(inside.as_array().expect("items").iter().map(|item| value(item, slots)).collect()),
        "record" => {
            Value::record(inside.as_array().expect("pairs").iter().map(|pair| (text(&pair[0]), value(&pair[1], slots))))
        }
        "tagged" => Value::Tagged { tag: text(&inside["tag"]), payload: Box::new(value(&inside["payload"], slots)) },
        "error" => Value::Error { name: text(&inside["name"]), message: text(&inside["message"]), error_id: None },
        "remotable" => Value::Remotable { slot: slot(), iface: Some(text(&inside["iface"])) },
        "promise" => Value::Promise { slot: slot() },
        kind => panic!("unknown kind {kind}"),
    }
}

/// A value as a JavaScript vat would see it: without what only we keep (error ids, classes of error that it does not
/// know), and with the interface that it assumes.
fn seen(value: Value) -> Value {
    const KNOWN: [&str; 8] = [
        "Error",
        "EvalError",
        "RangeError",
        "ReferenceError",
        "SyntaxError",
        "TypeError",
        "URIError",
        "AggregateError",
    ];
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(seen).collect()),
        Value::Record(all) => Value::Record(all.into_iter().map(|(name, value)| (name, seen(value))).collect()),
        Value::Tagged { tag, payload } => Value::Tagged { tag, payload: Box::new(seen(*payload)) },
        Value::Error { name, message, .. } => {
            let name = if KNOWN.contains(&name.as_str()) { name } else { "Error".into() };
            Value::Error { name, message, error_id: None }
        }
        Value::Remotable { slot, iface: None } => Value::Remotable { slot, iface: Some("Remotable".into()) },
        value => value,
    }
}

#[test]
fn we_write_what_endo_writes() {
    for vector in vectors("encode") {
        let data = data(&vector);
        let value = value(&vector["value"], &data.slots);
        assert_eq!(encode(&value, data.slots.clone()), data, "{}", vector["name"]);
    }
}

#[test]
fn we_read_what_endo_reads() {
    for vector in vectors("encode").into_iter().chain(vectors("decode")).chain(vectors("vatErrors")) {
        let data = data(&vector);
        let expected = vector.get("decoded").unwrap_or(&vector["value"]);
        let found = decode(&data).unwrap_or_else(|error| panic!("{vector}: {error}"));
        // By their text: NaN differs from itself.
        assert_eq!(format!("{:?}", seen(found)), format!("{:?}", value(expected, &data.slots)), "{}", data.body);
    }
}

#[test]
fn we_refuse_what_endo_refuses() {
    // What kind of thing a slot is, is not decided here: slots have a type of the caller's.
    let about_slots = |vector: &Json| text(&vector["name"]).contains(" slot used as ");
    for vector in vectors("decodeFails").into_iter().filter(|vector| !about_slots(vector)) {
        assert!(decode(&data(&vector)).is_err(), "{vector}");
    }
}

#[test]
fn where_endo_is_lax_nothing_bad_happens() {
    for vector in vectors("decodeEither") {
        let data = data(&vector);
        if let Ok(value) = decode(&data) {
            assert!(!encode(&value, data.slots).body.is_empty());
        }
    }
}

#[test]
fn numbers_are_written_as_in_javascript() {
    for vector in vectors("encode").into_iter().filter(|vector| vector["value"]["kind"] == "number") {
        let written = text(&vector["value"]["value"]);
        let expected = if written == "-0" { "0" } else { &written };
        assert_eq!(js_number(written.parse().expect("a number")), expected);
    }
}
