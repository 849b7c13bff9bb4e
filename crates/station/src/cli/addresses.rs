//! Which IP address stands for which slot: the station's table, which `runner` keeps.

use lineside_link::{Address, Addresses, BoardInfo};
use lineside_runner::addresses;
use lineside_terms::{Blame, SlotPath, Told};

use super::args::Global;
use super::bench::BenchName;
use super::exit::Exit;
use super::trouble::Trouble;

/// The table of this station, with the boards that are attached now. What is new in it is kept, unless the bench is made
/// anew with each process. A board for which no address is left has none.
pub(crate) fn of_boards(global: &Global, boards: &[BoardInfo]) -> Result<Addresses, Trouble> {
    let folder = match (&global.bench, &global.data) {
        (BenchName::Sim { .. }, None) => None,
        (_, data) => Some(data.clone().unwrap_or_else(lineside_link::data_folder)),
    };
    addresses::of_boards(folder.as_deref(), boards).map_err(|error| Trouble {
        told: Told::of(&error),
        exit: Exit::Station,
    })
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

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
            device: None,
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
    fn a_file_that_says_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for bad in [
            "=",
            "[[address]]\nslot = \"a b\"\nip = \"192.168.35.2\"",
            "[[address]]\nslot = \"a\"\nip = \"192.168.36.2\"",
            "[[address]]\nslot = \"a\"",
            "[addresses]",
        ] {
            fs::write(folder.path().join("addresses.toml"), bad).unwrap();
            let refused = of_boards(&global(folder.path()), &boards(&["a"]));
            assert_eq!(refused.unwrap_err().told.code, "slots.addresses", "{bad}");
            assert_eq!(
                shown(&global(folder.path()), &boards(&["a"])),
                Addresses::default()
            );
        }
    }
}
