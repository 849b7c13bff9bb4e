//! One event → the rows that it changes.

use lineside_flow::interlock::{Check, Grant, Intent, OnceKey, Verdict};
use lineside_flow::order::Order;
use lineside_flow::{Body, Event, HandOutcome, Measurement, Recipe, RecoveryOutcome};
use lineside_terms::{ClockTrust, DeviceId, ManufacturingState, Outcome, StepId, Told};
use rusqlite::{Connection, Params, params};

use super::words::{columns_of, integer, time, word};

/// Folds an event in. What the event should tell and does not (a step without a run) leaves no row: whether a history
/// is possible is the engine's to judge, not the view's.
pub(super) fn fold(view: &Connection, event: &Event) -> rusqlite::Result<()> {
    let rows = Rows {
        view,
        event,
        at: time(&event.at),
    };
    match &event.body {
        Body::StationStarted { .. }
        | Body::BatchStarted { .. }
        | Body::BoardSeen { .. }
        | Body::BoardGone { .. }
        | Body::AlreadyComplete { .. }
        | Body::RunContinued { .. }
        | Body::Restored { .. }
        | Body::CancelAsked => Ok(()),
        Body::PlanAdopted { recipe } => rows.plan(recipe),
        Body::Ordered { order } => rows.ordered(order),
        Body::Approved { grant, .. } => rows.approved(grant),
        Body::Identified { state, security, .. } => rows.identified(*state, word(security)),
        Body::Unresponsive { error, .. }
        | Body::Held { error, .. }
        | Body::RunInterrupted { error }
        | Body::ActUnclear { error, .. } => rows.incident(error),
        Body::RecoveryBegun { .. } => rows.recovery_begun(),
        Body::RecoveryEnded { outcome, error, .. } => {
            if *outcome == RecoveryOutcome::Untouched {
                rows.nothing_was_erased()?;
            }
            error.as_ref().map_or(Ok(()), |error| rows.incident(error))
        }
        Body::HandWrite {
            verb,
            outcome,
            is_undoing,
            error,
        } => {
            rows.hand_write(verb, *outcome, *is_undoing, error.as_ref())?;
            if *is_undoing { rows.undone() } else { Ok(()) }
        }
        Body::RunStarted { .. } => rows.run_started(),
        Body::StepStarted { step, attempt, .. } => rows.step_started(step, *attempt),
        Body::StepEnded {
            step,
            attempt,
            outcome,
            measurements,
            error,
            note,
        } => {
            rows.step_ended(step, *attempt, *outcome, error.as_ref(), note.as_deref())?;
            rows.measured(step, *attempt, measurements)
        }
        Body::Judged {
            step,
            checks,
            outcome,
            facts,
        } => {
            rows.judged(step, *outcome, facts.to_string())?;
            rows.checked(checks)
        }
        Body::Intended { intent, approvals } => {
            rows.spent(approvals)?;
            rows.intended(intent)
        }
        Body::Decided { key, verdict, look } => rows.decided(key, *verdict, look.state),
        Body::RunEnded { outcome, error } => rows.run_ended(*outcome, error.as_ref()),
    }
}

struct Rows<'a> {
    view: &'a Connection,
    event: &'a Event,
    at: String,
}

