//! What a station sees of a world: a bench like any other.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::channel::mpsc;
use futures::future::LocalBoxFuture;
use futures::stream;
use futures::{FutureExt as _, StreamExt as _};
use lineside_link::{Bench, BenchEvent, Board, BoardInfo, Line, LineSettings, LinkError, Port, Watch, Wire};
use lineside_terms::SlotPath;

use crate::World;
use crate::board::BoardCell;

/// A handle to a world's boards. It may be given to another thread than the one that runs the world.
#[derive(Debug, Clone)]
pub struct BenchHandle {
    world: World,
}

impl BenchHandle {
    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }

    fn boards(&self) -> Vec<BoardInfo> {
        let infos = self.world.cells().iter().filter_map(|cell| {
            let state = cell.state();
            state.is_plugged.then(|| cell.info(&state))
        });
        infos.collect()
    }

    fn lease_now(&self, slot: &SlotPath, holder: &str) -> Result<Box<dyn Board>, LinkError> {
        let no_board = || LinkError::NoBoard { slot: slot.clone() };
        let cell = self
            .world
            .cells()
            .iter()
            .find(|cell| cell.slot == *slot)
            .ok_or_else(no_board)?;
        let mut state = cell.state();
        if !state.is_plugged {
            return Err(no_board());
        }
        if let Some(lease) = &state.lease {
            return Err(LinkError::Leased {
                slot: slot.clone(),
                holder: lease.holder.clone(),
            });
        }
        let lease = state.take(holder);
        Ok(Box::new(LeasedBoard {
            cell: Arc::clone(cell),
            lease,
            world: self.world.clone(),
        }))
    }
}

impl Bench for BenchHandle {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        async { Ok(self.boards()) }.boxed_local()
    }

    fn watch(&self) -> Watch {
        let (sender, receiver) = mpsc::unbounded();
        let mut watchers = self.world.watchers();
        let there: Vec<_> = self.boards().into_iter().map(BenchEvent::Attached).collect();
        watchers.push(sender);
        Box::pin(stream::iter(there).chain(receiver))
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let leased = self.lease_now(slot, holder);
        async { leased }.boxed_local()
    }
}

/// A board of the world in somebody's hands.
#[derive(Debug)]
struct LeasedBoard {
    cell: Arc<BoardCell>,
    lease: u64,
    world: World,
}

impl Board for LeasedBoard {
    fn slot(&self) -> &SlotPath {
        &self.cell.slot
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        let mut state = self.cell.state();
        if !state.is_held_by(self.lease) {
            return Err(LinkError::Departed);
        }
        if port == Port::Recovery && state.cable != Some(self.cell.index) {
            let cable = state.cable;
            // One board is locked at a time.
            drop(state);
            return Ok(match cable.and_then(|board| self.world.cell(board).ok()) {
                Some(reached) => Box::new(reached.state().open(port)?),
                None => Box::new(LooseWire),
            });
        }
        Ok(Box::new(state.open(port)?))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        let cable = {
            let state = self.cell.state();
            if !state.is_held_by(self.lease) {
                return Err(LinkError::Departed);
            }
            state.cable
        };
        let Some(reached) = cable.and_then(|board| self.world.cell(board).ok()) else {
            return Ok(());
        };
        let mut state = reached.state();
        match line {
            // A board without supply does not come up by its reset line.
            Line::Reset if state.is_plugged => state.chip.set_reset(self.world.clock().now(), asserted),
            Line::Reset => {}
            Line::RecoveryStrap => state.chip.set_strap(asserted),
        }
        state.wake();
        Ok(())
    }
}

/// The end of a cable that hangs loose: nothing is heard on it, and nobody hears.
#[derive(Debug)]
struct LooseWire;

impl Wire for LooseWire {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<Result<usize, LinkError>> {
        Poll::Pending
    }

    fn poll_write(&mut self, _: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, LinkError>> {
        Poll::Ready(Ok(from.len()))
    }

    fn configure(&mut self, _: LineSettings) -> Result<(), LinkError> {
        Ok(())
    }
}

impl Drop for LeasedBoard {
    fn drop(&mut self) {
        let mut state = self.cell.state();
        state.release(self.lease);
    }
}
