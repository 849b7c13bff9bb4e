//! `lineside devices [--watch]`: every board and what its device says. Reads only.
//!
//! Boards are asked side by side. A board that is leased by another process is listed with its holder and not asked.

use std::time::Duration;

use futures::StreamExt;
use lineside_device::Scope;
use lineside_flow::interlock::Reading;
use lineside_link::{Addresses, BenchEvent, BoardInfo};
use lineside_runner::WallClock;
use lineside_runner::survey::{Found, Survey, look};
use lineside_terms::{DeviceId, ManufacturingState, SlotPath, Told};
use serde::Serialize;

use super::args::{DevicesArgs, Global};
use super::bench::OpenBench;
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::slots::Names;
use super::trouble::Trouble;
use super::{addresses, bench, on_host_thread};

pub(crate) fn run(global: &Global, args: &DevicesArgs, printer: &Printer) -> Result<Exit, Trouble> {
    on_host_thread(async {
        let bench = bench::open(&global.bench).await?;
        let boards = bench.bench.list().await?;
        let places = Places {
            names: Names::of_station(global),
            addresses: addresses::shown(global, &boards),
        };
        if args.watch {
            watch(global, &bench, boards, args, places, printer).await
        } else {
            list(&bench, boards, args, &places, printer).await
        }
    })?
}

/// How sockets are called.
struct Places {
    names: Names,
    addresses: Addresses,
}

/// One object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    is_responsive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<ManufacturingState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leased_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    board_serial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

fn object<'a>(found: &'a Found, places: &'a Places) -> Object<'a> {
    let facts = found.facts.as_ref().ok();
    Object {
        version: 1,
        kind: "device",
        slot: &found.board.slot,
        name: places.names.of(&found.board.slot),
        ip: places.addresses.of(&found.board.slot).map(|ip| ip.to_string()),
        is_responsive: facts.is_some(),
        device: facts.map(|facts| facts.device),
        state: facts.and_then(|facts| facts.state.read().copied()),
        os: facts.and_then(|facts| facts.os_version.read().map(String::as_str)),
        leased_by: found.board.leased_by.as_deref(),
        board_serial: found.board.board_serial.as_deref(),
        error: found.facts.as_ref().err(),
    }
}

fn row(found: &Found, args: &DevicesArgs, places: &Places) -> Vec<(String, Tone)> {
    let dash = || ("-".to_owned(), Tone::Faint);
    let slot = (places.names.show(&found.board.slot), Tone::Plain);
    let ip = places.addresses.of(&found.board.slot);
    let ip = ip.map_or_else(dash, |ip| (ip.to_string(), Tone::Faint));
    match &found.facts {
        Ok(facts) => {
            let id = if args.verbose {
                facts.device.to_string()
            } else {
                facts.device.short()
            };
            let state = facts
                .state
                .read()
                .map_or_else(|| "?".to_owned(), ToString::to_string);
            let os = match &facts.os_version {
                Reading::Read(version) => version.clone(),
                Reading::NotAvailable => "before 22.09".to_owned(),
                Reading::Refused | Reading::NotAsked => "?".to_owned(),
            };
            let yes = ("yes".to_owned(), Tone::Good);
            vec![
                slot,
                ip,
                (id, Tone::Plain),
                (state, Tone::Plain),
                (os, Tone::Plain),
                yes,
            ]
        }
        Err(_) if found.board.leased_by.is_some() => {
            let holder = found.board.leased_by.clone().unwrap_or_default();
            vec![
                slot,
                ip,
                dash(),
                dash(),
                dash(),
                (format!("in use by {holder}"), Tone::Unclear),
            ]
        }
        Err(error) => vec![
            slot,
            ip,
            dash(),
            dash(),
            dash(),
            (format!("no: {error}"), Tone::Bad),
        ],
    }
}

const HEAD: [&str; 6] = ["slot", "address", "device", "state", "OS", "responsive"];

async fn survey(bench: &OpenBench, boards: Vec<BoardInfo>, args: &DevicesArgs) -> Vec<Found> {
    let wall_ms = WallClock::of_system(bench.clock.clone()).stamp().wall_ms;
    let survey = Survey {
        session: bench.session(wall_ms),
        scope: Scope::OPEN,
        patience: Duration::from_secs(args.timeout),
        holder: "lineside devices".to_owned(),
    };
    look(&bench.bench, &bench.clock, boards, &survey).await
}

async fn list(
    bench: &OpenBench,
    boards: Vec<BoardInfo>,
    args: &DevicesArgs,
    places: &Places,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let found = survey(bench, boards, args).await;
    for found in &found {
        printer.object(&object(found, places));
    }
    if found.is_empty() {
        return Err(Trouble::no_board());
    }
    let rows: Vec<_> = found.iter().map(|found| row(found, args, places)).collect();
    printer.result(&table(&HEAD, &rows));
    Ok(if found.iter().all(|found| found.facts.is_ok()) {
        Exit::Good
    } else {
        Exit::NotGood
    })
}

/// One object of `--watch --json` for a board that left.
#[derive(Serialize)]
struct Gone<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
}

async fn watch(
    global: &Global,
    bench: &OpenBench,
    boards: Vec<BoardInfo>,
    args: &DevicesArgs,
    mut places: Places,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let mut changes = bench.bench.watch();
    let mut there = boards;
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            () = lineside_link::asked_to_stop() => return Ok(Exit::Good),
        };
        match change {
            None => {
                let message = "the bench is gone";
                return Err(Trouble::new(
                    Exit::Station,
                    lineside_terms::Blame::Station,
                    "station.bench-gone",
                    message,
                    "Start the process that lends it again.",
                ));
            }
            Some(BenchEvent::Detached(slot)) => {
                there.retain(|of| of.slot != slot);
                printer.object(&Gone {
                    version: 1,
                    kind: "gone",
                    slot: &slot,
                });
                printer.result(&format!("{}  gone", places.names.show(&slot)));
            }
            Some(BenchEvent::Attached(board)) => {
                there.retain(|of: &BoardInfo| of.slot != board.slot);
                there.push(board.clone());
                places.addresses = addresses::shown(global, &there);
                for found in survey(bench, vec![board], args).await {
                    printer.object(&object(&found, &places));
                    let cells: Vec<String> = row(&found, args, &places)
                        .into_iter()
                        .map(|(cell, _)| cell)
                        .collect();
                    printer.result(&cells.join("  "));
                }
            }
        }
    }
}
