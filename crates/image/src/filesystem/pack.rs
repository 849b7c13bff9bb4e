//! Making an ASXipFS body from a tree, laid out as the SDK's packer does it (`image-package.md` 6.3): the real samples
//! come out byte for byte.

use std::collections::BTreeMap;

use super::{
    CRC_OFFSET, Entry, FilesystemError, INODE, MAGIC, PAGE, PATH_LIMIT, SIGNATURE, SORTED_DIRECTORIES,
    SUPERBLOCK, checksum, is_legal_name,
};
use crate::assume;

const MODE_DIRECTORY: u16 = 0x41ED;
const MODE_FILE: u16 = 0x83A4;
const MODE_EXECUTABLE: u16 = 0x83ED;
/// Bit 0: fsid version 2.
const FLAGS: u32 = 1 | SORTED_DIRECTORIES;
/// Sizes have 24 bits.
const SIZE_LIMIT: usize = 1 << 24;
/// Offsets have 26 bits and count words.
const OFFSET_LIMIT: usize = 1 << 28;

/// Directories inside each other. No application needs more, and the walks below can be plain recursion.
const DEPTH_LIMIT: usize = 128;

/// Makes a body. Directories on the way to a file need no entry of their own; the order of the entries is of no account.
///
/// # Errors
/// Illegal or double paths, a file where a directory is needed, files and trees too large for the format.
pub fn pack_filesystem(entries: &[Entry<'_>]) -> Result<Vec<u8>, FilesystemError> {
    let mut root = build_tree(entries)?;
    let inode_area = SUPERBLOCK + INODE + root.inode_bytes()?;
    let data_start = inode_area.next_multiple_of(PAGE);
    let mut data = Vec::new();
    root.place_data(data_start, &mut data);

    let mut inodes = Inodes {
        out: vec![0; SUPERBLOCK],
        count: 0,
    };
    let root_size = root.size()?;
    inodes.push(
        MODE_DIRECTORY,
        root_size,
        "",
        if root_size == 0 { 0 } else { SUPERBLOCK + INODE },
    )?;
    inodes.push_directory(&root)?;
    let Inodes { mut out, count } = inodes;

    out.resize(data_start, 0);
    for data in data {
        out.extend_from_slice(data);
        out.resize(out.len() - data.len() + pages(data), 0);
    }
    let size = u32::try_from(out.len()).map_err(|_| FilesystemError::TreeTooLarge)?;
    out[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    out[4..8].copy_from_slice(&size.to_le_bytes());
    out[8..12].copy_from_slice(&FLAGS.to_le_bytes());
    out[16..32].copy_from_slice(SIGNATURE);
    out[44..48].copy_from_slice(&count.to_le_bytes());
    out[48..58].copy_from_slice(b"Compressed");
    let crc = checksum(&out);
    out[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(out)
}

/// A directory under construction; `BTreeMap` of `String` sorts bytewise, which is what the format wants (14 #10 of the
/// reference: also for upper case and beyond ASCII).
#[derive(Default)]
struct Directory<'a> {
    children: BTreeMap<&'a str, Child<'a>>,
}

enum Child<'a> {
    Directory(Directory<'a>),
    File {
        data: &'a [u8],
        executable: bool,
        offset: usize,
    },
}

impl<'a> Directory<'a> {
    /// Bytes of its own entries: what its inode tells as size.
    fn size(&self) -> Result<usize, FilesystemError> {
        let size: usize = self
            .children
            .keys()
            .map(|name| INODE + name.len().next_multiple_of(4))
            .sum();
        if size < SIZE_LIMIT {
            Ok(size)
        } else {
            Err(FilesystemError::TreeTooLarge)
        }
    }

    /// Bytes of all entries below.
    fn inode_bytes(&self) -> Result<usize, FilesystemError> {
        let mut total = self.size()?;
        for child in self.children.values() {
            if let Child::Directory(inner) = child {
                total += inner.inode_bytes()?;
            }
        }
        Ok(total)
    }

    /// Gives every file its pages from `offset` on, depth first, and answers where the next would begin.
    fn place_data(&mut self, mut offset: usize, order: &mut Vec<&'a [u8]>) -> usize {
        for child in self.children.values_mut() {
            match child {
                // An empty file has no place.
                Child::File { data: [], .. } => {}
                Child::File {
                    data, offset: place, ..
                } => {
                    *place = offset;
                    offset += pages(data);
                    order.push(data);
                }
                Child::Directory(inner) => offset = inner.place_data(offset, order),
            }
        }
        offset
    }
}

/// Bytes that a file takes: whole pages.
fn pages(data: &[u8]) -> usize {
    let extra = assume::EXTRA_PAGE_AFTER_FULL_PAGE && data.len().is_multiple_of(PAGE);
    data.len().next_multiple_of(PAGE) + if extra { PAGE } else { 0 }
}

fn build_tree<'a>(entries: &'a [Entry<'_>]) -> Result<Directory<'a>, FilesystemError> {
    let mut root = Directory::default();
    for entry in entries {
        let shown = || entry.path.escape_debug().to_string();
        let path = entry.path.strip_prefix('/').unwrap_or(&entry.path);
        if path.len() >= PATH_LIMIT {
            return Err(FilesystemError::PathTooLong);
        }
        if path.matches('/').count() > DEPTH_LIMIT {
            return Err(FilesystemError::TreeTooDeep { path: shown() });
        }
        let (parents, name) = path
            .rsplit_once('/')
            .map_or((None, path), |(parents, name)| (Some(parents), name));
        let mut directory = &mut root;
        for parent in parents.into_iter().flat_map(|parents| parents.split('/')) {
            if !is_legal_name(parent) {
                return Err(FilesystemError::BadName);
            }
            let child = directory
                .children
                .entry(parent)
                .or_insert_with(|| Child::Directory(Directory::default()));
            match child {
                Child::Directory(inner) => directory = inner,
                Child::File { .. } => return Err(FilesystemError::FileAsDirectory { path: shown() }),
            }
        }
        if !is_legal_name(name) {
            return Err(FilesystemError::BadName);
        }
        match (directory.children.get(name), entry.data) {
            (Some(Child::Directory(_)), None) => {}
            (Some(Child::Directory(_)), Some(_)) | (Some(Child::File { .. }), None) => {
                return Err(FilesystemError::FileAsDirectory { path: shown() });
            }
            (Some(Child::File { .. }), Some(_)) => {
                return Err(FilesystemError::DuplicateName { path: shown() });
            }
            (None, None) => {
                directory
                    .children
                    .insert(name, Child::Directory(Directory::default()));
            }
            (None, Some(data)) if data.len() >= SIZE_LIMIT => {
                return Err(FilesystemError::FileTooLarge { path: shown() });
            }
            (None, Some(data)) => {
                directory.children.insert(
                    name,
                    Child::File {
                        data,
                        executable: entry.is_executable,
                        offset: 0,
                    },
                );
            }
        }
    }
    Ok(root)
}

/// The inode area as it grows.
struct Inodes {
    out: Vec<u8>,
    count: u32,
}

impl Inodes {
    /// Writes all entries of a directory, then those of its sub-directories in the same order.
    fn push_directory(&mut self, directory: &Directory<'_>) -> Result<(), FilesystemError> {
        let mut inner_offset = self.out.len() + directory.size()?;
        for (name, child) in &directory.children {
            match child {
                Child::File {
                    data,
                    executable,
                    offset,
                } => {
                    self.push(
                        if *executable { MODE_EXECUTABLE } else { MODE_FILE },
                        data.len(),
                        name,
                        *offset,
                    )?;
                }
                Child::Directory(inner) => {
                    let size = inner.size()?;
                    self.push(
                        MODE_DIRECTORY,
                        size,
                        name,
                        if size == 0 { 0 } else { inner_offset },
                    )?;
                    inner_offset += inner.inode_bytes()?;
                }
            }
        }
        for child in directory.children.values() {
            if let Child::Directory(inner) = child {
                self.push_directory(inner)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, mode: u16, size: usize, name: &str, offset: usize) -> Result<(), FilesystemError> {
        if offset >= OFFSET_LIMIT {
            return Err(FilesystemError::TreeTooLarge);
        }
        let padded = name.len().next_multiple_of(4);
        // Sizes and names were checked when the tree was built; owner and group are 0.
        self.out.extend(u32::from(mode).to_le_bytes());
        self.out.extend((size as u32).to_le_bytes());
        self.out
            .extend(((padded / 4) as u32 | ((offset / 4) as u32) << 6).to_le_bytes());
        self.out.extend_from_slice(name.as_bytes());
        self.out.resize(self.out.len() + padded - name.len(), 0);
        self.count += 1;
        Ok(())
    }
}
