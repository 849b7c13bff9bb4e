//! The host's side of a recovery, as a machine without I/O or clock (`chip-to-pc-and-recovery.md` 5.6, 5.7).
//!
//! A driver enters recovery by the board's lines, opens the recovery UART at [`Uart::FIRST`] and makes a [`Host`]. Then it
//! does, over and over and in this order:
//!
//! 1. hand over what came in ([`Host::input`]);
//! 2. take what is to be sent ([`Host::output`]) and send it;
//! 3. take every [`Want`] ([`Host::next_want`]) and do it; each one that asks something has its answer: [`Host::configured`],
//!    [`Host::admit`], [`Host::supply`]. After that there may be more to send: back to 2;
//! 4. wait for bytes, or for [`Host::next_wake`].
//!
//! It ends with [`Want::Finish`]. Until [`Host::admit`] nothing is answered to a device, so nothing can be erased.
//! [`Host::flash`] tells at any moment whether anything can have been erased already.
//!
//! ```
//! use std::sync::Arc;
//! use lineside_protocol::recovery::host::{Host, Options, Supply, Want, Wanted};
//! use lineside_terms::Instant;
//!
//! # fn main() {
//! let mut now = Instant::ZERO;
//! let options = Options::new(Arc::from(&b"the bootloader"[..]));
//! let mut host = Host::new(options, now);
//!
//! // What the ROM says when the UART is opened.
//! host.input(b"RECOVERY\r\n0000362000008A01020A00008FC8C833\r\nC", now);
//! let mut out = Vec::new();
//! host.output(now, &mut out);
//! assert_eq!(out.len(), 133, "the first block of the bootloader");
//!
//! while let Some(want) = host.next_want() {
//!     match want {
//!         // Drain, change the UART's settings, then say so.
//!         Want::Configure(_uart) => host.configured(now),
//!         // Is this the device that this run is for, and may it be written to?
//!         Want::Admit(_device) => host.admit(true, now),
//!         Want::Supply(Wanted::Capability) => host.supply(Supply::Missing, now),
//!         Want::Supply(_file) => host.supply(Supply::File(Arc::from(&b"contents"[..])), now),
//!         Want::Note(_line) => {}
//!         Want::Finish(_outcome) => {}
//!     }
//! }
//! assert!(host.flash().may_retry());
//! assert!(host.next_wake().is_some());
//! # }
//! ```

mod console;
mod failure;
mod machine;
mod messages;

use std::fmt;
use std::sync::Arc;

use lineside_terms::DeviceId;

use super::Event;
use crate::xmodem::BlockSize;

pub use self::failure::Failure;
pub use self::machine::Host;

/// Settings of the recovery UART, eight data bits, no parity, one stop bit (`chip-to-pc-and-recovery.md` 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uart {
    /// Bits per second.
    pub baud: u32,
    /// True for RTS/CTS flow control.
    pub rts_cts: bool,
}

impl Uart {
    /// For ROM and bootloader, and for the boot messages.
    pub const FIRST: Self = Self {
        baud: 115_200,
        rts_cts: false,
    };
    /// For the recovery application at high speed.
    pub const HIGH: Self = Self {
        baud: 3_000_000,
        rts_cts: true,
    };
    /// For the recovery application at low speed.
    pub const LOW: Self = Self {
        baud: 115_200,
        rts_cts: true,
    };
}

/// What a host is to do.
#[derive(Clone)]
pub struct Options {
    /// What the ROM is sent: `recovery-1bl-rtm.bin` of the image set.
    pub bootloader: Arc<[u8]>,
    /// Whether the images go over the wire at 3 Mbaud. It falls back by itself.
    pub high_speed: bool,
    /// Whether the device is asked to tell more.
    pub verbose: bool,
    /// How large the blocks are that are sent (A-11).
    pub block: BlockSize,
}

impl Options {
    /// High speed, few words, short blocks.
    pub const fn new(bootloader: Arc<[u8]>) -> Self {
        Self {
            bootloader,
            high_speed: true,
            verbose: false,
            block: BlockSize::Short,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("high_speed", &self.high_speed)
            .field("verbose", &self.verbose)
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}

/// What the machine wants of its driver. [`Want::Note`] and [`Want::Finish`] ask for no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Send what was taken from [`Host::output`], wait until it has left, change the settings, call [`Host::configured`].
    Configure(Uart),
    /// A device announced itself. It is not answered before [`Host::admit`]: look whether the run is for it and whether
    /// it is protected.
    Admit(DeviceId),
    /// The device asks for a file: [`Host::supply`].
    Supply(Wanted),
    /// Something to be told.
    Note(Note),
    /// It is over.
    Finish(Result<(), Failure>),
}

/// Which file a device asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The capability file; [`Supply::Missing`] is an ordinary answer.
    Capability,
    /// A file of the image set, by the name that the device gave: the [runtime](super::RUNTIME), the
    /// [manifest](super::MANIFEST), an image. It consists of letters, digits, dots, dashes and underscores.
    File(String),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability => f.write_str("the capability file"),
            Self::File(name) => f.write_str(name),
        }
    }
}

/// The driver's answer to [`Want::Supply`].
#[derive(Clone)]
pub enum Supply {
    /// It is this. Nothing is copied.
    File(Arc<[u8]>),
    /// There is none.
    Missing,
    /// The device has no business with it.
    Withheld,
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(bytes) => write!(f, "File({} bytes)", bytes.len()),
            Self::Missing => f.write_str("Missing"),
            Self::Withheld => f.write_str("Withheld"),
        }
    }
}

/// Something to be told; none of it steers anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A line of text from the console: banner, boot words.
    Console(String),
    /// A line that the recovery tells about itself. Control characters are gone.
    Log(String),
    /// The device told of an event.
    Event(Event),
    /// The device goes on at the old speed.
    SwitchFailed,
}

/// Where a recovery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Waiting for the ROM to ask for a bootloader.
    Entering,
    /// Sending it.
    Booting,
    /// The ROM looks at it.
    Checking,
    /// It starts, and has not yet said who it is.
    Starting,
    /// The device has said who it is; the driver has not admitted it.
    Announced,
    /// It was admitted: capability file and recovery application.
    Preparing,
    /// Speed is switched, and the erase may begin at any moment.
    Switching,
    /// Flash is being erased.
    Erasing,
    /// Manifest and images.
    Writing,
    /// All images are there; the device writes its tables.
    Finishing,
    /// It is over.
    Over,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entering => "the ROM was waited for",
            Self::Booting => "the bootloader was sent",
            Self::Checking => "the ROM looked at the bootloader",
            Self::Starting => "the bootloader started",
            Self::Announced => "it waited to be admitted",
            Self::Preparing => "the recovery application was started",
            Self::Switching => "the speed was switched",
            Self::Erasing => "flash was erased",
            Self::Writing => "images were written",
            Self::Finishing => "the last tables were written",
            Self::Over => "nothing was under way",
        })
    }
}

/// Whether the device can have lost its software.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flash {
    /// Nothing was erased: one retry of the whole recovery is in order (A-08).
    Untouched,
    /// The erase has begun or may have: the device needs recovery, whatever it answers. Said from the answer on after
    /// which a device erases without asking again, not only from its word that it has begun, which may get lost.
    AtRisk,
}

/// How far it has come. Cheap to take at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of images that have been acknowledged.
    pub bytes: u64,
    /// Bytes of all images, once the device has told.
    pub total_bytes: Option<u64>,
    /// Images that are done.
    pub images: u32,
    /// Images in all, once the device has told.
    pub total_images: Option<u32>,
    /// Bytes of the file that is under way, of so many.
    pub file: (u64, u64),
}
