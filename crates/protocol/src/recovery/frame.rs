//! Frames: `COBS(length | message | checksum) 00`, numbers little-endian (`chip-to-pc-and-recovery.md` 5.4).
//!
//! There are no sequence numbers. What is damaged is dropped and counted; whoever waits for an answer asks again.

use crate::crc::crc16;

/// Ends a frame and stands nowhere else.
pub const END: u8 = 0;

/// The longest message in bytes, which is what its length field can say.
pub const MAX_MESSAGE: usize = u16::MAX as usize;

/// COBS writes at most so many bytes without a code between them.
const BLOCK: usize = 254;

/// Length and checksum around a message.
const AROUND: usize = 4;

/// Appends a message to `out` as it goes over the wire.
///
/// # Panics
/// When the message is longer than [`MAX_MESSAGE`]; none that this crate makes is.
pub fn encode_into(message: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(message.len()).expect("no message is longer than its length field can say");
    let mut body = Vec::with_capacity(message.len() + AROUND);
    body.extend(length.to_le_bytes());
    body.extend_from_slice(message);
    body.extend(crc16(&body).to_le_bytes());
    stuff(&body, out);
    out.push(END);
}

/// Consistent Overhead Byte Stuffing: zeros become distances to the next one.
fn stuff(body: &[u8], out: &mut Vec<u8>) {
    for piece in body.split(|byte| *byte == END) {
        let mut rest = piece;
        while rest.len() >= BLOCK {
            let (block, after) = rest.split_at(BLOCK);
            out.push(0xFF);
            out.extend_from_slice(block);
            rest = after;
        }
        out.push(rest.len() as u8 + 1);
        out.extend_from_slice(rest);
    }
}

/// Undoes [`stuff`]; `None` when the codes lead past the end.
fn unstuff(wire: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&code, after)) = rest.split_first() {
        let (block, next) = after.split_at_checked(usize::from(code).checked_sub(1)?)?;
        body.extend_from_slice(block);
        rest = next;
        if code != 0xFF && !rest.is_empty() {
            body.push(END);
        }
    }
    Some(body)
}

/// The message in a whole body, if length and checksum say so.
fn open(body: &[u8]) -> Option<&[u8]> {
    let (covered, checksum) = body.split_last_chunk::<2>()?;
    let (length, message) = covered.split_first_chunk::<2>()?;
    let is_whole = crc16(covered) == u16::from_le_bytes(*checksum)
        && usize::from(u16::from_le_bytes(*length)) == message.len();
    is_whole.then_some(message)
}

/// Finds messages among other things: text of the console, answers of XMODEM, noise. It is given everything that comes
/// in, byte by byte, and looks behind every [`END`] for the longest piece before it that is a whole frame.
#[derive(Debug, Clone)]
pub(super) struct Finder {
    /// What came since the last [`END`], or the end of it.
    tail: Vec<u8>,
}

impl Finder {
    /// The longest frame that is found in bytes, its end left out. Twice the longest message that is described, for
    /// log lines.
    const LONGEST: usize = 1024;

    pub(super) const fn new() -> Self {
        Self { tail: Vec::new() }
    }

    /// Forgets what came so far.
    pub(super) fn clear(&mut self) {
        self.tail.clear();
    }

    pub(super) fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte != END {
            if self.tail.len() == 2 * Self::LONGEST {
                self.tail.drain(..Self::LONGEST);
            }
            self.tail.push(byte);
            return None;
        }
        let found = (0..self.tail.len())
            .filter(|begin| says_its_length(&self.tail[*begin..]))
            .find_map(|begin| {
                let body = unstuff(&self.tail[begin..])?;
                open(&body).map(<[u8]>::to_vec)
            });
        self.tail.clear();
        found
    }
}

/// Whether the first two bytes of a frame fit its length, which nearly no piece of anything else does.
fn says_its_length(wire: &[u8]) -> bool {
    let Some(((first, second), at_most)) = (match *wire {
        [1, 1, ..] => Some((0, 0)),
        [1, code, high, ..] if code > 2 => Some((0, high)),
        [1, 2, high, ..] => Some((0, high)),
        [2, low, ..] => Some((low, 0)),
        [_, low, high, ..] => Some((low, high)),
        _ => None,
    })
    .zip(wire.len().checked_sub(1 + AROUND)) else {
        return false;
    };
    let said = usize::from(u16::from_le_bytes([first, second]));
    // Stuffing adds one byte, and one more for each long stretch.
    (at_most.saturating_sub(at_most / BLOCK + 1)..=at_most).contains(&said)
}

/// What a [`Decoder`] has seen since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Messages handed on.
    pub messages: u64,
    /// Frames dropped: bad stuffing, length or checksum, or longer than the decoder allows.
    pub dropped: u64,
}

/// Finds messages in what comes over the wire, cut anywhere.
#[derive(Debug, Clone)]
pub struct Decoder {
    frame: Vec<u8>,
    most: usize,
    is_too_long: bool,
    counters: Counters,
}

