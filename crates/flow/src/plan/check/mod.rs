//! What is wrong with a plan before any device sees it.
//!
//! [`check`] reads the plan for contradictions ([`head`], [`references`]), makes sure that every order of steps that
//! it allows comes to the same ([`order`]), and then follows one device through it ([`walk`]): manufacturing state,
//! what is on the device, which proof still stands.

mod head;
mod order;
mod references;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lineside_terms::{ComponentId, ImageId, ImageType, StepId};
use serde::{Deserialize, Serialize};

use super::{Name, Plan};

pub use references::{IMAGE_UNREAD, SET_UNREAD};

/// What the runner found in the files that a plan names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Given {
    /// What each image of the plan is. One that is missing here is told as unread, and checked as far as the plan
    /// itself goes.
    pub images: BTreeMap<Name, ImageFact>,
    /// What the recovery set of each `update-os` step is; as with images, one that is missing is told as unread.
    pub sets: BTreeMap<StepId, SetFact>,
    /// The versions that the OS list knows, if it was read.
    pub releases: Option<BTreeSet<String>>,
    /// Room for customers' images on a device in bytes, if it is known. No reference gives a figure.
    pub room: Option<u64>,
}

/// What one recovery set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetFact {
    /// The OS that it holds, by the plan's OS list, if that knows it.
    pub os: Option<String>,
}

/// What one image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFact {
    /// Its component.
    pub component: ComponentId,
    /// The build.
    pub image: ImageId,
    /// What kind of software it holds.
    pub image_type: ImageType,
    /// Whether devices on the line will trust its signature: signed by the security service, or by the simulated
    /// bench that the plan runs on.
    pub is_production_signed: bool,
    /// Whether it is dropped at the next boot (flag RemoveAtBoot, `image-package.md` 1.6).
    pub is_temporary: bool,
    /// TCP ports on which its manifest lets it listen (`image-package.md` 6.5).
    pub tcp_ports: BTreeSet<u16>,
    /// Pins and peripherals that its manifest claims, as text: `gpio 8`, `uart ISU0`.
    pub pins: BTreeSet<String>,
    /// Size of the package in bytes.
    pub size: u64,
}

/// One thing that is wrong, or looks wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code, `plan.what`.
    pub code: &'static str,
    /// Whether the plan is refused.
    pub severity: Severity,
    /// The key that it is about: `rf.policy`, `images.application`, `steps.lock.to` (steps by their names).
    pub place: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The plan runs, but perhaps not as meant.
    Warning,
    /// The plan is refused.
    Error,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.message, self.code)
    }
}

/// Says everything that is wrong with a plan, errors first, then in the order in which it was found. An empty
/// answer, or one with warnings only, means that the plan may run.
pub fn check(plan: &Plan, given: &Given) -> Vec<Finding> {
    let mut findings = Findings::default();
    head::check(plan, given, &mut findings);
    references::check(plan, given, &mut findings);
    // Without sound names and an order there is no way to follow.
    if let Some(order) = order::check(plan, &mut findings) {
        for state in head::states_to_follow(plan) {
            walk::check(plan, given, &order, state, &mut findings);
        }
    }
    let mut found = findings.found;
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// Collects findings; the same one is told once, however many ways lead to it.
#[derive(Default)]
struct Findings {
    found: Vec<Finding>,
}

impl Findings {
    fn error(
        &mut self,
        code: &'static str,
        place: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, code, place.into(), message.into(), help.into());
    }

    fn warning(
        &mut self,
        code: &'static str,
        place: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Warning, code, place.into(), message.into(), help.into());
    }

    fn add(&mut self, severity: Severity, code: &'static str, place: String, message: String, help: String) {
        if !self
            .found
            .iter()
            .any(|finding| finding.code == code && finding.place == place)
        {
            self.found.push(Finding {
                code,
                severity,
                place,
                message,
                help,
            });
        }
    }
}
