//! `lineside recover`: writes the OS of boards anew, all of them at once.
//!
//! The set is looked through before any board is touched. While boards are written, standard error shows each: live when
//! a person is looking, else one line for each thing that happens. At the end standard output has the table. With
//! `--json`, standard output has every event as it became durable and one object for each board at its end.
//!
//! Ctrl-C leaves boards alone that are not erased yet; those that are, are finished, because otherwise they would need
//! another recovery. A second one stops at once: the records then say which devices need recovery.

mod args;
mod live;
mod trace;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lineside_device::recovery::{Capability, Recovery};
use lineside_flow::{RecoveryOutcome, Shift};
use lineside_image::{CapabilityRecord, ImageSet, Package};
use lineside_runner::recover::{Ended, Notice, Order, Summary, recover};
use lineside_runner::{Cancel, Keeper, image_sets, program};
use lineside_terms::{Blame, DeviceId, SlotPath, Told};
use serde::Serialize;

use super::args::Global;
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::run::line_of;
use super::slots::Names;
use super::trouble::Trouble;
use super::{bench, choose, data, image_set, on_host_thread, station};
pub(crate) use args::RecoverArgs;
use live::Live;

const STOPPING: &str = "stopping: boards that are not erased yet are left alone, others are finished; once more to stop \
                        at once";

/// The list of devices that are never written to, if nobody names another.
const PROTECTED: &str = "protected.txt";

pub(crate) fn run(global: &Global, args: &RecoverArgs, printer: &Printer) -> Result<Exit, Trouble> {
    on_host_thread(run_on_host(global, args, printer))?
}

async fn run_on_host(global: &Global, args: &RecoverArgs, printer: &Printer) -> Result<Exit, Trouble> {
    // What can be refused is refused before any board is looked at.
    let (trust, _) = bench::supplies_of(&global.bench)?;
    let set = image_set::kept(global).set(&args.images, &trust)?;
    let capabilities = capabilities(args)?;
    let listed = args.protected.clone().or_else(|| {
        let data = global.data.clone().unwrap_or_else(lineside_link::data_folder);
        Some(data.join(PROTECTED)).filter(|path| path.exists())
    });
    let protected = match &listed {
        Some(path) => program::read_protected(path)?,
        None => Default::default(),
    };
    let bench = bench::open(&global.bench).await?;
    let help = "Name one with --slot, or recover all of them with --all.";
    let names = Names::of_station(global);
    let all = bench.bench.list().await?;
    let meant = choose::slots(global, &all, &args.slot, &args.ip)?;
    let boards = choose::boards(all, &meant, args.all, help)?;
    let slots: Vec<SlotPath> = boards.into_iter().map(|board| board.slot).collect();
    if args.trace.is_some() && slots.len() > 1 {
        return Err(Trouble::usage(
            "recover.trace",
            "a trace is of one board, and several are meant",
            "Name one board with --slot.",
        ));
    }
    let trace = match &args.trace {
        Some(path) => Some(trace::to(path, &slots[0])?),
        None => None,
    };
    let order = Order {
        os: set.os().map(str::to_owned),
        releases: image_sets::releases_beside(&set),
        slots,
        recovery: Recovery {
            is_high_speed: !args.low_speed,
            is_verbose: args.verbose,
            ..Recovery::new(Arc::new(set.clone()))
        },
        capabilities,
        protected,
        first_look: lineside_runner::recover::FIRST_LOOK,
        boot_ceiling: Duration::from_secs(args.boot_timeout),
        trace,
    };
    let folder = data::folder_for_run(global);
    let (journal, history) = data::open_journal(&folder, global, printer)?;
    printer.note(&format!("records: {}", folder.display()));
    printer.note(&headline(&set, order.slots.len()));
    let shift = Shift {
        operator: args.operator.clone(),
        ..Shift::default()
    };
    let place = station::place(global, &bench, shift)?;
    let mut keeper = Keeper::start(journal)?;
    let cancel = Cancel::default();
    station::stop_on_ctrl_c(&cancel, *printer, STOPPING);
    let live = RefCell::new(Live::new(*printer, names.clone(), &order.slots));
    let summary = recover(
        place,
        order,
        history,
        &mut keeper,
        &cancel,
        |notice| match notice {
            Notice::Durable(events) => {
                for event in events {
                    printer.object(event);
                    if !printer.is_live() && !printer.is_json() {
                        line_of(event).into_iter().for_each(|line| printer.note(&line));
                    }
                }
            }
            Notice::Progress(slot, progress) => live.borrow_mut().progress(slot, progress),
            Notice::Ended(ended) => {
                printer.object(&object(ended));
                live.borrow_mut().ended(ended);
            }
        },
    )
    .await?;
    live.borrow_mut().end();
    show(&summary, &names, printer);
    let end = station::End {
        is_good: summary.is_good(),
        is_cancelled: summary.is_cancelled,
        store_error: summary.store_error.as_ref(),
    };
    Ok(station::close(keeper, &folder, &end, printer))
}

