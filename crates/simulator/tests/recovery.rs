//! Recoveries of simulated devices, over the wires of a board.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lineside_link::{Bench as _, Board};
use lineside_protocol::recovery::ErrorCode;
use lineside_protocol::recovery::host::{Failure, Flash, Host};
use lineside_simulator::{
    Assumptions, Fault, OsProfile, Pace, RecoveryStage, SetSize, UsbTimes, What, When, WirePace, World,
    WorldConfig, WritesExpected,
};
use lineside_terms::{Capability, ManufacturingState};
use support::recovery::{Set, recover};
use support::{in_world, rest};

fn one() -> WorldConfig {
    WorldConfig {
        boards: 1,
        os_profile: OsProfile::V20_05,
        ..WorldConfig::default()
    }
}

async fn board(world: &World) -> Box<dyn Board> {
    let slot = world.slot(0).unwrap().clone();
    world.bench().lease(&slot, "test").await.unwrap()
}

/// Recovers board 0 with a small set of 24.06.
async fn try_it(world: &World, change: impl FnOnce(&mut Set)) -> (Result<(), Failure>, Host) {
    let mut set = Set::of(world, OsProfile::V24_06, SetSize::Small);
    change(&mut set);
    let id = world.truth(0).unwrap().device_id;
    let mut board = board(world).await;
    recover(board.as_mut(), world.clock(), &set, id).await
}

fn fault(when: When, what: What) -> Fault {
    let board = Some(0);
    Fault { board, when, what }
}

fn at_beginning() -> When {
    When::Recovery { nth: 1, times: 1 }
}

fn at(stage: RecoveryStage) -> When {
    let (nth, times) = (1, 1);
    When::RecoveryStage { stage, nth, times }
}

fn code(failure: &Failure) -> u32 {
    failure.common_code().number()
}

#[test]
fn a_device_comes_back_with_the_new_os_and_nothing_else() {
    let config = WorldConfig {
        development: true,
        state: ManufacturingState::Module1Complete,
        ..one()
    };
    in_world(config, |world| async move {
        let before = world.truth(0).unwrap();
        assert!(!before.images.is_empty());
        {
            let (_board, mut rest) = rest(&world, 0).await;
            rest.call_json(
                "POST",
                "/wifi/config/networks",
                "{\"ssid\":\"x\",\"configState\":\"enabled\",\"securityState\":\"open\"}",
            )
            .await
            .unwrap();
        }
        assert_eq!(world.truth(0).unwrap().networks, ["x"]);

        assert_eq!(try_it(&world, |_| {}).await.0, Ok(()));

        let after = world.truth(0).unwrap();
        assert_eq!((after.os, after.is_blank), (OsProfile::V24_06, false));
        assert_eq!((after.device_id, after.state), (before.device_id, before.state));
        assert!(after.images.is_empty() && after.networks.is_empty() && after.capabilities.is_empty());
        assert_eq!((after.counters.recoveries, after.counters.erases), (1, 1));
        let (_board, mut rest) = rest(&world, 0).await;
        assert_eq!(rest.get("/osversion").await, "{\"osversion\":\"24.06\"}");
    });
}

#[test]
fn every_error_of_a_device_reaches_the_host_by_its_name() {
    for error in ErrorCode::named().filter(|error| error.number() != 117) {
        in_world(one(), move |world| async move {
            let what = What::RecoveryError { code: error.number() };
            world.add_fault(&fault(at_beginning(), what)).unwrap();
            let (outcome, host) = try_it(&world, |_| {}).await;
            assert_eq!(outcome.unwrap_err().common_code(), error);
            let truth = world.truth(0).unwrap();
            assert_eq!(truth.is_blank, host.flash() == Flash::AtRisk, "{error}");
            assert_eq!((truth.counters.recoveries_failed, truth.counters.faults), (1, 1));
            // The fault was for one recovery; one code stands for all.
            if error.number() == 101 {
                assert_eq!(try_it(&world, |_| {}).await.0, Ok(()));
            }
        });
    }
}

#[test]
fn a_switch_that_fails_costs_speed_and_nothing_else() {
    for what in [What::RecoverySwitchFails, What::RecoveryError { code: 117 }] {
        in_world(one(), move |world| async move {
            world.add_fault(&fault(at_beginning(), what)).unwrap();
            assert_eq!(try_it(&world, |_| {}).await.0, Ok(()));
        });
    }
    in_world(one(), |world| async move {
        assert_eq!(try_it(&world, |set| set.is_fast = false).await.0, Ok(()));
    });
}

#[test]
fn a_noisy_line_is_survived_or_named() {
    for one_in in [400, 1_000, 4_000, 20_000] {
        in_world(one(), move |world| async move {
            world
                .add_fault(&fault(at_beginning(), What::RecoveryNoise { one_in }))
                .unwrap();
            let (outcome, host) = try_it(&world, |_| {}).await;
            let truth = world.truth(0).unwrap();
            assert_eq!(
                outcome.is_ok(),
                truth.counters.recoveries == 1,
                "{one_in}: {outcome:?}"
            );
            assert!(!truth.is_blank || host.flash() == Flash::AtRisk);
            assert!(one_in < 20_000 || outcome.is_ok(), "so little is survived");
        });
    }
}

