//! `/log` and `/telemetry`: the little that is known of them (`device-rest-api.md` 3.7).

use lineside_protocol::rest::assume;
use lineside_protocol::rest::diagnostics::TelemetryHeader;

use super::Firmware;
use crate::chip::{BodyKind, Response};

/// Size of a bank of the flash log in bytes.
const BANK: usize = 4096;
/// Category of the messages of the REST daemon.
const GATEWAYD: u16 = 6;
/// Its message that tells the version of the OS.
const OS_VERSION: u16 = 169;
/// Priority of an ordinary message.
const INFO: u8 = 4;

impl Firmware {
    /// One bank with one record for each boot, as many as fit.
    pub(super) fn get_log(&self) -> Response {
        let text = self.config.os.name().as_bytes();
        let length = 12 + text.len() + 1;
        let mut bank = Vec::with_capacity(BANK);
        for boot in 0..u32::try_from(self.counters.boots).unwrap_or(u32::MAX).min(64) {
            bank.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
            bank.extend([0, INFO]);
            bank.extend(GATEWAYD.to_le_bytes());
            bank.extend(OS_VERSION.to_le_bytes());
            bank.extend((boot * 1000).to_le_bytes());
            bank.extend_from_slice(text);
            bank.push(0);
        }
        bank.resize(BANK - 4, 0xFF);
        // Counter and status of the bank.
        bank.extend(1_u16.to_le_bytes());
        bank.extend(0_u16.to_le_bytes());
        octets(bank)
    }

    pub(super) fn get_telemetry(&self) -> Response {
        octets(self.flash.telemetry.clone())
    }

    pub(super) fn clear_telemetry(&mut self) -> Response {
        self.flash.telemetry = telemetry(&[]);
        Response::empty()
    }
}

/// Error reports that a device has before anybody reads them.
pub(super) fn first_telemetry() -> Vec<u8> {
    telemetry(&[1; 16])
}

fn telemetry(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let mut bytes = TelemetryHeader {
        prefix: assume::TELEMETRY_PREFIX,
        length,
    }
    .to_bytes()
    .to_vec();
    bytes.extend_from_slice(data);
    bytes
}

fn octets(body: Vec<u8>) -> Response {
    Response {
        status: 200,
        kind: BodyKind::Octets,
        body,
    }
}
