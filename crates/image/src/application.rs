//! Applications and board configurations as packages: making them and looking into them (`image-package.md` 6, 10).

use std::fmt;

use lineside_terms::{ComponentId, ImageId, ImageType};

use crate::assume;
use crate::filesystem::{Entry, Filesystem, Node};
use crate::manifest::{AppManifest, ApplicationType, FILE_NAME, ManifestError, rewrite};
use crate::metadata::{AbiKind, AbiVersion, BuildInfo, TemporaryFlags};
use crate::{ComposeError, Composer, ImageError, Package, Signer, pack_filesystem};

/// What an application is packed from. Everything is given: packing the same twice gives the same bytes.
#[derive(Debug, Clone)]
pub struct ApplicationSource<'a> {
    /// The source manifest, `app_manifest.json`.
    pub manifest: &'a [u8],
    /// All other files, by their path in the image (`/bin/app`).
    pub files: &'a [(String, Vec<u8>)],
    /// Paths of files that can be run, beside the EntryPoint, which always can.
    pub executables: &'a [String],
    /// The id of this build: must be new for each.
    pub image: ImageId,
    /// Build time, Unix seconds.
    pub built: u64,
    /// The application runtime (target API set) that it was built for; 12 is common.
    pub runtime_version: u32,
    /// `None` for production, as the security service hands it out; `Some(UNDER_DEVELOPMENT)` as the SDK packs.
    pub temporary: Option<TemporaryFlags>,
}

/// Packs and signs an application. A high-level one gets `TargetApplicationRuntimeVersion` and depends on that runtime.
///
/// # Errors
/// A manifest that a device would refuse, an EntryPoint that is not among the files, illegal or double paths, a nil
/// component id.
pub fn pack_application(source: &ApplicationSource<'_>, signer: &Signer) -> Result<Vec<u8>, ImageError> {
    let manifest = AppManifest::parse(source.manifest)?;
    if manifest.component.is_nil() {
        return Err(ComposeError::NilComponent.into());
    }
    let names_runtime =
        manifest.application_type == ApplicationType::Default || assume::REAL_TIME_NAMES_RUNTIME;
    let runtime = names_runtime.then_some(source.runtime_version);
    let rewritten = rewrite(source.manifest, runtime)?;

    let is_executable = |path: &str| {
        plain(path) == plain(&manifest.entry_point)
            || source.executables.iter().any(|other| plain(other) == plain(path))
    };
    let mut entries = vec![Entry {
        path: format!("/{FILE_NAME}"),
        data: Some(rewritten.as_bytes()),
        is_executable: false,
    }];
    entries.extend(source.files.iter().map(|(path, data)| Entry {
        path: path.clone(),
        data: Some(data),
        is_executable: is_executable(path),
    }));
    let body = pack_filesystem(&entries)?;
    check_entry_point(&Filesystem::read(&body)?, &manifest)?;

    let mut composer = Composer::new(ImageType::APPLICATION, manifest.component, source.image)
        .build(&manifest.name, source.built);
    if let Some(flags) = source.temporary {
        composer = composer.temporary(flags);
    }
    if let Some(version) = runtime {
        composer = composer.depends(vec![AbiVersion::application_runtime(version)]);
    }
    Ok(composer.compose(&body, signer)?)
}

/// What a board configuration is packed from. Its body is opaque: the format is not public (`image-package.md` 10).
#[derive(Debug, Clone)]
pub struct BoardConfigSource<'a> {
    /// Its name; 31 bytes of it are kept.
    pub name: &'a str,
    /// The configuration.
    pub body: &'a [u8],
    /// The component that it is.
    pub component: ComponentId,
    /// The id of this build.
    pub image: ImageId,
    /// Build time, Unix seconds.
    pub built: u64,
    /// As for applications.
    pub temporary: Option<TemporaryFlags>,
}

/// Packs and signs a board configuration, an image of type 21.
///
/// # Errors
/// A nil component id.
pub fn pack_board_config(source: &BoardConfigSource<'_>, signer: &Signer) -> Result<Vec<u8>, ImageError> {
    if source.component.is_nil() {
        return Err(ComposeError::NilComponent.into());
    }
    let mut composer = Composer::new(ImageType::CUSTOMER_BOARD_CONFIG, source.component, source.image)
        .build(source.name, source.built);
    if let Some(flags) = source.temporary {
        composer = composer.temporary(flags);
    }
    Ok(composer.compose(source.body, signer)?)
}

/// An application package that was opened: its manifest can be read and its program is where the manifest says.
#[derive(Debug, Clone)]
pub struct Application<'a> {
    manifest: AppManifest,
    filesystem: Filesystem<'a>,
    findings: Vec<Finding>,
}

