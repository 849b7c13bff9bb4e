//! `lineside image show|verify|diff|pack|sign`: looks into signed files and makes them, without a board.

mod args;
mod summary;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use lineside_image::{
    ApplicationSource, BoardConfigSource, ImageError, Keystore, Package, Signer, SigningKey, TemporaryFlags,
    Thumbprint, TrustList, pack_application, pack_board_config,
};
use lineside_runner::{hardware, program};
use lineside_terms::{Blame, ImageId, ImageType, Told};
use serde::Serialize;
use serde_json::Value;

use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;
pub(crate) use args::ImageCommand;
pub(crate) use args::TrustArgs;
use args::{KeyArgs, PackArgs};
use summary::Summary;
pub(super) use summary::{time_of, word};

pub(crate) fn run(command: &ImageCommand, printer: &Printer) -> Result<Exit, Trouble> {
    match command {
        ImageCommand::Show { files, trust } => show(files, &trusted(trust)?, printer),
        ImageCommand::Verify { files, trust, strict } => verify(files, &trusted(trust)?, *strict, printer),
        ImageCommand::Diff { one, other } => diff(one, other, printer),
        ImageCommand::Pack(args) => pack(args, printer),
        ImageCommand::Sign { file, key, out } => sign(file, key, out, printer),
    }
}

/// A file and what came of looking at it.
#[derive(Serialize)]
struct Looked<'a> {
    version: u32,
    kind: &'static str,
    file: String,
    #[serde(flatten)]
    summary: Option<&'a Summary>,
    error: Option<&'a Told>,
}

impl<'a> Looked<'a> {
    fn of(file: &Path, looked: &'a Result<Summary, Told>) -> Self {
        Self {
            version: 1,
            kind: "image",
            file: file.display().to_string(),
            summary: looked.as_ref().ok(),
            error: looked.as_ref().err(),
        }
    }
}

fn show(files: &[std::path::PathBuf], trust: &TrustList, printer: &Printer) -> Result<Exit, Trouble> {
    let mut exit = Exit::Good;
    for file in files {
        let looked = look(file, trust)?;
        printer.object(&Looked::of(file, &looked));
        let mut text = file.display().to_string();
        match &looked {
            Ok(summary) => {
                for (name, value) in summary.lines() {
                    text.push_str(&format!("\n  {name:<10} {value}"));
                }
            }
            Err(error) => {
                exit = Exit::NotGood;
                text.push_str(&format!(
                    "\n  {} [{}]\n  remedy     {}",
                    Tone::Bad.paint(&error.message),
                    error.code,
                    error.help
                ));
            }
        }
        printer.result(&text);
    }
    Ok(exit)
}

fn verify(
    files: &[std::path::PathBuf],
    trust: &TrustList,
    is_strict: bool,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let mut rows = Vec::new();
    let mut exit = Exit::Good;
    for file in files {
        let looked = look(file, trust)?;
        printer.object(&Looked::of(file, &looked));
        let (verdict, tone, what) = match &looked {
            Ok(summary) => {
                let tone = match summary.verdict {
                    "production" => Tone::Good,
                    "unknown-signer" if !is_strict => Tone::Unclear,
                    _ => Tone::Bad,
                };
                (
                    summary.verdict.to_owned(),
                    tone,
                    meaning(summary.verdict).to_owned(),
                )
            }
            Err(error) => (error.code.clone(), Tone::Bad, error.message.clone()),
        };
        if tone == Tone::Bad {
            exit = Exit::NotGood;
        }
        rows.push(vec![
            (file.display().to_string(), Tone::Plain),
            (verdict, tone),
            (what, Tone::Plain),
        ]);
    }
    printer.result(table(&["file", "verdict", "what that means"], &rows).trim_end());
    Ok(exit)
}

/// What a verdict means for whoever wants to load the file on a line.
fn meaning(verdict: &str) -> &'static str {
    match verdict {
        "production" => "signed by a signer that was named with --trust, and whole",
        "unknown-signer" => "not the SDK's signature; offline nobody can say whose, the device decides",
        "development" => "signed with the SDK's key: runs only on a developer's board",
        "tampered" => "not what its signer signed: get it anew",
        _ => "no package",
    }
}

