//! Answers to the letter: keys, order, spaces and escapes as devices write them (`device-rest-api.md` 1.3, 3).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use lineside_image::OsList;
use lineside_simulator::{OsProfile, Seed, WorldConfig};
use lineside_terms::ManufacturingState as State;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use support::{in_world, rest};

fn one() -> WorldConfig {
    WorldConfig {
        boards: 1,
        ..WorldConfig::default()
    }
}

#[test]
fn small_answers() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        for (path, text) in [
            ("/osversion", r#"{"osversion":"24.06"}"#),
            (
                "/abi_versions",
                r#"{"SecureWorldRuntime":2,"OSRuntime":3,"ApplicationRuntime":12}"#,
            ),
            (
                "/device/manufacturing_state",
                r#"{"manufacturingState":"Module1Complete"}"#,
            ),
            ("/device/capabilities", r#"{"device_capabilities":[]}"#),
            (
                "/net/status",
                r#"{"deviceAuthenticationIsReady":false,"networkTimeSync":"incomplete","proxy":"disabled"}"#,
            ),
            ("/certstore/certs", r#"{"identifiers":[]}"#),
            ("/certstore/space", r#"{"AvailableSpace":"24514"}"#),
            ("/wifi/config/networks", r#"{"values":[]}"#),
            ("/wifi/diagnostics/networks", r#"{"values":[]}"#),
        ] {
            assert_eq!(rest.get(path).await, text, "{path}");
        }
        let interface = rest.get("/wifi/interface").await;
        let address = interface
            .split("\"address\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(
            interface,
            format!(
                r#"{{"configState":"unknown","connectionState":"disconnected","securityState":"unknown","mode":"station","key_mgmt":"UNKNOWN","wpa_state":"INACTIVE","address":"{address}","id":-1,"powerSavingsState":"disabled"}}"#
            )
        );
        let saving = r#"{"enablePowerSavings":true}"#;
        assert_eq!(
            rest.call_json("PATCH", "/wifi/interface", saving)
                .await
                .unwrap()
                .text(),
            "{}"
        );
        assert!(
            rest.get("/wifi/interface")
                .await
                .contains("\"powerSavingsState\":\"enabled\"")
        );
    });
}

#[test]
fn images_are_those_of_the_os_list() {
    for os_profile in OsProfile::ALL {
        in_world(WorldConfig { os_profile, ..one() }, move |world| async move {
            let (_board, mut rest) = rest(&world, 0).await;
            let text = rest.get("/images").await;
            assert!(text.starts_with(
                r#"{"is_ota_update_in_progress":false,"has_staged_updates":false,"restart_required":false,"components":[{"uid":""#
            ));
            assert!(text.contains(
                r#""image_type":7,"is_update_staged":false,"does_image_type_require_restart":true,"images":[{"uid":""#
            ));
            assert!(text.contains(
                r#","length_in_bytes":2491164,"uncompressed_length_in_bytes":2491164,"replica_type":0}],"name":"NW Kernel"}"#
            ));
            // As the vendor's script matches them: every pair of the version, and of no other.
            let images: serde_json::Value = serde_json::from_str(&text).unwrap();
            let components = images["components"].as_array().unwrap();
            let pairs: Vec<(&str, &str)> = components
                .iter()
                .map(|part| {
                    (
                        part["uid"].as_str().unwrap(),
                        part["images"][0]["uid"].as_str().unwrap(),
                    )
                })
                .collect();
            let list: serde_json::Value = serde_json::from_str(&world.os_list()).unwrap();
            for version in list["versions"].as_array().unwrap() {
                let wanted = version["images"].as_array().unwrap();
                assert_eq!(wanted.len(), components.len());
                let is_this = wanted.iter().all(|pair| {
                    pairs.contains(&(pair["cid"].as_str().unwrap(), pair["iid"].as_str().unwrap()))
                });
                assert_eq!(is_this, version["name"] == os_profile.name());
            }
            assert!(OsList::parse(world.os_list().as_bytes()).is_ok());
        });
    }
}

#[test]
fn states_move_forward_and_nowhere_else() {
    in_world(
        WorldConfig {
            state: State::Blank,
            ..one()
        },
        |world| async move {
            let (_board, mut rest) = rest(&world, 0).await;
            let path = "/device/manufacturing_state";
            assert_eq!(
                rest.get("/device/capabilities").await,
                r#"{"device_capabilities":[12]}"#
            );
            let refused = r#"{"error":10485761}"#;
            for (wanted, text, state) in [
                ("Blank", refused, State::Blank),
                ("Unknown", refused, State::Blank),
                ("Module1Complete", "{}", State::Module1Complete),
                ("Module1Complete", "{}", State::Module1Complete),
                ("Blank", refused, State::Module1Complete),
                ("devicecomplete", refused, State::Module1Complete),
                ("DeviceComplete", "{}", State::DeviceComplete),
                ("DeviceComplete", r#"{"error":10485778}"#, State::DeviceComplete),
            ] {
                let body = format!("{{\"manufacturingState\":\"{wanted}\"}}");
                let answer = rest.call_json("PUT", path, &body).await.unwrap();
                assert_eq!(answer.text(), text, "{wanted}");
                assert_eq!(
                    rest.get(path).await,
                    format!("{{\"manufacturingState\":\"{state}\"}}")
                );
            }
            assert_eq!(
                rest.get("/device/capabilities").await,
                r#"{"device_capabilities":[]}"#
            );
            let counters = world.truth(0).unwrap().counters;
            assert_eq!(
                (
                    counters.irreversible_asked,
                    counters.irreversible_applied,
                    counters.irreversible_refused
                ),
                (8, 2, 6)
            );
        },
    );
}

#[test]
fn certificates_are_stored_told_and_deleted() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let pem = serde_json::to_string(world.ca_pem()).unwrap();
        let path = "/certstore/certs/Root.CA_1";
        let root = format!("{{\"certType\":\"RootCA\",\"publicCert\":{pem}}}");
        for _ in 0..2 {
            assert_eq!(rest.call_json("POST", path, &root).await.unwrap().text(), "{}");
        }
        assert_eq!(
            rest.get(path).await,
            r#"{"id":"Root.CA_1","notBefore":"2018-01-01T00:00:00","notAfter":"2099-01-01T00:00:00","subjectName":"\/CN=Simulated Device\/O=Lineside simulated bench","issuerName":"\/CN=Simulated Device\/O=Lineside simulated bench"}"#
        );
        assert_eq!(
            rest.get("/certstore/certs").await,
            r#"{"identifiers":["Root.CA_1"]}"#
        );
        let space = 24_514 - 62 - world.ca_pem().len();
        assert_eq!(
            rest.get("/certstore/space").await,
            format!("{{\"AvailableSpace\":\"{space}\"}}")
        );

        let client = |rest: &str| format!("{{\"certType\":\"client\",\"publicCert\":{pem}{rest}}}");
        let key = "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n";
        for (id, body, code) in [
            ("a%2Fb", root.clone(), 38_797_314),
            ("12345678901234567", root.clone(), 38_797_316),
            (
                "a",
                format!("{{\"certType\":\"x\",\"publicCert\":{pem}}}"),
                38_797_324,
            ),
            ("a", r#"{"certType":"rootca"}"#.to_owned(), 38_797_325),
            (
                "a",
                format!(
                    "{{\"certType\":\"rootca\",\"publicCert\":\"{}\"}}",
                    "a".repeat(8193)
                ),
                38_797_326,
            ),
            (
                "a",
                r#"{"certType":"rootca","publicCert":"hello"}"#.to_owned(),
                38_797_315,
            ),
            (
                "a",
                root.replace("RootCA", "rootca")
                    .replace('}', ",\"privateKey\":\"x\"}"),
                38_797_329,
            ),
            ("a", root.replace('}', ",\"password\":\"x\"}"), 38_797_331),
            ("a", client(""), 38_797_327),
            (
                "a",
                client(&format!(",\"privateKey\":\"{}\"", "k".repeat(8193))),
                38_797_328,
            ),
            (
                "a",
                client(&format!(",\"privateKey\":\"{key}\",\"password\":\"x\"")),
                38_797_333,
            ),
            (
                "a",
                client(&format!(
                    ",\"privateKey\":\"{key}\",\"password\":\"{}\"",
                    "x".repeat(257)
                )),
                38_797_330,
            ),
        ] {
            let answer = rest
                .call_json("POST", &format!("/certstore/certs/{id}"), &body)
                .await
                .unwrap();
            assert_eq!(
                (answer.status, answer.code()),
                (400, Some(code)),
                "{id} {}",
                &body[..60.min(body.len())]
            );
        }
        // A client certificate takes its own key and no other.
        let authority = Seed::new(1).branch("authority").branch("ca");
        for (seed, code) in [(authority.branch("other"), Some(38_797_332)), (authority, None)] {
            let key = seed.key().to_pkcs8_pem(LineEnding::LF).unwrap();
            let body = client(&format!(
                ",\"privateKey\":{}",
                serde_json::to_string(key.as_str()).unwrap()
            ));
            let answer = rest
                .call_json("POST", "/certstore/certs/mine", &body)
                .await
                .unwrap();
            assert_eq!(answer.code(), code, "{}", answer.text());
        }
        assert_eq!(
            rest.call("DELETE", "/certstore/certs/mine").await.unwrap().text(),
            "{}"
        );
        assert_eq!(rest.call("DELETE", path).await.unwrap().text(), "{}");
        assert_eq!(rest.call("DELETE", path).await.unwrap().code(), Some(38_797_319));
        assert_eq!(
            rest.get("/certstore/space").await,
            r#"{"AvailableSpace":"24514"}"#
        );
    });
}

#[test]
fn log_and_telemetry_are_of_their_form() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let log = rest.call("GET", "/log").await.unwrap();
        assert_eq!(log.content_type, "application/octet-stream");
        assert_eq!(log.body.len(), 4096);
        let record = usize::from(u16::from_le_bytes([log.body[0], log.body[1]]));
        assert_eq!(&log.body[12..record], b"24.06\0");
        let telemetry = rest.call("GET", "/telemetry").await.unwrap();
        assert_eq!(telemetry.content_type, "application/octet-stream");
        assert_eq!(
            usize::from(u16::from_be_bytes([telemetry.body[3], telemetry.body[4]])),
            telemetry.body.len() - 5
        );
        assert!(telemetry.body.len() > 5);
        assert_eq!(rest.call("DELETE", "/telemetry").await.unwrap().text(), "{}");
        assert_eq!(
            rest.call("GET", "/telemetry").await.unwrap().body,
            [1, 0, 0, 0, 0]
        );
    });
}
