//! What follows by itself: devices that are taken, next steps, instruments that change hands, ends of runs.

use std::collections::BTreeSet;

use lineside_interlock::{EpochCause, Facts, PERMIT_LIFE};
use lineside_terms::{Outcome, RunId, Stamp, Told};

use super::Line;
use super::admit::{Hold, NOT_APPROVED};
use super::decide::Fact;
use super::state::{Phase, Run, StepState};
use crate::event::Body;
use crate::recipe::{RecipeStep, Work};

impl Line {
    /// The next facts that follow; none when nothing follows any more.
    pub(super) fn advance(&self, stamp: Stamp) -> Vec<Fact> {
        let state = &self.state;
        let mut idle: Vec<(RunId, &Run)> = Vec::new();
        for (path, slot) in &state.slots {
            match &slot.phase {
                Phase::Clearing => {
                    let Some(identity) = &slot.identity else { continue };
                    // A device is taken when nothing is open about it, and stopped at once when it is there twice.
                    let is_open = state.open_intents(&identity.device).next().is_some();
                    if !is_open || state.is_elsewhere(&identity.device, path).is_some() {
                        let facts = self.admit(path, identity);
                        if !facts.is_empty() {
                            return facts;
                        }
                    }
                }
                Phase::Running(id) => {
                    let run = state.runs.get(id);
                    idle.extend(
                        run.filter(|run| run.is_going() && run.running.is_none())
                            .map(|run| (*id, run)),
                    );
                }
                // What it waited for was given: it is looked at anew, and goes on.
                Phase::Interrupted(id, error)
                    if error.code == NOT_APPROVED
                        && slot.is_present
                        && !state.is_cancelled
                        && self.is_approved(*id, stamp) =>
                {
                    return vec![self.seen(path, EpochCause::LinkLost)];
                }
                _ => {}
            }
        }
        if idle.is_empty() {
            return Vec::new();
        }
        idle.sort_unstable_by_key(|(_, run)| run.began_as);
        // Whoever began earlier gets the instruments that it waits for; all that it needs at once, so nobody ever
        // holds one while waiting for another.
        let mut taken = state.leased();
        for (id, run) in idle {
            let facts = self.next_step(id, run, &taken, stamp);
            if !facts.is_empty() {
                return facts;
            }
            let steps = &state.recipe_of(run).steps;
            let wanted = (0..steps.len()).filter(|index| is_ready(steps, run, *index));
            taken.extend(wanted.flat_map(|index| steps[index].instruments.iter().map(String::as_str)));
        }
        Vec::new()
    }

    /// True when a run that is open waits for nobody's leave for a step that could begin.
    fn is_approved(&self, id: RunId, stamp: Stamp) -> bool {
        let Some(run) = self.state.runs.get(&id).filter(|run| run.is_open()) else {
            return false;
        };
        let recipe = self.state.recipe_of(run);
        let approvals = &self.state.approvals;
        let next = (0..recipe.steps.len()).find(|index| is_ready(&recipe.steps, run, *index));
        let step = next.map(|index| &recipe.steps[index].id);
        step.is_some_and(|step| {
            let lacks = |need| approvals.lacking(need, &recipe.plan, id, step, stamp.wall_ms) > 0;
            !recipe.approvals.get(step).is_some_and(lacks)
        })
    }

    /// Starts what comes next in a run, or ends it.
    fn next_step(&self, id: RunId, run: &Run, taken: &BTreeSet<&str>, stamp: Stamp) -> Vec<Fact> {
        if run.is_done() && self.state.recipe_of(run).expectation.is_state_alone {
            // Nobody has looked whether it is ready, so it is not called so.
            let (outcome, error) = (Outcome::Skipped, Some(Told::of(&Hold::ByHand)));
            return vec![self.of_run(id, Body::RunEnded { outcome, error })];
        }
        if run.is_done() {
            let outcomes = run.steps.iter().filter_map(|step| step.outcome);
            let outcome = outcomes.max().unwrap_or(Outcome::Unknown);
            return vec![self.of_run(id, Body::RunEnded { outcome, error: None })];
        }
        if self.state.is_cancelled {
            let error = Told::of(&Hold::Cancelled);
            return vec![self.of_run(id, Body::RunInterrupted { error })];
        }
        let steps = &self.state.recipe_of(run).steps;
        let mut ready = (0..steps.len())
            .filter(|index| is_ready(steps, run, *index))
            .peekable();
        if ready.peek().is_none() {
            // No step can ever start, so nothing would ever happen again.
            let (outcome, error) = (Outcome::Error, Some(Told::of(&Hold::Stuck)));
            return vec![self.of_run(id, Body::RunEnded { outcome, error })];
        }
        let is_free = |index: &usize| {
            let mut instruments = steps[*index].instruments.iter();
            instruments.all(|instrument| !taken.contains(instrument.as_str()))
        };
        let Some(index) = ready.find(is_free) else {
            return Vec::new();
        };
        let Some(epoch) = self.state.epoch_of(&run.slot) else {
            return Vec::new();
        };
        let attempt = run.steps[index].tries.saturating_add(1);
        let step = steps[index].id.clone();
        let recipe = self.state.recipe_of(run);
        let lacks = |need| {
            let approvals = &self.state.approvals;
            approvals.lacking(need, &recipe.plan, id, &step, stamp.wall_ms) > 0
        };
        if recipe.approvals.get(&step).is_some_and(lacks) {
            return vec![self.of_run(id, self.waits_for_approval(id, run, &step, stamp))];
        }
        let mut facts = vec![self.of_run(id, Body::StepStarted { step, attempt, epoch })];
        if matches!(steps[index].work, Work::Act { .. })
            && let Some(read) = self.live.held.get(&id)
            && is_fresh(read, stamp)
        {
            facts.extend(self.act(id, run, index, attempt, read, stamp));
        }
        facts
    }
}

/// True when a step is still to be done and everything that must come before it has passed. Something irreversible
/// comes only when everything before it in the plan has.
fn is_ready(steps: &[RecipeStep], run: &Run, index: usize) -> bool {
    let step = &steps[index];
    !run.steps[index].is_good()
        && run.has_what_it_needs(step)
        && (!matches!(step.work, Work::Act { .. }) || run.steps[..index].iter().all(StepState::is_good))
}

/// Facts that a step before has read are good enough to act on for half the life of a permit.
fn is_fresh(read: &Facts, stamp: Stamp) -> bool {
    stamp.mono < read.taken_at + PERMIT_LIFE / 2
}
