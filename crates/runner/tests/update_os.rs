//! Plans that write the OS: only where it differs, only the device that is meant, and through any cut.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::rc::Rc;
use std::time::Duration;

use lineside_flow::line::{SlotPicture, Standing};
use lineside_flow::{Body, Event, RecoveryOutcome};
use lineside_runner::{Program, Summary};
use lineside_simulator::control::Question;
use lineside_simulator::{Fault, FaultScript, OsProfile, Seed, SetSize, Supplies, What, When, WorldConfig};
use lineside_terms::{ManufacturingState, Outcome};
use support::cut::{Boundary, Fate, Moment, Share};
use support::plans::PlanFolder;
use support::{End, Floor, judge, told};

/// The sample plan with a step before all others that writes the OS.
fn plan(more: &str) -> PlanFolder {
    let folder = PlanFolder::new();
    let files = Supplies::new(&Seed::new(1)).unwrap();
    let files = files.image_set(OsProfile::V24_06, SetSize::Small).unwrap();
    std::fs::create_dir(folder.path("set")).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path("set").join(name), bytes).unwrap();
    }
    let step = format!(
        "[[steps]]\nid = \"update\"\ndo = \"update-os\"\nimages = \"set\"\n{more}\n[[steps]]\nid = \"os\"\n"
    );
    folder.edit("[[steps]]\nid = \"os\"\n", &step)
}

fn program(more: &str) -> Rc<Program> {
    plan(more).program()
}

fn old(boards: usize, faults: Vec<Fault>) -> WorldConfig {
    WorldConfig {
        boards,
        os_profile: OsProfile::V22_09,
        faults: FaultScript { faults },
        ..WorldConfig::default()
    }
}

#[track_caller]
fn slot_of<'a>(floor: &Floor, summary: &'a Summary, board: usize) -> &'a SlotPicture {
    let slot = floor.slot(board);
    summary
        .picture
        .slots
        .iter()
        .find(|there| there.slot == slot)
        .unwrap()
}

fn endings(history: &[Event]) -> Vec<RecoveryOutcome> {
    let ended = history.iter().filter_map(|event| match &event.body {
        Body::RecoveryEnded { outcome, .. } => Some(*outcome),
        _ => None,
    });
    ended.collect()
}

#[test]
fn boards_with_another_os_get_the_plans_and_pass() {
    let mut floor = Floor::with_program(old(3, Vec::new()), program(""));
    let summary = floor.start().summary();
    assert!(summary.is_pass(), "{}", told(&summary.picture));
    for board in 0..3 {
        let truth = floor.truth(board);
        assert_eq!(truth.counters.recoveries, 1);
        assert_eq!(truth.os, OsProfile::V24_06);
        judge::is_finished(&truth, &floor.program, "updated");
    }
    assert_eq!(endings(&floor.history()), [RecoveryOutcome::Recovered; 3]);
    judge::records_agree(&floor, "updated");
}

#[test]
fn a_board_with_that_os_is_left_alone_unless_the_plan_says_always() {
    for (more, recoveries) in [
        ("", 0),
        ("when = \"os-differs\"\n", 0),
        ("when = \"always\"\n", 1),
    ] {
        let config = WorldConfig {
            boards: 1,
            ..WorldConfig::default()
        };
        let mut floor = Floor::with_program(config, program(more));
        let summary = floor.start().summary();
        assert!(summary.is_pass(), "{more}: {}", told(&summary.picture));
        assert_eq!(floor.truth(0).counters.recoveries_begun, recoveries, "{more}");
    }
}

#[test]
fn a_device_that_is_not_seen_to_boot_is_unknown_and_not_failed() {
    let silent = Fault {
        board: Some(0),
        when: When::Boot { nth: 2, times: 0 },
        what: What::Silent,
    };
    let mut floor = Floor::with_program(old(2, vec![silent]), program("boot-timeout = \"2m\"\n"));
    let summary = floor.start().summary();
    let slot = slot_of(&floor, &summary, 0);
    assert_eq!(
        slot.error.as_ref().unwrap().code,
        "recovery.not-seen-to-boot",
        "{slot:?}"
    );
    assert_eq!(slot.standing, Standing::Ended(Outcome::Unknown), "{slot:?}");
    assert!(slot_of(&floor, &summary, 1).standing.is_pass());
    assert_eq!(floor.truth(0).state, ManufacturingState::Module1Complete);
    assert_eq!(floor.truth(0).counters.irreversible_asked, 0);
}

