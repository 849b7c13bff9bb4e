//! Any bytes as app_manifest.json.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_image::AppManifest;

fuzz_target!(|bytes: &[u8]| match AppManifest::parse(bytes) {
    Ok(manifest) => assert!(!manifest.name.is_empty() && !manifest.entry_point.is_empty()),
    Err(error) => assert!((1..=59).contains(&error.app_manifest_error())),
});
