//! Approvals: units that wait, people who may and may not, quotas that are void after a restore.

use std::fs;

use lineside_image::SigningKey;
use lineside_records::{SealKey, Sealer, Signature, seal};

use crate::command::until;
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
    run("records operators name qa-2 Grace-Person --data d").exits(0);
    let show = run("records show SAMPLE-0001 --data d").exits(0);
    assert!(
        show.stdout.contains("approved qa-1, quality: first\n")
            && show
                .stdout
                .contains("approved qa-2 (Grace-Person), quality: first\n"),
        "{show:?}"
    );
    let list = run("approve list --data d").exits(0);
    assert!(list.stdout.contains("qa-2 (Grace-Person)"), "{list:?}");
    run("records operators forget qa-2 --data d").exits(0);
    let list = run("approve list --data d").exits(0);
    list.never_says("Grace-Person");
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

/// An approver's key, as it is used at home.
struct Key(SigningKey);

impl Sealer for Key {
    fn key(&self) -> SealKey {
        SealKey::from_bytes(self.0.public_key().to_xy())
    }
    fn kept_in(&self) -> &str {
        "a file"
    }
    fn sign(&self, message: &[u8]) -> std::io::Result<Signature> {
        Ok(Signature(self.0.sign(message)))
    }
}

/// Writes an approval as `approve make` does, with an end that is told.
fn make_until(floor: &Floor, plan: &str, by: &str, until_ms: i64) -> String {
    let file = format!("{by}-{until_ms}.approval");
    let words = format!(
        "approve make --plan {plan} --step lock --role quality --by {by} --key {by}.pem --units 9 --why first -o made"
    );
    floor.run(&words).exits(0);
    let made = fs::read_to_string(floor.at("made")).unwrap();
    let (text, _) = made.trim_end().rsplit_once('\n').unwrap();
    let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
    document["until_ms"] = until_ms.into();
    let pem = fs::read_to_string(floor.at(&format!("{by}.pem"))).unwrap();
    let key = Key(SigningKey::from_pem(&pem).unwrap());
    floor.write(&file, seal(&format!("{document}\n"), &key).unwrap());
    file
}

/// What has expired, was used up or given before lets no unit be locked, whoever brings it and when.
#[test]
fn nothing_is_locked_by_an_approval_that_has_expired_or_is_used_up() {
    let floor = floor();
    let sim = Sim::start(&floor, 2);
    let run = |words: &str| {
        floor
            .lineside(words)
            .env("LINESIDE_STATION_FILE", "administered.toml")
            .done()
    };
    run("bundle import short.bundle --data d").exits(0);
    let work = format!("{} --serials {SERIALS}", RUN.replace("--expect 1", "--expect 2"));
    let waits = run(&work).exits(1);
    assert!(waits.stdout.contains("[run.not-approved]"), "{waits:?}");
    let plan = run("records list --data d --json").exits(0).objects()[0]["plan"]
        .as_str()
        .unwrap()
        .to_owned();
    let now = jiff::Timestamp::now().as_millisecond();
    let late = make_until(&floor, &plan, "qa-1", now - 1);
    run(&format!("approve grant {late} --data d")).fails(4, "approval.expired");
    let list = run("approve list --data d").exits(0);
    assert_eq!(list.stderr, "nothing is left of any approval\n");

    // Good when it was given, over when the batch is begun.
    let soon = make_until(&floor, &plan, "qa-1", now + 2_000);
    let lasting = make_until(&floor, &plan, "qa-2", now + 3_600_000);
    run(&format!("approve grant {lasting} --data d")).exits(0);
    let granted = run(&format!("approve grant {soon} --data d"));
    until("its time is over", || {
        (jiff::Timestamp::now().as_millisecond() >= now + 2_000).then_some(())
    });
    // A slow computer may have been too late with it, which comes to the same.
    if granted.status.success() {
        run(&format!("approve grant {soon} --data d")).fails(4, "approval.expired");
    } else {
        granted.fails(4, "approval.expired");
    }
    let waits = run(&work).exits(1);
    assert!(waits.stdout.contains("1 more"), "{waits:?}");
    for n in [0, 1] {
        sim.assert_untouched(n, "Module1Complete");
    }

    // For one unit of the two, and given twice.
    let words = format!(
        "approve make --plan {plan} --step lock --role quality --by qa-1 --key qa-1.pem --units 1 --why first -o one"
    );
    run(&words).exits(0);
    run("approve grant one --data d").exits(0);
    let waits = run(&work).exits(1);
    assert!(
        waits.stdout.contains("[run.not-approved]") && waits.stdout.contains("1 more"),
        "{waits:?}"
    );
    run("approve grant one --data d").fails(4, "approval.replayed");
    run(&work).exits(1);
    let locked = [0, 1].map(|n| sim.count(n, "irreversible_asked"));
    assert_eq!(locked.iter().sum::<u64>(), 1, "{locked:?}");
    run("records verify --data d").exits(0);
}

