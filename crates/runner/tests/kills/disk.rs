//! What a loss of power leaves of a folder: what was synced, and of the rest whatever it likes.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::Path;

/// How much of every file is known to be on the disk.
#[derive(Debug, Default)]
pub(crate) struct Platter(BTreeMap<String, u64>);

/// What a loss of power did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    /// Nothing was pending.
    Nothing,
    /// All that was pending was there.
    Kept,
    /// The file ends where it was synced.
    Cut,
    /// It ends somewhere in what was pending.
    Torn,
    /// It has its length; a part of what was pending was never written.
    Hole,
    /// Its name is gone.
    Nameless,
}

impl Platter {
    /// Follows what the program says of its files: `durable NAME LENGTH` or `ends NAME LENGTH`.
    pub(crate) fn note(&mut self, word: &str, name: &str, length: u64) {
        let known = self.0.entry(name.to_owned()).or_insert(length);
        match word {
            "durable" => *known = length,
            _ => *known = (*known).min(length),
        }
    }

    /// The power of the PC is gone. The dice decide what becomes of what was not synced.
    pub(crate) fn lose_power(&mut self, folder: &Path, dice: u64) -> Loss {
        let mut loss = Loss::Nothing;
        for (name, synced) in std::mem::take(&mut self.0) {
            let path = folder.join(&name);
            let mut bytes = fs::read(&path).unwrap();
            let (length, start) = (bytes.len(), usize::try_from(synced).unwrap());
            if length <= start && start > 0 {
                self.0.insert(name, synced);
                continue;
            }
            let middle = start + (length - start) * usize::try_from(dice / 8 % 16).unwrap() / 16;
            loss = match dice % 5 {
                0 => Loss::Kept,
                1 if start == 0 => Loss::Nameless,
                1 => Loss::Cut,
                2 | 3 => Loss::Torn,
                _ => Loss::Hole,
            };
            match loss {
                Loss::Nameless => {
                    fs::remove_file(&path).unwrap();
                    continue;
                }
                Loss::Cut => bytes.truncate(start),
                Loss::Torn => bytes.truncate(middle),
                Loss::Hole => bytes[start..middle].fill(0),
                Loss::Kept | Loss::Nothing => {}
            }
            let file = OpenOptions::new().write(true).truncate(true).open(&path);
            std::io::Write::write_all(&mut file.unwrap(), &bytes).unwrap();
            self.0.insert(name, bytes.len() as u64);
        }
        loss
    }
}
