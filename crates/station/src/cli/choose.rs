//! Which boards a command is about.

use lineside_link::{Address, BoardInfo, LinkError};
use lineside_terms::{SlotPath, Told};

use super::addresses;
use super::args::Global;
use super::exit::Exit;
use super::slots::Names;
use super::trouble::Trouble;

/// The slots that are named: by connection path, by what the fixture calls them, and by address.
pub(super) fn slots(
    global: &Global,
    boards: &[BoardInfo],
    slots: &[SlotPath],
    addresses: &[Address],
) -> Result<Vec<SlotPath>, Trouble> {
    let mut meant = Names::of_station(global).resolve_all(slots);
    meant.extend(addresses::slots_at(global, boards, addresses)?);
    Ok(meant)
}

/// The boards that are meant: those in named slots, or all, or the only one. Several attached and none named is not a
/// choice.
pub(super) fn boards(
    boards: Vec<BoardInfo>,
    slots: &[SlotPath],
    is_all: bool,
    help: &str,
) -> Result<Vec<BoardInfo>, Trouble> {
    let is_there = |slot: &&SlotPath| boards.iter().any(|board| board.slot == **slot);
    if let Some(slot) = slots.iter().find(|slot| !is_there(slot)) {
        // No fault of the station: exit codes say so.
        let error = LinkError::NoBoard { slot: slot.clone() };
        return Err(Trouble {
            told: Told::of(&error),
            exit: Exit::NotGood,
        });
    }
    if !slots.is_empty() {
        let is_named = |board: &BoardInfo| slots.contains(&board.slot);
        return Ok(boards.into_iter().filter(is_named).collect());
    }
    match boards.len() {
        0 => Err(Trouble::no_board()),
        1 => Ok(boards),
        _ if is_all => Ok(boards),
        many => Err(Trouble::usage(
            "station.which-board",
            &format!("{many} boards are attached and none is named"),
            help,
        )),
    }
}
