//! The interface chip: what requests and transfers do to it.

use super::channel::ChannelState;
use super::netlist::Nets;

/// Words of the EEPROM.
const EEPROM: usize = 128;

/// A vendor request to the device on the control endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
}

/// What the chip answers to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// It was asked for this.
    Data(Vec<u8>),
    /// It does not know the request.
    Stall,
}

/// An FT4232H. Without a clock of its own: what is sent is on the pins at once, and the latency timer ends when
/// somebody asks.
#[derive(Debug)]
pub struct InterfaceChip {
    channels: [ChannelState; 4],
    eeprom: Vec<u16>,
}

impl InterfaceChip {
    /// The chip of an interface board with this serial number (`chip-to-pc-and-recovery.md` 1.1).
    pub fn new(serial: &str) -> Self {
        Self {
            channels: Default::default(),
            eeprom: eeprom(["Microsoft", "MSFT MT3620 Std Interface", serial]),
        }
    }

    /// A vendor request. The channel is the low byte of `index`, from 1.
    pub fn control(&mut self, setup: Setup) -> Answer {
        let Setup {
            request,
            value,
            index,
        } = setup;
        if request == 0x90 {
            let word = self.eeprom[usize::from(index) % EEPROM];
            return Answer::Data(word.to_le_bytes().to_vec());
        }
        let [number, above] = index.to_le_bytes();
        let pins = self.pins(usize::from(number.wrapping_sub(1)));
        let Some(channel) = self.channels.get_mut(usize::from(number.wrapping_sub(1))) else {
            return Answer::Stall;
        };
        let [low, high] = value.to_le_bytes();
        match (request, value) {
            (0x00, 0) => channel.reset(),
            (0x00, 1) => channel.purge_unsent(),
            (0x00, 2) => channel.purge_received(),
            // RTS and DTR: no net that is modelled hangs on them.
            (0x01, _) => {}
            (0x02, _) => channel.set_flow(above & 0x01 != 0),
            (0x03, _) => match baud(value, above) {
                Some(baud) => channel.set_baud(baud),
                None => return Answer::Stall,
            },
            (0x04, _) => channel.set_data(value),
            (0x05, _) => return Answer::Data(channel.status().to_vec()),
            (0x06, _) => channel.set_event_character((high & 1 != 0).then_some(low)),
            // Parity errors: none is modelled.
            (0x07, _) => {}
            (0x09, 1..=255) => channel.set_latency(low),
            (0x0A, _) => return Answer::Data(vec![channel.latency()]),
            (0x0B, _) => {
                if !channel.set_mode(high, low) {
                    return Answer::Stall;
                }
            }
            (0x0C, _) => return Answer::Data(vec![pins]),
            _ => return Answer::Stall,
        }
        Answer::Done
    }

    /// A bulk OUT transfer to an endpoint. Returns how many bytes the chip has room for, or nothing when there is no
    /// such endpoint.
    pub fn bulk_out(&mut self, endpoint: u8, bytes: &[u8]) -> Option<usize> {
        let channel = endpoint.checked_sub(2).filter(|rest| rest % 2 == 0)? / 2;
        Some(self.channels.get_mut(usize::from(channel))?.bulk_out(bytes))
    }

    /// A bulk IN transfer from an endpoint: packets, each with its status. Nothing while the chip has nothing to say.
    pub fn bulk_in(&mut self, endpoint: u8) -> Option<Vec<u8>> {
        let channel = usize::from(endpoint.checked_sub(0x81).filter(|rest| rest % 2 == 0)? / 2);
        let pins = self.pins(channel);
        self.channels.get_mut(channel)?.bulk_in(pins)
    }

    /// What the nets of reset and strap are at.
    pub fn nets(&self) -> Nets {
        Nets::of(|channel, bit| self.channels[channel].drive(bit))
    }

    /// Speed in baud and whether RTS/CTS is used, of a channel from 0 that is a UART with the usual frames.
    pub fn uart(&self, channel: usize) -> Option<(u32, bool)> {
        self.channels.get(channel)?.uart()
    }

    /// The latency timer of a channel from 0, in milliseconds.
    pub fn latency(&self, channel: usize) -> Option<u8> {
        Some(self.channels.get(channel)?.latency())
    }

    /// The event character of a channel from 0.
    pub fn event_character(&self, channel: usize) -> Option<u8> {
        self.channels.get(channel)?.event_character()
    }

    pub(super) fn channel_mut(&mut self, channel: usize) -> &mut ChannelState {
        &mut self.channels[channel]
    }

    /// The levels of the pins of a channel: what they drive, and high for all else, as pulled up inside.
    fn pins(&self, channel: usize) -> u8 {
        let Some(channel) = self.channels.get(channel) else {
            return 0;
        };
        (0..8).fold(0, |pins, bit| {
            pins | u8::from(channel.drive(bit).unwrap_or(true)) << bit
        })
    }
}

/// The speed that a divisor makes: fourteen bits whole, a code for eighths, and which clock.
fn baud(value: u16, above: u8) -> Option<u32> {
    const EIGHTHS: [u32; 8] = [0, 4, 2, 1, 3, 5, 6, 7];
    let encoded = u32::from(above) << 16 | u32::from(value);
    let clock: u32 = if encoded >> 17 & 1 == 1 {
        12_000_000
    } else {
        3_000_000
    };
    let eighths = match encoded & 0x1_FFFF {
        0 => 8,
        1 => 12,
        divisor => (divisor & 0x3FFF) * 8 + EIGHTHS[(divisor >> 14 & 7) as usize],
    };
    (eighths >= 8).then(|| clock * 8 / eighths)
}

