//! Is a whole value one reference? The kernel asks this of every resolution, to forward the messages that wait on the
//! promise. Always: the same answer as decoding would give, without decoding; a long body costs nothing.

use crate::decode::parse_index;
use crate::json::{Json, read};
use sturdy_types::CapData;

/// What may stand around a value in JSON: less than what is a blank elsewhere.
const JSON_SPACES: [char; 4] = [' ', '\t', '\n', '\r'];

/// The reference that `data` is, if it is one remotable or promise and nothing else.
pub fn extract_single_ref<R>(data: &CapData<R>) -> Option<&R> {
    let text = data.body.strip_prefix('#')?.trim_matches(JSON_SPACES);
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    match inside.as_bytes().first()? {
        b'$' | b'&' if inside.bytes().all(|byte| byte != b'\\' && byte != b'"' && byte >= 0x20) => {
            slot(inside).and_then(|slot| data.slots.get(slot))
        }
        // Written with escapes: legal, although no marshaller does it for the first character.
        b'$' | b'&' | b'\\' => match read(text) {
            Ok(Json::String(inside)) => slot(&inside).and_then(|slot| data.slots.get(slot)),
            _ => None,
        },
        _ => None,
    }
}

fn slot(text: &str) -> Option<usize> {
    match text.strip_prefix('&') {
        Some(index) => parse_index(index),
        None => parse_index(text.strip_prefix('$')?.split('.').next()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lone_reference_is_one() {
        let find = |body: &str| extract_single_ref(&CapData { body: body.into(), slots: vec![10, 11] }).copied();
        for (body, expected) in [
            (r#"#"$0""#, Some(10)),
            (r#"#"$1""#, Some(11)),
            (r#"#"$1.Alleged: Purse""#, Some(11)),
            (r#"#"$1.Alleged: \"P\"""#, Some(11)),
            (r#"#"&0""#, Some(10)),
            (r#"# "&1" "#, Some(11)),
            (r#"#"\u00241""#, Some(11)),
            (r#"#"$2""#, None),
            (r#"#"$""#, None),
            (r#"#"$00""#, None),
            (r#"#"$.x""#, None),
            (r#"#"&0.x""#, None),
            (r#"#"!$0""#, None),
            (r#"#"$0"x""#, None),
            (r#"#["$0"]"#, None),
            (r#"#"$0"#, None),
            (r#"#""#, None),
            (r#""$0""#, None),
            ("#\"$0.a\nb\"", None),
            ("#\"\\\"", None),
            ("#\u{c}\"$0\"", None),
            ("#\t\r\n \"$0\"", Some(10)),
        ] {
            assert_eq!(find(body), expected, "{body}");
        }
    }
}