#[test]
fn after_the_erase_only_a_recovery_helps() {
    use RecoveryStage as S;
    for stage in S::ALL {
        in_world(one(), move |world| async move {
            let replug_after_ms = Some(50);
            world
                .add_fault(&fault(at(stage), What::Unplug { replug_after_ms }))
                .unwrap();
            let (outcome, host) = try_it(&world, |_| {}).await;
            let is_heard = outcome.is_ok() && stage == S::Done;
            assert!(is_heard || outcome == Err(Failure::Stopped), "the wire is gone");
            let truth = world.truth(0).unwrap();
            let is_blank = (S::Erasing..S::Done).contains(&stage);
            assert_eq!(truth.is_blank, is_blank, "{stage:?}");
            assert!(!is_blank || host.flash() == Flash::AtRisk);
            world.clock().sleep(Duration::from_millis(200)).await;
            if is_blank {
                let (_board, mut host) = support::lease(&world, 0).await;
                assert_eq!(
                    host.connect(443, Duration::from_secs(60)).await,
                    Err(support::Trouble::Timeout)
                );
                drop(_board);
                assert_eq!(try_it(&world, |_| {}).await.0, Ok(()));
            }
            let os = if stage < S::Erasing {
                OsProfile::V20_05
            } else {
                OsProfile::V24_06
            };
            assert_eq!(world.truth(0).unwrap().os, os);
            let (_board, mut rest) = rest(&world, 0).await;
            rest.get("/status").await;
        });
    }
}

#[test]
fn a_hang_or_a_reset_anywhere_has_an_end() {
    for stage in RecoveryStage::ALL.into_iter().take(6) {
        for what in [What::RecoveryHang, What::ResetBefore] {
            in_world(one(), move |world| async move {
                world.add_fault(&fault(at(stage), what.clone())).unwrap();
                let (outcome, host) = try_it(&world, |_| {}).await;
                // The ROM may begin again before it was spoken to.
                let is_harmless = stage == RecoveryStage::Rom && what == What::ResetBefore;
                assert_eq!(outcome.is_ok(), is_harmless, "{stage:?} {what:?}: {outcome:?}");
                assert!(!world.truth(0).unwrap().is_blank || host.flash() == Flash::AtRisk);
            });
        }
    }
}

#[test]
fn a_complete_device_wants_its_capability_before_anything_is_erased() {
    let config = WorldConfig {
        state: ManufacturingState::DeviceComplete,
        ..one()
    };
    in_world(config.clone(), |world| async move {
        let (outcome, host) = try_it(&world, |_| {}).await;
        assert_eq!(code(&outcome.unwrap_err()), 151);
        assert!(host.flash().may_retry());
        assert_eq!(world.truth(0).unwrap().counters.erases, 0);
        // Somebody else's file is no better, and it is not told apart by its signature.
        let device = world.truth(0).unwrap().device_id;
        let other = lineside_terms::DeviceId::from_bytes([1; 64]);
        let capability = |id| {
            let file = world
                .supplies()
                .capability_file(id, &[Capability::APP_DEVELOPMENT])
                .unwrap();
            Some(Arc::from(file))
        };
        let (outcome, _) = try_it(&world, |set| set.capability = capability(other)).await;
        assert_eq!(code(&outcome.unwrap_err()), 151);
        let (outcome, _) = try_it(&world, |set| set.capability = capability(device)).await;
        assert_eq!(outcome, Ok(()));
        let truth = world.truth(0).unwrap();
        assert_eq!(
            (truth.state, truth.counters.erases),
            (ManufacturingState::DeviceComplete, 1)
        );
    });
    // A-29 the other way round.
    let mut assumptions = Assumptions::default();
    assumptions.recovery.complete_refuses = false;
    in_world(
        WorldConfig {
            assumptions,
            ..config
        },
        |world| async move {
            assert_eq!(try_it(&world, |_| {}).await.0, Ok(()));
        },
    );
}