/// What differs, by its place in the summary.
#[derive(Serialize)]
struct Difference {
    place: String,
    one: Value,
    other: Value,
}

#[derive(Serialize)]
struct Differences {
    version: u32,
    kind: &'static str,
    is_same: bool,
    differences: Vec<Difference>,
}

fn diff(one: &Path, other: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let trust = TrustList::new();
    let value = |path: &Path| -> Result<Value, Trouble> {
        let summary = look(path, &trust)?.map_err(|told| refused(path, told))?;
        Ok(serde_json::to_value(summary).expect("a summary holds nothing that JSON cannot"))
    };
    let mut differences = Vec::new();
    compare("", &keyed(value(one)?), &keyed(value(other)?), &mut differences);
    let is_same = differences.is_empty();
    for difference in &differences {
        let text = |value: &Value| match value {
            Value::Null => "nothing".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let what = match (&difference.one, &difference.other) {
            (Value::Bool(true), Value::Null) => "only the first".to_owned(),
            (Value::Null, Value::Bool(true)) => "only the second".to_owned(),
            (one, other) => format!("{} {} {}", text(one), Tone::Unclear.paint("->"), text(other)),
        };
        printer.result(&format!("{}: {what}", difference.place));
    }
    printer.result(if is_same {
        "they hold the same"
    } else {
        "they differ"
    });
    printer.object(&Differences {
        version: 1,
        kind: "image-diff",
        is_same,
        differences,
    });
    Ok(if is_same { Exit::Good } else { Exit::NotGood })
}

/// Lists become objects, keyed by what their members are about, so that one more member is one difference.
fn keyed(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, keyed(value))).collect(),
        Value::Array(items) => items
            .into_iter()
            .map(|mut item| match item.get_mut("path").map(Value::take) {
                Some(Value::String(path)) => {
                    if let Value::Object(map) = &mut item {
                        map.remove("path");
                    }
                    (path, item)
                }
                _ => (
                    item.as_str().map_or_else(|| item.to_string(), str::to_owned),
                    Value::Bool(true),
                ),
            })
            .collect(),
        other => other,
    }
}

fn compare(place: &str, one: &Value, other: &Value, differences: &mut Vec<Difference>) {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let place = if place.is_empty() {
                    key.clone()
                } else {
                    format!("{place}.{key}")
                };
                let at = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                compare(&place, &at(left), &at(right), differences);
            }
        }
        _ if one == other => {}
        _ => differences.push(Difference {
            place: place.to_owned(),
            one: one.clone(),
            other: other.clone(),
        }),
    }
}

/// What was made.
#[derive(Serialize)]
struct Made {
    version: u32,
    kind: &'static str,
    file: String,
    component: String,
    image: String,
    size: usize,
}

fn pack(args: &PackArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let signer = signer(&args.key)?;
    let image = match args.image_id {
        Some(image) => image,
        None => random_id()?,
    };
    let built = match args.built {
        Some(built) => built,
        None => u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0),
    };
    let temporary = args.temporary.then_some(TemporaryFlags::REMOVE_AT_BOOT);
    let packed = match (&args.board_config, args.component) {
        (Some(name), Some(component)) => pack_board_config(
            &BoardConfigSource {
                name,
                body: &read(&args.source)?,
                component,
                image,
                built,
                temporary,
            },
            &signer,
        ),
        _ => {
            let (mut manifest, files) = program::read_tree(&args.source, None)?;
            if !args.hardware.is_empty() {
                let definition = hardware::definition(&args.hardware, None)?;
                manifest = hardware::resolve(&definition, &manifest, &args.source)?;
            }
            pack_application(
                &ApplicationSource {
                    manifest: &manifest,
                    files: &files,
                    executables: &args.executable,
                    image,
                    built,
                    runtime_version: args.runtime,
                    temporary,
                },
                &signer,
            )
        }
    };
    let bytes = packed.map_err(|error| refused(&args.source, Told::of(&error)))?;
    made(&bytes, &args.out, printer)
}

fn sign(file: &Path, key: &KeyArgs, out: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let signer = signer(key)?;
    let bytes = read(file)?;
    let package =
        Package::parse(&bytes).map_err(|error| refused(file, Told::of(&ImageError::from(error))))?;
    made(&package.signed_by(&signer), out, printer)
}

