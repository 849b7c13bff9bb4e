//! Lends the boards of a bench.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};
use lineside_terms::SlotPath;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::connection::{End, Inbox};
use super::frame::{Message, VERSION, Wish};
use super::hold::Hold;
use super::lent::Lent;
use super::outbox::Outbox;
use super::transport::{Kind, Listener, Pipe, What};
use crate::{Bench, Clock, LinkError};

/// How long a client may take to show its token and to greet. It does both at once, so this is for strangers.
const GREETING: Duration = Duration::from_secs(5);
/// How long we try to tell why we close.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long we wait when the system gives us no more connections.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Clients at once: far more than programs on a station.
const MAX_CLIENTS: usize = 256;
/// Lists, leases and watches of one client at once: far more than slots on a station.
const MAX_CALLS: usize = 4096;

/// The right to lend boards in a directory, and the place where clients come in. Dropping it ends both.
pub struct Lending {
    listener: Listener,
    /// Dropped last: nobody else may bind while the listener cleans up.
    _hold: Hold,
}

impl fmt::Debug for Lending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lending").finish_non_exhaustive()
    }
}

impl Lending {
    /// Takes the right to lend in `dir`, which must exist, and lets clients connect: they wait until
    /// [`serve`](Self::serve) runs. Must be called within a `tokio` runtime with I/O enabled.
    ///
    /// # Errors
    /// [`LinkError::BenchTaken`] while another living process lends there; [`LinkError::Io`] when the system refuses.
    pub fn bind(dir: &Path) -> Result<Self, LinkError> {
        Self::bind_as(dir, Kind::native())
    }

