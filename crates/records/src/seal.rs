//! Texts that are signed, so that anybody with the public key can check them: certificates and lists of bundles.
//!
//! A sealed text is the text itself, then one line with the seal:
//!
//! ```text
//! {"kind": …                                       any text that ends with a line feed
//! {"seal":"lineside 1","key":"…","signature":"…"}  key and signature as hex digits
//! ```
//!
//! The signature is ECDSA on P-256 with SHA-256, r‖s of 64 bytes, over every byte before the last line. The key is
//! X‖Y of 64 bytes. A seal says who signed; whether that key is to be believed is for the reader to know from
//! elsewhere. Nothing here reads a file or draws randomness.

use std::fmt;
use std::io;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lineside_terms::{Blame, Explain};
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// The longest text that is taken, in bytes. Certificates and lists stay far below.
pub const MAX_SEALED_BYTES: usize = 16 << 20;

/// What a SubjectPublicKeyInfo of P-256 begins with (RFC 5480): all but the 64 bytes of the point.
const SPKI_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// The public half of a key that seals: X‖Y of P-256. Prints as 128 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SealKey([u8; 64]);

impl SealKey {
    /// From X‖Y, both big-endian. A point that is not on the curve verifies nothing.
    pub const fn from_bytes(xy: [u8; 64]) -> Self {
        Self(xy)
    }

    /// X‖Y.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Sixteen hex digits by which people compare keys: the beginning of SHA-256 over the SubjectPublicKeyInfo.
    pub fn short(&self) -> String {
        hex::encode(&digest(&SHA256, &self.spki()).as_ref()[..8])
    }

    /// As a `BEGIN PUBLIC KEY` text, which openssl and others read.
    pub fn to_pem(&self) -> String {
        let text = BASE64_STANDARD.encode(self.spki());
        let (first, second) = text.split_at(64);
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
    }

    /// From a `BEGIN PUBLIC KEY` text of a P-256 key, or from 128 hex digits.
    ///
    /// # Errors
    /// [`SealError::Key`].
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if !text.starts_with('-') {
            return text.parse();
        }
        let inner: String = text
            .strip_prefix("-----BEGIN PUBLIC KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
            .ok_or(SealError::Key)?
            .split_whitespace()
            .collect();
        let der = BASE64_STANDARD.decode(inner).map_err(|_| SealError::Key)?;
        let point = der.strip_prefix(&SPKI_HEAD).ok_or(SealError::Key)?;
        point.try_into().map(Self).map_err(|_| SealError::Key)
    }

    /// True when this key signed these bytes.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let mut point = [4; 65];
        point[1..].copy_from_slice(&self.0);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .verify(message, &signature.0)
            .is_ok()
    }

    fn spki(&self) -> Vec<u8> {
        [SPKI_HEAD.as_slice(), &self.0].concat()
    }
}

impl fmt::Display for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.short())
    }
}

impl FromStr for SealKey {
    type Err = SealError;
    fn from_str(text: &str) -> Result<Self, SealError> {
        let mut xy = [0; 64];
        hex::decode_to_slice(text, &mut xy).map_err(|_| SealError::Key)?;
        Ok(Self(xy))
    }
}

/// r‖s. Prints as 128 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = SealError;
    fn from_str(text: &str) -> Result<Self, SealError> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| SealError::Form)?;
        Ok(Self(bytes))
    }
}

/// Where a key that signs lives: a file, or something that never gives it out (a TPM, the system's key store).
pub trait Sealer {
    /// The public half.
    fn key(&self) -> SealKey;

    /// Where the secret half lives, for people: `file`, `TPM`.
    fn kept_in(&self) -> &str;

    /// Signs with ECDSA on P-256 and SHA-256.
    ///
    /// # Errors
    /// What the place says in which the key lives.
    fn sign(&self, message: &[u8]) -> io::Result<Signature>;
}

#[derive(Serialize, Deserialize)]
struct SealLine {
    seal: String,
    key: String,
    signature: String,
}

const SEAL: &str = "lineside 1";

