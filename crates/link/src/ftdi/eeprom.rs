//! What is written in a board's EEPROM, and what is wrong with it (`chip-to-pc-and-recovery.md` 1.1).

use super::assume::eeprom::{
    MANUFACTURER_STRING, PRODUCT, PRODUCT_STRING as PRODUCT_NAME, SERIAL_STRING, VENDOR, WORDS,
};
use super::{PRODUCT_STRING, Transport, USB_IDS};
use crate::LinkError;

/// What the board's maker writes as the manufacturer.
const MANUFACTURER: &str = "Microsoft";
/// How serial numbers begin.
const SERIAL_PREFIX: &str = "AS";

/// The identity that is written in a board's EEPROM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Eeprom {
    /// USB vendor and product id.
    pub ids: (u16, u16),
    /// Manufacturer, where there is one that can be read.
    pub manufacturer: Option<String>,
    /// Product string, where there is one that can be read.
    pub product: Option<String>,
    /// Serial number, where there is one that can be read.
    pub serial: Option<String>,
}

/// Something about an EEPROM that is not as the vendor's tools want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub item: &'static str,
    /// What is written there; empty when nothing is.
    pub found: String,
    /// What should be.
    pub wanted: &'static str,
}

impl Eeprom {
    /// Reads the EEPROM of the board that this channel belongs to.
    ///
    /// # Errors
    /// When the board is gone or does not answer.
    pub fn read(transport: &mut dyn Transport) -> Result<Self, LinkError> {
        let mut content = Vec::new();
        for address in 0..WORDS {
            content.extend(transport.eeprom_word(address)?.to_le_bytes());
        }
        Ok(Self::parse(&content))
    }

    /// Finds the identity in the content of an EEPROM. Any content has one, if only an empty one.
    pub fn parse(content: &[u8]) -> Self {
        let word = |at: usize| {
            let bytes = content.get(at..at + 2);
            bytes.map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
        };
        Self {
            ids: (word(VENDOR), word(PRODUCT)),
            manufacturer: string(content, MANUFACTURER_STRING),
            product: string(content, PRODUCT_NAME),
            serial: string(content, SERIAL_STRING),
        }
    }

    /// What is not as it should be. That two boards share a serial number is for whoever sees both.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut check = |is_right: bool, item, found: String, wanted| {
            if !is_right {
                findings.push(Finding { item, found, wanted });
            }
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (vendor, product) = self.ids;
        check(
            self.ids == USB_IDS,
            "USB ids",
            format!("{vendor:04x}:{product:04x}"),
            "0403:6011",
        );
        check(
            self.manufacturer.as_deref() == Some(MANUFACTURER),
            "manufacturer",
            text(&self.manufacturer),
            MANUFACTURER,
        );
        check(
            self.product.as_deref() == Some(PRODUCT_STRING),
            "product",
            text(&self.product),
            PRODUCT_STRING,
        );
        let has_serial = self
            .serial
            .as_deref()
            .is_some_and(|serial| serial.starts_with(SERIAL_PREFIX));
        check(has_serial, "serial number", text(&self.serial), "AS…");
        findings
    }
}

/// The string whose place and length stand at `at`.
fn string(content: &[u8], at: usize) -> Option<String> {
    const STRING_DESCRIPTOR: u8 = 3;
    let (place, length) = (usize::from(*content.get(at)?), usize::from(*content.get(at + 1)?));
    // Places are counted in the whole address space of the chip family; smaller memories repeat.
    let place = place % content.len().max(1);
    let descriptor = content.get(place..place.checked_add(length)?)?;
    let (head, units) = descriptor.split_first_chunk::<2>()?;
    if usize::from(head[0]) != length || head[1] != STRING_DESCRIPTOR || units.len() % 2 != 0 {
        return None;
    }
    let units: Vec<u16> = units
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(strings: [&str; 3]) -> Vec<u8> {
        let mut content = vec![0; 256];
        content[2..6].copy_from_slice(&[0x03, 0x04, 0x11, 0x60]);
        let mut place = 0x1A;
        for (index, text) in strings.into_iter().enumerate() {
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let length = units.len() + 2;
            content[0x0E + 2 * index] = place as u8;
            content[0x0F + 2 * index] = length as u8;
            content[place..place + 2].copy_from_slice(&[length as u8, 3]);
            content[place + 2..place + length].copy_from_slice(&units);
            place += length;
        }
        content
    }

    #[test]
    fn a_board_is_recognised_and_others_are_told_of() {
        let good = Eeprom::parse(&image(["Microsoft", PRODUCT_STRING, "AS4F2K1"]));
        assert_eq!(good.serial.as_deref(), Some("AS4F2K1"));
        assert_eq!(good.findings(), []);
        let items = |eeprom: &Eeprom| {
            eeprom
                .findings()
                .iter()
                .map(|finding| finding.item)
                .collect::<Vec<_>>()
        };
        let other = Eeprom::parse(&image(["FTDI", "Quad RS232-HS", "FT123"]));
        assert_eq!(items(&other), ["manufacturer", "product", "serial number"]);
        assert_eq!(
            items(&Eeprom::parse(&[])),
            ["USB ids", "manufacturer", "product", "serial number"]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_content_is_read(content in proptest::collection::vec(0u8.., 0..300)) {
            let _ = Eeprom::parse(&content).findings();
        }
    }
}
