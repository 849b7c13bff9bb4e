//! The `azsphere` command: what scripts for the vendor's tool call, over any bench.
//!
//! ```text
//! argv ──► profile ──► parse ──► work ──► JSON ──► layout or output ──► standard output
//!            └ data      └ commands (data)            └ data
//! ```

#![forbid(unsafe_code)]

mod bench;
mod commands;
mod grammar;
mod help;
mod layout;
mod output;
mod parse;
mod profile;
mod screen;
mod start;
mod station;
#[cfg(test)]
mod transcripts;
mod trouble;
mod work;

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_default();
    let tokens: Vec<String> = arguments.collect();
    start::run(&program, &tokens).into()
}
