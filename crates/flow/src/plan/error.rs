//! What can be wrong with the text of a plan.

use std::fmt;

use lineside_terms::{Blame, Explain};

/// A place in the text of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The place of a byte of the text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The text is not a plan. Values are never repeated: one of them may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is not TOML.
    #[error("the plan is not valid TOML at {at}: {what}")]
    Syntax {
        /// Where.
        at: Position,
        /// What the parser says.
        what: String,
    },
    /// It is written for another version of Lineside.
    #[error("the plan has version {found} at {at}, this Lineside reads version {known}", known = super::VERSION)]
    Version {
        /// Where.
        at: Position,
        /// The version.
        found: i64,
    },
    /// A key that no plan has in this place.
    #[error("unknown key `{key}` at {at}")]
    UnknownKey {
        /// Where.
        at: Position,
        /// The key.
        key: String,
        /// The keys that are allowed there.
        allowed: Vec<String>,
    },
    /// A key that must be there is not.
    #[error("the key `{key}` is missing at {at}")]
    MissingKey {
        /// Where the table begins that lacks it.
        at: Position,
        /// The key.
        key: String,
    },
    /// A word that is none of those allowed: a kind of step, a role, a policy.
    #[error("unknown word `{word}` at {at}")]
    UnknownWord {
        /// Where.
        at: Position,
        /// The word.
        word: String,
        /// The words that are allowed there.
        allowed: Vec<String>,
    },
    /// A value that cannot stand in its place.
    #[error("wrong value at {at}: {what}")]
    BadValue {
        /// Where.
        at: Position,
        /// What is wrong.
        what: String,
    },
    /// A key that would hold a secret in clear text.
    #[error("the key `{key}` at {at} would put a secret into the plan in clear text")]
    SecretInClear {
        /// Where.
        at: Position,
        /// The key.
        key: String,
    },
}

impl PlanError {
    /// Where in the text it is.
    pub const fn position(&self) -> Position {
        match self {
            Self::Syntax { at, .. }
            | Self::Version { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::MissingKey { at, .. }
            | Self::UnknownWord { at, .. }
            | Self::BadValue { at, .. }
            | Self::SecretInClear { at, .. } => *at,
        }
    }
}

impl Explain for PlanError {
    fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "plan.syntax",
            Self::Version { .. } => "plan.version",
            Self::UnknownKey { .. } => "plan.unknown-key",
            Self::MissingKey { .. } => "plan.missing-key",
            Self::UnknownWord { .. } => "plan.unknown-word",
            Self::BadValue { .. } => "plan.bad-value",
            Self::SecretInClear { .. } => "plan.secret-in-clear",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Syntax { .. } => {
                "Mend the text there; strings stand in quotes, tables in brackets.".to_owned()
            }
            Self::Version { .. } => {
                format!(
                    "Write `version = {}`, or use the Lineside that the plan was written for.",
                    super::VERSION
                )
            }
            Self::UnknownKey { key, allowed, .. } => help_with("key", key, allowed),
            Self::MissingKey { key, .. } => format!("Add `{key}`; the plan reference tells what it means."),
            Self::UnknownWord { word, allowed, .. } => help_with("word", word, allowed),
            Self::BadValue { .. } => {
                "Correct the value; the plan reference tells what may stand there.".to_owned()
            }
            Self::SecretInClear { .. } => {
                "Take the secret out of the plan, and take it for known from now on. Name \
                the environment variable (`psk-env`) or the file (`psk-file`) that holds it."
                    .to_owned()
            }
        }
    }

    fn blame(&self) -> Blame {
        Blame::Plan
    }
}

fn help_with(what: &str, typed: &str, allowed: &[String]) -> String {
    let list = allowed
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match closest(typed, allowed) {
        _ if allowed.is_empty() => "No key is allowed there.".to_owned(),
        Some(meant) => format!("Did you mean `{meant}`? Allowed there: {list}."),
        None => format!("Use a {what} that is allowed there: {list}."),
    }
}

/// The allowed word that was probably meant: at most a third of it differs.
pub(super) fn closest<'a>(typed: &str, allowed: &'a [String]) -> Option<&'a str> {
    // People write `attempt_limit` and `AttemptLimit`: that is no difference.
    let plain = |word: &str| word.to_lowercase().replace(['_', ' ', '.'], "-");
    let typed: Vec<char> = plain(typed).chars().take(64).collect();
    allowed
        .iter()
        .map(|word| {
            (
                distance(&typed, &plain(word).chars().collect::<Vec<_>>()),
                word.as_str(),
            )
        })
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min()
        .map(|(_, word)| word)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_guessed_and_nonsense_is_not() {
        let allowed = ["attempt-limit", "final", "os", "rf"].map(str::to_owned);
        assert_eq!(closest("attempt_limit", &allowed), Some("attempt-limit"));
        assert_eq!(closest("atempt-limt", &allowed), Some("attempt-limit"));
        assert_eq!(closest("fianl", &allowed), Some("final"));
        assert_eq!(closest("so", &allowed), Some("os"));
        assert_eq!(closest("zebra", &allowed), None);
        assert_eq!(closest("", &allowed), None);
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(Position::of("a\nüx", 4), Position { line: 2, column: 2 });
        assert_eq!(Position::of("", 9), Position { line: 1, column: 1 });
    }
}
