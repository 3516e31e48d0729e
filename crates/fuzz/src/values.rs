//! Smallcaps: any text is read or refused; what is read is written so that it is read as the same; what is shown steers no
//! terminal; the quick look for a lone reference agrees with decoding; JSON is what another reader takes for JSON.

use serde::de::IgnoredAny;
use sturdy_smallcaps::display::{plain_json, pretty};
use sturdy_smallcaps::{JsonError, Value, decode, encode_body, extract_single_ref, from_json};
use sturdy_types::CapData;

const SLOTS: [&str; 3] = ["ko5", "kp3", "ko7"];

/// A body, `#` included.
pub(crate) fn values(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    let data = capdata(body);
    let lone = extract_single_ref(&data);
    match decode(&data) {
        Ok(value) => {
            let found = match value {
                Value::Remotable { slot, .. } | Value::Promise { slot } => data.slots.get(slot),
                _ => None,
            };
            assert_eq!(lone, found, "{body:?}");
            written_and_read(&value);
            let shown = pretty(&value, &SLOTS);
            assert!(shown.lines().all(|line| !line.chars().any(char::is_control)), "{shown:?} steers the terminal");
            let plain = plain_json(&value, &SLOTS);
            assert!(from_json(&plain).is_ok(), "{plain}");
        }
        Err(_) => assert_eq!(lone, None, "{body:?} is no value, but has a reference"),
    }
    json(body.strip_prefix('#').unwrap_or(body));
}

fn capdata(body: &str) -> CapData<&'static str> {
    CapData { body: body.to_owned(), slots: SLOTS.to_vec() }
}

pub(crate) fn written_and_read(value: &Value) {
    let text = encode_body(value);
    let again = decode(&capdata(&text)).unwrap_or_else(|error| panic!("{error}: {text}"));
    // By their text: NaN differs from itself.
    assert_eq!(format!("{again:?}"), format!("{value:?}"), "{text}");
    assert_eq!(encode_body(&again), text, "a value has two spellings");
}

fn json(text: &str) {
    let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
    match from_json(text) {
        Ok(value) => {
            assert!(theirs, "{text:?} is taken for JSON");
            written_and_read(&value);
        }
        // Our limits are narrower.
        Err(JsonError::TooDeep | JsonError::TooMany) => {}
        Err(error) => assert!(!theirs, "{text:?} is JSON, but: {error}"),
    }
}
