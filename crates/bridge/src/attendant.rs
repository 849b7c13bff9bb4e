//! Looks after one board for as long as it is attached.
//!
//! Free board: it is leased from the bench, its device is asked once who it is, then its relays are carried. When
//! somebody wants the board alone (a run, a recovery) and no relay is in use, everything of ours is dropped, and the
//! attendant waits until the board is given back; then it begins anew, in a new epoch, with nothing that it knew.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, select};
use lineside_device::boot::wait_responsive;
use lineside_device::timeouts::KNOCKING;
use lineside_device::{Carrier, DeviceError, Session, SessionConfig};
use lineside_link::{Address, Bench, Board, Clock, LinkError, Port, Sleep};
use lineside_terms::{Epoch, SlotPath, Told};
use tokio::sync::{mpsc, oneshot};

use crate::datagrams::{Datagrams, drop_all};
use crate::doors::{Doors, Ways};
use crate::picture::Standing;
use crate::relay::{Moved, PIECE, Relay, refuse};
use crate::state::Shared;

/// Under this name the bridge leases boards.
pub(crate) const HOLDER: &str = "bridge";

/// How long until a board that could not be opened, or whose device did not answer, is tried again: as long as a device
/// takes to boot with room to spare (`chip-to-pc-and-recovery.md` 1.4), and not so often that it disturbs.
pub(crate) const AGAIN: Duration = Duration::from_secs(10);

/// Waits of relays are looked at so often.
const TICK: Duration = Duration::from_secs(1);

/// Connections to one board at once: far more than programs on a station, and few enough that they cost no memory.
pub(crate) const MOST_RELAYS: usize = 32;

/// What others ask of an attendant.
#[derive(Debug)]
pub(crate) enum Command {
    /// Somebody wants the board alone.
    Lend {
        /// Who, for people.
        by: String,
        /// Whether they get it.
        reply: oneshot::Sender<Result<(), LinkError>>,
    },
    /// They have given it back, or did not get it after all.
    Returned,
    /// The address that stands for the board now, and one more by which it is reached as well.
    Address {
        /// Its own.
        own: Option<Address>,
        /// The other.
        also: Option<Address>,
    },
}

/// What every attendant knows.
pub(crate) struct Common {
    pub(crate) bench: Rc<dyn Bench>,
    pub(crate) clock: Clock,
    pub(crate) shared: Rc<Shared>,
    pub(crate) ways: Ways,
    pub(crate) ports: Vec<u16>,
    pub(crate) datagram_ports: Vec<u16>,
    /// Made anew for each connection: randomness, and the time at which certificates are judged.
    pub(crate) session: Box<dyn Fn() -> SessionConfig>,
}

/// Why an attendant stops what it is doing.
enum Turn {
    /// Somebody gets the board.
    Lend {
        by: String,
        reply: oneshot::Sender<Result<(), LinkError>>,
    },
    /// Try again now.
    Again,
    /// The bridge ends.
    End,
}

/// The attendant of one board.
pub(crate) struct Attendant {
    common: Rc<Common>,
    slot: SlotPath,
    commands: mpsc::UnboundedReceiver<Command>,
    epoch: Epoch,
    /// Ends when the attendant of the board before this one has let go of everything.
    before: Option<oneshot::Receiver<()>>,
    own: (Option<Address>, Doors),
    also: (Option<Address>, Doors),
    scratch: Box<[u8]>,
}

impl Attendant {
    pub(crate) fn new(
        common: Rc<Common>,
        slot: SlotPath,
        epoch: Epoch,
        commands: mpsc::UnboundedReceiver<Command>,
        before: Option<oneshot::Receiver<()>>,
    ) -> Self {
        Self {
            common,
            slot,
            commands,
            epoch,
            before,
            own: (None, Doors::none()),
            also: (None, Doors::none()),
            scratch: vec![0; PIECE].into(),
        }
    }

