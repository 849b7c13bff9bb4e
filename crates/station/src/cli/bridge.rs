//! `lineside bridge`: one process owns the boards and lets every program on this PC reach every device.
//!
//! Foreign programs come in through doors: loopback ports, or with `--addresses` an address of its own for each board.
//! Lineside's own programs lease boards at the bridge's folder, and find a running bridge by themselves when nobody names
//! a bench. `ready` on standard output says that all boards that were found have answered, or have been given up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;
use lineside_bridge::service::Service;
use lineside_bridge::{BoardPicture, Bridge, Carries, Config, Standing, View, Ways};
use lineside_link::remote::Lending;
use lineside_link::{Whose, bridge_folder};
use lineside_terms::{DeviceId, SlotPath, Told};
use serde::Serialize;

use super::addresses;
use super::args::Global;
use super::bench::{self, ABOUT_FILE, BenchName, CA_FILE};
use super::exit::Exit;
use super::on_host_thread;
use super::output::{Printer, Tone};
use super::trouble::Trouble;

pub(crate) fn run(global: &Global, args: &BridgeArgs, printer: &Printer) -> Result<Exit, Trouble> {
    on_host_thread(serve(global, args, printer))?
}

async fn serve(global: &Global, args: &BridgeArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let dir = folder(args)?;
    let refused = |error: std::io::Error| {
        Trouble::station("bridge.folder", "the folder of the bridge cannot be used", &error)
    };
    std::fs::create_dir_all(&dir).map_err(refused)?;
    // First the right to lend there: until then nothing of another bridge is touched.
    let lending = Lending::bind(&dir)?;
    let opened = bench::open(&global.bench).await?;
    tell_of_simulation(&global.bench, &opened, &dir).map_err(refused)?;
    let wall = || jiff::Timestamp::now().as_millisecond();
    let session = opened.session(wall());
    let for_table = global.clone();
    let bridge = Bridge::new(Config {
        bench: Rc::clone(&opened.bench),
        clock: opened.clock.clone(),
        ways: match args.addresses {
            true => Ways::Addresses,
            false => Ways::Loopback { base: args.base_port },
        },
        ports: args.port.clone(),
        datagram_ports: args.udp_port.clone(),
        session: Box::new(move || {
            let mut session = session.clone();
            session.wall_ms = wall();
            session
        }),
        addresses: Box::new(move |boards| addresses::shown(&for_table, boards)),
    })?;
    let view = bridge.view();
    let service = match args.no_service {
        true => None,
        false => Some(Service::bind(args.service_port)?),
    };
    if let Some(service) = &service {
        printer.note(&format!("scripts ask for devices at http://{}", service.at()));
    }
    let answered = async {
        match service {
            Some(service) => service.serve(view.clone()).await,
            None => std::future::pending().await,
        }
    };
    let there = RefCell::new(None);
    let shown = async {
        let mut screen = Screen::new(printer);
        let mut changes = view.changes();
        let mut is_ready = false;
        loop {
            screen.show(&view);
            let found: Option<Vec<SlotPath>> = there.borrow().clone();
            if let Some(found) = found.filter(|found| !is_ready && view.is_decided(found)) {
                is_ready = true;
                screen.ready(found.len());
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    let ended = tokio::select! {
        ended = bridge.run(|found| _ = there.borrow_mut().replace(found.to_vec())) => ended.map_err(Trouble::from),
        () = lending.serve(view.bench()) => Ok(()),
        () = answered => Ok(()),
        () = shown => Ok(()),
        () = lineside_link::asked_to_stop() => Ok(()),
    };
    for file in [CA_FILE, ABOUT_FILE] {
        // What remains is replaced by the next bridge in this folder.
        let _ = std::fs::remove_file(dir.join(file));
    }
    ended.map(|()| Exit::Good)
}

/// Arguments of `bridge`.
#[derive(Debug, Args)]
#[command(
    after_help = "Owns the boards of --bench and prints `ready` when all that were found have answered or were given up.
Other Lineside programs use a running bridge by themselves. Runs until it is stopped.

Examples:
  lineside bridge
  lineside bridge --base-port 44300
  sudo lineside bridge --system --addresses"
)]
pub(crate) struct BridgeArgs {
    /// Give each board its own address 192.168.35.N on this PC; needs the right to add addresses
    #[arg(long, conflicts_with = "base_port")]
    pub(crate) addresses: bool,
    /// The first of the loopback ports: board .2 has the first, .3 the next [default: the system chooses]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) base_port: Option<u16>,
    /// Also carry this TCP port of devices, beside 443, 2342 and 2345; may be repeated
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Vec<u16>,
    /// Carry datagrams (UDP) to this port of devices, which an application must have opened; may be repeated
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) udp_port: Vec<u16>,
    /// Where scripts ask for devices; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = lineside_bridge::service::PORT)]
    pub(crate) service_port: u16,
    /// Do not let scripts ask for devices
    #[arg(long, conflicts_with = "service_port")]
    pub(crate) no_service: bool,
    /// The folder in which boards are lent [default: one of this user's that programs know]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Lend to every user of this PC, in the folder of the system
    #[arg(long, conflicts_with = "dir")]
    pub(crate) system: bool,
}

