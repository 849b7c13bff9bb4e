//! Every verb of `lineside device` in every state with every capability: what the protocol's table of operations allows
//! is not refused for want of rights, and what it does not allow is, with the remedy.

use lineside_protocol::rest::{HandlerNeed, Operation as O, is_allowed};
use lineside_terms::{Capability, ManufacturingState as State};

use crate::floor::Floor;
use crate::sim::Sim;

/// Each verb and the operation that it is about. Two stand last: after them a device is not as it was.
const VERBS: [(&str, O); 41] = [
    ("status", O::GetStatus),
    ("id", O::GetSecurityState),
    ("os-version", O::GetOsVersion),
    ("security-state", O::GetSecurityState),
    ("images --full", O::GetImages),
    ("abi", O::GetAbiVersions),
    ("capabilities", O::GetCapabilities),
    ("manufacturing-state show", O::GetManufacturingState),
    ("app status", O::GetAppStatus),
    ("app quota", O::GetAppQuota),
    ("app memory", O::GetMemoryStats),
    (
        "app start --component 00000000-1111-2222-3333-444444444444",
        O::ControlApp,
    ),
    (
        "app stop --component 00000000-1111-2222-3333-444444444444",
        O::ControlApp,
    ),
    (
        "app debug --component 00000000-1111-2222-3333-444444444444",
        O::ControlApp,
    ),
    ("wifi list", O::GetWifiNetworks),
    ("wifi add guests", O::AddWifiNetwork),
    ("wifi enable 0", O::ChangeWifiNetwork),
    ("wifi disable 0", O::ChangeWifiNetwork),
    ("wifi delete 0", O::DeleteWifiNetwork),
    ("wifi scan", O::GetWifiScan),
    ("wifi status", O::GetWifiInterface),
    ("wifi diagnostics", O::GetWifiDiagnostics),
    ("wifi reload", O::ChangeWifiInterface),
    ("network status", O::GetNetStatus),
    ("network interfaces", O::GetInterfaces),
    ("network change eth0 --up", O::ChangeInterface),
    ("network firewall", O::GetFirewall),
    ("network proxy show", O::GetProxy),
    ("network proxy set proxy.example.com 3128", O::SetProxy),
    ("network proxy delete", O::DeleteProxy),
    (
        "certificate add radius --root-ca --public bench/ca.pem",
        O::AddCert,
    ),
    ("certificate list", O::GetCerts),
    ("certificate show radius", O::GetCert),
    ("certificate space", O::GetCertSpace),
    ("certificate delete radius", O::DeleteCert),
    ("log --out OUT", O::GetLog),
    ("error-report get --out OUT", O::GetTelemetry),
    ("error-report clear", O::ClearTelemetry),
    ("sideload deploy app.imagepackage", O::Install),
    ("sideload delete --everything", O::DeleteImage),
    ("restart", O::Restart),
];

/// What nobody does by hand with a verb of its own: it is part of another, or of a plan.
const NO_VERB: [O; 4] = [
    O::GetInterface,
    O::GetWifiNetwork,
    O::GetWifiNetworkDiagnostics,
    O::Stage,
];

fn every_verb_in(state: State) {
    let floor = Floor::new();
    let _sim = Sim::start_with(&floor, 1, &format!("--state {state}"));
    floor.run("sim make-key --out key.pem").exits(0);
    floor
        .run("image pack plans/thermostat/application --key key.pem --out app.imagepackage")
        .exits(0);
    let id = floor.run("device id --json --bench at:bench").exits(0).object();
    let id = id["device"].as_str().unwrap().to_owned();
    let mut out = 0;
    for (word, right) in [
        ("", None),
        ("appDevelopment", Some(Capability::APP_DEVELOPMENT)),
        ("fieldServicing", Some(Capability::FIELD_SERVICING)),
    ] {
        let rights: Vec<Capability> = right.into_iter().collect();
        let mut file = String::new();
        if !word.is_empty() {
            floor
                .run(&format!(
                    "sim make-capability {id} --allow {word} --out {word}.cap"
                ))
                .exits(0);
            file = format!("--capability {word}.cap");
        }
        for (verb, operation) in VERBS {
            let spec = operation.spec();
            out += 1;
            let verb = verb.replace("OUT", &format!("{out}.bin"));
            let done = floor.run(&format!("device {verb} {file} --bench at:bench --json"));
            let answer = done.object();
            let needs_developer = spec.handler == HandlerNeed::AppDevelopment;
            let is_allowed = is_allowed(spec, state, &rights)
                && (!needs_developer || right == Some(Capability::APP_DEVELOPMENT));
            let is_refused = answer["error"]["code"] == "device.http-403";
            assert_eq!(!is_refused, is_allowed, "{state} {word}: {done:?}");
            if is_refused {
                let help = answer["error"]["help"].as_str().unwrap();
                assert!(help.contains("--capability"), "{state} {word}: {done:?}");
                done.exits(1);
            }
        }
        // By hand no state is changed unless the station's policy says so, whatever the rights.
        floor
            .run(&format!(
                "device manufacturing-state update DeviceComplete --who 1 --why x --confirm 01234567 {file} --bench at:bench"
            ))
            .fails(4, "device.manual-refused");
    }
}

#[test]
fn every_operation_has_a_verb() {
    for operation in O::ALL {
        let has = VERBS.iter().any(|(_, of)| *of == operation) || operation == O::SetManufacturingState;
        assert!(has != NO_VERB.contains(&operation), "{operation:?}");
    }
}

#[test]
fn every_verb_on_a_blank_device() {
    every_verb_in(State::Blank);
}

#[test]
fn every_verb_on_a_module() {
    every_verb_in(State::Module1Complete);
}

#[test]
fn every_verb_on_a_locked_device() {
    every_verb_in(State::DeviceComplete);
}

/// Verbs at once, each on a board of its own.
const SIDE_BY_SIDE: usize = 8;

#[test]
fn no_verb_outlasts_its_time() {
    let floor = Floor::new();
    floor.write(
        "faults.json",
        r#"{"faults": [{"when": {"boot": {"times": 0}}, "what": "silent"}]}"#,
    );
    let sim = Sim::start_with(&floor, SIDE_BY_SIDE, "--faults faults.json");
    let boards = sim.ask();
    floor.run("sim make-key --out key.pem").exits(0);
    floor
        .run("image pack plans/thermostat/application --key key.pem --out app.imagepackage")
        .exits(0);
    let mut done = Vec::new();
    let verbs: Vec<_> = VERBS.iter().enumerate().collect();
    for some in verbs.chunks(SIDE_BY_SIDE) {
        let running = some.iter().zip(&boards).map(|((number, (verb, _)), board)| {
            let verb = verb.replace("OUT", &format!("{number}.bin"));
            let slot = board["slot"].as_str().unwrap();
            let words = format!("device {verb} --slot {slot} --timeout 1 --bench at:bench --json");
            (verb, floor.start(&words))
        });
        let running: Vec<_> = running.collect();
        done.extend(running.into_iter().map(|(verb, running)| (verb, running.done())));
    }
    for (verb, done) in done {
        let code = done.exits(1).object()["error"]["code"].clone();
        assert_eq!(code, "device.not-back", "{verb}");
    }
}
