//! The ledger under every order of events: at most one permit per act, none after a confirmation, none without proof.

use lineside_interlock::*;
use lineside_terms::*;
use proptest::prelude::*;

fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([n; 64])
}

fn facts(n: u8, epoch: u64, state: ManufacturingState) -> Facts {
    Facts {
        device: device(n),
        epoch: Epoch(epoch),
        session: SessionTag::from_bytes([n; 16]),
        writes: 4,
        uptime_first_s: 10,
        uptime_last_s: 11,
        security: Reading::Read(SecurityState::Secure),
        state: Reading::Read(state),
        capabilities: Reading::Read(vec![]),
        os_version: Reading::Read("24.06".into()),
        images: Reading::Read(ImageFacts {
            components: vec![],
            is_update_in_progress: false,
            has_staged_updates: false,
            is_restart_required: false,
        }),
        wifi: Reading::Read(vec![]),
        certificates: Reading::Read(vec![]),
        proxy: Reading::Read(None),
        taken_at: Instant::ZERO,
    }
}

fn expectation() -> Expectation {
    Expectation::bare(ManufacturingState::Module1Complete, vec!["24.06".into()], vec![])
}

fn run_facts() -> RunFacts {
    RunFacts {
        run: RunId::from_bytes([7; 16]),
        plan: Digest::ZERO,
        is_every_needed_step_passed: true,
    }
}

fn proof(n: u8, epoch: u64) -> ReadyProof {
    let judgement = judge(
        &expectation(),
        &facts(n, epoch, ManufacturingState::Module1Complete),
        &run_facts(),
        None,
    );
    judgement
        .proof
        .unwrap_or_else(|| panic!("{:?}", judgement.checks))
}

fn look(n: u8, epoch: u64, cause: EpochCause, state: ManufacturingState) -> Look {
    Look {
        device: device(n),
        epoch: Epoch(epoch),
        cause,
        state,
        taken_at: Instant::ZERO,
    }
}

/// Leave for a run of the plan; its policy asks nobody.
fn leave(run: u8) -> Approved {
    let run = RunId::from_bytes([run; 16]);
    let nobody = std::collections::BTreeMap::new();
    let step = "lock".parse().expect("a name of a step");
    Approvals::default()
        .approved(&nobody, Digest::ZERO, run, &step)
        .expect("nobody is asked")
}

const OLD: ManufacturingState = ManufacturingState::Module1Complete;
const NEW: ManufacturingState = ManufacturingState::DeviceComplete;

#[test]
fn a_durable_intent_with_proof_and_look_gives_exactly_one_permit() {
    let mut ledger = Ledger::new();
    let intent = ledger.propose(Verb::StateChange, NEW, &proof(1, 3)).unwrap();
    ledger.record_intent(&intent, Some(8)).unwrap();
    let here = look(1, 3, EpochCause::Found, OLD);
    let early = Receipt::issued_by_the_journal(7);
    assert_eq!(
        ledger
            .permit(&intent.key, &early, &here, proof(1, 3), leave(7), Instant::ZERO)
            .unwrap_err(),
        Refusal::NotDurable { key: intent.key }
    );
    let receipt = Receipt::issued_by_the_journal(8);
    let permit = ledger
        .permit(&intent.key, &receipt, &here, proof(1, 3), leave(7), Instant::ZERO)
        .unwrap();
    assert_eq!(
        (permit.device(), permit.target(), permit.from()),
        (&device(1), NEW, OLD)
    );
    // It is good for what was read, and for nothing after that.
    assert_eq!((permit.key(), permit.epoch()), (&intent.key, Epoch(3)));
    assert_eq!((permit.writes(), permit.uptime_s()), (4, 11));
    assert_eq!(permit.session(), SessionTag::from_bytes([1; 16]));
    assert_eq!(permit.expires(), Instant::ZERO + PERMIT_LIFE);
    let again = ledger.permit(&intent.key, &receipt, &here, proof(1, 3), leave(7), Instant::ZERO);
    assert_eq!(again.unwrap_err(), Refusal::Unresolved { key: intent.key });
}

