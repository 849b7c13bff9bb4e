//! The bridge's boards as a bench: who leases one there has it alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use lineside_link::{Bench, BenchEvent, Board, BoardInfo, Line, LinkError, Port, Watch, Wire};
use lineside_terms::SlotPath;
use tokio::sync::{mpsc, oneshot};

use crate::attendant::{Command, in_use};
use crate::picture::Standing;
use crate::state::Shared;

/// The attendants that there are, by slot.
pub(crate) type Attendants = Rc<RefCell<BTreeMap<SlotPath, mpsc::UnboundedSender<Command>>>>;

/// See [`crate::View::bench`].
pub(crate) struct Arbiter {
    pub(crate) bench: Rc<dyn Bench>,
    pub(crate) shared: Rc<Shared>,
    pub(crate) attendants: Attendants,
}

/// What others see of a board: not that the bridge has it, but who keeps them from it.
fn seen(shared: &Shared, mut info: BoardInfo) -> BoardInfo {
    if let Some(board) = shared.board(&info.slot) {
        info.device = board.device;
        info.leased_by = match board.standing {
            Standing::Leased { by } => Some(by),
            Standing::Unreachable(_) => info.leased_by,
            _ if board.connections > 0 => Some(in_use(board.connections)),
            _ => None,
        };
    }
    info
}

impl Bench for Arbiter {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async move {
            let boards = self.bench.list().await?;
            Ok(boards.into_iter().map(|info| seen(&self.shared, info)).collect())
        })
    }

    fn watch(&self) -> Watch {
        let shared = Rc::clone(&self.shared);
        Box::pin(self.bench.watch().map(move |event| match event {
            BenchEvent::Attached(info) => BenchEvent::Attached(seen(&shared, info)),
            gone @ BenchEvent::Detached(_) => gone,
        }))
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let (slot, by) = (slot.clone(), holder.to_owned());
        Box::pin(async move {
            let attendant = self.attendants.borrow().get(&slot).cloned();
            let Some(attendant) = attendant else {
                // Not attended yet, or gone: the bench itself knows.
                return self.bench.lease(&slot, &by).await;
            };
            let (reply, answer) = oneshot::channel();
            let wish = Command::Lend {
                by: by.clone(),
                reply,
            };
            let gone = || LinkError::NoBoard { slot: slot.clone() };
            attendant.send(wish).map_err(|_| gone())?;
            answer.await.map_err(|_| gone())??;
            // From here on it is given back, however this ends.
            let back = GiveBack(attendant);
            let board = self.bench.lease(&slot, &by).await?;
            Ok(Box::new(Lent { board, _back: back }) as Box<dyn Board>)
        })
    }
}

/// Tells the attendant that the board is free again.
struct GiveBack(mpsc::UnboundedSender<Command>);

impl Drop for GiveBack {
    fn drop(&mut self) {
        // An attendant that is gone needs not to know.
        let _ = self.0.send(Command::Returned);
    }
}

/// A board that is lent: the lease ends first, then the attendant is told.
struct Lent {
    board: Box<dyn Board>,
    _back: GiveBack,
}

impl Board for Lent {
    fn slot(&self) -> &SlotPath {
        self.board.slot()
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        self.board.open(port)
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        self.board.set_line(line, asserted)
    }
}
