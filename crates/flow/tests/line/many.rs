//! A thousand boards on one line.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant as RealTime;

use lineside_flow::interlock::{EpochCause, Look, Receipt};
use lineside_flow::{Effect, Input, Line, Report};
use lineside_terms::{DeviceId, Instant, SecurityState, SlotPath, UnitSerial};

use crate::line_kit::*;

fn path(n: u16) -> SlotPath {
    SlotPath::new(format!("{n:04}")).unwrap()
}

fn id(path: &SlotPath) -> DeviceId {
    let n: u16 = path.as_str().parse().unwrap();
    let mut bytes = [0; 64];
    bytes[62..].copy_from_slice(&n.to_be_bytes());
    DeviceId::from_bytes(bytes)
}

/// Everything works at once.
fn kindly(effect: Effect, now: Instant) -> Option<Input> {
    Some(match effect {
        Effect::Identify { slot, epoch, .. } => Input::Identified {
            device: id(&slot),
            slot,
            epoch,
            state: OLD,
            security: SecurityState::Secure,
            read_at: now,
        },
        Effect::Perform { slot, epoch, run, .. } => Input::Performed {
            slot,
            epoch,
            run,
            report: Report::passed(),
        },
        Effect::ReadFacts { slot, epoch, run } => Input::Read {
            facts: Box::new(facts(id(&slot), epoch, OLD, now)),
            slot,
            run,
        },
        Effect::Act { slot, run, permit } => Input::Acted {
            look: Some(Look {
                device: id(&slot),
                epoch: permit.epoch(),
                cause: EpochCause::Found,
                state: permit.target(),
                taken_at: now,
            }),
            slot,
            run,
            key: *permit.key(),
            error: None,
        },
        Effect::Release { .. } => return None,
        other => panic!("nothing goes wrong here: {other:?}"),
    })
}

/// Takes so many boards through the plan; all of them need one instrument. How many inputs that took.
fn take_through(count: u16) -> usize {
    let mut line: Line = resume(1, "", NO_HISTORY).unwrap();
    let mut last = line.start("0.1.0", "sim", stamp(0)).len();
    let mut recipe = six_steps();
    recipe.steps[2].instruments = vec!["analyser".to_owned()];
    let serial = |n| UnitSerial::new(format!("unit-{n}")).unwrap();
    let serials: BTreeMap<SlotPath, UnitSerial> = (1..=count).map(|n| (path(n), serial(n))).collect();
    let mut inputs = VecDeque::from([Input::Begin {
        recipe: shared(recipe),
        serials,
        expected: None,
        only: None,
    }]);
    inputs.extend((1..=count).map(|n| Input::Seen {
        slot: path(n),
        cause: EpochCause::Found,
    }));
    let mut taken = 0;
    while let Some(input) = inputs.pop_front() {
        taken += 1;
        let now = taken as u64;
        let events = line.take(input, stamp(now)).unwrap();
        last += events.len();
        let receipt = Receipt::issued_by_the_journal(last as u64);
        let now = Instant::from_nanos(now);
        inputs.extend(
            line.react(&receipt, now)
                .into_iter()
                .filter_map(|effect| kindly(effect, now)),
        );
    }
    assert_eq!(line.picture().passed(), usize::from(count));
    taken
}

#[test]
fn many_boards_share_one_instrument_and_all_pass() {
    take_through(100);
}

#[test]
#[ignore = "a report: run it with --release"]
fn what_a_board_costs() {
    for count in [10, 100, 1_000] {
        let began = RealTime::now();
        let inputs = take_through(count);
        let took = began.elapsed();
        let each = took.as_secs_f64() * 1e6 / inputs as f64;
        println!("{count} boards: {inputs} inputs in {took:.2?}, {each:.1} µs an input");
    }
}
