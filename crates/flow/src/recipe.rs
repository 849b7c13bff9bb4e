//! What the engine needs of a plan: no paths, no bytes, nothing that can change under a run.

use std::collections::BTreeMap;

use lineside_interlock::{Expectation, Requirement, Verb};
use lineside_terms::{Digest, Effect, ManufacturingState, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A plan as the engine follows it. Made by the runner once, before a run starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recipe {
    /// Hash over the canonical plan and the digest of everything that it refers to.
    pub plan: Digest,
    /// The product.
    pub product: String,
    /// States in which a device may arrive.
    pub incoming: Vec<ManufacturingState>,
    /// The state in which it leaves.
    pub target: ManufacturingState,
    /// How many runs of one device may fail before it is held.
    pub attempt_limit: u32,
    /// What is done, in the order of the plan.
    pub steps: Vec<RecipeStep>,
    /// What the device must be before it is locked.
    pub expectation: Expectation,
    /// Whose leave the irreversible steps need.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<StepId, Requirement>,
}

/// One step as the engine sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecipeStep {
    /// Its name in the plan.
    pub id: StepId,
    /// What it does, for people: `load-image application`.
    pub label: String,
    /// What it does to the device.
    pub effect: Effect,
    /// Who does it.
    pub work: Work,
    /// Indices of the steps that must have passed before.
    pub needs: Vec<usize>,
    /// How often it is tried again after an error.
    pub retries: u32,
    /// Instruments that it needs, all at once.
    pub instruments: Vec<String>,
}

/// Who does a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// The runner does what the plan says at this place.
    Perform,
    /// The engine judges facts that the runner reads.
    Prove,
    /// Something irreversible, with a permit.
    Act {
        /// What.
        verb: Verb,
        /// Towards which state.
        target: ManufacturingState,
    },
}
