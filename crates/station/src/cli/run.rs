//! `lineside run PLAN`: takes every board of the bench through a plan.
//!
//! While it runs, standard error shows every slot: live when a person is looking, else one line for each thing that
//! happens. At the end standard output has the table. With `--json`, standard output has every event as it became
//! durable, one a line, and a summary. Ctrl-C stops in a told state; a second one stops at once, which is as safe as a
//! power cut: running the same command again goes on.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use lineside_device::Entropy;
use lineside_flow::order::{Continuous, Order};
use lineside_flow::{Event, Shift};
use lineside_records::Journal;
use lineside_runner::batch::{self, Patience};
use lineside_runner::gate::Gate;
use lineside_runner::{Batch, Cancel, History, Keeper, Notice, Program, Serials, Summary, program};
use lineside_terms::{DeviceId, SlotPath, Told};
use serde::Serialize;

use super::args::{Global, RunArgs, Start};
use super::bench::OpenBench;
use super::exit::Exit;
use super::live::Live;
use super::output::{Printer, Tone, table};
use super::slots::Names;
use super::trouble::Trouble;
use super::{approve, bench, bundle, data, desk, evidence, gate, on_host_thread, recover, station};

pub(crate) fn run(global: &Global, args: &RunArgs, printer: &Printer) -> Result<Exit, Trouble> {
    on_host_thread(run_on_host(global, args, printer))?
}

async fn run_on_host(global: &Global, args: &RunArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let folder = data::folder_for_run(global);
    let source = bundle::plan_of(global, &args.plan, printer)?;
    let bench = bench::open(&global.bench).await?;
    let program = Rc::new(Program::load(
        &source.path,
        &bench.trust,
        bench.supplies.as_ref(),
    )?);
    let boards = bench.bench.list().await?;
    let slots: Vec<SlotPath> = boards.iter().map(|board| board.slot.clone()).collect();
    let names = Names::of_station(global);
    let serials = match &args.serials {
        Some(path) => program::serials(path, &slots, |slot| names.resolve(slot))?,
        None => Default::default(),
    };
    let gate = gate::of(global, args, &names, program.plan())?;
    let order = Order {
        named: source.named,
        plan: program.recipe().plan,
        bundle: source.bundle,
        units: 0,
        rest: serials.rest.clone(),
        continuous: args.continuous.then(|| Continuous {
            scans: args.start == Start::Scan,
            keys: args.start == Start::Key,
            stable_s: args.stable,
            stop_after: args.stop_after,
        }),
        has_hook: args.hook.is_some(),
        resumes: None,
    };
    let work = Work {
        program,
        serials,
        expected: args.expect,
        shift: Shift {
            operator: args.operator.clone(),
            shift: args.shift.clone(),
            work_order: args.work_order.clone(),
        },
        only: None,
        gate,
        folder,
    };
    let (journal, history) = data::open_journal(&work.folder, global, printer)?;
    let begun = Begun {
        journal,
        history,
        order: Some(order),
        disk_patience: Duration::from_secs(args.disk_patience),
        approval_patience: Duration::from_secs(args.approval_patience),
    };
    on_journal(global, bench, work, begun, printer).await
}

/// A batch, and where its records go.
pub(super) struct Work {
    pub(super) program: Rc<Program>,
    pub(super) serials: Serials,
    pub(super) expected: Option<u32>,
    pub(super) shift: Shift,
    /// The only device that is meant, if somebody named one.
    pub(super) only: Option<DeviceId>,
    /// What boards go through before they are taken.
    pub(super) gate: Option<Gate>,
    pub(super) folder: PathBuf,
}

/// A journal that is open, and what is written into it first.
pub(super) struct Begun {
    pub(super) journal: Journal,
    pub(super) history: History,
    /// What was ordered, for who goes on with it.
    pub(super) order: Option<Order>,
    /// How long a disk that fails is waited for.
    pub(super) disk_patience: Duration,
    /// How long units that wait for nothing but an approval are waited for.
    pub(super) approval_patience: Duration,
}

