//! Any bytes as what comes over the recovery UART: cut in two anywhere they give the same messages, and every message
//! that is understood is the same after another way over the wire.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_protocol::recovery::frame::{Decoder, encode_into};
use lineside_protocol::recovery::{FromDevice, FromHost};

const MOST: usize = 256;

fn all(decoder: &mut Decoder, mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (taken, message) = decoder.push(bytes);
        assert!(taken > 0);
        found.extend(message);
        bytes = &bytes[taken..];
    }
    found
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else {
        return;
    };
    let (head, tail) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let messages = all(&mut Decoder::new(MOST), bytes);
    let mut cut_up = Decoder::new(MOST);
    let mut again = all(&mut cut_up, head);
    again.extend(all(&mut cut_up, tail));
    assert_eq!(messages, again);
    for message in &messages {
        let mut wire = Vec::new();
        encode_into(message, &mut wire);
        assert_eq!(all(&mut Decoder::new(MOST), &wire), std::slice::from_ref(message));
    }
    // Bytes that are a message already, without a frame around them.
    for message in messages.iter().map(Vec::as_slice).chain([bytes]) {
        if let Ok(found) = FromDevice::parse(message) {
            assert_eq!(FromDevice::parse(&found.to_bytes()), Ok(found));
        }
        if let Ok(found) = FromHost::parse(message) {
            assert_eq!(found.to_bytes(), message);
        }
    }
});
