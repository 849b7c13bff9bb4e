//! Loading, running and deleting software (`device-rest-api.md` 3.3, 5).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use lineside_simulator::{Assumptions, GDBSERVER, OsProfile, World, WorldConfig};
use support::packages::{Application, COMPONENT, board_config};
use support::{Rest, Trouble, in_world, rest};

fn one() -> WorldConfig {
    WorldConfig {
        boards: 1,
        ..WorldConfig::default()
    }
}

async fn load(rest: &mut Rest, package: &[u8]) -> String {
    let staged = rest.call_octets("PUT", "/update/stage", package).await.unwrap();
    assert_eq!((staged.status, staged.text()), (200, "{}".into()));
    rest.call_json("POST", "/update/install", r#"{"appControlMode":"Auto"}"#)
        .await
        .unwrap()
        .text()
}

fn test_application() -> Application {
    Application::new("test")
        .capabilities("\"AllowedTcpServerPorts\":[11000]")
        .temporary(true)
}

async fn component(rest: &mut Rest, uid: &str) -> Option<serde_json::Value> {
    let images: serde_json::Value = serde_json::from_str(&rest.get("/images").await).unwrap();
    images["components"]
        .as_array()
        .unwrap()
        .iter()
        .find(|component| component["uid"] == uid)
        .cloned()
}

#[test]
fn an_application_is_loaded_answers_and_is_deleted() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let uid = COMPONENT.to_string();
        let status = format!("/app/status/{uid}");
        let package = test_application()
            .program("listen 11000\nmeasure supply_voltage 3.30 V noise 0.02")
            .pack(world.signing_key());

        let staged = rest.call_octets("PUT", "/update/stage", &package).await.unwrap();
        assert_eq!(staged.text(), "{}");
        assert!(rest.get("/images").await.contains("\"has_staged_updates\":true"));
        assert_eq!(
            component(&mut rest, &uid).await,
            None,
            "staged only is not listed"
        );
        assert_eq!(rest.get(&status).await, "{\"state\":\"notPresent\"}");

        assert_eq!(rest.call("POST", "/update/install").await.unwrap().text(), "{}");
        assert_eq!(rest.get(&status).await, "{\"state\":\"running\"}");
        let listed = component(&mut rest, &uid).await.unwrap();
        assert_eq!(listed["name"], "test");
        assert_eq!(listed["images"][0]["length_in_bytes"], package.len());

        let socket = rest.host.connect_patiently(11000).await;
        for nonce in ["a0", "b1"] {
            let question =
                format!("{{\"lineside\":1,\"nonce\":\"{nonce}\",\"measure\":\"supply_voltage\"}}\n");
            let answer = rest
                .host
                .ask_line(socket, &question, Duration::from_secs(1))
                .await
                .unwrap();
            let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["nonce"], nonce);
            assert!((3.28..=3.32).contains(&answer["value"].as_f64().unwrap()));
        }

        let path = format!("/app/image/{uid}");
        assert_eq!(rest.call("DELETE", &path).await.unwrap().text(), "{}");
        assert_eq!(rest.call("DELETE", &path).await.unwrap().text(), "{}");
        assert_eq!(component(&mut rest, &uid).await, None);
        assert_eq!(
            rest.host.connect(11000, Duration::from_secs(1)).await,
            Err(Trouble::Refused)
        );
        let counters = world.truth(0).unwrap().counters;
        assert_eq!((counters.installs, counters.deletes), (1, 1));
    });
}

#[test]
fn applications_that_fail_do_so_as_they_were_written() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let ask = "{\"lineside\":1,\"nonce\":\"a0\",\"measure\":\"x\"}\n";
        for (number, (lines, is_listening)) in [
            ("listen 11000\nmeasure x 1 V\nhang", true),
            ("listen 11000\nloop", false),
            ("measure x 1 V", false),
            ("listen 11001", false),
        ]
        .into_iter()
        .enumerate()
        {
            let package = test_application()
                .image(number as u128)
                .program(lines)
                .pack(world.signing_key());
            assert_eq!(load(&mut rest, &package).await, "{}");
            world.clock().sleep(Duration::from_millis(100)).await;
            let port = if lines.contains("11001") { 11001 } else { 11000 };
            match rest.host.connect(port, Duration::from_secs(1)).await {
                Ok(socket) => {
                    assert!(is_listening, "{lines}");
                    let answer = rest.host.ask_line(socket, ask, Duration::from_secs(2)).await;
                    assert_eq!(answer, Err(Trouble::Timeout));
                }
                Err(trouble) => {
                    assert!(!is_listening, "{lines}");
                    assert_eq!(trouble, Trouble::Refused);
                }
            }
        }
        // One that crashes takes its connections with it, and is there again later.
        let lines = "listen 11000\nmeasure x 1 V\ncrash after 50ms";
        let package = test_application()
            .image(99)
            .program(lines)
            .pack(world.signing_key());
        load(&mut rest, &package).await;
        for _ in 0..3 {
            let socket = rest.host.connect_patiently(11000).await;
            let _ = rest.host.ask_line(socket, ask, Duration::from_secs(1)).await;
            let gone = rest.host.ask_line(socket, "", Duration::from_secs(1)).await;
            assert_eq!(gone, Err(Trouble::Refused));
        }
        // What it cannot run is refused.
        let package = test_application()
            .image(100)
            .program("sing")
            .pack(world.signing_key());
        assert_eq!(load(&mut rest, &package).await, "{\"error\":1048591}");
    });
}

