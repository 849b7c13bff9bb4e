//! Bodies that no sane device sends: an error that tells nothing of what came, and never a panic.

use lineside_protocol::rest::answer::{self, AnswerError, BodyFault};
use lineside_protocol::rest::application::ControlRequest;
use lineside_protocol::rest::certificate::AddCertRequest;
use lineside_protocol::rest::diagnostics::TelemetryHeader;
use lineside_protocol::rest::image::InstallRequest;
use lineside_protocol::rest::json::read_answer;
use lineside_protocol::rest::network::Proxy;
use lineside_protocol::rest::wifi::{AddNetworkRequest, ChangeNetworkRequest};
use lineside_protocol::rest::{ErrorCode, Operation};
use lineside_terms::{Blame, Explain, Told};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn refused(operation: Operation, body: &[u8]) -> AnswerError {
    answer::check(operation, body).expect_err("the body is bad")
}

#[test]
fn faults_are_told_apart() {
    let status = |body: &str| refused(Operation::GetStatus, body.as_bytes());
    assert_eq!(*status("").fault(), BodyFault::CutOff);
    assert_eq!(*status(r#"{"uptime":6"#).fault(), BodyFault::CutOff);
    assert!(matches!(
        status("<html>").fault(),
        BodyFault::NotJson { line: 1, .. }
    ));
    assert!(matches!(
        status(r#"{"uptime":1} x"#).fault(),
        BodyFault::NotJson { .. }
    ));
    assert!(matches!(
        status(r#"{"uptime":-1}"#).fault(),
        BodyFault::NotAsExpected { field: None, .. }
    ));
    let missing = status("{}");
    assert!(
        matches!(missing.fault(), BodyFault::NotAsExpected { field: Some(field), .. } if field == "uptime"),
        "{missing}"
    );
    assert_eq!(
        missing.to_string(),
        "the answer to GET /status cannot be read: `uptime` is missing or doubled at line 1, column 2"
    );
    refused(Operation::GetProxy, b"[]");
    assert_eq!(refused(Operation::GetLog, b"").fault(), &BodyFault::CutOff);
    assert_eq!(answer::check(Operation::GetLog, &[0xFF]), Ok(()));

    let told = Told::of(&missing);
    assert_eq!(
        (told.code.as_str(), told.blame),
        ("rest.answer-unexpected", Blame::Device)
    );
    assert!(!told.help.is_empty());
}

#[test]
fn what_came_is_never_repeated() {
    let planted = "planted-secret";
    for body in [
        format!(r#"{{"address":1,"password":"{planted}"}}"#),
        format!(r#"{{"enabled":"{planted}"}}"#),
        format!(r#"{{"port":"{planted}"}}"#),
        format!(r#"["{planted}"]"#),
        format!(r#""{planted}""#),
        format!(r#"{{"password":"{planted}","password":"{planted}"}}"#),
        format!("{planted}\u{1b}[31m"),
    ] {
        let error = read_answer::<Proxy>(Operation::GetProxy, body.as_bytes()).unwrap_err();
        let told = format!("{error} {error:?} {:?}", Told::of(&error));
        assert!(!told.contains("planted") && !told.contains('\u{1b}'), "{told}");
        assert!(std::error::Error::source(&error).is_none());
    }
}

#[test]
fn refusals_with_and_without_a_code() {
    assert_eq!(
        answer::error_code(br#"{"error":10485778}"#),
        Some(ErrorCode::COMMAND_AUTHORIZATION_FAILED)
    );
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "<html>",
        r#"{"error":"13"}"#,
        r#"{"error":1e3}"#,
        r#"{"error":1"#,
    ] {
        assert_eq!(answer::error_code(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn nesting_has_an_end() {
    let deep = "[".repeat(100_000);
    for operation in Operation::ALL {
        if !matches!(operation, Operation::GetLog | Operation::GetTelemetry) {
            refused(operation, deep.as_bytes());
            refused(operation, format!(r#"{{"unknown":{deep}"#).as_bytes());
        }
    }
}

#[test]
fn telemetry_tells_its_length_high_byte_first() {
    let bytes = [1, 0, 0, 0x01, 0x02, 9, 9];
    let header = TelemetryHeader::read(&bytes).unwrap();
    assert_eq!(
        header,
        TelemetryHeader {
            prefix: [1, 0, 0],
            length: 258
        }
    );
    assert_eq!(header.to_bytes(), bytes[..5]);
    assert_eq!(TelemetryHeader::read(&bytes[..4]), None);
}

/// JSON whose keys are those that bodies have, so that readers get past the first one.
fn json() -> impl Strategy<Value = Value> {
    const KEYS: [&str; 34] = [
        "uptime",
        "error",
        "values",
        "components",
        "images",
        "uid",
        "image_type",
        "ssid",
        "configState",
        "id",
        "connectionState",
        "securityState",
        "targetedScan",
        "deviceIdentifier",
        "device_capabilities",
        "manufacturingState",
        "state",
        "interfaces",
        "interfaceName",
        "ipAddresses",
        "identifiers",
        "AvailableSpace",
        "restartingSystem",
        "memoryStats",
        "rulesets",
        "rules",
        "hook",
        "port",
        "password",
        "proxy",
        "psk",
        "trigger",
        "certType",
        "appControlMode",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0_u8..30).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![Just("enabled"), Just("SECURE"), Just("running"), Just("24514")].prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let entry = (proptest::sample::select(&KEYS[..]), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            proptest::collection::vec(entry, 0..8).prop_map(|entries| {
                Value::from(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect::<Map<_, _>>(),
                )
            }),
        ]
    })
}

fn read_everything(body: &[u8]) {
    for operation in Operation::ALL {
        if let Err(error) = answer::check(operation, body) {
            let _ = (error.to_string(), error.help());
        }
    }
    let _ = answer::error_code(body);
    let _ = TelemetryHeader::read(body);
    let _ = serde_json::from_slice::<ControlRequest>(body);
    let _ = serde_json::from_slice::<AddCertRequest>(body);
    let _ = serde_json::from_slice::<InstallRequest>(body);
    let _ = serde_json::from_slice::<AddNetworkRequest>(body);
    let _ = serde_json::from_slice::<ChangeNetworkRequest>(body);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&body);
    }

    #[test]
    fn any_json_is_answered(body in json()) {
        read_everything(body.to_string().as_bytes());
    }

    /// A good answer with some bytes changed, or cut: what is still read is written and read again to the same.
    #[test]
    fn damaged_answers_are_answered(
        at in any::<proptest::sample::Index>(), byte: u8, cut in any::<proptest::sample::Index>(), index in 0_usize..8,
    ) {
        let good = [
            r#"{"uptime":634}"#,
            r#"{"device_capabilities":[11]}"#,
            r#"{"state":"debugging","gdbPort":2345,"outPort":2342}"#,
            r#"{"AvailableSpace":"24514"}"#,
            r#"{"values":[{"bssid":"11:11","freq":5220,"signal_level":-40,"ssid":"\u0000","securityState":"psk"}]}"#,
            r#"{"manufacturingState":"Module1Complete"}"#,
            r#"{"address":"example.com","enabled":true,"port":8081,"password":"example"}"#,
            r#"{"identifiers":["a","b"]}"#,
        ][index];
        let mut body = good.as_bytes().to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        read_everything(&body);
        body.truncate(cut.index(body.len()));
        read_everything(&body);
    }
}
