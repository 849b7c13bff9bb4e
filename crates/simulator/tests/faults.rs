//! What goes wrong on purpose, as a client sees it, and what the judge counts of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use futures::StreamExt as _;
use lineside_link::{Bench as _, BenchEvent, Line, LinkError, Port};
use lineside_protocol::rest::Operation as O;
use lineside_simulator::control::{Answer, Question};
use lineside_simulator::{Fault, FaultScript, What, When, World, WorldConfig, WritesExpected};
use lineside_terms::ManufacturingState as State;
use support::{Rest, Trouble, in_world, is_departed, lease, rest};

fn with(when: When, what: What) -> WorldConfig {
    WorldConfig {
        boards: 2,
        faults: FaultScript::one(0, when, what),
        ..WorldConfig::default()
    }
}

async fn complete(rest: &mut Rest) -> Result<support::Answer, Trouble> {
    rest.timeout = Duration::from_secs(2);
    rest.call_json(
        "PUT",
        "/device/manufacturing_state",
        r#"{"manufacturingState":"DeviceComplete"}"#,
    )
    .await
}

fn counts(world: &World) -> (u64, u64, u64) {
    let counters = world.truth(0).unwrap().counters;
    (
        counters.irreversible_asked,
        counters.irreversible_applied,
        counters.irreversible_refused,
    )
}

#[test]
fn a_brown_out_comes_before_or_after_the_change_and_the_judge_knows() {
    for (what, is_applied) in [(What::ResetBefore, false), (What::ResetAfter, true)] {
        in_world(
            with(When::request(O::SetManufacturingState), what),
            move |world| async move {
                let (_board, mut rest) = rest(&world, 0).await;
                // At best the new boot knows nothing of the old connection; at worst nobody says anything.
                assert!(complete(&mut rest).await.is_err());
                assert_eq!(counts(&world), (1, u64::from(is_applied), 0));
                let mut rest = rest.reconnect(world.ca_pem()).await;
                let state = if is_applied {
                    State::DeviceComplete
                } else {
                    State::Module1Complete
                };
                assert_eq!(world.truth(0).unwrap().state, state);
                assert_eq!(
                    rest.get("/device/manufacturing_state").await,
                    format!("{{\"manufacturingState\":\"{state}\"}}")
                );
                assert_eq!(world.truth(0).unwrap().counters.boots, 2);
            },
        );
    }
}

#[test]
fn a_lost_answer_leaves_the_link_dead_until_a_reset() {
    in_world(
        with(When::request(O::SetManufacturingState), What::AnswerLost),
        |world| async move {
            let (mut board, mut rest) = rest(&world, 0).await;
            assert_eq!(complete(&mut rest).await, Err(Trouble::Timeout));
            assert_eq!(counts(&world), (1, 1, 0));
            let mut host = rest.close().await;
            assert_eq!(
                host.connect(443, Duration::from_secs(3)).await,
                Err(Trouble::Timeout)
            );
            lineside_link::reset(board.as_mut(), world.clock()).await.unwrap();
            let mut rest = Rest::open_patiently(host, world.ca_pem()).await;
            assert!(
                rest.get("/device/manufacturing_state")
                    .await
                    .contains("DeviceComplete")
            );
        },
    );
}

#[test]
fn a_device_can_be_silent_babble_or_boot_half() {
    let boot = || When::Boot { nth: 1, times: 1 };
    for (what, wanted) in [
        (What::Silent, Trouble::Timeout),
        (What::Babble { bytes: 30_000 }, Trouble::Timeout),
        (What::HalfBoot, Trouble::Refused),
    ] {
        in_world(with(boot(), what), move |world| async move {
            let (mut board, mut host) = lease(&world, 0).await;
            world.clock().sleep(Duration::from_secs(1)).await;
            assert_eq!(host.connect(443, Duration::from_secs(2)).await, Err(wanted));
            // Its neighbour notices nothing.
            let (_other, mut other) = rest(&world, 1).await;
            other.get("/status").await;
            // The second boot is a good one.
            lineside_link::reset(board.as_mut(), world.clock()).await.unwrap();
            Rest::open_patiently(host, world.ca_pem())
                .await
                .get("/status")
                .await;
        });
    }
}

