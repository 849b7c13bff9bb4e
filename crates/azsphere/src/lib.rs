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

use parse::Wanted;

/// Does what a command line says: results go to standard output, all else to standard error. The exit code.
///
/// `program` is the name by which it was called, which chooses the generation unless something else does.
pub fn run(program: &str, tokens: &[String]) -> u8 {
    start::run(program, tokens)
}

/// What a command line means in one generation, by the name of its profile (`g1-2019`, `g1`, `g2`, `g3`): the command's usual
/// words; `--help` and `--version` for themselves. Nothing is done.
///
/// # Errors
/// What is told of a command line that is wrong; of a profile that there is not, that.
pub fn understand(profile: &str, tokens: &[String]) -> Result<String, String> {
    let profile = profile::named(profile).ok_or_else(|| format!("there is no profile {profile}"))?;
    match parse::parse(profile, tokens) {
        Ok(Wanted::Do(command, _)) => Ok(command.names_in(profile.of).next().unwrap_or_default().to_owned()),
        Ok(Wanted::Help(_)) => Ok("--help".to_owned()),
        Ok(Wanted::Version) => Ok("--version".to_owned()),
        Err(misuse) => Err(misuse.told(profile, tokens)),
    }
}
