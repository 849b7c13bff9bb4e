//! A command line by the tables of one profile.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands;
use crate::grammar::{Command, Opt, Takes};
use crate::profile::{PROFILES, Profile, Spelling, UsageStyle};

/// The values of options.
#[derive(Debug, Default, Clone)]
pub(crate) struct Values(BTreeMap<&'static str, Vec<String>>);

impl Values {
    /// The value of an option; the last one counts.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.all(key).last().map(String::as_str)
    }

    pub(crate) fn all(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// What is wanted.
#[derive(Debug)]
pub(crate) enum Wanted {
    Do(&'static Command, Values),
    /// Help on what begins with these words.
    Help(Vec<String>),
    Version,
}

/// What is wrong with a command line.
#[derive(Debug)]
pub(crate) struct Misuse {
    /// The words that were understood.
    words: Vec<String>,
    what: Wrong,
}

#[derive(Debug)]
enum Wrong {
    /// A word that is no command, with those that could stand there.
    Word(String, BTreeSet<String>),
    Other(String),
}

/// Takes a command line apart.
pub(crate) fn parse(profile: &'static Profile, tokens: &[String]) -> Result<Wanted, Misuse> {
    // `az sphere …` is the same program.
    let tokens = match tokens.split_first() {
        Some((word, rest))
            if profile
                .program
                .split_once(' ')
                .is_some_and(|(_, own)| own == word) =>
        {
            rest
        }
        _ => tokens,
    };
    let mut values = Values::default();
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    // Nothing before a command is done yields one of its own options: only global ones stand there.
    let command = loop {
        let Some(token) = tokens.get(at) else {
            if values.has("version") {
                return Ok(Wanted::Version);
            }
            if values.has("help") || words.is_empty() {
                return Ok(Wanted::Help(words));
            }
            return Err(Misuse {
                what: Wrong::Word(String::new(), next_words(profile, &words)),
                words,
            });
        };
        if is_option(token) {
            at = option(profile, None, tokens, at, &mut values).map_err(|what| Misuse {
                words: words.clone(),
                what: Wrong::Other(what),
            })?;
            continue;
        }
        let word = word_of(profile, token);
        let could = next_words(profile, &words);
        if !could.contains(&word) {
            return Err(Misuse {
                words,
                what: Wrong::Word(token.clone(), could),
            });
        }
        words.push(word);
        at += 1;
        if let Some(command) = command_called(profile, &words.join(" ")) {
            break command;
        }
    };
    let misuse = |what: String| Misuse {
        words: words.clone(),
        what: Wrong::Other(what),
    };
    if command.takes_all {
        let help = profile.globals.iter().find(|opt| opt.key == "help");
        let asks = |token: &String| help.is_some_and(|opt| opt.names.contains(&token.as_str()));
        return Ok(if tokens[at..].iter().any(asks) {
            Wanted::Help(words)
        } else {
            Wanted::Do(command, values)
        });
    }
    while let Some(token) = tokens.get(at) {
        if !is_option(token) {
            return Err(misuse(format!("unrecognized arguments: {}", shown(token))));
        }
        at = option(profile, Some(command), tokens, at, &mut values).map_err(&misuse)?;
    }
    if values.has("help") {
        return Ok(Wanted::Help(words));
    }
    check(profile, command, &mut values).map_err(misuse)?;
    Ok(Wanted::Do(command, values))
}

/// What the line must have, and what its words may be.
fn check(profile: &Profile, command: &Command, values: &mut Values) -> Result<(), String> {
    let own = || command.options.iter().filter(|opt| opt.of.has(profile.of));
    let missing: Vec<String> = own()
        .filter(|opt| opt.needed.has(profile.of) && !values.has(opt.key))
        .map(|opt| spelled(profile, opt))
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "the following arguments are required: {}",
            missing.join(", ")
        ));
    }
    for opt in own().filter(|opt| !opt.among.is_empty()) {
        for value in values.0.get_mut(opt.key).into_iter().flatten() {
            let Some(word) = opt.among.iter().find(|word| word.eq_ignore_ascii_case(value)) else {
                let among: Vec<String> = opt.among.iter().map(|word| format!("'{word}'")).collect();
                return Err(format!(
                    "argument {}: invalid choice: '{}' (choose from {})",
                    spelled(profile, opt),
                    shown(value),
                    among.join(", ")
                ));
            };
            *value = (*word).to_owned();
        }
    }
    Ok(())
}

/// Takes the option that stands at `at` with what belongs to it; what comes after it.
fn option(
    profile: &Profile,
    command: Option<&'static Command>,
    tokens: &[String],
    at: usize,
    values: &mut Values,
) -> Result<usize, String> {
    let token = &tokens[at];
    let Some((opt, attached)) = find(profile, command, token)? else {
        return Err(format!("unrecognized arguments: {}", shown(token)));
    };
    let of_it = values.0.entry(opt.key).or_default();
    let is_value =
        |token: &String| !is_option(token) || !matches!(find(profile, command, token), Ok(Some(_)));
    let mut next = at + 1;
    match opt.takes {
        Takes::Nothing if attached.is_some() => {
            return Err(format!("argument {}: takes no value", spelled(profile, opt)));
        }
        Takes::Nothing => of_it.push("true".to_owned()),
        Takes::One => {
            let value = match attached {
                Some(value) => value,
                None => {
                    let value = tokens.get(next).filter(|token| is_value(token)).cloned();
                    next += 1;
                    value
                        .ok_or_else(|| format!("argument {}: expected one argument", spelled(profile, opt)))?
                }
            };
            of_it.push(value);
        }
        Takes::Many => {
            let before = of_it.len();
            of_it.extend(attached);
            while let Some(value) = tokens.get(next).filter(|token| !is_option(token)) {
                of_it.push(value.clone());
                next += 1;
            }
            if of_it.len() == before {
                let spelled = spelled(profile, opt);
                return Err(format!("argument {spelled}: expected at least one argument"));
            }
        }
    }
    Ok(next)
}

