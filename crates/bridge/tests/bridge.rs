//! Boards of a simulated bench behind a bridge: foreign programs (curl, the kernel's TCP) come in through its doors, ours
//! lease the boards, boards come and go.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use lineside_bridge::{BoardPicture, Bridge, Config, Picture, Standing, View, Ways};
use lineside_device::{Session, SessionConfig, TrustAnchor};
use lineside_link::{Addresses, Clock, LinkError, Port};
use lineside_simulator::{Fault, What, When, World, WorldConfig};
use lineside_terms::{DeviceId, Epoch};
use tokio::task::{LocalSet, spawn_blocking};

/// 2026-11-22.
const WALL_MS: i64 = 1_795_305_600_000;

/// A world of boards behind a bridge, all identified, and the test.
fn with_bridge<F: Future<Output = ()>>(boards: usize, test: impl FnOnce(World, View) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let clock = Clock::precise();
        let world = World::new(
            WorldConfig {
                boards,
                ..WorldConfig::default()
            },
            clock.clone(),
        )
        .unwrap();
        tokio::task::spawn_local({
            let run = world.run();
            async move { match run.await {} }
        });
        let anchor = TrustAnchor::from_pem(world.ca_pem()).unwrap();
        let mut table = Addresses::default();
        let bridge = Bridge::new(Config {
            bench: Rc::new(world.bench()),
            clock,
            ways: Ways::Loopback { base: None },
            ports: vec![11_000],
            datagram_ports: vec![11_001],
            session: Box::new(move || {
                let mut config = SessionConfig::new(WALL_MS);
                config.anchor = anchor.clone();
                config
            }),
            addresses: Box::new(move |boards| {
                table = Addresses::of_kept(table.kept().map(|(slot, address)| (slot.clone(), address)));
                for board in boards {
                    let _ = table.attach(&board.slot);
                }
                table.clone()
            }),
        })
        .unwrap();
        let view = bridge.view();
        tokio::task::spawn_local(async move { bridge.run(|_| ()).await.unwrap() });
        until(&view, |picture| {
            picture.boards.len() == boards
                && picture
                    .boards
                    .iter()
                    .all(|board| board.standing == Standing::Ready && !board.doors.is_empty())
        })
        .await;
        test(world, view).await;
    });
}

/// Waits until the picture is so; a test that waits for ever is ended by the runner.
async fn until(view: &View, is_so: impl Fn(&Picture) -> bool) -> Picture {
    let mut changes = view.changes();
    loop {
        let picture = view.picture();
        if is_so(&picture) {
            return picture;
        }
        changes.changed().await.unwrap();
    }
}

fn door(board: &BoardPicture, port: u16) -> SocketAddr {
    board.doors.iter().find(|door| door.port == port).unwrap().at
}

/// Asks a device for its id with somebody else's HTTP and TLS.
fn curl(at: SocketAddr) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let done = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--insecure",
                "--noproxy",
                "*",
                "--max-time",
                "60",
            ])
            .arg(format!("https://{at}/device/security_state"))
            .output()
            .expect("curl is there: .ci/test installs it");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    })
}

async fn joined<T: Send + 'static>(thread: std::thread::JoinHandle<T>) -> T {
    spawn_blocking(move || thread.join().unwrap()).await.unwrap()
}

/// What a program sees that connects and waits for the other end.
async fn outcome(at: SocketAddr, says: &'static [u8]) -> std::io::Result<usize> {
    spawn_blocking(move || {
        let mut stream = TcpStream::connect(at)?;
        stream.write_all(says)?;
        stream.read(&mut [0; 100])
    })
    .await
    .unwrap()
}

