//! `/telemetry` and `/log`: raw bytes (`device-rest-api.md` 3.7).

/// The five bytes that begin every answer of `GET /telemetry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelemetryHeader {
    /// Of unknown meaning, see [`assume::TELEMETRY_PREFIX`](super::assume::TELEMETRY_PREFIX).
    pub prefix: [u8; 3],
    /// How many bytes follow.
    pub length: u16,
}

impl TelemetryHeader {
    /// How many bytes the header takes.
    pub const LEN: usize = 5;

    /// Reads the header at the beginning of an answer, or `None` when that is too short to hold one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (&[a, b, c, high, low], _) = bytes.split_first_chunk()?;
        Some(Self {
            prefix: [a, b, c],
            length: u16::from_be_bytes([high, low]),
        })
    }

    /// The header as it goes over the wire.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [a, b, c] = self.prefix;
        let [high, low] = self.length.to_be_bytes();
        [a, b, c, high, low]
    }
}

/// One record of the log. What its parameters mean is told by manifests of the firmware, by category and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// From 1, fatal, to 6, trace.
    pub priority: u8,
    /// The part of the firmware that speaks; 6 is the daemon that serves this interface.
    pub category: u16,
    /// Which of its messages.
    pub message: u16,
    /// Milliseconds since the device started.
    pub time_ms: u32,
    /// Numbers little-endian, text ended by NUL, one after the other.
    pub parameters: &'a [u8],
}

/// One bank of the log, as `GET /log` answers them one after the other, the oldest first.
#[derive(Debug, Clone)]
pub struct LogBank {
    bytes: Vec<u8>,
}

impl LogBank {
    /// How many bytes a bank takes.
    pub const LEN: usize = 4096;
    /// No record begins in that many bytes at the end of a bank.
    const NO_BEGIN: usize = 16;
    /// Counter and status of the bank.
    const TRAILER: usize = 4;
    /// A record without parameters.
    const RECORD_HEADER: usize = 12;

    /// A bank without records.
    pub fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(Self::LEN),
        }
    }

    /// Appends a record, or tells with `false` that it does not fit.
    pub fn push(&mut self, record: &LogRecord<'_>) -> bool {
        let begin = self.bytes.len();
        let len = Self::RECORD_HEADER + record.parameters.len();
        if begin >= Self::LEN - Self::NO_BEGIN || begin + len > Self::LEN - Self::TRAILER {
            return false;
        }
        let Ok(len) = u16::try_from(len) else { return false };
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(&[0, record.priority]);
        self.bytes.extend_from_slice(&record.category.to_le_bytes());
        self.bytes.extend_from_slice(&record.message.to_le_bytes());
        self.bytes.extend_from_slice(&record.time_ms.to_le_bytes());
        self.bytes.extend_from_slice(record.parameters);
        true
    }

    /// The bank as it goes over the wire. Of several banks the one with the lowest counter is the oldest.
    pub fn to_bytes(&self, counter: u16, status: u16) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        // A length of all ones says that nothing follows.
        bytes.resize(Self::LEN - Self::TRAILER, 0xFF);
        bytes.extend_from_slice(&counter.to_le_bytes());
        bytes.extend_from_slice(&status.to_le_bytes());
        bytes
    }
}

impl Default for LogBank {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELETED: LogRecord<'_> = LogRecord {
        priority: 4,
        category: 6,
        message: 156,
        time_ms: 0x0102_0304,
        parameters: b"ab\0",
    };

    #[test]
    fn a_bank_looks_as_the_vendors_script_reads_it() {
        let mut bank = LogBank::new();
        assert!(bank.push(&DELETED));
        let bytes = bank.to_bytes(7, 1);
        assert_eq!(bytes.len(), LogBank::LEN);
        assert_eq!(
            bytes[..15],
            [15, 0, 0, 4, 6, 0, 156, 0, 4, 3, 2, 1, b'a', b'b', 0]
        );
        assert!(bytes[15..4092].iter().all(|byte| *byte == 0xFF));
        assert_eq!(bytes[4092..], [7, 0, 1, 0]);
    }

    #[test]
    fn a_bank_takes_what_fits_and_no_more() {
        let long = [0; 4092 - 12];
        assert!(LogBank::new().push(&LogRecord {
            parameters: &long,
            ..DELETED
        }));
        assert!(!LogBank::new().push(&LogRecord {
            parameters: &[0; 4092 - 11],
            ..DELETED
        }));
        assert!(!LogBank::new().push(&LogRecord {
            parameters: &[0; 70_000],
            ..DELETED
        }));

        // A record may begin right before the last 16 bytes, but not in them.
        for (filler, fits) in [(4079 - 12, true), (4080 - 12, false)] {
            let mut bank = LogBank::new();
            assert!(bank.push(&LogRecord {
                parameters: &long[..filler],
                ..DELETED
            }));
            assert_eq!(
                bank.push(&LogRecord {
                    parameters: &[],
                    ..DELETED
                }),
                fits
            );
            assert_eq!(bank.to_bytes(0, 0).len(), LogBank::LEN);
        }
    }
}