/// The option that a token names, with a value that is attached to it.
fn find(
    profile: &Profile,
    command: Option<&'static Command>,
    token: &str,
) -> Result<Option<(&'static Opt, Option<String>)>, String> {
    let own = command.map_or(&[][..], |command| command.options);
    let all = || {
        let own = own.iter().filter(|opt| opt.of.has(profile.of));
        own.chain(profile.globals)
    };
    let (name, attached) = match token.split_once('=') {
        Some((name, value)) if token.starts_with("--") => (name, Some(value.to_owned())),
        _ => (token, None),
    };
    // What a command has comes first: `-h` may mean something else than help.
    let name = spelling(profile, name);
    let exact = all().find(|opt| opt.names.iter().any(|other| spelling(profile, other) == name));
    if let Some(opt) = exact {
        return Ok(Some((opt, attached)));
    }
    if profile.spelling == Spelling::OneWord {
        return Ok(None);
    }
    if name.starts_with("--") && name.len() > 2 {
        let begun = |opt: &&Opt| opt.names.iter().any(|other| other.starts_with(&name));
        let keys: BTreeSet<&str> = all().filter(begun).map(|opt| opt.key).collect();
        if keys.len() > 1 {
            return Err(format!("ambiguous option: {} could be several", shown(&name)));
        }
        return Ok(all().find(begun).map(|opt| (opt, attached)));
    }
    // `-pFILE`.
    let Some((end, _)) = token.char_indices().nth(2) else {
        return Ok(None);
    };
    let (short, value) = token.split_at(end);
    let takes = |opt: &&Opt| opt.takes != Takes::Nothing && opt.names.contains(&short);
    Ok(all().find(takes).map(|opt| (opt, Some(value.to_owned()))))
}

fn is_option(token: &str) -> bool {
    token.len() > 1 && token.starts_with('-')
}

/// A name of an option in the form in which names are compared.
fn spelling(profile: &Profile, name: &str) -> String {
    if profile.spelling == Spelling::Kebab {
        return name.to_owned();
    }
    let word = name.trim_start_matches('-');
    let dashes = &name[..name.len() - word.len()];
    format!("{dashes}{}", word.replace('-', "").to_ascii_lowercase())
}

/// A name of an option as this generation writes it.
fn spelled(profile: &Profile, opt: &Opt) -> String {
    let names: Vec<String> = opt.names.iter().map(|name| spelling(profile, name)).collect();
    names.join("/")
}

fn word_of(profile: &Profile, token: &str) -> String {
    if profile.aliases.is_empty() {
        return token.to_owned();
    }
    let word = token.to_ascii_lowercase();
    let long = profile.aliases.iter().find(|(short, _)| *short == word);
    long.map_or(word, |(_, long)| (*long).to_owned())
}

fn command_called(profile: &Profile, name: &str) -> Option<&'static Command> {
    commands::all().find(|command| command.names_in(profile.of).any(|other| other == name))
}

/// What can follow these words.
fn next_words(profile: &Profile, words: &[String]) -> BTreeSet<String> {
    commands::all()
        .flat_map(|command| command.names_in(profile.of))
        .filter_map(|name| {
            let mut parts = name.split(' ');
            let begins = words.iter().all(|word| parts.next() == Some(word));
            begins.then(|| parts.next().map(str::to_owned)).flatten()
        })
        .collect()
}

/// What somebody typed, as it can be shown.
fn shown(token: &str) -> String {
    token.chars().flat_map(char::escape_debug).collect()
}

impl Misuse {
    /// What is told about it. `tokens` are tried with the other profiles: one may take them.
    pub(crate) fn told(&self, profile: &'static Profile, tokens: &[String]) -> String {
        let path = [&[profile.program.to_owned()], &self.words[..]]
            .concat()
            .join(" ");
        let mut lines = match (&self.what, profile.usage) {
            (Wrong::Word(token, could), UsageStyle::Operation) => vec![
                format!(
                    "'{}' is not a valid value for the 'Operation' command line option.",
                    shown(token)
                ),
                format!("    Possible argument values include: {}", quoted(could)),
            ],
            (Wrong::Other(what), UsageStyle::Operation) => vec![format!("{}{what}", profile.errors.prefix)],
            (Wrong::Word(token, could), UsageStyle::Argparse) if token.is_empty() => vec![format!(
                "{path}: error: the following arguments are required: one of {}",
                quoted(could)
            )],
            (Wrong::Word(token, could), UsageStyle::Argparse) => vec![format!(
                "{path}: error: '{}' is not in the '{path}' command group. (choose from {})",
                shown(token),
                quoted(could)
            )],
            (Wrong::Other(what), UsageStyle::Argparse) => vec![format!("{path}: error: {what}")],
        };
        if profile.usage == UsageStyle::Argparse {
            lines.push(format!(
                "Run '{path} --help' for detailed information about the command."
            ));
        }
        let takers: Vec<&str> = PROFILES
            .iter()
            .filter(|other| other.name != profile.name && matches!(parse(other, tokens), Ok(Wanted::Do(..))))
            .map(|other| other.name)
            .collect();
        if let [first, ..] = takers[..] {
            lines.push(format!(
                "This is the profile {}. These arguments are taken by: {}. Set AZSPHERE_PROFILE={first} to use one.",
                profile.name,
                takers.join(", ")
            ));
        }
        lines.join("\n")
    }
}

fn quoted(words: &BTreeSet<String>) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests;
