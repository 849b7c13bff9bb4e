//! Golden transcripts: the text of every command in every dialect, with what it is known from.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::grammar::Command;
use crate::layout::fill;
use crate::profile::{Format, PROFILES, Profile, named};
use crate::{commands, output};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    transcript: Vec<Transcript>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transcript {
    /// The words of the command in these profiles.
    command: String,
    profiles: Vec<String>,
    /// T captured, D documented, P forced by a program, I inferred, U chosen.
    evidence: String,
    /// Where that stands.
    source: String,
    /// The usual format of the profile when none is named.
    format: Option<String>,
    /// What it told while it worked: stages with their values, in JSON.
    #[serde(default)]
    stages: Vec<(String, String)>,
    /// What the command found out, in JSON.
    answer: String,
    output: String,
}

fn files() -> Vec<(String, Vec<Transcript>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, file.transcript)
        })
        .collect();
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

fn command(profile: &Profile, name: &str) -> &'static Command {
    commands::all()
        .find(|command| command.names_in(profile.of).any(|other| other == name))
        .unwrap_or_else(|| panic!("{} has no {name}", profile.name))
}

#[test]
fn answers_look_as_written_down() {
    for (file, transcripts) in files() {
        for transcript in &transcripts {
            assert!(
                ["T", "D", "P", "I", "U"].contains(&transcript.evidence.as_str()),
                "{file}"
            );
            assert!(!transcript.source.is_empty(), "{file}");
            let answer =
                serde_json::from_str(&transcript.answer).unwrap_or_else(|error| panic!("{file}: {error}"));
            for name in &transcript.profiles {
                let profile = named(name).unwrap();
                let format = transcript.format.as_deref();
                let format = format.map_or(profile.format, |word| Format::of(word).unwrap());
                let command = command(profile, &transcript.command);
                let mut text = String::new();
                for (stage, values) in &transcript.stages {
                    let values =
                        serde_json::from_str(values).unwrap_or_else(|error| panic!("{file}: {error}"));
                    if let Some(line) = command.stage(profile.of, stage) {
                        text.push_str(&format!("{}\n", fill(line, &values)));
                    }
                }
                text.push_str(&output::render(profile, command, format, &answer));
                assert_eq!(format!("{text}\n"), transcript.output, "{file}, {name}");
            }
        }
    }
}

/// One file for one command, and none without.
#[test]
fn every_text_has_a_transcript() {
    let files = files();
    for (file, transcripts) in &files {
        let first = transcripts[0].command.replace(' ', "-");
        assert_eq!(*file, first, "a file is called after its command");
    }
    let mut missing = BTreeSet::new();
    for profile in PROFILES.iter().filter(|profile| profile.format == Format::Text) {
        for command in commands::all().filter(|command| command.text(profile.of).is_some()) {
            for name in command.names_in(profile.of) {
                let is_there = files.iter().flat_map(|(_, all)| all).any(|transcript| {
                    transcript.command == name && transcript.profiles.iter().any(|of| of == profile.name)
                });
                if !is_there {
                    missing.insert(format!("{name} in {}", profile.name));
                }
            }
        }
    }
    assert!(missing.is_empty(), "without a transcript: {missing:#?}");
}
