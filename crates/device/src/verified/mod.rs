//! A connection that has proven which device is at the other end.
//!
//! The first request on a secure connection reads the device id. From then on the connection itself is the proof: it
//! cannot move to another device, and when it ends every later call fails. Nothing reconnects by itself (design 6).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use lineside_interlock::{Permit, SessionTag};
use lineside_link::Clock;
use lineside_protocol::rest::device::Security;
use lineside_protocol::rest::{ApiVersion, Operation, answer, json};
use lineside_terms::{DeviceId, Effect, Epoch, SecurityState};
use serde::de::DeserializeOwned;

use crate::channel::{ChannelFault, Event, ProgressCell};
use crate::error::{DeviceError, Lost};
use crate::http::{Answer, HttpFault, Request};
use crate::pump::Stopped;
use crate::session::Session;

mod dialogue;
mod facts;
mod finalize;
mod operations;

pub use dialogue::Dialogue;
pub use facts::Scope;
pub use finalize::{Act, NotSent};

/// The longest body of an ordinary answer in bytes: hundreds are common.
const MOST_BODY: usize = 64 * 1024;

/// The longest list of components, networks or rules in bytes; about 5 kB was seen (`device-rest-api.md` 5.1).
const MOST_LIST: usize = 256 * 1024;

/// The longest log or telemetry in bytes. The log is a ring of 4 KiB banks (`device-rest-api.md` 3.7).
const MOST_OCTETS: usize = 1024 * 1024;

/// A device whose id was read on this connection, in this epoch. While the connection lasts it is this device and no
/// other that answers; what the device says of itself, its id included, is believed.
pub struct Verified {
    session: Session,
    id: DeviceId,
    epoch: Epoch,
    tag: SessionTag,
    security: SecurityState,
    version: Option<ApiVersion>,
    writes: u64,
    lost: Option<Lost>,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("id", &self.id.short())
            .field("epoch", &self.epoch)
            .field("tag", &self.tag)
            .field("writes", &self.writes)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// The leave to send a request with such an effect.
enum Leave<'a> {
    /// Nothing irreversible.
    Harmless,
    /// The one act that this permit is for.
    By(&'a Permit),
}

impl Session {
    /// Connects, and reads which device answers. `epoch` is the board's present one.
    ///
    /// # Errors
    /// When no secure connection comes about or the device does not tell its id. The session comes back with the error
    /// and may be used again.
    pub async fn verify(self, epoch: Epoch) -> Result<Verified, (Self, DeviceError)> {
        self.identify(epoch, None).await
    }

    /// [`verify`](Self::verify), but a device that does not take the connection within a short while is given up.
    pub(crate) async fn knock(self, epoch: Epoch, within: Duration) -> Result<Verified, (Self, DeviceError)> {
        self.identify(epoch, Some(within)).await
    }

    async fn identify(self, epoch: Epoch, within: Option<Duration>) -> Result<Verified, (Self, DeviceError)> {
        let mut session = self;
        if let Err(error) = session.inner().connect(within).await {
            return Err((session, error));
        }
        let tag = SessionTag::from_bytes(session.inner().config.entropy.sixteen());
        // Until the first answer there is no id; nobody sees this value before it is replaced.
        let mut verified = Verified {
            session,
            id: DeviceId::from_bytes([0; 64]),
            epoch,
            tag,
            security: SecurityState::Unknown,
            version: None,
            writes: 0,
            lost: None,
        };
        match verified.read_identity().await {
            Ok(security) => {
                verified.id = security.device_identifier;
                verified.security = security.security_state;
                Ok(verified)
            }
            Err(error) => Err((verified.release().await, error)),
        }
    }
}

impl Verified {
    /// Which device it is.
    pub const fn id(&self) -> &DeviceId {
        &self.id
    }

    /// The epoch that the connection was made in.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Names this connection: random, never used for another one.
    pub const fn tag(&self) -> SessionTag {
        self.tag
    }

    /// How many requests that change something were sent on this connection, whatever came of them.
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The security state that was read together with the id.
    pub const fn security(&self) -> SecurityState {
        self.security
    }

    /// The interface version of the device's answers, if they told one.
    pub const fn version(&self) -> Option<ApiVersion> {
        self.version
    }

    /// The clock that the session runs by.
    pub fn clock(&self) -> &Clock {
        self.session.clock()
    }

    /// Ends the connection in an orderly way and gives the session back. What it proved is gone.
    pub async fn release(self) -> Session {
        let mut session = self.session;
        session.inner().goodbye().await;
        session
    }

    /// Waits, while the wire is attended to.
    ///
    /// # Errors
    /// When the wire fails.
    pub async fn wait(&mut self, duration: Duration) -> Result<(), DeviceError> {
        self.session.idle(duration).await
    }

