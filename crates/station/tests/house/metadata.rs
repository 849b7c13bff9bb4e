//! What cargo knows about the workspace.

use std::env;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::tree;

/// The answer of `cargo metadata`, for all platforms.
pub(crate) fn metadata() -> &'static Value {
    static ANSWER: OnceLock<Value> = OnceLock::new();
    ANSWER.get_or_init(|| {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--locked", "--format-version", "1"])
            .current_dir(tree::root())
            .output()
            .expect("cargo can be started");
        assert!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("cargo answers with JSON")
    })
}

/// Every package: ours and those that come in.
pub(crate) fn packages() -> &'static [Value] {
    metadata()["packages"].as_array().unwrap()
}

/// Our packages below `crates/`, each with the name of its folder.
pub(crate) fn crates() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let folder = tree::root().join("crates");
    packages().iter().filter_map(move |package| {
        let manifest = std::path::Path::new(package["manifest_path"].as_str()?);
        let name = manifest.strip_prefix(&folder).ok()?.iter().next()?;
        Some((name.to_str()?, package))
    })
}
