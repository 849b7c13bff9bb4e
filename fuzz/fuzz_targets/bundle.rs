//! Any bytes as a bundle: they are answered, and what is taken is written back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_runner::bundle::{Bundle, is_safe};

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::parse(bytes) else { return };
    assert!(
        bundle
            .files()
            .all(|(file, content)| is_safe(&file.path) && file.size == content.len() as u64)
    );
    let again = Bundle::parse(&bundle.to_bytes()).expect("what was read can be read again");
    assert_eq!(again, bundle);
});
