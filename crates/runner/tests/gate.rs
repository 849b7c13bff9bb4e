//! When boards that come and go may start, in simulated time: after they have told one id for a while.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::FuturesOrdered;
use lineside_flow::Body;
use lineside_runner::Cancel;
use lineside_runner::gate::Gate;
use lineside_simulator::{Fault, What, When, World};
use lineside_terms::{DeviceId, Instant};
use support::Floor;

/// Much longer than a simulated device boots, so that what is measured is the wait.
const STABLE: Duration = Duration::from_secs(60);

fn gate(stable: Duration) -> Gate {
    Gate {
        stable,
        scans: None,
        is_by_key: false,
        hook: None,
        give_up_after: None,
        is_continuous: true,
        known: None,
        names: BTreeMap::new(),
    }
}

/// When, after so much trouble on the way, the run of which device begins, in milliseconds of the floor's clock.
fn begins(stable: Duration, trouble: impl FnOnce(&Floor)) -> (u64, DeviceId) {
    let mut floor = Floor::of(2);
    // One board: the other one is only there to be swapped in.
    floor.world.unplug(1).unwrap();
    floor.gate = Some(gate(stable));
    trouble(&floor);
    let cancel: Cancel = floor.cancel.clone();
    floor.later(Duration::from_secs(400), move |_| cancel.ask());
    floor.start().summary();
    let history = floor.history();
    let mut began = history
        .iter()
        .filter(|event| matches!(event.body, Body::RunStarted { .. }));
    let first = began.next().expect("a run began");
    let began = first.at.mono.saturating_since(Instant::ZERO).as_millis();
    (u64::try_from(began).unwrap(), first.device.unwrap())
}

#[test]
fn a_board_starts_when_it_has_told_one_id_for_so_long() {
    let own = Floor::of(2).truth(0).device_id;
    let whole = u64::try_from(STABLE.as_millis()).unwrap();
    let (at_once, device) = begins(Duration::ZERO, |_| ());
    assert!(at_once < whole, "{at_once}");
    assert_eq!(device, own);
    let (steady, device) = begins(STABLE, |_| ());
    assert!((whole..2 * whole).contains(&steady), "{steady}");
    assert_eq!(device, own);
}

#[test]
fn a_plug_that_makes_contact_twice_begins_the_wait_anew() {
    let whole = u64::try_from(STABLE.as_millis()).unwrap();
    let bounce = |world: &World| {
        world.unplug(0).unwrap();
        world.plug(0).unwrap();
    };
    let (began, _) = begins(STABLE, |floor| {
        for after in [40, 70] {
            floor.later(Duration::from_secs(after), bounce);
        }
    });
    assert!(began >= 70_000 + whole, "{began}");
}

#[test]
fn another_id_without_a_plug_begins_the_wait_anew() {
    let whole = u64::try_from(STABLE.as_millis()).unwrap();
    let (began, device) = begins(STABLE, |floor| {
        floor.later(Duration::from_secs(30), |world| {
            let when = When::At { ms: 30_000 };
            let fault = Fault {
                board: Some(0),
                when,
                what: What::ChangeId,
            };
            world.add_fault(&fault).unwrap();
        });
    });
    assert!(began >= 2 * whole, "{began}");
    assert_ne!(device, Floor::of(2).truth(0).device_id);
}

#[test]
fn a_slot_is_shown_empty_when_its_board_is_unplugged() {
    let mut floor = Floor::of(1);
    floor.gate = Some(gate(Duration::ZERO));
    floor.later(Duration::from_secs(200), |world| world.unplug(0).unwrap());
    let cancel: Cancel = floor.cancel.clone();
    floor.later(Duration::from_secs(400), move |_| cancel.ask());
    let summary = floor.start().summary();
    assert_eq!(summary.picture.slots.len(), 1);
    assert!(!summary.picture.slots[0].is_present);
    assert_eq!(summary.tally.unwrap().passed, 1);
    // Its clock is the simulated one: nobody waited.
    assert!(floor.clock.now() >= Instant::ZERO + Duration::from_secs(400));
}

#[test]
fn a_key_starts_all_that_wait_and_nothing_before() {
    let mut floor = Floor::of(2);
    let clock = floor.clock.clone();
    let press = |after: u64| {
        let sleep = clock.sleep(Duration::from_secs(after));
        async move {
            sleep.await;
            String::new()
        }
    };
    // Once before any board is ready, once when both are; the end of the input is the end.
    let presses = [press(0), press(30)].into_iter().collect::<FuturesOrdered<_>>();
    floor.gate = Some(Gate {
        scans: Some(Box::pin(presses)),
        is_by_key: true,
        ..gate(Duration::from_secs(5))
    });
    floor.keeps_shown = true;
    let summary = floor.start().summary();
    assert_eq!(summary.tally.unwrap().passed, 2);
    for event in floor.history() {
        if matches!(event.body, Body::RunStarted { .. }) {
            assert!(
                event.at.mono >= Instant::ZERO + Duration::from_secs(30),
                "{event:?}"
            );
        }
    }
    let shown = floor.shown.borrow();
    let told = |what: &str| shown.iter().filter(|text| text.contains(what)).count();
    assert_eq!((told("run.key"), told("is_for_key: true")), (1, 2));
}
