//! Serial ports on Windows, which are exclusive by themselves.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serial2_tokio::{FlowControl, KeepSettings, SerialPort};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::LineSettings;

const ERROR_ACCESS_DENIED: i32 = 5;
/// What drivers say of a port whose device was unplugged: bad command, not functioning, aborted, not connected.
const GONE: [i32; 5] = [22, 31, 995, 433, 1167];

/// An open port that nobody else has open.
#[derive(Debug)]
pub(crate) struct Tty {
    port: SerialPort,
}

impl Tty {
    /// Opens a port; `None` when somebody has it.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        match SerialPort::open(path, KeepSettings) {
            Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED) => Ok(None),
            opened => Ok(Some(Self { port: opened? })),
        }
    }

    pub(crate) fn apply(&mut self, settings: LineSettings) -> io::Result<()> {
        let mut wanted = self.port.get_configuration()?;
        wanted.set_raw();
        wanted.set_baud_rate(settings.baud)?;
        wanted.set_flow_control(if settings.rts_cts {
            FlowControl::RtsCts
        } else {
            FlowControl::None
        });
        self.port.set_configuration(&wanted)
    }

    pub(crate) fn discard_input(&self) {
        // A port that cannot do it is gone, which the next call tells.
        let _ = self.port.discard_input_buffer();
    }

    pub(crate) fn discard_output(&self) {
        let _ = self.port.discard_output_buffer();
    }

    /// Not known here: a write is done when the driver has sent it.
    pub(crate) fn unsent(&self) -> usize {
        0
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(&mut self.port).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.port).poll_write(cx, from)
    }
}

/// True for what the system says of a port whose device was unplugged.
pub(super) fn is_departure(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| GONE.contains(&code))
}
