//! The wire itself: how well an upload fills it, what lost bytes do, and coming back after a restart.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod peer;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use lineside_device::boot::{self, wait_responsive};
use lineside_device::{DeviceError, DialogueFault, Progress};
use lineside_link::{Board, Clock, Line, LinkError, Port, Wire};
use lineside_protocol::slip;
use lineside_terms::{Epoch, Explain, SlotPath};
use peer::{Bench, Cable, PeerConfig, Setup, Then, healthy, json, raw};

/// 921 600 baud, 8N1.
const BYTES_PER_SECOND: u64 = 92_160;

/// The share of a wire that is left for the body at best: TLS records of 16 KiB, packets of the MTU with 40 bytes of
/// headers, two ENDs each, and two bytes in 256 that are escaped.
fn limit(mtu: f64) -> f64 {
    let tls = 16_384.0 / (16_384.0 + 22.0);
    let packet = (mtu - 40.0) / (mtu * (1.0 + 2.0 / 256.0) + 2.0);
    tls * packet
}

fn random(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The share of the wire that an upload reaches, from the first byte handed over to the last acknowledged.
fn share_of_the_wire(mtu: usize, window: usize, lost_one_in: u64) -> f64 {
    const SIZE: usize = 500_000;
    let mut bench = Bench::new(Setup {
        peer: PeerConfig {
            mtu,
            window,
            ..PeerConfig::default()
        },
        cable: Some(Cable {
            bytes_per_second: BYTES_PER_SECOND,
            piece: 64,
            lost_one_in,
            seed: 1,
        }),
        adjust: match mtu {
            296 => |config| config.mtu = 296,
            _ => |_| {},
        },
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    let took = bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        let progress = Rc::new(Cell::new(Progress::default()));
        let began = device.clock().now();
        device
            .stage(random(SIZE).into(), Some(Rc::clone(&progress)))
            .await
            .unwrap();
        device.clock().now() - began
    });
    assert_eq!(bench.asked.borrow()[1].body, random(SIZE));
    SIZE as f64 / (took.as_secs_f64() * BYTES_PER_SECOND as f64)
}

#[test]
fn an_upload_fills_the_wire() {
    for (mtu, window) in [
        (1500, 8 * 1024),
        (1500, 16 * 1024),
        (1500, 64 * 1024),
        (576, 16 * 1024),
        (296, 16 * 1024),
    ] {
        let share = share_of_the_wire(mtu, window, 0);
        let limit = limit(mtu as f64);
        println!(
            "MTU {mtu}, window {window}: {share:.4} of the wire, limit {limit:.4}, ratio {:.4}",
            share / limit
        );
        assert!(
            share / limit >= 0.95,
            "MTU {mtu}, window {window}: {share:.4} of {limit:.4}"
        );
        assert!(share <= limit * 1.001, "the limit is one");
    }
}

#[test]
fn lost_bytes_cost_time_and_nothing_else() {
    let share = share_of_the_wire(1500, 16 * 1024, 2000);
    println!("one piece in 2000 lost: {share:.4} of the wire");
    assert!(share > 0.1);
}

#[test]
fn on_a_bad_cable_every_answer_is_right_or_an_error() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..40 {
        let cable = Cable {
            bytes_per_second: BYTES_PER_SECOND,
            piece: 32,
            // From one piece in four, which nothing survives, to one in 160.
            lost_one_in: 4 * (seed + 1),
            seed,
        };
        let mut bench = Bench::new(Setup {
            cable: Some(cable),
            ..Setup::default()
        });
        let session = bench.session.take().unwrap();
        let images = bench.run(async move {
            let mut device = session.verify(Epoch(1)).await.map_err(|(_, error)| error)?;
            device.images().await
        });
        match images {
            Ok(images) => {
                assert_eq!(images.components[0].name, "NW Kernel");
                right += 1;
            }
            Err(error) => {
                assert!(error.may_pass(), "{error:?}");
                wrong += 1;
            }
        }
    }
    assert!(right > 10 && wrong > 0, "{right} right, {wrong} wrong");
}

