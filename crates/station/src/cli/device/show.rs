//! How answers are shown to people: one table, whatever was asked. Columns are the words of the device's own answers,
//! in alphabetical order.

use serde_json::Value;

use super::super::output::{Tone, table};

/// One line of a table: what each column says.
pub(super) type Row = Vec<(String, String)>;

/// An answer as rows: a list gives one for each entry, anything else one in all.
pub(super) fn rows(answer: &Value) -> Vec<Row> {
    if let Value::Object(fields) = answer {
        let mut lists = fields.values().filter_map(|value| match value {
            Value::Array(entries) if entries.iter().all(Value::is_object) => Some(entries),
            _ => None,
        });
        if let (Some(entries), None, 1) = (lists.next(), lists.next(), fields.len()) {
            return entries.iter().map(row).collect();
        }
    }
    vec![row(answer)]
}

fn row(value: &Value) -> Row {
    let mut row = Row::new();
    flatten("", value, &mut row);
    row
}

fn flatten(name: &str, value: &Value, into: &mut Row) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let field = words(field);
                let name = if name.is_empty() {
                    field
                } else {
                    format!("{name} {field}")
                };
                flatten(&name, value, into);
            }
        }
        Value::Array(entries) if entries.iter().any(Value::is_object) => {
            for (number, entry) in entries.iter().enumerate() {
                flatten(&format!("{name} {number}"), entry, into);
            }
        }
        Value::Array(entries) => {
            let entries: Vec<String> = entries.iter().map(plain).collect();
            into.push((name.to_owned(), entries.join(", ")));
        }
        value => into.push((name.to_owned(), plain(value))),
    }
}

/// Text of a device may hold anything: what is no letter is escaped.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text
            .chars()
            .flat_map(|c| {
                if c.is_control() {
                    c.escape_default().collect::<Vec<_>>()
                } else {
                    vec![c]
                }
            })
            .collect(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// `configState` → `config state`; `OSRuntime` and the like stay as they are.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    let mut before: Option<char> = None;
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let is_single = before.is_none_or(char::is_lowercase) && rest.peek().is_none_or(|c| c.is_lowercase());
        match c {
            '_' => words.push(' '),
            c if c.is_uppercase() => {
                if before.is_some_and(char::is_lowercase) {
                    words.push(' ');
                }
                words.push(if is_single { c.to_ascii_lowercase() } else { c });
            }
            c => words.push(c),
        }
        before = Some(c);
    }
    words
}

/// Lines of one device: names and values, or a table when there are several rows.
pub(super) fn lines(rows: &[Row]) -> String {
    match rows {
        [] => "nothing".to_owned(),
        [row] => {
            let width = row
                .iter()
                .map(|(name, _)| name.chars().count())
                .max()
                .unwrap_or(0);
            let lines: Vec<String> = row
                .iter()
                .map(|(name, value)| format!("{name:<width$}  {value}").trim_end().to_owned())
                .collect();
            lines.join("\n")
        }
        rows => columns(rows),
    }
}

/// A table whose columns are all names that some row has.
pub(super) fn columns(rows: &[Row]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let cell = |row: &Row, name: &str| {
        let found = row.iter().find(|(of, _)| of == name);
        found.map_or_else(
            || ("-".to_owned(), Tone::Faint),
            |(_, value)| (value.clone(), Tone::Plain),
        )
    };
    let rows: Vec<Vec<(String, Tone)>> = rows
        .iter()
        .map(|row| names.iter().map(|name| cell(row, name)).collect())
        .collect();
    table(&names, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_become_lines_and_tables() {
        let one = json!({"uptime": 7, "isGood": true, "gdb": {"outPort": null}});
        assert_eq!(
            lines(&rows(&one)),
            "gdb out port  -\nis good       yes\nuptime        7"
        );
        assert_eq!(words("AvailableSpace"), "available space");
        assert_eq!(words("sourceIP"), "source IP");
        assert_eq!(words("OSRuntime"), "OSRuntime");
        assert_eq!(words("wpa_state"), "wpa state");
        let list = json!({"values": [{"ssid": "a", "id": 0}, {"ssid": "b\u{1b}[2J", "configName": "x"}]});
        let text = lines(&rows(&list));
        assert!(text.contains("config name"), "{text}");
        assert!(
            text.contains("\\u{1b}[2J"),
            "no device moves anybody's cursor: {text}"
        );
        assert_eq!(lines(&rows(&json!({"values": []}))), "nothing");
        assert_eq!(
            lines(&rows(&json!({"identifiers": ["a", "b"]}))),
            "identifiers  a, b"
        );
    }
}
