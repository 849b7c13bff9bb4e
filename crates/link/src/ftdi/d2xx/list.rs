//! Which boards the driver's list tells of, and what is wrong with their locations.

use std::collections::BTreeMap;
use std::ffi::c_char;

use lineside_terms::SlotPath;

use super::DeviceNode;
use crate::assume::connection_path;
use crate::ftdi::assume::{IS_OPEN, LETTERS};
use crate::ftdi::{Channel, PRODUCT_STRING, USB_IDS};

/// A board as the operating system itself tells of it, for when the driver does not know where it sits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemBoard {
    /// Serial number of the interface board.
    pub serial: Option<String>,
    /// Its socket, by [`path_of_system`].
    pub slot: SlotPath,
}

/// An interface board of the driver's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its socket.
    pub slot: SlotPath,
    /// Serial number of the interface board, if it has one.
    pub serial: Option<String>,
    /// Location of channel A less one: where it sits, in the driver's numbers. `None` when it cannot be opened so.
    pub location: Option<u32>,
    /// Somebody has its service channel open.
    pub is_taken: bool,
    /// Why it could not be opened.
    pub trouble: Option<String>,
}

impl Found {
    /// Where the driver says that a channel of this board is.
    pub fn location_of(&self, channel: Channel) -> Option<u32> {
        self.location
            .map(|location| location | u32::from(channel.number()))
    }
}

/// The channel's number is the last digit of a location.
const CHANNEL_DIGIT: u32 = 0xF;

/// One channel of an interface board, as its node tells.
struct Told {
    location: u32,
    /// By the letter at the end of its description.
    letter: Option<char>,
    serial: Option<String>,
    is_open: bool,
}

/// The boards in the driver's list, in order of their slots. Whatever has other ids or another product string is no
/// board. Nodes may hold anything.
///
/// Location ids of zero and ids that two channels share name no place: such boards are told of by the place that the
/// `system` gives for their serial number, if one board alone has it, and cannot be opened.
pub fn boards(nodes: &[DeviceNode], system: &[SystemBoard]) -> Vec<Found> {
    let told: Vec<Told> = nodes.iter().filter_map(told).collect();
    let mut count_at: BTreeMap<u32, usize> = BTreeMap::new();
    for channel in &told {
        *count_at.entry(channel.location).or_default() += 1;
    }
    let names_a_place =
        |channel: &&Told| channel.location != 0 && count_at.get(&channel.location) == Some(&1);
    let mut groups: BTreeMap<u32, Vec<&Told>> = BTreeMap::new();
    for channel in told.iter().filter(names_a_place) {
        groups
            .entry(channel.location & !CHANNEL_DIGIT)
            .or_default()
            .push(channel);
    }
    // The driver hides what it knows of channels that others have open.
    let is_somebody_there = nodes.iter().any(|node| node.flags & IS_OPEN != 0 && node.id == 0);
    let mut boards: Vec<Found> = groups
        .into_iter()
        .filter_map(|(location, channels)| board(location, &channels, is_somebody_there))
        .collect();
    let homeless = told.iter().filter(|channel| !names_a_place(channel));
    boards.extend(displaced(homeless, system));
    boards.sort_by(|a, b| a.slot.cmp(&b.slot));
    boards.dedup_by(|a, b| a.slot == b.slot);
    boards
}

/// True when the list has channels of interface boards whose locations name no place.
pub(super) fn has_displaced(nodes: &[DeviceNode]) -> bool {
    let mut locations: Vec<u32> = nodes
        .iter()
        .filter_map(told)
        .map(|channel| channel.location)
        .collect();
    locations.sort_unstable();
    locations.first() == Some(&0) || locations.windows(2).any(|pair| pair[0] == pair[1])
}

fn told(node: &DeviceNode) -> Option<Told> {
    let ids = (u32::from(USB_IDS.0) << 16) | u32::from(USB_IDS.1);
    if node.id != ids {
        return None;
    }
    let description = text(&node.description)?;
    let (letter, product) = split_letter(&description, " ");
    if product != PRODUCT_STRING {
        return None;
    }
    let serial = text(&node.serial);
    let serial = serial.map(|serial| match split_letter(&serial, "") {
        (found, short) if found.is_some() && found == letter => short.to_owned(),
        _ => serial.clone(),
    });
    Some(Told {
        location: node.location,
        letter,
        serial: serial.filter(|serial| !serial.is_empty()),
        is_open: node.flags & IS_OPEN != 0,
    })
}

/// Splits the letter of a channel off the end of a text.
fn split_letter<'a>(text: &'a str, between: &str) -> (Option<char>, &'a str) {
    let letter = text.chars().next_back().filter(|letter| LETTERS.contains(letter));
    let rest = letter.and_then(|letter| text.strip_suffix(letter)?.strip_suffix(between));
    match rest {
        Some(rest) => (letter, rest),
        None => (None, text),
    }
}

