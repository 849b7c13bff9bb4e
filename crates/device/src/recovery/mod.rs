//! Writing the OS of a device anew, by its board's own lines and its recovery UART.
//!
//! [`write_os`] enters recovery, withholds the first answer until a gate hands over an [`ErasePermit`] for the very device
//! that announced itself, sends what is asked for, and ends when the device says that all is written. [`read_back`] boots
//! it and reads who it is and what it runs. Neither needs a device that answers over REST.
//!
//! Until the permit nothing is answered to the device, so nothing can be erased; what is left behind later is told by
//! [`Broken::is_at_risk`].

mod driver;

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lineside_image::ImageSet;
use lineside_interlock::{ErasePermit, Facts};
use lineside_link::trace::{TraceSink, TraceWire};
use lineside_link::{Board, Clock, LineSettings, Port, Wire, enter_recovery};
use lineside_protocol::recovery::host::{Failure, Host, Options, Phase, Supply, Wanted};
use lineside_protocol::xmodem::BlockSize;
use lineside_terms::{DeviceId, Epoch, Told};

use crate::boot;
use crate::error::DeviceError;
use crate::session::{Session, SessionConfig};
use crate::verified::Scope;
use driver::{Driver, Pause};

/// How long a device is waited for that boots for the first time after a recovery. The vendor's tool gives up after eight
/// minutes at most (`chip-to-pc-and-recovery.md` 4.4).
pub const FIRST_BOOT: Duration = Duration::from_secs(600);

/// What a device answers to each block (`chip-to-pc-and-recovery.md` 5.2).
const ACK: u8 = 0x06;

/// What is written, and how. One for all boards: the set is in memory once.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The images and what runs to write them.
    pub set: Arc<ImageSet>,
    /// Whether images go over the wire at 3 Mbaud. It falls back by itself.
    pub is_high_speed: bool,
    /// Whether the device is asked to tell more.
    pub is_verbose: bool,
}

impl Recovery {
    /// At high speed, with few words.
    pub const fn new(set: Arc<ImageSet>) -> Self {
        Self {
            set,
            is_high_speed: true,
            is_verbose: false,
        }
    }

    fn supply(&self, wanted: &Wanted, capability: Option<&Arc<[u8]>>) -> Supply {
        let file = match wanted {
            Wanted::Capability => capability,
            Wanted::File(name) => self.set.asked_for(name),
        };
        file.map_or(Supply::Missing, |file| Supply::File(Arc::clone(file)))
    }
}

/// The gate's leave to go on.
#[derive(Debug)]
pub struct Admitted {
    /// For the device that announced itself.
    pub permit: ErasePermit,
    /// Its capability file, if there is one.
    pub capability: Option<Capability>,
}

/// A capability file; it is never shown.
#[derive(Clone)]
pub struct Capability(pub Arc<[u8]>);

impl std::fmt::Debug for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Capability(…)")
    }
}

/// How far a recovery has come; sampled, never recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryProgress {
    /// Where it is.
    pub phase: Phase,
    /// Bytes of images that were acknowledged.
    pub bytes: u64,
    /// Bytes of all images; 0 until the device has told.
    pub total_bytes: u64,
    /// Images that are done.
    pub images: u32,
    /// Images in all; 0 until the device has told.
    pub total_images: u32,
}

impl Default for RecoveryProgress {
    fn default() -> Self {
        Self {
            phase: Phase::Entering,
            bytes: 0,
            total_bytes: 0,
            images: 0,
            total_images: 0,
        }
    }
}

/// Where progress is told.
pub type RecoveryCell = Rc<Cell<RecoveryProgress>>;

/// Where what goes over the recovery UART is recorded.
pub struct Trace {
    /// Takes the entries. What belongs to a capability file is not among them.
    pub sink: TraceSink,
    /// Takes the place of an entry that must not be kept: how many bytes were sent.
    pub blanked: Box<dyn FnMut(usize)>,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trace")
    }
}

/// A recovery that did not come to its good end.
#[derive(Debug)]
pub struct Broken {
    /// What happened.
    pub error: Told,
    /// Who announced itself, if somebody did and was admitted.
    pub device: Option<DeviceId>,
    /// It was erased, or may have been: it works again only after a recovery.
    pub is_at_risk: bool,
    /// Nothing was lost, and trying again may help (A-08 allows it once).
    pub may_retry: bool,
}

