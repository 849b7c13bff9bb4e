//! Any bytes as an HTTP answer: what is an answer stays one however it is cut, and never exceeds the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_device::fuzzing::{MOST_BODY, http_answer};

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else {
        return;
    };
    if let Some((status, length)) = http_answer(bytes, usize::MAX) {
        assert!((200..600).contains(&status) && length <= MOST_BODY);
        assert_eq!(http_answer(bytes, usize::from(cut)), Some((status, length)));
    }
});
