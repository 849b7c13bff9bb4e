//! Recovery sets for simulated devices: made up, signed by the world's own key, in the form and with the sizes of the one
//! set whose listing is public (`image-package.md` 9).

use std::collections::BTreeMap;

use lineside_image::{
    BOOT_LOADER_FILE, ComposeError, Composer, Keystore, MANIFEST_FILE, OS_LIST_FILE, PartitionType,
    RUNTIME_FILE, RecoveryEntry, RecoveryManifest, TrustedKey,
};
use lineside_terms::{ComponentId, ImageId, ImageType};

use crate::assume::RECOVERY_RUNTIME;
use crate::os::made_up;
use crate::{OsComponent, OsProfile, Supplies, list_json};

/// How large the files of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetSize {
    /// As those of June 2020: 5.4 MB in images.
    Real,
    /// Some 60 kB, for tests: one image of exactly one piece, one with a little more, the others in one block or two.
    Small,
}

/// Boot loader and runtime in June 2020, in bytes.
const BOOT_LOADER_SIZE: usize = 16_384;
const RUNTIME_SIZE: usize = 60_836;
/// The pieces in which images are asked for.
const PIECE: usize = lineside_protocol::recovery::assume::PIECE as usize;
/// What metadata and signature take, without a name: image bodies fill the rest.
const TRAILER: usize = 188;
const SMALL: usize = 1024;

/// The order in which devices were seen to ask, by the names of [`OsProfile::components`]; the boot loader comes last and
/// twice (`chip-to-pc-and-recovery.md` 4.1).
const ORDER: [&str; 17] = [
    "trusted-keystore",
    "Pluton Runtime",
    "Security Monitor",
    "boot-manifest",
    "policy",
    "N9 Wi-Fi Firmware",
    "A7 NW Loader",
    "NW Device Tree",
    "NW Kernel",
    "NW Root Filesystem",
    "update-cert-store",
    "gatewayd",
    "networkd",
    "azured",
    "azcore",
    "rng-tools",
    "1BL",
];

impl Supplies {
    /// A recovery set with this OS, and the OS list beside it: contents by names of files. Devices of this world take
    /// it. The same seed, OS and size give the same bytes.
    ///
    /// # Errors
    /// When a package cannot be composed, which no OS of these causes.
    pub fn image_set(&self, os: OsProfile, size: SetSize) -> Result<BTreeMap<String, Vec<u8>>, ComposeError> {
        let built = built(os);
        let mut files = BTreeMap::new();
        let mut entries = Vec::new();
        for name in ORDER {
            let part = os.components().iter().find(|part| part.name == name);
            let part = part.expect("the order names components of every OS");
            let bytes = self.image(os, part, built, size)?;
            let places: &[_] = if part.image_type == ImageType::ONE_BL {
                &[
                    PartitionType::BOOTLOADER_ONE,
                    PartitionType::BOOTLOADER_ONE_BACKUP,
                ]
            } else {
                &[PartitionType::FIRMWARE]
            };
            for &partition in places {
                let entry = RecoveryEntry {
                    image: part.image,
                    component: part.component,
                    image_type: part.image_type,
                    partition,
                    file_size: bytes.len() as u32,
                    uncompressed_size: bytes.len() as u32,
                    provides: Vec::new(),
                    depends: Vec::new(),
                };
                if entries.len() < ORDER.len() {
                    files.insert(entry.file_name(), bytes.clone());
                }
                entries.push(entry);
            }
        }
        let manifest = RecoveryManifest { built, entries }
            .compose()
            .expect("an OS has some images, and they name no interfaces");
        let extra = |image_type, name: &str, body: &[u8], total| {
            let component = ComponentId::from_u128(made_up("recovery", name));
            let image = ImageId::from_u128(made_up(&format!("recovery {os} {size:?}"), name));
            let composer = Composer::new(image_type, component, image).build(name, built);
            let composer = match total {
                Some(total) => composer.fixed_size(total),
                None => composer,
            };
            composer.compose(body, self.signing_key())
        };
        let (boot_loader, runtime) = match size {
            SetSize::Real => (BOOT_LOADER_SIZE, RUNTIME_SIZE),
            SetSize::Small => (SMALL, 2 * SMALL),
        };
        let content = self.content(os, "recovery boot loader", boot_loader - TRAILER);
        let loader = extra(ImageType::ONE_BL, "recovery-1bl", &content, Some(boot_loader))?;
        files.insert(BOOT_LOADER_FILE.to_owned(), loader);
        let content = self.content(os, "recovery runtime", runtime - TRAILER);
        let runtime = extra(RECOVERY_RUNTIME, "recovery-runtime", &content, Some(runtime))?;
        files.insert(RUNTIME_FILE.to_owned(), runtime);
        let manifest = extra(ImageType::RECOVERY_MANIFEST, "recovery", &manifest, None)?;
        files.insert(MANIFEST_FILE.to_owned(), manifest);
        files.insert(OS_LIST_FILE.to_owned(), list_json().into_bytes());
        Ok(files)
    }

