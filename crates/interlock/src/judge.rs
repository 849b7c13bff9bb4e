//! The ready-to-ship check: facts against expectation, check by check.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lineside_terms::{
    Capability, ComponentId, DeviceId, Digest, Epoch, ImageId, ImageType, Instant, ManufacturingState,
    Outcome, RunId, SecurityState,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::expectation::{Expectation, OsRelease};
use crate::facts::{ComponentFact, Facts, ImageFacts, Reading, SessionTag};

/// Components that a finished device must never hold: the RF test server and the debugger
/// (`device-rest-api.md` 5.3).
pub const FORBIDDEN: [(ComponentId, &str); 2] = [
    (
        ComponentId::from_u128(0x508eddf2_b8c3_4a99_93d9_a045d9a060eb),
        "RF test server",
    ),
    (
        ComponentId::from_u128(0x8548b129_b16f_4f84_8dbe_d2c847862e78),
        "debugger",
    ),
];

/// One thing that is checked. The order here is the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// Manufacturing state as expected.
    ManufacturingState,
    /// Security state is SECURE.
    SecurityState,
    /// Capabilities: in Blank exactly `[12]`, else none.
    Capabilities,
    /// OS version is allowed.
    Os,
    /// Every component has a class that may be there.
    Components,
    /// Customer images are exactly the expected ones.
    Images,
    /// Stored Wi-Fi networks are exactly the expected ones.
    Wifi,
    /// Stored certificates are exactly the expected ones.
    Certificates,
    /// The proxy is exactly the expected one.
    Proxy,
    /// Nothing staged, no update running, no restart pending.
    Pending,
    /// The device did not restart while it was read.
    Uptime,
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ManufacturingState => "manufacturing-state",
            Self::SecurityState => "security-state",
            Self::Capabilities => "capabilities",
            Self::Os => "os",
            Self::Components => "components",
            Self::Images => "images",
            Self::Wifi => "wifi",
            Self::Certificates => "certificates",
            Self::Proxy => "proxy",
            Self::Pending => "pending",
            Self::Uptime => "uptime",
        })
    }
}

/// One check and how it ended: pass, fail, or unknown when the device would not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What was checked.
    pub name: CheckName,
    /// Pass, fail or unknown.
    pub outcome: Outcome,
    /// What was expected, for people.
    pub expected: String,
    /// What was found, for people.
    pub found: String,
    /// The run whose recorded proof stands in for what a locked device no longer says.
    pub covered_by: Option<RunId>,
}

/// What the run knows that the device cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFacts {
    /// The run.
    pub run: RunId,
    /// Hash of the plan with all that it refers to.
    pub plan: Digest,
    /// Whether every step that the act depends on has passed since the last thing that voided it.
    pub is_every_needed_step_passed: bool,
}

/// A proof from the records for exactly this device, made before it was locked. It covers what it proved and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The device that was proven.
    pub device: DeviceId,
    /// The run that proved it.
    pub run: RunId,
    /// The checks as they were recorded.
    pub checks: Vec<Check>,
}

impl Earlier {
    /// The component under which an image was proven to be there.
    pub fn component_of(&self, image: ImageId) -> Option<ComponentId> {
        let images = self.checks.iter().find(|check| check.name == CheckName::Images)?;
        let pairs = images.expected.split(' ').filter_map(|pair| pair.split_once('='));
        let mut known =
            pairs.filter_map(|(component, of)| Some((component.parse().ok()?, of.parse::<ImageId>().ok()?)));
        known.find(|(_, of)| *of == image).map(|(component, _)| component)
    }

    /// True when the record shows that this was checked against the same expectation and passed.
    fn covers(&self, check: &Check) -> bool {
        self.checks.iter().any(|proven| {
            proven.name == check.name && proven.outcome == Outcome::Pass && proven.expected == check.expected
        })
    }
}

/// That a device is ready, right now; where [`Expectation::is_state_alone`], no more than in which state it is. Comes only
/// from [`judge`]; it cannot be made, cloned, stored or read back:
///
/// ```compile_fail
/// fn twice(proof: lineside_interlock::ReadyProof) -> (lineside_interlock::ReadyProof, lineside_interlock::ReadyProof) {
///     (proof.clone(), proof)
/// }
/// ```
/// ```compile_fail
/// fn store(proof: &lineside_interlock::ReadyProof) -> String {
///     serde_json::to_string(proof).unwrap()
/// }
/// ```
#[derive(Debug)]
#[must_use = "a proof that is not used was made for nothing"]
pub struct ReadyProof {
    pub(crate) device: DeviceId,
    pub(crate) plan: Digest,
    pub(crate) run: RunId,
    pub(crate) epoch: Epoch,
    pub(crate) session: SessionTag,
    pub(crate) writes: u64,
    pub(crate) uptime_s: u64,
    pub(crate) state: ManufacturingState,
    pub(crate) digest: Digest,
    pub(crate) taken_at: Instant,
}

