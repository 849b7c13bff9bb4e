//! Approvals: leave given by named people for a number of units, spent one by one.
//!
//! A plan says which of its irreversible steps need the leave of which role, and of how many people. A grant is that
//! leave: by whom, for which plan and step, at which station, for how many units, until when and why. Grants are events;
//! this fold says what is left of them. Who may grant is not judged here: a grant is checked before it becomes an event.
//!
//! An act spends its units in the record that holds its intent, so that one is never durable without the other; and no
//! permit is made without the [`Approved`] that says so.

use std::collections::{BTreeMap, BTreeSet};

use lineside_terms::{Digest, RunId, StationName, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::Refusal;

/// Whose leave a step needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Requirement {
    /// The role that must have granted it.
    pub role: String,
    /// How many different people must have, 1 or 2. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 2))]
    pub people: u8,
}

const fn one() -> u8 {
    1
}

/// Leave for a number of units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// Names this grant for ever: the same one is never counted twice.
    pub id: String,
    /// Where it is good.
    pub station: StationName,
    /// The plan, with all that it refers to.
    pub plan: Digest,
    /// The step.
    pub step: StepId,
    /// In which role it was given.
    pub role: String,
    /// Who gave it: a pseudonymous id.
    pub by: String,
    /// For how many units.
    pub units: u32,
    /// Until when: milliseconds since 1970-01-01 UTC.
    pub until_ms: i64,
    /// When it was made, in the same way; grants of earlier programs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_ms: Option<i64>,
    /// Why.
    pub why: String,
}

impl Grant {
    /// Whether it is leave for this step of this plan in the role that is needed, and its time is not over.
    fn is_for(&self, need: &Requirement, plan: &Digest, step: &StepId, now_ms: i64) -> bool {
        self.role == need.role && self.plan == *plan && self.step == *step && now_ms < self.until_ms
    }
}

/// That those whose leave an act needs have given it, and that it is spent in the records; or that the policy of its plan
/// asks for none. Made only by [`Approvals::approved`]; like a proof it cannot be cloned, stored or read back.
#[derive(Debug)]
pub struct Approved {
    pub(crate) plan: Digest,
    pub(crate) run: RunId,
}

/// What is left of all grants: a fold over the journal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    seen: BTreeSet<String>,
    open: Vec<(Grant, u32)>,
    /// What was open when the journal was put back from a backup.
    voided: Vec<Grant>,
    /// What had been spent by then.
    voided_shares: BTreeSet<(RunId, StepId)>,
    /// When the journal was put back last: milliseconds since 1970-01-01 UTC.
    restored_ms: Option<i64>,
    /// Runs that have spent their share of a step; they need no other to try again.
    spent: BTreeSet<(RunId, StepId)>,
}

impl Approvals {
    /// Folds a grant in; false when it was there before, and changes nothing then.
    pub fn record(&mut self, grant: &Grant) -> bool {
        let is_new = self.seen.insert(grant.id.clone());
        if is_new && grant.units > 0 {
            self.open.push((grant.clone(), grant.units));
        }
        is_new
    }

    /// True when a grant of this id was ever recorded.
    pub fn knows(&self, id: &str) -> bool {
        self.seen.contains(id)
    }

    /// True when this grant may have been counted, and spent, in the part of the journal that a restore lost: it was made
    /// before, or does not say when. [`Self::knows`] knows nothing of that part.
    pub fn may_be_lost(&self, grant: &Grant) -> bool {
        let is_newer = |restored_ms| grant.made_ms.is_some_and(|made_ms| made_ms > restored_ms);
        self.restored_ms.is_some_and(|restored_ms| !is_newer(restored_ms))
    }

    /// The journal was restored from a backup at `now_ms`: nobody knows what was spent since, so nothing is left of any grant.
    pub fn void(&mut self, now_ms: i64) {
        self.restored_ms = self.restored_ms.max(Some(now_ms));
        self.voided.extend(self.open.drain(..).map(|(grant, _)| grant));
        self.voided_shares.append(&mut self.spent);
    }

    /// True when this run could do this step, or somebody had given leave for it that would still be good, and a restore made
    /// that void: whoever sees that leave is missing must be told why.
    pub fn is_voided(
        &self,
        need: &Requirement,
        plan: &Digest,
        run: RunId,
        step: &StepId,
        now_ms: i64,
    ) -> bool {
        let is_meant = |grant: &Grant| grant.is_for(need, plan, step, now_ms);
        self.voided_shares.contains(&(run, step.clone())) || self.voided.iter().any(is_meant)
    }

