//! Words, ids, numbers and times as the view's columns hold them.

use std::fmt;
use std::str::FromStr;

use lineside_terms::{Stamp, Told};
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer as _, value};

/// A word as the journal spells it.
pub(super) fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        // Only words are handed in; anything else would stand here as it is and be refused when it is read.
        other => format!("{other:?}"),
    }
}

/// When something was decided, as text that sorts by time.
pub(super) fn time(stamp: &Stamp) -> String {
    time_of(stamp.wall_ms)
}

/// Milliseconds since 1970 as text that sorts by time. What no calendar holds becomes its first or last moment.
pub(super) fn time_of(wall_ms: i64) -> String {
    let bound = if wall_ms < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    };
    let timestamp = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(bound);
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A count as SQLite holds it.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count as SQLite held it.
pub(super) fn number(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or_default()
}

/// Reads an id.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: fmt::Display,
{
    row.get::<_, String>(column)?
        .parse()
        .map_err(|e: T::Err| unreadable(column, &e.to_string()))
}

/// Reads an id that may be absent.
pub(super) fn parsed_if_any<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T::Err: fmt::Display,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| {
        text.parse()
            .map_err(|e: T::Err| unreadable(column, &e.to_string()))
    })
    .transpose()
}

/// Reads a word.
pub(super) fn spelled<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    spelled_if_any(row, column)?.ok_or_else(|| unreadable(column, "nothing"))
}

/// Reads a word that may be absent.
pub(super) fn spelled_if_any<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let read = |text: String| {
        T::deserialize(text.into_deserializer()).map_err(|e: value::Error| unreadable(column, &e.to_string()))
    };
    text.map(read).transpose()
}

/// Reads what was kept as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, &error.to_string()))
}

/// The four columns of an error.
pub(super) fn columns_of(told: Option<&Told>) -> [Option<String>; 4] {
    match told {
        None => [const { None }; 4],
        Some(told) => [
            Some(told.code.clone()),
            Some(told.message.clone()),
            Some(told.help.clone()),
            Some(word(told.blame)),
        ],
    }
}

/// Reads the four columns of an error, the first of which is `column`.
pub(super) fn told(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Told>> {
    let Some(code) = row.get(column)? else {
        return Ok(None);
    };
    Ok(Some(Told {
        code,
        message: row.get(column + 1)?,
        help: row.get(column + 2)?,
        blame: spelled(row, column + 3)?,
    }))
}

fn unreadable(column: usize, why: &str) -> rusqlite::Error {
    let error = FromSqlError::Other(why.into());
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_terms::{ClockTrust, ManufacturingState, Outcome, SecurityState};

    #[test]
    fn words_are_those_of_the_journal() {
        assert_eq!(word(Outcome::Pass), "pass");
        assert_eq!(word(ManufacturingState::DeviceComplete), "DeviceComplete");
        assert_eq!(word(SecurityState::Secure), "SECURE");
        assert_eq!(word(ClockTrust::Unverified), "unverified");
    }

    #[test]
    fn times_sort_as_text_and_every_number_has_one() {
        assert_eq!(time_of(1_700_000_000_005), "2023-11-14T22:13:20.005Z");
        assert!(time_of(999) < time_of(1_000));
        for extreme in [i64::MIN, -1, 0, i64::MAX] {
            assert!(time_of(extreme).ends_with('Z'));
        }
    }
}
