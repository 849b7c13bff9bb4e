//! XMODEM with checksums of 16 bits, blocks of 128 or 1024 bytes, as machines without I/O or clock
//! (`chip-to-pc-and-recovery.md` 5.2).
//!
//! Owners of either end feed bytes in, ask for bytes out and come back at `next_wake`. Neither end reads a byte beyond
//! its transfer: what follows belongs to another protocol. How long things are waited for is assumption A-12.

use std::time::Duration;

use lineside_terms::Instant;

use crate::crc::crc16;
use crate::recovery::assume::{BLOCK_RETRIES, BLOCK_TIMEOUT, BYTE_TIMEOUT, ROM_ASKS_EVERY, TAKES_1K};

const SOH: u8 = 0x01;
const STX: u8 = 0x02;
const EOT: u8 = 0x04;
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
const CAN: u8 = 0x18;
/// What ends a transfer from either end.
pub(crate) const CANCEL: [u8; 2] = [CAN, CAN];
/// What a receiver begins with: send me blocks with checksums of 16 bits.
const CRC: u8 = b'C';
/// Fills the last block.
const PADDING: u8 = 0x1A;

/// Block number, its complement; behind the data two bytes of checksum.
const NUMBERS: usize = 2;
const CHECKSUM: usize = 2;

/// How large blocks are that a sender makes. The last one is short when the rest fits into 128 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockSize {
    /// 128 bytes: known to work.
    Short,
    /// 1024 bytes: A-11.
    Long,
}

impl BlockSize {
    const fn bytes(self) -> usize {
        match self {
            Self::Short => 128,
            Self::Long => 1024,
        }
    }
}

/// Why a transfer did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The other end never began.
    #[error("the other end did not begin the transfer")]
    NotBegun,
    /// The other end gave up.
    #[error("the other end cancelled the transfer at block {block}")]
    Cancelled {
        /// Blocks before it were acknowledged.
        block: u64,
    },
    /// One block was sent, or asked for, too often.
    #[error("block {block} did not come through in {tries} tries")]
    TooManyTries {
        /// The block, from 1.
        block: u64,
        /// How often it was tried.
        tries: u32,
    },
    /// A block came that is neither the next one nor the one before.
    #[error("block {found} came where block {expected} should (both modulo 256)")]
    OutOfOrder {
        /// Its number.
        found: u8,
        /// The number that should have come.
        expected: u8,
    },
    /// More came than was announced.
    #[error("more came than the {announced} bytes that were announced")]
    TooLong {
        /// How many bytes were announced.
        announced: usize,
    },
    /// Less came than was announced.
    #[error("{found} of {announced} bytes came")]
    TooShort {
        /// How many came.
        found: usize,
        /// How many were announced.
        announced: usize,
    },
}

/// The sending end. It sends whatever gives bytes, borrowed or shared.
#[derive(Debug)]
pub struct Sender<D> {
    data: D,
    size: BlockSize,
    /// Bytes that were acknowledged.
    acknowledged: usize,
    block: u64,
    phase: Sending,
    tries: u32,
    has_cancel: bool,
    out: Vec<u8>,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// The receiver has not asked yet.
    Waiting,
    /// A block is under way, of so many bytes of data.
    Block(usize),
    /// The end is under way.
    Ending,
    Over(Result<(), Fault>),
}

impl<D: AsRef<[u8]>> Sender<D> {
    /// Sends `data`, once the receiver asks; it may take `patience` to do so.
    pub fn new(data: D, size: BlockSize, patience: Duration, now: Instant) -> Self {
        Self {
            data,
            size,
            acknowledged: 0,
            block: 1,
            phase: Sending::Waiting,
            tries: 0,
            has_cancel: false,
            out: Vec::new(),
            until: now + patience,
        }
    }