/// Enters recovery and writes the OS. When a device announces itself `gate` is asked whether it may be erased; meanwhile
/// the device waits. `stop` ends it as long as nothing can have been erased; later it is let come to its end.
///
/// A device that is left untouched is reset, so that it boots what it had.
///
/// # Errors
/// See [`Broken`].
pub async fn write_os<G>(
    board: &mut dyn Board,
    clock: &Clock,
    recovery: &Recovery,
    gate: G,
    progress: &RecoveryCell,
    stop: impl Future<Output = ()>,
    trace: Option<Trace>,
) -> Result<DeviceId, Broken>
where
    G: AsyncFnOnce(DeviceId) -> Result<Admitted, Told>,
{
    progress.set(RecoveryProgress::default());
    let mut driver = open(board, clock, recovery, trace)
        .await
        .map_err(|error| Broken {
            error: Told::of(&error),
            device: None,
            is_at_risk: false,
            may_retry: false,
        })?;
    let mut stop = pin!(stop);
    let mut gate = Some(gate);
    let mut capability = None;
    let mut refused = None;
    let outcome = loop {
        let supply = |wanted: &Wanted| recovery.supply(wanted, capability.as_ref());
        match driver.next(stop.as_mut(), supply, progress).await {
            Ok(Pause::Admit(device)) => {
                let answer = match gate.take() {
                    Some(gate) => gate(device).await,
                    // The machine asks once for each announcement, and ends with the second.
                    None => Err(Told::of(&Failure::NotAdmitted { device })),
                };
                let is_admitted = match answer {
                    Ok(admitted) if *admitted.permit.device() == device => {
                        capability = admitted.capability.map(|file| file.0);
                        true
                    }
                    Ok(_) => false,
                    Err(told) => {
                        refused = Some(told);
                        false
                    }
                };
                driver.host.admit(is_admitted, clock.now());
            }
            Ok(Pause::Over(outcome)) => break outcome.map_err(|failure| Told::of(&failure)),
            Err(error) => break Err(Told::of(&error)),
        }
    };
    let (device, is_at_risk) = (driver.host.device(), !driver.host.flash().may_retry());
    let is_departed = driver.is_departed();
    drop(driver);
    match (outcome, device) {
        (Ok(()), Some(device)) => Ok(device),
        (outcome, device) => {
            if !is_at_risk && !is_departed {
                // Whether this succeeds changes nothing of what is told.
                let _ = lineside_link::reset(board, clock).await;
            }
            let may_retry = !is_at_risk && !is_departed && refused.is_none();
            let error = refused.or(outcome.err());
            Err(Broken {
                error: error.unwrap_or_else(|| Told::of(&Failure::OutOfPlace { phase: Phase::Over })),
                device,
                is_at_risk,
                may_retry,
            })
        }
    }
}

/// Opens the recovery UART, then enters recovery, so that the ROM's first words are heard.
async fn open(
    board: &mut dyn Board,
    clock: &Clock,
    recovery: &Recovery,
    trace: Option<Trace>,
) -> Result<Driver, DeviceError> {
    let mut wire = board.open(Port::Recovery)?;
    let is_secret = Rc::new(Cell::new(false));
    if let Some(trace) = trace {
        wire = traced(wire, clock, trace, &is_secret);
    }
    wire.configure(LineSettings::CONSOLE)?;
    // Acknowledgements are single bytes, and each is waited for.
    wire.set_packet_boundary(Some(ACK));
    enter_recovery(board, clock).await?;
    let options = Options {
        high_speed: recovery.is_high_speed,
        verbose: recovery.is_verbose,
        block: BlockSize::Short,
        ..Options::new(Arc::clone(recovery.set.boot_loader()))
    };
    let host = Host::new(options, clock.now());
    Ok(Driver::new(wire, clock.clone(), host, is_secret))
}

fn traced(wire: Box<dyn Wire>, clock: &Clock, trace: Trace, is_secret: &Rc<Cell<bool>>) -> Box<dyn Wire> {
    use lineside_link::trace::Traced;
    let Trace {
        mut sink,
        mut blanked,
    } = trace;
    let is_secret = Rc::clone(is_secret);
    let sink = move |entry: lineside_link::trace::TraceEntry| match &entry.what {
        Traced::Sent(bytes) if is_secret.get() => blanked(bytes.len()),
        _ => sink(entry),
    };
    Box::new(TraceWire::new(wire, clock.clone(), Box::new(sink)))
}

/// Resets a device and waits for `ceiling` until it answers, then reads what it runs.
///
/// # Errors
/// [`DeviceError::NotBack`] when it does not answer in time; [`DeviceError::IdChanged`] when another one answers.
pub async fn read_back(
    board: &mut dyn Board,
    clock: &Clock,
    config: SessionConfig,
    device: DeviceId,
    ceiling: Duration,
) -> Result<Facts, DeviceError> {
    let wire = board.open(Port::Service)?;
    let mut session = Session::new(wire, clock.clone(), config)?;
    let reset_at = boot::reset(board, &mut session).await?;
    let mut verified = boot::wait_responsive(session, Epoch(0), Some(reset_at), ceiling)
        .await
        .map_err(|(_, error)| error)?;
    if *verified.id() != device {
        return Err(DeviceError::id_changed(device, *verified.id()));
    }
    let facts = verified.read_facts(Scope::ALL).await;
    verified.release().await;
    facts
}
