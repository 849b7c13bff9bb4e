//! The chain: each event follows from the one before, and what that says about the bytes of a segment.

use lineside_terms::{Digest, StationName};
use ring::digest::{SHA256, digest};

use crate::error::{Damage, DamageKind, RecordsError, TornTail};
use crate::segment::{FORMAT, Frame, Header, HeaderError, MAX_HEADER, first_of};

/// How much is summed at most when looking for life behind a bad frame. Only bytes made on purpose come near it.
const SEARCH_LIMIT: usize = 256 << 20;

/// A point in the journal: the event with this number, and with it all before, has this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// Sequence number of the event; 0 before the first.
    pub sequence: u64,
    /// Its hash; all zeros before the first.
    pub hash: Digest,
}

impl Head {
    /// Before the first event.
    pub const ORIGIN: Self = Self {
        sequence: 0,
        hash: Digest::ZERO,
    };

    /// The point after one more event, given as stored.
    pub(crate) fn after(self, body: &[u8]) -> Self {
        Self {
            sequence: self.sequence + 1,
            hash: hash_of(body),
        }
    }
}

/// SHA-256 over the stored bytes of an event.
pub(crate) fn hash_of(body: &[u8]) -> Digest {
    let hash = digest(&SHA256, body);
    Digest::from_bytes(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// Walks over the frames of one segment, checking each against the one before.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
    head: Head,
    /// Where the group begins whose durability nothing later in the file shows.
    last_group: usize,
    /// Only the last segment may end unfinished.
    is_last: bool,
    torn: Option<TornTail>,
}

impl<'a> Walk<'a> {
    /// Reads the header of a segment that must have one.
    pub(crate) fn start(
        file: &'a str,
        bytes: &'a [u8],
        is_last: bool,
    ) -> Result<(Header, Self), RecordsError> {
        let (header, at) = Header::decode(bytes).map_err(|error| match error {
            HeaderError::Newer(found) => RecordsError::NewerFormat {
                file: file.to_owned(),
                found,
                known: FORMAT,
            },
            HeaderError::Broken => RecordsError::Damaged(Damage {
                file: file.to_owned(),
                offset: 0,
                sequence: first_of(file).unwrap_or(0),
                kind: DamageKind::Header,
            }),
        })?;
        let walk = Self {
            file,
            bytes,
            at,
            head: header.before,
            last_group: 0,
            is_last,
            torn: None,
        };
        Ok((header, walk))
    }

    /// Goes on where an earlier walk over the same bytes stood.
    pub(crate) fn resume(file: &'a str, bytes: &'a [u8], is_last: bool, at: usize, head: Head) -> Self {
        Self {
            file,
            bytes,
            at,
            head,
            last_group: 0,
            is_last,
            torn: None,
        }
    }

    /// The next frame, or `None` at the end, finished or not.
    pub(crate) fn step(&mut self) -> Result<Option<Frame<'a>>, Damage> {
        if self.at >= self.bytes.len() || self.torn.is_some() {
            return Ok(None);
        }
        let frame = match Frame::decode(self.bytes, self.at) {
            Ok(frame) => frame,
            Err(_) if self.is_last && !is_life_after(self.bytes, self.at) => {
                self.torn = Some(TornTail {
                    file: self.file.to_owned(),
                    offset: self.at as u64,
                    bytes: (self.bytes.len() - self.at) as u64,
                    sequence: self.head.sequence + 1,
                });
                return Ok(None);
            }
            Err(kind) => return Err(self.damage(kind)),
        };
        if frame.previous() != self.head.hash.as_bytes() {
            return Err(self.damage(DamageKind::Chain));
        }
        if frame.is_group_start {
            self.last_group = self.at;
        }
        self.head = self.head.after(frame.body);
        self.at += frame.size();
        Ok(Some(frame))
    }

    /// The point that was reached.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// The byte that was reached.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// From where on nothing in the file shows that it was ever synced.
    pub(crate) fn last_group(&self) -> usize {
        self.last_group
    }

    /// What was left unfinished, once the end is reached.
    pub(crate) fn torn(self) -> Option<TornTail> {
        self.torn
    }

    fn damage(&self, kind: DamageKind) -> Damage {
        Damage {
            file: self.file.to_owned(),
            offset: self.at as u64,
            sequence: self.head.sequence + 1,
            kind,
        }
    }
}

/// True for a last segment that has no whole header and nothing behind it: it was never used. A file that is longer than
/// a header can be is none that a crash left so: nothing is written behind a header before that is on the disk.
pub(crate) fn is_unborn(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_HEADER && Header::decode(bytes) == Err(HeaderError::Broken) && !is_life_after(bytes, 0)
}

