//! `load-image`: one image is on the device, and runs if it is an application.
//!
//! Looks first: an image that is there already, and runs, is not sent again. What an earlier attempt left behind goes
//! first: applications of this plan that no step before this one leaves on the device, because they may claim the same pins,
//! and the image itself if it is there and does not run. Staging and installing are repeatable, so a step that was cut
//! off is simply done again. Some images restart the device when they are installed; then the connection is over and the
//! ready-to-ship check is what proves the image.

use lineside_device::{DeviceError, Lost, Verified};
use lineside_flow::Report;
use lineside_flow::plan::LoadImage;
use lineside_protocol::rest::application::AppState;
use lineside_protocol::rest::image::AppControlMode;
use lineside_terms::ComponentId;

use super::{At, Trouble, passed};
use crate::error::UnitFault;

pub(super) async fn perform(at: &mut At<'_>, load: &LoadImage) -> Result<Report, Trouble> {
    let image = at
        .program
        .image(&load.image)
        .ok_or(UnitFault::PlanUnknown)?
        .clone();
    let progress = at.hands.progress();
    let left_over = at.program.left_over(at.step);
    let device = at.device()?;
    let mut listed = device.image_facts().await?;
    for component in left_over.into_iter().filter(|component| listed.has(*component)) {
        if device.delete_image(component).await?.is_restarting {
            // What was read is void, and so is the connection; the next try finds it gone.
            let why = Lost::Restarting;
            return Err(DeviceError::ConnectionLost { why }.into());
        }
    }
    if listed.holds(image.component, image.image) {
        if !image.is_application() || runs(device, image.component).await? {
            return Ok(passed("it was there already"));
        }
        device.delete_image(image.component).await?;
    }
    let size = image.bytes.len();
    device.stage(image.bytes.clone(), Some(progress)).await?;
    if device.install(AppControlMode::Auto).await?.is_restarting {
        return Ok(Report {
            is_link_over: true,
            ..passed(format!("{size} bytes, the device restarts"))
        });
    }
    listed = device.image_facts().await?;
    if !listed.holds(image.component, image.image) {
        return Err(UnitFault::NotInstalled.into());
    }
    Ok(passed(format!("{size} bytes")))
}

/// Whether an application runs. One that a real-time core runs says so too.
async fn runs(device: &mut Verified, component: ComponentId) -> Result<bool, Trouble> {
    Ok(matches!(
        device.app_status(component).await?.state,
        AppState::Running | AppState::Debugging
    ))
}
