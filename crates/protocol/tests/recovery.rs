//! Recovery messages against the golden vectors of `chip-to-pc-and-recovery.md` 5.9, and there and back.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use lineside_protocol::recovery::frame::{Decoder, encode_into};
use lineside_protocol::recovery::{
    ErrorCode, Event, FromDevice, FromHost, MANIFEST, MessageError, RUNTIME, Refusal,
};
use lineside_terms::DeviceId;
use proptest::prelude::*;

const ALL: u32 = u32::MAX;

fn on_the_wire(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    encode_into(message, &mut wire);
    wire
}

/// The bytes of a vector: hex, with text in quotes.
fn vector(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (nth, part) in text.split('\'').enumerate() {
        if nth % 2 == 1 {
            bytes.extend(part.as_bytes());
        } else {
            bytes.extend(
                part.split_whitespace()
                    .map(|byte| u8::from_str_radix(byte, 16).unwrap()),
            );
        }
    }
    bytes
}

#[test]
fn messages_of_devices_are_those_that_were_captured() {
    let by_name = |name: &str| FromDevice::ImageRequestByFilename {
        start: 0,
        most: ALL,
        name: name.to_owned(),
    };
    for (message, wire) in [
        (
            FromDevice::RecoveryEvent(Event::BL_INITIALIZATION_COMPLETE),
            "02 05 02 0b 02 01 04 01 49 b2 00",
        ),
        (
            FromDevice::RecoveryEvent(Event::BL_CAPABILITY_IMAGE_RECEIVED),
            "02 05 02 0b 02 01 04 02 2a 82 00",
        ),
        (
            FromDevice::RecoveryEvent(Event::BL_CAPABILITY_IMAGE_LOADED),
            "02 05 02 0b 02 01 04 03 0b 92 00",
        ),
        (
            FromDevice::RecoveryEvent(Event::RA_BOOT_COMPLETE),
            "02 05 02 0b 02 01 04 06 ae c2 00",
        ),
        (
            FromDevice::RecoveryEvent(Event::RA_ERASE_FLASH_STARTED),
            "02 05 02 0b 02 01 04 07 8f d2 00",
        ),
        (
            FromDevice::RecoveryEvent(Event::RA_ERASE_FLASH_COMPLETE),
            "02 05 02 0b 02 01 04 08 60 23 00",
        ),
        (FromDevice::LogConfigQuery, "02 04 02 09 01 01 03 d6 f5 00"),
        (
            FromDevice::ImageRequestCapability { start: 0, most: ALL },
            "02 0c 02 04 02 08 01 01 01 01 07 ff ff ff ff 9e c8 00",
        ),
        (
            by_name(RUNTIME),
            "02 21 02 07 02 1d 01 01 01 01 19 ff ff ff ff 'recovery-runtime.bin' 03 41 f0 00",
        ),
        (
            by_name(MANIFEST),
            "02 23 02 07 02 1f 01 01 01 01 1b ff ff ff ff 'recovery.imagemanifest' 03 a4 10 00",
        ),
        (FromDevice::BaudrateSwitchQuery, "02 04 02 03 01 01 03 7d 9d 00"),
        (FromDevice::StatusRequest, "02 04 02 02 01 01 03 c9 eb 00"),
    ] {
        let wire = vector(wire);
        assert_eq!(on_the_wire(&message.to_bytes()), wire, "{message:?}");
        let (taken, found) = Decoder::new(1024).push(&wire);
        assert_eq!(taken, wire.len());
        assert_eq!(FromDevice::parse(&found.unwrap()), Ok(message));
    }
}

#[test]
fn answers_of_hosts_are_those_that_were_captured() {
    for (message, wire) in [
        (FromHost::InitializationAck, "02 04 02 a0 01 01 03 d7 ec 00"),
        (
            FromHost::SimpleQueryAck(false),
            "02 05 02 a3 02 01 01 03 21 8a 00",
        ),
        (FromHost::SimpleQueryAck(true), "02 05 02 a3 02 01 02 01 02 9a 00"),
        (
            FromHost::ImageRequestAck {
                start: 0,
                length: 392,
                total: 392,
            },
            "02 10 02 a4 02 0c 01 01 01 01 03 88 01 01 03 88 01 01 03 77 1e 00",
        ),
        (FromHost::ServerReady, "02 04 02 a1 01 01 03 63 9a 00"),
    ] {
        let wire = vector(wire);
        assert_eq!(on_the_wire(&message.to_bytes()), wire, "{message:?}");
        let (_, found) = Decoder::new(1024).push(&wire);
        assert_eq!(FromHost::parse(&found.unwrap()), Ok(message));
    }
}

