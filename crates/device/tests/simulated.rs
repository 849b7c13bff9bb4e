//! Client and simulated device against each other, at the device's own pace: the way from power to locked, and what the
//! device itself counted.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use lineside_device::boot::{self, wait_responsive};
use lineside_device::{Act, Entropy, Scope, Session, SessionConfig, TrustAnchor, Verified, timeouts};
use lineside_interlock::{
    Approvals, EpochCause, Expectation, Ledger, Permit, Reading, Receipt, RunFacts, Verb, judge,
};
use lineside_link::{Bench as _, Board, Clock, Port};
use lineside_protocol::rest::Operation;
use lineside_simulator::{Counters, FaultScript, Pace, What, When, World, WorldConfig};
use lineside_terms::{Digest, Epoch, Explain, ManufacturingState, Outcome, RunId};

/// 2026-11-22.
const WALL_MS: i64 = 1_795_305_600_000;

/// One world with one board, a session on it, and the test.
fn with_board<T, F: Future<Output = T>>(
    config: WorldConfig,
    test: impl FnOnce(World, Box<dyn Board>, Session) -> F,
) -> T {
    let (clock, hands) = Clock::by_hand();
    let world = World::new(WorldConfig { boards: 1, ..config }, clock.clone()).unwrap();
    let mut pool = LocalPool::new();
    let run = world.run();
    pool.spawner()
        .spawn_local(async move { match run.await {} })
        .unwrap();
    let test = async {
        let mut board = world
            .bench()
            .lease(world.slot(0).unwrap(), "a test")
            .await
            .unwrap();
        let mut config = SessionConfig::new(WALL_MS);
        config.anchor = TrustAnchor::from_pem(world.ca_pem()).unwrap();
        config.entropy = Entropy::Seeded(7);
        let wire = board.open(Port::Service).unwrap();
        let session = Session::new(wire, clock, config).unwrap();
        test(world, board, session).await
    };
    lineside_link::run_simulated(&hands, &mut pool, 50_000_000, test).expect("everything comes to an end")
}

fn counters(world: &World) -> Counters {
    world
        .with_chip(0, |chip| chip.firmware().counters().clone())
        .unwrap()
}

async fn booted(session: Session, epoch: u64) -> Verified {
    wait_responsive(session, Epoch(epoch), None, timeouts::BOOT)
        .await
        .map_err(|(_, error)| error)
        .unwrap()
}

/// The judge finds nothing against a fresh module but its OS, whose list is not known here: so that list is made from
/// what the device shows.
async fn permit_for(device: &mut Verified) -> Permit {
    let mut facts = device.read_facts(Scope::ALL).await.unwrap();
    if let Reading::Read(images) = &mut facts.images {
        images.components.clear();
    }
    let version = facts.os_version.read().unwrap().clone();
    let expectation = Expectation::bare(ManufacturingState::Module1Complete, vec![version], vec![]);
    let run = RunFacts {
        run: RunId::from_bytes([1; 16]),
        plan: Digest::ZERO,
        is_every_needed_step_passed: true,
    };
    let judgement = judge(&expectation, &facts, &run, None);
    assert_eq!(judgement.outcome(), Outcome::Pass, "{:?}", judgement.checks);
    let proof = judgement.proof.unwrap();
    let mut ledger = Ledger::new();
    let intent = ledger
        .propose(Verb::StateChange, ManufacturingState::DeviceComplete, &proof)
        .unwrap();
    ledger.record_intent(&intent, Some(1)).unwrap();
    let look = device.look(EpochCause::Found).await.unwrap();
    let nobody_is_asked = Approvals::default()
        .approved(
            &BTreeMap::new(),
            intent.plan,
            intent.run,
            &"lock".parse().unwrap(),
        )
        .unwrap();
    ledger
        .permit(
            &intent.key,
            &Receipt::issued_by_the_journal(1),
            &look,
            proof,
            nobody_is_asked,
            device.clock().now(),
        )
        .unwrap()
}

