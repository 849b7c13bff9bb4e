//! The way itself: sizes of packets, pipelining, restarts, noise, threads, pace.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use futures::executor::block_on;
use lineside_link::{Bench as _, Clock, Port};
use lineside_simulator::{Assumptions, Chip, ChipConfig, Pace, Request, World, WorldConfig};
use lineside_terms::Instant;
use proptest::prelude::*;
use support::packages::Application;
use support::{Host, Rest, Trouble, in_world, lease, rest};

fn one() -> WorldConfig {
    WorldConfig {
        boards: 1,
        ..WorldConfig::default()
    }
}

#[test]
fn after_a_reset_the_link_is_silent_then_refuses_then_serves() {
    in_world(one(), |world| async move {
        let (mut board, mut host) = lease(&world, 0).await;
        host.connect_patiently(443).await;
        lineside_link::reset(board.as_mut(), world.clock()).await.unwrap();
        // Held for 20 ms; from its release silent for 40 ms, then refusing for 10 ms more.
        assert_eq!(
            host.connect(443, Duration::from_millis(35)).await,
            Err(Trouble::Timeout)
        );
        world.clock().sleep(Duration::from_millis(6)).await;
        assert_eq!(
            host.connect(443, Duration::from_millis(5)).await,
            Err(Trouble::Refused)
        );
        world.clock().sleep(Duration::from_millis(50)).await;
        assert!(host.connect(443, Duration::from_millis(50)).await.is_ok());
    });
}

#[test]
fn any_size_of_packets_will_do() {
    for mtu in [1500, 576, 296] {
        let assumptions = Assumptions {
            mtu,
            ..Assumptions::default()
        };
        in_world(WorldConfig { assumptions, ..one() }, move |world| async move {
            let (_board, mut rest) = rest(&world, 0).await;
            assert!(rest.get("/images").await.len() > 3000);
            let package = Application::new("x").padding(100_000).pack(world.signing_key());
            assert_eq!(
                rest.call_octets("PUT", "/update/stage", &package)
                    .await
                    .unwrap()
                    .text(),
                "{}"
            );
        });
    }
}

#[test]
fn tls_1_2_alone_will_do() {
    let tls = lineside_protocol::rest::assume::TlsOffer::Only12;
    let assumptions = Assumptions {
        tls,
        ..Assumptions::default()
    };
    in_world(WorldConfig { assumptions, ..one() }, |world| async move {
        rest(&world, 0).await.1.get("/status").await;
    });
}

#[test]
fn requests_may_follow_each_other_without_waiting() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        for path in ["/osversion", "/abi_versions", "/status"] {
            rest.send("GET", path, None, b"");
        }
        assert_eq!(rest.receive().await.unwrap().text(), "{\"osversion\":\"24.06\"}");
        assert!(
            rest.receive()
                .await
                .unwrap()
                .text()
                .contains("ApplicationRuntime")
        );
        assert!(rest.receive().await.unwrap().text().contains("uptime"));
    });
}

#[test]
fn what_is_no_request_is_answered_and_ends_the_connection() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        for (bytes, code) in [
            ("\u{1}\u{2}nonsense\r\n\r\n", 15_728_643),
            (
                "PUT /update/stage HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
                15_728_644,
            ),
            (
                "PUT /update/stage HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                10_485_764,
            ),
        ] {
            rest.write(bytes.as_bytes());
            let answer = rest.receive().await.unwrap();
            assert_eq!(
                (answer.status, answer.code(), answer.is_last),
                (400, Some(code), true)
            );
            rest = rest.reconnect(world.ca_pem()).await;
        }
        for (method, path) in [
            ("GET", "/nothing"),
            ("PUT", "/status"),
            ("HEAD", "/status"),
            ("GET", "/status?x=1"),
        ] {
            let answer = rest.call(method, path).await.unwrap();
            assert_eq!(
                (answer.status, answer.code()),
                (404, Some(15_728_642)),
                "{method} {path}"
            );
        }
        assert_eq!(world.truth(0).unwrap().counters.foreign_requests, 7);
    });
}

