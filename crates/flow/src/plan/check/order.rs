//! The order of steps: `needs` must lead to steps that exist, never in a circle, and whatever the plan leaves open
//! must make no difference. Then following one order is following all of them.

use std::collections::BTreeMap;

use super::Findings;
use crate::plan::{Action, Plan, Role, Step};

/// The steps in an order in which they may run: as in the file as far as `needs` allows. `None` when there is none,
/// or when names are ambiguous.
pub(super) fn check(plan: &Plan, findings: &mut Findings) -> Option<Vec<usize>> {
    if plan.steps.is_empty() {
        findings.error(
            "plan.no-steps",
            "steps",
            "the plan has no steps, so every device would pass untouched",
            "Add `[[steps]]`.",
        );
        return None;
    }
    let needs = resolve(plan, findings)?;
    let order = sort(&needs);
    if order.len() < plan.steps.len() {
        let circle = circle(&needs, &order);
        let names: Vec<&str> = circle.iter().map(|step| plan.steps[*step].id.as_str()).collect();
        findings.error(
            "plan.needs-in-a-circle",
            format!("steps.{}.needs", names[0]),
            format!("these steps wait for each other: {}", names.join(" → ")),
            "Take one of these `needs` out.",
        );
        return None;
    }
    left_open(plan, &needs, &order, findings);
    Some(order)
}

fn resolve(plan: &Plan, findings: &mut Findings) -> Option<Vec<Vec<usize>>> {
    let mut places = BTreeMap::new();
    let mut is_sound = true;
    for (place, step) in plan.steps.iter().enumerate() {
        if places.insert(&step.id, place).is_some() {
            is_sound = false;
            findings.error(
                "plan.step-twice",
                format!("steps.{}", step.id),
                format!("two steps are called `{}`", step.id),
                "Give each step its own `id`.",
            );
        }
    }
    let mut needs = Vec::new();
    for step in &plan.steps {
        let mut before = Vec::new();
        for need in &step.needs {
            match places.get(need) {
                Some(place) => before.push(*place),
                None => {
                    is_sound = false;
                    findings.error(
                        "plan.unknown-step",
                        format!("steps.{}.needs", step.id),
                        format!("step `{}` needs `{need}`, which the plan does not have", step.id),
                        "Name a step by its `id`.",
                    );
                }
            }
        }
        needs.push(before);
    }
    is_sound.then_some(needs)
}

/// Always the first step of the file whose needs are met. Steps in circles are left out.
fn sort(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(needs.len());
    let mut is_done = vec![false; needs.len()];
    while let Some(next) =
        (0..needs.len()).find(|i| !is_done[*i] && needs[*i].iter().all(|need| is_done[*need]))
    {
        is_done[next] = true;
        order.push(next);
    }
    order
}

/// One circle among the steps that could not be ordered, its first step once more at the end.
fn circle(needs: &[Vec<usize>], order: &[usize]) -> Vec<usize> {
    let is_stuck = |step: &usize| !order.contains(step);
    let mut way: Vec<usize> = (0..needs.len()).find(is_stuck).into_iter().collect();
    while let Some(next) = way
        .last()
        .and_then(|last| needs[*last].iter().copied().find(is_stuck))
    {
        if let Some(start) = way.iter().position(|step| *step == next) {
            way.drain(..start);
            way.push(next);
            return way;
        }
        way.push(next);
    }
    way
}

/// What steps can disturb each other in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Software,
    Wifi,
    /// The running system: who restarts it interrupts whatever else goes on.
    Boot,
    Proof,
    State,
}

fn reads(step: &Step) -> &'static [Topic] {
    use Topic::{Boot, Proof, Software, State, Wifi};
    match step.action {
        Action::OsVersion(_) | Action::LoadImage(_) | Action::RemoveImage(_) | Action::WifiTest(_) => {
            &[Boot, State]
        }
        Action::FunctionalTest(_) => &[Software, Boot, State],
        Action::UpdateOs(_) | Action::Restart(_) | Action::FinalLook(_) => &[State],
        Action::ReadyCheck(_) => &[Software, Wifi, Boot, State],
        Action::SetState(_) => &[Proof, Boot],
    }
}

fn writes(plan: &Plan, step: &Step) -> &'static [Topic] {
    use Topic::{Boot, Proof, Software, State, Wifi};
    match &step.action {
        Action::OsVersion(_) | Action::FunctionalTest(_) => &[],
        Action::LoadImage(_) | Action::RemoveImage(_) if restarts(plan, step) => &[Software, Boot],
        Action::LoadImage(_) | Action::RemoveImage(_) => &[Software],
        Action::WifiTest(_) => &[Wifi],
        Action::UpdateOs(_) => &[Software, Wifi, Boot],
        Action::Restart(_) | Action::FinalLook(_) => &[Boot],
        Action::ReadyCheck(_) => &[Proof],
        Action::SetState(_) => &[State],
    }
}

/// True for steps after which the device boots anew; installing a board configuration does (`image-package.md` 10).
pub(super) fn restarts(plan: &Plan, step: &Step) -> bool {
    match &step.action {
        Action::UpdateOs(_) | Action::Restart(_) | Action::FinalLook(_) => true,
        Action::LoadImage(_) | Action::RemoveImage(_) => step
            .action
            .image()
            .and_then(|name| plan.images.get(name))
            .is_some_and(|image| image.role == Role::BoardConfig),
        _ => false,
    }
}

/// Two steps of which one writes what the other reads or writes must have an order.
fn left_open(plan: &Plan, needs: &[Vec<usize>], order: &[usize], findings: &mut Findings) {
    let disturbs = |a: &Step, b: &Step| {
        writes(plan, a)
            .iter()
            .any(|topic| reads(b).contains(topic) || writes(plan, b).contains(topic))
    };
    let mut before = vec![vec![false; needs.len()]; needs.len()];
    for (place, &later) in order.iter().enumerate() {
        for &need in &needs[later] {
            comes_after(&mut before, later, need);
        }
        // The nearest one is the best to name, and often settles the others.
        while let Some(&earlier) = order[..place].iter().rfind(|earlier| {
            let (a, b) = (&plan.steps[**earlier], &plan.steps[later]);
            !before[later][**earlier] && (disturbs(a, b) || disturbs(b, a))
        }) {
            let (a, b) = (&plan.steps[earlier].id, &plan.steps[later].id);
            findings.error(
                "plan.order-open",
                format!("steps.{b}.needs"),
                format!(
                    "steps `{a}` and `{b}` disturb each other, and the plan does not say which comes first"
                ),
                format!("Add `{a}` to the `needs` of `{b}`, or the other way round."),
            );
            comes_after(&mut before, later, earlier);
        }
    }
}

/// Notes that one step comes after another, hence after all that the other comes after.
fn comes_after(before: &mut [Vec<bool>], later: usize, earlier: usize) {
    let indirect = before[earlier].clone();
    for (is_before, is_indirect) in before[later].iter_mut().zip(indirect) {
        *is_before |= is_indirect;
    }
    before[later][earlier] = true;
}
