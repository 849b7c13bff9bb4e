//! What is inside one signed file, as an object for programs and as lines for people.

use lineside_image::{
    AppManifest, Application, ApplicationType, Capabilities, CapabilityRecord, Keystore, Package,
    RecoveryManifest, TemporaryFlags, TrustList, Verdict,
};
use lineside_terms::ImageType;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// One file.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) size: usize,
    pub(crate) sha256: String,
    /// What the signature is worth, in short: see [`word`].
    pub(crate) verdict: &'static str,
    /// The thumbprint of the signer as the package names it.
    pub(crate) signer: String,
    pub(crate) image_type: u16,
    pub(crate) holds: String,
    pub(crate) name: Option<String>,
    /// RFC 3339.
    pub(crate) built: Option<String>,
    pub(crate) component: String,
    pub(crate) image: String,
    pub(crate) temporary: Option<Vec<&'static str>>,
    pub(crate) depends: Vec<String>,
    pub(crate) provides: Vec<String>,
    pub(crate) is_compressed: bool,
    /// What the file holds of that kind; `None` for what nobody can look into.
    pub(crate) content: Option<Content>,
    /// Legal and strange, or contradictory.
    pub(crate) remarks: Vec<String>,
}

/// What a file holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    /// An application.
    Application {
        /// What its manifest says, in words.
        says: Vec<String>,
        files: Vec<FileLine>,
    },
    /// Which device may do what. The id is shown in short: with the file it is worth something.
    Capability {
        device: String,
        capabilities: Vec<String>,
    },
    /// The signers that a device trusts.
    Keystore { signers: Vec<String> },
    /// The images of one recovery.
    Recovery { images: Vec<String> },
}

/// One file of an application.
#[derive(Debug, Serialize)]
pub(crate) struct FileLine {
    pub(crate) path: String,
    pub(crate) size: usize,
    pub(crate) is_executable: bool,
    pub(crate) sha256: String,
}

/// What a signature is worth, in one word.
pub(crate) const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Malformed(_) => "malformed",
        Verdict::Tampered => "tampered",
        Verdict::SdkSigned => "development",
        Verdict::ProductionVerified => "production",
        Verdict::ProductionUnverified => "unknown-signer",
    }
}

impl Summary {
    pub(crate) fn of(package: &Package<'_>, trust: &TrustList) -> Self {
        let classification = package.classify(trust);
        let mut remarks: Vec<String> = classification.warnings.iter().map(ToString::to_string).collect();
        remarks.extend(package.oddities().iter().map(ToString::to_string));
        let content = content_of(package, &mut remarks);
        let list =
            |versions: &[lineside_image::AbiVersion]| versions.iter().map(ToString::to_string).collect();
        Self {
            size: package.bytes().len(),
            sha256: package.digest().to_string(),
            verdict: word(&classification.verdict),
            signer: package.signing().thumbprint.to_string(),
            image_type: package.image_type().0,
            holds: package.image_type().to_string(),
            name: package.build().map(|build| build.name().into_owned()),
            built: package.build().and_then(|build| time_of(build.built)),
            component: package.component().to_string(),
            image: package.image().to_string(),
            temporary: package.temporary().map(words_of),
            depends: list(package.depends()),
            provides: list(package.provides()),
            is_compressed: package.compression().is_some(),
            content,
            remarks,
        }
    }

    /// For people: a name and a value a line.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("holds", format!("{} (type {})", self.holds, self.image_type)),
            ("name", self.name.clone().unwrap_or_else(|| "none".to_owned())),
            ("component", self.component.clone()),
            ("image", self.image.clone()),
        ];
        lines.extend(self.built.clone().map(|built| ("built", built)));
        lines.push(("size", format!("{} bytes", self.size)));
        lines.push(("SHA-256", self.sha256.clone()));
        lines.push(("signature", format!("{}, by {}", self.verdict, self.signer)));
        if let Some(flags) = &self.temporary {
            lines.push(("temporary", flags.join(", ")));
        }
        if !self.depends.is_empty() {
            lines.push(("needs", self.depends.join(", ")));
        }
        if !self.provides.is_empty() {
            lines.push(("provides", self.provides.join(", ")));
        }
        match &self.content {
            None => {}
            Some(Content::Application { says, files }) => {
                lines.extend(says.iter().map(|line| ("says", line.clone())));
                lines.extend(files.iter().map(|file| {
                    let kind = if file.is_executable { ", can be run" } else { "" };
                    ("file", format!("{} ({} bytes{kind})", file.path, file.size))
                }));
            }
            Some(Content::Capability { device, capabilities }) => {
                lines.push(("device", device.clone()));
                lines.push(("grants", capabilities.join(", ")));
            }
            Some(Content::Keystore { signers }) => {
                lines.extend(signers.iter().map(|signer| ("trusts", signer.clone())));
            }
            Some(Content::Recovery { images }) => {
                lines.extend(images.iter().map(|image| ("image", image.clone())));
            }
        }
        lines.extend(self.remarks.iter().map(|remark| ("remark", remark.clone())));
        lines
    }
}

