//! A leased interface board whose channels are terminals of the kernel.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use lineside_terms::SlotPath;
use rustix::fs::{Access, access};

use super::linux::{Leased, OpenChip};
use super::sysfs::{Found, deliver_early};
use super::{NO_ACCESS, NO_LINES, Places};
use crate::ftdi::driver::{Channels, Lines};
use crate::ftdi::{Channel, Chip, Transport};
use crate::serial::{SerialWire, Tty};
use crate::{Board, Clock, Line, LineSettings, LinkError, Port, Wire};

/// The ports that manufacturing needs (`chip-to-pc-and-recovery.md` 1.2).
const NEEDED: [Port; 2] = [Port::Service, Port::Recovery];

/// Why a board could not be opened, without opening it: that would move its modem lines.
pub(super) fn trouble(board: &Found, places: &Places) -> Option<String> {
    no_terminals(board, places).or_else(|| no_lines(board, places))
}

/// Without the right to write the USB device everything works but the lines.
fn no_lines(board: &Found, places: &Places) -> Option<String> {
    let node = board.node(places)?;
    let error = match access(&node, Access::READ_OK | Access::WRITE_OK) {
        // Where devices have no nodes, nothing is known.
        Ok(()) | Err(rustix::io::Errno::NOENT) => return None,
        Err(error) => std::io::Error::from(error),
    };
    Some(format!(
        "{}: {error}; its reset and recovery lines cannot be driven: install the udev rules of packaging/udev",
        node.display()
    ))
}

fn no_terminals(board: &Found, places: &Places) -> Option<String> {
    NEEDED.into_iter().find_map(|port| {
        let Some(terminal) = board.terminal(port, places) else {
            return Some("the kernel offers no serial ports for it: load its driver ftdi_sio".to_owned());
        };
        let error = access(&terminal, Access::READ_OK | Access::WRITE_OK).err()?;
        let reason = std::io::Error::from(error);
        Some(format!(
            "{}: {reason}; give this user the right to read and write it",
            terminal.display()
        ))
    })
}

/// A terminal was opened by its name. Names go to other boards when boards come and go, so that what was opened is this
/// board's only if the name still is: an attachment keeps its terminals, and its number is not given again while it lasts.
fn still_named(board: &Found, port: Port, terminal: &Path, places: &Places) -> Result<(), LinkError> {
    let now = board.again(places).and_then(|board| board.terminal(port, places));
    match now.as_deref() == Some(terminal) {
        true => Ok(()),
        false => Err(LinkError::Departed),
    }
}

/// The lease of a board: its service terminal, locked.
#[derive(Debug)]
pub(super) struct Hold(File);

impl Hold {
    /// Takes the lease; `None` when somebody has it.
    pub(super) fn take(board: &Found, places: &Places) -> Result<Option<Self>, LinkError> {
        let Some(terminal) = board.service_terminal(places) else {
            return Err(LinkError::Lacking { what: "such port" });
        };
        let held = Tty::hold(&terminal);
        let held = held.map_err(|error| LinkError::io(format!("open {}", terminal.display()), &error))?;
        still_named(board, Port::Service, &terminal, places)?;
        Ok(held.map(Self))
    }
}

pub(super) struct UsbBoard {
    hold: Hold,
    found: Found,
    places: Places,
    clock: Clock,
    leased: Leased,
    /// Held while the service wire is open: the lock on its terminal is ours already and cannot tell.
    service_is_open: Weak<()>,
    /// Held while the debug wire is open: its channel must not be taken from the kernel then.
    debug_is_open: Weak<()>,
    chips: OpenChip,
    /// How lines are driven, once somebody did.
    driven: Option<(Channels, Lines)>,
}

impl UsbBoard {
    pub(super) fn new(
        hold: Hold,
        found: Found,
        places: &Places,
        clock: &Clock,
        leased: Leased,
        chips: &OpenChip,
    ) -> Self {
        let (places, clock) = (places.clone(), clock.clone());
        if let Err(error) = chips(&found).and_then(|chip| chip.release_lines()) {
            tracing::debug!(%error, slot = %found.slot, "the lines stay as they are");
        }
        Self {
            hold,
            found,
            places,
            clock,
            leased,
            service_is_open: Weak::new(),
            debug_is_open: Weak::new(),
            chips: Rc::clone(chips),
            driven: None,
        }
    }

