//! Everything that is wrong with a plan and with what it names, each with its place in the file.
//!
//! [`Program::load`](crate::program::Program::load) stops at the first thing that it cannot use; whoever writes a plan
//! wants to know of all.

use std::collections::BTreeMap;
use std::path::Path;

use lineside_flow::plan::{self, Action, Finding, Severity};
use lineside_image::TrustList;
use lineside_terms::{Explain, Told};
use serde::Serialize;

use crate::error::RunnerError;
use crate::os_update;
use crate::program::{self, Folder, Supplies};

/// A finding and where in the file it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// The line of the key that it is about, from 1, or of the table in which that is missing.
    pub line: Option<usize>,
    /// The column in that line, from 1.
    pub column: Option<usize>,
}

/// Checks a plan with all that it names and returns every finding, errors first.
///
/// # Errors
/// When there is no plan to be read.
pub fn check(
    path: &Path,
    trust: &TrustList,
    supplies: Option<&Supplies>,
) -> Result<Vec<Placed>, RunnerError> {
    let (text, plan) = program::read_plan_and_text(path)?;
    let folder = Folder::of(path);
    let mut found = Vec::new();
    let list = folder.path(plan.os.list.as_str());
    let releases =
        program::read(&list, Some("os.list")).and_then(|bytes| program::releases_of(&list, &bytes));
    let releases = noted(releases, "os.list", &mut found);
    let list_bytes = program::read(&list, None).unwrap_or_default();
    let (mut images, mut unfit) = (BTreeMap::new(), Vec::new());
    for (name, image) in &plan.images {
        let place = format!("images.{name}");
        let loaded = program::load_image(&plan, name, &image.source, &folder, trust, supplies);
        match noted(loaded, &place, &mut found) {
            Some(loaded) => _ = images.insert(name.clone(), program::fact_of(&loaded)),
            None => unfit.push(place),
        }
    }
    if let Some(file) = &plan.protected {
        let protected = program::protected_of(&folder.path(file.as_str()));
        noted(protected, "protected", &mut found);
    }
    let mut sets = BTreeMap::new();
    for step in &plan.steps {
        if let Action::UpdateOs(update) = &step.action {
            let place = format!("steps.{}.images", step.id);
            match noted(os_update::load_set(update, &folder, trust), &place, &mut found) {
                Some(set) => _ = sets.insert(step.id.clone(), os_update::set_fact(&set, &list_bytes)),
                None => unfit.push(place),
            }
        }
        if let Action::WifiTest(test) = &step.action {
            let psk = program::psk_of(step.id.as_str(), test, &folder);
            noted(psk, &format!("steps.{}", step.id), &mut found);
        }
    }
    let checked = plan::check(&plan, &program::given(images, sets, releases.as_deref()));
    // What could not be read was said already, with the reason.
    let is_new = |finding: &Finding| {
        let is_unread = [plan::IMAGE_UNREAD, plan::SET_UNREAD].contains(&finding.code);
        !is_unread || !unfit.contains(&finding.place)
    };
    found.extend(checked.into_iter().filter(is_new));
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(found
        .into_iter()
        .map(|finding| {
            let at = plan::position_of(&text, &finding.place);
            Placed {
                line: at.map(|at| at.line),
                column: at.map(|at| at.column),
                finding,
            }
        })
        .collect())
}

/// What was read, or `None` and one finding more.
fn noted<T>(read: Result<T, RunnerError>, place: &str, found: &mut Vec<Finding>) -> Option<T> {
    read.map_err(|error| {
        found.push(Finding {
            code: error.code(),
            severity: Severity::Error,
            place: place.to_owned(),
            message: Told::of(&error).message,
            help: error.help(),
        });
    })
    .ok()
}
