//! JSON as it comes from outside: strict about duplicate keys, which decoders disagree about, and able to keep the
//! order and the spelling of what it rewrites.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Reads a value, refusing duplicate keys at any depth. `Err` says why, in one line.
pub(crate) fn parse_strict(bytes: &[u8]) -> Result<serde_json::Value, String> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err("it begins with a byte order mark".into());
    }
    let text =
        str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 at byte {}", error.valid_up_to()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Unique
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| error.to_string())?;
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The members of an object in their order, values as they are spelled.
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de> de::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keep;
        impl<'de> Visitor<'de> for Keep {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Keep)
    }
}

/// Takes the white space out of a text that is known to be JSON.
pub(crate) fn minify(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

/// Walks a value and keeps nothing but the question whether a key stands twice.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(de::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            keys.insert(key);
            map.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn minifying_leaves_strings_alone() {
        assert_eq!(
            minify("{ \"a b\\\" c\" : [ 1 ,\t\"\\\\\" ]\r\n}"),
            "{\"a b\\\" c\":[1,\"\\\\\"]}"
        );
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        assert!(
            parse_strict(br#"{"a":[{"b":1,"b":2}]}"#)
                .unwrap_err()
                .contains("twice")
        );
        assert!(
            parse_strict(br#"{"a":1,"\u0061":2}"#)
                .unwrap_err()
                .contains("twice")
        );
        assert!(parse_strict(br#"{"a":{"b":1},"c":{"b":1.5,"d":[null,true,-1,"x"]}}"#).is_ok());
        assert!(
            parse_strict(b"\xEF\xBB\xBF{}")
                .unwrap_err()
                .contains("byte order mark")
        );
        assert!(parse_strict(b"{} {}").is_err());
    }

    #[test]
    fn endless_nesting_is_refused_at_once() {
        assert!(parse_strict(&vec![b'['; 16 << 20]).is_err());
    }

    proptest! {
        #[test]
        fn minifying_changes_no_value(text in r#"[ \t\n]*(\{ *"[ a-z\\"]{0,6}" *: *(1|" x "|\[ *\]) *\}|\[ *1 *, *"a \\" b" *\])[ \n]*"#) {
            if let Ok(value) = parse_strict(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&minify(&text)).unwrap(), value);
            }
        }
    }
}
