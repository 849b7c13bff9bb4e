//! Which process holds the lock on a terminal, or has it open: the kernel's own lists say it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A text for people about who has locked this file; `None` when nobody has, or nobody whom we may see.
pub(crate) fn of(file: PathBuf) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let process = holder(&locks, metadata.dev(), metadata.ino())?;
    Some(text(process))
}

/// A process as people know it.
fn text(process: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    let name: String = name.trim_end().chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() {
        format!("process {process}")
    } else {
        format!("{name} (process {process})")
    }
}

/// Other processes that have one of these files open, each with that file; only those that we may look into.
pub(crate) fn with_open(files: &[PathBuf]) -> Vec<(String, PathBuf)> {
    let wanted: Vec<(PathBuf, &PathBuf)> = files
        .iter()
        .filter_map(|file| Some((fs::canonicalize(file).ok()?, file)))
        .collect();
    let processes = fs::read_dir("/proc").into_iter().flatten();
    let processes = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut found = Vec::new();
    for process in processes.filter(|process| *process != std::process::id()) {
        let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
        let open: Vec<PathBuf> = open
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .collect();
        let theirs = wanted.iter().find(|(to, _)| open.contains(to));
        found.extend(theirs.map(|(_, file)| (text(process), (*file).clone())));
    }
    found
}

/// The process of the exclusive lock on a file, given by device and inode. Lines look like
/// `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`, device numbers in hex.
fn holder(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let kind = words.next()?;
        // Waiting ones stand below the holder, with an arrow.
        let (_advisory, _access, process, of) = (words.next()?, words.next()?, words.next()?, words.next()?);
        (kind == "FLOCK" && of == file)
            .then(|| process.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_in_the_kernels_list() {
        let locks = "\
1: POSIX  ADVISORY  WRITE 7 00:18:5 0 EOF
2: FLOCK  ADVISORY  WRITE 1234 00:18:5 0 EOF
2: -> FLOCK  ADVISORY  WRITE 99 00:18:5 0 EOF
3: FLOCK  ADVISORY  WRITE 55 00:18:56 0 EOF
nonsense
";
        assert_eq!(holder(locks, rustix::fs::makedev(0, 0x18), 5), Some(1234));
        assert_eq!(holder(locks, rustix::fs::makedev(0, 0x18), 56), Some(55));
        assert_eq!(holder(locks, rustix::fs::makedev(1, 0x18), 5), None);
        assert_eq!(holder("", rustix::fs::makedev(0, 0x18), 5), None);
    }
}
