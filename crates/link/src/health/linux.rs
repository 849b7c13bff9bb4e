//! What the kernel tells, in sysfs and about processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustix::fs::{Access, access};

use super::load::{self, Load};
use super::{Finding, Severity, identity};
use crate::Port;
use crate::assume::{BOARD_MILLIAMPS, UNPOWERED_PORT_MILLIAMPS};
use crate::ftdi::{Eeprom, LATENCY_MS, PRODUCT_STRING, USB_IDS};
use crate::usb::Places;
use crate::usb::holders;
use crate::usb::sysfs::{self, Found, attribute, latency_timer};

/// What a USB 2.0 device at full speed of the chip shows, in Mbit/s.
const HIGH_SPEED: &str = "480";

/// Everything that can be looked at here.
pub(super) fn findings(places: &Places) -> Vec<Finding> {
    let boards = match sysfs::boards(places) {
        Ok(boards) => boards,
        Err(error) => {
            return vec![Finding::bad(
                Severity::Problem,
                "usb",
                error.to_string(),
                "Give this user the right to read the kernel's list of USB devices.",
            )];
        }
    };
    let mut findings = places_of(&boards);
    for board in &boards {
        findings.extend(strings(board, places));
        findings.extend(latency(board, places));
        findings.extend(suspend(board, places));
        findings.extend(supply(board, places));
        findings.extend(others(board, places));
    }
    let devices = devices(places);
    findings.extend(strangers(&devices));
    findings.extend(controllers(&boards, &devices));
    findings
}

fn device(board: &Found, places: &Places) -> PathBuf {
    places.sysfs.join("bus/usb/devices").join(&board.name)
}

/// Connection paths name one place each.
fn places_of(boards: &[Found]) -> Vec<Finding> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for board in boards {
        names.entry(board.slot.as_str()).or_default().push(&board.name);
    }
    let shared = names.into_iter().filter(|(_, names)| names.len() > 1);
    let told = shared.map(|(slot, names)| {
        Finding::bad(
            Severity::Problem,
            "location",
            format!(
                "the sockets {} have the same connection path {slot}",
                names.join(" and ")
            ),
            "Plug one of the boards in elsewhere: which of them is meant cannot be said.",
        )
    });
    told.collect()
}

/// What the EEPROM says is what the kernel was told when the board was plugged in.
fn strings(board: &Found, places: &Places) -> Vec<Finding> {
    let device = device(board, places);
    let text = |name| attribute(&device, name).filter(|text| !text.is_empty());
    let eeprom = Eeprom {
        ids: USB_IDS,
        manufacturer: text("manufacturer"),
        product: text("product"),
        serial: board.serial.clone(),
    };
    identity(board.slot.as_str(), &eeprom)
}

/// How long the driver may wait before it delivers. Whoever opens a port sets it, if that is allowed.
fn latency(board: &Found, places: &Places) -> Option<Finding> {
    let timer = latency_timer(&board.terminal(Port::Recovery, places)?, places)?;
    let milliseconds: u32 = fs::read_to_string(&timer).ok()?.trim().parse().ok()?;
    if milliseconds <= u32::from(LATENCY_MS) || access(&timer, Access::WRITE_OK).is_ok() {
        return None;
    }
    Some(Finding::bad(
        Severity::Warning,
        "latency",
        format!(
            "the latency timer of the board at slot {} is {milliseconds} ms, and this user may not set it",
            board.slot
        ),
        "Install the udev rules of packaging/udev, which set it to 1 ms: recovery takes much longer without.",
    ))
}

/// A suspended port loses its board.
fn suspend(board: &Found, places: &Places) -> Option<Finding> {
    let control = attribute(&device(board, places).join("power"), "control")?;
    (control == "auto").then(|| {
        Finding::bad(
            Severity::Warning,
            "usb-suspend",
            format!("the kernel may suspend the board at slot {}", board.slot),
            format!(
                "Write `on` to /sys/bus/usb/devices/{}/power/control, or exempt the board in the tool that saves \
                 power on this computer.",
                board.name
            ),
        )
    })
}

/// A board needs all that a port may give, and a hub without a supply of its own gives a fifth of it.
fn supply(board: &Found, places: &Places) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = device(board, places);
    if let Some(speed) = attribute(&own, "speed").filter(|speed| speed != HIGH_SPEED) {
        findings.push(Finding::bad(
            Severity::Warning,
            "usb-speed",
            format!(
                "the board at slot {} runs at {speed} Mbit/s instead of {HIGH_SPEED}",
                board.slot
            ),
            "Take another cable, and a hub for USB 2.0 or later.",
        ));
    }
    let hub = board.name.rsplit_once('.').map(|(hub, _)| hub);
    let flags = hub.and_then(|hub| attribute(&own.with_file_name(hub), "bmAttributes"));
    let flags = flags.and_then(|flags| u8::from_str_radix(&flags, 16).ok());
    const SELF_POWERED: u8 = 0x40;
    if flags.is_some_and(|flags| flags & SELF_POWERED == 0) {
        findings.push(Finding::bad(
            Severity::Warning,
            "usb-power",
            format!(
                "the board at slot {} takes up to {BOARD_MILLIAMPS} mA and its hub has no supply of its own, which \
                 gives {UNPOWERED_PORT_MILLIAMPS} mA a port",
                board.slot
            ),
            "Plug the hub's power supply in, or take a hub that has one.",
        ));
    }
    findings
}

