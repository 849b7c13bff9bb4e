//! What was read of a device, under which epoch and on which connection.

use std::fmt;

use lineside_terms::{
    Capability, ComponentId, DeviceId, Epoch, ImageId, ImageType, Instant, ManufacturingState, SecurityState,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Names one verified connection: random, made when the connection is, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SessionTag([u8; 16]);

impl SessionTag {
    /// From 16 bytes that the caller took from a source of randomness.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionTag({})", hex::encode(&self.0[..4]))
    }
}

/// Why an epoch began. It decides what a look under it can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EpochCause {
    /// The board was there already when we began to watch: something sent earlier may still be on its way.
    Found,
    /// The board was plugged in while we watched: news of it may be older than what was sent since, and a chip may have
    /// power of its own.
    Attached,
    /// We reset the chip by its reset line: nothing sent before can still take effect.
    Reset,
    /// The link was lost and came back; something sent earlier may still be on its way.
    LinkLost,
}

impl EpochCause {
    /// True when nothing that was sent before this epoch can still take effect.
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::Reset)
    }
}

/// One thing that was asked of the device and how it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    /// The device said this.
    Read(T),
    /// The device refused (HTTP 403): locked.
    Refused,
    /// This OS has no such call.
    NotAvailable,
    /// It was not asked.
    NotAsked,
}

impl<T> Reading<T> {
    /// What was read, if anything.
    pub const fn read(&self) -> Option<&T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Refused | Self::NotAvailable | Self::NotAsked => None,
        }
    }
}

/// One component that the device lists (`device-rest-api.md` 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentFact {
    /// Its id.
    pub component: ComponentId,
    /// What kind of software it is.
    pub image_type: ImageType,
    /// The image in force: the first one that the device lists, or none.
    pub image: Option<ImageId>,
    /// True when an update of it is staged.
    pub is_update_staged: bool,
    /// The name that the device shows.
    pub name: String,
}

/// What the device says of all its software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageFacts {
    /// Every component.
    pub components: Vec<ComponentFact>,
    /// An update from the cloud is running.
    pub is_update_in_progress: bool,
    /// Something is staged and not installed.
    pub has_staged_updates: bool,
    /// A restart is pending.
    pub is_restart_required: bool,
}

impl ImageFacts {
    /// True when the device lists this component, in whatever image.
    pub fn has(&self, component: ComponentId) -> bool {
        self.components.iter().any(|listed| listed.component == component)
    }

    /// True when the device lists this component with exactly this image in force and nothing staged for it.
    pub fn holds(&self, component: ComponentId, image: ImageId) -> bool {
        self.components.iter().any(|listed| {
            listed.component == component && listed.image == Some(image) && !listed.is_update_staged
        })
    }
}

/// The network proxy that the device has stored, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProxyFact {
    /// Host name or address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Whether it is used.
    pub is_enabled: bool,
}

/// What was read of one device, on one connection, in one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// Which device answered.
    pub device: DeviceId,
    /// In which epoch.
    pub epoch: Epoch,
    /// On which connection.
    pub session: SessionTag,
    /// How many writes that connection had carried when the facts were read.
    pub writes: u64,
    /// Seconds since the device booted, read before everything else.
    pub uptime_first_s: u64,
    /// The same, read after everything else: never smaller, or the device restarted in between.
    pub uptime_last_s: u64,
    /// Security state.
    pub security: Reading<SecurityState>,
    /// Manufacturing state.
    pub state: Reading<ManufacturingState>,
    /// Capabilities in force.
    pub capabilities: Reading<Vec<Capability>>,
    /// OS version as the device names it.
    pub os_version: Reading<String>,
    /// All its software.
    pub images: Reading<ImageFacts>,
    /// Names of the Wi-Fi networks that it has stored.
    pub wifi: Reading<Vec<String>>,
    /// Ids of the certificates that it has stored.
    pub certificates: Reading<Vec<String>>,
    /// Its proxy, if it has one.
    pub proxy: Reading<Option<ProxyFact>>,
    /// When the last of it was read.
    pub taken_at: Instant,
}

impl Facts {
    /// Digest over everything that was read.
    pub fn digest(&self) -> lineside_terms::Digest {
        let text = serde_json::to_vec(self).expect("facts hold nothing that JSON cannot");
        lineside_terms::Digest::from_bytes(Sha256::digest(&text).into())
    }

    /// The part that an open look would have seen.
    pub fn look(&self, cause: EpochCause) -> Option<Look> {
        let state = *self.state.read()?;
        Some(Look {
            device: self.device,
            epoch: self.epoch,
            cause,
            state,
            taken_at: self.taken_at,
        })
    }
}

/// A look at the one thing that an irreversible act changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// Which device was looked at.
    pub device: DeviceId,
    /// In which epoch.
    pub epoch: Epoch,
    /// Why that epoch began.
    pub cause: EpochCause,
    /// What it said.
    pub state: ManufacturingState,
    /// When.
    pub taken_at: Instant,
}