/// Cuts a run at `moment` and lets it finish; whether the cut fell while the device's flash was gone.
fn cut(program: &Rc<Program>, moment: Moment, seed: u64) -> Option<bool> {
    let context = format!("cut at {moment:?}, seed {seed}");
    let mut floor = Floor::with_program(old(1, Vec::new()), Rc::clone(program));
    floor.cutter.at(moment, Fate::Cut, seed);
    match floor.start() {
        End::Cut => {}
        End::Over(summary) => {
            assert!(summary.is_pass(), "{context}");
            return None;
        }
        End::NotBegun(code) => panic!("{context}: {code}"),
    }
    judge::is_safe(&floor.truth(0), &context);
    floor.pass([Duration::ZERO, Duration::from_secs(3600)][(seed % 2) as usize]);
    let was_blank = floor.truth(0).is_blank;
    floor.start_until_pass(3, &context);
    let truth = floor.truth(0);
    judge::is_safe(&truth, &context);
    judge::is_finished(&truth, &floor.program, &context);
    assert_eq!(truth.os, OsProfile::V24_06, "{context}");
    judge::records_agree(&floor, &context);
    Some(was_blank)
}

#[test]
fn a_cut_anywhere_is_gone_on_from() {
    let program = program("");
    let mut floor = Floor::with_program(old(1, Vec::new()), Rc::clone(&program));
    assert!(floor.start().summary().is_pass());
    let (outputs, submits) = floor.cutter.counts();
    let (mut cuts, mut blank) = (0, 0);
    let mut one = |moment, seed| {
        if let Some(was_blank) = cut(&program, moment, seed) {
            cuts += 1;
            blank += u32::from(was_blank);
        }
    };
    for nth in 1..=submits {
        for boundary in [Boundary::Before, Boundary::Unsynced, Boundary::Synced] {
            one(Moment::Submit { nth, boundary }, nth);
        }
    }
    // Blocks of images are all alike: some of them stand for all.
    let step = (outputs / 60).max(1);
    for nth in (1..=outputs).step_by(step as usize) {
        one(
            Moment::Output {
                nth,
                share: Share::All,
            },
            nth,
        );
    }
    println!(
        "{cuts} cuts of {outputs} outputs and {submits} submissions, {blank} with nothing on the device"
    );
    assert!(blank > 10, "{blank} of {cuts}");
}

#[test]
fn another_board_in_the_socket_is_not_erased() {
    let program = program("");
    let mut floor = Floor::with_program(old(2, Vec::new()), Rc::clone(&program));
    // Only the first board is there, and loses the PC when half of it is written.
    floor.world.ask(Question::Unplug { board: 1 });
    let mut whole = Floor::with_program(old(1, Vec::new()), program);
    assert!(whole.start().summary().is_pass());
    let nth = whole.cutter.counts().0 / 2;
    floor.cutter.at(
        Moment::Output {
            nth,
            share: Share::All,
        },
        Fate::Cut,
        1,
    );
    assert!(matches!(floor.start(), End::Cut));
    floor.pass(Duration::from_secs(5));
    let first = floor.truth(0);
    assert!(first.is_blank, "the cut fell into the erase");

    // The second one is put there, and does not answer over REST either.
    floor.world.ask(Question::Unplug { board: 0 });
    floor.world.ask(Question::AddFault {
        fault: Fault {
            board: Some(1),
            when: When::Boot { nth: 1, times: 0 },
            what: What::Silent,
        },
    });
    floor.world.ask(Question::Plug { board: 1 });
    let summary = floor.start().summary();
    let slot = slot_of(&floor, &summary, 1);
    assert_eq!(
        slot.error.as_ref().unwrap().code,
        "interlock.erase-other-device",
        "{slot:?}"
    );
    let second = floor.truth(1);
    assert_eq!(
        (second.counters.erases, second.is_blank),
        (0, false),
        "{second:?}"
    );

    // The first one is recovered by itself when it is back.
    floor.world.ask(Question::Unplug { board: 1 });
    floor.world.ask(Question::Plug { board: 0 });
    floor.expected = Some(1);
    floor.start_until_pass(2, "the first board is back");
    judge::is_finished(&floor.truth(0), &floor.program, "the first board is back");
}
