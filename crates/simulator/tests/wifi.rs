//! Wi-Fi and the other network settings (`device-rest-api.md` 3.5, 3.6).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use lineside_simulator::{AccessPoint, WorldConfig};
use support::{in_world, rest};

fn one() -> WorldConfig {
    WorldConfig {
        boards: 1,
        ..WorldConfig::default()
    }
}

const TEST_NETWORK: &str = r#"{"ssid":"lineside-test","securityState":"psk","psk":"lineside-test-key","configState":"enabled","id":-1}"#;

#[test]
fn a_network_without_internet_connects_and_never_has_any() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let mut added = rest
            .call_json("POST", "/wifi/config/networks", TEST_NETWORK)
            .await
            .unwrap();
        assert_eq!(added.status, 201);
        assert_eq!(
            added.text(),
            r#"{"ssid":"lineside-test","configState":"enabled","connectionState":"unknown","id":0,"securityState":"psk","targetedScan":false}"#
        );
        assert!(
            rest.get("/wifi/config/networks")
                .await
                .contains("\"connectionState\":\"disconnected\"")
        );
        let mut interface = String::new();
        for _ in 0..100 {
            interface = rest.get("/net/interfaces/wlan0").await;
            assert!(interface.contains("\"connectedToInternet\":false"), "{interface}");
            if interface.contains("\"ipAcquired\":true") {
                break;
            }
            world.clock().sleep(Duration::from_millis(5)).await;
        }
        assert!(
            interface.contains("\"connectedToNetwork\":true,\"ipAcquired\":true"),
            "{interface}"
        );
        let state = rest.get("/wifi/interface").await;
        assert!(
            state.starts_with("{\"ssid\":\"lineside-test\"") && state.contains("\"wpa_state\":\"COMPLETED\""),
            "{state}"
        );
        assert!(
            rest.get("/wifi/config/networks/0")
                .await
                .contains("\"connectionState\":\"connected\"")
        );
        assert!(
            rest.get("/net/status")
                .await
                .contains("\"networkTimeSync\":\"incomplete\"")
        );

        // It survives a restart.
        rest.call("POST", "/restart").await.unwrap();
        let mut rest = rest.reconnect(world.ca_pem()).await;
        assert!(rest.get("/wifi/config/networks").await.contains("lineside-test"));
        assert_eq!(
            rest.call("DELETE", "/wifi/config/networks/0")
                .await
                .unwrap()
                .text(),
            "{}"
        );
        assert_eq!(rest.get("/wifi/config/networks").await, "{\"values\":[]}");
        added = rest.call("DELETE", "/wifi/config/networks/0").await.unwrap();
        assert_eq!((added.status, added.code()), (404, Some(13_631_491)));
        assert!(
            rest.get("/wifi/interface")
                .await
                .contains("\"connectionState\":\"disconnected\"")
        );
    });
}

#[test]
fn internet_is_what_the_access_point_has_and_goes_with_it() {
    let air = vec![AccessPoint::open("free").with_internet()];
    in_world(WorldConfig { air, ..one() }, |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let body = r#"{"ssid":"free","securityState":"open"}"#;
        assert_eq!(
            rest.call_json("POST", "/wifi/config/networks", body)
                .await
                .unwrap()
                .status,
            201
        );
        world.clock().sleep(Duration::from_secs(1)).await;
        assert!(
            rest.get("/net/interfaces")
                .await
                .contains("\"connectedToInternet\":true")
        );
        assert!(
            rest.get("/net/status")
                .await
                .contains("\"networkTimeSync\":\"complete\"")
        );
        world.set_access_points(Vec::new());
        let interface = rest.get("/net/interfaces/wlan0").await;
        assert!(interface.contains("\"connectedToNetwork\":false"), "{interface}");
        assert!(!interface.contains("ipAddresses"), "{interface}");
        // When it is back, so is the connection.
        world.set_access_points(vec![AccessPoint::open("free")]);
        world.clock().sleep(Duration::from_secs(5)).await;
        assert!(
            rest.get("/net/interfaces/wlan0")
                .await
                .contains("\"ipAcquired\":true,\"connectedToInternet\":false")
        );
    });
}

#[test]
fn what_does_not_fit_is_told_by_diagnostics() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        for body in [
            r#"{"ssid":"lineside-test","securityState":"psk","psk":"another-key"}"#,
            r#"{"ssid":"nowhere","securityState":"open"}"#,
        ] {
            assert_eq!(
                rest.call_json("POST", "/wifi/config/networks", body)
                    .await
                    .unwrap()
                    .status,
                201
            );
        }
        let told = rest.get("/wifi/diagnostics/networks").await;
        assert!(
            told.contains("\"networkId\":0") && told.contains("AuthenticationFailed"),
            "{told}"
        );
        assert!(
            told.contains("\"networkId\":1") && told.contains("NetworkNotFound"),
            "{told}"
        );
        // A right key mends it.
        let body = r#"{"configState":"enabled","psk":"lineside-test-key"}"#;
        let changed = rest
            .call_json("PATCH", "/wifi/config/networks/0", body)
            .await
            .unwrap();
        assert_eq!(changed.status, 200);
        world.clock().sleep(Duration::from_secs(1)).await;
        assert!(
            rest.get("/wifi/config/networks/0")
                .await
                .contains("\"connectionState\":\"connected\"")
        );
    });
}

