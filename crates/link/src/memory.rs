//! A wire whose other end is in this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::{LineSettings, LinkError, Wire};

#[derive(Debug, Default)]
struct Way {
    bytes: VecDeque<u8>,
    /// Settings that the writer changed to when so many of the bytes had been written.
    changes: VecDeque<(usize, LineSettings)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Both ends know: one of them was dropped.
    cut: bool,
}

#[derive(Debug)]
struct Pipe {
    capacity: usize,
    ways: [Mutex<Way>; 2],
    settings: [Mutex<LineSettings>; 2],
}

impl Pipe {
    fn way(&self, index: usize) -> MutexGuard<'_, Way> {
        self.ways[index]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn set(&self, end: usize, settings: LineSettings) {
        *self.settings[end]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = settings;
    }
}

/// One end of a wire in memory. It may be used from another thread than its other end.
#[derive(Debug)]
pub struct MemoryWire {
    pipe: Arc<Pipe>,
    end: usize,
}

/// A wire that holds at most `capacity` bytes each way. Either end may be dropped; the other then reads what is
/// left and finds the board departed.
pub fn pair(capacity: usize) -> (MemoryWire, MemoryWire) {
    let pipe = Arc::new(Pipe {
        capacity: capacity.max(1),
        ways: Default::default(),
        settings: [
            Mutex::new(LineSettings::SERVICE),
            Mutex::new(LineSettings::SERVICE),
        ],
    });
    (
        MemoryWire {
            pipe: Arc::clone(&pipe),
            end: 0,
        },
        MemoryWire { pipe, end: 1 },
    )
}

impl MemoryWire {
    /// What the other end had configured for the bytes that are read next, for those who model baud rates.
    pub fn peer_settings(&self) -> LineSettings {
        *self.pipe.settings[1 - self.end]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Wire for MemoryWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        let mut way = self.pipe.way(1 - self.end);
        if way.bytes.is_empty() {
            if way.cut {
                return Poll::Ready(Err(LinkError::Departed));
            }
            way.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let until = way.changes.front().map_or(usize::MAX, |(bytes, _)| *bytes);
        let count = into.len().min(way.bytes.len()).min(until);
        for (to, byte) in into.iter_mut().zip(way.bytes.drain(..count)) {
            *to = byte;
        }
        for (bytes, _) in &mut way.changes {
            *bytes -= count;
        }
        let mut changed = None;
        while let Some((_, settings)) = way.changes.pop_front_if(|(bytes, _)| *bytes == 0) {
            changed = Some(settings);
        }
        let writer = way.writer.take();
        drop(way);
        if let Some(settings) = changed {
            self.pipe.set(1 - self.end, settings);
        }
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        let mut way = self.pipe.way(self.end);
        if way.cut {
            return Poll::Ready(Err(LinkError::Departed));
        }
        let count = from.len().min(self.pipe.capacity.saturating_sub(way.bytes.len()));
        if count == 0 {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        way.bytes.extend(&from[..count]);
        let reader = way.reader.take();
        drop(way);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        let mut way = self.pipe.way(self.end);
        let before = way.bytes.len();
        if before > 0 {
            way.changes.push_back((before, settings));
        } else {
            drop(way);
            self.pipe.set(self.end, settings);
        }
        Ok(())
    }
}

impl Drop for MemoryWire {
    fn drop(&mut self) {
        for index in 0..2 {
            let mut way = self.pipe.way(index);
            way.cut = true;
            let (reader, writer) = (way.reader.take(), way.writer.take());
            drop(way);
            reader.into_iter().chain(writer).for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{read_some, write_all};
    use futures::executor::block_on;
    use futures::future::join;

    #[test]
    fn bytes_cross_in_order_through_a_narrow_pipe_and_the_cut_is_seen() {
        let (mut near, mut far) = pair(3);
        let sent: Vec<u8> = (0..100).collect();
        let send = async {
            write_all(&mut near, &sent).await.unwrap();
            drop(near);
        };
        let receive = async {
            let mut got = Vec::new();
            let mut buffer = [0; 7];
            loop {
                match read_some(&mut far, &mut buffer).await {
                    Ok(count) => got.extend_from_slice(&buffer[..count]),
                    Err(error) => return (got, error),
                }
            }
        };
        let ((), (got, error)) = block_on(join(send, receive));
        assert_eq!(got, sent);
        assert_eq!(error, LinkError::Departed);
    }

    #[test]
    fn settings_change_behind_the_bytes_that_were_written_before() {
        let (mut near, mut far) = pair(100);
        near.configure(LineSettings::CONSOLE).unwrap();
        assert_eq!(far.peer_settings(), LineSettings::CONSOLE);
        block_on(async {
            write_all(&mut near, b"slow").await.unwrap();
            near.configure(LineSettings::SERVICE).unwrap();
            write_all(&mut near, b"quick").await.unwrap();
            let mut buffer = [0; 50];
            assert_eq!(far.peer_settings(), LineSettings::CONSOLE);
            assert_eq!(read_some(&mut far, &mut buffer).await, Ok(4));
            assert_eq!(far.peer_settings(), LineSettings::SERVICE);
            assert_eq!(read_some(&mut far, &mut buffer).await, Ok(5));
        });
    }
}
