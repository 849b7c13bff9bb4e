//! Bodies against the examples of `device-rest-api.md` sections 3 and 5: each reads, and writes back to the same
//! text. The examples stand as devices write them; `/` is `\/`.

use lineside_protocol::rest::application::{
    AppState, AppStatus, ControlRequest, MemoryStats, Quota, Trigger,
};
use lineside_protocol::rest::certificate::{AddCertRequest, Cert, CertList, CertSpace, CertType};
use lineside_protocol::rest::device::{Capabilities, Manufacturing, Security};
use lineside_protocol::rest::image::{AppControlMode, Images, InstallRequest};
use lineside_protocol::rest::json::{read_answer, to_device_json, to_request_json};
use lineside_protocol::rest::network::{
    ChangeInterfaceRequest, Interface, Interfaces, NetStatus, Proxy, Rulesets,
};
use lineside_protocol::rest::status::{AbiVersions, Done, OsVersion, Restarting, Status};
use lineside_protocol::rest::wifi::{
    AddNetworkRequest, ChangeNetworkRequest, ChangeWifiInterfaceRequest, ConfigState, Diagnosis, Diagnostics,
    Network, Networks, PowerSavings, Scan, WifiInterface, WifiSecurity,
};
use lineside_protocol::rest::{ErrorBody, Operation, answer};
use lineside_terms::{Capability, ManufacturingState, SecurityState};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the text as the answer of `operation`, writes it back as a device does, and finds the same text.
#[track_caller]
fn golden<T: DeserializeOwned + Serialize>(operation: Operation, text: &str) -> T {
    let body: T = read_answer(operation, text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(to_device_json(&body), text, "{operation}");
    assert_eq!(
        answer::check(operation, text.as_bytes()),
        Ok(()),
        "{operation} has another type"
    );
    body
}

#[test]
fn status_and_versions() {
    let status: Status = golden(Operation::GetStatus, r#"{"uptime":634}"#);
    assert_eq!(status.uptime, 634);
    let version: OsVersion = golden(Operation::GetOsVersion, r#"{"osversion":"24.06"}"#);
    assert_eq!(version.osversion, "24.06");
    let text = r#"{"SecureWorldRuntime":2,"OSRuntime":3,"ApplicationRuntime":1}"#;
    let abi: AbiVersions = golden(Operation::GetAbiVersions, text);
    assert_eq!(
        (abi.secure_world_runtime, abi.os_runtime, abi.application_runtime),
        (2, 3, 1)
    );
    // The size of a captured answer.
    assert_eq!(text.len(), 61);
}

#[test]
fn answers_that_say_little() {
    let restart: Restarting = golden(Operation::Restart, r#"{"restartingSystem":true}"#);
    assert!(restart.is_restarting);
    for operation in [Operation::Install, Operation::DeleteImage] {
        assert!(!golden::<Restarting>(operation, "{}").is_restarting);
    }
    for operation in [
        Operation::Stage,
        Operation::SetManufacturingState,
        Operation::DeleteWifiNetwork,
        Operation::DeleteCert,
        Operation::AddCert,
        Operation::DeleteProxy,
        Operation::ClearTelemetry,
        Operation::ChangeInterface,
        Operation::ChangeWifiInterface,
    ] {
        golden::<Done>(operation, "{}");
        // As old firmware says it.
        assert_eq!(answer::check(operation, br#"{"error":0}"#), Ok(()));
    }
    assert_eq!(answer::check(Operation::Install, br#"{"error":0}"#), Ok(()));
    assert_eq!(
        to_device_json(&ErrorBody {
            error: lineside_protocol::rest::ErrorCode::NONE
        })
        .len(),
        11
    );
}

#[test]
fn device_identity_and_state() {
    let id = "0f4b072f9dd99246".repeat(8);
    let text =
        format!(r#"{{"securityState":"SECURE","deviceIdentifier":"{id}","deviceIdentityPublicKey":"{id}"}}"#);
    let security: Security = golden(Operation::GetSecurityState, &text);
    assert_eq!(security.security_state, SecurityState::Secure);
    assert_eq!(
        security.device_identity_public_key,
        Some(security.device_identifier)
    );

    let old = text
        .replace(&id, &id.to_uppercase())
        .replace('}', r#","generalPublicKey":"AB"}"#);
    let old: Security = read_answer(Operation::GetSecurityState, old.as_bytes()).unwrap();
    assert_eq!(old.device_identifier, security.device_identifier);
    assert_eq!(old.general_public_key.as_deref(), Some("AB"));

    let held: Capabilities = golden(Operation::GetCapabilities, r#"{"device_capabilities":[11,12]}"#);
    assert_eq!(
        held.device_capabilities,
        [Capability::APP_DEVELOPMENT, Capability::RF_TEST_MODE]
    );
    golden::<Capabilities>(Operation::GetCapabilities, r#"{"device_capabilities":[]}"#);

    for word in ["Blank", "Module1Complete", "DeviceComplete", "Unknown"] {
        let text = format!(r#"{{"manufacturingState":"{word}"}}"#);
        let body: Manufacturing = golden(Operation::GetManufacturingState, &text);
        assert_eq!(body.manufacturing_state.as_str(), word);
        assert_eq!(to_request_json(&body), text);
    }
    for word in ["", "devicecomplete", "DeviceComplete ", "Module2Complete"] {
        let text = format!(r#"{{"manufacturingState":"{word}"}}"#);
        let body: Manufacturing = read_answer(Operation::GetManufacturingState, text.as_bytes()).unwrap();
        assert_eq!(body.manufacturing_state, ManufacturingState::Unknown, "{word}");
    }
}

#[test]
fn images() {
    let text = concat!(
        r#"{"is_ota_update_in_progress":false,"has_staged_updates":false,"restart_required":false,"components":"#,
        r#"[{"uid":"ec96028b-080b-4ff5-9ef1-b40264a8c652","image_type":7,"is_update_staged":false,"#,
        r#""does_image_type_require_restart":true,"images":[{"uid":"2eac78bb-c68c-4aa3-9849-9c82d65d9406","#,
        r#""length_in_bytes":2544816,"uncompressed_length_in_bytes":2544816,"replica_type":0}],"name":"NW Kernel"}]}"#
    );
    let images: Images = golden(Operation::GetImages, text);
    let kernel = &images.components[0];
    assert_eq!(kernel.current().unwrap().length_in_bytes, 2_544_816);
    assert_eq!(kernel.image_type.name(), Some("NormalWorldKernel"));

    let request: InstallRequest = serde_json::from_str(r#"{"appControlMode":"Manual"}"#).unwrap();
    assert_eq!(request.app_control_mode, AppControlMode::Manual);
    assert_eq!(
        to_request_json(&InstallRequest::default()),
        r#"{"appControlMode":"Auto"}"#
    );
    let odd: InstallRequest = serde_json::from_str(r#"{"appControlMode":"auto"}"#).unwrap();
    assert_eq!(odd.app_control_mode, AppControlMode::Unknown);
    assert_eq!(
        serde_json::from_str::<InstallRequest>("{}").unwrap(),
        InstallRequest::default()
    );
}

#[test]
fn applications() {
    for (word, state) in [
        ("running", AppState::Running),
        ("stopped", AppState::Stopped),
        ("notPresent", AppState::NotPresent),
    ] {
        let status: AppStatus = golden(Operation::GetAppStatus, &format!(r#"{{"state":"{word}"}}"#));
        assert_eq!(status, AppStatus::of(state));
    }
    let text = r#"{"state":"debugging","gdbPort":2345,"outPort":2342}"#;
    let status: AppStatus = golden(Operation::ControlApp, text);
    assert_eq!((status.gdb_port, status.out_port), (Some(2345), Some(2342)));
    golden::<AppStatus>(Operation::ControlApp, r#"{"realTimeCore":1,"state":"running"}"#);

    for (word, trigger) in [
        ("start", Trigger::Start),
        ("stop", Trigger::Stop),
        ("startDebug", Trigger::StartDebug),
    ] {
        let text = format!(r#"{{"trigger":"{word}"}}"#);
        assert_eq!(to_request_json(&ControlRequest { trigger }), text);
        assert_eq!(
            serde_json::from_str::<ControlRequest>(&text).unwrap().trigger,
            trigger
        );
    }
    let odd: ControlRequest = serde_json::from_str(r#"{"trigger":"dance"}"#).unwrap();
    assert_eq!(odd.trigger, Trigger::Unknown);

    let quota: Quota = golden(Operation::GetAppQuota, r#"{"UsageKB":0,"LimitKB":8}"#);
    assert_eq!(quota.limit_kb, 8);

    let figures = concat!(
        r#"{"memoryStats":{"currentMemoryUsageInBytes":147456,"peakUserModeMemoryUsageInBytes":98304,"#,
        r#""userModeMemoryUsageInBytes":98304}}"#
    );
    golden::<MemoryStats>(Operation::GetMemoryStats, figures);
    let apps = concat!(
        r#","apps":[{"componentId":"2f074b0f-d99d-4692-82d9-ef93a7d6463c","processes":[{"pid":29,"#,
        r#""heapUsageByCaller":[{"name":"curl","usageInBytes":32768}]}]}]}}"#
    );
    let stats: MemoryStats = golden(
        Operation::GetMemoryStats,
        &format!("{}{apps}", figures.strip_suffix("}}").unwrap()),
    );
    assert_eq!(
        stats.memory_stats.apps.unwrap()[0].processes[0].heap_usage_by_caller[0].usage_in_bytes,
        32_768
    );
}

#[test]
fn certificates() {
    let list: CertList = golden(Operation::GetCerts, r#"{"identifiers":["a","b"]}"#);
    assert_eq!(list.identifiers, ["a", "b"]);
    golden::<CertList>(Operation::GetCerts, r#"{"identifiers":[]}"#);
    let cert: Cert = golden(
        Operation::GetCert,
        concat!(
            r#"{"id":"TestCert","notBefore":"2022-06-17T09:12:46","notAfter":"2023-06-17T09:32:46","#,
            r#""subjectName":"\/CN=TestRootCert","issuerName":"\/CN=TestRootCert"}"#
        ),
    );
    assert_eq!(cert.subject_name, "/CN=TestRootCert");
    let space: CertSpace = golden(Operation::GetCertSpace, r#"{"AvailableSpace":"24514"}"#);
    assert_eq!(
        space.available_space,
        lineside_protocol::rest::http::limit::CERT_STORE
    );
    assert!(answer::check(Operation::GetCertSpace, br#"{"AvailableSpace":"lots"}"#).is_err());

    for (word, cert_type) in [
        ("rootca", CertType::RootCa),
        ("RootCA", CertType::RootCa),
        ("Client", CertType::Client),
        ("server", CertType::Unknown),
    ] {
        let text = format!(r#"{{"certType":"{word}","publicCert":"PEM"}}"#);
        assert_eq!(
            serde_json::from_str::<AddCertRequest>(&text).unwrap().cert_type,
            cert_type
        );
    }
    let request = AddCertRequest {
        cert_type: CertType::Client,
        public_cert: Some("-----BEGIN".to_owned()),
        private_key: Some("key-text".into()),
        password: Some("pass-text".into()),
    };
    assert_eq!(
        to_request_json(&request),
        r#"{"certType":"client","publicCert":"-----BEGIN","privateKey":"key-text","password":"pass-text"}"#
    );
    let debug = format!("{request:?}");
    assert!(
        !debug.contains("key-text") && !debug.contains("pass-text"),
        "{debug}"
    );
    assert_eq!(
        serde_json::from_str::<AddCertRequest>("{}").unwrap().cert_type,
        CertType::Unknown
    );
}

#[test]
fn network() {
    let text = r#"{"deviceAuthenticationIsReady":true,"networkTimeSync":"complete","proxy":"disabled"}"#;
    golden::<NetStatus>(Operation::GetNetStatus, text);
    golden::<NetStatus>(
        Operation::GetNetStatus,
        &text.replace("disabled", "resolvingProxyName"),
    );

    let service = concat!(
        r#"{"interfaceName":"azspheresvc","interfaceUp":true,"connectedToNetwork":false,"ipAcquired":false,"#,
        r#""connectedToInternet":false,"ipAddresses":["192.168.35.2"]}"#
    );
    let interface: Interface = golden(Operation::GetInterface, service);
    assert_eq!(interface.ip_addresses.unwrap(), ["192.168.35.2"]);
    let wlan = concat!(
        r#"{"interfaceName":"wlan0","interfaceUp":true,"connectedToNetwork":false,"ipAcquired":false,"#,
        r#""connectedToInternet":false,"hardwareAddress":"1d:d8:11:22:33:44","ipAssignment":"dynamic"}"#
    );
    golden::<Interface>(Operation::GetInterface, wlan);
    let list: Interfaces = golden(
        Operation::GetInterfaces,
        &format!(r#"{{"interfaces":[{service},{wlan}]}}"#),
    );
    assert_eq!(list.interfaces.len(), 2);
    // As another source has it (`chip-to-pc-and-recovery.md` 2.2).
    let null = service.replace(r#""ipAddresses""#, r#""hardwareAddress":null,"ipAddresses""#);
    let interface: Interface = read_answer(Operation::GetInterface, null.as_bytes()).unwrap();
    assert_eq!(interface.hardware_address, None);

    let text = concat!(
        r#"{"address":"example.com","enabled":true,"port":8081,"authenticationType":"basic","#,
        r#""username":"example","password":"example","noProxyAddresses":[]}"#
    );
    let proxy: Proxy = golden(Operation::SetProxy, text);
    assert!(!proxy.is_none());
    assert!(!format!("{:?}", proxy.password).contains("example"));
    golden::<Proxy>(Operation::GetProxy, &text.replace(r#""password":"example","#, ""));
    assert!(golden::<Proxy>(Operation::GetProxy, "{}").is_none());

    let change = ChangeInterfaceRequest {
        interface_up: Some(false),
        hardware_address: None,
    };
    assert_eq!(to_request_json(&change), r#"{"interfaceUp":false}"#);
}

#[test]
fn firewall() {
    let text = concat!(
        r#"{"rulesets":[{"hook":"INPUT","isValid":true,"rules":[{"sourceIP":"0.0.0.0","sourceMask":"0.0.0.0","#,
        r#""destinationIP":"0.0.0.0","destinationMask":"0.0.0.0","uid":4294967295,"action":"accept","#,
        r#""interfaceInName":"","interfaceOutName":"","state":"established","tcpMask":["syn","ack"],"#,
        r#""tcpCmp":["ack"],"tcpInv":false,"protocol":"tcp","sourcePortRange":{"min":0,"max":65535},"#,
        r#""destinationPortRange":{"min":443,"max":443},"packets":7,"bytes":420}]},"#,
        r#"{"hook":"FORWARD","isValid":false,"rules":[]}]}"#
    );
    golden::<Rulesets>(Operation::GetFirewall, text);
}

#[test]
fn wifi() {
    golden::<Networks>(Operation::GetWifiNetworks, r#"{"values":[]}"#);
    let text = concat!(
        r#"{"ssid":"X","configState":"enabled","connectionState":"unknown","id":0,"securityState":"psk","#,
        r#""targetedScan":false,"configName":"line"}"#
    );
    let network: Network = golden(Operation::AddWifiNetwork, text);
    assert_eq!(network.id, 0);
    golden::<Networks>(Operation::GetWifiNetworks, &format!(r#"{{"values":[{text}]}}"#));
    golden::<Network>(
        Operation::GetWifiNetwork,
        concat!(
            r#"{"ssid":"X","configState":"temp-disabled","connectionState":"disconnected","id":7,"#,
            r#""securityState":"eaptls","targetedScan":true,"configName":"line","#,
            r#""clientCertStoreIdentifier":"c","clientIdentity":"me","rootCaCertStoreIdentifier":"r"}"#
        ),
    );

    let entry = concat!(
        r#"{"timestamp":"2000-01-01t00:04:37+0000","networkId":0,"ssid":"X","error":"NetworkNotFound","#,
        r#""configState":"disabled","connectionState":"disconnected"}"#
    );
    golden::<Diagnosis>(Operation::GetWifiNetworkDiagnostics, entry);
    golden::<Diagnostics>(
        Operation::GetWifiDiagnostics,
        &format!(r#"{{"values":[{entry}]}}"#),
    );

    let text = concat!(
        r#"{"ssid":"X","configState":"enabled","connectionState":"connected","securityState":"psk","#,
        r#""mode":"station","key_mgmt":"WPA2-PSK","wpa_state":"COMPLETED","address":"1c:f1:f1:11:91:a1","#,
        r#""freq":5220,"ip_address":"10.0.0.7","id":0,"configName":"line","powerSavingsState":"disabled"}"#
    );
    let interface: WifiInterface = golden(Operation::GetWifiInterface, text);
    assert_eq!(interface.power_savings_state, Some(PowerSavings::Disabled));
    golden::<WifiInterface>(
        Operation::GetWifiInterface,
        concat!(
            r#"{"configState":"unknown","connectionState":"disconnected","securityState":"unknown","#,
            r#""mode":"station","key_mgmt":"UNKNOWN","wpa_state":"INTERFACE_DISABLED","#,
            r#""address":"1c:f1:f1:11:91:a1","id":-1}"#
        ),
    );

    let text = concat!(
        r#"{"values":[{"bssid":"11:11:11:11:11:11","freq":5220,"signal_level":-40,"ssid":"\u0000","#,
        r#""securityState":"psk"}]}"#
    );
    let scan: Scan = golden(Operation::GetWifiScan, text);
    assert_eq!(scan.values[0].ssid, "\0");
}

#[test]
fn wifi_requests() {
    // What the vendor's clients and tool send.
    let request: AddNetworkRequest = serde_json::from_str(concat!(
        r#"{"id":-1,"ssid":"X","securityState":"psk","configState":"enabled","psk":"planted-key","#,
        r#""targetScan":true}"#
    ))
    .unwrap();
    assert_eq!(request.security_state, WifiSecurity::Psk);
    assert_eq!(request.targeted_scan, None);
    assert_eq!(request.psk.as_ref().map(|psk| psk.reveal()), Some("planted-key"));
    assert!(!format!("{request:?}").contains("planted"));
    assert_eq!(
        to_request_json(&request),
        r#"{"ssid":"X","securityState":"psk","configState":"enabled","psk":"planted-key"}"#
    );
    let change = ChangeNetworkRequest {
        config_state: Some(ConfigState::Disabled),
        psk: None,
    };
    assert_eq!(to_request_json(&change), r#"{"configState":"disabled"}"#);
    let change: ChangeWifiInterfaceRequest =
        serde_json::from_str(r#"{"reloadConfig":true,"enablePowerSavings":true}"#).unwrap();
    assert_eq!(
        (change.reload_config, change.enable_power_savings),
        (Some(true), Some(true))
    );
}

#[test]
fn unknown_words_and_fields_are_no_errors() {
    let body: AppStatus = read_answer(
        Operation::GetAppStatus,
        br#"{"state":"dancing","since":[1,{"a":null}]}"#,
    )
    .unwrap();
    assert_eq!(body.state, AppState::Unknown);
    let text = concat!(
        r#"{"securityState":"NOVEL","deviceIdentifier":""#,
        "abababababababababababababababababababababababababababababababababababababababababababababababab",
        "abababababababababababababababab",
        r#""}"#
    );
    let security: Security = read_answer(Operation::GetSecurityState, text.as_bytes()).unwrap();
    assert_eq!(security.security_state, SecurityState::Unknown);
    let text = concat!(
        r#"{"ssid":"X","configState":"a","connectionState":"b","id":0,"securityState":"wpa9","#,
        r#""targetedScan":false,"new":1}"#
    );
    let network: Network = read_answer(Operation::GetWifiNetwork, text.as_bytes()).unwrap();
    assert_eq!(network.security_state, WifiSecurity::Unknown);
}
