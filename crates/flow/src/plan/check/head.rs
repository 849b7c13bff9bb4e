//! Contradictions among the keys above the steps.

use lineside_interlock::FORBIDDEN;
use lineside_terms::Effect;
use lineside_terms::ManufacturingState::{self, Blank, DeviceComplete, Unknown};

use super::{Findings, Given};
use crate::plan::{Action, Plan, Product, RfPolicy};

pub(super) fn check(plan: &Plan, given: &Given, findings: &mut Findings) {
    states(plan, findings);
    rf(plan, findings);
    os(plan, given, findings);
    expected(plan, findings);
    approvals(plan, findings);
    if plan.attempt_limit == 0 {
        findings.error(
            "plan.no-attempts",
            "attempt-limit",
            "an attempt limit of 0 lets no unit be tried at all",
            "Set `attempt-limit` to 1 or more.",
        );
    }
}

fn approvals(plan: &Plan, findings: &mut Findings) {
    for (step, need) in &plan.approvals {
        let place = format!("approvals.{step}");
        let is_irreversible = |found: &crate::plan::Step| found.action.effect() == Effect::Irreversible;
        if !plan
            .steps
            .iter()
            .any(|found| found.id == *step && is_irreversible(found))
        {
            findings.error(
                "plan.approval-step",
                &place,
                "no irreversible step has this name",
                "Name a step that does something irreversible, as `set-state` does.",
            );
        }
        let is_role =
            !need.role.trim().is_empty() && need.role.len() <= 40 && !need.role.contains(char::is_control);
        if !is_role || !(1..=2).contains(&need.people) {
            findings.error(
                "plan.approval-role",
                &place,
                "an approval needs a role of 1 to 40 characters, and one or two people",
                "Write `lock = { role = \"quality\", people = 1 }`.",
            );
        }
    }
}

/// The incoming states from which a device can be followed.
pub(super) fn states_to_follow(plan: &Plan) -> impl Iterator<Item = ManufacturingState> {
    plan.incoming
        .iter()
        .copied()
        .filter(|state| !matches!(state, Unknown | DeviceComplete))
}

fn states(plan: &Plan, findings: &mut Findings) {
    if plan.incoming.is_empty() {
        findings.error(
            "plan.no-incoming",
            "incoming",
            "no state is named in which a device may arrive",
            "Name at least one: Blank for chips as they leave their maker, Module1Complete for bought modules.",
        );
    }
    for (place, is_unknown) in [
        ("incoming", plan.incoming.contains(&Unknown)),
        ("final", plan.final_state == Unknown),
    ] {
        if is_unknown {
            findings.error(
                "plan.state-unknown",
                place,
                "`Unknown` is what a device says that does not know; no plan can count on it",
                "Name Blank, Module1Complete or DeviceComplete.",
            );
        }
    }
    if plan.incoming.contains(&DeviceComplete) {
        findings.error(
            "plan.incoming-locked",
            "incoming",
            "a device that is DeviceComplete when it arrives can neither be read nor loaded",
            "Take DeviceComplete out of `incoming`; units that are already complete are recognised without it.",
        );
    }
    if plan.kind == Product::Module && plan.final_state == DeviceComplete {
        findings.error(
            "plan.module-locked",
            "final",
            "a module must not be locked: its buyer could load nothing any more",
            "Let modules end in Blank or Module1Complete, or set `kind = \"device\"`.",
        );
    }
    if plan.kind == Product::Device && plan.final_state < DeviceComplete && plan.final_state != Unknown {
        findings.warning(
            "plan.leaves-unlocked",
            "final",
            format!(
                "devices leave in {}: whoever holds one can still change its software",
                plan.final_state
            ),
            "Set `final = \"DeviceComplete\"` for units that are shipped.",
        );
    }
    for state in
        states_to_follow(plan).filter(|state| *state > plan.final_state && plan.final_state != Unknown)
    {
        findings.error(
            "plan.final-behind",
            "final",
            format!(
                "a device that arrives in {state} cannot reach {}: states only move forward",
                plan.final_state
            ),
            "Take that state out of `incoming`, or choose a later `final`.",
        );
    }
}

fn rf(plan: &Plan, findings: &mut Findings) {
    let arrives_blank = plan.incoming.contains(&Blank);
    let arrives_later = plan.incoming.iter().any(|state| *state > Blank);
    match plan.rf.policy {
        RfPolicy::Here if arrives_later => findings.error(
            "plan.rf-incoming",
            "rf.policy",
            "`here` needs devices that arrive Blank: later, RF test mode is closed",
            "Set `incoming = [\"Blank\"]`, or `rf = { policy = \"supplier\" }` for bought modules.",
        ),
        RfPolicy::Supplier if arrives_blank => findings.error(
            "plan.rf-incoming",
            "rf.policy",
            "`supplier` says that the radio is tested already, but a device may arrive Blank, before any RF test",
            "Take Blank out of `incoming`, or choose `here` or `none`.",
        ),
        _ => {}
    }
    let moves_on = plan
        .steps
        .iter()
        .find(|step| matches!(step.action, Action::SetState(_)));
    if let (RfPolicy::Here, Some(step)) = (plan.rf.policy, moves_on) {
        findings.error(
            "plan.rf-not-done",
            format!("steps.{}", step.id),
            format!("`rf.policy` is `here`, but no step before `{}` tests the radio: it would be locked untested", step.id),
            "Test the radio at a station that can, and let this plan begin at Module1Complete with `supplier`; or say \
             `policy = \"none\"` with the reason.",
        );
    }
}

fn os(plan: &Plan, given: &Given, findings: &mut Findings) {
    if plan.os.versions.is_empty() {
        findings.error(
            "plan.no-os-versions",
            "os.versions",
            "no OS version is allowed, so no device can pass",
            "Name the versions that devices may have, for instance `versions = [\"24.06\"]`.",
        );
    }
    for version in &plan.os.versions {
        if given
            .releases
            .as_ref()
            .is_some_and(|releases| !releases.contains(version))
        {
            findings.error(
                "plan.os-not-listed",
                "os.versions",
                format!("the OS list does not know version {}", version.escape_debug()),
                "Use a list that names this version, or take the version out.",
            );
        }
    }
}

fn expected(plan: &Plan, findings: &mut Findings) {
    for (component, what) in FORBIDDEN {
        if plan.expect.allowed_components.contains(&component) {
            findings.error(
                "plan.allows-forbidden",
                "expect.allowed-components",
                format!("the {what} ({component}) must never be on a finished device"),
                "Take it out of `allowed-components`; a device that holds it cannot be shipped.",
            );
        }
    }
    let from_outside = [
        (
            "expect.certificates",
            !plan.expect.certificates.is_empty(),
            "stores certificates",
        ),
        ("expect.proxy", plan.expect.proxy.is_some(), "sets a proxy"),
    ];
    for (place, is_expected, what) in from_outside {
        if is_expected {
            findings.warning(
                "plan.expected-from-outside",
                place,
                format!("no step {what}: a device passes only if it arrives with them"),
                "Make sure that devices arrive so, or expect none.",
            );
        }
    }
}
