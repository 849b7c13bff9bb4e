//! A plan with every byte that it refers to. Paths end here: below, nothing knows where anything came from, and
//! nothing that is changed on the disk afterwards changes a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use lineside_flow::interlock::{OsRelease, Pair, Protected, Verb};
use lineside_flow::plan::{
    self, Action, Given, ImageFact, ImageSource, Name, Plan, SetFact, Severity, WifiTest,
};
use lineside_flow::{Recipe, RecipeStep, Work};
use lineside_image::{
    ApplicationSource, BoardConfigSource, Capabilities, OsList, Package, Signer, TemporaryFlags, TrustList,
    Verdict, pack_application, pack_board_config,
};
use lineside_protocol::rest::{Secret, assume};
use lineside_terms::{
    ComponentId, Digest, Effect, ImageId, ImageType, ManufacturingState, SlotPath, StepId, UnitSerial,
};
use sha2::{Digest as _, Sha256};

use crate::error::RunnerError;
use crate::os_update::{self, OsUpdate};

/// What a simulated bench supplies, so that sample plans can be packed and signed on the spot.
pub struct Supplies {
    /// The key that the simulated devices trust as a production key.
    pub signer: Signer,
}

impl fmt::Debug for Supplies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Supplies")
    }
}

/// One image, ready to be sent.
#[derive(Clone)]
pub struct LoadedImage {
    /// The signed package.
    pub bytes: Bytes,
    /// What it is a build of.
    pub component: ComponentId,
    /// Which build.
    pub image: ImageId,
    /// What its signature is worth.
    pub verdict: Verdict,
}

impl fmt::Debug for LoadedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedImage")
            .field("bytes", &self.bytes.len())
            .field("component", &self.component)
            .field("image", &self.image)
            .field("verdict", &self.verdict)
            .finish()
    }
}

impl LoadedImage {
    /// True for what runs, as opposed to a board configuration.
    pub fn is_application(&self) -> bool {
        Package::parse(&self.bytes).is_ok_and(|package| package.image_type() == ImageType::APPLICATION)
    }
}

/// A plan with every byte that it refers to.
#[derive(Debug)]
pub struct Program {
    plan: Plan,
    recipe: Rc<Recipe>,
    images: BTreeMap<Name, LoadedImage>,
    psks: BTreeMap<usize, Secret>,
    os_updates: BTreeMap<usize, OsUpdate>,
    protected: Protected,
}

/// How a text may begin that was written on Windows; it means nothing.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// When packages that are packed on the spot were built: a fixed time, so that the same tree gives the same bytes.
const PACKED_AT: u64 = 1_767_225_600;

/// The application runtime that applications packed on the spot ask for: what the oldest OS of the simulated bench has,
/// so that all of them can run it (REST-A21).
const RUNTIME: u32 = assume::ABI_OF_OS_20_05.application_runtime;

impl Program {
    /// Reads a plan and everything that it names.
    ///
    /// # Errors
    /// When a file cannot be read, is not what it should be, or the plan would do harm.
    pub fn load(path: &Path, trust: &TrustList, supplies: Option<&Supplies>) -> Result<Self, RunnerError> {
        let plan = read_plan(path)?;
        Self::assemble(plan, &Folder::of(path), trust, supplies)
    }

    fn assemble(
        plan: Plan,
        folder: &Folder,
        trust: &TrustList,
        supplies: Option<&Supplies>,
    ) -> Result<Self, RunnerError> {
        let mut digests = BTreeMap::new();
        let list_path = folder.path(plan.os.list.as_str());
        let list_bytes = read(&list_path, Some("os.list"))?;
        digests.insert("os.list".to_owned(), digest_of(&list_bytes));
        let releases = releases_of(&list_path, &list_bytes)?;
        let mut images = BTreeMap::new();
        for (name, image) in &plan.images {
            let loaded = load_image(&plan, name, &image.source, folder, trust, supplies)?;
            digests.insert(format!("images.{name}"), digest_of(&loaded.bytes));
            images.insert(name.clone(), loaded);
        }
        let mut protected = Protected::default();
        if let Some(file) = &plan.protected {
            let text;
            (text, protected) = protected_of(&folder.path(file.as_str()))?;
            digests.insert("protected".to_owned(), digest_of(text.as_bytes()));
        }
        let mut psks = BTreeMap::new();
        for (index, step) in plan.steps.iter().enumerate() {
            if let Action::WifiTest(test) = &step.action
                && let Some(psk) = psk_of(step.id.as_str(), test, folder)?
            {
                psks.insert(index, psk);
            }
        }
        let sets = os_update::load_all(&plan, folder, trust, &list_bytes)?;
        for (index, (set, _)) in &sets {
            digests.insert(format!("steps.{}.images", plan.steps[*index].id), set.digest());
        }
        let set_facts = os_update::facts(&plan, &sets);
        let facts: BTreeMap<Name, ImageFact> = images
            .iter()
            .map(|(name, image)| (name.clone(), fact_of(image)))
            .collect();
        let findings = plan::check(&plan, &given(facts.clone(), set_facts, Some(&releases)));
        let errors: Vec<String> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        if !errors.is_empty() {
            return Err(RunnerError::Findings { findings: errors });
        }
        let recipe = Rc::new(recipe_of(&plan, &facts, releases, &digests));
        let os_updates = os_update::updates(&plan, sets);
        Ok(Self {
            plan,
            recipe,
            images,
            psks,
            os_updates,
            protected,
        })
    }