impl ReadyProof {
    /// Digest of the facts that it rests on, for the record.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// What [`judge`] found.
#[derive(Debug)]
pub struct Judgement {
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// The proof, if every check passed on what the device said itself just now.
    pub proof: Option<ReadyProof>,
}

impl Judgement {
    /// The worst of all checks.
    pub fn outcome(&self) -> Outcome {
        self.checks
            .iter()
            .map(|check| check.outcome)
            .max()
            .unwrap_or(Outcome::Unknown)
    }
}

/// What a component is to a finished device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Part of the OS release that the device runs.
    Os,
    /// The customer's: applications, board configuration.
    Customer,
    /// Named by the plan as allowed.
    Allowed,
    /// Must not be there.
    Forbidden,
    /// In no list.
    Unlisted,
}

/// Says what a component is, given the OS release that the device runs.
pub fn classify(
    component: &ComponentFact,
    release: Option<&OsRelease>,
    allowed: &BTreeSet<ComponentId>,
) -> Class {
    if FORBIDDEN.iter().any(|(id, _)| *id == component.component) {
        return Class::Forbidden;
    }
    if allowed.contains(&component.component) {
        return Class::Allowed;
    }
    let in_release = release.is_some_and(|release| {
        release
            .pairs
            .iter()
            .any(|pair| pair.component == component.component && Some(pair.image) == component.image)
    });
    if in_release {
        // A default capability file is part of a release; anybody else's is not.
        return Class::Os;
    }
    if component.image_type == ImageType::FIRMWARE_CONFIG {
        return Class::Forbidden;
    }
    if component.image_type.is_customers() {
        Class::Customer
    } else {
        Class::Unlisted
    }
}

/// Compares what was read with what is expected. `earlier` is a recorded proof of the same device from before it was
/// locked; it can turn *unknown* into pass, but never yields a new [`ReadyProof`].
pub fn judge(expected: &Expectation, facts: &Facts, run: &RunFacts, earlier: Option<&Earlier>) -> Judgement {
    let mut checks = if expected.is_state_alone {
        vec![state(expected, facts), uptime(facts)]
    } else {
        all_checks(expected, facts)
    };

    if let Some(earlier) = earlier.filter(|earlier| earlier.device == facts.device) {
        for check in checks
            .iter_mut()
            .filter(|check| check.outcome == Outcome::Unknown && earlier.covers(check))
        {
            check.outcome = Outcome::Pass;
            check.covered_by = Some(earlier.run);
        }
    }
    let is_live = checks
        .iter()
        .all(|check| check.outcome == Outcome::Pass && check.covered_by.is_none());
    let proof = (is_live && run.is_every_needed_step_passed).then(|| ReadyProof {
        device: facts.device,
        plan: run.plan,
        run: run.run,
        epoch: facts.epoch,
        session: facts.session,
        writes: facts.writes,
        uptime_s: facts.uptime_last_s,
        state: expected.state,
        digest: facts.digest(),
        taken_at: facts.taken_at,
    });
    Judgement { checks, proof }
}

fn all_checks(expected: &Expectation, facts: &Facts) -> Vec<Check> {
    let release = release_of(expected, facts);
    vec![
        state(expected, facts),
        security(facts),
        capabilities(facts),
        os(expected, facts, release),
        components(expected, facts, release),
        images(expected, facts),
        names(CheckName::Wifi, &expected.wifi, &facts.wifi),
        names(
            CheckName::Certificates,
            &expected.certificates,
            &facts.certificates,
        ),
        proxy(expected, facts),
        pending(facts),
        uptime(facts),
    ]
}

/// A check of something that was read; what was not read is unknown, whatever the reason.
fn of<T>(
    name: CheckName,
    expected: String,
    reading: &Reading<T>,
    look: impl FnOnce(&T) -> (bool, String),
) -> Check {
    let (outcome, found) = match reading {
        Reading::Read(value) => match look(value) {
            (true, found) => (Outcome::Pass, found),
            (false, found) => (Outcome::Fail, found),
        },
        Reading::Refused => (Outcome::Unknown, "the device refuses to say".to_owned()),
        Reading::NotAvailable => (Outcome::Unknown, "this OS has no such call".to_owned()),
        Reading::NotAsked => (Outcome::Unknown, "not asked".to_owned()),
    };
    Check {
        name,
        outcome,
        expected,
        found,
        covered_by: None,
    }
}

