//! Any bytes as the other end of an XMODEM transfer: neither end panics, sends without end, or takes what comes after.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use lineside_protocol::xmodem::{BlockSize, Receiver, Sender};
use lineside_terms::Instant;

const ANNOUNCED: usize = 300;
const PATIENCE: Duration = Duration::from_secs(30);

fuzz_target!(|bytes: &[u8]| {
    let data = [0x5A; ANNOUNCED];
    let mut now = Instant::ZERO;
    let mut sender = Sender::new(&data, BlockSize::Long, PATIENCE, now);
    let mut receiver = Receiver::new(ANNOUNCED, now);
    let mut out = Vec::new();
    // Pieces of seven bytes, with a second between them now and then, so that time-outs take part.
    for (nth, piece) in bytes.chunks(7).enumerate() {
        if nth % 3 == 2 {
            now = now + Duration::from_secs(1);
        }
        for (taken, is_over) in [
            (sender.input(piece, now), sender.outcome().is_some()),
            (receiver.input(piece, now), receiver.outcome().is_some()),
        ] {
            assert!(taken == piece.len() || is_over);
        }
        sender.output(now, &mut out);
        receiver.output(now, &mut out);
        assert!(out.len() <= (bytes.len() + 16) * 1100);
    }
    assert!(sender.acknowledged() <= data.len());
    assert!(receiver.received() <= ANNOUNCED + 1024);
});