    /// As [`bind`](Self::bind), but by TCP on loopback and a token instead of a Unix socket. Clients notice by
    /// themselves. It is what [`bind`](Self::bind) does where there are no Unix sockets.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_loopback(dir: &Path) -> Result<Self, LinkError> {
        Self::bind_as(dir, Kind::Loopback)
    }

    fn bind_as(dir: &Path, kind: Kind) -> Result<Self, LinkError> {
        let hold = Hold::take(dir)?;
        let listener = Listener::bind(dir, What::Bench, kind)
            .map_err(|error| LinkError::io(format!("lend boards at {}", dir.display()), &error))?;
        Ok(Self {
            listener,
            _hold: hold,
        })
    }

    /// Lends the boards of `bench` until the returned future is dropped, which also ends all leases. Must run on a
    /// `LocalSet`.
    pub async fn serve(self, bench: Rc<dyn Bench>) {
        let clock = Clock::precise();
        let mut clients = JoinSet::new();
        loop {
            while clients.try_join_next().is_some() {}
            if clients.len() >= MAX_CLIENTS {
                clients.join_next().await;
                continue;
            }
            match self.listener.accept().await {
                Ok(pipe) => {
                    clients.spawn_local(client(pipe, Rc::clone(&bench), clock.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "no client can come in");
                    clock.sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// `None` when `future` took longer than `limit`.
async fn within<T>(clock: &Clock, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(std::pin::pin!(future), clock.sleep(limit)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(((), _)) => None,
    }
}

/// Serves one client until one of us closes.
async fn client(mut pipe: Pipe, bench: Rc<dyn Bench>, clock: Clock) {
    // Who has not shown the token is told nothing.
    if !matches!(within(&clock, GREETING, pipe.admit()).await, Some(Ok(()))) {
        tracing::warn!("somebody without the token wanted boards");
        return;
    }
    let Pipe {
        reader, mut writer, ..
    } = pipe;
    let outbox = Rc::new(Outbox::default());
    outbox.send(&Message::Hello(VERSION));
    let mut inbox = Inbox::new(reader);
    // Ends with this function, however that ends, and with it every lease of this client.
    let calls = Rc::new(RefCell::new(JoinSet::new()));
    let lender = Lender {
        bench,
        clock: clock.clone(),
        outbox: Rc::clone(&outbox),
        calls: Rc::downgrade(&calls),
        last_id: Cell::new(0),
        wires: RefCell::default(),
        boards: RefCell::default(),
        watches: RefCell::default(),
    };
    let end = {
        let speak = async {
            let ended = outbox.write_to(writer.as_mut()).await;
            ended.map_or_else(End::from, |()| End::Gone)
        };
        let listen = async {
            match within(&clock, GREETING, inbox.greeting()).await {
                Some(Ok(())) => Rc::new(lender).listen(&mut inbox, &calls).await,
                Some(Err(end)) => end,
                None => End::Foreign("it does not greet".into()),
            }
        };
        match select(std::pin::pin!(speak), std::pin::pin!(listen)).await {
            Either::Left((end, _)) | Either::Right((end, _)) => end,
        }
    };
    match end {
        End::Gone => {}
        End::Bye(reason) => tracing::info!(reason, "a client left"),
        End::Foreign(reason) => {
            tracing::warn!(reason, "a client broke the protocol");
            outbox.send(&Message::Bye { reason });
            outbox.close();
            let _ = within(&clock, FAREWELL, outbox.write_to(writer.as_mut())).await;
        }
    }
}

/// What one client has.
struct Lender {
    bench: Rc<dyn Bench>,
    clock: Clock,
    outbox: Rc<Outbox>,
    /// Everything that goes on for this client. Weak, because what goes on holds this.
    calls: Weak<RefCell<JoinSet<()>>>,
    last_id: Cell<u32>,
    boards: RefCell<HashMap<u32, Rc<Loan>>>,
    /// Which board a wire belongs to.
    wires: RefCell<HashMap<u32, Rc<Loan>>>,
    watches: RefCell<HashMap<u32, Rc<Notify>>>,
}

/// A board that was asked for.
struct Loan {
    slot: SlotPath,
    lent: Lent,
    /// Told when the client gives up before it has the board.
    unwanted: Notify,
    ended: Cell<bool>,
    ends: Notify,
}

impl Lender {
    async fn listen(self: Rc<Self>, inbox: &mut Inbox, calls: &RefCell<JoinSet<()>>) -> End {
        loop {
            // Who does not fetch its answers is not asked for more questions.
            self.outbox.room().await;
            if let Err(end) = inbox.receive(|message| self.take(message)).await {
                return end;
            }
            while calls.borrow_mut().try_join_next().is_some() {}
        }
    }

    fn take(self: &Rc<Self>, message: Message<'_>) -> Result<(), End> {
        match message {
            Message::List { call } => self.start(call, Rc::clone(self).list(call)),
            Message::Watch { call } => {
                let stop = Rc::new(Notify::new());
                self.watches.borrow_mut().insert(call, Rc::clone(&stop));
                self.start(call, Rc::clone(self).watch(call, stop))
            }
            Message::Unwatch { call } => {
                if let Some(stop) = self.watches.borrow_mut().remove(&call) {
                    stop.notify_one();
                }
                Ok(())
            }
            Message::Lease {
                board,
                wish: Wish { slot, holder },
            } => {
                let loan = Rc::new(Loan {
                    slot,
                    lent: Lent::new(board),
                    unwanted: Notify::new(),
                    ended: Cell::new(false),
                    ends: Notify::new(),
                });
                let earlier = self.releasing(&loan.slot);
                self.start(
                    board,
                    Rc::clone(self).lease(board, Rc::clone(&loan), holder, earlier),
                )?;
                self.boards.borrow_mut().insert(board, loan);
                Ok(())
            }
            // It may have ended while this was under way.
            Message::Release { board } => {
                let loan = self.boards.borrow().get(&board).map(Rc::clone);
                loan.map_or(Ok(()), |loan| {
                    loan.unwanted.notify_one();
                    loan.lent.release()
                })
            }
            Message::Open { wire, board, port } => {
                self.check_new(wire)?;
                let loan = self
                    .boards
                    .borrow()
                    .get(&board)
                    .map(Rc::clone)
                    .ok_or_else(unknown)?;
                loan.lent.open(wire, port)?;
                self.wires.borrow_mut().insert(wire, loan);
                Ok(())
            }
            Message::Close { wire } => {
                let loan = self.wires.borrow_mut().remove(&wire).ok_or_else(unknown)?;
                loan.lent.close(wire)
            }
            Message::Line {
                board,
                line,
                asserted,
            } => {
                let loan = self
                    .boards
                    .borrow()
                    .get(&board)
                    .map(Rc::clone)
                    .ok_or_else(unknown)?;
                loan.lent.line(line, asserted)
            }
            Message::Configure { wire, settings } => self.wire(wire)?.lent.configure(wire, settings),
            Message::Boundary { wire, byte } => self.wire(wire)?.lent.boundary(wire, byte),
            Message::Data { wire, bytes } => self.wire(wire)?.lent.data(wire, bytes),
            Message::Credit { wire, bytes } => self.wire(wire)?.lent.credit(wire, bytes),
            _ => Err(End::Foreign("a client may not say that".into())),
        }
    }

    fn wire(&self, wire: u32) -> Result<Rc<Loan>, End> {
        self.wires.borrow().get(&wire).map(Rc::clone).ok_or_else(unknown)
    }

    /// The loan of this slot that the same client is giving back: the next one waits for it.
    fn releasing(&self, slot: &SlotPath) -> Option<Rc<Loan>> {
        let boards = self.boards.borrow();
        let mut loans = boards
            .iter()
            .filter(|(_, loan)| loan.slot == *slot && loan.lent.is_released());
        // Of several the youngest: it waits for the others.
        loans
            .by_ref()
            .max_by_key(|(board, _)| **board)
            .map(|(_, loan)| Rc::clone(loan))
    }

    /// Ids count upwards, so none ever means two things.
    fn check_new(&self, id: u32) -> Result<(), End> {
        if id <= self.last_id.replace(id) {
            return Err(End::Foreign("it uses a number twice".into()));
        }
        Ok(())
    }

    fn start(&self, call: u32, work: impl Future<Output = ()> + 'static) -> Result<(), End> {
        self.check_new(call)?;
        let Some(calls) = self.calls.upgrade() else {
            return Err(End::Gone);
        };
        let mut calls = calls.borrow_mut();
        if calls.len() >= MAX_CALLS {
            return Err(End::Foreign("it asks for too much at once".into()));
        }
        let outbox = Rc::clone(&self.outbox);
        calls.spawn_local(async move {
            // A backend that fails ends this client and nobody else.
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                outbox.send(&Message::Bye {
                    reason: "the lending program failed".into(),
                });
                outbox.close();
            }
        });
        Ok(())
    }

    async fn list(self: Rc<Self>, call: u32) {
        match self.bench.list().await {
            Ok(boards) => {
                for board in boards {
                    self.outbox.room().await;
                    self.outbox.send(&Message::Listed { call, board });
                }
                self.outbox.send(&Message::ListEnd { call });
            }
            Err(error) => self.outbox.send(&Message::Refused {
                call,
                fault: (&error).into(),
            }),
        }
    }

    async fn watch(self: Rc<Self>, call: u32, stop: Rc<Notify>) {
        let mut events = self.bench.watch();
        let forward = async {
            while let Some(event) = events.next().await {
                self.outbox.room().await;
                self.outbox.send(&Message::Event { call, event });
            }
            self.outbox.send(&Message::WatchEnd { call });
        };
        select(std::pin::pin!(forward), std::pin::pin!(stop.notified())).await;
        self.watches.borrow_mut().remove(&call);
    }

    async fn lease(self: Rc<Self>, board: u32, loan: Rc<Loan>, holder: String, earlier: Option<Rc<Loan>>) {
        if let Some(earlier) = earlier {
            while !earlier.ended.get() {
                earlier.ends.notified().await;
            }
        }
        let unwanted = std::pin::pin!(loan.unwanted.notified());
        match select(self.bench.lease(&loan.slot, &holder), unwanted).await {
            // Nobody wants it any more: dropping what there is of it ends the lease.
            _ if loan.lent.is_released() => {}
            Either::Left((Ok(leased), _)) => {
                self.outbox.send(&Message::Leased { board });
                loan.lent.run(leased, &self.clock, &self.outbox).await;
            }
            Either::Left((Err(error), _)) => {
                self.outbox.send(&Message::Refused {
                    call: board,
                    fault: (&error).into(),
                });
            }
            Either::Right(_) => {}
        }
        self.boards.borrow_mut().remove(&board);
        self.wires.borrow_mut().retain(|_, of| !Rc::ptr_eq(of, &loan));
        loan.ended.set(true);
        loan.ends.notify_waiters();
    }
}

fn unknown() -> End {
    End::Foreign("it speaks of a board or wire that it does not have".into())
}
