//! How the body of a message or settlement comes into a heap. Short ones come as text, and the layer parses them. Long ones
//! are parsed here: the engine would copy such a text twice before it parses it, and looks at it byte by byte.
//!
//! What always holds: what comes is what the engine's own `JSON.parse` would have made of the text. Whatever this parser and
//! the engine might see differently comes as text: numbers that are not whole, texts that are no JSON, deep nesting. So an
//! error is always the engine's.

use rquickjs::object::Property;
use rquickjs::{Array, Ctx, IntoJs, Null, Object, String, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Bytes from which on a body is long. For shorter ones the two ways cost about the same.
const LONG_BODY_BYTES: usize = 4 << 10;

/// Smallcaps text, on its way to `decode` of `marshal.js`: a text, or a list of one with the value of the JSON in it.
pub(crate) struct Body<'a>(pub(crate) &'a str);

impl<'js> IntoJs<'js> for Body<'_> {
    fn into_js(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        let json = if self.0.len() < LONG_BODY_BYTES { None } else { self.0.strip_prefix('#') };
        match json.and_then(|json| parse(ctx, json)) {
            Some(tree) => {
                let parsed = Array::new(ctx.clone())?;
                parsed.set(0, tree)?;
                Ok(parsed.into_value())
            }
            None => self.0.into_js(ctx),
        }
    }
}

/// The value of a text; nothing if the engine is to be asked.
fn parse<'js>(ctx: &Ctx<'js>, json: &str) -> Option<Value<'js>> {
    let mut from = serde_json::Deserializer::from_str(json);
    let tree = Tree(ctx).deserialize(&mut from).and_then(|tree| from.end().map(|()| tree));
    if tree.is_err() {
        drop(ctx.catch()); // the engine may have no memory, which it will say again
    }
    tree.ok()
}

/// Makes one value of the engine.
#[derive(Clone, Copy)]
struct Tree<'a, 'js>(&'a Ctx<'js>);

impl<'js> Tree<'_, 'js> {
    fn make<E: Error>(self, value: impl IntoJs<'js>) -> Result<Value<'js>, E> {
        value.into_js(self.0).map_err(E::custom)
    }
}

