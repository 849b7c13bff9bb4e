//! What is signed, brought outside and given to others, and that every way of changing it is found.

use std::fs;
use std::process::Command;

use crate::floor::{Floor, SERIALS, assert_said};

const PUBLIC_KEY: &str = "d/evidence/station-key.pub.pem";

/// A floor on which units have passed, with records in `d`.
fn floor() -> Floor {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let done = floor
        .run(&format!("run {plan} --bench sim:2 --data d --serials {SERIALS} --expect 2 --operator op-17 --station line-3"))
        .exits(0);
    assert!(done.stderr.contains("note: made the key"), "{done:?}");
    floor
}

#[test]
fn an_anchor_shows_that_a_sound_history_was_written_anew() {
    let floor = floor();
    let sound = floor.run("records verify --data d").exits(0);
    assert!(
        sound.stdout.contains("checkpoints of this station: up to event"),
        "{sound:?}"
    );
    assert!(sound.stdout.contains("no anchor was given"), "{sound:?}");

    fs::create_dir(floor.at("share")).unwrap();
    let made = floor
        .run("records checkpoint --data d --to share --json")
        .exits(0)
        .object();
    assert_eq!(
        (made["kind"].as_str(), made["station"].as_str()),
        (Some("checkpoint"), Some("line-3"))
    );
    let printed = floor.run("records checkpoint --data d --qr").exits(0);
    assert!(
        printed.stdout.starts_with(made["line"].as_str().unwrap()),
        "{printed:?}"
    );
    assert!(printed.stdout.contains("██████"), "{printed:?}");
    let anchor = "share/line-3.checkpoints.txt";
    let verified = floor
        .run(&format!("records verify --data d --anchor {anchor} --json"))
        .exits(0)
        .object();
    assert_eq!(verified["anchored_to"], made["sequence"]);

    // Another station keeps it as well.
    let kept = floor
        .run(&format!("records checkpoint --data d --import {anchor}"))
        .exits(0);
    assert!(kept.stdout.starts_with("1 of 1 checkpoints were new"), "{kept:?}");
    let again = floor
        .run(&format!("records checkpoint --data d --import {anchor}"))
        .exits(0);
    assert!(
        again.stdout.starts_with("0 of 1 checkpoints were new"),
        "{again:?}"
    );
    floor
        .run("records verify --data d --anchor d/evidence/other-stations.txt")
        .exits(0);

    // The same work again makes another history, sound in itself, with checkpoints of its own.
    fs::copy(floor.at(PUBLIC_KEY), floor.at("noted.pem")).unwrap();
    fs::remove_dir_all(floor.at("d")).unwrap();
    let plan = floor.short_plan();
    floor
        .run(&format!(
            "run {plan} --bench sim:2 --data d --serials {SERIALS} --expect 2 --station line-3"
        ))
        .exits(0);
    floor.run("records verify --data d").exits(0);
    let found = floor
        .run(&format!("records verify --data d --anchor {anchor}"))
        .exits(1);
    assert!(
        found
            .stdout
            .contains("does not lead to the known point (the anchor's)"),
        "{found:?}"
    );
    let found = floor.run("records verify --data d --key noted.pem").exits(1);
    assert!(found.stdout.contains("signed with the key"), "{found:?}");

    floor.write("nonsense.txt", "lineside-checkpoint 1\n");
    floor
        .run("records verify --data d --anchor nonsense.txt")
        .fails(4, "evidence.checkpoint");
    floor.write(
        "changed.txt",
        fs::read_to_string(floor.at(anchor))
            .unwrap()
            .replace("line-3 ", "line-4 "),
    );
    floor
        .run("records verify --data d --anchor changed.txt")
        .fails(4, "evidence.signature");
    floor.write("empty.txt", "# nothing yet\n");
    floor
        .run("records verify --data d --anchor empty.txt")
        .fails(2, "evidence.no-anchor");
}

