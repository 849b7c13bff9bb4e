//! What an engineer does by hand: each verb, and each with what stands against it.

use std::fs;

use serde_json::Value;

use crate::command::{Done, Lineside};
use crate::floor::Floor;
use crate::sim::Sim;

/// A floor with a bench, with commands on it.
struct Bench<'a> {
    floor: &'a Floor,
}

impl Bench<'_> {
    fn device(&self, words: &str) -> Done {
        self.floor.run(&format!("device {words} --bench at:bench"))
    }

    /// What one device answered.
    #[track_caller]
    fn answer(&self, words: &str) -> Value {
        let object = self.device(&format!("{words} --json")).exits(0).object();
        assert_eq!(
            (&object["version"], &object["kind"]),
            (&1.into(), &"device-answer".into())
        );
        object["answer"].clone()
    }

    /// The code of what stood against it, by both ways of telling.
    #[track_caller]
    fn refused(&self, words: &str, exit: i32, code: &str) {
        let done = self.device(&format!("{words} --json")).exits(exit);
        assert!(done.stderr.contains(&format!("\n  code:   {code}\n")), "{done:?}");
        assert!(done.stderr.contains("\n  remedy: "), "{done:?}");
        assert_eq!(done.object()["error"]["code"], code, "{done:?}");
    }

    fn id(&self, slot: &str) -> String {
        self.answer(&format!("id --slot {slot}"))["device"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A capability file for the device in a slot.
    fn capability(&self, slot: &str, allow: &str, out: &str) {
        let id = self.id(slot);
        self.floor
            .run(&format!("sim make-capability {id} --allow {allow} --out {out}"))
            .exits(0);
    }

    fn package(&self, folder: &str, out: &str) {
        if !self.floor.at("key.pem").exists() {
            self.floor.run("sim make-key --out key.pem").exits(0);
        }
        let words = format!("image pack plans/thermostat/{folder} --key key.pem --out {out}");
        self.floor.run(&words).exits(0);
    }
}

#[test]
fn reads_answer_for_one_and_for_all() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 2);
    let bench = Bench { floor: &floor };
    for (words, field) in [
        ("status", "manufacturingState"),
        ("id", "device"),
        ("os-version", "osversion"),
        ("security-state", "securityState"),
        ("images --full", "components"),
        ("abi", "ApplicationRuntime"),
        ("capabilities", "capabilities"),
        ("manufacturing-state show", "manufacturingState"),
        ("app status", "applications"),
        ("app quota", "applications"),
        ("wifi list", "values"),
        ("wifi scan", "values"),
        ("wifi status", "wpa_state"),
        ("wifi diagnostics", "values"),
        ("network status", "networkTimeSync"),
        ("network interfaces", "interfaces"),
        ("network firewall", "rules"),
        ("network proxy show", "isConfigured"),
        ("certificate list", "identifiers"),
        ("certificate space", "AvailableSpace"),
    ] {
        let all = bench.device(&format!("{words} --all --json")).exits(0).objects();
        assert_eq!(all.len(), 2, "{words}");
        for object in &all {
            assert!(!object["answer"][field].is_null(), "{words}: {object}");
        }
        let one = bench.device(&format!("{words} --slot 1113")).exits(0);
        assert!(!one.stdout.trim().is_empty() && one.stderr.is_empty(), "{one:?}");
    }
    let table = bench.device("status --all").exits(0);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{table:?}");
    assert!(
        lines[0].starts_with("slot  device") && lines[1].starts_with("1113"),
        "{table:?}"
    );
}

#[test]
fn a_device_must_be_named_where_several_are() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 2);
    let bench = Bench { floor: &floor };
    bench.refused("status", 2, "station.which-board");
    bench.refused("status --slot 9999", 1, "link.no-board");
    bench.refused("status --id 0123456789abcdef", 1, "device.no-such-device");
    let id = bench.id("1123");
    for part in [&id[..], &id[..12], &id[120..], &id[..12].to_uppercase()] {
        assert_eq!(bench.answer(&format!("id --id {part}"))["device"], id.as_str());
    }
    for write in [
        "restart",
        "wifi add guests",
        "sideload delete --everything",
        "error-report clear",
        "manufacturing-state update DeviceComplete --who 17 --why test --confirm 01234567",
        "log --out log.bin",
    ] {
        bench.refused(&format!("{write} --all"), 2, "device.not-for-all");
    }
    assert_eq!((sim.count(0, "writes"), sim.count(1, "writes")), (0, 0));
}

