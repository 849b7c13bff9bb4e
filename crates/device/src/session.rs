//! A wire with a channel on it, moved by whoever awaits something from it (`pump`).

use std::fmt;
use std::time::Duration;

use lineside_link::{Clock, LineSettings, Wire};
use lineside_protocol::assume::MTU;
use lineside_protocol::rest::Secret;
use lineside_protocol::rest::http::PORT;
use lineside_terms::Instant;

use crate::DeviceError;
use crate::channel::{Channel, ChannelFault, Event, Patience};
use crate::entropy::Entropy;
use crate::error::Lost;
use crate::pump::{Pump, Stopped};
use crate::stack::{StackConfig, StackCounters};
use crate::timeouts::{GOODBYE, Timeouts};
use crate::tls::{TlsFault, TrustAnchor};

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// What the device's certificate is checked against.
    pub anchor: TrustAnchor,
    /// The time in milliseconds since 1970 at which certificates are judged: the wall clock when the session is made.
    pub wall_ms: i64,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// A capability file in base64 that goes with each request (`device-rest-api.md` 6.3).
    pub capability: Option<Secret>,
    /// The longest packet in bytes.
    pub mtu: usize,
    /// Speed of the wire in bits per second, for the time that uploads may take.
    pub baud: u32,
    /// How long things may take.
    pub timeouts: Timeouts,
}

impl SessionConfig {
    /// For real devices, at this wall time.
    pub fn new(wall_ms: i64) -> Self {
        Self {
            anchor: TrustAnchor::azure_sphere(),
            wall_ms,
            entropy: Entropy::System,
            capability: None,
            mtu: MTU,
            baud: LineSettings::SERVICE.baud,
            timeouts: Timeouts::default(),
        }
    }
}

/// A wire to a device that has not been identified (yet): see [`Session::verify`].
pub struct Session(Box<Inner>);

/// The parts of a session.
pub(crate) struct Inner {
    pump: Pump<Channel>,
    pub(crate) config: SessionConfig,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("channel", &self.0.pump.machine)
            .field("failed", &self.0.pump.failed())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session on a wire that is open. Nothing is sent yet.
    ///
    /// # Errors
    /// When the wire cannot have the settings of a service UART.
    pub fn new(
        mut wire: Box<dyn Wire>,
        clock: Clock,
        mut config: SessionConfig,
    ) -> Result<Self, DeviceError> {
        wire.configure(LineSettings {
            baud: config.baud,
            ..LineSettings::SERVICE
        })?;
        // A packet is handed over when it is complete.
        wire.set_packet_boundary(Some(lineside_protocol::slip::END));
        let stack = StackConfig {
            mtu: config.mtu,
            seed: config.entropy.next(),
        };
        let patience = Patience {
            connect: config.timeouts.connect,
            connect_tries: config.timeouts.connect_tries,
            handshake: config.timeouts.handshake,
            stall: config.timeouts.stall,
        };
        let channel = Channel::new(stack, patience, clock.now());
        Ok(Self(Box::new(Inner {
            pump: Pump::new(wire, clock, channel),
            config,
        })))
    }

    /// The clock that the session runs by.
    pub fn clock(&self) -> &Clock {
        &self.0.pump.clock
    }

    /// What went over the wire so far; dropped packets tell of a bad cable.
    pub fn counters(&mut self) -> StackCounters {
        self.0.channel().stack().counters()
    }

    /// The wall time at which certificates are judged from now on, in milliseconds since 1970.
    pub fn set_wall_ms(&mut self, wall_ms: i64) {
        self.0.config.wall_ms = wall_ms;
    }

    /// Forgets everything that was under way, without telling the device: it was reset and knows nothing of it.
    pub fn forget(&mut self) {
        let inner = &mut *self.0;
        let stack = StackConfig {
            mtu: inner.config.mtu,
            seed: inner.config.entropy.next(),
        };
        let now = inner.now();
        inner.channel().restart(stack, now);
        inner.pump.clear();
    }

    /// Takes and drops what comes over the wire for a while, answering only what TCP itself answers.
    pub(crate) async fn idle(&mut self, duration: Duration) -> Result<(), DeviceError> {
        let until = self.0.now() + duration;
        match self.0.drive(until, |_| None::<()>).await {
            Err(Stopped::Link(error)) => Err(error.into()),
            Ok(()) | Err(Stopped::Deadline) => Ok(()),
        }
    }

    pub(crate) fn inner(&mut self) -> &mut Inner {
        &mut self.0
    }
}

impl Inner {
    pub(crate) fn channel(&mut self) -> &mut Channel {
        &mut self.pump.machine
    }

    pub(crate) fn now(&self) -> Instant {
        self.pump.clock.now()
    }

    /// Moves bytes both ways until `until` yields something or the deadline passes.
    pub(crate) async fn drive<T>(
        &mut self,
        deadline: Instant,
        until: impl FnMut(&mut Channel) -> Option<T>,
    ) -> Result<T, Stopped> {
        self.pump.drive(deadline, until).await
    }

    /// Makes the secure connection; with `within`, TCP is tried once and for so long only.
    pub(crate) async fn connect(&mut self, within: Option<Duration>) -> Result<(), DeviceError> {
        let now = self.now();
        let (config, channel) = (&self.config, &mut self.pump.machine);
        match within {
            None => channel.connect(&config.anchor, config.wall_ms, now),
            Some(within) => channel.knock(&config.anchor, config.wall_ms, within, now),
        }
        // The channel itself gives up after its patience, so there is no deadline here.
        match self.drive(Instant::FAR, Channel::event).await {
            Ok(Event::Connected) => Ok(()),
            Ok(Event::Over(fault)) => {
                let tries = within.map_or(self.config.timeouts.connect_tries, |_| 1);
                Err(why(fault, tries))
            }
            Ok(Event::Answer(_)) | Err(Stopped::Deadline) => Err(DeviceError::TlsTooSlow),
            Err(Stopped::Link(error)) => Err(error.into()),
        }
    }

    /// Says goodbye, for as long as that takes little time.
    pub(crate) async fn goodbye(&mut self) {
        self.channel().close();
        let until = self.now() + GOODBYE;
        let _ = self
            .drive(until, |channel| channel.is_goodbye_said().then_some(()))
            .await;
        self.pump.machine.abort(self.pump.clock.now());
    }
}

/// Why there is no secure connection.
fn why(fault: ChannelFault, tries: u32) -> DeviceError {
    match fault {
        ChannelFault::NoAnswer => DeviceError::TcpTimeout { port: PORT, tries },
        ChannelFault::Refused => DeviceError::TcpRefused { port: PORT },
        ChannelFault::HandshakeTooSlow => DeviceError::TlsTooSlow,
        ChannelFault::Tls(fault) => match fault {
            TlsFault::UnknownIssuer | TlsFault::WrongName | TlsFault::BadCertificate(_) => {
                DeviceError::WrongCertificate(fault)
            }
            TlsFault::NotValidNow => DeviceError::ClockDisagrees(fault),
            TlsFault::Alert(_) | TlsFault::Protocol(_) => DeviceError::TlsFailed(fault),
        },
        ChannelFault::Stalled => DeviceError::ConnectionLost { why: Lost::Stalled },
        ChannelFault::Closed => DeviceError::ConnectionLost { why: Lost::Closed },
        ChannelFault::Http(_) => DeviceError::ConnectionLost { why: Lost::CutShort },
    }
}