impl Rows<'_> {
    fn write(&self, sql: &str, values: impl Params) -> rusqlite::Result<()> {
        self.view.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn run(&self) -> Option<String> {
        self.event.run.map(|run| run.to_string())
    }

    fn device(&self) -> Option<String> {
        self.event.device.as_ref().map(DeviceId::to_string)
    }

    fn slot(&self) -> Option<&str> {
        self.event.slot.as_ref().map(|slot| slot.as_str())
    }

    fn sequence(&self) -> i64 {
        integer(self.event.sequence)
    }

    fn boot(&self) -> String {
        self.event.boot.to_string()
    }

    fn ordered(&self, order: &Order) -> rusqlite::Result<()> {
        self.write(
            "INSERT OR IGNORE INTO orders (sequence, boot, plan, bundle) VALUES (?1, ?2, ?3, ?4)",
            params![
                self.sequence(),
                self.boot(),
                order.plan.to_string(),
                order.bundle.map(|bundle| bundle.to_string())
            ],
        )
    }

    fn approved(&self, grant: &Grant) -> rusqlite::Result<()> {
        let given = serde_json::to_string(grant).expect("it came from JSON");
        self.write(
            "INSERT OR IGNORE INTO approvals (id, sequence, given) VALUES (?1, ?2, ?3)",
            params![grant.id, self.sequence(), given],
        )
    }

    fn spent(&self, approvals: &[String]) -> rusqlite::Result<()> {
        for approval in approvals {
            self.write(
                "INSERT OR IGNORE INTO spent (run, approval) SELECT ?1, ?2 WHERE ?1 IS NOT NULL",
                params![self.run(), approval],
            )?;
        }
        Ok(())
    }

    fn plan(&self, recipe: &Recipe) -> rusqlite::Result<()> {
        let plan = recipe.plan.to_string();
        self.write(
            "INSERT OR IGNORE INTO plans (plan, product, target) VALUES (?1, ?2, ?3)",
            params![plan, recipe.product, word(recipe.target)],
        )?;
        for (place, step) in recipe.steps.iter().enumerate() {
            self.write(
                "INSERT OR IGNORE INTO plan_steps (plan, place, step, label, effect) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![plan, integer(place as u64), step.id.as_str(), step.label, word(step.effect)],
            )?;
        }
        Ok(())
    }

    fn identified(&self, state: ManufacturingState, security: String) -> rusqlite::Result<()> {
        self.write(
            "INSERT INTO devices (device, first_seen, last_seen, slot, state, security)
             SELECT ?1, ?2, ?2, ?3, ?4, ?5 WHERE ?1 IS NOT NULL
             ON CONFLICT (device) DO UPDATE SET last_seen = ?2, slot = ?3, state = ?4, security = ?5",
            params![self.device(), self.at, self.slot(), word(state), security],
        )
    }

    fn incident(&self, error: &Told) -> rusqlite::Result<()> {
        let [code, message, help, blame] = columns_of(Some(error));
        self.write(
            "INSERT INTO incidents (sequence, at, kind, slot, device, run,
                                    error_code, error_message, error_help, error_blame)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                self.sequence(),
                self.at,
                self.event.body.kind(),
                self.slot(),
                self.device(),
                self.run(),
                code,
                message,
                help,
                blame
            ],
        )
    }

    /// From now on what the device passed counts no more.
    fn recovery_begun(&self) -> rusqlite::Result<()> {
        self.write(
            "UPDATE devices SET recovery = ?2 WHERE device = ?1",
            params![self.device(), self.sequence()],
        )?;
        self.undone()
    }

    fn undone(&self) -> rusqlite::Result<()> {
        self.write(
            "UPDATE runs SET undone = ?2, undone_at = ?3
             WHERE device = ?1 AND ended IS NOT NULL AND undone IS NULL",
            params![self.device(), self.sequence(), self.at],
        )
    }

    fn hand_write(
        &self,
        verb: &str,
        outcome: HandOutcome,
        is_undoing: bool,
        error: Option<&Told>,
    ) -> rusqlite::Result<()> {
        let [code, message, help, blame] = columns_of(error);
        self.write(
            "INSERT INTO hand_writes (sequence, at, operator, slot, device, verb, outcome, is_undoing,
                                      error_code, error_message, error_help, error_blame)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 WHERE ?5 IS NOT NULL",
            params![
                self.sequence(),
                self.at,
                self.event.operator,
                self.slot(),
                self.device(),
                verb,
                word(outcome),
                is_undoing,
                code,
                message,
                help,
                blame
            ],
        )
    }

    /// What the last recovery took away is as it was; what an earlier one took away is not.
    fn nothing_was_erased(&self) -> rusqlite::Result<()> {
        self.write(
            "UPDATE runs SET undone = NULL, undone_at = NULL
             WHERE device = ?1 AND undone = (SELECT recovery FROM devices WHERE device = ?1)",
            params![self.device()],
        )
    }

    fn run_started(&self) -> rusqlite::Result<()> {
        let Body::RunStarted {
            serial,
            plan,
            attempt,
            predecessor,
            incoming,
            ..
        } = &self.event.body
        else {
            return Ok(());
        };
        self.write(
            "INSERT OR IGNORE INTO runs (run, sequence, device, slot, serial, plan, attempt, predecessor, incoming,
                                         started, clock, operator, shift, work_order, boot)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
             WHERE ?1 IS NOT NULL AND ?3 IS NOT NULL",
            params![
                self.run(),
                self.sequence(),
                self.device(),
                self.slot(),
                serial.as_str(),
                plan.to_string(),
                attempt,
                predecessor.map(|run| run.to_string()),
                word(incoming),
                self.at,
                word(self.event.at.trust),
                self.event.operator,
                self.event.shift,
                self.event.work_order,
                self.boot()
            ],
        )?;
        self.write(
            "INSERT INTO devices (device, first_seen, last_seen, slot, serial)
             SELECT ?1, ?2, ?2, ?3, ?4 WHERE ?1 IS NOT NULL
             ON CONFLICT (device) DO UPDATE SET serial = ?4",
            params![self.device(), self.at, self.slot(), serial.as_str()],
        )
    }

    fn run_ended(&self, outcome: Outcome, error: Option<&Told>) -> rusqlite::Result<()> {
        let [code, message, help, blame] = columns_of(error);
        self.write(
            "UPDATE runs SET ended = ?2, outcome = ?3,
                             error_code = ?4, error_message = ?5, error_help = ?6, error_blame = ?7
             WHERE run = ?1",
            params![self.run(), self.at, word(outcome), code, message, help, blame],
        )?;
        // The worse of both ends counts.
        let better: &[ClockTrust] = match self.event.at.trust {
            ClockTrust::Synchronised => &[],
            ClockTrust::Unverified => &[ClockTrust::Synchronised],
            ClockTrust::Wrong => &[ClockTrust::Synchronised, ClockTrust::Unverified],
        };
        for better in better {
            self.write(
                "UPDATE runs SET clock = ?2 WHERE run = ?1 AND clock = ?3",
                params![self.run(), word(self.event.at.trust), word(better)],
            )?;
        }
        Ok(())
    }

    fn step_started(&self, step: &StepId, attempt: u32) -> rusqlite::Result<()> {
        self.write(
            "INSERT INTO steps (run, step, attempt, sequence, started)
             SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?1 IS NOT NULL
             ON CONFLICT (run, step, attempt) DO UPDATE SET started = coalesce(started, ?5)",
            params![self.run(), step.as_str(), attempt, self.sequence(), self.at],
        )
    }

    fn step_ended(
        &self,
        step: &StepId,
        attempt: u32,
        outcome: Outcome,
        error: Option<&Told>,
        note: Option<&str>,
    ) -> rusqlite::Result<()> {
        let [code, message, help, blame] = columns_of(error);
        self.write(
            "INSERT INTO steps (run, step, attempt, sequence, ended, outcome, note,
                                error_code, error_message, error_help, error_blame)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE ?1 IS NOT NULL
             ON CONFLICT (run, step, attempt) DO UPDATE
             SET ended = ?5, outcome = ?6, note = ?7,
                 error_code = ?8, error_message = ?9, error_help = ?10, error_blame = ?11",
            params![
                self.run(),
                step.as_str(),
                attempt,
                self.sequence(),
                self.at,
                word(outcome),
                note,
                code,
                message,
                help,
                blame
            ],
        )
    }

    fn measured(&self, step: &StepId, attempt: u32, measurements: &[Measurement]) -> rusqlite::Result<()> {
        for (place, measurement) in measurements.iter().enumerate() {
            let Measurement {
                name,
                value,
                unit,
                min,
                max,
                outcome,
            } = measurement;
            self.write(
                "INSERT OR REPLACE INTO measurements (run, step, attempt, place, name, value, unit, min, max, outcome)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE ?1 IS NOT NULL",
                params![
                    self.run(),
                    step.as_str(),
                    attempt,
                    integer(place as u64),
                    name,
                    value,
                    unit,
                    min,
                    max,
                    word(outcome)
                ],
            )?;
        }
        Ok(())
    }

    fn judged(&self, step: &StepId, outcome: Outcome, facts: String) -> rusqlite::Result<()> {
        self.write(
            "INSERT INTO judgements (sequence, at, run, step, outcome, facts)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?3 IS NOT NULL",
            params![
                self.sequence(),
                self.at,
                self.run(),
                step.as_str(),
                word(outcome),
                facts
            ],
        )
    }

    fn checked(&self, checks: &[Check]) -> rusqlite::Result<()> {
        for (place, check) in checks.iter().enumerate() {
            self.write(
                "INSERT INTO checks (judgement, place, name, outcome, expected, found, covered_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    self.sequence(),
                    integer(place as u64),
                    word(check.name),
                    word(check.outcome),
                    check.expected,
                    check.found,
                    check.covered_by.map(|run| run.to_string())
                ],
            )?;
        }
        Ok(())
    }

    fn intended(&self, intent: &Intent) -> rusqlite::Result<()> {
        let key = &intent.key;
        self.write(
            "INSERT OR IGNORE INTO intents (device, verb, target, generation, sequence, at, run, slot, from_state, proof)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                key.device.to_string(),
                word(key.verb),
                word(key.target),
                key.generation,
                self.sequence(),
                self.at,
                intent.run.to_string(),
                self.slot(),
                word(intent.from),
                intent.proof.to_string()
            ],
        )
    }

    fn decided(&self, key: &OnceKey, verdict: Verdict, seen: ManufacturingState) -> rusqlite::Result<()> {
        let device = key.device.to_string();
        self.write(
            "UPDATE intents SET verdict = ?5, decided = ?6
             WHERE device = ?1 AND verb = ?2 AND target = ?3 AND generation = ?4",
            params![
                device,
                word(key.verb),
                word(key.target),
                key.generation,
                word(verdict),
                self.at
            ],
        )?;
        self.write(
            "UPDATE devices SET state = ?2, last_seen = ?3 WHERE device = ?1",
            params![device, word(seen), self.at],
        )?;
        if verdict == Verdict::Confirmed && key.target == ManufacturingState::DeviceComplete {
            self.write(
                "UPDATE devices SET complete_run = (SELECT run FROM intents
                     WHERE device = ?1 AND verb = ?2 AND target = ?3 AND generation = ?4)
                 WHERE device = ?1",
                params![device, word(key.verb), word(key.target), key.generation],
            )?;
        }
        Ok(())
    }
}
