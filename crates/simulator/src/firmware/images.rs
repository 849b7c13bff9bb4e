//! What is installed, and how it is listed (`device-rest-api.md` 5.1).

use lineside_image::AppManifest;
use lineside_protocol::rest::assume;
use lineside_protocol::rest::image::{Component, Image, Images};
use lineside_terms::{Capability, ComponentId, ImageId, ImageType};

use super::Firmware;
use super::program::Program;
use super::reply::json;
use crate::chip::Response;

/// The debugging server's component id (`device-rest-api.md` 5.3).
pub const GDBSERVER: ComponentId = ComponentId::from_u128(0x8548b129_b16f_4f84_8dbe_d2c847862e78);
/// The debugging server's image id there.
const GDBSERVER_IMAGE: ImageId = ImageId::from_u128(0x2eac78bb_c68c_4aa3_9849_9c82d65d9406);
/// The component id of a capability file (`device-rest-api.md` 5.3).
const FW_CONFIG: ComponentId = ComponentId::from_u128(0x4128b5d8_abc2_4155_9a33_8a1f31ed67ec);
const GDBSERVER_BYTES: u64 = 57_564;
const CAPABILITY_FILE_BYTES: u64 = 392;

/// An image of the customer in flash.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    pub(super) image: ImageId,
    pub(super) image_type: ImageType,
    pub(super) name: String,
    /// Bytes as stored.
    pub(super) size: u64,
    pub(super) marks: Marks,
    /// For applications: what is in them.
    pub(super) application: Option<ApplicationImage>,
    /// Mutable storage in use, in KiB: kept when the component gets a new image.
    pub(super) storage_used_kib: u32,
}

/// What the metadata of an image says about its life.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// Dropped at the next boot.
    pub(super) remove_at_boot: bool,
    /// Made to be removed: REST-A13 lets such a one be deleted where others need a capability.
    pub(super) is_temporary: bool,
}

/// What is inside an application.
#[derive(Debug, Clone)]
pub(super) struct ApplicationImage {
    pub(super) manifest: AppManifest,
    pub(super) program: Program,
}

/// An image that waits to be installed.
#[derive(Debug, Clone)]
pub(super) struct Staged {
    pub(super) package: Vec<u8>,
}

impl Firmware {
    /// What `--development` does: appDevelopment stored, the debugging server installed, nothing else.
    pub(super) fn make_development(&mut self) {
        self.flash.capabilities = vec![Capability::APP_DEVELOPMENT];
        let image = |image, image_type, name: &str, size| Installed {
            image,
            image_type,
            name: name.to_owned(),
            size,
            marks: Marks::default(),
            application: None,
            storage_used_kib: 0,
        };
        let file = ImageId::from_bytes_le(self.config.seed.branch("capability file").draws().sixteen());
        let file = image(
            file,
            ImageType::FIRMWARE_CONFIG,
            "fw_config",
            CAPABILITY_FILE_BYTES,
        );
        self.flash.images.insert(FW_CONFIG, file);
        let debugger = image(
            GDBSERVER_IMAGE,
            ImageType::APPLICATION,
            "gdbserver",
            GDBSERVER_BYTES,
        );
        self.flash.images.insert(GDBSERVER, debugger);
    }

    /// Drops what is marked to vanish at boot.
    pub(super) fn drop_temporary_images(&mut self) {
        self.flash
            .images
            .retain(|_, installed| !installed.marks.remove_at_boot);
    }

    /// Bytes of flash that the customer's images take.
    pub(super) fn used_space(&self) -> u64 {
        self.flash
            .images
            .values()
            .filter(|installed| installed.image_type.is_customers())
            .map(|i| i.size)
            .sum()
    }

    pub(super) fn is_os_component(&self, component: ComponentId) -> bool {
        self.config
            .os
            .components()
            .iter()
            .any(|part| part.component == component)
    }

    /// OS components first, then the customer's in the order of their ids.
    pub(super) fn get_images(&self) -> Response {
        let entry = |uid, image_type, name: &str, image, size| Component {
            uid,
            image_type,
            is_update_staged: self.ram.staged.contains_key(&uid),
            does_image_type_require_restart: assume::does_require_restart(image_type),
            images: vec![Image {
                uid: image,
                length_in_bytes: size,
                uncompressed_length_in_bytes: size,
                replica_type: assume::PRIMARY_REPLICA,
            }],
            name: name.to_owned(),
        };
        let os = self.config.os.components().iter();
        let os = os.map(|part| entry(part.component, part.image_type, part.name, part.image, part.size));
        let customers = self.flash.images.iter();
        let customers = customers.map(|(uid, i)| entry(*uid, i.image_type, &i.name, i.image, i.size));
        json(&Images {
            is_ota_update_in_progress: self.ram.is_updating,
            has_staged_updates: !self.ram.staged.is_empty(),
            restart_required: self.ram.is_restart_required,
            components: os.chain(customers).collect(),
        })
    }
}
