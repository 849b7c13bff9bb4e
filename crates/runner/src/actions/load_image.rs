//! `load-image`: one image is on the device.
//!
//! Looks first: an image that is there already is not sent again. Staging and installing are repeatable, so a step that
//! was cut off is simply done again. Some images restart the device when they are installed; then the connection is
//! over and the ready-to-ship check is what proves the image.

use lineside_flow::Report;
use lineside_flow::plan::LoadImage;
use lineside_protocol::rest::image::AppControlMode;

use super::{At, Trouble, passed};
use crate::error::UnitFault;

pub(super) async fn perform(at: &mut At<'_>, load: &LoadImage) -> Result<Report, Trouble> {
    let image = at.program.image(&load.image).ok_or(UnitFault::PlanUnknown)?.clone();
    let progress = at.hands.progress();
    let device = at.device()?;
    if device.image_facts().await?.holds(image.component, image.image) {
        return Ok(passed("it was there already"));
    }
    let size = image.bytes.len();
    device.stage(image.bytes, Some(progress)).await?;
    if device.install(AppControlMode::Auto).await?.is_restarting {
        return Ok(Report { is_link_over: true, ..passed(format!("{size} bytes, the device restarts")) });
    }
    if !device.image_facts().await?.holds(image.component, image.image) {
        return Err(UnitFault::NotInstalled.into());
    }
    Ok(passed(format!("{size} bytes")))
}
