//! What FTDI's driver and Windows tell.

use nusb::MaybeFuture as _;

use super::load::{self, Load};
use super::{Finding, Severity, identity, suspend};
use crate::LinkError;
use crate::ftdi::d2xx::{D2xxChip, Driver, boards};
use crate::ftdi::{Channel, Chip as _, Eeprom, PRODUCT_STRING, USB_IDS};

/// The unit in which a USB 2.0 device tells what it draws, in milliamperes (USB 2.0, 9.6.3).
const MILLIAMPS: u32 = 2;

/// Everything that can be looked at here. A driver that is missing or unfit is told of by the list of boards.
pub(super) fn findings() -> Vec<Finding> {
    let mut findings = vec![suspend::finding()];
    findings.extend(controllers());
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

/// What hangs at each controller, as Windows lists it: hubs are not among them. What devices are set up as is asked of
/// the hubs that they hang at, which know it without the devices being opened.
fn controllers() -> Vec<Finding> {
    let devices = match nusb::list_devices().wait() {
        Ok(devices) => devices,
        Err(error) => {
            return vec![Finding::bad(
                Severity::Note,
                "usb-controller",
                format!("Windows does not tell what hangs at the USB controllers of this PC: {error}"),
                "Spread many boards over several controllers, on hubs with a supply of their own.",
            )];
        }
    };
    let loads = devices.map(|device| {
        let setup = device.open().wait().ok();
        let setup = setup
            .as_ref()
            .and_then(|device| device.active_configuration().ok());
        // One alternate setting of each interface is in use at a time: the first one, until somebody asks for another.
        let endpoints = setup.as_ref().map(|setup| {
            let interfaces = setup.interfaces();
            let of_interface = |interface: nusb::descriptors::InterfaceDescriptors<'_>| {
                usize::from(interface.first_alt_setting().num_endpoints())
            };
            interfaces.map(of_interface).sum::<usize>() + 1
        });
        Load {
            bus: device.bus_id().to_owned(),
            is_board: (device.vendor_id(), device.product_id()) == USB_IDS
                && device
                    .product_string()
                    .is_none_or(|product| product == PRODUCT_STRING),
            endpoints,
            milliamps: setup.map(|setup| u32::from(setup.max_power()) * MILLIAMPS),
        }
    });
    load::findings(&loads.collect::<Vec<_>>())
}
