//! Follows one device through the plan: its state, what it holds, which proof still stands.

use std::collections::{BTreeMap, BTreeSet};

use lineside_terms::ManufacturingState::{self, DeviceComplete, Unknown};

use super::order::restarts;
use super::{Findings, Given};
use crate::plan::{Action, Kind, Name, Plan, Product, Ssid, Step, Voided};

pub(super) fn check(
    plan: &Plan,
    given: &Given,
    order: &[usize],
    incoming: ManufacturingState,
    findings: &mut Findings,
) {
    let mut walk = Walk {
        plan,
        given,
        findings,
        state: incoming,
        resident: BTreeSet::new(),
        gone: BTreeMap::new(),
        wifi: BTreeSet::new(),
        proof: Proof::None,
        moved_by: None,
        updated_by: None,
        worked: None,
    };
    for step in order {
        walk.take(&plan.steps[*step]);
    }
    walk.arrive(order);
}

struct Walk<'a> {
    plan: &'a Plan,
    given: &'a Given,
    findings: &'a mut Findings,
    state: ManufacturingState,
    resident: BTreeSet<&'a Name>,
    /// Images that were there, and the step that ended it.
    gone: BTreeMap<&'a Name, &'a Step>,
    wifi: BTreeSet<&'a Ssid>,
    proof: Proof<'a>,
    /// The step that moved the state.
    moved_by: Option<&'a Step>,
    /// The step that wrote the OS.
    updated_by: Option<&'a Step>,
    /// The first step whose outcome an erase would undo.
    worked: Option<&'a Step>,
}

#[derive(Clone, Copy)]
enum Proof<'a> {
    None,
    Stands,
    Void(&'a Step),
}

impl<'a> Walk<'a> {
    fn take(&mut self, step: &'a Step) {
        self.after_the_move(step);
        match &step.action {
            Action::UpdateOs(_) => self.update(step),
            Action::LoadImage(load) => self.load(step, &load.image),
            Action::FunctionalTest(test) => self.must_hold(step, &test.image),
            Action::RemoveImage(remove) => self.remove(step, &remove.image),
            Action::WifiTest(test) => {
                if self.wifi.contains(&test.ssid) {
                    self.findings.error(
                        "plan.wifi-stored-twice",
                        format!("steps.{}.ssid", step.id),
                        format!(
                            "step `{}` stores a network that the device already has stored",
                            step.id
                        ),
                        "Test each network once, or remove it in between (`keep = false`).",
                    );
                }
                if test.keep {
                    self.wifi.insert(&test.ssid);
                }
            }
            Action::ReadyCheck(_) => self.compare(),
            Action::SetState(set) => self.move_to(step, set.to),
            Action::OsVersion(_) | Action::Restart(_) | Action::FinalLook(_) => {}
        }
        if !matches!(step.action.kind(), Kind::UpdateOs | Kind::Restart) {
            self.worked = self.worked.or(Some(step));
        }
        if restarts(self.plan, step) {
            self.drop_temporary(step);
        }
        if let (Proof::Stands, true) = (self.proof, step.action.voids().contains(&Voided::ReadyProof)) {
            self.proof = Proof::Void(step);
        }
        if let Action::ReadyCheck(_) = step.action {
            self.proof = Proof::Stands;
        }
    }

    /// After the state was moved, only a look from outside is left.
    fn after_the_move(&mut self, step: &Step) {
        let Some(moved_by) = self.moved_by else { return };
        let (id, lock) = (&step.id, &moved_by.id);
        match step.action.kind() {
            // A second move is told as one that leads nowhere.
            Kind::FinalLook | Kind::SetState => {}
            Kind::OsVersion => self.findings.warning(
                "plan.os-version-after-lock",
                format!("steps.{id}"),
                format!("step `{id}` reads the OS version after `{lock}`: devices with an old OS no longer tell it then"),
                format!("Put it before `{lock}`."),
            ),
            Kind::FunctionalTest | Kind::ReadyCheck if self.state == DeviceComplete => self.findings.error(
                "plan.reads-locked",
                format!("steps.{id}"),
                format!("step `{id}` reads what the device no longer tells after `{lock}`"),
                format!("Put it before `{lock}`; after it only `final-look` can see anything."),
            ),
            _ => self.findings.error(
                "plan.lock-not-last",
                format!("steps.{id}"),
                format!("step `{id}` comes after `{lock}`, which must be the last but for `final-look`"),
                format!("Put it before `{lock}`."),
            ),
        }
    }

