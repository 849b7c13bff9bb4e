//! Finds interface boards in sysfs.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lineside_terms::SlotPath;

use super::Places;
use crate::assume::connection_path;
use crate::{LinkError, Port};

/// FTDI's own ids: thousands of other devices have them too (`chip-to-pc-and-recovery.md` 1.1).
const VENDOR: &str = "0403";
const PRODUCT: &str = "6011";
/// What really identifies an interface board (`chip-to-pc-and-recovery.md` 1.1).
const PRODUCT_STRING: &str = "MSFT MT3620 Std Interface";

/// An interface board as the kernel tells of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its place: `1-2.1.1`.
    pub(crate) name: String,
    pub(crate) slot: SlotPath,
    pub(crate) serial: Option<String>,
    /// Another one with every attachment.
    pub(crate) device_number: String,
    /// Names of the terminals of the four channels, where the kernel has made them.
    terminals: [Option<String>; 4],
}

/// Which of the four channels a port is (`chip-to-pc-and-recovery.md` 1.2): A debug, B no UART, C service,
/// D recovery.
const fn channel(port: Port) -> usize {
    match port {
        Port::Debug => 0,
        Port::Service => 2,
        Port::Recovery => 3,
    }
}

impl Found {
    /// Where the terminal of a port is, if the kernel has made one.
    pub(crate) fn terminal(&self, port: Port, places: &Places) -> Option<PathBuf> {
        self.terminals[channel(port)]
            .as_ref()
            .map(|name| places.dev.join(name))
    }

    /// [`Self::terminal`] of the service port.
    pub(crate) fn service_terminal(&self, places: &Places) -> Option<PathBuf> {
        self.terminal(Port::Service, places)
    }

    /// Where its node for programs is: `bus/usb/001/007`. `None` when the kernel tells odd numbers.
    pub(crate) fn node(&self, places: &Places) -> Option<PathBuf> {
        let bus: u16 = self.name.split_once('-')?.0.parse().ok()?;
        let device: u16 = self.device_number.parse().ok()?;
        Some(places.dev.join(format!("bus/usb/{bus:03}/{device:03}")))
    }

    /// The same attachment of the same board, looked at again. `None` when it ended, whoever sits in the place or has got
    /// its numbers since.
    pub(crate) fn again(&self, places: &Places) -> Option<Self> {
        let device = places.sysfs.join("bus/usb/devices").join(&self.name);
        board(&device, &self.name).filter(|board| board.device_number == self.device_number)
    }

    /// True for the alias that is never ambiguous: `usb:1-2.1.1` (`chip-to-pc-and-recovery.md` 1.5).
    pub(crate) fn is_alias(&self, slot: &SlotPath) -> bool {
        slot.as_str().strip_prefix("usb:") == Some(self.name.as_str())
    }
}

/// Asks the driver to deliver what a terminal received after 1 ms instead of 16 ms: one wait for each block of a
/// transfer (`chip-to-pc-and-recovery.md` 1.3). False when this user may not, which makes recovery slow, not wrong.
pub(crate) fn deliver_early(terminal: &Path, places: &Places) -> bool {
    let Some(timer) = latency_timer(terminal, places) else {
        return false;
    };
    // Never made, only written.
    let opened = fs::OpenOptions::new().write(true).open(timer);
    opened
        .and_then(|mut timer| std::io::Write::write_all(&mut timer, b"1\n"))
        .is_ok()
}

/// Where the latency timer of a terminal is, if its driver has one.
pub(crate) fn latency_timer(terminal: &Path, places: &Places) -> Option<PathBuf> {
    let devices = places.sysfs.join("bus/usb-serial/devices");
    Some(devices.join(terminal.file_name()?).join("latency_timer"))
}

/// All boards in order of their slots; none where there is no such directory, as on a system without USB.
pub(crate) fn boards(places: &Places) -> Result<Vec<Found>, LinkError> {
    let devices = places.sysfs.join("bus/usb/devices");
    let io = |error: &std::io::Error| LinkError::io(format!("read {}", devices.display()), error);
    let entries = match fs::read_dir(&devices) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| io(&error))?,
    };
    let mut boards = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| io(&error))?;
        // Whatever has an odd name, or vanishes while we look, is no board.
        let found = entry
            .file_name()
            .to_str()
            .and_then(|name| board(&entry.path(), name));
        boards.extend(found);
    }
    boards.sort_by(|a, b| a.slot.cmp(&b.slot));
    Ok(boards)
}

fn board(device: &Path, name: &str) -> Option<Found> {
    let slot = connection_path(name)?;
    let is_board = attribute(device, "idVendor")? == VENDOR
        && attribute(device, "idProduct")? == PRODUCT
        && attribute(device, "product")? == PRODUCT_STRING;
    if !is_board {
        return None;
    }
    let device_number = attribute(device, "devnum")?;
    let interfaces = device.parent()?;
    let terminals = [0, 1, 2, 3].map(|index| terminal(&interfaces.join(format!("{name}:1.{index}"))));
    let serial = attribute(device, "serial").filter(|serial| !serial.is_empty());
    Some(Found {
        name: name.to_owned(),
        slot,
        serial,
        device_number,
        terminals,
    })
}

/// The content of one small file without the end of line, or `None` when it is not there or no text.
pub(crate) fn attribute(device: &Path, name: &str) -> Option<String> {
    use std::io::Read;

    /// USB strings have at most 126 characters.
    const LONGEST: u64 = 1024;

    let mut text = String::new();
    fs::File::open(device.join(name))
        .ok()?
        .take(LONGEST)
        .read_to_string(&mut text)
        .ok()?;
    Some(text.trim_end_matches('\n').to_owned())
}

/// The terminal of one interface: the kernel names a directory in it so.
fn terminal(interface: &Path) -> Option<String> {
    let names = fs::read_dir(interface)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut terminals = names.filter(|name| {
        let number = name.strip_prefix("ttyUSB");
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    terminals.next()
}