#[test]
fn software_is_put_on_run_and_taken_off() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 2);
    let bench = Bench { floor: &floor };
    let here = "--slot 1113";
    bench.package("application", "a.imagepackage");
    let told = bench.answer(&format!("sideload deploy a.imagepackage {here}"));
    assert_eq!(told["installed"], "SampleThermostat");
    let status = bench.answer(&format!("app status {here}"));
    assert_eq!(status["applications"][0]["state"], "running");
    assert!(bench.answer(&format!("app quota {here}"))["applications"][0]["LimitKB"].is_number());

    bench.refused(&format!("app stop {here}"), 1, "device.http-403");
    bench.capability("1113", "appDevelopment", "development.cap");
    let by = format!("{here} --capability development.cap");
    assert_eq!(
        bench.answer(&format!("capabilities {by}"))["capabilities"][0],
        "appDevelopment"
    );
    assert_eq!(bench.answer(&format!("app stop {by}"))["state"], "stopped");
    assert_eq!(bench.answer(&format!("app start {by}"))["state"], "running");
    assert!(bench.answer(&format!("app memory {by}"))["memoryStats"].is_object());
    // There is no debugger on this device.
    bench.refused(&format!("app debug {by}"), 1, "device.http-409");
    assert_eq!(
        bench.answer(&format!("capabilities {here}"))["capabilities"],
        Value::Array(vec![])
    );
    bench.refused(
        "app stop --slot 1123 --capability development.cap",
        1,
        "device.capability-for-another",
    );

    let component = told["component"].as_str().unwrap();
    let deleted = bench.answer(&format!("sideload delete --component {component} {here}"));
    assert_eq!(deleted["deleted"][0]["wasThere"], true);
    let deleted = bench.answer(&format!("sideload delete --component {component} {here}"));
    assert_eq!(deleted["deleted"][0]["wasThere"], false);
    bench.refused(&format!("app start {by}"), 1, "device.no-application");

    bench.package("application", "b.imagepackage");
    bench.package("test-application", "t.imagepackage");
    for package in ["b", "t"] {
        bench.answer(&format!(
            "sideload deploy {package}.imagepackage --manual-start {here}"
        ));
    }
    bench.refused(&format!("app start {by}"), 1, "device.which-application");
    let deleted = bench.answer(&format!(
        "sideload delete --everything --except {component} {here}"
    ));
    assert_eq!(deleted["deleted"].as_array().unwrap().len(), 1);
    let left = bench.answer(&format!("images {here}"));
    assert_eq!(left["components"][0]["component"], component);
}

#[test]
fn wrong_files_are_refused_before_anything_is_sent() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let bench = Bench { floor: &floor };
    floor.write("text", "no package");
    bench.refused("sideload deploy text", 4, "image.malformed");
    bench.refused("sideload deploy nowhere", 3, "station.file");
    bench.capability("1113", "appDevelopment", "development.cap");
    bench.refused("sideload deploy development.cap", 4, "device.not-for-sideload");
    bench.refused("status --capability text", 4, "image.malformed");
    bench.package("application", "a.imagepackage");
    bench.refused("status --capability a.imagepackage", 4, "image.capability");
    bench.refused("log --out text", 2, "station.file-exists");
    bench.refused(
        "certificate add radius --root-ca --public nowhere",
        3,
        "station.file",
    );
    assert_eq!(sim.count(0, "writes"), 0);
}

