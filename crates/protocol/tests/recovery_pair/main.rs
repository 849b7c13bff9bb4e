//! Both ends of a recovery against each other, under a clock moved by hand: on a clean line at its speed, and under
//! thousands of seeds of trouble, each of which ends in a recovered device or in an error with a name.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod pair;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lineside_protocol::recovery::ErrorCode;
use lineside_protocol::recovery::device::{self, Manners, Moment, SwitchFault, Times, Trouble};
use lineside_protocol::recovery::host::{self, Failure};
use lineside_protocol::xmodem::BlockSize;
use lineside_terms::{DeviceId, Explain as _, Instant};
use pair::{Draws, Files, Hand, Noise, Pair};

/// Nothing may take longer: the longest guard, and some seconds for what ends behind it.
const LIMIT: Instant = Instant::from_nanos(1_900_000_000_000);
const SEEDS: u64 = 10_000;
const BITS: u64 = 10;
const CLEAN: [Noise; 2] = [QUIET, QUIET];
const QUIET: Noise = Noise {
    lost: 0,
    doubled: 0,
    changed: 0,
    piece_lost: 0,
    piece_doubled: 0,
    cut: 0,
    silence: None,
};

fn id() -> DeviceId {
    DeviceId::from_bytes([0x5D; 64])
}

fn host(files: &Files) -> host::Options {
    host::Options::new(Arc::clone(&files.bootloader))
}

#[test]
fn a_clean_recovery_takes_what_the_wire_takes() {
    let files = Arc::new(Files::new(
        16_384,
        60_836,
        &[2_376, 114_900, 20_480, 392, 20_481, 0],
    ));
    for (block, is_high) in [
        (BlockSize::Short, true),
        (BlockSize::Long, true),
        (BlockSize::Short, false),
    ] {
        let options = host::Options {
            block,
            high_speed: is_high,
            ..host(&files)
        };
        let device = device::Options::new(id());
        let mut pair = Pair::new(&files, options, device, CLEAN, Draws::new(1));
        pair.bits = Some(BITS);
        let outcome = pair.run(LIMIT).unwrap();
        assert_eq!(outcome, Ok(()));
        pair.check(&outcome, "clean");
        let (_, busy) = pair.line();
        let told = if is_high {
            Duration::from_millis(50)
        } else {
            Duration::ZERO
        };
        let took = pair.now - Instant::ZERO;
        // What is said into each other's words makes it a little shorter than one after the other.
        assert!(
            took <= busy + told + Duration::from_millis(1),
            "{took:?} for {busy:?} of wire"
        );
        assert!(
            took + Duration::from_millis(5) >= busy,
            "{took:?} for {busy:?} of wire"
        );
    }
}

#[test]
fn a_device_takes_its_own_time_and_no_more() {
    let files = Arc::new(Files::small());
    let mut device = device::Options::new(id());
    device.times = Times::REAL;
    let mut pair = Pair::new(&files, host(&files), device, CLEAN, Draws::new(1));
    assert_eq!(pair.run(LIMIT), Some(Ok(())));
    let took = pair.now - Instant::ZERO;
    // ROM, bootloader, application, switch, erase, four pieces, tables; some sixty turns.
    let own = Duration::from_millis(500 + 300 + 300 + 50 + 20_000 + 4 * 60 + 1500);
    assert!(took > own && took < own + Duration::from_millis(250), "{took:?}");
}

