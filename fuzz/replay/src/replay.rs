//! One target: its corpus, then mutations of it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::mutate::{Mutator, fingerprint};

/// Mutated inputs for each target when the environment asks for no other number: seconds in an unoptimised build.
const INPUTS: usize = 10_000;

/// Feeds the target `name` with its corpus and with mutations of it.
///
/// # Panics
/// When the target does. The input is then kept in `fuzz/artifacts/NAME/`, from where it belongs into the corpus.
pub(crate) fn replay(name: &str, target: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("replay stands in fuzz");
    replay_in(fuzz, name, target);
}

fn replay_in(fuzz: &Path, name: &str, target: fn(&[u8])) {
    let corpus = corpus(&fuzz.join("corpus").join(name));
    for (path, bytes) in &corpus {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(bytes))) {
            eprintln!("target {name} panics on {}", path.display());
            resume_unwind(panic);
        }
    }

    let seeds: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    let mut mutator = Mutator::new(seeds, fingerprint(name.as_bytes()));
    for count in 0..inputs() {
        let bytes = mutator.next_input();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&bytes))) {
            let kept = keep(&fuzz.join("artifacts").join(name), &bytes);
            eprintln!(
                "target {name} panics on mutated input {count}, kept as {}",
                kept.display()
            );
            resume_unwind(panic);
        }
    }
}

fn inputs() -> usize {
    match env::var("LINESIDE_FUZZ_INPUTS") {
        Ok(text) => text.parse().expect("LINESIDE_FUZZ_INPUTS takes a whole number"),
        Err(_) => INPUTS,
    }
}

/// The kept inputs in the order of their names. A target may have none: then mutation starts from nothing.
fn corpus(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the corpus can be listed").path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let bytes = fs::read(&path).expect("the corpus can be read");
            (path, bytes)
        })
        .collect()
}

fn keep(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("replay-{:016x}", fingerprint(bytes)));
    fs::create_dir_all(folder).expect("fuzz/artifacts can be made");
    fs::write(&path, bytes).expect("fuzz/artifacts can be written");
    path
}

#[test]
fn what_makes_a_target_panic_is_found_and_kept() {
    let folder = env::temp_dir().join(format!("lineside-fuzz-replay-{}", std::process::id()));
    let corpus = folder.join("corpus/fragile");
    fs::create_dir_all(&corpus).unwrap();
    fs::write(corpus.join("seed"), [1, 2, 3]).unwrap();

    let fragile = |bytes: &[u8]| assert_ne!(bytes.first(), Some(&0), "the planted fault");
    assert!(catch_unwind(|| replay_in(&folder, "fragile", fragile)).is_err());
    let kept: Vec<PathBuf> = fs::read_dir(folder.join("artifacts/fragile"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [kept] = kept.as_slice() else {
        panic!("one input is kept: {kept:?}")
    };
    assert_eq!(fs::read(kept).unwrap().first(), Some(&0));

    let calm = |bytes: &[u8]| assert!(bytes.len() < 1 << 20);
    replay_in(&folder, "fragile", calm);
    fs::remove_dir_all(&folder).unwrap();
}
