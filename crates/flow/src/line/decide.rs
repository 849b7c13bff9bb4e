//! Input → facts to write down. Nothing is changed here, and nothing is done.

use lineside_interlock::{Facts, Judgement, Look, RunFacts, Verdict, judge};
use lineside_terms::{
    DeviceId, Epoch, Instant, ManufacturingState, Outcome, RunId, SecurityState, SlotPath, Stamp, Told,
};

use super::admit::Hold;
use super::state::{Phase, Run};
use super::{Input, Line, Refusal, Report};
use crate::event::Body;
use crate::recipe::Work;

use lineside_interlock::{EpochCause, OnceKey, PERMIT_LIFE};

/// A fact that has no envelope yet.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) slot: Option<SlotPath>,
    pub(super) device: Option<DeviceId>,
    pub(super) run: Option<RunId>,
    pub(super) body: Body,
}

impl Fact {
    pub(super) const fn of_station(body: Body) -> Self {
        Self {
            slot: None,
            device: None,
            run: None,
            body,
        }
    }
    pub(super) fn of_slot(slot: &SlotPath, body: Body) -> Self {
        Self {
            slot: Some(slot.clone()),
            device: None,
            run: None,
            body,
        }
    }
    pub(super) fn of_device(slot: &SlotPath, device: DeviceId, body: Body) -> Self {
        Self {
            slot: Some(slot.clone()),
            device: Some(device),
            run: None,
            body,
        }
    }
    pub(super) fn of_run(slot: &SlotPath, device: DeviceId, run: RunId, body: Body) -> Self {
        Self {
            slot: Some(slot.clone()),
            device: Some(device),
            run: Some(run),
            body,
        }
    }
}

impl Line {
    pub(super) fn decide(&self, input: &Input, stamp: Stamp) -> Result<Vec<Fact>, Refusal> {
        match input {
            Input::Begin {
                recipe,
                serials,
                expected,
            } => {
                let mut facts = Vec::new();
                if !self.state.recipes.contains_key(&recipe.plan) {
                    facts.push(Fact::of_station(Body::PlanAdopted {
                        recipe: Box::new((**recipe).clone()),
                    }));
                }
                let (plan, serials) = (recipe.plan, serials.clone());
                facts.push(Fact::of_station(Body::BatchStarted {
                    plan,
                    serials,
                    expected: *expected,
                }));
                Ok(facts)
            }
            Input::Seen { slot, cause } => {
                let body = Body::BoardSeen {
                    epoch: self.state.next_epoch(),
                    cause: *cause,
                };
                Ok(vec![Fact::of_slot(slot, body)])
            }
            Input::Gone { slot } => {
                let epoch = self.state.epoch_of(slot).ok_or(Refusal::Stale)?;
                let mut facts = Vec::new();
                if let Phase::Running(run) = &self.state.slots[slot].phase {
                    let error = Told::of(&Hold::Unplugged);
                    facts.push(self.of_run(*run, Body::RunInterrupted { error }));
                }
                facts.push(Fact::of_slot(slot, Body::BoardGone { epoch }));
                Ok(facts)
            }
            Input::Identified {
                slot,
                epoch,
                device,
                state,
                security,
                read_at,
            } => {
                self.current_epoch(slot, *epoch)?;
                Ok(self.identified(slot, *epoch, *device, *state, *security, *read_at))
            }
            Input::Unresponsive { slot, epoch, error } => {
                self.current_epoch(slot, *epoch)?;
                let body = Body::Unresponsive {
                    epoch: *epoch,
                    error: error.clone(),
                };
                Ok(vec![Fact::of_slot(slot, body)])
            }
            Input::Performed {
                slot,
                epoch,
                run,
                report,
            } => {
                self.current_epoch(slot, *epoch)?;
                let (there, index) = self.running(slot, run)?;
                Ok(self.performed(*run, there, index, report))
            }
            Input::Read { slot, run, facts } => {
                self.current_epoch(slot, facts.epoch)?;
                let (there, index) = self.running(slot, run)?;
                self.read(*run, there, index, facts)
            }
            Input::Acted {
                slot,
                run,
                key,
                look,
                error,
            } => self.acted(slot, *run, key, look.as_ref(), error.as_ref()),
            Input::Cancel if self.state.is_cancelled => Err(Refusal::NotAsked),
            Input::Cancel => Ok(vec![Fact::of_station(Body::CancelAsked)]),
            Input::StoreFailed => Err(Refusal::StoreDown),
        }
        .inspect(|_| debug_assert!(stamp.mono >= Instant::ZERO))
    }