#[test]
fn uptime_begins_again_with_every_restart() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        world.clock().sleep(Duration::from_secs(70)).await;
        assert_eq!(rest.get("/status").await, "{\"uptime\":70}");
        assert_eq!(
            rest.call("POST", "/restart").await.unwrap().text(),
            "{\"restartingSystem\":true}"
        );
        let mut rest = rest.reconnect(world.ca_pem()).await;
        let uptime = rest.get("/status").await;
        assert!(
            uptime == "{\"uptime\":0}" || uptime == "{\"uptime\":1}",
            "{uptime}"
        );
    });
}

#[test]
fn the_same_seed_gives_the_same_devices_and_the_same_answers() {
    let told = |seed| {
        let answers = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let kept = std::rc::Rc::clone(&answers);
        in_world(
            WorldConfig {
                boards: 2,
                seed,
                ..WorldConfig::default()
            },
            move |world| async move {
                kept.borrow_mut().push(world.ca_pem().to_owned());
                let (_board, mut rest) = rest(&world, 1).await;
                let lines = "listen 11000\nmeasure x 1.5 V noise 0.5";
                let package = Application::new("x")
                    .capabilities("\"AllowedTcpServerPorts\":[11000]")
                    .program(lines)
                    .pack(world.signing_key());
                rest.call_octets("PUT", "/update/stage", &package).await.unwrap();
                rest.call("POST", "/update/install").await.unwrap();
                for path in [
                    "/device/security_state",
                    "/images",
                    "/net/interfaces",
                    "/log",
                    "/status",
                ] {
                    let told = rest.get(path).await;
                    kept.borrow_mut().push(told);
                }
                let socket = rest.host.connect_patiently(11000).await;
                let question = "{\"lineside\":1,\"nonce\":\"a\",\"measure\":\"x\"}\n";
                let answer = rest
                    .host
                    .ask_line(socket, question, Duration::from_secs(1))
                    .await
                    .unwrap();
                kept.borrow_mut().push(String::from_utf8(answer).unwrap());
                kept.borrow_mut().push(world.clock().now().to_string());
            },
        );
        answers.take()
    };
    assert_eq!(told(5), told(5));
    assert_ne!(told(5), told(6));
}

#[test]
fn a_world_runs_on_its_own_thread_at_its_own_pace() {
    let clock = Clock::precise();
    let world = World::new(
        WorldConfig {
            boards: 3,
            ..WorldConfig::default()
        },
        clock.clone(),
    )
    .unwrap();
    let run = world.run();
    std::thread::spawn(move || block_on(run));
    block_on(async {
        for board in 0..3 {
            let (_board, mut rest) = rest(&world, board).await;
            rest.get("/status").await;
            rest.get("/images").await;
        }
    });
}

#[test]
fn at_the_real_pace_bytes_take_their_time() {
    let times = Pace::Fast.device_times();
    let config = WorldConfig {
        pace: Pace::Real,
        times: Some(times),
        ..one()
    };
    in_world(config, |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let package = Application::new("x").padding(200_000).pack(world.signing_key());
        let before = world.clock().now();
        assert_eq!(
            rest.call_octets("PUT", "/update/stage", &package)
                .await
                .unwrap()
                .text(),
            "{}"
        );
        let took = (world.clock().now() - before).as_secs_f64();
        let ideal = package.len() as f64 * 10.0 / 921_600.0;
        assert!(took > ideal, "{took} s is faster than the wire");
        assert!(took < ideal * 1.10, "{took} s, the wire alone takes {ideal} s");
        // Moved by hand, the clock is never late.
        assert_eq!(world.lateness().worst_us, 0);
        assert!(world.lateness().pieces > 200);
    });
}

#[test]
fn a_wrong_baud_rate_is_noise() {
    in_world(one(), |world| async move {
        let slot = world.slot(0).unwrap().clone();
        let mut board = world.bench().lease(&slot, "test").await.unwrap();
        let mut wire = board.open(Port::Service).unwrap();
        wire.configure(lineside_link::LineSettings {
            baud: 115_200,
            rts_cts: true,
        })
        .unwrap();
        let mut host = Host::new(wire, world.clock().clone(), 1500);
        world.clock().sleep(Duration::from_secs(1)).await;
        assert_eq!(
            host.connect(443, Duration::from_secs(1)).await,
            Err(Trouble::Timeout)
        );
    });
}

