//! What plans for simulated devices need: keys that sign for them, lists, certificates.

use lineside_image::{CapabilityError, CapabilityRecord, Signer, SigningKey, TrustList};
use lineside_terms::{Capability, ComponentId, DeviceId, ImageId};

use crate::SimulatorError;
use crate::seed::Seed;

/// The component id that real capability files carry (`device-rest-api.md` 5.3).
const FW_CONFIG: ComponentId = ComponentId::from_u128(0x4128b5d8_abc2_4155_9a33_8a1f31ed67ec);

/// Keys and lists that belong to one world. The same seed gives the same.
#[derive(Debug, Clone)]
pub struct Supplies {
    production: Signer,
    development: Signer,
    trust: TrustList,
    seed: Seed,
}

impl Supplies {
    /// Those of the world with this seed.
    ///
    /// # Errors
    /// When no key can be made, which no seed should cause.
    pub fn new(seed: &Seed) -> Result<Self, SimulatorError> {
        let production = signer(&seed.branch("production signer"))?;
        let development = signer(&seed.branch("development signer"))?;
        let mut trust = TrustList::new();
        trust.add_signer(&production);
        trust.add_development(development.thumbprint(), development.public_key());
        Ok(Self {
            production,
            development,
            trust,
            seed: seed.clone(),
        })
    }

    /// Signs production software and capability files that these devices accept.
    pub fn signing_key(&self) -> &Signer {
        &self.production
    }

    /// The private key of [`Self::signing_key`] in PEM, for tools that pack software for these devices. It guards
    /// nothing: whoever knows the seed has it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn signing_pem(&self) -> Result<String, SimulatorError> {
        Ok(key(&self.seed.branch("production signer"))?.to_pem().to_string())
    }

    /// Signs software for development, as the SDK's key does: accepted with appDevelopment only. Devices accept the
    /// SDK's own key in the same way.
    pub fn development_key(&self) -> &Signer {
        &self.development
    }

    /// Whom these devices trust.
    pub fn trust_list(&self) -> &TrustList {
        &self.trust
    }

    /// Where contents are drawn from.
    pub(crate) fn seed(&self) -> &Seed {
        &self.seed
    }

    /// A capability file for one device.
    ///
    /// # Errors
    /// When more capabilities are asked for than a file can hold.
    pub fn capability_file(
        &self,
        device: DeviceId,
        capabilities: &[Capability],
    ) -> Result<Vec<u8>, CapabilityError> {
        let image = ImageId::from_bytes_le(
            self.seed
                .branch(&format!("capability/{device}/{capabilities:?}"))
                .draws()
                .sixteen(),
        );
        let record = CapabilityRecord {
            device,
            capabilities: capabilities.to_vec(),
        };
        record.sign(FW_CONFIG, image, 0, &self.production)
    }
}

fn signer(seed: &Seed) -> Result<Signer, SimulatorError> {
    Ok(Signer::without_certificate(key(seed)?))
}

fn key(seed: &Seed) -> Result<SigningKey, SimulatorError> {
    let secret: [u8; 32] = seed.key().to_bytes().into();
    SigningKey::from_secret(&secret).map_err(|error| SimulatorError::Certificate {
        reason: error.to_string(),
    })
}
