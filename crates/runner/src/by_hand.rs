//! One device by hand: a connection that is proven to be to it, made anew when it restarts, and what takes more than one
//! request.

use std::time::Duration;

use bytes::Bytes;
use lineside_device::{DeviceError, Verified, boot};
use lineside_flow::interlock::ImageFacts;
use lineside_protocol::rest::image::AppControlMode;
use lineside_terms::{Blame, ComponentId, DeviceId, Epoch, Explain, ImageId, ImageType};

use crate::UnitFault;

/// The debugger is an application, too, that nobody starts (`device-rest-api.md` 5.4).
const DEBUGGER: &str = "gdbserver";

/// From a restart to the first answer, after an update too.
const BACK: Duration = lineside_device::timeouts::BOOT;

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
