//! Why a recovery did not come to its end, as the host sees it.

use std::time::Duration;

use lineside_terms::{Blame, DeviceId, Explain};

use super::{Flash, Phase};
use crate::recovery::ErrorCode;
use crate::xmodem::Fault;

/// Why a recovery ended without success. Whether the device has lost its software is told by
/// [`Host::flash`](super::Host::flash), not by the kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The ROM never asked for a bootloader.
    #[error("the chip's ROM did not ask for a bootloader within {} s", after.as_secs())]
    NoRom {
        /// How long it was waited for.
        after: Duration,
    },
    /// The chip booted as usual instead of entering recovery.
    #[error("the chip booted as usual instead of entering recovery")]
    BootedNormally,
    /// The ROM refused the bootloader.
    #[error("the chip's ROM refused the recovery bootloader")]
    BootloaderRefused,
    /// The device said nothing more.
    #[error("the device said nothing for {} s while {phase}", after.as_secs())]
    Silent {
        /// What was under way.
        phase: Phase,
        /// How long it was waited for.
        after: Duration,
    },
    /// The recovery as a whole took too long.
    #[error("the recovery was not finished within {} s", limit.as_secs())]
    TooLong {
        /// The limit.
        limit: Duration,
    },
    /// The device speaks another version of the protocol.
    #[error("the device speaks version {version} of the recovery protocol, which is not supported")]
    UnsupportedVersion {
        /// The version.
        version: u32,
    },
    /// The driver did not admit the device.
    #[error("device {} announced itself and was not admitted", device.short())]
    NotAdmitted {
        /// Who it is.
        device: DeviceId,
    },
    /// A device announced itself when another one had been admitted.
    #[error("device {} announced itself in the middle of the recovery of {}", announced.short(), admitted.short())]
    AnotherDevice {
        /// Who was admitted.
        admitted: DeviceId,
        /// Who announced itself.
        announced: DeviceId,
    },
    /// The chip began from the start in the middle of it.
    #[error("the chip started anew while {phase}")]
    Restarted {
        /// What was under way.
        phase: Phase,
    },
    /// A file did not come through.
    #[error("sending {file} failed")]
    Transfer {
        /// The file.
        file: String,
        /// What happened.
        #[source]
        fault: Fault,
    },
    /// The device gave up and said why.
    #[error("the device reported error {code} while {phase}")]
    Device {
        /// What it said.
        code: ErrorCode,
        /// What was under way.
        phase: Phase,
    },
    /// The device said that all is done when it cannot be.
    #[error("the device said that the recovery is complete while {phase}")]
    OutOfPlace {
        /// What was under way.
        phase: Phase,
    },
    /// The driver stopped it.
    #[error("the recovery was stopped")]
    Stopped,
}

impl Failure {
    /// The vendor's code that says the same (`chip-to-pc-and-recovery.md` 5.8): the device's own one if it gave one.
    pub const fn common_code(&self) -> ErrorCode {
        ErrorCode::recovery(match self {
            Self::Device { code, .. } => return *code,
            Self::NoRom { .. } | Self::BootedNormally => 12,
            Self::BootloaderRefused => 2,
            Self::Silent { .. } | Self::TooLong { .. } => 203,
            Self::UnsupportedVersion { .. } => 13,
            Self::NotAdmitted { .. } | Self::AnotherDevice { .. } => 151,
            Self::Restarted { .. } | Self::OutOfPlace { .. } => 105,
            Self::Transfer { .. } => 107,
            Self::Stopped => 100,
        })
    }
}

impl Explain for Failure {
    fn code(&self) -> &'static str {
        match self {
            Self::NoRom { .. } => "recovery.no-rom",
            Self::BootedNormally => "recovery.booted-normally",
            Self::BootloaderRefused => "recovery.bootloader-refused",
            Self::Silent { .. } => "recovery.silent",
            Self::TooLong { .. } => "recovery.too-long",
            Self::UnsupportedVersion { .. } => "recovery.unsupported-version",
            Self::NotAdmitted { .. } => "recovery.not-admitted",
            Self::AnotherDevice { .. } => "recovery.another-device",
            Self::Restarted { .. } => "recovery.restarted",
            Self::Transfer { .. } => "recovery.transfer-failed",
            Self::Device { .. } => "recovery.device-error",
            Self::OutOfPlace { .. } => "recovery.out-of-place",
            Self::Stopped => "recovery.stopped",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NoRom { .. } => {
                "Check the recovery connector (J4) and the recovery strap, that the board has power and that the chip is \
                 not in PowerDown; then try again. Nothing was erased."
            }
            Self::BootedNormally => {
                "The recovery strap was not seen: check its wiring. Nothing was erased."
            }
            Self::BootloaderRefused => {
                "The image set is not one for this chip, or its bootloader is damaged: verify the set. Nothing was erased."
            }
            Self::Silent { .. } | Self::TooLong { .. } => {
                "Check the cable and the recovery UART, and try again; with `--low-speed` if it happened at or after the \
                 switch of speed. A device whose flash was erased works again only after a recovery."
            }
            Self::UnsupportedVersion { .. } => {
                "Use the image set that fits this device, or a newer version of Lineside. Nothing was erased."
            }
            Self::NotAdmitted { .. } => {
                "The board in the socket is not the one that this run is for. Nothing was erased."
            }
            Self::AnotherDevice { .. } => {
                "Somebody changed the board in the socket. The first one may need recovery; the second was left alone."
            }
            Self::Restarted { .. } => {
                "The chip lost its supply or was reset: check the supply and the cable, then recover it again."
            }
            Self::Transfer { .. } => {
                "The line is disturbed: check the cable and the recovery UART, and try again with `--low-speed`."
            }
            Self::Device { .. } => {
                "The device refused the image set or could not write it. Verify the set; if it is sound and the error \
                 comes again, put the device aside."
            }
            Self::OutOfPlace { .. } => "The device does not follow the protocol: put it aside.",
            Self::Stopped => "Start the recovery again. A device whose flash was erased works again only after that.",
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::NoRom { .. }
            | Self::BootedNormally
            | Self::Silent { .. }
            | Self::TooLong { .. }
            | Self::Restarted { .. }
            | Self::Transfer { .. } => Blame::Board,
            Self::BootloaderRefused | Self::UnsupportedVersion { .. } => Blame::Supply,
            Self::NotAdmitted { .. } | Self::AnotherDevice { .. } | Self::Stopped => Blame::Station,
            Self::Device { code, .. } => match code.number() {
                1..=9 | 11 | 14 | 102 | 110..=115 | 150 | 151 => Blame::Supply,
                12 | 50 | 107 | 116 | 117 | 200..=206 => Blame::Board,
                _ => Blame::Device,
            },
            Self::OutOfPlace { .. } => Blame::Device,
        }
    }
}

impl Flash {
    /// Whether the recovery may be begun anew without further ado: nothing was lost.
    pub const fn may_retry(self) -> bool {
        matches!(self, Self::Untouched)
    }
}
