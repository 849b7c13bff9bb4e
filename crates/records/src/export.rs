//! Records for other programs.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::error::RecordsError;
use crate::view::{DeviceRecord, RunFilter, RunRecord, View};

/// Version of [`RunLine`]. Fields may be added under the same version; it grows when one changes its meaning.
pub const RUN_LINE_VERSION: u32 = 1;

/// The columns of [`write_devices`], in order: the device's id as 128 hex digits, the unit's serial, the manufacturing
/// state that it last showed, the run of this station that finished it, when it was last seen (RFC 3339, UTC).
/// Empty where nothing is known.
pub const DEVICE_COLUMNS: [&str; 5] = ["device_id", "serial", "state", "complete_run", "last_seen"];

/// The columns of [`write_claims`]: what the vendor's bulk-claim tool reads (`security-service.md` 5.2).
pub const CLAIM_COLUMNS: [&str; 3] = ["DeviceId", "ProductName", "DeviceGroupName"];

/// One line of [`write_runs`]: a run whole, as one JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunLine {
    /// [`RUN_LINE_VERSION`].
    pub version: u32,
    /// The run; its fields stand beside `version`.
    #[serde(flatten)]
    pub run: RunRecord,
}

/// Writes runs as JSON lines, newest first, one [`RunLine`] each, and returns how many. One run is held in memory at
/// a time.
///
/// # Errors
/// [`RecordsError::View`], and [`RecordsError::Export`] when `out` fails.
pub fn write_runs(view: &View, filter: &RunFilter, mut out: impl Write) -> Result<u64, RecordsError> {
    let mut count = 0;
    for summary in view.runs(filter)? {
        let line = RunLine {
            version: RUN_LINE_VERSION,
            run: view.run(&summary.run)?,
        };
        serde_json::to_writer(&mut out, &line).map_err(|e| export(e.into()))?;
        out.write_all(b"\n").map_err(export)?;
        count += 1;
    }
    out.flush().map_err(export)?;
    Ok(count)
}

/// Writes devices as CSV with a header of [`DEVICE_COLUMNS`].
///
/// # Errors
/// [`RecordsError::Export`] when `out` fails.
pub fn write_devices<'a>(
    devices: impl IntoIterator<Item = &'a DeviceRecord>,
    out: impl Write,
) -> Result<(), RecordsError> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(DEVICE_COLUMNS).map_err(csv_error)?;
    for device in devices {
        let text = |value: Option<String>| value.unwrap_or_default();
        csv.write_record([
            device.device.to_string(),
            text(device.serial.as_ref().map(ToString::to_string)),
            text(device.state.map(|state| state.to_string())),
            text(device.complete_run.map(|run| run.to_string())),
            device.last_seen.clone(),
        ])
        .map_err(csv_error)?;
    }
    csv.flush().map_err(export)
}

/// Writes device ids as CSV with a header of [`CLAIM_COLUMNS`], to claim them in the cloud into one product and group.
/// Whoever has the list can claim the devices: knowing the id is enough, until they are claimed
/// (`security-service.md` 5.1).
///
/// # Errors
/// [`RecordsError::Export`] when `out` fails.
pub fn write_claims<'a>(
    devices: impl IntoIterator<Item = &'a DeviceRecord>,
    product: &str,
    group: &str,
    out: impl Write,
) -> Result<(), RecordsError> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(CLAIM_COLUMNS).map_err(csv_error)?;
    for device in devices {
        csv.write_record([device.device.to_string().as_str(), product, group])
            .map_err(csv_error)?;
    }
    csv.flush().map_err(export)
}

fn export(source: io::Error) -> RecordsError {
    RecordsError::Export { source }
}

fn csv_error(error: csv::Error) -> RecordsError {
    export(error.into())
}
