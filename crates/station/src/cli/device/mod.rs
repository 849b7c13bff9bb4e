//! `lineside device …`: what an engineer does by hand, on one device or, where nothing is changed, on all.
//!
//! Every verb goes over a connection that has proven which device answers. What is sent to a device that is protected,
//! is not the one that was named, or was not named although several are there, is nothing.

mod args;
mod finish;
mod hand;
mod show;
mod task;
mod verbs;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use futures::future::{FutureExt as _, join_all};
use lineside_device::{Scope, Session, SessionConfig, Timeouts, boot};
use lineside_flow::interlock::Protected;
use lineside_link::{BoardInfo, Port};
use lineside_protocol::rest::Secret;
use lineside_records::hand::{self as notes, HandWrite};
use lineside_runner::survey::{Survey, look};
use lineside_runner::{UnitFault, WallClock, by_hand};
use lineside_terms::{Blame, DeviceId, Effect, Epoch, SlotPath, Told};
use serde::Serialize;
use serde_json::Value;

use super::args::Global;
use super::bench::{self, OpenBench};
use super::exit::Exit;
use super::output::{Printer, Tone};
use super::slots::Names;
use super::trouble::Trouble;
use super::{choose, data, identify, on_host_thread};
pub(crate) use args::DeviceArgs;
use args::{Target, Verb};
use hand::{Hand, told};
use task::{Asked, Task};

/// Who has leased a board, for others.
const HOLDER: &str = "lineside device";

pub(crate) fn run(global: &Global, args: &DeviceArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let (target, verb) = (&args.target, &args.verb);
    if let Verb::Identify { via_console: true } = verb {
        return via_console(global, target, printer);
    }
    let effect = task::effect(verb);
    if target.all && (effect != Effect::Reads || task::out(verb).is_some()) {
        return Err(Trouble::usage(
            "device.not-for-all",
            &format!("{} is not done to all devices at once", task::operation(verb)),
            "Name one device with --slot or --id; a plan takes many through the same steps.",
        ));
    }
    let asked = task::prepare(verb)?;
    let capability = target.capability.as_deref().map(capability).transpose()?;
    let protected = protected(global, target)?;
    // What a change of state needs besides is read before any device is asked, as well.
    let asked = match asked {
        Asked::Task(task) => Ok(task),
        Asked::Update(update) => Err((update, finish::policy(global, update)?)),
    };
    let names = Names::of_station(global);
    on_host_thread(async {
        let bench = bench::open(&global.bench).await?;
        let boards = boards(global, &bench, target).await?;
        if task::out(verb).is_some() && boards.len() > 1 {
            return Err(Trouble::usage(
                "device.not-for-all",
                "one file cannot take the answers of several devices",
                "Name one device with --slot or --id.",
            ));
        }
        let task = match &asked {
            Ok(task) => task,
            Err((update, policy)) => {
                let wanted = finish::Wanted {
                    update,
                    policy,
                    survey: survey(&bench, target),
                    protected: &protected,
                };
                let boards = boards.into_iter().map(|meant| meant.board).collect();
                return finish::finish(global, wanted, bench, boards, printer).await;
            }
        };
        let work = Work {
            bench: &bench,
            session: session(&bench, target, capability.as_ref()),
            patience: Duration::from_secs(target.timeout),
            granted_to: capability.as_ref().map(|(_, device)| *device),
            protected: (effect != Effect::Reads).then_some(&protected),
            verb,
            task,
            notes: (effect != Effect::Reads)
                .then(|| data::folder_of_notes(global))
                .flatten(),
            printer,
        };
        let done = {
            // Boxed, or all of it would be in the program twice: for few boards and for many.
            let all = boards.into_iter().map(|board| work.on(board).boxed_local());
            join_all(all).await
        };
        Ok(report(&done, verb, &names, printer))
    })?
}

/// The one verb that needs no connection, and with it nothing that a connection needs.
fn via_console(global: &Global, target: &Target, printer: &Printer) -> Result<Exit, Trouble> {
    if !target.id.is_empty() {
        return Err(Trouble::usage(
            "device.slot-only",
            "who a device is can only be asked by its slot",
            "Name boards with --slot, or take all of them with --all.",
        ));
    }
    let patience = Duration::from_secs(target.timeout);
    identify::run(global, &target.slot, &target.ip, target.all, patience, printer)
}

/// A capability file, ready to go with requests, and the device that it is for.
fn capability(path: &Path) -> Result<(Secret, DeviceId), Trouble> {
    let bytes = task::bytes(path, "the capability file")?;
    by_hand::capability(&bytes).map_err(|told| Trouble {
        told: Told {
            message: format!("{} is no capability file: {}", path.display(), told.message),
            ..told
        },
        exit: Exit::Refused,
    })
}