#[test]
fn answers_can_be_spoiled() {
    let spoil = |what| with(When::request(O::GetStatus), what);
    in_world(spoil(What::NotJson), |world| async move {
        let answer = rest(&world, 0).await.1.call("GET", "/status").await.unwrap();
        assert!(answer.text().starts_with("<html>"));
    });
    in_world(spoil(What::HugeAnswer { bytes: 300_000 }), |world| async move {
        let answer = rest(&world, 0).await.1.call("GET", "/status").await.unwrap();
        assert!(answer.body.len() > 300_000);
    });
    in_world(spoil(What::TruncatedAnswer), |world| async move {
        assert_eq!(
            rest(&world, 0).await.1.call("GET", "/status").await,
            Err(Trouble::Refused)
        );
    });
    in_world(
        spoil(What::Refuse {
            status: 409,
            code: 77_000_000,
        }),
        |world| async move {
            let answer = rest(&world, 0).await.1.call("GET", "/status").await.unwrap();
            assert_eq!((answer.status, answer.code()), (409, Some(77_000_000)));
        },
    );
    in_world(spoil(What::Http500), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let answer = rest.call("GET", "/status").await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (500, 0));
        assert_eq!(rest.get("/status").await, "{\"uptime\":0}");
    });
    in_world(spoil(What::Delay { ms: 700 }), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let before = world.clock().now();
        rest.get("/status").await;
        assert!(world.clock().now() - before >= Duration::from_millis(700));
    });
}

#[test]
fn a_wrong_certificate_is_noticed_and_the_next_one_is_right() {
    in_world(
        with(When::Connect { nth: 1, times: 1 }, What::WrongCertificate),
        |world| async move {
            let (_board, mut host) = lease(&world, 0).await;
            let socket = host.connect_patiently(443).await;
            let refused = Rest::over(host, socket, world.ca_pem()).await;
            let Err((mut host, Trouble::Tls(_))) = refused else {
                panic!("it was taken")
            };
            let socket = host.connect_patiently(443).await;
            let mut rest = Rest::over(host, socket, world.ca_pem())
                .await
                .map_err(|(_, trouble)| trouble)
                .unwrap();
            rest.get("/status").await;
            let counters = world.truth(0).unwrap().counters;
            assert_eq!((counters.handshakes, counters.failed_handshakes), (1, 1));
        },
    );
}

#[test]
fn ids_can_change_or_exist_twice() {
    in_world(
        with(When::request(O::GetStatus), What::ChangeId),
        |world| async move {
            let (_board, mut rest) = rest(&world, 0).await;
            let before = rest.get("/device/security_state").await;
            rest.get("/status").await;
            assert_ne!(rest.get("/device/security_state").await, before);
        },
    );
    in_world(
        with(When::Boot { nth: 1, times: 1 }, What::DuplicateId { of: 1 }),
        |world| async move {
            let (_one, mut one) = rest(&world, 0).await;
            let (_other, mut other) = rest(&world, 1).await;
            assert_eq!(
                one.get("/device/security_state").await,
                other.get("/device/security_state").await
            );
            assert_ne!(
                world.truth(0).unwrap().device_id,
                world.truth(1).unwrap().device_id
            );
        },
    );
}

#[test]
fn an_unplugged_board_is_gone_for_everybody_and_comes_back_new() {
    let what = What::Unplug {
        replug_after_ms: Some(100),
    };
    in_world(with(When::AfterBytes { count: 3000 }, what), |world| async move {
        let mut watch = world.bench().watch();
        for _ in 0..2 {
            assert!(matches!(watch.next().await, Some(BenchEvent::Attached(_))));
        }
        let (mut board, mut rest) = rest(&world, 0).await;
        let trouble = loop {
            if let Err(trouble) = rest.call("GET", "/images").await {
                break trouble;
            }
        };
        assert_eq!(trouble, Trouble::Departed);
        assert!(is_departed(&board.set_line(Line::Reset, true)));
        assert_eq!(
            watch.next().await,
            Some(BenchEvent::Detached(world.slot(0).unwrap().clone()))
        );
        assert_eq!(world.bench().list().await.unwrap().len(), 1);
        let Some(BenchEvent::Attached(info)) = watch.next().await else {
            panic!("it never came back")
        };
        assert_eq!((info.attachment, info.leased_by), (2, None));
        // The old lease is worth nothing, and its end does not hurt the new one.
        assert!(matches!(board.open(Port::Service), Err(LinkError::Departed)));
        let (_new, mut new) = support::rest(&world, 0).await;
        drop(board);
        new.get("/status").await;
    });
}

#[test]
fn a_swapped_chip_gets_no_write_that_was_meant_for_another() {
    in_world(
        WorldConfig {
            boards: 2,
            ..WorldConfig::default()
        },
        |world| async move {
            let ids = [0, 1].map(|board| world.truth(board).unwrap().device_id);
            world.expect_writes(0, WritesExpected::Only(ids[0])).unwrap();
            let (board, mut first) = rest(&world, 0).await;
            first.call("DELETE", "/net/proxy").await.unwrap();
            assert_eq!(world.truth(0).unwrap().counters.wrong_target_writes, 0);

            world.swap(0, 1).unwrap();
            assert_eq!(first.call("GET", "/status").await, Err(Trouble::Departed));
            drop(board);
            let (_board, mut second) = rest(&world, 0).await;
            assert!(
                second
                    .get("/device/security_state")
                    .await
                    .contains(&ids[1].to_string())
            );
            second.call("DELETE", "/net/proxy").await.unwrap();
            let truth = world.truth(0).unwrap();
            assert_eq!((truth.device_id, truth.counters.wrong_target_writes), (ids[1], 1));
            assert_eq!(world.truth(1).unwrap().device_id, ids[0]);
        },
    );
}

