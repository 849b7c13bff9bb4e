//! The host's side of a recovery against the sequence that was captured (`chip-to-pc-and-recovery.md` 5.6), spoken by
//! hand.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use lineside_protocol::recovery::frame::{Decoder, encode_into};
use lineside_protocol::recovery::host::{Failure, Flash, Host, Options, Phase, Supply, Uart, Want, Wanted};
use lineside_protocol::recovery::{ErrorCode, Event, FromDevice, FromHost, MANIFEST, RUNTIME, assume};
use lineside_protocol::xmodem::Receiver;
use lineside_terms::{DeviceId, Instant};

const ALL: u32 = u32::MAX;
const IMAGE: &str = "00112233445566778899aabbccddeeff.bin";

fn device() -> DeviceId {
    DeviceId::from_bytes([0xAB; 64])
}

fn contents(name: &str) -> Arc<[u8]> {
    match name {
        RUNTIME => Arc::from(vec![1; 60_836]),
        MANIFEST => Arc::from(vec![2; 1_496]),
        IMAGE => Arc::from(vec![3; 20_481]),
        _ => panic!("nobody asks for {name}"),
    }
}

/// A host, and a device spoken by hand.
struct Talk {
    host: Host,
    now: Instant,
    heard: Vec<u8>,
    uarts: Vec<Uart>,
    is_admitted: bool,
    outcome: Option<Result<(), Failure>>,
}

impl Talk {
    fn new() -> Self {
        let now = Instant::ZERO;
        Self {
            host: Host::new(Options::new(Arc::from(vec![9; 16_384])), now),
            now,
            heard: Vec::new(),
            uarts: Vec::new(),
            is_admitted: true,
            outcome: None,
        }
    }

