//! `final-look`: the device is reset by its line and shows for the last time what it is.
//!
//! Repeatable. It must come back as the same device, in the plan's final state, secure, without capabilities, with an
//! allowed OS where the OS still says so, and, when it is locked, refuse to list its images.

use lineside_flow::Report;
use lineside_terms::{ManufacturingState, SecurityState};

use super::{At, Trouble, passed};
use crate::error::UnitFault;

pub(super) async fn perform(at: &mut At<'_>) -> Result<Report, Trouble> {
    let expected = *at.device()?.id();
    let recipe = at.program.recipe().clone();
    at.hands.reset_and_reconnect().await?;
    let device = at.device()?;
    if *device.id() != expected {
        return Err(UnitFault::OtherDevice {
            expected,
            found: *device.id(),
        }
        .into());
    }
    let wrong = |what: String| Err(Trouble::from(UnitFault::FinalLook { what }));
    let state = device.manufacturing_state().await?;
    if state != recipe.target {
        return wrong(format!("the device is {state}, not {}", recipe.target));
    }
    let security = device.security_state().await?;
    if security != SecurityState::Secure {
        return wrong(format!("its security state is {security}"));
    }
    let capabilities = device.capabilities().await?;
    if !capabilities.is_empty() {
        let listed: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
        return wrong(format!("it has capabilities: {}", listed.join(", ")));
    }
    let os = match device.os_version().await {
        Ok(answer) if recipe.expectation.os_versions.contains(&answer.osversion) => answer.osversion,
        Ok(_) => return wrong("it shows another OS version than before".to_owned()),
        Err(error) if error.is_not_available() => "without a version call".to_owned(),
        Err(error) => return Err(error.into()),
    };
    if state == ManufacturingState::DeviceComplete {
        match device.images().await {
            Err(error) if error.is_refusal() => {}
            Ok(_) => return wrong("it still lists its images, so it is not locked".to_owned()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(passed(format!("{state}, {security}, no capabilities, OS {os}")))
}
