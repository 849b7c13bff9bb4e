//! Boards as FTDI's driver lists them.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::executor::block_on;
use lineside_link::ftdi::d2xx::D2xxBench;
use lineside_link::{Bench as _, BenchEvent, Clock, LinkError, Port, read_some};
use lineside_simulator::ftdi::UsbLines;
use lineside_terms::SlotPath;

use crate::hosts::D2xx;
use crate::{living, still};

fn bench(d2xx: &D2xx, clock: Clock) -> D2xxBench {
    D2xxBench::new(d2xx.driver.clone(), Arc::new(Vec::new), clock)
}

fn taken(slot: &SlotPath, holder: &str) -> LinkError {
    LinkError::Leased {
        slot: slot.clone(),
        holder: holder.into(),
    }
}

#[test]
fn boards_are_listed_by_connection_path_and_leased_once() {
    let world = still();
    let d2xx = D2xx::on(&world);
    let bench = bench(&d2xx, Clock::by_hand().0);
    block_on(async {
        let listed = bench.list().await.unwrap();
        let slots: Vec<&SlotPath> = listed.iter().map(|board| &board.slot).collect();
        assert_eq!(slots, [world.slot(0).unwrap(), world.slot(1).unwrap()]);
        assert_eq!(listed[0].board_serial, world.usb_port(0).unwrap().serial());
        assert!(
            listed
                .iter()
                .all(|board| board.leased_by.is_none() && board.trouble.is_none())
        );
        let slot = listed[0].slot.clone();
        let board = bench.lease(&slot, "one").await.unwrap();
        assert_eq!(bench.list().await.unwrap()[0].leased_by.as_deref(), Some("one"));
        assert_eq!(
            bench.lease(&slot, "two").await.map(drop),
            Err(taken(&slot, "one"))
        );
        drop(board);
        assert_eq!(bench.list().await.unwrap()[0].leased_by, None);
        let nowhere = SlotPath::new("99").unwrap();
        assert_eq!(
            bench.lease(&nowhere, "one").await.map(drop),
            Err(LinkError::NoBoard { slot: nowhere })
        );
    });
}

#[test]
fn what_another_program_has_open_is_taken() {
    let world = still();
    let d2xx = D2xx::on(&world);
    let bench = bench(&d2xx, Clock::by_hand().0);
    let slot = world.slot(0).unwrap().clone();
    let mut other = UsbLines::new(&world);
    assert!(other.answer(&format!("claim {slot}")).starts_with("ok"));
    block_on(async {
        assert_eq!(
            bench.list().await.unwrap()[0].leased_by.as_deref(),
            Some("another program")
        );
        assert_eq!(
            bench.lease(&slot, "one").await.map(drop),
            Err(taken(&slot, "another program"))
        );
        // It dies.
        drop(other);
        bench.lease(&slot, "one").await.unwrap();
    });
}

#[test]
fn boards_come_and_go() {
    let world = living();
    let d2xx = D2xx::on(&world);
    let bench = bench(&d2xx, Clock::precise());
    let slot = world.slot(1).unwrap().clone();
    block_on(async {
        let mut watch = bench.watch();
        for _ in 0..2 {
            assert!(matches!(watch.next().await, Some(BenchEvent::Attached(info)) if info.attachment == 1));
        }
        let mut board = bench.lease(&slot, "one").await.unwrap();
        let mut wire = board.open(Port::Service).unwrap();
        world.unplug(1).unwrap();
        assert_eq!(watch.next().await, Some(BenchEvent::Detached(slot.clone())));
        assert_eq!(
            bench.lease(&slot, "two").await.map(drop),
            Err(taken(&slot, "one"))
        );
        let mut byte = [0];
        while read_some(wire.as_mut(), &mut byte).await.is_ok() {}
        drop((wire, board));
        assert_eq!(
            bench.lease(&slot, "two").await.map(drop),
            Err(LinkError::NoBoard { slot: slot.clone() })
        );
        world.plug(1).unwrap();
        let event = watch.next().await;
        assert!(
            matches!(&event, Some(BenchEvent::Attached(info)) if info.attachment == 2),
            "{event:?}"
        );
        bench.lease(&slot, "two").await.unwrap();
    });
}

/// 96 ports open at once are served by one thread: more than one wait takes on Windows.
#[test]
fn more_ports_than_one_wait_takes() {
    let config = lineside_simulator::WorldConfig {
        boards: 32,
        ..Default::default()
    };
    let world = lineside_simulator::World::new(config, Clock::precise()).unwrap();
    let run = world.run();
    std::thread::spawn(move || block_on(run));
    let d2xx = D2xx::on(&world);
    let bench = bench(&d2xx, world.clock().clone());
    block_on(async {
        let mut open = Vec::new();
        for board in bench.list().await.unwrap() {
            let mut board = bench.lease(&board.slot, "one").await.unwrap();
            let wires = [Port::Service, Port::Recovery, Port::Debug].map(|port| board.open(port).unwrap());
            open.push((board, wires));
        }
        assert_eq!(open.len(), 32);
        for (board, [_, console, _]) in &mut open {
            lineside_link::reset(board.as_mut(), world.clock()).await.unwrap();
            let mut byte = [0];
            read_some(console.as_mut(), &mut byte).await.unwrap();
            assert_eq!(byte, *b"[");
        }
    });
}

proptest::proptest! {
    #[test]
    fn any_line_is_answered(lines in proptest::collection::vec("[a-z]{0,8}( [0-9a-fx]{0,6}){0,5}|\\PC*", 0..30)) {
        let world = lineside_simulator::World::new(
            lineside_simulator::WorldConfig { boards: 1, ..Default::default() },
            Clock::by_hand().0,
        ).unwrap();
        let mut usb = UsbLines::new(&world);
        for line in lines {
            proptest::prop_assert!(!usb.answer(&line).is_empty());
        }
    }
}
