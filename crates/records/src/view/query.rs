//! The questions that the view answers.

use lineside_flow::interlock::{Check, Grant, OnceKey};
use lineside_flow::{HandOutcome, Measurement};
use lineside_terms::{DeviceId, Digest, RunId, SlotPath, StepId, UnitSerial};
use rusqlite::{Params, Row, params};

use super::View;
use super::rows::{
    DeviceRecord, HandRecord, Incident, IntentRecord, JudgementRecord, RunFilter, RunRecord, RunSummary,
    StepRecord,
};
use super::words::{
    integer, json, number, parsed, parsed_if_any, spelled, spelled_if_any, time_of, told, word,
};
use crate::error::RecordsError;

const RUN: &str =
    "SELECT runs.run, device, serial, slot, runs.plan, plans.product, attempt, predecessor, incoming,
    started, ended, clock, outcome, operator, shift, work_order,
    error_code, error_message, error_help, error_blame, undone_at
  FROM runs LEFT JOIN plans ON plans.plan = runs.plan";

const INTENT: &str =
    "SELECT device, verb, target, generation, sequence, at, run, slot, from_state, proof, verdict,
    decided FROM intents";

impl View {
    /// Runs, newest first.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunSummary>, RecordsError> {
        let sql = format!(
            "{RUN} WHERE (?1 IS NULL OR device LIKE '%' || ?1) AND (?2 IS NULL OR serial = ?2)
               AND (?3 IS NULL OR slot = ?3) AND (?4 IS NULL OR outcome = ?4) AND (?5 IS NULL OR started >= ?5)
             ORDER BY runs.sequence DESC LIMIT ?6"
        );
        let values = params![
            filter.device.as_deref().map(hex_digits),
            filter.serial.as_ref().map(UnitSerial::as_str),
            filter.slot.as_ref().map(SlotPath::as_str),
            filter.outcome.map(word),
            filter.since_ms.map(time_of),
            filter.limit.map_or(-1, i64::from),
        ];
        self.all("listing runs", &sql, values, summary)
    }

    /// One run whole.
    ///
    /// # Errors
    /// [`RecordsError::NotFound`] when there is no such run, and [`RecordsError::View`].
    pub fn run(&self, run: &RunId) -> Result<RunRecord, RecordsError> {
        let id = run.to_string();
        let found = self.all(
            "reading a run",
            &format!("{RUN} WHERE runs.run = ?1"),
            [&id],
            summary,
        )?;
        let summary = found.into_iter().next().ok_or_else(|| RecordsError::NotFound {
            what: format!("run {id}"),
        })?;
        Ok(RunRecord {
            steps: self.steps_of(&id, &summary.plan.to_string())?,
            judgements: self.judgements_of(&id)?,
            intents: self.all(
                "reading intents",
                &format!("{INTENT} WHERE run = ?1 ORDER BY sequence"),
                [&id],
                intent,
            )?,
            incidents: self.all(
                "reading incidents",
                "SELECT sequence, at, kind, slot, device, error_code, error_message, error_help, error_blame
                 FROM incidents WHERE run = ?1 ORDER BY sequence",
                [&id],
                incident,
            )?,
            summary,
        })
    }

    /// The runs whose id begins so: what a person types is rarely the whole.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn runs_beginning(&self, id: &str) -> Result<Vec<RunId>, RecordsError> {
        let sql = "SELECT run FROM runs WHERE run LIKE ?1 || '%' ORDER BY sequence";
        self.all("looking up a run", sql, [hex_digits(id)], |row| parsed(row, 0))
    }

    /// The bundle that the plan of a run came from: so it was ordered by the start of the program that began the run.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn bundle_of(&self, run: &RunId) -> Result<Option<Digest>, RecordsError> {
        let sql = "SELECT orders.bundle FROM runs JOIN orders ON orders.boot = runs.boot
                   WHERE runs.run = ?1 AND orders.plan = runs.plan AND orders.sequence < runs.sequence
                   ORDER BY orders.sequence DESC LIMIT 1";
        let found = self.all("reading an order", sql, [run.to_string()], |row| {
            parsed_if_any(row, 0)
        })?;
        Ok(found.into_iter().next().flatten())
    }

    /// The approvals that the irreversible steps of a run spent, in the order in which they were given.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn approvals_of(&self, run: &RunId) -> Result<Vec<Grant>, RecordsError> {
        let sql = "SELECT approvals.given FROM spent JOIN approvals ON approvals.id = spent.approval
                   WHERE spent.run = ?1 ORDER BY approvals.sequence";
        self.all("reading approvals", sql, [run.to_string()], |row| json(row, 0))
    }

    /// Every device that was seen, in the order in which they first were.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn devices(&self) -> Result<Vec<DeviceRecord>, RecordsError> {
        let sql = "SELECT device, first_seen, last_seen, slot, state, security, serial, complete_run
                   FROM devices ORDER BY first_seen, device";
        self.all("listing devices", sql, [], |row| {
            Ok(DeviceRecord {
                device: parsed(row, 0)?,
                first_seen: row.get(1)?,
                last_seen: row.get(2)?,
                slot: parsed_if_any(row, 3)?,
                state: spelled_if_any(row, 4)?,
                security: spelled_if_any(row, 5)?,
                serial: parsed_if_any(row, 6)?,
                complete_run: parsed_if_any(row, 7)?,
            })
        })
    }

    /// Irreversible intents of which nobody can say yet what became of them, or which a person must decide.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn unresolved_intents(&self) -> Result<Vec<IntentRecord>, RecordsError> {
        let sql = format!("{INTENT} WHERE verdict IS NULL OR verdict = 'unclear' ORDER BY sequence");
        self.all("listing intents", &sql, [], intent)
    }

    /// What went wrong outside the end of a step or run, newest first.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn incidents(&self, limit: u32) -> Result<Vec<Incident>, RecordsError> {
        let sql =
            "SELECT sequence, at, kind, slot, device, error_code, error_message, error_help, error_blame
                   FROM incidents ORDER BY sequence DESC LIMIT ?1";
        self.all("listing incidents", sql, [limit], incident)
    }

    /// What was written by hand, newest first; of one device, or of all.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn hand_writes(
        &self,
        device: Option<&DeviceId>,
        limit: u32,
    ) -> Result<Vec<HandRecord>, RecordsError> {
        let sql = "SELECT sequence, at, operator, slot, device, verb, outcome, is_undoing,
                          error_code, error_message, error_help, error_blame
                   FROM hand_writes WHERE ?1 IS NULL OR device = ?1 ORDER BY sequence DESC LIMIT ?2";
        let device = device.map(DeviceId::to_string);
        self.all(
            "listing what was written by hand",
            sql,
            rusqlite::params![device, limit],
            |row| {
                Ok(HandRecord {
                    sequence: number(row.get(0)?),
                    at: row.get(1)?,
                    operator: row.get(2)?,
                    slot: parsed_if_any(row, 3)?,
                    device: parsed(row, 4)?,
                    verb: row.get(5)?,
                    outcome: spelled_if_any(row, 6)?.unwrap_or(HandOutcome::Unclear),
                    is_undoing: row.get(7)?,
                    error: told(row, 8)?,
                })
            },
        )
    }

    fn steps_of(&self, run: &str, plan: &str) -> Result<Vec<StepRecord>, RecordsError> {
        let sql = "SELECT steps.step, label, attempt, started, ended, outcome, note,
                          error_code, error_message, error_help, error_blame
                   FROM steps LEFT JOIN plan_steps ON plan_steps.plan = ?2 AND plan_steps.step = steps.step
                   WHERE run = ?1 ORDER BY sequence";
        let mut steps = self.all("reading steps", sql, [run, plan], |row| {
            Ok(StepRecord {
                step: parsed(row, 0)?,
                label: row.get(1)?,
                attempt: row.get(2)?,
                started: row.get(3)?,
                ended: row.get(4)?,
                outcome: spelled_if_any(row, 5)?,
                measurements: Vec::new(),
                note: row.get(6)?,
                error: told(row, 7)?,
            })
        })?;
        let sql = "SELECT step, attempt, name, value, unit, min, max, outcome
                   FROM measurements WHERE run = ?1 ORDER BY step, attempt, place";
        let measured = self.all("reading measurements", sql, [run], |row| {
            let measurement = Measurement {
                name: row.get(2)?,
                value: row.get(3)?,
                unit: row.get(4)?,
                min: row.get(5)?,
                max: row.get(6)?,
                outcome: spelled(row, 7)?,
            };
            Ok((parsed::<StepId>(row, 0)?, row.get::<_, u32>(1)?, measurement))
        })?;
        for (step, attempt, measurement) in measured {
            let taker = steps
                .iter_mut()
                .find(|other| other.step == step && other.attempt == attempt);
            if let Some(taker) = taker {
                taker.measurements.push(measurement);
            }
        }
        Ok(steps)
    }

    fn judgements_of(&self, run: &str) -> Result<Vec<JudgementRecord>, RecordsError> {
        let sql =
            "SELECT sequence, at, step, outcome, facts FROM judgements WHERE run = ?1 ORDER BY sequence";
        let mut judgements = self.all("reading judgements", sql, [run], |row| {
            Ok(JudgementRecord {
                sequence: number(row.get(0)?),
                at: row.get(1)?,
                step: parsed(row, 2)?,
                outcome: spelled(row, 3)?,
                facts: parsed(row, 4)?,
                checks: Vec::new(),
            })
        })?;
        for judgement in &mut judgements {
            let sql = "SELECT name, outcome, expected, found, covered_by FROM checks
                       WHERE judgement = ?1 ORDER BY place";
            judgement.checks = self.all("reading checks", sql, [integer(judgement.sequence)], |row| {
                Ok(Check {
                    name: spelled(row, 0)?,
                    outcome: spelled(row, 1)?,
                    expected: row.get(2)?,
                    found: row.get(3)?,
                    covered_by: parsed_if_any(row, 4)?,
                })
            })?;
        }
        Ok(judgements)
    }

    fn all<T>(
        &self,
        doing: &'static str,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, RecordsError> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            self.connection
                .prepare_cached(sql)?
                .query_map(values, read)?
                .collect()
        };
        rows().map_err(self.failed(doing))
    }
}