    /// The facts that follow by themselves: devices that are to be taken, next steps, ends of runs.
    pub(super) fn advance(&self, stamp: Stamp) -> Vec<Fact> {
        for (path, slot) in &self.state.slots {
            let facts = match &slot.phase {
                Phase::Clearing if !self.state.is_cancelled => slot
                    .identity
                    .filter(|identity| !self.is_unresolved(&identity.device))
                    .map(|identity| self.admit(path, &identity))
                    .unwrap_or_default(),
                Phase::Running(id) => self.next_step(*id, stamp),
                _ => Vec::new(),
            };
            if !facts.is_empty() {
                return facts;
            }
        }
        Vec::new()
    }

    fn current_epoch(&self, slot: &SlotPath, epoch: Epoch) -> Result<(), Refusal> {
        if self.state.epoch_of(slot) == Some(epoch) {
            Ok(())
        } else {
            Err(Refusal::Stale)
        }
    }

    /// The run on that socket and its running step.
    fn running(&self, slot: &SlotPath, id: &RunId) -> Result<(&Run, usize), Refusal> {
        let run = self
            .state
            .runs
            .get(id)
            .filter(|run| run.is_going() && run.slot == *slot)
            .ok_or(Refusal::NotAsked)?;
        let index = run.running().ok_or(Refusal::NotAsked)?;
        Ok((run, index))
    }

    fn of_run(&self, id: RunId, body: Body) -> Fact {
        let run = &self.state.runs[&id];
        Fact::of_run(&run.slot, run.device, id, body)
    }

    fn is_unresolved(&self, device: &DeviceId) -> bool {
        self.state.ledger.unresolved().any(|(intent, standing)| {
            intent.key.device == *device && standing == lineside_interlock::Standing::Open
        })
    }

    fn identified(
        &self,
        slot: &SlotPath,
        epoch: Epoch,
        device: DeviceId,
        state: ManufacturingState,
        security: SecurityState,
        read_at: Instant,
    ) -> Vec<Fact> {
        let mut facts = vec![Fact::of_device(
            slot,
            device,
            Body::Identified {
                epoch,
                state,
                security,
            },
        )];
        let look = Look {
            device,
            epoch,
            cause: self.state.slots[slot].cause,
            state,
            taken_at: read_at,
        };
        let open = self
            .state
            .ledger
            .unresolved()
            .filter(|(intent, _)| intent.key.device == device);
        for (intent, _) in open {
            let verdict = match self.state.ledger.verdict(&intent.key, &look) {
                Some(verdict) => verdict,
                // In a clean epoch nothing more can be learnt by looking again.
                None if look.cause.is_clean() && epoch > intent.epoch => Verdict::Unclear,
                None => continue,
            };
            facts.extend(self.resolved(&intent.key, intent.run, verdict, look));
        }
        facts
    }

    /// A verdict, and what it means for the step that acted.
    fn resolved(&self, key: &OnceKey, id: RunId, verdict: Verdict, look: Look) -> Vec<Fact> {
        let decided = Body::Decided {
            key: *key,
            verdict,
            look,
        };
        let Some(run) = self.state.runs.get(&id).filter(|run| run.is_open()) else {
            return vec![Fact {
                slot: None,
                device: Some(key.device),
                run: Some(id),
                body: decided,
            }];
        };
        let mut facts = vec![self.of_run(id, decided)];
        let recipe = self.state.recipe_of(run);
        let Some(index) = run.steps.iter().position(|step| step.key == Some(*key)) else {
            return facts;
        };
        let (step, attempt) = (recipe.steps[index].id.clone(), run.steps[index].tries);
        let unclear = || run.error.clone().unwrap_or_else(|| Told::of(&Hold::Unclear));
        let (outcome, error, note) = match verdict {
            Verdict::Confirmed => (
                Outcome::Pass,
                None,
                Some("the device was seen in the new state".to_owned()),
            ),
            Verdict::Disproved => (Outcome::Error, Some(unclear()), None),
            Verdict::Unclear => (Outcome::Unknown, Some(Told::of(&Hold::Unclear)), None),
        };
        let errors = run.steps[index].errors + 1;
        let is_over = match verdict {
            Verdict::Confirmed => false,
            Verdict::Disproved => errors > recipe.steps[index].retries,
            Verdict::Unclear => true,
        };
        let ended = Body::StepEnded {
            step,
            attempt,
            outcome,
            measurements: Vec::new(),
            error: error.clone(),
            note,
        };
        facts.push(self.of_run(id, ended));
        if is_over {
            facts.push(self.of_run(id, Body::RunEnded { outcome, error }));
        }
        facts
    }

