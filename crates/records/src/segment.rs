//! One segment file as bytes: a header, then frames.
//!
//! ```text
//! header   magic "LSJOURNL" | format u32 | crc32 of these 12 bytes | first sequence u64 | hash before it, 32 bytes
//!          | length of the station's name u8 | the name | crc32 of all of the header after the first 16 bytes
//! frame    length u32 | crc32 of length and bytes | bytes
//! bytes    hash of the event before, 32 bytes | the event as JSON
//! ```
//!
//! Numbers are little-endian. The hash of an event is SHA-256 over `bytes`. The highest bit of a frame's length says
//! that it is the first of its group: all that stands before it was durable when it was written. So a bad frame
//! with the first frame of a group behind it is damage, while a bad frame without one is the end of a crash.
//! The first 16 bytes keep their meaning in every format.

use lineside_terms::{Digest, StationName};

use crate::chain::Head;
use crate::error::DamageKind;

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

/// The greatest event, as stored, in bytes. Plans that are adopted whole are the largest events and stay far below.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"LSJOURNL";
const PREAMBLE: usize = 16;

/// No header is longer: preamble, first number, hash, length and bytes of a name, check sum.
pub(crate) const MAX_HEADER: usize = PREAMBLE + 8 + HASH + 1 + 40 + 4;
const HASH: usize = 32;
const FRAME_HEAD: usize = 8;
const GROUP_START: u32 = 1 << 31;

/// The greatest number that a segment can begin with: names have twelve digits, good for a century of any factory.
const LAST_FIRST: u64 = 999_999_999_999;

/// The file name of the segment that begins with this event.
pub(crate) fn name_of(first_sequence: u64) -> String {
    format!("{first_sequence:012}.journal")
}

/// The first event that a segment of this name holds; `None` for other files.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    let digits = name
        .strip_suffix(".journal")
        .filter(|digits| digits.len() == 12)?;
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// What the start of a segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) station: StationName,
    /// The point before its first event.
    pub(crate) before: Head,
}

/// Why the start of a segment cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// It is not whole.
    Broken,
    /// It is whole, and of a format that is not known here.
    Newer(u32),
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend_from_slice(&(self.before.sequence + 1).to_le_bytes());
        bytes.extend_from_slice(self.before.hash.as_bytes());
        let name = self.station.as_str().as_bytes();
        bytes.push(u8::try_from(name.len()).expect("a station's name has at most 40 bytes"));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&crc32fast::hash(&bytes[PREAMBLE..]).to_le_bytes());
        bytes
    }

    /// Reads the header and says where the frames begin.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let (preamble, rest) = bytes.split_at_checked(PREAMBLE).ok_or(HeaderError::Broken)?;
        if &preamble[..8] != MAGIC || number(&preamble[12..]) != crc32fast::hash(&preamble[..12]) {
            return Err(HeaderError::Broken);
        }
        let format = number(&preamble[8..12]);
        if format != FORMAT {
            return Err(HeaderError::Newer(format));
        }
        let name_length = usize::from(*rest.get(40).ok_or(HeaderError::Broken)?);
        let sum_at = 41 + name_length;
        let sum = rest.get(sum_at..sum_at + 4).ok_or(HeaderError::Broken)?;
        if number(sum) != crc32fast::hash(&rest[..sum_at]) {
            return Err(HeaderError::Broken);
        }
        let first = u64::from_le_bytes(rest[..8].try_into().expect("8 bytes"));
        let hash: [u8; HASH] = rest[8..40].try_into().expect("32 bytes");
        let header = Self {
            station: std::str::from_utf8(&rest[41..sum_at])
                .ok()
                .and_then(|name| name.parse().ok())
                .ok_or(HeaderError::Broken)?,
            before: Head {
                sequence: first
                    .checked_sub(1)
                    .filter(|_| first <= LAST_FIRST)
                    .ok_or(HeaderError::Broken)?,
                hash: Digest::from_bytes(hash),
            },
        };
        Ok((header, PREAMBLE + sum_at + 4))
    }
}

/// One event as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) is_group_start: bool,
    /// Hash of the event before, then the event as JSON: what is hashed.
    pub(crate) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Appends a frame for an event to `out`.
    pub(crate) fn encode(out: &mut Vec<u8>, is_group_start: bool, body: &[u8]) {
        let length = u32::try_from(body.len()).expect("events are smaller than 1 MiB");
        let length = (length | if is_group_start { GROUP_START } else { 0 }).to_le_bytes();
        out.extend_from_slice(&length);
        out.extend_from_slice(&sum(length, body).to_le_bytes());
        out.extend_from_slice(body);
    }

    /// Reads the frame that begins at `at`.
    pub(crate) fn decode(bytes: &'a [u8], at: usize) -> Result<Self, DamageKind> {
        let (head, rest) = bytes
            .get(at..)
            .and_then(|rest| rest.split_at_checked(FRAME_HEAD))
            .ok_or(DamageKind::Length)?;
        let length = number(head);
        let size = (length & !GROUP_START) as usize;
        if !(HASH + 1..=HASH + MAX_EVENT_BYTES).contains(&size) {
            return Err(DamageKind::Length);
        }
        let body = rest.get(..size).ok_or(DamageKind::Length)?;
        if number(&head[4..]) != sum(length.to_le_bytes(), body) {
            return Err(DamageKind::Checksum);
        }
        Ok(Self {
            is_group_start: length & GROUP_START != 0,
            body,
        })
    }

    pub(crate) fn previous(&self) -> &'a [u8] {
        &self.body[..HASH]
    }

    /// The size of the body at `at`, if the length there is that of the first frame of a group. Nothing is summed.
    pub(crate) fn size_if_group_start(bytes: &[u8], at: usize) -> Option<usize> {
        let length = number(bytes.get(at..at + FRAME_HEAD)?);
        let size = (length & !GROUP_START) as usize;
        let is_possible = length & GROUP_START != 0 && (HASH + 1..=HASH + MAX_EVENT_BYTES).contains(&size);
        (is_possible && at + FRAME_HEAD + size <= bytes.len()).then_some(size)
    }

    pub(crate) fn json(&self) -> &'a [u8] {
        &self.body[HASH..]
    }

    /// How many bytes it takes in the file.
    pub(crate) fn size(&self) -> usize {
        FRAME_HEAD + self.body.len()
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes"))
}

fn sum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    sum.update(body);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            station: "line-1".parse().unwrap(),
            before: Head::ORIGIN,
        }
    }

    #[test]
    fn a_header_survives_and_any_change_of_it_is_seen() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes), Ok((header(), bytes.len())));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Header::decode(&changed), Err(HeaderError::Broken), "byte {at}");
            assert_eq!(
                Header::decode(&bytes[..at]),
                Err(HeaderError::Broken),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn names_and_numbers_belong_together() {
        assert_eq!(first_of(&name_of(1)), Some(1));
        assert_eq!(first_of(&name_of(LAST_FIRST)), Some(LAST_FIRST));
        for other in [
            "lock",
            "1.journal",
            "+00000000001.journal",
            "00000000000x.journal",
            ".journal",
        ] {
            assert_eq!(first_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_header_that_would_overflow_is_refused() {
        let far = |sequence| Header {
            before: Head {
                sequence,
                ..Head::ORIGIN
            },
            ..header()
        };
        assert!(Header::decode(&far(LAST_FIRST - 1).encode()).is_ok());
        assert_eq!(
            Header::decode(&far(u64::MAX - 1).encode()),
            Err(HeaderError::Broken)
        );
    }
}