/// The capability files, by the device that each names.
fn capabilities(args: &RecoverArgs) -> Result<BTreeMap<DeviceId, Capability>, Trouble> {
    let mut files = BTreeMap::new();
    for path in &args.capability {
        let bytes = std::fs::read(path).map_err(|error| {
            Trouble::station(
                "station.file",
                &format!("could not read {}", path.display()),
                &error,
            )
        })?;
        let record = Package::parse(&bytes)
            .ok()
            .and_then(|package| CapabilityRecord::of(&package).ok());
        let Some(record) = record else {
            return Err(Trouble::new(
                Exit::Refused,
                Blame::Supply,
                "recover.capability",
                &format!("{} is no capability file", path.display()),
                "Give the capability file of the device, as the security service made it.",
            ));
        };
        files.insert(record.device, Capability(bytes.into()));
    }
    Ok(files)
}

fn headline(set: &ImageSet, boards: usize) -> String {
    let os = set
        .os()
        .map_or_else(|| "an OS that no list names".to_owned(), |os| format!("OS {os}"));
    let boards = if boards == 1 {
        "1 board".to_owned()
    } else {
        format!("{boards} boards")
    };
    format!(
        "{os}: {} images of {} bytes for {boards}",
        set.manifest().entries.len(),
        set.total_size()
    )
}

/// One object of `--json`: a board that is done with.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    device: Option<DeviceId>,
    outcome: RecoveryOutcome,
    os: Option<&'a str>,
    tries: u32,
    took_ms: u64,
    error: Option<&'a Told>,
}

fn object(ended: &Ended) -> Object<'_> {
    Object {
        version: 1,
        kind: "recovery",
        slot: &ended.slot,
        device: ended.device,
        outcome: ended.outcome,
        os: ended.os.as_deref(),
        tries: ended.tries,
        took_ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
        error: ended.error.as_ref(),
    }
}

/// The last object of `--json`.
#[derive(Serialize)]
struct SummaryObject<'a> {
    version: u32,
    kind: &'static str,
    is_good: bool,
    recovered: usize,
    boards: usize,
    is_cancelled: bool,
    needing_recovery: &'a [DeviceId],
}

/// The word for how a device is left.
pub(super) const fn word(outcome: RecoveryOutcome) -> &'static str {
    match outcome {
        RecoveryOutcome::Recovered => "recovered",
        RecoveryOutcome::Untouched => "untouched",
        RecoveryOutcome::NeedsRecovery => "needs recovery",
        RecoveryOutcome::Unknown => "unknown",
    }
}

pub(super) const fn tone(outcome: RecoveryOutcome) -> Tone {
    match outcome {
        RecoveryOutcome::Recovered => Tone::Good,
        RecoveryOutcome::Untouched | RecoveryOutcome::Unknown => Tone::Unclear,
        RecoveryOutcome::NeedsRecovery => Tone::Bad,
    }
}

fn show(summary: &Summary, names: &Names, printer: &Printer) {
    let recovered = summary
        .boards
        .iter()
        .filter(|board| board.outcome == RecoveryOutcome::Recovered)
        .count();
    printer.object(&SummaryObject {
        version: 1,
        kind: "recovery-summary",
        is_good: summary.is_good(),
        recovered,
        boards: summary.boards.len(),
        is_cancelled: summary.is_cancelled,
        needing_recovery: &summary.needing_recovery,
    });
    let rows: Vec<_> = summary
        .boards
        .iter()
        .map(|board| {
            let dash = || "-".to_owned();
            let remedy = board.error.as_ref();
            vec![
                (names.show(&board.slot), Tone::Plain),
                (
                    board.device.map_or_else(dash, |device| device.short()),
                    Tone::Plain,
                ),
                (word(board.outcome).to_owned(), tone(board.outcome)),
                (board.os.clone().unwrap_or_else(dash), Tone::Plain),
                (format!("{:.1} s", board.took.as_secs_f64()), Tone::Plain),
                (
                    remedy
                        .map(|error| format!("{error} {}", error.help))
                        .unwrap_or_default(),
                    Tone::Plain,
                ),
            ]
        })
        .collect();
    printer.result(&table(
        &["slot", "device", "outcome", "OS", "time", "what to do"],
        &rows,
    ));
    let tone = if summary.is_good() { Tone::Good } else { Tone::Bad };
    printer.result(&tone.paint(&format!(
        "{recovered} of {} boards recovered",
        summary.boards.len()
    )));
    if !summary.needing_recovery.is_empty() {
        let devices: Vec<String> = summary.needing_recovery.iter().map(DeviceId::short).collect();
        printer.result(&format!(
            "by the records these devices need recovery: {}",
            devices.join(", ")
        ));
    }
}
