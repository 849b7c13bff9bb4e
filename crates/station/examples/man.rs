//! Writes the manual pages of `lineside` and all its commands, for packages:
//!
//! ```sh
//! cargo run --example man -- target/man
//! ```
//!
//! They are made here and not in the program, which would be larger for it.

#![forbid(unsafe_code)]
#![allow(
    dead_code,
    unused_imports,
    reason = "only the command line of the program is looked at"
)]
#![allow(clippy::print_stderr, reason = "an example tells whoever runs it")]

#[path = "../src/cli/mod.rs"]
mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("name the folder to write to");
        return ExitCode::from(2);
    };
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| clap_mangen::generate_to(cli::command(), &folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
