//! Somebody asks to stop, or the disk goes bad, at many moments of a run: it ends told, nothing new begins, and the next
//! start finishes.

mod support;

use std::collections::BTreeMap;

use lineside_flow::Body;
use lineside_flow::line::Standing;
use support::cut::{Boundary, DiskFault, Fate, Moment, Share};
use support::{End, Floor, judge, told};

fn reference(boards: usize) -> (u64, u64) {
    let mut floor = Floor::of(boards);
    assert!(floor.start().summary().is_pass());
    floor.cutter.counts()
}

/// Asks to stop at a moment; the code that every board ends with.
fn cancel_at(moment: Moment, boards: usize) -> Vec<String> {
    let context = format!("cancelled at {moment:?}");
    let mut floor = Floor::of(boards);
    floor.cutter.at(moment, Fate::Cancel, 1);
    let summary = floor.start().summary();
    let mut codes = Vec::new();
    for (board, slot) in summary.picture.slots.iter().enumerate() {
        assert!(
            slot.standing.is_settled(),
            "{context}: {}",
            told(&summary.picture)
        );
        match slot.standing {
            Standing::Ended(outcome) if outcome.is_good() => codes.push("passed".to_owned()),
            Standing::Interrupted | Standing::Held | Standing::Unresponsive => {
                let error = slot.error.as_ref().expect("a slot that is held says why");
                assert!(error.help.len() > 20, "{context}: {error:?}");
                codes.push(error.code.clone());
            }
            _ => panic!("{context}: {}", told(&summary.picture)),
        }
        judge::is_safe(&floor.truth(board), &context);
        assert_eq!(floor.truth(board).leased_by, None, "{context}");
    }
    // No step began after it was asked for, and no intent is left open.
    let history = floor.history();
    let asked = history
        .iter()
        .position(|event| matches!(event.body, Body::CancelAsked));
    if let Some(asked) = asked {
        let began = |event: &&lineside_flow::Event| {
            matches!(
                event.body,
                Body::StepStarted { .. } | Body::RunStarted { .. } | Body::Intended { .. }
            )
        };
        // What only looks may still be looked at: whether the lock was done.
        let later: Vec<_> = history[asked..].iter().filter(began).collect();
        assert!(later.is_empty(), "{context}: {later:#?}");
    }
    assert_eq!(judge::fold(history).unresolved().count(), 0, "{context}");
    assert!(
        !summary.is_pass() || asked.is_none(),
        "{context}: a stopped batch is no pass"
    );
    judge::records_agree(&floor, &context);
    floor.start_until_pass(3, &context);
    for board in 0..boards {
        judge::is_finished(&floor.truth(board), &floor.program, &context);
        judge::is_safe(&floor.truth(board), &context);
    }
    codes
}

#[test]
fn asked_to_stop_at_any_moment() {
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    let (outputs, submits) = reference(1);
    let at_outputs = (1..=outputs).step_by(3).map(|nth| Moment::Output {
        nth,
        share: Share::All,
    });
    let at_submits = (1..=submits).flat_map(|nth| {
        [Boundary::Before, Boundary::Synced].map(|boundary| Moment::Submit { nth, boundary })
    });
    for moment in at_outputs.chain(at_submits) {
        for code in cancel_at(moment, 1) {
            *tally.entry(code).or_default() += 1;
        }
    }
    println!("asked to stop: {tally:?}");
    assert!(tally.contains_key("run.cancelled"));
}

#[test]
fn asked_to_stop_while_three_boards_are_at_work() {
    let (outputs, _) = reference(3);
    for nth in (1..=outputs).step_by(41) {
        cancel_at(
            Moment::Output {
                nth,
                share: Share::All,
            },
            3,
        );
    }
}

