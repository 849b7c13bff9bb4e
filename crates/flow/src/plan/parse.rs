//! Text to plan. Every error names line and column and what is allowed there.

use std::collections::BTreeSet;

use lineside_terms::StepId;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::action::{Action, FunctionalTest, Kind};
use super::error::{PlanError, Position};
use super::limit::Limit;
use super::words::{Name, Period};
use super::{Plan, Step};

/// The version of the format that this Lineside reads and writes.
pub const VERSION: u32 = 1;

/// The most steps that a plan may have: far more than any device needs, and few enough to compare all with all.
pub(super) const MOST_STEPS: usize = 200;

/// Keys that would hold a secret in clear text, wherever they stand.
const SECRETS: [&str; 8] = [
    "psk",
    "password",
    "passphrase",
    "pass-phrase",
    "secret",
    "private-key",
    "token",
    "pre-shared-key",
];

/// The keys that every step has.
pub(super) const STEP_KEYS: [&str; 6] = ["id", "do", "timeout", "retries", "needs", "instruments"];

/// The common part of a step as it is written.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StepKeys {
    /// Names the step within its plan.
    pub(super) id: StepId,
    /// What kind of step it is.
    #[serde(rename = "do")]
    pub(super) kind: Kind,
    /// How long one attempt may take. Default: by the kind of step.
    pub(super) timeout: Option<Period>,
    /// How often it is tried again after an attempt that went wrong. Default 0.
    pub(super) retries: Option<u32>,
    /// The steps that must have passed before. Default: the step before it in the file.
    pub(super) needs: Option<BTreeSet<StepId>>,
    /// The instruments that it holds while it runs, all at once. Default none.
    pub(super) instruments: Option<BTreeSet<Name>>,
}

/// Reads a plan. What it says is not judged here but by `check`.
///
/// # Errors
/// When the text is not TOML, has unknown or missing keys, wrong values, or a secret in clear text.
pub fn parse(text: &str) -> Result<Plan, PlanError> {
    let reader = Reader { text };
    // A file that some editors begin with a byte order mark is still a plan; the parser skips it.
    let mut root = DeTable::parse(text).map_err(|error| PlanError::Syntax {
        at: reader.at(error.span()),
        what: error.message().to_owned(),
    })?;
    reader.refuse_secrets(root.get_ref())?;
    reader.require_version(&root)?;
    let steps = root.get_mut().remove("steps");
    let mut plan: Plan = reader.read(root, &["steps"])?;
    let Some(steps) = steps else {
        return Err(PlanError::MissingKey {
            at: Position { line: 1, column: 1 },
            key: "steps".to_owned(),
        });
    };
    plan.steps = reader.steps(steps)?;
    Ok(plan)
}

/// Finds the key that a finding of `check` is about, or the table in which it is missing. `None` when the text is no
/// TOML or has nothing of the kind.
pub fn position_of(text: &str, place: &str) -> Option<Position> {
    let root = DeTable::parse(text).ok()?;
    let at = |offset| Position::of(text, offset);
    let (first, rest) = place.split_once('.').unwrap_or((place, ""));
    let (key, value) = root.get_ref().get_key_value(first)?;
    if let (DeValue::Array(steps), false) = (value.get_ref(), rest.is_empty()) {
        // Step ids may hold dots: the longest one that fits is meant.
        let (step, id) = steps
            .iter()
            .filter_map(|step| Some((step, step.get_ref().get("id")?.get_ref().as_str()?)))
            .filter(|(_, id)| {
                rest.strip_prefix(id)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
            .max_by_key(|(_, id)| id.len())?;
        let key = rest[id.len()..].trim_start_matches('.');
        let found = step.get_ref().as_table()?.get_key_value(key);
        return Some(at(found.map_or(step.span(), |(key, _)| key.span()).start));
    }
    let (mut found, mut inside) = (key.span(), value);
    for part in rest.split('.') {
        let Some((key, value)) = inside
            .get_ref()
            .as_table()
            .and_then(|table| table.get_key_value(part))
        else {
            break;
        };
        (found, inside) = (key.span(), value);
    }
    Some(at(found.start))
}

/// Reads a product's name: something to read, on one line.
pub(super) fn product<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.trim().is_empty() || name.chars().count() > 80 || name.chars().any(char::is_control) {
        return Err(serde::de::Error::custom(
            "a product is named by 1 to 80 characters on one line",
        ));
    }
    Ok(name)
}

struct Reader<'a> {
    text: &'a str,
}

