//! Which IP address stands for which slot: one table for `--ip`, lists and whatever carries IP to other programs.
//!
//! Every device believes that it is 192.168.35.2 on its own wire; what others see as .3, .4, … up to .254 is given out by
//! the PC (reference chip-to-pc-and-recovery.md, 2.2). A slot keeps its address when boards change (A-05, `assume`). The
//! table is bounded: when none is free, the slot without a board that was seen longest ago gives up its own.

use std::fmt;
use std::str::FromStr;

use lineside_terms::{Blame, Explain, SlotPath};

use crate::assume;

/// An address that stands for a slot: 192.168.35.2 to 192.168.35.254.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u8);

impl Address {
    /// The lowest, and the one by which the only board that is attached is reached whatever its slot has.
    pub const FIRST: Self = Self(2);
    /// The highest: clients accept no other (reference device-rest-api.md, 1).
    pub const LAST: Self = Self(254);

    /// The last of its four numbers.
    pub const fn last_number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "192.168.35.{}", self.0)
    }
}

impl FromStr for Address {
    type Err = NoAddress;
    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let number = text.strip_prefix("192.168.35.").ok_or(NoAddress)?;
        let is_plain = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u8 = number.parse().map_err(|_| NoAddress)?;
        let address = Self(number);
        let is_one = is_plain && (Self::FIRST..=Self::LAST).contains(&address);
        is_one.then_some(address).ok_or(NoAddress)
    }
}

/// A text is no address of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address of a device is 192.168.35.2 to 192.168.35.254")]
pub struct NoAddress;

/// No address is left: a board sits in every slot that has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no address is left for slot {slot}: each of the 253 has a board")]
pub struct Full {
    /// The slot that got none.
    pub slot: SlotPath,
}

impl Explain for Full {
    fn code(&self) -> &'static str {
        "link.addresses-full"
    }
    fn help(&self) -> String {
        "Name the board by its slot or its device id, or unplug another one.".to_owned()
    }
    fn blame(&self) -> Blame {
        Blame::Station
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    slot: SlotPath,
    address: Address,
    is_attached: bool,
}

/// Addresses by slot. Never more than 253, and never one for two slots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Who was seen longest ago comes first.
    entries: Vec<Entry>,
}

impl Addresses {
    /// A table that was kept, in its order: who was seen longest ago first. Of a slot or an address that comes twice the
    /// first counts, so that a table that somebody has edited gives each slot one address of its own.
    pub fn of_kept(kept: impl IntoIterator<Item = (SlotPath, Address)>) -> Self {
        let mut table = Self::default();
        for (slot, address) in kept {
            let is_new = table.of(&slot).is_none() && table.at(address).is_none();
            if is_new {
                table.entries.push(Entry {
                    slot,
                    address,
                    is_attached: false,
                });
            }
        }
        table
    }

    /// What is worth keeping, in the order that [`Self::of_kept`] takes.
    pub fn kept(&self) -> impl Iterator<Item = (&SlotPath, Address)> {
        self.entries.iter().map(|entry| (&entry.slot, entry.address))
    }

    /// A board is in this slot: it keeps the address that it has, or gets the lowest free one.
    ///
    /// # Errors
    /// When a board sits in each slot that has an address.
    pub fn attach(&mut self, slot: &SlotPath) -> Result<Address, Full> {
        let known = self.entries.iter().position(|entry| entry.slot == *slot);
        let address = match known {
            Some(place) => self.entries.remove(place).address,
            None => self.give().ok_or_else(|| Full { slot: slot.clone() })?,
        };
        self.entries.push(Entry {
            slot: slot.clone(),
            address,
            is_attached: true,
        });
        Ok(address)
    }

    /// The board in this slot is gone. The slot keeps its address for as long as no other needs it.
    pub fn detach(&mut self, slot: &SlotPath) {
        if let Some(place) = self.entries.iter().position(|entry| entry.slot == *slot) {
            let mut entry = self.entries.remove(place);
            entry.is_attached = false;
            if assume::IS_ADDRESS_KEPT_BY_ITS_SLOT {
                self.entries.push(entry);
            }
        }
    }

    /// The lowest address that nobody has, else that of the slot without a board that was seen longest ago.
    fn give(&mut self) -> Option<Address> {
        let mut is_given = [false; 256];
        for entry in &self.entries {
            is_given[usize::from(entry.address.0)] = true;
        }
        let mut all = Address::FIRST.0..=Address::LAST.0;
        let free = all.find(|number| !is_given[usize::from(*number)]);
        free.map(Address).or_else(|| {
            let idle = self.entries.iter().position(|entry| !entry.is_attached)?;
            Some(self.entries.remove(idle).address)
        })
    }

    /// The address of a slot, whether a board is in it or not.
    pub fn of(&self, slot: &SlotPath) -> Option<Address> {
        let entry = self.entries.iter().find(|entry| entry.slot == *slot)?;
        Some(entry.address)
    }

