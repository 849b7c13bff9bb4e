//! `lineside records backup|restore|coverage`: copies of the journal, and what is not yet safe.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lineside_flow::Input;
use lineside_records::{Head, RealDisk, tip, verify};
use lineside_terms::Blame;
use serde::Serialize;

use super::args::Global;
use super::evidence::{Store, append_line, read_if_any};
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;
use super::{approve, data};

const CHECKPOINTS: &str = "checkpoints.txt";

pub(crate) fn backup(folder: &Path, to: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let journal = data::journal_folder(folder);
    let store = Store::of(folder);
    // Signed first, so that the copy reaches at least as far as its last checkpoint says.
    let checkpoint = store.checkpoint(None, printer)?.ok_or_else(|| {
        trouble(
            "backup.nothing",
            "there is nothing to back up yet",
            "Run a plan first.",
        )
    })?;
    let target = to.join(format!("{}-{}", checkpoint.station, checkpoint.point.sequence));
    if target.exists() {
        return Err(trouble(
            "backup.exists",
            &format!("{} is there already", target.display()),
            "Nothing was recorded since that backup, or it is of another history: name another folder.",
        ));
    }
    let mut name = target.clone().into_os_string();
    name.push(".unfinished");
    let unfinished = PathBuf::from(name);
    let copy = || -> io::Result<()> {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        copy_journal(&journal, &unfinished.join("journal"))?;
        copy_if_any(&store.checkpoint_file(), &unfinished.join(CHECKPOINTS))?;
        copy_if_any(&store.public_key_file(), &unfinished.join("station-key.pub.pem"))
    };
    copy().map_err(|error| failed(&unfinished, &error))?;
    let found = verify(
        &RealDisk::read_only(&unfinished.join("journal"))?,
        Some(checkpoint.point),
    )?;
    if let Some(damage) = found.damage {
        return Err(trouble(
            "backup.damaged",
            &format!("the copy is not sound: {damage}"),
            "Check the journal with `lineside records verify`, then the disk that the copy is on.",
        ));
    }
    fs::rename(&unfinished, &target).map_err(|error| failed(&target, &error))?;
    note(&backups_file(folder), found.head, &target)?;
    printer.result(&format!(
        "backed up to event {}: {}",
        found.head.sequence,
        target.display()
    ));
    Ok(Exit::Good)
}

/// Puts a backup back into a data folder that has no journal, and says so in the journal: every quota is void then.
pub(crate) fn restore(global: &Global, from: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let folder = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    let journal = data::journal_folder(&folder);
    let has_journal = journal.exists() && tip(&RealDisk::read_only(&journal)?)?.is_some();
    if has_journal {
        return Err(trouble(
            "backup.not-empty",
            &format!("there are records in {} already", folder.display()),
            "Name an empty folder with --data, or move the old one away as it is: it may be evidence.",
        ));
    }
    let source = from.join("journal");
    let disk = RealDisk::read_only(&source)?;
    let found = verify(&disk, None)?;
    let sound = tip(&disk).ok().flatten().filter(|_| found.damage.is_none());
    let Some((station, head)) = sound else {
        let why = found
            .damage
            .map_or_else(|| "it holds no event".to_owned(), |damage| damage.to_string());
        return Err(trouble(
            "backup.damaged",
            &format!("the backup cannot be used: {why}"),
            "Use another backup.",
        ));
    };
    copy_journal(&source, &journal).map_err(|error| failed(&journal, &error))?;
    // They were signed with a key that is not in a backup: kept as those of another station are, they serve as anchors.
    let store = Store::of(&folder);
    for line in read_if_any(&from.join(CHECKPOINTS))?.lines() {
        append_line(&store.others_file(), line)?;
    }
    let global = Global {
        station,
        data: Some(folder),
        ..global.clone()
    };
    let Head { sequence, hash } = head;
    approve::write(&global, vec![Input::Restored { sequence, hash }], printer)?;
    printer.result(&format!(
        "restored up to event {sequence}; what happened since then is not in it, and open approvals are void"
    ));
    Ok(Exit::Good)
}

/// The object of `coverage --json`.
#[derive(Serialize)]
struct Coverage {
    version: u32,
    kind: &'static str,
    events: u64,
    checkpointed_to: u64,
    anchored_to: u64,
    backed_up_to: u64,
}

pub(crate) fn coverage(folder: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let store = Store::of(folder);
    let end = tip(&RealDisk::read_only(&data::journal_folder(folder))?)?.map_or(0, |(_, head)| head.sequence);
    let last = |path: &Path| -> Result<u64, Trouble> {
        let text = read_if_any(path)?;
        Ok(text
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse().ok())
            .max()
            .unwrap_or(0))
    };
    let checkpoints = store.checkpoints()?;
    let found = Coverage {
        version: 1,
        kind: "coverage",
        events: end,
        checkpointed_to: checkpoints
            .iter()
            .map(|one| one.point.sequence)
            .max()
            .unwrap_or(0),
        anchored_to: last(&store.anchored_file())?,
        backed_up_to: last(&backups_file(folder))?,
    };
    printer.object(&found);
    let rows: Vec<_> = [
        ("signed here", found.checkpointed_to),
        ("anchored outside", found.anchored_to),
        ("backed up", found.backed_up_to),
    ]
    .into_iter()
    .map(|(what, to)| {
        let missing = end.saturating_sub(to);
        let tone = if missing == 0 { Tone::Good } else { Tone::Unclear };
        vec![
            (what.to_owned(), Tone::Plain),
            (to.to_string(), Tone::Plain),
            (missing.to_string(), tone),
        ]
    })
    .collect();
    printer.result(&table(&["", "up to event", "events not yet"], &rows));
    Ok(match found.anchored_to >= end && found.backed_up_to >= end {
        true => Exit::Good,
        false => Exit::NotGood,
    })
}

fn backups_file(folder: &Path) -> PathBuf {
    folder.join("evidence").join("backups.txt")
}

fn note(file: &Path, head: Head, place: &Path) -> Result<(), Trouble> {
    append_line(
        file,
        &format!(
            "{} {} {} {}",
            head.sequence,
            head.hash,
            Timestamp::now(),
            place.display()
        ),
    )
}

/// Segments only: neither locks nor what else lies there.
fn copy_journal(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path
            .file_name()
            .filter(|_| path.extension().is_some_and(|end| end == "journal"))
        {
            fs::copy(&path, to.join(name))?;
            // Windows syncs only what is open for writing.
            fs::OpenOptions::new()
                .write(true)
                .open(to.join(name))?
                .sync_all()?;
        }
    }
    Ok(())
}

fn copy_if_any(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn trouble(code: &str, message: &str, help: &str) -> Trouble {
    Trouble::new(Exit::Refused, Blame::Station, code, message, help)
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::station(
        "backup.file",
        &format!("{} could not be used", path.display()),
        error,
    )
}
