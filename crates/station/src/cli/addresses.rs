//! Which IP address stands for which slot, from one call of the program to the next: `addresses.toml` in the data folder.
//!
//! The file is this program's own; people name sockets in `slots.toml`. Two processes never write it at once: whoever
//! reads it to write it holds the lock beside it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use lineside_link::{Address, Addresses, BoardInfo};
use lineside_terms::{Blame, SlotPath};
use serde::Deserialize;

use super::args::Global;
use super::bench::BenchName;
use super::exit::Exit;
use super::trouble::Trouble;

/// The name of the file.
const FILE: &str = "addresses.toml";

/// What stands above the addresses.
const HEAD: &str = "# Which IP address stands for which socket. Lineside writes this file; without it addresses are given out anew.\n";

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

/// The table of this station, with the boards that are attached now. What is new in it is kept, unless the bench is made
/// anew with each process. A board for which no address is left has none.
pub(crate) fn of_boards(global: &Global, boards: &[BoardInfo]) -> Result<Addresses, Trouble> {
    if let (BenchName::Sim { .. }, None) = (&global.bench, &global.data) {
        let mut table = Addresses::default();
        attach(&mut table, boards);
        return Ok(table);
    }
    let folder = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    let io =
        |error: std::io::Error| Trouble::station("slots.addresses", "the addresses cannot be kept", &error);
    let mut table = read(&folder)?;
    if boards.iter().all(|board| table.of(&board.slot).is_some()) {
        attach(&mut table, boards);
        return Ok(table);
    }
    fs::create_dir_all(&folder).map_err(io)?;
    let lock = fs::File::create(folder.join(format!("{FILE}.lock"))).map_err(io)?;
    lock.lock().map_err(io)?;
    // Somebody else may have given out addresses until now.
    let mut table = read(&folder)?;
    attach(&mut table, boards);
    write(&folder, &table).map_err(io)?;
    Ok(table)
}

/// For showing: where the file cannot be read or written nothing has an address; `lineside slots list` says why.
pub(crate) fn shown(global: &Global, boards: &[BoardInfo]) -> Addresses {
    of_boards(global, boards).unwrap_or_default()
}

/// The slots that addresses reach.
pub(crate) fn slots_at(
    global: &Global,
    boards: &[BoardInfo],
    addresses: &[Address],
) -> Result<Vec<SlotPath>, Trouble> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let table = of_boards(global, boards)?;
    let reached = |address: &Address| {
        table.reach(*address).cloned().ok_or_else(|| {
            Trouble::new(
                Exit::NotGood,
                Blame::Board,
                "slots.no-such-address",
                &format!("no board is reached by {address}"),
                "`lineside slots list` shows which address stands for which slot.",
            )
        })
    };
    addresses.iter().map(reached).collect()
}

fn attach(table: &mut Addresses, boards: &[BoardInfo]) {
    // Those that have one come first: nobody who comes new takes the address of a board that is there.
    let (known, new): (Vec<_>, Vec<_>) = boards.iter().partition(|board| table.of(&board.slot).is_some());
    for board in known.into_iter().chain(new) {
        // Who gets none is reached by its slot and its id.
        let _ = table.attach(&board.slot);
    }
}

fn read(folder: &Path) -> Result<Addresses, Trouble> {
    let path = folder.join(FILE);
    let refused = |cause: &dyn std::fmt::Display| {
        Trouble::new(
            Exit::Station,
            Blame::Station,
            "slots.addresses",
            &format!("{}: {cause}", path.display()),
            "Remove the file: addresses are given out anew then.",
        )
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Addresses::default()),
        Err(error) => return Err(refused(&error)),
    };
    let File { address } = toml::from_str(&text).map_err(|error| refused(&error.to_string().trim_end()))?;
    let parsed: Result<Vec<_>, _> = address
        .into_iter()
        .map(|kept| Ok((kept.slot, kept.ip.parse::<Address>()?)))
        .collect();
    let parsed = parsed.map_err(|error: lineside_link::NoAddress| refused(&error))?;
    Ok(Addresses::of_kept(parsed))
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

    fn global(data: &Path) -> Global {
        use clap::Parser as _;
        let data = data.to_str().unwrap();
        let words = [
            "lineside",
            "--bench",
            "at:x",
            "--data",
            data,
            "completions",
            "bash",
        ];
        super::super::args::Cli::try_parse_from(words).unwrap().global
    }

    fn boards(slots: &[&str]) -> Vec<BoardInfo> {
        let board = |slot: &&str| BoardInfo {
            slot: SlotPath::new(*slot).unwrap(),
            attachment: 0,
            board_serial: None,
            leased_by: None,
            trouble: None,
        };
        slots.iter().map(board).collect()
    }

    #[test]
    fn a_slot_has_the_same_address_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let global = global(&folder.path().join("data"));
        let of = |slots: &[&str], slot: &str| {
            let table = of_boards(&global, &boards(slots)).unwrap();
            table.of(&SlotPath::new(slot).unwrap()).map(Address::last_number)
        };
        assert_eq!(of(&["1123"], "1123"), Some(2));
        assert_eq!(of(&["1113", "1123"], "1113"), Some(3));
        assert_eq!(of(&["1113"], "1123"), Some(2));
        let only = slots_at(&global, &boards(&["1113"]), &[Address::FIRST]).unwrap();
        assert_eq!(only, [SlotPath::new("1113").unwrap()]);
        let none = slots_at(&global, &boards(&["1113", "1123"]), &[Address::LAST]);
        assert_eq!(none.unwrap_err().told.code, "slots.no-such-address");
    }

    #[test]
    fn many_at_once_give_no_address_twice() {
        let folder = tempfile::tempdir().unwrap();
        let global = global(folder.path());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let global = &global;
                scope.spawn(move || of_boards(global, &boards(&[&format!("{number}")])).unwrap());
            }
        });
        assert_eq!(read(folder.path()).unwrap().kept().count(), 8);
    }

    #[test]
    fn a_file_that_says_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for bad in [
            "=",
            "[[address]]\nslot = \"a b\"\nip = \"192.168.35.2\"",
            "[[address]]\nslot = \"a\"\nip = \"192.168.36.2\"",
            "[[address]]\nslot = \"a\"",
            "[addresses]",
        ] {
            fs::write(folder.path().join(FILE), bad).unwrap();
            let refused = of_boards(&global(folder.path()), &boards(&["a"]));
            assert_eq!(refused.unwrap_err().told.code, "slots.addresses", "{bad}");
            assert_eq!(
                shown(&global(folder.path()), &boards(&["a"])),
                Addresses::default()
            );
        }
    }
}
