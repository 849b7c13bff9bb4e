//! `update-os`: the device runs the OS of the plan's recovery set, and nothing else is on it.
//!
//! Destructive. Looks first: a device that runs that OS already is left alone unless the plan says `always`. Else it is
//! brought into recovery over its board's own lines; the first answer is withheld until it has announced itself as the
//! device that the step is for and the journal holds that it may be erased. Then it must boot, be the same, and say which
//! OS it runs. What may happen in between belongs to the device: the records say that it needs recovery until one was
//! brought to its end, and a board that does not answer is recovered first of all if it announces such a device
//! ([`rescue`]).

use std::future::{Future as _, poll_fn};
use std::pin::pin;

use lineside_device::recovery::{Admitted, Broken, Recovery, RecoveryCell, write_os};
use lineside_device::{Progress, Scope};
use lineside_flow::plan::{UpdateOs, UpdateWhen};
use lineside_flow::{Input, RecoveryOutcome, Report};
use lineside_terms::{DeviceId, ManufacturingState, Outcome, SlotPath, Told};

use super::{At, Trouble, passed};
use crate::error::UnitFault;
use crate::leave::Wanted;
use crate::os_update::OsUpdate;
use crate::recover::{Fault, TRIES, judge_os, os_of};
use crate::slot::{Common, Hands, Stop};

pub(super) async fn perform(at: &mut At<'_>, update: &UpdateOs) -> Result<Report, Trouble> {
    let program = at.program;
    let wanted = program.os_update(at.step).ok_or(UnitFault::PlanUnknown)?;
    let releases = &program.recipe().expectation.os_releases;
    let device = at.device()?;
    let id = *device.id();
    let facts = device.read_facts(Scope::ALL).await?;
    let is_complete = facts.state.read() == Some(&ManufacturingState::DeviceComplete);
    let runs = os_of(&facts, releases);
    if update.when == UpdateWhen::OsDiffers && runs.as_ref() == Some(&wanted.os) {
        // A start of the program that was cut off may have brought it so far.
        ended(
            at.common,
            at.path,
            id,
            RecoveryOutcome::Recovered,
            runs.clone(),
            None,
        );
        return Ok(passed(format!("it runs OS {} already", wanted.os)));
    }
    at.heed_stop()?;
    let target = Target {
        device: Some(id),
        is_complete,
    };
    write(at.hands, at.common, at.path, wanted, target, at.stop).await?;
    read_back(at.hands, at.common, at.path, wanted, id).await?;
    let before = runs.map(|os| format!(", OS {os} before")).unwrap_or_default();
    Ok(Report {
        is_link_over: true,
        ..passed(format!(
            "OS {}, {} bytes{before}",
            wanted.os,
            wanted.set.total_size()
        ))
    })
}

/// Helps a device that does not answer, where the plan writes the OS: a start that was cut off may have left it in recovery.
/// One that announces itself as a device of which the records say that it needs recovery is written first of all; any other
/// is not answered, and is let boot as it was. `None` where nothing is to be tried or nothing has helped.
pub(crate) async fn rescue(
    hands: &mut Hands,
    common: &Common,
    path: &SlotPath,
    stop: &Stop,
) -> Option<Result<(), Told>> {
    let wanted = common.program.first_os_update()?;
    if stop.is_asked() {
        return None;
    }
    if !common.leave.is_needed().await {
        return hands.reset_and_reconnect().await.ok().map(Ok);
    }
    let target = Target {
        device: None,
        is_complete: false,
    };
    let trouble = match write(hands, common, path, wanted, target, stop).await {
        Ok(device) => {
            let seen = read_back(hands, common, path, wanted, device).await;
            return Some(seen.map_err(|trouble| trouble.told));
        }
        Err(trouble) => trouble,
    };
    // One that was left alone was reset and boots.
    let is_back = !stop.is_asked() && hands.reset_and_reconnect().await.is_ok();
    Some(if is_back { Ok(()) } else { Err(trouble.told) })
}

#[derive(Clone, Copy)]
struct Target {
    device: Option<DeviceId>,
    is_complete: bool,
}