    /// A plan that names nothing, with what the engine follows.
    pub(crate) fn of_recipe(plan: Plan, recipe: Recipe) -> Self {
        Self {
            plan,
            recipe: Rc::new(recipe),
            images: BTreeMap::new(),
            psks: BTreeMap::new(),
            os_updates: BTreeMap::new(),
            protected: Protected::default(),
        }
    }

    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the engine follows.
    pub const fn recipe(&self) -> &Rc<Recipe> {
        &self.recipe
    }

    /// The devices that nobody may write to.
    pub const fn protected(&self) -> &Protected {
        &self.protected
    }

    /// An image of the plan.
    pub fn image(&self, name: &Name) -> Option<&LoadedImage> {
        self.images.get(name)
    }

    /// Components of this plan's applications that no step before this one leaves on the device: if they are there, an
    /// earlier attempt left them. A board configuration disturbs nobody and stays where it is.
    pub(crate) fn left_over(&self, step: usize) -> Vec<ComponentId> {
        let mut here = BTreeSet::new();
        for earlier in &self.plan.steps[..=step] {
            match &earlier.action {
                Action::LoadImage(load) => {
                    here.insert(&load.image);
                }
                Action::RemoveImage(remove) => {
                    here.remove(&remove.image);
                }
                _ => {}
            }
        }
        let others = self
            .images
            .iter()
            .filter(|(name, image)| !here.contains(name) && image.is_application());
        others.map(|(_, image)| image.component).collect()
    }

    /// What an `update-os` step writes.
    pub(crate) fn os_update(&self, step: usize) -> Option<&OsUpdate> {
        self.os_updates.get(&step)
    }

    /// What the plan's `update-os` step writes, if it has one.
    pub(crate) fn first_os_update(&self) -> Option<&OsUpdate> {
        self.os_updates.values().next()
    }

    /// The pre-shared key of a Wi-Fi step.
    pub(crate) fn psk(&self, step: usize) -> Option<&Secret> {
        self.psks.get(&step)
    }
}

/// Reads a plan, without what it names.
///
/// # Errors
/// When the file cannot be read or is no plan.
pub fn read_plan(path: &Path) -> Result<Plan, RunnerError> {
    read_plan_and_text(path).map(|(_, plan)| plan)
}

pub(crate) fn read_plan_and_text(path: &Path) -> Result<(String, Plan), RunnerError> {
    let text = read_text(path, None)?;
    let plan = plan::parse(&text).map_err(|source| RunnerError::Plan {
        path: path.to_owned(),
        source,
    })?;
    Ok((text, plan))
}

/// Reads a list of OS releases.
///
/// # Errors
/// When the file cannot be read or is no such list.
pub fn read_os_list(path: &Path) -> Result<Vec<OsRelease>, RunnerError> {
    releases_of(path, &read(path, None)?)
}

/// Reads the list of devices that nobody may write to.
///
/// # Errors
/// When it cannot be read, or a line is wrong: a list that cannot be read protects nobody.
pub fn read_protected(path: &Path) -> Result<Protected, RunnerError> {
    protected_of(path).map(|(_, protected)| protected)
}

/// What checking a plan is given.
pub(crate) fn given(
    images: BTreeMap<Name, ImageFact>,
    sets: BTreeMap<StepId, SetFact>,
    releases: Option<&[OsRelease]>,
) -> Given {
    Given {
        images,
        sets,
        releases: releases.map(|releases| releases.iter().map(|release| release.name.clone()).collect()),
        room: None,
    }
}

