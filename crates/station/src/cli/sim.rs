//! `lineside sim`: a simulated bench for other processes, and `lineside sim ask`: what its boards truly are.
//!
//! The folder holds the bench socket (`bench.sock`; other systems than Unix have `bench.port`), the control socket
//! (`control.sock`), the certificate that clients must pin (`ca.pem`) and `simulated.json`, by which other Lineside
//! processes know that sample plans may be packed for it. `ready` on standard output says that boards can be leased.

mod make;

use std::path::Path;
use std::rc::Rc;

use lineside_link::Clock;
use lineside_link::remote::Lending;
use lineside_link::remote::control::{Control, ask as ask_line};
use lineside_simulator::control::{Answer, BoardTruth, Question};
use lineside_simulator::{FaultScript, OsProfile, Seed, SetSize, Supplies, UsbTimes, WorldConfig};
use serde::Serialize;

use super::args::{SimArgs, SimCommand};
use super::bench::{ABOUT_FILE, CA_FILE, about_of, pace_of, start_world};
use super::exit::Exit;
use super::on_host_thread;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;

pub(crate) fn run(args: &SimArgs, printer: &Printer) -> Result<Exit, Trouble> {
    on_host_thread(async {
        match (&args.command, &args.dir) {
            (Some(SimCommand::OsList), _) => {
                printer.raw(lineside_simulator::list_json().trim_end());
                Ok(Exit::Good)
            }
            (Some(SimCommand::MakeImageSet { os, size, seed, out }), _) => {
                make_image_set(os, size, *seed, out, printer)
            }
            (Some(SimCommand::MakeKey { seed, out }), _) => make::key(*seed, out, printer),
            (
                Some(SimCommand::MakeCapability {
                    device,
                    allow,
                    seed,
                    out,
                }),
                _,
            ) => make::capability(*device, allow, *seed, out, printer),
            (Some(SimCommand::Ask { dir, board }), _) => ask(dir, *board, printer).await,
            (None, Some(dir)) => serve(args, dir, printer).await,
            (None, None) => Err(Trouble::usage(
                "sim.no-folder",
                "no folder is named",
                "Name one with --dir.",
            )),
        }
    })?
}

fn word<T: serde::de::DeserializeOwned>(what: &str, word: &str) -> Result<T, Trouble> {
    serde_json::from_value(serde_json::Value::from(word)).map_err(|_| {
        let message = format!("`{}` is no {what}", word.escape_default());
        Trouble::usage("sim.word", &message, "`lineside sim --help` shows what there is.")
    })
}

fn config(args: &SimArgs) -> Result<WorldConfig, Trouble> {
    let os_profile: OsProfile = word("OS profile", &args.os_profile)?;
    let pace =
        pace_of(&args.pace).map_err(|error| Trouble::usage("sim.word", &error, "Take one of these."))?;
    let faults = match &args.faults {
        None => FaultScript::default(),
        Some(path) => {
            let refused = |message: &str, cause: &dyn std::fmt::Display| {
                Trouble::usage(
                    "sim.faults",
                    &format!("{message} {}: {cause}", path.display()),
                    "Correct the file.",
                )
            };
            let text = std::fs::read_to_string(path).map_err(|error| refused("could not read", &error))?;
            // A list would do for a script whose parts may all be absent.
            if !text.trim_start().starts_with('{') {
                return Err(refused("no fault script is in", &"it is no object with `faults`"));
            }
            serde_json::from_str(&text).map_err(|error| refused("no fault script is in", &error))?
        }
    };
    Ok(WorldConfig {
        boards: args.boards,
        seed: args.seed,
        pace,
        state: args.state,
        os_profile,
        development: args.development,
        faults,
        usb: args.usb_latency.map(|ms| UsbTimes::high_speed(ms.into())),
        ..WorldConfig::default()
    })
}

async fn serve(args: &SimArgs, dir: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let config = config(args)?;
    let folder = |error: std::io::Error| Trouble::station("sim.folder", "the folder cannot be used", &error);
    std::fs::create_dir_all(dir).map_err(folder)?;
    // First the right to lend there: until then nothing of another bench is touched.
    let lending = Lending::bind(dir)?;
    let control = Control::bind(dir)?;
    let world = start_world(config, Clock::precise())?;
    std::fs::write(dir.join(CA_FILE), world.ca_pem()).map_err(folder)?;
    std::fs::write(dir.join(ABOUT_FILE), about_of(args.seed)).map_err(folder)?;
    if args.ftdi {
        offer_usb(&world, dir).map_err(folder)?;
    }
    let bench = Rc::new(world.bench());
    printer.raw("ready");
    tokio::select! {
        () = lending.serve(bench) => {}
        () = control.serve(|line| world.ask_line(line)) => {}
        () = lineside_link::asked_to_stop() => {}
    }
    for file in [CA_FILE, ABOUT_FILE, USB_FILE] {
        // What remains is replaced by the next bench in this folder.
        let _ = std::fs::remove_file(dir.join(file));
    }
    Ok(Exit::Good)
}