#[test]
fn a_lease_keeps_others_out_and_says_who_has_it() {
    in_world(
        WorldConfig {
            boards: 1,
            ..WorldConfig::default()
        },
        |world| async move {
            let (mut board, host) = lease(&world, 0).await;
            let slot = world.slot(0).unwrap().clone();
            let refused = world.bench().lease(&slot, "else").await.err();
            assert_eq!(
                refused,
                Some(LinkError::Leased {
                    slot: slot.clone(),
                    holder: "test".into()
                })
            );
            assert_eq!(board.open(Port::Service).err(), Some(LinkError::PortOpen));
            drop(host);
            assert!(board.open(Port::Service).is_ok());
            drop(board);
            assert_eq!(world.bench().list().await.unwrap()[0].leased_by, None);
            assert!(world.bench().lease(&slot, "else").await.is_ok());
        },
    );
}

#[test]
fn a_host_that_dies_is_counted_and_a_polite_one_is_not() {
    in_world(
        WorldConfig {
            boards: 1,
            ..WorldConfig::default()
        },
        |world| async move {
            let kills = |world: &World| world.truth(0).unwrap().counters.kills_survived;
            let (board, polite) = rest(&world, 0).await;
            let polite = polite.close().await;
            world.clock().sleep(Duration::from_millis(100)).await;
            drop((polite, board));
            world.clock().sleep(Duration::from_millis(100)).await;
            assert_eq!(kills(&world), 0);
            let (board, killed) = rest(&world, 0).await;
            drop((killed, board));
            world.clock().sleep(Duration::from_millis(100)).await;
            assert_eq!(kills(&world), 1);
            // What it left behind hinders nobody, however often.
            for _ in 0..10 {
                let (board, mut next) = rest(&world, 0).await;
                next.get("/status").await;
                drop((next, board));
            }
        },
    );
}

#[test]
fn the_recovery_port_tells_the_id_at_every_boot() {
    in_world(
        WorldConfig {
            boards: 1,
            ..WorldConfig::default()
        },
        |world| async move {
            let slot = world.slot(0).unwrap().clone();
            let mut board = world.bench().lease(&slot, "test").await.unwrap();
            let mut console = board.open(Port::Recovery).unwrap();
            console.configure(lineside_link::LineSettings::CONSOLE).unwrap();
            lineside_link::reset(board.as_mut(), world.clock()).await.unwrap();
            let mut text = Vec::new();
            let mut chunk = [0; 100];
            while !text.ends_with(b"Booting HLOS core\r\n") {
                let count = lineside_link::read_some(console.as_mut(), &mut chunk)
                    .await
                    .unwrap();
                text.extend_from_slice(&chunk[..count]);
            }
            let id = world.truth(0).unwrap().device_id;
            assert!(
                String::from_utf8(text)
                    .unwrap()
                    .contains(&format!("\r\nD={id},N="))
            );
        },
    );
}

#[test]
fn the_control_lines_do_what_they_say() {
    in_world(
        WorldConfig {
            boards: 2,
            ..WorldConfig::default()
        },
        |world| async move {
            let ask = |line: &str| serde_json::from_str::<Answer>(&world.ask_line(line)).unwrap();
            let Answer::Boards { boards } = ask(r#"{"ask":"boards"}"#) else {
                panic!()
            };
            assert_eq!(boards.len(), 2);
            assert_eq!(boards[1], world.truth(1).unwrap());
            assert_eq!(ask(r#"{"ask":"unplug","board":1}"#), Answer::Done);
            assert!(!world.truth(1).unwrap().is_plugged);
            assert_eq!(
                ask(r#"{"ask":"plug","board":9}"#).refusal(),
                Some("simulator.no-such-board")
            );
            assert_eq!(ask(r#"{"ask":"sing"}"#).refusal(), Some("simulator.control"));
            let fault = Fault {
                board: Some(0),
                when: When::every(O::GetStatus),
                what: What::Http500,
            };
            let line = serde_json::to_string(&Question::AddFault { fault }).unwrap();
            assert_eq!(ask(&line), Answer::Done);
            let (_board, mut rest) = rest(&world, 0).await;
            assert_eq!(rest.call("GET", "/status").await.unwrap().status, 500);
            let points = r#"{"ask":"set-access-points","points":[{"ssid":"x","psk":"planted-key"}]}"#;
            assert_eq!(ask(points), Answer::Done);
            let told = world.ask_line(r#"{"ask":"world"}"#);
            assert!(
                told.contains("\"access_points\":[\"x\"]") && !told.contains("planted"),
                "{told}"
            );
            assert!(
                !world
                    .ask_line(r#"{"ask":"set-access-points","points":[{"ssid":"x","psk":planted"#)
                    .contains("planted")
            );
        },
    );
}