#[test]
fn quirks_are_as_tested() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let networks = "/wifi/config/networks";
        for (body, code) in [
            (r#"{"ssid":"","securityState":"open"}"#.to_owned(), 13_631_496),
            (
                format!("{{\"ssid\":\"{}\",\"securityState\":\"open\"}}", "s".repeat(33)),
                13_631_503,
            ),
            (
                format!(
                    "{{\"ssid\":\"a\",\"securityState\":\"psk\",\"psk\":\"{}\"}}",
                    "p".repeat(64)
                ),
                13_631_504,
            ),
            (
                r#"{"ssid":"a","securityState":"psk","psk":"1234567"}"#.to_owned(),
                13_631_513,
            ),
            (r#"{"ssid":"a","securityState":"eaptls"}"#.to_owned(), 13_631_512),
            (
                r#"{"ssid":"a","securityState":"open","configName":"12345678901234567"}"#.to_owned(),
                10_485_776,
            ),
            ("{".to_owned(), 10_485_761),
        ] {
            let answer = rest.call_json("POST", networks, &body).await.unwrap();
            assert_eq!((answer.status, answer.code()), (400, Some(code)), "{body}");
        }
        // The key's length is looked at before the network.
        let answer = rest
            .call_json("PATCH", &format!("{networks}/5"), r#"{"psk":"short"}"#)
            .await
            .unwrap();
        assert_eq!((answer.status, answer.code()), (400, Some(13_631_513)));
        let answer = rest
            .call_json("PATCH", &format!("{networks}/5"), r#"{"psk":"longenough"}"#)
            .await
            .unwrap();
        assert_eq!((answer.status, answer.code()), (404, Some(13_631_491)));
        // Two open networks may share a configuration name; the same network twice is one too many.
        for (ssid, status) in [("a", 201), ("b", 201), ("a", 400)] {
            let body = format!("{{\"ssid\":\"{ssid}\",\"securityState\":\"open\",\"configName\":\"same\"}}");
            assert_eq!(
                rest.call_json("POST", networks, &body).await.unwrap().status,
                status
            );
        }
        // While the interface is down, everything but the interface is refused.
        let down = r#"{"interfaceUp":false}"#;
        assert_eq!(
            rest.call_json("PATCH", "/net/interfaces/wlan0", down)
                .await
                .unwrap()
                .text(),
            "{}"
        );
        for (method, path) in [
            ("GET", "/wifi/scan"),
            ("GET", networks),
            ("DELETE", "/wifi/config/networks/77"),
            ("GET", "/wifi/diagnostics/networks"),
        ] {
            let answer = rest.call(method, path).await.unwrap();
            assert_eq!(
                (answer.status, answer.code()),
                (500, Some(13_631_506)),
                "{method} {path}"
            );
        }
        assert!(rest.get("/wifi/interface").await.contains("INTERFACE_DISABLED"));
        rest.call_json("PATCH", "/net/interfaces/wlan0", r#"{"interfaceUp":true}"#)
            .await
            .unwrap();
        assert!(
            rest.get("/wifi/scan")
                .await
                .contains("\"ssid\":\"lineside-test\",\"securityState\":\"psk\"")
        );
    });
}

#[test]
fn interfaces_and_proxy_answer_to_the_letter() {
    in_world(one(), |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        assert_eq!(
            rest.get("/net/interfaces/azspheresvc").await,
            r#"{"interfaceName":"azspheresvc","interfaceUp":true,"connectedToNetwork":false,"ipAcquired":false,"connectedToInternet":false,"ipAddresses":["192.168.35.2"]}"#
        );
        let answer = rest.call("GET", "/net/interfaces/eth7").await.unwrap();
        assert_eq!((answer.status, answer.code()), (404, Some(15_728_642)));
        for (name, body, status, code) in [
            ("eth7", r#"{"interfaceUp":true}"#, 404, 31_457_294),
            (
                "wlan0",
                r#"{"hardwareAddress":"aa:bb:cc:dd:ee:ff"}"#,
                400,
                31_457_295,
            ),
            ("wlan0", r#"{"hardwareAddress":"aabbcc"}"#, 400, 31_457_286),
        ] {
            let answer = rest
                .call_json("PATCH", &format!("/net/interfaces/{name}"), body)
                .await
                .unwrap();
            assert_eq!(
                (answer.status, answer.code()),
                (status, Some(code)),
                "{name} {body}"
            );
        }
        assert_eq!(rest.get("/net/proxy").await, "{}");
        let proxy = r#"{"address":"example.com","enabled":true,"port":8081,"authenticationType":"basic","username":"example","password":"example","noProxyAddresses":[]}"#;
        assert_eq!(
            rest.call_json("POST", "/net/proxy", proxy).await.unwrap().text(),
            proxy
        );
        assert_eq!(
            rest.get("/net/proxy").await,
            proxy.replace(r#""password":"example","#, "")
        );
        assert!(rest.get("/net/status").await.contains("\"proxy\":\"enabled\""));
        assert_eq!(
            rest.call_json("POST", "/net/proxy", r#"{"port":1}"#)
                .await
                .unwrap()
                .code(),
            Some(10_485_761)
        );
        for _ in 0..2 {
            assert_eq!(rest.call("DELETE", "/net/proxy").await.unwrap().text(), "{}");
        }
        assert_eq!(rest.get("/net/proxy").await, "{}");
    });
}
