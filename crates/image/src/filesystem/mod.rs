//! ASXipFS, the file system inside application packages: cramfs's directories with file data stored whole and
//! page-aligned (`image-package.md` 6). Reading checks everything before it shows anything.

mod error;
mod pack;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

pub use self::error::FilesystemError;
pub use self::pack::pack_filesystem;
use crate::assume;
use crate::little_endian::{array_at, u32_at};

const MAGIC: u32 = 0x28CD_3D45;
const SIGNATURE: &[u8; 16] = b"Compressed ROMFS";
const SUPERBLOCK: usize = 64;
const INODE: usize = 12;
const PAGE: usize = 4096;
const NAME_LIMIT: usize = 252;
/// The longest path that an application could open (Linux `PATH_MAX`). It also bounds what a hostile tree can cost.
const PATH_LIMIT: usize = 4096;
const SORTED_DIRECTORIES: u32 = 2;
const CRC_OFFSET: usize = 32;

const KIND_MASK: u16 = 0o170_000;
const KIND_DIRECTORY: u16 = 0o040_000;
const KIND_FILE: u16 = 0o100_000;
const SET_ID: u16 = 0o6_000;
const STICKY: u16 = 0o1_000;
const ANY_EXECUTE: u16 = 0o111;

/// A sound file system, as a view of a package's body.
#[derive(Clone)]
pub struct Filesystem<'a> {
    body: &'a [u8],
    /// The root first; the children of one directory stand together.
    nodes: Vec<Inode<'a>>,
}

#[derive(Clone)]
struct Inode<'a> {
    name: &'a str,
    parent: usize,
    /// Bytes of the path including the leading slash.
    path_length: usize,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Directory { children: Range<usize> },
    File { data: Range<usize>, executable: bool },
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'a> {
    /// A directory.
    Directory,
    /// A file and what it holds.
    File(&'a [u8]),
}

/// One file or directory of a tree, as the packer takes it and as a file system lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it stands, from the root: `/bin/app`.
    pub path: String,
    /// `None` for a directory (needed only for empty ones), else what the file holds.
    pub data: Option<&'a [u8]>,
    /// True for a file that can be run. Meaningless for a directory.
    pub is_executable: bool,
}

impl<'a> Filesystem<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// Everything that `image-package.md` 6.3 tells to refuse and every damage that can be seen, by name.
    pub fn read(body: &'a [u8]) -> Result<Self, FilesystemError> {
        let inode_count = read_superblock(body)?;
        let mut reader = Reader {
            body,
            nodes: Vec::new(),
            inode_count,
            seen: HashSet::new(),
            extents: Vec::new(),
        };
        reader.read_tree()?;
        reader.check_extents()?;
        Ok(Self {
            body,
            nodes: reader.nodes,
        })
    }

    /// What stands at a path; the leading slash may be missing.
    pub fn get(&self, path: &str) -> Option<Node<'a>> {
        let mut at = 0;
        for name in path
            .strip_prefix('/')
            .unwrap_or(path)
            .split('/')
            .filter(|name| !name.is_empty())
        {
            let Content::Directory { children } = &self.nodes[at].content else {
                return None;
            };
            at = children.clone().find(|&child| self.nodes[child].name == name)?;
        }
        Some(match &self.nodes[at].content {
            Content::Directory { .. } => Node::Directory,
            Content::File { data, .. } => Node::File(&self.body[data.clone()]),
        })
    }

    /// What a file holds, or `None` when there is no such file.
    pub fn file(&self, path: &str) -> Option<&'a [u8]> {
        match self.get(path)? {
            Node::File(data) => Some(data),
            Node::Directory => None,
        }
    }

    /// Everything but the root, in the order in which inodes stand. Packing these again gives the same body.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + '_ {
        (1..self.nodes.len()).map(|at| {
            let (data, is_executable) = match &self.nodes[at].content {
                Content::Directory { .. } => (None, false),
                Content::File { data, executable } => (Some(&self.body[data.clone()]), *executable),
            };
            Entry {
                path: self.path(at),
                data,
                is_executable,
            }
        })
    }

    fn path(&self, mut at: usize) -> String {
        let mut names = Vec::new();
        while at != 0 {
            names.push(self.nodes[at].name);
            at = self.nodes[at].parent;
        }
        names.iter().rev().flat_map(|name| ["/", name]).collect()
    }
}