    /// The driver's turn.
    fn drive(&mut self) {
        loop {
            self.host.output(self.now, &mut self.heard);
            let Some(want) = self.host.next_want() else {
                break;
            };
            match want {
                Want::Configure(uart) => {
                    self.uarts.push(uart);
                    self.host.configured(self.now);
                }
                Want::Admit(id) => {
                    assert_eq!(id, device());
                    self.host.admit(self.is_admitted, self.now);
                }
                Want::Supply(Wanted::Capability) => self.host.supply(Supply::Missing, self.now),
                Want::Supply(Wanted::File(name)) => {
                    self.host.supply(Supply::File(contents(&name)), self.now);
                }
                Want::Note(_) => {}
                Want::Finish(outcome) => self.outcome = Some(outcome),
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.host.input(bytes, self.now);
        self.drive();
    }

    fn tell(&mut self, message: &FromDevice) {
        let mut wire = Vec::new();
        encode_into(&message.to_bytes(), &mut wire);
        self.say(&wire);
    }

    fn answer(&mut self) -> FromHost {
        let (taken, message) = Decoder::new(1024).push(&self.heard);
        self.heard.drain(..taken);
        FromHost::parse(&message.expect("the host answers")).unwrap()
    }

    fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut receiver = Receiver::new(length, self.now);
        while receiver.outcome().is_none() {
            let mut out = Vec::new();
            receiver.output(self.now, &mut out);
            self.say(&out);
            let heard = std::mem::take(&mut self.heard);
            receiver.input(&heard, self.now);
        }
        let mut out = Vec::new();
        receiver.output(self.now, &mut out);
        self.say(&out);
        assert_eq!(receiver.outcome(), Some(Ok(())));
        receiver.into_data()
    }

    fn fetch(&mut self, name: &str, start: u32, most: u32) {
        self.tell(&FromDevice::ImageRequestByFilename {
            start,
            most,
            name: name.to_owned(),
        });
        let all = contents(name);
        let length = most.min(all.len() as u32 - start);
        let total = all.len() as u32;
        assert_eq!(self.answer(), FromHost::ImageRequestAck { start, length, total });
        let received = self.receive(length as usize);
        assert!(received.len() as u32 == length && received.iter().all(|byte| *byte == all[0]));
    }

    fn rom(&mut self) {
        self.say(b"RECOVERY\r\n0000362000008A01020A00008FC8C833\r\n");
        assert_eq!(self.host.phase(), Phase::Entering);
        assert_eq!(self.receive(16_384).len(), 16_384);
        assert_eq!(self.host.phase(), Phase::Checking);
        self.say(b"+GOOD\r\n");
    }

    fn initialize(&mut self) {
        let mut wire = b"[1BL] BOOT: INIT\r\n".to_vec();
        let message = FromDevice::Initialization {
            version: 1,
            device: device(),
        };
        encode_into(&message.to_bytes(), &mut wire);
        self.say(&wire);
    }

    fn prepare(&mut self) {
        self.tell(&FromDevice::RecoveryEvent(Event(1)));
        self.tell(&FromDevice::LogConfigQuery);
        assert_eq!(self.answer(), FromHost::SimpleQueryAck(false));
        self.tell(&FromDevice::ImageRequestCapability { start: 0, most: ALL });
        assert!(matches!(self.answer(), FromHost::ImageRequestError(_)));
        self.fetch(RUNTIME, 0, ALL);
        self.tell(&FromDevice::LogConfigQuery);
        self.answer();
        self.tell(&FromDevice::RecoveryEvent(Event::RA_BOOT_COMPLETE));
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.drive();
    }
}

#[test]
fn a_recovery_goes_as_it_was_captured() {
    let mut talk = Talk::new();
    talk.rom();
    talk.initialize();
    assert_eq!(talk.answer(), FromHost::InitializationAck);
    assert_eq!(talk.host.device(), Some(device()));
    talk.prepare();
    assert_eq!(talk.host.flash(), Flash::Untouched);
    talk.tell(&FromDevice::BaudrateSwitchQuery);
    assert_eq!(talk.answer(), FromHost::SimpleQueryAck(true));
    assert_eq!(talk.uarts, [Uart::HIGH]);
    assert_eq!(talk.host.flash(), Flash::AtRisk);
    talk.tell(&FromDevice::StatusRequest);
    assert_eq!(talk.answer(), FromHost::ServerReady);
    talk.tell(&FromDevice::RecoveryEvent(Event::RA_ERASE_FLASH_STARTED));
    talk.pass(Duration::from_secs(100));
    talk.tell(&FromDevice::RecoveryEvent(Event::RA_ERASE_FLASH_COMPLETE));
    talk.fetch(MANIFEST, 0, ALL);
    for event in [9, 10] {
        talk.tell(&FromDevice::RecoveryEvent(Event(event)));
    }
    let progress = |left: u32| FromDevice::ProgressUpdate {
        images_left: left,
        images: 1,
        bytes_left: left * 20_481,
        bytes: 20_481,
    };
    talk.tell(&progress(1));
    talk.fetch(IMAGE, 0, 20_480);
    assert_eq!(talk.host.progress().bytes, 20_480);
    talk.fetch(IMAGE, 20_480, 20_480);
    talk.tell(&progress(0));
    assert_eq!(talk.host.progress().images, 1);
    talk.tell(&FromDevice::RecoveryEvent(Event::RA_RECOVERY_COMPLETE));
    talk.tell(&FromDevice::RecoveryComplete);
    assert_eq!(talk.outcome, Some(Ok(())));
    assert_eq!(talk.uarts, [Uart::HIGH], "it never fell back");
    assert!(talk.heard.is_empty(), "nothing was said unasked");
}

#[test]
fn nothing_is_said_to_a_device_that_was_not_admitted() {
    let mut talk = Talk::new();
    talk.is_admitted = false;
    talk.rom();
    talk.initialize();
    assert_eq!(talk.outcome, Some(Err(Failure::NotAdmitted { device: device() })));
    talk.initialize();
    talk.tell(&FromDevice::LogConfigQuery);
    talk.pass(Duration::from_secs(1000));
    assert!(talk.heard.is_empty());
    assert!(talk.host.flash().may_retry());
}

#[test]
fn another_device_half_way_is_left_alone() {
    let mut talk = Talk::new();
    talk.rom();
    talk.initialize();
    talk.answer();
    let announced = DeviceId::from_bytes([1; 64]);
    talk.tell(&FromDevice::Initialization {
        version: 1,
        device: announced,
    });
    let admitted = device();
    assert_eq!(
        talk.outcome,
        Some(Err(Failure::AnotherDevice { admitted, announced }))
    );
    assert!(talk.heard.is_empty());
}

#[test]
fn without_a_word_at_the_new_speed_it_goes_back() {
    let mut talk = Talk::new();
    talk.rom();
    talk.initialize();
    talk.answer();
    talk.prepare();
    talk.tell(&FromDevice::BaudrateSwitchQuery);
    talk.answer();
    talk.say(&[0x55; 40]);
    talk.pass(assume::SWITCH_GIVEN_UP);
    assert_eq!(talk.uarts, [Uart::HIGH, Uart::LOW]);
    // The device that never heard the answer asks once more, and once more.
    for is_high in [true, false] {
        talk.tell(&FromDevice::BaudrateSwitchQuery);
        assert_eq!(talk.answer(), FromHost::SimpleQueryAck(is_high));
        talk.pass(assume::SWITCH_GIVEN_UP);
    }
    talk.tell(&FromDevice::RecoveryError(ErrorCode::recovery(116)));
    let phase = Phase::Switching;
    let code = ErrorCode::recovery(116);
    assert_eq!(talk.outcome, Some(Err(Failure::Device { code, phase })));
    assert!(
        talk.host.flash().may_retry(),
        "the device says that it erased nothing"
    );
}

#[test]
fn no_name_leads_out_of_the_image_set() {
    let mut talk = Talk::new();
    talk.rom();
    talk.initialize();
    talk.answer();
    for name in ["", "../secret", "a/b", "C:x", "..", ".x", "a\\b", "nul\u{e9}"] {
        talk.tell(&FromDevice::ImageRequestByFilename {
            start: 0,
            most: ALL,
            name: name.to_owned(),
        });
        assert!(
            matches!(talk.answer(), FromHost::ImageRequestError(why) if why.0 == 2),
            "{name}"
        );
    }
}

#[test]
fn a_board_that_boots_as_usual_is_seen_soon() {
    let mut talk = Talk::new();
    let began = talk.now;
    talk.say(b"[1BL] BOOT: 70000000/00000000/02010000\r\nG=00\r\nD=00,N=00\r\n");
    assert_eq!(talk.outcome, None);
    while let Some(wake) = talk.host.next_wake() {
        talk.pass(wake - talk.now);
        talk.say(b"[PLUTON] Logging initialized\r\n");
    }
    assert_eq!(talk.outcome, Some(Err(Failure::BootedNormally)));
    assert_eq!(talk.now - began, assume::ROM_SPEAKS_WITHIN);
}

#[test]
fn what_is_left_over_from_an_earlier_boot_is_no_boot() {
    let mut talk = Talk::new();
    talk.say(b"G=00\r\nD=00,N=00\r\n[PLUTON] Logging initialized\r\n");
    talk.pass(assume::ROM_ASKS_EVERY);
    talk.say(b"RECOVERY\r\n0000362000008A01020A00008FC8C833\r\n");
    talk.pass(assume::ROM_SPEAKS_WITHIN);
    assert_eq!(talk.outcome, None);
    talk.say(b"C");
    assert_eq!((talk.outcome, talk.host.phase()), (None, Phase::Booting));
}

#[test]
fn a_bootloader_that_is_refused_is_told_even_without_the_word() {
    for verdict in [&b"+BAD\r\n"[..], b"CC"] {
        let mut talk = Talk::new();
        talk.say(b"RECOVERY\r\n0000362000008A01020A00008FC8C833\r\n");
        talk.receive(16_384);
        talk.say(verdict);
        assert_eq!(talk.outcome, Some(Err(Failure::BootloaderRefused)));
    }
}

#[test]
fn silence_has_an_end_everywhere() {
    let mut talk = Talk::new();
    while let Some(wake) = talk.host.next_wake() {
        talk.pass(wake - talk.now);
    }
    let after = assume::FIRST_WORD;
    assert_eq!(talk.outcome, Some(Err(Failure::NoRom { after })));

    let mut talk = Talk::new();
    talk.rom();
    while let Some(wake) = talk.host.next_wake() {
        talk.pass(wake - talk.now);
    }
    assert!(matches!(talk.outcome, Some(Err(Failure::Silent { .. }))));
}
