//! Reset and strap of boards whose UARTs are terminals of the kernel.

use super::super::linux::Inner;
use super::*;
use crate::ftdi::{BitMode, Channel, Chip, ModemStatus, Transport};
use crate::{Board, LineSettings};
use std::os::unix::fs::PermissionsExt as _;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// What was asked of a chip, in order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Recorded(Asked, Channel);

impl Transport for Recorded {
    fn set_bit_mode(&mut self, mode: BitMode, mask: u8) -> Result<(), LinkError> {
        self.0
            .note(format!("{:?} mode {} mask {mask:02x}", self.1, mode.number()));
        Ok(())
    }

    fn set_pins(&mut self, levels: u8) -> Result<(), LinkError> {
        self.0.note(format!("{:?} pins {levels:02x}", self.1));
        Ok(())
    }

    fn configure(&mut self, _: LineSettings) -> Result<(), LinkError> {
        unreachable!("the terminals do that")
    }

    fn set_latency(&mut self, _: u8) -> Result<(), LinkError> {
        unreachable!("the terminals do that")
    }

    fn set_event_character(&mut self, _: Option<u8>) -> Result<(), LinkError> {
        unreachable!("the terminals do that")
    }

    fn pins(&mut self) -> Result<u8, LinkError> {
        unreachable!("nobody reads pins")
    }

    fn purge_received(&mut self) -> Result<(), LinkError> {
        unreachable!("the terminals do that")
    }

    fn purge_unsent(&mut self) -> Result<(), LinkError> {
        unreachable!("the terminals do that")
    }

    fn modem_status(&mut self) -> Result<ModemStatus, LinkError> {
        unreachable!("the terminals do that")
    }

    fn queued(&mut self) -> Result<usize, LinkError> {
        unreachable!("the terminals do that")
    }

    fn read(&mut self, _: &mut [u8]) -> Result<usize, LinkError> {
        unreachable!("the terminals do that")
    }

    fn write(&mut self, _: &[u8]) -> Result<usize, LinkError> {
        unreachable!("the terminals do that")
    }

    fn overruns(&self) -> u64 {
        unreachable!("the terminals do that")
    }

    fn eeprom_word(&mut self, _: u16) -> Result<u16, LinkError> {
        unreachable!("nobody reads the EEPROM")
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.0.note(format!("{:?} given back", self.1));
    }
}

struct RecordedChip(Asked);

impl Chip for RecordedChip {
    fn open(&self, channel: Channel) -> Result<Box<dyn Transport>, LinkError> {
        self.0.note(format!("{channel:?} taken"));
        Ok(Box::new(Recorded(self.0.clone(), channel)))
    }

    fn release_lines(&self) -> Result<(), LinkError> {
        self.0.note("all released".into());
        Ok(())
    }
}

fn leased(fake: &Fake, asked: &Asked) -> Box<dyn Board> {
    let asked = asked.clone();
    let chips =
        move |_: &_| -> Result<Box<dyn Chip>, LinkError> { Ok(Box::new(RecordedChip(asked.clone()))) };
    let inner = Rc::new(Inner::with(fake.places(), Clock::precise(), Rc::new(chips)));
    block_on(inner.lease(&slot("113"), "test")).unwrap()
}

