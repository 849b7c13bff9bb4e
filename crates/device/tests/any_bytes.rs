//! Any bytes are answered: by an answer or by silence, never by a panic.

use lineside_device::fuzzing::{MOST_BODY, http_answer, wire_input};
use proptest::prelude::*;

/// Bytes that come close to an answer.
fn almost_http() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.0 404 \r\n".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"Content-Length: 99999999999999999999\r\n".to_vec()),
        Just(b"Content-Length: -1\r\n".to_vec()),
        Just(b"Connection: close\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"REST-API-Version: 4.6.0\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"hello".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Bytes that come close to packets of a device: SLIP, an IPv4 header for us, a TCP header from port 443.
fn almost_packets() -> impl Strategy<Value = Vec<u8>> {
    let packet =
        (proptest::collection::vec(any::<u8>(), 20..60), any::<bool>()).prop_map(|(mut tail, is_valid)| {
            let mut packet = vec![
                0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 168, 35, 2, 192, 168, 35, 1,
            ];
            tail[0..2].copy_from_slice(&443_u16.to_be_bytes());
            packet.extend(tail);
            let length = packet.len() as u16;
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            if is_valid {
                let sum = checksum(&packet[..20]);
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
                let tail_length = length - 20;
                let mut pseudo = packet[12..20].to_vec();
                pseudo.extend([0, 6]);
                pseudo.extend(tail_length.to_be_bytes());
                packet[36..38].fill(0);
                pseudo.extend(&packet[20..]);
                let sum = checksum(&pseudo);
                packet[36..38].copy_from_slice(&sum.to_be_bytes());
            }
            let mut framed = Vec::new();
            lineside_protocol::slip::encode_into(&packet, &mut framed);
            framed
        });
    let noise = proptest::collection::vec(any::<u8>(), 0..40);
    proptest::collection::vec(prop_oneof![packet, noise], 0..10).prop_map(|pieces| pieces.concat())
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn http_is_read_alike_however_it_is_cut(bytes in almost_http(), cut in 1_usize..40) {
        let whole = http_answer(&bytes, usize::MAX);
        let pieces = http_answer(&bytes, cut);
        if let Some((status, length)) = whole {
            prop_assert!((200..600).contains(&status) && length <= MOST_BODY);
            prop_assert_eq!(pieces, whole);
        }
    }

    #[test]
    fn any_bytes_from_the_wire_are_survived(bytes in almost_packets(), cut in 1_usize..200) {
        // Two attempts to connect go out whatever comes in.
        prop_assert!(wire_input(&bytes, cut) > 0);
    }
}

#[test]
fn an_answer_reads_as_it_was_written() {
    let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello";
    for cut in 1..answer.len() {
        assert_eq!(http_answer(answer, cut), Some((201, 5)));
    }
}