#[test]
fn a_disk_that_goes_bad_turns_the_line_amber_and_nothing_new_begins() {
    let (_, submits) = reference(1);
    let faults = [
        DiskFault::Full(0),
        DiskFault::Full(100),
        DiskFault::ReadOnly,
        DiskFault::Write,
        DiskFault::Sync,
    ];
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    for nth in 1..=submits {
        for fault in faults {
            let context = format!("{fault:?} at submission {nth}");
            let mut floor = Floor::of(1);
            floor.cutter.at(
                Moment::Submit {
                    nth,
                    boundary: Boundary::Before,
                },
                Fate::Disk(fault),
                1,
            );
            let summary = floor.start().summary();
            let error = summary
                .store_error
                .as_ref()
                .unwrap_or_else(|| panic!("{context}: nothing was told"));
            assert!(error.help.len() > 20, "{context}: {error:?}");
            *tally.entry(error.code.clone()).or_default() += 1;
            assert!(!summary.is_pass(), "{context}");
            assert!(!summary.picture.is_store_up, "{context}");
            assert_eq!(
                summary.picture.passed(),
                0,
                "{context}: a pass is shown only when it is recorded"
            );
            let (_, submitted) = floor.cutter.counts();
            assert!(
                submitted <= nth + 1,
                "{context}: {} more were decided",
                submitted - nth
            );
            judge::is_safe(&floor.truth(0), &context);
            // The same again while it is bad: it does not begin, or begins and tells; the device is left alone.
            let asked = floor.truth(0).counters.writes;
            if matches!(fault, DiskFault::ReadOnly | DiskFault::Full(_)) {
                match floor.start() {
                    End::NotBegun(code) => assert!(code.starts_with("records."), "{context}: {code}"),
                    End::Over(summary) => assert!(summary.store_error.is_some(), "{context}"),
                    End::Cut => unreachable!("nothing cuts it"),
                }
                assert_eq!(floor.truth(0).counters.writes, asked, "{context}");
            }
            floor.disk.heal();
            floor.start_until_pass(3, &context);
            judge::is_finished(&floor.truth(0), &floor.program, &context);
            judge::is_safe(&floor.truth(0), &context);
            judge::records_agree(&floor, &context);
        }
    }
    println!("bad disks: {tally:?}");
}

/// The disk comes back within the same run: whatever was done is recorded then, and the run goes on to its end.
#[test]
fn a_disk_that_comes_back_is_gone_on_with_in_the_same_run() {
    let (_, submits) = reference(1);
    let faults = [DiskFault::Full(100), DiskFault::Write, DiskFault::Sync];
    let mut amber = 0;
    for nth in 1..=submits {
        for fault in faults {
            let context = format!("{fault:?} at submission {nth}, mended");
            let mut floor = Floor::of(1);
            floor.keeps_shown = true;
            let moment = Moment::Submit {
                nth,
                boundary: Boundary::Before,
            };
            floor.cutter.at(moment, Fate::Disk(fault), 1);
            floor.cutter.mend_at_try(3);
            let summary = floor.start().summary();
            assert!(summary.is_pass(), "{context}: {}", told(&summary.picture));
            assert!(
                summary.picture.is_store_up && summary.store_error.is_none(),
                "{context}"
            );
            let shown = floor.shown.borrow().join("\n");
            assert!(shown.contains("is_store_up: false"), "{context}");
            amber += usize::from(shown.contains("NotRecorded"));
            judge::is_finished(&floor.truth(0), &floor.program, &context);
            judge::is_safe(&floor.truth(0), &context);
            judge::records_agree(&floor, &context);
        }
    }
    assert!(amber > 10, "only {amber} showed what was done and not recorded");
}

/// It does not come back: the run ends, after all that was under way on devices came to its end.
#[test]
fn a_disk_that_stays_bad_ends_the_run() {
    let mut floor = Floor::of(1);
    let moment = Moment::Submit {
        nth: 5,
        boundary: Boundary::Before,
    };
    floor.cutter.at(moment, Fate::Disk(DiskFault::Full(0)), 1);
    floor.cutter.mend_at_try(u32::MAX);
    let summary = floor.start().summary();
    assert_eq!(
        summary.store_error.as_ref().map(|error| error.code.as_str()),
        Some("records.full")
    );
    assert!(!summary.picture.is_store_up && !summary.is_pass());
    judge::is_safe(&floor.truth(0), "a disk that stays bad");
}
