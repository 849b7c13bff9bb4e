//! Any bytes from the wire into a channel that connects: it sends its attempts, and comes to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_device::fuzzing::wire_input;

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else {
        return;
    };
    assert!(wire_input(bytes, usize::from(cut)) > 0);
});
