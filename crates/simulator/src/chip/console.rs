//! What the chip prints on its recovery UART when it boots (`chip-to-pc-and-recovery.md` 3).

use lineside_terms::DeviceId;

use crate::seed::{Draws, Seed};

/// The lines of an ordinary boot, CRLF at their ends.
pub(super) fn boot_lines(seed: &Seed, id: DeviceId, draws: &mut Draws) -> Vec<u8> {
    let general = crate::firmware::device_id(&seed.branch("general"));
    let nonce = hex::encode([draws.sixteen(), draws.sixteen()].concat());
    format!(
        "[1BL] BOOT: 70000000/00000000/02010000\r\nG={general}\r\nD={id},N={nonce}\r\n\
         [PLUTON] Logging initialized\r\n[PLUTON] Booting HLOS core\r\n"
    )
    .into_bytes()
}
