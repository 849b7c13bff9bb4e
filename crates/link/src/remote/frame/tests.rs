use super::super::fault::Fault;
use super::*;
use crate::{BenchEvent, BoardInfo};
use lineside_terms::{DeviceId, SlotPath};
use proptest::prelude::*;

fn slot() -> SlotPath {
    SlotPath::new("1213").unwrap()
}

/// What was once spoken must stay understood: these bytes never change within a major version.
#[test]
fn golden_bytes() {
    let golden: &[(Message<'_>, &[u8])] = &[
        (
            Message::Hello(Version { major: 1, minor: 0 }),
            b"\x01\0\0\0\0\x08\0LNSB\x01\0\0\0",
        ),
        (Message::List { call: 1 }, b"\x10\x01\0\0\0\0\0"),
        (Message::Watch { call: 2 }, b"\x11\x02\0\0\0\0\0"),
        (Message::Unwatch { call: 2 }, b"\x12\x02\0\0\0\0\0"),
        (
            Message::Lease {
                board: 0x0102_0304,
                wish: Wish {
                    slot: slot(),
                    holder: "run 7".into(),
                },
            },
            b"\x13\x04\x03\x02\x01\x20\0{\"slot\":\"1213\",\"holder\":\"run 7\"}",
        ),
        (Message::Release { board: 3 }, b"\x14\x03\0\0\0\0\0"),
        (
            Message::Open {
                wire: 9,
                board: 3,
                port: Port::Recovery,
            },
            b"\x15\x09\0\0\0\x05\0\x03\0\0\0\x01",
        ),
        (Message::Close { wire: 9 }, b"\x16\x09\0\0\0\0\0"),
        (
            Message::Line {
                board: 3,
                line: Line::RecoveryStrap,
                asserted: true,
            },
            b"\x17\x03\0\0\0\x02\0\x01\x01",
        ),
        (
            Message::Configure {
                wire: 9,
                settings: LineSettings::SERVICE,
            },
            b"\x18\x09\0\0\0\x05\0\0\x10\x0e\0\x01",
        ),
        (
            Message::Boundary {
                wire: 9,
                byte: Some(0xc0),
            },
            b"\x19\x09\0\0\0\x01\0\xc0",
        ),
        (Message::Boundary { wire: 9, byte: None }, b"\x19\x09\0\0\0\0\0"),
        (
            Message::Data {
                wire: 9,
                bytes: b"\xc0E",
            },
            b"\x20\x09\0\0\0\x02\0\xc0E",
        ),
        (
            Message::Credit { wire: 9, bytes: 4096 },
            b"\x21\x09\0\0\0\x04\0\0\x10\0\0",
        ),
        (Message::ListEnd { call: 1 }, b"\x31\x01\0\0\0\0\0"),
        (
            Message::Event {
                call: 2,
                event: BenchEvent::Detached(slot()),
            },
            b"\x32\x02\0\0\0\x13\0{\"detached\":\"1213\"}",
        ),
        (Message::WatchEnd { call: 2 }, b"\x33\x02\0\0\0\0\0"),
        (Message::Leased { board: 3 }, b"\x34\x03\0\0\0\0\0"),
        (
            Message::Refused {
                call: 3,
                fault: Fault::NoBoard { slot: slot() },
            },
            b"\x35\x03\0\0\0\x21\0{\"kind\":\"no-board\",\"slot\":\"1213\"}",
        ),
        (
            Message::BoardFault {
                board: 3,
                fault: Fault::Departed,
            },
            b"\x36\x03\0\0\0\x13\0{\"kind\":\"departed\"}",
        ),
        (
            Message::Health { wire: 9, overruns: 5 },
            b"\x39\x09\0\0\0\x08\0\x05\0\0\0\0\0\0\0",
        ),
        (Message::Bye { reason: "bad".into() }, b"\x3f\0\0\0\0\x03\0bad"),
    ];
    for (message, bytes) in golden {
        assert_eq!(encoded(message), *bytes, "{message:?}");
        assert_eq!(decode(bytes), Ok(Some((message.clone(), bytes.len()))));
    }
}

#[test]
fn what_is_wrong_is_told() {
    let wrong: &[(&[u8], &str)] = &[
        (b"\x01\0\0\0\0\x08\0HTTP\x01\0\0\0", "that is no hello"),
        (b"\x01\0\0\0\0\x02\0LN", "the hello is too short"),
        (b"\x20\x09\0\0\0\0\0", "data without bytes"),
        (b"\x20\x09\0\0\0\xff\xff", "a frame is too long"),
        (b"\x10\x01\0\0\0\x01\0x", "a body where none belongs"),
        (b"\x15\x09\0\0\0\x05\0\x03\0\0\0\x07", "an unknown port"),
        (b"\x17\x03\0\0\0\x02\0\x01\x02", "neither true nor false"),
        (b"\x34\x03\0\0\0\x01\0x", "a body where none belongs"),
        (b"\x21\x09\0\0\0\x01\0\0", "a body of the wrong length"),
        (b"\x13\x03\0\0\0\x02\0{}", "a body that cannot be understood"),
        (b"\x7f\0\0\0\0\0\0", "an unknown kind of message"),
    ];
    for (bytes, reason) in wrong {
        assert_eq!(decode(bytes), Err(Malformed(reason)), "{bytes:?}");
    }
}

#[test]
fn what_a_newer_program_adds_may_be_skipped() {
    assert_eq!(
        decode(b"\x80\x01\0\0\0\x02\0xyrest"),
        Ok(Some((Message::Skipped, 9)))
    );
    let newer = br#"{"kind":"on-fire","since":3}"#;
    assert_eq!(serde_json::from_slice::<Fault>(newer).unwrap(), Fault::Other);
}

#[test]
fn a_fault_is_the_same_error_at_the_other_end() {
    use crate::LinkError;
    let errors = [
        LinkError::Departed,
        LinkError::NoBoard { slot: slot() },
        LinkError::Leased {
            slot: slot(),
            holder: "run 7".into(),
        },
        LinkError::PortOpen,
        LinkError::Lacking {
            what: crate::usb::NO_LINES,
        },
        LinkError::Io {
            doing: "open it".into(),
            reason: "no".into(),
        },
    ];
    for error in errors {
        assert_eq!(LinkError::from(Fault::from(&error)), error);
    }
}

fn text() -> impl Strategy<Value = String> {
    ".{0,60}"
}

fn any_slot() -> impl Strategy<Value = SlotPath> {
    "[A-Za-z0-9._:-]{1,64}".prop_map(|text| SlotPath::new(text).unwrap())
}

fn board_info() -> impl Strategy<Value = BoardInfo> {
    let option = || proptest::option::of(text());
    let device = proptest::option::of(any::<u8>().prop_map(|byte| DeviceId::from_bytes([byte; 64])));
    (any_slot(), any::<u64>(), option(), option(), option(), device).prop_map(
        |(slot, attachment, board_serial, leased_by, trouble, device)| BoardInfo {
            slot,
            attachment,
            board_serial,
            leased_by,
            trouble,
            device,
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Departed),
        any_slot().prop_map(|slot| Fault::NoBoard { slot }),
        (any_slot(), text()).prop_map(|(slot, holder)| Fault::Leased { slot, holder }),
        Just(Fault::PortOpen),
        text().prop_map(|what| Fault::Lacking { what }),
        (text(), text()).prop_map(|(doing, reason)| Fault::Io { doing, reason }),
    ]
}

fn any_message() -> impl Strategy<Value = Message<'static>> {
    let port = prop_oneof![Just(Port::Service), Just(Port::Recovery), Just(Port::Debug)];
    let line = prop_oneof![Just(Line::Reset), Just(Line::RecoveryStrap)];
    let id = any::<u32>;
    let bytes = proptest::collection::vec(any::<u8>(), 1..2_000);
    prop_oneof![
        (any::<u16>(), any::<u16>()).prop_map(|(major, minor)| Message::Hello(Version { major, minor })),
        (id(), any_slot(), text()).prop_map(|(board, slot, holder)| Message::Lease {
            board,
            wish: Wish { slot, holder }
        }),
        (id(), id(), port).prop_map(|(wire, board, port)| Message::Open { wire, board, port }),
        (id(), line, any::<bool>()).prop_map(|(board, line, asserted)| Message::Line {
            board,
            line,
            asserted
        }),
        (id(), id(), any::<bool>()).prop_map(|(wire, baud, rts_cts)| Message::Configure {
            wire,
            settings: LineSettings { baud, rts_cts }
        }),
        (id(), any::<Option<u8>>()).prop_map(|(wire, byte)| Message::Boundary { wire, byte }),
        (id(), bytes).prop_map(|(wire, bytes)| Message::Data {
            wire,
            bytes: bytes.leak()
        }),
        (id(), id()).prop_map(|(wire, bytes)| Message::Credit { wire, bytes }),
        (id(), board_info()).prop_map(|(call, board)| Message::Listed { call, board }),
        (id(), board_info()).prop_map(|(call, info)| Message::Event {
            call,
            event: BenchEvent::Attached(info)
        }),
        (id(), fault()).prop_map(|(call, fault)| Message::Refused { call, fault }),
        (id(), fault()).prop_map(|(wire, fault)| Message::ReadEnded { wire, fault }),
        (id(), fault()).prop_map(|(wire, fault)| Message::WriteEnded { wire, fault }),
        (id(), any::<u64>()).prop_map(|(wire, overruns)| Message::Health { wire, overruns }),
        text().prop_map(|reason| Message::Bye {
            reason: shortened(&reason).to_owned()
        }),
    ]
}

proptest! {
    #[test]
    fn messages_survive_the_way_and_no_cut_makes_another_one(
        messages in proptest::collection::vec(any_message(), 1..6)
    ) {
        let mut bytes = BytesMut::new();
        messages.iter().for_each(|message| encode(message, &mut bytes));
        let mut at = 0;
        for message in &messages {
            let (decoded, used) = decode(&bytes[at..]).unwrap().unwrap();
            let message = match message {
                Message::Lease { board, wish } => {
                    let holder = shortened(&wish.holder).to_owned();
                    Message::Lease { board: *board, wish: Wish { holder, ..wish.clone() } }
                }
                other => other.clone(),
            };
            prop_assert_eq!(&decoded, &message);
            for cut in [0, HEADER - 1, HEADER, used - 1] {
                if cut < used { prop_assert_eq!(decode(&bytes[at..at + cut]), Ok(None)); }
            }
            at += used;
        }
        prop_assert_eq!(at, bytes.len());
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut rest = bytes.as_slice();
        while let Ok(Some((_, used))) = decode(rest) { rest = &rest[used..]; }
    }

    #[test]
    fn any_body_of_any_kind_is_answered(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = message(kind, 7, &body);
    }
}