/// Writes a new package and says what it is.
fn made(bytes: &[u8], out: &Path, printer: &Printer) -> Result<Exit, Trouble> {
    let failed = |error: std::io::Error| {
        Trouble::station(
            "station.file",
            &format!("could not write {}", out.display()),
            &error,
        )
    };
    // Never over something that is there: it may be the only copy of what the service has signed.
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(out)
        .map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    let package = Package::parse(bytes).expect("what was packed just now is a package");
    printer.object(&Made {
        version: 1,
        kind: "image-made",
        file: out.display().to_string(),
        component: package.component().to_string(),
        image: package.image().to_string(),
        size: bytes.len(),
    });
    printer.result(&format!(
        "{}: component {}, image {}, {} bytes",
        out.display(),
        package.component(),
        package.image(),
        bytes.len()
    ));
    Ok(Exit::Good)
}

/// Reads a file and looks into it; what is no package is told, what cannot be read is trouble.
fn look(path: &Path, trust: &TrustList) -> Result<Result<Summary, Told>, Trouble> {
    let bytes = read(path)?;
    Ok(match Package::parse(&bytes) {
        Ok(package) => Ok(Summary::of(&package, trust)),
        Err(error) => Err(Told::of(&ImageError::from(error))),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    fs::read(path).map_err(|error| {
        Trouble::station(
            "station.file",
            &format!("could not read {}", path.display()),
            &error,
        )
    })
}

fn refused(path: &Path, told: Told) -> Trouble {
    Trouble {
        told: Told {
            message: format!("{}: {}", path.display(), told.message),
            ..told
        },
        exit: Exit::Refused,
    }
}

fn trusted(args: &TrustArgs) -> Result<TrustList, Trouble> {
    trusted_beside(TrustList::new(), args)
}

/// The signers that are named, beside those who are trusted already.
pub(super) fn trusted_beside(mut trust: TrustList, args: &TrustArgs) -> Result<TrustList, Trouble> {
    for path in &args.trust {
        let bytes = read(path)?;
        if let Ok(package) = Package::parse(&bytes)
            && package.image_type() == ImageType::TRUSTED_KEYSTORE
        {
            let keystore =
                Keystore::parse(package.body()).map_err(|error| refused(path, Told::of(&error)))?;
            trust.add_keystore(&keystore);
            continue;
        }
        trust
            .add_certificate(&certificate(path, &bytes)?)
            .map_err(|error| refused(path, Told::of(&error)))?;
    }
    Ok(trust)
}

/// The DER of a certificate, whether it is given so or in PEM.
fn certificate(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, Trouble> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    if !bytes.starts_with(b"-----") {
        return Ok(bytes.to_vec());
    }
    let certificate = CertificateDer::from_pem_slice(bytes);
    certificate.map(|der| der.to_vec()).map_err(|_| {
        let told = Told {
            code: "image.no-certificate".to_owned(),
            message: "the text holds no certificate in PEM".to_owned(),
            help: "Name the certificate of the signing key, in PEM or DER.".to_owned(),
            blame: Blame::Supply,
        };
        refused(path, told)
    })
}

fn signer(args: &KeyArgs) -> Result<Signer, Trouble> {
    let text = read(&args.key)?;
    let text = String::from_utf8(text).unwrap_or_default();
    let key = SigningKey::from_pem(&text).map_err(|error| refused(&args.key, Told::of(&error)))?;
    let Some(path) = &args.certificate else {
        return Ok(Signer::without_certificate(key));
    };
    let der = certificate(path, &read(path)?)?;
    let named =
        lineside_image::PublicKey::from_certificate(&der).map_err(|error| refused(path, Told::of(&error)))?;
    if named != key.public_key() {
        let told = Told {
            code: "image.other-key".to_owned(),
            message: "the certificate is that of another key".to_owned(),
            help: "Name the certificate that belongs to --key.".to_owned(),
            blame: Blame::Supply,
        };
        return Err(refused(path, told));
    }
    Ok(Signer::new(key, Thumbprint::of_certificate(&der)))
}

fn random_id() -> Result<ImageId, Trouble> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Trouble::station("station.no-randomness", "the system gave no randomness", &error)
    })?;
    // RFC 9562, version 4.
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    Ok(ImageId::from_u128(u128::from_be_bytes(bytes)))
}
