//! Connecting, identifying, asking: through SLIP, IP, TLS and HTTP against a device of the tests' own.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod peer;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use lineside_device::{DeviceError, Lost, Progress, Scope, TrustAnchor};
use lineside_interlock::Reading;
use lineside_terms::{Epoch, Explain, ManufacturingState, SecurityState};
use peer::{Authority, Bench, Leaf, NAME, PeerConfig, Setup, Then, healthy, id_text, json, raw};

fn verify_error(setup: Setup) -> DeviceError {
    let mut bench = Bench::new(setup);
    let session = bench.session.take().unwrap();
    bench.run(async move { session.verify(Epoch(1)).await.unwrap_err().1 })
}

#[test]
fn the_first_request_tells_who_answers() {
    let mut bench = Bench::new(Setup::default());
    let session = bench.session.take().unwrap();
    bench.run(async move {
        let mut device = session.verify(Epoch(3)).await.unwrap();
        assert_eq!(device.id().to_string(), id_text('a'));
        assert_eq!((device.epoch(), device.writes()), (Epoch(3), 0));
        assert_eq!(device.security(), SecurityState::Secure);
        assert_eq!(device.status().await.unwrap().uptime, 634);
        assert_eq!(device.os_version().await.unwrap().osversion, "24.06");
        assert_eq!(
            device.manufacturing_state().await.unwrap(),
            ManufacturingState::Module1Complete
        );
        assert_eq!(device.version().unwrap().to_string(), "4.6.0");
        assert_eq!(device.writes(), 0);
    });
    assert_eq!(
        bench.lines(),
        [
            "GET /device/security_state",
            "GET /status",
            "GET /osversion",
            "GET /device/manufacturing_state"
        ]
    );
    let asked = bench.asked.borrow();
    assert_eq!(
        asked[0].head,
        format!(
            "GET /device/security_state HTTP/1.1\r\nHost: {NAME}\r\nAccept: application/json\r\nConnection: keep-alive\r\n\r\n"
        )
    );
}

#[test]
fn any_mtu_will_do_and_both_versions_of_tls() {
    for mtu in [296, 576, 1500] {
        const OLD: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
        const NEW: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
        for versions in [OLD, NEW] {
            let leaf = Leaf {
                versions,
                ..Leaf::default()
            };
            let mut bench = Bench::new(Setup {
                peer: PeerConfig {
                    mtu,
                    ..PeerConfig::default()
                },
                authority: Rc::new(Authority::new(&leaf)),
                ..Setup::default()
            });
            let session = bench.session.take().unwrap();
            bench.run(async move {
                let mut device = session.verify(Epoch(1)).await.unwrap();
                device.stage(vec![7; 10_000].into(), None).await.unwrap();
                assert_eq!(device.images().await.unwrap().components.len(), 1);
            });
            assert_eq!(bench.asked.borrow()[1].body, vec![7; 10_000]);
        }
    }
}

#[test]
fn an_answer_that_is_none_is_told_as_what_it_is() {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 100 << 20);
    let cases: [(Vec<u8>, Then, &str); 10] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>!</html>\n".to_vec(),
            Then::KeepOpen,
            "rest.answer-not-json",
        ),
        (
            json(200, r#"{"up":1}"#).bytes,
            Then::KeepOpen,
            "rest.answer-unexpected",
        ),
        (
            json(200, r#"{"uptime":12"#).bytes,
            Then::KeepOpen,
            "rest.answer-cut-off",
        ),
        (large.into_bytes(), Then::KeepOpen, "device.answer-too-large"),
        (vec![b'x'; 10_000], Then::KeepOpen, "device.answer-too-large"),
        (
            b"\0\xff not http at all\r\n\r\n".to_vec(),
            Then::KeepOpen,
            "device.answer-not-http",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"upt".to_vec(),
            Then::Close,
            "device.answer-truncated",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"upt".to_vec(),
            Then::Cut,
            "device.answer-truncated",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec(),
            Then::KeepOpen,
            "device.answer-not-http",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n".to_vec(),
            Then::KeepOpen,
            "device.answer-not-http",
        ),
    ];
    for (bytes, then, code) in cases {
        let told = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let mut bench = Bench::new(Setup {
            handler: Box::new(move |asked| match asked.path.as_str() {
                "/status" => raw(bytes.clone(), then),
                _ => healthy(asked),
            }),
            ..Setup::default()
        });
        let session = bench.session.take().unwrap();
        let error = bench.run(async move {
            let mut device = session.verify(Epoch(1)).await.unwrap();
            let error = device.status().await.unwrap_err();
            // Whatever happened, what comes next is an honest answer or an honest failure.
            match device.manufacturing_state().await {
                Ok(state) => assert_eq!(state, ManufacturingState::Module1Complete),
                Err(error) => assert_eq!(error.code(), "device.connection-lost"),
            }
            error
        });
        assert_eq!(error.code(), code, "{told}: {error}");
        assert!(!error.help().is_empty());
    }
}

