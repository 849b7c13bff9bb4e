//! `lineside resume`: goes on with the batch that was under way when the program ended, however that was.
//!
//! What was ordered stands in the journal; plan and files are read again and must be what they were. What was open is
//! told before anything is done, and why it goes on as it does: by what a step does to a device. Then it is a run like
//! any other: the engine folds the same history, and the devices are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use lineside_flow::line::{OpenRun, Reached};
use lineside_flow::order::Order;
use lineside_flow::{Body, Event, Past, Shift};
use lineside_runner::{Program, RunnerError, Serials};
use lineside_terms::{Blame, DeviceId, Effect, RunId, SlotPath, Stamp, StepId, UnitSerial};
use serde::Serialize;

use super::args::{Global, ResumeArgs, RunArgs, Start};
use super::bench::BenchName;
use super::exit::Exit;
use super::output::Printer;
use super::slots::Names;
use super::trouble::Trouble;
use super::{bench, bundle, data, gate, on_host_thread, run};

pub(crate) fn run(global: &Global, args: &ResumeArgs, printer: &Printer) -> Result<Exit, Trouble> {
    on_host_thread(resume(global, args, printer))?
}

async fn resume(global: &Global, args: &ResumeArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let folder = data::folder_to_read(global);
    // Looking for a journal must not begin one.
    if !data::journal_folder(&folder).is_dir() {
        return Err(nothing(&format!("there are no records in {}", folder.display())));
    }
    let (journal, history) = data::open_journal(&folder, global, printer)?;
    let Some(found) = Found::in_history(history.since_order()) else {
        return Err(nothing("the records tell of no batch"));
    };
    let past = history.past().map_err(RunnerError::History)?;
    let mut global = global.clone();
    if !global.is_bench_named {
        global.bench = found.bench.parse().map_err(|why: String| {
            Trouble::usage(
                "resume.bench",
                &format!("bench {}: {why}", found.bench),
                "Name it with --bench.",
            )
        })?;
    }
    let names = Names::of_station(&global);
    let open = found.open(past, history.since_order())?;
    if matches!(global.bench, BenchName::Sim { .. }) {
        return Err(Trouble::usage(
            "resume.simulated",
            &format!(
                "the boards of {} ended with the program that simulated them",
                global.bench
            ),
            "Run the plan again. For boards that stay, run `lineside sim` in a process of its own and use --bench at:DIR.",
        ));
    }
    tell(&found, &open, &global.bench, &names, printer);

    if found.order.has_hook && args.hook.is_none() {
        return Err(Trouble::usage(
            "resume.hook",
            "the batch was begun with a program that is asked before each run",
            "Name it again with --hook. The journal does not keep which one: it must not say what is started.",
        ));
    }
    let source = bundle::plan_of(&global, Path::new(&found.order.named), printer)?;
    let opened = bench::open(&global.bench).await?;
    let program = Rc::new(Program::load(
        &source.path,
        &opened.trust,
        opened.supplies.as_ref(),
    )?);
    let is = program.recipe().plan;
    if is != found.order.plan {
        return Err(Trouble::new(
            Exit::Refused,
            Blame::Plan,
            "resume.plan-changed",
            &format!(
                "{} is no longer the plan that the batch was begun with: it was {}, with all that it refers to, and is {}",
                shown(&found.order.named),
                found.order.plan.short(),
                is.short()
            ),
            "Put the plan and its files back as they were and resume. Or begin anew with `lineside run`: units that are \
             under way start again from the beginning with the new plan, but for what is irreversible.",
        ));
    }
    let run_args = found.run_args(args);
    let order = Order {
        bundle: source.bundle,
        resumes: Some(found.base),
        ..found.order.clone()
    };
    let work = run::Work {
        program: Rc::clone(&program),
        serials: Serials {
            by_slot: found.serials.clone(),
            count: 0,
            rest: found.order.rest.clone(),
        },
        expected: found
            .expected
            .or((!run_args.continuous).then_some(found.order.units)),
        shift: Shift {
            operator: args.operator.clone(),
            shift: args.shift.clone(),
            work_order: args.work_order.clone().or(found.work_order.clone()),
        },
        only: found.only,
        gate: gate::of(&global, &run_args, &names, program.plan())?,
        folder,
    };
    let begun = run::Begun {
        journal,
        history,
        order: Some(order),
        disk_patience: Duration::from_secs(args.disk_patience),
        approval_patience: Duration::from_secs(args.approval_patience),
    };
    run::on_journal(&global, opened, work, begun, printer).await
}