    /// Looks after the board until the bridge ends or this future is dropped.
    pub(crate) async fn attend(mut self) {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: it ends when the other end is dropped.
            let _ = before.await;
        }
        loop {
            self.begin_epoch();
            let leased = self.common.bench.lease(&self.slot, HOLDER).await;
            let turn = match leased {
                Ok(mut board) => self.with(board.as_mut()).await,
                Err(error) => {
                    self.stand(Standing::Unreachable(Told::of(&error)));
                    self.pause().await
                }
            };
            match turn {
                Turn::Again => {}
                Turn::End => return,
                Turn::Lend { by, reply } => {
                    self.begin_epoch();
                    self.stand(Standing::Leased { by });
                    // Who asked may be gone; then nobody will give it back either.
                    if reply.send(Ok(())).is_ok() && !self.until_returned().await {
                        return;
                    }
                }
            }
        }
    }

    fn begin_epoch(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        let epoch = self.epoch;
        self.common.shared.change(&self.slot, |board| {
            board.epoch = epoch;
            board.device = None;
            board.connections = 0;
            board.standing = Standing::Identifying;
        });
    }

    fn stand(&self, standing: Standing) {
        self.common
            .shared
            .change(&self.slot, |board| board.standing = standing);
    }

    /// With the board leased: asks who is there, then carries.
    async fn with(&mut self, board: &mut dyn Board) -> Turn {
        loop {
            match self.identify(board).await {
                Ok(()) => {}
                Err(turn) => return turn,
            }
            match self.carry(board).await {
                Carried::Ask => {}
                Carried::Turn(turn) => return turn,
                Carried::Failed(error) => {
                    self.stand(Standing::Unreachable(error));
                    return self.pause().await;
                }
            }
        }
    }

    /// Asks who is there. A device that boots is given its time, once: only then is it called silent. A lease does not
    /// wait for it.
    async fn identify(&mut self, board: &mut dyn Board) -> Result<(), Turn> {
        let (common, epoch) = (Rc::clone(&self.common), self.epoch);
        let was_silent = self.is_silent();
        let ask = async move {
            let wire = board.open(Port::Service).map_err(|error| Told::of(&error))?;
            let session = Session::new(wire, common.clock.clone(), (common.session)());
            let session = session.map_err(|error| Told::of(&error))?;
            let answer = match was_silent {
                true => session.verify(epoch).await,
                false => wait_responsive(session, epoch, None, KNOCKING).await,
            };
            let device = answer.map_err(|(_, error)| match error {
                DeviceError::NotBack { last: Some(last), .. } => Told::of(&*last),
                error => Told::of(&error),
            })?;
            let id = *device.id();
            drop(device.release().await);
            Ok::<_, Told>(id)
        };
        let mut ask = pin!(ask);
        loop {
            let first = {
                let command = pin!(self.commands.recv());
                match select(ask.as_mut(), command).await {
                    Either::Left((answer, _)) => Either::Left(answer),
                    Either::Right((command, _)) => Either::Right(command),
                }
            };
            match first {
                Either::Left(answer) => {
                    self.common.shared.change(&self.slot, |board| match answer {
                        Ok(id) => {
                            board.device = Some(id);
                            board.standing = Standing::Ready;
                        }
                        Err(error) => board.standing = Standing::Silent(error),
                    });
                    return Ok(());
                }
                Either::Right(command) => {
                    if let Some(turn) = self.obey(command, |_| Ok(())) {
                        return Err(turn);
                    }
                }
            }
        }
    }

    /// Carries relays until the board is wanted or cannot be used.
    async fn carry(&mut self, board: &mut dyn Board) -> Carried {
        let config = (self.common.session)();
        let mut entropy = config.entropy;
        let wire = match board.open(Port::Service) {
            Ok(wire) => wire,
            Err(error) => return Carried::Failed(Told::of(&error)),
        };
        let carrier = Carrier::new(wire, self.common.clock.clone(), config.mtu, &mut entropy);
        let mut carrier = match carrier {
            Ok(carrier) => carrier,
            Err(error) => return Carried::Failed(Told::of(&error)),
        };
        let mut relays: Vec<Relay> = Vec::new();
        let mut datagrams = Datagrams::default();
        let mut tick: Option<Sleep> = None;
        let silent_until = self.is_silent().then(|| self.common.clock.now() + AGAIN);
        let carried = poll_fn(|cx| {
            let now = self.common.clock.now();
            while let Poll::Ready(command) = self.commands.poll_recv(cx) {
                let busy = relays.iter().filter(|relay| relay.is_in_use(now)).count();
                let slot = self.slot.clone();
                let may_go = |_: &str| match busy {
                    0 => Ok(()),
                    _ => Err(LinkError::Leased {
                        slot,
                        holder: in_use(busy),
                    }),
                };
                if let Some(turn) = self.obey(command, may_go) {
                    return Poll::Ready(Carried::Turn(turn));
                }
            }
            let (own, also, scratch) = (&self.own.1, &self.also.1, &mut self.scratch);
            let (mut to_device, mut from_device) = (0, 0);
            let failed = carrier.poll(cx, |cx, calls| {
                let mut has_moved = false;
                while let Poll::Ready((port, stream)) = come(own, also, cx) {
                    match relays.len() < MOST_RELAYS {
                        true => relays.push(Relay::new(stream, calls.open(port), now)),
                        false => refuse(&stream),
                    }
                    has_moved = true;
                }
                relays.retain_mut(|relay| {
                    let before = (relay.to_device, relay.from_device);
                    let moved = relay.poll(cx, calls, now, scratch);
                    to_device += relay.to_device - before.0;
                    from_device += relay.from_device - before.1;
                    has_moved |= moved != Moved::Nothing;
                    moved != Moved::Over
                });
                let carried = datagrams.poll(cx, [own, also], calls, now, scratch);
                has_moved |= carried.to_device > 0;
                to_device += carried.to_device;
                from_device += carried.from_device;
                has_moved
            });
            let connections = relays.len();
            self.common
                .shared
                .carried(&self.slot, connections, to_device, from_device);
            if let Poll::Ready(error) = failed {
                return Poll::Ready(Carried::Failed(Told::of(&error)));
            }
            if silent_until.is_some_and(|until| now >= until) && relays.is_empty() {
                return Poll::Ready(Carried::Ask);
            }
            if relays.is_empty() && !datagrams.is_waiting() && silent_until.is_none() {
                tick = None;
                return Poll::Pending;
            }
            // When time has passed everything is looked at again.
            let wait = tick.get_or_insert_with(|| self.common.clock.sleep(TICK));
            if Pin::new(wait).poll(cx).is_ready() {
                tick = None;
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        });
        carried.await
    }

    fn is_silent(&self) -> bool {
        let board = self.common.shared.board(&self.slot);
        board.is_some_and(|board| matches!(board.standing, Standing::Silent(_)))
    }

    /// Waits a while before the board is tried again. Programs that come in are refused.
    async fn pause(&mut self) -> Turn {
        let clock = self.common.clock.clone();
        let mut wait = clock.sleep(AGAIN);
        loop {
            let next = poll_fn(|cx| {
                if let Poll::Ready(command) = self.commands.poll_recv(cx) {
                    return Poll::Ready(Some(command));
                }
                self.refuse_all(cx);
                Pin::new(&mut wait).poll(cx).map(|()| None)
            });
            match next.await {
                None => return Turn::Again,
                Some(command) => {
                    if let Some(turn) = self.obey(command, |_| Ok(())) {
                        return turn;
                    }
                }
            }
        }
    }

    /// While somebody else has the board. False when the bridge ends.
    async fn until_returned(&mut self) -> bool {
        loop {
            let command = poll_fn(|cx| {
                if let Poll::Ready(command) = self.commands.poll_recv(cx) {
                    return Poll::Ready(command);
                }
                self.refuse_all(cx);
                Poll::Pending
            });
            match command.await {
                None => return false,
                Some(Command::Returned) => return true,
                Some(Command::Lend { reply, .. }) => {
                    let holder = match self.common.shared.board(&self.slot).map(|board| board.standing) {
                        Some(Standing::Leased { by }) => by,
                        _ => "another program".to_owned(),
                    };
                    let slot = self.slot.clone();
                    // Who asked may be gone.
                    let _ = reply.send(Err(LinkError::Leased { slot, holder }));
                }
                Some(command @ Command::Address { .. }) => {
                    self.obey(Some(command), |_| Ok(()));
                }
            }
        }
    }

    fn refuse_all(&mut self, cx: &mut Context<'_>) {
        drop_all([&self.own.1, &self.also.1], cx, &mut self.scratch);
        while let Poll::Ready((_, stream)) = come(&self.own.1, &self.also.1, cx) {
            refuse(&stream);
        }
    }

    /// Does what can be done at once, and tells what must be left for. `may_go` says whether the board can be lent now.
    fn obey(
        &mut self,
        command: Option<Command>,
        may_go: impl FnOnce(&str) -> Result<(), LinkError>,
    ) -> Option<Turn> {
        match command {
            None => Some(Turn::End),
            Some(Command::Returned) => None,
            Some(Command::Lend { by, reply }) => match may_go(&by) {
                Ok(()) => Some(Turn::Lend { by, reply }),
                Err(error) => {
                    // Who asked may be gone.
                    let _ = reply.send(Err(error));
                    None
                }
            },
            Some(Command::Address { own, also }) => {
                self.move_to(own, also);
                None
            }
        }
    }

    /// Opens and closes doors, those that stay untouched.
    fn move_to(&mut self, own: Option<Address>, also: Option<Address>) {
        let mut trouble = None;
        let (common, slot) = (&self.common, &self.slot);
        for (kept, wanted) in [(&mut self.own, own), (&mut self.also, also)] {
            if kept.0 == wanted {
                continue;
            }
            kept.1 = Doors::none();
            kept.0 = wanted;
            if let Some(address) = wanted {
                match Doors::open(common.ways, address, &common.ports, &common.datagram_ports) {
                    Ok(doors) => kept.1 = doors,
                    Err(error) => trouble = Some(Told::of(&error)),
                }
            }
        }
        let doors = self.own.1.doors().chain(self.also.1.doors()).collect();
        common.shared.change(slot, |board| {
            board.address = also.or(own);
            board.doors = doors;
            board.trouble = trouble;
        });
    }
}

/// How carrying ended.
enum Carried {
    /// The device was silent: it is asked again.
    Ask,
    Turn(Turn),
    Failed(Told),
}

/// What keeps a board from being leased, for people.
pub(crate) fn in_use(connections: usize) -> String {
    match connections {
        1 => "the bridge (1 connection of another program)".to_owned(),
        _ => format!("the bridge ({connections} connections of other programs)"),
    }
}

fn come(own: &Doors, also: &Doors, cx: &mut Context<'_>) -> Poll<(u16, tokio::net::TcpStream)> {
    match own.poll_come(cx) {
        Poll::Ready(come) => Poll::Ready(come),
        Poll::Pending => also.poll_come(cx),
    }
}
