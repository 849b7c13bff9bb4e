//! What belongs into the bundle of a plan: all that it names.

use std::collections::BTreeMap;
use std::path::Path;

use lineside_flow::plan::{Action, ImageSource};

use crate::error::RunnerError;
use crate::program::{Folder, read, read_plan_and_text, read_tree};

/// Every file of a plan as `(path below the plan's folder, content)`: the plan first, then what it names, then the files
/// `with` that it does not name, relative to the plan's folder too.
///
/// # Errors
/// When the plan or a file cannot be read, or the plan names a file with a pre-shared key: bundles are passed on, and
/// whoever had this one would have the key.
pub fn files_of(plan: &Path, with: &[String]) -> Result<Vec<(String, Vec<u8>)>, RunnerError> {
    let (text, content) = read_plan_and_text(plan)?;
    let folder = Folder::of(plan);
    let name = plan
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    // One file may be named more than once.
    let mut others = BTreeMap::new();
    let mut named = vec![(content.os.list.as_str(), "os.list")];
    named.extend(content.protected.iter().map(|file| (file.as_str(), "protected")));
    named.extend(with.iter().map(|file| (file.as_str(), "--with")));
    for step in &content.steps {
        if let Action::WifiTest(test) = &step.action
            && test.psk_file.is_some()
        {
            let step = step.id.to_string();
            return Err(RunnerError::SecretInBundle { step });
        }
    }
    for (name, image) in &content.images {
        let file = image.source.file().as_str();
        match &image.source {
            ImageSource::File(_) | ImageSource::Body(_) => named.push((file, name.as_str())),
            ImageSource::Tree(_) => {
                let (manifest, files) = read_tree(&folder.path(file), Some(name.as_str()))?;
                others.insert(format!("{file}/app_manifest.json"), manifest);
                others.extend(
                    files
                        .into_iter()
                        .map(|(path, bytes)| (format!("{file}{path}"), bytes)),
                );
            }
        }
    }
    for (file, named_by) in named {
        others.insert(file.to_owned(), read(&folder.path(file), Some(named_by))?);
    }
    others.remove(&name);
    Ok(std::iter::once((name, text.into_bytes())).chain(others).collect())
}
