//! A plain TCP conversation with an application, beside the verified connection.

use std::fmt;
use std::time::Duration;

use super::Verified;
use crate::error::{DeviceError, DialogueFault};
use crate::pump::Stopped;
use crate::stack::{TcpId, TcpState};

/// A plain TCP conversation with an application on a verified device. It goes over the same wire while the verified
/// connection lives, so it is that device's application that answers.
pub struct Dialogue<'a> {
    verified: &'a mut Verified,
    tcp: TcpId,
    port: u16,
    /// Received and not handed on yet.
    received: Vec<u8>,
}

impl fmt::Debug for Dialogue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialogue")
            .field("port", &self.port)
            .field("device", &self.verified.id)
            .finish_non_exhaustive()
    }
}

impl Verified {
    /// Connects to an application's TCP port.
    ///
    /// # Errors
    /// [`DeviceError::TcpRefused`] when nobody listens, [`DeviceError::TcpTimeout`] when nothing answers in time,
    /// [`DeviceError::ConnectionLost`] when the verified connection is over, or the wire's failure.
    pub async fn dialogue(&mut self, port: u16, timeout: Duration) -> Result<Dialogue<'_>, DeviceError> {
        if self.lost.is_some() {
            return Err(self.is_over());
        }
        let tcp = self.session.inner().channel().stack().open(port);
        let mut dialogue = Dialogue {
            verified: self,
            tcp,
            port,
            received: Vec::new(),
        };
        let state = dialogue
            .drive(timeout, |state, _| {
                (state != TcpState::Connecting).then_some(state)
            })
            .await?
            .ok_or(DeviceError::TcpTimeout { port, tries: 1 })?;
        match state {
            TcpState::Refused => Err(DeviceError::TcpRefused { port }),
            _ => Ok(dialogue),
        }
    }
}

impl Dialogue<'_> {
    /// Sends a line and returns the line that comes back, without its end. What was received beyond it is kept for the
    /// next call.
    ///
    /// # Errors
    /// [`DeviceError::Dialogue`] when no line of at most `most` bytes comes within `timeout`, or as
    /// [`Verified::dialogue`].
    pub async fn exchange_line(
        &mut self,
        line: &[u8],
        most: usize,
        timeout: Duration,
    ) -> Result<Vec<u8>, DeviceError> {
        let until = self.verified.clock().now() + timeout;
        self.send_line(line, timeout).await?;
        let left = until.saturating_since(self.verified.clock().now());
        self.read_line(most, left).await
    }

    /// Sends a line and its end.
    ///
    /// # Errors
    /// As [`exchange_line`](Self::exchange_line).
    pub async fn send_line(&mut self, line: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        let mut rest = [line, b"\n"].concat();
        let tcp = self.tcp;
        let sent = self
            .drive(timeout, move |state, stack| {
                let taken = stack.send(tcp, &rest);
                rest.drain(..taken);
                match state {
                    _ if rest.is_empty() => Some(Ok(())),
                    TcpState::Open | TcpState::PeerClosed => None,
                    _ => Some(Err(DialogueFault::Closed)),
                }
            })
            .await?;
        self.judge(sent.unwrap_or(Err(DialogueFault::Silent)))
    }

    /// Returns the next line without its end.
    ///
    /// # Errors
    /// As [`exchange_line`](Self::exchange_line).
    pub async fn read_line(&mut self, most: usize, timeout: Duration) -> Result<Vec<u8>, DeviceError> {
        let tcp = self.tcp;
        let mut received = std::mem::take(&mut self.received);
        let driven = self
            .drive(timeout, |state, stack| {
                let mut chunk = [0; 1024];
                loop {
                    if let Some(end) = received.iter().position(|byte| *byte == b'\n') {
                        let mut line: Vec<u8> = received.drain(..=end).collect();
                        line.pop();
                        if line.last() == Some(&b'\r') {
                            line.pop();
                        }
                        let is_too_long = line.len() > most;
                        return Some(if is_too_long {
                            Err(DialogueFault::TooLong { most })
                        } else {
                            Ok(line)
                        });
                    }
                    // One more byte than a line without its end may have.
                    if received.len() > most + 1 {
                        return Some(Err(DialogueFault::TooLong { most }));
                    }
                    match stack.receive(tcp, &mut chunk) {
                        0 => break,
                        count => received.extend_from_slice(&chunk[..count]),
                    }
                }
                let is_over = matches!(state, TcpState::PeerClosed | TcpState::Closed | TcpState::Refused);
                is_over.then_some(Err(DialogueFault::Closed))
            })
            .await;
        // The beginning of a line that came too late is kept.
        self.received = received;
        self.judge(driven?.unwrap_or(Err(DialogueFault::Silent)))
    }

    fn judge<T>(&self, result: Result<T, DialogueFault>) -> Result<T, DeviceError> {
        result.map_err(|fault| DeviceError::Dialogue {
            port: self.port,
            fault,
        })
    }

    /// Moves bytes until `until` yields something; `None` when the time is over first.
    async fn drive<T>(
        &mut self,
        timeout: Duration,
        mut until: impl FnMut(TcpState, &mut crate::stack::Stack) -> Option<T>,
    ) -> Result<Option<T>, DeviceError> {
        let tcp = self.tcp;
        let inner = self.verified.session.inner();
        let deadline = inner.now() + timeout;
        let driven = inner
            .drive(deadline, |channel| {
                if !channel.is_ready() {
                    return Some(None);
                }
                let stack = channel.stack();
                let state = stack.state(tcp);
                until(state, stack).map(Some)
            })
            .await;
        match driven {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => Err(self.verified.is_over()),
            Err(Stopped::Deadline) => Ok(None),
            Err(Stopped::Link(error)) => Err(error.into()),
        }
    }
}

impl Drop for Dialogue<'_> {
    fn drop(&mut self) {
        // The goodbye leaves with the next thing that is sent.
        self.verified.session.inner().channel().stack().release(self.tcp);
    }
}
