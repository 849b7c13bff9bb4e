//! Ctrl-C, and the power cut that nobody announces: the journal goes on where it was, and the device is the judge.

use crate::command::until;
use crate::floor::{Floor, PLAN, SERIALS, assert_said};
use crate::sim::Sim;

#[test]
fn ctrl_c_ends_in_a_told_state() {
    let floor = Floor::new();
    let plan = floor.plan_of(
        "long",
        &[
            "test-application",
            "functional-test",
            "remove-test-application",
            "application",
            "ready",
            "lock",
            "final-look",
        ],
    );
    let sim = Sim::start(&floor, 1);
    let words = format!("run {plan} --bench at:bench --data d --serials {SERIALS} --expect 1");
    let mut run = floor.start(&words);
    assert!(run.says("test-application: pass"));
    run.interrupt();
    let stopped = run.done().exits(130);
    assert_said!(stopped.stdout, @r"
    slot  device  serial  outcome  time  what to do
    1113  8578d362  SAMPLE-0001  INTERRUPTED  somebody asked to stop [run.cancelled] Run the same command again: the unit goes on where it was.
    0 of 1 units passed
    ");
    assert_said!(stopped.stderr, @r"
    records: d
    1113  run 1 of unit SAMPLE-0001, device 8578d362
    1113  test-application: pass ([n] bytes)
    stopping: steps under way end in a told state; once more to stop at once
    1113  functional-test: pass
    1113  somebody asked to stop [run.cancelled]
    ");
    sim.assert_untouched(0, "Module1Complete");
    let list = floor.run("records list --data d").exits(0);
    assert_said!(list.stdout, @r"
    run  began  serial  device  outcome  error
    [run]  [when]  SAMPLE-0001  8578d362  open
    ");

    let on = floor.run(&words).exits(0);
    assert!(
        on.stderr.contains("goes on with remove-test-application"),
        "it does not begin again: {on:?}"
    );
    sim.assert_locked_once(0);
    floor.run("records verify --data d").exits(0);
}

/// How much the first run may say before it is killed, and how much more each of the next.
const LINES: usize = 7;

#[test]
fn kills_in_mid_run_leave_nothing_in_doubt() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let words = format!("run {PLAN} --bench at:bench --data d --serials {SERIALS} --expect 1 --json");
    let (mut killed, mut killed_at_the_lock, mut not_done) = (0, 0, 0);
    let last = loop {
        let survived = sim.count(0, "kills_survived");
        let mut run = floor.start(&words);
        let mut left = LINES * (killed + 1);
        let mut is_the_worst = false;
        let is_killed = run.hears(|line| {
            left -= 1;
            // The worst moment there is: the intent is durable, and nobody knows whether the request went out.
            is_the_worst = killed_at_the_lock == 0 && line.contains(r#""kind":"intended""#);
            left == 0 || is_the_worst
        });
        if is_killed {
            run.kill();
            killed += 1;
            if is_the_worst {
                killed_at_the_lock += 1;
                until("the bench sees a connection break", || {
                    (sim.count(0, "kills_survived") > survived).then_some(())
                });
            }
            continue;
        }
        let done = run.done();
        if done.objects().last().unwrap()["is_pass"] == true {
            break done.exits(0);
        }
        // It did not go out: a look after a reset has shown so, and the unit is tried again.
        let done = done.exits(1);
        assert_eq!(
            done.objects().last().unwrap()["slots"][0]["error"]["code"],
            "unit.not-done",
            "{done:?}"
        );
        not_done += 1;
    };
    assert!(
        killed >= 4 && killed_at_the_lock == 1 && not_done <= 1,
        "{killed}, {not_done}, {last:?}"
    );
    sim.assert_locked_once(0);
    assert_eq!(
        floor.run("records verify --data d --json").exits(0).object()["is_sound"],
        true
    );
    let show = floor
        .run("records show SAMPLE-0001 --data d --json")
        .exits(0)
        .object();
    assert_eq!(show["outcome"], "pass", "{show}");
    assert_eq!(
        show["attempt"],
        1 + not_done,
        "a kill alone is no new attempt: {show}"
    );
}