/// A text of the driver: bytes up to a zero, or all of them.
fn text(field: &[c_char]) -> Option<String> {
    let bytes: Vec<u8> = field
        .iter()
        .map(|c| *c as u8)
        .take_while(|byte| *byte != 0)
        .collect();
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

fn board(location: u32, channels: &[&Told], is_somebody_there: bool) -> Option<Found> {
    let slot = path_of_location(location | u32::from(Channel::C.number()))?;
    let number = |channel: &Told| Channel::numbered((channel.location & CHANNEL_DIGIT) as u8);
    let service = channels
        .iter()
        .find(|channel| number(channel) == Some(Channel::C));
    let is_mixed_up = channels
        .iter()
        .any(|channel| match (number(channel), channel.letter) {
            (Some(channel), Some(letter)) => channel.letter() != letter,
            (None, _) => true,
            (Some(_), None) => false,
        });
    let trouble = if is_mixed_up {
        Some("the driver's locations do not fit its channels: update FTDI's driver".to_owned())
    } else if service.is_none() && !is_somebody_there {
        Some("the driver does not offer the board's service port: update FTDI's driver".to_owned())
    } else {
        None
    };
    Some(Found {
        slot,
        serial: channels.iter().find_map(|channel| channel.serial.clone()),
        location: trouble.is_none().then_some(location),
        is_taken: service.map_or(is_somebody_there, |channel| channel.is_open),
        trouble,
    })
}

/// Boards of which the driver gives no usable location.
fn displaced<'a>(channels: impl Iterator<Item = &'a Told>, system: &[SystemBoard]) -> Vec<Found> {
    let mut serials: Vec<&String> = channels.filter_map(|channel| channel.serial.as_ref()).collect();
    serials.sort();
    serials.dedup();
    let found = serials.into_iter().filter_map(|serial| {
        let mut same = system.iter().filter(|board| board.serial.as_ref() == Some(serial));
        let (Some(board), None) = (same.next(), same.next()) else {
            tracing::warn!(serial, "a board cannot be told from others: its driver gives no location");
            return None;
        };
        Some(Found {
            slot: board.slot.clone(),
            serial: Some(serial.clone()),
            location: None,
            is_taken: false,
            trouble: Some(
                "FTDI's driver gives no unique location for it: plug it into another hub, or update the driver".into(),
            ),
        })
    });
    found.collect()
}

/// The connection path of a location: its hex digits (`chip-to-pc-and-recovery.md` 1.5). `None` for zero.
pub fn path_of_location(location: u32) -> Option<SlotPath> {
    (location != 0)
        .then(|| SlotPath::new(format!("{location:x}")).ok())
        .flatten()
}

