//! `lineside install-azsphere` and `lineside uninstall-azsphere`: what scripts for the vendor's SDK look for, laid out in a
//! folder, and taken away again.
//!
//! The layout is that of `azsphere-cli.md` 2: `Tools/azsphere` speaks as the first generation, `Tools_v2/azsphere` as the
//! second, `Links` holds the names that a PATH leads to, `VERSION` says which SDK scripts believe they have. Each of these
//! is a small script that starts our command; nothing of the vendor's is in it. A list of what was laid down, with the
//! hash of each file, lies beside it: only what is still so is taken away.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use lineside_terms::{Blame, Digest};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::each::azsphere;
use super::exit::Exit;
use super::output::Printer;
use super::trouble::Trouble;

/// Arguments of `install-azsphere`.
#[derive(Debug, Args)]
#[command(
    after_help = "Prints the line that tells scripts where it is. A file that is not ours is never replaced.

Examples:
  sudo lineside install-azsphere
  lineside install-azsphere --dir ~/azurespheresdk"
)]
pub(crate) struct InstallArgs {
    /// The folder [default: where the vendor's SDK is; on Windows a folder of this user]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The generation that plain `azsphere` stands for: g1, g2
    #[arg(long, value_name = "NAME", default_value = "g2", value_parser = ["g1-2019", "g1", "g2"])]
    pub(crate) links: String,
    /// The azsphere command [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

/// Arguments of `uninstall-azsphere`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo lineside uninstall-azsphere")]
pub(crate) struct UninstallArgs {
    /// The folder [default: where the vendor's SDK is; on Windows a folder of this user]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// The list of what was laid down.
const LIST: &str = "lineside-installed.json";

/// The version that scripts believe to have: it knows several devices on every system (`azsphere-cli.md` 2: 23.04 and
/// later), and it is the last of the second generation.
const VERSION: &str = "24.3.0.0\n";

/// What was laid down.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    version: u32,
    files: Vec<Laid>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Laid {
    /// Below the folder, with `/` between its parts.
    path: String,
    sha256: Digest,
}

/// The object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    folder: String,
    files: usize,
    /// Files that somebody changed since; they stay.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    kept: &'a [String],
}

pub(crate) fn install(args: &InstallArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let folder = folder(args.dir.as_deref())?;
    let program = match &args.program {
        Some(program) => std::path::absolute(program).map_err(|error| cannot(program, &error))?,
        None => azsphere()?,
    };
    let files = layout(&program, &args.links)?;
    let before = read_list(&folder)?;
    // First everything is looked at, then everything is written.
    for (path, _) in &files {
        let is_ours = before.as_ref().is_some_and(|list| {
            list.files
                .iter()
                .any(|laid| laid.path == *path && is_so(&folder, laid))
        });
        if !is_ours && fs::symlink_metadata(folder.join(path)).is_ok() {
            return Err(Trouble::new(
                Exit::Refused,
                Blame::Station,
                "install.foreign",
                &format!("{} is there and is not ours", folder.join(path).display()),
                "Remove the vendor's SDK first, or name another folder with --dir.",
            ));
        }
    }
    for (path, text) in &files {
        let at = folder.join(path);
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot(parent, &error))?;
        }
        lineside_link::write_program(&at, text.as_bytes()).map_err(|error| cannot(&at, &error))?;
    }
    let list = List {
        version: 1,
        files: files
            .iter()
            .map(|(path, text)| Laid {
                path: path.clone(),
                sha256: hash_of(text.as_bytes()),
            })
            .collect(),
    };
    let at = folder.join(LIST);
    let text = serde_json::to_string_pretty(&list).expect("every field has a JSON form");
    fs::write(&at, text + "\n").map_err(|error| cannot(&at, &error))?;
    printer.object(&Object {
        version: 1,
        kind: "azsphere-installed",
        folder: folder.display().to_string(),
        files: list.files.len(),
        kept: &[],
    });
    // Some programs put names behind it without a separator (`azsphere-cli.md` 2).
    let named = format!("{}{}", folder.display(), std::path::MAIN_SEPARATOR);
    printer.result(&match is_windows() {
        true => format!("set \"AzureSphereDefaultSDKDir={named}\" & set \"PATH={named}Links;%PATH%\""),
        false => format!("export AzureSphereDefaultSDKDir='{named}' PATH='{named}Links':\"$PATH\""),
    });
    printer
        .note("put that line where scripts begin; `lineside uninstall-azsphere` takes everything away again");
    Ok(Exit::Good)
}