type Table<'a> = Spanned<DeTable<'a>>;

impl<'a> Reader<'a> {
    fn at(&self, span: Option<std::ops::Range<usize>>) -> Position {
        Position::of(self.text, span.map_or(0, |span| span.start))
    }

    /// A newer plan has keys that we do not know; its version is the better thing to complain about.
    fn require_version(&self, root: &Table<'a>) -> Result<(), PlanError> {
        let Some(value) = root.get_ref().get("version") else {
            return Ok(());
        };
        let Some(number) = value.get_ref().as_integer() else {
            return Ok(());
        };
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(found) if found != i64::from(VERSION) => Err(PlanError::Version {
                at: self.at(Some(value.span())),
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Looks for secrets before anything else, so that no other error can repeat one.
    fn refuse_secrets(&self, table: &DeTable<'a>) -> Result<(), PlanError> {
        for (key, value) in table.iter() {
            let plain = key.get_ref().to_lowercase().replace('_', "-");
            if SECRETS.contains(&plain.as_str()) {
                return Err(PlanError::SecretInClear {
                    at: self.at(Some(key.span())),
                    key: plain,
                });
            }
            self.refuse_secrets_in(value.get_ref())?;
        }
        Ok(())
    }

    fn refuse_secrets_in(&self, value: &DeValue<'a>) -> Result<(), PlanError> {
        match value {
            DeValue::Table(table) => self.refuse_secrets(table),
            DeValue::Array(array) => array
                .iter()
                .try_for_each(|value| self.refuse_secrets_in(value.get_ref())),
            _ => Ok(()),
        }
    }

    fn steps(&self, steps: Spanned<DeValue<'a>>) -> Result<Vec<Step>, PlanError> {
        let span = steps.span();
        let DeValue::Array(array) = steps.into_inner() else {
            let what = "steps are written as `[[steps]]`, one table each".to_owned();
            return Err(PlanError::BadValue {
                at: self.at(Some(span)),
                what,
            });
        };
        if array.len() > MOST_STEPS {
            let what = format!("a plan has at most {MOST_STEPS} steps");
            return Err(PlanError::BadValue {
                at: self.at(Some(span)),
                what,
            });
        }
        let mut steps: Vec<Step> = Vec::new();
        for value in array {
            let span = value.span();
            let DeValue::Table(table) = value.into_inner() else {
                let what = "a step is a table".to_owned();
                return Err(PlanError::BadValue {
                    at: self.at(Some(span)),
                    what,
                });
            };
            steps.push(self.step(Spanned::new(span, table), steps.last())?);
        }
        Ok(steps)
    }

    fn step(&self, table: Table<'a>, before: Option<&Step>) -> Result<Step, PlanError> {
        let span = table.span();
        let (mut common, mut parameters) = (DeTable::new(), DeTable::new());
        for (key, value) in table.into_inner() {
            let is_common = STEP_KEYS.contains(&key.get_ref().as_ref());
            let part = if is_common { &mut common } else { &mut parameters };
            part.insert(key, value);
        }
        let keys: StepKeys = self.read(Spanned::new(span.clone(), common), &[])?;
        let limits = self.limits(&mut parameters)?;
        let parameters = Spanned::new(span, parameters);
        let action = match keys.kind {
            Kind::OsVersion => Action::OsVersion(self.read(parameters, &STEP_KEYS)?),
            Kind::UpdateOs => Action::UpdateOs(self.read(parameters, &STEP_KEYS)?),
            Kind::LoadImage => Action::LoadImage(self.read(parameters, &STEP_KEYS)?),
            Kind::FunctionalTest => {
                let test: FunctionalTest = self.read(parameters, &STEP_KEYS)?;
                Action::FunctionalTest(FunctionalTest {
                    measure: limits,
                    ..test
                })
            }
            Kind::RemoveImage => Action::RemoveImage(self.read(parameters, &STEP_KEYS)?),
            Kind::WifiTest => Action::WifiTest(self.read(parameters, &STEP_KEYS)?),
            Kind::Restart => Action::Restart(self.read(parameters, &STEP_KEYS)?),
            Kind::ReadyCheck => Action::ReadyCheck(self.read(parameters, &STEP_KEYS)?),
            Kind::SetState => Action::SetState(self.read(parameters, &STEP_KEYS)?),
            Kind::FinalLook => Action::FinalLook(self.read(parameters, &STEP_KEYS)?),
        };
        Ok(Step {
            id: keys.id,
            timeout: keys.timeout.unwrap_or(action.default_timeout()),
            action,
            retries: keys.retries.unwrap_or(0),
            needs: keys
                .needs
                .unwrap_or_else(|| before.iter().map(|step| step.id.clone()).collect()),
            instruments: keys.instruments.unwrap_or_default(),
        })
    }

    /// Reads the limits of a test, each for itself: else a wrong one would be told with the place of the first. What
    /// is no list of tables stays where it is, for the type of the step to complain.
    fn limits(&self, parameters: &mut DeTable<'a>) -> Result<Vec<Limit>, PlanError> {
        let is_tables = |value: &Spanned<DeValue<'a>>| {
            value
                .get_ref()
                .as_array()
                .is_some_and(|items| items.iter().all(|item| item.get_ref().is_table()))
        };
        if !parameters.get("measure").is_some_and(is_tables) {
            return Ok(Vec::new());
        }
        let Some(DeValue::Array(items)) = parameters.remove("measure").map(Spanned::into_inner) else {
            return Ok(Vec::new());
        };
        let mut limits = Vec::new();
        for item in items {
            let span = item.span();
            if let DeValue::Table(table) = item.into_inner() {
                limits.push(self.read(Spanned::new(span, table), &[])?);
            }
        }
        Ok(limits)
    }

    /// Reads one table into its type. `more` are keys that are allowed beside those of the type.
    fn read<T: Deserialize<'a>>(&self, table: Table<'a>, more: &[&str]) -> Result<T, PlanError> {
        let start = table.span();
        T::deserialize(toml::Deserializer::from(table)).map_err(|error| {
            let at = self.at(error.span().or(Some(start)));
            complaint(at, error.message(), more)
        })
    }
}

/// Sorts what serde says: its texts are the only way to learn which field it did not know.
fn complaint(at: Position, message: &str, more: &[&str]) -> PlanError {
    // Serde puts names in back ticks: the one in question first, then those allowed.
    let mut words = message.split('`').skip(1).step_by(2).map(tame);
    if message.starts_with("unknown field `") {
        let key = words.next().unwrap_or_default();
        return PlanError::UnknownKey {
            at,
            key,
            allowed: words.chain(more.iter().map(ToString::to_string)).collect(),
        };
    }
    if message.starts_with("missing field `") {
        return PlanError::MissingKey {
            at,
            key: words.next().unwrap_or_default(),
        };
    }
    if message.starts_with("unknown variant `") {
        let word = words.next().unwrap_or_default();
        return PlanError::UnknownWord {
            at,
            word,
            allowed: words.collect(),
        };
    }
    let what = match message
        .strip_prefix("invalid type: ")
        .or(message.strip_prefix("invalid value: "))
    {
        // "string \"secret\", expected u16": the kind of value is enough.
        Some(rest) => {
            let kind = rest.split([' ', ',']).next().unwrap_or_default();
            let expected = rest
                .rsplit_once("expected ")
                .map_or("something else", |(_, expected)| expected);
            format!("a value of type {kind} where {} is expected", tame(expected))
        }
        None => message.chars().take(200).collect(),
    };
    PlanError::BadValue { at, what }
}

/// Keys and words are told, but not without bounds and never with control characters.
fn tame(word: &str) -> String {
    word.chars()
        .take(40)
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}
