//! Names that lead nowhere, files that are not what the plan takes them for, parameters that contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use lineside_interlock::FORBIDDEN;
use lineside_terms::Effect;

use super::{Findings, Given};
use crate::plan::{Action, Plan, Role, Step};

/// More tries than this hide a fault instead of passing over a hiccup.
const MOST_RETRIES: u32 = 10;

/// The code of the finding that an image was not read.
pub const IMAGE_UNREAD: &str = "plan.image-unread";

/// The code of the finding that a recovery set was not read.
pub const SET_UNREAD: &str = "plan.image-set-unread";

pub(super) fn check(plan: &Plan, given: &Given, findings: &mut Findings) {
    for step in &plan.steps {
        names(plan, step, findings);
        parameters(step, findings);
        recovery_set(plan, given, step, findings);
    }
    images(plan, given, findings);
    ports(plan, given, findings);
}

fn names(plan: &Plan, step: &Step, findings: &mut Findings) {
    if let Some(image) = step
        .action
        .image()
        .filter(|image| !plan.images.contains_key(*image))
    {
        findings.error(
            "plan.unknown-image",
            format!("steps.{}.image", step.id),
            format!(
                "step `{}` names the image `{image}`, which the plan does not have",
                step.id
            ),
            format!(
                "Add `[images.{image}]`, or name one of: {}.",
                list(plan.images.keys())
            ),
        );
    }
    for instrument in step
        .instruments
        .iter()
        .filter(|name| !plan.instruments.contains_key(*name))
    {
        findings.error(
            "plan.unknown-instrument",
            format!("steps.{}.instruments", step.id),
            format!(
                "step `{}` asks for the instrument `{instrument}`, which the plan does not have",
                step.id
            ),
            format!(
                "Add `[instruments.{instrument}]`, or name one of: {}.",
                list(plan.instruments.keys())
            ),
        );
    }
}

fn recovery_set(plan: &Plan, given: &Given, step: &Step, findings: &mut Findings) {
    let Action::UpdateOs(update) = &step.action else {
        return;
    };
    let (place, set) = (format!("steps.{}.images", step.id), &update.images);
    match given.sets.get(&step.id) {
        None => findings.warning(
            SET_UNREAD,
            place,
            format!("the recovery set `{set}` was not read"),
            "Check the plan where its files are.",
        ),
        Some(super::SetFact { os: None }) => findings.error(
            "plan.image-set-unnamed",
            place,
            format!("no version in `os.list` has the images of the recovery set `{set}`"),
            "Take the list that came with the set, so that its OS can be recognised on devices.",
        ),
        Some(super::SetFact { os: Some(os) }) if !plan.os.versions.contains(os) => findings.error(
            "plan.image-set-os",
            place,
            format!("the recovery set `{set}` holds OS {os}, which `os.versions` does not allow"),
            "Name a set of an OS that the plan expects, or add its version to `os.versions`.",
        ),
        Some(_) => {}
    }
}

fn parameters(step: &Step, findings: &mut Findings) {
    let id = &step.id;
    if step.retries > 0 && step.action.effect() == Effect::Irreversible {
        findings.error(
            "plan.retry-irreversible",
            format!("steps.{id}.retries"),
            format!("step `{id}` cannot be undone and is never sent twice"),
            "Take `retries` out; what became of it is found by looking at the device.",
        );
    } else if step.retries > MOST_RETRIES {
        findings.error(
            "plan.too-many-retries",
            format!("steps.{id}.retries"),
            format!("step `{id}` would be tried {} times more", step.retries),
            format!("Set `retries` to {MOST_RETRIES} or less."),
        );
    }
    match &step.action {
        Action::WifiTest(test) if step.timeout <= test.connect_timeout => findings.error(
            "plan.timeout-too-short",
            format!("steps.{id}.timeout"),
            format!(
                "step `{id}` ends after {}, before {} for connecting are over",
                step.timeout, test.connect_timeout
            ),
            "Give the step more time than `connect-timeout`, or leave `timeout` out.",
        ),
        Action::FunctionalTest(test) => {
            let mut names = BTreeSet::new();
            for limit in test.measure.iter().filter(|limit| !names.insert(&limit.name)) {
                findings.error(
                    "plan.measured-twice",
                    format!("steps.{id}.measure"),
                    format!("step `{id}` judges the measurement `{}` twice", limit.name),
                    "Give each measurement one limit.",
                );
            }
            if test.measure.is_empty() {
                findings.warning(
                    "plan.nothing-measured",
                    format!("steps.{id}.measure"),
                    format!("step `{id}` only asks whether the application answers"),
                    "Add `[[steps.measure]]` with limits for what the product must do.",
                );
            }
        }
        _ => {}
    }
}

