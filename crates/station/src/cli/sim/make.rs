//! Keys and capability files for simulated devices, so that a repair can be tried without a real one.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use lineside_simulator::{Seed, Supplies};
use lineside_terms::{Capability, DeviceId};
use serde::Serialize;

use super::super::exit::Exit;
use super::super::output::Printer;
use super::super::trouble::Trouble;

/// The key that signs production software for the devices of a seed.
pub(super) fn key(seed: u64, out: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let pem = Supplies::new(&Seed::new(seed))?.signing_pem()?;
    write(out, pem.as_bytes(), printer)
}

/// A capability file that one device of a seed takes.
pub(super) fn capability(
    device: DeviceId,
    allow: &[String],
    seed: u64,
    out: &Path,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let allowed = allow.iter().map(|word| {
        if word == "appDevelopment" {
            Capability::APP_DEVELOPMENT
        } else {
            Capability::FIELD_SERVICING
        }
    });
    let allowed: Vec<Capability> = allowed.collect();
    let file = Supplies::new(&Seed::new(seed))?
        .capability_file(device, &allowed)
        .map_err(|error| Trouble::station("sim.capability", "no capability file could be made", &error))?;
    write(out, &file, printer)
}

/// One object of `--json`.
#[derive(Serialize)]
struct Made {
    version: u32,
    kind: &'static str,
    file: String,
    bytes: usize,
}

fn write(out: &Path, bytes: &[u8], printer: &Printer) -> Result<Exit, Trouble> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(out)
        .map_err(|error| {
            Trouble::station(
                "station.file",
                &format!("{} cannot be made", out.display()),
                &error,
            )
        })?;
    file.write_all(bytes).map_err(|error| {
        Trouble::station(
            "station.file",
            &format!("{} cannot be written", out.display()),
            &error,
        )
    })?;
    printer.object(&Made {
        version: 1,
        kind: "supply-made",
        file: out.display().to_string(),
        bytes: bytes.len(),
    });
    printer.result(&format!("{}  {} bytes", out.display(), bytes.len()));
    Ok(Exit::Good)
}