    /// Everything on the device is erased, so nothing may have been done with it before.
    fn update(&mut self, step: &'a Step) {
        let id = &step.id;
        if let Some(first) = self.updated_by {
            self.findings.error(
                "plan.update-os-twice",
                format!("steps.{id}"),
                format!("step `{id}` writes the OS that `{}` has written", first.id),
                "Leave one of them.",
            );
        }
        match self.worked {
            Some(before) if before.action.kind() == Kind::OsVersion => self.findings.error(
                "plan.os-version-before-update",
                format!("steps.{}", before.id),
                format!(
                    "step `{}` refuses devices whose OS step `{id}` is there to update",
                    before.id
                ),
                format!("Put it after `{id}`."),
            ),
            Some(before) => self.findings.error(
                "plan.update-os-late",
                format!("steps.{id}"),
                format!("step `{id}` erases what `{}` has done before", before.id),
                format!("Put it before `{}`.", before.id),
            ),
            None => {}
        }
        self.updated_by = Some(step);
        let erased = std::mem::take(&mut self.resident);
        self.gone.extend(erased.into_iter().map(|name| (name, step)));
        self.wifi.clear();
    }

    fn load(&mut self, step: &Step, image: &'a Name) {
        if self.resident.contains(image) {
            self.findings.warning(
                "plan.loaded-twice",
                format!("steps.{}.image", step.id),
                format!(
                    "step `{}` loads `{image}`, which is on the device already",
                    step.id
                ),
                "Take the step out; the device passes over an image that it holds.",
            );
        }
        if let Some(fact) = self.given.images.get(image) {
            let others = self.resident.iter().filter(|other| **other != image);
            let others: Vec<_> = others
                .filter_map(|other| Some((*other, self.given.images.get(*other)?)))
                .collect();
            for (other, theirs) in &others {
                let pins: Vec<String> = fact.pins.intersection(&theirs.pins).cloned().collect();
                let ports: Vec<String> = fact
                    .tcp_ports
                    .intersection(&theirs.tcp_ports)
                    .map(|port| format!("TCP port {port}"))
                    .collect();
                for (code, shared) in [("plan.pin-conflict", pins), ("plan.port-conflict", ports)] {
                    if !shared.is_empty() {
                        self.findings.error(
                            code,
                            format!("steps.{}.image", step.id),
                            format!(
                                "`{image}` and `{other}` would be on the device together and both want {}",
                                shared.join(", ")
                            ),
                            format!("Remove `{other}` first, or change one of the manifests."),
                        );
                    }
                }
            }
            let size = others
                .iter()
                .fold(fact.size, |sum, (_, fact)| sum.saturating_add(fact.size));
            if let Some(room) = self.given.room.filter(|room| size > *room) {
                self.findings.error(
                    "plan.no-room",
                    format!("steps.{}.image", step.id),
                    format!(
                        "with `{image}` the images take {size} bytes, and the device has room for {room}"
                    ),
                    "Remove what is not needed first, or make the images smaller.",
                );
            }
        }
        self.gone.remove(image);
        self.resident.insert(image);
    }

    fn must_hold(&mut self, step: &Step, image: &'a Name) {
        if self.resident.contains(image) {
            return;
        }
        let why = match self.gone.get(image) {
            Some(by) if by.action.kind() == Kind::RemoveImage => format!("`{}` has removed it", by.id),
            Some(by) => format!("it is dropped when the device boots in `{}`", by.id),
            None => "no step before has loaded it".to_owned(),
        };
        self.findings.error(
            "plan.not-resident",
            format!("steps.{}.image", step.id),
            format!(
                "step `{}` wants answers from `{image}`, which is not on the device: {why}",
                step.id
            ),
            format!("Load `{image}` before, and remove it after."),
        );
    }

    fn remove(&mut self, step: &'a Step, image: &'a Name) {
        if self.resident.remove(image) {
            self.gone.insert(image, step);
        } else if !self.gone.contains_key(image) {
            self.findings.error(
                "plan.removes-what-is-not-there",
                format!("steps.{}.image", step.id),
                format!(
                    "step `{}` removes `{image}`, which no step before has loaded",
                    step.id
                ),
                "Take the step out, or name the image that was loaded.",
            );
        }
    }

    fn drop_temporary(&mut self, step: &'a Step) {
        let given = self.given;
        let mut dropped = Vec::new();
        self.resident.retain(|name| {
            let stays = !given.images.get(*name).is_some_and(|fact| fact.is_temporary);
            if !stays {
                dropped.push(*name);
            }
            stays
        });
        self.gone.extend(dropped.into_iter().map(|name| (name, step)));
    }

