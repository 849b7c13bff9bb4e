//! The one irreversible request: bringing a device to a later manufacturing state.
//!
//! It is sent at most once for a permit, after one more look, and never again whatever comes back: the device is the
//! judge, and a later look tells what it decided (design 6).

use lineside_interlock::Permit;
use lineside_protocol::rest::device::Manufacturing;
use lineside_protocol::rest::{Operation, json, status::Done};
use lineside_terms::{Blame, Explain, ManufacturingState};

use super::{Leave, Verified, body_of};
use crate::error::DeviceError;

/// What came of the one attempt to use a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the journal has to know what came of it"]
pub enum Act {
    /// Nothing was sent: what the permit rests on does not hold (any more).
    NotSent(NotSent),
    /// The device shows the target state.
    Confirmed,
    /// The device refused, and shows the old state.
    Refused(DeviceError),
    /// It was sent, and nobody can say what came of it: only a later look can.
    Unclear(DeviceError),
}

/// Why a permit was not used. It is spent all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The permit is for something else.
    #[error("the permit is for another {0}")]
    Another(&'static str),
    /// Something was written on this connection after the device was judged.
    #[error("{now} writes were sent on this connection where {permitted} were allowed")]
    WrittenSince {
        /// How many the permit allows.
        permitted: u64,
        /// How many were sent.
        now: u64,
    },
    /// The permit is too old.
    #[error("the permit has expired")]
    Expired,
    /// The device is not in the state that it was judged in.
    #[error("the device is {found} where the permit starts from {expected}")]
    StateDiffers {
        /// The state that the permit starts from.
        expected: ManufacturingState,
        /// What the device says.
        found: ManufacturingState,
    },
    /// The device restarted after it was judged.
    #[error("the device has been up for {found_s} s where at least {proven_s} s were proven: it restarted")]
    Restarted {
        /// Seconds that were proven.
        proven_s: u64,
        /// Seconds that it shows.
        found_s: u64,
    },
    /// The device could not be looked at or asked any more.
    #[error("the device cannot be asked any more")]
    NotAsked(#[source] DeviceError),
}

impl Explain for NotSent {
    fn code(&self) -> &'static str {
        match self {
            Self::Another(_) => "device.permit-for-another",
            Self::WrittenSince { .. } => "device.permit-written-since",
            Self::Expired => "device.permit-expired",
            Self::StateDiffers { .. } => "device.permit-state-differs",
            Self::Restarted { .. } => "device.permit-restarted",
            Self::NotAsked(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotAsked(error) => format!("Nothing irreversible was sent. {}", error.help()),
            _ => "Nothing was sent. Attach the device again and let it be judged anew.".to_owned(),
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Another(_) | Self::WrittenSince { .. } | Self::Expired => Blame::Station,
            Self::StateDiffers { .. } | Self::Restarted { .. } => Blame::Device,
            Self::NotAsked(error) => error.blame(),
        }
    }
}

impl Verified {
    /// Brings the device to the state that the permit is for.
    ///
    /// Effect: irreversible. The permit must be for this device, epoch and connection, not expired, and nothing may
    /// have been written since; the device must still show the state and at least the uptime that the permit rests on.
    /// Then the request is sent once, and the device is looked at again.
    pub async fn finalize(&mut self, permit: Permit) -> Act {
        if let Err(why) = self.check(&permit).await {
            return Act::NotSent(why);
        }
        let operation = Operation::SetManufacturingState;
        let writes_before = self.writes;
        let body = body_of(&Manufacturing {
            manufacturing_state: permit.target(),
        });
        let sent = self
            .exchange(operation, None, body, None, Leave::By(&permit))
            .await
            .and_then(|answer| Ok(json::read_answer::<Done>(operation, &answer.body)?));
        // Every write is counted just before it is sent.
        if let (Err(error), true) = (&sent, self.writes == writes_before) {
            return Act::NotSent(NotSent::NotAsked(error.clone()));
        }

        let after = self.manufacturing_state().await;
        match (sent, after) {
            (_, Ok(state)) if state == permit.target() => Act::Confirmed,
            // A clear no: the device decided before it did anything (`device-rest-api.md` 2).
            (
                Err(
                    error @ DeviceError::Status {
                        status: 400..=499, ..
                    },
                ),
                Ok(state),
            ) if state == permit.from() => Act::Refused(error),
            (Err(error), _) | (Ok(_), Err(error)) => Act::Unclear(error),
            (Ok(_), Ok(_)) => Act::Unclear(DeviceError::NotDone { operation }),
        }
    }

    /// All that must hold at the last moment.
    async fn check(&mut self, permit: &Permit) -> Result<(), NotSent> {
        if *permit.device() != self.id {
            return Err(NotSent::Another("device"));
        }
        if permit.epoch() != self.epoch {
            return Err(NotSent::Another("epoch"));
        }
        if permit.session() != self.tag {
            return Err(NotSent::Another("connection"));
        }
        if permit.writes() != self.writes {
            return Err(NotSent::WrittenSince {
                permitted: permit.writes(),
                now: self.writes,
            });
        }
        let found_s = self.status().await.map_err(NotSent::NotAsked)?.uptime;
        let proven_s = permit.uptime_s();
        if found_s < proven_s {
            return Err(NotSent::Restarted { proven_s, found_s });
        }
        let found = self.manufacturing_state().await.map_err(NotSent::NotAsked)?;
        let expected = permit.from();
        if found != expected {
            return Err(NotSent::StateDiffers { expected, found });
        }
        // Last, so that no wait lies between this and the request.
        if self.clock().now() > permit.expires() {
            return Err(NotSent::Expired);
        }
        Ok(())
    }
}
