//! Real processes: the devices live with the judge, the program under test is killed again and again.
//!
//! The program is this very test binary, started again as `runner_under_test`: a batch whose bench, disk and store are
//! wrapped where they are injected. It stops at each of its boundaries and names it: the kind of boundary, and the step
//! of the plan that is under way.
//!
//! | kind | the program |
//! |---|---|
//! | `group` | is about to submit a group of events |
//! | `write`, `torn` | is about to write to a file; has written half |
//! | `sync`, `synced` | is about to sync; has synced, and nobody heard of it |
//! | `bytes`, `half` | is about to send bytes to a device; has sent half of them |
//! | `answer` | has an answer that it has not looked at |
//! | `line` | is about to move a line of a board |
//!
//! It is killed at each of these by name, or shortly after it was told to go; half of the times the PC loses its power
//! as well, and what was not synced is lost in part. `LINESIDE_KILLS=n` asks for more kills.
#![expect(clippy::print_stdout, reason = "how far a long storm is must be told")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod brown_outs;
mod child;
mod disk;
mod judge;
mod storms;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use disk::Loss;
use judge::{Boundary, Court, End, Word};
use lineside_flow::Body;
use support::plans;

/// 1 June 2026: within every certificate of the simulator.
const WALL_MS: i64 = 1_780_272_000_000;
/// The world's seed: its keys are those of the plan.
const SEED: u64 = 1;
/// What is under way before the first step of a start.
const BEFORE: &str = "before";
/// The step of the sample plan that is irreversible.
const LOCK: &str = "lock";

/// The program under test, by name; its folder and the number of the start are in the environment.
const CHILD: &str = "runner_under_test";
const DATA: &str = "LINESIDE_KILLS_DATA";
const BOOT: &str = "LINESIDE_KILLS_BOOT";

/// Kills in every test run.
const KILLS: u64 = 200;
/// How often it is told how far it is, so that what was done counts if it is stopped.
const TOLD_EVERY: u64 = 100;
/// Of a hundred kills, so many must fall into the irreversible step.
const IN_LOCK_PERCENT: u64 = 10;
/// How often a unit may have to be started again after the last kill.
const MOST_STARTS: usize = 4;

#[test]
#[ignore = "it is started by the judge"]
fn runner_under_test() {
    let data = std::env::var_os(DATA).expect("the judge names the folder");
    let boot = std::env::var(BOOT).expect("the judge counts the starts");
    child::work(data.into(), boot.parse().unwrap());
}

/// Worlds at a time: devices and disks are waited for most of the time.
const AT_A_TIME: usize = 4;

/// What the kills were, of all worlds.
#[derive(Debug, Default)]
struct Book {
    tally: Tally,
    /// How often a boundary was aimed at.
    aims: BTreeMap<Boundary, u64>,
    /// How often the program died there, and not a moment later.
    hits: BTreeMap<Boundary, u64>,
}

impl Book {
    fn is_enough(&self, wanted: u64, times: &BTreeMap<Boundary, u64>) -> bool {
        self.tally.kills >= wanted
            && self.tally.in_lock >= wanted * IN_LOCK_PERCENT / 100
            && times.keys().all(|name| self.hits.contains_key(name))
    }
}

/// What the kills were.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    worlds: u64,
    starts: u64,
    in_lock: u64,
    /// An intent was durable and its outcome was not.
    in_act: u64,
    /// Of those: the device had done it.
    applied: u64,
    losses: BTreeMap<Loss, u64>,
}

