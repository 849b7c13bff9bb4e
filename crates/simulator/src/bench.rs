//! What a station sees of a world: a bench like any other.

use std::sync::Arc;

use futures::channel::mpsc;
use futures::future::LocalBoxFuture;
use futures::stream;
use futures::{FutureExt as _, StreamExt as _};
use lineside_link::{Bench, BenchEvent, Board, BoardInfo, Clock, Line, LinkError, Port, Watch, Wire};
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
            clock: self.world.clock().clone(),
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
    clock: Clock,
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
        Ok(Box::new(state.open(port)?))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        let mut state = self.cell.state();
        if !state.is_held_by(self.lease) {
            return Err(LinkError::Departed);
        }
        match line {
            Line::Reset => state.chip.set_reset(self.clock.now(), asserted),
            Line::RecoveryStrap => state.chip.set_strap(asserted),
        }
        state.wake();
        Ok(())
    }
}

impl Drop for LeasedBoard {
    fn drop(&mut self) {
        let mut state = self.cell.state();
        state.release(self.lease);
    }
}
