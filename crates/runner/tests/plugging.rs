//! Boards that are plugged in, leased and unplugged ten thousand times leave nothing behind: no address, no lease, no
//! task and no descriptor, on neither side of a lent bench.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::rc::Rc;

use futures::StreamExt as _;
use lineside_link::remote::{Lending, RemoteBench};
use lineside_link::{Addresses, Bench as _, BenchEvent, Clock, LinkError, Port, Wire, write_all};
use lineside_simulator::{World, WorldConfig};
use lineside_terms::SlotPath;
use tokio::task::LocalSet;

const CYCLES: usize = 10_000;

/// Open descriptors of this process, where the system tells; sockets and files alike.
fn descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Until nothing is on its way any more: whatever was dropped has been noticed by the other side.
async fn settled(bench: &RemoteBench, is_settled: impl Fn() -> bool) -> bool {
    for _ in 0..10_000 {
        let boards = bench.list().await.unwrap();
        if boards.iter().all(|board| board.leased_by.is_none()) && is_settled() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

async fn change(watch: &mut lineside_link::Watch) -> BenchEvent {
    watch.next().await.expect("the bench is there")
}

#[test]
fn ten_thousand_boards_leave_no_address_task_descriptor_or_lease() {
    let config = WorldConfig {
        boards: 2,
        ..WorldConfig::default()
    };
    let world = World::new(config, Clock::precise()).unwrap();
    let life = world.run();
    // It lives as long as the process of this test.
    std::thread::spawn(move || match futures::executor::block_on(life) {});
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let lending = Lending::bind(folder.path()).unwrap();
        let server = tokio::task::spawn_local(lending.serve(Rc::new(world.bench())));
        let bench = RemoteBench::connect(folder.path()).await.unwrap();
        let mut watch = bench.watch();
        let (mut addresses, mut attached) = (Addresses::default(), 0);
        while attached < 2 {
            if let BenchEvent::Attached(board) = change(&mut watch).await {
                addresses.attach(&board.slot).unwrap();
                attached += 1;
            }
        }
        let slot: SlotPath = world.slot(1).unwrap().clone();
        let own = addresses.of(&slot).unwrap();
        let mut first = None;
        for cycle in 0..CYCLES {
            world.unplug(1).unwrap();
            assert_eq!(
                change(&mut watch).await,
                BenchEvent::Detached(slot.clone()),
                "{cycle}"
            );
            addresses.detach(&slot);
            assert_eq!(
                bench.lease(&slot, "test").await.map(drop),
                Err(LinkError::NoBoard { slot: slot.clone() })
            );
            world.plug(1).unwrap();
            let BenchEvent::Attached(board) = change(&mut watch).await else {
                panic!("not attached in cycle {cycle}");
            };
            assert_eq!(board.leased_by, None, "{cycle}");
            assert_eq!(addresses.attach(&slot), Ok(own), "{cycle}");
            let mut leased = bench.lease(&slot, "test").await.unwrap();
            let mut wire: Box<dyn Wire> = leased.open(Port::Service).unwrap();
            write_all(&mut *wire, b"\xc0\xc0").await.unwrap();
            if cycle % 2 == 0 {
                // With all of it in hand: the board goes first.
                world.unplug(1).unwrap();
                assert_eq!(
                    change(&mut watch).await,
                    BenchEvent::Detached(slot.clone()),
                    "{cycle}"
                );
                world.plug(1).unwrap();
                assert!(
                    matches!(change(&mut watch).await, BenchEvent::Attached(_)),
                    "{cycle}"
                );
            }
            drop((wire, leased));
            if cycle == 10 {
                assert!(settled(&bench, || true).await);
                first = Some((tasks(), descriptors()));
            }
        }
        let first = first.unwrap();
        let is_settled = settled(&bench, || (tasks(), descriptors()) == first).await;
        assert!(is_settled, "{:?} became {:?}", first, (tasks(), descriptors()));
        assert_eq!(addresses.kept().count(), 2);
        server.abort();
    });
}
