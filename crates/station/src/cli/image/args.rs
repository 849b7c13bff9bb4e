//! The command line of `lineside image`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lineside_terms::{ComponentId, ImageId};

/// Subcommands of `image`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Say what is inside packages, capability files and keystores
    #[command(
        after_help = "Examples:\n  lineside image show application.imagepackage\n  lineside image show --json *.imagepackage"
    )]
    Show {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Check that packages are whole and whose signature they carry
    #[command(
        after_help = "Exit codes: 0 every file may be loaded on a line; 1 one may not; 2 the command line is wrong; 3 a file cannot be read.

Examples:
  lineside image verify *.imagepackage
  lineside image verify --trust production.pem --strict application.imagepackage"
    )]
    Verify {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        trust: TrustArgs,
        /// A signer that is not named with --trust is not good enough
        #[arg(long, requires = "trust")]
        strict: bool,
    },
    /// Say how two packages differ
    #[command(
        after_help = "Exit codes: 0 they hold the same; 1 they differ.\n\nExample:\n  lineside image diff old.imagepackage new.imagepackage"
    )]
    Diff {
        /// The one
        one: PathBuf,
        /// The other
        other: PathBuf,
    },
    /// Make a signed package of an application's folder, or of a board configuration
    #[command(
        after_help = "Real devices run only what the security service has signed. What is signed with another key is for
simulated benches, and for upload: the service signs anew.

Examples:
  lineside image pack application/ --out application.imagepackage --key sample.pem
  lineside image pack board.bin --board-config thermostat --component 11111111-2222-3333-4444-555555555555 \\
      --out board.imagepackage --key sample.pem --certificate sample.crt"
    )]
    Pack(PackArgs),
    /// Sign a package anew with another key
    #[command(
        after_help = "Example:\n  lineside image sign application.imagepackage --key sample.pem --out signed.imagepackage"
    )]
    Sign {
        /// The package
        file: PathBuf,
        #[command(flatten)]
        key: KeyArgs,
        /// The file to write; never one that is there already
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Whose signatures are believed.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Believe the signer with this certificate (PEM or DER), or the signers of this trusted keystore; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Vec<PathBuf>,
}

/// Who signs.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The private key: P-256, PKCS#8 in PEM, without pass-phrase
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Its certificate (PEM or DER), whose thumbprint the package names [default: the hash of the public key]
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
}

/// Arguments of `image pack`.
#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// A folder with app_manifest.json, or the body of a board configuration
    pub(crate) source: PathBuf,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    /// The file to write; never one that is there already
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// It is a board configuration with this name
    #[arg(long, value_name = "NAME", requires = "component")]
    pub(crate) board_config: Option<String>,
    /// The component of a board configuration; that of an application is in its manifest
    #[arg(long, value_name = "ID", requires = "board_config")]
    pub(crate) component: Option<ComponentId>,
    /// The id of this build [default: a random one]
    #[arg(long, value_name = "ID")]
    pub(crate) image_id: Option<ImageId>,
    /// When it was built, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) built: Option<u64>,
    /// The application runtime (target API set) that it was built for
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub(crate) runtime: u32,
    /// The definition of the board, by which $NAMES in the manifest become values: a file, or the folder of it and of those
    /// that it imports; may be repeated
    #[arg(long, value_name = "PATH", conflicts_with = "board_config")]
    pub(crate) hardware: Vec<PathBuf>,
    /// A further file of the application that can be run, by its path in the image
    #[arg(long, short = 'x', value_name = "PATH")]
    pub(crate) executable: Vec<String>,
    /// Mark it as removed at the next boot, as test applications may be
    #[arg(long)]
    pub(crate) temporary: bool,
}
