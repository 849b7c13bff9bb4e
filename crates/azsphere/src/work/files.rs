//! Image packages and versions: what needs no device.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lineside_image::{
    AbiKind, ApplicationSource, Package, Signer, SigningKey, TemporaryFlags, pack_application,
};
use lineside_runner::{hardware, program};
use lineside_terms::{Blame, ImageId, ImageType};
use serde_json::{Value, json};

use super::Job;
use super::application::type_name;
use crate::trouble::{Failure, Kind};

/// The target API set when none is named.
const API_SET: u32 = 12;

fn unreadable(path: &Path, what: &str, cause: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        Kind::Failed,
        Blame::Station,
        "station.file",
        format!("{what} {} cannot be read: {cause}", path.display()),
        "Check the name and the rights of the file.",
    )
}

pub(super) fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| unreadable(path, what, &error))
}

pub(super) fn text(path: &Path, what: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unreadable(path, what, &error))
}

/// Says which file something is wrong with.
pub(super) fn wrong(path: &Path, failure: Failure) -> Failure {
    let mut failure = failure;
    // Sentences begin with a capital, and a name of a file must not.
    failure.told.message = format!("in {}: {}", path.display(), failure.told.message);
    failure
}

pub(super) fn show(job: &Job<'_>) -> Result<Value, Failure> {
    let path = Path::new(job.values.get("file").unwrap_or_default());
    let bytes = read(path, "the package")?;
    let package = Package::parse(&bytes).map_err(|error| wrong(path, Failure::of(&error)))?;
    let mut told = json!({
        "Identity": {
            "ImageType": type_name(package.image_type()),
            "ComponentId": package.component(),
            "ImageId": package.image(),
        },
        "Signature": {
            "SigningType": "ECDsa256",
            "Cert": package.signing().thumbprint.to_string(),
        },
    });
    if let Some(build) = package.build() {
        let built = i64::try_from(build.built)
            .ok()
            .and_then(|at| jiff::Timestamp::from_second(at).ok());
        let utc = built.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        let local = built.map(|at| {
            let zoned = at.to_zoned(jiff::tz::TimeZone::system());
            zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
        });
        told["Debug"] = json!({ "ImageName": build.name(), "BuiltOnUtc": utc, "BuiltOnLocal": local });
    }
    if let Some(flags) = package.temporary() {
        told["TemporaryImage"] = json!({
            "RemoveImageAtBoot": flags.contains(TemporaryFlags::REMOVE_AT_BOOT),
            "UnderDevelopment": flags.contains(TemporaryFlags::UNDER_DEVELOPMENT),
        });
    }
    let depends: Vec<String> = package
        .depends()
        .iter()
        .filter(|on| on.kind != AbiKind::NONE)
        .map(|on| format!("{}, version {}", on.kind, on.version))
        .collect();
    if !depends.is_empty() {
        told["AbiDepends"] = json!({ "DependsOn": depends });
    }
    Ok(told)
}

/// Packs the folder of an application and signs it with the station's key: the vendor's own is not given away.
pub(super) fn pack(job: &Job<'_>) -> Result<Value, Failure> {
    let values = job.values;
    let signer = signer(job)?;
    let folder = Path::new(values.get("input").unwrap_or_default());
    let (mut manifest, mut files) = program::read_tree(folder, None)?;
    if let Some(other) = values.get("manifest") {
        manifest = read(Path::new(other), "the manifest")?;
        files.retain(|(path, _)| path.trim_start_matches('/') != "app_manifest.json");
    }
    let target = values.get("target-hardware");
    if values.has("hardware") || target.is_some() {
        let places: Vec<PathBuf> = values
            .all("hardware")
            .iter()
            .flat_map(|all| all.split([',', ';']))
            .map(PathBuf::from)
            .collect();
        let definition = hardware::definition(&places, target)?;
        manifest = hardware::resolve(&definition, &manifest, folder)?;
    }
    let executables: Vec<String> = values
        .all("executables")
        .iter()
        .flat_map(|all| all.split([',', ';']))
        .map(str::to_owned)
        .collect();
    let image = random_id()?;
    let source = ApplicationSource {
        manifest: &manifest,
        files: &files,
        executables: &executables,
        image,
        built: u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0),
        runtime_version: api_set(values.get("api"))?,
        temporary: Some(TemporaryFlags::UNDER_DEVELOPMENT),
    };
    let bytes = pack_application(&source, &signer).map_err(|error| wrong(folder, Failure::of(&error)))?;
    let output = Path::new(values.get("into").unwrap_or_default());
    write(output, &bytes)?;
    let package = Package::parse(&bytes).expect("what was packed just now is a package");
    Ok(json!({
        "file": output.display().to_string(),
        "componentId": package.component(),
        "imageId": image,
    }))
}