impl Decoder {
    /// A decoder for messages of at most `most` bytes.
    pub const fn new(most: usize) -> Self {
        Self {
            frame: Vec::new(),
            most,
            is_too_long: false,
            counters: Counters {
                messages: 0,
                dropped: 0,
            },
        }
    }

    /// Takes bytes up to and with the end of one frame. Returns how many were taken and the message, if the frame held
    /// one; what follows may be of another protocol, so it is left to the caller.
    pub fn push(&mut self, bytes: &[u8]) -> (usize, Option<Vec<u8>>) {
        let end = bytes.iter().position(|byte| *byte == END);
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        let longest = self.most + AROUND + self.most / BLOCK + 2;
        if self.frame.len() + piece.len() > longest {
            self.is_too_long = true;
            self.frame.clear();
        } else if !self.is_too_long {
            self.frame.extend_from_slice(piece);
        }
        let Some(end) = end else {
            return (bytes.len(), None);
        };
        let frame = std::mem::take(&mut self.frame);
        let is_too_long = std::mem::take(&mut self.is_too_long);
        let message = if is_too_long {
            None
        } else {
            unstuff(&frame)
                .and_then(|body| open(&body).map(<[u8]>::to_vec))
                .filter(|message| message.len() <= self.most)
        };
        if message.is_some() {
            self.counters.messages += 1;
        } else if is_too_long || !frame.is_empty() {
            self.counters.dropped += 1;
        }
        (end + 1, message)
    }

    /// What was seen so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(decoder: &mut Decoder, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (taken, message) = decoder.push(bytes);
            found.extend(message);
            bytes = &bytes[taken..];
        }
        found
    }

    #[test]
    fn long_runs_without_zeros_are_stuffed_as_the_definition_says() {
        for (body, wire) in [
            (vec![], vec![1]),
            (vec![0], vec![1, 1]),
            (vec![0, 0], vec![1, 1, 1]),
            (vec![0x11, 0x22, 0, 0x33], vec![3, 0x11, 0x22, 2, 0x33]),
            (vec![1; 253], [vec![0xFE], vec![1; 253]].concat()),
            (vec![1; 255], [vec![0xFF], vec![1; 254], vec![2, 1]].concat()),
        ] {
            let mut out = Vec::new();
            stuff(&body, &mut out);
            assert_eq!(out, wire);
            assert_eq!(unstuff(&out).unwrap(), body);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_dropped_and_the_next_one_found() {
        let mut wire = Vec::new();
        encode_into(&[7; 100], &mut wire);
        encode_into(&[8; 10], &mut wire);
        let mut decoder = Decoder::new(10);
        assert_eq!(all(&mut decoder, &wire), [vec![8; 10]]);
        assert_eq!((decoder.counters().messages, decoder.counters().dropped), (1, 1));
    }

    #[test]
    fn one_changed_byte_loses_the_message_and_never_makes_another() {
        let message = b"\x07\x02\x1d\0\0\0\0\xff\xff\xff\xffrecovery-runtime.bin\0";
        let mut wire = Vec::new();
        encode_into(message, &mut wire);
        for at in 0..wire.len() {
            for by in 1..=u8::MAX {
                let mut changed = wire.clone();
                changed[at] ^= by;
                let mut decoder = Decoder::new(300);
                assert_eq!(all(&mut decoder, &changed), Vec::<Vec<u8>>::new(), "{at} {by}");
            }
        }
    }

    #[test]
    fn a_frame_is_found_behind_anything() {
        for length in [0, 1, 2, 3, 133, 252, 255, 256, 257, 512, 900] {
            let message: Vec<u8> = (0..length).map(|at| (at % 7) as u8).collect();
            for before in [
                &b""[..],
                b"[1BL] BOOT: INIT\r\n",
                b"\x06\x06CC",
                b"\x02\x04\x02",
                &[2; 3000],
            ] {
                let mut finder = Finder::new();
                let mut wire = before.to_vec();
                encode_into(&message, &mut wire);
                let found: Vec<_> = wire.iter().filter_map(|byte| finder.push(*byte)).collect();
                assert_eq!(
                    found,
                    std::slice::from_ref(&message),
                    "{length} behind {before:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_framed_is_found_again_cut_anywhere(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..4),
            cut in 0_usize..2000,
        ) {
            let mut wire = Vec::new();
            for message in &messages {
                encode_into(message, &mut wire);
            }
            let (head, tail) = wire.split_at(cut.min(wire.len()));
            let mut decoder = Decoder::new(700);
            let mut found = all(&mut decoder, head);
            found.extend(all(&mut decoder, tail));
            prop_assert_eq!(found, messages);
            prop_assert_eq!(decoder.counters().dropped, 0);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = Decoder::new(64);
            for message in all(&mut decoder, &bytes) {
                prop_assert!(message.len() <= 64);
            }
        }
    }
}
