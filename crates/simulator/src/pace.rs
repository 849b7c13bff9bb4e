//! How long things take on a simulated board: as on hardware, or hardly at all.

use std::time::Duration;

use lineside_protocol::recovery::device as recovery;
use serde::{Deserialize, Serialize};

use crate::assume;

/// Which times a world keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// Baud rates and device times of the references.
    Real,
    /// Wires without a limit, and device times of some milliseconds: the order of things stays, the waiting goes.
    #[default]
    Fast,
}

impl Pace {
    /// The times of a device at this pace.
    pub const fn device_times(self) -> DeviceTimes {
        match self {
            Self::Real => DeviceTimes::REAL,
            Self::Fast => DeviceTimes::FAST,
        }
    }

    /// The wire at this pace.
    pub const fn wire(self) -> WirePace {
        match self {
            Self::Real => WirePace::Baud,
            Self::Fast => WirePace::Unlimited,
        }
    }
}

/// How fast bytes cross a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WirePace {
    /// Ten bits a byte at the baud rate that the wire is set to.
    Baud,
    /// At once.
    Unlimited,
}

/// How long a device takes for what it does, measured on the device, without the wire.
///
/// The figures of [`DeviceTimes::REAL`] come from the few latencies seen on hardware (`device-rest-api.md` 1.1) and,
/// for booting, from assumption A-28 (`chip-to-pc-and-recovery.md` 7.4); how they split between handshake, request and
/// flash is a guess of the simulator and promises nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTimes {
    /// From the end of reset until the link speaks IP.
    pub boot_silent: Duration,
    /// From then until port 443 opens; until then it is refused (`chip-to-pc-and-recovery.md` 2.3).
    pub boot_refusing: Duration,
    /// From the answer to a request for a restart until the link falls silent.
    pub restart_grace: Duration,
    /// The computing part of a TLS handshake.
    pub handshake: Duration,
    /// Any request.
    pub request: Duration,
    /// A request that stores configuration.
    pub store: Duration,
    /// Checking and storing a staged image.
    pub stage: Duration,
    /// Committing what is staged.
    pub install: Duration,
    /// From a network being enabled until the radio is associated, and from there to an address.
    pub wifi_step: Duration,
    /// From an open REST port until applications start at boot.
    pub boot_applications: Duration,
    /// From an application's start until it listens.
    pub application_start: Duration,
    /// From the end of an application until the OS starts it again.
    pub application_restart: Duration,
    /// All of a recovery.
    pub recovery: recovery::Times,
}

impl DeviceTimes {
    /// As hardware: about 450 ms for a first small request, 0.7 s for adding a network, 8.3 s and 6.7 s for staging
    /// and installing a small application.
    pub const REAL: Self = Self {
        boot_silent: assume::BOOT_SILENT,
        boot_refusing: assume::BOOT_REFUSING,
        boot_applications: assume::BOOT_APPLICATIONS,
        restart_grace: Duration::from_millis(150),
        handshake: assume::HANDSHAKE,
        request: assume::REQUEST,
        store: assume::STORE,
        stage: assume::STAGE,
        install: assume::INSTALL,
        wifi_step: Duration::from_millis(1500),
        application_start: Duration::from_millis(300),
        application_restart: assume::APPLICATION_RESTART,
        recovery: recovery::Times::REAL,
    };

    /// Some milliseconds for what a client must be seen to wait for, nothing for the rest.
    pub const FAST: Self = Self {
        boot_silent: Duration::from_millis(40),
        boot_refusing: Duration::from_millis(10),
        boot_applications: Duration::from_millis(5),
        restart_grace: Duration::from_millis(5),
        handshake: Duration::ZERO,
        request: Duration::ZERO,
        store: Duration::ZERO,
        stage: Duration::ZERO,
        install: Duration::ZERO,
        wifi_step: Duration::from_millis(15),
        application_start: Duration::from_millis(2),
        application_restart: Duration::from_millis(20),
        recovery: recovery::Times {
            rom: Duration::from_millis(5),
            bootloader: Duration::from_millis(4),
            application: Duration::from_millis(4),
            turn_around: Duration::ZERO,
            erase: Duration::from_millis(40),
            piece: Duration::ZERO,
            finish: Duration::from_millis(5),
        },
    };
}
