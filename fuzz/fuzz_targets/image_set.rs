//! Any bytes as the ZIP of a recovery set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_image::{Examination, SetFiles, TrustList};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(files) = SetFiles::from_zip(bytes) {
        let _ = Examination::of(&files, &TrustList::new());
    }
});
