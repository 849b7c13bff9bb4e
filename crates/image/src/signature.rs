//! Whose signature a package carries, and whether it holds (`image-package.md` 3 to 5).

use std::collections::BTreeMap;
use std::fmt;

use crate::{Keystore, Package, PackageError, PublicKey, Signer, TemporaryFlags, Thumbprint};

/// The public half of the SDK's development key (`image-package.md` 4). Both of its certificates hold this key.
pub const SDK_PUBLIC_KEY: PublicKey = PublicKey::from_xy_unchecked(&[
    0xed, 0xf2, 0x33, 0xc0, 0x0d, 0x31, 0x14, 0x1d, 0x8f, 0x3f, 0x56, 0x33, 0x43, 0x40, 0xcc, 0xd8, 0xc1,
    0x69, 0xfb, 0x67, 0xe2, 0xec, 0x56, 0x4b, 0xf8, 0xa5, 0xef, 0x58, 0x6b, 0x1c, 0x3f, 0x7b, 0xc1, 0x88,
    0xca, 0x20, 0x87, 0x01, 0xe6, 0xd7, 0xc7, 0x75, 0x6a, 0x13, 0x26, 0x38, 0xfe, 0x98, 0xc9, 0xa0, 0x20,
    0x07, 0x40, 0x3d, 0xe5, 0xc4, 0x22, 0xe6, 0xa7, 0xe8, 0x26, 0xa4, 0xbd, 0x24,
]);

/// The thumbprint that the SDK writes today.
pub const SDK_THUMBPRINT: Thumbprint = Thumbprint::from_bytes([
    0xa8, 0xd5, 0xcc, 0x69, 0x58, 0xf4, 0x87, 0x10, 0x14, 0x0d, 0x7a, 0x26, 0x16, 0x0f, 0xc1, 0xcf, 0xc3,
    0x1f, 0x5d, 0xf0,
]);

/// The thumbprint of the SDK's first certificate.
pub const SDK_THUMBPRINT_OLD: Thumbprint = Thumbprint::from_bytes([
    0x3f, 0x52, 0xdc, 0x69, 0xf1, 0x2b, 0x0f, 0x7c, 0xb1, 0x2c, 0xba, 0x0c, 0x6f, 0x2a, 0xd1, 0xda, 0x97,
    0xe6, 0xc7, 0x79,
]);

/// Reads a file and says what its signature is worth.
pub fn classify(bytes: &[u8], trust: &TrustList) -> Classification {
    match Package::parse(bytes) {
        Ok(package) => package.classify(trust),
        Err(error) => Classification {
            verdict: Verdict::Malformed(error),
            warnings: Vec::new(),
        },
    }
}

/// What a signature is worth, in the order in which `image-package.md` 5 asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not a package.
    Malformed(PackageError),
    /// The signer is known and the signature does not hold: the file is not what was signed.
    Tampered,
    /// Signed with the SDK's key (or a key that the trust list names as one for development): for development only,
    /// never to be loaded as production software.
    SdkSigned,
    /// Signed with a key of the trust list.
    ProductionVerified,
    /// The signer is not in the trust list, so nothing can be said offline; the device decides.
    ProductionUnverified,
}

impl Verdict {
    /// True for a package that may be sent to a device as production software: signed, and not for development.
    pub fn is_production(&self) -> bool {
        matches!(self, Self::ProductionVerified | Self::ProductionUnverified)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Malformed(_) => "malformed",
            Self::Tampered => "tampered: the signature does not hold",
            Self::SdkSigned => "signed for development",
            Self::ProductionVerified => "production, signature verified",
            Self::ProductionUnverified => "production, signer unknown",
        })
    }
}

/// A verdict and what a person should know beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    /// What the signature is worth.
    pub verdict: Verdict,
    /// To be shown; none of them is a failure.
    pub warnings: Vec<Warning>,
}

