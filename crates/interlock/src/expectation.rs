//! What a device must be before it may be shipped.

use std::collections::{BTreeMap, BTreeSet};

use lineside_terms::{ComponentId, ImageId, ManufacturingState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::ProxyFact;

/// One component and the image that it must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// The component.
    pub component: ComponentId,
    /// The image.
    pub image: ImageId,
}

/// One release of the OS as the list of releases gives it (`image-package.md` 9.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OsRelease {
    /// Its version, for instance `24.06`.
    pub name: String,
    /// What it consists of. A release without pairs matches no device.
    pub pairs: Vec<Pair>,
}

/// What a device must be. Everything that is not named must be absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// The state that it must be in while it is judged.
    pub state: ManufacturingState,
    /// Allowed OS versions. None allowed means that none can pass.
    pub os_versions: Vec<String>,
    /// The releases that are known, in the order of their file.
    pub os_releases: Vec<OsRelease>,
    /// Customer images: exactly these.
    pub images: BTreeMap<ComponentId, ImageId>,
    /// Components that may be there although no list names them.
    pub allowed_components: BTreeSet<ComponentId>,
    /// Names of Wi-Fi networks: exactly these.
    pub wifi: BTreeSet<String>,
    /// Ids of certificates: exactly these.
    pub certificates: BTreeSet<String>,
    /// Proxy: exactly this.
    pub proxy: Option<ProxyFact>,
    /// Nothing but the state is compared: what a person does by hand, where the station's policy lets him do it without a
    /// ready check. No plan can say so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_state_alone: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Expectation {
    /// Nothing but an OS of one of `os_versions` in `state`.
    pub fn bare(state: ManufacturingState, os_versions: Vec<String>, os_releases: Vec<OsRelease>) -> Self {
        Self {
            state,
            os_versions,
            os_releases,
            images: BTreeMap::new(),
            allowed_components: BTreeSet::new(),
            wifi: BTreeSet::new(),
            certificates: BTreeSet::new(),
            proxy: None,
            is_state_alone: false,
        }
    }

    /// Nothing but `state`, whatever else the device holds.
    pub fn state_alone(state: ManufacturingState) -> Self {
        Self {
            is_state_alone: true,
            ..Self::bare(state, Vec::new(), Vec::new())
        }
    }
}
