//! Judging, intending, and what became of it: the part of deciding that leads to something irreversible.

use lineside_interlock::{Expectation, Facts, Judgement, Look, OnceKey, RunFacts, Standing, Verdict, judge};
use lineside_terms::{Blame, Outcome, RunId, SlotPath, Stamp, StepId, Told};

use super::admit::Hold;
use super::decide::Fact;
use super::state::{Run, StepState};
use super::{Line, Refusal};
use crate::event::Body;
use crate::recipe::Work;

impl Line {
    /// Judges facts for a step. The same facts give the same judgement, so that the proof can be made again when the
    /// intent is durable.
    pub(super) fn judge(&self, id: RunId, run: &Run, index: usize, facts: &Facts) -> Judgement {
        let run_facts = RunFacts {
            run: id,
            plan: run.plan,
            is_every_needed_step_passed: run.steps[..index].iter().all(StepState::is_good),
        };
        // A plan may take devices in several states, and through several; each is judged in its own.
        let expectation = Expectation {
            state: run.reached,
            ..self.state.recipe_of(run).expectation.clone()
        };
        judge(&expectation, facts, &run_facts, None)
    }

    fn judged(&self, id: RunId, run: &Run, index: usize, read: &Facts) -> (Judgement, Fact) {
        let judgement = self.judge(id, run, index, read);
        let digest = judgement.proof.as_ref().map(|proof| proof.digest());
        let body = Body::Judged {
            step: self.state.step_of(run, index).id.clone(),
            checks: judgement.checks.clone(),
            outcome: judgement.outcome(),
            facts: digest.unwrap_or_else(|| read.digest()),
        };
        let fact = self.of_run(id, body);
        (judgement, fact)
    }

    /// The end of a step that proves.
    pub(super) fn proved(&self, id: RunId, run: &Run, index: usize, read: &Facts) -> Vec<Fact> {
        let (judgement, judged) = self.judged(id, run, index, read);
        let mut facts = vec![judged];
        let (attempt, outcome) = (run.steps[index].tries, judgement.outcome());
        facts.extend(self.ended(id, run, index, attempt, outcome, not_ready(&judgement)));
        facts
    }

    /// Judgement, then intent, or the end of the step and with it of the run.
    pub(super) fn act(
        &self,
        id: RunId,
        run: &Run,
        index: usize,
        attempt: u32,
        read: &Facts,
        stamp: Stamp,
    ) -> Vec<Fact> {
        let step = self.state.step_of(run, index);
        let Work::Act { verb, target } = step.work else {
            return Vec::new();
        };
        let (judgement, judged) = self.judged(id, run, index, read);
        let mut facts = vec![judged];
        let (outcome, error) = match &judgement.proof {
            None => (judgement.outcome().max(Outcome::Fail), not_ready(&judgement)),
            Some(proof) => match self.state.ledger.propose(verb, target, proof) {
                Ok(intent) => {
                    let recipe = self.state.recipe_of(run);
                    let need = recipe.approvals.get(&step.id);
                    let offer = |need| {
                        let approvals = &self.state.approvals;
                        approvals.offer(need, &recipe.plan, id, &step.id, stamp.wall_ms)
                    };
                    // What is spent stands in the same record as what it is spent for.
                    let body = match need.map_or_else(|| Some(Vec::new()), offer) {
                        Some(approvals) => Body::Intended { intent, approvals },
                        // Another unit took the last of it since this step began.
                        None => self.waits_for_approval(id, run, &step.id, stamp),
                    };
                    facts.push(self.of_run(id, body));
                    return facts;
                }
                Err(refusal) => (Outcome::Error, Some(Told::of(&refusal))),
            },
        };
        facts.extend(self.ended(id, run, index, attempt, outcome, error));
        facts
    }

    /// The run stops at a step for which somebody's leave is missing.
    pub(super) fn waits_for_approval(&self, id: RunId, run: &Run, step: &StepId, stamp: Stamp) -> Body {
        let recipe = self.state.recipe_of(run);
        let (role, people, is_voided) = recipe.approvals.get(step).map_or_else(Default::default, |need| {
            let approvals = &self.state.approvals;
            let people = approvals.lacking(need, &recipe.plan, id, step, stamp.wall_ms);
            let is_voided = approvals.is_voided(need, &recipe.plan, id, step, stamp.wall_ms);
            (need.role.clone(), people, is_voided)
        });
        let error = Told::of(&Hold::NotApproved {
            step: step.clone(),
            plan: recipe.plan,
            role,
            people,
            is_voided,
        });
        Body::RunInterrupted { error }
    }

    fn ended(
        &self,
        id: RunId,
        run: &Run,
        index: usize,
        attempt: u32,
        outcome: Outcome,
        error: Option<Told>,
    ) -> Vec<Fact> {
        let step = self.state.step_of(run, index).id.clone();
        let body = Body::StepEnded {
            step,
            attempt,
            outcome,
            measurements: Vec::new(),
            error: error.clone(),
            note: None,
        };
        let mut facts = vec![self.of_run(id, body)];
        if !outcome.is_good() {
            facts.push(self.of_run(id, Body::RunEnded { outcome, error }));
        }
        facts
    }

