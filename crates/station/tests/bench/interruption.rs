//! Ctrl-C, and the power cut that nobody announces: the journal goes on where it was, and the device is the judge.

use crate::command::{Lineside, is_foreign, kills_at_once, until};
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
    note: made the key [key] of this station; it lives in a file that only this user may read
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

/// Moments at which a run is killed whatever it has said: in the functional test, where it waits for a second or two
/// with a connection open; with an intent, where nobody knows whether the request went out; and right after the lock.
const MOMENTS: [&str; 3] = [
    r#"{"step":"functional-test","attempt":1,"epoch""#,
    r#""kind":"intended""#,
    r#""verdict":"confirmed""#,
];

#[test]
fn kills_in_mid_run_leave_nothing_in_doubt() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let words = format!("run {PLAN} --bench at:bench --data d --serials {SERIALS} --expect 1 --json");
    // Where a kill takes a while the moments come first: a run that is killed at another one may go past them.
    let is_sudden = kills_at_once();
    let mut killed = 0;
    let mut moments = MOMENTS.to_vec();
    let last = loop {
        let survived = sim.count(0, "kills_survived");
        let mut run = floor.start(&words);
        let (mut lines, mut met) = (0, None);
        let is_killed = run.hears(|line| {
            lines += 1;
            met = moments.iter().position(|moment| line.contains(moment));
            met.is_some() || is_sudden && lines == LINES * (killed + 1)
        });
        if !is_killed {
            break run.done().exits(0);
        }
        run.kill();
        killed += 1;
        sim.until_free(0);
        if met.is_some_and(|met| moments.remove(met) == MOMENTS[0]) {
            let counted = || (sim.count(0, "kills_survived") > survived).then_some(());
            until("the bench sees a connection break", counted);
        }
    };
    assert!(killed >= if is_sudden { 4 } else { 2 }, "{killed}, {last:?}");
    assert!(
        !moments.contains(&MOMENTS[0]) && !moments.contains(&MOMENTS[1]),
        "{moments:?}"
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
    assert_eq!(show["attempt"], 1, "a kill is no new attempt: {show}");
}

#[test]
fn what_nobody_knows_is_listed_until_a_look_resolves_it() {
    let floor = Floor::new();
    floor.write(
        "faults.json",
        r#"{"faults":[{"board":0,"when":{"request":{"operation":"PUT /device/manufacturing_state"}},
            "what":{"unplug":{"replug_after_ms":3000}}}]}"#,
    );
    let sim = Sim::start_with(&floor, 1, "--faults faults.json");
    let words = format!("run {PLAN} --bench at:bench --data d --serials {SERIALS} --expect 1 --json");
    let mut run = floor.start(&words);
    assert!(run.hears(|line| line.contains(r#""kind":"board-gone""#)));
    run.kill();

    let open = floor.run("records open --data d").exits(1);
    let told = "whether device 8578d362 became DeviceComplete is not known: attach it again";
    assert!(open.stdout.contains(told), "{open:?}");
    let object = floor.run("records open --data d --json").exits(1).object();
    assert_eq!(
        (&object["kind"], &object["verdict"]),
        (&"open-intent".into(), &serde_json::Value::Null)
    );
    let list = floor.run("records list --data d").exits(0);
    assert!(list.stderr.contains(told), "{list:?}");

    until("the board is back", || {
        let devices = floor.run("devices --bench at:bench");
        devices.stdout.contains("8578d362").then_some(())
    });
    floor.run(&words).exits(0);
    assert_eq!(
        floor.run("records open --data d").exits(0).stdout.trim(),
        "nothing is open"
    );
    let truth = &sim.ask()[0]["counters"];
    assert_eq!(truth["irreversible_applied"], 1, "{truth}");
}

/// The disk is full for a while: the unit waits, amber, and goes on to its end within the same run.
#[test]
fn a_disk_that_is_full_for_a_while_costs_nothing_but_time() {
    if is_foreign() {
        return;
    }
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    // Files may grow to 12 KiB, until somebody says otherwise.
    let words = format!("run {PLAN} --bench at:bench --data d --serials {SERIALS} --expect 1 --json");
    let script = format!("trap '' XFSZ; ulimit -S -f 24; echo $$ > number; exec \"$0\" {words}");
    let mut run = Lineside::script(floor.path(), &script).start();
    assert!(
        run.hears(|line| line.contains(r#""kind":"store","is_up":false"#)),
        "{:?}",
        run.done()
    );
    assert!(
        run.says("nothing new starts"),
        "the operator is told on the other pipe"
    );
    let number = std::fs::read_to_string(floor.at("number")).unwrap();
    let status = std::process::Command::new("prlimit")
        .args(["--pid", number.trim(), "--fsize=unlimited:unlimited"])
        .status();
    assert!(status.unwrap().success());
    let done = run.done().exits(0);
    let objects = done.objects();
    let last = objects.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["is_pass"]),
        (&"summary".into(), &true.into())
    );
    let store: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "store")
        .collect();
    assert_eq!(store.len(), 2, "{store:?}");
    assert_eq!(
        (&store[0]["error"]["code"], &store[1]["is_up"]),
        (&"records.full".into(), &true.into())
    );
    sim.assert_locked_once(0);
    floor.run("records verify --data d").exits(0);
}
