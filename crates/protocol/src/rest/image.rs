//! `/images` and `/update/…`: what is installed, and installing (`device-rest-api.md` 3.3, 5.1).

use lineside_terms::{ComponentId, ImageId, ImageType};
use serde::{Deserialize, Serialize};

/// Answer of `GET /images`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Images {
    /// True while the device updates itself; staging and installing are refused then.
    pub is_ota_update_in_progress: bool,
    /// True after staging, before installing.
    pub has_staged_updates: bool,
    /// True when something installed waits for a restart.
    pub restart_required: bool,
    /// OS components and applications together.
    pub components: Vec<Component>,
}

/// One component in [`Images`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its id.
    pub uid: ComponentId,
    /// What kind of software it is.
    pub image_type: ImageType,
    /// True after staging a new image of it, before installing.
    pub is_update_staged: bool,
    /// True when installing it takes a restart.
    pub does_image_type_require_restart: bool,
    /// Its images, the current one first.
    pub images: Vec<Image>,
    /// The name in its metadata, at most 31 characters.
    #[serde(default)]
    pub name: String,
}

impl Component {
    /// The image that is in use, or `None` when the device lists none.
    pub fn current(&self) -> Option<&Image> {
        self.images.first()
    }
}

/// One image of a [`Component`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub uid: ImageId,
    /// Bytes as stored.
    pub length_in_bytes: u64,
    /// Bytes when unpacked; the same for an image that is not compressed.
    pub uncompressed_length_in_bytes: u64,
    /// 0 for the primary copy; what others mean is not published.
    pub replica_type: u32,
}

/// Request of `POST /update/install`. No body at all means the same as [`AppControlMode::Auto`] (REST-A60).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallRequest {
    /// Whether applications start by themselves.
    #[serde(default)]
    pub app_control_mode: AppControlMode,
}

/// Whether installed applications start by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum AppControlMode {
    /// They start.
    #[default]
    Auto,
    /// They stay stopped until told to start.
    Manual,
    /// A word that is neither.
    #[serde(other)]
    Unknown,
}
