//! Which device hangs on which cable of which board, found by resetting and listening.
//!
//! A target hangs on its interface board by two cables: service, and recovery with the reset line. Each socket's chip is
//! reset in turn by that socket's own line, while a connection is held open over every service cable. Whose connection
//! breaks and comes back with a young device was reset. What boots tells its id on the recovery UART as well
//! (`chip-to-pc-and-recovery.md` 1.2, 1.4, 3). Nothing is written; what ran on the devices runs anew.

use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use lineside_device::{DeviceError, Session, SessionConfig, Verified, boot, identify_by_console};
use lineside_flow::interlock::Protected;
use lineside_link::{Bench, Board, BoardInfo, Clock, LinkError, Port};
use lineside_terms::{Blame, DeviceId, Epoch, Instant, SlotPath, Told};
use serde::Serialize;

/// Uptime is told in whole seconds, and a device may count from a little before its reset ended.
const UPTIME_SLACK_S: u64 = 2;

/// How cables are looked at.
#[derive(Debug, Clone)]
pub struct Cables {
    /// How devices are reached and whom to trust.
    pub session: SessionConfig,
    /// How long each device is waited for: before it is reset, for what it says, and until it is back.
    pub patience: Duration,
    /// The short text that others see while a board is leased.
    pub holder: String,
}

/// What the cables of a socket turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Finding {
    /// Both go to one device.
    Right,
    /// The recovery cable goes to the device whose service cable is another socket's.
    Crossed {
        /// That socket.
        with: SlotPath,
    },
    /// The recovery cable goes to a device that no service cable reaches, and a different one answers here.
    Stranger,
    /// A device is on the recovery cable, and nobody answers over the service cable.
    NoService,
    /// The reset line reaches the device, and it is not heard on the recovery UART.
    Mute,
    /// Nobody was reset, and nobody was heard.
    NotConnected,
}

/// What was found at one socket.
#[derive(Debug, Clone)]
pub struct Socket {
    /// The socket.
    pub slot: SlotPath,
    /// Who answers over the service cable, or why nobody does.
    pub service: Result<DeviceId, Told>,
    /// Who told its id on the recovery UART.
    pub recovery: Option<DeviceId>,
    /// The sockets over whose service cables a reset was seen.
    pub reset: Vec<SlotPath>,
    /// What follows from that.
    pub finding: Finding,
    /// A device that was reset and did not come back in time.
    pub not_back: Option<Told>,
}

/// Why nothing was reset, or not all.
#[derive(Debug, thiserror::Error)]
pub enum CablesError {
    /// A board cannot be had: somebody works with it, or it went.
    #[error("the cables cannot be tried now")]
    Board(#[source] LinkError),
    /// A device is there that nobody may touch, and which line would reset it is not known yet.
    #[error("slot {slot}: {}", .told.message)]
    Protected {
        /// Where it answers.
        slot: SlotPath,
        /// Who forbids it.
        told: Told,
    },
}

impl lineside_terms::Explain for CablesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Board(error) => error.code(),
            Self::Protected { .. } => "slots.protected",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Board(error) => error.help(),
            Self::Protected { .. } => {
                "A line may reset another device than its own: unplug this one first. Nothing was reset."
                    .to_owned()
            }
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Board(error) => error.blame(),
            Self::Protected { .. } => Blame::Station,
        }
    }
}

/// A socket that is held, with its connection.
struct Held {
    board: Box<dyn Board>,
    link: Link,
    service: Result<DeviceId, Told>,
}

enum Link {
    /// The device answers.
    Up(Box<Verified>),
    /// It does not, or not yet.
    Down(Box<Session>),
    /// Only while it changes.
    Gone,
}

/// Tries the lines of the sockets that `wanted` names, one after the other, with every board of `boards` held and
/// listened to; each finding is told as it is there.
///
/// # Errors
/// Before anything is reset: when a board is not free, or a device is protected. Later only when a board goes.
pub async fn look(
    bench: &Rc<dyn Bench>,
    clock: &Clock,
    boards: Vec<BoardInfo>,
    wanted: impl Fn(&SlotPath) -> bool,
    protected: &Protected,
    how: &Cables,
    mut tell: impl FnMut(&Socket),
) -> Result<Vec<Socket>, CablesError> {
    let mut sessions = Vec::new();
    for board in &boards {
        let mut leased = bench
            .lease(&board.slot, &how.holder)
            .await
            .map_err(CablesError::Board)?;
        let wire = leased.open(Port::Service).map_err(CablesError::Board)?;
        sessions.push((leased, wire));
    }
    let opened = sessions.into_iter().map(|(board, wire)| async move {
        let session = Session::new(wire, clock.clone(), how.session.clone());
        let (link, service) = match session {
            Ok(session) => up(session, Epoch(0), how.patience).await,
            Err(error) => (Link::Gone, Err(Told::of(&error))),
        };
        Held { board, link, service }
    });
    let mut all = join_all(opened).await;
    for held in &all {
        if let Ok(device) = &held.service
            && let Err(error) = protected.check(device)
        {
            let (slot, told) = (held.board.slot().clone(), Told::of(&error));
            return Err(CablesError::Protected { slot, told });
        }
    }
    let mut found = Vec::new();
    let mut epoch = 0;
    for at in 0..all.len() {
        if !wanted(all[at].board.slot()) {
            continue;
        }
        epoch += 1;
        let socket = try_line(&mut all, at, clock, Epoch(epoch), how).await?;
        tell(&socket);
        found.push(socket);
    }
    join_all(all.into_iter().map(|held| async move {
        if let Link::Up(verified) = held.link {
            verified.release().await;
        }
    }))
    .await;
    Ok(found)
}

