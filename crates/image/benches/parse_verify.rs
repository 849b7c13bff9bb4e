//! How fast a package is parsed and its signature verified, against the vendor's Python package on the same file in the
//! same run.
//!
//! Three figures, because they mean different things: *parse* is the work of the two parsers; *parse + verify, warm* is
//! dominated on both sides by one P-256 verification in native code, which no parser can make faster; *one file, cold*
//! is what a person waits for when one package is checked from the command line, interpreter start included.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lineside_image::{Package, TrustList, Verdict, classify};

/// What the product promises over the vendor's parser.
const LIMIT: f64 = 50.0;

fn main() {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = workspace.join("../shared/data/images/azure_sphere_blink.imagepackage");
    // The cold figure needs a program that does the one thing: this one, when asked.
    if std::env::args().nth(1).as_deref() == Some("--one-file") {
        check(&std::fs::read(file).unwrap());
        return;
    }
    let bytes = std::fs::read(&file).unwrap_or_else(|error| {
        panic!(
            "the benchmark needs the real file {} ({error}); see ../shared/data/README.md",
            file.display()
        )
    });
    let venv = std::env::var_os("LINESIDE_PEERS_VENV")
        .map_or_else(|| workspace.join("target/peers-venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(
        python.exists(),
        "the vendor's Python packages are not at {}: run `.ci/peers`",
        venv.display()
    );

    let (vendor_parse, vendor_verify) = vendor(&python, &file, 200);
    let parse = best_of_five(20_000, || drop(black_box(Package::parse(black_box(&bytes)))));
    let verify = best_of_five(500, || check(black_box(&bytes)));
    let vendor_cold = best_of_five(1, || {
        vendor(&python, &file, 0);
    });
    let this = std::env::current_exe().unwrap();
    let cold = best_of_five(1, || {
        assert!(Command::new(&this).arg("--one-file").status().unwrap().success())
    });

    println!(
        "azure_sphere_blink.imagepackage, {} bytes; limit: {LIMIT} x",
        bytes.len()
    );
    println!("{:<24}{:>14}{:>14}{:>12}", "", "vendor, µs", "ours, µs", "ratio");
    for (name, theirs, ours) in [
        ("parse", vendor_parse, parse),
        ("parse + verify, warm", vendor_verify, verify),
        ("one file, cold", vendor_cold, cold),
    ] {
        let ratio = theirs / ours;
        let met = if ratio >= LIMIT { "met" } else { "NOT met" };
        println!(
            "{name:<24}{:>14.2}{:>14.2}{ratio:>10.1} x  {met}",
            theirs * 1e6,
            ours * 1e6
        );
    }
}

fn check(bytes: &[u8]) {
    assert_eq!(classify(bytes, &TrustList::new()).verdict, Verdict::SdkSigned);
}

/// Seconds per round: the best of five, as the vendor's side is measured too.
fn best_of_five(rounds: u32, mut work: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
        let start = Instant::now();
        (0..rounds).for_each(|_| work());
        best = best.min(start.elapsed() / rounds);
    }
    best.as_secs_f64()
}

/// Seconds per parse and per parse + verify. Without rounds: one file and nothing else, as a script would do it.
fn vendor(python: &Path, file: &Path, rounds: u32) -> (f64, f64) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/vendor.py");
    let output = Command::new(python)
        .arg(script)
        .arg(file)
        .arg(rounds.to_string())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let mut seconds = text.split_whitespace().map(|number| number.parse().unwrap());
    (seconds.next().unwrap_or(0.0), seconds.next().unwrap_or(0.0))
}