/// The devices that nobody may write to, and the text that says so.
pub(crate) fn protected_of(path: &Path) -> Result<(String, Protected), RunnerError> {
    let text = read_text(path, Some("protected"))?;
    let protected = Protected::parse(&text).map_err(|line| RunnerError::List {
        path: path.to_owned(),
        line,
        why: "does not begin with a device id of 128 hex digits".to_owned(),
    })?;
    Ok((text, protected))
}

/// The unit serials of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Serials {
    /// Which serial belongs to which socket.
    pub by_slot: BTreeMap<SlotPath, UnitSerial>,
    /// How many serials the list has: each stands for a unit that is expected, whether its board is there or not.
    pub count: usize,
    /// Serials that name no slot and for which there is none, in order: for boards that come later.
    pub rest: Vec<UnitSerial>,
}

/// Reads a list of unit serials: one a line, given to the slots in their order, or `SLOT SERIAL`; `#` begins a comment.
/// `named_slot` tells the slot that is meant by what the fixture calls it.
///
/// # Errors
/// When the file cannot be read, a line is neither, or a serial or slot stands twice.
pub fn serials(
    path: &Path,
    slots: &[SlotPath],
    named_slot: impl Fn(&SlotPath) -> SlotPath,
) -> Result<Serials, RunnerError> {
    let text = read_text(path, None)?;
    let wrong = |line: usize, why: String| RunnerError::List {
        path: path.to_owned(),
        line: line + 1,
        why,
    };
    let mut named = BTreeMap::new();
    let mut in_order = Vec::new();
    let mut seen = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (slot, serial) = match words.as_slice() {
            [] => continue,
            [serial] => (None, *serial),
            [slot, serial] => (Some(*slot), *serial),
            _ => return Err(wrong(number, "has more than a slot and a serial".to_owned())),
        };
        let serial: UnitSerial = serial
            .parse()
            .map_err(|error| wrong(number, format!("is wrong: {error}")))?;
        if let Some(first) = seen.insert(serial.clone(), number) {
            return Err(wrong(
                number,
                format!("repeats the serial of line {}: {serial}", first + 1),
            ));
        }
        match slot {
            None => in_order.push(serial),
            Some(slot) => {
                let slot: SlotPath = slot
                    .parse()
                    .map_err(|error| wrong(number, format!("is wrong: {error}")))?;
                let slot = named_slot(&slot);
                if named.insert(slot.clone(), serial).is_some() {
                    return Err(wrong(number, format!("names slot {slot} a second time")));
                }
            }
        }
    }
    let free: Vec<&SlotPath> = slots.iter().filter(|slot| !named.contains_key(*slot)).collect();
    let rest = in_order.split_off(free.len().min(in_order.len()));
    named.extend(free.into_iter().cloned().zip(in_order));
    Ok(Serials {
        by_slot: named,
        count: seen.len(),
        rest,
    })
}

/// Where the plan lies, and with it all that it names.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn of(plan: &Path) -> Self {
        Self(plan.parent().map(Path::to_owned).unwrap_or_default())
    }

    /// A reference of the plan as a path of this system.
    pub(crate) fn path(&self, reference: &str) -> PathBuf {
        reference
            .split('/')
            .fold(self.0.clone(), |path, part| path.join(part))
    }
}

pub(crate) fn read(path: &Path, named_by: Option<&str>) -> Result<Vec<u8>, RunnerError> {
    std::fs::read(path).map_err(|source| file_error(path, named_by, source))
}

fn read_text(path: &Path, named_by: Option<&str>) -> Result<String, RunnerError> {
    text_of(path).map_err(|source| file_error(path, named_by, source))
}

/// The text of a file, without the mark of its encoding that editors on Windows begin it with.
fn text_of(path: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    Ok(text
        .strip_prefix(BYTE_ORDER_MARK)
        .map(str::to_owned)
        .unwrap_or(text))
}