#[test]
fn foreign_programs_reach_every_device_at_once() {
    with_bridge(4, |_, view| async move {
        let picture = view.picture();
        let asked: Vec<_> = picture
            .boards
            .iter()
            .flat_map(|board| [curl(door(board, 443)), curl(door(board, 443))])
            .collect();
        let mut seen = Vec::new();
        for (index, thread) in asked.into_iter().enumerate() {
            let answer = joined(thread).await;
            let id: DeviceId = picture.boards[index / 2].device.unwrap();
            assert!(answer.contains(&id.to_string()), "{answer}");
            seen.push(id);
        }
        seen.dedup();
        assert_eq!(seen.len(), 4, "each board has a device of its own");
        let after = until(&view, |picture| {
            picture.boards.iter().all(|board| board.connections == 0)
        })
        .await;
        assert!(
            after
                .boards
                .iter()
                .all(|board| board.from_device > 1000 && board.to_device > 500)
        );
        // The bench tells who answered, to whoever asks it.
        let listed = view.bench().list().await.unwrap();
        for (board, info) in picture.boards.iter().zip(&listed) {
            assert_eq!((info.device, info.leased_by.as_deref()), (board.device, None));
        }
    });
}

#[test]
fn a_port_without_a_listener_is_refused_as_the_device_refuses_it() {
    with_bridge(1, |_, view| async move {
        let board = view.picture().boards.remove(0);
        for port in [2342, 2345, 11_000] {
            let seen = outcome(door(&board, port), b"").await;
            assert!(seen.is_err(), "{port}: {seen:?}");
        }
        joined(curl(door(&board, 443))).await;
    });
}

#[test]
fn a_lease_shuts_programs_out_and_programs_in_use_keep_a_lease_out() {
    with_bridge(2, |world, view| async move {
        let before = view.picture();
        let (slot, at) = (before.boards[0].slot.clone(), door(&before.boards[0], 443));
        let bench = view.bench();

        // A program that says nothing is in use for a while.
        let program = spawn_blocking(move || TcpStream::connect(at).unwrap())
            .await
            .unwrap();
        until(&view, |picture| picture.boards[0].connections == 1).await;
        let refused = bench.lease(&slot, "run 7").await.map(drop).unwrap_err();
        let LinkError::Leased { holder, .. } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(holder, "the bridge (1 connection of another program)");
        let listed = bench.list().await.unwrap();
        assert_eq!(listed[0].leased_by.as_deref(), Some(holder.as_str()));
        drop(program);
        until(&view, |picture| picture.boards[0].connections == 0).await;

        let mut board = bench.lease(&slot, "run 7").await.unwrap();
        let leased = view.picture();
        assert_eq!(
            leased.boards[0].standing,
            Standing::Leased {
                by: "run 7".to_owned()
            }
        );
        assert_eq!(
            leased.boards[0].device, None,
            "nobody knows what a run does to it"
        );
        let second = bench.lease(&slot, "run 8").await.map(drop).unwrap_err();
        assert_eq!(
            second,
            LinkError::Leased {
                slot: slot.clone(),
                holder: "run 7".to_owned()
            }
        );
        assert!(outcome(at, b"").await.is_err(), "nobody else reaches it");
        joined(curl(door(&leased.boards[1], 443))).await;

        // Whoever has it works with it as with any board.
        let mut config = SessionConfig::new(WALL_MS);
        config.anchor = TrustAnchor::from_pem(world.ca_pem()).unwrap();
        let wire = board.open(Port::Service).unwrap();
        let session = Session::new(wire, Clock::precise(), config).unwrap();
        let device = session
            .verify(Epoch(1))
            .await
            .map_err(|(_, error)| error)
            .unwrap();
        assert_eq!(Some(*device.id()), before.boards[0].device);
        drop(device.release().await);
        drop(board);

        let after = until(&view, |picture| picture.boards[0].standing == Standing::Ready).await;
        assert!(after.boards[0].epoch > before.boards[0].epoch);
        assert_eq!(after.boards[0].device, before.boards[0].device);
        joined(curl(at)).await;
    });
}

