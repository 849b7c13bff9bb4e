//! Who a device is and what it may.

use lineside_image::Package;
use lineside_protocol::rest::image::AppControlMode;
use lineside_runner::by_hand;
use lineside_terms::{Blame, Capability, DeviceId};
use serde_json::{Value, json};

use super::hold::{self, Held};
use super::{Action, Job, files};
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

/// A capability file that is to be stored on the device that it was made for.
pub(super) struct CapabilityFile {
    bytes: Vec<u8>,
    device: DeviceId,
}

/// Reads the file that is named.
pub(super) fn capability_file(job: &Job<'_>) -> Result<CapabilityFile, Failure> {
    let path = std::path::Path::new(job.values.get("file").unwrap_or_default());
    let bytes = files::read(path, "the capability file")?;
    let (_, device) = by_hand::capability(&bytes).map_err(|told| files::wrong(path, Failure::told(told)))?;
    Ok(CapabilityFile { bytes, device })
}

/// Stores it in the way of an image: no operation of devices is for it (`device-rest-api.md` 6.3).
pub(super) async fn store_capability(held: &mut Held, file: CapabilityFile) -> Result<Value, Failure> {
    if file.device != held.hand.id() {
        return Err(Failure::new(
            Kind::Failed,
            Blame::Supply,
            "device.capability-for-another",
            format!(
                "the file is for device {}, and this is {}",
                file.device.short(),
                held.hand.id().short()
            ),
            "Take the file of this device. Nothing was sent.",
        ));
    }
    let package = Package::parse(&file.bytes).map_err(|error| Failure::of(&error))?;
    let image = (package.component(), package.image());
    let has_restarted = held
        .hand
        .deploy(file.bytes.clone().into(), image, AppControlMode::Auto)
        .await?;
    if !has_restarted {
        // What a file grants counts from a restart on (assumed there).
        held.hand.restart().await?;
    }
    let all = held.hand.device()?.capabilities().await?;
    Ok(json!({
        "deviceIdentifier": held.hand.id().to_string().to_uppercase(),
        "capabilities": all.into_iter().map(name_of).collect::<Vec<_>>(),
        "rebooting": true,
    }))
}
