//! Any bytes as something sealed, as checkpoints and as a certificate: they are answered, and nothing is believed that
//! nobody signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_records::{Certificate, SealKey, parse_checkpoints, unseal};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(sealed) = unseal(bytes, None) {
        let _ = Certificate::from_sealed(&sealed);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = parse_checkpoints(&text, true);
    if let Ok(key) = SealKey::from_text(&text) {
        assert_eq!(SealKey::from_text(&key.to_pem()), Ok(key));
    }
});
