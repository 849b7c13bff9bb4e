use super::*;
use crate::ftdi::ModemStatus;
use crate::{read_some, write_all};
use futures::FutureExt as _;
use futures::executor::block_on;

/// A channel whose other end is this test.
#[derive(Default)]
struct Far {
    sent: Vec<u8>,
    largest_write: usize,
    waiting: Vec<u8>,
    is_stopped: bool,
    is_stuck: bool,
    overruns: u64,
    settings: Option<LineSettings>,
    purges: usize,
    is_gone: bool,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Far>>);

impl Fake {
    fn far(&self) -> MutexGuard<'_, Far> {
        lock(&self.0)
    }

    /// Waits for what the thread does.
    fn until(&self, is_so: impl Fn(&Far) -> bool) {
        let began = Instant::now();
        while !is_so(&self.far()) {
            assert!(began.elapsed() < Duration::from_secs(60), "it never came");
            std::thread::yield_now();
        }
    }
}

impl Transport for Fake {
    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.far().settings = Some(settings);
        Ok(())
    }

    fn set_latency(&mut self, _: u8) -> Result<(), LinkError> {
        Ok(())
    }

    fn set_event_character(&mut self, _: Option<u8>) -> Result<(), LinkError> {
        Ok(())
    }

    fn set_bit_mode(&mut self, _: BitMode, _: u8) -> Result<(), LinkError> {
        Ok(())
    }

    fn set_pins(&mut self, _: u8) -> Result<(), LinkError> {
        Ok(())
    }

    fn pins(&mut self) -> Result<u8, LinkError> {
        Ok(0)
    }

    fn purge_received(&mut self) -> Result<(), LinkError> {
        Ok(())
    }

    fn purge_unsent(&mut self) -> Result<(), LinkError> {
        self.far().purges += 1;
        Ok(())
    }

    fn modem_status(&mut self) -> Result<ModemStatus, LinkError> {
        let far = self.far();
        Ok(ModemStatus {
            is_clear_to_send: !far.is_stopped,
            is_transmitter_empty: !far.is_stuck,
        })
    }

    fn queued(&mut self) -> Result<usize, LinkError> {
        let far = self.far();
        if far.is_gone {
            Err(LinkError::Departed)
        } else {
            Ok(far.waiting.len())
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let mut far = self.far();
        let count = into.len().min(far.waiting.len());
        for (to, byte) in into.iter_mut().zip(far.waiting.drain(..count)) {
            *to = byte;
        }
        Ok(count)
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, LinkError> {
        let mut far = self.far();
        far.sent.extend_from_slice(from);
        far.largest_write = far.largest_write.max(from.len());
        Ok(from.len())
    }

    fn overruns(&self) -> u64 {
        self.far().overruns
    }

    fn eeprom_word(&mut self, _: u16) -> Result<u16, LinkError> {
        Ok(0)
    }
}

fn wire(pump: &Pump, settings: LineSettings) -> (Fake, PumpedWire) {
    let fake = Fake::default();
    let wire = pump.wire(Open::new(Box::new(fake.clone())), settings).unwrap();
    (fake, wire)
}

const FAST: LineSettings = LineSettings {
    baud: 3_000_000,
    rts_cts: true,
};

#[test]
fn bytes_go_both_ways_in_order_and_never_more_than_the_chip_has_room_for() {
    let pump = Pump::new();
    let (fake, mut wire) = wire(&pump, FAST);
    let all: Vec<u8> = (0..60_000u32).map(|byte| byte as u8).collect();
    fake.far().waiting = all.clone();
    block_on(async {
        write_all(&mut wire, &all).await.unwrap();
        let mut got = Vec::new();
        let mut buffer = [0; 1000];
        while got.len() < all.len() {
            let count = read_some(&mut wire, &mut buffer).await.unwrap();
            got.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(got, all);
    });
    fake.until(|far| far.sent.len() == all.len());
    let far = fake.far();
    assert_eq!(far.sent, all);
    assert!(far.largest_write <= TRANSMIT_BUFFER, "{}", far.largest_write);
}

#[test]
fn a_board_that_takes_nothing_holds_up_no_other() {
    let pump = Pump::new();
    let (stopped, mut held) = wire(&pump, FAST);
    stopped.far().is_stopped = true;
    let (fake, mut other) = wire(&pump, FAST);
    // As much as is kept, and then it is said that there is no room.
    assert_eq!(write_all(&mut held, &[0; OUTWARD + 1]).now_or_never(), None);
    block_on(write_all(&mut other, b"through")).unwrap();
    fake.until(|far| far.sent == b"through");
    assert_eq!(stopped.far().sent, b"");
    stopped.far().is_stopped = false;
    stopped.until(|far| far.sent.len() == OUTWARD);
}

#[test]
fn a_reader_that_does_not_come_leaves_bytes_where_flow_control_sees_them() {
    let pump = Pump::new();
    let (fake, mut held) = wire(&pump, FAST);
    let (next, _other) = wire(&pump, FAST);
    fake.far().waiting = vec![0; 2 * INWARD];
    fake.until(|far| far.waiting.len() == INWARD);
    next.far().waiting = vec![1];
    next.until(|far| far.waiting.is_empty());
    assert_eq!(fake.far().waiting.len(), INWARD, "no more is fetched meanwhile");
    let mut buffer = [0; 100];
    block_on(read_some(&mut held, &mut buffer)).unwrap();
    fake.until(|far| far.waiting.len() < INWARD);
}

#[test]
fn settings_change_after_what_was_taken_before_has_left() {
    let pump = Pump::new();
    let (fake, mut wire) = wire(&pump, LineSettings::CONSOLE);
    fake.far().is_stuck = true;
    block_on(write_all(&mut wire, b"last words")).unwrap();
    wire.configure(FAST).unwrap();
    // What comes next waits for the change.
    assert_eq!(write_all(&mut wire, b"!").now_or_never(), None);
    fake.until(|far| far.sent == b"last words");
    assert_eq!(fake.far().settings, Some(LineSettings::CONSOLE));
    fake.far().is_stuck = false;
    fake.until(|far| far.settings == Some(FAST));
    block_on(write_all(&mut wire, b"!")).unwrap();
    fake.until(|far| far.sent == b"last words!");
    assert_eq!(fake.far().purges, 1, "only when it was opened");
}

#[test]
fn what_a_board_never_takes_is_thrown_away_before_settings_change() {
    let pump = Pump::new();
    let (fake, mut wire) = wire(&pump, FAST);
    fake.far().is_stopped = true;
    block_on(write_all(&mut wire, b"held")).unwrap();
    wire.configure(LineSettings::CONSOLE).unwrap();
    fake.until(|far| far.settings == Some(LineSettings::CONSOLE));
    let far = fake.far();
    assert_eq!((far.purges, far.sent.len()), (2, 0));
}

#[test]
fn losses_are_told_and_departure_stays() {
    let pump = Pump::new();
    let (fake, mut wire) = wire(&pump, FAST);
    {
        let mut far = fake.far();
        far.overruns = 3;
        far.waiting = vec![7];
    }
    let mut byte = [0];
    block_on(read_some(&mut wire, &mut byte)).unwrap();
    assert_eq!(wire.health().overruns, 3);
    fake.far().is_gone = true;
    for _ in 0..2 {
        assert_eq!(
            block_on(read_some(&mut wire, &mut byte)),
            Err(LinkError::Departed)
        );
    }
    assert_eq!(block_on(write_all(&mut wire, b"x")), Err(LinkError::Departed));
}

#[test]
fn the_thread_ends_with_the_last_wire_and_begins_with_the_next() {
    let pump = Pump::new();
    for _ in 0..2 {
        let (fake, mut wire) = wire(&pump, FAST);
        block_on(write_all(&mut wire, b"x")).unwrap();
        fake.until(|far| far.sent == b"x");
        drop(wire);
        let began = Instant::now();
        while lock(&pump.shared.lanes).is_running {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
    }
}

#[test]
fn last_words_get_as_far_as_the_chip() {
    let pump = Pump::new();
    let (fake, mut wire) = wire(&pump, FAST);
    block_on(write_all(&mut wire, b"goodbye")).unwrap();
    drop(wire);
    assert_eq!(fake.far().sent, b"goodbye");
}