    fn open_service(&mut self, terminal: PathBuf) -> Result<Box<dyn Wire>, LinkError> {
        if self.service_is_open.upgrade().is_some() {
            return Err(LinkError::PortOpen);
        }
        let name = terminal.display().to_string();
        let tty = self.hold.0.try_clone().and_then(Tty::over);
        let tty = tty.map_err(|error| LinkError::io(format!("open {name}"), &error))?;
        let wire = SerialWire::over(tty, name, LineSettings::SERVICE, &self.clock)?;
        let open = Rc::new(());
        self.service_is_open = Rc::downgrade(&open);
        Ok(Box::new(KnownWire { wire, _open: open }))
    }

    fn driven(&mut self) -> Result<&mut (Channels, Lines), LinkError> {
        if self.driven.is_none() {
            let is_there = |board: &Self| board.found.again(&board.places).ok_or(LinkError::Departed);
            is_there(self)?;
            let chip = (self.chips)(&self.found).map_err(|error| match error {
                LinkError::Lacking { what: NO_ACCESS } => error,
                error => {
                    tracing::warn!(%error, slot = %self.found.slot, "the lines cannot be reached");
                    LinkError::Lacking { what: NO_LINES }
                }
            })?;
            // What was opened by its place is this board only if nobody else sits there since.
            is_there(self)?;
            self.driven = Some((Channels::new(Box::new(LinesOnly(chip))), Lines::default()));
        }
        Ok(self.driven.as_mut().expect("it was put there"))
    }
}

impl Board for UsbBoard {
    fn slot(&self) -> &SlotPath {
        &self.found.slot
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        // Its names may be another board's by now; and a channel that was given back to the kernel has another one.
        self.found = self.found.again(&self.places).ok_or(LinkError::Departed)?;
        let terminal = self.found.terminal(port, &self.places);
        let terminal = terminal.ok_or(LinkError::Lacking { what: "such port" })?;
        if !deliver_early(&terminal, &self.places) {
            tracing::debug!(?terminal, "the latency timer stays as it is");
        }
        match port {
            Port::Service => self.open_service(terminal),
            Port::Recovery | Port::Debug => {
                let wire = SerialWire::open(&terminal, LineSettings::CONSOLE, &self.clock)?;
                still_named(&self.found, port, &terminal, &self.places)?;
                let open = Rc::new(());
                if port == Port::Debug {
                    self.debug_is_open = Rc::downgrade(&open);
                }
                Ok(Box::new(KnownWire { wire, _open: open }))
            }
        }
    }

    /// Waits for the interface chip, some milliseconds: a line that is driven later than told would be held for less
    /// than it must be.
    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        if line == Line::RecoveryStrap && asserted && self.debug_is_open.upgrade().is_some() {
            return Err(LinkError::PortOpen);
        }
        let (channels, lines) = self.driven()?;
        lines.set(channels, line, asserted)
    }
}

impl Drop for UsbBoard {
    fn drop(&mut self) {
        if let Some((channels, lines)) = &mut self.driven {
            lines.release(channels);
        }
        self.leased.borrow_mut().remove(&self.found.name);
    }
}

/// The channels that may be taken from the kernel's driver: the others are terminals that are in use.
struct LinesOnly(Box<dyn Chip>);

impl Chip for LinesOnly {
    fn open(&self, channel: Channel) -> Result<Box<dyn Transport>, LinkError> {
        match channel {
            Channel::A | Channel::B => self.0.open(channel),
            Channel::C | Channel::D => Err(LinkError::Lacking { what: NO_LINES }),
        }
    }
}

/// A wire that is known to be open as long as it is.
struct KnownWire {
    wire: SerialWire,
    _open: Rc<()>,
}

impl Wire for KnownWire {
    fn poll_read(
        &mut self,
        cx: &mut std::task::Context<'_>,
        into: &mut [u8],
    ) -> std::task::Poll<Result<usize, LinkError>> {
        self.wire.poll_read(cx, into)
    }

    fn poll_write(
        &mut self,
        cx: &mut std::task::Context<'_>,
        from: &[u8],
    ) -> std::task::Poll<Result<usize, LinkError>> {
        self.wire.poll_write(cx, from)
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.wire.configure(settings)
    }
}
