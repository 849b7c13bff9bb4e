//! From arguments to an exit code.

use std::time::Instant;

use crate::parse::{Values, Wanted, parse};
use crate::profile::{self, Format, Profile};
use crate::screen::{self, Voice};
use crate::station::Station;
use crate::trouble::{Failure, Kind};
use crate::work::{self, Job};
use crate::{help, output};

/// The variable that names a profile.
const PROFILE: &str = "AZSPHERE_PROFILE";

/// Does what the arguments say; the exit code.
pub(crate) fn run(program: &str, tokens: &[String]) -> u8 {
    let began = Instant::now();
    let likely = profile::called(program)[0];
    let station = match Station::read() {
        Ok(station) => station,
        Err(failure) => return failed(likely, "{error}", &failure),
    };
    let profiles = match profiles(program, &station) {
        Ok(profiles) => profiles,
        Err(failure) => return failed(likely, "{error}", &failure),
    };
    let mut first = None;
    for profile in profiles {
        match parse(profile, tokens) {
            Ok(wanted) => return perform(profile, wanted, &station, began),
            Err(misuse) => first = first.or(Some((profile, misuse.told(profile, tokens)))),
        }
    }
    let Some((profile, told)) = first else {
        return likely.exits.usage;
    };
    screen::complaint(profile, &told);
    profile.exits.usage
}

/// The profiles that are tried: the one that was chosen, or those that the name of the program stands for.
fn profiles(program: &str, station: &Station) -> Result<Vec<&'static Profile>, Failure> {
    let set = std::env::var(PROFILE).ok().filter(|name| !name.is_empty());
    let Some(name) = set.or_else(|| station.configuration.profile.clone()) else {
        return Ok(profile::called(program));
    };
    profile::named(&name).map(|profile| vec![profile]).ok_or_else(|| {
        let names: Vec<&str> = profile::PROFILES.iter().map(|profile| profile.name).collect();
        Failure::usage(
            "azsphere.profile",
            format!("there is no profile `{}`", name.escape_default()),
            &format!(
                "Set AZSPHERE_PROFILE or `profile` in azsphere.toml to one of {}.",
                names.join(", ")
            ),
        )
    })
}

fn perform(profile: &'static Profile, wanted: Wanted, station: &Station, began: Instant) -> u8 {
    let (command, values) = match wanted {
        Wanted::Do(command, values) => (command, values),
        Wanted::Help(words) => {
            screen::result(&help::text(profile, &words));
            return 0;
        }
        Wanted::Version => {
            let configured = station.configuration.sdk_version.as_deref();
            screen::result(configured.unwrap_or(profile.sdk_version));
            return 0;
        }
    };
    let voice = Voice {
        is_verbose: values.has("verbose"),
        is_quiet: values.has("quiet"),
    };
    let done = form(profile, &values).and_then(|form| {
        let job = Job {
            profile,
            command,
            values: &values,
            station,
            form,
        };
        let done = work::run(&job)?;
        let answer = match values.get("query") {
            None => done.answer,
            Some(query) => output::query(query, &done.answer).map_err(no_query)?,
        };
        Ok((output::render(profile, command, form, &answer), done.notes))
    });
    let exit = match done {
        Ok((text, notes)) => {
            for note in &notes {
                screen::warning(profile, voice, note);
            }
            screen::result(&text);
            0
        }
        Err(failure) => failed(profile, command.failure, &failure),
    };
    screen::trailer(profile, voice, began.elapsed(), exit == 0);
    exit
}

/// How the answer is to be shown. The text of a command is about its whole answer, so a query leads to a table.
fn form(profile: &Profile, values: &Values) -> Result<Format, Failure> {
    if let Some(query) = values.get("query") {
        // Before anything is done, not after.
        output::check_query(query).map_err(no_query)?;
    }
    match values.get("output") {
        None if profile.format == Format::Text && values.has("query") => Ok(Format::Table),
        None => Ok(profile.format),
        Some(word) => Format::of(&word.to_ascii_lowercase()).ok_or_else(|| {
            Failure::usage(
                "azsphere.output",
                format!("`{}` is no format", word.escape_default()),
                "Take json, jsonc, none, table, tsv, yaml or yamlc.",
            )
        }),
    }
}

fn no_query(error: String) -> Failure {
    Failure::usage(
        "azsphere.query",
        format!("the query is no JMESPath expression for this: {}", error.trim()),
        "Correct --query.",
    )
}

fn failed(profile: &Profile, sentence: &str, failure: &Failure) -> u8 {
    screen::failure(profile, sentence, failure);
    match failure.kind {
        Kind::Failed => profile.exits.failure,
        Kind::NotResponding => profile.exits.not_responding,
        Kind::Missing => profile.exits.missing,
        Kind::Usage => profile.exits.usage,
    }
}