/// The text with a seal behind it. A missing line feed at its end is added.
///
/// # Errors
/// What the place of the key says.
pub fn seal(text: &str, sealer: &dyn Sealer) -> io::Result<String> {
    let mut sealed = text.trim_end().to_owned();
    sealed.push('\n');
    let signature = sealer.sign(sealed.as_bytes())?;
    let line = SealLine {
        seal: SEAL.to_owned(),
        key: sealer.key().to_string(),
        signature: signature.to_string(),
    };
    sealed.push_str(&serde_json::to_string(&line).map_err(io::Error::other)?);
    sealed.push('\n');
    Ok(sealed)
}

/// A text whose seal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealed<'a> {
    /// The text, with the line feed at its end.
    pub text: &'a str,
    /// The key that signed it. Whether to believe it is not said.
    pub key: SealKey,
}

/// Checks the seal of a text. Any bytes get an answer.
///
/// # Errors
/// [`SealError::TooLarge`], [`SealError::Form`] when there is no seal, [`SealError::Newer`],
/// [`SealError::Signature`] when the text is not what was signed, [`SealError::OtherKey`] when it must be of
/// `expected` and is not.
pub fn unseal<'a>(bytes: &'a [u8], expected: Option<&SealKey>) -> Result<Unsealed<'a>, SealError> {
    if bytes.len() > MAX_SEALED_BYTES {
        return Err(SealError::TooLarge);
    }
    let all = std::str::from_utf8(bytes).map_err(|_| SealError::Form)?;
    let all = all.trim_end_matches(['\n', '\r']);
    let cut = all.rfind('\n').ok_or(SealError::Form)? + 1;
    let (text, line) = all.split_at(cut);
    let line: SealLine = serde_json::from_str(line).map_err(|_| SealError::Form)?;
    if line.seal != SEAL {
        return Err(SealError::Newer {
            found: line.seal.escape_default().to_string(),
        });
    }
    let key: SealKey = line.key.parse()?;
    let signature: Signature = line.signature.parse()?;
    if !key.verifies(text.as_bytes(), &signature) {
        return Err(SealError::Signature);
    }
    match expected {
        Some(expected) if *expected != key => Err(SealError::OtherKey {
            found: key.short(),
            expected: expected.short(),
        }),
        _ => Ok(Unsealed { text, key }),
    }
}

/// Why something that should be signed is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It carries no seal, or half of one.
    #[error("it carries no whole seal")]
    Form,
    /// A newer program sealed it in a way that is not known here.
    #[error("its seal is of the form `{found}`, which this program does not know")]
    Newer {
        /// The form.
        found: String,
    },
    /// The content is not what was signed.
    #[error("its signature does not hold: it was changed after it was signed, or cut short")]
    Signature,
    /// Another key signed it.
    #[error("it was signed with the key {found}, not with {expected}")]
    OtherKey {
        /// The key that signed, short.
        found: String,
        /// The key that should have, short.
        expected: String,
    },
    /// The text is no public key.
    #[error("it is no public key of P-256")]
    Key,
    /// It is larger than anything that is sealed here.
    #[error("it is larger than {MAX_SEALED_BYTES} bytes")]
    TooLarge,
    /// It is sealed and says something else than it should.
    #[error("it is signed, and is no {expected} that this program knows")]
    Content {
        /// What it should be.
        expected: &'static str,
    },
    /// A line that should be a checkpoint is none.
    #[error("line {line} is no checkpoint")]
    Checkpoint {
        /// Which line, counted from 1.
        line: usize,
    },
}

impl Explain for SealError {
    fn code(&self) -> &'static str {
        match self {
            Self::Form => "evidence.not-sealed",
            Self::Newer { .. } => "evidence.newer",
            Self::Signature => "evidence.signature",
            Self::OtherKey { .. } => "evidence.other-key",
            Self::Key => "evidence.key",
            Self::TooLarge => "evidence.too-large",
            Self::Content { .. } => "evidence.content",
            Self::Checkpoint { .. } => "evidence.checkpoint",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Form | Self::TooLarge => {
                "Take the file as it was made: mail programs and editors that change line ends break a seal."
            }
            Self::Newer { .. } | Self::Content { .. } => "Check which file it is, or use a newer Lineside.",
            Self::Signature => "Do not rely on it. Get it again from where it was made.",
            Self::OtherKey { .. } => {
                "Do not rely on it before you know whose key that is: compare it with the key that you got on another way."
            }
            Self::Key => "Give a `BEGIN PUBLIC KEY` file of a P-256 key, or its 128 hex digits.",
            Self::Checkpoint { .. } => "Give a file with checkpoints as `lineside records checkpoint` prints them.",
        }
        .into()
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use p256::ecdsa::signature::Signer as _;
    use proptest::prelude::*;