impl fmt::Debug for Filesystem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries((1..self.nodes.len()).map(|at| self.path(at)))
            .finish()
    }
}

/// Checks the superblock and answers how many inodes it claims (`image-package.md` 6.1).
fn read_superblock(body: &[u8]) -> Result<usize, FilesystemError> {
    let field = |offset| u32_at(body, offset).ok_or(FilesystemError::NoSuperblock);
    if body.len() < SUPERBLOCK + INODE || field(0)? != MAGIC || array_at(body, 16) != Some(SIGNATURE) {
        return Err(FilesystemError::NoSuperblock);
    }
    let size = field(4)?;
    if size as usize != body.len() {
        return Err(FilesystemError::Size {
            claimed: size,
            found: body.len(),
        });
    }
    let flags = field(8)?;
    if flags & !assume::FILESYSTEM_FLAGS_ACCEPTED != 0 {
        return Err(FilesystemError::Flags { flags });
    }
    if field(CRC_OFFSET)? != checksum(body) {
        return Err(FilesystemError::Checksum);
    }
    let inodes = field(44)? as usize;
    // Every inode takes its twelve bytes, so this bounds all work that follows.
    if inodes == 0 || inodes > (body.len() - SUPERBLOCK) / INODE {
        return Err(FilesystemError::InodeCount { claimed: inodes });
    }
    Ok(inodes)
}

/// CRC-32 of the whole body with its own field as zero.
fn checksum(body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&body[..CRC_OFFSET]);
    crc.update(&[0; 4]);
    crc.update(&body[CRC_OFFSET + 4..]);
    crc.finalize()
}

/// The three words of an inode taken apart (`image-package.md` 6.2).
struct RawInode {
    mode: u16,
    size: usize,
    name_length: usize,
    offset: usize,
}

impl RawInode {
    fn read(body: &[u8], at: usize) -> Option<Self> {
        let (kind, size, place) = (u32_at(body, at)?, u32_at(body, at + 4)?, u32_at(body, at + 8)?);
        Some(Self {
            mode: (kind & 0xFFFF) as u16,
            size: (size & 0x00FF_FFFF) as usize,
            name_length: (place & 0x3F) as usize * 4,
            offset: (place >> 6) as usize * 4,
        })
    }
}

