//! One channel of the interface chip.

use std::collections::VecDeque;

use super::netlist::Drive;

/// Bytes of the transmit and of the receive buffer of each channel.
const BUFFER: usize = 2048;
/// Bytes of a packet; two of them are status.
const PACKET: usize = 512;
/// Packets in one transfer.
const PACKETS: usize = 4;

/// What the pins do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Uart,
    AsyncBitBang,
}

/// One channel: its UART, and its eight pins.
#[derive(Debug)]
pub(super) struct ChannelState {
    baud: u32,
    has_eight_n_one: bool,
    rts_cts: bool,
    latency: u8,
    event_character: Option<u8>,
    mode: Mode,
    /// Bits that are outputs in bit-bang mode.
    mask: u8,
    /// What was written last in bit-bang mode.
    latch: u8,
    /// On the way to the other chip.
    unsent: VecDeque<u8>,
    /// On the way to the PC.
    received: VecDeque<u8>,
    /// Bytes were lost since the last packet.
    is_overrun: bool,
    /// A packet without bytes is due: the chip sends one when its latency timer ends.
    owes_status: bool,
}

impl Default for ChannelState {
    fn default() -> Self {
        Self {
            baud: 9600,
            has_eight_n_one: true,
            rts_cts: false,
            latency: 16,
            event_character: None,
            mode: Mode::Uart,
            mask: 0,
            latch: 0,
            unsent: VecDeque::new(),
            received: VecDeque::new(),
            is_overrun: false,
            owes_status: true,
        }
    }
}

impl ChannelState {
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn purge_unsent(&mut self) {
        self.unsent.clear();
    }

    pub(super) fn purge_received(&mut self) {
        self.received.clear();
    }

    pub(super) fn set_baud(&mut self, baud: u32) {
        self.baud = baud;
    }

    pub(super) fn set_data(&mut self, value: u16) {
        // Bits in the low byte, parity, stop bits and break above.
        self.has_eight_n_one = value == 8;
    }

    pub(super) fn set_flow(&mut self, rts_cts: bool) {
        self.rts_cts = rts_cts;
    }

    pub(super) fn set_latency(&mut self, milliseconds: u8) {
        self.latency = milliseconds;
    }

    pub(super) fn set_event_character(&mut self, byte: Option<u8>) {
        self.event_character = byte;
    }

    /// False for modes that are not modelled.
    pub(super) fn set_mode(&mut self, number: u8, mask: u8) -> bool {
        let mode = match number {
            0 => Mode::Uart,
            1 => Mode::AsyncBitBang,
            _ => return false,
        };
        if mode != self.mode {
            self.unsent.clear();
            self.received.clear();
        }
        self.mode = mode;
        self.mask = mask;
        true
    }

    pub(super) fn is_uart(&self) -> bool {
        self.mode == Mode::Uart
    }

    /// Speed, format and flow control, as long as the pins are those of a UART.
    pub(super) fn uart(&self) -> Option<(u32, bool)> {
        (self.is_uart() && self.has_eight_n_one).then_some((self.baud, self.rts_cts))
    }

    pub(super) fn latency(&self) -> u8 {
        self.latency
    }

    pub(super) fn event_character(&self) -> Option<u8> {
        self.event_character
    }

    /// What a pin drives. As a UART the upper pins are inputs, and those that are not have no net that matters here.
    pub(super) fn drive(&self, bit: u8) -> Drive {
        let is_output = self.mode == Mode::AsyncBitBang && self.mask >> bit & 1 == 1;
        is_output.then_some(self.latch >> bit & 1 == 1)
    }

    /// Takes what a bulk OUT transfer brings; what is not taken is asked for again.
    pub(super) fn bulk_out(&mut self, bytes: &[u8]) -> usize {
        if let Mode::AsyncBitBang = self.mode {
            // One after the other at the speed of the UART: what stays is the last.
            self.latch = bytes.last().copied().unwrap_or(self.latch);
            return bytes.len();
        }
        let count = bytes.len().min(BUFFER.saturating_sub(self.unsent.len()));
        self.unsent.extend(&bytes[..count]);
        count
    }

    /// What a bulk IN transfer brings, or nothing yet.
    pub(super) fn bulk_in(&mut self, pins: u8) -> Option<Vec<u8>> {
        if self.mode == Mode::AsyncBitBang {
            // Samples of the pins, without end; a few show what they are.
            let is_due = std::mem::replace(&mut self.owes_status, false);
            return is_due.then(|| [&self.status()[..], &[pins; 8]].concat());
        }
        let is_overrun = std::mem::take(&mut self.is_overrun);
        if self.received.is_empty() && !is_overrun && !std::mem::take(&mut self.owes_status) {
            return None;
        }
        let mut status = self.status();
        status[1] |= u8::from(is_overrun) << 1;
        let mut transfer = Vec::new();
        for packet in 0..PACKETS {
            if packet > 0 && self.received.is_empty() {
                break;
            }
            transfer.extend(status);
            let count = self.received.len().min(PACKET - status.len());
            transfer.extend(self.received.drain(..count));
            self.owes_status = count > 0;
            status = self.status();
            if count < PACKET - status.len() {
                break;
            }
        }
        Some(transfer)
    }

    /// The two status bytes: CTS and the receiver of high-speed chips in the first, transmitter in the second.
    pub(super) fn status(&self) -> [u8; 2] {
        // The other chip stops us by CTS, and then what was to be sent stays here.
        let is_clear = self.unsent.is_empty();
        [0x01 | u8::from(is_clear) << 4, 0x20 | u8::from(is_clear) << 6]
    }

    /// What is to go to the other chip; whoever carries it takes from the front.
    pub(super) fn unsent(&mut self) -> &mut VecDeque<u8> {
        &mut self.unsent
    }

    /// Room for what comes from the other chip: with flow control it waits, without it is lost.
    pub(super) fn room(&self) -> usize {
        if self.rts_cts {
            BUFFER.saturating_sub(self.received.len())
        } else {
            BUFFER
        }
    }

    /// Takes what comes from the other chip.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if !self.is_uart() {
            return;
        }
        let count = bytes.len().min(BUFFER.saturating_sub(self.received.len()));
        self.received.extend(&bytes[..count]);
        self.is_overrun |= count < bytes.len();
    }
}
