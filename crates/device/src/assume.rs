//! What no public source tells about reaching a device, each with its assumption id. A trace of a real board settles
//! these here and nowhere else.

use std::time::Duration;

/// A-07 (`chip-to-pc-and-recovery.md` 3): one attempt to connect by TCP may take 2 s, and there are two.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);
/// See [`CONNECT`].
pub(crate) const CONNECT_TRIES: u32 = 2;

/// A-27 (`chip-to-pc-and-recovery.md` 7.1): uploads reach 60 to 80 of the 92 kB/s of the wire, so they get twice the
/// time that the wire alone takes.
pub(crate) const UPLOAD_FACTOR: u64 = 2;
