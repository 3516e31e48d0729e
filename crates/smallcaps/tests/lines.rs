//! The prompt's language from outside: what a line means, and what is said about one that means nothing.

use proptest::prelude::*;
use sturdy_smallcaps::expr::{Call, ExprError, Line, Named, RefKind, parse_line, parse_value};
use sturdy_smallcaps::{DEPTH_LEVELS, display::pretty};

/// Knows `counter`, `my vat`, `alice-1`, `$2` and every `ko` and `kp`.
fn resolve(name: &str) -> Result<Named<String>, String> {
    let named = |reference: &str, kind, iface: Option<&str>| {
        Ok(Named { reference: reference.into(), kind, iface: iface.map(Into::into) })
    };
    match name {
        "counter" => named("ko4", RefKind::Object, Some("Alleged: Counter")),
        "my vat" => named("ko6", RefKind::Object, None),
        "alice-1" => named("ko7", RefKind::Object, None),
        "$2" => named("kp9", RefKind::Promise, None),
        _ if name.starts_with("ko") => named(name, RefKind::Object, None),
        _ if name.starts_with("kp") => named(name, RefKind::Promise, None),
        _ => Err(format!("there is no `{name}`")),
    }
}

fn call(line: &str) -> Call<String> {
    match parse_line(line, resolve) {
        Ok(Line::Call(call)) => call,
        other => panic!("{line}: {other:?}"),
    }
}

fn complaint(line: &str) -> String {
    parse_line(line, resolve).expect_err(line).to_string()
}

#[test]
fn a_call_has_target_method_and_arguments() {
    let call = call(
        r#" counter . increment(3, "x", [1, {a: true,}], 12n, undefined, ko5, $2, -1.5e3, NaN, 'single', counter,) ; "#,
    );
    assert_eq!((call.target.reference.as_str(), call.method.as_str()), ("ko4", "increment"));
    assert_eq!(call.slots, ["ko5", "kp9", "ko4"]);
    let methargs = call.methargs();
    assert_eq!(
        methargs.body,
        r##"#["increment",[3,"x",[1,{"a":true}],"+12","#undefined","$0","&1",-1500,"#NaN","single","$2.Alleged: Counter"]]"##
    );
    assert_eq!(methargs.slots, call.slots);
}

#[test]
fn a_name_alone_is_a_look() {
    for (line, reference) in [("counter", "ko4"), (" ko12 ", "ko12"), ("$2;", "kp9"), ("'my vat'", "ko6")] {
        match parse_line(line, resolve) {
            Ok(Line::Inspect(named)) => assert_eq!(named.reference, reference),
            other => panic!("{line}: {other:?}"),
        }
    }
    assert_eq!(call("\"my vat\".x()").target.reference, "ko6");
    assert_eq!(call("alice-1.x()").target.reference, "ko7");
}

#[test]
fn literals_are_javascripts() {
    for (text, shown) in [
        ("0x1F", "31"),
        ("-0x10", "-16"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1E-3", "0.001"),
        ("1e+21", "1e+21"),
        ("1_000", "1000"),
        ("-0", "0"),
        ("-Infinity", "[-Infinity]"),
        ("-007n", "-7n"),
        ("123456789012345678901234567890n", "123456789012345678901234567890n"),
        ("null", "null"),
        (r"'it\'s'", r#""it's""#),
        (r#""\u0041\x42\u{1f600}\ud83d\ude00\n\q""#, r#""AB😀😀\nq""#),
        ("{}", "{}"),
        ("{ 'a b': 1, 2: [], $x: {y: false}, a: 0, a: 9 }", r#"{"$x": {"y": false}, "2": [], "a": 9, "a b": 1}"#),
        ("[ko1, ko2, ko1]", "[<ko1>, <ko2>, <ko1>]"),
    ] {
        let (value, slots) = parse_value(text, resolve).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(pretty(&value, &slots), shown, "{text}");
    }
}

#[test]
fn mistakes_are_told_with_column_and_remedy() {
    for (line, expected) in [
        ("", "column 1: expected the name of an object, as in `counter.increment(3)`, found the end of the line"),
        ("(", "column 1: expected the name of an object, as in `counter.increment(3)`, found `(`"),
        ("nobody.x()", "column 1: there is no `nobody`"),
        ("counter x", "column 9: expected `.` and a method, as in `counter.method()`, found `x`"),
        ("counter(3)", "column 8: expected `.` and a method, as in `counter.method()`, found `(3)`"),
        ("counter.", "column 9: expected the name of a method, as in `counter.method()`, found the end of the line"),
        (
            "counter.increment",
            "column 18: expected `(` after the method's name: write `counter.increment()` to call it, \
             found the end of the line",
        ),
        ("counter.x(", "column 11: expected a value, found the end of the line"),
        ("counter.x(1 2)", "column 13: expected `,` or `)`, found `2)`"),
        ("counter.x(,)", "column 11: expected a value, found `,)`"),
        ("counter.x(1).y()", "column 13: expected the end of the line after `)`, found `.y()`"),
        ("counter.x({a 1})", "column 14: expected `:` after the property's name, found `1})`"),
        ("counter.x({,})", "column 12: expected a property's name or `}`, found `,})`"),
        ("counter.x(\"é\", 'abc)", "column 16: this string has no end: expected ' before the end of the line"),
        ("counter.x('\\", "column 11: this string has no end: expected ' before the end of the line"),
        ("counter.x('\\u12')", "column 14: expected 4 hexadecimal digits, found `12')`"),
        ("counter.x(1, bob)", "column 14: there is no `bob`"),
        ("counter.x(12x)", "column 11: `12x` is not a number: expected one like 3, -1.5e3, 0x1f or 12n"),
        ("counter.x(1.5n)", "column 11: `1.5n` is not a number: expected one like 3, -1.5e3, 0x1f or 12n"),
        ("counter.x(-)", "column 11: `-` is not a number: expected one like 3, -1.5e3, 0x1f or 12n"),
        ("counter.x(--1)", "column 11: `-` is not a number: expected one like 3, -1.5e3, 0x1f or 12n"),
    ] {
        assert_eq!(complaint(line), expected, "{line}");
    }
}

#[test]
fn hostile_nesting_is_refused() {
    let line = format!("counter.x({}", "[{a:".repeat(1_000_000));
    assert!(complaint(&line).contains(&format!("{DEPTH_LEVELS} levels")));
}

proptest! {
    #[test]
    fn any_line_is_read_or_refused(line in any::<String>()) {
        let _ = parse_line(&line, resolve);
    }

    #[test]
    fn almost_lines_are_read_or_refused_inside_the_line(
        line in r#"counter\.x\(([a-z0-9 ,.:"'\[\]{}()\\+$_é-]|ko1|\$2|\\u|12n|true){0,25}\)?"#,
    ) {
        match parse_line(&line, resolve) {
            Ok(Line::Call(call)) => {
                let methargs = call.methargs();
                prop_assert!(sturdy_smallcaps::decode(&methargs).is_ok());
            }
            Ok(Line::Inspect(_)) => prop_assert!(false, "{}", line),
            Err(ExprError { column, .. }) => prop_assert!((1..=line.chars().count() + 1).contains(&column)),
        }
    }
}
