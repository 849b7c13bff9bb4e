//! Boards that another process lends us.

mod board;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::Stream;
use futures::future::{Either, LocalBoxFuture, select};
use lineside_terms::SlotPath;

use self::board::{RemoteBoard, WireState};
use super::connection::{End, Inbox};
use super::frame::{Message, VERSION, Wish};
use super::outbox::Outbox;
use super::transport::{self, Pipe};
use crate::{Bench, BenchEvent, Board, BoardInfo, Clock, LinkError, Watch};

/// How long the lender may take to greet: it does so as soon as its thread has time.
const GREETING: Duration = Duration::from_secs(10);
/// Boards in one list and events that nobody has fetched: far more than a station has.
const MAX_KEPT: usize = 16 * 1024;

/// A bench that another process lends. Clones share one connection, which lasts until the last clone, board, wire
/// and watch is dropped.
#[derive(Clone)]
pub struct RemoteBench {
    connected: Rc<Connected>,
}

impl fmt::Debug for RemoteBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBench").finish_non_exhaustive()
    }
}

impl RemoteBench {
    /// Reaches the process that lends boards in `dir`. Must run on a `LocalSet`, which then carries the connection.
    ///
    /// # Errors
    /// [`LinkError::NoBench`] when nobody lends there; [`LinkError::Foreign`] when the other process speaks another
    /// version or something else; [`LinkError::Io`] when the system refuses.
    pub async fn connect(dir: &Path) -> Result<Self, LinkError> {
        let place = || dir.display().to_string();
        let Pipe {
            reader, mut writer, ..
        } = transport::connect(dir, transport::What::Bench)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => LinkError::NoBench { place: place() },
                _ => LinkError::io(format!("reach the bench at {}", place()), &error),
            })?;
        let client = Rc::new(Client::default());
        client.outbox.send(&Message::Hello(VERSION));
        let mut inbox = Inbox::new(reader);
        let speaker = Rc::clone(&client);
        let mut speak = Box::pin(async move {
            let ended = speaker.outbox.write_to(writer.as_mut()).await;
            ended.map_or_else(End::from, |()| End::Gone)
        });
        let clock = Clock::precise();
        let greeted = {
            let greeting = std::pin::pin!(inbox.greeting());
            let greeting = select(greeting, &mut speak);
            match select(greeting, clock.sleep(GREETING)).await {
                Either::Left((Either::Left((greeted, _)), _)) => greeted,
                Either::Left((Either::Right((end, _)), _)) => Err(end),
                Either::Right(_) => Err(End::Foreign("it does not greet".into())),
            }
        };
        greeted.map_err(|end| match end {
            End::Gone => LinkError::NoBench { place: place() },
            End::Foreign(reason) | End::Bye(reason) => LinkError::Foreign { reason },
        })?;
        let listener = Rc::clone(&client);
        tokio::task::spawn_local(async move {
            let listen = async {
                loop {
                    if let Err(end) = inbox.receive(|message| listener.take(message)).await {
                        return end;
                    }
                }
            };
            let end = match select(std::pin::pin!(listen), speak).await {
                Either::Left((end, _)) | Either::Right((end, _)) => end,
            };
            listener.end(end);
        });
        Ok(Self {
            connected: Rc::new(Connected(client)),
        })
    }
}

impl Bench for RemoteBench {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async {
            let client = &self.connected.0;
            let call = client.new_call(Answer::List(Vec::new()))?;
            let pending = PendingCall {
                connected: &self.connected,
                call,
            };
            client.outbox.send(&Message::List { call });
            match pending.done().await? {
                Answer::List(mut boards) => {
                    boards.sort_by(|a, b| a.slot.cmp(&b.slot));
                    Ok(boards)
                }
                Answer::Lease => Err(LinkError::foreign("it answers something else")),
            }
        })
    }

    fn watch(&self) -> Watch {
        let client = &self.connected.0;
        let call = client.next_id();
        let events = Rc::new(RefCell::new(Events::default()));
        if client.ended.borrow().is_some() {
            events.borrow_mut().ended = true;
        }
        client.watches.borrow_mut().insert(call, Rc::clone(&events));
        client.outbox.send(&Message::Watch { call });
        Box::pin(RemoteWatch {
            connected: Rc::clone(&self.connected),
            call,
            events,
        })
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let wish = Wish {
            slot: slot.clone(),
            holder: holder.to_owned(),
        };
        Box::pin(async move {
            let client = &self.connected.0;
            let slot = wish.slot.clone();
            let call = client.new_call(Answer::Lease)?;
            let pending = PendingCall {
                connected: &self.connected,
                call,
            };
            client.outbox.send(&Message::Lease { board: call, wish });
            pending.done().await?;
            let board = RemoteBoard::new(Rc::clone(&self.connected), call, slot);
            Ok(Box::new(board) as Box<dyn Board>)
        })
    }
}

