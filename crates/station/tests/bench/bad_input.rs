//! What comes in damaged, foreign, too new, too late or under a wrong name: refused with a code and a remedy, and nothing
//! is lost.

use std::fs;
use std::sync::Arc;

use lineside_records::{Journal, RealDisk};

use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

const SEGMENT: &str = "d/journal/000000000001.journal";

/// Journals that no command that works may go on with: how the segment is changed, and what is said.
type Case = (&'static str, fn(&mut Vec<u8>), &'static str);

const JOURNALS: [Case; 5] = [
    (
        "corrupt in the middle",
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
        },
        "records.damaged",
    ),
    (
        "corrupt in its header",
        |bytes| bytes[20] ^= 0x01,
        "records.damaged",
    ),
    (
        "no journal at all",
        |bytes| *bytes = b"PK\x03\x04 something else entirely, as long as you like".repeat(9),
        "records.damaged",
    ),
    (
        "of a newer format",
        |bytes| {
            bytes[8] = 2;
            let sum = crc32(&bytes[..12]);
            bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        },
        "records.newer-format",
    ),
    (
        "with a byte too much in the middle",
        |bytes| bytes.insert(bytes.len() / 2, 0),
        "records.damaged",
    ),
];

/// The check sum of the header (CRC-32 of ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (0_u32.wrapping_sub(sum & 1)))
        })
    })
}

#[test]
fn journals_that_cannot_be_gone_on_with_are_left_as_they_are() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 1);
    let run = format!("run {plan} --bench at:bench --data d --serials {SERIALS} --expect 1");
    floor.run(&run).exits(0);
    let writes = sim.count(0, "writes");
    let sound = fs::read(floor.at(SEGMENT)).unwrap();
    for (case, change, code) in JOURNALS {
        let mut bytes = sound.clone();
        change(&mut bytes);
        floor.write(SEGMENT, &bytes);
        for command in [
            run.as_str(),
            "resume --data d",
            "approve list --data d",
            "records list --data d",
        ] {
            let said = floor.run(command).exits(3);
            assert!(
                said.stderr.contains(&format!("code:   {code}")),
                "{case}: {said:?}"
            );
            assert!(said.stderr.contains("\n  remedy: "), "{case}: {said:?}");
            assert!(
                fs::read(floor.at(SEGMENT)).unwrap() == bytes,
                "{case}: {command} changed it"
            );
        }
        let said = floor.run("records verify --data d");
        assert!(!said.stdout.contains("sound:"), "{case}: {said:?}");
    }
    assert_eq!(
        sim.count(0, "writes"),
        writes,
        "no device was written to meanwhile"
    );
    // Put back, all is there.
    floor.write(SEGMENT, &sound);
    floor.run("records verify --data d").exits(0);
    let list = floor.run("records list --data d").exits(0);
    assert!(list.stdout.contains("SAMPLE-0001"), "{list:?}");
    sim.assert_locked_once(0);
}

#[test]
fn a_journal_of_another_station_is_not_mixed_with_ours() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let words = |station: &str| {
        format!("run {plan} --bench sim:1 --data d --serials {SERIALS} --expect 1 --station {station}")
    };
    floor.run(&words("line-3")).exits(0);
    let before = fs::read(floor.at(SEGMENT)).unwrap();
    let said = floor.run(&words("line-4")).fails(3, "records.other-station");
    assert!(
        said.stderr.contains("line-3") && said.stderr.contains("line-4"),
        "{said:?}"
    );
    floor
        .run("resume --data d --station line-4")
        .fails(3, "records.other-station");
    assert!(fs::read(floor.at(SEGMENT)).unwrap() == before);
}

