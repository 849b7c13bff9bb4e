//! `run --continuous`: boards come and go, start when they are plugged in or scanned, and somebody is asked before.

use std::fs;

use crate::command::{Done, Lineside, is_foreign};
use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

/// A program that is asked, as a script: the sessions that need one are held where the system runs it.
pub(crate) fn hook(floor: &Floor, script: &str) -> Option<String> {
    if is_foreign() {
        return None;
    }
    floor.write("hook.sh", format!("#!/bin/sh\n{script}\n"));
    let made = Lineside::script(floor.path(), "chmod +x hook.sh").done();
    made.exits(0);
    Some(format!("{}", floor.at("hook.sh").display()))
}

fn told(done: &Done, what: &str) -> usize {
    let objects = done.objects();
    objects
        .iter()
        .filter(|object| object["kind"] == "gate" && object["what"] == what)
        .count()
}

#[test]
fn boards_start_when_they_are_plugged_in_until_ctrl_c() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 2);
    let words = format!(
        "run {plan} --bench at:bench --data d --serials {SERIALS} --continuous --stable 0 --operator 17 --shift late"
    );
    let mut run = floor.start(&words);
    assert!(run.says("unit done: pass") && run.says("unit done: pass"));
    run.interrupt();
    let done = run.done().exits(0);
    assert!(done.stdout.ends_with("2 passed, 0 failed\n"), "{done:?}");
    sim.assert_locked_once(0);
    sim.assert_locked_once(1);
    // The same boards again: they are known, and nothing is done to them.
    let mut again = floor.start(&format!("{words} --json"));
    assert!(again.says("already-complete") && again.says("already-complete"));
    again.interrupt();
    let done = again.done().exits(0);
    let complete = done
        .objects()
        .into_iter()
        .filter(|object| object["kind"] == "already-complete");
    for object in complete {
        assert_eq!(
            (&object["operator"], &object["shift"]),
            (&"17".into(), &"late".into())
        );
    }
    sim.assert_locked_once(0);
}

#[test]
fn a_board_that_is_unplugged_in_mid_run_goes_on_when_it_comes_again() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    floor.write(
        "faults.json",
        r#"{"faults": [{"board": 0, "when": {"request": {"operation": "PUT /update/stage"}},
            "what": {"unplug": {"replug_after_ms": 100}}}]}"#,
    );
    let sim = Sim::start_with(&floor, 1, "--faults faults.json");
    let mut run = floor.start(&format!(
        "run {plan} --bench at:bench --data d --serials {SERIALS} --continuous --stable 0"
    ));
    assert!(run.says("the board was unplugged"));
    assert!(run.says("goes on with application"));
    assert!(run.says("unit done: pass"));
    run.interrupt();
    let done = run.done().exits(0);
    assert!(done.stdout.contains("1 passed, 0 failed"), "{done:?}");
    sim.assert_locked_once(0);
}

#[test]
fn a_slot_on_which_one_fails_after_the_other_is_stopped() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    floor.write(
        "faults.json",
        r#"{"faults": [
            {"board": 0, "when": {"request": {"operation": "PUT /update/stage", "times": 0}}, "what": "http500"},
            {"board": 0, "when": {"request": {"operation": "GET /net/firewall/rulesets"}}, "what": {"unplug": {"replug_after_ms": 200}}}
        ]}"#,
    );
    let sim = Sim::start_with(&floor, 1, "--faults faults.json");
    let mut run = floor.start(&format!(
        "run {plan} --bench at:bench --data d --serials {SERIALS} --continuous --stable 0 --stop-after 1 --json"
    ));
    assert!(run.says("slot-stopped"));
    // The next board in it, which this request brings, is not taken.
    sim.until_free(0);
    floor.run("device network firewall --bench at:bench --timeout 1");
    assert!(run.hears(|line| line.contains(r#""kind":"held""#) && line.contains("run.slot-stopped")));
    run.interrupt();
    let done = run.done().exits(1);
    assert_eq!(told(&done, "slot-stopped"), 1);
    assert!(done.stderr.contains("run.slot-stopped"), "{done:?}");
    sim.assert_untouched(0, "Module1Complete");
}

#[test]
fn scans_say_which_unit_starts() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 2);
    floor.run("slots name 1123 A2 --bench at:bench --data d").exits(0);
    floor.write(
        "scans.txt",
        "A2 SCAN-0002\none two three\nn\u{f6}\n9.9.9 SCAN-0009\n1113 SCAN-0001\r\n",
    );
    let words = format!("run {plan} --bench at:bench --data d --continuous --start scan --stable 0 --json");
    let done = floor
        .lineside(&words)
        .input(&floor.at("scans.txt"))
        .done()
        .exits(0);
    assert_eq!(told(&done, "scan-refused"), 2, "{done:?}");
    let list = floor.run("records list --data d --json").exits(0).objects();
    let mut serials: Vec<_> = list
        .iter()
        .map(|run| run["serial"].as_str().unwrap().to_owned())
        .collect();
    serials.sort();
    assert_eq!(serials, ["SCAN-0001", "SCAN-0002"]);
    sim.assert_locked_once(0);
    sim.assert_locked_once(1);
    floor.run("run x.toml --start scan --bench at:bench").exits(2);
}

