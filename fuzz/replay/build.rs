//! Finds the fuzz targets, so that none is forgotten: one module and one test for each file.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = Path::new(&here).join("../fuzz_targets");
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("fuzz/fuzz_targets is there")
        .map(|entry| entry.expect("fuzz/fuzz_targets can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            path.file_stem()
                .expect("it has an extension")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();

    let mut text = String::new();
    for name in &names {
        let path = folder.join(format!("{name}.rs"));
        writeln!(
            text,
            "#[allow(unused_attributes, missing_docs)]\n#[path = {path:?}]\nmod {name};\n\
             #[test]\nfn replay_{name}() {{ crate::replay::replay({name:?}, {name}::target); }}"
        )
        .expect("a string takes all text");
    }
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("targets.rs"), text).expect("the output folder can be written");
}
