//! `lineside resume`: after a power cut it says what was open, why it goes on as it does, and goes on.

use std::fs;

use crate::command::{kills_at_once, until};
use crate::floor::{Floor, PLAN, SERIALS, assert_said};
use crate::sim::Sim;

fn run_of(plan: &str) -> String {
    format!("run {plan} --bench at:bench --data d --serials {SERIALS} --json")
}

#[test]
fn a_killed_batch_goes_on_by_effect() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 2);
    let words = format!("{} --expect 2 --work-order wo-7", run_of(PLAN));
    let mut run = floor.start(&words);
    let begun = r#""kind":"step-started","body":{"step":"functional-test""#;
    let mut times = 0;
    assert!(run.hears(|line| {
        times += usize::from(line.contains(begun));
        times == 2
    }));
    run.kill();
    (0..2).for_each(|board| sim.until_free(board));

    let done = floor.run("resume --data d").exits(0);
    let told: Vec<&str> = done.stderr.lines().take(5).collect();
    if kills_at_once() {
        assert_said!(told.join("\n"), @r"
        found: the batch of plans/thermostat.toml (plan  [hash]) on bench at:bench, begun [when]
        1113  unit SAMPLE-0001, device 8578d362: functional-test had begun; it only reads, so it is done again
        1123  unit SAMPLE-0002, device 9585e3a0: functional-test had begun; it only reads, so it is done again
        of 2 units all were begun
        records: d
        ");
    }
    assert!(done.stdout.ends_with("2 of 2 units passed\n"), "{done:?}");
    (0..2).for_each(|board| sim.assert_locked_once(board));
    floor.run("records verify --data d").exits(0);
    let show = floor
        .run("records show SAMPLE-0001 --data d --json")
        .exits(0)
        .object();
    assert_eq!(
        (&show["attempt"], &show["outcome"]),
        (&1.into(), &"pass".into()),
        "{show}"
    );

    // Then it is over, and says so.
    let over = floor.run("resume --data d").fails(2, "resume.nothing");
    assert!(
        over.stderr.contains("came to its end: 2 of 2 units passed"),
        "{over:?}"
    );
}

#[test]
fn an_act_of_unknown_outcome_is_asked_for_and_not_sent_again() {
    let floor = Floor::new();
    floor.write(
        "faults.json",
        r#"{"faults":[{"board":0,"when":{"request":{"operation":"PUT /device/manufacturing_state"}},
            "what":{"unplug":{"replug_after_ms":3000}}}]}"#,
    );
    let sim = Sim::start_with(&floor, 1, "--faults faults.json");
    let mut run = floor.start(&format!("{} --expect 1", run_of(PLAN)));
    assert!(run.hears(|line| line.contains(r#""kind":"board-gone""#)));
    run.kill();
    until("the board is back", || {
        let devices = floor.run("devices --bench at:bench");
        devices.stdout.contains("8578d362").then_some(())
    });

    let done = floor.run("resume --data d --json").exits(0);
    let open = done
        .objects()
        .into_iter()
        .find(|object| object["kind"] == "open-unit")
        .unwrap();
    assert_eq!(
        (&open["found"], &open["step"], &open["effect"], &open["serial"]),
        (
            &"intended".into(),
            &"lock".into(),
            &"irreversible".into(),
            &"SAMPLE-0001".into()
        ),
        "{open}"
    );
    assert!(
        open["why"].as_str().unwrap().contains("the device is asked"),
        "{open}"
    );
    let truth = &sim.ask()[0]["counters"];
    assert_eq!(truth["irreversible_applied"], 1, "{truth}");
    assert_eq!(
        floor.run("records open --data d").exits(0).stdout.trim(),
        "nothing is open"
    );
}

/// Begins a batch and kills it when its test application is loaded.
fn killed<'a>(floor: &'a Floor, plan: &str, more: &str) -> Sim<'a> {
    let sim = Sim::start(floor, 1);
    let mut run = floor.start(&format!("{} --expect 1 {more}", run_of(plan)));
    assert!(run.hears(|line| line.contains(r#""kind":"step-ended","body":{"step":"test-application""#)));
    run.kill();
    sim.until_free(0);
    sim
}

#[test]
fn a_plan_that_is_not_what_it_was_is_not_gone_on_with() {
    let floor = Floor::new();
    let sim = killed(&floor, PLAN, "");
    let (plan, list) = (
        fs::read(floor.at(PLAN)).unwrap(),
        floor.at("plans/simulated-os.json"),
    );
    let before = floor.run("records verify --data d --json").exits(0).object();

    floor.write(
        PLAN,
        String::from_utf8(plan.clone())
            .unwrap()
            .replace("attempt-limit = 3", "attempt-limit = 2"),
    );
    let said = floor.run("resume --data d").fails(4, "resume.plan-changed");
    let told = "plans/thermostat.toml is no longer the plan that the batch was begun with";
    assert!(said.stderr.contains(told), "{said:?}");
    // Nor with one that refers to other files.
    floor.write(PLAN, &plan);
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{text}\n")).unwrap();
    floor.run("resume --data d").fails(4, "resume.plan-changed");
    fs::write(&list, text).unwrap();
    fs::remove_file(floor.at(PLAN)).unwrap();
    floor.run("resume --data d").fails(4, "run.file");

    // Nothing was lost or written by any of them.
    let after = floor.run("records verify --data d --json").exits(0).object();
    assert_eq!(before["events"], after["events"]);
    sim.assert_untouched(0, "Module1Complete");
    floor.write(PLAN, &plan);
    floor.run("resume --data d").exits(0);
    sim.assert_locked_once(0);
}

#[test]
fn a_batch_with_a_hook_goes_on_only_with_a_hook() {
    let floor = Floor::new();
    if crate::command::is_foreign() {
        return;
    }
    floor.write("ask.sh", "#!/bin/sh\nexit 0\n");
    std::process::Command::new("chmod")
        .args(["+x"])
        .arg(floor.at("ask.sh"))
        .status()
        .unwrap();
    let hook = floor.at("ask.sh").display().to_string();
    let sim = killed(&floor, PLAN, &format!("--hook {hook}"));
    floor.run("resume --data d").fails(2, "resume.hook");
    floor.run(&format!("resume --data d --hook {hook}")).exits(0);
    sim.assert_locked_once(0);
}

#[test]
fn there_is_nothing_to_resume() {
    let floor = Floor::new();
    floor.run("resume --data d").fails(2, "resume.nothing");
    assert!(!floor.at("d").exists(), "looking makes no records");
    let run = format!("run {PLAN} --bench sim:1 --data d --serials {SERIALS} --expect 1");
    let mut run = floor.start(&run);
    assert!(run.says("test-application: pass"));
    run.kill();
    floor.run("resume --data d").fails(2, "resume.simulated");
}
