//! Settings and bytes.

use std::time::Duration;

use futures::executor::block_on;
use lineside_link::ftdi::{Channel, Eeprom};
use lineside_link::{Board, Line, LineSettings, LinkError, Port, Wire, read_some, write_all};
use lineside_simulator::{BootMode, OsProfile, SetSize, World};

use crate::hosts::{board, over_both};
use crate::support::recovery::{Set, recover};
use crate::support::{Host, Rest};
use crate::{boot_mode, living, still};

fn uart(world: &World, channel: Channel) -> Option<(u32, bool)> {
    world
        .usb_port(0)
        .unwrap()
        .with_chip(|chip| chip.uart(usize::from(channel.interface())))
}

/// Waits for what another thread does.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} never came");
        std::thread::yield_now();
    }
}

/// Reads until `end` has come.
async fn read_until(wire: &mut dyn Wire, end: &str) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 256];
    while !String::from_utf8_lossy(&text).contains(end) {
        let count = read_some(wire, &mut buffer).await.unwrap();
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn wires_are_set_up_as_the_reference_tells() {
    over_both(still, |world, chip| {
        let mut board = board(world, chip());
        let mut service = board.open(Port::Service).unwrap();
        let mut recovery = board.open(Port::Recovery).unwrap();
        let _debug = board.open(Port::Debug).unwrap();
        assert_eq!(uart(world, Channel::C), Some((923_076, true)));
        assert_eq!(uart(world, Channel::D), Some((115_246, false)));
        assert_eq!(uart(world, Channel::A), Some((115_246, false)));
        let port = world.usb_port(0).unwrap();
        for channel in [0, 2, 3] {
            assert_eq!(port.with_chip(|chip| chip.latency(channel)), Some(1));
        }
        assert_eq!(board.open(Port::Recovery).map(drop), Err(LinkError::PortOpen));
        let imaging = LineSettings {
            baud: 3_000_000,
            rts_cts: true,
        };
        recovery.configure(imaging).unwrap();
        until("the change of settings", || {
            uart(world, Channel::D) == Some((3_000_000, true))
        });
        service.set_packet_boundary(Some(0xC0));
        until("the event character", || {
            port.with_chip(|chip| chip.event_character(2)) == Some(0xC0)
        });
        drop(recovery);
        let _again = board.open(Port::Recovery).unwrap();
        assert_eq!(uart(world, Channel::D), Some((115_246, false)));
        // After its lines were driven by it, a channel is as it was.
        let _somebody = chip().open(Channel::B).unwrap();
        board.set_line(Line::Reset, true).unwrap();
        assert_eq!(uart(world, Channel::D), None);
        board.set_line(Line::Reset, false).unwrap();
        assert_eq!(uart(world, Channel::D), Some((115_246, false)));
    });
}

#[test]
fn speeds_that_the_chip_cannot_do_are_refused() {
    over_both(still, |world, chip| {
        let mut board = board(world, chip());
        let mut wire = board.open(Port::Recovery).unwrap();
        for baud in [0, 100, 40_000_000] {
            let refused = wire.configure(LineSettings { baud, rts_cts: false });
            assert!(matches!(refused, Err(LinkError::Io { .. })), "{baud}");
        }
        assert_eq!(uart(world, Channel::D), Some((115_246, false)));
    });
}

#[test]
fn an_eeprom_is_read() {
    over_both(still, |_, chip| {
        let eeprom = Eeprom::read(chip().open(Channel::C).unwrap().as_mut()).unwrap();
        assert_eq!(eeprom.findings(), []);
        assert!(eeprom.serial.unwrap().starts_with("AS"));
    });
}

#[test]
fn a_device_answers_over_the_service_wire_before_and_after_a_reset() {
    over_both(living, |world, chip| {
        let mut board = board(world, chip());
        let clock = world.clock().clone();
        block_on(async {
            let mut boots = Vec::new();
            for _ in 0..2 {
                let host = Host::new(board.open(Port::Service).unwrap(), clock.clone(), 1500);
                let mut rest = Rest::open_patiently(host, world.ca_pem()).await;
                assert!(rest.get("/status").await.contains("uptime"));
                // More than any buffer on the way holds.
                assert!(rest.get("/images").await.len() > 3000);
                drop(rest);
                boots.push(world.truth(0).unwrap().counters.boots);
                lineside_link::reset(&mut board, &clock).await.unwrap();
                assert_eq!(boot_mode(world), BootMode::Normal);
            }
            assert_eq!(boots[1], boots[0] + 1, "the world's own chip was reset");
        });
    });
}

#[test]
fn boot_messages_come_over_the_recovery_wire() {
    over_both(living, |world, chip| {
        let mut board = board(world, chip());
        let clock = world.clock().clone();
        let id = world.truth(0).unwrap().device_id.to_string();
        let mut console = board.open(Port::Recovery).unwrap();
        block_on(async {
            lineside_link::reset(&mut board, &clock).await.unwrap();
            let text = read_until(console.as_mut(), "HLOS core").await;
            assert!(text.contains(&format!("D={id}")), "{text}");
            board.set_line(Line::RecoveryStrap, true).unwrap();
            pulse(&mut board).unwrap();
            let text = read_until(console.as_mut(), "\r\nC").await;
            assert!(text.contains("RECOVERY"), "{text}");
            board.set_line(Line::RecoveryStrap, false).unwrap();
        });
        let _somebody = chip().open(Channel::A).unwrap();
        block_on(async {
            board.set_line(Line::RecoveryStrap, true).unwrap();
            pulse(&mut board).unwrap();
            assert_eq!(boot_mode(world), BootMode::Recovery);
            board.set_line(Line::RecoveryStrap, false).unwrap();
            lineside_link::reset(&mut board, &clock).await.unwrap();
            // Samples of pins would be no text.
            read_until(console.as_mut(), "HLOS core").await;
        });
    });
}

fn pulse(board: &mut dyn Board) -> Result<(), LinkError> {
    board.set_line(Line::Reset, true)?;
    board.set_line(Line::Reset, false)
}

#[test]
fn a_wire_at_the_wrong_speed_carries_nothing_of_use() {
    over_both(living, |world, chip| {
        let mut board = board(world, chip());
        let mut console = board.open(Port::Recovery).unwrap();
        let clock = world.clock().clone();
        block_on(async {
            lineside_link::reset(&mut board, &clock).await.unwrap();
            read_until(console.as_mut(), "HLOS core\r\n").await;
        });
        console
            .configure(LineSettings {
                baud: 9_600,
                rts_cts: false,
            })
            .unwrap();
        until("the speed", || uart(world, Channel::D) == Some((9_600, false)));
        block_on(async {
            lineside_link::reset(&mut board, &clock).await.unwrap();
            // What was on its way before is text still, one boot at most.
            let mut heard = Vec::new();
            while heard.is_ascii() {
                let mut byte = [0];
                read_some(console.as_mut(), &mut byte).await.unwrap();
                heard.push(byte[0]);
                let boots = String::from_utf8_lossy(&heard).matches("HLOS core").count();
                assert!(boots < 2, "it is heard as well as before");
            }
        });
    });
}

#[test]
fn a_device_is_recovered_over_the_recovery_wire() {
    over_both(living, |world, chip| {
        let mut board = board(world, chip());
        let truth = world.truth(0).unwrap();
        let before = truth.counters.recoveries;
        for os in [OsProfile::V20_05, OsProfile::V24_06] {
            let set = Set::of(world, os, SetSize::Small);
            let (outcome, _) = block_on(recover(&mut board, world.clock(), &set, truth.device_id));
            assert_eq!(outcome, Ok(()));
            assert_eq!(world.truth(0).unwrap().os, os);
        }
        let truth = world.truth(0).unwrap();
        assert_eq!(truth.counters.recoveries, before + 2);
        assert_eq!(boot_mode(world), BootMode::Normal);
    });
}

#[test]
fn a_wire_of_a_board_that_is_gone_says_so() {
    over_both(living, |world, chip| {
        let mut board = board(world, chip());
        let mut wire = board.open(Port::Service).unwrap();
        world.unplug(0).unwrap();
        block_on(async {
            let mut byte = [0];
            let gone = loop {
                if let Err(error) = read_some(wire.as_mut(), &mut byte).await {
                    break error;
                }
            };
            assert_eq!(gone, LinkError::Departed);
            assert_eq!(write_all(wire.as_mut(), b"x").await, Err(LinkError::Departed));
        });
        assert_eq!(wire.configure(LineSettings::CONSOLE), Err(LinkError::Departed));
        assert_eq!(board.open(Port::Recovery).map(drop), Err(LinkError::Departed));
    });
}