    fn performed(&self, id: RunId, run: &Run, index: usize, report: &Report) -> Vec<Fact> {
        let step = self.state.step_of(run, index);
        let state = run.steps[index];
        let mut facts = vec![self.of_run(
            id,
            Body::StepEnded {
                step: step.id.clone(),
                attempt: state.tries,
                outcome: report.outcome,
                measurements: report.measurements.clone(),
                error: report.error.clone(),
                note: report.note.clone(),
            },
        )];
        let is_good = report.outcome.is_good();
        let is_last = run
            .steps
            .iter()
            .enumerate()
            .all(|(other, state)| other == index || state.is_good());
        // A device that fails, fails: only trials that went wrong are tried again.
        let may_retry = matches!(report.outcome, Outcome::Error | Outcome::Unknown)
            && state.errors < step.retries
            && matches!(step.work, Work::Perform | Work::Prove);
        let is_cut_short = self.state.is_cancelled && report.outcome == Outcome::Error;
        if !is_good && !may_retry && !is_cut_short {
            let (outcome, error) = (report.outcome, report.error.clone());
            facts.push(self.of_run(id, Body::RunEnded { outcome, error }));
        } else if report.is_link_over && !(is_good && is_last) && !is_cut_short {
            let body = Body::BoardSeen {
                epoch: self.state.next_epoch(),
                cause: EpochCause::LinkLost,
            };
            facts.push(Fact::of_slot(&run.slot, body));
        }
        facts
    }

    /// What judging needs to know of a run before its step `index`.
    fn run_facts(&self, id: RunId, run: &Run, index: usize) -> RunFacts {
        RunFacts {
            run: id,
            plan: run.plan,
            is_every_needed_step_passed: run.steps[..index].iter().all(|s| s.is_good()),
        }
    }

    /// Judges facts for a step. The same facts give the same judgement, so that the proof can be made again when the
    /// intent is durable.
    pub(super) fn judge(&self, id: RunId, run: &Run, index: usize, facts: &Facts) -> Judgement {
        judge(
            &self.state.recipe_of(run).expectation,
            facts,
            &self.run_facts(id, run, index),
            None,
        )
    }

    fn read(&self, id: RunId, run: &Run, index: usize, read: &Facts) -> Result<Vec<Fact>, Refusal> {
        if read.device != run.device {
            return Err(Refusal::Stale);
        }
        let step = self.state.step_of(run, index);
        match step.work {
            Work::Perform => Err(Refusal::NotAsked),
            Work::Prove => Ok(self.proved(id, run, index, read)),
            Work::Act { .. } => Ok(self.act(id, run, index, run.steps[index].tries, read)),
        }
    }

    fn judged(&self, id: RunId, run: &Run, index: usize, read: &Facts) -> (Judgement, Fact) {
        let judgement = self.judge(id, run, index, read);
        let body = Body::Judged {
            step: self.state.step_of(run, index).id.clone(),
            checks: judgement.checks.clone(),
            outcome: judgement.outcome(),
            facts: read.digest(),
        };
        let fact = self.of_run(id, body);
        (judgement, fact)
    }

    fn proved(&self, id: RunId, run: &Run, index: usize, read: &Facts) -> Vec<Fact> {
        let (judgement, judged) = self.judged(id, run, index, read);
        let mut facts = vec![judged];
        facts.extend(self.ended(
            id,
            run,
            index,
            run.steps[index].tries,
            judgement.outcome(),
            not_ready(&judgement),
        ));
        facts
    }