    fn image(
        &self,
        os: OsProfile,
        part: &OsComponent,
        built: u64,
        size: SetSize,
    ) -> Result<Vec<u8>, ComposeError> {
        let total = match (size, part.image_type) {
            (SetSize::Real, _) => usize::try_from(part.size).expect("sizes of images are small numbers"),
            (SetSize::Small, ImageType::NORMAL_WORLD_KERNEL) => PIECE,
            (SetSize::Small, ImageType::ROOT_FS) => PIECE + 4,
            (SetSize::Small, _) => SMALL,
        };
        let body = if part.image_type == ImageType::TRUSTED_KEYSTORE {
            let signer = self.signing_key();
            Keystore::new(vec![TrustedKey {
                thumbprint: signer.thumbprint(),
                key: signer.public_key(),
            }])
            .compose()
        } else {
            self.content(os, part.name, total - TRAILER)
        };
        Composer::new(part.image_type, part.component, part.image)
            .build(part.name, built)
            .fixed_size(total)
            .compose(&body, self.signing_key())
    }

    fn content(&self, os: OsProfile, name: &str, size: usize) -> Vec<u8> {
        let mut content = vec![0; size];
        let seed = self.seed().branch(&format!("image set/{os}/{name}"));
        seed.draws().fill(&mut content);
        content
    }
}

/// A time within the month that an OS is named after, in Unix seconds.
const fn built(os: OsProfile) -> u64 {
    match os {
        OsProfile::V20_05 => 1_589_500_800,
        OsProfile::V22_09 => 1_663_200_000,
        OsProfile::V24_06 => 1_718_409_600,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use lineside_image::{ImageSet, SetFiles, Verdict};

    fn set(supplies: &Supplies, os: OsProfile, size: SetSize) -> SetFiles {
        let files = supplies.image_set(os, size).unwrap();
        SetFiles::from_listing(files.into_iter().map(|(name, bytes)| (name, bytes.into()))).unwrap()
    }

    #[test]
    fn every_set_is_whole_and_says_which_os_it_is() {
        let supplies = Supplies::new(&Seed::new(1)).unwrap();
        for os in OsProfile::ALL {
            let files = set(&supplies, os, SetSize::Small);
            let examination = lineside_image::Examination::of(&files, supplies.trust_list());
            assert_eq!(examination.problems, []);
            assert!(
                examination
                    .parts
                    .iter()
                    .all(|part| part.verdict == Some(Verdict::ProductionVerified))
            );
            let set = examination.into_set().unwrap();
            assert_eq!(set.os(), Some(os.name()));
            assert_eq!(
                set.manifest().entries.len(),
                ORDER.len() + 1,
                "the boot loader counts twice"
            );
        }
    }

    #[test]
    fn a_real_one_has_the_sizes_of_a_real_one() {
        let supplies = Supplies::new(&Seed::new(1)).unwrap();
        let set = ImageSet::read(
            &set(&supplies, OsProfile::V24_06, SetSize::Real),
            supplies.trust_list(),
        )
        .unwrap();
        // As in the log of June 2020, but for the images of types that only these devices have in place of one.
        assert_eq!(set.total_size(), 5_390_752 - 392 + 1_496 + 644);
        assert_eq!(set.boot_loader().len(), BOOT_LOADER_SIZE);
        assert_eq!(set.asked_for(RUNTIME_FILE).unwrap().len(), RUNTIME_SIZE);
    }

    #[test]
    fn the_same_seed_gives_the_same_set_and_another_seed_another() {
        let digest = |seed, os| {
            let supplies = Supplies::new(&Seed::new(seed)).unwrap();
            let files = set(&supplies, os, SetSize::Small);
            ImageSet::read(&files, supplies.trust_list()).unwrap().digest()
        };
        assert_eq!(digest(1, OsProfile::V24_06), digest(1, OsProfile::V24_06));
        assert_ne!(digest(1, OsProfile::V24_06), digest(2, OsProfile::V24_06));
        assert_ne!(digest(1, OsProfile::V24_06), digest(1, OsProfile::V22_09));
    }
}
