//! A chip over the whole way: wire, SLIP, IP, TLS, HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use lineside_simulator::WorldConfig;
use support::{in_world, rest};

#[test]
fn a_device_boots_and_tells_who_it_is() {
    in_world(
        WorldConfig {
            boards: 2,
            ..WorldConfig::default()
        },
        |world| async move {
            let (_board, mut rest) = rest(&world, 1).await;
            let id = world.with_chip(1, |chip| chip.firmware().id()).unwrap();
            let answer = rest.call("GET", "/device/security_state").await.unwrap();
            assert_eq!(answer.version, "4.6.0");
            assert_eq!(answer.content_type, "application/json");
            assert_eq!(
                answer.text(),
                format!(
                    "{{\"securityState\":\"SECURE\",\"deviceIdentifier\":\"{id}\",\"deviceIdentityPublicKey\":\"{id}\"}}"
                )
            );
            assert_eq!(rest.get("/status").await, "{\"uptime\":0}");
            assert_eq!(rest.get("/osversion").await, "{\"osversion\":\"24.06\"}");
        },
    );
}
