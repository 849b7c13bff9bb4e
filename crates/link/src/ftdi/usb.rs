//! The transport that speaks to the chip itself: vendor requests on the control endpoint, bytes on the bulk endpoints
//! of each channel.
//!
//! [`Pipes`] is all that is asked of a USB library, so that a model of the chip can stand in its place.

#[cfg(target_os = "linux")]
mod host;

use std::collections::VecDeque;
use std::time::Duration;

use super::{BitMode, Channel, ModemStatus, Request, Transport, strip};
use crate::{LineSettings, LinkError};

#[cfg(target_os = "linux")]
pub use host::UsbChip;

/// How long a byte for the pins may take to leave: nothing holds it, so this is a chip that does not answer.
const PINS_PATIENCE: Duration = Duration::from_millis(250);

/// Bytes that are kept before no more are fetched, so that flow control can do its work.
const KEPT: usize = 16 * 1024;

/// One channel of a chip on USB. `request` is a vendor request to the device on the control endpoint.
pub trait Pipes: Send {
    /// Sends a request that carries no data.
    ///
    /// # Errors
    /// [`LinkError::Departed`] when the board is gone, [`LinkError::Io`] when it refuses.
    fn tell(&mut self, request: Request) -> Result<(), LinkError>;

    /// Sends a request that is answered, with at most `into.len()` bytes. Returns how many came.
    ///
    /// # Errors
    /// As [`Pipes::tell`].
    fn ask(&mut self, request: Request, into: &mut [u8]) -> Result<usize, LinkError>;

    /// What a bulk IN transfer has brought: packets of which all but the last are full. `None` while nothing has come.
    ///
    /// # Errors
    /// As [`Pipes::tell`].
    fn receive(&mut self) -> Result<Option<Vec<u8>>, LinkError>;

    /// Begins to send some of `bytes` by bulk OUT. Returns how many were taken, zero while earlier ones are under way.
    ///
    /// # Errors
    /// As [`Pipes::tell`].
    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError>;

    /// Waits until all bytes taken are with the chip; false when that takes longer than `patience`.
    ///
    /// # Errors
    /// As [`Pipes::tell`].
    fn flush(&mut self, patience: Duration) -> Result<bool, LinkError>;
}

/// A channel that is spoken to by requests and bulk transfers.
#[derive(Debug)]
pub struct UsbTransport<P> {
    pipes: P,
    channel: Channel,
    received: VecDeque<u8>,
    overruns: u64,
}

impl<P: Pipes> UsbTransport<P> {
    /// The channel behind these pipes, as it is.
    pub fn new(pipes: P, channel: Channel) -> Self {
        Self {
            pipes,
            channel,
            received: VecDeque::new(),
            overruns: 0,
        }
    }

    fn fetch(&mut self) -> Result<(), LinkError> {
        while self.received.len() < KEPT {
            let Some(transfer) = self.pipes.receive()? else {
                break;
            };
            let received = &mut self.received;
            let told = strip(&transfer, |bytes| received.extend(bytes));
            self.overruns += told.overruns;
        }
        Ok(())
    }
}

impl<P: Pipes> Transport for UsbTransport<P> {
    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        let baud = Request::baud(self.channel, settings.baud).ok_or_else(|| LinkError::Io {
            doing: format!("set up channel {}", self.channel.letter()),
            reason: format!("the chip cannot do {} baud", settings.baud),
        })?;
        self.pipes.tell(baud)?;
        self.pipes.tell(Request::eight_n_one(self.channel))?;
        self.pipes.tell(Request::flow(self.channel, settings.rts_cts))
    }

    fn set_latency(&mut self, milliseconds: u8) -> Result<(), LinkError> {
        self.pipes.tell(Request::latency(self.channel, milliseconds))
    }

    fn set_event_character(&mut self, byte: Option<u8>) -> Result<(), LinkError> {
        self.pipes.tell(Request::event_character(self.channel, byte))
    }

    fn set_bit_mode(&mut self, mode: BitMode, mask: u8) -> Result<(), LinkError> {
        self.pipes.tell(Request::bit_mode(self.channel, mode, mask))
    }

    fn set_pins(&mut self, levels: u8) -> Result<(), LinkError> {
        let is_sent = self.pipes.flush(PINS_PATIENCE)?
            && self.pipes.send(&[levels])? == 1
            && self.pipes.flush(PINS_PATIENCE)?;
        if is_sent {
            Ok(())
        } else {
            Err(LinkError::Io {
                doing: format!("drive pins of channel {}", self.channel.letter()),
                reason: "the interface chip does not take the byte".into(),
            })
        }
    }

    fn pins(&mut self) -> Result<u8, LinkError> {
        let mut pins = [0];
        answered(
            self.pipes.ask(Request::pins(self.channel), &mut pins)?,
            pins.len(),
        )?;
        Ok(pins[0])
    }

    fn purge_received(&mut self) -> Result<(), LinkError> {
        self.pipes.tell(Request::purge_received(self.channel))?;
        // What had left the chip before.
        self.fetch()?;
        self.received.clear();
        Ok(())
    }

    fn purge_unsent(&mut self) -> Result<(), LinkError> {
        self.pipes.tell(Request::purge_unsent(self.channel))
    }

    fn modem_status(&mut self) -> Result<ModemStatus, LinkError> {
        let mut status = [0; 2];
        answered(
            self.pipes.ask(Request::modem_status(self.channel), &mut status)?,
            status.len(),
        )?;
        Ok(ModemStatus::of(status))
    }

    fn queued(&mut self) -> Result<usize, LinkError> {
        self.fetch()?;
        Ok(self.received.len())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.fetch()?;
        let count = into.len().min(self.received.len());
        for (to, byte) in into.iter_mut().zip(self.received.drain(..count)) {
            *to = byte;
        }
        Ok(count)
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, LinkError> {
        self.pipes.send(from)
    }

    fn overruns(&self) -> u64 {
        self.overruns
    }

    fn eeprom_word(&mut self, address: u16) -> Result<u16, LinkError> {
        let mut word = [0; 2];
        answered(self.pipes.ask(Request::eeprom(address), &mut word)?, word.len())?;
        Ok(u16::from_le_bytes(word))
    }
}

fn answered(came: usize, wanted: usize) -> Result<(), LinkError> {
    if came == wanted {
        return Ok(());
    }
    Err(LinkError::Io {
        doing: "ask the interface chip".into(),
        reason: format!("{came} bytes came where {wanted} were asked for"),
    })
}