fn file_error(path: &Path, named_by: Option<&str>, source: std::io::Error) -> RunnerError {
    RunnerError::File {
        path: path.to_owned(),
        named_by: named_by.map(str::to_owned),
        source,
    }
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// Sixteen bytes that follow from what is given, for ids of things that are packed on the spot.
fn derived(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes
}

pub(crate) fn releases_of(path: &Path, bytes: &[u8]) -> Result<Vec<OsRelease>, RunnerError> {
    let json = bytes.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(bytes);
    let list = OsList::parse(json).map_err(|error| RunnerError::OsList {
        path: path.to_owned(),
        why: error.to_string(),
    })?;
    let pair = |image: &lineside_image::OsImage| Pair {
        component: image.component,
        image: image.image,
    };
    Ok(list
        .versions()
        .iter()
        .map(|version| OsRelease {
            name: version.name.clone(),
            pairs: version.images.iter().map(pair).collect(),
        })
        .collect())
}

pub(crate) fn load_image(
    plan: &Plan,
    name: &Name,
    source: &ImageSource,
    folder: &Folder,
    trust: &TrustList,
    supplies: Option<&Supplies>,
) -> Result<LoadedImage, RunnerError> {
    let key = format!("images.{name}");
    let path = folder.path(source.file().as_str());
    let signer = |from| match supplies {
        Some(supplies) => Ok(&supplies.signer),
        None => Err(RunnerError::NotSimulated {
            name: name.to_string(),
            from,
        }),
    };
    let bad = |source| RunnerError::Image {
        name: name.to_string(),
        source,
    };
    let bytes = match source {
        ImageSource::File(_) => read(&path, Some(&key))?,
        ImageSource::Tree(_) => pack_tree(&path, &key, signer("tree")?).map_err(|error| match error {
            TreeError::File(error) => error,
            TreeError::Image(source) => bad(source),
        })?,
        ImageSource::Body(_) => {
            let signer = signer("body")?;
            let body = read(&path, Some(&key))?;
            let product = plan.product.as_bytes();
            let source = BoardConfigSource {
                name: name.as_str(),
                body: &body,
                component: ComponentId::from_bytes_le(derived(&[
                    b"component",
                    product,
                    name.as_str().as_bytes(),
                ])),
                image: ImageId::from_bytes_le(derived(&[b"image", product, name.as_str().as_bytes(), &body])),
                built: PACKED_AT,
                temporary: None,
            };
            pack_board_config(&source, signer).map_err(bad)?
        }
    };
    let package = Package::parse(&bytes).map_err(|error| bad(error.into()))?;
    let verdict = package.classify(trust).verdict;
    if !verdict.is_production() {
        return Err(RunnerError::ImageRefused {
            name: name.to_string(),
            why: verdict.to_string(),
        });
    }
    let (component, image) = (package.component(), package.image());
    Ok(LoadedImage {
        bytes: Bytes::from(bytes),
        component,
        image,
        verdict,
    })
}

enum TreeError {
    File(RunnerError),
    Image(lineside_image::ImageError),
}

/// Packs the folder of an application: `app_manifest.json` and everything beside it.
fn pack_tree(folder: &Path, key: &str, signer: &Signer) -> Result<Vec<u8>, TreeError> {
    let (manifest, files) = read_tree(folder, Some(key)).map_err(TreeError::File)?;
    let mut parts: Vec<&[u8]> = vec![b"image", &manifest];
    parts.extend(
        files
            .iter()
            .flat_map(|(path, bytes)| [path.as_bytes(), bytes.as_slice()]),
    );
    let image = ImageId::from_bytes_le(derived(&parts));
    let source = ApplicationSource {
        manifest: &manifest,
        files: &files,
        executables: &[],
        image,
        built: PACKED_AT,
        runtime_version: RUNTIME,
        temporary: None,
    };
    pack_application(&source, signer).map_err(TreeError::Image)
}

/// A file of an application: its path in the image and what it holds.
pub type TreeFile = (String, Vec<u8>);

/// Reads the folder of an application: its manifest, and everything beside it in order of paths.
///
/// # Errors
/// When a file cannot be read.
pub fn read_tree(folder: &Path, named_by: Option<&str>) -> Result<(Vec<u8>, Vec<TreeFile>), RunnerError> {
    let manifest = read(&folder.join("app_manifest.json"), named_by)?;
    let mut files = Vec::new();
    collect(folder, "", named_by, &mut files)?;
    files.sort();
    Ok((manifest, files))
}

fn collect(
    folder: &Path,
    prefix: &str,
    named_by: Option<&str>,
    files: &mut Vec<TreeFile>,
) -> Result<(), RunnerError> {
    let error = |source| file_error(folder, named_by, source);
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(error)?.is_dir() {
            collect(&entry.path(), &path, named_by, files)?;
        } else if path != "/app_manifest.json" {
            files.push((path, read(&entry.path(), named_by)?));
        }
    }
    Ok(())
}

