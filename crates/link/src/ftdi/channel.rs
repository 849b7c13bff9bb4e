//! The four channels of an interface chip, and what each is for.

use crate::Port;

/// A channel of the interface chip (`chip-to-pc-and-recovery.md` 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Debug UART; its CTS# pin is wired to the recovery strap.
    A,
    /// SWD, and one copy of the reset line.
    B,
    /// Service UART.
    C,
    /// Recovery UART, the recovery strap and the other copy of the reset line.
    D,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// Its USB interface, from 0.
    pub const fn interface(self) -> u8 {
        self as u8
    }

    /// Its number in the `wIndex` of vendor requests and at the end of location ids: 1 to 4
    /// (`chip-to-pc-and-recovery.md` 1.4, 1.5).
    pub const fn number(self) -> u8 {
        self.interface() + 1
    }

    /// The channel with this [`number`](Self::number).
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.number() == number)
    }

    /// Address of its bulk IN endpoint.
    pub const fn endpoint_in(self) -> u8 {
        0x81 + 2 * self.interface()
    }

    /// Address of its bulk OUT endpoint.
    pub const fn endpoint_out(self) -> u8 {
        0x02 + 2 * self.interface()
    }

    /// The letter that people and drivers call it by.
    pub const fn letter(self) -> char {
        super::assume::LETTERS[self as usize]
    }
}

impl From<Port> for Channel {
    fn from(port: Port) -> Self {
        match port {
            Port::Debug => Self::A,
            Port::Service => Self::C,
            Port::Recovery => Self::D,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_as_the_reference_tells() {
        let table = Channel::ALL.map(|c| {
            (
                c.letter(),
                c.interface(),
                c.endpoint_in(),
                c.endpoint_out(),
                c.number(),
            )
        });
        assert_eq!(
            table,
            [
                ('A', 0, 0x81, 0x02, 1),
                ('B', 1, 0x83, 0x04, 2),
                ('C', 2, 0x85, 0x06, 3),
                ('D', 3, 0x87, 0x08, 4)
            ]
        );
        assert_eq!(Channel::numbered(3), Some(Channel::C));
        assert_eq!((Channel::numbered(0), Channel::numbered(5)), (None, None));
    }
}