/// What was approved before a restore locks nothing after it; the screen says so, and new leave locks once.
#[test]
fn what_was_approved_before_a_restore_locks_nothing_and_the_screen_says_why() {
    let floor = floor();
    let sim = Sim::start(&floor, 1);
    let run = |words: &str| {
        floor
            .lineside(words)
            .env("LINESIDE_STATION_FILE", "administered.toml")
            .done()
    };
    run("bundle import short.bundle --data d").exits(0);
    let work = |folder: &str| {
        format!("run bundle:short-1 --bench at:bench --data {folder} --expect 1 --serials {SERIALS}")
    };
    run(&work("d")).exits(1);
    let plan = run("records list --data d --json").exits(0).object()["plan"]
        .as_str()
        .unwrap()
        .to_owned();
    let make = |by: &str, why: &str| {
        let file = format!("{by}-{why}.approval");
        let words = format!(
            "approve make --plan {plan} --step lock --role quality --by {by} --key {by}.pem --units 5 --why {why} -o {file}"
        );
        run(&words).exits(0);
        file
    };
    for by in ["qa-1", "qa-2"] {
        let before = make(by, "before");
        run(&format!("approve grant {before} --data d")).exits(0);
    }
    // All that is needed is there, and the next run would lock.
    fs::create_dir(floor.at("backups")).unwrap();
    run("records backup backups --data d").exits(0);
    let backup = fs::read_dir(floor.at("backups"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let backup = format!("backups/{}", backup.file_name().to_string_lossy());
    // Of these the backup knows nothing: one was given and may be spent, one was only signed.
    let given = make("qa-1", "since");
    run(&format!("approve grant {given} --data d")).exits(0);
    let signed = make("qa-2", "since");
    let restored = run(&format!("records restore {backup} --data r")).exits(0);
    assert!(
        restored.stdout.contains("open approvals are void"),
        "{restored:?}"
    );
    run("bundle import short.bundle --data r").exits(0);

    let why = "waits for the approval of 2 more in the role quality; what was approved before is void since the records were \
               restored from a backup";
    let waits = run(&work("r")).exits(1);
    assert!(waits.stdout.contains("[run.not-approved]"), "{waits:?}");
    let said = waits.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(why), "{waits:?}");
    for by in ["qa-1", "qa-2"] {
        run(&format!("approve grant {by}-before.approval --data r")).fails(4, "approval.replayed");
    }
    for since in [&given, &signed] {
        run(&format!("approve grant {since} --data r")).fails(4, "approval.before-restore");
    }
    run(&work("r")).exits(1);
    // Half of what is needed does not make up for what is void.
    let after = make("qa-1", "after");
    run(&format!("approve grant {after} --data r")).exits(0);
    let waits = run(&work("r")).exits(1);
    assert!(waits.stdout.contains("1 more"), "{waits:?}");
    sim.assert_untouched(0, "Module1Complete");

    let after = make("qa-2", "after");
    run(&format!("approve grant {after} --data r")).exits(0);
    run(&work("r")).exits(0);
    sim.assert_locked_once(0);
    let show = run("records show SAMPLE-0001 --data r").exits(0);
    assert!(
        show.stdout.contains("approved qa-1, quality: after\n")
            && show.stdout.contains("approved qa-2, quality: after\n"),
        "{show:?}"
    );
    show.never_says("quality: before");
    run("records verify --data r").exits(0);

    // The old folder has its quota still: it says that the device is locked, and asks it for nothing.
    run(&work("d")).exits(1);
    sim.assert_locked_once(0);
}

/// An approval that comes while the run is going: the unit waits, and goes on within the same run.
#[test]
fn an_approval_that_comes_during_a_run_lets_the_unit_go_on() {
    let floor = floor();
    let sim = Sim::start(&floor, 1);
    let of = |words: &str| {
        floor
            .lineside(words)
            .env("LINESIDE_STATION_FILE", "administered.toml")
    };
    of("bundle import short.bundle --data d").done().exits(0);
    let work = format!("{RUN} --serials {SERIALS} --json --approval-patience 100");
    let mut run = of(&work).start();
    assert!(run.hears(|line| line.contains(r#""code":"run.not-approved""#)));
    let list = floor.run("records list --data d --json").exits(0);
    let plan = list.object()["plan"].as_str().unwrap().to_owned();
    let make = |by: &str, more: &str| {
        let file = format!("{by}.approval");
        let words = format!(
            "approve make --plan {plan} --step lock --role quality --by {by} --key {by}.pem --why first -o {file} --units 1 {more}"
        );
        of(&words).done().exits(0);
        of(&format!("approve grant {file} --data d")).done()
    };
    make("qa-1", "--station line-9").fails(4, "approval.other-station");
    let taken = make("qa-1", "").exits(0);
    assert_eq!(taken.stdout, "approved; units that wait go on\n");
    // The run says that one more is missing, and that what was given already does not count twice.
    of("approve grant qa-1.approval --data d")
        .done()
        .fails(4, "approval.replayed");
    sim.assert_untouched(0, "Module1Complete");
    make("qa-2", "").exits(0);
    let done = run.done().exits(0);
    let kinds: Vec<_> = done
        .objects()
        .iter()
        .map(|object| object["kind"].to_string())
        .collect();
    let place = |kind: &str| kinds.iter().rposition(|found| found.contains(kind)).unwrap();
    assert!(
        place("approved") < place("run-continued") && place("run-continued") < place("intended"),
        "{kinds:?}"
    );
    sim.assert_locked_once(0);
    let left: Vec<_> = fs::read_dir(floor.at("d/approvals")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    floor.run("records verify --data d").exits(0);
}

/// Whoever has a pass-phrase has no file that signs: what is written down is public.
#[test]
fn a_pass_phrase_approves_and_is_found_nowhere() {
    let floor = floor();
    const PHRASE: &str = "four planted words here";
    let with = |words: &str, phrase: &str| {
        floor
            .lineside(words)
            .env("LINESIDE_STATION_FILE", "administered.toml")
            .env("PHRASE", phrase)
            .done()
    };
    let enrol = "approve enrol --by qa-3 --passphrase env:PHRASE -o qa-3.approver";
    with(enrol, "too short").fails(4, "approval.short-passphrase");
    with(enrol, PHRASE).exits(0);
    let credential = fs::read_to_string(floor.at("qa-3.approver")).unwrap();
    let administered = fs::read_to_string(floor.at("administered.toml")).unwrap();
    let lines = credential.replace("roles = []", "roles = ['quality']");
    floor.write("administered.toml", format!("{administered}{lines}"));
    let plan = "9b".repeat(32);
    let make = |by: &str, phrase: &str| {
        let words = format!(
            "approve make --plan {plan} --step lock --role quality --by {by} --credential qa-3.approver \
             --passphrase env:PHRASE --units 1 --why first -o qa-3.approval"
        );
        with(&words, phrase)
    };
    make("qa-3", "four planted words hers").fails(4, "approval.passphrase");
    make("qa-9", PHRASE).fails(2, "approval.credential");
    make("qa-3", PHRASE).exits(0);
    floor.write("phrase", format!("{PHRASE}\r\n"));
    let again = format!(
        "approve make --plan {plan} --step lock --role quality --by qa-3 --credential qa-3.approver \
         --passphrase file:phrase --units 1 --why first -o again.approval"
    );
    with(&again, "").exits(0);
    fs::remove_file(floor.at("phrase")).unwrap();
    with("approve grant qa-3.approval --data d", "").exits(0);
    let list = with("approve list --data d", "").exits(0);
    assert!(
        list.stdout.contains("qa-3") && list.stdout.contains("1 of 1"),
        "{list:?}"
    );
    assert!(
        floor.files_with(".", "planted").is_empty(),
        "the pass-phrase was written down"
    );
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
    let show = floor.run("records show SAMPLE-0001 --data d").exits(0);
    assert!(show.stdout.contains("operator op-17 (Ada-Person)"), "{show:?}");
    let list = floor.run("records list --data d").exits(0);
    assert!(list.stdout.contains("op-17 (Ada-Person)"), "{list:?}");
    floor
        .run("records certificate SAMPLE-0001 --data d -o c.json --html c.html")
        .exits(0);
    for words in [
        "records list --json",
        "records show SAMPLE-0001 --json",
        "records export runs",
        "records export devices",
        "records hand --json",
    ] {
        floor
            .run(&format!("{words} --data d"))
            .exits(0)
            .never_says("Ada-Person");
    }
    assert_eq!(floor.files_with("d", "Ada-Person").len(), 1);
    floor.run("records operators forget op-17 --data d").exits(0);
    assert!(floor.files_with(".", "Ada-Person").is_empty());
    for words in [
        "records list",
        "records show SAMPLE-0001",
        "records operators list",
    ] {
        let told = floor.run(&format!("{words} --data d")).exits(0);
        told.never_says("Ada-Person");
        assert_eq!(told.stdout.contains("op-17"), words != "records operators list");
    }
    floor
        .run("records operators forget op-17 --data d")
        .fails(2, "records.no-operator");
    floor.run("records verify --data d").exits(0);
}
