//! What an interface chip can be asked, whoever carries the question.

use crate::ftdi::Channel;
use crate::{LineSettings, LinkError};

/// Milliseconds after which a chip delivers what it has received although its packet is not full. The shortest that it
/// can do: one wait for each block of a transfer (`chip-to-pc-and-recovery.md` 1.3).
pub const LATENCY_MS: u8 = 1;

/// What a channel's pins do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BitMode {
    /// What the UART says; everything that bit-bang drove is released.
    Uart,
    /// Each byte sent is put on the pins whose mask bit is set; the others are inputs.
    AsyncBitBang,
}

impl BitMode {
    /// Its number in the request (`chip-to-pc-and-recovery.md` 1.4).
    pub const fn number(self) -> u8 {
        match self {
            Self::Uart => 0,
            Self::AsyncBitBang => 1,
        }
    }
}

/// What a channel tells about itself beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModemStatus {
    /// The other end is ready to receive.
    pub is_clear_to_send: bool,
    /// Everything handed over has left.
    pub is_transmitter_empty: bool,
}

/// One open channel. Nothing here waits longer than a USB request takes; `read` and `write` do what they can do now.
/// Every method answers [`LinkError::Departed`] once the board is gone.
pub trait Transport: Send {
    /// Sets speed and flow control; frames are 8N1.
    ///
    /// # Errors
    /// When the chip cannot have these settings.
    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError>;

    /// Sets the latency timer.
    ///
    /// # Errors
    /// As told above.
    fn set_latency(&mut self, milliseconds: u8) -> Result<(), LinkError>;

    /// Delivers what was received at this byte at once instead of waiting for more.
    ///
    /// # Errors
    /// As told above.
    fn set_event_character(&mut self, byte: Option<u8>) -> Result<(), LinkError>;

    /// Says what the pins do; bits of `mask` that are set are driven.
    ///
    /// # Errors
    /// As told above.
    fn set_bit_mode(&mut self, mode: BitMode, mask: u8) -> Result<(), LinkError>;

    /// Puts a byte on the pins, in bit-bang mode.
    ///
    /// # Errors
    /// When the chip does not take it within a moment.
    fn set_pins(&mut self, levels: u8) -> Result<(), LinkError>;

    /// The levels of all eight pins.
    ///
    /// # Errors
    /// As told above.
    fn pins(&mut self) -> Result<u8, LinkError>;

    /// Throws away what was received.
    ///
    /// # Errors
    /// As told above.
    fn purge_received(&mut self) -> Result<(), LinkError>;

    /// Throws away what was not sent yet.
    ///
    /// # Errors
    /// As told above.
    fn purge_unsent(&mut self) -> Result<(), LinkError>;

    /// What the channel tells about itself.
    ///
    /// # Errors
    /// As told above.
    fn modem_status(&mut self) -> Result<ModemStatus, LinkError>;

    /// How many bytes can be read now.
    ///
    /// # Errors
    /// As told above.
    fn queued(&mut self) -> Result<usize, LinkError>;

    /// Reads what is there, which may be nothing.
    ///
    /// # Errors
    /// As told above.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError>;

    /// Takes some of `from`, which may be nothing.
    ///
    /// # Errors
    /// As told above.
    fn write(&mut self, from: &[u8]) -> Result<usize, LinkError>;

    /// How often bytes were lost because nobody fetched them in time.
    fn overruns(&self) -> u64;

    /// One word of the board's EEPROM.
    ///
    /// # Errors
    /// As told above.
    fn eeprom_word(&mut self, address: u16) -> Result<u16, LinkError>;
}

/// An interface chip whose channels are opened one by one, each for this process alone.
pub trait Chip {
    /// Opens a channel.
    ///
    /// # Errors
    /// [`LinkError::PortOpen`] when somebody has it, [`LinkError::Lacking`] when it cannot be reached this way,
    /// [`LinkError::Departed`] when the board is gone.
    fn open(&self, channel: Channel) -> Result<Box<dyn Transport>, LinkError>;

    /// Lets go of all lines that a program left driven when it was killed. What cannot be opened is passed over:
    /// whoever has it answers for it.
    ///
    /// # Errors
    /// When the board is gone.
    fn release_lines(&self) -> Result<(), LinkError> {
        for channel in [Channel::A, Channel::B, Channel::D] {
            match self
                .open(channel)
                .and_then(|mut open| open.set_bit_mode(BitMode::Uart, 0))
            {
                Err(LinkError::Departed) => return Err(LinkError::Departed),
                Err(error) => tracing::debug!(%error, ?channel, "left as it is"),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}
