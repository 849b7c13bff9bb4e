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

fn main() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans");
    let folder = tempfile::tempdir().unwrap();
    let serials: String = (1..=BOARDS).map(|n| format!("UNIT-{n:04}\n")).collect();
    std::fs::write(folder.path().join("serials.txt"), serials).unwrap();

    let mut sim = start(folder.path(), &["sim", "--boards", "64", "--dir", "bench"]);
    hear(&mut sim, |line| line.contains("ready"));
    let plan = plans.join("thermostat.toml").display().to_string();
    let words = [
        "run",
        &plan,
        "--bench",
        "at:bench",
        "--data",
        "d",
        "--serials",
        "serials.txt",
        "--json",
    ];
    let mut run = start(folder.path(), &words);
    // In the middle: half of the units have come to the functional test.
    let mut begun = 0;
    hear(&mut run, |line| {
        begun += usize::from(line.contains(r#""kind":"step-started","body":{"step":"functional-test""#));
        begun == BOARDS / 2
    });
    run.kill().unwrap();
    run.wait().unwrap();

    let began = Instant::now();
    let mut resumed = start(folder.path(), &["resume", "--data", "d", "--json"]);
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
        &format!("{open} open units told from the journal"),
        told.unwrap(),
        "",
        "report",
    );
    let verdict = if all <= LIMIT { "met" } else { "NOT MET" };
    figure("right picture of 64 slots after a start", all, "≤ 2 s", verdict);
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