#[test]
fn the_first_message_names_the_device() {
    let id = "0".repeat(64) + &"ab".repeat(32);
    let message = FromDevice::Initialization {
        version: 1,
        device: id.parse().unwrap(),
    };
    let wire = on_the_wire(&message.to_bytes());
    let head = vector("02 89 02 01 02 85 02 01 01 01 81");
    assert_eq!(&wire[..head.len()], head);
    assert_eq!(&wire[head.len()..head.len() + 128], id.as_bytes());
    assert_eq!(wire.len(), head.len() + 128 + 4);
    assert_eq!((wire[head.len() + 128], wire.last()), (3, Some(&0)));
    // Upper case names the same device; anything else is none.
    let mut bytes = message.to_bytes();
    bytes[8..136].make_ascii_uppercase();
    assert_eq!(FromDevice::parse(&bytes), Ok(message.clone()));
    for at in [7, 8, 136] {
        let mut bytes = message.to_bytes();
        bytes.remove(at);
        bytes[2] -= 1;
        assert_eq!(FromDevice::parse(&bytes), Err(MessageError::Payload(1)), "{at}");
    }
}

#[test]
fn what_is_no_message_is_named() {
    for (bytes, error) in [
        (&b""[..], MessageError::Length),
        (b"\x02\0\x01\0", MessageError::Length),
        (b"\x02\0\0\0\0", MessageError::Length),
        (b"\0\0\0\0", MessageError::Type(0)),
        (b"\x0e\0\0\0", MessageError::Type(14)),
        (b"\x02\0\x01\0x", MessageError::Payload(2)),
        (b"\x07\0\x0a\0\0\0\0\0\0\0\0\0ab", MessageError::Payload(7)),
        (b"\x07\0\x0b\0\0\0\0\0\0\0\0\0a\0\0", MessageError::Payload(7)),
    ] {
        assert_eq!(FromDevice::parse(bytes), Err(error), "{bytes:?}");
    }
    assert_eq!(
        FromHost::parse(b"\xa3\0\x01\0\x02"),
        Err(MessageError::Payload(0xA3))
    );
    assert_eq!(FromHost::parse(b"\xa7\0\0\0"), Err(MessageError::Type(0xA7)));
}

fn any_of_device() -> impl Strategy<Value = FromDevice> {
    let range = (any::<u32>(), any::<u32>());
    prop_oneof![
        (any::<u32>(), prop::array::uniform32(any::<u8>())).prop_map(|(version, half)| {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&half);
            FromDevice::Initialization {
                version,
                device: DeviceId::from_bytes(bytes),
            }
        }),
        Just(FromDevice::StatusRequest),
        Just(FromDevice::RecoveryComplete),
        range.prop_map(|(start, most)| FromDevice::ImageRequestManifest { start, most }),
        range.prop_map(|(start, most)| FromDevice::ImageRequestRecoveryApp { start, most }),
        (range, "[^\0]{0,40}").prop_map(|((start, most), name)| FromDevice::ImageRequestByFilename {
            start,
            most,
            name
        }),
        (range, range).prop_map(|((images_left, images), (bytes_left, bytes))| {
            FromDevice::ProgressUpdate {
                images_left,
                images,
                bytes_left,
                bytes,
            }
        }),
        ".{0,40}".prop_map(FromDevice::LogEntry),
        any::<u8>().prop_map(|event| FromDevice::RecoveryEvent(Event(event))),
        any::<u32>().prop_map(|code| FromDevice::RecoveryError(ErrorCode(code))),
    ]
}

proptest! {
    #[test]
    fn messages_survive_the_way(message in any_of_device()) {
        prop_assert_eq!(FromDevice::parse(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn answers_survive_the_way(number in any::<u32>(), start in any::<u32>(), length in any::<u32>()) {
        for message in [
            FromHost::ImageRequestError(Refusal(number)),
            FromHost::ImageRequestAck { start, length, total: number },
            FromHost::StatusBusy,
            FromHost::AbortRecovery,
        ] {
            prop_assert_eq!(FromHost::parse(&message.to_bytes()), Ok(message));
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = FromHost::parse(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes.clone());
        }
        if let Ok(message) = FromDevice::parse(&bytes) {
            prop_assert_eq!(FromDevice::parse(&message.to_bytes()), Ok(message));
        }
    }
}
