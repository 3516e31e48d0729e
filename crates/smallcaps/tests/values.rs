//! Smallcaps from outside: every form both ways, hostile bodies, random values, and the two display forms.

use proptest::prelude::*;
use sturdy_smallcaps::display::{plain_json, pretty};
use sturdy_smallcaps::{
    BigInt, DEPTH_LEVELS, DecodeError, Value, decode, encode, encode_body, extract_single_ref, from_json,
};
use sturdy_types::CapData;

fn data(body: &str) -> CapData<String> {
    CapData { body: body.into(), slots: vec!["ko5".into(), "kp3".into()] }
}

fn read(body: &str) -> Value {
    decode(&data(body)).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn shown(body: &str) -> String {
    pretty(&read(body), &data(body).slots)
}

fn json(body: &str) -> String {
    plain_json(&read(body), &data(body).slots)
}

// kernel-semantics §4.8: body, display form, form for programs.
const FORMS: &[(&str, &str, &str)] = &[
    (r##"#"#undefined""##, "[undefined]", r#"{"@undefined":true}"#),
    ("#null", "null", "null"),
    ("#true", "true", "true"),
    ("#-1.5", "-1.5", "-1.5"),
    ("#1e+21", "1e+21", "1e+21"),
    (r##"#"#NaN""##, "[NaN]", r#"{"@number":"NaN"}"#),
    (r##"#"#-Infinity""##, "[-Infinity]", r#"{"@number":"-Infinity"}"#),
    (r#"#"+12""#, "12n", r#"{"@bigint":"12"}"#),
    (r#"#"-12""#, "-12n", r#"{"@bigint":"-12"}"#),
    (r#"#"+0""#, "0n", r#"{"@bigint":"0"}"#),
    (r#"#"%foo""#, "[Symbol: foo]", r#"{"@symbol":"foo"}"#),
    (r#"#"%@@asyncIterator""#, "[Symbol: Symbol.asyncIterator]", r#"{"@symbol":"@@asyncIterator"}"#),
    (r#"#"%@@@@foo""#, "[Symbol: @@foo]", r#"{"@symbol":"@@@@foo"}"#),
    (r#"#"""#, r#""""#, r#""""#),
    (r#"#"a\nb""#, r#""a\nb""#, r#""a\nb""#),
    (r#"#"!#undefined""#, r##""#undefined""##, r##""#undefined""##),
    (r#"#"!!""#, r#""!""#, r#""!""#),
    (r#"#"$0.Alleged: Foo""#, "<ko5> (Alleged: Foo)", r#"{"@ref":"ko5","iface":"Alleged: Foo"}"#),
    (r#"#"$0""#, "<ko5>", r#"{"@ref":"ko5"}"#),
    (r#"#"&1""#, "<kp3>", r#"{"@promise":"kp3"}"#),
    (
        r#"#["$0.Alleged: Foo","$0"]"#,
        "[<ko5> (Alleged: Foo), <ko5> (Alleged: Foo)]",
        r#"[{"@ref":"ko5","iface":"Alleged: Foo"},{"@ref":"ko5","iface":"Alleged: Foo"}]"#,
    ),
    (r##"#{"#tag":"t","payload":"+1"}"##, r#"{"[Tagged: t]": 1n}"#, r#"{"@tag":"t","payload":{"@bigint":"1"}}"#),
    (r##"#{"#error":"!-x","name":"TypeError"}"##, "[TypeError: -x]", r#"{"@error":"-x","name":"TypeError"}"#),
    (
        r##"#{"#error":"x","errorId":"error:liveSlots:v1#7","name":"Error"}"##,
        "[Error: x]",
        r#"{"@error":"x","name":"Error","errorId":"error:liveSlots:v1#7"}"#,
    ),
    (
        r#"#{"9":1,"10":2,"!#x":3,"@ref":"ko1"}"#,
        r##"{"#x": 3, "10": 2, "9": 1, "@ref": "ko1"}"##,
        r##"{"#x":3,"10":2,"9":1,"@@ref":"ko1"}"##,
    ),
    ("#[]", "[]", "[]"),
    ("#{}", "{}", "{}"),
];

#[test]
fn every_form_is_read_written_and_shown() {
    for (body, display, plain) in FORMS {
        assert_eq!(shown(body), *display, "{body}");
        assert_eq!(json(body), *plain, "{body}");
        assert_eq!(encode(&read(body), data("").slots), data(body), "{body}");
    }
}

#[test]
fn what_means_nothing_is_refused() {
    for body in [
        "1",
        "",
        r##"#"#foo""##,
        r##"#"#""##,
        r#"#"(x""#,
        r#"#"*""#,
        r#"#"+""#,
        r#"#"+1x""#,
        r#"#"-+1""#,
        r#"#"$""#,
        r#"#"$2""#,
        r#"#"$01""#,
        r#"#"&9999999999999999999999""#,
        r#"#"&0.x""#,
        r#"#"%@@nonsense""#,
        r##"#{"#x":1}"##,
        r#"#{"$0":1}"#,
        r##"#{"#tag":1,"payload":1}"##,
        r##"#{"#tag":"t"}"##,
        r##"#{"#tag":"t","payload":1,"x":1}"##,
        r##"#{"#error":1,"name":"Error"}"##,
        r##"#{"#error":"x"}"##,
        r##"#{"#error":"x","name":"Error","errorId":1}"##,
    ] {
        assert!(decode(&data(body)).is_err(), "{body}");
    }
}

#[test]
fn hostile_nesting_is_refused_not_followed() {
    let open = "[".repeat(5_000_000);
    assert!(matches!(decode(&data(&format!("#{open}"))), Err(DecodeError::Json(_))));
    let tags = r##"{"#tag":"t","payload":"##.repeat(100_000);
    assert!(matches!(decode(&data(&format!("#{tags}"))), Err(DecodeError::Json(_))));
    let deepest = format!("#{}{}", "[".repeat(DEPTH_LEVELS), "]".repeat(DEPTH_LEVELS));
    assert_eq!(encode_body(&read(&deepest)), deepest);
    assert!(!shown(&deepest).is_empty());
}

#[test]
fn properties_are_sorted_by_utf16_and_the_last_of_equals_counts() {
    // U+FF5E is greater than the surrogates of U+1F600 in UTF-16, and smaller in UTF-8.
    assert_eq!(
        encode_body(&read("#{\"\u{ff5e}\":1,\"\u{1f600}\":2,\"a\":0}")),
        "#{\"a\":0,\"\u{1f600}\":2,\"\u{ff5e}\":1}"
    );
    assert_eq!(encode_body(&read(r#"#{"a":1,"a":2}"#)), r#"#{"a":2}"#);
}

#[test]
fn long_values_are_broken_into_lines() {
    let body =
        format!(r##"#{{"list":["{0}","{0}","{0}"],"n":{{"#tag":"t","payload":["{0}","{0}"]}}}}"##, "x".repeat(40));
    let x = "x".repeat(40);
    let expected = format!(
        "{{\n  \"list\": [\n    \"{x}\",\n    \"{x}\",\n    \"{x}\"\n  ],\n  \"n\": {{\n    \"[Tagged: t]\": [\n      \
         \"{x}\",\n      \"{x}\"\n    ]\n  }}\n}}"
    );
    assert_eq!(shown(&body), expected);
}

#[test]
fn a_deep_value_is_not_mostly_spaces() {
    let depth = DEPTH_LEVELS - 1;
    let body = format!("#{}[{}1]{}", "[".repeat(depth), "1,".repeat(20_000), "]".repeat(depth));
    let text = shown(&body);
    assert!(text.len() < 70 * (20_000 + 2 * DEPTH_LEVELS), "{} bytes", text.len());
}

#[test]
fn nothing_shown_steers_the_terminal() {
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\r\n<ko1>";
    for value in [
        Value::string(hostile),
        Value::Symbol(hostile.into()),
        Value::Error { name: hostile.into(), message: hostile.into(), error_id: None },
        Value::Remotable { slot: 0, iface: Some(hostile.into()) },
        Value::record([(hostile.into(), Value::Null)]),
        Value::Tagged { tag: hostile.into(), payload: Box::new(Value::Null) },
    ] {
        let text = pretty(&value, &["ko5"]);
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}

#[test]
fn plain_json_becomes_values() {
    let value = from_json(r##"{"b":"#undefined","a":["+1",null,-0]}"##).expect("it is JSON");
    assert_eq!(encode_body(&value), r#"#{"a":["!+1",null,0],"b":"!#undefined"}"#);
    assert!(from_json("{a:1}").is_err());
}

fn values() -> impl Strategy<Value = Value> {
    let text = || prop_oneof!["[ -~]{0,8}", any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Undefined),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_map(|number| Value::Number(number + 0.0)),
        any::<i32>().prop_map(|number| Value::Number(number.into())),
        any::<i128>().prop_map(|number| Value::BigInt(BigInt::from(number))),
        text().prop_map(Value::String),
        "[a-z]{0,5}".prop_map(Value::Symbol),
        (0..2_usize).prop_map(|slot| Value::Promise { slot }),
        Just(Value::Remotable { slot: 0, iface: Some("Alleged: \"x\"".into()) }),
        Just(Value::Remotable { slot: 1, iface: None }),
        (text(), text(), proptest::option::of(text())).prop_map(|(name, message, error_id)| Value::Error {
            name,
            message,
            error_id
        }),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((prop_oneof![any::<String>(), "[0-9]{1,3}"], inner.clone()), 0..5)
                .prop_map(Value::record),
            (any::<String>(), inner).prop_map(|(tag, payload)| Value::Tagged { tag, payload: Box::new(payload) }),
        ]
    })
}

proptest! {
    #[test]
    fn encoding_is_reversible(value in values()) {
        let encoded = encode(&value, vec![5, 3]);
        let decoded = decode(&encoded).expect("what we write we read");
        // By their text: NaN differs from itself.
        prop_assert_eq!(format!("{decoded:?}"), format!("{value:?}"));
        prop_assert_eq!(encode_body(&decoded), encoded.body);
    }

    #[test]
    fn a_lone_reference_is_found_exactly_when_decoding_finds_it(value in values()) {
        let encoded = encode(&value, vec![5, 3]);
        let expected = match value {
            Value::Remotable { slot, .. } | Value::Promise { slot } => Some(&encoded.slots[slot]),
            _ => None,
        };
        prop_assert_eq!(extract_single_ref(&encoded), expected);
    }

    #[test]
    fn any_text_is_read_or_refused(body in any::<String>()) {
        let data = CapData { body: format!("#{body}"), slots: vec![1] };
        let _ = (decode(&data), extract_single_ref(&data), from_json(&body));
    }

    #[test]
    fn almost_smallcaps_is_read_or_refused(body in r##"(["$&#!+%.,:\[\]{}\\01a -]|"#tag"|"#error"|"name"|"payload":){0,30}"##) {
        let data = CapData { body: format!("#{body}"), slots: vec![1] };
        let single = extract_single_ref(&data);
        if let Ok(value) = decode(&data) {
            let found = match value {
                Value::Remotable { slot, .. } | Value::Promise { slot } => Some(&data.slots[slot]),
                _ => None,
            };
            prop_assert_eq!(single, found);
            let text = encode_body(&value);
            let again = decode(&CapData { body: text.clone(), slots: vec![1] }).expect("what we write we read");
            prop_assert_eq!(encode_body(&again), text);
            let _ = (pretty(&value, &data.slots), plain_json(&value, &data.slots));
        } else {
            prop_assert_eq!(single, None);
        }
    }

    #[test]
    fn what_programs_get_is_json(value in values()) {
        prop_assert!(from_json(&plain_json(&value, &["ko5", "kp3"])).is_ok());
    }
}