impl<'a> Application<'a> {
    /// Opens the body of a package as a device would at installation.
    ///
    /// # Errors
    /// A body that is no sound file system, no manifest or a wrong one, an EntryPoint that is not there.
    pub fn open(package: &Package<'a>) -> Result<Self, ImageError> {
        let filesystem = Filesystem::read(package.body())?;
        let manifest = AppManifest::parse(filesystem.file(FILE_NAME).ok_or(ManifestError::Missing)?)?;
        check_entry_point(&filesystem, &manifest)?;
        let findings = find(package, &manifest);
        Ok(Self {
            manifest,
            filesystem,
            findings,
        })
    }

    /// Its manifest.
    pub fn manifest(&self) -> &AppManifest {
        &self.manifest
    }

    /// Its files.
    pub fn filesystem(&self) -> &Filesystem<'a> {
        &self.filesystem
    }

    /// The program, what EntryPoint names.
    pub fn program(&self) -> &'a [u8] {
        self.filesystem
            .file(&self.manifest.entry_point)
            .expect("opening made sure that the EntryPoint is a file")
    }

    /// Where package and manifest contradict each other: a package with findings must not be used in production
    /// (`image-package.md` 11.3, "for factory use also check").
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// A contradiction between a package and the manifest in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The image is not of the type of applications.
    ImageType(ImageType),
    /// The component id of the package is not that of the manifest.
    ComponentDiffers {
        /// In the package.
        package: ComponentId,
        /// In the manifest.
        manifest: ComponentId,
    },
    /// The component id is all zeros: a device refuses it (`ImageUpdateError` 47).
    NilComponent,
    /// The name in the package is not the beginning of the manifest's.
    NameDiffers {
        /// In the package; empty when it has none.
        package: String,
        /// In the manifest.
        manifest: String,
    },
    /// The package does not depend on exactly the runtime that the manifest names.
    RuntimeDiffers {
        /// In the package.
        package: Vec<AbiVersion>,
        /// In the manifest.
        manifest: Option<u32>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageType(found) => write!(f, "it holds an application but is of type {found}"),
            Self::ComponentDiffers { package, manifest } => {
                write!(f, "the package is component {package}, its manifest {manifest}")
            }
            Self::NilComponent => f.write_str("its component id is all zeros"),
            Self::NameDiffers { package, manifest } => write!(
                f,
                "the package is called `{}`, its manifest `{}`",
                package.escape_debug(),
                manifest.escape_debug()
            ),
            Self::RuntimeDiffers { package, manifest } => {
                let package: Vec<_> = package.iter().map(ToString::to_string).collect();
                let manifest = manifest.map_or_else(|| "none".to_owned(), |version| version.to_string());
                write!(
                    f,
                    "the package depends on [{}], its manifest on runtime {manifest}",
                    package.join(", ")
                )
            }
        }
    }
}

fn find(package: &Package<'_>, manifest: &AppManifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    if package.image_type() != ImageType::APPLICATION {
        findings.push(Finding::ImageType(package.image_type()));
    }
    if package.component() != manifest.component {
        findings.push(Finding::ComponentDiffers {
            package: package.component(),
            manifest: manifest.component,
        });
    }
    if package.component().is_nil() {
        findings.push(Finding::NilComponent);
    }
    // The packer may cut within a character; ours does not. Both are the manifest's name.
    let name = package.build().map(BuildInfo::name_bytes).unwrap_or_default();
    let cut = &manifest.name.as_bytes()[..manifest.name.len().min(BuildInfo::NAME_LIMIT)];
    if name != cut && name != BuildInfo::new(&manifest.name, 0).name_bytes() {
        let package = String::from_utf8_lossy(name).into_owned();
        findings.push(Finding::NameDiffers {
            package,
            manifest: manifest.name.clone(),
        });
    }
    let runtime_fits = match (package.depends(), manifest.target_runtime_version) {
        (
            [
                AbiVersion {
                    kind: AbiKind::APPLICATION_RUNTIME,
                    version,
                },
            ],
            Some(wanted),
        ) => *version == wanted,
        ([], None) => manifest.application_type == ApplicationType::RealTimeCapable,
        (
            [
                AbiVersion {
                    kind: AbiKind::APPLICATION_RUNTIME,
                    ..
                },
            ],
            None,
        ) => manifest.application_type == ApplicationType::RealTimeCapable,
        _ => false,
    };
    if !runtime_fits {
        let (package, manifest) = (package.depends().to_vec(), manifest.target_runtime_version);
        findings.push(Finding::RuntimeDiffers { package, manifest });
    }
    findings
}

fn check_entry_point(filesystem: &Filesystem<'_>, manifest: &AppManifest) -> Result<(), ManifestError> {
    let path = manifest.entry_point.escape_debug().to_string();
    match filesystem.get(&manifest.entry_point) {
        Some(Node::File(_)) => Ok(()),
        Some(Node::Directory) => Err(ManifestError::EntryPointNotAFile { path }),
        None => Err(ManifestError::EntryPointAbsent { path }),
    }
}

fn plain(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}
