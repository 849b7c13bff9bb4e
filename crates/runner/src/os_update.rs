//! What `update-os` steps write: recovery sets, looked through before a run starts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lineside_flow::plan::{Action, Plan, SetFact, UpdateOs};
use lineside_image::{ImageSet, OsList, TrustList};
use lineside_terms::StepId;

use crate::error::RunnerError;
use crate::image_sets;
use crate::program::{BYTE_ORDER_MARK, Folder};

/// What an `update-os` step writes.
#[derive(Debug)]
pub(crate) struct OsUpdate {
    /// The recovery set.
    pub(crate) set: Arc<ImageSet>,
    /// The OS that it holds, by the plan's list.
    pub(crate) os: String,
    /// How long a device may take to boot afterwards.
    pub(crate) boot_timeout: Duration,
    /// Whether all of it goes at 115 200 baud.
    pub(crate) is_low_speed: bool,
}

/// Sets by the number of their step, each with what is known of it.
type Sets = BTreeMap<usize, (Arc<ImageSet>, SetFact)>;

/// The recovery sets of all `update-os` steps.
pub(crate) fn load_all(
    plan: &Plan,
    folder: &Folder,
    trust: &TrustList,
    os_list: &[u8],
) -> Result<Sets, RunnerError> {
    let mut sets = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        if let Action::UpdateOs(update) = &step.action {
            let set = load_set(update, folder, trust)?;
            let fact = set_fact(&set, os_list);
            sets.insert(index, (set, fact));
        }
    }
    Ok(sets)
}

/// What checking the plan needs to know of them.
pub(crate) fn facts(plan: &Plan, sets: &Sets) -> BTreeMap<StepId, SetFact> {
    let named = sets.iter();
    named
        .map(|(index, (_, fact))| (plan.steps[*index].id.clone(), fact.clone()))
        .collect()
}

/// What the steps of a plan that was checked write.
pub(crate) fn updates(plan: &Plan, sets: Sets) -> BTreeMap<usize, OsUpdate> {
    let updates = sets.into_iter().filter_map(|(index, (set, fact))| {
        let Action::UpdateOs(update) = &plan.steps[index].action else {
            return None;
        };
        let update = OsUpdate {
            set,
            os: fact.os?,
            boot_timeout: update.boot_timeout.duration(),
            is_low_speed: update.low_speed,
        };
        Some((index, update))
    });
    updates.collect()
}

/// The recovery set of an `update-os` step, looked through.
pub(crate) fn load_set(
    update: &UpdateOs,
    folder: &Folder,
    trust: &TrustList,
) -> Result<Arc<ImageSet>, RunnerError> {
    let path = folder.path(update.images.as_str());
    let files = image_sets::read(&path)?;
    let set = ImageSet::read(&files, trust).map_err(|source| RunnerError::ImageSet { path, source })?;
    Ok(Arc::new(set))
}

/// What checking a plan needs to know of a recovery set.
pub(crate) fn set_fact(set: &ImageSet, os_list: &[u8]) -> SetFact {
    let list = OsList::parse(
        os_list
            .strip_prefix(BYTE_ORDER_MARK.as_bytes())
            .unwrap_or(os_list),
    );
    // A list that is none was told before.
    let os = list
        .ok()
        .and_then(|list| set.os_by(&list).map(|version| version.name.clone()));
    SetFact { os }
}
