//! Any bytes as the body of a capability file. What is accepted is composed again to the same grants.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_image::CapabilityRecord;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = CapabilityRecord::parse(bytes) else {
        return;
    };
    assert!(!format!("{record:?}").contains(&record.device.to_string()));
    let again = record.compose().expect("no more was read than fits");
    assert_eq!(CapabilityRecord::parse(&again), Ok(record));
});
