//! Sessions whose answers are the same everywhere, as a person would type them: `sessions/*.trycmd`. Those that need
//! a bench of their own are in `bench/`.
//!
//! They are the same on every system: `PROGRAM_UNDER_TEST` names another program to hold them with.
//!
//! `TRYCMD=overwrite cargo test -p lineside-station --test sessions` writes down what the commands answer now.

use std::path::PathBuf;
use std::time::Duration;

/// The program that is tested, unless it is the one that was built together with this.
const PROGRAM: &str = "PROGRAM_UNDER_TEST";

/// Longer than any of these takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn commands_answer_as_written_down() {
    // `--help` shows them, and other sessions would go elsewhere.
    let set: Vec<String> = std::env::vars()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("LINESIDE_"))
        .collect();
    assert!(set.is_empty(), "unset these first: {}", set.join(", "));
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    trycmd::TestCases::new()
        .register_bin(
            "lineside",
            program.unwrap_or_else(|| env!("CARGO_BIN_EXE_lineside").into()),
        )
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .timeout(PATIENCE)
        .case("tests/sessions/*.trycmd");
}