/// The object of `make-image-set --json`.
#[derive(Serialize)]
struct MadeSet<'a> {
    version: u32,
    kind: &'static str,
    folder: String,
    os: &'a str,
    files: usize,
    bytes: usize,
}

fn make_image_set(os: &str, size: &str, seed: u64, out: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let os: OsProfile = os.parse()?;
    let size = match size {
        "real" => SetSize::Real,
        "small" => SetSize::Small,
        _ => {
            let message = format!("`{}` is no size of a set", size.escape_default());
            return Err(Trouble::usage("sim.word", &message, "Take `real` or `small`."));
        }
    };
    let folder = |error: std::io::Error| Trouble::station("sim.folder", "the folder cannot be used", &error);
    std::fs::create_dir_all(out).map_err(folder)?;
    if std::fs::read_dir(out).map_err(folder)?.next().is_some() {
        return Err(Trouble::station(
            "sim.folder",
            "the folder cannot be used",
            &"it is not empty",
        ));
    }
    let supplies = Supplies::new(&Seed::new(seed))?;
    let files = supplies
        .image_set(os, size)
        .map_err(|error| Trouble::station("sim.image-set", "the set could not be made", &error))?;
    for (name, bytes) in &files {
        std::fs::write(out.join(name), bytes).map_err(folder)?;
    }
    let bytes = files.values().map(Vec::len).sum();
    printer.object(&MadeSet {
        version: 1,
        kind: "image-set-made",
        folder: out.display().to_string(),
        os: os.name(),
        files: files.len(),
        bytes,
    });
    printer.result(&format!(
        "{}: OS {os}, {} files, {bytes} bytes",
        out.display(),
        files.len()
    ));
    Ok(Exit::Good)
}

/// Where the boards' USB is offered, when it is.
const USB_FILE: &str = "usb.txt";

/// Offers the boards' USB to stand-ins of FTDI's driver on this computer.
fn offer_usb(world: &lineside_simulator::World, dir: &Path) -> std::io::Result<()> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    std::fs::write(dir.join(USB_FILE), format!("{}\n", listener.local_addr()?))?;
    lineside_simulator::ftdi::serve(world, listener)
}

/// One object of `ask --json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    #[serde(flatten)]
    board: &'a BoardTruth,
}

async fn ask(dir: &Path, board: Option<usize>, printer: &Printer) -> Result<Exit, Trouble> {
    let question = serde_json::to_string(&Question::Boards { board }).expect("a question is always JSON");
    let line = ask_line(dir, &question).await?;
    let answer: Answer = serde_json::from_str(&line)
        .map_err(|error| Trouble::station("sim.answer", "the bench's answer cannot be read", &error))?;
    let boards = match answer {
        Answer::Boards { boards } => boards,
        Answer::Refused(told) => {
            return Err(Trouble {
                told,
                exit: Exit::Usage,
            });
        }
        Answer::Done | Answer::World { .. } => {
            return Err(Trouble::station(
                "sim.answer",
                "the bench answered something else",
                &"no list of boards",
            ));
        }
    };
    for board in &boards {
        printer.object(&Object {
            version: 1,
            kind: "simulated-board",
            board,
        });
    }
    let rows: Vec<_> = boards
        .iter()
        .map(|board| {
            let counters = &board.counters;
            [
                board.board.to_string(),
                board.slot.to_string(),
                board.device_id.short(),
                board.state.to_string(),
                counters.irreversible_asked.to_string(),
                counters.irreversible_applied.to_string(),
                counters.irreversible_refused.to_string(),
                counters.wrong_target_writes.to_string(),
                counters.kills_survived.to_string(),
                counters.erases.to_string(),
                counters.recoveries.to_string(),
            ]
            .map(|cell| (cell, Tone::Plain))
            .to_vec()
        })
        .collect();
    let head = [
        "board",
        "slot",
        "device",
        "state",
        "asked",
        "applied",
        "refused",
        "wrong target",
        "kills",
        "erased",
        "recovered",
    ];
    printer.result(&table(&head, &rows));
    Ok(Exit::Good)
}
