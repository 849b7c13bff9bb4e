//! What can go wrong above the device.

use std::path::PathBuf;
use std::time::Duration;

use lineside_flow::line::IllegalHistory;
use lineside_flow::plan::PlanError;
use lineside_image::{ImageError, ImageSetError};
use lineside_link::LinkError;
use lineside_terms::{Blame, DeviceId, Explain, ManufacturingState, SecurityState, Told};

/// What keeps a batch from being run at all.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A file that is needed cannot be read.
    #[error("could not read {}{}", path.display(), named_by.as_ref().map(|key| format!(", which the plan names as `{key}`")).unwrap_or_default())]
    File {
        /// The file.
        path: PathBuf,
        /// The key of the plan that names it.
        named_by: Option<String>,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The plan is not one.
    #[error("could not read the plan {}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: PlanError,
    },
    /// An image of the plan is not fit to be loaded.
    #[error("image `{name}` cannot be used")]
    Image {
        /// Its name in the plan.
        name: String,
        /// What is wrong.
        #[source]
        source: ImageError,
    },
    /// An image of the plan is well-formed but must not be loaded on a line.
    #[error("image `{name}` must not be loaded: {why}")]
    ImageRefused {
        /// Its name in the plan.
        name: String,
        /// Why.
        why: String,
    },
    /// The plan packs images itself, which only a simulated bench can take.
    #[error("image `{name}` is packed from a `{from}`, which only a simulated bench takes")]
    NotSimulated {
        /// Its name in the plan.
        name: String,
        /// `tree` or `body`.
        from: &'static str,
    },
    /// A hardware definition, or a manifest by it, cannot be used.
    #[error("{}: {source}", path.display())]
    Hardware {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: lineside_image::HardwareError,
    },
    /// Which file is the hardware definition is not clear, or it is not there.
    #[error("the hardware definition is not found: {what}")]
    NoHardware {
        /// What was looked for.
        what: String,
    },
    /// The OS list is not one.
    #[error("the OS list {} cannot be used: {why}", path.display())]
    OsList {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A line of the list of serials or of protected devices is wrong.
    #[error("line {line} of {} {why}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A secret that a step needs is not there.
    #[error("step `{step}` needs a pre-shared key from {from}, which {why}")]
    Secret {
        /// The step.
        step: String,
        /// Where it should be.
        from: String,
        /// What is wrong with it; never the secret.
        why: &'static str,
    },
    /// A file with a pre-shared key would be in a bundle in clear.
    #[error("step {step} names a file with a pre-shared key, which would be in the bundle in clear")]
    SecretInBundle {
        /// The step.
        step: String,
    },
    /// The plan would do harm or cannot work.
    #[error("the plan has {} mistakes: {}", findings.len(), findings.join("; "))]
    Findings {
        /// Each of them.
        findings: Vec<String>,
    },
    /// A recovery set cannot be read from the disk, or not be kept on it.
    #[error("could not use {}", path.display())]
    SetFile {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A recovery set is not fit to be used.
    #[error("the recovery set {} cannot be used", path.display())]
    ImageSet {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ImageSetError,
    },
    /// The station keeps no set of this name, or several.
    #[error("{} recovery set is kept as `{name}`", if *is_ambiguous { "more than one" } else { "no" })]
    NoSuchSet {
        /// The name.
        name: String,
        /// There are several.
        is_ambiguous: bool,
    },
    /// A kept set is no longer what its name says.
    #[error("the recovery set kept in {} was changed since it was imported", folder.display())]
    SetChanged {
        /// Where it is.
        folder: PathBuf,
    },
    /// The journal tells of something that cannot have happened.
    #[error("the journal cannot be followed")]
    History(#[source] IllegalHistory),
    /// The bench cannot be used.
    #[error("the bench cannot be used")]
    Bench(#[source] LinkError),
}

impl Explain for RunnerError {
    fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "run.file",
            Self::Plan { source, .. } => source.code(),
            Self::Image { source, .. } => source.code(),
            Self::Hardware { source, .. } => source.code(),
            Self::NoHardware { .. } => "image.no-hardware",
            Self::ImageRefused { .. } => "run.image-refused",
            Self::NotSimulated { .. } => "run.only-simulated",
            Self::OsList { .. } => "run.os-list",
            Self::List { .. } => "run.list",
            Self::Secret { .. } => "run.secret",
            Self::SecretInBundle { .. } => "bundle.secret",
            Self::Findings { .. } => "plan.findings",
            Self::SetFile { .. } => "image-set.file",
            Self::ImageSet { source, .. } => source.code(),
            Self::NoSuchSet { .. } => "image-set.unknown",
            Self::SetChanged { .. } => "image-set.changed",
            Self::History(_) => "run.history",
            Self::Bench(source) => source.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::File { .. } => "Check the name; paths in a plan start at the folder of the plan.".into(),
            Self::Plan { source, .. } => source.help(),
            Self::Image { source, .. } => source.help(),
            Self::ImageRefused { .. } => {
                "Have the image signed for production by the security service and name that file.".into()
            }
            Self::NotSimulated { .. } => {
                "Name a production-signed package with `file`, or run on a simulated bench.".into()
            }
            Self::Hardware { source, .. } => source.help(),
            Self::NoHardware { .. } => {
                "Name the file itself, or its folder and the file in it; files that it imports are looked for beside it and in \
                 the folders that are named."
                    .into()
            }
            Self::OsList { .. } => "Take the list that the maker of the OS publishes, unchanged.".into(),
            Self::List { .. } => "Correct that line: one entry a line, `#` begins a comment.".into(),
            Self::Secret { .. } => {
                "Put the key there; it is never written to the plan or the journal.".into()
            }
            Self::SecretInBundle { .. } => {
                "Name an environment variable of the station in the plan instead: `psk-env`. Its value is part of no \
                 bundle, plan or record."
                    .into()
            }
            Self::Findings { .. } => "`lineside plan check` shows each with its place and remedy.".into(),
            Self::History(_) => {
                "Set the data folder aside as it is and have it looked at; start with a new one meanwhile."
                    .into()
            }
            Self::SetFile { .. } => "Check the name, the permissions and the room on the disk.".into(),
            Self::ImageSet { source, .. } => source.help(),
            Self::NoSuchSet { is_ambiguous, .. } => {
                if *is_ambiguous {
                    "Give more digits of the hash.".into()
                } else {
                    "Import the set with `lineside image-set import` into the same --data, or name its folder or ZIP.".into()
                }
            }
            Self::SetChanged { .. } => "Import the set again from its origin: that mends it.".into(),
            Self::Bench(source) => source.help(),
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Plan { .. }
            | Self::List { .. }
            | Self::SecretInBundle { .. }
            | Self::Findings { .. }
            | Self::NotSimulated { .. } => Blame::Plan,
            Self::Image { .. } | Self::ImageRefused { .. } | Self::OsList { .. } | Self::ImageSet { .. } => {
                Blame::Supply
            }
            Self::SetFile { .. } | Self::NoSuchSet { .. } | Self::SetChanged { .. } => Blame::Station,
            Self::Hardware { source, .. } => source.blame(),
            Self::File { .. } | Self::NoHardware { .. } | Self::Secret { .. } | Self::History(_) => {
                Blame::Station
            }
            Self::Bench(source) => source.blame(),
        }
    }
}

/// What a step found wrong with a unit, or with the trial.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UnitFault {
    /// The OS is not one that the plan allows.
    #[error("the OS is {found}, the plan allows {allowed}")]
    WrongOs {
        /// What the device has.
        found: String,
        /// What the plan allows.
        allowed: String,
    },
    /// After loading, the device does not list the image.
    #[error("the device took the image and does not show it")]
    NotInstalled,
    /// After removing, the device still lists the component.
    #[error("the device accepted the removal and still shows the component")]
    NotRemoved,
    /// The application does not run.
    #[error("the test application does not run: its state is {state}")]
    AppNotRunning {
        /// What the device says.
        state: String,
    },
    /// The application does not answer on its port.
    #[error("the test application does not answer on port {port}")]
    AppSilent {
        /// The port.
        port: u16,
        /// What went wrong.
        #[source]
        source: Box<lineside_device::DeviceError>,
    },
    /// It answered something else than it was asked.
    #[error("the test application answered {what}")]
    AppAnswer {
        /// What it answered, without quoting it.
        what: &'static str,
    },
    /// It did not stay up.
    #[error("the test application ended while it was tested")]
    AppEnded,
    /// It reported an error.
    #[error("the test application reports: {message}")]
    AppReports {
        /// What it reported, printable and short.
        message: String,
    },
    /// A measurement is out of its limits.
    #[error("{} out of limits: {}", if names.contains(',') { "measurements are" } else { "a measurement is" }, names)]
    OutOfLimits {
        /// Their names.
        names: String,
    },
    /// The device did not connect to the access point.
    #[error("the device did not connect to the access point within {} s", after.as_secs())]
    WifiNotConnected {
        /// How long was waited.
        after: Duration,
    },
    /// The device reached the internet although it must not, or did not although it must.
    #[error("the device {} the internet", if *reached { "reached" } else { "did not reach" })]
    WifiInternet {
        /// What it did.
        reached: bool,
    },
    /// After the last reset the device is not as it must be.
    #[error("after the last reset {what}")]
    FinalLook {
        /// What is wrong.
        what: String,
    },
    /// Another device answers than the one that the step is for.
    #[error("device {} answers instead of {}", found.short(), expected.short())]
    OtherDevice {
        /// The device that the step is for.
        expected: DeviceId,
        /// The device that answers.
        found: DeviceId,
    },
    /// The step took too long.
    #[error("the step was not done within {} s", after.as_secs())]
    TimeOut {
        /// Its time-out.
        after: Duration,
    },
    /// Somebody asked to stop.
    #[error("the step was stopped because somebody asked for it")]
    Stopped,
    /// The program that runs does not know the plan of this run.
    #[error("the plan of this run is not loaded")]
    PlanUnknown,
    /// There is no connection to the device.
    #[error("there is no connection to the device")]
    NotConnected,
    /// The state of the device is not what the line relies on.
    #[error("the device calls itself {state}, {security}")]
    State {
        /// Manufacturing state.
        state: ManufacturingState,
        /// Security state.
        security: SecurityState,
    },
}