    fn at(&self, address: Address) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.address == address)
    }

    /// The slot with a board that an address reaches. With one board attached .2 reaches it, whatever its slot has.
    pub fn reach(&self, address: Address) -> Option<&SlotPath> {
        let mut attached = self.entries.iter().filter(|entry| entry.is_attached);
        let only = attached.next().filter(|_| attached.next().is_none());
        let own = self.at(address).filter(|entry| entry.is_attached);
        let reached = own.or(only.filter(|_| address == Address::FIRST))?;
        Some(&reached.slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn slot(number: usize) -> SlotPath {
        SlotPath::new(format!("slot-{number}")).unwrap()
    }

    fn address(number: u8) -> Address {
        format!("192.168.35.{number}").parse().unwrap()
    }

    #[test]
    fn only_the_addresses_of_devices_are_some() {
        assert_eq!(address(2), Address::FIRST);
        assert_eq!(address(254).to_string(), "192.168.35.254");
        for text in [
            "",
            "192.168.35.",
            "192.168.35.1",
            "192.168.35.255",
            "192.168.35.256",
            "192.168.35.02",
            "192.168.35.+2",
            "192.168.36.2",
            " 192.168.35.2",
            "192.168.35.2 ",
            "192.168.35.2/24",
            "2",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NoAddress), "{text:?}");
        }
    }

    #[test]
    fn slots_keep_their_addresses_and_two_reaches_the_only_board() {
        let mut table = Addresses::default();
        assert_eq!(table.attach(&slot(0)), Ok(address(2)));
        assert_eq!(table.attach(&slot(1)), Ok(address(3)));
        assert_eq!(table.attach(&slot(1)), Ok(address(3)));
        assert_eq!(table.reach(address(3)), Some(&slot(1)));
        table.detach(&slot(0));
        assert_eq!(table.reach(address(2)), Some(&slot(1)), "it is the only one");
        assert_eq!(table.reach(address(3)), Some(&slot(1)));
        assert_eq!(table.reach(address(4)), None);
        assert_eq!(table.attach(&slot(2)), Ok(address(4)), ".2 is kept for its slot");
        assert_eq!(table.reach(address(2)), None, "there are two");
        assert_eq!(table.attach(&slot(0)), Ok(address(2)));
        table.detach(&slot(9));
        let kept: Vec<_> = table
            .kept()
            .map(|(slot, address)| (slot.clone(), address))
            .collect();
        let again = Addresses::of_kept(kept);
        assert_eq!(
            (again.of(&slot(2)), again.reach(address(4))),
            (Some(address(4)), None)
        );
    }

    #[test]
    fn who_was_seen_longest_ago_gives_way_when_all_are_taken() {
        let mut table = Addresses::default();
        for number in 0..253 {
            table.attach(&slot(number)).unwrap();
        }
        let full = Full { slot: slot(253) };
        assert_eq!(table.attach(&slot(253)), Err(full));
        table.detach(&slot(7));
        table.detach(&slot(3));
        assert_eq!(table.attach(&slot(253)), Ok(address(9)), "7 left first");
        assert_eq!(table.of(&slot(7)), None);
        assert_eq!(table.of(&slot(3)), Some(address(5)));
        table.detach(&slot(253));
        assert_eq!(table.attach(&slot(7)), Ok(address(5)), "3 left before 253");
    }

    #[test]
    fn what_somebody_edited_gives_each_slot_one_address() {
        let table = Addresses::of_kept([
            (slot(0), address(2)),
            (slot(1), address(2)),
            (slot(0), address(3)),
            (slot(2), address(9)),
        ]);
        let kept: Vec<_> = table.kept().collect();
        assert_eq!(kept, [(&slot(0), address(2)), (&slot(2), address(9))]);
    }

    #[test]
    fn ten_thousand_boards_that_come_and_go_leave_nothing_behind() {
        let mut table = Addresses::default();
        for cycle in 0..10_000_usize {
            let at = slot(cycle.wrapping_mul(7919) % 1_000);
            table.attach(&at).unwrap();
            table.detach(&at);
            assert!(table.kept().count() <= 253);
        }
        // Nothing is lost either: all of them can be had.
        for number in 0..253 {
            table.attach(&slot(number)).unwrap();
        }
    }

    proptest! {
        #[test]
        fn no_address_has_two_slots(steps in proptest::collection::vec((any::<bool>(), 0usize..300), 0..700)) {
            let mut table = Addresses::default();
            let mut there = BTreeSet::new();
            for (is_attached, number) in steps {
                if is_attached {
                    if table.attach(&slot(number)).is_ok() {
                        there.insert(number);
                    } else {
                        prop_assert!(there.len() == 253);
                    }
                } else {
                    table.detach(&slot(number));
                    there.remove(&number);
                }
            }
            let addresses: BTreeSet<Address> = table.kept().map(|(_, address)| address).collect();
            prop_assert_eq!(addresses.len(), table.kept().count());
            // A board that is there never loses its address.
            for number in there {
                let address = table.of(&slot(number)).unwrap();
                prop_assert_eq!(table.reach(address), Some(&slot(number)));
            }
        }
    }
}