/// What is kept and read back knows what was intended and decided, and that is all: no permit comes of it, whatever had been
/// durable.
#[test]
fn an_intent_that_was_kept_is_asked_about_and_never_carried_out() {
    let mut ledger = Ledger::new();
    let intent = ledger.propose(Verb::StateChange, NEW, &proof(1, 3)).unwrap();
    ledger.record_intent(&intent, Some(8)).unwrap();
    let kept = serde_json::to_string(&ledger).unwrap();
    let mut read: Ledger = serde_json::from_str(&kept).unwrap();
    let known: Vec<_> = read.of(&device(1)).collect();
    assert_eq!(known, [(&intent, Standing::Open)]);
    assert_eq!(serde_json::to_string(&read).unwrap(), kept);
    let (here, receipt) = (
        look(1, 3, EpochCause::Found, OLD),
        Receipt::issued_by_the_journal(8),
    );
    let refused = read.permit(&intent.key, &receipt, &here, proof(1, 3), leave(7), Instant::ZERO);
    assert_eq!(refused.unwrap_err(), Refusal::NotDurable { key: intent.key });
    let _permit = ledger
        .permit(&intent.key, &receipt, &here, proof(1, 3), leave(7), Instant::ZERO)
        .expect("where it was written it is good");
}

#[test]
fn what_nobody_resolved_is_open_or_unclear() {
    let mut ledger = Ledger::new();
    let mut keys = Vec::new();
    for n in 1..=4 {
        let intent = ledger.propose(Verb::StateChange, NEW, &proof(n, 3)).unwrap();
        ledger.record_intent(&intent, None).unwrap();
        keys.push(intent.key);
    }
    for (key, verdict) in keys[1..]
        .iter()
        .zip([Verdict::Confirmed, Verdict::Disproved, Verdict::Unclear])
    {
        ledger.record_verdict(key, verdict).unwrap();
    }
    let open: Vec<_> = ledger
        .unresolved()
        .map(|(intent, standing)| (intent.key, standing))
        .collect();
    let unclear = Standing::Decided(Verdict::Unclear);
    assert_eq!(open, [(keys[0], Standing::Open), (keys[3], unclear)]);
}

#[test]
fn a_permit_is_for_the_run_and_the_plan_that_were_approved() {
    let mut ledger = Ledger::new();
    let intent = ledger.propose(Verb::StateChange, NEW, &proof(1, 3)).unwrap();
    ledger.record_intent(&intent, Some(1)).unwrap();
    let receipt = Receipt::issued_by_the_journal(1);
    let here = look(1, 3, EpochCause::Found, OLD);
    let nobody = std::collections::BTreeMap::new();
    let step = "lock".parse().unwrap();
    let other_plan = Approvals::default()
        .approved(&nobody, Digest::from_bytes([9; 32]), intent.run, &step)
        .unwrap();
    for approved in [leave(8), other_plan] {
        let refused = ledger.permit(&intent.key, &receipt, &here, proof(1, 3), approved, Instant::ZERO);
        assert_eq!(refused.unwrap_err(), Refusal::Mismatch { what: "approval" });
    }
}

#[test]
fn an_act_that_does_not_lead_forward_is_not_proposed() {
    let ledger = Ledger::new();
    for target in [OLD, ManufacturingState::Blank] {
        let refused = ledger
            .propose(Verb::StateChange, target, &proof(1, 3))
            .unwrap_err();
        assert_eq!(refused, Refusal::NotForward { from: OLD, target });
        assert_eq!(refused.code(), "interlock.not-forward");
    }
}

#[test]
fn a_history_with_an_intent_too_many_is_impossible() {
    let mut ledger = Ledger::new();
    let first = ledger.propose(Verb::StateChange, NEW, &proof(1, 3)).unwrap();
    let nth = |generation| Intent {
        key: OnceKey {
            generation,
            ..first.key
        },
        ..first
    };
    let is_impossible = |ledger: &mut Ledger, generation| {
        let key = nth(generation).key;
        ledger.record_intent(&nth(generation), None) == Err(IllegalHistory::SecondIntent { key })
    };
    assert!(is_impossible(&mut ledger, 2), "the first is missing");
    ledger.record_intent(&first, None).unwrap();
    assert!(is_impossible(&mut ledger, 2), "the first is open");
    ledger.record_verdict(&first.key, Verdict::Disproved).unwrap();
    assert!(is_impossible(&mut ledger, 1), "it is there already");
    assert!(is_impossible(&mut ledger, 3), "the second is missing");
    ledger.record_intent(&nth(2), None).unwrap();
}

