//! Who a device is by its boot messages: at each boot its boot loader tells the id on the recovery UART, also when the OS
//! behind it does not answer (`chip-to-pc-and-recovery.md` 3). An erased device has no boot loader.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use lineside_link::{Board, Clock, LineSettings, Port};
use lineside_terms::DeviceId;

use crate::error::DeviceError;

/// What stands before the id in its line; a comma and a nonce follow.
const MARK: &[u8] = b"D=";
/// The id as text.
const ID: usize = 128;
/// More than this much text without an id is no boot of this chip.
const MOST: usize = 64 * 1024;

/// Resets a chip by its line and reads its id from what it says while it boots, within `patience`. Whatever ran on it
/// runs anew; nothing is written.
///
/// # Errors
/// [`DeviceError::NoConsole`] when no id came; when the board cannot be used.
pub async fn identify_by_console(
    board: &mut dyn Board,
    clock: &Clock,
    patience: Duration,
) -> Result<DeviceId, DeviceError> {
    let mut wire = board.open(Port::Recovery)?;
    wire.configure(LineSettings::CONSOLE)?;
    lineside_link::reset(board, clock).await?;
    let mut end = clock.sleep(patience);
    let mut heard = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let read = poll_fn(|cx| match wire.poll_read(cx, &mut buffer) {
            Poll::Pending => Pin::new(&mut end).poll(cx).map(|()| None),
            read => read.map(Some),
        });
        let count = match read.await {
            Some(count) => count?,
            None => return Err(no_console(&heard, patience)),
        };
        heard.extend_from_slice(&buffer[..count]);
        if let Some(device) = id_in(&heard) {
            return Ok(device);
        }
        if heard.len() > MOST {
            return Err(no_console(&heard, patience));
        }
    }
}

fn no_console(heard: &[u8], patience: Duration) -> DeviceError {
    DeviceError::NoConsole {
        after: patience,
        heard: heard.len(),
    }
}

/// The id in boot messages: at the beginning of a line, and whole.
fn id_in(text: &[u8]) -> Option<DeviceId> {
    let lines = text.split(|byte| matches!(byte, b'\r' | b'\n'));
    lines
        .filter_map(|line| line.strip_prefix(MARK)?.get(..ID + 1)?.split_last())
        .filter(|(behind, _)| **behind == b',')
        .find_map(|(_, id)| std::str::from_utf8(id).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_id_is_found_in_the_line_that_tells_it() {
        let id = "0a".repeat(64);
        let boot = |line: &str| {
            format!("\u{1}[1BL] BOOT: 380a0300/00000001/02000000\r\nG={id}\r\n{line}").into_bytes()
        };
        assert_eq!(id_in(&boot(&format!("D={id},N=00"))), Some(id.parse().unwrap()));
        assert_eq!(id_in(&boot(&format!("D={id}"))), None, "it may be cut off");
        assert_eq!(id_in(&boot(&format!("xD={id},N=00"))), None);
        assert_eq!(id_in(&boot("D=nonsense,N=00\r\n")), None);
        assert_eq!(id_in(&boot("")), None, "G is another key");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = id_in(&[b"D=", &bytes[..]].concat());
        }
    }
}
