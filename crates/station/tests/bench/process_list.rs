//! What everybody on the computer can read of a process, and what programs get that it starts: no secret is among it.

use std::fs;

use crate::command::{Done, Lineside, is_foreign, until};
use crate::continuous::hook;
use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

/// A key for a network, as no plan and no line may say it.
const KEY: &str = "planted-passphrase";
/// What an approver knows.
const PHRASE: &str = "four planted words here";

/// Appends to a file what this process was given, and what is told of those that lead to it.
const SPY: &str = r#"
{
    echo "asked $0 $*"
    tr '\0' '\n' < /proc/$$/cmdline
    env
    process=$PPID
    while [ "$process" -gt 1 ]; do
        echo "cmdline of $(cat /proc/$process/comm)"
        tr '\0' ' ' < /proc/$process/cmdline
        echo
        process=$(sed 's/.*) . //' /proc/$process/stat | cut -d ' ' -f 1)
    done
    cat
} >> seen.txt
"#;

/// Every command line of a process of this user, as `ps` shows it.
fn process_list() -> String {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbered = processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    // Some end while we look.
    let lines = numbered.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n")
        .collect()
}

/// A program that is asked runs while a run holds the key of a network: from a file, and from the environment.
#[test]
fn whoever_is_asked_gets_no_secret_and_sees_none_on_a_command_line() {
    let floor = Floor::new();
    let Some(spy) = hook(&floor, SPY) else { return };
    let plan = floor.plan_of("wifi", &["wifi", "application", "ready", "lock", "final-look"]);
    let from_file = r#"psk-file = "sample-psk.txt""#;
    let real = fs::read_to_string(floor.at("plans/sample-psk.txt")).unwrap();
    let real = real.lines().next().unwrap();
    let work = format!("run {plan} --bench at:bench --serials {SERIALS} --expect 1 --hook {spy}");
    for source in ["file", "environment"] {
        let sim = Sim::start(&floor, 1);
        if source == "environment" {
            floor.edit(&plan, from_file, r#"psk-env = "FACTORY_PSK""#);
        }
        let run = floor.lineside(&format!("{work} --data {source}"));
        let run = match source {
            "file" => run,
            _ => run.env("FACTORY_PSK", real).env("OTHERWISE", "as-it-was"),
        };
        run.done().exits(0).never_says(real);
        sim.assert_locked_once(0);
        let seen = fs::read_to_string(floor.at("seen.txt")).unwrap();
        for expected in [
            "asked",
            "may-start",
            "result",
            "cmdline of lineside",
            "--hook",
            "SAMPLE-0001",
        ] {
            assert!(seen.contains(expected), "{source}: no {expected} in {seen}");
        }
        assert!(
            !seen.contains(real) && !seen.contains("FACTORY_PSK"),
            "{source}: {seen}"
        );
        // What is no secret is left as it is.
        assert_eq!(
            seen.contains("OTHERWISE=as-it-was"),
            source == "environment",
            "{seen}"
        );
        fs::remove_file(floor.at("seen.txt")).unwrap();
    }
}

/// A secret that comes from a file, the environment or standard input stays out of the list of processes while it is in use.
#[test]
fn no_secret_in_use_is_in_the_list_of_processes() {
    if is_foreign() {
        return;
    }
    let floor = Floor::new();
    floor.write("key.txt", format!("{KEY}\n"));
    floor.write("phrase.txt", format!("{PHRASE}\n"));
    // The board does not answer, so that whoever has its key goes on waiting.
    floor.write(
        "faults.json",
        r#"{"faults": [{"board": 0, "when": {"request": {"operation": "POST /wifi/config/networks", "times": 0}},
            "what": {"delay": {"ms": 600000}}}]}"#,
    );
    let sim = Sim::start_with(&floor, 1, "--faults faults.json");
    let add = "device wifi add floor --bench at:bench --data d --psk-from";
    for (from, place) in [
        ("file:key.txt", None),
        ("env:FACTORY_PSK", Some("FACTORY_PSK")),
        ("-", None),
    ] {
        let asked = sim.count(0, "writes");
        let adding = Lineside::new(floor.path(), format!("{add} {from}").split_whitespace());
        let adding = match (from, place) {
            ("-", _) => adding.input(&floor.at("key.txt")),
            (_, Some(name)) => adding.env(name, KEY),
            _ => adding,
        };
        let adding = adding.start();
        until("the key is with the board", || {
            (sim.count(0, "writes") > asked).then_some(())
        });
        let listed = process_list();
        assert!(listed.contains(&format!("--psk-from {from}")), "{listed}");
        assert!(!listed.contains(KEY), "{from}: {listed}");
        adding.kill().never_says(KEY);
        sim.until_free(0);
    }
    // Who asks for a pass-phrase waits for it: the other process on the way is this one.
    let enrol = "approve enrol --by qa-3 --passphrase file:phrase.txt -o qa-3.approver";
    let enrolling = floor.lineside(enrol).start();
    let listed = process_list();
    assert!(!listed.contains(PHRASE), "{listed}");
    enrolling.done().exits(0);
}

/// Whoever puts a secret on the command line is refused, and it is not repeated.
#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let words = PHRASE.replace(' ', "-");
    let device = "--bench at:bench --data d";
    let refused = |words: String| -> Done { floor.run(&words).exits(2) };
    for line in [
        format!("device wifi add floor {device} --psk-from {KEY}"),
        format!("device wifi add floor {device} --psk-from={KEY}"),
        format!("device wifi add floor {device} --psk {KEY}"),
        format!("device wifi add floor {device} --psk={KEY}"),
        format!("device network proxy set a 1 {device} --username u --password-from {KEY}"),
        format!("device certificate add c {device} --public p --key k --passphrase-from {words}"),
        format!("approve enrol --by qa-3 --passphrase {words} -o qa-3.approver"),
        format!("approve enrol --by qa-3 --passphrase={words} -o qa-3.approver"),
    ] {
        let done = refused(line);
        done.never_says(KEY);
        done.never_says(&words);
        assert!(
            done.stderr.contains("say where it is") || done.stderr.contains("unexpected argument"),
            "{done:?}"
        );
    }
    sim.assert_untouched(0, "Module1Complete");
    assert!(!floor.at("qa-3.approver").exists());
}
