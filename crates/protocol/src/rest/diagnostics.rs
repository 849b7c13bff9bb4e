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
