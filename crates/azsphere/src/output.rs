//! Answers in the form that was asked for: text, JSON, tables, lines with tabs, YAML.

use serde_json::{Map, Value};

use crate::grammar::Command;
use crate::layout::plain;
use crate::profile::{Format, Profile, TableStyle};

/// An answer as the profile shows it, without the last end of line; nothing for `none`.
pub(crate) fn render(profile: &Profile, command: &Command, format: Format, value: &Value) -> String {
    match format {
        Format::None => String::new(),
        Format::Text => match command.text(profile.of) {
            Some(layout) => layout.render(value),
            None => table(profile.table, value),
        },
        // In colour only for a person, and never here.
        Format::Json | Format::Jsonc => json(value),
        Format::Table => table(profile.table, value),
        Format::Tsv => tsv(value),
        Format::Yaml => yaml(value),
    }
}

/// Whether a JMESPath expression is one.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_query(expression: &str) -> Result<(), String> {
    jmespath::compile(expression)
        .map(drop)
        .map_err(|error| first_line(&error))
}

/// The rest points at the place with spaces, which needs a line of its own.
fn first_line(error: &jmespath::JmespathError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Evaluates a JMESPath expression.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn query(expression: &str, value: &Value) -> Result<Value, String> {
    let expression = jmespath::compile(expression).map_err(|error| first_line(&error))?;
    let found = jmespath::Variable::from_serializable(value)
        .and_then(|value| expression.search(value))
        .map_err(|error| first_line(&error))?;
    serde_json::to_value(&*found).map_err(|error| error.to_string())
}

/// Two spaces of indent, keys in alphabetical order.
fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value is always JSON")
}

/// The rows of a table: one for an object, one for each of an array. Plain values stand in a column `Result`.
fn rows(value: &Value) -> Vec<Map<String, Value>> {
    let row = |value: &Value| match value {
        Value::Object(map) => map.clone(),
        other => Map::from_iter([("result".to_owned(), other.clone())]),
    };
    match value {
        Value::Array(all) => all.iter().map(row).collect(),
        Value::Null => Vec::new(),
        one => vec![row(one)],
    }
}

fn table(style: TableStyle, value: &Value) -> String {
    let rows = rows(value);
    let mut keys: Vec<&String> = Vec::new();
    for (key, value) in rows.iter().flatten() {
        // What has parts has no place in a cell.
        if !value.is_object() && !value.is_array() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return String::new();
    }
    let head: Vec<String> = keys.iter().map(|key| capital(key)).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| keys.iter().map(|key| cell(row.get(*key))).collect())
        .collect();
    let width = |column: usize| {
        let of = cells.iter().chain([&head]).map(|row| row[column].chars().count());
        of.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    match style {
        TableStyle::Ruled => ruled(&head, &cells, &widths),
        TableStyle::Simple => simple(&head, &cells, &widths),
    }
}

fn padded(cells: &[String], widths: &[usize], gap: &str) -> String {
    let cells = cells.iter().zip(widths);
    let padded: Vec<String> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
    padded.join(gap)
}

fn dashes(widths: &[usize], gap: &str) -> String {
    let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    dashes.join(gap)
}

fn ruled(head: &[String], cells: &[Vec<String>], widths: &[usize]) -> String {
    let rule = format!(" {}", dashes(widths, " "));
    let mut lines = vec![rule.clone(), format!(" {}", padded(head, widths, " "))];
    lines.push(format!(" {}", "=".repeat(rule.len() - 1)));
    for row in cells {
        lines.push(format!(" {}", padded(row, widths, " ")));
        lines.push(rule.clone());
    }
    lines.join("\n")
}

