//! What is assumed of the link, because no public source tells it. Ids are those of the register in
//! `chip-to-pc-and-recovery.md` section 10; assumptions without an id there are named by file and section.

/// **A-03** (`chip-to-pc-and-recovery.md` 2.1): the longest IPv4 packet in bytes that either end accepts. No end
/// ever sends a longer one.
pub const MTU: usize = 1500;

/// **A-03**: other MTUs in bytes that a device may turn out to have, since common SLIP drivers default to them: an
/// end must work with these too.
pub const OTHER_MTUS: [usize; 2] = [296, 576];

/// **A-03**: the longest TCP segment in bytes that an end offers to take, the MTU less 40 bytes of headers.
pub const MSS: usize = MTU - 40;

/// **A-04** (`chip-to-pc-and-recovery.md` 2.2): every device is this address on its own wire, however many are
/// attached to one PC.
pub const DEVICE_ADDRESS: [u8; 4] = crate::rest::http::DEVICE_ADDRESS;