    /// Grants with something left, and how much.
    pub fn open(&self) -> impl Iterator<Item = (&Grant, u32)> {
        self.open.iter().map(|(grant, left)| (grant, *left))
    }

    /// How many people have still to grant before this run may do this step; 0 when it may.
    pub fn lacking(
        &self,
        need: &Requirement,
        plan: &Digest,
        run: RunId,
        step: &StepId,
        now_ms: i64,
    ) -> usize {
        if self.spent.contains(&(run, step.clone())) {
            return 0;
        }
        usize::from(need.people.max(1)).saturating_sub(self.usable(need, plan, step, now_ms).len())
    }

    /// The grants that an act of this run would spend one unit of each now: one of each person that is needed, those first
    /// that end first. None of them when the run has spent its share; `None` when somebody's is missing.
    pub fn offer(
        &self,
        need: &Requirement,
        plan: &Digest,
        run: RunId,
        step: &StepId,
        now_ms: i64,
    ) -> Option<Vec<String>> {
        if self.spent.contains(&(run, step.clone())) {
            return Some(Vec::new());
        }
        let people = usize::from(need.people.max(1));
        let usable = self.usable(need, plan, step, now_ms);
        let ids = usable
            .iter()
            .take(people)
            .map(|index| self.open[*index].0.id.clone());
        (usable.len() >= people).then(|| ids.collect())
    }

    /// Folds in what an intent spent: one unit of each of these grants. When they were good for it is not asked again:
    /// that was judged when they were offered. False, and nothing is changed, when they are not what the step needs or
    /// nothing is left of one.
    pub fn spend(
        &mut self,
        need: &Requirement,
        plan: &Digest,
        run: RunId,
        step: &StepId,
        grants: &[String],
    ) -> bool {
        let share = (run, step.clone());
        if grants.is_empty() || self.spent.contains(&share) {
            return grants.is_empty() && self.spent.contains(&share);
        }
        let place = |id: &String| self.open.iter().position(|(grant, _)| grant.id == *id);
        let places: BTreeSet<usize> = grants.iter().filter_map(place).collect();
        let fits = |index: &usize| self.fits(*index, need, plan, step, i64::MIN);
        let people: BTreeSet<&str> = places
            .iter()
            .map(|index| self.open[*index].0.by.as_str())
            .collect();
        let enough = usize::from(need.people.max(1));
        if [grants.len(), places.len(), people.len()] != [enough; 3] || !places.iter().all(fits) {
            return false;
        }
        self.take(share, places);
        true
    }

    /// As [`Self::spend`], for records of before intents said which grants they spent: those that an act would spend at
    /// that moment.
    pub fn spend_as_of(
        &mut self,
        need: &Requirement,
        plan: &Digest,
        run: RunId,
        step: &StepId,
        now_ms: i64,
    ) -> bool {
        match self.offer(need, plan, run, step, now_ms) {
            None => false,
            Some(grants) => self.spend(need, plan, run, step, &grants),
        }
    }

    /// That a run may act in this step as far as the policy of its plan goes: what it needs is spent, or it needs
    /// nothing.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`].
    pub fn approved(
        &self,
        policy: &BTreeMap<StepId, Requirement>,
        plan: Digest,
        run: RunId,
        step: &StepId,
    ) -> Result<Approved, Refusal> {
        if policy.contains_key(step) && !self.spent.contains(&(run, step.clone())) {
            return Err(Refusal::NotApproved { step: step.clone() });
        }
        Ok(Approved { plan, run })
    }

    fn take(&mut self, share: (RunId, StepId), places: impl IntoIterator<Item = usize>) {
        for index in places {
            self.open[index].1 -= 1;
        }
        self.open.retain(|(_, left)| *left > 0);
        self.spent.insert(share);
    }

    fn fits(&self, index: usize, need: &Requirement, plan: &Digest, step: &StepId, now_ms: i64) -> bool {
        self.open[index].0.is_for(need, plan, step, now_ms)
    }

