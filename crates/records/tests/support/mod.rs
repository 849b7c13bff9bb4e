//! Events for tests: cheap ones by number, and random ones.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its own part, and may panic"
)]

pub mod story;

use std::sync::Arc;

use lineside_flow::event::{Body, Event, VERSION};
use lineside_records::{FakeDisk, Head, Journal, RecordsError, Replay};
use lineside_terms::{Blame, BootId, ClockTrust, DeviceId, Epoch, Instant, RunId, Stamp, StationName, Told};

pub fn station() -> StationName {
    "line-1".parse().unwrap()
}

pub fn with(sequence: u64, body: Body) -> Event {
    Event {
        version: VERSION,
        sequence,
        station: station(),
        boot: BootId::from_bytes([7; 16]),
        at: Stamp {
            mono: Instant::from_nanos(sequence * 1_000_000),
            wall_ms: 1_790_000_000_000 + i64::try_from(sequence).unwrap() * 10,
            trust: ClockTrust::Unverified,
        },
        operator: None,
        shift: None,
        work_order: None,
        slot: None,
        device: None,
        run: None,
        body,
    }
}

/// A small event that can be told from every other by its number.
pub fn small(sequence: u64) -> Event {
    with(
        sequence,
        Body::BoardGone {
            epoch: Epoch(sequence),
        },
    )
}

/// An event of about 330 bytes as stored, as the small ones of a run are.
pub fn typical(sequence: u64) -> Event {
    let step = "functional".parse().unwrap();
    let mut event = with(
        sequence,
        Body::StepStarted {
            step,
            attempt: 1,
            epoch: Epoch(42),
        },
    );
    event.operator = Some("op-17".into());
    event.slot = Some("1213".parse().unwrap());
    event.run = Some(RunId::from_bytes([3; 16]));
    event
}

pub fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 64])
}

pub fn told(text: &str) -> Told {
    Told {
        code: "test.told".into(),
        message: text.into(),
        help: "Nothing.".into(),
        blame: Blame::Device,
    }
}

pub fn open(disk: &FakeDisk) -> Result<(Journal, Replay), RecordsError> {
    Journal::open(Arc::new(disk.clone()), station())
}

/// Opens with tiny segments.
pub fn open_small(disk: &FakeDisk) -> Result<(Journal, Replay), RecordsError> {
    Journal::with_segments_of(Arc::new(disk.clone()), station(), 600)
}

/// All events of a journal, or the first error.
pub fn all(replay: Replay) -> Result<Vec<Event>, RecordsError> {
    replay.map(|stored| stored.map(|stored| stored.event)).collect()
}

/// Reads all that a disk holds as another program would.
pub fn read_all(disk: &FakeDisk) -> Result<Vec<Event>, RecordsError> {
    all(Replay::of(Arc::new(disk.clone()), Head::ORIGIN)?)
}

/// Appends and commits as many small events as asked for, one group per number.
pub fn write(journal: &mut Journal, groups: &[usize]) {
    for size in groups {
        let first = journal.next_sequence();
        let events: Vec<Event> = (first..first + *size as u64).map(small).collect();
        journal.append(&events).unwrap();
        assert_eq!(journal.commit().unwrap().through(), first + *size as u64 - 1);
    }
}
