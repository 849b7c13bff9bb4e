//! The small words that a plan is written in: names, references to files, names of environment variables, periods.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Text that is not what a plan wants in its place. The text itself is never repeated: it may be a secret that was
/// put into the wrong key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not {kind}: {rule}")]
pub struct WordError {
    kind: &'static str,
    rule: &'static str,
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = WordError;
            fn try_from(text: String) -> Result<Self, WordError> {
                let is_valid: fn(&str) -> bool = $valid;
                if is_valid(&text) { Ok(Self(text)) } else { Err(WordError { kind: $kind, rule: $rule }) }
            }
        }

        impl FromStr for $name {
            type Err = WordError;
            fn from_str(text: &str) -> Result<Self, WordError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $rule, "pattern": $pattern })
            }
        }
    };
}

word! {
    /// Names something within its plan: an image, an instrument, a measurement.
    Name, "a name", "a name has 1 to 40 letters, digits, `-` or `_`", "^[A-Za-z0-9_-]{1,40}$",
    |text| (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
word! {
    /// Refers to a file or directory beside the plan or below it, with `/` on every system. Only the runner turns
    /// it into bytes.
    FileRef, "a reference to a file", "a file is named relative to the plan, beside it or below it, with `/` between names",
    "^(?!/)(?!.*(^|/)\\.{0,2}(/|$))[^\\\\:*?\"<>|\\u0000-\\u001f\\u007f]{1,200}$",
    |text| (1..=200).contains(&text.chars().count())
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !text.contains(['\\', ':', '*', '?', '"', '<', '>', '|'])
        && !text.chars().any(char::is_control)
}
word! {
    /// Names an environment variable.
    EnvName, "the name of an environment variable",
    "an environment variable is named by capital letters, digits and `_`, and does not begin with a digit",
    "^[A-Z_][A-Z0-9_]{0,63}$",
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && !text.as_bytes()[0].is_ascii_digit()
}
word! {
    /// The name of a Wi-Fi network, 1 to 32 bytes (`device-rest-api.md` 3.6).
    Ssid, "the name of a Wi-Fi network", "a network is named by 1 to 32 bytes without control characters",
    "^[^\\u0000-\\u001f\\u007f]{1,32}$",
    |text| (1..=32).contains(&text.len()) && !text.chars().any(char::is_control)
}
word! {
    /// A unit of measurement, as the test application names it: `V`, `C`, `dBm`, `%`.
    Unit, "a unit", "a unit has 1 to 16 characters without spaces", "^[^\\s\\u0000-\\u001f\\u007f]{1,16}$",
    |text| (1..=16).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// A length of time, written as `500ms`, `30s`, `2m`, `1h` or several of them, greatest first: `1m30s`. It is more
/// than nothing and at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(u64);

/// The units of a [`Period`] in milliseconds, greatest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Period {
    /// The longest: a step that takes longer than a day is a mistake.
    pub const LONGEST: Self = Self(24 * 3_600_000);

    /// From whole seconds, at least one.
    pub const fn from_secs(seconds: u32) -> Self {
        let millis = seconds as u64 * 1_000;
        Self(if millis == 0 {
            1
        } else if millis > Self::LONGEST.0 {
            Self::LONGEST.0
        } else {
            millis
        })
    }

    /// The length of time.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Both together, never more than [`Self::LONGEST`].
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let sum = self.0 + other.0;
        Self(if sum > Self::LONGEST.0 {
            Self::LONGEST.0
        } else {
            sum
        })
    }
}

impl FromStr for Period {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        parse_millis(text)
            .filter(|millis| (1..=Self::LONGEST.0).contains(millis))
            .map(Self)
            .ok_or(WordError {
                kind: "a length of time",
                rule: PERIOD_RULE,
            })
    }
}

const PERIOD_RULE: &str =
    "write it like `500ms`, `30s`, `2m`, `1h` or `1m30s`; it is more than nothing and at most 24h";

fn parse_millis(text: &str) -> Option<u64> {
    let mut units = UNITS.as_slice();
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = &after[..after
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(after.len())];
        // Each unit once, greatest first: `30s1m` and `1s1s` are mistakes.
        let place = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(units[place].1)?)?;
        units = &units[place + 1..];
        rest = &after[unit.len()..];
    }
    Some(total)
}

impl TryFrom<String> for Period {
    type Error = WordError;
    fn try_from(text: String) -> Result<Self, WordError> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl fmt::Display for Period {
    /// The one normal spelling: `1m30s`, whatever was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut rest = self.0;
        for (unit, millis) in UNITS {
            if rest >= millis {
                text.push_str(&format!("{}{unit}", rest / millis));
                rest %= millis;
            }
        }
        f.pad(&text)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": PERIOD_RULE,
            "pattern": "^(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "examples": ["30s", "1m30s", "500ms"]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn periods_are_read_and_have_one_spelling() {
        for (text, millis, normal) in [
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "1m30s"),
            ("1m30s", 90_000, "1m30s"),
            ("500ms", 500, "500ms"),
            ("1h2m3s4ms", 3_723_004, "1h2m3s4ms"),
            ("24h", 86_400_000, "24h"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.duration().as_millis(), millis, "{text}");
            assert_eq!(period.to_string(), normal);
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "30 s",
            "1s1m",
            "1s1s",
            "25h",
            "1d",
            "1S",
            "99999999999999999999s",
            "30秒",
            "٣s",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn references_stay_beside_the_plan() {
        for good in [
            "a.imagepackage",
            "thermostat/test-application",
            "..a",
            "a..b/c",
            "größe.bin",
        ] {
            assert!(good.parse::<FileRef>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "./a",
            "a/",
            "C:x",
            "a\\b",
            "a\nb",
        ] {
            assert!(bad.parse::<FileRef>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wrong_word_is_not_repeated() {
        let error = "hunter2-hunter2".parse::<EnvName>().unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_any_period_survives(text in ".{0,40}", millis in 1..=Period::LONGEST.0) {
            let _ = text.parse::<Period>();
            let _ = text.parse::<FileRef>();
            prop_assert_eq!(Period(millis).to_string().parse::<Period>().unwrap(), Period(millis));
        }
    }
}
