//! Keys that sign and verify packages (`image-package.md` 3): ECDSA on P-256 with SHA-256, r‖s of 64 bytes.

use std::fmt;
use std::str::FromStr;

use lineside_terms::{Blame, DeviceId, Explain};
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use ring::digest;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

/// SHA-1 of a signing certificate: the name under which a key is looked up. Prints as 40 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 20]);

impl Thumbprint {
    /// From the raw hash.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The raw hash.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The thumbprint of a certificate given as DER. The bytes are hashed, not read.
    pub fn of_certificate(der: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der);
        Self(hash.as_ref().try_into().expect("SHA-1 has 20 bytes"))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::Thumbprint)?;
        Ok(Self(bytes))
    }
}

/// A point on P-256 that verifies signatures.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey {
    /// 0x04, X, Y: the form that verification takes.
    point: [u8; 65],
}

impl PublicKey {
    /// From X‖Y, both big-endian.
    ///
    /// # Errors
    /// [`KeyError::NotOnCurve`] when that is no point of P-256.
    pub fn from_xy(xy: &[u8; 64]) -> Result<Self, KeyError> {
        let key = Self::from_xy_unchecked(xy);
        p256::PublicKey::from_sec1_bytes(&key.point).map_err(|_| KeyError::NotOnCurve)?;
        Ok(key)
    }

    /// For constants that a test proves to be on the curve.
    pub(crate) const fn from_xy_unchecked(xy: &[u8; 64]) -> Self {
        let mut point = [4; 65];
        let mut at = 0;
        while at < 64 {
            point[at + 1] = xy[at];
            at += 1;
        }
        Self { point }
    }

    /// From a DER certificate. Nothing but the key is looked at: whom to trust is the caller's business.
    ///
    /// # Errors
    /// [`KeyError::Certificate`] when it cannot be read or holds another kind of key.
    pub fn from_certificate(der: &[u8]) -> Result<Self, KeyError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| KeyError::Certificate)?;
        let point = &certificate.public_key().subject_public_key.data;
        match (rest, point.split_first()) {
            ([], Some((4, xy))) => Self::from_xy(xy.try_into().map_err(|_| KeyError::Certificate)?),
            _ => Err(KeyError::Certificate),
        }
    }

    /// X‖Y, both big-endian: the form of device ids and keystores.
    pub fn to_xy(&self) -> [u8; 64] {
        *self.point.last_chunk().expect("a point has 65 bytes")
    }

    /// The device whose identity this key is (`image-package.md` 7).
    pub fn device_id(&self) -> DeviceId {
        DeviceId::from_bytes(self.to_xy())
    }

    /// True when `signature` (r‖s) holds for `message`. High s is accepted, as devices do.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point)
            .verify(message, signature)
            .is_ok()
    }

    /// The SubjectPublicKeyInfo as DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        p256::PublicKey::from_sec1_bytes(&self.point)
            .expect("every constructor checks the point")
            .to_public_key_der()
            .expect("an uncompressed point fits its structure")
            .into_vec()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(&self.point[1..]))
    }
}

/// A private key that signs packages and capability files. Its secret never reaches `Debug` and is wiped on drop.
#[derive(Clone)]
pub struct SigningKey(p256::ecdsa::SigningKey);

impl SigningKey {
    /// From 32 secret bytes that the caller took from a source of randomness (or, in a seeded simulation, from its
    /// generator).
    ///
    /// # Errors
    /// [`KeyError::NotAScalar`] for zero and for the one value in 2³² that is not below the curve's order: draw again.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, KeyError> {
        p256::ecdsa::SigningKey::from_slice(secret)
            .map(Self)
            .map_err(|_| KeyError::NotAScalar)
    }

    /// From a PKCS#8 PEM text without pass-phrase.
    ///
    /// # Errors
    /// [`KeyError::Pem`] when it is not that, or holds another kind of key.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = p256::SecretKey::from_pkcs8_pem(pem).map_err(|_| KeyError::Pem)?;
        Ok(Self(key.into()))
    }

    /// As PKCS#8 PEM text without pass-phrase: a secret in clear text.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0
            .to_pkcs8_pem(LineEnding::LF)
            .expect("a P-256 key always has this form")
    }

    /// The key that verifies what this one signs.
    pub fn public_key(&self) -> PublicKey {
        let point = self.0.verifying_key().to_sec1_point(false);
        PublicKey {
            point: point
                .as_bytes()
                .try_into()
                .expect("an uncompressed point has 65 bytes"),
        }
    }

    /// Signs deterministically (RFC 6979): the same message gives the same r‖s. s is not normalised.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(secret)")
    }
}

/// A key together with the thumbprint under which verifiers find it.
#[derive(Debug, Clone)]
pub struct Signer {
    key: SigningKey,
    thumbprint: Thumbprint,
}

impl Signer {
    /// A key whose certificate is known by this thumbprint.
    pub fn new(key: SigningKey, thumbprint: Thumbprint) -> Self {
        Self { key, thumbprint }
    }

