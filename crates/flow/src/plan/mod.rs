//! Plans: the file that says what is done to a device, and what a station needs to know of it before it begins.
//!
//! Text becomes a [`Plan`] by [`parse`]; [`check`] follows it and says what is wrong with it; [`explain`] tells in
//! plain words what will happen; [`canonical`] is the one text that stands for a plan, and [`hash`] what records keep
//! of it; [`schema`] lets editors complete it. Files that a plan names stay references here: the runner turns them
//! into bytes. Pure: no file, clock or environment is touched.

mod action;
mod canonical;
mod check;
mod error;
mod explain;
mod limit;
mod parse;
mod schema;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use lineside_interlock::{Expectation, OsRelease, ProxyFact, Requirement};
use lineside_terms::{ComponentId, ImageType, ManufacturingState, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use action::{
    Action, FinalLook, FunctionalTest, Kind, LoadImage, Need, OsVersion, ReadyCheck, RemoveImage, Restart,
    SetState, UpdateOs, UpdateWhen, Voided, WifiSecurity, WifiTest,
};
pub use canonical::{canonical, hash};
pub use check::{Finding, Given, IMAGE_UNREAD, ImageFact, SET_UNREAD, SetFact, Severity, check};
pub use error::{PlanError, Position};
pub use explain::{ExplainedStep, Explanation, explain};
pub use limit::Limit;
pub use parse::{VERSION, parse, position_of};
pub use schema::schema;
pub use words::{EnvName, FileRef, Name, Period, Ssid, Unit, WordError};

/// A plan, with all defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// Version of the format: 1.
    pub version: u32,
    /// The product that is built, for people and records.
    #[schemars(length(min = 1, max = 80))]
    #[serde(deserialize_with = "parse::product")]
    pub product: String,
    /// Whether modules or devices are built.
    pub kind: Product,
    /// The states in which a device may arrive; in another one it is stopped at connect.
    pub incoming: BTreeSet<ManufacturingState>,
    /// The state in which it leaves.
    #[serde(rename = "final")]
    pub final_state: ManufacturingState,
    /// How often one unit may be tried, from 1. Default 3.
    #[serde(default = "default_attempt_limit")]
    pub attempt_limit: u32,
    /// Who tests the radio.
    pub rf: Rf,
    /// Where the serial numbers of units come from.
    #[serde(default)]
    pub serials: Serials,
    /// What OS a device must have.
    pub os: Os,
    /// The images that steps load, by name.
    #[serde(default)]
    pub images: BTreeMap<Name, Image>,
    /// What a finished device may hold beyond its OS and images. Default: nothing.
    #[serde(default)]
    pub expect: Expect,
    /// A file that lists devices that nobody may write to: golden samples, units under analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<FileRef>,
    /// Instruments that slots share, by name.
    #[serde(default)]
    pub instruments: BTreeMap<Name, Instrument>,
    /// Whose leave the irreversible steps need, by step: a role, and one or two people. Default: nobody's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<StepId, Requirement>,
    /// What is done, in the order of the file.
    #[serde(skip_deserializing)]
    #[schemars(skip)]
    pub steps: Vec<Step>,
}

/// What a plan builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// Modules, to be sold to makers of devices: never locked.
    Module,
    /// Devices, to be shipped.
    Device,
}

/// Who tests the radio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RfKeys", rename_all = "kebab-case")]
#[schemars(!try_from, deny_unknown_fields)]
pub struct Rf {
    /// Who.
    pub policy: RfPolicy,
    /// Why nobody does; only, and always, with `policy = "none"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// Who tests the radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RfPolicy {
    /// This plan, on devices that arrive Blank.
    Here,
    /// The maker of the module; devices arrive in Module1Complete.
    Supplier,
    /// Nobody, for a reason that the plan gives.
    None,
}

/// Where the serial numbers of units come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Serials {
    /// The source.
    pub source: SerialSource,
}

/// A source of serial numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SerialSource {
    /// A list that is given when the run starts.
    #[default]
    List,
}

/// What OS a device must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Os {
    /// The list of releases: what each one consists of (`image-package.md` 9.3).
    pub list: FileRef,
    /// The versions that are allowed, for instance `24.06`.
    pub versions: BTreeSet<String>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ImageKeys", rename_all = "kebab-case")]
#[schemars(!try_from, deny_unknown_fields)]
pub struct Image {
    /// What it is for.
    pub role: Role,
    /// Where it comes from.
    #[serde(flatten)]
    pub source: ImageSource,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// A signed package.
    File(FileRef),
    /// The directory of an application with its `app_manifest.json`, packed and signed on the spot with the key of
    /// the simulated bench. For plans that run on simulated benches only.
    Tree(FileRef),
    /// The opaque body of a board configuration, packed and signed on the spot like a `tree`.
    Body(FileRef),
}

impl ImageSource {
    /// The file or directory.
    pub const fn file(&self) -> &FileRef {
        match self {
            Self::File(file) | Self::Tree(file) | Self::Body(file) => file,
        }
    }

    /// True when it is signed on the spot, so that only a simulated bench can take it.
    pub const fn is_simulated(&self) -> bool {
        matches!(self, Self::Tree(_) | Self::Body(_))
    }
}

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The board configuration; it stays.
    BoardConfig,
    /// An application that is shipped; it stays.
    Application,
    /// A test application; it is removed before the end.
    Temporary,
}