fn simple(head: &[String], cells: &[Vec<String>], widths: &[usize]) -> String {
    let mut lines = vec![padded(head, widths, "  "), dashes(widths, "  ")];
    lines.extend(cells.iter().map(|row| padded(row, widths, "  ")));
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

fn cell(value: Option<&Value>) -> String {
    // One row is one line.
    plain(value).replace(['\n', '\r', '\t'], " ")
}

fn capital(key: &str) -> String {
    let mut chars = key.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// One line for each row, values between tabs. Of a list the number is told, of an object nothing.
fn tsv(value: &Value) -> String {
    let part = |value: &Value| match value {
        Value::Array(all) => all.len().to_string(),
        Value::Object(_) => String::new(),
        other => cell(Some(other)),
    };
    let line = |value: &Value| -> String {
        match value {
            Value::Object(map) => map.values().map(part).collect::<Vec<_>>().join("\t"),
            Value::Array(all) => all.iter().map(part).collect::<Vec<_>>().join("\t"),
            other => part(other),
        }
    };
    match value {
        Value::Array(all) => all.iter().map(line).collect::<Vec<_>>().join("\n"),
        other => line(other),
    }
}

fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text.trim_end_matches('\n').to_owned()
}

/// A value on lines of its own, each beginning at this indent.
fn block(value: &Value, indent: usize, text: &mut String) {
    let space = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                text.push_str(&format!("{space}{}:", scalar(key)));
                below(value, indent, text);
            }
        }
        Value::Array(all) if !all.is_empty() => {
            for value in all {
                let mut inner = String::new();
                block(value, indent + 2, &mut inner);
                // The first line of what is inside begins beside the dash.
                text.push_str(&format!("{space}- {}", inner.trim_start_matches(' ')));
            }
        }
        other => text.push_str(&format!("{space}{}\n", inline(other))),
    }
}

/// A value after `key:`.
fn below(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            block(value, indent + 2, text);
        }
        Value::Array(all) if !all.is_empty() => {
            text.push('\n');
            block(value, indent, text);
        }
        other => text.push_str(&format!(" {}\n", inline(other))),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text, in quotes where it could be taken for something else. JSON strings are YAML, too.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./ ".contains(c);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(is_plain)
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word));
    if is_word {
        text.to_owned()
    } else {
        serde_json::to_string(text).expect("a text is always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_of_the_new_generation_has_rules() {
        let text = table(TableStyle::Ruled, &json!([{"name": "no_color", "value": false}]));
        let expected = " -------- -----\n Name     Value\n ==============\n no_color false\n -------- -----";
        assert_eq!(text, expected);
        assert_eq!(table(TableStyle::Ruled, &json!([])), "");
    }

    #[test]
    fn a_simple_table_is_plain() {
        let text = table(
            TableStyle::Simple,
            &json!([{"a": 1, "b": "x", "c": [1]}, {"a": 22, "d": null}]),
        );
        assert_eq!(text, "A   B  D\n--  -  -\n1   x\n22");
        assert_eq!(table(TableStyle::Simple, &json!(["p"])), "Result\n------\np");
    }

    #[test]
    fn lines_with_tabs_are_bare() {
        assert_eq!(tsv(&json!({"Azure Sphere SDK": "21.2.1.28749"})), "21.2.1.28749");
        assert_eq!(
            tsv(&json!([{"a": true, "b": null, "c": [1, 2]}, "x\ty"])),
            "true\t\t2\nx y"
        );
        assert_eq!(tsv(&Value::Null), "");
    }

    #[test]
    fn yaml_keeps_what_words_mean() {
        let value = json!({"a": [{"b": "no", "c": 1}, "x y", []], "d": {"e": null}, "f": "1.2", "g": {}});
        let expected = "a:\n- b: \"no\"\n  c: 1\n- x y\n- []\nd:\n  e: null\nf: \"1.2\"\ng: {}";
        assert_eq!(yaml(&value), expected);
    }

    #[test]
    fn a_query_finds_what_it_names() {
        let value = json!([{"ssid": "a", "id": 0}, {"ssid": "b", "id": 1}]);
        assert_eq!(query("[?id==`1`].ssid | [0]", &value), Ok(json!("b")));
        assert_eq!(query("length(@)", &value), Ok(json!(2)));
        assert!(query("[?", &value).is_err());
    }
}
