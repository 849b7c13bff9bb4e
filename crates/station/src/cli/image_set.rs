//! `lineside image-set show|verify|import`: looks through recovery sets before anything is erased, and keeps them.
//!
//! Signatures are held against the signers that `--trust` names and, on a simulated bench, against that bench's own. A set
//! is named by its folder, its ZIP, or as `set:` with the first digits of its hash once it was imported.

use clap::Subcommand;
use lineside_image::{Examination, ImageSet, ImageSetError, Part, Role, TrustList, Verdict};
use lineside_runner::RunnerError;
use lineside_runner::image_sets::{ImageSets, Imported, SetName};
use lineside_terms::{Blame, Explain, Told};
use serde::Serialize;

use super::args::Global;
use super::bench;
use super::exit::Exit;
use super::image::{TrustArgs, time_of, trusted_beside, word};
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;

/// Subcommands of `image-set`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageSetCommand {
    /// Say which OS a recovery set holds, file by file
    #[command(
        after_help = "Examples:\n  lineside image-set show mt3620an.zip\n  lineside image-set show sets/24.06 --json"
    )]
    Show {
        /// A folder, a ZIP, or `set:HASH`
        #[arg(value_name = "SET")]
        set: SetName,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Check that recovery sets are whole and whose signatures they carry
    #[command(
        after_help = "Exit codes: 0 every set may be used; 1 one may not; 2 the command line is wrong; 3 a file cannot be read.

Examples:
  lineside image-set verify mt3620an.zip
  lineside image-set verify --trust production.pem --strict sets/*"
    )]
    Verify {
        /// Folders, ZIPs, or `set:HASH`
        #[arg(value_name = "SET", required = true)]
        sets: Vec<SetName>,
        #[command(flatten)]
        trust: TrustArgs,
        /// A signer that is not trusted is not good enough
        #[arg(long)]
        strict: bool,
    },
    /// Keep a whole set in the data folder and tell the name by which it is used
    #[command(
        after_help = "The vendor does not keep old sets: archive the ZIP as well. Importing a set again changes nothing.

Example:
  lineside image-set import mt3620an.zip"
    )]
    Import {
        /// A folder or a ZIP
        #[arg(value_name = "SET")]
        set: SetName,
        #[command(flatten)]
        trust: TrustArgs,
    },
}

pub(crate) fn run(global: &Global, command: &ImageSetCommand, printer: &Printer) -> Result<Exit, Trouble> {
    let sets = kept(global);
    let (base, _) = bench::supplies_of(&global.bench)?;
    match command {
        ImageSetCommand::Show { set, trust } => show(&sets, set, &trusted_beside(base, trust)?, printer),
        ImageSetCommand::Verify {
            sets: names,
            trust,
            strict,
        } => verify(&sets, names, &trusted_beside(base, trust)?, *strict, printer),
        ImageSetCommand::Import { set, trust } => import(&sets, set, &trusted_beside(base, trust)?, printer),
    }
}

/// The sets of this station. Unlike journals, those for simulated benches are not kept apart: a set is named by what it
/// is.
pub(super) fn kept(global: &Global) -> ImageSets {
    ImageSets::in_data(&global.data.clone().unwrap_or_else(lineside_link::data_folder))
}

/// One object of `--json`.
#[derive(Serialize)]
struct Object {
    version: u32,
    kind: &'static str,
    set: String,
    is_good: bool,
    /// The name by which the set is used once it is imported.
    name: Option<String>,
    digest: Option<String>,
    os: Option<String>,
    built: Option<String>,
    images: Option<usize>,
    image_bytes: Option<u64>,
    files: Vec<FileObject>,
    strangers: Vec<String>,
    problems: Vec<Told>,
}

#[derive(Serialize)]
struct FileObject {
    file: String,
    role: &'static str,
    name: Option<String>,
    image: Option<String>,
    image_type: Option<String>,
    partitions: Vec<String>,
    size: Option<usize>,
    verdict: Option<&'static str>,
}

/// What is told of a set.
struct Looked {
    object: Object,
    /// The worst signature of the files that can be looked into.
    signature: &'static str,
    set: Option<ImageSet>,
}

fn look(sets: &ImageSets, name: &SetName, trust: &TrustList) -> Result<Looked, Trouble> {
    let files = match sets.files(name) {
        Ok(files) => files,
        // What was read and is no set is a finding, not a trouble of the station.
        Err(error @ (RunnerError::ImageSet { .. } | RunnerError::SetChanged { .. })) => {
            return Ok(Looked {
                object: Object {
                    problems: vec![Told::of(&error)],
                    ..empty(name)
                },
                signature: "none",
                set: None,
            });
        }
        Err(error) => return Err(error.into()),
    };
    let examination = Examination::of(&files, trust);
    let manifest = examination.manifest.as_ref();
    let os = examination.os_list().and_then(|list| examination.os_by(list));
    let object = Object {
        is_good: examination.problems.is_empty(),
        os: os.map(|os| os.name.clone()),
        built: manifest.and_then(|manifest| time_of(manifest.built)),
        images: manifest.map(|manifest| manifest.entries.len()),
        image_bytes: manifest.map(lineside_image::RecoveryManifest::total_size),
        files: examination.parts.iter().map(file_object).collect(),
        strangers: examination.strangers.clone(),
        problems: examination
            .problems
            .iter()
            .map(|problem| Told::of(problem))
            .collect(),
        ..empty(name)
    };
    let signature = signature_of(&examination);
    let set = examination.into_set().ok();
    let digest = set.as_ref().map(ImageSet::digest);
    Ok(Looked {
        object: Object {
            name: digest.map(|digest| SetName::of(digest).to_string()),
            digest: digest.map(|digest| digest.to_string()),
            ..object
        },
        signature,
        set,
    })
}

fn empty(name: &SetName) -> Object {
    Object {
        version: 1,
        kind: "image-set",
        set: name.to_string(),
        is_good: false,
        name: None,
        digest: None,
        os: None,
        built: None,
        images: None,
        image_bytes: None,
        files: Vec::new(),
        strangers: Vec::new(),
        problems: Vec::new(),
    }
}

fn signature_of(examination: &Examination) -> &'static str {
    let verdicts: Vec<&Verdict> = examination
        .parts
        .iter()
        .filter_map(|part| part.verdict.as_ref())
        .collect();
    let bad = verdicts.iter().find(|verdict| !verdict.is_production());
    match bad {
        Some(bad) => word(bad),
        None if verdicts.contains(&&Verdict::ProductionUnverified) => word(&Verdict::ProductionUnverified),
        None if verdicts.is_empty() => "none",
        None => word(&Verdict::ProductionVerified),
    }
}

fn file_object(part: &Part) -> FileObject {
    let (role, image, image_type, partitions) = match &part.role {
        Role::BootLoader => ("boot-loader", None, None, Vec::new()),
        Role::Runtime => ("runtime", None, None, Vec::new()),
        Role::Manifest => ("manifest", None, None, Vec::new()),
        Role::Image {
            image,
            image_type,
            partitions,
        } => (
            "image",
            Some(image.to_string()),
            Some(image_type.to_string()),
            partitions.iter().map(ToString::to_string).collect(),
        ),
    };
    FileObject {
        file: part.file.clone(),
        role,
        name: part.name.clone(),
        image,
        image_type,
        partitions,
        size: part.size,
        verdict: part.verdict.as_ref().map(word),
    }
}

impl Object {
    /// The set in one line.
    fn headline(&self, signature: &str) -> String {
        let os = self.os.as_deref().map_or_else(
            || "an OS that no list beside it names".to_owned(),
            |os| format!("OS {os}"),
        );
        match (self.images, self.image_bytes) {
            (Some(images), Some(bytes)) => {
                format!("{os}, {images} images of {bytes} bytes, signatures: {signature}")
            }
            _ => "no recovery set that can be used".to_owned(),
        }
    }

    fn problem_lines(&self) -> Vec<String> {
        let line = |told: &Told| {
            format!(
                "  {} [{}]\n    remedy: {}",
                Tone::Bad.paint(&told.message),
                told.code,
                told.help
            )
        };
        let mut lines: Vec<String> = self.problems.iter().map(line).collect();
        let strangers = self.strangers.iter();
        lines.extend(strangers.map(|file| format!("  remark: `{file}` belongs to no set and is not used")));
        lines
    }
}

fn show(sets: &ImageSets, name: &SetName, trust: &TrustList, printer: &Printer) -> Result<Exit, Trouble> {
    let Looked {
        object, signature, ..
    } = look(sets, name, trust)?;
    let rows: Vec<_> = object
        .files
        .iter()
        .map(|file| {
            let what = match (&file.name, &file.image_type) {
                (Some(name), _) => name.clone(),
                (None, Some(image_type)) => image_type.clone(),
                (None, None) => file.role.to_owned(),
            };
            let size = file
                .size
                .map_or_else(|| "missing".to_owned(), |size| size.to_string());
            let tone = if file.size.is_some() {
                Tone::Plain
            } else {
                Tone::Bad
            };
            vec![
                (file.file.clone(), Tone::Plain),
                (what, Tone::Plain),
                (file.partitions.join(", "), Tone::Plain),
                (size, tone),
                (file.verdict.unwrap_or("-").to_owned(), Tone::Plain),
            ]
        })
        .collect();
    printer.object(&object);
    printer.result(&format!("{name}: {}", object.headline(signature)));
    if let Some(built) = &object.built {
        printer.result(&format!("  built     {built}"));
    }
    if let Some(digest) = &object.digest {
        printer.result(&format!("  SHA-256   {digest}"));
    }
    if !rows.is_empty() {
        printer.result(&table(&["file", "holds", "goes to", "bytes", "signature"], &rows));
    }
    for line in object.problem_lines() {
        printer.result(&line);
    }
    Ok(if object.is_good { Exit::Good } else { Exit::NotGood })
}

fn verify(
    sets: &ImageSets,
    names: &[SetName],
    trust: &TrustList,
    is_strict: bool,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let mut exit = Exit::Good;
    for name in names {
        let Looked {
            mut object,
            signature,
            ..
        } = look(sets, name, trust)?;
        if is_strict && object.is_good && signature != word(&Verdict::ProductionVerified) {
            object.is_good = false;
            object.problems.push(untrusted());
        }
        printer.object(&object);
        let (verdict, tone) = if object.is_good {
            ("good", Tone::Good)
        } else {
            ("not good", Tone::Bad)
        };
        printer.result(&format!(
            "{name}: {}, {}",
            tone.paint(verdict),
            object.headline(signature)
        ));
        for line in object.problem_lines() {
            printer.result(&line);
        }
        if !object.is_good {
            exit = Exit::NotGood;
        }
    }
    Ok(exit)
}

fn untrusted() -> Told {
    Told {
        code: "image-set.unknown-signer".to_owned(),
        message: "nobody who is trusted has signed all of it".to_owned(),
        help: "Name the signer with --trust, or leave --strict: the device looks for itself.".to_owned(),
        blame: Blame::Supply,
    }
}

/// The object of `import --json`.
#[derive(Serialize)]
struct ImportedObject<'a> {
    version: u32,
    kind: &'static str,
    name: String,
    digest: String,
    os: Option<&'a str>,
    is_new: bool,
}

fn import(sets: &ImageSets, name: &SetName, trust: &TrustList, printer: &Printer) -> Result<Exit, Trouble> {
    let Looked { object, set, .. } = look(sets, name, trust)?;
    let Some(set) = set else {
        let told = object.problems.into_iter().next();
        let told = told.unwrap_or_else(|| Told::of(&ImageSetError::NoImages as &dyn Explain));
        return Err(Trouble {
            told,
            exit: Exit::Refused,
        });
    };
    let imported = sets.import(&set)?;
    let name = SetName::of(set.digest()).to_string();
    printer.object(&ImportedObject {
        version: 1,
        kind: "image-set-imported",
        name: name.clone(),
        digest: set.digest().to_string(),
        os: set.os(),
        is_new: imported == Imported::New,
    });
    let os = set.os().map(|os| format!(", OS {os}")).unwrap_or_default();
    let what = match imported {
        Imported::New => "imported",
        Imported::Known => "kept already",
    };
    printer.result(&format!("{name}{os}: {what}"));
    Ok(Exit::Good)
}
