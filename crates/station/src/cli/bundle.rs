//! `lineside bundle make|make-key|sign|show|import|list`: plans with all that they name, signed by engineering.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use lineside_image::SigningKey;
use lineside_records::{SealKey, Sealer as _};
use lineside_runner::bundle::{Bundle, BundleStore, Imported, files_of};
use lineside_terms::{Blame, Digest};
use serde::Serialize;

use super::args::Global;
use super::evidence::{FileKey, key_of, new_key};
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;
use lineside_runner::policy;

/// How the argument of `run` begins that names an imported bundle.
const PREFIX: &str = "bundle:";

/// Subcommands of `bundle`.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Put a plan and all that it names into one file
    #[command(
        after_help = "A plan that names a file with a pre-shared key is refused: name an environment variable of the station instead.

Example:
  lineside bundle make plans/thermostat.toml --name 'Thermostat 7' -o thermostat-7.bundle"
    )]
    Make {
        /// The plan
        plan: PathBuf,
        /// What people call it [default: the product of the plan]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Also put this file in, which the plan does not name; relative to the plan's folder
        #[arg(long, value_name = "FILE")]
        with: Vec<String>,
        /// The file to write
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Make a key that signs
    #[command(
        after_help = "Writes the secret half to FILE, which only this user may read, and the public half to FILE.pub.

Example:
  lineside bundle make-key -o engineering.pem"
    )]
    MakeKey {
        /// The file to write
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Sign a bundle
    #[command(after_help = "Example:\n  lineside bundle sign thermostat-7.bundle --key engineering.pem")]
    Sign {
        /// The bundle; it is written anew
        file: PathBuf,
        /// The secret key: PKCS#8 PEM of P-256
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Check a bundle and show what is in it
    #[command(after_help = "Example:\n  lineside bundle show thermostat-7.bundle")]
    Show {
        /// The bundle
        file: PathBuf,
    },
    /// Take a bundle into this station
    #[command(
        after_help = "A provisioned station takes only what a key of the administrator's file signed.

Example:
  lineside bundle import thermostat-7.bundle --key engineering.pem.pub
  lineside run 'bundle:Thermostat 7'"
    )]
    Import {
        /// The bundle
        file: PathBuf,
        /// The public key that must have signed it; a station that is not provisioned takes any without
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// List imported bundles
    #[command(after_help = "Example:\n  lineside bundle list")]
    List,
}

/// The object of `--json`.
#[derive(Serialize)]
struct Object {
    version: u32,
    kind: &'static str,
    name: String,
    hash: String,
    /// The key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    plan: String,
    files: usize,
    bytes: u64,
}

pub(crate) fn run(global: &Global, command: &BundleCommand, printer: &Printer) -> Result<Exit, Trouble> {
    match command {
        BundleCommand::Make {
            plan,
            name,
            with,
            output,
        } => {
            let product = lineside_runner::program::read_plan(plan)?.product;
            let name = name.clone().unwrap_or(product);
            let plan_name = plan.file_name().unwrap_or_default().to_string_lossy();
            let bundle = Bundle::make(&name, &plan_name, files_of(plan, with)?)?;
            write(output, &bundle.to_bytes())?;
            tell(&bundle, printer);
        }
        BundleCommand::MakeKey { output } => {
            let key = FileKey(new_key()?);
            lineside_link::write_private(output, key.0.to_pem().as_bytes())
                .map_err(|error| cannot(output, &error))?;
            let mut public = output.clone().into_os_string();
            public.push(".pub");
            write(Path::new(&public), key.key().to_pem().as_bytes())?;
            printer.result(&format!("made the key {}: {}", key.key().short(), key.key()));
        }
        BundleCommand::Sign { file, key } => {
            let pem = fs::read_to_string(key).map_err(|error| cannot(key, &error))?;
            let key = FileKey(SigningKey::from_pem(&pem).map_err(|error| cannot(key, &error))?);
            let mut bundle = read(file)?;
            bundle.sign(&key).map_err(|error| cannot(file, &error))?;
            write(file, &bundle.to_bytes())?;
            tell(&bundle, printer);
        }
        BundleCommand::Show { file } => {
            let bundle = read(file)?;
            tell(&bundle, printer);
            let rows: Vec<_> = bundle
                .list
                .files
                .iter()
                .map(|file| {
                    vec![
                        (file.path.clone(), Tone::Plain),
                        (file.size.to_string(), Tone::Plain),
                        (file.sha256.to_string(), Tone::Faint),
                    ]
                })
                .collect();
            printer.result(&table(&["file", "bytes", "SHA-256"], &rows));
        }
        BundleCommand::Import { file, key } => {
            let named = key.as_deref().map(key_of).transpose()?;
            let mut keys = trusted()?;
            if let Some(named) = named {
                let is_known = keys.as_ref().is_none_or(|keys| keys.contains(&named));
                keys = Some(if is_known { vec![named] } else { Vec::new() });
            }
            let bundle = read(file)?;
            let imported = store(global).import(&bundle, keys.as_deref())?;
            tell(&bundle, printer);
            printer.note(&format!(
                "run it with `lineside run 'bundle:{}'`",
                imported.list.name
            ));
        }
        BundleCommand::List => {
            let all = store(global).all(trusted()?.as_deref())?;
            let mut rows = Vec::new();
            for one in &all {
                printer.object(&object(&one.list, &one.hash.to_string(), Some(one.signer)));
                rows.push(vec![
                    (one.list.name.clone(), Tone::Plain),
                    (one.hash.short(), Tone::Plain),
                    (one.signer.short(), Tone::Plain),
                    (one.list.plan.clone(), Tone::Plain),
                ]);
            }
            match rows.is_empty() {
                true => printer.note("no bundle was imported"),
                false => printer.result(&table(&["name", "hash", "signed with", "plan"], &rows)),
            }
        }
    }
    Ok(Exit::Good)
}

