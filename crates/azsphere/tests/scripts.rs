//! Sessions as a script would have them, on boards that are made anew each time: `scripts/*.trycmd`.
//!
//! `TRYCMD=overwrite cargo test -p lineside-azsphere --test scripts` writes down what the command answers now.

#[test]
fn the_command_answers_as_written_down() {
    assert!(
        std::env::var_os("AZSPHERE_PROFILE").is_none(),
        "unset AZSPHERE_PROFILE first"
    );
    trycmd::TestCases::new()
        .register_bin(
            "azsphere",
            std::path::PathBuf::from(env!("CARGO_BIN_EXE_azsphere")),
        )
        .env("LINESIDE_BENCH", "sim:2")
        .env("LINESIDE_DATA", "no-such-folder")
        .timeout(std::time::Duration::from_secs(60))
        .case("tests/scripts/*.trycmd");
}
