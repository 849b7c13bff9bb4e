//! Hardware definitions on disk: a file with those that it imports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lineside_image::{HardwareDefinition, HardwareFile};

use crate::error::RunnerError;
use crate::program::read;

/// More files than this are no definition of a board.
const MOST_FILES: usize = 64;

/// Reads the hardware definition `target` with everything that it imports.
///
/// `places` are folders of definitions, or the file itself. Without `target` it is the file among them, else the only
/// JSON file of the first folder.
///
/// # Errors
/// When it is not found or not clear, a file cannot be read or is none, or two say different things.
pub fn definition(places: &[PathBuf], target: Option<&str>) -> Result<HardwareDefinition, RunnerError> {
    let mut waiting = vec![target_of(places, target)?];
    let (mut seen, mut files) = (BTreeSet::new(), Vec::new());
    while let Some(path) = waiting.pop() {
        // Two files may import a third.
        if !seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            continue;
        }
        let file = HardwareFile::parse(&read(&path, None)?).map_err(|source| RunnerError::Hardware {
            path: path.clone(),
            source,
        })?;
        if seen.len() > MOST_FILES {
            let what = format!("more than {MOST_FILES} files import each other");
            return Err(RunnerError::NoHardware { what });
        }
        for import in file.imports() {
            let beside = path.parent().unwrap_or(Path::new("")).join(import);
            let found = [beside]
                .into_iter()
                .chain(places.iter().map(|place| place.join(import)))
                .find(|path| path.is_file());
            waiting.push(found.ok_or_else(|| RunnerError::NoHardware {
                what: format!("{} imports {import}", path.display()),
            })?);
        }
        files.push((path, file));
    }
    let first = files.first().map(|(path, _)| path.clone()).unwrap_or_default();
    HardwareDefinition::of(files.iter().map(|(_, file)| file))
        .map_err(|source| RunnerError::Hardware { path: first, source })
}

/// The manifest of an application folder with values in the places of names.
///
/// # Errors
/// When it names what the definition does not have.
pub fn resolve(
    definition: &HardwareDefinition,
    manifest: &[u8],
    path: &Path,
) -> Result<Vec<u8>, RunnerError> {
    definition
        .resolve(manifest)
        .map_err(|source| RunnerError::Hardware {
            path: path.to_owned(),
            source,
        })
}

fn target_of(places: &[PathBuf], target: Option<&str>) -> Result<PathBuf, RunnerError> {
    let not_found = |what: String| RunnerError::NoHardware { what };
    if let Some(target) = target {
        return places
            .iter()
            .map(|place| place.join(target))
            .chain([PathBuf::from(target)])
            .find(|path| path.is_file())
            .ok_or_else(|| not_found(format!("there is no {target} in the folders that are named")));
    }
    if let Some(file) = places.iter().find(|place| place.is_file()) {
        return Ok(file.clone());
    }
    let Some(folder) = places.first() else {
        return Err(not_found("no folder is named".into()));
    };
    let entries = std::fs::read_dir(folder).map_err(|source| RunnerError::File {
        path: folder.clone(),
        named_by: None,
        source,
    })?;
    let is_json = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    let all: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(is_json)
        .collect();
    match &all[..] {
        [only] => Ok(only.clone()),
        several => Err(not_found(format!(
            "{} holds {} definitions, and none is named",
            folder.display(),
            several.len()
        ))),
    }
}