/// A station is restored from a backup that is older than the last anchor: what is missing is told, and it is no fraud.
#[test]
fn anchors_of_before_a_restore_are_judged_for_what_they_are() {
    let floor = floor();
    let checkpoint = |data: &str, share: &str| {
        let words = format!("records checkpoint --data {data} --to {share} --json");
        floor.run(&words).exits(0).object()["sequence"].as_u64().unwrap()
    };
    for folder in ["early", "late", "anew", "backups"] {
        fs::create_dir(floor.at(folder)).unwrap();
    }
    let early = checkpoint("d", "early");
    floor.run("records backup backups --data d").exits(0);
    let coverage = floor.run("records coverage --data d --json").exits(0).object();
    let backed_up = coverage["backed_up_to"].as_u64().unwrap();
    let plan = floor.short_plan();
    let run = |data: &str| {
        floor.run(&format!(
            "run {plan} --bench sim:2 --data {data} --serials {SERIALS} --expect 2 --station line-3"
        ))
    };
    // A simulated bench of its own begins anew, so its boards are held; that is recorded as well.
    run("d").exits(1);
    let late = checkpoint("d", "late");
    assert!(
        early <= backed_up && backed_up < late,
        "{early} {backed_up} {late}"
    );

    floor
        .run(&format!("records restore backups/line-3-{backed_up} --data r"))
        .exits(0);
    floor
        .run(&format!("records verify --data backups/line-3-{backed_up}"))
        .exits(0);
    let verify = |share: &str| {
        let anchor = format!("{share}/line-3.checkpoints.txt");
        floor.run(&format!("records verify --data r --anchor {anchor}"))
    };
    verify("early").exits(0);
    let told = verify("late").fails(1, "evidence.anchor-after-backup");
    let ends = format!(
        "up to {late}, and these records were restored from a backup that ends with event {backed_up}"
    );
    assert!(told.stderr.contains(&ends), "{told:?}");
    assert!(
        told.stdout.starts_with("sound: ") && !told.stdout.contains("damaged"),
        "{told:?}"
    );
    // Work goes on where the anchor knows of other events: it is still no fraud, and no place for new checkpoints.
    run("r").exits(1);
    verify("early").exits(0);
    verify("late").fails(1, "evidence.anchor-after-backup");
    floor
        .run("records checkpoint --data r --to late")
        .fails(4, "evidence.two-stations");
    checkpoint("r", "anew");
    verify("anew").exits(0);

    // What is up to the end of the backup must hold: with another history in its place it does not.
    run("e").exits(0);
    fs::remove_dir_all(floor.at("r/journal")).unwrap();
    fs::rename(floor.at("e/journal"), floor.at("r/journal")).unwrap();
    let found = verify("early").exits(1);
    assert!(found.stdout.contains("the anchor's"), "{found:?}");
}

#[test]
fn a_lost_end_is_found_by_the_stations_own_checkpoints() {
    let floor = floor();
    let segment = floor.at("d/journal/000000000001.journal");
    let whole = fs::read(&segment).unwrap();
    // The last events are gone as if a crash had cut them off.
    fs::write(&segment, &whole[..whole.len() - 40]).unwrap();
    let found = floor.run("records verify --data d").exits(1);
    assert!(
        found.stdout.contains("(a checkpoint's of this station)"),
        "{found:?}"
    );
    // What a crash leaves of a checkpoint is no damage.
    fs::write(&segment, &whole).unwrap();
    let file = floor.at("d/evidence/checkpoints.txt");
    let checkpoints = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{checkpoints}lineside-checkp")).unwrap();
    floor.run("records verify --data d").exits(0);
    fs::write(&file, checkpoints.replace("line-3", "line-4")).unwrap();
    let found = floor.run("records verify --data d").exits(1);
    assert!(found.stdout.contains("own checkpoints are damaged"), "{found:?}");
}

