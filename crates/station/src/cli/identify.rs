//! `lineside device identify --via-console`: who a device is, without a working OS.
//!
//! The chip is reset and tells its id while it boots, whether or not there is an OS on it. What ran on it runs anew;
//! nothing is written.

use std::time::Duration;

use clap::Args;
use futures::future::join_all;
use lineside_device::identify_by_console;
use lineside_terms::{DeviceId, SlotPath, Told};
use serde::Serialize;

use super::args::Global;
use super::bench::OpenBench;
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;
use super::{bench, on_host_thread};

/// Arguments of `identify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lineside device identify --via-console --all\n  lineside device identify --via-console --slot 1113 --json"
)]
pub(crate) struct IdentifyArgs {
    /// Reset the chip and read its id from what it says while it boots; the only way so far
    #[arg(long, required = true)]
    pub(crate) via_console: bool,
    /// The board in this slot; may be repeated
    #[arg(long, value_name = "SLOT", conflicts_with = "all")]
    pub(crate) slot: Vec<SlotPath>,
    /// Every attached board
    #[arg(long)]
    pub(crate) all: bool,
    /// Seconds to wait for a chip to tell
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) timeout: u64,
}

/// One object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    device: Option<DeviceId>,
    error: Option<&'a Told>,
}

pub(crate) fn run(global: &Global, args: &IdentifyArgs, printer: &Printer) -> Result<Exit, Trouble> {
    on_host_thread(async {
        let bench = bench::open(&global.bench).await?;
        let boards = bench::choose(bench.bench.list().await?, &args.slot, args.all)?;
        let patience = Duration::from_secs(args.timeout);
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
            rows.push(vec![(board.slot.to_string(), Tone::Plain), (said, tone)]);
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