    /// What a ready-to-ship check would find, as far as the plan decides it.
    fn compare(&mut self) {
        for (name, image) in &self.plan.images {
            let place = format!("images.{name}");
            match (image.role.stays(), self.resident.contains(name)) {
                (true, false) => self.findings.error(
                    "plan.image-not-loaded",
                    place,
                    format!(
                        "image `{name}` belongs on a finished device, but is not there when it is checked"
                    ),
                    "Load it before the ready-to-ship check, or take it out of the plan.",
                ),
                (false, true) => self.findings.error(
                    "plan.temporary-left",
                    place,
                    format!("image `{name}` is temporary, but still on the device when it is checked"),
                    format!("Add a `remove-image` step for `{name}` before."),
                ),
                _ => {}
            }
        }
        for ssid in &self.wifi {
            if !self.plan.expect.wifi.contains(*ssid) {
                self.findings.error(
                    "plan.wifi-left",
                    "expect.wifi",
                    format!("the network `{ssid}` stays on the device, and `expect.wifi` does not name it"),
                    "Set `keep = false`, or add the network to `expect.wifi`.",
                );
            }
        }
        for ssid in self
            .plan
            .expect
            .wifi
            .iter()
            .filter(|ssid| !self.wifi.contains(*ssid))
        {
            let is_removed = self.plan.steps.iter().any(
                |step| matches!(&step.action, Action::WifiTest(test) if test.ssid == *ssid && !test.keep),
            );
            if is_removed {
                self.findings.error(
                    "plan.wifi-missing",
                    "expect.wifi",
                    format!("the network `{ssid}` is expected on the device, but its test removes it"),
                    "Set `keep = true` in the test, or take the network out of `expect.wifi`.",
                );
            } else {
                self.findings.warning(
                    "plan.expected-from-outside",
                    "expect.wifi",
                    format!(
                        "no step stores the network `{ssid}`: a device passes only if it arrives with it"
                    ),
                    "Make sure that devices arrive so, or take the network out of `expect.wifi`.",
                );
            }
        }
    }

    fn move_to(&mut self, step: &'a Step, to: ManufacturingState) {
        let id = &step.id;
        let place = format!("steps.{id}.to");
        if to == DeviceComplete && self.plan.kind == Product::Module {
            self.findings.error(
                "plan.module-locked",
                place.clone(),
                format!("step `{id}` would lock a module: its buyer could load nothing any more"),
                "Set Module1Complete, or `kind = \"device\"`.",
            );
        }
        if to != self.plan.final_state {
            self.findings.error(
                "plan.state-not-final",
                place.clone(),
                format!(
                    "step `{id}` sets {to}, but the plan's `final` is {}",
                    self.plan.final_state
                ),
                "Let both name the same state.",
            );
        }
        if to <= self.state || to == Unknown {
            self.findings.error(
                "plan.state-not-forward",
                place,
                format!(
                    "step `{id}` sets {to} on a device that is {}: states only move forward",
                    self.state
                ),
                "Take the step out, or take that state out of `incoming`.",
            );
        }
        match self.proof {
            Proof::Stands => {}
            Proof::None => self.findings.error(
                "plan.no-ready-check",
                format!("steps.{id}"),
                format!("no ready-to-ship check comes before `{id}`"),
                format!("Add a `ready-check` step right before `{id}`."),
            ),
            Proof::Void(by) => self.findings.error(
                "plan.proof-voided",
                format!("steps.{id}"),
                format!(
                    "the ready-to-ship check before `{id}` is voided by `{}`, which comes in between",
                    by.id
                ),
                format!("Put the `ready-check` after `{}`.", by.id),
            ),
        }
        self.state = self.state.max(to);
        self.moved_by = Some(step);
    }

    /// What is left at the end.
    fn arrive(&mut self, order: &[usize]) {
        self.compare();
        let plan = self.plan;
        let steps: Vec<&Step> = order.iter().map(|place| &plan.steps[*place]).collect();
        if self.state < plan.final_state {
            self.findings.error(
                "plan.final-not-reached",
                "final",
                format!(
                    "a device that arrives in {} is never moved to {}",
                    self.state, plan.final_state
                ),
                format!("Add a `set-state` step with `to = \"{}\"`.", plan.final_state),
            );
        }
        let place_of = |kind: Kind| steps.iter().position(|step| step.action.kind() == kind);
        if let (Some(look), Some(lock)) = (place_of(Kind::FinalLook), place_of(Kind::SetState))
            && look < lock
        {
            self.findings.error(
                "plan.final-look-early",
                format!("steps.{}", steps[look].id),
                format!(
                    "step `{}` looks for the final state before `{}` sets it",
                    steps[look].id, steps[lock].id
                ),
                format!("Put it after `{}`.", steps[lock].id),
            );
        }
        if let (Some(lock), None) = (place_of(Kind::SetState), place_of(Kind::FinalLook)) {
            self.findings.warning(
                "plan.no-final-look",
                format!("steps.{}", steps[lock].id),
                format!("nothing looks at the device after `{}`", steps[lock].id),
                "Add a `final-look` step at the end: it resets the device and looks what it is now.",
            );
        }
        for name in self.plan.images.keys() {
            let is_used = steps.iter().any(|step| step.action.image() == Some(name));
            if !is_used && !plan.images[name].role.stays() {
                self.findings.warning(
                    "plan.image-unused",
                    format!("images.{name}"),
                    format!("no step uses the image `{name}`"),
                    "Take it out of the plan.",
                );
            }
        }
    }
}
