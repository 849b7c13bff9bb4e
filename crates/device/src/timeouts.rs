//! How long a device is waited for, each with the source of the number.

use std::time::Duration;

use lineside_protocol::rest::Operation;

use crate::assume;

/// One attempt to connect by TCP: A-07 (`chip-to-pc-and-recovery.md` 3).
pub const CONNECT: Duration = assume::CONNECT;

/// How many attempts: A-07.
pub const CONNECT_TRIES: u32 = assume::CONNECT_TRIES;

/// The TLS handshake: 0.1 s of wire and 0.3 to 1 s of device (`chip-to-pc-and-recovery.md` 7.2), tenfold.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// No acknowledgement of what was sent. Clients in the wild wait 10 s for anything (`chip-to-pc-and-recovery.md` 7.4);
/// a device that only works slowly still acknowledges.
pub const STALL: Duration = Duration::from_secs(10);

/// An ordinary answer: the vendor's own client waits 15 s (`device-rest-api.md` 1.3), hardware takes 0.45 to 0.7 s (1.1).
pub const ANSWER: Duration = Duration::from_secs(15);

/// Checking and storing a staged image after its last byte: 8.3 s was seen for a small one, sending included
/// (`device-rest-api.md` 1.1); large ones are flashed at no published speed.
pub const STAGE: Duration = Duration::from_secs(60);

/// Installing: 6.7 s was seen for a small application (`device-rest-api.md` 1.1).
pub const INSTALL: Duration = Duration::from_secs(60);

/// Scanning for Wi-Fi networks on all channels of two bands; no source tells how long it takes.
pub const SCAN: Duration = Duration::from_secs(30);

/// Bits on the wire for one byte: 8N1 (`chip-to-pc-and-recovery.md` 7.1).
const BITS_PER_BYTE: u64 = 10;

/// From reset to the first answer: 6 s are assumed, longer after an update; the vendor's tool tells people to
/// try again in a few minutes.
pub const BOOT: Duration = Duration::from_secs(60);

/// How often a device that boots is knocked at, and how long each knock is waited for. Nobody asks for a number: one
/// small packet each way costs nothing, and half of this is what every restart takes longer. TCP alone would knock only
/// after one second, then after three.
pub const KNOCK: Duration = Duration::from_millis(250);

/// How long a device that boots is knocked at so often: twice the boot that is assumed. After that it is given
/// [`CONNECT`] for every look, in case it only answers slowly.
pub const KNOCKING: Duration = Duration::from_secs(12);

/// The pause between two looks at a device that takes longer than [`KNOCKING`].
pub const LATE_PAUSE: Duration = Duration::from_secs(2);

/// Saying goodbye on a connection that is given up.
pub const GOODBYE: Duration = Duration::from_millis(300);

/// How long things may take on one session. The default is what the constants of this module say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// See [`CONNECT`].
    pub connect: Duration,
    /// See [`CONNECT_TRIES`].
    pub connect_tries: u32,
    /// See [`HANDSHAKE`].
    pub handshake: Duration,
    /// See [`STALL`].
    pub stall: Duration,
    /// See [`ANSWER`].
    pub answer: Duration,
    /// See [`STAGE`].
    pub stage: Duration,
    /// See [`INSTALL`].
    pub install: Duration,
    /// See [`SCAN`].
    pub scan: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: CONNECT,
            connect_tries: CONNECT_TRIES,
            handshake: HANDSHAKE,
            stall: STALL,
            answer: ANSWER,
            stage: STAGE,
            install: INSTALL,
            scan: SCAN,
        }
    }
}

impl Timeouts {
    /// How long one operation may take in all when it sends so many bytes over a wire of this speed.
    pub fn of(&self, operation: Operation, sent_bytes: usize, baud: u32) -> Duration {
        let base = match operation {
            Operation::Stage => self.stage,
            Operation::Install => self.install,
            Operation::GetWifiScan => self.scan,
            _ => self.answer,
        };
        let bits = (sent_bytes as u64).saturating_mul(BITS_PER_BYTE * assume::UPLOAD_FACTOR);
        base + Duration::from_millis(bits.saturating_mul(1_000) / u64::from(baud.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_gets_time_for_its_bytes() {
        let timeouts = Timeouts::default();
        assert_eq!(timeouts.of(Operation::GetStatus, 0, 921_600), ANSWER);
        let mebibyte = timeouts.of(Operation::Stage, 1 << 20, 921_600);
        assert!((82..84).contains(&mebibyte.as_secs()), "{mebibyte:?}");
        assert!(timeouts.of(Operation::Stage, usize::MAX, 0) > mebibyte);
    }
}
