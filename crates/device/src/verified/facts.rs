//! Reading all that is judged before a device is locked, on one connection.

use lineside_interlock::{ComponentFact, Facts, ImageFacts, ProxyFact, Reading};
use lineside_protocol::rest::image::Images;
use lineside_protocol::rest::network::Proxy;

use super::Verified;
use crate::error::DeviceError;

/// Which parts are read beyond those that are open in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// All software.
    pub images: bool,
    /// Stored Wi-Fi networks.
    pub wifi: bool,
    /// Stored certificates.
    pub certificates: bool,
    /// The proxy.
    pub proxy: bool,
}

impl Scope {
    /// Everything: what a ready-to-ship check needs.
    pub const ALL: Self = Self {
        images: true,
        wifi: true,
        certificates: true,
        proxy: true,
    };
    /// Only what every device answers in every state.
    pub const OPEN: Self = Self {
        images: false,
        wifi: false,
        certificates: false,
        proxy: false,
    };
}

impl Verified {
    /// What the device says of all its software, as it is judged.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// See [`DeviceError`]; a locked device refuses.
    pub async fn image_facts(&mut self) -> Result<ImageFacts, DeviceError> {
        self.images().await.map(images_of)
    }

    /// Reads facts, uptime first and last. What the device refuses (403) or does not have is recorded as such; nothing
    /// is changed.
    ///
    /// # Errors
    /// When anything else goes wrong: facts are whole or there are none.
    pub async fn read_facts(&mut self, scope: Scope) -> Result<Facts, DeviceError> {
        let uptime_first_s = self.status().await?.uptime;
        let security = reading(self.security_state().await)?;
        let state = reading(self.manufacturing_state().await)?;
        let capabilities = reading(self.capabilities().await)?;
        let os_version = reading(self.os_version().await.map(|answer| answer.osversion))?;
        let images = match scope.images {
            true => reading(self.images().await.map(images_of))?,
            false => Reading::NotAsked,
        };
        let wifi = match scope.wifi {
            true => {
                let networks = self.wifi_networks().await;
                reading(
                    networks.map(|answer| answer.values.into_iter().map(|network| network.ssid).collect()),
                )?
            }
            false => Reading::NotAsked,
        };
        let certificates = match scope.certificates {
            true => reading(self.certificates().await.map(|answer| answer.identifiers))?,
            false => Reading::NotAsked,
        };
        let proxy = match scope.proxy {
            true => reading(self.proxy().await.map(|proxy| proxy_of(&proxy)))?,
            false => Reading::NotAsked,
        };
        let uptime_last_s = self.status().await?.uptime;
        Ok(Facts {
            device: self.id,
            epoch: self.epoch,
            session: self.tag,
            writes: self.writes,
            uptime_first_s,
            uptime_last_s,
            security,
            state,
            capabilities,
            os_version,
            images,
            wifi,
            certificates,
            proxy,
            taken_at: self.clock().now(),
        })
    }
}

fn reading<T>(answer: Result<T, DeviceError>) -> Result<Reading<T>, DeviceError> {
    match answer {
        Ok(value) => Ok(Reading::Read(value)),
        Err(error) if error.is_refusal() => Ok(Reading::Refused),
        Err(error) if error.is_not_available() => Ok(Reading::NotAvailable),
        Err(error) => Err(error),
    }
}

fn images_of(answer: Images) -> ImageFacts {
    let component = |component: lineside_protocol::rest::image::Component| ComponentFact {
        component: component.uid,
        image_type: component.image_type,
        image: component.current().map(|image| image.uid),
        is_update_staged: component.is_update_staged,
        name: component.name,
    };
    ImageFacts {
        components: answer.components.into_iter().map(component).collect(),
        is_update_in_progress: answer.is_ota_update_in_progress,
        has_staged_updates: answer.has_staged_updates,
        is_restart_required: answer.restart_required,
    }
}

/// What is stored, without user name and password. A proxy that lacks a part is one all the same.
fn proxy_of(proxy: &Proxy) -> Option<ProxyFact> {
    (!proxy.is_none()).then(|| ProxyFact {
        address: proxy.address.clone().unwrap_or_default(),
        port: proxy.port.unwrap_or_default(),
        is_enabled: proxy.enabled.unwrap_or_default(),
    })
}