/// Resets by one socket's line and listens everywhere.
async fn try_line(
    all: &mut [Held],
    at: usize,
    clock: &Clock,
    epoch: Epoch,
    how: &Cables,
) -> Result<Socket, CablesError> {
    let began = clock.now();
    let heard = identify_by_console(&mut *all[at].board, clock, how.patience).await;
    let recovery = match heard {
        Ok(device) => Some(device),
        Err(DeviceError::Link(error)) => return Err(CablesError::Board(error)),
        Err(_) => None,
    };
    let mut seen = join_all(
        all.iter_mut()
            .map(|held| listen(held, began, epoch, how.patience)),
    )
    .await;
    if recovery.is_some() && !seen.iter().any(|seen| seen.was_reset) {
        // A device that had hung may answer now that it was reset.
        let silent = all
            .iter_mut()
            .zip(&mut seen)
            .filter(|(held, _)| matches!(held.link, Link::Down(_)));
        join_all(silent.map(|(held, seen)| async move {
            revive(held, epoch, how.patience).await;
            seen.was_reset = held
                .service
                .as_ref()
                .is_ok_and(|device| Some(*device) == recovery);
        }))
        .await;
    }
    let reset: Vec<usize> = (0..all.len()).filter(|at| seen[*at].was_reset).collect();
    let finding = judge(all, at, &reset, recovery);
    Ok(Socket {
        slot: all[at].board.slot().clone(),
        service: all[at].service.clone(),
        recovery,
        reset: reset.iter().map(|at| all[*at].board.slot().clone()).collect(),
        finding,
        not_back: seen.into_iter().find_map(|seen| seen.not_back),
    })
}

/// What follows from who was reset and who was heard.
fn judge(all: &[Held], at: usize, reset: &[usize], recovery: Option<DeviceId>) -> Finding {
    let answers = |device: &DeviceId| all.iter().position(|held| held.service.as_ref() == Ok(device));
    let spoke = recovery.as_ref().and_then(answers);
    let other = reset.iter().copied().chain(spoke).find(|other| *other != at);
    match (other, recovery, spoke) {
        (Some(other), ..) => Finding::Crossed {
            with: all[other].board.slot().clone(),
        },
        (None, _, Some(_)) => Finding::Right,
        (None, Some(_), None) if all[at].service.is_err() => Finding::NoService,
        (None, Some(_), None) => Finding::Stranger,
        (None, None, _) if reset.is_empty() => Finding::NotConnected,
        (None, None, _) => Finding::Mute,
    }
}

/// What was seen over one service cable.
#[derive(Default)]
struct Seen {
    was_reset: bool,
    not_back: Option<Told>,
}

/// Asks over a connection that was there before. One that broke is made anew: a device that was reset is young.
async fn listen(held: &mut Held, reset_at: Instant, epoch: Epoch, patience: Duration) -> Seen {
    let mut verified = match std::mem::replace(&mut held.link, Link::Gone) {
        Link::Up(verified) => verified,
        link => {
            held.link = link;
            return Seen::default();
        }
    };
    if verified.status().await.is_ok() {
        held.link = Link::Up(verified);
        return Seen::default();
    }
    let mut session = verified.release().await;
    session.forget();
    let former = held.service.clone();
    let (link, service) = up(session, epoch, patience).await;
    (held.link, held.service) = (link, service);
    let not_back = held.service.as_ref().err().cloned();
    if let Some(told) = not_back {
        // Its id is known all the same.
        held.service = former;
        return Seen {
            was_reset: true,
            not_back: Some(told),
        };
    }
    let Link::Up(verified) = &mut held.link else {
        return Seen::default();
    };
    let most = verified.clock().now().saturating_since(reset_at).as_secs() + UPTIME_SLACK_S;
    let was_reset = verified.status().await.is_ok_and(|status| status.uptime <= most);
    Seen {
        was_reset,
        not_back: None,
    }
}

/// Asks a device that did not answer before.
async fn revive(held: &mut Held, epoch: Epoch, patience: Duration) {
    match std::mem::replace(&mut held.link, Link::Gone) {
        Link::Down(mut session) => {
            session.forget();
            let (link, service) = up(*session, epoch, patience).await;
            held.link = link;
            // One that answered earlier and did not come back keeps its id.
            if held.service.is_err() {
                held.service = service;
            }
        }
        link => held.link = link,
    }
}

async fn up(session: Session, epoch: Epoch, patience: Duration) -> (Link, Result<DeviceId, Told>) {
    match boot::wait_responsive(session, epoch, None, patience).await {
        Ok(verified) => {
            let device = *verified.id();
            (Link::Up(Box::new(verified)), Ok(device))
        }
        Err((session, error)) => (Link::Down(Box::new(session)), Err(Told::of(&error))),
    }
}
