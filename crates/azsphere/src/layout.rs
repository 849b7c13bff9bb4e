//! Text layouts: templates over the JSON of an answer.
//!
//! `{key}` is a value, `{a.b}` one further in, `{}` the value itself. `{key|upper}`, `{key|yesno}`, `{key|list}` and
//! `{key|bool}` say how. A line that begins with `{?key}` is there only if there is such a value, with `{!key}` only if
//! there is none.

use serde_json::Value;

/// How an answer looks as text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout {
    /// Lines about one object.
    One(&'static str),
    /// Lines about each of several, with a head and a word for none. `{#}` in the head is their number, `{s}` is `s`
    /// unless that is one.
    Each {
        none: &'static str,
        head: &'static str,
        each: &'static str,
        /// Stands between two.
        between: &'static str,
    },
}

impl Layout {
    /// The text, without an end of line.
    pub(crate) fn render(&self, value: &Value) -> String {
        match self {
            Self::One(template) => fill(template, value),
            Self::Each {
                none,
                head,
                each,
                between,
            } => {
                let several = match value {
                    Value::Array(several) => &several[..],
                    one => std::slice::from_ref(one),
                };
                if several.is_empty() {
                    return (*none).to_owned();
                }
                let plural = if several.len() == 1 { "" } else { "s" };
                let head = head
                    .replace("{#}", &several.len().to_string())
                    .replace("{s}", plural);
                let parts: Vec<String> = several.iter().map(|one| fill(each, one)).collect();
                let body = parts.join(&format!("\n{between}"));
                if head.is_empty() {
                    body
                } else {
                    format!("{head}\n{body}")
                }
            }
        }
    }
}

/// A template with its values.
pub(crate) fn fill(template: &str, value: &Value) -> String {
    let lines: Vec<String> = template
        .split('\n')
        .filter_map(|line| fill_line(line, value))
        .collect();
    lines.join("\n")
}

fn fill_line(line: &str, value: &Value) -> Option<String> {
    let mut rest = line;
    for (mark, wanted) in [("{?", true), ("{!", false)] {
        if let Some((key, after)) = line.strip_prefix(mark).and_then(|rest| rest.split_once('}')) {
            let found = at(value, key);
            let is_there = !matches!(found, None | Some(Value::Null | Value::Bool(false)));
            if is_there != wanted {
                return None;
            }
            rest = after;
        }
    }
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((place, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        let (key, how) = place.split_once('|').unwrap_or((place, ""));
        text.push_str(&shown(at(value, key), how));
        rest = after;
    }
    text.push_str(rest);
    // Labels without a value end with their colon.
    Some(text.trim_end_matches(' ').to_owned())
}

fn at<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.')
        .filter(|part| !part.is_empty())
        .try_fold(value, |value, part| value.get(part))
}

fn shown(value: Option<&Value>, how: &str) -> String {
    let is_true = matches!(value, Some(Value::Bool(true)));
    match how {
        "yesno" => if is_true { "yes" } else { "no" }.to_owned(),
        "bool" => if is_true { "True" } else { "False" }.to_owned(),
        "upper" => plain(value).to_uppercase(),
        "list" => match value {
            Some(Value::Array(all)) => all
                .iter()
                .map(|one| plain(Some(one)))
                .collect::<Vec<_>>()
                .join(", "),
            other => plain(other),
        },
        _ => plain(value),
    }
}

/// A value as words.
pub(crate) fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_are_filled() {
        let value = json!({"a": {"b": "x"}, "n": 3, "yes": true, "none": null, "all": ["p", "q"]});
        assert_eq!(fill("<{a.b|upper}> {n}{open", &value), "<X> 3{open");
        assert_eq!(
            fill("{?none}gone\n{!none}here\n{?yes}{yes|yesno}", &value),
            "here\nyes"
        );
        assert_eq!(fill("Label : {none}", &value), "Label :");
        assert_eq!(fill("{all|list}", &value), "p, q");
        assert_eq!(fill("{}", &json!("word")), "word");
    }

    #[test]
    fn several_have_a_head_and_none_has_a_word() {
        let layout = Layout::Each {
            none: "none",
            head: "{#} thing{s}:",
            each: "- {}",
            between: "",
        };
        assert_eq!(layout.render(&json!([])), "none");
        assert_eq!(layout.render(&json!(["a"])), "1 thing:\n- a");
        assert_eq!(layout.render(&json!(["a", "b"])), "2 things:\n- a\n- b");
    }
}