#[test]
fn a_key_starts_all_boards_that_wait() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 2);
    floor.run("slots name 1123 A2 --bench at:bench --data d").exits(0);
    // One by its slot before it is ready, what cannot be meant, and at the end of the input those that were named.
    floor.write("keys.txt", "A2\nA2 and more\nn\u{f6}\n1113\r\n");
    let words = format!(
        "run {plan} --bench at:bench --data d --serials {SERIALS} --continuous --start key --stable 0 --json"
    );
    let done = floor
        .lineside(&words)
        .input(&floor.at("keys.txt"))
        .done()
        .exits(0);
    assert_eq!(told(&done, "scan-refused"), 2, "{done:?}");
    assert!(done.stdout.contains("run.key"), "{done:?}");
    sim.assert_locked_once(0);
    sim.assert_locked_once(1);
}

#[test]
fn whoever_must_be_asked_is_asked_before_and_told_after() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let script = r#"cat >> asked.jsonl; [ "$1" = may-start ] && echo '{"serial": "HOOK-0001"}'; exit 0"#;
    let Some(program) = hook(&floor, script) else {
        return;
    };
    let sim = Sim::start(&floor, 1);
    floor
        .run(&format!(
            "run {plan} --bench at:bench --data d --hook {program} --operator 17 --work-order W4"
        ))
        .exits(0);
    sim.assert_locked_once(0);
    let asked = fs::read_to_string(floor.at("asked.jsonl")).unwrap();
    let asked: Vec<serde_json::Value> = asked
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let words: Vec<_> = asked
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["may-start", "result"]);
    for object in &asked {
        assert_eq!(
            (&object["slot"], &object["operator"], &object["work_order"]),
            (&"1113".into(), &"17".into(), &"W4".into())
        );
        assert_eq!(object["device"].as_str().unwrap().len(), 128);
    }
    assert_eq!(
        (&asked[1]["outcome"], &asked[1]["serial"]),
        (&"pass".into(), &"HOOK-0001".into())
    );
}

#[test]
fn without_a_yes_nothing_is_done_to_a_device() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 1);
    let refused = |program: &str, code: &str| {
        let words = format!(
            "run {plan} --bench at:bench --data d --serials {SERIALS} --expect 1 --hook {program} --hook-timeout 1 --json"
        );
        let done = floor.run(&words).exits(1);
        let objects = done.objects();
        let held: Vec<_> = objects.iter().filter(|object| object["kind"] == "held").collect();
        assert_eq!(held.len(), 1, "{done:?}");
        assert_eq!(held[0]["body"]["error"]["code"], code, "{done:?}");
        sim.assert_untouched(0, "Module1Complete");
    };
    refused("no-such-program", "hook.not-started");
    for (script, code) in [
        (r#"echo '{"message": "unit is blocked"}'; exit 3"#, "hook.refused"),
        ("exit 1", "hook.refused"),
        ("echo yes", "hook.answer"),
        (r#"echo '{"serial": "no serial at all"}'"#, "hook.answer"),
        ("exec sleep 1000", "hook.timeout"),
        // What it leaves behind keeps the pipe open.
        ("sleep 8 2>/dev/null & exit 0", "hook.timeout"),
    ] {
        let Some(program) = hook(&floor, script) else {
            return;
        };
        refused(&program, code);
    }
    assert_eq!(sim.count(0, "writes"), 0);
    // A result that nobody takes is no good end.
    let program = hook(&floor, r#"[ "$1" = may-start ]"#).unwrap();
    let words =
        format!("run {plan} --bench at:bench --data d --serials {SERIALS} --expect 1 --hook {program}");
    let done = floor.run(&words).exits(1);
    assert!(done.stderr.contains("hook.refused"), "{done:?}");
    sim.assert_locked_once(0);
}

#[test]
fn sockets_without_a_name_are_not_taken_where_the_station_says_so() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 2);
    floor.run("slots name 1113 A1 --data d").exits(0);
    floor.write("d/station.toml", "[slots]\nunknown = \"refuse\"\n");
    floor.write("serials.txt", "A1 NAMED-0001\n1123 NAMED-0002\n");
    let done = floor
        .run(&format!(
            "run {plan} --bench at:bench --data d --serials serials.txt"
        ))
        .exits(1);
    assert!(
        done.stdout.contains("slots.unknown") && done.stdout.contains("NAMED-0001"),
        "{done:?}"
    );
    sim.assert_locked_once(0);
    sim.assert_untouched(1, "Module1Complete");
    floor.write("d/station.toml", "[slots]\nunknown = 1\n");
    floor
        .run(&format!("run {plan} --bench at:bench --data d"))
        .fails(3, "station.policy");
}