/// Where the bridge lends.
fn folder(args: &BridgeArgs) -> Result<PathBuf, Trouble> {
    let usual = || {
        let whose = match args.system {
            true => Whose::System,
            false => Whose::User,
        };
        bridge_folder(whose)
    };
    args.dir.clone().or_else(usual).ok_or_else(|| {
        Trouble::usage(
            "bridge.no-folder",
            "this user has no folder that lasts as long as the computer runs",
            "Name one with --dir, and name it to other programs as --bench at:DIR; or run the bridge for all with --system.",
        )
    })
}

/// Whoever leases a simulated board must know whose certificates count, and that it is simulated.
fn tell_of_simulation(name: &BenchName, opened: &bench::OpenBench, dir: &Path) -> std::io::Result<()> {
    for file in [CA_FILE, ABOUT_FILE] {
        let _ = std::fs::remove_file(dir.join(file));
    }
    match name {
        BenchName::Usb => Ok(()),
        BenchName::At(from) => {
            for file in [CA_FILE, ABOUT_FILE] {
                match std::fs::copy(from.join(file), dir.join(file)) {
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }
        BenchName::Sim { seed, .. } => {
            if let Some(pem) = &opened.made_for {
                std::fs::write(dir.join(CA_FILE), pem)?;
            }
            std::fs::write(dir.join(ABOUT_FILE), bench::about_of(*seed))
        }
    }
}

/// One object of `--json`: a board as it is now, or that all are decided.
#[derive(Serialize)]
struct BoardObject<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    leased_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    doors: Vec<DoorObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

#[derive(Serialize)]
struct DoorObject {
    carries: &'static str,
    port: u16,
    at: String,
}

#[derive(Serialize)]
struct GoneObject<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
}

#[derive(Serialize)]
struct ReadyObject {
    version: u32,
    kind: &'static str,
    boards: usize,
}

/// Tells what changed, line by line.
struct Screen<'a> {
    printer: &'a Printer,
    told: BTreeMap<SlotPath, BoardPicture>,
}

impl<'a> Screen<'a> {
    const fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            told: BTreeMap::new(),
        }
    }

    fn ready(&self, boards: usize) {
        self.printer.object(&ReadyObject {
            version: 1,
            kind: "bridge-ready",
            boards,
        });
        self.printer.result("ready");
    }

    fn show(&mut self, view: &View) {
        let boards = view.picture().boards;
        let gone: Vec<_> = self
            .told
            .keys()
            .filter(|slot| boards.iter().all(|board| board.slot != **slot))
            .cloned()
            .collect();
        for slot in gone {
            self.told.remove(&slot);
            self.printer.object(&GoneObject {
                version: 1,
                kind: "bridge-board-gone",
                slot: &slot,
            });
            self.printer.note(&format!("{slot}  unplugged"));
        }
        for mut board in boards {
            // How much is carried is nothing to tell line by line.
            (board.connections, board.to_device, board.from_device) = (0, 0, 0);
            let is_known = self.told.get(&board.slot) == Some(&board);
            // What is only on its way is told when it has arrived.
            if !is_known
                && board.standing.is_decided()
                && !(board.doors.is_empty() && board.trouble.is_none())
            {
                self.tell(&board);
                self.told.insert(board.slot.clone(), board);
            }
        }
    }

    fn tell(&self, board: &BoardPicture) {
        let (standing, leased_by, error) = board.standing.told();
        let error = board.trouble.as_ref().or(error);
        let address = board.address.map(|address| address.to_string());
        let doors = board.doors.iter().map(|door| DoorObject {
            carries: door.carries.word(),
            port: door.port,
            at: door.at.to_string(),
        });
        self.printer.object(&BoardObject {
            version: 1,
            kind: "bridge-board",
            slot: &board.slot,
            address: address.clone(),
            standing,
            leased_by,
            device: board.device,
            doors: doors.collect(),
            error,
        });
        let doors: Vec<_> = board
            .doors
            .iter()
            .map(|door| match door.carries {
                Carries::Tcp => format!("{} at {}", door.port, door.at),
                Carries::Udp => format!("{}/udp at {}", door.port, door.at),
            })
            .collect();
        let who = match (&board.device, leased_by) {
            (Some(device), _) => device.short(),
            (None, Some(by)) => format!("by {by}"),
            (None, None) => "-".to_owned(),
        };
        let tone = match board.standing {
            Standing::Ready => Tone::Good,
            Standing::Leased { .. } | Standing::Identifying => Tone::Plain,
            Standing::Silent(_) | Standing::Unreachable(_) => Tone::Unclear,
        };
        self.printer.note(&format!(
            "{}  {}  {}  {who}  {}",
            board.slot,
            address.as_deref().unwrap_or("no address"),
            tone.paint(standing),
            doors.join(", ")
        ));
        if let Some(error) = error {
            self.printer.told(error);
        }
    }
}