    /// Takes bytes from the receiver and returns how many: all, or up to the end of the transfer.
    pub fn input(&mut self, bytes: &[u8], now: Instant) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            if self.outcome().is_some() {
                return at;
            }
            self.take(*byte, now);
        }
        bytes.len()
    }

    fn take(&mut self, byte: u8, now: Instant) {
        let had_cancel = std::mem::replace(&mut self.has_cancel, byte == CAN);
        match (byte, self.phase) {
            (CAN, _) if had_cancel => {
                self.out.clear();
                self.phase = Sending::Over(Err(Fault::Cancelled { block: self.block }));
            }
            (CRC, Sending::Waiting) => self.send(now),
            (ACK, Sending::Block(length)) => {
                self.acknowledged += length;
                self.block += 1;
                self.tries = 0;
                self.send(now);
            }
            (ACK, Sending::Ending) => self.phase = Sending::Over(Ok(())),
            (NAK, Sending::Block(_) | Sending::Ending) => self.again(now),
            // Whatever else: an earlier request of the receiver, or noise.
            _ => {}
        }
    }

    fn again(&mut self, now: Instant) {
        if self.tries > BLOCK_RETRIES {
            self.out.clear();
            self.out.extend(CANCEL);
            let (block, tries) = (self.block, self.tries);
            self.phase = Sending::Over(Err(Fault::TooManyTries { block, tries }));
        } else {
            self.send(now);
        }
    }

    fn send(&mut self, now: Instant) {
        self.tries += 1;
        self.until = now + BLOCK_TIMEOUT;
        let rest = &self.data.as_ref()[self.acknowledged..];
        if rest.is_empty() {
            self.out.push(EOT);
            self.phase = Sending::Ending;
            return;
        }
        let size = match self.size {
            BlockSize::Long if rest.len() > BlockSize::Short.bytes() => BlockSize::Long,
            _ => BlockSize::Short,
        };
        let piece = &rest[..rest.len().min(size.bytes())];
        let number = self.block as u8;
        self.out.push(if size == BlockSize::Long { STX } else { SOH });
        self.out.extend([number, !number]);
        let begin = self.out.len();
        self.out.extend_from_slice(piece);
        self.out.resize(begin + size.bytes(), PADDING);
        let checksum = crc16(&self.out[begin..]);
        self.out.extend(checksum.to_be_bytes());
        self.phase = Sending::Block(piece.len());
    }

    /// Appends what is to be sent now.
    pub fn output(&mut self, now: Instant, out: &mut Vec<u8>) {
        if now >= self.until {
            match self.phase {
                Sending::Waiting => self.phase = Sending::Over(Err(Fault::NotBegun)),
                Sending::Block(_) | Sending::Ending => self.again(now),
                Sending::Over(_) => {}
            }
        }
        out.append(&mut self.out);
    }

    /// When to ask for output again although nothing came in; `None` when it is over.
    pub fn next_wake(&self) -> Option<Instant> {
        self.outcome().is_none().then_some(self.until)
    }

    /// How it ended; `None` while it goes on.
    pub const fn outcome(&self) -> Option<Result<(), Fault>> {
        match self.phase {
            Sending::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// How many bytes of the data were acknowledged.
    pub const fn acknowledged(&self) -> usize {
        self.acknowledged
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver {
    announced: usize,
    /// Less than announced is as good.
    is_open: bool,
    takes_long: bool,
    asks_every: Duration,
    data: Vec<u8>,
    block: u64,
    phase: Receiving,
    tries: u32,
    has_cancel: bool,
    /// The block that is coming in, from its numbers on.
    piece: Vec<u8>,
    out: Vec<u8>,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    /// Nothing came yet: it is asked for again and again, for ever.
    Asking,
    /// A block or the end should begin.
    Between,
    /// A block of this size comes in.
    Block(usize),
    /// What comes makes no sense; when it is over, the block is asked for again.
    Noise,
    Over(Result<(), Fault>),
}

impl Receiver {
    /// Receives `announced` bytes. It asks at once.
    pub fn new(announced: usize, now: Instant) -> Self {
        Self {
            announced,
            is_open: false,
            takes_long: TAKES_1K,
            asks_every: ROM_ASKS_EVERY,
            data: Vec::new(),
            block: 1,
            phase: Receiving::Asking,
            tries: 0,
            has_cancel: false,
            piece: Vec::new(),
            out: vec![CRC],
            until: now + ROM_ASKS_EVERY,
        }
    }

    /// Receives whatever comes, up to `most` bytes, padding included. It asks at once.
    pub fn up_to(most: usize, now: Instant) -> Self {
        Self {
            is_open: true,
            ..Self::new(most, now)
        }
    }

    /// Asks so often for the first block, whatever A-09 says.
    #[must_use]
    pub fn asking_every(mut self, period: Duration, now: Instant) -> Self {
        self.until = now + period;
        self.asks_every = period;
        self
    }

    /// Takes blocks of 1024 bytes or not, whatever A-11 says.
    #[must_use]
    pub const fn taking_long_blocks(mut self, takes_long: bool) -> Self {
        self.takes_long = takes_long;
        self
    }

    /// Takes bytes from the sender and returns how many: all, or up to the end of the transfer.
    pub fn input(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first()
            && self.outcome().is_none()
        {
            let Receiving::Block(size) = self.phase else {
                self.take(*first, now);
                rest = after;
                continue;
            };
            // The inside of a block at once: nothing in it means anything by itself.
            let missing = NUMBERS + size + CHECKSUM - self.piece.len();
            let (inside, after) = rest.split_at(missing.min(rest.len()));
            self.piece.extend_from_slice(inside);
            self.until = now + BYTE_TIMEOUT;
            if inside.len() == missing {
                self.whole(size, now);
            }
            rest = after;
        }
        bytes.len() - rest.len()
    }

    fn take(&mut self, byte: u8, now: Instant) {
        match self.phase {
            Receiving::Asking | Receiving::Between => self.begin(byte, now),
            // Two cancels in a row are heard everywhere but in the middle of a block.
            Receiving::Noise if byte == CAN => self.begin(byte, now),
            Receiving::Noise => {
                self.has_cancel = false;
                self.until = now + BYTE_TIMEOUT;
            }
            Receiving::Block(_) | Receiving::Over(_) => {}
        }
    }

    fn begin(&mut self, byte: u8, now: Instant) {
        let had_cancel = std::mem::replace(&mut self.has_cancel, byte == CAN);
        match byte {
            SOH | STX if byte == SOH || self.takes_long => {
                let size = if byte == SOH {
                    BlockSize::Short
                } else {
                    BlockSize::Long
                };
                self.piece.clear();
                self.phase = Receiving::Block(size.bytes());
                self.until = now + BYTE_TIMEOUT;
            }
            EOT => {
                self.out.push(ACK);
                let (found, announced) = (self.data.len(), self.announced);
                self.data.truncate(announced);
                self.phase = Receiving::Over(if found < announced && !self.is_open {
                    Err(Fault::TooShort { found, announced })
                } else {
                    Ok(())
                });
            }
            CAN if had_cancel => {
                self.out.clear();
                self.phase = Receiving::Over(Err(Fault::Cancelled { block: self.block }));
            }
            CAN => {}
            _ => {
                self.phase = Receiving::Noise;
                self.until = now + BYTE_TIMEOUT;
            }
        }
    }

    /// A block is there in full length.
    fn whole(&mut self, size: usize, now: Instant) {
        let (numbers, rest) = self.piece.split_at(NUMBERS);
        let (data, checksum) = rest.split_at(size);
        let is_sound = numbers[1] == !numbers[0] && crc16(data).to_be_bytes() == *checksum;
        let (found, expected) = (numbers[0], self.block as u8);
        if !is_sound {
            return self.ask_again(now);
        }
        if found == expected {
            // Padding is at most one block.
            if self.data.len() >= self.announced {
                let announced = self.announced;
                return self.give_up(Fault::TooLong { announced });
            }
            self.data.extend_from_slice(data);
            self.block += 1;
        } else if found != expected.wrapping_sub(1) || self.block == 1 {
            return self.give_up(Fault::OutOfOrder { found, expected });
        }
        // The next one, or the one before again because its acknowledgement was lost.
        self.tries = 0;
        self.out.push(ACK);
        self.phase = Receiving::Between;
        self.until = now + BLOCK_TIMEOUT;
    }

    fn give_up(&mut self, fault: Fault) {
        self.out.clear();
        self.out.extend(CANCEL);
        self.phase = Receiving::Over(Err(fault));
    }

    fn ask_again(&mut self, now: Instant) {
        self.tries += 1;
        if self.tries > BLOCK_RETRIES {
            let (block, tries) = (self.block, self.tries);
            return self.give_up(Fault::TooManyTries { block, tries });
        }
        self.out.push(NAK);
        self.phase = Receiving::Between;
        self.until = now + BLOCK_TIMEOUT;
    }

    /// Appends what is to be sent now.
    pub fn output(&mut self, now: Instant, out: &mut Vec<u8>) {
        if now >= self.until {
            match self.phase {
                Receiving::Asking => {
                    self.out.push(CRC);
                    self.until = now + self.asks_every;
                }
                // Before the first block came through, asking is what tells the kind of checksum.
                Receiving::Noise if self.block == 1 && self.tries == 0 => {
                    self.out.push(CRC);
                    self.phase = Receiving::Asking;
                    self.until = now + self.asks_every;
                }
                Receiving::Between | Receiving::Block(_) | Receiving::Noise => self.ask_again(now),
                Receiving::Over(_) => {}
            }
        }
        out.append(&mut self.out);
    }

    /// When to ask for output again although nothing came in; `None` when it is over.
    pub fn next_wake(&self) -> Option<Instant> {
        self.outcome().is_none().then_some(self.until)
    }

    /// How it ended; `None` while it goes on.
    pub const fn outcome(&self) -> Option<Result<(), Fault>> {
        match self.phase {
            Receiving::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// How many bytes have come, padding included.
    pub const fn received(&self) -> usize {
        self.data.len()
    }

    /// What came, without padding. Whole only after a good [`outcome`](Self::outcome).
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}