#[test]
fn a_set_that_is_not_sound_is_refused() {
    type Change = fn(&mut Set);
    fn replace(set: &mut Set, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = set.files[name].to_vec();
        change(&mut bytes);
        set.files.insert(name.to_owned(), bytes.into());
    }
    fn image(set: &Set) -> String {
        let is_image = |name: &&String| name.len() == 36;
        set.files.keys().find(is_image).unwrap().clone()
    }
    let cases: [(u32, Change); 7] = [
        (2, |set| {
            replace(set, "recovery-1bl-rtm.bin", |bytes| bytes[5] ^= 1)
        }),
        (5, |set| {
            replace(set, "recovery-runtime.bin", |bytes| bytes[5] ^= 1)
        }),
        (5, |set| {
            replace(set, "recovery.imagemanifest", |bytes| bytes[200] ^= 1)
        }),
        (150, |set| {
            let name = image(set);
            set.files.remove(&name);
        }),
        (8, |set| {
            let name = image(set);
            replace(set, &name, |bytes| bytes.push(0));
        }),
        (5, |set| {
            let name = image(set);
            replace(set, &name, |bytes| bytes[9] ^= 0x80);
        }),
        // Another image that the same key signed.
        (9, |set| {
            let other = set.files["recovery-1bl-rtm.bin"].clone();
            set.files.insert("recovery-runtime.bin".to_owned(), other);
        }),
    ];
    for (expected, change) in cases {
        in_world(one(), move |world| async move {
            let (outcome, host) = try_it(&world, change).await;
            assert_eq!(code(&outcome.unwrap_err()), expected);
            assert_eq!(world.truth(0).unwrap().is_blank, host.flash() == Flash::AtRisk);
        });
    }
    // A set of another world: nobody here trusts its signer.
    in_world(one(), |world| async move {
        let (clock, _) = lineside_link::Clock::by_hand();
        let foreign = World::new(WorldConfig { seed: 9, ..one() }, clock).unwrap();
        let foreign = Set::of(&foreign, OsProfile::V24_06, SetSize::Small);
        let (outcome, _) = try_it(&world, |set| *set = foreign).await;
        assert_eq!(outcome, Err(Failure::BootloaderRefused));
    });
}

#[test]
fn another_board_in_the_socket_is_not_erased() {
    for stage in RecoveryStage::ALL.into_iter().take(6) {
        let config = WorldConfig { boards: 2, ..one() };
        in_world(config, move |world| async move {
            let ids = [0, 1].map(|board| world.truth(board).unwrap().device_id);
            world.expect_writes(0, WritesExpected::Only(ids[0])).unwrap();
            world.expect_writes(1, WritesExpected::Nowhere).unwrap();
            world
                .add_fault(&fault(at(stage), What::Swap { with: 1 }))
                .unwrap();
            assert!(try_it(&world, |_| {}).await.0.is_err());
            // The stranger is in the socket now; the run is still for the first one.
            let set = Set::of(&world, OsProfile::V24_06, SetSize::Small);
            let mut board = board(&world).await;
            let (outcome, host) = recover(board.as_mut(), world.clock(), &set, ids[0]).await;
            assert_eq!(outcome, Err(Failure::NotAdmitted { device: ids[1] }));
            assert!(host.flash().may_retry());
            for board in [0, 1] {
                assert_eq!(world.truth(board).unwrap().counters.wrong_target_writes, 0);
            }
            let stranger = world.truth(0).unwrap();
            assert_eq!((stranger.device_id, stranger.counters.erases), (ids[1], 0));
        });
    }
}

#[test]
fn at_the_real_pace_it_takes_what_it_was_seen_to_take() {
    let config = WorldConfig {
        pace: Pace::Real,
        ..one()
    };
    in_world(config, |world| async move {
        let set = Set::of(&world, OsProfile::V24_06, SetSize::Small);
        let id = world.truth(0).unwrap().device_id;
        let mut board = board(&world).await;
        let begun = world.clock().now();
        let (outcome, _) = recover(board.as_mut(), world.clock(), &set, id).await;
        let took = world.clock().now() - begun;
        assert_eq!(outcome, Ok(()));
        // Erase 20 s, tables 1.5 s, 20 pieces of 60 ms, ROM, bootloader and application 1.1 s; 60 kB in blocks.
        assert!(
            (Duration::from_secs(24)..Duration::from_secs(28)).contains(&took),
            "{took:?}"
        );
    });
}

#[test]
fn the_event_character_spares_what_the_latency_timer_costs() {
    let took = |usb: Option<UsbTimes>, event_character: Option<u8>| {
        let config = WorldConfig {
            wire: Some(WirePace::Baud),
            usb,
            ..one()
        };
        let took = Rc::new(Cell::new(Duration::ZERO));
        let told = Rc::clone(&took);
        in_world(config, move |world| async move {
            let begun = world.clock().now();
            let (outcome, _) = try_it(&world, |set| set.event_character = event_character).await;
            assert_eq!(outcome, Ok(()));
            told.set(world.clock().now() - begun);
        });
        took.get()
    };
    let without = took(None, None);
    let timer = took(Some(UsbTimes::high_speed(1)), None) - without;
    let event = took(Some(UsbTimes::high_speed(1)), Some(0x06)) - without;
    let slow = took(Some(UsbTimes::high_speed(16)), None) - without;
    // Some five hundred blocks, each of which is answered.
    assert!(
        event > Duration::from_millis(50) && event < Duration::from_millis(300),
        "{event:?}"
    );
    assert!(
        timer > Duration::from_millis(500) && timer < 3 * Duration::from_millis(500),
        "{timer:?}"
    );
    assert!(slow > 10 * timer, "{slow:?}");
}
