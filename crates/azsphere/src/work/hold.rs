//! The device that a command is about: chosen, leased, connected, proven.

use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use lineside_device::{Session, SessionConfig, Timeouts, Verified, boot};
use lineside_link::{Address, Board, BoardInfo, Port};
use lineside_protocol::rest::Secret;
use lineside_runner::by_hand::{self, Hand};
use lineside_runner::{WallClock, addresses};
use lineside_terms::{Blame, DeviceId, Epoch, SlotPath};

use super::{Action, Job};
use crate::bench::OpenBench;
use crate::station::Station;
use crate::trouble::{Failure, Kind};

/// Who has leased a board, for others.
const HOLDER: &str = "azsphere";

/// How long a device is waited for that a command is about.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Which device is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The only one.
    Only,
    Id(Box<DeviceId>),
    Address(String),
    Path(SlotPath),
}

impl Target {
    /// What was named: an id, an IP address or a connection path.
    pub(super) fn of(job: &Job<'_>) -> Result<Self, Failure> {
        let values = job.values;
        let named = values.get("device").or(values.get("ip")).or(values.get("slot"));
        let Some(text) = named else {
            return Ok(Self::Only);
        };
        if let Ok(id) = text.parse::<DeviceId>() {
            return Ok(Self::Id(Box::new(id)));
        }
        if text.parse::<std::net::Ipv4Addr>().is_ok() {
            return Ok(Self::Address(text.to_owned()));
        }
        SlotPath::new(text).map(Self::Path).map_err(|_| {
            Failure::usage(
                "azsphere.device",
                format!("`{}` is no device", text.escape_default()),
                "Name it by its id of 128 digits, its IP address or its connection path, as `device list-attached` shows them.",
            )
        })
    }
}

/// A board with the address that stands for its slot.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) board: BoardInfo,
    /// By which it is shown; empty when none was left.
    pub(super) address: String,
    /// The slot's own, which reaches it even when it is alone.
    own: Option<Address>,
}

impl Placed {
    fn is_at(&self, address: &str) -> bool {
        self.address == address || self.own.is_some_and(|own| own.to_string() == address)
    }
}

/// All boards in order of their slots. Addresses are those that the station has given out; a table that cannot be kept
/// stands in nobody's way who does not name a device by its address.
pub(super) async fn placed(
    station: &Station,
    bench: &OpenBench,
    target: &Target,
) -> Result<Vec<Placed>, Failure> {
    let boards = bench.bench.list().await?;
    let folder = (!bench.is_anew).then_some(station.folder.as_path());
    let table = match addresses::of_boards(folder, &boards) {
        Ok(table) => table,
        Err(error) if matches!(target, Target::Address(_)) => return Err(Failure::of(&error)),
        Err(_) => addresses::of_boards(None, &boards).unwrap_or_default(),
    };
    let is_alone = boards.len() == 1;
    let address = |board: &BoardInfo| match table.of(&board.slot) {
        _ if is_alone => Address::FIRST.to_string(),
        Some(address) => address.to_string(),
        None => String::new(),
    };
    Ok(boards
        .into_iter()
        .map(|board| Placed {
            address: address(&board),
            own: table.of(&board.slot),
            board,
        })
        .collect())
}

/// A device that answers, for as long as its board is leased.
pub(super) struct Held {
    pub(super) hand: Hand,
    pub(super) placed: Placed,
    /// What is told beside the answer.
    pub(super) notes: Vec<String>,
    _lease: Box<dyn Board>,
}

impl Held {
    /// Lets go of device and board.
    pub(super) async fn release(self) {
        self.hand.done().await;
    }
}

/// How devices are reached.
pub(super) fn session(bench: &OpenBench, patience: Duration, capability: Option<Secret>) -> SessionConfig {
    let wall_ms = WallClock::of_system(bench.clock.clone()).stamp().wall_ms;
    let usual = Timeouts::default();
    SessionConfig {
        anchor: bench.anchor.clone(),
        capability,
        timeouts: Timeouts {
            stall: usual.stall.min(patience),
            ..usual
        },
        ..SessionConfig::new(wall_ms)
    }
}

/// Leases a board and finds out who answers there.
pub(super) async fn connect(
    bench: &OpenBench,
    slot: &SlotPath,
    session: SessionConfig,
    patience: Duration,
) -> Result<(Verified, Box<dyn Board>), Failure> {
    let mut leased = Rc::clone(&bench.bench).lease(slot, HOLDER).await?;
    let wire = leased.open(Port::Service)?;
    let session = Session::new(wire, bench.clock.clone(), session)?;
    let verified = boot::wait_responsive(session, Epoch(0), None, patience).await;
    Ok((verified.map_err(|(_, error)| error)?, leased))
}

/// The board that is meant, with what is told beside the answer.
pub(super) async fn choose(
    job: &Job<'_>,
    bench: &OpenBench,
    target: &Target,
) -> Result<(Placed, Vec<String>), Failure> {
    let all = placed(job.station, bench, target).await?;
    let mut notes = Vec::new();
    let chosen = match target {
        Target::Only => match &all[..] {
            [] => return Err(nobody()),
            [only] => only.clone(),
            many => {
                return Err(Failure::new(
                    Kind::Failed,
                    Blame::Station,
                    "station.which-board",
                    format!("{} devices are attached and none is named", many.len()),
                    "Name one by id, IP address or connection path: `--device`, or `-ip` and `-l` in the classic command.",
                ));
            }
        },
        Target::Address(address) => one_of(&all, |placed| placed.is_at(address), target)?,
        Target::Path(path) => {
            let chosen = one_of(&all, |placed| placed.board.slot == *path, target)?;
            notes.push(format!(
                "The device with IP '{}' is selected from parameter '{path}'",
                chosen.address
            ));
            chosen
        }
        Target::Id(id) => find(bench, &all, id).await?,
    };
    Ok((chosen, notes))
}