pub(crate) fn uninstall(args: &UninstallArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let folder = folder(args.dir.as_deref())?;
    let Some(list) = read_list(&folder)? else {
        return Err(Trouble::usage(
            "install.nothing",
            &format!("nothing of ours is installed in {}", folder.display()),
            "Name the folder with --dir.",
        ));
    };
    let (ours, changed): (Vec<_>, Vec<_>) = list.files.iter().partition(|laid| is_so(&folder, laid));
    let mut kept = Vec::new();
    for laid in changed {
        // What is gone already is not kept.
        if fs::symlink_metadata(folder.join(&laid.path)).is_ok() {
            kept.push(laid.path.clone());
        }
    }
    for laid in &ours {
        let at = folder.join(&laid.path);
        fs::remove_file(&at).map_err(|error| cannot(&at, &error))?;
    }
    let at = folder.join(LIST);
    fs::remove_file(&at).map_err(|error| cannot(&at, &error))?;
    for path in list.files.iter().map(|laid| folder.join(&laid.path)) {
        // From the inside to the outside; folders that hold something else stay.
        for parent in path
            .ancestors()
            .skip(1)
            .take_while(|parent| parent.starts_with(&folder))
        {
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
    }
    printer.object(&Object {
        version: 1,
        kind: "azsphere-uninstalled",
        folder: folder.display().to_string(),
        files: ours.len(),
        kept: &kept,
    });
    for path in &kept {
        printer.note(&format!("{path} was changed by somebody and stays"));
    }
    printer.result(&format!("removed {} files from {}", ours.len(), folder.display()));
    Ok(Exit::Good)
}

fn is_windows() -> bool {
    std::env::consts::OS == "windows"
}

fn folder(named: Option<&Path>) -> Result<PathBuf, Trouble> {
    let folder = named.map_or_else(lineside_link::sdk_folder, Path::to_owned);
    std::path::absolute(&folder).map_err(|error| cannot(&folder, &error))
}

/// What is laid down where, with its content.
fn layout(program: &Path, links: &str) -> Result<Vec<(String, String)>, Trouble> {
    let Some(program) = program
        .to_str()
        .filter(|text| !text.contains(['\'', '"', '%', '\n']))
    else {
        return Err(Trouble::usage(
            "install.program",
            "the path of the azsphere command cannot stand in a script",
            "Install Lineside in a folder whose name has no quotes.",
        ));
    };
    let starts = |profile: &str| match is_windows() {
        true => format!("@set \"AZSPHERE_PROFILE={profile}\"\r\n@\"{program}\" %*\r\n"),
        false => format!("#!/bin/sh\nAZSPHERE_PROFILE={profile} exec '{program}' \"$@\"\n"),
    };
    let connects = format!(
        "#!/bin/sh\n# Devices need no connecting: the bridge has them. Says whether one is there.\n\
         if AZSPHERE_PROFILE=g2 '{program}' device list-attached -o json | grep -q ipAddress; then\n    \
         echo 'Azure Sphere device connected'\nelse\n    echo 'no device is attached' >&2\n    exit 1\nfi\n"
    );
    let end = if is_windows() { ".cmd" } else { "" };
    let second = if is_windows() { "Tools_v2/wbin" } else { "Tools_v2" };
    let mut files = vec![
        ("VERSION".to_owned(), VERSION.to_owned()),
        (format!("Tools/azsphere{end}"), starts("g1")),
        (format!("{second}/azsphere{end}"), starts("g2")),
        (format!("Links/azsphere{end}"), starts(links)),
        (format!("Links/azsphere_v1{end}"), starts("g1")),
        (format!("Links/azsphere_v2{end}"), starts("g2")),
    ];
    if !is_windows() {
        files.push(("Links/azsphere_connect.sh".to_owned(), connects.clone()));
        files.push(("DeviceConnection/azsphere_connect.sh".to_owned(), connects));
    }
    Ok(files)
}

fn read_list(folder: &Path) -> Result<Option<List>, Trouble> {
    let at = folder.join(LIST);
    let text = match fs::read_to_string(&at) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(&at, &error)),
    };
    let list: List = serde_json::from_str(&text).map_err(|error| cannot(&at, &error))?;
    // A list that somebody wrote leads nowhere else.
    match list
        .files
        .iter()
        .all(|laid| lineside_runner::bundle::is_safe(&laid.path))
    {
        true => Ok(Some(list)),
        false => Err(cannot(&at, &"it names files elsewhere")),
    }
}

/// True when a file is still what was laid down.
fn is_so(folder: &Path, laid: &Laid) -> bool {
    fs::read(folder.join(&laid.path)).is_ok_and(|bytes| hash_of(&bytes) == laid.sha256)
}

fn hash_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::station(
        "install.folder",
        &format!("{} could not be used", path.display()),
        error,
    )
}