/// Takes all boards of an open bench through a plan, and tells how it went.
pub(super) async fn on_journal(
    global: &Global,
    bench: OpenBench,
    work: Work,
    begun: Begun,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let Begun {
        journal,
        history,
        order,
        disk_patience,
        approval_patience,
    } = begun;
    let Work {
        program,
        serials,
        expected,
        shift,
        only,
        gate,
        folder,
    } = work;
    if !program.recipe().approvals.is_empty() {
        approve::check(&history)?;
    }
    printer.note(&format!("records: {}", folder.display()));
    let mut place = station::place(global, &bench, shift)?;
    place.wall = station::known_clock(place.wall, &history, printer);
    let names = Names::of_station(global);
    let mut keeper = Keeper::start(journal)?;
    let cancel = Cancel::default();
    station::stop_on_ctrl_c(&cancel, *printer, STOPPING);
    let is_continuous = gate.as_ref().is_some_and(|gate| gate.is_continuous);
    let live = RefCell::new(Live::new(*printer, names.clone(), is_continuous));
    let desk = (!program.recipe().approvals.is_empty())
        .then(|| desk::open(&folder, global.station.clone(), approval_patience));
    let patience = Patience {
        store: disk_patience,
        ..Patience::default()
    };
    let batch = Batch {
        program,
        serials,
        expected,
        only,
        entropy: Entropy::System,
        patience,
        order,
        desk,
    };
    let mut pace = evidence::Pace::new(&folder);
    let summary = batch::run_behind(
        gate,
        place,
        batch,
        history,
        &mut keeper,
        &cancel,
        |notice| match notice {
            Notice::Durable(events) => {
                pace.durable(events, printer);
                for event in events {
                    printer.object(event);
                    live.borrow_mut().event(event);
                }
            }
            Notice::Picture(picture) => live.borrow_mut().picture(picture),
            Notice::Progress(slot, progress) => live.borrow_mut().progress(slot, progress),
            Notice::Gate(news) => gate::tell(news, &names, printer),
            Notice::Store(error) => tell_store(error, printer),
        },
    )
    .await?;
    live.borrow_mut().end();
    show(&summary, &names, printer);
    let end = station::End {
        is_good: summary.is_pass(),
        // There it is how it ends.
        is_cancelled: summary.is_cancelled && !summary.is_continuous,
        store_error: summary.store_error.as_ref(),
    };
    Ok(station::close(keeper, &folder, &end, printer))
}

pub(super) const STOPPING: &str = "stopping: steps under way end in a told state; once more to stop at once";

/// One object of `--json`: the journal cannot be written, or can be again.
#[derive(Serialize)]
struct StoreObject<'a> {
    version: u32,
    kind: &'static str,
    is_up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

pub(super) fn tell_store(error: Option<&Told>, printer: &Printer) {
    printer.object(&StoreObject {
        version: 1,
        kind: "store",
        is_up: error.is_none(),
        error,
    });
    match error {
        Some(error) => {
            printer.told(error);
            printer.note(
                "nothing new starts; what is done on devices waits to be recorded. It is tried again until it works; \
                 Ctrl-C to stop",
            );
        }
        None => printer
            .note("the records can be written again: all that was done is recorded, and the line goes on"),
    }
}

/// The last object of `--json`.
#[derive(Serialize)]
struct SummaryObject<'a> {
    version: u32,
    kind: &'static str,
    is_pass: bool,
    passed: usize,
    expected: usize,
    is_cancelled: bool,
    slots: &'a [lineside_flow::SlotPicture],
    #[serde(skip_serializing_if = "Option::is_none")]
    store_error: Option<&'a Told>,
}