/// Something about a signature that is legal and strange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// It verifies with the SDK's key although its thumbprint names another.
    SdkKeyUnderOtherThumbprint(Thumbprint),
    /// It is marked as under development although the signer is not the SDK.
    UnderDevelopmentByOtherSigner(Thumbprint),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SdkKeyUnderOtherThumbprint(thumbprint) => {
                write!(
                    f,
                    "it is signed with the SDK's key but names the signer {thumbprint}"
                )
            }
            Self::UnderDevelopmentByOtherSigner(thumbprint) => {
                write!(
                    f,
                    "it is marked as under development but names the signer {thumbprint}, not the SDK"
                )
            }
        }
    }
}

/// The keys that one believes, by thumbprint. The SDK's key is always known and never production.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustList {
    keys: BTreeMap<Thumbprint, (PublicKey, Role)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Production,
    Development,
}

impl TrustList {
    /// Nobody but the SDK is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes a key that signs production software. A later key under the same thumbprint replaces the earlier.
    pub fn add(&mut self, thumbprint: Thumbprint, key: PublicKey) {
        self.keys.insert(thumbprint, (key, Role::Production));
    }

    /// Believes a key that signs for development, as the SDK's does: a bench without the SDK has its own.
    pub fn add_development(&mut self, thumbprint: Thumbprint, key: PublicKey) {
        self.keys.insert(thumbprint, (key, Role::Development));
    }

    /// Believes what this signer signs for production.
    pub fn add_signer(&mut self, signer: &Signer) {
        self.add(signer.thumbprint(), signer.public_key());
    }

    /// Believes the key of a DER certificate, under the certificate's thumbprint.
    ///
    /// # Errors
    /// When it is not a certificate of a P-256 key.
    pub fn add_certificate(&mut self, der: &[u8]) -> Result<(), crate::KeyError> {
        self.add(Thumbprint::of_certificate(der), PublicKey::from_certificate(der)?);
        Ok(())
    }

    /// Believes every key of a trusted keystore.
    pub fn add_keystore(&mut self, keystore: &Keystore) {
        for entry in keystore.keys() {
            self.add(entry.thumbprint, entry.key);
        }
    }

    /// The key under this thumbprint.
    pub fn get(&self, thumbprint: Thumbprint) -> Option<&PublicKey> {
        self.keys.get(&thumbprint).map(|(key, _)| key)
    }

    /// How many keys are believed, the SDK's not counted.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when nobody but the SDK is known.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

pub(crate) fn classify_package(package: &Package<'_>, trust: &TrustList) -> Classification {
    let thumbprint = package.signing().thumbprint;
    let holds = |key: &PublicKey| key.verify(package.signed_bytes(), package.signature());
    let names_sdk = thumbprint == SDK_THUMBPRINT || thumbprint == SDK_THUMBPRINT_OLD;

    let mut warnings = Vec::new();
    let verdict = match trust.keys.get(&thumbprint) {
        // The SDK's thumbprints always mean the SDK's key, whatever a list says of them.
        _ if names_sdk => {
            if holds(&SDK_PUBLIC_KEY) {
                Verdict::SdkSigned
            } else {
                Verdict::Tampered
            }
        }
        Some((key, _)) if !holds(key) => Verdict::Tampered,
        Some((_, Role::Development)) => Verdict::SdkSigned,
        // Somebody may have put the SDK's key into the list under a new name: that makes no production software.
        Some((key, Role::Production)) if *key != SDK_PUBLIC_KEY => Verdict::ProductionVerified,
        Some(_) => Verdict::SdkSigned,
        None if holds(&SDK_PUBLIC_KEY) => Verdict::SdkSigned,
        None => Verdict::ProductionUnverified,
    };
    let by_own_development_key = matches!(trust.keys.get(&thumbprint), Some((_, Role::Development)));
    if verdict == Verdict::SdkSigned && !names_sdk && !by_own_development_key {
        warnings.push(Warning::SdkKeyUnderOtherThumbprint(thumbprint));
    }
    let marked = package
        .temporary()
        .is_some_and(|flags| flags.contains(TemporaryFlags::UNDER_DEVELOPMENT));
    if marked && verdict.is_production() {
        warnings.push(Warning::UnderDevelopmentByOtherSigner(thumbprint));
    }
    Classification { verdict, warnings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_key_is_a_point() {
        assert_eq!(PublicKey::from_xy(&SDK_PUBLIC_KEY.to_xy()), Ok(SDK_PUBLIC_KEY));
    }
}
