//! A leased interface board whose channels are terminals of the kernel.

use std::fs::File;
use std::path::PathBuf;

use lineside_terms::SlotPath;
use rustix::fs::{Access, access};

use super::sysfs::{Found, deliver_early};
use super::{Leased, NO_LINES, Places};
use crate::serial::{SerialWire, Tty};
use crate::{Board, Clock, Line, LineSettings, LinkError, Port, Wire};

/// The ports that manufacturing needs (`chip-to-pc-and-recovery.md` 1.2).
const NEEDED: [Port; 2] = [Port::Service, Port::Recovery];

/// Why a board could not be opened, without opening it: that would move its modem lines.
pub(super) fn trouble(board: &Found, places: &Places) -> Option<String> {
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
    service_is_open: std::rc::Weak<()>,
}

impl UsbBoard {
    pub(super) fn new(hold: Hold, found: Found, places: &Places, clock: &Clock, leased: Leased) -> Self {
        let (places, clock) = (places.clone(), clock.clone());
        Self {
            hold,
            found,
            places,
            clock,
            leased,
            service_is_open: std::rc::Weak::new(),
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
        let open = std::rc::Rc::new(());
        self.service_is_open = std::rc::Rc::downgrade(&open);
        Ok(Box::new(ServiceWire { wire, _open: open }))
    }
}

impl Board for UsbBoard {
    fn slot(&self) -> &SlotPath {
        &self.found.slot
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        let terminal = self.found.terminal(port, &self.places);
        let terminal = terminal.ok_or(LinkError::Lacking { what: "such port" })?;
        if !deliver_early(&terminal, &self.places) {
            tracing::debug!(?terminal, "the latency timer stays as it is");
        }
        match port {
            Port::Service => self.open_service(terminal),
            Port::Recovery | Port::Debug => Ok(Box::new(SerialWire::open(
                &terminal,
                LineSettings::CONSOLE,
                &self.clock,
            )?)),
        }
    }

    fn set_line(&mut self, _line: Line, _asserted: bool) -> Result<(), LinkError> {
        Err(LinkError::Lacking { what: NO_LINES })
    }
}

impl Drop for UsbBoard {
    fn drop(&mut self) {
        self.leased.borrow_mut().remove(&self.found.name);
    }
}

/// The wire over the terminal that is also the lease.
struct ServiceWire {
    wire: SerialWire,
    _open: std::rc::Rc<()>,
}

impl Wire for ServiceWire {
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