/// Whose signature counts here; anybody's on a station that is not provisioned.
fn trusted() -> Result<Option<Vec<SealKey>>, Trouble> {
    Ok(policy::provisioned()?.map(|station| station.bundle_keys))
}

fn store(global: &Global) -> BundleStore {
    let data = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    BundleStore::of(&data.join("bundles"))
}

/// A plan as it was named, and where it is.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// The whole path of a file, or `bundle:NAME`: what names it from any folder.
    pub(crate) named: String,
    /// The bundle that it came from.
    pub(crate) bundle: Option<Digest>,
}

/// The plan that is meant by the argument of a command: a file, or the plan of an imported bundle, checked again whole.
/// Its bytes are read once before the work begins, so what is changed or imported later changes no unit under way.
pub(crate) fn plan_of(global: &Global, argument: &Path, printer: &Printer) -> Result<Source, Trouble> {
    let keys = trusted()?;
    let Some(name) = argument.to_str().and_then(|text| text.strip_prefix(PREFIX)) else {
        return match keys {
            None => Ok(Source {
                path: argument.to_owned(),
                named: std::path::absolute(argument)
                    .unwrap_or_else(|_| argument.to_owned())
                    .display()
                    .to_string(),
                bundle: None,
            }),
            Some(_) => Err(Trouble::new(
                Exit::Refused,
                Blame::Station,
                "station.bundles-only",
                "this station is provisioned and runs only the plans of imported bundles",
                "Import the signed bundle, and name it as `bundle:NAME`; `lineside bundle list` shows what there is.",
            )),
        };
    };
    let imported: Imported = store(global).find(name, keys.as_deref())?;
    let who = match keys {
        Some(_) => "",
        None => "; this station is not provisioned, so anybody may have signed it",
    };
    printer.note(&format!(
        "bundle: {} ({}), signed with the key {}{who}",
        imported.list.name,
        imported.hash.short(),
        imported.signer.short()
    ));
    Ok(Source {
        path: imported.plan(),
        named: format!("{PREFIX}{}", imported.list.name),
        bundle: Some(imported.hash),
    })
}

fn object(list: &lineside_runner::bundle::BundleList, hash: &str, key: Option<SealKey>) -> Object {
    Object {
        version: 1,
        kind: "bundle",
        name: list.name.clone(),
        hash: hash.to_owned(),
        key: key.map(|key| key.to_string()),
        plan: list.plan.clone(),
        files: list.files.len(),
        bytes: list.files.iter().map(|file| file.size).sum(),
    }
}

fn tell(bundle: &Bundle, printer: &Printer) {
    let object = object(&bundle.list, &bundle.hash.to_string(), bundle.signer);
    printer.object(&object);
    printer.result(&format!("bundle   {}", object.name));
    printer.result(&format!("hash     {}", object.hash));
    let signer = bundle.signer.map_or_else(
        || Tone::Unclear.paint("nobody yet"),
        |key| format!("the key {}", key.short()),
    );
    printer.result(&format!("signed   {signer}"));
    printer.result(&format!(
        "plan     {}, {} files, {} bytes",
        object.plan, object.files, object.bytes
    ));
}

fn read(path: &Path) -> Result<Bundle, Trouble> {
    let size = fs::metadata(path).map_err(|error| cannot(path, &error))?.len();
    if size > lineside_runner::bundle::MAX_BUNDLE_BYTES {
        return Err(lineside_runner::bundle::BundleError::TooLarge.into());
    }
    Ok(Bundle::parse(
        &fs::read(path).map_err(|error| cannot(path, &error))?,
    )?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    fs::write(path, bytes).map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::usage(
        "bundle.file",
        &format!("{} could not be used: {error}", path.display()),
        "Check the path, and whether this user may use it.",
    )
}