/// The batch that was ordered last.
struct Found {
    /// The event of the first order that all later ones go on with.
    base: u64,
    began: Stamp,
    order: Order,
    bench: String,
    serials: BTreeMap<SlotPath, UnitSerial>,
    expected: Option<u32>,
    only: Option<DeviceId>,
    work_order: Option<String>,
    /// Somebody asked it to stop.
    is_stopped: bool,
}

impl Found {
    fn in_history(history: &[Event]) -> Option<Self> {
        let (last, order) = history.iter().rev().find_map(|event| match &event.body {
            Body::Ordered { order } => Some((event, order)),
            _ => None,
        })?;
        let base = order.resumes.unwrap_or(last.sequence);
        let began = history
            .iter()
            .find(|event| event.sequence == base)
            .unwrap_or(last);
        let mut found = Self {
            base,
            began: began.at,
            order: (**order).clone(),
            bench: String::new(),
            serials: BTreeMap::new(),
            expected: None,
            only: None,
            work_order: last.work_order.clone(),
            is_stopped: false,
        };
        for event in history.iter().filter(|event| event.boot == last.boot) {
            match &event.body {
                Body::StationStarted { bench, .. } => found.bench.clone_from(bench),
                Body::BatchStarted {
                    serials,
                    expected,
                    only,
                    ..
                } => {
                    found.serials.clone_from(serials);
                    (found.expected, found.only) = (*expected, *only);
                }
                Body::CancelAsked => found.is_stopped = true,
                _ => {}
            }
        }
        Some(found)
    }

    /// What is open of it, or that nothing is.
    fn open(&self, past: &Past, history: &[Event]) -> Result<Open, Trouble> {
        let since = || history.iter().filter(|event| event.sequence > self.base);
        let begun: BTreeSet<DeviceId> = since()
            .filter(|event| {
                matches!(
                    event.body,
                    Body::RunStarted { .. }
                        | Body::RunContinued { .. }
                        | Body::AlreadyComplete { .. }
                        | Body::Held { .. }
                )
            })
            .filter_map(|event| event.device)
            .collect();
        let runs = past.open_runs();
        let erased: Vec<DeviceId> = past
            .needing_recovery()
            .filter(|device| runs.iter().all(|run| run.device != **device))
            .copied()
            .collect();
        let is_over = match self.order.continuous {
            Some(_) => self.is_stopped,
            None => begun.len() >= self.order.units as usize,
        };
        if is_over && runs.is_empty() && erased.is_empty() && past.unresolved().next().is_none() {
            let passed = |event: &&Event| match event.body {
                Body::RunEnded { outcome, .. } => outcome.is_good(),
                Body::AlreadyComplete { .. } => true,
                _ => false,
            };
            let passed: BTreeSet<_> = since().filter(passed).filter_map(|event| event.device).collect();
            return Err(nothing(&format!(
                "the batch of {} came to its end: {} of {} units passed",
                shown(&self.order.named),
                passed.len(),
                self.order
                    .units
                    .max(u32::try_from(begun.len()).unwrap_or(u32::MAX)),
            )));
        }
        Ok(Open {
            runs,
            erased,
            begun: begun.len(),
        })
    }

    /// The arguments of `run` that say the same.
    fn run_args(&self, args: &ResumeArgs) -> RunArgs {
        let continuous = self.order.continuous.as_ref();
        let start = match continuous {
            Some(continuous) if continuous.scans => Start::Scan,
            Some(continuous) if continuous.keys => Start::Key,
            _ => Start::Attach,
        };
        RunArgs {
            plan: PathBuf::from(&self.order.named),
            serials: None,
            expect: None,
            operator: args.operator.clone(),
            shift: args.shift.clone(),
            work_order: args.work_order.clone().or(self.work_order.clone()),
            continuous: continuous.is_some(),
            start,
            stable: continuous.map_or(0, |continuous| continuous.stable_s),
            stop_after: continuous.map_or(0, |continuous| continuous.stop_after),
            hook: args.hook.clone(),
            hook_timeout: args.hook_timeout,
            disk_patience: args.disk_patience,
            approval_patience: args.approval_patience,
        }
    }
}