/// Gives out the package of a preset that was made with the vendor's command before: what is in one is not public
/// (`image-package.md` 10).
pub(super) fn preset(job: &Job<'_>) -> Result<Value, Failure> {
    let name = job.values.get("preset").unwrap_or_default();
    let not_there = |message: String| {
        Failure::new(
            Kind::Failed,
            Blame::Supply,
            "azsphere.no-preset",
            message,
            "What is in a preset is not public. Keep its package, made with the vendor's command once, as NAME.imagepackage in the \
             folder that `board-configs` in azsphere.toml names. `lineside image pack --board-config` packs a body that you have.",
        )
    };
    let is_name = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !name.starts_with('.');
    if !is_name {
        return Err(not_there(format!(
            "`{}` is no name of a preset",
            name.escape_default()
        )));
    }
    let Some(folder) = &job.station.configuration.board_configs else {
        return Err(not_there(format!("the preset {name} is not kept here")));
    };
    let path = job
        .station
        .folder
        .join(folder)
        .join(format!("{name}.imagepackage"));
    if !path.is_file() {
        return Err(not_there(format!("there is no {}", path.display())));
    }
    let bytes = read(&path, "the preset")?;
    let package = Package::parse(&bytes).map_err(|error| wrong(&path, Failure::of(&error)))?;
    if package.image_type() != ImageType::CUSTOMER_BOARD_CONFIG {
        let kind = package.image_type();
        return Err(not_there(format!(
            "{} is no board configuration, but {kind}",
            path.display()
        )));
    }
    let told = (package.component(), package.image());
    let output = Path::new(job.values.get("into").unwrap_or_default());
    write(output, &bytes)?;
    Ok(json!({ "file": output.display().to_string(), "componentId": told.0, "imageId": told.1 }))
}

/// Build scripts make files again and again, as the vendor's command lets them.
fn write(output: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::File::create(output)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| {
            let message = format!("{} cannot be written", output.display());
            Failure::station("station.file", &message, &error)
        })
}

/// The number that a name of an API set begins with: `12`, `5+Beta2004`.
fn api_set(name: Option<&str>) -> Result<u32, Failure> {
    let Some(name) = name else {
        return Ok(API_SET);
    };
    let digits = name
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    digits.parse().map_err(|_| {
        Failure::usage(
            "azsphere.parameter",
            format!("`{}` is no target API set", name.escape_default()),
            "Name it by its number.",
        )
    })
}

fn signer(job: &Job<'_>) -> Result<Signer, Failure> {
    let Some(key) = &job.station.configuration.signing_key else {
        return Err(Failure::new(
            Kind::Failed,
            Blame::Station,
            "azsphere.no-signing-key",
            "there is no key to sign the package with",
            "Name a private key in PEM as `signing-key` in azsphere.toml. The vendor's own key is a part of its SDK and is not \
             given away here.",
        ));
    };
    let path = job.station.folder.join(key);
    let text = text(&path, "the signing key")?;
    let key = SigningKey::from_pem(&text).map_err(|error| wrong(&path, Failure::of(&error)))?;
    Ok(Signer::without_certificate(key))
}

fn random_id() -> Result<ImageId, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::station("station.no-randomness", "the system gave no randomness", &error)
    })?;
    // RFC 9562, version 4.
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    Ok(ImageId::from_u128(u128::from_be_bytes(bytes)))
}

pub(super) fn version(job: &Job<'_>) -> Value {
    let configured = job.station.configuration.sdk_version.as_deref();
    json!({ "Azure Sphere SDK": configured.unwrap_or(job.profile.sdk_version) })
}