#[test]
fn packages_that_a_device_must_not_take_are_refused_with_their_number() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let good = Application::new("x").pack(world.signing_key());
        let mut tampered = good.clone();
        tampered[100] ^= 1;
        let stranger = lineside_simulator::Supplies::new(&lineside_simulator::Seed::new(99)).unwrap();
        let cases: [(&[u8], u64); 5] = [
            (b"", 7_340_050),
            (&good[..good.len() - 1], 7_340_050),
            (&tampered, 7_340_047),
            (&Application::new("x").pack(stranger.signing_key()), 7_340_047),
            (
                &Application::new("x").pack(world.supplies().development_key()),
                7_340_047,
            ),
        ];
        for (bytes, code) in cases {
            let answer = rest.call_octets("PUT", "/update/stage", bytes).await.unwrap();
            assert_eq!((answer.status, answer.code()), (400, Some(code)));
        }
        // What is sound but asks for more than the OS has fails at installation, and leaves nothing behind.
        let package = Application::new("x").runtime(99).pack(world.signing_key());
        assert_eq!(load(&mut rest, &package).await, "{\"error\":7340072}");
        let big = Application::new("x").padding(2_000_000).pack(world.signing_key());
        let answer = rest.call_octets("PUT", "/update/stage", &big).await.unwrap();
        assert_eq!((answer.status, answer.code()), (400, Some(14_680_082)));
        assert!(world.truth(0).unwrap().images.is_empty());
        assert_eq!(world.truth(0).unwrap().counters.installs, 0);
    });
}

#[test]
fn applications_that_want_one_pin_do_not_run_together() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let pinned = |component: u128, capabilities: &str| {
            let application = Application::new("x")
                .component(component)
                .image(component)
                .capabilities(capabilities);
            application.pack(world.signing_key())
        };
        assert_eq!(
            load(&mut rest, &pinned(1, "\"Gpio\":[8],\"Uart\":[\"ISU0\"]")).await,
            "{}"
        );
        assert_eq!(
            load(&mut rest, &pinned(2, "\"Gpio\":[9,8]")).await,
            "{\"error\":5242884}"
        );
        assert_eq!(
            load(&mut rest, &pinned(3, "\"Uart\":[\"ISU0\"]")).await,
            "{\"error\":5242888}"
        );
        assert_eq!(load(&mut rest, &pinned(4, "\"Gpio\":[9]")).await, "{}");
    });
}

#[test]
fn the_same_image_again_is_no_change_and_a_new_one_replaces_it() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let first = Application::new("x")
            .capabilities("\"MutableStorage\":{\"SizeKB\":8}")
            .pack(world.signing_key());
        assert_eq!(load(&mut rest, &first).await, "{}");
        assert_eq!(load(&mut rest, &first).await, "{}");
        assert_eq!(world.truth(0).unwrap().counters.installs, 1);
        assert_eq!(
            rest.get(&format!("/app/quota/{COMPONENT}")).await,
            "{\"UsageKB\":0,\"LimitKB\":8}"
        );
        let second = Application::new("x").image(2).pack(world.signing_key());
        assert_eq!(load(&mut rest, &second).await, "{}");
        assert_eq!(world.truth(0).unwrap().images.len(), 1);
        assert_eq!(
            rest.get(&format!("/app/quota/{COMPONENT}")).await,
            "{\"UsageKB\":0,\"LimitKB\":0}"
        );
    });
}

#[test]
fn a_board_configuration_and_a_capability_file_restart_the_device() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        assert_eq!(
            load(&mut rest, &board_config(world.signing_key())).await,
            "{\"restartingSystem\":true}"
        );
        let mut rest = rest.reconnect(world.ca_pem()).await;
        assert_eq!(world.truth(0).unwrap().counters.boots, 2);
        assert_eq!(world.truth(0).unwrap().images.len(), 1);

        let id = world.truth(0).unwrap().device_id;
        let capability = lineside_terms::Capability::APP_DEVELOPMENT;
        let file = world.supplies().capability_file(id, &[capability]).unwrap();
        assert_eq!(load(&mut rest, &file).await, "{\"restartingSystem\":true}");
        let mut rest = rest.reconnect(world.ca_pem()).await;
        assert_eq!(
            rest.get("/device/capabilities").await,
            "{\"device_capabilities\":[11]}"
        );
        // One without any capability takes it off.
        let file = world.supplies().capability_file(id, &[]).unwrap();
        assert_eq!(load(&mut rest, &file).await, "{\"restartingSystem\":true}");
        let mut rest = rest.reconnect(world.ca_pem()).await;
        assert_eq!(
            rest.get("/device/capabilities").await,
            "{\"device_capabilities\":[]}"
        );
    });
}