pub(crate) fn time_of(seconds: u64) -> Option<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.to_string())
}

/// `image-package.md` 1.6.
fn words_of(flags: TemporaryFlags) -> Vec<&'static str> {
    let known = [
        (TemporaryFlags::REMOVE_AT_BOOT, "removed at the next boot"),
        (TemporaryFlags::UNDER_DEVELOPMENT, "under development"),
    ];
    known
        .into_iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, word)| word)
        .collect()
}

fn content_of(package: &Package<'_>, remarks: &mut Vec<String>) -> Option<Content> {
    let read = match package.image_type() {
        ImageType::APPLICATION => Application::open(package)
            .map(|application| {
                remarks.extend(application.findings().iter().map(ToString::to_string));
                Content::Application {
                    says: in_words(application.manifest()),
                    files: files_of(&application),
                }
            })
            .map_err(|error| lineside_terms::Told::of(&error).message),
        ImageType::FIRMWARE_CONFIG => CapabilityRecord::of(package)
            .map(|record| Content::Capability {
                device: record.device.short().to_string(),
                capabilities: record.capabilities.iter().map(ToString::to_string).collect(),
            })
            .map_err(|error| error.to_string()),
        ImageType::TRUSTED_KEYSTORE => Keystore::parse(package.body())
            .map(|keystore| Content::Keystore {
                signers: keystore
                    .keys()
                    .iter()
                    .map(|key| key.thumbprint.to_string())
                    .collect(),
            })
            .map_err(|error| error.to_string()),
        ImageType::RECOVERY_MANIFEST => RecoveryManifest::parse(package.body())
            .map(|manifest| Content::Recovery {
                images: manifest
                    .entries
                    .iter()
                    .map(|entry| {
                        format!(
                            "{} {} {} ({} bytes)",
                            entry.image_type, entry.component, entry.image, entry.file_size
                        )
                    })
                    .collect(),
            })
            .map_err(|error| error.to_string()),
        _ => return None,
    };
    read.map_err(|why| remarks.push(format!("what it holds cannot be read: {why}")))
        .ok()
}

fn files_of(application: &Application<'_>) -> Vec<FileLine> {
    let files = application
        .filesystem()
        .entries()
        .filter_map(|entry| Some((entry.data?, entry)));
    files
        .map(|(data, entry)| FileLine {
            path: entry.path,
            size: data.len(),
            is_executable: entry.is_executable,
            sha256: Sha256::digest(data)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        })
        .collect()
}

/// What an application says of itself and asks for, a sentence each.
fn in_words(manifest: &AppManifest) -> Vec<String> {
    let Capabilities {
        gpio,
        uart,
        i2c_master,
        spi_master,
        pwm,
        adc,
        allowed_connections,
        allowed_tcp_server_ports,
        allowed_udp_server_ports,
        allowed_application_connections,
        mutable_storage_kib,
        device_authentication,
        power_controls,
        granted,
        unknown,
    } = &manifest.capabilities;
    let core = match manifest.application_type {
        ApplicationType::Default => "the application core",
        ApplicationType::RealTimeCapable => "a real-time core",
    };
    let arguments = if manifest.cmd_args.is_empty() {
        String::new()
    } else {
        format!(" with {}", manifest.cmd_args.join(" "))
    };
    let mut says = vec![format!("runs {}{arguments} on {core}", manifest.entry_point)];
    let mut add = |what: &str, names: Vec<String>| {
        if !names.is_empty() {
            says.push(format!("{what} {}", names.join(", ")));
        }
    };
    add("uses GPIO", texts(gpio));
    for (kind, names) in [
        ("uses UART", uart),
        ("uses I2C", i2c_master),
        ("uses SPI", spi_master),
        ("uses PWM", pwm),
        ("uses ADC", adc),
        ("connects to", allowed_connections),
        ("may do to the power:", power_controls),
    ] {
        add(kind, names.clone());
    }
    add("listens on TCP port", texts(allowed_tcp_server_ports));
    add("listens on UDP port", texts(allowed_udp_server_ports));
    add("talks to application", texts(allowed_application_connections));
    add(
        "keeps for itself in flash",
        mutable_storage_kib
            .iter()
            .map(|kib| format!("{kib} KiB"))
            .collect(),
    );
    add("authenticates in the name of", texts(device_authentication));
    add("may:", granted.iter().cloned().collect());
    add(
        "asks for what nobody described:",
        unknown.iter().cloned().collect(),
    );
    says
}

fn texts<'a, T: ToString + 'a>(values: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    values.into_iter().map(ToString::to_string).collect()
}
