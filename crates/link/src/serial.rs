//! A wire over a serial port, or a pseudo-terminal.
//!
//! A port is exclusive while it is open: programs of ours by a lock that the kernel gives back when the process
//! ends, and on Unix everybody else, as far as the kernel allows, by the exclusive mode of terminals.

#[cfg_attr(unix, path = "serial/unix.rs")]
#[cfg_attr(not(unix), path = "serial/windows.rs")]
mod os;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lineside_terms::Instant;

use crate::{Clock, LineSettings, LinkError, Sleep, Wire};

pub(crate) use os::Tty;

/// Between two looks whether everything has left.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// How long bytes may stay in the port after the time they need, before a change of settings throws them away:
/// flow control holds them, and nobody is there to take them.
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Bits on the wire per byte: start, eight data, stop (`chip-to-pc-and-recovery.md` 1.3).
const BITS_PER_BYTE: u64 = 10;

/// A wire over a serial port. Dropping it throws away what has not left yet: closing would wait for it, and with it
/// every other board.
pub struct SerialWire {
    tty: Tty,
    clock: Clock,
    name: String,
    settings: LineSettings,
    /// When everything taken so far has left, if nothing holds it.
    leaves_at: Instant,
    /// Settings that wait for that.
    change: Option<Change>,
    /// What a change that had to wait came to.
    failed: Option<LinkError>,
    departed: bool,
}

struct Change {
    to: LineSettings,
    look: Sleep,
}

impl fmt::Debug for SerialWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerialWire")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish()
    }
}

impl SerialWire {
    /// Opens a port by its path (`/dev/ttyUSB2`) or name (`COM3`), for this process alone. What was received before
    /// is thrown away. Must be called within a `tokio` runtime with I/O enabled.
    ///
    /// # Errors
    /// [`LinkError::PortOpen`] when somebody has it open already, [`LinkError::Io`] when it cannot be opened or
    /// cannot have these settings.
    pub fn open(path: &Path, settings: LineSettings, clock: &Clock) -> Result<Self, LinkError> {
        let name = path.display().to_string();
        let tty = Tty::open(path).map_err(|error| failure("open", &name, &error))?;
        let tty = tty.ok_or(LinkError::PortOpen)?;
        Self::over(tty, name, settings, clock)
    }

    /// As [`open`](Self::open), over a port that is held already.
    pub(crate) fn over(
        mut tty: Tty,
        name: String,
        settings: LineSettings,
        clock: &Clock,
    ) -> Result<Self, LinkError> {
        tty.apply(settings)
            .map_err(|error| failure("set up", &name, &error))?;
        tty.discard_input();
        Ok(Self {
            tty,
            clock: clock.clone(),
            name,
            settings,
            leaves_at: Instant::ZERO,
            change: None,
            failed: None,
            departed: false,
        })
    }

    fn fails(&mut self, doing: &str, error: &std::io::Error) -> LinkError {
        let error = failure(doing, &self.name, error);
        self.departed |= error == LinkError::Departed;
        error
    }

    fn apply(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.tty
            .apply(settings)
            .map_err(|error| self.fails("set up", &error))?;
        self.settings = settings;
        Ok(())
    }

    /// Makes the change of settings that is due, if everything has left.
    fn poll_change(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while let Some(change) = &mut self.change {
            let now = self.clock.now();
            let has_left = now >= self.leaves_at && self.tty.unsent() == 0;
            if !has_left && now < self.leaves_at + DRAIN_PATIENCE {
                if Pin::new(&mut change.look).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                change.look = self.clock.sleep(LOOK_AGAIN);
                continue;
            }
            if !has_left {
                tracing::warn!(
                    port = self.name,
                    "the board took nothing: what waited for it is thrown away"
                );
                self.tty.discard_output();
            }
            let to = change.to;
            self.change = None;
            let changed = self.apply(to);
            self.failed = changed.err();
        }
        match &self.failed {
            Some(error) => Poll::Ready(Err(error.clone())),
            None => Poll::Ready(Ok(())),
        }
    }

    fn check(&self) -> Result<(), LinkError> {
        if self.departed {
            Err(LinkError::Departed)
        } else {
            Ok(())
        }
    }
}

impl Wire for SerialWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        self.check()?;
        // Reading goes on while a change waits, but must also bring it forward.
        if let Poll::Ready(Err(error)) = self.poll_change(cx) {
            return Poll::Ready(Err(error));
        }
        match self.tty.poll_read(cx, into) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => {
                self.departed = true;
                Poll::Ready(Err(LinkError::Departed))
            }
            Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.fails("read from", &error))),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        self.check()?;
        std::task::ready!(self.poll_change(cx))?;
        match self.tty.poll_write(cx, from) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(count)) => {
                let bits = count as u64 * BITS_PER_BYTE;
                let needs = Duration::from_nanos(bits * 1_000_000_000 / u64::from(self.settings.baud.max(1)));
                self.leaves_at = self.leaves_at.max(self.clock.now()) + needs;
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.fails("write to", &error))),
        }
    }

    /// Settings are changed at once when everything has left; else as soon as it has, while the wire is read from or
    /// written to, and if that fails the next read or write says so.
    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        self.check()?;
        self.failed = None;
        if self.change.is_none() && self.clock.now() >= self.leaves_at && self.tty.unsent() == 0 {
            return self.apply(settings);
        }
        self.change = Some(Change {
            to: settings,
            look: self.clock.sleep_until(self.leaves_at),
        });
        Ok(())
    }
}

impl Drop for SerialWire {
    fn drop(&mut self) {
        self.tty.discard_output();
    }
}

/// The error for what the system said, which may be that the board is gone.
fn failure(doing: &str, name: &str, error: &std::io::Error) -> LinkError {
    if os::is_departure(error) {
        LinkError::Departed
    } else {
        LinkError::io(format!("{doing} {name}"), error)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