/// Takes the device that is meant into hand.
pub(super) async fn take(job: &Job<'_>, bench: &OpenBench, target: &Target) -> Result<Held, Failure> {
    let granted = granted(job.station)?;
    let (chosen, notes) = choose(job, bench, target).await?;
    let slot = &chosen.board.slot;
    let (mut verified, mut lease) = connect(bench, slot, session(bench, PATIENCE, None), PATIENCE).await?;
    if let Target::Id(id) = target
        && verified.id() != &**id
    {
        return Err(no_such(target));
    }
    if !reads_only(job.command.action) {
        job.station.may_write(verified.id())?;
    }
    // A capability is worth something: it goes to nobody but the device that it was made for.
    if let Some((secret, _)) = granted.filter(|(_, device)| device == verified.id()) {
        let id = *verified.id();
        drop(verified);
        drop(lease);
        let session = session(bench, PATIENCE, Some(secret));
        (verified, lease) = connect(bench, slot, session, PATIENCE).await?;
        if *verified.id() != id {
            return Err(no_such(target));
        }
    }
    Ok(Held {
        hand: Hand::new(verified),
        placed: chosen,
        notes,
        _lease: lease,
    })
}

/// The board whose device has this id. All are asked side by side; one that does not answer is not it, nor one of which a
/// bridge tells that another device answered there since it was attached.
async fn find(bench: &OpenBench, all: &[Placed], id: &DeviceId) -> Result<Placed, Failure> {
    let may_be = |placed: &&Placed| placed.board.device.is_none_or(|told| told == *id);
    let asked = all.iter().filter(may_be).map(|placed| async move {
        let session = session(bench, PATIENCE, None);
        let (verified, _lease) = connect(bench, &placed.board.slot, session, PATIENCE).await.ok()?;
        let is_it = verified.id() == id;
        verified.release().await;
        is_it.then(|| placed.clone())
    });
    let mut found = join_all(asked).await.into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(placed), None) => Ok(placed),
        (None, _) => Err(no_such(&Target::Id(Box::new(*id)))),
        (Some(_), Some(_)) => Err(Failure::new(
            Kind::Failed,
            Blame::Device,
            "device.which-device",
            "two devices say that they have this id",
            "Set both aside: one of them does not tell the truth. Nothing was sent.",
        )),
    }
}

fn one_of(all: &[Placed], is_it: impl Fn(&Placed) -> bool, target: &Target) -> Result<Placed, Failure> {
    all.iter()
        .find(|placed| is_it(placed))
        .cloned()
        .ok_or_else(|| no_such(target))
}

fn no_such(target: &Target) -> Failure {
    let what = match target {
        Target::Only => "no device answers".to_owned(),
        Target::Id(id) => format!(
            "no device that answers has the id {}",
            id.to_string().to_uppercase()
        ),
        Target::Address(address) => format!("no device has the address {address}"),
        Target::Path(path) => format!("no device is at the connection path {path}"),
    };
    Failure::new(
        Kind::Failed,
        Blame::Board,
        "device.no-such-device",
        what,
        "`device list-attached` shows who is there.",
    )
}

fn nobody() -> Failure {
    Failure::new(
        Kind::NotResponding,
        Blame::Board,
        "station.no-board",
        "no device is attached",
        "Check cable, power and LINESIDE_BENCH.",
    )
}

/// The capability file that was selected, and the device that it is for.
fn granted(station: &Station) -> Result<Option<(Secret, DeviceId)>, Failure> {
    match station.kept()?.capability {
        None => Ok(None),
        Some(path) => capability(&path).map(Some),
    }
}

/// A capability file, ready to go with requests, and the device that it is for.
pub(super) fn capability(path: &std::path::Path) -> Result<(Secret, DeviceId), Failure> {
    let bytes = super::files::read(path, "the capability file")?;
    by_hand::capability(&bytes).map_err(|told| {
        let message = format!("{} is no capability file: {}", path.display(), told.message);
        Failure::new(Kind::Failed, Blame::Supply, &told.code, message, &told.help)
    })
}

/// Whether a command changes nothing. What is not listed is taken to change something.
pub(super) const fn reads_only(action: Action) -> bool {
    matches!(
        action,
        Action::ListAttached
            | Action::ShowAttached
            | Action::OsVersion
            | Action::Capabilities
            | Action::State
            | Action::AppStatus
            | Action::AppQuota
            | Action::Memory
            | Action::Images
            | Action::WifiList
            | Action::WifiShow
            | Action::WifiStatus
            | Action::WifiScan
            | Action::Interfaces
            | Action::NetStatus
            | Action::Firewall
            | Action::Diagnostics
            | Action::ProxyShow
            | Action::Certificates
            | Action::CertificateShow
            | Action::CertificateSpace
    )
}
