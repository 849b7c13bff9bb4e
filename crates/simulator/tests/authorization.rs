//! Every operation in every state with every capability: allowed or refused as the reference says
//! (`device-rest-api.md` 2.2). What is expected is written here by hand, from that table.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lineside_protocol::rest::{Operation as O, Payload};
use lineside_simulator::{Assumptions, WorldConfig};
use lineside_terms::{Capability, ManufacturingState as State};
use support::packages::{Application, COMPONENT};
use support::{Answer, in_world, rest};

const STATES: [State; 3] = [State::Blank, State::Module1Complete, State::DeviceComplete];
const CAPABILITIES: [Option<Capability>; 3] = [
    None,
    Some(Capability::APP_DEVELOPMENT),
    Some(Capability::FIELD_SERVICING),
];

/// What the table says to one operation.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is done, with this status.
    Allowed(u16),
    /// The common authorizer refuses.
    Locked,
    /// Its handler refuses, with this status and number.
    Refused(u16, u64),
}

fn expected(operation: O, state: State, capability: Option<Capability>) -> Verdict {
    let developer = capability == Some(Capability::APP_DEVELOPMENT);
    let complete = state == State::DeviceComplete;
    let open = [
        O::GetStatus,
        O::GetOsVersion,
        O::GetAbiVersions,
        O::GetNetStatus,
        O::GetSecurityState,
        O::GetManufacturingState,
        O::GetCapabilities,
    ];
    if open.contains(&operation) {
        return Verdict::Allowed(200);
    }
    if operation == O::GetMemoryStats {
        return if developer {
            Verdict::Allowed(200)
        } else {
            Verdict::Locked
        };
    }
    if complete && capability.is_none() {
        return Verdict::Locked;
    }
    match operation {
        // Starting and stopping need 11 in every state. The application that is asked for is not there.
        O::ControlApp if developer => Verdict::Refused(409, 14_680_076),
        O::ControlApp => Verdict::Refused(403, 1_048_596),
        // Servicing can load, not delete.
        O::DeleteImage if complete && !developer => Verdict::Refused(400, 7_340_069),
        // Nowhere to go.
        O::SetManufacturingState if complete => Verdict::Refused(400, 10_485_761),
        // Allowed, and not there.
        O::GetAppQuota => Verdict::Refused(404, 14_680_076),
        O::GetCert | O::DeleteCert => Verdict::Refused(404, 38_797_319),
        O::GetWifiNetwork | O::ChangeWifiNetwork | O::DeleteWifiNetwork => Verdict::Refused(404, 13_631_491),
        O::GetWifiNetworkDiagnostics => Verdict::Refused(404, 13_631_499),
        O::AddWifiNetwork => Verdict::Allowed(201),
        _ => Verdict::Allowed(200),
    }
}

fn item(operation: O) -> Option<&'static str> {
    match operation {
        O::GetAppStatus | O::ControlApp | O::DeleteImage | O::GetAppQuota => {
            Some("00000000-1111-2222-3333-444444444444")
        }
        O::GetCert | O::DeleteCert => Some("missing"),
        O::AddCert => Some("root"),
        O::GetInterface | O::ChangeInterface => Some("wlan0"),
        O::GetWifiNetwork | O::ChangeWifiNetwork | O::DeleteWifiNetwork | O::GetWifiNetworkDiagnostics => {
            Some("9")
        }
        _ => None,
    }
}

