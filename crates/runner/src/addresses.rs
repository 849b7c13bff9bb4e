//! Which IP address stands for which slot, from one start of a program to the next: `addresses.toml` in the data folder.
//!
//! The file is ours; people name sockets in `slots.toml`. Two processes never write it at once: whoever reads it to write
//! it holds the lock beside it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use lineside_link::{Address, Addresses, BoardInfo, NoAddress};
use lineside_terms::{Blame, Explain, SlotPath};
use serde::Deserialize;

/// The name of the file.
const FILE: &str = "addresses.toml";

/// What stands above the addresses.
const HEAD: &str = "# Which IP address stands for which socket. Lineside writes this file; without it addresses are given out anew.\n";

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum AddressesError {
    /// The file holds something else.
    #[error("{file}: {reason}")]
    Foreign {
        /// Which file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refuses.
    #[error("the addresses cannot be kept")]
    Io(#[from] std::io::Error),
}

impl Explain for AddressesError {
    fn code(&self) -> &'static str {
        "slots.addresses"
    }

    fn help(&self) -> String {
        match self {
            Self::Foreign { .. } => "Remove the file: addresses are given out anew then.",
            Self::Io(_) => "Mend that and run the command again.",
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}

/// One line of the file, who was seen longest ago first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    slot: SlotPath,
    ip: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    address: Vec<Kept>,
}

/// The table of the station with this data folder, with the boards that are attached now. What is new in it is kept. A
/// board for which no address is left has none. Without a folder the table is made anew and nothing is kept.
///
/// # Errors
/// When the file holds something else, or cannot be read or written.
pub fn of_boards(folder: Option<&Path>, boards: &[BoardInfo]) -> Result<Addresses, AddressesError> {
    let Some(folder) = folder else {
        let mut table = Addresses::default();
        attach(&mut table, boards);
        return Ok(table);
    };
    let mut table = read(folder)?;
    if boards.iter().all(|board| table.of(&board.slot).is_some()) {
        attach(&mut table, boards);
        return Ok(table);
    }
    fs::create_dir_all(folder)?;
    let lock = fs::File::create(folder.join(format!("{FILE}.lock")))?;
    lock.lock()?;
    // Somebody else may have given out addresses until now.
    let mut table = read(folder)?;
    attach(&mut table, boards);
    write(folder, &table)?;
    Ok(table)
}

fn attach(table: &mut Addresses, boards: &[BoardInfo]) {
    // Those that have one come first: nobody who comes new takes the address of a board that is there.
    let (known, new): (Vec<_>, Vec<_>) = boards.iter().partition(|board| table.of(&board.slot).is_some());
    for board in known.into_iter().chain(new) {
        // Who gets none is reached by its slot and its id.
        let _ = table.attach(&board.slot);
    }
}

fn read(folder: &Path) -> Result<Addresses, AddressesError> {
    let path = folder.join(FILE);
    let refused = |cause: &dyn std::fmt::Display| AddressesError::Foreign {
        file: path.display().to_string(),
        reason: cause.to_string().trim_end().to_owned(),
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Addresses::default()),
        Err(error) => return Err(refused(&error)),
    };
    let File { address } = toml::from_str(&text).map_err(|error| refused(&error))?;
    let parsed: Result<Vec<_>, NoAddress> = address
        .into_iter()
        .map(|kept| Ok((kept.slot, kept.ip.parse::<Address>()?)))
        .collect();
    Ok(Addresses::of_kept(parsed.map_err(|error| refused(&error))?))
}

/// Written beside and moved, so that it is whole at any moment.
fn write(folder: &Path, table: &Addresses) -> std::io::Result<()> {
    let mut text = HEAD.to_owned();
    for (slot, address) in table.kept() {
        // A slot has no character that TOML would take for something else.
        text.push_str(&format!("\n[[address]]\nslot = \"{slot}\"\nip = \"{address}\"\n"));
    }
    let new = folder.join(format!("{FILE}.new"));
    fs::write(&new, text)?;
    fs::rename(&new, folder.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boards(slots: &[&str]) -> Vec<BoardInfo> {
        let board = |slot: &&str| BoardInfo {
            slot: SlotPath::new(*slot).unwrap(),
            attachment: 0,
            board_serial: None,
            leased_by: None,
            trouble: None,
            device: None,
        };
        slots.iter().map(board).collect()
    }

    #[test]
    fn many_at_once_give_no_address_twice() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let folder = folder.path();
                scope.spawn(move || of_boards(Some(folder), &boards(&[&format!("{number}")])).unwrap());
            }
        });
        assert_eq!(read(folder.path()).unwrap().kept().count(), 8);
    }
}
