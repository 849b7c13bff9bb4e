//! `lineside slots cables`: is every recovery cable at the device of its own slot?

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lineside_runner::cables::{self, Cables, CablesError, Finding, Socket};
use lineside_runner::{WallClock, by_hand};
use lineside_terms::{Blame, DeviceId, SlotPath, Told};
use serde::Serialize;

use super::args::Global;
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::slots::Names;
use super::trouble::Trouble;
use super::{bench, choose, on_host_thread};

/// Arguments of `slots cables`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each chip is reset by the line of its slot, one after the other, while all attached boards are listened
to: what runs on them runs anew, and nothing is written. Boards that somebody works with, and
devices that are protected, stop it before anything is reset.

Exit codes: 0 every cable is right; 1 one is not, or a board is in use; 2 the command line is wrong;
3 the station is in trouble; 4 a protected device is attached.

Examples:
  lineside slots cables
  lineside slots cables --slot A1 --slot A2 --json"
)]
pub(crate) struct CablesArgs {
    /// Try the lines of this slot only; may be repeated [default: all that hold a board]
    #[arg(long, value_name = "SLOT")]
    slot: Vec<SlotPath>,
    /// Devices that nobody may reset by mistake [default: protected.txt in the data folder, if it is there]
    #[arg(long, value_name = "FILE", env = "LINESIDE_PROTECTED")]
    protected: Option<PathBuf>,
    /// Seconds to wait for a device to answer, to speak after its reset, and to come back
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
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
    /// Who answers over the service cable.
    service: Option<DeviceId>,
    /// Who spoke on the recovery cable.
    recovery: Option<DeviceId>,
    /// Over whose service cables a reset was seen.
    reset: &'a [SlotPath],
    finding: &'a Finding,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

pub(crate) fn run(global: &Global, args: &CablesArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let data = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    let protected = by_hand::protected(args.protected.as_deref(), &data)?;
    on_host_thread(async {
        let bench = bench::open(&global.bench).await?;
        let names = Names::of_station(global);
        let all = bench.bench.list().await?;
        let slots = choose::slots(global, &all, &args.slot, &[])?;
        // Those that are named must be there; all are listened to.
        let meant = choose::boards(all.clone(), &slots, true, "")?;
        let patience = Duration::from_secs(args.timeout);
        let mut session = bench.session(WallClock::of_system(bench.clock.clone()).stamp().wall_ms);
        session.timeouts.stall = session.timeouts.stall.min(patience);
        let how = Cables {
            session,
            patience,
            holder: "lineside slots cables".to_owned(),
        };
        let wanted = |slot: &SlotPath| meant.iter().any(|board| board.slot == *slot);
        let tell = |socket: &Socket| object(socket, &names, printer);
        let found = cables::look(&bench.bench, &bench.clock, all, wanted, &protected, &how, tell).await?;
        Ok(report(&found, &names, printer))
    })?
}

impl From<CablesError> for Trouble {
    fn from(error: CablesError) -> Self {
        let exit = match error {
            CablesError::Board(_) => Exit::NotGood,
            CablesError::Protected { .. } => Exit::Refused,
        };
        Self {
            told: Told::of(&error),
            exit,
        }
    }
}

fn object(socket: &Socket, names: &Names, printer: &Printer) {
    printer.object(&Object {
        version: 1,
        kind: "slot-cables",
        slot: &socket.slot,
        slot_name: names.of(&socket.slot),
        service: socket.service.as_ref().ok().copied(),
        recovery: socket.recovery,
        reset: &socket.reset,
        finding: &socket.finding,
        error: error(socket, names).as_ref(),
    });
}

fn report(found: &[Socket], names: &Names, printer: &Printer) -> Exit {
    let short = |device: Option<DeviceId>| match device {
        Some(device) => (device.short(), Tone::Plain),
        None => ("-".to_owned(), Tone::Faint),
    };
    let rows = found.iter().map(|socket| {
        let (word, tone) = match &socket.finding {
            Finding::Right => ("right".to_owned(), Tone::Good),
            Finding::Crossed { with } => (format!("crossed with {}", names.show(with)), Tone::Bad),
            Finding::Stranger => ("crossed with one unknown".to_owned(), Tone::Bad),
            Finding::NoService => ("service missing".to_owned(), Tone::Bad),
            Finding::Mute => ("recovery not heard".to_owned(), Tone::Bad),
            Finding::NotConnected => ("recovery missing".to_owned(), Tone::Bad),
        };
        vec![
            (names.show(&socket.slot), Tone::Plain),
            short(socket.service.as_ref().ok().copied()),
            short(socket.recovery),
            (word, tone),
        ]
    });
    let rows: Vec<_> = rows.collect();
    printer.result(&table(&["slot", "service", "recovery", "cables"], &rows));
    let mut exit = Exit::Good;
    for socket in found {
        let Some(told) = error(socket, names) else {
            continue;
        };
        exit = Exit::NotGood;
        printer.note(&format!(
            "{} slot {}: {}\n  code:   {}\n  blame:  {}\n  remedy: {}",
            Tone::Bad.paint("error:"),
            names.show(&socket.slot),
            told.message,
            told.code,
            told.blame,
            told.help
        ));
    }
    exit
}

/// What is wrong at a socket, if anything is.
fn error(socket: &Socket, names: &Names) -> Option<Told> {
    let told = |code: &str, message: String, help: &str| {
        Some(Told {
            code: code.to_owned(),
            message,
            help: help.to_owned(),
            blame: Blame::Board,
        })
    };
    match &socket.finding {
        Finding::Right => socket.not_back.clone(),
        Finding::Crossed { with } => told(
            "slots.cables-crossed",
            format!(
                "the recovery cable of this slot is at the device that answers in slot {}",
                names.show(with)
            ),
            "Swap the recovery cables of the two slots, and run the command again.",
        ),
        Finding::Stranger => told(
            "slots.cables-crossed",
            "the recovery cable of this slot is at a device that no service cable reaches".to_owned(),
            "Follow both cables of this slot: they belong to one device.",
        ),
        Finding::NoService => told(
            "slots.no-service",
            "a device speaks on the recovery cable, and none answers over the service cable".to_owned(),
            "Check the service cable of this slot. If it is fine, the device's software does not start: recover it.",
        ),
        Finding::Mute => told(
            "slots.not-heard",
            "the device was reset and said nothing on the recovery UART".to_owned(),
            "Check the recovery cable: its reset line is connected, its receive line is not.",
        ),
        Finding::NotConnected => told(
            "slots.no-recovery-cable",
            "no device was reset, and none was heard".to_owned(),
            "Check the recovery cable of this slot and the supply of its device; an erased device says nothing either.",
        ),
    }
}