fn body(operation: O, state: State, ca_pem: &str) -> String {
    match operation {
        O::ControlApp => r#"{"trigger":"stop"}"#.into(),
        O::AddCert => {
            format!("{{\"certType\":\"rootca\",\"publicCert\":{}}}", serde_json::to_string(ca_pem).unwrap())
        }
        O::SetManufacturingState => {
            let next = if state == State::Blank { State::Module1Complete } else { State::DeviceComplete };
            let next = if state == State::DeviceComplete { State::Module1Complete } else { next };
            format!("{{\"manufacturingState\":\"{next}\"}}")
        }
        O::ChangeInterface => r#"{"interfaceUp":true}"#.into(),
        O::SetProxy => {
            r#"{"enabled":false,"address":"a","port":1,"noProxyAddresses":[],"authenticationType":"anonymous"}"#.into()
        }
        O::AddWifiNetwork => r#"{"ssid":"x","securityState":"open","configState":"disabled"}"#.into(),
        O::ChangeWifiNetwork => r#"{"configState":"disabled"}"#.into(),
        O::ChangeWifiInterface => r#"{"reloadConfig":false}"#.into(),
        O::Install => r#"{"appControlMode":"Manual"}"#.into(),
        _ => String::new(),
    }
}

/// All operations, with those last that end the connection or change what is allowed.
fn all() -> Vec<O> {
    let last = [O::Restart, O::SetManufacturingState];
    O::ALL
        .into_iter()
        .filter(|operation| !last.contains(operation))
        .chain(last)
        .collect()
}

fn judge(answer: &Answer) -> Verdict {
    match (answer.status, answer.code()) {
        (403, Some(10_485_778)) => Verdict::Locked,
        (status, Some(code)) if status >= 300 => Verdict::Refused(status, code),
        (status, _) => Verdict::Allowed(status),
    }
}

#[test]
fn every_operation_is_allowed_or_refused_as_the_reference_says() {
    for state in STATES {
        for capability in CAPABILITIES {
            let config = WorldConfig {
                boards: 1,
                state,
                ..WorldConfig::default()
            };
            in_world(config, move |world| async move {
                let (_board, mut rest) = rest(&world, 0).await;
                let id = world.with_chip(0, |chip| chip.firmware().id()).unwrap();
                if let Some(capability) = capability {
                    let file = world.supplies().capability_file(id, &[capability]).unwrap();
                    rest.capabilities = Some(STANDARD.encode(file));
                }
                let package = Application::new("nothing").pack(world.signing_key());
                for operation in all() {
                    let spec = operation.spec();
                    let path = operation.path(item(operation)).unwrap();
                    let answer = match spec.request {
                        Payload::Octets => rest.call_octets(spec.verb.as_str(), &path, &package).await,
                        Payload::None => rest.call(spec.verb.as_str(), &path).await,
                        Payload::Json | Payload::OptionalJson => {
                            let body = body(operation, state, world.ca_pem());
                            rest.call_json(spec.verb.as_str(), &path, &body).await
                        }
                    };
                    let answer = answer.unwrap();
                    assert_eq!(
                        judge(&answer),
                        expected(operation, state, capability),
                        "{operation} in {state} with {capability:?}: {}",
                        answer.text()
                    );
                    if answer.is_last {
                        let capabilities = rest.capabilities.take();
                        rest = rest.reconnect(world.ca_pem()).await;
                        rest.capabilities = capabilities;
                    }
                    if answer.status == spec.success {
                        lineside_protocol::rest::answer::check(operation, &answer.body).unwrap();
                    }
                }
                let counters = world.truth(0).unwrap().counters;
                let applied = u64::from(state != State::DeviceComplete);
                assert_eq!(counters.irreversible_asked, 1);
                assert_eq!(counters.irreversible_applied, applied);
                assert_eq!(counters.irreversible_refused, 1 - applied);
            });
        }
    }
}

#[test]
fn software_for_development_is_staged_with_capability_11_only() {
    for state in STATES {
        for capability in CAPABILITIES {
            let config = WorldConfig {
                boards: 1,
                state,
                ..WorldConfig::default()
            };
            in_world(config, move |world| async move {
                let (_board, mut rest) = rest(&world, 0).await;
                let id = world.with_chip(0, |chip| chip.firmware().id()).unwrap();
                if let Some(capability) = capability {
                    let file = world.supplies().capability_file(id, &[capability]).unwrap();
                    rest.capabilities = Some(STANDARD.encode(file));
                }
                let package = Application::new("nothing").pack(world.supplies().development_key());
                let answer = rest.call_octets("PUT", "/update/stage", &package).await.unwrap();
                let wanted = match capability {
                    Some(Capability::APP_DEVELOPMENT) => Verdict::Allowed(200),
                    None if state == State::DeviceComplete => Verdict::Locked,
                    _ => Verdict::Refused(400, 7_340_047),
                };
                assert_eq!(judge(&answer), wanted, "{state} {capability:?}");
            });
        }
    }
}