struct Reader<'a> {
    body: &'a [u8],
    nodes: Vec<Inode<'a>>,
    inode_count: usize,
    /// Offsets of directories already read: a second visit is a cycle or shared children.
    seen: HashSet<usize>,
    /// Bytes that directories and files take, whole pages for files.
    extents: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn read_tree(&mut self) -> Result<(), FilesystemError> {
        let raw = RawInode::read(self.body, SUPERBLOCK).ok_or(FilesystemError::NoSuperblock)?;
        if raw.mode & KIND_MASK != KIND_DIRECTORY || raw.name_length != 0 {
            return Err(FilesystemError::Root);
        }
        self.extents.push(0..SUPERBLOCK + INODE);
        self.nodes.push(Inode {
            name: "",
            parent: 0,
            path_length: 0,
            content: Content::Directory { children: 0..0 },
        });

        let mut waiting = vec![(0, raw)];
        while let Some((directory, raw)) = waiting.pop() {
            let first = self.nodes.len();
            let inner = self.read_directory(directory, &raw)?;
            self.nodes[directory].content = Content::Directory {
                children: first..self.nodes.len(),
            };
            // The stack gives back the last first: turned round, the tree is walked in the order of its names.
            waiting.extend(inner.into_iter().rev());
        }
        if self.nodes.len() == self.inode_count {
            Ok(())
        } else {
            Err(FilesystemError::InodeCount {
                claimed: self.inode_count,
            })
        }
    }

    /// Reads the children of one directory and answers which of them are directories.
    fn read_directory(
        &mut self,
        directory: usize,
        raw: &RawInode,
    ) -> Result<Vec<(usize, RawInode)>, FilesystemError> {
        if raw.size == 0 {
            return Ok(Vec::new());
        }
        let end = raw.offset + raw.size;
        if raw.offset < SUPERBLOCK + INODE || end > self.body.len() {
            return Err(FilesystemError::OutOfBounds {
                path: self.path(directory, ""),
            });
        }
        if !self.seen.insert(raw.offset) {
            return Err(FilesystemError::Overlap);
        }
        self.extents.push(raw.offset..end);

        let mut inner = Vec::new();
        let mut names = HashSet::new();
        let mut at = raw.offset;
        let mut previous = None;
        while at < end {
            let ragged = || FilesystemError::DirectorySize;
            if at + INODE > end {
                return Err(ragged());
            }
            let child = RawInode::read(self.body, at).ok_or_else(ragged)?;
            let name_end = at + INODE + child.name_length;
            if name_end > end {
                return Err(ragged());
            }
            let name = read_name(&self.body[at + INODE..name_end])?;
            let sorted = u32_at(self.body, 8).is_some_and(|flags| flags & SORTED_DIRECTORIES != 0);
            if !names.insert(name) {
                return Err(FilesystemError::DuplicateName {
                    path: self.path(directory, name),
                });
            }
            if sorted && previous.is_some_and(|previous| previous > name) {
                return Err(FilesystemError::Unsorted {
                    path: self.path(directory, name),
                });
            }
            if self.nodes.len() == self.inode_count {
                return Err(FilesystemError::InodeCount {
                    claimed: self.inode_count,
                });
            }
            let path_length = self.nodes[directory].path_length + 1 + name.len();
            if path_length > PATH_LIMIT {
                return Err(FilesystemError::PathTooLong);
            }
            let content = self.read_content(directory, name, &child)?;
            if matches!(content, Content::Directory { .. }) {
                inner.push((self.nodes.len(), child));
            }
            self.nodes.push(Inode {
                name,
                parent: directory,
                path_length,
                content,
            });
            previous = Some(name);
            at = name_end;
        }
        Ok(inner)
    }

    /// What an inode stands for. Of files the data is checked here; directories are read later.
    fn read_content(
        &mut self,
        directory: usize,
        name: &str,
        raw: &RawInode,
    ) -> Result<Content, FilesystemError> {
        if raw.mode & SET_ID != 0 {
            return Err(FilesystemError::SetId {
                path: self.path(directory, name),
            });
        }
        match raw.mode & KIND_MASK {
            KIND_DIRECTORY => Ok(Content::Directory { children: 0..0 }),
            KIND_FILE if raw.mode & STICKY == 0 => Err(FilesystemError::NotInPlace {
                path: self.path(directory, name),
            }),
            KIND_FILE => {
                let executable = raw.mode & ANY_EXECUTE != 0;
                if raw.size == 0 {
                    return Ok(Content::File {
                        data: 0..0,
                        executable,
                    });
                }
                let data = raw.offset..raw.offset + raw.size;
                if !raw.offset.is_multiple_of(PAGE) {
                    return Err(FilesystemError::Unaligned {
                        path: self.path(directory, name),
                    });
                }
                if data.end > self.body.len() {
                    return Err(FilesystemError::OutOfBounds {
                        path: self.path(directory, name),
                    });
                }
                self.extents.push(data.start..data.end.next_multiple_of(PAGE));
                Ok(Content::File { data, executable })
            }
            _ => Err(FilesystemError::SpecialFile {
                path: self.path(directory, name),
            }),
        }
    }

    /// No two things share a byte: neither files, nor directories, nor the superblock.
    fn check_extents(&mut self) -> Result<(), FilesystemError> {
        self.extents.sort_unstable_by_key(|extent| extent.start);
        match self.extents.windows(2).any(|pair| pair[1].start < pair[0].end) {
            true => Err(FilesystemError::Overlap),
            false => Ok(()),
        }
    }

    fn path(&self, mut directory: usize, name: &str) -> String {
        let mut names = vec![name];
        while directory != 0 {
            names.push(self.nodes[directory].name);
            directory = self.nodes[directory].parent;
        }
        let path: String = names.iter().rev().flat_map(|name| ["/", name]).collect();
        path.escape_debug().to_string()
    }
}

/// A padded name: whole, legal, and padded with zeros to the next multiple of four and no further.
fn read_name(padded: &[u8]) -> Result<&str, FilesystemError> {
    let length = padded.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    if padded.len() - length > 3 {
        return Err(FilesystemError::BadName);
    }
    let name = str::from_utf8(&padded[..length]).map_err(|_| FilesystemError::BadName)?;
    if is_legal_name(name) {
        Ok(name)
    } else {
        Err(FilesystemError::BadName)
    }
}

/// True for a name that a directory may hold.
fn is_legal_name(name: &str) -> bool {
    (1..=NAME_LIMIT).contains(&name.len()) && name != "." && name != ".." && !name.contains(['/', '\0'])
}
