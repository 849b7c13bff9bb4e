//! What the reference does not tell about the interface chip, in one place. All of it is how FT4232H chips and their
//! drivers are known to behave; a trace of a real board settles it.

/// `chip-to-pc-and-recovery.md` 1.4: the vendor requests that are not numbered there: reset 0x00 (value 1 throws away
/// what was not sent, 2 what was received), data format 0x04, modem status 0x05, event character 0x06, pins 0x0C,
/// EEPROM 0x90.
pub(super) mod request {
    pub(in crate::ftdi) const RESET: u8 = 0x00;
    pub(in crate::ftdi) const PURGE_UNSENT: u16 = 1;
    pub(in crate::ftdi) const PURGE_RECEIVED: u16 = 2;
    pub(in crate::ftdi) const SET_FLOW: u8 = 0x02;
    pub(in crate::ftdi) const SET_BAUD: u8 = 0x03;
    pub(in crate::ftdi) const SET_DATA: u8 = 0x04;
    pub(in crate::ftdi) const MODEM_STATUS: u8 = 0x05;
    pub(in crate::ftdi) const SET_EVENT_CHARACTER: u8 = 0x06;
    pub(in crate::ftdi) const SET_LATENCY: u8 = 0x09;
    pub(in crate::ftdi) const SET_BIT_MODE: u8 = 0x0B;
    pub(in crate::ftdi) const READ_PINS: u8 = 0x0C;
    pub(in crate::ftdi) const READ_EEPROM: u8 = 0x90;
}

/// `chip-to-pc-and-recovery.md` 1.3: how a divisor is written: whole part in 14 bits, eighths as a code in three more
/// (of which the highest is in the upper half), and bit 17 for the 12 MHz clock of high-speed chips.
pub(super) const EIGHTHS: [u32; 8] = [0, 3, 2, 4, 1, 5, 6, 7];
/// See [`EIGHTHS`].
pub(super) const TWELVE_MEGAHERTZ: u32 = 1 << 17;

/// `chip-to-pc-and-recovery.md` 8.2: each bulk IN packet begins with two bytes; of the first, 0x10 says that CTS is
/// active, of the second 0x02 that bytes were lost and 0x40 that the transmitter is empty.
pub(super) const CTS: u8 = 0x10;
/// See [`CTS`].
pub(super) const OVERRUN: u8 = 0x02;
/// See [`CTS`].
pub(super) const TRANSMITTER_EMPTY: u8 = 0x40;

/// `chip-to-pc-and-recovery.md` 1.1: bytes of the transmit buffer of each channel of an FT4232H.
pub(super) const TRANSMIT_BUFFER: usize = 2048;

/// `windows.md` 3: D2XX ends the product string, and the serial number, of each channel with the channel's letter.
pub(super) const LETTERS: [char; 4] = ['A', 'B', 'C', 'D'];

/// `windows.md` 3: in D2XX's list bit 0 of a channel's flags says that some program has it open; then the list may
/// hold nothing else of it, not even its ids.
pub(super) const IS_OPEN: u32 = 1;

/// `chip-to-pc-and-recovery.md` 1.1: where things stand in the EEPROM of an FT4232H, as offsets in bytes: USB ids, and
/// for manufacturer, product and serial number where their USB string descriptors stand and how long they are.
pub(super) mod eeprom {
    pub(in crate::ftdi) const VENDOR: usize = 0x02;
    pub(in crate::ftdi) const PRODUCT: usize = 0x04;
    pub(in crate::ftdi) const MANUFACTURER_STRING: usize = 0x0E;
    pub(in crate::ftdi) const PRODUCT_STRING: usize = 0x10;
    pub(in crate::ftdi) const SERIAL_STRING: usize = 0x12;
    /// Words that are read: the larger of the chips that are in use.
    pub(in crate::ftdi) const WORDS: u16 = 128;
}
