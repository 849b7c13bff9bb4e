//! Serial ports on Unix.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::task::{Context, Poll, ready};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::termios::{ControlModes, OptionalActions, QueueSelector};
use tokio::io::unix::AsyncFd;

use crate::LineSettings;

/// An open terminal that nobody else has open.
#[derive(Debug)]
pub(crate) struct Tty {
    file: AsyncFd<File>,
}

impl Tty {
    /// Opens a terminal; `None` when somebody has it.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        match Self::hold(path)? {
            Some(file) => Self::over(file).map(Some),
            None => Ok(None),
        }
    }

    /// Opens a terminal and keeps everybody else out as long as the file, or a clone of it, is open; `None` when
    /// somebody has it. Nothing is changed before that is clear.
    pub(crate) fn hold(path: &Path) -> io::Result<Option<File>> {
        // Never wait for a carrier, never become our controlling terminal.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path);
        let file = match opened {
            // Its exclusive mode is on.
            Err(error) if is(&error, Errno::BUSY) => return Ok(None),
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        rustix::termios::ioctl_tiocexcl(&file)?;
        Ok(Some(file))
    }

    /// A terminal that is [held](Self::hold).
    pub(crate) fn over(file: File) -> io::Result<Self> {
        #[expect(
            unsafe_code,
            reason = "a file keeps its one descriptor open until it is dropped"
        )]
        let file = unsafe { AsyncFd::register(file) }?;
        Ok(Self { file })
    }

    fn file(&self) -> &File {
        self.file.get_ref()
    }

    /// Changes the settings at once, whatever is under way: waiting here could take for ever, and every other board
    /// with it.
    pub(crate) fn apply(&mut self, settings: LineSettings) -> io::Result<()> {
        let mut termios = rustix::termios::tcgetattr(self.file())?;
        termios.make_raw();
        termios.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        termios.control_modes -= ControlModes::CSTOPB;
        termios.control_modes.set(ControlModes::CRTSCTS, settings.rts_cts);
        termios.set_speed(settings.baud)?;
        Ok(rustix::termios::tcsetattr(
            self.file(),
            OptionalActions::Now,
            &termios,
        )?)
    }

    #[cfg(test)]
    pub(super) fn speed(&self) -> u32 {
        rustix::termios::tcgetattr(self.file()).unwrap().output_speed()
    }

    pub(crate) fn discard_input(&self) {
        // A terminal that cannot do it is gone, which the next call tells.
        let _ = rustix::termios::tcflush(self.file(), QueueSelector::IFlush);
    }

    pub(crate) fn discard_output(&self) {
        let _ = rustix::termios::tcflush(self.file(), QueueSelector::OFlush);
    }

    /// Bytes that the kernel still has to send.
    pub(crate) fn unsent(&self) -> usize {
        os_unsent(self.file())
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.file.poll_read_ready(cx))?;
            if let Ok(read) = guard.try_io(|file| file.get_ref().read(into)) {
                return Poll::Ready(read);
            }
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.file.poll_write_ready(cx))?;
            if let Ok(written) = guard.try_io(|file| file.get_ref().write(from)) {
                return Poll::Ready(written);
            }
        }
    }
}

/// True for what the kernel says of a port whose device was unplugged.
pub(super) fn is_departure(error: &io::Error) -> bool {
    [Errno::IO, Errno::NXIO, Errno::NODEV]
        .into_iter()
        .any(|gone| is(error, gone))
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64"
    )
))]
fn os_unsent(file: &File) -> usize {
    use rustix::ioctl::{Getter, Opcode, ioctl};

    const TIOCOUTQ: Opcode = 0x5411;
    #[expect(
        unsafe_code,
        reason = "nothing safe asks this question; the kernel writes one int"
    )]
    let unsent = unsafe { ioctl(file, Getter::<TIOCOUTQ, i32>::new()) };
    // Who cannot tell has nothing waiting, as far as we can know: the time that bytes need is waited for anyway.
    usize::try_from(unsent.unwrap_or(0)).unwrap_or(0)
}

#[cfg(not(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64"
    )
)))]
fn os_unsent(_file: &File) -> usize {
    0
}
