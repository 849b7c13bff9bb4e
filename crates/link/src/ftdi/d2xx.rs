//! The transport through FTDI's own driver, D2XX: the way in on Windows, where that driver owns the boards
//! (`windows.md` 3).
//!
//! `ftd2xx.dll` is loaded when boards are looked for, never linked and never shipped. [`Calls`] is the table of its
//! functions, so that anything that keeps their contracts can stand in its place on any system. Channels are opened by
//! location alone: serial numbers are not unique, and the order of devices means nothing.

mod bench;
mod calls;
mod list;
mod transport;

pub use bench::{D2xxBench, SystemPaths};
pub use calls::{Calls, DRIVER, DeviceNode, Driver, Handle, NODE_DESCRIPTION, NODE_SERIAL};
pub use list::{Found, SystemBoard, boards, path_of_location, path_of_system};
pub use transport::{D2xxChip, D2xxTransport};