#[test]
#[cfg_attr(not(unix), ignore = "needs Python as a foreign reader")]
fn a_customer_checks_a_certificate_with_the_command_or_the_script() {
    let floor = floor();
    let words = "records certificate SAMPLE-0001 --data d -o c.json --html c.html";
    let made = floor.run(words).exits(0);
    assert!(
        made.stderr.contains("a file that only this user may read"),
        "{made:?}"
    );
    let text = fs::read_to_string(floor.at("c.json")).unwrap();
    assert!(!text.contains("op-17"), "no id of a person leaves the factory");
    let page = fs::read_to_string(floor.at("c.html")).unwrap();
    assert!(page.contains("SAMPLE-0001") && page.contains("<svg "), "{page}");
    let held = floor
        .run(&format!("records check-certificate c.json --key {PUBLIC_KEY}"))
        .exits(0);
    assert!(held.stdout.contains("unit     SAMPLE-0001"), "{held:?}");
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/src/scripts/check_certificate.py"
    );
    let python = |file: &str, key: &str| {
        let done = Command::new("python3")
            .arg(script)
            .args([file, key])
            .current_dir(floor.path())
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, said) = python("c.json", PUBLIC_KEY);
    assert_eq!(code, Some(0), "{said}");
    assert_said!(said.lines().next().unwrap(), @"the certificate holds");
    assert!(
        said.contains("SAMPLE-0001") && said.contains("fixed at event"),
        "{said}"
    );

    // One of before bundles were named in it: the words of its seal are those of then.
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../records/tests/golden/certificate.txt"
    );
    let earlier = fs::read_to_string(golden).unwrap();
    let seal: serde_json::Value = serde_json::from_str(earlier.lines().last().unwrap()).unwrap();
    let key = lineside_records::SealKey::from_text(seal["key"].as_str().unwrap()).unwrap();
    floor.write("earlier.json", earlier);
    floor.write("earlier.pem", key.to_pem());
    floor
        .run("records check-certificate earlier.json --key earlier.pem")
        .exits(0);
    assert_eq!(python("earlier.json", "earlier.pem").0, Some(0));

    floor.write("changed.json", text.replace("SAMPLE-0001", "SAMPLE-0009"));
    floor
        .run(&format!(
            "records check-certificate changed.json --key {PUBLIC_KEY}"
        ))
        .fails(4, "evidence.signature");
    assert_eq!(python("changed.json", PUBLIC_KEY).0, Some(1));
    floor.write("cut.json", &text[..text.len() / 2]);
    floor
        .run(&format!("records check-certificate cut.json --key {PUBLIC_KEY}"))
        .fails(4, "evidence.not-sealed");
    assert_eq!(python("cut.json", PUBLIC_KEY).0, Some(1));

    // Another station, another key.
    let plan = floor.short_plan();
    floor
        .run(&format!(
            "run {plan} --bench sim:1 --data e --serials {SERIALS} --expect 1"
        ))
        .exits(0);
    let other = "e/evidence/station-key.pub.pem";
    floor
        .run(&format!("records check-certificate c.json --key {other}"))
        .fails(4, "evidence.other-key");
    assert_eq!(python("c.json", other).0, Some(1));
    floor.write("no-key.pem", "no key");
    floor
        .run("records check-certificate c.json --key no-key.pem")
        .fails(4, "evidence.key");
    floor
        .run("records certificate SAMPLE-0999 --data d")
        .fails(2, "evidence.no-device");
}

/// What is kept for the next start is gone on with, and whoever changes it is found by who reads everything.
#[test]
fn a_run_goes_on_from_a_snapshot_and_verify_folds_everything_beside_it() {
    let floor = floor();
    let plain = floor.run("records verify --data d").exits(0);
    assert!(!plain.stdout.contains("snapshot"), "{plain:?}");
    // As a start does after some hundred units.
    let kept = |worth| {
        let opened = lineside_runner::store::open_keeping(&floor.at("d"), "line-3".parse().unwrap(), worth);
        drop(opened.unwrap());
    };
    kept(1);
    let verified = floor.run("records verify --data d --json").exits(0).object();
    assert_eq!(verified["snapshot"], verified["events"]);
    // The units are known as finished by the snapshot alone.
    let plan = "plans/short.toml";
    let again = format!("run {plan} --bench sim:2 --data d --serials {SERIALS} --expect 2 --station line-3");
    let done = floor.run(&again).exits(1);
    let whole = {
        fs::rename(floor.at("d/snapshot.json"), floor.at("aside.json")).unwrap();
        let whole = floor.run(&again).exits(1);
        fs::rename(floor.at("aside.json"), floor.at("d/snapshot.json")).unwrap();
        whole
    };
    assert!(done.stderr.contains("unit."), "{done:?}");
    assert_eq!(done.stdout, whole.stdout);
    let said = floor.run("records verify --data d").exits(0);
    assert!(
        said.stdout.contains("the snapshot is what the events up to"),
        "{said:?}"
    );

    // Changed and sealed again.
    let text = fs::read_to_string(floor.at("d/snapshot.json")).unwrap();
    let (header, body) = text.split_once('\n').unwrap();
    let digest = |body: &str| {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(body);
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let changed = body.replacen("\"failed\":0", "\"failed\":1", 1);
    assert!(changed != body, "nothing was changed");
    let header = header.replace(&digest(body), &digest(&changed));
    floor.write("d/snapshot.json", format!("{header}\n{changed}"));
    let found = floor.run("records verify --data d").exits(1);
    assert!(
        found.stdout.contains("somebody changed it; delete it"),
        "{found:?}"
    );
    fs::remove_file(floor.at("d/snapshot.json")).unwrap();
    floor.run("records verify --data d").exits(0);
}
