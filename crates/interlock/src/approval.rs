//! Approvals: leave given by named people for a number of units, spent one by one.
//!
//! A plan says which of its irreversible steps need the leave of which role, and of how many people. A grant is that
//! leave: by whom, for which plan and step, at which station, for how many units, until when and why. Grants are events;
//! this fold says what is left of them. Who may grant is not judged here: a grant is checked before it becomes an event.

use std::collections::BTreeSet;

use lineside_terms::{Digest, RunId, StationName, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Why.
    pub why: String,
}

/// What is left of all grants: a fold over the journal.
#[derive(Debug, Clone, Default)]
pub struct Approvals {
    seen: BTreeSet<String>,
    open: Vec<(Grant, u32)>,
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

    /// The journal was restored from a backup: nobody knows what was spent since, so nothing is left of any grant.
    pub fn void(&mut self) {
        self.open.clear();
        self.spent.clear();
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

    /// Takes one unit from a grant of each person that is needed, those first that end first; false when somebody's is
    /// missing, and nothing is taken then.
    pub fn spend(
        &mut self,
        need: &Requirement,
        plan: &Digest,
        run: RunId,
        step: &StepId,
        now_ms: i64,
    ) -> bool {
        if self.lacking(need, plan, run, step, now_ms) > 0 {
            return false;
        }
        if self.spent.insert((run, step.clone())) {
            let taken = self.usable(need, plan, step, now_ms);
            for index in taken.into_iter().take(usize::from(need.people.max(1))) {
                self.open[index].1 -= 1;
            }
            self.open.retain(|(_, left)| *left > 0);
        }
        true
    }

    /// One grant of each person, those first that end first.
    fn usable(&self, need: &Requirement, plan: &Digest, step: &StepId, now_ms: i64) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.open.len())
            .filter(|index| {
                let grant = &self.open[*index].0;
                grant.role == need.role
                    && grant.plan == *plan
                    && grant.step == *step
                    && now_ms < grant.until_ms
            })
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
        assert!(!approvals.spend(&need(1), &PLAN, run(1), &lock, 0));
        assert!(approvals.record(&grant("a", "qa-1", 2, 100)));
        assert!(
            !approvals.record(&grant("a", "qa-1", 2, 100)),
            "the same one again brings nothing"
        );
        for _ in 0..3 {
            assert!(
                approvals.spend(&need(1), &PLAN, run(1), &lock, 99),
                "a run pays once"
            );
        }
        assert!(approvals.spend(&need(1), &PLAN, run(2), &lock, 99));
        assert!(!approvals.spend(&need(1), &PLAN, run(3), &lock, 99));
        assert!(
            !approvals.record(&grant("a", "qa-1", 2, 100)),
            "not even when it is used up"
        );
        assert!(!approvals.spend(&need(1), &PLAN, run(3), &lock, 99));
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
        assert!(approvals.spend(&need(2), &PLAN, run(1), &lock, 0));
        assert!(
            !approvals.spend(&need(2), &PLAN, run(2), &lock, 0),
            "the second person gave one unit"
        );
        assert!(approvals.spend(&need(1), &PLAN, run(2), &lock, 0));
    }

    #[test]
    fn a_restored_journal_leaves_nothing() {
        let lock = "lock".parse().unwrap();
        let mut approvals = Approvals::default();
        approvals.record(&grant("a", "qa-1", 5, 100));
        assert!(approvals.spend(&need(1), &PLAN, run(1), &lock, 0));
        approvals.void();
        assert_eq!(approvals.lacking(&need(1), &PLAN, run(1), &lock, 0), 1);
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
                if approvals.spend(&need(people), &PLAN, run(number), &lock, now) && runs.insert(number) {
                    paid += u64::from(people);
                }
                let left: u64 = approvals.open().map(|(_, left)| u64::from(left)).sum();
                prop_assert_eq!(paid + left, total);
            }
        }
    }
}