#[test]
fn a_verdict_is_final_unless_it_was_unclear() {
    use Verdict::{Confirmed, Disproved, Unclear};
    for first in [Confirmed, Disproved, Unclear] {
        for second in [Confirmed, Disproved, Unclear] {
            let mut ledger = Ledger::new();
            let intent = ledger.propose(Verb::StateChange, NEW, &proof(1, 3)).unwrap();
            let key = intent.key;
            let nobodys = ledger.record_verdict(&key, first);
            assert_eq!(nobodys, Err(IllegalHistory::NoIntent { key }));
            ledger.record_intent(&intent, None).unwrap();
            ledger.record_verdict(&key, first).unwrap();
            let again = ledger.record_verdict(&key, second);
            let is_legal = first == second || first == Unclear;
            assert_eq!(again.is_ok(), is_legal, "{first:?}, then {second:?}");
            let stands = if is_legal { second } else { first };
            let (_, standing) = ledger.of(&key.device).next().unwrap();
            assert_eq!(standing, Standing::Decided(stands));
        }
    }
}

#[test]
fn an_intent_that_was_read_back_never_becomes_a_permit() {
    let mut ledger = Ledger::new();
    let intent = ledger.propose(Verb::StateChange, NEW, &proof(1, 3)).unwrap();
    ledger.record_intent(&intent, None).unwrap();
    let receipt = Receipt::issued_by_the_journal(u64::MAX);
    let refused = ledger.permit(
        &intent.key,
        &receipt,
        &look(1, 3, EpochCause::Found, OLD),
        proof(1, 3),
        leave(7),
        Instant::ZERO,
    );
    assert_eq!(refused.unwrap_err(), Refusal::NotDurable { key: intent.key });
    assert_eq!(
        ledger.propose(Verb::StateChange, NEW, &proof(1, 9)).unwrap_err(),
        Refusal::Unresolved { key: intent.key }
    );
}

#[test]
fn every_part_that_does_not_belong_is_refused() {
    let at = |n, epoch, state, now| {
        let mut ledger = Ledger::new();
        let intent = ledger.propose(Verb::StateChange, NEW, &proof(1, 3)).unwrap();
        ledger.record_intent(&intent, Some(1)).unwrap();
        let here = look(n, epoch, EpochCause::Found, state);
        ledger
            .permit(
                &intent.key,
                &Receipt::issued_by_the_journal(1),
                &here,
                proof(1, 3),
                leave(7),
                now,
            )
            .unwrap_err()
    };
    assert_eq!(at(2, 3, OLD, Instant::ZERO), Refusal::Mismatch { what: "device" });
    assert_eq!(at(1, 4, OLD, Instant::ZERO), Refusal::Mismatch { what: "epoch" });
    assert_eq!(
        at(1, 3, NEW, Instant::ZERO),
        Refusal::Mismatch {
            what: "manufacturing state"
        }
    );
    assert_eq!(at(1, 3, OLD, Instant::ZERO + PERMIT_LIFE), Refusal::Stale);
}

#[test]
fn only_a_later_clean_epoch_disproves() {
    let mut ledger = Ledger::new();
    let intent = ledger.propose(Verb::StateChange, NEW, &proof(1, 3)).unwrap();
    ledger.record_intent(&intent, Some(1)).unwrap();
    let says = |epoch, cause, state| ledger.verdict(&intent.key, &look(1, epoch, cause, state));
    assert_eq!(says(3, EpochCause::Reset, OLD), None, "the same epoch");
    assert_eq!(
        says(4, EpochCause::LinkLost, OLD),
        None,
        "something may be in flight"
    );
    assert_eq!(
        says(4, EpochCause::Found, OLD),
        None,
        "something may be in flight"
    );
    assert_eq!(says(4, EpochCause::Reset, OLD), Some(Verdict::Disproved));
    assert_eq!(
        says(4, EpochCause::Attached, OLD),
        None,
        "a chip may have power of its own"
    );
    assert_eq!(says(3, EpochCause::Found, NEW), Some(Verdict::Confirmed));
    assert_eq!(
        says(4, EpochCause::Reset, ManufacturingState::Blank),
        None,
        "a state that cannot be"
    );
    assert_eq!(
        ledger.verdict(&intent.key, &look(2, 4, EpochCause::Reset, OLD)),
        None,
        "another device"
    );
}