impl Role {
    /// True for what a finished device holds.
    pub const fn stays(self) -> bool {
        !matches!(self, Self::Temporary)
    }

    /// The type that an image of this role has (`image-package.md` 2).
    pub const fn image_type(self) -> ImageType {
        match self {
            Self::BoardConfig => ImageType::CUSTOMER_BOARD_CONFIG,
            Self::Application | Self::Temporary => ImageType::APPLICATION,
        }
    }
}

/// What a finished device may hold beyond its OS and images.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expect {
    /// Stored Wi-Fi networks: exactly these. Default none.
    #[serde(default)]
    pub wifi: BTreeSet<Ssid>,
    /// Ids of stored certificates: exactly these. Default none.
    #[serde(default)]
    pub certificates: BTreeSet<String>,
    /// The stored proxy. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// Components that may be there although no list names them. Default none.
    #[serde(default)]
    pub allowed_components: BTreeSet<ComponentId>,
}

/// A stored proxy, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Proxy {
    /// Host name or address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Whether it is used. Default true.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// An instrument that slots share. Steps ask for it by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Instrument {
    /// What it is, for people.
    pub description: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// What it does, with parameters.
    #[serde(flatten)]
    pub action: Action,
    /// How long one attempt may take.
    pub timeout: Period,
    /// How often it is tried again after an attempt that went wrong.
    pub retries: u32,
    /// The steps that must have passed before.
    pub needs: BTreeSet<StepId>,
    /// The instruments that it holds while it runs, all at once.
    pub instruments: BTreeSet<Name>,
}

impl Plan {
    /// The step with this name.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// Every file and directory that the plan names and whose content is part of its hash, with the key that names
    /// it. Files with secrets are not among them.
    pub fn files(&self) -> BTreeMap<String, &FileRef> {
        let mut files = BTreeMap::from([("os.list".to_owned(), &self.os.list)]);
        files.extend(self.protected.iter().map(|file| ("protected".to_owned(), file)));
        files.extend(
            self.images
                .iter()
                .map(|(name, image)| (format!("images.{name}"), image.source.file())),
        );
        files
    }

    /// The environment variables that hold secrets of this plan.
    pub fn secrets_in_environment(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::WifiTest(test) => test.psk_env.as_ref().map(EnvName::as_str),
            _ => None,
        })
    }

    /// True when the plan uses images that are signed on the spot, so that only a simulated bench can run it.
    pub fn is_for_simulated_benches(&self) -> bool {
        self.images.values().any(|image| image.source.is_simulated())
    }

    /// What a device must be when it is ready, in state `state`: `releases` are those of the OS list, `images` is
    /// what the plan's images turned out to be. Images that do not stay are not expected.
    pub fn expectation(
        &self,
        state: ManufacturingState,
        releases: Vec<OsRelease>,
        images: &BTreeMap<Name, ImageFact>,
    ) -> Expectation {
        Expectation {
            images: images
                .iter()
                .filter(|(name, _)| self.images.get(*name).is_some_and(|image| image.role.stays()))
                .map(|(_, fact)| (fact.component, fact.image))
                .collect(),
            allowed_components: self.expect.allowed_components.clone(),
            wifi: self.expect.wifi.iter().map(ToString::to_string).collect(),
            certificates: self.expect.certificates.clone(),
            proxy: self.expect.proxy.as_ref().map(|proxy| ProxyFact {
                address: proxy.address.clone(),
                port: proxy.port,
                is_enabled: proxy.enabled,
            }),
            ..Expectation::bare(state, self.os.versions.iter().cloned().collect(), releases)
        }
    }
}

const fn default_attempt_limit() -> u32 {
    3
}

const fn yes() -> bool {
    true
}

/// An RF policy as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RfKeys {
    policy: RfPolicy,
    because: Option<String>,
}

impl TryFrom<RfKeys> for Rf {
    type Error = &'static str;
    fn try_from(RfKeys { policy, because }: RfKeys) -> Result<Self, &'static str> {
        match (policy, &because) {
            (RfPolicy::None, Some(reason)) if !reason.trim().is_empty() => {}
            (RfPolicy::None, _) => {
                return Err("`policy = \"none\"` needs `because = \"...\"`: why is no radio tested?");
            }
            (_, Some(_)) => return Err("`because` goes with `policy = \"none\"` only"),
            _ => {}
        }
        Ok(Self { policy, because })
    }
}

/// An image as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ImageKeys {
    role: Role,
    file: Option<FileRef>,
    tree: Option<FileRef>,
    body: Option<FileRef>,
}

impl TryFrom<ImageKeys> for Image {
    type Error = &'static str;
    fn try_from(
        ImageKeys {
            role,
            file,
            tree,
            body,
        }: ImageKeys,
    ) -> Result<Self, &'static str> {
        let source = match (file, tree, body) {
            (Some(file), None, None) => ImageSource::File(file),
            (None, Some(tree), None) => ImageSource::Tree(tree),
            (None, None, Some(body)) => ImageSource::Body(body),
            _ => return Err("an image needs exactly one of `file`, `tree` and `body`"),
        };
        match (&source, role) {
            (ImageSource::Tree(_), Role::BoardConfig) => {
                Err("a `tree` is an application; a board configuration is packed from a `body`")
            }
            (ImageSource::Body(_), Role::Application | Role::Temporary) => {
                Err("a `body` is a board configuration; an application is packed from a `tree`")
            }
            _ => Ok(Self { role, source }),
        }
    }
}
