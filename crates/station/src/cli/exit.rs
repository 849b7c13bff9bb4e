//! Exit codes: a public table. Scripts rely on it, `docs/src/exit-codes.md` tells it.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything that was asked is so. For a run: every expected unit passed and is recorded.
    Good = 0,
    /// A unit failed, was held, did not answer or is unknown; a check did not pass; no board is there.
    NotGood = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The station is in trouble: disk, lock, bench, permissions.
    Station = 3,
    /// A plan, or something that it names, was refused. Nothing was done.
    Refused = 4,
    /// Somebody stopped it. Units under way can go on where they were.
    Stopped = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
