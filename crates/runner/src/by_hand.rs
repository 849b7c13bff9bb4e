//! One device by hand: a connection that is proven to be to it, made anew when it restarts, and what takes more than one
//! request.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lineside_device::{DeviceError, Verified, boot};
use lineside_flow::HandOutcome;
use lineside_flow::interlock::{ImageFacts, Protected};
use lineside_image::{CapabilityRecord, Package};
use lineside_protocol::rest::Operation;
use lineside_protocol::rest::Secret;
use lineside_protocol::rest::image::AppControlMode;
use lineside_terms::{Blame, ComponentId, DeviceId, Epoch, Explain, ImageId, ImageType, Told};

use crate::UnitFault;
use crate::program::BYTE_ORDER_MARK;

/// The debugger is an application, too, that nobody starts (`device-rest-api.md` 5.4).
const DEBUGGER: &str = "gdbserver";

/// From a restart to the first answer, after an update too.
const BACK: Duration = lineside_device::timeouts::BOOT;

/// True for what changes software or settings that a ready check proves: what the device passed before counts no more.
pub const fn undoes(operation: Operation) -> bool {
    use Operation::{
        AddCert, AddWifiNetwork, ChangeWifiNetwork, DeleteCert, DeleteImage, DeleteProxy, DeleteWifiNetwork,
        Install, SetProxy, Stage,
    };
    matches!(
        operation,
        Stage
            | Install
            | DeleteImage
            | AddWifiNetwork
            | ChangeWifiNetwork
            | DeleteWifiNetwork
            | AddCert
            | DeleteCert
            | SetProxy
            | DeleteProxy
    )
}

/// How a write ended, for the records. `takes_many`: several requests make it up, so that a refusal may be that of a later
/// one; what the device allows nobody it refuses at the first.
pub fn outcome_of(error: Option<&Told>, takes_many: bool) -> HandOutcome {
    /// Found out before anything was sent.
    const BEFORE: [&str; 4] = [
        "device.capability-for-another",
        "device.no-application",
        "device.which-application",
        "device.which-network",
    ];
    match error.map(|error| error.code.as_str()) {
        None => HandOutcome::Done,
        Some("device.http-403") => HandOutcome::Refused,
        Some(code) if code.contains(".http-4") && !takes_many => HandOutcome::Refused,
        Some(code) if BEFORE.contains(&code) => HandOutcome::Refused,
        Some(_) => HandOutcome::Unclear,
    }
}

/// Why something by hand did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandError {
    /// A request failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Loading did not show.
    #[error("the device took the image and does not show it")]
    NotInstalled,
    /// Removing did not show.
    #[error("the device accepted the removal and still shows the component")]
    NotRemoved,
    /// It restarted and is away.
    #[error("the device did not come back")]
    Away,
    /// There is nothing that could be meant.
    #[error("no application is installed")]
    NoApplication,
    /// It is not clear what is meant.
    #[error("{count} applications are installed and none is named")]
    WhichApplication {
        /// How many there are.
        count: usize,
    },
}

impl Explain for HandError {
    fn code(&self) -> &'static str {
        match self {
            Self::Device(error) => error.code(),
            Self::NotInstalled => UnitFault::NotInstalled.code(),
            Self::NotRemoved => UnitFault::NotRemoved.code(),
            Self::Away => "device.not-back",
            Self::NoApplication => "device.no-application",
            Self::WhichApplication { .. } => "device.which-application",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Device(error) => error.help(),
            Self::NotInstalled => UnitFault::NotInstalled.help(),
            Self::NotRemoved => UnitFault::NotRemoved.help(),
            Self::Away => {
                "Check power and recovery strap of the board; if it stays away, recover the device's OS."
                    .to_owned()
            }
            Self::NoApplication => "Load one first.".to_owned(),
            Self::WhichApplication { .. } => "Name one by its component id.".to_owned(),
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Device(error) => error.blame(),
            Self::NotInstalled => UnitFault::NotInstalled.blame(),
            Self::NotRemoved => UnitFault::NotRemoved.blame(),
            Self::Away => Blame::Device,
            Self::NoApplication | Self::WhichApplication { .. } => Blame::Station,
        }
    }
}

impl From<HandError> for Told {
    fn from(error: HandError) -> Self {
        Self::of(&error)
    }
}

/// A capability file as it goes with requests, and the device that it is for.
///
/// # Errors
/// When it is no capability file; the message does not name the file.
pub fn capability(bytes: &[u8]) -> Result<(Secret, DeviceId), Told> {
    let package = Package::parse(bytes).map_err(|error| Told::of(&error))?;
    let record = CapabilityRecord::of(&package).map_err(|error| Told::of(&error))?;
    Ok((Secret::new(STANDARD.encode(bytes)), record.device))
}

/// Why a list of protected devices protects nobody: then nothing is written to any.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It is there and cannot be read.
    #[error("the list of protected devices {} cannot be read: {source}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is wrong.
    #[error("{}: line {line} does not begin with a device id", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
    },
}

