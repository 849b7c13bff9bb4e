//! The supply of a device fails while the one request that cannot be undone is with it, and the program is killed beside
//! it: as the supply fails, or when the next start looks what became of that.
//!
//! The device's counters are the judge: it is followed once, and asked again only after a look showed that it was not
//! followed. Whatever stays unknown when a start ends is resolved by the look of a later one.

use lineside_flow::Body;
use lineside_flow::interlock::Verdict;
use lineside_simulator::{Fault, What, When};

use super::judge::{Court, End, Word};
use super::storms::{how_many, is_safe};
use super::{LOCK, MOST_STARTS, SEED, dice};
use crate::support::judge::{fold, is_finished};
use crate::support::plans;

/// When the supply fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The request is on the wire: half of it, or more.
    OnTheWire,
    /// The device has it, and did nothing yet.
    Before,
    /// The device has followed it, and did not say so.
    After,
}

const MOMENTS: [Moment; 3] = [Moment::OnTheWire, Moment::Before, Moment::After];

/// The program is killed beside it, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// Some boundaries after the supply failed.
    AsItFails,
    /// So, and the next start is killed some boundaries after it began: while it looks what became of it, or locks.
    WhileItLooks,
}

const BESIDE: [Beside; 3] = [Beside::Nothing, Beside::AsItFails, Beside::WhileItLooks];

/// Storms of each moment, of each kind of kill, in every test run.
const STORMS: u64 = 1;
/// How soon after the supply failed the program dies.
const SOON: u64 = 30;
/// A start that only looks and locks passes more boundaries than these.
const LOOKS: u64 = 120;

/// What the storms were.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    worlds: u64,
    killed: u64,
    /// The supply failed and the request was not followed, or was.
    not_followed: u64,
    followed: u64,
    /// Starts after which it was unknown whether it was.
    unknown: u64,
    /// What looks found of it.
    confirmed: u64,
    disproved: u64,
}

/// The intents of which nobody knows what became of them.
fn unresolved(court: &Court) -> usize {
    fold(court.history()).unresolved().count()
}

/// One world of one board.
fn storm(moment: Moment, beside: Beside, number: u64, tally: &mut Tally) {
    let mut court = Court::new(1);
    let chance = dice(number * 131 + moment as u64 * 17 + beside as u64);
    let context = format!("{moment:?}, {beside:?}, {number}");
    let what = match moment {
        Moment::OnTheWire => None,
        Moment::Before => Some(What::ResetBefore),
        Moment::After => Some(What::ResetAfter),
    };
    if let Some(what) = what {
        let when = When::Request {
            operation: "PUT /device/manufacturing_state".into(),
            nth: 1,
            times: 1,
        };
        court
            .world
            .add_fault(&Fault {
                board: Some(0),
                when,
                what,
            })
            .unwrap();
    }
    tally.worlds += 1;
    let world = court.world.clone();
    let truth = || world.truth(0).unwrap();
    let mut failed = None;
    let mut said = Vec::new();
    for start in 0..MOST_STARTS as u64 + 3 {
        let dies = match (start, beside) {
            (0, Beside::AsItFails | Beside::WhileItLooks) => Some(1 + chance % SOON),
            (1, Beside::WhileItLooks) => Some(1 + chance / 7 % LOOKS),
            _ => None,
        };
        let (mut since, mut halves) = (0, 0);
        let end = court.start(|(kind, step)| {
            if moment == Moment::OnTheWire && failed.is_none() && step == LOCK && kind == "half" {
                // One of the things that are sent in that step, the request that locks among them.
                halves += 1;
                if halves == 1 + chance / 11 % 6 {
                    world.reset(0).unwrap();
                    failed = Some(truth());
                }
            }
            if failed.is_none() && truth().counters.faults > 0 {
                failed = Some(truth());
            }
            since += u64::from(start > 0 || failed.is_some());
            match dies.is_some_and(|dies| since >= dies) {
                true => Word::Kill(None),
                false => Word::Go,
            }
        });
        let context = format!("{context}, start {start}: {end:?}");
        is_safe(&court, &context);
        tally.unknown += u64::from(unresolved(&court) > 0);
        match end {
            End::Over { is_pass: true, .. } => {
                let failed = failed.unwrap_or_else(|| panic!("{context}: the supply never failed"));
                if moment != Moment::OnTheWire {
                    let is_followed = moment == Moment::After;
                    let counters = &failed.counters;
                    assert_eq!(counters.irreversible_asked, 1, "{context}");
                    assert_eq!(counters.irreversible_applied, u64::from(is_followed), "{context}");
                }
                match failed.counters.irreversible_applied {
                    0 => tally.not_followed += 1,
                    _ => tally.followed += 1,
                }
                let (program, _) = plans::sample(SEED);
                is_finished(&truth(), &program, &context);
                assert_eq!(unresolved(&court), 0, "{context}");
                for event in court.history() {
                    match event.body {
                        Body::Decided {
                            verdict: Verdict::Confirmed,
                            ..
                        } => tally.confirmed += 1,
                        Body::Decided {
                            verdict: Verdict::Disproved,
                            ..
                        } => tally.disproved += 1,
                        Body::Decided { .. } => panic!("{context}: undecided"),
                        _ => {}
                    }
                }
                court.records_agree(&context);
                return;
            }
            End::Over { told, .. } => said.push(told),
            End::Killed => tally.killed += 1,
        }
    }
    panic!("{context}: no pass: {said:#?}");
}

#[test]
fn a_supply_that_fails_while_a_device_is_asked_to_lock_locks_it_once() {
    let began = std::time::Instant::now();
    let storms = how_many(STORMS);
    let of_moment = |moment| {
        let mut tally = Tally::default();
        for number in 0..storms {
            let kinds = match moment {
                // The storms of other mishaps hit this as well: one at a time will do.
                Moment::OnTheWire => &[BESIDE[2 - number as usize % BESIDE.len()]][..],
                Moment::Before | Moment::After => &BESIDE,
            };
            for beside in kinds {
                storm(moment, *beside, number, &mut tally);
            }
        }
        (moment, tally)
    };
    let tallies = std::thread::scope(|scope| {
        let moments = MOMENTS.map(|moment| scope.spawn(move || of_moment(moment)));
        moments.map(|moment| moment.join().unwrap())
    });
    println!("{tallies:#?} in {:?}", began.elapsed());
    for (moment, tally) in tallies {
        // Once each, and on the record.
        assert!(
            tally.killed > 0 && tally.confirmed == tally.worlds,
            "{moment:?}: {tally:?}"
        );
        match moment {
            Moment::OnTheWire => {}
            Moment::Before => assert!(
                tally.not_followed == tally.worlds && tally.disproved > 0,
                "{tally:?}"
            ),
            Moment::After => assert!(tally.followed == tally.worlds && tally.unknown > 0, "{tally:?}"),
        }
    }
}