#[test]
fn parameters_over_their_limits_are_refused_before_anything_is_sent() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let bench = Bench { floor: &floor };
    let long = |length: usize| "x".repeat(length);
    floor.write("short", long(7));
    floor.write("long", long(64));
    floor.write("cert", long(8193));
    // One that the device reads, so that only what goes with it is wrong.
    fs::copy(floor.at("bench/ca.pem"), floor.at("some.pem")).unwrap();
    floor.write("some.key", long(100));
    floor.write("empty", "");
    floor.write("overkey", long(8193));
    floor.write("overphrase", long(257));
    for words in [
        format!("wifi add {}", long(33)),
        format!("wifi add a --name {}", long(17)),
        "wifi add a --psk-from file:short".to_owned(),
        "wifi add a --psk-from file:long".to_owned(),
        format!("wifi add a --client-cert {}", long(17)),
        format!("wifi add a --client-cert c --client-id {}", long(255)),
        "wifi add a --root-ca a/b".to_owned(),
        format!("network proxy set {} 1", long(256)),
        format!(
            "network proxy set a 1 --username {} --password-from file:short",
            long(64)
        ),
        "network proxy set a 1 --username a --password-from file:long".to_owned(),
        "network change eth0 --hardware-address 00".to_owned(),
        "certificate add radius --root-ca --public cert".to_owned(),
        "certificate add c --public some.pem --key overkey".to_owned(),
        "certificate add c --public some.pem --key empty".to_owned(),
        "certificate add c --public some.pem --key some.key --passphrase-from file:overphrase".to_owned(),
        format!("certificate add {} --public some.pem --key some.key", long(17)),
        format!("certificate show {}", long(17)),
        "certificate delete ..".to_owned(),
    ] {
        bench.refused(&words, 2, "device.parameter");
    }
    assert_eq!(sim.count(0, "writes"), 0);
    // At their limits, and with characters of several bytes up to them, the device itself decides.
    for (name, length) in [
        ("least", 8),
        ("psk", 63),
        ("public", 8192),
        ("key", 8192),
        ("phrase", 256),
        ("letter", 1),
    ] {
        floor.write(name, long(length));
    }
    for words in [
        format!("wifi add {}", long(32)),
        format!("wifi add {}", "ü".repeat(16)),
        format!("wifi add a --name {}", long(16)),
        "wifi add a --psk-from file:least".to_owned(),
        format!("wifi add b --client-cert {} --client-id {}", long(16), long(254)),
        format!("network proxy set {} 65535", long(255)),
        format!(
            "network proxy set a 1 --username {} --password-from file:psk",
            long(63)
        ),
        "network change eth0 --hardware-address 00:11:22:33:44:55".to_owned(),
        format!("certificate add {} --root-ca --public public", long(16)),
        "certificate add c --public some.pem --key key".to_owned(),
        "certificate add c --public some.pem --key letter".to_owned(),
        "certificate add c --public some.pem --key key --passphrase-from file:phrase".to_owned(),
        "certificate add c --public some.pem --key key --passphrase-from file:letter".to_owned(),
        format!("certificate show {}", long(16)),
        format!("certificate delete {}", long(16)),
    ] {
        let done = bench.device(&words);
        assert!(!done.stderr.contains("device.parameter"), "{words}: {done:?}");
        assert!(
            [Some(0), Some(1)].contains(&done.status.code()),
            "{words}: {done:?}"
        );
    }
    // A key and a pass-phrase as long as may be are taken.
    let lines = format!("{}\n", "A".repeat(64)).repeat(124);
    let key = format!(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{lines}{}\n-----END ENCRYPTED PRIVATE KEY-----\n\n",
        "A".repeat(56)
    );
    assert_eq!(key.len(), 8192);
    floor.write("longest.key", key);
    bench.answer("certificate add c --public some.pem --key longest.key --passphrase-from file:phrase");
    assert_eq!(bench.answer("certificate list")["identifiers"][0], "c");
    // Bytes count, not characters.
    bench.refused(&format!("wifi add {}", "ü".repeat(17)), 2, "device.parameter");
    let words = format!("wifi add {} --name {} --psk-from file:psk", long(32), long(16));
    assert_eq!(bench.answer(&words)["ssid"], long(32));
}

