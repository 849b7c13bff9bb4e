//! Any bytes as the answer to any operation: the first byte picks the operation, the rest is the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_protocol::rest::{Operation, answer};

fuzz_target!(|bytes: &[u8]| {
    let Some((&pick, body)) = bytes.split_first() else {
        return;
    };
    let operation = Operation::ALL[usize::from(pick) % Operation::ALL.len()];
    if let Err(error) = answer::check(operation, body) {
        assert_eq!(error.operation(), operation);
        assert!(!error.to_string().is_empty());
    }
    let _ = answer::error_code(body);
});
