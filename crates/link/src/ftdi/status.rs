//! What a chip sends: packets that each begin with two status bytes.

use super::ModemStatus;
use super::assume::{CTS, OVERRUN, TRANSMITTER_EMPTY};

/// Bytes of a full packet of a high-speed chip.
pub const PACKET: usize = 512;
const HEAD: usize = 2;

/// What [`strip`] found beside the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stripped {
    /// The last status, if there was any.
    pub status: Option<[u8; 2]>,
    /// Packets that say that bytes were lost before them.
    pub overruns: u64,
}

/// Takes the status bytes out of what one bulk IN transfer brought, and hands what was received to `deliver`. Packets
/// of a transfer are full but for the last. Whatever is too short to be a packet is none.
pub fn strip(transfer: &[u8], mut deliver: impl FnMut(&[u8])) -> Stripped {
    let mut stripped = Stripped::default();
    for packet in transfer.chunks(PACKET) {
        let Some((head, bytes)) = packet.split_first_chunk::<HEAD>() else {
            continue;
        };
        stripped.status = Some(*head);
        stripped.overruns += u64::from(ModemStatus::tells_overrun(*head));
        if !bytes.is_empty() {
            deliver(bytes);
        }
    }
    stripped
}

impl ModemStatus {
    /// What the two status bytes say.
    pub const fn of(status: [u8; 2]) -> Self {
        Self {
            is_clear_to_send: status[0] & CTS != 0,
            is_transmitter_empty: status[1] & TRANSMITTER_EMPTY != 0,
        }
    }

    /// Whether the two status bytes say that bytes were lost.
    pub const fn tells_overrun(status: [u8; 2]) -> bool {
        status[1] & OVERRUN != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(transfer: &[u8]) -> (Vec<u8>, Stripped) {
        let mut bytes = Vec::new();
        let told = strip(transfer, |more| bytes.extend_from_slice(more));
        (bytes, told)
    }

    #[test]
    fn status_bytes_go_and_losses_are_counted() {
        let mut transfer = vec![7; PACKET];
        transfer[..2].copy_from_slice(&[0x11, 0x60]);
        transfer.extend([0x01, 0x62, 8, 9]);
        let (bytes, told) = stripped(&transfer);
        let mut expected = vec![7; PACKET - 2];
        expected.extend([8, 9]);
        assert_eq!(bytes, expected);
        assert_eq!(
            told,
            Stripped {
                status: Some([0x01, 0x62]),
                overruns: 1
            }
        );
        let status = ModemStatus::of([0x11, 0x60]);
        assert!(status.is_clear_to_send && status.is_transmitter_empty);
        assert_eq!(
            stripped(&[0x01, 0x60]),
            (
                Vec::new(),
                Stripped {
                    status: Some([0x01, 0x60]),
                    overruns: 0
                }
            )
        );
        assert_eq!(stripped(&[0x01]), (Vec::new(), Stripped::default()));
        assert_eq!(stripped(&[]), (Vec::new(), Stripped::default()));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_stripped(transfer in proptest::collection::vec(0u8.., 0..2000)) {
            let (bytes, told) = stripped(&transfer);
            let packets = transfer.chunks(PACKET).filter(|packet| packet.len() >= HEAD).count();
            let odd = transfer.chunks(PACKET).filter(|packet| packet.len() < HEAD).map(<[u8]>::len).sum::<usize>();
            proptest::prop_assert_eq!(bytes.len(), transfer.len() - packets * HEAD - odd);
            proptest::prop_assert!(told.overruns <= packets as u64);
        }
    }
}