/// Two at once: the second is told who has the board, or comes after; nobody hangs, and each write is asked for once.
#[test]
fn two_processes_write_to_one_device_one_after_the_other_or_not_at_all() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let commands: Vec<_> = (0..4)
        .map(|number| {
            let words = format!("device wifi add network-{number} --bench at:bench --data d --json");
            Lineside::new(floor.path(), words.split_whitespace()).start()
        })
        .collect();
    let mut done = 0;
    for command in commands {
        let came = command.done();
        match came.status.code() {
            Some(0) => done += 1,
            Some(1) => assert!(came.stdout.contains("\"code\":\"link."), "{came:?}"),
            other => panic!("{other:?}: {came:?}"),
        }
    }
    assert!(done > 0);
    assert_eq!(sim.count(0, "writes"), done);
    let told = floor.run("records hand --data d --json").exits(0).objects();
    let written = told.iter().filter(|object| object["outcome"] == "done").count();
    assert_eq!(u64::try_from(written).unwrap(), done, "{told:?}");
}

#[test]
fn wifi_networks_come_and_go_and_keys_are_never_seen() {
    const KEY: &str = "planted-passphrase";
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 1);
    let bench = Bench { floor: &floor };
    let add = "device wifi add elsewhere --name floor --bench at:bench";
    floor.write("psk", format!("{KEY}\n"));
    for (from, expected) in [
        ("file:psk", 0),
        ("env:FACTORY_PSK", 0),
        ("env:NOWHERE", 2),
        (KEY, 2),
    ] {
        let words = format!("{add} --psk-from {from} --json");
        let done = Lineside::new(floor.path(), words.split_whitespace())
            .env("FACTORY_PSK", KEY)
            .done()
            .exits(expected);
        done.never_says(KEY);
        if expected == 0 {
            let list = bench.answer("wifi list");
            assert_eq!(list["values"][0]["securityState"], "psk");
            let disabled = bench.answer("wifi disable elsewhere");
            assert_eq!(disabled["configState"], "disabled");
            assert_eq!(bench.answer("wifi enable 0")["configState"], "enabled");
            assert_eq!(bench.answer("wifi delete 0")["ssid"], "elsewhere");
        }
    }
    bench.refused("wifi delete elsewhere", 1, "device.which-network");
    assert_eq!(bench.answer("wifi reload")["done"], "reloaded");
    assert_eq!(bench.answer("network change wlan0 --down")["interfaceUp"], false);
    bench.refused("wifi list", 1, "device.http-500");
}

#[test]
fn proxy_and_certificates_are_stored_and_removed() {
    const PASSWORD: &str = "planted-password";
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let bench = Bench { floor: &floor };
    floor.write("password", PASSWORD);
    let set =
        bench.device("network proxy set proxy.example.com 3128 --username u --password-from file:password");
    set.exits(0).never_says(PASSWORD);
    let proxy = bench.device("network proxy show --json").exits(0);
    proxy.never_says(PASSWORD);
    assert_eq!(proxy.object()["answer"]["username"], "u");
    bench.answer("network proxy delete");
    assert_eq!(bench.answer("network proxy show")["isConfigured"], false);

    fs::copy(floor.at("bench/ca.pem"), floor.at("ca.pem")).unwrap();
    let told = bench.answer("certificate add radius --root-ca --public ca.pem");
    assert_eq!(told["id"], "radius");
    assert_eq!(bench.answer("certificate list")["identifiers"][0], "radius");
    assert!(bench.answer("certificate show radius")["subjectName"].is_string());
    bench.answer("certificate delete radius");
    bench.refused("certificate delete radius", 1, "device.http-404");
    assert!(sim.count(0, "writes") > 0);
}

#[test]
fn logs_are_saved_and_a_restart_is_waited_for() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 1);
    let bench = Bench { floor: &floor };
    let told = bench.answer("log --out device.log");
    assert_eq!(
        fs::metadata(floor.at("device.log")).unwrap().len(),
        told["bytes"].as_u64().unwrap()
    );
    let before = bench.answer("error-report get --out before.bin")["bytes"].as_u64();
    bench.answer("error-report clear");
    let after = bench.answer("error-report get --out after.bin")["bytes"].as_u64();
    assert!(after < before, "{after:?} {before:?}");
    assert!(bench.answer("restart")["uptime"].as_u64().unwrap() < 30);
}