/// Enters recovery, once more if nothing was lost, and writes. What becomes of a device that announced itself is
/// written down, unless it is still to be seen to boot.
async fn write(
    hands: &mut Hands,
    common: &Common,
    path: &SlotPath,
    wanted: &OsUpdate,
    target: Target,
    stop: &Stop,
) -> Result<DeviceId, Trouble> {
    let recovery = Recovery {
        is_high_speed: !wanted.is_low_speed,
        ..Recovery::new(wanted.set.clone())
    };
    let mut was_erased = false;
    let mut tries = 0;
    loop {
        tries += 1;
        match once(
            hands,
            common,
            path,
            &recovery,
            wanted,
            target,
            stop,
            &mut was_erased,
        )
        .await
        {
            Ok(device) => return Ok(device),
            Err(broken) => {
                let outcome = if broken.is_at_risk || was_erased {
                    RecoveryOutcome::NeedsRecovery
                } else {
                    RecoveryOutcome::Untouched
                };
                if let Some(device) = broken.device {
                    ended(common, path, device, outcome, None, Some(broken.error.clone()));
                }
                if !(broken.may_retry && tries < TRIES && !stop.is_asked()) {
                    return Err(Trouble::of(Outcome::Error, broken.error));
                }
            }
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one try of `write`, with all that that has"
)]
async fn once(
    hands: &mut Hands,
    common: &Common,
    path: &SlotPath,
    recovery: &Recovery,
    wanted: &OsUpdate,
    target: Target,
    stop: &Stop,
    was_erased: &mut bool,
) -> Result<DeviceId, Broken> {
    let gate = async |announced: DeviceId| {
        let granted = common
            .leave
            .erase(Wanted {
                slot: path.clone(),
                announced,
                target: target.device,
                is_complete: target.is_complete,
                set: wanted.set.digest(),
                os: Some(wanted.os.clone()),
            })
            .await?;
        *was_erased = granted.was_erased;
        Ok(Admitted {
            permit: granted.permit,
            capability: None,
        })
    };
    let cell = RecoveryCell::default();
    let progress = hands.progress();
    let (board, clock) = hands.board().await;
    let mut writing = pin!(write_os(board, &clock, recovery, gate, &cell, stop.asked(), None));
    poll_fn(|cx| {
        let done = writing.as_mut().poll(cx);
        let (sent, total) = (cell.get().bytes, cell.get().total_bytes);
        progress.set(Progress {
            done: usize::try_from(sent).unwrap_or(usize::MAX),
            total: usize::try_from(total).unwrap_or(usize::MAX),
        });
        done
    })
    .await
}

/// Waits until the device boots, and reads who it is and what it runs.
async fn read_back(
    hands: &mut Hands,
    common: &Common,
    path: &SlotPath,
    wanted: &OsUpdate,
    device: DeviceId,
) -> Result<(), Trouble> {
    let unknown = |os: Option<String>, fault: &Fault| {
        let told = Told::of(fault);
        ended(
            common,
            path,
            device,
            RecoveryOutcome::Unknown,
            os,
            Some(told.clone()),
        );
        Trouble::of(Outcome::Unknown, told)
    };
    if let Err(error) = hands.reset_and_reconnect_within(wanted.boot_timeout).await {
        return Err(unknown(None, &Fault::NotSeenToBoot(error)));
    }
    let Some(verified) = hands.verified() else {
        return Err(UnitFault::NotConnected.into());
    };
    if *verified.id() != device {
        let found = *verified.id();
        return Err(unknown(
            None,
            &Fault::NotSeenToBoot(lineside_device::DeviceError::IdChanged {
                expected: Box::new(device),
                found: Box::new(found),
            }),
        ));
    }
    let facts = match verified.read_facts(Scope::ALL).await {
        Ok(facts) => facts,
        Err(error) => return Err(unknown(None, &Fault::NotSeenToBoot(error))),
    };
    let os = os_of(&facts, &common.program.recipe().expectation.os_releases);
    if let Some(fault) = judge_os(os.as_deref(), Some(&wanted.os)) {
        return Err(unknown(os, &fault));
    }
    ended(common, path, device, RecoveryOutcome::Recovered, os, None);
    Ok(())
}

fn ended(
    common: &Common,
    slot: &SlotPath,
    device: DeviceId,
    outcome: RecoveryOutcome,
    os: Option<String>,
    error: Option<Told>,
) {
    common.leave.ended(Input::RecoveryEnded {
        slot: slot.clone(),
        device,
        outcome,
        os,
        error,
    });
}
