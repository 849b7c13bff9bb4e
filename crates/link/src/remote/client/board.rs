//! A leased board and its wires, as the client sees them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use lineside_terms::SlotPath;

use super::super::connection::End;
use super::super::frame::{MAX_BODY, Message};
use super::super::{CREDIT_STEP, WINDOW};
use super::Connected;
use crate::{Board, Line, LineSettings, LinkError, Port, Wire, WireHealth};

pub(super) struct RemoteBoard {
    connected: Rc<Connected>,
    id: u32,
    slot: SlotPath,
    open: Vec<(Port, u32, Weak<RefCell<WireState>>)>,
}

impl RemoteBoard {
    pub(super) fn new(connected: Rc<Connected>, id: u32, slot: SlotPath) -> Self {
        Self {
            connected,
            id,
            slot,
            open: Vec::new(),
        }
    }

    /// What went wrong since the last call. The lender's refusals are told once, the end of the connection always.
    fn check(&self) -> Result<(), LinkError> {
        self.connected.0.check()?;
        let mut boards = self.connected.0.boards.borrow_mut();
        let Some(seen) = boards.get_mut(&self.id) else {
            return Ok(());
        };
        match seen {
            Some(LinkError::Departed) => Err(LinkError::Departed),
            seen => seen.take().map_or(Ok(()), Err),
        }
    }
}

impl Board for RemoteBoard {
    fn slot(&self) -> &SlotPath {
        &self.slot
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        self.check()?;
        self.open.retain(|(_, _, state)| state.strong_count() > 0);
        if self.open.iter().any(|(open, ..)| *open == port) {
            return Err(LinkError::PortOpen);
        }
        let client = &self.connected.0;
        let id = client.next_id();
        let state = Rc::new(RefCell::new(WireState::default()));
        self.open.push((port, id, Rc::downgrade(&state)));
        client.wires.borrow_mut().insert(id, Rc::clone(&state));
        client.outbox.send(&Message::Open {
            wire: id,
            board: self.id,
            port,
        });
        Ok(Box::new(RemoteWire {
            connected: Rc::clone(&self.connected),
            id,
            state,
        }))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        self.check()?;
        self.connected.0.outbox.send(&Message::Line {
            board: self.id,
            line,
            asserted,
        });
        Ok(())
    }
}

impl Drop for RemoteBoard {
    fn drop(&mut self) {
        let client = &self.connected.0;
        for (_, id, state) in self.open.drain(..) {
            client.wires.borrow_mut().remove(&id);
            if let Some(state) = state.upgrade() {
                let mut state = state.borrow_mut();
                state.end_reading(&LinkError::Departed);
                state.end_writing(&LinkError::Departed);
            }
        }
        client.boards.borrow_mut().remove(&self.id);
        client.outbox.send(&Message::Release { board: self.id });
    }
}

/// What the connection and the wire share.
pub(super) struct WireState {
    incoming: VecDeque<u8>,
    /// Room that was made and that the lender does not know of yet.
    owed: u32,
    /// Bytes that we may still send.
    credit: u32,
    read_ended: Option<LinkError>,
    write_ended: Option<LinkError>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    pub(super) health: WireHealth,
}

impl Default for WireState {
    fn default() -> Self {
        Self {
            incoming: VecDeque::new(),
            owed: 0,
            credit: WINDOW,
            read_ended: None,
            write_ended: None,
            reader: None,
            writer: None,
            health: WireHealth::default(),
        }
    }
}

impl WireState {
    pub(super) fn received(&mut self, bytes: &[u8]) -> Result<(), End> {
        if self.incoming.len() + self.owed as usize + bytes.len() > WINDOW as usize {
            return Err(End::Foreign("it sends more than there is room for".into()));
        }
        self.incoming.extend(bytes);
        self.reader.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    pub(super) fn credited(&mut self, bytes: u32) -> Result<(), End> {
        let credit = self.credit.checked_add(bytes).filter(|credit| *credit <= WINDOW);
        self.credit = credit.ok_or_else(|| End::Foreign("it makes more room than there is".into()))?;
        self.writer.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    pub(super) fn end_reading(&mut self, error: &LinkError) {
        self.read_ended.get_or_insert_with(|| error.clone());
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn end_writing(&mut self, error: &LinkError) {
        self.write_ended.get_or_insert_with(|| error.clone());
        self.writer.take().into_iter().for_each(Waker::wake);
    }
}

struct RemoteWire {
    connected: Rc<Connected>,
    id: u32,
    state: Rc<RefCell<WireState>>,
}

impl RemoteWire {
    fn send(&self, message: &Message<'_>) {
        self.connected.0.outbox.send(message);
    }
}

impl Wire for RemoteWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        let mut state = self.state.borrow_mut();
        if state.incoming.is_empty() {
            if let Some(error) = &state.read_ended {
                return Poll::Ready(Err(error.clone()));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = into.len().min(state.incoming.len());
        let (front, back) = state.incoming.as_slices();
        let from_front = count.min(front.len());
        into[..from_front].copy_from_slice(&front[..from_front]);
        into[from_front..count].copy_from_slice(&back[..count - from_front]);
        state.incoming.drain(..count);
        state.owed += u32::try_from(count).expect("no more than the window");
        if state.owed >= CREDIT_STEP && state.read_ended.is_none() {
            let bytes = std::mem::take(&mut state.owed);
            self.connected
                .0
                .outbox
                .send(&Message::Credit { wire: self.id, bytes });
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        let mut state = self.state.borrow_mut();
        if let Some(error) = &state.write_ended {
            return Poll::Ready(Err(error.clone()));
        }
        let count = from.len().min(state.credit as usize).min(MAX_BODY);
        if count == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.credit -= u32::try_from(count).expect("no more than the credit");
        self.connected.0.outbox.send(&Message::Data {
            wire: self.id,
            bytes: &from[..count],
        });
        Poll::Ready(Ok(count))
    }

    fn configure(&mut self, settings: LineSettings) -> Result<(), LinkError> {
        if let Some(error) = &self.state.borrow().write_ended {
            return Err(error.clone());
        }
        self.send(&Message::Configure {
            wire: self.id,
            settings,
        });
        Ok(())
    }

    fn set_packet_boundary(&mut self, byte: Option<u8>) {
        if self.state.borrow().write_ended.is_none() {
            self.send(&Message::Boundary { wire: self.id, byte });
        }
    }

    fn health(&self) -> WireHealth {
        self.state.borrow().health
    }
}

impl Drop for RemoteWire {
    fn drop(&mut self) {
        // Not there any more when the whole board was given back.
        if self.connected.0.wires.borrow_mut().remove(&self.id).is_some() {
            self.send(&Message::Close { wire: self.id });
        }
    }
}
