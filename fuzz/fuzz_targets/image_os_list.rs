//! Any bytes as mt3620an.json. A device that has every image of a version runs that version or an earlier one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_image::OsList;

fuzz_target!(|bytes: &[u8]| {
    let Ok(list) = OsList::parse(bytes) else { return };
    for version in list.versions() {
        let running = list.running(&version.images);
        assert_eq!(running.is_some(), !version.images.is_empty());
    }
});
