//! The one irreversible request: sent once, or not at all, and told truthfully.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod peer;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use lineside_device::{Act, DeviceError, NotSent, Scope, Verified};
use lineside_interlock::{
    Approvals, EpochCause, Expectation, Ledger, PERMIT_LIFE, Permit, Receipt, RunFacts, Verb, judge,
};
use lineside_protocol::rest::application::Trigger;
use lineside_terms::{ComponentId, Digest, Epoch, Explain, ManufacturingState, RunId};
use peer::{Asked, Bench, Reply, Setup, Then, healthy, json, raw};

const PUT: &str = "PUT /device/manufacturing_state";

/// A device that is ready, with a state that can be set. `on_put` may answer otherwise, before or after it is applied.
fn ready(
    state: &Rc<Cell<&'static str>>,
    mut on_put: impl FnMut(&Cell<&'static str>) -> Reply + 'static,
) -> Setup {
    let state = Rc::clone(state);
    Setup {
        handler: Box::new(move |asked: &Asked| match asked.line().as_str() {
            PUT => on_put(&state),
            "GET /device/manufacturing_state" => {
                json(200, &format!(r#"{{"manufacturingState":"{}"}}"#, state.get()))
            }
            "GET /images" => json(
                200,
                r#"{"is_ota_update_in_progress":false,"has_staged_updates":false,"restart_required":false,"components":[]}"#,
            ),
            "GET /certstore/certs" => json(200, r#"{"identifiers":[]}"#),
            _ => healthy(asked),
        }),
        ..Setup::default()
    }
}

/// Everything that leads to a permit, in the order in which a run does it.
async fn permit_for(device: &mut Verified) -> Permit {
    let facts = device.read_facts(Scope::ALL).await.unwrap();
    let expectation = Expectation::bare(ManufacturingState::Module1Complete, vec!["24.06".into()], vec![]);
    let run = RunFacts {
        run: RunId::from_bytes([1; 16]),
        plan: Digest::ZERO,
        is_every_needed_step_passed: true,
    };
    let judgement = judge(&expectation, &facts, &run, None);
    let proof = judgement
        .proof
        .unwrap_or_else(|| panic!("{:?}", judgement.checks));
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

fn puts(bench: &Bench) -> usize {
    bench.lines().iter().filter(|line| *line == PUT).count()
}

fn finalize(setup: Setup) -> (Act, usize) {
    let mut bench = Bench::new(setup);
    let session = bench.session.take().unwrap();
    let act = bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        let permit = permit_for(&mut device).await;
        device.finalize(permit).await
    });
    (act, puts(&bench))
}

#[test]
fn a_permit_is_carried_out_once_and_confirmed_by_a_look() {
    let state = Rc::new(Cell::new("Module1Complete"));
    let setup = ready(&state, |state| {
        state.set("DeviceComplete");
        json(200, "{}")
    });
    let mut bench = Bench::new(setup);
    let session = bench.session.take().unwrap();
    bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        let permit = permit_for(&mut device).await;
        assert_eq!(device.finalize(permit).await, Act::Confirmed);
        assert_eq!(device.writes(), 1);
    });
    let lines = bench.lines();
    let at = lines.iter().position(|line| line == PUT).unwrap();
    let around = &lines[at - 2..];
    assert_eq!(
        around,
        [
            "GET /status",
            "GET /device/manufacturing_state",
            PUT,
            "GET /device/manufacturing_state"
        ]
    );
    assert_eq!(
        bench.asked.borrow()[at].body,
        br#"{"manufacturingState":"DeviceComplete"}"#
    );
}

#[test]
fn what_the_device_shows_afterwards_decides() {
    let state = || Rc::new(Cell::new("Module1Complete"));
    // It refuses, and shows the old state.
    let (act, puts) = finalize(ready(&state(), |_| json(400, r#"{"error":10485761}"#)));
    assert!(
        matches!(&act, Act::Refused(error) if error.code() == "device.http-400"),
        "{act:?}"
    );
    assert_eq!(puts, 1);
    // It says no and does it all the same.
    let (act, _) = finalize(ready(&state(), |state| {
        state.set("DeviceComplete");
        json(500, r#"{"error":10485766}"#)
    }));
    assert_eq!(act, Act::Confirmed);
    // It fails, and may be at it still.
    let (act, _) = finalize(ready(&state(), |_| json(500, r#"{"error":10485766}"#)));
    assert!(matches!(act, Act::Unclear(_)));
    // It says yes and does nothing.
    let (act, _) = finalize(ready(&state(), |_| json(200, "{}")));
    assert!(matches!(act, Act::Unclear(DeviceError::NotDone { .. })));
    // It ends up somewhere else.
    let (act, _) = finalize(ready(&state(), |state| {
        state.set("Unknown");
        json(400, r#"{"error":10485761}"#)
    }));
    assert!(matches!(act, Act::Unclear(_)));
    // It does it, and nobody hears of it: once, and never again.
    for (bytes, then) in [
        ("", Then::Cut),
        ("", Then::Freeze),
        ("", Then::KeepOpen),
        ("HTTP/1.1 200 OK\r\n", Then::Close),
    ] {
        let (act, puts) = finalize(ready(&state(), move |state| {
            state.set("DeviceComplete");
            raw(bytes, then)
        }));
        assert!(matches!(act, Act::Unclear(_)), "{act:?}");
        assert_eq!(puts, 1);
    }
}

#[test]
fn a_permit_that_does_not_fit_any_more_sends_nothing() {
    let setup = || {
        ready(&Rc::new(Cell::new("Module1Complete")), |_| {
            panic!("nothing may be sent")
        })
    };
    type Case = fn(Bench) -> (Act, Bench);
    let cases: [(&str, Case); 4] = [
        ("device.permit-written-since", |mut bench| {
            let session = bench.session.take().unwrap();
            let act = bench.run(async move {
                let mut device = session.verify(Epoch(1)).await.unwrap();
                let permit = permit_for(&mut device).await;
                // Even a write that the device refuses is one.
                device
                    .control_app(ComponentId::from_u128(1), Trigger::Stop)
                    .await
                    .unwrap_err();
                device.finalize(permit).await
            });
            (act, bench)
        }),
        ("device.permit-expired", |mut bench| {
            let session = bench.session.take().unwrap();
            let act = bench.run(async move {
                let mut device = session.verify(Epoch(1)).await.unwrap();
                let permit = permit_for(&mut device).await;
                device.wait(PERMIT_LIFE + Duration::from_secs(1)).await.unwrap();
                device.finalize(permit).await
            });
            (act, bench)
        }),
        ("device.permit-for-another", |mut bench| {
            let session = bench.session.take().unwrap();
            let act = bench.run(async move {
                let mut device = session.verify(Epoch(1)).await.unwrap();
                let permit = permit_for(&mut device).await;
                let mut again = device.release().await.verify(Epoch(1)).await.unwrap();
                again.finalize(permit).await
            });
            (act, bench)
        }),
        ("device.permit-for-another", |mut bench| {
            let session = bench.session.take().unwrap();
            let act = bench.run(async move {
                let mut device = session.verify(Epoch(1)).await.unwrap();
                let permit = permit_for(&mut device).await;
                let mut again = device.release().await.verify(Epoch(2)).await.unwrap();
                again.finalize(permit).await
            });
            (act, bench)
        }),
    ];
    for (code, case) in cases {
        let (act, bench) = case(Bench::new(setup()));
        let Act::NotSent(why) = act else { panic!("{act:?}") };
        assert_eq!(why.code(), code);
        assert_eq!(puts(&bench), 0);
    }
}

#[test]
fn a_device_that_changed_at_the_last_moment_is_left_alone() {
    // Somebody else completed it, or it restarted, between the proof and the request.
    for (uptime, state, code) in [
        (634, "DeviceComplete", "device.permit-state-differs"),
        (3, "Module1Complete", "device.permit-restarted"),
    ] {
        let has_changed = Rc::new(Cell::new(false));
        let mut setup = ready(&Rc::new(Cell::new("Module1Complete")), |_| {
            panic!("nothing may be sent")
        });
        let (seen, mut inner) = (Rc::clone(&has_changed), setup.handler);
        setup.handler = Box::new(move |asked| match (asked.path.as_str(), seen.get()) {
            ("/status", true) => json(200, &format!(r#"{{"uptime":{uptime}}}"#)),
            ("/device/manufacturing_state", true) => {
                json(200, &format!(r#"{{"manufacturingState":"{state}"}}"#))
            }
            _ => inner(asked),
        });
        let mut bench = Bench::new(setup);
        let session = bench.session.take().unwrap();
        let act = bench.run(async move {
            let mut device = session.verify(Epoch(1)).await.unwrap();
            let permit = permit_for(&mut device).await;
            has_changed.set(true);
            device.finalize(permit).await
        });
        assert!(matches!(&act, Act::NotSent(why) if why.code() == code), "{act:?}");
        assert_eq!(puts(&bench), 0);
    }
}

#[test]
fn a_look_that_fails_sends_nothing() {
    let is_gone = Rc::new(Cell::new(false));
    let mut setup = ready(&Rc::new(Cell::new("Module1Complete")), |_| {
        panic!("nothing may be sent")
    });
    let (gone, mut inner) = (Rc::clone(&is_gone), setup.handler);
    setup.handler = Box::new(move |asked| {
        if gone.get() {
            raw("", Then::Freeze)
        } else {
            inner(asked)
        }
    });
    let mut bench = Bench::new(setup);
    let session = bench.session.take().unwrap();
    let act = bench.run(async move {
        let mut device = session.verify(Epoch(1)).await.unwrap();
        let permit = permit_for(&mut device).await;
        is_gone.set(true);
        device.finalize(permit).await
    });
    assert!(matches!(&act, Act::NotSent(NotSent::NotAsked(_))), "{act:?}");
    assert_eq!(puts(&bench), 0);
}