#[test]
fn a_protected_device_is_never_written_to() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 2);
    let bench = Bench { floor: &floor };
    let id = bench.id("1113");
    fs::create_dir(floor.at("d")).unwrap();
    floor.write("d/protected.txt", format!("{id} golden unit\n"));
    bench.refused("restart --slot 1113 --data d", 1, "interlock.protected");
    assert_eq!(sim.count(0, "writes"), 0);
    bench.answer("status --slot 1113 --data d");
    bench.answer("error-report clear --slot 1123 --data d");
    floor.write("list", "nonsense");
    bench.refused("restart --slot 1123 --protected list", 4, "device.protected-list");
    bench.refused("restart --slot 1123 --protected nowhere", 3, "station.file");
}

#[test]
fn a_locked_device_says_little_and_opens_with_a_capability_file() {
    let floor = Floor::new();
    let sim = Sim::start_with(&floor, 1, "--state DeviceComplete");
    let bench = Bench { floor: &floor };
    assert_eq!(bench.answer("status")["manufacturingState"], "DeviceComplete");
    for words in [
        "images",
        "wifi list",
        "log --out log.bin",
        "restart",
        "certificate list",
    ] {
        bench.refused(words, 1, "device.http-403");
    }
    assert!(!floor.at("log.bin").exists());
    bench.capability("1113", "fieldServicing", "servicing.cap");
    bench.answer("images --capability servicing.cap");
    let words = "manufacturing-state update DeviceComplete --who 17 --why test --confirm 01234567";
    bench.refused(words, 4, "device.manual-refused");
    sim.assert_untouched(0, "DeviceComplete");
}

/// `vendor`: without a ready check, through the same door, with a banner; nobody calls the device ready or a unit passed.
#[test]
fn under_the_vendors_policy_a_state_is_changed_without_a_ready_check_and_never_twice() {
    let floor = Floor::new();
    floor.short_plan();
    let sim = Sim::start(&floor, 2);
    let bench = Bench { floor: &floor };
    let id = bench.id("1123");
    let lock = format!(
        "manufacturing-state update DeviceComplete --slot 1123 --who 17 --why repair --confirm {} --data d",
        &id[120..]
    );
    fs::create_dir(floor.at("d")).unwrap();
    floor.write("d/station.toml", "[by-hand]\nmanufacturing-state = \"vendor\"\n");
    bench.refused(&lock.replace(&id[120..], "01234567"), 4, "device.not-confirmed");
    // Nobody is there who could be asked.
    bench.refused(
        &lock.replace(&format!(" --confirm {}", &id[120..]), ""),
        4,
        "device.not-confirmed",
    );
    bench.refused(&lock.replace("DeviceComplete", "Blank"), 2, "device.parameter");
    bench.refused(&lock.replace("--slot 1123", "--all"), 2, "device.not-for-all");
    floor.write("d/protected.txt", format!("{id} golden unit\n"));
    bench.refused(&lock, 1, "interlock.protected");
    fs::remove_file(floor.at("d/protected.txt")).unwrap();
    assert_eq!((sim.count(0, "writes"), sim.count(1, "writes")), (0, 0));

    let done = bench.device(&lock).exits(0);
    assert!(done.stdout.contains("is DeviceComplete, unproven"), "{done:?}");
    assert!(
        done.stderr.contains("NO READY CHECK") && done.stderr.contains("repair"),
        "{done:?}"
    );
    assert_eq!((sim.count(0, "writes"), sim.count(1, "writes")), (0, 1));
    let again = bench.device(&lock).exits(0);
    assert!(again.stdout.contains("already: nothing was sent"), "{again:?}");
    let told = bench.device(&format!("{lock} --json")).exits(0).objects();
    let last = told.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["is_already"]),
        (&"state-changed".into(), &true.into())
    );
    assert_eq!(sim.count(1, "writes"), 1);
    let runs = floor.run("records list --data d").exits(0);
    assert!(
        runs.stdout.contains("unit.by-hand") && runs.stdout.contains("skipped"),
        "{runs:?}"
    );
    // A plan takes it for no unit of its own.
    let held =
        floor.run("run plans/short.toml --serials plans/thermostat-serials.txt --data d --bench at:bench");
    assert!(
        held.stdout.contains("HELD") || held.stderr.contains("without a ready check"),
        "{held:?}"
    );
    assert_eq!(sim.count(1, "writes"), 1);
}