struct Open {
    runs: Vec<OpenRun>,
    /// Devices without an open run that work again only after a recovery.
    erased: Vec<DeviceId>,
    begun: usize,
}

/// One object of `--json`: a run that is open, and how it goes on.
#[derive(Serialize)]
struct OpenUnit<'a> {
    version: u32,
    kind: &'static str,
    run: RunId,
    serial: &'a UnitSerial,
    device: DeviceId,
    slot: &'a SlotPath,
    /// What was found.
    found: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a StepId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    /// What is done, and why.
    why: &'a str,
}

/// Says what was found, and why it goes on as it does.
fn tell(found: &Found, open: &Open, bench: &BenchName, names: &Names, printer: &Printer) {
    let began = jiff::Timestamp::from_millisecond(found.began.wall_ms)
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default();
    printer.note(&format!(
        "found: the batch of {} (plan {}) on bench {bench}, begun {began}",
        shown(&found.order.named),
        found.order.plan.short(),
    ));
    for run in &open.runs {
        let (word, step, effect) = match &run.at {
            Reached::Intended { step, .. } => ("intended", Some(step), Some(Effect::Irreversible)),
            Reached::Within { step, effect } => ("within", Some(step), Some(*effect)),
            Reached::Before { step } => ("before", Some(step), None),
            Reached::Done => ("done", None, None),
        };
        let why = why(&run.at);
        printer.object(&OpenUnit {
            version: 1,
            kind: "open-unit",
            run: run.run,
            serial: &run.serial,
            device: run.device,
            slot: &run.slot,
            found: word,
            step,
            effect,
            why: &why,
        });
        let other = if run.plan == found.order.plan {
            ""
        } else {
            " (it began with another plan, so it starts again from the beginning)"
        };
        printer.note(&format!(
            "{}  unit {}, device {}: {why}{other}",
            names.show(&run.slot),
            run.serial,
            run.device.short(),
        ));
    }
    for device in &open.erased {
        printer.note(&format!(
            "device {}: its OS was being written; it works again only after a recovery, by a step of the plan that \
             does it or by `lineside recover`",
            device.short()
        ));
    }
    if found.order.continuous.is_none() {
        let left = (found.order.units as usize).saturating_sub(open.begun);
        let left = if left == 0 {
            "all were begun".to_owned()
        } else {
            format!("{left} not begun")
        };
        printer.note(&format!("of {} units {left}", found.order.units));
    }
}

fn why(at: &Reached) -> String {
    match at {
        Reached::Intended {
            step,
            target,
            is_unclear: false,
        } => format!(
            "{step} was about to make it {target}, and nobody knows whether it did: the device is asked, and nothing is \
             sent again unless it shows that nothing was done"
        ),
        Reached::Intended {
            step,
            target,
            is_unclear: true,
        } => format!(
            "{step} was to make it {target}, and a look did not say whether it did: nothing is sent, a person decides"
        ),
        Reached::Within { step, effect } => match effect {
            Effect::Reads => format!("{step} had begun; it only reads, so it is done again"),
            Effect::Repeatable => {
                format!("{step} had begun; doing it twice does no harm, so it is done again")
            }
            Effect::LookFirst => {
                format!("{step} had begun; the device is looked at first, which decides what is done")
            }
            Effect::Irreversible => format!(
                "{step} had begun, and nothing irreversible was intended yet: the device is proven anew before anything is"
            ),
        },
        Reached::Before { step } => format!("nothing was under way: goes on with {step}"),
        Reached::Done => {
            "every step passed, only that it ended was not recorded: the device is looked at".to_owned()
        }
    }
}

/// A plan as people know it: within the folder that they are in, if it is there.
fn shown(named: &str) -> String {
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| Path::new(named).strip_prefix(here).ok().map(Path::to_owned));
    short.map_or_else(
        || named.to_owned(),
        |short| {
            let parts: Vec<_> = short.iter().map(|part| part.to_string_lossy()).collect();
            parts.join("/")
        },
    )
}

fn nothing(why: &str) -> Trouble {
    Trouble::usage(
        "resume.nothing",
        &format!("there is nothing to resume: {why}"),
        "Begin a batch with `lineside run`; it also takes units again that failed. Check --data if you expected one.",
    )
}