impl Explain for UnitFault {
    fn code(&self) -> &'static str {
        match self {
            Self::WrongOs { .. } => "unit.wrong-os",
            Self::NotInstalled => "unit.not-installed",
            Self::NotRemoved => "unit.not-removed",
            Self::AppNotRunning { .. } => "unit.app-not-running",
            Self::AppSilent { .. } => "unit.app-silent",
            Self::AppAnswer { .. } => "unit.app-answer",
            Self::AppEnded => "unit.app-ended",
            Self::AppReports { .. } => "unit.app-reports",
            Self::OutOfLimits { .. } => "unit.out-of-limits",
            Self::WifiNotConnected { .. } => "unit.wifi-not-connected",
            Self::WifiInternet { .. } => "unit.wifi-internet",
            Self::FinalLook { .. } => "unit.final-look",
            Self::OtherDevice { .. } => "unit.other-device",
            Self::TimeOut { .. } => "run.time-out",
            Self::Stopped => "run.stopped",
            Self::PlanUnknown => "run.plan-unknown",
            Self::NotConnected => "run.not-connected",
            Self::State { .. } => "unit.state",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::WrongOs { .. } => {
                "Update the OS by recovery before this plan, or allow the version in the plan."
            }
            Self::NotInstalled | Self::NotRemoved => {
                "Restart the device and try again; if it stays so, send it to repair."
            }
            Self::AppNotRunning { .. } | Self::AppSilent { .. } | Self::AppEnded => {
                "Check that the test application fits this hardware; if others pass, send the unit to repair."
            }
            Self::AppAnswer { .. } => {
                "Check that the test application speaks the dialogue of the plan's step."
            }
            Self::AppReports { .. } | Self::OutOfLimits { .. } => "Send the unit to repair.",
            Self::WifiNotConnected { .. } => {
                "Check that the access point is on; if others pass, check the antenna."
            }
            Self::WifiInternet { .. } => {
                "Check the access point: the plan says whether it may lead to the internet."
            }
            Self::FinalLook { .. } | Self::State { .. } => {
                "Set the unit aside; do not ship it before somebody has looked."
            }
            Self::OtherDevice { .. } => {
                "Do not swap boards during a run. Nothing was written to the other device."
            }
            Self::TimeOut { .. } => {
                "Run the unit again; if it stays so, raise `timeout` of the step or check the cable."
            }
            Self::Stopped => "Run the same command again: the unit goes on where it was.",
            Self::PlanUnknown => "Run with the plan that the unit was started with.",
            Self::NotConnected => "Check cable and power, then run the unit again.",
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::TimeOut { .. } | Self::NotConnected | Self::OtherDevice { .. } => Blame::Board,
            Self::WifiInternet { .. } => Blame::Instrument,
            Self::Stopped => Blame::Station,
            Self::PlanUnknown | Self::AppAnswer { .. } => Blame::Plan,
            _ => Blame::Device,
        }
    }
}

impl From<UnitFault> for Told {
    fn from(fault: UnitFault) -> Self {
        Self::of(&fault)
    }
}
