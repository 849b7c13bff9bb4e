//! `--trace FILE`: what goes over the recovery UART, as text, to be sent to whoever settles assumptions.
//!
//! One line for each thing: seconds, a mark, bytes in hex. `>` was sent, `<` was received, `=` are settings, `!` is a
//! failure. What belongs to a capability file is counted and not written.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::rc::Rc;

use lineside_device::recovery::Trace;
use lineside_link::trace::{TraceEntry, Traced};
use lineside_terms::SlotPath;

use crate::cli::trouble::Trouble;

/// The first line, so that readers know what they have.
const HEAD: &str = "# lineside trace 1: recovery UART of slot";

type Out = Rc<RefCell<BufWriter<File>>>;

/// Makes traces that are all written to a file, one try after the other. Never over one that is there.
pub(super) fn to(path: &Path, slot: &SlotPath) -> Result<Rc<dyn Fn() -> Trace>, Trouble> {
    let failed = |error: std::io::Error| {
        Trouble::station(
            "station.file",
            &format!("could not write {}", path.display()),
            &error,
        )
    };
    let file = File::options()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(failed)?;
    let mut out = BufWriter::new(file);
    writeln!(out, "{HEAD} {slot}").map_err(failed)?;
    let out: Out = Rc::new(RefCell::new(out));
    Ok(Rc::new(move || {
        let (entries, blanks) = (Rc::clone(&out), Rc::clone(&out));
        // A disk that is full ends the trace, not the recovery.
        let mut begun = false;
        Trace {
            sink: Box::new(move |entry| {
                if !std::mem::replace(&mut begun, true) {
                    let _ = writeln!(entries.borrow_mut(), "# recovery is entered");
                }
                let _ = writeln!(entries.borrow_mut(), "{}", line_of(&entry));
            }),
            blanked: Box::new(move |count| {
                let _ = writeln!(
                    blanks.borrow_mut(),
                    "# {count} bytes of a capability file were sent"
                );
            }),
        }
    }))
}

fn line_of(entry: &TraceEntry) -> String {
    let micros = entry.at.as_nanos() / 1_000;
    let (mark, text) = match &entry.what {
        Traced::Sent(bytes) => ('>', hex(bytes)),
        Traced::Received(bytes) => ('<', hex(bytes)),
        Traced::Configured(settings) => {
            let flow = if settings.rts_cts { "rts/cts" } else { "none" };
            ('=', format!("{} 8N1 {flow}", settings.baud))
        }
        Traced::Failed(error) => ('!', error.to_string()),
    };
    format!("{}.{:06} {mark} {text}", micros / 1_000_000, micros % 1_000_000)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