/// True when the first frame of some group stands behind a bad frame, so that the bad one was durable once. True
/// also when that cannot be told with reasonable effort: nothing is ever cut off in doubt.
fn is_life_after(bytes: &[u8], bad: usize) -> bool {
    let mut summed = 0;
    for at in bad + 1..bytes.len() {
        let Some(size) = Frame::size_if_group_start(bytes, at) else {
            continue;
        };
        summed += size;
        if summed > SEARCH_LIMIT || Frame::decode(bytes, at).is_ok() {
            return true;
        }
    }
    false
}

/// What [`inspect`] found in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The station that wrote it.
    pub station: StationName,
    /// The point before its first event.
    pub before: Head,
    /// The point after its last whole event.
    pub after: Head,
    /// What was left unfinished at its end.
    pub torn: Option<TornTail>,
}

/// Reads the bytes of one segment, taken as the last of its journal. Any bytes get an answer.
///
/// # Errors
/// [`RecordsError::NewerFormat`] and [`RecordsError::Damaged`].
pub fn inspect(file: &str, bytes: &[u8]) -> Result<Inspection, RecordsError> {
    let (header, mut walk) = Walk::start(file, bytes, true)?;
    while walk.step()?.is_some() {}
    Ok(Inspection {
        station: header.station,
        before: header.before,
        after: walk.head(),
        torn: walk.torn(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            station: "line-1".parse().unwrap(),
            before: Head::ORIGIN,
        }
    }

    /// A segment with groups of these sizes, and where each frame begins.
    fn segment(groups: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header().encode();
        let mut head = Head::ORIGIN;
        let mut starts = Vec::new();
        for size in groups {
            for place in 0..*size {
                starts.push(bytes.len());
                let mut body = head.hash.as_bytes().to_vec();
                body.extend_from_slice(format!("{{\"n\":{}}}", head.sequence).as_bytes());
                Frame::encode(&mut bytes, place == 0, &body);
                head = head.after(&body);
            }
        }
        (bytes, starts)
    }

    #[test]
    fn a_newer_format_is_refused_with_help() {
        use lineside_terms::Explain as _;
        let mut bytes = header().encode();
        bytes[8] = 2;
        let sum = crc32fast::hash(&bytes[..12]).to_le_bytes();
        bytes[12..16].copy_from_slice(&sum);
        bytes.truncate(20);
        let error = inspect("000000000001.journal", &bytes).unwrap_err();
        assert_eq!(error.code(), "records.newer-format");
        assert!(error.help().contains("newer"), "{}", error.help());
    }

    #[test]
    fn a_bad_frame_is_the_end_of_a_crash_only_if_no_group_begins_behind_it() {
        let (bytes, starts) = segment(&[2, 3]);
        for (index, start) in starts.iter().enumerate() {
            let mut bad = bytes.clone();
            bad[start + 9] ^= 0x40;
            match inspect("000000000001.journal", &bad) {
                Ok(found) => {
                    assert!(index >= 2, "frame {index} was durable");
                    assert_eq!(found.after.sequence, index as u64);
                    assert_eq!(found.torn.unwrap().offset, *start as u64);
                }
                Err(RecordsError::Damaged(damage)) => {
                    assert!(index < 2, "frame {index} was not durable");
                    assert_eq!(
                        (damage.sequence, damage.offset),
                        (index as u64 + 1, *start as u64)
                    );
                    assert_eq!(damage.kind, DamageKind::Checksum);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_bad_frame_in_an_earlier_segment_is_always_damage() {
        let (bytes, starts) = segment(&[2, 3]);
        let cut = &bytes[..starts[4] + 3];
        let (_, mut walk) = Walk::start("000000000001.journal", cut, false).unwrap();
        let damage = loop {
            match walk.step() {
                Ok(frame) => assert!(frame.is_some()),
                Err(damage) => break damage,
            }
        };
        assert_eq!((damage.sequence, damage.kind), (5, DamageKind::Length));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = inspect("000000000001.journal", &bytes);
            let mut behind = header().encode();
            behind.extend_from_slice(&bytes);
            let _ = inspect("000000000001.journal", &behind);
        }

        #[test]
        fn a_changed_byte_never_yields_another_event(at in 0usize..700, bit in 0u8..8) {
            let (bytes, _) = segment(&[1, 2, 1]);
            let whole = inspect("000000000001.journal", &bytes).unwrap();
            let mut changed = bytes.clone();
            let at = at % changed.len();
            changed[at] ^= 1 << bit;
            match inspect("000000000001.journal", &changed) {
                Ok(found) => {
                    prop_assert!(found.after.sequence < whole.after.sequence);
                    prop_assert!(found.torn.is_some());
                }
                Err(error) => prop_assert!(matches!(error, RecordsError::Damaged(_))),
            }
        }
    }
}