    /// A key of one's own without a certificate: the thumbprint is the SHA-1 of its SubjectPublicKeyInfo (DER), so
    /// that one key always has one thumbprint. Trust lists need no more; devices never see the certificate.
    pub fn without_certificate(key: SigningKey) -> Self {
        let thumbprint = Thumbprint::of_certificate(&key.public_key().to_spki_der());
        Self { key, thumbprint }
    }

    /// The thumbprint that goes into packages.
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// The key that verifies.
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// Signs a message: r‖s.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message)
    }
}

/// Key material that cannot be used. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Zero, or not below the order of the curve.
    #[error("the 32 bytes are not a private key of P-256")]
    NotAScalar,
    /// The coordinates are not those of a point.
    #[error("the 64 bytes are not a public key: no such point is on P-256")]
    NotOnCurve,
    /// Not a PKCS#8 PEM private key of P-256.
    #[error("the text is not a PKCS#8 PEM private key of P-256 without pass-phrase")]
    Pem,
    /// Not a certificate of a P-256 key.
    #[error("the bytes are not a DER certificate of a P-256 key")]
    Certificate,
    /// Not 40 hex digits.
    #[error("a thumbprint takes exactly 40 hex digits")]
    Thumbprint,
}

impl Explain for KeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAScalar => "image.key-not-a-scalar",
            Self::NotOnCurve => "image.key-not-on-curve",
            Self::Pem => "image.key-pem",
            Self::Certificate => "image.key-certificate",
            Self::Thumbprint => "image.thumbprint",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotAScalar => "Draw 32 new random bytes.",
            Self::NotOnCurve => "Check the byte order (X then Y, big-endian) and that the key is for P-256.",
            Self::Pem => "Give an unencrypted `BEGIN PRIVATE KEY` file of a P-256 key.",
            Self::Certificate => "Give the certificate as DER; its key must be ECDSA P-256.",
            Self::Thumbprint => {
                "Give the SHA-1 of the signing certificate as 40 hex digits without separators."
            }
        }
        .into()
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_secret(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_key_survives_pem_and_keeps_its_secret_from_debug() {
        let key = key(7);
        let pem = key.to_pem();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let again = SigningKey::from_pem(&pem).unwrap();
        assert_eq!(again.sign(b"x"), key.sign(b"x"));
        let signer = Signer::without_certificate(key);
        let shown = format!("{signer:?} {:?}", signer.key);
        assert!(!shown.contains("0707"), "{shown}");
        assert_eq!(
            SigningKey::from_pem("-----BEGIN PRIVATE KEY-----").unwrap_err(),
            KeyError::Pem
        );
    }

    #[test]
    fn signing_follows_rfc_6979() {
        // RFC 6979 A.2.5, P-256 with SHA-256, message "sample".
        let secret = hex::decode("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721").unwrap();
        let key = SigningKey::from_secret(&secret.try_into().unwrap()).unwrap();
        let signature = key.sign(b"sample");
        assert_eq!(
            hex::encode(signature),
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
             f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
        );
        assert!(key.public_key().verify(b"sample", &signature));
    }

    #[test]
    fn useless_material_is_refused() {
        assert_eq!(
            SigningKey::from_secret(&[0; 32]).unwrap_err(),
            KeyError::NotAScalar
        );
        assert_eq!(
            SigningKey::from_secret(&[0xFF; 32]).unwrap_err(),
            KeyError::NotAScalar
        );
        assert_eq!(PublicKey::from_xy(&[0; 64]), Err(KeyError::NotOnCurve));
        assert_eq!(
            PublicKey::from_certificate(b"\x30\x00"),
            Err(KeyError::Certificate)
        );
        assert_eq!("48a8".parse::<Thumbprint>(), Err(KeyError::Thumbprint));
    }

    #[test]
    fn without_a_certificate_the_key_itself_makes_the_thumbprint() {
        let (one, two) = (
            Signer::without_certificate(key(1)),
            Signer::without_certificate(key(2)),
        );
        assert_ne!(one.thumbprint(), two.thumbprint());
        assert_eq!(
            one.thumbprint(),
            Thumbprint::of_certificate(&one.public_key().to_spki_der())
        );
        assert_eq!(one.public_key().to_spki_der().len(), 91);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn what_a_key_signs_its_public_key_verifies(secret in proptest::array::uniform32(1..=254_u8), message in proptest::collection::vec(any::<u8>(), 0..100), flip in 0..512_usize) {
            let key = SigningKey::from_secret(&secret).unwrap();
            let public = PublicKey::from_xy(&key.public_key().to_xy()).unwrap();
            let mut signature = key.sign(&message);
            prop_assert!(public.verify(&message, &signature));
            signature[flip / 8] ^= 1 << (flip % 8);
            prop_assert!(!public.verify(&message, &signature));
        }
    }
}
