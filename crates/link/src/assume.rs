//! What nobody has told us about interface boards, each with its assumption id. A trace of a real board settles
//! these here and nowhere else.

use std::time::Duration;

use lineside_terms::SlotPath;

/// A-01 (`chip-to-pc-and-recovery.md` 1.4): how long the reset line is held low.
pub(crate) const RESET_HOLD: Duration = Duration::from_millis(20);

/// how long the recovery strap is held high after reset was released, for the ROM to see it.
pub(crate) const STRAP_HOLD: Duration = Duration::from_millis(100);

/// A-05 (`chip-to-pc-and-recovery.md` 2.2): the lowest free address goes to the slot that is discovered next, and a slot
/// keeps its address when its board is unplugged and another one plugged in.
pub(crate) const IS_ADDRESS_KEPT_BY_ITS_SLOT: bool = true;

/// Ends the connection path of a board: the service UART is the third of the four channels
/// (`chip-to-pc-and-recovery.md` 1.5).
const SERVICE_CHANNEL: &str = "3";

/// What the boards ask for, in mA (`chip-to-pc-and-recovery.md` 1.1).
#[cfg(target_os = "linux")]
pub(crate) const BOARD_MILLIAMPS: u32 = 500;

/// What USB 2.0 lets a hub that lives on its own port give to each of its ports, in mA.
#[cfg(target_os = "linux")]
pub(crate) const UNPOWERED_PORT_MILLIAMPS: u32 = 100;

/// A-02 (`chip-to-pc-and-recovery.md` 1.5): the connection path of a board on Linux, made of the name that sysfs
/// gives to its place, `BUS-p1.p2.p3`. Bus and ports become hex digits; when one does not fit into its digit
/// (a bus above 9, a port above 15), all are written in decimal with dots between them.
///
/// `None` for names that are no place of a device: root hubs (`usb1`), interfaces (`1-2:1.0`).
pub(crate) fn connection_path(sysfs_name: &str) -> Option<SlotPath> {
    let (bus, ports) = sysfs_name.split_once('-')?;
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<u8>().ok()).flatten()
    };
    let bus = number(bus)?;
    let ports = ports.split('.').map(number).collect::<Option<Vec<u8>>>()?;
    let text = if bus <= 9 && ports.iter().all(|port| *port <= 15) {
        let digits: String = ports.iter().map(|port| format!("{port:x}")).collect();
        format!("{bus}{digits}{SERVICE_CHANNEL}")
    } else {
        let dotted: String = ports.iter().map(|port| format!("{port}.")).collect();
        format!("{bus}.{dotted}{SERVICE_CHANNEL}")
    };
    SlotPath::new(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_02_connection_paths() {
        let golden = [
            ("1-2.1.1", Some("12113")),
            ("1-1", Some("113")),
            ("3-1", Some("313")),
            ("1-2.4", Some("1243")),
            ("1-10.15", Some("1af3")),
            ("1-2.17", Some("1.2.17.3")),
            ("12-1", Some("12.1.3")),
            ("usb1", None),
            ("1-2:1.0", None),
            ("1-0:1.0", None),
            ("1-", None),
            ("1-+2", None),
            ("1-2..1", None),
            ("1-300", None),
            ("", None),
        ];
        for (name, expected) in golden {
            let path = connection_path(name);
            assert_eq!(path.as_ref().map(SlotPath::as_str), expected, "{name}");
        }
    }
}
