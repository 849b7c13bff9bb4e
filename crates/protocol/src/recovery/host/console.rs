//! What the chip says as text before and between messages (`chip-to-pc-and-recovery.md` 3, 5.1, 5.3).

use lineside_terms::Instant;

use crate::recovery::assume::ROM_SILENCE;

/// The longest line that is kept, in bytes; an id with its nonce takes 200.
const LONGEST: usize = 512;

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A line, without its end.
    Line(String),
    /// The ROM asks for a file.
    Asked,
}

/// Takes text apart. The letter by which the ROM asks for a file is also in its banner and in the line behind it, so
/// it counts only where a line begins, behind another such letter, or behind a silence.
#[derive(Debug)]
pub(super) struct Console {
    line: Vec<u8>,
    last: Instant,
}

impl Console {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            line: Vec::new(),
            last: now,
        }
    }

    pub(super) fn push(&mut self, byte: u8, now: Instant) -> Option<Heard> {
        let silence = now - std::mem::replace(&mut self.last, now);
        match byte {
            b'\r' | b'\n' => {
                let line = std::mem::take(&mut self.line);
                // Requests stand before the line that follows them.
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_start_matches('C').trim();
                let is_text = !text.is_empty() && !text.contains(|c: char| c.is_control() || c == '\u{FFFD}');
                is_text.then(|| Heard::Line(text.to_owned()))
            }
            b'C' if silence >= ROM_SILENCE || self.line.iter().all(|byte| *byte == b'C') => {
                // Many of them are no line.
                self.line.clear();
                Some(Heard::Asked)
            }
            _ => {
                if self.line.len() == LONGEST {
                    self.line.clear();
                }
                self.line.push(byte);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn heard(text: &str) -> Vec<Heard> {
        let mut console = Console::new(Instant::ZERO);
        text.bytes()
            .filter_map(|byte| console.push(byte, Instant::ZERO))
            .collect()
    }

    #[test]
    fn requests_are_told_from_letters_of_the_banner() {
        let line = |text: &str| Heard::Line(text.to_owned());
        assert_eq!(
            heard("RECOVERY\r\n0000362000008A01020A00008FC8C833\r\nCCC"),
            [
                line("RECOVERY"),
                line("0000362000008A01020A00008FC8C833"),
                Heard::Asked,
                Heard::Asked,
                Heard::Asked
            ]
        );
        assert_eq!(heard("C+GOOD\r\n"), [Heard::Asked, line("+GOOD")]);
        assert_eq!(heard("noise\u{1}\n"), []);
    }

    #[test]
    fn a_request_behind_a_silence_is_one_wherever_it_stands() {
        let mut console = Console::new(Instant::ZERO);
        assert_eq!(console.push(b'8', Instant::ZERO), None);
        assert_eq!(console.push(b'C', Instant::ZERO), None);
        let later = Instant::ZERO + Duration::from_secs(1);
        assert_eq!(console.push(b'C', later), Some(Heard::Asked));
    }
}
