//! Bundles: made, signed, imported, run; and everything that is wrong with one.

use std::fs;

use crate::floor::{Floor, PLAN, SERIALS};
use crate::sim::Sim;

/// A floor with two keys, and a signed bundle of the short plan.
fn floor() -> Floor {
    let floor = Floor::new();
    let plan = floor.short_plan();
    for key in ["ours", "foreign"] {
        floor.run(&format!("bundle make-key -o {key}.pem")).exits(0);
    }
    floor
        .run(&format!("bundle make {plan} --name short-1 -o unsigned.bundle"))
        .exits(0);
    fs::copy(floor.at("unsigned.bundle"), floor.at("short.bundle")).unwrap();
    floor.run("bundle sign short.bundle --key ours.pem").exits(0);
    floor
}

/// Makes the station provisioned with this key, for commands that are given the file.
fn provision(floor: &Floor, key: &str) {
    let key = fs::read_to_string(floor.at(key)).unwrap();
    floor.write("administered.toml", format!("bundle-keys = ['''{key}''']\n"));
}

#[test]
fn a_provisioned_station_runs_only_what_engineering_signed() {
    let floor = floor();
    provision(&floor, "ours.pem.pub");
    let run = |words: &str| {
        floor
            .lineside(words)
            .env("LINESIDE_STATION_FILE", "administered.toml")
            .done()
    };
    let plan = format!("run {PLAN} --bench sim:1 --data d --serials {SERIALS} --expect 1");
    run(&plan).fails(4, "station.bundles-only");
    run("bundle import unsigned.bundle --data d").fails(4, "bundle.unsigned");
    fs::copy(floor.at("unsigned.bundle"), floor.at("foreign.bundle")).unwrap();
    floor.run("bundle sign foreign.bundle --key foreign.pem").exits(0);
    run("bundle import foreign.bundle --data d").fails(4, "bundle.foreign-key");
    run("bundle import foreign.bundle --data d --key foreign.pem.pub").fails(4, "bundle.foreign-key");
    run("bundle import short.bundle --data d --key ours.pem.pub").exits(0);

    let work = format!("run bundle:short-1 --bench sim:1 --data d --serials {SERIALS} --expect 1");
    let done = run(&work).exits(0);
    assert!(done.stderr.starts_with("bundle: short-1 ("), "{done:?}");
    assert!(!done.stderr.contains("not provisioned"), "{done:?}");
    run("run bundle:other --bench sim:1 --data d").fails(4, "bundle.unknown");
    let hash = run("bundle list --data d --json").exits(0).object()["hash"].clone();
    let show = run("records show SAMPLE-0001 --data d --json").exits(0).object();
    assert_eq!(show["bundle"], hash, "{show}");
    run("records certificate SAMPLE-0001 --data d -o c.json").exits(0);
    let key = "--key d/evidence/station-key.pub.pem";
    let held = run(&format!("records check-certificate c.json {key}")).exits(0);
    assert!(
        held.stdout
            .contains(&format!("bundle   {}\n", hash.as_str().unwrap())),
        "{held:?}"
    );
    let held = run(&format!("records check-certificate c.json {key} --json"))
        .exits(0)
        .object();
    assert_eq!(held["certificate"]["bundle"], hash, "{held}");

    // Whoever changes what was imported does not get it run.
    let list = run("bundle list --data d --json").exits(0).object();
    let files = format!("d/bundles/{}/files", list["hash"].as_str().unwrap());
    let os_list = floor.at(&format!("{files}/simulated-os.json"));
    let good = fs::read(&os_list).unwrap();
    fs::write(&os_list, "{}").unwrap();
    run(&work).fails(4, "bundle.changed");
    fs::write(&os_list, good).unwrap();
    floor.write(&format!("{files}/thermostat/application/more.bin"), "x");
    run(&work).fails(4, "bundle.surplus");
    // And an administrator who takes the key away takes its bundles away.
    provision(&floor, "foreign.pem.pub");
    run(&work).fails(4, "bundle.unknown");
    floor.write("administered.toml", "bundle-keys = 1");
    run(&work).fails(3, "station.policy");
}

#[test]
fn no_pre_shared_key_goes_into_a_bundle() {
    let floor = Floor::new();
    floor
        .run(&format!("bundle make {PLAN} -o b.bundle"))
        .fails(4, "bundle.secret");
    assert!(!floor.at("b.bundle").exists());
    let named = r#"psk-file = "sample-psk.txt""#;
    floor.edit(PLAN, named, r#"psk-env = "PLANTED""#);
    floor.run(&format!("bundle make {PLAN} -o b.bundle")).exits(0);
    let key = fs::read_to_string(floor.at("plans/sample-psk.txt")).unwrap();
    let bundle = fs::read(floor.at("b.bundle")).unwrap();
    let key = key.trim().as_bytes();
    assert!(!bundle.windows(key.len()).any(|window| window == key));
}

#[test]
fn what_is_no_sound_bundle_is_refused() {
    let floor = floor();
    let good = fs::read(floor.at("short.bundle")).unwrap();
    let check = |bytes: Vec<u8>, code: &str| {
        floor.write("bad.bundle", bytes);
        floor.run("bundle show bad.bundle").fails(4, code);
        floor.run("bundle import bad.bundle --data d").fails(4, code);
        assert!(!floor.at("d/bundles").exists(), "nothing of it was written");
    };
    check(good[..good.len() - 1].to_vec(), "bundle.truncated");
    check(good[..400].to_vec(), "bundle.truncated");
    check(b"PK\x03\x04".to_vec(), "bundle.no-bundle");
    let mut last = good.clone();
    *last.last_mut().unwrap() ^= 1;
    check(last, "bundle.changed");
    check([good.clone(), b"x".to_vec()].concat(), "bundle.surplus");
    let text = String::from_utf8_lossy(&good[..400]).into_owned();
    let place = good.windows(7).position(|bytes| bytes == b"short-1").unwrap();
    let mut renamed = good.clone();
    renamed[place..place + 7].copy_from_slice(b"short-2");
    check(renamed, "bundle.signature");
    assert!(text.starts_with("lineside-bundle 1 "));

    // Paths that lead elsewhere, in a list that nobody signed yet.
    for path in ["../evil", "/etc/evil", "C:/evil", "a\\\\evil", "con"] {
        let hash = "0".repeat(64);
        let list = format!(
            r#"{{"kind":"bundle","version":1,"name":"x","plan":"{path}","files":[{{"path":"{path}","size":0,"sha256":"{hash}"}}]}}"#
        );
        check(
            format!("lineside-bundle 1 {}\n{list}", list.len()).into_bytes(),
            "bundle.path",
        );
    }
    check(b"lineside-bundle 1 99999999999\n{}".to_vec(), "bundle.too-large");
}

#[test]
fn a_bundle_that_is_replaced_changes_no_unit_under_way() {
    let floor = floor();
    let sim = Sim::start(&floor, 1);
    floor.run("bundle import short.bundle --data d").exits(0);
    let words = format!("run bundle:short-1 --bench at:bench --data d --serials {SERIALS} --expect 1 --json");
    let mut run = floor.start(&words);
    assert!(run.says("\"run-started\""));
    fs::remove_dir_all(floor.at("d/bundles")).unwrap();
    let done = run.done().exits(0);
    assert!(
        done.stderr.contains("this station is not provisioned"),
        "{done:?}"
    );
    sim.assert_locked_once(0);
    floor.run(&words).fails(4, "bundle.unknown");
}