#[test]
fn a_restart_drops_what_is_temporary_and_starts_the_rest() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        load(
            &mut rest,
            &test_application()
                .program("listen 11000")
                .pack(world.signing_key()),
        )
        .await;
        let kept = Application::new("kept")
            .component(7)
            .capabilities("\"AllowedTcpServerPorts\":[12000]")
            .program("listen 12000\nmeasure x 1 V");
        load(&mut rest, &kept.pack(world.signing_key())).await;
        let waiting = Application::new("waiting").component(8).pack(world.signing_key());
        rest.call_octets("PUT", "/update/stage", &waiting).await.unwrap();

        let answer = rest.call("POST", "/restart").await.unwrap();
        assert_eq!(answer.text(), "{\"restartingSystem\":true}");
        assert!(answer.is_last);
        let mut rest = rest.reconnect(world.ca_pem()).await;
        assert_eq!(
            rest.get(&format!("/app/status/{COMPONENT}")).await,
            "{\"state\":\"notPresent\"}"
        );
        let images = rest.get("/images").await;
        assert!(
            images.contains("\"kept\"") && images.contains("\"has_staged_updates\":false"),
            "{images}"
        );
        rest.host.connect_patiently(12000).await;
        assert!(!world.truth(0).unwrap().has_staged);
    });
}

#[test]
fn a_developer_starts_stops_and_debugs() {
    let config = WorldConfig {
        development: true,
        ..one()
    };
    in_world(config, |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        assert_eq!(
            rest.get("/device/capabilities").await,
            "{\"device_capabilities\":[11]}"
        );
        assert!(component(&mut rest, &GDBSERVER.to_string()).await.is_some());
        load(
            &mut rest,
            &Application::new("x").pack(world.supplies().development_key()),
        )
        .await;
        let path = format!("/app/status/{COMPONENT}");
        for (trigger, wanted) in [
            ("stop", r#"{"state":"stopped"}"#),
            ("start", r#"{"state":"running"}"#),
            ("start", r#"{"state":"running"}"#),
            (
                "startDebug",
                r#"{"state":"debugging","gdbPort":2345,"outPort":2342}"#,
            ),
            ("stop", r#"{"state":"stopped"}"#),
            ("sing", r#"{"error":10485761}"#),
        ] {
            let body = format!("{{\"trigger\":\"{trigger}\"}}");
            let answer = rest.call_json("PATCH", &path, &body).await.unwrap();
            assert_eq!(answer.text(), wanted, "{trigger}");
        }
        let path = format!("/app/image/{GDBSERVER}");
        assert_eq!(rest.call("DELETE", &path).await.unwrap().text(), "{}");
        let kernel = "/app/image/ec96028b-080b-4ff5-9ef1-b40264a8c652";
        assert_eq!(rest.call("DELETE", kernel).await.unwrap().code(), Some(7_340_069));
    });
}

#[test]
fn an_update_from_the_cloud_keeps_software_out() {
    use lineside_simulator::{Fault, What, When};
    in_world(one(), |world: World| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let when = When::request(lineside_protocol::rest::Operation::GetStatus);
        world
            .add_fault(&Fault {
                board: None,
                when,
                what: What::UpdateInProgress,
            })
            .unwrap();
        rest.get("/status").await;
        assert!(
            rest.get("/images")
                .await
                .contains("\"is_ota_update_in_progress\":true")
        );
        let answer = rest.call_octets("PUT", "/update/stage", b"x").await.unwrap();
        assert_eq!((answer.status, answer.code()), (409, Some(7_340_071)));
    });
}

#[test]
fn an_old_os_lacks_what_came_later() {
    let config = WorldConfig {
        os_profile: OsProfile::V20_05,
        ..one()
    };
    in_world(config, |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        for path in ["/osversion", "/net/proxy", "/net/firewall/rulesets"] {
            let answer = rest.call("GET", path).await.unwrap();
            assert_eq!((answer.status, answer.code()), (404, Some(15_728_642)), "{path}");
            assert_eq!(answer.version, "3.1.0");
        }
        assert!(
            rest.get("/device/security_state")
                .await
                .contains("generalPublicKey")
        );
        let package = Application::new("x").runtime(5).pack(world.signing_key());
        assert_eq!(load(&mut rest, &package).await, "{\"error\":0}");
    });
}

#[test]
fn room_is_as_much_as_was_configured() {
    let assumptions = Assumptions {
        image_space: 20_000,
        ..Assumptions::default()
    };
    in_world(WorldConfig { assumptions, ..one() }, |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let small = Application::new("x").pack(world.signing_key());
        assert!(small.len() < 20_000);
        load(&mut rest, &small).await;
        let other = Application::new("y").component(5).pack(world.signing_key());
        assert_eq!(
            rest.call_octets("PUT", "/update/stage", &other)
                .await
                .unwrap()
                .code(),
            Some(14_680_082)
        );
        // In its own place there is room.
        let newer = Application::new("x").image(2).pack(world.signing_key());
        assert_eq!(
            rest.call_octets("PUT", "/update/stage", &newer)
                .await
                .unwrap()
                .status,
            200
        );
    });
}