#[test]
fn from_power_to_locked_at_both_paces() {
    for pace in [Pace::Fast, Pace::Real] {
        with_board(
            WorldConfig {
                pace,
                ..WorldConfig::default()
            },
            |world, mut board, session| async move {
                let mut device = booted(session, 1).await;
                let id = world.with_chip(0, |chip| chip.firmware().id()).unwrap();
                assert_eq!(*device.id(), id);

                let error = device.stage(vec![1; 5000].into(), None).await.unwrap_err();
                assert_eq!(
                    (error.code(), error.blame()),
                    ("device.http-400", lineside_terms::Blame::Supply),
                    "{error}"
                );
                assert!(device.wifi_scan().await.is_ok());

                // A proof does not survive a write, so the device is identified anew.
                let mut device = booted(device.release().await, 2).await;
                let permit = permit_for(&mut device).await;
                assert_eq!(device.finalize(permit).await, Act::Confirmed);
                assert!(device.images().await.unwrap_err().is_refusal());

                let mut session = device.release().await;
                let restarted_at = boot::reset(&mut *board, &mut session).await.unwrap();
                let back = wait_responsive(session, Epoch(3), Some(restarted_at), timeouts::BOOT).await;
                let mut device = back.map_err(|(_, error)| error).unwrap();
                assert_eq!(*device.id(), id);
                let facts = device.read_facts(Scope::ALL).await.unwrap();
                assert_eq!(facts.state, Reading::Read(ManufacturingState::DeviceComplete));
                assert_eq!(facts.images, Reading::Refused);
                assert_eq!(facts.wifi, Reading::Refused);

                let counted = counters(&world);
                assert_eq!((counted.irreversible_asked, counted.irreversible_applied), (1, 1));
                assert_eq!((counted.foreign_requests, counted.wrong_target_writes), (0, 0));
                assert_eq!(counted.boots, 2);
            },
        );
    }
}

#[test]
fn a_restart_is_seen_through_to_the_new_boot() {
    with_board(
        WorldConfig {
            pace: Pace::Real,
            ..WorldConfig::default()
        },
        |world, _board, session| async move {
            let mut device = booted(session, 1).await;
            device.wait(Duration::from_secs(30)).await.unwrap();
            let before = device.status().await.unwrap().uptime;
            device.restart().await.unwrap();
            let restarted_at = device.clock().now();
            let session = device.release().await;
            let back = wait_responsive(session, Epoch(2), Some(restarted_at), timeouts::BOOT).await;
            let mut device = back.map_err(|(_, error)| error).unwrap();
            assert!(device.status().await.unwrap().uptime < before);
            assert_eq!(counters(&world).boots, 2);
        },
    );
}

#[test]
fn whatever_happens_at_the_one_request_it_is_asked_once() {
    let when = || When::Request {
        operation: Operation::SetManufacturingState.to_string(),
        nth: 1,
        times: 1,
    };
    for (what, is_applied) in [
        (What::ResetBefore, false),
        (What::ResetAfter, true),
        (What::AnswerLost, true),
        (What::TruncatedAnswer, true),
        (What::NotJson, true),
        (What::HugeAnswer { bytes: 10_000_000 }, true),
        (What::Http500, false),
        (What::Silent, false),
        (What::Delay { ms: 60_000 }, true),
        (
            What::Unplug {
                replug_after_ms: Some(500),
            },
            false,
        ),
        (
            What::Refuse {
                status: 403,
                code: 10_485_778,
            },
            false,
        ),
    ] {
        let config = WorldConfig {
            faults: FaultScript::one(0, when(), what.clone()),
            ..WorldConfig::default()
        };
        with_board(config, |world, _board, session| async move {
            let mut device = booted(session, 1).await;
            let permit = permit_for(&mut device).await;
            let act = device.finalize(permit).await;
            let counted = counters(&world);
            match &act {
                Act::Confirmed => assert_eq!(counted.irreversible_applied, 1, "{what:?}"),
                Act::Refused(_) => assert_eq!(counted.irreversible_applied, 0, "{what:?}"),
                Act::Unclear(_) => {}
                Act::NotSent(why) => panic!("{what:?}: {why}"),
            }
            assert!(counted.irreversible_asked <= 1, "{what:?}");
            if is_applied {
                assert!(!matches!(act, Act::Refused(_)), "{what:?}: {act:?}");
            } else {
                assert_ne!(act, Act::Confirmed, "{what:?}");
            }
        });
    }
}

#[test]
fn a_foreign_certificate_and_a_changed_id_are_caught() {
    let connect = When::Connect { nth: 1, times: 0 };
    let config = WorldConfig {
        faults: FaultScript::one(0, connect, What::WrongCertificate),
        ..WorldConfig::default()
    };
    with_board(config, |world, _board, session| async move {
        let (_, error) = wait_responsive(session, Epoch(1), None, timeouts::BOOT)
            .await
            .unwrap_err();
        assert_eq!(error.code(), "device.wrong-certificate", "{error:?}");
        assert!(counters(&world).requests.is_empty());
    });

    let second = When::Request {
        operation: Operation::GetStatus.to_string(),
        nth: 1,
        times: 1,
    };
    let config = WorldConfig {
        faults: FaultScript::one(0, second, What::ChangeId),
        ..WorldConfig::default()
    };
    with_board(config, |_world, _board, session| async move {
        let mut device = booted(session, 1).await;
        device.status().await.unwrap();
        assert_eq!(
            device.security_state().await.unwrap_err().code(),
            "device.id-changed"
        );
    });
}
