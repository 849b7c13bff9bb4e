//! `lineside records list|show|export|open`: looks into what is recorded.
//!
//! The journal is the truth; what is shown comes from a view that is brought up to date first and rebuilt when it is
//! missing. Looking is possible while another process writes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lineside_flow::interlock::{Earlier, Grant};
use lineside_flow::{Event, HandOutcome};
use lineside_records::{
    Disk, Head, IntentRecord, RealDisk, RecordsError, Replay, RunFilter, RunRecord, View, hand, write_claims,
    write_devices, write_runs,
};
use lineside_runner::store;
use lineside_terms::{DeviceId, Digest, Outcome, RunId};
use serde::Serialize;

use super::args::{Export, Global, RecordsCommand};
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::people::{self, People};
use super::trouble::Trouble;
use super::{backup, data, evidence};

pub(crate) fn run(global: &Global, command: &RecordsCommand, printer: &Printer) -> Result<Exit, Trouble> {
    if let RecordsCommand::CheckCertificate(args) = command {
        return evidence::check_certificate(args, printer);
    }
    if let RecordsCommand::Restore { backup: from } = command {
        return backup::restore(global, from, printer);
    }
    let folder = data::folder_to_read(global);
    take_in(global, &folder, printer)?;
    if !data::journal_folder(&folder).exists() {
        return Err(Trouble::usage(
            "records.no-journal",
            &format!("there are no records in {}", folder.display()),
            "Name the folder of a run with --data; `lineside run` prints it.",
        ));
    }
    match command {
        RecordsCommand::List {
            device,
            serial,
            outcome,
            limit,
        } => {
            let filter = RunFilter {
                device: device.map(|device| device.to_string()),
                serial: serial.clone(),
                outcome: outcome.as_deref().map(outcome_of).transpose()?,
                limit: Some(*limit),
                ..RunFilter::default()
            };
            list(&open_view(&folder)?, &People::of(&folder)?, &filter, printer)
        }
        RecordsCommand::Show { run } => show(&folder, run, printer),
        RecordsCommand::Export { what, product, group } => {
            let view = open_view(&folder)?;
            let mut out = Vec::new();
            match what {
                Export::Devices => write_devices(&view.devices()?, &mut out)?,
                Export::Claims => {
                    // A device that is not finished may yet fail, and cannot be unclaimed.
                    let devices = view.devices()?;
                    let finished = devices.iter().filter(|device| device.complete_run.is_some());
                    let name = |name: &Option<String>| name.clone().unwrap_or_default();
                    write_claims(finished, &name(product), &name(group), &mut out)?;
                }
                Export::Runs => _ = write_runs(&view, &RunFilter::default(), &mut out)?,
            }
            printer.raw(String::from_utf8_lossy(&out).trim_end());
            Ok(Exit::Good)
        }
        RecordsCommand::Hand { device, limit } => {
            let people = People::of(&folder)?;
            by_hand(&open_view(&folder)?, &people, device.as_ref(), *limit, printer)
        }
        RecordsCommand::Open => open(&open_view(&folder)?, printer),
        RecordsCommand::Verify(args) => evidence::verify(&folder, args, printer),
        RecordsCommand::Checkpoint(args) => evidence::checkpoint(&folder, args, printer),
        RecordsCommand::Certificate(args) => evidence::certificate(&folder, args, printer),
        RecordsCommand::Backup { dir } => backup::backup(&folder, dir, printer),
        RecordsCommand::Restore { backup: from } => backup::restore(global, from, printer),
        RecordsCommand::Coverage => backup::coverage(&folder, printer),
        RecordsCommand::Operators(command) => people::operators(&folder, command, printer),
        RecordsCommand::CheckCertificate(args) => evidence::check_certificate(args, printer),
    }
}

/// Every event of a data folder, one by one: there may be more than the memory holds.
pub(crate) fn history(folder: &Path) -> Result<impl Iterator<Item = Result<Event, Trouble>>, Trouble> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::read_only(&data::journal_folder(folder))?);
    let stored = Replay::of(disk, Head::ORIGIN)?;
    Ok(stored.map(|stored| Ok(stored?.event)))
}

/// The view of a data folder, up to date.
pub(crate) fn open_view(folder: &Path) -> Result<View, Trouble> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::read_only(&data::journal_folder(folder))?);
    let mut view = View::open(&data::view_file(folder))?;
    view.catch_up(&disk)?;
    Ok(view)
}

