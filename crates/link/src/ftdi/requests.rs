//! The vendor requests of an interface chip (`chip-to-pc-and-recovery.md` 1.4), as values.

use super::assume::{EIGHTHS, TWELVE_MEGAHERTZ, request};
use super::{BitMode, Channel};

/// A vendor request on the control endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`: the channel, and for some requests more above it.
    pub index: u16,
}

const fn of(request: u8, value: u16, channel: Channel) -> Request {
    Request {
        request,
        value,
        index: channel.number() as u16,
    }
}

/// What the baud rate generator divides.
const CLOCK: u32 = 12_000_000;

/// Highest speed that the board is meant for, in baud (`chip-to-pc-and-recovery.md` 1.3).
pub const FASTEST: u32 = 3_000_000;
/// Lowest speed that the divisor can make, in baud.
pub const SLOWEST: u32 = CLOCK / (1 << 14) + 1;

impl Request {
    /// Resets the channel.
    pub const fn reset(channel: Channel) -> Self {
        of(request::RESET, 0, channel)
    }

    /// Throws away what was received.
    pub const fn purge_received(channel: Channel) -> Self {
        of(request::RESET, request::PURGE_RECEIVED, channel)
    }

    /// Throws away what was not sent yet.
    pub const fn purge_unsent(channel: Channel) -> Self {
        of(request::RESET, request::PURGE_UNSENT, channel)
    }

    /// RTS/CTS flow control, or none.
    pub const fn flow(channel: Channel, rts_cts: bool) -> Self {
        let mut request = of(request::SET_FLOW, 0, channel);
        if rts_cts {
            request.index |= 0x0100;
        }
        request
    }

    /// Speed; `None` when the chip cannot do it.
    pub const fn baud(channel: Channel, baud: u32) -> Option<Self> {
        if baud < SLOWEST || baud > FASTEST {
            return None;
        }
        // In eighths, to the nearest.
        let divisor = (CLOCK * 8 + baud / 2) / baud;
        let encoded = (divisor >> 3) | (EIGHTHS[(divisor & 7) as usize] << 14) | TWELVE_MEGAHERTZ;
        let mut request = of(request::SET_BAUD, (encoded & 0xFFFF) as u16, channel);
        request.index |= ((encoded >> 16) << 8) as u16;
        Some(request)
    }

    /// Eight data bits, no parity, one stop bit.
    pub const fn eight_n_one(channel: Channel) -> Self {
        of(request::SET_DATA, 8, channel)
    }

    /// Event character, or none.
    pub const fn event_character(channel: Channel, byte: Option<u8>) -> Self {
        let value = match byte {
            Some(byte) => 0x0100 | byte as u16,
            None => 0,
        };
        of(request::SET_EVENT_CHARACTER, value, channel)
    }

    /// Latency timer.
    pub const fn latency(channel: Channel, milliseconds: u8) -> Self {
        of(request::SET_LATENCY, milliseconds as u16, channel)
    }

    /// Bit mode: `wValue` is the mode above the mask.
    pub const fn bit_mode(channel: Channel, mode: BitMode, mask: u8) -> Self {
        let value = (mode.number() as u16) << 8 | mask as u16;
        of(request::SET_BIT_MODE, value, channel)
    }

    /// Asks for the two status bytes.
    pub const fn modem_status(channel: Channel) -> Self {
        of(request::MODEM_STATUS, 0, channel)
    }

    /// Asks for the levels of the pins: one byte.
    pub const fn pins(channel: Channel) -> Self {
        of(request::READ_PINS, 0, channel)
    }

    /// Asks for one word of the EEPROM; it belongs to no channel.
    pub const fn eeprom(address: u16) -> Self {
        Self {
            request: request::READ_EEPROM,
            value: 0,
            index: address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(request: u8, value: u16, index: u16) -> Request {
        Request {
            request,
            value,
            index,
        }
    }

    /// Divisors: 12 MHz in eighths (`chip-to-pc-and-recovery.md` 1.3): 104 1/8, 13, 4.
    #[test]
    fn golden_baud_rates() {
        assert_eq!(
            Request::baud(Channel::D, 115_200),
            Some(request(0x03, 0xC068, 0x0204))
        );
        assert_eq!(
            Request::baud(Channel::C, 921_600),
            Some(request(0x03, 0x000D, 0x0203))
        );
        assert_eq!(
            Request::baud(Channel::D, 3_000_000),
            Some(request(0x03, 0x0004, 0x0204))
        );
        // 1250 exactly; 156 1/4; a divisor whose code for eighths reaches into the upper half.
        assert_eq!(
            Request::baud(Channel::A, 9_600),
            Some(request(0x03, 0x04E2, 0x0201))
        );
        assert_eq!(
            Request::baud(Channel::A, 76_800),
            Some(request(0x03, 0x809C, 0x0201))
        );
        assert_eq!(
            Request::baud(Channel::A, 32_053),
            Some(request(0x03, 0x0176, 0x0301))
        );
        for wrong in [0, 1, SLOWEST - 1, FASTEST + 1, u32::MAX] {
            assert_eq!(Request::baud(Channel::A, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn golden_requests() {
        assert_eq!(
            Request::bit_mode(Channel::B, BitMode::AsyncBitBang, 0x40),
            request(0x0B, 0x0140, 2)
        );
        assert_eq!(
            Request::bit_mode(Channel::A, BitMode::Uart, 0),
            request(0x0B, 0, 1)
        );
        assert_eq!(Request::latency(Channel::C, 1), request(0x09, 1, 3));
        assert_eq!(Request::flow(Channel::C, true), request(0x02, 0, 0x0103));
        assert_eq!(Request::flow(Channel::D, false), request(0x02, 0, 4));
        assert_eq!(
            Request::event_character(Channel::C, Some(0xC0)),
            request(0x06, 0x01C0, 3)
        );
        assert_eq!(Request::event_character(Channel::C, None), request(0x06, 0, 3));
        assert_eq!(Request::eight_n_one(Channel::D), request(0x04, 8, 4));
        assert_eq!(Request::eeprom(9), request(0x90, 0, 9));
        assert_eq!(Request::purge_received(Channel::C), request(0, 2, 3));
        assert_eq!(Request::purge_unsent(Channel::C), request(0, 1, 3));
    }

    proptest::proptest! {
        #[test]
        fn every_speed_in_range_is_met_within_the_step_of_the_divisor(baud in SLOWEST..=FASTEST) {
            let request = Request::baud(Channel::C, baud).unwrap();
            let encoded = u32::from(request.index >> 8) << 16 | u32::from(request.value);
            let code = encoded >> 14 & 7;
            let eighths = EIGHTHS.iter().position(|known| *known == code).unwrap() as u32;
            let divisor = (encoded & 0x3FFF) * 8 + eighths;
            let made = f64::from(CLOCK) * 8.0 / f64::from(divisor);
            // The nearest step is never further than one step.
            proptest::prop_assert!((made / f64::from(baud) - 1.0).abs() <= 1.0 / f64::from(divisor));
        }
    }
}
