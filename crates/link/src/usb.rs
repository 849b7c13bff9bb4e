//! Interface boards on this computer's USB.
//!
//! On Linux boards are found in sysfs by USB ids **and** product string (`chip-to-pc-and-recovery.md` 1.1). Their UARTs
//! are terminals of the kernel's own driver; for reset and strap lines the channels that nobody else needs are taken
//! from that driver (`chip-to-pc-and-recovery.md` 1.4), which takes the right to write the USB device. A lease is a
//! lock of the kernel on the board's service terminal, so it ends with the process.
//!
//! On Windows everything goes through FTDI's driver, see [`crate::ftdi::d2xx`]; the open service channel is the lease.
//! On other systems no board is listed.

#[cfg(target_os = "linux")]
mod board;
#[cfg(target_os = "linux")]
pub(crate) mod holders;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) mod sysfs;
#[cfg(windows)]
mod windows;

use std::fmt;
use std::path::PathBuf;

use futures::future::LocalBoxFuture;
use lineside_terms::SlotPath;

use crate::{Bench, Board, BoardInfo, Clock, LinkError, Watch};

#[cfg(target_os = "linux")]
use linux::Inner;
#[cfg(windows)]
use windows::Inner;

/// What [`LinkError::Lacking`] says when a board's lines cannot be driven.
pub(crate) const NO_LINES: &str = "reset line that can be reached from here";
/// What [`LinkError::Lacking`] says when this user must not drive them.
pub(crate) const NO_ACCESS: &str = "reset line that this user may drive";

/// Where the kernel tells about devices. Tests build their own.
#[derive(Debug, Clone)]
pub struct Places {
    /// Usually `/sys`.
    pub sysfs: PathBuf,
    /// Where terminals are, usually `/dev`.
    pub dev: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            sysfs: "/sys".into(),
            dev: "/dev".into(),
        }
    }
}

/// All interface boards on this computer's USB.
pub struct UsbBench {
    inner: std::rc::Rc<Inner>,
}

impl fmt::Debug for UsbBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsbBench").finish_non_exhaustive()
    }
}

impl UsbBench {
    /// The boards of this computer; `places` count on Linux alone. The clock tells when to look again and paces the
    /// wires.
    pub fn new(places: Places, clock: Clock) -> Self {
        Self {
            inner: Inner::new(places, clock).into(),
        }
    }
}

impl Bench for UsbBench {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        self.inner.list()
    }

    fn watch(&self) -> Watch {
        Inner::watch(&self.inner)
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        self.inner.lease(slot, holder)
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
struct Inner;

#[cfg(not(any(target_os = "linux", windows)))]
impl Inner {
    fn new(_places: Places, _clock: Clock) -> Self {
        Self
    }

    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn watch(_this: &std::rc::Rc<Self>) -> Watch {
        Box::pin(futures::stream::pending())
    }

    fn lease(&self, slot: &SlotPath, _holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let slot = slot.clone();
        Box::pin(async { Err(LinkError::NoBoard { slot }) })
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
