//! Capability files: what one device may do beyond its state (`image-package.md` 7). The file is an image of type 13;
//! this is its body.

use std::fmt;

use lineside_terms::{Blame, Capability, ComponentId, DeviceId, Explain, ImageId, ImageType};

use crate::assume::{CAPABILITY_SLOTS, ZERO_SLOT_ENDS_LIST};
use crate::little_endian::{array_at, u16_at, u32_at};
use crate::{ComposeError, Composer, Package, Signer};

/// The name in the metadata of every capability file.
pub const CAPABILITY_FILE_NAME: &str = "fw_config";

const MAGIC: u32 = 0x5CFD_5CFD;
const VERSION: u32 = 1;
const DEVICE: usize = 12;
const SLOTS: usize = DEVICE + 64;
const SIZE: usize = SLOTS + 2 * CAPABILITY_SLOTS;

/// Which device may do what. `Debug` shows the last digits of the device id only; the signed file itself is a secret
/// and must be treated so by whoever holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct CapabilityRecord {
    /// The only device for which it is meant.
    pub device: DeviceId,
    /// What it grants, in file order; at most 64.
    pub capabilities: Vec<Capability>,
}

impl CapabilityRecord {
    /// Reads the body of a capability file.
    ///
    /// # Errors
    /// When magic, version or length are not those of the one known form.
    pub fn parse(body: &[u8]) -> Result<Self, CapabilityError> {
        if u32_at(body, 0) != Some(MAGIC) {
            return Err(CapabilityError::NoMagic);
        }
        match u32_at(body, 4) {
            Some(VERSION) => {}
            version => {
                return Err(CapabilityError::Version {
                    version: version.unwrap_or(0),
                });
            }
        }
        let claimed = u32_at(body, 8).unwrap_or(0);
        let (Some(device), true) = (
            array_at(body, DEVICE),
            claimed as usize == SIZE && body.len() == SIZE,
        ) else {
            return Err(CapabilityError::Length {
                claimed,
                found: body.len(),
            });
        };
        let slots = body[SLOTS..].chunks_exact(2).filter_map(|slot| u16_at(slot, 0));
        let capabilities = slots
            .take_while(|&id| !ZERO_SLOT_ENDS_LIST || id != 0)
            .filter(|&id| id != 0)
            .map(Capability)
            .collect();
        Ok(Self {
            device: DeviceId::from_bytes(*device),
            capabilities,
        })
    }

    /// Reads the record inside a package that claims to be a capability file. The signature is another question: see
    /// [`Package::classify`].
    ///
    /// # Errors
    /// When the image type is not 13, or the body is wrong.
    pub fn of(package: &Package<'_>) -> Result<Self, CapabilityError> {
        if package.image_type() != ImageType::FIRMWARE_CONFIG {
            return Err(CapabilityError::ImageType {
                found: package.image_type(),
            });
        }
        Self::parse(package.body())
    }

    /// The body.
    ///
    /// # Errors
    /// [`CapabilityError::TooMany`] with more than 64 capabilities.
    pub fn compose(&self) -> Result<Vec<u8>, CapabilityError> {
        if self.capabilities.len() > CAPABILITY_SLOTS {
            return Err(CapabilityError::TooMany {
                count: self.capabilities.len(),
            });
        }
        let mut out = Vec::with_capacity(SIZE);
        out.extend(MAGIC.to_le_bytes());
        out.extend(VERSION.to_le_bytes());
        out.extend((SIZE as u32).to_le_bytes());
        out.extend(self.device.as_bytes());
        out.extend(
            self.capabilities
                .iter()
                .flat_map(|capability| capability.0.to_le_bytes()),
        );
        out.resize(SIZE, 0);
        Ok(out)
    }

    /// The whole signed file of 392 bytes. `built` is in Unix seconds.
    ///
    /// # Errors
    /// As [`CapabilityRecord::compose`].
    pub fn sign(
        &self,
        component: ComponentId,
        image: ImageId,
        built: u64,
        signer: &Signer,
    ) -> Result<Vec<u8>, CapabilityError> {
        let body = self.compose()?;
        let composer =
            Composer::new(ImageType::FIRMWARE_CONFIG, component, image).build(CAPABILITY_FILE_NAME, built);
        Ok(composer.compose(&body, signer)?)
    }
}

impl fmt::Debug for CapabilityRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CapabilityRecord(for …{}, {:?})",
            self.device.short(),
            self.capabilities
        )
    }
}

/// How a capability file fails. Never holds any of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// The image is of another type.
    #[error("the image is of type {found}, not a capability file")]
    ImageType {
        /// Its type.
        found: ImageType,
    },
    /// It does not begin as a capability record.
    #[error("the body does not begin as a capability record")]
    NoMagic,
    /// A version that nobody described.
    #[error("the capability record has version {version}; only {VERSION} is known")]
    Version {
        /// What it says.
        version: u32,
    },
    /// Not the one possible length.
    #[error("the capability record claims {claimed} bytes and has {found}; it must be {SIZE}")]
    Length {
        /// What it says.
        claimed: u32,
        /// What it has.
        found: usize,
    },
    /// More than a record can hold.
    #[error("{count} capabilities are asked for; a record holds {CAPABILITY_SLOTS}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The package around it cannot be made.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

impl Explain for CapabilityError {
    fn code(&self) -> &'static str {
        "image.capability"
    }

    fn help(&self) -> String {
        match self {
            Self::TooMany { .. } => "Ask for the capabilities that are needed only.".into(),
            _ => "Get the capability file of this device again from the security service.".into(),
        }
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(capabilities: Vec<Capability>) -> CapabilityRecord {
        CapabilityRecord {
            device: DeviceId::from_bytes([0xAB; 64]),
            capabilities,
        }
    }

    #[test]
    fn the_fuzz_cases_of_the_reference() {
        let good = record(vec![Capability::APP_DEVELOPMENT]).compose().unwrap();
        let with = |at: usize, value: u32| {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
            CapabilityRecord::parse(&bad).unwrap_err()
        };
        assert_eq!(with(0, 0x5CFD_5CFE), CapabilityError::NoMagic);
        assert_eq!(with(4, 2), CapabilityError::Version { version: 2 });
        assert_eq!(
            with(8, 0),
            CapabilityError::Length {
                claimed: 0,
                found: 204
            }
        );
        for cut in [76, 100, 203] {
            let error = CapabilityRecord::parse(&good[..cut]).unwrap_err();
            assert_eq!(
                error,
                CapabilityError::Length {
                    claimed: 204,
                    found: cut
                }
            );
        }
        let mut late = record(vec![]).compose().unwrap();
        late[76 + 2 * 40] = 11;
        assert_eq!(
            CapabilityRecord::parse(&late).unwrap().capabilities,
            [Capability::APP_DEVELOPMENT]
        );
    }

    #[test]
    fn a_record_has_room_for_64() {
        assert!(record(vec![Capability(1); 64]).compose().is_ok());
        assert_eq!(
            record(vec![Capability(1); 65]).compose(),
            Err(CapabilityError::TooMany { count: 65 })
        );
    }

    proptest! {
        #[test]
        fn a_record_survives(ids in proptest::collection::vec(1..=u16::MAX, 0..=64), device in any::<[u8; 32]>()) {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&device);
            let record = CapabilityRecord {
                device: DeviceId::from_bytes(bytes),
                capabilities: ids.into_iter().map(Capability).collect(),
            };
            prop_assert_eq!(CapabilityRecord::parse(&record.compose().unwrap()).unwrap(), record);
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = CapabilityRecord::parse(&bytes);
        }
    }
}
