//! One device in hand: a connection that is proven to be to it, made anew when it restarts.

use std::time::Duration;

use lineside_device::{DeviceError, Verified, boot};
use lineside_flow::interlock::ImageFacts;
use lineside_protocol::rest::{Authorizer, HandlerNeed};
use lineside_runner::UnitFault;
use lineside_terms::{Blame, ComponentId, DeviceId, Epoch, ImageType, Told};

/// The debugger is an application, too, that nobody starts (`device-rest-api.md` 5.4).
const DEBUGGER: &str = "gdbserver";

/// A device in hand.
pub(super) struct Hand {
    /// Gone only when the device did not come back.
    device: Option<Verified>,
    id: DeviceId,
}

impl Hand {
    pub(super) fn new(device: Verified) -> Self {
        Self {
            id: *device.id(),
            device: Some(device),
        }
    }

    pub(super) const fn id(&self) -> DeviceId {
        self.id
    }

    pub(super) fn device(&mut self) -> Result<&mut Verified, Told> {
        self.device.as_mut().ok_or_else(|| {
            told(
                "device.not-back",
                "the device did not come back".to_owned(),
                "Check power and recovery strap of the board; if it stays away, recover the device's OS.",
                Blame::Device,
            )
        })
    }

    /// Waits for a device that restarts. It must be the same one.
    pub(super) async fn back(&mut self) -> Result<(), Told> {
        let Some(device) = self.device.take() else {
            return Ok(());
        };
        let (now, epoch) = (device.clock().now(), device.epoch());
        let session = device.release().await;
        let found = boot::wait_responsive(session, Epoch(epoch.0 + 1), Some(now), BACK).await;
        let device = found.map_err(|(_, error)| Told::of(&error))?;
        if *device.id() != self.id {
            let error = DeviceError::IdChanged {
                expected: Box::new(self.id),
                found: Box::new(*device.id()),
            };
            return Err(Told::of(&error));
        }
        self.device = Some(device);
        Ok(())
    }

    /// All software.
    pub(super) async fn images(&mut self) -> Result<ImageFacts, Told> {
        self.device()?.image_facts().await.map_err(explain)
    }

    /// Applications that are installed and can run: one that was named, or all.
    pub(super) async fn applications(
        &mut self,
        named: Option<ComponentId>,
    ) -> Result<Vec<ComponentId>, Told> {
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
    pub(super) async fn application(&mut self, named: Option<ComponentId>) -> Result<ComponentId, Told> {
        let applications = self.applications(named).await?;
        match applications[..] {
            [only] => Ok(only),
            [] => Err(told(
                "device.no-application",
                "no application is installed".to_owned(),
                "Install one with `lineside device sideload deploy`.",
                Blame::Station,
            )),
            _ => Err(told(
                "device.which-application",
                format!(
                    "{} applications are installed and none is named",
                    applications.len()
                ),
                "Name one with --component; `lineside device images` lists them.",
                Blame::Station,
            )),
        }
    }

    /// Deletes a component, sees that it is gone, and waits for the device if that restarts it.
    pub(super) async fn delete(&mut self, component: ComponentId) -> Result<bool, Told> {
        let answer = self.device()?.delete_image(component).await.map_err(explain)?;
        if answer.is_restarting {
            self.back().await?;
        }
        if self.images().await?.has(component) {
            return Err(Told::of(&UnitFault::NotRemoved));
        }
        Ok(answer.is_restarting)
    }

    /// Says goodbye.
    pub(super) async fn done(self) {
        if let Some(device) = self.device {
            device.release().await;
        }
    }
}

/// From a restart to the first answer, after an update too (`lineside_device::timeouts::BOOT`).
const BACK: Duration = lineside_device::timeouts::BOOT;

/// A device's refusal, with what it needs as the protocol's table has it.
pub(super) fn explain(error: DeviceError) -> Told {
    let plain = Told::of(&error);
    let DeviceError::Status {
        operation,
        status: 403,
        ..
    } = error
    else {
        return plain;
    };
    let spec = operation.spec();
    let help = match (spec.authorizer, spec.handler) {
        (Authorizer::AppDevelopment, _) | (_, HandlerNeed::AppDevelopment) => {
            "This needs appDevelopment: name a capability file for this device with --capability."
        }
        (Authorizer::RestAllowed, _) => {
            "The device is locked: name a fieldServicing or appDevelopment file for it with --capability."
        }
        (Authorizer::Open, _) => return plain,
    };
    Told {
        help: help.to_owned(),
        ..plain
    }
}

pub(super) fn told(code: &str, message: String, help: &str, blame: Blame) -> Told {
    Told {
        code: code.to_owned(),
        message,
        help: help.to_owned(),
        blame,
    }
}