impl Explain for ListError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unread { .. } => "station.file",
            Self::Line { .. } => "device.protected-list",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unread { .. } => "Mend that and run the command again.",
            Self::Line { .. } => "Correct it: one device id a line, then a reason.",
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}

/// The devices that nobody may write to: by a list that was named, or else by that of the data folder, if it has one.
///
/// # Errors
/// When the list cannot be read or a line is wrong.
pub fn protected(named: Option<&Path>, data: &Path) -> Result<Protected, ListError> {
    let default = data.join("protected.txt");
    let path = named.unwrap_or(&default).to_owned();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            return Ok(Protected::default());
        }
        Err(source) => return Err(ListError::Unread { path, source }),
    };
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    Protected::parse(text).map_err(|line| ListError::Line { path, line })
}

/// A device in hand.
#[derive(Debug)]
pub struct Hand {
    /// Gone only when the device did not come back.
    device: Option<Verified>,
    id: DeviceId,
}

impl Hand {
    /// Takes a connection.
    pub const fn new(device: Verified) -> Self {
        Self {
            id: *device.id(),
            device: Some(device),
        }
    }

    /// Which device it is.
    pub const fn id(&self) -> DeviceId {
        self.id
    }

    /// The connection, to ask it something.
    ///
    /// # Errors
    /// [`HandError::Away`] when the device did not come back from a restart.
    pub fn device(&mut self) -> Result<&mut Verified, HandError> {
        self.device.as_mut().ok_or(HandError::Away)
    }

    /// Waits for a device that restarts. It must be the same one.
    ///
    /// # Errors
    /// When none comes back, or another one.
    pub async fn back(&mut self) -> Result<(), HandError> {
        let Some(device) = self.device.take() else {
            return Ok(());
        };
        let (now, epoch) = (device.clock().now(), device.epoch());
        let session = device.release().await;
        let found = boot::wait_responsive(session, Epoch(epoch.0 + 1), Some(now), BACK).await;
        let device = found.map_err(|(_, error)| error)?;
        if *device.id() != self.id {
            return Err(HandError::Device(DeviceError::IdChanged {
                expected: Box::new(self.id),
                found: Box::new(*device.id()),
            }));
        }
        self.device = Some(device);
        Ok(())
    }

    /// Restarts the device and waits until it is back.
    ///
    /// # Errors
    /// As every request, and as [`Self::back`].
    pub async fn restart(&mut self) -> Result<(), HandError> {
        self.device()?.restart().await?;
        self.back().await
    }

    /// All software.
    ///
    /// # Errors
    /// As every request.
    pub async fn images(&mut self) -> Result<ImageFacts, HandError> {
        Ok(self.device()?.image_facts().await?)
    }

    /// Applications that are installed and can run: one that was named, or all.
    ///
    /// # Errors
    /// As every request.
    pub async fn applications(&mut self, named: Option<ComponentId>) -> Result<Vec<ComponentId>, HandError> {
        if let Some(component) = named {
            return Ok(vec![component]);
        }
        let images = self.images().await?;
        let applications = images
            .components
            .iter()
            .filter(|listed| listed.image_type == ImageType::APPLICATION && listed.name != DEBUGGER);
        Ok(applications.map(|listed| listed.component).collect())
    }

    /// The application that was named, or the only one there is.
    ///
    /// # Errors
    /// When there is none, or several; as every request.
    pub async fn application(&mut self, named: Option<ComponentId>) -> Result<ComponentId, HandError> {
        let applications = self.applications(named).await?;
        match applications[..] {
            [only] => Ok(only),
            [] => Err(HandError::NoApplication),
            _ => Err(HandError::WhichApplication {
                count: applications.len(),
            }),
        }
    }

    /// Loads a package, sees that it is there, and waits for the device if that restarts it: true then.
    ///
    /// # Errors
    /// As every request; [`HandError::NotInstalled`] when the device does not show it.
    pub async fn deploy(
        &mut self,
        package: Bytes,
        (component, image): (ComponentId, ImageId),
        mode: AppControlMode,
    ) -> Result<bool, HandError> {
        let device = self.device()?;
        device.stage(package, None).await?;
        let is_restarting = device.install(mode).await?.is_restarting;
        if is_restarting {
            self.back().await?;
        }
        if !self.images().await?.holds(component, image) {
            return Err(HandError::NotInstalled);
        }
        Ok(is_restarting)
    }

    /// Deletes a component, sees that it is gone, and waits for the device if that restarts it: true then.
    ///
    /// # Errors
    /// As every request; [`HandError::NotRemoved`] when the device still shows it.
    pub async fn delete(&mut self, component: ComponentId) -> Result<bool, HandError> {
        let answer = self.device()?.delete_image(component).await?;
        if answer.is_restarting {
            self.back().await?;
        }
        if self.images().await?.has(component) {
            return Err(HandError::NotRemoved);
        }
        Ok(answer.is_restarting)
    }

    /// Says goodbye.
    pub async fn done(self) {
        if let Some(device) = self.device {
            device.release().await;
        }
    }
}