impl<'de, 'js> DeserializeSeed<'de> for Tree<'_, 'js> {
    type Value = Value<'js>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, 'js> Visitor<'de> for Tree<'_, 'js> {
    type Value = Value<'js>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.make(Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.make(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        #[allow(clippy::cast_precision_loss)] // to the nearest, as JavaScript reads it
        i32::try_from(value).map_or_else(|_| self.make(value as f64), |small| self.make(small))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        #[allow(clippy::cast_precision_loss)] // as above
        i32::try_from(value).map_or_else(|_| self.make(value as f64), |small| self.make(small))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        self.make(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let list = Array::new(self.0.clone()).map_err(A::Error::custom)?;
        let mut at = 0;
        while let Some(value) = from.next_element_seed(self)? {
            list.set(at, value).map_err(A::Error::custom)?;
            at += 1;
        }
        Ok(list.into_value())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let record = Object::new(self.0.clone()).map_err(A::Error::custom)?;
        while let Some(key) = from.next_key::<std::borrow::Cow<'de, str>>()? {
            let key = String::from_str(self.0.clone(), &key).map_err(A::Error::custom)?;
            let value = Property::from(from.next_value_seed(self)?).writable().enumerable().configurable();
            // Defined, not set: `__proto__` is a name like any other.
            record.prop(key, value).map_err(A::Error::custom)?;
        }
        Ok(record.into_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rquickjs::{CatchResultExt, Context, Function, Runtime};

    /// A text is parsed here as by the engine, or not at all. Returns whether it was.
    fn is_parsed_alike(ctx: &Ctx<'_>, json: &str) -> bool {
        let Some(tree) = parse(ctx, json) else { return false };
        let alike: Function<'_> = ctx
            .eval(
                "(tree, json) => {
                    const alike = (a, b) => Object.is(a, b) || typeof a === 'object' && typeof b === 'object' &&
                        a !== null && b !== null && Object.getPrototypeOf(a) === Object.getPrototypeOf(b) &&
                        Reflect.ownKeys(a).length === Reflect.ownKeys(b).length &&
                        Reflect.ownKeys(a).every((key, i) => key === Reflect.ownKeys(b)[i] &&
                            fieldsAlike(Object.getOwnPropertyDescriptor(a, key), Object.getOwnPropertyDescriptor(b, key)));
                    const fieldsAlike = (a, b) => a.writable === b.writable && a.enumerable === b.enumerable &&
                        a.configurable === b.configurable && alike(a.value, b.value);
                    return alike(tree, JSON.parse(json));
                }",
            )
            .expect("it is a function");
        assert!(alike.call::<_, bool>((tree, json)).expect("the engine parses it too"), "{json}");
        true
    }

    fn with_engine<T>(then: impl FnOnce(&Ctx<'_>) -> T) -> T {
        let context = Context::full(&Runtime::new().expect("memory")).expect("memory");
        context.with(|ctx| then(&ctx))
    }

    #[test]
    fn long_bodies_come_parsed_and_others_as_text() {
        with_engine(|ctx| {
            let comes_as = |body: &str| Body(body).into_js(ctx).expect("memory").type_name();
            let long = "x".repeat(LONG_BODY_BYTES);
            assert_eq!(comes_as(&format!("#[\"{long}\"]")), "array");
            assert_eq!(comes_as("#[\"x\"]"), "string");
            assert_eq!(comes_as(&format!("[\"{long}\"]")), "string");
            assert_eq!(comes_as(&format!("#[\"{long}\",0.5]")), "string");
            assert_eq!(comes_as(&format!("#[\"{long}]")), "string");
        });
    }

    #[test]
    fn what_the_engine_might_see_differently_is_left_to_it() {
        with_engine(|ctx| {
            for json in ["-0", "0.1", "1e3", "18446744073709551616", "\"\\ud800\"", "[1,]", "", "{}{}", "NaN", "'x'"] {
                assert!(!is_parsed_alike(ctx, json), "{json}");
            }
            assert!(!is_parsed_alike(ctx, &format!("{}{}", "[".repeat(1000), "]".repeat(1000))));
            for json in [
                " [ null , true,false ] ",
                "{\"__proto__\":{\"a\":1},\"b\":2,\"1\":3,\"b\":4,\"\":[]}",
                "[2147483648,-2147483649,9007199254740993,18446744073709551615,-9223372036854775808]",
                "\"\\u0000\\ud83d\\ude00é\u{2028}\\/\\b\"",
            ] {
                assert!(is_parsed_alike(ctx, json), "{json}");
            }
        });
    }

    #[test]
    fn an_engine_without_memory_says_so_itself() {
        let runtime = Runtime::new().expect("memory");
        let context = Context::full(&runtime).expect("memory");
        let long = format!("#[\"{}\"]", "x".repeat(1 << 20));
        let comes = || context.with(|ctx| Body(&long).into_js(&ctx).catch(&ctx).is_ok_and(|body| body.is_array()));
        runtime.set_memory_limit(300 << 10);
        assert!(!comes());
        runtime.set_memory_limit(0);
        assert!(comes());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let text = prop_oneof!["[a-c]{0,2}", any::<std::string::String>(), Just("__proto__".to_owned())];
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            text.clone().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::vec((text.clone(), inner), 0..6)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_what_the_engine_parses(values in proptest::collection::vec(json(), 10), cut in 0usize..2000) {
            with_engine(|ctx| {
                for value in values {
                    let json = value.to_string();
                    assert!(is_parsed_alike(ctx, &json), "{json}");
                    let cut: std::string::String = json.chars().take(cut).collect();
                    is_parsed_alike(ctx, &cut);
                }
            });
        }
    }
}