/// What one seed does.
fn trouble_of(seed: u64, files: &Arc<Files>) -> (Pair, String) {
    let mut draws = Draws::new(seed);
    let mut device = device::Options::new(id());
    if draws.below(3) == 0 {
        device.times = Times::REAL;
    }
    let mut options = host(files);
    options.high_speed = draws.below(4) != 0;
    options.verbose = draws.below(8) == 0;
    if draws.below(4) == 0 {
        options.block = BlockSize::Long;
    }
    let mut noise = CLEAN;
    let mut hand = None;
    // Somewhere in a recovery of this set, erase and all.
    let clean = match device.times {
        Times::REAL => 24_000,
        _ => 600,
    };
    let moment = |draws: &mut Draws| Instant::ZERO + Duration::from_millis(draws.below(clean));
    let codes: Vec<ErrorCode> = ErrorCode::named().collect();
    let kind = seed % 12;
    match kind {
        0 => {
            noise = noise.map(|_| Noise {
                changed: 300 + draws.below(5000),
                ..QUIET
            })
        }
        1 => {
            noise = noise.map(|_| Noise {
                lost: 300 + draws.below(5000),
                doubled: 300 + draws.below(5000),
                ..QUIET
            })
        }
        2 => {
            noise = noise.map(|_| Noise {
                changed: 20 + draws.below(200),
                lost: 100,
                doubled: 100,
                ..QUIET
            })
        }
        3 => {
            noise = noise.map(|_| Noise {
                piece_lost: 3 + draws.below(60),
                cut: 2,
                ..QUIET
            })
        }
        4 => {
            noise = noise.map(|_| Noise {
                piece_doubled: 3 + draws.below(60),
                cut: 2,
                ..QUIET
            })
        }
        5 => {
            let from = moment(&mut draws);
            let long = [100, 2_000, 20_000, 4_000_000][draws.below(4) as usize];
            let way = draws.below(3) as usize;
            let silence = Some((from, from + Duration::from_millis(long)));
            for (nth, noise) in noise.iter_mut().enumerate() {
                if way != nth {
                    noise.silence = silence;
                }
            }
        }
        6 => {
            // Every code, at its moment and at another one.
            device.trouble = Trouble::raising(codes[(seed / 12) as usize % codes.len()]);
            if draws.below(2) == 0 {
                let moments = [
                    Moment::Start,
                    Moment::Capability,
                    Moment::Switch,
                    Moment::Erase,
                    Moment::Image(0),
                ];
                let code = device.trouble.raise.unwrap().1;
                device.trouble.raise = Some((moments[draws.below(5) as usize], code));
            }
        }
        7 => hand = Some((moment(&mut draws), Hand::Cut)),
        8 => hand = Some((moment(&mut draws), Hand::Swap)),
        9 => hand = Some((moment(&mut draws), Hand::Reset)),
        10 => {
            device.trouble.switch = if draws.below(2) == 0 {
                SwitchFault::Off
            } else {
                SwitchFault::None
            };
            device.trouble.hang = (draws.below(3) == 0).then(|| Moment::Image(draws.below(5) as usize));
            device.manners = Manners {
                says_bad: draws.below(2) == 0,
                takes_long_blocks: draws.below(4) != 0,
                tells_of_runtime: draws.below(2) == 0,
                unseen_events: [20, 21, 22, 23],
                piece: 100 + draws.below(2000) as u32,
                asks_after_switch: draws.below(4) != 0,
                falls_back: draws.below(2) == 0,
                switch_after: Duration::from_millis(draws.below(200)),
                ..Manners::default()
            };
        }
        _ => {
            // A bit of everything.
            noise = noise.map(|_| Noise {
                changed: 2_000,
                lost: 3_000,
                cut: 3,
                ..QUIET
            });
            device.trouble.switch = SwitchFault::Off;
            hand = (draws.below(2) == 0).then(|| (moment(&mut draws), Hand::Cut));
        }
    }
    let what = format!("seed {seed} of kind {kind}: {device:?} {noise:?} {hand:?}");
    let admits = draws.below(40) != 0;
    let may_recover = draws.below(40) != 0;
    let mut pair = Pair::new(files, options, device, noise, draws);
    pair.bits = Some(BITS);
    pair.hand = hand;
    pair.admits = admits;
    pair.device_mut().unwrap().verifier_mut().may_recover = may_recover;
    (pair, what)
}

/// Runs a share of the seeds; tells how often each end was met, by kind of trouble.
fn storm(share: u64, shares: u64) -> BTreeMap<(u64, String), u32> {
    let files = Arc::new(Files::small());
    let mut ends = BTreeMap::new();
    for seed in share * SEEDS / shares..(share + 1) * SEEDS / shares {
        let (mut pair, what) = trouble_of(seed, &files);
        let Some(outcome) = pair.run(LIMIT) else {
            panic!("{what}: it hangs, {:?}", pair.host());
        };
        pair.check(&outcome, &what);
        let end = match &outcome {
            Ok(()) => "recovered".to_owned(),
            Err(failure) => {
                assert!(failure.common_code().name().is_some(), "{what}: {failure:?}");
                failure.code().to_owned()
            }
        };
        if !pair.admits {
            assert!(outcome.is_err() && !pair.is_erased, "{what}: {outcome:?}");
        }
        *ends.entry((seed % 12, end)).or_insert(0) += 1;
    }
    ends
}