/// The policy's plan is the door: who and why stand in the records, one board alone is touched, and it happens once.
#[test]
fn a_state_is_changed_by_hand_only_as_the_policy_says() {
    let floor = Floor::new();
    floor.short_plan();
    let sim = Sim::start(&floor, 2);
    let bench = Bench { floor: &floor };
    let id = bench.id("1123");
    let end = &id[120..];
    let update = |state: &str, end: &str| {
        format!(
            "manufacturing-state update {state} --slot 1123 --who 17 --why repair --confirm {end} --serial SAMPLE-0002 \
             --data d"
        )
    };
    let lock = update("DeviceComplete", end);
    bench.refused(&lock, 4, "device.manual-refused");
    fs::create_dir(floor.at("d")).unwrap();
    floor.write("d/station.toml", "[by-hand]\nmanufacturing-state = \"vendors\"\n");
    bench.refused(&lock, 3, "station.policy");
    let policy = "[by-hand]\nmanufacturing-state = \"ready-check\"\nprofile = \"../plans/short.toml\"\n";
    floor.write("d/station.toml", policy);
    bench.refused(&update("DeviceComplete", "01234567"), 4, "device.not-confirmed");
    bench.refused(&update("DeviceComplete", &id[112..]), 4, "device.not-confirmed");
    bench.refused(&update("Module1Complete", end), 4, "device.profile-state");
    bench.refused(&update("Blank", end), 2, "device.parameter");
    bench.refused(
        &lock.replace("--slot 1123", "--slot 1113 --slot 1123"),
        4,
        "device.not-for-all",
    );
    bench.refused(&lock.replace("--slot 1123", "--all"), 2, "device.not-for-all");
    floor.write("d/protected.txt", format!("{id} golden unit\n"));
    bench.refused(&lock, 1, "interlock.protected");
    fs::remove_file(floor.at("d/protected.txt")).unwrap();
    assert_eq!((sim.count(0, "writes"), sim.count(1, "writes")), (0, 0));

    let done = bench.device(&lock).exits(0);
    assert!(done.stdout.contains("1 of 1 units passed"), "{done:?}");
    sim.assert_locked_once(1);
    sim.assert_untouched(0, "Module1Complete");
    let run = floor.run("records show SAMPLE-0002 --data d --json").exits(0);
    assert!(run.stdout.contains("by hand: repair"), "{run:?}");
    // It is done, and stays so.
    bench.device(&lock).exits(0);
    sim.assert_locked_once(1);
}

#[test]
fn a_device_that_goes_in_mid_command_is_told() {
    let floor = Floor::new();
    floor.write(
        "faults.json",
        r#"{"faults": [
            {"board": 0, "when": {"request": {"operation": "GET /images"}}, "what": {"unplug": {}}},
            {"board": 1, "when": {"request": {"operation": "GET /images", "times": 0}}, "what": "not-json"}
        ]}"#,
    );
    let _sim = Sim::start_with(&floor, 3, "--faults faults.json");
    let bench = Bench { floor: &floor };
    let done = bench.device("images --all --timeout 2 --json").exits(1);
    let objects = done.objects();
    assert!(objects[0]["error"]["code"].is_string(), "{done:?}");
    assert_eq!(objects[1]["error"]["code"], "rest.answer-not-json", "{done:?}");
    assert!(objects[2]["answer"].is_object(), "{done:?}");
}

