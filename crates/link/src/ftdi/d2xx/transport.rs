//! One channel through the driver's functions.

use super::calls::{Driver, Handle, Status};
use crate::ftdi::{BitMode, Channel, Chip, ModemStatus, Transport};
use crate::{LineSettings, LinkError};

/// Bytes of the driver's USB transfers: short ones come back sooner.
const TRANSFER: u32 = 4096;

/// How long one call may take, in milliseconds. What is read is there already and what is written has room, so this
/// is the pause that a board which suddenly takes nothing can cause.
const PATIENCE_MS: u32 = 5;

/// How often a byte for the pins is offered.
const PINS_TRIES: u32 = 20;

/// Overruns stand in the second byte of the driver's status, as in the chip's.
const STATUS_BYTES: fn(u32) -> [u8; 2] = |status| {
    let [modem, line, ..] = status.to_le_bytes();
    [modem, line]
};

/// A channel that the driver has opened for us.
#[derive(Debug)]
pub struct D2xxTransport {
    driver: Driver,
    handle: Handle,
    channel: Channel,
    overruns: u64,
    /// The last status told of lost bytes.
    is_overrun: bool,
}

impl D2xxTransport {
    fn failure(&self, function: &'static str, status: Status) -> LinkError {
        if status.is_departure() {
            LinkError::Departed
        } else {
            status.error(function)
        }
    }

    fn said<T>(&self, function: &'static str, answer: Result<T, Status>) -> Result<T, LinkError> {
        answer.map_err(|status| self.failure(function, status))
    }
}

impl Drop for D2xxTransport {
    fn drop(&mut self) {
        self.driver.close(self.handle);
    }
}

impl Transport for D2xxTransport {
    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.said("FT_SetBaudRate", self.driver.set_baud(self.handle, settings.baud))?;
        self.said(
            "FT_SetDataCharacteristics",
            self.driver.set_eight_n_one(self.handle),
        )?;
        self.said(
            "FT_SetFlowControl",
            self.driver.set_flow(self.handle, settings.rts_cts),
        )
    }

    fn set_latency(&mut self, milliseconds: u8) -> Result<(), LinkError> {
        self.said(
            "FT_SetLatencyTimer",
            self.driver.set_latency(self.handle, milliseconds),
        )
    }

    fn set_event_character(&mut self, byte: Option<u8>) -> Result<(), LinkError> {
        self.said("FT_SetChars", self.driver.set_event_character(self.handle, byte))
    }

    fn set_bit_mode(&mut self, mode: BitMode, mask: u8) -> Result<(), LinkError> {
        self.said(
            "FT_SetBitMode",
            self.driver.set_bit_mode(self.handle, mask, mode.number()),
        )
    }

    fn set_pins(&mut self, levels: u8) -> Result<(), LinkError> {
        for _ in 0..PINS_TRIES {
            if self.write(&[levels])? == 1 {
                return Ok(());
            }
        }
        Err(LinkError::Io {
            doing: format!("drive pins of channel {}", self.channel.letter()),
            reason: "FTDI's driver does not take the byte".into(),
        })
    }

    fn pins(&mut self) -> Result<u8, LinkError> {
        self.said("FT_GetBitMode", self.driver.pins(self.handle))
    }

    fn purge_received(&mut self) -> Result<(), LinkError> {
        self.said("FT_Purge", self.driver.purge(self.handle, true))
    }

    fn purge_unsent(&mut self) -> Result<(), LinkError> {
        self.said("FT_Purge", self.driver.purge(self.handle, false))
    }

    fn modem_status(&mut self) -> Result<ModemStatus, LinkError> {
        let status = STATUS_BYTES(self.said("FT_GetModemStatus", self.driver.modem_status(self.handle))?);
        let is_overrun = ModemStatus::tells_overrun(status);
        self.overruns += u64::from(is_overrun && !self.is_overrun);
        self.is_overrun = is_overrun;
        Ok(ModemStatus::of(status))
    }

    fn queued(&mut self) -> Result<usize, LinkError> {
        let queued = self.said("FT_GetQueueStatus", self.driver.queued(self.handle))?;
        if queued > 0 {
            // What was lost is told beside the bytes.
            self.modem_status()?;
        }
        Ok(queued)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        // The driver waits for all that is asked for.
        let there = self
            .said("FT_GetQueueStatus", self.driver.queued(self.handle))?
            .min(into.len());
        if there == 0 {
            return Ok(0);
        }
        self.said("FT_Read", self.driver.read(self.handle, &mut into[..there]))
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, LinkError> {
        if from.is_empty() {
            return Ok(0);
        }
        self.said("FT_Write", self.driver.write(self.handle, from))
    }

    fn overruns(&self) -> u64 {
        self.overruns
    }

    fn eeprom_word(&mut self, address: u16) -> Result<u16, LinkError> {
        self.said("FT_ReadEE", self.driver.eeprom_word(self.handle, address))
    }
}

/// The interface chip at a location.
#[derive(Debug, Clone)]
pub struct D2xxChip {
    driver: Driver,
    /// Where the chip is; the channel's number goes into the last digit.
    location: u32,
}

impl D2xxChip {
    /// The chip that sits there, as [`super::Found::location`] tells.
    pub const fn at(driver: Driver, location: u32) -> Self {
        Self { driver, location }
    }

    /// [`Chip::open`], with the type told.
    ///
    /// # Errors
    /// As [`Chip::open`].
    pub fn open_channel(&self, channel: Channel) -> Result<D2xxTransport, LinkError> {
        let location = self.location | u32::from(channel.number());
        let handle = self.driver.open_at(location).map_err(|status| match status {
            Status::NOT_FOUND => LinkError::Departed,
            Status::NOT_OPENED => LinkError::PortOpen,
            status => status.error("FT_OpenEx"),
        })?;
        let transport = D2xxTransport {
            driver: self.driver.clone(),
            handle,
            channel,
            overruns: 0,
            is_overrun: false,
        };
        transport.said("FT_SetUSBParameters", self.driver.set_transfers(handle, TRANSFER))?;
        transport.said("FT_SetTimeouts", self.driver.set_timeouts(handle, PATIENCE_MS))?;
        Ok(transport)
    }
}

impl Chip for D2xxChip {
    fn open(&self, channel: Channel) -> Result<Box<dyn Transport>, LinkError> {
        Ok(Box::new(self.open_channel(channel)?))
    }
}
