//! What every error that can reach a person must be able to say.

use std::error::Error;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who can mend it (design 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The device under work.
    Device,
    /// The interface board, its wiring, the cable or the hub.
    Board,
    /// A measuring instrument or access point.
    Instrument,
    /// The factory PC: disk, clock, permissions, configuration.
    Station,
    /// The plan or a file that it names.
    Plan,
    /// What was supplied: packages, lists, capability files, keys.
    Supply,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Device => "device",
            Self::Board => "board or cable",
            Self::Instrument => "instrument",
            Self::Station => "station",
            Self::Plan => "plan",
            Self::Supply => "supply",
        })
    }
}

/// An error that tells what to do about it.
///
/// `Display` says what was being done and went wrong in one sentence; the cause is its `source()`, and its text is
/// never repeated in the outer one.
pub trait Explain: Error {
    /// A stable code in lower-case words, `area.what-happened`; scripts and the troubleshooting pages rely on it.
    fn code(&self) -> &'static str;

    /// What the reader can do, in one or two sentences.
    fn help(&self) -> String;

    /// Who can mend it.
    fn blame(&self) -> Blame;
}

/// An error as it is told: what the journal keeps and every screen shows, free of types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// The stable code.
    pub code: String,
    /// What happened, with the whole chain of causes, outermost first.
    pub message: String,
    /// What the reader can do.
    pub help: String,
    /// Who can mend it.
    pub blame: Blame,
}

impl Told {
    /// Writes down an error with its causes.
    pub fn of(error: &dyn Explain) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self {
            code: error.code().to_owned(),
            message,
            help: error.help(),
            blame: error.blame(),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}
