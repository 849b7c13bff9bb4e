//! The device's side of a recovery, as a machine without I/O or clock (`chip-to-pc-and-recovery.md` 5.10): ROM,
//! bootloader and recovery application of a chip that was reset with the strap high.
//!
//! Whoever simulates a chip makes a [`Device`] when reset is let go of, drops it when reset is asserted or supply goes,
//! and in between feeds bytes in ([`Device::input`]), takes bytes out ([`Device::output`]), does what [`Device::next_act`]
//! says, and comes back at [`Device::next_wake`]. What blobs are worth is decided outside, by a [`Verifier`]; flash is
//! outside, too: it is gone from [`Act::EraseBegins`] on, and holds what was written from [`Act::Recovered`] on.

mod machine;
mod sequence;
mod trouble;

use std::time::Duration;

use lineside_terms::DeviceId;

use super::ErrorCode;
use super::assume::{
    COMPLETE_REFUSES, PIECE, REPEAT_AFTER, ROM_ASKS_EVERY, SWITCH_AFTER, SWITCH_ASKS, TAKES_1K, UNSEEN_EVENTS,
};
use super::host::Uart;

pub use self::machine::Device;
pub use self::trouble::{Moment, SwitchFault, Trouble};

/// Decides what blobs are worth, and takes what is written.
pub trait Verifier {
    /// Whether the ROM starts these bytes. They are followed by the padding of the last block.
    fn bootloader(&mut self, bytes: &[u8]) -> bool;

    /// Puts a capability file in force.
    ///
    /// # Errors
    /// The code with which the device gives up.
    fn capability(&mut self, bytes: &[u8]) -> Result<(), ErrorCode>;

    /// Looks at the recovery application.
    ///
    /// # Errors
    /// As [`capability`](Self::capability).
    fn runtime(&mut self, bytes: &[u8]) -> Result<(), ErrorCode>;

    /// Whether the device may be recovered; asked when capability file or its absence is known and nothing is erased.
    fn may_recover(&self) -> bool;

    /// Looks at the manifest, and tells name and length of each image in the order in which they are to be fetched.
    ///
    /// # Errors
    /// As [`capability`](Self::capability).
    fn manifest(&mut self, bytes: &[u8]) -> Result<Vec<(String, u32)>, ErrorCode>;

    /// Takes a piece of an image, counted from 0; pieces come in order.
    fn write(&mut self, image: usize, piece: &[u8]);

    /// Looks at an image that was written whole.
    ///
    /// # Errors
    /// As [`capability`](Self::capability).
    fn written(&mut self, image: usize) -> Result<(), ErrorCode>;
}

/// What happens to the chip around the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Its recovery UART has other settings from now on.
    Configure(Uart),
    /// The bootloader runs.
    Started,
    /// Flash is gone.
    EraseBegins,
    /// Everything is written: the next boot is one of the new software.
    Recovered,
    /// It has given up and says nothing more.
    Failed(ErrorCode),
    /// The host called it off; it says nothing more.
    Aborted,
}

/// How long a device takes for what it does, the wire not counted (`chip-to-pc-and-recovery.md` 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From reset to the first word of the ROM.
    pub rom: Duration,
    /// From the last block of the bootloader to its first word; half of it the ROM looks at it.
    pub bootloader: Duration,
    /// From the last block of the recovery application to its first word.
    pub application: Duration,
    /// From the last byte that came in to the first byte that goes out in answer to it.
    pub turn_around: Duration,
    /// Erasing flash.
    pub erase: Duration,
    /// Writing one piece of an image.
    pub piece: Duration,
    /// Writing the last tables.
    pub finish: Duration,
}

impl Times {
    /// As the captured logs are explained best.
    pub const REAL: Self = Self {
        rom: Duration::from_millis(500),
        bootloader: Duration::from_millis(300),
        application: Duration::from_millis(300),
        turn_around: Duration::from_micros(2500),
        erase: Duration::from_secs(20),
        piece: Duration::from_millis(60),
        finish: Duration::from_millis(1500),
    };

    /// No time at all.
    pub const NONE: Self = Self {
        rom: Duration::ZERO,
        bootloader: Duration::ZERO,
        application: Duration::ZERO,
        turn_around: Duration::ZERO,
        erase: Duration::ZERO,
        piece: Duration::ZERO,
        finish: Duration::ZERO,
    };
}

/// What is only assumed of devices, each of it to be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manners {
    /// how often the ROM asks.
    pub rom_asks_every: Duration,
    /// the ROM has a word for a bootloader that it refuses; else it only asks again.
    pub says_bad: bool,
    /// blocks of 1024 bytes are taken.
    pub takes_long_blocks: bool,
    /// how often a question is repeated.
    pub repeat_after: Duration,
    /// the numbers of the events that were never seen.
    pub unseen_events: [u8; 4],
    /// the first two of them are sent at all.
    pub tells_of_runtime: bool,
    /// how many bytes of an image are asked for at once.
    pub piece: u32,
    /// how long after the host's word the speed is switched.
    pub switch_after: Duration,
    /// how often and how long the host is looked for then.
    pub switch_asks: (Duration, Duration),
    /// the host is looked for at all; else the erase begins at once.
    pub asks_after_switch: bool,
    /// it goes on at the old speed when nobody is there at the new one; else it gives up with 39.116.
    pub falls_back: bool,
    /// a complete device needs a capability.
    pub complete_refuses: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            rom_asks_every: ROM_ASKS_EVERY,
            says_bad: true,
            takes_long_blocks: TAKES_1K,
            repeat_after: REPEAT_AFTER,
            unseen_events: UNSEEN_EVENTS,
            tells_of_runtime: false,
            piece: PIECE,
            switch_after: SWITCH_AFTER,
            switch_asks: SWITCH_ASKS,
            asks_after_switch: true,
            falls_back: true,
            complete_refuses: COMPLETE_REFUSES,
        }
    }
}

/// What a device is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who it is.
    pub id: DeviceId,
    /// How long things take.
    pub times: Times,
    /// What is only assumed.
    pub manners: Manners,
    /// What goes wrong.
    pub trouble: Trouble,
}

impl Options {
    /// A sound device that takes no time.
    pub fn new(id: DeviceId) -> Self {
        Self {
            id,
            times: Times::NONE,
            manners: Manners::default(),
            trouble: Trouble::default(),
        }
    }
}

/// Where a device is in its recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The ROM waits for a bootloader or looks at it.
    Rom,
    /// The bootloader runs.
    Bootloader,
    /// The recovery application runs, flash is as it was.
    Application,
    /// Flash is being erased.
    Erasing,
    /// Manifest and images.
    Writing,
    /// The last tables.
    Finishing,
    /// Recovered.
    Done,
    /// Given up.
    Failed,
}