pub(super) fn show(summary: &Summary, names: &Names, printer: &Printer) {
    let picture = &summary.picture;
    printer.object(&SummaryObject {
        version: 1,
        kind: "summary",
        is_pass: summary.is_pass(),
        passed: picture.passed(),
        expected: summary.expected,
        is_cancelled: summary.is_cancelled,
        slots: &picture.slots,
        store_error: summary.store_error.as_ref(),
    });
    let rows: Vec<_> = picture
        .slots
        .iter()
        .map(|slot| {
            let (word, tone) = super::live::standing(slot);
            let took = slot
                .took
                .map(|took| format!("{:.1} s", took.as_secs_f64()))
                .unwrap_or_default();
            let remedy = slot
                .error
                .as_ref()
                .map(|error| format!("{error} {}", error.help))
                .unwrap_or_default();
            vec![
                (names.show(&slot.slot), Tone::Plain),
                (
                    slot.device
                        .map(|device| device.short())
                        .unwrap_or_else(|| "-".to_owned()),
                    Tone::Plain,
                ),
                (
                    slot.serial
                        .as_ref()
                        .map_or_else(|| "-".to_owned(), ToString::to_string),
                    Tone::Plain,
                ),
                (word, tone),
                (took, Tone::Plain),
                (remedy, Tone::Plain),
            ]
        })
        .collect();
    if rows.is_empty() {
        printer.result("no board is there");
    } else {
        printer.result(&table(
            &["slot", "device", "serial", "outcome", "time", "what to do"],
            &rows,
        ));
    }
    if summary.is_continuous {
        let tally = summary.tally.unwrap_or_default();
        let tone = if summary.is_pass() { Tone::Good } else { Tone::Bad };
        printer.result(&tone.paint(&format!("{} passed, {} failed", tally.passed, tally.failed)));
        return;
    }
    let (passed, expected) = (picture.passed(), summary.expected);
    let tone = if summary.is_pass() { Tone::Good } else { Tone::Bad };
    printer.result(&tone.paint(&format!("{passed} of {expected} units passed")));
}

/// What a durable event says in one line, for those who do not watch live.
pub(crate) fn line_of(event: &Event) -> Option<String> {
    use lineside_flow::Body;
    let slot = event.slot.as_ref()?;
    let text = match &event.body {
        Body::RunStarted { serial, attempt, .. } => {
            let device = event.device.map(|device| device.short()).unwrap_or_default();
            format!("run {attempt} of unit {serial}, device {device}")
        }
        Body::StepEnded {
            step,
            outcome,
            note,
            error,
            ..
        } => {
            let said = error.as_ref().map(ToString::to_string).or_else(|| note.clone());
            format!(
                "{step}: {outcome}{}",
                said.map(|said| format!(" ({said})")).unwrap_or_default()
            )
        }
        Body::Intended { intent, .. } => format!("about to do {}", intent.key),
        Body::Decided { key, verdict, .. } => format!("{key}: {}", format!("{verdict:?}").to_lowercase()),
        Body::RunEnded { outcome, .. } => format!("unit done: {outcome}"),
        Body::RunInterrupted { error } | Body::Unresponsive { error, .. } | Body::Held { error, .. } => {
            error.to_string()
        }
        Body::AlreadyComplete { earlier, serial, .. } => {
            format!("unit {serial} is complete (run {})", earlier.short())
        }
        Body::RecoveryBegun { os, .. } => {
            let device = event.device.map(|device| device.short()).unwrap_or_default();
            let os = os.as_deref().map(|os| format!(" OS {os}")).unwrap_or_default();
            format!("device {device}:{os} is written, the old one is erased")
        }
        Body::RecoveryEnded { outcome, os, error } => {
            let os = os.as_deref().map(|os| format!(", OS {os}")).unwrap_or_default();
            let error = error
                .as_ref()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            format!("{}{os}{error}", recover::word(*outcome))
        }
        Body::RunContinued { step, .. } => format!("goes on with {step}"),
        Body::BoardGone { .. } => "the board is gone".to_owned(),
        _ => return None,
    };
    Some(format!("{slot}  {text}"))
}