fn state(expected: &Expectation, facts: &Facts) -> Check {
    of(
        CheckName::ManufacturingState,
        expected.state.to_string(),
        &facts.state,
        |state| {
            (
                *state == expected.state && *state != ManufacturingState::Unknown,
                state.to_string(),
            )
        },
    )
}

fn security(facts: &Facts) -> Check {
    of(
        CheckName::SecurityState,
        SecurityState::Secure.to_string(),
        &facts.security,
        |state| (*state == SecurityState::Secure, state.to_string()),
    )
}

/// A Blank device always has RF test mode and nothing else (`device-rest-api.md` 2.3).
fn capabilities(facts: &Facts) -> Check {
    let wanted: &[Capability] = match facts.state.read() {
        Some(ManufacturingState::Blank) => &[Capability::RF_TEST_MODE],
        _ => &[],
    };
    of(
        CheckName::Capabilities,
        list(wanted),
        &facts.capabilities,
        |found| (found == wanted, list(found)),
    )
}

/// The newest release in the file, allowed or not, of which the device holds every pair.
fn release_of<'a>(expected: &'a Expectation, facts: &Facts) -> Option<&'a OsRelease> {
    release_held(&expected.os_releases, facts.images.read()?)
}

/// The newest release of which every pair is held. Files name releases in either order, so newest means the greatest
/// version; a release without pairs is never held.
pub fn release_held<'a>(releases: &'a [OsRelease], images: &ImageFacts) -> Option<&'a OsRelease> {
    let held: BTreeSet<(ComponentId, ImageId)> = images
        .components
        .iter()
        .filter_map(|c| Some((c.component, c.image?)))
        .collect();
    releases
        .iter()
        .filter(|release| !release.pairs.is_empty())
        .filter(|release| {
            release
                .pairs
                .iter()
                .all(|pair| held.contains(&(pair.component, pair.image)))
        })
        .max_by_key(|release| version_key(&release.name))
}

/// Versions compare by their numbers, then as text.
fn version_key(name: &str) -> (Vec<u64>, &str) {
    (
        name.split('.').map(|part| part.parse().unwrap_or(0)).collect(),
        name,
    )
}

/// What the device says decides, if it says something; else what it holds. Both, where both are known, must agree.
fn os(expected: &Expectation, facts: &Facts, release: Option<&OsRelease>) -> Check {
    let wanted = if expected.os_versions.is_empty() {
        "an allowed version (none is named)".to_owned()
    } else {
        expected.os_versions.join(" or ")
    };
    let is_allowed = |version: &str| expected.os_versions.iter().any(|allowed| allowed == version);
    let by_images = release.map(|release| release.name.as_str());
    match (&facts.os_version, by_images) {
        (Reading::Read(said), Some(held)) if said != held && !facts_hold(expected, facts, said) => Check {
            name: CheckName::Os,
            outcome: Outcome::Fail,
            expected: wanted,
            found: format!("the device says {said}, its images are those of {held}"),
            covered_by: None,
        },
        (Reading::Read(said), _) => of(CheckName::Os, wanted, &Reading::Read(said), |said| {
            (is_allowed(said), (*said).clone())
        }),
        (Reading::NotAvailable | Reading::NotAsked, Some(held)) => {
            of(CheckName::Os, wanted, &Reading::Read(held), |held| {
                (is_allowed(held), format!("{held} (by its images)"))
            })
        }
        (Reading::NotAvailable | Reading::NotAsked, None) if facts.images.read().is_some() => {
            of(CheckName::Os, wanted, &Reading::Read(()), |()| {
                (false, "images of no known release".to_owned())
            })
        }
        (other, _) => of(CheckName::Os, wanted, other, |_| (false, String::new())),
    }
}

/// True when the device holds every pair of the named release, even if a newer one matches as well.
fn facts_hold(expected: &Expectation, facts: &Facts, version: &str) -> bool {
    let only = Expectation {
        os_releases: expected
            .os_releases
            .iter()
            .filter(|release| release.name == version)
            .cloned()
            .collect(),
        ..Expectation::bare(expected.state, Vec::new(), Vec::new())
    };
    release_of(&only, facts).is_some()
}

fn components(expected: &Expectation, facts: &Facts, release: Option<&OsRelease>) -> Check {
    let wanted = "OS, customer and allowed components only".to_owned();
    of(CheckName::Components, wanted, &facts.images, |images| {
        let wrong: Vec<String> = images
            .components
            .iter()
            .filter_map(
                |component| match classify(component, release, &expected.allowed_components) {
                    Class::Os | Class::Customer | Class::Allowed => None,
                    Class::Forbidden => Some(format!("forbidden: {}", describe(component))),
                    Class::Unlisted => Some(format!("in no list: {}", describe(component))),
                },
            )
            .collect();
        let found = if wrong.is_empty() {
            format!("{} components", images.components.len())
        } else {
            wrong.join("; ")
        };
        (wrong.is_empty(), found)
    })
}

