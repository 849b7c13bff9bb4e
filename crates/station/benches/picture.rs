//! How soon after a start the right picture of 64 slots is there: a batch on a simulated bench in a process of its own is
//! killed while it works, and gone on with by `lineside resume`.
//!
//! Two moments are told: when every unit that was open has been named with what it goes on with (from the journal), and
//! when every board has been seen and its device has said who it is (from the boards). The limit is for the second.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BOARDS: usize = 64;
const LIMIT: Duration = Duration::from_secs(2);
/// Batches that an old station has finished, and the units of each.
const PAST: (usize, usize) = (12, 256);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    picture(folder.path(), "new", 1, Kept::AsItIs);

    let (batches, units) = PAST;
    for batch in 2..2 + batches {
        let mut run = run(
            folder.path(),
            &format!("sim:{units},seed={batch},pace=fast"),
            batch,
            units,
        );
        hear(&mut run, |line| line.contains(r#""kind":"summary""#));
        assert!(run.wait().unwrap().success(), "a batch of the past did not pass");
    }
    let old = format!("{} units old", batches * units);
    picture(folder.path(), &old, 100, Kept::AsItIs);
    picture(folder.path(), &format!("{old}, nothing kept"), 101, Kept::Taken);
}

/// What an earlier start kept of the journal.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    AsItIs,
    /// Taken away before the start that is measured.
    Taken,
}

/// Cuts a batch in its middle and goes on with it.
fn picture(folder: &Path, whose: &str, batch: usize, kept: Kept) {
    let dir = format!("bench-{batch}");
    let seed = batch.to_string();
    let boards = BOARDS.to_string();
    let mut sim = start(
        folder,
        &["sim", "--boards", &boards, "--seed", &seed, "--dir", &dir],
    );
    hear(&mut sim, |line| line.contains("ready"));
    let mut run = run(folder, &format!("at:{dir}"), batch, BOARDS);
    // In the middle: half of the units have come to the functional test.
    let mut begun = 0;
    hear(&mut run, |line| {
        begun += usize::from(line.contains(r#""kind":"step-started","body":{"step":"functional-test""#));
        begun == BOARDS / 2
    });
    run.kill().unwrap();
    run.wait().unwrap();
    if kept == Kept::Taken {
        std::fs::remove_file(folder.join("d/snapshot.json")).unwrap();
    }

    let began = Instant::now();
    let mut resumed = start(folder, &["resume", "--data", "d", "--json"]);
    let (mut told, mut open) = (None, 0);
    let mut seen = BTreeSet::new();
    hear(&mut resumed, |line| {
        if line.contains(r#""kind":"open-unit""#) {
            open += 1;
            told = Some(began.elapsed());
        }
        if line.contains(r#""kind":"identified""#) {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            seen.insert(event["slot"].to_string());
        }
        seen.len() == BOARDS
    });
    let all = began.elapsed();
    for mut child in [resumed, sim] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    figure(
        &format!("{whose}: {open} open units told"),
        told.unwrap(),
        "",
        "report",
    );
    let verdict = if all <= LIMIT { "met" } else { "NOT MET" };
    figure(
        &format!("{whose}: right picture of {BOARDS} slots"),
        all,
        "≤ 2 s",
        verdict,
    );
}

/// A batch of the sample plan whose units have serials of their own.
fn run(folder: &Path, bench: &str, batch: usize, units: usize) -> Child {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans");
    let serials: String = (1..=units)
        .map(|unit| format!("UNIT-{batch:03}-{unit:04}\n"))
        .collect();
    std::fs::write(folder.join("serials.txt"), serials).unwrap();
    let plan = plans.join("thermostat.toml").display().to_string();
    let mut words = vec!["run", &plan, "--bench", bench, "--data", "d"];
    words.extend(["--serials", "serials.txt", "--json"]);
    start(folder, &words)
}

fn start(folder: &Path, words: &[&str]) -> Child {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lineside"));
    Command::new(program)
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads what a program says until this is so.
fn hear(child: &mut Child, mut is_enough: impl FnMut(&str) -> bool) {
    let pipe = BufReader::new(child.stdout.as_mut().unwrap());
    let found = pipe.lines().map_while(Result::ok).any(|line| is_enough(&line));
    assert!(found, "it ended before that");
}

fn figure(name: &str, value: Duration, limit: &str, verdict: &str) {
    println!(
        "{name:<62} {:>14}  {limit:<10} {verdict}",
        format!("{:.0} ms", value.as_secs_f64() * 1e3)
    );
}
