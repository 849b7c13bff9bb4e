//! The sample plan, and folders with plans that are changed on purpose.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lineside_image::TrustList;
use lineside_link::Clock;
use lineside_runner::{Program, RunnerError, Supplies};
use lineside_simulator::{World, WorldConfig};
use tempfile::TempDir;

/// The folder of the sample plan.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans")
}

/// Keys and trust of the world with this seed.
pub fn keys(seed: u64) -> (Supplies, TrustList) {
    let (clock, _hands) = Clock::by_hand();
    let world = World::new(
        WorldConfig {
            boards: 0,
            seed,
            ..WorldConfig::default()
        },
        clock,
    )
    .unwrap();
    (
        Supplies {
            signer: world.signing_key().clone(),
        },
        world.trust_list().clone(),
    )
}

thread_local! {
    static LOADED: RefCell<BTreeMap<u64, Rc<Program>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The sample plan for the world with this seed, loaded once a thread, and where it lies.
pub fn sample(seed: u64) -> (Rc<Program>, PathBuf) {
    let path = folder().join("thermostat.toml");
    let program = LOADED.with_borrow_mut(|loaded| {
        let program = loaded
            .entry(seed)
            .or_insert_with(|| Rc::new(load(&path, seed).unwrap()));
        Rc::clone(program)
    });
    (program, path)
}

/// Loads a plan for the world with this seed.
pub fn load(path: &Path, seed: u64) -> Result<Program, RunnerError> {
    let (supplies, trust) = keys(seed);
    Program::load(path, &trust, Some(&supplies))
}

/// A copy of the sample plan's folder that may be changed.
pub struct PlanFolder {
    folder: TempDir,
}

impl PlanFolder {
    pub fn new() -> Self {
        let copy = TempDir::new().unwrap();
        copy_tree(&folder(), copy.path());
        Self { folder: copy }
    }

    pub fn plan(&self) -> PathBuf {
        self.folder.path().join("thermostat.toml")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces text in the plan; it must be there.
    #[track_caller]
    pub fn edit(self, from: &str, to: &str) -> Self {
        let text = std::fs::read_to_string(self.plan()).unwrap();
        assert!(text.contains(from), "{from:?} is not in the plan");
        std::fs::write(self.plan(), text.replacen(from, to, 1)).unwrap();
        self
    }

    /// Writes a file beside the plan.
    pub fn write(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), bytes).unwrap();
        self
    }

    /// What the test application does, in the simulator's words.
    pub fn test_application(self, lines: &str) -> Self {
        self.write(
            "thermostat/test-application/bin/app",
            format!("#!lineside-simulated-application 1\n{lines}"),
        )
    }

    /// Loads the plan.
    pub fn load(&self) -> Result<Program, RunnerError> {
        load(&self.plan(), 1)
    }

    /// Loads the plan, which must be good.
    #[track_caller]
    pub fn program(&self) -> Rc<Program> {
        Rc::new(self.load().unwrap())
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