    /// A key in memory; the same byte gives the same key, and signatures follow RFC 6979.
    pub(crate) struct TestKey(p256::ecdsa::SigningKey);

    impl TestKey {
        pub(crate) fn new(byte: u8) -> Self {
            Self(p256::ecdsa::SigningKey::from_slice(&[byte; 32]).unwrap())
        }
    }

    impl Sealer for TestKey {
        fn key(&self) -> SealKey {
            let point = self.0.verifying_key().to_sec1_point(false);
            SealKey(point.as_bytes()[1..].try_into().unwrap())
        }
        fn kept_in(&self) -> &str {
            "memory"
        }
        fn sign(&self, message: &[u8]) -> io::Result<Signature> {
            let signature: p256::ecdsa::Signature = self.0.sign(message);
            Ok(Signature(signature.to_bytes().into()))
        }
    }

    #[test]
    fn a_sealed_text_never_changes_its_form() {
        let sealed = seal("{\"kind\":\"test\"}", &TestKey::new(7)).unwrap();
        assert_eq!(
            sealed.trim_end(),
            include_str!("../tests/golden/sealed.txt").trim_end()
        );
        assert_eq!(
            TestKey::new(7).key().to_pem().trim_end(),
            include_str!("../tests/golden/key.txt").trim_end()
        );
    }

    #[test]
    fn every_change_is_found() {
        let key = TestKey::new(7);
        let sealed = seal("{\n \"kind\": \"test\"\n}\n", &key).unwrap();
        let found = unseal(sealed.as_bytes(), Some(&key.key())).unwrap();
        assert_eq!(
            (found.text, found.key),
            ("{\n \"kind\": \"test\"\n}\n", key.key())
        );
        for at in 0..sealed.len() - 1 {
            for bit in [1, 2, 0x10] {
                let mut changed = sealed.clone().into_bytes();
                changed[at] ^= bit;
                // Hex digits may be written in either case; nothing else has two forms.
                if changed.eq_ignore_ascii_case(sealed.as_bytes()) && at > 21 {
                    continue;
                }
                assert!(unseal(&changed, None).is_err(), "byte {at}");
            }
            assert!(unseal(&sealed.as_bytes()[..at], None).is_err(), "cut at {at}");
        }
        let other = TestKey::new(8).key();
        let error = unseal(sealed.as_bytes(), Some(&other)).unwrap_err();
        assert_eq!(error.code(), "evidence.other-key");
        let newer = sealed.replace("lineside 1", "lineside 2");
        assert_eq!(
            unseal(newer.as_bytes(), None).unwrap_err().code(),
            "evidence.newer"
        );
    }

    #[test]
    fn a_public_key_survives_both_forms() {
        let key = TestKey::new(9).key();
        assert_eq!(SealKey::from_text(&key.to_pem()), Ok(key));
        assert_eq!(SealKey::from_text(&key.to_pem().replace('\n', "\r\n")), Ok(key));
        assert_eq!(SealKey::from_text(&format!("{key}\n")), Ok(key));
        for bad in [
            "",
            "00",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----",
        ] {
            assert_eq!(SealKey::from_text(bad), Err(SealError::Key), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            let _ = unseal(&bytes, None);
            let _ = SealKey::from_text(&text);
            let line = format!("{text}\n{{\"seal\":\"lineside 1\",\"key\":\"{text}\",\"signature\":\"\"}}");
            prop_assert!(unseal(line.as_bytes(), None).is_err());
        }
    }
}