#[test]
fn noise_on_the_wire_delays_but_does_not_break() {
    in_world(one(), |world| async move {
        let slot = world.slot(0).unwrap().clone();
        let mut board = world.bench().lease(&slot, "test").await.unwrap();
        let mut wire = board.open(Port::Service).unwrap();
        world.clock().sleep(Duration::from_millis(100)).await;
        let noise: Vec<u8> = (0..5000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        lineside_link::write_all(wire.as_mut(), &noise).await.unwrap();
        Rest::open_patiently(Host::new(wire, world.clock().clone(), 1500), world.ca_pem())
            .await
            .get("/status")
            .await;
    });
}

fn chip() -> Chip {
    thread_local!(static CONFIG: ChipConfig = ChipConfig::alone(1).unwrap());
    let mut chip = CONFIG.with(|config| Chip::new(config.clone()));
    chip.power_on(Instant::ZERO);
    chip
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

/// An IPv4 packet with a TCP segment, checksums right, so that noise reaches further in.
fn segment(payload: &[u8], flags: u8, port: u16, from: [u8; 4]) -> Vec<u8> {
    let mut tcp = vec![0x9C, 0x40];
    tcp.extend(port.to_be_bytes());
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    tcp.extend_from_slice(payload);
    let mut pseudo = [from, [192, 168, 35, 2]].concat();
    pseudo.extend([0, 6]);
    pseudo.extend((tcp.len() as u16).to_be_bytes());
    pseudo.extend_from_slice(&tcp);
    tcp[16..18].copy_from_slice(&checksum(&pseudo));
    let mut ip = vec![0x45, 0];
    ip.extend((20 + tcp.len() as u16).to_be_bytes());
    ip.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    ip.extend(from);
    ip.extend([192, 168, 35, 2]);
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    ip.extend(tcp);
    ip
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum = bytes.chunks(2).fold(0_u32, |sum, pair| {
        sum + (u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
    });
    let folded = (sum & 0xFFFF) + (sum >> 16);
    (!(((folded & 0xFFFF) + (folded >> 16)) as u16)).to_be_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_on_the_wire_are_taken(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let mut chip = chip();
        for (number, piece) in pieces.iter().enumerate() {
            chip.receive(piece);
            let wake = chip.poll(at(30 * number as u64));
            prop_assert!(wake.is_none_or(|wake| wake > at(30 * number as u64)));
            chip.output().clear();
        }
    }

    #[test]
    fn any_segments_are_taken(from in prop_oneof![Just([192, 168, 35, 1]), any::<[u8; 4]>()], pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..200), any::<u8>()), 0..20)) {
        let mut chip = chip();
        for now in [0, 40, 60, 100] {
            chip.poll(at(now));
        }
        for (number, (payload, flags)) in pieces.iter().enumerate() {
            let mut framed = Vec::new();
            // The first one asks for a connection.
            let flags = if number == 0 { 0x02 } else { *flags };
            lineside_protocol::slip::encode_into(&segment(payload, flags, 443, from), &mut framed);
            chip.receive(&framed);
            chip.poll(at(100 + number as u64));
            chip.output().clear();
        }
    }

    #[test]
    fn any_request_is_answered(
        method in prop_oneof![Just("GET"), Just("PUT"), Just("POST"), Just("PATCH"), Just("DELETE"), Just("X")],
        path in prop_oneof![
            (0..42_usize).prop_map(|n| lineside_protocol::rest::Operation::ALL[n].spec().path.to_owned()),
            "/[a-z/%]{0,20}",
        ],
        body in prop_oneof![proptest::collection::vec(any::<u8>(), 0..100), "[{\\[\":,}a-z0-9]{0,60}".prop_map(String::into_bytes)],
    ) {
        thread_local!(static CONFIG: ChipConfig = ChipConfig::alone(1).unwrap());
        let mut firmware = CONFIG.with(|config| lineside_simulator::Firmware::new(config.firmware.clone()));
        let response = firmware.call(&Request::new(method, &path).with_octets(body), at(1000));
        prop_assert!([200, 201, 400, 403, 404, 409, 415, 500].contains(&response.status));
        prop_assert!(!response.body.is_empty());
    }
}
