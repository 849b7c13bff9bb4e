//! Size of the command, and how fast it starts, against an empty Rust program that is compiled on the spot.
//!
//! `cargo bench -p lineside-station --bench binary -- PROGRAM` measures the program that `.ci/release` made, which is
//! what the limits are about. Without a name it is the command as `cargo build --release` links it, with the
//! libraries of this machine: its start takes longer.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MOST_MEGABYTES: f64 = 15.0;
const MOST_RATIO: f64 = 1.5;
const RUNS: usize = 100;

fn main() {
    // Cargo says `--bench` as well.
    let named = std::env::args_os()
        .skip(1)
        .find(|argument| !argument.to_string_lossy().starts_with("--"));
    let is_released = named.is_some();
    let lineside = named.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_lineside")), PathBuf::from);
    println!(
        "the program: {}",
        if is_released {
            "as released"
        } else {
            "as built for this machine only"
        }
    );
    let lineside = lineside.as_path();
    let megabytes = std::fs::metadata(lineside).unwrap().len() as f64 / 1e6;
    figure(
        "size of the command",
        &format!("{megabytes:.2} MB"),
        "≤ 15",
        verdict(megabytes <= MOST_MEGABYTES),
    );

    let folder = tempfile::tempdir().unwrap();
    let (source, empty) = (folder.path().join("empty.rs"), folder.path().join("empty"));
    std::fs::write(&source, "fn main() {}\n").unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(rustc)
        .arg("-O")
        .arg("-o")
        .arg(&empty)
        .arg(&source)
        .status();
    assert!(compiled.unwrap().success(), "an empty program can be compiled");

    // In turns, so that whatever else this PC does touches both alike; the first of each only warms up.
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for nth in 0..=RUNS {
        let (one, other) = (start(lineside, &["--help"]), start(&empty, &[]));
        if nth > 0 {
            ours.push(one);
            bare.push(other);
        }
    }
    ours.sort_unstable();
    bare.sort_unstable();
    let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    figure(
        "`lineside --help`, median of 100",
        &millis(ours[RUNS / 2]),
        "",
        "report",
    );
    figure(
        "an empty Rust program, median of 100",
        &millis(bare[RUNS / 2]),
        "",
        "report",
    );
    println!("  fastest: {} and {}", millis(ours[0]), millis(bare[0]));
    let ratio = ours[RUNS / 2].as_secs_f64() / bare[RUNS / 2].as_secs_f64();
    figure(
        "`lineside --help` ÷ an empty Rust program",
        &format!("{ratio:.2} x"),
        "≤ 1.5",
        verdict(ratio <= MOST_RATIO),
    );
}

/// How long a program takes from its start to its end.
fn start(program: &Path, arguments: &[&str]) -> Duration {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status().unwrap();
    let took = began.elapsed();
    assert!(status.success());
    took
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "NOT MET" }
}

fn figure(name: &str, value: &str, limit: &str, verdict: &str) {
    println!("{name:<62} {value:>14}  {limit:<10} {verdict}");
}