    /// One grant of each person, those first that end first.
    fn usable(&self, need: &Requirement, plan: &Digest, step: &StepId, now_ms: i64) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.open.len())
            .filter(|index| self.fits(*index, need, plan, step, now_ms))
            .collect();
        found.sort_by_key(|index| (self.open[*index].0.until_ms, *index));
        let mut people = BTreeSet::new();
        found.retain(|index| people.insert(self.open[*index].0.by.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAN: Digest = Digest::from_bytes([1; 32]);

    fn grant(id: &str, by: &str, units: u32, until_ms: i64) -> Grant {
        Grant {
            id: id.into(),
            station: "line-3".parse().unwrap(),
            plan: PLAN,
            step: "lock".parse().unwrap(),
            role: "quality".into(),
            by: by.into(),
            units,
            until_ms,
            made_ms: None,
            why: "first batch".into(),
        }
    }

    fn need(people: u8) -> Requirement {
        Requirement {
            role: "quality".into(),
            people,
        }
    }

    fn run(number: u8) -> RunId {
        RunId::from_bytes([number; 16])
    }

    #[test]
    fn a_quota_is_spent_unit_by_unit_and_once_for_each_run() {
        let lock = "lock".parse().unwrap();
        let mut approvals = Approvals::default();
        assert_eq!(approvals.lacking(&need(1), &PLAN, run(1), &lock, 0), 1);
        assert_eq!(approvals.lacking(&need(2), &PLAN, run(1), &lock, 0), 2);
        assert!(!approvals.spend_as_of(&need(1), &PLAN, run(1), &lock, 0));
        assert!(approvals.record(&grant("a", "qa-1", 2, 100)));
        assert!(
            !approvals.record(&grant("a", "qa-1", 2, 100)),
            "the same one again brings nothing"
        );
        assert!(approvals.knows("a") && !approvals.knows("b"));
        for _ in 0..3 {
            assert!(
                approvals.spend_as_of(&need(1), &PLAN, run(1), &lock, 99),
                "a run pays once"
            );
        }
        assert!(approvals.spend_as_of(&need(1), &PLAN, run(2), &lock, 99));
        assert!(!approvals.spend_as_of(&need(1), &PLAN, run(3), &lock, 99));
        assert!(
            !approvals.record(&grant("a", "qa-1", 2, 100)),
            "not even when it is used up"
        );
        assert!(!approvals.spend_as_of(&need(1), &PLAN, run(3), &lock, 99));
    }

    #[test]
    fn one_person_is_asked_where_a_plan_does_not_say_how_many() {
        let need: Requirement = serde_json::from_str(r#"{"role":"quality"}"#).unwrap();
        assert_eq!(need.people, 1);
    }

    #[test]
    fn role_plan_step_time_and_number_of_people_count() {
        let lock: StepId = "lock".parse().unwrap();
        let mut approvals = Approvals::default();
        approvals.record(&grant("a", "qa-1", 5, 100));
        approvals.record(&grant("b", "qa-1", 5, 100));
        let other = Requirement {
            role: "manager".into(),
            people: 1,
        };
        assert_eq!(approvals.lacking(&other, &PLAN, run(1), &lock, 0), 1);
        assert_eq!(approvals.lacking(&need(1), &Digest::ZERO, run(1), &lock, 0), 1);
        assert_eq!(
            approvals.lacking(&need(1), &PLAN, run(1), &"ship".parse().unwrap(), 0),
            1
        );
        assert_eq!(approvals.lacking(&need(1), &PLAN, run(1), &lock, 100), 1);
        assert_eq!(
            approvals.lacking(&need(2), &PLAN, run(1), &lock, 0),
            1,
            "one person is not two"
        );
        approvals.record(&grant("c", "qa-2", 1, 50));
        assert!(approvals.spend_as_of(&need(2), &PLAN, run(1), &lock, 0));
        assert!(
            !approvals.spend_as_of(&need(2), &PLAN, run(2), &lock, 0),
            "the second person gave one unit"
        );
        assert!(approvals.spend_as_of(&need(1), &PLAN, run(2), &lock, 0));
    }

    #[test]
    fn what_an_intent_spent_is_taken_as_it_was_written_and_only_if_it_can_be() {
        let lock: StepId = "lock".parse().unwrap();
        let mut approvals = Approvals::default();
        for (id, by, units) in [("a", "qa-1", 2), ("b", "qa-1", 2), ("c", "qa-2", 1)] {
            approvals.record(&grant(id, by, units, 100));
        }
        let mut other = grant("d", "qa-3", 9, 100);
        other.role = "manager".into();
        approvals.record(&other);
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let policy = BTreeMap::from([(lock.clone(), need(2))]);
        assert_eq!(
            approvals.offer(&need(2), &PLAN, run(1), &lock, 99),
            Some(ids(&["a", "c"]))
        );
        assert_eq!(approvals.offer(&need(2), &PLAN, run(1), &lock, 100), None);
        for wrong in [
            ids(&[]),
            ids(&["a"]),
            ids(&["a", "a"]),
            ids(&["a", "b"]),
            ids(&["a", "d"]),
            ids(&["a", "x"]),
            ids(&["a", "b", "c"]),
            ids(&["a", "c", "c"]),
        ] {
            assert!(
                !approvals.spend(&need(2), &PLAN, run(1), &lock, &wrong),
                "{wrong:?}"
            );
            let refused = approvals.approved(&policy, PLAN, run(1), &lock).unwrap_err();
            assert_eq!(refused, Refusal::NotApproved { step: lock.clone() });
        }
        // Its time is over meanwhile, which does not undo what was spent within it.
        assert!(approvals.spend(&need(2), &PLAN, run(1), &lock, &ids(&["b", "c"])));
        let left: Vec<_> = approvals
            .open()
            .map(|(grant, left)| (grant.id.as_str(), left))
            .collect();
        assert_eq!(left, [("a", 2), ("b", 1), ("d", 9)]);
        assert!(approvals.approved(&policy, PLAN, run(1), &lock).is_ok());
        assert!(approvals.approved(&policy, PLAN, run(2), &lock).is_err());
        assert!(
            approvals.approved(&BTreeMap::new(), PLAN, run(2), &lock).is_ok(),
            "nobody is asked"
        );
        // Once it has spent its share, it offers nothing more and can spend nothing more.
        assert_eq!(
            approvals.offer(&need(2), &PLAN, run(1), &lock, 99),
            Some(Vec::new())
        );
        assert!(approvals.spend(&need(2), &PLAN, run(1), &lock, &[]));
        assert!(!approvals.spend(&need(2), &PLAN, run(1), &lock, &ids(&["a", "b"])));
        assert!(!approvals.spend(&need(1), &PLAN, run(1), &lock, &ids(&["a"])));
    }

    #[test]
    fn a_restored_journal_leaves_nothing() {
        let lock: StepId = "lock".parse().unwrap();
        let mut approvals = Approvals::default();
        approvals.record(&grant("a", "qa-1", 5, 100));
        assert!(approvals.spend_as_of(&need(1), &PLAN, run(1), &lock, 0));
        let is_voided = |approvals: &Approvals, people: u8, id: u8, now_ms: i64| {
            approvals.is_voided(&need(people), &PLAN, run(id), &lock, now_ms)
        };
        assert!(!is_voided(&approvals, 1, 1, 0) && !is_voided(&approvals, 1, 2, 0));
        approvals.void(50);
        // What was granted after the backup is unknown now: only what was made since the restore is surely unspent.
        let made = |made_ms| Grant {
            made_ms,
            ..grant("b", "qa-1", 5, 100)
        };
        assert!(
            [None, Some(49), Some(50)]
                .iter()
                .all(|at| approvals.may_be_lost(&made(*at)))
        );
        assert!(!approvals.may_be_lost(&made(Some(51))));
        assert!(!Approvals::default().may_be_lost(&made(None)));
        assert_eq!(approvals.lacking(&need(1), &PLAN, run(1), &lock, 0), 1);
        // Of its share one run is told whenever it asks; of leave that nobody had used, all while it would be good.
        assert!(is_voided(&approvals, 1, 1, 100));
        assert!(is_voided(&approvals, 2, 2, 99) && !is_voided(&approvals, 2, 2, 100));
        let night = Requirement {
            role: "night".into(),
            people: 1,
        };
        assert!(!approvals.is_voided(&night, &PLAN, run(2), &lock, 0));
        assert!(
            !approvals.record(&grant("a", "qa-1", 5, 100)),
            "a grant of before is no new one"
        );
        assert_eq!(approvals.open().count(), 0);
    }

    proptest! {
        #[test]
        fn never_more_is_spent_than_was_granted(units in proptest::collection::vec((0_u8..3, 0_u32..4, 0_i64..8), 0..6), tries in proptest::collection::vec((0_u8..12, 0_i64..8, 1_u8..=2), 0..40)) {
            let lock: StepId = "lock".parse().unwrap();
            let mut approvals = Approvals::default();
            let mut total = 0;
            for (index, (by, units, until)) in units.iter().enumerate() {
                approvals.record(&grant(&index.to_string(), &by.to_string(), *units, *until));
                total += u64::from(*units);
            }
            let mut paid = 0;
            let mut runs = BTreeSet::new();
            for (number, now, people) in tries {
                if approvals.spend_as_of(&need(people), &PLAN, run(number), &lock, now) && runs.insert(number) {
                    paid += u64::from(people);
                }
                let left: u64 = approvals.open().map(|(_, left)| u64::from(left)).sum();
                prop_assert_eq!(paid + left, total);
            }
        }
    }
}
