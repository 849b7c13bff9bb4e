//! Sessions whose answers are the same everywhere, as a person would type them: `sessions/*.trycmd`. Those that need
//! a bench of their own are in `bench/`.
//!
//! `TRYCMD=overwrite cargo test -p lineside-station --test sessions` writes down what the commands answer now.

use std::time::Duration;

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
    trycmd::TestCases::new()
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .timeout(PATIENCE)
        .case("tests/sessions/*.trycmd");
}
