//! `lineside records verify`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use lineside_flow::Body;
use lineside_records::{Checkpoint, DamageKind, RealDisk, SealError, parse_checkpoints, tip, verify_through};
use lineside_runner::snapshot::{self, Checked};
use lineside_terms::{Blame, Explain as _};
use serde::Serialize;

use super::{Store, key_of, store};
use crate::cli::data;
use crate::cli::exit::Exit;
use crate::cli::output::{Printer, Tone};
use crate::cli::records;
use crate::cli::trouble::Trouble;

/// Arguments of `records verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Finds edits, removals, exchanges and a lost end by the chain and this station's own checkpoints.
Only an anchor, a file with checkpoints that nobody at this station could change, shows that the
whole history was written anew.

Examples:
  lineside records verify --data lineside-data
  lineside records verify --anchor //server/anchors/line-3.checkpoints.txt --key line-3.pub.pem"
)]
pub(crate) struct VerifyArgs {
    /// Checkpoints that were kept elsewhere
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// The station's public key, as it was noted elsewhere [default: as it is in the data folder]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// The object of `--json`.
#[derive(Serialize)]
struct Verified {
    version: u32,
    kind: &'static str,
    is_sound: bool,
    events: u64,
    bytes: u64,
    segments: usize,
    /// Hash of the last sound event.
    head: String,
    /// How many checkpoints of this station were compared, and up to which event the last one reaches.
    checkpoints: usize,
    checkpointed_to: u64,
    /// The same of the anchor.
    anchors: usize,
    anchored_to: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    torn: Option<String>,
    /// Up to which event there is a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<u64>,
}

pub(crate) fn verify(folder: &Path, args: &VerifyArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let store = Store::of(folder);
    let disk = RealDisk::read_only(&data::journal_folder(folder))?;
    let mut wrong = Vec::new();
    let own = match parse_checkpoints(&store::read_if_any(&store.checkpoint_file())?, true) {
        Ok(own) => own,
        Err(error) => {
            wrong.push(format!("the station's own checkpoints are damaged: {error}"));
            Vec::new()
        }
    };
    let anchors = match &args.anchor {
        Some(file) => anchors(file, &disk)?,
        None => Vec::new(),
    };
    let trusted = match &args.key {
        Some(file) => Some(key_of(file)?),
        None => store.public_key(),
    };
    let other = |checkpoints: &[Checkpoint]| {
        let key = trusted?;
        let other = checkpoints.iter().find(|checkpoint| checkpoint.key != key)?;
        let error = SealError::OtherKey {
            found: other.key.short(),
            expected: key.short(),
        };
        Some(format!("that of event {}: {error}", other.point.sequence))
    };
    wrong.extend(other(&own).map(|other| format!("of the station's own checkpoints, {other}")));
    if let Some(other) = other(&anchors) {
        let told = format!("of the anchor's checkpoints, {other}");
        match &args.key {
            Some(_) => wrong.push(told),
            // A restored station has a new key. What counts is whether the journal leads through the anchor.
            None => printer.note(&format!("note: {told}")),
        }
    }
    let (later, anchors) = after_a_backup(folder, &store, anchors)?;
    let points: Vec<_> = own
        .iter()
        .chain(&anchors)
        .map(|checkpoint| checkpoint.point)
        .collect();
    let found = verify_through(&disk, &points)?;
    if let Some(damage) = &found.damage {
        let by_anchor = anchors
            .iter()
            .any(|anchor| anchor.point.sequence == damage.sequence);
        let by = match (damage.kind, by_anchor) {
            (DamageKind::Anchor, true) => " (the anchor's)",
            (DamageKind::Anchor, false) => " (a checkpoint's of this station)",
            _ => "",
        };
        wrong.push(format!("{damage}{by}"));
    }
    let kept = match found.damage {
        None => snapshot_of(folder)?,
        // There is nothing sound to compare it with.
        Some(_) => Checked::None,
    };
    if let Checked::Differs(at) = kept {
        wrong.push(format!(
            "{} is not what the events up to {at} come to, though its seal fits: somebody changed it; delete it, and it is \
             made anew",
            snapshot::FILE
        ));
    }
    let to = |checkpoints: &[Checkpoint]| {
        checkpoints
            .iter()
            .map(|one| one.point.sequence)
            .max()
            .unwrap_or(0)
    };
    let torn = found.torn.as_ref().map(ToString::to_string);
    printer.object(&Verified {
        version: 1,
        kind: "verified",
        is_sound: wrong.is_empty(),
        events: found.head.sequence,
        bytes: found.bytes,
        segments: found.segments,
        head: found.head.hash.to_string(),
        checkpoints: own.len(),
        checkpointed_to: to(&own),
        anchors: anchors.len(),
        anchored_to: to(&anchors),
        damage: (!wrong.is_empty()).then(|| wrong.join("; ")),
        torn: torn.clone(),
        snapshot: match kept {
            Checked::Agrees(at) | Checked::Differs(at) => Some(at),
            Checked::None => None,
        },
    });
    if let Some(torn) = torn {
        printer.result(&format!("note: {torn}; nothing of it had been acknowledged"));
    }
    if !wrong.is_empty() {
        for wrong in wrong {
            printer
                .result(&Tone::Bad.paint(&format!("damaged after event {}: {wrong}", found.head.sequence)));
        }
        return Ok(Exit::NotGood);
    }
    printer.result(&Tone::Good.paint(&format!(
        "sound: {} events, {} bytes, head {}",
        found.head.sequence, found.bytes, found.head.hash
    )));
    let key = trusted.map_or_else(|| "-".to_owned(), |key| key.short());
    match to(&own) {
        0 => printer.result("no checkpoint of this station is there: a lost end would not be seen"),
        last => printer.result(&format!(
            "checkpoints of this station: up to event {last}, key {key}"
        )),
    }
    match to(&anchors) {
        0 => printer.result("no anchor was given: that the whole history was written anew would not be seen"),
        last => printer.result(&format!("anchored outside: up to event {last}")),
    }
    if let Checked::Agrees(at) = kept {
        printer.result(&format!("the snapshot is what the events up to {at} come to"));
    }
    match later {
        Some(later) => Err(later.into()),
        None => Ok(Exit::Good),
    }
}

/// Anchors of before this station was restored that are newer than the backup: they can neither hold nor be broken.
struct Later {
    /// The last event that was in the backup.
    restored: u64,
    /// The last that the anchors know of.
    anchored: u64,
}

impl From<Later> for Trouble {
    fn from(later: Later) -> Self {
        let Later { restored, anchored } = later;
        Self::new(
            Exit::NotGood,
            Blame::Station,
            "evidence.anchor-after-backup",
            &format!(
                "the anchor knows of events up to {anchored}, and these records were restored from a backup that ends with \
                 event {restored}"
            ),
            "Nothing was changed, but what happened after the backup is not here: look for a newer backup or the old data \
             folder, and keep the anchor with it. Devices say themselves what was done to them.",
        )
    }
}

/// Takes out the anchors of before a restore that lie behind its backup. They are known by a key that the backup
/// brought with it; what no backup brought is judged by the chain, as any other.
fn after_a_backup(
    folder: &Path,
    store: &Store,
    anchors: Vec<Checkpoint>,
) -> Result<(Option<Later>, Vec<Checkpoint>), Trouble> {
    let now = store.public_key();
    let brought = parse_checkpoints(&store::read_if_any(&store.others_file())?, true).unwrap_or_default();
    let is_former = |anchor: &&Checkpoint| {
        let is_its = |one: &Checkpoint| (&one.station, one.key) == (&anchor.station, anchor.key);
        now.is_some_and(|now| now != anchor.key) && brought.iter().any(is_its)
    };
    if !anchors.iter().any(|anchor| is_former(&anchor)) {
        return Ok((None, anchors));
    }
    // A history that cannot be read is told of elsewhere, and excuses nothing.
    let restores = restores(folder).unwrap_or_default();
    let mut later: Option<Later> = None;
    let mut judged = Vec::new();
    for anchor in anchors {
        let signed = anchor.at.as_millisecond();
        let restore = restores.iter().find(|(at, _)| *at >= signed);
        match restore.filter(|(_, end)| is_former(&&anchor) && anchor.point.sequence > *end) {
            Some((_, end)) => {
                let known = later.map_or(0, |later| later.anchored);
                later = Some(Later {
                    restored: *end,
                    anchored: known.max(anchor.point.sequence),
                });
            }
            None => judged.push(anchor),
        }
    }
    Ok((later, judged))
}

/// The checkpoints in a file that are of this journal.
fn anchors(file: &Path, disk: &RealDisk) -> Result<Vec<Checkpoint>, Trouble> {
    let text = String::from_utf8_lossy(&store::read(file)?).into_owned();
    let all = parse_checkpoints(&text, false).map_err(|error| {
        let mut trouble = Trouble::from(error.clone());
        trouble.told.message = format!("{}: {error}", file.display());
        trouble.told.code = error.code().to_owned();
        trouble
    })?;
    let station = tip(disk)?.map(|(station, _)| station);
    let ours: Vec<_> = all
        .into_iter()
        .filter(|one| station.as_ref().is_none_or(|name| one.station == *name))
        .collect();
    if ours.is_empty() {
        return Err(Trouble::usage(
            "evidence.no-anchor",
            &format!("{} holds no checkpoint of this journal's station", file.display()),
            "Give the file that the checkpoints of this station were brought to.",
        ));
    }
    Ok(ours)
}

/// What is kept beside the journal, for the next start.
fn snapshot_of(folder: &Path) -> Result<Checked, Trouble> {
    let disk = RealDisk::read_only(&data::journal_folder(folder))?;
    match tip(&disk)? {
        Some((station, _)) => Ok(snapshot::check(folder, &station, Arc::new(disk))?),
        None => Ok(Checked::None),
    }
}

/// When each restore was, and the end of what it brought back.
fn restores(folder: &Path) -> Result<Vec<(i64, u64)>, Trouble> {
    let mut restores = Vec::new();
    for event in records::history(folder)? {
        let event = event?;
        if let Body::Restored { sequence, .. } = event.body {
            restores.push((event.at.wall_ms, sequence));
        }
    }
    Ok(restores)
}