    /// Judgement, then intent, or the end of the step and with it of the run.
    fn act(&self, id: RunId, run: &Run, index: usize, attempt: u32, read: &Facts) -> Vec<Fact> {
        let Work::Act { verb, target } = self.state.step_of(run, index).work else {
            return Vec::new();
        };
        let (judgement, judged) = self.judged(id, run, index, read);
        let mut facts = vec![judged];
        let (outcome, error) = match &judgement.proof {
            None => (judgement.outcome().max(Outcome::Fail), not_ready(&judgement)),
            Some(proof) => match self.state.ledger.propose(verb, target, proof) {
                Ok(intent) => {
                    facts.push(self.of_run(id, Body::Intended { intent }));
                    return facts;
                }
                Err(refusal) => (Outcome::Error, Some(Told::of(&refusal))),
            },
        };
        facts.extend(self.ended(id, run, index, attempt, outcome, error));
        facts
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

    fn acted(
        &self,
        slot: &SlotPath,
        id: RunId,
        key: &OnceKey,
        look: Option<&Look>,
        error: Option<&Told>,
    ) -> Result<Vec<Fact>, Refusal> {
        let run = self.state.runs.get(&id).ok_or(Refusal::NotAsked)?;
        if !self
            .state
            .ledger
            .of(&key.device)
            .any(|(intent, standing)| intent.key == *key && standing == lineside_interlock::Standing::Open)
        {
            return Err(Refusal::NotAsked);
        }
        let verdict = look.and_then(|look| {
            self.state
                .ledger
                .verdict(key, look)
                .map(|verdict| (verdict, *look))
        });
        if let Some((verdict, look)) = verdict {
            return Ok(self.resolved(key, id, verdict, look));
        }
        let error = error.cloned().unwrap_or_else(|| Told::of(&Hold::Unclear));
        let body = Body::ActUnclear { key: *key, error };
        Ok(vec![Fact::of_run(slot, run.device, id, body)])
    }

    /// Starts what comes next in a run, or ends it.
    fn next_step(&self, id: RunId, stamp: Stamp) -> Vec<Fact> {
        let run = &self.state.runs[&id];
        if !run.is_going() || run.running().is_some() {
            return Vec::new();
        }
        let recipe = self.state.recipe_of(run);
        if run.steps.iter().all(|step| step.is_good()) {
            let worst = run
                .steps
                .iter()
                .filter_map(|step| step.outcome)
                .max()
                .unwrap_or(Outcome::Unknown);
            return vec![self.of_run(
                id,
                Body::RunEnded {
                    outcome: worst,
                    error: None,
                },
            )];
        }
        if self.state.is_cancelled {
            let error = Told::of(&Hold::Cancelled);
            return vec![self.of_run(id, Body::RunInterrupted { error })];
        }
        let leased = self.state.leased();
        let is_free = |index: &usize| {
            let step = &recipe.steps[*index];
            step.needs.iter().all(|need| run.steps[*need].is_good())
                && step
                    .instruments
                    .iter()
                    .all(|instrument| !leased.contains(instrument.as_str()))
                && self.is_first_in_line(id, run, &step.instruments)
        };
        // Something irreversible comes only when everything before it in the plan has passed.
        let is_ripe = |index: &usize| {
            !matches!(recipe.steps[*index].work, Work::Act { .. })
                || run.steps[..*index].iter().all(|s| s.is_good())
        };
        let open = (0..run.steps.len()).filter(|index| !run.steps[*index].is_good());
        let Some(index) = open.filter(is_ripe).find(is_free) else {
            return Vec::new();
        };
        let epoch = self.state.slots[&run.slot].epoch;
        let attempt = run.steps[index].tries + 1;
        let step = recipe.steps[index].id.clone();
        let mut facts = vec![self.of_run(id, Body::StepStarted { step, attempt, epoch })];
        if matches!(recipe.steps[index].work, Work::Act { .. })
            && let Some(read) = self.live.held.get(&id)
            && is_fresh(read, stamp)
        {
            facts.extend(self.act(id, run, index, attempt, read));
        }
        facts
    }

    /// All runs that wait for one of these instruments get it in the order in which they began.
    fn is_first_in_line(&self, id: RunId, run: &Run, instruments: &[String]) -> bool {
        instruments.is_empty()
            || !self.state.runs.iter().any(|(other_id, other)| {
                *other_id != id
                    && other.is_going()
                    && other.running().is_none()
                    && (other.began.mono, *other_id) < (run.began.mono, id)
                    && self.waits_for(other, instruments)
            })
    }

    fn waits_for(&self, run: &Run, instruments: &[String]) -> bool {
        let recipe = self.state.recipe_of(run);
        recipe.steps.iter().zip(&run.steps).any(|(step, state)| {
            !state.is_good()
                && step.needs.iter().all(|need| run.steps[*need].is_good())
                && step.instruments.iter().any(|wanted| instruments.contains(wanted))
        })
    }
}

/// Facts that a step before has read are good enough to act on for half the life of a permit.
fn is_fresh(read: &Facts, stamp: Stamp) -> bool {
    stamp.mono < read.taken_at + PERMIT_LIFE / 2
}

/// The checks that did not pass, as an error.
fn not_ready(judgement: &Judgement) -> Option<Told> {
    use lineside_terms::Blame;
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