    /// Reads id and security state and checks that the device does not contradict itself.
    async fn read_identity(&mut self) -> Result<Security, DeviceError> {
        let security: Security = self.call(Operation::GetSecurityState, None, Bytes::new()).await?;
        match security.device_identity_public_key {
            Some(key) if key != security.device_identifier => {
                Err(DeviceError::id_changed(security.device_identifier, key))
            }
            _ => Ok(security),
        }
    }

    /// Does one operation that is not irreversible and reads its JSON answer.
    async fn call<T: DeserializeOwned>(
        &mut self,
        operation: Operation,
        item: Option<&str>,
        body: Bytes,
    ) -> Result<T, DeviceError> {
        let answer = self
            .exchange(operation, item, body, None, Leave::Harmless)
            .await?;
        Ok(json::read_answer(operation, &answer.body)?)
    }

    /// Sends one request and returns the answer if it is a success. This is the only place that sends anything.
    ///
    /// # Panics
    /// When an irreversible operation comes without a permit: a fault in this crate, caught before anything is sent.
    async fn exchange(
        &mut self,
        operation: Operation,
        item: Option<&str>,
        body: Bytes,
        progress: Option<ProgressCell>,
        leave: Leave<'_>,
    ) -> Result<Answer, DeviceError> {
        let spec = operation.spec();
        let is_permitted = match leave {
            Leave::Harmless => false,
            Leave::By(permit) => *permit.device() == self.id,
        };
        assert!(
            (spec.effect == Effect::Irreversible) == is_permitted,
            "irreversible operations go with a permit for this device, and nothing else does"
        );
        if let Some(version) = self.version.filter(|version| !operation.is_served(*version)) {
            return Err(DeviceError::NotServed { operation, version });
        }
        let path = operation.path(item)?;
        let inner = self.session.inner();
        if self.lost.is_some() || !inner.channel().is_ready() {
            return Err(self.is_over());
        }
        if spec.effect != Effect::Reads {
            self.writes += 1;
        }
        let after = inner.config.timeouts.of(operation, body.len(), inner.config.baud);
        let request = Request {
            verb: spec.verb,
            path,
            payload: spec.request,
            body,
            capability: inner.config.capability.clone(),
            most_body: most_body(operation),
        };
        let deadline = inner.now() + after;
        inner.channel().request(&request, progress);
        let answer = match inner.drive(deadline, crate::channel::Channel::event).await {
            Ok(Event::Answer(answer)) => answer,
            Ok(Event::Over(ChannelFault::Http(fault))) => {
                self.lost = Some(Lost::CutShort);
                return Err(DeviceError::BadAnswer { operation, fault });
            }
            Ok(Event::Over(fault)) => {
                self.lost = Some(lost_by(&fault));
                return Err(self.is_over());
            }
            Ok(Event::Connected) | Err(Stopped::Deadline) => {
                // The answer may still come, and nobody could tell it from the next one.
                let now = inner.now();
                inner.channel().abort(now);
                self.lost = Some(Lost::CutShort);
                return Err(DeviceError::Timeout { operation, after });
            }
            Err(Stopped::Link(error)) => return Err(error.into()),
        };
        self.version = answer.version.or(self.version);
        tracing::trace!(%operation, status = answer.status, bytes = answer.body.len(), "answered");
        // 200 and 201 are success to the vendor's clients, whichever was announced (`device-rest-api.md` 1.3).
        if matches!(answer.status, 200 | 201) {
            Ok(answer)
        } else {
            let code = answer::error_code(&answer.body);
            Err(DeviceError::Status {
                operation,
                status: answer.status,
                code,
            })
        }
    }

    /// Why nothing can be asked any more.
    fn is_over(&mut self) -> DeviceError {
        let why = *self
            .lost
            .get_or_insert_with(|| match self.session.inner().channel().event() {
                Some(Event::Over(fault)) => lost_by(&fault),
                _ if self.session.inner().channel().is_ending() => Lost::Closed,
                _ => Lost::CutShort,
            });
        DeviceError::ConnectionLost { why }
    }

    /// The device said that it restarts now: the connection proves nothing any more.
    fn restarts(&mut self) {
        self.lost = Some(Lost::Restarting);
    }
}

fn lost_by(fault: &ChannelFault) -> Lost {
    match fault {
        ChannelFault::Stalled | ChannelFault::NoAnswer => Lost::Stalled,
        ChannelFault::Http(HttpFault::Unasked) => Lost::CutShort,
        _ => Lost::Closed,
    }
}

const fn most_body(operation: Operation) -> usize {
    match operation {
        Operation::GetImages
        | Operation::GetFirewall
        | Operation::GetMemoryStats
        | Operation::GetWifiNetworks
        | Operation::GetWifiDiagnostics
        | Operation::GetWifiScan => MOST_LIST,
        Operation::GetLog | Operation::GetTelemetry => MOST_OCTETS,
        _ => MOST_BODY,
    }
}

/// A body in JSON.
fn body_of<T: serde::Serialize>(value: &T) -> Bytes {
    Bytes::from(json::to_request_json(value))
}