fn check_storm(share: u64) {
    let ends = storm(share, 4);
    let recovered = |kind: u64| ends.get(&(kind, "recovered".to_owned())).copied().unwrap_or(0);
    let each = (SEEDS / 4 / 12) as u32;
    // Kinds that a recovery survives as a rule, and one that it never does but by luck of the moment.
    for kind in [0, 1, 3, 4] {
        assert!(recovered(kind) * 2 > each, "kind {kind}: {ends:#?}");
    }
    let kinds: BTreeSet<&str> = ends.keys().map(|(_, end)| end.as_str()).collect();
    for end in [
        "recovered",
        "recovery.silent",
        "recovery.not-admitted",
        "recovery.device-error",
        "recovery.transfer-failed",
    ] {
        assert!(kinds.contains(end), "{end} was never met: {ends:#?}");
    }
}

#[test]
fn no_trouble_hangs_in_the_first_quarter_of_the_seeds() {
    check_storm(0);
}

#[test]
fn no_trouble_hangs_in_the_second_quarter_of_the_seeds() {
    check_storm(1);
}

#[test]
fn no_trouble_hangs_in_the_third_quarter_of_the_seeds() {
    check_storm(2);
}

#[test]
fn no_trouble_hangs_in_the_last_quarter_of_the_seeds() {
    check_storm(3);
}

#[test]
fn every_code_of_a_device_is_told_by_its_name() {
    let files = Arc::new(Files::small());
    for code in ErrorCode::named() {
        let mut device = device::Options::new(id());
        device.trouble = Trouble::raising(code);
        let mut pair = Pair::new(&files, host(&files), device, CLEAN, Draws::new(1));
        let outcome = pair.run(LIMIT).unwrap();
        pair.check(&outcome, &code.to_string());
        if code == ErrorCode::recovery(117) {
            assert_eq!(outcome, Ok(()), "it is not fatal");
            continue;
        }
        let Err(failure) = outcome else {
            panic!("{code} is no success");
        };
        assert!(matches!(failure, Failure::Device { .. }), "{code}: {failure:?}");
        assert_eq!(failure.common_code(), code);
        assert_eq!(
            pair.host().flash().may_retry(),
            !pair.is_erased,
            "{code}: what is known fits what is so"
        );
    }
}

#[test]
fn a_switch_that_fails_is_gone_on_from_at_the_old_speed() {
    let files = Arc::new(Files::small());
    for (falls_back, is_heard) in [(true, true), (false, false)] {
        let mut device = device::Options::new(id());
        device.trouble.switch = SwitchFault::Off;
        device.manners.falls_back = falls_back;
        let mut pair = Pair::new(&files, host(&files), device, CLEAN, Draws::new(1));
        pair.bits = Some(BITS);
        let outcome = pair.run(LIMIT).unwrap();
        pair.check(&outcome, "switch");
        assert_eq!(outcome.is_ok(), is_heard, "{outcome:?}");
        assert!(
            is_heard || pair.host().flash().may_retry(),
            "it says that it erased nothing"
        );
    }
}

#[test]
fn after_a_power_cut_anywhere_the_next_recovery_succeeds() {
    let files = Arc::new(Files::small());
    let (mut lost, mut untouched) = (0, 0);
    for at in (0..700).step_by(7) {
        let device = device::Options::new(id());
        let mut pair = Pair::new(&files, host(&files), device.clone(), CLEAN, Draws::new(1));
        pair.bits = Some(BITS);
        pair.hand = Some((Instant::ZERO + Duration::from_millis(at), Hand::Cut));
        let outcome = pair.run(LIMIT).unwrap();
        pair.check(&outcome, "cut");
        if outcome.is_ok() {
            continue;
        }
        *(if pair.is_erased { &mut lost } else { &mut untouched }) += 1;
        let mut again = Pair::new(&files, host(&files), device, CLEAN, Draws::new(1));
        assert_eq!(again.run(LIMIT), Some(Ok(())));
    }
    assert!(
        lost > 0 && untouched > 0,
        "{lost} after the erase, {untouched} before"
    );
}
