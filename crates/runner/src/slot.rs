//! One socket: its lease, its connection, and one thing at a time.
//!
//! A slot does what the engine asks, in order, and reports. It decides nothing: no retry, no second try of anything
//! that changes a device. When a step is given up by its time-out the connection is given up with it, because nobody
//! knows what is still in flight.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::future::{Either, select};
use lineside_device::{
    Act, DeviceError, Entropy, Progress, ProgressCell, Scope, Session, SessionConfig, Verified, boot,
};
use lineside_flow::interlock::{EpochCause, Look, OnceKey, Permit};
use lineside_flow::{Input, Report};
use lineside_link::{Bench, Board, Clock, Line, LinkError, Port};
use lineside_terms::{
    DeviceId, Epoch, Explain, Instant, ManufacturingState, Outcome, RunId, SecurityState, SlotPath, Told,
};

use crate::actions::{self, At, Trouble};
use crate::error::UnitFault;
use crate::leave::Leave;
use crate::program::Program;
use crate::wall::WallClock;

/// Something to be done on one board.
#[derive(Debug)]
pub(crate) enum Order {
    Identify {
        epoch: Epoch,
        cause: EpochCause,
    },
    Reset {
        epoch: Epoch,
    },
    Perform {
        epoch: Epoch,
        run: RunId,
        device: DeviceId,
        step: usize,
    },
    ReadFacts {
        epoch: Epoch,
        run: RunId,
    },
    Act {
        run: RunId,
        permit: Permit,
    },
    Release,
}

/// Asks a slot to stop what can be stopped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Rc<StopState>);

