//! Any bytes as the body of a recovery manifest. What is accepted is composed again to the same entries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_image::RecoveryManifest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = RecoveryManifest::parse(bytes) else {
        return;
    };
    let again = manifest.compose().expect("no more was read than fits");
    assert_eq!(RecoveryManifest::parse(&again), Ok(manifest));
});
