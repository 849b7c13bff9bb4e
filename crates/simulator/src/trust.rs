//! Whose signatures simulated devices trust. What was judged once in a world is not judged again: 64 boards that take
//! one recovery set would otherwise spend their time on the same eighteen signatures, which no real device does for its
//! neighbours and no figure should pay for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use lineside_image::{Package, TrustList, Verdict};
use sha2::{Digest as _, Sha256};

/// So many packages are remembered; then it begins anew. A world sees a few dozen.
const MOST: usize = 1024;

/// Whose signatures devices trust, and what became of the packages that were judged.
#[derive(Debug)]
pub struct Trust {
    list: TrustList,
    judged: Mutex<BTreeMap<[u8; 32], Verdict>>,
}

impl Trust {
    /// Trust in the signers of this list.
    pub const fn new(list: TrustList) -> Self {
        Self {
            list,
            judged: Mutex::new(BTreeMap::new()),
        }
    }

    /// What the signature of a package is worth. The whole package is the key, its signature included, so one changed
    /// bit is another package.
    pub(crate) fn verdict(&self, package: &Package<'_>) -> Verdict {
        let key: [u8; 32] = Sha256::digest(package.bytes()).into();
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = judged.get(&key) {
            return verdict.clone();
        }
        let verdict = package.classify(&self.list).verdict;
        if judged.len() >= MOST {
            judged.clear();
        }
        judged.insert(key, verdict.clone());
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OsProfile, Seed, SetSize, Supplies};

    #[test]
    fn a_changed_bit_is_judged_anew() {
        let supplies = Supplies::new(&Seed::new(1)).unwrap();
        let set = supplies.image_set(OsProfile::default(), SetSize::Small).unwrap();
        let trust = Trust::new(supplies.trust_list().clone());
        let mut packages = 0;
        for bytes in set.values() {
            let Ok(package) = Package::parse(bytes) else {
                continue;
            };
            packages += 1;
            for _ in 0..2 {
                assert_eq!(trust.verdict(&package), Verdict::ProductionVerified);
            }
            let mut changed = bytes.clone();
            changed[0] ^= 1;
            if let Ok(changed) = Package::parse(&changed) {
                assert_eq!(trust.verdict(&changed), Verdict::Tampered);
            }
        }
        assert!(packages > 10, "{packages}");
    }

    #[test]
    fn another_world_trusts_other_signers() {
        let (one, other) = (Seed::new(1), Seed::new(2));
        let set = Supplies::new(&one).unwrap();
        let set = set.image_set(OsProfile::default(), SetSize::Small).unwrap();
        let trust = Trust::new(Supplies::new(&other).unwrap().trust_list().clone());
        for bytes in set.values() {
            if let Ok(package) = Package::parse(bytes) {
                assert_ne!(trust.verdict(&package), Verdict::ProductionVerified);
            }
        }
    }
}
