//! `lineside records verify|checkpoint|certificate|check-certificate`: evidence for those who were not there.

mod certificate;
mod store;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use lineside_flow::Event;
use lineside_records::{Checkpoint, SealKey, Sealer as _, parse_checkpoints};
use serde::Serialize;

use super::exit::Exit;
use super::output::Printer;
use super::qr::Code;
use super::trouble::Trouble;

pub(crate) use certificate::{CertificateArgs, CheckCertificateArgs, certificate, check_certificate};
pub(crate) use store::{FileKey, Store, append_line, new_key, read_if_any};
pub(crate) use verify::{VerifyArgs, verify};

/// A checkpoint is written at the latest when so many events came after the last one.
const EVERY: u64 = 1_000;

/// Arguments of `records checkpoint`.
#[derive(Debug, Args)]
#[command(
    after_help = "Prints one line: station, number and hash of the last event, when, key, signature. Commands that
record write checkpoints into the data folder by themselves; what counts is one that is kept where
nobody at this station can change it. `lineside records verify --anchor FILE` takes any file with
such lines.

Examples:
  lineside records checkpoint --qr
  lineside records checkpoint --to //server/anchors
  lineside records checkpoint --kept-in 'shift book, page 12'
  lineside records checkpoint --import //server/anchors/line-4.checkpoints.txt"
)]
pub(crate) struct CheckpointArgs {
    /// Also add it to STATION.checkpoints.txt in this folder: a file share, say
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Also note that it is kept there: on paper, at another station
    #[arg(long, value_name = "PLACE")]
    kept_in: Option<String>,
    /// Also show it as a code to scan
    #[arg(long)]
    qr: bool,
    /// Instead keep the checkpoints of other stations here, so that this station can vouch for them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "kept_in", "qr"])]
    import: Option<PathBuf>,
}

#[derive(Serialize)]
struct CheckpointObject {
    version: u32,
    kind: &'static str,
    station: String,
    sequence: u64,
    hash: String,
    at: String,
    key: String,
    line: String,
    /// Where it was brought.
    places: Vec<String>,
}

pub(crate) fn checkpoint(folder: &Path, args: &CheckpointArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let store = Store::of(folder);
    if let Some(file) = &args.import {
        return import(&store, file, printer);
    }
    let Some(checkpoint) = store.checkpoint(None, printer)? else {
        return Err(Trouble::usage(
            "evidence.nothing-recorded",
            "the journal has no event yet",
            "Run a plan first.",
        ));
    };
    let mut places = Vec::new();
    if let Some(share) = &args.to {
        let file = share.join(format!("{}.checkpoints.txt", checkpoint.station));
        store.check_place(&file, &checkpoint)?;
        append_line(&file, &checkpoint.to_string())?;
        places.push(file.display().to_string());
    }
    places.extend(args.kept_in.clone());
    for place in &places {
        store.note_anchor(&checkpoint, place)?;
    }
    printer.object(&CheckpointObject {
        version: 1,
        kind: "checkpoint",
        station: checkpoint.station.to_string(),
        sequence: checkpoint.point.sequence,
        hash: checkpoint.point.hash.to_string(),
        at: checkpoint.at.to_string(),
        key: checkpoint.key.to_string(),
        line: checkpoint.to_string(),
        places: places.clone(),
    });
    printer.result(&checkpoint.to_string());
    if args.qr {
        let code = Code::of(&checkpoint.to_string()).map(|code| code.to_text());
        printer.result(&code.unwrap_or_else(|| "it is too long for a code".to_owned()));
    }
    for place in places {
        printer.note(&format!("kept in {place}"));
    }
    Ok(Exit::Good)
}

fn import(store: &Store, file: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let text = String::from_utf8_lossy(&store::read(file)?).into_owned();
    let found = parse_checkpoints(&text, false)?;
    let kept = parse_checkpoints(&read_if_any(&store.others_file())?, true)?;
    let new: Vec<&Checkpoint> = found
        .iter()
        .filter(|checkpoint| !kept.contains(checkpoint))
        .collect();
    for checkpoint in &new {
        append_line(&store.others_file(), &checkpoint.to_string())?;
    }
    printer.result(&format!(
        "{} of {} checkpoints were new and are kept in {}",
        new.len(),
        found.len(),
        store.others_file().display()
    ));
    Ok(Exit::Good)
}

/// At the end of work: what was recorded is fixed. That it fails is told, and changes nothing of what was done.
pub(crate) fn checkpoint_after_work(folder: &Path, printer: &Printer) {
    if let Err(trouble) = Store::of(folder).checkpoint(None, printer) {
        printer.note(&format!("note: no checkpoint was written: {}", trouble.told));
    }
}

/// Writes checkpoints while work goes on.
pub(crate) struct Pace {
    folder: PathBuf,
    last: Option<u64>,
}

impl Pace {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            last: None,
        }
    }

    /// These events are durable.
    pub(crate) fn durable(&mut self, events: &[Event], printer: &Printer) {
        let (Some(first), Some(end)) = (events.first(), events.last()) else {
            return;
        };
        let last = *self.last.get_or_insert(first.sequence);
        if end.sequence < last + EVERY {
            return;
        }
        self.last = Some(end.sequence);
        if let Err(trouble) = Store::of(&self.folder).checkpoint(Some(end.sequence), printer) {
            printer.note(&format!("note: no checkpoint was written: {}", trouble.told));
        }
    }
}

/// A public key from a file.
pub(crate) fn key_of(path: &Path) -> Result<SealKey, Trouble> {
    let bytes = store::read(path)?;
    Ok(SealKey::from_text(&String::from_utf8_lossy(&bytes))?)
}

/// Writes a file anew.
fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    fs::write(path, text).map_err(|error| store::cannot_write(path, &error))
}

/// Says whose key signed, and where it lives.
fn told_of(key: &FileKey) -> String {
    format!(
        "signed with the key {} of this station, which lives in {}",
        key.key().short(),
        key.kept_in()
    )
}
