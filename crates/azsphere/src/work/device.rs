//! Who a device is and what it may.

use serde_json::{Value, json};

use lineside_terms::{Blame, Capability};

use super::hold::{self, Held};
use super::{Action, Job};
use crate::trouble::{Failure, Kind};

pub(super) async fn perform(action: Action, held: &mut Held) -> Result<Value, Failure> {
    match action {
        Action::OsVersion => super::answer(held.hand.device()?.os_version().await),
        Action::Capabilities => {
            let all = held.hand.device()?.capabilities().await?;
            Ok(all.into_iter().map(name_of).collect())
        }
        Action::State => {
            let state = held.hand.device()?.manufacturing_state().await?;
            Ok(json!({ "manufacturingState": state }))
        }
        Action::Restart => {
            held.hand.restart().await?;
            Ok(json!({ "deviceIdentifier": held.hand.id().to_string().to_uppercase() }))
        }
        _ => Ok(json!({
            "deviceIdentifier": held.hand.id().to_string().to_uppercase(),
            "ipAddress": held.placed.address,
            "connectionPath": held.placed.board.slot,
        })),
    }
}

/// The words of the vendor's command (reference 4.3).
fn name_of(capability: Capability) -> String {
    match capability {
        Capability::APP_DEVELOPMENT => "EnableAppDevelopment".to_owned(),
        Capability::RF_TEST_MODE => "EnableRfTestMode".to_owned(),
        Capability::FIELD_SERVICING => "EnableFieldServicing".to_owned(),
        Capability(other) => format!("Capability{other}"),
    }
}

/// Remembers a capability file, or forgets it. The file itself is read each time that it is needed.
pub(super) fn select_capability(job: &Job<'_>) -> Result<Value, Failure> {
    let mut kept = job.station.kept()?;
    if job.values.has("none") {
        kept.capability = None;
        job.station.keep(&kept)?;
        return Ok(json!({}));
    }
    let Some(file) = job.values.get("file") else {
        return Err(Failure::usage(
            "azsphere.parameter",
            "no capability file is named",
            "Name one, or --none to use none any more.",
        ));
    };
    let path = std::path::absolute(file)
        .map_err(|error| Failure::station("station.file", &format!("{file} cannot be named"), &error))?;
    let (_, device) = hold::capability(&path)?;
    kept.capability = Some(path);
    job.station.keep(&kept)?;
    Ok(json!({ "file": file, "device": device.to_string().to_uppercase() }))
}

/// The only door to another manufacturing state is the station's: what proves the device, writes the intent down and
/// looks again is there.
pub(super) fn state_is_not_set() -> Failure {
    Failure::new(
        Kind::Failed,
        Blame::Station,
        "device.manual-refused",
        "this command does not bring devices to another manufacturing state; nothing was sent",
        "Let a plan do it (`lineside run`): it proves the device first and keeps the proof. Where the station's policy in \
         station.toml allows it by hand, use `lineside device manufacturing-state update`.",
    )
}