    /// What the runner tells after it had a permit, or was told that there is none.
    pub(super) fn acted(
        &self,
        slot: &SlotPath,
        id: RunId,
        key: &OnceKey,
        look: Option<&Look>,
        error: Option<&Told>,
    ) -> Result<Vec<Fact>, Refusal> {
        let run = self.state.runs.get(&id).filter(|run| run.is_open());
        let run = run.ok_or(Refusal::NotAsked)?;
        let is_its = run.slot == *slot && run.steps.iter().any(|step| step.key == Some(*key));
        if !is_its || !self.state.is_open(key) {
            return Err(Refusal::NotAsked);
        }
        // On the connection that acted a look can only confirm: that something did not happen is seen in a new epoch.
        let confirmed = look.filter(|look| self.state.ledger.verdict(key, look) == Some(Verdict::Confirmed));
        if let Some(look) = confirmed {
            return Ok(self.resolved(slot, key, id, Verdict::Confirmed, *look));
        }
        let error = error.cloned().unwrap_or_else(|| Told::of(&Hold::Unclear));
        let body = Body::ActUnclear { key: *key, error };
        Ok(vec![Fact::of_run(slot, run.device, id, body)])
    }

    /// A verdict, where the device was seen, and what it means for the step that acted.
    pub(super) fn resolved(
        &self,
        slot: &SlotPath,
        key: &OnceKey,
        id: RunId,
        verdict: Verdict,
        look: Look,
    ) -> Vec<Fact> {
        let of_run = |body| Fact::of_run(slot, key.device, id, body);
        let mut facts = vec![of_run(Body::Decided {
            key: *key,
            verdict,
            look,
        })];
        if let Some(run) = self.state.runs.get(&id).filter(|run| run.is_open())
            && let Some(index) = run.steps.iter().position(|step| step.key == Some(*key))
        {
            facts.extend(self.act_ended(slot, id, run, index, verdict));
        }
        facts
    }

    /// What a verdict means for the step that acted, and for its run; nothing when the step is simply to be begun again.
    fn act_ended(&self, slot: &SlotPath, id: RunId, run: &Run, index: usize, verdict: Verdict) -> Vec<Fact> {
        let (step, state) = (self.state.step_of(run, index), &run.steps[index]);
        let (outcome, error, note) = match verdict {
            Verdict::Confirmed => {
                let note = "the device was seen in the new state".to_owned();
                (Outcome::Pass, None, Some(note))
            }
            Verdict::Disproved => {
                // Nobody told how the try ended: it was cut off before the device was asked, which says nothing
                // about the device. The step is begun again, as any other is after a cut.
                let Some(error) = run.error.clone() else {
                    return Vec::new();
                };
                (Outcome::Error, Some(error), None)
            }
            Verdict::Unclear => (Outcome::Unknown, Some(Told::of(&Hold::Unclear)), None),
        };
        let is_over = match verdict {
            Verdict::Confirmed => false,
            Verdict::Disproved => state.errors >= step.retries,
            Verdict::Unclear => true,
        };
        let of_run = |body| Fact::of_run(slot, run.device, id, body);
        let mut facts = vec![of_run(Body::StepEnded {
            step: step.id.clone(),
            attempt: state.tries,
            outcome,
            measurements: Vec::new(),
            error: error.clone(),
            note,
        })];
        if is_over {
            facts.push(of_run(Body::RunEnded { outcome, error }));
        }
        facts
    }

    /// What a journal that ends in mid-sentence has left unsaid of a run: the end of a step whose act is decided, the
    /// end of the run after a step that is not tried again.
    pub(super) fn left_unsaid(&self, slot: &SlotPath, id: RunId, run: &Run) -> Vec<Fact> {
        let steps = &self.state.recipe_of(run).steps;
        for (index, (step, state)) in steps.iter().zip(&run.steps).enumerate() {
            let verdict = state.key.filter(|_| state.outcome.is_none()).and_then(|key| {
                let mut acts = self.state.ledger.of(&run.device);
                acts.find_map(|(intent, standing)| match standing {
                    Standing::Decided(verdict) if intent.key == key => Some(verdict),
                    _ => None,
                })
            });
            if let Some(verdict) = verdict {
                let facts = self.act_ended(slot, id, run, index, verdict);
                if !facts.is_empty() {
                    return facts;
                }
            }
            let spent = state.outcome.filter(|outcome| {
                let is_tried_again = state.errors <= step.retries || run.has_acted();
                !(outcome.is_good() || went_wrong(*outcome) && is_tried_again)
            });
            if let Some(outcome) = spent {
                let error = run.error.clone();
                return vec![Fact::of_run(
                    slot,
                    run.device,
                    id,
                    Body::RunEnded { outcome, error },
                )];
            }
        }
        Vec::new()
    }
}

/// True for trials that went wrong: only they are tried again. A device that fails, fails.
pub(super) const fn went_wrong(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Error | Outcome::Unknown)
}

/// The checks that did not pass, as an error.
fn not_ready(judgement: &Judgement) -> Option<Told> {
    let wrong: Vec<String> = judgement
        .checks
        .iter()
        .filter(|check| !check.outcome.is_good())
        .map(|check| {
            format!(
                "{}: expected {}, found {}",
                check.name, check.expected, check.found
            )
        })
        .collect();
    if wrong.is_empty() {
        return None;
    }
    Some(Told {
        code: "unit.not-ready".to_owned(),
        message: format!("the device is not ready: {}", wrong.join("; ")),
        help: "Compare the plan's expectations with what was found; nothing was locked.".to_owned(),
        blame: Blame::Device,
    })
}
