//! Help, from the tables.

use crate::commands;
use crate::grammar::{Command, Takes};
use crate::profile::{PROFILES, Profile};

/// Help on what begins with these words.
pub(crate) fn text(profile: &Profile, words: &[String]) -> String {
    let path = [&[profile.program.to_owned()], words].concat().join(" ");
    let name = words.join(" ");
    let one = commands::all().find(|command| command.names_in(profile.of).any(|other| other == name));
    match one {
        Some(command) => about_one(profile, command, &path),
        None => about_all(profile, &name, &path),
    }
}

fn about_one(profile: &Profile, command: &Command, path: &str) -> String {
    let mut text = format!("{path}: {}\n", command.about);
    let own: Vec<_> = command
        .options
        .iter()
        .filter(|opt| opt.of.has(profile.of))
        .collect();
    for (title, options) in [
        ("Arguments", own),
        ("Global arguments", profile.globals.iter().collect()),
    ] {
        if options.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{title}\n"));
        for opt in options {
            let value = match opt.takes {
                Takes::Nothing => "",
                Takes::One => " VALUE",
                Takes::Many => " VALUE ...",
            };
            let needed = if opt.needed.has(profile.of) {
                " [required]"
            } else {
                ""
            };
            text.push_str(&format!(
                "  {:<34} {}{needed}\n",
                format!("{}{value}", opt.names.join(" ")),
                opt.about
            ));
        }
    }
    text.trim_end().to_owned()
}

fn about_all(profile: &Profile, name: &str, path: &str) -> String {
    let mut text = format!("{path}: {}\n\nCommands\n", profile.about);
    for command in commands::all() {
        for own in command.names_in(profile.of) {
            let is_below =
                name.is_empty() || own.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
            if is_below {
                text.push_str(&format!("  {own:<42} {}\n", command.about));
            }
        }
    }
    if name.is_empty() {
        text.push_str("\nProfiles (AZSPHERE_PROFILE, or `profile` in azsphere.toml)\n");
        for other in &PROFILES {
            text.push_str(&format!("  {:<8} {}\n", other.name, other.about));
        }
    }
    text.trim_end().to_owned()
}