#[test]
fn what_was_known_of_a_board_ends_with_its_link() {
    with_bridge(2, |world, view| async move {
        let before = view.picture();
        let slot = world.slot(0).unwrap().clone();
        let at = before.boards.iter().position(|board| board.slot == slot).unwrap();
        let (epoch, device) = (before.boards[at].epoch, before.boards[at].device);
        let open = door(&before.boards[at], 443);
        let program = spawn_blocking(move || {
            let mut stream = TcpStream::connect(open).unwrap();
            stream.read(&mut [0; 10]).map_err(drop)
        });
        until(&view, |picture| picture.boards[at].connections == 1).await;
        world.unplug(0).unwrap();
        until(&view, |picture| picture.boards.len() == 1).await;
        assert_ne!(program.await.unwrap(), Ok(10), "it is cut off");
        // The other board is the only one now, so .2 reaches it as well.
        let alone = until(&view, |picture| {
            picture.boards[0]
                .address
                .is_some_and(|address| address.last_number() == 2)
        })
        .await;
        joined(curl(door(&alone.boards[0], 443))).await;

        world.plug(0).unwrap();
        let again = until(&view, |picture| {
            let board = picture.boards.iter().find(|board| board.slot == slot);
            board.is_some_and(|board| board.standing == Standing::Ready)
        })
        .await;
        let board = again.boards.iter().find(|board| board.slot == slot).unwrap();
        assert!(board.epoch > epoch);
        assert_eq!(board.device, device);
        joined(curl(door(board, 443))).await;
    });
}

#[test]
fn programs_that_never_read_or_never_close_disturb_nobody() {
    with_bridge(1, |_, view| async move {
        let board = view.picture().boards.remove(0);
        let at = door(&board, 443);
        // More than there is room for; those beyond are refused, and the first stay.
        let idle: Vec<_> = spawn_blocking(move || {
            let streams: Vec<_> = (0..40).map(|_| TcpStream::connect(at).unwrap()).collect();
            for stream in &streams {
                stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            }
            streams
        })
        .await
        .unwrap();
        let full = until(&view, |picture| picture.boards[0].connections >= 32).await;
        assert_eq!(full.boards[0].connections, 32);
        // One goes, and its place is free.
        drop(idle.into_iter().skip(1).collect::<Vec<_>>());
        until(&view, |picture| picture.boards[0].connections <= 1).await;
        joined(curl(at)).await;
    });
}

#[test]
fn a_board_that_floods_disturbs_nobody() {
    with_bridge(2, |world, view| async move {
        let fault = Fault {
            board: Some(0),
            when: When::Boot { nth: 1, times: 1 },
            what: What::Babble { bytes: 20_000_000 },
        };
        world.add_fault(&fault).unwrap();
        world.unplug(0).unwrap();
        until(&view, |picture| picture.boards.len() == 1).await;
        world.plug(0).unwrap();
        let boards = until(&view, |picture| {
            picture.boards.len() == 2 && picture.boards.iter().all(|board| !board.doors.is_empty())
        })
        .await
        .boards;
        // The other board is reached as ever while noise comes in from this one.
        for _ in 0..5 {
            joined(curl(door(&boards[1], 443))).await;
        }
        let babbler = view.picture().boards.remove(0);
        assert_ne!(
            babbler.standing,
            Standing::Ready,
            "it has said nothing that makes sense"
        );
    });
}

/// Boards that are taken out and put back.
const CYCLES: usize = 10_000;

#[test]
fn ten_thousand_plugs_leave_nothing_behind() {
    with_bridge(2, |world, view| async move {
        let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let before = (descriptors(), view.picture());
        for cycle in 0..CYCLES {
            let board = cycle % 2;
            let slot = world.slot(board).unwrap().clone();
            world.unplug(board).unwrap();
            until(&view, |picture| picture.boards.len() == 1).await;
            world.plug(board).unwrap();
            // At any moment of what the bridge does with it: sometimes its device has not even been asked.
            until(&view, |picture| {
                let found = picture.boards.iter().find(|board| board.slot == slot);
                found.is_some_and(|board| cycle % 1000 != 0 || board.standing == Standing::Ready)
            })
            .await;
        }
        let after = until(&view, |picture| {
            picture.boards.len() == 2
                && picture
                    .boards
                    .iter()
                    .all(|board| board.standing == Standing::Ready && board.doors.len() == 5)
        })
        .await;
        assert_eq!(descriptors(), before.0, "no descriptor is left open");
        for (board, old) in after.boards.iter().zip(&before.1.boards) {
            assert_eq!(
                (&board.slot, board.address),
                (&old.slot, old.address),
                "addresses stay"
            );
            assert!(board.epoch.0 >= old.epoch.0 + CYCLES as u64 / 2);
            joined(curl(door(board, 443))).await;
        }
    });
}
