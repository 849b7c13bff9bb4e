//! `lineside doctor`: what stands in the way of work, and what to do about it. Only looks.
//!
//! Looked at are the data folder and its disk, the journal, the clock, the boards of the bench and, on the bench `usb`,
//! what the system says of the way to them. A file of a few bytes is written beside the records and removed again.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use lineside_link::health::{self, Finding, Severity};
use lineside_link::usb::Places;
use lineside_link::{BoardInfo, Clock};
use lineside_records::{RealDisk, verify};
use lineside_runner::WallClock;
use lineside_terms::{ClockTrust, Told};
use serde::Serialize;

use super::args::{DoctorArgs, Global};
use super::bench::BenchName;
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;
use super::{bench, data, on_host_thread};

/// A disk that takes longer to make something durable holds up every step of a run.
const SLOW_SYNC: Duration = Duration::from_millis(50);

/// How often a sync is tried; the middle one counts.
const SYNCS: usize = 5;

/// Files of the journal are written before now, but for the rounding of file systems.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

pub(crate) fn run(global: &Global, args: &DoctorArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let folder = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    let mut findings = Vec::new();
    findings.extend(disk(&folder));
    let journal = data::journal_folder(&data::folder_to_read(global));
    findings.extend(records(&journal));
    findings.extend(clock(&journal));
    on_host_thread(async { findings.extend(boards(&global.bench).await) })?;
    if global.bench == BenchName::Usb {
        findings.extend(health::usb(&Places::default()));
    }
    findings.push(health::service(args.service_port));
    Ok(report(&findings, printer))
}

/// Whether records can be written, and how long the disk takes to make them durable.
fn disk(folder: &Path) -> Vec<Finding> {
    let (name, place) = ("data-folder", existing(folder));
    let took = match syncs(&place) {
        Ok(took) => took,
        Err(error) => {
            return vec![Finding::bad(
                Severity::Problem,
                name,
                format!("{} cannot be written: {error}", folder.display()),
                "Give this user the right to write there, make room on the disk, or name another folder with --data.",
            )];
        }
    };
    let found = if place == folder {
        format!("{} can be written", folder.display())
    } else {
        format!("{} is not there yet and can be made", folder.display())
    };
    let sync = format!("a sync of the disk takes {:.1} ms", took.as_secs_f64() * 1e3);
    vec![
        Finding::good(name, found),
        if took > SLOW_SYNC {
            Finding::bad(
                Severity::Warning,
                "disk",
                sync,
                "Every step of a run waits for it: put the data folder on a disk of this computer, best a solid-state \
                 one, with --data.",
            )
        } else {
            Finding::good("disk", sync)
        },
    ]
}

/// The folder, or the nearest one above it that is there: it would be made in that.
fn existing(folder: &Path) -> PathBuf {
    let is_there = |folder: &&Path| folder.symlink_metadata().is_ok();
    match folder.ancestors().find(is_there) {
        Some(found) => found.to_owned(),
        None => PathBuf::from("."),
    }
}