fn describe(component: &ComponentFact) -> String {
    let name: String = component
        .name
        .chars()
        .filter(|c| !c.is_control())
        .take(31)
        .collect();
    format!("{} ({}, {})", component.component, component.image_type, name)
}

fn images(expected: &Expectation, facts: &Facts) -> Check {
    let wanted = if expected.images.is_empty() {
        "none".to_owned()
    } else {
        expected
            .images
            .iter()
            .map(|(component, image)| format!("{component}={image}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    of(CheckName::Images, wanted, &facts.images, |images| {
        let mut held: BTreeMap<ComponentId, Vec<Option<ImageId>>> = BTreeMap::new();
        for component in &images.components {
            let is_other = expected.allowed_components.contains(&component.component)
                && !expected.images.contains_key(&component.component);
            let is_forbidden = FORBIDDEN.iter().any(|(id, _)| *id == component.component);
            if component.image_type.is_customers() && !is_other && !is_forbidden {
                held.entry(component.component).or_default().push(component.image);
            }
        }
        let mut wrong = Vec::new();
        for (component, image) in &expected.images {
            match held.remove(component).as_deref() {
                None => wrong.push(format!("missing: {component}")),
                Some([Some(found)]) if found == image => {}
                Some([Some(found)]) => wrong.push(format!("{component} holds image {found}")),
                Some(_) => wrong.push(format!("{component} is listed without one clear image")),
            }
        }
        wrong.extend(held.keys().map(|component| format!("not expected: {component}")));
        let found = match (wrong.is_empty(), expected.images.is_empty()) {
            (true, true) => "none".to_owned(),
            (true, false) => "exactly these".to_owned(),
            (false, _) => wrong.join("; "),
        };
        (wrong.is_empty(), found)
    })
}

fn names(name: CheckName, expected: &BTreeSet<String>, reading: &Reading<Vec<String>>) -> Check {
    let wanted: Vec<&str> = expected.iter().map(String::as_str).collect();
    of(name, list(&wanted), reading, |found| {
        let mut sorted: Vec<&str> = found.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        (sorted == wanted, list(&sorted))
    })
}

fn proxy(expected: &Expectation, facts: &Facts) -> Check {
    let show = |proxy: &Option<crate::facts::ProxyFact>| match proxy {
        None => "none".to_owned(),
        Some(proxy) => {
            format!(
                "{}:{} ({})",
                proxy.address,
                proxy.port,
                if proxy.is_enabled { "enabled" } else { "disabled" }
            )
        }
    };
    // An OS without the call knows no proxy that could be set (`device-rest-api.md` 3: that of 20.05).
    if facts.proxy == Reading::NotAvailable {
        return of(
            CheckName::Proxy,
            show(&expected.proxy),
            &Reading::Read(()),
            |()| {
                (
                    expected.proxy.is_none(),
                    "none: this OS knows no proxy".to_owned(),
                )
            },
        );
    }
    of(CheckName::Proxy, show(&expected.proxy), &facts.proxy, |found| {
        (*found == expected.proxy, show(found))
    })
}

fn pending(facts: &Facts) -> Check {
    of(
        CheckName::Pending,
        "nothing".to_owned(),
        &facts.images,
        |images| {
            let staged = images.has_staged_updates
                || images
                    .components
                    .iter()
                    .any(|component| component.is_update_staged);
            let wrong: Vec<&str> = [
                (staged, "something is staged"),
                (images.is_update_in_progress, "an update is running"),
                (images.is_restart_required, "a restart is pending"),
            ]
            .into_iter()
            .filter_map(|(is_so, text)| is_so.then_some(text))
            .collect();
            (
                wrong.is_empty(),
                if wrong.is_empty() {
                    "nothing".to_owned()
                } else {
                    wrong.join(", ")
                },
            )
        },
    )
}

fn uptime(facts: &Facts) -> Check {
    let is_steady = facts.uptime_last_s >= facts.uptime_first_s;
    Check {
        name: CheckName::Uptime,
        outcome: if is_steady { Outcome::Pass } else { Outcome::Fail },
        expected: "no restart while reading".to_owned(),
        found: if is_steady {
            format!("{} s", facts.uptime_last_s)
        } else {
            "the device restarted".to_owned()
        },
        covered_by: None,
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    // Names come from the device: keep them printable and short.
    let text = items.iter().map(T::to_string).collect::<Vec<_>>().join(", ");
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(300)
        .collect()
}