#[test]
fn a_locked_device_is_unknown_unless_its_own_record_covers_it() {
    let mut locked = facts(1, 3, NEW);
    locked.images = Reading::Refused;
    locked.wifi = Reading::Refused;
    locked.certificates = Reading::Refused;
    locked.proxy = Reading::Refused;
    let expected = Expectation {
        state: NEW,
        ..expectation()
    };
    assert_eq!(
        judge(&expected, &locked, &run_facts(), None).outcome(),
        Outcome::Unknown
    );
    let before = judge(&expectation(), &facts(1, 2, OLD), &run_facts(), None).checks;
    let run = RunId::from_bytes([1; 16]);
    let other = Earlier {
        device: device(2),
        run,
        checks: before.clone(),
    };
    assert_eq!(
        judge(&expected, &locked, &run_facts(), Some(&other)).outcome(),
        Outcome::Unknown
    );
    let own = Earlier {
        device: device(1),
        run,
        checks: before,
    };
    let covered = judge(&expected, &locked, &run_facts(), Some(&own));
    assert_eq!(covered.outcome(), Outcome::Pass);
    assert!(covered.proof.is_none(), "a record never becomes a live proof");
    let more = Expectation {
        wifi: ["factory".to_owned()].into(),
        ..expected
    };
    let only_in_part = judge(&more, &locked, &run_facts(), Some(&own));
    assert_eq!(
        only_in_part.outcome(),
        Outcome::Unknown,
        "a record covers only what it proved"
    );
}

/// What may happen to one act, in any order.
#[derive(Debug, Clone, Copy)]
enum Move {
    Propose,
    Permit { receipt: u64 },
    Look { epoch: u64, clean: bool },
    Restart,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        Just(Move::Propose),
        (0_u64..20).prop_map(|receipt| Move::Permit { receipt }),
        (0_u64..9, any::<bool>()).prop_map(|(epoch, clean)| Move::Look { epoch, clean }),
        Just(Move::Restart),
    ];
    proptest::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    /// The device judges: it counts what it is sent. However events are ordered, no permit is used after the state
    /// changed, and none while an earlier one could still take effect.
    #[test]
    fn whatever_happens_the_act_is_done_at_most_once(moves in moves(), lost in proptest::collection::vec(any::<bool>(), 60)) {
        let mut history: Vec<(Intent, Option<Verdict>)> = Vec::new();
        let mut ledger = Ledger::new();
        let mut real = OLD;
        let mut in_flight: Option<u64> = None; // epoch in which something sent may still be applied
        let mut applied = 0;
        let mut epoch = 1;
        let mut live: Option<OnceKey> = None;
        for (index, step) in moves.into_iter().enumerate() {
            match step {
                Move::Propose if real == OLD => {
                    if let Ok(intent) = ledger.propose(Verb::StateChange, NEW, &proof(1, epoch)) {
                        ledger.record_intent(&intent, Some(index as u64)).unwrap();
                        history.push((intent, None));
                        live = Some(intent.key);
                    }
                }
                Move::Permit { receipt } => {
                    let Some(key) = live else { continue };
                    let held = history.last().unwrap().0.epoch.0;
                    let receipt = Receipt::issued_by_the_journal(receipt * 4);
                    let here = look(1, held, EpochCause::Found, OLD);
                    if ledger.permit(&key, &receipt, &here, proof(1, held), leave(7), Instant::ZERO).is_ok() {
                        prop_assert!(in_flight.is_none(), "sent while an earlier one was in flight");
                        prop_assert_eq!(applied, 0, "sent after it was applied");
                        if held == epoch {
                            in_flight = Some(held);
                        }
                    }
                }
                Move::Look { epoch: ahead, clean } => {
                    epoch += ahead.min(1);
                    // What is in flight lands, or not, before a clean epoch begins; and never after.
                    if let Some(sent) = in_flight && (lost[index] || (clean && epoch > sent)) {
                        if lost[index] { real = NEW; applied += 1; }
                        in_flight = None;
                    }
                    let cause = if clean { EpochCause::Reset } else { EpochCause::LinkLost };
                    if let Some((intent, verdict)) = history.last_mut()
                        && let Some(said) = ledger.verdict(&intent.key, &look(1, epoch, cause, real)) {
                            ledger.record_verdict(&intent.key, said).unwrap();
                            *verdict = Some(said);
                        }
                }
                Move::Restart => {
                    ledger = Ledger::new();
                    live = None;
                    for (intent, verdict) in &history {
                        ledger.record_intent(intent, None).unwrap();
                        if let Some(verdict) = verdict { ledger.record_verdict(&intent.key, *verdict).unwrap(); }
                    }
                }
                Move::Propose => {}
            }
        }
        prop_assert!(applied <= 1);
    }
}
