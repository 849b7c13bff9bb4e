//! History that was edited: it is refused or followed, and never brings the program down.

use lineside_flow::interlock::{EpochCause, Receipt, Verdict};
use lineside_flow::{Body, Effect, Event, Input, Line, Recipe, Report};
use lineside_terms::{Epoch, Instant, Outcome, SecurityState};

use crate::dice::Dice;
use crate::line_kit::{OLD, device, facts, recipe, resume, serials, shared, slot, stamp, step, told};
use crate::world::World;

/// Events as a storm leaves them.
pub(crate) fn history(dice: &mut Dice, seed: u64) -> Vec<Event> {
    let mut world = World::new(seed);
    for _ in 0..dice.below(200) {
        world.happen();
    }
    world.journal
}

fn edit(dice: &mut Dice, events: &mut Vec<Event>) {
    for _ in 0..=dice.below(4) {
        if events.is_empty() {
            return;
        }
        let (at, other) = (dice.below(events.len()), dice.below(events.len()));
        match dice.below(7) {
            0 => drop(events.remove(at)),
            1 => events.insert(other, events[at].clone()),
            2 => events.swap(at, other),
            3 => events.truncate(at),
            4 => {
                let (slot, run) = (events[other].slot.clone(), events[other].run);
                let event = &mut events[at];
                match dice.below(4) {
                    0 => event.slot = slot,
                    1 => event.run = run,
                    2 => event.device = None,
                    _ => event.slot = None,
                }
            }
            5 => events[at].body = events[other].body.clone(),
            _ => wildly(dice, &mut events[at].body),
        }
    }
    // A gap in the numbers is noticed at once: most edits take care of that.
    if dice.percent(95) {
        for (index, event) in events.iter_mut().enumerate() {
            event.sequence = index as u64 + 1;
        }
    }
}

/// Values at which sums overflow and places do not exist.
fn wildly(dice: &mut Dice, body: &mut Body) {
    match body {
        Body::BoardSeen { epoch, .. } | Body::BoardGone { epoch } | Body::Identified { epoch, .. } => {
            *epoch = Epoch(if dice.percent(50) { u64::MAX } else { epoch.0 + 1 });
        }
        Body::StepStarted { attempt, .. } | Body::RunStarted { attempt, .. } => *attempt = u32::MAX,
        Body::Intended { intent, approvals } => match dice.below(5) {
            0 => intent.key.generation = u32::MAX,
            1 => intent.key.device = device(77),
            2 => intent.epoch = Epoch(u64::MAX),
            3 => approvals.push("nobody's".to_owned()),
            _ => intent.from = intent.key.target,
        },
        Body::Decided { key, verdict, .. } => match dice.below(3) {
            0 => key.generation = key.generation.wrapping_sub(1),
            1 => *verdict = Verdict::Unclear,
            _ => *verdict = Verdict::Disproved,
        },
        Body::StepEnded { outcome, .. } | Body::RunEnded { outcome, .. } => *outcome = Outcome::Skipped,
        Body::PlanAdopted { recipe } => flawed(dice, recipe),
        _ => {}
    }
}

fn flawed(dice: &mut Dice, recipe: &mut Recipe) {
    match dice.below(5) {
        0 => recipe.steps.clear(),
        1 => drop(recipe.steps.pop()),
        2 => recipe.steps[1].needs = vec![usize::MAX, 1],
        3 => recipe.steps[1].id = recipe.steps[0].id.clone(),
        _ => recipe.steps.reverse(),
    }
}

/// The program goes on after whatever the history left: all boards are seen, and everything that is asked for is
/// answered kindly.
pub(crate) fn go_on(line: &mut Line, recipe: Recipe) {
    let mut now = 1_000;
    let mut last = line.start("0.1.0", "sim:3", stamp(now)).len();
    let mut inputs = vec![Input::Begin {
        recipe: shared(recipe),
        serials: serials(3),
        expected: None,
        only: None,
    }];
    inputs.extend((1..=3).map(|n| Input::Seen {
        slot: slot(n),
        cause: EpochCause::Found,
    }));
    for _ in 0..300 {
        for input in inputs.drain(..) {
            now += 1;
            if let Ok(events) = line.take(input, stamp(now)) {
                last = events
                    .last()
                    .map_or(last, |event| usize::try_from(event.sequence).unwrap());
            }
        }
        let _ = line.picture();
        let receipt = Receipt::issued_by_the_journal(last as u64);
        let effects = line.react(&receipt, Instant::from_nanos(now));
        if effects.is_empty() {
            return;
        }
        inputs.extend(effects.into_iter().filter_map(|effect| kindly(effect, now)));
    }
    panic!("it goes on for ever");
}

fn kindly(effect: Effect, now: u64) -> Option<Input> {
    let n = |path| (1..=3).find(|n| slot(*n) == path).unwrap_or(1);
    let now = Instant::from_nanos(now);
    Some(match effect {
        Effect::Identify { slot, epoch, .. } => Input::Identified {
            device: device(n(slot.clone())),
            slot,
            epoch,
            state: OLD,
            security: SecurityState::Secure,
            read_at: now,
        },
        Effect::Reset { slot, .. } => Input::Seen {
            slot,
            cause: EpochCause::Reset,
        },
        Effect::Perform { slot, epoch, run, .. } => Input::Performed {
            slot,
            epoch,
            run,
            report: Report::passed(),
        },
        Effect::ReadFacts { slot, epoch, run } => Input::Read {
            facts: Box::new(facts(device(n(slot.clone())), epoch, OLD, now)),
            slot,
            run,
        },
        Effect::Act { slot, run, permit } => Input::Acted {
            slot,
            run,
            key: *permit.key(),
            look: None,
            error: Some(told("device.no-answer")),
        },
        Effect::NotActed { slot, run, key, .. } => Input::Acted {
            slot,
            run,
            key,
            look: None,
            error: None,
        },
        Effect::Stop { .. } | Effect::Release { .. } => return None,
    })
}

#[test]
fn edited_history_is_refused_or_followed_and_never_panics() {
    let (mut refused, mut followed) = (0, 0);
    for seed in 0..4_000 {
        let mut dice = Dice::new(seed);
        let mut events = history(&mut dice, seed);
        let plan = events.iter().find_map(|event| match &event.body {
            Body::PlanAdopted { recipe } => Some((**recipe).clone()),
            _ => None,
        });
        edit(&mut dice, &mut events);
        let ended = std::panic::catch_unwind(move || {
            let plan = plan.unwrap_or_else(|| recipe(1, vec![step("load", lineside_flow::Work::Perform)]));
            resume(200, "", events).map(|mut line| {
                let _ = line.picture();
                go_on(&mut line, plan);
            })
        });
        match ended {
            Ok(Ok(())) => followed += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("the edited history of seed {seed} brought it down"),
        }
    }
    assert!(
        refused > 500 && followed > 500,
        "{refused} refused, {followed} followed"
    );
}

#[test]
fn history_that_skips_or_repeats_a_number_is_refused() {
    let mut dice = Dice::new(1);
    let events = history(&mut dice, 1);
    assert!(events.len() > 5);
    for gap in 0..events.len() - 1 {
        let mut skipped = events.clone();
        skipped.remove(gap);
        assert!(resume(2, "", skipped).is_err());
        let mut repeated = events.clone();
        repeated.insert(gap, events[gap].clone());
        assert!(resume(2, "", repeated).is_err());
    }
}