/// Programs that have a port of a free board open: two readers take each other's bytes. A lease is told of elsewhere.
fn others(board: &Found, places: &Places) -> Vec<Finding> {
    let is_leased = board
        .service_terminal(places)
        .is_some_and(|terminal| holders::of(terminal).is_some());
    if is_leased {
        return Vec::new();
    }
    let ports = [Port::Service, Port::Recovery];
    let terminals: Vec<PathBuf> = ports
        .into_iter()
        .filter_map(|port| board.terminal(port, places))
        .collect();
    let told = holders::with_open(&terminals)
        .into_iter()
        .map(|(program, terminal)| {
            Finding::bad(
                Severity::Warning,
                "in-use",
                format!(
                    "{program} has {} of the board at slot {} open",
                    terminal.display(),
                    board.slot
                ),
                "End that program before Lineside works on the board: two readers take each other's bytes.",
            )
        });
    told.collect()
}

/// A USB device as far as it matters for boards and controllers.
struct Device {
    name: String,
    product: Option<String>,
    is_like_a_board: bool,
    milliamps: u32,
    endpoints: usize,
}

fn devices(places: &Places) -> Vec<Device> {
    let folder = places.sysfs.join("bus/usb/devices");
    let names = fs::read_dir(&folder).into_iter().flatten();
    let names: Vec<String> = names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let ids = [format!("{:04x}", USB_IDS.0), format!("{:04x}", USB_IDS.1)];
    let devices = names
        .iter()
        .filter(|name| !name.contains(':'))
        .filter_map(|name| {
            let at = folder.join(name);
            let found = [attribute(&at, "idVendor")?, attribute(&at, "idProduct")?];
            let interfaces = names.iter().filter(|other| {
                let of = other.split_once(':').map(|(of, _)| of);
                // Those of a root hub are called after its bus: `1-0:1.0`.
                of == Some(name)
                    || name
                        .strip_prefix("usb")
                        .is_some_and(|bus| of == Some(&format!("{bus}-0")))
            });
            let endpoints = interfaces.filter_map(|interface| {
                usize::from_str_radix(&attribute(&folder.join(interface), "bNumEndpoints")?, 16).ok()
            });
            let endpoints = endpoints.sum::<usize>() + 1;
            let power = attribute(&at, "bMaxPower").unwrap_or_default();
            Some(Device {
                name: name.clone(),
                product: attribute(&at, "product"),
                is_like_a_board: found == ids,
                milliamps: power.trim_end_matches("mA").parse().unwrap_or(0),
                endpoints,
            })
        });
    let mut devices: Vec<Device> = devices.collect();
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    devices
}

/// The same chip under another name may be a board whose EEPROM was never written.
fn strangers(devices: &[Device]) -> Vec<Finding> {
    let strangers = devices
        .iter()
        .filter(|device| device.is_like_a_board && device.product.as_deref() != Some(PRODUCT_STRING));
    let told = strangers.map(|device| {
        let product = device.product.as_deref().unwrap_or_default();
        let product: String = product.chars().filter(|c| !c.is_control()).collect();
        Finding::bad(
            Severity::Note,
            "eeprom",
            format!(
                "USB device {} has a board's chip and calls itself `{product}`: it is not taken for a board",
                device.name
            ),
            format!("If it is one, write `{PRODUCT_STRING}` into its EEPROM with FTDI's tool."),
        )
    });
    told.collect()
}

/// What hangs at each controller that leads to boards.
fn controllers(boards: &[Found], devices: &[Device]) -> Vec<Finding> {
    let loads = devices.iter().filter_map(|device| {
        let name = device.name.as_str();
        let of_bus = name.split_once('-').map(|(bus, _)| bus);
        Some(Load {
            bus: name.strip_prefix("usb").or(of_bus)?.to_owned(),
            is_board: boards.iter().any(|board| board.name == device.name),
            endpoints: Some(device.endpoints),
            milliamps: Some(device.milliamps),
        })
    });
    load::findings(&loads.collect::<Vec<_>>())
}

/// The kernel knows whether some program steers its clock.
#[expect(
    unsafe_code,
    reason = "a question to the kernel for which there is no other way"
)]
pub(super) fn clock_is_kept() -> Option<bool> {
    // SAFETY: all of its fields are numbers, for which zero is a value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: with no mode set the call only fills in what it is given.
    let answer = unsafe { libc::adjtimex(&raw mut timex) };
    (answer >= 0).then_some(answer != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests;
