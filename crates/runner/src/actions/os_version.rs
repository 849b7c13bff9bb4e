//! `os-version`: the OS is one that the plan allows.
//!
//! Reads. An OS without the version call (before 22.09) is recognised by its components and images, as the list of
//! releases tells (`device-rest-api.md` 5.6).

use lineside_flow::Report;
use lineside_flow::interlock::release_held;

use super::{At, Trouble, passed};
use crate::error::UnitFault;

pub(super) async fn perform(at: &mut At<'_>) -> Result<Report, Trouble> {
    let recipe = at.program.recipe().clone();
    let expectation = &recipe.expectation;
    let device = at.device()?;
    let (found, how) = match device.os_version().await {
        Ok(answer) => (answer.osversion, ""),
        Err(error) if error.is_not_available() => {
            let images = device.image_facts().await?;
            match release_held(&expectation.os_releases, &images) {
                Some(release) => (release.name.clone(), " by its images"),
                None => ("no release that the list names".to_owned(), ""),
            }
        }
        Err(error) => return Err(error.into()),
    };
    if expectation.os_versions.contains(&found) {
        return Ok(passed(format!("OS {found}{how}")));
    }
    // What a device says is shown short and printable.
    let found: String = found.chars().filter(|c| !c.is_control()).take(40).collect();
    Err(UnitFault::WrongOs {
        found,
        allowed: expectation.os_versions.join(" or "),
    }
    .into())
}