#[test]
fn a_capability_file_counts_only_for_its_device_and_from_its_signer() {
    let config = WorldConfig {
        boards: 2,
        state: State::DeviceComplete,
        ..WorldConfig::default()
    };
    in_world(config, |world| async move {
        let (_board, mut rest) = rest(&world, 0).await;
        let id = |board| world.with_chip(board, |chip| chip.firmware().id()).unwrap();
        let file = |device| {
            world
                .supplies()
                .capability_file(device, &[Capability::FIELD_SERVICING])
                .unwrap()
        };
        let other = STANDARD.encode(file(id(1)));
        let mut damaged = file(id(0));
        damaged[80] ^= 1;
        for text in [other, STANDARD.encode(damaged), "%%%".into(), String::new()] {
            rest.capabilities = Some(text);
            assert_eq!(rest.call("GET", "/images").await.unwrap().status, 403);
        }
        rest.capabilities = Some(STANDARD.encode(file(id(0))));
        assert_eq!(rest.call("GET", "/images").await.unwrap().status, 200);
        assert_eq!(
            rest.get("/device/capabilities").await,
            "{\"device_capabilities\":[13]}"
        );
        // The session is one request long.
        rest.capabilities = None;
        assert_eq!(rest.call("GET", "/images").await.unwrap().status, 403);
    });
}

#[test]
fn the_body_of_a_refusal_and_the_policy_of_deleting_can_be_switched() {
    use lineside_protocol::rest::assume::{DeletePolicy, RefusalBody};
    for body in RefusalBody::ALL {
        let assumptions = Assumptions {
            refusal_body: body,
            ..Assumptions::default()
        };
        let config = WorldConfig {
            boards: 1,
            state: State::DeviceComplete,
            assumptions,
            ..WorldConfig::default()
        };
        in_world(config, move |world| async move {
            let (_board, mut rest) = rest(&world, 0).await;
            let answer = rest.call("GET", "/images").await.unwrap();
            let wanted = body
                .code()
                .map(|code| format!("{{\"error\":{}}}", code.0))
                .unwrap_or_default();
            assert_eq!((answer.status, answer.text()), (403, wanted));
        });
    }
    for policy in DeletePolicy::ALL {
        let assumptions = Assumptions {
            delete_policy: policy,
            ..Assumptions::default()
        };
        in_world(
            WorldConfig {
                boards: 1,
                assumptions,
                ..WorldConfig::default()
            },
            move |world| async move {
                let (_board, mut rest) = rest(&world, 0).await;
                for is_temporary in [false, true] {
                    let package = Application::new("x")
                        .temporary(is_temporary)
                        .pack(world.signing_key());
                    assert_eq!(
                        rest.call_octets("PUT", "/update/stage", &package)
                            .await
                            .unwrap()
                            .status,
                        200
                    );
                    assert_eq!(rest.call("POST", "/update/install").await.unwrap().status, 200);
                    let answer = rest
                        .call("DELETE", &format!("/app/image/{COMPONENT}"))
                        .await
                        .unwrap();
                    let is_allowed = match policy {
                        DeletePolicy::All => true,
                        DeletePolicy::TemporaryOnly => is_temporary,
                        DeletePolicy::NeedsAppDevelopment => false,
                    };
                    let wanted = if is_allowed { "{}" } else { "{\"error\":7340069}" };
                    assert_eq!(answer.text(), wanted, "{policy:?}, temporary: {is_temporary}");
                }
            },
        );
    }
}
