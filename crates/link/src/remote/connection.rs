//! What both ends of a connection do alike: greet, and take messages out of the bytes that arrive.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::frame::{HEADER, MAX_BODY, Malformed, Message, VERSION, Version, decode, may_come_first};

/// Bytes that are fetched at once: many frames under load, and always at least a whole one.
const READ: usize = 64 * 1024;
const _: () = assert!(READ / 2 > HEADER + MAX_BODY);

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The other end closed it or died.
    Gone,
    /// The other end broke the protocol or speaks another one.
    Foreign(String),
    /// The other end told why it closes.
    Bye(String),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        // Whatever the system says of a broken connection: the other process is not there any more.
        Self::Gone
    }
}

impl From<Malformed> for End {
    fn from(malformed: Malformed) -> Self {
        Self::Foreign(malformed.to_string())
    }
}

/// Messages as they arrive.
pub(super) struct Inbox {
    reader: Box<dyn AsyncRead + Unpin>,
    buffer: BytesMut,
}

impl Inbox {
    pub(super) fn new(reader: Box<dyn AsyncRead + Unpin>) -> Self {
        Self {
            reader,
            buffer: BytesMut::with_capacity(READ),
        }
    }

    /// Hands out every message that is complete, after waiting for bytes if there is none. `take` is not asked to
    /// wait: it only notes what there is to do.
    pub(super) async fn receive(
        &mut self,
        mut take: impl FnMut(Message<'_>) -> Result<(), End>,
    ) -> Result<(), End> {
        loop {
            let mut used = 0;
            while let Some((message, length)) = decode(&self.buffer[used..])? {
                used += length;
                match message {
                    Message::Bye { reason } => return Err(End::Bye(reason)),
                    Message::Skipped => {}
                    message => take(message)?,
                }
            }
            self.buffer.advance(used);
            if used > 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        self.buffer.reserve(READ / 2);
        if self.reader.read_buf(&mut self.buffer).await? == 0 {
            Err(End::Gone)
        } else {
            Ok(())
        }
    }

    /// Waits for the greeting of the other end, which must speak our version.
    pub(super) async fn greeting(&mut self) -> Result<(), End> {
        let no_greeting = || End::Foreign("it does not greet".into());
        loop {
            // Whoever speaks another language altogether need not finish its sentence.
            if self.buffer.first().is_some_and(|kind| !may_come_first(*kind)) {
                return Err(no_greeting());
            }
            if let Some((message, length)) = decode(&self.buffer)? {
                let result = match message {
                    Message::Hello(version) => accepts(version),
                    Message::Bye { reason } => Err(End::Bye(reason)),
                    _ => Err(no_greeting()),
                };
                self.buffer.advance(length);
                return result;
            }
            self.fill().await?;
        }
    }
}

fn accepts(version: Version) -> Result<(), End> {
    if version.major == VERSION.major {
        return Ok(());
    }
    let (theirs, ours) = (version.major, VERSION.major);
    Err(End::Foreign(format!(
        "it speaks version {theirs} of the bench protocol, this program version {ours}"
    )))
}
