//! Checkpoints: signed points of a journal, one a line, short enough for a QR code.
//!
//! ```text
//! lineside-checkpoint 1 STATION SEQUENCE HASH TIME KEY SIGNATURE
//! ```
//!
//! Station; number and hash of an event (with it, of all before); when, RFC 3339; the public key X‖Y and the signature
//! r‖s as hex digits. The signature is over all before the last space. Kept where nobody at the station can change it,
//! such a line shows later whether the history was written anew: that place makes it an *anchor*.

use std::fmt;
use std::io;

use jiff::Timestamp;
use lineside_terms::StationName;

use crate::chain::Head;
use crate::seal::{SealError, SealKey, Sealer, Signature};

const WORD: &str = "lineside-checkpoint";

/// A signed point of a journal. One that was parsed has a signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose journal.
    pub station: StationName,
    /// The point.
    pub point: Head,
    /// When it was signed, by the station's clock.
    pub at: Timestamp,
    /// Who signed.
    pub key: SealKey,
    /// The signature.
    pub signature: Signature,
}

impl Checkpoint {
    /// Signs a point.
    ///
    /// # Errors
    /// What the place of the key says.
    pub fn sign(station: &StationName, point: Head, at: Timestamp, sealer: &dyn Sealer) -> io::Result<Self> {
        let at = Timestamp::from_second(at.as_second()).map_err(io::Error::other)?;
        let key = sealer.key();
        let signature = sealer.sign(signed(station, point, at, &key).as_bytes())?;
        Ok(Self {
            station: station.clone(),
            point,
            at,
            key,
            signature,
        })
    }

    /// Reads one line and checks its signature. Any text gets an answer.
    ///
    /// # Errors
    /// [`SealError::Checkpoint`] (as line 1), [`SealError::Newer`], [`SealError::Signature`].
    pub fn parse(line: &str) -> Result<Self, SealError> {
        let form = || SealError::Checkpoint { line: 1 };
        let line = line.trim();
        let words: Vec<&str> = line.split(' ').collect();
        if words.first() != Some(&WORD) {
            return Err(form());
        }
        if words.get(1).is_some_and(|version| *version != "1") {
            return Err(SealError::Newer {
                found: words[1].escape_default().to_string(),
            });
        }
        let [_, _, station, sequence, hash, at, key, signature] = words[..] else {
            return Err(form());
        };
        let found = Self {
            station: station.parse().map_err(|_| form())?,
            point: Head {
                sequence: sequence.parse().map_err(|_| form())?,
                hash: hash.parse().map_err(|_| form())?,
            },
            at: at.parse().map_err(|_| form())?,
            key: key.parse().map_err(|_| form())?,
            signature: signature.parse().map_err(|_| form())?,
        };
        let (message, _) = line.rsplit_once(' ').ok_or_else(form)?;
        match found.key.verifies(message.as_bytes(), &found.signature) {
            true => Ok(found),
            false => Err(SealError::Signature),
        }
    }
}

fn signed(station: &StationName, point: Head, at: Timestamp, key: &SealKey) -> String {
    format!("{WORD} 1 {station} {} {} {at} {key}", point.sequence, point.hash)
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            station,
            point,
            at,
            key,
            signature,
        } = self;
        write!(f, "{} {signature}", signed(station, *point, *at, key))
    }
}

/// Reads a file of checkpoints. Empty lines and those that begin with `#` are passed over; an unfinished last line too
/// if `may_be_torn`, as a crash leaves it.
///
/// # Errors
/// For the first line that is none, or whose signature does not hold.
pub fn parse_checkpoints(text: &str, may_be_torn: bool) -> Result<Vec<Checkpoint>, SealError> {
    let text = text.trim_start_matches('\u{feff}');
    let whole = match text.rfind('\n') {
        Some(end) if may_be_torn => &text[..=end],
        None if may_be_torn => "",
        _ => text,
    };
    let lines = whole
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            Checkpoint::parse(line).map_err(|error| match error {
                SealError::Checkpoint { .. } => SealError::Checkpoint { line: number },
                other => other,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::TestKey;
    use lineside_terms::Digest;
    use proptest::prelude::*;

    fn checkpoint(sequence: u64) -> Checkpoint {
        let point = Head {
            sequence,
            hash: Digest::from_bytes([sequence as u8; 32]),
        };
        let at = "2026-11-22T20:15:30.25Z".parse().unwrap();
        Checkpoint::sign(&"line-3".parse().unwrap(), point, at, &TestKey::new(7)).unwrap()
    }

    #[test]
    fn a_checkpoint_never_changes_its_form() {
        let line = checkpoint(9).to_string();
        assert_eq!(
            line.trim_end(),
            include_str!("../tests/golden/checkpoint.txt").trim_end()
        );
        assert_eq!(Checkpoint::parse(&line), Ok(checkpoint(9)));
    }

    #[test]
    fn every_change_is_found() {
        let line = checkpoint(9).to_string();
        for at in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert!(Checkpoint::parse(&changed).is_err(), "{changed}");
            assert!(Checkpoint::parse(&line[..at]).is_err());
        }
    }

    #[test]
    fn a_file_may_have_remarks_and_ours_a_torn_end() {
        let (one, two) = (checkpoint(1), checkpoint(2));
        let text = format!("# printed at the end of each shift\r\n{one}\r\n\n{two}\n");
        assert_eq!(parse_checkpoints(&text, false), Ok(vec![one.clone(), two]));
        let torn = format!("{one}\nlineside-checkp");
        assert_eq!(parse_checkpoints(&torn, true), Ok(vec![one]));
        assert_eq!(
            parse_checkpoints(&torn, false),
            Err(SealError::Checkpoint { line: 2 })
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,300}") {
            let _ = Checkpoint::parse(&text);
            let _ = parse_checkpoints(&format!("{WORD} 1 {text}"), false);
        }
    }
}
