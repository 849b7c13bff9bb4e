//! How a file system can be wrong.

use lineside_terms::{Blame, Explain};

use super::PATH_LIMIT;

/// How a body fails to be a file system that a device should be given, or a tree to become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilesystemError {
    /// No superblock at the start.
    #[error("the body does not begin with an ASXipFS superblock")]
    NoSuperblock,
    /// The size field does not fit the body.
    #[error("the file system claims {claimed} bytes, the body has {found}")]
    Size {
        /// What the superblock says.
        claimed: u32,
        /// How long the body is.
        found: usize,
    },
    /// Flags that mean another layout.
    #[error("the file system has flags {flags:#x}, which mean a layout that applications do not have")]
    Flags {
        /// All its flags.
        flags: u32,
    },
    /// The checksum does not fit the content.
    #[error("the checksum of the file system is wrong")]
    Checksum,
    /// The number of inodes does not fit the tree.
    #[error("the file system claims {claimed} inodes, which is not what its tree has")]
    InodeCount {
        /// What the superblock says.
        claimed: usize,
    },
    /// The root is not a directory.
    #[error("the root of the file system is not a directory")]
    Root,
    /// A directory's size does not end on an inode.
    #[error("a directory does not end where an entry ends")]
    DirectorySize,
    /// Data or entries outside the body.
    #[error("`{path}` lies outside the file system")]
    OutOfBounds {
        /// Which.
        path: String,
    },
    /// File data that does not begin on a page.
    #[error("the data of `{path}` does not begin on a page")]
    Unaligned {
        /// Which.
        path: String,
    },
    /// Directories or file data share bytes, or a directory contains itself.
    #[error("two things in the file system share the same bytes")]
    Overlap,
    /// A name that is empty, too long, not UTF-8, `.`, `..`, or has a slash or NUL.
    #[error("the file system has an entry with an illegal name")]
    BadName,
    /// Two entries of one name.
    #[error("`{path}` stands twice")]
    DuplicateName {
        /// Which.
        path: String,
    },
    /// Entries out of order in a file system that says it is sorted: lookups on the device would fail.
    #[error("`{path}` stands out of order in a sorted directory")]
    Unsorted {
        /// Which.
        path: String,
    },
    /// A path longer than any program could open.
    #[error("a path is longer than {PATH_LIMIT} bytes")]
    PathTooLong,
    /// A device node, FIFO, socket or symbolic link.
    #[error("`{path}` is neither a file nor a directory")]
    SpecialFile {
        /// Which.
        path: String,
    },
    /// A file that would run with another identity.
    #[error("`{path}` has the set-user-id or set-group-id bit")]
    SetId {
        /// Which.
        path: String,
    },
    /// A file without the mark that its data is stored whole.
    #[error("`{path}` is not marked as stored in place")]
    NotInPlace {
        /// Which.
        path: String,
    },
    /// On packing: a file of 16 MiB or more.
    #[error("`{path}` has 16 MiB or more, which no inode can tell")]
    FileTooLarge {
        /// Which.
        path: String,
    },
    /// On packing: a file stands where a directory is needed.
    #[error("`{path}` would have to be a file and a directory at once")]
    FileAsDirectory {
        /// Which.
        path: String,
    },
    /// On packing: more than 128 directories inside each other.
    #[error("`{path}` lies too deep")]
    TreeTooDeep {
        /// Which.
        path: String,
    },
    /// On packing: a directory with too many entries, or all of it more than offsets can tell.
    #[error("the tree is too large for the file system")]
    TreeTooLarge,
}

impl Explain for FilesystemError {
    fn code(&self) -> &'static str {
        match self {
            Self::FileTooLarge { .. } | Self::TreeTooLarge | Self::TreeTooDeep { .. } | Self::PathTooLong => {
                "image.filesystem-too-large"
            }
            Self::SpecialFile { .. } | Self::SetId { .. } => "image.filesystem-forbidden",
            _ => "image.filesystem",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::FileTooLarge { .. } | Self::TreeTooLarge | Self::TreeTooDeep { .. } | Self::PathTooLong => {
                "Make the application smaller, or its paths shorter."
            }
            Self::SpecialFile { .. } | Self::SetId { .. } => {
                "An application may hold only plain files and directories. Do not load this package; ask who made it."
            }
            Self::BadName | Self::DuplicateName { .. } | Self::FileAsDirectory { .. } => {
                "Give every file of the application its own path of plain names, such as /bin/app."
            }
            _ => "The package was made by a broken tool or damaged before it was signed: pack the application again.",
        }
        .into()
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}