/// `chip-to-pc-and-recovery.md` 1.4, R1: A and B are taken from the kernel's driver, C and D never.
#[test]
fn lines_are_driven_by_channels_a_and_b_alone() {
    run(async {
        let fake = Fake::new();
        let _ends = fake.plug("1-1", 3, 0);
        let asked = Asked::default();
        let mut board = leased(&fake, &asked);
        let _wires = (
            board.open(Port::Service).unwrap(),
            board.open(Port::Recovery).unwrap(),
        );
        assert_eq!(asked.take(), ["all released"], "what a killed program left");
        crate::reset(board.as_mut(), &Clock::precise()).await.unwrap();
        assert_eq!(
            asked.take(),
            [
                "B taken",
                "B mode 1 mask 40",
                "B pins 00",
                "B pins 40",
                "B mode 0 mask 00"
            ]
        );
        board.set_line(Line::RecoveryStrap, true).unwrap();
        assert_eq!(asked.take(), ["A taken", "A mode 1 mask 08", "A pins 08"]);
        board.set_line(Line::Reset, true).unwrap();
        assert_eq!(asked.take(), ["B mode 1 mask 40", "B pins 00"]);
        drop(board);
        assert_eq!(
            asked.take(),
            [
                "B mode 0 mask 00",
                "A mode 0 mask 00",
                "A given back",
                "B given back"
            ]
        );
    });
}

#[test]
fn the_debug_channel_is_not_taken_while_its_wire_is_open() {
    run(async {
        let fake = Fake::new();
        let _ends = fake.plug("1-1", 3, 0);
        let asked = Asked::default();
        let mut board = leased(&fake, &asked);
        let wire = board.open(Port::Debug).unwrap();
        assert_eq!(
            board.set_line(Line::RecoveryStrap, true),
            Err(LinkError::PortOpen)
        );
        assert_eq!(asked.take(), ["all released"]);
        drop(wire);
        board.set_line(Line::RecoveryStrap, true).unwrap();
        board.set_line(Line::RecoveryStrap, false).unwrap();
        // The kernel makes another terminal for the channel that comes back.
        let interface = fake.places().sysfs.join("bus/usb/devices/1-1:1.0");
        fs::rename(interface.join("ttyUSB0"), interface.join("ttyUSB9")).unwrap();
        fs::rename(
            fake.places().dev.join("ttyUSB0"),
            fake.places().dev.join("ttyUSB9"),
        )
        .unwrap();
        board.open(Port::Debug).unwrap();
    });
}

#[test]
fn without_the_right_to_the_usb_device_the_rest_works() {
    run(async {
        let fake = Fake::new();
        let _ends = fake.plug("1-1", 3, 0);
        let chips =
            |_: &_| -> Result<Box<dyn Chip>, LinkError> { Err(LinkError::Lacking { what: NO_ACCESS }) };
        let inner = Rc::new(Inner::with(fake.places(), Clock::precise(), Rc::new(chips)));
        let mut board = inner.lease(&slot("113"), "test").await.unwrap();
        board.open(Port::Service).unwrap();
        let refused = board.set_line(Line::Reset, true).unwrap_err();
        assert_eq!(refused, LinkError::Lacking { what: NO_ACCESS });
        let help = lineside_terms::Explain::help(&refused);
        assert!(help.contains("packaging/udev"), "{help}");
    });
}

#[test]
fn a_usb_device_that_may_not_be_written_is_told_when_listing() {
    let fake = Fake::new();
    let _ends = fake.plug("1-1", 3, 0);
    let node = fake.places().dev.join("bus/usb/001/003");
    fs::create_dir_all(node.parent().unwrap()).unwrap();
    fs::write(&node, "").unwrap();
    fs::set_permissions(&node, fs::Permissions::from_mode(0o400)).unwrap();
    let listed = if rustix::process::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        fs::set_permissions(fake.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for terminal in ["ttyUSB2", "ttyUSB3"] {
            let terminal = fs::canonicalize(fake.places().dev.join(terminal)).unwrap();
            fs::set_permissions(terminal, fs::Permissions::from_mode(0o666)).unwrap();
        }
        let output = other("prints_trouble", &fake)
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    } else {
        format!(
            "{:?}",
            block_on(fake.bench(&Clock::by_hand().0).list()).unwrap()[0].trouble
        )
    };
    assert!(listed.contains("bus/usb/001/003: Permission denied"), "{listed}");
    assert!(listed.contains("install the udev rules"), "{listed}");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        block_on(fake.bench(&Clock::by_hand().0).list()).unwrap()[0].trouble,
        None
    );
}
