//! `device manufacturing-state update`: the only way by hand, and it is the same door as a plan's (design 6). The door is
//! `runner`'s; here it is asked for, confirmed and shown.

use std::cell::RefCell;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use lineside_device::Entropy;
use lineside_flow::interlock::Protected;
use lineside_link::BoardInfo;
use lineside_runner::manual::{self, Change, DIGITS, Door, End, ManualError};
use lineside_runner::policy::{self, StateChange};
use lineside_runner::survey::{Survey, look};
use lineside_runner::{Cancel, Keeper, Notice};
use lineside_terms::{DeviceId, SlotPath, Told};
use serde::Serialize;

use super::super::args::Global;
use super::super::bench::OpenBench;
use super::super::evidence;
use super::super::exit::Exit;
use super::super::live::Live;
use super::super::output::{Printer, Tone};
use super::super::slots::Names;
use super::super::trouble::Trouble;
use super::super::{approve, data, run, station};
use super::args::Update;

/// What the station's policy says, if it allows anything at all.
pub(super) fn policy(global: &Global, update: &Update) -> Result<StateChange, Trouble> {
    let folder = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    let policy = match manual::allowed(&StateChange::Vendor, update.state) {
        Ok(()) => policy::state_change(&folder)?,
        Err(error) => return Err(error.into()),
    };
    manual::allowed(&policy, update.state)?;
    Ok(policy)
}

/// What is wanted of one device, and what stands around it.
pub(super) struct Wanted<'a> {
    pub(super) update: &'a Update,
    pub(super) policy: &'a StateChange,
    pub(super) survey: Survey,
    pub(super) protected: &'a Protected,
}

/// The last object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    device: DeviceId,
    is_good: bool,
    /// Nothing was sent: it had been there before.
    is_already: bool,
    /// Nobody looked whether it is ready.
    is_unproven: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

/// Takes the one device through the door.
pub(super) async fn finish(
    global: &Global,
    wanted: Wanted<'_>,
    bench: OpenBench,
    boards: Vec<BoardInfo>,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let Wanted {
        update,
        policy,
        survey,
        protected,
    } = wanted;
    let door = Door::open(policy, update.state, &bench.trust, bench.supplies.as_ref())?;
    let [board] = &boards[..] else {
        return Err(Trouble::new(
            Exit::Refused,
            lineside_terms::Blame::Station,
            "device.not-for-all",
            "what cannot be undone is done to one device at a time",
            "Name one device with --slot or --id.",
        ));
    };
    let board = board.clone();
    let slot = board.slot.clone();
    let mut found = look(&bench.bench, &bench.clock, boards, &survey).await;
    let facts = found.remove(0).facts.map_err(|told| Trouble {
        told,
        exit: Exit::NotGood,
    })?;
    let device = facts.device;
    protected.check(&device).map_err(ManualError::Protected)?;
    let shift = manual::shift(&update.who, &update.why);
    let banner = door.banner(&slot, &device, &update.who, &update.why);
    let is_unproven = door.is_unproven();
    match &update.confirm {
        Some(typed) => manual::confirm(&device, &slot, typed)?,
        None => {
            printer.note(&banner);
            manual::confirm(&device, &slot, &typed())?;
        }
    }
    if update.confirm.is_some() {
        printer.note(&banner);
    }
    let folder = data::folder_for_run(global);
    let (journal, history) = data::open_journal(&folder, global, printer)?;
    if door.needs_approval() {
        approve::check(&history)?;
    }
    printer.note(&format!("records: {}", folder.display()));
    let place = station::place(global, &bench, shift)?;
    let names = Names::of_station(global);
    let mut keeper = Keeper::start(journal)?;
    let cancel = Cancel::default();
    station::stop_on_ctrl_c(&cancel, *printer, run::STOPPING);
    let live = RefCell::new(Live::new(*printer, names.clone(), false));
    let mut pace = evidence::Pace::new(&folder);
    let change = Change {
        door,
        board,
        device,
        serial: update.serial.clone(),
        protected: protected.clone(),
        entropy: Entropy::System,
    };
    let done = manual::change(place, change, history, &mut keeper, &cancel, |news| match news {
        Notice::Durable(events) => {
            pace.durable(events, printer);
            for event in events {
                printer.object(event);
                live.borrow_mut().event(event);
            }
        }
        Notice::Picture(picture) => live.borrow_mut().picture(picture),
        Notice::Progress(slot, progress) => live.borrow_mut().progress(slot, progress),
        Notice::Store(error) => run::tell_store(error, printer),
        Notice::Gate(_) => {}
    })
    .await?;
    live.borrow_mut().end();
    if is_unproven {
        let error = match &done.end {
            End::Not(error) => Some(error),
            End::Brought | End::Already => None,
        };
        printer.object(&Object {
            version: 1,
            kind: "state-changed",
            slot: &slot,
            device,
            is_good: done.end.is_good(),
            is_already: done.end == End::Already,
            is_unproven,
            error,
        });
        let (device, to) = (device.short(), update.state);
        match &done.end {
            End::Brought => printer.result(&Tone::Good.paint(&format!("device {device} is {to}, unproven"))),
            End::Already => printer.result(&format!("device {device} was {to} already: nothing was sent")),
            // The journal's own trouble is told at the end.
            End::Not(error) if done.summary.store_error.is_none() => printer.told(error),
            End::Not(_) => {}
        }
    } else {
        run::show(&done.summary, &names, printer);
    }
    let end = station::End {
        is_good: done.end.is_good(),
        is_cancelled: done.summary.is_cancelled && !done.end.is_good(),
        store_error: done.summary.store_error.as_ref(),
    };
    Ok(station::close(keeper, &folder, &end, printer))
}

/// What a person types who was asked for the end of the id; nothing where nobody can be asked.
fn typed() -> String {
    let mut line = String::new();
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        let mut screen = std::io::stderr().lock();
        _ = write!(screen, "the last {DIGITS} digits of the device's id: ");
        _ = screen.flush();
        _ = std::io::stdin().lock().read_line(&mut line);
    }
    line
}