/// Writes a file that goes again, syncs it a few times, and tells how long the middle one took.
fn syncs(folder: &Path) -> std::io::Result<Duration> {
    let path = folder.join(format!(".lineside-doctor-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let mut took = Vec::with_capacity(SYNCS);
    let mut tried = || -> std::io::Result<()> {
        for _ in 0..SYNCS {
            let began = Instant::now();
            file.write_all(&[0; 512])?;
            file.sync_data()?;
            took.push(began.elapsed());
        }
        Ok(())
    };
    let tried = tried();
    drop(file);
    fs::remove_file(&path)?;
    tried?;
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

/// Whether the chain of the journal holds.
fn records(journal: &Path) -> Vec<Finding> {
    let name = "journal";
    if !journal.exists() {
        let found = "there are no records yet";
        return vec![Finding::good(name, found)];
    }
    let checked = RealDisk::read_only(journal).and_then(|disk| verify(&disk, None));
    let found = match checked {
        Ok(found) => found,
        Err(error) => {
            let told = Told::of(&error);
            return vec![Finding::bad(Severity::Problem, name, told.message, told.help)];
        }
    };
    let sound = format!(
        "{} events in {} files are as they were written",
        found.head.sequence, found.segments
    );
    let mut findings = vec![match &found.damage {
        None => Finding::good(name, sound),
        Some(damage) => Finding::bad(
            Severity::Problem,
            name,
            format!("the journal in {} is damaged: {damage}", journal.display()),
            "Keep the folder as it is, begin a new one with --data, and find out who or what changed it.",
        ),
    }];
    if let Some(torn) = found.torn {
        findings.push(Finding::bad(
            Severity::Note,
            name,
            torn.to_string(),
            "Nothing of it had been acknowledged; the next run cuts it off, unless one is writing it right now.",
        ));
    }
    findings
}

/// Whether the times in the records can be believed.
fn clock(journal: &Path) -> Vec<Finding> {
    let name = "clock";
    let stamp = WallClock::of_system(Clock::precise()).stamp();
    if stamp.trust == ClockTrust::Wrong {
        return vec![Finding::bad(
            Severity::Problem,
            name,
            "the clock shows a time before this program was built",
            "Set it: every record says when it was made.",
        )];
    }
    let files = fs::read_dir(journal).into_iter().flatten().flatten();
    let written = files
        .filter_map(|file| file.metadata().ok()?.modified().ok())
        .max();
    if written.is_some_and(|written| written > SystemTime::now() + CLOCK_SLACK) {
        return vec![Finding::bad(
            Severity::Problem,
            name,
            "the clock shows a time before the newest record",
            "Set it: it went backwards, and records would seem to be older than the ones before them.",
        )];
    }
    vec![match health::clock_is_kept() {
        Some(true) => Finding::good(name, "the clock is kept right by the network"),
        Some(false) => Finding::bad(
            Severity::Note,
            name,
            "nobody keeps the clock right",
            "Let the system follow a time server, or check the clock now and then: records mark their times as \
             unverified.",
        ),
        None => Finding::good(
            name,
            "the clock is plausible; the system does not say whether anybody keeps it right",
        ),
    }]
}

/// What the bench says of its boards.
async fn boards(name: &BenchName) -> Vec<Finding> {
    let listed = match bench::open(name).await {
        Ok(bench) => bench.bench.list().await.map_err(Trouble::from),
        Err(trouble) => Err(trouble),
    };
    let boards = match listed {
        Ok(boards) => boards,
        Err(Trouble { told, .. }) => {
            return vec![Finding::bad(Severity::Problem, "bench", told.message, told.help)];
        }
    };
    if boards.is_empty() {
        let remedy = "Check cables and power of boards and hubs, and --bench.";
        return vec![Finding::bad(
            Severity::Warning,
            "bench",
            "no board is there",
            remedy,
        )];
    }
    let mut findings: Vec<Finding> = boards.iter().map(board).collect();
    let mut serials: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for board in &boards {
        if let Some(serial) = &board.board_serial {
            serials.entry(serial).or_default().push(board.slot.as_str());
        }
    }
    let shared = serials.into_iter().filter(|(_, slots)| slots.len() > 1);
    findings.extend(shared.map(|(serial, slots)| {
        Finding::bad(
            Severity::Note,
            "board-serial",
            format!("the boards at slots {} share the serial number {serial}", slots.join(", ")),
            "Older boards do. Lineside tells boards apart by their sockets; give each a number of its own for tools \
             that do not.",
        )
    }));
    findings
}

fn board(board: &BoardInfo) -> Finding {
    let slot = &board.slot;
    match (&board.trouble, &board.leased_by) {
        (_, Some(holder)) => Finding::bad(
            Severity::Note,
            "board",
            format!("the board at slot {slot} is in use by {holder}"),
            "It is free again when that ends.",
        ),
        (Some(trouble), None) => Finding::bad(
            Severity::Problem,
            "board",
            format!("the board at slot {slot} cannot be used: {trouble}"),
            "Mend that, plug the board in again and look once more.",
        ),
        (None, None) => {
            let serial = board.board_serial.as_deref();
            let serial = serial.map_or_else(String::new, |serial| format!(", serial number {serial}"));
            Finding::good("board", format!("the board at slot {slot} is free{serial}"))
        }
    }
}

/// One object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    severity: &'static str,
    topic: &'a str,
    found: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

const fn word_of(severity: Severity) -> (&'static str, Tone) {
    match severity {
        Severity::Good => ("ok", Tone::Good),
        Severity::Note => ("note", Tone::Plain),
        Severity::Warning => ("warning", Tone::Unclear),
        Severity::Problem => ("problem", Tone::Bad),
    }
}

/// Tells all; not good when there is a problem.
fn report(findings: &[Finding], printer: &Printer) -> Exit {
    let mut rows = Vec::new();
    for finding in findings {
        let (word, tone) = word_of(finding.severity);
        printer.object(&Object {
            version: 1,
            kind: "finding",
            severity: word,
            topic: finding.topic,
            found: &finding.found,
            remedy: finding.remedy.as_deref(),
        });
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        rows.push(vec![
            (word.to_owned(), tone),
            plain(finding.topic),
            plain(&finding.found),
        ]);
        if let Some(remedy) = &finding.remedy {
            rows.push(vec![plain(""), plain(""), (format!("→ {remedy}"), Tone::Faint)]);
        }
    }
    printer.result(&table(&["", "about", "found"], &rows));
    let count = |severity| {
        let of = findings.iter().filter(|finding| finding.severity == severity);
        of.count()
    };
    let (problems, warnings) = (count(Severity::Problem), count(Severity::Warning));
    printer.result(&format!(
        "\n{problems} {}, {warnings} {}",
        if problems == 1 { "problem" } else { "problems" },
        if warnings == 1 { "warning" } else { "warnings" }
    ));
    if problems == 0 { Exit::Good } else { Exit::NotGood }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severities(findings: &[Finding]) -> Vec<Severity> {
        findings.iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn nothing_is_left_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(disk(folder.path())[0].severity, Severity::Good);
        assert_eq!(disk(&folder.path().join("a/b"))[0].severity, Severity::Good);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(folder.path().join("file"), "").unwrap();
        for in_the_way in ["file", "file/below"] {
            let found = disk(&folder.path().join(in_the_way));
            assert_eq!(severities(&found), [Severity::Problem], "{found:?}");
        }
    }

    #[test]
    fn a_journal_that_was_written_later_than_now_shows_a_wrong_clock() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("segment")).unwrap();
        assert!(
            clock(folder.path())
                .iter()
                .all(|found| found.severity < Severity::Warning)
        );
        file.set_modified(SystemTime::now() + Duration::from_secs(3600))
            .unwrap();
        assert_eq!(severities(&clock(folder.path())), [Severity::Problem]);
    }

    #[test]
    fn boards_are_told_of_by_what_stands_in_their_way() {
        let info = |leased_by: Option<&str>, trouble: Option<&str>| BoardInfo {
            slot: lineside_terms::SlotPath::new("113").unwrap(),
            attachment: 1,
            board_serial: Some("AS1".into()),
            leased_by: leased_by.map(Into::into),
            trouble: trouble.map(Into::into),
            device: None,
        };
        assert_eq!(board(&info(None, None)).severity, Severity::Good);
        assert_eq!(board(&info(Some("x"), None)).severity, Severity::Note);
        assert_eq!(board(&info(None, Some("x"))).severity, Severity::Problem);
    }
}