/// The connection path of a place as Windows writes it, `PCIROOT(0)#PCI(1400)#USBROOT(0)#USB(2)#USB(1)`: root hub and
/// ports, by the rule that holds on Linux. `None` for everything else.
pub fn path_of_system(place: &str) -> Option<SlotPath> {
    let number = |part: &str, word: &str| -> Option<u8> {
        part.strip_prefix(word)?
            .strip_prefix('(')?
            .strip_suffix(')')?
            .parse()
            .ok()
    };
    let mut parts = place.split('#').skip_while(|part| !part.starts_with("USBROOT("));
    let root = number(parts.next()?, "USBROOT")?.checked_add(1)?;
    let ports = parts
        .map(|part| number(part, "USB"))
        .collect::<Option<Vec<u8>>>()?;
    if ports.is_empty() {
        return None;
    }
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    connection_path(&format!("{root}-{}", ports.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<const N: usize>(text: &str) -> [c_char; N] {
        let mut field = [0; N];
        for (to, byte) in field.iter_mut().zip(text.bytes()) {
            *to = byte as c_char;
        }
        field
    }

    fn node(location: u32, letter: char, serial: &str) -> DeviceNode {
        DeviceNode {
            id: 0x0403_6011,
            location,
            serial: field(&format!("{serial}{letter}")),
            description: field(&format!("{PRODUCT_STRING} {letter}")),
            ..DeviceNode::EMPTY
        }
    }

    fn chip(location: u32, serial: &str) -> Vec<DeviceNode> {
        Channel::ALL
            .map(|c| node(location | u32::from(c.number()), c.letter(), serial))
            .to_vec()
    }

    fn slots(found: &[Found]) -> Vec<&str> {
        found.iter().map(|board| board.slot.as_str()).collect()
    }

    #[test]
    fn boards_are_found_by_ids_and_product_and_named_by_the_location_of_channel_c() {
        let mut nodes = chip(0x1240, "AS2");
        nodes.extend(chip(0x110, "AS1"));
        let mut other = chip(0x130, "FT3");
        other
            .iter_mut()
            .for_each(|node| node.description = field("Quad RS232-HS A"));
        nodes.extend(other);
        let mut wrong_id = chip(0x140, "AS4");
        wrong_id.iter_mut().for_each(|node| node.id = 0x0403_6010);
        nodes.extend(wrong_id);
        let found = boards(&nodes, &[]);
        assert_eq!(slots(&found), ["113", "1243"]);
        assert_eq!(found[0].serial.as_deref(), Some("AS1"));
        assert_eq!(found[0].location_of(Channel::D), Some(0x114));
        assert!(
            found
                .iter()
                .all(|board| board.trouble.is_none() && !board.is_taken)
        );
    }

    #[test]
    fn boards_that_others_have_open_are_there_and_taken() {
        let mut nodes = chip(0x110, "AS1");
        nodes[2].flags = 1;
        assert!(boards(&nodes, &[])[0].is_taken);
        // Some versions of the driver say nothing but that somebody has it.
        nodes[2] = DeviceNode {
            flags: 1,
            ..DeviceNode::EMPTY
        };
        let found = boards(&nodes, &[]);
        assert!(found[0].is_taken && found[0].trouble.is_none());
        nodes.remove(2);
        let found = boards(&nodes, &[]);
        assert!(found[0].trouble.as_deref().unwrap().contains("service port"));
        assert_eq!(found[0].location, None);
    }

    #[test]
    fn locations_of_zero_and_shared_ones_open_nothing() {
        let system = |serial: &str, slot: &str| SystemBoard {
            serial: Some(serial.into()),
            slot: SlotPath::new(slot).unwrap(),
        };
        let known = [system("AS1", "113"), system("AS2", "123")];
        let zero: Vec<DeviceNode> = chip(0, "AS1")
            .into_iter()
            .map(|node| DeviceNode { location: 0, ..node })
            .collect();
        let found = boards(&zero, &known);
        assert_eq!(slots(&found), ["113"]);
        assert!(found[0].location.is_none() && found[0].trouble.as_deref().unwrap().contains("location"));

        let mut shared = chip(0x110, "AS1");
        shared.extend(chip(0x110, "AS2"));
        let found = boards(&shared, &known);
        assert_eq!(slots(&found), ["113", "123"]);
        assert!(found.iter().all(|board| board.location.is_none()));
        // Nobody can tell two boards with one serial number apart.
        let mut twins = chip(0x110, "AS1");
        twins.extend(chip(0x110, "AS1"));
        assert_eq!(boards(&twins, &[system("AS1", "113"), system("AS1", "123")]), []);
        assert_eq!(boards(&zero, &[]), []);
    }

    #[test]
    fn locations_that_do_not_fit_their_channels_open_nothing() {
        let mut nodes = chip(0x110, "AS1");
        nodes.swap(2, 3);
        (nodes[2].location, nodes[3].location) = (0x113, 0x114);
        let found = boards(&nodes, &[]);
        assert_eq!((slots(&found), found[0].location), (vec!["113"], None));
    }

    #[test]
    fn golden_paths() {
        let path = |location| path_of_location(location).map(|path| path.to_string());
        assert_eq!((path(0x12113), path(0)), (Some("12113".into()), None));
        let place = |text: &str| path_of_system(text).map(|path| path.to_string());
        assert_eq!(
            place("PCIROOT(0)#PCI(1400)#USBROOT(0)#USB(2)#USB(1)").as_deref(),
            Some("1213")
        );
        for wrong in [
            "",
            "USBROOT(0)",
            "USBROOT(0)#USB(x)",
            "USBROOT(255)#USB(1)",
            "PCIROOT(0)#PCI(1400)",
        ] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_nodes_are_read(raw in proptest::collection::vec(
            (proptest::prelude::any::<u32>(), 0u32..0x40, proptest::collection::vec(0u8.., 80), 0u8..4), 0..12),
        ) {
            let nodes: Vec<DeviceNode> = raw.iter().map(|(flags, location, bytes, kind)| {
                let mut node = DeviceNode { flags: *flags, location: *location, ..DeviceNode::EMPTY };
                let mut bytes = bytes.iter().map(|byte| *byte as c_char);
                node.serial.fill_with(|| bytes.next().unwrap());
                node.description.fill_with(|| bytes.next().unwrap());
                if *kind > 0 {
                    node.id = 0x0403_6011;
                    node.description = field(&format!("{PRODUCT_STRING} C"));
                }
                node
            }).collect();
            let found = boards(&nodes, &[]);
            // Never two boards at one place, never one that would be opened at none.
            for pair in found.windows(2) {
                proptest::prop_assert!(pair[0].slot < pair[1].slot);
            }
            for board in found {
                proptest::prop_assert!(board.location_of(Channel::C) != Some(0));
            }
        }
    }
}