/// What was written by hand while nobody had the journal belongs into the records before they are looked at.
fn take_in(global: &Global, folder: &Path, printer: &Printer) -> Result<(), Trouble> {
    if !hand::is_pending(folder)? {
        return Ok(());
    }
    let opened = match store::open(folder, global.station.clone()) {
        Err(RecordsError::OtherStation { found, .. }) => store::open(folder, found),
        opened => opened,
    };
    match opened {
        Ok(_) => Ok(()),
        Err(error @ RecordsError::Locked { .. }) => {
            printer.note(&format!(
                "note: what was written by hand is not in these records yet: {error}"
            ));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// What this station has proven of devices before it finished them. Without records there is nothing.
pub(crate) fn proofs(global: &Global) -> BTreeMap<DeviceId, Earlier> {
    let folder = data::folder_to_read(global);
    if !data::journal_folder(&folder).exists() {
        return BTreeMap::new();
    }
    let Ok(view) = open_view(&folder) else {
        return BTreeMap::new();
    };
    // What was written by hand and is not in the journal yet counts all the same.
    let Ok(undone) = hand::undone(&folder) else {
        return BTreeMap::new();
    };
    let finished = view.devices().unwrap_or_default().into_iter();
    finished
        .filter(|device| !undone.contains(&device.device))
        .filter_map(|device| Some((device.device, device.complete_run?)))
        .filter_map(|(device, run)| {
            let finished = view.run(&run).ok()?;
            if finished.summary.undone.is_some() {
                return None;
            }
            let proven = finished
                .judgements
                .into_iter()
                .rfind(|judgement| judgement.outcome == Outcome::Pass)?;
            Some((
                device,
                Earlier {
                    device,
                    run,
                    checks: proven.checks,
                },
            ))
        })
        .collect()
}

fn outcome_of(word: &str) -> Result<Outcome, Trouble> {
    serde_json::from_value(serde_json::Value::from(word)).map_err(|_| {
        Trouble::usage(
            "records.no-outcome",
            &format!("`{}` is no outcome", word.escape_default()),
            "Outcomes are pass, marginal, skipped, fail, error, unknown.",
        )
    })
}

fn word_of(outcome: Option<Outcome>) -> (String, Tone) {
    match outcome {
        None => ("open".to_owned(), Tone::Unclear),
        Some(outcome) if outcome.is_good() => (outcome.to_string(), Tone::Good),
        Some(Outcome::Unknown) => ("unknown".to_owned(), Tone::Unclear),
        Some(outcome) => (outcome.to_string(), Tone::Bad),
    }
}

/// One object of `--json`.
#[derive(Serialize)]
pub(crate) struct Object<'a, T: Serialize> {
    pub(crate) version: u32,
    pub(crate) kind: &'static str,
    #[serde(flatten)]
    pub(crate) content: &'a T,
}

fn list(view: &View, people: &People, filter: &RunFilter, printer: &Printer) -> Result<Exit, Trouble> {
    let runs = view.runs(filter)?;
    for run in &runs {
        printer.object(&Object {
            version: 1,
            kind: "run",
            content: run,
        });
    }
    // Where nobody says who works, there is no column for it.
    let says_who = runs.iter().any(|run| run.operator.is_some());
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let error = run
                .error
                .as_ref()
                .map(|error| error.code.clone())
                .unwrap_or_default();
            let mut row = vec![
                (run.run.to_string(), Tone::Faint),
                (run.started.clone(), Tone::Plain),
                (run.serial.to_string(), Tone::Plain),
                (run.device.short(), Tone::Plain),
                word_of(run.outcome),
                (error, Tone::Plain),
            ];
            if says_who {
                let who = run.operator.as_ref().map(|id| people.who(id));
                row.push((who.unwrap_or_else(|| "-".to_owned()), Tone::Plain));
            }
            row
        })
        .collect();
    if rows.is_empty() {
        printer.note("no run is recorded that fits");
    } else {
        let heads = ["run", "began", "serial", "device", "outcome", "error", "who"];
        let shown = if says_who { heads.len() } else { heads.len() - 1 };
        printer.result(&table(&heads[..shown], &rows));
    }
    for intent in view.unresolved_intents()? {
        printer.note(&format!(
            "{} {}",
            Tone::Unclear.paint("open:"),
            what_is_open(&intent)
        ));
    }
    Ok(Exit::Good)
}

/// Lists what was written by hand.
fn by_hand(
    view: &View,
    people: &People,
    device: Option<&DeviceId>,
    limit: u32,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let mut rows = Vec::new();
    for write in view.hand_writes(device, limit)? {
        printer.object(&Object {
            version: 1,
            kind: "hand-write-record",
            content: &write,
        });
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let (word, tone) = match write.outcome {
            HandOutcome::Done => ("done", Tone::Plain),
            HandOutcome::Refused => ("refused", Tone::Faint),
            HandOutcome::Unclear => ("unclear", Tone::Unclear),
        };
        rows.push(vec![
            (write.at.clone(), Tone::Plain),
            (
                or_none(write.operator.as_ref().map(|id| people.who(id))),
                Tone::Plain,
            ),
            (or_none(write.slot.as_ref().map(ToString::to_string)), Tone::Plain),
            (write.device.short(), Tone::Plain),
            (write.verb.clone(), Tone::Plain),
            (word.to_owned(), tone),
            (or_none(write.error.map(|error| error.code)), Tone::Plain),
        ]);
    }
    if rows.is_empty() {
        printer.note("nothing was written by hand");
    } else {
        let heads = ["when", "who", "slot", "device", "what", "outcome", "error"];
        printer.result(&table(&heads, &rows));
    }
    Ok(Exit::Good)
}