/// The devices that nobody may write to. A list that cannot be read protects nobody, so it stops everything.
fn protected(global: &Global, target: &Target) -> Result<Protected, Trouble> {
    let data = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    Ok(by_hand::protected(target.protected.as_deref(), &data)?)
}

fn session(bench: &OpenBench, target: &Target, capability: Option<&(Secret, DeviceId)>) -> SessionConfig {
    let wall_ms = WallClock::of_system(bench.clock.clone()).stamp().wall_ms;
    let patience = Duration::from_secs(target.timeout);
    let usual = Timeouts::default();
    SessionConfig {
        capability: capability.map(|(file, _)| file.clone()),
        timeouts: Timeouts {
            stall: usual.stall.min(patience),
            ..usual
        },
        ..bench.session(wall_ms)
    }
}

/// How it is found out who is there.
fn survey(bench: &OpenBench, target: &Target) -> Survey {
    Survey {
        session: session(bench, target, None),
        scope: Scope::OPEN,
        patience: Duration::from_secs(target.timeout),
        holder: HOLDER.to_owned(),
    }
}

/// The boards that are meant. Several attached and none named is not a choice.
async fn boards(global: &Global, bench: &OpenBench, target: &Target) -> Result<Vec<Meant>, Trouble> {
    let all = bench.bench.list().await?;
    let slots = choose::slots(global, &all, &target.slot, &target.ip)?;
    if target.id.is_empty() {
        let boards = choose::boards(all, &slots, target.all, "Name one with --slot, --id or --ip.")?;
        let meant = |board| Meant { board, device: None };
        return Ok(boards.into_iter().map(meant).collect());
    }
    let found = look(&bench.bench, &bench.clock, all, &survey(bench, target)).await;
    let mut meant: Vec<Meant> = Vec::new();
    for id in &target.id {
        let wanted = id.to_ascii_lowercase();
        let is_meant = |device: &DeviceId| {
            let device = device.to_string();
            device.starts_with(&wanted) || device.ends_with(&wanted)
        };
        let mut same = found
            .iter()
            .filter(|found| found.facts.as_ref().is_ok_and(|facts| is_meant(&facts.device)));
        match (same.next(), same.next()) {
            (Some(found), None) => {
                if !meant.iter().any(|meant| meant.board.slot == found.board.slot) {
                    meant.push(Meant {
                        board: found.board.clone(),
                        device: found.facts.as_ref().ok().map(|facts| facts.device),
                    });
                }
            }
            (None, _) => {
                return Err(Trouble::new(
                    Exit::NotGood,
                    Blame::Board,
                    "device.no-such-device",
                    &format!("no device that answers has the id `{}`", id.escape_default()),
                    "Run `lineside devices --verbose` to see who is there.",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Trouble::usage(
                    "device.which-device",
                    &format!("several devices have an id like `{}`", id.escape_default()),
                    "Give more of its digits.",
                ));
            }
        }
    }
    for found in found {
        let is_new = !meant.iter().any(|meant| meant.board.slot == found.board.slot);
        if is_new && slots.contains(&found.board.slot) {
            meant.push(Meant {
                board: found.board,
                device: None,
            });
        }
    }
    Ok(meant)
}

/// A board that is meant, and the device in it where that was named.
struct Meant {
    board: BoardInfo,
    device: Option<DeviceId>,
}

/// Everything that is the same for all boards of one command.
struct Work<'a> {
    bench: &'a OpenBench,
    session: SessionConfig,
    patience: Duration,
    granted_to: Option<DeviceId>,
    protected: Option<&'a Protected>,
    verb: &'a Verb,
    task: &'a Task<'a>,
    /// The data folder, where what is written is noted down first; `None` when nothing is, or nothing of it lasts.
    notes: Option<PathBuf>,
    printer: &'a Printer,
}

/// What came of it at one board.
struct Done {
    slot: SlotPath,
    device: Option<DeviceId>,
    answer: Result<Value, Told>,
}

