//! Storms on real processes: while the program is at work somebody pulls plugs, swaps boards, takes their supply away or
//! wants the same boards from another process; two chips tell one id; and the program is killed in between.
//!
//! A board that is put back, or swapped back, is seen by the next start at the latest; then its unit is finished. The
//! devices' counters are the judge.

use std::path::Path;

use lineside_flow::Body;
use lineside_flow::interlock::Verdict;
use lineside_link::Bench as _;
use lineside_link::remote::RemoteBench;
use lineside_simulator::{Fault, What, When, WritesExpected};

use super::judge::{Court, End, Word};
use super::{MOST_STARTS, SEED, dice};
use crate::support::judge::is_finished;
use crate::support::plans;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    /// A plug is pulled and put back.
    Replug,
    /// Two boards change places.
    Swap,
    /// A chip loses its supply for a moment.
    BrownOut,
    /// Another process wants the same board.
    SecondClient,
}

const MISHAPS: [Mishap; 4] = [
    Mishap::Replug,
    Mishap::Swap,
    Mishap::BrownOut,
    Mishap::SecondClient,
];

/// Storms of each kind in every test run; `LINESIDE_STORMS=n` asks for more.
const STORMS: u64 = 2;
/// A start of two boards without trouble comes past some more boundaries than these.
const BOUNDARIES: u64 = 400;

/// Another process wants a board: true when it is told that somebody has it.
fn is_refused(folder: &Path) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime.unwrap(), async {
        let bench = RemoteBench::connect(folder).await.unwrap();
        let boards = bench.list().await.unwrap();
        bench.lease(&boards[0].slot, "somebody else").await.is_err()
    })
}

/// However often something was asked for: once, and once more for each time that a look showed that it did not happen.
#[track_caller]
pub(crate) fn is_safe(court: &Court, context: &str) {
    let history = court.history();
    for board in 0..court.world.board_count() {
        let truth = court.world.truth(board).unwrap();
        let disproved = history.iter().filter(|event| {
            let verdict = Verdict::Disproved;
            event.device == Some(truth.device_id)
                && matches!(&event.body, Body::Decided { verdict: said, .. } if *said == verdict)
        });
        let counters = &truth.counters;
        assert_eq!(counters.wrong_target_writes, 0, "{context}");
        assert!(counters.irreversible_applied <= 1, "{context}");
        assert!(
            counters.irreversible_asked <= 1 + disproved.count() as u64,
            "{context}"
        );
    }
}

/// How many storms of each kind: `usual`, unless somebody asked for more.
pub(crate) fn how_many(usual: u64) -> u64 {
    let asked = std::env::var("LINESIDE_STORMS").ok();
    asked.map_or(usual, |count| count.parse().expect("LINESIDE_STORMS is a number"))
}

/// What storms were.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    struck: u64,
    killed: u64,
    /// How often another process was refused a board.
    refused: u64,
    /// How often boards had to stay where they were swapped to.
    moved: u64,
}

/// One world of two boards.
fn storm(mishap: Mishap, number: u64, tally: &mut Tally) {
    let mut court = Court::new(2);
    if mishap == Mishap::Swap {
        // A unit goes on in whatever socket its board is.
        for board in [0, 1] {
            court
                .world
                .expect_writes(board, WritesExpected::Anywhere)
                .unwrap();
        }
    }
    // Who belongs into the first socket.
    let mut first = court.world.truth(0).unwrap().device_id;
    let (world, folder) = (court.world.clone(), court.folder().to_owned());
    let mut said = Vec::new();
    for start in 0..MOST_STARTS as u64 + 3 {
        let chance = dice(number * 97 + start);
        let context = format!("{mishap:?} {number}, start {start}");
        // Twice it is disturbed and killed some time later; in the end it is left alone.
        let (strikes, dies) = (chance % BOUNDARIES, chance % BOUNDARIES + chance / 7 % 100);
        let mut at = 0;
        let end = court.start(|_| {
            at += 1;
            if start < 2 && at == strikes {
                tally.struck += 1;
                match mishap {
                    Mishap::Replug => {
                        world.unplug(0).unwrap();
                        world.plug(0).unwrap();
                    }
                    Mishap::Swap => world.swap(0, 1).unwrap(),
                    Mishap::BrownOut => world.reset(0).unwrap(),
                    Mishap::SecondClient => tally.refused += u64::from(is_refused(&folder)),
                }
            }
            match start < 2 && at >= dies && at > strikes {
                true => Word::Kill(None),
                false => Word::Go,
            }
        });
        is_safe(&court, &context);
        // Whoever swapped them hears of it and puts them back.
        if world.truth(0).unwrap().device_id != first {
            world.swap(0, 1).unwrap();
        }
        match end {
            End::Over { is_pass: true, .. } => {
                let (program, _) = plans::sample(SEED);
                for board in [0, 1] {
                    is_finished(&world.truth(board).unwrap(), &program, &context);
                }
                return;
            }
            End::Over { told, .. } => {
                // A unit took the serial of the socket that it was in when its run began, and that is not its own any
                // more. Who reads this swaps the boards for good.
                if mishap == Mishap::Swap && told.contains("unit.serial-taken") {
                    world.swap(0, 1).unwrap();
                    first = world.truth(0).unwrap().device_id;
                    tally.moved += 1;
                }
                said.push(told);
            }
            End::Killed => tally.killed += 1,
        }
    }
    panic!("{mishap:?} {number}: no pass: {said:#?}");
}

#[test]
fn disturbed_boards_are_finished_once_whoever_is_killed_meanwhile() {
    let began = std::time::Instant::now();
    let storms = how_many(STORMS);
    let of_kind = |mishap| {
        let mut tally = Tally::default();
        (0..storms).for_each(|number| storm(mishap, number, &mut tally));
        (mishap, tally)
    };
    let tallies = std::thread::scope(|scope| {
        let kinds = MISHAPS.map(|mishap| scope.spawn(move || of_kind(mishap)));
        kinds.map(|kind| kind.join().unwrap())
    });
    for (mishap, tally) in tallies {
        assert!(tally.struck > 0 && tally.killed > 0, "{mishap:?}: {tally:?}");
        assert!(mishap != Mishap::SecondClient || tally.refused > 0, "{tally:?}");
    }
    println!(
        "{storms} storms of each kind: {tallies:?} in {:?}",
        began.elapsed()
    );
}

/// Two chips that tell one id: whoever starts, and wherever it is killed, nothing irreversible is asked of either.
#[test]
fn two_chips_of_one_id_are_left_alone_whoever_is_killed_meanwhile() {
    let mut court = Court::new(2);
    court
        .world
        .add_fault(&Fault {
            board: Some(1),
            when: When::Boot { nth: 1, times: 0 },
            what: What::DuplicateId { of: 0 },
        })
        .unwrap();
    // The fault is of its next start.
    court.world.reset(1).unwrap();
    for start in 0..3 {
        let (mut at, dies) = (0, 40 + dice(start) % 60);
        let end = court.start(|_| {
            at += 1;
            match start < 2 && at == dies {
                true => Word::Kill(None),
                false => Word::Go,
            }
        });
        for board in [0, 1] {
            let truth = court.world.truth(board).unwrap();
            assert_eq!(truth.counters.irreversible_asked, 0, "start {start}: {truth:#?}");
        }
        match end {
            End::Over { is_pass, told } => assert!(!is_pass && told.contains("unit.id-twice"), "{told}"),
            End::Killed => assert!(start < 2),
        }
    }
}