/// Chance that can be repeated, as far as the moments of another process can.
fn dice(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// All boundaries of a run that nobody disturbs, and how often each comes.
fn boundaries() -> BTreeMap<Boundary, u64> {
    let mut found = BTreeMap::new();
    let mut court = Court::new(1);
    let end = court.start(|at| {
        *found.entry(at.clone()).or_default() += 1;
        Word::Go
    });
    assert!(matches!(end, End::Over { is_pass: true, .. }), "{end:?}");
    court.check_finished("without a kill");
    found
}

/// Kills a new world's program in every step, then lets it finish.
fn one_world(steps: &[String], times: &BTreeMap<Boundary, u64>, book: &Mutex<Book>) {
    let number = {
        let tally = &mut book.lock().unwrap().tally;
        tally.worlds += 1;
        tally.worlds
    };
    // Two boards share a journal now and then, so that one is killed while the other is at work.
    let mut court = Court::new(if number % 4 == 0 { 2 } else { 1 });
    // Twice in the step that locks: while it is asked, and while it is found out what became of that.
    let locks = steps.iter().filter(|step| *step == LOCK);
    let mut aims: Vec<&String> = steps.iter().chain(locks).collect();
    let place = |step: &str| steps.iter().position(|there| there == step).unwrap();
    aims.sort_by_key(|step| place(step));
    for step in aims {
        let mut shared = book.lock().unwrap();
        let chance = dice(shared.tally.starts * 31 + number);
        // Of the step's boundaries the one that was hit least.
        let (aim, count) = times
            .iter()
            .filter(|((_, there), _)| there == step)
            .min_by_key(|(name, _)| (shared.hits.get(*name), shared.aims.get(*name)))
            .unwrap();
        // Another world takes another one meanwhile.
        *shared.aims.entry(aim.clone()).or_default() += 1;
        let is_hit = shared.hits.contains_key(aim);
        shared.tally.starts += 1;
        drop(shared);
        let mut left = 1 + chance / 3 % count;
        let chances = if step == LOCK { 2 } else { 1 };
        let after = (is_hit && chance % 3 < chances).then(|| Duration::from_micros(chance / 7 % 4_000));
        let mut hit = None;
        let end = court.start(|at| {
            let is_later = place(&at.1) > place(step);
            left -= u64::from(at == aim && left > 0);
            if (at == aim && left == 0) || is_later {
                hit = Some(at.clone());
                return Word::Kill(after);
            }
            Word::Go
        });
        let context = format!("world {number}, killed at {hit:?} + {after:?}");
        court.check(&context);
        if let End::Over { is_pass, told } = end {
            assert!(is_pass || !told.is_empty(), "{context}");
            continue;
        }
        let hit = hit.unwrap();
        let loss = (chance / 11)
            .is_multiple_of(2)
            .then(|| court.lose_power(chance / 13));
        let mut shared = book.lock().unwrap();
        shared.tally.kills += 1;
        if shared.tally.kills.is_multiple_of(TOLD_EVERY) {
            println!("so far: {:?}", shared.tally);
        }
        shared.tally.in_lock += u64::from(hit.1 == LOCK);
        if after.is_none() {
            *shared.hits.entry(hit).or_default() += 1;
        }
        let tally = &mut shared.tally;
        if let Some(loss) = loss {
            *tally.losses.entry(loss).or_default() += 1;
        }
        for board in 0..court.world.board_count() {
            let truth = court.world.truth(board).unwrap();
            let mut is_open = false;
            for event in court.history() {
                match event.body {
                    Body::Intended { .. } if event.device == Some(truth.device_id) => is_open = true,
                    Body::Decided { .. } if event.device == Some(truth.device_id) => is_open = false,
                    _ => {}
                }
            }
            tally.in_act += u64::from(is_open);
            tally.applied += if is_open {
                truth.counters.irreversible_applied
            } else {
                0
            };
        }
    }
    let context = format!("world {number} in the end");
    let mut said = Vec::new();
    for _ in 0..MOST_STARTS {
        book.lock().unwrap().tally.starts += 1;
        match court.start(|_| Word::Go) {
            End::Over { is_pass: true, .. } => {
                court.check_finished(&context);
                return;
            }
            End::Over { told, .. } => said.push(told),
            End::Killed => panic!("{context}: nobody killed it"),
        }
    }
    panic!("{context}: no pass within {MOST_STARTS} starts: {said:#?}");
}

#[test]
fn nothing_is_lost_and_nothing_is_done_twice() {
    let began = std::time::Instant::now();
    let asked = std::env::var("LINESIDE_KILLS").ok();
    let wanted = asked.map_or(KILLS, |count| count.parse().expect("LINESIDE_KILLS is a number"));
    let times = boundaries();
    let (program, _) = plans::sample(SEED);
    let mut steps = vec![BEFORE.to_owned()];
    steps.extend(program.recipe().steps.iter().map(|step| step.id.to_string()));
    for step in &steps {
        for kind in ["group", "write", "torn", "sync", "synced"] {
            assert!(
                times.contains_key(&(kind.into(), step.clone())),
                "no {kind} in {step}: {times:?}"
            );
        }
    }
    for kind in ["bytes", "half", "answer"] {
        let talking = times.keys().filter(|(there, _)| there == kind).count();
        assert!(
            talking + 2 >= steps.len() && times.contains_key(&(kind.into(), LOCK.into())),
            "{times:?}"
        );
    }
    let book = Mutex::new(Book::default());
    let some_worlds = || {
        loop {
            {
                let book = book.lock().unwrap();
                if book.is_enough(wanted, &times) {
                    break;
                }
                let missed: Vec<_> = times
                    .keys()
                    .filter(|name| !book.hits.contains_key(name))
                    .collect();
                assert!(
                    book.tally.kills < wanted * 2 + 200,
                    "{:?}: never hit: {missed:?}",
                    book.tally
                );
            }
            one_world(&steps, &times, &book);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(some_worlds);
        }
    });
    let tally = book.into_inner().unwrap().tally;
    assert!(tally.in_act > 0 && tally.applied > 0, "{tally:?}");
    println!(
        "{} boundaries by name, each hit; {tally:?} in {:?}",
        times.len(),
        began.elapsed()
    );
}
