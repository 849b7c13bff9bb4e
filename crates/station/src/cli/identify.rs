//! `lineside device identify --via-console`: who a device is, without a working OS.
//!
//! The chip is reset and its boot loader tells its id, also when the OS behind it does not answer. What ran on it runs
//! anew; nothing is written.

use std::time::Duration;

use futures::future::join_all;
use lineside_device::identify_by_console;
use lineside_link::Address;
use lineside_terms::{DeviceId, SlotPath, Told};
use serde::Serialize;

use super::args::Global;
use super::bench::OpenBench;
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::slots::Names;
use super::trouble::Trouble;
use super::{bench, choose, on_host_thread};

/// One object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    device: Option<DeviceId>,
    error: Option<&'a Told>,
}

pub(super) fn run(
    global: &Global,
    slots: &[SlotPath],
    ips: &[Address],
    is_all: bool,
    patience: Duration,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    on_host_thread(async {
        let bench = bench::open(&global.bench).await?;
        let help = "Name one with --slot, or ask every one with --all.";
        let names = Names::of_station(global);
        let all = bench.bench.list().await?;
        let meant = choose::slots(global, &all, slots, ips)?;
        let boards = choose::boards(all, &meant, is_all, help)?;
        let found = join_all(boards.iter().map(|board| ask(&bench, &board.slot, patience))).await;
        let mut exit = Exit::Good;
        let mut rows = Vec::new();
        for (board, found) in boards.iter().zip(&found) {
            printer.object(&Object {
                version: 1,
                kind: "identified-by-console",
                slot: &board.slot,
                device: found.as_ref().ok().copied(),
                error: found.as_ref().err(),
            });
            let (said, tone) = match found {
                Ok(device) => (device.to_string(), Tone::Plain),
                Err(error) => {
                    exit = Exit::NotGood;
                    (format!("{error} {}", error.help), Tone::Bad)
                }
            };
            rows.push(vec![(names.show(&board.slot), Tone::Plain), (said, tone)]);
        }
        printer.result(&table(&["slot", "device"], &rows));
        Ok(exit)
    })?
}

async fn ask(bench: &OpenBench, slot: &SlotPath, patience: Duration) -> Result<DeviceId, Told> {
    let board = bench.bench.lease(slot, "lineside device identify").await;
    let mut board = board.map_err(|error| Told::of(&error))?;
    identify_by_console(&mut *board, &bench.clock, patience)
        .await
        .map_err(|error| Told::of(&error))
}