/// Hex digits in lower case; anything else in the text makes it match nothing.
fn hex_digits(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        text
    } else {
        "-".to_owned()
    }
}

fn summary(row: &Row<'_>) -> rusqlite::Result<RunSummary> {
    Ok(RunSummary {
        run: parsed(row, 0)?,
        device: parsed(row, 1)?,
        serial: parsed(row, 2)?,
        slot: parsed_if_any(row, 3)?,
        plan: parsed(row, 4)?,
        product: row.get(5)?,
        attempt: row.get(6)?,
        predecessor: parsed_if_any(row, 7)?,
        incoming: spelled(row, 8)?,
        started: row.get(9)?,
        ended: row.get(10)?,
        clock: spelled(row, 11)?,
        outcome: spelled_if_any(row, 12)?,
        operator: row.get(13)?,
        shift: row.get(14)?,
        work_order: row.get(15)?,
        error: told(row, 16)?,
        undone: row.get(20)?,
    })
}

fn intent(row: &Row<'_>) -> rusqlite::Result<IntentRecord> {
    Ok(IntentRecord {
        key: OnceKey {
            device: parsed(row, 0)?,
            verb: spelled(row, 1)?,
            target: spelled(row, 2)?,
            generation: row.get(3)?,
        },
        sequence: number(row.get(4)?),
        at: row.get(5)?,
        run: parsed(row, 6)?,
        slot: parsed_if_any(row, 7)?,
        from: spelled(row, 8)?,
        proof: parsed(row, 9)?,
        verdict: spelled_if_any(row, 10)?,
        decided: row.get(11)?,
    })
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    Ok(Incident {
        sequence: number(row.get(0)?),
        at: row.get(1)?,
        kind: row.get(2)?,
        slot: parsed_if_any(row, 3)?,
        device: parsed_if_any(row, 4)?,
        error: told(row, 5)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?,
    })
}
