//! Any bytes through the SLIP decoder: cut in two anywhere they give the same packets, never longer than allowed,
//! and what comes out survives another way over the wire.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_protocol::slip::{Decoder, encode_into};

const MAX_PACKET: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, bytes)) = bytes.split_first() else {
        return;
    };
    let (head, tail) = bytes.split_at(usize::from(cut).min(bytes.len()));

    let mut packets = Vec::new();
    let mut whole = Decoder::new(MAX_PACKET);
    whole.push(bytes, |packet| packets.push(packet.to_vec()));

    let mut again = Vec::new();
    let mut cut_up = Decoder::new(MAX_PACKET);
    for part in [head, tail] {
        cut_up.push(part, |packet| again.push(packet.to_vec()));
    }
    assert_eq!(packets, again);
    assert_eq!(whole.counters(), cut_up.counters());

    let mut wire = Vec::new();
    for packet in &packets {
        assert!((1..=MAX_PACKET).contains(&packet.len()));
        encode_into(packet, &mut wire);
    }
    let mut third = Vec::new();
    let mut clean = Decoder::new(MAX_PACKET);
    clean.push(&wire, |packet| third.push(packet.to_vec()));
    assert_eq!(packets, third);
    assert_eq!(clean.counters().dropped(), 0);
});
