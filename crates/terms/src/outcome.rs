//! What a step does and how it ended.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a step does to the device, hence what may be done about it after a crash (design 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Changes nothing: do it again.
    Reads,
    /// Doing it twice equals doing it once: do it again.
    Repeatable,
    /// May have been done: look, then decide.
    LookFirst,
    /// Cannot be undone: asked of the device, never told again.
    Irreversible,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reads => "reads",
            Self::Repeatable => "repeatable",
            Self::LookFirst => "look first",
            Self::Irreversible => "irreversible",
        })
    }
}

/// How a measurement, a step or a run ended. Ordered from best to worst, so the worst of several is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All that was asked is so.
    Pass,
    /// Within the limit, but close to it.
    Marginal,
    /// Not done. Never a pass: whoever sums up must say what skipping means there.
    Skipped,
    /// The device or unit does not do what it must.
    Fail,
    /// The trial itself went wrong: board, cable, instrument, station or plan.
    Error,
    /// Nobody can say. Never a pass.
    Unknown,
}

impl Outcome {
    /// True only for outcomes that let a unit go on.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Pass | Self::Marginal)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Marginal => "marginal",
            Self::Skipped => "skipped",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Unknown => "unknown",
        })
    }
}