/// A torn end is what a power cut leaves: it is cut off and said, and what it would have told is asked of the device.
#[test]
fn a_journal_that_was_cut_short_goes_on_with_a_look() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 1);
    let run = format!("run {plan} --bench at:bench --data d --serials {SERIALS} --expect 1");
    floor.run(&run).exits(0);
    let sound = fs::read(floor.at(SEGMENT)).unwrap();
    // From the lock on nothing is known any more.
    let text = String::from_utf8_lossy(&sound).into_owned();
    let marker = br#""kind":"intended""#;
    let at = sound
        .windows(marker.len())
        .position(|window| window == marker)
        .unwrap_or_else(|| panic!("{text}"));
    floor.write(SEGMENT, &sound[..at]);
    let said = floor.run(&run).exits(1);
    assert!(
        said.stderr.contains("nothing of it had been acknowledged"),
        "{said:?}"
    );
    // It says itself that it is complete, and no record says who did it: a person decides.
    assert!(said.stdout.contains("[unit."), "{said:?}");
    sim.assert_locked_once(0);
    // That records are missing which were there is seen by the checkpoints.
    floor.run("records verify --data d").exits(1);
}

#[test]
fn a_clock_that_was_set_back_is_told_and_marked() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 1);
    // The newest record is of tomorrow.
    let disk = RealDisk::open(&floor.at("d/journal")).unwrap();
    let (mut journal, _) = Journal::open(Arc::new(disk), "station".parse().unwrap()).unwrap();
    let tomorrow = jiff::Timestamp::now().as_millisecond() + 86_400_000;
    let event = serde_json::json!({
        "version": 1, "sequence": 1, "station": "station", "boot": "0d1f2b3c4d5e6f708192a3b4c5d6e7f8",
        "at": {"mono": 1, "wall_ms": tomorrow, "trust": "unverified"},
        "kind": "station-started", "body": {"program": "0.1.0", "bench": "usb"}
    });
    journal.append(&[serde_json::from_value(event).unwrap()]).unwrap();
    journal.commit().unwrap();
    drop(journal);
    let run = format!("run {plan} --bench at:bench --data d --serials {SERIALS} --expect 1 --json");
    let done = floor.run(&run).exits(0);
    assert!(done.stderr.contains("code:   station.clock-set-back"), "{done:?}");
    let events = done.objects();
    let stamps: Vec<_> = events
        .iter()
        .filter(|event| event["sequence"].is_u64())
        .map(|event| &event["at"]["trust"])
        .collect();
    assert!(
        stamps.len() > 10 && stamps.iter().all(|trust| *trust == "wrong"),
        "{stamps:?}"
    );
    sim.assert_locked_once(0);
    floor.run("records verify --data d").exits(0);
}

#[test]
fn two_stations_of_one_name_do_not_share_a_place_for_checkpoints() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    fs::create_dir(floor.at("share")).unwrap();
    for data in ["a", "b"] {
        floor
            .run(&format!(
                "run {plan} --bench sim:1 --data {data} --serials {SERIALS} --expect 1 --station line-3"
            ))
            .exits(0);
    }
    floor.run("records checkpoint --to share --data a").exits(0);
    let share = fs::read(floor.at("share/line-3.checkpoints.txt")).unwrap();
    floor
        .run("records checkpoint --to share --data b")
        .fails(4, "evidence.two-stations");
    assert!(fs::read(floor.at("share/line-3.checkpoints.txt")).unwrap() == share);
    // Each is sound, and the anchor of one does not hold for the other.
    floor.run("records checkpoint --to share --data a").exits(0);
    floor
        .run("records verify --data a --anchor share/line-3.checkpoints.txt")
        .exits(0);
    floor
        .run("records verify --data b --anchor share/line-3.checkpoints.txt")
        .exits(1);
}

#[test]
fn a_certificate_out_of_date_blames_the_clock_of_the_station() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    floor.write(
        "faults.json",
        r#"{"faults": [{"board": 0, "when": {"connect": {"times": 0}}, "what": "expired-certificate"}]}"#,
    );
    let sim = Sim::start_with(&floor, 2, "--faults faults.json");
    let run = format!("run {plan} --bench at:bench --data d --serials {SERIALS} --expect 2 --json");
    let done = floor.run(&run).exits(1);
    let summary = done.objects().pop().unwrap();
    let error = &summary["slots"][0]["error"];
    assert_eq!(
        (&error["code"], &error["blame"]),
        (&"device.clock-disagrees".into(), &"station".into()),
        "{summary}"
    );
    assert!(
        error["help"].as_str().unwrap().contains("date and time"),
        "{error}"
    );
    sim.assert_untouched(0, "Module1Complete");
    sim.assert_locked_once(1);
}
