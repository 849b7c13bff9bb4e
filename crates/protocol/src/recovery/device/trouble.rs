//! What can go wrong on a device in recovery, beside its line (`chip-to-pc-and-recovery.md` 5.8).

use crate::recovery::ErrorCode;

/// A moment in a recovery, as the device lives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// The bootloader has been acknowledged.
    Start,
    /// The capability file is there, or is known to be missing.
    Capability,
    /// The recovery application is there.
    Runtime,
    /// The host has answered the question of speed.
    Switch,
    /// Flash is erased.
    Erase,
    /// The manifest is there.
    Manifest,
    /// This image is there, counted from 0; the last one when there are fewer.
    Image(usize),
    /// The tables are to be written.
    Finish,
}

impl Moment {
    /// When a device may notice what this code says.
    pub const fn of(code: ErrorCode) -> Self {
        match code.number() {
            13 | 14 | 50..=52 | 202..=204 => Self::Start,
            4 | 205 | 206 => Self::Capability,
            3 | 104 | 105 => Self::Runtime,
            12 | 116 | 117 | 200 => Self::Switch,
            103 => Self::Erase,
            1 | 6 | 11 | 110..=115 | 150 | 151 => Self::Manifest,
            2 | 5 | 7..=10 | 101 | 102 | 107 => Self::Image(1),
            _ => Self::Finish,
        }
    }
}

/// How the switch of speed goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SwitchFault {
    /// It does not.
    #[default]
    None,
    /// The device's new speed is not the one that it says: neither end understands the other until it falls back.
    Off,
}

/// What goes wrong on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trouble {
    /// It gives up at this moment with this code; with 39.117 at the switch it goes on at the old speed.
    pub raise: Option<(Moment, ErrorCode)>,
    /// It hangs at this moment.
    pub hang: Option<Moment>,
    /// The switch of speed.
    pub switch: SwitchFault,
}

impl Trouble {
    /// Gives up with this code, when it may be noticed.
    pub const fn raising(code: ErrorCode) -> Self {
        Self {
            raise: Some((Moment::of(code), code)),
            hang: None,
            switch: SwitchFault::None,
        }
    }
}