/// What checking a plan needs to know of an image.
pub(crate) fn fact_of(image: &LoadedImage) -> ImageFact {
    let package = Package::parse(&image.bytes).expect("it was parsed when it was loaded");
    let application = lineside_image::Application::open(&package).ok();
    let capabilities = application
        .as_ref()
        .map(|application| &application.manifest().capabilities);
    ImageFact {
        component: image.component,
        image: image.image,
        image_type: package.image_type(),
        is_production_signed: image.verdict.is_production(),
        is_temporary: package
            .temporary()
            .is_some_and(|flags| flags.contains(TemporaryFlags::REMOVE_AT_BOOT)),
        tcp_ports: capabilities
            .map(|c| c.allowed_tcp_server_ports.iter().copied().collect())
            .unwrap_or_default(),
        pins: capabilities.map(pins_of).unwrap_or_default(),
        size: image.bytes.len() as u64,
    }
}

/// Every pin and peripheral that a manifest claims, as text.
fn pins_of(capabilities: &Capabilities) -> BTreeSet<String> {
    let kinds = [
        ("uart", &capabilities.uart),
        ("i2c", &capabilities.i2c_master),
        ("spi", &capabilities.spi_master),
        ("pwm", &capabilities.pwm),
        ("adc", &capabilities.adc),
    ];
    let named = kinds
        .into_iter()
        .flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind} {name}")));
    named
        .chain(capabilities.gpio.iter().map(|pin| format!("gpio {pin}")))
        .collect()
}

pub(crate) fn psk_of(step: &str, test: &WifiTest, folder: &Folder) -> Result<Option<Secret>, RunnerError> {
    let (from, text) = match (&test.psk_env, &test.psk_file) {
        (Some(name), _) => (format!("${name}"), std::env::var(name.as_str()).ok()),
        (None, Some(file)) => {
            let path = folder.path(file.as_str());
            (path.display().to_string(), text_of(&path).ok())
        }
        (None, None) => return Ok(None),
    };
    let wrong = |why| RunnerError::Secret {
        step: step.to_owned(),
        from: from.clone(),
        why,
    };
    let text = text.ok_or_else(|| wrong("is not there or cannot be read"))?;
    let psk = text.lines().next().unwrap_or_default().trim_end();
    // `device-rest-api.md` 1.3: 8 to 63 characters.
    if !(8..=63).contains(&psk.len()) {
        return Err(wrong("does not hold 8 to 63 characters in its first line"));
    }
    Ok(Some(Secret::new(psk)))
}

fn recipe_of(
    plan: &Plan,
    images: &BTreeMap<Name, ImageFact>,
    releases: Vec<OsRelease>,
    digests: &BTreeMap<String, Digest>,
) -> Recipe {
    // The state in which the device is judged: the one from which it is locked.
    let judged_in = plan
        .incoming
        .iter()
        .max()
        .copied()
        .unwrap_or(ManufacturingState::Unknown);
    let steps: Vec<RecipeStep> = plan
        .steps
        .iter()
        .map(|step| RecipeStep {
            id: step.id.clone(),
            label: label(&step.action),
            effect: step.action.effect(),
            work: match &step.action {
                Action::ReadyCheck(_) => Work::Prove,
                Action::SetState(set) => Work::Act {
                    verb: Verb::StateChange,
                    target: set.to,
                },
                _ => Work::Perform,
            },
            needs: plan
                .steps
                .iter()
                .enumerate()
                .filter(|(_, other)| step.needs.contains(&other.id))
                .map(|(index, _)| index)
                .collect(),
            retries: step.retries,
            instruments: step.instruments.iter().map(ToString::to_string).collect(),
        })
        .collect();
    debug_assert!(
        steps
            .iter()
            .all(|step| (step.effect == Effect::Irreversible) == matches!(step.work, Work::Act { .. }))
    );
    Recipe {
        plan: plan::hash(plan, digests),
        product: plan.product.clone(),
        incoming: plan.incoming.iter().copied().collect(),
        target: plan.final_state,
        attempt_limit: plan.attempt_limit,
        steps,
        expectation: plan.expectation(judged_in, releases, images),
        approvals: plan.approvals.clone(),
    }
}

/// A step in a few words.
fn label(action: &Action) -> String {
    match action {
        Action::UpdateOs(_) => "update OS".to_owned(),
        Action::LoadImage(load) => format!("load {}", load.image),
        Action::RemoveImage(remove) => format!("remove {}", remove.image),
        Action::WifiTest(test) => format!("wi-fi {}", test.ssid),
        Action::SetState(set) => format!("set {}", set.to),
        Action::OsVersion(_) => "OS version".to_owned(),
        Action::FunctionalTest(_) => "functional test".to_owned(),
        Action::Restart(_) => "restart".to_owned(),
        Action::ReadyCheck(_) => "ready check".to_owned(),
        Action::FinalLook(_) => "final look".to_owned(),
    }
}