/// The content of the EEPROM: USB ids, and three strings as USB has them.
fn eeprom(strings: [&str; 3]) -> Vec<u16> {
    let mut bytes = vec![0; 2 * EEPROM];
    bytes[0x02..0x06].copy_from_slice(&[0x03, 0x04, 0x11, 0x60]);
    let mut place = 0x1A;
    for (index, text) in strings.into_iter().enumerate() {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = units.len() + 2;
        let Some(field) = bytes.get_mut(place..place + length) else {
            break;
        };
        field[0] = length as u8;
        field[1] = 3;
        field[2..].copy_from_slice(&units);
        bytes[0x0E + 2 * index] = place as u8;
        bytes[0x0F + 2 * index] = length as u8;
        place += length;
    }
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn told(chip: &mut InterfaceChip, request: u8, value: u16, index: u16) {
        assert_eq!(
            chip.control(Setup {
                request,
                value,
                index
            }),
            Answer::Done
        );
    }

    /// `chip-to-pc-and-recovery.md` 1.3: 115 200 is met within 0.04 %, 921 600 becomes 923 077, 3 000 000 is exact.
    #[test]
    fn speeds_follow_from_divisors() {
        let mut chip = InterfaceChip::new("AS1");
        for (value, index, baud) in [
            (0xC068, 0x0204, 115_246),
            (0x000D, 0x0204, 923_076),
            (0x0004, 0x0204, 3_000_000),
            (0x0000, 0x0204, 12_000_000),
            (0x4138, 0x0004, 9_600),
        ] {
            told(&mut chip, 0x03, value, index);
            assert_eq!(chip.uart(3), Some((baud, false)), "{value:x}");
        }
        told(&mut chip, 0x02, 0, 0x0104);
        assert_eq!(chip.uart(3), Some((9_600, true)));
        told(&mut chip, 0x04, 7, 4);
        assert_eq!(chip.uart(3), None, "seven bits are no frame of ours");
    }

    #[test]
    fn bit_bang_drives_what_the_mask_allows_and_leaving_it_releases_all() {
        let mut chip = InterfaceChip::new("AS1");
        let released = Nets {
            reset: Level::High,
            strap: Level::Low,
        };
        assert_eq!(chip.nets(), released);
        told(&mut chip, 0x0B, 0x0160, 4);
        assert_eq!(chip.bulk_out(0x08, &[0x20]), Some(1));
        assert_eq!(
            chip.nets(),
            Nets {
                reset: Level::Low,
                strap: Level::High
            }
        );
        assert_eq!(chip.uart(3), None);
        assert_eq!(
            chip.control(Setup {
                request: 0x0C,
                value: 0,
                index: 4
            }),
            Answer::Data(vec![0xBF])
        );
        told(&mut chip, 0x0B, 0, 4);
        assert_eq!(chip.nets(), released);
    }

    #[test]
    fn requests_and_endpoints_that_do_not_exist_are_refused() {
        let mut chip = InterfaceChip::new("AS1");
        for (request, value, index) in [
            (0x0B, 0x0101, 0),
            (0x0B, 0x0101, 5),
            (0x0B, 0x0901, 1),
            (0x42, 0, 1),
            (0x09, 0, 1),
        ] {
            assert_eq!(
                chip.control(Setup {
                    request,
                    value,
                    index
                }),
                Answer::Stall,
                "{request:x} {index}"
            );
        }
        for endpoint in [0, 1, 3, 0x0A, 0x82] {
            assert_eq!(chip.bulk_out(endpoint, &[1]), None, "{endpoint:x}");
        }
        assert_eq!(chip.bulk_in(0x82), None);
    }

    #[test]
    fn received_bytes_come_in_packets_with_status() {
        let mut chip = InterfaceChip::new("AS1");
        assert_eq!(chip.bulk_in(0x85), Some(vec![0x11, 0x60]), "an idle chip says so");
        assert_eq!(chip.bulk_in(0x85), None);
        chip.channel_mut(2).take(&[7; 600]);
        let transfer = chip.bulk_in(0x85).unwrap();
        assert_eq!(
            (transfer.len(), &transfer[..3], &transfer[512..515]),
            (604, &[0x11, 0x60, 7][..], &[0x11, 0x60, 7][..])
        );
        assert_eq!(chip.bulk_in(0x85), Some(vec![0x11, 0x60]));
        // Nobody fetches, and there is no flow control.
        chip.channel_mut(2).take(&[7; 3000]);
        assert_eq!(chip.bulk_in(0x85).unwrap()[1] & 0x02, 0x02);
    }

    proptest::proptest! {
        #[test]
        fn any_request_is_answered(calls in proptest::collection::vec((0u8.., 0u16.., 0u16.., 0u8..), 0..50)) {
            let mut chip = InterfaceChip::new("AS1");
            for (request, value, index, endpoint) in calls {
                chip.control(Setup { request, value, index });
                chip.bulk_out(endpoint, &[request]);
                chip.bulk_in(endpoint);
                chip.nets();
            }
        }
    }
}