#[test]
fn the_framing_overhead_is_what_the_limit_takes_it_for() {
    let packet = random(1500);
    let extra = slip::encoded_len(&packet) - packet.len() - 2;
    assert!((4..=24).contains(&extra), "{extra} bytes were escaped");
}

#[test]
fn an_application_is_talked_to_beside_the_verified_connection() {
    let mut bench = Bench::new(Setup {
        peer: PeerConfig {
            application: Some((4711, |line| match line {
                "silent" => None,
                "long" => Some("x".repeat(500)),
                line => Some(format!("{{\"nonce\":\"{line}\"}}\r\nmore\n")),
            })),
            ..PeerConfig::default()
        },
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    bench.run(async move {
        let second = Duration::from_secs(1);
        let mut device = session.verify(Epoch(1)).await.unwrap();
        for nonce in ["a1", "b2"] {
            let mut dialogue = device.dialogue(4711, second).await.unwrap();
            let line = dialogue
                .exchange_line(nonce.as_bytes(), 100, second)
                .await
                .unwrap();
            assert_eq!(line, format!("{{\"nonce\":\"{nonce}\"}}").into_bytes());
            assert_eq!(dialogue.read_line(100, second).await.unwrap(), b"more");
            let silent = dialogue.exchange_line(b"silent", 100, second).await.unwrap_err();
            assert_eq!(
                silent,
                DeviceError::Dialogue {
                    port: 4711,
                    fault: DialogueFault::Silent
                }
            );
            let long = dialogue.exchange_line(b"long", 100, second).await.unwrap_err();
            assert_eq!(
                long,
                DeviceError::Dialogue {
                    port: 4711,
                    fault: DialogueFault::TooLong { most: 100 }
                }
            );
            drop(dialogue);
            // The connection that proves who it is goes on.
            assert_eq!(device.status().await.unwrap().uptime, 634);
        }
        let refused = device.dialogue(4712, second).await.map(drop).unwrap_err();
        assert_eq!(refused, DeviceError::TcpRefused { port: 4712 });
        // Dialogues leave no connections behind.
        for _ in 0..20 {
            device
                .dialogue(4711, second)
                .await
                .unwrap()
                .exchange_line(b"c", 100, second)
                .await
                .unwrap();
            device.status().await.unwrap();
        }
    });
}

#[test]
fn a_dialogue_ends_with_the_verified_connection() {
    let mut bench = Bench::new(Setup {
        peer: PeerConfig {
            application: Some((4711, |line| Some(format!("{line}\n")))),
            ..PeerConfig::default()
        },
        handler: Box::new(|asked| match asked.path.as_str() {
            "/status" => raw(json(200, r#"{"uptime":1}"#).bytes, Then::Close),
            _ => healthy(asked),
        }),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    bench.run(async move {
        let second = Duration::from_secs(1);
        let mut device = session.verify(Epoch(1)).await.unwrap();
        device.status().await.unwrap();
        device.wait(second).await.unwrap();
        let error = match device.dialogue(4711, second).await {
            Ok(mut dialogue) => dialogue.exchange_line(b"x", 10, second).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code(), "device.connection-lost");
    });
}

#[test]
fn a_device_that_still_runs_is_not_taken_for_one_that_restarted() {
    // It goes on with its old uptime for a while after it was told to restart.
    let asked = Cell::new(0);
    let mut bench = Bench::new(Setup {
        handler: Box::new(move |request| match request.path.as_str() {
            "/status" => {
                asked.set(asked.get() + 1);
                let uptime = if asked.get() <= 3 { 500 + asked.get() } else { 1 };
                json(200, &format!(r#"{{"uptime":{uptime}}}"#))
            }
            _ => healthy(request),
        }),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    let uptime = bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        device.restart().await.unwrap();
        let restarted_at = Some(device.clock().now());
        let session = device.release().await;
        let mut device = wait_responsive(session, Epoch(2), restarted_at, Duration::from_secs(60))
            .await
            .unwrap();
        assert_eq!(device.epoch(), Epoch(2));
        device.status().await.unwrap().uptime
    });
    assert_eq!(uptime, 1);
}

#[test]
fn waiting_ends_at_the_ceiling_with_the_last_reason() {
    let mut bench = Bench::new(Setup {
        peer: PeerConfig {
            listens: false,
            ..PeerConfig::default()
        },
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    let (error, took) = bench.run(async move {
        let began = session.clock().now();
        let ceiling = Duration::from_secs(30);
        let (session, error) = wait_responsive(session, Epoch(1), None, ceiling)
            .await
            .map(drop)
            .unwrap_err();
        (error, session.clock().now() - began)
    });
    assert_eq!(error.code(), "device.not-back");
    assert!(
        lineside_terms::Told::of(&error)
            .message
            .contains("nothing listens"),
        "{error}"
    );
    assert!((28..=30).contains(&took.as_secs()), "{took:?}");
}

/// A board whose reset line freezes and thaws the device of the tests.
struct TestBoard {
    slot: SlotPath,
    is_frozen: Rc<Cell<bool>>,
    clock: Clock,
    resets: Rc<Cell<u32>>,
}

impl Board for TestBoard {
    fn slot(&self) -> &SlotPath {
        &self.slot
    }
    fn open(&mut self, _: Port) -> Result<Box<dyn Wire>, LinkError> {
        Err(LinkError::PortOpen)
    }
    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        if line == Line::Reset && !asserted {
            self.resets.set(self.resets.get() + 1);
            self.is_frozen.set(false);
        }
        Ok(())
    }
}

#[test]
fn a_reset_brings_a_frozen_device_back_and_leaves_no_old_connection() {
    let resets = Rc::new(Cell::new(0));
    let seen = Rc::clone(&resets);
    let mut bench = Bench::new(Setup {
        handler: Box::new(move |asked| match asked.path.as_str() {
            "/status" => json(
                200,
                &format!(r#"{{"uptime":{}}}"#, if seen.get() > 0 { 1 } else { 900 }),
            ),
            _ => healthy(asked),
        }),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    let mut board = TestBoard {
        slot: "12".parse().unwrap(),
        is_frozen: Rc::clone(&bench.is_frozen),
        clock: bench.clock.clone(),
        resets,
    };
    bench.run(async move {
        let device = session.verify(Epoch(1)).await.unwrap();
        let first = device.tag();
        board.is_frozen.set(true);
        let mut session = device.release().await;
        let restarted_at = boot::reset(&mut board, &mut session).await.unwrap();
        assert_eq!(restarted_at, board.clock.now());
        let device = wait_responsive(session, Epoch(2), Some(restarted_at), Duration::from_secs(60))
            .await
            .unwrap();
        assert_ne!(device.tag(), first);
    });
}

#[test]
fn a_board_that_is_pulled_out_is_told_as_that() {
    let (clock, hands) = Clock::by_hand();
    let (near, far) = lineside_link::memory::pair(4096);
    let mut pool = futures::executor::LocalPool::new();
    let puller = clock.clone();
    futures::task::LocalSpawnExt::spawn_local(&pool.spawner(), async move {
        puller.sleep(Duration::from_millis(100)).await;
        drop(far);
    })
    .unwrap();
    let session =
        lineside_device::Session::new(Box::new(near), clock, peer::config(&peer::ordinary())).unwrap();
    let error = peer::run(&mut pool, &hands, async move {
        let wait = wait_responsive(session, Epoch(1), None, Duration::from_secs(60));
        wait.await.map(drop).unwrap_err().1
    });
    assert_eq!(error, DeviceError::Link(LinkError::Departed));
}
