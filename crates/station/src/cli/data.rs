//! `--data`: the folder of journal and records.

use std::path::PathBuf;

use lineside_records::Journal;
pub(crate) use lineside_runner::journal_folder;
use lineside_runner::{History, store};
use lineside_terms::BootId;

use super::args::Global;
use super::bench::BenchName;
use super::output::Printer;
use super::trouble::Trouble;

/// The folder to write to. A simulated bench inside this process begins anew each time, so its records do too: mixing
/// them with older ones would show devices that went back.
pub(crate) fn folder_for_run(global: &Global) -> PathBuf {
    match (&global.data, &global.bench) {
        (Some(data), _) => data.clone(),
        (None, BenchName::Sim { .. }) => {
            let default = lineside_link::data_folder();
            let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
            let fresh = (0_u32..).map(|again| match again {
                0 => default.join(format!("sim-{now}")),
                again => default.join(format!("sim-{now}-{again}")),
            });
            let free = fresh.into_iter().find(|folder| !folder.exists());
            free.unwrap_or_else(|| default.clone())
        }
        (None, _) => lineside_link::data_folder(),
    }
}

/// The folder for notes of what is written by hand; none where the devices end with this process.
pub(crate) fn folder_of_notes(global: &Global) -> Option<PathBuf> {
    match (&global.data, &global.bench) {
        (Some(data), _) => Some(data.clone()),
        (None, BenchName::Sim { .. }) => None,
        (None, _) => Some(lineside_link::data_folder()),
    }
}

/// The folder to read from: the one that was named, or the default, or the newest one of a simulated run in it.
pub(crate) fn folder_to_read(global: &Global) -> PathBuf {
    if let Some(data) = &global.data {
        return data.clone();
    }
    let default = lineside_link::data_folder();
    let runs = std::fs::read_dir(&default).into_iter().flatten().flatten();
    let newest = runs
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("sim-"))
        .map(|entry| entry.path())
        .max();
    match newest {
        Some(newest) if !journal_folder(&default).exists() => newest,
        _ => default,
    }
}

/// Where in a data folder the view is. It may be deleted at any time.
pub(crate) fn view_file(data: &std::path::Path) -> PathBuf {
    data.join("view.sqlite")
}

/// Opens the journal for writing and folds all of it.
pub(crate) fn open_journal(
    data: &std::path::Path,
    global: &Global,
    printer: &Printer,
) -> Result<(Journal, History), Trouble> {
    let (journal, history) = store::open(data, global.station.clone())?;
    if let Some(torn) = journal.torn() {
        printer.note(&format!("note: {torn}; nothing of it had been acknowledged"));
    }
    Ok((journal, history))
}

/// A name for this start of the program.
pub(crate) fn boot_id() -> Result<BootId, Trouble> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Trouble::station("station.no-randomness", "the system gave no randomness", &error)
    })?;
    Ok(BootId::from_bytes(bytes))
}
