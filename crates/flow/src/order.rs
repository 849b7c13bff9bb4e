//! What somebody ordered, as far as it is needed to go on with it after the program ended.

use lineside_terms::{Digest, UnitSerial};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An order: what a person or a program asked for when a batch was begun. The engine does not follow it; who goes on
/// with the batch later reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// The plan as it was named: the whole path of a file, or `bundle:NAME`.
    pub named: String,
    /// The plan with all that it refers to.
    pub plan: Digest,
    /// The bundle that it came from, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// How many units must pass.
    pub units: u32,
    /// Serials for boards that come later, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<UnitSerial>,
    /// Boards come and go until somebody asks to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuous: Option<Continuous>,
    /// A program is asked before each run. Which one is not kept: a journal must not say what is started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_hook: bool,
    /// The order that this one goes on with: its event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<u64>,
}

/// How boards start that come and go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Continuous {
    /// True when a serial is scanned first.
    pub scans: bool,
    /// True when a key is pressed first. Without either plugging in is enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys: bool,
    /// For how many seconds a board must tell the same device id.
    pub stable_s: u64,
    /// A slot takes no more boards after so many failures in a row; 0: never stop.
    pub stop_after: u32,
}
