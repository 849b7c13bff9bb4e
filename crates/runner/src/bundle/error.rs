//! Why a bundle is not taken.

use std::io;
use std::path::PathBuf;

use lineside_records::SealError;
use lineside_terms::{Blame, Explain};

/// Why a bundle is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bytes are something else.
    #[error("it is no bundle")]
    NoBundle,
    /// A newer program made it.
    #[error("it has version {found} of bundles, which this program does not know")]
    Newer {
        /// Its version.
        found: u32,
    },
    /// It ends before its last file does.
    #[error("it is cut short")]
    Truncated,
    /// Something stands behind its last file.
    #[error("something stands behind its last file")]
    Surplus,
    /// It is larger than a bundle may be.
    #[error("it is larger than a bundle may be")]
    TooLarge,
    /// A file is not what the list says.
    #[error("the file {path} is not what the list of the bundle says")]
    Changed {
        /// Which file.
        path: String,
    },
    /// A file would lie outside of the bundle, or has a name that not every system takes.
    #[error("the path `{path}` cannot stand in a bundle")]
    Path {
        /// The path, escaped.
        path: String,
    },
    /// The name of the bundle is empty, too long or holds control characters.
    #[error("the name of the bundle cannot be used")]
    Name,
    /// The plan is not among its files.
    #[error("the plan that it names is not among its files")]
    NoPlan,
    /// Nobody signed it.
    #[error("nobody signed it")]
    Unsigned,
    /// Its seal does not hold.
    #[error("its signature is not good")]
    Seal(#[source] SealError),
    /// Somebody signed it whom this station does not know.
    #[error("it is signed with the key {found}, which this station does not trust")]
    Foreign {
        /// The key, short.
        found: String,
    },
    /// No imported bundle, or several, have this name.
    #[error("{count} imported bundles are called `{name}`")]
    Unknown {
        /// The name, escaped.
        name: String,
        /// How many.
        count: usize,
    },
    /// A file or folder could not be read or written.
    #[error("{} could not be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Explain for BundleError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoBundle => "bundle.no-bundle",
            Self::Newer { .. } => "bundle.newer",
            Self::Truncated => "bundle.truncated",
            Self::Surplus => "bundle.surplus",
            Self::TooLarge => "bundle.too-large",
            Self::Changed { .. } => "bundle.changed",
            Self::Path { .. } => "bundle.path",
            Self::Name => "bundle.name",
            Self::NoPlan => "bundle.no-plan",
            Self::Unsigned => "bundle.unsigned",
            Self::Seal(_) => "bundle.signature",
            Self::Foreign { .. } => "bundle.foreign-key",
            Self::Unknown { .. } => "bundle.unknown",
            Self::File { .. } => "bundle.file",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NoBundle | Self::Truncated | Self::Surplus => "Get the file again from where it was made.",
            Self::Newer { .. } => "Use a newer Lineside.",
            Self::TooLarge => "Put into the bundle only what the plan names.",
            Self::Changed { .. } => "Do not use it. Get the bundle again, and import it again.",
            Self::Path { .. } => {
                "Use relative paths of letters, digits and `. _ - +` below the plan's folder, no two that differ in case \
                 alone."
            }
            Self::Name => "Give a name of 1 to 80 characters without control characters.",
            Self::NoPlan => "Make the bundle again with `lineside bundle make`.",
            Self::Unsigned => "Have engineering sign it: `lineside bundle sign`.",
            Self::Seal(_) => "Do not use it. Get it again from engineering.",
            Self::Foreign { .. } => {
                "Find out who signed it. If that is right, the administrator adds the key to the station's file."
            }
            Self::Unknown { .. } => "`lineside bundle list` shows the names and hashes of imported bundles.",
            Self::File { .. } => "Check the path, and whether this user may use it.",
        }
        .into()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Unknown { .. } | Self::File { .. } => Blame::Station,
            Self::Path { .. } | Self::Name | Self::NoPlan => Blame::Plan,
            _ => Blame::Supply,
        }
    }
}