/// Lists what nobody knows yet.
fn open(view: &View, printer: &Printer) -> Result<Exit, Trouble> {
    let intents = view.unresolved_intents()?;
    let mut rows = Vec::new();
    for intent in &intents {
        printer.object(&Object {
            version: 1,
            kind: "open-intent",
            content: intent,
        });
        let slot = intent
            .slot
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string);
        rows.push(vec![
            (intent.key.device.short(), Tone::Plain),
            (intent.at.clone(), Tone::Plain),
            (slot, Tone::Plain),
            (intent.run.short(), Tone::Faint),
            (what_is_open(intent), Tone::Unclear),
        ]);
    }
    if rows.is_empty() {
        printer.result("nothing is open");
        return Ok(Exit::Good);
    }
    printer.result(&table(
        &["device", "since", "slot", "run", "what is not known"],
        &rows,
    ));
    Ok(Exit::NotGood)
}

/// What is not known, and what resolves it.
fn what_is_open(intent: &IntentRecord) -> String {
    let (device, target) = (intent.key.device.short(), intent.key.target);
    if intent.verdict.is_some() {
        format!("whether device {device} became {target} stayed unclear after a look: a person decides")
    } else {
        format!("whether device {device} became {target} is not known: attach it again and run the plan")
    }
}

fn find(view: &View, name: &str) -> Result<RunId, Trouble> {
    let unknown = || {
        Trouble::usage(
            "records.no-run",
            &format!("no run is called `{}`", name.escape_default()),
            "`lineside records list` shows run ids and serials.",
        )
    };
    if let Ok(serial) = name.parse() {
        let filter = RunFilter {
            serial: Some(serial),
            limit: Some(1),
            ..RunFilter::default()
        };
        if let Some(run) = view.runs(&filter)?.first() {
            return Ok(run.run);
        }
    }
    match view.runs_beginning(name)?.as_slice() {
        [run] => Ok(*run),
        [] => Err(unknown()),
        _ => Err(Trouble::usage(
            "records.which-run",
            &format!("several runs begin with `{}`", name.escape_default()),
            "Give more of the run id.",
        )),
    }
}

/// A run, and what is known of it beside the view.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    run: RunRecord,
    /// The bundle that its plan came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<Digest>,
    /// The approvals that its irreversible steps spent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approvals: Vec<Grant>,
}

fn show(folder: &Path, name: &str, printer: &Printer) -> Result<Exit, Trouble> {
    let view = open_view(folder)?;
    let run: RunRecord = view.run(&find(&view, name)?)?;
    let bundle = view.bundle_of(&run.summary.run)?;
    let approvals = view.approvals_of(&run.summary.run)?;
    let shown = Shown {
        run,
        bundle,
        approvals,
    };
    printer.object(&Object {
        version: 1,
        kind: "run",
        content: &shown,
    });
    let run = &shown.run;
    let about = &run.summary;
    let (word, tone) = word_of(about.outcome);
    printer.result(&format!("run      {}", about.run));
    printer.result(&format!("device   {}", about.device));
    printer.result(&format!("unit     {}, attempt {}", about.serial, about.attempt));
    printer.result(&format!(
        "plan     {} ({})",
        about.plan.short(),
        about.product.as_deref().unwrap_or("-")
    ));
    if let Some(bundle) = bundle {
        printer.result(&format!("bundle   {bundle}"));
    }
    let people = People::of(folder)?;
    if let Some(operator) = &about.operator {
        printer.result(&format!("operator {}", people.who(operator)));
    }
    for grant in &shown.approvals {
        let (role, who) = (&grant.role, people.who(&grant.by));
        printer.result(&format!("approved {who}, {role}: {}", grant.why));
    }
    printer.result(&format!(
        "began    {}, ended {}",
        about.started,
        about.ended.as_deref().unwrap_or("not yet")
    ));
    printer.result(&format!("outcome  {}", tone.paint(&word)));
    if let Some(at) = &about.undone {
        printer.result(&format!(
            "undone   {at}: the device's software or settings were changed since"
        ));
    }
    if let Some(error) = &about.error {
        printer.result(&format!("error    {error}\nremedy   {}", error.help));
    }
    let rows: Vec<_> = run
        .steps
        .iter()
        .map(|step| {
            let measured = step.measurements.iter().map(|m| {
                let value = m
                    .value
                    .map_or_else(|| "no number".to_owned(), |value| value.to_string());
                format!("{} {value} {} {}", m.name, m.unit, m.outcome)
            });
            let said = step
                .error
                .as_ref()
                .map(ToString::to_string)
                .or_else(|| step.note.clone());
            let said: Vec<String> = measured.chain(said).collect();
            vec![
                (step.step.to_string(), Tone::Plain),
                (step.attempt.to_string(), Tone::Plain),
                word_of(step.outcome),
                (said.join("; "), Tone::Plain),
            ]
        })
        .collect();
    printer.result(&table(&["step", "try", "outcome", "said"], &rows));
    for intent in &run.intents {
        let verdict = intent
            .verdict
            .map_or_else(|| "not known yet".to_owned(), |v| format!("{v:?}").to_lowercase());
        printer.result(&format!("intent   {}: {verdict}", intent.key));
    }
    Ok(Exit::Good)
}