impl Work<'_> {
    async fn on(&self, meant: Meant) -> Done {
        let mut device = None;
        let answer = self.attempt(&meant, &mut device).await;
        Done {
            slot: meant.board.slot,
            device,
            answer,
        }
    }

    async fn attempt(&self, meant: &Meant, device: &mut Option<DeviceId>) -> Result<Value, Told> {
        let of = |error: &dyn lineside_terms::Explain| Told::of(error);
        let bench = Rc::clone(&self.bench.bench);
        let mut leased = bench
            .lease(&meant.board.slot, HOLDER)
            .await
            .map_err(|error| of(&error))?;
        let wire = leased.open(Port::Service).map_err(|error| of(&error))?;
        let session = Session::new(wire, self.bench.clock.clone(), self.session.clone());
        let session = session.map_err(|error| of(&error))?;
        let verified = boot::wait_responsive(session, Epoch(0), None, self.patience).await;
        let mut hand = Hand::new(verified.map_err(|(_, error)| of(&error))?);
        *device = Some(hand.id());
        let answer = match self.check(&hand.id(), meant.device) {
            Ok(()) => self.perform(&mut hand, &meant.board.slot).await,
            Err(told) => Err(told),
        };
        hand.done().await;
        answer
    }

    /// Does it, with a note for the records that is on disk before anything is sent.
    async fn perform(&self, hand: &mut Hand, slot: &SlotPath) -> Result<Value, Told> {
        let Some(folder) = &self.notes else {
            return verbs::perform(hand, self.task).await;
        };
        let write = HandWrite {
            boot: data::boot_id().map_err(|trouble| trouble.told)?,
            at: WallClock::of_system(self.bench.clock.clone()).stamp(),
            operator: std::env::var("LINESIDE_OPERATOR")
                .ok()
                .filter(|name| !name.is_empty()),
            slot: slot.clone(),
            device: hand.id(),
            verb: task::words(self.verb).to_owned(),
            is_undoing: by_hand::undoes(task::operation(self.verb)),
        };
        let note = notes::begin(folder, &write).map_err(|error| {
            let told = Told::of(&error);
            let message = format!(
                "{}; nothing was sent, for it could not be noted down",
                told.message
            );
            Told { message, ..told }
        })?;
        let answer = verbs::perform(hand, self.task).await;
        let error = answer.as_ref().err();
        let outcome = by_hand::outcome_of(error, task::takes_many(self.verb));
        if let Err(error) = note.end(outcome, error) {
            let error = Told::of(&error);
            self.printer.note(&format!(
                "note: the records will say that it is unclear how this ended: {error}"
            ));
        }
        answer
    }

    /// What stands against doing it to this device.
    fn check(&self, device: &DeviceId, named: Option<DeviceId>) -> Result<(), Told> {
        // Between the look and now somebody may have put another board there.
        if let Some(expected) = named.filter(|named| named != device) {
            let found = *device;
            return Err(UnitFault::OtherDevice { expected, found }.into());
        }
        if let Some(protected) = self.protected {
            protected.check(device).map_err(|error| Told::of(&error))?;
        }
        match self.granted_to {
            Some(other) if other != *device => Err(told(
                "device.capability-for-another",
                format!("the capability file is for device {}", other.short()),
                "Fetch the file that was made for this device; nothing was sent.",
                Blame::Supply,
            )),
            _ => Ok(()),
        }
    }
}

/// One object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    /// What the fixture calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

/// Tells what came of it: one device plainly, several in one table.
fn report(all: &[Done], verb: &Verb, names: &Names, printer: &Printer) -> Exit {
    let operation = task::operation(verb).to_string();
    let mut table = Vec::new();
    for done in all {
        printer.object(&Object {
            version: 1,
            kind: "device-answer",
            slot: &done.slot,
            slot_name: names.of(&done.slot),
            device: done.device,
            operation: operation.clone(),
            answer: done.answer.as_ref().ok(),
            error: done.answer.as_ref().err(),
        });
        let Ok(answer) = &done.answer else { continue };
        let rows = show::rows(answer);
        if all.len() == 1 {
            printer.result(&show::lines(&rows));
            continue;
        }
        let device = done.device.map_or_else(String::new, |device| device.short());
        for row in rows {
            let mut line = vec![("slot".to_owned(), names.show(&done.slot))];
            line.push(("device".to_owned(), device.clone()));
            line.extend(row.into_iter().filter(|(name, _)| name != "device"));
            table.push(line);
        }
    }
    if !table.is_empty() {
        printer.result(&show::columns(&table));
    }
    let failed: Vec<(&Done, &Told)> = all
        .iter()
        .filter_map(|done| Some((done, done.answer.as_ref().err()?)))
        .collect();
    for (done, error) in &failed {
        let device = done
            .device
            .map_or_else(String::new, |device| format!(" ({})", device.short()));
        printer.note(&format!(
            "{} slot {}{device}: {}\n  code:   {}\n  blame:  {}\n  remedy: {}",
            Tone::Bad.paint("error:"),
            names.show(&done.slot),
            error.message,
            error.code,
            error.blame,
            error.help
        ));
    }
    if failed.is_empty() {
        Exit::Good
    } else {
        Exit::NotGood
    }
}
