//! The trusted keystore: the keys whose signatures a device believes (`image-package.md` 9.1). The layout comes from one
//! public template and was not checked against a real file, so reading is suspicious.

use lineside_terms::{Blame, Explain};

use crate::assume::{KEYSTORE_KEY_IS_BIG_ENDIAN, KEYSTORE_SIZES};
use crate::little_endian::{array_at, u16_at, u32_at};
use crate::{PublicKey, Thumbprint};

const HEADER: usize = 4;
const ENTRY: usize = 100;
const TABLE_MAGIC: u32 = 0x4C42_5455;

/// A key that devices believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedKey {
    /// The thumbprint that packages name.
    pub thumbprint: Thumbprint,
    /// The key that verifies them.
    pub key: PublicKey,
}

/// The keys of a keystore, in file order. What its table says about their use is not known and not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keystore {
    keys: Vec<TrustedKey>,
}

impl Keystore {
    /// Reads the body of a keystore image (type 19).
    ///
    /// # Errors
    /// When the layout is not the described one, or a key is no point of P-256: then nothing of it is believed.
    pub fn parse(body: &[u8]) -> Result<Self, KeystoreError> {
        let count = usize::from(u16_at(body, 0).ok_or(KeystoreError::Truncated)?);
        let end = HEADER + count * ENTRY;
        let entries = body.get(HEADER..end).ok_or(KeystoreError::Truncated)?;
        let keys = entries
            .chunks_exact(ENTRY)
            .enumerate()
            .map(|(index, entry)| read_entry(index, entry));
        let keys = keys.collect::<Result<_, _>>()?;
        if u32_at(body, end) != Some(TABLE_MAGIC) {
            return Err(KeystoreError::NoTable);
        }
        let rows = u32_at(body, end + 4).ok_or(KeystoreError::Truncated)? as usize;
        if rows > (body.len() - end - 8) / 4 {
            return Err(KeystoreError::Truncated);
        }
        Ok(Self { keys })
    }

    /// A keystore with these keys.
    pub fn new(keys: Vec<TrustedKey>) -> Self {
        Self { keys }
    }

    /// The body of a keystore image, to be packed. Fields of which nobody knows the meaning are 0.
    pub fn compose(&self) -> Vec<u8> {
        let mut body = (self.keys.len() as u32).to_le_bytes().to_vec();
        for TrustedKey { thumbprint, key } in &self.keys {
            body.extend([0; 12]);
            body.extend(KEYSTORE_SIZES.0.to_le_bytes());
            body.extend(KEYSTORE_SIZES.1.to_le_bytes());
            let mut xy = key.to_xy();
            if !KEYSTORE_KEY_IS_BIG_ENDIAN {
                xy[..32].reverse();
                xy[32..].reverse();
            }
            body.extend(xy);
            body.extend(thumbprint.as_bytes());
        }
        body.extend(TABLE_MAGIC.to_le_bytes());
        body.extend((self.keys.len() as u32).to_le_bytes());
        body.resize(body.len() + 4 * self.keys.len(), 0);
        body
    }

    /// Its keys.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }
}

fn read_entry(index: usize, entry: &[u8]) -> Result<TrustedKey, KeystoreError> {
    let sizes = (u16_at(entry, 12), u16_at(entry, 14));
    if sizes != (Some(KEYSTORE_SIZES.0), Some(KEYSTORE_SIZES.1)) {
        return Err(KeystoreError::EntrySizes { index });
    }
    let mut xy: [u8; 64] = *array_at(entry, 16).ok_or(KeystoreError::Truncated)?;
    let thumbprint = Thumbprint::from_bytes(*array_at(entry, 80).ok_or(KeystoreError::Truncated)?);
    if !KEYSTORE_KEY_IS_BIG_ENDIAN {
        xy[..32].reverse();
        xy[32..].reverse();
    }
    let key = PublicKey::from_xy(&xy).map_err(|_| KeystoreError::NotOnCurve { index })?;
    Ok(TrustedKey { thumbprint, key })
}

/// How a keystore fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// It ends too early for what it claims.
    #[error("the keystore ends before its entries do")]
    Truncated,
    /// An entry with other sizes than those of P-256 and SHA-1.
    #[error("entry {index} of the keystore does not hold a P-256 key and a SHA-1 thumbprint")]
    EntrySizes {
        /// Its place, from 0.
        index: usize,
    },
    /// A key that is none.
    #[error("the key in entry {index} of the keystore is not a point of P-256")]
    NotOnCurve {
        /// Its place, from 0.
        index: usize,
    },
    /// The table is not where it should be.
    #[error("the keystore has no table behind its entries")]
    NoTable,
}

impl Explain for KeystoreError {
    fn code(&self) -> &'static str {
        "image.keystore"
    }

    fn help(&self) -> String {
        "Give the trusted keystore of a recovery set (image type 19). If it is one, its layout is newer than this \
         program: give the signing certificates instead."
            .into()
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SDK_PUBLIC_KEY, SDK_THUMBPRINT, Signer, SigningKey, TrustList};
    use proptest::prelude::*;

    fn keystore(keys: &[(PublicKey, Thumbprint)]) -> Vec<u8> {
        let keys = keys
            .iter()
            .map(|&(key, thumbprint)| TrustedKey { thumbprint, key });
        Keystore::new(keys.collect()).compose()
    }

    #[test]
    fn its_keys_join_a_trust_list() {
        let own = Signer::without_certificate(SigningKey::from_secret(&[5; 32]).unwrap());
        let body = keystore(&[
            (own.public_key(), own.thumbprint()),
            (SDK_PUBLIC_KEY, SDK_THUMBPRINT),
        ]);
        let read = Keystore::parse(&body).unwrap();
        assert_eq!(
            read.keys()[0],
            TrustedKey {
                thumbprint: own.thumbprint(),
                key: own.public_key()
            }
        );
        let mut trust = TrustList::new();
        trust.add_keystore(&read);
        assert_eq!(trust.get(own.thumbprint()), Some(&own.public_key()));
        assert_eq!(trust.len(), 2);
    }

    #[test]
    fn damage_is_named() {
        let good = keystore(&[(SDK_PUBLIC_KEY, SDK_THUMBPRINT)]);
        for cut in 0..good.len() {
            assert!(Keystore::parse(&good[..cut]).is_err(), "cut at {cut}");
        }
        let with = |at: usize| {
            let mut bad = good.clone();
            bad[at] ^= 1;
            Keystore::parse(&bad).unwrap_err()
        };
        assert_eq!(with(4 + 12), KeystoreError::EntrySizes { index: 0 });
        assert_eq!(with(4 + 16), KeystoreError::NotOnCurve { index: 0 });
        assert_eq!(with(4 + 100), KeystoreError::NoTable);
        assert_eq!(with(4 + 105), KeystoreError::Truncated);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Keystore::parse(&bytes);
        }
    }
}