fn images(plan: &Plan, given: &Given, findings: &mut Findings) {
    let mut components = BTreeMap::new();
    for (name, image) in &plan.images {
        let place = format!("images.{name}");
        let Some(fact) = given.images.get(name) else {
            findings.warning(
                IMAGE_UNREAD,
                place,
                format!(
                    "image `{name}` was not read, so its signature, type, ports and pins are not checked"
                ),
                "Check the plan where its files are.",
            );
            continue;
        };
        if !fact.is_production_signed {
            findings.error(
                "plan.not-production-signed",
                place.clone(),
                format!("image `{name}` is not production-signed: it loads only on a developer's board"),
                "Have the security service sign it, and name the signed package.",
            );
        }
        if fact.image_type != image.role.image_type() {
            findings.error(
                "plan.wrong-image-type",
                place.clone(),
                format!(
                    "image `{name}` holds {}, its role needs {}",
                    fact.image_type,
                    image.role.image_type()
                ),
                "Name the right package, or correct `role`.",
            );
        }
        if fact.is_temporary && image.role.stays() {
            findings.error(
                "plan.would-vanish",
                place.clone(),
                format!("image `{name}` should stay, but is marked to be removed at the next boot"),
                "Build it without the temporary mark, or give it `role = \"temporary\"`.",
            );
        }
        if FORBIDDEN
            .iter()
            .any(|(component, _)| *component == fact.component)
        {
            findings.error(
                "plan.forbidden-component",
                place.clone(),
                format!("image `{name}` is a component that no finished device may hold"),
                "Take it out of the plan.",
            );
        }
        if let Some(other) = components.insert(fact.component, name) {
            findings.error(
                "plan.component-twice",
                place,
                format!(
                    "images `{other}` and `{name}` have the same component id: one would replace the other"
                ),
                "Give each application its own component id.",
            );
        }
    }
}

fn ports(plan: &Plan, given: &Given, findings: &mut Findings) {
    for step in &plan.steps {
        let Action::FunctionalTest(test) = &step.action else {
            continue;
        };
        if plan
            .images
            .get(&test.image)
            .is_some_and(|image| image.role == Role::BoardConfig)
        {
            findings.error(
                "plan.not-an-application",
                format!("steps.{}.image", step.id),
                format!(
                    "step `{}` wants answers from `{}`, which is a board configuration",
                    step.id, test.image
                ),
                "Name an application.",
            );
        } else if given
            .images
            .get(&test.image)
            .is_some_and(|fact| !fact.tcp_ports.contains(&test.port))
        {
            findings.error(
                "plan.port-not-open",
                format!("steps.{}.port", step.id),
                format!(
                    "the manifest of `{}` does not let it listen on TCP port {}",
                    test.image, test.port
                ),
                "Add the port to `AllowedTcpServerPorts` of its manifest, or correct `port`.",
            );
        }
    }
}

fn list<'a>(names: impl Iterator<Item = &'a crate::plan::Name>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        "none, so far".to_owned()
    } else {
        names.join(", ")
    }
}
