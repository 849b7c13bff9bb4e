//! Disks and devices that do not do what they should.

use crate::command::Lineside;
use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

#[test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "needs a file system that nobody can write to"
)]
fn records_that_cannot_be_written_stop_everything() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 1);
    let run = |data: &str| {
        floor
            .run(&format!(
                "run {plan} --bench at:bench --serials {SERIALS} --data {data}"
            ))
            .exits(3)
    };
    for data in ["/sys/lineside", "/proc/lineside"] {
        let refused = run(data);
        assert!(refused.stderr.contains("code:   records."), "{refused:?}");
        assert!(
            refused.stderr.contains("blame:  station\n  remedy: "),
            "{refused:?}"
        );
    }
    floor.write("file", "in the way");
    run("file");
    run("file/below");
    assert_eq!(
        sim.count(0, "writes"),
        0,
        "nothing is done that could not be recorded"
    );
}

/// A limit on the size of files is a disk that fills up in mid-run, for one process. In blocks of 512 bytes.
#[test]
#[cfg_attr(not(unix), ignore = "needs a shell that limits the size of files")]
fn a_disk_that_fills_up_stops_before_anything_is_lost() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 1);
    let words = format!("run {plan} --bench at:bench --data d --serials {SERIALS} --expect 1");
    let mut refused = 0;
    for blocks in [1, 30, 34, 38, 42, 46, 50] {
        let script = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" {words} --disk-patience 0"#);
        let done = Lineside::script(floor.path(), &script).done();
        if done.stderr.contains("error: ") {
            let done = done.exits(3);
            assert!(done.stderr.contains("  code:   records."), "{done:?}");
            refused += 1;
        }
    }
    assert!(refused > 1, "the disk was never full");
    floor.run(&words).exits(0);
    sim.assert_locked_once(0);
    floor.run("records verify --data d").exits(0);
}

#[test]
fn one_bad_board_never_disturbs_another() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    floor.write(
        "faults.json",
        r#"{"faults": [
            {"board": 0, "when": {"connect": {"times": 0}}, "what": "wrong-certificate"},
            {"board": 1, "when": {"request": {"operation": "PUT /update/stage", "times": 0}}, "what": "http500"},
            {"board": 2, "when": {"request": {"operation": "PUT /device/manufacturing_state"}}, "what": "reset-after"},
            {"board": 3, "when": {"request": {"operation": "PUT /update/stage"}}, "what": {"unplug": {}}},
            {"board": 4, "when": {"request": {"operation": "GET /images", "times": 0}}, "what": "not-json"}
        ]}"#,
    );
    let sim = Sim::start_with(&floor, 6, "--faults faults.json");
    let run = floor
        .run(&format!(
            "run {plan} --bench at:bench --data d --serials {SERIALS} --expect 6 --json"
        ))
        .exits(1);
    let objects = run.objects();
    let summary = objects.last().unwrap();
    let code = |slot: usize| {
        summary["slots"][slot]["error"]["code"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    };
    assert_eq!(code(0), "device.wrong-certificate");
    assert_eq!(code(1), "device.http-500");
    assert_eq!(
        code(2),
        "none",
        "it was reset before it could answer, and a look told what had happened"
    );
    // The wire and the bench both tell that it is gone: whoever is first.
    assert!(
        ["link.departed", "run.unplugged"].contains(&code(3).as_str()),
        "{summary}"
    );
    assert_eq!(code(4), "rest.answer-not-json");
    assert_eq!(code(5), "none");
    assert_eq!(summary["passed"], 2);
    for board in [0, 1, 3, 4] {
        sim.assert_untouched(board, "Module1Complete");
    }
    // Asked for once, and not again when there was no answer.
    sim.assert_locked_once(2);
    sim.assert_locked_once(5);
}