/// What a call waits for.
enum Answer {
    List(Vec<BoardInfo>),
    Lease,
}

struct Call {
    answer: Answer,
    /// Set when it is over.
    result: Option<Result<(), LinkError>>,
    waker: Option<Waker>,
}

/// A call that was made. Dropped before it is done, it is taken back.
struct PendingCall<'a> {
    connected: &'a Rc<Connected>,
    call: u32,
}

impl PendingCall<'_> {
    async fn done(self) -> Result<Answer, LinkError> {
        poll_fn(|cx| {
            let mut calls = self.connected.0.calls.borrow_mut();
            let call = calls.get_mut(&self.call).expect("only this removes it");
            if let Some(result) = call.result.take() {
                let call = calls.remove(&self.call).expect("it was just there");
                return Poll::Ready(result.map(|()| call.answer));
            }
            call.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        let client = &self.connected.0;
        let given_up = client.calls.borrow_mut().remove(&self.call);
        if given_up.is_some_and(|call| matches!(call.answer, Answer::Lease)) {
            client.outbox.send(&Message::Release { board: self.call });
        }
    }
}

#[derive(Default)]
struct Events {
    waiting: VecDeque<BenchEvent>,
    waker: Option<Waker>,
    ended: bool,
}

impl Events {
    fn wake(&mut self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

struct RemoteWatch {
    connected: Rc<Connected>,
    call: u32,
    events: Rc<RefCell<Events>>,
}

impl Stream for RemoteWatch {
    type Item = BenchEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BenchEvent>> {
        let mut events = self.events.borrow_mut();
        if let Some(event) = events.waiting.pop_front() {
            return Poll::Ready(Some(event));
        }
        if events.ended {
            return Poll::Ready(None);
        }
        events.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for RemoteWatch {
    fn drop(&mut self) {
        let client = &self.connected.0;
        client.watches.borrow_mut().remove(&self.call);
        client.outbox.send(&Message::Unwatch { call: self.call });
    }
}

/// Ends the connection with the last one who uses it.
struct Connected(Rc<Client>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.outbox.close();
    }
}

/// What the connection and those who use it share.
#[derive(Default)]
struct Client {
    outbox: Outbox,
    last_id: Cell<u32>,
    calls: RefCell<HashMap<u32, Call>>,
    watches: RefCell<HashMap<u32, Rc<RefCell<Events>>>>,
    wires: RefCell<HashMap<u32, Rc<RefCell<WireState>>>>,
    /// What went wrong with a board since it was last asked.
    boards: RefCell<HashMap<u32, Option<LinkError>>>,
    /// Why nothing can be asked any more.
    ended: RefCell<Option<LinkError>>,
}

impl Client {
    fn next_id(&self) -> u32 {
        // The lender ends a connection that has used up all numbers, which takes more than anybody's lifetime.
        let id = self.last_id.get().wrapping_add(1);
        self.last_id.set(id);
        id
    }

    fn new_call(&self, answer: Answer) -> Result<u32, LinkError> {
        self.check()?;
        let id = self.next_id();
        self.calls.borrow_mut().insert(
            id,
            Call {
                answer,
                result: None,
                waker: None,
            },
        );
        Ok(id)
    }

    fn check(&self) -> Result<(), LinkError> {
        self.ended.borrow().clone().map_or(Ok(()), Err)
    }

    /// Notes what the lender says. What concerns something that was closed meanwhile crossed our own message and is
    /// ignored; what concerns something that never was is not.
    fn take(&self, message: Message<'_>) -> Result<(), End> {
        match message {
            Message::Listed { call, board } => self.with_call(call, |call| match &mut call.answer {
                Answer::List(boards) if boards.len() < MAX_KEPT => {
                    boards.push(board);
                    Ok(())
                }
                _ => Err(End::Foreign("it lists what nobody asked for".into())),
            }),
            Message::ListEnd { call } => self.finish(call, Ok(()), false),
            Message::Leased { board } => {
                self.finish(board, Ok(()), true)?;
                if self.calls.borrow().contains_key(&board) {
                    self.boards.borrow_mut().insert(board, None);
                }
                Ok(())
            }
            Message::Refused { call, fault } => self.with_call(call, |call| {
                call.result = Some(Err(fault.into()));
                Ok(())
            }),
            Message::Event { call, event } => self.with_watch(call, |events| {
                events.waiting.push_back(event);
                events.waiting.len() <= MAX_KEPT
            }),
            Message::WatchEnd { call } => self.with_watch(call, |events| {
                events.ended = true;
                true
            }),
            Message::BoardFault { board, fault } => {
                self.check_known(board)?;
                if let Some(seen) = self.boards.borrow_mut().get_mut(&board) {
                    *seen = Some(fault.into());
                }
                Ok(())
            }
            Message::Data { wire, bytes } => self.with_wire(wire, |wire| wire.received(bytes)),
            Message::Credit { wire, bytes } => self.with_wire(wire, |wire| wire.credited(bytes)),
            Message::ReadEnded { wire, fault } => self.with_wire(wire, |wire| {
                wire.end_reading(&fault.into());
                Ok(())
            }),
            Message::WriteEnded { wire, fault } => self.with_wire(wire, |wire| {
                wire.end_writing(&fault.into());
                Ok(())
            }),
            Message::Health { wire, overruns } => self.with_wire(wire, |wire| {
                wire.health.overruns = overruns;
                Ok(())
            }),
            _ => Err(End::Foreign("a lender may not say that".into())),
        }
    }

    fn check_known(&self, id: u32) -> Result<(), End> {
        if id > self.last_id.get() {
            return Err(End::Foreign("it speaks of what nobody asked for".into()));
        }
        Ok(())
    }

    fn with_call(&self, id: u32, act: impl FnOnce(&mut Call) -> Result<(), End>) -> Result<(), End> {
        self.check_known(id)?;
        let mut calls = self.calls.borrow_mut();
        let Some(call) = calls.get_mut(&id) else {
            return Ok(());
        };
        act(call)?;
        if call.result.is_some() {
            call.waker.take().into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    fn finish(&self, id: u32, result: Result<(), LinkError>, lease: bool) -> Result<(), End> {
        self.with_call(id, |call| {
            if matches!(call.answer, Answer::Lease) != lease || call.result.is_some() {
                return Err(End::Foreign("it answers something else".into()));
            }
            call.result = Some(result);
            Ok(())
        })
    }

    fn with_watch(&self, id: u32, act: impl FnOnce(&mut Events) -> bool) -> Result<(), End> {
        self.check_known(id)?;
        let watches = self.watches.borrow();
        let Some(events) = watches.get(&id) else {
            return Ok(());
        };
        let mut events = events.borrow_mut();
        let fits = act(&mut events);
        events.wake();
        if fits {
            Ok(())
        } else {
            Err(End::Foreign("it tells more than anybody can follow".into()))
        }
    }

    fn with_wire(&self, id: u32, act: impl FnOnce(&mut WireState) -> Result<(), End>) -> Result<(), End> {
        self.check_known(id)?;
        let wires = self.wires.borrow();
        wires.get(&id).map_or(Ok(()), |wire| act(&mut wire.borrow_mut()))
    }

    /// The connection is over: everybody who waits is told.
    fn end(&self, end: End) {
        let error = match end {
            End::Gone => LinkError::Departed,
            End::Foreign(reason) | End::Bye(reason) => LinkError::Foreign { reason },
        };
        tracing::debug!(%error, "the lent bench is gone");
        *self.ended.borrow_mut() = Some(error.clone());
        self.outbox.close();
        for call in self.calls.borrow_mut().values_mut() {
            call.result.get_or_insert_with(|| Err(error.clone()));
            call.waker.take().into_iter().for_each(Waker::wake);
        }
        for events in self.watches.borrow().values() {
            let mut events = events.borrow_mut();
            events.ended = true;
            events.wake();
        }
        for wire in self.wires.borrow().values() {
            let mut wire = wire.borrow_mut();
            wire.end_reading(&error);
            wire.end_writing(&error);
        }
    }
}