#[test]
fn what_was_asked_of_one_device_is_not_done_to_another() {
    let floor = Floor::new();
    // Once for its id, once to find it; the third connection is the one that would write.
    let fault = r#"{"faults":[{"when":{"connect":{"nth":3,"times":1}},"what":"change-id"}]}"#;
    floor.write("faults.json", fault);
    let sim = Sim::start_with(&floor, 1, "--faults faults.json");
    let id = floor.run("devices --bench at:bench --json").exits(0).object()["device"].clone();
    let add = format!(
        "device wifi add open --id {} --bench at:bench --json",
        id.as_str().unwrap()
    );
    let said = floor.run(&add).exits(1).object();
    assert_eq!(said["error"]["code"], "unit.other-device", "{said}");
    assert_eq!(sim.count(0, "writes"), 0);
}

/// Who, when, what and how it ended: also while another process has the records. What changes what a unit passed undoes it;
/// what a device refused does not.
#[test]
fn what_is_written_by_hand_stands_in_the_records_and_undoes_what_a_unit_passed() {
    let floor = Floor::new();
    floor.short_plan();
    let _sim = Sim::start(&floor, 1);
    let bench = Bench { floor: &floor };
    floor.write("one.txt", "SAMPLE-0001\n");
    let run = "run plans/short.toml --serials one.txt --data d --bench at:bench";
    floor.run(run).exits(0);
    bench.refused("wifi add guests --data d", 1, "device.http-403");
    bench.device("wifi list --data d").exits(1);
    floor.run("records certificate SAMPLE-0001 --data d").exits(0);
    let told = floor.run("records hand --data d --json").exits(0).objects();
    assert_eq!(told.len(), 1, "reads are not noted: {told:?}");
    assert_eq!(
        (&told[0]["verb"], &told[0]["outcome"], &told[0]["is_undoing"]),
        (&"wifi add".into(), &"refused".into(), &false.into())
    );
    assert_eq!(told[0]["error"]["code"], "device.http-403");

    bench.capability("1113", "fieldServicing", "servicing.cap");
    floor.write("psk.txt", "not-to-be-seen\n");
    // A lock that this test takes is not one of Wine's.
    if crate::command::is_foreign() {
        return;
    }
    {
        let _other = lineside_records::RealDisk::open(&floor.at("d/journal")).unwrap();
        bench
            .device("wifi add guests --psk-from file:psk.txt --capability servicing.cap --data d")
            .exits(0);
        let notes: Vec<_> = fs::read_dir(floor.at("d/hand")).unwrap().collect();
        assert_eq!(notes.len(), 1);
        let text = fs::read_to_string(notes[0].as_ref().unwrap().path()).unwrap();
        assert!(
            text.contains("wifi add") && !text.contains("not-to-be-seen"),
            "{text}"
        );
        // Nobody has taken it in, and it counts all the same.
        floor.run("records certificate SAMPLE-0001 --data d").exits(2);
        let listed = floor.run("records hand --data d").exits(0);
        assert!(listed.stderr.contains("not in these records yet"), "{listed:?}");
    }
    let told = floor.run("records hand --data d --json").exits(0).objects();
    assert_eq!(
        (&told[0]["outcome"], &told[0]["is_undoing"]),
        (&"done".into(), &true.into())
    );
    assert_eq!(fs::read_dir(floor.at("d/hand")).unwrap().count(), 0);
    let table = floor.run("records hand --data d").exits(0);
    assert!(
        table.stdout.contains("wifi add") && table.stdout.contains("refused"),
        "{table:?}"
    );
    floor.run("records certificate SAMPLE-0001 --data d").exits(2);
    let held = floor.run(&format!("{run} --json")).exits(1);
    assert!(held.stdout.contains("unit.undone"), "{held:?}");
    floor.run("records verify --data d").exits(0);
}

#[test]
fn what_cannot_be_noted_down_is_not_written() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let bench = Bench { floor: &floor };
    fs::create_dir(floor.at("d")).unwrap();
    floor.write("d/hand", "no folder");
    for words in ["wifi add guests", "restart", "sideload delete --everything"] {
        let done = bench.device(&format!("{words} --data d")).exits(1);
        assert!(done.stderr.contains("nothing was sent"), "{done:?}");
    }
    assert_eq!(sim.count(0, "writes"), 0);
    bench.device("status --data d").exits(0);
}
