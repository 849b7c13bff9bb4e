//! `remove-image`: one component is not on the device.
//!
//! Looks first: removing what is not there succeeds without asking.

use lineside_flow::Report;
use lineside_flow::plan::RemoveImage;

use super::{At, Trouble, passed};
use crate::error::UnitFault;

pub(super) async fn perform(at: &mut At<'_>, remove: &RemoveImage) -> Result<Report, Trouble> {
    let component = at
        .program
        .image(&remove.image)
        .ok_or(UnitFault::PlanUnknown)?
        .component;
    let device = at.device()?;
    if !device.image_facts().await?.has(component) {
        return Ok(passed("it was not there"));
    }
    if device.delete_image(component).await?.is_restarting {
        return Ok(Report {
            is_link_over: true,
            ..passed("the device restarts")
        });
    }
    if device.image_facts().await?.has(component) {
        return Err(UnitFault::NotRemoved.into());
    }
    Ok(Report::passed())
}