#[derive(Debug, Default)]
struct StopState {
    is_asked: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Stop {
    pub(crate) fn ask(&self) {
        self.0.is_asked.set(true);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_asked.get()
    }

    /// Waits until somebody asks.
    pub(crate) async fn asked(&self) {
        poll_fn(|cx| {
            if self.is_asked() {
                return Poll::Ready(());
            }
            *self.0.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Orders for one slot, given from outside while it works.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orders(Rc<OrderState>);

#[derive(Debug, Default)]
struct OrderState {
    queue: RefCell<VecDeque<Order>>,
    /// The worker waits for an order.
    is_waiting: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Orders {
    pub(crate) fn give(&self, order: Order) {
        self.0.queue.borrow_mut().push_back(order);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// True when every order was carried out.
    pub(crate) fn are_done(&self) -> bool {
        self.0.is_waiting.get() && self.0.queue.borrow().is_empty()
    }

    async fn next(&self) -> Order {
        poll_fn(|cx| {
            let order = self.0.queue.borrow_mut().pop_front();
            self.0.is_waiting.set(order.is_none());
            match order {
                Some(order) => Poll::Ready(order),
                None => {
                    *self.0.waker.borrow_mut() = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// What all slots share.
pub(crate) struct Common {
    pub(crate) bench: Rc<dyn Bench>,
    pub(crate) wall: WallClock,
    pub(crate) program: Rc<Program>,
    pub(crate) session: SessionConfig,
    pub(crate) entropy: RefCell<Entropy>,
    pub(crate) holder: String,
    pub(crate) patience: Patience,
    /// The way to the journal for steps that erase.
    pub(crate) leave: Leave,
}

/// How long devices are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// A board that was there when we came: it may be booting. The same ceiling as after a restart.
    pub found: Duration,
    /// After a reset or restart, see `lineside_device::timeouts::BOOT`.
    pub boot: Duration,
    /// A journal that cannot be written may be again within this time; then all that was done is recorded.
    pub store: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            found: FOUND,
            boot: lineside_device::timeouts::BOOT,
            store: STORE,
        }
    }
}

/// A board that is there already should answer at once; half a boot is allowed for (A-28: six seconds are assumed, five
/// times that is patient).
const FOUND: Duration = Duration::from_secs(30);

/// Somebody has to come, see what is wrong and free some space.
const STORE: Duration = Duration::from_secs(600);

/// How much later than its wires the bench may notice that a board is gone. Systems tell within some hundred
/// milliseconds; nothing is lost by waiting.
const DEPARTURE: Duration = Duration::from_secs(2);

/// The board in one hand, the connection in the other.
pub(crate) struct Hands {
    clock: Clock,
    // Closed before the board is let go of.
    link: Link,
    board: Box<dyn Board>,
    epoch: Epoch,
    boot_ceiling: Duration,
    restarted_at: Option<Instant>,
    progress: ProgressCell,
    draws: [u8; 16],
}

enum Link {
    Session(Session),
    Verified(Box<Verified>),
    /// Only while one becomes the other; a future that is dropped there leaves it so, and the wire is opened anew.
    None,
}

impl Hands {
    /// The connection to the device, if there is one.
    pub(crate) fn verified(&mut self) -> Option<&mut Verified> {
        match &mut self.link {
            Link::Verified(verified) => Some(verified),
            Link::Session(_) | Link::None => None,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Where uploads tell how far they have come.
    pub(crate) fn progress(&self) -> ProgressCell {
        Rc::clone(&self.progress)
    }

    /// Sixteen fresh random bytes, drawn for this step.
    pub(crate) const fn draw(&self) -> [u8; 16] {
        self.draws
    }

    /// The device was told to restart and said that it does.
    pub(crate) fn has_restarted(&mut self) {
        self.restarted_at = Some(self.clock.now());
    }

    /// Resets the chip by its line and waits until it answers again.
    pub(crate) async fn reset_and_reconnect(&mut self) -> Result<(), DeviceError> {
        self.reset_and_reconnect_within(self.boot_ceiling).await
    }

    /// The same with another limit for the boot.
    pub(crate) async fn reset_and_reconnect_within(&mut self, ceiling: Duration) -> Result<(), DeviceError> {
        let mut session = match std::mem::replace(&mut self.link, Link::None) {
            Link::Verified(verified) => verified.release().await,
            Link::Session(session) => session,
            Link::None => self.open_session_again()?,
        };
        let reset_at = boot::reset(&mut *self.board, &mut session).await;
        self.link = Link::Session(session);
        let reset_at = reset_at?;
        self.connect(Some(reset_at), ceiling).await
    }

    /// The bare board, after a goodbye on its connection; whatever is done with it, the connection has to be made anew.
    pub(crate) async fn board(&mut self) -> (&mut dyn Board, Clock) {
        if let Link::Verified(_) = self.link
            && let Link::Verified(verified) = std::mem::replace(&mut self.link, Link::None)
        {
            self.link = Link::Session(verified.release().await);
        }
        (&mut *self.board, self.clock.clone())
    }

    fn open_session_again(&mut self) -> Result<Session, DeviceError> {
        Err(DeviceError::Link(LinkError::PortOpen))
    }

    async fn connect(&mut self, restarted_at: Option<Instant>, ceiling: Duration) -> Result<(), DeviceError> {
        let session = match std::mem::replace(&mut self.link, Link::None) {
            Link::Session(session) => session,
            Link::Verified(verified) => verified.release().await,
            Link::None => self.open_session_again()?,
        };
        match boot::wait_responsive(session, self.epoch, restarted_at, ceiling).await {
            Ok(verified) => {
                self.link = Link::Verified(Box::new(verified));
                Ok(())
            }
            Err((session, error)) => {
                self.link = Link::Session(session);
                Err(error)
            }
        }
    }
}

/// Who answers, its states, and when that was read.
type Identity = (DeviceId, ManufacturingState, SecurityState, Instant);

/// One socket at work.
pub(crate) struct Slot {
    pub(crate) path: SlotPath,
    pub(crate) common: Rc<Common>,
    pub(crate) orders: Orders,
    pub(crate) stop: Stop,
    pub(crate) progress: ProgressCell,
}

impl Slot {
    /// Carries out orders for ever; `tell` hears of every result.
    pub(crate) async fn work(self, tell: impl Fn(Input)) {
        let mut hands: Option<Hands> = None;
        loop {
            let order = self.orders.next().await;
            self.progress.set(Progress::default());
            match order {
                Order::Release => self.let_go(&mut hands).await,
                Order::Identify { epoch, cause } => tell(self.identify(&mut hands, epoch, cause).await),
                Order::Reset { epoch } => tell(self.reset(&mut hands, epoch).await),
                Order::Perform {
                    epoch,
                    run,
                    device,
                    step,
                } => {
                    let report = self.perform(&mut hands, device, step).await;
                    self.leave_time_to_hear(&report).await;
                    tell(Input::Performed {
                        slot: self.path.clone(),
                        epoch,
                        run,
                        report,
                    });
                }
                Order::ReadFacts { epoch, run } => tell(self.read_facts(&mut hands, epoch, run).await),
                Order::Act { run, permit } => tell(self.act(&mut hands, run, permit).await),
            }
        }
    }

    /// Ends the connection, so that the device does not hold a dead one, and lets go of the board.
    async fn let_go(&self, hands: &mut Option<Hands>) {
        if let Some(Hands {
            link: Link::Verified(verified),
            board,
            ..
        }) = hands.take()
        {
            drop(verified.release().await);
            drop(board);
        }
    }

    fn unresponsive(&self, epoch: Epoch, error: &dyn Explain) -> Input {
        Input::Unresponsive {
            slot: self.path.clone(),
            epoch,
            error: Told::of(error),
        }
    }

    /// Leases the board and opens its service wire, if that is not so already.
    async fn take<'a>(
        &self,
        hands: &'a mut Option<Hands>,
        epoch: Epoch,
    ) -> Result<&'a mut Hands, DeviceError> {
        let is_usable = matches!(
            hands,
            Some(Hands {
                link: Link::Session(_) | Link::Verified(_),
                ..
            })
        );
        if !is_usable {
            // Whatever is left of an earlier lease goes first.
            *hands = None;
            let common = &self.common;
            let mut board = common.bench.lease(&self.path, &common.holder).await?;
            let_go(&mut *board)?;
            let wire = board.open(Port::Service)?;
            let clock = common.wall.clock().clone();
            let mut config = common.session.clone();
            config.wall_ms = common.wall.stamp().wall_ms;
            config.entropy = common.entropy.borrow_mut().fork();
            let session = Session::new(wire, clock.clone(), config)?;
            *hands = Some(Hands {
                clock,
                board,
                link: Link::Session(session),
                epoch,
                boot_ceiling: common.patience.boot,
                restarted_at: None,
                progress: Rc::clone(&self.progress),
                draws: [0; 16],
            });
        }
        let hands = hands.as_mut().expect("it was filled just above");
        hands.epoch = epoch;
        Ok(hands)
    }

    async fn identify(&self, hands: &mut Option<Hands>, epoch: Epoch, cause: EpochCause) -> Input {
        let mut identified = self.try_to_identify(hands, epoch, cause).await;
        if identified.is_err()
            && let Some(hands) = hands.as_mut()
        {
            match actions::update_os::rescue(hands, &self.common, &self.path, &self.stop).await {
                // It needed recovery and was recovered: it is a device like any other now.
                Some(Ok(())) => identified = self.read_identity(hands).await.map_err(|error| told(&error)),
                Some(Err(error)) => identified = Err(error),
                None => {}
            }
        }
        match identified {
            Ok((device, state, security, read_at)) => Input::Identified {
                slot: self.path.clone(),
                epoch,
                device,
                state,
                security,
                read_at,
            },
            Err(error) => {
                *hands = None;
                Input::Unresponsive {
                    slot: self.path.clone(),
                    epoch,
                    error,
                }
            }
        }
    }

    async fn try_to_identify(
        &self,
        hands: &mut Option<Hands>,
        epoch: Epoch,
        cause: EpochCause,
    ) -> Result<Identity, Told> {
        let ceiling = match cause {
            EpochCause::Found => self.common.patience.found,
            _ => self.common.patience.boot,
        };
        let identify = async {
            let hands = self.take(hands, epoch).await?;
            let restarted_at = hands.restarted_at.take();
            hands.connect(restarted_at, ceiling).await?;
            self.read_identity(hands).await
        };
        let stopped = self.stop.asked();
        match select(pin!(identify), pin!(stopped)).await {
            Either::Left((identified, _)) => identified.map_err(|error| told(&error)),
            Either::Right(_) => Err(Told::from(UnitFault::Stopped)),
        }
    }

    async fn read_identity(&self, hands: &mut Hands) -> Result<Identity, DeviceError> {
        let read_at = hands.now();
        let device = hands.verified().ok_or(DeviceError::Link(LinkError::Departed))?;
        let state = device.manufacturing_state().await?;
        Ok((*device.id(), state, device.security(), read_at))
    }

    /// Begins a clean epoch.
    async fn reset(&self, hands: &mut Option<Hands>, epoch: Epoch) -> Input {
        let done = async {
            let hands = self.take(hands, epoch).await?;
            if let Link::Verified(_) = hands.link
                && let Link::Verified(verified) = std::mem::replace(&mut hands.link, Link::None)
            {
                hands.link = Link::Session(verified.release().await);
            }
            let Hands {
                board,
                link: Link::Session(session),
                ..
            } = hands
            else {
                return Err(DeviceError::Link(LinkError::Departed));
            };
            let reset_at = boot::reset(&mut **board, session).await?;
            hands.restarted_at = Some(reset_at);
            Ok(())
        };
        match done.await {
            Ok(()) => Input::Seen {
                slot: self.path.clone(),
                cause: EpochCause::Reset,
            },
            Err(error) => {
                *hands = None;
                self.unresponsive(epoch, &error)
            }
        }
    }

    async fn perform(&self, hands: &mut Option<Hands>, device: DeviceId, step: usize) -> Report {
        let Some(hands) = hands else {
            return Trouble::from(UnitFault::NotConnected).report();
        };
        match hands.verified().map(|verified| *verified.id()) {
            None => return Trouble::from(UnitFault::NotConnected).report(),
            Some(found) if found != device => {
                return Trouble::from(UnitFault::OtherDevice {
                    expected: device,
                    found,
                })
                .report();
            }
            Some(_) => {}
        }
        let timeout = self.common.program.plan().steps[step].timeout.duration();
        let deadline = hands.clock.sleep(timeout);
        hands.draws = self.common.entropy.borrow_mut().draw();
        let done = {
            let at = At {
                hands: &mut *hands,
                path: &self.path,
                common: &self.common,
                program: &self.common.program,
                step,
                stop: &self.stop,
            };
            let action = actions::perform(at);
            match select(pin!(action), pin!(deadline)).await {
                Either::Left((done, _)) => done,
                Either::Right(_) => Err(UnitFault::TimeOut { after: timeout }.into()),
            }
        };
        let report = done.unwrap_or_else(Trouble::report);
        if report.outcome == Outcome::Error && report.is_link_over {
            hands.restarted_at = None;
        }
        report
    }

    /// A wire that ends is the first sign of a pulled plug, and the bench tells it a moment later. It must have its say
    /// first: a board that was unplugged is no trial that went wrong.
    async fn leave_time_to_hear(&self, report: &Report) {
        let is_departed = report
            .error
            .as_ref()
            .is_some_and(|error| error.code == LinkError::Departed.code());
        if is_departed {
            self.common.wall.clock().sleep(DEPARTURE).await;
        }
    }

    async fn read_facts(&self, hands: &mut Option<Hands>, epoch: Epoch, run: RunId) -> Input {
        let slot = self.path.clone();
        let read = match hands.as_mut().and_then(Hands::verified) {
            None => Err(Trouble::from(UnitFault::NotConnected)),
            Some(device) => device.read_facts(Scope::ALL).await.map_err(Trouble::from),
        };
        match read {
            Ok(facts) => Input::Read {
                slot,
                run,
                facts: Box::new(facts),
            },
            Err(trouble) => {
                let report = trouble.report();
                self.leave_time_to_hear(&report).await;
                Input::Performed {
                    slot,
                    epoch,
                    run,
                    report,
                }
            }
        }
    }

    async fn act(&self, hands: &mut Option<Hands>, run: RunId, permit: Permit) -> Input {
        let key: OnceKey = *permit.key();
        let slot = self.path.clone();
        let not_connected = || Input::Acted {
            slot: slot.clone(),
            run,
            key,
            look: None,
            error: Some(UnitFault::NotConnected.into()),
        };
        let Some(hands) = hands.as_mut() else {
            return not_connected();
        };
        let Some(device) = hands.verified() else {
            return not_connected();
        };
        let (id, epoch) = (*device.id(), device.epoch());
        let (look, error) = match device.finalize(permit).await {
            Act::Confirmed => {
                // The cause matters only for what a look can disprove; this one confirms.
                let cause = EpochCause::LinkLost;
                let taken_at = hands.now();
                (
                    Some(Look {
                        device: id,
                        epoch,
                        cause,
                        state: key.target,
                        taken_at,
                    }),
                    None,
                )
            }
            Act::NotSent(why) => (None, Some(Told::of(&why))),
            Act::Refused(error) | Act::Unclear(error) => (None, Some(Told::of(&error))),
        };
        Input::Acted {
            slot,
            run,
            key,
            look,
            error,
        }
    }
}

/// Whoever had the board before may have died while it held the chip in reset: the lines stay as they were left. A board
/// without lines cannot have been left so.
fn let_go(board: &mut dyn Board) -> Result<(), LinkError> {
    [Line::RecoveryStrap, Line::Reset]
        .into_iter()
        .try_for_each(|line| match board.set_line(line, false) {
            Err(LinkError::Lacking { .. }) => Ok(()),
            driven => driven,
        })
}

/// What people are told. Where the bench itself says why, as of a board that somebody else has, nobody needs to hear of a
/// wire.
fn told(error: &DeviceError) -> Told {
    match error {
        DeviceError::Link(error) => Told::of(error),
        error => Told::of(error),
    }
}

/// Keeps a future's type simple for those who collect many.
pub(crate) type Working<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
