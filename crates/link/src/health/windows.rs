//! What FTDI's driver and Windows tell.

use super::{Finding, Severity, identity, suspend};
use crate::LinkError;
use crate::ftdi::d2xx::{D2xxChip, Driver, boards};
use crate::ftdi::{Channel, Chip as _, Eeprom};

/// Everything that can be looked at here. A driver that is missing or unfit is told of by the list of boards.
pub(super) fn findings() -> Vec<Finding> {
    let mut findings = vec![suspend::finding(), not_looked_at()];
    let Ok(driver) = Driver::load() else {
        return findings;
    };
    findings.push(match driver.version() {
        Some(version) => Finding::good("driver", format!("FTDI's driver is version {version}")),
        None => Finding::good("driver", "FTDI's driver is there and does not tell its version"),
    });
    let nodes = driver.list().unwrap_or_default();
    for board in boards(&nodes, &[]) {
        let Some(location) = board.location.filter(|_| !board.is_taken) else {
            continue;
        };
        match eeprom(&driver, location) {
            Ok(eeprom) => findings.extend(identity(board.slot.as_str(), &eeprom)),
            Err(error) => findings.push(Finding::bad(
                Severity::Note,
                "eeprom",
                format!(
                    "the EEPROM of the board at slot {} cannot be read: {error}",
                    board.slot
                ),
                "Close the programs that use the board and look again.",
            )),
        }
    }
    findings
}

/// Nobody else has a use for channel B.
fn eeprom(driver: &Driver, location: u32) -> Result<Eeprom, LinkError> {
    let mut channel = D2xxChip::at(driver.clone(), location).open(Channel::B)?;
    Eeprom::read(channel.as_mut())
}

fn not_looked_at() -> Finding {
    Finding::bad(
        Severity::Note,
        "usb-controller",
        "what the USB controllers of this PC supply and carry is not looked at",
        "Spread many boards over several controllers, on hubs with a supply of their own.",
    )
}
