//! Approvals: units that wait, people who may and may not, quotas that are void after a restore.

use std::fs;

use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

const RUN: &str = "run bundle:short-1 --bench at:bench --data d --expect 1";

/// A provisioned station whose plan needs the leave of two people of quality.
fn floor() -> Floor {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let text = fs::read_to_string(floor.at(&plan)).unwrap();
    let (head, steps) = text.split_once("[[steps]]").unwrap();
    let approvals = "[approvals]\nlock = { role = \"quality\", people = 2 }\n\n";
    floor.write(&plan, format!("{head}{approvals}[[steps]]{steps}"));
    for key in ["engineering", "qa-1", "qa-2", "stranger"] {
        floor.run(&format!("bundle make-key -o {key}.pem")).exits(0);
    }
    let key = |name: &str| fs::read_to_string(floor.at(&format!("{name}.pem.pub"))).unwrap();
    let approver = |name: &str, roles: &str| {
        format!(
            "[[approvers]]\nid = '{name}'\nroles = [{roles}]\nkey = '''{}'''\n",
            key(name)
        )
    };
    floor.write(
        "administered.toml",
        format!(
            "bundle-keys = ['''{}''']\n{}{}",
            key("engineering"),
            approver("qa-1", "'quality'"),
            approver("qa-2", "'quality', 'night'")
        ),
    );
    floor
        .run(&format!("bundle make {plan} --name short-1 -o short.bundle"))
        .exits(0);
    floor
        .run("bundle sign short.bundle --key engineering.pem")
        .exits(0);
    floor
}

#[test]
fn a_unit_waits_for_two_people_and_is_locked_once() {
    let floor = floor();
    let sim = Sim::start(&floor, 1);
    let run = |words: &str| {
        floor
            .lineside(words)
            .env("LINESIDE_STATION_FILE", "administered.toml")
            .done()
    };
    run("bundle import short.bundle --data d").exits(0);
    let work = format!("{RUN} --serials {SERIALS}");
    let waits = run(&work).exits(1);
    assert!(
        waits.stdout.contains("[run.not-approved]") && waits.stdout.contains("2 more"),
        "{waits:?}"
    );
    sim.assert_untouched(0, "Module1Complete");
    let plan = run("records list --data d --json").exits(0).object()["plan"]
        .as_str()
        .unwrap()
        .to_owned();
    let make = |by: &str, key: &str, role: &str, more: &str| {
        let file = format!("{by}-{key}-{role}.approval");
        let words = format!(
            "approve make --plan {plan} --step lock --role {role} --by {by} --key {key}.pem --why first -o {file} {more}"
        );
        run(&words).exits(0);
        file
    };
    let grant = |file: &str| run(&format!("approve grant {file} --data d"));
    grant(&make("qa-1", "qa-1", "night", "--units 1")).fails(4, "approval.role");
    grant(&make("qa-1", "stranger", "quality", "--units 1")).fails(4, "approval.unknown-approver");
    grant(&make("stranger", "stranger", "quality", "--units 1")).fails(4, "approval.unknown-approver");
    grant(&make("qa-2", "qa-2", "night", "--units 1 --station line-9")).fails(4, "approval.other-station");
    let first = make("qa-1", "qa-1", "quality", "--units 1");
    let changed = fs::read_to_string(floor.at(&first))
        .unwrap()
        .replace("\"units\": 1", "\"units\": 9");
    floor.write("changed.approval", changed);
    grant("changed.approval").fails(4, "evidence.signature");
    floor
        .run(&format!("approve grant {first} --data d"))
        .fails(4, "approval.not-provisioned");
    grant(&first).exits(0);
    grant(&first).fails(4, "approval.replayed");
    let waits = run(&work).exits(1);
    assert!(waits.stdout.contains("1 more"), "{waits:?}");
    grant(&make("qa-2", "qa-2", "quality", "--units 3")).exits(0);
    let list = run("approve list --data d").exits(0);
    assert!(
        list.stdout.contains("1 of 1") && list.stdout.contains("3 of 3"),
        "{list:?}"
    );
    run(&work).exits(0);
    sim.assert_locked_once(0);
    let list = run("approve list --data d").exits(0);
    assert!(
        !list.stdout.contains("of 1") && list.stdout.contains("2 of 3"),
        "{list:?}"
    );

    // What is open cannot be spent by somebody whom the administrator took off the list.
    let administered = fs::read_to_string(floor.at("administered.toml")).unwrap();
    floor.write("administered.toml", administered.replace("'qa-2'", "'qa-3'"));
    run(&work).fails(4, "approval.not-genuine");
    floor.write("administered.toml", administered);

    // A backup knows nothing of what was spent since: after a restore nothing is left.
    fs::create_dir(floor.at("backups")).unwrap();
    let coverage = run("records coverage --data d --json").exits(1).object();
    assert_eq!(coverage["backed_up_to"], 0);
    run("records backup backups --data d").exits(0);
    let coverage = run("records coverage --data d --json").exits(1).object();
    assert_eq!(coverage["backed_up_to"], coverage["events"]);
    run("records checkpoint --kept-in paper --data d").exits(0);
    run("records coverage --data d").exits(0);
    run("records backup backups --data d").fails(4, "backup.exists");
    let backup = fs::read_dir(floor.at("backups"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let backup = format!("backups/{}", backup.to_string_lossy());
    run(&format!("records restore {backup} --data d")).fails(4, "backup.not-empty");
    run(&format!("records restore {backup} --data r")).exits(0);
    let list = run("approve list --data r").exits(0);
    assert_eq!(list.stderr, "nothing is left of any approval\n");
    run(&format!("approve grant {first} --data r")).fails(4, "approval.replayed");
    run("records verify --data r --anchor r/evidence/other-stations.txt").exits(0);
    let segment = floor.at(&format!("{backup}/journal/000000000001.journal"));
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    run(&format!("records restore {backup} --data s")).fails(4, "backup.damaged");
}

#[test]
fn names_of_people_are_forgotten_without_a_trace_in_the_journal() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    floor
        .run(&format!(
            "run {plan} --bench sim:1 --data d --serials {SERIALS} --expect 1 --operator op-17"
        ))
        .exits(0);
    floor
        .lineside("records operators name op-17 Ada-Person --data d")
        .done()
        .exits(0);
    assert!(
        floor
            .run("records operators list --data d")
            .exits(0)
            .stdout
            .contains("Ada-Person")
    );
    assert_eq!(floor.files_with("d", "Ada-Person").len(), 1);
    floor.run("records operators forget op-17 --data d").exits(0);
    assert!(floor.files_with("d", "Ada-Person").is_empty());
    floor
        .run("records operators forget op-17 --data d")
        .fails(2, "records.no-operator");
    floor.run("records verify --data d").exits(0);
}
