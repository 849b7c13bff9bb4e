//! Any bytes as frames of a lent bench: whatever is understood survives another way over the wire, and no beginning of
//! it is taken for the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_link::remote::frame::{HEADER, MAX_BODY, decode, encoded};

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some((message, used))) = decode(rest) {
        assert!((HEADER..=HEADER + MAX_BODY).contains(&used));
        for cut in [0, HEADER - 1, used - 1] {
            assert_eq!(decode(&rest[..cut]), Ok(None));
        }
        let again = encoded(&message);
        let (same, length) = decode(&again).expect("we said it").expect("all of it");
        assert_eq!((same, length), (message, again.len()));
        rest = &rest[used..];
    }
});