#[test]
fn an_answer_that_lasts_until_the_connection_closes_is_whole_only_after_a_goodbye() {
    for (then, is_whole) in [(Then::Close, true), (Then::Cut, false)] {
        let mut bench = Bench::new(Setup {
            handler: Box::new(move |asked| match asked.path.as_str() {
                "/status" => raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"uptime\":7}", then),
                _ => healthy(asked),
            }),
            ..Setup::default()
        });
        let session = bench.session.take().unwrap();
        let (status, next) = bench.run(async move {
            let mut device = session.verify(Epoch(1)).await.unwrap();
            (device.status().await, device.status().await)
        });
        match is_whole {
            true => assert_eq!(status.unwrap().uptime, 7),
            false => assert_eq!(status.unwrap_err().code(), "device.answer-truncated"),
        }
        assert!(matches!(next, Err(DeviceError::ConnectionLost { .. })));
    }
}

#[test]
fn refusals_carry_the_devices_code_and_what_it_means() {
    for (body, wanted) in [
        (
            r#"{"error":10485778}"#,
            "10.18 RestError::CommandAuthorizationFailed: the command is not authorised",
        ),
        (r#"{"error":13}"#, "0.13 LinuxError::EACCES"),
        ("", "GET /images with 403"),
    ] {
        let mut bench = Bench::new(Setup {
            handler: Box::new(move |asked| match asked.path.as_str() {
                "/images" => json(403, body),
                _ => healthy(asked),
            }),
            ..Setup::default()
        });
        let session = bench.session.take().unwrap();
        let error = bench.run(async move {
            let mut device = session.verify(Epoch(1)).await.unwrap();
            let error = device.images().await.unwrap_err();
            assert_eq!(
                device.status().await.unwrap().uptime,
                634,
                "a refusal does not end the connection"
            );
            error
        });
        assert!(error.is_refusal());
        assert_eq!(error.code(), "device.http-403");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn certificates_that_are_not_the_devices_are_refused_by_name() {
    let leaf = Leaf::default();
    let cases: [(Leaf, Option<&str>); 7] = [
        (
            Leaf {
                alternative_names: vec![],
                common_name: NAME,
                ..leaf.clone()
            },
            None,
        ),
        (
            Leaf {
                alternative_names: vec![NAME.to_uppercase()],
                ..leaf.clone()
            },
            None,
        ),
        (
            Leaf {
                alternative_names: vec![],
                ..leaf.clone()
            },
            Some("device.wrong-certificate"),
        ),
        (
            Leaf {
                alternative_names: vec!["x.devices.sphere.azure.local".into()],
                common_name: NAME,
                ..leaf.clone()
            },
            Some("device.wrong-certificate"),
        ),
        (
            Leaf {
                alternative_names: vec!["*.example.org".into()],
                ..leaf.clone()
            },
            Some("device.wrong-certificate"),
        ),
        (
            Leaf {
                until_year: 2020,
                ..leaf.clone()
            },
            Some("device.clock-disagrees"),
        ),
        (
            Leaf {
                from_year: 2030,
                ..leaf
            },
            Some("device.clock-disagrees"),
        ),
    ];
    for (leaf, code) in cases {
        let mut bench = Bench::new(Setup {
            authority: Rc::new(Authority::new(&leaf)),
            ..Setup::default()
        });
        let session = bench.session.take().unwrap();
        let verified = bench.run(async move {
            session
                .verify(Epoch(1))
                .await
                .map(drop)
                .map_err(|(_, error)| error.code())
        });
        assert_eq!(verified.err(), code, "{:?}", leaf.alternative_names);
        assert_eq!(
            bench.lines().is_empty(),
            code.is_some(),
            "nothing is asked before the certificate is accepted"
        );
    }
}

#[test]
fn another_makers_device_and_a_simulated_one_on_a_real_station_are_refused() {
    let stranger = Authority::new(&Leaf::default());
    for anchor in [
        TrustAnchor::from_pem(&stranger.pem).unwrap(),
        TrustAnchor::azure_sphere(),
    ] {
        let error = verify_error(Setup {
            anchor: Some(anchor),
            ..Setup::default()
        });
        assert_eq!(error.code(), "device.wrong-certificate");
        assert!(error.help().contains("ca.pem"));
    }
}

#[test]
fn silence_refusal_and_babble_are_told_apart() {
    let refused = verify_error(Setup {
        peer: PeerConfig {
            listens: false,
            ..PeerConfig::default()
        },
        ..Setup::default()
    });
    assert!(
        matches!(refused, DeviceError::TcpRefused { port: 443 }),
        "{refused}"
    );

    for noise in [
        vec![],
        vec![0xC0; 500],
        vec![0x45; 500],
        vec![0xDB, 0xC0, 0x45, 0x00],
    ] {
        let (clock, hands) = lineside_link::Clock::by_hand();
        let (near, far) = lineside_link::memory::pair(4096);
        let mut pool = futures::executor::LocalPool::new();
        if noise.is_empty() {
            std::mem::forget(far);
        } else {
            futures::task::LocalSpawnExt::spawn_local(&pool.spawner(), peer::babble(far, noise)).unwrap();
        }
        let config = peer::config(&peer::ordinary());
        let session = lineside_device::Session::new(Box::new(near), clock.clone(), config).unwrap();
        let (_, error) = peer::run(&mut pool, &hands, async move {
            session.verify(Epoch(1)).await.map(drop).unwrap_err()
        });
        assert_eq!(error, DeviceError::TcpTimeout { port: 443, tries: 2 });
        // A-07: twice two seconds.
        assert_eq!(clock.now().as_nanos() / 1_000_000, 4_000);
    }
}

#[test]
fn a_device_that_freezes_is_noticed_and_the_connection_is_spent() {
    let mut bench = Bench::new(Setup::default());
    let session = bench.session.take().unwrap();
    let is_frozen = Rc::clone(&bench.is_frozen);
    bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        is_frozen.set(true);
        let began = device.clock().now();
        let error = device.status().await.unwrap_err();
        assert_eq!(error, DeviceError::ConnectionLost { why: Lost::Stalled });
        assert_eq!((device.clock().now() - began).as_secs(), 10);
        is_frozen.set(false);
        assert_eq!(
            device.status().await.unwrap_err(),
            error,
            "nothing reconnects by itself"
        );
    });
    assert_eq!(bench.lines().len(), 1, "and nothing is asked again");
}

#[test]
fn a_call_that_is_dropped_halfway_spends_the_connection() {
    let mut bench = Bench::new(Setup {
        handler: Box::new(|asked| match asked.path.as_str() {
            "/status" => raw("", Then::KeepOpen),
            _ => healthy(asked),
        }),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        let wait = device.clock().sleep(Duration::from_secs(1));
        futures::future::select(Box::pin(device.status()), wait).await;
        let error = device.manufacturing_state().await.unwrap_err();
        assert_eq!(error, DeviceError::ConnectionLost { why: Lost::CutShort });
        // The session itself is as good as new.
        let device = device.release().await.verify(Epoch(1)).await.unwrap();
        assert_eq!(device.writes(), 0);
    });
}

#[test]
fn a_slow_answer_ends_in_a_timeout_not_in_a_mixed_up_answer() {
    let mut bench = Bench::new(Setup {
        handler: Box::new(|asked| match asked.path.as_str() {
            "/status" => raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", Then::KeepOpen),
            _ => healthy(asked),
        }),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        assert_eq!(device.status().await.unwrap_err().code(), "device.answer-timeout");
        assert_eq!(
            device.status().await.unwrap_err(),
            DeviceError::ConnectionLost { why: Lost::CutShort }
        );
    });
}

#[test]
fn a_device_that_contradicts_itself_or_becomes_another_is_caught() {
    let (a, b) = (id_text('a'), id_text('b'));
    let error = verify_error(Setup {
        handler: Box::new(move |_| {
            json(
                200,
                &format!(
                    r#"{{"securityState":"SECURE","deviceIdentifier":"{a}","deviceIdentityPublicKey":"{b}"}}"#
                ),
            )
        }),
        ..Setup::default()
    });
    assert_eq!(error.code(), "device.id-changed");

    let asked_before = Cell::new(false);
    let mut bench = Bench::new(Setup {
        handler: Box::new(move |_| {
            let id = id_text(if asked_before.replace(true) { 'c' } else { 'a' });
            json(
                200,
                &format!(r#"{{"securityState":"SECURE","deviceIdentifier":"{id}"}}"#),
            )
        }),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    let error = bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        device.security_state().await.unwrap_err()
    });
    assert!(matches!(error, DeviceError::IdChanged { .. }));
}

#[test]
fn facts_hold_what_was_read_refused_and_lacking() {
    let mut bench = Bench::new(Setup {
        handler: Box::new(|asked| match asked.path.as_str() {
            "/images" => json(403, r#"{"error":13}"#),
            "/osversion" => json(404, r#"{"error":15728642}"#),
            "/net/proxy" => json(200, r#"{"address":"p","enabled":true,"port":81,"username":"u"}"#),
            _ => healthy(asked),
        }),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    let facts = bench.run(async move {
        let mut device = session.verify(Epoch(9)).await.unwrap();
        let facts = device
            .read_facts(Scope {
                wifi: false,
                ..Scope::ALL
            })
            .await
            .unwrap();
        assert_eq!((facts.session, facts.device), (device.tag(), *device.id()));
        facts
    });
    assert_eq!(
        (
            facts.epoch,
            facts.writes,
            facts.uptime_first_s,
            facts.uptime_last_s
        ),
        (Epoch(9), 0, 634, 634)
    );
    assert_eq!(facts.images, Reading::Refused);
    assert_eq!(facts.os_version, Reading::NotAvailable);
    assert_eq!(facts.wifi, Reading::NotAsked);
    assert_eq!(facts.certificates, Reading::Read(vec!["a".into()]));
    let proxy = facts.proxy.read().unwrap().as_ref().unwrap();
    assert_eq!(
        (proxy.address.as_str(), proxy.port, proxy.is_enabled),
        ("p", 81, true)
    );
    let lines = bench.lines();
    assert_eq!(
        (lines[1].as_str(), lines[lines.len() - 1].as_str()),
        ("GET /status", "GET /status")
    );
}

#[test]
fn a_device_that_is_too_old_is_not_asked() {
    let mut bench = Bench::new(Setup {
        handler: Box::new(|asked| {
            let mut reply = healthy(asked);
            reply.bytes = String::from_utf8(reply.bytes)
                .unwrap()
                .replace("4.6.0", "3.1.0")
                .into_bytes();
            reply
        }),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    let facts = bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        device.read_facts(Scope::ALL).await.unwrap()
    });
    assert_eq!(
        (facts.os_version, facts.proxy),
        (Reading::NotAvailable, Reading::NotAvailable)
    );
    assert!(
        !bench
            .lines()
            .iter()
            .any(|line| line.contains("osversion") || line.contains("proxy"))
    );
}

#[test]
fn uploads_show_their_progress_and_count_as_writes() {
    let mut bench = Bench::new(Setup::default());
    let session = bench.session.take().unwrap();
    bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        let progress = Rc::new(Cell::new(Progress::default()));
        let package: Vec<u8> = (0..100_000_u32).map(|i| (i * 7 % 251) as u8).collect();
        device
            .stage(package.into(), Some(Rc::clone(&progress)))
            .await
            .unwrap();
        assert_eq!(
            progress.get(),
            Progress {
                done: 100_000,
                total: 100_000
            }
        );
        assert_eq!(device.writes(), 1);
        device
            .install(lineside_protocol::rest::image::AppControlMode::Auto)
            .await
            .unwrap();
        assert_eq!(device.writes(), 2);
        device.restart().await.unwrap();
        assert_eq!(
            device.status().await.unwrap_err(),
            DeviceError::ConnectionLost {
                why: Lost::Restarting
            }
        );
        assert_eq!(device.writes(), 3);
    });
    let asked = bench.asked.borrow();
    assert_eq!(asked[1].body.len(), 100_000);
    assert!(
        asked[1]
            .head
            .contains("\r\nContent-Type: application/octet-stream\r\nContent-Length: 100000\r\n")
    );
    assert_eq!(asked[2].body, br#"{"appControlMode":"Auto"}"#);
    // A body-less POST has a length and no type (REST reference 1.3).
    assert!(
        asked[3].head.ends_with("\r\nContent-Length: 0\r\n\r\n") && !asked[3].head.contains("Content-Type")
    );
}

#[test]
fn a_capability_goes_with_each_request_and_into_no_debug_output() {
    let mut bench = Bench::new(Setup {
        adjust: |config| config.capability = Some("cGxhbnRlZA==".into()),
        ..Setup::default()
    });
    let session = bench.session.take().unwrap();
    bench.run(async move {
        assert!(!format!("{session:?}").contains("cGxhbnRlZA"));
        session.verify(Epoch(1)).await.unwrap().status().await.unwrap();
    });
    assert!(
        bench
            .asked
            .borrow()
            .iter()
            .all(|asked| asked.head.contains("\r\nAZSPHERE-CAPABILITIES: cGxhbnRlZA==\r\n"))
    );
}
